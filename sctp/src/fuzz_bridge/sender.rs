//! The sending half of an association beside a naive model of it: a list of what every chunk may become.

use std::time::Duration;

use bytes::Bytes;

use super::PATTERN;
use crate::Instant;
use crate::config::{AssociationConfig, CongestionControl};
use crate::message::{OutMessage, Reliability};
use crate::path::{Path, PathId, PathSet, PathState};
use crate::send::exercise::ChunkState;
use crate::send::{EcneResult, Outbound, PacketFill, SackIn, SackResult};
use crate::serial::{Ppid, StreamId, Tsn};
use crate::wire::SkippedMessage;

/// What a packet has for chunks.
const MAX_CHUNKS: usize = 1240;
/// How much the sender takes.
pub(super) const SEND_BUFFER: u32 = 16_384;
/// More blocks than this may have left some out.
const MANY_BLOCKS: usize = 250;

/// A message that was taken.
#[derive(Clone, Copy, Debug)]
struct Message {
    stream: u16,
    len: usize,
    reliability: Reliability,
    /// How much of it was cut into chunks, and how much the peer has for good.
    cut: usize,
    gone: usize,
    failed: bool,
}

/// A chunk that was sent, by the list.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The message; none for the TSN that stands for what was never cut.
    message: Option<usize>,
    offset: usize,
    len: usize,
    state: ChunkState,
    path: PathId,
}

/// What just happened, and so what may have changed.
#[derive(Clone, Copy, Debug)]
enum Cause<'a> {
    Sending,
    Sack { gaps: &'a [(u16, u16)] },
    Timeout(PathId),
    Nothing,
}

/// A sender and its model.
pub(super) struct Sender {
    pub(super) now: Instant,
    out: Outbound,
    paths: PathSet,
    initial: Tsn,
    /// The number of the first chunk that the peer has not for good, counted from the start.
    first: u32,
    slots: Vec<Slot>,
    messages: Vec<Message>,
}

