//! CUBIC (RFC 9438) for a path, with two changes: slow start ends by HyStart++, and a loss takes as much of the window
//! as stood in queues, rather than always the same share. A link that loses at random is so kept full, while a full
//! queue is halved as in RFC 9260 §7.2.3.

use std::time::Duration;

use super::Acked;
use super::hystart::HyStart;
use crate::time::Instant;

/// C of RFC 9438 §4.1, in packets per cubic second.
const C: f64 = 0.4;
/// The window after a loss is at least and at most this share of the one before.
const LEAST_BETA: f64 = 0.5;
const MOST_BETA: f64 = 0.95;
/// The share while no round trip was measured (RFC 9438 §4.6).
const DEFAULT_BETA: f64 = 0.7;
/// How many packets one SACK may add to the window in slow start (RFC 9406 §4.2: L without pacing).
const SLOW_START_LIMIT: usize = 8;

/// Where a period of growth stands.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    start: Instant,
    /// Seconds until the window reaches that of the last loss again.
    k: f64,
    /// The window that RFC 9260 §7.2.2 would have, in bytes.
    reno_window: f64,
}

/// The state of one path.
#[derive(Clone, Debug)]
pub(super) struct Cubic {
    mtu: usize,
    cwnd: f64,
    ssthresh: f64,
    /// The window at the last loss, in bytes.
    w_max: f64,
    epoch: Option<Epoch>,
    hystart: HyStart,
    min_rtt: Option<Duration>,
    last_rtt: Option<Duration>,
}

