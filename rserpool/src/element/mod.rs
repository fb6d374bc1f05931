//! The pool element: registers with a home registrar, answers its keep-alives, and serves the users that come to it
//! (RFC 5351 §2, RFC 5352 §3).
//!
//! Users and registrars come to the same SCTP end point: what a peer says first tells them apart. With its users the
//! element has a data channel and a control channel on one association; the payload protocol identifier of ASAP marks
//! the control channel (RFC 5352 §5).

mod control;
mod host;
mod registration;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use sctp::Instant;
use sctp::random::Random;
use sctp::serial::{Ppid, StreamId};
use sctp::time::earliest;
use thiserror::Error;

pub use self::host::ServiceHost;
use self::registration::Registration;
use crate::asap::{LinkEvent, RegistrarLink};
use crate::config::{ElementConfig, EndpointConfig};
use crate::ids::{PeId, RegistrarId};
use crate::net::{ConnId, NetCommand, NetEvent, PPID_ASAP, SctpAddress};
use crate::outbox::Outbox;
pub use crate::session::SessionEnd;
use crate::session::SessionId;
use crate::session::server::{IsNew, Peers, Role};
use crate::wire::asap::AsapMessage;
use crate::wire::cause::OperationError;
use crate::wire::param::Cookie;
use crate::wire::policy::PolicyParam;
use crate::wire::transport::Transport;

/// How many associations of registrars an element takes, beside those of its users.
const MAX_REGISTRARS: usize = 64;

/// Why a registration did not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationFailure {
    /// The registrar refused it, for this reason. There is no new attempt at this registrar until the policy changes
    /// (RFC 5352 §3.1).
    Refused(Option<OperationError>),
    /// MAX-REG-ATTEMPT registrations were not answered. Attempts go on.
    NoAnswer,
}

/// What a pool element tells its application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementEvent {
    /// The element is registered.
    Registered {
        /// Its identifier.
        pe: PeId,
        /// Whether it was registered already, and only renewed or changed its registration.
        again: bool,
        /// What the registrar changed or found odd.
        warning: Option<OperationError>,
    },
    /// A registration did not come about.
    RegistrationFailed {
        /// Why.
        reason: RegistrationFailure,
    },
    /// The home registrar was lost; another one is searched, and the element registers there.
    RegistrarLost,
    /// The element is not registered any more, as it wanted.
    Deregistered {
        /// Whether a registrar said so. Otherwise the registration runs out by itself.
        confirmed: bool,
    },
    /// A user has come.
    SessionStarted {
        /// The session.
        session: SessionId,
        /// Where the user is.
        peer: SctpAddress,
    },
    /// The user brings the newest cookie that it has from another element: the session goes on from there.
    CookieEchoed {
        /// The session.
        session: SessionId,
        /// The cookie.
        cookie: Cookie,
    },
    /// A message of a user.
    Message {
        /// The session.
        session: SessionId,
        /// The stream it came on.
        stream: StreamId,
        /// Its payload protocol identifier; never that of ASAP.
        ppid: Ppid,
        /// The bytes.
        payload: Bytes,
    },
    /// A user takes messages more slowly than they are sent, or has caught up again.
    Congestion {
        /// The session.
        session: SessionId,
        /// Whether to stop sending for now.
        congested: bool,
    },
    /// A session has ended, not by the application's doing.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// How.
        end: SessionEnd,
    },
}

/// A command names a session that does not exist (any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no such session")]
pub struct NoSuchSession;

/// A pool element as an engine without I/O.
///
/// Give it events and commands with the time; after each, carry out what [`poll_command`](Self::poll_command) yields
/// and look at what [`poll_event`](Self::poll_event) yields, until both are empty; call
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) is due. It does nothing before
/// [`start`](Self::start).
#[derive(Debug)]
pub struct PoolElement {
    config: Arc<ElementConfig>,
    link: RegistrarLink,
    registration: Registration,
    peers: Peers,
    out: Outbox,
    events: VecDeque<ElementEvent>,
}

