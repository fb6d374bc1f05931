//! Potentially failed paths and the switchover of the primary path (RFC 7829), in virtual time.

mod common;

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use common::{A, Answer, B, Flow, Pair, Peer, PeerSetup, Setup, connected, ms, secs, transfer};
use sctp::config::PathThresholds;
use sctp::error::FailureReason;
use sctp::serial::{Ppid, StreamId};
use sctp::sim::Script;
use sctp::wire::{ChunkType, write_data};
use sctp::{AssociationPhase, Event, Instant, OutMessage, PathChange, PathState};

fn thresholds(pmr: u16, pf: Option<u16>, switchover: Option<u16>) -> PathThresholds {
    PathThresholds::new(pmr, pf, switchover).unwrap()
}

/// Two hosts with two links, all addresses confirmed, whose paths have these thresholds.
fn pair_with(thresholds: PathThresholds) -> Pair {
    connected(Setup::dual().config(|config| config.path_mut().set_thresholds(thresholds)))
}

/// What A was told of its peer's address on a link, and when.
fn changes(pair: &Pair, link: usize) -> Vec<(Instant, PathChange)> {
    let wanted: IpAddr = pair.address(B, link);
    let log = pair.log[A].iter();
    log.filter_map(|(at, event)| match event {
        Event::PathChanged { address, change } if *address == wanted && *change != PathChange::Confirmed => {
            Some((*at, *change))
        }
        _ => None,
    })
    .collect()
}

fn kinds_of_change(pair: &Pair, link: usize) -> Vec<PathChange> {
    changes(pair, link).into_iter().map(|(_, change)| change).collect()
}

/// When A sent a chunk of type `kind` on a link.
fn times(pair: &Pair, link: usize, kind: ChunkType) -> Vec<Instant> {
    let sent: Vec<Answer> = pair.sent_on(A, link);
    sent.iter()
        .filter(|packet| packet.has(kind))
        .map(|packet| packet.at)
        .collect()
}

/// Sends a small message from A every 50 ms for so long; the greatest age at which one arrived.
fn worst_latency(pair: &mut Pair, duration: Duration) -> Duration {
    let end = pair.now() + duration;
    let mut worst = Duration::ZERO;
    let mut next = pair.now();
    let (mut sent, mut received) = (0, 0);
    while pair.now() < end || received < sent {
        if pair.now() >= next && pair.now() < end {
            let message = OutMessage {
                unordered: true,
                ..OutMessage::new(
                    StreamId(0),
                    Ppid(0),
                    Bytes::copy_from_slice(&pair.now().as_nanos().to_be_bytes()),
                )
            };
            pair.send(A, message).unwrap();
            next = pair.now() + ms(50);
            sent += 1;
        }
        pair.run(ms(5));
        for payload in pair.hear_payloads(B) {
            let at = Instant::from_nanos(u64::from_be_bytes(payload[..].try_into().unwrap()));
            worst = worst.max(pair.now().saturating_since(at));
            received += 1;
        }
        assert!(pair.now() < end + secs(300), "{received} of {sent} arrived");
    }
    worst
}

#[test]
fn rfc7829_3_1_data_leaves_a_dead_path_after_one_time_out() {
    let latency = |potentially_failed| {
        let mut pair = pair_with(thresholds(5, potentially_failed, None));
        worst_latency(&mut pair, secs(2));
        pair.world.set_link_up(pair.links[0], false);
        worst_latency(&mut pair, secs(100))
    };
    let (with, without) = (latency(Some(0)), latency(None));
    // RTO.Min is a second: the first time-out takes everything along.
    assert!(with < ms(1200), "{with:?}");
    // RFC 9260 alone goes on trying: 1, 2, 4, 8, 16 and 32 s.
    assert!(without > secs(16), "{without:?}");
}

