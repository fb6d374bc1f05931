//! The peer's re-configuration requests (RFC 6525 §5.2).

use bytes::Bytes;

use super::causes::causes;
use super::input::PacketIn;
use super::reconfig::request_len;
use super::{Association, AssociationPhase};
use crate::ecn::Echo;
use crate::event::{ReconfigOutcome, StreamDirection};
use crate::path::PathId;
use crate::reconfig::{Answer, Ask, Deferred, Part, Reconfig, Turn, Wanted};
use crate::serial::{RequestSeq, Tsn};
use crate::streams::StreamSet;
use crate::time::Instant;
use crate::tlv::Writer;
use crate::wire::{self, Cause, NextTsns, RawChunk, ReconfigParam, ReconfigResult};

/// What the peer asks for, decoded.
enum Request {
    ResetOutgoing {
        response_seq: RequestSeq,
        last_tsn: Tsn,
        streams: StreamSet,
    },
    ResetIncoming(StreamSet),
    ResetAssociation,
    AddOutgoing(u16),
    AddIncoming(u16),
}

/// What becomes of a request.
enum Verdict {
    /// It is answered by this result.
    Result(ReconfigResult),
    /// All numbers began anew: these are the next ones.
    Renumbered(NextTsns),
    /// It is answered by an own request, which goes out at once.
    OwnRequest,
}

impl Association {
    /// A RE-CONFIG, which both sides know.
    pub(super) fn on_reconfig(&mut self, now: Instant, packet: &PacketIn<'_>, chunk: &RawChunk<'_>) {
        if self.phase().is_setup() || self.phase() == AssociationPhase::ShutdownAckSent {
            return;
        }
        self.stats.reconfigs_received += 1;
        let allowed = wire::Reconfig::parse(chunk.value)
            .ok()
            .filter(wire::Reconfig::is_allowed);
        let Some(reconfig) = allowed else {
            return self.refuse_reconfig();
        };
        let mut answers = Vec::new();
        let mut asked = false;
        for param in reconfig.params {
            let Ok(param) = param else {
                self.refuse_reconfig();
                break;
            };
            if let ReconfigParam::Response {
                response_seq,
                result,
                next_tsns,
            } = param
            {
                self.on_reconfig_response(now, response_seq, result, next_tsns);
            } else if let Some((seq, request)) = decoded(param) {
                asked = true;
                answers.extend(self.on_request(now, seq, request, packet.path));
            }
            if self.phase() == AssociationPhase::Closed {
                return;
            }
        }
        if asked {
            // §5.2.1: a SACK goes along.
            self.inbound.want_sack();
        }
        self.push_answers(packet.path, &answers);
    }

    /// §3.1: what may not stand together is reported.
    fn refuse_reconfig(&mut self) {
        self.control
            .push_error(causes(|w| Cause::ProtocolViolation(b"malformed RE-CONFIG").write(w)));
    }

    fn push_answers(&mut self, to: PathId, answers: &[Answer]) {
        if answers.is_empty() {
            return;
        }
        let mut params = Vec::new();
        let mut w = Writer::new(&mut params);
        for answer in answers {
            ReconfigParam::Response {
                response_seq: answer.request_seq,
                result: answer.result,
                next_tsns: answer.next_tsns,
            }
            .write(&mut w);
        }
        let to = self.reply_path(to);
        self.control.push_reconfig(to, Bytes::from(params));
    }

    /// The answer to a request, unless an own request is the answer.
    fn on_request(&mut self, now: Instant, request_seq: RequestSeq, request: Request, path: PathId) -> Option<Answer> {
        let reconfig = self.reconfig_mut();
        match reconfig.incoming.turn(request_seq) {
            Turn::Wrong => {
                return Some(Answer {
                    request_seq,
                    result: ReconfigResult::BAD_SEQUENCE_NUMBER,
                    next_tsns: None,
                });
            }
            Turn::Again(answer) => {
                let is_answer = |part: &Part| part.ask.answers() == Some(request_seq) && part.seq.is_some();
                if reconfig.outgoing.open().iter().any(is_answer) {
                    reconfig.outgoing.repeat();
                    return None;
                }
                return Some(self.still_in_progress(now, answer));
            }
            Turn::New => {}
        }
        let resets_all = matches!(request, Request::ResetAssociation);
        let verdict = self.decide(now, request_seq, request, path);
        let (result, next_tsns) = match verdict {
            Verdict::Result(result) => (result, None),
            Verdict::Renumbered(tsns) => (ReconfigResult::PERFORMED, Some(tsns)),
            Verdict::OwnRequest => (ReconfigResult::IN_PROGRESS, None),
        };
        let answer = Answer {
            request_seq,
            result,
            // §5.1.7 D3, D4: always there.
            next_tsns: next_tsns.or_else(|| resets_all.then(|| self.current_tsns())),
        };
        self.reconfig_mut().incoming.record(answer);
        (!matches!(verdict, Verdict::OwnRequest)).then_some(answer)
    }

