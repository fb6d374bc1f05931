//! Helpers for tests that run programs, ours or foreign ones, and look at their packets.
//!
//! A test that needs something the machine may lack asks first and returns if the answer is no:
//!
//! ```no_run
//! let Some(tshark) = netns_tests::require::tool("tshark") else { return };
//! if !netns_tests::require::root() { return }
//! ```
//!
//! Each refusal prints one line, `skipped: TEST: REASON`. With `TESTS_REQUIRE=all` in the environment it fails the
//! test instead, so a machine that claims to have everything cannot skip anything by mistake.

pub mod capture;
pub mod content;
pub mod guest;
pub mod host;
mod lines;
pub mod namespace;
pub mod process;
pub mod require;
pub mod rootless;
