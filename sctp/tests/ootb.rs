//! Out-of-the-blue packets and verification tags (RFC 9260 §6.8, §8.4, §8.5).

mod common;

use common::{PEER_PORT, Peer, PeerSetup, Z_PORT};
use sctp::config::OotbPolicy;
use sctp::serial::{Tsn, VerificationTag};
use sctp::sim::{Packet, Transport};
use sctp::tlv::Writer;
use sctp::wire::{
    Cause, ChunkType, CommonHeader, begin_packet, finish_packet, write_abort, write_cookie_ack, write_cookie_echo,
    write_data, write_error, write_heartbeat, write_heartbeat_ack, write_init, write_sack, write_shutdown,
    write_shutdown_ack, write_shutdown_complete,
};
use sctp::{AssociationPhase, EcnCodepoint, Event};

const TAG: VerificationTag = VerificationTag(0x0bad_cafe);

fn nothing(_: &mut Writer<'_>) {}

#[test]
fn rfc9260_8_4_rule_1_packets_from_no_unicast_address_are_discarded() {
    let mut peer = Peer::new();
    let dst = peer.z_address(0);
    for src in ["224.0.0.1", "255.255.255.255", "0.0.0.0"] {
        let payload = peer.packet(TAG, |buf| write_heartbeat(buf, b"x")).into();
        let packet = Packet {
            src: src.parse().unwrap(),
            dst,
            transport: Transport::Sctp,
            ecn: EcnCodepoint::NotEct,
            payload,
        };
        peer.world.inject(peer.host, packet);
        peer.expect_silence();
    }
    assert_eq!(peer.world.peek(peer.z).stats().packets_sent, 0);
}

#[test]
fn rfc9260_8_4_rule_2_an_abort_is_never_answered() {
    let mut peer = Peer::new();
    for reflected in [false, true] {
        peer.send_tagged(TAG, |buf| write_abort(buf, reflected, nothing));
        peer.expect_silence();
        peer.send_tagged(TAG, |buf| {
            write_heartbeat(buf, b"x");
            write_abort(buf, reflected, nothing);
        });
        peer.expect_silence();
    }
}

#[test]
fn rfc9260_8_4_rule_3_an_init_that_cannot_be_taken_is_answered_with_its_initiate_tag() {
    let mut peer = Peer::new();
    let fixed = peer.fixed;
    let mut packet = Vec::new();
    // Nobody is on port 5002.
    let header = CommonHeader {
        source_port: PEER_PORT,
        destination_port: Z_PORT + 1,
        verification_tag: VerificationTag::ZERO,
    };
    let start = begin_packet(&mut packet, &header);
    write_init(&mut packet, ChunkType::INIT, &fixed, nothing);
    finish_packet(&mut packet, start);
    peer.send_bytes(packet);
    let answer = peer.answer();
    assert_eq!(
        (answer.kinds(), answer.tag()),
        (vec![ChunkType::ABORT], fixed.initiate_tag)
    );
    assert_eq!(answer.chunks[0].flags & 1, 0);
    assert_eq!(
        (answer.header.source_port, answer.header.destination_port),
        (Z_PORT + 1, PEER_PORT)
    );
}

#[test]
fn rfc9260_8_4_rule_3_an_init_with_a_tag_opens_nothing() {
    let mut peer = Peer::new();
    let fixed = peer.fixed;
    peer.send_tagged(TAG, |buf| write_init(buf, ChunkType::INIT, &fixed, nothing));
    for answer in peer.answers() {
        assert!(!answer.has(ChunkType::INIT_ACK), "{answer:?}");
    }
}

#[test]
fn rfc9260_8_4_rule_4_a_cookie_that_is_none_is_discarded() {
    let mut peer = Peer::new();
    for cookie in [&b""[..], b"x", &[0; 100], &[0xff; 400]] {
        peer.send_tagged(TAG, |buf| write_cookie_echo(buf, cookie));
        peer.expect_silence();
    }
}

#[test]
fn rfc9260_8_4_rule_5_a_shutdown_ack_is_answered_by_shutdown_complete() {
    let mut peer = Peer::new();
    peer.send_tagged(TAG, write_shutdown_ack);
    let answer = peer.answer();
    assert_eq!(
        (answer.kinds(), answer.tag()),
        (vec![ChunkType::SHUTDOWN_COMPLETE], TAG)
    );
    assert_eq!(answer.chunks[0].flags & 1, 1);
}

#[test]
fn rfc9260_8_4_rule_6_a_shutdown_complete_is_discarded() {
    let mut peer = Peer::new();
    for reflected in [false, true] {
        peer.send_tagged(TAG, |buf| write_shutdown_complete(buf, reflected));
        peer.expect_silence();
    }
}

#[test]
fn rfc9260_8_4_rule_7_a_stale_cookie_error_and_a_cookie_ack_are_discarded() {
    let mut peer = Peer::new();
    peer.send_tagged(TAG, |buf| write_error(buf, |w| Cause::StaleCookie(5).write(w)));
    peer.expect_silence();
    peer.send_tagged(TAG, write_cookie_ack);
    peer.expect_silence();
}

#[test]
fn rfc9260_8_4_rule_8_anything_else_is_answered_by_an_abort_with_the_tag_reflected() {
    let data = Peer::header(Tsn(1), 0, 0);
    let fixed = Peer::new().fixed;
    type Chunk<'a> = &'a dyn Fn(&mut Vec<u8>);
    let chunks: [Chunk<'_>; 8] = [
        &|buf| write_data(buf, &data, b"x"),
        &|buf| write_sack(buf, Tsn(1), 1000, &[], &[]),
        &|buf| write_heartbeat(buf, b"x"),
        &|buf| write_heartbeat_ack(buf, b"x"),
        &|buf| write_shutdown(buf, Tsn(1)),
        &|buf| write_error(buf, |w| Cause::OutOfResource.write(w)),
        &|buf| write_init(buf, ChunkType::INIT_ACK, &fixed, nothing),
        &|buf| buf.extend([0x99, 0, 0, 4]),
    ];
    for (n, chunk) in chunks.iter().enumerate() {
        let mut peer = Peer::new();
        peer.send_tagged(TAG, chunk);
        let answer = peer.answer();
        assert_eq!((answer.kinds(), answer.tag()), (vec![ChunkType::ABORT], TAG), "{n}");
        assert_eq!(answer.chunks[0].flags & 1, 1, "{n}");
        assert_eq!(
            (answer.header.source_port, answer.header.destination_port),
            (Z_PORT, PEER_PORT)
        );
        assert_eq!((answer.src, answer.dst), (peer.z_address(0), peer.address(0)));
    }
}

#[test]
fn rfc9260_8_4_a_stack_that_shares_its_ports_can_be_told_to_stay_silent() {
    let mut peer = Peer::with(PeerSetup {
        tune: Box::new(|config| config.set_ootb_policy(OotbPolicy::Silent)),
        ..PeerSetup::default()
    });
    let to = |port| CommonHeader {
        source_port: PEER_PORT,
        destination_port: port,
        verification_tag: TAG,
    };
    for chunk in [&|buf: &mut Vec<u8>| write_heartbeat(buf, b"x"), &write_shutdown_ack] as [&dyn Fn(&mut Vec<u8>); 2] {
        let mut packet = Vec::new();
        let start = begin_packet(&mut packet, &to(Z_PORT + 1));
        chunk(&mut packet);
        finish_packet(&mut packet, start);
        peer.send_bytes(packet);
        peer.expect_silence();
    }
    // What is for its own end point is for nobody else to answer.
    peer.send_tagged(TAG, |buf| write_heartbeat(buf, b"x"));
    assert_eq!(peer.answer().kinds(), [ChunkType::ABORT]);
    peer.establish();
}

#[test]
fn rfc9260_8_4_answers_are_limited_in_rate() {
    let mut peer = Peer::with(PeerSetup {
        tune: Box::new(|config| config.set_ootb_answers_per_second(100)),
        ..PeerSetup::default()
    });
    let mut answers = 0;
    for _ in 0..5000 {
        peer.send_tagged(TAG, |buf| write_heartbeat(buf, b"x"));
        answers += peer.run(std::time::Duration::from_micros(100)).len();
    }
    assert!((50..=200).contains(&answers), "{answers}");
    assert!(peer.world.peek(peer.z).stats().out_of_the_blue_unanswered > 4000);
    peer.run(common::secs(2));
    peer.send_tagged(TAG, |buf| write_heartbeat(buf, b"x"));
    peer.answer();
}

#[test]
fn rfc9260_6_8_a_wrong_checksum_is_discarded() {
    let mut peer = Peer::new();
    peer.establish();
    let header = Peer::header(peer.tsn, 0, 0);
    let good = peer.packet(peer.z_tag, |buf| write_data(buf, &header, b"data"));
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        peer.send_bytes(bad);
        peer.expect_silence();
    }
    assert_eq!(peer.world.peek(peer.z).stats().checksum_errors, good.len() as u64);
    assert!(peer.z_hears().is_empty());
}

