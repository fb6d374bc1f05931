//! Messages that are ready for the user, in the order in which it gets them.

use std::collections::VecDeque;

use crate::message::Received;

/// How many entries an empty queue may keep room for.
const IDLE_ENTRIES: usize = 8;

/// Messages ready for the user. While a message is delivered in pieces, the complete ones wait behind it, so that
/// nothing comes between its pieces.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    ready: VecDeque<Received>,
    /// What follows the message that is delivered in pieces.
    behind: VecDeque<Received>,
    /// A message is delivered in pieces and its end has not come.
    partial: bool,
}

impl Inbox {
    /// A complete message.
    pub(super) fn push(&mut self, message: Received) {
        if self.partial {
            self.behind.push_back(message);
        } else {
            self.ready.push_back(message);
        }
    }

    /// The next piece, maybe the last, of the message that is delivered in pieces. The first one starts this.
    pub(super) fn push_piece(&mut self, piece: Received) {
        self.partial = !piece.end_of_message;
        self.ready.push_back(piece);
        if !self.partial {
            self.ready.append(&mut self.behind);
            self.behind = VecDeque::new();
        }
    }

    /// The message that is delivered in pieces will not end. True if there was one.
    pub(super) fn cut_partial(&mut self) -> bool {
        self.ready.append(&mut self.behind);
        self.behind = VecDeque::new();
        std::mem::take(&mut self.partial)
    }

    /// The message that is delivered in pieces will not end: takes its first piece back if nobody has seen that.
    pub(super) fn cut_unseen_partial(&mut self) -> Option<Received> {
        // What is complete waits behind, so the first piece is the last that is ready.
        let unseen = self.partial && self.ready.back().is_some_and(|last| !last.end_of_message);
        let first_piece = if unseen { self.ready.pop_back() } else { None };
        self.cut_partial();
        first_piece
    }

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
    #[cfg(test)]
    pub(super) const fn is_partial(&self) -> bool {
        self.partial
    }

    /// How many messages and pieces there are, the ones that wait behind a partial message included.
    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.behind.len()
    }

    /// The lengths of what there is.
    pub(super) fn lens(&self) -> impl Iterator<Item = usize> {
        self.ready
            .iter()
            .chain(&self.behind)
            .map(|message| message.payload.len())
    }
}
