//! Which TSNs have arrived: the Cumulative TSN Ack and the gaps behind it (RFC 9260 §3.3.4, §6.7).

use std::collections::VecDeque;

use crate::serial::Tsn;

/// A TSN without the wrap: it only grows over the life of an association, and its low 32 bits are the TSN.
pub(super) type Position = u64;

/// How far behind the Cumulative TSN Ack a Gap Ack Block can reach: its offsets have 16 bits (RFC 9260 §3.3.4).
const MAX_AHEAD: u32 = 0xFFFF;

/// How far a FORWARD-TSN can move after TSNs began anew half the space ahead (RFC 6525 §5.2.4 G1): one that seems to
/// move farther is from before.
const MAX_FORWARD: u32 = 1 << 30;

/// Up to how many words of the bit map an association may keep while it has no gap.
const IDLE_WORDS: usize = 8;

const WORD_BITS: u64 = 64;

/// What a TSN means to the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lookup {
    /// It has not arrived before.
    New(Position),
    /// It arrived before.
    Duplicate,
    /// No SACK could acknowledge it.
    TooFar,
}

/// The TSNs that have arrived. Without a gap it is two numbers; with one it has a bit for each TSN between the
/// Cumulative TSN Ack and the highest, so at most 8 KiB, and recording takes the same time however many gaps there are.
#[derive(Debug)]
pub(super) struct TsnMap {
    /// Everything up to here has arrived.
    cumulative: Position,
    /// The highest that has arrived.
    highest: Position,
    /// What bit 0 of the first word stands for: a multiple of 64.
    base: Position,
    /// A bit for each position from `base`. Empty without a gap.
    words: VecDeque<u64>,
    /// TSNs began anew once.
    begun_anew: bool,
    /// How many arrived before one that precedes them.
    out_of_order: u64,
}

impl TsnMap {
    /// Nothing has arrived yet: the Cumulative TSN Ack is the peer's Initial TSN minus one (RFC 9260 §3.3.4).
    pub(super) fn new(initial_tsn: Tsn) -> Self {
        let cumulative = (1 << 32) + u64::from(initial_tsn.minus(1).0);
        Self {
            cumulative,
            highest: cumulative,
            base: 0,
            words: VecDeque::new(),
            begun_anew: false,
            out_of_order: 0,
        }
    }

    /// The Cumulative TSN Ack.
    pub(super) fn cumulative_tsn(&self) -> Tsn {
        tsn_of(self.cumulative)
    }

    /// The position of the Cumulative TSN Ack.
    pub(super) const fn cumulative(&self) -> Position {
        self.cumulative
    }

    /// The position of the highest TSN that has arrived.
    pub(super) const fn highest(&self) -> Position {
        self.highest
    }

    /// Whether a TSN is missing before the highest one.
    pub(super) const fn has_gap(&self) -> bool {
        self.highest > self.cumulative
    }

    /// What `tsn` is.
    pub(super) fn look_up(&self, tsn: Tsn) -> Lookup {
        let cumulative = self.cumulative_tsn();
        if !tsn.is_after(cumulative) {
            return Lookup::Duplicate;
        }
        let ahead = tsn.steps_from(cumulative);
        if ahead > MAX_AHEAD {
            return Lookup::TooFar;
        }
        let position = self.cumulative + u64::from(ahead);
        if self.contains(position) {
            Lookup::Duplicate
        } else {
            Lookup::New(position)
        }
    }

    /// Whether the TSN at `position` has arrived.
    pub(super) fn contains(&self, position: Position) -> bool {
        if position <= self.cumulative {
            return true;
        }
        position <= self.highest && self.word(position).is_some_and(|word| word & bit(position) != 0)
    }

    /// Records the TSN at `position`, which [`look_up`](Self::look_up) called new.
    #[inline(always)]
    pub(super) fn record(&mut self, position: Position) {
        if position == self.cumulative + 1 && !self.has_gap() {
            self.cumulative = position;
            self.highest = position;
        } else {
            self.record_beside_gap(position);
        }
    }

    fn record_beside_gap(&mut self, position: Position) {
        if self.words.is_empty() {
            self.base = (self.cumulative + 1) / WORD_BITS * WORD_BITS;
        }
        let index = self.index(position);
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        if let Some(word) = self.words.get_mut(index) {
            *word |= bit(position);
        }
        self.highest = self.highest.max(position);
        if position == self.cumulative + 1 {
            self.advance();
        } else {
            self.out_of_order += 1;
        }
    }

    /// How many TSNs arrived before one that precedes them.
    pub(super) const fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    /// Goes on counting from what `old` has come to.
    pub(super) const fn go_on_counting(&mut self, old: &Self) {
        self.out_of_order = old.out_of_order;
    }

    /// Takes everything up to `tsn` as arrived (RFC 3758 §3.6), and what follows it without a gap. The position of
    /// `tsn`; `None` if it is at or behind the Cumulative TSN Ack.
    pub(super) fn forward(&mut self, tsn: Tsn) -> Option<Position> {
        let cumulative = self.cumulative_tsn();
        if !tsn.is_after(cumulative) {
            return None;
        }
        let steps = tsn.steps_from(cumulative);
        if self.begun_anew && steps > MAX_FORWARD {
            return None;
        }
        let through = self.cumulative + u64::from(steps);
        self.forward_to(through);
        Some(through)
    }

