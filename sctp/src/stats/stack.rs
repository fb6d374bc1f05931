//! Counters of a stack.

use super::counters::counters;

counters! {
    /// What happened on a stack as a whole (the group `sctpStats` of RFC 3873, and more). All but the first only grow.
    StackStats {
        /// Associations that are open now: in ESTABLISHED, SHUTDOWN-PENDING or SHUTDOWN-RECEIVED.
        current_established = "sctpCurrEstab",
        /// Associations that this side opened.
        active_establishments = "sctpActiveEstabs",
        /// Associations that a peer opened.
        passive_establishments = "sctpPassiveEstabs",
        /// Associations that ended without a graceful shutdown.
        aborted = "sctpAborteds",
        /// Associations that ended gracefully.
        shutdowns = "sctpShutdowns",
        /// Packets that are in order and belong to no association (RFC 9260 §8.4).
        out_of_the_blue = "sctpOutOfBlues",
        /// Packets whose CRC32c is wrong.
        checksum_errors = "sctpChecksumErrors",
        /// Chunks sent other than DATA and I-DATA, repeated ones included.
        control_chunks_sent = "sctpOutCtrlChunks",
        /// Ordered DATA and I-DATA chunks sent for the first time.
        ordered_chunks_sent = "sctpOutOrderChunks",
        /// Unordered DATA and I-DATA chunks sent for the first time.
        unordered_chunks_sent = "sctpOutUnorderChunks",
        /// Chunks received other than DATA and I-DATA, in packets that belong to an association or open one.
        control_chunks_received = "sctpInCtrlChunks",
        /// Ordered DATA and I-DATA chunks received and taken: neither duplicates, nor dropped for want of room.
        ordered_chunks_received = "sctpInOrderChunks",
        /// Unordered DATA and I-DATA chunks received and taken.
        unordered_chunks_received = "sctpInUnorderChunks",
        /// Messages sent in more than one chunk.
        messages_fragmented = "sctpFragUsrMsgs",
        /// Messages put together from more than one chunk, or delivered in pieces.
        messages_reassembled = "sctpReasmUsrMsgs",
        /// Packets sent.
        packets_sent = "sctpOutSCTPPacks",
        /// Packets received.
        packets_received = "sctpInSCTPPacks",
        /// DATA and I-DATA chunks sent again.
        data_chunks_retransmitted,
        /// DATA and I-DATA chunks received that were there already.
        duplicate_tsns,
        /// Packets that are no SCTP packets, or that are cut off or inconsistent.
        malformed,
        /// Answers to out-of-the-blue packets that policy or the rate limit held back.
        out_of_the_blue_unanswered,
        /// Packets whose verification tag is wrong (RFC 9260 §8.5).
        bad_verification_tag,
        /// Packets with a valid tag from an address that is not the peer's.
        unknown_source,
        /// INIT chunks answered (RFC 9260 §5.1).
        inits_answered,
        /// State Cookies with a wrong MAC or content, or used before (RFC 9260 §5.1.5).
        bad_cookies,
        /// State Cookies past their lifetime (RFC 9260 §5.1.5).
        stale_cookies,
        /// COOKIE ECHO chunks that must be authenticated and were not, or wrongly (RFC 4895 §6.3).
        unauthenticated_cookies,
        /// Peers that lost their state and set their association up anew (RFC 9260 §5.2.4 A).
        restarts,
        /// ICMP messages that had an effect (RFC 9260 §10).
        icmp_processed,
        /// ICMP messages that were for no association, quoted too little or a wrong tag, or said nothing of use.
        icmp_discarded,
        /// Associations refused for want of room: the backlog, the stack's limit, or that for one peer.
        refused,
    }
}
