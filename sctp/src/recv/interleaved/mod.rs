//! Putting interleaved messages together, and delivering them in order (RFC 8260 §2.2.3).
//!
//! Fragments belong to messages by stream, U bit and Message Identifier, and have their places in them by Fragment
//! Sequence Number; TSNs only tell what has arrived. What the window bounds is all that is kept. All work is
//! logarithmic in that, but for the one time when it turns out how the peer counts fragments.

mod open;
mod rest;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use self::open::{Beginning, Counting, HALF, Open, SECOND_FROM_ONE, SECOND_FROM_ZERO, Taken};
use self::rest::Place;
use super::reassembly::Message;
use super::tsn_map::{Position, tsn_of};
use crate::error::Violation;
use crate::message::Received;
use crate::serial::{Mid, Ppid, StreamId, Tsn};
use crate::streams::StreamSet;
use crate::wire::{Fragment, SkippedMessage};

/// An I-DATA chunk (RFC 8260 §2.1).
#[derive(Clone, Debug)]
pub(crate) struct IDataFragment {
    pub(crate) tsn: Tsn,
    pub(crate) stream: StreamId,
    pub(crate) mid: Mid,
    pub(crate) fragment: Fragment,
    /// The U bit.
    pub(crate) unordered: bool,
    /// The E bit.
    pub(crate) ending: bool,
    /// The I bit.
    pub(crate) immediate: bool,
    pub(crate) payload: Bytes,
}

/// Which message a fragment belongs to. The order is that of the numbers, not of the serial arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    stream: StreamId,
    unordered: bool,
    mid: u32,
}

impl Key {
    const fn new(stream: StreamId, unordered: bool, mid: Mid) -> Self {
        Self {
            stream,
            unordered,
            mid: mid.0,
        }
    }
}

/// What is ready for the user.
#[derive(Debug)]
pub(super) enum Delivery {
    /// A whole message.
    Message(Message),
    /// The first or the last piece of a message that is delivered in pieces.
    Piece(Message),
}

/// What was given up.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// Bytes that are held no more.
    pub(super) len: usize,
    /// What these cost in the window.
    pub(super) charged: usize,
    /// The streams whose messages were being delivered in pieces.
    pub(super) partial: Vec<StreamId>,
}

/// Fragments of messages that cannot be delivered yet.
#[derive(Debug, Default)]
pub(super) struct Interleaved {
    counting: Counting,
    /// The peer may give messages up.
    gives_up: bool,
    /// A message whose run costs so much is delivered in pieces.
    partial_point: usize,
    /// Boxed, since the nodes of a map are half empty.
    open: BTreeMap<Key, Box<Open>>,
    /// The fragments beyond the Cumulative TSN Ack, which may be renounced.
    above: BTreeMap<Position, (Key, Place)>,
    /// The MID of the next ordered message of each stream that was used.
    next: BTreeMap<StreamId, Mid>,
    /// Where the unordered messages of a stream begin that were not given up.
    unordered_from: BTreeMap<StreamId, Mid>,
    /// The message of each stream that is delivered in pieces.
    partial: BTreeMap<StreamId, Key>,
    /// Those of them of which there is something to deliver.
    pieces: BTreeSet<StreamId>,
    /// The stream of the last of these pieces.
    last_piece: StreamId,
    /// The messages that could be delivered in pieces: they have begun, and it is their turn.
    heads: BTreeSet<Key>,
    /// The streams that have one and none that is being delivered.
    startable: BTreeSet<StreamId>,
    /// While it is not known how the peer counts: the places of fragments numbered 1 behind a first one, which show it
    /// when everything before them has arrived.
    telling: BTreeMap<Position, Key>,
    out: VecDeque<Delivery>,
}

impl Interleaved {
    /// Nothing has arrived. `gives_up` tells whether the peer may give messages up.
    pub(super) fn new(gives_up: bool, large: usize) -> Self {
        Self {
            gives_up,
            partial_point: large,
            ..Self::default()
        }
    }

    /// Another size counts as large from now on.
    pub(super) const fn set_large(&mut self, large: usize) {
        self.partial_point = large;
    }

    /// Whether the peer has shown that it numbers the fragments after the first 0, 1, ...
    pub(super) const fn counts_from_zero(&self) -> bool {
        matches!(self.counting, Counting::FromZero)
    }

    fn next_of(&self, stream: StreamId) -> Mid {
        self.next.get(&stream).copied().unwrap_or_default()
    }

    /// Whether a fragment belongs to a message that the peer gave up before, and is not wanted. An error if it belongs
    /// to one that was delivered.
    pub(super) fn is_given_up(&self, fragment: &IDataFragment) -> Result<bool, Violation> {
        let from = if fragment.unordered {
            self.unordered_from.get(&fragment.stream).copied()
        } else {
            Some(self.next_of(fragment.stream))
        };
        if from.is_none_or(|from| fragment.mid.is_at_or_after(from)) {
            Ok(false)
        } else if self.gives_up {
            Ok(true)
        } else {
            Err(Violation::InconsistentFragments)
        }
    }

