//! Who has something to send or to tell: queues with a flag for each association, so that nobody is looked at in vain.

use std::collections::VecDeque;

use super::AssocId;

/// A queue in which an association stands at most once.
#[derive(Debug, Default)]
pub(super) struct ReadyQueue(VecDeque<AssocId>);

impl ReadyQueue {
    /// Puts `id` at the end unless `queued` says that it is there already.
    pub(super) fn push(&mut self, id: AssocId, queued: &mut bool) {
        if !std::mem::replace(queued, true) {
            self.0.push_back(id);
        }
    }

    pub(super) fn front(&self) -> Option<AssocId> {
        self.0.front().copied()
    }

    /// Takes the first one out; the caller clears its flag.
    pub(super) fn pop(&mut self) -> Option<AssocId> {
        self.0.pop_front()
    }

    /// Lets the others have their turn.
    pub(super) fn rotate(&mut self) {
        if self.0.len() > 1
            && let Some(id) = self.0.pop_front()
        {
            self.0.push_back(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_association_stands_in_the_queue_once_and_takes_turns() {
        let id = |index| AssocId { index, generation: 0 };
        let (mut a, mut b) = (false, false);
        let mut queue = ReadyQueue::default();
        queue.push(id(1), &mut a);
        queue.push(id(2), &mut b);
        queue.push(id(1), &mut a);
        queue.rotate();
        assert_eq!(queue.pop(), Some(id(2)));
        assert_eq!(queue.pop(), Some(id(1)));
        assert_eq!(queue.pop(), None);
    }
}
