//! The sending side of an association (RFC 9260 §6.1, §6.2.1, §6.3, §6.9, §7.2): what waits, what is in flight, and
//! what may go next. It uses `path` and `cc`, and knows no chunk bytes.

mod chunk;
mod interleaving;
mod numbers;
mod outstanding;
mod peer_window;
mod policy;
mod pr;
mod pr_stats;
mod queue;
mod reset;
mod sack_in;
mod sched;
mod streams;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::Instant;
use crate::config::CongestionControl;
use crate::error::SendError;
use crate::event::SendFailure;
use crate::message::OutMessage;
use crate::path::{Path, PathId, PathSet, PathState};
use crate::serial::{SharedKeyId, Tsn};

pub(crate) use chunk::ChunkToSend;
pub(crate) use sack_in::{SackIn, SackResult};

use chunk::{ChunkForm, ChunkState, SentChunk};
use outstanding::Outstanding;
use peer_window::{Admission, PeerWindow};
use policy::Policy;
use pr::Forward;
use queue::{QueuedMessage, SendQueue};
use reset::Pause;
use sack_in::SackProcessor;
use streams::Cutting;

/// How many chunks may be outstanding. Gap Ack Blocks reach 65535 TSNs far (§3.3.4), and no stream may have more than
/// 65535 messages in the window (§6.1).
const MAX_OUTSTANDING: usize = 1 << 15;

/// Everything that an association has to send.
#[derive(Debug)]
pub(crate) struct Outbound {
    queue: SendQueue,
    outstanding: Outstanding,
    sacks: SackProcessor,
    algorithm: CongestionControl,
    peer_window: PeerWindow,
    forward: Forward,
    /// The message that is being cut into fragments and to be finished before another is begun.
    cutting: Option<Cutting>,
    /// DATA, or I-DATA with interleaving.
    form: ChunkForm,
    /// The Fragment Sequence Number of the fragment after the first.
    second_fsn: u32,
    /// What a re-configuration keeps back.
    pause: Option<Box<Pause>>,
    buffered: usize,
    send_buffer: usize,
    streams: u16,
}

/// What is to be sent next of the messages that wait.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Bytes left of the message.
    remaining: usize,
    /// Where the user wants it.
    wanted: Option<PathId>,
    /// The key that it asks for (RFC 4895).
    auth_key: Option<SharedKeyId>,
}

/// Which DATA the next packet would carry, and where it would go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataPlan {
    pub(crate) path: PathId,
    /// Bytes that the first chunk needs.
    pub(crate) first_chunk: usize,
    kind: PlanKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlanKind {
    /// A chunk that is marked; the first packet of a fast retransmission ignores cwnd.
    Retransmission { ignore_cwnd: bool },
    /// New data.
    New,
    /// New data that the peer's window has no room for.
    Probe,
}

/// How much goes into one packet, decided chunk by chunk.
#[derive(Debug)]
pub(crate) struct PacketFill {
    plan: DataPlan,
    chunks: u64,
    /// Bytes of the chunks.
    bytes: usize,
    /// Where the user wants the new data of the packet, once there is some.
    wanted: Option<Option<PathId>>,
    /// The key that all messages in the packet ask for (RFC 6458 §5.3.8).
    auth_key: Option<SharedKeyId>,
}

impl PacketFill {
    pub(crate) const fn new(plan: DataPlan) -> Self {
        Self {
            plan,
            chunks: 0,
            bytes: 0,
            wanted: None,
            auth_key: None,
        }
    }

    /// How many chunks went into the packet.
    pub(crate) const fn chunks(&self) -> u64 {
        self.chunks
    }

    /// The key that the messages in the packet ask for.
    pub(crate) const fn auth_key(&self) -> Option<SharedKeyId> {
        self.auth_key
    }

    /// Whether a message that asks for `key` may go into the packet: the first one decides.
    fn takes_key(&mut self, key: Option<SharedKeyId>) -> bool {
        if self.chunks == 0 {
            self.auth_key = key;
        }
        self.auth_key == key
    }
}

