//! Round robin (RFC 8260 §3.2): the busy streams in turn, in the order of their numbers.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::serial::StreamId;

/// Busy streams, and which one had its turn last.
#[derive(Debug, Default)]
pub(in crate::send) struct RoundRobin {
    busy: BTreeSet<StreamId>,
    last: Option<StreamId>,
}

impl RoundRobin {
    pub(super) fn wake(&mut self, stream: StreamId) {
        self.busy.insert(stream);
    }

    pub(super) fn sleep(&mut self, stream: StreamId) {
        self.busy.remove(&stream);
    }

    pub(super) fn contains(&self, stream: StreamId) -> bool {
        self.busy.contains(&stream)
    }

    pub(super) fn next(&self) -> Option<StreamId> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut later = self.busy.range((after, Bound::Unbounded));
        later.next().or_else(|| self.busy.first()).copied()
    }

    pub(super) const fn served(&mut self, stream: StreamId) {
        self.last = Some(stream);
    }
}
