//! First come, first served (RFC 8260 §3.1): the order in which the user sent the messages.

use std::collections::{BTreeMap, BTreeSet};

use crate::serial::StreamId;

/// Busy streams by their first messages.
///
/// An association whose scheduler was never changed does without: its messages wait in one queue.
#[derive(Debug, Default)]
pub(in crate::send) struct FirstComeFirstServed {
    order: BTreeSet<(u64, StreamId)>,
    heads: BTreeMap<StreamId, u64>,
}

impl FirstComeFirstServed {
    pub(super) fn wake(&mut self, stream: StreamId, head: u64) {
        self.head_changed(stream, head);
    }

    pub(super) fn head_changed(&mut self, stream: StreamId, head: u64) {
        self.sleep(stream);
        self.order.insert((head, stream));
        self.heads.insert(stream, head);
    }

    pub(super) fn sleep(&mut self, stream: StreamId) {
        if let Some(head) = self.heads.remove(&stream) {
            self.order.remove(&(head, stream));
        }
    }

    pub(super) fn next(&self) -> Option<StreamId> {
        self.order.first().map(|&(_, stream)| stream)
    }
}