    /// Adds a fragment that is new and not [given up](Self::is_given_up). What comes of it is [ready](Self::next_ready)
    /// afterwards.
    pub(super) fn insert(
        &mut self,
        position: Position,
        fragment: IDataFragment,
        cumulative: Position,
    ) -> Result<(), Violation> {
        self.extend_covered(cumulative);
        self.add(position, fragment, cumulative)?;
        // Not before the new fragment is there, which may be what seems not to be missing.
        self.look_what_tells(cumulative);
        Ok(())
    }

    fn add(&mut self, position: Position, fragment: IDataFragment, cumulative: Position) -> Result<(), Violation> {
        if fragment.unordered && !self.unordered_from.is_empty() {
            self.follow_unordered(fragment.stream, fragment.mid);
        }
        let key = Key::new(fragment.stream, fragment.unordered, fragment.mid);
        if let (Fragment::First(ppid), true) = (fragment.fragment, fragment.ending)
            && !self.open.contains_key(&key)
            && self.is_in_turn(key)
        {
            // The usual case for small messages.
            let beginning = Some(Beginning { position, ppid });
            let whole = Taken::whole(fragment.payload);
            self.out
                .push_back(Delivery::Message(message(key, beginning, whole, true)));
            if let Some(next) = self.pass(key) {
                self.finish(next);
            }
            return Ok(());
        }
        let open = self.open.entry(key).or_default();
        let place = open.place_of(fragment.fragment)?;
        if place == SECOND_FROM_ZERO && self.counting == Counting::FromOne {
            return Err(Violation::InconsistentFragments);
        }
        open.insert(place, position, fragment.payload, fragment.ending)?;
        if let Fragment::First(ppid) = fragment.fragment {
            open.beginning = Some(Beginning { position, ppid });
        }
        if position > cumulative {
            self.above.insert(position, (key, place));
        }
        open.extend(cumulative, self.counting);
        if self.counting == Counting::Unknown {
            self.look_how_the_peer_counts(key, place, cumulative);
        }
        self.refresh(key);
        Ok(())
    }

    /// An unordered message has come that was not given up. Where it is far ahead of what was, the mark follows: half
    /// the numbers further on, it would seem to be ahead of everything.
    fn follow_unordered(&mut self, stream: StreamId, mid: Mid) {
        if let Some(from) = self.unordered_from.get_mut(&stream)
            && mid.steps_from(*from) > HALF / 2
        {
            *from = mid.minus(HALF / 2);
        }
    }

    /// The next of what is ready.
    pub(super) fn next_ready(&mut self) -> Option<Delivery> {
        self.out.pop_front()
    }

    /// The Cumulative TSN Ack moved.
    pub(super) fn advance(&mut self, cumulative: Position) {
        self.extend_covered(cumulative);
        self.look_what_tells(cumulative);
    }

    /// Fragments that the Cumulative TSN Ack covers now join the runs.
    fn extend_covered(&mut self, cumulative: Position) {
        while let Some(entry) = self.above.first_entry()
            && *entry.key() <= cumulative
        {
            let (key, _) = entry.remove();
            if let Some(open) = self.open.get_mut(&key) {
                open.extend(cumulative, self.counting);
            }
            self.refresh(key);
        }
    }

    /// Where everything before a fragment numbered 1 has arrived, no fragment numbered 0 comes between.
    fn look_what_tells(&mut self, cumulative: Position) {
        while self.counting == Counting::Unknown
            && let Some(entry) = self.telling.first_entry()
            && *entry.key() <= cumulative
        {
            let (position, key) = entry.remove_entry();
            // It may have been dropped since.
            let open = self.open.get(&key).filter(|open| open.beginning.is_some());
            if open.and_then(|open| open.second_from_one()) == Some(position) {
                self.settle_counting(Counting::FromOne, cumulative);
            }
        }
    }

    /// A message has a fragment at `place` now. One with the number 0 behind the first says that the peer counts from
    /// zero. One with the number 1 says that it counts from one, if there is no room for another between it and the
    /// first: the next TSN, or nothing missing before it.
    fn look_how_the_peer_counts(&mut self, key: Key, place: Place, cumulative: Position) {
        if place == SECOND_FROM_ZERO {
            return self.settle_counting(Counting::FromZero, cumulative);
        }
        if place != 0 && place != SECOND_FROM_ONE {
            return;
        }
        let Some(open) = self.open.get(&key) else { return };
        let (Some(first), Some(second)) = (open.beginning, open.second_from_one()) else {
            return;
        };
        if second == first.position + 1 || second <= cumulative {
            self.settle_counting(Counting::FromOne, cumulative);
        } else {
            self.telling.insert(second, key);
        }
    }

