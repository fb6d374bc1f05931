//! What associations count that their stack counts too.

use super::StackStats;

/// What an association has sent, as far as it counts for the stack. The stack looks before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TallySent {
    pub(crate) control_chunks: u64,
    pub(crate) data_chunks: u64,
    /// Among them.
    pub(crate) unordered_chunks: u64,
    pub(crate) data_chunks_retransmitted: u64,
    pub(crate) messages_fragmented: u64,
}

/// What an association has received, as far as it counts for the stack. The stack looks before and after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TallyReceived {
    pub(crate) control_chunks: u64,
    pub(crate) data_chunks: u64,
    /// Among them, taken.
    pub(crate) unordered_chunks: u64,
    /// Among them.
    pub(crate) data_chunks_dropped: u64,
    /// Among them.
    pub(crate) duplicate_tsns: u64,
    pub(crate) messages_reassembled: u64,
}

impl TallySent {
    #[inline]
    const fn ordered(&self) -> u64 {
        self.data_chunks.wrapping_sub(self.unordered_chunks)
    }
}

impl TallyReceived {
    /// Those that were taken, and are not unordered.
    #[inline]
    const fn ordered(&self) -> u64 {
        self.data_chunks
            .wrapping_sub(self.unordered_chunks)
            .wrapping_sub(self.data_chunks_dropped)
            .wrapping_sub(self.duplicate_tsns)
    }
}

/// Adds what was counted between two looks. Counters go round rather than stop the stack, whatever a peer makes of them.
#[inline]
const fn add(counter: &mut u64, after: u64, before: u64) {
    *counter = counter.wrapping_add(after.wrapping_sub(before));
}

impl StackStats {
    /// An association has sent something.
    #[inline]
    pub(crate) const fn count_sent(&mut self, before: &TallySent, after: &TallySent) {
        add(
            &mut self.control_chunks_sent,
            after.control_chunks,
            before.control_chunks,
        );
        add(&mut self.ordered_chunks_sent, after.ordered(), before.ordered());
        add(
            &mut self.unordered_chunks_sent,
            after.unordered_chunks,
            before.unordered_chunks,
        );
        add(
            &mut self.data_chunks_retransmitted,
            after.data_chunks_retransmitted,
            before.data_chunks_retransmitted,
        );
        add(
            &mut self.messages_fragmented,
            after.messages_fragmented,
            before.messages_fragmented,
        );
    }

    /// An association has received something.
    #[inline]
    pub(crate) const fn count_received(&mut self, before: &TallyReceived, after: &TallyReceived) {
        add(
            &mut self.control_chunks_received,
            after.control_chunks,
            before.control_chunks,
        );
        add(&mut self.ordered_chunks_received, after.ordered(), before.ordered());
        add(
            &mut self.unordered_chunks_received,
            after.unordered_chunks,
            before.unordered_chunks,
        );
        add(&mut self.duplicate_tsns, after.duplicate_tsns, before.duplicate_tsns);
        add(
            &mut self.messages_reassembled,
            after.messages_reassembled,
            before.messages_reassembled,
        );
    }
}