impl Cubic {
    /// Starts with the given window, in bytes.
    pub(super) const fn new(mtu: usize, initial_window: usize) -> Self {
        Self {
            mtu,
            cwnd: initial_window as f64,
            ssthresh: f64::MAX,
            w_max: 0.0,
            epoch: None,
            hystart: HyStart::new(),
            min_rtt: None,
            last_rtt: None,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a float to integer conversion saturates")]
    pub(super) const fn cwnd(&self) -> usize {
        self.cwnd as usize
    }

    #[expect(clippy::cast_possible_truncation, reason = "a float to integer conversion saturates")]
    pub(super) const fn ssthresh(&self) -> usize {
        self.ssthresh as usize
    }

    pub(super) const fn mtu(&self) -> usize {
        self.mtu
    }

    /// Packets are of another size; `one_packet` after a time-out, when the window is one packet.
    pub(super) fn set_mtu(&mut self, mtu: usize, initial_window: usize, one_packet: bool) {
        self.mtu = mtu;
        if one_packet {
            self.cwnd = mtu as f64;
        } else if self.ssthresh == f64::MAX {
            self.cwnd = self.cwnd.max(initial_window as f64);
        }
        // The cubic function counts in packets.
        self.epoch = None;
    }

    pub(super) fn on_acked(&mut self, acked: &Acked) {
        if let Some(rtt) = acked.rtt {
            self.last_rtt = Some(rtt);
            self.min_rtt = Some(self.min_rtt.map_or(rtt, |least| least.min(rtt)));
        }
        let slow_start = self.cwnd < self.ssthresh;
        let ends = slow_start && self.hystart.on_acked(acked);
        let fully_used = acked.flight_before.saturating_add(self.mtu) > self.cwnd();
        if acked.in_fast_recovery || !fully_used {
            return;
        }
        if ends {
            self.ssthresh = self.cwnd;
        } else if slow_start {
            let growth = acked.bytes.min(SLOW_START_LIMIT * self.mtu);
            self.cwnd += self.hystart.limit(growth) as f64;
        } else {
            self.avoid_congestion(acked);
        }
    }

    /// RFC 9438 §4.2 to §4.5: towards where the cubic function will be one round trip from now, and not slower than
    /// one packet a round trip.
    fn avoid_congestion(&mut self, acked: &Acked) {
        let mtu = self.mtu as f64;
        let epoch = self.epoch.get_or_insert_with(|| {
            self.w_max = self.w_max.max(self.cwnd);
            let packets = (self.w_max - self.cwnd) / mtu;
            Epoch {
                start: acked.now,
                k: (packets / C).cbrt(),
                reno_window: self.cwnd,
            }
        });
        let ahead = acked.now.saturating_since(epoch.start) + self.min_rtt.unwrap_or_default();
        let t = ahead.as_secs_f64() - epoch.k;
        let target = (C * t * t * t)
            .mul_add(mtu, self.w_max)
            .clamp(self.cwnd, self.cwnd * 1.5);
        let share = acked.bytes as f64 / self.cwnd;
        epoch.reno_window += mtu * share;
        self.cwnd = (target - self.cwnd).mul_add(share, self.cwnd).max(epoch.reno_window);
    }

    pub(super) fn on_fast_retransmit(&mut self) {
        self.shrink(self.beta());
        self.cwnd = self.ssthresh;
    }

    /// The share of the window that was on the wire rather than in queues.
    fn beta(&self) -> f64 {
        match (self.min_rtt, self.last_rtt) {
            (Some(least), Some(last)) if !last.is_zero() => {
                (least.as_secs_f64() / last.as_secs_f64()).clamp(LEAST_BETA, MOST_BETA)
            }
            _ => DEFAULT_BETA,
        }
    }

    fn shrink(&mut self, beta: f64) {
        // RFC 9438 §4.7: whoever did not reach the last maximum leaves room to others.
        self.w_max = if self.cwnd < self.w_max {
            self.cwnd * (1.0 + beta) / 2.0
        } else {
            self.cwnd
        };
        self.ssthresh = (self.cwnd * beta).max(4.0 * self.mtu as f64);
        self.epoch = None;
        self.hystart.finish();
    }

    /// RFC 9438 §4.6. A queue that marks is about to build up however short it is yet, so what stands in it is no
    /// measure of how much is to be given up; a link that loses at random marks nothing.
    pub(super) fn on_mark(&mut self) {
        self.shrink(self.beta().min(DEFAULT_BETA));
        self.cwnd = self.cwnd.min(self.ssthresh);
    }

    pub(super) fn on_t3_expiry(&mut self) {
        self.shrink(LEAST_BETA);
        self.cwnd = self.mtu as f64;
    }

    pub(super) fn on_idle(&mut self, first: bool) {
        let shrunk = (self.cwnd / 2.0).max(4.0 * self.mtu as f64);
        if shrunk < self.cwnd {
            if first {
                self.ssthresh = self.cwnd;
            }
            self.cwnd = shrunk;
        }
        self.epoch = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::acked;
    use super::*;

    const MTU: usize = 1400;

    /// A window of so many packets that came out of slow start by a loss, on a path of 50 ms with `queued` ms of queue.
    fn after_loss(packets: usize, queued: u64) -> Cubic {
        let mut cubic = Cubic::new(MTU, packets * MTU);
        for rtt in [50, 50 + queued] {
            cubic.on_acked(&Acked {
                rtt: Some(Duration::from_millis(rtt)),
                flight_before: 0,
                ..acked(1, 1)
            });
        }
        cubic.on_fast_retransmit();
        cubic
    }

    #[test]
    fn a_loss_takes_what_stood_in_queues() {
        assert_eq!(after_loss(100, 50).cwnd(), 50 * MTU);
        assert_eq!(after_loss(100, 500).cwnd(), 50 * MTU);
        assert_eq!(after_loss(100, 0).cwnd(), 95 * MTU);
    }

    #[test]
    fn rfc9438_4_2_growth_is_concave_up_to_the_last_maximum_and_convex_beyond() {
        let mut cubic = after_loss(1000, 50);
        let mut window_at = |ms: u64| {
            let window = cubic.cwnd();
            cubic.on_acked(&Acked {
                now: Instant::from_millis(ms),
                ..acked(window, window)
            });
            cubic.cwnd() / MTU
        };
        // K is the cube root of 500 / 0.4, about 10.8 s.
        let windows: Vec<usize> = (0..20).map(|second| window_at(second * 1000)).collect();
        let growth: Vec<usize> = windows.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!((990..=1010).contains(&windows[11]), "{windows:?}");
        assert!(
            growth[1] > 10 * growth[10],
            "fast at first, slow near the maximum: {growth:?}"
        );
        assert!(growth[18] > 10 * growth[10], "and fast again: {growth:?}");
    }

    #[test]
    fn rfc9438_4_3_growth_is_never_slower_than_one_packet_a_round_trip() {
        let mut cubic = after_loss(100, 0);
        let before = cubic.cwnd();
        for n in 1..=20u64 {
            let window = cubic.cwnd();
            cubic.on_acked(&Acked {
                now: Instant::from_millis(n),
                ..acked(window, window)
            });
        }
        assert!(cubic.cwnd() >= before + 19 * MTU);
    }

    #[test]
    fn rfc9438_4_6_a_mark_takes_three_tenths_at_least_and_never_opens_the_window() {
        let mut cubic = after_loss(100, 0);
        let before = cubic.cwnd();
        cubic.on_mark();
        assert_eq!(cubic.cwnd() * 10 / before, 7);
        (0..20).for_each(|_| cubic.on_mark());
        assert_eq!(cubic.cwnd(), 4 * MTU);
        cubic.on_t3_expiry();
        cubic.on_mark();
        assert_eq!(cubic.cwnd(), MTU);
    }

    #[test]
    fn rfc9260_7_2_3_a_timeout_starts_over() {
        let mut cubic = after_loss(100, 0);
        cubic.on_t3_expiry();
        assert_eq!(cubic.cwnd(), MTU);
        assert!(cubic.ssthresh() < 50 * MTU);
    }
}
