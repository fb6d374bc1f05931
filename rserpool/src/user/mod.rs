//! The pool user: resolves pool handles and keeps up sessions with pools (RFC 5351 §2, RFC 5352 §3, §6).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sctp::Instant;
use sctp::random::Random;
use sctp::serial::{Ppid, StreamId};
use sctp::time::earliest;
use sctp::timer::TimerQueue;
use thiserror::Error;

use crate::asap::{Answer, LinkEvent, RegistrarLink, Request, RequestId};
use crate::cache::HandleCache;
use crate::config::{EndpointConfig, SessionConfig};
use crate::ids::{PeId, PoolHandle};
use crate::net::{ConnId, NetCommand, NetEvent};
use crate::outbox::Outbox;
pub use crate::session::Unavailable;
use crate::session::{FailoverReason, Session, SessionError, SessionEvent, SessionId, Surroundings};
use crate::wire::element::PoolElementParam;
use crate::wire::policy::PolicyParam;

/// How many sessions a pool user has at most.
const MAX_SESSIONS: usize = 65_536;

/// Names a handle resolution that the application asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResolutionId(u64);

/// A pool and its elements, as a registrar answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The pool's policy.
    pub policy: PolicyParam,
    /// The elements, best first.
    pub elements: Vec<PoolElementParam>,
}

/// What a pool user tells its application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserEvent {
    /// There is a registrar.
    RegistrarFound,
    /// The registrar was lost; another one is searched.
    RegistrarLost,
    /// A handle resolution has come to its end.
    Resolved {
        /// Which.
        resolution: ResolutionId,
        /// What came of it.
        result: Result<Resolution, Unavailable>,
    },
    /// Something happened to a session.
    Session {
        /// The session.
        session: SessionId,
        /// What.
        event: SessionEvent,
    },
}

/// A pool user has as many sessions or requests as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("too many sessions or requests")]
pub struct TooMany;

#[derive(Clone, Copy, Debug)]
enum Asker {
    Session(SessionId),
    Application(ResolutionId),
}

/// A pool user as an engine without I/O.
///
/// Give it events and commands with the time; after each, carry out what [`poll_command`](Self::poll_command) yields
/// and look at what [`poll_event`](Self::poll_event) yields, until both are empty; call
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) is due. It does nothing before
/// [`start`](Self::start).
#[derive(Debug)]
pub struct PoolUser {
    link: RegistrarLink,
    cache: HandleCache,
    random: Random,
    sessions: BTreeMap<SessionId, Session>,
    by_conn: BTreeMap<ConnId, SessionId>,
    askers: BTreeMap<RequestId, (Asker, PoolHandle)>,
    timers: TimerQueue<SessionId>,
    out: Outbox,
    events: VecDeque<UserEvent>,
    next_session: u64,
    next_resolution: u64,
}

impl PoolUser {
    /// A pool user.
    pub fn new(endpoint: EndpointConfig, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        Self {
            link: RegistrarLink::new(Arc::new(endpoint), random.child()),
            cache: HandleCache::default(),
            random,
            sessions: BTreeMap::new(),
            by_conn: BTreeMap::new(),
            askers: BTreeMap::new(),
            timers: TimerQueue::new(),
            out: Outbox::default(),
            events: VecDeque::new(),
            next_session: 0,
            next_resolution: 0,
        }
    }

    /// Whether there is a registrar.
    pub const fn has_registrar(&self) -> bool {
        self.link.is_up()
    }

    /// The next command for the network, oldest first.
    pub fn poll_command(&mut self) -> Option<NetCommand> {
        self.out.pop()
    }

