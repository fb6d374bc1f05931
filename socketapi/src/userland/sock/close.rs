//! Shutting down, aborting, closing. A socket that goes away leaves its associations to end in the background.

use std::time::Duration;

use bytes::Bytes;
use sctp::{AssocId, EndpointId, Instant};

use super::{Defaults, Owner, Phase, Sockets};
use crate::userland::wait::{Attempt, Interest, Refused};
use crate::{Error, Result};

impl Sockets {
    /// Ends an association gracefully.
    pub(crate) fn shutdown(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) -> Result<()> {
        let assoc = self.live(endpoint, id)?;
        if assoc.phase.has_ended() {
            return Err(Error::NoSuchAssociation);
        }
        assoc.shut_down_here = true;
        let up = assoc.phase == Phase::Up;
        let mut senders = std::mem::take(&mut assoc.senders);
        senders.wake(&mut self.woken);
        // RFC 9260 has no shutdown before the association is established; it is made up for then.
        if up {
            self.stack.shutdown(now, id)?;
        }
        Ok(())
    }

    /// Receives nothing more on a one-to-one socket (SHUT_RD, RFC 6458 §4.1.7).
    pub(crate) fn shutdown_read(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) -> Result<()> {
        let assoc = self.owned(endpoint, id, Owner::Stream).map_err(|_| Error::Closed)?;
        assoc.deaf = true;
        assoc.inbox.clear();
        assoc.pieces.clear();
        let mut receivers = std::mem::take(&mut assoc.receivers);
        receivers.wake(&mut self.woken);
        // The peer's shutdown waits until everything is taken.
        while let Ok(Some(_)) = self.stack.recv(now, id) {}
        Ok(())
    }

    /// Ends an association at once.
    pub(crate) fn abort(&mut self, now: Instant, endpoint: EndpointId, id: AssocId, reason: Bytes) -> Result<()> {
        if self.live(endpoint, id)?.phase.has_ended() {
            return Err(Error::NoSuchAssociation);
        }
        Ok(self.stack.abort(now, id, reason)?)
    }

    /// Closes a one-to-many or a listening socket. Associations that wait to be accepted are aborted.
    pub(crate) fn close(&mut self, now: Instant, endpoint: EndpointId) {
        let Some(entry) = self.endpoints.get_mut(&endpoint).filter(|entry| entry.open) else {
            return;
        };
        entry.open = false;
        entry.begun = None;
        let aborts = aborts(entry.defaults.as_deref());
        entry.ready.clear();
        entry.backlog.clear();
        entry.receivers.wake(&mut self.woken);
        self.stack.listen(endpoint, 0);
        let all: Vec<(AssocId, Owner)> = entry.assocs.iter().map(|(id, assoc)| (*id, assoc.owner)).collect();
        for (id, owner) in all {
            match owner {
                Owner::Socket if aborts => self.discard(now, endpoint, id, Bytes::new()),
                Owner::Socket => self.leave(now, endpoint, id),
                Owner::Backlog => self.discard(now, endpoint, id, Bytes::from_static(b"not accepted")),
                Owner::Stream | Owner::Nobody => {}
            }
        }
        self.remove_endpoint_if_unused(now, endpoint);
    }

    /// Closes a one-to-one socket.
    pub(crate) fn close_stream(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) {
        match self.owned(endpoint, id, Owner::Stream) {
            Ok(assoc) if aborts(assoc.defaults.as_deref()) => self.discard(now, endpoint, id, Bytes::new()),
            Ok(_) => self.leave(now, endpoint, id),
            Err(_) => {}
        }
    }

    /// Whether a closed one-to-many socket has no associations left.
    pub(crate) fn all_ended_of(&mut self, endpoint: EndpointId) -> Attempt<()> {
        match self.endpoints.get(&endpoint) {
            Some(entry) if entry.assocs.values().any(|assoc| assoc.owner == Owner::Nobody) => {
                Err(Refused::Wait(Interest::Ended(endpoint)))
            }
            _ => Ok(()),
        }
    }

    /// Whether the association of a closed one-to-one socket has ended.
    pub(crate) fn ended(&mut self, endpoint: EndpointId, id: AssocId) -> Attempt<()> {
        match self.assoc_mut(endpoint, id) {
            Some(_) => Err(Refused::Wait(Interest::Ended(endpoint))),
            None => Ok(()),
        }
    }

    /// Whether no association of the stack is left that has not ended.
    pub(crate) fn all_ended(&mut self) -> Attempt<()> {
        let mut all = self.endpoints.values().flat_map(|entry| entry.assocs.values());
        if all.any(|assoc| !assoc.phase.has_ended()) {
            Err(Refused::Wait(Interest::AllEnded))
        } else {
            Ok(())
        }
    }

