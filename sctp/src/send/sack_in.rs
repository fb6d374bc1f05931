//! What a SACK does to the sender (RFC 9260 §6.2.1, §6.3.2, §7.2).

use std::time::Duration;

use super::chunk::{Acknowledged, ChunkState, Index};
use super::outstanding::Outstanding;
use crate::Instant;
use crate::cc::Acked;
use crate::config::CongestionControl;
use crate::ecn::Reactions;
use crate::path::{PathId, PathSet};
use crate::serial::Tsn;

/// The numbers of a SACK, decoded. Blocks are offsets from the Cumulative TSN Ack.
#[derive(Clone, Debug)]
pub(crate) struct SackIn<G> {
    pub(crate) cumulative_tsn_ack: Tsn,
    pub(crate) a_rwnd: u32,
    pub(crate) gaps: G,
}

/// What came of a SACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SackResult {
    /// It is older than what is known (§6.2.1 D i).
    Old,
    /// It acknowledges a TSN that was never sent.
    Impossible,
    /// It takes back what was acknowledged, as did too many before it.
    Fickle,
    /// It was taken in.
    Taken {
        /// Something was acknowledged for the first time: the peer is there (§8.1).
        progress: bool,
    },
}

/// What one SACK acknowledged on one path.
#[derive(Clone, Copy, Debug)]
struct PathAck {
    path: PathId,
    bytes: usize,
    /// The most that was acknowledged at once: a chunk by a Gap Ack Block, or what the Cumulative TSN Ack passed.
    largest: usize,
    flight_before: usize,
    newest_packet: u64,
    /// The round trip of the newest packet.
    rtt: Option<Duration>,
    /// Some of it was sent to this path only.
    sure: bool,
}

/// A range of chunks, `start` up to but not including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: Index,
    end: Index,
}

/// The part of a sender that follows SACKs. Its vectors are reused from SACK to SACK.
#[derive(Debug)]
pub(crate) struct SackProcessor {
    algorithm: CongestionControl,
    /// What the last SACK acknowledged by gap blocks: sorted, disjoint.
    acked: Vec<Range>,
    blocks: Vec<Range>,
    per_path: Vec<PathAck>,
    /// Every chunk below this was reported missing often enough, or is not missing.
    reported_below: Index,
    /// How many chunks were taken back.
    reneged: u64,
    /// What the windows were already shrunk for.
    pub(super) reactions: Reactions,
    /// Fast recovery (§7.2.4) ends when this chunk is acknowledged.
    recovery_exit: Option<Index>,
    /// One packet with retransmissions is to be sent, whatever cwnd says: the first one of a fast retransmission
    /// (§7.2.4 rule 3), or with CUBIC one for each SACK in fast recovery, which shows that as much left the network.
    pub(crate) fast_retransmit_due: bool,
    /// How many chunks the last SACK had fast retransmitted.
    pub(crate) fast_retransmits: u64,
}

/// How many chunks a peer may take back (§6.2.1 D iii), beyond as many as it acknowledged for good. Only want of memory
/// is a reason to take back, so an honest peer stays far below; for others it is a way to make much work with little.
const FREE_RENEGES: u64 = 1 << 16;

/// How many miss indications cause a fast retransmission (§7.2.4).
const MISSING_REPORTS: u8 = 3;

/// A SACK with this many blocks may have left out further ones for want of room, so what it does not list is not
/// taken back.
const POSSIBLY_TRUNCATED: usize = 250;

impl SackProcessor {
    pub(crate) const fn new(algorithm: CongestionControl) -> Self {
        Self {
            algorithm,
            acked: Vec::new(),
            blocks: Vec::new(),
            per_path: Vec::new(),
            reported_below: 0,
            reneged: 0,
            reactions: Reactions::new(),
            recovery_exit: None,
            fast_retransmit_due: false,
            fast_retransmits: 0,
        }
    }

    pub(crate) const fn in_fast_recovery(&self) -> bool {
        self.recovery_exit.is_some()
    }

    /// T3-rtx expired: recovery is over, and what is sent again can be reported missing again.
    pub(crate) fn on_t3_expiry(&mut self, path: PathId, outstanding: &Outstanding) {
        self.reactions.on_loss(path.index(), outstanding.end());
        self.recovery_exit = None;
        self.fast_retransmit_due = false;
        self.reported_below = outstanding.first();
    }

