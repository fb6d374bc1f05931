//! The connected one-to-one style socket.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::backend::{AnyStream, dispatch};
use crate::blocking::Block;
use crate::{
    AssocId, Association, AssociationStatus, Destination, Message, Received, Result, SndInfo, SocketBuilder,
    Subscriptions, blocking,
};

/// A one-to-one style SCTP socket (RFC 6458 §4): one association.
///
/// It is a handle and cheap to clone; all clones are the same socket. When the last one goes away the association is
/// shut down gracefully in the background.
#[derive(Clone, Debug)]
pub struct SctpStream(pub(crate) AnyStream);

#[cfg(feature = "userland")]
impl From<crate::userland::Stream> for SctpStream {
    fn from(stream: crate::userland::Stream) -> Self {
        Self(AnyStream::Userland(stream))
    }
}

#[cfg(feature = "kernel")]
impl From<crate::kernel::Stream> for SctpStream {
    fn from(stream: crate::kernel::Stream) -> Self {
        Self(AnyStream::Kernel(stream))
    }
}

impl SctpStream {
    /// A builder, for what the other constructors do not offer.
    pub fn builder() -> SocketBuilder {
        SocketBuilder::new()
    }

    /// A socket that is connected to a peer. See [`SocketBuilder::connect`].
    ///
    /// # Errors
    ///
    /// As [`SocketBuilder::connect`].
    pub async fn connect(peer: impl tokio::net::ToSocketAddrs) -> Result<Self> {
        SocketBuilder::new().connect(peer).await
    }

    /// As [`connect`](Self::connect), but blocks.
    ///
    /// # Errors
    ///
    /// As [`SocketBuilder::connect`].
    pub fn connect_blocking(peer: impl std::net::ToSocketAddrs) -> Result<Self> {
        SocketBuilder::new().connect_blocking(peer)
    }

    /// A socket that is connected to one peer with several addresses. See [`SocketBuilder::connect_multi`].
    ///
    /// # Errors
    ///
    /// As [`SocketBuilder::connect`].
    pub async fn connect_multi(peer: &[SocketAddr]) -> Result<Self> {
        SocketBuilder::new().connect_multi(peer).await
    }

    /// As [`connect_multi`](Self::connect_multi), but blocks.
    ///
    /// # Errors
    ///
    /// As [`SocketBuilder::connect`].
    pub fn connect_multi_blocking(peer: &[SocketAddr]) -> Result<Self> {
        SocketBuilder::new().connect_multi_blocking(peer)
    }

    /// Waits until the association is established: returns at once unless
    /// [`SocketBuilder::try_connect`] made the socket.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectFailed`](crate::Error::ConnectFailed),
    /// [`Error::AssociationLost`](crate::Error::AssociationLost).
    pub async fn connected(&self) -> Result<()> {
        dispatch!(AnyStream, self.0, s => s.connected().await)
    }

    /// Receives the next message; `None` once the peer has shut the association down and everything was received.
    ///
    /// Notifications, if any are subscribed to, are discarded on the way; [`recv_any`](Self::recv_any) returns them.
    ///
    /// # Errors
    ///
    /// [`Error::AssociationLost`](crate::Error::AssociationLost) once everything was received,
    /// [`Error::ConnectFailed`](crate::Error::ConnectFailed), [`Error::StackStopped`](crate::Error::StackStopped).
    pub async fn recv(&self) -> Result<Option<Message>> {
        dispatch!(AnyStream, self.0, s => s.recv().await)
    }

    /// As [`recv`](Self::recv), but does not wait.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`Error::WouldBlock`](crate::Error::WouldBlock).
    pub fn try_recv(&self) -> Result<Option<Message>> {
        dispatch!(AnyStream, self.0, s => s.recv().attempt())
    }

