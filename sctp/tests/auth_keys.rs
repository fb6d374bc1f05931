//! Endpoint pair shared keys (RFC 4895 §6.1) and what the user does with them (RFC 6458 §5.3.8, §6.1.8, §8.1.17 to
//! §8.1.18, §8.3.2 to §8.3.5).

mod common;

use bytes::Bytes;
use common::auth::{AuthScript, SHA256, established, next_data, requiring, z_requiring};
use common::{Answer, Peer, PeerSetup, data_chunks, ms};
use sctp::error::{AuthKeyError, SendError};
use sctp::serial::{Ppid, SharedKeyId, StreamId};
use sctp::wire::{ChunkType, write_heartbeat};
use sctp::{AssocId, AuthEvent, Event, OutMessage, Stack};

const ZERO: SharedKeyId = SharedKeyId(0);
const ONE: SharedKeyId = SharedKeyId(1);
const TWO: SharedKeyId = SharedKeyId(2);

/// An association in which both sides know the keys 1 and 2.
fn with_keys(by_z: &[ChunkType], by_peer: &[ChunkType]) -> (Peer, AuthScript) {
    let (mut peer, auth) = established(by_z, by_peer);
    let (stack, assoc) = z(&mut peer);
    stack.set_auth_key(assoc, ONE, b"one").unwrap();
    stack.set_auth_key(assoc, TWO, b"number two").unwrap();
    (peer, auth.with_key(1, b"one").with_key(2, b"number two"))
}

fn z(peer: &mut Peer) -> (&mut Stack, AssocId) {
    let assoc = peer.assoc.unwrap();
    (peer.world.stack(peer.z), assoc)
}

fn message(payload: &'static [u8], key: Option<SharedKeyId>) -> OutMessage {
    OutMessage {
        auth_key: key,
        ..OutMessage::new(StreamId(0), Ppid(0), Bytes::from_static(payload))
    }
}

fn send(peer: &mut Peer, payload: &'static [u8], key: Option<SharedKeyId>) -> Result<(), SendError> {
    let now = peer.world.now();
    let (stack, assoc) = z(peer);
    stack.send(now, assoc, message(payload, key))
}

/// The key of each packet, and the payloads in it.
fn keys_and_payloads(auth: &AuthScript, answers: &[Answer]) -> Vec<(Option<u16>, Vec<Vec<u8>>)> {
    let of = |answer: &Answer| {
        let payloads = data_chunks(std::slice::from_ref(answer));
        let payloads = payloads.iter().map(|data| data.payload.to_vec()).collect();
        (auth.open(answer).map(|(key, ..)| key), payloads)
    };
    answers.iter().filter(|a| a.has(ChunkType::DATA)).map(of).collect()
}

fn told(peer: &Peer) -> Vec<AuthEvent> {
    let event = |event: &Event| match event {
        Event::Authentication(what) => Some(*what),
        _ => None,
    };
    peer.log.iter().filter_map(event).collect()
}

#[test]
fn rfc6458_8_1_18_the_active_key_signs() {
    let (mut peer, auth) = with_keys(&[], &[ChunkType::DATA]);
    send(&mut peer, b"zero", None).unwrap();
    let answers = peer.answers();
    assert_eq!(keys_and_payloads(&auth, &answers), [(Some(0), vec![b"zero".to_vec()])]);
    let (stack, assoc) = z(&mut peer);
    stack.set_active_auth_key(assoc, TWO).unwrap();
    assert_eq!(stack.auth_keys(assoc).unwrap().active(), TWO);
    send(&mut peer, b"two", None).unwrap();
    let answers = peer.answers();
    assert_eq!(keys_and_payloads(&auth, &answers), [(Some(2), vec![b"two".to_vec()])]);
}

#[test]
fn rfc6458_8_1_18_queued_messages_keep_the_key_that_was_active() {
    let (mut peer, auth) = with_keys(&[], &[ChunkType::DATA]);
    send(&mut peer, b"a", None).unwrap();
    send(&mut peer, b"b", None).unwrap();
    let (stack, assoc) = z(&mut peer);
    stack.set_active_auth_key(assoc, ONE).unwrap();
    send(&mut peer, b"c", None).unwrap();
    let answers = peer.answers();
    let expected = [
        (Some(0), vec![b"a".to_vec(), b"b".to_vec()]),
        (Some(1), vec![b"c".to_vec()]),
    ];
    assert_eq!(keys_and_payloads(&auth, &answers), expected);
    // So do retransmissions.
    let again = peer.run(ms(1500));
    assert_eq!(keys_and_payloads(&auth, &again)[0], expected[0]);
}

