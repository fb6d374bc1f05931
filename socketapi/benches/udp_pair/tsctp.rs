//! usrsctp's `tsctp`, in UDP: a client and a server, each a process.
//!
//! Debian's build has usrsctp tell of every packet on standard output, which takes most of its time, and no option
//! stops that. So where there is a C compiler, the call that switches it on is kept from it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::bulk::Outcome;
use crate::program::{Program, compile, free_udp_port, wait_until_taken};
use crate::{cpu, lifecycle};

const PATH: &str = "/usr/lib/usrsctp/tsctp";
/// The port that its server listens on.
const PORT: u16 = 5001;
/// How many associations a run must have had to count.
const ENOUGH: usize = 25;

/// The program, and what keeps it from talking.
pub(crate) struct Tsctp {
    silencer: Option<PathBuf>,
}

impl Tsctp {
    /// `None` if it is not installed.
    pub(crate) fn find() -> Option<Self> {
        Path::new(PATH).exists().then(|| Self { silencer: silencer() })
    }

    /// Whether it is kept from telling of each packet.
    pub(crate) const fn is_silent(&self) -> bool {
        self.silencer.is_some()
    }

    fn start(&self, args: &[&str]) -> Option<Program> {
        let mut command = Command::new(PATH);
        if let Some(silencer) = &self.silencer {
            command.env("LD_PRELOAD", silencer);
        }
        Program::start(command.args(["-L", "127.0.0.1", "-p", &PORT.to_string()]), args)
    }

    /// A server behind a UDP port of its own, whose peers are behind the other.
    fn server(&self) -> Option<(Program, u16, u16)> {
        let (own, peer) = (free_udp_port(), free_udp_port());
        let server = self.start(&["-E", &own.to_string(), "-U", &peer.to_string()])?;
        wait_until_taken(own);
        Some((server, own, peer))
    }

    /// Messages of so many bytes for a second, with its own buffers, in the packets of 1500 bytes that it makes.
    pub(crate) fn bulk(&self, message: usize) -> Option<Outcome> {
        let before = cpu::children();
        let (server, theirs, own) = self.server()?;
        let (own, theirs, message) = (own.to_string(), theirs.to_string(), message.to_string());
        let client = self.start(&["-E", &own, "-U", &theirs, "-l", &message, "-T", "1", "127.0.0.1"])?;
        client.finish()?;
        let (wall, bytes) = summary(&server.stop(), &message)?;
        Some(Outcome {
            wall,
            cpu: cpu::children() - before,
            bytes,
            mtu: None,
        })
    }

    /// Associations in a second of processor time. Its client opens one and ends, so the client is this project's; the
    /// time is twice that of its server, without what the server takes to start.
    pub(crate) fn setup_close(&self, runtime: &Runtime) -> Option<f64> {
        let first = cpu::children();
        let (idle, _, _) = self.server()?;
        drop(idle);
        let second = cpu::children();
        let (server, theirs, _) = self.server()?;
        let closed = runtime.block_on(lifecycle::with_server(theirs, PORT));
        drop(server);
        let start = second - first;
        let used = (cpu::children() - second).saturating_sub(start).as_secs_f64();
        (closed >= ENOUGH).then(|| closed as f64 / (used * 2.0))
    }
}

/// How long the server received, and how many bytes: it prints the size, messages twice, bytes, seconds, and more.
fn summary(output: &str, message: &str) -> Option<(Duration, u64)> {
    output.lines().find_map(|line| {
        let words: Vec<&str> = line.split(", ").collect();
        let [size, _, _, bytes, seconds, ..] = words.as_slice() else {
            return None;
        };
        let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
        (*size == message).then_some((seconds, bytes.parse().ok()?))
    })
}

/// A library without the call that makes usrsctp talk; `None` without a C compiler.
fn silencer() -> Option<PathBuf> {
    let code = "int usrsctp_sysctl_set_sctp_debug_on(unsigned value) { return value != 0; }\n";
    compile(code, "silent_usrsctp", &["-shared", "-fPIC"])
}
