//! The peer's receive window as the sender sees it (RFC 9260 §6.2.1), and probes of a closed one (§6.1 A).

use std::time::Duration;

use crate::Instant;

/// What is known of the peer's receive buffer.
#[derive(Debug)]
pub(crate) struct PeerWindow {
    /// The a_rwnd last advertised.
    advertised: usize,
    probe: Probe,
    /// A probe of the closed window was sent, and nothing said since that it may have been taken.
    probe_out: bool,
    /// A SACK came since the last expiry of T3-rtx: the peer is there, only its window is closed.
    sack_seen: bool,
}

/// Probing of a closed window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    No,
    /// The first probe waits for this instant (§6.1 A: after one RTO).
    At(Instant),
    /// A probe may go now.
    Due,
}

/// What the window says to sending a chunk now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It fits.
    Fits,
    /// It does not fit, but may go as a probe.
    Probe,
    /// It must wait.
    Wait,
}

impl PeerWindow {
    /// The window of an INIT or INIT ACK (§6.2.1 A).
    pub(crate) const fn new(a_rwnd: u32) -> Self {
        Self {
            advertised: a_rwnd as usize,
            probe: Probe::No,
            probe_out: false,
            sack_seen: false,
        }
    }

    /// What is left with `in_flight` bytes of user data on their way (§6.2.1 B, C, D ii).
    pub(crate) const fn available(&self, in_flight: usize) -> usize {
        self.advertised.saturating_sub(in_flight)
    }

    /// A SACK came. True if it opens the window that a probe still tries.
    pub(crate) fn on_sack(&mut self, a_rwnd: u32) -> bool {
        self.advertised = a_rwnd as usize;
        self.sack_seen = true;
        if a_rwnd == 0 {
            return false;
        }
        self.probe = Probe::No;
        std::mem::take(&mut self.probe_out)
    }

    /// Whether a chunk with `len` bytes of user data may go. With nothing in flight and a window that is open but too
    /// small for it, the chunk goes at once: waiting could last forever. A closed window is first probed after `rto`.
    pub(crate) fn admit(&mut self, len: usize, in_flight: usize, now: Instant, rto: Duration) -> Admission {
        let available = self.available(in_flight);
        if len <= available {
            return Admission::Fits;
        }
        if in_flight > 0 {
            return Admission::Wait;
        }
        if available > 0 {
            return Admission::Probe;
        }
        match self.probe {
            Probe::Due => Admission::Probe,
            Probe::At(_) => Admission::Wait,
            Probe::No => {
                self.probe = Probe::At(now + rto);
                Admission::Wait
            }
        }
    }

    /// A probe went out; T3-rtx repeats it from here on, with its back-off.
    pub(crate) fn on_probe_sent(&mut self) {
        self.probe = Probe::No;
        self.probe_out = self.advertised == 0;
        self.sack_seen = false;
    }

    /// Whether an expiry of T3-rtx says nothing about the peer, because it answers and only its window is closed
    /// (§6.1 A).
    pub(crate) fn excuses_timeout(&mut self) -> bool {
        let seen = std::mem::take(&mut self.sack_seen);
        seen && self.advertised == 0
    }

    pub(crate) const fn timer(&self) -> Option<Instant> {
        match self.probe {
            Probe::At(at) => Some(at),
            Probe::No | Probe::Due => None,
        }
    }

    pub(crate) fn on_timeout(&mut self, now: Instant) {
        if self.timer().is_some_and(|at| at <= now) {
            self.probe = Probe::Due;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTO: Duration = Duration::from_secs(1);

    #[test]
    fn rfc9260_6_2_1_the_window_is_what_was_advertised_less_what_is_in_flight() {
        let mut window = PeerWindow::new(10_000);
        assert_eq!(window.available(4000), 6000);
        assert_eq!(window.admit(6000, 4000, Instant::ZERO, RTO), Admission::Fits);
        assert_eq!(window.admit(6001, 4000, Instant::ZERO, RTO), Admission::Wait);
        assert_eq!(window.admit(10_001, 0, Instant::ZERO, RTO), Admission::Probe);
    }

    #[test]
    fn rfc9260_6_1_a_a_closed_window_is_probed_after_one_rto() {
        let mut window = PeerWindow::new(0);
        assert_eq!(window.admit(1, 0, Instant::ZERO, RTO), Admission::Wait);
        assert_eq!(window.timer(), Some(Instant::from_millis(1000)));
        window.on_timeout(Instant::from_millis(999));
        assert_eq!(window.admit(1, 0, Instant::from_millis(999), RTO), Admission::Wait);
        window.on_timeout(Instant::from_millis(1000));
        assert_eq!(window.admit(1, 0, Instant::from_millis(1000), RTO), Admission::Probe);
        window.on_probe_sent();
        assert_eq!(window.timer(), None);
    }

    #[test]
    fn rfc9260_6_1_a_probes_that_are_answered_are_no_errors() {
        let mut window = PeerWindow::new(0);
        assert!(!window.excuses_timeout());
        window.on_sack(0);
        assert!(window.excuses_timeout());
        assert!(!window.excuses_timeout(), "one answer excuses one expiry");
        window.on_sack(1000);
        assert!(!window.excuses_timeout());
    }
}
