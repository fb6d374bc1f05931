//! Explicit Congestion Notification (RFC 3168): packets with marks, ECNE and CWR.

use super::input::PacketIn;
use super::{Association, AssociationPhase, Extensions};
use crate::send::{DataPlan, EcneResult};
use crate::serial::Tsn;
use crate::transmit::EcnCodepoint;
use crate::wire::{self, ChunkType, Chunks, Cwr, DataChunk, ECN_CHUNK_LEN, EcnEcho, IDataChunk};

impl Association {
    /// Whether both sides take part.
    pub(super) const fn has_ecn(&self) -> bool {
        self.extensions.contains(Extensions::ECN)
    }

    /// A packet with data bore a mark. The peer is told with each SACK, of which the first goes at once.
    #[cold]
    pub(super) fn on_marked_packet(&mut self, packet: &PacketIn<'_>) {
        if !self.has_ecn() {
            return;
        }
        if let Some(lowest) = lowest_tsn(&packet.chunks) {
            self.stats.marked_packets_received += 1;
            if self.ecn.on_marked(lowest) {
                self.inbound.want_sack();
            }
        }
    }

    /// An ECNE, where data may have been sent.
    #[cold]
    pub(super) fn on_ecne(&mut self, packet: &PacketIn<'_>, value: &[u8]) {
        let takes = matches!(
            self.phase(),
            AssociationPhase::Established | AssociationPhase::ShutdownPending | AssociationPhase::ShutdownReceived
        );
        let Ok(echo) = EcnEcho::parse(value) else { return };
        if !takes || !self.has_ecn() {
            return;
        }
        let result = self.outbound.on_ecne(echo.lowest_tsn, packet.path, &mut self.paths);
        if result == EcneResult::Impossible {
            return;
        }
        self.stats.ecn_echoes_received += 1;
        self.stats.ecn_reductions += u64::from(result == EcneResult::Reduced);
        // Also where nothing changes: the CWR before may have been lost.
        self.ecn.on_ecne(echo.lowest_tsn);
    }

    /// A CWR: the peer knows of the marks.
    #[cold]
    pub(super) fn on_cwr(&mut self, value: &[u8]) {
        if let Ok(cwr) = Cwr::parse(value) {
            self.ecn.on_cwr(cwr.lowest_tsn);
        }
    }

    /// Whether a CWR is to be sent.
    pub(super) fn cwr_is_due(&self) -> bool {
        self.ecn.owes_cwr() && !self.phase().is_setup()
    }

    pub(super) fn write_cwr(&mut self, buf: &mut Vec<u8>, limit: usize) {
        if self.cwr_is_due()
            && buf.len() + ECN_CHUNK_LEN <= limit
            && let Some(tsn) = self.ecn.take_cwr()
        {
            wire::write_cwr(buf, tsn);
            self.note_sent(ChunkType::CWR);
        }
    }

    /// An ECNE in front of a SACK, which may acknowledge what it is about.
    pub(super) fn write_ecne(&mut self, buf: &mut Vec<u8>) {
        if let Some(tsn) = self.ecn.told() {
            wire::write_ecne(buf, tsn);
            self.stats.ecn_echoes_sent += 1;
            self.note_sent(ChunkType::ECNE);
        }
    }

    /// Bytes of the ECNE that goes with the next SACK.
    pub(super) const fn ecne_len(&self) -> usize {
        if self.ecn.told().is_some() { ECN_CHUNK_LEN } else { 0 }
    }

    /// The code point of a packet with what is planned: new data asks for marks. What is sent again does not, nor do
    /// probes of a closed window (RFC 3168 §6.1.5, §6.1.6): who forges such packets could slow the sender down by
    /// marks, and their loss is news of congestion that must not be replaced.
    pub(super) fn code_point(&self, plan: &DataPlan) -> EcnCodepoint {
        if !self.has_ecn() || !plan.is_new() {
            return EcnCodepoint::NotEct;
        }
        match self.paths.get(plan.path) {
            Some(path) if path.ecn.goes_on() => EcnCodepoint::Ect0,
            _ => EcnCodepoint::NotEct,
        }
    }
}

/// The lowest TSN of the data in a packet.
fn lowest_tsn(chunks: &Chunks<'_>) -> Option<Tsn> {
    let tsns = chunks
        .clone()
        .map_while(Result::ok)
        .filter_map(|chunk| match chunk.kind {
            ChunkType::DATA => DataChunk::parse(chunk.flags, chunk.value).ok().map(|data| data.tsn),
            ChunkType::I_DATA => IDataChunk::parse(chunk.flags, chunk.value)
                .ok()
                .map(|data| data.header.tsn),
            _ => None,
        });
    tsns.reduce(|lowest, tsn| if lowest.is_after(tsn) { tsn } else { lowest })
}
