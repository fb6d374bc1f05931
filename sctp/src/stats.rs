//! Counters. Names follow the SCTP MIB (RFC 3873) where it has one.

use std::ops::AddAssign;

/// What happened on a stack as a whole. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackStats {
    /// Associations that this side opened (sctpActiveEstabs).
    pub active_establishments: u64,
    /// Associations that a peer opened (sctpPassiveEstabs).
    pub passive_establishments: u64,
    /// Associations that ended without a graceful shutdown (sctpAborteds).
    pub aborted: u64,
    /// Associations that ended gracefully (sctpShutdowns).
    pub shutdowns: u64,
    /// Packets received (sctpInSCTPPacks).
    pub packets_received: u64,
    /// Packets sent (sctpOutSCTPPacks).
    pub packets_sent: u64,
    /// Packets that are no SCTP packets, or that are cut off or inconsistent.
    pub malformed: u64,
    /// Packets whose CRC32c is wrong (sctpChecksumErrors).
    pub checksum_errors: u64,
    /// Out-of-the-blue packets (sctpOutOfBlues).
    pub out_of_the_blue: u64,
    /// Answers to out-of-the-blue packets that the rate limit held back.
    pub out_of_the_blue_unanswered: u64,
    /// Packets whose verification tag is wrong (RFC 9260 §8.5).
    pub bad_verification_tag: u64,
    /// Packets with a valid tag from an address that is not the peer's.
    pub unknown_source: u64,
    /// INIT chunks answered (RFC 9260 §5.1).
    pub inits_answered: u64,
    /// State Cookies with a wrong MAC or content (RFC 9260 §5.1.5).
    pub bad_cookies: u64,
    /// State Cookies past their lifetime (RFC 9260 §5.1.5).
    pub stale_cookies: u64,
    /// COOKIE ECHO chunks that must be authenticated and were not, or wrongly (RFC 4895 §6.3).
    pub unauthenticated_cookies: u64,
    /// ICMP messages that had an effect (RFC 9260 §10).
    pub icmp_processed: u64,
    /// ICMP messages that were for no association, quoted too little or a wrong tag, or said nothing of use.
    pub icmp_discarded: u64,
    /// Associations refused for want of room: the backlog, the stack's limit, or that for one peer.
    pub refused: u64,
}