impl Outbound {
    pub(crate) fn new(initial_tsn: Tsn, streams: u16, send_buffer: u32, algorithm: CongestionControl) -> Self {
        Self {
            queue: SendQueue::default(),
            outstanding: Outstanding::new(initial_tsn),
            sacks: SackProcessor::new(algorithm),
            algorithm,
            peer_window: PeerWindow::new(0),
            forward: Forward::default(),
            cutting: None,
            form: ChunkForm::Data,
            second_fsn: 1,
            pause: None,
            buffered: 0,
            send_buffer: send_buffer as usize,
            streams,
        }
    }

    /// What the peer's INIT or INIT ACK says: its window, how many streams both sides agreed on, and whether both know
    /// FORWARD-TSN. Messages queued for other streams fail.
    pub(crate) fn set_peer(&mut self, a_rwnd: u32, streams: u16, forward_tsn: bool) -> Vec<SendFailure> {
        self.forward.set_enabled(forward_tsn);
        self.peer_window = PeerWindow::new(a_rwnd);
        self.streams = streams;
        let failed = self.queue.take_if(|message| message.stream.0 >= streams);
        failed.into_iter().map(|message| self.fail(message, false)).collect()
    }

    /// Starts over with a restarted peer (§5.2.4 A): TSNs and SSNs begin anew. What was sent and not acknowledged
    /// fails; what waits is still sent.
    pub(crate) fn restart(&mut self, initial_tsn: Tsn) -> Vec<SendFailure> {
        let sent: Vec<OutMessage> = self.outstanding.drain().map(|sent| sent.message).collect();
        self.forget_cuts();
        self.outstanding = Outstanding::new(initial_tsn);
        self.outstanding.set_form(self.form);
        self.sacks = SackProcessor::new(self.algorithm);
        self.end_hold(false);
        self.queue.numbers.reset_all();
        self.forward.restart();
        let failed = sent.into_iter().map(|message| self.fail(message, true)).collect();
        self.buffered = self.queue.bytes();
        failed
    }

    /// The path `gone` is no more: what is in flight there is sent again on `to`, and what was wanted there goes wherever
    /// it can.
    pub(crate) fn leave_path(&mut self, gone: PathId, to: PathId) {
        self.queue.leave_path(gone);
        if let Some(pause) = &mut self.pause {
            pause.leave_path(gone);
        }
        if let Some(cutting) = &mut self.cutting {
            cutting.wanted.take_if(|wanted| *wanted == gone);
        }
        self.outstanding.leave_path(gone, to);
        self.forward.leave_path(gone);
    }

    fn fail(&mut self, message: OutMessage, sent: bool) -> SendFailure {
        self.buffered = self.buffered.saturating_sub(message.payload.len());
        SendFailure::new(message, sent)
    }

    /// What was begun is not cut further.
    fn forget_cuts(&mut self) {
        let current = self.cutting.take();
        self.queue.clear_cuts(current.map(|cutting| cutting.stream));
    }

    /// Gives everything up; oldest first.
    pub(crate) fn drain(&mut self) -> Vec<SendFailure> {
        let sent: Vec<OutMessage> = self.outstanding.drain().map(|sent| sent.message).collect();
        self.forget_cuts();
        let queued = self.queue.take_if(|_| true);
        let mut failed: Vec<_> = sent.into_iter().map(|message| self.fail(message, true)).collect();
        failed.extend(queued.into_iter().map(|message| self.fail(message, false)));
        failed.extend(self.drain_held());
        self.buffered = 0;
        failed
    }

    /// Queues a message, for which less important ones may have to [give way](Self::take_abandoned).
    pub(crate) fn push(&mut self, now: Instant, message: OutMessage, wanted: Option<PathId>) -> Result<(), SendError> {
        let len = message.payload.len();
        if len == 0 {
            return Err(SendError::Empty);
        }
        if message.stream.0 >= self.streams {
            return Err(SendError::InvalidStream);
        }
        if len > self.send_buffer {
            return Err(SendError::TooLarge);
        }
        let policy = Policy::new(now, message.reliability);
        if self.buffered + len > self.send_buffer && !self.give_way(now, len, policy) {
            return Err(SendError::WouldBlock);
        }
        self.forward.note(policy);
        self.buffered += len;
        let queued = QueuedMessage {
            message,
            wanted,
            policy,
        };
        if self.pause.is_some() {
            self.push_paused(queued);
        } else {
            self.queue.push(queued);
        }
        Ok(())
    }

