//! Chunks as they stand in a packet: type, flags and a value nobody has looked into yet (RFC 9260 §3.2).

use std::fmt;
use std::iter::FusedIterator;

use crate::error::DecodeError;
use crate::tlv::{ReadError, UnknownAction, Writer, padded};
use crate::wire::tlvs::unpadded_len;

/// Bytes of chunk type, flags and length.
pub const CHUNK_HEADER_LEN: usize = 4;

/// The T bit of ABORT and SHUTDOWN COMPLETE (RFC 9260 §3.3.7, §3.3.13).
pub(super) const FLAG_T: u8 = 0x01;

/// A chunk type: any number, with names for those of RFC 9260 §3.2 and of its extensions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkType(pub u8);

impl ChunkType {
    /// Payload data.
    pub const DATA: Self = Self(0);
    /// Initiation.
    pub const INIT: Self = Self(1);
    /// Initiation acknowledgement.
    pub const INIT_ACK: Self = Self(2);
    /// Selective acknowledgement.
    pub const SACK: Self = Self(3);
    /// Heartbeat request.
    pub const HEARTBEAT: Self = Self(4);
    /// Heartbeat acknowledgement.
    pub const HEARTBEAT_ACK: Self = Self(5);
    /// Abort association.
    pub const ABORT: Self = Self(6);
    /// Shutdown association.
    pub const SHUTDOWN: Self = Self(7);
    /// Shutdown acknowledgement.
    pub const SHUTDOWN_ACK: Self = Self(8);
    /// Operation error.
    pub const ERROR: Self = Self(9);
    /// State cookie.
    pub const COOKIE_ECHO: Self = Self(10);
    /// Cookie acknowledgement.
    pub const COOKIE_ACK: Self = Self(11);
    /// Explicit Congestion Notification Echo: reserved by RFC 9260 §3.2, used as the RFCs before it did.
    pub const ECNE: Self = Self(12);
    /// Congestion Window Reduced: reserved as well.
    pub const CWR: Self = Self(13);
    /// Shutdown complete.
    pub const SHUTDOWN_COMPLETE: Self = Self(14);
    /// Authentication (RFC 4895 §5.1).
    pub const AUTH: Self = Self(0x0f);
    /// Payload data that may be interleaved (RFC 8260 §2.1).
    pub const I_DATA: Self = Self(0x40);
    /// Address configuration acknowledgement (RFC 5061 §4.1.2).
    pub const ASCONF_ACK: Self = Self(0x80);
    /// Stream re-configuration (RFC 6525 §3.1).
    pub const RE_CONFIG: Self = Self(0x82);
    /// Padding (RFC 4820 §3).
    pub const PAD: Self = Self(0x84);
    /// Forward cumulative TSN (RFC 3758 §3.2).
    pub const FORWARD_TSN: Self = Self(0xc0);
    /// Address configuration change (RFC 5061 §4.1.1).
    pub const ASCONF: Self = Self(0xc1);
    /// Forward cumulative TSN where I-DATA is spoken (RFC 8260 §2.3.1).
    pub const I_FORWARD_TSN: Self = Self(0xc2);

    /// Whether it must be the only chunk of its packet (RFC 9260 §6.10).
    #[inline]
    pub const fn stands_alone(self) -> bool {
        matches!(self, Self::INIT | Self::INIT_ACK | Self::SHUTDOWN_COMPLETE)
    }

    /// What a receiver that does not know the type must do (RFC 9260 §3.2).
    #[inline]
    pub const fn unknown_action(self) -> UnknownAction {
        UnknownAction::of_chunk(self.0)
    }

    const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::DATA => "DATA",
            Self::INIT => "INIT",
            Self::INIT_ACK => "INIT ACK",
            Self::SACK => "SACK",
            Self::HEARTBEAT => "HEARTBEAT",
            Self::HEARTBEAT_ACK => "HEARTBEAT ACK",
            Self::ABORT => "ABORT",
            Self::SHUTDOWN => "SHUTDOWN",
            Self::SHUTDOWN_ACK => "SHUTDOWN ACK",
            Self::ERROR => "ERROR",
            Self::COOKIE_ECHO => "COOKIE ECHO",
            Self::COOKIE_ACK => "COOKIE ACK",
            Self::ECNE => "ECNE",
            Self::CWR => "CWR",
            Self::SHUTDOWN_COMPLETE => "SHUTDOWN COMPLETE",
            Self::AUTH => "AUTH",
            Self::I_DATA => "I-DATA",
            Self::ASCONF_ACK => "ASCONF-ACK",
            Self::RE_CONFIG => "RE-CONFIG",
            Self::PAD => "PAD",
            Self::FORWARD_TSN => "FORWARD-TSN",
            Self::ASCONF => "ASCONF",
            Self::I_FORWARD_TSN => "I-FORWARD-TSN",
            _ => return None,
        })
    }
}

