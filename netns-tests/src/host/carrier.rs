//! What carries a test host's packets: one socket an address, so that the source of each packet can be chosen and its
//! destination is known.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;
use rustix::io::Errno;
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
use rustix::net::{RecvFlags, recvfrom};
use sctp::addr::common_prefix;
use sctp::{ChecksumState, EcnCodepoint, RxMeta, Transmit, UdpPorts};
use socket2::{Domain, Protocol, Socket, Type};

/// SCTP's number among the protocols of IP.
const IP_PROTOCOL: i32 = 132;
/// Room for what arrives while the test does something else.
const SOCKET_BUFFER: usize = 4 << 20;

/// Sockets on some addresses.
#[derive(Debug)]
pub(super) struct Carrier {
    sockets: Vec<Bound>,
    /// The UDP port; without one, packets go directly on IP.
    udp_port: Option<u16>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Bound {
    address: IpAddr,
    socket: Socket,
    /// Whether IP may fragment what leaves from it.
    fragments: bool,
    /// The ECN field of what leaves from it; always zero in IPv6.
    ecn: EcnCodepoint,
}

impl Bound {
    fn set_fragments(&mut self, fragments: bool) -> io::Result<()> {
        if self.fragments != fragments {
            // Packets that must not be fragmented leave whatever the system believes the path carries.
            match (self.address, fragments) {
                (IpAddr::V4(_), true) => set_ip_mtu_discover(&self.socket, Ipv4PathMtuDiscovery::DONT)?,
                (IpAddr::V4(_), false) => set_ip_mtu_discover(&self.socket, Ipv4PathMtuDiscovery::PROBE)?,
                (IpAddr::V6(_), true) => set_ipv6_mtu_discover(&self.socket, Ipv6PathMtuDiscovery::DONT)?,
                (IpAddr::V6(_), false) => set_ipv6_mtu_discover(&self.socket, Ipv6PathMtuDiscovery::PROBE)?,
            }
            self.fragments = fragments;
        }
        Ok(())
    }

    fn set_ecn(&mut self, ecn: EcnCodepoint) -> io::Result<()> {
        if self.ecn != ecn && self.address.is_ipv4() {
            self.socket.set_tos_v4(ecn.bits().into())?;
            self.ecn = ecn;
        }
        Ok(())
    }
}

impl Carrier {
    /// Opens the sockets; raw ones, for SCTP directly on IP, take root.
    pub(super) fn open(addresses: &[IpAddr], udp_port: Option<u16>) -> io::Result<Self> {
        let sockets = addresses
            .iter()
            .map(|&address| open(address, udp_port))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            sockets,
            udp_port,
            buffer: vec![0; 1 << 16],
        })
    }

    /// Uses these addresses from now on.
    pub(super) fn set_addresses(&mut self, addresses: &[IpAddr]) -> io::Result<()> {
        self.sockets.retain(|bound| addresses.contains(&bound.address));
        for &address in addresses {
            if self.sockets.iter().all(|bound| bound.address != address) {
                self.sockets.push(open(address, self.udp_port)?);
            }
        }
        Ok(())
    }

    /// The sockets, to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(|bound| bound.socket.as_fd())
    }

    /// The next packet that has arrived, on any socket. Its ECN field is known only where the IP header comes along.
    pub(super) fn receive(&mut self) -> Option<(RxMeta, Bytes)> {
        for Bound { address, socket, .. } in &self.sockets {
            // Errors are those of earlier packets, by ICMP.
            let received = recvfrom(socket, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT);
            let Ok((length, _, Some(from))) = received else {
                continue;
            };
            let Ok(from) = SocketAddr::try_from(from) else { continue };
            let mut packet = self.buffer.get(..length).unwrap_or_default().to_vec();
            let mut ecn = EcnCodepoint::NotEct;
            // With raw sockets of IPv4, the IP header comes along.
            if self.udp_port.is_none() && address.is_ipv4() {
                ecn = packet.get(1).map_or(ecn, |octet| EcnCodepoint::from_bits(*octet));
                let header = packet.first().map_or(0, |byte| usize::from(byte & 15) * 4);
                packet.drain(..header.min(length));
            }
            let meta = RxMeta {
                src: from.ip(),
                dst: *address,
                encap: self.udp_port.map(|port| UdpPorts {
                    source: from.port(),
                    destination: port,
                }),
                ecn,
                checksum: ChecksumState::Unverified,
                buffer_len: packet.len(),
            };
            return Some((meta, packet.into()));
        }
        None
    }

    /// Sends a packet; false if the interface does not take one of this size. One that cannot be sent for another
    /// reason is lost, as it might be on its way.
    pub(super) fn send(&mut self, transmit: &Transmit, packet: &[u8]) -> bool {
        let suits = |bound: &Bound| match transmit.src {
            Some(src) => (bound.address == src).then_some(0),
            None => common_prefix(bound.address, transmit.dst),
        };
        let suitable = self.sockets.iter_mut().filter(|bound| suits(bound).is_some());
        let Some(bound) = suitable.max_by_key(|bound| suits(bound)) else {
            return true;
        };
        let port = transmit.encap.map_or(0, |ports| ports.destination);
        let to = SocketAddr::new(transmit.dst, port).into();
        let sent = bound
            .set_fragments(!transmit.dont_fragment)
            .and_then(|()| bound.set_ecn(transmit.ecn))
            .and_then(|()| bound.socket.send_to(packet, &to));
        !sent.is_err_and(|error| error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()))
    }
}

fn open(address: IpAddr, udp_port: Option<u16>) -> io::Result<Bound> {
    let (kind, protocol) = match udp_port {
        Some(_) => (Type::DGRAM, Protocol::UDP),
        None => (Type::RAW, Protocol::from(IP_PROTOCOL)),
    };
    let local = SocketAddr::new(address, udp_port.unwrap_or(0));
    let socket = Socket::new(Domain::for_address(local), kind, Some(protocol))?;
    // A raw socket is of one version anyway, and refuses to be told so.
    if address.is_ipv6() && udp_port.is_some() {
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&local.into())?;
    let mut bound = Bound {
        address,
        socket,
        fragments: true,
        ecn: EcnCodepoint::NotEct,
    };
    bound.set_fragments(false)?;
    Ok(bound)
}