    /// Takes in a SACK whose Cumulative TSN Ack was checked. Returns whether anything was acknowledged for
    /// the first time, and how many bytes of user data need not be kept any more; `None` if it acknowledges what was
    /// never sent.
    pub(crate) fn process(
        &mut self,
        now: Instant,
        cumulative: Index,
        gaps: impl Iterator<Item = (u16, u16)>,
        outstanding: &mut Outstanding,
        paths: &mut PathSet,
    ) -> Option<(bool, usize)> {
        if !self.collect_blocks(gaps, cumulative, outstanding.end()) {
            return None;
        }
        self.fast_retransmits = 0;
        let advanced = cumulative > outstanding.first();
        let freed = self.pop_acked(now, cumulative, outstanding, paths);
        let highest_newly_acked = self.ack_blocks(now, outstanding, paths);
        self.take_back(now, outstanding, paths);
        std::mem::swap(&mut self.acked, &mut self.blocks);

        // §7.2.4 note: growth comes before the reduction of a fast retransmission.
        self.grow_windows(now, outstanding, paths);
        // §7.2.4: missing are the TSNs below the highest newly acknowledged one; in fast recovery, when the
        // cumulative point moves, all that the SACK reports missing.
        let limit = if self.in_fast_recovery() && advanced {
            self.acked.last().map(|range| range.end)
        } else {
            highest_newly_acked
        };
        if let Some(limit) = limit {
            self.count_missing(limit, outstanding, paths);
        }
        if self.algorithm == CongestionControl::Cubic {
            self.keep_recovery_going(outstanding, paths);
        }
        self.run_timers(now, outstanding, paths);
        Some((!self.per_path.is_empty(), freed))
    }

    /// What goes beyond RFC 9260, where a retransmission that is lost waits for T3-rtx, and where recovery stops while
    /// the flight exceeds cwnd: looks for retransmissions that were lost, on the paths where something arrived, and
    /// lets one packet out for each SACK that tells something.
    fn keep_recovery_going(&mut self, outstanding: &mut Outstanding, paths: &mut PathSet) {
        let mut hit = None;
        for entry in 0..self.per_path.len() {
            let Some(path) = self.per_path.get(entry).map(|entry| entry.path) else {
                break;
            };
            if outstanding.mark_lost_again(path) > 0 {
                self.enter_recovery(path, None, &mut hit, outstanding.end(), paths);
            }
        }
        // A SACK that is full may hide any amount of news.
        let news = !self.per_path.is_empty() || self.acked.len() >= POSSIBLY_TRUNCATED;
        self.fast_retransmit_due |= self.in_fast_recovery() && news;
    }

    /// Takes in a Cumulative TSN Ack that comes without blocks, and so says nothing of them.
    pub(crate) fn acknowledge(
        &mut self,
        now: Instant,
        cumulative: Index,
        outstanding: &mut Outstanding,
        paths: &mut PathSet,
    ) -> (bool, usize) {
        let freed = self.pop_acked(now, cumulative, outstanding, paths);
        self.grow_windows(now, outstanding, paths);
        self.run_timers(now, outstanding, paths);
        (!self.per_path.is_empty(), freed)
    }

    fn pop_acked(
        &mut self,
        now: Instant,
        cumulative: Index,
        outstanding: &mut Outstanding,
        paths: &mut PathSet,
    ) -> usize {
        self.per_path.clear();
        let mut freed = 0;
        while outstanding.first() < cumulative {
            let Some(popped) = outstanding.pop_acked(cumulative, now) else {
                break;
            };
            freed += popped.payload;
            if let Some(acked) = popped.newly {
                self.book(&acked, outstanding, paths);
            }
        }
        freed
    }

    fn book(&mut self, acked: &Acknowledged, outstanding: &Outstanding, paths: &mut PathSet) {
        if let Some(rtt) = acked.measured
            && let Some(path) = paths.get_mut(acked.path)
        {
            path.rto.measure(rtt);
        }
        if let Some(entry) = self.per_path.iter_mut().find(|entry| entry.path == acked.path) {
            entry.bytes += acked.bytes;
            entry.largest = entry.largest.max(acked.bytes);
            entry.sure |= acked.sure;
            if acked.packet >= entry.newest_packet {
                entry.newest_packet = acked.packet;
                entry.rtt = acked.rtt;
            }
        } else {
            self.per_path.push(PathAck {
                path: acked.path,
                bytes: acked.bytes,
                largest: acked.bytes,
                // The chunk has just left the flight.
                flight_before: outstanding.flight(acked.path) + acked.bytes,
                newest_packet: acked.packet,
                rtt: acked.rtt,
                sure: acked.sure,
            });
        }
    }

