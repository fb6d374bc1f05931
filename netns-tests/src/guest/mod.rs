//! A guest with the SCTP of a Linux kernel: built from Debian's packages, started once for a test binary, shared by its
//! tests one after another. `guest/README.md` describes it.
//!
//! The guest has two networks: 10.99.1.2 and 10.99.2.2, `fd99:1::2` and `fd99:2::2`. The tests are on the other side,
//! at `.1` and `::1`, in a network namespace of the guest's own.

mod agent;
mod monitor;

use std::ffi::OsStr;
use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::net::netdevice::name_to_index;

pub use agent::Job;

use crate::namespace::Namespace;
use crate::process::{PATIENCE, Source};
use crate::require;
use monitor::Monitor;

/// How long a guest may take to boot on a slow, busy machine.
const BOOT_PATIENCE: Duration = Duration::from_secs(300);

/// The addresses of the guest, on its first and second network.
pub const GUEST: [&str; 2] = ["10.99.1.2", "10.99.2.2"];
/// The addresses on the tests' side.
pub const HOST: [&str; 2] = ["10.99.1.1", "10.99.2.1"];
/// As [`GUEST`], of IP version 6.
pub const GUEST_V6: [&str; 2] = ["fd99:1::2", "fd99:2::2"];
/// As [`HOST`], of IP version 6.
pub const HOST_V6: [&str; 2] = ["fd99:1::1", "fd99:2::1"];

/// Addresses out of texts.
///
/// # Panics
///
/// If one is none.
pub fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    let parse = |text: &&str| text.parse().unwrap_or_else(|_| panic!("{text} is no address"));
    texts.iter().map(parse).collect()
}

/// The guest of this process, or why there is none.
static SHARED: Mutex<Option<Result<Guest, String>>> = Mutex::new(None);

#[derive(Debug)]
struct Guest {
    namespace: Namespace,
    monitor: Monitor,
    agent: SocketAddrV6,
}

/// The guest, for one test alone: as it was when it started, whatever tests did before.
#[derive(Debug)]
pub struct Session {
    shared: MutexGuard<'static, Option<Result<Guest, String>>>,
}

impl Session {
    /// Starts the guest if it does not run yet, waits until no other test uses it, and moves this thread into the
    /// network namespace beside it. `settings` are `net.sctp` variables of the kernel, for this session.
    ///
    /// `None`, and a `skipped` line, where that is not possible: it takes root, QEMU, `/dev/net/tun`, some tools, and
    /// the first time a mirror of Debian's packages.
    ///
    /// # Panics
    ///
    /// If it fails although all that is there.
    pub fn start(settings: &[(&str, u32)]) -> Option<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_none() {
            if !requirements() {
                return None;
            }
            *shared = Some(Guest::start());
        }
        if let Some(Err(reason)) = &*shared {
            let reason = reason.clone();
            drop(shared);
            panic!("there is no guest: {reason}");
        }
        let session = Self { shared };
        session.guest().namespace.enter();
        session.link(1, true);
        session.link(2, true);
        let mut reset = vec!["guest-reset".to_owned()];
        reset.extend(settings.iter().map(|(name, value)| format!("net.sctp.{name}={value}")));
        session.run(reset);
        Some(session)
    }

    fn guest(&self) -> &Guest {
        match &*self.shared {
            Some(Ok(guest)) => guest,
            _ => unreachable!("a session has a guest"),
        }
    }

    /// Starts a command in the guest.
    ///
    /// # Panics
    ///
    /// If the guest does not answer.
    pub fn spawn<S: AsRef<OsStr>>(&self, command: impl IntoIterator<Item = S>) -> Job {
        let words: Vec<String> = command
            .into_iter()
            .map(|word| word.as_ref().to_string_lossy().into_owned())
            .collect();
        let started = Job::start(self.guest().agent, &words, PATIENCE);
        started.unwrap_or_else(|error| panic!("guest, {words:?}: {error}"))
    }

    /// Starts one of the programs in `guest/programs`.
    ///
    /// # Panics
    ///
    /// As [`spawn`](Self::spawn).
    pub fn program(&self, name: &str, args: &[&str]) -> Job {
        let path = format!("/programs/{name}");
        let python = ["python3", "-S", "-B", "-u", &path];
        self.spawn(python.iter().chain(args))
    }

    /// Runs a command in the guest, and gives what it printed to standard output.
    ///
    /// # Panics
    ///
    /// If it fails, or does not end within [`PATIENCE`].
    pub fn run<S: AsRef<OsStr>>(&self, command: impl IntoIterator<Item = S>) -> String {
        let mut job = self.spawn(command);
        let status = job.wait();
        assert_eq!(status, 0, "{}", job.text());
        job.lines(Source::Stdout).join("\n")
    }

    /// Plugs or pulls the cable of the guest's first or second network, until the session ends. The guest notices; this
    /// side does not.
    ///
    /// # Panics
    ///
    /// If the emulator refuses.
    pub fn link(&self, network: u8, up: bool) {
        let arguments = serde_json::json!({ "name": format!("nic{network}"), "up": up });
        self.guest().monitor.must("set_link", arguments);
    }
}

