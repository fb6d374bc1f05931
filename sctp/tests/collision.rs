//! Set-up chunks that come at the wrong time: collisions, duplicates, restarts (RFC 9260 §5.2).

mod common;

use std::net::IpAddr;

use common::{A, Answer, B, Flow, Pair, Peer, PeerSetup, Setup, ms, parse, secs, transfer};
use sctp::serial::VerificationTag;
use sctp::tlv::Writer;
use sctp::wire::{Cause, CauseCode, ChunkType, Param, write_cookie_ack, write_cookie_echo, write_shutdown};
use sctp::{AssociationPhase, Event};

fn ups(log: &[Event]) -> usize {
    log.iter()
        .filter(|event| matches!(event, Event::CommunicationUp { .. }))
        .count()
}

#[test]
fn rfc9260_5_2_1_both_sides_opening_at_about_the_same_time_make_one_association() {
    // The link takes 10 ms, so B's INIT meets A in every state from COOKIE-WAIT to ESTABLISHED.
    for delay in 0..=45 {
        let mut pair = Setup::single().seed(delay).build();
        let now = pair.now();
        let endpoint = pair.endpoint(A);
        assert!(pair.world.stack(pair.hosts[A]).listen(endpoint, 4), "{now:?}");
        pair.start(A);
        pair.run(ms(delay));
        let b_has_one = pair.has_assoc(B);
        if !b_has_one {
            pair.start(B);
        }
        pair.must("both are up", secs(10), Pair::both_up);
        pair.run(secs(3));
        for side in [A, B] {
            let log: Vec<Event> = pair.log[side].iter().map(|(_, event)| event.clone()).collect();
            assert_eq!((ups(&log), pair.ends(side)), (1, 0), "delay {delay}: {log:?}");
        }
        let mut flows = [Flow::new(A, 20), Flow::new(B, 20)];
        transfer(&mut pair, &mut flows, secs(30));
        for side in [A, B] {
            let (endpoint, peer) = (pair.endpoint(side), pair.address(1 - side, 0));
            let port = [common::PORT_B, common::PORT_A][side];
            let found = pair.world.peek(pair.hosts[side]).find(endpoint, peer, port);
            assert_eq!(found, Some(pair.assoc(side)), "delay {delay}");
        }
    }
}

#[test]
fn rfc9260_5_2_1_a_collision_survives_losses() {
    for seed in 0..20 {
        let link = common::wire(ms(10)).loss(0.3);
        let mut pair = Setup::single().seed(seed).link(&link).build();
        let endpoint = pair.endpoint(A);
        pair.world.stack(pair.hosts[A]).listen(endpoint, 4);
        pair.start(A);
        pair.start(B);
        pair.must("both are up", secs(120), Pair::both_up);
        let mut flows = [Flow::new(A, 5), Flow::new(B, 5)];
        transfer(&mut pair, &mut flows, secs(300));
    }
}

#[test]
fn rfc9260_5_2_1_an_init_in_cookie_wait_is_answered_with_the_parameters_of_the_own_init() {
    let mut peer = Peer::new();
    peer.connect();
    let init = peer.answer();
    let own = init.chunks[0].init().fixed;
    peer.send_init();
    let answer = peer.answer();
    assert_eq!((answer.kinds(), answer.tag()), (vec![ChunkType::INIT_ACK], peer.tag));
    let init_ack = answer.chunks[0].init().fixed;
    assert_eq!(init_ack.initiate_tag, own.initiate_tag);
    assert_eq!(init_ack.initial_tsn, own.initial_tsn);
    assert_eq!(peer.phase(), Some(AssociationPhase::CookieWait));
    // The cookie then makes the association (Table 12: M, 0: action B).
    let cookie = peer.learn(&answer);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert_eq!(peer.answer().kinds()[0], ChunkType::COOKIE_ACK);
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    assert_eq!(ups(&peer.log), 1);
    // T1-init was stopped.
    assert!(!peer.run(secs(5)).iter().any(|answer| answer.has(ChunkType::INIT)));
}

