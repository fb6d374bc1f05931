//! What was sent and is not cumulatively acknowledged, chunk by chunk (RFC 9260 §6.1, §6.3).

mod abandon;
mod acknowledge;
mod messages;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use self::messages::Messages;
use super::chunk::{ChunkForm, ChunkState, ChunkToSend, Index, SentChunk, SentMessage};
use super::message::Message;
use super::streams::Cutting;
use crate::Instant;
use crate::path::PathId;
use crate::serial::{Fsn, Mid, Tsn};

/// The flight of one path.
#[derive(Clone, Debug, Default)]
struct Flight {
    bytes: usize,
    /// The chunk that measures the current round trip (§6.3.1 C4: one a round trip).
    rtt_probe: Option<Index>,
    /// The earliest outstanding chunk when T3-rtx was started (§6.3.2 R3).
    timed: Option<Index>,
    /// The newest packet that is known to have arrived.
    newest_acked: u64,
    /// The shortest round trip so far.
    min_rtt: Option<Duration>,
    /// What was sent again, in that order, with the number of the packet.
    sent_again: VecDeque<(u64, Index)>,
}

/// All chunks from the one after the Cumulative TSN Ack Point on.
///
/// A chunk is in exactly one [`ChunkState`]; the flights are the sums over the chunks in flight.
#[derive(Debug)]
pub(crate) struct Outstanding {
    initial_tsn: Tsn,
    first: Index,
    chunks: VecDeque<SentChunk>,
    marked: BTreeSet<Index>,
    messages: Messages,
    form: ChunkForm,
    /// With interleaving, the Fragment Sequence Numbers of the chunks.
    fsns: VecDeque<Fsn>,
    flights: Vec<Flight>,
    payload_in_flight: usize,
    /// The number of the packet that is being written.
    packet: u64,
    /// TSNs began anew once.
    renumbered: bool,
}

impl Outstanding {
    pub(crate) fn new(initial_tsn: Tsn) -> Self {
        Self {
            initial_tsn,
            first: 0,
            chunks: VecDeque::new(),
            marked: BTreeSet::new(),
            messages: Messages::default(),
            form: ChunkForm::Data,
            fsns: VecDeque::new(),
            flights: Vec::new(),
            payload_in_flight: 0,
            packet: 1,
            renumbered: false,
        }
    }

    /// The number of the packet to be sent next. Numbers grow; the first is 1.
    pub(crate) const fn next_packet(&self) -> u64 {
        self.packet
    }

    /// A packet is complete.
    pub(crate) const fn end_packet(&mut self) {
        self.packet += 1;
    }

    /// The index of the first chunk that is not cumulatively acknowledged (or, if there is none, of the next one).
    pub(crate) const fn first(&self) -> Index {
        self.first
    }

