//! What a device counts.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a device has done. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceStats {
    /// Calls that sent packets.
    pub send_calls: u64,
    /// Calls that received packets.
    pub receive_calls: u64,
    /// Calls that could not send; their packets are lost.
    pub send_errors: u64,
    /// Packets for other processes on a shared UDP port that they did not take fast enough.
    pub dropped: u64,
}

/// Several devices together.
impl AddAssign for DeviceStats {
    fn add_assign(&mut self, other: Self) {
        // Named one by one, so that a new counter is not forgotten.
        let Self {
            send_calls,
            receive_calls,
            send_errors,
            dropped,
        } = other;
        for (sum, more) in [
            (&mut self.send_calls, send_calls),
            (&mut self.receive_calls, receive_calls),
            (&mut self.send_errors, send_errors),
            (&mut self.dropped, dropped),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// The counters of a device that several threads use.
#[derive(Debug, Default)]
pub(super) struct Counters {
    send_calls: AtomicU64,
    receive_calls: AtomicU64,
    send_errors: AtomicU64,
    dropped: AtomicU64,
}

impl Counters {
    pub(super) fn sent(&self) {
        self.send_calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn received(&self) {
        self.receive_calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn send_failed(&self) {
        self.send_errors.fetch_add(1, Ordering::Relaxed);
    }

    #[cfg(target_os = "linux")]
    pub(super) fn dropped(&self, packets: u64) {
        self.dropped.fetch_add(packets, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> DeviceStats {
        DeviceStats {
            send_calls: self.send_calls.load(Ordering::Relaxed),
            receive_calls: self.receive_calls.load(Ordering::Relaxed),
            send_errors: self.send_errors.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}
