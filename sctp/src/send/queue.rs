//! Messages that wait to be sent, in one queue or with a scheduler, and the numbers they get in their streams.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::message::Message;
use super::numbers::Numbers;
use super::policy::Policy;
use super::records::{Open, Run};
use super::streams::{Cutting, Streams};
use crate::config::StreamScheduler;
use crate::path::PathId;
use crate::serial::{Mid, StreamId};
use crate::streams::StreamSet;

/// Messages of which nothing was sent yet.
///
/// First come, first served, they are in one queue. Any other scheduler needs them stream by stream, and with
/// interleaving it has messages as well of which a part was sent.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    /// A message that was given up leaves [nothing](Message::take) in its place; the first is there.
    waiting: VecDeque<Message>,
    /// The number of the first place; every message gets the next one.
    first: u64,
    /// How many places are taken.
    live: usize,
    /// The messages that may give way to others, the least important one first, then the oldest.
    prioritized: BTreeSet<(Reverse<u32>, u64)>,
    /// What waits with a scheduler; the queue is empty then.
    streams: Option<Box<Streams>>,
    /// What the user set for streams: a priority or a weight.
    values: BTreeMap<StreamId, u16>,
    pub(super) numbers: Numbers,
}

/// How many empty places the queue may have beyond the taken ones.
const SPARE_PLACES: usize = 64;

// Every message passes `push` and `pop`: out of line, moving it in and out would cost more than all the rest.
impl SendQueue {
    #[inline(always)]
    pub(crate) fn push(&mut self, message: Message) {
        if self.streams.is_some() {
            return self.push_scheduled(message);
        }
        self.push_last(message);
    }

    /// Adds a message without a scheduler.
    #[inline(always)]
    pub(super) fn push_last(&mut self, message: Message) {
        if let Policy::Priority(priority) = message.policy {
            self.note_priority(priority, self.first + self.waiting.len() as u64);
        }
        self.waiting.push_back(message);
        self.live += 1;
    }

    #[inline(never)]
    fn push_scheduled(&mut self, message: Message) {
        let value = self.value(message.stream);
        if let Some(streams) = &mut self.streams {
            streams.push(self.first, message, value);
            self.first += 1;
        }
    }

    #[cold]
    fn note_priority(&mut self, priority: u32, number: u64) {
        self.prioritized.insert((Reverse(priority), number));
    }

    #[cold]
    fn forget_priority(&mut self, priority: u32, number: u64) {
        self.prioritized.remove(&(Reverse(priority), number));
    }

    /// The message to be begun next. With a scheduler, `None` also if one is to be [cut further](Self::next_cut).
    #[inline(always)]
    pub(crate) fn front(&self) -> Option<&Message> {
        match &self.streams {
            None => self.waiting.front(),
            Some(streams) => streams.front(),
        }
    }