#[test]
fn rfc9260_8_5_a_packet_with_a_wrong_tag_is_discarded() {
    let mut peer = Peer::new();
    peer.establish();
    let header = Peer::header(peer.tsn, 0, 0);
    let acked = peer.z_tsn.minus(1);
    for tag in [TAG, peer.tag] {
        peer.send_tagged(tag, |buf| write_data(buf, &header, b"data"));
        peer.expect_silence();
        peer.send_tagged(tag, |buf| write_shutdown(buf, acked));
        peer.expect_silence();
        peer.send_tagged(tag, |buf| write_heartbeat(buf, b"x"));
        peer.expect_silence();
    }
    assert!(peer.z_hears().is_empty());
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    assert_eq!(peer.world.peek(peer.z).stats().bad_verification_tag, 6);
}

#[test]
fn rfc9260_8_5_1_a_a_tag_of_zero_belongs_to_an_init_alone() {
    let mut peer = Peer::new();
    peer.establish();
    let header = Peer::header(peer.tsn, 0, 0);
    let zero = VerificationTag::ZERO;
    peer.send_tagged(zero, |buf| write_data(buf, &header, b"data"));
    peer.expect_silence();
    peer.send_tagged(zero, |buf| write_abort(buf, false, nothing));
    peer.expect_silence();
    peer.send_tagged(zero, write_shutdown_ack);
    peer.expect_silence();
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_8_5_1_b_an_abort_counts_with_the_own_tag_or_the_peers_reflected() {
    for (own, reflected, accepted) in [
        (true, false, true),
        (false, true, true),
        (true, true, false),
        (false, false, false),
    ] {
        let mut peer = Peer::new();
        peer.establish();
        let tag = if own { peer.z_tag } else { peer.tag };
        peer.send_tagged(tag, |buf| write_abort(buf, reflected, nothing));
        peer.expect_silence();
        let lost = peer
            .log
            .iter()
            .any(|event| matches!(event, Event::CommunicationLost { .. }));
        assert_eq!(lost, accepted, "own tag {own}, T bit {reflected}");
        peer.send_tagged(TAG, |buf| write_abort(buf, reflected, nothing));
        peer.expect_silence();
        assert_eq!(peer.phase() == Some(AssociationPhase::Established), !accepted);
    }
}

#[test]
fn rfc9260_8_5_1_c_a_shutdown_complete_counts_with_the_own_tag_or_the_peers_reflected() {
    for (own, reflected, accepted) in [
        (true, false, true),
        (false, true, true),
        (true, true, false),
        (false, false, false),
    ] {
        let mut peer = Peer::new();
        peer.establish();
        let acked = peer.z_tsn.minus(1);
        peer.send(|buf| write_shutdown(buf, acked));
        assert!(peer.answer().has(ChunkType::SHUTDOWN_ACK));
        let tag = if own { peer.z_tag } else { peer.tag };
        peer.send_tagged(tag, |buf| write_shutdown_complete(buf, reflected));
        peer.expect_silence();
        let complete = peer.log.contains(&Event::ShutdownComplete);
        assert_eq!(complete, accepted, "own tag {own}, T bit {reflected}");
    }
}

#[test]
fn rfc9260_8_5_1_d_e_set_up_and_end_chunks_of_no_association_do_not_disturb_one_that_exists() {
    let mut peer = Peer::new();
    peer.establish();
    peer.send_tagged(TAG, |buf| write_cookie_echo(buf, &[0; 100]));
    peer.expect_silence();
    peer.send_tagged(TAG, write_shutdown_ack);
    peer.answers();
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_3_1_a_port_of_zero_is_no_port() {
    let mut peer = Peer::new();
    for (source_port, destination_port) in [(0, Z_PORT), (PEER_PORT, 0)] {
        let mut packet = Vec::new();
        let header = CommonHeader {
            source_port,
            destination_port,
            verification_tag: TAG,
        };
        let start = begin_packet(&mut packet, &header);
        write_heartbeat(&mut packet, b"x");
        finish_packet(&mut packet, start);
        peer.send_bytes(packet);
        peer.expect_silence();
    }
}
