//! The own re-configuration requests of an association, and their answers (RFC 6525 §5.1, §5.2.7). The peer's requests
//! are in `reconfig_in`.

use std::sync::Arc;

use super::{Association, AssociationPhase, Extensions};
use crate::config::ReconfigRequests;
use crate::ecn::Echo;
use crate::error::{ReconfigError, Violation};
use crate::event::{Event, ReconfigOutcome, StreamDirection};
use crate::path::{Path, PathId};
use crate::reconfig::{Answer, Ask, Deferred, Part, Reconfig, Settled};
use crate::send::SackResult;
use crate::serial::RequestSeq;
use crate::streams::StreamSet;
use crate::time::Instant;
use crate::tlv::padded;
use crate::wire::{self, CHUNK_HEADER_LEN, CommonHeader, NextTsns, ReconfigParam, ReconfigResult};

impl Association {
    pub(super) fn reconfig_mut(&mut self) -> &mut Reconfig {
        let (local, peer) = (self.local_initial_tsn, self.peer_initial_tsn);
        self.reconfig
            .get_or_insert_with(|| Box::new(Reconfig::new(local, peer)))
    }

    // What the user asks for (RFC 6525 §6.3).

    /// Asks for the numbers of streams to begin anew (RFC 6525 §6.3.2), in one direction or both.
    pub(crate) fn reset_streams(
        &mut self,
        outgoing: Option<StreamSet>,
        incoming: Option<StreamSet>,
    ) -> Result<(), ReconfigError> {
        self.may_ask()?;
        let fits = |set: &Option<StreamSet>, count: u16| set.as_ref().is_none_or(|set| set.is_below(count));
        if !fits(&outgoing, self.outbound.streams()) || !fits(&incoming, self.inbound.streams()) {
            return Err(ReconfigError::InvalidStream);
        }
        let len = |set: &Option<StreamSet>| set.as_ref().map_or(0, |set| request_len(set.list().len()));
        if !self.fits_a_packet(len(&outgoing) + len(&incoming)) {
            return Err(ReconfigError::ListTooLong);
        }
        let unfinished = |streams: &StreamSet| self.outbound.has_open_in(streams);
        if outgoing.as_ref().is_some_and(unfinished) {
            return Err(ReconfigError::Unfinished);
        }
        if let Some(streams) = &outgoing {
            self.outbound.hold_streams(streams.clone());
        }
        let outgoing = outgoing.map(|streams| Ask::ResetOutgoing { streams, answers: None });
        let incoming = incoming.map(Ask::ResetIncoming);
        self.reconfig_mut().outgoing.begin(outgoing.into_iter().chain(incoming));
        Ok(())
    }

    /// Asks for all numbers to begin anew, TSNs too (RFC 6525 §6.3.3).
    pub(crate) fn reset_association(&mut self, now: Instant) -> Result<(), ReconfigError> {
        self.may_ask()?;
        if self.reconfig_mut().outgoing.is_too_soon(now) {
            return Err(ReconfigError::TooSoon);
        }
        if self.outbound.has_pieces() {
            return Err(ReconfigError::Unfinished);
        }
        self.outbound.suspend();
        self.reconfig_mut().outgoing.begin([Ask::ResetAssociation]);
        Ok(())
    }

    /// Asks for more streams (RFC 6525 §6.3.4).
    pub(crate) fn add_streams(&mut self, outbound: u16, inbound: u16) -> Result<(), ReconfigError> {
        self.may_ask()?;
        if (outbound, inbound) == (0, 0) {
            return Err(ReconfigError::Nothing);
        }
        let within =
            |count: u16, more: u16, max: u16| count.checked_add(more).is_some_and(|sum| more == 0 || sum <= max);
        if !within(self.outbound.streams(), outbound, u16::MAX)
            || !within(self.inbound.streams(), inbound, self.config.max_inbound_streams())
        {
            return Err(ReconfigError::TooManyStreams);
        }
        let outgoing = (outbound > 0).then_some(Ask::AddOutgoing {
            streams: outbound,
            answers: None,
        });
        let incoming = (inbound > 0).then_some(Ask::AddIncoming(inbound));
        if incoming.is_some()
            && let Some(ask) = self.reconfig_mut().outgoing.take_granted()
        {
            // The peer agreed to that and never did it.
            self.tell_outcome(&ask, ReconfigOutcome::Failed);
        }
        self.reconfig_mut().outgoing.begin(outgoing.into_iter().chain(incoming));
        Ok(())
    }

    /// Which requests of the peer are carried out from now on (RFC 6525 §6.3.1).
    pub(crate) fn accept_reconfig(&mut self, accepted: ReconfigRequests) {
        Arc::make_mut(&mut self.config).reconfig_mut().set_accepted(accepted);
    }

