//! Snapshots of a running stack: in numbers, and its associations, a few under each lock.

use std::collections::VecDeque;

use sctp::{AssociationSnapshot, EndpointId, SnapshotCursor};

use super::stack::StackHandle;
use crate::{AssociationStats, Error, Result, StackSnapshot};

/// How many associations are looked at while nothing else is done on their worker.
const PAGE: usize = 64;

impl StackHandle {
    /// The stack in numbers, all workers together: what the groups `sctpParams` and `sctpStats` of the SCTP MIB have
    /// (RFC 3873), and more. It prints itself as a table; with the feature `serde` it is serialized under the names of
    /// the MIB.
    pub fn snapshot(&self) -> StackSnapshot {
        let own = self.shard().look(|sockets| sockets.stack.snapshot());
        StackSnapshot {
            stats: self.stats(),
            associations: self
                .shards()
                .iter()
                .map(|shard| shard.look(|sockets| sockets.stack.snapshot().associations))
                .sum(),
            ..own
        }
    }

    /// The associations of the stack, those too that end in the background: what the tables of the SCTP MIB have
    /// (RFC 3873), and more.
    ///
    /// They are looked at as the iterator goes on, a few at a time, so that the stack works on however many there are.
    /// One that is there all the while is met once; one that comes or goes meanwhile, maybe.
    pub fn associations(&self) -> Associations {
        Associations {
            stack: self.clone(),
            worker: 0,
            next: Some(SnapshotCursor::default()),
            page: VecDeque::new(),
        }
    }

    /// What all associations of an end point have counted, those that have ended too.
    pub(super) fn endpoint_stats(&self, endpoint: EndpointId) -> Result<AssociationStats> {
        let shard = self.shard();
        // What ends meanwhile is missing, rather than counted twice.
        let ended = shard.look(|sockets| sockets.stack.ended_stats(endpoint));
        let mut sum = ended.ok_or(Error::Closed)?;
        let mut after = None;
        loop {
            let (stats, last) = shard.look(|sockets| sockets.stack.open_stats(endpoint, after, PAGE));
            sum += stats;
            if last.is_none() {
                return Ok(sum);
            }
            after = last;
        }
    }
}

/// The associations of a stack, from [`StackHandle::associations`].
#[derive(Debug)]
pub struct Associations {
    stack: StackHandle,
    /// Whose associations come next.
    worker: usize,
    /// From where on; `None` if all of the worker's are in the page.
    next: Option<SnapshotCursor>,
    page: VecDeque<AssociationSnapshot>,
}

impl Iterator for Associations {
    type Item = AssociationSnapshot;

    fn next(&mut self) -> Option<AssociationSnapshot> {
        while self.page.is_empty() {
            let shard = self.stack.shards().get(self.worker)?;
            if let Some(from) = self.next {
                let page = shard.look(|sockets| sockets.stack.associations(from, PAGE));
                self.page = page.associations.into();
                self.next = page.next;
            }
            if self.next.is_none() && self.page.is_empty() {
                self.worker += 1;
                self.next = Some(SnapshotCursor::default());
            }
        }
        self.page.pop_front()
    }
}
