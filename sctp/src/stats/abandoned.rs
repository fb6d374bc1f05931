//! Messages that were given up (RFC 7496 §4.3, §4.4).

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
