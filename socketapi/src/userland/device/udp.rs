//! SCTP in UDP (RFC 6951): one socket an address, or one a family on all addresses; trains of packets by GSO and GRO.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use quinn_udp::{UdpSockRef, UdpSocketState};
use sctp::Transmit;
use socket2::{Domain, Protocol, Socket, Type};

use super::option::{Fragments, report_errors};
use super::{Datagrams, Progress, Receiver, Trouble};
use crate::{Error, Result};

/// The most bytes that one system call sends: what fits one UDP datagram of either family.
const MAX_TRAIN: usize = 65_000;
/// The most packets that the engine is asked for at once: a train of ordinary Ethernet packets.
const MAX_SEGMENTS: usize = 44;
/// Buffers of the sockets. Too small, and bursts are lost before they are read; the system may allow less.
const SOCKET_BUFFER: usize = 4 << 20;
/// How often a free port is drawn before giving up, as it must be free on every address.
const PORT_DRAWS: usize = 32;
/// How many messages of an error queue are read at once.
#[cfg(target_os = "linux")]
const MAX_REPORTS: usize = 32;

/// What a device has done. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceStats {
    /// System calls that sent packets.
    pub send_calls: u64,
    /// System calls that received packets.
    pub receive_calls: u64,
    /// System calls that could not send; their packets are lost.
    pub send_errors: u64,
}

/// UDP sockets on one port.
#[derive(Debug)]
pub(crate) struct UdpDevice {
    sockets: Vec<Bound>,
    port: u16,
    /// Whether the sockets are on all addresses, so that the source of a packet has to be named.
    wildcard: bool,
    send_calls: AtomicU64,
    receive_calls: AtomicU64,
    send_errors: AtomicU64,
}

#[derive(Debug)]
struct Bound {
    socket: UdpSocket,
    state: UdpSocketState,
    address: IpAddr,
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

    fn bind_once(addresses: &[IpAddr], port: u16) -> Result<Self> {
        let wildcard = addresses.is_empty();
        let both = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
        let mut sockets: Vec<Bound> = Vec::new();
        let mut port = port;
        for address in if wildcard { &both } else { addresses } {
            match bind_socket(SocketAddr::new(*address, port)) {
                Ok(bound) => {
                    let local = bound
                        .socket
                        .local_addr()
                        .map_err(|e| Error::io("reading a UDP port", &e))?;
                    port = local.port();
                    sockets.push(bound);
                }
                Err(error) if wildcard && is_no_family(&error) => {}
                Err(error) => return Err(bind_error(&error, *address, port)),
            }
        }
        if sockets.is_empty() {
            return Err(Error::AddressNotAvailable);
        }
        Ok(Self {
            sockets,
            port,
            wildcard,
            send_calls: AtomicU64::new(0),
            receive_calls: AtomicU64::new(0),
            send_errors: AtomicU64::new(0),
        })
    }

    /// The UDP port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the device carries packets of the family of `address`.
    pub(crate) fn has_family_of(&self, address: IpAddr) -> bool {
        self.sockets
            .iter()
            .any(|bound| bound.address.is_ipv4() == address.is_ipv4())
    }

