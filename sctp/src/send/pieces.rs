//! Messages that the user gives in pieces (RFC 6458 §8.1.26), as far as they concern the whole sender.

use bytes::Bytes;

use super::Outbound;
use super::chunk::ChunkForm;
use super::message::{Message, Part};
use super::policy::Policy;
use super::records::{Open, Run};
use crate::Instant;
use crate::error::SendError;
use crate::event::SendFailure;
use crate::message::OutMessage;
use crate::path::PathId;
use crate::serial::StreamId;

impl Outbound {
    /// Queues a piece of a message, which it ends or not. Whether it begins one.
    pub(crate) fn push_piece(
        &mut self,
        now: Instant,
        message: OutMessage,
        end: bool,
        wanted: Option<PathId>,
    ) -> Result<bool, SendError> {
        // The message may be too old for its next piece.
        self.give_up_due(now);
        let stream = message.stream;
        let open = self.queue.open(stream);
        if open.is_some_and(|open| open.given_up) {
            self.queue.set_open(stream, None);
            return Err(SendError::GivenUp);
        }
        if open.is_none() {
            if end {
                return self.push(now, message, wanted).map(|()| true);
            }
            self.may_push_beside(stream)?;
        }
        let policy = open.map_or_else(|| Policy::new(now, message.reliability), |open| open.policy);
        self.take_in(now, &message, policy)?;
        let current = self.cutting.map(|cutting| cutting.stream);
        let parked = self.cutting.take_if(|_| matches!(self.form, ChunkForm::IData));
        self.queue.take_pieces(current.filter(|_| parked.is_none()), parked);
        let begins = open.is_none();
        let open = open.unwrap_or_else(|| Open {
            ppid: message.ppid,
            unordered: message.unordered,
            // What gives way may be sent already, and what is to follow is not known.
            policy: policy.priority().map_or(policy, |_| Policy::Reliable),
            given_up: false,
        });
        self.queue.set_open(stream, (!end).then_some(open));
        let queued = Message {
            ppid: open.ppid,
            unordered: open.unordered,
            policy: open.policy,
            part: match (begins, end) {
                (true, _) => Part::First,
                (false, false) => Part::Middle,
                (false, true) => Part::Last,
            },
            ..Message::new(message, wanted, policy)
        };
        self.settle_order();
        self.push_paused(queued);
        Ok(begins)
    }

    /// Whether a message may be queued for `stream` while another one is not complete: with interleaving for the other
    /// streams only. Without, it would have to wait, and could fill the buffer that the end of the other one needs.
    pub(super) fn may_push_beside(&self, stream: StreamId) -> Result<(), SendError> {
        let mut open = self.queue.open_streams();
        let waits = if self.is_interleaving() {
            open.any(|other| other == stream)
        } else {
            open.next().is_some()
        };
        if waits { Err(SendError::Unfinished) } else { Ok(()) }
    }

    /// Without interleaving, what was queued before an incomplete message is sent before it, so that nothing waits for
    /// its end.
    pub(super) fn settle_order(&mut self) {
        let in_order = !self.is_interleaving() && self.has_open();
        let current = self.cutting.map(|cutting| cutting.stream);
        self.queue.set_in_order(in_order, current);
    }

    /// Whether the user has to give the rest of a message.
    pub(crate) fn has_open(&self) -> bool {
        self.queue.open_streams().next().is_some()
    }

    /// Whether nothing more can be sent before the user gives the rest of a message. Without interleaving, what a reset
    /// of its stream held up may wait for that.
    pub(crate) fn waits_for_user(&self) -> bool {
        let mut open = self.queue.open_streams();
        let begun = |stream: StreamId| {
            let goes_on = self.queue.open(stream).is_some_and(|open| !open.given_up);
            goes_on && self.queue.awaits_piece(stream)
        };
        let nothing_on_its_way = self.outstanding.is_empty() && self.cutting.is_none() && self.pause.is_none();
        !self.is_interleaving() && nothing_on_its_way && open.any(begun)
    }