#[test]
fn rfc7829_3_2_rule_6_a_potentially_failed_path_is_probed_every_rto_and_is_inactive_after_path_max_retrans() {
    let mut pair = pair_with(PathThresholds::default());
    let cut = pair.now();
    pair.world.set_link_up(pair.links[0], false);
    pair.say(A, 0, b"where to");
    pair.run(secs(200));
    assert_eq!(pair.hear(B).len(), 1);
    let seen = changes(&pair, 0);
    assert_eq!(
        kinds_of_change(&pair, 0),
        [PathChange::PotentiallyFailed, PathChange::Unreachable]
    );
    let failed_at = seen[0].0;
    assert!(failed_at.saturating_since(cut) < ms(1100));
    let probes = times(&pair, 0, ChunkType::HEARTBEAT);
    // The first one at once, the others after RTOs of 2, 4, 8 and 16 s, and with the one of 32 s it is over.
    assert_eq!(probes[0], failed_at);
    let gaps: Vec<u64> = probes
        .windows(2)
        .map(|pair| pair[1].saturating_since(pair[0]).as_secs())
        .collect();
    assert_eq!(gaps[..4], [2, 4, 8, 16], "{gaps:?}");
    assert_eq!(seen[1].0, probes[4] + secs(32));
    // Rule 8: from then on at the usual pace.
    assert!(gaps[4..].iter().all(|&gap| gap >= 60), "{gaps:?}");
    assert_eq!(pair.path(A, 0).state, PathState::Inactive);
    // Nothing of this says anything about the peer.
    assert_eq!(pair.ends(A), 0);
}

#[test]
fn rfc7829_3_2_rule_7_a_heartbeat_brings_the_path_back_and_data_returns_to_the_primary() {
    let mut pair = pair_with(PathThresholds::default());
    let first = pair.links[0];
    Script::new()
        .at(ms(1500))
        .cut(first)
        .at(secs(5))
        .restore(first)
        .play(&mut pair.world);
    worst_latency(&mut pair, secs(4));
    assert_eq!(pair.path(A, 0).state, PathState::PotentiallyFailed);
    worst_latency(&mut pair, secs(10));
    assert_eq!(
        kinds_of_change(&pair, 0),
        [PathChange::PotentiallyFailed, PathChange::Available]
    );
    let status = pair.path(A, 0);
    assert_eq!((status.state, status.error_count), (PathState::Active, 0));
    let back = changes(&pair, 0)[1].0;
    assert!(times(&pair, 0, ChunkType::DATA).iter().any(|at| *at > back));
    let late = times(&pair, 1, ChunkType::DATA)
        .into_iter()
        .filter(|at| *at > back + ms(100));
    assert_eq!(late.count(), 0, "the primary path has it all again");
}

#[test]
fn rfc7829_3_2_rule_3_data_for_a_potentially_failed_path_takes_another_one() {
    let mut pair = pair_with(PathThresholds::default());
    pair.world.set_link_up(pair.links[0], false);
    pair.say(A, 0, b"finds out");
    pair.run(ms(1500));
    assert_eq!(pair.path(A, 0).state, PathState::PotentiallyFailed);
    let before = times(&pair, 0, ChunkType::DATA).len();
    let message = OutMessage {
        destination: Some(pair.address(B, 0)),
        ..OutMessage::new(StreamId(0), Ppid(0), Bytes::from_static(b"this way, please"))
    };
    pair.send(A, message).unwrap();
    pair.run(ms(100));
    assert_eq!(pair.hear(B).len(), 2);
    assert_eq!(times(&pair, 0, ChunkType::DATA).len(), before);
    let status = pair.path(A, 0);
    assert_eq!((status.state, status.error_count), (PathState::PotentiallyFailed, 1));
}

#[test]
fn rfc7829_3_2_rule_1_the_threshold_says_how_many_time_outs_it_takes() {
    for limit in [0, 1, 2] {
        let mut pair = pair_with(thresholds(5, Some(limit), None));
        pair.world.set_link_up(pair.links[0], false);
        for sent in 0..=limit {
            assert_eq!(pair.path(A, 0).state, PathState::Active, "{limit} {sent}");
            let address = pair.address(B, 0);
            let message = OutMessage {
                destination: Some(address),
                ..OutMessage::new(StreamId(0), Ppid(0), Bytes::from_static(b"into the void"))
            };
            pair.send(A, message).unwrap();
            pair.must("the time-out", secs(20), |pair| pair.path(A, 0).error_count > sent);
        }
        assert_eq!(pair.path(A, 0).state, PathState::PotentiallyFailed, "{limit}");
    }
}

