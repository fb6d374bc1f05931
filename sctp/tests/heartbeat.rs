//! Heartbeats (RFC 9260 §8.3).

mod common;

use common::{A, Answer, B, Flow, Pair, Peer, PeerSetup, Setup, ms, secs, transfer};
use sctp::error::{FailureReason, PathError};
use sctp::sim::Verdict;
use sctp::wire::{ChunkType, write_heartbeat, write_heartbeat_ack, write_heartbeat_answer};
use sctp::{AssociationPhase, Event, Instant, PathChange, PathState};

fn heartbeats(packets: &[Answer]) -> Vec<Instant> {
    let sent = packets.iter().filter(|packet| packet.has(ChunkType::HEARTBEAT));
    sent.map(|packet| packet.at).collect()
}

#[test]
fn rfc9260_8_3_an_idle_path_is_probed_every_interval_plus_rto_with_jitter() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.world.capture(pair.links[0]);
    pair.run(secs(3600));
    for side in [A, B] {
        let times = heartbeats(&pair.sent(side));
        let gaps: Vec<u128> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
        assert!(gaps.len() > 100, "{}", gaps.len());
        // HB.interval is 30 s and RTO is 1 s; an answer takes 20 ms.
        assert!(gaps.iter().all(|gap| (30_500..=31_530).contains(gap)), "{gaps:?}");
        let distinct: std::collections::BTreeSet<u128> = gaps.iter().copied().collect();
        assert!(distinct.len() > 20, "no jitter");
        assert_eq!(pair.phase(side), Some(AssociationPhase::Established));
        assert_eq!(pair.path(side, 0).error_count, 0);
    }
}

#[test]
fn rfc9260_8_3_a_path_that_carries_data_is_not_idle() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.world.capture(pair.links[0]);
    for _ in 0..100 {
        pair.say(A, 0, b"data");
        pair.run(secs(5));
        pair.hear(B);
    }
    assert_eq!(heartbeats(&pair.sent(A)), []);
}

#[test]
fn rfc9260_8_3_a_heartbeat_measures_the_round_trip() {
    let mut pair = Setup::dual().build();
    pair.connect();
    pair.run(secs(40));
    for side in [A, B] {
        let path = pair.path(side, 1);
        assert_eq!(path.srtt.expect("a measurement").as_millis(), 20);
        assert_eq!(path.rto, secs(1));
    }
}

#[test]
fn rfc9260_8_3_heartbeats_can_be_switched_off() {
    let mut pair = Setup::single()
        .config(|config| config.path_mut().set_heartbeat_interval(None).unwrap())
        .build();
    pair.connect();
    pair.run(secs(1));
    pair.world.capture(pair.links[0]);
    pair.run(secs(3600));
    assert!(pair.world.captured(pair.links[0]).is_empty());
}

#[test]
fn rfc9260_8_3_heartbeats_end_with_a_shutdown() {
    let mut peer = Peer::new();
    peer.establish();
    peer.z_shuts_down();
    let answers = peer.run(secs(120));
    assert_eq!(heartbeats(&answers), []);
    assert!(answers.iter().any(|answer| answer.has(ChunkType::SHUTDOWN)));
}

#[test]
fn rfc9260_11_1_10_a_heartbeat_on_demand_is_sent_at_once() {
    let mut pair = Setup::dual().build();
    pair.connect();
    pair.run(secs(5));
    pair.world.capture(pair.links[1]);
    let (now, assoc, address) = (pair.now(), pair.assoc(A), pair.address(B, 1));
    let stack = pair.world.stack(pair.hosts[A]);
    assert_eq!(stack.request_heartbeat(now, assoc, address), Ok(()));
    let nowhere = "192.0.2.9".parse().unwrap();
    assert_eq!(stack.request_heartbeat(now, assoc, nowhere), Err(PathError::NoSuchPath));
    pair.run(ms(1));
    assert_eq!(heartbeats(&pair.sent_on(A, 1)), [now]);
}

