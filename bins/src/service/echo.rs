//! Echo: what comes goes back, on the same stream with the same payload protocol identifier.

use rserpool::element::SessionEnd;
use rserpool::service::{Replies, Service, ServiceMessage};
use rserpool::session::SessionId;
use sctp::Instant;

use super::load;

/// The pool that servers and clients use unless told otherwise.
pub const DEFAULT_POOL: &str = "EchoPool";

/// The service. It keeps nothing, so any element can go on where another one ended.
#[derive(Debug)]
pub struct Echo {
    sessions: usize,
    capacity: usize,
}

impl Echo {
    /// A service that is fully loaded with `capacity` sessions.
    pub const fn new(capacity: usize) -> Self {
        Self { sessions: 0, capacity }
    }
}

impl Service for Echo {
    fn on_session_start(&mut self, _now: Instant, _session: SessionId, _replies: &mut Replies) {
        self.sessions += 1;
    }

    fn on_message(&mut self, _now: Instant, session: SessionId, message: ServiceMessage, replies: &mut Replies) {
        replies.send(session, message);
    }

    fn on_session_end(&mut self, _now: Instant, _session: SessionId, _end: SessionEnd, _replies: &mut Replies) {
        self.sessions = self.sessions.saturating_sub(1);
    }

    fn load(&self) -> Option<u32> {
        Some(load(self.sessions, self.capacity))
    }
}
