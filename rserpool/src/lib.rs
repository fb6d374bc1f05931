//! Reliable Server Pooling (RFC 5351 to 5356).
//!
//! The roles (registrar, pool element, pool user) are engines without I/O: [`net::NetEvent`]s and the time go in,
//! [`net::NetCommand`]s, role events and the next timeout come out.

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