impl fmt::Display for ChunkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "chunk type {}", self.0),
        }
    }
}

impl fmt::Debug for ChunkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One chunk, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawChunk<'a> {
    /// The chunk type.
    pub kind: ChunkType,
    /// The chunk flags, whose meaning depends on the type.
    pub flags: u8,
    /// The value, without padding.
    pub value: &'a [u8],
    /// Header and value, without padding, as an error report quotes it.
    pub raw: &'a [u8],
    /// Where the chunk header starts in the packet.
    pub offset: usize,
}

impl RawChunk<'_> {
    /// What a receiver that does not know the chunk type must do (RFC 9260 §3.2).
    #[inline]
    pub const fn unknown_action(&self) -> UnknownAction {
        self.kind.unknown_action()
    }

    /// Whether the T bit is set, which ABORT and SHUTDOWN COMPLETE have: the sender reflected the verification tag
    /// (RFC 9260 §8.5.1 B, C).
    #[inline]
    pub const fn is_tag_reflected(&self) -> bool {
        self.flags & FLAG_T != 0
    }
}

/// The chunks of a packet in their order.
///
/// Ends after the first chunk that is cut off or has a length below its header; what came before it counts
/// (RFC 9260 §6.10). Padding that is missing behind the last chunk is accepted.
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Chunks<'a> {
    /// The chunks in `bytes`, which starts at `offset` of a packet.
    #[inline]
    pub const fn new(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, offset }
    }

    /// Whether nothing is left, not even a broken chunk.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[cold]
    fn fail(&mut self, error: ReadError) -> Option<Result<RawChunk<'a>, DecodeError>> {
        self.rest = &[];
        Some(Err(error.into()))
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<RawChunk<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(&[kind, flags, high, low]) = self.rest.first_chunk() else {
            return self.fail(ReadError::Truncated { at: "chunk header" });
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some((raw, behind)) = self.rest.split_at_checked(length) else {
            return self.fail(ReadError::BadLength { at: "chunk length" });
        };
        let Some(value) = raw.get(CHUNK_HEADER_LEN..) else {
            return self.fail(ReadError::BadLength { at: "chunk length" });
        };
        let chunk = RawChunk {
            kind: ChunkType(kind),
            flags,
            value,
            raw,
            offset: self.offset,
        };
        self.rest = behind.get(padded(length) - length..).unwrap_or_default();
        self.offset += padded(length);
        Some(Ok(chunk))
    }
}

impl FusedIterator for Chunks<'_> {}

/// A chunk length field. Callers bound what they write; in a release build a longer chunk saturates.
#[inline]
pub(super) fn length_field(length: usize) -> [u8; 2] {
    debug_assert!(length <= usize::from(u16::MAX), "a chunk of {length} bytes");
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// Zeros to a multiple of four behind the `len` bytes written last.
#[inline]
pub(super) fn pad(buf: &mut Vec<u8>, len: usize) {
    match len & 3 {
        1 => buf.extend_from_slice(&[0; 3]),
        2 => buf.extend_from_slice(&[0; 2]),
        3 => buf.push(0),
        _ => {}
    }
}

/// Appends a chunk of any type whose value is `value`, at most 65531 bytes.
pub fn write_chunk(buf: &mut Vec<u8>, kind: ChunkType, flags: u8, value: &[u8]) {
    let length = CHUNK_HEADER_LEN.saturating_add(value.len());
    let [high, low] = length_field(length);
    buf.extend_from_slice(&[kind.0, flags, high, low]);
    buf.extend_from_slice(value);
    pad(buf, length);
}

/// Appends a chunk of the fixed fields `fixed` and the TLVs that `body` writes. Its length leaves out the padding of
/// the last one (RFC 9260 §3.2).
pub(super) fn write_chunk_of_tlvs(
    buf: &mut Vec<u8>,
    kind: ChunkType,
    flags: u8,
    fixed: &[u8],
    body: impl FnOnce(&mut Writer<'_>),
) {
    let start = buf.len();
    buf.extend_from_slice(&[kind.0, flags, 0, 0]);
    buf.extend_from_slice(fixed);
    let tlvs = buf.len();
    body(&mut Writer::new(buf));
    let unpadded = unpadded_len(buf.get(tlvs..).unwrap_or_default());
    let length = length_field(tlvs.saturating_sub(start).saturating_add(unpadded));
    if let Some(field) = buf.get_mut(start.saturating_add(2)..start.saturating_add(4)) {
        field.copy_from_slice(&length);
    }
    Writer::new(buf).pad_from(start);
}
