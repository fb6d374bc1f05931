//! A link: a segment that connects two interfaces or more, and what it does to packets.

mod config;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

pub use config::{LinkConfig, TooBig};

use super::ids::HostId;
use super::packet::{Packet, Transport};
use crate::random::Random;
use crate::{EcnCodepoint, Instant};

/// Why a link lost a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// It was down.
    Down,
    /// The packet was larger than the MTU.
    TooBig,
    /// The queue was full.
    QueueFull,
    /// Chance.
    Random,
    /// The test's filter said so.
    Filtered,
    /// Bits of a plain datagram flipped, which its UDP checksum showed.
    BadDatagram,
}

/// What became of a packet that was put on a link. Of several things, the one written last here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on its way.
    Sent,
    /// It is on its way with wrong bits.
    Corrupted,
    /// It is on its way twice.
    Duplicated,
    /// It is on its way, held back for others to overtake.
    Reordered,
    /// It is lost.
    Lost(Loss),
}

/// What a test's filter wants done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Whatever the link does anyway.
    Pass,
    /// Lose it.
    Drop,
    /// Hold it back so long; others overtake it.
    Delay(Duration),
    /// Deliver it twice.
    Duplicate,
}

/// Counts of packets on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Put on the link.
    pub packets: u64,
    /// Bytes of these, IP headers included.
    pub bytes: u64,
    /// Delivered, each copy and each receiver of a multicast counted.
    pub delivered: u64,
    /// Lost because the link was down, when they were sent or when they would have arrived.
    pub lost_down: u64,
    /// Lost because they were larger than the MTU.
    pub lost_too_big: u64,
    /// Lost because the queue was full.
    pub lost_queue: u64,
    /// Lost by chance.
    pub lost_random: u64,
    /// Lost because the test's filter said so.
    pub lost_filtered: u64,
    /// Plain datagrams lost because of wrong bits.
    pub lost_bad_datagram: u64,
    /// Lost because nobody on the link had the address when they arrived.
    pub lost_nobody: u64,
    /// Larger than the MTU, and fragmented.
    pub fragmented: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Held back.
    pub reordered: u64,
    /// Delivered with wrong bits.
    pub corrupted: u64,
    /// Marked because many bytes waited (RFC 3168).
    pub marked: u64,
}

impl LinkStats {
    /// All that was lost.
    pub const fn lost(&self) -> u64 {
        self.lost_down
            + self.lost_too_big
            + self.lost_queue
            + self.lost_random
            + self.lost_filtered
            + self.lost_bad_datagram
            + self.lost_nobody
    }
}

/// A packet as it was put on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When.
    pub at: Instant,
    /// The packet, before the link did anything to it.
    pub packet: Packet,
    /// Whether it must not be fragmented.
    pub dont_fragment: bool,
    /// What the link did to it.
    pub fate: Fate,
}

type Filter = Box<dyn FnMut(Instant, &Packet) -> Verdict>;

/// What one sender has on the link.
#[derive(Debug, Default)]
struct Direction {
    free_at: Instant,
    last_arrival: Instant,
    bad: bool,
}

/// A link of a world.
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) config: LinkConfig,
    pub(crate) up: bool,
    pub(crate) stats: LinkStats,
    pub(crate) members: Vec<HostId>,
    pub(crate) filter: Option<Filter>,
    pub(crate) capture: Option<Vec<Captured>>,
    directions: BTreeMap<Option<HostId>, Direction>,
    random: Random,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("name", &self.name)
            .field("config", &self.config)
            .field("up", &self.up)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

impl Link {
    pub(crate) fn new(name: &str, config: LinkConfig, seed: [u8; 32]) -> Self {
        Self {
            name: name.to_owned(),
            config,
            up: true,
            stats: LinkStats::default(),
            members: Vec::new(),
            filter: None,
            capture: None,
            directions: BTreeMap::new(),
            random: Random::new(seed),
        }
    }

    /// Puts a packet on the link: what becomes of it, and when which copies of it arrive.
    pub(crate) fn put(
        &mut self,
        now: Instant,
        sender: HostId,
        packet: Packet,
        dont_fragment: bool,
    ) -> (Fate, Vec<(Instant, Packet)>) {
        self.stats.packets += 1;
        self.stats.bytes += packet.size() as u64;
        let captured = self.capture.is_some().then(|| packet.clone());
        let mut arrivals = Vec::new();
        let fragmented = packet.size() > self.config.mtu && self.config.fragments && !dont_fragment;
        let fate = self.carry(now, sender, packet, fragmented, &mut arrivals);
        if let Fate::Lost(loss) = fate {
            self.count_loss(loss);
        }
        if let (Some(capture), Some(packet)) = (&mut self.capture, captured) {
            capture.push(Captured {
                at: now,
                packet,
                dont_fragment,
                fate,
            });
        }
        (fate, arrivals)
    }

