//! When to acknowledge (RFC 9260 §6.2, §6.7).

use std::time::Duration;

use crate::serial::Tsn;
use crate::time::Instant;

/// How many duplicate TSNs are remembered for the next SACK. More are not worth their room in a packet.
const MAX_DUPLICATES: usize = 32;

/// Decides when a SACK is sent.
#[derive(Debug)]
pub(super) struct SackOut {
    delay: Duration,
    /// After how many packets with data a SACK is sent at once.
    frequency: u8,
    /// Packets with data since the last SACK.
    packets: u8,
    /// When the delayed SACK is due.
    deadline: Option<Instant>,
    /// A SACK should be sent now.
    wanted: bool,
    /// Something arrived that the last SACK did not report.
    pending: bool,
    /// No packet with data has come yet.
    first: bool,
    /// The packet being read has data.
    has_data: bool,
    /// The packet being read has something that asks for an answer at once.
    urgent: bool,
    /// TSNs received again since the last SACK, as often as they were.
    duplicates: Vec<Tsn>,
    /// Nothing is acknowledged before new data arrives.
    hushed: bool,
}

impl SackOut {
    pub(super) const fn new(delay: Duration, frequency: u8) -> Self {
        Self {
            delay,
            frequency,
            packets: 0,
            deadline: None,
            wanted: false,
            pending: false,
            first: true,
            has_data: false,
            urgent: false,
            duplicates: Vec::new(),
            hushed: false,
        }
    }

    /// Changes when SACKs are sent, from the next packet on.
    pub(super) const fn set(&mut self, delay: Duration, frequency: u8) {
        (self.delay, self.frequency) = (delay, frequency);
    }

    /// A new DATA chunk was taken. It is urgent if it has the I bit (RFC 9260 §6.2), or if there is a gap or was one
    /// before it (§6.7, and RFC 5681 §4.2 for what fills a gap).
    pub(super) const fn on_new(&mut self, urgent: bool) {
        self.has_data = true;
        self.urgent |= urgent;
        self.hushed = false;
    }

    /// A DATA chunk came again. Without new data that MUST be answered at once, with new data it MAY
    /// (RFC 9260 §6.2); the peer learns early that it retransmitted for nothing.
    pub(super) fn on_duplicate(&mut self, tsn: Tsn) {
        self.has_data = true;
        self.urgent = true;
        if self.duplicates.len() < MAX_DUPLICATES {
            self.duplicates.push(tsn);
        }
    }

    /// A DATA chunk was dropped for want of room, which MUST be answered at once (RFC 9260 §6.2). Its number was new.
    pub(super) const fn on_no_room(&mut self) {
        self.on_dropped();
        self.hushed = false;
    }

    /// Something was dropped, which MUST be answered at once (RFC 9260 §6.2, RFC 3758 §3.6).
    pub(super) const fn on_dropped(&mut self) {
        self.has_data = true;
        self.urgent = true;
    }

    /// All chunks of a packet were seen.
    pub(super) fn on_packet_end(&mut self, now: Instant) {
        if !self.has_data {
            return;
        }
        if self.hushed {
            return self.hush();
        }
        self.packets = self.packets.saturating_add(1);
        // The first packet is answered at once, which §6.2 permits (one SACK a packet): the peer gets its first
        // round-trip time without our delay in it.
        let at_once = self.urgent || self.first || self.packets >= self.frequency || self.delay.is_zero();
        self.pending = true;
        self.first = false;
        self.has_data = false;
        self.urgent = false;
        if at_once {
            // RFC 9260 §6.2: at least for every second packet.
            self.want();
        } else if !self.wanted && self.deadline.is_none() {
            // RFC 9260 §6.2: within SACK.Delay of the first unacknowledged chunk.
            self.deadline = Some(now + self.delay);
        }
    }

    /// A SACK should be sent now.
    pub(super) const fn want(&mut self) {
        self.wanted = !self.hushed;
        self.deadline = None;
    }

    /// The numbers began anew, and the peer may not know them yet (RFC 6525 §5.2.4): an acknowledgement would seem to
    /// be of what was never sent. There is none before data comes with new numbers.
    pub(super) fn hush(&mut self) {
        *self = Self {
            first: self.first,
            hushed: true,
            ..Self::new(self.delay, self.frequency)
        };
    }

    pub(super) const fn wanted(&self) -> bool {
        self.wanted
    }

    /// Something is unacknowledged, or the window opened.
    pub(super) const fn pending(&self) -> bool {
        self.pending || self.wanted
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn on_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.want();
        }
    }

    /// A SACK is sent: moves the duplicates to `duplicates`, at most `max`. The rest is forgotten with it
    /// (RFC 9260 §3.3.4: the count starts again after each SACK).
    pub(super) fn sent(&mut self, duplicates: &mut Vec<Tsn>, max: usize) {
        duplicates.clear();
        duplicates.extend(self.duplicates.iter().take(max));
        self.duplicates.clear();
        self.packets = 0;
        self.deadline = None;
        self.wanted = false;
        self.pending = false;
    }
}
