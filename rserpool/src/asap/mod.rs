//! The endpoint side of ASAP: how a pool element or pool user finds a registrar, holds on to it and asks it (RFC 5352
//! §3.1 to §3.7).

mod hunt;
mod registrars;
mod request;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use sctp::Instant;
use sctp::random::Random;
use sctp::serial::Ppid;
use sctp::time::earliest;

use self::hunt::{Hunt, Search};
use self::registrars::Registrars;
pub use self::request::RequestId;
use self::request::Requests;
pub(crate) use self::request::{Answer, Request};
use crate::config::EndpointConfig;
use crate::ids::{PeId, PoolHandle, RegistrarId};
use crate::net::{ConnId, NetCommand, NetEvent, PPID_ASAP, SctpAddress};
use crate::outbox::Outbox;
use crate::wire::asap::AsapMessage;
use crate::wire::cause::OperationError;

/// How many reports of unreachable elements wait for a registrar to be found.
const MAX_REPORTS: usize = 64;

/// What the link tells its engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkEvent {
    /// There is a home registrar, another one or the same anew.
    Up,
    /// The home registrar, at the other end of this association, was lost; a search runs.
    Down(ConnId),
    /// A request has come to its end.
    Answered { request: RequestId, answer: Answer },
    /// The home registrar asks whether an element is there.
    KeepAlive(KeepAlive),
    /// The home registrar has removed an element, unasked (RFC 5352 §3.2).
    Removed { pool: PoolHandle, pe: PeId },
}

/// An ENDPOINT_KEEP_ALIVE message, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeepAlive {
    pub(crate) conn: ConnId,
    pub(crate) home: bool,
    pub(crate) server: Option<RegistrarId>,
    pub(crate) pool: PoolHandle,
    pub(crate) pe: Option<PeId>,
}

#[derive(Debug)]
struct Home {
    conn: ConnId,
    place: SctpAddress,
    server: Option<RegistrarId>,
}

/// The connection of a pool element or pool user to the registrars.
#[derive(Debug)]
pub(crate) struct RegistrarLink {
    config: Arc<EndpointConfig>,
    random: Random,
    registrars: Registrars,
    hunt: Hunt,
    home: Option<Home>,
    requests: Requests,
    reports: VecDeque<(PoolHandle, PeId)>,
    events: VecDeque<LinkEvent>,
    started: bool,
}

impl RegistrarLink {
    pub(crate) fn new(config: Arc<EndpointConfig>, random: Random) -> Self {
        Self {
            random,
            registrars: Registrars::new(config.registrars(), config.t7_enrp_outdate()),
            hunt: Hunt::new(&config),
            home: None,
            requests: Requests::default(),
            reports: VecDeque::new(),
            events: VecDeque::new(),
            started: false,
            config,
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }

    pub(crate) const fn config(&self) -> &Arc<EndpointConfig> {
        &self.config
    }

    /// The home registrar's identifier, if there is one and it is known.
    pub(crate) fn home_server(&self) -> Option<RegistrarId> {
        self.home.as_ref()?.server
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.home.is_some()
    }

    /// Whether a peer is known as a registrar.
    pub(crate) fn is_registrar(&self, peer: &SctpAddress) -> bool {
        self.registrars.contains(peer)
    }

    /// Starts the search for a registrar; does nothing if it was started before.
    pub(crate) fn start(&mut self, now: Instant, out: &mut Outbox) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        if let Some(group) = self.config.announce_group() {
            out.push(NetCommand::JoinGroup { group });
        }
        self.hunt_again(now, None, out);
    }

    /// Ends it: the association with the registrar is shut down, once what was sent on it is delivered.
    pub(crate) fn stop(&mut self, out: &mut Outbox) {
        self.hunt.stop(out);
        if let Some(home) = self.home.take() {
            out.shutdown(home.conn);
        }
    }

