//! Probing a path: heartbeats and path verification (RFC 9260 §8.3, §5.4).

use std::time::Duration;

use super::{Path, PathId, PathState};
use crate::Instant;
use crate::random::Random;
use crate::tlv::{Reader, Writer};

/// The heartbeat side of a path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probe {
    timer: Option<Instant>,
    outstanding: Option<HeartbeatInfo>,
    /// A heartbeat is to be sent.
    due: bool,
}

impl Probe {
    pub(crate) const fn timer(&self) -> Option<Instant> {
        self.timer
    }

    pub(crate) const fn is_due(&self) -> bool {
        self.due
    }
}

/// What a HEARTBEAT carries and its ACK brings back: which path, when, and a nonce that only who received the
/// HEARTBEAT can know (RFC 9260 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeartbeatInfo {
    path: PathId,
    sent_at: Instant,
    nonce: u64,
    /// The size of the IP packet, if it was to find out whether that arrives (RFC 8899 §6.2.1.2); zero otherwise.
    probed_size: u16,
}

impl HeartbeatInfo {
    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.u64(self.nonce);
        w.u64(self.sent_at.as_nanos());
        w.u16(self.probed_size);
        w.u16(self.path.0.into());
    }

    /// Reads what [`write`](Self::write) wrote; `None` for anything else.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader::new(bytes);
        let nonce = r.u64("nonce").ok()?;
        let sent_at = Instant::from_nanos(r.u64("time").ok()?);
        let probed_size = r.u16("probed size").ok()?;
        let path = PathId(u8::try_from(r.u16("path").ok()?).ok()?);
        r.finish("heartbeat information").ok()?;
        Some(Self {
            path,
            sent_at,
            nonce,
            probed_size,
        })
    }

    /// The content of a HEARTBEAT that is sent now, in an IP packet of `probed_size` bytes if that is not zero.
    pub(super) fn new(path: PathId, now: Instant, probed_size: u16, random: &mut Random) -> Self {
        Self {
            path,
            sent_at: now,
            nonce: random.u64(),
            probed_size,
        }
    }

    /// Whether it probes the path MTU.
    pub(crate) const fn probes_mtu(&self) -> bool {
        self.probed_size != 0
    }

    pub(crate) const fn path(&self) -> PathId {
        self.path
    }
}

/// What the expiry of a heartbeat timer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProbeExpiry {
    /// The last heartbeat was not answered.
    pub(crate) missed: bool,
}

impl Path {
    /// Arms the timer of the next heartbeat: RTO plus HB.interval with a jitter of ±50 % of the RTO (§8.3).
    pub(crate) fn arm_probe(&mut self, now: Instant, random: &mut Random) {
        let rto = self.rto();
        self.probe.timer = self
            .config
            .heartbeat_interval()
            .map(|interval| now + interval + rto / 2 + jitter(rto, random));
    }

    /// Arms the timer of the first heartbeat, after `delay`.
    pub(crate) fn arm_first_probe(&mut self, now: Instant, delay: Duration) {
        self.probe.timer = Some(now + delay);
    }

    /// Sends the heartbeat that is due not before `at`.
    pub(crate) fn put_probe_off(&mut self, at: Instant) {
        self.probe.timer = Some(at);
        self.probe.due = false;
    }

    pub(crate) fn disarm_probe(&mut self) {
        self.probe = Probe::default();
    }

    /// The path is potentially failed from now on: it is probed once an RTO (RFC 7829 §3.2 rules 5, 6), beginning now,
    /// or after an RTO if data goes there all the same (`used`), whose fate tells as much.
    pub(crate) fn arm_failure_probe(&mut self, now: Instant, used: bool) {
        if self.config.heartbeat_interval().is_none() {
            return;
        }
        self.probe = Probe {
            timer: Some(now + self.rto()),
            outstanding: None,
            due: !used,
        };
    }

