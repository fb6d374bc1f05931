//! The own request (RFC 6525 §5.1): one at a time, repeated until it is answered.

use std::time::Duration;

use crate::Instant;
use crate::path::PathId;
use crate::serial::{RequestSeq, Tsn};
use crate::streams::StreamSet;
use crate::wire::ReconfigResult;

/// What is asked of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Outgoing SSN Reset Request.
    ResetOutgoing {
        streams: StreamSet,
        /// The peer's request that it answers.
        answers: Option<RequestSeq>,
    },
    /// Incoming SSN Reset Request.
    ResetIncoming(StreamSet),
    /// SSN/TSN Reset Request.
    ResetAssociation,
    /// Add Outgoing Streams Request.
    AddOutgoing {
        streams: u16,
        /// The peer's request that it answers.
        answers: Option<RequestSeq>,
    },
    /// Add Incoming Streams Request.
    AddIncoming(u16),
}

impl Ask {
    /// The peer's request that it answers.
    pub(crate) const fn answers(&self) -> Option<RequestSeq> {
        match self {
            Self::ResetOutgoing { answers, .. } | Self::AddOutgoing { answers, .. } => *answers,
            _ => None,
        }
    }

    /// Whether the peer can only answer by a request, or by nothing else at the same time.
    const fn needs_the_peer_free(&self) -> bool {
        matches!(
            self,
            Self::ResetIncoming(_) | Self::AddIncoming(_) | Self::ResetAssociation
        )
    }
}

/// One parameter of the RE-CONFIG.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) ask: Ask,
    /// Its number, once it was sent.
    pub(crate) seq: Option<RequestSeq>,
    /// The Sender's Last Assigned TSN, once it was sent.
    pub(crate) last_tsn: Tsn,
}

/// The Re-configuration Timer (RFC 6525 §5.1.1).
#[derive(Clone, Copy, Debug)]
struct Flight {
    path: PathId,
    expires: Instant,
    interval: Duration,
    /// The chunk is to be sent again.
    due: bool,
    /// The peer said "In progress": that there is no result yet is no error (RFC 6525 §5.2.7 H2).
    patient: bool,
}

/// What a response did.
#[derive(Clone, Debug)]
pub(crate) enum Settled {
    /// The peer needs time.
    InProgress,
    /// This part of the request has its result. `path` carried it last.
    Done { part: Part, path: PathId },
}

/// The request that is on its way, or waits to be.
#[derive(Debug)]
pub(crate) struct Outgoing {
    next_seq: RequestSeq,
    /// What is not answered: at most two parts.
    open: Vec<Part>,
    /// Set once it was sent.
    flight: Option<Flight>,
    /// So many streams the peer said it would add; its own request for that follows.
    granted: u16,
    /// The number of a request that a request of the peer seemed to answer, which does not say so.
    implied: Option<RequestSeq>,
    /// When an SSN/TSN Reset Request was last sent.
    association_reset: Option<Instant>,
}

/// How long after an SSN/TSN Reset Request there should be no other: the maximum segment lifetime (RFC 6525 §5.1.4).
const RESET_PAUSE: Duration = Duration::from_secs(30);

impl Outgoing {
    pub(super) const fn new(local_initial_tsn: Tsn) -> Self {
        Self {
            next_seq: RequestSeq(local_initial_tsn.0),
            open: Vec::new(),
            flight: None,
            granted: 0,
            implied: None,
            association_reset: None,
        }
    }

