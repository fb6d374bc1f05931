//! IP packets with their headers, as they pass a TUN interface: SCTP on IP and in UDP, what ICMP says about them,
//! pings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use bytes::Bytes;
use sctp::config::Marks;
use sctp::{EcnCodepoint, IcmpKind, IcmpReport, UdpPorts};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    Icmpv4Message, Icmpv4Packet, Icmpv4Repr, Icmpv6Message, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Packet, Ipv4Repr,
    Ipv6Packet, Ipv6Repr, UdpPacket, UdpRepr,
};

/// SCTP among the protocols of IP.
const SCTP: IpProtocol = IpProtocol::Unknown(132);
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const FRAGMENT_HEADER: usize = 8;
const UDP_HEADER: usize = 8;
const ICMP_HEADER: usize = 8;
const HOP_LIMIT: u8 = 64;

/// What an IP packet is to a stack.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// An SCTP packet, at this place in the IP packet.
    Sctp {
        src: IpAddr,
        dst: IpAddr,
        encap: Option<UdpPorts>,
        ecn: EcnCodepoint,
        at: Range<usize>,
    },
    /// News of a packet that was sent.
    Icmp(IcmpReport),
    /// A ping, with the packet that answers it.
    Ping { dst: IpAddr, answer: Vec<u8> },
    /// A part of a packet.
    Fragment(Fragment),
    /// Something else.
    Other,
}

/// A part of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    /// The packet.
    pub(super) of: Whole,
    /// Where the part belongs in what the packet holds.
    pub(super) offset: usize,
    /// Whether something follows it.
    pub(super) more: bool,
    pub(super) ecn: EcnCodepoint,
    /// Where its bytes are in the IP packet.
    pub(super) at: Range<usize>,
}

/// What all fragments of a packet tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Whole {
    pub(super) src: IpAddr,
    pub(super) dst: IpAddr,
    pub(super) protocol: u8,
    pub(super) ident: u32,
}

/// The bytes that headers take.
pub(super) const fn headers(dst: IpAddr, encap: Option<UdpPorts>) -> usize {
    let ip = if dst.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER };
    if encap.is_some() { ip + UDP_HEADER } else { ip }
}

/// Writes the IP packet around an SCTP packet over what `buf` has; false if the addresses are of different families, or
/// the packet is larger than IP packets can be. Without `dont_fragment`, routers may fragment it; `ident` tells such
/// packets apart.
pub(super) fn write(
    buf: &mut Vec<u8>,
    (src, dst): (IpAddr, IpAddr),
    encap: Option<UdpPorts>,
    dont_fragment: bool,
    ident: u16,
    payload: &[u8],
) -> bool {
    let start = headers(dst, encap);
    let len = start + payload.len();
    if u16::try_from(len).is_err() {
        return false;
    }
    buf.clear();
    buf.resize(len, 0);
    let caps = ChecksumCapabilities::default();
    let next_header = if encap.is_some() { IpProtocol::Udp } else { SCTP };
    let ip = match (src, dst) {
        (IpAddr::V4(src_addr), IpAddr::V4(dst_addr)) => {
            let mut packet = Ipv4Packet::new_unchecked(&mut buf[..]);
            let repr = Ipv4Repr {
                src_addr,
                dst_addr,
                next_header,
                payload_len: len - IPV4_HEADER,
                hop_limit: HOP_LIMIT,
            };
            repr.emit(&mut packet, &caps);
            if !dont_fragment {
                packet.set_dont_frag(false);
                packet.set_ident(ident);
                packet.fill_checksum();
            }
            IPV4_HEADER
        }
        (IpAddr::V6(src_addr), IpAddr::V6(dst_addr)) => {
            let repr = Ipv6Repr {
                src_addr,
                dst_addr,
                next_header,
                payload_len: len - IPV6_HEADER,
                hop_limit: HOP_LIMIT,
            };
            repr.emit(&mut Ipv6Packet::new_unchecked(&mut buf[..]));
            IPV6_HEADER
        }
        _ => return false,
    };
    let Some(rest) = buf.get_mut(ip..) else { return false };
    match encap {
        None => rest.copy_from_slice(payload),
        Some(ports) => {
            let repr = UdpRepr {
                src_port: ports.source,
                dst_port: ports.destination,
            };
            let mut packet = UdpPacket::new_unchecked(rest);
            let fill = |to: &mut [u8]| to.copy_from_slice(payload);
            repr.emit(&mut packet, &src.into(), &dst.into(), payload.len(), fill, &caps);
        }
    }
    true
}

