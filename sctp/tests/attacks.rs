//! Attacks, by off-path attackers who cannot read what is sent to others, and by hostile peers (RFC 5062, RFC 9260
//! §12).

mod common;

use std::net::IpAddr;

use bytes::Bytes;
use common::{Answer, PEER_PORT, Peer, PeerSetup, data_chunks, ms, secs};
use sctp::config::OotbPolicy;
use sctp::error::{ConnectError, FailureReason, SendError, Violation};
use sctp::serial::{Ppid, StreamId, Tsn, VerificationTag};
use sctp::wire::{
    self, ChunkType, InitFixed, Param, write_abort, write_chunk, write_cookie_ack, write_cookie_echo, write_data,
    write_heartbeat, write_init,
};
use sctp::{AssociationPhase, ConnectOptions, Event, OutMessage, PathState};

/// A peer whose second address is really a victim's: the attacker can forge it as a source, and sees what Z sends
/// there only because the test does.
fn with_victim() -> (Peer, IpAddr, IpAddr) {
    let peer = Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    });
    let (attacker, victim) = (peer.address(0), peer.address(1));
    (peer, attacker, victim)
}

fn state_of(peer: &Peer, address: IpAddr) -> Option<PathState> {
    let paths = peer.status()?.paths;
    paths.iter().find(|path| path.address == address).map(|path| path.state)
}

/// Whether nothing but heartbeats went to `address`.
fn only_heartbeats_to(answers: &[Answer], address: IpAddr) -> bool {
    let kinds = answers
        .iter()
        .filter(|answer| answer.dst == address)
        .flat_map(Answer::kinds);
    let mut other = kinds.filter(|&kind| kind != ChunkType::HEARTBEAT && kind != ChunkType::HEARTBEAT_ACK);
    other.next().is_none()
}

#[test]
fn rfc5062_2_camping_on_an_address_does_not_get_the_victims_data() {
    let (mut peer, attacker, victim) = with_victim();
    peer.establish_with(|w| {
        Param::address(attacker).write(w);
        Param::address(victim).write(w);
    });
    // The victim connects, from the same port: the only way for Z is to take it for a restart.
    let fixed = InitFixed {
        initiate_tag: VerificationTag(0x0bad_cafe),
        ..peer.fixed
    };
    let init = peer.packet(VerificationTag::ZERO, |buf| {
        write_init(buf, ChunkType::INIT, &fixed, |_| {})
    });
    peer.send_on(1, init);
    let answers = peer.answers();
    let init_ack = answers.iter().find(|answer| answer.has(ChunkType::INIT_ACK)).unwrap();
    assert_eq!(init_ack.dst, victim);
    let cookie = peer.learn(init_ack);
    let echo = peer.packet(peer.z_tag, |buf| write_cookie_echo(buf, &cookie));
    peer.send_on(1, echo);
    peer.answers();
    assert!(peer.log.iter().any(|event| matches!(event, Event::Restarted { .. })));
    assert_eq!(state_of(&peer, attacker), None, "the attacker is out");
    peer.z_says(b"secret");
    let answers = peer.run(secs(30));
    let data: Vec<&Answer> = answers.iter().filter(|answer| answer.has(ChunkType::DATA)).collect();
    assert!(!data.is_empty() && data.iter().all(|answer| answer.dst == victim));
}

#[test]
fn rfc5062_2_a_host_that_does_not_know_the_association_ends_it_for_the_camper() {
    let (mut peer, attacker, victim) = with_victim();
    peer.establish_with(|w| {
        Param::address(attacker).write(w);
        Param::address(victim).write(w);
    });
    let answers = peer.run(secs(1));
    let probe = answers
        .iter()
        .find(|answer| answer.dst == victim)
        .expect("a heartbeat to the victim");
    assert_eq!(probe.kinds(), [ChunkType::HEARTBEAT]);
    // The victim's stack finds it out of the blue.
    let abort = peer.packet(probe.tag(), |buf| write_abort(buf, true, |_| {}));
    peer.send_on(1, abort);
    peer.answers();
    assert!(
        peer.log
            .iter()
            .any(|event| matches!(event, Event::CommunicationLost { .. }))
    );
}