    /// The index that the next new chunk will have.
    pub(crate) fn end(&self) -> Index {
        self.first + self.chunks.len() as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "TSNs are indexes modulo 2^32")]
    pub(crate) const fn tsn(&self, index: Index) -> Tsn {
        self.initial_tsn.plus(index as u32)
    }

    /// The Cumulative TSN Ack Point.
    pub(crate) const fn cumulative_tsn_ack(&self) -> Tsn {
        self.tsn(self.first).minus(1)
    }

    /// Goes on with this TSN, while nothing is outstanding (RFC 6525 §5.2.7 H5).
    #[expect(clippy::cast_possible_truncation, reason = "TSNs are indexes modulo 2^32")]
    pub(super) fn renumber(&mut self, next: Tsn) {
        if self.chunks.is_empty() {
            self.initial_tsn = next.minus(self.first as u32);
            self.renumbered = true;
        }
    }

    /// Whether TSNs began anew, so that old acknowledgements seem to be far ahead.
    pub(super) const fn is_renumbered(&self) -> bool {
        self.renumbered
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// How many messages are not acknowledged as a whole, of which at least a part was sent.
    pub(crate) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Whether user data goes in DATA or I-DATA chunks; nothing was sent yet.
    pub(super) const fn set_form(&mut self, form: ChunkForm) {
        self.form = form;
    }

    fn position(&self, index: Index) -> Option<usize> {
        usize::try_from(index.checked_sub(self.first)?).ok()
    }

    pub(crate) fn chunk(&self, index: Index) -> Option<&SentChunk> {
        self.chunks.get(self.position(index)?)
    }

    pub(crate) fn chunk_mut(&mut self, index: Index) -> Option<&mut SentChunk> {
        let position = self.position(index)?;
        self.chunks.get_mut(position)
    }

    #[inline(always)]
    fn flight_mut(&mut self, path: PathId) -> &mut Flight {
        if self.flights.len() <= path.index() {
            self.add_flights(path);
        }
        #[expect(clippy::indexing_slicing, reason = "resized above")]
        &mut self.flights[path.index()]
    }

    #[cold]
    fn add_flights(&mut self, path: PathId) {
        self.flights.resize(path.index() + 1, Flight::default());
    }

    /// Bytes in flight on a path: chunks with headers and padding.
    pub(crate) fn flight(&self, path: PathId) -> usize {
        self.flights.get(path.index()).map_or(0, |flight| flight.bytes)
    }

    /// Bytes of user data in flight, over all paths.
    pub(crate) const fn payload_in_flight(&self) -> usize {
        self.payload_in_flight
    }

    /// Takes up a message of which chunks will be sent; its number.
    #[inline(always)]
    pub(super) fn begin_message(&mut self, message: Message, mid: Mid) -> u64 {
        let first_chunk = self.end();
        self.messages.begin(SentMessage {
            message,
            mid,
            first_chunk,
            abandoned: false,
        })
    }

    /// Adds a chunk, which is in flight now.
    #[inline(always)]
    fn add(&mut self, chunk: SentChunk) {
        let index = self.end();
        self.payload_in_flight += chunk.payload_len();
        let bytes = chunk.wire_len(self.form);
        let flight = self.flight_mut(chunk.path);
        flight.bytes += bytes;
        flight.rtt_probe.get_or_insert(index);
        flight.timed.get_or_insert(index);
        self.chunks.push_back(chunk);
    }

    /// Sends the next piece, `len` bytes long, of a message for the first time.
    #[inline(always)]
    pub(super) fn send_new(
        &mut self,
        now: Instant,
        path: PathId,
        piece: &Cutting,
        len: usize,
        ends_message: bool,
    ) -> Option<ChunkToSend<'_>> {
        let index = self.end();
        let (offset, chunk_len) = (u32::try_from(piece.offset).ok()?, u16::try_from(len).ok()?);
        self.add(SentChunk {
            ends_message,
            ..SentChunk::new(now, path, self.packet, piece.message, offset, chunk_len)
        });
        self.note_fsn(piece.fsn);
        let sent = self.message(piece.message)?;
        Some(ChunkToSend {
            tsn: self.tsn(index),
            mid: sent.mid,
            fsn: Fsn(piece.fsn),
            beginning: piece.offset == 0,
            ending: ends_message,
            message: &sent.message,
            payload: sent.message.payload.get(piece.offset..piece.offset + len)?,
        })
    }

    /// Sends a marked chunk again.
    pub(crate) fn send_again(&mut self, now: Instant, path: PathId, index: Index) -> Option<ChunkToSend<'_>> {
        if !self.marked.remove(&index) {
            return None;
        }
        let (packet, form) = (self.packet, self.form);
        let chunk = self.chunk_mut(index)?;
        chunk.state = ChunkState::InFlight;
        chunk.ambiguous |= chunk.path != path;
        chunk.path = path;
        chunk.sent_at = now;
        chunk.packet = packet;
        chunk.missing = 0;
        chunk.sent_again = chunk.sent_again.saturating_add(1);
        chunk.retransmitted = true;
        chunk.stays_on_path = false;
        let (bytes, payload) = (chunk.wire_len(form), chunk.payload_len());
        self.payload_in_flight += payload;
        // §6.3.1 C5: nor does anything later measure, whose acknowledgement may have waited for this chunk.
        for flight in &mut self.flights {
            flight.rtt_probe.take_if(|probe| *probe > index);
        }
        let flight = self.flight_mut(path);
        flight.bytes += bytes;
        flight.timed = Some(flight.timed.map_or(index, |timed| timed.min(index)));
        self.note_sent_again(path, packet, index);
        self.to_send(index)
    }

    /// Whether a chunk, once sent again on `path`, is the earliest one in flight there.
    pub(crate) fn becomes_earliest(&self, path: PathId, index: Index) -> bool {
        self.flights
            .get(path.index())
            .and_then(|flight| flight.timed)
            .is_none_or(|timed| index <= timed)
    }

    /// Remembers the Fragment Sequence Number of the chunk that was added last.
    #[inline(always)]
    fn note_fsn(&mut self, fsn: u32) {
        if self.form == ChunkForm::IData {
            self.fsns.push_back(Fsn(fsn));
            while self.fsns.len() > self.chunks.len() {
                self.fsns.pop_front();
            }
        }
    }

    fn fsn(&self, index: Index) -> Option<Fsn> {
        // The last one belongs to the last chunk.
        let from_end = usize::try_from(self.end().checked_sub(index)?).ok()?;
        self.fsns.get(self.fsns.len().checked_sub(from_end)?).copied()
    }

    fn to_send(&self, index: Index) -> Option<ChunkToSend<'_>> {
        let chunk = self.chunk(index)?;
        let sent = self.message(chunk.message)?;
        let start = chunk.offset as usize;
        Some(ChunkToSend {
            tsn: self.tsn(index),
            mid: sent.mid,
            fsn: self.fsn(index).unwrap_or_default(),
            beginning: start == 0 && !sent.message.part.continues(),
            ending: chunk.ends_message && !sent.message.part.goes_on(),
            message: &sent.message,
            payload: sent.message.payload.get(start..start + chunk.payload_len())?,
        })
    }

    /// Remembers what was sent again, and forgets what that no longer says anything of.
    fn note_sent_again(&mut self, path: PathId, packet: u64, index: Index) {
        let mut queue = std::mem::take(&mut self.flight_mut(path).sent_again);
        while let Some(&(earlier, old)) = queue.front()
            && self.chunk(old).is_none_or(|chunk| chunk.packet != earlier)
        {
            queue.pop_front();
        }
        queue.push_back((packet, index));
        self.flight_mut(path).sent_again = queue;
    }

    /// The message with this number.
    pub(super) fn message(&self, number: u64) -> Option<&SentMessage> {
        self.messages.get(number)
    }

    /// The marked chunk with the lowest TSN.
    pub(crate) fn first_marked(&self) -> Option<(Index, &SentChunk)> {
        let &index = self.marked.first()?;
        self.chunk(index).map(|chunk| (index, chunk))
    }

    pub(crate) fn has_marked(&self) -> bool {
        !self.marked.is_empty()
    }

    fn leave_flight(&mut self, path: PathId, bytes: usize, payload: usize) {
        self.payload_in_flight = self.payload_in_flight.saturating_sub(payload);
        let flight = self.flight_mut(path);
        flight.bytes = flight.bytes.saturating_sub(bytes);
    }

    /// Marks a chunk in flight for retransmission (§6.2.1 C).
    pub(crate) fn mark(&mut self, index: Index) {
        let form = self.form;
        let Some(chunk) = self
            .chunk_mut(index)
            .filter(|chunk| chunk.state == ChunkState::InFlight)
        else {
            return;
        };
        chunk.state = ChunkState::Marked;
        let (path, bytes, payload) = (chunk.path, chunk.wire_len(form), chunk.payload_len());
        self.leave_flight(path, bytes, payload);
        self.marked.insert(index);
        let flight = self.flight_mut(path);
        flight.rtt_probe.take_if(|probe| *probe == index);
    }

    /// Bytes of the chunks of the largest packet in flight on `path`, of which all chunks are.
    pub(crate) fn largest_packet_in_flight(&self, path: PathId) -> usize {
        let in_flight = |chunk: &&SentChunk| chunk.state == ChunkState::InFlight && chunk.path == path;
        let (mut largest, mut packet, mut bytes) = (0, None, 0);
        for chunk in self.chunks.iter().filter(in_flight) {
            if packet != Some(chunk.packet) {
                (packet, bytes) = (Some(chunk.packet), 0);
            }
            bytes += chunk.wire_len(self.form);
            largest = largest.max(bytes);
        }
        largest
    }

    /// Marks everything in flight on `path`; the number of chunks marked.
    pub(crate) fn mark_path(&mut self, path: PathId) -> usize {
        let lost: Vec<Index> = (self.first..)
            .zip(&self.chunks)
            .filter(|(_, chunk)| chunk.state == ChunkState::InFlight && chunk.path == path)
            .map(|(index, _)| index)
            .collect();
        for &index in &lost {
            self.mark(index);
        }
        for chunk in self.chunks.iter_mut().filter(|chunk| chunk.path == path) {
            chunk.stays_on_path = false;
        }
        let flight = self.flight_mut(path);
        flight.rtt_probe = None;
        flight.timed = None;
        flight.sent_again.clear();
        lost.len()
    }

    /// The path `gone` is no more: what is in flight there is marked, to be sent again on `to`, and nothing else
    /// remembers it. Acknowledgements of it measure nothing.
    pub(crate) fn leave_path(&mut self, gone: PathId, to: PathId) {
        self.mark_path(gone);
        for chunk in self.chunks.iter_mut().filter(|chunk| chunk.path == gone) {
            chunk.path = to;
            chunk.retransmitted = true;
            chunk.stays_on_path = chunk.state == ChunkState::Marked;
            chunk.missing = 0;
        }
        if let Some(flight) = self.flights.get_mut(gone.index()) {
            *flight = Flight::default();
        }
    }

    /// Whether there is a message like this, of those that are not given up.
    pub(super) fn any_message(&self, like: impl Fn(&Message) -> bool) -> bool {
        self.messages.iter().any(|sent| !sent.abandoned && like(&sent.message))
    }

    pub(super) fn for_each_message(&mut self, change: impl Fn(&mut Message)) {
        self.messages.iter_mut().for_each(|sent| change(&mut sent.message));
    }

    /// Gives up everything that was not acknowledged; the messages it belonged to, oldest first.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = SentMessage> {
        self.chunks.clear();
        self.marked.clear();
        self.flights.clear();
        self.payload_in_flight = 0;
        let messages = self.messages.drain();
        messages.filter(|sent| !sent.abandoned)
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn check_invariants(&self) {
        for (i, flight) in self.flights.iter().enumerate() {
            let sum: usize = self
                .chunks
                .iter()
                .filter(|c| c.state == ChunkState::InFlight && c.path.index() == i)
                .map(|chunk| chunk.wire_len(self.form))
                .sum();
            assert_eq!(flight.bytes, sum, "flight of path {i}");
        }
        let payload: usize = self
            .chunks
            .iter()
            .filter(|c| c.state == ChunkState::InFlight)
            .map(SentChunk::payload_len)
            .sum();
        assert_eq!(self.payload_in_flight, payload);
        let marked: Vec<Index> = (self.first..)
            .zip(&self.chunks)
            .filter(|(_, c)| c.state == ChunkState::Marked)
            .map(|(i, _)| i)
            .collect();
        assert_eq!(self.marked.iter().copied().collect::<Vec<_>>(), marked);
    }
}
