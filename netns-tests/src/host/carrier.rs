//! What carries a test host's packets: one socket an address, so that the source of each packet can be chosen and its
//! destination is known.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover};
use rustix::net::{RecvFlags, recvfrom};
use sctp::addr::common_prefix;
use sctp::{ChecksumState, RxMeta, Transmit, UdpPorts};
use socket2::{Domain, Protocol, Socket, Type};

/// SCTP's number among the protocols of IP.
const IP_PROTOCOL: i32 = 132;
/// Room for what arrives while the test does something else.
const SOCKET_BUFFER: usize = 4 << 20;

/// Sockets on some addresses.
#[derive(Debug)]
pub(super) struct Carrier {
    sockets: Vec<(IpAddr, Socket)>,
    /// The UDP port; without one, packets go directly on IP.
    udp_port: Option<u16>,
    buffer: Vec<u8>,
}

impl Carrier {
    /// Opens the sockets; raw ones, for SCTP directly on IP, take root.
    pub(super) fn open(addresses: &[IpAddr], udp_port: Option<u16>) -> io::Result<Self> {
        let sockets = addresses
            .iter()
            .map(|&address| Ok((address, open(address, udp_port)?)))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            sockets,
            udp_port,
            buffer: vec![0; 1 << 16],
        })
    }

    /// The sockets, to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(|(_, socket)| socket.as_fd())
    }

    /// The next packet that has arrived, on any socket.
    pub(super) fn receive(&mut self) -> Option<(RxMeta, Bytes)> {
        for (address, socket) in &self.sockets {
            // Errors are those of earlier packets, by ICMP.
            let received = recvfrom(socket, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT);
            let Ok((length, _, Some(from))) = received else {
                continue;
            };
            let Ok(from) = SocketAddr::try_from(from) else { continue };
            let mut packet = self.buffer.get(..length).unwrap_or_default().to_vec();
            // With raw sockets of IPv4, the IP header comes along.
            if self.udp_port.is_none() && address.is_ipv4() {
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
                checksum: ChecksumState::Unverified,
                buffer_len: packet.len(),
            };
            return Some((meta, packet.into()));
        }
        None
    }

    /// Sends packets. One that cannot be sent is lost, as it might be on its way.
    pub(super) fn send(&self, transmit: &Transmit, packets: &[u8]) {
        let nearest = self
            .sockets
            .iter()
            .max_by_key(|(address, _)| common_prefix(*address, transmit.dst).map(|bits| bits + 1));
        let chosen = transmit
            .src
            .and_then(|src| self.sockets.iter().find(|(address, _)| *address == src));
        let Some((_, socket)) = chosen.or(nearest) else { return };
        let port = transmit.encap.map_or(0, |ports| ports.destination);
        let to = SocketAddr::new(transmit.dst, port).into();
        for packet in transmit.segments(packets) {
            let _ = socket.send_to(packet, &to);
        }
    }
}

fn open(address: IpAddr, udp_port: Option<u16>) -> io::Result<Socket> {
    let (kind, protocol) = match udp_port {
        Some(_) => (Type::DGRAM, Protocol::UDP),
        None => (Type::RAW, Protocol::from(IP_PROTOCOL)),
    };
    let local = SocketAddr::new(address, udp_port.unwrap_or(0));
    let socket = Socket::new(Domain::for_address(local), kind, Some(protocol))?;
    // Packets of any size leave as they are: the engine knows what the path carries.
    match address {
        IpAddr::V4(_) => set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::PROBE)?,
        IpAddr::V6(_) => {
            socket.set_only_v6(true)?;
            set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::PROBE)?;
        }
    }
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.bind(&local.into())?;
    Ok(socket)
}
