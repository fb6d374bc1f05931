//! Packets without a checksum, where what carries them guards them already (RFC 9653).

use super::{Association, Extensions, PeerInit};
use crate::config::AssociationConfig;
use crate::serial::SharedKeyId;
use crate::wire::{self, ChunkType, Chunks, CommonHeader};

/// The extensions that an association of this configuration has in common with its peer. Zero checksums are among them
/// if both sides name the same method (RFC 9653 §5.2).
pub(super) fn common_extensions(config: &AssociationConfig, peer: &PeerInit) -> Extensions {
    let mut common = Extensions::offered(config).and(peer.extensions);
    if config.zero_checksum().is_some() && config.zero_checksum() == peer.zero_checksum {
        common.insert(Extensions::ZERO_CHECKSUM);
    }
    // RFC 5061 §4.2.7: addresses change under authentication only.
    if config.asconf().authentication_required() && !common.contains(Extensions::AUTH) {
        common.remove(Extensions::ASCONF);
    }
    common.settle_interleaving();
    common
}

impl Association {
    /// Whether packets are taken whose checksum is zero: this side has said so in its INIT or INIT ACK (RFC 9653 §5.3).
    pub(crate) fn takes_zero_checksum(&self) -> bool {
        self.config.zero_checksum().is_some()
    }

    /// Whether packets leave with a checksum of zero.
    pub(super) const fn sends_zero_checksum(&self) -> bool {
        self.extensions.contains(Extensions::ZERO_CHECKSUM)
    }

    /// Completes the packet that starts at `start` and reaches to the end of `buf`.
    #[inline]
    pub(super) fn finish_packet(&mut self, buf: &mut Vec<u8>, start: usize) {
        self.finish_data_packet(buf, start, None);
    }

    /// The same for a packet whose user data asks for the key `key` (RFC 4895).
    #[inline]
    pub(super) fn finish_data_packet(&mut self, buf: &mut Vec<u8>, start: usize, key: Option<SharedKeyId>) {
        if self.auth.is_some() {
            self.authenticate(buf, start, key);
        }
        if self.sends_zero_checksum() {
            finish_without_checksum(buf, start);
        } else {
            wire::finish_packet(buf, start);
        }
    }
}

/// RFC 9653 §5.2: whoever gets one of these has to look for its association otherwise than by the tag, and may not know
/// yet what was agreed on. A SHUTDOWN ACK that is sent again may find nobody any more, who has to answer it all the
/// same (RFC 9260 §8.4 rule 5).
const CHECKED: [ChunkType; 4] = [
    ChunkType::INIT,
    ChunkType::COOKIE_ECHO,
    ChunkType::ASCONF,
    ChunkType::SHUTDOWN_ACK,
];

fn finish_without_checksum(buf: &mut [u8], start: usize) {
    let chunks = buf.get(start + CommonHeader::LEN..).unwrap_or_default();
    let mut kinds = Chunks::new(chunks, 0).map_while(Result::ok).map(|chunk| chunk.kind);
    if kinds.any(|kind| CHECKED.contains(&kind)) {
        wire::finish_packet(buf, start);
    } else {
        wire::finish_packet_zero_checksum(buf, start);
    }
}
