//! One seed, one trace: in one process, in another, and with a bystander.

mod common;

use std::env;
use std::process::Command;

use common::{A, B, Flow, Setup, ms, secs, transfer};
use sctp::sim::{HostConfig, LinkConfig, Script, write_pcap};

/// A run with everything that draws: losses, two paths, a cut, heartbeats, a restart. The hash of its trace and its
/// captures.
fn run(seed: u64, bystander: bool) -> (u64, Vec<u8>) {
    let link = LinkConfig::wan()
        .loss(0.03)
        .burst_loss(0.01, 0.2, 0.5)
        .duplication(0.02)
        .corruption(0.01)
        .reordering(0.05, ms(30));
    let mut pair = Setup::dual().seed(seed).link(&link).build();
    if bystander {
        let other = pair.world.add_link("bystanders", LinkConfig::lan());
        let config = HostConfig::new("bystander").interface(other, &["192.0.2.1"]);
        pair.world.add_host(config);
    }
    pair.links.clone().into_iter().for_each(|link| pair.world.capture(link));
    let cut = pair.links[0];
    Script::new()
        .at(secs(1))
        .cut(cut)
        .at(secs(20))
        .restore(cut)
        .play(&mut pair.world);
    pair.connect();
    let mut flows = [
        Flow::new(A, 300).streams(4).sizes(&[100, 3000]).unordered_every(5),
        Flow::new(B, 300).streams(2).sizes(&[1200]),
    ];
    transfer(&mut pair, &mut flows, secs(600));
    pair.restart(A);
    pair.connect();
    pair.run(secs(300));
    let mut pcap = Vec::new();
    for link in pair.links.clone() {
        write_pcap(pair.world.captured(link), &mut pcap).unwrap();
    }
    (pair.world.trace().hash(), pcap)
}

#[test]
fn the_same_seed_gives_the_same_trace_and_the_same_packets() {
    let (hash, pcap) = run(42, false);
    assert_eq!(run(42, false), (hash, pcap));
}

#[test]
fn another_seed_gives_another_trace() {
    assert_ne!(run(42, false).0, run(43, false).0);
}

#[test]
fn a_bystander_changes_nothing() {
    assert_eq!(run(42, true), run(42, false));
}

/// Set in the child process of the next test.
const CHILD: &str = "SCTP_DETERMINISM_CHILD";

#[test]
#[expect(clippy::disallowed_macros, reason = "the child process answers so")]
fn another_process_gives_the_same_trace() {
    let (hash, _) = run(7, false);
    let line = format!("trace hash {hash:016x}");
    if env::var_os(CHILD).is_some() {
        println!("{line}");
        return;
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "another_process_gives_the_same_trace", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    assert!(output.contains(&line), "expected {line}, got {output}");
}