#[test]
fn rfc5062_2_a_claim_that_is_not_confirmed_keeps_nobody_from_the_address() {
    let (mut peer, attacker, victim) = with_victim();
    peer.establish_with(|w| {
        Param::address(attacker).write(w);
        Param::address(victim).write(w);
    });
    let camper = peer.assoc.unwrap();
    peer.run(secs(20));
    assert_eq!(state_of(&peer, victim), Some(PathState::Unconfirmed));
    let (now, endpoint) = (peer.world.now(), peer.endpoint);
    let stack = peer.world.stack(peer.z);
    // What is meant for the victim is not for the camper.
    assert_eq!(stack.find(endpoint, victim, PEER_PORT), None);
    assert_eq!(stack.find(endpoint, attacker, PEER_PORT), Some(camper));
    let taken = stack.connect(now, endpoint, &[attacker], PEER_PORT, ConnectOptions::default());
    assert_eq!(taken, Err(ConnectError::AlreadyConnected));
    let own = stack
        .connect(now, endpoint, &[victim], PEER_PORT, ConnectOptions::default())
        .unwrap();
    assert_eq!(stack.find(endpoint, victim, PEER_PORT), Some(own));
    let again = stack.connect(now, endpoint, &[victim], PEER_PORT, ConnectOptions::default());
    assert_eq!(again, Err(ConnectError::AlreadyConnected));
    let answers = peer.answers();
    let init = answers
        .iter()
        .find(|answer| answer.has(ChunkType::INIT))
        .expect("an INIT");
    assert_eq!(init.dst, victim);
    // The victim accepts.
    peer.learn(init);
    let fixed = InitFixed {
        initiate_tag: VerificationTag(0x0bad_cafe),
        ..peer.fixed
    };
    let init_ack = peer.packet(peer.z_tag, |buf| {
        write_init(buf, ChunkType::INIT_ACK, &fixed, |w| {
            Param::StateCookie(b"cookie").write(w)
        });
    });
    peer.send_on(1, init_ack);
    let answers = peer.answers();
    let echo = answers
        .iter()
        .find(|answer| answer.has(ChunkType::COOKIE_ECHO))
        .expect("a COOKIE ECHO");
    assert_eq!((echo.dst, echo.tag()), (victim, fixed.initiate_tag));
    let cookie_ack = peer.packet(peer.z_tag, write_cookie_ack);
    peer.send_on(1, cookie_ack);
    peer.answers();
    let phase = |peer: &Peer, assoc| peer.world.peek(peer.z).status(assoc).map(|status| status.phase);
    assert_eq!(phase(&peer, own), Some(AssociationPhase::Established));
    // The camper has its own, and cannot get the address back.
    assert_eq!(phase(&peer, camper), Some(AssociationPhase::Established));
    peer.run(secs(60));
    assert_eq!(peer.world.peek(peer.z).find(endpoint, victim, PEER_PORT), Some(own));
}

#[test]
fn rfc9260_5_4_an_association_is_found_by_an_address_once_it_is_confirmed() {
    let (mut peer, _, second) = with_victim();
    peer.establish_with(|w| Param::address(second).write(w));
    let endpoint = peer.endpoint;
    assert_eq!(peer.world.peek(peer.z).find(endpoint, second, PEER_PORT), None);
    for _ in 0..4 {
        let answers = peer.run(ms(500));
        peer.answer_heartbeats(&answers);
    }
    peer.answers();
    assert_eq!(peer.world.peek(peer.z).find(endpoint, second, PEER_PORT), peer.assoc);
    assert!(peer.assoc.is_some());
}

