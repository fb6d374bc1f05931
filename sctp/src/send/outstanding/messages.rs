//! The messages that chunks belong to.

use std::collections::{BTreeMap, VecDeque};

use crate::send::chunk::SentMessage;

/// Messages of which at least a part was sent, by number. Numbers grow from zero with each message that is begun.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// Those from `first` on. In the usual case they end in the order in which they were begun.
    recent: VecDeque<SentMessage>,
    first: u64,
    /// Those before that outlive later ones: with interleaving messages end in any order.
    early: BTreeMap<u64, SentMessage>,
}

impl Messages {
    /// Adds a message; its number.
    #[inline(always)]
    pub(super) fn begin(&mut self, message: SentMessage) -> u64 {
        let number = self.first + self.recent.len() as u64;
        self.recent.push_back(message);
        number
    }

    #[inline(always)]
    pub(super) fn get(&self, number: u64) -> Option<&SentMessage> {
        match number.checked_sub(self.first) {
            Some(place) => self.recent.get(usize::try_from(place).ok()?),
            None => self.early.get(&number),
        }
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut SentMessage> {
        match number.checked_sub(self.first) {
            Some(place) => self.recent.get_mut(usize::try_from(place).ok()?),
            None => self.early.get_mut(&number),
        }
    }

    /// The number of the first message that is not among the early ones.
    #[inline(always)]
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// Forgets the first so many messages that are not among the early ones.
    #[inline(always)]
    pub(super) fn end_first(&mut self, count: u64) {
        let places = usize::try_from(count).unwrap_or(usize::MAX).min(self.recent.len());
        self.recent.drain(..places);
        self.first += count;
    }

    /// Forgets a message.
    #[inline(always)]
    pub(super) fn end(&mut self, number: u64) {
        if number == self.first {
            self.recent.pop_front();
            self.first += 1;
        } else {
            self.end_other(number);
        }
    }

    #[inline(never)]
    fn end_other(&mut self, number: u64) {
        if self.early.remove(&number).is_some() {
            return;
        }
        while self.first <= number
            && let Some(message) = self.recent.pop_front()
        {
            if self.first < number {
                self.early.insert(self.first, message);
            }
            self.first += 1;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.recent.len() + self.early.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &SentMessage> {
        self.early.values().chain(&self.recent)
    }

    /// All with their numbers, oldest first.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u64, &SentMessage)> {
        let early = self.early.iter().map(|(number, sent)| (*number, sent));
        early.chain((self.first..).zip(&self.recent))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut SentMessage> {
        self.early.values_mut().chain(&mut self.recent)
    }

    /// Takes all out, oldest first.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = SentMessage> + use<> {
        let early = std::mem::take(&mut self.early).into_values();
        self.first += self.recent.len() as u64;
        early.chain(std::mem::take(&mut self.recent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::OutMessage;
    use crate::send::message::Message;
    use crate::send::policy::Policy;
    use crate::serial::{Mid, Ppid, StreamId};
    use bytes::Bytes;

    #[test]
    fn messages_end_in_any_order_and_leave_nothing_behind() {
        let mut messages = Messages::default();
        for number in 0..10_u32 {
            let message = OutMessage::new(StreamId(0), Ppid(number), Bytes::from_static(b"x"));
            let begun = messages.begin(SentMessage {
                message: Message::new(message, None, Policy::Reliable),
                mid: Mid(number),
                first_chunk: 0,
                abandoned: false,
            });
            assert_eq!(begun, u64::from(number));
        }
        let mut left: Vec<u64> = (0..10).collect();
        messages.end_first(2);
        left.drain(..2);
        for number in [3, 9, 4, 5] {
            messages.end(number);
            left.retain(|other| *other != number);
            assert_eq!(messages.len(), left.len());
            for other in 0..10 {
                let found = messages.get(other).map(|sent| u64::from(sent.mid.0));
                assert_eq!(found, left.contains(&other).then_some(other));
                assert_eq!(messages.get_mut(other).is_some(), found.is_some());
            }
        }
        let drained: Vec<u64> = messages.drain().map(|sent| u64::from(sent.mid.0)).collect();
        assert_eq!((drained, messages.len()), (left, 0));
    }
}