#[test]
fn rfc6458_5_3_8_messages_of_different_keys_are_never_in_one_packet() {
    let (mut peer, auth) = with_keys(&[], &[ChunkType::DATA]);
    for (payload, key) in [
        (&b"a"[..], Some(ONE)),
        (b"b", Some(ONE)),
        (b"c", Some(TWO)),
        (b"d", None),
        (b"e", None),
        (b"f", Some(ONE)),
    ] {
        send(&mut peer, payload, key).unwrap();
    }
    let expected: Vec<(Option<u16>, Vec<Vec<u8>>)> = vec![
        (Some(1), vec![b"a".to_vec(), b"b".to_vec()]),
        (Some(2), vec![b"c".to_vec()]),
        (Some(0), vec![b"d".to_vec(), b"e".to_vec()]),
        (Some(1), vec![b"f".to_vec()]),
    ];
    let answers = peer.answers();
    assert_eq!(keys_and_payloads(&auth, &answers), expected);
    // Nor when they are sent again.
    let mut again = Vec::new();
    for _ in 0..40 {
        again.extend(keys_and_payloads(&auth, &peer.run(ms(200))));
        let seen = again.len() as u32;
        peer.send_sack(u32::MAX, 100_000, &[]);
        if seen > 5 {
            break;
        }
    }
    for (key, payloads) in again {
        let of_key = |(expected_key, all): &(Option<u16>, Vec<Vec<u8>>)| {
            *expected_key == key && payloads.iter().all(|payload| all.contains(payload))
        };
        assert!(expected.iter().any(of_key), "{key:?} {payloads:?}");
    }
}

#[test]
fn rfc6458_5_3_8_a_key_authenticates_what_the_peer_does_not_ask_for() {
    let (mut peer, auth) = with_keys(&[], &[]);
    send(&mut peer, b"plain", None).unwrap();
    send(&mut peer, b"sealed", Some(ONE)).unwrap();
    send(&mut peer, b"plain again", None).unwrap();
    let answers = peer.answers();
    let expected = [
        (None, vec![b"plain".to_vec()]),
        (Some(1), vec![b"sealed".to_vec()]),
        (None, vec![b"plain again".to_vec()]),
    ];
    assert_eq!(keys_and_payloads(&auth, &answers), expected);
    // A large one leaves room for it.
    let large = Bytes::from(vec![9; 5000]);
    let (now, assoc) = (peer.world.now(), peer.assoc.unwrap());
    peer.send_sack(2, 100_000, &[]);
    let message = OutMessage {
        auth_key: Some(ONE),
        ..OutMessage::new(StreamId(0), Ppid(0), large)
    };
    peer.world.stack(peer.z).send(now, assoc, message).unwrap();
    let answers = peer.answers();
    assert!(answers.len() > 2);
    for answer in &answers {
        assert!(answer.size <= 1280, "{} bytes", answer.size);
        assert_eq!(auth.open(answer).unwrap().0, 1);
    }
}

#[test]
fn rfc6458_5_3_8_a_key_that_is_not_there_is_refused() {
    let (mut peer, _) = with_keys(&[], &[]);
    assert_eq!(send(&mut peer, b"x", Some(SharedKeyId(9))), Err(SendError::NoSuchKey));
    let (stack, assoc) = z(&mut peer);
    stack.deactivate_auth_key(assoc, TWO).unwrap();
    assert_eq!(send(&mut peer, b"x", Some(TWO)), Err(SendError::NoSuchKey));
    // Without AUTH there is no key at all.
    let mut plain = Peer::established();
    assert_eq!(send(&mut plain, b"x", Some(ZERO)), Err(SendError::NoSuchKey));
    let (stack, assoc) = z(&mut plain);
    assert_eq!(stack.set_auth_key(assoc, ONE, b"one"), Err(AuthKeyError::NotOffered));
    assert!(stack.auth_keys(assoc).is_none());
}

