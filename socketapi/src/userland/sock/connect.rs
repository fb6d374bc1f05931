//! Opening associations, and what can be asked about them.

use std::net::{IpAddr, SocketAddr};
use std::task::Waker;

use sctp::config::EndpointConfig;
use sctp::error::ConnectError;
use sctp::{AssocId, AssociationPhase, AssociationStatus, ConnectOptions, EndpointId, Instant};

use super::{Assoc, Endpoint, Owner, Phase, Sockets, Style};
use crate::resolve::common_port;
use crate::userland::wait::{Attempt, Interest, Refused};
use crate::{Error, Result, Subscriptions};

impl Sockets {
    /// Binds an end point for a one-to-many or a listening socket.
    pub(crate) fn bind(
        &mut self,
        config: EndpointConfig,
        style: Style,
        subscriptions: Subscriptions,
    ) -> Result<EndpointId> {
        let endpoint = self.stack.bind(config)?;
        self.endpoints.insert(endpoint, Endpoint::new(style, subscriptions));
        Ok(endpoint)
    }

    /// Has `told` told once the port of an end point is free again.
    pub(crate) fn when_unbound(&mut self, endpoint: EndpointId, told: Option<Waker>) {
        if let Some(entry) = self.endpoints.get_mut(&endpoint) {
            entry.unbound = told;
        }
    }

    /// Opens an association of a one-to-many socket.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        endpoint: EndpointId,
        peer: &[SocketAddr],
        options: ConnectOptions,
    ) -> Result<AssocId> {
        self.open_endpoint(endpoint)?;
        self.start(now, endpoint, peer, options, Owner::Socket)
    }

    /// Binds an end point and opens one association from it, for a one-to-one socket.
    pub(crate) fn open_single(
        &mut self,
        now: Instant,
        config: EndpointConfig,
        subscriptions: Subscriptions,
        peer: &[SocketAddr],
        options: ConnectOptions,
    ) -> Result<(EndpointId, AssocId)> {
        let endpoint = self.bind(config, Style::Single, subscriptions)?;
        let started = self.start(now, endpoint, peer, options, Owner::Stream);
        if started.is_err() {
            self.remove_endpoint_if_unused(now, endpoint);
        }
        Ok((endpoint, started?))
    }

    fn start(
        &mut self,
        now: Instant,
        endpoint: EndpointId,
        peer: &[SocketAddr],
        options: ConnectOptions,
        owner: Owner,
    ) -> Result<AssocId> {
        let port = common_port(peer)?;
        let first = *peer.first().ok_or(Error::InvalidAddress)?;
        let addresses: Vec<IpAddr> = peer.iter().map(SocketAddr::ip).collect();
        let started = self.stack.connect(now, endpoint, &addresses, port, options);
        let id = started.map_err(|error| self.not_started(error, endpoint, &addresses, port))?;
        let entry = self.endpoints.get_mut(&endpoint).ok_or(Error::Closed)?;
        let assoc = Assoc::new(entry, first, owner, Phase::Connecting);
        entry.assocs.insert(id, assoc);
        Ok(id)
    }

    /// Why nothing was started, as a kernel tells it.
    fn not_started(&self, error: ConnectError, endpoint: EndpointId, peer: &[IpAddr], port: u16) -> Error {
        match error {
            ConnectError::AlreadyConnected => {
                let known = peer
                    .iter()
                    .find_map(|address| self.stack.find(endpoint, *address, port));
                let of_others = |id: &AssocId| {
                    let entry = self.endpoints.get(&endpoint);
                    entry
                        .and_then(|entry| entry.assocs.get(id))
                        .is_none_or(|assoc| assoc.owner == Owner::Stream)
                };
                if known.as_ref().is_none_or(of_others) {
                    return Error::AddressNotAvailable;
                }
                let phase = known.and_then(|id| self.stack.status(id)).map(|status| status.phase);
                match phase {
                    Some(AssociationPhase::CookieWait | AssociationPhase::CookieEchoed) => Error::ConnectInProgress,
                    _ => Error::AlreadyConnected,
                }
            }
            ConnectError::NoSource => {
                let own = self.stack.local_addresses(endpoint);
                let of_family = |own: &IpAddr| peer.iter().any(|peer| peer.is_ipv4() == own.is_ipv4());
                if own.iter().any(of_family) {
                    Error::Unreachable
                } else {
                    Error::InvalidAddress
                }
            }
            other => other.into(),
        }
    }

    /// Keeps an association of a one-to-many socket until the end of its set-up has been seen.
    pub(crate) fn watch(&mut self, endpoint: EndpointId, id: AssocId) {
        if let Some(assoc) = self.assoc_mut(endpoint, id) {
            assoc.watchers += 1;
        }
    }

    /// The end of its set-up has been seen.
    pub(crate) fn unwatch(&mut self, now: Instant, endpoint: EndpointId, id: AssocId) {
        if let Some(assoc) = self.assoc_mut(endpoint, id) {
            assoc.watchers = assoc.watchers.saturating_sub(1);
            self.sweep(now, endpoint, id);
        }
    }

    /// Whether the set-up has succeeded.
    pub(crate) fn connected(&mut self, endpoint: EndpointId, id: AssocId) -> Attempt<()> {
        let assoc = self
            .assoc_mut(endpoint, id)
            .filter(|assoc| assoc.owner != Owner::Nobody)
            .ok_or(Error::Closed)?;
        match &assoc.phase {
            Phase::Connecting => Err(Refused::Wait(Interest::Setup(endpoint, id))),
            Phase::Failed(reason) => Err(Error::ConnectFailed(reason.clone()).into()),
            Phase::Lost(reason) => Err(Error::AssociationLost(reason.clone()).into()),
            Phase::Up | Phase::ShutDown => Ok(()),
        }
    }

    /// The own addresses and port of an open end point.
    pub(crate) fn local_addresses(&mut self, endpoint: EndpointId) -> Result<Vec<SocketAddr>> {
        self.open_endpoint(endpoint)?;
        let port = self.stack.local_port(endpoint).ok_or(Error::Closed)?;
        Ok(self
            .stack
            .local_addresses(endpoint)
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect())
    }

    /// The associations of a one-to-many socket.
    pub(crate) fn associations(&mut self, endpoint: EndpointId) -> Result<Vec<AssocId>> {
        let entry = self.open_endpoint(endpoint)?;
        let own = entry.assocs.iter().filter(|(_, assoc)| assoc.owner == Owner::Socket);
        Ok(own.map(|(id, _)| *id).collect())
    }

    /// The association of a one-to-many socket with a peer's address.
    pub(crate) fn find(&mut self, endpoint: EndpointId, peer: SocketAddr) -> Result<Option<AssocId>> {
        self.open_endpoint(endpoint)?;
        let found = self.stack.find(endpoint, peer.ip(), peer.port());
        Ok(found.filter(|id| self.owned(endpoint, *id, Owner::Socket).is_ok()))
    }

    /// A snapshot of an association.
    pub(crate) fn status(&mut self, endpoint: EndpointId, id: AssocId) -> Result<AssociationStatus> {
        self.live(endpoint, id)?;
        self.stack.status(id).ok_or(Error::NoSuchAssociation)
    }

    /// An association that a socket holds.
    pub(super) fn live(&mut self, endpoint: EndpointId, id: AssocId) -> Result<&mut Assoc> {
        self.assoc_mut(endpoint, id)
            .filter(|assoc| assoc.owner != Owner::Nobody)
            .ok_or(Error::NoSuchAssociation)
    }
}
