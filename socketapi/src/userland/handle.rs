//! What the public socket types hold: a socket of a stack.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use sctp::config::EndpointConfig;
use sctp::error::AddressError;
use sctp::{AssocId as Id, ConnectOptions, EndpointId, Instant};

use super::operation::{AnyOf, Operation};
use super::port::Claim;
use super::shard::Shard;
use super::shared::shared;
use super::sock::{Holder, Sockets, Style};
use super::stack::{StackHandle, Taken};
use super::target::Target;
use super::wait::Attempt;
use crate::info::AssocRepr;
use crate::options::NO_AUTOCLOSE;
use crate::resolve::{Local, LocalAddresses, ONE_TO_ONE_ONLY};
use crate::{AssocId, AssociationConfig, Error, Message, Received, Result, SndInfo, Subscriptions};

/// What a socket is made with.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) stack: Option<StackHandle>,
    pub(crate) association: AssociationConfig,
    pub(crate) subscriptions: Option<Subscriptions>,
    /// Whether the port may be shared with other one-to-one sockets.
    pub(crate) reuse_port: bool,
    /// Whether a stack that has to be started runs on the caller's runtime.
    pub(crate) on_runtime: bool,
}

impl Opening {
    /// A one-to-many socket.
    pub(crate) fn bind(self, local: &Local) -> Result<Socket> {
        if self.reuse_port {
            return Err(ONE_TO_ONE_ONLY);
        }
        let subscriptions = self.subscriptions.unwrap_or_default();
        let (stack, mut config) = self.prepare(local, false)?;
        let (stack, taken) = stack.take_port(&mut config)?;
        let bound = Bound::new(stack, config, Style::Many, subscriptions, taken)?;
        Ok(Socket(Arc::new(bound)))
    }

    /// A listening socket.
    pub(crate) fn listen(self, local: &Local, backlog: usize) -> Result<Listener> {
        let subscriptions = self.subscriptions.unwrap_or(Subscriptions::none());
        refuse_autoclose(&self.association)?;
        let (stack, mut config) = self.prepare(local, false)?;
        let mut bounds = match stack.take_port_everywhere(&mut config)? {
            None => {
                let (stack, taken) = stack.take_port(&mut config)?;
                vec![Bound::new(stack, config, Style::Listener, subscriptions, taken)?]
            }
            Some(held) => {
                let mut bounds = Vec::new();
                for stack in stack.workers()? {
                    let taken = Taken {
                        claim: None,
                        told: Some(Arc::clone(&held).into()),
                    };
                    bounds.push(Bound::new(
                        stack,
                        config.clone(),
                        Style::Listener,
                        subscriptions,
                        taken,
                    )?);
                }
                bounds
            }
        };
        for bound in &bounds {
            bound.enter(|sockets, _, endpoint| sockets.listen(endpoint, backlog))?;
        }
        let mut bound = bounds.pop().ok_or(Error::StackStopped)?;
        bound.twins = bounds;
        Ok(Listener(Arc::new(bound)))
    }

    /// A one-to-one socket that begins to connect.
    pub(crate) fn connect(self, local: &Local, peer: &[SocketAddr], options: ConnectOptions) -> Result<Stream> {
        let subscriptions = self.subscriptions.unwrap_or(Subscriptions::none());
        refuse_autoclose(&self.association)?;
        let (stack, mut config) = self.prepare(local, local.port.is_none())?;
        let (stack, taken) = stack.take_port(&mut config)?;
        let open = |sockets: &mut Sockets, now| {
            let (endpoint, id) = sockets.open_single(now, config, subscriptions, peer, options)?;
            sockets.when_unbound(endpoint, taken.told);
            Ok::<_, Error>((endpoint, id))
        };
        let (endpoint, id) = stack.shard().enter(open)??;
        // The list is not empty, since the association could be opened.
        let peer = crate::resolve::first(peer.to_vec())?;
        Ok(Stream(Arc::new(Connected {
            stack,
            endpoint,
            id,
            peer,
        })))
    }

    fn prepare(self, local: &Local, connects: bool) -> Result<(StackHandle, EndpointConfig)> {
        let stack = match self.stack {
            Some(stack) => stack,
            None => shared(&local.addresses, connects, self.on_runtime)?,
        };
        let mut association = self.association;
        if association.path().remote_encapsulation_port().is_none() {
            association
                .path_mut()
                .set_remote_encapsulation_port(stack.about().peer_udp_port);
        }
        let addresses = match &local.addresses {
            LocalAddresses::Any => Vec::new(),
            LocalAddresses::AnyV4 => vec![Ipv4Addr::UNSPECIFIED.into()],
            LocalAddresses::These(addresses) => addresses.iter().copied().collect(),
        };
        for address in addresses.iter().filter(|address| !address.is_unspecified()) {
            stack.about().addresses.admit(*address)?;
        }
        Ok((
            stack,
            EndpointConfig {
                port: local.port,
                addresses,
                reuse_port: self.reuse_port,
                association,
            },
        ))
    }
}

