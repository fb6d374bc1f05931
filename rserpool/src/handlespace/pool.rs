//! One pool: who is in it, and what all of them have in common.

use std::collections::BTreeMap;

use sctp::random::Random;
use thiserror::Error;

use super::element::ElementKey;
use crate::ids::PeId;
use crate::policy::{Policy, Selector};
use crate::wire::cause::{Cause, CauseCode};
use crate::wire::element::PoolElementParam;
use crate::wire::param::to_bytes;
use crate::wire::policy::PolicyParam;
use crate::wire::transport::Transport;

/// Why an element cannot be registered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Its policy is not supported here.
    #[error("{} is not supported", .0.number())]
    UnsupportedPolicy(PolicyParam),
    /// Its policy is not its pool's, which is given.
    #[error("the pool has the policy {}", .0.number())]
    InconsistentPolicy(PolicyParam),
    /// Its transport protocol is not its pool's; the transport of the pool's first element is given.
    #[error("the pool has another transport protocol")]
    InconsistentTransport(Transport),
    /// What travels over its transport is not what its pool has.
    #[error("the pool has another transport use")]
    InconsistentUse,
    /// A limit is reached.
    #[error("no room in the handlespace")]
    NoRoom,
}

impl Refusal {
    /// The cause to report.
    pub fn cause(&self) -> Cause {
        match self {
            Self::UnsupportedPolicy(policy) => Cause::new(CauseCode::INVALID_VALUES, to_bytes(|w| policy.write(w))),
            Self::InconsistentPolicy(pool) => pool.inconsistent_policy(),
            Self::InconsistentTransport(pool) => pool.inconsistent_transport(),
            Self::InconsistentUse => CauseCode::INCONSISTENT_DATA_CONTROL.into(),
            Self::NoRoom => CauseCode::LACK_OF_RESOURCES.into(),
        }
    }
}

/// A pool. The first element decides what is common to all (RFC 5352 §3.1 rule 1).
#[derive(Debug)]
pub struct Pool {
    policy: Policy,
    transport: Transport,
    members: BTreeMap<PeId, ElementKey>,
    trusted: Selector<ElementKey>,
    suspects: Selector<ElementKey>,
}

impl Pool {
    /// The pool that `first` makes, still without elements.
    pub(super) fn of_first(first: &PoolElementParam) -> Result<Self, Refusal> {
        let policy = Policy::from_number(first.policy.number());
        let policy = policy.ok_or_else(|| Refusal::UnsupportedPolicy(first.policy.clone()))?;
        Ok(Self {
            policy,
            transport: first.user_transport.clone(),
            members: BTreeMap::new(),
            trusted: Selector::new(policy),
            suspects: Selector::new(policy),
        })
    }

    /// Whether an element may be in this pool (RFC 5352 §3.1 rules 2 and 3).
    pub(super) fn check(&self, param: &PoolElementParam) -> Result<(), Refusal> {
        if param.policy.number() != self.policy.number() {
            Err(Refusal::InconsistentPolicy(self.policy_param()))
        } else if !param.user_transport.same_protocol(&self.transport) {
            Err(Refusal::InconsistentTransport(self.transport.clone()))
        } else if param.user_transport.transport_use() != self.transport.transport_use() {
            Err(Refusal::InconsistentUse)
        } else {
            Ok(())
        }
    }

    /// Adds an element that passed the check, or gives it new values or another standing.
    pub(super) fn put(&mut self, key: ElementKey, param: &PoolElementParam, suspect: bool) {
        let (to, from) = if suspect {
            (&mut self.suspects, &mut self.trusted)
        } else {
            (&mut self.trusted, &mut self.suspects)
        };
        from.remove(key);
        to.set(key, &param.policy);
        self.members.insert(param.id, key);
    }

    pub(super) fn remove(&mut self, key: ElementKey, id: PeId) {
        self.members.remove(&id);
        self.trusted.remove(key);
        self.suspects.remove(key);
    }

    pub(super) fn find(&self, id: PeId) -> Option<ElementKey> {
        self.members.get(&id).copied()
    }

    pub(super) fn select(&mut self, count: usize, increment: usize, random: &mut Random) -> Vec<ElementKey> {
        let mut selected = self.trusted.select(count, increment, random);
        let (count, increment) = (
            count.saturating_sub(selected.len()),
            increment.saturating_sub(selected.len()),
        );
        selected.extend(self.suspects.select(count, increment, random));
        selected
    }

    /// The keys of the elements, in the order of their identifiers.
    pub(super) fn keys(&self) -> impl Iterator<Item = ElementKey> + '_ {
        self.members.values().copied()
    }

    /// The policy of all elements.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// The policy with all values zero, as refusals and answers name it.
    pub fn policy_param(&self) -> PolicyParam {
        let number = self.policy.number();
        PolicyParam::from_number(number).unwrap_or(PolicyParam::RoundRobin)
    }

    /// The transport of the first element; its protocol and use are those of all elements.
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no elements. A handlespace has no such pools.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether the indexes agree.
    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        let spread = self
            .members
            .values()
            .all(|&key| self.trusted.contains(key) != self.suspects.contains(key));
        spread && self.trusted.len() + self.suspects.len() == self.members.len() && !self.is_empty()
    }

    #[cfg(test)]
    pub(super) fn suspects(&self, key: ElementKey) -> bool {
        self.suspects.contains(key)
    }
}
