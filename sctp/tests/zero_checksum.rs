//! Packets without a checksum over a carrier that guards them (RFC 9653).

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use common::{A, Answer, B, Flow, Peer, PeerSetup, Setup, secs, transfer};
use sctp::serial::VerificationTag;
use sctp::sim::Verdict;
use sctp::wire::{
    ChecksumRule, ChunkType, ErrorDetectionMethod, InitFixed, Packet, Param, write_cookie_ack, write_cookie_echo,
    write_heartbeat, write_init, write_shutdown_ack,
};
use sctp::{AssociationPhase, Event};

const DTLS: ErrorDetectionMethod = ErrorDetectionMethod::DTLS;
const OTHER: ErrorDetectionMethod = ErrorDetectionMethod(77);

/// A peer of a stack whose associations announce SCTP over DTLS.
fn guarded() -> Peer {
    let mut association = common::without_discovery();
    association.set_zero_checksum(Some(DTLS));
    Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    })
}

/// The methods that an INIT or INIT ACK announces.
fn announced(answer: &Answer) -> Vec<ErrorDetectionMethod> {
    let params = answer.chunks[0].init().params.flatten();
    params
        .filter_map(|param| match param {
            Param::ZeroChecksumAcceptable(method) => Some(method),
            _ => None,
        })
        .collect()
}

/// Opens an association from the peer, whose INIT announces `method`; the INIT ACK.
fn establish(peer: &mut Peer, method: Option<ErrorDetectionMethod>) -> Answer {
    peer.send_init_with(|w| {
        if let Some(method) = method {
            Param::ZeroChecksumAcceptable(method).write(w);
        }
    });
    let init_ack = peer.answer();
    let cookie = peer.learn(&init_ack);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    init_ack
}

/// The packet with a checksum of zero.
fn zeroed(mut packet: Vec<u8>) -> Vec<u8> {
    packet[8..12].fill(0);
    packet
}