    pub(crate) const fn count_loss(&mut self, loss: Loss) {
        let stats = &mut self.stats;
        match loss {
            Loss::Down => stats.lost_down += 1,
            Loss::TooBig => stats.lost_too_big += 1,
            Loss::QueueFull => stats.lost_queue += 1,
            Loss::Random => stats.lost_random += 1,
            Loss::Filtered => stats.lost_filtered += 1,
            Loss::BadDatagram => stats.lost_bad_datagram += 1,
        }
    }

    fn carry(
        &mut self,
        now: Instant,
        sender: HostId,
        mut packet: Packet,
        fragmented: bool,
        arrivals: &mut Vec<(Instant, Packet)>,
    ) -> Fate {
        let Self {
            config,
            directions,
            random,
            filter,
            stats,
            ..
        } = self;
        if !self.up {
            return Fate::Lost(Loss::Down);
        }
        stats.fragmented += u64::from(fragmented);
        if packet.size() > config.mtu && !fragmented {
            return Fate::Lost(Loss::TooBig);
        }
        let verdict = filter.as_mut().map_or(Verdict::Pass, |filter| filter(now, &packet));
        if verdict == Verdict::Drop {
            return Fate::Lost(Loss::Filtered);
        }
        let direction = directions.entry((!config.shared_medium).then_some(sender)).or_default();
        if config
            .marks_above
            .is_some_and(|most| direction.waiting(config, now) > most as u128)
        {
            if packet.ecn == EcnCodepoint::NotEct {
                return Fate::Lost(Loss::QueueFull);
            }
            packet.ecn = EcnCodepoint::Ce;
            stats.marked += 1;
        }
        let Some(departure) = direction.queue(config, now, packet.size()) else {
            return Fate::Lost(Loss::QueueFull);
        };
        if direction.loses(config, random) {
            return Fate::Lost(Loss::Random);
        }
        let mut fate = Fate::Sent;
        if random.chance(config.corruption) {
            if matches!(packet.transport, Transport::Datagram(_)) {
                return Fate::Lost(Loss::BadDatagram);
            }
            packet.payload = flip_bits(&packet.payload, random);
            fate = Fate::Corrupted;
            stats.corrupted += 1;
        }
        if verdict == Verdict::Duplicate || random.chance(config.duplication) {
            fate = Fate::Duplicated;
            stats.duplicated += 1;
            arrivals.push((direction.arrival(config, departure, random), packet.clone()));
        }
        let mut arrival = direction.arrival(config, departure, random);
        if let Verdict::Delay(delay) = verdict {
            arrival = departure + config.latency + delay;
            fate = Fate::Reordered;
            stats.reordered += 1;
        } else if random.chance(config.reordering) {
            arrival += random_duration(config.reordering_delay, random);
            fate = Fate::Reordered;
            stats.reordered += 1;
        }
        arrivals.push((arrival, packet));
        fate
    }
}

impl Direction {
    /// How many bytes wait for the link to be free.
    fn waiting(&self, config: &LinkConfig, now: Instant) -> u128 {
        let backlog = self.free_at.saturating_since(now);
        backlog.as_nanos() * u128::from(config.rate.unwrap_or_default()) / 8_000_000_000
    }

    /// When the last bit of `size` bytes has left; `None` if the queue has no room for them.
    fn queue(&mut self, config: &LinkConfig, now: Instant, size: usize) -> Option<Instant> {
        let Some(rate) = config.rate else {
            return Some(now);
        };
        let waiting = self.waiting(config, now);
        if self.free_at > now && waiting + size as u128 > config.queue as u128 {
            return None;
        }
        let nanos = size as u128 * 8_000_000_000 / u128::from(rate);
        self.free_at = self.free_at.max(now) + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Some(self.free_at)
    }

    fn loses(&mut self, config: &LinkConfig, random: &mut Random) -> bool {
        if let Some(burst) = config.burst {
            let turns = random.chance(if self.bad { burst.leave } else { burst.enter });
            self.bad ^= turns;
            if self.bad && random.chance(burst.loss) {
                return true;
            }
        }
        random.chance(config.loss)
    }

    /// When a packet that left at `departure` arrives: not before those that left earlier.
    fn arrival(&mut self, config: &LinkConfig, departure: Instant, random: &mut Random) -> Instant {
        let arrival = departure + config.latency + random_duration(config.jitter, random);
        self.last_arrival = self.last_arrival.max(arrival);
        self.last_arrival
    }
}

/// A duration from zero to `longest`, evenly spread.
fn random_duration(longest: Duration, random: &mut Random) -> Duration {
    let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.below(nanos.saturating_add(1)))
}

/// The same bytes with one to three different bits flipped.
fn flip_bits(bytes: &Bytes, random: &mut Random) -> Bytes {
    let mut bytes = bytes.to_vec();
    let bits = bytes.len() as u64 * 8;
    let mut flipped = Vec::new();
    for _ in 0..=random.below(3) {
        let bit = random.below(bits);
        if bits > 0 && !flipped.contains(&bit) {
            flipped.push(bit);
        }
    }
    for bit in flipped {
        let index = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        bytes[index] ^= 1 << (bit % 8);
    }
    bytes.into()
}
