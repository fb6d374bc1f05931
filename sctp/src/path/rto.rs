//! Round-trip time and retransmission time-out of one path (RFC 9260 §6.3.1).

use std::time::Duration;

use crate::config::AssociationConfig;

/// RTO.Initial, RTO.Min and RTO.Max.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    initial: Duration,
    min: Duration,
    max: Duration,
}

/// SRTT, RTTVAR and RTO of one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rto {
    bounds: Bounds,
    measured: Option<Measured>,
    rto: Duration,
    /// The longest that it was since the path began.
    longest: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    srtt: Duration,
    rttvar: Duration,
}

impl Rto {
    pub(crate) const fn new(config: &AssociationConfig) -> Self {
        let bounds = Bounds {
            initial: config.rto_initial(),
            min: config.rto_min(),
            max: config.rto_max(),
        };
        // C1: until a measurement was made, RTO is RTO.Initial.
        Self {
            bounds,
            measured: None,
            rto: bounds.initial,
            longest: bounds.initial,
        }
    }

    /// RTO.Initial, RTO.Min or RTO.Max changed. Timers that run are left alone.
    pub(crate) fn set_bounds(&mut self, config: &AssociationConfig) {
        let untouched = self.measured.is_none() && self.rto == self.bounds.initial;
        let fresh = Self::new(config);
        self.bounds = fresh.bounds;
        self.rto = if untouched {
            fresh.rto
        } else {
            self.rto.clamp(self.bounds.min, self.bounds.max)
        };
    }

    /// Takes in one measurement. The caller keeps to Karn's rule (C5: nothing that was sent twice) and to one
    /// measurement a round trip (C4).
    pub(crate) fn measure(&mut self, rtt: Duration) {
        let measured = match self.measured {
            // C2: SRTT := R, RTTVAR := R/2.
            None => Measured {
                srtt: rtt,
                rttvar: rtt / 2,
            },
            // C3, with RTO.Beta 1/4 and RTO.Alpha 1/8.
            Some(Measured { srtt, rttvar }) => Measured {
                rttvar: (rttvar * 3 + srtt.abs_diff(rtt)) / 4,
                srtt: (srtt * 7 + rtt) / 8,
            },
        };
        self.measured = Some(measured);
        // C6, C7, and G (§6.3.1): a variance of zero would leave no room at all; 1 us is the clock's grain.
        let rttvar = measured.rttvar.max(Duration::from_micros(1));
        self.rto = (measured.srtt + rttvar * 4).clamp(self.bounds.min, self.bounds.max);
        self.longest = self.longest.max(self.rto);
    }

    /// Doubles the RTO after an expiry (§6.3.3 E2).
    pub(crate) fn back_off(&mut self) {
        self.rto = (self.rto * 2).min(self.bounds.max);
        self.longest = self.longest.max(self.rto);
    }

    pub(crate) const fn get(&self) -> Duration {
        self.rto
    }

    pub(crate) const fn longest(&self) -> Duration {
        self.longest
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.measured.map(|m| m.srtt)
    }

    pub(crate) fn rttvar(&self) -> Option<Duration> {
        self.measured.map(|m| m.rttvar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn rto(min: u64) -> Rto {
        let mut config = AssociationConfig::default();
        config.set_rto(ms(1000), ms(min), ms(60_000)).unwrap();
        Rto::new(&config)
    }

    #[test]
    fn rfc9260_6_3_1_c1_starts_at_rto_initial() {
        assert_eq!(rto(1).get(), ms(1000));
        assert_eq!(rto(1).srtt(), None);
    }

    #[test]
    fn rfc9260_6_3_1_c2_first_measurement() {
        let mut rto = rto(1);
        rto.measure(ms(100));
        assert_eq!((rto.srtt(), rto.get()), (Some(ms(100)), ms(300)));
    }

    #[test]
    fn rfc9260_6_3_1_c3_later_measurements() {
        let mut rto = rto(1);
        rto.measure(ms(100));
        rto.measure(ms(180));
        // RTTVAR = 3/4 * 50 + 1/4 * 80 = 57.5, SRTT = 7/8 * 100 + 1/8 * 180 = 110.
        assert_eq!((rto.srtt(), rto.get()), (Some(ms(110)), ms(340)));
    }

    #[test]
    fn rfc9260_11_1_13_new_bounds_hold_at_once() {
        let bounds = |initial, min, max| {
            let mut config = AssociationConfig::default();
            config.set_rto(ms(initial), ms(min), ms(max)).unwrap();
            config
        };
        let mut fresh = rto(1000);
        fresh.set_bounds(&bounds(500, 200, 60_000));
        assert_eq!(fresh.get(), ms(500), "without a measurement it is RTO.Initial");
        let mut measured = rto(1000);
        measured.measure(ms(100));
        measured.set_bounds(&bounds(500, 200, 60_000));
        assert_eq!(measured.get(), ms(1000));
        measured.measure(ms(100));
        assert!(measured.get() < ms(400));
        measured.back_off();
        measured.set_bounds(&bounds(1500, 1500, 1600));
        assert_eq!(measured.get(), ms(1500));
        measured.back_off();
        assert_eq!(measured.get(), ms(1600));
    }

    #[test]
    fn rfc9260_6_3_1_c6_c7_rto_stays_between_its_bounds() {
        let mut rto = rto(1000);
        rto.measure(ms(1));
        assert_eq!(rto.get(), ms(1000));
        for _ in 0..10 {
            rto.back_off();
        }
        assert_eq!(rto.get(), ms(60_000));
        rto.measure(Duration::from_secs(500));
        assert_eq!(rto.get(), ms(60_000));
    }
}