/// Asks Z for an answer by a packet that `change` changed; whether one came.
fn is_taken(peer: &mut Peer, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> bool {
    let packet = change(peer.packet(peer.z_tag, |buf| write_heartbeat(buf, &[0; 4])));
    peer.send_bytes(packet);
    let answers = peer.answers();
    answers.iter().any(|answer| answer.has(ChunkType::HEARTBEAT_ACK))
}

fn checksum_errors(peer: &Peer) -> u64 {
    peer.world.peek(peer.z).stats().checksum_errors
}

#[test]
fn rfc9653_5_1_without_a_method_nothing_is_announced_taken_or_left_out() {
    let mut peer = Peer::new();
    let init_ack = establish(&mut peer, Some(DTLS));
    assert!(announced(&init_ack).is_empty());
    assert!(is_taken(&mut peer, |packet| packet));
    assert!(!is_taken(&mut peer, zeroed));
    assert_eq!(checksum_errors(&peer), 1);
    assert!(!peer.status().unwrap().zero_checksum);
}

#[test]
fn rfc9653_4_the_method_is_announced_in_init_and_init_ack() {
    let mut peer = guarded();
    let init_ack = establish(&mut peer, None);
    assert_eq!(announced(&init_ack), [DTLS]);
    let mut peer = guarded();
    peer.connect();
    assert_eq!(announced(&peer.answer()), [DTLS]);
}

#[test]
fn rfc9653_5_2_with_one_method_on_both_sides_packets_leave_with_zero() {
    let mut peer = guarded();
    let init_ack = establish(&mut peer, Some(DTLS));
    assert!(init_ack.unchecked, "the INIT said that it may be");
    assert!(peer.status().unwrap().zero_checksum);
    peer.say(b"in");
    let sack = peer.answer();
    assert!(sack.unchecked && sack.has(ChunkType::SACK));
    peer.z_says(b"out");
    let data = peer.answer();
    assert!(data.unchecked && data.has(ChunkType::DATA));
    peer.send(|buf| write_heartbeat(buf, &[0; 4]));
    assert!(peer.answer().unchecked);
    let (now, assoc) = (peer.world.now(), peer.assoc.unwrap());
    peer.world.stack(peer.z).abort(now, assoc, "enough".into()).unwrap();
    let abort = peer.answer();
    assert!(abort.unchecked && abort.has(ChunkType::ABORT));
}

#[test]
fn rfc9653_5_2_init_and_cookie_echo_always_have_their_checksum() {
    let mut peer = guarded();
    peer.connect();
    let init = peer.answer();
    assert!(init.has(ChunkType::INIT) && !init.unchecked);
    peer.learn(&init);
    peer.send_init_ack(b"cookie", |w| Param::ZeroChecksumAcceptable(DTLS).write(w));
    let echo = peer.answer();
    assert!(echo.has(ChunkType::COOKIE_ECHO) && !echo.unchecked);
    // Again after T1-cookie.
    let again = peer.run(secs(2)).remove(0);
    assert!(again.has(ChunkType::COOKIE_ECHO) && !again.unchecked);
    peer.send(write_cookie_ack);
    peer.answers();
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    peer.z_says(b"out");
    assert!(peer.answer().unchecked);
}

#[test]
fn rfc9653_5_2_a_peer_that_announced_nothing_or_another_method_gets_checksums() {
    for method in [None, Some(OTHER)] {
        let mut peer = guarded();
        let init_ack = establish(&mut peer, method);
        assert!(!init_ack.unchecked, "{method:?}");
        peer.z_says(b"out");
        assert!(!peer.answer().unchecked, "{method:?}");
        assert!(!peer.status().unwrap().zero_checksum);
        // What was announced holds all the same.
        assert!(is_taken(&mut peer, zeroed), "{method:?}");
    }
}

#[test]
fn rfc9653_4_of_several_parameters_the_first_one_counts() {
    for (first, second, unchecked) in [(DTLS, OTHER, true), (OTHER, DTLS, false)] {
        let mut peer = guarded();
        peer.send_init_with(|w| {
            Param::ZeroChecksumAcceptable(first).write(w);
            Param::ZeroChecksumAcceptable(second).write(w);
        });
        let init_ack = peer.answer();
        assert_eq!(init_ack.unchecked, unchecked);
    }
}

#[test]
fn rfc9653_5_3_zero_and_the_right_checksum_are_taken_and_no_other() {
    let mut peer = guarded();
    establish(&mut peer, Some(DTLS));
    assert!(is_taken(&mut peer, |packet| packet));
    assert!(is_taken(&mut peer, zeroed));
    assert_eq!(checksum_errors(&peer), 0);
    for byte in 8..12 {
        let wrong = |mut packet: Vec<u8>| {
            packet[byte] ^= 0x10;
            packet
        };
        assert!(!is_taken(&mut peer, wrong));
    }
    assert_eq!(checksum_errors(&peer), 4);
}

#[test]
fn rfc9653_5_3_the_init_ack_may_come_with_zero() {
    let mut peer = guarded();
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    let fixed = peer.fixed;
    let packet = peer.packet(peer.z_tag, |buf| {
        write_init(buf, ChunkType::INIT_ACK, &fixed, |w| {
            Param::StateCookie(b"cookie").write(w);
        });
    });
    peer.send_bytes(zeroed(packet));
    assert!(peer.answer().has(ChunkType::COOKIE_ECHO));
}

#[test]
fn rfc9653_5_2_init_and_cookie_echo_with_zero_are_dropped() {
    let mut peer = guarded();
    let fixed = peer.fixed;
    let init = |peer: &Peer| {
        peer.packet(VerificationTag::ZERO, |buf| {
            write_init(buf, ChunkType::INIT, &fixed, |w| {
                Param::ZeroChecksumAcceptable(DTLS).write(w);
            });
        })
    };
    let packet = zeroed(init(&peer));
    peer.send_bytes(packet);
    peer.expect_silence();
    let packet = init(&peer);
    peer.send_bytes(packet);
    let init_ack = peer.answer();
    let cookie = peer.learn(&init_ack);
    let echo = peer.packet(peer.z_tag, |buf| write_cookie_echo(buf, &cookie));
    peer.send_bytes(zeroed(echo.clone()));
    peer.expect_silence();
    assert_eq!(checksum_errors(&peer), 2);
    peer.send_bytes(echo.clone());
    let cookie_ack = peer.answer();
    assert!(cookie_ack.has(ChunkType::COOKIE_ACK) && cookie_ack.unchecked);
    // Nor does it get in once the association is there, by whose tag it could be found.
    peer.send_bytes(zeroed(echo));
    peer.expect_silence();
}

#[test]
fn rfc9653_5_2_out_of_the_blue_packets_are_answered_with_a_checksum_and_must_have_one() {
    let mut peer = guarded();
    establish(&mut peer, Some(DTLS));
    let stranger = VerificationTag(peer.z_tag.0 ^ 1);
    let blue = peer.packet(stranger, write_shutdown_ack);
    // From a port that Z has no association with.
    let from_elsewhere = |mut packet: Vec<u8>| {
        packet[0..2].copy_from_slice(&1234u16.to_be_bytes());
        packet[8..12].fill(0);
        let sum = sctp::wire::packet_checksum(&packet);
        packet[8..12].copy_from_slice(&sum.to_le_bytes());
        packet
    };
    let blue = from_elsewhere(blue);
    peer.send_bytes(zeroed(blue.clone()));
    peer.expect_silence();
    peer.send_bytes(blue);
    let answer = peer.answer();
    assert!(answer.has(ChunkType::SHUTDOWN_COMPLETE) && !answer.unchecked);
}

#[test]
fn rfc9653_5_2_a_refused_init_is_answered_with_a_checksum() {
    let mut peer = guarded();
    peer.fixed = InitFixed {
        a_rwnd: 100,
        ..peer.fixed
    };
    peer.send_init_with(|w| Param::ZeroChecksumAcceptable(DTLS).write(w));
    let abort = peer.answer();
    assert!(abort.has(ChunkType::ABORT) && !abort.unchecked);
}

#[test]
fn rfc9653_5_2_after_a_restart_the_new_announcement_holds() {
    let mut peer = guarded();
    establish(&mut peer, Some(DTLS));
    for method in [None, Some(DTLS), Some(OTHER)] {
        peer.fixed.initiate_tag = VerificationTag(peer.fixed.initiate_tag.0 + 1);
        peer.tag = peer.fixed.initiate_tag;
        let unchecked = method == Some(DTLS);
        assert_eq!(establish(&mut peer, method).unchecked, unchecked);
        assert!(peer.log.iter().any(|event| matches!(event, Event::Restarted { .. })));
        peer.log.clear();
        peer.z_says(b"out");
        assert_eq!(peer.answer().unchecked, unchecked);
        assert!(is_taken(&mut peer, zeroed));
    }
}

#[test]
fn rfc9653_5_2_two_stacks_agree_and_carry_a_transfer() {
    for (a, b) in [
        (Some(DTLS), Some(DTLS)),
        (Some(DTLS), None),
        (None, Some(DTLS)),
        (Some(DTLS), Some(OTHER)),
    ] {
        let setup = Setup::single()
            .link(&common::wire(common::ms(5)).loss(0.02))
            .config_of(A, |config| config.set_zero_checksum(a))
            .config_of(B, |config| config.set_zero_checksum(b));
        let mut pair = setup.build();
        let counts = Rc::new(RefCell::new((0, 0)));
        let seen = Rc::clone(&counts);
        pair.world.set_filter(pair.links[0], move |_, packet| {
            let bytes = packet.sctp().unwrap();
            let unchecked = Packet::parse(bytes, ChecksumRule::Verify).is_err();
            if unchecked {
                assert!(!packet.has(ChunkType::INIT) && !packet.has(ChunkType::COOKIE_ECHO));
                seen.borrow_mut().0 += 1;
            } else {
                seen.borrow_mut().1 += 1;
            }
            Verdict::Pass
        });
        pair.connect();
        transfer(&mut pair, &mut [Flow::new(A, 100), Flow::new(B, 100)], secs(600));
        let (unchecked, checked) = *counts.borrow();
        assert_eq!(pair.status(A).unwrap().zero_checksum, a == b);
        if a == b {
            assert!(unchecked > 100 && checked < 20, "{unchecked} {checked}");
        } else {
            assert_eq!(unchecked, 0);
        }
    }
}
