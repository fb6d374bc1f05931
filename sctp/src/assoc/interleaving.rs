//! Interleaving of messages (RFC 8260): I-DATA and I-FORWARD-TSN in place of DATA and FORWARD-TSN, and the schedulers.

use super::{Association, Extensions};
use crate::config::StreamScheduler;
use crate::send::ChunkToSend;
use crate::serial::StreamId;
use crate::stats::{AbandonedMessages, PartialReliabilityPolicy};
use crate::wire::{self, Fragment, IDataHeader};

impl Association {
    /// Sends as was negotiated, before anything is sent.
    pub(super) fn set_interleaving(&mut self) {
        let from_zero = self.config.interleaving().fragments_from_zero();
        self.outbound
            .set_interleaving(self.extensions.contains(Extensions::INTERLEAVING), from_zero);
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