    /// Turns the gap blocks into sorted, disjoint ranges of sent chunks, of which `first` is the first one after the
    /// Cumulative TSN Ack. Blocks that contradict themselves or the Cumulative TSN Ack are left out. False if one
    /// acknowledges what was never sent, from `end` on.
    fn collect_blocks(&mut self, gaps: impl Iterator<Item = (u16, u16)>, first: Index, end: Index) -> bool {
        self.blocks.clear();
        let mut sorted = true;
        for (gap_start, gap_end) in gaps {
            // Offset 1 is the first chunk after the cumulative point, which a block cannot hold.
            let start = first + u64::from(gap_start).saturating_sub(1);
            let stop = first + u64::from(gap_end);
            if gap_start < 2 || gap_end < gap_start {
                continue;
            }
            if stop > end {
                return false;
            }
            sorted &= self.blocks.last().is_none_or(|last| last.end < start);
            self.blocks.push(Range { start, end: stop });
        }
        if !sorted {
            self.blocks.sort_unstable_by_key(|range| range.start);
            self.blocks.dedup_by(|next, kept| {
                let joins = next.start <= kept.end;
                if joins {
                    kept.end = kept.end.max(next.end);
                }
                joins
            });
        }
        true
    }

    /// Acknowledges what the blocks cover and earlier ones did not; the end of the highest new part. Walks over what
    /// is new only, however often a SACK repeats what is known.
    fn ack_blocks(&mut self, now: Instant, outstanding: &mut Outstanding, paths: &mut PathSet) -> Option<Index> {
        let mut highest = None;
        let blocks = std::mem::take(&mut self.blocks);
        let known = std::mem::take(&mut self.acked);
        for_each_only_in(&blocks, &known, |index| {
            if let Some(acked) = outstanding.gap_ack(index, now) {
                self.book(&acked, outstanding, paths);
                highest = Some(index + 1);
            }
        });
        self.blocks = blocks;
        self.acked = known;
        highest
    }

    /// Puts back what earlier SACKs acknowledged by gap blocks and this one does not (§6.2.1 D iii, §6.3.2 R4).
    fn take_back(&mut self, now: Instant, outstanding: &mut Outstanding, paths: &mut PathSet) {
        let first = outstanding.first();
        let known_end = self.blocks.last().map_or(first, |range| range.end);
        if self.blocks.len() >= POSSIBLY_TRUNCATED {
            let beyond = self.acked.iter().filter(|range| range.end > known_end);
            let kept: Vec<Range> = beyond
                .map(|range| Range {
                    start: range.start.max(known_end),
                    end: range.end,
                })
                .collect();
            self.blocks.extend(kept);
        }
        for_each_only_in(&self.acked, &self.blocks, |index| {
            if let Some(path) = outstanding.renege(index) {
                self.reneged += 1;
                if let Some(path) = paths.get_mut(path) {
                    path.start_t3(now);
                }
            }
        });
    }

    /// Whether the peer took back more than any reason there could be.
    pub(crate) fn is_fickle(&self, outstanding: &Outstanding) -> bool {
        self.reneged > outstanding.first().saturating_add(FREE_RENEGES)
    }

    /// Lets the windows grow (§7.2.1, §7.2.2) and ends fast recovery at its exit point (§6.2.1 D iv).
    fn grow_windows(&mut self, now: Instant, outstanding: &Outstanding, paths: &mut PathSet) {
        for entry in &self.per_path {
            if let Some(path) = paths.get_mut(entry.path) {
                path.cc.on_acked(&Acked {
                    bytes: entry.bytes,
                    flight_before: entry.flight_before,
                    flight_after: outstanding.flight(entry.path),
                    in_fast_recovery: self.recovery_exit.is_some(),
                    now,
                    rtt: entry.rtt,
                    newest_packet: entry.newest_packet,
                    next_packet: outstanding.next_packet(),
                });
                path.pmtud.on_acked(entry.largest);
                if entry.rtt.is_some() {
                    path.ecn.on_arrival(entry.newest_packet);
                }
            }
        }
        self.recovery_exit.take_if(|exit| outstanding.first() >= *exit);
    }

