//! A packet on a link, and how a trace line names it.

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;

use crate::tlv::Reader;
use crate::wire::{ChunkType, Chunks, CommonHeader, RawChunk};
use crate::{EcnCodepoint, UdpPorts};

/// What is between IP and the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// SCTP directly on IP.
    Sctp,
    /// SCTP in UDP (RFC 6951).
    SctpInUdp(UdpPorts),
    /// A plain UDP datagram.
    Datagram(UdpPorts),
}

/// An IP packet on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The IP address it comes from.
    pub src: IpAddr,
    /// The IP address, or multicast group, it goes to.
    pub dst: IpAddr,
    /// What is between IP and the payload.
    pub transport: Transport,
    /// The ECN field of the IP header.
    pub ecn: EcnCodepoint,
    /// The SCTP packet, or the content of the datagram.
    pub payload: Bytes,
}

impl Packet {
    /// The UDP ports around the payload.
    pub const fn udp_ports(&self) -> Option<UdpPorts> {
        match self.transport {
            Transport::Sctp => None,
            Transport::SctpInUdp(ports) | Transport::Datagram(ports) => Some(ports),
        }
    }

    /// The SCTP packet, unless this is a plain datagram.
    pub const fn sctp(&self) -> Option<&Bytes> {
        match self.transport {
            Transport::Sctp | Transport::SctpInUdp(_) => Some(&self.payload),
            Transport::Datagram(_) => None,
        }
    }

    /// Bytes on the link: payload, UDP and IP headers.
    pub fn size(&self) -> usize {
        let ip = if self.dst.is_ipv4() { 20 } else { 40 };
        let udp = if self.udp_ports().is_some() { 8 } else { 0 };
        ip + udp + self.payload.len()
    }

    /// The common header, if there is one.
    pub fn header(&self) -> Option<CommonHeader> {
        CommonHeader::parse(self.sctp()?).ok()
    }

    /// The chunks in it, up to the first one that is malformed; none for a plain datagram.
    pub fn chunks(&self) -> impl Iterator<Item = RawChunk<'_>> {
        let chunks = self.sctp().and_then(|sctp| sctp.get(CommonHeader::LEN..));
        Chunks::new(chunks.unwrap_or_default(), CommonHeader::LEN).map_while(Result::ok)
    }

    /// Whether a chunk of this type is in it.
    pub fn has(&self, kind: ChunkType) -> bool {
        self.chunks().any(|chunk| chunk.kind == kind)
    }
}

impl fmt::Display for Packet {
    /// Addresses, ports, tag and chunks (with the TSN where a chunk starts with one, and flags), size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>{}", self.src, self.dst)?;
        if let Some(udp) = self.udp_ports() {
            write!(f, " udp {}>{}", udp.source, udp.destination)?;
        }
        if let Some(header) = self.header() {
            let (source, destination) = (header.source_port, header.destination_port);
            write!(f, " sctp {source}>{destination} tag {:08x}", header.verification_tag.0)?;
        }
        for chunk in self.chunks() {
            write!(f, " [{}", chunk.kind)?;
            let starts_with_tsn = matches!(chunk.kind, ChunkType::DATA | ChunkType::SACK | ChunkType::SHUTDOWN);
            if let (true, Ok(tsn)) = (starts_with_tsn, Reader::new(chunk.value).u32("TSN")) {
                write!(f, " {tsn}")?;
            }
            if chunk.flags != 0 {
                write!(f, " /{:x}", chunk.flags)?;
            }
            write!(f, "]")?;
        }
        if self.ecn == EcnCodepoint::Ce {
            write!(f, " CE")?;
        }
        write!(f, " {} bytes", self.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> Packet {
        Packet {
            src: "10.0.0.1".parse().unwrap(),
            dst: "10.0.0.2".parse().unwrap(),
            transport: Transport::Sctp,
            ecn: EcnCodepoint::NotEct,
            payload: Bytes::copy_from_slice(payload),
        }
    }

    #[test]
    fn a_digest_names_ports_tag_and_chunks() {
        let mut bytes = vec![0x13, 0x88, 0x13, 0x89, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 0];
        bytes.extend([3, 0, 0, 16, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0, 3, 0, 17, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
        bytes.extend([11, 0, 0, 4]);
        let packet = packet(&bytes);
        assert!(packet.has(ChunkType::COOKIE_ACK) && !packet.has(ChunkType::INIT));
        assert_eq!(
            packet.to_string(),
            "10.0.0.1>10.0.0.2 sctp 5000>5001 tag deadbeef [SACK 7] [DATA 9 /3] [COOKIE ACK] 72 bytes"
        );
    }

    #[test]
    fn a_digest_of_rubbish_ends() {
        for len in 0..40 {
            let _ = packet(&vec![0; len]).to_string();
            let _ = packet(&vec![255; len]).to_string();
        }
        assert_eq!(packet(&[1, 2, 3]).chunks().count(), 0);
    }
}
