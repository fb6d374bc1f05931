//! Sets of chunk types, and what a side says about AUTH in its INIT or INIT ACK (RFC 4895 §3).

use crate::config::may_be_listed;
use crate::error::Violation;
use crate::wire::{ChunkType, HmacId, ParamType};

/// Bytes of a Random Number (§3.1).
pub(crate) const RANDOM_LEN: usize = 32;

/// How many HMAC Identifiers a peer may list. Four are assigned; the list has to be kept in the State Cookie.
const MAX_HMACS: usize = 64;

/// Chunk types, and those that take their place where messages are interleaved.
const INTERLEAVED: [(ChunkType, ChunkType); 2] = [
    (ChunkType::DATA, ChunkType::I_DATA),
    (ChunkType::FORWARD_TSN, ChunkType::I_FORWARD_TSN),
];

/// A set of chunk types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkSet([u64; 4]);

impl ChunkSet {
    /// The types of a CHUNKS parameter; those that must not stand there are ignored (§3.2).
    pub(crate) fn of_list(listed: &[u8]) -> Self {
        let mut set = Self::default();
        for kind in listed.iter().map(|&kind| ChunkType(kind)) {
            if may_be_listed(kind) {
                set.insert(kind);
            }
        }
        set
    }

    pub(crate) fn insert(&mut self, kind: ChunkType) {
        if let Some(word) = self.0.get_mut(usize::from(kind.0 >> 6)) {
            *word |= 1 << (kind.0 & 63);
        }
    }

    pub(crate) fn contains(&self, kind: ChunkType) -> bool {
        self.0
            .get(usize::from(kind.0 >> 6))
            .is_some_and(|word| word >> (kind.0 & 63) & 1 == 1)
    }

    /// The set with the types that stand for some of it where messages are interleaved (RFC 8260): who wants DATA
    /// authenticated means I-DATA as well.
    #[must_use]
    pub(crate) fn with_interleaved(mut self) -> Self {
        for (kind, interleaved) in INTERLEAVED {
            if self.contains(kind) {
                self.insert(interleaved);
            }
        }
        self
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ChunkType> {
        (0..=u8::MAX).map(ChunkType).filter(|&kind| self.contains(kind))
    }
}

/// Adds to a list what takes the place of types in it where messages are interleaved.
pub(crate) fn list_interleaved(listed: &mut Vec<ChunkType>) {
    for (kind, interleaved) in INTERLEAVED {
        if listed.contains(&kind) && !listed.contains(&interleaved) {
            listed.push(interleaved);
        }
    }
}

/// The RANDOM, CHUNKS and HMAC-ALGO parameters of one side, as they went over the wire: the keys are made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthParams {
    pub(crate) random: [u8; RANDOM_LEN],
    /// The chunk types in their order; `None` if there was no CHUNKS parameter.
    pub(crate) chunks: Option<Vec<u8>>,
    pub(crate) hmacs: Vec<u16>,
}

impl AuthParams {
    /// The chunk types that this side takes only when they are authenticated.
    pub(crate) fn chunk_set(&self) -> ChunkSet {
        ChunkSet::of_list(self.chunks.as_deref().unwrap_or_default())
    }

    /// Whether this side lists an HMAC.
    pub(crate) fn accepts(&self, hmac: HmacId) -> bool {
        self.hmacs.contains(&hmac.0)
    }

    /// The HMAC to use towards this side: the first one listed that is supported here (§6.1).
    pub(crate) fn preferred_hmac(&self) -> HmacId {
        let mut listed = self.hmacs.iter().map(|&id| HmacId(id));
        listed.find(|id| id.hmac_len().is_some()).unwrap_or(HmacId::SHA1)
    }

    /// The key vector: the three parameters with their headers and without padding, one after another (§6.1).
    pub(crate) fn key_vector(&self) -> Vec<u8> {
        let mut vector = Vec::with_capacity(96);
        let mut push = |kind: ParamType, value: &[u8]| {
            let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
            vector.extend_from_slice(&kind.0.to_be_bytes());
            vector.extend_from_slice(&length.to_be_bytes());
            vector.extend_from_slice(value);
        };
        push(ParamType::RANDOM, &self.random);
        if let Some(chunks) = &self.chunks {
            push(ParamType::CHUNKS, chunks);
        }
        let hmacs: Vec<u8> = self.hmacs.iter().flat_map(|id| id.to_be_bytes()).collect();
        push(ParamType::HMAC_ALGO, &hmacs);
        vector
    }
}

/// The AUTH parameters of an INIT or INIT ACK while it is read.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuthParamsReader<'a> {
    random: Option<&'a [u8]>,
    chunks: Option<&'a [u8]>,
    hmacs: Option<Vec<u16>>,
    repeated: bool,
}

impl<'a> AuthParamsReader<'a> {
    pub(crate) const fn random(&mut self, value: &'a [u8]) {
        self.repeated |= self.random.replace(value).is_some();
    }

    pub(crate) const fn chunks(&mut self, value: &'a [u8]) {
        self.repeated |= self.chunks.replace(value).is_some();
    }