#[test]
fn rfc6458_5_3_8_messages_with_a_key_fail_if_the_peer_takes_no_part() {
    let mut peer = z_requiring(&[]);
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    send(&mut peer, b"only sealed", Some(ZERO)).unwrap();
    send(&mut peer, b"as you like", None).unwrap();
    peer.send_init_ack(b"cookie", |_| {});
    peer.answers();
    let failed: Vec<&Event> = peer.log.iter().filter(|e| matches!(e, Event::SendFailed(_))).collect();
    let [Event::SendFailed(failure)] = failed[..] else {
        panic!("{failed:?}")
    };
    assert_eq!(failure.payload, &b"only sealed"[..]);
    peer.send(sctp::wire::write_cookie_ack);
    let data = peer.answer();
    assert_eq!(data_chunks(&[data])[0].payload, b"as you like");
    assert_eq!(send(&mut peer, b"x", Some(ZERO)), Err(SendError::NoSuchKey));
}

#[test]
fn rfc6458_8_3_3_a_key_may_be_replaced() {
    let (mut peer, auth) = with_keys(&[ChunkType::DATA], &[ChunkType::DATA]);
    send(&mut peer, b"old", Some(ONE)).unwrap();
    auth.open(&peer.answer()).unwrap();
    let (stack, assoc) = z(&mut peer);
    stack.set_auth_key(assoc, ONE, b"one anew").unwrap();
    let anew = auth.clone().with_key(1, b"one anew");
    send(&mut peer, b"new", Some(ONE)).unwrap();
    anew.open(&peer.answer()).unwrap();
    let data = next_data(&mut peer, b"by the peer");
    let mut bytes = Vec::new();
    data(&mut bytes);
    for (auth, heard) in [(auth, 0), (anew, 1)] {
        let sealed = auth.seal_with(1, |buf| buf.extend(&bytes));
        peer.send(|buf| buf.extend(sealed));
        peer.answers();
        assert_eq!(peer.z_hears().len(), heard);
    }
}

#[test]
fn rfc6458_8_3_4_a_deactivated_key_still_receives() {
    let (mut peer, auth) = with_keys(&[ChunkType::DATA], &[]);
    let (stack, assoc) = z(&mut peer);
    assert_eq!(stack.deactivate_auth_key(assoc, ZERO), Err(AuthKeyError::Active));
    assert_eq!(
        stack.deactivate_auth_key(assoc, SharedKeyId(8)),
        Err(AuthKeyError::NoSuchKey)
    );
    assert_eq!(stack.deactivate_auth_key(assoc, ONE), Ok(()));
    assert_eq!(stack.deactivate_auth_key(assoc, ONE), Ok(()), "twice is once");
    assert_eq!(stack.set_active_auth_key(assoc, ONE), Err(AuthKeyError::Deactivated));
    let data = next_data(&mut peer, b"with one");
    let sealed = auth.seal_with(1, data);
    peer.send(|buf| buf.extend(sealed));
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"with one"[..]]);
    let (stack, assoc) = z(&mut peer);
    stack.delete_auth_key(assoc, ONE).unwrap();
    let data = next_data(&mut peer, b"with none");
    let sealed = auth.seal_with(1, data);
    peer.send(|buf| buf.extend(sealed));
    peer.expect_silence();
}

#[test]
fn rfc6458_8_3_5_a_key_in_use_is_not_deleted_and_the_user_is_told_when_it_is_free() {
    let (mut peer, _) = with_keys(&[], &[ChunkType::DATA]);
    send(&mut peer, b"first", Some(ONE)).unwrap();
    send(&mut peer, b"second", None).unwrap();
    let (stack, assoc) = z(&mut peer);
    assert_eq!(stack.delete_auth_key(assoc, ONE), Err(AuthKeyError::InUse));
    stack.deactivate_auth_key(assoc, ONE).unwrap();
    assert_eq!(stack.delete_auth_key(assoc, ONE), Err(AuthKeyError::InUse));
    peer.answers();
    assert_eq!(told(&peer), []);
    let (stack, assoc) = z(&mut peer);
    assert_eq!(stack.delete_auth_key(assoc, ONE), Err(AuthKeyError::InUse), "in flight");
    peer.send_sack(0, 100_000, &[]);
    peer.answers();
    assert_eq!(told(&peer), [AuthEvent::FreeKey(ONE)]);
    let (stack, assoc) = z(&mut peer);
    assert_eq!(stack.delete_auth_key(assoc, ONE), Ok(()));
    assert_eq!(stack.delete_auth_key(assoc, TWO), Err(AuthKeyError::NotDeactivated));
    // One that nobody uses is free at once.
    stack.deactivate_auth_key(assoc, TWO).unwrap();
    peer.send_sack(1, 100_000, &[]);
    peer.answers();
    assert_eq!(told(&peer)[1..], [AuthEvent::FreeKey(TWO)]);
}

