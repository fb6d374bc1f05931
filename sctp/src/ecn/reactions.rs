//! Once for a window of data (RFC 3168 §6.1.2).

use std::collections::BTreeMap;

/// Which of the data that was sent on each path congestion was already reacted to. Chunks have numbers that grow; paths
/// are numbers.
#[derive(Clone, Debug)]
pub(crate) struct Reactions {
    per_path: BTreeMap<usize, Reaction>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Reaction {
    /// The window was shrunk when this chunk was the next one, for whatever reason.
    shrunk_before: u64,
    /// The same, because of a mark.
    shrunk_by_mark_before: u64,
}

impl Reactions {
    pub(crate) const fn new() -> Self {
        Self {
            per_path: BTreeMap::new(),
        }
    }

    /// The window of a path was shrunk because of a loss; `next` is the chunk to be sent next.
    pub(crate) fn on_loss(&mut self, path: usize, next: u64) {
        self.entry(path).shrunk_before = next;
    }

    /// A packet with this chunk was marked: whether the window is to be shrunk for that. It is not if it was already
    /// shrunk for the window of data that the chunk belongs to.
    pub(crate) fn on_mark(&mut self, path: usize, chunk: u64, next: u64) -> bool {
        let entry = self.entry(path);
        let shrinks = chunk >= entry.shrunk_before;
        if shrinks {
            (entry.shrunk_before, entry.shrunk_by_mark_before) = (next, next);
        }
        shrinks
    }

    /// Whether the window was shrunk because of a mark after this chunk was sent for the first time, so that its loss
    /// is no news. The loss of a retransmission is (RFC 3168 §6.1.2).
    pub(crate) fn covers(&self, path: usize, chunk: u64) -> bool {
        let entry = self.per_path.get(&path);
        entry.is_some_and(|entry| chunk < entry.shrunk_by_mark_before)
    }

    /// The path is no more.
    pub(crate) fn forget(&mut self, path: usize) {
        self.per_path.remove(&path);
    }

    fn entry(&mut self, path: usize) -> &mut Reaction {
        self.per_path.entry(path).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3168_6_1_2_a_window_of_data_shrinks_the_window_once() {
        let mut reactions = Reactions::new();
        assert!(reactions.on_mark(0, 10, 20));
        assert!(!reactions.on_mark(0, 10, 25) && !reactions.on_mark(0, 19, 25));
        assert!(reactions.on_mark(1, 12, 25), "another path has a window of its own");
        assert!(reactions.on_mark(0, 20, 30));
    }

    #[test]
    fn rfc3168_6_1_2_marks_and_losses_of_a_window_count_together() {
        let mut reactions = Reactions::new();
        reactions.on_loss(0, 20);
        assert!(!reactions.on_mark(0, 19, 25));
        assert!(!reactions.covers(0, 19), "losses among themselves follow RFC 9260");
        assert!(reactions.on_mark(0, 20, 30));
        assert!(reactions.covers(0, 29) && !reactions.covers(0, 30) && !reactions.covers(1, 5));
        reactions.forget(0);
        assert!(!reactions.covers(0, 29));
    }
}
