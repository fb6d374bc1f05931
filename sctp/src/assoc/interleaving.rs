//! Interleaving of messages (RFC 8260): I-DATA and I-FORWARD-TSN in place of DATA and FORWARD-TSN, and the schedulers.

use super::input::PacketIn;
use super::{Association, Extensions};
use crate::config::StreamScheduler;
use crate::error::Violation;
use crate::recv::IDataFragment;
use crate::send::ChunkToSend;
use crate::serial::StreamId;
use crate::stats::{AbandonedMessages, PartialReliabilityPolicy};
use crate::wire::{self, Fragment, IDataChunk, IDataHeader, IForwardTsn, RawChunk, i_data_payload_range};

/// Partial reliability with I-DATA.
const INTERLEAVED_PR: Extensions = Extensions::INTERLEAVING.with(Extensions::I_FORWARD_TSN);

impl Association {
    /// Sends as was negotiated, before anything is sent.
    pub(super) fn set_interleaving(&mut self) {
        let concluded = self.extensions.contains(Extensions::FRAGMENTS_FROM_ZERO);
        let from_zero = concluded || self.config.interleaving().fragments_from_zero();
        self.outbound
            .set_interleaving(self.extensions.contains(Extensions::INTERLEAVING), from_zero);
    }

    /// An I-DATA chunk. What arrives in a state that takes no data is discarded (RFC 9260 §6).
    pub(super) fn on_i_data(&mut self, packet: &mut PacketIn<'_>, chunk: &RawChunk<'_>) {
        if !self.phase().may_receive_data() {
            return;
        }
        if !self.extensions.contains(Extensions::INTERLEAVING) {
            return self.abort_of(Violation::UnexpectedInterleaving);
        }
        let Ok(data) = IDataChunk::parse(chunk.flags, chunk.value) else {
            return self.abort_malformed(b"malformed I-DATA");
        };
        let header = data.header;
        if !self.begin_chunk(packet, header.tsn, data.payload) {
            return;
        }
        let fragment = IDataFragment {
            tsn: header.tsn,
            stream: header.stream,
            mid: header.mid,
            fragment: header.fragment,
            unordered: header.unordered,
            ending: header.ending,
            immediate: header.immediate,
            payload: packet.payloads.take(i_data_payload_range(chunk)),
        };
        let outcome = self.inbound.on_i_data(fragment);
        self.after_chunk(header.stream, outcome);
        if self.inbound.peer_counts_from_zero() {
            self.outbound.count_from_zero();
        }
    }

    /// An I-FORWARD-TSN.
    pub(super) fn on_i_forward_tsn(&mut self, packet: &PacketIn<'_>, chunk: &RawChunk<'_>) {
        if !self.phase().may_receive_data() {
            return;
        }
        if !self.extensions.contains(INTERLEAVED_PR) {
            return self.abort_of(Violation::UnexpectedInterleaving);
        }
        let Ok(forward) = IForwardTsn::parse(chunk.value) else {
            return;
        };
        self.stats.forward_tsns_received += 1;
        self.sack_path = packet.path;
        let outcome = self
            .inbound
            .on_i_forward_tsn(forward.new_cumulative_tsn, forward.messages);
        self.after_forward(outcome);
    }

    /// Whether a FORWARD-TSN means something, if only a violation; otherwise it is an unknown chunk.
    pub(super) const fn takes_forward_tsn(&self) -> bool {
        self.extensions.contains(Extensions::FORWARD_TSN) || self.extensions.contains(Extensions::INTERLEAVING)
    }

    pub(crate) fn set_stream_scheduler(&mut self, scheduler: StreamScheduler) {
        self.outbound.set_scheduler(scheduler);
    }

    pub(crate) fn stream_scheduler(&self) -> StreamScheduler {
        self.outbound.scheduler()
    }

    /// Sets a stream's priority or weight; false if there is no such stream.
    pub(crate) fn set_stream_value(&mut self, stream: StreamId, value: u16) -> bool {
        self.outbound.set_stream_value(stream, value)
    }

    pub(crate) fn stream_value(&self, stream: StreamId) -> Option<u16> {
        self.outbound.stream_value(stream)
    }

    /// How many messages were given up.
    pub(crate) fn abandoned(
        &self,
        stream: Option<StreamId>,
        policy: Option<PartialReliabilityPolicy>,
    ) -> AbandonedMessages {
        self.outbound.abandoned(stream, policy)
    }
}

/// Writes a chunk as I-DATA.
#[inline(never)]
pub(super) fn write_i_data(buf: &mut Vec<u8>, chunk: &ChunkToSend<'_>, immediate: bool) {
    let header = IDataHeader {
        tsn: chunk.tsn,
        stream: chunk.message.stream,
        mid: chunk.mid,
        fragment: if chunk.beginning {
            Fragment::First(chunk.message.ppid)
        } else {
            Fragment::Later(chunk.fsn)
        },
        unordered: chunk.message.unordered,
        ending: chunk.ending,
        immediate,
    };
    wire::write_i_data(buf, &header, chunk.payload);
}
