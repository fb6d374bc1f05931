//! Messages that are ready for the user, in the order in which it gets them.

use std::collections::{BTreeMap, VecDeque};

use crate::config::FragmentInterleave;
use crate::message::Received;
use crate::serial::StreamId;

/// How many entries an empty queue may keep room for.
const IDLE_ENTRIES: usize = 8;

/// A message of which a piece was handed over and the end has not come.
#[derive(Debug)]
struct Partial {
    /// Its first piece, without the bytes.
    head: Received,
    /// What must not come before its end.
    behind: VecDeque<Received>,
}

/// Messages ready for the user. While a message is delivered in pieces, complete ones wait behind it, so that nothing
/// comes between its pieces: all of them, or with [`FragmentInterleave::Streams`] those of its stream.
#[derive(Debug)]
pub(super) struct Inbox {
    ready: VecDeque<Received>,
    /// The messages that are delivered in pieces, one a stream; with less interleaving one at all.
    partial: BTreeMap<StreamId, Partial>,
    level: FragmentInterleave,
}

impl Inbox {
    pub(super) const fn new(level: FragmentInterleave) -> Self {
        Self {
            ready: VecDeque::new(),
            partial: BTreeMap::new(),
            level,
        }
    }

    /// A complete message.
    #[inline(always)]
    pub(super) fn push(&mut self, message: Received) {
        if self.partial.is_empty() {
            self.ready.push_back(message);
        } else {
            self.push_beside_partial(message);
        }
    }

    #[inline(never)]
    fn push_beside_partial(&mut self, message: Received) {
        let before = if self.level == FragmentInterleave::Streams {
            self.partial.get_mut(&message.stream)
        } else {
            self.partial.values_mut().next()
        };
        before
            .map_or(&mut self.ready, |partial| &mut partial.behind)
            .push_back(message);
    }

    /// The next piece, maybe the last, of a message that is delivered in pieces. The first one starts this.
    pub(super) fn push_piece(&mut self, piece: Received) {
        let stream = piece.stream;
        if piece.end_of_message {
            self.ready.push_back(piece);
            if let Some(partial) = self.partial.remove(&stream) {
                self.ready.extend(partial.behind);
            }
        } else {
            let head = Received {
                payload: bytes::Bytes::new(),
                ..piece
            };
            self.partial.entry(stream).or_insert_with(|| Partial {
                head,
                behind: VecDeque::new(),
            });
            self.ready.push_back(piece);
        }
    }

    /// No message that is delivered in pieces will end. Their first pieces, without the bytes.
    pub(super) fn cut_all(&mut self) -> Vec<Received> {
        let mut cut = Vec::new();
        for partial in std::mem::take(&mut self.partial).into_values() {
            self.ready.extend(partial.behind);
            cut.push(partial.head);
        }
        cut
    }

    /// The message of `stream` that is delivered in pieces will not end. If nobody has seen its first piece, that is
    /// taken back, and its length is given.
    pub(super) fn cut(&mut self, stream: StreamId) -> Option<Cut> {
        let partial = self.partial.remove(&stream)?;
        let is_head = |received: &Received| !received.end_of_message && received.tsn == partial.head.tsn;
        let place = self.ready.iter().rposition(is_head);
        let taken = place.and_then(|place| self.ready.remove(place));
        self.ready.extend(partial.behind);
        Some(match taken {
            Some(first) => Cut::Unseen(first.payload.len()),
            None => Cut::Seen(Box::new(partial.head)),
        })
    }

    /// What is next, left there.
    pub(super) fn front(&self) -> Option<&Received> {
        self.ready.front()
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Received> {
        self.ready.pop_front()
    }

    /// Nothing happened for a while: gives back the memory of an empty queue.
    pub(super) fn trim(&mut self) {
        if self.ready.is_empty() && self.ready.capacity() > IDLE_ENTRIES {
            self.ready = VecDeque::new();
        }
    }

    /// Whether [`pop`](Self::pop) would return nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Whether a message is delivered in pieces and its end has not come.
    pub(super) fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// How many messages and pieces there are, the ones that wait behind a partial message included.
    pub(super) fn len(&self) -> usize {
        let behind = self.partial.values().map(|partial| partial.behind.len());
        self.ready.len() + behind.sum::<usize>()
    }

    /// The lengths of what there is.
    pub(super) fn lens(&self) -> impl Iterator<Item = usize> {
        let behind = self.partial.values().flat_map(|partial| &partial.behind);
        self.ready.iter().chain(behind).map(|message| message.payload.len())
    }
}

/// A message that is delivered in pieces and will not end.
#[derive(Debug)]
pub(super) enum Cut {
    /// The user has seen a part of it: its first piece, without the bytes.
    Seen(Box<Received>),
    /// The user has seen nothing: bytes that were taken back.
    Unseen(usize),
}
