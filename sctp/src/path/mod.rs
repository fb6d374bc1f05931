//! Paths: one destination address each, with its round-trip time, congestion control, reachability and timers
//! (RFC 9260 §6.3, §6.4, §7, §8; RFC 7829).

mod failure;
mod heartbeat;
mod pmtud;
mod rto;
mod select;
mod set;
mod settings;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::Instant;
use crate::cc::Controller;
use crate::config::{AssociationConfig, PathConfig};
use crate::ecn::Trial;
use crate::stats::PathStats;
use crate::time::earliest;
use crate::transmit::UdpPorts;
use crate::wire::CommonHeader;

pub(crate) use failure::{Failure, Recovery};
pub(crate) use heartbeat::{HeartbeatInfo, Probe};
pub use pmtud::MtuDiscovery;
pub(crate) use pmtud::Pmtud;
pub(crate) use set::PathSet;

use rto::Rto;

/// Names a path of an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PathId(pub(crate) u8);

impl PathId {
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whether a path works (RFC 9260 §8.2, §5.4, RFC 7829 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum PathState {
    /// Not yet known to belong to the peer.
    Unconfirmed,
    /// It answers.
    Active,
    /// It has not answered, which may have been chance: data avoids it, and it is probed (RFC 7829 §3).
    PotentiallyFailed,
    /// It does not answer.
    Inactive,
}

impl fmt::Display for PathState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unconfirmed => "unconfirmed",
            Self::Active => "active",
            Self::PotentiallyFailed => "potentially failed",
            Self::Inactive => "inactive",
        })
    }
}

/// One destination address of the peer.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) address: IpAddr,
    /// The own address that goes with it; `None` leaves the choice to routing.
    pub(crate) local: Option<IpAddr>,
    /// Another own address that HEARTBEATs from there came to.
    pub(crate) other_local: Option<IpAddr>,
    /// The UDP ports around packets to it (RFC 6951).
    pub(crate) encap: Option<UdpPorts>,
    pub(crate) state: PathState,
    /// No own address is left that it can be reached from: nothing can be sent there (RFC 5061 §5.3 F4).
    pub(crate) stranded: bool,
    pub(crate) config: PathConfig,
    pub(crate) rto: Rto,
    pub(crate) cc: Controller,
    /// Whether it carries packets that ask for marks.
    pub(crate) ecn: Trial,
    /// Missing answers in a row (§8.2).
    pub(crate) error_count: u16,
    pub(crate) t3_rtx: Option<Instant>,
    pub(crate) probe: Probe,
    pub(crate) pmtud: Pmtud,
    pub(crate) stats: PathStats,
    pub(crate) added_at: Instant,
    /// When something that asks for an answer was last sent here (§8.3: idle or not).
    last_used: Instant,
    /// When DATA was last sent here, and for how many RTOs since then the window was already shrunk (§7.2.1).
    last_data: Instant,
    idle_rtos: u8,
    /// Before this no further ICMP message counts as a missing answer.
    next_unreachable: Instant,
}

impl Path {
    pub(crate) fn new(address: IpAddr, config: &AssociationConfig, now: Instant) -> Self {
        let mut path = Self {
            address,
            local: None,
            other_local: None,
            encap: None,
            state: PathState::Unconfirmed,
            stranded: false,
            config: *config.path(),
            rto: Rto::new(config),
            cc: Controller::new(config.congestion_control(), 0, true, config.max_burst()),
            ecn: Trial::default(),
            error_count: 0,
            t3_rtx: None,
            probe: Probe::default(),
            pmtud: Pmtud::new(config.path(), address.is_ipv4()),
            stats: PathStats::default(),
            added_at: now,
            last_used: now,
            last_data: now,
            idle_rtos: 0,
            next_unreachable: Instant::ZERO,
        };
        path.reset_cc(config);
        path
    }

    /// Starts congestion control anew (§7.2.5), for packets of the size that the path now carries.
    pub(crate) fn reset_cc(&mut self, config: &AssociationConfig) {
        let room = self.max_packet().saturating_sub(CommonHeader::LEN);
        self.cc = Controller::new(
            config.congestion_control(),
            room,
            self.address.is_ipv4(),
            config.max_burst(),
        );
    }

    /// Packets leave from another own address: by another route, of whose congestion nothing is known (§7.2.5.2).
    pub(crate) fn set_local(&mut self, local: Option<IpAddr>, config: &AssociationConfig) {
        if self.local.is_some() && self.local != local {
            tracing::debug!(path = %self.address, ?local, "the path has another source address");
            self.reset_cc(config);
        }
        self.local = local;
    }

    /// Nothing was answered twice in a row: packets leave from the other own address that the peer is known to reach,
    /// if there is one, and next time from this one again.
    pub(crate) fn try_other_local(&mut self, config: &AssociationConfig) {
        if self.error_count > 1
            && let Some(other) = self.other_local.take()
        {
            let before = self.local;
            self.set_local(Some(other), config);
            self.other_local = before;
        }
    }

    /// An own address is none any more.
    pub(crate) fn leave_local(&mut self, address: IpAddr, config: &AssociationConfig) {
        self.other_local.take_if(|other| *other == address);
        if self.local == Some(address) {
            self.set_local(None, config);
        }
    }

