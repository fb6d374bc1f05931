//! A packet of the association, chunk by chunk (RFC 9260 §3.2, §6.10).

use std::net::IpAddr;

use bytes::Bytes;

use super::auth::Gate;
use super::capabilities::Extensions;
use super::causes::{causes, quotable};
use super::{Association, AssociationPhase};
use crate::error::FailureReason;
use crate::event::Event;
use crate::path::PathId;
use crate::random::Random;
use crate::recv::Payloads;
use crate::time::Instant;
use crate::transmit::{EcnCodepoint, RxMeta, UdpPorts};
use crate::wire::{Abort, Cause, CauseCode, Causes, ChunkType, Chunks, OperationError, RawChunk};

/// A packet whose common header, checksum and tag are right.
#[derive(Debug)]
pub(crate) struct PacketIn<'a> {
    /// The path it came on.
    pub(crate) path: PathId,
    pub(crate) meta: &'a RxMeta,
    /// The user data in it.
    pub(crate) payloads: Payloads<'a>,
    /// The whole packet.
    pub(crate) packet: &'a [u8],
    /// The chunks that are still to be processed are authenticated.
    pub(crate) authenticated: bool,
    /// The chunks that are still to be processed.
    pub(crate) chunks: Chunks<'a>,
    /// It came from an address that is not the peer's; `path` is one that an ASCONF in it names (RFC 5061 §5.2 D2).
    pub(crate) from_elsewhere: bool,
    /// Addresses of other associations, which its ASCONFs want to add.
    pub(crate) taken: &'a [IpAddr],
}

impl Association {
    /// Processes the chunks of a packet in their order.
    pub(crate) fn handle_packet(&mut self, now: Instant, mut packet: PacketIn<'_>, random: &mut Random) {
        self.stats.packets_received += 1;
        self.stats.bytes_received += packet.packet.len() as u64;
        self.control.begin_answers();
        self.begin_asconf_packet();
        self.learn_route(&packet);
        let was_readable = self.inbound.readable();
        let mut had_data = false;
        let mut authenticated = packet.authenticated;
        for chunk in packet.chunks.clone() {
            // What cannot be read ends the packet; what came before it counts (§6.10).
            let Ok(chunk) = chunk else { break };
            if self.auth.is_some() {
                match self.pass_gate(packet.packet, &chunk, &mut authenticated) {
                    Gate::Process => {}
                    // RFC 5061 §5.2 D5: the rest of the packet goes with it.
                    Gate::Skip if matches!(chunk.kind, ChunkType::ASCONF | ChunkType::ASCONF_ACK) => break,
                    Gate::Skip => continue,
                    Gate::Stop => break,
                }
            }
            if packet.from_elsewhere && !belongs_to_move(chunk.kind) {
                continue;
            }
            had_data = had_data || carries_data(chunk.kind);
            if !self.handle_chunk(now, &mut packet, &chunk, random) || self.phase() == AssociationPhase::Closed {
                break;
            }
        }
        if self.phase() != AssociationPhase::Closed {
            if had_data {
                if packet.meta.ecn == EcnCodepoint::Ce {
                    self.on_marked_packet(&packet);
                }
                self.inbound.on_packet_end(now);
                self.after_data();
                self.last_activity = now;
            }
            self.on_packet_while_shutting_down(now, had_data);
        } else if has_abort(packet.chunks) {
            // §9.1: nothing answers a packet with an ABORT.
            self.control.farewell = None;
        }
        if !was_readable && self.inbound.readable() {
            // An end is the last thing that is told.
            let ended = usize::from(self.phase() == AssociationPhase::Closed);
            self.events
                .insert(self.events.len().saturating_sub(ended), Event::Readable);
        }
    }

