//! Stream re-configuration (RFC 6525): what is offered, and what a peer may ask for.

use super::check;
use crate::error::ConfigError;

/// Which requests of the peer are carried out (RFC 6525 §6.3.1, SCTP_ENABLE_STREAM_RESET); the others are denied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReconfigRequests {
    /// Outgoing and Incoming SSN Reset Requests (SCTP_ENABLE_RESET_STREAM_REQ).
    pub reset_streams: bool,
    /// SSN/TSN Reset Requests (SCTP_ENABLE_RESET_ASSOC_REQ).
    pub reset_association: bool,
    /// Add Outgoing and Add Incoming Streams Requests (SCTP_ENABLE_CHANGE_ASSOC_REQ).
    pub add_streams: bool,
}

impl ReconfigRequests {
    /// None: the default of RFC 6525 §6.3.1.
    pub const NONE: Self = Self {
        reset_streams: false,
        reset_association: false,
        add_streams: false,
    };
    /// All of them.
    pub const ALL: Self = Self {
        reset_streams: true,
        reset_association: true,
        add_streams: true,
    };
}

/// How an association takes part in re-configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconfigConfig {
    offered: bool,
    accepted: ReconfigRequests,
    max_outbound_streams: u16,
}

impl Default for ReconfigConfig {
    /// Offered, so that the own user may ask the peer; the peer's requests are denied (RFC 6525 §6.3.1). A peer may
    /// have 2048 outbound streams at most.
    fn default() -> Self {
        Self {
            offered: true,
            accepted: ReconfigRequests::NONE,
            max_outbound_streams: 2048,
        }
    }
}

impl ReconfigConfig {
    /// Whether RE-CONFIG is offered to the peer (RFC 6525 §5.1.1).
    pub const fn offered(&self) -> bool {
        self.offered
    }

    /// Sets whether RE-CONFIG is offered to the peer. Without it neither side can ask for anything.
    pub const fn set_offered(&mut self, offered: bool) {
        self.offered = offered;
    }

    /// Which requests of the peer are carried out.
    pub const fn accepted(&self) -> ReconfigRequests {
        self.accepted
    }

    /// Sets which requests of the peer are carried out. A user that looks at stream sequence numbers must be ready for
    /// their beginning anew (RFC 6525 §7). What answers an own request is always carried out.
    pub const fn set_accepted(&mut self, accepted: ReconfigRequests) {
        self.accepted = accepted;
    }

    /// Up to how many outbound streams a peer can make this side have by Add Incoming Streams Requests (RFC 6525
    /// §5.2.6). For inbound streams that is
    /// [`AssociationConfig::max_inbound_streams`](super::AssociationConfig::max_inbound_streams).
    pub const fn max_outbound_streams(&self) -> u16 {
        self.max_outbound_streams
    }

    /// Sets that limit. A stream that is used costs a few bytes.
    pub fn set_max_outbound_streams(&mut self, streams: u16) -> Result<(), ConfigError> {
        check(streams >= 1, "maximum outbound streams", "1 to 65535")?;
        self.max_outbound_streams = streams;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6525_6_3_1_the_default_denies_all_requests() {
        let config = ReconfigConfig::default();
        assert!(config.offered());
        assert_eq!(config.accepted(), ReconfigRequests::NONE);
        assert_eq!(ReconfigRequests::default(), ReconfigRequests::NONE);
    }
}