    /// Heartbeats go on at their usual pace; the answer to the last one is not waited for. The first one needs no
    /// jitter: when a path fails or returns is jitter enough.
    pub(crate) fn resume_probing(&mut self, now: Instant) {
        self.disarm_probe();
        let rto = self.rto();
        self.probe.timer = self.config.heartbeat_interval().map(|interval| now + interval + rto);
    }

    /// Asks for a heartbeat now.
    pub(crate) fn request_probe(&mut self) {
        self.probe.due = true;
    }

    /// The heartbeat timer, if it is due at `now`: an answer is missing, or the next heartbeat is to be sent unless
    /// the path is in use (`busy`: data is in flight).
    pub(crate) fn on_probe_timer(&mut self, now: Instant, busy: bool, random: &mut Random) -> Option<ProbeExpiry> {
        self.probe.timer.filter(|&at| at <= now)?;
        let missed = self.probe.outstanding.take().is_some();
        if self.is_probed_while_failing() {
            // RFC 7829 §3.2 rule 6: what data tells is not told twice.
            let missed = missed && !busy;
            if missed {
                self.rto.back_off();
            }
            self.probe.timer = Some(now + self.rto());
            self.probe.due = !busy;
            return Some(ProbeExpiry { missed });
        }
        self.arm_probe(now, random);
        if missed {
            // §8.3: an unanswered HEARTBEAT backs the RTO off.
            self.rto.back_off();
            // §5.4: a path that waits for its verification is probed once an RTO until Path.Max.Retrans.
            self.probe.due = self.is_verifying();
        } else {
            let idle = now.saturating_since(self.last_used);
            let in_use = busy || self.config.heartbeat_interval().is_some_and(|interval| idle < interval);
            self.probe.due = self.is_verifying() || !in_use;
        }
        Some(ProbeExpiry { missed })
    }

    fn is_probed_while_failing(&self) -> bool {
        self.state == PathState::PotentiallyFailed && self.config.heartbeat_interval().is_some()
    }

    fn is_verifying(&self) -> bool {
        self.state == PathState::Unconfirmed && self.error_count <= self.config.path_max_retrans()
    }

    /// The content of the heartbeat that is sent now. Its answer is expected within one RTO (§8.3).
    pub(crate) fn send_probe(&mut self, now: Instant, id: PathId, random: &mut Random) -> HeartbeatInfo {
        let info = HeartbeatInfo::new(id, now, 0, random);
        self.probe = Probe {
            timer: Some(now + self.rto()),
            outstanding: Some(info),
            due: false,
        };
        self.touch(now);
        self.stats.heartbeats_sent += 1;
        info
    }

    /// The content of the HEARTBEAT that probes the path MTU now (RFC 8899 §6.2.1.2), and the size of the SCTP packet
    /// that it is to be in. It is no heartbeat otherwise: that it is lost says nothing about the path.
    pub(crate) fn send_mtu_probe(&mut self, now: Instant, id: PathId, random: &mut Random) -> (HeartbeatInfo, usize) {
        let size = self.pmtud.probed();
        let info = HeartbeatInfo::new(id, now, size, random);
        let rto = self.rto();
        self.pmtud.on_probe_sent(now, info, rto);
        (info, self.packet_in(size))
    }

    /// An acknowledgement came; true if it answers the outstanding heartbeat. It measures the round trip.
    pub(crate) fn on_probe_ack(&mut self, now: Instant, info: &HeartbeatInfo, random: &mut Random) -> bool {
        if self.probe.outstanding != Some(*info) {
            return false;
        }
        self.probe.outstanding = None;
        self.stats.heartbeats_answered += 1;
        self.measure_probe(now, info);
        self.arm_probe(now, random);
        true
    }

    /// A HEARTBEAT of any kind was answered: the time that took makes an RTO that time-outs doubled what it should be
    /// (§8.3, §6.3.1).
    pub(crate) fn measure_probe(&mut self, now: Instant, info: &HeartbeatInfo) {
        self.rto.measure(now.saturating_since(info.sent_at));
    }
}