    fn decide(&mut self, now: Instant, seq: RequestSeq, request: Request, path: PathId) -> Verdict {
        match request {
            Request::ResetOutgoing {
                response_seq,
                last_tsn,
                streams,
            } => Verdict::Result(self.on_outgoing_reset(now, seq, response_seq, last_tsn, streams, path)),
            Request::ResetIncoming(streams) => self.on_incoming_reset(seq, streams),
            Request::ResetAssociation => self.on_association_reset(now, seq, path),
            Request::AddOutgoing(streams) => Verdict::Result(self.on_add_outgoing(now, streams)),
            Request::AddIncoming(streams) => self.on_add_incoming(seq, streams),
        }
    }

    /// The next TSNs of both sides as they are.
    fn current_tsns(&self) -> NextTsns {
        NextTsns {
            sender: self.outbound.next_tsn(),
            receiver: self.inbound.cumulative_tsn_ack().next(),
        }
    }

    // Outgoing SSN Reset Request (§5.2.2).

    fn on_outgoing_reset(
        &mut self,
        now: Instant,
        seq: RequestSeq,
        response_seq: RequestSeq,
        last_tsn: Tsn,
        streams: StreamSet,
        path: PathId,
    ) -> ReconfigResult {
        let answered = self
            .reconfig_mut()
            .outgoing
            .is_answered_by_reset(response_seq, &streams);
        if let Some(path) = answered {
            self.on_answer(now, path);
        }
        let result = self.reset_incoming(seq, last_tsn, &streams, path, answered.is_some());
        if answered.is_some() {
            if !result.is_success() && result != ReconfigResult::IN_PROGRESS {
                self.tell_reset(StreamDirection::Incoming, &streams, ReconfigOutcome::Failed);
            }
            self.serve_wanted();
        }
        result
    }

    fn reset_incoming(
        &mut self,
        seq: RequestSeq,
        last_tsn: Tsn,
        streams: &StreamSet,
        path: PathId,
        asked_for: bool,
    ) -> ReconfigResult {
        if !self.phase().may_receive_data() || !(self.config.reconfig().accepted().reset_streams || asked_for) {
            return ReconfigResult::DENIED;
        }
        if !streams.is_below(self.inbound.streams()) {
            return ReconfigResult::WRONG_SSN;
        }
        let incoming = &mut self.reconfig_mut().incoming;
        match incoming.deferred() {
            // The peer gave the request another number.
            Some(Deferred::Streams {
                streams: same,
                asked_for: before,
            }) if same == streams => {
                let deferred = Deferred::Streams {
                    streams: streams.clone(),
                    asked_for: asked_for || *before,
                };
                incoming.defer(seq, path, deferred);
                return ReconfigResult::IN_PROGRESS;
            }
            Some(_) => return ReconfigResult::REQUEST_ALREADY_IN_PROGRESS,
            None => {}
        }
        // The own user asked for new numbers in both directions.
        if self.inbound.is_holding() {
            return ReconfigResult::REQUEST_ALREADY_IN_PROGRESS;
        }
        if self.inbound.reset_after(last_tsn, streams) {
            self.tell_reset(StreamDirection::Incoming, streams, ReconfigOutcome::Performed);
            return ReconfigResult::PERFORMED;
        }
        let deferred = Deferred::Streams {
            streams: streams.clone(),
            asked_for,
        };
        self.reconfig_mut().incoming.defer(seq, path, deferred);
        ReconfigResult::IN_PROGRESS
    }

    /// Data arrived: a reset may wait for it (§5.2.2 E2 to E5).
    #[inline]
    pub(super) fn after_data(&mut self) {
        if self.inbound.hold_is_over() {
            self.finish_incoming_reset();
        }
    }

    #[cold]
    fn finish_incoming_reset(&mut self) {
        let incoming = &mut self.reconfig_mut().incoming;
        if !matches!(incoming.deferred(), Some(Deferred::Streams { .. })) {
            return;
        }
        if let Err(violation) = self.inbound.end_hold(true) {
            return self.abort_of(violation);
        }
        let incoming = &mut self.reconfig_mut().incoming;
        let Some((seq, path, Deferred::Streams { streams, .. })) = incoming.take_deferred() else {
            return;
        };
        self.tell_reset(StreamDirection::Incoming, &streams, ReconfigOutcome::Performed);
        self.inbound.want_sack();
        self.settle_deferred(seq, path, None);
    }

