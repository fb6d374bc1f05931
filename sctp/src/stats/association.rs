//! Counters of an association.

use super::counters::counters;

counters! {
    /// What happened in one association; "DATA chunks" are I-DATA chunks where messages are interleaved. Counters only
    /// grow; a restart of the peer leaves them.
    AssociationStats {
        /// Packets received.
        packets_received,
        /// Packets sent.
        packets_sent,
        /// Bytes of the packets received, from the SCTP common header on.
        bytes_received,
        /// Bytes of the packets sent, from the SCTP common header on.
        bytes_sent,
        /// Expiries of T1-init and T1-cookie (RFC 9260 §5.1.6).
        t1_expiries = "sctpAssocT1expireds",
        /// Expiries of T2-shutdown (RFC 9260 §9.2).
        t2_expiries = "sctpAssocT2expireds",
        /// DATA chunks received, duplicates included.
        data_chunks_received,
        /// DATA chunks received that were there already.
        duplicate_tsns,
        /// DATA chunks received and taken that were not the next to be expected.
        out_of_order_tsns,
        /// DATA chunks dropped because the receive buffer was full.
        data_chunks_dropped,
        /// Unordered DATA chunks received and taken: neither duplicates, nor dropped.
        unordered_chunks_received,
        /// Messages put together from more than one chunk, or delivered in pieces.
        messages_reassembled,
        /// DATA chunks sent for the first time.
        data_chunks_sent,
        /// Unordered ones among them.
        unordered_chunks_sent,
        /// Messages sent in more than one chunk.
        messages_fragmented,
        /// DATA chunks sent again.
        data_chunks_retransmitted = "sctpAssocRtxChunks",
        /// Retransmissions that the fast retransmit rule caused (RFC 9260 §7.2.4).
        fast_retransmits,
        /// Expiries of a T3-rtx timer (RFC 9260 §6.3.3).
        t3_expiries,
        /// Expiries of a T4-rto timer (RFC 5061 §5.1).
        t4_expiries,
        /// ASCONF chunks sent, repeated ones included (RFC 5061).
        asconfs_sent,
        /// ASCONF chunks received that got an answer.
        asconfs_received,
        /// ASCONF-ACK chunks sent.
        asconf_acks_sent,
        /// ASCONF-ACK chunks received that answer an ASCONF.
        asconf_acks_received,
        /// ASCONF and ASCONF-ACK chunks thrown away: malformed, out of order, or too late.
        asconfs_ignored,
        /// Messages given up before any of them was sent (RFC 7496 §4.4).
        messages_abandoned_unsent,
        /// Messages given up after at least a part was sent (RFC 7496 §4.4).
        messages_abandoned_sent,
        /// FORWARD-TSN chunks sent.
        forward_tsns_sent,
        /// FORWARD-TSN chunks received.
        forward_tsns_received,
        /// RE-CONFIG chunks sent (RFC 6525).
        reconfigs_sent,
        /// RE-CONFIG chunks received (RFC 6525).
        reconfigs_received,
        /// Messages handed over by the user.
        messages_sent,
        /// Messages handed to the user.
        messages_received,
        /// Chunks sent other than DATA.
        control_chunks_sent,
        /// Chunks received other than DATA.
        control_chunks_received,
        /// SACK chunks sent.
        sacks_sent,
        /// SACK chunks received.
        sacks_received,
        /// Gap Ack Blocks received in them.
        gap_ack_blocks_received,
        /// SACK chunks thrown away because they acknowledge what was never sent, or are older than what is known.
        sacks_ignored,
        /// AUTH chunks sent (RFC 4895).
        auth_chunks_sent,
        /// Valid AUTH chunks received.
        auth_chunks_received,
        /// AUTH chunks received whose HMAC is wrong, or of a key or algorithm that is not there.
        auth_failures,
        /// Chunks dropped because they must be authenticated and were not.
        unauthenticated_chunks_dropped,
        /// Probes of the path MTU sent (RFC 8899 §6.2.1.2).
        mtu_probes_sent,
        /// Probes of a closed window sent (RFC 9260 §6.1 A).
        zero_window_probes,
        /// Packets with data received that a router had marked (RFC 3168).
        marked_packets_received,
        /// ECNE chunks sent: a mark is told again and again until the peer says that it knows.
        ecn_echoes_sent,
        /// ECNE chunks received for data that was sent.
        ecn_echoes_received,
        /// How often a congestion window was shrunk because of marks.
        ecn_reductions,
        /// Times that the peer lost its state and set the association up anew (RFC 9260 §5.2.4 A).
        restarts,
    }
}
