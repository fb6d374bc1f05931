//! HEARTBEAT and HEARTBEAT ACK chunks (RFC 9260 §3.3.5, §3.3.6). Only the sender of a HEARTBEAT knows what its info
//! means; whoever answers gives it back untouched.

use crate::error::DecodeError;
use crate::tlv::Reader;
use crate::wire::chunk::{ChunkType, write_chunk, write_chunk_of_tlvs};
use crate::wire::param::ParamType;

/// A HEARTBEAT or HEARTBEAT ACK, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// Sender-Specific Heartbeat Info.
    pub info: &'a [u8],
}

impl<'a> Heartbeat<'a> {
    /// Reads the value of a HEARTBEAT or HEARTBEAT ACK: its first parameter must be a Heartbeat Info. What follows is
    /// ignored.
    pub fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        let tlv = Reader::new(value).tlv("Heartbeat Info")?;
        if ParamType(tlv.kind) != ParamType::HEARTBEAT_INFO {
            return Err(DecodeError::InvalidValue {
                field: "Heartbeat Info Type",
            });
        }
        Ok(Self { info: tlv.value })
    }
}

/// Appends a HEARTBEAT with `info`.
pub fn write_heartbeat(buf: &mut Vec<u8>, info: &[u8]) {
    write(buf, ChunkType::HEARTBEAT, info);
}

/// Appends a HEARTBEAT ACK that gives back `info`.
pub fn write_heartbeat_ack(buf: &mut Vec<u8>, info: &[u8]) {
    write(buf, ChunkType::HEARTBEAT_ACK, info);
}

/// Appends the answer to a HEARTBEAT whose value was `value`: all its parameters, unchanged (RFC 9260 §8.3).
pub fn write_heartbeat_answer(buf: &mut Vec<u8>, value: &[u8]) {
    write_chunk(buf, ChunkType::HEARTBEAT_ACK, 0, value);
}

fn write(buf: &mut Vec<u8>, kind: ChunkType, info: &[u8]) {
    write_chunk_of_tlvs(buf, kind, 0, &[], |w| {
        w.tlv(ParamType::HEARTBEAT_INFO.0, |w| w.bytes(info))
    });
}
