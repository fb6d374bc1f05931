//! Members in order of rank, those of equal rank in the order of a sequence number.

use std::collections::{BTreeMap, BTreeSet};

/// Where a member stands; the smallest is taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    rank: u64,
    /// Drawn anew at each selection, so members of equal rank take turns. 64 bits do not wrap around.
    sequence: u64,
}

/// Members ordered by rank, then by how long ago they were last moved to the end.
#[derive(Clone, Debug)]
pub(super) struct Sorted<K> {
    order: BTreeSet<(Place, K)>,
    places: BTreeMap<K, Place>,
    next_sequence: u64,
}

impl<K: Ord + Copy> Sorted<K> {
    pub(super) const fn new() -> Self {
        Self {
            order: BTreeSet::new(),
            places: BTreeMap::new(),
            next_sequence: 0,
        }
    }

    /// Gives `key` a rank. A new member goes behind all others of its rank; one that is there keeps its turn.
    pub(super) fn rank(&mut self, key: K, rank: u64) {
        match self.places.get(&key) {
            Some(place) => self.put(
                key,
                Place {
                    rank,
                    sequence: place.sequence,
                },
            ),
            None => self.put_last(key, rank),
        }
    }

    /// Puts `key` behind all others of its rank.
    pub(super) fn move_last(&mut self, key: K) {
        if let Some(place) = self.places.get(&key) {
            self.put_last(key, place.rank);
        }
    }

    fn put_last(&mut self, key: K, rank: u64) {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.saturating_add(1);
        self.put(key, Place { rank, sequence });
    }

    fn put(&mut self, key: K, place: Place) {
        if let Some(old) = self.places.insert(key, place) {
            self.order.remove(&(old, key));
        }
        self.order.insert((place, key));
    }

    pub(super) fn remove(&mut self, key: K) -> bool {
        match self.places.remove(&key) {
            Some(place) => self.order.remove(&(place, key)),
            None => false,
        }
    }

    /// The members in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = K> + '_ {
        self.order.iter().map(|&(_, key)| key)
    }

    pub(super) fn contains(&self, key: K) -> bool {
        self.places.contains_key(&key)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ranks_take_turns_and_a_new_rank_keeps_the_turn() {
        let mut sorted = Sorted::new();
        for key in ['a', 'b', 'c'] {
            sorted.rank(key, 5);
        }
        sorted.move_last('a');
        assert_eq!(sorted.iter().collect::<String>(), "bca");
        sorted.rank('c', 1);
        assert_eq!(sorted.iter().collect::<String>(), "cba");
        sorted.rank('c', 5);
        assert_eq!(sorted.iter().collect::<String>(), "bca");
        assert!(sorted.remove('c') && !sorted.remove('c'));
        assert_eq!((sorted.len(), sorted.order.len()), (2, 2));
    }
}