    /// Asks the registrar, or the next one that is found. `None` when too many requests wait already.
    pub(crate) fn request(&mut self, now: Instant, request: Request, out: &mut Outbox) -> Option<RequestId> {
        let home = self.home.as_ref().map(|home| home.conn);
        self.requests.push(now, request, home, &self.config, out)
    }

    /// Reports an element that could not be reached (RFC 5352 §3.5) to the registrar, or to the next one that is found.
    pub(crate) fn report_unreachable(&mut self, pool: PoolHandle, pe: PeId, out: &mut Outbox) {
        match &self.home {
            Some(home) => out.send_asap(home.conn, &AsapMessage::EndpointUnreachable { pool, pe }),
            None => {
                if self.reports.len() >= MAX_REPORTS {
                    self.reports.pop_front();
                }
                if !self.reports.contains(&(pool.clone(), pe)) {
                    self.reports.push_back((pool, pe));
                }
            }
        }
    }

    /// Takes an event of the network; gives it back if it does not concern registrars.
    pub(crate) fn handle(&mut self, now: Instant, event: NetEvent, out: &mut Outbox) -> Option<NetEvent> {
        match event {
            NetEvent::Connected { conn, .. } => {
                let Some(place) = self.hunt.connected(now, conn, out) else {
                    return Some(event);
                };
                let server = self.registrars.server_at(&place);
                self.settle(now, Home { conn, place, server }, out);
            }
            NetEvent::Closed { conn, .. } | NetEvent::PeerShutdown { conn } => {
                if self.is_home(conn) {
                    self.lose_home(now, out);
                } else if !self.search(out, |hunt, search| hunt.closed(now, conn, search)) {
                    return Some(event);
                }
            }
            NetEvent::Message {
                conn,
                ppid,
                ref payload,
                ..
            } if self.is_home(conn) => self.message(now, conn, ppid, payload, out),
            NetEvent::Congestion { conn, .. } if self.is_home(conn) => {}
            NetEvent::Datagram {
                group,
                source,
                ref payload,
            } if Some(group) == self.config.announce_group() => {
                // Whoever sent it, nothing is answered to a datagram.
                if let Ok(AsapMessage::ServerAnnounce { server, transports }) = AsapMessage::decode(payload) {
                    let places = self.registrars.announce(now, source, server, &transports);
                    self.search(out, |hunt, search| hunt.announced(now, &places, search));
                }
            }
            _ => return Some(event),
        }
        None
    }

