//! I-DATA chunks (RFC 8260 §2.1): like DATA, but fragments of several messages of a stream may be interleaved.

use std::ops::Range;

use crate::error::DecodeError;
use crate::serial::{Fsn, Mid, Ppid, StreamId, Tsn};
use crate::tlv::ReadError;
use crate::wire::chunk::{ChunkType, RawChunk, length_field, pad};
use crate::wire::data::{FLAG_BEGINNING, FLAG_ENDING, FLAG_IMMEDIATE, FLAG_UNORDERED};

/// Bytes of an I-DATA chunk before its user data.
pub const I_DATA_HEADER_LEN: usize = 20;

/// Which fragment of its message an I-DATA chunk carries: the B bit and the field that depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fragment {
    /// The first one (B bit), which has the message's Payload Protocol Identifier; its FSN is 0.
    First(Ppid),
    /// A later one, by its Fragment Sequence Number.
    Later(Fsn),
}

impl Fragment {
    /// B bit: the first fragment of a message.
    #[inline]
    pub const fn is_first(self) -> bool {
        matches!(self, Self::First(_))
    }

    /// The Fragment Sequence Number.
    #[inline]
    pub const fn fsn(self) -> Fsn {
        match self {
            Self::First(_) => Fsn(0),
            Self::Later(fsn) => fsn,
        }
    }

    /// The Payload Protocol Identifier, which only the first fragment has.
    #[inline]
    pub const fn ppid(self) -> Option<Ppid> {
        match self {
            Self::First(ppid) => Some(ppid),
            Self::Later(_) => None,
        }
    }
}

/// What an I-DATA chunk says about its user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IDataHeader {
    /// Transmission Sequence Number.
    pub tsn: Tsn,
    /// Stream Identifier.
    pub stream: StreamId,
    /// Message Identifier. Ordered and unordered messages of a stream are counted apart.
    pub mid: Mid,
    /// Which fragment of the message this is.
    pub fragment: Fragment,
    /// U bit: the message is delivered without regard to the order of its stream.
    pub unordered: bool,
    /// E bit: the last fragment of a message.
    pub ending: bool,
    /// I bit: the sender wants the SACK without delay (RFC 7053).
    pub immediate: bool,
}

impl IDataHeader {
    #[inline]
    const fn flags(&self) -> u8 {
        (if self.unordered { FLAG_UNORDERED } else { 0 })
            | (if self.fragment.is_first() { FLAG_BEGINNING } else { 0 })
            | (if self.ending { FLAG_ENDING } else { 0 })
            | (if self.immediate { FLAG_IMMEDIATE } else { 0 })
    }
}

/// An I-DATA chunk, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IDataChunk<'a> {
    /// All but the user data.
    pub header: IDataHeader,
    /// The user data. An empty one is against the rules, and answered with No User Data (RFC 9260 §6.2).
    pub payload: &'a [u8],
}

impl<'a> IDataChunk<'a> {
    /// Reads the flags and the value of an I-DATA chunk. Reserved flags and the reserved field are ignored.
    #[inline]
    pub fn parse(flags: u8, value: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((&[t1, t2, t3, t4, s1, s2, _, _, m1, m2, m3, m4, f1, f2, f3, f4], payload)) =
            value.split_first_chunk()
        else {
            return Err(ReadError::Truncated { at: "I-DATA" }.into());
        };
        let field = u32::from_be_bytes([f1, f2, f3, f4]);
        let header = IDataHeader {
            tsn: Tsn(u32::from_be_bytes([t1, t2, t3, t4])),
            stream: StreamId(u16::from_be_bytes([s1, s2])),
            mid: Mid(u32::from_be_bytes([m1, m2, m3, m4])),
            fragment: if flags & FLAG_BEGINNING != 0 {
                Fragment::First(Ppid(field))
            } else {
                Fragment::Later(Fsn(field))
            },
            unordered: flags & FLAG_UNORDERED != 0,
            ending: flags & FLAG_ENDING != 0,
            immediate: flags & FLAG_IMMEDIATE != 0,
        };
        Ok(Self { header, payload })
    }
}

/// Where in its packet the user data of the I-DATA chunk `chunk` lies. Empty if the chunk is too short for any.
#[inline]
pub const fn i_data_payload_range(chunk: &RawChunk<'_>) -> Range<usize> {
    let start = chunk.offset.saturating_add(I_DATA_HEADER_LEN);
    start..start.saturating_add(chunk.raw.len().saturating_sub(I_DATA_HEADER_LEN))
}

/// Appends the header of an I-DATA chunk for `payload_len` bytes of user data. The caller appends them, and zeros to a
/// multiple of four. `payload_len` is at most 65515.
#[inline]
pub fn write_i_data_header(buf: &mut Vec<u8>, header: &IDataHeader, payload_len: usize) {
    let [l1, l2] = length_field(I_DATA_HEADER_LEN.saturating_add(payload_len));
    let [t1, t2, t3, t4] = header.tsn.0.to_be_bytes();
    let [s1, s2] = header.stream.0.to_be_bytes();
    let [m1, m2, m3, m4] = header.mid.0.to_be_bytes();
    let [f1, f2, f3, f4] = match header.fragment {
        Fragment::First(ppid) => ppid.0,
        Fragment::Later(fsn) => fsn.0,
    }
    .to_be_bytes();
    let first: [u8; 8] = [ChunkType::I_DATA.0, header.flags(), l1, l2, t1, t2, t3, t4];
    let rest: [u8; 12] = [s1, s2, 0, 0, m1, m2, m3, m4, f1, f2, f3, f4];
    buf.reserve(I_DATA_HEADER_LEN.saturating_add(payload_len));
    buf.extend_from_slice(&first);
    buf.extend_from_slice(&rest);
}

/// Appends a whole I-DATA chunk with its padding. `payload` has at most 65515 bytes.
#[inline]
pub fn write_i_data(buf: &mut Vec<u8>, header: &IDataHeader, payload: &[u8]) {
    write_i_data_header(buf, header, payload.len());
    buf.extend_from_slice(payload);
    pad(buf, payload.len());
}
