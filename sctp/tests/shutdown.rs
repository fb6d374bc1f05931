//! How an association ends: abort and shutdown (RFC 9260 §9.1, §9.2).

mod common;

use common::{A, Answer, B, Flow, Pair, Peer, PeerSetup, Setup, lose, ms, parse, secs, transfer};
use sctp::config::AssociationConfig;
use sctp::error::{FailureReason, SendError};
use sctp::serial::{Ppid, StreamId, VerificationTag};
use sctp::wire::{
    Cause, CauseCode, ChunkType, write_abort, write_data, write_heartbeat, write_sack, write_shutdown,
    write_shutdown_ack, write_shutdown_complete,
};
use sctp::{AssociationPhase, Event, Instant, OutMessage};

fn completed(event: &Event) -> bool {
    *event == Event::ShutdownComplete
}

/// Waits until both sides have reported their end, and a bit more for whatever might follow.
#[track_caller]
fn wait_for_both_ends(pair: &mut Pair, limit: std::time::Duration) {
    pair.must("both sides have ended", limit, |pair| {
        pair.ends(A) > 0 && pair.ends(B) > 0
    });
    pair.run(secs(5));
    assert_eq!([pair.ends(A), pair.ends(B)], [1, 1], "{:?}", pair.log);
}

#[test]
fn rfc9260_9_2_a_shutdown_takes_three_packets_and_ends_both_sides() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.run(secs(1));
    pair.world.capture(pair.links[0]);
    pair.shutdown(A);
    wait_for_both_ends(&mut pair, secs(5));
    let captured = pair.world.captured(pair.links[0]);
    let kinds: Vec<Vec<ChunkType>> = captured.iter().map(|c| parse(c.at, &c.packet).kinds()).collect();
    assert_eq!(
        kinds,
        [
            [ChunkType::SHUTDOWN],
            [ChunkType::SHUTDOWN_ACK],
            [ChunkType::SHUTDOWN_COMPLETE]
        ]
    );
    assert!(pair.reported(A, completed) && pair.reported(B, completed));
    assert!(pair.reported(B, |event| *event == Event::PeerShutdown));
    for side in [A, B] {
        assert!(
            pair.status(side)
                .is_none_or(|status| status.phase == AssociationPhase::Closed)
        );
        let (endpoint, peer) = (pair.endpoint(side), pair.address(1 - side, 0));
        let port = [common::PORT_B, common::PORT_A][side];
        assert_eq!(pair.world.peek(pair.hosts[side]).find(endpoint, peer, port), None);
    }
    // The same two may meet again.
    pair.log = [Vec::new(), Vec::new()];
    pair.connect();
    transfer(&mut pair, &mut [Flow::new(A, 5)], secs(5));
}

#[test]
fn rfc9260_9_2_what_both_sides_have_queued_is_delivered_first() {
    for loss in [0.0, 0.1] {
        let link = common::wire(ms(20)).loss(loss);
        let mut pair = Setup::single().seed(3).link(&link).build();
        pair.connect();
        let mut flows = [Flow::new(A, 80).sizes(&[3000]), Flow::new(B, 80).sizes(&[3000])];
        for flow in &mut flows {
            flow.pump(&mut pair).unwrap();
        }
        pair.shutdown(A);
        transfer(&mut pair, &mut flows, secs(300));
        wait_for_both_ends(&mut pair, secs(300));
        // With losses the last word can get lost more often than it is repeated, though hardly.
        assert!(
            pair.reported(A, completed) && pair.reported(B, completed),
            "{:?}",
            pair.log
        );
    }
}

#[test]
fn rfc9260_9_2_received_data_may_still_be_taken_after_the_end() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.say(A, 0, b"last words");
    pair.shutdown(A);
    pair.must("both ended", secs(5), |pair| pair.ends(A) == 1 && pair.ends(B) == 1);
    assert_eq!(pair.hear_payloads(B), [&b"last words"[..]]);
}

#[test]
fn rfc9260_9_2_a_lost_packet_of_the_shutdown_is_made_up_for() {
    for kind in [
        ChunkType::SHUTDOWN,
        ChunkType::SHUTDOWN_ACK,
        ChunkType::SHUTDOWN_COMPLETE,
    ] {
        let mut pair = Setup::single().build();
        pair.connect();
        pair.run(secs(1));
        pair.world.set_filter(pair.links[0], lose(kind, 1));
        let start = pair.now();
        pair.shutdown(A);
        pair.must("both ended", secs(5), |pair| pair.ends(A) == 1 && pair.ends(B) == 1);
        let took = pair.now() - start;
        assert!(took >= secs(1) && took < ms(1200), "{kind}: {took:?}");
        assert!(pair.reported(A, completed) && pair.reported(B, completed), "{kind}");
    }
}