    /// Answers go to where the peer sends from: its UDP port may change, or come or go (RFC 6951 §5.4), and its packets
    /// tell which own address it uses.
    fn learn_route(&mut self, packet: &PacketIn<'_>) {
        let Some(path) = self.paths.get_mut(packet.path).filter(|_| !packet.from_elsewhere) else {
            return;
        };
        path.stats.packets_received += 1;
        path.stats.bytes_received += packet.packet.len() as u64;
        let encap = packet.meta.encap.map(UdpPorts::reversed);
        if path.encap != encap {
            tracing::debug!(path = %path.address, ?encap, "the peer's UDP port changed");
            let headers = path.headers();
            path.encap = encap;
            // RFC 6951 §5.6.
            if path.headers() != headers {
                path.on_mtu_change();
            }
        }
        // A peer also tries the other own addresses; data does not follow that about. But where nothing is answered it
        // goes from an address that packets of the peer reach.
        let own = packet.meta.dst;
        if path.local != Some(own) && (!self.local.explicit || self.local.addresses.contains(&own)) {
            if path.local.is_none() || path.error_count > 0 || !has_heartbeats_only(&packet.chunks) {
                path.set_local(Some(own), &self.config);
            } else {
                path.other_local = Some(own);
            }
        }
    }

    /// Whether the next chunk is to be looked at.
    #[inline(always)]
    fn handle_chunk(
        &mut self,
        now: Instant,
        packet: &mut PacketIn<'_>,
        chunk: &RawChunk<'_>,
        random: &mut Random,
    ) -> bool {
        match chunk.kind {
            ChunkType::DATA => self.on_data(packet, chunk),
            ChunkType::I_DATA => self.on_i_data(packet, chunk),
            _ => return self.handle_control_chunk(now, packet, chunk, random),
        }
        true
    }

    /// The same for what is no user data.
    #[inline(never)]
    fn handle_control_chunk(
        &mut self,
        now: Instant,
        packet: &mut PacketIn<'_>,
        chunk: &RawChunk<'_>,
        random: &mut Random,
    ) -> bool {
        self.stats.control_chunks_received += 1;
        if chunk.kind == ChunkType::SACK {
            tracing::trace!(chunk = %chunk.kind, "chunk received");
        } else {
            tracing::debug!(chunk = %chunk.kind, "chunk received");
        }
        match chunk.kind {
            ChunkType::FORWARD_TSN if self.takes_forward_tsn() => self.on_forward_tsn(packet, chunk),
            ChunkType::I_FORWARD_TSN => self.on_i_forward_tsn(packet, chunk),
            ChunkType::RE_CONFIG if self.extensions.contains(Extensions::RECONFIG) => {
                self.on_reconfig(now, packet, chunk);
            }
            ChunkType::SACK => self.on_sack(now, chunk.value),
            ChunkType::HEARTBEAT => self.on_heartbeat(chunk.value, packet),
            ChunkType::HEARTBEAT_ACK => self.on_heartbeat_ack(now, chunk.value, random),
            ChunkType::ABORT if self.ignores_abort_to(packet.meta.dst) => return false,
            // §8.5.1 B, C: under the own tag the T bit is wrong.
            ChunkType::ABORT | ChunkType::SHUTDOWN_COMPLETE if chunk.is_tag_reflected() => return false,
            ChunkType::ABORT => self.on_abort(chunk),
            ChunkType::SHUTDOWN => self.on_shutdown(now, chunk.value),
            ChunkType::SHUTDOWN_ACK => self.on_shutdown_ack(packet.path),
            ChunkType::SHUTDOWN_COMPLETE => self.on_shutdown_complete(),
            ChunkType::ERROR => self.on_error(now, chunk),
            ChunkType::INIT_ACK => {
                self.on_init_ack(now, chunk.value, packet.meta.src);
                // §6.10: it stands alone.
                return false;
            }
            ChunkType::COOKIE_ACK => self.on_cookie_ack(now, random),
            // An INIT has no place under a tag (§8.5.1 A); COOKIE ECHO was handled before, or is not first.
            ChunkType::INIT => return false,
            ChunkType::ASCONF if self.extensions.contains(Extensions::ASCONF) => self.on_asconf(now, packet, chunk),
            ChunkType::ASCONF_ACK if self.extensions.contains(Extensions::ASCONF) => {
                self.on_asconf_ack(now, chunk.value);
            }
            ChunkType::ECNE => self.on_ecne(packet, chunk.value),
            ChunkType::CWR => self.on_cwr(chunk.value),
            ChunkType::COOKIE_ECHO => {}
            _ => return self.on_unknown_chunk(chunk),
        }
        true
    }

