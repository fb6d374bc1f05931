//! Sessions: the lasting relation of a pool user with a pool, whichever of its elements serves at the moment (RFC 5351
//! §2.4, RFC 5352 §3.8).

pub(crate) mod cookie;
mod failover;
pub(crate) mod server;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use sctp::Instant;
use sctp::random::Random;
use sctp::serial::{Ppid, StreamId};
use sctp::time::earliest;
use thiserror::Error;

use self::cookie::CookieStore;
use crate::asap::{RegistrarLink, RequestId};
use crate::cache::{Candidate, HandleCache};
use crate::config::SessionConfig;
use crate::ids::{PeId, PoolHandle};
use crate::net::{ConnId, PPID_ASAP};
use crate::outbox::Outbox;
use crate::wire::asap::AsapMessage;
use crate::wire::cause::OperationError;
use crate::wire::param::Cookie;

/// Names a session of a pool user, or one of a pool element. Never used again for another one of the same node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(crate) u64);

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a session of a pool element ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The user shut it down.
    Graceful,
    /// The association was aborted or lost.
    Lost,
}

/// Why a session turns away from an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverReason {
    /// The element ended the session gracefully.
    Shutdown,
    /// The association was aborted or lost.
    Lost,
    /// An expected reply did not come in time.
    NoReply,
    /// The application asked for it.
    Requested,
}

/// Why there is no element to turn to, for now.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// No registrar was found.
    #[error("no registrar found")]
    NoRegistrar,
    /// Registrars do not answer.
    #[error("no registrar answers")]
    NoAnswer,
    /// The registrar refused the handle resolution; the pool may have no elements.
    #[error("the registrar says: {0}")]
    Refused(OperationError),
    /// The pool has no element that could be tried.
    #[error("the pool has no element to try")]
    NoElement,
    /// None of the elements could be reached.
    #[error("no element of the pool can be reached")]
    Unreachable,
}

/// What a session tells its application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// The first element serves the session.
    Connected {
        /// The element.
        pe: PeId,
    },
    /// A message of the element.
    Message {
        /// The stream it came on.
        stream: StreamId,
        /// Its payload protocol identifier; never that of ASAP.
        ppid: Ppid,
        /// The bytes.
        payload: Bytes,
    },
    /// The element left a cookie. It is kept for the next element, in place of the one before.
    CookieReceived {
        /// The cookie.
        cookie: Cookie,
    },
    /// The element is given up; another one is sought. What was sent and not answered may or may not have arrived: what
    /// to repeat, the application decides when the failover is completed.
    FailoverStarted {
        /// The element that is given up.
        pe: PeId,
        /// Why.
        reason: FailoverReason,
    },
    /// Another element serves the session, or the same anew. It has the newest cookie, if there was one; messages sent
    /// since the failover started follow it.
    FailoverCompleted {
        /// The element.
        pe: PeId,
        /// Whether there was a cookie.
        had_cookie: bool,
    },
    /// No element can be reached at the moment; attempts go on.
    Unavailable {
        /// Why.
        reason: Unavailable,
    },
    /// The session is over, not by the application's doing: the last event of it.
    Ended {
        /// Why no element could be reached, or `None` when the last one ended the session gracefully.
        reason: Option<Unavailable>,
    },
}

/// A message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SessionError {
    /// There is no such session (any more).
    #[error("no such session")]
    NoSuchSession,
    /// The element does not keep up, or there is none, and the queue is full.
    #[error("the queue of the session is full")]
    QueueFull,
    /// A message has at least one byte.
    #[error("the message is empty")]
    Empty,
    /// The payload protocol identifier of ASAP belongs to the control channel (RFC 5352 §5).
    #[error("this payload protocol identifier is reserved for the control channel")]
    ReservedPpid,
}

/// What a session works with.
pub(crate) struct Surroundings<'a> {
    pub(crate) now: Instant,
    pub(crate) link: &'a mut RegistrarLink,
    pub(crate) cache: &'a mut HandleCache,
    pub(crate) random: &'a mut Random,
    pub(crate) out: &'a mut Outbox,
    pub(crate) events: &'a mut Vec<SessionEvent>,
}

