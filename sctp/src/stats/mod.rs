//! Counters. They have the names of the SCTP MIB (RFC 3873) where it has one, and are all 64 bits wide: none of them
//! ever wraps or begins anew.
//!
//! A counter that is to be added is a line in one of the sets; summing, listing and printing follow from it.

mod abandoned;
mod association;
mod counters;
mod path;
mod stack;
mod tally;

pub use abandoned::{AbandonedMessages, PartialReliabilityPolicy};
pub use association::AssociationStats;
pub use path::PathStats;
pub use stack::StackStats;

pub(crate) use tally::{TallyReceived, TallySent};
