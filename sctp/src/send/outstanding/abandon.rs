//! Giving up messages of which a part was sent (RFC 3758 §3.5).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Outstanding;
use crate::Instant;
use crate::path::PathId;
use crate::send::chunk::{Abandoned, ChunkState, Index, SentChunk, SentMessage};
use crate::send::message::{Message, Part};
use crate::send::streams::Cutting;
use crate::serial::{Mid, StreamId};

impl Outstanding {
    /// Gives a message up: all its chunks, acknowledged by gap blocks or not (RFC 3758 §3.5 A2, A3). `cut` is how much
    /// of it was cut into chunks, if that is not all.
    ///
    /// The rest of it, which will never be cut, gets one TSN: a receiver that has all that was sent would neither
    /// learn otherwise that the end will not come, nor could it tell the next message from it.
    pub(in crate::send) fn abandon(&mut self, number: u64, cut: Option<usize>, now: Instant) -> Option<Abandoned> {
        let from = self.message(number)?.first_chunk;
        let mut position = self.position(from.max(self.first))?;
        let mut freed = 0;
        let mut ended = false;
        let form = self.form;
        while !ended && let Some(chunk) = self.chunks.get_mut(position) {
            let index = self.first + position as u64;
            position += 1;
            // With interleaving there are chunks of others in between.
            if chunk.message != number {
                continue;
            }
            ended = chunk.ends_message;
            let was = std::mem::replace(&mut chunk.state, ChunkState::Abandoned);
            let (path, bytes, payload) = (chunk.path, chunk.wire_len(form), chunk.payload_len());
            match was {
                ChunkState::InFlight => {
                    self.leave_flight(path, bytes, payload);
                    self.flight_mut(path).rtt_probe.take_if(|probe| *probe == index);
                }
                ChunkState::Marked => {
                    self.marked.remove(&index);
                }
                ChunkState::Acked | ChunkState::Abandoned => {}
            }
            freed += payload;
        }
        let sent = self.messages.get_mut(number)?;
        sent.abandoned = true;
        let message = sent.message.clone();
        sent.message.payload = Bytes::new();
        if let Some(offset) = cut {
            freed += message.payload.len().saturating_sub(offset);
            self.push_abandoned(number, offset, now);
        }
        Some(Abandoned { message, freed })
    }

    /// The message with this number and the other pieces of the same user message, as far as they are not forgotten;
    /// oldest first. Those of one come one after the other.
    pub(in crate::send) fn pieces_of(&self, number: u64) -> Vec<u64> {
        let Some(sent) = self.message(number) else {
            return Vec::new();
        };
        let of = |sent: &SentMessage| (sent.message.stream, sent.message.unordered, sent.mid);
        let pieces: Vec<(u64, Part)> = self
            .messages
            .numbered()
            .filter(|(_, other)| other.message.part.is_piece() && of(other) == of(sent))
            .map(|(number, other)| (number, other.message.part))
            .collect();
        // Without interleaving, unordered messages all have the same number.
        let mut groups = pieces.chunk_by(|(_, before), (_, after)| before.goes_on() && after.continues());
        let group = groups.find(|group| group.iter().any(|(other, _)| *other == number));
        let group = group.unwrap_or_default().iter();
        group.map(|(number, _)| *number).collect()
    }

    /// The piece sent last of the message in pieces that has this number in its stream, if it is not forgotten.
    pub(in crate::send) fn last_piece(&self, stream: StreamId, unordered: bool, mid: Mid) -> Option<u64> {
        let same = |sent: &SentMessage| {
            (sent.message.stream, sent.message.unordered, sent.mid) == (stream, unordered, mid)
                && sent.message.part.is_piece()
        };
        let pieces = self.messages.numbered().filter(|(_, sent)| same(sent));
        let last = pieces.last();
        last.filter(|(_, sent)| sent.message.part.goes_on())
            .map(|(number, _)| number)
    }

    /// Of a message of which everything that was cut was sent the rest, `nothing`, is given up: it gets one TSN, as in
    /// [`abandon`](Self::abandon).
    pub(in crate::send) fn abandon_rest(&mut self, nothing: Message, mid: Mid, now: Instant) {
        let first_chunk = self.end();
        let number = self.messages.begin(SentMessage {
            message: nothing,
            mid,
            first_chunk,
            abandoned: true,
        });
        self.push_abandoned(number, 0, now);
    }

    fn push_abandoned(&mut self, number: u64, offset: usize, now: Instant) {
        let offset = u32::try_from(offset).unwrap_or(u32::MAX);
        self.chunks.push_back(SentChunk {
            state: ChunkState::Abandoned,
            ends_message: true,
            ..SentChunk::new(now, PathId(0), self.packet, number, offset, 0)
        });
        self.note_fsn(0);
    }

    pub(in crate::send) fn is_abandoned(&self, index: Index) -> bool {
        self.chunk(index)
            .is_some_and(|chunk| chunk.state == ChunkState::Abandoned)
    }

    /// The message of the first marked chunk, if that is not to be sent again.
    pub(in crate::send) fn marked_to_give_up(&self, now: Instant) -> Option<u64> {
        let (_, chunk) = self.first_marked()?;
        let policy = self.message(chunk.message)?.message.policy;
        policy.gives_up(now, chunk.sent_again).then_some(chunk.message)
    }

    /// The messages that are less important than `than` and not acknowledged as a whole: priority, number and bytes
    /// kept of each, or fewer. `cuts` are those that are not cut to their ends.
    pub(in crate::send) fn less_important<'a>(
        &self,
        than: Option<u32>,
        cuts: impl Iterator<Item = &'a Cutting>,
    ) -> Vec<(u32, u64, usize)> {
        let mut found: BTreeMap<u64, (u32, usize)> = BTreeMap::new();
        let mut add = |number: u64, bytes: usize, open: bool| {
            let Some(sent) = self.message(number).filter(|sent| !sent.abandoned) else {
                return;
            };
            match sent.message.policy.priority() {
                Some(priority) if than.is_none_or(|than| priority > than) && (open || found.contains_key(&number)) => {
                    found.entry(number).or_insert((priority, 0)).1 += bytes;
                }
                _ => {}
            }
        };
        for chunk in &self.chunks {
            add(chunk.message, chunk.payload_len(), chunk.state != ChunkState::Acked);
        }
        for cut in cuts {
            let total = self.message(cut.message).map_or(0, |sent| sent.message.payload.len());
            add(cut.message, total.saturating_sub(cut.offset), true);
        }
        let found = found.into_iter();
        found
            .map(|(number, (priority, bytes))| (priority, number, bytes))
            .collect()
    }
}
