//! Members drawn at random, each with a chance in proportion to its weight.

use std::collections::BTreeMap;

use sctp::random::Random;

/// Members with weights. Adding, removing and drawing one cost O(log n).
///
/// The weights lie in a binary indexed tree over slots: node `i` (counted from 1) holds the sum of the `i & -i` slots
/// that end at `i`.
#[derive(Clone, Debug)]
pub(super) struct Lottery<K> {
    slots: Vec<(K, u64)>,
    tree: Vec<u64>,
    slot_of: BTreeMap<K, usize>,
    total: u64,
}

/// The lowest set bit: how many slots the node sums up.
const fn span(node: usize) -> usize {
    node & node.wrapping_neg()
}

impl<K: Ord + Copy> Lottery<K> {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            tree: Vec::new(),
            slot_of: BTreeMap::new(),
            total: 0,
        }
    }

    /// Adds `key`, or gives it another weight. A member of weight 0 is never drawn.
    pub(super) fn set(&mut self, key: K, weight: u32) {
        match self.slot_of.get(&key) {
            Some(&slot) => self.set_slot(slot, u64::from(weight)),
            None => {
                self.slot_of.insert(key, self.slots.len());
                self.slots.push((key, 0));
                let node = self.slots.len();
                // The new node sums up the slots before it that lie in its span; its own weight is still 0.
                let before = self.sum_to(node.saturating_sub(1));
                let outside = self.sum_to(node.saturating_sub(span(node)));
                self.tree.push(before.saturating_sub(outside));
                self.set_slot(node.saturating_sub(1), u64::from(weight));
            }
        }
    }

    /// The sum of the first `count` slots.
    fn sum_to(&self, count: usize) -> u64 {
        let (mut node, mut sum) = (count, 0_u64);
        while node > 0 {
            sum = sum.saturating_add(self.tree.get(node - 1).copied().unwrap_or_default());
            node -= span(node);
        }
        sum
    }

    fn set_slot(&mut self, slot: usize, weight: u64) {
        let Some((_, current)) = self.slots.get_mut(slot) else {
            return;
        };
        let old = std::mem::replace(current, weight);
        // At most 2^32 members of at most 2^32 each: the sums fit, and wrapping cancels out.
        let change = weight.wrapping_sub(old);
        self.total = self.total.wrapping_add(change);
        let mut node = slot.saturating_add(1);
        while let Some(sum) = self.tree.get_mut(node - 1) {
            *sum = sum.wrapping_add(change);
            node = node.saturating_add(span(node));
        }
    }

    pub(super) fn remove(&mut self, key: K) -> bool {
        let Some(slot) = self.slot_of.remove(&key) else {
            return false;
        };
        let last = self.slots.len().saturating_sub(1);
        let (moved, weight) = self.slots.get(last).copied().unwrap_or((key, 0));
        self.set_slot(slot, 0);
        self.set_slot(last, 0);
        self.slots.pop();
        self.tree.pop();
        if slot != last {
            if let Some(entry) = self.slots.get_mut(slot) {
                entry.0 = moved;
            }
            self.slot_of.insert(moved, slot);
            self.set_slot(slot, weight);
        }
        true
    }

    /// Draws up to `count` different members, the first in proportion to the weights, each further one in proportion
    /// to the weights of those that are left.
    pub(super) fn draw(&mut self, count: usize, random: &mut Random) -> Vec<K> {
        let mut drawn = Vec::new();
        while drawn.len() < count && self.total > 0 {
            let slot = self.slot_at(random.below(self.total));
            let Some(&(key, weight)) = self.slots.get(slot) else {
                break;
            };
            self.set_slot(slot, 0);
            drawn.push((slot, key, weight));
        }
        for &(slot, _, weight) in &drawn {
            self.set_slot(slot, weight);
        }
        drawn.into_iter().map(|(_, key, _)| key).collect()
    }

    /// The slot in which the `ticket`-th unit of weight lies (counted from 0, below the total).
    fn slot_at(&self, mut ticket: u64) -> usize {
        let mut passed = 0_usize;
        let mut step = self.tree.len().checked_ilog2().map_or(0, |bits| 1_usize << bits);
        while step > 0 {
            let node = passed.saturating_add(step);
            match self.tree.get(node - 1) {
                Some(&sum) if sum <= ticket => {
                    ticket -= sum;
                    passed = node;
                }
                _ => {}
            }
            step >>= 1;
        }
        passed
    }

    pub(super) fn contains(&self, key: K) -> bool {
        self.slot_of.contains_key(&key)
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the tree should hold, by plain summing.
    fn check(lottery: &Lottery<u8>) {
        assert_eq!(lottery.tree.len(), lottery.slots.len());
        assert_eq!(lottery.total, lottery.slots.iter().map(|s| s.1).sum::<u64>());
        for count in 0..=lottery.slots.len() {
            assert_eq!(
                lottery.sum_to(count),
                lottery.slots[..count].iter().map(|s| s.1).sum::<u64>()
            );
        }
        for (&key, &slot) in &lottery.slot_of {
            assert_eq!(lottery.slots[slot].0, key);
        }
        let mut ticket = 0;
        for (slot, &(_, weight)) in lottery.slots.iter().enumerate() {
            if weight > 0 {
                assert_eq!(lottery.slot_at(ticket), slot);
                assert_eq!(lottery.slot_at(ticket + weight - 1), slot);
            }
            ticket += weight;
        }
    }

    proptest! {
        #[test]
        fn sums_agree_with_plain_summing(steps in prop::collection::vec((any::<bool>(), 0_u8..20, 0_u32..5), 0..80)) {
            let mut lottery = Lottery::new();
            let mut model = BTreeMap::new();
            for (remove, key, weight) in steps {
                if remove {
                    prop_assert_eq!(lottery.remove(key), model.remove(&key).is_some());
                } else {
                    lottery.set(key, weight);
                    model.insert(key, weight);
                }
                check(&lottery);
            }
            let mut slots: Vec<_> = lottery.slots.clone();
            slots.sort_unstable();
            prop_assert_eq!(slots, model.into_iter().map(|(k, w)| (k, u64::from(w))).collect::<Vec<_>>());
        }

        #[test]
        fn nobody_is_drawn_twice_and_drawing_changes_nothing(weights in prop::collection::vec(0_u32..4, 0..30), count in 0_usize..40, seed: u64) {
            let mut lottery = Lottery::new();
            for (key, &weight) in (0_u8..).zip(&weights) {
                lottery.set(key, weight);
            }
            let before = lottery.slots.clone();
            let drawn = lottery.draw(count, &mut Random::from_number(seed));
            let mut unique = drawn.clone();
            unique.sort_unstable();
            unique.dedup();
            prop_assert_eq!(unique.len(), drawn.len());
            prop_assert_eq!(drawn.len(), count.min(weights.iter().filter(|&&w| w > 0).count()));
            prop_assert!(drawn.iter().all(|&k| weights[usize::from(k)] > 0));
            prop_assert_eq!(&lottery.slots, &before);
            check(&lottery);
        }
    }

    #[test]
    fn chances_are_in_proportion_to_the_weights() {
        let mut lottery = Lottery::new();
        for (key, weight) in [('a', 1), ('b', 2), ('c', 5), ('d', 0)] {
            lottery.set(key, weight);
        }
        let mut random = Random::from_number(7);
        let mut first = BTreeMap::new();
        for _ in 0..8000 {
            *first.entry(lottery.draw(1, &mut random)[0]).or_insert(0_i32) += 1;
        }
        for (key, expected) in [('a', 1000_i32), ('b', 2000), ('c', 5000)] {
            assert!((first[&key] - expected).abs() < 200, "{first:?}");
        }
    }
}
