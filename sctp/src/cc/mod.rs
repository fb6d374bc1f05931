//! Congestion control of one path (RFC 9260 §7). Windows and flights count bytes of DATA chunks,
//! headers and padding included.

mod cubic;
mod hystart;
mod reno;

use std::time::Duration;

use crate::config::CongestionControl;
use crate::time::Instant;

use cubic::Cubic;
use reno::Reno;

/// What the controller of a path learns from one SACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Acked {
    /// Bytes on this path that the SACK newly acknowledged.
    pub(crate) bytes: usize,
    /// Bytes in flight on this path before the SACK.
    pub(crate) flight_before: usize,
    /// Bytes in flight on this path after it.
    pub(crate) flight_after: usize,
    /// Whether the association is in fast recovery (§7.2.4).
    pub(crate) in_fast_recovery: bool,
    /// When the SACK came.
    pub(crate) now: Instant,
    /// The round-trip time of the newest packet it acknowledged, if that was sent once.
    pub(crate) rtt: Option<Duration>,
    /// The number of the newest packet it acknowledged.
    pub(crate) newest_packet: u64,
    /// The number of the packet to be sent next.
    pub(crate) next_packet: u64,
}

/// The congestion controller of a path, with the burst limit in front of it.
#[derive(Clone, Debug)]
pub(crate) struct Controller {
    algorithm: Algorithm,
    /// Max.Burst in packets; zero for no limit (§6.1 D).
    max_burst: u16,
    /// The same in bytes.
    burst: usize,
    /// How many bytes may still go out before the next SACK.
    burst_allowance: usize,
    /// T3-rtx expired, and nothing was acknowledged since: one packet may be in flight (§7.2.3).
    one_packet: bool,
}

#[derive(Clone, Debug)]
enum Algorithm {
    Reno(Reno),
    Cubic(Cubic),
}

/// Does the same with whichever algorithm it is.
macro_rules! each {
    ($controller:expr, $algorithm:ident => $what:expr) => {
        match $controller {
            Algorithm::Reno($algorithm) => $what,
            Algorithm::Cubic($algorithm) => $what,
        }
    };
}

impl Controller {
    /// A controller for packets with at most `mtu` bytes of chunks, to an IPv4 or IPv6 address.
    pub(crate) fn new(kind: CongestionControl, mtu: usize, ipv4: bool, max_burst: u16) -> Self {
        let burst = usize::from(max_burst) * mtu;
        let reno = Reno::new(mtu, ipv4);
        Self {
            algorithm: match kind {
                CongestionControl::Rfc9260 => Algorithm::Reno(reno),
                CongestionControl::Cubic => Algorithm::Cubic(Cubic::new(mtu, reno.cwnd())),
            },
            max_burst,
            burst,
            burst_allowance: burst,
            one_packet: false,
        }
    }

    /// Changes Max.Burst.
    pub(crate) fn set_max_burst(&mut self, packets: u16) {
        let before = std::mem::replace(&mut self.max_burst, packets);
        self.burst = usize::from(packets) * self.mtu();
        if before == 0 {
            // Nothing was counted, and with nothing in flight no SACK would allow anything.
            return self.on_occasion();
        }
        self.burst_allowance = self.burst_allowance.min(self.burst);
    }

    pub(crate) const fn cwnd(&self) -> usize {
        each!(&self.algorithm, algorithm => algorithm.cwnd())
    }

    pub(crate) const fn ssthresh(&self) -> usize {
        each!(&self.algorithm, algorithm => algorithm.ssthresh())
    }

    const fn mtu(&self) -> usize {
        each!(&self.algorithm, algorithm => algorithm.mtu())
    }

    /// Packets have room for `mtu` bytes of chunks from now on. A window that no loss has shrunk yet is opened to the
    /// initial one for that size (§7.2.1); what was found out about the path in bytes remains.
    pub(crate) fn set_mtu(&mut self, mtu: usize, ipv4: bool) {
        if mtu == self.mtu() {
            return;
        }
        let initial = Reno::new(mtu, ipv4).cwnd();
        let one_packet = self.one_packet;
        each!(&mut self.algorithm, algorithm => algorithm.set_mtu(mtu, initial, one_packet));
        self.burst = usize::from(self.max_burst) * self.mtu();
        self.on_occasion();
    }

    /// Whether more may be sent with `flight` bytes in flight (§6.1 B): the window may be overrun by the last packet,
    /// by less than its size.
    pub(crate) const fn may_send(&self, flight: usize) -> bool {
        let window = if self.one_packet { 1 } else { self.cwnd() };
        flight < window && (self.max_burst == 0 || self.burst_allowance > 0)
    }

    /// Bytes went out.
    pub(crate) const fn on_sent(&mut self, bytes: usize) {
        self.burst_allowance = self.burst_allowance.saturating_sub(bytes);
    }