    /// A request that was in progress is carried out: the peer is told without asking again.
    fn settle_deferred(&mut self, request_seq: RequestSeq, path: PathId, next_tsns: Option<NextTsns>) {
        let answer = Answer {
            request_seq,
            result: ReconfigResult::PERFORMED,
            next_tsns,
        };
        self.reconfig_mut().incoming.settle(answer);
        self.push_answers(path, &[answer]);
    }

    // Incoming SSN Reset Request (§5.2.3) and Add Incoming Streams Request (§5.2.6): an own request is the answer.

    fn on_incoming_reset(&mut self, seq: RequestSeq, streams: StreamSet) -> Verdict {
        let established = self.phase() == AssociationPhase::Established;
        if !established
            || !self.config.reconfig().accepted().reset_streams
            || !self.fits_a_packet(request_len(streams.list().len()))
            || self.outbound.has_open_in(&streams)
        {
            return Verdict::Result(ReconfigResult::DENIED);
        }
        if !streams.is_below(self.outbound.streams()) {
            return Verdict::Result(ReconfigResult::WRONG_SSN);
        }
        // It is under way, or has just been done.
        let same = |part: &Part| matches!(&part.ask, Ask::ResetOutgoing { streams: own, .. } if own.includes(&streams));
        let under_way = self.reconfig_mut().outgoing.open().iter().any(same);
        if under_way || self.outbound.are_fresh(&streams) {
            return Verdict::Result(ReconfigResult::NOTHING_TO_DO);
        }
        self.answer_by_request(seq, Wanted::Reset(streams))
    }

    fn on_add_incoming(&mut self, seq: RequestSeq, streams: u16) -> Verdict {
        let established = self.phase() == AssociationPhase::Established;
        if !established || !self.config.reconfig().accepted().add_streams || !self.may_have_outbound(streams) {
            return Verdict::Result(ReconfigResult::DENIED);
        }
        if streams == 0 {
            return Verdict::Result(ReconfigResult::NOTHING_TO_DO);
        }
        self.answer_by_request(seq, Wanted::Add(streams))
    }

    fn may_have_outbound(&self, more: u16) -> bool {
        let limit = self.config.reconfig().max_outbound_streams();
        let sum = self.outbound.streams().checked_add(more);
        sum.is_some_and(|sum| sum <= limit)
    }

    fn answer_by_request(&mut self, seq: RequestSeq, wanted: Wanted) -> Verdict {
        let Reconfig { outgoing, incoming } = self.reconfig_mut();
        let refused = incoming.has_wanted() || outgoing.needs_the_peer_free() || incoming.resets_association();
        if refused {
            return Verdict::Result(ReconfigResult::REQUEST_ALREADY_IN_PROGRESS);
        }
        if outgoing.is_busy() {
            incoming.want(seq, wanted);
            return Verdict::Result(ReconfigResult::IN_PROGRESS);
        }
        self.begin_answer(seq, wanted);
        if self.request_is_ready() {
            Verdict::OwnRequest
        } else {
            Verdict::Result(ReconfigResult::IN_PROGRESS)
        }
    }

    fn begin_answer(&mut self, seq: RequestSeq, wanted: Wanted) {
        let answers = Some(seq);
        let ask = match wanted {
            Wanted::Reset(streams) => {
                self.outbound.hold_streams(streams.clone());
                Ask::ResetOutgoing { streams, answers }
            }
            Wanted::Add(streams) => Ask::AddOutgoing { streams, answers },
        };
        self.reconfig_mut().outgoing.begin([ask]);
    }

    /// The own request has its answer: the peer's next one may be waiting for that.
    pub(super) fn serve_wanted(&mut self) {
        let Some(reconfig) = self
            .reconfig
            .as_deref_mut()
            .filter(|reconfig| !reconfig.outgoing.is_busy())
        else {
            return;
        };
        let Some((request_seq, wanted)) = reconfig.incoming.take_wanted() else {
            return;
        };
        let possible = match &wanted {
            Wanted::Reset(streams) => !self.outbound.has_open_in(streams),
            Wanted::Add(streams) => self.may_have_outbound(*streams),
        };
        if possible && self.phase() == AssociationPhase::Established {
            self.begin_answer(request_seq, wanted);
        } else {
            self.reconfig_mut().incoming.settle(Answer {
                request_seq,
                result: ReconfigResult::DENIED,
                next_tsns: None,
            });
        }
    }

    // SSN/TSN Reset Request (§5.2.4).

