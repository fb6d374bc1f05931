//! SCTP in UDP (RFC 6951): sockets on one port; trains of packets by GSO and GRO.

use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(target_os = "linux")]
use std::os::fd::{BorrowedFd, OwnedFd};

use sctp::config::TagShare;
use socket2::{Domain, Protocol, Socket, Type};

use super::sockets::{Bound, Sockets};
#[cfg(target_os = "linux")]
use super::{Datagrams, Receiver, Trouble};
use crate::{Error, Result};

/// The most packets that the engine is asked for at once: a train of ordinary Ethernet packets.
const MAX_SEGMENTS: usize = 44;
/// How often a free port is drawn before giving up, as it must be free on every address.
const PORT_DRAWS: usize = 32;

/// UDP sockets on one port.
#[derive(Debug)]
pub(crate) struct UdpDevice {
    pub(super) sockets: Sockets,
    port: u16,
}

impl UdpDevice {
    /// Sockets on `addresses`, or on all addresses if there are none; port 0 draws a free one.
    pub(crate) fn bind(addresses: &[IpAddr], port: u16) -> Result<Self> {
        let draws = if port == 0 { PORT_DRAWS } else { 1 };
        let mut outcome = Err(Error::NoPortFree);
        for _ in 0..draws {
            outcome = Self::bind_once(addresses, port);
            // A drawn port that is free on one address may be taken on another one.
            if !matches!(outcome, Err(Error::UdpPortInUse { .. })) {
                break;
            }
        }
        outcome
    }

    /// As many devices as there are shares of tags, on the same addresses and port. Packets come to the one in whose
    /// share their tag is.
    pub(crate) fn bind_shares(addresses: &[IpAddr], port: u16, tags: &TagShare) -> Result<Vec<Self>> {
        let first = Self::bind(addresses, port)?;
        let failed = |e: io::Error| Error::io("sharing a UDP port among workers", &e);
        // From here on others may have the port too. It was free.
        first.sockets.let_join().map_err(failed)?;
        let port = first.port;
        let mut devices = vec![first];
        for _ in 1..tags.shares() {
            devices.push(Self::bind_with(addresses, port, true)?);
        }
        #[cfg(target_os = "linux")]
        if let Some(device) = devices.first() {
            device.sockets.steer(tags).map_err(failed)?;
        }
        Ok(devices)
    }

    fn bind_once(addresses: &[IpAddr], port: u16) -> Result<Self> {
        Self::bind_with(addresses, port, false)
    }

    fn bind_with(addresses: &[IpAddr], mut port: u16, joins: bool) -> Result<Self> {
        let sockets = Sockets::open(addresses, |address| {
            let bound = bind_socket(SocketAddr::new(address, port), joins)?;
            port = bound.port()?;
            Ok(bound)
        });
        match sockets {
            Ok(sockets) => Ok(Self {
                sockets: sockets.on_port(port),
                port,
            }),
            Err(Some((address, error))) => Err(bind_error(&error, address, port)),
            Err(None) => Err(Error::AddressNotAvailable),
        }
    }

    /// The sockets on `port` of all addresses that another process handed over; `None` if they are something else.
    #[cfg(target_os = "linux")]
    pub(crate) fn adopt(descriptors: Vec<OwnedFd>, port: u16) -> Option<Self> {
        let sockets = Sockets::adopt(descriptors, port)?;
        Some(Self { sockets, port })
    }

    /// The same device, shared with other processes.
    #[cfg(target_os = "linux")]
    pub(crate) fn shared(self) -> Self {
        Self {
            sockets: self.sockets.shared(),
            ..self
        }
    }

    /// What to wait on until there is something to receive.
    #[cfg(target_os = "linux")]
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.sockets.descriptors()
    }

    /// Makes sure that receiving from one of the descriptors does not wait.
    #[cfg(target_os = "linux")]
    pub(crate) fn never_wait(&self, index: usize) {
        if let Some(socket) = self.sockets.descriptors().get(index) {
            // It can only fail where receiving fails too.
            let _ = rustix::io::ioctl_fionbio(socket, true);
        }
    }

    /// Receives datagrams from one of the descriptors.
    #[cfg(target_os = "linux")]
    pub(crate) fn receive<'a>(&self, index: usize, receiver: &'a mut Receiver) -> io::Result<Datagrams<'a>> {
        self.sockets.receive(index, receiver)
    }

    /// Adds what is known about packets that left by one of the descriptors; true if there may be more.
    #[cfg(target_os = "linux")]
    pub(crate) fn read_errors(&self, index: usize, troubles: &mut Vec<Trouble>) -> bool {
        self.sockets.read_errors(index, troubles)
    }

    /// Packets were dropped that other processes did not take.
    #[cfg(target_os = "linux")]
    pub(crate) fn count_dropped(&self, packets: u64) {
        self.sockets.counters.dropped(packets);
    }

    /// How many packets were dropped that other processes did not take.
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) fn dropped(&self) -> u64 {
        self.sockets.counters.snapshot().dropped
    }

    /// The UDP port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn max_segments(&self) -> usize {
        self.sockets.max_train().min(MAX_SEGMENTS)
    }
}

fn bind_socket(address: SocketAddr, joins: bool) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if joins {
        socket.set_reuse_port(true)?;
    }
    Bound::new(socket, address)
}

fn bind_error(error: &io::Error, address: IpAddr, port: u16) -> Error {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => Error::UdpPortInUse { address, port },
        Some(libc::EADDRNOTAVAIL) => Error::AddressNotAvailable,
        _ => Error::io("binding a UDP socket", error),
    }
}
