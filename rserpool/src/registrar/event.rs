//! What a registrar tells its owner.

use std::fmt;

use crate::ids::{PeId, PoolHandle};

/// Why an element is no longer in the handlespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalReason {
    /// It deregistered (RFC 5352 §3.2).
    Deregistered,
    /// Its registration ran out (RFC 5352 §3.2).
    Expired,
    /// It did not answer a keep-alive in time (RFC 5352 §3.5).
    KeepAliveTimeout,
    /// Its association was gone, and no other could be set up (RFC 5352 §3.5).
    Unreachable,
    /// Its association was aborted or lost.
    AssociationLost,
    /// Too many reported it unreachable (RFC 5352 §3.5).
    Reported,
}

impl fmt::Display for RemovalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deregistered => "deregistered",
            Self::Expired => "registration expired",
            Self::KeepAliveTimeout => "no answer to keep-alive",
            Self::Unreachable => "cannot be reached",
            Self::AssociationLost => "association lost",
            Self::Reported => "reported unreachable",
        })
    }
}

/// What happened at a registrar, for logs and displays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrarEvent {
    /// An element is new in the handlespace.
    ElementRegistered {
        /// Its pool.
        pool: PoolHandle,
        /// Which it is.
        pe: PeId,
    },
    /// An element registered again with other values. (Registering again with the same ones is no event.)
    ElementUpdated {
        /// Its pool.
        pool: PoolHandle,
        /// Which it is.
        pe: PeId,
    },
    /// An element is no longer in the handlespace.
    ElementRemoved {
        /// Its pool.
        pool: PoolHandle,
        /// Which it was.
        pe: PeId,
        /// Why.
        reason: RemovalReason,
    },
}
