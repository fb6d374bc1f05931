//! Settings that change while an association exists (RFC 9260 §11.1.9, §11.1.12, §11.1.13; RFC 7829 §7.2).

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{A, B, Pair, Setup, connected, lose, ms, secs};
use sctp::config::{AssociationConfig, CongestionControl, PathConfig, PathThresholds, StreamScheduler};
use sctp::error::{FailureReason, SendError, SettingError};
use sctp::serial::{Ppid, StreamId};
use sctp::wire::ChunkType;
use sctp::{Event, OutMessage, PathChange, PathState};

/// Changes the configuration of a side's association.
fn configure(pair: &mut Pair, side: usize, change: impl FnOnce(&mut AssociationConfig)) -> Result<(), SettingError> {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    let stack = pair.world.stack(pair.hosts[side]);
    let mut config = stack.association_config(assoc).unwrap();
    change(&mut config);
    stack.set_association_config(now, assoc, config)
}

/// Changes the settings of A's path on a link, or of all its paths.
fn configure_path(pair: &mut Pair, link: Option<usize>, change: impl FnOnce(&mut PathConfig)) {
    let (now, assoc) = (pair.now(), pair.assoc(A));
    let address = link.map(|link| pair.address(B, link));
    let read_from = pair.address(B, link.unwrap_or(0));
    let stack = pair.world.stack(pair.hosts[A]);
    let mut config = stack.path_config(assoc, read_from).unwrap();
    change(&mut config);
    assert_eq!(stack.set_path_config(now, assoc, address, config), Ok(()));
    assert_eq!(stack.path_config(assoc, read_from), Ok(config));
}

fn heartbeats(pair: &Pair, link: usize) -> usize {
    let sent = pair.sent_on(A, link);
    sent.iter().filter(|packet| packet.has(ChunkType::HEARTBEAT)).count()
}

/// How long a message from A takes whose first transmission is lost.
fn recovery_time(pair: &mut Pair) -> Duration {
    pair.world.set_filter(pair.links[0], lose(ChunkType::DATA, 1));
    let start = pair.now();
    pair.say(A, 0, b"lost once");
    pair.must("it arrives", secs(100), |pair| !pair.hear(B).is_empty());
    pair.now().saturating_since(start)
}

#[test]
fn rfc9260_11_1_13_rto_bounds_change_at_once() {
    let mut pair = connected(Setup::single());
    assert!(recovery_time(&mut pair) >= secs(1));
    pair.run(secs(2));
    configure(&mut pair, A, |config| {
        config.set_rto(ms(300), ms(300), secs(60)).unwrap()
    })
    .unwrap();
    // The next measurement uses them.
    pair.say(A, 0, b"measures");
    pair.run(secs(1));
    pair.hear(B);
    let faster = recovery_time(&mut pair);
    assert!(faster < ms(500), "{faster:?}");
    configure(&mut pair, A, |config| {
        config.set_rto(secs(5), secs(5), secs(60)).unwrap()
    })
    .unwrap();
    assert_eq!(pair.path(A, 0).rto, secs(5));
}

#[test]
fn rfc9260_11_1_12_association_max_retrans_changes_at_once() {
    let mut pair = connected(Setup::single());
    configure(&mut pair, A, |config| config.set_association_max_retrans(2)).unwrap();
    pair.world.set_link_up(pair.links[0], false);
    let start = pair.now();
    pair.say(A, 0, b"into the void");
    pair.must("A gives up", secs(100), |pair| pair.ends(A) == 1);
    // 1, 2 and 4 s.
    let took = pair.now().saturating_since(start);
    assert!((secs(7)..secs(8)).contains(&took), "{took:?}");
    let reason = FailureReason::PeerUnreachable;
    assert_eq!(pair.log[A].last().unwrap().1, Event::CommunicationLost { reason });
}

#[test]
fn rfc9260_11_1_12_the_thresholds_of_one_path_change() {
    let mut pair = connected(Setup::dual());
    let only_dead = PathThresholds::new(0, None, None).unwrap();
    configure_path(&mut pair, Some(0), |path| path.set_thresholds(only_dead));
    pair.world.set_link_up(pair.links[0], false);
    pair.say(A, 0, b"where to");
    pair.run(ms(1500));
    assert_eq!(pair.path(A, 0).state, PathState::Inactive);
    assert_eq!(pair.hear(B).len(), 1);
    // The other one has what it had.
    pair.world.set_link_up(pair.links[1], false);
    pair.say(A, 0, b"where to");
    pair.run(secs(3));
    assert_eq!(pair.path(A, 1).state, PathState::PotentiallyFailed);
}

