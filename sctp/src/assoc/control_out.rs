//! Control chunks that wait to be sent.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::path::PathId;

/// How many answers to a peer's chunks may wait. What comes beyond is dropped: the peer asks again, or did not need
/// to know.
const MAX_ANSWERS: usize = 16;

/// The control chunks to be sent next. Those of which one is enough are flags, so that repeated requests coalesce.
#[derive(Debug, Default)]
pub(crate) struct ControlOut {
    pub(crate) init: bool,
    pub(crate) cookie_echo: bool,
    /// Where the COOKIE ACK goes.
    pub(crate) cookie_ack: Option<PathId>,
    pub(crate) shutdown: bool,
    pub(crate) shutdown_ack: bool,
    /// The last packet of the association.
    pub(crate) farewell: Option<Farewell>,
    errors: VecDeque<Bytes>,
    heartbeat_acks: VecDeque<(PathId, Bytes)>,
}

/// How the peer is told that the association is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// SHUTDOWN COMPLETE, to this path.
    ShutdownComplete(PathId),
    /// ABORT with these error causes.
    Abort {
        causes: Bytes,
        /// Reflect the peer's packet's tag, because the peer's own is unknown.
        tag_reflected: bool,
    },
}

impl ControlOut {
    /// Queues error causes for an ERROR chunk.
    pub(crate) fn push_error(&mut self, causes: Bytes) {
        if self.errors.len() < MAX_ANSWERS {
            self.errors.push_back(causes);
        }
    }

    pub(crate) fn next_error_len(&self) -> Option<usize> {
        self.errors.front().map(Bytes::len)
    }

    pub(crate) fn pop_error(&mut self) -> Option<Bytes> {
        self.errors.pop_front()
    }

    /// Queues the answer to a HEARTBEAT, to where it came from.
    pub(crate) fn push_heartbeat_ack(&mut self, path: PathId, info: Bytes) {
        if self.heartbeat_acks.len() < MAX_ANSWERS {
            self.heartbeat_acks.push_back((path, info));
        }
    }

    pub(crate) fn pop_heartbeat_ack(&mut self) -> Option<(PathId, Bytes)> {
        self.heartbeat_acks.pop_front()
    }

    /// Whether a chunk for a packet that is not bound to a path waits.
    pub(crate) fn has_chunks(&self) -> bool {
        self.cookie_echo || self.cookie_ack.is_some() || self.shutdown || self.shutdown_ack || !self.errors.is_empty()
    }

    /// Forgets everything, keeping only the farewell.
    pub(crate) fn clear(&mut self) {
        *self = Self {
            farewell: self.farewell.take(),
            ..Self::default()
        };
    }
}
