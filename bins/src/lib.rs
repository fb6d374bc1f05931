//! What the programs share: application protocols, services, clients, options and logging.
//!
//! The programs parse, build and run; what they do is here, in parts without I/O wherever that is possible, so that
//! tests and the simulator use the same code.

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

pub mod args;
pub mod client;
pub mod demo;
pub mod log;
pub mod program;
pub mod protocol;
pub mod service;
pub mod stats;