/// Whether this machine can run the guest, as far as one sees without trying.
fn requirements() -> bool {
    let tun = Path::new("/dev/net/tun");
    if !tun.exists() {
        require::skip("there is no /dev/net/tun");
        return false;
    }
    let tools = [
        "qemu-system-x86_64",
        "unshare",
        "setpriv",
        "flock",
        "ip",
        "cpio",
        "mke2fs",
        "apt-get",
    ];
    require::root() && tools.iter().all(|name| require::tool(name).is_some())
}

impl Guest {
    fn start() -> Result<Self, String> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest");
        let build = Command::new(scripts.join("build"))
            .output()
            .map_err(|error| format!("guest/build: {error}"))?;
        if !build.status.success() {
            return Err(String::from_utf8_lossy(&build.stderr).into_owned());
        }
        let state = std::env::temp_dir().join(format!("sctp-guest-{}", std::process::id()));
        // One of a process that had the same number, and ended before its time.
        let _ = fs::remove_dir_all(&state);
        fs::create_dir(&state).map_err(|error| format!("{}: {error}", state.display()))?;
        let mut command = Command::new("unshare");
        command.arg("--net").arg(scripts.join("run")).arg(&state);
        command.arg(scripts.join("programs")).arg(target_folder()?);
        let (namespace, first) = Namespace::keep(&mut command);
        namespace.enter();
        let booted = Self::boot(namespace, &state, &first);
        booted.map_err(|reason| {
            let log = |name: &str| fs::read_to_string(state.join(name)).unwrap_or_default();
            format!("{reason}\n{}{}", log("qemu"), log("console"))
        })
    }

    /// Waits until the guest answers; `how` is what its script said.
    fn boot(namespace: Namespace, state: &Path, how: &str) -> Result<Self, String> {
        let monitor = Monitor::connect(&state.join("qmp"), BOOT_PATIENCE)?;
        let index = name_to_index(
            rustix::net::socket(rustix::net::AddressFamily::INET6, rustix::net::SocketType::DGRAM, None)
                .map_err(|error| error.to_string())?,
            "tap0",
        )
        .map_err(|error| format!("tap0: {error}"))?;
        // The address that follows from the one that guest/inside/init gives the interface.
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe99, 1);
        let guest = Self {
            namespace,
            monitor,
            agent: SocketAddrV6::new(address, 1, 0, index),
        };
        match how.split_once(' ') {
            Some(("restored", _)) => guest.monitor.resume(BOOT_PATIENCE)?,
            Some(("booting", snapshot)) => {
                guest.ready()?;
                // What tests start is read from the disk now, and comes from memory later.
                guest.finish(&[
                    "bash",
                    "-c",
                    "ip addr; ip route; sysctl -a; busybox date; \
                    python3 -S -c 'import hashlib, select, socket, struct, time'",
                ])?;
                guest.monitor.save(Path::new(snapshot), BOOT_PATIENCE)?;
            }
            _ => return Err(format!("guest/run says {how:?}")),
        }
        guest.ready()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        guest.finish(&["guest-setup", &now.as_secs().to_string()])?;
        Ok(guest)
    }

    /// Waits until the agent takes commands.
    fn ready(&self) -> Result<(), String> {
        let deadline = Instant::now() + BOOT_PATIENCE;
        loop {
            match self.finish(&["true"]) {
                Err(reason) if Instant::now() > deadline => return Err(reason),
                Err(_) => thread::sleep(Duration::from_millis(50)),
                Ok(()) => return Ok(()),
            }
        }
    }

    fn finish(&self, command: &[&str]) -> Result<(), String> {
        let words: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        let started = Job::start(self.agent, &words, Duration::from_secs(2));
        let mut job = started.map_err(|error| error.to_string())?;
        match job.wait() {
            0 => Ok(()),
            status => Err(format!("{command:?} ended with {status}:\n{}", job.text())),
        }
    }
}

/// Where the programs and tests of this build lie: the folder above the one of the running test.
fn target_folder() -> Result<PathBuf, String> {
    let test = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = test.ancestors().nth(2);
    folder
        .map(Path::to_owned)
        .ok_or_else(|| "the test is in no folder".to_owned())
}
