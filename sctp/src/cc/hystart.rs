//! When slow start is to end before it causes losses: by the round-trip time that rises, after HyStart++ (RFC 9406).
//! Where that compares rounds, here each sample counts together with those just before it: a window that doubles every
//! round overruns a queue before the next round begins.

use std::time::Duration;

use super::Acked;

/// How many samples in a row must be late (RFC 9406 §4.3: N_RTT_SAMPLE).
const SAMPLES: u32 = 8;
/// Late is what takes an eighth of the round-trip time longer, within these bounds.
const MIN_RISE: Duration = Duration::from_millis(4);
const MAX_RISE: Duration = Duration::from_millis(16);
/// How much slower Conservative Slow Start grows, and for how many rounds.
const CSS_GROWTH_DIVISOR: usize = 4;
const CSS_ROUNDS: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    SlowStart,
    /// Conservative Slow Start: the rise may have been noise.
    Conservative {
        rounds: u32,
    },
    Done,
}

/// Slow start of one path.
#[derive(Clone, Debug)]
pub(super) struct HyStart {
    phase: Phase,
    /// The round ends when a packet with this number or a later one is acknowledged.
    round_end: u64,
    least: Option<Duration>,
    late_in_a_row: u32,
    timely_in_a_row: u32,
}

impl HyStart {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::SlowStart,
            round_end: 0,
            least: None,
            late_in_a_row: 0,
            timely_in_a_row: 0,
        }
    }

    /// Takes a SACK in; true if slow start is to end now.
    pub(super) fn on_acked(&mut self, acked: &Acked) -> bool {
        if let Some(rtt) = acked.rtt {
            self.sample(rtt);
        }
        let round_over = acked.newest_packet >= self.round_end;
        if round_over {
            self.round_end = acked.next_packet;
        }
        match &mut self.phase {
            Phase::SlowStart if self.late_in_a_row >= SAMPLES => self.phase = Phase::Conservative { rounds: 0 },
            Phase::Conservative { .. } if self.timely_in_a_row >= SAMPLES => self.phase = Phase::SlowStart,
            Phase::Conservative { rounds } if round_over => {
                *rounds += 1;
                if *rounds >= CSS_ROUNDS {
                    self.phase = Phase::Done;
                    return true;
                }
            }
            _ => {}
        }
        false
    }

    fn sample(&mut self, rtt: Duration) {
        let least = self.least.map_or(rtt, |least| least.min(rtt));
        self.least = Some(least);
        if rtt >= least + (least / 8).clamp(MIN_RISE, MAX_RISE) {
            self.late_in_a_row += 1;
            self.timely_in_a_row = 0;
        } else {
            self.timely_in_a_row += 1;
            self.late_in_a_row = 0;
        }
    }

    /// How much of the usual growth is allowed.
    pub(super) const fn limit(&self, growth: usize) -> usize {
        match self.phase {
            Phase::Conservative { .. } => growth / CSS_GROWTH_DIVISOR,
            Phase::SlowStart | Phase::Done => growth,
        }
    }

    /// A loss ended slow start: later ones know where to stop.
    pub(super) const fn finish(&mut self) {
        self.phase = Phase::Done;
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::acked;
    use super::*;

    /// One round of ten packets, each with the same round-trip time.
    fn round(hystart: &mut HyStart, packets: &mut u64, rtt_ms: u64) -> bool {
        let mut ended = false;
        for _ in 0..10 {
            *packets += 1;
            let rtt = Some(Duration::from_millis(rtt_ms));
            ended |= hystart.on_acked(&Acked {
                rtt,
                newest_packet: *packets,
                next_packet: *packets + 10,
                ..acked(1, 1)
            });
        }
        ended
    }

    #[test]
    fn rfc9406_a_steady_round_trip_time_goes_on() {
        let (mut hystart, mut packets) = (HyStart::new(), 0);
        assert!((0..20).all(|_| !round(&mut hystart, &mut packets, 50)));
        assert_eq!(hystart.limit(1000), 1000);
    }

    #[test]
    fn rfc9406_a_rise_slows_down_and_then_ends_slow_start() {
        let (mut hystart, mut packets) = (HyStart::new(), 0);
        (0..3).for_each(|_| assert!(!round(&mut hystart, &mut packets, 50)));
        assert!(!round(&mut hystart, &mut packets, 60));
        assert_eq!(hystart.limit(1000), 250);
        assert!((0..6).any(|_| round(&mut hystart, &mut packets, 60)));
    }

    #[test]
    fn rfc9406_a_rise_that_goes_away_was_noise() {
        let (mut hystart, mut packets) = (HyStart::new(), 0);
        (0..3).for_each(|_| assert!(!round(&mut hystart, &mut packets, 50)));
        round(&mut hystart, &mut packets, 60);
        (0..2).for_each(|_| assert!(!round(&mut hystart, &mut packets, 50)));
        assert_eq!(hystart.limit(1000), 1000);
    }
}