    /// Stops listening everywhere, and ends all associations gracefully.
    pub(crate) fn shutdown_all(&mut self, now: Instant) {
        let ids: Vec<(EndpointId, AssocId)> = self.all_ids();
        for endpoint in self.endpoints.keys() {
            self.stack.listen(*endpoint, 0);
        }
        for (endpoint, id) in ids {
            // One that has ended needs no end.
            let _ = self.shutdown(now, endpoint, id);
        }
    }

    /// Ends all associations at once.
    pub(crate) fn abort_all(&mut self, now: Instant) {
        for (endpoint, id) in self.all_ids() {
            if let Some(assoc) = self.assoc_mut(endpoint, id) {
                let nobody = assoc.owner == Owner::Nobody;
                if nobody {
                    self.discard(now, endpoint, id, Bytes::new());
                } else {
                    // One that has ended needs no end.
                    let _ = self.abort(now, endpoint, id, Bytes::new());
                }
            }
        }
    }

    fn all_ids(&self) -> Vec<(EndpointId, AssocId)> {
        let ids = |(endpoint, entry): (&EndpointId, &super::Endpoint)| {
            entry.assocs.keys().map(|id| (*endpoint, *id)).collect::<Vec<_>>()
        };
        self.endpoints.iter().flat_map(ids).collect()
    }

    /// Leaves an association to end in the background: what was sent is delivered, what was received is dropped.
    fn leave(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) {
        let Some(entry) = self.endpoints.get_mut(&endpoint) else {
            return;
        };
        let Some(assoc) = entry.assocs.get_mut(&id) else { return };
        assoc.owner = Owner::Nobody;
        assoc.inbox.clear();
        assoc.wake_everyone(&mut self.woken);
        match assoc.phase {
            Phase::Up => {
                // The peer's shutdown waits until everything is taken.
                while let Ok(Some(_)) = self.stack.recv(now, id) {}
                assoc.shut_down_here = true;
                // A second request changes nothing.
                let _ = self.stack.shutdown(now, id);
            }
            Phase::Connecting if self.stack.status(id).is_some_and(|status| status.buffered_bytes > 0) => {
                assoc.shut_down_here = true;
            }
            Phase::Connecting => self.discard(now, endpoint, id, Bytes::new()),
            Phase::Failed(_) | Phase::Lost(_) | Phase::ShutDown => self.remove(now, endpoint, id),
        }
    }

    /// Ends an association at once and forgets it.
    pub(super) fn discard(&mut self, now: Instant, endpoint: EndpointId, id: AssocId, reason: Bytes) {
        // One that has ended needs no end.
        let _ = self.stack.abort(now, id, reason);
        self.remove(now, endpoint, id);
    }

    /// Forgets an association that has ended and that nobody needs any more.
    pub(super) fn sweep(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) {
        let Some(assoc) = self.assoc_mut(endpoint, id) else {
            return;
        };
        let needed = match assoc.owner {
            Owner::Socket => !assoc.inbox.is_empty() || assoc.watchers > 0,
            Owner::Backlog | Owner::Stream => true,
            Owner::Nobody => false,
        };
        if assoc.phase.has_ended() && !needed {
            self.remove(now, endpoint, id);
        }
    }

    /// Forgets an association.
    pub(super) fn remove(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) {
        self.stack.release(now, id);
        let Some(entry) = self.endpoints.get_mut(&endpoint) else {
            return;
        };
        if let Some(mut assoc) = entry.assocs.remove(&id) {
            assoc.wake_everyone(&mut self.woken);
        }
        entry.enders.wake(&mut self.woken);
        self.all_ended.wake(&mut self.woken);
        self.remove_endpoint_if_unused(now, endpoint);
    }

    /// Gives an end point's port back once nobody needs it.
    pub(super) fn remove_endpoint_if_unused(&mut self, now: Instant, endpoint: EndpointId) {
        if self
            .endpoints
            .get(&endpoint)
            .is_some_and(|entry| !entry.open && entry.assocs.is_empty())
        {
            self.stack.close_endpoint(now, endpoint);
            if let Some(mut entry) = self.endpoints.remove(&endpoint) {
                entry.receivers.wake(&mut self.woken);
                entry.enders.wake(&mut self.woken);
                self.woken.extend(entry.unbound.take());
            }
        }
    }
}

/// Whether closing ends associations at once (SO_LINGER of zero, RFC 6458 §8.1.4).
fn aborts(defaults: Option<&Defaults>) -> bool {
    defaults.is_some_and(|defaults| defaults.linger == Some(Duration::ZERO))
}
