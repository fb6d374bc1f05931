//! The multicast groups of announces (RFC 5352 §3.6).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use bytes::Bytes;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

/// The largest announce that is read; longer datagrams are cut, and so discarded.
const MAX_DATAGRAM: usize = 2048;
/// How many routers an announce passes.
const TTL: u32 = 30;

/// The groups that a node has joined, and its sockets to send to groups.
pub(super) struct Multicast {
    /// The node's own transport address.
    local: Vec<SocketAddr>,
    joined: BTreeMap<SocketAddr, UdpSocket>,
    /// One socket for each own address.
    senders: BTreeMap<SocketAddr, UdpSocket>,
}

impl Multicast {
    pub(super) const fn new(local: Vec<SocketAddr>) -> Self {
        Self {
            local,
            joined: BTreeMap::new(),
            senders: BTreeMap::new(),
        }
    }

    /// The node's own transport address.
    pub(super) fn local(&self) -> &[SocketAddr] {
        &self.local
    }

    /// Joins a group on the interfaces of all own addresses.
    pub(super) fn join(&mut self, group: SocketAddr) {
        match self.open_group(group) {
            Ok(socket) => {
                self.joined.insert(group, socket);
            }
            Err(error) => tracing::warn!(%group, %error, "cannot join the group: announces are not heard"),
        }
    }

    fn open_group(&self, group: SocketAddr) -> io::Result<UdpSocket> {
        let socket = Socket::new(Domain::for_address(group), Type::DGRAM, Some(Protocol::UDP))?;
        // Several nodes of a host hear the same group.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(group))?;
        let mut joined = Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
        for own in &self.local {
            let outcome = match (group.ip(), own.ip()) {
                (IpAddr::V4(group), IpAddr::V4(own)) => socket.join_multicast_v4(&group, &own),
                (IpAddr::V6(group), IpAddr::V6(_)) => socket.join_multicast_v6(&group, interface_of(own.ip())),
                _ => continue,
            };
            // Two addresses of one interface join it twice, which is refused.
            if outcome.is_ok() || joined.is_err() {
                joined = outcome;
            }
        }
        joined?;
        UdpSocket::from_std(socket.into())
    }

    /// Sends a datagram to a group from all own addresses.
    pub(super) fn send(&mut self, group: SocketAddr, payload: &[u8]) {
        let sources: Vec<SocketAddr> = self
            .local
            .iter()
            .filter(|at| at.is_ipv4() == group.is_ipv4())
            .copied()
            .collect();
        for source in sources {
            let sender = match self.senders.get(&source) {
                Some(sender) => sender,
                None => match open_sender(source) {
                    Ok(sender) => self.senders.entry(source).or_insert(sender),
                    Err(error) => {
                        tracing::warn!(%source, %error, "cannot announce from this address");
                        continue;
                    }
                },
            };
            // A datagram may be lost here as well as on its way.
            if let Err(error) = sender.try_send_to(payload, group) {
                tracing::debug!(%source, %group, %error, "announce not sent");
            }
        }
    }

    /// The next datagram: the group it came to, where it came from, its bytes.
    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<(SocketAddr, SocketAddr, Bytes)> {
        for (group, socket) in &self.joined {
            let mut bytes = [0; MAX_DATAGRAM];
            let mut buf = ReadBuf::new(&mut bytes);
            match socket.poll_recv_from(cx, &mut buf) {
                Poll::Ready(Ok(source)) => {
                    return Poll::Ready((*group, source, Bytes::copy_from_slice(buf.filled())));
                }
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%group, %error, "cannot receive");
                    cx.waker().wake_by_ref();
                }
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }
}

/// A socket that sends to groups through the interface of `source`. Its port is that of the node, as receivers of bare
/// announces expect; if that is taken, any port.
fn open_sender(source: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(source), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    match source.ip() {
        IpAddr::V4(own) => {
            socket.set_multicast_if_v4(&own)?;
            socket.set_multicast_ttl_v4(TTL)?;
            socket.set_multicast_loop_v4(true)?;
        }
        IpAddr::V6(_) => {
            socket.set_multicast_if_v6(interface_of(source.ip()))?;
            socket.set_multicast_hops_v6(TTL)?;
            socket.set_multicast_loop_v6(true)?;
        }
    }
    let any_port = SocketAddr::new(source.ip(), 0);
    socket
        .bind(&SockAddr::from(source))
        .or_else(|_| socket.bind(&SockAddr::from(any_port)))?;
    UdpSocket::from_std(socket.into())
}

/// The number of the interface that has an address; 0, which leaves the choice to the system, if that is not known.
fn interface_of(address: IpAddr) -> u32 {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let interface = interfaces.into_iter().find(|interface| interface.ip() == address);
    interface.and_then(|interface| interface.index).unwrap_or(0)
}
