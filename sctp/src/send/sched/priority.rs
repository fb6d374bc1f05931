//! Strict priorities (RFC 8260 §3.4): the lowest value first (§4.3.2), and among equals the oldest message.

use std::collections::{BTreeMap, BTreeSet};

use crate::serial::StreamId;

/// Busy streams by their values, then by their first messages.
#[derive(Debug, Default)]
pub(in crate::send) struct Priority {
    order: BTreeSet<(u16, u64, StreamId)>,
    keys: BTreeMap<StreamId, (u16, u64)>,
}

impl Priority {
    pub(super) fn wake(&mut self, stream: StreamId, head: u64, value: u16) {
        self.sleep(stream);
        self.order.insert((value, head, stream));
        self.keys.insert(stream, (value, head));
    }

    pub(super) fn sleep(&mut self, stream: StreamId) {
        if let Some((value, head)) = self.keys.remove(&stream) {
            self.order.remove(&(value, head, stream));
        }
    }

    pub(super) fn head_changed(&mut self, stream: StreamId, head: u64) {
        if let Some(&(value, _)) = self.keys.get(&stream) {
            self.wake(stream, head, value);
        }
    }

    pub(super) fn value_changed(&mut self, stream: StreamId, value: u16) {
        if let Some(&(_, head)) = self.keys.get(&stream) {
            self.wake(stream, head, value);
        }
    }

    pub(super) fn next(&self) -> Option<StreamId> {
        self.order.first().map(|&(_, _, stream)| stream)
    }
}
