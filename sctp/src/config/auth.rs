//! Authenticated chunks (RFC 4895).

use std::collections::BTreeSet;

use super::{SharedKeys, check};
use crate::error::ConfigError;
use crate::wire::{ChunkType, HmacId};

/// What is authenticated, and how.
///
/// Associations are offered AUTH if [`set_enabled`](Self::set_enabled) says so, or as soon as a chunk type is listed.
/// Changes of the lists hold for new associations; an association starts with a copy of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    enabled: bool,
    chunks: BTreeSet<ChunkType>,
    hmacs: Vec<HmacId>,
    keys: SharedKeys,
}

impl Default for AuthConfig {
    /// Not offered; HMAC-SHA-256 is liked better than HMAC-SHA-1, which is always there (RFC 4895 §6.1); the null key.
    fn default() -> Self {
        Self {
            enabled: false,
            chunks: BTreeSet::new(),
            hmacs: vec![HmacId::SHA256, HmacId::SHA1],
            keys: SharedKeys::default(),
        }
    }
}

impl AuthConfig {
    /// Whether AUTH is offered to peers.
    pub fn is_offered(&self) -> bool {
        self.enabled || !self.chunks.is_empty()
    }

    /// Sets whether AUTH is offered even if no chunk type is listed here, for what a peer wants authenticated.
    pub const fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    /// The chunk types that are taken only when they are authenticated.
    pub fn chunks(&self) -> impl Iterator<Item = ChunkType> {
        self.chunks.iter().copied()
    }

    /// Takes chunks of this type only when they are authenticated (SCTP_AUTH_CHUNK, RFC 6458 §8.3.2); INIT, INIT ACK,
    /// SHUTDOWN COMPLETE and AUTH cannot be (RFC 4895 §3.2).
    ///
    /// Where interleaving is offered, DATA stands for I-DATA too, and FORWARD-TSN for I-FORWARD-TSN (RFC 8260).
    ///
    /// They are dropped otherwise, even if the peer does not know AUTH: nobody who removes it from a set-up gets such a
    /// chunk through. With ABORT listed a dead peer is found late; with COOKIE ECHO listed a peer cannot restart unless
    /// it knows the keys it had (RFC 4895 §6.3).
    pub fn require(&mut self, kind: ChunkType) -> Result<(), ConfigError> {
        check(
            may_be_listed(kind),
            "authenticated chunk type",
            "any but INIT, INIT ACK, SHUTDOWN COMPLETE and AUTH",
        )?;
        self.chunks.insert(kind);
        Ok(())
    }

    /// Takes chunks of this type without authentication again.
    pub fn do_not_require(&mut self, kind: ChunkType) {
        self.chunks.remove(&kind);
    }

    /// The HMACs that the peer may use, the one liked best first.
    pub fn hmacs(&self) -> &[HmacId] {
        &self.hmacs
    }

    /// Sets the HMACs that the peer may use, the one liked best first (SCTP_HMAC_IDENT, RFC 6458 §8.1.17): SHA-1, and
    /// SHA-256 or not, none twice. A peer may use the weakest of them (RFC 4895 §9).
    pub fn set_hmacs(&mut self, hmacs: &[HmacId]) -> Result<(), ConfigError> {
        let known = hmacs.iter().all(|hmac| hmac.hmac_len().is_some());
        let distinct = hmacs.iter().collect::<BTreeSet<_>>().len() == hmacs.len();
        check(
            known && distinct && hmacs.contains(&HmacId::SHA1),
            "HMAC identifiers",
            "SHA-1, and SHA-256 or not",
        )?;
        self.hmacs = hmacs.to_vec();
        Ok(())
    }

    /// The endpoint pair shared keys that new associations start with.
    pub const fn keys(&self) -> &SharedKeys {
        &self.keys
    }

    /// The endpoint pair shared keys that new associations start with, to be changed.
    pub const fn keys_mut(&mut self) -> &mut SharedKeys {
        &mut self.keys
    }
}

/// Whether a chunk type may stand in a CHUNKS parameter (RFC 4895 §3.2).
pub(crate) const fn may_be_listed(kind: ChunkType) -> bool {
    !matches!(
        kind,
        ChunkType::INIT | ChunkType::INIT_ACK | ChunkType::SHUTDOWN_COMPLETE | ChunkType::AUTH
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6458_8_3_2_chunk_types_that_cannot_be_authenticated_are_refused() {
        let mut config = AuthConfig::default();
        for kind in [
            ChunkType::INIT,
            ChunkType::INIT_ACK,
            ChunkType::SHUTDOWN_COMPLETE,
            ChunkType::AUTH,
        ] {
            assert!(config.require(kind).is_err(), "{kind}");
        }
        assert!(!config.is_offered());
        config.require(ChunkType::DATA).unwrap();
        assert!(config.is_offered());
        config.do_not_require(ChunkType::DATA);
        assert!(!config.is_offered());
    }

    #[test]
    fn rfc6458_8_1_17_the_list_of_hmacs_holds_sha1_and_known_ones_only() {
        let mut config = AuthConfig::default();
        for refused in [
            &[][..],
            &[HmacId::SHA256],
            &[HmacId::SHA1, HmacId(2)],
            &[HmacId::SHA1, HmacId::SHA1],
        ] {
            assert!(config.set_hmacs(refused).is_err(), "{refused:?}");
        }
        assert_eq!(config, AuthConfig::default());
        config.set_hmacs(&[HmacId::SHA1]).unwrap();
        assert_eq!(config.hmacs(), [HmacId::SHA1]);
    }
}
