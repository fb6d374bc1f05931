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
    assert!(json["open"].is_array() && json["parameters"]["rto_min"].is_number());

    let args = ["--identifier", "3", "--local", "127.0.0.3", "--stats", "-"];
    let mut server = bed.node(env!("CARGO_BIN_EXE_rspserver"), &args);
    server.wait_for("is registered");
    server.interrupt();
    assert!(server.wait().success(), "{}", server.text());
    let lines = server.lines(Source::Stderr);
    let is_there = |wanted: &str| lines.iter().any(|line| line.starts_with(wanted));
    assert!(is_there("sctpActiveEstabs ") && is_there("sctpShutdowns "), "{lines:?}");
}

#[test]
fn a_file_that_cannot_be_written_is_told_in_one_line() {
    let bed = Bed::new();
    let _registrar = bed.registrar();
    let args = ["--local", "127.0.0.2", "--stats", "/nonexistent/file"];
    let mut server = bed.node(env!("CARGO_BIN_EXE_rspserver"), &args);
    server.wait_for("is registered");
    server.interrupt();
    assert!(server.wait().success(), "{}", server.text());
    let lines = server.lines(Source::Stderr);
    assert!(
        matches!(lines.as_slice(), [line] if line.contains("/nonexistent/file")),
        "{lines:?}"
    );
}
