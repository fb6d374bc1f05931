//! Messages that wait to be sent, stream by stream, for a scheduler to choose from (RFC 8260 §3).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::message::{Message, Part};
use super::records::Records;
use super::sched::Scheduler;
use crate::config::StreamScheduler;
use crate::path::PathId;
use crate::serial::StreamId;
use crate::streams::StreamSet;

/// Where the cutting of a message into fragments stands (RFC 9260 §6.9).
#[derive(Clone, Copy, Debug)]
pub(super) struct Cutting {
    /// The number of the message among those that were sent in part.
    pub(super) message: u64,
    pub(super) stream: StreamId,
    /// How much of it was cut.
    pub(super) offset: usize,
    /// The Fragment Sequence Number of the next fragment (RFC 8260 §2.1).
    pub(super) fsn: u32,
    /// The path the user wants it on.
    pub(super) wanted: Option<PathId>,
}

/// Messages by stream, and a scheduler that knows which streams have some.
///
/// Messages have the numbers in which they came. All work is logarithmic in what waits, whatever the number of streams.
#[derive(Debug)]
pub(super) struct Streams {
    kind: StreamScheduler,
    scheduler: Scheduler,
    waiting: BTreeMap<(StreamId, u64), Message>,
    /// The messages that are being cut while others are: with interleaving, one a stream.
    cuts: BTreeMap<StreamId, Cutting>,
    /// The messages that may give way to others, the least important one first, then the oldest.
    prioritized: BTreeMap<(Reverse<u32>, u64), StreamId>,
    pub(super) records: Records,
    /// Messages are begun in the order in which they came, whatever the scheduler.
    in_order: bool,
}

impl Streams {
    pub(super) fn new(kind: StreamScheduler) -> Self {
        Self {
            kind,
            scheduler: Scheduler::new(kind),
            waiting: BTreeMap::new(),
            cuts: BTreeMap::new(),
            prioritized: BTreeMap::new(),
            records: Records::default(),
            in_order: false,
        }
    }

    pub(super) const fn kind(&self) -> StreamScheduler {
        self.kind
    }

    /// Changes the scheduler. Streams of which a message is being cut, `current` and others, count as waiting longest.
    pub(super) fn set_kind(
        &mut self,
        kind: StreamScheduler,
        current: Option<StreamId>,
        value: impl Fn(StreamId) -> u16,
    ) {
        self.kind = kind;
        self.scheduler = Scheduler::new(if self.in_order {
            StreamScheduler::FirstComeFirstServed
        } else {
            kind
        });
        for &stream in self.cuts.keys().chain(&current) {
            self.scheduler.wake(stream, 0, value(stream));
        }
        let mut last = None;
        for &(stream, number) in self.waiting.keys() {
            if last.replace(stream) != Some(stream) && !self.cuts.contains_key(&stream) && current != Some(stream) {
                self.scheduler.wake(stream, number, value(stream));
            }
        }
    }

    /// Has messages begun in the order in which they came, or no longer.
    pub(super) fn set_in_order(&mut self, in_order: bool, current: Option<StreamId>, value: impl Fn(StreamId) -> u16) {
        let changed = std::mem::replace(&mut self.in_order, in_order) != in_order;
        if changed && self.kind != StreamScheduler::FirstComeFirstServed {
            self.set_kind(self.kind, current, value);
        }
    }

    /// Adds a message that is being cut, before the scheduler is told.
    pub(super) fn park(&mut self, cut: Cutting) {
        self.cuts.insert(cut.stream, cut);
    }

    /// Adds a message with the next number.
    pub(super) fn push(&mut self, number: u64, message: Message, value: u16) {
        let stream = message.stream;
        if let Some(priority) = message.policy.priority() {
            self.prioritized.insert((Reverse(priority), number), stream);
        }
        let busy = self.cuts.contains_key(&stream) || self.first_of(stream).is_some();
        self.waiting.insert((stream, number), message);
        if !busy {
            self.scheduler.wake(stream, number, value);
        }
    }

    fn first_of(&self, stream: StreamId) -> Option<(u64, &Message)> {
        let mut messages = self.waiting.range((stream, 0)..=(stream, u64::MAX));
        messages.next().map(|(&(_, number), message)| (number, message))
    }

