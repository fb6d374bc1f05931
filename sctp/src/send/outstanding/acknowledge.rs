//! What acknowledgements do to sent chunks (RFC 9260 §6.2.1, §6.3).

use super::Outstanding;
use crate::Instant;
use crate::path::PathId;
use crate::send::chunk::{Acknowledged, ChunkState, Index, Popped, SentChunk};

/// How many later packets must arrive before a chunk that was sent again counts as lost again.
const REORDERING: u64 = 3;

impl Outstanding {
    /// Acknowledges a chunk by a Gap Ack Block. `None` if it was acknowledged before.
    pub(crate) fn gap_ack(&mut self, index: Index, now: Instant) -> Option<Acknowledged> {
        let chunk = self.chunk_mut(index)?;
        if matches!(chunk.state, ChunkState::Acked | ChunkState::Abandoned) {
            return None;
        }
        let was = std::mem::replace(&mut chunk.state, ChunkState::Acked);
        let chunk = chunk.clone();
        self.left(index, &chunk, was, now)
    }

    /// The peer took a gap acknowledgement back (§6.2.1 D iii).
    pub(crate) fn renege(&mut self, index: Index) -> Option<PathId> {
        let form = self.form;
        let chunk = self.chunk_mut(index).filter(|chunk| chunk.state == ChunkState::Acked)?;
        chunk.state = ChunkState::InFlight;
        chunk.missing = chunk.missing.saturating_add(1);
        chunk.retransmitted = true;
        let (path, bytes, payload) = (chunk.path, chunk.wire_len(form), chunk.payload_len());
        self.payload_in_flight += payload;
        let flight = self.flight_mut(path);
        flight.bytes += bytes;
        flight.timed = Some(flight.timed.map_or(index, |timed| timed.min(index)));
        Some(path)
    }

    /// Acknowledges chunks below `end` cumulatively and forgets them: those from the first on that went the usual way
    /// on one path, in flight and sent once, or else just the first one.
    pub(crate) fn pop_acked(&mut self, end: Index, now: Instant) -> Option<Popped> {
        let usual = |chunk: &SentChunk| chunk.state == ChunkState::InFlight && !chunk.retransmitted;
        let path = match self.chunks.front() {
            Some(chunk) if usual(chunk) => chunk.path,
            _ => return self.pop_one_acked(now),
        };
        let (mut bytes, mut payload) = (0, 0);
        let mut last = (now, 0);
        let mut chunks = 0;
        // The usual ends of messages, in their order, are noted first and booked together.
        let (mut first_message, mut messages) = (self.messages.first(), 0);
        let covered = usize::try_from(end.saturating_sub(self.first)).unwrap_or(usize::MAX);
        for chunk in self.chunks.iter().take(covered) {
            if !usual(chunk) || chunk.path != path {
                break;
            }
            chunks += 1;
            if chunk.ends_message {
                if chunk.message == first_message + messages {
                    messages += 1;
                } else {
                    self.messages.end_first(messages);
                    self.messages.end(chunk.message);
                    (first_message, messages) = (self.messages.first(), 0);
                }
            }
            bytes += chunk.wire_len(self.form);
            payload += chunk.payload_len();
            last = (chunk.sent_at, chunk.packet);
        }
        let probe = self.flights.get(path.index()).and_then(|flight| flight.rtt_probe);
        let probe = probe.filter(|probe| *probe < self.first + chunks as u64);
        let measured = probe.and_then(|probe| Some(now.saturating_since(self.chunk(probe)?.sent_at)));
        self.chunks.drain(..chunks);
        self.first += chunks as u64;
        self.messages.end_first(messages);
        self.leave_flight(path, bytes, payload);
        let flight = self.flight_mut(path);
        if measured.is_some() {
            flight.rtt_probe = None;
        }
        // What was sent last has the shortest round trip.
        let (sent_at, packet) = last;
        let rtt = now.saturating_since(sent_at);
        flight.min_rtt = Some(flight.min_rtt.map_or(rtt, |least| least.min(rtt)));
        flight.newest_acked = flight.newest_acked.max(packet);
        let newly = Acknowledged {
            path,
            bytes,
            packet,
            rtt: Some(rtt),
            measured,
            sure: true,
        };
        Some(Popped {
            newly: Some(newly),
            payload,
        })
    }