    /// The next event for the application, oldest first.
    pub fn poll_event(&mut self) -> Option<UserEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; never is `None`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.link.poll_timeout(), self.timers.next())
    }

    /// Starts the search for a registrar.
    pub fn start(&mut self, now: Instant) {
        self.link.start(now, &mut self.out);
        self.drain_link(now);
    }

    /// Something happened on the network.
    pub fn handle(&mut self, now: Instant, event: NetEvent) {
        if let Some(event) = self.link.handle(now, event, &mut self.out) {
            self.handle_session(now, event);
        }
        self.drain_link(now);
    }

    /// Time has passed; due timers run.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now, &mut self.out);
        self.drain_link(now);
        while let Some(session) = self.timers.pop_due(now) {
            // A session cancels its timer when it ends.
            let _ = self.with(now, session, |session, around| session.handle_timeout(around));
        }
    }

    /// Asks for the elements of a pool (RFC 5352 §3.3); [`UserEvent::Resolved`] follows. What is known and not stale is
    /// not asked for again.
    pub fn resolve(&mut self, now: Instant, pool: &PoolHandle) -> Result<ResolutionId, TooMany> {
        let resolution = ResolutionId(self.next_resolution);
        let max_age = self.link.config().stale_cache_value();
        if let Some((policy, elements)) = self.cache.lookup(now, pool, max_age) {
            let (policy, elements) = (policy.clone(), elements.to_vec());
            let result = Ok(Resolution { policy, elements });
            self.events.push_back(UserEvent::Resolved { resolution, result });
        } else {
            let request = Request::Resolve {
                pool: pool.clone(),
                items: self.link.config().resolution_items(),
            };
            let request = self.link.request(now, request, &mut self.out).ok_or(TooMany)?;
            self.askers
                .insert(request, (Asker::Application(resolution), pool.clone()));
        }
        self.next_resolution = self.next_resolution.wrapping_add(1);
        Ok(resolution)
    }

    /// Reports an element that the application could not reach by its own means (RFC 5352 §6.9.2).
    pub fn report_unreachable(&mut self, now: Instant, pool: &PoolHandle, pe: PeId) {
        self.link.report_unreachable(pool.clone(), pe, &mut self.out);
        self.cache.failed(now, pool, pe);
        self.cache.forget_element(pool, pe);
    }

    /// Opens a session with a pool; [`SessionEvent::Connected`] tells when an element serves it. Messages may be sent
    /// at once.
    pub fn open(&mut self, now: Instant, pool: PoolHandle, config: SessionConfig) -> Result<SessionId, TooMany> {
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(TooMany);
        }
        let id = SessionId(self.next_session);
        self.next_session = self.next_session.wrapping_add(1);
        let mut events = Vec::new();
        let session = Session::new(
            pool,
            config,
            &mut Surroundings {
                now,
                link: &mut self.link,
                cache: &mut self.cache,
                random: &mut self.random,
                out: &mut self.out,
                events: &mut events,
            },
        );
        self.sessions.insert(id, session);
        self.changed(id, None, None, events);
        Ok(id)
    }

    /// Sends a message to the element that serves a session. While there is none, or it does not keep up, the message
    /// is queued.
    pub fn send(
        &mut self,
        session: SessionId,
        stream: StreamId,
        ppid: Ppid,
        payload: Bytes,
    ) -> Result<(), SessionError> {
        let session = self.sessions.get_mut(&session).ok_or(SessionError::NoSuchSession)?;
        session.send(stream, ppid, payload, &mut self.out)
    }

    /// States that the element must say something within `timeout`: else it counts as failed, is reported, and the
    /// session fails over. Said again while a reply is still due, the earlier time stands, so that it can be said with
    /// each request. The next message of the element, a failover and `None` take the statement back. Without an element
    /// nothing is expected.
    pub fn expect_reply(
        &mut self,
        now: Instant,
        session: SessionId,
        timeout: Option<Duration>,
    ) -> Result<(), SessionError> {
        self.with(now, session, |session, around| {
            session.expect_reply(around.now, timeout)
        })
    }

    /// Gives up the element that serves a session and turns to another one. With `failed` it is reported to the
    /// registrar (RFC 5352 §3.5). Without an element to give up, nothing happens.
    pub fn fail_over(&mut self, now: Instant, session: SessionId, failed: bool) -> Result<(), SessionError> {
        self.with(now, session, |session, around| {
            session.fail_over(FailoverReason::Requested, failed, around);
        })
    }

    /// Ends a session. What was sent to its element is still delivered; no more events come for it.
    pub fn close(&mut self, now: Instant, session: SessionId) -> Result<(), SessionError> {
        self.with(now, session, |session, around| session.close(around.out))
    }

    /// The element that serves a session, if one does.
    pub fn element_of(&self, session: SessionId) -> Option<PeId> {
        self.sessions.get(&session)?.element()
    }

    /// The association with the element that serves a session, or that is about to.
    pub(crate) fn association_of(&self, session: SessionId) -> Option<ConnId> {
        self.sessions.get(&session)?.conn()
    }

    /// Whether a session has a cookie for the next element.
    pub fn has_cookie(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(Session::has_cookie)
    }

    /// Ends all sessions and the association with the registrar, gracefully.
    pub fn stop(&mut self, now: Instant) {
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in sessions {
            // They are there.
            let _ = self.close(now, session);
        }
        self.link.stop(&mut self.out);
    }

    fn handle_session(&mut self, now: Instant, event: NetEvent) {
        let (conn, event) = match event {
            NetEvent::Connected { conn, .. } if !self.by_conn.contains_key(&conn) => {
                // Nobody is expected here.
                return self.out.abort(conn);
            }
            NetEvent::Connected { conn, .. }
            | NetEvent::Closed { conn, .. }
            | NetEvent::PeerShutdown { conn }
            | NetEvent::Message { conn, .. }
            | NetEvent::Congestion { conn, .. } => (conn, event),
            NetEvent::Datagram { .. } => return,
        };
        let Some(&session) = self.by_conn.get(&conn) else {
            return;
        };
        // The session is there as long as its association leads to it.
        let _ = self.with(now, session, |session, around| match event {
            NetEvent::Connected { .. } => session.connected(around),
            NetEvent::Closed { graceful, .. } => session.disconnected(graceful, around),
            NetEvent::PeerShutdown { .. } => session.disconnected(true, around),
            NetEvent::Message {
                stream, ppid, payload, ..
            } => session.message(stream, ppid, payload, around),
            NetEvent::Congestion { congested, .. } => session.congestion(congested, around.out),
            NetEvent::Datagram { .. } => {}
        });
    }

    fn drain_link(&mut self, now: Instant) {
        while let Some(event) = self.link.poll_event() {
            match event {
                LinkEvent::Up => self.events.push_back(UserEvent::RegistrarFound),
                LinkEvent::Down(_) => self.registrar_lost(now),
                LinkEvent::Answered { request, answer } => self.answered(now, request, answer),
                // A pool user is no element that could be asked for or removed.
                LinkEvent::KeepAlive(_) | LinkEvent::Removed { .. } => {}
            }
        }
    }

    fn registrar_lost(&mut self, now: Instant) {
        self.events.push_back(UserEvent::RegistrarLost);
        let waiting = self.sessions.iter().filter(|(_, session)| session.request().is_some());
        let waiting: Vec<SessionId> = waiting.map(|(id, _)| *id).collect();
        for session in waiting {
            // They are there.
            let _ = self.with(now, session, |session, around| session.registrar_lost(around));
        }
    }

    fn answered(&mut self, now: Instant, request: RequestId, answer: Answer) {
        let Some((asker, pool)) = self.askers.remove(&request) else {
            return;
        };
        match &answer {
            Answer::Resolved { policy, elements } => {
                self.cache.update(now, &pool, policy.clone(), elements.clone());
            }
            Answer::ResolutionRefused { .. } => self.cache.forget(&pool),
            _ => {}
        }
        match asker {
            Asker::Session(session) => {
                // The session is there as long as its request leads to it.
                let _ = self.with(now, session, |session, around| session.resolved(&answer, around));
            }
            Asker::Application(resolution) => {
                let result = match answer {
                    Answer::Resolved { policy, elements } => Ok(Resolution {
                        policy: policy.unwrap_or(PolicyParam::RoundRobin),
                        elements,
                    }),
                    Answer::ResolutionRefused { error } => Err(Unavailable::Refused(error)),
                    Answer::NoRegistrar => Err(Unavailable::NoRegistrar),
                    _ => Err(Unavailable::NoAnswer),
                };
                self.events.push_back(UserEvent::Resolved { resolution, result });
            }
        }
    }

    /// Works on a session, then takes note of what that changed.
    fn with(
        &mut self,
        now: Instant,
        id: SessionId,
        act: impl FnOnce(&mut Session, &mut Surroundings<'_>),
    ) -> Result<(), SessionError> {
        let session = self.sessions.get_mut(&id).ok_or(SessionError::NoSuchSession)?;
        let (conn, request) = (session.conn(), session.request());
        let mut events = Vec::new();
        let mut around = Surroundings {
            now,
            link: &mut self.link,
            cache: &mut self.cache,
            random: &mut self.random,
            out: &mut self.out,
            events: &mut events,
        };
        act(session, &mut around);
        self.changed(id, conn, request, events);
        Ok(())
    }

    /// Brings the tables in line with a session that had this association and waited for this request before.
    fn changed(
        &mut self,
        id: SessionId,
        old_conn: Option<ConnId>,
        old_request: Option<RequestId>,
        events: Vec<SessionEvent>,
    ) {
        let wrap = |event| UserEvent::Session { session: id, event };
        self.events.extend(events.into_iter().map(wrap));
        let Some(session) = self.sessions.get(&id) else {
            return;
        };
        let (conn, request) = (session.conn(), session.request());
        if old_conn != conn {
            if let Some(old) = old_conn {
                self.by_conn.remove(&old);
            }
            if let Some(new) = conn {
                self.by_conn.insert(new, id);
            }
        }
        if old_request != request {
            if let Some(old) = old_request {
                self.askers.remove(&old);
            }
            if let Some(new) = request {
                self.askers.insert(new, (Asker::Session(id), session.pool().clone()));
            }
        }
        match session.poll_timeout() {
            Some(at) => self.timers.set(id, at),
            None => {
                self.timers.cancel(id);
            }
        }
        if session.is_over() {
            self.timers.cancel(id);
            self.sessions.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests;
