//! User message interleaving and stream schedulers (RFC 8260), and how pieces of messages may mix on their way to the
//! user (RFC 6458 §8.1.20).

use crate::config::check;
use crate::error::ConfigError;

/// In which order the messages of different streams are sent (RFC 8260 §3).
///
/// With interleaving negotiated, a scheduler chooses anew for every chunk; without, a message once begun is finished
/// first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamScheduler {
    /// In the order in which the user sent them (§3.1, SCTP_SS_FCFS). Messages are never interleaved.
    #[default]
    FirstComeFirstServed,
    /// One stream after the other, a message each, or a chunk each with interleaving (§3.2, SCTP_SS_RR).
    RoundRobin,
    /// The same, a packet each: a lost packet holds up one stream only (§3.3, SCTP_SS_RR_PKT).
    RoundRobinPerPacket,
    /// The stream with the lowest value first, strictly; among equals first come, first served (§3.4, SCTP_SS_PRIO).
    Priority,
    /// The same capacity for each stream (§3.5, SCTP_SS_FC).
    FairCapacity,
    /// Capacity in proportion to the streams' values, where zero counts as one (§3.6, SCTP_SS_WFQ).
    WeightedFairQueueing,
}

/// How far pieces of messages may mix on their way to the user, where messages are delivered in pieces (RFC 6458
/// §8.1.20). It takes effect in the [`Received`](crate::Received) that one association hands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum FragmentInterleave {
    /// Level 0: nothing comes between the pieces of a message, from whatever association. The engine does as for
    /// level 1; what concerns several associations is up to whoever receives for them.
    Nothing,
    /// Level 1: nothing of the same association comes between them.
    #[default]
    Associations,
    /// Level 2: nothing of the same stream comes between them; other streams' messages and pieces may.
    Streams,
}

/// Whether and how an association interleaves messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterleavingConfig {
    offered: bool,
    fragments_from_zero: bool,
    fragment_interleave: FragmentInterleave,
}

impl InterleavingConfig {
    /// Whether interleaving (I-DATA) is offered to the peer (RFC 8260 §2.2.1); not by default.
    pub const fn offered(&self) -> bool {
        self.offered
    }

    /// Sets whether interleaving is offered to the peer. Offering it sets
    /// [`fragment_interleave`](Self::fragment_interleave) to [`FragmentInterleave::Streams`]: with less, messages that
    /// the peer interleaves could fill the receive buffer while the user waits for the end of one of them (RFC 8260
    /// §4.3.1).
    pub const fn set_offered(&mut self, offered: bool) {
        self.offered = offered;
        if offered {
            self.fragment_interleave = FragmentInterleave::Streams;
        }
    }

    /// How far pieces of messages may mix on their way to the user.
    pub const fn fragment_interleave(&self) -> FragmentInterleave {
        self.fragment_interleave
    }

    /// Sets how far pieces of messages may mix on their way to the user. While interleaving is offered nothing but
    /// [`FragmentInterleave::Streams`] is possible.
    pub fn set_fragment_interleave(&mut self, level: FragmentInterleave) -> Result<(), ConfigError> {
        let valid = !self.offered || level == FragmentInterleave::Streams;
        check(valid, "fragment interleave", "level 2 while interleaving is offered")?;
        self.fragment_interleave = level;
        Ok(())
    }

    /// Whether the fragments after the first are numbered 0, 1, ... when the association begins.
    pub const fn fragments_from_zero(&self) -> bool {
        self.fragments_from_zero
    }

    /// Sets whether the fragments after the first are numbered 0, 1, ... as the Linux kernel does and expects, rather
    /// than 1, 2, ... (RFC 8260 §2.1: the first counts as 0). Both are understood, and a peer that counts from zero is
    /// answered in kind from then on; a peer that is known for Linux by its set-up is at once. This is for one
    /// with partial reliability switched off, which is not, and only receives. Others than Linux cannot put such
    /// messages together.
    pub const fn set_fragments_from_zero(&mut self, from_zero: bool) {
        self.fragments_from_zero = from_zero;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8260_4_3_1_whoever_offers_interleaving_takes_interleaved_messages() {
        let mut config = InterleavingConfig::default();
        assert!(!config.offered() && config.fragment_interleave() == FragmentInterleave::Associations);
        assert!(config.set_fragment_interleave(FragmentInterleave::Nothing).is_ok());
        config.set_offered(true);
        assert_eq!(config.fragment_interleave(), FragmentInterleave::Streams);
        assert!(config.set_fragment_interleave(FragmentInterleave::Nothing).is_err());
        assert_eq!(config.fragment_interleave(), FragmentInterleave::Streams);
    }
}