impl Sender {
    pub(super) fn new(paths: u8, initial: Tsn, algorithm: CongestionControl, forward: bool) -> Self {
        let config = AssociationConfig::default();
        let path = |n: u8| {
            let mut path = Path::new([10, 0, n, 1].into(), &config, Instant::ZERO);
            path.state = PathState::Active;
            path
        };
        let mut set = PathSet::new(path(0));
        (1..paths).for_each(|n| assert!(set.add(path(n)).is_some()));
        set.confirm_setup_path(PathId(0));
        let mut out = Outbound::new(initial, 8, SEND_BUFFER, algorithm);
        assert!(out.set_peer(1 << 20, 8, forward).is_empty());
        Self {
            now: Instant::ZERO,
            out,
            paths: set,
            initial,
            first: 0,
            slots: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// How many chunks were sent and are not acknowledged for good.
    pub(super) fn outstanding(&self) -> u32 {
        u32::try_from(self.slots.len()).expect("few") - self.first
    }

    /// The Cumulative TSN Ack Point.
    pub(super) fn point(&self) -> Tsn {
        self.initial.plus(self.first).minus(1)
    }

    /// Hands a message over.
    pub(super) fn push(&mut self, stream: u16, unordered: bool, reliability: Reliability, len: usize) {
        let context = u32::try_from(self.messages.len()).expect("few");
        let message = OutMessage {
            unordered,
            reliability,
            context,
            ..OutMessage::new(
                StreamId(stream),
                Ppid(context),
                Bytes::from_static(payload(context, 0, len)),
            )
        };
        self.paths.iter_mut().for_each(|(_, path)| path.cc.on_occasion());
        let taken = self.out.push(self.now, message, None).is_ok();
        assert!(!taken || (1..=SEND_BUFFER as usize).contains(&len) && stream < 8);
        if taken {
            self.messages.push(Message {
                stream,
                len,
                reliability,
                cut: 0,
                gone: 0,
                failed: false,
            });
        }
        self.reconcile(Cause::Nothing);
    }

    /// Sends what may be sent, up to so many packets.
    pub(super) fn flush(&mut self, packets: usize) {
        for _ in 0..packets {
            let Some(plan) = self.out.plan(self.now, &self.paths, MAX_CHUNKS) else {
                break;
            };
            let mut fill = PacketFill::new(plan);
            let mut room = MAX_CHUNKS;
            self.collect();
            loop {
                let next = self
                    .out
                    .next_chunk(&mut fill, self.now, room, MAX_CHUNKS, &mut self.paths);
                let Some(chunk) = next else { break };
                let (tsn, context, flags) = (chunk.tsn, chunk.message.context, (chunk.beginning, chunk.ending));
                let bytes = chunk.message.payload.slice_ref(chunk.payload);
                room = room.checked_sub(16 + bytes.len().next_multiple_of(4)).expect("it fits");
                self.on_sent(tsn, context, &bytes, flags, plan.path);
            }
            assert!(fill.chunks() > 0, "a plan without a chunk");
            self.out.packet_sent(&fill, self.now, &mut self.paths);
        }
        self.reconcile(Cause::Sending);
    }

    /// A chunk went out: a new one, or one that was marked.
    fn on_sent(&mut self, tsn: Tsn, context: u32, bytes: &[u8], (begins, ends): (bool, bool), path: PathId) {
        let number = tsn.steps_from(self.initial) as usize;
        let message = context as usize;
        // Messages of which only a part was cut may have been given up before.
        self.see_new_slots(number);
        let fresh = number == self.slots.len();
        if fresh {
            let taken = &mut self.messages[message];
            self.slots.push(Slot {
                message: Some(message),
                offset: taken.cut,
                len: bytes.len(),
                state: ChunkState::Marked,
                path,
            });
            taken.cut += bytes.len();
        }
        let slot = &mut self.slots[number];
        assert!(number >= self.first as usize && slot.message == Some(message));
        assert_eq!(slot.state, ChunkState::Marked, "it is sent again without need");
        (slot.state, slot.path) = (ChunkState::InFlight, path);
        let taken = &self.messages[message];
        assert!(!taken.failed, "what was given up is sent");
        assert_eq!(bytes, payload(context, slot.offset, slot.len), "other bytes");
        assert_eq!((begins, ends), (slot.offset == 0, slot.offset + slot.len == taken.len));
    }

    /// Chunks up to `number` that were never sent stand for the rest of what was given up.
    fn see_new_slots(&mut self, number: usize) {
        while self.slots.len() < number {
            self.slots.push(Slot {
                message: None,
                offset: 0,
                len: 0,
                state: ChunkState::Abandoned,
                path: PathId(0),
            });
        }
    }

    /// Takes in a SACK.
    pub(super) fn sack(&mut self, cumulative: Tsn, a_rwnd: u32, gaps: &[(u16, u16)]) -> SackResult {
        let result = self.out.on_sack(
            self.now,
            SackIn {
                cumulative_tsn_ack: cumulative,
                a_rwnd,
                gaps: gaps.iter().copied(),
            },
            &mut self.paths,
        );
        let steps = cumulative.steps_from(self.point());
        let left = u64::from(self.outstanding().saturating_sub(steps));
        let beyond = |&(start, end): &(u16, u16)| start >= 2 && start <= end && u64::from(end) > left;
        match result {
            SackResult::Old => assert!(cumulative.is_before(self.point())),
            _ if steps > self.outstanding() => assert_eq!(result, SackResult::Impossible),
            _ if gaps.iter().any(beyond) => assert_eq!(result, SackResult::Impossible),
            _ => assert!(matches!(result, SackResult::Taken { .. } | SackResult::Fickle)),
        }
        match result {
            SackResult::Taken { .. } | SackResult::Fickle => {
                self.move_point(steps);
                self.reconcile(Cause::Sack { gaps });
            }
            _ => self.reconcile(Cause::Nothing),
        }
        result
    }

    /// Takes in the Cumulative TSN Ack of a SHUTDOWN.
    pub(super) fn cumulative_ack(&mut self, tsn: Tsn) {
        let result = self.out.on_cumulative_ack(self.now, tsn, &mut self.paths);
        let steps = tsn.steps_from(self.point());
        if matches!(result, SackResult::Taken { .. }) {
            assert!((1..=self.outstanding()).contains(&steps));
            self.move_point(steps);
        } else {
            assert!(!(1..=self.outstanding()).contains(&steps));
        }
        self.reconcile(Cause::Nothing);
    }

    /// The peer says that the packet with this TSN was marked: windows shrink, at most once for a window of data, and
    /// nothing else changes.
    pub(super) fn echo(&mut self, tsn: Tsn, twice: bool) {
        let path = PathId(0);
        let windows = |paths: &PathSet| paths.iter().map(|(_, path)| path.cc.cwnd()).collect::<Vec<_>>();
        let before = windows(&self.paths);
        let result = self.out.on_ecne(tsn, path, &mut self.paths);
        let after = windows(&self.paths);
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| after <= before && *after > 0)
        );
        let sent = tsn.steps_from(self.initial) < self.slots.len() as u32;
        assert_eq!(result == EcneResult::Impossible, !sent, "{result:?}");
        assert!(result == EcneResult::Reduced || before == after);
        if twice {
            assert_ne!(self.out.on_ecne(tsn, path, &mut self.paths), EcneResult::Reduced);
        }
        self.reconcile(Cause::Nothing);
    }

    fn move_point(&mut self, steps: u32) {
        for _ in 0..steps {
            let slot = self.slots[self.first as usize];
            if let Some(message) = slot.message {
                self.messages[message].gone += slot.len;
            }
            self.first += 1;
        }
    }

    pub(super) fn timeout(&mut self, path: u8) {
        self.out.on_t3_expiry(PathId(path), &mut self.paths);
        self.reconcile(Cause::Timeout(PathId(path)));
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.out.on_timeout(self.now);
    }

