//! The handlespace (RFC 5351 §2.1): the pools that a registrar knows, and their elements.

mod dump;
mod element;
mod pool;

use std::collections::{BTreeMap, btree_map};

use sctp::random::Random;

pub use self::dump::Dump;
pub use self::element::{Element, ElementKey};
pub use self::pool::{Pool, Refusal};
use crate::config::HandlespaceLimits;
use crate::ids::{PeId, PoolHandle};
use crate::wire::element::PoolElementParam;

/// What a registration came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The element.
    pub key: ElementKey,
    /// Whether it was not there before.
    pub new: bool,
}

/// The pools, and their elements. What it holds is bounded by its limits; changes and selections cost O(log n).
#[derive(Debug)]
pub struct Handlespace {
    limits: HandlespaceLimits,
    pools: BTreeMap<PoolHandle, Pool>,
    elements: BTreeMap<ElementKey, Element>,
    next_key: u64,
}

impl Handlespace {
    /// An empty handlespace.
    pub const fn new(limits: HandlespaceLimits) -> Self {
        Self {
            limits,
            pools: BTreeMap::new(),
            elements: BTreeMap::new(),
            next_key: 0,
        }
    }

    /// Adds an element to a pool, which is made if it is not there, or replaces what is known of an element (RFC 5352
    /// §3.1, rules 1 to 3). An element that was suspected no longer is.
    pub fn register(&mut self, handle: &PoolHandle, param: PoolElementParam) -> Result<Registered, Refusal> {
        let full = self.elements.len() >= self.limits.elements;
        let room_for_a_pool = self.pools.len() < self.limits.pools;
        let pool = match self.pools.entry(handle.clone()) {
            btree_map::Entry::Occupied(entry) => entry.into_mut(),
            btree_map::Entry::Vacant(entry) => {
                let pool = Pool::of_first(&param)?;
                if full || !room_for_a_pool {
                    return Err(Refusal::NoRoom);
                }
                entry.insert(pool)
            }
        };
        pool.check(&param)?;
        if let Some(key) = pool.find(param.id) {
            pool.put(key, &param, false);
            if let Some(element) = self.elements.get_mut(&key) {
                element.param = param;
                element.suspect = false;
            }
            return Ok(Registered { key, new: false });
        }
        if full || pool.len() >= self.limits.elements_per_pool {
            return Err(Refusal::NoRoom);
        }
        let key = ElementKey(self.next_key);
        self.next_key = self.next_key.saturating_add(1);
        pool.put(key, &param, false);
        self.elements.insert(
            key,
            Element {
                pool: handle.clone(),
                param,
                suspect: false,
            },
        );
        Ok(Registered { key, new: true })
    }

    /// Removes an element, and its pool with the last one (RFC 5352 §3.2).
    pub fn remove(&mut self, key: ElementKey) -> Option<Element> {
        let element = self.elements.remove(&key)?;
        if let Some(pool) = self.pools.get_mut(&element.pool) {
            pool.remove(key, element.param.id);
            if pool.is_empty() {
                self.pools.remove(&element.pool);
            }
        }
        Some(element)
    }

    /// Selects up to `count` elements of a pool by its policy, best first; the first `increment` of them lose their
    /// turn. Suspects come last. `None` for an unknown pool.
    pub fn resolve(
        &mut self,
        handle: &PoolHandle,
        count: usize,
        increment: usize,
        random: &mut Random,
    ) -> Option<Vec<ElementKey>> {
        let pool = self.pools.get_mut(handle)?;
        Some(pool.select(count, increment, random))
    }

    /// Marks an element as probably gone, or as there again. Suspects are still in the pool, but selected last.
    pub fn set_suspect(&mut self, key: ElementKey, suspect: bool) {
        let Some(element) = self.elements.get_mut(&key) else {
            return;
        };
        if element.suspect != suspect {
            element.suspect = suspect;
            if let Some(pool) = self.pools.get_mut(&element.pool) {
                pool.put(key, &element.param, suspect);
            }
        }
    }

    /// The element of a pool by its identifier.
    pub fn find(&self, handle: &PoolHandle, id: PeId) -> Option<ElementKey> {
        self.pools.get(handle)?.find(id)
    }

    /// An element.
    pub fn get(&self, key: ElementKey) -> Option<&Element> {
        self.elements.get(&key)
    }

    /// A pool.
    pub fn pool(&self, handle: &PoolHandle) -> Option<&Pool> {
        self.pools.get(handle)
    }

    /// All pools, in the order of their handles.
    pub fn pools(&self) -> impl Iterator<Item = (&PoolHandle, &Pool)> {
        self.pools.iter()
    }

    /// The elements of a pool, in the order of their identifiers; none for an unknown pool.
    pub fn elements_of<'a>(&'a self, handle: &PoolHandle) -> impl Iterator<Item = &'a Element> + use<'a> {
        let keys = self.pools.get(handle).into_iter().flat_map(Pool::keys);
        keys.filter_map(|key| self.elements.get(&key))
    }

    /// How many elements there are in all pools together.
    pub fn len(&self) -> usize {
        self.elements.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The whole handlespace as text.
    pub const fn dump(&self) -> Dump<'_> {
        Dump::new(self)
    }
}

#[cfg(test)]
mod tests;
