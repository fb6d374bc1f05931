//! A queue of timers by key, for whoever owns many of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::Instant;

/// Timers by key, at most one a key. Every operation costs O(log n).
#[derive(Clone, Debug)]
pub struct TimerQueue<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

impl<K: Ord + Copy> TimerQueue<K> {
    /// A queue with nothing in it.
    pub const fn new() -> Self {
        Self {
            by_time: BTreeSet::new(),
            by_key: BTreeMap::new(),
        }
    }

    /// Arms the timer of `key` for `at`, in place of an earlier setting.
    pub fn set(&mut self, key: K, at: Instant) {
        match self.by_key.insert(key, at) {
            Some(old) if old == at => return,
            Some(old) => {
                self.by_time.remove(&(old, key));
            }
            None => {}
        }
        self.by_time.insert((at, key));
    }

    /// Disarms the timer of `key`; says whether it was armed.
    pub fn cancel(&mut self, key: K) -> bool {
        match self.by_key.remove(&key) {
            Some(at) => self.by_time.remove(&(at, key)),
            None => false,
        }
    }

    /// When the timer of `key` is due, if it is armed.
    pub fn get(&self, key: K) -> Option<Instant> {
        self.by_key.get(&key).copied()
    }

    /// When the first timer is due.
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Takes the first timer that is due at `now`; equal times go by key.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let &(at, key) = self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_key.remove(&key);
        Some(key)
    }

    /// How many timers are armed.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether no timer is armed.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

impl<K: Ord + Copy> Default for TimerQueue<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn timers_come_due_in_order_and_once() {
        let mut queue = TimerQueue::new();
        queue.set('b', at(20));
        queue.set('a', at(10));
        queue.set('c', at(10));
        assert_eq!(queue.next(), Some(at(10)));
        assert_eq!(queue.pop_due(at(9)), None);
        assert_eq!(queue.pop_due(at(10)), Some('a'));
        assert_eq!(queue.pop_due(at(10)), Some('c'));
        assert_eq!(queue.pop_due(at(10)), None);
        assert_eq!(queue.pop_due(at(99)), Some('b'));
        assert!(queue.is_empty());
    }

    #[test]
    fn setting_again_replaces_and_cancelling_forgets() {
        let mut queue = TimerQueue::new();
        queue.set(1, at(10));
        queue.set(1, at(30));
        queue.set(2, at(20));
        assert_eq!(
            (queue.len(), queue.next(), queue.get(1)),
            (2, Some(at(20)), Some(at(30)))
        );
        assert!(queue.cancel(2) && !queue.cancel(2));
        assert_eq!(queue.pop_due(at(25)), None);
        assert_eq!(queue.pop_due(at(30)), Some(1));
    }
}
