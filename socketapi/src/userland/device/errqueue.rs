//! The error queue of a socket: what ICMP says about packets that it sent.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use bytes::Bytes;
use libc::c_int;
use sctp::{IcmpKind, IcmpReport, UdpPorts};

/// How much of a quoted packet is of interest.
const QUOTE: usize = 64;
/// Room for what the system says about a message.
const CONTROL: usize = 256;
/// Bytes before the data of a control message.
const CONTROL_HEADER: usize = align(size_of::<libc::cmsghdr>());

/// A message of the queue, as the system hands it out.
struct Raw {
    /// The address that the packet was sent to.
    name: [u8; size_of::<libc::sockaddr_in6>()],
    quoted: [u8; QUOTE],
    quoted_len: usize,
    /// Zeros after what was written.
    control: [u8; CONTROL],
}

/// The next message of the queue; `WouldBlock` if there is none, `Ok(None)` for one that is not ICMP of interest. The
/// socket is on UDP port `port` of `address`, or of all addresses; without a port it is a raw one.
pub(super) fn next_report(
    socket: BorrowedFd<'_>,
    address: IpAddr,
    port: Option<u16>,
) -> io::Result<Option<IcmpReport>> {
    let raw = receive(socket)?;
    Ok(parse(&raw, address, port))
}

#[expect(unsafe_code, reason = "no wrapper hands out control messages of this kind")]
fn receive(socket: BorrowedFd<'_>) -> io::Result<Raw> {
    let mut raw = Raw {
        name: [0; size_of::<libc::sockaddr_in6>()],
        quoted: [0; QUOTE],
        quoted_len: 0,
        control: [0; CONTROL],
    };
    let mut slice = libc::iovec {
        iov_base: ptr::from_mut(&mut raw.quoted).cast(),
        iov_len: QUOTE,
    };
    // SAFETY: all zeros are a value of this structure: null pointers and integers.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_name = ptr::from_mut(&mut raw.name).cast();
    header.msg_namelen = libc::socklen_t::try_from(raw.name.len()).unwrap_or_default();
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    header.msg_control = ptr::from_mut(&mut raw.control).cast();
    header.msg_controllen = CONTROL as _;
    // SAFETY: each pointer of the header is to a live buffer of bytes, as long as the header says, that nobody else
    // uses.
    let received = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut header,
            libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
        )
    };
    raw.quoted_len = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    Ok(raw)
}

fn parse(raw: &Raw, address: IpAddr, port: Option<u16>) -> Option<IcmpReport> {
    let destination = socket_address(&raw.name)?;
    let mut kind = None;
    let mut src = Some(address).filter(|address| !address.is_unspecified());
    for (level, name, data) in ControlMessages(&raw.control) {
        match (level, name) {
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => kind = icmp_kind(data),
            // The message was sent to where the packet came from.
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => src = src.or_else(|| Some(ipv4(data.get(8..)?)?.into())),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => src = src.or_else(|| Some(ipv6(data)?.into())),
            _ => {}
        }
    }
    Some(IcmpReport {
        src,
        dst: destination.ip(),
        encap: port.map(|source| UdpPorts {
            source,
            destination: destination.port(),
        }),
        kind: kind?,
        quoted: Bytes::copy_from_slice(raw.quoted.get(..raw.quoted_len)?),
    })
}

/// What a `sock_extended_err` says.
fn icmp_kind(data: &[u8]) -> Option<IcmpKind> {
    let &[_, _, _, _, origin, kind, code, _, a, b, c, d, ..] = data else {
        return None;
    };
    let mtu = u32::from_ne_bytes([a, b, c, d]);
    match (origin, kind, code) {
        (libc::SO_EE_ORIGIN_ICMP, 3, 2) | (libc::SO_EE_ORIGIN_ICMP6, 4, 1) => Some(IcmpKind::ProtocolUnreachable),
        (libc::SO_EE_ORIGIN_ICMP, 3, 3) | (libc::SO_EE_ORIGIN_ICMP6, 1, 4) => Some(IcmpKind::PortUnreachable),
        (libc::SO_EE_ORIGIN_ICMP, 3, 4) | (libc::SO_EE_ORIGIN_ICMP6, 2, _) => Some(IcmpKind::PacketTooBig { mtu }),
        (libc::SO_EE_ORIGIN_ICMP, 3, _) | (libc::SO_EE_ORIGIN_ICMP6, 1, _) => Some(IcmpKind::Unreachable),
        _ => None,
    }
}

