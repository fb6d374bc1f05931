//! Registrars that are not there, or not any more.

mod common;

use common::{Bed, element_in};
use netns_tests::process::{Program, Source};

#[test]
fn without_a_registrar_programs_end_with_one_line_that_says_what_to_do() {
    let bed = Bed::new();
    for program in [
        env!("CARGO_BIN_EXE_rspserver"),
        env!("CARGO_BIN_EXE_rspterminal"),
        env!("CARGO_BIN_EXE_pingpongclient"),
    ] {
        let mut program = bed.node(program, &["--local", "127.0.0.5", "-registrarconnecttimeout=300"]);
        assert_eq!(program.wait().code(), Some(1), "{}", program.text());
        let errors = program.lines(Source::Stderr);
        let [line] = errors.as_slice() else {
            panic!("{errors:?}")
        };
        assert!(line.contains("127.0.0.1:3863") && line.contains("start one"), "{line}");
    }
}

#[test]
fn two_programs_on_one_address_are_told_what_to_do() {
    let bed = Bed::new();
    let _registrar = bed.registrar();
    let mut second = bed.node(env!("CARGO_BIN_EXE_rspserver"), &["--local", "127.0.0.1"]);
    assert_eq!(second.wait().code(), Some(1));
    let errors = second.lines(Source::Stderr);
    assert!(
        errors.len() == 1 && errors[0].contains("in use") && errors[0].contains("--local"),
        "{errors:?}"
    );
}

#[test]
fn a_refused_registration_is_told_in_one_line() {
    let bed = Bed::new();
    let _registrar = bed.registrar();
    let _server = bed.server(2, "--echo");
    let mut other = bed.node(
        env!("CARGO_BIN_EXE_rspserver"),
        &["--local", "127.0.0.3", "-policy=LeastUsed"],
    );
    assert_eq!(other.wait().code(), Some(1));
    let errors = other.lines(Source::Stderr);
    assert!(
        errors.len() == 1 && errors[0].contains("EchoPool with policy LeastUsed"),
        "{errors:?}"
    );
}

#[test]
fn a_new_registrar_gets_the_elements_again_and_sessions_do_not_notice() {
    let bed = Bed::new();
    let mut registrar = bed.registrar();
    let mut servers = [bed.server(2, "--pingpong"), bed.server(3, "--pingpong")];
    let mut client = bed.client(&["--interval", "50"]);
    let first = element_in(&client.wait_for("serves"));

    registrar.kill();
    let again = bed.registrar();
    for number in [2, 3] {
        again.wait_for(&format!("element 0x0000000{number} is registered"));
    }
    let before = client.line_count();
    client.wait_for_from(before, |line| line.starts_with("pong"));
    assert!(
        !client.text().contains("given up"),
        "the session needs no registrar:\n{}",
        client.text()
    );

    // The new registrar leads the user to the other element.
    servers[usize::from(first - 2)].kill();
    let other = client.wait_for("serves now");
    assert_ne!(element_in(&other), first);
    client.wait_for("failover completed");
    client.interrupt();
    assert!(client.wait().success(), "{}", client.text());
    client.wait_for("none left out");
}

#[test]
fn a_server_that_another_registrar_refuses_serves_on() {
    let bed = Bed::new();
    let registrar = bed.registrar();
    let args = ["--local", "127.0.0.2", "--pingpong", "--registrar", "127.0.0.4"];
    let server = bed.node(env!("CARGO_BIN_EXE_rspserver"), &args);
    server.wait_for("is registered");
    let client = bed.client(&["--interval", "50"]);
    client.wait_for("serves");

    // At the other registrar the pool has another policy.
    let udp_port = bed.udp_port.to_string();
    let common = ["--asapannounce", "off", "--udp-port", &udp_port];
    let other = Program::start(
        env!("CARGO_BIN_EXE_rspregistrar"),
        [&["--local", "127.0.0.4"][..], &common].concat(),
    );
    other.wait_for("registrar 0x");
    let args = [
        "--local",
        "127.0.0.3",
        "--registrar",
        "127.0.0.4",
        "--pingpong",
        "-policy=LeastUsed",
    ];
    let first = Program::start(env!("CARGO_BIN_EXE_rspserver"), [&args[..], &common].concat());
    first.wait_for("is registered");

    registrar.interrupt();
    server.wait_for("refuses an element of PingPongPool");
    let mut seen = client.line_count();
    for _ in 0..5 {
        (_, seen) = client.wait_for_from(seen, |line| line.starts_with("pong"));
    }
    assert!(!client.text().contains("given up"), "{}", client.text());
}

#[test]
fn a_registrar_that_is_asked_to_end_does() {
    let bed = Bed::new();
    let mut registrar = bed.registrar();
    let mut server = bed.server(2, "--echo");
    registrar.interrupt();
    assert!(registrar.wait().success(), "{}", registrar.text());
    server.wait_for("the registrar is lost");
    server.interrupt();
    assert!(server.wait().success(), "{}", server.text());
}
