//! Putting fragmented messages together again (RFC 9260 §3.3.1, §6.9).

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::DataFragment;
use super::tsn_map::{Position, tsn_of};
use super::window::charge;
use crate::error::Violation;
use crate::message::Received;
use crate::serial::{Ppid, Ssn, StreamId};

/// A message, or a piece of one, with the place of its fragments.
#[derive(Debug)]
pub(super) struct Message {
    /// The position of its first fragment.
    pub(super) first: Position,
    /// How many fragments it came in.
    pub(super) fragments: usize,
    /// What these cost in the window.
    pub(super) charged: usize,
    /// What the user gets.
    pub(super) received: Received,
}

/// What the next fragment brought about.
#[derive(Debug)]
pub(super) enum Progress {
    /// Its message is not complete.
    Incomplete,
    /// It completed a message.
    Complete(Message),
    /// It completed the message that is delivered in pieces: this is the last one.
    LastPiece(Message),
}

/// What all fragments of a message have in common (RFC 9260 §6.9).
#[derive(Clone, Copy, Debug)]
struct Attributes {
    stream: StreamId,
    ssn: Ssn,
    ppid: Ppid,
    unordered: bool,
}

impl Attributes {
    const fn of(fragment: &DataFragment) -> Self {
        Self {
            stream: fragment.stream,
            ssn: fragment.ssn,
            ppid: fragment.ppid,
            unordered: fragment.unordered,
        }
    }

    /// Whether a message can have fragments with both. The SSN of an unordered message has no meaning and MUST be
    /// ignored (RFC 9260 §6.6).
    fn fit(&self, other: &Self) -> bool {
        self.stream == other.stream
            && self.ppid == other.ppid
            && self.unordered == other.unordered
            && (self.unordered || self.ssn == other.ssn)
    }
}

/// Fragments of one message without a gap between them.
#[derive(Debug)]
struct Run {
    /// Where the message begins, as far as it is known: the position of its first fragment that came.
    origin: Position,
    /// The position of the first piece that is held.
    first: Position,
    attributes: Attributes,
    /// Has the fragment with the B bit.
    begins: bool,
    /// Has the fragment with the E bit.
    ends: bool,
    pieces: VecDeque<Bytes>,
    /// Bytes in all pieces.
    len: usize,
    /// What the pieces cost in the window.
    charged: usize,
}

impl Run {
    fn new(position: Position, fragment: DataFragment) -> Self {
        let mut run = Self {
            origin: position,
            first: position,
            attributes: Attributes::of(&fragment),
            begins: fragment.beginning,
            ends: false,
            pieces: VecDeque::new(),
            len: 0,
            charged: 0,
        };
        run.push(fragment);
        run
    }

    fn push(&mut self, fragment: DataFragment) {
        self.len += fragment.payload.len();
        self.charged += charge(fragment.payload.len());
        self.ends = fragment.ending;
        self.pieces.push_back(fragment.payload);
    }

    /// Adds the run that follows. The shorter one moves, so that putting n fragments together takes n log n steps in
    /// whatever order they come.
    fn append(&mut self, mut later: Self) {
        if later.pieces.len() > self.pieces.len() {
            while let Some(piece) = self.pieces.pop_back() {
                later.pieces.push_front(piece);
            }
            self.pieces = later.pieces;
        } else {
            self.pieces.append(&mut later.pieces);
        }
        self.len += later.len;
        self.charged += later.charged;
        self.ends = later.ends;
    }

    /// The position after the last fragment.
    fn end(&self) -> Position {
        self.first + count(self.pieces.len())
    }

    const fn is_complete(&self) -> bool {
        self.begins && self.ends
    }

    /// Takes all pieces out as one.
    fn take(&mut self) -> Message {
        let (first, fragments, charged) = (self.first, self.pieces.len(), self.charged);
        let payload = if fragments == 1 {
            self.pieces.pop_front().unwrap_or_default()
        } else {
            let mut payload = Vec::with_capacity(self.len);
            for piece in self.pieces.drain(..) {
                payload.extend_from_slice(&piece);
            }
            Bytes::from(payload)
        };
        self.first = first + count(fragments);
        self.len = 0;
        self.charged = 0;
        Message {
            first,
            fragments,
            charged,
            received: Received {
                stream: self.attributes.stream,
                ssn: self.attributes.ssn,
                mid: None,
                ppid: self.attributes.ppid,
                unordered: self.attributes.unordered,
                tsn: tsn_of(self.origin),
                end_of_message: self.ends,
                payload,
            },
        }
    }
}

/// Fragments of incomplete messages.
///
/// In the usual case, fragments in order, the only run is `current` and a fragment is appended to it.
#[derive(Debug, Default)]
pub(super) struct Reassembly {
    /// The message that is delivered in pieces: what has come since the last piece.
    partial: Option<Box<Run>>,
    /// The run that grew last.
    current: Option<Run>,
    /// The other runs by their first position.
    others: BTreeMap<Position, Run>,
    /// The peer may give messages up, so that one without its end may be followed by the next.
    gives_up: bool,
}

