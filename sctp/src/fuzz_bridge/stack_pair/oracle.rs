//! What users may be told and given.

use std::collections::{BTreeMap, BTreeSet};

use super::super::PATTERN;
use crate::serial::{StreamId, Tsn};
use crate::{AssocId, Event, OutMessage, Received};

/// A message that was taken to be sent.
#[derive(Clone, Debug)]
struct Sent {
    stream: StreamId,
    unordered: bool,
    /// Those that it was given in.
    pieces: Vec<Piece>,
    /// Whether the last one was given.
    complete: bool,
    delivered: bool,
    assoc: AssocId,
}

/// A message that was given to be sent, or a piece of one.
#[derive(Clone, Copy, Debug)]
struct Piece {
    len: usize,
    /// Whether it is reported to have failed, and if so whether it had been sent.
    failed: Option<bool>,
}

impl Sent {
    /// What the user has given up to now.
    fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len).sum()
    }

    fn has_failed(&self, how: impl Fn(bool) -> bool) -> bool {
        self.pieces.iter().filter_map(|piece| piece.failed).any(how)
    }
}

/// What one side sent.
#[derive(Debug, Default)]
pub(super) struct Book {
    sent: Vec<Sent>,
    /// The messages that are not complete.
    open: BTreeMap<(AssocId, StreamId), u32>,
}

/// How many pieces a message has at most, and bytes once there is no room in [`PATTERN`] for another piece.
const MOST_PIECES: usize = 200;
const MOST_BYTES: usize = 40_000;

impl Book {
    /// The number of the next message.
    pub(super) fn next_id(&self) -> u32 {
        self.sent.len() as u32
    }

    /// The bytes of a message.
    pub(super) fn payload(side: usize, id: u32, len: usize) -> &'static [u8] {
        &PATTERN[1000 * side + 61 * (id as usize % 1024)..][..len]
    }

    pub(super) fn note(&mut self, assoc: AssocId, message: &OutMessage) {
        let piece = Piece {
            len: message.payload.len(),
            failed: None,
        };
        self.sent.push(Sent {
            stream: message.stream,
            unordered: message.unordered,
            pieces: vec![piece],
            complete: true,
            delivered: false,
            assoc,
        });
    }

    /// What a piece of so many bytes is: the number of its message, its own number as a context, its bytes, and whether
    /// it has to be the last one.
    pub(super) fn next_piece(
        &self,
        side: usize,
        assoc: AssocId,
        stream: StreamId,
        len: usize,
    ) -> (u32, u32, &'static [u8], bool) {
        let id = self.open.get(&(assoc, stream)).copied();
        let id = id.unwrap_or_else(|| self.next_id());
        let begun = self.sent.get(id as usize);
        let (number, before) = begun.map_or((0, 0), |sent| (sent.pieces.len(), sent.len()));
        let context = id | (number as u32) << 24;
        let bytes = &Self::payload(side, id, before + len)[before..];
        (
            id,
            context,
            bytes,
            number + 1 >= MOST_PIECES || before + len >= MOST_BYTES,
        )
    }

    /// A piece was taken to be sent.
    pub(super) fn note_piece(&mut self, assoc: AssocId, piece: &OutMessage, end: bool) {
        let (id, stream) = (piece.ppid.0, piece.stream);
        if id == self.next_id() {
            self.note(assoc, piece);
        } else {
            self.sent[id as usize].pieces.push(Piece {
                len: piece.payload.len(),
                failed: None,
            });
        }
        self.sent[id as usize].complete = end;
        if end {
            self.open.remove(&(assoc, stream));
        } else {
            self.open.insert((assoc, stream), id);
        }
    }

    /// The message of which a piece was to be sent has been given up.
    pub(super) fn cut(&mut self, assoc: AssocId, stream: StreamId) {
        let cut = self.open.remove(&(assoc, stream));
        assert!(cut.is_some(), "nothing was begun");
    }

    /// The messages that are not complete.
    pub(super) fn open(&self) -> Vec<(AssocId, StreamId)> {
        self.open.keys().copied().collect()
    }

    /// Associations are no more.
    pub(super) fn forget_open(&mut self, which: impl Fn(AssocId) -> bool) {
        self.open.retain(|(of, _), _| !which(*of));
    }

    /// Whether a message of the association is not complete.
    fn has_open(&self, assoc: AssocId) -> bool {
        self.open.keys().any(|(of, _)| *of == assoc)
    }

    /// Messages that were neither delivered nor given up.
    pub(super) fn missing(&self) -> usize {
        self.sent
            .iter()
            .filter(|sent| sent.complete && !sent.delivered && !sent.has_failed(|_| true))
            .count()
    }
}

