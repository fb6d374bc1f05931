//! Messages that wait to be sent, first come first served, and the stream sequence numbers they get.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};

use super::policy::Policy;
use crate::message::OutMessage;
use crate::path::PathId;
use crate::serial::{Ssn, StreamId};

/// A message in the queue.
#[derive(Clone, Debug)]
pub(crate) struct QueuedMessage {
    pub(crate) message: OutMessage,
    /// The path the user wants it on.
    pub(crate) wanted: Option<PathId>,
    pub(super) policy: Policy,
}

/// Messages of which nothing was sent yet.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    /// `None` where a message was given up; the first is there.
    waiting: VecDeque<Option<QueuedMessage>>,
    /// The number of the first place; every message gets the next one.
    first: u64,
    /// How many places are taken.
    live: usize,
    /// The messages that may give way to others, the least important one first, then the oldest.
    prioritized: BTreeSet<(Reverse<u32>, u64)>,
    /// The next SSN of each stream that was used, by stream.
    next_ssn: Vec<Ssn>,
}

/// How many empty places the queue may have beyond the taken ones.
const SPARE_PLACES: usize = 64;

// Every message passes `push` and `pop`: out of line, moving it in and out would cost more than all the rest.
impl SendQueue {
    #[inline(always)]
    pub(crate) fn push(&mut self, message: QueuedMessage) {
        if let Policy::Priority(priority) = message.policy {
            self.note_priority(priority, self.first + self.waiting.len() as u64);
        }
        self.waiting.push_back(Some(message));
        self.live += 1;
    }

    #[cold]
    fn note_priority(&mut self, priority: u32, number: u64) {
        self.prioritized.insert((Reverse(priority), number));
    }

    #[cold]
    fn forget_priority(&mut self, priority: u32, number: u64) {
        self.prioritized.remove(&(Reverse(priority), number));
    }

    pub(crate) fn front(&self) -> Option<&QueuedMessage> {
        self.waiting.front()?.as_ref()
    }