/// What was given up with [`Reassembly::drop_through`].
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// Bytes that are held no more.
    pub(super) len: usize,
    /// What these cost in the window.
    pub(super) charged: usize,
    /// The stream of the message that was delivered in pieces, if it was among them.
    pub(super) partial: Option<StreamId>,
}

impl Dropped {
    const fn add(&mut self, run: &Run) {
        self.len += run.len;
        self.charged += run.charged;
    }
}

impl Reassembly {
    /// Nothing has arrived. `gives_up` tells whether the peer may give messages up.
    pub(super) fn new(gives_up: bool) -> Self {
        Self {
            gives_up,
            ..Self::default()
        }
    }

    /// Adds a fragment that is new. `before` and `after` tell whether the TSNs next to it have arrived; if they have
    /// and are not here, they belong to messages that are complete.
    pub(super) fn insert(
        &mut self,
        position: Position,
        fragment: DataFragment,
        before: bool,
        after: bool,
    ) -> Result<Progress, Violation> {
        if fragment.beginning && fragment.ending && self.is_empty() {
            return Ok(Progress::Complete(whole(position, fragment)));
        }
        // What goes before may have been given up before its end was sent.
        let anew = self.gives_up && fragment.beginning;
        if let Some(run) = &mut self.current
            && run.end() == position
            && !run.ends
            && !after
            && !anew
        {
            // The usual case: the next fragment of the message that is being put together.
            continues(&run.attributes, &fragment)?;
            run.push(fragment);
            if !run.is_complete() {
                return Ok(Progress::Incomplete);
            }
            let message = run.take();
            self.current = None;
            return Ok(Progress::Complete(message));
        }
        if let Some(partial) = self.partial.as_deref_mut()
            && partial.end() == position
            && !anew
        {
            return self.extend_partial(position, fragment, after);
        }
        let mut run = match self.take_ending_at(position) {
            Some(mut run) if !run.ends && !anew => {
                continues(&run.attributes, &fragment)?;
                run.push(fragment);
                run
            }
            // What follows a complete message, or a last fragment, begins a message.
            other => {
                let complete_before = before || other.is_some();
                if let Some(run) = other {
                    self.others.insert(run.first, run);
                }
                if complete_before && !fragment.beginning && !self.gives_up {
                    return Err(Violation::InconsistentFragments);
                }
                Run::new(position, fragment)
            }
        };
        self.join_next(&mut run, position, after)?;
        if run.is_complete() {
            return Ok(Progress::Complete(run.take()));
        }
        self.park_current();
        self.current = Some(run);
        Ok(Progress::Incomplete)
    }

    fn extend_partial(
        &mut self,
        position: Position,
        fragment: DataFragment,
        after: bool,
    ) -> Result<Progress, Violation> {
        let Some(mut run) = self.partial.take() else {
            return Ok(Progress::Incomplete);
        };
        continues(&run.attributes, &fragment)?;
        run.push(fragment);
        self.join_next(&mut run, position, after)?;
        if run.ends {
            return Ok(Progress::LastPiece(run.take()));
        }
        self.partial = Some(run);
        Ok(Progress::Incomplete)
    }

    /// Joins `run`, which has just got the fragment at `position` as its last, with the run that follows.
    fn join_next(&mut self, run: &mut Run, position: Position, after: bool) -> Result<(), Violation> {
        if !after {
            return Ok(());
        }
        if run.ends {
            let next = self.run_at(position + 1);
            return if self.gives_up || next.is_none_or(|next| next.begins) {
                Ok(())
            } else {
                Err(Violation::InconsistentFragments)
            };
        }
        // An incomplete message cannot be followed by one that is complete.
        let Some(next) = self.take_at(position + 1) else {
            return if self.gives_up {
                Ok(())
            } else {
                Err(Violation::InconsistentFragments)
            };
        };
        if next.begins && self.gives_up {
            self.others.insert(next.first, next);
            return Ok(());
        }
        if next.begins || !run.attributes.fit(&next.attributes) {
            return Err(Violation::InconsistentFragments);
        }
        run.append(next);
        Ok(())
    }

    /// The charge and the attributes of the message that the Cumulative TSN Ack ends in, if its beginning is here and
    /// none of it was delivered yet: the only one that may be delivered in pieces.
    pub(super) fn head(&self, cumulative: Position) -> Option<Head> {
        if self.partial.is_some() {
            return None;
        }
        let run = match &self.current {
            Some(run) if run.first <= cumulative => run,
            _ => self.others.first_key_value().map(|(_, run)| run)?,
        };
        (run.begins && run.end() == cumulative + 1).then_some(Head {
            charged: run.charged,
            stream: run.attributes.stream,
            ssn: run.attributes.ssn,
            unordered: run.attributes.unordered,
        })
    }

