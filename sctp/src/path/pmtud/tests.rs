use super::*;
use crate::path::PathId;
use crate::random::Random;

/// How the path answers to what does not fit.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Silent,
    Reports,
    Refuses,
}

/// A path that carries so much, and the discovery on it.
struct Bed {
    pmtud: Pmtud,
    now: Instant,
    carries: u16,
    manner: Manner,
    random: Random,
    /// The sizes that were probed.
    probes: Vec<u16>,
}

const RTT: Duration = Duration::from_millis(20);
const RTO: Duration = Duration::from_secs(1);

impl Bed {
    fn new(carries: u16, manner: Manner) -> Self {
        Self::with(carries, manner, &PathConfig::default(), true)
    }

    fn with(carries: u16, manner: Manner, config: &PathConfig, ipv4: bool) -> Self {
        Self {
            pmtud: Pmtud::new(config, ipv4),
            now: Instant::ZERO,
            carries,
            manner,
            random: Random::from_number(1),
            probes: Vec::new(),
        }
    }

    /// Sends what is due, and runs timers, for `duration` while filled packets go out.
    fn run(&mut self, duration: Duration) {
        self.run_with(duration, true);
    }

    fn run_with(&mut self, duration: Duration, data: bool) {
        let end = self.now + duration;
        loop {
            if data {
                self.pmtud.on_full_packet();
            }
            if self.pmtud.is_due() {
                self.probe();
                continue;
            }
            let Some(at) = self.pmtud.timer().filter(|&at| at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.pmtud.on_timer(self.now);
        }
        self.now = end;
    }

    fn probe(&mut self) {
        let size = self.pmtud.probed();
        self.probes.push(size);
        let info = HeartbeatInfo::new(PathId(0), self.now, size, &mut self.random);
        self.pmtud.on_probe_sent(self.now, info, RTO);
        let fits = size <= self.carries;
        if fits || self.manner == Manner::Reports {
            self.now += RTT;
        }
        match self.manner {
            _ if fits => assert!(self.pmtud.on_probe_ack(self.now, &info)),
            Manner::Silent => {}
            Manner::Reports => drop(self.pmtud.on_packet_too_big(self.now, self.carries)),
            Manner::Refuses => drop(self.pmtud.on_local_limit(self.now, size)),
        }
    }

    fn found(&self) -> (MtuDiscovery, u16) {
        (self.pmtud.state(), self.pmtud.mtu())
    }
}

use MtuDiscovery::{Base, Disabled, Error, SearchComplete, Searching};

#[test]
fn rfc8899_5_3_common_sizes_are_found_by_few_probes() {
    for (carries, most) in [(65535, 4), (9000, 16), (1500, 16), (1492, 16), (1420, 16), (1280, 16)] {
        for manner in [Manner::Silent, Manner::Reports, Manner::Refuses] {
            let mut bed = Bed::new(carries, manner);
            bed.run(Duration::from_secs(60));
            assert_eq!(bed.found(), (SearchComplete, carries), "{:?}", bed.probes);
            assert!(bed.probes.len() <= most, "{carries}: {:?}", bed.probes);
        }
    }
    let mut bed = Bed::new(65535, Manner::Silent);
    bed.run(4 * RTT);
    assert_eq!(
        (bed.found(), bed.probes),
        ((SearchComplete, 65535), vec![1280, 1500, 9000, 65535])
    );
}

#[test]
fn rfc8899_5_3_no_size_takes_many_probes_and_none_is_above_what_is_carried() {
    for carries in (1280..=65535u16).step_by(97) {
        for manner in [Manner::Silent, Manner::Reports, Manner::Refuses] {
            let mut bed = Bed::new(carries, manner);
            bed.run(Duration::from_secs(100));
            let (state, mtu) = bed.found();
            assert_eq!(state, SearchComplete);
            assert!(
                mtu <= carries && u32::from(mtu) * 2 >= u32::from(carries),
                "{mtu} of {carries}"
            );
            assert!(manner != Manner::Reports || mtu == carries, "{mtu} of {carries}");
            assert!(bed.probes.len() <= 24, "{carries}: {:?}", bed.probes);
        }
    }
}

#[test]
fn rfc8899_5_1_2_no_size_beyond_the_limit_is_tried() {
    let mut config = PathConfig::default();
    for max in [1281, 1400, 1500, 1501, 9000, 20_000] {
        config.set_mtu_discovery(Some(max)).unwrap();
        let mut bed = Bed::with(65535, Manner::Silent, &config, true);
        bed.run(Duration::from_secs(60));
        assert_eq!((bed.found(), bed.probes.last()), ((SearchComplete, max), Some(&max)));
        assert_eq!(bed.pmtud.timer(), None, "there is nothing to raise to");
    }
    config.set_mtu_discovery(None).unwrap();
    let mut bed = Bed::with(65535, Manner::Silent, &config, true);
    bed.run(Duration::from_secs(60));
    assert_eq!((bed.found(), bed.probes.len()), ((Disabled, 1280), 0));
}

#[test]
fn rfc8899_5_1_3_a_size_is_given_up_after_max_probes() {
    let mut bed = Bed::new(1280, Manner::Silent);
    bed.run(Duration::from_millis(2900));
    assert_eq!(
        (bed.found(), bed.probes.as_slice()),
        ((Searching, 1280), [1280, 1500, 1500, 1500].as_slice())
    );
}

#[test]
fn rfc8899_5_1_1_a_larger_size_is_tried_again_after_ten_minutes_of_use() {
    let mut bed = Bed::new(1500, Manner::Silent);
    bed.run(Duration::from_secs(60));
    assert_eq!(bed.found(), (SearchComplete, 1500));
    bed.carries = 9000;
    bed.probes.clear();
    bed.run(Duration::from_secs(500));
    assert_eq!((bed.found(), bed.probes.len()), ((SearchComplete, 1500), 0));
    bed.run(Duration::from_secs(160));
    assert_eq!((bed.found(), bed.probes[0]), ((SearchComplete, 9000), 9000));
}

#[test]
fn rfc8899_5_1_1_nothing_is_probed_while_nothing_is_sent() {
    let mut bed = Bed::new(1500, Manner::Silent);
    bed.run_with(Duration::from_secs(60), false);
    assert_eq!((bed.found(), bed.probes.len()), ((Disabled, 1280), 0));
    bed.run(Duration::from_secs(60));
    bed.carries = 9000;
    bed.probes.clear();
    bed.run_with(Duration::from_secs(6000), false);
    assert!(
        bed.probes.len() <= 16,
        "one search at most, for what was sent before: {:?}",
        bed.probes
    );
    bed.probes.clear();
    bed.run_with(Duration::from_secs(60_000), false);
    assert_eq!(
        (bed.probes.len(), bed.pmtud.timer()),
        (0, None),
        "not even a timer runs"
    );
}

#[test]
fn rfc8899_5_2_without_the_base_size_the_smallest_is_used_until_the_base_arrives() {
    let mut bed = Bed::new(1000, Manner::Silent);
    bed.run(Duration::from_secs(5));
    assert_eq!(bed.found(), (Error, 576));
    bed.run(Duration::from_secs(60));
    assert!(bed.probes.iter().all(|&size| size == 1280), "{:?}", bed.probes);
    assert!(bed.probes.len() <= 10, "{:?}", bed.probes);
    bed.carries = 1500;
    bed.run(Duration::from_secs(60));
    assert_eq!(bed.found(), (SearchComplete, 1500));
    let mut v6 = Bed::with(1000, Manner::Silent, &PathConfig::default(), false);
    v6.run(Duration::from_secs(5));
    assert_eq!(v6.found(), (Error, 1280), "every IPv6 link carries 1280");
}

#[test]
fn rfc8899_4_3_when_large_packets_vanish_the_base_size_is_used_and_the_search_begins_anew() {
    let mut bed = Bed::new(9000, Manner::Silent);
    bed.run(Duration::from_secs(60));
    assert_eq!(bed.found(), (SearchComplete, 9000));
    bed.carries = 1500;
    assert!(!bed.pmtud.on_large_packet_lost(), "one time-out is no black hole");
    bed.pmtud.on_acked(9000);
    assert!(
        !bed.pmtud.on_large_packet_lost(),
        "nor are two if something large got through between them"
    );
    bed.pmtud.on_acked(1200);
    assert!(bed.pmtud.on_large_packet_lost());
    assert_eq!(bed.found(), (Base, 1280));
    bed.run(Duration::from_secs(60));
    assert_eq!(bed.found(), (SearchComplete, 1500));
}

#[test]
fn rfc8899_4_6_2_a_report_that_cannot_be_true_changes_nothing() {
    let mut bed = Bed::new(9000, Manner::Silent);
    bed.run(Duration::from_secs(60));
    for size in [9000, 9001, 65535, 575, 68, 0] {
        assert!(!bed.pmtud.on_packet_too_big(bed.now, size));
        assert_eq!(bed.found(), (SearchComplete, 9000), "{size}");
    }
    assert!(bed.pmtud.on_packet_too_big(bed.now, 1492));
    assert_eq!(
        bed.found(),
        (Base, 1280),
        "less than what is used: large packets vanish"
    );
    bed.carries = 1492;
    bed.probes.clear();
    bed.run(Duration::from_secs(60));
    assert_eq!(
        (bed.found(), bed.probes.as_slice()),
        ((SearchComplete, 1492), [1280, 1492].as_slice())
    );
    assert!(bed.pmtud.on_packet_too_big(bed.now, 1000));
    assert_eq!(bed.found(), (Error, 576));
}

#[test]
fn rfc8899_4_6_2_a_lie_about_a_smaller_size_costs_only_until_the_next_search() {
    let mut bed = Bed::new(9000, Manner::Silent);
    bed.run(Duration::from_secs(60));
    bed.pmtud.on_packet_too_big(bed.now, 1300);
    bed.run(Duration::from_secs(60));
    assert_eq!(bed.found(), (SearchComplete, 1300));
    bed.run(RAISE);
    assert_eq!(bed.found(), (SearchComplete, 9000));
}

#[test]
fn rfc8899_6_2_1_2_only_the_outstanding_probe_confirms_a_size() {
    let mut bed = Bed::new(9000, Manner::Silent);
    bed.pmtud.on_full_packet();
    let old = HeartbeatInfo::new(PathId(0), bed.now, 65535, &mut bed.random);
    let info = HeartbeatInfo::new(PathId(0), bed.now, 1280, &mut bed.random);
    bed.pmtud.on_probe_sent(bed.now, info, RTO);
    assert!(!bed.pmtud.on_probe_ack(bed.now, &old));
    assert!(bed.pmtud.on_probe_ack(bed.now, &info));
    assert!(!bed.pmtud.on_probe_ack(bed.now, &info), "once");
    assert_eq!(bed.found(), (Searching, 1280));
}

#[test]
fn rfc8899_5_2_a_path_that_fails_is_not_probed_and_begins_anew_at_the_base() {
    let mut bed = Bed::new(9000, Manner::Silent);
    bed.run(Duration::from_secs(60));
    bed.pmtud.disable();
    assert_eq!(
        (bed.found(), bed.pmtud.timer(), bed.pmtud.is_due()),
        ((Disabled, 9000), None, false)
    );
    bed.pmtud.on_full_packet();
    assert_eq!(bed.found(), (Base, 1280));
}