    /// A registrar came by itself and wants to be the home registrar (RFC 5352 §3.4 KA2.4).
    pub(crate) fn adopt(
        &mut self,
        now: Instant,
        conn: ConnId,
        place: SctpAddress,
        server: Option<RegistrarId>,
        out: &mut Outbox,
    ) {
        if self.is_home(conn) {
            return;
        }
        self.hunt.stop(out);
        if let Some(old) = self.home.take() {
            out.shutdown(old.conn);
            self.requests.registrar_lost(now, &self.config);
        }
        self.settle(now, Home { conn, place, server }, out);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.hunt.poll_timeout(), self.requests.poll_timeout())
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        self.search(out, |hunt, search| hunt.handle_timeout(now, search));
        let (given_up, silent) = self.requests.handle_timeout(now, &self.config);
        for (request, answer) in given_up {
            self.events.push_back(LinkEvent::Answered { request, answer });
        }
        if silent {
            // §3.1, §3.2, §3.7.2: a registrar that does not answer is given up for another one, which gets the requests
            // again. (§3.7.2 would keep asking the old one meanwhile; its association proves nothing any more.)
            self.give_up_home(now, out);
        }
    }

    fn is_home(&self, conn: ConnId) -> bool {
        self.home.as_ref().is_some_and(|home| home.conn == conn)
    }

    fn search<T>(&mut self, out: &mut Outbox, act: impl FnOnce(&mut Hunt, &mut Search<'_>) -> T) -> T {
        let mut search = Search {
            config: &self.config,
            registrars: &mut self.registrars,
            random: &mut self.random,
            out,
        };
        act(&mut self.hunt, &mut search)
    }

    fn hunt_again(&mut self, now: Instant, suspect: Option<SctpAddress>, out: &mut Outbox) {
        self.search(out, |hunt, search| hunt.start(now, suspect, search));
    }

    /// SH6: all that waits goes to the new home registrar.
    fn settle(&mut self, now: Instant, home: Home, out: &mut Outbox) {
        let conn = home.conn;
        self.home = Some(home);
        self.events.push_back(LinkEvent::Up);
        for (pool, pe) in std::mem::take(&mut self.reports) {
            out.send_asap(conn, &AsapMessage::EndpointUnreachable { pool, pe });
        }
        self.requests.send_all(now, conn, &self.config, out);
    }

    fn lose_home(&mut self, now: Instant, out: &mut Outbox) {
        if let Some(home) = self.home.take() {
            self.requests.registrar_lost(now, &self.config);
            self.events.push_back(LinkEvent::Down(home.conn));
            self.hunt_again(now, Some(home.place), out);
        }
    }

    fn give_up_home(&mut self, now: Instant, out: &mut Outbox) {
        if let Some(home) = &self.home {
            out.abort(home.conn);
            self.lose_home(now, out);
        }
    }

    /// A message of the home registrar. One that sends what no registrar sends is given up.
    fn message(&mut self, now: Instant, conn: ConnId, ppid: Ppid, payload: &Bytes, out: &mut Outbox) {
        if ppid != PPID_ASAP {
            return self.give_up_home(now, out);
        }
        let message = match AsapMessage::decode_reporting(payload) {
            Ok((message, report)) => {
                if let Some(error) = report {
                    out.send_asap(conn, &AsapMessage::Error { error });
                }
                message
            }
            Err(error) => {
                if let Some(cause) = error.answer() {
                    let error = OperationError::from(cause.clone());
                    out.send_asap(conn, &AsapMessage::Error { error });
                }
                // With an answer that cannot be read, requests and answers are no longer known to match.
                if self.requests.is_waiting() {
                    self.give_up_home(now, out);
                }
                return;
            }
        };
        if let Some(request) = self.requests.answered(&message) {
            let answer = answer_of(message);
            return self.events.push_back(LinkEvent::Answered { request, answer });
        }
        match message {
            AsapMessage::EndpointKeepAlive { home, server, pool, pe } => {
                if let Some(own) = &mut self.home {
                    own.server = own.server.or(server);
                }
                let keep_alive = KeepAlive {
                    conn,
                    home,
                    server,
                    pool,
                    pe,
                };
                self.events.push_back(LinkEvent::KeepAlive(keep_alive));
            }
            AsapMessage::DeregistrationResponse { pool, pe, error: None } => {
                self.events.push_back(LinkEvent::Removed { pool, pe });
            }
            // Late answers, and things that other versions may send.
            AsapMessage::RegistrationResponse { .. }
            | AsapMessage::DeregistrationResponse { .. }
            | AsapMessage::HandleResolutionResponse { .. }
            | AsapMessage::ServerAnnounce { .. } => {}
            // It did not understand a request, which therefore will not be answered.
            AsapMessage::Error { .. } if !self.requests.is_waiting() => {}
            _ => self.give_up_home(now, out),
        }
    }
}

fn answer_of(response: AsapMessage) -> Answer {
    match response {
        AsapMessage::RegistrationResponse {
            reject: true, error, ..
        } => Answer::RegistrationRefused { error },
        AsapMessage::RegistrationResponse { error, .. } => Answer::Registered { warning: error },
        AsapMessage::DeregistrationResponse { error, .. } => Answer::Deregistered { error },
        AsapMessage::HandleResolutionResponse { error: Some(error), .. } => Answer::ResolutionRefused { error },
        AsapMessage::HandleResolutionResponse { policy, elements, .. } => Answer::Resolved { policy, elements },
        _ => Answer::Silence,
    }
}

#[cfg(test)]
mod tests;
