//! Hosts for tests, on the backend that `SCTP_BACKEND` names.
//!
//! With the userland backend a host is a stack on a UDP port of its own. With the kernel's all hosts of a test are one:
//! a network namespace, so that tests do not meet; it takes root.

use std::cell::OnceCell;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::Command;

use netns_tests::namespace::Namespace;
#[cfg(feature = "userland")]
use socketapi::StackHandle;
use socketapi::{Backend, Result, SctpListener, SctpSocket, SocketBuilder};

use super::{at, ip};

thread_local! {
    /// Each test has a thread of its own.
    static NAMESPACE: OnceCell<Namespace> = const { OnceCell::new() };
}

/// Whether the test runs on kernel sockets.
pub(crate) fn has_kernel() -> bool {
    Backend::from_environment().unwrap() == Backend::Kernel
}

/// Whether the test runs on kernel sockets, where it cannot; then it says so.
pub(crate) fn on_kernel(why: &str) -> bool {
    if has_kernel() {
        let current = std::thread::current();
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("not on the kernel: {}: {why}\n", current.name().unwrap_or("test")),
        );
    }
    has_kernel()
}

/// Where sockets live.
#[derive(Debug)]
pub(crate) struct Host {
    addresses: Vec<IpAddr>,
    #[cfg(feature = "userland")]
    stack: Option<StackHandle>,
}

impl Host {
    fn on_kernel(addresses: &[&str]) -> Self {
        NAMESPACE.with(|namespace| {
            namespace.get_or_init(|| {
                let namespace = Namespace::new().expect("a namespace for kernel sockets");
                namespace.enter();
                std::fs::write("/proc/sys/net/sctp/intl_enable", "1").expect("a kernel with SCTP");
                namespace
            });
        });
        Self {
            addresses: addresses.iter().map(|text| ip(text)).collect(),
            #[cfg(feature = "userland")]
            stack: None,
        }
    }

    /// The stack, for what only the userland backend has.
    #[cfg(feature = "userland")]
    pub(crate) fn stack(&self) -> &StackHandle {
        self.stack.as_ref().expect("only on the userland backend")
    }

    /// The UDP port that it is at, on the userland backend.
    pub(crate) fn udp_port(&self) -> Option<u16> {
        #[cfg(feature = "userland")]
        return self.stack.as_ref().map(StackHandle::udp_port);
        #[cfg(not(feature = "userland"))]
        None
    }

    /// A builder of sockets of this host.
    pub(crate) fn builder(&self) -> SocketBuilder {
        let builder = SocketBuilder::new();
        #[cfg(feature = "userland")]
        if let Some(stack) = &self.stack {
            return builder.stack(stack);
        }
        builder.local(&self.own(0))
    }

    /// Its first address, with any port.
    pub(crate) fn any_port(&self) -> SocketAddr {
        self.own(0)[0]
    }

    fn own(&self, port: u16) -> Vec<SocketAddr> {
        if self.addresses.is_empty() {
            return vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))];
        }
        self.addresses
            .iter()
            .map(|address| SocketAddr::new(*address, port))
            .collect()
    }

    fn is_stack(&self) -> bool {
        #[cfg(feature = "userland")]
        return self.stack.is_some();
        #[cfg(not(feature = "userland"))]
        false
    }

    /// A one-to-many socket on all addresses of the host.
    pub(crate) fn socket(&self, port: u16) -> Result<SctpSocket> {
        if self.is_stack() {
            return self.builder().bind_blocking(at("::", port));
        }
        // On the runtime of the test, as far as there is one.
        let builder = self.builder();
        match tokio::runtime::Handle::try_current() {
            Ok(_) => now(builder.bind(&self.own(port)[..])),
            Err(_) => builder.bind_blocking(&self.own(port)[..]),
        }
    }

    /// A listening socket on all addresses of the host.
    pub(crate) fn listener(&self, port: u16) -> Result<SctpListener> {
        let backlog = SctpListener::DEFAULT_BACKLOG;
        if self.is_stack() {
            return self.builder().listen_blocking(at("::", port), backlog);
        }
        let builder = self.builder();
        match tokio::runtime::Handle::try_current() {
            Ok(_) => now(builder.listen(&self.own(port)[..], backlog)),
            Err(_) => builder.listen_blocking(&self.own(port)[..], backlog),
        }
    }

    /// Checks how many associations have ended gracefully, where that is counted.
    pub(crate) fn assert_shutdowns(&self, _count: u64) {
        #[cfg(feature = "userland")]
        if let Some(stack) = &self.stack {
            assert_eq!(stack.stats().shutdowns, _count);
        }
    }
}

