//! The states of an association (RFC 9260 §4), with the data that only they have.

use std::fmt;

use bytes::Bytes;

use crate::Instant;

/// Where in its life an association is (RFC 9260 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum AssociationPhase {
    /// INIT sent.
    CookieWait,
    /// COOKIE ECHO sent.
    CookieEchoed,
    /// Open in both directions.
    Established,
    /// Shutting down once everything queued is acknowledged.
    ShutdownPending,
    /// SHUTDOWN sent.
    ShutdownSent,
    /// SHUTDOWN received, still sending what is queued.
    ShutdownReceived,
    /// SHUTDOWN ACK sent.
    ShutdownAckSent,
    /// Over; received data may still be taken.
    Closed,
}

/// A timer that repeats what was sent until an answer comes, and how often it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Repeat {
    pub(crate) at: Instant,
    pub(crate) attempts: u16,
}

/// The shutdown timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShutdownTimers {
    /// T2-shutdown.
    pub(crate) t2: Repeat,
    /// T5-shutdown-guard.
    pub(crate) t5: Instant,
}

/// The state, with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) enum State {
    CookieWait {
        /// T1-init.
        t1: Repeat,
        /// How often the peer found the cookie stale (§5.2.6).
        stale_cookies: u16,
        /// By how many milliseconds the cookie should live longer (§3.3.2.1.3).
        preservative: u32,
        /// Shut down as soon as there is something to shut down.
        shutdown_wanted: bool,
    },
    CookieEchoed {
        /// T1-cookie.
        t1: Repeat,
        cookie: Bytes,
        sent_at: Instant,
        stale_cookies: u16,
        shutdown_wanted: bool,
    },
    Established,
    ShutdownPending,
    ShutdownSent(ShutdownTimers),
    ShutdownReceived,
    ShutdownAckSent(ShutdownTimers),
    Closed {
        /// It ended by shutdown.
        graceful: bool,
    },
}

impl State {
    pub(crate) const fn phase(&self) -> AssociationPhase {
        match self {
            Self::CookieWait { .. } => AssociationPhase::CookieWait,
            Self::CookieEchoed { .. } => AssociationPhase::CookieEchoed,
            Self::Established => AssociationPhase::Established,
            Self::ShutdownPending => AssociationPhase::ShutdownPending,
            Self::ShutdownSent(_) => AssociationPhase::ShutdownSent,
            Self::ShutdownReceived => AssociationPhase::ShutdownReceived,
            Self::ShutdownAckSent(_) => AssociationPhase::ShutdownAckSent,
            Self::Closed { .. } => AssociationPhase::Closed,
        }
    }

    /// The earliest of the state's own timers.
    pub(crate) fn timer(&self) -> Option<Instant> {
        match self {
            Self::CookieWait { t1, .. } | Self::CookieEchoed { t1, .. } => Some(t1.at),
            Self::ShutdownSent(timers) | Self::ShutdownAckSent(timers) => Some(timers.t2.at.min(timers.t5)),
            Self::Established | Self::ShutdownPending | Self::ShutdownReceived | Self::Closed { .. } => None,
        }
    }
}

/// As RFC 9260 writes it.
impl fmt::Display for AssociationPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CookieWait => "COOKIE-WAIT",
            Self::CookieEchoed => "COOKIE-ECHOED",
            Self::Established => "ESTABLISHED",
            Self::ShutdownPending => "SHUTDOWN-PENDING",
            Self::ShutdownSent => "SHUTDOWN-SENT",
            Self::ShutdownReceived => "SHUTDOWN-RECEIVED",
            Self::ShutdownAckSent => "SHUTDOWN-ACK-SENT",
            Self::Closed => "CLOSED",
        })
    }
}

impl AssociationPhase {
    /// Every phase.
    #[cfg(test)]
    const ALL: [Self; 8] = [
        Self::CookieWait,
        Self::CookieEchoed,
        Self::Established,
        Self::ShutdownPending,
        Self::ShutdownSent,
        Self::ShutdownReceived,
        Self::ShutdownAckSent,
        Self::Closed,
    ];

    /// Whether the diagram of RFC 9260 §4 (with §5.2.4, §5.2.6 and §9) leads from this phase to `next`.
    pub(crate) const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            // Everything can end.
            (Self::CookieWait
            | Self::CookieEchoed
            | Self::Established
            | Self::ShutdownPending
            | Self::ShutdownSent
            | Self::ShutdownReceived
            | Self::ShutdownAckSent, Self::Closed)
            // §5.1, §5.2.4 B: both sides at once.
            | (Self::CookieWait, Self::CookieEchoed | Self::Established)
            // §5.2.6: a stale cookie starts over.
            | (Self::CookieEchoed, Self::CookieWait | Self::Established)
            // §9.2.
            | (Self::Established, Self::ShutdownPending | Self::ShutdownReceived)
            | (Self::ShutdownPending, Self::ShutdownSent | Self::ShutdownReceived)
            | (Self::ShutdownSent, Self::ShutdownAckSent)
            | (Self::ShutdownReceived, Self::ShutdownAckSent)
            // §5.2.4 A: a restarted peer.
            | (Self::Established | Self::ShutdownPending | Self::ShutdownSent | Self::ShutdownReceived, Self::Established)
        )
    }

    /// Whether DATA may be sent (§6: before and while the own shutdown waits, and after the peer's).
    pub(crate) const fn may_send_data(self) -> bool {
        matches!(self, Self::Established | Self::ShutdownPending | Self::ShutdownReceived)
    }

    /// Whether DATA is taken in (§6).
    pub(crate) const fn may_receive_data(self) -> bool {
        matches!(self, Self::Established | Self::ShutdownPending | Self::ShutdownSent)
    }

    /// Whether the association is being set up.
    pub(crate) const fn is_setup(self) -> bool {
        matches!(self, Self::CookieWait | Self::CookieEchoed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9260_4_transitions_are_those_of_the_diagram() {
        let mut table = String::new();
        for from in AssociationPhase::ALL {
            let to: Vec<String> = AssociationPhase::ALL
                .into_iter()
                .filter(|&to| from.may_become(to))
                .map(|to| format!("{to:?}"))
                .collect();
            table += &format!("{from:?} -> {}\n", to.join(", "));
        }
        assert_eq!(
            table,
            "CookieWait -> CookieEchoed, Established, Closed\n\
             CookieEchoed -> CookieWait, Established, Closed\n\
             Established -> Established, ShutdownPending, ShutdownReceived, Closed\n\
             ShutdownPending -> Established, ShutdownSent, ShutdownReceived, Closed\n\
             ShutdownSent -> Established, ShutdownAckSent, Closed\n\
             ShutdownReceived -> Established, ShutdownAckSent, Closed\n\
             ShutdownAckSent -> Closed\n\
             Closed -> \n"
        );
    }
}