/// What is in a `sockaddr_in` or a `sockaddr_in6`.
fn socket_address(name: &[u8]) -> Option<SocketAddr> {
    let (family, rest) = name.split_first_chunk()?;
    let (port, rest) = rest.split_first_chunk()?;
    let ip: IpAddr = match c_int::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => ipv4(rest)?.into(),
        // The flow label comes first.
        libc::AF_INET6 => ipv6(rest.get(4..)?)?.into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

fn ipv4(bytes: &[u8]) -> Option<Ipv4Addr> {
    bytes.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets))
}

fn ipv6(bytes: &[u8]) -> Option<Ipv6Addr> {
    bytes.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets))
}

/// Control messages have the alignment of a pointer.
const fn align(len: usize) -> usize {
    len.next_multiple_of(size_of::<usize>())
}

/// Control messages, as level, type and data.
struct ControlMessages<'a>(&'a [u8]);

impl<'a> Iterator for ControlMessages<'a> {
    type Item = (c_int, c_int, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (len, rest) = self.0.split_first_chunk()?;
        let (level, rest) = rest.split_first_chunk()?;
        let (name, _) = rest.split_first_chunk()?;
        let len = usize::from_ne_bytes(*len);
        let data = self.0.get(CONTROL_HEADER..len)?;
        self.0 = self.0.get(align(len)..).unwrap_or_default();
        Some((c_int::from_ne_bytes(*level), c_int::from_ne_bytes(*name), data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(origin: u8, kind: u8, code: u8, info: u32) -> Vec<u8> {
        let mut data = vec![0, 0, 0, 0, origin, kind, code, 0];
        data.extend(info.to_ne_bytes());
        data.extend([0; 4]);
        data
    }

    #[test]
    fn rfc9260_10_icmp_messages_are_told_apart() {
        let (v4, v6) = (libc::SO_EE_ORIGIN_ICMP, libc::SO_EE_ORIGIN_ICMP6);
        let too_big = Some(IcmpKind::PacketTooBig { mtu: 1400 });
        for (origin, kind, code, expected) in [
            (v4, 3, 1, Some(IcmpKind::Unreachable)),
            (v4, 3, 2, Some(IcmpKind::ProtocolUnreachable)),
            (v4, 3, 3, Some(IcmpKind::PortUnreachable)),
            (v4, 3, 4, too_big),
            (v4, 11, 0, None),
            (v4, 12, 0, None),
            (v6, 1, 0, Some(IcmpKind::Unreachable)),
            (v6, 1, 4, Some(IcmpKind::PortUnreachable)),
            (v6, 2, 0, too_big),
            (v6, 3, 0, None),
            (v6, 4, 0, None),
            (v6, 4, 1, Some(IcmpKind::ProtocolUnreachable)),
            (libc::SO_EE_ORIGIN_LOCAL, 0, 0, None),
        ] {
            assert_eq!(
                icmp_kind(&error(origin, kind, code, 1400)),
                expected,
                "{origin} {kind} {code}"
            );
        }
        assert_eq!(icmp_kind(&[0; 7]), None);
    }

    #[test]
    fn control_messages_that_are_cut_end_the_list() {
        let mut bytes = Vec::new();
        let len = CONTROL_HEADER + 4;
        bytes.extend(len.to_ne_bytes());
        bytes.extend(7i32.to_ne_bytes());
        bytes.extend(8i32.to_ne_bytes());
        bytes.resize(CONTROL_HEADER, 0);
        bytes.extend([1, 2, 3, 4]);
        bytes.resize(align(bytes.len()), 0);
        let one = bytes.clone();
        bytes.extend(&one[..len - 1]);
        let all: Vec<_> = ControlMessages(&bytes).collect();
        assert_eq!(all, [(7, 8, &[1, 2, 3, 4][..])]);
    }
}
