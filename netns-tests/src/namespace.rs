//! Network namespaces that end with their tests.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::require;

/// A network namespace. It has no name: when this value goes and nothing runs or is open in it any more, it is gone
/// with all its interfaces, also if the test was killed.
#[derive(Debug)]
pub struct Namespace {
    keeper: Child,
    file: File,
}

impl Namespace {
    /// A namespace with nothing but a loopback interface that is up.
    ///
    /// `None`, and a `skipped` line, where that is not possible: it takes root, `unshare` and `ip`.
    ///
    /// # Panics
    ///
    /// If it fails although all that is there.
    pub fn new() -> Option<Self> {
        if !require::root() {
            return None;
        }
        let unshare = require::tool("unshare")?;
        let ip = require::tool("ip")?;
        let mut command = Command::new(unshare);
        command.args(["--net", "sh", "-c", "\"$0\" link set lo up && echo ready && read -r _"]);
        command.arg(ip);
        let (namespace, said) = Self::keep(&mut command);
        assert_eq!(said, "ready", "{command:?}");
        Some(namespace)
    }

    /// The namespace of the process that `command` starts in one of its own, and the first line that this prints, as a
    /// sign that it is ready. It ends when its standard input does.
    pub(crate) fn keep(command: &mut Command) -> (Self, String) {
        let mut keeper = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut line = String::new();
        if let Some(output) = keeper.stdout.take() {
            let _ = BufReader::new(output).read_line(&mut line);
        }
        let path = format!("/proc/{}/ns/net", keeper.id());
        let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        (Self { keeper, file }, line.trim_end().to_owned())
    }

    /// A process in it, as `ip link ... netns PROCESS` names it.
    pub fn process(&self) -> u32 {
        self.keeper.id()
    }

    /// Moves this thread into it, for good, with the sockets it opens and the programs it starts from now on. (Each
    /// test has a thread of its own.)
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn enter(&self) {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
            .unwrap_or_else(|error| panic!("setns: {error}"));
    }

    /// Does something inside of it, on a thread of its own; the caller's thread stays where it is.
    ///
    /// # Panics
    ///
    /// If that panics.
    pub fn inside<R: Send>(&self, act: impl FnOnce() -> R + Send) -> R {
        thread::scope(|scope| {
            let running = scope.spawn(|| {
                self.enter();
                act()
            });
            running.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Runs shell commands inside of it, up to the first that fails; gives what they print.
    ///
    /// # Panics
    ///
    /// If one fails; what it says is in the message.
    pub fn run(&self, commands: &str) -> String {
        let output = self.inside(|| {
            let script = format!("PATH=$PATH:/usr/sbin:/sbin\n{commands}");
            Command::new("sh").args(["-e", "-c", &script]).output()
        });
        let output = output.unwrap_or_else(|error| panic!("sh: {error}"));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}\n{errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Connects it to another one by a cable, a pair of interfaces that are up. Packets pass it as they will be on the
    /// wire, not several as one, so that captures show each.
    ///
    /// # Panics
    ///
    /// If an interface of that name exists.
    pub fn cable(&self, interface: &str, other: &Self, other_interface: &str) {
        let other_id = other.keeper.id();
        self.run(&format!(
            "ip link add {interface} type veth peer name {other_interface} netns {other_id}
             ip link set {interface} up gso_max_segs 1"
        ));
        other.run(&format!("ip link set {other_interface} up gso_max_segs 1"));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The end of its input ends it.
        self.keeper.stdin = None;
        let _ = self.keeper.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_namespace_has_ports_of_its_own() {
        let (Some(one), Some(two)) = (Namespace::new(), Namespace::new()) else {
            return;
        };
        one.enter();
        let _in_one = UdpSocket::bind("127.0.0.1:9899").unwrap();
        two.enter();
        let _in_two = UdpSocket::bind("127.0.0.1:9899").unwrap();
        assert!(UdpSocket::bind("127.0.0.1:9899").is_err());
    }

    #[test]
    fn a_cable_connects_two_namespaces() {
        let (Some(one), Some(two)) = (Namespace::new(), Namespace::new()) else {
            return;
        };
        one.cable("left", &two, "right");
        one.run("ip address add 10.0.0.1/24 dev left");
        two.run("ip address add 10.0.0.2/24 dev right");
        let receiver = two.inside(|| UdpSocket::bind("10.0.0.2:0").unwrap());
        let to = receiver.local_addr().unwrap();
        one.inside(|| UdpSocket::bind("10.0.0.1:0").unwrap().send_to(b"hello", to))
            .unwrap();
        let (_, from) = receiver.recv_from(&mut [0; 5]).unwrap();
        assert_eq!(from.ip().to_string(), "10.0.0.1");
    }
}
