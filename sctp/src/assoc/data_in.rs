//! DATA and SACK (RFC 9260 §6.2), and FORWARD-TSN (RFC 3758 §3.6).

use bytes::Bytes;

use super::causes::causes;
use super::input::PacketIn;
use super::{Association, AssociationPhase, Extensions};
use crate::error::Violation;
use crate::event::Event;
use crate::message::Received;
use crate::recv::{DataFragment, DataOutcome, ForwardOutcome};
use crate::send::{SackIn, SackResult};
use crate::serial::{StreamId, Tsn};
use crate::time::Instant;
use crate::wire::{Cause, DataChunk, ForwardTsn, RawChunk, Sack, payload_range};

impl Association {
    /// A DATA chunk. What arrives in a state that takes no data is discarded (§6).
    pub(super) fn on_data(&mut self, packet: &mut PacketIn<'_>, chunk: &RawChunk<'_>) {
        if !self.phase().may_receive_data() {
            return;
        }
        if self.extensions.contains(Extensions::INTERLEAVING) {
            return self.abort_of(Violation::MissingInterleaving);
        }
        let Ok(data) = DataChunk::parse(chunk.flags, chunk.value) else {
            return self.abort_malformed(b"malformed DATA");
        };
        if !self.begin_chunk(packet, data.tsn, data.payload) {
            return;
        }
        let fragment = DataFragment {
            tsn: data.tsn,
            stream: data.stream,
            ssn: data.ssn,
            ppid: data.ppid,
            unordered: data.unordered,
            beginning: data.beginning,
            ending: data.ending,
            immediate: data.immediate,
            payload: packet.payloads.take(payload_range(chunk)),
        };
        let outcome = self.inbound.on_data(fragment);
        self.after_chunk(data.stream, outcome);
    }

    #[cold]
    pub(super) fn abort_malformed(&mut self, text: &[u8]) {
        let causes = causes(|w| Cause::ProtocolViolation(text).write(w));
        self.abort_violation(Violation::MalformedChunk, causes);
    }

    /// DATA or I-DATA with this payload arrived. False if it is empty, which ends the association (§6.2).
    #[inline]
    pub(super) fn begin_chunk(&mut self, packet: &PacketIn<'_>, tsn: Tsn, payload: &[u8]) -> bool {
        self.stats.data_chunks_received += 1;
        if payload.is_empty() {
            self.abort_violation(Violation::NoUserData, causes(|w| Cause::NoUserData(tsn).write(w)));
            return false;
        }
        self.sack_path = packet.path;
        true
    }

    /// What became of DATA or I-DATA.
    #[inline(always)]
    pub(super) fn after_chunk(&mut self, stream: StreamId, outcome: Result<DataOutcome, Violation>) {
        match outcome {
            Ok(DataOutcome::Accepted) => {}
            Ok(DataOutcome::Duplicate) => self.stats.duplicate_tsns += 1,
            Ok(DataOutcome::NoRoom) => self.stats.data_chunks_dropped += 1,
            // §6.5: acknowledged, and reported.
            Ok(DataOutcome::InvalidStream) => {
                self.control
                    .push_error(causes(|w| Cause::InvalidStreamIdentifier(stream).write(w)));
            }
            Err(violation) => self.abort_of(violation),
        }
    }

    /// A FORWARD-TSN, which both sides know.
    pub(super) fn on_forward_tsn(&mut self, packet: &PacketIn<'_>, chunk: &RawChunk<'_>) {
        let Ok(forward) = ForwardTsn::parse(chunk.value) else {
            return;
        };
        if !self.phase().may_receive_data() {
            return;
        }
        if self.extensions.contains(Extensions::INTERLEAVING) {
            return self.abort_of(Violation::MissingInterleaving);
        }
        self.stats.forward_tsns_received += 1;
        self.sack_path = packet.path;
        let outcome = self.inbound.on_forward_tsn(forward.new_cumulative_tsn, forward.streams);
        self.after_forward(outcome);
    }

    /// What became of a FORWARD-TSN or I-FORWARD-TSN.
    pub(super) fn after_forward(&mut self, outcome: ForwardOutcome) {
        if outcome == (ForwardOutcome::Moved { cut: true }) {
            self.tell_cut();
        }
    }

    /// Tells which messages will not be completed of which the user has a part.
    pub(super) fn tell_cut(&mut self) {
        for head in self.inbound.take_cut() {
            self.tell(cut_event(&head));
        }
    }

    /// A SACK, where there may be something to acknowledge (§6).
    pub(super) fn on_sack(&mut self, now: Instant, value: &[u8]) {
        let takes = matches!(
            self.phase(),
            AssociationPhase::Established | AssociationPhase::ShutdownPending | AssociationPhase::ShutdownReceived
        );
        let Ok(sack) = Sack::parse(value) else { return };
        if !takes {
            return;
        }
        self.stats.sacks_received += 1;
        self.stats.gap_ack_blocks_received += sack.gaps.clone().count() as u64;
        let input = SackIn {
            cumulative_tsn_ack: sack.cumulative_tsn_ack,
            a_rwnd: sack.a_rwnd,
            gaps: sack.gaps.clone(),
        };
        match self.outbound.on_sack(now, input, &mut self.paths) {
            SackResult::Taken { progress } => {
                self.stats.fast_retransmits += self.outbound.fast_retransmits();
                self.after_acknowledgement(now, progress);
            }
            SackResult::Old => self.stats.sacks_ignored += 1,
            SackResult::Fickle => {
                let text = causes(|w| Cause::ProtocolViolation(b"SACKs take back over and over").write(w));
                self.abort_violation(Violation::RenegedTooOften, text);
            }
            SackResult::Impossible if self.awaits_association_reset() => self.stats.sacks_ignored += 1,
            SackResult::Impossible => {
                let text: Bytes = causes(|w| Cause::ProtocolViolation(b"SACK acknowledges unsent data").write(w));
                self.abort_violation(Violation::AcknowledgedUnsent, text);
            }
        }
    }
}

/// The event that tells that a message has no end, of which `head` is the first piece.
pub(super) const fn cut_event(head: &Received) -> Event {
    Event::PartialDeliveryAborted {
        stream: head.stream,
        ssn: head.ssn,
        unordered: head.unordered,
        tsn: head.tsn,
    }
}