#[test]
fn rfc9260_5_2_1_t1_init_keeps_running_after_an_init_in_cookie_wait() {
    let mut peer = Peer::new();
    peer.connect();
    let init = peer.answer();
    peer.send_init();
    peer.answer();
    let again: Vec<Answer> = peer.run(secs(2));
    assert!(again.iter().any(|answer| answer.chunks == init.chunks), "{again:?}");
}

fn in_cookie_echoed() -> (Peer, sctp::wire::InitFixed) {
    let mut peer = Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    });
    let first = [peer.address(0)];
    let now = peer.world.now();
    let endpoint = peer.endpoint;
    let stack = peer.world.stack(peer.z);
    peer.assoc = Some(
        stack
            .connect(now, endpoint, &first, 7000, sctp::ConnectOptions::default())
            .unwrap(),
    );
    let init = peer.answer();
    peer.learn(&init);
    peer.send_init_ack(b"cookie", |_| {});
    assert_eq!(peer.answer().kinds()[0], ChunkType::COOKIE_ECHO);
    (peer, init.chunks[0].init().fixed)
}

#[test]
fn rfc9260_5_2_1_an_init_in_cookie_echoed_is_answered_with_the_parameters_of_the_own_init() {
    let (mut peer, own) = in_cookie_echoed();
    peer.send_init();
    let answer = peer.answer();
    assert_eq!((answer.kinds(), answer.tag()), (vec![ChunkType::INIT_ACK], peer.tag));
    assert_eq!(answer.chunks[0].init().fixed.initiate_tag, own.initiate_tag);
    assert_eq!(answer.chunks[0].init().fixed.initial_tsn, own.initial_tsn);
    assert_eq!(peer.phase(), Some(AssociationPhase::CookieEchoed));
    let cookie = peer.learn(&answer);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

/// The addresses that an ABORT lists as new ones.
fn listed_as_new(answer: &Answer) -> Vec<Vec<u8>> {
    let causes = answer.get(ChunkType::ABORT).causes();
    causes
        .filter_map(|cause| match cause.unwrap() {
            Cause::RestartWithNewAddresses(list) => Some(list.to_vec()),
            _ => None,
        })
        .collect()
}

#[test]
fn rfc9260_5_2_1_an_init_in_cookie_echoed_that_adds_an_address_is_refused() {
    let (mut peer, _) = in_cookie_echoed();
    let second = peer.address(1);
    peer.fixed.initiate_tag = VerificationTag(0x5555);
    peer.send_init_with(|w| Param::address(second).write(w));
    let answer = peer.answer();
    assert_eq!(
        (answer.kinds(), answer.tag()),
        (vec![ChunkType::ABORT], VerificationTag(0x5555))
    );
    assert_eq!(listed_as_new(&answer), [[0, 5, 0, 8, 10, 2, 0, 1]]);
    assert_eq!(peer.phase(), Some(AssociationPhase::CookieEchoed));
    peer.send(write_cookie_ack);
    peer.answers();
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_5_2_2_an_init_in_established_gets_a_new_tag_and_changes_nothing() {
    let mut peer = Peer::new();
    peer.establish();
    let z_tag = peer.z_tag;
    for tag in [peer.tag, VerificationTag(0x5555)] {
        peer.fixed.initiate_tag = tag;
        peer.send_init();
        let answer = peer.answer();
        assert_eq!((answer.kinds(), answer.tag()), (vec![ChunkType::INIT_ACK], tag));
        let init_ack = answer.chunks[0].init().fixed;
        assert_ne!(init_ack.initiate_tag, z_tag);
    }
    peer.say(b"as before");
    let answer = peer.answer();
    assert_eq!((answer.kinds(), answer.tag()), (vec![ChunkType::SACK], peer.tag));
    assert_eq!(peer.z_hears_payloads(), [&b"as before"[..]]);
}

#[test]
fn rfc9260_5_2_2_an_init_that_adds_an_address_is_refused_and_changes_nothing() {
    let mut peer = Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    });
    peer.establish();
    let second = peer.address(1);
    peer.fixed.initiate_tag = VerificationTag(0x5555);
    peer.send_init_with(|w| Param::address(second).write(w));
    let answer = peer.answer();
    assert_eq!(
        (answer.kinds(), answer.tag()),
        (vec![ChunkType::ABORT], VerificationTag(0x5555))
    );
    assert_eq!(answer.chunks[0].flags & 1, 0);
    assert_eq!(listed_as_new(&answer), [[0, 5, 0, 8, 10, 2, 0, 1]]);
    peer.say(b"as before");
    assert_eq!(peer.answer().kinds(), [ChunkType::SACK]);
}

