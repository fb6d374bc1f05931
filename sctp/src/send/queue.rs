//! Messages that wait to be sent, first come first served, and the stream sequence numbers they get.

use std::collections::VecDeque;

use crate::message::OutMessage;
use crate::path::PathId;
use crate::serial::{Ssn, StreamId};

/// A message in the queue.
#[derive(Clone, Debug)]
pub(crate) struct QueuedMessage {
    pub(crate) message: OutMessage,
    /// The path the user wants it on.
    pub(crate) wanted: Option<PathId>,
}

/// Messages of which nothing was sent yet.
#[derive(Debug, Default)]
pub(crate) struct SendQueue {
    waiting: VecDeque<QueuedMessage>,
    /// The next SSN of each stream that was used, by stream.
    next_ssn: Vec<Ssn>,
}

impl SendQueue {
    pub(crate) fn push(&mut self, message: QueuedMessage) {
        self.waiting.push_back(message);
    }

    pub(crate) fn front(&self) -> Option<&QueuedMessage> {
        self.waiting.front()
    }

    /// Takes the next message, with its SSN. An unordered one has none of its own (RFC 9260 §6.6) and gets zero.
    pub(crate) fn pop(&mut self) -> Option<(QueuedMessage, Ssn)> {
        let queued = self.waiting.pop_front()?;
        let ssn = if queued.message.unordered {
            Ssn(0)
        } else {
            self.take_ssn(queued.message.stream)
        };
        Some((queued, ssn))
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
        self.waiting.iter().map(|queued| queued.message.payload.len()).sum()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Starts all streams at zero again, as a restarted peer expects (RFC 9260 §5.2.4 A).
    pub(crate) fn restart_streams(&mut self) {
        self.next_ssn.clear();
    }

    /// The paths have other names now; a message for one that is gone goes wherever it can.
    pub(crate) fn rename_paths(&mut self, renamed: &[Option<PathId>]) {
        for queued in &mut self.waiting {
            queued.wanted = queued.wanted.and_then(|id| renamed.get(id.index()).copied().flatten());
        }
    }

    /// Gives up the messages for which `drop` says so; they come back in order.
    pub(crate) fn take_if(&mut self, drop: impl Fn(&OutMessage) -> bool) -> Vec<OutMessage> {
        let (taken, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|queued| drop(&queued.message));
        self.waiting = kept;
        taken.into_iter().map(|queued| queued.message).collect()
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
        QueuedMessage { message, wanted: None }
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
}
