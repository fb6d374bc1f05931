//! TCP as iperf3 measures it: a client and a server, each a process.

use std::net::TcpListener;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bulk::Outcome;
use crate::cpu;
use crate::pair::LOOPBACK;
use crate::program::Program;

/// Whether it is installed.
pub(crate) fn is_there() -> bool {
    let version = Program::start(&mut Command::new("iperf3"), ["--version"]);
    version.and_then(Program::finish).is_some()
}

/// One connection, with writes of so many bytes, for a second.
pub(crate) fn bulk(message: usize) -> Option<Outcome> {
    let free = TcpListener::bind((LOOPBACK, 0)).expect("a port");
    let port = free.local_addr().expect("bound").port().to_string();
    drop(free);
    let (host, length) = (LOOPBACK.to_string(), message.to_string());
    let before = cpu::children();
    let server = Program::start(&mut Command::new("iperf3"), ["-s", "-1", "-B", &host, "-p", &port])?;
    let end = Instant::now() + Duration::from_secs(5);
    let received = loop {
        let args = ["-c", &host, "-p", &port, "-l", &length, "-t", "1", "-J"];
        let report = Program::start(&mut Command::new("iperf3"), args)?.finish();
        // Until the server listens there is a report of a failure, whatever the status is.
        if let Some(received) = report.as_deref().and_then(sum_received) {
            break received;
        }
        if Instant::now() > end {
            return None;
        }
        sleep(Duration::from_millis(20));
    };
    server.finish()?;
    Some(Outcome {
        wall: Duration::from_secs_f64(received.get("seconds")?.as_f64()?),
        cpu: cpu::children() - before,
        bytes: received.get("bytes")?.as_u64()?,
        mtu: None,
    })
}

/// What the receiving end says in a report.
fn sum_received(report: &str) -> Option<Value> {
    let report: Value = serde_json::from_str(report).ok()?;
    report.get("end")?.get("sum_received").cloned()
}
