//! What the engine is told about packets that did not get through.

use bytes::Bytes;
use sctp::{IcmpReport, Transmit};

/// How much of a packet tells whose it is.
const HEAD: usize = 64;

/// News of packets that were sent, or could not be.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// The interface that a packet was to leave by carries no packets of its size.
    TooBig {
        /// What the packet was a part of.
        transmit: Transmit,
        /// Its beginning.
        head: Bytes,
        /// Its length.
        len: usize,
    },
    /// An ICMP message about a packet.
    Icmp(IcmpReport),
}

impl Trouble {
    /// `packet` of `transmit` was too large.
    pub(super) fn too_big(transmit: &Transmit, packet: &[u8]) -> Self {
        Self::TooBig {
            transmit: *transmit,
            head: Bytes::copy_from_slice(packet.get(..HEAD).unwrap_or(packet)),
            len: packet.len(),
        }
    }
}