    fn may_ask(&self) -> Result<(), ReconfigError> {
        match self.phase() {
            AssociationPhase::Closed => return Err(ReconfigError::NoSuchAssociation),
            AssociationPhase::Established => {}
            _ => return Err(ReconfigError::NotEstablished),
        }
        if !self.extensions.contains(Extensions::RECONFIG) {
            return Err(ReconfigError::NotSupported);
        }
        let in_the_way = |reconfig: &Reconfig| reconfig.outgoing.is_busy() || reconfig.incoming.resets_association();
        if self.reconfig.as_deref().is_some_and(in_the_way) {
            return Err(ReconfigError::InProgress);
        }
        Ok(())
    }

    /// Whether parameters of this length fit into a packet, with a SACK beside them.
    pub(super) fn fits_a_packet(&self, len: usize) -> bool {
        let others = CommonHeader::LEN + wire::SACK_HEADER_LEN + CHUNK_HEADER_LEN + self.control_auth_len();
        len + others <= self.paths.smallest_max_packet()
    }

    // What is sent.

    /// Where the next RE-CONFIG goes, if one is to be sent now.
    #[inline]
    pub(super) fn reconfig_path(&mut self) -> Option<PathId> {
        if self.reconfig.is_some() {
            self.next_reconfig_path()
        } else {
            None
        }
    }

    #[cold]
    fn next_reconfig_path(&mut self) -> Option<PathId> {
        if self.phase().is_setup() {
            return None;
        }
        if let Some((path, _)) = self.control.next_reconfig() {
            // Where it was to go may be of no use by now.
            return Some(self.reply_path(path));
        }
        let outgoing = &self.reconfig.as_deref()?.outgoing;
        match outgoing.repeat_on() {
            Some(path) if self.may_be_used(path) => Some(path),
            Some(_) => Some(self.paths.for_new_data(None)),
            None => self.request_is_ready().then(|| self.paths.for_new_data(None)),
        }
    }

    /// Whether there is a request that was not sent yet, and nothing to wait for.
    pub(super) fn request_is_ready(&mut self) -> bool {
        let Some(outgoing) = self.reconfig.as_deref().map(|reconfig| &reconfig.outgoing) else {
            return false;
        };
        outgoing.is_waiting()
            && self.phase().may_send_data()
            && outgoing.open().iter().all(|part| match part.ask {
                // RFC 6525 §5.1.2 A1, A3: what was queued before has its TSNs.
                Ask::ResetOutgoing { .. } => self.outbound.held_streams_are_sent(),
                // §5.1.4 C2.
                Ask::ResetAssociation => self.outbound.is_quiet() && !self.inbound.is_holding(),
                _ => true,
            })
    }

    /// Writes what goes to this path: answers first, then the own request.
    #[cold]
    pub(super) fn write_reconfigs(&mut self, now: Instant, id: PathId, buf: &mut Vec<u8>, limit: usize) {
        let fits = |buf: &Vec<u8>, len: usize| {
            buf.len() + CHUNK_HEADER_LEN + padded(len) <= limit || buf.len() <= CommonHeader::LEN
        };
        while let Some((path, len)) = self.control.next_reconfig() {
            if self.reply_path(path) != id || !fits(buf, len) {
                return;
            }
            if let Some(params) = self.control.pop_reconfig() {
                wire::write_reconfig(buf, |w| w.bytes(&params));
                self.stats.reconfigs_sent += 1;
                self.note_sent(wire::ChunkType::RE_CONFIG);
            }
        }
        if self.next_reconfig_path() != Some(id) {
            return;
        }
        let (rto, last_tsn) = (self.rto_of(id), self.outbound.next_tsn().minus(1));
        let Some(reconfig) = self.reconfig.as_deref_mut() else {
            return;
        };
        let len = reconfig.outgoing.open().iter().map(|part| match &part.ask {
            Ask::ResetOutgoing { streams, .. } | Ask::ResetIncoming(streams) => request_len(streams.list().len()),
            _ => request_len(0),
        });
        if !fits(buf, len.sum()) {
            return;
        }
        let first = reconfig.outgoing.is_waiting();
        let last_seq = reconfig.incoming.last_seq();
        let parts = reconfig.outgoing.send(now, id, rto, last_tsn);
        let resets_all = parts.iter().any(|part| part.ask == Ask::ResetAssociation);
        let reset = parts.iter().find(|part| matches!(part.ask, Ask::ResetOutgoing { .. }));
        let reset_after = reset.map(|part| part.last_tsn);
        wire::write_reconfig(buf, |w| {
            for part in parts {
                write_part(w, part, last_seq);
            }
        });
        if let Some(last) = reset_after {
            self.outbound.asked_to_reset(last);
        }
        if first && resets_all {
            // From now on the peer may begin anew at any time.
            self.inbound.hold_all();
        }
        self.touch(id, now);
        self.stats.reconfigs_sent += 1;
        self.note_sent(wire::ChunkType::RE_CONFIG);
    }

