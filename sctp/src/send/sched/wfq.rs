//! Weighted fair queueing (RFC 8260 §3.6): the busy streams share the capacity in proportion to their weights.

use super::fair::FairCapacity;
use crate::serial::StreamId;

/// Fair capacity, where a byte of a stream costs the less the more weight it has.
#[derive(Debug, Default)]
pub(in crate::send) struct WeightedFairQueueing {
    fair: FairCapacity,
}

/// What a byte costs at a weight of one, so that it costs something at the greatest.
const SCALE: u64 = 1 << 16;

impl WeightedFairQueueing {
    pub(super) fn wake(&mut self, stream: StreamId) {
        self.fair.wake(stream);
    }

    pub(super) fn sleep(&mut self, stream: StreamId) {
        self.fair.sleep(stream);
    }

    pub(super) fn next(&self) -> Option<StreamId> {
        self.fair.next()
    }

    /// A weight of zero counts as one.
    pub(super) fn served(&mut self, stream: StreamId, bytes: usize, weight: u16) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.fair
            .advance(stream, bytes.saturating_mul(SCALE) / u64::from(weight.max(1)));
    }
}
