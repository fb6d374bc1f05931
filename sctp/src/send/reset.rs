//! What a re-configuration does to the sender (RFC 6525 §5.1.2, §5.1.4): messages that wait until it is decided which
//! numbers they get, and numbers that begin anew.

use std::collections::VecDeque;

use super::chunk::Index;
use super::message::Message;
use super::{Outbound, SackResult};
use crate::event::SendFailure;
use crate::path::PathId;
use crate::serial::Tsn;
use crate::streams::StreamSet;

/// Farther ahead than anything that is outstanding.
const FAR: u64 = 1 << 30;

/// Messages that wait apart from the others.
#[derive(Debug)]
pub(super) struct Pause {
    /// What is given for these streams waits (RFC 6525 §5.1.2 A1).
    streams: StreamSet,
    held: VecDeque<Message>,
    /// The last message of these streams that was queued before, as far as it is known. It still gets an old number.
    last_before: Option<u64>,
    /// The first chunk after the last TSN that the peer was told to wait for before it resets them.
    asked: Option<Index>,
}

impl Pause {
    fn new(streams: StreamSet, held: VecDeque<Message>) -> Box<Self> {
        Box::new(Self {
            streams,
            held,
            last_before: None,
            asked: None,
        })
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn leave_path(&mut self, gone: PathId) {
        for queued in &mut self.held {
            queued.wanted.take_if(|wanted| *wanted == gone);
        }
    }
}

impl Outbound {
    /// Queues a message while something may be kept back.
    #[cold]
    pub(super) fn push_paused(&mut self, message: Message) {
        match &mut self.pause {
            Some(pause) if pause.streams.contains(message.stream) => pause.held.push_back(message),
            _ => self.queue.push(message),
        }
    }

    /// Keeps back what the user gives for `streams` from now on, until [`end_hold`](Self::end_hold).
    pub(crate) fn hold_streams(&mut self, streams: StreamSet) {
        self.pause = Some(Pause::new(streams, VecDeque::new()));
    }

    /// Begins no message from now on (RFC 6525 §5.1.4 C2), until [`end_hold`](Self::end_hold).
    pub(crate) fn suspend(&mut self) {
        self.pause = Some(Pause::new(StreamSet::All, self.queue.take_waiting()));
    }

    /// Whether everything that was queued for the held streams before has got its TSNs.
    pub(crate) fn held_streams_are_sent(&mut self) -> bool {
        let Some(pause) = &mut self.pause else { return true };
        let cutting = self
            .cutting
            .is_some_and(|cutting| pause.streams.contains(cutting.stream));
        !cutting && !self.queue.waits_for(&pause.streams, &mut pause.last_before)
    }

    /// Lets the held messages go, with numbers from zero if `reset`.
    pub(crate) fn end_hold(&mut self, reset: bool) {
        let Some(pause) = self.pause.take() else { return };
        self.forward.resume();
        if reset {
            self.reset_streams(&pause.streams);
        }
        for message in pause.held {
            self.queue.push(message);
        }
    }

    /// The peer is asked to reset the held streams once it has everything up to `last`.
    pub(crate) fn asked_to_reset(&mut self, last: Tsn) {
        let steps = last.steps_from(self.outstanding.cumulative_tsn_ack());
        let asked = self.outstanding.first() + u64::from(steps);
        if let Some(pause) = &mut self.pause
            && asked <= self.outstanding.end()
        {
            pause.asked = Some(asked);
        }
    }

    /// The first chunk that a FORWARD-TSN may not cover while the peer may have reset streams without it being known
    /// here: what it says of numbers from before would be taken for new ones.
    pub(super) fn forward_limit(&self) -> Index {
        let asked = self.pause.as_ref().and_then(|pause| pause.asked);
        // What is acknowledged is said no more.
        asked
            .filter(|asked| *asked > self.outstanding.first())
            .unwrap_or(Index::MAX)
    }

    /// Whether everything that was begun is acknowledged.
    pub(crate) fn is_quiet(&self) -> bool {
        self.cuts().next().is_none() && self.outstanding.is_empty()
    }

    /// The one place where the numbers of outgoing streams begin anew (RFC 6525 §5.2.7 H4).
    pub(crate) fn reset_streams(&mut self, streams: &StreamSet) {
        self.queue.numbers.reset(streams);
    }

    /// Whether the next ordered message of each of these streams has number zero.
    pub(crate) fn are_fresh(&self, streams: &StreamSet) -> bool {
        self.queue.numbers.are_fresh(streams)
    }

    /// The Cumulative TSN Ack that the peer has sent.
    pub(crate) const fn cumulative_tsn_ack(&self) -> Tsn {
        self.outstanding.cumulative_tsn_ack()
    }

    /// The TSN of the next new chunk.
    pub(crate) fn next_tsn(&self) -> Tsn {
        self.outstanding.tsn(self.outstanding.end())
    }

    /// What an acknowledgement is that covers `steps` chunks, which is more than were sent. After TSNs began anew, half
    /// the space ahead (RFC 6525 §5.2.4 G1), one from before that is still on its way.
    #[cold]
    pub(super) const fn beyond_all_sent(&self, steps: u64) -> SackResult {
        if self.outstanding.is_renumbered() && steps >= FAR {
            SackResult::Old
        } else {
            SackResult::Impossible
        }
    }

    /// Goes on with this TSN, while nothing is outstanding.
    pub(crate) fn renumber(&mut self, next: Tsn) {
        self.outstanding.renumber(next);
    }

    /// Streams were added.
    pub(crate) fn set_streams(&mut self, streams: u16) {
        self.streams = streams;
    }

    /// What is held.
    pub(super) fn held_messages(&self) -> impl Iterator<Item = &Message> {
        self.pause.iter().flat_map(|pause| &pause.held)
    }

    pub(super) fn held_messages_mut(&mut self) -> impl Iterator<Item = &mut Message> {
        self.pause.iter_mut().flat_map(|pause| &mut pause.held)
    }

    /// Gives up what is held; oldest first.
    pub(super) fn drain_held(&mut self) -> Vec<SendFailure> {
        let Some(pause) = self.pause.take() else {
            return Vec::new();
        };
        let held = pause.held.into_iter();
        held.map(|message| self.fail(message, false)).collect()
    }
}
