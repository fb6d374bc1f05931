//! The kernel backend of the sockets: their own tests, and programs on them, run in the guest.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use netns_tests::guest::{GUEST, HOST, Session};
use netns_tests::process::{Program, Source};

use crate::common::UDP_PORT;

/// How long the tests of one file, or a program, may take in the guest, whose processor is emulated.
const LONG: Duration = Duration::from_secs(300);

/// Builds tests or programs as a user would, and gives the file of each.
fn build(args: &[&str]) -> BTreeMap<String, PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(args).args(["--locked", "--message-format=json"]);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{said}");
    let mut files = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let (name, file) = (message["target"]["name"].as_str(), message["executable"].as_str());
        // An example has the name of a test.
        let is_example = message["target"]["kind"][0] == "example";
        if let (Some(name), Some(file), false) = (name, file, is_example) {
            files.insert(name.to_owned(), PathBuf::from(file));
        }
    }
    files
}

/// The folder of this build, which the guest sees as `/target`.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}

/// Where the guest sees a file of this build.
fn in_guest(files: &BTreeMap<String, PathBuf>, name: &str) -> String {
    let file = files.get(name).unwrap_or_else(|| panic!("{name} was not built"));
    let inside = file
        .strip_prefix(target())
        .unwrap_or_else(|_| panic!("{} is not in {}", file.display(), target().display()));
    format!("/target/{}", inside.display())
}

/// Runs the tests of some files in the guest, on kernel sockets.
fn run(features: &[&str], names: &[&str]) {
    let Some(session) = Session::start(&[]) else { return };
    let mut args = vec!["test", "--no-run", "-p", "socketapi"];
    args.extend(features);
    let files = build(&args);
    for name in names {
        let test = in_guest(&files, name);
        let mut job = session.spawn(["env", "SCTP_BACKEND=kernel", &test, "--test-threads=4"]);
        let status = job.wait_long(LONG);
        assert_eq!(status, 0, "{name}:\n{}", job.text());
        let said = job.lines(Source::Stdout);
        let result = said.iter().find_map(|line| line.strip_prefix("test result: ok. "));
        let passed = result.and_then(|counts| counts.split(' ').next()?.parse::<u32>().ok());
        assert!(passed.is_some_and(|passed| passed > 0), "{name}:\n{}", job.text());
    }
}

/// With both backends in the program, the environment chooses.
const BOTH: [&str; 2] = ["--features", "kernel"];

#[test]
fn one_to_one_sockets_of_the_kernel() {
    run(&BOTH, &["one_to_one", "blocking", "backend"]);
}

#[test]
fn one_to_many_sockets_of_the_kernel() {
    run(&BOTH, &["one_to_many", "notifications"]);
}

#[test]
fn options_of_the_kernels_sockets() {
    run(&BOTH, &["options", "send_options", "extension_events"]);
}

#[test]
fn rules_of_the_sockets_api_on_the_kernel() {
    run(&BOTH, &["sockets_api"]);
}

#[test]
fn full_buffers_of_the_kernel() {
    run(&BOTH, &["backpressure"]);
}

#[test]
fn sockets_of_a_build_that_has_nothing_but_the_kernel() {
    run(
        &["--no-default-features", "--features", "kernel"],
        &["socketapi", "one_to_one", "one_to_many"],
    );
}

/// The programs, with both backends.
fn programs() -> BTreeMap<String, PathBuf> {
    build(&["build", "-p", "bins", "--bins", "--features", "kernel"])
}

#[test]
fn nothing_is_lost_while_servers_on_the_kernel_are_killed() {
    let Some(session) = Session::start(&[]) else { return };
    let demo = in_guest(&programs(), "rspdemo");
    let command = [&demo, "--seconds", "8", "--kill-every", "3", "--json"];
    let mut job = session.spawn(["env", "SCTP_BACKEND=kernel"].iter().chain(&command));
    assert_eq!(job.wait_long(LONG), 0, "{}", job.text());
    let report: serde_json::Value = serde_json::from_str(&job.lines(Source::Stdout).join("")).unwrap();
    assert_eq!(report["lost"], 0, "{report}");
    assert_eq!(report["requests"], report["replies"], "{report}");
    assert!(report["failovers"].as_u64().unwrap() >= 1, "{report}");
    let opened = session.run(["grep", "SctpActiveEstabs", "/proc/net/sctp/snmp"]);
    let opened: u32 = opened.split_whitespace().next_back().unwrap().parse().unwrap();
    assert!(opened > 0, "it was the kernel's SCTP");
}

/// Registrar and user are out here, on the userland stack; the pool element is in the guest, on the kernel. Each side
/// opens associations with the other, in UDP.
#[test]
fn userland_and_kernel_make_one_pool() {
    let port = UDP_PORT.into();
    let Some(session) = Session::start(&[("encap_port", port), ("udp_port", port)]) else {
        return;
    };
    let files = programs();
    let (ours, theirs) = (HOST, GUEST.join(","));
    let userland = ["--backend", "userland", "--asapannounce", "off", "--local"];
    let registrar = Program::start(&files["rspregistrar"], userland.iter().chain(&[ours[0]]));
    registrar.wait_for("registrar 0x");

    let to_registrar = ["--registrar", ours[0]];
    let server = in_guest(&files, "rspserver");
    let kernel = ["--backend", "kernel", "--asapannounce", "off", "--local", &theirs];
    let server = session.spawn([&*server, "--pingpong"].iter().chain(&kernel).chain(&to_registrar));
    server.wait_for("is registered");

    let play = ["--interval", "20", "--count", "50", "--json"];
    let at = [ours[1]];
    let client = userland.iter().chain(&at).chain(&to_registrar).chain(&play);
    let mut client = Program::start(&files["pingpongclient"], client);
    assert!(client.wait().success(), "{}\n{}", client.text(), server.text());
    let report: serde_json::Value = serde_json::from_str(&client.lines(Source::Stdout).join("")).unwrap();
    assert_eq!(report["replies"], 50, "{report}");
    assert_eq!(report["lost"], 0, "{report}");
}