    /// Whether the user has to give the rest of a message of one of these streams.
    pub(crate) fn has_open_in(&self, streams: &crate::streams::StreamSet) -> bool {
        self.queue.open_streams().any(|stream| streams.contains(stream))
    }

    /// Whether there are messages in pieces that were not sent to their ends.
    pub(crate) fn has_pieces(&self) -> bool {
        self.queue.has_pieces() || self.held_messages().any(|message| message.part.is_piece())
    }

    /// The message in pieces that is to be sent next is given up as a whole.
    pub(super) fn give_up_next_pieces(&mut self, stream: StreamId, now: Instant) {
        if let Some(run) = self.queue.run(stream) {
            return self.abandon_run(stream, run, now);
        }
        let Some(first) = self.queue.pop_unsent() else { return };
        self.give_up_unsent(first);
        self.give_up_rest(stream);
    }

    /// The pieces of `stream` that wait and go on with a message will not be sent, nor what is to come of it.
    fn give_up_rest(&mut self, stream: StreamId) {
        let rest = self.queue.take_rest(stream);
        if rest.last().is_none_or(|last| last.part != Part::Last) {
            self.queue.give_up_open(stream);
        }
        for piece in rest {
            let failure = self.fail(piece, false);
            self.forward.note_failed(failure);
        }
    }

    /// Gives up a message in pieces that was begun and not ended.
    fn abandon_run(&mut self, stream: StreamId, run: Run, now: Instant) {
        let front = self.queue.front().filter(|queued| queued.stream == stream);
        let Some((unordered, policy)) = front.map(|queued| (queued.unordered, queued.policy)) else {
            return;
        };
        if let Some(number) = self.outstanding.last_piece(stream, unordered, run.mid) {
            return self.abandon_pieces(number, now);
        }
        // All that was sent of it is acknowledged.
        self.forward.count(stream, policy, true);
        self.end_abandoned(stream, unordered, policy, run, now);
        self.advance_point();
    }

    /// Tells the peer that the end of a message of which all pieces were cut will not come.
    fn end_abandoned(&mut self, stream: StreamId, unordered: bool, policy: Policy, run: Run, now: Instant) {
        let nothing = OutMessage {
            unordered,
            ..OutMessage::new(stream, crate::serial::Ppid(0), Bytes::new())
        };
        let nothing = Message::new(nothing, None, policy);
        self.outstanding.abandon_rest(nothing, run.mid, now);
        self.queue.set_run(stream, None);
        self.give_up_rest(stream);
    }

    /// Gives up a message in pieces of which one is this.
    pub(super) fn abandon_pieces(&mut self, number: u64, now: Instant) {
        let pieces = self.outstanding.pieces_of(number);
        let last = pieces.last().and_then(|last| self.outstanding.message(*last));
        let Some(last) = last.map(|sent| &sent.message) else {
            return;
        };
        let (stream, unordered, policy, part) = (last.stream, last.unordered, last.policy, last.part);
        self.forward.count(stream, policy, true);
        let mut cut = false;
        for piece in pieces {
            cut |= self.abandon_message(piece, stream, now);
        }
        match self.queue.run(stream) {
            Some(run) if part.goes_on() && !cut => self.end_abandoned(stream, unordered, policy, run, now),
            _ if part.goes_on() => {
                self.queue.set_run(stream, None);
                self.give_up_rest(stream);
            }
            _ if cut => self.queue.set_run(stream, None),
            _ => {}
        }
        self.advance_point();
    }

    /// The messages that are not complete, or were begun, fail: the peer began anew. Others still go.
    pub(super) fn fail_unfinished(&mut self) -> Vec<SendFailure> {
        let unfinished = self.queue.take_unfinished();
        unfinished.into_iter().map(|piece| self.fail(piece, false)).collect()
    }
}