    fn settle_counting(&mut self, counting: Counting, cumulative: Position) {
        self.counting = counting;
        self.telling.clear();
        let keys: Vec<Key> = self.open.keys().copied().collect();
        for key in keys {
            if let Some(open) = self.open.get_mut(&key) {
                open.extend(cumulative, counting);
                self.refresh(key);
            }
        }
    }

    /// Whether a message may be delivered now, once it is complete.
    fn is_in_turn(&self, key: Key) -> bool {
        key.unordered || key.mid == self.next_of(key.stream).0
    }

    /// A message has more than before, or its turn has come: delivers it, or notes what can be delivered of it.
    fn refresh(&mut self, key: Key) {
        let in_turn = self.is_in_turn(key);
        let Some(open) = self.open.get(&key).filter(|_| in_turn) else {
            return;
        };
        if open.is_complete(self.counting) {
            return self.finish(key);
        }
        if open.partial {
            if open.has_run() {
                self.pieces.insert(key.stream);
            }
        } else if open.is_begun() {
            let large = open.run_charged() >= self.partial_point;
            self.heads.insert(key);
            if !self.partial.contains_key(&key.stream) {
                if large {
                    self.start(key);
                } else {
                    self.startable.insert(key.stream);
                }
            }
        }
    }

    /// Delivers a complete message whose turn it is, and those of its stream that waited for it.
    fn finish(&mut self, mut key: Key) {
        while let Some(open) = self.remove(key) {
            let beginning = open.beginning;
            let piece = open.partial;
            let message = message(key, beginning, open.take_all(), true);
            self.out.push_back(if piece {
                Delivery::Piece(message)
            } else {
                Delivery::Message(message)
            });
            match self.pass(key) {
                Some(next) => key = next,
                None => return,
            }
        }
    }

    /// A message was delivered: the next one of its stream, if that is complete.
    fn pass(&mut self, key: Key) -> Option<Key> {
        if key.unordered {
            return None;
        }
        let next = Mid(key.mid).next();
        self.next.insert(key.stream, next);
        let key = Key::new(key.stream, false, next);
        let open = self.open.get(&key)?;
        if open.is_complete(self.counting) {
            return Some(key);
        }
        self.refresh(key);
        None
    }

    /// Takes a message out, and forgets everything about it.
    fn remove(&mut self, key: Key) -> Option<Box<Open>> {
        let open = self.open.remove(&key)?;
        for position in open.rest_positions() {
            self.above.remove(&position);
        }
        self.heads.remove(&key);
        if open.partial {
            self.partial.remove(&key.stream);
            self.pieces.remove(&key.stream);
        }
        self.note_startable(key.stream);
        Some(open)
    }

    fn note_startable(&mut self, stream: StreamId) {
        let all = Key::new(stream, false, Mid(0))..=Key::new(stream, true, Mid(u32::MAX));
        if self.partial.contains_key(&stream) || self.heads.range(all).next().is_none() {
            self.startable.remove(&stream);
        } else {
            self.startable.insert(stream);
        }
    }

    /// Starts to deliver a message in pieces, of any stream that has none under way. False if there is none.
    pub(super) fn start_any(&mut self) -> bool {
        let Some(&stream) = self.startable.first() else {
            return false;
        };
        let Some(&key) = self.heads.range(Key::new(stream, false, Mid(0))..).next() else {
            return false;
        };
        self.start(key);
        true
    }

    fn start(&mut self, key: Key) {
        let Some(open) = self.open.get_mut(&key) else { return };
        open.partial = true;
        let piece = message(key, open.beginning, open.take_run(), false);
        self.heads.remove(&key);
        self.partial.insert(key.stream, key);
        self.startable.remove(&key.stream);
        self.out.push_back(Delivery::Piece(piece));
    }

