//! Pool member selection (RFC 5352 §6.5.2, RFC 5356): which elements of a pool are used next.
//!
//! Registrars select for their answers, pool users from what they were answered. A policy is a file that says what an
//! element's values mean: a rank (`sorted` keeps the order, those of equal rank take turns) or a weight (`lottery`
//! draws by it). The two mechanisms cost O(log n) for each change and each element that is selected.

mod least_used;
mod lottery;
mod random;
mod round_robin;
mod sorted;

use sctp::random::Random;

use self::lottery::Lottery;
use self::sorted::Sorted;
use crate::wire::policy::{PolicyNumber, PolicyParam};

/// A policy that pools can have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// RFC 5356 §4.1.
    RoundRobin,
    /// RFC 5356 §4.3.
    Random,
    /// RFC 5356 §5.1.
    LeastUsed,
}

/// What the values of an element come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The smallest is selected first.
    Rank(u64),
    /// The chance to be drawn.
    Weight(u32),
}

impl Policy {
    /// The policy of a number; `None` for one that is not supported.
    pub const fn from_number(number: PolicyNumber) -> Option<Self> {
        match number {
            PolicyNumber::ROUND_ROBIN => Some(Self::RoundRobin),
            PolicyNumber::RANDOM => Some(Self::Random),
            PolicyNumber::LEAST_USED => Some(Self::LeastUsed),
            _ => None,
        }
    }

    /// Its number.
    pub const fn number(self) -> PolicyNumber {
        match self {
            Self::RoundRobin => PolicyNumber::ROUND_ROBIN,
            Self::Random => PolicyNumber::RANDOM,
            Self::LeastUsed => PolicyNumber::LEAST_USED,
        }
    }

    /// What the values `param` come to under this policy; `None` if they are another policy's.
    const fn standing(self, param: &PolicyParam) -> Option<Standing> {
        match (self, param) {
            (Self::RoundRobin, PolicyParam::RoundRobin) => Some(round_robin::standing()),
            (Self::Random, PolicyParam::Random) => Some(random::standing()),
            (Self::LeastUsed, PolicyParam::LeastUsed { load }) => Some(least_used::standing(*load)),
            _ => None,
        }
    }

    /// Whether elements are drawn, rather than taken in order.
    const fn is_drawn(self) -> bool {
        match self {
            Self::Random => true,
            Self::RoundRobin | Self::LeastUsed => false,
        }
    }
}

#[derive(Clone, Debug)]
enum Members<K> {
    Sorted(Sorted<K>),
    Drawn(Lottery<K>),
}

/// The elements of one pool, by a key `K` each, and whose turn it is.
///
/// The same changes and selections with the same randomness give the same elements.
#[derive(Clone, Debug)]
pub struct Selector<K> {
    policy: Policy,
    members: Members<K>,
}

impl<K: Ord + Copy> Selector<K> {
    /// A pool of the given policy, with no elements.
    pub const fn new(policy: Policy) -> Self {
        let members = if policy.is_drawn() {
            Members::Drawn(Lottery::new())
        } else {
            Members::Sorted(Sorted::new())
        };
        Self { policy, members }
    }

    /// The policy.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Adds the element `key` with its values, or gives it new ones. Says whether the values are of the pool's policy;
    /// if they are not, nothing changes.
    pub fn set(&mut self, key: K, param: &PolicyParam) -> bool {
        match (&mut self.members, self.policy.standing(param)) {
            (Members::Sorted(sorted), Some(Standing::Rank(rank))) => sorted.rank(key, rank),
            (Members::Drawn(lottery), Some(Standing::Weight(weight))) => lottery.set(key, weight),
            _ => return false,
        }
        true
    }

    /// Removes an element; says whether it was there.
    pub fn remove(&mut self, key: K) -> bool {
        match &mut self.members {
            Members::Sorted(sorted) => sorted.remove(key),
            Members::Drawn(lottery) => lottery.remove(key),
        }
    }

    /// Selects up to `count` different elements, best first. The first `increment` of them lose their turn.
    pub fn select(&mut self, count: usize, increment: usize, random: &mut Random) -> Vec<K> {
        match &mut self.members {
            Members::Sorted(sorted) => {
                let selected: Vec<K> = sorted.iter().take(count).collect();
                for &key in selected.iter().take(increment) {
                    sorted.move_last(key);
                }
                selected
            }
            Members::Drawn(lottery) => lottery.draw(count, random),
        }
    }

    /// Whether an element is there.
    pub fn contains(&self, key: K) -> bool {
        match &self.members {
            Members::Sorted(sorted) => sorted.contains(key),
            Members::Drawn(lottery) => lottery.contains(key),
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        match &self.members {
            Members::Sorted(sorted) => sorted.len(),
            Members::Drawn(lottery) => lottery.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_and_its_number_belong_together() {
        for policy in [Policy::RoundRobin, Policy::Random, Policy::LeastUsed] {
            assert_eq!(Policy::from_number(policy.number()), Some(policy));
            let param = PolicyParam::from_number(policy.number()).unwrap();
            let mut selector = Selector::new(policy);
            assert!(selector.set('a', &param));
            assert_eq!(selector.select(2, 1, &mut Random::from_number(1)), ['a']);
        }
        assert_eq!(Policy::from_number(PolicyNumber(0)), None);
        assert_eq!(Policy::from_number(PolicyNumber::PRIORITY), None);
    }

    #[test]
    fn values_of_another_policy_change_nothing() {
        let mut selector = Selector::new(Policy::LeastUsed);
        assert!(!selector.set('a', &PolicyParam::Random));
        assert!(selector.is_empty());
        assert!(selector.set('a', &PolicyParam::LeastUsed { load: 5 }));
        assert!(!selector.set(
            'a',
            &PolicyParam::PriorityLeastUsed {
                load: 1,
                degradation: 0
            }
        ));
        assert!(selector.contains('a') && !selector.contains('b'));
        assert!(selector.remove('a') && !selector.remove('a'));
    }
}
