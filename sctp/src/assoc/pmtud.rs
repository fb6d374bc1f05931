//! Path MTU discovery in an association (RFC 8899 §6.2): its probes, and what the sizes it finds change.

use super::Association;
use crate::path::{HeartbeatInfo, PathId};
use crate::random::Random;
use crate::time::Instant;
use crate::tlv::Writer;
use crate::transmit::Transmit;
use crate::wire::{self, ChunkType, CommonHeader};

impl Association {
    /// A probe of the path MTU, if one is due: a HEARTBEAT, and a PAD chunk (RFC 4820) that makes the packet as large
    /// as is to be tried. It waits for no window, and counts for none.
    pub(super) fn write_mtu_probe(&mut self, now: Instant, buf: &mut Vec<u8>, random: &mut Random) -> Option<PathId> {
        let is_due = |id: &PathId| {
            let path = self.paths.get(*id);
            path.is_some_and(|path| path.pmtud.is_due() && path.is_usable()) && self.may_be_used(*id)
        };
        let id = self.paths.ids().find(is_due)?;
        let header = self.header(self.peer_tag);
        let kinds = [ChunkType::HEARTBEAT, ChunkType::PAD];
        let authenticated = kinds.into_iter().any(|kind| self.sends_authenticated(kind));
        let auth = if authenticated { self.control_auth_len() } else { 0 };
        let path = self.paths.get_mut(id)?;
        let (info, size) = path.send_mtu_probe(now, id, random);
        let mut bytes = Vec::with_capacity(32);
        info.write(&mut Writer::new(&mut bytes));
        let start = wire::begin_packet(buf, &header);
        wire::write_heartbeat(buf, &bytes);
        let padding = size.saturating_sub(buf.len() - start + auth);
        if padding > 0 {
            wire::write_pad(buf, padding);
        }
        self.note_sent(ChunkType::HEARTBEAT);
        if padding > 0 {
            self.note_sent(ChunkType::PAD);
        }
        self.finish_packet(buf, start);
        self.stats.mtu_probes_sent += 1;
        Some(id)
    }

    /// The transmission of a probe, which must arrive as it is or not at all.
    pub(super) fn transmit_mtu_probe(&mut self, id: PathId, size: usize) -> Option<Transmit> {
        let transmit = self.transmit(id, size, size)?;
        Some(Transmit {
            dont_fragment: true,
            ..transmit
        })
    }

    /// A packet with DATA went out on a path. If it is about as large as packets may be, larger ones would help; and
    /// since chunks are cut for the narrowest path, whatever the others carry counts too.
    #[inline]
    pub(super) fn note_packet_size(&mut self, id: PathId, size: usize, max_packet: usize) {
        if size * 4 < max_packet * 3 {
            return;
        }
        for (other, path) in self.paths.iter_mut() {
            if other == id || path.is_usable() {
                path.pmtud.on_full_packet();
            }
        }
    }

    /// A probe was answered: packets of its size arrive. That the path works is news as from any answer (§6.2.1.2).
    pub(super) fn on_mtu_probe_ack(&mut self, now: Instant, info: &HeartbeatInfo) {
        let id = info.path();
        let Some(path) = self.paths.get_mut(id) else { return };
        if path.pmtud.on_probe_ack(now, info) {
            path.measure_probe(now, info);
            path.on_mtu_change();
            self.on_answer(now, id);
        }
    }

    /// T3-rtx of a path has expired: if its large packets vanish, smaller ones are sent (RFC 8899 §4.3).
    pub(super) fn look_for_black_hole(&mut self, id: PathId) {
        let largest = self.outbound.largest_packet_in_flight(id);
        let Some(path) = self.paths.get_mut(id) else { return };
        let base = path.packet_in(path.pmtud.base());
        if CommonHeader::LEN + largest > base && path.pmtud.on_large_packet_lost() {
            tracing::debug!(path = %path.address, "large packets vanish");
            path.on_mtu_change();
        }
    }

    /// An SCTP packet of `len` bytes was too large for the interface that it was to leave by.
    pub(crate) fn on_local_limit(&mut self, now: Instant, id: PathId, len: usize) {
        let Some(path) = self.paths.get_mut(id) else { return };
        let size = u16::try_from(path.headers() + len).unwrap_or(u16::MAX);
        if path.pmtud.on_local_limit(now, size) {
            path.on_mtu_change();
        }
    }

    /// A router says that it cannot pass a packet of this association on that is larger than `size` bytes (RFC 8899
    /// §4.6).
    pub(crate) fn on_packet_too_big(&mut self, now: Instant, id: PathId, size: u16) {
        let Some(path) = self.paths.get_mut(id) else { return };
        if path.pmtud.on_packet_too_big(now, size) {
            path.on_mtu_change();
        }
    }
}
