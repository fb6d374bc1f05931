//! Dynamic address reconfiguration (RFC 5061): what is asked of the peer and what becomes of it, and what the peer may
//! change. It knows addresses and serial numbers; chunks are put together and applied in `assoc`.

mod addresses;
mod receiver;
mod sender;

pub(crate) use addresses::{Gone, source_for_request};
pub(crate) use receiver::{Judge, Policy, Receiver, Reception, Refusal, Verdict};
pub(crate) use sender::{Ack, Outcome, Sender, Wish};

/// How many changes one ASCONF of ours asks for. With IPv6 addresses and an AUTH in front they take about 700 bytes,
/// which fit any path (RFC 5061 §5.1.1 C5).
pub(crate) const MAX_CHANGES: usize = 16;

/// How many requests of one ASCONF are looked at. Everything beyond is refused as a whole.
pub(crate) const MAX_REQUESTS: usize = 64;
