//! The listening one-to-one style socket.

use std::net::{IpAddr, SocketAddr};

#[cfg(feature = "userland")]
use crate::StackHandle;
use crate::backend::{AnyListener, dispatch};
use crate::{AssociationStats, Options, Result, SctpStream, SocketBuilder, blocking};

/// A listening one-to-one style SCTP socket (RFC 6458 §4).
///
/// It is a handle and cheap to clone; all clones are the same socket. When the last one goes away it stops listening,
/// and associations that were not accepted are aborted; accepted ones go on.
#[derive(Clone, Debug)]
pub struct SctpListener(pub(crate) AnyListener);

impl SctpListener {
    /// How many associations wait to be accepted unless [`SocketBuilder::listen`] says otherwise.
    pub const DEFAULT_BACKLOG: usize = 128;

    /// A socket that listens on an address, or on several. See [`SocketBuilder::bind`] for addresses.
    ///
    /// # Errors
    ///
    /// As [`SocketBuilder::bind`].
    pub async fn bind(address: impl tokio::net::ToSocketAddrs) -> Result<Self> {
        SocketBuilder::new().listen(address, Self::DEFAULT_BACKLOG).await
    }

    /// As [`bind`](Self::bind), for threads without a runtime.
    ///
    /// # Errors
    ///
    /// As [`SocketBuilder::bind`].
    pub fn bind_blocking(address: impl std::net::ToSocketAddrs) -> Result<Self> {
        SocketBuilder::new().listen_blocking(address, Self::DEFAULT_BACKLOG)
    }

    /// A socket that listens on all addresses of a stack; port 0 draws a free one.
    ///
    /// # Errors
    ///
    /// [`Error::PortInUse`](crate::Error::PortInUse), [`Error::NoPortFree`](crate::Error::NoPortFree).
    #[cfg(feature = "userland")]
    pub fn bind_on(stack: &StackHandle, port: u16) -> Result<Self> {
        let any = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
        SocketBuilder::new()
            .stack(stack)
            .listen_blocking(any, Self::DEFAULT_BACKLOG)
    }

    /// Takes the next association that a peer has opened, with the address it used.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) once [`close`](Self::close) was called,
    /// [`Error::StackStopped`](crate::Error::StackStopped).
    pub async fn accept(&self) -> Result<(SctpStream, SocketAddr)> {
        dispatch!(AnyListener, self.0, s => s.accept().await.map(|(stream, peer)| (stream.into(), peer)))
    }

    /// As [`accept`](Self::accept), but does not wait.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept), and [`Error::WouldBlock`](crate::Error::WouldBlock).
    pub fn try_accept(&self) -> Result<(SctpStream, SocketAddr)> {
        dispatch!(AnyListener, self.0, s => s.accept().attempt().map(|(stream, peer)| (stream.into(), peer)))
    }

    /// As [`accept`](Self::accept), but blocks.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn accept_blocking(&self) -> Result<(SctpStream, SocketAddr)> {
        blocking::wait(self.accept())
    }

    /// Stops listening, for all handles of the socket. Operations that wait meanwhile, and later ones, fail with
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn close(&self) {
        dispatch!(AnyListener, self.0, s => s.close());
    }

    /// Counters of all associations that the socket has accepted, together, those that have ended too. The ones of a
    /// single association are in its [`status`](crate::SctpStream::status).
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](crate::Error::Unsupported) with a kernel, which counts for each association alone;
    /// [`Error::Closed`](crate::Error::Closed), [`Error::StackStopped`](crate::Error::StackStopped).
    pub fn stats(&self) -> Result<AssociationStats> {
        dispatch!(AnyListener, self.0, s => s.bound().options().stats())
    }

    /// The options of the socket: what the associations that it accepts start with.
    pub fn options(&self) -> Options {
        Options(dispatch!(AnyListener, self.0, s => s.bound().options().into()))
    }

    /// Binds the socket to one address of the host more. See [`SctpSocket::bindx_add`](crate::SctpSocket::bindx_add).
    ///
    /// # Errors
    ///
    /// As [`SctpSocket::bindx_add`](crate::SctpSocket::bindx_add).
    pub fn bindx_add(&self, address: IpAddr) -> Result<()> {
        dispatch!(AnyListener, self.0, s => s.bound().bindx_add(address))
    }

    /// Binds the socket to several addresses of the host more, to all or to none (`sctp_bindx`, RFC 6458 §9.1). See
    /// [`SctpSocket::bindx_add`](crate::SctpSocket::bindx_add).
    ///
    /// # Errors
    ///
    /// As [`SctpSocket::bindx_add`](crate::SctpSocket::bindx_add).
    pub fn bindx_add_all(&self, addresses: &[IpAddr]) -> Result<()> {
        crate::resolve::all_or_none(addresses, |ip| self.bindx_add(ip), |ip| self.bindx_remove(ip))
    }

    /// Takes several addresses from the socket, all or none, unless it would be left without one.
    ///
    /// # Errors
    ///
    /// As [`SctpSocket::bindx_remove`](crate::SctpSocket::bindx_remove).
    pub fn bindx_remove_all(&self, addresses: &[IpAddr]) -> Result<()> {
        crate::resolve::all_or_none(addresses, |ip| self.bindx_remove(ip), |ip| self.bindx_add(ip))
    }

    /// Takes an address from the socket. See [`SctpSocket::bindx_remove`](crate::SctpSocket::bindx_remove).
    ///
    /// # Errors
    ///
    /// As [`SctpSocket::bindx_remove`](crate::SctpSocket::bindx_remove).
    pub fn bindx_remove(&self, address: IpAddr) -> Result<()> {
        dispatch!(AnyListener, self.0, s => s.bound().bindx_remove(address))
    }

    /// The socket's port and first address.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn local_addr(&self) -> Result<SocketAddr> {
        crate::resolve::first(self.local_addresses()?)
    }

    /// The socket's port with all its addresses.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn local_addresses(&self) -> Result<Vec<SocketAddr>> {
        dispatch!(AnyListener, self.0, s => s.bound().local_addresses())
    }
}