/// One-to-one sockets do not close what is idle (RFC 6458 §8.1.8).
const fn refuse_autoclose(config: &AssociationConfig) -> Result<()> {
    match config.autoclose() {
        Some(_) => Err(Error::Unsupported(NO_AUTOCLOSE)),
        None => Ok(()),
    }
}

/// An end point with a socket of its own. Dropped, it closes.
#[derive(Debug)]
pub(crate) struct Bound {
    stack: StackHandle,
    endpoint: EndpointId,
    /// Its port, where other processes use the same UDP port.
    claim: Option<Arc<Claim>>,
    /// The same at other workers.
    twins: Vec<Self>,
}

impl Bound {
    fn new(
        stack: StackHandle,
        config: EndpointConfig,
        style: Style,
        subscriptions: Subscriptions,
        taken: Taken,
    ) -> Result<Self> {
        let Taken { claim, told } = taken;
        let endpoint = stack.shard().enter(|sockets, _| {
            let endpoint = sockets.bind(config, style, subscriptions)?;
            sockets.when_unbound(endpoint, told);
            Ok::<_, Error>(endpoint)
        })??;
        Ok(Self {
            stack,
            endpoint,
            claim,
            twins: Vec::new(),
        })
    }

    /// It, and the same at other workers.
    fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.twins)
    }

    fn shard(&self) -> &Shard {
        self.stack.shard()
    }

    fn target(&self, assoc: Option<AssocId>) -> Target {
        let twins = self.twins.iter().map(|twin| (twin.stack.clone(), twin.endpoint));
        Target::new(self.stack.clone(), self.endpoint, assoc, Holder::Socket).with_twins(twins.collect())
    }

    pub(crate) fn options(&self) -> Target {
        self.target(None)
    }

    pub(crate) fn local_addresses(&self) -> Result<Vec<SocketAddr>> {
        self.enter(|sockets, _, endpoint| sockets.local_addresses(endpoint))
    }

    pub(crate) fn bindx_add(&self, address: IpAddr) -> Result<()> {
        self.stack.about().addresses.admit(address)?;
        let known = self.local_addresses()?.iter().any(|own| own.ip() == address);
        let claimed = match &self.claim {
            Some(claim) => claim.add_address(address)?,
            None => false,
        };
        let add = |bound: &Self| {
            bound.change_addresses(|stack, now, endpoint| stack.add_endpoint_address(now, endpoint, address))
        };
        let outcome = self.all().try_for_each(add);
        if let Some(claim) = self.claim.as_ref().filter(|_| claimed && outcome.is_err()) {
            claim.remove_address(address);
        }
        // As a kernel has it.
        outcome.and(if known { Err(Error::InvalidAddress) } else { Ok(()) })
    }

    pub(crate) fn bindx_remove(&self, address: IpAddr) -> Result<()> {
        let mut all = self.all();
        all.try_for_each(|bound| {
            bound.change_addresses(|stack, now, endpoint| stack.remove_endpoint_address(now, endpoint, address))
        })?;
        if let Some(claim) = &self.claim {
            claim.remove_address(address);
        }
        Ok(())
    }

    fn change_addresses(
        &self,
        change: impl FnOnce(&mut sctp::Stack, Instant, EndpointId) -> Result<(), AddressError>,
    ) -> Result<()> {
        self.enter(|sockets, now, endpoint| {
            sockets.exists(endpoint, None, Holder::Socket)?;
            Ok(change(&mut sockets.stack, now, endpoint)?)
        })
    }

    fn enter<T>(&self, command: impl FnOnce(&mut Sockets, Instant, EndpointId) -> Result<T>) -> Result<T> {
        self.shard()
            .enter(|sockets, now| command(sockets, now, self.endpoint))?
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // A stack that has stopped has closed it.
        let _ = self.enter(|sockets, now, endpoint| {
            sockets.close(now, endpoint);
            Ok(())
        });
    }
}

/// A one-to-many socket.
#[derive(Clone, Debug)]
pub(crate) struct Socket(Arc<Bound>);

impl Socket {
    pub(crate) fn listen(&self, backlog: usize) -> Result<()> {
        self.0.enter(|sockets, _, endpoint| sockets.listen(endpoint, backlog))
    }

