//! ASCONF and ASCONF-ACK of a hostile peer (RFC 5061).

use std::time::Duration;

use super::Choices;
use super::hostile_peer::{HostilePeer, PEER_TSN, own, peer};
use crate::config::AssociationConfig;
use crate::serial::{AsconfSerial, CorrelationId};
use crate::tlv::Writer;
use crate::wire::{
    AddressChange, CauseCode, ChunkType, Param, write_asconf, write_asconf_ack, write_error_cause_indication,
    write_success_indication,
};

/// Bytes as ASCONF and ASCONF-ACK chunks of a peer, well-formed or not, between data and the own user's changes: there
/// are at most 32 paths and always one, each leads to its association, and one packet is answered by one.
pub fn asconf(data: &[u8]) {
    let mut choices = Choices::new(data);
    let setup = choices.u8();
    let mut config = AssociationConfig::default();
    let asconf = config.asconf_mut();
    asconf.set_offered(true);
    asconf.set_authentication_required(false);
    asconf.set_peer_may_change(setup & 1 == 0);
    asconf.set_peer_may_set_primary(setup & 2 == 0);
    asconf.set_automatic(setup & 4 == 0);
    let mut it = HostilePeer::connect(config, [ChunkType::ASCONF, ChunkType::ASCONF_ACK], |w| {
        Param::SupportedExtensions(&[ChunkType::ASCONF.0, ChunkType::ASCONF_ACK.0]).write(w);
        (0..setup >> 6).for_each(|n| Param::address(peer(n)).write(w));
    });
    while !choices.is_empty() && it.ends == 0 {
        let what = choices.u8();
        let (number, from) = (what >> 4, peer(what >> 4 & 7));
        match what & 15 {
            0..=4 => {
                let chunk = request(number, &mut choices);
                it.give(from, &chunk, 2);
            }
            5 | 6 => {
                let chunk = response(it.stack_tsn, number, &mut choices);
                let most = 2 + waiting(&it);
                it.give(from, &chunk, most);
            }
            7 => {
                let kind = [ChunkType::ASCONF.0, ChunkType::ASCONF_ACK.0][usize::from(number & 1)];
                let len = choices.u8() % 64;
                let value = choices.take(len.into());
                let chunk = [&[kind, 0, 0, 4 + len][..], value].concat();
                let most = 2 + waiting(&it);
                it.give(from, &chunk, most);
            }
            8 => {
                // An answer to a HEARTBEAT confirms an address.
                it.acknowledge();
                it.pass(Duration::from_millis(1 << number));
            }
            9 => it.pass(Duration::from_millis(1 << number)),
            10 => it.user_sends(0, 100 + 8 * usize::from(choices.u8())),
            11 => drop(it.stack.add_local_address(it.now, it.assoc, own(number & 3))),
            12 => drop(it.stack.remove_local_address(it.now, it.assoc, own(number & 3))),
            13 => drop(it.stack.set_peer_primary(it.now, it.assoc, own(number & 3))),
            14 => {
                let mut all = vec![own(0)];
                all.extend((1..4).filter(|n| number >> n & 1 == 1).map(own));
                it.stack.set_local_addresses(it.now, &all);
            }
            _ => drop(it.stack.set_primary(it.assoc, from)),
        }
        it.collect(usize::MAX);
        it.check_paths();
    }
    if it.ends == 0 {
        it.finish();
    }
}

/// How many packets may wait for an own address. While the peer has confirmed none, HEARTBEATs that are due cannot
/// leave; the ASCONF-ACK that brings one lets them out, one for each path, however long it took.
fn waiting(it: &HostilePeer) -> usize {
    let status = it.stack.status(it.assoc);
    status
        .filter(|status| status.local_addresses.is_empty())
        .map_or(0, |status| status.paths.len())
}

fn request(near: u8, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut chunk = Vec::new();
    let serial = AsconfSerial(PEER_TSN)
        .plus(u32::from(near))
        .minus(u32::from(near == 15) * 16);
    let count = 1 + choices.below(6);
    let address = claimed(choices.u8());
    write_asconf(&mut chunk, serial, address, |w| {
        (0..count).for_each(|n| change(w, n, choices))
    });
    chunk
}

fn change(w: &mut Writer<'_>, id: usize, choices: &mut Choices<'_>) {
    let what = choices.u8();
    let address = claimed(what >> 2);
    let change = match what & 3 {
        0 => AddressChange::Add(address),
        1 => AddressChange::Delete(address),
        2 => AddressChange::SetPrimary(address),
        _ => return w.tlv(choices.u16(), |w| w.bytes(choices.take(usize::from(what >> 3)))),
    };
    change.write(w, CorrelationId(id as u32));
}

/// An address that a peer may name: its own, the stack's, none, or one that cannot be.
fn claimed(choice: u8) -> std::net::IpAddr {
    match choice & 63 {
        n @ 0..=15 => peer(n),
        n @ 16..=19 => own(n - 16),
        20 | 21 => [0, 0, 0, 0].into(),
        22 => [0u16; 8].into(),
        23 => [224, 0, 0, 1].into(),
        24 => [127, 0, 0, 1].into(),
        25 => [255, 255, 255, 255].into(),
        n => [172, 16, 0, n].into(),
    }
}

fn response(stack_tsn: u32, near: u8, choices: &mut Choices<'_>) -> Vec<u8> {
    let mut chunk = Vec::new();
    let serial = AsconfSerial(stack_tsn).plus(u32::from(near & 7)).minus(1);
    let count = choices.below(5);
    write_asconf_ack(&mut chunk, serial, |w| {
        for _ in 0..count {
            let what = choices.u8();
            let id = CorrelationId(u32::from(what >> 3));
            match what & 7 {
                0..=3 => write_success_indication(w, id),
                4 | 5 => write_error_cause_indication(w, id, |w| {
                    let code = [CauseCode(0xa0), CauseCode(0xa1), CauseCode(0xa4), CauseCode(8)];
                    w.tlv(code[usize::from(what >> 6)].0, |w| w.bytes(choices.take(8)));
                }),
                _ => w.tlv(choices.u16(), |w| w.bytes(choices.take(usize::from(what >> 4)))),
            }
        }
    });
    chunk
}
