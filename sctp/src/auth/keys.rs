//! Association shared keys (RFC 4895 §6.1): from the endpoint pair shared keys and what both sides said at set-up.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::hmac::AssociationKey;
use super::policy::AuthParams;
use crate::config::SharedKeys;
use crate::serial::SharedKeyId;

/// The keys of one association, each made when it is first used.
#[derive(Clone, Debug)]
pub(crate) struct AssociationKeys {
    /// Both key vectors, in the order in which they go into a key.
    vectors: Vec<u8>,
    derived: BTreeMap<SharedKeyId, Box<AssociationKey>>,
}

impl AssociationKeys {
    pub(crate) fn new(own: &AuthParams, peer: &AuthParams) -> Self {
        Self {
            vectors: in_order(own.key_vector(), peer.key_vector()),
            derived: BTreeMap::new(),
        }
    }

    /// The key made of the endpoint pair shared key `id`, if there is one.
    pub(crate) fn get(&mut self, id: SharedKeyId, shared: &SharedKeys) -> Option<&AssociationKey> {
        let secret = shared.secret(id)?;
        Some(match self.derived.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(Box::new(AssociationKey::new(&[secret, &self.vectors].concat())?)),
        })
    }

    /// The endpoint pair shared key `id` is another one now, or gone.
    pub(crate) fn forget(&mut self, id: SharedKeyId) {
        self.derived.remove(&id);
    }
}

/// The numerically smaller vector first; of equal numbers, the shorter one.
fn in_order(one: Vec<u8>, other: Vec<u8>) -> Vec<u8> {
    let (first, second) = match as_numbers(&one, &other).then(one.len().cmp(&other.len())) {
        Ordering::Greater => (other, one),
        Ordering::Less | Ordering::Equal => (one, other),
    };
    [first, second].concat()
}

/// Compares byte vectors as numbers in network byte order.
fn as_numbers(one: &[u8], other: &[u8]) -> Ordering {
    let significant = |vector: &[u8]| vector.iter().take_while(|byte| **byte == 0).count();
    let one = one.get(significant(one)..).unwrap_or_default();
    let other = other.get(significant(other)..).unwrap_or_default();
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}