#[test]
fn rfc5062_3_the_cookie_tells_neither_tag_of_the_association() {
    let mut peer = Peer::established();
    let tags = [peer.tag.0.to_be_bytes(), peer.z_tag.0.to_be_bytes()];
    peer.fixed.initiate_tag = VerificationTag(0x1234_5678);
    peer.send_init();
    let answer = peer.answer();
    let cookie = peer.learn(&answer);
    assert!(!cookie.is_empty());
    assert!(!cookie.windows(4).any(|window| tags.iter().any(|tag| tag == window)));
}

#[test]
fn rfc5062_5_no_data_goes_to_a_listed_address_before_it_is_verified() {
    let (mut peer, attacker, victim) = with_victim();
    peer.establish_with(|w| {
        Param::address(attacker).write(w);
        Param::address(victim).write(w);
    });
    // The attacker asks for much and acknowledges nothing.
    (0..20).for_each(|_| peer.z_says(&[0; 1000]));
    let answers = peer.run(secs(600));
    assert!(answers.iter().any(|answer| answer.has(ChunkType::DATA)));
    assert!(only_heartbeats_to(&answers, victim));
    assert_eq!(peer.phase(), None, "and it ends");
}

#[test]
fn rfc5062_5_a_cookie_echo_from_a_forged_address_confirms_nothing() {
    let (mut peer, attacker, victim) = with_victim();
    peer.send_init_with(|w| Param::address(victim).write(w));
    let init_ack = peer.answer();
    let cookie = peer.learn(&init_ack);
    let echo = peer.packet(peer.z_tag, |buf| write_cookie_echo(buf, &cookie));
    peer.send_on(1, echo);
    peer.answers();
    assert_eq!(state_of(&peer, victim), Some(PathState::Unconfirmed));
    assert_eq!(state_of(&peer, attacker), Some(PathState::Active));
    (0..20).for_each(|_| peer.z_says(&[0; 1000]));
    let answers = peer.run(secs(60));
    assert!(only_heartbeats_to(&answers, victim));
}

#[test]
fn rfc5062_5_an_init_ack_from_a_forged_address_confirms_nothing() {
    let (mut peer, attacker, victim) = with_victim();
    let (now, endpoint) = (peer.world.now(), peer.endpoint);
    let options = ConnectOptions::default();
    let stack = peer.world.stack(peer.z);
    peer.assoc = Some(stack.connect(now, endpoint, &[attacker], PEER_PORT, options).unwrap());
    let init = peer.answer();
    peer.learn(&init);
    let fixed = peer.fixed;
    let init_ack = peer.packet(peer.z_tag, |buf| {
        write_init(buf, ChunkType::INIT_ACK, &fixed, |w| {
            Param::StateCookie(b"cookie").write(w)
        });
    });
    peer.send_on(1, init_ack);
    let echo = peer.answer();
    assert!(echo.has(ChunkType::COOKIE_ECHO));
    assert_eq!(echo.dst, attacker);
    let ack = peer.packet(peer.z_tag, write_cookie_ack);
    peer.send_on(1, ack);
    peer.answers();
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    assert_eq!(state_of(&peer, victim), Some(PathState::Unconfirmed));
    (0..20).for_each(|_| peer.z_says(&[0; 1000]));
    assert!(only_heartbeats_to(&peer.run(secs(60)), victim));
}

#[test]
fn rfc5062_5_what_comes_from_an_unverified_address_is_not_answered_there() {
    let (mut peer, attacker, victim) = with_victim();
    peer.establish_with(|w| Param::address(victim).write(w));
    // DATA, new and again, then a chunk to be reported: all in the victim's name.
    for n in 0..40 {
        let header = Peer::header(peer.tsn.plus(n / 2), 0, (n / 2) as u16);
        let packet = peer.packet(peer.z_tag, |buf| write_data(buf, &header, b"to be acknowledged"));
        peer.send_on(1, packet);
    }
    let answers = peer.answers();
    let acknowledged = |answer: &Answer| answer.has(ChunkType::SACK) && answer.dst == attacker;
    assert!(answers.iter().any(acknowledged));
    assert!(only_heartbeats_to(&answers, victim), "{answers:?}");
    let unknown = peer.packet(peer.z_tag, |buf| {
        write_chunk(buf, ChunkType(0xfe), 0, b"unknown");
    });
    peer.send_on(1, unknown);
    let answer = peer.answer();
    assert_eq!((answer.kinds(), answer.dst), (vec![ChunkType::ERROR], attacker));
}