#[test]
fn rfc9260_3_3_2_an_init_with_bad_values_does_not_harm_the_association_that_exists() {
    let mut peer = Peer::new();
    peer.establish();
    peer.fixed.outbound_streams = 0;
    peer.fixed.initiate_tag = VerificationTag(0x5555);
    peer.send_init();
    let answer = peer.answer();
    assert_eq!(
        (answer.kinds(), answer.tag()),
        (vec![ChunkType::ABORT], VerificationTag(0x5555))
    );
    peer.say(b"as before");
    assert_eq!(peer.answer().kinds(), [ChunkType::SACK]);
}

#[test]
fn rfc9260_5_2_4_action_a_a_peer_that_restarted_goes_on_in_the_same_association() {
    let mut pair = Setup::dual().build();
    pair.connect();
    let mut flows = [Flow::new(A, 50), Flow::new(B, 50)];
    transfer(&mut pair, &mut flows, secs(30));
    let assoc = pair.assoc(B);
    pair.restart(A);
    pair.log = [Vec::new(), Vec::new()];
    pair.start(A);
    pair.must("both are up", secs(10), |pair| {
        pair.both_up() && pair.reported(B, |event| matches!(event, Event::Restarted { .. }))
    });
    assert_eq!(pair.assoc(B), assoc);
    assert_eq!(pair.ends(B), 0);
    assert!(!pair.reported(B, |event| matches!(event, Event::CommunicationUp { .. })));
    let mut flows = [Flow::new(A, 50).streams(3), Flow::new(B, 50).streams(3)];
    transfer(&mut pair, &mut flows, secs(30));
}

#[test]
fn rfc9260_5_2_4_action_a_congestion_control_starts_anew() {
    let mut pair = Setup::single().build();
    pair.connect();
    let initial = pair.path(B, 0).cwnd;
    transfer(&mut pair, &mut [Flow::new(B, 500)], secs(60));
    assert!(pair.path(B, 0).cwnd > initial);
    pair.restart(A);
    pair.start(A);
    pair.must("B noticed", secs(10), |pair| {
        pair.reported(B, |event| matches!(event, Event::Restarted { .. }))
    });
    assert_eq!(pair.path(B, 0).cwnd, initial);
}

#[test]
fn rfc6458_6_1_7_a_restart_in_the_middle_of_a_message_is_told() {
    let mut pair = Setup::single()
        .config_of(B, |config| config.set_receive_buffer(64 * 1024).expect("valid"))
        .build();
    pair.connect();
    pair.say(A, 0, &vec![7; 1 << 20]);
    let mut pieces = Vec::new();
    pair.must("a piece arrives", secs(10), |pair| {
        pieces.extend(pair.hear(B));
        !pieces.is_empty()
    });
    assert!(pieces.iter().all(|piece| !piece.end_of_message));
    pair.restart(A);
    pair.start(A);
    pair.must("B noticed", secs(10), |pair| {
        pair.reported(B, |event| matches!(event, Event::Restarted { .. }))
    });
    assert!(pair.reported(B, |event| matches!(event, Event::PartialDeliveryAborted { .. })));
    pair.hear(B);
    transfer(&mut pair, &mut [Flow::new(A, 50)], secs(30));
}