    /// Takes the next message, with its SSN. An unordered one has none of its own (RFC 9260 §6.6) and gets zero.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<(QueuedMessage, Ssn)> {
        let queued = self.pop_unsent()?;
        let ssn = if queued.message.unordered {
            Ssn(0)
        } else {
            self.take_ssn(queued.message.stream)
        };
        Some((queued, ssn))
    }

    /// Takes the next message, which is not to be sent, and so uses up no SSN.
    #[inline(always)]
    pub(super) fn pop_unsent(&mut self) -> Option<QueuedMessage> {
        let queued = self.waiting.pop_front()??;
        if let Policy::Priority(priority) = queued.policy {
            self.forget_priority(priority, self.first);
        }
        self.first += 1;
        self.live -= 1;
        self.skip_empty_places();
        Some(queued)
    }

    #[inline(always)]
    fn skip_empty_places(&mut self) {
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.first += 1;
        }
    }

    /// The messages that are less important than `than`, the least important one first. `None` is more important than
    /// all that have a priority.
    fn less_important(&self, than: Option<u32>) -> impl Iterator<Item = (u64, &QueuedMessage)> {
        self.prioritized
            .iter()
            .take_while(move |(Reverse(priority), _)| than.is_none_or(|than| *priority > than))
            .filter_map(|&(_, number)| Some((number, self.waiting.get(self.place(number)?)?.as_ref()?)))
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    /// Bytes of messages less important than `than`, counted until there are `enough`.
    pub(super) fn bytes_less_important(&self, than: Option<u32>, enough: usize) -> usize {
        let mut bytes = 0;
        for (_, queued) in self.less_important(than) {
            bytes += queued.message.payload.len();
            if bytes >= enough {
                break;
            }
        }
        bytes
    }

    /// Takes out the least important message, if it is less important than `than`.
    pub(super) fn take_least_important(&mut self, than: Option<u32>) -> Option<OutMessage> {
        let (number, _) = self.less_important(than).next()?;
        let place = self.place(number)?;
        let queued = self.waiting.get_mut(place)?.take()?;
        if let Policy::Priority(priority) = queued.policy {
            self.forget_priority(priority, number);
        }
        self.live -= 1;
        self.skip_empty_places();
        if self.waiting.len() > 2 * self.live + SPARE_PLACES {
            self.take_if(|_| false);
        }
        Some(queued.message)
    }

    fn take_ssn(&mut self, stream: StreamId) -> Ssn {
        let index = usize::from(stream.0);
        if self.next_ssn.len() <= index {
            self.next_ssn.resize(index + 1, Ssn(0));
        }
        #[expect(clippy::indexing_slicing, reason = "resized above")]
        let next = &mut self.next_ssn[index];
        let ssn = *next;
        *next = ssn.next();
        ssn
    }

    /// Bytes of user data that wait.
    pub(crate) fn bytes(&self) -> usize {
        let queued = self.waiting.iter().flatten();
        queued.map(|queued| queued.message.payload.len()).sum()
    }

    pub(crate) const fn len(&self) -> usize {
        self.live
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Starts all streams at zero again, as a restarted peer expects (RFC 9260 §5.2.4 A).
    pub(crate) fn restart_streams(&mut self) {
        self.next_ssn.clear();
    }

    /// The path `gone` is no more: a message for it goes wherever it can.
    pub(crate) fn leave_path(&mut self, gone: PathId) {
        for queued in self.waiting.iter_mut().flatten() {
            queued.wanted.take_if(|wanted| *wanted == gone);
        }
    }

    /// Whether there is a message like this.
    pub(super) fn any(&self, like: impl Fn(&OutMessage) -> bool) -> bool {
        self.waiting.iter().flatten().any(|queued| like(&queued.message))
    }

    pub(super) fn for_each(&mut self, change: impl Fn(&mut OutMessage)) {
        self.waiting
            .iter_mut()
            .flatten()
            .for_each(|queued| change(&mut queued.message));
    }

    /// Gives up the messages for which `drop` says so; they come back in order.
    pub(crate) fn take_if(&mut self, drop: impl Fn(&OutMessage) -> bool) -> Vec<OutMessage> {
        let old = std::mem::take(&mut self.waiting);
        self.prioritized.clear();
        self.live = 0;
        let mut taken = Vec::new();
        for queued in old.into_iter().flatten() {
            if drop(&queued.message) {
                taken.push(queued.message);
            } else {
                self.push(queued);
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::Ppid;
    use bytes::Bytes;

    fn message(stream: u16, unordered: bool) -> QueuedMessage {
        let message = OutMessage {
            unordered,
            ..OutMessage::new(StreamId(stream), Ppid(0), Bytes::from_static(b"x"))
        };
        QueuedMessage {
            message,
            wanted: None,
            policy: Policy::Reliable,
        }
    }

    fn prioritized(priority: u32) -> QueuedMessage {
        QueuedMessage {
            policy: Policy::Priority(priority),
            ..message(0, false)
        }
    }

    #[test]
    fn rfc9260_6_5_each_stream_counts_from_zero() {
        let mut queue = SendQueue::default();
        for stream in [7, 7, 2, 7] {
            queue.push(message(stream, false));
        }
        let ssns: Vec<u16> = std::iter::from_fn(|| queue.pop()).map(|(_, ssn)| ssn.0).collect();
        assert_eq!(ssns, [0, 1, 0, 2]);
    }

    #[test]
    fn rfc9260_6_6_unordered_messages_use_up_no_ssn() {
        let mut queue = SendQueue::default();
        queue.push(message(1, false));
        queue.push(message(1, true));
        queue.push(message(1, false));
        let ssns: Vec<u16> = std::iter::from_fn(|| queue.pop()).map(|(_, ssn)| ssn.0).collect();
        assert_eq!(ssns, [0, 0, 1]);
    }

    #[test]
    fn rfc7496_3_2_the_least_important_and_oldest_message_gives_way_first() {
        let mut queue = SendQueue::default();
        queue.push(message(0, false));
        for priority in [3, 9, 5, 9] {
            queue.push(prioritized(priority));
        }
        assert_eq!(queue.bytes_less_important(Some(4), usize::MAX), 3);
        assert!(queue.take_least_important(Some(9)).is_none());
        assert!(queue.take_least_important(Some(4)).is_some());
        assert_eq!((queue.len(), queue.bytes()), (4, 4));
        let left: Vec<Policy> = std::iter::from_fn(|| queue.pop())
            .map(|(queued, _)| queued.policy)
            .collect();
        let expected = [
            Policy::Reliable,
            Policy::Priority(3),
            Policy::Priority(5),
            Policy::Priority(9),
        ];
        assert_eq!(left, expected);
    }

    #[test]
    fn messages_that_gave_way_keep_no_places() {
        let mut queue = SendQueue::default();
        queue.push(message(0, false));
        for _ in 0..10_000 {
            queue.push(prioritized(1));
            assert!(queue.take_least_important(None).is_some());
        }
        assert!(queue.waiting.len() < 100 && queue.prioritized.is_empty());
        assert!(queue.pop().is_some() && queue.pop().is_none() && queue.is_empty());
    }
}