    /// The stream that comes next.
    fn next(&self) -> Option<StreamId> {
        self.records.alone().or_else(|| self.scheduler.next())
    }

    /// The message to be begun next. `None` if one is to be cut further, or nothing is to be sent.
    pub(super) fn front(&self) -> Option<&Message> {
        let stream = self.next()?;
        if self.cuts.contains_key(&stream) {
            return None;
        }
        self.first_of(stream).map(|(_, message)| message)
    }

    /// The message to be cut further, if that comes next.
    pub(super) fn next_cut(&self) -> Option<Cutting> {
        self.cuts.get(&self.next()?).copied()
    }

    /// Takes what [`next_cut`](Self::next_cut) shows.
    pub(super) fn resume(&mut self) -> Option<Cutting> {
        self.cuts.remove(&self.next()?)
    }

    /// Takes the message to be begun next; its stream counts as busy until [`sent`](Self::sent).
    pub(super) fn pop(&mut self) -> Option<Message> {
        let stream = self.next()?;
        if self.cuts.contains_key(&stream) {
            return None;
        }
        let (number, _) = self.first_of(stream)?;
        self.remove(stream, number)
    }

    /// Takes the pieces out that go on where a message of `stream` stands, up to its last one.
    pub(super) fn take_rest(&mut self, stream: StreamId) -> Vec<Message> {
        let mut taken = Vec::new();
        while let Some((number, queued)) = self.first_of(stream)
            && queued.part.continues()
        {
            let ends = queued.part == Part::Last;
            taken.extend(self.remove(stream, number));
            if ends {
                break;
            }
        }
        self.settle(stream);
        taken
    }

    /// Takes out all pieces of messages of which the user has not given the last one, or that were begun, and forgets
    /// about them.
    pub(super) fn take_unfinished(&mut self) -> Vec<Message> {
        let mut taken = Vec::new();
        for stream in self.records.run_streams().collect::<Vec<_>>() {
            self.records.set_run(stream, None);
            taken.extend(self.take_rest(stream));
        }
        for stream in self.records.open_streams().collect::<Vec<_>>() {
            self.records.give_up(stream);
            let messages = self.waiting.range((stream, 0)..=(stream, u64::MAX));
            let pieces: Vec<(u64, Part)> = messages.map(|(&(_, number), queued)| (number, queued.part)).collect();
            let complete = pieces.iter().rposition(|(_, part)| !part.goes_on());
            let begin = complete.map_or(0, |place| place + 1);
            for &(number, _) in pieces.get(begin..).unwrap_or_default() {
                taken.extend(self.remove(stream, number));
            }
            self.settle(stream);
        }
        taken
    }

    /// Whether there are messages in pieces, complete or not.
    pub(super) fn has_pieces(&self) -> bool {
        !self.records.is_empty() || self.waiting.values().any(|queued| queued.part.is_piece())
    }

    /// Takes the message to be begun next, of which nothing will be sent.
    pub(super) fn pop_unsent(&mut self) -> Option<Message> {
        let queued = self.pop()?;
        self.settle(queued.stream);
        Some(queued)
    }

    fn remove(&mut self, stream: StreamId, number: u64) -> Option<Message> {
        let queued = self.waiting.remove(&(stream, number))?;
        if let Some(priority) = queued.policy.priority() {
            self.prioritized.remove(&(Reverse(priority), number));
        }
        Some(queued)
    }

    /// A chunk of `bytes` of a stream was sent; `finished` tells whether it was the last of its message, and `rest`
    /// what of it is left if other messages may go on before.
    pub(super) fn sent(&mut self, stream: StreamId, bytes: usize, value: u16, finished: bool, rest: Option<Cutting>) {
        self.scheduler.served(stream, bytes, value);
        if let Some(rest) = rest {
            self.cuts.insert(stream, rest);
        } else if finished {
            self.settle(stream);
        }
    }