/// Several stacks together.
impl AddAssign for StackStats {
    fn add_assign(&mut self, other: Self) {
        // Named one by one, so that a new counter is not forgotten.
        let Self {
            active_establishments,
            passive_establishments,
            aborted,
            shutdowns,
            packets_received,
            packets_sent,
            malformed,
            checksum_errors,
            out_of_the_blue,
            out_of_the_blue_unanswered,
            bad_verification_tag,
            unknown_source,
            inits_answered,
            bad_cookies,
            stale_cookies,
            unauthenticated_cookies,
            icmp_processed,
            icmp_discarded,
            refused,
        } = other;
        for (sum, more) in [
            (&mut self.active_establishments, active_establishments),
            (&mut self.passive_establishments, passive_establishments),
            (&mut self.aborted, aborted),
            (&mut self.shutdowns, shutdowns),
            (&mut self.packets_received, packets_received),
            (&mut self.packets_sent, packets_sent),
            (&mut self.malformed, malformed),
            (&mut self.checksum_errors, checksum_errors),
            (&mut self.out_of_the_blue, out_of_the_blue),
            (&mut self.out_of_the_blue_unanswered, out_of_the_blue_unanswered),
            (&mut self.bad_verification_tag, bad_verification_tag),
            (&mut self.unknown_source, unknown_source),
            (&mut self.inits_answered, inits_answered),
            (&mut self.bad_cookies, bad_cookies),
            (&mut self.stale_cookies, stale_cookies),
            (&mut self.unauthenticated_cookies, unauthenticated_cookies),
            (&mut self.icmp_processed, icmp_processed),
            (&mut self.icmp_discarded, icmp_discarded),
            (&mut self.refused, refused),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// What happened in one association. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AssociationStats {
    /// Packets received.
    pub packets_received: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// DATA chunks received, duplicates included.
    pub data_chunks_received: u64,
    /// DATA chunks received that were there already.
    pub duplicate_tsns: u64,
    /// DATA chunks dropped because the receive buffer was full.
    pub data_chunks_dropped: u64,
    /// DATA chunks sent for the first time.
    pub data_chunks_sent: u64,
    /// DATA chunks sent again.
    pub data_chunks_retransmitted: u64,
    /// Retransmissions that the fast retransmit rule caused (RFC 9260 §7.2.4).
    pub fast_retransmits: u64,
    /// Expiries of a T3-rtx timer (RFC 9260 §6.3.3).
    pub t3_expiries: u64,
    /// Expiries of a T4-rto timer (RFC 5061 §5.1).
    pub t4_expiries: u64,
    /// ASCONF chunks sent, repeated ones included (RFC 5061).
    pub asconfs_sent: u64,
    /// ASCONF chunks received that got an answer.
    pub asconfs_received: u64,
    /// ASCONF-ACK chunks sent.
    pub asconf_acks_sent: u64,
    /// ASCONF-ACK chunks received that answer an ASCONF.
    pub asconf_acks_received: u64,
    /// ASCONF and ASCONF-ACK chunks thrown away: malformed, out of order, or too late.
    pub asconfs_ignored: u64,
    /// Messages given up before any of them was sent (RFC 7496 §4.4).
    pub messages_abandoned_unsent: u64,
    /// Messages given up after at least a part was sent (RFC 7496 §4.4).
    pub messages_abandoned_sent: u64,
    /// FORWARD-TSN chunks sent.
    pub forward_tsns_sent: u64,
    /// FORWARD-TSN chunks received.
    pub forward_tsns_received: u64,
    /// RE-CONFIG chunks sent (RFC 6525).
    pub reconfigs_sent: u64,
    /// RE-CONFIG chunks received (RFC 6525).
    pub reconfigs_received: u64,
    /// Messages handed over by the user.
    pub messages_sent: u64,
    /// Messages handed to the user.
    pub messages_received: u64,
    /// SACK chunks sent.
    pub sacks_sent: u64,
    /// SACK chunks received.
    pub sacks_received: u64,
    /// SACK chunks thrown away because they acknowledge what was never sent, or are older than what is known.
    pub sacks_ignored: u64,
    /// AUTH chunks sent (RFC 4895).
    pub auth_chunks_sent: u64,
    /// Valid AUTH chunks received.
    pub auth_chunks_received: u64,
    /// AUTH chunks received whose HMAC is wrong, or of a key or algorithm that is not there.
    pub auth_failures: u64,
    /// Chunks dropped because they must be authenticated and were not.
    pub unauthenticated_chunks_dropped: u64,
    /// Probes of the path MTU sent (RFC 8899 §6.2.1.2).
    pub mtu_probes_sent: u64,
    /// Probes of a closed window sent (RFC 9260 §6.1 A).
    pub zero_window_probes: u64,
}

/// Why messages are given up (RFC 7496 §3), for counting them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PartialReliabilityPolicy {
    /// [`Reliability::Timed`](crate::Reliability::Timed): SCTP_PR_SCTP_TTL.
    Timed,
    /// [`Reliability::Retransmissions`](crate::Reliability::Retransmissions): SCTP_PR_SCTP_RTX.
    Retransmissions,
    /// [`Reliability::Priority`](crate::Reliability::Priority): SCTP_PR_SCTP_PRIO.
    Priority,
}

impl PartialReliabilityPolicy {
    pub(crate) const FIRST: Self = Self::Timed;
    pub(crate) const LAST: Self = Self::Priority;
}

/// How many messages were given up (RFC 7496 §4.3, §4.4). Each counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AbandonedMessages {
    /// Before any part was sent (sprstat_abandoned_unsent).
    pub unsent: u64,
    /// After a part was sent (sprstat_abandoned_sent).
    pub sent: u64,
}