#[test]
fn an_init_that_lists_somebody_elses_address_does_not_learn_the_own_tag() {
    let (mut peer, attacker, victim) = with_victim();
    let (now, endpoint) = (peer.world.now(), peer.endpoint);
    let options = ConnectOptions::default();
    let stack = peer.world.stack(peer.z);
    // Z calls the victim; the attacker knows.
    stack.connect(now, endpoint, &[victim], PEER_PORT, options).unwrap();
    peer.answers();
    peer.send_init_with(|w| Param::address(victim).write(w));
    let answers = peer.answers();
    assert!(answers.iter().all(|answer| answer.dst != attacker), "{answers:?}");
    assert!(
        answers
            .iter()
            .any(|answer| answer.kinds() == [ChunkType::INIT_ACK] && answer.dst == victim)
    );
    // Without an address to which the answer may go there is none.
    let stranger: IpAddr = "fd00::1".parse().unwrap();
    peer.send_init_with(|w| Param::address(stranger).write(w));
    let answer = peer.run(ms(2));
    assert!(answer.iter().all(|answer| answer.dst != victim), "{answer:?}");
}

/// An association that Z opened, with `count` DATA chunks of Z on their way.
fn with_data_in_flight(count: usize) -> Peer {
    let mut peer = Peer::established();
    (0..count).for_each(|_| peer.z_says(&[0; 1000]));
    assert_eq!(data_chunks(&peer.answers()).len(), count);
    peer
}