    /// What the next packet with DATA carries, if one may be sent now (§6.1 A to E). `max_packet` is what a packet
    /// has for chunks, on every path.
    pub(crate) fn plan(&mut self, now: Instant, paths: &PathSet, max_chunks: usize) -> Option<DataPlan> {
        self.give_up_due(now);
        if let Some(plan) = self.plan_retransmission(paths) {
            return Some(plan);
        }
        // §6.1 C: new data waits until everything marked was sent.
        if self.outstanding.has_marked() {
            return None;
        }
        self.plan_new(now, paths, max_chunks)
    }

    fn plan_retransmission(&self, paths: &PathSet) -> Option<DataPlan> {
        let (_, chunk) = self.outstanding.first_marked()?;
        let path = retransmission_path(chunk, paths);
        let ignore_cwnd = self.sacks.fast_retransmit_due;
        let allowed = ignore_cwnd || paths.get(path)?.cc.may_send(self.outstanding.flight(path));
        let kind = PlanKind::Retransmission { ignore_cwnd };
        allowed.then_some(DataPlan {
            path,
            first_chunk: chunk.wire_len(self.form),
            kind,
        })
    }

    fn plan_new(&mut self, now: Instant, paths: &PathSet, max_chunks: usize) -> Option<DataPlan> {
        let Piece { remaining, wanted, .. } = self.next_piece()?;
        if self.outstanding.len() >= MAX_OUTSTANDING {
            return None;
        }
        let id = paths.for_new_data(wanted);
        let path = paths.get(id)?;
        if !path.cc.may_send(self.outstanding.flight(id)) {
            return None;
        }
        let len = remaining.min(self.form.max_payload(max_chunks));
        let kind = self.admit(len, now, path.rto())?;
        Some(DataPlan {
            path: id,
            first_chunk: self.form.chunk_len(len),
            kind,
        })
    }

    /// §6.1 A: whether the peer has room.
    fn admit(&mut self, len: usize, now: Instant, rto: Duration) -> Option<PlanKind> {
        match self
            .peer_window
            .admit(len, self.outstanding.payload_in_flight(), now, rto)
        {
            Admission::Fits => Some(PlanKind::New),
            // A probe goes alone, with everything before it acknowledged.
            Admission::Probe if self.outstanding.is_empty() => Some(PlanKind::Probe),
            Admission::Probe | Admission::Wait => None,
        }
    }

    /// Bytes left of the message to be sent next, and where the user wants it.
    #[inline(always)]
    fn next_piece(&self) -> Option<Piece> {
        if let Some(cutting) = self.cutting.or_else(|| self.queue.next_cut()) {
            let message = &self.outstanding.message(cutting.message)?.message;
            return Some(Piece {
                remaining: message.payload.len().saturating_sub(cutting.offset),
                wanted: cutting.wanted,
                auth_key: message.auth_key,
            });
        }
        let queued = self.queue.front()?;
        Some(Piece {
            remaining: queued.message.payload.len(),
            wanted: queued.wanted,
            auth_key: queued.message.auth_key,
        })
    }

