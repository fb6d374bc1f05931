//! Programs on loopback addresses, each test with a UDP port of its own.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use netns_tests::process::Program;

/// Below the ports that the system gives away by itself.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// A UDP port that is free on the loopback addresses which tests use, and that no other test of this process gets.
pub(crate) fn udp_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    let start = u16::try_from(std::process::id() % u32::from(span)).unwrap();
    loop {
        let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed)) % span;
        let port = PORTS.start + offset;
        let free = |last: u8| UdpSocket::bind((Ipv4Addr::new(127, 0, 0, last), port)).is_ok();
        if (1..=9).all(free) {
            return port;
        }
    }
}

/// A registrar at 127.0.0.1 and what belongs to it.
pub(crate) struct Bed {
    pub(crate) udp_port: u16,
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self { udp_port: udp_port() }
    }

    /// Starts a registrar, and returns once it runs.
    pub(crate) fn registrar(&self) -> Program {
        let args = [
            "--local",
            "127.0.0.1",
            "--asapannounce",
            "off",
            "--udp-port",
            &self.udp_port.to_string(),
        ];
        let program = Program::start(env!("CARGO_BIN_EXE_rspregistrar"), args);
        program.wait_for("registrar 0x");
        program
    }

    /// Starts a pool element with the identifier `number` at 127.0.0.`number`, and returns once it is registered.
    pub(crate) fn server(&self, number: u8, service: &str) -> Program {
        let local = format!("127.0.0.{number}");
        let args = ["--identifier", &number.to_string(), "--local", &local, service];
        let program = self.node(env!("CARGO_BIN_EXE_rspserver"), &args);
        program.wait_for("is registered");
        program
    }

    /// Starts a ping-pong client at 127.0.0.9.
    pub(crate) fn client(&self, args: &[&str]) -> Program {
        let mut all = vec!["--local", "127.0.0.9"];
        all.extend(args);
        self.node(env!("CARGO_BIN_EXE_pingpongclient"), &all)
    }

    /// Starts a program that needs the registrar.
    pub(crate) fn node(&self, program: &str, args: &[&str]) -> Program {
        let port = self.udp_port.to_string();
        let mut all = vec!["--registrar", "127.0.0.1", "--asapannounce", "off", "--udp-port", &port];
        all.extend(args);
        Program::start(program, all)
    }
}

/// The number of the element that a client's line names: `element 0x00000003 serves` is 3.
pub(crate) fn element_in(line: &str) -> u8 {
    let (_, rest) = line.split_once("element 0x").expect("an element");
    u8::from_str_radix(&rest[6..8], 16).expect("a number")
}
