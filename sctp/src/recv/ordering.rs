//! Delivery in the order of the Stream Sequence Numbers (RFC 9260 §6.5, §6.6).

use std::collections::BTreeMap;

use super::next_ssns::NextSsns;
use super::reassembly::Message;
use super::tsn_map::Position;
use crate::error::Violation;
use crate::serial::{Ssn, StreamId};
use crate::streams::StreamSet;

/// How far apart two numbers can be without leaving it open which comes first.
const HALF: u16 = 1 << 15;

/// The expected Stream Sequence Numbers, and the complete messages that wait for an earlier one.
///
/// A stream costs nothing until something arrives on it.
#[derive(Debug, Default)]
pub(super) struct Ordering {
    next: NextSsns,
    /// Where the messages that wait are in `held`. Looked up by the exact number, so that the wrap does not matter.
    places: BTreeMap<(StreamId, u16), Position>,
    /// The messages that wait, by the position of their first fragment.
    held: BTreeMap<Position, Message>,
}

impl Ordering {
    /// Whether `ssn` is the next number of `stream`.
    pub(super) fn is_next(&self, stream: StreamId, ssn: Ssn) -> bool {
        self.next.get(stream) == ssn
    }

    /// Whether a message with `ssn` is the next of `stream`. If so, it counts as delivered, and others may be
    /// [released](Self::release).
    #[inline(always)]
    pub(super) fn take_turn(&mut self, stream: StreamId, ssn: Ssn) -> bool {
        let next = self.next.get_mut(stream);
        if *next != ssn {
            return false;
        }
        *next = ssn.next();
        true
    }

    /// Puts a message aside whose turn has not come.
    ///
    /// A sender gives out TSNs in the order of the messages, so a message whose TSN is `ahead` places after the first
    /// missing one is at most so many messages after the next one: a number that is neither that nor within half the
    /// space was delivered before.
    pub(super) fn hold(&mut self, message: Message, ahead: Position) -> Result<(), Violation> {
        let stream = message.received.stream;
        let ssn = message.received.ssn;
        let distance = ssn.steps_from(self.next.get(stream));
        if distance >= HALF && Position::from(distance) > ahead {
            return Err(Violation::InconsistentFragments);
        }
        if self.places.insert((stream, ssn.0), message.first).is_some() {
            return Err(Violation::InconsistentFragments);
        }
        self.held.insert(message.first, message);
        Ok(())
    }

    /// The next number of `stream` was given to the user without passing through here: its first piece.
    pub(super) fn skip(&mut self, stream: StreamId) {
        let next = self.next.get_mut(stream);
        *next = next.next();
    }

    /// The next message of `stream`, if it waits. Call until `None`.
    pub(super) fn release(&mut self, stream: StreamId) -> Option<Message> {
        if self.held.is_empty() {
            return None;
        }
        let next = self.next.get(stream);
        let place = self.places.remove(&(stream, next.0))?;
        *self.next.get_mut(stream) = next.next();
        self.held.remove(&place)
    }

    /// The peer gave up what is missing of `stream` up to `ssn` (RFC 3758 §3.6): the next message up to there that
    /// waits, if one does. Call until `None`, and [`release`](Self::release) then. A number that was passed before
    /// changes nothing.
    pub(super) fn release_through(&mut self, stream: StreamId, ssn: Ssn) -> Option<Message> {
        let next = self.next.get(stream);
        if ssn.is_before(next) || ssn.steps_from(next) >= HALF {
            return None;
        }
        // From `next` on, over the wrap if need be.
        let last = if next.0 <= ssn.0 { ssn.0 } else { u16::MAX };
        let mut range = self.places.range((stream, next.0)..=(stream, last));
        let wrapped = || self.places.range((stream, 0)..=(stream, ssn.0)).next();
        let found = range.next().or_else(|| if next.0 <= ssn.0 { None } else { wrapped() });
        let Some((&(_, number), _)) = found else {
            *self.next.get_mut(stream) = ssn.next();
            return None;
        };
        let place = self.places.remove(&(stream, number))?;
        *self.next.get_mut(stream) = Ssn(number).next();
        self.held.remove(&place)
    }

    /// Expects number zero of these streams (RFC 6525 §5.2.2 E3). The messages of them that wait, in their order: what
    /// is missing before them will not come.
    pub(super) fn reset(&mut self, streams: &StreamSet) -> Vec<Message> {
        let mut places = Vec::new();
        match streams {
            StreamSet::All => {
                places.extend(std::mem::take(&mut self.places));
                self.reset_order(&mut places);
                self.next.reset_all();
            }
            StreamSet::Listed(ids) => {
                for &id in ids {
                    let of_stream = self.places.range((id, 0)..=(id, u16::MAX));
                    places.extend(of_stream.map(|(&key, &position)| (key, position)));
                }
                self.reset_order(&mut places);
                for &id in ids {
                    self.next.reset(id);
                }
                for (key, _) in &places {
                    self.places.remove(key);
                }
            }
        }
        places
            .into_iter()
            .filter_map(|(_, position)| self.held.remove(&position))
            .collect()
    }

    /// Sorts by stream, and from its next number on over the wrap.
    fn reset_order(&self, places: &mut [((StreamId, u16), Position)]) {
        places.sort_by_key(|((stream, ssn), _)| {
            let next = self.next.get(*stream);
            (*stream, Ssn(*ssn).steps_from(next))
        });
    }

    /// Where the last of the messages that wait begins, by TSN.
    pub(super) fn last(&self) -> Option<Position> {
        self.held.last_key_value().map(|(first, _)| *first)
    }

    /// Drops that message.
    pub(super) fn drop_last(&mut self) -> Option<Message> {
        let (_, message) = self.held.pop_last()?;
        self.places.remove(&(message.received.stream, message.received.ssn.0));
        Some(message)
    }

    #[cfg(test)]
    pub(super) fn streams(&self) -> usize {
        self.next.len()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn held(&self) -> impl Iterator<Item = &Message> {
        assert_eq!(self.held.len(), self.places.len());
        self.held.values()
    }
}
