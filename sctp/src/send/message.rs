//! A message as the sender keeps it: what is left to know of it once it was given to be sent.

use bytes::Bytes;

use super::policy::Policy;
use crate::event::SendFailure;
use crate::message::OutMessage;
use crate::path::PathId;
use crate::serial::{Ppid, SharedKeyId, StreamId};

/// Which part of a user's message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// Its first piece.
    First,
    /// A piece with others before and after it.
    Middle,
    /// Its last piece.
    Last,
}

impl Part {
    /// Whether a piece comes before it.
    pub(super) const fn continues(self) -> bool {
        matches!(self, Self::Middle | Self::Last)
    }

    /// Whether a piece comes after it.
    pub(super) const fn goes_on(self) -> bool {
        matches!(self, Self::First | Self::Middle)
    }

    /// Whether it is one of several pieces.
    pub(super) const fn is_piece(self) -> bool {
        !matches!(self, Self::Whole)
    }
}

/// A message to be sent, or sent in part. It moves from queue to queue as it is, so it is small.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) payload: Bytes,
    pub(crate) ppid: Ppid,
    pub(crate) context: u32,
    pub(crate) auth_key: Option<SharedKeyId>,
    pub(crate) stream: StreamId,
    pub(crate) unordered: bool,
    pub(crate) sack_immediately: bool,
    /// The path the user wants it on.
    pub(crate) wanted: Option<PathId>,
    pub(super) policy: Policy,
    pub(super) part: Part,
}

impl Message {
    #[inline(always)]
    pub(super) fn new(message: OutMessage, wanted: Option<PathId>, policy: Policy) -> Self {
        Self {
            payload: message.payload,
            ppid: message.ppid,
            context: message.context,
            auth_key: message.auth_key,
            stream: message.stream,
            unordered: message.unordered,
            sack_immediately: message.sack_immediately,
            wanted,
            policy,
            part: Part::Whole,
        }
    }

    /// Takes it out, and leaves what has no bytes in its place.
    pub(super) fn take(&mut self) -> Self {
        let payload = std::mem::take(&mut self.payload);
        Self {
            payload,
            ..self.clone()
        }
    }

    /// Whether it was [taken](Self::take) out: every message to be sent has a byte.
    pub(super) const fn is_nothing(&self) -> bool {
        self.payload.is_empty()
    }

    /// It was not delivered; a part of it was `sent`.
    pub(crate) fn failed(self, sent: bool) -> SendFailure {
        SendFailure {
            stream: self.stream,
            ppid: self.ppid,
            unordered: self.unordered,
            context: self.context,
            sent,
            cause: 0,
            payload: self.payload,
        }
    }
}