    pub(crate) fn recv(&self) -> Operation<'_, impl FnMut(&mut Sockets, Instant) -> Attempt<Received>> {
        let endpoint = self.0.endpoint;
        Operation::receive(self.0.shard(), move |sockets, now| sockets.recv(now, endpoint))
    }

    pub(crate) fn send(
        &self,
        payload: Bytes,
        info: SndInfo,
    ) -> Operation<'_, impl FnMut(&mut Sockets, Instant) -> Attempt<()>> {
        let endpoint = self.0.endpoint;
        Operation::new(self.0.shard(), move |sockets, now| {
            sockets.send(now, endpoint, &payload, &info)
        })
    }

    pub(crate) fn send_all(&self, payload: &Bytes, info: &SndInfo) -> Result<Vec<(AssocId, Error)>> {
        let refused = self
            .0
            .enter(|sockets, now, endpoint| sockets.send_all(now, endpoint, payload, info))?;
        let named = |(id, error)| (AssocId(AssocRepr::Userland(id)), error);
        Ok(refused.into_iter().map(named).collect())
    }

    pub(crate) fn open(&self, peer: &[SocketAddr], options: ConnectOptions) -> Result<AssocId> {
        let id = self
            .0
            .enter(|sockets, now, endpoint| sockets.open(now, endpoint, peer, options))?;
        Ok(AssocId(AssocRepr::Userland(id)))
    }

    /// Opens an association, and sees how its set-up ends.
    pub(crate) fn open_watched(&self, peer: &[SocketAddr], options: ConnectOptions) -> Result<SetUp> {
        let id = self.0.enter(|sockets, now, endpoint| {
            let id = sockets.open(now, endpoint, peer, options)?;
            sockets.watch(endpoint, id);
            Ok(id)
        })?;
        Ok(SetUp {
            socket: Arc::clone(&self.0),
            id,
        })
    }

    pub(crate) fn peel_off(&self, assoc: AssocId) -> Result<Stream> {
        let id = assoc.userland()?;
        let peer = self.0.enter(|sockets, _, endpoint| sockets.peel_off(endpoint, id))?;
        let (stack, endpoint) = (self.0.stack.clone(), self.0.endpoint);
        Ok(Stream(Arc::new(Connected {
            stack,
            endpoint,
            id,
            peer,
        })))
    }

    pub(crate) fn shutdown(&self, assoc: AssocId) -> Result<()> {
        let id = assoc.userland()?;
        self.0.enter(|sockets, now, endpoint| {
            sockets.exists(endpoint, Some(id), Holder::Socket)?;
            sockets.shutdown(now, endpoint, id)
        })
    }

    pub(crate) fn abort(&self, assoc: AssocId, reason: Bytes) -> Result<()> {
        let id = assoc.userland()?;
        self.0.enter(|sockets, now, endpoint| {
            sockets.exists(endpoint, Some(id), Holder::Socket)?;
            sockets.abort(now, endpoint, id, reason)
        })
    }

    pub(crate) fn close(&self) -> Operation<'_, impl FnMut(&mut Sockets, Instant) -> Attempt<()>> {
        let endpoint = self.0.endpoint;
        Operation::new(self.0.shard(), move |sockets, now| {
            sockets.close(now, endpoint);
            sockets.all_ended_of(endpoint)
        })
    }

    /// What it has in common with other sockets of an end point.
    pub(crate) fn bound(&self) -> &Bound {
        &self.0
    }

    pub(crate) fn associations(&self) -> Result<Vec<AssocId>> {
        let ids = self.0.enter(|sockets, _, endpoint| sockets.associations(endpoint))?;
        Ok(ids.into_iter().map(|id| AssocId(AssocRepr::Userland(id))).collect())
    }

    pub(crate) fn find(&self, peer: SocketAddr) -> Result<Option<AssocId>> {
        let id = self.0.enter(|sockets, _, endpoint| sockets.find(endpoint, peer))?;
        Ok(id.map(|id| AssocId(AssocRepr::Userland(id))))
    }

    pub(crate) fn association(&self, assoc: AssocId) -> Target {
        self.0.target(Some(assoc))
    }
}

/// The set-up of an association of a one-to-many socket. Dropped, it goes on unseen.
#[derive(Debug)]
pub(crate) struct SetUp {
    socket: Arc<Bound>,
    id: Id,
}

impl SetUp {
    /// Waits for its end.
    pub(crate) async fn connected(self) -> Result<AssocId> {
        let (endpoint, id) = (self.socket.endpoint, self.id);
        Operation::new(self.socket.shard(), |sockets, _| sockets.connected(endpoint, id)).await?;
        Ok(AssocId(AssocRepr::Userland(id)))
    }
}

impl Drop for SetUp {
    fn drop(&mut self) {
        let id = self.id;
        // A stack that has stopped keeps nothing.
        let _ = self.socket.enter(|sockets, now, endpoint| {
            sockets.unwatch(now, endpoint, id);
            Ok(())
        });
    }
}

/// A listening socket.
#[derive(Clone, Debug)]
pub(crate) struct Listener(Arc<Bound>);

