//! A service that counts, and a client that notices when it counts wrong.
//!
//! A request is a number; the answer repeats it and adds how many answers the session has had, counted from 1. After
//! each answer the element leaves the next count as a cookie. So whatever elements do, a session's count must go on.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use sctp::Instant;
use sctp::serial::{Ppid, StreamId};

use super::oracle::Oracle;
use crate::config::SessionConfig;
use crate::element::SessionEnd;
use crate::ids::PoolHandle;
use crate::service::{Replies, Service, ServiceMessage};
use crate::session::{SessionEvent, SessionId};
use crate::user::{PoolUser, UserEvent};
use crate::wire::param::Cookie;

const PPID: Ppid = Ppid(33);

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// The service.
#[derive(Debug, Default)]
pub(super) struct CountingService {
    next: BTreeMap<SessionId, u64>,
}

impl CountingService {
    /// How many users there are.
    pub(super) fn sessions(&self) -> usize {
        self.next.len()
    }
}

impl Service for CountingService {
    fn on_session_start(&mut self, _now: Instant, session: SessionId, _replies: &mut Replies) {
        self.next.insert(session, 1);
    }

    fn on_cookie_echo(&mut self, _now: Instant, session: SessionId, cookie: &Cookie, replies: &mut Replies) {
        match number(cookie.as_bytes()) {
            Some(next) => {
                self.next.insert(session, next);
            }
            None => replies.abort(session),
        }
    }

    fn on_message(&mut self, _now: Instant, session: SessionId, message: ServiceMessage, replies: &mut Replies) {
        let next = self
            .next
            .get_mut(&session)
            .expect("a session starts before its first message");
        let mut payload = message.payload.to_vec();
        payload.extend_from_slice(&next.to_be_bytes());
        *next += 1;
        let cookie = Cookie::new(next.to_be_bytes().to_vec()).expect("eight bytes fit");
        replies.send(
            session,
            ServiceMessage {
                payload: payload.into(),
                ..message
            },
        );
        replies.send_cookie(session, cookie);
    }

    fn on_session_end(&mut self, _now: Instant, session: SessionId, _end: SessionEnd, _replies: &mut Replies) {
        self.next.remove(&session);
    }

    fn load(&self) -> Option<u32> {
        let sessions = u32::try_from(self.next.len()).unwrap_or(u32::MAX);
        Some(sessions.saturating_mul(u32::MAX / 100))
    }
}

/// A pool user with one session, that sends a request each interval.
#[derive(Debug)]
pub(super) struct CountingUser {
    pub(super) engine: PoolUser,
    pool: PoolHandle,
    interval: Duration,
    session: Option<SessionId>,
    due: Instant,
    next_request: u64,
    pub(super) oracle: Oracle,
}

impl CountingUser {
    pub(super) fn new(engine: PoolUser, pool: PoolHandle, interval: Duration) -> Self {
        Self {
            engine,
            pool,
            interval,
            session: None,
            due: Instant::ZERO,
            next_request: 1,
            oracle: Oracle::default(),
        }
    }

    pub(super) fn start(&mut self, now: Instant) {
        self.engine.start(now);
        self.due = now + self.interval;
        self.open(now);
        self.settle(now);
    }

    fn open(&mut self, now: Instant) {
        let session = self.engine.open(now, self.pool.clone(), SessionConfig::default());
        self.session = Some(session.expect("one session fits"));
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.engine.handle_timeout(now);
        if self.due <= now {
            self.due = now + self.interval;
            self.request(now);
        }
        self.settle(now);
    }

    /// Sends a request, if an element serves the session: one that waited for the next element would be answered late,
    /// but that is no error.
    fn request(&mut self, now: Instant) {
        let Some(session) = self
            .session
            .filter(|&session| self.engine.element_of(session).is_some())
        else {
            return;
        };
        let payload = Bytes::copy_from_slice(&self.next_request.to_be_bytes());
        if self.engine.send(session, StreamId(0), PPID, payload).is_ok() {
            self.next_request += 1;
            let patience = self.interval * 4 + Duration::from_secs(1);
            // The session was there a moment ago.
            let _ = self.engine.expect_reply(now, session, Some(patience));
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        sctp::time::earliest(self.engine.poll_timeout(), Some(self.due))
    }

    /// Looks at what the engine says.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(event) = self.engine.poll_event() {
            let UserEvent::Session { event, .. } = event else {
                continue;
            };
            match event {
                SessionEvent::Connected { .. } => self.oracle.connected(),
                SessionEvent::FailoverStarted { .. } => self.oracle.failover_started(now),
                SessionEvent::FailoverCompleted { had_cookie, .. } => self.oracle.failed_over(now, had_cookie),
                SessionEvent::CookieReceived { cookie } => {
                    self.oracle
                        .cookie(number(cookie.as_bytes()).expect("cookies come back as they were"));
                }
                SessionEvent::Message { payload, .. } => {
                    let (request, reply) = payload.split_at_checked(8).expect("an answer has two numbers");
                    let numbers = number(request).zip(number(reply));
                    let (request, reply) = numbers.expect("an answer has two numbers");
                    self.oracle.answer(now, request, reply);
                }
                SessionEvent::Unavailable { .. } => {}
                SessionEvent::Ended { reason } => panic!("a session without limits ended: {reason:?}"),
            }
        }
    }
}
