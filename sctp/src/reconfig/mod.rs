//! Stream re-configuration (RFC 6525): the own request that waits for its answer in `outgoing`, the peer's requests and
//! what was answered to them in `incoming`. What a request does to streams and TSNs is done in `send` and `recv`.

mod incoming;
mod outgoing;

pub(crate) use incoming::{Answer, Deferred, Incoming, Turn, Wanted};
pub(crate) use outgoing::{Ask, Outgoing, Part, Settled};

use crate::serial::Tsn;

/// The re-configuration of one association.
#[derive(Debug)]
pub(crate) struct Reconfig {
    pub(crate) outgoing: Outgoing,
    pub(crate) incoming: Incoming,
}

impl Reconfig {
    /// Requests are numbered from the initial TSNs on (RFC 6525 §4.1).
    pub(crate) fn new(local_initial_tsn: Tsn, peer_initial_tsn: Tsn) -> Self {
        Self {
            outgoing: Outgoing::new(local_initial_tsn),
            incoming: Incoming::new(peer_initial_tsn),
        }
    }
}
