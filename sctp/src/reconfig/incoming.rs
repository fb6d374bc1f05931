//! The peer's requests (RFC 6525 §5.2): which one is new, and what was answered to the last ones.

use std::time::Duration;

use crate::Instant;
use crate::path::PathId;
use crate::serial::{RequestSeq, Tsn};
use crate::streams::StreamSet;
use crate::wire::{NextTsns, ReconfigResult};

/// What is answered to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) request_seq: RequestSeq,
    pub(crate) result: ReconfigResult,
    /// Of an SSN/TSN reset.
    pub(crate) next_tsns: Option<NextTsns>,
}

/// What a request is, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The next one.
    New,
    /// One of the last two again, which is answered the same (RFC 6525 §5.2.1).
    Again(Answer),
    /// Neither.
    Wrong,
}

/// A request that is being carried out: it waits for data, of the peer or the own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deferred {
    /// An Outgoing SSN Reset Request, until everything up to its TSN has arrived (RFC 6525 §5.2.2 E2).
    Streams {
        streams: StreamSet,
        /// The own user asked for it.
        asked_for: bool,
    },
    /// An SSN/TSN Reset Request, until everything sent is acknowledged: nothing is lost then.
    Association {
        /// The Cumulative TSN Ack that the peer has sent.
        acked: Tsn,
        /// When it was seen to move last.
        moved: Instant,
    },
}

/// How long a peer that asks for a reset of everything may leave unacknowledged what the reset waits for: the pause
/// until it may ask again (RFC 6525 §5.1.4).
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);

/// A request that the own side answers by one of its own, which has to wait for another (RFC 6525 §5.2.3, §5.2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Reset these outgoing streams.
    Reset(StreamSet),
    /// Add so many outgoing streams.
    Add(u16),
}

/// The peer's requests. It may have one RE-CONFIG on its way, with two requests at most, so there is not more to
/// remember.
#[derive(Debug)]
pub(crate) struct Incoming {
    expected: RequestSeq,
    /// The last two answers, the newest first.
    answers: [Option<Answer>; 2],
    deferred: Option<(RequestSeq, PathId, Deferred)>,
    wanted: Option<(RequestSeq, Wanted)>,
}

impl Incoming {
    pub(super) const fn new(peer_initial_tsn: Tsn) -> Self {
        Self {
            expected: RequestSeq(peer_initial_tsn.0),
            answers: [None; 2],
            deferred: None,
            wanted: None,
        }
    }

    /// The number of the last request that came, or would have come.
    pub(crate) const fn last_seq(&self) -> RequestSeq {
        self.expected.minus(1)
    }

    pub(crate) fn turn(&self, seq: RequestSeq) -> Turn {
        if seq == self.expected {
            return Turn::New;
        }
        let same = |answer: &&Answer| answer.request_seq == seq;
        self.answers
            .iter()
            .flatten()
            .find(same)
            .map_or(Turn::Wrong, |answer| Turn::Again(*answer))
    }

    /// Remembers the answer to the request that was new.
    pub(crate) fn record(&mut self, answer: Answer) {
        self.expected = answer.request_seq.next();
        let [last, _] = self.answers;
        self.answers = [Some(answer), last];
    }

    /// A request that was "In progress" has a result now.
    pub(crate) fn settle(&mut self, answer: Answer) {
        let same = |known: &&mut Answer| known.request_seq == answer.request_seq;
        if let Some(known) = self.answers.iter_mut().flatten().find(same) {
            *known = answer;
        }
    }

    /// The request that is being carried out.
    pub(crate) fn deferred(&self) -> Option<&Deferred> {
        self.deferred.as_ref().map(|(_, _, deferred)| deferred)
    }

    /// Puts a request off; its end is told on this path.
    pub(crate) fn defer(&mut self, seq: RequestSeq, path: PathId, deferred: Deferred) {
        self.deferred = Some((seq, path, deferred));
    }

    /// Whether an SSN/TSN Reset Request is being carried out.
    pub(crate) const fn resets_association(&self) -> bool {
        matches!(self.deferred, Some((_, _, Deferred::Association { .. })))
    }

    /// The peer repeats a request. If it is the SSN/TSN Reset Request that is being carried out, whether the
    /// acknowledgements that it waits for do not come: `acked` is what has.
    pub(crate) fn waits_in_vain(&mut self, now: Instant, seq: RequestSeq, acked: Tsn) -> Option<bool> {
        match &mut self.deferred {
            Some((of, _, Deferred::Association { acked: before, moved })) if *of == seq => {
                if *before != acked {
                    (*before, *moved) = (acked, now);
                }
                Some(now.saturating_since(*moved) >= DRAIN_PATIENCE)
            }
            _ => None,
        }
    }

    pub(crate) fn take_deferred(&mut self) -> Option<(RequestSeq, PathId, Deferred)> {
        self.deferred.take()
    }

    pub(crate) const fn has_wanted(&self) -> bool {
        self.wanted.is_some()
    }

    pub(crate) fn want(&mut self, seq: RequestSeq, wanted: Wanted) {
        self.wanted = Some((seq, wanted));
    }

    pub(crate) fn take_wanted(&mut self) -> Option<(RequestSeq, Wanted)> {
        self.wanted.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(seq: u32, result: ReconfigResult) -> Answer {
        Answer {
            request_seq: RequestSeq(seq),
            result,
            next_tsns: None,
        }
    }

    #[test]
    fn rfc6525_5_2_1_the_last_two_requests_are_answered_the_same_again() {
        let mut incoming = Incoming::new(Tsn(u32::MAX));
        assert_eq!(incoming.turn(RequestSeq(u32::MAX)), Turn::New);
        for seq in [u32::MAX, 0, 1] {
            assert_eq!(incoming.turn(RequestSeq(seq)), Turn::New);
            incoming.record(answer(seq, ReconfigResult::PERFORMED));
        }
        assert_eq!(incoming.turn(RequestSeq(u32::MAX)), Turn::Wrong);
        for seq in [0, 1] {
            let again = Turn::Again(answer(seq, ReconfigResult::PERFORMED));
            assert_eq!(incoming.turn(RequestSeq(seq)), again);
        }
        assert_eq!(incoming.turn(RequestSeq(2)), Turn::New);
        assert_eq!(incoming.turn(RequestSeq(3)), Turn::Wrong);
        assert_eq!(incoming.last_seq(), RequestSeq(1));
    }

    #[test]
    fn rfc6525_5_2_2_what_was_in_progress_gets_its_result() {
        let mut incoming = Incoming::new(Tsn(5));
        incoming.record(answer(5, ReconfigResult::IN_PROGRESS));
        incoming.settle(answer(5, ReconfigResult::PERFORMED));
        incoming.settle(answer(9, ReconfigResult::DENIED));
        let settled = Turn::Again(answer(5, ReconfigResult::PERFORMED));
        assert_eq!(incoming.turn(RequestSeq(5)), settled);
    }
}