    pub(crate) fn hmacs(&mut self, ids: impl Iterator<Item = u16>) {
        // One more than may be is enough to tell.
        let ids = ids.take(MAX_HMACS + 1).collect();
        self.repeated |= self.hmacs.replace(ids).is_some();
    }

    /// What the sender wants. It takes part if it sent both RANDOM and HMAC-ALGO (§6.1).
    pub(crate) fn finish(self) -> Result<Option<AuthParams>, Violation> {
        if self.repeated {
            return Err(Violation::RepeatedAuthParameter);
        }
        // §6.1: the association MUST be aborted.
        let random = match self.random {
            Some(value) => Some(<[u8; RANDOM_LEN]>::try_from(value).map_err(|_| Violation::BadRandom)?),
            None => None,
        };
        if let Some(hmacs) = &self.hmacs
            && (hmacs.len() > MAX_HMACS || !hmacs.contains(&HmacId::SHA1.0))
        {
            return Err(Violation::BadHmacList);
        }
        let too_long = self.chunks.is_some_and(|chunks| chunks.len() > 256);
        match (random, self.hmacs) {
            _ if too_long => Err(Violation::BadChunkList),
            (Some(random), Some(hmacs)) => Ok(Some(AuthParams {
                random,
                chunks: self.chunks.map(<[u8]>::to_vec),
                hmacs,
            })),
            // Chunks are asked for that cannot be authenticated.
            _ if self.chunks.is_some() => Err(Violation::BadChunkList),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4895_3_2_chunk_types_that_must_not_be_listed_are_ignored() {
        let all: Vec<u8> = (0..=255).collect();
        let set = ChunkSet::of_list(&all);
        let left_out: Vec<u8> = all.into_iter().filter(|&kind| !set.contains(ChunkType(kind))).collect();
        assert_eq!(left_out, [1, 2, 14, 15]);
        assert_eq!(set.iter().count(), 252);
        assert_eq!(ChunkSet::of_list(&[1, 2, 14, 15]), ChunkSet::default());
    }

    fn reader(random: &[u8], hmacs: impl IntoIterator<Item = u16>) -> AuthParamsReader<'_> {
        let mut reader = AuthParamsReader::default();
        reader.random(random);
        reader.hmacs(hmacs.into_iter());
        reader
    }

    #[test]
    fn rfc4895_6_1_a_random_number_of_another_length_is_refused() {
        for len in [0, 31, 33, 64] {
            let refused = reader(&vec![7; len], [1]).finish();
            assert_eq!(refused, Err(Violation::BadRandom), "{len} bytes");
        }
        assert!(reader(&[7; 32], [1]).finish().unwrap().is_some());
    }

    #[test]
    fn rfc4895_6_1_sha1_must_be_listed_and_the_list_is_bounded() {
        assert_eq!(reader(&[7; 32], [3]).finish(), Err(Violation::BadHmacList));
        assert_eq!(reader(&[7; 32], []).finish(), Err(Violation::BadHmacList));
        assert!(reader(&[7; 32], [1; 64]).finish().is_ok());
        assert_eq!(reader(&[7; 32], [1; 65]).finish(), Err(Violation::BadHmacList));
    }

    #[test]
    fn rfc4895_3_each_parameter_stands_once() {
        let mut twice = reader(&[7; 32], [1]);
        twice.random(&[7; 32]);
        assert_eq!(twice.finish(), Err(Violation::RepeatedAuthParameter));
        let mut twice = reader(&[7; 32], [1]);
        twice.hmacs([1].into_iter());
        assert_eq!(twice.finish(), Err(Violation::RepeatedAuthParameter));
        let mut twice = reader(&[7; 32], [1]);
        twice.chunks(&[0]);
        twice.chunks(&[0]);
        assert_eq!(twice.finish(), Err(Violation::RepeatedAuthParameter));
    }

    #[test]
    fn rfc4895_6_1_without_random_or_hmac_algo_a_side_takes_no_part() {
        let mut only_random = AuthParamsReader::default();
        only_random.random(&[7; 32]);
        assert_eq!(only_random.clone().finish(), Ok(None));
        only_random.chunks(&[0]);
        assert_eq!(
            only_random.finish(),
            Err(Violation::BadChunkList),
            "and cannot ask for anything"
        );
        assert_eq!(AuthParamsReader::default().finish(), Ok(None));
    }

    #[test]
    fn rfc4895_3_2_a_chunk_list_has_256_types_at_most() {
        let long = [0; 257];
        let mut params = reader(&[7; 32], [1]);
        params.chunks(&long[..256]);
        assert!(params.finish().is_ok());
        let mut params = reader(&[7; 32], [1]);
        params.chunks(&long);
        assert_eq!(params.finish(), Err(Violation::BadChunkList));
    }

    #[test]
    fn rfc4895_6_1_the_first_listed_hmac_that_is_supported_is_used() {
        let params = |hmacs: &[u16]| reader(&[7; 32], hmacs.iter().copied()).finish().unwrap().unwrap();
        assert_eq!(params(&[2, 9, 3, 1]).preferred_hmac(), HmacId::SHA256);
        assert_eq!(params(&[1, 3]).preferred_hmac(), HmacId::SHA1);
        assert!(params(&[1, 9]).accepts(HmacId(9)) && !params(&[1]).accepts(HmacId::SHA256));
    }
}