#[test]
fn rfc7829_3_2_rule_5_without_heartbeats_a_potentially_failed_path_gets_none() {
    let mut pair = connected(Setup::dual().config(|config| {
        config.path_mut().set_heartbeat_interval(None).unwrap();
    }));
    pair.world.set_link_up(pair.links[0], false);
    pair.say(A, 0, b"where to");
    pair.run(secs(100));
    assert_eq!(pair.path(A, 0).state, PathState::PotentiallyFailed);
    assert!(times(&pair, 0, ChunkType::HEARTBEAT).is_empty());
}

#[test]
fn rfc7829_3_2_rule_12_the_user_may_be_kept_ignorant() {
    let mut pair = connected(Setup::dual().config(|config| config.set_expose_potentially_failed(false)));
    pair.world.set_link_up(pair.links[0], false);
    pair.say(A, 0, b"where to");
    pair.run(secs(2));
    assert_eq!(pair.hear(B).len(), 1);
    assert_eq!(pair.path(A, 0).state, PathState::Active);
    pair.world.set_link_up(pair.links[0], true);
    pair.run(secs(10));
    assert!(changes(&pair, 0).is_empty());
    // That it is unreachable is told all the same.
    pair.world.set_link_up(pair.links[0], false);
    pair.say(A, 0, b"where to");
    pair.run(secs(100));
    assert_eq!(kinds_of_change(&pair, 0), [PathChange::Unreachable]);
}

#[test]
fn rfc7829_3_2_rule_4_with_both_paths_down_data_tries_them_in_turn() {
    let mut pair = connected(Setup::dual().config(|config| config.set_association_max_retrans(1000)));
    for link in pair.links.clone() {
        pair.world.set_link_up(link, false);
    }
    let start = pair.now();
    pair.say(A, 0, b"anybody there");
    pair.run(secs(120));
    let tried = [0, 1].map(|link| times(&pair, link, ChunkType::DATA).len());
    assert!(tried.iter().all(|&count| count >= 3), "{tried:?}");
    assert!(tried[0].abs_diff(tried[1]) <= 3, "{tried:?}");
    // §4: dormant, but not given up. Either path is enough.
    pair.run(secs(1000));
    assert_eq!([0, 1].map(|link| pair.path(A, link).state), [PathState::Inactive; 2]);
    pair.world.set_link_up(pair.links[1], true);
    pair.must("it arrives", secs(200), |pair| !pair.hear(B).is_empty());
    assert!(pair.now().saturating_since(start) > secs(1000));
    // What was sent both ways proves nothing; the next heartbeat does.
    pair.run(secs(200));
    assert_eq!(pair.path(A, 1).state, PathState::Active);
    assert_eq!(pair.path(A, 0).state, PathState::Inactive);
}

#[test]
fn rfc7829_4_a_complete_disruption_is_survived_as_long_as_without_potentially_failed_paths() {
    let lifetime = |potentially_failed| {
        let mut pair = pair_with(thresholds(5, potentially_failed, None));
        let start = pair.now();
        for link in pair.links.clone() {
            pair.world.set_link_up(link, false);
        }
        pair.say(A, 0, b"anybody there");
        pair.must("A gives up", secs(1000), |pair| pair.ends(A) == 1);
        let reason = FailureReason::PeerUnreachable;
        assert_eq!(pair.log[A].last().unwrap().1, Event::CommunicationLost { reason });
        pair.now().saturating_since(start)
    };
    let (with, without) = (lifetime(Some(0)), lifetime(None));
    assert!(with >= without.mul_f64(0.9), "{with:?} {without:?}");
}

