//! The codec.

use crate::serial::VerificationTag;
use crate::wire::exercise::{rewrite, walk_any_packet};
use crate::wire::{ChunkType, CommonHeader, begin_packet, finish_packet, write_chunk};

/// More than any datagram holds is not looked at.
const MAX_LEN: usize = 60_000;

/// Bytes as a packet: reading does no harm, and what is read and written once stays as it is. The checksum of `data`
/// does not matter.
pub fn packet(data: &[u8]) {
    if data.len() > MAX_LEN {
        return;
    }
    walk_any_packet(data);
    let mut packet = data.to_vec();
    finish_packet(&mut packet, 0);
    if let Ok(again) = rewrite(&packet) {
        walk_any_packet(&again);
        assert_eq!(rewrite(&again).as_ref(), Ok(&again), "what was written once changes");
    }
}

/// Bytes as type, flags and value of the only chunk of a packet: like [`packet`], but no length stands in the way.
pub fn chunk(data: &[u8]) {
    let (Some((&[kind, flags], value)), true) = (data.split_first_chunk(), data.len() <= MAX_LEN) else {
        return;
    };
    let header = CommonHeader {
        source_port: 1,
        destination_port: 2,
        verification_tag: VerificationTag(3),
    };
    let mut buf = Vec::new();
    let start = begin_packet(&mut buf, &header);
    write_chunk(&mut buf, ChunkType(kind), flags, value);
    finish_packet(&mut buf, start);
    packet(&buf);
}