    /// Takes half of all TSNs as arrived, so that what has an old one can be told from what has a new one (RFC 6525
    /// §5.1.7 D4). The position of the last of them.
    pub(super) fn begin_anew(&mut self) -> Position {
        let through = self.cumulative + (1 << 31);
        self.begun_anew = true;
        self.forward_to(through);
        through
    }

    /// Takes everything up to `through` as arrived.
    pub(super) fn forward_to(&mut self, through: Position) {
        if through <= self.cumulative {
            return;
        }
        self.cumulative = through;
        if through >= self.highest {
            self.highest = through;
            self.clear_words();
            return;
        }
        while through + 1 >= self.base + WORD_BITS && self.words.pop_front().is_some() {
            self.base += WORD_BITS;
        }
        self.advance();
    }

    /// Takes back the TSN at `position`, which is after the Cumulative TSN Ack (RFC 9260 §6.2: what the receiver drops
    /// it must not acknowledge any more).
    pub(super) fn forget(&mut self, position: Position) {
        if position <= self.cumulative {
            return;
        }
        let index = self.index(position);
        if let Some(word) = self.words.get_mut(index) {
            *word &= !bit(position);
        }
        if position == self.highest {
            self.lower_highest();
        }
    }

    /// Writes the Gap Ack Blocks to `gaps`, lowest first, at most `max` of them (RFC 9260 §6.7).
    pub(super) fn list_gaps(&self, gaps: &mut Vec<(u16, u16)>, max: usize) {
        gaps.clear();
        if !self.has_gap() || max == 0 {
            return;
        }
        // The start of the block that is being read, if one is.
        let mut start = None;
        let mut at = self.base;
        for word in &self.words {
            // What is acknowledged by the Cumulative TSN Ack is no gap.
            let acknowledged = (self.cumulative + 1).saturating_sub(at).min(WORD_BITS - 1);
            let word = word >> acknowledged << acknowledged;
            let mut offset = 0;
            while offset < WORD_BITS {
                let rest = word >> offset;
                if let Some(first) = start {
                    offset += u64::from(rest.trailing_ones());
                    if offset < WORD_BITS {
                        gaps.push(self.block(first, at + offset - 1));
                        start = None;
                        if gaps.len() == max {
                            return;
                        }
                    }
                } else {
                    offset += u64::from(rest.trailing_zeros());
                    if rest != 0 {
                        start = Some(at + offset);
                    }
                }
            }
            at += WORD_BITS;
        }
        if let Some(first) = start {
            gaps.push(self.block(first, self.highest));
        }
    }

    /// Moves the Cumulative TSN Ack over what has arrived.
    fn advance(&mut self) {
        while let Some(word) = self.words.front() {
            let offset = self.cumulative + 1 - self.base;
            let ones = u64::from((word >> offset).trailing_ones());
            self.cumulative += ones;
            if offset + ones < WORD_BITS {
                break;
            }
            self.words.pop_front();
            self.base += WORD_BITS;
        }
        if !self.has_gap() {
            self.clear_words();
        }
    }

    /// Finds the highest TSN after the highest one was taken back.
    fn lower_highest(&mut self) {
        while let Some(word) = self.words.back() {
            let at = self.base + WORD_BITS * (to_u64(self.words.len()) - 1);
            if *word != 0 {
                self.highest = at + WORD_BITS - 1 - u64::from(word.leading_zeros());
                break;
            }
            self.words.pop_back();
        }
        if self.words.is_empty() || self.highest <= self.cumulative {
            self.highest = self.cumulative;
            self.clear_words();
        }
    }

    fn clear_words(&mut self) {
        self.words.clear();
        if self.words.capacity() > IDLE_WORDS {
            self.words = VecDeque::new();
        }
    }

    fn word(&self, position: Position) -> Option<u64> {
        self.words.get(self.index(position)).copied()
    }

    fn index(&self, position: Position) -> usize {
        usize::try_from(position.saturating_sub(self.base) / WORD_BITS).unwrap_or(usize::MAX)
    }

    /// A Gap Ack Block. The offsets fit: nothing further ahead is ever recorded.
    fn block(&self, first: Position, last: Position) -> (u16, u16) {
        let offset = |position: Position| u16::try_from(position - self.cumulative).unwrap_or(u16::MAX);
        (offset(first), offset(last))
    }
}

/// The TSN at a position.
pub(super) fn tsn_of(position: Position) -> Tsn {
    let [a, b, c, d, ..] = position.to_le_bytes();
    Tsn(u32::from_le_bytes([a, b, c, d]))
}

