//! DATA chunks (RFC 9260 §3.3.1).

use std::ops::Range;

use crate::error::DecodeError;
use crate::serial::{Ppid, Ssn, StreamId, Tsn};
use crate::tlv::ReadError;
use crate::wire::chunk::{ChunkType, RawChunk, length_field, pad};

/// Bytes of a DATA chunk before its user data.
pub const DATA_HEADER_LEN: usize = 16;

pub(super) const FLAG_ENDING: u8 = 0x01;
pub(super) const FLAG_BEGINNING: u8 = 0x02;
pub(super) const FLAG_UNORDERED: u8 = 0x04;
pub(super) const FLAG_IMMEDIATE: u8 = 0x08;

/// What a DATA chunk says about its user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataHeader {
    /// Transmission Sequence Number.
    pub tsn: Tsn,
    /// Stream Identifier.
    pub stream: StreamId,
    /// Stream Sequence Number; without meaning if `unordered`.
    pub ssn: Ssn,
    /// Payload Protocol Identifier.
    pub ppid: Ppid,
    /// U bit: the message is delivered without regard to the order of its stream.
    pub unordered: bool,
    /// B bit: the first fragment of a message.
    pub beginning: bool,
    /// E bit: the last fragment of a message.
    pub ending: bool,
    /// I bit: the sender wants the SACK without delay (RFC 7053).
    pub immediate: bool,
}

impl DataHeader {
    #[inline]
    const fn flags(&self) -> u8 {
        (if self.unordered { FLAG_UNORDERED } else { 0 })
            | (if self.beginning { FLAG_BEGINNING } else { 0 })
            | (if self.ending { FLAG_ENDING } else { 0 })
            | (if self.immediate { FLAG_IMMEDIATE } else { 0 })
    }
}

/// A DATA chunk, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataChunk<'a> {
    /// Transmission Sequence Number.
    pub tsn: Tsn,
    /// Stream Identifier.
    pub stream: StreamId,
    /// Stream Sequence Number; to be ignored if `unordered`.
    pub ssn: Ssn,
    /// Payload Protocol Identifier.
    pub ppid: Ppid,
    /// U bit: the message is delivered without regard to the order of its stream.
    pub unordered: bool,
    /// B bit: the first fragment of a message.
    pub beginning: bool,
    /// E bit: the last fragment of a message.
    pub ending: bool,
    /// I bit: the sender wants the SACK without delay (RFC 7053).
    pub immediate: bool,
    /// The user data. An empty one is against the rules, and answered with No User Data (RFC 9260 §6.2).
    pub payload: &'a [u8],
}

impl<'a> DataChunk<'a> {
    /// Reads the flags and the value of a DATA chunk. Reserved flags are ignored.
    #[inline]
    pub fn parse(flags: u8, value: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((&[t1, t2, t3, t4, s1, s2, n1, n2, p1, p2, p3, p4], payload)) = value.split_first_chunk() else {
            return Err(ReadError::Truncated { at: "DATA" }.into());
        };
        Ok(Self {
            tsn: Tsn(u32::from_be_bytes([t1, t2, t3, t4])),
            stream: StreamId(u16::from_be_bytes([s1, s2])),
            ssn: Ssn(u16::from_be_bytes([n1, n2])),
            ppid: Ppid(u32::from_be_bytes([p1, p2, p3, p4])),
            unordered: flags & FLAG_UNORDERED != 0,
            beginning: flags & FLAG_BEGINNING != 0,
            ending: flags & FLAG_ENDING != 0,
            immediate: flags & FLAG_IMMEDIATE != 0,
            payload,
        })
    }

    /// All but the user data.
    #[inline]
    pub const fn header(&self) -> DataHeader {
        DataHeader {
            tsn: self.tsn,
            stream: self.stream,
            ssn: self.ssn,
            ppid: self.ppid,
            unordered: self.unordered,
            beginning: self.beginning,
            ending: self.ending,
            immediate: self.immediate,
        }
    }
}

/// Where in its packet the user data of the DATA chunk `chunk` lies: what a reference-counted packet is sliced by.
/// Empty if the chunk is too short for any.
#[inline]
pub const fn payload_range(chunk: &RawChunk<'_>) -> Range<usize> {
    let start = chunk.offset.saturating_add(DATA_HEADER_LEN);
    start..start.saturating_add(chunk.raw.len().saturating_sub(DATA_HEADER_LEN))
}

/// Appends the header of a DATA chunk for `payload_len` bytes of user data. The caller appends them, and zeros to a
/// multiple of four. `payload_len` is at most 65519.
#[inline]
pub fn write_header(buf: &mut Vec<u8>, header: &DataHeader, payload_len: usize) {
    let [l1, l2] = length_field(DATA_HEADER_LEN.saturating_add(payload_len));
    let [t1, t2, t3, t4] = header.tsn.0.to_be_bytes();
    let [s1, s2] = header.stream.0.to_be_bytes();
    let [n1, n2] = header.ssn.0.to_be_bytes();
    let [p1, p2, p3, p4] = header.ppid.0.to_be_bytes();
    let bytes: [u8; DATA_HEADER_LEN] = [
        ChunkType::DATA.0,
        header.flags(),
        l1,
        l2,
        t1,
        t2,
        t3,
        t4,
        s1,
        s2,
        n1,
        n2,
        p1,
        p2,
        p3,
        p4,
    ];
    buf.extend_from_slice(&bytes);
}

/// Appends a whole DATA chunk with its padding. `payload` has at most 65519 bytes.
#[inline]
pub fn write_data(buf: &mut Vec<u8>, header: &DataHeader, payload: &[u8]) {
    write_header(buf, header, payload.len());
    buf.extend_from_slice(payload);
    pad(buf, payload.len());
}
