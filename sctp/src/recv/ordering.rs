//! Delivery in the order of the Stream Sequence Numbers (RFC 9260 §6.5, §6.6).

use std::collections::BTreeMap;

use super::reassembly::Message;
use super::tsn_map::Position;
use crate::error::Violation;
use crate::serial::{Ssn, StreamId};

/// How far apart two numbers can be without leaving it open which comes first.
const HALF: u16 = 1 << 15;

/// A message of a stream by its SSN, which is looked up exactly, so that the wrap does not matter.
pub(super) type HeldKey = (StreamId, u16);

/// The expected Stream Sequence Numbers, and the complete messages that wait for an earlier one.
///
/// A stream costs nothing until something arrives on it.
#[derive(Debug, Default)]
pub(super) struct Ordering {
    /// The next number of each stream that was used.
    next: BTreeMap<StreamId, Ssn>,
    held: BTreeMap<HeldKey, Message>,
}

/// What becomes of an ordered message.
#[derive(Debug)]
pub(super) enum Order {
    /// It is the next one.
    Next(Message),
    /// It was put aside.
    Held,
}

impl Ordering {
    /// Whether `ssn` is the next number of `stream`.
    pub(super) fn is_next(&self, stream: StreamId, ssn: Ssn) -> bool {
        self.next.get(&stream).copied().unwrap_or_default() == ssn
    }

    /// An ordered message is complete. After [`Order::Next`] comes [`release`](Self::release).
    ///
    /// A sender gives out TSNs in the order of the messages, so a message whose TSN is `ahead` places after the first
    /// missing one is at most so many messages after the next one: a number that is neither that nor within half the
    /// space was delivered before.
    pub(super) fn accept(&mut self, message: Message, ahead: Position) -> Result<Order, Violation> {
        let stream = message.received.stream;
        let ssn = message.received.ssn;
        let next = self.next.entry(stream).or_default();
        if *next == ssn {
            *next = ssn.next();
            return Ok(Order::Next(message));
        }
        let distance = ssn.steps_from(*next);
        if distance >= HALF && Position::from(distance) > ahead {
            return Err(Violation::InconsistentFragments);
        }
        match self.held.insert((stream, ssn.0), message) {
            None => Ok(Order::Held),
            Some(_) => Err(Violation::InconsistentFragments),
        }
    }

    /// The next number of `stream` was given to the user without passing through here: its first piece.
    pub(super) fn skip(&mut self, stream: StreamId) {
        let next = self.next.entry(stream).or_default();
        *next = next.next();
    }

    /// The next message of `stream`, if it waits. Call until `None`.
    pub(super) fn release(&mut self, stream: StreamId) -> Option<Message> {
        if self.held.is_empty() {
            return None;
        }
        let next = self.next.get_mut(&stream)?;
        let message = self.held.remove(&(stream, next.0))?;
        *next = next.next();
        Some(message)
    }

    /// Where the messages that wait and lie after `position` are, in this order.
    pub(super) fn held_after(&self, position: Position) -> Vec<(Position, HeldKey)> {
        let mut held: Vec<_> = self
            .held
            .iter()
            .filter(|(_, message)| message.first > position)
            .map(|(key, message)| (message.first, *key))
            .collect();
        held.sort_unstable_by_key(|(first, _)| *first);
        held
    }

    /// Drops a message that waits.
    pub(super) fn drop_held(&mut self, key: HeldKey) -> Option<Message> {
        self.held.remove(&key)
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> impl Iterator<Item = &Message> {
        self.held.values()
    }
}
