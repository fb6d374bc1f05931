//! The kernel backend of the sockets: their tests, and programs on them, run in the guest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use netns_tests::guest::Session;
use netns_tests::process::Source;

/// How long the tests of one file may take in the guest, whose processor is emulated.
const LONG: Duration = Duration::from_secs(300);

/// Builds tests of the sockets as a user would, and gives the program of each file.
fn build(features: &[&str]) -> BTreeMap<String, PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "test",
        "--locked",
        "--no-run",
        "--message-format=json",
        "-p",
        "socketapi",
    ]);
    command
        .args(features)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (messages, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{command:?}:\n{said}");
    let mut programs = BTreeMap::new();
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let (name, program) = (message["target"]["name"].as_str(), message["executable"].as_str());
        if let (Some(name), Some(program), Some(true)) = (name, program, message["profile"]["test"].as_bool()) {
            programs.insert(name.to_owned(), PathBuf::from(program));
        }
    }
    programs
}

/// Where the guest sees a program of this build.
fn in_guest(program: &Path) -> String {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(2).unwrap();
    let inside = program
        .strip_prefix(target)
        .unwrap_or_else(|_| panic!("{} is not in {}", program.display(), target.display()));
    format!("/target/{}", inside.display())
}

/// Runs the tests of some files in the guest, on kernel sockets.
fn run(features: &[&str], files: &[&str]) {
    let Some(session) = Session::start(&[]) else { return };
    let programs = build(features);
    let only = std::env::var("BACKEND_TESTS").unwrap_or_default();
    for file in files {
        let program = in_guest(
            programs
                .get(*file)
                .unwrap_or_else(|| panic!("no tests are called {file}")),
        );
        let mut job = session.spawn(["env", "SCTP_BACKEND=kernel", &program, "--test-threads=4", &only]);
        let status = job.wait_long(LONG);
        let said = job.lines(Source::Stdout);
        let result = said.iter().rev().find(|line| line.starts_with("test result"));
        println!("{file}: {}", result.map_or("", |line| line));
        assert_eq!(status, 0, "{file}:\n{}", job.text());
    }
}

#[test]
fn one_to_one_sockets() {
    run(&["--features", "kernel"], &["one_to_one"]);
}

#[test]
fn one_to_many_sockets() {
    run(&["--features", "kernel"], &["one_to_many"]);
}

#[test]
fn the_other_tests_of_sockets() {
    run(
        &["--features", "kernel"],
        &[
            "notifications",
            "options",
            "send_options",
            "backpressure",
            "blocking",
            "extension_events",
        ],
    );
}
