//! Whether elements are still there: keep-alives, reports, lost associations (RFC 5352 §3.4, §3.5).
//!
//! An element is watched over the association it registered on. If that is gone, the registrar opens one to the
//! element's ASAP transport. What is sent for one element at a time is one keep-alive, however many report it.

use std::collections::BTreeSet;

use sctp::Instant;

use super::connections::Connection;
use super::event::RemovalReason;
use super::{Registrar, TimerKey};
use crate::config::AssociationLoss;
use crate::handlespace::ElementKey;
use crate::ids::{PeId, PoolHandle};
use crate::net::{ConnId, NetCommand};
use crate::wire::asap::AsapMessage;

/// How an element is watched.
#[derive(Debug)]
pub(super) struct Watch {
    /// The association that keep-alives go over; none before the next one opens it.
    conn: Option<ConnId>,
    /// Whether an answer is waited for.
    waiting: bool,
    /// Who reported the element since it last answered: at most as many as it takes to remove it.
    reporters: BTreeSet<ConnId>,
}

impl Registrar {
    /// Begins to watch an element over the association that it registered on, or begins anew.
    pub(super) fn watch(&mut self, now: Instant, key: ElementKey, conn: ConnId) {
        let watch = Watch {
            conn: Some(conn),
            waiting: false,
            reporters: BTreeSet::new(),
        };
        self.connections.link(conn, key);
        if let Some(old) = self.watches.insert(key, watch).and_then(|old| old.conn)
            && old != conn
        {
            self.unlink(old, key);
        }
        self.rest(now, key);
    }

    /// Takes an element off an association, and ends that if it was opened for such elements only.
    fn unlink(&mut self, conn: ConnId, key: ElementKey) {
        if self.connections.unlink(conn, key) {
            self.commands.push_back(NetCommand::Shutdown { conn });
        }
    }

    /// Ends watching an element.
    pub(super) fn unwatch(&mut self, key: ElementKey) {
        self.timers.cancel(TimerKey::KeepAlive(key));
        if let Some(conn) = self.watches.remove(&key).and_then(|watch| watch.conn) {
            self.unlink(conn, key);
        }
    }

    /// The association that an element is watched over.
    pub(super) fn conn_of(&self, key: ElementKey) -> Option<ConnId> {
        self.watches.get(&key)?.conn
    }

    /// Whether the node behind `conn` is the one that registered the element, as far as addresses tell.
    pub(super) fn is_own(&self, conn: ConnId, key: ElementKey) -> bool {
        if self.conn_of(key) == Some(conn) {
            return true;
        }
        let (Some(connection), Some(element)) = (self.connections.get(conn), self.handlespace.get(key)) else {
            return false;
        };
        let transport = element.param().asap_transport.as_ref();
        transport.is_some_and(|transport| connection.is_at_one_of(&transport.addresses))
    }

    /// Lets an element rest until its next keep-alive. The time varies by plus or minus 50 percent, so that the
    /// keep-alives of many elements spread (RFC 5352 §3.5).
    fn rest(&mut self, now: Instant, key: ElementKey) {
        let pause = self.config.keep_alive_interval().mul_f64(0.5 + self.random.unit());
        self.timers.set(TimerKey::KeepAlive(key), now + pause);
    }

    /// An element's timer is due: it must be asked, or did not answer.
    pub(super) fn on_keep_alive_timer(&mut self, now: Instant, key: ElementKey) {
        let Some(watch) = self.watches.get(&key) else { return };
        if !watch.waiting {
            return self.probe(now, key);
        }
        let conn = watch.conn;
        self.stats.failed_keep_alives += 1;
        self.remove(key, RemovalReason::KeepAliveTimeout);
        // An element that hangs does not know that it is out; without its association it finds out when it wakes up.
        if let Some(conn) = conn
            && self
                .connections
                .get(conn)
                .is_some_and(|c| c.elements.is_empty() && matches!(conn, ConnId::Accepted(_)))
        {
            self.connections.remove(conn);
            self.commands.push_back(NetCommand::Abort { conn });
        }
    }

