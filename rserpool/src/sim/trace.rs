//! What happened in a deployment: a running hash of all of it, and the last lines for people.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use sctp::Instant;

use crate::net::{NetEvent, PPID_ASAP};
use crate::wire::asap::AsapMessage;

/// What happened in a deployment. Equal in two runs of the same program with the same seed.
#[derive(Debug, Default)]
pub struct Trace {
    hasher: DefaultHasher,
    count: u64,
    last: VecDeque<String>,
}

impl Trace {
    const KEPT: usize = 200;

    pub(super) fn line(&mut self, now: Instant, subject: &str, what: fmt::Arguments<'_>) {
        let nanos = now.as_nanos();
        let line = format!(
            "{:5}.{:09} {subject}: {what}",
            nanos / 1_000_000_000,
            nanos % 1_000_000_000
        );
        self.hasher.write(line.as_bytes());
        self.count += 1;
        if self.last.len() == Self::KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// What a node is told.
    pub(super) fn event(&mut self, now: Instant, subject: &str, event: &NetEvent) {
        match event {
            NetEvent::Message {
                conn, ppid, payload, ..
            } if *ppid == PPID_ASAP => match AsapMessage::decode(payload) {
                Ok(message) => self.line(now, subject, format_args!("{conn:?} {message:?}")),
                Err(error) => self.line(now, subject, format_args!("{conn:?} {error}")),
            },
            NetEvent::Message {
                conn, ppid, payload, ..
            } => {
                self.line(now, subject, format_args!("{conn:?} {ppid:?} {payload:02x?}"));
            }
            other => self.line(now, subject, format_args!("{other:?}")),
        }
    }

    /// How many lines there were.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// A hash of all lines.
    pub fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    /// The last lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }
}