#[test]
fn rfc7829_5_with_switchover_data_stays_where_it_went() {
    for (switchover, moved) in [(None, false), (Some(0), true), (Some(3), false)] {
        let mut pair = pair_with(thresholds(5, Some(0), switchover));
        let first = pair.links[0];
        worst_latency(&mut pair, secs(1));
        pair.world.set_link_up(first, false);
        worst_latency(&mut pair, secs(3));
        pair.world.set_link_up(first, true);
        worst_latency(&mut pair, secs(20));
        assert_eq!(pair.path(A, 0).state, PathState::Active, "{switchover:?}");
        assert_eq!(pair.path(A, 1).primary, moved, "{switchover:?}");
        assert_eq!(kinds_of_change(&pair, 1).contains(&PathChange::Primary), moved);
        let last = times(&pair, usize::from(moved), ChunkType::DATA);
        assert!(
            pair.now().saturating_since(*last.last().unwrap()) < secs(1),
            "{switchover:?}"
        );
        // Rule 3: the old primary takes over when the new one fails.
        if moved {
            pair.world.set_link_up(pair.links[1], false);
            let worst = worst_latency(&mut pair, secs(3));
            assert!(worst < ms(2500), "{worst:?}");
            assert!(pair.path(A, 0).primary);
        }
    }
}

#[test]
fn rfc7829_5_without_potentially_failed_paths_the_primary_is_switched_at_path_max_retrans() {
    let mut pair = pair_with(thresholds(1, None, Some(1)));
    pair.world.set_link_up(pair.links[0], false);
    worst_latency(&mut pair, secs(8));
    assert!(pair.path(A, 1).primary);
    pair.world.set_link_up(pair.links[0], true);
    pair.run(secs(100));
    assert_eq!(pair.path(A, 0).state, PathState::Active);
    assert!(pair.path(A, 1).primary);
}

#[test]
fn a_flapping_path_delays_a_transfer_and_loses_nothing() {
    for (period, potentially_failed) in [(700, Some(0)), (3000, Some(0)), (3000, Some(1)), (9000, Some(0))] {
        let mut pair = pair_with(thresholds(5, potentially_failed, None));
        let first = pair.links[0];
        let mut script = Script::new();
        for n in 1..=40 {
            let at = ms(period) * n;
            script = if n % 2 == 1 {
                script.at(at).cut(first)
            } else {
                script.at(at).restore(first)
            };
        }
        script.play(&mut pair.world);
        let mut flows = [Flow::new(A, 2000).sizes(&[1000, 3000]), Flow::new(B, 500)];
        transfer(&mut pair, &mut flows, secs(400));
        pair.run(secs(600));
        assert_eq!(pair.path(A, 0).state, PathState::Active);
        assert_eq!(pair.ends(A) + pair.ends(B), 0);
    }
}

#[test]
fn rfc7829_app_c_an_idle_association_with_one_address_notices_a_dead_peer_sooner() {
    let lifetime = |potentially_failed| {
        let mut pair = connected(Setup::single().config(|config| {
            config
                .path_mut()
                .set_thresholds(thresholds(5, potentially_failed, None));
            config.set_association_max_retrans(5);
        }));
        let start = pair.now();
        pair.world.set_link_up(pair.links[0], false);
        pair.must("A gives up", secs(1000), |pair| pair.ends(A) == 1);
        pair.now().saturating_since(start)
    };
    let (with, without) = (lifetime(Some(0)), lifetime(None));
    assert!(with < secs(110) && without > secs(180), "{with:?} {without:?}");
}

// What follows is played against a peer that the test speaks for.

/// Z's paths without heartbeats, so that only data tells.
fn silent_peer() -> Peer {
    let mut association = common::without_discovery();
    association.path_mut().set_heartbeat_interval(None).unwrap();
    let mut peer = Peer::with(PeerSetup {
        links: 2,
        association,
        ..PeerSetup::default()
    });
    peer.establish_on_all_links();
    peer
}

fn states(peer: &Peer) -> Vec<PathState> {
    let paths = peer.status().unwrap().paths;
    paths.iter().map(|path| path.state).collect()
}