#[derive(Debug)]
enum State {
    /// A handle resolution is under way.
    Resolving(RequestId),
    /// An association with an element is being set up, until then.
    Connecting { conn: ConnId, pe: PeId, until: Instant },
    /// An element serves the session.
    Connected { conn: ConnId, pe: PeId, since: Instant },
    /// The next attempt is due then.
    Waiting { until: Instant },
    /// The session is over.
    Over,
}

#[derive(Debug)]
struct Queued {
    stream: StreamId,
    ppid: Ppid,
    payload: Bytes,
}

/// A session of a pool user.
#[derive(Debug)]
pub(crate) struct Session {
    pool: PoolHandle,
    config: SessionConfig,
    state: State,
    cookie: CookieStore,
    /// Elements to try next, from the last handle resolution.
    candidates: VecDeque<Candidate>,
    /// The order that a business card recommends (RFC 5352 §3.9).
    preferred: Vec<PeId>,
    /// Messages that wait for an element, or for it to catch up.
    queue: VecDeque<Queued>,
    queued_bytes: usize,
    congested: bool,
    /// Whether any element served it yet.
    served: bool,
    /// Failed attempts in a row.
    attempts: u32,
    reply_due: Option<Instant>,
}

impl Session {
    pub(crate) fn new(pool: PoolHandle, config: SessionConfig, around: &mut Surroundings<'_>) -> Self {
        let mut session = Self {
            pool,
            config,
            state: State::Waiting { until: around.now },
            cookie: CookieStore::default(),
            candidates: VecDeque::new(),
            preferred: Vec::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            congested: false,
            served: false,
            attempts: 0,
            reply_due: None,
        };
        session.seek(around);
        session
    }

    pub(crate) const fn pool(&self) -> &PoolHandle {
        &self.pool
    }

    /// The association that the session has or sets up.
    pub(crate) const fn conn(&self) -> Option<ConnId> {
        match self.state {
            State::Connecting { conn, .. } | State::Connected { conn, .. } => Some(conn),
            _ => None,
        }
    }

    /// The handle resolution that the session waits for.
    pub(crate) const fn request(&self) -> Option<RequestId> {
        match self.state {
            State::Resolving(request) => Some(request),
            _ => None,
        }
    }

    /// The element that serves the session.
    pub(crate) const fn element(&self) -> Option<PeId> {
        match self.state {
            State::Connected { pe, .. } => Some(pe),
            _ => None,
        }
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub(crate) const fn has_cookie(&self) -> bool {
        self.cookie.newest().is_some()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Connecting { until, .. } | State::Waiting { until } => earliest(Some(until), self.reply_due),
            _ => self.reply_due,
        }
    }

    pub(crate) fn handle_timeout(&mut self, around: &mut Surroundings<'_>) {
        match self.state {
            State::Connecting { conn, pe, until } if until <= around.now => {
                around.out.abort(conn);
                self.could_not_connect(pe, around);
            }
            State::Waiting { until } if until <= around.now => self.seek(around),
            State::Connected { .. } if self.reply_due.is_some_and(|due| due <= around.now) => {
                self.fail_over(FailoverReason::NoReply, true, around);
            }
            _ => {}
        }
    }

    /// The element must say something within `timeout`, or else it counts as failed; an earlier statement stands if it
    /// is due earlier. Without a `timeout`, and after each of its messages, nothing is expected.
    pub(crate) fn expect_reply(&mut self, now: Instant, timeout: Option<Duration>) {
        self.reply_due = match (timeout, &self.state) {
            (Some(timeout), State::Connected { .. }) => earliest(self.reply_due, Some(now + timeout)),
            _ => None,
        };
    }