#[test]
fn rfc9260_8_3_a_heartbeat_is_answered_with_all_that_it_carried() {
    let mut peer = Peer::new();
    peer.establish();
    let mut value = Vec::new();
    write_heartbeat(&mut value, b"odd");
    for info in [&b"information"[..], b"", &[7; 1000]] {
        peer.send(|buf| write_heartbeat(buf, info));
        let answer = peer.answer();
        assert_eq!(
            (answer.kinds(), answer.tag()),
            (vec![ChunkType::HEARTBEAT_ACK], peer.tag)
        );
        let mut expected = Vec::new();
        write_heartbeat_ack(&mut expected, info);
        assert_eq!(answer.chunks[0].value, expected[4..4 + answer.chunks[0].value.len()]);
        assert!(answer.chunks[0].value.len() >= 4 + info.len());
    }
    // Another TLV behind the information: both come back unchanged.
    let value = [&[0, 1, 0, 7, 1, 2, 3, 0][..], &[0x80, 9, 0, 8, 4, 5, 6, 7]].concat();
    peer.send(|buf| {
        let start = buf.len();
        write_heartbeat_answer(buf, &value);
        buf[start] = ChunkType::HEARTBEAT.0;
    });
    let answer = peer.answer();
    assert_eq!(answer.get(ChunkType::HEARTBEAT_ACK).value, value);
}

fn dual_peer() -> Peer {
    Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    })
}

#[test]
fn rfc9260_8_3_missing_answers_make_a_path_inactive_and_one_answer_brings_it_back() {
    let mut peer = dual_peer();
    peer.establish_on_all_links();
    let second = peer.address(1);
    let path = |peer: &Peer| {
        let paths = peer.status().unwrap().paths;
        paths.into_iter().find(|path| path.address == second).unwrap()
    };
    // Heartbeats to the first address are answered, those to the second are not.
    let mut unanswered = Vec::new();
    for _ in 0..700 {
        let answers = peer.run(secs(1));
        let (lost, answered): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|a| a.dst == second);
        peer.answer_heartbeats(&answered);
        unanswered.extend(lost);
    }
    assert_eq!(path(&peer).state, PathState::Inactive);
    // §8.3: after that, the counter stops increasing, but heartbeats go on.
    let errors = path(&peer).error_count;
    assert!(errors >= 6, "{errors}");
    assert!(unanswered.len() >= 8, "{}", unanswered.len());
    let gaps: Vec<u64> = unanswered
        .windows(2)
        .map(|pair| (pair[1].at - pair[0].at).as_secs())
        .collect();
    // HB.interval and an RTO that doubles: 31, 32, 34, 38, 46, 62, 90 s, give or take half an RTO.
    assert!(gaps[0] <= 34 && gaps.iter().any(|&gap| gap >= 60), "{gaps:?}");
    let unreachable = Event::PathChanged {
        address: second,
        change: PathChange::Unreachable,
    };
    assert_eq!(peer.log.iter().filter(|event| **event == unreachable).count(), 1);
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    // Then one is answered.
    loop {
        let answers = peer.run(secs(1));
        peer.answer_heartbeats(&answers);
        if answers.iter().any(|answer| answer.dst == second) {
            break;
        }
    }
    peer.answers();
    assert_eq!((path(&peer).state, path(&peer).error_count), (PathState::Active, 0));
    let available = Event::PathChanged {
        address: second,
        change: PathChange::Available,
    };
    assert_eq!(peer.log.last(), Some(&available));
}

#[test]
fn rfc9260_8_1_a_silent_peer_is_given_up_after_association_max_retrans() {
    let mut peer = Peer::new();
    peer.establish();
    let mut answers = Vec::new();
    for _ in 0..2000 {
        answers.extend(peer.run(secs(1)));
        if peer.phase() != Some(AssociationPhase::Established) {
            break;
        }
    }
    let reason = FailureReason::PeerUnreachable;
    assert_eq!(peer.log.last(), Some(&Event::CommunicationLost { reason }));
    // More than ten unanswered heartbeats.
    assert_eq!(heartbeats(&answers).len(), 11);
}

