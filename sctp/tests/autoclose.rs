//! Associations that end when nobody uses them (RFC 6458 §8.1.8).

mod common;

use common::{A, B, Pair, Setup, ms, secs};
use sctp::{AssociationPhase, Event, Instant};

/// B closes what is idle for 10 s.
fn pair() -> Pair {
    let setup = Setup::single().config_of(B, |config| config.set_autoclose(Some(secs(10))).unwrap());
    let mut pair = setup.build();
    pair.connect();
    pair
}

fn is_open(pair: &Pair) -> bool {
    pair.phase(B) == Some(AssociationPhase::Established)
}

fn ended_at(pair: &Pair, side: usize) -> Option<Instant> {
    let log = pair.log[side].iter();
    log.filter(|(_, event)| *event == Event::ShutdownComplete)
        .map(|(at, _)| *at)
        .next()
}

#[test]
fn rfc6458_8_1_8_an_idle_association_is_shut_down() {
    let mut pair = pair();
    pair.say(A, 0, b"last words");
    pair.run(ms(10));
    let last = pair.now();
    pair.must("both have ended", secs(20), |pair| pair.ends(A) + pair.ends(B) == 2);
    for side in [A, B] {
        let idle = ended_at(&pair, side).expect("a graceful end").saturating_since(last);
        assert!((secs(10)..ms(10_200)).contains(&idle), "{idle:?}");
    }
    // What was not taken yet is there.
    assert_eq!(pair.hear_payloads(B), [&b"last words"[..]]);
}

#[test]
fn rfc6458_8_1_8_data_in_either_direction_keeps_it_open() {
    for side in [A, B] {
        let mut pair = pair();
        for _ in 0..10 {
            pair.run(secs(9));
            pair.say(side, 0, b"still there");
        }
        pair.run(secs(9));
        assert!(is_open(&pair));
        pair.run(secs(2));
        assert!(ended_at(&pair, A).is_some() && ended_at(&pair, B).is_some());
    }
}

#[test]
fn rfc6458_8_1_8_heartbeats_do_not_keep_it_open() {
    let setup = Setup::single().config_of(B, |config| config.set_autoclose(Some(secs(10))).unwrap());
    let mut pair = setup
        .config_of(A, |config| {
            config.path_mut().set_heartbeat_interval(Some(secs(1))).unwrap();
        })
        .build();
    pair.connect();
    pair.run(secs(11));
    assert!(ended_at(&pair, B).is_some());
}

#[test]
fn rfc6458_8_1_8_data_that_is_on_its_way_is_not_idleness() {
    let mut pair = pair();
    pair.world.set_link_up(pair.links[0], false);
    pair.say(B, 0, b"not yet there");
    pair.run(secs(30));
    assert!(is_open(&pair));
    pair.world.set_link_up(pair.links[0], true);
    pair.must("it arrives", secs(60), |pair| !pair.hear(A).is_empty());
    pair.must("both have ended", secs(60), |pair| pair.ends(A) + pair.ends(B) == 2);
    assert!(ended_at(&pair, A).is_some());
}

#[test]
fn rfc6458_8_1_8_without_it_an_association_stays_open() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.run(secs(24 * 3600));
    assert!(is_open(&pair));
}

#[test]
fn rfc6458_8_1_8_it_is_switched_on_and_off_at_any_time() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.run(secs(100));
    let set = |pair: &mut Pair, idle| {
        let (now, assoc) = (pair.now(), pair.assoc(A));
        let stack = pair.world.stack(pair.hosts[A]);
        let mut config = stack.association_config(assoc).unwrap();
        config.set_autoclose(idle).unwrap();
        stack.set_association_config(now, assoc, config).unwrap();
    };
    set(&mut pair, Some(secs(5)));
    pair.run(secs(4));
    set(&mut pair, None);
    pair.run(secs(100));
    assert!(is_open(&pair));
    set(&mut pair, Some(secs(5)));
    pair.run(secs(4));
    assert!(is_open(&pair));
    pair.run(secs(2));
    assert!(ended_at(&pair, A).is_some());
}

#[test]
fn rfc6458_8_1_8_values_out_of_range_are_refused() {
    let mut config = sctp::config::AssociationConfig::default();
    assert!(config.set_autoclose(Some(ms(0))).is_err());
    assert!(config.set_autoclose(Some(secs(1 << 32))).is_err());
    assert_eq!(config.autoclose(), None);
}