/// What a user knows of an association.
#[derive(Debug, Default)]
struct Life {
    ended: bool,
    released: bool,
    /// The message that comes in pieces, of each stream.
    partial: BTreeMap<StreamId, Partial>,
    /// The messages in pieces that will not end, by what was told: stream and TSN. The pieces may still wait then.
    cuts: BTreeSet<(StreamId, u32)>,
    /// The last ordered message of each stream.
    last: BTreeMap<StreamId, u32>,
}

/// The beginning of a message.
#[derive(Debug)]
struct Partial {
    id: u32,
    tsn: Tsn,
    bytes: Vec<u8>,
}

impl Life {
    /// A message in pieces does not go on, as was told.
    fn note_cut(&mut self, stream: StreamId, cut: &Partial) {
        let told = self.cuts.remove(&(stream, cut.tsn.0));
        assert!(told, "message {} is cut without a word", cut.id);
    }
}

/// What a user knows of all its associations.
#[derive(Debug, Default)]
pub(super) struct Lives {
    lives: BTreeMap<AssocId, Life>,
    rude: bool,
}

impl Lives {
    pub(super) fn begin(&mut self, assoc: AssocId) {
        let before = self.lives.insert(assoc, Life::default());
        assert!(before.is_none(), "a name is used again");
    }

    pub(super) fn ids(&self) -> Vec<AssocId> {
        self.lives.keys().copied().collect()
    }

    /// The user ended an association so that messages may be lost.
    pub(super) const fn note_rudeness(&mut self) {
        self.rude = true;
    }

    pub(super) const fn was_rude(&self) -> bool {
        self.rude
    }

    pub(super) fn release(&mut self, assoc: AssocId) {
        self.rude = true;
        if let Some(life) = self.lives.get_mut(&assoc) {
            life.released = true;
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.rude = true;
        self.lives.clear();
    }

    /// Takes in an event; true if it is the first of an association that the peer opened.
    pub(super) fn hear_event(&mut self, assoc: AssocId, event: &Event, book: &mut Book) -> bool {
        let known = self.lives.contains_key(&assoc);
        assert!(
            known
                || matches!(
                    event,
                    Event::CommunicationUp {
                        initiated_here: false,
                        ..
                    }
                ),
            "{event:?}"
        );
        let life = self.lives.entry(assoc).or_default();
        assert!(!life.released, "it was released: {event:?}");
        assert!(!life.ended, "it has ended: {event:?}");
        match event {
            Event::ConnectFailed { .. } | Event::CommunicationLost { .. } | Event::ShutdownComplete => {
                life.ended = true;
                // What is shut down before a message is complete is aborted.
                self.rude |= book.has_open(assoc);
            }
            Event::PartialDeliveryAborted { stream, tsn, .. } => drop(life.cuts.insert((*stream, tsn.0))),
            Event::Restarted { .. } => life.last.clear(),
            Event::SendFailed(failure) => {
                let sent = &mut book.sent[(failure.context & 0xff_ffff) as usize];
                let piece = &mut sent.pieces[(failure.context >> 24) as usize];
                assert_eq!(
                    (sent.assoc, sent.stream, piece.len),
                    (assoc, failure.stream, failure.payload.len())
                );
                assert!(piece.failed.replace(failure.sent).is_none(), "it is told twice");
                assert!(failure.sent || !sent.delivered, "it was sent, says who got it");
            }
            _ => {}
        }
        !known
    }

    /// Takes in what was received from the other side, which is number `from`. `mixes` says whether pieces of several
    /// messages may come.
    pub(super) fn hear(&mut self, assoc: AssocId, piece: Received, mixes: bool, from: usize, book: &mut Book) {
        let life = self.lives.get_mut(&assoc).expect("an association that is known");
        let id = piece.ppid.0;
        let sent = book.sent.get_mut(id as usize).expect("a message that was sent");
        assert_eq!((piece.stream, piece.unordered), (sent.stream, sent.unordered));
        let mut bytes = Vec::new();
        match life.partial.remove(&piece.stream) {
            Some(begun) if begun.id == id => bytes = begun.bytes,
            Some(begun) => life.note_cut(piece.stream, &begun),
            None => {}
        }
        while !mixes && let Some((stream, begun)) = life.partial.pop_first() {
            life.note_cut(stream, &begun);
        }
        bytes.extend_from_slice(&piece.payload);
        let whole = Book::payload(from, id, sent.len());
        assert!(whole.starts_with(&bytes), "message {id} is altered");
        if !piece.end_of_message {
            let tsn = piece.tsn;
            life.partial.insert(piece.stream, Partial { id, tsn, bytes });
            return;
        }
        assert!(sent.complete && bytes.len() == whole.len(), "message {id} is cut off");
        assert!(
            !std::mem::replace(&mut sent.delivered, true),
            "message {id} is there twice"
        );
        let unsent = sent.has_failed(|was_sent| !was_sent);
        assert!(!unsent, "message {id} was never sent");
        if !sent.unordered {
            let last = life.last.insert(sent.stream, id);
            assert!(last.is_none_or(|last| last < id), "message {id} is out of order");
        }
    }
}
