//! Messages that the user gives in pieces (SCTP_EXPLICIT_EOR, RFC 6458 §8.1.26): which ones are not complete, and which
//! ones are being sent. A piece is queued, sent and forgotten like a message, so that no more than the send buffer is
//! kept; only its chunks carry the numbers and flags of the whole.

use std::collections::BTreeMap;

use super::policy::Policy;
use crate::serial::{Mid, Ppid, StreamId};

/// A message of which the user has not given the last piece; as the first one said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) ppid: Ppid,
    pub(super) unordered: bool,
    pub(super) policy: Policy,
    /// It was given up; the user learns it with the next piece.
    pub(super) given_up: bool,
}

/// A message of which a chunk was sent, and the last one was not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) mid: Mid,
    /// The Fragment Sequence Number of the next fragment.
    pub(super) next_fsn: u32,
    /// Nothing else may be sent before its end: its fragments need consecutive TSNs (RFC 9260 §6.9).
    pub(super) alone: bool,
}

/// The messages in pieces of an association, at most one a stream each.
#[derive(Debug, Default)]
pub(super) struct Records {
    open: BTreeMap<StreamId, Open>,
    runs: BTreeMap<StreamId, Run>,
}

impl Records {
    pub(super) fn open(&self, stream: StreamId) -> Option<Open> {
        self.open.get(&stream).copied()
    }

    pub(super) fn set_open(&mut self, stream: StreamId, open: Option<Open>) {
        match open {
            Some(open) => self.open.insert(stream, open),
            None => self.open.remove(&stream),
        };
    }

    /// The rest of it will not be sent.
    pub(super) fn give_up(&mut self, stream: StreamId) {
        if let Some(open) = self.open.get_mut(&stream) {
            open.given_up = true;
        }
    }

    /// The streams with a message that is to go on.
    pub(super) fn open_streams(&self) -> impl Iterator<Item = StreamId> {
        let open = self.open.iter().filter(|(_, open)| !open.given_up);
        open.map(|(stream, _)| *stream)
    }

    pub(super) fn run(&self, stream: StreamId) -> Option<Run> {
        self.runs.get(&stream).copied()
    }

    pub(super) fn set_run(&mut self, stream: StreamId, run: Option<Run>) {
        match run {
            Some(run) => self.runs.insert(stream, run),
            None => self.runs.remove(&stream),
        };
    }

    /// The streams with a message that was begun.
    pub(super) fn run_streams(&self) -> impl Iterator<Item = StreamId> {
        self.runs.keys().copied()
    }

    /// The stream of the message that has to be finished before anything else is sent.
    pub(super) fn alone(&self) -> Option<StreamId> {
        let (stream, run) = self.runs.first_key_value()?;
        run.alone.then_some(*stream)
    }

    /// Whether nothing is known of any message.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.runs.is_empty()
    }
}