    /// Sends the FORWARD-TSN that is due; it skips nothing that is wanted.
    pub(super) fn forward(&mut self, max_streams: usize) {
        if !self.out.forward_is_due() {
            return;
        }
        let mut skipped = Vec::new();
        let point = self
            .out
            .take_forward(self.now, PathId(0), max_streams, &mut skipped, &mut self.paths);
        self.reconcile(Cause::Nothing);
        let Some(point) = point else { return };
        let covered = point.steps_from(self.point());
        assert!((1..=self.outstanding()).contains(&covered), "nothing new, or too much");
        assert!(skipped.len() <= max_streams);
        let first = self.first as usize;
        for slot in &self.slots[first..first + covered as usize] {
            assert_eq!(slot.state, ChunkState::Abandoned, "it skips what is wanted");
        }
        let known = |entry: &SkippedMessage| self.messages.iter().any(|m| m.failed && m.stream == entry.stream.0);
        assert!(skipped.iter().all(known));
    }

    /// Notes what was given up: each once, and nothing that has to arrive.
    fn collect(&mut self) {
        if !self.out.has_abandoned() {
            return;
        }
        for failure in self.out.take_abandoned() {
            let message = &mut self.messages[failure.context as usize];
            assert!(!message.failed && message.reliability != Reliability::Reliable);
            assert_eq!(failure.payload, payload(failure.context, 0, message.len));
            assert!(!failure.sent || message.cut > 0);
            message.failed = true;
        }
    }

    /// Compares the list with the sender: every chunk is in one state, into which it could come, and the sums fit.
    fn reconcile(&mut self, cause: Cause<'_>) {
        self.collect();
        assert_eq!(self.out.cumulative_tsn_ack(), self.point(), "the point is elsewhere");
        let count = self.out.places().count();
        self.see_new_slots(self.first as usize + count);
        assert_eq!(count, self.outstanding() as usize);
        let mut flights = [0; 4];
        let mut payload = 0;
        let first = self.first as usize;
        for (ahead, (place, slot)) in self.out.places().zip(&mut self.slots[first..]).enumerate() {
            assert_eq!(place.tsn, self.initial.plus(self.first).plus(ahead as u32));
            assert_eq!(place.payload, slot.len);
            let failed = slot.message.is_none_or(|message| self.messages[message].failed);
            assert_eq!(place.state == ChunkState::Abandoned, failed, "given up or not");
            assert!(
                may_become(slot, place.state, ahead + 1, cause),
                "{slot:?} {place:?} {cause:?}"
            );
            slot.state = place.state;
            if place.state == ChunkState::InFlight {
                assert_eq!(place.path, slot.path);
                flights[place.path.index()] += place.wire_len;
                payload += place.payload;
            }
        }
        assert_eq!(payload, self.out.payload_in_flight());
        for path in self.paths.ids() {
            assert_eq!(self.out.flight(path), flights[path.index()]);
        }
        let kept = |message: &Message| if message.failed { 0 } else { message.len - message.gone };
        let buffered: usize = self.messages.iter().map(kept).sum();
        assert_eq!(self.out.buffered(), buffered);
        assert!(buffered <= SEND_BUFFER as usize);
    }

    /// An honest peer takes everything: nothing is left, and nothing is missing.
    pub(super) fn finish(&mut self) {
        self.out.check_invariants();
        for _ in 0..1000 {
            if self.out.is_empty() {
                break;
            }
            self.pass(Duration::from_secs(1));
            self.flush(50);
            self.forward(100);
            let all = self.initial.plus(self.slots.len() as u32).minus(1);
            self.sack(all, 1 << 20, &[]);
        }
        let left = (self.out.is_empty(), self.out.buffered(), self.out.forward_is_due());
        assert_eq!(left, (true, 0, false), "empty, bytes, FORWARD-TSN due");
        assert!(
            self.messages
                .iter()
                .all(|m| m.failed || (m.cut, m.gone) == (m.len, m.len))
        );
    }
}

/// Whether a chunk, `ahead` places behind the Cumulative TSN Ack Point, may have come to `state`.
fn may_become(slot: &Slot, state: ChunkState, ahead: usize, cause: Cause<'_>) -> bool {
    use ChunkState::{Abandoned, Acked, InFlight, Marked};
    if slot.state == Abandoned || state == Abandoned {
        // Whether it had to be given up was looked at.
        return state == Abandoned;
    }
    match cause {
        Cause::Nothing | Cause::Sending => slot.state == state,
        Cause::Timeout(path) if slot.state == InFlight && slot.path == path => state == Marked,
        Cause::Timeout(_) => slot.state == state,
        Cause::Sack { gaps } => {
            let good = gaps.iter().filter(|(start, end)| *start >= 2 && start <= end);
            let covered = good
                .clone()
                .any(|&(start, end)| (start.into()..=end.into()).contains(&ahead));
            let unlisted = good.clone().count() >= MANY_BLOCKS && good.clone().all(|&(_, end)| ahead > end.into());
            match (slot.state, state) {
                (Acked, Acked) => covered || unlisted,
                (Acked, InFlight | Marked) => !covered,
                (InFlight | Marked, Acked) => covered,
                (Marked, Marked) | (InFlight, InFlight | Marked) => !covered,
                _ => false,
            }
        }
    }
}

/// The bytes of a message from `offset` on.
fn payload(context: u32, offset: usize, len: usize) -> &'static [u8] {
    &PATTERN[61 * (context as usize % 1024) + offset..][..len]
}
