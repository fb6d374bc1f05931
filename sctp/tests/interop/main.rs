//! The engine against other implementations, over the simulator's links with virtual time.
//!
//! [`Foreign`] is the other end, [`Match`] joins it with one of ours. The other ends are libraries of their own and may
//! panic: every call into one is caught, and a failure says whose it is.

#[path = "../common/mod.rs"]
mod common;
mod dcsctp;
mod foreign;
mod sctp_proto;

use std::time::Duration;

use foreign::{Foreign, Match, Side, Traffic};
use sctp::sim::LinkConfig;
use sctp::{AssociationPhase, Event, Reliability};

use common::{ms, secs, wire};

/// A link without faults.
fn good() -> LinkConfig {
    wire(ms(10))
}

/// A fifth of the packets is lost in both directions, and others overtake each other.
fn bad() -> LinkConfig {
    wire(ms(10)).loss(0.2).reordering(0.05, ms(15))
}

/// Sets up from either side.
fn set_up(new: impl Fn() -> Box<dyn Foreign>) {
    for side in [Side::Ours, Side::Theirs] {
        for seed in 1..4 {
            Match::new(new(), &bad(), seed).connect(side);
        }
    }
}

/// Messages both ways, each of which is checked, over an association that either side opened.
fn bulk(
    new: impl Fn() -> Box<dyn Foreign>,
    link: &LinkConfig,
    count: u32,
    limit: Duration,
    ends: impl Fn(Side) -> bool,
) {
    for (seed, side) in [(1, Side::Ours), (2, Side::Theirs)] {
        let mut game = Match::new(new(), link, seed);
        game.connect(side);
        let mut traffic = [
            Traffic::new(count, &[20, 1000, 5000]),
            Traffic::new(count, &[300, 1200]),
        ];
        game.must("all messages arrive", limit, |game| {
            traffic[0].pump(game, Side::Ours);
            traffic[1].pump(game, Side::Theirs);
            traffic.iter().all(Traffic::is_complete)
        });
        if ends(side) {
            game.shut_down(side);
            game.must("both ends have ended", secs(300), |game| {
                game.told(|event| *event == Event::ShutdownComplete) && game.foreign.is_closed()
            });
        }
    }
}

/// One side gives the association up, and the other one learns it.
fn abort(new: impl Fn() -> Box<dyn Foreign>, side: Side) {
    let mut game = Match::new(new(), &good(), 1);
    game.connect(Side::Ours);
    game.abort(side);
    game.must("both ends have ended", secs(60), |game| {
        game.status()
            .is_none_or(|status| status.phase == AssociationPhase::Closed)
            && game.foreign.is_closed()
    });
}

/// Messages that may be given up, both ways, over a bad link: some are, and what is reliable still arrives after them.
fn partial_reliability(new: impl Fn() -> Box<dyn Foreign>, reliability: Reliability) {
    let mut game = Match::new(new(), &bad(), 3);
    game.connect(Side::Ours);
    assert!(game.status().unwrap().partial_reliability);
    let traffic = || Traffic::new(300, &[1000, 3000]).reliability(reliability);
    let mut traffic = [traffic(), traffic()];
    game.must("all messages are sent or given up", secs(1000), |game| {
        traffic[0].pump(game, Side::Ours);
        traffic[1].pump(game, Side::Theirs);
        traffic.iter().all(Traffic::is_sent) && game.status().unwrap().buffered_bytes == 0
    });
    game.run(secs(60));
    traffic[0].pump(&mut game, Side::Ours);
    traffic[1].pump(&mut game, Side::Theirs);
    for traffic in &traffic {
        assert!(traffic.received > 0 && !traffic.is_complete(), "{}", traffic.received);
    }
    let mut last = [Traffic::new(8, &[100]), Traffic::new(8, &[100])];
    game.must("both sides go on", secs(120), |game| {
        last[0].pump(game, Side::Ours);
        last[1].pump(game, Side::Theirs);
        last.iter().all(Traffic::is_complete)
    });
}