    /// Takes the message to be begun next, with its number in its stream.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<(Message, Mid)> {
        // Whatever is looked at after it was taken is taken apart, and no longer moves as one.
        let next = self.front()?;
        let (stream, unordered) = (next.stream, next.unordered);
        let queued = match &mut self.streams {
            None => self.pop_first()?,
            Some(_) => return self.pop_scheduled(),
        };
        Some((queued, self.numbers.take(stream, unordered)))
    }

    #[inline(never)]
    fn pop_scheduled(&mut self) -> Option<(Message, Mid)> {
        let streams = self.streams.as_mut()?;
        let queued = streams.pop()?;
        let stream = queued.stream;
        if queued.part.continues()
            && let Some(run) = streams.records.run(stream)
        {
            return Some((queued, run.mid));
        }
        let mid = self.numbers.take(stream, queued.unordered);
        if queued.part.goes_on() {
            let run = Run {
                mid,
                next_fsn: 0,
                alone: !self.numbers.is_interleaving(),
            };
            streams.records.set_run(stream, Some(run));
        }
        Some((queued, mid))
    }

    /// Takes the next message, which is not to be sent, and so uses up no number.
    pub(super) fn pop_unsent(&mut self) -> Option<Message> {
        match &mut self.streams {
            None => self.pop_first(),
            Some(streams) => streams.pop_unsent(),
        }
    }

    #[inline(always)]
    fn pop_first(&mut self) -> Option<Message> {
        if let Policy::Priority(priority) = self.waiting.front()?.policy {
            self.forget_priority(priority, self.first);
        }
        let queued = self.waiting.pop_front()?;
        self.first += 1;
        self.live -= 1;
        if self.live < self.waiting.len() {
            self.skip_empty_places();
        }
        Some(queued)
    }

    fn skip_empty_places(&mut self) {
        while self.waiting.pop_front_if(|queued| queued.is_nothing()).is_some() {
            self.first += 1;
        }
    }

    /// The messages that are less important than `than`, the least important one first. `None` is more important than
    /// all that have a priority.
    fn less_important(&self, than: Option<u32>) -> impl Iterator<Item = (u64, &Message)> {
        self.prioritized
            .iter()
            .take_while(move |(Reverse(priority), _)| than.is_none_or(|than| *priority > than))
            .filter_map(|&(_, number)| Some((number, self.waiting.get(self.place(number)?)?)))
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.first)?).ok()
    }

    /// Bytes of messages less important than `than`, counted until there are `enough`.
    pub(super) fn bytes_less_important(&self, than: Option<u32>, enough: usize) -> usize {
        let len = |queued: &Message| queued.payload.len();
        let until_enough = |lens: &mut dyn Iterator<Item = usize>| {
            let mut bytes = 0;
            while bytes < enough
                && let Some(len) = lens.next()
            {
                bytes += len;
            }
            bytes
        };
        match &self.streams {
            None => until_enough(&mut self.less_important(than).map(|(_, queued)| len(queued))),
            Some(streams) => until_enough(&mut streams.less_important(than).map(|(_, _, queued)| len(queued))),
        }
    }

    /// Takes out the least important message, if it is less important than `than`.
    pub(super) fn take_least_important(&mut self, than: Option<u32>) -> Option<Message> {
        if let Some(streams) = &mut self.streams {
            return streams.take_least_important(than);
        }
        let (number, _) = self.less_important(than).next()?;
        let place = self.place(number)?;
        let queued = self.waiting.get_mut(place)?.take();
        if let Policy::Priority(priority) = queued.policy {
            self.forget_priority(priority, number);
        }
        self.live -= 1;
        self.skip_empty_places();
        if self.waiting.len() > 2 * self.live + SPARE_PLACES {
            self.take_if(|_| false);
        }
        Some(queued)
    }

    /// Bytes of user data that wait.
    pub(crate) fn bytes(&self) -> usize {
        let len = |queued: &Message| queued.payload.len();
        match &self.streams {
            None => self.waiting.iter().map(len).sum(),
            Some(streams) => streams.messages().map(len).sum(),
        }
    }

    /// The lengths of the messages of which nothing was sent, in some order.
    pub(super) fn waiting_lens(&self) -> impl Iterator<Item = usize> {
        let streams = self.streams.iter().flat_map(|streams| streams.messages());
        let lens = self.waiting.iter().chain(streams).map(|message| message.payload.len());
        lens.filter(|len| *len > 0)
    }

    /// How many messages wait of which nothing was sent.
    pub(crate) fn len(&self) -> usize {
        self.streams.as_ref().map_or(self.live, |streams| streams.len())
    }

    /// Whether there is nothing to be sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.streams
            .as_ref()
            .map_or(self.live == 0, |streams| streams.is_empty())
    }

    /// Whether messages of these streams wait, or parts of them. `last` remembers where the last one is, so that asking
    /// again is cheap.
    pub(super) fn waits_for(&self, streams: &StreamSet, last: &mut Option<u64>) -> bool {
        if let Some(scheduled) = &self.streams {
            return scheduled.waits_for(streams);
        }
        let waits = |queued: &Message| !queued.is_nothing() && streams.contains(queued.stream);
        let known = last.and_then(|number| self.waiting.get(self.place(number)?));
        if known.is_some_and(waits) {
            return true;
        }
        let place = self.waiting.iter().rposition(waits);
        *last = place.map(|place| self.first + place as u64);
        place.is_some()
    }

    /// Whether all that was given of the message begun on `stream` was sent.
    pub(super) fn awaits_piece(&self, stream: StreamId) -> bool {
        self.streams
            .as_ref()
            .is_some_and(|streams| streams.awaits_piece(stream))
    }

    /// Takes out everything of which nothing was sent, oldest first.
    pub(super) fn take_waiting(&mut self) -> VecDeque<Message> {
        if let Some(streams) = &mut self.streams {
            return streams.take_if(|_| true).into();
        }
        self.first += self.waiting.len() as u64;
        self.live = 0;
        self.prioritized.clear();
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|queued| !queued.is_nothing());
        waiting
    }

    /// The path `gone` is no more: a message for it goes wherever it can.
    pub(crate) fn leave_path(&mut self, gone: PathId) {
        let queue = self.waiting.iter_mut().map(|queued| &mut queued.wanted);
        let streams = self.streams.iter_mut().flat_map(|streams| streams.wanted_mut());
        for wanted in queue.chain(streams) {
            wanted.take_if(|wanted| *wanted == gone);
        }
    }

    /// Whether there is a message like this.
    pub(super) fn any(&self, like: impl Fn(&Message) -> bool) -> bool {
        let queue = self.waiting.iter().filter(|queued| !queued.is_nothing());
        let streams = self.streams.iter().flat_map(|streams| streams.messages());
        queue.chain(streams).any(like)
    }

    pub(super) fn for_each(&mut self, change: impl Fn(&mut Message)) {
        let queue = self.waiting.iter_mut();
        let streams = self.streams.iter_mut().flat_map(|streams| streams.messages_mut());
        queue.chain(streams).for_each(change);
    }

    /// Gives up the messages for which `drop` says so; they come back in order.
    pub(crate) fn take_if(&mut self, drop: impl Fn(&Message) -> bool) -> Vec<Message> {
        if let Some(streams) = &mut self.streams {
            return streams.take_if(drop);
        }
        let mut old = std::mem::take(&mut self.waiting);
        old.retain(|queued| !queued.is_nothing());
        self.prioritized.clear();
        self.live = 0;
        let mut taken = Vec::new();
        for queued in old {
            if drop(&queued) {
                taken.push(queued);
            } else {
                self.push(queued);
            }
        }
        taken
    }

    // With a scheduler.

    /// Whether a scheduler chooses anew after every chunk or message.
    #[inline(always)]
    pub(super) const fn is_scheduled(&self) -> bool {
        self.streams.is_some()
    }

    pub(super) fn scheduler(&self) -> StreamScheduler {
        self.streams
            .as_ref()
            .map_or_else(StreamScheduler::default, |streams| streams.kind())
    }

    /// Changes the scheduler to another one, while a message of `current` may be under way, and the one that is
    /// `parked`.
    pub(super) fn set_scheduler(&mut self, kind: StreamScheduler, current: Option<StreamId>, parked: Option<Cutting>) {
        let mut streams = self.streams.take().unwrap_or_else(|| Box::new(Streams::new(kind)));
        if kind == StreamScheduler::FirstComeFirstServed && !streams.has_cuts() && !streams.has_pieces() {
            for queued in streams.take_if(|_| true) {
                self.push(queued);
            }
            return;
        }
        self.use_streams(streams, kind, current, parked);
    }

    /// Has messages wait by stream.
    fn use_streams(
        &mut self,
        mut streams: Box<Streams>,
        kind: StreamScheduler,
        current: Option<StreamId>,
        parked: Option<Cutting>,
    ) {
        self.prioritized.clear();
        self.live = 0;
        for queued in std::mem::take(&mut self.waiting) {
            if !queued.is_nothing() {
                let value = self.value(queued.stream);
                streams.push(self.first, queued, value);
            }
            self.first += 1;
        }
        if let Some(cut) = parked {
            streams.park(cut);
        }
        streams.set_kind(kind, current, |stream| self.value(stream));
        self.streams = Some(streams);
    }

    /// What the user set for a stream; zero by default.
    pub(super) fn value(&self, stream: StreamId) -> u16 {
        self.values.get(&stream).copied().unwrap_or_default()
    }

    pub(super) fn set_value(&mut self, stream: StreamId, value: u16) {
        self.values.insert(stream, value);
        if let Some(streams) = &mut self.streams {
            streams.value_changed(stream, value);
        }
    }

    /// The message to be cut further, if that comes next.
    pub(super) fn next_cut(&self) -> Option<Cutting> {
        self.streams.as_ref()?.next_cut()
    }

    /// Takes what [`next_cut`](Self::next_cut) shows.
    pub(super) fn resume(&mut self) -> Option<Cutting> {
        self.streams.as_mut()?.resume()
    }

    /// A chunk of `bytes` of a stream was sent; `finished` tells whether it was the last of its message, and `rest`
    /// what of it is left if other messages may go on before.
    pub(super) fn sent(&mut self, stream: StreamId, bytes: usize, finished: bool, rest: Option<Cutting>) {
        let value = self.value(stream);
        if let Some(streams) = &mut self.streams {
            streams.sent(stream, bytes, value, finished, rest);
        }
    }

    /// A packet with new data is complete.
    pub(super) fn end_packet(&mut self) {
        if let Some(streams) = &mut self.streams {
            streams.end_packet();
        }
    }

    /// A message of `stream` that was being cut will not be cut further; where its cutting stood, if that is known
    /// here.
    pub(super) fn take_cut(&mut self, stream: StreamId, message: u64) -> Option<Cutting> {
        self.streams.as_mut()?.take_cut(stream, message)
    }

    /// The message of `stream` that was being cut elsewhere will not be cut further.
    pub(super) fn settle(&mut self, stream: StreamId) {
        if let Some(streams) = &mut self.streams {
            streams.settle(stream);
        }
    }

    /// The messages that are being cut.
    pub(super) fn cuts(&self) -> impl Iterator<Item = &Cutting> {
        self.streams.iter().flat_map(|streams| streams.cuts())
    }

    // Messages in pieces.

    /// Has messages wait by stream, as messages in pieces need it.
    pub(super) fn take_pieces(&mut self, current: Option<StreamId>, parked: Option<Cutting>) {
        if self.streams.is_none() {
            let kind = StreamScheduler::FirstComeFirstServed;
            self.use_streams(Box::new(Streams::new(kind)), kind, current, parked);
        }
    }

    /// The message of `stream` of which the last piece was not given.
    pub(super) fn open(&self, stream: StreamId) -> Option<Open> {
        self.streams.as_ref()?.records.open(stream)
    }

    pub(super) fn set_open(&mut self, stream: StreamId, open: Option<Open>) {
        if let Some(streams) = &mut self.streams {
            streams.records.set_open(stream, open);
        }
    }

    /// The rest of the message that is open on `stream` will not be sent.
    pub(super) fn give_up_open(&mut self, stream: StreamId) {
        if let Some(streams) = &mut self.streams {
            streams.records.give_up(stream);
        }
    }

    /// The streams with a message of which the last piece is to come.
    pub(super) fn open_streams(&self) -> impl Iterator<Item = StreamId> {
        self.streams.iter().flat_map(|streams| streams.records.open_streams())
    }

    /// Has messages begun in the order in which they came, or no longer.
    pub(super) fn set_in_order(&mut self, in_order: bool, current: Option<StreamId>) {
        let values = &self.values;
        if let Some(streams) = &mut self.streams {
            let value = |stream: StreamId| values.get(&stream).copied().unwrap_or_default();
            streams.set_in_order(in_order, current, value);
        }
    }

    /// The message in pieces of `stream` that was begun.
    pub(super) fn run(&self, stream: StreamId) -> Option<Run> {
        self.streams.as_ref()?.records.run(stream)
    }

    pub(super) fn set_run(&mut self, stream: StreamId, run: Option<Run>) {
        if let Some(streams) = &mut self.streams {
            streams.records.set_run(stream, run);
        }
    }

    /// Takes the pieces out that go on where a message of `stream` stands, up to its last one.
    pub(super) fn take_rest(&mut self, stream: StreamId) -> Vec<Message> {
        self.streams
            .as_mut()
            .map_or_else(Vec::new, |streams| streams.take_rest(stream))
    }

    /// Takes out all pieces of messages that are not complete or that were begun.
    pub(super) fn take_unfinished(&mut self) -> Vec<Message> {
        self.streams
            .as_mut()
            .map_or_else(Vec::new, |streams| streams.take_unfinished())
    }

    /// Whether there are messages in pieces, complete or not.
    pub(super) fn has_pieces(&self) -> bool {
        self.streams.as_ref().is_some_and(|streams| streams.has_pieces())
    }

    /// Whether a piece like this waits.
    pub(super) fn any_piece(&self, like: impl Fn(&Message) -> bool) -> bool {
        self.any(|queued| queued.part.is_piece() && like(queued))
    }

    /// Forgets the messages that are being cut, `current` among them.
    pub(super) fn clear_cuts(&mut self, current: Option<StreamId>) {
        if let Some(streams) = &mut self.streams {
            streams.clear_cuts();
            current.into_iter().for_each(|stream| streams.settle(stream));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::OutMessage;
    use crate::serial::Ppid;
    use bytes::Bytes;

    fn message(stream: u16, unordered: bool) -> Message {
        let message = OutMessage {
            unordered,
            ..OutMessage::new(StreamId(stream), Ppid(0), Bytes::from_static(b"x"))
        };
        Message::new(message, None, Policy::Reliable)
    }

    fn prioritized(priority: u32) -> Message {
        Message {
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
        let ssns: Vec<u32> = std::iter::from_fn(|| queue.pop()).map(|(_, number)| number.0).collect();
        assert_eq!(ssns, [0, 1, 0, 2]);
    }

    #[test]
    fn rfc9260_6_6_unordered_messages_use_up_no_ssn() {
        let mut queue = SendQueue::default();
        queue.push(message(1, false));
        queue.push(message(1, true));
        queue.push(message(1, false));
        let ssns: Vec<u32> = std::iter::from_fn(|| queue.pop()).map(|(_, number)| number.0).collect();
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
