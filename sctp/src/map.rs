//! Hash maps without iteration: the order of a hash map must never show in what the engine does.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};

use crate::random::Random;

#[expect(clippy::disallowed_types, reason = "wrapped here: seeded, and without iteration")]
type Inner<K, V, S> = std::collections::HashMap<K, V, S>;

/// Starts each hash with a secret, so that a peer who chooses keys cannot choose collisions.
#[derive(Clone, Debug)]
pub(crate) struct Keyed([u8; 32]);

impl BuildHasher for Keyed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0);
        hasher
    }
}

/// Hashes a random number to itself, spread over the bits that tables look at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AlreadyRandom;

impl BuildHasher for AlreadyRandom {
    type Hasher = Spread;

    fn build_hasher(&self) -> Spread {
        Spread(0)
    }
}

/// The hasher of [`AlreadyRandom`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(byte.into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The odd number nearest to 2^64 over the golden ratio: a bijection that moves low bits to high places.
        self.0 = (self.0.rotate_left(32) ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A hash map for keys that a peer can choose.
#[derive(Clone, Debug)]
pub(crate) struct Map<K, V, S = Keyed>(Inner<K, V, S>);

/// A hash map for numbers that were drawn here at random: a peer can look others up, but not have them kept.
pub(crate) type RandomKeyMap<V> = Map<u32, V, AlreadyRandom>;

impl<K: Eq + Hash, V> Map<K, V> {
    /// A map with a secret of its own.
    pub(crate) fn new(random: &mut Random) -> Self {
        Self(Inner::with_hasher(Keyed(random.child_seed())))
    }
}

impl<V> Default for RandomKeyMap<V> {
    fn default() -> Self {
        Self(Inner::with_hasher(AlreadyRandom))
    }
}

impl<K: Eq + Hash, V, S: BuildHasher> Map<K, V, S> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_keeps_the_last_value_of_a_key() {
        let mut map = Map::new(&mut Random::from_number(1));
        assert_eq!(map.insert("a", 1), None);
        assert_eq!(map.insert("a", 2), Some(1));
        assert!(map.contains(&"a"));
        assert_eq!(map.get(&"a"), Some(&2));
        assert_eq!(map.remove(&"a"), Some(2));
        assert_eq!(map.get(&"a"), None);
    }

    #[test]
    fn random_keys_are_kept_apart() {
        let mut map = RandomKeyMap::default();
        for key in 0..1000u32 {
            map.insert(key.wrapping_mul(0x0100_0000), key);
            map.insert(key, key);
        }
        assert_eq!(map.get(&999), Some(&999));
        let hashes: std::collections::BTreeSet<u64> =
            (0..1000u32).map(|key| AlreadyRandom.hash_one(key) >> 57).collect();
        assert!(hashes.len() > 100, "the highest bits differ");
    }

    #[test]
    fn the_hash_depends_on_the_seed() {
        let mut random = Random::from_number(1);
        let (a, b) = (Keyed(random.child_seed()), Keyed(random.child_seed()));
        assert_ne!(a.hash_one("x"), b.hash_one("x"));
        assert_eq!(a.hash_one("x"), a.hash_one("x"));
    }
}
