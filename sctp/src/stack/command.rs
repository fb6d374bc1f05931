//! What the user of a stack may ask for (RFC 9260 §11.1), one function each.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::{AssocId, EndpointId, Stack};
use crate::assoc::{Association, AssociationPhase, AssociationStatus, Identity, is_usable, user_abort};
use crate::config::{AssociationConfig, EndpointConfig};
use crate::error::{BindError, ConnectError, FailureReason, NoSuchAssociation, PathError, SendError};
use crate::message::{OutMessage, Received};
use crate::serial::Tsn;
use crate::time::Instant;

/// What a new association may have of its own.
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    /// Its configuration; `None` for the end point's.
    pub config: Option<AssociationConfig>,
}

impl Stack {
    // End points.

    /// Binds an end point (INITIALIZE, §11.1.1).
    pub fn bind(&mut self, config: EndpointConfig) -> Result<EndpointId, BindError> {
        self.endpoints.bind(config, &mut self.random)
    }

    /// Accepts associations from peers, while fewer than `backlog` wait to be [accepted](Self::accept). Zero stops.
    /// False if there is no such end point, or another one that shares its port listens (RFC 6458 §8.1.27).
    pub fn listen(&mut self, endpoint: EndpointId, backlog: usize) -> bool {
        if backlog > 0 && self.endpoints.has_listening_sharer(endpoint) {
            return false;
        }
        let found = self.endpoints.get_mut(endpoint);
        found.map(|endpoint| endpoint.backlog = backlog).is_some()
    }

    /// The end point's port.
    pub fn local_port(&self, endpoint: EndpointId) -> Option<u16> {
        self.endpoints.get(endpoint).map(|endpoint| endpoint.port)
    }

    /// The own addresses that the end point uses.
    pub fn local_addresses(&self, endpoint: EndpointId) -> Vec<IpAddr> {
        self.endpoints
            .get(endpoint)
            .map_or_else(Vec::new, |endpoint| endpoint.addresses().to_vec())
    }

    /// Closes an end point: its port is free at once, its associations are aborted and released (DESTROY, §11.1.12).
    /// The ABORTs still come out of `poll_transmit`; no more events come for it.
    pub fn close_endpoint(&mut self, now: Instant, endpoint: EndpointId) {
        let Some(closed) = self.endpoints.remove(endpoint) else {
            return;
        };
        for id in closed.associations {
            self.release_with(now, id, FailureReason::EndpointClosed);
        }
    }

    // Associations.

