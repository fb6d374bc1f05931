//! What a pool user knows of its pools (RFC 5352 §3.3).

mod selection;

use std::collections::BTreeMap;
use std::time::Duration;

use sctp::Instant;
use sctp::addr::is_usable_peer;
use sctp::random::Random;

use crate::ids::{PeId, PoolHandle};
use crate::net::SctpAddress;
use crate::wire::element::PoolElementParam;
use crate::wire::policy::PolicyParam;

/// How many pools are remembered; the one that was heard of least recently makes room.
const MAX_POOLS: usize = 256;
/// How many failures are remembered a pool.
const MAX_FAILURES: usize = 64;
/// For how long an element that failed comes after the others.
const AVOIDED_FOR: Duration = Duration::from_secs(30);

/// An element that a session can turn to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) pe: PeId,
    pub(crate) address: SctpAddress,
}

#[derive(Debug)]
struct Entry {
    policy: PolicyParam,
    /// In the order of the registrar.
    elements: Vec<PoolElementParam>,
    updated: Instant,
    /// How often the elements were selected from since.
    selections: usize,
}

/// The pools that a pool user has asked for, with their elements.
#[derive(Debug, Default)]
pub(crate) struct HandleCache {
    entries: BTreeMap<PoolHandle, Entry>,
    /// Elements that failed, and when. They come after the others, whatever the registrar says: it may not know yet.
    failures: BTreeMap<PoolHandle, BTreeMap<PeId, Instant>>,
}

impl HandleCache {
    /// Takes what a registrar answered. Without a policy it is Round Robin (RFC 5352 §2.2.6).
    pub(crate) fn update(
        &mut self,
        now: Instant,
        pool: &PoolHandle,
        policy: Option<PolicyParam>,
        elements: Vec<PoolElementParam>,
    ) {
        if self.entries.len() >= MAX_POOLS && !self.entries.contains_key(pool) {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.updated);
            if let Some(oldest) = oldest.map(|(pool, _)| pool.clone()) {
                self.forget(&oldest);
            }
        }
        let entry = Entry {
            policy: policy.unwrap_or(PolicyParam::RoundRobin),
            elements,
            updated: now,
            selections: 0,
        };
        self.entries.insert(pool.clone(), entry);
    }

    /// The policy and elements of a pool, if they are not older than `max_age`.
    pub(crate) fn lookup(
        &self,
        now: Instant,
        pool: &PoolHandle,
        max_age: Duration,
    ) -> Option<(&PolicyParam, &[PoolElementParam])> {
        let entry = self.entries.get(pool)?;
        let fresh = !max_age.is_zero() && now - entry.updated <= max_age;
        fresh.then_some((&entry.policy, &entry.elements))
    }

    /// The elements of a pool that a session can turn to, in the order to try them: as the policy has it, those that
    /// failed last, and not at all those that failed less than `pause` ago.
    pub(crate) fn candidates(
        &mut self,
        now: Instant,
        pool: &PoolHandle,
        pause: Duration,
        random: &mut Random,
    ) -> Vec<Candidate> {
        let Some(entry) = self.entries.get_mut(pool) else {
            return Vec::new();
        };
        let selected = selection::in_order(&entry.policy, &entry.elements, entry.selections, random);
        entry.selections = entry.selections.wrapping_add(1);
        let failures = self.failures.get(pool);
        let failed = |pe: PeId| failures.and_then(|failures| failures.get(&pe)).copied();
        let mut candidates: Vec<(Option<Instant>, Candidate)> = selected
            .into_iter()
            .filter_map(candidate)
            .map(|candidate| (failed(candidate.pe), candidate))
            .filter(|(failed, _)| failed.is_none_or(|at| now - at >= pause))
            .map(|(failed, candidate)| (failed.filter(|at| now - *at < AVOIDED_FOR), candidate))
            .collect();
        // A stable sort: those that did not fail, then the others, longest ago first.
        candidates.sort_by_key(|(failed, _)| *failed);
        candidates.into_iter().map(|(_, candidate)| candidate).collect()
    }

    /// An element failed.
    pub(crate) fn failed(&mut self, now: Instant, pool: &PoolHandle, pe: PeId) {
        if self.failures.len() >= MAX_POOLS && !self.failures.contains_key(pool) {
            self.failures.pop_first();
        }
        let failures = self.failures.entry(pool.clone()).or_default();
        failures.retain(|_, at| now - *at < AVOIDED_FOR);
        if failures.len() < MAX_FAILURES {
            failures.insert(pe, now);
        }
    }

    /// An element works.
    pub(crate) fn works(&mut self, pool: &PoolHandle, pe: PeId) {
        if let Some(failures) = self.failures.get_mut(pool) {
            failures.remove(&pe);
        }
    }

    /// Drops a pool from the cache.
    pub(crate) fn forget(&mut self, pool: &PoolHandle) {
        self.entries.remove(pool);
        self.failures.remove(pool);
    }

    /// Drops an element from the cache.
    pub(crate) fn forget_element(&mut self, pool: &PoolHandle, pe: PeId) {
        if let Some(entry) = self.entries.get_mut(pool) {
            entry.elements.retain(|element| element.id != pe);
        }
    }
}

/// Sessions run over SCTP.
fn candidate(element: &PoolElementParam) -> Option<Candidate> {
    let sctp = element.user_transport.as_sctp()?;
    let addresses: Vec<_> = sctp
        .addresses
        .iter()
        .copied()
        .filter(|ip| is_usable_peer(*ip))
        .collect();
    let usable = sctp.port != 0 && !addresses.is_empty();
    usable.then_some(Candidate {
        pe: element.id,
        address: SctpAddress {
            port: sctp.port,
            addresses,
        },
    })
}

#[cfg(test)]
mod tests;
