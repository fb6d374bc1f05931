//! Stream schedulers (RFC 8260 §3): which of the streams that have something to send comes next. They know streams and
//! bytes, and no messages.
//!
//! A stream is *busy* while it has something to send. Only busy streams are kept, so that a decision takes a time that
//! grows with the logarithm of their number and not with the streams of the association.

mod fair;
mod fcfs;
mod priority;
mod rr;
mod rr_packet;
#[cfg(test)]
mod tests;
mod wfq;

use crate::config::StreamScheduler;
use crate::serial::StreamId;

use fair::FairCapacity;
use fcfs::FirstComeFirstServed;
use priority::Priority;
use rr::RoundRobin;
use rr_packet::RoundRobinPerPacket;
use wfq::WeightedFairQueueing;

/// A scheduler with the busy streams.
#[derive(Debug)]
pub(super) enum Scheduler {
    Fcfs(FirstComeFirstServed),
    RoundRobin(RoundRobin),
    RoundRobinPerPacket(RoundRobinPerPacket),
    Priority(Priority),
    Fair(FairCapacity),
    Weighted(WeightedFairQueueing),
}

impl Scheduler {
    pub(super) fn new(kind: StreamScheduler) -> Self {
        match kind {
            StreamScheduler::FirstComeFirstServed => Self::Fcfs(FirstComeFirstServed::default()),
            StreamScheduler::RoundRobin => Self::RoundRobin(RoundRobin::default()),
            StreamScheduler::RoundRobinPerPacket => Self::RoundRobinPerPacket(RoundRobinPerPacket::default()),
            StreamScheduler::Priority => Self::Priority(Priority::default()),
            StreamScheduler::FairCapacity => Self::Fair(FairCapacity::default()),
            StreamScheduler::WeightedFairQueueing => Self::Weighted(WeightedFairQueueing::default()),
        }
    }

    /// An idle stream becomes busy. `head` is the number of its first message, which grows with every message of the
    /// association; `value` is what the user set for the stream.
    pub(super) fn wake(&mut self, stream: StreamId, head: u64, value: u16) {
        match self {
            Self::Fcfs(fcfs) => fcfs.wake(stream, head),
            Self::RoundRobin(rr) => rr.wake(stream),
            Self::RoundRobinPerPacket(rr) => rr.wake(stream),
            Self::Priority(priority) => priority.wake(stream, head, value),
            Self::Fair(fair) => fair.wake(stream),
            Self::Weighted(weighted) => weighted.wake(stream),
        }
    }

    /// A busy stream becomes idle.
    pub(super) fn sleep(&mut self, stream: StreamId) {
        match self {
            Self::Fcfs(fcfs) => fcfs.sleep(stream),
            Self::RoundRobin(rr) => rr.sleep(stream),
            Self::RoundRobinPerPacket(rr) => rr.sleep(stream),
            Self::Priority(priority) => priority.sleep(stream),
            Self::Fair(fair) => fair.sleep(stream),
            Self::Weighted(weighted) => weighted.sleep(stream),
        }
    }

    /// The stream that comes next. It stays the same until something else is called.
    pub(super) fn next(&self) -> Option<StreamId> {
        match self {
            Self::Fcfs(fcfs) => fcfs.next(),
            Self::RoundRobin(rr) => rr.next(),
            Self::RoundRobinPerPacket(rr) => rr.next(),
            Self::Priority(priority) => priority.next(),
            Self::Fair(fair) => fair.next(),
            Self::Weighted(weighted) => weighted.next(),
        }
    }

    /// A chunk of `bytes` of a busy stream, whose value is `value`, was sent.
    pub(super) fn served(&mut self, stream: StreamId, bytes: usize, value: u16) {
        match self {
            Self::Fcfs(_) | Self::Priority(_) => {}
            Self::RoundRobin(rr) => rr.served(stream),
            Self::RoundRobinPerPacket(rr) => rr.served(stream),
            Self::Fair(fair) => fair.served(stream, bytes),
            Self::Weighted(weighted) => weighted.served(stream, bytes, value),
        }
    }

    /// The first message of a busy stream is another one now.
    pub(super) fn head_changed(&mut self, stream: StreamId, head: u64) {
        match self {
            Self::Fcfs(fcfs) => fcfs.head_changed(stream, head),
            Self::Priority(priority) => priority.head_changed(stream, head),
            Self::RoundRobin(_) | Self::RoundRobinPerPacket(_) | Self::Fair(_) | Self::Weighted(_) => {}
        }
    }

    /// The user set another value for a stream.
    pub(super) fn value_changed(&mut self, stream: StreamId, value: u16) {
        if let Self::Priority(priority) = self {
            priority.value_changed(stream, value);
        }
    }

    /// A packet with new data is complete.
    pub(super) fn end_packet(&mut self) {
        if let Self::RoundRobinPerPacket(rr) = self {
            rr.end_packet();
        }
    }
}
