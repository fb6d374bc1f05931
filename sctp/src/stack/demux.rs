//! From a packet to its association (RFC 9260 §8.5): by the tag, with the exceptions for set-up and end.

use bytes::Bytes;

use super::{AssocId, Stack};
use crate::addr;
use crate::assoc::{Association, AssociationPhase, PacketIn, behind_auth};
use crate::error::DecodeError;
use crate::recv::Payloads;
use crate::serial::VerificationTag;
use crate::time::Instant;
use crate::transmit::{ChecksumState, RxMeta};
use crate::wire::{ChecksumRule, ChunkType, Packet, RawChunk};

impl Stack {
    /// Finds out whose packet it is, and has it processed there.
    pub(super) fn demultiplex(&mut self, now: Instant, meta: &RxMeta, datagram: &Bytes) {
        let rule = match meta.checksum {
            ChecksumState::Unverified => ChecksumRule::AcceptZero,
            ChecksumState::Verified => ChecksumRule::AcceptUnchecked,
        };
        let packet = match Packet::parse(datagram, rule) {
            Ok(packet) => packet,
            Err(DecodeError::Checksum) => {
                self.stats.checksum_errors += 1;
                return;
            }
            Err(_) => {
                self.stats.malformed += 1;
                return;
            }
        };
        let Some(first) = packet.first_chunk() else {
            self.stats.malformed += 1;
            return;
        };
        let tag = packet.header.verification_tag;
        if rule == ChecksumRule::AcceptZero
            && packet.has_zero_checksum()
            && !self.takes_zero_checksum(&packet, &first)
            && packet.verify_checksum().is_err()
        {
            self.stats.checksum_errors += 1;
            return;
        }
        if tag == VerificationTag::ZERO || first.kind == ChunkType::INIT {
            self.on_init_packet(now, meta, &packet, &first);
        } else if first.kind == ChunkType::COOKIE_ECHO {
            self.on_cookie_echo(now, meta, datagram, &packet, &first, None);
        } else if let Some((Some(auth), echo)) =
            behind_auth(packet.chunks(), &first).filter(|(_, second)| second.kind == ChunkType::COOKIE_ECHO)
        {
            self.on_cookie_echo(now, meta, datagram, &packet, &echo, Some(&auth));
        } else if let Some(id) = self.owner(&packet) {
            self.deliver(now, id, meta, datagram, &packet);
        } else if !self.on_reflected_tag(meta, &packet, &first) {
            self.on_out_of_the_blue(now, meta, &packet);
        }
    }

    /// Whether a packet with a checksum of zero is of an association that takes it as it is (RFC 9653 §5.3).
    fn takes_zero_checksum(&self, packet: &Packet<'_>, first: &RawChunk<'_>) -> bool {
        let kind = behind_auth(packet.chunks(), first).map_or(first.kind, |(_, second)| second.kind);
        let checked = matches!(kind, ChunkType::INIT | ChunkType::COOKIE_ECHO);
        let owner = self.owner(packet).filter(|_| !checked);
        let slot = owner.and_then(|id| self.table.get(id));
        slot.is_some_and(|slot| slot.assoc.takes_zero_checksum())
    }

    /// The association whose own tag and ports the packet bears.
    fn owner(&self, packet: &Packet<'_>) -> Option<AssocId> {
        let id = self.table.by_tag(packet.header.verification_tag)?;
        let assoc = &self.table.get(id)?.assoc;
        let ports = (assoc.local().port, assoc.peer_port());
        (ports == (packet.header.destination_port, packet.header.source_port)).then_some(id)
    }

