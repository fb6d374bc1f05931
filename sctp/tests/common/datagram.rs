//! Packets for a stack without a network around it.

use std::net::IpAddr;

use bytes::Bytes;
use sctp::serial::VerificationTag;
use sctp::wire::{CommonHeader, begin_packet, finish_packet};
use sctp::{ChecksumState, EcnCodepoint, RxMeta};

/// A datagram with these chunks between two addresses, and what is known of how it came.
pub(crate) fn datagram(
    (src, source_port): (IpAddr, u16),
    (dst, destination_port): (IpAddr, u16),
    verification_tag: VerificationTag,
    chunks: impl FnOnce(&mut Vec<u8>),
) -> (RxMeta, Bytes) {
    let header = CommonHeader {
        source_port,
        destination_port,
        verification_tag,
    };
    let mut packet = Vec::new();
    let start = begin_packet(&mut packet, &header);
    chunks(&mut packet);
    finish_packet(&mut packet, start);
    let meta = RxMeta {
        src,
        dst,
        encap: None,
        ecn: EcnCodepoint::NotEct,
        checksum: ChecksumState::Unverified,
        buffer_len: packet.len(),
    };
    (meta, packet.into())
}