    /// §3.2: the type's highest bits say whether to go on and whether to report.
    fn on_unknown_chunk(&mut self, chunk: &RawChunk<'_>) -> bool {
        let action = chunk.unknown_action();
        if action.reports() {
            self.control
                .push_error(causes(|w| Cause::UnrecognizedChunkType(quotable(chunk.raw)).write(w)));
        }
        action.goes_on()
    }

    /// An ABORT whose tag was checked (§8.5.1 B). One that is malformed MUST be discarded (§3.3.7).
    pub(crate) fn on_abort(&mut self, chunk: &RawChunk<'_>) {
        let Ok(abort) = Abort::parse(chunk.flags, chunk.value) else {
            return;
        };
        // A reflected tag says that the peer has forgotten the association. In SHUTDOWN-ACK-SENT both sides have
        // everything, so just the SHUTDOWN COMPLETE was lost, and what came after it met a stranger (§8.4 rule 8).
        if abort.tag_reflected && self.phase() == AssociationPhase::ShutdownAckSent {
            return self.terminate(Ok(()));
        }
        let mut cause = None;
        let mut reason = Bytes::new();
        for item in abort.causes.take(MAX_CAUSES).map_while(Result::ok) {
            cause.get_or_insert_with(|| item.code().0);
            if let Cause::UserInitiatedAbort(text) = item {
                reason = Bytes::copy_from_slice(text);
            }
        }
        self.terminate(Err(FailureReason::PeerAbort { cause, reason }));
    }

    fn on_error(&mut self, now: Instant, chunk: &RawChunk<'_>) {
        let Ok(error) = OperationError::parse(chunk.value) else {
            return;
        };
        let causes: Causes<'_> = error.causes;
        for tlv in causes.tlvs().take(MAX_CAUSES).map_while(Result::ok) {
            if CauseCode(tlv.kind) == CauseCode::STALE_COOKIE {
                self.on_stale_cookie(now);
            } else if !self.phase().is_setup() {
                if CauseCode(tlv.kind) == CauseCode::UNRECOGNIZED_CHUNK_TYPE {
                    self.on_unrecognized_chunk(tlv.value);
                }
                let raw = tlv.raw.get(..MAX_REPORTED).unwrap_or(tlv.raw);
                self.tell(Event::PeerError {
                    cause: tlv.kind,
                    raw: Bytes::copy_from_slice(raw),
                });
            }
        }
    }
}

/// What a packet from a new address of the peer may bring; the rest comes again once that is known.
const fn belongs_to_move(kind: ChunkType) -> bool {
    matches!(kind, ChunkType::AUTH | ChunkType::ASCONF | ChunkType::ASCONF_ACK)
}

/// Whether chunks of this type are acknowledged by SACKs.
const fn carries_data(kind: ChunkType) -> bool {
    matches!(
        kind,
        ChunkType::DATA | ChunkType::FORWARD_TSN | ChunkType::I_DATA | ChunkType::I_FORWARD_TSN
    )
}

fn has_heartbeats_only(chunks: &Chunks<'_>) -> bool {
    let mut kinds = chunks.clone().map_while(Result::ok).map(|chunk| chunk.kind);
    kinds.all(|kind| matches!(kind, ChunkType::HEARTBEAT | ChunkType::HEARTBEAT_ACK | ChunkType::PAD))
}

fn has_abort(chunks: Chunks<'_>) -> bool {
    let mut kinds = chunks.map_while(Result::ok).map(|chunk| chunk.kind);
    kinds.any(|kind| kind == ChunkType::ABORT)
}

/// How many bytes of an error cause the user is told.
const MAX_REPORTED: usize = 1024;

/// How many error causes of one chunk are looked at.
const MAX_CAUSES: usize = 16;

/// The causes of a user's ABORT (§3.3.10.12).
pub(crate) fn user_abort(reason: &[u8]) -> Bytes {
    causes(|w| Cause::UserInitiatedAbort(reason.get(..MAX_REASON).unwrap_or(reason)).write(w))
}

/// The longest reason that fits any path's packet.
const MAX_REASON: usize = 1024;
