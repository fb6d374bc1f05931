//! Sessions as a pool element sees them: who is at the other end of each association that a peer opened.

use std::collections::BTreeMap;
use std::time::Duration;

use sctp::Instant;
use sctp::timer::TimerQueue;

use super::SessionId;
use crate::net::{ConnId, SctpAddress};

/// What is known of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has said nothing yet.
    Unknown,
    /// A pool user.
    User(SessionId),
    /// A registrar.
    Registrar,
}

#[derive(Debug)]
struct Peer {
    address: SctpAddress,
    role: Role,
    /// Whether an ASAP message came on it: a cookie echo must be the first (RFC 5352 §3.8).
    control_seen: bool,
}

/// The peers that opened an association to a pool element.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    peers: BTreeMap<ConnId, Peer>,
    sessions: BTreeMap<SessionId, ConnId>,
    silent: TimerQueue<ConnId>,
    next_session: u64,
}

impl Peers {
    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// A peer opened an association. Once it has been silent for `patience`, it counts as a user.
    pub(crate) fn add(&mut self, now: Instant, conn: ConnId, address: SctpAddress, patience: Option<Duration>) {
        let role = match patience {
            Some(patience) => {
                self.silent.set(conn, now + patience);
                Role::Unknown
            }
            None => Role::Registrar,
        };
        self.peers.insert(
            conn,
            Peer {
                address,
                role,
                control_seen: false,
            },
        );
    }

    pub(crate) fn role(&self, conn: ConnId) -> Option<Role> {
        self.peers.get(&conn).map(|peer| peer.role)
    }

    pub(crate) fn address(&self, conn: ConnId) -> Option<&SctpAddress> {
        self.peers.get(&conn).map(|peer| &peer.address)
    }

    /// The peer's session, which starts now if it had none.
    pub(crate) fn session_of(&mut self, conn: ConnId) -> Option<(SessionId, IsNew)> {
        let peer = self.peers.get_mut(&conn)?;
        if let Role::User(session) = peer.role {
            return Some((session, IsNew::No));
        }
        let session = SessionId(self.next_session);
        self.next_session = self.next_session.wrapping_add(1);
        peer.role = Role::User(session);
        self.silent.cancel(conn);
        self.sessions.insert(session, conn);
        Some((session, IsNew::Yes(peer.address.clone())))
    }

    /// The peer is a registrar. The session that it was taken for, if it was.
    pub(crate) fn is_registrar(&mut self, conn: ConnId) -> Option<SessionId> {
        let peer = self.peers.get_mut(&conn)?;
        self.silent.cancel(conn);
        match std::mem::replace(&mut peer.role, Role::Registrar) {
            Role::User(session) => {
                self.sessions.remove(&session);
                Some(session)
            }
            Role::Unknown | Role::Registrar => None,
        }
    }

    /// Notes an ASAP message of a peer; says whether it is the first.
    pub(crate) fn is_first_control(&mut self, conn: ConnId) -> bool {
        self.peers
            .get_mut(&conn)
            .is_some_and(|peer| !std::mem::replace(&mut peer.control_seen, true))
    }

    pub(crate) fn conn_of(&self, session: SessionId) -> Option<ConnId> {
        self.sessions.get(&session).copied()
    }

    /// Forgets a peer; its session, if it had one.
    pub(crate) fn remove(&mut self, conn: ConnId) -> Option<SessionId> {
        self.silent.cancel(conn);
        match self.peers.remove(&conn)?.role {
            Role::User(session) => {
                self.sessions.remove(&session);
                Some(session)
            }
            Role::Unknown | Role::Registrar => None,
        }
    }

    /// All peers, so that they can be told good-bye.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = ConnId> + use<> {
        self.sessions.clear();
        self.silent = TimerQueue::new();
        std::mem::take(&mut self.peers).into_keys()
    }

    /// The next peer that has been silent long enough to count as a user.
    pub(crate) fn pop_silent(&mut self, now: Instant) -> Option<ConnId> {
        self.silent.pop_due(now)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.silent.next()
    }
}

/// Whether a session has just started, and who it is with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IsNew {
    Yes(SctpAddress),
    No,
}
