//! Captures as files that Wireshark opens: libpcap format, packets starting with the IP header.

use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Duration;

use crate::transmit::{EcnCodepoint, UdpPorts};

/// The libpcap magic number of a file with nanoseconds.
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// LINKTYPE_RAW: packets start with an IPv4 or IPv6 header.
const LINKTYPE_RAW: u32 = 101;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_SCTP: u8 = 132;

/// Writes packets in libpcap format, with IP and UDP headers as a real link would show them.
#[derive(Debug)]
pub struct PcapWriter<W> {
    out: W,
}

impl<W: Write> PcapWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    ///
    /// What `out` reports.
    pub fn new(mut out: W) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend(MAGIC_NANOSECONDS.to_le_bytes());
        header.extend(2u16.to_le_bytes());
        header.extend(4u16.to_le_bytes());
        header.extend([0; 8]);
        header.extend(u32::MAX.to_le_bytes());
        header.extend(LINKTYPE_RAW.to_le_bytes());
        out.write_all(&header)?;
        Ok(Self { out })
    }

    /// Adds a packet that was seen `at` a time (from 1970 on, where it is a real one) on its way between two addresses,
    /// in UDP or directly on IP, with that ECN field. It is one write.
    ///
    /// # Errors
    ///
    /// What the output reports.
    pub fn write(
        &mut self,
        at: Duration,
        (src, dst): (IpAddr, IpAddr),
        encap: Option<UdpPorts>,
        ecn: EcnCodepoint,
        payload: &[u8],
    ) -> io::Result<()> {
        let bytes = ip_packet((src, dst), encap, ecn, payload);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(at.as_secs() & u64::from(u32::MAX)).unwrap_or_default();
        let mut record = Vec::with_capacity(16 + bytes.len());
        for field in [seconds, at.subsec_nanos(), length, length] {
            record.extend(field.to_le_bytes());
        }
        record.extend(bytes);
        self.out.write_all(&record)
    }
}

/// A length field; what does not fit (no link carries it) saturates.
fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// The bytes of a packet from its IP header on.
fn ip_packet((src, dst): (IpAddr, IpAddr), encap: Option<UdpPorts>, ecn: EcnCodepoint, payload: &[u8]) -> Vec<u8> {
    let (protocol, transport) = match encap {
        None => (PROTOCOL_SCTP, payload.to_vec()),
        Some(ports) => (PROTOCOL_UDP, udp_datagram(src, dst, ports, payload)),
    };
    let mut bytes = Vec::with_capacity(40 + transport.len());
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            bytes.extend([0x45, ecn.bits()]);
            bytes.extend(length16(20 + transport.len()));
            // Identification 0, Don't Fragment, TTL 64.
            bytes.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            bytes.extend(src.octets());
            bytes.extend(dst.octets());
            let checksum = internet_checksum(&[&bytes]);
            if let Some(field) = bytes.get_mut(10..12) {
                field.copy_from_slice(&checksum.to_be_bytes());
            }
        }
        (src, dst) => {
            // The traffic class begins in the first byte.
            bytes.extend([0x60, ecn.bits() << 4, 0, 0]);
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
fn udp_datagram(src: IpAddr, dst: IpAddr, ports: UdpPorts, payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len();
    let mut datagram = Vec::with_capacity(length);
    datagram.extend(ports.source.to_be_bytes());
    datagram.extend(ports.destination.to_be_bytes());
    datagram.extend(length16(length));
    datagram.extend([0, 0]);
    datagram.extend(payload);
    // The pseudo header: the addresses (whose length does not change the sum of words), length, protocol.
    let (src, dst) = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => (src.octets().to_vec(), dst.octets().to_vec()),
        (src, dst) => (octets16(src).to_vec(), octets16(dst).to_vec()),
    };
    let sum = internet_checksum(&[&src, &dst, &[0, PROTOCOL_UDP], &length16(length), &datagram]);
    // A zero means that there is no checksum (RFC 768), so a sum of zero is sent as its other form.
    let sum = if sum == 0 { u16::MAX } else { sum };
    if let Some(field) = datagram.get_mut(6..8) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    datagram
}

/// RFC 1071 over `parts`, of which only the last may have an odd length.
fn internet_checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|word| match *word {
            [high, low, ..] => u32::from(high) << 8 | u32::from(low),
            [high] => u32::from(high) << 8,
            [] => 0,
        })
        .fold(0, |sum, word| {
            let sum = sum + word;
            (sum & 0xffff) + (sum >> 16)
        });
    sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: UdpPorts = UdpPorts {
        source: 9899,
        destination: 9900,
    };

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_file_has_the_libpcap_layout() {
        let mut file = Vec::new();
        let mut writer = PcapWriter::new(&mut file).unwrap();
        let at = Duration::new(3, 7);
        writer
            .write(at, (ip("10.0.0.1"), ip("10.0.0.2")), None, EcnCodepoint::Ce, &[1, 2, 3])
            .unwrap();
        assert_eq!(file.len(), 24 + 16 + 20 + 3);
        assert_eq!(file[..8], [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0]);
        assert_eq!(file[20..24], [101, 0, 0, 0]);
        assert_eq!(file[24..40], [3, 0, 0, 0, 7, 0, 0, 0, 23, 0, 0, 0, 23, 0, 0, 0]);
        assert_eq!(file[40..42], [0x45, 3]);
        assert_eq!(file[49], PROTOCOL_SCTP);
    }

    #[test]
    fn checksums_of_a_whole_packet_sum_to_zero() {
        for (src, dst, header) in [("10.0.0.1", "224.0.0.9", 20), ("fd00::1", "fd00::2", 40)] {
            for payload in [&b"even"[..], b"odd", b""] {
                let bytes = ip_packet((ip(src), ip(dst)), Some(PORTS), EcnCodepoint::NotEct, payload);
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
