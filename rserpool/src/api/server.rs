//! Registrars and pool elements as tasks.

use std::time::Duration;

use sctp::random::Random;
use tokio::sync::{mpsc, oneshot};

use super::{LocalEndpoint, StartError, Stopped, seed};
use crate::config::{ElementConfig, EndpointConfig, RegistrarConfig};
use crate::driver::{Node, element, registrar};
use crate::element::{ElementEvent, PoolElement, ServiceHost};
use crate::ids::{PeId, RegistrarId};
use crate::net::SctpAddress;
use crate::registrar::{Registrar, RegistrarEvent};
use crate::service::Service;
use crate::wire::policy::PolicyParam;
use crate::wire::transport::{SctpTransport, TransportUse};

/// How many commands wait for a node.
const COMMANDS: usize = 64;
/// How many events wait to be looked at. Further ones are dropped: they are for logs and displays.
const EVENTS: usize = 1024;

/// A registrar as a task.
#[derive(Debug)]
pub struct RegistrarServer {
    id: RegistrarId,
    address: SctpAddress,
    commands: mpsc::Sender<registrar::Command>,
    events: mpsc::Receiver<RegistrarEvent>,
}

impl RegistrarServer {
    /// Starts a registrar with a random identifier. If it is to announce itself and the configuration does not say with
    /// which address, it announces that of its socket.
    ///
    /// # Errors
    ///
    /// If the socket cannot be made, say because the port is taken.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its I/O and time drivers enabled.
    pub async fn start(endpoint: impl Into<LocalEndpoint>, config: RegistrarConfig) -> Result<Self, StartError> {
        let id = RegistrarId::random(&mut Random::new(seed()?));
        Self::start_as(id, endpoint, config).await
    }

    /// As [`start`](Self::start), with a given identifier.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub async fn start_as(
        id: RegistrarId,
        endpoint: impl Into<LocalEndpoint>,
        mut config: RegistrarConfig,
    ) -> Result<Self, StartError> {
        let association = EndpointConfig::default_association();
        let (transport, address) = endpoint.into().listen(&association).await?;
        if let Some(mut announce) = config.announce().cloned() {
            announce.address.get_or_insert_with(|| address.clone());
            config.set_announce(Some(announce))?;
        }
        let node = Node::new(Registrar::new(config, id, seed()?), transport);
        let (commands, command_queue) = mpsc::channel(COMMANDS);
        let (event_queue, events) = mpsc::channel(EVENTS);
        tokio::spawn(registrar::run(node, command_queue, event_queue));
        Ok(Self {
            id,
            address,
            commands,
            events,
        })
    }

    /// Its identifier.
    pub const fn id(&self) -> RegistrarId {
        self.id
    }

    /// Where it is.
    pub const fn address(&self) -> &SctpAddress {
        &self.address
    }

    /// The next event; `None` once it has ended. Events that nobody takes are dropped after a while. Cancel-safe.
    pub async fn event(&mut self) -> Option<RegistrarEvent> {
        self.events.recv().await
    }

    /// Looks at the registrar: its handlespace, its counters.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Registrar) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let inspection = Box::new(move |registrar: &Registrar| {
            // Who asked may have gone.
            let _ = reply.send(look(registrar));
        });
        self.commands
            .send(registrar::Command::Inspect(inspection))
            .await
            .map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Ends it: its associations are shut down, so that others turn to another registrar at once. What has not ended
    /// after `timeout` is aborted.
    pub async fn shut_down(self, timeout: Duration) {
        let (done, ended) = oneshot::channel();
        // It may have ended by itself.
        if self
            .commands
            .send(registrar::Command::ShutDown { timeout, done })
            .await
            .is_ok()
        {
            let _ = ended.await;
        }
    }
}

/// A pool element with its service as a task.
pub struct PoolElementServer<S> {
    address: SctpAddress,
    commands: mpsc::Sender<element::Command<S>>,
    events: mpsc::Receiver<ElementEvent>,
}

impl<S: Service + Send + 'static> PoolElementServer<S> {
    /// Starts a pool element. It serves users at once, and registers as soon as it finds a registrar.
    ///
    /// # Errors
    ///
    /// If the socket cannot be made, say because the port is taken.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its I/O and time drivers enabled.
    pub async fn start(
        endpoint: impl Into<LocalEndpoint>,
        config: ElementConfig,
        registrars: EndpointConfig,
        service: S,
    ) -> Result<Self, StartError> {
        let (transport, address) = endpoint.into().listen(registrars.association()).await?;
        let user_transport = SctpTransport::new(&address, TransportUse::DataPlusControl);
        let element = PoolElement::new(config, registrars, user_transport, seed()?);
        let node = Node::new(ServiceHost::new(element, service), transport);
        let (commands, command_queue) = mpsc::channel(COMMANDS);
        let (event_queue, events) = mpsc::channel(EVENTS);
        tokio::spawn(element::run(node, command_queue, event_queue));
        Ok(Self {
            address,
            commands,
            events,
        })
    }

    /// Where it serves its users.
    pub const fn address(&self) -> &SctpAddress {
        &self.address
    }

    /// The next event about the registration; `None` once the element has ended. Events that nobody takes are dropped
    /// after a while. Cancel-safe.
    pub async fn event(&mut self) -> Option<ElementEvent> {
        self.events.recv().await
    }

    /// Its identifier. It may change until the element is registered.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub async fn pe_id(&self) -> Result<PeId, Stopped> {
        self.inspect(|host| host.element().pe_id()).await
    }

    /// Looks at the element and its service.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub async fn inspect<T: Send + 'static>(
        &self,
        look: impl FnOnce(&ServiceHost<S>) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let inspection = Box::new(move |host: &ServiceHost<S>| {
            // Who asked may have gone.
            let _ = reply.send(look(host));
        });
        self.commands
            .send(element::Command::Inspect(inspection))
            .await
            .map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Sets the policy with its values, and tells the registrar.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub async fn set_policy(&self, policy: PolicyParam) -> Result<(), Stopped> {
        self.commands
            .send(element::Command::SetPolicy(policy))
            .await
            .map_err(|_| Stopped)
    }

    /// Ends it: it leaves the pool, then its sessions are shut down. What has not ended after `timeout` is aborted.
    pub async fn shut_down(self, timeout: Duration) {
        let (done, ended) = oneshot::channel();
        // It may have ended by itself.
        if self
            .commands
            .send(element::Command::ShutDown { timeout, done })
            .await
            .is_ok()
        {
            let _ = ended.await;
        }
    }
}

impl<S> std::fmt::Debug for PoolElementServer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolElementServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