/// Sets the code point and the ECN field in the header of an IP packet that has none, and the flow label if it is IPv6.
pub(super) fn mark(packet: &mut [u8], marks: Marks, ecn: EcnCodepoint) {
    let octet = marks.dscp() << 2 | ecn.bits();
    if octet == 0 && marks.flow_label().is_none() {
        return;
    }
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => {
            if let Some(field) = packet.get_mut(1) {
                *field = octet;
            }
            if let Ok(mut packet) = Ipv4Packet::new_checked(packet) {
                packet.fill_checksum();
            }
        }
        Some(6) => {
            if let Ok(mut packet) = Ipv6Packet::new_checked(packet) {
                packet.set_traffic_class(octet);
                packet.set_flow_label(marks.flow_label().get());
            }
        }
        _ => {}
    }
}

/// Finds out what an IP packet is.
pub(super) fn read(packet: &[u8]) -> Arrived {
    let arrived = match packet.first().map(|byte| byte >> 4) {
        Some(4) => read_v4(packet),
        Some(6) => read_v6(packet),
        _ => None,
    };
    arrived.unwrap_or(Arrived::Other)
}

/// Finds out what a packet is that came in fragments; what SCTP there is, is at a place in what the packet holds.
pub(super) fn read_whole(of: &Whole, ecn: EcnCodepoint, content: &[u8]) -> Arrived {
    let arrived = sctp(content, 0..content.len(), of.protocol.into(), (of.src, of.dst), ecn);
    arrived.unwrap_or(Arrived::Other)
}

fn read_v4(bytes: &[u8]) -> Option<Arrived> {
    let packet = Ipv4Packet::new_checked(bytes).ok()?;
    if !packet.verify_checksum() {
        return None;
    }
    let start = usize::from(packet.header_len());
    let (src, dst) = (packet.src_addr(), packet.dst_addr());
    if packet.more_frags() || packet.frag_offset() != 0 {
        return Some(Arrived::Fragment(Fragment {
            of: Whole {
                src: src.into(),
                dst: dst.into(),
                protocol: packet.next_header().into(),
                ident: packet.ident().into(),
            },
            offset: packet.frag_offset().into(),
            more: packet.more_frags(),
            ecn: EcnCodepoint::from_bits(packet.ecn()),
            at: start..packet.total_len().into(),
        }));
    }
    match packet.next_header() {
        IpProtocol::Icmp => icmp_v4(packet.payload(), src, dst),
        protocol => sctp(
            bytes,
            start..packet.total_len().into(),
            protocol,
            (src.into(), dst.into()),
            EcnCodepoint::from_bits(packet.ecn()),
        ),
    }
}

fn read_v6(bytes: &[u8]) -> Option<Arrived> {
    let packet = Ipv6Packet::new_checked(bytes).ok()?;
    let (src, dst) = (packet.src_addr(), packet.dst_addr());
    match packet.next_header() {
        IpProtocol::Icmpv6 => icmp_v6(packet.payload(), src, dst),
        IpProtocol::Ipv6Frag => {
            let &[protocol, _, high, low, a, b, c, d, ..] = packet.payload() else {
                return None;
            };
            let place = u16::from_be_bytes([high, low]);
            Some(Arrived::Fragment(Fragment {
                of: Whole {
                    src: src.into(),
                    dst: dst.into(),
                    protocol,
                    ident: u32::from_be_bytes([a, b, c, d]),
                },
                offset: usize::from(place & !7),
                more: place & 1 == 1,
                ecn: EcnCodepoint::from_bits(packet.traffic_class()),
                at: IPV6_HEADER + FRAGMENT_HEADER..packet.total_len(),
            }))
        }
        protocol => sctp(
            bytes,
            IPV6_HEADER..packet.total_len(),
            protocol,
            (src.into(), dst.into()),
            EcnCodepoint::from_bits(packet.traffic_class()),
        ),
    }
}

fn sctp(
    bytes: &[u8],
    at: Range<usize>,
    protocol: IpProtocol,
    (src, dst): (IpAddr, IpAddr),
    ecn: EcnCodepoint,
) -> Option<Arrived> {
    let content = bytes.get(at.clone())?;
    let (encap, at) = match protocol {
        SCTP => (None, at),
        IpProtocol::Udp => {
            let packet = UdpPacket::new_checked(content).ok()?;
            let repr = UdpRepr::parse(&packet, &src.into(), &dst.into(), &ChecksumCapabilities::default()).ok()?;
            let ports = UdpPorts {
                source: repr.src_port,
                destination: repr.dst_port,
            };
            (Some(ports), at.start + UDP_HEADER..at.start + usize::from(packet.len()))
        }
        _ => return None,
    };
    Some(Arrived::Sctp {
        src,
        dst,
        encap,
        ecn,
        at,
    })
}

