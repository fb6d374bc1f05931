//! Sockets of the system that carry SCTP packets, one an address, or one a family on all addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use quinn_udp::{UdpSockRef, UdpSocketState};
use sctp::Transmit;
use sctp::config::{FlowLabel, TagShare};
use socket2::{Protocol, SockRef, Socket, Type};

use super::marked;
use super::option::{Fragments, report_errors, send_flow_labels};
use super::stats::Counters;
use super::{Datagrams, Progress, Receiver, Trouble};

/// The most bytes that one system call sends: what fits one UDP datagram of either family.
const MAX_TRAIN: usize = 65_000;
/// Buffers of the sockets. Too small, and bursts are lost before they are read; the system may allow less.
const SOCKET_BUFFER: usize = 4 << 20;
/// How many messages of an error queue are read at once.
#[cfg(target_os = "linux")]
const MAX_REPORTS: usize = 32;

/// The sockets of a device.
#[derive(Debug)]
pub(super) struct Sockets {
    list: Vec<Bound>,
    /// Whether the sockets are on all addresses, so that the source of a packet has to be named.
    wildcard: bool,
    /// The own UDP port; `None` for SCTP directly on IP.
    port: Option<u16>,
    /// Whether other processes have the same sockets, so that only one of them receives, and reads what went wrong.
    shared: bool,
    pub(super) counters: Counters,
}

/// A socket on an address.
#[derive(Debug)]
pub(super) struct Bound {
    socket: UdpSocket,
    state: UdpSocketState,
    address: IpAddr,
}

impl Bound {
    /// Prepares a socket and binds it.
    pub(super) fn new(socket: Socket, address: SocketAddr) -> io::Result<Self> {
        // A raw socket is of one version anyway, and refuses to be told so.
        if address.is_ipv6() && socket.r#type()? != Type::RAW {
            socket.set_only_v6(true)?;
        }
        // The system may not allow as much; less works too.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        socket.bind(&address.into())?;
        // The type is but a descriptor with calls that fit.
        Self::adopt(UdpSocket::from(socket), address)
    }

    /// A socket that is bound to `address`.
    pub(super) fn adopt(socket: UdpSocket, address: SocketAddr) -> io::Result<Self> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        // Without it, what ICMP would tell is found out by time-outs.
        if let Err(error) = report_errors(socket.as_fd(), address.is_ipv4()) {
            tracing::debug!(%error, "ICMP is not reported");
        }
        if address.is_ipv6()
            && let Err(error) = send_flow_labels(socket.as_fd())
        {
            tracing::debug!(%error, "packets bear no flow label");
        }
        Ok(Self {
            socket,
            state,
            address: address.ip(),
        })
    }

    /// The port it is bound to.
    pub(super) fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }
}

impl Sockets {
    /// What `open` makes for each of `addresses`, or for all addresses of both families if there are none; of these the
    /// host may lack one. An error comes with its address; without one, the host has no addresses.
    pub(super) fn open(
        addresses: &[IpAddr],
        mut open: impl FnMut(IpAddr) -> io::Result<Bound>,
    ) -> Result<Self, Option<(IpAddr, io::Error)>> {
        let wildcard = addresses.is_empty();
        let both = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
        let mut list = Vec::new();
        for address in if wildcard { &both } else { addresses } {
            match open(*address) {
                Ok(bound) => list.push(bound),
                Err(error) if wildcard && is_no_family(&error) => {}
                Err(error) => return Err(Some((*address, error))),
            }
        }
        if list.is_empty() {
            return Err(None);
        }
        Ok(Self::new(list, wildcard))
    }

    fn new(list: Vec<Bound>, wildcard: bool) -> Self {
        Self {
            list,
            wildcard,
            port: None,
            shared: false,
            counters: Counters::default(),
        }
    }

    /// UDP sockets on `port` of all addresses that another process handed over; `None` if they are something else.
    #[cfg(target_os = "linux")]
    pub(super) fn adopt(descriptors: Vec<OwnedFd>, port: u16) -> Option<Self> {
        let mut list: Vec<Bound> = Vec::new();
        for descriptor in descriptors {
            let socket = Socket::from(descriptor);
            let udp =
                matches!(socket.protocol(), Ok(Some(Protocol::UDP))) && matches!(socket.r#type(), Ok(Type::DGRAM));
            let socket = UdpSocket::from(socket);
            let address = socket.local_addr().ok().filter(|local| udp && local.port() == port)?;
            let twice = list.iter().any(|bound| bound.address == address.ip());
            if twice || !address.ip().is_unspecified() {
                return None;
            }
            list.push(Bound::adopt(socket, address).ok()?);
        }
        let some = !list.is_empty();
        some.then(|| Self::new(list, true).on_port(port).shared())
    }

    /// The same sockets, which other processes have too.
    #[cfg(target_os = "linux")]
    pub(super) fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

    /// Lets other sockets of the same user have the same address and port.
    pub(super) fn let_join(&self) -> io::Result<()> {
        for bound in &self.list {
            SockRef::from(&bound.socket).set_reuse_port(true)?;
        }
        Ok(())
    }

    /// Has the system choose the socket by the tag of a packet, for all that have the same address and port.
    #[cfg(target_os = "linux")]
    pub(super) fn steer(&self, tags: &TagShare) -> io::Result<()> {
        for bound in &self.list {
            super::steer::attach(&bound.socket, tags)?;
        }
        Ok(())
    }

    /// Has the system drop what a filter does not let in.
    #[cfg(target_os = "linux")]
    pub(super) fn filter(&self, filter: &super::PortFilter) -> io::Result<()> {
        for bound in &self.list {
            super::filter::attach(bound.socket.as_fd(), bound.address.is_ipv4(), filter)?;
        }
        Ok(())
    }

    /// Whether other processes have the same sockets.
    pub(super) const fn are_shared(&self) -> bool {
        self.shared
    }

    /// The same sockets, which carry SCTP in UDP on `port`.
    pub(super) const fn on_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    pub(super) fn has_family_of(&self, address: IpAddr) -> bool {
        self.list
            .iter()
            .any(|bound| bound.address.is_ipv4() == address.is_ipv4())
    }

    /// How many packets one system call may send.
    pub(super) fn max_train(&self) -> usize {
        match self.port {
            // Trains are UDP's.
            None => 1,
            Some(_) => {
                let most = self.list.iter().map(|bound| bound.state.max_gso_segments()).min();
                most.unwrap_or(1).max(1)
            }
        }
    }

    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.list.iter().map(|bound| bound.socket.as_fd()).collect()
    }