    /// Asks an element whether it is there, unless an answer is waited for already.
    fn probe(&mut self, now: Instant, key: ElementKey) {
        let Some(watch) = self.watches.get_mut(&key) else {
            return;
        };
        if watch.waiting {
            return;
        }
        watch.waiting = true;
        self.timers
            .set(TimerKey::KeepAlive(key), now + self.config.keep_alive_timeout());
        if let Some(conn) = watch.conn {
            return self.send_keep_alive(conn, key);
        }
        let address = self.handlespace.get(key).and_then(|element| element.control_address());
        let Some(address) = address else {
            self.stats.failed_keep_alives += 1;
            return self.remove(key, RemovalReason::Unreachable);
        };
        let (conn, new) = self.connections.open(address.clone());
        self.connections.link(conn, key);
        if let Some(watch) = self.watches.get_mut(&key) {
            watch.conn = Some(conn);
        }
        if new {
            self.commands.push_back(NetCommand::Connect { conn, peer: address });
        } else {
            self.send_keep_alive(conn, key);
        }
    }

    /// Sends a keep-alive, if the association stands. If it is being opened, `on_opened` sends it.
    fn send_keep_alive(&mut self, conn: ConnId, key: ElementKey) {
        let Some(element) = self.handlespace.get(key) else {
            return;
        };
        if !self.connections.get(conn).is_some_and(|connection| connection.up) {
            return;
        }
        let message = AsapMessage::EndpointKeepAlive {
            home: false,
            server: Some(self.id),
            pool: element.pool().clone(),
            pe: Some(element.param().id),
        };
        self.stats.keep_alives += 1;
        self.send(conn, &message);
    }

    /// An association that the registrar opened stands: what waits for it is sent.
    pub(super) fn on_opened(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        connection.up = true;
        let keys: Vec<_> = connection.elements.iter().copied().collect();
        for key in keys {
            if self.watches.get(&key).is_some_and(|watch| watch.waiting) {
                self.send_keep_alive(conn, key);
            }
        }
    }

    /// An element answered.
    pub(super) fn on_keep_alive_ack(&mut self, now: Instant, conn: ConnId, pool: &PoolHandle, pe: PeId) {
        let key = self.handlespace.find(pool, pe);
        // An answer from elsewhere would keep a dead element in the pool.
        let Some(key) = key.filter(|&key| self.is_own(conn, key)) else {
            self.stats.unexpected_messages += 1;
            return;
        };
        let Some(watch) = self.watches.get_mut(&key) else {
            return;
        };
        if !watch.waiting {
            self.stats.unexpected_messages += 1;
            return;
        }
        watch.waiting = false;
        watch.reporters.clear();
        self.handlespace.set_suspect(key, false);
        self.rest(now, key);
    }

    /// Someone could not reach an element: it is asked at once, and removed if many say so (RFC 5352 §3.5).
    pub(super) fn on_unreachable(&mut self, now: Instant, conn: ConnId, pool: &PoolHandle, pe: PeId) {
        let Some(key) = self.handlespace.find(pool, pe) else {
            return;
        };
        self.stats.unreachable_reports += 1;
        let Some(watch) = self.watches.get_mut(&key) else {
            return;
        };
        // One association counts once until the element answers: nobody can talk an element away alone.
        watch.reporters.insert(conn);
        if watch.reporters.len() >= usize::try_from(self.config.max_bad_pe_reports()).unwrap_or(usize::MAX) {
            return self.dismiss(key, RemovalReason::Reported);
        }
        self.handlespace.set_suspect(key, true);
        self.probe(now, key);
    }

    /// An association is over, and with it the way to these elements.
    pub(super) fn on_lost(&mut self, now: Instant, conn: ConnId, connection: Connection, graceful: bool) {
        let opened = matches!(conn, ConnId::Opened(_));
        for key in connection.elements {
            let Some(watch) = self.watches.get_mut(&key) else {
                continue;
            };
            let waiting = std::mem::replace(&mut watch.waiting, false);
            watch.conn = None;
            if opened && (waiting || !connection.up) {
                // It was opened to ask the element, and there was no answer.
                self.stats.failed_keep_alives += 1;
                self.remove(key, RemovalReason::Unreachable);
            } else if !graceful && self.config.association_loss() == AssociationLoss::Remove {
                self.remove(key, RemovalReason::AssociationLost);
            } else {
                self.handlespace.set_suspect(key, true);
                self.probe(now, key);
            }
        }
    }
}
