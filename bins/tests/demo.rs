//! The demonstration.

mod common;

use std::fs;
use std::path::Path;

use common::udp_port;
use netns_tests::capture::Capture;
use netns_tests::process::{Program, Source};

const DEMO: &str = env!("CARGO_BIN_EXE_rspdemo");

/// A demonstration with a UDP port of its own.
fn demo(args: &[&str]) -> Program {
    let port = udp_port().to_string();
    let mut all = vec!["--udp-port", &port];
    all.extend(args);
    Program::start(DEMO, all)
}

#[test]
fn nothing_is_lost_while_servers_are_killed() {
    let mut demo = demo(&["--seconds", "6", "--kill-every", "2", "--json"]);
    let status = demo.wait();
    assert!(status.success(), "{}", demo.text());
    let lines = demo.lines(Source::Stdout);
    let [line] = lines.as_slice() else {
        panic!("one object and nothing else: {lines:?}")
    };
    let report: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(report["lost"], 0, "{report}");
    assert_eq!(report["requests"], report["replies"], "{report}");
    assert!(report["requests"].as_u64().unwrap() > 20, "{report}");
    assert!(report["failovers"].as_u64().unwrap() >= 2, "{report}");
    let median = report["failover_ms"]["median"].as_f64().unwrap();
    assert!(report["failover_ms"]["min"].as_f64().unwrap() <= median, "{report}");
    assert!(report["failover_ms"]["max"].as_f64().unwrap() >= median, "{report}");
}

#[test]
fn an_interrupt_ends_it_in_order() {
    let mut demo = demo(&["--seconds", "100"]);
    demo.wait_for("serves");
    let children = children(&demo);
    demo.interrupt();
    assert!(demo.wait().success(), "{}", demo.text());
    demo.wait_for("replies lost            0");
    assert!(children.iter().all(|id| !is_running(*id)), "elements are gone");
}

#[test]
fn elements_do_not_outlive_a_killed_parent() {
    let mut demo = demo(&["--seconds", "100"]);
    demo.wait_for("serves");
    let children = children(&demo);
    assert_eq!(children.len(), 3);
    demo.kill();
    let deadline = std::time::Instant::now() + netns_tests::process::PATIENCE;
    while children.iter().any(|id| is_running(*id)) {
        assert!(std::time::Instant::now() < deadline, "some of {children:?} still run");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// The processes that a program has started.
fn children(program: &Program) -> Vec<u32> {
    let parent = program.id();
    let path = format!("/proc/{parent}/task/{parent}/children");
    fs::read_to_string(path)
        .unwrap()
        .split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}

/// Whether a process is more than an entry that nobody has collected yet.
fn is_running(id: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat"));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .trim_start()
            .starts_with(['Z', 'X'])
    })
}

#[test]
fn wireshark_finds_nothing_wrong_with_it() {
    let port = udp_port();
    let file = std::env::temp_dir().join(format!("rspdemo-{}.pcapng", std::process::id()));
    let Some(capture) = Capture::start("lo", port, &file) else {
        return;
    };
    let mut demo = Program::start(
        DEMO,
        [
            "--seconds",
            "4",
            "--kill-every",
            "1",
            "--udp-port",
            &port.to_string(),
            "--json",
        ],
    );
    assert!(demo.wait().success(), "{}", demo.text());
    let decoder = capture.stop();

    let fields = ["frame.number", "ip.src", "ip.dst", "_ws.col.Info"];
    let malformed = decoder.packets("_ws.malformed", &fields);
    assert!(malformed.is_empty(), "malformed: {malformed:#?}");
    let bad = decoder.packets("sctp.checksum.status == \"Bad\"", &fields);
    assert!(bad.is_empty(), "bad checksums: {bad:#?}");
    assert!(decoder.count("sctp.checksum.status == \"Good\"") > 100);
    for (what, filter) in [
        ("registrations", "asap.message_type == 0x01"),
        ("answers to registrations", "asap.message_type == 0x03"),
        ("handle resolutions", "asap.message_type == 0x05"),
        ("answers to handle resolutions", "asap.message_type == 0x06"),
        ("reports of unreachable elements", "asap.message_type == 0x09"),
        ("cookies", "asap.message_type == 0x0b"),
        ("cookie echoes", "asap.message_type == 0x0c"),
        ("pings", "pingpongprotocol.message_type == 1"),
        ("pongs", "pingpongprotocol.message_type == 2"),
    ] {
        assert!(decoder.count(filter) > 0, "no {what}");
    }
    fs::remove_file(file).unwrap();
}