#[test]
fn rfc7829_3_2_rules_9_and_10_only_what_went_to_one_path_brings_it_back() {
    let mut peer = silent_peer();
    peer.z_says(b"one");
    // The first path, the second, and the first again.
    let to: Vec<IpAddr> = peer.run(secs(4)).iter().map(|answer| answer.dst).collect();
    assert_eq!(to, [peer.address(0), peer.address(1), peer.address(0)]);
    assert_eq!(states(&peer), [PathState::PotentiallyFailed; 2]);
    peer.send_sack(0, 100_000, &[]);
    peer.answers();
    assert_eq!(
        states(&peer),
        [PathState::PotentiallyFailed; 2],
        "it may have been any of them"
    );
    peer.z_says(b"two");
    let to = peer.answer().dst;
    peer.send_sack(1, 100_000, &[]);
    peer.answers();
    let expected = if to == peer.address(0) {
        [PathState::Active, PathState::PotentiallyFailed]
    } else {
        [PathState::PotentiallyFailed, PathState::Active]
    };
    assert_eq!(states(&peer), expected);
    let back = Event::PathChanged {
        address: to,
        change: PathChange::Available,
    };
    assert_eq!(peer.log.iter().filter(|event| **event == back).count(), 1);
}

#[test]
fn rfc7829_3_2_rule_5_an_answered_heartbeat_that_proves_nothing_is_followed_by_another_within_an_rto() {
    let mut peer = Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    });
    peer.establish_on_all_links();
    peer.z_says(b"data gets lost");
    // The first path, the second, and the first again, where a heartbeat is on its way.
    let answers = peer.run(ms(2700));
    assert_eq!(states(&peer), [PathState::PotentiallyFailed; 2], "{answers:?}");
    let first = peer.address(0);
    let probes = |answers: &[Answer]| -> Vec<Answer> {
        let to_first = answers.iter().filter(|packet| packet.dst == first);
        to_first
            .filter(|packet| packet.has(ChunkType::HEARTBEAT))
            .cloned()
            .collect()
    };
    let last = answers.iter().rfind(|packet| packet.has(ChunkType::DATA));
    assert_eq!(last.unwrap().dst, first);
    assert_eq!(peer.answer_heartbeats(&probes(&answers)), 1);
    peer.answers();
    assert_eq!(states(&peer)[0], PathState::PotentiallyFailed, "rule 7");
    // Rule 9: this brings nothing back either.
    peer.send_sack(0, 100_000, &[]);
    let answers = peer.run(secs(12));
    assert!(!probes(&answers).is_empty(), "{answers:?}");
}

#[test]
fn rfc7829_3_2_rule_10_a_late_sack_shows_that_the_time_out_was_spurious() {
    let mut association = common::without_discovery();
    association.path_mut().set_heartbeat_interval(None).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    peer.establish();
    peer.z_says(b"slow");
    peer.run(ms(1500));
    assert_eq!(states(&peer), [PathState::PotentiallyFailed]);
    peer.send_sack(0, 100_000, &[]);
    peer.answers();
    assert_eq!(states(&peer), [PathState::Active]);
}

#[test]
fn rfc7829_8_a_peer_cannot_make_paths_flap_in_the_users_ear() {
    // It answers heartbeats and never data, and the user takes no events.
    let mut peer = Peer::with(PeerSetup {
        links: 2,
        ..PeerSetup::default()
    });
    peer.establish_on_all_links();
    peer.log.clear();
    let mut heartbeats = 0;
    for _ in 0..300 {
        peer.world.run_for(ms(500));
        let received = peer.world.received(peer.host);
        let answers: Vec<Answer> = received.iter().map(|(at, packet)| common::parse(*at, packet)).collect();
        heartbeats += peer.answer_heartbeats(&answers);
        let status = peer
            .status()
            .filter(|status| status.phase == AssociationPhase::Established);
        let Some(status) = status else { break };
        if status.buffered_bytes < 10_000 {
            peer.z_says(&[7; 500]);
        }
        // The peer is there, as its own data shows.
        let header = Peer::header(peer.tsn, 0, 0);
        peer.send(|buf| write_data(buf, &header, b"x"));
    }
    peer.answers();
    assert!(peer.log.len() <= 80, "{} events", peer.log.len());
    assert!(heartbeats < 150, "{heartbeats}");
}
