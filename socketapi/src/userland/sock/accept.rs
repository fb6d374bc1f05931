//! Listening, accepting, and making a socket of its own of an association.

use std::net::SocketAddr;

use sctp::{AssocId, EndpointId};

use super::{Owner, Sockets};
use crate::userland::wait::{Attempt, Interest, Refused};
use crate::{Error, Result};

impl Sockets {
    /// Accepts associations that peers open; zero stops.
    pub(crate) fn listen(&mut self, endpoint: EndpointId, backlog: usize) -> Result<()> {
        self.open_endpoint(endpoint)?;
        // The end point is there.
        let listens = self.stack.listen(endpoint, backlog);
        listens.then_some(()).ok_or(Error::PortInUse)
    }

    /// Takes the oldest association out of a listening socket's backlog.
    pub(crate) fn accept(&mut self, endpoint: EndpointId) -> Attempt<(AssocId, SocketAddr)> {
        let entry = self.open_endpoint(endpoint)?;
        while let Some(id) = entry.backlog.pop_front() {
            let Some(assoc) = entry.assocs.get_mut(&id) else {
                continue;
            };
            assoc.owner = Owner::Stream;
            let peer = assoc.peer;
            // One that has ended meanwhile is no longer in the engine's backlog; what it received is still taken.
            let _ = self.stack.accept(id);
            return Ok((id, peer));
        }
        Err(Refused::Wait(Interest::Receive(endpoint)))
    }

    /// Makes a one-to-one socket of an association of a one-to-many socket (RFC 6458 §9.2). It keeps its settings and
    /// what it has received, and closes as the first socket does.
    pub(crate) fn peel_off(&mut self, endpoint: EndpointId, id: AssocId) -> Result<SocketAddr> {
        let assoc = self.owned(endpoint, id, Owner::Socket)?;
        assoc.owner = Owner::Stream;
        let peer = assoc.peer;
        let woken = &mut self.woken;
        if let Some(entry) = self.endpoints.get_mut(&endpoint) {
            entry.ready.retain(|waiting| *waiting != id);
            entry.enders.wake(woken);
            // Others may have waited for the end of a message of this one.
            entry.receivers.wake(woken);
            let linger = entry.defaults.as_ref().and_then(|defaults| defaults.linger);
            if let Some(assoc) = entry.assocs.get_mut(&id).filter(|_| linger.is_some()) {
                assoc.defaults.get_or_insert_default().linger = linger;
            }
        }
        Ok(peer)
    }
}