    /// The next chunk of the packet that was planned, if one fits into `room` bytes. The first one always comes.
    pub(crate) fn next_chunk(
        &mut self,
        fill: &mut PacketFill,
        now: Instant,
        room: usize,
        max_chunks: usize,
        paths: &mut PathSet,
    ) -> Option<ChunkToSend<'_>> {
        self.give_up_due(now);
        let first = fill.chunks == 0;
        let id = fill.plan.path;
        if let Some((index, chunk)) = self.outstanding.first_marked() {
            let len = chunk.wire_len(self.form);
            // A chunk that outgrew the path goes alone; it was cut for a larger MTU.
            let fits = len <= room || room >= max_chunks;
            // What is bundled is one packet, for which the plan asked cwnd.
            let same_packet = first || retransmission_path(chunk, paths) == id;
            let sent = self.outstanding.message(chunk.message);
            let key = sent.and_then(|sent| sent.message.auth_key);
            if !fits || !same_packet || !fill.plan.is_retransmission() || !fill.takes_key(key) {
                return None;
            }
            // §6.1, §7.2.4 rule 4: T3-rtx starts anew when the earliest outstanding chunk is sent again.
            if self.outstanding.becomes_earliest(id, index)
                && let Some(path) = paths.get_mut(id)
            {
                path.restart_t3(now);
            }
            fill.chunks += 1;
            fill.bytes += len;
            return self.outstanding.send_again(now, id, index);
        }
        if !first && (fill.plan.is_probe() || fill.plan.ignores_cwnd()) {
            return None;
        }
        self.next_new_chunk(fill, now, room, max_chunks, paths)
    }

    fn next_new_chunk(
        &mut self,
        fill: &mut PacketFill,
        now: Instant,
        room: usize,
        max_chunks: usize,
        paths: &PathSet,
    ) -> Option<ChunkToSend<'_>> {
        let Piece {
            remaining,
            wanted,
            auth_key,
        } = self.next_piece()?;
        let limit = self.form.max_payload(max_chunks);
        let len = fragment_len(remaining, limit, self.form.max_payload(room))?;
        if fill.chunks > 0 {
            let same_path = fill.wanted == Some(wanted) || paths.for_new_data(wanted) == fill.plan.path;
            // §6.1 B allows one packet to overrun cwnd, so a started packet may be filled.
            let fits = len <= self.peer_window.available(self.outstanding.payload_in_flight());
            if !same_path || !fits || self.outstanding.len() >= MAX_OUTSTANDING {
                return None;
            }
        }
        if !fill.takes_key(auth_key) {
            return None;
        }
        let piece = self.take_piece()?;
        let rest = (len < remaining).then_some(Cutting {
            offset: piece.offset + len,
            fsn: if piece.offset == 0 {
                self.second_fsn
            } else {
                piece.fsn.wrapping_add(1)
            },
            ..piece
        });
        if self.queue.is_scheduled() {
            self.schedule(&piece, len, rest);
        } else {
            self.cutting = rest;
        }
        if fill.plan.is_probe() {
            self.peer_window.on_probe_sent();
        }
        fill.chunks += 1;
        fill.bytes += self.form.chunk_len(len);
        fill.wanted = Some(wanted);
        self.outstanding
            .send_new(now, fill.plan.path, &piece, len, len == remaining)
    }

    /// Takes the message whose next piece is sent now: the one being cut, or a new one.
    #[inline(always)]
    fn take_piece(&mut self) -> Option<Cutting> {
        if let Some(cutting) = self.cutting.take().or_else(|| self.queue.resume()) {
            return Some(cutting);
        }
        let (queued, mid) = self.queue.pop()?;
        let stream = queued.message.stream;
        self.outstanding.begin_message(queued.message, mid, queued.policy);
        Some(Cutting {
            message: self.outstanding.last_message_number(),
            stream,
            offset: 0,
            fsn: 0,
            wanted: queued.wanted,
        })
    }

    /// The packet was written.
    pub(crate) fn packet_sent(&mut self, fill: &PacketFill, now: Instant, paths: &mut PathSet) {
        self.outstanding.end_packet();
        if fill.chunks == 0 {
            return;
        }
        if self.queue.is_scheduled() && !fill.plan.is_retransmission() {
            self.queue.end_packet();
        }
        if fill.plan.ignores_cwnd() {
            self.sacks.fast_retransmit_due = false;
        }
        if let Some(path) = paths.get_mut(fill.plan.path) {
            path.cc.on_sent(fill.bytes);
            path.touch_by_data(now);
            path.start_t3(now);
        }
    }

    /// A SACK arrived, or the Cumulative TSN Ack of a SHUTDOWN.
    pub(crate) fn on_sack(
        &mut self,
        now: Instant,
        sack: SackIn<impl Iterator<Item = (u16, u16)>>,
        paths: &mut PathSet,
    ) -> SackResult {
        let point = self.outstanding.cumulative_tsn_ack();
        if sack.cumulative_tsn_ack.is_before(point) {
            return SackResult::Old;
        }
        let steps = u64::from(sack.cumulative_tsn_ack.steps_from(point));
        if steps > self.outstanding.len() as u64 {
            return self.beyond_all_sent(steps);
        }
        let cumulative = self.outstanding.first() + steps;
        let Some((progress, freed)) = self
            .sacks
            .process(now, cumulative, sack.gaps, &mut self.outstanding, paths)
        else {
            return SackResult::Impossible;
        };
        self.buffered = self.buffered.saturating_sub(freed);
        if self.peer_window.on_sack(sack.a_rwnd) && !progress {
            self.repeat_probe(paths);
        }
        if self.sacks.is_fickle(&self.outstanding) {
            return SackResult::Fickle;
        }
        self.forward_after_sack(now, steps, SackResult::Taken { progress }, paths)
    }

    /// The window opened that a probe found closed: the probe was thrown away there, and goes again at once rather than
    /// when T3-rtx, which has backed off, expires.
    fn repeat_probe(&mut self, paths: &mut PathSet) {
        let index = self.outstanding.first();
        let Some(chunk) = self
            .outstanding
            .chunk_mut(index)
            .filter(|chunk| chunk.state == ChunkState::InFlight)
        else {
            return;
        };
        chunk.stays_on_path = true;
        let path = chunk.path;
        self.outstanding.mark(index);
        if let Some(path) = paths.get_mut(path) {
            path.cc.on_occasion();
        }
    }

    /// A SHUTDOWN carries a Cumulative TSN Ack only (§3.3.8): gap acknowledgements and the window stay as they are.
    pub(crate) fn on_cumulative_ack(&mut self, now: Instant, tsn: Tsn, paths: &mut PathSet) -> SackResult {
        let point = self.outstanding.cumulative_tsn_ack();
        if !tsn.is_after(point) {
            return SackResult::Old;
        }
        let steps = u64::from(tsn.steps_from(point));
        if steps > self.outstanding.len() as u64 {
            return self.beyond_all_sent(steps);
        }
        let cumulative = self.outstanding.first() + steps;
        let (progress, freed) = self.sacks.acknowledge(now, cumulative, &mut self.outstanding, paths);
        self.buffered = self.buffered.saturating_sub(freed);
        self.forward_after_sack(now, steps, SackResult::Taken { progress }, paths)
    }

    /// The paths on which the last acknowledgement found something new, and whether some of it was sent nowhere else.
    pub(crate) fn acked_paths(&self) -> impl Iterator<Item = (PathId, bool)> {
        let forward = self.forward_answered().map(|path| (path, true));
        self.sacks.acked_paths().chain(forward)
    }

    /// How many chunks the last SACK had fast retransmitted.
    pub(crate) const fn fast_retransmits(&self) -> u64 {
        self.sacks.fast_retransmits
    }

    /// Bytes of the chunks of the largest packet in flight on a path.
    pub(crate) fn largest_packet_in_flight(&self, id: PathId) -> usize {
        self.outstanding.largest_packet_in_flight(id)
    }

    /// T3-rtx of `id` expired (§6.3.3): what is in flight there is to be sent again. True if it counts as an error of
    /// the path; an answered probe of a closed window does not (§6.1 A).
    pub(crate) fn on_t3_expiry(&mut self, id: PathId, paths: &mut PathSet) -> bool {
        let Some(path) = paths.get_mut(id) else { return false };
        path.t3_rtx = None;
        let forward_lost = self.forward_on_t3_expiry(id);
        if self.outstanding.mark_path(id) == 0 && !forward_lost {
            return false;
        }
        path.cc.on_t3_expiry();
        path.rto.back_off();
        self.sacks.on_t3_expiry(&self.outstanding);
        for (_, path) in paths.iter_mut() {
            path.cc.on_occasion();
        }
        !self.peer_window.excuses_timeout()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.peer_window.timer()
    }

    /// Time has passed.
    pub(crate) fn on_timeout(&mut self, now: Instant) {
        self.peer_window.on_timeout(now);
    }

    /// Whether a message that is not fully acknowledged asks for a key.
    pub(crate) fn uses_key(&self, key: SharedKeyId) -> bool {
        let asks = |message: &OutMessage| message.auth_key == Some(key);
        self.outstanding.any_message(asks) || self.queue.any(asks) || self.held_messages().any(asks)
    }

    /// The messages that ask for no key were given while `key` was the active one, and keep it.
    pub(crate) fn keep_key(&mut self, key: SharedKeyId) {
        let keep = |message: &mut OutMessage| {
            message.auth_key.get_or_insert(key);
        };
        self.outstanding.for_each_message(keep);
        self.queue.for_each(keep);
        self.held_messages_mut().for_each(keep);
    }

    /// The peer takes no part in AUTH: the messages that ask for a key fail.
    pub(crate) fn fail_keyed(&mut self) -> Vec<SendFailure> {
        let failed = self.queue.take_if(|message| message.auth_key.is_some());
        failed.into_iter().map(|message| self.fail(message, false)).collect()
    }

    /// Whether nothing waits and nothing is unacknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
            && self.cutting.is_none()
            && self.outstanding.is_empty()
            && self.pause.as_ref().is_none_or(|pause| pause.held() == 0)
    }

    pub(crate) const fn buffered(&self) -> usize {
        self.buffered
    }

    /// Changes the send buffer. What is in it stays.
    pub(crate) const fn set_send_buffer(&mut self, bytes: u32) {
        self.send_buffer = bytes as usize;
    }

    pub(crate) const fn has_room(&self) -> bool {
        self.buffered < self.send_buffer
    }

    pub(crate) const fn streams(&self) -> u16 {
        self.streams
    }

    pub(crate) fn messages(&self) -> usize {
        let held = self.pause.as_ref().map_or(0, |pause| pause.held());
        self.queue.len() + self.outstanding.messages() + held
    }

    pub(crate) fn flight(&self, path: PathId) -> usize {
        self.outstanding.flight(path)
    }

    pub(crate) const fn peer_rwnd(&self) -> usize {
        self.peer_window.available(self.outstanding.payload_in_flight())
    }
}

