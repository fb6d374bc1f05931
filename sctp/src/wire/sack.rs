//! SACK chunks (RFC 9260 §3.3.4).

use std::fmt;
use std::iter::FusedIterator;
use std::slice;

use crate::error::DecodeError;
use crate::serial::Tsn;
use crate::tlv::ReadError;
use crate::wire::chunk::{ChunkType, length_field};

/// Bytes of a SACK chunk before its gap ack blocks.
pub const SACK_HEADER_LEN: usize = 16;

/// Bytes of a gap ack block, and of a duplicate TSN.
const ENTRY_LEN: usize = 4;

/// How many gap ack blocks and duplicate TSNs a chunk length can count together.
const MAX_ENTRIES: usize = (u16::MAX as usize - SACK_HEADER_LEN) / ENTRY_LEN;

/// A SACK chunk, borrowed. What it says is a peer's claim: blocks may be out of order, overlap, or be upside down.
#[derive(Clone, Debug)]
pub struct Sack<'a> {
    /// All TSNs up to this one have been received.
    pub cumulative_tsn_ack: Tsn,
    /// Advertised Receiver Window Credit, in bytes.
    pub a_rwnd: u32,
    /// Gap ack blocks, as offsets from `cumulative_tsn_ack`.
    pub gaps: GapBlocks<'a>,
    /// TSNs that came again, each as often as it did.
    pub duplicates: DuplicateTsns<'a>,
}

impl<'a> Sack<'a> {
    /// Reads the value of a SACK chunk; the two counts must come to its length exactly.
    #[inline]
    pub fn parse(value: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((&[t1, t2, t3, t4, w1, w2, w3, w4, g1, g2, d1, d2], lists)) = value.split_first_chunk() else {
            return Err(ReadError::Truncated { at: "SACK" }.into());
        };
        let gaps = usize::from(u16::from_be_bytes([g1, g2]));
        let duplicates = usize::from(u16::from_be_bytes([d1, d2]));
        let (entries, []) = lists.as_chunks::<ENTRY_LEN>() else {
            return Err(ReadError::BadLength { at: "SACK" }.into());
        };
        let Some((gaps, rest)) = entries.split_at_checked(gaps) else {
            return Err(ReadError::BadLength {
                at: "Number of Gap Ack Blocks",
            }
            .into());
        };
        if rest.len() != duplicates {
            return Err(ReadError::BadLength {
                at: "Number of Duplicate TSNs",
            }
            .into());
        }
        Ok(Self {
            cumulative_tsn_ack: Tsn(u32::from_be_bytes([t1, t2, t3, t4])),
            a_rwnd: u32::from_be_bytes([w1, w2, w3, w4]),
            gaps: GapBlocks { blocks: gaps.iter() },
            duplicates: DuplicateTsns { tsns: rest.iter() },
        })
    }
}

/// Gap ack blocks: first and last TSN of each, as offsets from the cumulative TSN ack.
#[derive(Clone)]
pub struct GapBlocks<'a> {
    blocks: slice::Iter<'a, [u8; ENTRY_LEN]>,
}

impl fmt::Debug for GapBlocks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl Iterator for GapBlocks<'_> {
    type Item = (u16, u16);

    #[inline]
    fn next(&mut self) -> Option<(u16, u16)> {
        self.blocks
            .next()
            .map(|&[s1, s2, e1, e2]| (u16::from_be_bytes([s1, s2]), u16::from_be_bytes([e1, e2])))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.blocks.size_hint()
    }
}

impl ExactSizeIterator for GapBlocks<'_> {}
impl FusedIterator for GapBlocks<'_> {}

/// Duplicate TSNs of a SACK.
#[derive(Clone)]
pub struct DuplicateTsns<'a> {
    tsns: slice::Iter<'a, [u8; ENTRY_LEN]>,
}

impl fmt::Debug for DuplicateTsns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl Iterator for DuplicateTsns<'_> {
    type Item = Tsn;

    #[inline]
    fn next(&mut self) -> Option<Tsn> {
        self.tsns.next().map(|&tsn| Tsn(u32::from_be_bytes(tsn)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.tsns.size_hint()
    }
}

impl ExactSizeIterator for DuplicateTsns<'_> {}
impl FusedIterator for DuplicateTsns<'_> {}

/// Bytes of a SACK chunk with so many gap ack blocks and duplicate TSNs.
#[inline]
pub const fn sack_len(gaps: usize, duplicates: usize) -> usize {
    SACK_HEADER_LEN.saturating_add(gaps.saturating_add(duplicates).saturating_mul(ENTRY_LEN))
}

/// Appends a SACK chunk. Callers keep the lists within the packet; whatever no chunk length could count is left out,
/// duplicates before gaps.
#[inline]
pub fn write_sack(buf: &mut Vec<u8>, cumulative_tsn_ack: Tsn, a_rwnd: u32, gaps: &[(u16, u16)], duplicates: &[Tsn]) {
    let gaps = gaps.get(..MAX_ENTRIES).unwrap_or(gaps);
    let duplicates = duplicates.get(..MAX_ENTRIES - gaps.len()).unwrap_or(duplicates);
    let length = sack_len(gaps.len(), duplicates.len());
    let [l1, l2] = length_field(length);
    let [t1, t2, t3, t4] = cumulative_tsn_ack.0.to_be_bytes();
    let [w1, w2, w3, w4] = a_rwnd.to_be_bytes();
    let [g1, g2] = count_field(gaps.len());
    let [d1, d2] = count_field(duplicates.len());
    let header: [u8; SACK_HEADER_LEN] = [
        ChunkType::SACK.0,
        0,
        l1,
        l2,
        t1,
        t2,
        t3,
        t4,
        w1,
        w2,
        w3,
        w4,
        g1,
        g2,
        d1,
        d2,
    ];
    buf.reserve(length);
    buf.extend_from_slice(&header);
    for &(start, end) in gaps {
        let ([s1, s2], [e1, e2]) = (start.to_be_bytes(), end.to_be_bytes());
        buf.extend_from_slice(&[s1, s2, e1, e2]);
    }
    for tsn in duplicates {
        buf.extend_from_slice(&tsn.0.to_be_bytes());
    }
}

/// A count that [`MAX_ENTRIES`] has bounded.
#[inline]
fn count_field(count: usize) -> [u8; 2] {
    u16::try_from(count).unwrap_or(u16::MAX).to_be_bytes()
}