    /// Tells the scheduler what a stream has after something of it left, unless a message of it is being cut.
    pub(super) fn settle(&mut self, stream: StreamId) {
        if self.cuts.contains_key(&stream) {
            return;
        }
        match self.first_of(stream).map(|(number, _)| number) {
            Some(number) => self.scheduler.head_changed(stream, number),
            None => self.scheduler.sleep(stream),
        }
    }

    /// A packet with new data is complete.
    pub(super) fn end_packet(&mut self) {
        self.scheduler.end_packet();
    }

    /// The user set another value for a stream.
    pub(super) fn value_changed(&mut self, stream: StreamId, value: u16) {
        self.scheduler.value_changed(stream, value);
    }

    /// Cuts the message of this number, of `stream`, no further; where its cutting stood, if it was under way here.
    pub(super) fn take_cut(&mut self, stream: StreamId, message: u64) -> Option<Cutting> {
        self.cuts.get(&stream).filter(|cut| cut.message == message)?;
        let cut = self.cuts.remove(&stream);
        self.settle(stream);
        cut
    }

    /// The messages that are being cut.
    pub(super) fn cuts(&self) -> impl Iterator<Item = &Cutting> {
        self.cuts.values()
    }

    /// Forgets the messages that are being cut.
    pub(super) fn clear_cuts(&mut self) {
        for stream in std::mem::take(&mut self.cuts).into_keys() {
            self.settle(stream);
        }
    }

    /// The messages that are less important than `than`, the least important one first.
    pub(super) fn less_important(&self, than: Option<u32>) -> impl Iterator<Item = (StreamId, u64, &Message)> {
        self.prioritized
            .iter()
            .take_while(move |((Reverse(priority), _), _)| than.is_none_or(|than| *priority > than))
            .filter_map(|(&(_, number), &stream)| Some((stream, number, self.waiting.get(&(stream, number))?)))
    }

    /// Takes out the least important message, if it is less important than `than`.
    pub(super) fn take_least_important(&mut self, than: Option<u32>) -> Option<Message> {
        let (stream, number, _) = self.less_important(than).next()?;
        let queued = self.remove(stream, number)?;
        self.settle(stream);
        Some(queued)
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.waiting.values()
    }

    pub(super) fn messages_mut(&mut self) -> impl Iterator<Item = &mut Message> {
        self.waiting.values_mut()
    }

    /// The paths that the user wants messages on.
    pub(super) fn wanted_mut(&mut self) -> impl Iterator<Item = &mut Option<PathId>> {
        let waiting = self.waiting.values_mut().map(|queued| &mut queued.wanted);
        waiting.chain(self.cuts.values_mut().map(|cut| &mut cut.wanted))
    }

    /// How many messages wait of which nothing was sent.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether there is nothing to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.cuts.is_empty()
    }

    /// Whether messages of these streams wait, or parts of them.
    pub(super) fn waits_for(&self, streams: &StreamSet) -> bool {
        match streams {
            StreamSet::All => !self.is_empty() || self.records.run_streams().next().is_some(),
            StreamSet::Listed(ids) => ids.iter().any(|id| {
                self.cuts.contains_key(id) || self.first_of(*id).is_some() || self.records.run(*id).is_some()
            }),
        }
    }

    /// Whether all that was given of the message begun on `stream` was sent.
    pub(super) fn awaits_piece(&self, stream: StreamId) -> bool {
        let waits = self.cuts.contains_key(&stream) || self.first_of(stream).is_some();
        self.records.run(stream).is_some() && !waits
    }

    /// Whether messages are being cut.
    pub(super) fn has_cuts(&self) -> bool {
        !self.cuts.is_empty()
    }

    /// Takes out the messages for which `take` says so, oldest first.
    pub(super) fn take_if(&mut self, take: impl Fn(&Message) -> bool) -> Vec<Message> {
        let mut numbers: Vec<(u64, StreamId)> = self
            .waiting
            .iter()
            .filter(|(_, queued)| take(queued))
            .map(|(&(stream, number), _)| (number, stream))
            .collect();
        numbers.sort_unstable();
        let mut taken = Vec::new();
        for (number, stream) in numbers {
            taken.extend(self.remove(stream, number));
            self.settle(stream);
        }
        taken
    }
}