#[test]
fn rfc5062_5_acknowledging_what_was_never_sent_ends_the_association() {
    for (cumulative, gaps) in [(3, &[][..]), (0, &[(2, 3)][..]), (0, &[(2, 2), (65_535, 65_535)][..])] {
        let mut peer = with_data_in_flight(3);
        peer.send_sack(cumulative, 1 << 20, gaps);
        assert!(peer.answer().has(ChunkType::ABORT), "{cumulative} {gaps:?}");
        let reason = FailureReason::PeerMisbehaved(Violation::AcknowledgedUnsent);
        assert!(peer.log.contains(&Event::CommunicationLost { reason }));
    }
    let mut peer = with_data_in_flight(3);
    peer.send_sack(0, 1 << 20, &[(2, 2)]);
    peer.expect_silence();
    peer.send_sack(2, 1 << 20, &[]);
    peer.expect_silence();
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_3_3_7_a_malformed_abort_is_discarded() {
    let mut peer = Peer::established();
    for value in [&[0, 12, 0][..], &[0, 12, 0, 3][..], &[0, 12, 0, 9, 0][..]] {
        peer.send(|buf| write_chunk(buf, ChunkType::ABORT, 0, value));
        peer.expect_silence();
        assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    }
}

#[test]
fn rfc9260_9_1_nothing_answers_a_packet_with_an_abort() {
    let mut peer = Peer::established();
    let header = Peer::header(peer.tsn, 0, 1);
    peer.send(|buf| {
        // Without user data: alone, this would be answered by an ABORT.
        write_data(buf, &header, b"");
        write_abort(buf, false, |_| {});
    });
    peer.expect_silence();
    assert_eq!(peer.phase(), Some(AssociationPhase::Closed));
}

#[test]
fn rfc9260_8_4_a_cookie_beside_an_abort_makes_no_association() {
    let mut peer = Peer::new();
    let cookie = peer.fetch_cookie();
    peer.send(|buf| {
        write_cookie_echo(buf, &cookie);
        write_abort(buf, false, |_| {});
    });
    peer.expect_silence();
    assert_eq!(peer.log, []);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
}

/// Packets with more than a SACK, and their bytes. (RFC 9260 §12.4 counts no SACK.)
fn control_packets(answers: &[Answer]) -> (usize, usize) {
    let control = answers.iter().filter(|answer| answer.kinds() != [ChunkType::SACK]);
    control.fold((0, 0), |(count, bytes), answer| (count + 1, bytes + answer.size))
}

#[test]
fn rfc5062_8_a_packet_full_of_chunks_to_be_answered_gets_one_packet() {
    type Chunks = fn(&mut Vec<u8>);
    let floods: [Chunks; 4] = [
        |buf| (0..60).for_each(|_| write_heartbeat(buf, b"12 bytes of")),
        |buf| (0..300).for_each(|_| write_chunk(buf, ChunkType(0xfe), 0, b"")),
        |buf| (0..4).for_each(|_| write_chunk(buf, ChunkType(0xfe), 0, &[7; 300])),
        |buf| {
            (0..10).for_each(|n| write_data(buf, &Peer::header(Tsn(n), 9999, 0), b"x"));
            (0..20).for_each(|_| write_heartbeat(buf, b"12 bytes of"));
            (0..20).for_each(|_| write_chunk(buf, ChunkType(0xfe), 0, b"unknown"));
        },
    ];
    for flood in floods {
        let mut peer = Peer::established();
        let packet = peer.packet(peer.z_tag, flood);
        let sent = packet.len() + 20;
        peer.send_bytes(packet);
        let (count, bytes) = control_packets(&peer.answers());
        assert_eq!(count, 1);
        assert!(bytes <= sent, "{sent} bytes are answered by {bytes}");
    }
}

#[test]
fn rfc5062_8_a_cookie_echo_with_more_to_be_answered_gets_one_packet() {
    let mut peer = Peer::new();
    let cookie = peer.fetch_cookie();
    peer.send(|buf| {
        write_cookie_echo(buf, &cookie);
        (0..20).for_each(|_| write_heartbeat(buf, b"12 bytes of"));
        (0..20).for_each(|_| write_chunk(buf, ChunkType(0xfe), 0, &[7; 20]));
    });
    let answer = peer.answer();
    assert_eq!(answer.kinds()[0], ChunkType::COOKIE_ACK);
    assert!(answer.has(ChunkType::HEARTBEAT_ACK));
}

#[test]
fn rfc5062_8_a_large_heartbeat_is_answered_as_it_is() {
    let mut peer = Peer::established();
    peer.send(|buf| write_heartbeat(buf, &[7; 1300]));
    let answer = peer.answer();
    assert_eq!(answer.kinds(), [ChunkType::HEARTBEAT_ACK]);
    assert_eq!(answer.chunks[0].value.len(), 1304);
}

#[test]
fn rfc9260_5_1_nothing_makes_z_send_between_cookie_echo_and_cookie_ack() {
    let mut peer = Peer::new();
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    peer.send_init_ack(b"cookie", |_| {});
    assert_eq!(peer.answer().kinds(), [ChunkType::COOKIE_ECHO]);
    peer.send(|buf| write_chunk(buf, ChunkType(0xfe), 0, b"unknown"));
    let (now, assoc, address) = (peer.world.now(), peer.assoc.unwrap(), peer.address(0));
    peer.world.stack(peer.z).request_heartbeat(now, assoc, address).unwrap();
    peer.expect_silence();
    peer.send(write_cookie_ack);
    let kinds: Vec<ChunkType> = peer.answers().iter().flat_map(Answer::kinds).collect();
    assert!(
        kinds.contains(&ChunkType::ERROR) && kinds.contains(&ChunkType::HEARTBEAT),
        "{kinds:?}"
    );
}

#[test]
fn rfc5062_6_listed_addresses_are_probed_one_in_an_rto() {
    let mut peer = Peer::with(PeerSetup {
        links: 9,
        ..PeerSetup::default()
    });
    let victims: Vec<IpAddr> = (1..9).map(|link| peer.address(link)).collect();
    peer.establish_with(|w| victims.iter().for_each(|&victim| Param::address(victim).write(w)));
    let mut times = Vec::new();
    for _ in 0..120 {
        for probe in peer.run(secs(1)) {
            assert_eq!(probe.kinds(), [ChunkType::HEARTBEAT]);
            if victims.contains(&probe.dst) {
                times.push(probe.at);
            } else {
                // The attacker keeps its own address alive.
                let value = probe.chunks[0].value.clone();
                peer.send(|buf| write_chunk(buf, ChunkType::HEARTBEAT_ACK, 0, &value));
            }
        }
    }
    assert!(times.len() >= 3 * victims.len(), "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= secs(1)), "{times:?}");
}

/// Restarts the peer's end without letting Z's user see its events.
fn restart_unseen(peer: &mut Peer, tag: u32) {
    peer.fixed.initiate_tag = VerificationTag(tag);
    peer.send_init();
    peer.world.run_for(ms(2));
    let received = peer.world.received(peer.host);
    let answers: Vec<Answer> = received.iter().map(|(at, packet)| common::parse(*at, packet)).collect();
    let init_ack = answers.iter().find(|answer| answer.has(ChunkType::INIT_ACK)).unwrap();
    let cookie = peer.learn(init_ack);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    peer.world.run_for(ms(2));
    peer.tag = VerificationTag(tag);
}

#[test]
fn a_restart_that_frees_the_send_buffer_tells_the_user_who_waits() {
    let mut config = common::without_discovery();
    config.set_send_buffer(5000).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association: config,
        ..PeerSetup::default()
    });
    peer.establish();
    (0..5).for_each(|_| peer.z_says(&[0; 1000]));
    peer.answers();
    let (now, assoc) = (peer.world.now(), peer.assoc.unwrap());
    let message = OutMessage::new(StreamId(0), Ppid(0), Bytes::from_static(b"one too many"));
    let refused = peer.world.stack(peer.z).send(now, assoc, message);
    assert_eq!(refused, Err(SendError::WouldBlock));
    restart_unseen(&mut peer, 77);
    peer.answers();
    assert!(peer.log.contains(&Event::Writable), "{:?}", peer.log);
}

