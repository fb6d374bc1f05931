//! What the next packet with DATA carries (RFC 9260 §6.1, §6.9): first what it would be and where it would go, then
//! chunk by chunk.

use std::time::Duration;

use super::Outbound;
use super::chunk::{ChunkToSend, SentChunk};
use super::peer_window::Admission;
use super::streams::Cutting;
use crate::Instant;
use crate::path::{Path, PathId, PathSet, PathState};
use crate::serial::SharedKeyId;

/// How many chunks may be outstanding. Gap Ack Blocks reach 65535 TSNs far (§3.3.4), and no stream may have more than
/// 65535 messages in the window (§6.1).
const MAX_OUTSTANDING: usize = 1 << 15;

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
    /// How many of them had been sent before.
    repeated: u64,
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
            repeated: 0,
            bytes: 0,
            wanted: None,
            auth_key: None,
        }
    }

    /// How many chunks went into the packet.
    pub(crate) const fn chunks(&self) -> u64 {
        self.chunks
    }

    /// How many of them had been sent before.
    pub(crate) const fn repeated(&self) -> u64 {
        self.repeated
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
    /// What the next packet with DATA carries, if one may be sent now (§6.1 A to E). `max_chunks` is what a packet
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
        let limit = self.max_payload(max_chunks);
        if remaining < limit && self.waits_for_company(max_chunks) {
            return None;
        }
        let len = remaining.min(limit);
        let kind = self.admit(len, now, path.rto())?;
        Some(DataPlan {
            path: id,
            first_chunk: self.form.chunk_len(len),
            kind,
        })
    }

    /// Whether what waits does not fill a packet and should not go yet: other data is not acknowledged (SCTP_NODELAY
    /// switched off, RFC 6458 §8.1.5).
    #[inline(always)]
    fn waits_for_company(&self, max_chunks: usize) -> bool {
        !self.sending.nodelay() && !self.outstanding.is_empty() && !self.fills_packet(max_chunks)
    }

    #[cold]
    fn fills_packet(&self, max_chunks: usize) -> bool {
        let mut left = max_chunks;
        let mut takes = |len: usize| {
            left = left.saturating_sub(self.form.chunk_len(len));
            left > 0
        };
        let cut = self.next_piece().map_or(0, |piece| piece.remaining);
        let begun = self.cutting.is_some() || self.queue.next_cut().is_some();
        !((!begun || takes(cut)) && self.queue.waiting_lens().all(takes))
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

    /// What is to be sent next of the messages that wait.
    #[inline(always)]
    fn next_piece(&self) -> Option<Piece> {
        if let Some(cutting) = &self.cutting {
            return self.rest_of(cutting);
        }
        if self.queue.is_scheduled()
            && let Some(cutting) = self.queue.next_cut()
        {
            return self.rest_of(&cutting);
        }
        let queued = self.queue.front()?;
        Some(Piece {
            remaining: queued.payload.len(),
            wanted: queued.wanted,
            auth_key: queued.auth_key,
        })
    }

    /// Whether the message to be sent next is one of which nothing was sent.
    #[inline(always)]
    fn begins_next(&self) -> bool {
        self.cutting.is_none() && (!self.queue.is_scheduled() || self.queue.next_cut().is_none())
    }

    #[inline(never)]
    fn rest_of(&self, cutting: &Cutting) -> Option<Piece> {
        let message = &self.outstanding.message(cutting.message)?.message;
        Some(Piece {
            remaining: message.payload.len().saturating_sub(cutting.offset),
            wanted: cutting.wanted,
            auth_key: message.auth_key,
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
        if self.outstanding.has_marked() {
            return self.next_marked_chunk(fill, now, room, max_chunks, paths);
        }
        if fill.chunks > 0 && (fill.plan.is_probe() || fill.plan.ignores_cwnd()) {
            return None;
        }
        self.next_new_chunk(fill, now, room, max_chunks, paths)
    }

    #[cold]
    #[inline(never)]
    fn next_marked_chunk(
        &mut self,
        fill: &mut PacketFill,
        now: Instant,
        room: usize,
        max_chunks: usize,
        paths: &mut PathSet,
    ) -> Option<ChunkToSend<'_>> {
        let (index, chunk) = self.outstanding.first_marked()?;
        let id = fill.plan.path;
        let len = chunk.wire_len(self.form);
        // A chunk that outgrew the path goes alone; it was cut for a larger MTU.
        let fits = len <= room || room >= max_chunks;
        // What is bundled is one packet, for which the plan asked cwnd.
        let same_packet = fill.chunks == 0 || retransmission_path(chunk, paths) == id;
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
        fill.repeated += 1;
        fill.bytes += len;
        if let Some(path) = paths.get_mut(id) {
            path.stats.data_chunks_retransmitted += 1;
        }
        self.outstanding.send_again(now, id, index)
    }

    #[inline(always)]
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
        let len = self.fragment_len(remaining, room, max_chunks)?;
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
        if fill.plan.is_probe() {
            self.peer_window.on_probe_sent();
        }
        fill.chunks += 1;
        fill.bytes += self.form.chunk_len(len);
        fill.wanted = Some(wanted);
        let piece = if self.begins_next() {
            self.begin_message()?
        } else {
            self.take_cut()?
        };
        if self.queue.is_scheduled() {
            return self.send_scheduled(now, fill.plan.path, piece, len, remaining);
        }
        if len < remaining {
            self.note_cut(piece, len);
        }
        self.outstanding
            .send_new(now, fill.plan.path, &piece, len, len == remaining)
    }

    /// How much of a message with `remaining` bytes goes into a chunk, where an empty packet has `max_chunks` bytes for
    /// chunks and this one `room` (§6.9). What fits an empty packet is not split; a larger message fills up a packet
    /// that is at least half free.
    #[inline(always)]
    fn fragment_len(&self, remaining: usize, room: usize, max_chunks: usize) -> Option<usize> {
        let room = self.max_payload(room);
        if remaining <= room {
            return Some(remaining);
        }
        let limit = self.max_payload(max_chunks);
        (remaining > limit && room >= limit / 2 && room > 0).then_some(room)
    }

    /// Takes the message to be sent next, of which nothing was sent.
    #[inline(always)]
    fn begin_message(&mut self) -> Option<Cutting> {
        let next = self.queue.front()?;
        let (stream, wanted) = (next.stream, next.wanted);
        let (message, mid) = self.queue.pop()?;
        let number = self.outstanding.begin_message(message, mid);
        Some(Cutting {
            message: number,
            stream,
            offset: 0,
            fsn: 0,
            wanted,
        })
    }

    /// Takes the message that is to be cut further.
    #[inline(always)]
    fn take_cut(&mut self) -> Option<Cutting> {
        let cutting = match self.cutting.take() {
            Some(cutting) => Some(cutting),
            None => self.queue.resume(),
        }?;
        let sent = self.outstanding.message(cutting.message);
        self.unordered_later += u64::from(sent.is_some_and(|sent| sent.message.unordered));
        Some(cutting)
    }

    /// Of a message of which more is left `len` bytes are sent now, without a scheduler.
    #[inline(always)]
    fn note_cut(&mut self, piece: Cutting, len: usize) {
        self.fragmented += u64::from(piece.offset == 0);
        self.cutting = Some(Cutting {
            offset: piece.offset + len,
            fsn: if piece.offset == 0 {
                self.second_fsn
            } else {
                piece.fsn.wrapping_add(1)
            },
            ..piece
        });
    }

    /// The packet was written.
    pub(crate) fn packet_sent(&mut self, fill: &PacketFill, now: Instant, paths: &mut PathSet) {
        let number = self.outstanding.next_packet();
        self.outstanding.end_packet();
        if fill.chunks == 0 {
            return;
        }
        if self.queue.is_scheduled() {
            // New data may have filled up a retransmission too.
            self.queue.end_packet();
        }
        if fill.plan.ignores_cwnd() {
            self.sacks.fast_retransmit_due = false;
        }
        if let Some(path) = paths.get_mut(fill.plan.path) {
            path.cc.on_sent(fill.bytes);
            if !fill.plan.is_new() {
                path.ecn.on_plain_packet(number);
            }
            path.touch_by_data(now);
            path.start_t3(now);
        }
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

    /// Whether it sends new data that the peer has room for.
    pub(crate) const fn is_new(&self) -> bool {
        matches!(self.kind, PlanKind::New)
    }

    /// Whether it probes a closed window.
    pub(crate) const fn is_probe(&self) -> bool {
        matches!(self.kind, PlanKind::Probe)
    }
}

/// Where a marked chunk is sent again (§6.4): what was reported missing, on the path where the reports come from; what
/// timed out, on another. An address that was never confirmed is none that works (§5.4), nor is one that nothing can be
/// sent to.
fn retransmission_path(chunk: &SentChunk, paths: &PathSet) -> PathId {
    let works = |path: &Path| path.state != PathState::Unconfirmed && !path.stranded;
    if chunk.stays_on_path && paths.get(chunk.path).is_some_and(works) {
        chunk.path
    } else {
        paths.for_retransmission(chunk.path)
    }
}
