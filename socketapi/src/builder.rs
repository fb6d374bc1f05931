//! How a socket is made when the defaults do not fit.

use std::net::SocketAddr;

use crate::backend::{AnyListener, AnySocket, AnyStream};
use crate::resolve::{Local, resolve, resolve_blocking};
use crate::{
    AssociationConfig, Backend, ConnectOptions, Error, Result, SctpListener, SctpSocket, SctpStream, Subscriptions,
    blocking,
};

#[cfg(feature = "userland")]
use crate::{StackHandle, userland};

/// A backend that is known, but not part of this program.
#[cfg(not(all(feature = "userland", feature = "kernel")))]
const NOT_BUILT: Error = Error::Unsupported("this backend was not built in (cargo features: userland, kernel)");

/// Makes sockets with a configuration.
///
/// The same builder makes any number of sockets of all three types.
#[derive(Clone, Debug, Default)]
pub struct SocketBuilder {
    backend: Option<Backend>,
    #[cfg(feature = "userland")]
    stack: Option<StackHandle>,
    association: AssociationConfig,
    subscriptions: Option<Subscriptions>,
    local: Option<Vec<SocketAddr>>,
    reuse_port: bool,
}

impl SocketBuilder {
    /// Everything by default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses this backend rather than that of the [stack](Self::stack), or [`Backend::from_environment`].
    #[must_use]
    pub const fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// Uses this stack of the userland backend, rather than one that is shared in the process.
    #[cfg(feature = "userland")]
    #[must_use]
    pub fn stack(mut self, stack: &StackHandle) -> Self {
        self.stack = Some(stack.clone());
        self
    }

    /// How associations of the socket behave. One-to-one style sockets refuse an autoclose, with
    /// [`Error::Unsupported`].
    #[must_use]
    pub fn association(mut self, config: AssociationConfig) -> Self {
        self.association = config;
        self
    }

    /// Which notifications the socket receives. By default [`Subscriptions::default`] for one-to-many style sockets,
    /// [`Subscriptions::none`] for one-to-one style ones.
    #[must_use]
    pub const fn subscriptions(mut self, subscriptions: Subscriptions) -> Self {
        self.subscriptions = Some(subscriptions);
        self
    }

    /// The own transport address of sockets that [connect](Self::connect): one port (0 for any), one or more
    /// addresses, or a wildcard. By default any port and all addresses.
    #[must_use]
    pub fn local(mut self, addresses: &[SocketAddr]) -> Self {
        self.local = Some(addresses.to_vec());
        self
    }

    /// Lets one-to-one style sockets share their port with others that are made so too (`SCTP_REUSE_PORT`, RFC 6458
    /// §8.1.27): at most one of them listens, the others [connect](Self::connect) from the same port, each to another
    /// peer (to the same one it is [`Error::AddressNotAvailable`]). Without it, and for sockets that are not made so,
    /// [`Error::PortInUse`].
    ///
    /// The sockets are of one process, and of one [stack](Self::stack). A Linux kernel lets a socket that listens be
    /// the last one only. Beside a listening socket of a stack with several [workers](crate::StackBuilder::workers)
    /// there is no other.
    #[must_use]
    pub const fn reuse_port(mut self, share: bool) -> Self {
        self.reuse_port = share;
        self
    }

    /// A one-to-many style socket. Several addresses make it multi-homed; `[::]` stands for all addresses of the
    /// host, `0.0.0.0` for its IPv4 addresses; port 0 draws a free one.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAddress`], [`Error::AddressNotAvailable`], [`Error::AddressOfOthers`], [`Error::PortInUse`],
    /// [`Error::NoPortFree`]; [`Error::Unsupported`] with [`reuse_port`](Self::reuse_port), for this style; those of
    /// [`StackBuilder::start`](crate::StackBuilder::start) if the socket needs a stack of its own.
    pub async fn bind(self, address: impl tokio::net::ToSocketAddrs) -> Result<SctpSocket> {
        self.bind_at(&resolve(address).await?, true)
    }