#[test]
fn rfc9260_9_2_both_sides_may_shut_down_at_once() {
    for delay in 0..=25 {
        let mut pair = Setup::single().build();
        pair.connect();
        pair.say(A, 0, b"from a");
        pair.say(B, 0, b"from b");
        pair.run(secs(1));
        pair.shutdown(A);
        pair.run(ms(delay));
        if pair.ends(B) == 0 {
            pair.shutdown(B);
        }
        wait_for_both_ends(&mut pair, secs(5));
        assert!(
            pair.reported(A, completed) && pair.reported(B, completed),
            "{delay} ms: {:?}",
            pair.log
        );
    }
}

#[test]
fn rfc9260_9_2_new_data_is_refused_while_shutting_down() {
    let mut pair = Setup::single().build();
    pair.connect();
    let message = || OutMessage::new(StreamId(0), Ppid(0), bytes::Bytes::from_static(b"x"));
    pair.say(A, 0, b"y");
    pair.say(B, 0, b"y");
    pair.shutdown(A);
    assert_eq!(pair.send(A, message()), Err(SendError::ShuttingDown));
    pair.must("B was told", secs(5), |pair| {
        pair.reported(B, |event| *event == Event::PeerShutdown)
    });
    let refused = pair.send(B, message());
    assert!(
        matches!(refused, Err(SendError::ShuttingDown | SendError::NoSuchAssociation)),
        "{refused:?}"
    );
}

#[test]
fn rfc9260_9_1_an_abort_ends_both_sides_and_carries_the_users_reason() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.run(secs(1));
    pair.say(A, 0, b"never delivered");
    pair.world.capture(pair.links[0]);
    pair.abort(A, b"enough");
    wait_for_both_ends(&mut pair, secs(1));
    let captured = pair.world.captured(pair.links[0]);
    let sent: Vec<Answer> = captured.iter().map(|c| parse(c.at, &c.packet)).collect();
    // §9.1: no DATA beside the ABORT, and nothing answers it.
    let aborts: Vec<&Answer> = sent.iter().filter(|packet| packet.has(ChunkType::ABORT)).collect();
    assert_eq!(aborts.len(), 1);
    assert!(!aborts[0].has(ChunkType::DATA));
    assert!(sent.iter().all(|packet| packet.at <= aborts[0].at), "{sent:?}");
    let Event::CommunicationLost { reason } = &pair.log[B].last().unwrap().1 else {
        panic!("{:?}", pair.log[B]);
    };
    let expected = FailureReason::PeerAbort {
        cause: Some(CauseCode::USER_INITIATED_ABORT.0),
        reason: bytes::Bytes::from_static(b"enough"),
    };
    assert_eq!(*reason, expected);
    let own = FailureReason::UserAbort;
    assert_eq!(pair.log[A].last().unwrap().1, Event::CommunicationLost { reason: own });
}

#[test]
fn rfc9260_9_1_an_aborted_set_up_is_over() {
    let mut peer = Peer::new();
    let assoc = peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    peer.send_init_ack(b"cookie", |_| {});
    peer.answer();
    let now = peer.world.now();
    peer.world.stack(peer.z).abort(now, assoc, bytes::Bytes::new()).unwrap();
    let answer = peer.answer();
    assert_eq!((answer.kinds(), answer.tag()), (vec![ChunkType::ABORT], peer.tag));
    assert!(peer.run(secs(60)).is_empty());
    assert_eq!(peer.log.len(), 1, "{:?}", peer.log);
}

// What follows is played against a peer that the test speaks for.

fn with_config(change: impl FnOnce(&mut AssociationConfig)) -> Peer {
    let mut association = common::without_discovery();
    association.path_mut().set_heartbeat_interval(None).unwrap();
    change(&mut association);
    Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    })
}

fn times_of(answers: &[Answer], kind: ChunkType, start: Instant) -> Vec<u64> {
    let sent = answers.iter().filter(|answer| answer.has(kind));
    sent.map(|answer| (answer.at - start).as_millis() as u64 / 1000)
        .collect()
}