const fn bit(position: Position) -> u64 {
    1 << (position % WORD_BITS)
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn record(map: &mut TsnMap, tsn: Tsn) -> Lookup {
        let found = map.look_up(tsn);
        if let Lookup::New(position) = found {
            assert_eq!(tsn_of(position), tsn);
            map.record(position);
        }
        found
    }

    fn gaps(map: &TsnMap) -> Vec<(u16, u16)> {
        let mut gaps = Vec::new();
        map.list_gaps(&mut gaps, usize::MAX);
        gaps
    }

    #[test]
    fn rfc9260_3_3_4_nothing_received_acknowledges_the_initial_tsn_minus_one() {
        assert_eq!(TsnMap::new(Tsn(0)).cumulative_tsn(), Tsn(u32::MAX));
        assert_eq!(TsnMap::new(Tsn(100)).cumulative_tsn(), Tsn(99));
    }

    #[test]
    fn rfc9260_3_3_4_the_example_of_gap_ack_blocks() {
        let mut map = TsnMap::new(Tsn(10));
        for tsn in [10, 11, 12, 14, 15, 17] {
            record(&mut map, Tsn(tsn));
        }
        assert_eq!(map.cumulative_tsn(), Tsn(12));
        assert_eq!(gaps(&map), [(2, 3), (5, 5)]);
    }

    #[test]
    fn rfc9260_6_7_blocks_beyond_the_limit_are_the_highest() {
        let mut map = TsnMap::new(Tsn(1));
        for tsn in (3..1000).step_by(2) {
            record(&mut map, Tsn(tsn));
        }
        let mut some = Vec::new();
        map.list_gaps(&mut some, 3);
        assert_eq!(some, [(3, 3), (5, 5), (7, 7)]);
        assert_eq!(gaps(&map).len(), 499);
    }

    #[test]
    fn what_a_gap_ack_block_cannot_name_is_too_far() {
        let mut map = TsnMap::new(Tsn(0));
        assert_eq!(map.look_up(Tsn(65_535)), Lookup::TooFar);
        assert!(matches!(record(&mut map, Tsn(65_534)), Lookup::New(_)));
        assert_eq!(gaps(&map), [(65_535, 65_535)]);
        assert_eq!(map.look_up(Tsn(0x7FFF_FFFE)), Lookup::TooFar);
        assert_eq!(map.look_up(Tsn(0x8000_0000)), Lookup::Duplicate);
    }

    #[test]
    fn closing_the_last_gap_gives_the_memory_back() {
        let mut map = TsnMap::new(Tsn(0));
        for tsn in (1..60_000).rev() {
            record(&mut map, Tsn(tsn));
        }
        assert!(map.words.capacity() >= 900);
        record(&mut map, Tsn(0));
        assert_eq!(map.cumulative_tsn(), Tsn(59_999));
        assert!(!map.has_gap() && map.words.capacity() <= IDLE_WORDS);
    }

    #[test]
    fn rfc3758_3_6_the_example_of_a_forward_tsn() {
        let mut map = TsnMap::new(Tsn(100));
        for tsn in [100, 101, 102, 104, 105, 107] {
            record(&mut map, Tsn(tsn));
        }
        assert!(map.forward(Tsn(103)).is_some());
        assert_eq!((map.cumulative_tsn(), gaps(&map)), (Tsn(105), vec![(2, 2)]));
        assert_eq!(map.forward(Tsn(105)), None);
        assert!(map.forward(Tsn(104).plus(1 << 30)).is_some());
        assert!(!map.has_gap() && map.words.is_empty());
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(
            start: u32,
            steps in prop::collection::vec((0u32..400, 0u8..20), 1..300),
        ) {
            let mut map = TsnMap::new(Tsn(start));
            let mut set = BTreeSet::new();
            let mut cumulative = 0u32;
            for (offset, action) in steps {
                let offset = offset + 1;
                if action == 0 {
                    let found = map.forward(Tsn(start).plus(offset - 1));
                    prop_assert_eq!(found.is_some(), offset > cumulative);
                    prop_assert!(found.is_none_or(|through| tsn_of(through) == Tsn(start).plus(offset - 1)));
                    set.extend(cumulative + 1..=offset);
                } else if action < 3 {
                    if offset > cumulative && set.remove(&offset) {
                        map.forget(map.cumulative() + u64::from(offset - cumulative));
                    }
                } else {
                    let known = offset <= cumulative || set.contains(&offset);
                    let found = record(&mut map, Tsn(start).plus(offset - 1));
                    prop_assert_eq!(found == Lookup::Duplicate, known);
                    set.insert(offset);
                }
                while set.contains(&(cumulative + 1)) {
                    cumulative += 1;
                }
                prop_assert_eq!(map.cumulative_tsn(), Tsn(start).plus(cumulative).minus(1));
                let highest = set.last().copied().unwrap_or(0).max(cumulative);
                prop_assert_eq!(map.highest() - map.cumulative(), u64::from(highest - cumulative));
                let listed: Vec<u32> =
                    gaps(&map).into_iter().flat_map(|(first, last)| u32::from(first)..=u32::from(last)).collect();
                let expected: Vec<u32> = set.range(cumulative + 1..).map(|offset| offset - cumulative).collect();
                prop_assert_eq!(listed, expected);
                let blocks = gaps(&map);
                prop_assert!(blocks.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "isolated: {:?}", blocks);
            }
        }
    }
}