    fn rto_of(&self, id: PathId) -> std::time::Duration {
        self.paths.get(id).map_or_else(|| self.config.rto_initial(), Path::rto)
    }

    /// The Re-configuration Timer may have expired (RFC 6525 §5.1.1).
    pub(super) fn on_reconfig_timer(&mut self, now: Instant) {
        let max = self.config.rto_max();
        let Some(reconfig) = self.reconfig.as_deref_mut() else {
            return;
        };
        let Some((path, is_error)) = reconfig.outgoing.on_timeout(now, max) else {
            return;
        };
        tracing::debug!("the re-configuration timer expired");
        reconfig.outgoing.move_to(self.paths.for_retransmission(path));
        if is_error {
            self.on_missing_answer(now, path, true, false);
        }
    }

    // What comes of it.

    /// A Re-configuration Response arrived (RFC 6525 §5.2.7).
    pub(super) fn on_reconfig_response(
        &mut self,
        now: Instant,
        seq: RequestSeq,
        result: ReconfigResult,
        next_tsns: Option<NextTsns>,
    ) {
        let rto = self.current_rto();
        let settled = self.reconfig_mut().outgoing.on_response(now, seq, result, rto);
        match settled {
            Some(Settled::Done { part, path }) => {
                self.on_answer(now, path);
                self.settle_request(now, &part, result, next_tsns);
                self.serve_wanted();
            }
            Some(Settled::InProgress) if self.awaits_association_reset() => {
                if let Err(violation) = self.inbound.release_before(next_tsns.map(|tsns| tsns.sender)) {
                    self.abort_of(violation);
                }
            }
            _ => {}
        }
    }

    /// A part of the own request has its result.
    fn settle_request(&mut self, now: Instant, part: &Part, result: ReconfigResult, next_tsns: Option<NextTsns>) {
        let outcome = match result {
            result if result.is_success() => ReconfigOutcome::Performed,
            ReconfigResult::DENIED => ReconfigOutcome::Denied,
            _ => ReconfigOutcome::Failed,
        };
        let performed = outcome == ReconfigOutcome::Performed;
        if let Some(request_seq) = part.ask.answers() {
            let result = if performed {
                ReconfigResult::PERFORMED
            } else {
                ReconfigResult::DENIED
            };
            self.reconfig_mut().incoming.settle(Answer {
                request_seq,
                result,
                next_tsns: None,
            });
        }
        let mut outcome = outcome;
        match &part.ask {
            Ask::ResetOutgoing { .. } => {
                // §5.2.7 H4.
                self.resume_sending(performed);
                if result == ReconfigResult::PERFORMED {
                    // §5.2.2 E2: it was carried out because everything up to there has arrived.
                    let acked = self.outbound.on_cumulative_ack(now, part.last_tsn, &mut self.paths);
                    if let SackResult::Taken { progress } = acked {
                        self.after_acknowledgement(now, progress);
                    }
                }
            }
            Ask::ResetAssociation => {
                self.resume_sending(false);
                let begun = match next_tsns {
                    Some(tsns) if result == ReconfigResult::PERFORMED => self.go_on_with(tsns),
                    _ => {
                        // Without the numbers there is nothing to go on with.
                        if result == ReconfigResult::PERFORMED {
                            outcome = ReconfigOutcome::Failed;
                        }
                        self.inbound.end_hold(false)
                    }
                };
                if let Err(violation) = begun {
                    self.tell_outcome(&part.ask, ReconfigOutcome::Failed);
                    return self.abort_of(violation);
                }
            }
            // §5.2.7 H6.
            Ask::AddOutgoing { streams, .. } if result == ReconfigResult::PERFORMED => {
                let sum = self.outbound.streams().saturating_add(*streams);
                self.outbound.set_streams(sum);
            }
            // The peer's own request follows, and tells.
            Ask::AddIncoming(_) if result == ReconfigResult::PERFORMED => return,
            _ => {}
        }
        self.tell_outcome(&part.ask, outcome);
    }

    /// What was kept back for a reset goes now, with new numbers if `reset`.
    pub(super) fn resume_sending(&mut self, reset: bool) {
        self.outbound.end_hold(reset);
        for (_, path) in self.paths.iter_mut() {
            path.cc.on_occasion();
        }
    }

    /// §5.2.7 H5: new numbers in both directions.
    fn go_on_with(&mut self, tsns: NextTsns) -> Result<(), Violation> {
        self.outbound.renumber(tsns.receiver);
        self.ecn = Echo::default();
        self.outbound.reset_streams(&StreamSet::All);
        self.inbound.go_on_with(tsns.sender)?;
        self.tell_cut();
        Ok(())
    }