    /// Opens an association (ASSOCIATE, §11.1.2); [`Event::CommunicationUp`](crate::Event::CommunicationUp) or
    /// [`Event::ConnectFailed`](crate::Event::ConnectFailed) follows. Messages may be queued at once. The first
    /// address is the first to be tried and the primary one.
    pub fn connect(
        &mut self,
        now: Instant,
        endpoint: EndpointId,
        peer: &[IpAddr],
        peer_port: u16,
        options: ConnectOptions,
    ) -> Result<AssocId, ConnectError> {
        let bound = self.endpoints.get(endpoint).ok_or(ConnectError::NoSuchEndpoint)?;
        let local = bound.local_side(self.config.encapsulation_port());
        let config = options.config.map_or_else(|| Arc::clone(&bound.association), Arc::new);
        if peer_port == 0 {
            return Err(ConnectError::BadPort);
        }
        if peer.is_empty() || peer.iter().any(|&address| !crate::addr::is_usable_peer(address)) {
            return Err(ConnectError::BadAddress);
        }
        let reachable: Vec<IpAddr> = peer
            .iter()
            .copied()
            .filter(|&address| is_usable(&local, address))
            .collect();
        if reachable.is_empty() {
            return Err(ConnectError::NoSource);
        }
        let connected = |address: &IpAddr| {
            let mut sharers = self.endpoints.sharers(endpoint);
            sharers.any(|endpoint| self.table.by_confirmed_peer(endpoint, *address, peer_port).is_some())
        };
        if reachable.iter().any(connected) {
            return Err(ConnectError::AlreadyConnected);
        }
        if self.table.len() >= self.config.max_associations() {
            return Err(ConnectError::TooManyAssociations);
        }
        let identity = Identity {
            local_tag: self.table.fresh_tag(&mut self.random),
            local_initial_tsn: Tsn(self.random.u32()),
        };
        let assoc = Association::connect(now, config, local, identity, &reachable, peer_port, &mut self.random);
        let id = assoc.and_then(|assoc| self.table.insert(endpoint, assoc, None));
        let id = id.ok_or(ConnectError::TooManyAssociations)?;
        if let Some(slot) = self.table.get(id) {
            slot.assoc.set_log_name(id);
        }
        if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
            endpoint.associations.insert(id);
        }
        self.settle(id);
        Ok(id)
    }

    /// Takes an association that a peer opened out of its end point's backlog.
    pub fn accept(&mut self, assoc: AssocId) -> Result<(), NoSuchAssociation> {
        self.table.get(assoc).ok_or(NoSuchAssociation)?;
        self.leave_backlog(assoc);
        Ok(())
    }

    /// Queues a message (SEND, §11.1.5).
    pub fn send(&mut self, now: Instant, assoc: AssocId, message: OutMessage) -> Result<(), SendError> {
        let slot = self.table.get_mut(assoc).ok_or(SendError::NoSuchAssociation)?;
        let result = slot.assoc.send(now, message);
        if slot.assoc.has_events() {
            // Others gave way to it.
            self.settle(assoc);
        } else {
            // Queueing moves no timer and tells nothing: it only gives the association something to send.
            self.to_transmit.push(assoc, &mut slot.transmit_queued);
        }
        result
    }

    /// Queues a piece of a message, which `end` completes (SCTP_EXPLICIT_EOR, RFC 6458 §8.1.26). So a message may be
    /// larger than the send buffer, which a piece has to fit. Stream, order, payload protocol identifier and
    /// reliability are those of the first piece, and what has a priority is not given up for others. Each piece has at
    /// least a byte; one that fails comes back by itself.
    ///
    /// Until it is complete, nothing else may be sent on its stream, or, without interleaving (RFC 8260), on any. An
    /// association that is shut down before is aborted once everything has arrived: the message will have no end.
    pub fn send_more(&mut self, now: Instant, assoc: AssocId, piece: OutMessage, end: bool) -> Result<(), SendError> {
        let slot = self.table.get_mut(assoc).ok_or(SendError::NoSuchAssociation)?;
        let result = slot.assoc.send_more(now, piece, end);
        self.settle(assoc);
        result
    }

    /// Takes the next received message (RECEIVE, §11.1.6); `None` when there is none.
    pub fn recv(&mut self, _now: Instant, assoc: AssocId) -> Result<Option<Received>, NoSuchAssociation> {
        let slot = self.table.get_mut(assoc).ok_or(NoSuchAssociation)?;
        let received = slot.assoc.recv();
        if slot.unlinked {
            self.forget_if_over(assoc);
        } else if slot.assoc.wants_window_update() {
            self.settle(assoc);
        }
        Ok(received)
    }

    /// Ends the association gracefully (SHUTDOWN, §11.1.3): what is queued is delivered first.
    pub fn shutdown(&mut self, now: Instant, assoc: AssocId) -> Result<(), NoSuchAssociation> {
        let slot = self.table.get_mut(assoc).ok_or(NoSuchAssociation)?;
        slot.assoc.shutdown(now);
        self.settle(assoc);
        Ok(())
    }

    /// Ends the association at once (ABORT, §11.1.4); `reason` goes to the peer.
    pub fn abort(&mut self, _now: Instant, assoc: AssocId, reason: Bytes) -> Result<(), NoSuchAssociation> {
        let slot = self.table.get_mut(assoc).ok_or(NoSuchAssociation)?;
        slot.assoc.abort(user_abort(&reason), FailureReason::UserAbort);
        self.settle(assoc);
        Ok(())
    }

    /// Forgets an association: aborts it if it has not ended, discards what was not received. No more events come
    /// for it. An association that has ended and holds nothing to receive is forgotten by itself once its last event
    /// was polled.
    pub fn release(&mut self, now: Instant, assoc: AssocId) {
        self.release_with(now, assoc, FailureReason::UserAbort);
    }

    fn release_with(&mut self, _now: Instant, id: AssocId, reason: FailureReason) {
        let Some(slot) = self.table.get_mut(id) else { return };
        slot.released = true;
        if slot.assoc.phase() != AssociationPhase::Closed {
            slot.assoc.abort(user_abort(&[]), reason);
        }
        slot.assoc.discard_events();
        self.settle(id);
    }

    /// A snapshot (STATUS, §11.1.8); `None` if there is no such association.
    pub fn status(&self, assoc: AssocId) -> Option<AssociationStatus> {
        self.table.get(assoc).map(|slot| slot.assoc.status())
    }

    /// What [`recv`](Self::recv) would give next, left there (SCTP_NXTINFO, RFC 6458 §5.3.6); `None` also for the rest
    /// of a message that comes in pieces, of which no more is known before it is received.
    pub fn peek(&self, assoc: AssocId) -> Option<&Received> {
        self.table.get(assoc)?.assoc.peek()
    }

    /// Whether a message is received in pieces and its end has not come: the next thing to be received may be long in
    /// coming.
    pub fn is_partial(&self, assoc: AssocId) -> bool {
        self.table.get(assoc).is_some_and(|slot| slot.assoc.is_partial())
    }

    /// Up to which TSN everything has arrived from the peer (rcv_cumtsn, RFC 6458 §5.3.5).
    pub fn cumulative_tsn(&self, assoc: AssocId) -> Option<Tsn> {
        self.table.get(assoc).map(|slot| slot.assoc.cumulative_tsn())
    }

    /// The own end point of an association.
    pub fn endpoint_of(&self, assoc: AssocId) -> Option<EndpointId> {
        self.table.get(assoc).map(|slot| slot.endpoint)
    }

    /// The association between an own end point and a peer's address and port. One that lists the address without
    /// having shown that it is there (§5.4) is not found by it: what is meant for the address is not for who claims it.
    pub fn find(&self, endpoint: EndpointId, peer: IpAddr, peer_port: u16) -> Option<AssocId> {
        self.table.by_confirmed_peer(endpoint, peer, peer_port)
    }

    /// Sends new data to `address` from now on (SET PRIMARY, §11.1.4). An association that has ended is none any more.
    pub fn set_primary(&mut self, assoc: AssocId, address: IpAddr) -> Result<(), PathError> {
        let slot = self.table.get_mut(assoc).ok_or(PathError::NoSuchAssociation)?;
        if slot.assoc.phase() == AssociationPhase::Closed {
            return Err(PathError::NoSuchAssociation);
        }
        let path = slot.assoc.find_path(address).ok_or(PathError::NoSuchPath)?;
        let done = slot.assoc.set_primary(path);
        self.settle(assoc);
        if done { Ok(()) } else { Err(PathError::Unconfirmed) }
    }

    /// Probes `address` now (REQUEST HEARTBEAT, §11.1.11).
    pub fn request_heartbeat(&mut self, _now: Instant, assoc: AssocId, address: IpAddr) -> Result<(), PathError> {
        let slot = self.table.get_mut(assoc).ok_or(PathError::NoSuchAssociation)?;
        let path = slot.assoc.find_path(address).ok_or(PathError::NoSuchPath)?;
        slot.assoc.request_heartbeat(path);
        self.settle(assoc);
        Ok(())
    }
}
