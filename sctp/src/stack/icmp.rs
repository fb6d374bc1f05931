//! What the network says about packets of ours: ICMP (RFC 9260 §10, RFC 6951 §5.5) and the limits of the own
//! interfaces.

use std::net::IpAddr;

use super::{AssocId, Stack};
use crate::path::PathId;
use crate::serial::VerificationTag;
use crate::time::Instant;
use crate::transmit::{IcmpKind, IcmpReport, Transmit};
use crate::wire::{ChunkType, CommonHeader};

/// Bytes of a quoted INIT up to the end of its initiate tag.
const INIT_QUOTE: usize = CommonHeader::LEN + 8;

/// A packet that this stack sent, as far as it is quoted.
struct Quoted {
    id: AssocId,
    path: PathId,
    header: CommonHeader,
}

impl Stack {
    /// An ICMP or ICMPv6 message arrived that is about a packet of this stack (RFC 9260 §10). One that quotes too
    /// little of it, or the wrong verification tag, changes nothing.
    pub fn handle_icmp(&mut self, now: Instant, report: &IcmpReport) {
        if self.process_icmp(now, report).is_some() {
            self.stats.icmp_processed += 1;
        } else {
            self.stats.icmp_discarded += 1;
        }
    }

    fn process_icmp(&mut self, now: Instant, report: &IcmpReport) -> Option<()> {
        // ICMP5: the association is found by what is quoted.
        let quoted = self.find_quoted(report.src, report.dst, &report.quoted)?;
        let slot = self.table.get_mut(quoted.id)?;
        let assoc = &mut slot.assoc;
        // RFC 6951 §5.5: what went out in UDP comes back so.
        if assoc.encapsulation_to(quoted.path) != report.encap {
            return None;
        }
        // ICMP6.
        let tag = quoted.header.verification_tag;
        let is_init = tag == VerificationTag::ZERO;
        if is_init {
            if quoted_initiate_tag(&report.quoted)? != assoc.local_tag() {
                return None;
            }
        } else if tag != assoc.peer_tag() {
            return None;
        }
        match report.kind {
            IcmpKind::PacketTooBig { mtu } => assoc.on_packet_too_big(now, quoted.path, u16::try_from(mtu).ok()?),
            IcmpKind::ProtocolUnreachable => assoc.on_protocol_unreachable(is_init)?,
            // ICMP3; but behind a UDP port it is SCTP that is not there (RFC 6951 §5.5).
            IcmpKind::PortUnreachable if report.encap.is_some() => {
                assoc.on_port_unreachable(now, quoted.path, is_init)?;
            }
            IcmpKind::PortUnreachable => return None,
            IcmpKind::Unreachable => assoc.on_destination_unreachable(now, quoted.path),
        }
        self.settle(quoted.id);
        Some(())
    }

    /// A packet did not leave this host, since it was too large for the interface: `packet` is the SCTP packet, or its
    /// beginning, of `len` bytes, and `transmit` what it was a part of.
    pub fn handle_too_big(&mut self, now: Instant, transmit: &Transmit, packet: &[u8], len: usize) {
        let Some(quoted) = self.find_quoted(transmit.src, transmit.dst, packet) else {
            return;
        };
        let Some(slot) = self.table.get_mut(quoted.id) else {
            return;
        };
        slot.assoc.on_local_limit(now, quoted.path, len);
        self.settle(quoted.id);
    }

    /// The association and the path of a packet that went from `src` to `dst`.
    fn find_quoted(&self, src: Option<IpAddr>, dst: IpAddr, packet: &[u8]) -> Option<Quoted> {
        let header = CommonHeader::parse(packet).ok()?;
        let senders = self.endpoints.senders(src, header.source_port);
        let id = self.table.by_peer_of(senders, dst, header.destination_port)?;
        let path = self.table.get(id)?.assoc.find_path(dst)?;
        Some(Quoted { id, path, header })
    }
}

/// The initiate tag of a quoted packet, if it is an INIT and enough of it is quoted.
fn quoted_initiate_tag(packet: &[u8]) -> Option<VerificationTag> {
    let (_, chunk) = packet.get(..INIT_QUOTE)?.split_at_checked(CommonHeader::LEN)?;
    let [kind, _, _, _, tag @ ..] = chunk else { return None };
    let tag: [u8; 4] = tag.try_into().ok()?;
    (ChunkType(*kind) == ChunkType::INIT).then_some(VerificationTag(u32::from_be_bytes(tag)))
}
