//! What a pool element serves: the application's part, without I/O.

use bytes::Bytes;
use sctp::Instant;
use sctp::serial::{Ppid, StreamId};

use crate::session::{SessionEnd, SessionId};
use crate::wire::param::Cookie;

/// A message between a user and a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceMessage {
    /// The stream.
    pub stream: StreamId,
    /// The payload protocol identifier; never that of ASAP.
    pub ppid: Ppid,
    /// The bytes; at least one.
    pub payload: Bytes,
}

/// A service: what a pool element does for its users.
///
/// It has no clock and no sockets; it is told the time, and [`Replies`] takes what it has to say. So the same code runs
/// in a program and in the simulator. All sessions of an element share one service.
pub trait Service {
    /// A user has come. It may have been with another element before; if so, its cookie follows.
    fn on_session_start(&mut self, now: Instant, session: SessionId, replies: &mut Replies) {
        let _ = (now, session, replies);
    }

    /// A user brings the newest cookie that another element of the pool left with it. The cookie comes from outside: it
    /// may be anything, unless it is signed.
    fn on_cookie_echo(&mut self, now: Instant, session: SessionId, cookie: &Cookie, replies: &mut Replies) {
        let _ = (now, session, cookie, replies);
    }

    /// A message of a user.
    fn on_message(&mut self, now: Instant, session: SessionId, message: ServiceMessage, replies: &mut Replies);

    /// A user does not take messages as fast as they are sent, or has caught up again. A service that sends without
    /// being asked stops and goes on accordingly.
    fn on_congestion(&mut self, now: Instant, session: SessionId, congested: bool, replies: &mut Replies) {
        let _ = (now, session, congested, replies);
    }

    /// A session has ended, not by [`Replies::end`] or [`Replies::abort`].
    fn on_session_end(&mut self, now: Instant, session: SessionId, end: SessionEnd, replies: &mut Replies) {
        let _ = (now, session, end, replies);
    }

    /// When [`on_timeout`](Self::on_timeout) is due; never is `None`.
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    fn on_timeout(&mut self, now: Instant, replies: &mut Replies) {
        let _ = (now, replies);
    }

    /// The load, from 0 to 0xffffffff, for a policy that goes by it; `None` leaves it as it is.
    fn load(&self) -> Option<u32> {
        None
    }
}

/// What a service has to say, in order.
#[derive(Debug, Default)]
pub struct Replies {
    pub(crate) actions: Vec<(SessionId, Action)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Send(ServiceMessage),
    Cookie(Cookie),
    End,
    Abort,
}

impl Replies {
    /// Sends a message to a user. An empty one cannot be sent and is dropped.
    pub fn send(&mut self, session: SessionId, message: ServiceMessage) {
        if !message.payload.is_empty() {
            self.actions.push((session, Action::Send(message)));
        }
    }

    /// Leaves a cookie with a user, for the element that serves it next.
    pub fn send_cookie(&mut self, session: SessionId, cookie: Cookie) {
        self.actions.push((session, Action::Cookie(cookie)));
    }

    /// Ends a session, once what was sent is delivered.
    pub fn end(&mut self, session: SessionId) {
        self.actions.push((session, Action::End));
    }

    /// Ends a session at once, as a failure: the user turns to another element.
    pub fn abort(&mut self, session: SessionId) {
        self.actions.push((session, Action::Abort));
    }
}
