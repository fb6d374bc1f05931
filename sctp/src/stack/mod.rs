//! The stack: what users and drivers of the engine call.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::Instant;
use crate::config::{AssociationConfig, EndpointConfig, StackConfig};
use crate::error::{BindError, ConnectError, NoSuchAssociation, PathError, SendError};
use crate::event::Event;
use crate::message::{OutMessage, Received};
use crate::stats::{AssociationStats, StackStats};
use crate::transmit::{RxMeta, Transmit};

/// Names an end point of a stack. Never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId {
    index: u32,
    generation: u32,
}

/// Names an association of a stack. Never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssocId {
    index: u32,
    generation: u32,
}

/// What a new association may have of its own.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Its configuration; `None` for the end point's.
    pub config: Option<AssociationConfig>,
}

/// Where in its life an association is (RFC 9260 §4), and for how much longer it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssociationPhase {
    /// INIT sent.
    CookieWait,
    /// COOKIE ECHO sent.
    CookieEchoed,
    /// Open in both directions.
    Established,
    /// Shutting down once everything queued is acknowledged.
    ShutdownPending,
    /// SHUTDOWN sent.
    ShutdownSent,
    /// SHUTDOWN received, still sending what is queued.
    ShutdownReceived,
    /// SHUTDOWN ACK sent.
    ShutdownAckSent,
    /// Over; received data may still be taken.
    Closed,
}

/// Whether a path works (RFC 9260 §8.2, §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathState {
    /// Not yet known to belong to the peer.
    Unconfirmed,
    /// It answers.
    Active,
    /// It does not answer.
    Inactive,
}

/// One of the peer's addresses (GET SRTT REPORT and STATUS, RFC 9260 §11.1.8, §11.1.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStatus {
    /// The peer's address.
    pub address: IpAddr,
    /// Whether it works.
    pub state: PathState,
    /// Whether new data goes there by default.
    pub primary: bool,
    /// Smoothed round-trip time, once measured.
    pub srtt: Option<Duration>,
    /// Retransmission time-out.
    pub rto: Duration,
    /// Congestion window in bytes.
    pub cwnd: usize,
    /// Slow start threshold in bytes.
    pub ssthresh: usize,
    /// Bytes in flight.
    pub flight_size: usize,
    /// Missing answers in a row.
    pub error_count: u16,
    /// Largest IP packet, headers included.
    pub mtu: usize,
    /// The peer's UDP port, with encapsulation.
    pub encapsulation_port: Option<u16>,
}

/// A snapshot of an association (STATUS, RFC 9260 §11.1.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssociationStatus {
    /// Where in its life it is.
    pub phase: AssociationPhase,
    /// The own SCTP port.
    pub local_port: u16,
    /// The peer's SCTP port.
    pub peer_port: u16,
    /// The own addresses it uses.
    pub local_addresses: Vec<IpAddr>,
    /// Streams that this side may send on.
    pub outbound_streams: u16,
    /// Streams that the peer may send on.
    pub inbound_streams: u16,
    /// What is left of the peer's receive window, in bytes.
    pub peer_rwnd: usize,
    /// Messages queued or not fully acknowledged.
    pub unacknowledged_messages: usize,
    /// Bytes of user data queued or not acknowledged.
    pub buffered_bytes: usize,
    /// Messages waiting to be received.
    pub pending_messages: usize,
    /// The peer's addresses; the first one is the one that set-up used.
    pub paths: Vec<PathStatus>,
    /// Counters.
    pub stats: AssociationStats,
}

/// One SCTP instance on a set of local addresses.
///
/// See the [crate page](crate) for the loop around it. `now` never goes back; every call does work bounded by its
/// input (a packet, a message, `max_segments` packets); a spurious [`handle_timeout`](Self::handle_timeout) is
/// harmless.
#[derive(Debug)]
pub struct Stack {}

#[expect(missing_docs, unused_variables, clippy::todo, reason = "signatures first")]
impl Stack {
    /// A stack whose whole randomness comes from `seed`, which must be secret in production: tags, TSNs and the
    /// State Cookie key follow from it.
    pub fn new(config: StackConfig, seed: [u8; 32]) -> Self {
        todo!()
    }

    // Inputs.

    /// A datagram arrived: an SCTP packet, without IP and UDP headers. The bytes are kept only as long as user data
    /// in them waits to be received.
    pub fn handle_datagram(&mut self, now: Instant, meta: &RxMeta, datagram: Bytes) {
        todo!()
    }

