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
        self.data_chunks - self.unordered_chunks
    }
}

impl TallyReceived {
    /// Those that were taken, and are not unordered.
    #[inline]
    const fn ordered(&self) -> u64 {
        self.data_chunks - self.unordered_chunks - self.data_chunks_dropped - self.duplicate_tsns
    }
}

impl StackStats {
    /// An association has sent something.
    #[inline]
    pub(crate) const fn count_sent(&mut self, before: &TallySent, after: &TallySent) {
        self.control_chunks_sent += after.control_chunks - before.control_chunks;
        self.ordered_chunks_sent += after.ordered() - before.ordered();
        self.unordered_chunks_sent += after.unordered_chunks - before.unordered_chunks;
        self.data_chunks_retransmitted += after.data_chunks_retransmitted - before.data_chunks_retransmitted;
        self.messages_fragmented += after.messages_fragmented - before.messages_fragmented;
    }

    /// An association has received something.
    #[inline]
    pub(crate) const fn count_received(&mut self, before: &TallyReceived, after: &TallyReceived) {
        self.control_chunks_received += after.control_chunks - before.control_chunks;
        self.ordered_chunks_received += after.ordered() - before.ordered();
        self.unordered_chunks_received += after.unordered_chunks - before.unordered_chunks;
        self.duplicate_tsns += after.duplicate_tsns - before.duplicate_tsns;
        self.messages_reassembled += after.messages_reassembled - before.messages_reassembled;
    }
}
