//! Helpers for tests that need more than the Rust toolchain: root, foreign programs.
//!
//! Such a test asks first and returns if the answer is no:
//!
//! ```no_run
//! let Some(tshark) = netns_tests::require::tool("tshark") else { return };
//! if !netns_tests::require::root() { return }
//! ```
//!
//! Each refusal prints one line, `skipped: TEST: REASON`. With `TESTS_REQUIRE=all` in the environment it fails the
//! test instead, so a machine that claims to have everything cannot skip anything by mistake.

pub mod require;
