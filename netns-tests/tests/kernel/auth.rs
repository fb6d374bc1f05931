//! Authenticated chunks (RFC 4895).

use std::time::Duration;

use netns_tests::content;
use sctp::config::AssociationConfig;
use sctp::serial::SharedKeyId;
use sctp::wire::{ChunkType, HmacId};
use sctp::{AssocId, AuthEvent, Event};

use crate::common::{Carrier, Pair, hasty};

/// Secrets, as the kernel's program takes them: a number of four bytes.
const SECRET: u32 = 0x6b65_7931;
const OTHER_SECRET: u32 = 0x6b65_7932;

fn key(number: u16) -> SharedKeyId {
    SharedKeyId(number)
}

/// Both take DATA only authenticated; the kernel has keys 1 and 2.
fn pair(carrier: Carrier) -> Option<Pair> {
    let mut pair = Pair::with(carrier, 1, &[("auth_enable", 1)])?;
    pair.order("set auth-chunk 0");
    pair.order(&format!("set key 1 {SECRET}"));
    pair.order(&format!("set key 2 {OTHER_SECRET}"));
    Some(pair)
}

fn config(hmacs: &[HmacId]) -> AssociationConfig {
    let rto = Duration::from_millis(300);
    let mut config = hasty(rto, rto);
    let auth = config.auth_mut();
    auth.require(ChunkType::DATA).unwrap();
    auth.set_hmacs(hmacs).unwrap();
    auth.keys_mut().set(key(1), &SECRET.to_be_bytes());
    auth.keys_mut().set(key(2), &OTHER_SECRET.to_be_bytes());
    config
}

fn both_authenticate(pair: &Pair, assoc: AssocId) {
    let stack = pair.host.stack();
    assert_eq!(stack.local_auth_chunks(assoc), Some(vec![ChunkType::DATA]));
    assert!(stack.peer_auth_chunks(assoc).unwrap().contains(&ChunkType::DATA));
}

/// With no key but those that the set-up made.
fn data_is_authenticated(carrier: Carrier, engine_connects: bool, hmacs: &[HmacId]) {
    let Some(mut pair) = pair(carrier) else { return };
    let assoc = if engine_connects {
        pair.engine_connects(&config(hmacs))
    } else {
        pair.kernel_connects(&config(hmacs))
    };
    both_authenticate(&pair, assoc);
    pair.talk(assoc);
    pair.begin("collect");
    pair.host.shutdown(assoc);
}

#[test]
fn rfc4895_6_data_is_authenticated_with_sha256() {
    data_is_authenticated(Carrier::Udp, true, &[HmacId::SHA256, HmacId::SHA1]);
    data_is_authenticated(Carrier::Ip, false, &[HmacId::SHA256, HmacId::SHA1]);
}

#[test]
fn rfc4895_6_data_is_authenticated_with_sha1() {
    data_is_authenticated(Carrier::Ip, true, &[HmacId::SHA1]);
    data_is_authenticated(Carrier::Udp, false, &[HmacId::SHA1]);
}

#[test]
fn rfc4895_6_keys_change_in_an_open_association() {
    for engine_connects in [true, false] {
        let Some(mut pair) = pair(Carrier::Udp) else { return };
        let config = config(&[HmacId::SHA256, HmacId::SHA1]);
        let assoc = if engine_connects {
            pair.engine_connects(&config)
        } else {
            pair.kernel_connects(&config)
        };
        pair.talk(assoc);
        pair.host
            .act(|stack, _| stack.set_active_auth_key(assoc, key(1)))
            .unwrap();
        pair.order("set active-key 2");
        pair.talk(assoc);
        let new =
            |event: &Event| matches!(event, Event::Authentication(AuthEvent::NewKey(number)) if *number == key(2));
        assert!(pair.host.happened(assoc, new).is_some());
        pair.host
            .act(|stack, _| stack.set_active_auth_key(assoc, key(2)))
            .unwrap();
        pair.order("set active-key 1");
        pair.talk(assoc);
    }
}

#[test]
fn rfc4895_6_3_what_has_another_key_is_not_taken() {
    let Some(mut pair) = pair(Carrier::Udp) else { return };
    let mut config = config(&[HmacId::SHA256, HmacId::SHA1]);
    config.path_mut().set_path_max_retrans(1000);
    let assoc = pair.engine_connects(&config);
    pair.host
        .act(|stack, _| {
            stack.set_auth_key(assoc, key(1), b"another")?;
            stack.set_active_auth_key(assoc, key(1))
        })
        .unwrap();
    pair.begin("expect 1 100");
    pair.host.send(assoc, &content::message(0, 100, 0));
    // The kernel drops it, again and again; it would have been acknowledged at once.
    pair.host.until("the engine sends it again", |host| {
        (host.status(assoc).stats.data_chunks_retransmitted >= 2).then_some(())
    });
    assert_eq!(pair.host.status(assoc).unacknowledged_messages, 1);
    pair.host
        .act(|stack, _| stack.set_auth_key(assoc, key(1), &SECRET.to_be_bytes()))
        .unwrap();
    pair.end("expect");
}
