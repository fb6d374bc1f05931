//! Users and pool elements as separate programs.

mod common;

use common::{Bed, element_in};
use netns_tests::process::{Program, Source};

#[test]
fn a_killed_server_costs_its_user_nothing() {
    let bed = Bed::new();
    let _registrar = bed.registrar();
    let port = bed.udp_port;
    // One server in each spelling of the options.
    let in_rsplibs_spelling = [
        "-pingpong".to_owned(),
        "-registrar=127.0.0.1:3863".to_owned(),
        "-asapannounce=off".to_owned(),
        "-local=127.0.0.3".to_owned(),
        "-identifier=0x3".to_owned(),
        "-policy=RoundRobin".to_owned(),
        "-rereginterval=5000".to_owned(),
        "-loglevel=1".to_owned(),
        format!("--udp-port={port}"),
    ];
    let third = Program::start(env!("CARGO_BIN_EXE_rspserver"), &in_rsplibs_spelling);
    third.wait_for("element 0x00000003 of PingPongPool is registered");
    let mut servers = [bed.server(2, "--pingpong"), third];
    let mut client = bed.client(&["-interval=50"]);

    let (line, seen) = client.wait_for_from(0, |line| line.contains("serves"));
    let first = usize::from(element_in(&line)) - 2;
    client.wait_for("pong 10,");
    servers[first].kill();
    client.wait_for_from(seen, |line| line.contains("is given up"));
    let (line, seen) = client.wait_for_from(seen, |line| line.contains("serves now"));
    let second = usize::from(element_in(&line)) - 2;
    assert_eq!(second, 1 - first);
    client.wait_for_from(seen, |line| line.starts_with("failover completed"));
    // The other server tells the same story, from its side.
    servers[second].wait_for("session 0 goes on from its cookie at reply");
    client.wait_for_from(seen, |line| line.starts_with("pong"));
    client.interrupt();
    assert!(client.wait().success(), "{}", client.text());
    client.wait_for("none left out");
    let lost = client.wait_for("replies lost");
    assert_eq!(lost.split_whitespace().last(), Some("0"));
    assert_eq!(
        numbers(&client, "pong "),
        (1..=count(&client, "requests sent")).collect::<Vec<u64>>()
    );
}

/// The figure in a line of the report.
fn count(client: &Program, name: &str) -> u64 {
    client
        .wait_for(name)
        .split_whitespace()
        .last()
        .unwrap()
        .parse()
        .unwrap()
}

/// The numbers that follow `prefix`, in the order of numbers: each ping must have its pong.
fn numbers(client: &Program, prefix: &str) -> Vec<u64> {
    let lines = client.lines(Source::Stdout);
    let mut numbers: Vec<u64> = lines
        .iter()
        .filter_map(|line| line.strip_prefix(prefix)?.split_once(',')?.0.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn servers_that_fail_on_purpose_are_replaced_over_and_over() {
    let bed = Bed::new();
    let _registrar = bed.registrar();
    let _servers: Vec<Program> = (2..=3)
        .map(|number: u8| {
            let local = format!("127.0.0.{number}");
            let args = ["-pingpong", "-pppfailureafter=8", "--local", &local];
            let program = bed.node(env!("CARGO_BIN_EXE_rspserver"), &args);
            program.wait_for("is registered");
            program
        })
        .collect();
    let mut client = bed.client(&["--interval", "40", "--count", "60", "--json"]);
    assert!(client.wait().success(), "{}", client.text());
    let lines = client.lines(Source::Stdout);
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let report: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(report["requests"], 60);
    assert_eq!(report["replies"], 60);
    assert_eq!(report["lost"], 0);
    assert!(report["failovers"].as_u64().unwrap() >= 5, "{report}");
    assert_eq!(report["reply_numbers_skipped"], 0);
}

#[test]
fn a_terminal_shows_what_echo_sends_back() {
    let bed = Bed::new();
    let _registrar = bed.registrar();
    let _server = bed.server(2, "--echo");
    let mut terminal = bed.node(env!("CARGO_BIN_EXE_rspterminal"), &["--local", "127.0.0.9"]);
    terminal.write_line("first");
    terminal.write_line("second");
    terminal.wait_for("second");
    terminal.close_input();
    assert!(terminal.wait().success(), "{}", terminal.text());
    assert_eq!(terminal.lines(Source::Stdout), ["first", "second"]);
    assert!(
        terminal
            .lines(Source::Stderr)
            .iter()
            .any(|line| line == "element 0x00000002 serves")
    );
}

#[test]
fn a_terminal_ends_while_it_waits_for_input() {
    let bed = Bed::new();
    let _registrar = bed.registrar();
    let _server = bed.server(2, "--echo");
    let mut terminal = bed.node(env!("CARGO_BIN_EXE_rspterminal"), &["--local", "127.0.0.9"]);
    terminal.wait_for("serves");
    terminal.write_line("hello");
    terminal.wait_for("hello");
    terminal.interrupt();
    assert!(terminal.wait().success(), "{}", terminal.text());
}

#[test]
fn a_server_ends_after_its_time_and_leaves_the_pool() {
    let bed = Bed::new();
    let registrar = bed.registrar();
    // A busy machine may take longer than the shorter times to have it in the pool.
    let registered = ["-runtime=300", "-runtime=3000", "-runtime=30000"]
        .iter()
        .any(|runtime| {
            let args = ["--local", "127.0.0.2", "-identifier=2", runtime, "-policy=LeastUsed"];
            let mut server = bed.node(env!("CARGO_BIN_EXE_rspserver"), &args);
            assert!(server.wait().success(), "{}", server.text());
            server.text().contains("is registered")
        });
    assert!(registered, "{}", registrar.text());
    registrar.wait_for("element 0x00000002 is removed: deregistered");
}
