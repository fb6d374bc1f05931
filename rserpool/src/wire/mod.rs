//! Messages of ASAP (RFC 5352) and their parameters (RFC 5354, RFC 5356), and what RSPLIB adds to them.
//!
//! Reading is liberal: parameters may come in any order where their meaning does not depend on it, padding of the
//! last one may be missing, and parameters that have no place in a message are skipped. Unknown parameters follow the
//! two highest bits of their type. Writing is strict: the RFC's order, and lengths that fit. A nested parameter's
//! padding counts in the length of what holds it, as RSPLIB has it; readers of RFC 5354 §2 take both.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod asap;
pub mod cause;
pub mod element;
pub mod error;
mod operation_error;
pub mod param;
pub mod policy;
pub mod transport;

#[cfg(test)]
pub(crate) mod strategies;

use bytes::Bytes;
use sctp::tlv::{ReadError, Reader, Writer, padded};

use self::error::{DecodeError, Problem};

/// The largest message, in bytes: the largest multiple of four that the length field can express.
pub const MAX_MESSAGE: usize = 65532;

/// The common header of a message, and what follows it (RFC 5354 §4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawMessage<'a> {
    /// The message type.
    pub(crate) kind: u8,
    /// The message flags.
    pub(crate) flags: u8,
    /// What the message type defines.
    pub(crate) value: Reader<'a>,
}

impl<'a> RawMessage<'a> {
    const HEADER: usize = 4;

    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::split(bytes).map_err(|error| DecodeError::new(error.into(), &[]))
    }

    fn split(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let at = "message";
        let mut reader = Reader::new(bytes);
        let kind = reader.u8(at)?;
        let flags = reader.u8(at)?;
        let length = usize::from(reader.u16(at)?);
        let value = length.checked_sub(Self::HEADER).ok_or(ReadError::BadLength { at })?;
        // The message may come with its padding, or without.
        if bytes.len() != length && bytes.len() != padded(length) {
            return Err(ReadError::BadLength { at });
        }
        let value = Reader::new(reader.take(value, at)?);
        Ok(Self { kind, flags, value })
    }

    /// The lowest flag, the only one that ASAP defines.
    pub(crate) const fn flag0(&self) -> bool {
        self.flags & 1 != 0
    }

    /// The error that says that the type is not known.
    pub(crate) fn unknown(&self, bytes: &[u8]) -> DecodeError {
        DecodeError::new(Problem::UnknownMessage(self.kind), bytes)
    }
}

/// Writes a message.
pub(crate) fn write_message(kind: u8, flags: u8, body: impl FnOnce(&mut Writer<'_>)) -> Bytes {
    let mut buf = Vec::new();
    let mut writer = Writer::new(&mut buf);
    writer.u8(kind);
    writer.u8(flags);
    writer.with_length(0, body);
    Bytes::from(buf)
}

/// Writes as many of `items` as the message has room for.
pub(crate) fn write_while_room<T>(w: &mut Writer<'_>, items: &[T], write: impl Fn(&T, &mut Writer<'_>)) {
    let mut buf = Vec::new();
    for item in items {
        buf.clear();
        write(item, &mut Writer::new(&mut buf));
        if w.position().saturating_add(buf.len()) > MAX_MESSAGE {
            return;
        }
        w.bytes(&buf);
    }
}
