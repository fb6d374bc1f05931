//! Which extensions a side supports, and how it says so in INIT and INIT ACK (RFC 5061 §4.2.7, RFC 3758 §3.3).

use super::auth::offers_auth;
use crate::config::AssociationConfig;
use crate::tlv::Writer;
use crate::wire::{ChunkType, Param};

/// A set of extensions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions(u16);

impl Extensions {
    /// None.
    pub(crate) const NONE: Self = Self(0);
    /// Partial reliability (RFC 3758).
    pub(crate) const FORWARD_TSN: Self = Self(1);
    /// Interleaving of messages (RFC 8260).
    pub(crate) const INTERLEAVING: Self = Self(16);
    /// Addresses that change (RFC 5061).
    pub(crate) const ASCONF: Self = Self(4);
    /// Partial reliability together with it.
    pub(crate) const I_FORWARD_TSN: Self = Self(64);

    /// Fragments are numbered as the Linux kernel does it (RFC 8260 §2.1 would begin with 1 behind the first). Nobody
    /// lists this: it is concluded.
    pub(crate) const FRAGMENTS_FROM_ZERO: Self = Self(128);

    /// Authenticated chunks (RFC 4895). A peer has it that says so by parameters of its own.
    pub(crate) const AUTH: Self = Self(2);

    /// Packets without a checksum (RFC 9653). It has no chunk: a parameter of its own names the method.
    pub(crate) const ZERO_CHECKSUM: Self = Self(32);

    /// Stream re-configuration (RFC 6525).
    pub(crate) const RECONFIG: Self = Self(8);

    /// Explicit Congestion Notification. A parameter of its own says so.
    pub(crate) const ECN: Self = Self(256);

    /// Each extension with the chunk type by which the Supported Extensions parameter names it.
    const BY_CHUNK: [(Self, ChunkType); 7] = [
        (Self::FORWARD_TSN, ChunkType::FORWARD_TSN),
        (Self::AUTH, ChunkType::AUTH),
        (Self::RECONFIG, ChunkType::RE_CONFIG),
        (Self::ASCONF, ChunkType::ASCONF),
        (Self::ASCONF, ChunkType::ASCONF_ACK),
        (Self::INTERLEAVING, ChunkType::I_DATA),
        (Self::I_FORWARD_TSN, ChunkType::I_FORWARD_TSN),
    ];

    /// What an association with this configuration offers.
    pub(crate) fn offered(config: &AssociationConfig) -> Self {
        let mut own = Self::NONE;
        if config.partial_reliability() {
            own.insert(Self::FORWARD_TSN);
        }
        if config.interleaving().offered() {
            own.insert(Self::INTERLEAVING.with(Self::FRAGMENTS_FROM_ZERO));
            if config.partial_reliability() {
                own.insert(Self::I_FORWARD_TSN);
            }
        }
        if offers_auth(config) {
            own.insert(Self::AUTH);
        }
        if config.reconfig().offered() {
            own.insert(Self::RECONFIG);
        }
        if config.asconf().offered() {
            own.insert(Self::ASCONF);
        }
        if config.ecn() {
            own.insert(Self::ECN);
        }
        own
    }

    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(crate) const fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// Of what both sides support, leaves what goes together: with interleaving, partial reliability takes
    /// I-FORWARD-TSN, and [`FORWARD_TSN`](Self::FORWARD_TSN) stands for that from now on (RFC 8260 §2.3.1).
    pub(crate) const fn settle_interleaving(&mut self) {
        if self.contains(Self::INTERLEAVING) && !self.contains(Self::I_FORWARD_TSN) {
            self.0 &= !Self::FORWARD_TSN.0;
        }
    }

    /// What a peer has without saying so that lists I-DATA but neither FORWARD-TSN nor I-FORWARD-TSN, and has partial
    /// reliability by the parameter of RFC 3758. The Linux kernel is such a peer: it uses I-FORWARD-TSN unasked, which
    /// must not end the association (RFC 8260 §2.3.1 would have it listed), and numbers fragments its own way.
    pub(crate) const fn insert_unlisted(&mut self) {
        if self.contains(Self::INTERLEAVING.with(Self::FORWARD_TSN)) {
            self.insert(Self::I_FORWARD_TSN.with(Self::FRAGMENTS_FROM_ZERO));
        }
    }

    /// What both sides support.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Takes in a Supported Extensions parameter. Chunk types that are not known here are the peer's own business.
    pub(crate) fn insert_listed(&mut self, chunk_types: &[u8]) {
        for (extension, kind) in Self::BY_CHUNK {
            if chunk_types.contains(&kind.0) {
                self.insert(extension);
            }
        }
    }

    /// Writes the parameters of an INIT or INIT ACK that announce the set. RFC 3758 is older than the list of
    /// extensions and has a parameter of its own, which older peers look for.
    pub(crate) fn write_params(self, w: &mut Writer<'_>) {
        let listed: Vec<u8> = Self::BY_CHUNK
            .into_iter()
            .filter(|(extension, _)| self.contains(*extension))
            .map(|(_, kind)| kind.0)
            .collect();
        if !listed.is_empty() {
            Param::SupportedExtensions(&listed).write(w);
        }
        if self.contains(Self::FORWARD_TSN) {
            Param::ForwardTsnSupported.write(w);
        }
        if self.contains(Self::ECN) {
            Param::EcnCapable.write(w);
        }
    }

    /// The set as a number, for a State Cookie.
    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    /// What [`bits`](Self::bits) gave.
    pub(crate) const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params_of(set: Extensions) -> Vec<u8> {
        let mut buf = Vec::new();
        set.write_params(&mut Writer::new(&mut buf));
        buf
    }

    #[test]
    fn rfc5061_4_2_7_the_list_names_extensions_by_their_chunk_types() {
        let forward_tsn = [0x80, 0x08, 0, 5, 0xc0, 0, 0, 0, 0xc0, 0x00, 0, 4];
        assert_eq!(params_of(Extensions::FORWARD_TSN), forward_tsn);
        assert!(params_of(Extensions::NONE).is_empty());
        assert_eq!(params_of(Extensions::ECN), [0x80, 0, 0, 4]);
    }

    #[test]
    fn rfc5061_4_2_7_unknown_chunk_types_in_the_list_mean_nothing() {
        let mut set = Extensions::NONE;
        set.insert_listed(&[0x41, 0x77]);
        assert_eq!(set, Extensions::NONE);
        set.insert_listed(&[0x77, ChunkType::FORWARD_TSN.0]);
        assert_eq!(set, Extensions::FORWARD_TSN);
        assert_eq!(Extensions::from_bits(set.bits()), set);
    }

    #[test]
    fn rfc3758_3_3_1_only_what_both_sides_support_is_used() {
        let mut config = AssociationConfig::default();
        let with = Extensions::offered(&config);
        config.set_partial_reliability(false);
        let without = Extensions::offered(&config);
        assert!(with.and(with).contains(Extensions::FORWARD_TSN));
        assert!(!with.and(without).contains(Extensions::FORWARD_TSN));
    }
}