#[test]
fn rfc6458_8_3_5_the_null_key_can_be_deleted() {
    let (mut peer, auth) = with_keys(&[], &[]);
    let (stack, assoc) = z(&mut peer);
    stack.set_active_auth_key(assoc, ONE).unwrap();
    stack.deactivate_auth_key(assoc, ZERO).unwrap();
    stack.delete_auth_key(assoc, ZERO).unwrap();
    let ids: Vec<SharedKeyId> = stack.auth_keys(assoc).unwrap().ids().collect();
    assert_eq!(ids, [ONE, TWO]);
    // RFC 4895 §9: who has seen the set-up cannot use it any more.
    peer.send_sealed(&auth, |buf| write_heartbeat(buf, b"by the null key"));
    peer.expect_silence();
    let sealed = auth.seal_with(1, |buf| write_heartbeat(buf, b"by key one"));
    peer.send(|buf| buf.extend(sealed));
    assert!(peer.answer().has(ChunkType::HEARTBEAT_ACK));
}

#[test]
fn rfc6458_6_1_8_the_user_is_told_of_the_peers_new_key() {
    let (mut peer, auth) = with_keys(&[], &[]);
    for number in [0, 0, 1, 1, 2, 1] {
        let sealed = auth.seal_with(number, |buf| write_heartbeat(buf, b"x"));
        peer.send(|buf| buf.extend(sealed));
        peer.answers();
    }
    let expected = [ONE, TWO, ONE].map(AuthEvent::NewKey);
    assert_eq!(told(&peer), expected);
}

#[test]
fn rfc6458_8_3_3_new_associations_start_with_the_end_points_keys() {
    let mut peer = z_requiring(&[ChunkType::DATA]);
    let endpoint = peer.endpoint;
    let stack = peer.world.stack(peer.z);
    let config = stack.endpoint_auth_mut(endpoint).unwrap();
    config.keys_mut().set(TWO, b"of the end point");
    config.keys_mut().set_active(TWO).unwrap();
    let mut auth = AuthScript::new(&[ChunkType::DATA]).with_key(2, b"of the end point");
    peer.establish_with_auth(&mut auth);
    send(&mut peer, b"two", None).unwrap();
    assert_eq!(auth.open(&peer.answer()), Some((2, SHA256, vec![ChunkType::DATA])));
    // A later change is not this association's.
    let stack = peer.world.stack(peer.z);
    assert_eq!(stack.endpoint_auth(endpoint).unwrap().keys().active(), TWO);
    stack
        .endpoint_auth_mut(endpoint)
        .unwrap()
        .keys_mut()
        .set(TWO, b"another one");
    let data = next_data(&mut peer, b"with the old one");
    let sealed = auth.seal_with(2, data);
    peer.send(|buf| buf.extend(sealed));
    peer.answers();
    assert_eq!(peer.z_hears().len(), 1);
}

#[test]
fn rfc6458_8_2_both_lists_can_be_read() {
    let (peer, _) = established(&[ChunkType::ASCONF, ChunkType::DATA], &[ChunkType::SACK]);
    let assoc = peer.assoc.unwrap();
    let stack = peer.world.peek(peer.z);
    assert_eq!(
        stack.local_auth_chunks(assoc),
        Some(vec![ChunkType::DATA, ChunkType::ASCONF])
    );
    assert_eq!(stack.peer_auth_chunks(assoc), Some(vec![ChunkType::SACK]));
}

#[test]
fn rfc4895_6_2_control_chunks_go_with_the_active_key_and_with_that_of_the_data_beside_them() {
    let mut association = requiring(&[]);
    association.auth_mut().keys_mut().set(ONE, b"one");
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    let mut auth = AuthScript::new(&[ChunkType::SACK, ChunkType::DATA]).with_key(1, b"one");
    peer.establish_with_auth(&mut auth);
    peer.say(b"first");
    assert_eq!(auth.open(&peer.answer()), Some((0, SHA256, vec![ChunkType::SACK])));
    peer.say(b"second");
    peer.run(ms(1));
    send(&mut peer, b"answer", Some(ONE)).unwrap();
    let answer = peer.answer();
    assert_eq!(
        auth.open(&answer),
        Some((1, SHA256, vec![ChunkType::SACK, ChunkType::DATA]))
    );
}
