//! The boundary between the roles and the network: messages, not bytes.
//!
//! A node (one role, or several that share it) has one SCTP end point of the one-to-many kind. Drivers and the
//! simulator turn its socket events into [`NetEvent`]s and carry out its [`NetCommand`]s.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sctp::serial::{Ppid, StreamId};

/// The payload protocol identifier of ASAP messages (RFC 5352 §6.1), on every association they travel on.
pub const PPID_ASAP: Ppid = Ppid(11);
/// The payload protocol identifier of ENRP messages (RFC 5353 §6.1).
pub const PPID_ENRP: Ppid = Ppid(12);

/// Names an association of a node. Never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnId {
    /// The node's engine opened it and chose the number.
    Opened(u64),
    /// A peer opened it and the transport chose the number.
    Accepted(u64),
}

/// The SCTP transport address of a node: one port, one or more addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SctpAddress {
    /// The SCTP port.
    pub port: u16,
    /// The IP addresses; at least one. The first is tried first.
    pub addresses: Vec<IpAddr>,
}

impl SctpAddress {
    /// Whether an IP address and port are among this transport address.
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.port == address.port() && self.addresses.contains(&address.ip())
    }
}

/// What happened on the network of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetEvent {
    /// An association is established: one that the engine asked for, or one that a peer opened.
    Connected {
        /// The association.
        conn: ConnId,
        /// The peer's port and addresses.
        peer: SctpAddress,
    },
    /// An association is over, or was never established; the last event of its `conn`.
    Closed {
        /// The association.
        conn: ConnId,
        /// Whether the peer ended it by shutdown; false for abort, time-out and failed set-up.
        graceful: bool,
    },
    /// The peer shuts the association down; nothing more comes from it, and `Closed` follows.
    PeerShutdown {
        /// The association.
        conn: ConnId,
    },
    /// A message arrived.
    Message {
        /// The association it came on.
        conn: ConnId,
        /// The stream it came on.
        stream: StreamId,
        /// Its payload protocol identifier.
        ppid: Ppid,
        /// The bytes.
        payload: Bytes,
    },
    /// The peer takes messages more slowly than the node sends them, or has caught up again. A node that goes on
    /// sending to a congested peer may lose the association: what waits for it is bounded. A transport that never
    /// queues much need not tell.
    Congestion {
        /// The association.
        conn: ConnId,
        /// Whether much is waiting to be sent now.
        congested: bool,
    },
    /// A datagram arrived on a multicast group that the node joined.
    Datagram {
        /// The group it was sent to.
        group: SocketAddr,
        /// Where it came from.
        source: SocketAddr,
        /// The bytes.
        payload: Bytes,
    },
}

/// What a node wants from its network. Commands are carried out in order and report back by [`NetEvent`]s only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetCommand {
    /// Open an association; `Connected` or `Closed` answers.
    ///
    /// It starts from the node's end point; but if that has an association with `peer` already (two end points have at
    /// most one), from another end point that the transport opens for it. So a pool user can have several sessions with
    /// one pool element.
    Connect {
        /// The number the engine gives it, a [`ConnId::Opened`].
        conn: ConnId,
        /// Where to.
        peer: SctpAddress,
    },
    /// Send a message, in order on its stream. Lost if the association ends before it is delivered.
    Send {
        /// The association.
        conn: ConnId,
        /// The stream.
        stream: StreamId,
        /// The payload protocol identifier.
        ppid: Ppid,
        /// The bytes; at least one.
        payload: Bytes,
    },
    /// End an association gracefully; `Closed` follows.
    Shutdown {
        /// The association.
        conn: ConnId,
    },
    /// End an association at once; `Closed` does not follow, and what has not been delivered is lost.
    Abort {
        /// The association.
        conn: ConnId,
    },
    /// Send a datagram to a multicast group, from a UDP port equal to the node's SCTP port where that is free.
    SendDatagram {
        /// The group and UDP port.
        group: SocketAddr,
        /// The bytes.
        payload: Bytes,
    },
    /// Receive the datagrams of a multicast group.
    JoinGroup {
        /// The group and UDP port.
        group: SocketAddr,
    },
}
