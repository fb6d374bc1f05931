//! The small control chunks: SHUTDOWN, SHUTDOWN ACK, SHUTDOWN COMPLETE, COOKIE ECHO, COOKIE ACK, ABORT and ERROR
//! (RFC 9260 §3.3.7 to §3.3.13), and PAD (RFC 4820 §3). SHUTDOWN ACK, COOKIE ACK and PAD have nothing to read: their
//! type says it all.

use crate::error::DecodeError;
use crate::serial::Tsn;
use crate::tlv::{ReadError, Reader, Writer, padded};
use crate::wire::cause::Causes;
use crate::wire::chunk::{CHUNK_HEADER_LEN, ChunkType, FLAG_T, write_chunk, write_chunk_of_tlvs};

/// A SHUTDOWN (RFC 9260 §3.3.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// All TSNs up to this one have been received.
    pub cumulative_tsn_ack: Tsn,
}

impl Shutdown {
    /// Reads the value of a SHUTDOWN.
    pub fn parse(value: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(value);
        let cumulative_tsn_ack = Tsn(reader.u32("SHUTDOWN")?);
        reader.finish("SHUTDOWN")?;
        Ok(Self { cumulative_tsn_ack })
    }
}

/// A SHUTDOWN COMPLETE (RFC 9260 §3.3.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownComplete {
    /// T bit: the packet has the verification tag of the packet it answers, not the one its receiver expects.
    pub tag_reflected: bool,
}

impl ShutdownComplete {
    /// Reads the flags of a SHUTDOWN COMPLETE; it has no value.
    pub const fn parse(flags: u8) -> Self {
        Self {
            tag_reflected: flags & FLAG_T != 0,
        }
    }
}

/// A COOKIE ECHO, borrowed (RFC 9260 §3.3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CookieEcho<'a> {
    /// The State Cookie of the INIT ACK.
    pub cookie: &'a [u8],
}

impl<'a> CookieEcho<'a> {
    /// Reads the value of a COOKIE ECHO; without a cookie it is none.
    pub const fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        if value.is_empty() {
            return Err(DecodeError::Read(ReadError::Truncated { at: "COOKIE ECHO" }));
        }
        Ok(Self { cookie: value })
    }
}

/// An ABORT, borrowed (RFC 9260 §3.3.7).
#[derive(Clone, Debug)]
pub struct Abort<'a> {
    /// T bit: the packet has the verification tag of the packet it answers, not the one its receiver expects.
    pub tag_reflected: bool,
    /// Why; may be empty.
    pub causes: Causes<'a>,
}

impl<'a> Abort<'a> {
    /// Reads flags and value of an ABORT. One whose causes have wrong lengths is to be discarded, so it is an error
    /// here; what the causes hold is not looked at.
    pub fn parse(flags: u8, value: &'a [u8]) -> Result<Self, DecodeError> {
        let causes = Causes::new(value);
        causes.tlvs().check()?;
        Ok(Self {
            tag_reflected: flags & FLAG_T != 0,
            causes,
        })
    }
}

/// An ERROR, borrowed (RFC 9260 §3.3.10).
#[derive(Clone, Debug)]
pub struct OperationError<'a> {
    /// What the peer complains about.
    pub causes: Causes<'a>,
}

impl<'a> OperationError<'a> {
    /// Reads the value of an ERROR, whose causes must have right lengths.
    pub fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        let causes = Causes::new(value);
        causes.tlvs().check()?;
        Ok(Self { causes })
    }
}

/// Appends a SHUTDOWN.
pub fn write_shutdown(buf: &mut Vec<u8>, cumulative_tsn_ack: Tsn) {
    write_chunk(buf, ChunkType::SHUTDOWN, 0, &cumulative_tsn_ack.0.to_be_bytes());
}

/// Appends a SHUTDOWN ACK.
pub fn write_shutdown_ack(buf: &mut Vec<u8>) {
    write_chunk(buf, ChunkType::SHUTDOWN_ACK, 0, &[]);
}

/// Appends a SHUTDOWN COMPLETE; `tag_reflected` is its T bit.
pub fn write_shutdown_complete(buf: &mut Vec<u8>, tag_reflected: bool) {
    write_chunk(buf, ChunkType::SHUTDOWN_COMPLETE, flag_t(tag_reflected), &[]);
}

/// Appends a COOKIE ECHO.
pub fn write_cookie_echo(buf: &mut Vec<u8>, cookie: &[u8]) {
    write_chunk(buf, ChunkType::COOKIE_ECHO, 0, cookie);
}

/// Appends a COOKIE ACK.
pub fn write_cookie_ack(buf: &mut Vec<u8>) {
    write_chunk(buf, ChunkType::COOKIE_ACK, 0, &[]);
}

/// Appends an ABORT with the causes that `causes` writes, for instance by [`Cause::write`](crate::wire::Cause::write);
/// `tag_reflected` is its T bit.
pub fn write_abort(buf: &mut Vec<u8>, tag_reflected: bool, causes: impl FnOnce(&mut Writer<'_>)) {
    write_chunk_of_tlvs(buf, ChunkType::ABORT, flag_t(tag_reflected), &[], causes);
}

/// Appends an ERROR with the causes that `causes` writes, at least one.
pub fn write_error(buf: &mut Vec<u8>, causes: impl FnOnce(&mut Writer<'_>)) {
    write_chunk_of_tlvs(buf, ChunkType::ERROR, 0, &[], causes);
}

/// Appends a PAD chunk that takes `len` bytes of the packet (RFC 4820 §3). They are rounded up to a multiple of four
/// bytes, and are at least the chunk header and at most 65532.
pub fn write_pad(buf: &mut Vec<u8>, len: usize) {
    let len = padded(len.clamp(CHUNK_HEADER_LEN, MAX_PAD_LEN));
    let end = buf.len().saturating_add(len);
    let length = u16::try_from(len).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    buf.extend_from_slice(&[ChunkType::PAD.0, 0, high, low]);
    buf.resize(end, 0);
}

/// The largest multiple of four that a chunk length can say.
const MAX_PAD_LEN: usize = 65532;

const fn flag_t(tag_reflected: bool) -> u8 {
    if tag_reflected { FLAG_T } else { 0 }
}
