//! Authenticated chunks (RFC 4895).

use std::ops::Range;

use super::Choices;
use super::hostile_peer::{HostilePeer, PEER_TSN, peer};
use crate::auth::{AuthIn, AuthParams, AuthParamsReader, Authenticator, RANDOM_LEN, Verdict};
use crate::config::{AssociationConfig, SharedKeys};
use crate::error::Violation;
use crate::serial::{SharedKeyId, Tsn};
use crate::wire::{self, AUTH_HEADER_LEN, ChunkType, CommonHeader, HmacId, Param};

/// Bytes as what a side says of AUTH, as changes of an authenticated packet, or as packets of somebody who does not
/// have the key: only what was signed is valid, and nothing else gets through.
pub fn auth(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.below(4) {
        0 => parameters(&mut choices),
        1 => stranger(&mut choices),
        _ => damaged(&mut choices),
    }
}

/// RANDOM, CHUNKS and HMAC-ALGO of any form.
fn parameters(choices: &mut Choices<'_>) {
    let mut reader = AuthParamsReader::default();
    while !choices.is_empty() {
        let len = choices.below(70);
        match choices.below(4) {
            0 => reader.random(choices.take(len)),
            1 => reader.random(&[7; RANDOM_LEN]),
            2 => reader.chunks(choices.take(len)),
            _ => {
                let ids: Vec<u16> = (0..len).map(|_| u16::from(choices.u8() % 4)).collect();
                reader.hmacs(ids.into_iter());
            }
        }
    }
    match reader.finish() {
        Ok(Some(params)) => {
            assert!(params.hmacs.contains(&HmacId::SHA1.0) && params.preferred_hmac().hmac_len().is_some());
            assert!(params.accepts(params.preferred_hmac()));
            let never = [
                ChunkType::INIT,
                ChunkType::INIT_ACK,
                ChunkType::SHUTDOWN_COMPLETE,
                ChunkType::AUTH,
            ];
            assert!(never.iter().all(|&kind| !params.chunk_set().contains(kind)));
            let listed = params.chunks.as_ref().map_or(0, |chunks| 4 + chunks.len());
            assert_eq!(
                params.key_vector().len(),
                4 + RANDOM_LEN + listed + 4 + 2 * params.hmacs.len()
            );
        }
        Ok(None) => {}
        Err(violation) => assert!(matches!(
            violation,
            Violation::BadRandom | Violation::BadChunkList | Violation::BadHmacList | Violation::RepeatedAuthParameter
        )),
    }
}

fn side(random: u8, hmacs: &[u16], chunks: &[u8]) -> AuthParams {
    AuthParams {
        random: [random; RANDOM_LEN],
        chunks: (!chunks.is_empty()).then(|| chunks.to_vec()),
        hmacs: hmacs.to_vec(),
    }
}

const HEADER: CommonHeader = CommonHeader {
    source_port: 1,
    destination_port: 2,
    verification_tag: crate::serial::VerificationTag(3),
};

/// A packet that was signed, and what somebody on the way made of it.
fn damaged(choices: &mut Choices<'_>) {
    let setup = choices.u8();
    let hmacs: &[u16] = if setup & 1 == 0 { &[1, 3] } else { &[1] };
    let ours = side(1, &[3, 1], choices.take(usize::from(setup >> 5)));
    let theirs = side(2, hmacs, &[0, 0x80]);
    let mut keys = SharedKeys::default();
    keys.set(SharedKeyId(1), b"secret");
    let mut signer = Authenticator::new(ours.clone(), keys.clone());
    signer.set_peer(Some(&theirs));
    let mut checker = Authenticator::new(theirs, keys);
    checker.set_peer(Some(&ours));

    let key = SharedKeyId(u16::from(setup >> 1 & 1));
    let (key, hmac) = signer.sending(Some(key)).expect("both take part");
    let mut packet = Vec::new();
    let start = wire::begin_packet(&mut packet, &HEADER);
    let field = wire::write_auth(&mut packet, key, hmac, hmac.hmac_len().expect("a known HMAC"));
    let len = choices.below(64);
    wire::write_chunk(&mut packet, ChunkType(setup >> 4), setup, choices.take(len));
    let signed = signer.sign(key, hmac, &packet, &field).expect("a key");
    wire::fill_in_hmac(&mut packet, field.clone(), signed.as_slice());
    wire::finish_packet(&mut packet, start);
    assert!(matches!(verify(&mut checker, &packet, &field), Verdict::Valid { .. }));

    while !choices.is_empty() {
        let mut changed = packet.clone();
        let at = choices.below(256) % changed.len();
        match choices.below(4) {
            0 => changed.truncate(at.max(field.end)),
            1 => changed.extend_from_slice(choices.take(1 + at % 8)),
            _ => changed[at] ^= choices.u8(),
        }
        // The common header is not covered (§6.2).
        let same = changed.get(CommonHeader::LEN..) == packet.get(CommonHeader::LEN..);
        let valid = matches!(verify(&mut checker, &changed, &field), Verdict::Valid { .. });
        // Nor are the type and the length of the AUTH chunk, which are what the reader has gone by.
        let frame = CommonHeader::LEN..CommonHeader::LEN + 4;
        assert!(
            same == valid || (valid && changed.get(frame.clone()) != packet.get(frame)),
            "byte {at}"
        );
    }
}