#[test]
fn rfc9260_9_2_shutdown_is_repeated_until_association_max_retrans_is_exceeded() {
    let mut peer = with_config(|config| config.set_association_max_retrans(3));
    peer.establish();
    let start = peer.world.now();
    peer.z_shuts_down();
    let answers = peer.run(secs(40));
    assert_eq!(times_of(&answers, ChunkType::SHUTDOWN, start), [0, 1, 3, 7]);
    let reason = FailureReason::PeerUnreachable;
    assert_eq!(peer.log.last(), Some(&Event::CommunicationLost { reason }));
    assert!(peer.world.peek(peer.z).poll_timeout().is_none());
}

#[test]
fn rfc9260_9_2_shutdown_ack_is_repeated_until_association_max_retrans_is_exceeded() {
    let mut peer = with_config(|config| config.set_association_max_retrans(3));
    peer.establish();
    let start = peer.world.now();
    let acked = peer.z_tsn.minus(1);
    peer.send(|buf| write_shutdown(buf, acked));
    let answers = peer.run(secs(40));
    assert_eq!(times_of(&answers, ChunkType::SHUTDOWN_ACK, start), [0, 1, 3, 7]);
    let reason = FailureReason::PeerUnreachable;
    assert_eq!(peer.log.last(), Some(&Event::CommunicationLost { reason }));
}

#[test]
fn rfc9260_9_2_the_guard_timer_bounds_a_shutdown_that_goes_on_and_on() {
    let mut peer = with_config(|config| config.set_rto(secs(1), secs(1), secs(2)).unwrap());
    peer.establish();
    let start = peer.world.now();
    peer.z_shuts_down();
    // The peer never ends, but sends data again and again, which restarts T2-shutdown.
    let mut abort = None;
    for _ in 0..60 {
        peer.say(b"one more thing");
        let answers = peer.run(ms(500));
        abort = answers.into_iter().find(|answer| answer.has(ChunkType::ABORT));
        if abort.is_some() {
            break;
        }
    }
    // T5-shutdown-guard is five times RTO.Max.
    let at = abort.expect("an ABORT").at - start;
    assert!(at >= secs(10) && at < ms(10_100), "{at:?}");
    let reason = FailureReason::ShutdownTimeout;
    assert_eq!(peer.log.last(), Some(&Event::CommunicationLost { reason }));
}

#[test]
fn rfc9260_9_2_shutdown_pending_waits_for_acknowledgements() {
    let mut peer = with_config(|_| {});
    peer.establish();
    peer.z_says(b"one");
    peer.z_says(b"two");
    peer.answers();
    peer.z_shuts_down();
    peer.expect_silence();
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownPending));
    peer.send_sack(0, 100_000, &[]);
    peer.expect_silence();
    peer.send_sack(1, 100_000, &[]);
    assert_eq!(peer.answer().kinds(), [ChunkType::SHUTDOWN]);
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownSent));
}

#[test]
fn rfc9260_9_2_data_in_shutdown_sent_is_answered_by_shutdown_at_once() {
    let mut peer = with_config(|_| {});
    peer.establish();
    peer.z_shuts_down();
    assert_eq!(peer.answer().kinds(), [ChunkType::SHUTDOWN]);
    peer.say(b"late data");
    let answer = peer.answer();
    let shutdown = sctp::wire::Shutdown::parse(&answer.get(ChunkType::SHUTDOWN).value).unwrap();
    assert_eq!(shutdown.cumulative_tsn_ack, peer.tsn.minus(1));
    // A gap, and then a duplicate: a SHUTDOWN cannot say that, a SACK must.
    let beyond = Peer::header(peer.tsn.next(), 0, 2);
    for _ in 0..2 {
        peer.send_data(&beyond, b"beyond a gap");
        let answer = peer.answer();
        assert!(answer.has(ChunkType::SHUTDOWN), "{answer:?}");
        assert_eq!(answer.get(ChunkType::SACK).sack().gaps.collect::<Vec<_>>(), [(2, 2)]);
    }
    peer.say(b"in the gap");
    peer.answers();
    assert_eq!(
        peer.z_hears_payloads(),
        [&b"late data"[..], b"in the gap", b"beyond a gap"]
    );
    peer.send(write_shutdown_ack);
    let answer = peer.answer();
    assert_eq!(
        (answer.kinds(), answer.tag()),
        (vec![ChunkType::SHUTDOWN_COMPLETE], peer.tag)
    );
    assert_eq!(answer.chunks[0].flags & 1, 0);
    assert_eq!(peer.log.last(), Some(&Event::ShutdownComplete));
}

