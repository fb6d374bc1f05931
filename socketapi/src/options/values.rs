//! Options that go together.

use std::time::Duration;

/// The bounds of the retransmission time-out (`struct sctp_rtoinfo`, RFC 6458 §8.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtoInfo {
    /// RTO.Initial.
    pub initial: Duration,
    /// RTO.Min.
    pub min: Duration,
    /// RTO.Max.
    pub max: Duration,
}

/// Retransmissions, addresses and windows (`struct sctp_assocparams`, RFC 6458 §8.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssocParams {
    /// Association.Max.Retrans: how many answers in a row may be missing before the association is given up.
    pub max_retransmits: u16,
    /// How many addresses the peer has; zero for new associations.
    pub peer_destinations: usize,
    /// What is left of the peer's receive window, in bytes; zero for new associations.
    pub peer_rwnd: usize,
    /// The own receive window in bytes, as the peer was told last; of new associations, what they begin with.
    pub local_rwnd: u32,
    /// Valid.Cookie.Life of a listening socket; `None` for what its stack says.
    pub cookie_life: Option<Duration>,
}

/// What set-up asks for (`struct sctp_initmsg`, RFC 6458 §8.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitMsg {
    /// How many outbound streams are asked for.
    pub num_ostreams: u16,
    /// How many inbound streams are accepted.
    pub max_instreams: u16,
    /// Max.Init.Retransmits: how often an INIT or COOKIE ECHO is repeated.
    pub max_attempts: u16,
    /// The longest wait before it is repeated, in place of RTO.Max; `None` for RTO.Max.
    pub max_init_timeo: Option<Duration>,
}

/// How acknowledgements are delayed (`struct sctp_sack_info`, RFC 6458 §8.1.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelayedSack {
    /// How long one may wait; at most 500 ms.
    pub delay: Duration,
    /// After how many packets with data one is sent at once; 1 switches the delay off.
    pub frequency: u8,
}