    /// Time has passed; due timers run.
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }

    // Outputs.

    /// Writes the next packet or packets to `buf` (which it clears first): up to `max_segments` packets of one size, the last one
    /// maybe shorter, to one address. `None` when there is nothing to send now.
    pub fn poll_transmit(&mut self, now: Instant, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        todo!()
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<(EndpointId, AssocId, Event)> {
        todo!()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; never is `None`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    // End points.

    /// Binds an end point (INITIALIZE, §11.1.1).
    pub fn bind(&mut self, config: EndpointConfig) -> Result<EndpointId, BindError> {
        todo!()
    }

    /// Accepts associations from peers, while fewer than `backlog` wait to be [accepted](Self::accept). Zero stops.
    /// False if there is no such end point.
    pub fn listen(&mut self, endpoint: EndpointId, backlog: usize) -> bool {
        todo!()
    }

    /// The end point's port.
    pub fn local_port(&self, endpoint: EndpointId) -> Option<u16> {
        todo!()
    }

    /// The own addresses that the end point uses.
    pub fn local_addresses(&self, endpoint: EndpointId) -> Vec<IpAddr> {
        todo!()
    }

    /// Closes an end point: its port is free at once, its associations are aborted and released (DESTROY, §11.1.12).
    /// The ABORTs still come out of `poll_transmit`; no more events come for it.
    pub fn close_endpoint(&mut self, now: Instant, endpoint: EndpointId) {
        todo!()
    }

    /// The host's addresses changed. New associations use the new list; existing ones keep what they told the peer.
    pub fn set_local_addresses(&mut self, addresses: Vec<IpAddr>) {
        todo!()
    }

    // Associations.

    /// Opens an association (ASSOCIATE, §11.1.2); [`Event::CommunicationUp`] or [`Event::ConnectFailed`] follows.
    /// Messages may be queued at once. The first address is the first to be tried and the primary one.
    pub fn connect(
        &mut self,
        now: Instant,
        endpoint: EndpointId,
        peer: &[IpAddr],
        peer_port: u16,
        options: ConnectOptions,
    ) -> Result<AssocId, ConnectError> {
        todo!()
    }

    /// Takes an association that a peer opened out of its end point's backlog.
    pub fn accept(&mut self, assoc: AssocId) -> Result<(), NoSuchAssociation> {
        todo!()
    }

    /// Queues a message (SEND, §11.1.5).
    pub fn send(&mut self, now: Instant, assoc: AssocId, message: OutMessage) -> Result<(), SendError> {
        todo!()
    }

    /// Takes the next received message (RECEIVE, §11.1.6); `None` when there is none.
    pub fn recv(&mut self, now: Instant, assoc: AssocId) -> Result<Option<Received>, NoSuchAssociation> {
        todo!()
    }

    /// Ends the association gracefully (SHUTDOWN, §11.1.3): what is queued is delivered first.
    pub fn shutdown(&mut self, now: Instant, assoc: AssocId) -> Result<(), NoSuchAssociation> {
        todo!()
    }

    /// Ends the association at once (ABORT, §11.1.4); `reason` goes to the peer.
    pub fn abort(&mut self, now: Instant, assoc: AssocId, reason: Bytes) -> Result<(), NoSuchAssociation> {
        todo!()
    }

    /// Forgets an association: aborts it if it has not ended, discards what was not received. No more events come
    /// for it. An association that has ended and holds nothing to receive is forgotten by itself once its last event
    /// was polled.
    pub fn release(&mut self, now: Instant, assoc: AssocId) {
        todo!()
    }

    /// A snapshot (STATUS, §11.1.8); `None` if there is no such association.
    pub fn status(&self, assoc: AssocId) -> Option<AssociationStatus> {
        todo!()
    }

    /// The own end point of an association.
    pub fn endpoint_of(&self, assoc: AssocId) -> Option<EndpointId> {
        todo!()
    }

    /// The association between an own end point and a peer's address and port.
    pub fn find(&self, endpoint: EndpointId, peer: IpAddr, peer_port: u16) -> Option<AssocId> {
        todo!()
    }

    /// Sends new data to `address` from now on (SET PRIMARY, §11.1.4).
    pub fn set_primary(&mut self, assoc: AssocId, address: IpAddr) -> Result<(), PathError> {
        todo!()
    }

    /// Probes `address` now (REQUEST HEARTBEAT, §11.1.11).
    pub fn request_heartbeat(&mut self, now: Instant, assoc: AssocId, address: IpAddr) -> Result<(), PathError> {
        todo!()
    }

    /// Counters of the whole stack.
    pub fn stats(&self) -> StackStats {
        todo!()
    }
}
