//! One association: its state, and commands about it.

use std::net::IpAddr;

use crate::backend::{AnyTarget, dispatch};
use crate::{
    AbandonedMessages, AssociationStats, AssociationStatus, ChunkType, Error, NxtInfo, Options,
    PartialReliabilityPolicy, PathStatus, Result, StreamDirections, StreamId,
};

/// One association of a socket, from [`SctpSocket::association`](crate::SctpSocket::association) or
/// [`SctpStream::association`](crate::SctpStream::association).
///
/// This is a cheap handle; it keeps no socket open.
///
/// # Errors
///
/// All fail with [`Error::NoSuchAssociation`] once the association is gone, or if the socket never had it, and with
/// [`Error::StackStopped`]. What else can go wrong is said at each.
#[derive(Clone, Debug)]
pub struct Association(pub(crate) AnyTarget);

impl Association {
    /// Its options.
    pub fn options(&self) -> Options {
        Options(self.0.clone())
    }

    /// A snapshot (`SCTP_STATUS`, RFC 6458 §8.2.1).
    pub fn status(&self) -> Result<AssociationStatus> {
        let status: Result<Option<AssociationStatus>> = dispatch!(AnyTarget, self.0, target => target.status());
        status?.ok_or(Error::NoSuchAssociation)
    }

    /// Its counters (`SCTP_GET_ASSOC_STATS` of Linux; `sctpAssocTable` of RFC 3873). Those of its paths are in its
    /// [`status`](Self::status).
    pub fn stats(&self) -> Result<AssociationStats> {
        dispatch!(AnyTarget, self.0, target => target.stats())
    }

    /// What is received next from the association (`SCTP_NXTINFO`, RFC 6458 §5.3.6); `None` if there is nothing yet, or
    /// the rest of a message that comes in pieces.
    pub fn next_info(&self) -> Result<Option<NxtInfo>> {
        dispatch!(AnyTarget, self.0, target => target.next_info())
    }

    /// One of the peer's addresses (`SCTP_GET_PEER_ADDR_INFO`, RFC 6458 §8.2.2).
    ///
    /// Fails with [`Error::NoSuchPath`] if the peer does not have it.
    pub fn get_peer_addr_info(&self, address: IpAddr) -> Result<PathStatus> {
        let mut paths = self.status()?.paths.into_iter();
        let found = paths.find(|path| path.address == address);
        found.ok_or(Error::NoSuchPath)
    }

    /// The peer's address that new data goes to (`SCTP_PRIMARY_ADDR`, RFC 6458 §8.1.9).
    pub fn primary_addr(&self) -> Result<IpAddr> {
        let primary = self.status()?.paths.into_iter().find(|path| path.primary);
        primary.map(|path| path.address).ok_or(Error::NoSuchAssociation)
    }