    fn deliver(&mut self, now: Instant, id: AssocId, meta: &RxMeta, datagram: &Bytes, packet: &Packet<'_>) {
        let Some(slot) = self.table.get_mut(id) else { return };
        let phase = slot.assoc.phase();
        let path = match slot.assoc.find_path(meta.src) {
            Some(path) => path,
            // An INIT ACK may come from an address that is not known yet; it brings the list.
            None if phase == AssociationPhase::CookieWait && packet.find(ChunkType::INIT_ACK).is_some() => {
                slot.assoc.called_path()
            }
            None => match slot.assoc.path_named_by(packet) {
                Some(path) => path,
                None => {
                    self.stats.unknown_source += 1;
                    return;
                }
            },
        };
        if slot.assoc.has_left(now, meta.dst) {
            self.stats.unknown_source += 1;
            return;
        }
        // §8.5.1 E: while setting up, a SHUTDOWN ACK is out of the blue.
        if phase.is_setup() && packet.find(ChunkType::SHUTDOWN_ACK).is_some() {
            return self.on_out_of_the_blue(now, meta, packet);
        }
        // §8.5.1 B, C: with the T bit set, the tag should have been the peer's. Such chunks have no place behind user
        // data, where the association itself passes them over.
        let reflected = |chunk: &RawChunk<'_>| {
            matches!(chunk.kind, ChunkType::ABORT | ChunkType::SHUTDOWN_COMPLETE) && chunk.is_tag_reflected()
        };
        let user_data = |kind| matches!(kind, ChunkType::DATA | ChunkType::I_DATA);
        let chunks = packet.chunks().map_while(Result::ok);
        let mut before_data = chunks.take_while(|chunk| !user_data(chunk.kind));
        if before_data.any(|chunk| reflected(&chunk)) {
            self.stats.bad_verification_tag += 1;
            return;
        }
        let from_elsewhere = slot.assoc.find_path(meta.src).is_none() && !phase.is_setup();
        let taken = self.taken_addresses(id, meta, packet);
        let Some(slot) = self.table.get_mut(id) else { return };
        let input = PacketIn {
            path,
            meta,
            payloads: Payloads::new(datagram, meta.buffer_len),
            packet: datagram,
            authenticated: false,
            chunks: packet.chunks(),
            from_elsewhere,
            taken: &taken,
        };
        let _entered = slot.assoc.log_path_details(path);
        tracing::trace!(size = datagram.len(), from = %meta.src, to = %meta.dst, "packet received");
        let before = slot.assoc.tally_received();
        slot.assoc.handle_packet(now, input, &mut self.random);
        self.stats.count_received(&before, &slot.assoc.tally_received());
        let moved = slot.assoc.take_peer_changed() | slot.assoc.take_confirmed();
        if phase.is_setup() {
            let open = slot.assoc.phase() == AssociationPhase::Established;
            self.stats.active_establishments += u64::from(open);
        }
        if phase.is_setup() || moved {
            self.table.relink(id);
        }
        self.settle(id);
    }

    /// ABORT and SHUTDOWN COMPLETE may bear the peer's tag, with the T bit set (§8.5.1 B, C). Whether the packet was
    /// for an association; any other tag than its peer's is wrong, and the packet is discarded.
    fn on_reflected_tag(&mut self, meta: &RxMeta, packet: &Packet<'_>, first: &RawChunk<'_>) -> bool {
        let takers = self.endpoints.takers(meta.dst, packet.header.destination_port);
        let Some(id) = self.table.by_peer_of(takers, meta.src, packet.header.source_port) else {
            return false;
        };
        let Some(slot) = self.table.get_mut(id) else {
            return false;
        };
        let Some((auth, first)) = behind_auth(packet.chunks(), first) else {
            return false;
        };
        let reflected = first.is_tag_reflected() && packet.header.verification_tag == slot.assoc.peer_tag();
        let admitted = |assoc: &mut Association| assoc.admit_first(packet.bytes(), auth.as_ref(), first.kind).is_some();
        match first.kind {
            ChunkType::ABORT if reflected && slot.assoc.ignores_abort_to(meta.dst) => {}
            ChunkType::ABORT if reflected && admitted(&mut slot.assoc) => slot.assoc.on_abort(&first),
            ChunkType::SHUTDOWN_COMPLETE if reflected && admitted(&mut slot.assoc) => {
                slot.assoc.on_shutdown_complete();
            }
            ChunkType::SHUTDOWN_ACK if slot.assoc.phase().is_setup() => return false,
            _ => {
                // §8.5: discarded silently.
                self.stats.bad_verification_tag += 1;
                return true;
            }
        }
        self.settle(id);
        true
    }

    /// Whether an answer to `meta` could reach anyone.
    pub(super) fn is_answerable(meta: &RxMeta) -> bool {
        addr::is_usable_peer(meta.src) && addr::is_usable_peer(meta.dst)
    }
}
