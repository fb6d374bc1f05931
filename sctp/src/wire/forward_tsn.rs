//! FORWARD-TSN (RFC 3758 §3.2) and I-FORWARD-TSN (RFC 8260 §2.3.1): the sender gives up on messages, and the receiver
//! moves on.

use std::fmt;
use std::iter::FusedIterator;
use std::slice;

use crate::error::DecodeError;
use crate::serial::{Mid, Ssn, StreamId, Tsn};
use crate::tlv::ReadError;
use crate::wire::chunk::{ChunkType, length_field};

/// Bytes of either chunk before its entries.
const HEADER_LEN: usize = 8;

/// Bytes of a stream and an SSN.
const STREAM_LEN: usize = 4;

/// Bytes of a stream, the U bit and a MID.
const MESSAGE_LEN: usize = 8;

const FLAG_U: u8 = 0x01;

/// A FORWARD-TSN, borrowed.
#[derive(Clone, Debug)]
pub struct ForwardTsn<'a> {
    /// The receiver takes all TSNs up to this one as received.
    pub new_cumulative_tsn: Tsn,
    /// The streams on which ordered messages were skipped. Anything a peer makes up: any order, any repetition.
    pub streams: SkippedStreams<'a>,
}

impl<'a> ForwardTsn<'a> {
    /// Reads the value of a FORWARD-TSN.
    pub fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        let (new_cumulative_tsn, entries) = split(value, "FORWARD-TSN")?;
        Ok(Self {
            new_cumulative_tsn,
            streams: SkippedStreams {
                entries: entries.iter(),
            },
        })
    }
}

/// An I-FORWARD-TSN, borrowed.
#[derive(Clone, Debug)]
pub struct IForwardTsn<'a> {
    /// The receiver takes all TSNs up to this one as received.
    pub new_cumulative_tsn: Tsn,
    /// The last message skipped of each stream and kind. Anything a peer makes up: any order, any repetition.
    pub messages: SkippedMessages<'a>,
}

impl<'a> IForwardTsn<'a> {
    /// Reads the value of an I-FORWARD-TSN.
    pub fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        let (new_cumulative_tsn, entries) = split(value, "I-FORWARD-TSN")?;
        Ok(Self {
            new_cumulative_tsn,
            messages: SkippedMessages {
                entries: entries.iter(),
            },
        })
    }
}

/// The TSN and the entries of either chunk, of which none may be cut off.
fn split<'a, const N: usize>(value: &'a [u8], at: &'static str) -> Result<(Tsn, &'a [[u8; N]]), DecodeError> {
    let Some((tsn, rest)) = value.split_first_chunk() else {
        return Err(ReadError::Truncated { at }.into());
    };
    let (entries, []) = rest.as_chunks() else {
        return Err(ReadError::BadLength { at }.into());
    };
    Ok((Tsn(u32::from_be_bytes(*tsn)), entries))
}

/// The streams of a FORWARD-TSN, each with the largest SSN that was skipped on it.
#[derive(Clone)]
pub struct SkippedStreams<'a> {
    entries: slice::Iter<'a, [u8; STREAM_LEN]>,
}

impl fmt::Debug for SkippedStreams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl Iterator for SkippedStreams<'_> {
    type Item = (StreamId, Ssn);

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next().map(|&[s1, s2, n1, n2]| {
            (
                StreamId(u16::from_be_bytes([s1, s2])),
                Ssn(u16::from_be_bytes([n1, n2])),
            )
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for SkippedStreams<'_> {}
impl FusedIterator for SkippedStreams<'_> {}

/// An entry of an I-FORWARD-TSN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkippedMessage {
    /// The stream.
    pub stream: StreamId,
    /// U bit: it is about the unordered messages of the stream, not about the ordered ones.
    pub unordered: bool,
    /// The largest Message Identifier that was skipped.
    pub mid: Mid,
}

/// The entries of an I-FORWARD-TSN.
#[derive(Clone)]
pub struct SkippedMessages<'a> {
    entries: slice::Iter<'a, [u8; MESSAGE_LEN]>,
}

impl fmt::Debug for SkippedMessages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl Iterator for SkippedMessages<'_> {
    type Item = SkippedMessage;

    fn next(&mut self) -> Option<Self::Item> {
        self.entries
            .next()
            .map(|&[s1, s2, _, flags, m1, m2, m3, m4]| SkippedMessage {
                stream: StreamId(u16::from_be_bytes([s1, s2])),
                unordered: flags & FLAG_U != 0,
                mid: Mid(u32::from_be_bytes([m1, m2, m3, m4])),
            })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl ExactSizeIterator for SkippedMessages<'_> {}
impl FusedIterator for SkippedMessages<'_> {}

/// Bytes of a FORWARD-TSN with so many streams.
pub const fn forward_tsn_len(streams: usize) -> usize {
    HEADER_LEN.saturating_add(streams.saturating_mul(STREAM_LEN))
}

/// Bytes of an I-FORWARD-TSN with so many entries.
pub const fn i_forward_tsn_len(messages: usize) -> usize {
    HEADER_LEN.saturating_add(messages.saturating_mul(MESSAGE_LEN))
}

/// Appends a FORWARD-TSN. Callers keep the list within the packet; whatever no chunk length could count is left out.
pub fn write_forward_tsn(buf: &mut Vec<u8>, new_cumulative_tsn: Tsn, streams: &[(StreamId, Ssn)]) {
    const MAX: usize = (u16::MAX as usize - HEADER_LEN) / STREAM_LEN;
    let streams = streams.get(..MAX).unwrap_or(streams);
    write_fixed(
        buf,
        ChunkType::FORWARD_TSN,
        forward_tsn_len(streams.len()),
        new_cumulative_tsn,
    );
    for (stream, ssn) in streams {
        buf.extend_from_slice(&stream.0.to_be_bytes());
        buf.extend_from_slice(&ssn.0.to_be_bytes());
    }
}

/// Appends an I-FORWARD-TSN. Callers keep the list within the packet; whatever no chunk length could count is left out.
pub fn write_i_forward_tsn(buf: &mut Vec<u8>, new_cumulative_tsn: Tsn, messages: &[SkippedMessage]) {
    const MAX: usize = (u16::MAX as usize - HEADER_LEN) / MESSAGE_LEN;
    let messages = messages.get(..MAX).unwrap_or(messages);
    let length = i_forward_tsn_len(messages.len());
    write_fixed(buf, ChunkType::I_FORWARD_TSN, length, new_cumulative_tsn);
    for message in messages {
        buf.extend_from_slice(&message.stream.0.to_be_bytes());
        buf.extend_from_slice(&[0, if message.unordered { FLAG_U } else { 0 }]);
        buf.extend_from_slice(&message.mid.0.to_be_bytes());
    }
}

fn write_fixed(buf: &mut Vec<u8>, kind: ChunkType, length: usize, tsn: Tsn) {
    let [l1, l2] = length_field(length);
    buf.reserve(length);
    buf.extend_from_slice(&[kind.0, 0, l1, l2]);
    buf.extend_from_slice(&tsn.0.to_be_bytes());
}
