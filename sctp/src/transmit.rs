//! What passes between the engine and the device that carries its packets.

use std::net::IpAddr;

/// The UDP ports around an SCTP packet (RFC 6951 §5.2), seen by whoever holds the datagram: `source` is the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UdpPorts {
    /// The UDP source port.
    pub source: u16,
    /// The UDP destination port.
    pub destination: u16,
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

/// How a datagram came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RxMeta {
    /// The IP address it came from.
    pub src: IpAddr,
    /// The own IP address it came to.
    pub dst: IpAddr,
    /// The UDP ports around it, `None` for SCTP directly on IP.
    pub encap: Option<UdpPorts>,
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
}

impl Transmit {
    /// The packets in `buf`, which holds just this transmission.
    pub fn segments<'a>(&self, buf: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        buf.chunks(self.segment_size.max(1))
    }
}