    /// Whether [`take_piece`](Self::take_piece) would return something.
    pub(super) fn has_piece(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// What has come of a message that is delivered in pieces; the streams in turn.
    pub(super) fn take_piece(&mut self) -> Option<Message> {
        let after = (std::ops::Bound::Excluded(self.last_piece), std::ops::Bound::Unbounded);
        let stream = *self.pieces.range(after).next().or_else(|| self.pieces.first())?;
        self.pieces.remove(&stream);
        self.last_piece = stream;
        let key = *self.partial.get(&stream)?;
        let open = self.open.get_mut(&key)?;
        Some(message(key, open.beginning, open.take_run(), false))
    }

    /// The peer gave up what is missing of a stream up to a MID (RFC 8260 §2.3.1).
    pub(super) fn skip(&mut self, skipped: SkippedMessage, dropped: &mut Dropped) {
        let SkippedMessage { stream, unordered, mid } = skipped;
        let from = if unordered {
            // An unordered message waits for none before it, so any half of the numbers is behind.
            let from = self.unordered_from.get(&stream).copied();
            from.unwrap_or_else(|| mid.minus(HALF - 1))
        } else {
            self.next_of(stream)
        };
        if !mid.is_at_or_after(from) {
            return;
        }
        while let Some(key) = self.first_open(stream, unordered, from, mid) {
            self.give_up(key, dropped);
        }
        if unordered {
            self.unordered_from.insert(stream, mid.next());
            return;
        }
        self.next.insert(stream, mid.next());
        self.refresh(Key::new(stream, false, mid.next()));
    }

    /// The first open message from `from` to `to`, over the wrap if need be.
    fn first_open(&self, stream: StreamId, unordered: bool, from: Mid, to: Mid) -> Option<Key> {
        let key = |mid| Key::new(stream, unordered, Mid(mid));
        let between = |a: u32, b: u32| self.open.range(key(a)..=key(b)).next().map(|(key, _)| *key);
        if from.0 <= to.0 {
            between(from.0, to.0)
        } else {
            between(from.0, u32::MAX).or_else(|| between(0, to.0))
        }
    }

    /// The peer starts to number the messages of streams anew (RFC 8260 §2.3.2). What is complete and waits for
    /// something earlier, which will not come, is delivered; what is incomplete is dropped.
    pub(super) fn reset(&mut self, streams: &StreamSet, dropped: &mut Dropped) {
        let mut keys: Vec<Key> = self
            .open
            .keys()
            .copied()
            .filter(|key| streams.contains(key.stream))
            .collect();
        keys.sort_by_key(|key| {
            let from = if key.unordered {
                Mid(0)
            } else {
                self.next_of(key.stream)
            };
            (key.stream, key.unordered, Mid(key.mid).steps_from(from))
        });
        for key in keys {
            self.give_up(key, dropped);
        }
        match streams {
            StreamSet::All => {
                self.next.clear();
                self.unordered_from.clear();
            }
            StreamSet::Listed(ids) => {
                for id in ids {
                    self.next.remove(id);
                    self.unordered_from.remove(id);
                }
            }
        }
    }

    /// Drops everything that is incomplete: TSNs begin anew.
    pub(super) fn drop_incomplete(&mut self, dropped: &mut Dropped) {
        let keys: Vec<Key> = self.open.keys().copied().collect();
        for key in keys {
            if !self.open.get(&key).is_some_and(|open| open.is_complete(self.counting)) {
                self.give_up(key, dropped);
            }
        }
        self.above.clear();
        self.telling.clear();
    }

    /// Drops a message; if it is complete, it is delivered instead.
    fn give_up(&mut self, key: Key, dropped: &mut Dropped) {
        let Some(open) = self.remove(key) else { return };
        if open.is_complete(self.counting) && !open.partial {
            let beginning = open.beginning;
            let message = message(key, beginning, open.take_all(), true);
            self.out.push_back(Delivery::Message(message));
            return;
        }
        dropped.len += open.len();
        dropped.charged += open.charged();
        if open.partial {
            dropped.partial.push(key.stream);
        }
    }

    /// The position of the last fragment that may be renounced, if it is after `position`.
    pub(super) fn last_after(&self, position: Position) -> Option<Position> {
        let (last, _) = self.above.last_key_value()?;
        (*last > position).then_some(*last)
    }

    /// Drops that fragment. Returns its length.
    pub(super) fn drop_last(&mut self) -> Option<usize> {
        let (_, (key, place)) = self.above.pop_last()?;
        let open = self.open.get_mut(&key)?;
        let len = open.renounce(place);
        if open.is_empty() && !open.is_begun() {
            self.open.remove(&key);
        }
        Some(len)
    }

    /// Whether no message is incomplete.
    #[cfg(any(test, fuzzing))]
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn piece_lens(&self) -> Vec<usize> {
        self.open.values().flat_map(|open| open.piece_lens()).collect()
    }
}

/// What the user gets.
fn message(key: Key, beginning: Option<Beginning>, taken: Taken, end_of_message: bool) -> Message {
    let (position, ppid) = beginning.map_or((0, Ppid(0)), |beginning| (beginning.position, beginning.ppid));
    let mid = Mid(key.mid);
    Message {
        first: position,
        fragments: taken.fragments,
        charged: taken.charged,
        received: Received {
            stream: key.stream,
            ssn: mid.as_ssn(),
            mid: Some(mid),
            ppid,
            unordered: key.unordered,
            tsn: tsn_of(position),
            end_of_message,
            payload: taken.payload,
        },
    }
}
