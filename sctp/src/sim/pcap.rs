//! Captures as files that Wireshark opens: libpcap format, packets starting with the IP header.

use std::io::{self, Write};
use std::net::IpAddr;

use super::link::Captured;
use super::packet::Packet;

/// The libpcap magic number of a file with nanoseconds.
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// LINKTYPE_RAW: packets start with an IPv4 or IPv6 header.
const LINKTYPE_RAW: u32 = 101;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_SCTP: u8 = 132;

/// Writes a capture in libpcap format, with IP and UDP headers as a real link would show them.
///
/// # Errors
///
/// What `out` reports.
pub fn write_pcap(captured: &[Captured], out: &mut impl Write) -> io::Result<()> {
    let mut header = Vec::with_capacity(24);
    header.extend(MAGIC_NANOSECONDS.to_le_bytes());
    header.extend(2u16.to_le_bytes());
    header.extend(4u16.to_le_bytes());
    header.extend([0; 8]);
    header.extend(u32::MAX.to_le_bytes());
    header.extend(LINKTYPE_RAW.to_le_bytes());
    out.write_all(&header)?;
    for entry in captured {
        let bytes = ip_packet(&entry.packet);
        let nanos = entry.at.as_nanos();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        for field in [
            wrap32(nanos / 1_000_000_000),
            wrap32(nanos % 1_000_000_000),
            length,
            length,
        ] {
            out.write_all(&field.to_le_bytes())?;
        }
        out.write_all(&bytes)?;
    }
    Ok(())
}

fn wrap32(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default()
}

/// A length field; what does not fit (no link carries it) saturates.
fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// The bytes of a packet from its IP header on.
fn ip_packet(packet: &Packet) -> Vec<u8> {
    let (protocol, transport) = match packet.udp_ports() {
        None => (PROTOCOL_SCTP, packet.payload.to_vec()),
        Some(_) => (PROTOCOL_UDP, udp_datagram(packet)),
    };
    let mut bytes = Vec::with_capacity(40 + transport.len());
    match (packet.src, packet.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            bytes.extend([0x45, 0]);
            bytes.extend(length16(20 + transport.len()));
            // Identification 0, Don't Fragment, TTL 64.
            bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            bytes.extend(src.octets());
            bytes.extend(dst.octets());
            let checksum = internet_checksum(&[&bytes]);
            bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        (src, dst) => {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend(length16(transport.len()));
            bytes.extend([protocol, 64]);
            bytes.extend(octets16(src));
            bytes.extend(octets16(dst));
        }
    }
    bytes.extend(transport);
    bytes
}

fn octets16(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The UDP header, its checksum set, and the payload.
fn udp_datagram(packet: &Packet) -> Vec<u8> {
    let Some(ports) = packet.udp_ports() else {
        return Vec::new();
    };
    let length = 8 + packet.payload.len();
    let mut datagram = Vec::with_capacity(length);
    datagram.extend(ports.source.to_be_bytes());
    datagram.extend(ports.destination.to_be_bytes());
    datagram.extend(length16(length));
    datagram.extend([0, 0]);
    datagram.extend(&packet.payload);
    // The pseudo header: the addresses (whose length does not change the sum of words), length, protocol.
    let (src, dst) = match (packet.src, packet.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => (src.octets().to_vec(), dst.octets().to_vec()),
        (src, dst) => (octets16(src).to_vec(), octets16(dst).to_vec()),
    };
    let sum = internet_checksum(&[&src, &dst, &[0, PROTOCOL_UDP], &length16(length), &datagram]);
    // A zero means that there is no checksum (RFC 768), so a sum of zero is sent as its other form.
    let sum = if sum == 0 { u16::MAX } else { sum };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    datagram
}

/// RFC 1071 over `parts`, of which only the last may have an odd length.
fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | word.get(1).copied().map_or(0, u32::from))
        .fold(0, |sum, word| {
            let sum = sum + word;
            (sum & 0xffff) + (sum >> 16)
        });
    sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::sim::link::Fate;
    use crate::sim::packet::Transport;
    use crate::{Instant, UdpPorts};

    fn captured(src: &str, dst: &str, transport: Transport, payload: &'static [u8]) -> Captured {
        Captured {
            at: Instant::from_nanos(3_000_000_007),
            packet: Packet {
                src: src.parse().unwrap(),
                dst: dst.parse().unwrap(),
                transport,
                payload: Bytes::from_static(payload),
            },
            dont_fragment: true,
            fate: Fate::Sent,
        }
    }

    const PORTS: UdpPorts = UdpPorts {
        source: 9899,
        destination: 9900,
    };

    #[test]
    fn a_file_has_the_libpcap_layout() {
        let mut file = Vec::new();
        let entry = captured("10.0.0.1", "10.0.0.2", Transport::Sctp, &[1, 2, 3]);
        write_pcap(&[entry], &mut file).unwrap();
        assert_eq!(file.len(), 24 + 16 + 20 + 3);
        assert_eq!(file[..8], [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0]);
        assert_eq!(file[20..24], [101, 0, 0, 0]);
        assert_eq!(file[24..40], [3, 0, 0, 0, 7, 0, 0, 0, 23, 0, 0, 0, 23, 0, 0, 0]);
        assert_eq!(file[49], PROTOCOL_SCTP);
    }

    #[test]
    fn checksums_of_a_whole_packet_sum_to_zero() {
        for (src, dst, header) in [("10.0.0.1", "224.0.0.9", 20), ("fd00::1", "fd00::2", 40)] {
            for payload in [&b"even"[..], b"odd", b""] {
                let bytes = ip_packet(&captured(src, dst, Transport::SctpInUdp(PORTS), payload).packet);
                let (ip, udp) = bytes.split_at(header);
                assert_eq!(udp.len(), 8 + payload.len());
                let addresses = if header == 20 {
                    assert_eq!(internet_checksum(&[ip]), 0);
                    &ip[12..]
                } else {
                    &ip[8..]
                };
                let pseudo = [addresses, &[0, PROTOCOL_UDP], &length16(udp.len())];
                assert_eq!(internet_checksum(&[pseudo[0], pseudo[1], pseudo[2], udp]), 0);
            }
        }
    }

    #[test]
    fn rfc1071_3_the_example_sums_as_written() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet_checksum(&[&data]), !0xddf2);
    }
}