fn icmp_v4(bytes: &[u8], src: Ipv4Addr, dst: Ipv4Addr) -> Option<Arrived> {
    let caps = ChecksumCapabilities::default();
    let packet = Icmpv4Packet::new_checked(bytes).ok()?;
    if !packet.verify_checksum() {
        return None;
    }
    let kind = match (packet.msg_type(), packet.msg_code()) {
        (Icmpv4Message::DstUnreachable, 2) => IcmpKind::ProtocolUnreachable,
        (Icmpv4Message::DstUnreachable, 3) => IcmpKind::PortUnreachable,
        (Icmpv4Message::DstUnreachable, 4) => IcmpKind::PacketTooBig {
            mtu: u16::from_be_bytes(*bytes.get(6..)?.first_chunk()?).into(),
        },
        (Icmpv4Message::DstUnreachable, _) => IcmpKind::Unreachable,
        (Icmpv4Message::EchoRequest, _) => {
            let Ok(Icmpv4Repr::EchoRequest { ident, seq_no, data }) = Icmpv4Repr::parse(&packet, &caps) else {
                return None;
            };
            let echo = Icmpv4Repr::EchoReply { ident, seq_no, data };
            let mut answer = vec![0; IPV4_HEADER + echo.buffer_len()];
            let repr = Ipv4Repr {
                src_addr: dst,
                dst_addr: src,
                next_header: IpProtocol::Icmp,
                payload_len: echo.buffer_len(),
                hop_limit: HOP_LIMIT,
            };
            repr.emit(&mut Ipv4Packet::new_unchecked(&mut answer[..]), &caps);
            echo.emit(&mut Icmpv4Packet::new_unchecked(answer.get_mut(IPV4_HEADER..)?), &caps);
            return Some(Arrived::Ping {
                dst: dst.into(),
                answer,
            });
        }
        _ => return None,
    };
    let quoted = bytes.get(ICMP_HEADER..)?;
    // The quote may end early, and lengths in it with it.
    let start = usize::from(quoted.first()? & 15) * 4;
    if quoted.len() < IPV4_HEADER || start < IPV4_HEADER {
        return None;
    }
    let header = Ipv4Packet::new_unchecked(quoted);
    report(
        kind,
        header.src_addr().into(),
        header.dst_addr().into(),
        header.next_header(),
        quoted.get(start..)?,
    )
}

fn icmp_v6(bytes: &[u8], src: Ipv6Addr, dst: Ipv6Addr) -> Option<Arrived> {
    let caps = ChecksumCapabilities::default();
    let packet = Icmpv6Packet::new_checked(bytes).ok()?;
    if !packet.verify_checksum(&src, &dst) {
        return None;
    }
    let kind = match (packet.msg_type(), packet.msg_code()) {
        (Icmpv6Message::DstUnreachable, 4) => IcmpKind::PortUnreachable,
        (Icmpv6Message::DstUnreachable, _) => IcmpKind::Unreachable,
        (Icmpv6Message::PktTooBig, _) => IcmpKind::PacketTooBig {
            mtu: packet.pkt_too_big_mtu(),
        },
        (Icmpv6Message::ParamProblem, 1) => IcmpKind::ProtocolUnreachable,
        (Icmpv6Message::EchoRequest, _) => {
            let parsed = Icmpv6Repr::parse(&src, &dst, &packet, &caps);
            let Ok(Icmpv6Repr::EchoRequest { ident, seq_no, data }) = parsed else {
                return None;
            };
            let echo = Icmpv6Repr::EchoReply { ident, seq_no, data };
            let mut answer = vec![0; IPV6_HEADER + echo.buffer_len()];
            let repr = Ipv6Repr {
                src_addr: dst,
                dst_addr: src,
                next_header: IpProtocol::Icmpv6,
                payload_len: echo.buffer_len(),
                hop_limit: HOP_LIMIT,
            };
            repr.emit(&mut Ipv6Packet::new_unchecked(&mut answer[..]));
            let mut content = Icmpv6Packet::new_unchecked(answer.get_mut(IPV6_HEADER..)?);
            echo.emit(&dst, &src, &mut content, &caps);
            return Some(Arrived::Ping {
                dst: dst.into(),
                answer,
            });
        }
        _ => return None,
    };
    let quoted = bytes.get(ICMP_HEADER..)?;
    if quoted.len() < IPV6_HEADER {
        return None;
    }
    let header = Ipv6Packet::new_unchecked(quoted);
    report(
        kind,
        header.src_addr().into(),
        header.dst_addr().into(),
        header.next_header(),
        quoted.get(IPV6_HEADER..)?,
    )
}

