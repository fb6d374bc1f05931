//! The one-to-many style socket.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

#[cfg(feature = "userland")]
use crate::StackHandle;
use crate::backend::{AnySocket, dispatch};
use crate::blocking::Block;
use crate::{
    AssocId, Association, AssociationStats, AssociationStatus, ConnectOptions, Destination, Error, Options, Received,
    Result, SctpStream, SndInfo, SocketBuilder, Subscriptions, blocking,
};

/// A one-to-many style SCTP socket (RFC 6458 §3): one port, many associations.
///
/// It is a handle and cheap to clone; all clones are the same socket. When the last one goes away the socket closes:
/// it stops listening, and its associations are shut down gracefully in the background.
#[derive(Clone, Debug)]
pub struct SctpSocket(pub(crate) AnySocket);

impl SctpSocket {
    /// A builder, for what the other constructors do not offer.
    pub fn builder() -> SocketBuilder {
        SocketBuilder::new()
    }

    /// A socket bound to an address, or to several. See [`SocketBuilder::bind`].
    ///
    /// # Errors
    ///
    /// As [`SocketBuilder::bind`].
    pub async fn bind(address: impl tokio::net::ToSocketAddrs) -> Result<Self> {
        SocketBuilder::new().bind(address).await
    }

    /// As [`bind`](Self::bind), for threads without a runtime.
    ///
    /// # Errors
    ///
    /// As [`SocketBuilder::bind`].
    pub fn bind_blocking(address: impl std::net::ToSocketAddrs) -> Result<Self> {
        SocketBuilder::new().bind_blocking(address)
    }