fn verify(checker: &mut Authenticator, packet: &[u8], field: &Range<usize>) -> Verdict {
    let at = field.start - AUTH_HEADER_LEN + 4;
    let number = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    checker.verify(&AuthIn {
        shared_key: SharedKeyId(number(at)),
        hmac_id: HmacId(number(at + 2)),
        hmac: &packet[field.clone()],
        packet,
        field: field.clone(),
    })
}

/// Somebody who knows everything but the key, at a stack that takes only authenticated data.
fn stranger(choices: &mut Choices<'_>) {
    let mut config = AssociationConfig::default();
    let auth = config.auth_mut();
    auth.require(ChunkType::DATA).expect("it may be listed");
    auth.keys_mut().set(SharedKeyId(1), b"a secret that nobody knows");
    let changed = auth.keys_mut().set_active(SharedKeyId(1));
    let changed = changed.and_then(|()| auth.keys_mut().deactivate(SharedKeyId(0)));
    changed
        .and_then(|()| auth.keys_mut().remove(SharedKeyId(0)))
        .expect("the keys are there");
    let says = side(9, &[3, 1], &[]);
    let mut it = HostilePeer::connect(config, [ChunkType::AUTH; 2], |w| {
        Param::SupportedExtensions(&[ChunkType::AUTH.0]).write(w);
        Param::Random(&says.random).write(w);
        wire::write_hmac_algorithms(w, &[HmacId::SHA256, HmacId::SHA1]);
    });
    // It has a key for everything but the right one.
    let mut forger = Authenticator::new(says, SharedKeys::default());
    forger.set_peer(Some(&side(0, &[1, 3], &[0])));
    while !choices.is_empty() && it.ends == 0 {
        let what = choices.u8();
        let mut packet = Vec::new();
        wire::begin_packet(&mut packet, &it.header());
        let data = it.data(Tsn(PEER_TSN).plus(u32::from(what & 1)), 0, 0);
        if what & 2 == 0 {
            let hmac = [HmacId::SHA1, HmacId::SHA256, HmacId(2), HmacId(9)][usize::from(what >> 2 & 3)];
            let len = if what & 16 == 0 {
                hmac.hmac_len().unwrap_or(4)
            } else {
                usize::from(choices.u8() % 48)
            };
            let key = SharedKeyId(u16::from(what >> 5 & 3));
            let field = wire::write_auth(&mut packet, key, hmac, len);
            packet.extend_from_slice(&data);
            if what & 128 == 0 {
                let bytes = choices.take(len);
                wire::fill_in_hmac(&mut packet, field.start..field.start + bytes.len(), bytes);
            } else if let Some(forged) = forger.sign(SharedKeyId(0), hmac, &packet, &field) {
                let bytes = &forged.as_slice()[..len.min(forged.as_slice().len())];
                wire::fill_in_hmac(&mut packet, field.start..field.start + bytes.len(), bytes);
            }
        } else {
            packet.extend_from_slice(&data);
        }
        it.give_packet(peer(0), packet);
        assert_eq!(it.user_reads(), 0, "forged data came through");
    }
    if it.ends == 0 {
        it.finish();
    }
}