    pub(crate) fn send(
        &mut self,
        stream: StreamId,
        ppid: Ppid,
        payload: Bytes,
        out: &mut Outbox,
    ) -> Result<(), SessionError> {
        if payload.is_empty() {
            return Err(SessionError::Empty);
        }
        if ppid == PPID_ASAP {
            return Err(SessionError::ReservedPpid);
        }
        if let State::Connected { conn, .. } = self.state
            && !self.congested
        {
            out.send(conn, stream, ppid, payload);
            return Ok(());
        }
        let bytes = self.queued_bytes.saturating_add(payload.len());
        if bytes > self.config.max_queue() {
            return Err(SessionError::QueueFull);
        }
        self.queued_bytes = bytes;
        self.queue.push_back(Queued { stream, ppid, payload });
        Ok(())
    }

    /// The element takes messages more slowly than they are sent, or has caught up again.
    pub(crate) fn congestion(&mut self, congested: bool, out: &mut Outbox) {
        self.congested = congested;
        self.flush(out);
    }

    fn flush(&mut self, out: &mut Outbox) {
        if let State::Connected { conn, .. } = self.state
            && !self.congested
        {
            for Queued { stream, ppid, payload } in self.queue.drain(..) {
                out.send(conn, stream, ppid, payload);
            }
            self.queued_bytes = 0;
        }
    }

    /// The application ends the session. What was sent to an element is still delivered.
    pub(crate) fn close(&mut self, out: &mut Outbox) {
        self.congested = false;
        self.flush(out);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Connected { conn, .. } => out.shutdown(conn),
            State::Connecting { conn, .. } => out.abort(conn),
            _ => {}
        }
    }

    /// The association is up: an element serves the session.
    pub(crate) fn connected(&mut self, around: &mut Surroundings<'_>) {
        let State::Connecting { conn, pe, .. } = self.state else {
            return;
        };
        let since = around.now;
        self.state = State::Connected { conn, pe, since };
        self.congested = false;
        // §3.8: the first message on the control channel.
        if let Some(cookie) = self.cookie.newest() {
            let cookie = cookie.clone();
            around.out.send_asap(conn, &AsapMessage::CookieEcho { cookie });
        }
        self.flush(around.out);
        around.cache.works(&self.pool, pe);
        let had_cookie = self.has_cookie();
        around.events.push(if std::mem::replace(&mut self.served, true) {
            SessionEvent::FailoverCompleted { pe, had_cookie }
        } else {
            SessionEvent::Connected { pe }
        });
    }

    /// The association is over, or is being shut down by the element.
    pub(crate) fn disconnected(&mut self, graceful: bool, around: &mut Surroundings<'_>) {
        match self.state {
            State::Connecting { pe, .. } => self.could_not_connect(pe, around),
            State::Connected { .. } if graceful && !self.config.fail_over_on_shutdown() => {
                self.state = State::Over;
                around.events.push(SessionEvent::Ended { reason: None });
            }
            State::Connected { .. } if graceful => self.turn_away(FailoverReason::Shutdown, false, around),
            State::Connected { .. } => self.turn_away(FailoverReason::Lost, true, around),
            _ => {}
        }
    }

    /// A message of the element.
    pub(crate) fn message(&mut self, stream: StreamId, ppid: Ppid, payload: Bytes, around: &mut Surroundings<'_>) {
        let State::Connected { conn, .. } = self.state else {
            return;
        };
        if ppid != PPID_ASAP {
            self.reply_due = None;
            return around.events.push(SessionEvent::Message { stream, ppid, payload });
        }
        let message = match AsapMessage::decode_reporting(&payload) {
            Ok((message, report)) => {
                if let Some(error) = report {
                    around.out.send_asap(conn, &AsapMessage::Error { error });
                }
                message
            }
            Err(error) => {
                if let Some(cause) = error.answer() {
                    let error = OperationError::from(cause.clone());
                    around.out.send_asap(conn, &AsapMessage::Error { error });
                }
                return;
            }
        };
        match message {
            AsapMessage::Cookie { cookie } => {
                self.cookie.keep(cookie.clone());
                around.events.push(SessionEvent::CookieReceived { cookie });
            }
            // BC2; without its pool, a card recommends nothing to this session.
            AsapMessage::BusinessCard { pool, elements, .. } if pool == self.pool => {
                self.preferred = elements.iter().map(|element| element.id).collect();
            }
            _ => {}
        }
    }
}