    fn pop_one_acked(&mut self, now: Instant) -> Option<Popped> {
        let chunk = self.chunks.pop_front()?;
        let index = self.first;
        self.first += 1;
        if chunk.ends_message {
            self.messages.end(chunk.message);
        }
        let newly = if chunk.state == ChunkState::Acked {
            None
        } else {
            self.left(index, &chunk, chunk.state, now)
        };
        let kept = chunk.state != ChunkState::Abandoned;
        Some(Popped {
            newly,
            payload: if kept { chunk.payload_len() } else { 0 },
        })
    }

    /// Books an acknowledged chunk that was in state `was`.
    fn left(&mut self, index: Index, chunk: &SentChunk, was: ChunkState, now: Instant) -> Option<Acknowledged> {
        match was {
            ChunkState::InFlight => self.leave_flight(chunk.path, chunk.wire_len(self.form), chunk.payload_len()),
            ChunkState::Marked => {
                self.marked.remove(&index);
            }
            ChunkState::Acked | ChunkState::Abandoned => return None,
        }
        let flight = self.flight_mut(chunk.path);
        let measures = flight.rtt_probe.take_if(|probe| *probe == index).is_some();
        let elapsed = now.saturating_since(chunk.sent_at);
        // §6.3.1 C5: what was sent twice measures nothing. An answer that comes sooner than any before is to the
        // first transmission, and does not show that the last one arrived.
        let rtt = (!chunk.retransmitted).then_some(elapsed);
        if let Some(rtt) = rtt {
            flight.min_rtt = Some(flight.min_rtt.map_or(rtt, |least| least.min(rtt)));
        }
        if !chunk.retransmitted || flight.min_rtt.is_some_and(|least| elapsed >= least) {
            flight.newest_acked = flight.newest_acked.max(chunk.packet);
        }
        Some(Acknowledged {
            path: chunk.path,
            bytes: chunk.wire_len(self.form),
            packet: chunk.packet,
            rtt,
            measured: rtt.filter(|_| measures),
            sure: !chunk.ambiguous,
        })
    }

    /// Marks what was sent again on `path` and is lost again, as later packets that arrived show. A retransmission so
    /// waits for T3-rtx only if nothing was sent after it. The number of chunks marked.
    pub(crate) fn mark_lost_again(&mut self, path: PathId) -> usize {
        let mut lost = 0;
        while let Some(flight) = self.flights.get_mut(path.index()) {
            let newest = flight.newest_acked;
            let Some(&(packet, index)) = flight.sent_again.front() else {
                break;
            };
            if packet + REORDERING > newest {
                break;
            }
            flight.sent_again.pop_front();
            let same = |chunk: &SentChunk| chunk.packet == packet && chunk.state == ChunkState::InFlight;
            if self.chunk(index).is_some_and(same) {
                self.mark(index);
                lost += 1;
            }
        }
        lost
    }

    /// Whether the chunk that T3-rtx of `path` was started for is no longer in flight there (§6.3.2 R3). If so, the
    /// next one is looked up, for which the timer is to run from now on.
    pub(crate) fn earliest_left(&mut self, path: PathId) -> bool {
        let Some(timed) = self.flights.get(path.index()).and_then(|flight| flight.timed) else {
            return false;
        };
        let in_flight = |chunk: &SentChunk| chunk.state == ChunkState::InFlight && chunk.path == path;
        if self.chunk(timed).is_some_and(in_flight) {
            return false;
        }
        let from = timed.max(self.first);
        let skip = self.position(from).unwrap_or(0);
        let next = (from..)
            .zip(self.chunks.iter().skip(skip))
            .find(|(_, chunk)| in_flight(chunk));
        self.flight_mut(path).timed = next.map(|(index, _)| index);
        true
    }
}