    /// Whether there is a request, so that another one has to wait (RFC 6525 §5.1.1).
    pub(crate) const fn is_busy(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether the request is one that the peer cannot answer while it waits for an answer itself. If both sides waited
    /// like this, they would wait forever.
    pub(crate) fn needs_the_peer_free(&self) -> bool {
        self.open.iter().any(|part| part.ask.needs_the_peer_free())
    }

    /// Begins a request.
    pub(crate) fn begin(&mut self, asks: impl IntoIterator<Item = Ask>) {
        self.flight = None;
        self.open.extend(asks.into_iter().map(|ask| Part {
            ask,
            seq: None,
            last_tsn: Tsn(0),
        }));
    }

    /// What is not answered.
    pub(crate) fn open(&self) -> &[Part] {
        &self.open
    }

    /// Gives everything up, what the peer said it would do and has not done included.
    pub(crate) fn take_all(&mut self) -> Vec<Part> {
        self.flight = None;
        let granted = self.take_granted().map(|ask| Part {
            ask,
            seq: None,
            last_tsn: Tsn(0),
        });
        self.open.drain(..).chain(granted).collect()
    }

    /// Gives up to wait for the streams that the peer said it would add.
    pub(crate) fn take_granted(&mut self) -> Option<Ask> {
        let granted = std::mem::take(&mut self.granted);
        (granted > 0).then_some(Ask::AddIncoming(granted))
    }

    /// Whether it was not sent yet.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.is_busy() && self.flight.is_none()
    }

    /// The path that an unanswered request was last sent to, if it is to be sent again now.
    pub(crate) fn repeat_on(&self) -> Option<PathId> {
        self.flight.filter(|flight| flight.due).map(|flight| flight.path)
    }

    /// The peer asked again for what this request answers: it is sent again at once.
    pub(crate) fn repeat(&mut self) {
        if let Some(flight) = &mut self.flight {
            flight.due = true;
        }
    }

    /// Whether an SSN/TSN Reset Request would come too early.
    pub(crate) fn is_too_soon(&self, now: Instant) -> bool {
        self.association_reset
            .is_some_and(|last| now.saturating_since(last) < RESET_PAUSE)
    }

    /// It is sent now: for the first time with numbers, and so that what has a later TSN than `last_tsn` comes after
    /// it.
    pub(crate) fn send(&mut self, now: Instant, path: PathId, rto: Duration, last_tsn: Tsn) -> &[Part] {
        match &mut self.flight {
            Some(flight) => {
                (flight.due, flight.path) = (false, path);
            }
            None => {
                self.flight = Some(Flight {
                    path,
                    expires: now + rto,
                    interval: rto,
                    due: false,
                    patient: false,
                });
            }
        }
        for part in self.open.iter_mut().filter(|part| part.seq.is_none()) {
            part.seq = Some(self.next_seq);
            part.last_tsn = last_tsn;
            self.next_seq = self.next_seq.next();
            if part.ask == Ask::ResetAssociation {
                self.association_reset = Some(now);
            }
        }
        &self.open
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.flight.map(|flight| flight.expires)
    }

    /// The timer expired, if it is due: the request is to be sent again. The path that did not answer, and whether that
    /// is an error. The interval doubles up to `max` (RFC 6525 §5.1.1).
    pub(crate) fn on_timeout(&mut self, now: Instant, max: Duration) -> Option<(PathId, bool)> {
        let flight = self.flight.as_mut().filter(|flight| flight.expires <= now)?;
        flight.interval = (flight.interval * 2).min(max);
        flight.expires = now + flight.interval;
        flight.due = true;
        let is_error = !std::mem::take(&mut flight.patient);
        Some((flight.path, is_error))
    }

    /// The request goes to another path next time.
    pub(crate) fn move_to(&mut self, path: PathId) {
        if let Some(flight) = &mut self.flight {
            flight.path = path;
        }
    }

    /// A response arrived (RFC 6525 §5.2.7 H1, H2). `None` if nothing waits for it.
    pub(crate) fn on_response(
        &mut self,
        now: Instant,
        seq: RequestSeq,
        result: ReconfigResult,
        rto: Duration,
    ) -> Option<Settled> {
        let at = self.open.iter().position(|part| part.seq == Some(seq))?;
        if result == ReconfigResult::IN_PROGRESS {
            let flight = self.flight.as_mut()?;
            (flight.interval, flight.expires, flight.patient) = (rto, now + rto, true);
            return Some(Settled::InProgress);
        }
        let implied = self.implied.take();
        if result == ReconfigResult::BAD_SEQUENCE_NUMBER && implied.is_some_and(|implied| implied.next() == seq) {
            self.renumber(seq.minus(1));
            return Some(Settled::InProgress);
        }
        let (part, path) = self.close(at)?;
        if let (Ask::AddIncoming(streams), ReconfigResult::PERFORMED) = (&part.ask, result) {
            self.granted = *streams;
        }
        Some(Settled::Done { part, path })
    }