impl DataPlan {
    const fn ignores_cwnd(&self) -> bool {
        matches!(self.kind, PlanKind::Retransmission { ignore_cwnd: true })
    }

    /// Whether it sends chunks again.
    pub(crate) const fn is_retransmission(&self) -> bool {
        matches!(self.kind, PlanKind::Retransmission { .. })
    }

    /// Whether it probes a closed window.
    pub(crate) const fn is_probe(&self) -> bool {
        matches!(self.kind, PlanKind::Probe)
    }
}

/// Where a marked chunk is sent again (§6.4): what was reported missing, on the path where the reports come from; what
/// timed out, on another. An address that was never confirmed is none that works (§5.4).
fn retransmission_path(chunk: &SentChunk, paths: &PathSet) -> PathId {
    let confirmed = |path: &Path| path.state != PathState::Unconfirmed;
    if chunk.stays_on_path && paths.get(chunk.path).is_some_and(confirmed) {
        chunk.path
    } else {
        paths.for_retransmission(chunk.path)
    }
}

/// How much of a message with `remaining` bytes goes into a chunk, where an empty packet takes `limit` and this one
/// `room` (§6.9). What fits an empty packet is not split; a larger message fills up a packet that is at least half
/// free.
fn fragment_len(remaining: usize, limit: usize, room: usize) -> Option<usize> {
    if remaining <= room {
        Some(remaining)
    } else if remaining > limit && room >= limit / 2 && room > 0 {
        Some(room)
    } else {
        None
    }
}
