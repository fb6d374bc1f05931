//! Fair capacity (RFC 8260 §3.5): each busy stream gets the same number of bytes, by start-time fair queueing.

use std::collections::{BTreeMap, BTreeSet};

use crate::serial::StreamId;

/// Busy streams by how much they have got.
///
/// A stream's tag is what it has got, on a scale that begins anew when all are idle; the least is served. One that was
/// idle continues from where the others are, but not before its old tag: to be idle for a moment gains nothing.
#[derive(Debug, Default)]
pub(in crate::send) struct FairCapacity {
    /// The tag of the stream that was served last: where those begin that have no tag.
    now: u64,
    busy: BTreeSet<(u64, StreamId)>,
    /// The tags of the busy streams, and of the idle ones that are ahead of the others.
    tags: BTreeMap<StreamId, u64>,
    /// The idle streams that have a tag.
    idle: BTreeSet<(u64, StreamId)>,
}

impl FairCapacity {
    pub(super) fn wake(&mut self, stream: StreamId) {
        let old = self.tags.get(&stream).copied();
        if let Some(old) = old {
            if self.busy.contains(&(old, stream)) {
                return;
            }
            self.idle.remove(&(old, stream));
        }
        let tag = old.unwrap_or_default().max(self.now);
        self.tags.insert(stream, tag);
        self.busy.insert((tag, stream));
    }

    pub(super) fn sleep(&mut self, stream: StreamId) {
        let Some(&tag) = self.tags.get(&stream) else { return };
        if !self.busy.remove(&(tag, stream)) {
            return;
        }
        if self.busy.is_empty() {
            *self = Self::default();
        } else if tag > self.now {
            self.idle.insert((tag, stream));
        } else {
            self.tags.remove(&stream);
        }
    }

    pub(super) fn next(&self) -> Option<StreamId> {
        self.busy.first().map(|&(_, stream)| stream)
    }

    pub(super) fn served(&mut self, stream: StreamId, bytes: usize) {
        self.advance(stream, u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// A busy stream has got `cost` more.
    pub(super) fn advance(&mut self, stream: StreamId, cost: u64) {
        let Some(tag) = self.tags.get_mut(&stream) else { return };
        if !self.busy.remove(&(*tag, stream)) {
            return;
        }
        self.now = self.now.max(*tag);
        *tag = tag.saturating_add(cost);
        self.busy.insert((*tag, stream));
        // Idle streams that the others have caught up with begin like any other.
        while let Some(&(tag, other)) = self.idle.first()
            && tag <= self.now
        {
            self.idle.pop_first();
            self.tags.remove(&other);
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.tags.len()
    }
}