#[test]
fn rfc9260_9_2_data_restarts_t2_shutdown() {
    let mut peer = with_config(|_| {});
    peer.establish();
    peer.z_shuts_down();
    peer.answer();
    for _ in 0..5 {
        peer.run(ms(700));
        peer.say(b"data");
        let answers = peer.run(ms(100));
        assert_eq!(answers.len(), 1, "{answers:?}");
    }
}

#[test]
fn rfc9260_9_2_heartbeats_do_not_keep_a_lost_shutdown_from_being_repeated() {
    let mut peer = with_config(|config| config.set_association_max_retrans(1));
    peer.establish();
    let start = peer.world.now();
    peer.z_shuts_down();
    let mut answers = Vec::new();
    for _ in 0..20 {
        peer.send(|buf| write_heartbeat(buf, b"still here"));
        answers.extend(peer.run(ms(400)));
    }
    // They clear the count, so that the shutdown goes on.
    assert_eq!(times_of(&answers, ChunkType::SHUTDOWN, start), [0, 1, 3, 5, 7]);
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownSent));
}

#[test]
fn rfc9260_9_2_shutdown_received_sends_what_is_outstanding_and_ignores_the_users_shutdown() {
    let mut peer = with_config(|_| {});
    peer.establish();
    peer.z_says(b"one");
    peer.z_says(b"two");
    peer.answers();
    let acked = peer.z_tsn;
    peer.send(|buf| write_shutdown(buf, acked));
    // §9.2: the SHUTDOWN acknowledges the first message, the second is still outstanding.
    assert!(!peer.answers().iter().any(|answer| answer.has(ChunkType::SHUTDOWN_ACK)));
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownReceived));
    let (now, assoc) = (peer.world.now(), peer.assoc.unwrap());
    let _ = peer.world.stack(peer.z).shutdown(now, assoc);
    peer.expect_silence();
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownReceived));
    // The second message is lost, so it comes again.
    let again = peer.run(secs(2));
    let data = again
        .iter()
        .find_map(|answer| answer.find(ChunkType::DATA))
        .expect("DATA");
    assert_eq!(data.data().payload, b"two");
    let all = peer.z_tsn.next();
    peer.send(|buf| write_shutdown(buf, all));
    assert!(peer.answer().has(ChunkType::SHUTDOWN_ACK));
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownAckSent));
    peer.send(|buf| write_shutdown_complete(buf, false));
    peer.expect_silence();
    assert_eq!(peer.log.last(), Some(&Event::ShutdownComplete));
}

#[test]
fn rfc9260_9_2_a_shutdown_that_comes_again_is_answered_again() {
    let mut peer = with_config(|_| {});
    peer.establish();
    let acked = peer.z_tsn.minus(1);
    for _ in 0..3 {
        peer.send(|buf| write_shutdown(buf, acked));
        assert_eq!(peer.answer().kinds(), [ChunkType::SHUTDOWN_ACK]);
    }
    assert_eq!(
        peer.log.iter().filter(|event| **event == Event::PeerShutdown).count(),
        1
    );
}

#[test]
fn rfc9260_9_2_a_shutdown_in_shutdown_sent_is_answered_by_shutdown_ack() {
    let mut peer = with_config(|_| {});
    peer.establish();
    peer.z_shuts_down();
    peer.answer();
    let acked = peer.z_tsn.minus(1);
    peer.send(|buf| write_shutdown(buf, acked));
    assert_eq!(peer.answer().kinds(), [ChunkType::SHUTDOWN_ACK]);
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownAckSent));
    peer.send(write_shutdown_ack);
    let answer = peer.answer();
    assert_eq!(
        (answer.kinds(), answer.tag()),
        (vec![ChunkType::SHUTDOWN_COMPLETE], peer.tag)
    );
    assert_eq!(peer.log.last(), Some(&Event::ShutdownComplete));
}

#[test]
fn rfc9260_9_2_an_init_in_shutdown_ack_sent_makes_it_repeat_the_shutdown_ack() {
    let mut peer = with_config(|_| {});
    peer.establish();
    let (tag, acked) = (peer.tag, peer.z_tsn.minus(1));
    peer.send(|buf| write_shutdown(buf, acked));
    peer.answer();
    peer.fixed.initiate_tag = VerificationTag(0x5555);
    peer.send_init();
    let answer = peer.answer();
    assert_eq!((answer.kinds(), answer.tag()), (vec![ChunkType::SHUTDOWN_ACK], tag));
}