    /// As [`bind`](Self::bind), blocking while a name is looked up.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_blocking(self, address: impl std::net::ToSocketAddrs) -> Result<SctpSocket> {
        self.bind_at(&resolve_blocking(address)?, false)
    }

    /// A listening one-to-one style socket; addresses as for [`bind`](Self::bind). At most `backlog` associations
    /// wait to be accepted.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub async fn listen(self, address: impl tokio::net::ToSocketAddrs, backlog: usize) -> Result<SctpListener> {
        self.listen_at(&resolve(address).await?, backlog, true)
    }

    /// As [`listen`](Self::listen), blocking while a name is looked up.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn listen_blocking(self, address: impl std::net::ToSocketAddrs, backlog: usize) -> Result<SctpListener> {
        self.listen_at(&resolve_blocking(address)?, backlog, false)
    }

    /// A one-to-one style socket that is connected to a peer. If `peer` stands for several addresses, they are tried
    /// one after another, until one answers.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectFailed`] if the peer refused or did not answer; [`Error::Unreachable`]; as for
    /// [`bind`](Self::bind).
    pub async fn connect(self, peer: impl tokio::net::ToSocketAddrs) -> Result<SctpStream> {
        let mut outcome = Err(Error::InvalidAddress);
        for address in resolve(peer).await? {
            outcome = self.clone().connect_multi(&[address]).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// As [`connect`](Self::connect), blocking.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_blocking(self, peer: impl std::net::ToSocketAddrs) -> Result<SctpStream> {
        let mut outcome = Err(Error::InvalidAddress);
        for address in resolve_blocking(peer)? {
            outcome = self.clone().connect_multi_blocking(&[address]);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// A one-to-one style socket that is connected to one peer with several addresses, all with the same port. The
    /// first is tried first and becomes the primary one.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_multi(self, peer: &[SocketAddr]) -> Result<SctpStream> {
        let stream = self.open_at(peer, true)?;
        stream.connected().await?;
        Ok(stream)
    }

    /// As [`connect_multi`](Self::connect_multi), blocking.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_multi_blocking(self, peer: &[SocketAddr]) -> Result<SctpStream> {
        let stream = self.open_at(peer, false)?;
        blocking::wait(stream.connected())?;
        Ok(stream)
    }

    /// A one-to-one style socket that has begun to connect. Messages may be sent at once;
    /// [`SctpStream::connected`] waits until it is established.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), but for what the peer answers.
    pub fn try_connect(self, peer: &[SocketAddr]) -> Result<SctpStream> {
        self.open_at(peer, true)
    }

    fn chosen(&self) -> Result<Backend> {
        #[cfg(feature = "userland")]
        if self.backend.is_none() && self.stack.is_some() {
            return Ok(Backend::Userland);
        }
        self.backend.map_or_else(Backend::from_environment, Ok)
    }

    fn bind_at(self, addresses: &[SocketAddr], on_runtime: bool) -> Result<SctpSocket> {
        let local = Local::new(addresses)?;
        let socket = match self.chosen()? {
            #[cfg(feature = "userland")]
            Backend::Userland => AnySocket::Userland(self.userland(on_runtime).bind(&local)?),
            #[cfg(feature = "kernel")]
            Backend::Kernel => AnySocket::Kernel(self.kernel(on_runtime).bind(&local)?),
            #[cfg(not(all(feature = "userland", feature = "kernel")))]
            _ => return Err(NOT_BUILT),
        };
        Ok(SctpSocket(socket))
    }

    fn listen_at(self, addresses: &[SocketAddr], backlog: usize, on_runtime: bool) -> Result<SctpListener> {
        let local = Local::new(addresses)?;
        let listener = match self.chosen()? {
            #[cfg(feature = "userland")]
            Backend::Userland => AnyListener::Userland(self.userland(on_runtime).listen(&local, backlog)?),
            #[cfg(feature = "kernel")]
            Backend::Kernel => AnyListener::Kernel(self.kernel(on_runtime).listen(&local, backlog)?),
            #[cfg(not(all(feature = "userland", feature = "kernel")))]
            _ => return Err(NOT_BUILT),
        };
        Ok(SctpListener(listener))
    }

    fn open_at(self, peer: &[SocketAddr], on_runtime: bool) -> Result<SctpStream> {
        let local = self.local.as_deref().map_or_else(|| Ok(Local::any()), Local::new)?;
        let stream = match self.chosen()? {
            #[cfg(feature = "userland")]
            Backend::Userland => AnyStream::Userland(self.userland(on_runtime).connect(
                &local,
                peer,
                ConnectOptions::default(),
            )?),
            #[cfg(feature = "kernel")]
            Backend::Kernel => AnyStream::Kernel(self.kernel(on_runtime).connect(
                &local,
                peer,
                ConnectOptions::default(),
            )?),
            #[cfg(not(all(feature = "userland", feature = "kernel")))]
            _ => return Err(NOT_BUILT),
        };
        Ok(SctpStream(stream))
    }

    #[cfg(feature = "userland")]
    fn userland(self, on_runtime: bool) -> userland::Opening {
        userland::Opening {
            stack: self.stack,
            association: self.association,
            subscriptions: self.subscriptions,
            reuse_port: self.reuse_port,
            on_runtime,
        }
    }

    #[cfg(feature = "kernel")]
    fn kernel(self, on_runtime: bool) -> crate::kernel::Opening {
        crate::kernel::Opening {
            association: self.association,
            subscriptions: self.subscriptions,
            reuse_port: self.reuse_port,
            on_runtime,
        }
    }
}
