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

    let fields = [
        "sctp.checksum.status",
        "_ws.malformed",
        "asap.message_type",
        "pingpongprotocol.message_type",
        "_ws.col.Info",
    ];
    let packets = decoder.packets("sctp", &fields);
    let packets: Vec<Vec<&str>> = packets.iter().map(|packet| packet.split('\t').collect()).collect();
    assert!(packets.len() > 100);
    // The checksum of each packet is good (1), and none is malformed.
    let wrong: Vec<_> = packets
        .iter()
        .filter(|packet| packet[0] != "1" || !packet[1].is_empty())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // A packet may carry several messages; their types are listed with commas between.
    let has = |field: usize, kind: &str| packets.iter().any(|packet| packet[field].split(',').any(|k| k == kind));
    for (what, kind) in [
        ("registrations", "1"),
        ("answers to registrations", "3"),
        ("handle resolutions", "5"),
        ("answers to handle resolutions", "6"),
        ("reports of unreachable elements", "9"),
        ("cookies", "11"),
        ("cookie echoes", "12"),
    ] {
        assert!(has(2, kind), "no {what}");
    }
    assert!(has(3, "1"), "no pings");
    assert!(has(3, "2"), "no pongs");
    fs::remove_file(file).unwrap();
}
