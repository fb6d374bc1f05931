//! The bodies of the fuzz targets in `fuzz/`: the only door that fuzzers need. Ordinary tests run them over the seeds
//! there, as they are and damaged.
//!
//! A body takes any bytes, and panics if what it tries does not behave. [`TARGETS`] lists them with the names under
//! which `fuzz/seeds` and `.ci/fuzz` know them.

mod asconf;
mod auth;
mod choices;
mod cookie;
mod hostile_peer;
mod outstanding;
mod packet;
mod reassembly;
mod reconfig;
mod sack;
mod sender;
mod stack_pair;
#[cfg(test)]
mod tests;

use choices::Choices;

pub use asconf::asconf;
pub use auth::auth;
pub use cookie::cookie;
pub use outstanding::outstanding;
pub use packet::{chunk, packet};
pub use reassembly::reassembly;
pub use reconfig::reconfig;
pub use sack::sack;
pub use stack_pair::stack_pair;

/// What messages are cut from.
static PATTERN: [u8; 1 << 17] = {
    let mut pattern = [0; 1 << 17];
    let mut at = 0;
    while at < pattern.len() {
        pattern[at] = (at as u32).wrapping_mul(0x9e37_79b1).to_be_bytes()[0];
        at += 1;
    }
    pattern
};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What it runs.
    pub body: fn(&[u8]),
    /// Inputs longer than this bring nothing new.
    pub max_len: usize,
}

const fn target(name: &'static str, body: fn(&[u8]), max_len: usize) -> Target {
    Target { name, body, max_len }
}

/// All fuzz targets.
pub const TARGETS: &[Target] = &[
    target("packet", packet, 600),
    target("chunk", chunk, 600),
    target("cookie", cookie, 300),
    target("sack", sack, 120),
    target("outstanding", outstanding, 200),
    target("reassembly", reassembly, 300),
    target("reconfig", reconfig, 300),
    target("asconf", asconf, 300),
    target("auth", auth, 300),
    target("stack_pair", stack_pair, 200),
];

/// The inputs in a file of seeds: each line is one in hexadecimal digits; `#` begins a comment. `None` if a line is
/// something else.
pub fn parse_seeds(text: &str) -> Option<Vec<Vec<u8>>> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let byte = |pair: &[u8]| {
        let digits = std::str::from_utf8(pair).ok().filter(|_| pair.len() == 2)?;
        u8::from_str_radix(digits, 16).ok()
    };
    lines
        .map(|line| line.as_bytes().chunks(2).map(byte).collect())
        .collect()
}