    /// As [`recv`](Self::recv), but blocks.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_blocking(&self) -> Result<Option<Message>> {
        dispatch!(AnyStream, self.0, s => s.recv().block())
    }

    /// As [`recv`](Self::recv), with the notifications that are subscribed to. With
    /// [`Subscriptions::association_change`] `None` comes behind the one that tells of the association's end.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_any(&self) -> Result<Option<Received>> {
        dispatch!(AnyStream, self.0, s => s.recv_any().await)
    }

    /// As [`recv_any`](Self::recv_any), but does not wait.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`Error::WouldBlock`](crate::Error::WouldBlock).
    pub fn try_recv_any(&self) -> Result<Option<Received>> {
        dispatch!(AnyStream, self.0, s => s.recv_any().attempt())
    }

    /// As [`recv_any`](Self::recv_any), but blocks.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_any_blocking(&self) -> Result<Option<Received>> {
        dispatch!(AnyStream, self.0, s => s.recv_any().block())
    }

    /// Sends a message. Waits while the send buffer is full; the message has been queued when this returns, not
    /// delivered.
    ///
    /// # Errors
    ///
    /// [`Error::ShuttingDown`](crate::Error::ShuttingDown), [`Error::AssociationLost`](crate::Error::AssociationLost),
    /// [`Error::ConnectFailed`](crate::Error::ConnectFailed), [`Error::InvalidStream`](crate::Error::InvalidStream),
    /// [`Error::EmptyMessage`](crate::Error::EmptyMessage),
    /// [`Error::MessageTooLarge`](crate::Error::MessageTooLarge);
    /// [`Error::NoDestination`](crate::Error::NoDestination) if `info` names another association;
    /// [`Error::AddressNotAvailable`](crate::Error::AddressNotAvailable) if it is to go to an address that is not the
    /// peer's.
    pub async fn send(&self, payload: impl Into<Bytes>, info: &SndInfo) -> Result<()> {
        let payload = payload.into();
        dispatch!(AnyStream, self.0, s => s.send(payload, *info).await).map_err(|error| info.destination.refused(error))
    }

    /// As [`send`](Self::send), but does not wait.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Error::WouldBlock`](crate::Error::WouldBlock).
    pub fn try_send(&self, payload: impl Into<Bytes>, info: &SndInfo) -> Result<()> {
        let payload = payload.into();
        dispatch!(AnyStream, self.0, s => s.send(payload, *info).attempt())
            .map_err(|error| info.destination.refused(error))
    }

    /// As [`send`](Self::send), but blocks.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_blocking(&self, payload: impl Into<Bytes>, info: &SndInfo) -> Result<()> {
        let payload = payload.into();
        dispatch!(AnyStream, self.0, s => blocking::wait(s.send(payload, *info)))
            .map_err(|error| info.destination.refused(error))
    }

    /// Ends the association gracefully (RFC 9260 §9.2): what was sent is delivered first, and nothing more can be
    /// sent. Messages that the peer had queued can still be received; then [`recv`](Self::recv) returns `None`.
    ///
    /// # Errors
    ///
    /// [`Error::StackStopped`](crate::Error::StackStopped). An association that has ended already is no error.
    pub fn shutdown(&self) -> Result<()> {
        dispatch!(AnyStream, self.0, s => s.shutdown())
    }

    /// Receives nothing more (`SHUT_RD`, RFC 6458 §4.1.7): [`recv`](Self::recv) returns `None` from now on, and what
    /// the peer has sent and sends is dropped. The peer is not told; the association goes on in the other direction.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::StackStopped`](crate::Error::StackStopped).
    pub fn shutdown_read(&self) -> Result<()> {
        dispatch!(AnyStream, self.0, s => s.shutdown_read())
    }

    /// Ends the association at once (RFC 9260 §9.1); `reason` goes to the peer.
    ///
    /// # Errors
    ///
    /// [`Error::AssociationGone`](crate::Error::AssociationGone) if it has ended already.
    pub fn abort(&self, reason: impl Into<Bytes>) -> Result<()> {
        dispatch!(AnyStream, self.0, s => s.abort(reason.into())).map_err(|error| Destination::Peer.refused(error))
    }

    /// Closes the socket for all its handles, and waits until its association has ended gracefully. What was not
    /// received is discarded. Operations that wait meanwhile, and later ones, fail with
    /// [`Error::Closed`](crate::Error::Closed).
    ///
    /// With [`Options::set_linger`](crate::Options::set_linger) it waits for so long at most, which takes a runtime
    /// with time, or with zero aborts at once.
    ///
    /// # Errors
    ///
    /// [`Error::StackStopped`](crate::Error::StackStopped).
    pub async fn close(&self) -> Result<()> {
        let limit = self.association().options().linger().unwrap_or_default();
        dispatch!(AnyStream, self.0, s => blocking::linger(limit, s.close()).await)
    }

    /// As [`close`](Self::close), but blocks.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn close_blocking(&self) -> Result<()> {
        let limit = self.association().options().linger().unwrap_or_default();
        dispatch!(AnyStream, self.0, s => blocking::linger_blocking(limit, s.close()))
    }

    /// The association.
    pub fn assoc_id(&self) -> AssocId {
        dispatch!(AnyStream, self.0, s => s.assoc_id())
    }

    /// The socket's port and first address.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation).
    pub fn local_addr(&self) -> Result<SocketAddr> {
        crate::resolve::first(self.local_addresses()?)
    }

    /// The socket's port with the own addresses that the association uses.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation).
    pub fn local_addresses(&self) -> Result<Vec<SocketAddr>> {
        let status = self.status()?;
        Ok(status
            .local_addresses
            .iter()
            .map(|address| SocketAddr::new(*address, status.local_port))
            .collect())
    }

    /// The peer's port and primary address (RFC 6458 §4.1.9); once the association has ended, the address that set-up
    /// used.
    pub fn peer_addr(&self) -> SocketAddr {
        let named = dispatch!(AnyStream, self.0, s => s.peer_addr());
        match self.association().primary_addr() {
            Ok(primary) => SocketAddr::new(primary, named.port()),
            Err(_) => named,
        }
    }

    /// The peer's port with all its addresses; the first is the one that set-up used.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation).
    pub fn peer_addresses(&self) -> Result<Vec<SocketAddr>> {
        Ok(crate::resolve::peers(&self.status()?))
    }

    /// A snapshot of the association (`SCTP_STATUS`, RFC 6458 §8.2.1).
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation) some time after it has ended.
    pub fn status(&self) -> Result<AssociationStatus> {
        self.association().status()
    }

    /// Sends new data to this address of the peer from now on (`SCTP_PRIMARY_ADDR`, RFC 6458 §8.1.9).
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation),
    /// [`Error::NoSuchPath`](crate::Error::NoSuchPath) if the peer does not have it,
    /// [`Error::AddressUnconfirmed`](crate::Error::AddressUnconfirmed).
    pub fn set_primary(&self, address: IpAddr) -> Result<()> {
        self.association().set_primary_addr(address)
    }

    /// Probes one of the peer's addresses now (RFC 9260 §8.3).
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation),
    /// [`Error::NoSuchPath`](crate::Error::NoSuchPath) if the peer does not have it.
    pub fn request_heartbeat(&self, address: IpAddr) -> Result<()> {
        self.association().request_heartbeat(address)
    }

    /// The association, with its options and what can be asked of it.
    pub fn association(&self) -> Association {
        Association(dispatch!(AnyStream, self.0, s => s.association().into()))
    }

    /// Which notifications [`recv_any`](Self::recv_any) returns from now on.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation).
    pub fn set_subscriptions(&self, subscriptions: Subscriptions) -> Result<()> {
        self.association().options().set_subscriptions(subscriptions)
    }
}
