//! SCTP (RFC 9260) as an engine without I/O.
//!
//! A [`Stack`] is one SCTP instance on a set of local addresses. It has no clock, socket, thread or global: datagrams,
//! timeouts and commands go in; packets, events and the next timeout come out. The same seed and the same inputs give
//! the same outputs, byte for byte.
//!
//! # The loop around it
//!
//! 1. Give it an input (a datagram, a due timeout) or a command, with the time. Time never goes back.
//! 2. Call [`Stack::poll_transmit`] until it returns `None`, and send what it wrote.
//! 3. Call [`Stack::poll_event`] until it returns `None`.
//! 4. Sleep until [`Stack::poll_timeout`], the next datagram, or the next command.
//!
//! # Where things are
//!
//! | layer | modules | what |
//! |---|---|---|
//! | 5 | `sim` `fuzz_bridge` | hosts, links and a virtual clock (feature `sim`); what fuzzers run |
//! | 4 | `stack` | demultiplexing, listening, out-of-the-blue packets, ports, ready lists |
//! | 3 | `assoc` | one association: state, input, output |
//! | 2 | `ecn` `path` `cc` `send` `recv` `auth` `reconfig` `asconf` | mechanisms that know no chunk bytes |
//! | 1 | [`wire`] [`config`] [`error`] `event` `message` `transmit` `stats` [`pcap`] | vocabulary |
//! | 0 | [`time`] [`random`] [`serial`] [`addr`] [`tlv`] [`timer`] `map` `serialize` `streams` | no protocol knowledge |
//!
//! A module imports from lower layers only; `tests/layering.rs` checks it.

#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]
#![cfg_attr(
    any(test, fuzzing),
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "tests state what they expect"
    )
)]

pub mod addr;
mod map;
pub mod random;
pub mod serial;
#[cfg(feature = "serde")]
mod serialize;
mod streams;
pub mod time;
pub mod timer;
pub mod tlv;

pub mod config;
pub mod error;
mod event;
mod message;
pub mod pcap;
mod stats;
mod transmit;
pub mod wire;

mod asconf;
mod auth;
mod cc;
mod ecn;
mod path;
mod reconfig;
mod recv;
mod send;

mod assoc;

mod stack;

#[cfg(feature = "sim")]
pub mod sim;

#[cfg(any(test, fuzzing))]
pub mod fuzz_bridge;

pub use assoc::{AssociationPhase, AssociationStatus, PathStatus};
pub use event::{AuthEvent, Event, PathChange, ReconfigOutcome, SendFailure, StreamDirection};
pub use message::{OutMessage, Received, Reliability};
pub use path::{MtuDiscovery, PathState};
pub use stack::{
    AssocId, AssociationSnapshot, ConnectOptions, EndpointId, LocalAddressChange, Parameters, RtoAlgorithm,
    SnapshotCursor, SnapshotPage, Stack, StackSnapshot, StreamDirections,
};
pub use stats::{AbandonedMessages, AssociationStats, PartialReliabilityPolicy, PathStats, StackStats};
pub use time::Instant;
pub use transmit::{ChecksumState, EcnCodepoint, IcmpKind, IcmpReport, RxMeta, Transmit, UdpPorts};
