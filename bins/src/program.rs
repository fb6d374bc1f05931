//! What every program's `main` does: a runtime, the network, signals, and errors of one line.

use std::fmt::{self, Display};
use std::future::Future;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use rserpool::api::LocalEndpoint;
use rserpool::config::ConfigError;
#[cfg(feature = "userland")]
use socketapi::StackHandle;
use socketapi::{Backend, SocketBuilder};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::args::NetArgs;
use crate::stats::{Report, StatsFile};

/// How long a program that ends waits for its peers.
pub const GOODBYE: Duration = Duration::from_secs(2);

/// Why a program ends, in one line that says what to do. Any error can become one.
#[derive(Debug)]
pub struct Failure(pub String);

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Failure {
    /// The failure of `what` for a reason.
    pub fn new(what: &str, reason: impl Display) -> Self {
        Self(format!("{what}: {reason}"))
    }

    /// The failure of an option whose value is out of bounds.
    pub fn of_option(option: &'static str) -> impl Fn(ConfigError) -> Self {
        move |error| Self::new(option, error)
    }
}

impl<T: std::error::Error> From<T> for Failure {
    fn from(error: T) -> Self {
        Self(error.to_string())
    }
}

/// Runs a program to its end. A failure is one line on standard error, and exit status 1.
pub fn run(name: &str, program: impl Future<Output = Result<ExitCode, Failure>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(program);
            // A thread that waits for input cannot be stopped, and must not hold the program up.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Failure::new("no runtime", error)),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("{name}: {failure}");
        ExitCode::FAILURE
    })
}

/// Writes a line to standard output, as [`println!`] does. But whoever was reading may have gone, which is no reason to
/// end in the middle of something.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => {
        $crate::program::say(format_args!($($what)*))
    };
}

/// What [`say!`] does.
pub fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Comes to its end when the user wants the program to: with SIGINT or SIGTERM.
pub async fn stop_signal() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        // Without handlers the signals end the program by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Waits until a time; for ever without one.
pub async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The program's part of the host's network.
#[derive(Debug)]
pub struct Network {
    backend: Backend,
    /// The stack that carries it, unless the kernel does.
    #[cfg(feature = "userland")]
    stack: Option<StackHandle>,
    addresses: Vec<IpAddr>,
    stats: Option<StatsFile>,
}

impl Network {
    /// Opens what the options say.
    ///
    /// # Errors
    ///
    /// If the addresses are not the host's, or the UDP port is in use there. Whether the kernel has SCTP shows once
    /// sockets are made.
    pub async fn open(net: &NetArgs) -> Result<Self, Failure> {
        let backend = net.carrier.backend.map_or_else(Backend::from_environment, Ok)?;
        let mut addresses = net.addresses();
        if addresses.is_empty() {
            addresses.push(Ipv6Addr::UNSPECIFIED.into());
        }
        Ok(Self {
            backend,
            #[cfg(feature = "userland")]
            stack: match backend {
                Backend::Userland => Some(start(net).await?),
                _ => None,
            },
            addresses,
            stats: StatsFile::chosen(net.stats.as_deref()),
        })
    }

    /// What carries packets, for people.
    pub fn carrier(&self) -> String {
        #[cfg(feature = "userland")]
        if let Some(stack) = &self.stack {
            return match stack.udp_port() {
                0 => format!("device {}", stack.device()),
                port => format!("UDP port {port}"),
            };
        }
        "the kernel's SCTP".to_owned()
    }

    /// An SCTP end point at all addresses of the program; port 0 is a free one.
    pub fn endpoint(&self, port: u16) -> LocalEndpoint {
        #[cfg(feature = "userland")]
        if let Some(stack) = &self.stack {
            return LocalEndpoint::on(stack, port);
        }
        let local: Vec<SocketAddr> = self.addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        LocalEndpoint::new(SocketBuilder::new().backend(self.backend), &local)
    }

    /// Waits until all associations have ended.
    pub async fn close(self) {
        // Those that have not ended in time are aborted, which is as good now. The kernel needs no process for it.
        #[cfg(feature = "userland")]
        if let Some(stack) = &self.stack {
            let open = self.stats.as_ref().map(|_| crate::stats::open(stack));
            let _ = stack.shutdown_graceful(GOODBYE).await;
            if let Some((file, open)) = self.stats.as_ref().zip(open) {
                file.write(&Report::of_stack(stack, &open));
            }
        }
        #[cfg(feature = "kernel")]
        if self.backend == Backend::Kernel
            && let Some(file) = &self.stats
        {
            match socketapi::kernel_stats() {
                Ok(stats) => file.write(&Report::of_kernel(stats)),
                Err(error) => eprintln!("--stats: {error}"),
            }
        }
    }
}

/// Starts the stack that the options ask for.
#[cfg(feature = "userland")]
async fn start(net: &NetArgs) -> Result<StackHandle, Failure> {
    use socketapi::Error;

    let mut builder = StackHandle::builder().addresses(net.addresses());
    if let Some(port) = net.udp_port {
        builder = builder.udp_port(port);
    }
    if let Some(device) = &net.carrier.device {
        builder = builder.device(device.clone());
    }
    builder.start().await.map_err(|error| match error {
        Error::UdpPortInUse { address, port } => {
            let place = if address.is_unspecified() {
                String::new()
            } else {
                format!(" at {address}")
            };
            Failure(format!(
                "UDP port {port}{place} is in use; give each program its own address, for instance --local \
                 127.0.0.2, or all of them the usual port and none an address"
            ))
        }
        Error::AddressNotAvailable => Failure("--local names no address of this host".to_owned()),
        error => error.into(),
    })
}
