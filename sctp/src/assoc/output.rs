//! What an association sends next (RFC 9260 §6.1, §6.10): which packet, and what goes into it in which order.

use std::net::IpAddr;

use super::control_out::Farewell;
use super::interleaving::write_i_data;
use super::state::State;
use super::{Association, AssociationPhase};
use crate::path::{Path, PathId, PathState};
use crate::random::Random;
use crate::send::{DataPlan, PacketFill};
use crate::serial::{SharedKeyId, Ssn, StreamId, Tsn, VerificationTag};
use crate::time::Instant;
use crate::tlv::{Writer, padded};
use crate::transmit::{EcnCodepoint, Transmit};
use crate::wire::{
    self, CHUNK_HEADER_LEN, Cause, ChunkType, CommonHeader, DataHeader, SACK_HEADER_LEN, SkippedMessage,
};

/// What all associations of a stack share while they write packets.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    gaps: Vec<(u16, u16)>,
    duplicates: Vec<Tsn>,
    skipped: Vec<SkippedMessage>,
    skipped_streams: Vec<(StreamId, Ssn)>,
}

/// How many bytes of packets are written at once: what fits a datagram, or a little more.
const MAX_TRANSMISSION: usize = 1 << 16;

impl Association {
    /// Writes the next packet or packets (of one size, to one path) to `buf`, which is empty.
    pub(crate) fn poll_transmit(
        &mut self,
        now: Instant,
        max_segments: usize,
        buf: &mut Vec<u8>,
        scratch: &mut Scratch,
        random: &mut Random,
    ) -> Option<Transmit> {
        if matches!(
            self.phase(),
            AssociationPhase::ShutdownPending | AssociationPhase::ShutdownReceived
        ) {
            // It may have waited for an address.
            self.advance_shutdown(now);
        }
        let id = match self.phase() {
            AssociationPhase::Closed => self.write_farewell(buf)?,
            AssociationPhase::CookieWait => self.write_init_packet(now, buf)?,
            _ if let Some(transmit) = self.write_asconf_packet(now, buf) => return Some(transmit),
            _ if let Some((id, from)) = self.write_heartbeat_acks(buf) => {
                let transmit = self.transmit(id, buf.len(), buf.len())?;
                return Some(Transmit {
                    src: from.or(transmit.src),
                    ..transmit
                });
            }
            phase => match self.write_heartbeat(now, buf, random) {
                Some(id) => id,
                None if phase.is_setup() => return self.write_main_packets(now, max_segments, buf, scratch),
                None => match self.write_mtu_probe(now, buf, random) {
                    Some(id) => return self.transmit_mtu_probe(id, buf.len()),
                    None => return self.write_main_packets(now, max_segments, buf, scratch),
                },
            },
        };
        self.transmit(id, buf.len(), buf.len())
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has certainly nothing to write, nor anything else to do, until
    /// something else happens. May be false although there is nothing: it is to be cheap.
    pub(crate) fn has_nothing_to_send(&self) -> bool {
        let probes = |path: &Path| path.probe.is_due() || path.pmtud.is_due();
        self.phase() == AssociationPhase::Established
            && !self.inbound.sack_wanted()
            && self.outbound.has_nothing_to_send()
            && !self.control.has_chunks()
            && self.control.next_heartbeat_ack().is_none()
            && !self.ecn.owes_cwr()
            && self.asconf.is_none()
            && self.reconfig.is_none()
            && !self.paths.iter().any(|(_, path)| probes(path))
    }

    pub(super) fn transmit(&mut self, id: PathId, size: usize, segment_size: usize) -> Option<Transmit> {
        let path = self.paths.get_mut(id)?;
        // §6.9: what has outgrown the path arrives in fragments, if at all.
        let dont_fragment = path.pmtud.is_on() && segment_size <= path.max_packet();
        let packets = size.div_ceil(segment_size.max(1)) as u64;
        self.stats.packets_sent += packets;
        self.stats.bytes_sent += size as u64;
        path.stats.packets_sent += packets;
        path.stats.bytes_sent += size as u64;
        tracing::trace!(path = %path.address, size, packets, "packets sent");
        Some(Transmit {
            src: path.local,
            dst: path.address,
            encap: path.encap,
            size,
            segment_size,
            dont_fragment,
            marks: path.config.marks(),
            ecn: EcnCodepoint::NotEct,
        })
    }

    pub(super) const fn header(&self, verification_tag: VerificationTag) -> CommonHeader {
        CommonHeader {
            source_port: self.local.port,
            destination_port: self.peer_port,
            verification_tag,
        }
    }

    /// The packet that ends the association.
    fn write_farewell(&mut self, buf: &mut Vec<u8>) -> Option<PathId> {
        let farewell = self.control.farewell.take()?;
        let (tag, path) = match &farewell {
            Farewell::Abort {
                tag_reflected: true, ..
            } => (self.local_tag, self.control_path),
            Farewell::Abort { .. } => (self.peer_tag, self.paths.for_new_data(None)),
            Farewell::ShutdownComplete(path) => (self.peer_tag, *path),
        };
        let start = wire::begin_packet(buf, &self.header(tag));
        match farewell {
            Farewell::Abort { causes, tag_reflected } => {
                wire::write_abort(buf, tag_reflected, |w| w.bytes(&causes));
                self.note_sent(ChunkType::ABORT);
            }
            Farewell::ShutdownComplete(_) => {
                wire::write_shutdown_complete(buf, false);
                self.note_sent(ChunkType::SHUTDOWN_COMPLETE);
            }
        }
        self.finish_packet(buf, start);
        Some(path)
    }

    /// The ABORT that refuses an INIT ACK, or an INIT, which stands alone, under a tag of zero (§8.5.1 A).
    fn write_init_packet(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<PathId> {
        if let Some(tag) = self.control.refused_init_ack.take() {
            let start = wire::begin_packet(buf, &self.header(tag));
            wire::write_abort(buf, false, |w| Cause::InvalidMandatoryParameter.write(w));
            self.note_sent(ChunkType::ABORT);
            wire::finish_packet(buf, start);
            return Some(self.control_path);
        }
        if !std::mem::take(&mut self.control.init) {
            return None;
        }
        let id = self.control_path;
        let to = self.paths.get(id)?.address;
        let start = wire::begin_packet(buf, &self.header(VerificationTag::ZERO));
        self.write_init(buf, to);
        self.note_sent(ChunkType::INIT);
        self.finish_packet(buf, start);
        self.touch(id, now);
        Some(id)
    }

    pub(super) fn touch(&mut self, id: PathId, now: Instant) {
        if let Some(path) = self.paths.get_mut(id) {
            path.touch(now);
        }
    }

    /// HEARTBEATs are for a certain path, and do not wait for anything.
    fn write_heartbeat(&mut self, now: Instant, buf: &mut Vec<u8>, random: &mut Random) -> Option<PathId> {
        // §5.1 C: nothing of the own between COOKIE ECHO and COOKIE ACK.
        if self.phase().is_setup() {
            return None;
        }
        let header = self.header(self.peer_tag);
        let sourceless = self.local.explicit;
        let may = |path: &Path| path.probe.is_due() && !(sourceless && path.local.is_none());
        let (id, path) = self.paths.iter_mut().find(|(_, path)| may(path))?;
        let info = path.send_probe(now, id, random);
        self.inbound.trim();
        let mut bytes = Vec::with_capacity(32);
        info.write(&mut Writer::new(&mut bytes));
        let start = wire::begin_packet(buf, &header);
        wire::write_heartbeat(buf, &bytes);
        self.note_sent(ChunkType::HEARTBEAT);
        self.finish_packet(buf, start);
        Some(id)
    }

    /// A packet of HEARTBEAT ACKs, with what else answers the same packet: one packet gets one (§12.4). Also says which
    /// own address they are to come from.
    fn write_heartbeat_acks(&mut self, buf: &mut Vec<u8>) -> Option<(PathId, Option<IpAddr>)> {
        let (to @ (id, _), _) = self.control.next_heartbeat_ack()?;
        let limit = self.paths.smallest_max_packet().saturating_sub(self.control_auth_len());
        let start = wire::begin_packet(buf, &self.header(self.peer_tag));
        if self.control.cookie_ack.take_if(|path| *path == id).is_some() {
            wire::write_cookie_ack(buf);
            self.note_sent(ChunkType::COOKIE_ACK);
        }
        let mut first = true;
        while let Some((path, len)) = self.control.next_heartbeat_ack() {
            if path != to || !(first || buf.len() + CHUNK_HEADER_LEN + padded(len) <= limit) {
                break;
            }
            if let Some(value) = self.control.pop_heartbeat_ack() {
                wire::write_heartbeat_answer(buf, &value);
                self.note_sent(ChunkType::HEARTBEAT_ACK);
            }
            first = false;
        }
        if self.may_be_used(id) && !self.phase().is_setup() {
            self.write_errors(buf, limit);
        }
        self.finish_packet(buf, start);
        Some(to)
    }

    /// What a packet with DATA has for chunks, on every path.
    #[inline(always)]
    pub(super) fn room_for_data(&self) -> usize {
        self.paths
            .smallest_max_packet()
            .saturating_sub(CommonHeader::LEN + self.data_auth_len())
    }

    /// Control chunks, a SACK, and DATA; then as many more packets with DATA to the same path as may follow.
    fn write_main_packets(
        &mut self,
        now: Instant,
        max_segments: usize,
        buf: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> Option<Transmit> {
        // Chunks are cut for the narrowest path, so that they can be sent again on any (§6.9).
        let max_packet = self.paths.smallest_max_packet();
        let data_auth = self.data_auth_len();
        let max_chunks = self.room_for_data();
        let plan = self.plan_data(now, max_chunks);
        // §3.2.2, §5.1 C: what is to be reported of the INIT ACK goes along with the COOKIE ECHO, or waits for the
        // COOKIE ACK.
        let has_chunks = if self.phase().is_setup() {
            self.control.cookie_echo
        } else {
            self.control.has_chunks()
        };
        let bound = has_chunks.then(|| {
            // Where it was to go may be of no use by now.
            let answer = self.control.cookie_ack.map(|path| self.reply_path(path));
            answer.unwrap_or_else(|| self.control_destination())
        });
        let reconfig = self.reconfig_path();
        let bound = bound.or(reconfig);
        let id = match (bound, plan) {
            (Some(path), _) => path,
            (None, Some(plan)) => plan.path,
            (None, None) if self.forward_is_due() => self.paths.for_new_data(None),
            (None, None) if self.sack_is_due() || self.cwr_is_due() => self.reply_path(self.sack_path),
            (None, None) => return None,
        };
        if !self.may_be_used(id) {
            return None;
        }
        let plan = plan.filter(|plan| plan.path == id);
        let max_segments = max_segments.min(MAX_TRANSMISSION / max_packet.max(1)).max(1);
        buf.reserve(max_packet * if plan.is_some() { max_segments } else { 1 });

        let start = wire::begin_packet(buf, &self.header(self.peer_tag));
        let limit = start + max_packet;
        let control_auth = self.control_auth_len();
        let control_limit = limit.saturating_sub(control_auth);
        self.write_control(now, buf, control_limit);
        self.write_cwr(buf, control_limit);
        self.write_sack(buf, control_limit, scratch);
        if reconfig.is_some() {
            self.write_reconfigs(now, id, buf, control_limit);
        }
        self.write_forward_tsn(now, id, buf, control_limit, scratch);
        let mut key = None;
        let mut ecn = EcnCodepoint::NotEct;
        if let Some(plan) = plan {
            let needs_auth = control_auth > 0 && self.needs_auth(buf.get(start + CommonHeader::LEN..).unwrap_or(&[]));
            let auth = if needs_auth { control_auth } else { data_auth };
            let before = buf.len();
            key = self.write_data(now, plan, buf, limit.saturating_sub(auth), max_chunks);
            if buf.len() > before {
                ecn = self.code_point(&plan);
            }
        }
        if buf.len() == start + CommonHeader::LEN {
            buf.truncate(start);
            return None;
        }
        self.finish_data_packet(buf, start, key);
        let segment_size = buf.len() - start;

        // Further packets must be as long, but for the last one.
        let mut segments = 1;
        let mut last = segment_size;
        while plan.is_some() && segments < max_segments && last == segment_size && segment_size <= max_packet {
            let next = self.plan_data(now, max_chunks);
            let bound = self.control.has_chunks() || self.forward_is_due() || self.reconfig_path().is_some();
            let fits = |next: &DataPlan| CommonHeader::LEN + data_auth + next.first_chunk <= segment_size;
            // A train has one code point.
            let same = |next: &DataPlan| next.path == id && self.code_point(next) == ecn;
            let Some(next) = next.filter(|next| same(next) && fits(next) && !bound) else {
                break;
            };
            let start = wire::begin_packet(buf, &self.header(self.peer_tag));
            let limit = (start + segment_size).saturating_sub(data_auth);
            let key = self.write_data(now, next, buf, limit, max_chunks);
            if buf.len() == start + CommonHeader::LEN {
                buf.truncate(start);
                break;
            }
            self.finish_data_packet(buf, start, key);
            last = buf.len() - start;
            segments += 1;
        }
        if plan.is_some() {
            self.note_packet_size(id, segment_size, max_packet);
        }
        let transmit = self.transmit(id, buf.len(), segment_size)?;
        Some(Transmit { ecn, ..transmit })
    }

    /// Where control chunks go that are bound to no path: where set-up and shutdown are under way, while that works.
    pub(super) fn control_destination(&self) -> PathId {
        let works = |path: &Path| path.is_active();
        if self.phase().is_setup() || self.paths.get(self.control_path).is_some_and(works) {
            self.control_path
        } else {
            self.paths.for_new_data(None)
        }
    }

    fn plan_data(&mut self, now: Instant, max_chunks: usize) -> Option<DataPlan> {
        if !self.phase().may_send_data() {
            return None;
        }
        let id = self.paths.for_new_data(None);
        if self.outbound.flight(id) == 0
            && let Some(path) = self.paths.get_mut(id)
        {
            path.decay_if_idle(now);
        }
        let plan = self.outbound.plan(now, &self.paths, max_chunks);
        self.after_abandonment(now);
        plan
    }

    fn forward_is_due(&self) -> bool {
        self.outbound.forward_is_due() && self.phase().may_send_data()
    }

    fn sack_is_due(&self) -> bool {
        self.inbound.sack_wanted() && !self.phase().is_setup()
    }

    /// Control chunks come first (§6.10), and a COOKIE ECHO or COOKIE ACK first of all (§5.1).
    fn write_control(&mut self, now: Instant, buf: &mut Vec<u8>, limit: usize) {
        if std::mem::take(&mut self.control.cookie_echo)
            && let State::CookieEchoed { cookie, .. } = &self.state
        {
            wire::write_cookie_echo(buf, cookie);
            self.note_sent(ChunkType::COOKIE_ECHO);
            self.on_cookie_echo_sent(now);
            self.touch(self.control_path, now);
        }
        if self.control.cookie_ack.take().is_some() {
            wire::write_cookie_ack(buf);
            self.note_sent(ChunkType::COOKIE_ACK);
        }
        self.write_errors(buf, limit);
        if std::mem::take(&mut self.control.shutdown) {
            wire::write_shutdown(buf, self.inbound.cumulative_tsn_ack());
            self.note_sent(ChunkType::SHUTDOWN);
            self.touch(self.control_path, now);
        }
        if std::mem::take(&mut self.control.shutdown_ack) {
            wire::write_shutdown_ack(buf);
            self.note_sent(ChunkType::SHUTDOWN_ACK);
            self.touch(self.control_path, now);
        }
    }

    fn write_errors(&mut self, buf: &mut Vec<u8>, limit: usize) {
        while let Some(len) = self.control.next_error_len() {
            // Alone in its packet it goes whatever its size.
            if buf.len() + CHUNK_HEADER_LEN + len > limit && buf.len() > CommonHeader::LEN {
                break;
            }
            if let Some(causes) = self.control.pop_error() {
                wire::write_error(buf, |w| w.bytes(&causes));
                self.note_sent(ChunkType::ERROR);
            }
        }
    }

    /// A SACK goes along with whatever is sent, as soon as there is something to acknowledge (§6.1, §6.2).
    fn write_sack(&mut self, buf: &mut Vec<u8>, limit: usize, scratch: &mut Scratch) {
        let Some(room) = limit.checked_sub(buf.len() + self.ecne_len() + SACK_HEADER_LEN) else {
            return;
        };
        if !self.inbound.sack_pending() || self.phase().is_setup() {
            return;
        }
        self.write_ecne(buf);
        let numbers = self
            .inbound
            .take_sack(&mut scratch.gaps, &mut scratch.duplicates, room / 4);
        wire::write_sack(
            buf,
            numbers.cumulative_tsn_ack,
            numbers.a_rwnd,
            &scratch.gaps,
            &scratch.duplicates,
        );
        self.stats.sacks_sent += 1;
        self.stats.control_chunks_sent += 1;
    }

    /// A FORWARD-TSN or I-FORWARD-TSN goes before DATA, to a confirmed address (RFC 3758 §3.5 C3, F2). Without room for
    /// it in this packet it waits for the next one.
    fn write_forward_tsn(&mut self, now: Instant, id: PathId, buf: &mut Vec<u8>, limit: usize, scratch: &mut Scratch) {
        let confirmed = self
            .paths
            .get(id)
            .is_some_and(|path| path.state != PathState::Unconfirmed);
        if !self.forward_is_due() || !confirmed {
            return;
        }
        let (least, with_one) = if self.outbound.is_interleaving() {
            (wire::i_forward_tsn_len(0), wire::i_forward_tsn_len(1))
        } else {
            (wire::forward_tsn_len(0), wire::forward_tsn_len(1))
        };
        let Some(room) = limit.checked_sub(buf.len() + least) else {
            return;
        };
        let Scratch {
            skipped,
            skipped_streams,
            ..
        } = scratch;
        let max_entries = room / (with_one - least);
        let Some(tsn) = self
            .outbound
            .take_forward(now, id, max_entries, skipped, &mut self.paths)
        else {
            return;
        };
        // RFC 8260 §2.3.1: the one goes with I-DATA, the other with DATA.
        if self.outbound.is_interleaving() {
            wire::write_i_forward_tsn(buf, tsn, skipped);
        } else {
            skipped_streams.clear();
            skipped_streams.extend(skipped.iter().map(|message| (message.stream, message.mid.as_ssn())));
            wire::write_forward_tsn(buf, tsn, skipped_streams);
        }
        self.stats.forward_tsns_sent += 1;
        self.note_sent(ChunkType::FORWARD_TSN);
    }

    /// The DATA of one packet, up to `limit`; the key that it asks for.
    fn write_data(
        &mut self,
        now: Instant,
        plan: DataPlan,
        buf: &mut Vec<u8>,
        limit: usize,
        max_chunks: usize,
    ) -> Option<SharedKeyId> {
        let mut fill = PacketFill::new(plan);
        // §6.1: the I bit asks for a SACK at once where waiting for it would cost time.
        let shutting_down = self.phase() == AssociationPhase::ShutdownPending;
        let interleaving = self.outbound.is_interleaving();
        loop {
            let room = limit.saturating_sub(buf.len());
            let Some(chunk) = self
                .outbound
                .next_chunk(&mut fill, now, room, max_chunks, &mut self.paths)
            else {
                break;
            };
            let immediate = shutting_down || chunk.ending && chunk.message.sack_immediately;
            if interleaving {
                write_i_data(buf, &chunk, immediate);
                continue;
            }
            let header = DataHeader {
                tsn: chunk.tsn,
                stream: chunk.message.stream,
                ssn: chunk.mid.as_ssn(),
                ppid: chunk.message.ppid,
                unordered: chunk.message.unordered,
                beginning: chunk.beginning,
                ending: chunk.ending,
                immediate,
            };
            wire::write_data(buf, &header, chunk.payload);
        }
        // What is sent again may be filled up with new data.
        let repeated = fill.repeated();
        let new = fill.chunks() - repeated;
        self.stats.data_chunks_sent += new;
        self.stats.data_chunks_retransmitted += repeated;
        if repeated > 0 {
            let path = self
                .paths
                .get(plan.path)
                .map(|path| tracing::field::display(path.address));
            tracing::debug!(path, chunks = repeated, "DATA sent again");
        }
        self.stats.zero_window_probes += u64::from(plan.is_probe() && new > 0);
        self.outbound.packet_sent(&fill, now, &mut self.paths);
        fill.auth_key()
    }
}