#[test]
fn rfc7829_7_2_a_path_that_the_new_thresholds_would_not_fail_is_active_again() {
    let mut pair = connected(Setup::dual());
    pair.world.set_link_up(pair.links[0], false);
    pair.say(A, 0, b"where to");
    pair.run(ms(1500));
    assert_eq!(pair.path(A, 0).state, PathState::PotentiallyFailed);
    let later = PathThresholds::new(5, Some(3), None).unwrap();
    configure_path(&mut pair, Some(0), |path| path.set_thresholds(later));
    assert_eq!(
        (pair.path(A, 0).state, pair.path(A, 0).error_count),
        (PathState::Active, 1)
    );
    pair.run(ms(1));
    let back = Event::PathChanged {
        address: pair.address(B, 0),
        change: PathChange::Available,
    };
    assert!(pair.reported(A, |event| *event == back));
}

#[test]
fn rfc9260_11_1_9_heartbeats_are_switched_for_each_path() {
    let mut pair = connected(Setup::dual());
    configure_path(&mut pair, Some(0), |path| path.set_heartbeat_interval(None).unwrap());
    pair.run(secs(200));
    assert_eq!(heartbeats(&pair, 0), 0);
    assert!(heartbeats(&pair, 1) >= 5);
    configure_path(&mut pair, Some(0), |path| {
        path.set_heartbeat_interval(Some(secs(1))).unwrap()
    });
    pair.run(secs(20));
    let count = heartbeats(&pair, 0);
    // An interval and an RTO of a second each.
    assert!((8..=13).contains(&count), "{count}");
}

#[test]
fn rfc9260_11_1_9_heartbeats_of_all_paths_change_and_of_those_to_come() {
    let mut pair = connected(Setup::dual());
    configure_path(&mut pair, None, |path| path.set_heartbeat_interval(None).unwrap());
    pair.run(secs(200));
    assert_eq!(heartbeats(&pair, 0) + heartbeats(&pair, 1), 0);
    let assoc = pair.assoc(A);
    let config = pair.world.peek(pair.hosts[A]).association_config(assoc).unwrap();
    assert_eq!(config.path().heartbeat_interval(), None);
}

#[test]
fn rfc9260_11_1_9_a_failing_path_is_probed_once_heartbeats_are_on() {
    let mut pair = connected(Setup::dual().config(|config| config.path_mut().set_heartbeat_interval(None).unwrap()));
    pair.world.set_link_up(pair.links[0], false);
    pair.say(A, 0, b"where to");
    pair.run(secs(20));
    pair.world.set_link_up(pair.links[0], true);
    pair.run(secs(100));
    assert_eq!(pair.path(A, 0).state, PathState::PotentiallyFailed);
    configure_path(&mut pair, Some(0), |path| {
        path.set_heartbeat_interval(Some(secs(30))).unwrap()
    });
    pair.run(ms(100));
    assert_eq!(pair.path(A, 0).state, PathState::Active);
}

#[test]
fn rfc9260_11_1_13_sack_delay_and_frequency_change() {
    let mut pair = connected(Setup::single());
    pair.say(A, 0, b"first");
    pair.run(secs(1));
    let sack_after = |pair: &mut Pair| {
        let start = pair.now();
        pair.say(A, 0, b"one packet");
        pair.must("it is acknowledged", secs(5), |pair| {
            pair.status(A).unwrap().unacknowledged_messages == 0
        });
        pair.now().saturating_since(start)
    };
    assert_eq!(sack_after(&mut pair), ms(220));
    configure(&mut pair, B, |config| config.set_sack_delay(ms(50)).unwrap()).unwrap();
    assert_eq!(sack_after(&mut pair), ms(70));
    configure(&mut pair, B, |config| config.set_sack_frequency(1).unwrap()).unwrap();
    assert_eq!(sack_after(&mut pair), ms(20));
}