#[test]
fn rfc9260_8_3_an_answer_resets_the_error_counters() {
    let mut peer = Peer::new();
    peer.establish();
    // Nine heartbeats are lost, the tenth is answered, again and again.
    let mut seen = 0;
    for _ in 0..3000 {
        let answers = peer.run(secs(1));
        let new = heartbeats(&answers).len();
        seen += new;
        if new > 0 && seen % 10 == 0 {
            peer.answer_heartbeats(&answers);
            peer.answers();
            assert_eq!(peer.status().unwrap().paths[0].error_count, 0);
        }
    }
    assert!(seen >= 20, "{seen}");
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_8_3_answers_to_nothing_are_ignored() {
    let mut peer = Peer::new();
    peer.establish();
    let mut value = Vec::new();
    while value.is_empty() {
        let answers = peer.run(secs(1));
        if let Some(heartbeat) = answers.iter().find_map(|answer| answer.find(ChunkType::HEARTBEAT)) {
            value = sctp::wire::Heartbeat::parse(&heartbeat.value).unwrap().info.to_vec();
        }
    }
    // All but what is counted of every packet.
    let path = |peer: &Peer| {
        let mut path = peer.status().unwrap().paths[0].clone();
        (path.stats.packets_received, path.stats.bytes_received) = (0, 0);
        path
    };
    let before = path(&peer);
    for info in [&b""[..], b"x", &[0; 20], &[0xff; 20], &[0; 1000]] {
        peer.send(|buf| write_heartbeat_ack(buf, info));
        peer.expect_silence();
    }
    assert_eq!(path(&peer), before);
    // The right answer counts once, and an old one never.
    peer.send(|buf| write_heartbeat_ack(buf, &value));
    peer.answers();
    let after = peer.status().unwrap().paths[0].clone();
    assert!(after.srtt.is_some());
    peer.run(secs(3));
    peer.send(|buf| write_heartbeat_ack(buf, &value));
    peer.answers();
    assert_eq!(peer.status().unwrap().paths[0].srtt, after.srtt);
}

#[test]
fn rfc9260_8_3_a_new_interval_holds_for_new_associations() {
    let mut association = common::without_discovery();
    association.path_mut().set_heartbeat_interval(Some(secs(5))).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    peer.establish();
    let mut times = Vec::new();
    for _ in 0..60 {
        let answers = peer.run(secs(1));
        peer.answer_heartbeats(&answers);
        times.extend(heartbeats(&answers));
    }
    let gaps: Vec<u128> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    // The peer answers up to one second late, which makes the RTO up to three.
    assert!(
        gaps.len() >= 6 && gaps.iter().all(|gap| (5_000..=11_000).contains(gap)),
        "{gaps:?}"
    );
}

#[test]
fn both_sides_find_out_that_the_link_is_cut() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.world.set_link_up(pair.links[0], false);
    let gone = |pair: &mut Pair| pair.ends(A) == 1 && pair.ends(B) == 1;
    pair.must("both give up", secs(3600), gone);
}

#[test]
fn rfc9260_8_3_probes_of_the_mtu_that_are_answered_undo_the_doubling_of_the_rto() {
    let mut pair = Setup::single()
        .config(|config| config.path_mut().set_mtu_discovery(Some(u16::MAX)).unwrap())
        .build();
    pair.connect();
    transfer(&mut pair, &mut [Flow::new(A, 15).sizes(&[20_000])], secs(60));
    pair.run(secs(60));
    let before = pair.status(A).unwrap().stats;
    pair.world.set_filter(pair.links[0], |_, packet| {
        if packet.has(ChunkType::DATA) {
            return Verdict::Drop;
        }
        Verdict::Pass
    });
    pair.say(A, 0, &[7; 1400]);
    let mut longest = ms(0);
    for _ in 0..250 {
        pair.run(ms(100));
        longest = longest.max(pair.path(A, 0).rto);
    }
    let stats = pair.status(A).unwrap().stats;
    assert!(stats.t3_expiries >= before.t3_expiries + 3, "{stats:?}");
    // Large packets vanish, so the base size is tried, and arrives.
    assert!(stats.mtu_probes_sent > before.mtu_probes_sent, "{stats:?}");
    assert!(longest >= secs(2), "{longest:?}");
    assert!(longest <= secs(8), "{longest:?}");
}