    /// Counts a miss indication for each chunk below `limit` that is still in flight, and marks those that reached
    /// three (§7.2.4). A chunk is looked at three times at most, since earlier chunks always have as many indications
    /// as later ones.
    fn count_missing(&mut self, limit: Index, outstanding: &mut Outstanding, paths: &mut PathSet) {
        let mut index = self.reported_below.max(outstanding.first());
        let mut floor = None;
        let mut marked = None;
        let acked = std::mem::take(&mut self.acked);
        let mut ranges = acked.iter().peekable();
        while index < limit {
            while ranges.peek().is_some_and(|range| range.end <= index) {
                ranges.next();
            }
            if let Some(range) = ranges.peek()
                && range.start <= index
            {
                index = range.end;
                continue;
            }
            if let Some(chunk) = outstanding.chunk_mut(index)
                && chunk.state == ChunkState::InFlight
                && !chunk.fast_retransmitted
            {
                chunk.missing = chunk.missing.saturating_add(1);
                if chunk.missing >= MISSING_REPORTS {
                    chunk.fast_retransmitted = true;
                    chunk.stays_on_path = true;
                    self.fast_retransmits += 1;
                    let path = chunk.path;
                    let first_sent = (!chunk.retransmitted).then_some(index);
                    outstanding.mark(index);
                    self.enter_recovery(path, first_sent, &mut marked, outstanding.end(), paths);
                } else {
                    floor.get_or_insert(index);
                }
            }
            index += 1;
        }
        self.acked = acked;
        self.reported_below = floor.unwrap_or(limit);
    }

    /// A chunk was marked. Outside of fast recovery, every path that lost something shrinks its window once, and the
    /// first packet goes out at once (§7.2.4 rules 2, 3, 6); unless the path did so because of a router's mark after
    /// `first_sent` was sent, a chunk that was sent once (RFC 3168 §6.1.2). `paths_hit` is a bit a path.
    fn enter_recovery(
        &mut self,
        path: PathId,
        first_sent: Option<Index>,
        paths_hit: &mut Option<u32>,
        end: Index,
        paths: &mut PathSet,
    ) {
        if paths_hit.is_none() {
            if self.recovery_exit.is_some() {
                return;
            }
            self.recovery_exit = Some(end);
            self.fast_retransmit_due = true;
        }
        let bit = 1u32.checked_shl(u32::from(path.0)).unwrap_or(0);
        let hit = paths_hit.get_or_insert(0);
        if *hit & bit == 0 {
            *hit |= bit;
            let known = first_sent.is_some_and(|chunk| self.reactions.covers(path.index(), chunk));
            if let Some(state) = paths.get_mut(path).filter(|_| !known) {
                state.cc.on_fast_retransmit();
                self.reactions.on_loss(path.index(), end);
            }
        }
    }

    /// T3-rtx stops where nothing is in flight any more, and starts anew where the earliest chunk was acknowledged
    /// (§6.3.2 R2, R3).
    fn run_timers(&self, now: Instant, outstanding: &mut Outstanding, paths: &mut PathSet) {
        for entry in &self.per_path {
            let Some(path) = paths.get_mut(entry.path) else {
                continue;
            };
            if outstanding.flight(entry.path) == 0 {
                path.t3_rtx = None;
                outstanding.earliest_left(entry.path);
            } else if outstanding.earliest_left(entry.path) {
                path.restart_t3(now);
            }
        }
    }

    /// The paths on which the last SACK acknowledged something, and whether it was sent nowhere else.
    pub(crate) fn acked_paths(&self) -> impl Iterator<Item = (PathId, bool)> {
        self.per_path.iter().map(|entry| (entry.path, entry.sure))
    }
}

/// Calls `visit` for every index that is in `ranges` but not in `others`; both are sorted and disjoint.
fn for_each_only_in(ranges: &[Range], others: &[Range], mut visit: impl FnMut(Index)) {
    let mut others = others.iter().peekable();
    for range in ranges {
        let mut index = range.start;
        while index < range.end {
            while others.peek().is_some_and(|other| other.end <= index) {
                others.next();
            }
            match others.peek() {
                Some(other) if other.start <= index => index = other.end,
                Some(other) => {
                    let stop = other.start.min(range.end);
                    (index..stop).for_each(&mut visit);
                    index = stop;
                }
                None => {
                    (index..range.end).for_each(&mut visit);
                    index = range.end;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_of_ranges_visits_each_index_once() {
        let range = |start, end| Range { start, end };
        let mut seen = Vec::new();
        let (a, b) = (
            [range(2, 6), range(8, 12), range(20, 21)],
            [range(0, 3), range(5, 9), range(11, 20)],
        );
        for_each_only_in(&a, &b, |i| seen.push(i));
        assert_eq!(seen, [3, 4, 9, 10, 20]);
        seen.clear();
        for_each_only_in(&a, &[], |i| seen.push(i));
        assert_eq!(seen, [2, 3, 4, 5, 8, 9, 10, 11, 20]);
    }
}
