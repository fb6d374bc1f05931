//! Messages that wait for room in the send buffer of an association.

use std::collections::VecDeque;

use bytes::Bytes;
use socketapi::SndInfo;

/// What a waiting message counts for beside its bytes. Even an empty one takes memory.
const MESSAGE: usize = 256;

/// Messages in the order to be sent, and what they count for.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    messages: VecDeque<(Bytes, SndInfo)>,
    weight: usize,
}

const fn weight(payload: &Bytes) -> usize {
    payload.len().saturating_add(MESSAGE)
}

impl Backlog {
    /// How much may wait for a peer beyond what its association buffers. A peer that takes nothing any more while the
    /// node goes on sending is given up.
    const MAX: usize = 8 << 20;

    pub(super) fn push(&mut self, payload: Bytes, info: SndInfo) {
        self.weight = self.weight.saturating_add(weight(&payload));
        self.messages.push_back((payload, info));
    }

    pub(super) fn pop(&mut self) -> Option<(Bytes, SndInfo)> {
        let (payload, info) = self.messages.pop_front()?;
        self.weight = self.weight.saturating_sub(weight(&payload));
        Some((payload, info))
    }

    /// Whether more waits than may.
    pub(super) const fn is_too_long(&self) -> bool {
        self.weight > Self::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages of `len` bytes make a backlog too long.
    fn messages_until_too_long(backlog: &mut Backlog, len: usize) -> usize {
        let mut count = 0;
        while !backlog.is_too_long() {
            backlog.push(vec![0; len].into(), SndInfo::new());
            count += 1;
        }
        count
    }

    #[test]
    fn the_bytes_of_large_messages_are_bounded() {
        let count = messages_until_too_long(&mut Backlog::default(), 1 << 20);
        assert_eq!(count, 8);
    }

    #[test]
    fn the_number_of_small_messages_is_bounded() {
        let count = messages_until_too_long(&mut Backlog::default(), 1);
        assert!(count <= (8 << 20) / MESSAGE, "{count}");
    }

    #[test]
    fn what_was_sent_counts_no_longer() {
        let mut backlog = Backlog::default();
        let count = messages_until_too_long(&mut backlog, 1000);
        assert!(backlog.pop().is_some() && !backlog.is_too_long());
        while backlog.pop().is_some() {}
        assert_eq!(messages_until_too_long(&mut backlog, 1000), count);
    }
}
