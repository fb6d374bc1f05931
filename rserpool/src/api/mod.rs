//! RSerPool for programs: registrars, pool elements and pool users as tasks on a tokio runtime.
//!
//! ```
//! use std::time::Duration;
//!
//! use rserpool::api::{LocalEndpoint, PoolElementServer, PoolUserClient, RegistrarServer};
//! use rserpool::config::{ElementConfig, EndpointConfig, RegistrarConfig, SessionConfig};
//! use rserpool::ids::PoolHandle;
//! use rserpool::service::{Replies, Service, ServiceMessage};
//! use rserpool::session::{SessionEvent, SessionId};
//! use rserpool::wire::policy::PolicyParam;
//! use sctp::Instant;
//! use sctp::serial::{Ppid, StreamId};
//!
//! struct Echo;
//!
//! impl Service for Echo {
//!     fn on_message(&mut self, _: Instant, session: SessionId, message: ServiceMessage, replies: &mut Replies) {
//!         replies.send(session, message);
//!     }
//! }
//!
//! # #[cfg(not(feature = "userland"))]
//! # fn main() {}
//! # #[cfg(feature = "userland")]
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // All three roles in one program here, on one SCTP stack in UDP; port 0 is a free one.
//! let stack = socketapi::StackHandle::builder().addresses(["127.0.0.1".parse()?]).udp_port(0).start().await?;
//!
//! let registrar = RegistrarServer::start(&stack, RegistrarConfig::default()).await?;
//! let mut endpoint = EndpointConfig::default();
//! endpoint.set_announce_group(None)?;
//! endpoint.add_registrar(registrar.address().clone())?;
//!
//! let pool = PoolHandle::new("EchoPool")?;
//! let config = ElementConfig::new(pool.clone(), PolicyParam::RoundRobin);
//! let element = PoolElementServer::start(LocalEndpoint::on(&stack, 7), config, endpoint.clone(), Echo).await?;
//!
//! let user = PoolUserClient::start(&stack, endpoint).await?;
//! let mut session = user.open(pool, SessionConfig::default()).await?;
//! session.send(StreamId(0), Ppid(0), "hello").await?;
//! loop {
//!     match session.event().await {
//!         Some(SessionEvent::Message { payload, .. }) => break assert_eq!(payload, "hello"),
//!         Some(other) => println!("{other:?}"),
//!         None => panic!("the session is over"),
//!     }
//! }
//! session.close();
//! element.shut_down(Duration::from_secs(1)).await;
//! registrar.shut_down(Duration::from_secs(1)).await;
//! # Ok(())
//! # }
//! ```
//!
//! The handles are the owners: a task ends when its handles are gone. To end it in good order, with the registration
//! withdrawn and everything delivered, call its `shut_down`.

mod client;
mod server;

use std::net::{IpAddr, SocketAddr};

use sctp::addr::{Scope, scope};
use sctp::config::AssociationConfig;
use socketapi::{SctpSocket, SocketBuilder};
use thiserror::Error;

pub use self::client::{OpenError, PoolUserClient, SessionHandle, SessionSender};
pub use self::server::{PoolElementServer, RegistrarServer};
use crate::config::ConfigError;
use crate::driver::{Ports, Transport};
use crate::net::SctpAddress;
use crate::user::Unavailable;

/// A node could not be started.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The SCTP socket could not be made.
    #[error(transparent)]
    Socket(#[from] socketapi::Error),
    /// The socket's address does not fit the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// The node has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the node has ended")]
pub struct Stopped;

/// A pool handle could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// There is no answer, or it is no.
    #[error("{0}")]
    Unavailable(Unavailable),
    /// The node has ended.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Where a node has its SCTP end point.
#[derive(Clone, Debug)]
pub struct LocalEndpoint {
    sockets: SocketBuilder,
    local: Vec<SocketAddr>,
    association: Option<AssociationConfig>,
}

impl LocalEndpoint {
    /// On all addresses of a stack; port 0 draws a free one.
    #[cfg(feature = "userland")]
    pub fn on(stack: &socketapi::StackHandle, port: u16) -> Self {
        let local = stack
            .addresses()
            .into_iter()
            .map(|ip| SocketAddr::new(ip, port))
            .collect();
        Self {
            sockets: SocketBuilder::new().stack(stack),
            local,
            association: None,
        }
    }

    /// At these addresses, with sockets of this builder.
    pub fn new(sockets: SocketBuilder, local: &[SocketAddr]) -> Self {
        Self {
            sockets,
            local: local.to_vec(),
            association: None,
        }
    }

    /// With associations that start with this, rather than with what the node's configuration says.
    #[must_use]
    pub fn with_association(mut self, config: AssociationConfig) -> Self {
        self.association = Some(config);
        self
    }

    fn builder(&self, association: &AssociationConfig) -> SocketBuilder {
        let association = self.association.as_ref().unwrap_or(association);
        self.sockets.clone().association(association.clone())
    }

    /// The network of a node to which peers come, and its address.
    async fn listen(self, association: &AssociationConfig) -> Result<(Transport, SctpAddress), StartError> {
        let builder = self.builder(association);
        let socket: SctpSocket = Transport::subscribed(builder.clone())
            .bind(self.local.as_slice())
            .await?;
        socket.listen(BACKLOG)?;
        let local = socket.local_addresses()?;
        let address = public_address(&local);
        Ok((Transport::new(Ports::Listening(socket), builder, local), address))
    }

    /// The network of a node to which nobody comes.
    fn connect_only(self, association: &AssociationConfig) -> Transport {
        let builder = self.builder(association);
        Transport::new(Ports::Separate, builder, self.local)
    }
}

/// A hint only: associations of one-to-many sockets do not wait to be accepted.
const BACKLOG: usize = 128;

#[cfg(feature = "userland")]
impl From<&socketapi::StackHandle> for LocalEndpoint {
    /// On all addresses of the stack, at a free port.
    fn from(stack: &socketapi::StackHandle) -> Self {
        Self::on(stack, 0)
    }
}

/// What to tell others about where an end point is: addresses that reach only this host or this link are left out if
/// there are others.
fn public_address(local: &[SocketAddr]) -> SctpAddress {
    let wide = |ip: &IpAddr| !matches!(scope(*ip), Scope::Loopback | Scope::LinkLocal);
    let all: Vec<IpAddr> = local.iter().map(SocketAddr::ip).collect();
    let public: Vec<IpAddr> = all.iter().copied().filter(wide).collect();
    SctpAddress {
        port: local.first().map_or(0, SocketAddr::port),
        addresses: if public.is_empty() { all } else { public },
    }
}

/// A seed that nobody can guess.
fn seed() -> Result<[u8; 32], StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| StartError::NoRandomness)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_of_this_host_alone_are_told_only_if_there_are_no_others() {
        let loopback = [at("127.0.0.1:7"), at("[::1]:7")];
        assert_eq!(public_address(&loopback).addresses.len(), 2);
        let mixed = [
            at("127.0.0.1:7"),
            at("192.0.2.1:7"),
            at("[fe80::1]:7"),
            at("10.0.0.1:7"),
        ];
        let public = public_address(&mixed);
        assert_eq!(
            (public.port, public.addresses),
            (7, vec![at("192.0.2.1:7").ip(), at("10.0.0.1:7").ip()])
        );
    }
}