/// What ICMP says of a packet that was sent from `src` to `dst`, and is quoted from behind its IP header on.
fn report(kind: IcmpKind, src: IpAddr, dst: IpAddr, protocol: IpProtocol, quoted: &[u8]) -> Option<Arrived> {
    let (encap, quoted) = match protocol {
        SCTP => (None, quoted),
        IpProtocol::Udp => {
            let (source, rest) = quoted.split_first_chunk()?;
            let ports = UdpPorts {
                source: u16::from_be_bytes(*source),
                destination: u16::from_be_bytes(*rest.first_chunk()?),
            };
            (Some(ports), quoted.get(UDP_HEADER..)?)
        }
        _ => return None,
    };
    Some(Arrived::Icmp(IcmpReport {
        src: Some(src),
        dst,
        encap,
        kind,
        quoted: Bytes::copy_from_slice(quoted),
    }))
}

#[cfg(test)]
mod tests {
    use sctp::config::FlowLabel;

    use super::*;

    const PORTS: UdpPorts = UdpPorts {
        source: 9899,
        destination: 40_000,
    };
    const PACKET: [u8; 13] = *b"an SCTP packe";

    fn pairs() -> [(IpAddr, IpAddr); 2] {
        [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")].map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap()))
    }

    /// An ICMP message of this type and code about `packet`, as a router sends it; `word` follows the checksum.
    fn icmp(kind: u8, code: u8, word: u32, about: &[u8], (router, to): (IpAddr, IpAddr)) -> Vec<u8> {
        let mut content = vec![kind, code, 0, 0];
        content.extend(word.to_be_bytes());
        content.extend(about);
        let mut bytes = Vec::new();
        assert!(write(&mut bytes, (router, to), None, true, 0, &content));
        match (router, to) {
            (IpAddr::V4(_), IpAddr::V4(_)) => {
                let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
                packet.set_next_header(IpProtocol::Icmp);
                packet.fill_checksum();
                Icmpv4Packet::new_unchecked(&mut bytes[IPV4_HEADER..]).fill_checksum();
            }
            (IpAddr::V6(router), IpAddr::V6(to)) => {
                Ipv6Packet::new_unchecked(&mut bytes[..]).set_next_header(IpProtocol::Icmpv6);
                Icmpv6Packet::new_unchecked(&mut bytes[IPV6_HEADER..]).fill_checksum(&router, &to);
            }
            _ => unreachable!(),
        }
        bytes
    }

    #[test]
    fn what_is_written_is_read_in_both_versions_on_ip_and_in_udp() {
        let mut bytes = vec![9; 3];
        for (src, dst) in pairs() {
            for encap in [None, Some(PORTS)] {
                for dont_fragment in [true, false] {
                    assert!(write(&mut bytes, (src, dst), encap, dont_fragment, 7, &PACKET));
                    let start = headers(dst, encap);
                    let at = start..start + PACKET.len();
                    assert_eq!(bytes[at.clone()], PACKET);
                    let arrived = |ecn| Arrived::Sctp {
                        src,
                        dst,
                        encap,
                        ecn,
                        at: at.clone(),
                    };
                    assert_eq!(read(&bytes), arrived(EcnCodepoint::NotEct));
                    let label = FlowLabel::new(0xabcde).unwrap();
                    let marks = Marks::default().with_dscp(46).unwrap().with_flow_label(label);
                    for ecn in [EcnCodepoint::Ect0, EcnCodepoint::Ce, EcnCodepoint::NotEct] {
                        mark(&mut bytes, marks, ecn);
                        assert_eq!(read(&bytes), arrived(ecn));
                    }
                    if dst.is_ipv4() {
                        let packet = Ipv4Packet::new_checked(&bytes[..]).unwrap();
                        assert_eq!(packet.dont_frag(), dont_fragment);
                        assert!(!packet.more_frags() && packet.verify_checksum());
                    }
                    if dst.is_ipv6() {
                        let packet = Ipv6Packet::new_checked(&bytes[..]).unwrap();
                        assert_eq!((packet.traffic_class(), packet.flow_label()), (46 << 2, 0xabcde));
                    }
                }
            }
        }
        let (one, other) = (pairs()[0].0, pairs()[1].0);
        assert!(!write(&mut bytes, (one, other), None, true, 0, &PACKET));
        assert!(!write(&mut bytes, (one, one), None, true, 0, &[0; 65_516]));
    }

    #[test]
    fn what_was_damaged_or_cut_is_not_taken_in() {
        let mut bytes = Vec::new();
        for (src, dst) in pairs() {
            write(&mut bytes, (src, dst), Some(PORTS), true, 0, &PACKET);
            for len in 0..bytes.len() {
                assert_eq!(read(&bytes[..len]), Arrived::Other, "{len}");
            }
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            assert_eq!(read(&bytes), Arrived::Other);
        }
    }

    #[test]
    fn fragments_are_told_from_packets() {
        let mut bytes = Vec::new();
        let [v4, v6] = pairs();
        write(&mut bytes, v4, None, false, 1, &PACKET);
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
        packet.set_more_frags(true);
        packet.fill_checksum();
        let whole = |(src, dst), ident| Whole {
            src,
            dst,
            protocol: 132,
            ident,
        };
        let first = Fragment {
            of: whole(v4, 1),
            offset: 0,
            more: true,
            ecn: EcnCodepoint::NotEct,
            at: 20..33,
        };
        assert_eq!(read(&bytes), Arrived::Fragment(first));
        let mut content = vec![132, 0, 0, 16, 0, 1, 0, 2];
        content.extend(PACKET);
        write(&mut bytes, v6, None, false, 1, &content);
        Ipv6Packet::new_unchecked(&mut bytes[..]).set_next_header(IpProtocol::Ipv6Frag);
        let last = Fragment {
            of: whole(v6, 0x0001_0002),
            offset: 16,
            more: false,
            ecn: EcnCodepoint::NotEct,
            at: 48..61,
        };
        assert_eq!(read(&bytes), Arrived::Fragment(last));
        bytes.truncate(47);
        Ipv6Packet::new_unchecked(&mut bytes[..]).set_payload_len(7);
        assert_eq!(read(&bytes), Arrived::Other);
    }

    #[test]
    fn rfc9260_10_icmp_messages_are_told_apart_and_say_whose_packet_it_was() {
        let [v4, v6] = pairs();
        for ((src, dst), kind, code, word, expected) in [
            (v4, 3, 1, 0, IcmpKind::Unreachable),
            (v4, 3, 2, 0, IcmpKind::ProtocolUnreachable),
            (v4, 3, 3, 0, IcmpKind::PortUnreachable),
            (v4, 3, 4, 1400, IcmpKind::PacketTooBig { mtu: 1400 }),
            (v6, 1, 0, 0, IcmpKind::Unreachable),
            (v6, 1, 4, 0, IcmpKind::PortUnreachable),
            (v6, 2, 0, 1300, IcmpKind::PacketTooBig { mtu: 1300 }),
            (v6, 4, 1, 6, IcmpKind::ProtocolUnreachable),
        ] {
            for encap in [None, Some(PORTS)] {
                let mut about = Vec::new();
                write(&mut about, (src, dst), encap, true, 0, &PACKET);
                about.truncate(headers(dst, encap) + 8);
                let report = IcmpReport {
                    src: Some(src),
                    dst,
                    encap,
                    kind: expected,
                    quoted: Bytes::copy_from_slice(&PACKET[..8]),
                };
                let message = icmp(kind, code, word, &about, (dst, src));
                assert_eq!(read(&message), Arrived::Icmp(report), "{kind} {code}");
                // However short the quote is, it is looked at with care.
                for len in 0..about.len() {
                    let _ = read(&icmp(kind, code, word, &about[..len], (dst, src)));
                }
            }
        }
        let mut about = Vec::new();
        write(&mut about, v4, None, true, 0, &PACKET);
        assert_eq!(read(&icmp(11, 0, 0, &about, (v4.1, v4.0))), Arrived::Other);
    }

    #[test]
    fn pings_are_answered_with_what_they_carry() {
        for ((src, dst), request, reply) in [(pairs()[0], 8, 0), (pairs()[1], 128, 129)] {
            let ping = icmp(request, 0, 0x0102_0003, b"ping", (src, dst));
            let expected = icmp(reply, 0, 0x0102_0003, b"ping", (dst, src));
            assert_eq!(read(&ping), Arrived::Ping { dst, answer: expected });
        }
    }
}