    pub(super) fn max_segments(&self) -> usize {
        let most = self.sockets.iter().map(|bound| bound.state.max_gso_segments()).min();
        most.unwrap_or(1).clamp(1, MAX_SEGMENTS)
    }

    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.sockets.iter().map(|bound| bound.socket.as_fd()).collect()
    }

    pub(super) fn stats(&self) -> DeviceStats {
        DeviceStats {
            send_calls: self.send_calls.load(Ordering::Relaxed),
            receive_calls: self.receive_calls.load(Ordering::Relaxed),
            send_errors: self.send_errors.load(Ordering::Relaxed),
        }
    }

    pub(super) fn receive<'a>(&self, index: usize, receiver: &'a mut Receiver) -> io::Result<Datagrams<'a>> {
        let bound = self.sockets.get(index).ok_or(io::ErrorKind::NotFound)?;
        let datagrams = receiver.fill(bound.address, self.port, |buffers, metas| {
            bound.state.recv(UdpSockRef::from(&bound.socket), buffers, metas)
        })?;
        self.receive_calls.fetch_add(1, Ordering::Relaxed);
        Ok(datagrams)
    }

    /// Adds what ICMP says about packets that left by this socket; true if there may be more.
    #[cfg(target_os = "linux")]
    pub(super) fn read_errors(&self, index: usize, troubles: &mut Vec<Trouble>) -> bool {
        let Some(bound) = self.sockets.get(index) else {
            return false;
        };
        for _ in 0..MAX_REPORTS {
            let report = super::errqueue::next_report(bound.socket.as_fd(), bound.address, self.port);
            let Ok(report) = report else { return false };
            troubles.extend(report.map(Trouble::Icmp));
        }
        true
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn read_errors(&self, _index: usize, _troubles: &mut Vec<Trouble>) -> bool {
        false
    }

    pub(super) fn send(
        &self,
        transmit: &Transmit,
        buf: &[u8],
        sent: &mut usize,
        troubles: &mut Vec<Trouble>,
    ) -> Progress {
        let (Some((index, bound)), Some(ports)) = (self.socket_for(transmit), transmit.encap) else {
            self.send_errors.fetch_add(1, Ordering::Relaxed);
            return Progress::Done;
        };
        let destination = SocketAddr::new(transmit.dst, ports.destination);
        let src_ip = transmit.src.filter(|_| self.wildcard);
        let segment = transmit.segment_size.max(1);
        let _fragments =
            may_need_fragments(transmit).then(|| Fragments::allow(bound.socket.as_fd(), bound.address.is_ipv4()));
        let mut one_by_one = false;
        let mut repeated = false;
        let mut too_big = false;
        while let Some(rest) = buf.get(*sent..transmit.size).filter(|rest| !rest.is_empty()) {
            let most = if one_by_one {
                1
            } else {
                bound.state.max_gso_segments().min(MAX_TRAIN / segment).max(1)
            };
            let train = rest.chunks(segment.saturating_mul(most)).next().unwrap_or(rest);
            let several = train.len() > segment;
            let outgoing = quinn_udp::Transmit {
                destination,
                ecn: None,
                contents: train,
                segment_size: several.then_some(segment),
                src_ip,
            };
            match bound.state.try_send(UdpSockRef::from(&bound.socket), &outgoing) {
                Ok(()) => {
                    self.send_calls.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Blocked(index),
                // Not every device can cut a train; the packets of this one go out one by one.
                Err(error) if several && is_about_trains(&error) => {
                    one_by_one = true;
                    continue;
                }
                // It may be about an earlier packet, and then this one was not even looked at.
                Err(_) if !repeated => {
                    repeated = true;
                    self.read_errors(index, troubles);
                    continue;
                }
                Err(error) => {
                    if is_too_big(&error) && !too_big {
                        too_big = true;
                        troubles.push(Trouble::too_big(transmit, train));
                    }
                    self.send_errors.fetch_add(1, Ordering::Relaxed);
                    tracing::trace!(%error, %destination, "packets lost on the way out");
                }
            }
            *sent += train.len();
            repeated = false;
        }
        Progress::Done
    }

    /// The socket that a transmission leaves from.
    fn socket_for(&self, transmit: &Transmit) -> Option<(usize, &Bound)> {
        let fits = |bound: &Bound| match transmit.src {
            Some(src) if !self.wildcard => bound.address == src,
            _ => bound.address.is_ipv4() == transmit.dst.is_ipv4(),
        };
        self.sockets.iter().enumerate().find(|(_, bound)| fits(bound))
    }
}

fn bind_socket(address: SocketAddr) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The system may not allow as much; less works too.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
    // Without it, what ICMP would tell is found out by time-outs.
    if let Err(error) = report_errors(socket.as_fd(), address.is_ipv4()) {
        tracing::debug!(%error, "ICMP is not reported");
    }
    Ok(Bound {
        socket,
        state,
        address: address.ip(),
    })
}

/// Whether the host simply lacks a family of addresses.
fn is_no_family(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

/// Whether the packets may be fragmented, and are larger than what every link carries.
fn may_need_fragments(transmit: &Transmit) -> bool {
    let (headers, least) = if transmit.dst.is_ipv4() { (28, 576) } else { (48, 1280) };
    !transmit.dont_fragment && transmit.segment_size + headers > least
}

/// Whether a packet was larger than what the interface carries.
fn is_too_big(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE)
}

/// Whether packets may go one by one where they do not go as a train.
fn is_about_trains(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP)
    )
}

fn bind_error(error: &io::Error, address: IpAddr, port: u16) -> Error {
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => Error::UdpPortInUse { address, port },
        Some(libc::EADDRNOTAVAIL) => Error::AddressNotAvailable,
        _ => Error::io("binding a UDP socket", error),
    }
}
