//! Reliable Server Pooling (RFC 5351 to 5356): servers of one kind form a pool with a name, registrars know who is in
//! it, and users hold sessions with the pool rather than with one of its servers.
//!
//! Programs start with [`api`]: registrars, pool elements and pool users as tasks on a tokio runtime.
//!
//! # Engines and drivers
//!
//! The roles ([`Registrar`](registrar::Registrar), [`PoolElement`](element::PoolElement), [`PoolUser`](user::PoolUser))
//! are engines without I/O: [`NetEvent`](net::NetEvent)s and the time go in, [`NetCommand`](net::NetCommand)s, role
//! events and the next timeout come out. What a pool element serves is a [`Service`](service::Service), which is
//! without I/O as well. Drivers (in `driver`) carry engines over SCTP sockets; the simulator (in `sim`, a feature)
//! carries the same engines through seeded faults.
//!
//! | layer | modules | what |
//! |---|---|---|
//! | 5 | [`api`], `driver` | tasks, sockets, the clock |
//! | 4 | `sim` | deployments in the simulator (feature `sim`) |
//! | 3 | [`registrar`], [`element`], [`user`] | the roles |
//! | 2 | [`asap`], [`session`], [`service`], [`handlespace`], `cache`, [`policy`] | requests; sessions; what is known of pools |
//! | 1 | [`wire`], [`config`] | messages, parameters; what can be configured |
//! | 0 | [`ids`], [`net`] | names, and the boundary to the network |
//!
//! A module imports from below only; `tests/layering.rs` checks it.
//!
//! # Where the roles deviate from the RFCs
//!
//! - A registrar removes an element when MAX-BAD-PE-REPORT is reached, as deployed ones do, and without another
//!   keep-alive (RFC 5352 §3.5: when it is exceeded). Earlier reports probe the element, whose answer clears them.
//! - A registrar that does not answer a handle resolution is given up at once for another one, which gets the request
//!   again (RFC 5352 §3.7.2 would go on asking it beside the search): its association proves nothing any more.
//! - After MAX-REG-ATTEMPT registrations without answer the application is told, but attempts go on (RFC 5352 §3.1
//!   would stop): a pool element is of no use outside of its pool.
//! - An announce without transports stands for its source address with both its UDP source port, which deployed
//!   registrars mean, and the port of ASAP (RFC 5352 §3.6).
//! - Business cards are heeded by users but not sent by elements (RFC 5352 §3.9 would always send one): the answers of
//!   registrars are newer.
//! - Updates of handle resolutions (the S bit, RFC 5352 §2.2.5) are not asked for.
//! - ASAP runs over SCTP only, and without TLS (RFC 5352 §9.2): addresses and identities are as trustworthy as the
//!   network.

#![forbid(unsafe_code)]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "tests state what they expect"
    )
)]

pub mod api;
pub mod asap;
mod cache;
pub mod config;
mod driver;
pub mod element;
pub mod handlespace;
#[cfg(test)]
mod hostile;
pub mod ids;
pub mod net;
mod outbox;
pub mod policy;
pub mod registrar;
pub mod service;
pub mod session;
#[cfg(test)]
mod testing;
pub mod user;
pub mod wire;

#[cfg(feature = "sim")]
pub mod sim;

pub use wire::error;
