//! What the tests of the engine share: a pair of hosts, a scripted peer, transfers that check every message.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

pub(crate) mod addresses;
pub(crate) mod asconf;
pub(crate) mod auth;
mod datagram;
mod mixture;
mod pair;
mod peer;
pub(crate) mod reconfig;
mod transfer;

use std::env;
use std::io::Write;
use std::time::Duration;

use sctp::config::{AssociationConfig, StreamScheduler};
use sctp::sim::{LinkConfig, Packet, Verdict};
use sctp::wire::ChunkType;

pub(crate) use datagram::datagram;
pub(crate) use mixture::{Mixture, bad, exchange_mixtures};
pub(crate) use pair::{A, B, Family, PORT_A, PORT_B, Pair, Setup, connected};
pub(crate) use peer::{Answer, ChunkBytes, PEER_PORT, Peer, PeerSetup, Z_PORT, data_chunks, parse, sack_of};
pub(crate) use transfer::{Flow, transfer};

/// So many milliseconds.
pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// So many seconds.
pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// All stream schedulers (RFC 8260 §3).
pub(crate) const SCHEDULERS: [StreamScheduler; 6] = [
    StreamScheduler::FirstComeFirstServed,
    StreamScheduler::RoundRobin,
    StreamScheduler::RoundRobinPerPacket,
    StreamScheduler::Priority,
    StreamScheduler::FairCapacity,
    StreamScheduler::WeightedFairQueueing,
];

/// A number from the environment, such as how many seeds a soak takes.
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

/// A link with a latency and no other property.
pub(crate) fn wire(latency: Duration) -> LinkConfig {
    LinkConfig::new().latency(latency).mtu(1500)
}

/// A filter that loses the first `count` packets with a chunk of type `kind`.
pub(crate) fn lose(kind: ChunkType, count: usize) -> impl FnMut(sctp::Instant, &Packet) -> Verdict + 'static {
    let mut left = count;
    move |_, packet| {
        if left > 0 && packet.has(kind) {
            left -= 1;
            return Verdict::Drop;
        }
        Verdict::Pass
    }
}

/// Says that the running test does not run, and why; fails with `TESTS_REQUIRE=all` in the environment.
pub(crate) fn skip(reason: &str) {
    assert!(
        env::var_os("TESTS_REQUIRE").is_none_or(|value| value != "all"),
        "must run here, as TESTS_REQUIRE=all says: {reason}"
    );
    // Straight to the descriptor: the test harness swallows what `eprintln!` prints in a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// The default configuration without path MTU discovery, whose probes tests of other things would have to expect.
pub(crate) fn without_discovery() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.path_mut().set_mtu_discovery(None).unwrap();
    config
}
