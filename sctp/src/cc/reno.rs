//! The controller of RFC 9260 §7.2: slow start, congestion avoidance, and what losses do to the window.

use super::Acked;

/// cwnd, ssthresh and partial_bytes_acked of one path.
#[derive(Clone, Debug)]
pub(crate) struct Reno {
    mtu: usize,
    cwnd: usize,
    ssthresh: usize,
    partial_bytes_acked: usize,
}

impl Reno {
    /// The initial window (§7.2.1): min(4 * PMDCS, max(2 * PMDCS, 4404)), over IPv6 with 4344, which is also three
    /// packets of 1500 bytes. ssthresh starts arbitrarily high.
    pub(crate) fn new(mtu: usize, ipv4: bool) -> Self {
        let three_packets = if ipv4 { 4404 } else { 4344 };
        Self {
            mtu,
            cwnd: (4 * mtu).min((2 * mtu).max(three_packets)),
            ssthresh: usize::MAX,
            partial_bytes_acked: 0,
        }
    }

    pub(crate) const fn cwnd(&self) -> usize {
        self.cwnd
    }

    pub(crate) const fn ssthresh(&self) -> usize {
        self.ssthresh
    }

    pub(crate) const fn mtu(&self) -> usize {
        self.mtu
    }

    /// Packets are of another size; `one_packet` after a time-out, when the window is one packet (§7.2.3).
    pub(crate) fn set_mtu(&mut self, mtu: usize, initial_window: usize, one_packet: bool) {
        self.mtu = mtu;
        if one_packet {
            self.cwnd = mtu;
        } else if self.ssthresh == usize::MAX {
            self.cwnd = self.cwnd.max(initial_window);
        }
    }

    pub(crate) fn on_acked(&mut self, acked: &Acked) {
        // §7.2.1, §7.2.2: only a window that was used grows; up to one packet below it counts as used, since that is
        // how a sender fills it.
        let fully_used = acked.flight_before.saturating_add(self.mtu) > self.cwnd;
        if self.cwnd <= self.ssthresh {
            // §7.2.1: slow start grows outside of fast recovery, by at most one packet a SACK (L = 1).
            if fully_used && !acked.in_fast_recovery {
                self.cwnd = self.cwnd.saturating_add(acked.bytes.min(self.mtu));
            }
        } else {
            self.avoid_congestion(acked, fully_used);
        }
        // §7.2.2: with everything acknowledged, counting starts over.
        if acked.flight_after == 0 {
            self.partial_bytes_acked = 0;
        }
    }

    /// One packet more a round trip (§7.2.2).
    fn avoid_congestion(&mut self, acked: &Acked, fully_used: bool) {
        self.partial_bytes_acked = self.partial_bytes_acked.saturating_add(acked.bytes);
        if self.partial_bytes_acked >= self.cwnd {
            if fully_used && !acked.in_fast_recovery {
                self.partial_bytes_acked -= self.cwnd;
                self.cwnd = self.cwnd.saturating_add(self.mtu);
            } else {
                self.partial_bytes_acked = self.cwnd;
            }
        }
    }

    fn halve(&mut self) {
        self.ssthresh = (self.cwnd / 2).max(4 * self.mtu);
        self.partial_bytes_acked = 0;
    }

    pub(crate) fn on_fast_retransmit(&mut self) {
        self.halve();
        self.cwnd = self.ssthresh;
    }

    /// As after a loss (RFC 3168 §6.1.2), but that a window which is smaller than that already does not grow.
    pub(crate) fn on_mark(&mut self) {
        let before = self.cwnd;
        self.on_fast_retransmit();
        self.cwnd = self.cwnd.min(before);
    }

    pub(crate) fn on_t3_expiry(&mut self) {
        self.halve();
        self.cwnd = self.mtu;
    }