    pub(super) fn receive<'a>(&self, index: usize, receiver: &'a mut Receiver) -> io::Result<Datagrams<'a>> {
        let bound = self.list.get(index).ok_or(io::ErrorKind::NotFound)?;
        let datagrams = receiver.fill(bound.address, self.port, |buffers, metas| {
            bound.state.recv(UdpSockRef::from(&bound.socket), buffers, metas)
        })?;
        self.counters.received();
        Ok(datagrams)
    }

    /// Adds what ICMP says about packets that left by this socket; true if there may be more.
    #[cfg(target_os = "linux")]
    pub(super) fn read_errors(&self, index: usize, troubles: &mut Vec<Trouble>) -> bool {
        let Some(bound) = self.list.get(index) else {
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
        let fits = transmit.encap.is_some() == self.port.is_some();
        let Some((index, bound)) = self.socket_for(transmit).filter(|_| fits) else {
            self.counters.send_failed();
            return Progress::Done;
        };
        let mut destination = SocketAddr::new(transmit.dst, transmit.encap.map_or(0, |ports| ports.destination));
        let mut labelled = label(&mut destination, transmit.marks.flow_label());
        let src_ip = transmit.src.filter(|_| self.wildcard);
        let segment = transmit.segment_size.max(1);
        let _fragments =
            may_need_fragments(transmit).then(|| Fragments::allow(bound.socket.as_fd(), bound.address.is_ipv4()));
        let mut one_by_one = self.port.is_none();
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
                ecn: quinn_udp::EcnCodepoint::from_bits(transmit.ecn.bits()),
                contents: train,
                segment_size: several.then_some(segment),
                src_ip,
            };
            match marked::try_send(&bound.state, &bound.socket, &outgoing, transmit.marks.dscp()) {
                Ok(()) => self.counters.sent(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Blocked(index),
                // Others of the host have taken labels for themselves; without one the packets go.
                Err(error) if labelled && is_about_arguments(&error) => {
                    labelled = label(&mut destination, FlowLabel::NONE);
                    continue;
                }
                // Not every device can cut a train; the packets of this one go out one by one.
                Err(error) if several && is_about_trains(&error) => {
                    one_by_one = true;
                    continue;
                }
                // It may be about an earlier packet, and then this one was not even looked at.
                Err(_) if !repeated => {
                    repeated = true;
                    // What is in the queue may be about other processes' packets; the holder passes it on.
                    if !self.shared {
                        self.read_errors(index, troubles);
                    }
                    continue;
                }
                Err(error) => {
                    if is_too_big(&error) && !too_big {
                        too_big = true;
                        troubles.push(Trouble::too_big(transmit, train));
                    }
                    self.counters.send_failed();
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
        self.list.iter().enumerate().find(|(_, bound)| fits(bound))
    }
}

/// Puts a flow label where sockets look for it; whether there is one.
fn label(destination: &mut SocketAddr, label: FlowLabel) -> bool {
    let SocketAddr::V6(destination) = destination else {
        return false;
    };
    // It is as on the wire (RFC 3493 §3.3).
    destination.set_flowinfo(label.get().to_be());
    !label.is_none()
}

/// Whether the host simply lacks a family of addresses.
fn is_no_family(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

/// Whether the packets may be fragmented, and are larger than what every link carries.
fn may_need_fragments(transmit: &Transmit) -> bool {
    let (ip, least) = if transmit.dst.is_ipv4() { (20, 576) } else { (40, 1280) };
    let udp = if transmit.encap.is_some() { 8 } else { 0 };
    !transmit.dont_fragment && transmit.segment_size + ip + udp > least
}

/// Whether a packet was larger than what the interface carries.
fn is_too_big(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EMSGSIZE)
}

/// Whether the system did not take something that was named with the packets.
fn is_about_arguments(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// Whether packets may go one by one where they do not go as a train.
fn is_about_trains(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP)
    )
}