fn jitter(rto: Duration, random: &mut Random) -> Duration {
    Duration::from_nanos(random.below(u64::try_from(rto.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AssociationConfig;

    fn path() -> (Path, Random) {
        let mut path = Path::new(
            "10.0.0.1".parse().unwrap(),
            &AssociationConfig::default(),
            Instant::ZERO,
        );
        path.state = PathState::Active;
        (path, Random::from_number(1))
    }

    #[test]
    fn rfc9260_8_3_the_interval_is_rto_plus_hb_interval_with_jitter() {
        let (mut path, mut random) = path();
        for _ in 0..100 {
            path.arm_probe(Instant::ZERO, &mut random);
            let at = path.probe.timer().unwrap();
            assert!(
                (Instant::from_millis(30_500)..=Instant::from_millis(31_500)).contains(&at),
                "{at:?}"
            );
        }
    }

    #[test]
    fn rfc9260_5_4_an_unconfirmed_path_is_probed_every_rto_until_path_max_retrans() {
        let (mut path, mut random) = path();
        path.state = PathState::Unconfirmed;
        let mut now = Instant::ZERO;
        for missed in 1..=6 {
            path.send_probe(now, PathId(0), &mut random);
            assert_eq!(path.probe.timer(), Some(now + path.rto()));
            now = path.probe.timer().unwrap();
            path.missed();
            assert_eq!(
                path.on_probe_timer(now, false, &mut random),
                Some(ProbeExpiry { missed: true })
            );
            assert_eq!(path.probe.is_due(), missed <= 5);
        }
        assert!(
            path.probe.timer().unwrap() > now + Duration::from_secs(30),
            "then at the usual pace"
        );
    }

    #[test]
    fn rfc9260_8_3_only_the_nonce_that_was_sent_counts() {
        let (mut path, mut random) = path();
        let info = path.send_probe(Instant::from_millis(5), PathId(3), &mut random);
        let mut bytes = Vec::new();
        info.write(&mut Writer::new(&mut bytes));
        let echoed = HeartbeatInfo::read(&bytes).unwrap();
        assert_eq!((echoed, echoed.path()), (info, PathId(3)));
        let forged = HeartbeatInfo {
            nonce: info.nonce ^ 1,
            ..info
        };
        assert!(!path.on_probe_ack(Instant::from_millis(25), &forged, &mut random));
        assert!(path.on_probe_ack(Instant::from_millis(25), &echoed, &mut random));
        assert_eq!(path.srtt(), Some(Duration::from_millis(20)));
        assert!(
            !path.on_probe_ack(Instant::from_millis(25), &echoed, &mut random),
            "once"
        );
        assert_eq!(HeartbeatInfo::read(&bytes[1..]), None);
    }

    #[test]
    fn rfc9260_8_3_a_heartbeat_without_an_answer_within_an_rto_is_missed_and_backs_off() {
        let (mut path, mut random) = path();
        path.arm_probe(Instant::ZERO, &mut random);
        let first = path.probe.timer().unwrap();
        assert_eq!(path.on_probe_timer(Instant::from_millis(1), false, &mut random), None);
        assert_eq!(
            path.on_probe_timer(first, false, &mut random),
            Some(ProbeExpiry { missed: false })
        );
        assert!(path.probe.is_due());
        path.send_probe(first, PathId(0), &mut random);
        let deadline = path.probe.timer().unwrap();
        assert_eq!(deadline, first + Duration::from_secs(1));
        assert_eq!(
            path.on_probe_timer(deadline, false, &mut random),
            Some(ProbeExpiry { missed: true })
        );
        assert_eq!(path.rto(), Duration::from_secs(2));
    }

    #[test]
    fn rfc9260_8_3_a_path_in_use_is_not_probed() {
        let (mut path, mut random) = path();
        path.arm_probe(Instant::ZERO, &mut random);
        let at = path.probe.timer().unwrap();
        path.touch(Instant::from_millis(20_000));
        path.on_probe_timer(at, false, &mut random);
        assert!(!path.probe.is_due());
    }
}
