//! A hash map whose hash depends on a secret of its own, and which offers no iteration: the order of a hash map must
//! never show in what the engine does.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};

use crate::random::Random;

#[expect(clippy::disallowed_types, reason = "wrapped here: seeded, and without iteration")]
type Inner<K, V> = std::collections::HashMap<K, V, Keyed>;

/// Starts each hash with a secret, so that a peer who chooses keys cannot choose collisions.
#[derive(Clone, Debug)]
struct Keyed([u8; 32]);

impl BuildHasher for Keyed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0);
        hasher
    }
}

/// A hash map for keys that a peer can choose.
#[derive(Clone, Debug)]
pub(crate) struct Map<K, V>(Inner<K, V>);

impl<K: Eq + Hash, V> Map<K, V> {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self(Inner::with_hasher(Keyed(random.child_seed())))
    }

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
    fn the_hash_depends_on_the_seed() {
        let mut random = Random::from_number(1);
        let (a, b) = (Keyed(random.child_seed()), Keyed(random.child_seed()));
        assert_ne!(a.hash_one("x"), b.hash_one("x"));
        assert_eq!(a.hash_one("x"), a.hash_one("x"));
    }
}