#[test]
fn a_restart_does_not_keep_the_user_from_shutting_down() {
    let mut peer = Peer::established();
    peer.z_shuts_down();
    assert!(peer.answer().has(ChunkType::SHUTDOWN));
    restart_unseen(&mut peer, 88);
    let answers = peer.answers();
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownSent), "{answers:?}");
    peer.send(wire::write_shutdown_ack);
    assert!(peer.answer().has(ChunkType::SHUTDOWN_COMPLETE));
}

#[test]
fn rfc9260_5_1_5_a_silent_stack_still_reports_stale_cookies_and_refuses_set_ups_at_its_own_port() {
    let mut peer = Peer::with(PeerSetup {
        listens: false,
        tune: Box::new(|config| config.set_ootb_policy(OotbPolicy::Silent)),
        ..PeerSetup::default()
    });
    peer.send_init();
    assert_eq!(peer.answer().kinds(), [ChunkType::ABORT]);
    let endpoint = peer.endpoint;
    peer.world.stack(peer.z).listen(endpoint, 1);
    let cookie = peer.fetch_cookie();
    peer.run(secs(200));
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert_eq!(peer.answer().kinds(), [ChunkType::ERROR]);
    // So is what belongs to no association.
    peer.send_tagged(VerificationTag(9), wire::write_shutdown_ack);
    assert_eq!(peer.answer().kinds(), [ChunkType::SHUTDOWN_COMPLETE]);
}
