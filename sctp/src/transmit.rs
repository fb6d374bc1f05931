//! What passes between the engine and the device that carries its packets.

use std::net::IpAddr;

use bytes::Bytes;

use crate::config::Marks;

/// The UDP ports around an SCTP packet (RFC 6951 §5.2), seen by whoever holds the datagram: `source` is the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UdpPorts {
    /// The UDP source port.
    pub source: u16,
    /// The UDP destination port.
    pub destination: u16,
}

impl UdpPorts {
    /// The ports of an answer.
    pub(crate) const fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
        }
    }
}

/// Whether someone below has already checked the CRC32c of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ChecksumState {
    /// Nobody has: the engine does.
    #[default]
    Unverified,
    /// The device has.
    Verified,
}

/// The ECN field of an IP header (RFC 3168 §5): the two low bits of the octet whose others are the DSCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum EcnCodepoint {
    /// Nobody reacts to a mark: routers drop the packet instead.
    #[default]
    NotEct,
    /// ECT(1). The engine sends none, and takes it as it takes ECT(0) (RFC 8311 §3 frees it for experiments).
    Ect1,
    /// ECT(0): both ends react to a mark.
    Ect0,
    /// Congestion Experienced: a router has marked the packet.
    Ce,
}

impl EcnCodepoint {
    /// The code point in the two low bits of the TOS or traffic class octet.
    pub const fn from_bits(octet: u8) -> Self {
        match octet & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The two bits, 0 to 3.
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotEct => 0,
            Self::Ect1 => 1,
            Self::Ect0 => 2,
            Self::Ce => 3,
        }
    }
}

/// How a datagram came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxMeta {
    /// The IP address it came from.
    pub src: IpAddr,
    /// The own IP address it came to.
    pub dst: IpAddr,
    /// The UDP ports around it, `None` for SCTP directly on IP.
    pub encap: Option<UdpPorts>,
    /// The ECN field of its IP header, [`EcnCodepoint::NotEct`] where the device cannot tell (RFC 6951 §5.8).
    pub ecn: EcnCodepoint,
    /// Whether the checksum was verified below.
    pub checksum: ChecksumState,
    /// Bytes of the buffer that the datagram is a slice of, and keeps alive. User data that is a small part of it is
    /// copied out, so that it does not hold much more memory than it counts for.
    pub buffer_len: usize,
}

/// One or more SCTP packets to one address, lying one after another in the buffer they were written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The own address to send from; `None` leaves the choice to routing.
    pub src: Option<IpAddr>,
    /// The address to send to.
    pub dst: IpAddr,
    /// The UDP ports to put around each packet, `None` for SCTP directly on IP.
    pub encap: Option<UdpPorts>,
    /// Bytes of all packets together.
    pub size: usize,
    /// Bytes of each packet; the last one may be shorter. Equal to `size` for a single packet.
    pub segment_size: usize,
    /// The packets must not be fragmented by IP, on this host or on their way: the engine knows that the path carries
    /// them, or wants to find out (RFC 8899 §3). Otherwise a packet may be larger than what the path carries, and
    /// should arrive in fragments (RFC 9260 §6.9).
    pub dont_fragment: bool,
    /// The Differentiated Services Code Point and the flow label for the IP header.
    pub marks: Marks,
    /// The ECN field of the IP header of each packet (RFC 6951 §5.8).
    pub ecn: EcnCodepoint,
}

impl Transmit {
    /// The packets in `buf`, which holds just this transmission.
    pub fn segments<'a>(&self, buf: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        buf.chunks(self.segment_size.max(1))
    }
}

/// What an ICMP or ICMPv6 message says of the packet that it quotes (RFC 9260 §10). Messages of other types are not for
/// SCTP (ICMP1, ICMP2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpKind {
    /// A link on its way carries no IP packets of more than `mtu` bytes: ICMP type 3 code 4, ICMPv6 type 2.
    PacketTooBig {
        /// The size of IP packets, headers included; zero from routers that do not tell.
        mtu: u32,
    },
    /// The host has no SCTP: ICMP type 3 code 2, ICMPv6 type 4 code 1.
    ProtocolUnreachable,
    /// Nobody is at the port: ICMP type 3 code 3, ICMPv6 type 1 code 4. It means a UDP port, for SCTP in UDP.
    PortUnreachable,
    /// The packet did not get there for another reason: the other codes of ICMP type 3 and ICMPv6 type 1.
    Unreachable,
}

/// An ICMP or ICMPv6 message about a packet that this host sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IcmpReport {
    /// The own address that the packet was sent from; `None` if that is not known.
    pub src: Option<IpAddr>,
    /// The address that it was sent to.
    pub dst: IpAddr,
    /// The UDP ports that were around it (`source` is the own one), `None` for SCTP directly on IP.
    pub encap: Option<UdpPorts>,
    /// What happened to it.
    pub kind: IcmpKind,
    /// The SCTP packet, as far as it is quoted.
    pub quoted: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3168_5_the_code_points_are_two_bits() {
        let bits = |code_point: EcnCodepoint| code_point.bits();
        assert_eq!(
            [
                EcnCodepoint::NotEct,
                EcnCodepoint::Ect1,
                EcnCodepoint::Ect0,
                EcnCodepoint::Ce
            ]
            .map(bits),
            [0, 1, 2, 3]
        );
        assert!((0..=255).all(|octet| EcnCodepoint::from_bits(octet).bits() == octet & 3));
    }
}