#[test]
fn rfc9260_11_1_13_max_burst_changes() {
    let mut pair = connected(Setup::single());
    let burst = |pair: &mut Pair| {
        pair.say(A, 0, &[1; 60_000]);
        let before = pair.sent(A).len();
        pair.run(ms(1));
        let sent = pair.sent(A).len() - before;
        pair.run(secs(10));
        pair.hear(B);
        sent
    };
    burst(&mut pair);
    assert_eq!(burst(&mut pair), 4);
    configure(&mut pair, A, |config| config.set_max_burst(2)).unwrap();
    assert_eq!(burst(&mut pair), 2);
    // As much as cwnd allows after a pause.
    configure(&mut pair, A, |config| config.set_max_burst(0)).unwrap();
    assert_eq!(burst(&mut pair), 4);
}

#[test]
fn the_send_buffer_changes_and_who_waits_for_it_is_told() {
    let mut pair = connected(Setup::single());
    pair.world.set_link_up(pair.links[0], false);
    let message = |len: usize| OutMessage::new(StreamId(0), Ppid(0), Bytes::from(vec![0; len]));
    configure(&mut pair, A, |config| config.set_send_buffer(10_000).unwrap()).unwrap();
    assert_eq!(pair.send(A, message(10_001)), Err(SendError::TooLarge));
    assert_eq!(pair.send(A, message(9000)), Ok(()));
    assert_eq!(pair.send(A, message(9000)), Err(SendError::WouldBlock));
    configure(&mut pair, A, |config| config.set_send_buffer(20_000).unwrap()).unwrap();
    pair.run(ms(1));
    assert!(pair.reported(A, |event| *event == Event::Writable));
    assert_eq!(pair.send(A, message(9000)), Ok(()));
}

#[test]
fn the_receive_buffer_changes_and_the_peer_learns_of_it() {
    let mut pair = connected(Setup::single().config_of(B, |config| config.set_receive_buffer(20_000).unwrap()));
    for _ in 0..40 {
        pair.say(A, 0, &[0; 1000]);
    }
    pair.run(secs(10));
    assert!(
        pair.status(A).unwrap().unacknowledged_messages > 0,
        "the window is closed"
    );
    configure(&mut pair, B, |config| config.set_receive_buffer(100_000).unwrap()).unwrap();
    // The next probe of the window would be seconds away.
    pair.run(secs(1));
    assert_eq!(pair.status(A).unwrap().unacknowledged_messages, 0);
    // A smaller one throws nothing away.
    configure(&mut pair, B, |config| config.set_receive_buffer(5000).unwrap()).unwrap();
    assert_eq!(pair.hear(B).len(), 40);
    pair.say(A, 0, b"more");
    pair.run(secs(5));
    assert_eq!(pair.hear(B).len(), 1);
    assert!(pair.status(A).unwrap().peer_rwnd <= 5000);
}

#[test]
fn the_mtu_of_a_path_changes() {
    let mut pair = connected(Setup::single());
    let largest = |pair: &mut Pair| {
        let before = pair.sent(A).len();
        pair.say(A, 0, &[0; 5000]);
        pair.run(secs(1));
        pair.hear(B);
        let sent = pair.sent(A);
        sent[before..].iter().map(|packet| packet.size).max().unwrap()
    };
    assert_eq!(largest(&mut pair), 1280);
    configure_path(&mut pair, Some(0), |path| path.set_mtu(1500).unwrap());
    assert_eq!(largest(&mut pair), 1500);
    configure_path(&mut pair, Some(0), |path| path.set_mtu(1300).unwrap());
    assert_eq!(largest(&mut pair), 1300);
}

#[test]
fn rfc6951_5_1_the_peers_udp_port_changes() {
    let mut pair = connected(Setup::single().encapsulated(9899, 9900));
    configure_path(&mut pair, Some(0), |path| {
        path.set_remote_encapsulation_port(Some(12_345))
    });
    assert_eq!(pair.path(A, 0).encapsulation_port, Some(12_345));
    pair.say(A, 0, b"to nobody");
    pair.run(secs(1));
    assert!(pair.hear(B).is_empty());
    configure_path(&mut pair, Some(0), |path| {
        path.set_remote_encapsulation_port(Some(9900))
    });
    pair.must("it arrives", secs(10), |pair| !pair.hear(B).is_empty());
}