    fn on_association_reset(&mut self, now: Instant, seq: RequestSeq, path: PathId) -> Verdict {
        let possible = self.phase() == AssociationPhase::Established && !self.outbound.has_pieces();
        if !possible || !self.config.reconfig().accepted().reset_association {
            return Verdict::Result(ReconfigResult::DENIED);
        }
        let Reconfig { outgoing, incoming } = self.reconfig_mut();
        if outgoing.is_busy() || incoming.deferred().is_some() {
            return Verdict::Result(ReconfigResult::REQUEST_ALREADY_IN_PROGRESS);
        }
        if self.outbound.is_quiet() {
            return Verdict::Renumbered(self.begin_anew());
        }
        // To begin anew at once would be to forget what is not acknowledged (G3).
        self.outbound.suspend();
        let (acked, moved) = (self.outbound.cumulative_tsn_ack(), now);
        let deferred = Deferred::Association { acked, moved };
        self.reconfig_mut().incoming.defer(seq, path, deferred);
        Verdict::Result(ReconfigResult::IN_PROGRESS)
    }

    /// A request that waits comes again. A peer that holds everything back because it does not know what is old has to
    /// be told how far that goes now: it may have no room for what the reset waits for. One that takes nothing any more
    /// gets its reset denied, since its own data waits too.
    fn still_in_progress(&mut self, now: Instant, mut answer: Answer) -> Answer {
        let acked = self.outbound.cumulative_tsn_ack();
        let incoming = &mut self.reconfig_mut().incoming;
        let Some(in_vain) = incoming.waits_in_vain(now, answer.request_seq, acked) else {
            return answer;
        };
        if in_vain {
            incoming.take_deferred();
            self.resume_sending(false);
            answer.result = ReconfigResult::DENIED;
        }
        answer.next_tsns = Some(self.current_tsns());
        self.reconfig_mut().incoming.settle(answer);
        answer
    }

    fn begin_anew(&mut self) -> NextTsns {
        self.inbound.begin_anew();
        self.ecn = Echo::default();
        self.tell_cut();
        self.resume_sending(false);
        self.outbound.reset_streams(&StreamSet::All);
        self.tell_association_reset(ReconfigOutcome::Performed);
        self.current_tsns()
    }

    /// Something was acknowledged: a reset of everything may wait for that.
    #[inline]
    pub(super) fn after_drain(&mut self) {
        if self.reconfig.is_some() && self.outbound.is_quiet() {
            self.finish_association_reset();
        }
    }

    #[cold]
    fn finish_association_reset(&mut self) {
        let incoming = &mut self.reconfig_mut().incoming;
        if !incoming.resets_association() {
            return;
        }
        if let Some((seq, path, _)) = incoming.take_deferred() {
            let tsns = self.begin_anew();
            self.settle_deferred(seq, path, Some(tsns));
        }
    }

    // Add Outgoing Streams Request (§5.2.5).

    fn on_add_outgoing(&mut self, now: Instant, streams: u16) -> ReconfigResult {
        let answered = self.reconfig_mut().outgoing.is_answered_by_streams(streams);
        if let Some(Some(path)) = answered {
            self.on_answer(now, path);
        }
        let result = self.add_incoming(streams, answered.is_some());
        if answered.is_some() {
            if !result.is_success() {
                self.tell_streams(ReconfigOutcome::Failed);
            }
            self.serve_wanted();
        }
        result
    }

    fn add_incoming(&mut self, streams: u16, asked_for: bool) -> ReconfigResult {
        if !self.phase().may_receive_data() || !(self.config.reconfig().accepted().add_streams || asked_for) {
            return ReconfigResult::DENIED;
        }
        if streams == 0 {
            return ReconfigResult::NOTHING_TO_DO;
        }
        let limit = self.config.max_inbound_streams();
        let sum = self.inbound.streams().checked_add(streams);
        let Some(sum) = sum.filter(|sum| *sum <= limit) else {
            return ReconfigResult::DENIED;
        };
        self.inbound.set_streams(sum);
        self.tell_streams(ReconfigOutcome::Performed);
        ReconfigResult::PERFORMED
    }
}

/// A request, with its number.
fn decoded(param: ReconfigParam<'_>) -> Option<(RequestSeq, Request)> {
    Some(match param {
        ReconfigParam::OutgoingSsnReset {
            request_seq,
            response_seq,
            last_assigned_tsn: last_tsn,
            streams,
        } => {
            let streams = StreamSet::from_list(streams);
            let reset = Request::ResetOutgoing {
                response_seq,
                last_tsn,
                streams,
            };
            (request_seq, reset)
        }
        ReconfigParam::IncomingSsnReset { request_seq, streams } => {
            (request_seq, Request::ResetIncoming(StreamSet::from_list(streams)))
        }
        ReconfigParam::SsnTsnReset { request_seq } => (request_seq, Request::ResetAssociation),
        ReconfigParam::AddOutgoingStreams {
            request_seq,
            new_streams,
        } => (request_seq, Request::AddOutgoing(new_streams)),
        ReconfigParam::AddIncomingStreams {
            request_seq,
            new_streams,
        } => (request_seq, Request::AddIncoming(new_streams)),
        ReconfigParam::Response { .. } | ReconfigParam::Unknown(_) => return None,
    })
}