    /// There is an occasion to send other than a SACK (new data, a timer): Max.Burst packets may go (§6.1 D).
    pub(crate) fn on_occasion(&mut self) {
        self.burst_allowance = self.burst_allowance.max(self.burst);
    }

    /// A SACK came. It allows a burst, on top of what earlier ones allowed: several that are handled together allow as
    /// much as if they had come apart. A SACK for a whole train of packets, from a peer that took them in at once,
    /// stands for several: it allows a train as long and one packet more, so that trains grow with the window.
    pub(crate) fn on_acked(&mut self, acked: &Acked) {
        each!(&mut self.algorithm, algorithm => algorithm.on_acked(acked));
        self.one_packet = false;
        let burst = self.burst;
        let allowed = burst.max(acked.bytes.saturating_add(self.mtu()));
        self.burst_allowance = self.burst_allowance.saturating_add(allowed).min(self.cwnd().max(burst));
    }

    /// A loss was found by missing reports (§7.2.3).
    pub(crate) fn on_fast_retransmit(&mut self) {
        each!(&mut self.algorithm, algorithm => algorithm.on_fast_retransmit());
    }

    /// A router has marked a packet: less goes out, and nothing was lost (RFC 3168 §6.1.2).
    pub(crate) fn on_mark(&mut self) {
        each!(&mut self.algorithm, algorithm => algorithm.on_mark());
    }

    /// T3-rtx expired (§7.2.3).
    pub(crate) fn on_t3_expiry(&mut self) {
        each!(&mut self.algorithm, algorithm => algorithm.on_t3_expiry());
        self.one_packet = true;
        self.on_occasion();
    }

    /// Nothing was sent on the path for an RTO; `first` if that is new (§7.2.1).
    pub(crate) fn on_idle(&mut self, first: bool) {
        each!(&mut self.algorithm, algorithm => algorithm.on_idle(first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a SACK without news of time says.
    pub(super) const fn acked(bytes: usize, flight_before: usize) -> Acked {
        Acked {
            bytes,
            flight_before,
            flight_after: flight_before - bytes,
            in_fast_recovery: false,
            now: Instant::ZERO,
            rtt: None,
            newest_packet: 0,
            next_packet: 0,
        }
    }

    #[test]
    fn rfc9260_6_1_d_no_more_than_max_burst_packets_go_at_once() {
        let mut cc = Controller::new(CongestionControl::Rfc9260, 1000, true, 4);
        let mut sent = 0;
        while cc.may_send(0) {
            cc.on_sent(1000);
            sent += 1;
        }
        assert_eq!(sent, 4);
        cc.on_occasion();
        assert!(cc.may_send(0));
        let mut unlimited = Controller::new(CongestionControl::Rfc9260, 1000, true, 0);
        (0..100).for_each(|_| unlimited.on_sent(1000));
        assert!(unlimited.may_send(0));
    }

    #[test]
    fn rfc9260_6_1_d_a_limit_that_is_set_later_lets_the_first_packets_go() {
        let mut cc = Controller::new(CongestionControl::Rfc9260, 1000, true, 0);
        cc.on_sent(1000);
        cc.set_max_burst(2);
        assert!(cc.may_send(0));
        cc.on_sent(2000);
        assert!(!cc.may_send(0));
        cc.set_max_burst(4);
        assert!(!cc.may_send(0));
    }

    #[test]
    fn rfc9260_6_1_d_a_sack_for_a_train_of_packets_allows_another_one() {
        let mut cc = Controller::new(CongestionControl::Rfc9260, 1000, true, 4);
        let sack = |cc: &mut Controller, bytes: usize| cc.on_acked(&acked(bytes, cc.cwnd()));
        (0..100).for_each(|_| sack(&mut cc, 2000));
        let send = |cc: &mut Controller| {
            let mut sent = 0;
            while cc.may_send(0) {
                cc.on_sent(1000);
                sent += 1;
            }
            sent
        };
        send(&mut cc);
        sack(&mut cc, 2000);
        assert_eq!(send(&mut cc), 4);
        sack(&mut cc, 20_000);
        assert_eq!(send(&mut cc), 21);
    }

    #[test]
    fn rfc9260_7_2_3_after_a_timeout_one_packet_may_be_in_flight() {
        let mut cc = Controller::new(CongestionControl::Rfc9260, 1000, true, 4);
        cc.on_t3_expiry();
        assert!(cc.may_send(0) && !cc.may_send(10));
        cc.on_acked(&acked(10, 10));
        assert!(cc.may_send(10));
    }

    #[test]
    fn rfc9260_6_1_b_the_window_may_be_overrun_by_one_packet() {
        let cc = Controller::new(CongestionControl::Rfc9260, 1000, true, 4);
        assert!(cc.may_send(cc.cwnd() - 1));
        assert!(!cc.may_send(cc.cwnd()));
    }
}
