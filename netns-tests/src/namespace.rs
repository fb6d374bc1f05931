//! Network namespaces that end with their tests.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

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
}
