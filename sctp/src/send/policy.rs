//! When a message may be given up (RFC 3758 §4.1, RFC 7496 §3).

use crate::Instant;
use crate::message::Reliability;

/// When a message is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Reliable,
    /// After this instant.
    Until(Instant),
    /// When a chunk would be sent again more often than this.
    Retransmissions(u16),
    /// When something more important needs its room; the greater, the less important.
    Priority(u32),
}

impl Policy {
    pub(super) fn new(now: Instant, reliability: Reliability) -> Self {
        match reliability {
            Reliability::Reliable => Self::Reliable,
            Reliability::Timed(lifetime) => Self::Until(now + lifetime),
            Reliability::Retransmissions(limit) => Self::Retransmissions(limit),
            Reliability::Priority(priority) => Self::Priority(priority),
        }
    }

    /// Whether nothing of the message may be sent for the first time (RFC 3758 §4.1 TR3).
    pub(super) fn is_over(self, now: Instant) -> bool {
        matches!(self, Self::Until(end) if end < now)
    }

    /// Whether a chunk that was sent again so often may not be sent once more (RFC 3758 §4.1 TR4, RFC 7496 §3.1).
    pub(super) fn gives_up(self, now: Instant, sent_again: u16) -> bool {
        match self {
            Self::Retransmissions(limit) => sent_again >= limit,
            _ => self.is_over(now),
        }
    }

    /// What [`SendQueue`](super::queue::SendQueue) compares: `None` never gives way.
    pub(super) const fn priority(self) -> Option<u32> {
        match self {
            Self::Priority(priority) => Some(priority),
            _ => None,
        }
    }
}
