//! What programs tell of their SCTP when they end.

mod common;

use common::Bed;
use netns_tests::process::Source;

#[test]
fn a_program_tells_of_its_sctp_at_its_end_as_lines_or_as_json() {
    let bed = Bed::new();
    let _registrar = bed.registrar();
    let file = std::env::temp_dir().join(format!("bins-stats-{}.json", std::process::id()));
    let path = file.to_str().unwrap();
    let args = ["--identifier", "2", "--local", "127.0.0.2", "--stats", path];
    let mut server = bed.node(env!("CARGO_BIN_EXE_rspserver"), &args);
    server.wait_for("is registered");
    server.interrupt();
    assert!(server.wait().success(), "{}", server.text());
    let text = std::fs::read_to_string(&file).unwrap();
    let _ = std::fs::remove_file(&file);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["stats"]["sctpActiveEstabs"], 1, "{json:#}");
    assert_eq!(json["stats"]["sctpCurrEstab"], 0);
    assert_eq!(json["open"][0]["paths"][0]["address"], "127.0.0.1");

    let args = ["--identifier", "3", "--local", "127.0.0.3", "--stats", "-"];
    let mut server = bed.node(env!("CARGO_BIN_EXE_rspserver"), &args);
    server.wait_for("is registered");
    server.interrupt();
    assert!(server.wait().success(), "{}", server.text());
    let lines = server.lines(Source::Stderr);
    let is_there = |wanted: &str| lines.iter().any(|line| line.starts_with(wanted));
    assert!(is_there("sctpActiveEstabs ") && is_there("association "), "{lines:?}");
}

#[test]
fn a_file_that_cannot_be_written_is_told_in_one_line() {
    let bed = Bed::new();
    let args = ["--local", "127.0.0.1", "--asapannounce", "off", "--stats", "/nonexistent/file"];
    let port = bed.udp_port.to_string();
    let all = args.into_iter().chain(["--udp-port", &port]);
    let mut registrar = netns_tests::process::Program::start(env!("CARGO_BIN_EXE_rspregistrar"), all);
    registrar.wait_for("registrar 0x");
    registrar.interrupt();
    assert!(registrar.wait().success());
    let lines = registrar.lines(Source::Stderr);
    assert!(matches!(lines.as_slice(), [line] if line.contains("/nonexistent/file")), "{lines:?}");
}
