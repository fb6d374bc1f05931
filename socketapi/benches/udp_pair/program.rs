//! Programs of others that run beside.

use std::ffi::OsStr;
use std::io::Read;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use crate::pair::LOOPBACK;

/// How long a program may take that should end by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running program, and what it prints. Dropping it kills it, and counts its processor time to that of the children.
pub(crate) struct Program {
    child: Child,
    output: Option<JoinHandle<String>>,
}

impl Program {
    /// `None` if it cannot be started.
    pub(crate) fn start<S: AsRef<OsStr>>(command: &mut Command, args: impl IntoIterator<Item = S>) -> Option<Self> {
        let command = command.args(args).stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).spawn().ok()?;
        let output = child.stdout.take().map(|mut stdout| {
            thread::spawn(move || {
                let mut text = Vec::new();
                let _ = stdout.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        Some(Self { child, output })
    }

    /// What it printed, once it has ended; `None` if that takes too long, or it failed.
    pub(crate) fn finish(self) -> Option<String> {
        self.finish_within(PATIENCE)
    }

    /// As [`finish`](Self::finish), for a program that may take so long.
    pub(crate) fn finish_within(mut self, patience: Duration) -> Option<String> {
        let end = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return self.output.take()?.join().ok(),
                Ok(None) if Instant::now() < end => sleep(Duration::from_millis(10)),
                _ => return None,
            }
        }
    }

    /// Ends it; what it printed.
    pub(crate) fn stop(mut self) -> String {
        self.kill();
        let output = self.output.take().and_then(|output| output.join().ok());
        output.unwrap_or_default()
    }

    fn kill(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What C code becomes, with these options; `None` without a C compiler, or without what the code needs.
pub(crate) fn compile(code: &str, name: &str, options: &[&str]) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, result) = (folder.join(format!("{name}.c")), folder.join(name));
    std::fs::write(&source, code).ok()?;
    let mut command = Command::new("cc");
    command.arg("-o").arg(&result).arg(&source).args(options);
    let built = command.stderr(Stdio::null()).status();
    built.is_ok_and(|status| status.success()).then_some(result)
}

/// A UDP port that nobody uses now.
pub(crate) fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind((LOOPBACK, 0)).expect("a port");
    socket.local_addr().expect("bound").port()
}

/// Waits until somebody has the UDP port, or a while.
pub(crate) fn wait_until_taken(udp_port: u16) {
    let end = Instant::now() + Duration::from_secs(3);
    while UdpSocket::bind((LOOPBACK, udp_port)).is_ok() && Instant::now() < end {
        sleep(Duration::from_millis(10));
    }
}
