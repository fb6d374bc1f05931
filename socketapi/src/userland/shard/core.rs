//! What the lock of a shard protects.

use sctp::Instant;

use crate::userland::clock::Clock;
use crate::userland::sock::Sockets;

/// What the lock protects.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) sockets: Sockets,
    /// The time when the clock was read last.
    pub(super) now: Instant,
    /// When the driver will look at the time by itself.
    pub(super) armed: Option<Instant>,
    /// When a caller last sent packets itself, unless someone has begun to wait for the answer.
    pub(super) sent_inline: Option<Instant>,
    /// How many handles and sockets need the stack.
    pub(super) users: usize,
    pub(super) stopped: bool,
}

impl Core {
    /// One user's, at the beginning of time.
    pub(super) const fn new(sockets: Sockets) -> Self {
        Self {
            sockets,
            now: Instant::ZERO,
            armed: None,
            sent_inline: None,
            users: 1,
            stopped: false,
        }
    }

    /// The time now.
    pub(super) fn read(&mut self, clock: &Clock) -> Instant {
        // Threads may read the clock in one order and come here in another.
        self.now = self.now.max(clock.now());
        self.now
    }

    /// Whether nobody needs the stack any more.
    pub(super) fn is_unused(&self) -> bool {
        self.users == 0 && self.sockets.is_empty()
    }

    /// Whether a timer is due before the driver looks at the time; true once for each earlier time.
    pub(super) fn is_due_before_armed(&mut self) -> bool {
        let Some(due) = self.sockets.stack.poll_timeout() else {
            return false;
        };
        let early = self.armed.is_none_or(|armed| due < armed);
        if early {
            self.armed = Some(due);
        }
        early
    }
}
