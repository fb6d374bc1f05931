//! Sent chunks and what becomes of them.

use std::time::Duration;

use super::message::Message;
use crate::Instant;
use crate::path::PathId;
use crate::serial::{Fsn, Mid, Tsn};
use crate::tlv::padded;
use crate::wire::{DATA_HEADER_LEN, I_DATA_HEADER_LEN};

/// The number of a chunk since the association began. Its TSN is the initial one plus this, but it never wraps.
pub(crate) type Index = u64;

/// Where a sent chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkState {
    /// On its way, as far as is known.
    InFlight,
    /// To be sent again.
    Marked,
    /// Acknowledged by a Gap Ack Block.
    Acked,
    /// Given up with its message: neither in flight nor ever sent again (RFC 3758 §3.5 A2).
    Abandoned,
}

/// One DATA chunk that was sent.
#[derive(Clone, Debug)]
pub(crate) struct SentChunk {
    pub(super) message: u64,
    pub(super) sent_at: Instant,
    /// The number of the packet that last carried it.
    pub(super) packet: u64,
    pub(super) offset: u32,
    pub(super) len: u16,
    pub(crate) path: PathId,
    pub(crate) state: ChunkState,
    /// How often it was sent again.
    pub(super) sent_again: u16,
    /// Miss indications (§7.2.4).
    pub(crate) missing: u8,
    /// It was sent more than once: its acknowledgement measures nothing (§6.3.1 C5).
    pub(crate) retransmitted: bool,
    /// It was sent to several paths: its acknowledgement may be for any of them (RFC 7829 §3.2 rule 9).
    pub(crate) ambiguous: bool,
    /// It was fast retransmitted, and will not be again (§7.2.4 rule 5).
    pub(crate) fast_retransmitted: bool,
    /// It is marked because of missing reports, so its path works and takes it again (§6.4).
    pub(crate) stays_on_path: bool,
    pub(crate) ends_message: bool,
}

impl SentChunk {
    /// `len` bytes of a message from `offset` on, in the packet with this number.
    #[inline(always)]
    pub(super) const fn new(now: Instant, path: PathId, packet: u64, message: u64, offset: u32, len: u16) -> Self {
        Self {
            message,
            sent_at: now,
            packet,
            offset,
            len,
            path,
            state: ChunkState::InFlight,
            sent_again: 0,
            missing: 0,
            retransmitted: false,
            ambiguous: false,
            fast_retransmitted: false,
            stays_on_path: false,
            ends_message: false,
        }
    }

    pub(crate) const fn payload_len(&self) -> usize {
        self.len as usize
    }

    /// Bytes of the chunk in a packet: header, user data, padding.
    pub(crate) const fn wire_len(&self, form: ChunkForm) -> usize {
        form.chunk_len(self.len as usize)
    }
}

/// Which chunks carry user data in an association.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ChunkForm {
    #[default]
    Data,
    IData,
}

impl ChunkForm {
    pub(crate) const fn header_len(self) -> usize {
        match self {
            Self::Data => DATA_HEADER_LEN,
            Self::IData => I_DATA_HEADER_LEN,
        }
    }

    /// Bytes of a chunk with `payload` bytes of user data, padding included.
    pub(crate) const fn chunk_len(self, payload: usize) -> usize {
        self.header_len() + padded(payload)
    }

    /// User data that fits into a chunk of at most `room` bytes, padding included.
    pub(crate) const fn max_payload(self, room: usize) -> usize {
        // The 16-bit length leaves so much, rounded down to whole words.
        let most = (u16::MAX as usize - self.header_len()) & !3;
        let room = (room & !3).saturating_sub(self.header_len());
        if room > most { most } else { room }
    }
}

/// A message of which at least a part was sent.
#[derive(Clone, Debug)]
pub(crate) struct SentMessage {
    pub(crate) message: Message,
    /// Its SSN or MID.
    pub(crate) mid: Mid,
    /// Its first chunk.
    pub(super) first_chunk: Index,
    /// It was given up, and its payload went back to the user.
    pub(super) abandoned: bool,
}

/// A chunk as it goes on the wire.
#[derive(Debug)]
pub(crate) struct ChunkToSend<'a> {
    pub(crate) tsn: Tsn,
    /// The SSN or MID of its message.
    pub(crate) mid: Mid,
    /// The Fragment Sequence Number, with interleaving.
    pub(crate) fsn: Fsn,
    pub(crate) beginning: bool,
    pub(crate) ending: bool,
    pub(crate) message: &'a Message,
    pub(crate) payload: &'a [u8],
}

/// A chunk that an acknowledgement covers for the first time, or several on one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) path: PathId,
    /// Bytes of the chunks, headers and padding included.
    pub(crate) bytes: usize,
    /// The number of the packet that last carried the last of them.
    pub(crate) packet: u64,
    /// The round trip of that, if it was sent once.
    pub(crate) rtt: Option<Duration>,
    /// The round trip to be measured, if the chunk that measures is among them (§6.3.1 C4).
    pub(crate) measured: Option<Duration>,
    /// Some of it was sent to this path only.
    pub(crate) sure: bool,
}

/// Chunks that left at the cumulative end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Popped {
    /// Set unless Gap Ack Blocks had acknowledged them before.
    pub(crate) newly: Option<Acknowledged>,
    /// Bytes of user data that need not be kept any more.
    pub(crate) payload: usize,
}

/// A message that was given up.
#[derive(Debug)]
pub(crate) struct Abandoned {
    pub(crate) message: Message,
    /// Bytes of user data that need not be kept any more.
    pub(crate) freed: usize,
}