impl Listener {
    pub(crate) fn accept(&self) -> AnyOf<'_, impl FnMut(&mut Sockets, Instant) -> Attempt<(Stream, SocketAddr)>> {
        let accept = |bound: &'_ Bound| {
            let (stack, endpoint) = (bound.stack.clone(), bound.endpoint);
            move |sockets: &mut Sockets, _| {
                let (id, peer) = sockets.accept(endpoint)?;
                let connected = Connected {
                    stack: stack.clone(),
                    endpoint,
                    id,
                    peer,
                };
                Ok((Stream(Arc::new(connected)), peer))
            }
        };
        AnyOf::new(
            self.0
                .all()
                .map(|bound| Operation::new(bound.shard(), accept(bound)))
                .collect(),
        )
    }

    pub(crate) fn close(&self) {
        for bound in self.0.all() {
            // A stack that has stopped has closed it.
            let _ = bound.enter(|sockets, now, endpoint| {
                sockets.close(now, endpoint);
                Ok(())
            });
        }
    }

    /// What it has in common with other sockets of an end point.
    pub(crate) fn bound(&self) -> &Bound {
        &self.0
    }
}

/// An association with a socket of its own. Dropped, it closes.
#[derive(Debug)]
struct Connected {
    stack: StackHandle,
    endpoint: EndpointId,
    id: Id,
    peer: SocketAddr,
}

impl Connected {
    fn shard(&self) -> &Shard {
        self.stack.shard()
    }

    fn enter<T>(&self, command: impl FnOnce(&mut Sockets, Instant, EndpointId, Id) -> Result<T>) -> Result<T> {
        self.shard()
            .enter(|sockets, now| command(sockets, now, self.endpoint, self.id))?
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        // A stack that has stopped has closed it.
        let _ = self.enter(|sockets, now, endpoint, id| {
            sockets.close_stream(now, endpoint, id);
            Ok(())
        });
    }
}

/// A connected one-to-one socket.
#[derive(Clone, Debug)]
pub(crate) struct Stream(Arc<Connected>);

impl Stream {
    pub(crate) fn connected(&self) -> Operation<'_, impl FnMut(&mut Sockets, Instant) -> Attempt<()>> {
        let (endpoint, id) = (self.0.endpoint, self.0.id);
        Operation::new(self.0.shard(), move |sockets, _| sockets.connected(endpoint, id))
    }

    pub(crate) fn recv(&self) -> Operation<'_, impl FnMut(&mut Sockets, Instant) -> Attempt<Option<Message>>> {
        let (endpoint, id) = (self.0.endpoint, self.0.id);
        Operation::receive(self.0.shard(), move |sockets, now| {
            sockets.recv_message(now, endpoint, id)
        })
    }

    pub(crate) fn recv_any(&self) -> Operation<'_, impl FnMut(&mut Sockets, Instant) -> Attempt<Option<Received>>> {
        let (endpoint, id) = (self.0.endpoint, self.0.id);
        Operation::receive(self.0.shard(), move |sockets, now| sockets.recv_from(now, endpoint, id))
    }

    pub(crate) fn send(
        &self,
        payload: Bytes,
        info: SndInfo,
    ) -> Operation<'_, impl FnMut(&mut Sockets, Instant) -> Attempt<()>> {
        let (endpoint, id) = (self.0.endpoint, self.0.id);
        Operation::new(self.0.shard(), move |sockets, now| {
            sockets.send_from(now, endpoint, id, &payload, &info)
        })
    }

    pub(crate) fn shutdown(&self) -> Result<()> {
        // One that has ended needs no end.
        self.0
            .enter(|sockets, now, endpoint, id| match sockets.shutdown(now, endpoint, id) {
                Err(Error::NoSuchAssociation) => Ok(()),
                outcome => outcome,
            })
    }

    pub(crate) fn shutdown_read(&self) -> Result<()> {
        self.0
            .enter(|sockets, now, endpoint, id| sockets.shutdown_read(now, endpoint, id))
    }

    pub(crate) fn abort(&self, reason: Bytes) -> Result<()> {
        self.0
            .enter(|sockets, now, endpoint, id| sockets.abort(now, endpoint, id, reason))
    }

    pub(crate) fn close(&self) -> Operation<'_, impl FnMut(&mut Sockets, Instant) -> Attempt<()>> {
        let (endpoint, id) = (self.0.endpoint, self.0.id);
        Operation::new(self.0.shard(), move |sockets, now| {
            sockets.close_stream(now, endpoint, id);
            sockets.ended(endpoint, id)
        })
    }

    pub(crate) fn assoc_id(&self) -> AssocId {
        AssocId(AssocRepr::Userland(self.0.id))
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.0.peer
    }

    pub(crate) fn association(&self) -> Target {
        Target::new(
            self.0.stack.clone(),
            self.0.endpoint,
            Some(self.assoc_id()),
            Holder::Stream,
        )
    }
}