    /// A socket on all addresses of a stack; port 0 draws a free one.
    ///
    /// # Errors
    ///
    /// [`Error::PortInUse`](crate::Error::PortInUse), [`Error::NoPortFree`](crate::Error::NoPortFree).
    #[cfg(feature = "userland")]
    pub fn bind_on(stack: &StackHandle, port: u16) -> Result<Self> {
        SocketBuilder::new()
            .stack(stack)
            .bind_blocking(SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)))
    }

    /// Accepts associations that peers open; zero stops. The number is a hint, as associations of this style of
    /// socket do not wait to be accepted.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn listen(&self, backlog: usize) -> Result<()> {
        dispatch!(AnySocket, self.0, s => s.listen(backlog))
    }

    /// Receives the next message or notification.
    ///
    /// Messages and notifications of one association come in the order in which they happened; associations take
    /// turns.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) once [`close`](Self::close) was called,
    /// [`Error::StackStopped`](crate::Error::StackStopped).
    pub async fn recv(&self) -> Result<Received> {
        dispatch!(AnySocket, self.0, s => s.recv().await)
    }

    /// As [`recv`](Self::recv), but does not wait.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv), and [`Error::WouldBlock`](crate::Error::WouldBlock).
    pub fn try_recv(&self) -> Result<Received> {
        dispatch!(AnySocket, self.0, s => s.recv().attempt())
    }

    /// As [`recv`](Self::recv), but blocks.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_blocking(&self) -> Result<Received> {
        dispatch!(AnySocket, self.0, s => s.recv().block())
    }

    /// Sends a message. A message to an address without an association sets one up, and is sent once it is
    /// established.
    ///
    /// Waits while the association's send buffer is full. The message has been queued when this returns, not
    /// delivered; should it fail later, [`Notification::SendFailed`](crate::Notification::SendFailed) tells.
    ///
    /// # Errors
    ///
    /// [`Error::AssociationGone`](crate::Error::AssociationGone),
    /// [`Error::ShuttingDown`](crate::Error::ShuttingDown), [`Error::InvalidStream`](crate::Error::InvalidStream),
    /// [`Error::EmptyMessage`](crate::Error::EmptyMessage), [`Error::MessageTooLarge`](crate::Error::MessageTooLarge),
    /// [`Error::NoDestination`](crate::Error::NoDestination);
    /// [`Error::AddressNotAvailable`](crate::Error::AddressNotAvailable) if it is to go to an address that is not the
    /// peer's; those of [`open`](Self::open).
    pub async fn send(&self, payload: impl Into<Bytes>, info: &SndInfo) -> Result<()> {
        let payload = payload.into();
        dispatch!(AnySocket, self.0, s => s.send(payload, *info).await).map_err(|error| info.destination.refused(error))
    }

    /// As [`send`](Self::send), but does not wait.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Error::WouldBlock`](crate::Error::WouldBlock).
    pub fn try_send(&self, payload: impl Into<Bytes>, info: &SndInfo) -> Result<()> {
        let payload = payload.into();
        dispatch!(AnySocket, self.0, s => s.send(payload, *info).attempt())
            .map_err(|error| info.destination.refused(error))
    }

    /// As [`send`](Self::send), but blocks.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_blocking(&self, payload: impl Into<Bytes>, info: &SndInfo) -> Result<()> {
        let payload = payload.into();
        dispatch!(AnySocket, self.0, s => blocking::wait(s.send(payload, *info)))
            .map_err(|error| info.destination.refused(error))
    }

    /// Sends a message to a peer with several addresses (`sctp_sendv`, RFC 6458 §9.12): on the association with one of
    /// them, or on one that is set up with all of them first, as by [`open`](Self::open). Returns the association's
    /// name. What `info` says of a destination has no meaning here.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send) and [`open`](Self::open). A message that only ends an association sets none up:
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation).
    pub async fn sendv(&self, payload: impl Into<Bytes>, peer: &[SocketAddr], info: &SndInfo) -> Result<AssocId> {
        let payload = payload.into();
        let assoc = self.reach(peer, &payload, info)?;
        self.send(payload, &info.on(assoc)).await?;
        Ok(assoc)
    }

    /// As [`sendv`](Self::sendv), but does not wait.
    ///
    /// # Errors
    ///
    /// As [`sendv`](Self::sendv), and [`Error::WouldBlock`](crate::Error::WouldBlock).
    pub fn try_sendv(&self, payload: impl Into<Bytes>, peer: &[SocketAddr], info: &SndInfo) -> Result<AssocId> {
        let payload = payload.into();
        let assoc = self.reach(peer, &payload, info)?;
        self.try_send(payload, &info.on(assoc))?;
        Ok(assoc)
    }

    /// As [`sendv`](Self::sendv), but blocks.
    ///
    /// # Errors
    ///
    /// As [`sendv`](Self::sendv).
    pub fn sendv_blocking(&self, payload: impl Into<Bytes>, peer: &[SocketAddr], info: &SndInfo) -> Result<AssocId> {
        blocking::wait(self.sendv(payload, peer, info))
    }

    /// The association with one of a peer's addresses, which is set up for a message if there is none.
    fn reach(&self, peer: &[SocketAddr], payload: &Bytes, info: &SndInfo) -> Result<AssocId> {
        for address in peer {
            if let Some(assoc) = self.find(*address)? {
                return Ok(assoc);
            }
        }
        if info.abort || info.eof && payload.is_empty() {
            return Err(Error::NoSuchAssociation);
        }
        if payload.is_empty() {
            return Err(Error::EmptyMessage);
        }
        self.open(peer, ConnectOptions::default())
    }

    /// Sends a message to all associations that are established (`SCTP_SENDALL`, RFC 6458 §5.3.4), whatever destination
    /// `info` names. It does not wait: returned are those that did not take the message, with the reason
    /// ([`Error::WouldBlock`](crate::Error::WouldBlock) if the send buffer is full).
    ///
    /// # Errors
    ///
    /// [`Error::EmptyMessage`](crate::Error::EmptyMessage), [`Error::Closed`](crate::Error::Closed).
    pub fn send_all(&self, payload: impl Into<Bytes>, info: &SndInfo) -> Result<Vec<(AssocId, Error)>> {
        let payload = payload.into();
        let mut refused = dispatch!(AnySocket, self.0, s => s.send_all(&payload, info))?;
        for (assoc, error) in &mut refused {
            *error = Destination::Association(*assoc).refused(error.clone());
        }
        Ok(refused)
    }

    /// Begins to set up an association and returns its name at once. Messages can be sent on it immediately; a
    /// notification tells what becomes of it.
    ///
    /// The addresses belong to one peer and have the same port; the first is tried first and becomes the primary one.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyConnected`](crate::Error::AlreadyConnected),
    /// [`Error::ConnectInProgress`](crate::Error::ConnectInProgress),
    /// [`Error::InvalidAddress`](crate::Error::InvalidAddress), [`Error::Unreachable`](crate::Error::Unreachable),
    /// [`Error::TooManyAssociations`](crate::Error::TooManyAssociations), [`Error::Closed`](crate::Error::Closed).
    pub fn open(&self, peer: &[SocketAddr], options: ConnectOptions) -> Result<AssocId> {
        dispatch!(AnySocket, self.0, s => s.open(peer, options))
    }

    /// Sets up an association with a peer and waits until it is established. Notifications tell about it as well.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::ConnectFailed`](crate::Error::ConnectFailed).
    pub async fn connect(&self, peer: SocketAddr) -> Result<AssocId> {
        self.connect_multi(&[peer]).await
    }

    /// As [`connect`](Self::connect), but does not wait: as [`open`](Self::open) without options.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn try_connect(&self, peer: SocketAddr) -> Result<AssocId> {
        self.open(&[peer], ConnectOptions::default())
    }

    /// As [`connect`](Self::connect), but blocks.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_blocking(&self, peer: SocketAddr) -> Result<AssocId> {
        blocking::wait(self.connect(peer))
    }

    /// As [`connect`](Self::connect), with several addresses of the peer; see [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_multi(&self, peer: &[SocketAddr]) -> Result<AssocId> {
        dispatch!(AnySocket, self.0, s => {
            let opening = s.open_watched(peer, ConnectOptions::default())?;
            opening.connected().await
        })
    }

    /// As [`connect_multi`](Self::connect_multi), but blocks.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_multi_blocking(&self, peer: &[SocketAddr]) -> Result<AssocId> {
        blocking::wait(self.connect_multi(peer))
    }

    /// Makes a one-to-one style socket of an association (RFC 6458 §9.2): this socket no longer receives from it.
    /// What it has received and not delivered goes along, notifications too. Its options stay; it lingers as this
    /// socket does.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation).
    pub fn peel_off(&self, assoc: AssocId) -> Result<SctpStream> {
        dispatch!(AnySocket, self.0, s => Ok(SctpStream::from(s.peel_off(assoc)?)))
    }

    /// Ends an association gracefully: what was sent is delivered first, and nothing more can be sent (RFC 9260
    /// §9.2). A notification tells when it is over.
    ///
    /// # Errors
    ///
    /// [`Error::AssociationGone`](crate::Error::AssociationGone).
    pub fn shutdown(&self, assoc: AssocId) -> Result<()> {
        dispatch!(AnySocket, self.0, s => s.shutdown(assoc))
            .map_err(|error| Destination::Association(assoc).refused(error))
    }

    /// Ends an association at once (RFC 9260 §9.1); `reason` goes to the peer.
    ///
    /// # Errors
    ///
    /// [`Error::AssociationGone`](crate::Error::AssociationGone).
    pub fn abort(&self, assoc: AssocId, reason: impl Into<Bytes>) -> Result<()> {
        dispatch!(AnySocket, self.0, s => s.abort(assoc, reason.into()))
            .map_err(|error| Destination::Association(assoc).refused(error))
    }

    /// Closes the socket for all its handles, and waits until its associations have ended gracefully. Operations
    /// that wait meanwhile, and later ones, fail with [`Error::Closed`](crate::Error::Closed).
    ///
    /// With [`Options::set_linger`](crate::Options::set_linger) it waits for so long at most, which takes a runtime
    /// with time, or with zero aborts at once.
    ///
    /// # Errors
    ///
    /// [`Error::StackStopped`](crate::Error::StackStopped).
    pub async fn close(&self) -> Result<()> {
        let limit = self.options().linger().unwrap_or_default();
        dispatch!(AnySocket, self.0, s => blocking::linger(limit, s.close()).await)
    }

    /// As [`close`](Self::close), but blocks.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn close_blocking(&self) -> Result<()> {
        let limit = self.options().linger().unwrap_or_default();
        dispatch!(AnySocket, self.0, s => blocking::linger_blocking(limit, s.close()))
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
        dispatch!(AnySocket, self.0, s => s.bound().local_addresses())
    }

    /// The associations of the socket that have not ended, or still have something to be received.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn associations(&self) -> Result<Vec<AssocId>> {
        dispatch!(AnySocket, self.0, s => s.associations())
    }

    /// The association with a peer's address, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn find(&self, peer: SocketAddr) -> Result<Option<AssocId>> {
        dispatch!(AnySocket, self.0, s => s.find(peer))
    }

    /// The peer's port with all its addresses; the first is the one that set-up used.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation).
    pub fn peer_addresses(&self, assoc: AssocId) -> Result<Vec<SocketAddr>> {
        Ok(crate::resolve::peers(&self.status(assoc)?))
    }

    /// A snapshot of an association (`SCTP_STATUS`, RFC 6458 §8.2.1).
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation).
    pub fn status(&self, assoc: AssocId) -> Result<AssociationStatus> {
        self.association(assoc).status()
    }

    /// Sends new data to this address of the peer from now on (`SCTP_PRIMARY_ADDR`, RFC 6458 §8.1.9).
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation),
    /// [`Error::NoSuchPath`](crate::Error::NoSuchPath) if the peer does not have it,
    /// [`Error::AddressUnconfirmed`](crate::Error::AddressUnconfirmed).
    pub fn set_primary(&self, assoc: AssocId, address: IpAddr) -> Result<()> {
        self.association(assoc).set_primary_addr(address)
    }

    /// Probes one of the peer's addresses now (RFC 9260 §8.3).
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchAssociation`](crate::Error::NoSuchAssociation),
    /// [`Error::NoSuchPath`](crate::Error::NoSuchPath) if the peer does not have it.
    pub fn request_heartbeat(&self, assoc: AssocId, address: IpAddr) -> Result<()> {
        self.association(assoc).request_heartbeat(address)
    }

    /// Counters of all associations of the socket together, those that have ended too. The ones of a single association
    /// are in its [`status`](Self::status).
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`](crate::Error::Unsupported) with a kernel, which counts for each association alone;
    /// [`Error::Closed`](crate::Error::Closed), [`Error::StackStopped`](crate::Error::StackStopped).
    pub fn stats(&self) -> Result<AssociationStats> {
        dispatch!(AnySocket, self.0, s => s.bound().options().stats())
    }

    /// The options of the socket: what its new associations start with.
    pub fn options(&self) -> Options {
        Options(dispatch!(AnySocket, self.0, s => s.bound().options().into()))
    }

    /// One of the socket's associations, with its options and what can be asked of it.
    pub fn association(&self, assoc: AssocId) -> Association {
        Association(dispatch!(AnySocket, self.0, s => s.association(assoc).into()))
    }

    /// Binds the socket to one address of the host more (`sctp_bindx` with `SCTP_BINDX_ADD_ADDR`, RFC 6458 §9.1). Its
    /// associations are told if that was negotiated (RFC 5061).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::AddressNotAvailable`](crate::Error::AddressNotAvailable),
    /// [`Error::PortInUse`](crate::Error::PortInUse), [`Error::AddressChange`](crate::Error::AddressChange) of a socket
    /// that is bound to all addresses.
    pub fn bindx_add(&self, address: IpAddr) -> Result<()> {
        dispatch!(AnySocket, self.0, s => s.bound().bindx_add(address))
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

    /// Takes an address from the socket, unless it is the last one (`sctp_bindx` with `SCTP_BINDX_REM_ADDR`, RFC 6458
    /// §9.1). Its associations are told if that was negotiated; others keep it.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::AddressChange`](crate::Error::AddressChange).
    pub fn bindx_remove(&self, address: IpAddr) -> Result<()> {
        dispatch!(AnySocket, self.0, s => s.bound().bindx_remove(address))
    }

    /// Which notifications are received from now on, of all associations of the socket.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed).
    pub fn set_subscriptions(&self, subscriptions: Subscriptions) -> Result<()> {
        self.options().set_subscriptions(subscriptions)
    }
}
