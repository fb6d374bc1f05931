//! Packets that bear a code point (RFC 2474 §3): `quinn-udp` sets only the two bits of that octet that are for ECN
//! (RFC 3168 §5).

use std::io;
use std::net::UdpSocket;

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};

/// Sends packets that bear `dscp` beside their ECN field. Elsewhere than on Linux they bear none.
pub(super) fn try_send(
    state: &UdpSocketState,
    socket: &UdpSocket,
    outgoing: &Transmit<'_>,
    dscp: u8,
) -> io::Result<()> {
    if dscp == 0 || !cfg!(target_os = "linux") {
        state.try_send(UdpSockRef::from(socket), outgoing)
    } else {
        send_marked(socket, outgoing, dscp)
    }
}

/// Sends as `quinn-udp` would, with a DSCP.
#[cfg(target_os = "linux")]
fn send_marked(socket: &UdpSocket, outgoing: &Transmit<'_>, dscp: u8) -> io::Result<()> {
    use std::net::IpAddr;
    use std::os::fd::AsRawFd;

    use nix::errno::Errno;
    use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

    let tos = dscp << 2 | outgoing.ecn.map_or(0, |ecn| ecn as u8);
    let class = i32::from(tos);
    let mut control = vec![if outgoing.destination.is_ipv4() {
        ControlMessage::Ipv4Tos(&tos)
    } else {
        ControlMessage::Ipv6TClass(&class)
    }];
    let segment = outgoing.segment_size.and_then(|segment| u16::try_from(segment).ok());
    control.extend(segment.as_ref().map(ControlMessage::UdpGsoSegments));
    let (mut v4, mut v6) = (None, None);
    match outgoing.src_ip {
        Some(IpAddr::V4(src)) => {
            v4 = Some(libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(src.octets()),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            });
        }
        Some(IpAddr::V6(src)) => {
            v6 = Some(libc::in6_pktinfo {
                ipi6_ifindex: 0,
                ipi6_addr: libc::in6_addr { s6_addr: src.octets() },
            });
        }
        None => {}
    }
    control.extend(v4.as_ref().map(ControlMessage::Ipv4PacketInfo));
    control.extend(v6.as_ref().map(ControlMessage::Ipv6PacketInfo));
    let destination = SockaddrStorage::from(outgoing.destination);
    let contents = [io::IoSlice::new(outgoing.contents)];
    loop {
        let sent = sendmsg(
            socket.as_raw_fd(),
            &contents,
            &control,
            MsgFlags::empty(),
            Some(&destination),
        );
        match sent {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn send_marked(_socket: &UdpSocket, _outgoing: &Transmit<'_>, _dscp: u8) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::IoSliceMut;
    use std::net::{IpAddr, SocketAddr};
    use std::os::fd::AsRawFd;

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};

    use quinn_udp::EcnCodepoint;

    use super::*;

    /// A socket that tells the code points of what it receives.
    fn receiver(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        if address.contains(':') {
            setsockopt(&socket, sockopt::Ipv6RecvTClass, &true).unwrap();
        } else {
            setsockopt(&socket, sockopt::IpRecvTos, &true).unwrap();
        }
        socket
    }

    /// The next packet: its size, its code point, and who it is from.
    fn receive(socket: &UdpSocket) -> (usize, u8, IpAddr) {
        let (mut bytes, mut control) = ([0; 2000], nix::cmsg_space!(i32, i32));
        let mut buffers = [IoSliceMut::new(&mut bytes)];
        let message =
            recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut buffers, Some(&mut control), MsgFlags::empty())
                .unwrap();
        let octet = message.cmsgs().unwrap().find_map(|control| match control {
            ControlMessageOwned::Ipv4Tos(tos) => Some(tos),
            ControlMessageOwned::Ipv6TClass(class) => Some(class as u8),
            _ => None,
        });
        let from = message.address.unwrap();
        let ip = match (from.as_sockaddr_in(), from.as_sockaddr_in6()) {
            (Some(v4), _) => IpAddr::V4(v4.ip()),
            (_, Some(v6)) => IpAddr::V6(v6.ip()),
            _ => panic!("{from}"),
        };
        (message.bytes, octet.unwrap(), ip)
    }

    fn check(address: &str, any: &str, source: &str) {
        let receiver = receiver(address);
        let destination: SocketAddr = receiver.local_addr().unwrap();
        let sender = UdpSocket::bind((any, 0)).unwrap();
        let state = UdpSocketState::new(UdpSockRef::from(&sender)).unwrap();
        let source: IpAddr = source.parse().unwrap();
        let outgoing = |contents, segment_size, src_ip, ecn| Transmit {
            destination,
            ecn: EcnCodepoint::from_bits(ecn),
            contents,
            segment_size,
            src_ip,
        };
        try_send(&state, &sender, &outgoing(&[1; 100], None, None, 0), 46).unwrap();
        let (size, octet, _) = receive(&receiver);
        assert_eq!((size, octet), (100, 46 << 2));
        // The ECN field is part of the octet.
        for (dscp, ecn) in [(46, 2), (8, 1), (0, 2), (0, 3), (0, 0)] {
            try_send(&state, &sender, &outgoing(&[1; 100], None, None, ecn), dscp).unwrap();
            assert_eq!(receive(&receiver).1, dscp << 2 | ecn);
        }
        // A train, from an address that the caller chose.
        try_send(&state, &sender, &outgoing(&[1; 250], Some(100), Some(source), 2), 8).unwrap();
        for expected in [100, 100, 50] {
            assert_eq!(receive(&receiver), (expected, 8 << 2 | 2, source));
        }
    }

    #[test]
    fn rfc6458_8_1_12_ipv4_packets_bear_the_code_point() {
        check("127.0.0.1", "0.0.0.0", "127.0.0.7");
    }

    #[test]
    fn rfc6458_8_1_12_ipv6_packets_bear_the_code_point() {
        check("::1", "::", "::1");
    }
}
