//! A seeded world of hosts and links: real engines, a virtual clock, one thread.
//!
//! A [`World`] holds [links](LinkConfig) and [hosts](HostConfig). A host has interfaces with addresses, each on a
//! link, and a [`Stack`](crate::Stack) with or without UDP encapsulation. Engines of other packages run on a host as
//! [`App`]s. A *scripted* host has no stack: a test sends packets in its name and looks at what came back.
//!
//! Everything random follows from the seed of the world and the *name* of the host or link that draws, so that a new
//! host does not change what happens to the others. Every event is a line of the [`Trace`]: the same seed gives the
//! same trace, byte for byte.
//!
//! Idle time costs nothing: the clock jumps from event to event.
//!
//! This is a tool for tests: a broken invariant (a packet from an address that the host does not own, a timer in the
//! past) and a wrong use (an id of another world) panic.

#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a tool for tests: a broken invariant must stop the run"
)]

mod app;
mod host;
mod ids;
mod link;
mod packet;
mod pcap;
mod route;
mod script;
mod trace;
mod world;

pub use app::{App, AppEvent, HostCtx};
pub use host::{HostConfig, HostStats};
pub use ids::{AppId, HostId, LinkId, seed_of};
pub use link::{Captured, Fate, LinkConfig, LinkStats, Loss, TooBig, Verdict};
pub use packet::{Packet, Transport};
pub use pcap::write_pcap;
pub use script::Script;
pub use trace::Trace;
pub use world::World;