    /// Whether the peer may know new TSNs that are not known here, so that its acknowledgements make no sense.
    pub(super) fn awaits_association_reset(&self) -> bool {
        self.reconfig.as_deref().is_some_and(|reconfig| {
            let resets = |part: &Part| part.ask == Ask::ResetAssociation && part.seq.is_some();
            reconfig.outgoing.open().iter().any(resets)
        })
    }

    /// Whether only the peer's answer tells which numbers its data has: what it may still send, or what is held.
    pub(super) fn is_unsure_of_numbers(&self) -> bool {
        let comes = self.phase() != AssociationPhase::ShutdownReceived;
        self.awaits_association_reset() && (comes || self.inbound.has_held())
    }

    /// Requests that cannot be answered any more have failed: the association ends or begins anew.
    pub(super) fn fail_requests(&mut self) {
        let Some(reconfig) = self.reconfig.as_deref_mut() else {
            return;
        };
        let parts = reconfig.outgoing.take_all();
        reconfig.incoming.take_wanted();
        self.resume_sending(false);
        // What is held for a request of the peer's goes on, also where an own one was waiting for that.
        let began_hold = |part: &Part| part.ask == Ask::ResetAssociation && part.seq.is_some();
        if parts.iter().any(began_hold) {
            self.inbound.abandon_hold();
        }
        for part in parts {
            self.tell_outcome(&part.ask, ReconfigOutcome::Failed);
        }
    }

    /// No more data comes that the peer's answer to an own request may wait for.
    pub(super) fn fail_deferred(&mut self) {
        let reconfig = self.reconfig.as_deref_mut();
        if let Some((_, _, Deferred::Streams { streams, asked_for })) =
            reconfig.and_then(|reconfig| reconfig.incoming.take_deferred())
            && asked_for
        {
            self.tell_reset(StreamDirection::Incoming, &streams, ReconfigOutcome::Failed);
        }
    }

    /// Tells the user what came of an own request. That an answer to the peer's request failed is the peer's business.
    pub(super) fn tell_outcome(&mut self, ask: &Ask, outcome: ReconfigOutcome) {
        if ask.answers().is_some() && outcome != ReconfigOutcome::Performed {
            return;
        }
        match ask {
            Ask::ResetOutgoing { streams, .. } => self.tell_reset(StreamDirection::Outgoing, streams, outcome),
            Ask::ResetIncoming(streams) => self.tell_reset(StreamDirection::Incoming, streams, outcome),
            Ask::ResetAssociation => self.tell_association_reset(outcome),
            Ask::AddOutgoing { .. } | Ask::AddIncoming(_) => self.tell_streams(outcome),
        }
    }

    pub(super) fn tell_reset(&mut self, direction: StreamDirection, streams: &StreamSet, outcome: ReconfigOutcome) {
        self.tell(Event::StreamReset {
            direction,
            streams: streams.list().to_vec(),
            outcome,
        });
    }

    pub(super) fn tell_association_reset(&mut self, outcome: ReconfigOutcome) {
        self.tell(Event::AssociationReset {
            local_tsn: self.outbound.next_tsn(),
            remote_tsn: self.inbound.cumulative_tsn_ack().next(),
            outcome,
        });
    }

    pub(super) fn tell_streams(&mut self, outcome: ReconfigOutcome) {
        self.tell(Event::StreamChange {
            inbound_streams: self.inbound.streams(),
            outbound_streams: self.outbound.streams(),
            outcome,
        });
    }
}

/// Bytes of a request parameter that lists so many streams, at most.
pub(super) const fn request_len(streams: usize) -> usize {
    padded(16 + 2 * streams)
}

fn write_part(w: &mut crate::tlv::Writer<'_>, part: &Part, last_seq: RequestSeq) {
    let Some(request_seq) = part.seq else { return };
    match &part.ask {
        Ask::ResetOutgoing { streams, answers } => {
            // §5.1.2 A4.
            let response_seq = answers.unwrap_or(last_seq);
            wire::write_outgoing_ssn_reset(w, request_seq, response_seq, part.last_tsn, streams.list());
        }
        Ask::ResetIncoming(streams) => wire::write_incoming_ssn_reset(w, request_seq, streams.list()),
        Ask::ResetAssociation => ReconfigParam::SsnTsnReset { request_seq }.write(w),
        Ask::AddOutgoing { streams, .. } => ReconfigParam::AddOutgoingStreams {
            request_seq,
            new_streams: *streams,
        }
        .write(w),
        Ask::AddIncoming(streams) => ReconfigParam::AddIncomingStreams {
            request_seq,
            new_streams: *streams,
        }
        .write(w),
    }
}
