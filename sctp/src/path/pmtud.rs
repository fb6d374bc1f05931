//! Packetization layer path MTU discovery (RFC 8899 §5, for SCTP §6.2): which size of IP packets a path carries, found
//! out by probes that nothing else depends on.
//!
//! Sizes are those of whole IP packets, headers included. Probing begins with the first packet that is filled, and
//! stops when there are none: who sends little pays nothing.

mod search;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::heartbeat::HeartbeatInfo;
use crate::config::PathConfig;
use crate::time::Instant;

use search::Search;

/// How often a size is tried before it counts as too large (RFC 8899 §5.1.2: MAX_PROBES).
const MAX_PROBES: u8 = 3;
/// An answer is waited for that long at least (§5.1.1: PROBE_TIMER MUST NOT be less).
const MIN_PROBE_TIMER: Duration = Duration::from_secs(1);
/// How long a size that was found is kept before larger ones are tried again (§5.1.1: PMTU_RAISE_TIMER).
const RAISE: Duration = Duration::from_secs(600);
/// How long a path is left alone on which not even the base size arrives.
const ERROR_RETRY: Duration = Duration::from_secs(10);
/// The smallest size that is used over IPv4 (§5.1.2: MIN_PLPMTU): what every host takes in. Over IPv6 the base is.
const MIN_IPV4: u16 = 576;
/// How many time-outs in a row it takes to think that large packets vanish (§4.3).
const BLACK_HOLE: u8 = 2;

/// Where the discovery of a path's MTU stands (RFC 8899 §5.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum MtuDiscovery {
    /// Off, not begun for want of data, or the path does not work.
    #[default]
    Disabled,
    /// It is being confirmed that the base size arrives.
    Base,
    /// Larger sizes are being tried.
    Searching,
    /// A size was found.
    SearchComplete,
    /// Not even the base size arrives.
    Error,
}

/// The discovery on one path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pmtud {
    state: MtuDiscovery,
    /// The size in use: PLPMTU.
    mtu: u16,
    base: u16,
    min: u16,
    /// The largest size to try; `None` while discovery is off.
    max: Option<u16>,
    search: Search,
    /// PROBED_SIZE and PROBE_COUNT.
    probed: u16,
    probe_count: u8,
    outstanding: Option<HeartbeatInfo>,
    /// A probe is to be sent.
    due: bool,
    /// PROBE_TIMER, or PMTU_RAISE_TIMER while nothing is probed.
    timer: Option<Instant>,
    /// The raise timer has expired while no packet was filled.
    parked: bool,
    /// A packet was filled since the raise timer was set.
    used: bool,
    /// How often packets larger than the base size have timed out since one arrived.
    large_lost: u8,
}

impl Pmtud {
    pub(crate) fn new(config: &PathConfig, ipv4: bool) -> Self {
        let base = config.mtu();
        let max = config.mtu_discovery().filter(|&max| max > base);
        Self {
            state: MtuDiscovery::Disabled,
            mtu: base,
            base,
            min: if ipv4 && max.is_some() { MIN_IPV4 } else { base },
            max,
            search: Search::default(),
            probed: 0,
            probe_count: 0,
            outstanding: None,
            due: false,
            timer: None,
            parked: false,
            used: false,
            large_lost: 0,
        }
    }

    /// The largest IP packet that the path carries, as far as is known.
    pub(crate) const fn mtu(&self) -> u16 {
        self.mtu
    }

    pub(crate) const fn state(&self) -> MtuDiscovery {
        self.state
    }

    /// Whether larger packets than the base size may be tried.
    pub(crate) const fn is_on(&self) -> bool {
        self.max.is_some()
    }

    /// The base size, which packets are cut to when larger ones vanish.
    pub(crate) const fn base(&self) -> u16 {
        self.base
    }

    pub(crate) const fn timer(&self) -> Option<Instant> {
        self.timer
    }

    pub(crate) const fn is_due(&self) -> bool {
        self.due
    }

    /// A packet was filled: larger ones would be of use.
    #[inline]
    pub(crate) fn on_full_packet(&mut self) {
        self.used = true;
        if self.parked || matches!(self.state, MtuDiscovery::Disabled) {
            self.resume();
        }
    }

    fn resume(&mut self) {
        if self.max.is_none() {
            return;
        }
        self.parked = false;
        match self.state {
            MtuDiscovery::Disabled => {
                self.search = Search::new();
                self.enter_base();
            }
            MtuDiscovery::SearchComplete => self.search_again(),
            MtuDiscovery::Error => self.probe(self.base),
            MtuDiscovery::Base | MtuDiscovery::Searching => {}
        }
    }

    /// The path does not work (§5.2: loss of connectivity). The size stays: it limits what goes to other paths too.
    pub(crate) const fn disable(&mut self) {
        self.state = MtuDiscovery::Disabled;
        self.stop();
    }

    const fn stop(&mut self) {
        self.outstanding = None;
        self.due = false;
        self.timer = None;
        self.parked = false;
        self.large_lost = 0;
    }

    fn enter_base(&mut self) {
        self.stop();
        self.state = MtuDiscovery::Base;
        self.mtu = self.base;
        self.probe(self.base);
    }

    fn search_again(&mut self) {
        self.state = MtuDiscovery::Searching;
        self.search = Search::new();
        self.next_size();
    }

    /// Has packets of `size` tried from now on.
    const fn probe(&mut self, size: u16) {
        self.probed = size;
        self.probe_count = 0;
        self.outstanding = None;
        self.timer = None;
        self.due = true;
    }