#[test]
fn rfc9260_5_2_4_action_a_what_was_queued_for_the_old_peer_is_not_delivered_twice_or_mixed_up() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.world.set_link_up(pair.links[0], false);
    for n in 0..5 {
        pair.say(B, 0, &[n; 100]);
    }
    pair.run(ms(100));
    pair.restart(A);
    pair.world.set_link_up(pair.links[0], true);
    pair.start(A);
    pair.must("B noticed", secs(30), |pair| {
        pair.reported(B, |event| matches!(event, Event::Restarted { .. }))
    });
    pair.run(secs(20));
    // §5.2.4: retaining is allowed; so each message is either reported or delivered, once and in order.
    let heard: Vec<u8> = pair.hear_payloads(A).iter().map(|payload| payload[0]).collect();
    let failed = pair.log[B]
        .iter()
        .filter(|(_, event)| matches!(event, Event::SendFailed(_)))
        .count();
    assert_eq!(heard.len() + failed, 5, "heard {heard:?}, failed {failed}");
    assert!(heard.is_sorted());
}

/// Sends an INIT with this tag and returns Z's tag and the cookie.
fn cookie_for(peer: &mut Peer, tag: u32) -> (VerificationTag, Vec<u8>) {
    peer.fixed.initiate_tag = VerificationTag(tag);
    let cookie = peer.fetch_cookie();
    (peer.z_tag, cookie)
}

fn echo(peer: &mut Peer, (tag, cookie): &(VerificationTag, Vec<u8>)) {
    peer.send_tagged(*tag, |buf| write_cookie_echo(buf, cookie));
}

#[test]
fn rfc9260_5_2_4_table_12_cookies_that_fit_no_row_are_discarded() {
    let mut peer = Peer::new();
    let early = cookie_for(&mut peer, 0x1111);
    let used = cookie_for(&mut peer, 0x2222);
    echo(&mut peer, &used);
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    // X, X, 0, 0: made before there was an association.
    echo(&mut peer, &early);
    peer.expect_silence();
    // X, X, and Tie-Tags of an association that has restarted since.
    let first = cookie_for(&mut peer, 0x3333);
    let second = cookie_for(&mut peer, 0x4444);
    echo(&mut peer, &second);
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    echo(&mut peer, &first);
    peer.expect_silence();
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    let restarts = peer
        .log
        .iter()
        .filter(|event| matches!(event, Event::Restarted { .. }))
        .count();
    assert_eq!((ups(&peer.log), restarts), (1, 1), "{:?}", peer.log);
}

#[test]
fn rfc9260_5_2_4_action_c_a_late_cookie_of_the_own_is_discarded() {
    let mut peer = Peer::new();
    let late = cookie_for(&mut peer, 0x1111);
    let used = cookie_for(&mut peer, 0x1111);
    assert_ne!(late.0, used.0);
    echo(&mut peer, &used);
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    echo(&mut peer, &late);
    peer.expect_silence();
    peer.z_tag = used.0;
    peer.say(b"as before");
    assert_eq!(peer.answer().kinds(), [ChunkType::SACK]);
}

#[test]
fn rfc9260_5_2_4_action_b_the_peers_new_tag_is_taken_from_the_cookie() {
    let mut peer = Peer::new();
    peer.connect();
    peer.answer();
    let first = cookie_for(&mut peer, 0x1111);
    let second = cookie_for(&mut peer, 0x2222);
    assert_eq!(first.0, second.0, "both with the tag of Z's INIT");
    echo(&mut peer, &first);
    assert_eq!(peer.answer().tag(), VerificationTag(0x1111));
    echo(&mut peer, &second);
    let answer = peer.answer();
    assert_eq!(
        (answer.kinds()[0], answer.tag()),
        (ChunkType::COOKIE_ACK, VerificationTag(0x2222))
    );
    peer.say(b"x");
    assert_eq!(peer.answer().tag(), VerificationTag(0x2222));
    assert_eq!(ups(&peer.log), 1);
}

#[test]
fn rfc9260_5_2_4_action_d_a_cookie_echo_again_is_answered_again_even_when_stale() {
    let mut peer = Peer::new();
    let cookie = cookie_for(&mut peer, 0x1111);
    peer.tag = VerificationTag(0x1111);
    echo(&mut peer, &cookie);
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    peer.say(b"first");
    peer.answers();
    for pause in [secs(0), secs(70)] {
        peer.run(pause);
        echo(&mut peer, &cookie);
        let answers = peer.answers();
        assert!(
            answers.iter().any(|answer| answer.has(ChunkType::COOKIE_ACK)),
            "{answers:?}"
        );
    }
    assert_eq!(ups(&peer.log), 1, "{:?}", peer.log);
    peer.say(b"second");
    peer.run(secs(1));
    assert_eq!(peer.z_hears_payloads(), [&b"first"[..], b"second"]);
}

