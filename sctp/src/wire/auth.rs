//! AUTH chunks (RFC 4895 §5.1): what they say, where their HMAC lies, and which bytes it is made of. The HMAC itself is
//! computed elsewhere.

use std::ops::Range;

use crate::error::DecodeError;
use crate::serial::SharedKeyId;
use crate::tlv::ReadError;
use crate::wire::chunk::{ChunkType, RawChunk, length_field, pad};

/// Bytes of an AUTH chunk before its HMAC.
pub const AUTH_HEADER_LEN: usize = 8;

/// An HMAC Identifier: any number, with names for those that are assigned (RFC 4895 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HmacId(pub u16);

impl HmacId {
    /// HMAC with SHA-1, which everybody who speaks AUTH must support.
    pub const SHA1: Self = Self(1);
    /// HMAC with SHA-256.
    pub const SHA256: Self = Self(3);

    /// Bytes of such an HMAC, if the identifier is assigned.
    pub const fn hmac_len(self) -> Option<usize> {
        match self {
            Self::SHA1 => Some(20),
            Self::SHA256 => Some(32),
            _ => None,
        }
    }
}

/// An AUTH chunk, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Which endpoint pair shared key it was made with.
    pub shared_key: SharedKeyId,
    /// How it was made.
    pub hmac_id: HmacId,
    /// The HMAC, of any length.
    pub hmac: &'a [u8],
}

impl<'a> Auth<'a> {
    /// Reads the value of an AUTH chunk.
    pub fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((&[k1, k2, h1, h2], hmac)) = value.split_first_chunk() else {
            return Err(ReadError::Truncated { at: "AUTH" }.into());
        };
        Ok(Self {
            shared_key: SharedKeyId(u16::from_be_bytes([k1, k2])),
            hmac_id: HmacId(u16::from_be_bytes([h1, h2])),
            hmac,
        })
    }
}

/// Where in its packet the HMAC of the AUTH chunk `chunk` lies, for [`authenticated`]. Empty if the chunk is too short
/// for any.
pub const fn hmac_range(chunk: &RawChunk<'_>) -> Range<usize> {
    let start = chunk.offset.saturating_add(AUTH_HEADER_LEN);
    start..start.saturating_add(chunk.raw.len().saturating_sub(AUTH_HEADER_LEN))
}

/// Appends an AUTH chunk whose HMAC of `hmac_len` bytes is zeros, and tells where in `buf` they lie. When the chunks
/// behind it are written, [`authenticated`] gives what the HMAC is made of, and [`fill_in_hmac`] puts it in; the
/// checksum comes after that. `hmac_len` is at most 65527.
pub fn write_auth(buf: &mut Vec<u8>, shared_key: SharedKeyId, hmac_id: HmacId, hmac_len: usize) -> Range<usize> {
    let length = AUTH_HEADER_LEN.saturating_add(hmac_len);
    let [l1, l2] = length_field(length);
    let [k1, k2] = shared_key.0.to_be_bytes();
    let [h1, h2] = hmac_id.0.to_be_bytes();
    buf.extend_from_slice(&[ChunkType::AUTH.0, 0, l1, l2, k1, k2, h1, h2]);
    let start = buf.len();
    let end = start.saturating_add(hmac_len);
    buf.resize(end, 0);
    pad(buf, length);
    start..end
}

/// Gives `update` the bytes that an HMAC is made of, piece by piece: the AUTH chunk with zeros in place of its HMAC,
/// and all that follows it in `packet`, with padding (RFC 4895 §6.2).
///
/// `packet` ends where the packet ends, and `hmac` says where in it the HMAC lies: of a received packet these are
/// [`Packet::bytes`](crate::wire::Packet::bytes) and [`hmac_range`], of one in the making the buffer and what
/// [`write_auth`] gave. A range that does not lie in `packet` gives nothing.
pub fn authenticated(packet: &[u8], hmac: &Range<usize>, mut update: impl FnMut(&[u8])) {
    const ZEROS: [u8; 64] = [0; 64];
    let head = hmac
        .start
        .checked_sub(AUTH_HEADER_LEN)
        .and_then(|start| packet.get(start..hmac.start));
    let (Some(head), Some(field), Some(tail)) = (head, packet.get(hmac.clone()), packet.get(hmac.end..)) else {
        return;
    };
    update(head);
    for piece in field.chunks(ZEROS.len()) {
        update(ZEROS.get(..piece.len()).unwrap_or_default());
    }
    update(tail);
}

/// Puts `hmac` where [`write_auth`] left room for it. One of another length is cut, or followed by zeros.
pub fn fill_in_hmac(buf: &mut [u8], range: Range<usize>, hmac: &[u8]) {
    debug_assert_eq!(range.len(), hmac.len(), "room for another HMAC");
    let field = buf.get_mut(range).unwrap_or_default();
    field.iter_mut().zip(hmac).for_each(|(to, from)| *to = *from);
}