    /// The peer has not got the request before, whose number is free then.
    fn renumber(&mut self, next: RequestSeq) {
        self.next_seq = next;
        self.repeat();
        for part in &mut self.open {
            part.seq = None;
        }
    }

    fn close(&mut self, at: usize) -> Option<(Part, PathId)> {
        let path = self.flight?.path;
        let part = self.open.remove(at);
        if self.open.is_empty() {
            self.flight = None;
        }
        Some((part, path))
    }

    /// An Outgoing SSN Reset Request of the peer arrived that may answer the own Incoming SSN Reset Request (RFC 6525
    /// §5.2.2 E1). Whether it does.
    pub(crate) fn is_answered_by_reset(&mut self, response_seq: RequestSeq, streams: &StreamSet) -> Option<PathId> {
        let same = |part: &Part| {
            part.seq == Some(response_seq) && matches!(&part.ask, Ask::ResetIncoming(asked) if streams.includes(asked))
        };
        let at = self.open.iter().position(same)?;
        self.close(at).map(|(_, path)| path)
    }

    /// An Add Outgoing Streams Request of the peer arrived. Whether it answers the own Add Incoming Streams Request
    /// (RFC 6525 §5.2.6), and the path of that if it was open. It may be that both sides ask for the same at once: then
    /// the peer finds the number of the next request wrong.
    pub(crate) fn is_answered_by_streams(&mut self, streams: u16) -> Option<Option<PathId>> {
        if streams > 0 && self.granted == streams {
            self.granted = 0;
            return Some(None);
        }
        // What stands before it is answered before it.
        let first = self.open.first().filter(|part| part.ask == Ask::AddIncoming(streams))?;
        self.implied = Some(first.seq?);
        Some(self.close(0).map(|(_, path)| path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::StreamId;

    const RTO: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn sent() -> Outgoing {
        let mut outgoing = Outgoing::new(Tsn(7));
        outgoing.begin([Ask::AddIncoming(1)]);
        assert!(outgoing.is_waiting() && outgoing.poll_timeout().is_none());
        let parts = outgoing.send(at(0), PathId(0), RTO, Tsn(3));
        assert_eq!(parts[0].seq, Some(RequestSeq(7)));
        outgoing
    }

    #[test]
    fn rfc6525_5_1_1_the_timer_doubles_at_every_expiry() {
        let mut outgoing = sent();
        let mut expiries = Vec::new();
        for _ in 0..5 {
            let due = outgoing.poll_timeout().unwrap();
            assert!(outgoing.on_timeout(at(0), 4 * RTO).is_none());
            assert_eq!(outgoing.on_timeout(due, 4 * RTO), Some((PathId(0), true)));
            assert_eq!(outgoing.repeat_on(), Some(PathId(0)));
            let again = outgoing.send(due, PathId(0), RTO, Tsn(9))[0].clone();
            assert_eq!(
                (again.seq, again.last_tsn),
                (Some(RequestSeq(7)), Tsn(3)),
                "it stays the same"
            );
            expiries.push(due);
        }
        assert_eq!(expiries, [1, 3, 7, 11, 15].map(|s| at(s * 1000)));
    }

    #[test]
    fn rfc6525_5_2_7_h2_in_progress_starts_the_timer_again_and_its_expiry_is_no_error() {
        let mut outgoing = sent();
        let settled = outgoing.on_response(at(500), RequestSeq(7), ReconfigResult::IN_PROGRESS, RTO);
        assert!(matches!(settled, Some(Settled::InProgress)));
        assert_eq!(outgoing.on_timeout(at(1500), 4 * RTO), Some((PathId(0), false)));
        assert_eq!(
            outgoing.on_timeout(at(3500), 4 * RTO),
            Some((PathId(0), true)),
            "now it is"
        );
    }

    #[test]
    fn rfc6525_5_2_7_h1_only_what_was_asked_is_answered() {
        let mut outgoing = sent();
        let stranger = outgoing.on_response(at(1), RequestSeq(8), ReconfigResult::PERFORMED, RTO);
        assert!(stranger.is_none() && outgoing.is_busy());
        let done = outgoing.on_response(at(1), RequestSeq(7), ReconfigResult::DENIED, RTO);
        assert!(matches!(done, Some(Settled::Done { .. })));
        assert!(!outgoing.is_busy() && outgoing.poll_timeout().is_none());
        let again = outgoing.on_response(at(1), RequestSeq(7), ReconfigResult::DENIED, RTO);
        assert!(again.is_none());
    }

    #[test]
    fn rfc6525_5_2_2_e1_a_reset_of_what_was_asked_for_and_more_is_the_answer() {
        let set = |ids: &[u16]| StreamSet::from_list(ids.iter().map(|&id| StreamId(id)));
        let asked = || {
            let mut outgoing = Outgoing::new(Tsn(7));
            outgoing.begin([Ask::ResetIncoming(set(&[1, 3]))]);
            outgoing.send(at(0), PathId(0), RTO, Tsn(3));
            outgoing
        };
        for more in [&[1, 3][..], &[1, 2, 3], &[]] {
            let mut outgoing = asked();
            assert!(outgoing.is_answered_by_reset(RequestSeq(6), &set(more)).is_none());
            assert_eq!(
                outgoing.is_answered_by_reset(RequestSeq(7), &set(more)),
                Some(PathId(0))
            );
            assert!(!outgoing.is_busy());
        }
        assert!(
            asked().is_answered_by_reset(RequestSeq(7), &set(&[1])).is_none(),
            "its own wish"
        );
    }

    #[test]
    fn rfc6525_5_2_6_the_peers_request_is_an_answer_once() {
        let mut outgoing = sent();
        assert!(outgoing.is_answered_by_streams(2).is_none());
        assert_eq!(outgoing.is_answered_by_streams(1), Some(Some(PathId(0))));
        assert!(outgoing.is_answered_by_streams(1).is_none());
        let mut outgoing = sent();
        outgoing.on_response(at(1), RequestSeq(7), ReconfigResult::PERFORMED, RTO);
        assert_eq!(outgoing.is_answered_by_streams(1), Some(None));
        assert!(outgoing.is_answered_by_streams(1).is_none());
    }

    #[test]
    fn rfc6525_5_2_6_a_request_that_only_seemed_to_be_an_answer_costs_no_number() {
        let mut outgoing = sent();
        assert_eq!(outgoing.is_answered_by_streams(1), Some(Some(PathId(0))));
        outgoing.begin([Ask::AddOutgoing {
            streams: 1,
            answers: None,
        }]);
        assert_eq!(outgoing.send(at(2), PathId(0), RTO, Tsn(3))[0].seq, Some(RequestSeq(8)));
        let wrong = outgoing.on_response(at(3), RequestSeq(8), ReconfigResult::BAD_SEQUENCE_NUMBER, RTO);
        assert!(matches!(wrong, Some(Settled::InProgress)) && outgoing.repeat_on().is_some());
        assert_eq!(outgoing.send(at(3), PathId(0), RTO, Tsn(3))[0].seq, Some(RequestSeq(7)));
        let wrong = outgoing.on_response(at(3), RequestSeq(7), ReconfigResult::BAD_SEQUENCE_NUMBER, RTO);
        assert!(matches!(wrong, Some(Settled::Done { .. })), "once");
    }
}