    /// Nothing was sent for an RTO; `first` if that is new (§7.2.1).
    pub(crate) fn on_idle(&mut self, first: bool) {
        let shrunk = (self.cwnd / 2).max(4 * self.mtu);
        // A window that does not shrink was not adjusted: an association that waits before it first sends still has
        // its slow start.
        if shrunk < self.cwnd {
            if first {
                self.ssthresh = self.cwnd;
            }
            self.cwnd = shrunk;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::acked;
    use super::*;

    const MTU: usize = 1400;

    #[test]
    fn rfc9260_7_2_1_initial_window() {
        assert_eq!(Reno::new(MTU, true).cwnd(), 4404);
        assert_eq!(Reno::new(1000, true).cwnd(), 4000);
        assert_eq!(Reno::new(9000, true).cwnd(), 18_000);
        assert_eq!(Reno::new(MTU, false).cwnd(), 4344);
    }

    #[test]
    fn rfc9260_7_2_1_a_larger_packet_size_opens_a_window_that_no_loss_has_shrunk() {
        let mut reno = Reno::new(MTU, true);
        reno.set_mtu(9000, 18_000, false);
        assert_eq!((reno.cwnd(), reno.mtu()), (18_000, 9000));
        reno.set_mtu(MTU, 4404, false);
        assert_eq!(reno.cwnd(), 18_000, "a smaller one closes nothing");
        reno.on_fast_retransmit();
        reno.set_mtu(60_000, 120_000, false);
        assert_eq!(reno.cwnd(), 9000, "after a loss the window is what was found out");
        reno.on_t3_expiry();
        reno.set_mtu(MTU, 4404, true);
        assert_eq!(reno.cwnd(), MTU, "and one packet after a time-out");
    }

    #[test]
    fn rfc9260_7_2_1_slow_start_grows_by_at_most_one_packet_a_sack() {
        let mut reno = Reno::new(MTU, true);
        reno.on_acked(&acked(2 * MTU, 4404));
        assert_eq!(reno.cwnd(), 4404 + MTU);
        reno.on_acked(&acked(100, 4404 + MTU));
        assert_eq!(reno.cwnd(), 4404 + MTU + 100);
    }

    #[test]
    fn rfc9260_7_2_1_an_unused_window_does_not_grow() {
        let mut reno = Reno::new(MTU, true);
        reno.on_acked(&acked(MTU, MTU));
        assert_eq!(reno.cwnd(), 4404);
        reno.on_acked(&Acked {
            in_fast_recovery: true,
            ..acked(MTU, 4404)
        });
        assert_eq!(reno.cwnd(), 4404);
    }

    #[test]
    fn rfc9260_7_2_2_congestion_avoidance_grows_by_one_packet_a_window() {
        let mut reno = Reno::new(MTU, true);
        reno.cwnd = 100 * MTU;
        reno.on_fast_retransmit();
        reno.cwnd += 1;
        let window = reno.cwnd();
        for _ in 0..25 {
            reno.on_acked(&acked(2 * MTU, window));
        }
        assert_eq!(reno.cwnd(), window);
        reno.on_acked(&acked(2 * MTU, window));
        assert_eq!(reno.cwnd(), window + MTU);
    }

    #[test]
    fn rfc9260_7_2_3_losses_shrink_the_window() {
        let mut reno = Reno::new(MTU, true);
        reno.cwnd = 100 * MTU;
        reno.on_fast_retransmit();
        assert_eq!((reno.cwnd(), reno.ssthresh()), (50 * MTU, 50 * MTU));
        reno.on_t3_expiry();
        assert_eq!((reno.cwnd(), reno.ssthresh()), (MTU, 25 * MTU));
        reno.on_t3_expiry();
        assert_eq!((reno.cwnd(), reno.ssthresh()), (MTU, 4 * MTU));
    }

    #[test]
    fn rfc3168_6_1_2_a_mark_shrinks_the_window_as_a_loss_does_and_never_opens_it() {
        let mut reno = Reno::new(MTU, true);
        reno.cwnd = 100 * MTU;
        reno.on_mark();
        assert_eq!((reno.cwnd(), reno.ssthresh()), (50 * MTU, 50 * MTU));
        (0..10).for_each(|_| reno.on_mark());
        assert_eq!(reno.cwnd(), 4 * MTU);
        reno.on_t3_expiry();
        reno.on_mark();
        assert_eq!(reno.cwnd(), MTU);
    }

    #[test]
    fn rfc9260_7_2_1_an_idle_window_is_halved_down_to_four_packets() {
        let mut reno = Reno::new(MTU, true);
        reno.cwnd = 20 * MTU;
        reno.on_idle(true);
        assert_eq!((reno.cwnd(), reno.ssthresh()), (10 * MTU, 20 * MTU));
        (0..5).for_each(|_| reno.on_idle(false));
        assert_eq!(reno.cwnd(), 4 * MTU);
        reno.cwnd = MTU;
        reno.on_idle(true);
        assert_eq!(reno.cwnd(), MTU, "idleness never opens a window");
        let mut fresh = Reno::new(MTU, true);
        fresh.on_idle(true);
        assert_eq!(
            fresh.ssthresh(),
            usize::MAX,
            "nor does it end a slow start that has not begun"
        );
    }
}
