//! The control channel of a pool element: keep-alives of registrars, cookies of users (RFC 5352 §3.4, §3.8).

use bytes::Bytes;
use sctp::Instant;

use super::{ElementEvent, PoolElement, SessionEnd};
use crate::asap::KeepAlive;
use crate::net::ConnId;
use crate::session::server::Role;
use crate::wire::asap::AsapMessage;
use crate::wire::cause::OperationError;

impl PoolElement {
    /// An ASAP message on an association that a peer opened.
    pub(super) fn handle_control(&mut self, now: Instant, conn: ConnId, payload: &Bytes) {
        if self.peers.role(conn).is_none() {
            return;
        }
        let message = match AsapMessage::decode_reporting(payload) {
            Ok((message, report)) => {
                if let Some(error) = report {
                    self.out.send_asap(conn, &AsapMessage::Error { error });
                }
                message
            }
            Err(error) => {
                if let Some(cause) = error.answer() {
                    let error = OperationError::from(cause.clone());
                    self.out.send_asap(conn, &AsapMessage::Error { error });
                }
                return;
            }
        };
        match message {
            AsapMessage::EndpointKeepAlive { home, server, pool, pe } => {
                // Only registrars ask. Should its first words have come late, what was taken for a session ends.
                if let Some(session) = self.peers.is_registrar(conn) {
                    let end = SessionEnd::Lost;
                    self.events.push_back(ElementEvent::SessionEnded { session, end });
                }
                let keep_alive = KeepAlive {
                    conn,
                    home,
                    server,
                    pool,
                    pe,
                };
                self.answer_keep_alive(now, &keep_alive);
            }
            AsapMessage::CookieEcho { cookie } => {
                let first = self.peers.is_first_control(conn);
                let Some(session) = self.session_of(conn) else { return };
                if first {
                    self.events.push_back(ElementEvent::CookieEchoed { session, cookie });
                } else {
                    // §3.8: it is the first message on the control channel. (Data on other streams may overtake it.)
                    self.peers.remove(conn);
                    self.out.abort(conn);
                    let end = SessionEnd::Lost;
                    self.events.push_back(ElementEvent::SessionEnded { session, end });
                }
            }
            // A user that is a pool element itself says so. There is no failing over to it from here.
            AsapMessage::BusinessCard { .. } => {
                self.peers.is_first_control(conn);
                self.session_of(conn);
            }
            _ => {
                self.peers.is_first_control(conn);
            }
        }
    }

    /// RFC 5352 §3.4.
    pub(super) fn answer_keep_alive(&mut self, now: Instant, keep_alive: &KeepAlive) {
        let own = (self.registration.pool(), self.registration.pe());
        // KA1: not for this element.
        if keep_alive.pool != *own.0 || keep_alive.pe.is_some_and(|pe| pe != own.1) {
            return;
        }
        let ack = AsapMessage::EndpointKeepAliveAck {
            pool: own.0.clone(),
            pe: own.1,
        };
        self.out.send_asap(keep_alive.conn, &ack);
        // KA2.4: a registrar takes this element over, or the home registrar has come by another association.
        if keep_alive.home
            && self.peers.role(keep_alive.conn) == Some(Role::Registrar)
            && let Some(place) = self.peers.address(keep_alive.conn).cloned()
        {
            let (conn, server) = (keep_alive.conn, keep_alive.server);
            self.link.adopt(now, conn, place, server, &mut self.out);
        }
    }
}