/// The outcome of what has nothing to wait for: no name is looked up.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("it has to wait"),
    }
}

/// A host with these addresses (none: all).
pub(crate) async fn stack(addresses: &[&str]) -> Host {
    if has_kernel() {
        return Host::on_kernel(addresses);
    }
    userland(addresses, None).await
}

/// A host that expects its peers on the UDP port of another one.
pub(crate) async fn stack_towards(addresses: &[&str], other: &Host) -> Host {
    if has_kernel() {
        return Host::on_kernel(addresses);
    }
    userland(addresses, Some(other)).await
}

/// As [`stack`], for tests without a runtime.
pub(crate) fn stack_blocking(addresses: &[&str]) -> Host {
    if has_kernel() {
        return Host::on_kernel(addresses);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(userland(addresses, None))
}

#[cfg(feature = "userland")]
async fn userland(addresses: &[&str], other: Option<&Host>) -> Host {
    let mut builder = StackHandle::builder()
        .addresses(addresses.iter().map(|text| ip(text)))
        .udp_port(0);
    if let Some(other) = other {
        builder = builder.peer_udp_port(other.stack().udp_port());
    }
    Host {
        addresses: addresses.iter().map(|text| ip(text)).collect(),
        stack: Some(builder.start().await.unwrap()),
    }
}

#[cfg(not(feature = "userland"))]
async fn userland(_addresses: &[&str], _other: Option<&Host>) -> Host {
    unreachable!("the only backend is the kernel's")
}

/// Changes the network of kernel sockets.
pub(crate) fn ip_command(command: &str) {
    let status = Command::new("ip").args(command.split(' ')).status().unwrap();
    assert!(status.success(), "ip {command}");
}

/// Keeps a peer silent while it lives.
pub(crate) struct Silence {
    /// The socket that takes what is sent, on the userland backend.
    pub(crate) socket: Option<std::net::UdpSocket>,
}

/// A host whose packets to the second value, a peer, are never answered while the third lives.
pub(crate) async fn stack_towards_silence() -> (Host, SocketAddr, Silence) {
    if has_kernel() {
        let host = Host::on_kernel(&["10.77.0.1"]);
        // What is sent to a dummy is gone.
        for command in [
            "link add silence type dummy",
            "addr add 10.77.0.1/24 dev silence",
            "link set silence up",
        ] {
            ip_command(command);
        }
        return (host, at("10.77.0.2", 7), Silence { socket: None });
    }
    silent_userland().await
}

#[cfg(feature = "userland")]
async fn silent_userland() -> (Host, SocketAddr, Silence) {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let builder = StackHandle::builder().addresses([ip("127.0.0.1")]).udp_port(0);
    let stack = builder
        .peer_udp_port(silent.local_addr().unwrap().port())
        .start()
        .await
        .unwrap();
    let host = Host {
        addresses: vec![ip("127.0.0.1")],
        stack: Some(stack),
    };
    (host, at("127.0.0.1", 7), Silence { socket: Some(silent) })
}

#[cfg(not(feature = "userland"))]
async fn silent_userland() -> (Host, SocketAddr, Silence) {
    unreachable!("the only backend is the kernel's")
}