    /// The peer restarted: what was measured and counted holds no more (§5.2.4 A).
    pub(crate) fn restart(&mut self, config: &AssociationConfig) {
        self.state = PathState::Unconfirmed;
        self.rto = Rto::new(config);
        self.error_count = 0;
        self.t3_rtx = None;
        self.disarm_probe();
        self.pmtud = Pmtud::new(&self.config, self.address.is_ipv4());
        self.reset_cc(config);
    }

    /// Packets of another size fit from now on.
    pub(crate) fn on_mtu_change(&mut self) {
        tracing::debug!(path = %self.address, mtu = self.pmtud.mtu(), "the path MTU is another");
        let room = self.max_packet().saturating_sub(CommonHeader::LEN);
        self.cc.set_mtu(room, self.address.is_ipv4());
    }

    /// What idleness does to the window (§7.2.1): it shrinks once for each RTO that no DATA was sent.
    pub(crate) fn decay_if_idle(&mut self, now: Instant) {
        let rto = self.rto().max(Duration::from_millis(1));
        let idle_rtos = now.saturating_since(self.last_data).as_nanos() / rto.as_nanos();
        // After eight halvings any window is at its floor.
        while u128::from(self.idle_rtos) < idle_rtos.min(8) {
            self.cc.on_idle(self.idle_rtos == 0);
            self.idle_rtos += 1;
        }
    }

    /// The largest SCTP packet, common header included, that fits the path MTU below its IP and UDP headers.
    pub(crate) fn max_packet(&self) -> usize {
        self.packet_in(self.pmtud.mtu())
    }

    /// The largest SCTP packet in an IP packet of `size` bytes.
    pub(crate) fn packet_in(&self, size: u16) -> usize {
        // Chunks are padded to four bytes, so a packet is a multiple of four long.
        usize::from(size).saturating_sub(self.headers()) & !3
    }

    /// Bytes of the IP and UDP headers before an SCTP packet (RFC 6951 §5.6).
    pub(crate) fn headers(&self) -> usize {
        let ip = if self.address.is_ipv4() { 20 } else { 40 };
        let udp = if self.encap.is_some() { 8 } else { 0 };
        ip + udp
    }

    /// Whether data may go there: it works, and there is an own address to send from.
    pub(crate) fn is_active(&self) -> bool {
        self.state == PathState::Active && !self.stranded
    }

    /// Something that asks for an answer (DATA, INIT, COOKIE ECHO, HEARTBEAT) goes out here.
    pub(crate) fn touch(&mut self, now: Instant) {
        self.last_used = now;
    }

    /// DATA goes out here.
    pub(crate) fn touch_by_data(&mut self, now: Instant) {
        self.touch(now);
        (self.last_data, self.idle_rtos) = (now, 0);
    }

    /// Starts T3-rtx unless it runs (§6.3.2 R1).
    pub(crate) fn start_t3(&mut self, now: Instant) {
        if self.t3_rtx.is_none() {
            self.restart_t3(now);
        }
    }

    /// Starts T3-rtx anew (§6.3.2 R3).
    pub(crate) fn restart_t3(&mut self, now: Instant) {
        self.t3_rtx = Some(now + self.rto.get());
    }

    /// Whether the MTU may be probed: it answers, or may still do so.
    pub(crate) fn is_usable(&self) -> bool {
        matches!(self.state, PathState::Active | PathState::PotentiallyFailed)
    }

    /// ICMP says that the path's address cannot be reached; true if that counts: once in an RTO, as a time-out would.
    pub(crate) fn counts_as_unreachable(&mut self, now: Instant) -> bool {
        let counts = now >= self.next_unreachable;
        if counts {
            self.next_unreachable = now + self.rto();
        }
        counts
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.t3_rtx, earliest(self.probe.timer(), self.pmtud.timer()))
    }

    /// The retransmission time-out.
    pub(crate) fn rto(&self) -> Duration {
        self.rto.get()
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.rto.srtt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> Path {
        let mut path = Path::new(
            "10.0.0.1".parse().unwrap(),
            &AssociationConfig::default(),
            Instant::ZERO,
        );
        path.state = PathState::Active;
        path
    }

    #[test]
    fn rfc9260_6_3_2_t3_is_started_once_and_restarted_on_demand() {
        let mut path = path();
        path.start_t3(Instant::ZERO);
        path.start_t3(Instant::from_millis(10));
        assert_eq!(path.t3_rtx, Some(Instant::from_millis(1000)));
        path.restart_t3(Instant::from_millis(10));
        assert_eq!(path.t3_rtx, Some(Instant::from_millis(1010)));
    }

    #[test]
    fn rfc6951_encapsulation_takes_room_from_the_packet() {
        let mut path = path();
        assert_eq!(path.max_packet(), 1260);
        path.encap = Some(UdpPorts {
            source: 9899,
            destination: 9899,
        });
        assert_eq!(path.max_packet(), 1252);
        path.address = "::1".parse().unwrap();
        assert_eq!(path.max_packet(), 1232);
    }
}