#[test]
fn rfc9260_9_2_shutdown_chunks_during_set_up_do_not_end_it() {
    let mut peer = with_config(|_| {});
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    for phase in [AssociationPhase::CookieWait, AssociationPhase::CookieEchoed] {
        let acked = peer.z_tsn.minus(1);
        peer.send(|buf| write_shutdown(buf, acked));
        peer.expect_silence();
        // §8.5.1 E: as out of the blue, so the tag is reflected.
        let tag = peer.z_tag;
        peer.send(write_shutdown_ack);
        let answer = peer.answer();
        assert_eq!(
            (answer.kinds(), answer.tag()),
            (vec![ChunkType::SHUTDOWN_COMPLETE], tag)
        );
        assert_eq!(answer.chunks[0].flags & 1, 1);
        peer.send(|buf| write_shutdown_complete(buf, false));
        peer.expect_silence();
        assert_eq!(peer.phase(), Some(phase));
        if phase == AssociationPhase::CookieWait {
            peer.send_init_ack(b"cookie", |_| {});
            peer.answer();
        }
    }
    peer.send(sctp::wire::write_cookie_ack);
    peer.answers();
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_8_5_1_a_shutdown_complete_out_of_time_is_ignored() {
    let mut peer = with_config(|_| {});
    peer.establish();
    for reflected in [false, true] {
        let tag = if reflected { peer.tag } else { peer.z_tag };
        peer.send_tagged(tag, |buf| write_shutdown_complete(buf, reflected));
        peer.expect_silence();
    }
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_6_a_sack_in_shutdown_received_acknowledges_and_lets_it_end() {
    let mut peer = with_config(|_| {});
    peer.establish();
    peer.z_says(b"one");
    peer.answers();
    let nothing = peer.z_tsn.minus(1);
    peer.send(|buf| write_shutdown(buf, nothing));
    peer.answers();
    assert_eq!(peer.phase(), Some(AssociationPhase::ShutdownReceived));
    let all = peer.z_tsn;
    peer.send(|buf| write_sack(buf, all, 100_000, &[], &[]));
    assert!(peer.answer().has(ChunkType::SHUTDOWN_ACK));
}

#[test]
fn rfc9260_6_data_in_shutdown_received_or_shutdown_ack_sent_is_discarded() {
    let mut peer = with_config(|_| {});
    peer.establish();
    let acked = peer.z_tsn.minus(1);
    peer.send(|buf| write_shutdown(buf, acked));
    peer.answer();
    let header = Peer::header(peer.tsn, 0, 0);
    peer.send(|buf| write_data(buf, &header, b"after the shutdown"));
    assert!(!peer.answers().iter().any(|answer| answer.has(ChunkType::SACK)));
    assert!(peer.z_hears().is_empty());
}

#[test]
fn rfc9260_9_1_an_abort_in_any_state_of_the_shutdown_ends_it() {
    for side in ["pending", "sent", "ack sent"] {
        let mut peer = with_config(|_| {});
        peer.establish();
        match side {
            "pending" => {
                peer.z_says(b"unacknowledged");
                peer.z_shuts_down();
            }
            "sent" => peer.z_shuts_down(),
            _ => {
                let acked = peer.z_tsn.minus(1);
                peer.send(|buf| write_shutdown(buf, acked));
            }
        }
        peer.answers();
        peer.send(|buf| write_abort(buf, false, |w| Cause::UserInitiatedAbort(b"why").write(w)));
        peer.expect_silence();
        let lost = peer
            .log
            .iter()
            .filter(|event| matches!(event, Event::CommunicationLost { .. }));
        assert_eq!(lost.count(), 1, "{side}: {:?}", peer.log);
        assert!(peer.run(secs(120)).is_empty(), "{side}");
    }
}

#[test]
fn rfc9260_9_2_a_peer_that_forgot_after_its_lost_shutdown_complete_completes_the_shutdown() {
    for reflected in [false, true] {
        let mut peer = Peer::new();
        peer.establish();
        let (z_tag, acked) = (peer.z_tag, peer.z_tsn.minus(1));
        peer.send_tagged(z_tag, |buf| write_shutdown(buf, acked));
        assert!(peer.answers().iter().any(|answer| answer.has(ChunkType::SHUTDOWN_ACK)));
        // What came after the SHUTDOWN COMPLETE was out of the blue for the peer, which answers with its own tag.
        let tag = if reflected { peer.tag } else { z_tag };
        peer.send_tagged(tag, |buf| write_abort(buf, reflected, |_| {}));
        peer.answers();
        assert_eq!(peer.log.iter().any(completed), reflected, "{:?}", peer.log);
    }
}
