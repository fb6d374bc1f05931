//! Counters of a path.

use super::counters::counters;

counters! {
    /// What happened on the path to one of the peer's addresses. Counters only grow; a restart of the peer leaves them.
    PathStats {
        /// DATA and I-DATA chunks that were sent here and had been sent before, here or elsewhere.
        data_chunks_retransmitted = "sctpAssocRemAddrRtx",
        /// Packets sent.
        packets_sent,
        /// Packets received from the address.
        packets_received,
        /// Bytes of the packets sent, from the SCTP common header on.
        bytes_sent,
        /// Bytes of the packets received, from the SCTP common header on.
        bytes_received,
        /// Expiries of T3-rtx (RFC 9260 §6.3.3).
        t3_expiries,
        /// HEARTBEAT chunks sent, without those that probe the path MTU (RFC 9260 §8.3).
        heartbeats_sent,
        /// HEARTBEAT ACK chunks that answered them.
        heartbeats_answered,
        /// Times that the address became unreachable (RFC 9260 §8.2).
        failures,
    }
}