impl PoolElement {
    /// A pool element that serves at `user_transport`, which should be the address of its own SCTP end point with
    /// [data plus control](crate::wire::transport::TransportUse::DataPlusControl).
    pub fn new(
        config: ElementConfig,
        endpoint: EndpointConfig,
        user_transport: impl Into<Transport>,
        seed: [u8; 32],
    ) -> Self {
        let mut random = Random::new(seed);
        let config = Arc::new(config);
        Self {
            link: RegistrarLink::new(Arc::new(endpoint), random.child()),
            registration: Registration::new(Arc::clone(&config), user_transport.into(), random.child()),
            peers: Peers::default(),
            out: Outbox::default(),
            events: VecDeque::new(),
            config,
        }
    }

    /// Its identifier. It may change until the element is registered.
    pub const fn pe_id(&self) -> PeId {
        self.registration.pe()
    }

    /// Whether it is registered.
    pub fn is_registered(&self) -> bool {
        self.registration.is_registered()
    }

    /// The home registrar, once that is known.
    pub fn home_registrar(&self) -> Option<RegistrarId> {
        self.link.home_server()
    }

    /// The next command for the network, oldest first.
    pub fn poll_command(&mut self) -> Option<NetCommand> {
        self.out.pop()
    }

    /// The next event for the application, oldest first.
    pub fn poll_event(&mut self) -> Option<ElementEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; never is `None`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let registration = earliest(self.registration.poll_timeout(), self.link.poll_timeout());
        earliest(registration, self.peers.poll_timeout())
    }

    /// Starts the search for a registrar, to register there.
    pub fn start(&mut self, now: Instant) {
        self.link.start(now, &mut self.out);
        self.drain_link(now);
    }

    /// Something happened on the network.
    pub fn handle(&mut self, now: Instant, event: NetEvent) {
        // Associations that peers opened are looked after here, also those that became the home registrar's.
        if let NetEvent::Closed { conn, graceful } = event {
            let end = if graceful {
                SessionEnd::Graceful
            } else {
                SessionEnd::Lost
            };
            self.peer_gone(conn, end);
        }
        if let Some(event) = self.link.handle(now, event, &mut self.out) {
            self.handle_peer(now, event);
        }
        self.drain_link(now);
    }

    /// Time has passed; due timers run.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now, &mut self.out);
        self.drain_link(now);
        self.registration.handle_timeout(now, &mut self.link, &mut self.out);
        while let Some(conn) = self.peers.pop_silent(now) {
            self.session_of(conn);
        }
    }

    /// Sends a message to a user.
    pub fn send(
        &mut self,
        session: SessionId,
        stream: StreamId,
        ppid: Ppid,
        payload: Bytes,
    ) -> Result<(), NoSuchSession> {
        let conn = self.peers.conn_of(session).ok_or(NoSuchSession)?;
        self.out.send(conn, stream, ppid, payload);
        Ok(())
    }

    /// Leaves state with a user, for the element that serves it next (RFC 5352 §3.8). The user keeps the newest cookie
    /// only. Cookies pass through the user's hands: whoever must trust one signs it.
    pub fn send_cookie(&mut self, session: SessionId, cookie: Cookie) -> Result<(), NoSuchSession> {
        let conn = self.peers.conn_of(session).ok_or(NoSuchSession)?;
        self.out.send_asap(conn, &AsapMessage::Cookie { cookie });
        Ok(())
    }

    /// Ends a session, once what was sent is delivered. No more events come for it.
    pub fn end_session(&mut self, session: SessionId) -> Result<(), NoSuchSession> {
        let conn = self.peers.conn_of(session).ok_or(NoSuchSession)?;
        self.peers.remove(conn);
        self.out.shutdown(conn);
        Ok(())
    }

    /// Ends a session at once, as a failure. No more events come for it.
    pub fn abort_session(&mut self, session: SessionId) -> Result<(), NoSuchSession> {
        let conn = self.peers.conn_of(session).ok_or(NoSuchSession)?;
        self.peers.remove(conn);
        self.out.abort(conn);
        Ok(())
    }

    /// Sets the policy with its values; the element registers again to tell it. This also takes up a refused
    /// registration again.
    pub fn set_policy(&mut self, now: Instant, policy: PolicyParam) {
        self.registration.set_policy(now, policy);
    }

    /// Sets the load, from 0 to 0xffffffff, if the policy has one. Changes below [`ElementConfig::load_step`] are not
    /// told.
    pub fn set_load(&mut self, now: Instant, load: u32) {
        self.registration.set_load(now, load);
    }

    /// Leaves the pool. [`ElementEvent::Deregistered`] follows, after T3-deregistration at the latest; until then and
    /// after, sessions go on.
    pub fn deregister(&mut self, now: Instant) {
        if self.registration.deregister(now, &mut self.link, &mut self.out) {
            self.events.push_back(ElementEvent::Deregistered { confirmed: true });
        }
    }

    /// Ends all associations, gracefully.
    pub fn stop(&mut self) {
        for conn in self.peers.drain() {
            self.out.shutdown(conn);
        }
        self.link.stop(&mut self.out);
    }

    fn handle_peer(&mut self, now: Instant, event: NetEvent) {
        match event {
            // The link gave it up; nobody is interested any more.
            NetEvent::Connected {
                conn: conn @ ConnId::Opened(_),
                ..
            } => self.out.abort(conn),
            NetEvent::Connected { conn, peer } => {
                let is_registrar = self.link.is_registrar(&peer);
                if self.peers.len() >= self.config.max_sessions().saturating_add(MAX_REGISTRARS) {
                    return self.out.abort(conn);
                }
                let patience = (!is_registrar).then(|| self.config.session_start_delay());
                self.peers.add(now, conn, peer, patience);
            }
            NetEvent::PeerShutdown { conn } => self.peer_gone(conn, SessionEnd::Graceful),
            NetEvent::Message {
                conn,
                stream,
                ppid,
                payload,
            } => {
                if ppid == PPID_ASAP {
                    self.handle_control(now, conn, &payload);
                } else if let Some(session) = self.session_of(conn) {
                    self.events.push_back(ElementEvent::Message {
                        session,
                        stream,
                        ppid,
                        payload,
                    });
                }
            }
            NetEvent::Congestion { conn, congested } => {
                if let Some(Role::User(session)) = self.peers.role(conn) {
                    self.events.push_back(ElementEvent::Congestion { session, congested });
                }
            }
            NetEvent::Closed { .. } | NetEvent::Datagram { .. } => {}
        }
    }

    /// The session with a peer, which is a user by what it says or by its silence.
    fn session_of(&mut self, conn: ConnId) -> Option<SessionId> {
        let is_user = matches!(self.peers.role(conn)?, Role::User(_));
        if !is_user && self.peers.session_count() >= self.config.max_sessions() {
            self.peers.remove(conn);
            self.out.abort(conn);
            return None;
        }
        let (session, is_new) = self.peers.session_of(conn)?;
        if let IsNew::Yes(peer) = is_new {
            self.events.push_back(ElementEvent::SessionStarted { session, peer });
        }
        Some(session)
    }

    fn peer_gone(&mut self, conn: ConnId, end: SessionEnd) {
        if let Some(session) = self.peers.remove(conn) {
            self.events.push_back(ElementEvent::SessionEnded { session, end });
        }
    }

    fn drain_link(&mut self, now: Instant) {
        while let Some(event) = self.link.poll_event() {
            match event {
                LinkEvent::Up => self.registration.registrar_up(now, &mut self.link, &mut self.out),
                LinkEvent::Down(conn) => {
                    self.peers.remove(conn);
                    self.registration.registrar_down();
                    self.events.push_back(ElementEvent::RegistrarLost);
                }
                LinkEvent::Answered { request, answer } => {
                    self.events.extend(self.registration.answered(now, request, answer));
                }
                LinkEvent::KeepAlive(keep_alive) => self.answer_keep_alive(now, &keep_alive),
                LinkEvent::Removed { pool, pe } => {
                    if pool == *self.registration.pool() && pe == self.registration.pe() {
                        self.registration.removed(now);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