    /// Starts to deliver the [head](Self::head) in pieces: takes the first.
    pub(super) fn start_partial(&mut self, cumulative: Position) -> Option<Message> {
        let mut run = self.take_ending_at(cumulative + 1)?;
        let piece = run.take();
        self.partial = Some(Box::new(run));
        Some(piece)
    }

    /// Whether [`take_piece`](Self::take_piece) would return something.
    pub(super) fn has_piece(&self) -> bool {
        self.partial.as_ref().is_some_and(|run| !run.pieces.is_empty())
    }

    /// What has come of the message that is delivered in pieces.
    pub(super) fn take_piece(&mut self) -> Option<Message> {
        let run = self.partial.as_deref_mut().filter(|run| !run.pieces.is_empty())?;
        Some(run.take())
    }

    /// The position of the last fragment, if it is after `position`.
    pub(super) fn last_after(&mut self, position: Position) -> Option<Position> {
        self.park_current();
        let (first, run) = self.others.last_key_value()?;
        (*first > position).then(|| run.end() - 1)
    }

    /// Drops the last fragment. Returns its length.
    pub(super) fn drop_last(&mut self) -> Option<usize> {
        self.park_current();
        let mut entry = self.others.last_entry()?;
        let run = entry.get_mut();
        let len = run.pieces.pop_back().map_or(0, |piece| piece.len());
        run.len -= len;
        run.charged -= charge(len);
        run.ends = false;
        if run.pieces.is_empty() {
            entry.remove();
        }
        Some(len)
    }

    /// The peer gave up everything up to the position `through` that is not complete (RFC 3758 §3.6).
    pub(super) fn drop_through(&mut self, through: Position) -> Dropped {
        let mut dropped = Dropped::default();
        if let Some(run) = self.partial.take_if(|run| run.end() <= through) {
            dropped.add(&run);
            dropped.partial = Some(run.attributes.stream);
        }
        self.park_current();
        // What begins right behind without a B bit has lost its beginning.
        let lost = |run: &Run| run.first <= through || (run.first == through + 1 && !run.begins);
        while let Some(entry) = self.others.first_entry().filter(|entry| lost(entry.get())) {
            dropped.add(&entry.remove());
        }
        dropped
    }

    /// Whether no message is incomplete.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none() && self.partial.is_none() && self.others.is_empty()
    }

    fn park_current(&mut self) {
        if let Some(run) = self.current.take() {
            self.others.insert(run.first, run);
        }
    }

    /// Takes the run that `position` follows.
    fn take_ending_at(&mut self, position: Position) -> Option<Run> {
        if let Some(run) = self.current.take_if(|run| run.end() == position) {
            return Some(run);
        }
        let (first, run) = self.others.range(..position).next_back()?;
        let first = *first;
        if run.end() != position {
            return None;
        }
        self.others.remove(&first)
    }

    /// The run that begins at `position`.
    fn run_at(&self, position: Position) -> Option<&Run> {
        match &self.current {
            Some(run) if run.first == position => Some(run),
            _ => self.others.get(&position),
        }
    }

    fn take_at(&mut self, position: Position) -> Option<Run> {
        match self.current.take_if(|run| run.first == position) {
            Some(run) => Some(run),
            None => self.others.remove(&position),
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn piece_lens(&self) -> Vec<usize> {
        self.partial
            .as_deref()
            .into_iter()
            .chain(&self.current)
            .chain(self.others.values())
            .flat_map(|run| {
                let lens: Vec<usize> = run.pieces.iter().map(Bytes::len).collect();
                assert_eq!(run.len, lens.iter().sum::<usize>());
                assert_eq!(run.charged, lens.iter().copied().map(charge).sum::<usize>());
                lens
            })
            .collect()
    }
}

/// The message that may be delivered in pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) charged: usize,
    pub(super) stream: StreamId,
    pub(super) ssn: Ssn,
    pub(super) unordered: bool,
}

/// Whether `fragment` can follow a fragment of a message with these attributes that is not its last.
fn continues(attributes: &Attributes, fragment: &DataFragment) -> Result<(), Violation> {
    if fragment.beginning || !attributes.fit(&Attributes::of(fragment)) {
        return Err(Violation::InconsistentFragments);
    }
    Ok(())
}

/// A message in one fragment.
pub(super) fn whole(position: Position, fragment: DataFragment) -> Message {
    Message {
        first: position,
        fragments: 1,
        charged: charge(fragment.payload.len()),
        received: fragment.into_received(),
    }
}

fn count(n: usize) -> Position {
    Position::try_from(n).unwrap_or(Position::MAX)
}
