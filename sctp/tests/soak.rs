//! Many seeds over bad networks. Every message is checked: none may be lost, come twice, be altered, or overtake
//! another one of its stream.
//!
//! `SOAK_SEEDS` says how many seeds, `SOAK_FIRST` which is the first. A failure prints the command that repeats it.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use common::{A, B, Family, Flow, Pair, Setup, ms, number, secs, transfer};
use sctp::Event;
use sctp::config::CongestionControl;
use sctp::sim::{LinkConfig, Script};

/// Runs a test for each seed.
#[expect(
    clippy::disallowed_macros,
    reason = "whoever reads of a failure wants to see it again"
)]
fn for_seeds(test: &str, count: u64, run: impl Fn(u64)) {
    let first = number("SOAK_FIRST", 1);
    for seed in first..first + number("SOAK_SEEDS", count) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            println!("to see it again: SOAK_SEEDS=1 SOAK_FIRST={seed} cargo test -p sctp --test soak -- {test}");
            resume_unwind(panic);
        }
    }
}

/// Ends the association gracefully and checks that both sides say so, once.
fn finish(pair: &mut Pair, side: usize) {
    pair.shutdown(side);
    pair.must("both sides have ended", secs(1200), |pair| {
        pair.ends(A) > 0 && pair.ends(B) > 0
    });
    pair.run(secs(10));
    for side in [A, B] {
        assert_eq!(pair.ends(side), 1, "{:?}", pair.log[side]);
        assert!(
            pair.reported(side, |event| *event == Event::ShutdownComplete),
            "{:?}",
            pair.log[side]
        );
    }
}

/// Both algorithms take part.
fn algorithm(seed: u64) -> CongestionControl {
    if (seed / 6).is_multiple_of(2) {
        CongestionControl::Rfc9260
    } else {
        CongestionControl::Cubic
    }
}

fn mixed_flows(seed: u64, count: u64) -> [Flow; 2] {
    [
        Flow::new(A, count)
            .streams(1 + seed as u16 % 9)
            .sizes(&[8, 100, 1200, 1233, 4000])
            .unordered_every(seed % 5),
        Flow::new(B, count)
            .streams(1 + seed as u16 % 3)
            .sizes(&[500, 20, 9000])
            .unordered_every(seed % 7),
    ]
}

/// Two paths with 5 % loss, reordering and duplication, one of which goes down in the middle.
fn two_paths(seed: u64) {
    let link = LinkConfig::new()
        .latency(ms(5 + seed % 40))
        .jitter(ms(5))
        .mtu(1500)
        .loss(0.05)
        .duplication(0.05)
        .reordering(0.1, ms(50));
    let family = [Family::V4, Family::V6, Family::Alternating][seed as usize % 3];
    let mut setup = Setup::dual().seed(seed).family(family).link(&link);
    setup = setup.config(|config| config.set_congestion_control(algorithm(seed)));
    if seed.is_multiple_of(2) {
        setup = setup.encapsulated(9899, 9899);
    }
    let mut pair = setup.build();
    pair.connect();
    let broken = pair.links[seed as usize / 2 % 2];
    Script::new()
        .at(ms(500 + seed * 37 % 1000))
        .cut(broken)
        .play(&mut pair.world);
    transfer(&mut pair, &mut mixed_flows(seed, 250), secs(3600));
    finish(&mut pair, seed as usize % 2);
}

/// One path that goes bad in bursts, with bit errors and small buffers.
fn bursts(seed: u64) {
    let link = LinkConfig::new()
        .latency(ms(20))
        .mtu(1500)
        .burst_loss(0.02, 0.4, 0.7)
        .corruption(0.02)
        .reordering(0.02, ms(100));
    let mut pair = Setup::single()
        .seed(seed)
        .link(&link)
        .config(|config| {
            config.set_congestion_control(algorithm(seed));
            config.set_receive_buffer(20_000).unwrap();
            config.set_send_buffer(30_000).unwrap();
            // A bad spell lasts packets, not time, so it can swallow many repetitions of one.
            config.set_association_max_retrans(40);
            config.set_max_init_retransmits(40);
        })
        .build();
    pair.connect();
    transfer(&mut pair, &mut mixed_flows(seed, 150), secs(7200));
    finish(&mut pair, seed as usize % 2);
}

/// A slow link with a short queue, which is where losses come from.
fn bottleneck(seed: u64) {
    let link = LinkConfig::new()
        .latency(ms(30))
        .mtu(1500)
        .rate(500_000 + seed % 4 * 1_000_000, 12_000);
    // Some such links mark packets in place of losing them.
    let link = if seed.is_multiple_of(3) {
        link.marks_above(6000)
    } else {
        link
    };
    let setup = Setup::single().seed(seed).link(&link);
    let mut pair = setup
        .config(|config| config.set_congestion_control(algorithm(seed)))
        .build();
    pair.connect();
    transfer(&mut pair, &mut mixed_flows(seed, 200), secs(3600));
    finish(&mut pair, A);
}

/// Two paths that take turns in failing, so that data moves to and fro.
fn flapping(seed: u64) {
    let link = common::wire(ms(10)).loss(0.01);
    let setup = Setup::dual().seed(seed).link(&link);
    let mut pair = setup
        .config(|config| config.set_congestion_control(algorithm(seed)))
        .build();
    pair.connect();
    let (first, second) = (pair.links[0], pair.links[1]);
    let mut script = Script::new();
    for round in 0..20 {
        let at = secs(round * 60);
        script = script
            .at(at + ms(500 + seed * 13 % 500))
            .cut(first)
            .at(at + secs(25))
            .restore(first);
        script = script.at(at + secs(35)).cut(second).at(at + secs(50)).restore(second);
    }
    script.play(&mut pair.world);
    let mut flows = mixed_flows(seed, 150);
    transfer(&mut pair, &mut flows, secs(3600));
    // More, after whatever that did to the paths.
    pair.run(secs(120));
    transfer(&mut pair, &mut mixed_flows(seed + 1, 50), secs(3600));
    pair.run(secs(1500));
    finish(&mut pair, B);
}

#[test]
fn two_paths_of_which_one_breaks() {
    for_seeds("two_paths_of_which_one_breaks", 200, two_paths);
}

#[test]
fn bursts_of_losses_and_small_buffers() {
    for_seeds("bursts_of_losses_and_small_buffers", 6, bursts);
}

#[test]
fn a_bottleneck_with_a_short_queue() {
    for_seeds("a_bottleneck_with_a_short_queue", 6, bottleneck);
}

#[test]
fn paths_that_come_and_go() {
    for_seeds("paths_that_come_and_go", 4, flapping);
}

#[test]
#[ignore = "takes a minute; every profile with many seeds"]
fn many_seeds_of_everything_else() {
    for_seeds("many_seeds_of_everything_else -- --ignored", 50, |seed| {
        bursts(seed);
        bottleneck(seed);
        flapping(seed);
    });
}