    /// Sends new data to this address of the peer from now on.
    ///
    /// Fails with [`Error::NoSuchPath`] if the peer does not have it, [`Error::AddressUnconfirmed`].
    pub fn set_primary_addr(&self, address: IpAddr) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.set_primary_addr(address))
    }

    /// Asks the peer to send to this own address first (`SCTP_SET_PEER_PRIMARY_ADDR`, RFC 6458 §8.3.1). The wildcard
    /// address is the one that it sees. [`Notification::LocalAddressChange`](crate::Notification::LocalAddressChange)
    /// tells what came of it.
    ///
    /// Fails with [`Error::AddressChange`], [`Error::AddressNotAvailable`].
    pub fn set_peer_primary_addr(&self, address: IpAddr) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.set_peer_primary_addr(address))
    }

    /// Adds one of the stack's addresses to this association alone (RFC 5061 §4.2.1); the wildcard address is the one
    /// that the peer sees. [`Notification::LocalAddressChange`](crate::Notification::LocalAddressChange) tells what
    /// came of it. [`SctpSocket::bindx_add`](crate::SctpSocket::bindx_add) adds it to a whole socket.
    ///
    /// Fails with [`Error::AddressChange`], [`Error::AddressNotAvailable`], [`Error::ShuttingDown`].
    pub fn add_local_address(&self, address: IpAddr) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.add_local_address(address))
    }

    /// Deletes an own address from this association alone (RFC 5061 §4.2.2), unless it is the last one; with the
    /// wildcard address, all but the one that the peer sees.
    ///
    /// Fails with [`Error::AddressChange`], [`Error::ShuttingDown`].
    pub fn remove_local_address(&self, address: IpAddr) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.remove_local_address(address))
    }

    /// Probes one of the peer's addresses now (`SPP_HB_DEMAND`, RFC 6458 §8.1.12).
    ///
    /// Fails with [`Error::NoSuchPath`] if the peer does not have it.
    pub fn request_heartbeat(&self, address: IpAddr) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.request_heartbeat(address))
    }

    /// The chunk types that the peer takes only authenticated (`SCTP_PEER_AUTH_CHUNKS`, RFC 6458 §8.2.3).
    pub fn peer_auth_chunks(&self) -> Result<Vec<ChunkType>> {
        dispatch!(AnyTarget, self.0, target => target.peer_auth_chunks())
    }

    /// The chunk types that this side takes only authenticated (`SCTP_LOCAL_AUTH_CHUNKS`, RFC 6458 §8.2.4).
    pub fn local_auth_chunks(&self) -> Result<Vec<ChunkType>> {
        dispatch!(AnyTarget, self.0, target => target.local_auth_chunks())
    }

    /// Asks the peer to let the sequence numbers of `streams` begin anew; an empty list means all
    /// (`SCTP_RESET_STREAMS`, RFC 6525 §6.3.2). [`Notification::StreamReset`](crate::Notification::StreamReset) tells
    /// what came of it, once a direction.
    ///
    /// Fails with [`Error::Reconfig`], [`Error::InvalidStream`].
    pub fn reset_streams(&self, directions: StreamDirections, streams: &[StreamId]) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.reset_streams(directions, streams))
    }

    /// Asks the peer to let all sequence numbers and TSNs begin anew (`SCTP_RESET_ASSOC`, RFC 6525 §6.3.3).
    /// [`Notification::AssociationReset`](crate::Notification::AssociationReset) tells what came of it.
    ///
    /// Fails with [`Error::Reconfig`].
    pub fn reset_assoc(&self) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.reset_assoc())
    }

    /// Asks the peer for more streams (`SCTP_ADD_STREAMS`, RFC 6525 §6.3.4): so many that this side sends on, and so
    /// many that the peer sends on. [`Notification::StreamChange`](crate::Notification::StreamChange) tells what came
    /// of it, once a direction.
    ///
    /// Fails with [`Error::Reconfig`].
    pub fn add_streams(&self, outbound: u16, inbound: u16) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.add_streams(outbound, inbound))
    }

    /// What the scheduler knows of a stream (`SCTP_STREAM_SCHEDULER_VALUE`, RFC 8260 §4.3.3): its priority, where zero
    /// is the highest, or its weight.
    ///
    /// Fails with [`Error::InvalidStream`].
    pub fn stream_scheduler_value(&self, stream: StreamId) -> Result<u16> {
        dispatch!(AnyTarget, self.0, target => target.stream_scheduler_value(stream))
    }

    /// Sets what the scheduler knows of a stream.
    ///
    /// Fails with [`Error::InvalidStream`].
    pub fn set_stream_scheduler_value(&self, stream: StreamId, value: u16) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.set_stream_scheduler_value(stream, value))
    }

    /// How many messages were given up, by one policy or by any (`SCTP_PR_ASSOC_STATUS`, RFC 7496 §4.4).
    pub fn pr_assoc_status(&self, policy: Option<PartialReliabilityPolicy>) -> Result<AbandonedMessages> {
        dispatch!(AnyTarget, self.0, target => target.pr_assoc_status(policy))
    }

    /// How many messages of a stream were given up, by one policy or by any (`SCTP_PR_STREAM_STATUS`, RFC 7496 §4.3).
    ///
    /// Fails with [`Error::InvalidStream`].
    pub fn pr_stream_status(
        &self,
        stream: StreamId,
        policy: Option<PartialReliabilityPolicy>,
    ) -> Result<AbandonedMessages> {
        dispatch!(AnyTarget, self.0, target => target.pr_stream_status(stream, policy))
    }
}
