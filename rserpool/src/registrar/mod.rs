//! The registrar (RFC 5352): keeps the handlespace, answers elements and users, and finds out who is gone.
//!
//! All state is in memory. A registrar that starts anew knows nothing; elements register again by themselves.

mod announce;
mod asap;
mod connections;
mod event;
mod keepalive;
mod stats;

use std::collections::{BTreeMap, VecDeque};

use sctp::Instant;
use sctp::random::Random;
use sctp::serial::StreamId;
use sctp::timer::TimerQueue;

use self::connections::Connections;
pub use self::event::{RegistrarEvent, RemovalReason};
use self::keepalive::Watch;
pub use self::stats::RegistrarStats;
use crate::config::RegistrarConfig;
use crate::handlespace::{ElementKey, Handlespace};
use crate::ids::RegistrarId;
use crate::net::{ConnId, NetCommand, NetEvent, PPID_ASAP};
use crate::wire::asap::AsapMessage;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TimerKey {
    /// T6-Serverannounce.
    Announce,
    /// The next keep-alive of an element, or the end of waiting for its answer.
    KeepAlive(ElementKey),
    /// The end of a registration.
    Life(ElementKey),
}

/// A registrar, without I/O.
///
/// Give it network events and due timeouts, with a time that never goes back. After each, take the commands and the
/// events until there are none, then ask for the next timeout. An event costs a bounded amount of work and of
/// commands; what is kept is bounded by the configuration.
#[derive(Debug)]
pub struct Registrar {
    id: RegistrarId,
    config: RegistrarConfig,
    random: Random,
    handlespace: Handlespace,
    connections: Connections,
    watches: BTreeMap<ElementKey, Watch>,
    timers: TimerQueue<TimerKey>,
    commands: VecDeque<NetCommand>,
    events: VecDeque<RegistrarEvent>,
    stats: RegistrarStats,
    stopped: bool,
}

impl Registrar {
    /// A registrar with an empty handlespace. The same seed and the same inputs give the same outputs.
    pub fn new(config: RegistrarConfig, id: RegistrarId, seed: [u8; 32]) -> Self {
        let mut timers = TimerQueue::new();
        if config.announce().is_some() {
            // Due at once: the first thing a registrar does is to make itself known.
            timers.set(TimerKey::Announce, Instant::ZERO);
        }
        Self {
            id,
            handlespace: Handlespace::new(config.limits()),
            config,
            random: Random::new(seed),
            connections: Connections::default(),
            watches: BTreeMap::new(),
            timers,
            commands: VecDeque::new(),
            events: VecDeque::new(),
            stats: RegistrarStats::default(),
            stopped: false,
        }
    }

    /// Takes in what happened on the network.
    pub fn handle(&mut self, now: Instant, event: NetEvent) {
        if self.stopped {
            if let NetEvent::Connected { conn, .. } = event {
                self.commands.push_back(NetCommand::Abort { conn });
            }
            return;
        }
        match event {
            NetEvent::Connected { conn, peer } => match conn {
                ConnId::Opened(_) => self.on_opened(conn),
                ConnId::Accepted(_) if self.connections.len() >= self.config.max_associations() => {
                    self.stats.aborted_associations += 1;
                    self.commands.push_back(NetCommand::Abort { conn });
                }
                ConnId::Accepted(_) => self.connections.accept(conn, peer),
            },
            NetEvent::Closed { conn, graceful } => self.on_closed(now, conn, graceful),
            NetEvent::Message {
                conn, ppid, payload, ..
            } => {
                if self.connections.get(conn).is_none() {
                    return;
                }
                if ppid == PPID_ASAP {
                    self.on_message(now, conn, &payload);
                } else {
                    // Whoever speaks another protocol here is in the wrong place.
                    self.stats.aborted_associations += 1;
                    self.commands.push_back(NetCommand::Abort { conn });
                    self.on_closed(now, conn, false);
                }
            }
            NetEvent::Congestion { conn, congested } => {
                if let Some(connection) = self.connections.get_mut(conn) {
                    connection.congested = congested;
                }
            }
            // `Closed` follows a shutdown; a registrar joins no groups.
            NetEvent::PeerShutdown { .. } | NetEvent::Datagram { .. } => {}
        }
    }

    /// Carries out what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(key) = self.timers.pop_due(now) {
            match key {
                TimerKey::Announce => self.announce(now),
                TimerKey::KeepAlive(key) => self.on_keep_alive_timer(now, key),
                TimerKey::Life(key) => self.on_life_timer(key),
            }
        }
    }

    /// The next thing to do on the network.
    pub fn poll_command(&mut self) -> Option<NetCommand> {
        self.commands.pop_front()
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<RegistrarEvent> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest; `None` for never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Ends all associations, so that elements and users turn to another registrar without delay. The registrar does
    /// nothing more after that; its handlespace stays as it is.
    pub fn shut_down(&mut self) {
        let conns = self.connections.ids();
        self.commands.extend(conns.map(|conn| NetCommand::Shutdown { conn }));
        self.timers = TimerQueue::new();
        self.stopped = true;
    }

    /// Who it is.
    pub const fn id(&self) -> RegistrarId {
        self.id
    }

    /// What it knows.
    pub const fn handlespace(&self) -> &Handlespace {
        &self.handlespace
    }

    /// What it has counted.
    pub const fn stats(&self) -> &RegistrarStats {
        &self.stats
    }

    /// How many associations it has, those being set up included.
    pub fn associations(&self) -> usize {
        self.connections.len()
    }

    fn on_closed(&mut self, now: Instant, conn: ConnId, graceful: bool) {
        if let Some(connection) = self.connections.remove(conn) {
            self.on_lost(now, conn, connection, graceful);
        }
    }

    fn send(&mut self, conn: ConnId, message: &AsapMessage) {
        self.commands.push_back(NetCommand::Send {
            conn,
            stream: StreamId(0),
            ppid: PPID_ASAP,
            payload: message.encode(),
        });
    }

    /// Removes an element from the handlespace and all that belongs to it.
    fn remove(&mut self, key: ElementKey, reason: RemovalReason) {
        let Some(element) = self.handlespace.remove(key) else {
            return;
        };
        self.unwatch(key);
        self.timers.cancel(TimerKey::Life(key));
        if reason != RemovalReason::Deregistered {
            self.stats.removals += 1;
        }
        self.events.push_back(RegistrarEvent::ElementRemoved {
            pool: element.pool().clone(),
            pe: element.param().id,
            reason,
        });
    }
}

#[cfg(test)]
mod tests;