    /// Tries the next size, if one is worth it.
    fn next_size(&mut self) {
        let Some(max) = self.max else { return };
        match self.search.next(self.mtu, max) {
            Some(size) => self.probe(size),
            None => {
                self.stop();
                self.state = MtuDiscovery::SearchComplete;
            }
        }
    }

    /// The size of the IP packet that is to be sent as a probe.
    pub(crate) const fn probed(&self) -> u16 {
        self.probed
    }

    /// The probe went out; `rto` is what an answer takes at most.
    pub(crate) fn on_probe_sent(&mut self, now: Instant, info: HeartbeatInfo, rto: Duration) {
        self.due = false;
        self.outstanding = Some(info);
        self.timer = Some(now + rto.max(MIN_PROBE_TIMER));
    }

    /// A heartbeat was answered; true if it was the outstanding probe.
    pub(crate) fn on_probe_ack(&mut self, now: Instant, info: &HeartbeatInfo) -> bool {
        if self.outstanding != Some(*info) {
            return false;
        }
        self.outstanding = None;
        self.timer = None;
        match self.state {
            MtuDiscovery::Base | MtuDiscovery::Error => {
                self.mtu = self.base;
                self.state = MtuDiscovery::Searching;
            }
            MtuDiscovery::Searching => self.mtu = self.mtu.max(self.probed),
            MtuDiscovery::Disabled | MtuDiscovery::SearchComplete => return true,
        }
        self.next_size();
        self.rest(now);
        true
    }

    /// Sets the timer of a state that probes nothing now.
    fn rest(&mut self, now: Instant) {
        if self.due || self.outstanding.is_some() {
            return;
        }
        let wait = match self.state {
            MtuDiscovery::SearchComplete if self.max.is_some_and(|max| self.mtu < max) => RAISE,
            MtuDiscovery::Error => ERROR_RETRY,
            _ => return,
        };
        self.timer = Some(now + wait);
        self.used = false;
    }

    /// Runs the timer if it is due. True if the size in use changed.
    pub(crate) fn on_timer(&mut self, now: Instant) -> bool {
        if self.timer.is_none_or(|at| at > now) {
            return false;
        }
        self.timer = None;
        if self.outstanding.take().is_some() {
            self.probe_count += 1;
            if self.probe_count < MAX_PROBES && self.state != MtuDiscovery::Error {
                self.due = true;
                return false;
            }
            return self.on_too_big(now, self.probed);
        }
        // The raise timer: §5.1.1 allows not to probe while nothing is sent.
        self.parked = true;
        if self.used {
            self.resume();
        }
        false
    }

    /// Packets of `size` do not arrive. True if the size in use changed.
    fn on_too_big(&mut self, now: Instant, size: u16) -> bool {
        let before = self.mtu;
        match self.state {
            MtuDiscovery::Disabled => {}
            MtuDiscovery::Base | MtuDiscovery::Error => {
                self.stop();
                self.state = MtuDiscovery::Error;
                self.mtu = self.min;
            }
            MtuDiscovery::Searching | MtuDiscovery::SearchComplete => {
                self.search.too_big(size);
                if size <= self.mtu {
                    self.enter_base();
                } else if self.state == MtuDiscovery::Searching {
                    self.next_size();
                }
            }
        }
        self.rest(now);
        self.mtu != before
    }

    /// This host cannot send an IP packet of `size` bytes: its interface carries less. True if the size in use changed.
    pub(crate) fn on_local_limit(&mut self, now: Instant, size: u16) -> bool {
        let probing = self.outstanding.is_some() && size >= self.probed;
        let relevant = probing || size <= self.mtu && size > self.min;
        relevant && self.on_too_big(now, if probing { self.probed } else { size })
    }

    /// Somebody on the path says that it carries no more than `size` bytes, about a packet of ours (§4.6). True if the
    /// size in use changed.
    pub(crate) fn on_packet_too_big(&mut self, now: Instant, size: u16) -> bool {
        let largest = match self.outstanding {
            Some(_) => self.mtu.max(self.probed),
            None => self.mtu,
        };
        // §4.6.2: what says nothing new, or what no path may say, is not believed.
        if self.max.is_none() || size >= largest || size < self.min {
            return false;
        }
        let before = self.mtu;
        if size < self.base {
            self.stop();
            self.state = MtuDiscovery::Error;
            self.mtu = self.min;
        } else if size < self.mtu {
            // §4.6.2: larger packets vanish. The search begins with what was reported.
            self.search = Search::reported(size);
            self.enter_base();
        } else if self.state == MtuDiscovery::Searching {
            self.search = Search::reported(size);
            self.next_size();
        }
        self.rest(now);
        self.mtu != before
    }

    /// T3-rtx expired while a packet larger than the base size was in flight. If none got through for long enough, they
    /// vanish (§4.3: a black hole). True if the size in use changed.
    pub(crate) fn on_large_packet_lost(&mut self) -> bool {
        self.large_lost = self.large_lost.saturating_add(1);
        if self.large_lost < BLACK_HOLE || !self.is_on() || self.mtu <= self.base {
            return false;
        }
        self.search = Search::new();
        self.enter_base();
        true
    }

    /// So many bytes arrived, in one packet or with nothing lost before them. If they were more than a packet of the
    /// base size has, larger ones do arrive.
    #[inline]
    pub(crate) fn on_acked(&mut self, bytes: usize) {
        if self.large_lost > 0 && bytes > usize::from(self.base) {
            self.large_lost = 0;
        }
    }
}
