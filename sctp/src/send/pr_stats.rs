//! How many messages were given up, by stream and policy (RFC 7496 §4.3, §4.4).

use std::collections::BTreeMap;

use super::policy::Policy;
use crate::serial::StreamId;
use crate::stats::{AbandonedMessages, PartialReliabilityPolicy};

/// Counters for the streams and policies that gave something up; the others cost nothing.
#[derive(Debug, Default)]
pub(super) struct AbandonedByStream(BTreeMap<(StreamId, PartialReliabilityPolicy), AbandonedMessages>);

impl AbandonedByStream {
    /// A message was given up; a part of it was `sent`.
    pub(super) fn count(&mut self, stream: StreamId, policy: Policy, sent: bool) {
        let policy = match policy {
            Policy::Reliable => return,
            Policy::Until(_) => PartialReliabilityPolicy::Timed,
            Policy::Retransmissions(_) => PartialReliabilityPolicy::Retransmissions,
            Policy::Priority(_) => PartialReliabilityPolicy::Priority,
        };
        let counters = self.0.entry((stream, policy)).or_default();
        if sent {
            counters.sent += 1;
        } else {
            counters.unsent += 1;
        }
    }

    /// The sum over one stream or all, and one policy or all.
    pub(super) fn get(&self, stream: Option<StreamId>, policy: Option<PartialReliabilityPolicy>) -> AbandonedMessages {
        let mut sum = AbandonedMessages::default();
        let (first, last) = stream.map_or((StreamId(0), StreamId(u16::MAX)), |stream| (stream, stream));
        let range = (first, PartialReliabilityPolicy::FIRST)..=(last, PartialReliabilityPolicy::LAST);
        for ((_, of), counters) in self.0.range(range) {
            if policy.is_none_or(|policy| policy == *of) {
                sum.unsent += counters.unsent;
                sum.sent += counters.sent;
            }
        }
        sum
    }
}
