//! The kernel backend of the sockets: their own tests, examples and programs on them, run in the guest.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use netns_tests::guest::{GUEST, HOST, Job, Session};
use netns_tests::process::{Program, Source};
use netns_tests::require;

use crate::common::UDP_PORT;

/// How long the tests of one file, or a program, may take in the guest, whose processor is emulated.
const LONG: Duration = Duration::from_secs(900);

/// The folder of the programs in that of this build: those there have other features.
const FOLDER: &str = "guest";

/// Builds tests, examples or programs as a user would, and gives the file of each of a kind. What they are made of lies
/// where it always does, so that little is built twice.
fn build(kind: &str, args: &[&str]) -> BTreeMap<String, PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(args).args(["--locked", "--message-format=json"]);
    command.env("CARGO_TARGET_DIR", target().join(FOLDER));
    command.env("CARGO_BUILD_BUILD_DIR", target().parent().unwrap());
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{said}");
    let mut files = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let (name, file) = (message["target"]["name"].as_str(), message["executable"].as_str());
        // An example has the name of a test.
        let is_wanted = message["target"]["kind"][0] == kind;
        if let (Some(name), Some(file), true) = (name, file, is_wanted) {
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

/// Builds the tests of the sockets, and gives the file of each.
fn tests(features: &[&str]) -> BTreeMap<String, PathBuf> {
    let args = ["test", "--no-run", "-p", "socketapi", "--tests"];
    let args: Vec<&str> = args.iter().chain(features).copied().collect();
    let mut files = build("test", &args);
    files.extend(build("lib", &args));
    files
}

/// Runs the tests of a file in the guest, on kernel sockets. Which of them do not run there is said, with the reason.
fn run_one(session: &Session, files: &BTreeMap<String, PathBuf>, name: &str) -> Job {
    let test = in_guest(files, name);
    // One after another: a program that a test starts holds the sockets of all others until it runs, so that one that was
    // closed still listens.
    let command = ["env", "SCTP_BACKEND=kernel", &test, "--test-threads=1", "--nocapture"];
    let mut job = session.spawn(command);
    let status = job.wait_long(LONG);
    assert_eq!(status, 0, "{name}:\n{}", job.text());
    let said = job.lines(Source::Stdout);
    let result = said.iter().find_map(|line| line.strip_prefix("test result: ok. "));
    let passed = result.and_then(|counts| counts.split(' ').next()?.parse::<u32>().ok());
    assert!(passed.is_some_and(|passed| passed > 0), "{name}:\n{}", job.text());
    for line in job.lines(Source::Stderr) {
        if let Some(skipped) = line.strip_prefix("not on the kernel: ") {
            require::say(&format!("not on the kernel: {name}: {skipped}"));
        }
    }
    job
}

/// Runs the tests of some files in the guest, on kernel sockets.
fn run(features: &[&str], names: &[&str]) {
    let Some(session) = Session::start(&[]) else { return };
    let files = tests(features);
    for name in names {
        run_one(&session, &files, name);
    }
}

/// With both backends in the program, the environment chooses.
const BOTH: [&str; 2] = ["--features", "kernel"];
/// The tests of sockets that run on the kernel too.
const ON_BOTH: [&str; 14] = [
    "backend",
    "backpressure",
    "blocking",
    "errno",
    "extension_events",
    "marks",
    "notifications",
    "one_to_many",
    "one_to_one",
    "options",
    "rfc6458",
    "send_options",
    "sockets_api",
    "there_and_back",
];
/// Those that do not, and why.
const ON_USERLAND: [(&str, &str); 9] = [
    (
        "binding",
        "it is about stacks, which the addresses of a host are given to",
    ),
    ("devices", "a kernel has no devices of ours"),
    ("driving", "a kernel drives itself"),
    ("driving_stress", "a kernel drives itself"),
    (
        "icmp",
        "it makes ICMP messages for UDP, and the kernel's own are tested with the engine",
    ),
    (
        "path_mtu",
        "the kernel takes the MTU of the interface, and does not tell of its search",
    ),
    ("raw_sharing", "a kernel has one port space for all processes anyway"),
    ("shared_port", "a kernel has one port space for all processes anyway"),
    (
        "stats",
        "it is about stacks; what a kernel counts is read from text in unit tests",
    ),
];

/// No test of the sockets is left out in silence.
#[test]
fn every_test_of_the_sockets_has_its_backends() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../socketapi/tests");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|file| file.extension().is_some() || file.join("main.rs").exists());
    let mut there: Vec<String> = files
        .map(|file| file.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    there.sort();
    let mut known: Vec<&str> = ON_BOTH.to_vec();
    known.extend(ON_USERLAND.iter().map(|(name, _)| *name));
    known.sort_unstable();
    assert_eq!(there, known);
    for (name, why) in ON_USERLAND {
        require::say(&format!("not on the kernel: {name}: {why}"));
    }
}

#[test]
fn one_to_one_sockets_of_the_kernel() {
    run(
        &BOTH,
        &["one_to_one", "blocking", "backend", "rfc6458", "there_and_back"],
    );
}

#[test]
fn one_to_many_sockets_of_the_kernel() {
    run(&BOTH, &["one_to_many", "notifications"]);
}

#[test]
fn options_of_the_kernels_sockets() {
    run(&BOTH, &["options", "send_options", "extension_events", "marks"]);
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
    build("bin", &["build", "-p", "bins", "--bins", "--features", "kernel"])
}

/// The lines that name an error and its number.
fn numbers(job: &Job) -> BTreeMap<String, Vec<String>> {
    let said = job.lines(Source::Stdout);
    // With tests at the same time, a line may begin with the harness's own words.
    let lines = said.iter().filter_map(|line| Some(line.split_once("errno ")?.1));
    let words = lines.map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    words.map(|words| (words[0].clone(), words[1..].to_vec())).collect()
}

#[test]
fn every_error_has_the_number_that_the_kernel_gives() {
    let Some(session) = Session::start(&[]) else { return };
    let table = numbers(&run_one(&session, &tests(&BOTH), "errno"));
    let command = ["unshare", "--net", "python3", "-S", "-B", "/programs/errors.py"];
    let mut job = session.spawn(command);
    assert_eq!(job.wait_long(LONG), 0, "{}", job.text());
    let kernel = numbers(&job);
    assert!(
        table.len() > 60 && table.keys().eq(kernel.keys()),
        "{table:?}\n{kernel:?}"
    );
    for (name, said) in &table {
        assert_eq!(said[1], kernel[name][0], "{name}, as the kernel has it: {}", job.text());
        if said[0] != said[1] {
            require::say(&format!(
                "not as the kernel: {name}: {} for {}",
                said[0],
                said[1..].join(" ")
            ));
        }
    }
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

/// The example `one_to_many` greets the example `echo`, from our stack on this device to the kernel in the guest, and
/// the other way round.
fn examples_greet(device: &str, settings: &[(&str, u32)]) {
    let Some(session) = Session::start(settings) else {
        return;
    };
    let files = build(
        "example",
        &["build", "-p", "socketapi", "--examples", "--features", "kernel"],
    );
    let device = format!("SCTP_DEVICE={device}");
    let ours = |name: &str, peer: &str| {
        let file = files[name].to_string_lossy();
        Program::start("/usr/bin/env", ["SCTP_BACKEND=userland", &*device, &*file, peer])
    };
    let theirs = |name: &str, peer: &str| session.spawn(["env", "SCTP_BACKEND=kernel", &in_guest(&files, name), peer]);

    let peer = format!("{}:7", GUEST[0]);
    let server = theirs("echo", &peer);
    server.wait_for("listening on");
    let mut client = ours("one_to_many", &peer);
    assert!(client.wait().success(), "{}\n{}", client.text(), server.text());
    client.wait_for(&format!(": hello, {peer}"));

    let peer = format!("{}:7", HOST[0]);
    let server = ours("echo", &peer);
    server.wait_for("listening on");
    let mut client = theirs("one_to_many", &peer);
    assert_eq!(client.wait(), 0, "{}\n{}", client.text(), server.text());
    client.wait_for(&format!(": hello, {peer}"));
}

#[test]
fn examples_on_the_kernel_and_on_udp_greet_each_other() {
    let port = UDP_PORT.into();
    examples_greet("udp", &[("encap_port", port), ("udp_port", port)]);
}

#[test]
fn examples_on_the_kernel_and_on_raw_sockets_greet_each_other() {
    examples_greet("raw", &[]);
}