#[test]
fn rfc9260_5_2_4_a_stale_cookie_with_other_tags_is_reported() {
    let mut peer = Peer::new();
    peer.establish();
    let old_tag = peer.z_tag;
    let cookie = cookie_for(&mut peer, 0x5555);
    peer.run(secs(63));
    echo(&mut peer, &cookie);
    let answers = peer.answers();
    let error = answers
        .iter()
        .find_map(|answer| answer.find(ChunkType::ERROR))
        .expect("an ERROR");
    assert_eq!(error.cause_codes(), [CauseCode::STALE_COOKIE.0]);
    peer.z_tag = old_tag;
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_5_2_4_a_restart_while_shutting_down_is_put_off() {
    let mut peer = Peer::new();
    peer.establish();
    let (z_tag, z_tsn) = (peer.z_tag, peer.z_tsn);
    let cookie = cookie_for(&mut peer, 0x5555);
    // Z has sent nothing, so this acknowledges what was before its initial TSN.
    let acked = z_tsn.minus(1);
    peer.send_tagged(z_tag, |buf| write_shutdown(buf, acked));
    let answer = peer.answers();
    assert!(
        answer.iter().any(|answer| answer.has(ChunkType::SHUTDOWN_ACK)),
        "{answer:?}"
    );
    echo(&mut peer, &cookie);
    let answers = peer.answers();
    assert!(
        answers.iter().any(|answer| answer.has(ChunkType::SHUTDOWN_ACK)),
        "{answers:?}"
    );
    let error = answers
        .iter()
        .find_map(|answer| answer.find(ChunkType::ERROR))
        .expect("an ERROR");
    assert_eq!(error.cause_codes(), [CauseCode::COOKIE_RECEIVED_WHILE_SHUTTING_DOWN.0]);
    assert!(!peer.log.iter().any(|event| matches!(event, Event::Restarted { .. })));
}

#[test]
fn rfc9260_5_1_2_an_init_from_another_address_of_the_peer_belongs_to_the_association() {
    let mut peer = Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    });
    let addresses: [IpAddr; 2] = [peer.address(0), peer.address(1)];
    let both = |w: &mut Writer<'_>| addresses.iter().for_each(|&address| Param::address(address).write(w));
    peer.establish_with(both);
    let z_tag = peer.z_tag;
    peer.fixed.initiate_tag = VerificationTag(0x5555);
    let fixed = peer.fixed;
    let init = peer.packet(VerificationTag::ZERO, |buf| {
        sctp::wire::write_init(buf, ChunkType::INIT, &fixed, both);
    });
    peer.send_on(1, init);
    let answers = peer.answers();
    let init_ack = answers
        .iter()
        .find(|answer| answer.has(ChunkType::INIT_ACK))
        .expect("an INIT ACK");
    assert_eq!(init_ack.dst, addresses[1]);
    let cookie = peer.learn(init_ack);
    let packet = peer.packet(peer.z_tag, |buf| write_cookie_echo(buf, &cookie));
    peer.send_on(1, packet);
    peer.answers();
    assert!(
        peer.log.iter().any(|event| matches!(event, Event::Restarted { .. })),
        "{:?}",
        peer.log
    );
    assert_ne!(peer.z_tag, z_tag);
}

#[test]
fn a_log_of_a_collision_is_well_formed() {
    let mut pair = Setup::single().build();
    pair.world.capture(pair.links[0]);
    let endpoint = pair.endpoint(A);
    pair.world.stack(pair.hosts[A]).listen(endpoint, 4);
    pair.start(A);
    pair.start(B);
    pair.must("both are up", secs(10), Pair::both_up);
    for captured in pair.world.captured(pair.links[0]) {
        parse(captured.at, &captured.packet);
    }
}