#[test]
fn rfc8260_4_3_2_the_stream_scheduler_is_one_of_the_settings() {
    let mut pair = connected(Setup::single());
    let assoc = pair.assoc(A);
    configure(&mut pair, A, |config| {
        config.set_stream_scheduler(StreamScheduler::RoundRobin)
    })
    .unwrap();
    let stack = pair.world.stack(pair.hosts[A]);
    assert_eq!(stack.stream_scheduler(assoc), Ok(StreamScheduler::RoundRobin));
    stack.set_stream_scheduler(assoc, StreamScheduler::Priority).unwrap();
    let config = stack.association_config(assoc).unwrap();
    assert_eq!(config.stream_scheduler(), StreamScheduler::Priority);
}

#[test]
fn what_was_agreed_on_cannot_change() {
    let mut pair = connected(Setup::single());
    let assoc = pair.assoc(A);
    let before = pair.world.peek(pair.hosts[A]).association_config(assoc);
    let changes: [fn(&mut AssociationConfig); 4] = [
        |config| config.set_outbound_streams(3).unwrap(),
        |config| config.set_max_inbound_streams(3).unwrap(),
        |config| config.set_partial_reliability(false),
        |config| config.set_congestion_control(CongestionControl::Cubic),
    ];
    for change in changes {
        let with_allowed_change = |config: &mut AssociationConfig| {
            config.set_max_burst(99);
            change(config);
        };
        assert_eq!(configure(&mut pair, A, with_allowed_change), Err(SettingError::Fixed));
    }
    assert_eq!(pair.world.peek(pair.hosts[A]).association_config(assoc), before);
}

#[test]
fn what_does_not_exist_has_no_settings() {
    let mut pair = connected(Setup::single());
    let (now, assoc, nowhere) = (pair.now(), pair.assoc(A), "192.0.2.9".parse().unwrap());
    let config = AssociationConfig::default();
    let stack = pair.world.stack(pair.hosts[A]);
    assert_eq!(stack.path_config(assoc, nowhere), Err(SettingError::NoSuchPath));
    let refused = stack.set_path_config(now, assoc, Some(nowhere), *config.path());
    assert_eq!(refused, Err(SettingError::NoSuchPath));
    pair.abort(A, b"over");
    let stack = pair.world.stack(pair.hosts[A]);
    let refused = stack.set_path_config(now, assoc, None, *config.path());
    assert_eq!(refused, Err(SettingError::NoSuchAssociation));
    let refused = stack.set_association_config(now, assoc, config);
    assert_eq!(refused, Err(SettingError::NoSuchAssociation));
}

#[test]
fn an_end_points_settings_are_for_new_associations() {
    let mut pair = connected(Setup::single());
    let endpoint = pair.endpoint(B);
    let stack = pair.world.stack(pair.hosts[B]);
    let mut config = stack.endpoint_config(endpoint).unwrap().clone();
    config.set_outbound_streams(3).unwrap();
    assert!(stack.set_endpoint_config(endpoint, config));
    assert_eq!(pair.status(B).unwrap().outbound_streams, 10);
    pair.abort(A, b"again");
    pair.run(secs(1));
    pair.connect();
    assert_eq!(pair.status(B).unwrap().outbound_streams, 3);
}

#[test]
fn settings_during_the_set_up_hold_for_it() {
    let mut pair = Setup::single().build();
    pair.world.set_link_up(pair.links[0], false);
    let start = pair.now();
    pair.start(A);
    configure(&mut pair, A, |config| {
        config.set_max_init_retransmits(1);
        config.set_rto(ms(500), ms(500), ms(500)).unwrap();
    })
    .unwrap();
    pair.must("it is given up", secs(10), |pair| pair.ends(A) == 1);
    // T1-init of 1 s was running, the next one is of 500 ms.
    assert_eq!(pair.now().saturating_since(start), ms(1500));
}

#[test]
fn rfc9260_11_1_13_valid_cookie_life_changes() {
    // The cookie takes 400 ms to come back.
    let mut pair = Setup::single().link(&common::wire(ms(200))).build();
    let stack = pair.world.stack(pair.hosts[B]);
    assert!(stack.set_valid_cookie_life(ms(10)).is_err());
    stack.set_valid_cookie_life(ms(100)).unwrap();
    pair.start(A);
    pair.run(ms(900));
    assert_eq!(pair.world.peek(pair.hosts[B]).stats().stale_cookies, 1);
}
