//! Everything that happened, a line each, and a running hash of it.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hasher};

use crate::Instant;

/// What happened in a world. The hash covers every line and the bytes of every packet; the lines themselves are kept
/// only if asked for.
#[derive(Debug)]
pub struct Trace {
    hasher: DefaultHasher,
    count: u64,
    keep: usize,
    lines: VecDeque<String>,
    scratch: String,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self {
            hasher: DefaultHasher::new(),
            count: 0,
            keep: 0,
            lines: VecDeque::new(),
            scratch: String::new(),
        }
    }

    /// Keeps the last `lines` lines from now on.
    pub fn keep(&mut self, lines: usize) {
        self.keep = lines;
        while self.lines.len() > lines {
            self.lines.pop_front();
        }
    }

    /// How many events there were.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// A hash of everything that happened so far. Equal in two runs of the same program with the same seed.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The lines kept, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// Adds a line: what happened to `subject`.
    pub(crate) fn line(&mut self, now: Instant, subject: &str, what: fmt::Arguments<'_>) {
        self.count += 1;
        let nanos = now.as_nanos();
        let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        self.scratch.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.scratch, "{seconds:>6}.{nanos:09} {subject}: {what}");
        self.hasher.write(self.scratch.as_bytes());
        self.hasher.write_u8(b'\n');
        if self.keep > 0 {
            if self.lines.len() >= self.keep {
                self.lines.pop_front();
            }
            self.lines.push_back(self.scratch.clone());
        }
    }

    /// Adds bytes to the hash only.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.hasher.write(bytes);
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_covers_lines_that_are_not_kept() {
        let (mut a, mut b) = (Trace::new(), Trace::new());
        b.keep(2);
        for n in 0..5 {
            a.line(Instant::from_millis(n), "x", format_args!("{n}"));
            b.line(Instant::from_millis(n), "x", format_args!("{n}"));
        }
        assert_eq!((a.hash(), a.lines().count()), (b.hash(), 0));
        assert_eq!(b.to_string(), "     0.003000000 x: 3\n     0.004000000 x: 4\n");
        a.bytes(&[1]);
        assert_ne!(a.hash(), b.hash());
    }
}
