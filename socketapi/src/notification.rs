//! What a socket tells its user about associations, between the messages (RFC 6458 §6).

use std::net::SocketAddr;

use bytes::Bytes;
use sctp::error::FailureReason;
use sctp::serial::{Ssn, StreamId, Tsn};
use sctp::wire::AddressChange;
use sctp::{AuthEvent, ReconfigOutcome, StreamDirection};

use crate::{AssocId, SndInfo};

/// Something happened to an association.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notification {
    /// An association came, went or started anew (`SCTP_ASSOC_CHANGE`, RFC 6458 §6.1.1).
    AssociationChange(AssociationChange),
    /// One of the peer's addresses changed (`SCTP_PEER_ADDR_CHANGE`, RFC 6458 §6.1.2).
    PeerAddressChange {
        /// The association.
        assoc: AssocId,
        /// The peer's address.
        address: SocketAddr,
        /// What became of it.
        change: sctp::PathChange,
    },
    /// The peer reported an error (`SCTP_REMOTE_ERROR`, RFC 6458 §6.1.3).
    RemoteError {
        /// The association.
        assoc: AssocId,
        /// The cause code (RFC 9260 §3.3.10).
        cause: u16,
        /// The cause as it was on the wire, header included.
        raw: Bytes,
    },
    /// A message was not delivered, or is not known to be (`SCTP_SEND_FAILED_EVENT`, RFC 6458 §6.1.11).
    SendFailed {
        /// The association.
        assoc: AssocId,
        /// How it was to be sent.
        info: SndInfo,
        /// Whether any of it had been sent: the peer may have it.
        sent: bool,
        /// Why (`ssfe_error`): the code of an error cause (RFC 9260 §3.3.10), or zero if there is none, as for a
        /// message that was given up.
        error: u16,
        /// The whole message.
        payload: Bytes,
    },
    /// The peer will not send any more, and nothing more can be sent to it (`SCTP_SHUTDOWN_EVENT`, RFC 6458 §6.1.5).
    PeerShutdown {
        /// The association.
        assoc: AssocId,
    },
    /// The rest of a message of which a piece was received will not come (`SCTP_PARTIAL_DELIVERY_EVENT`, RFC 6458
    /// §6.1.7).
    PartialDeliveryAborted {
        /// The association.
        assoc: AssocId,
        /// The message's stream.
        stream: StreamId,
        /// Its stream sequence number, or the low 16 bits of its Message Identifier.
        ssn: Ssn,
        /// Whether it was sent unordered.
        unordered: bool,
        /// The TSN of its first fragment: that of its pieces.
        tsn: Tsn,
    },
    /// Everything sent has been acknowledged (`SCTP_SENDER_DRY_EVENT`, RFC 6458 §6.1.9).
    SenderDry {
        /// The association.
        assoc: AssocId,
    },
    /// What the peer's upper layer said at set-up (`SCTP_ADAPTATION_INDICATION`, RFC 6458 §6.1.6).
    AdaptationIndication {
        /// The association.
        assoc: AssocId,
        /// The Adaptation Code point.
        indication: u32,
    },
    /// Something about authenticated chunks (`SCTP_AUTHENTICATION_EVENT`, RFC 6458 §6.1.8).
    Authentication {
        /// The association.
        assoc: AssocId,
        /// What.
        event: AuthEvent,
    },
    /// Sequence numbers of streams began anew, or an own request for that has ended without it
    /// (`SCTP_STREAM_RESET_EVENT`, RFC 6525 §6.1.1). Messages received before have the old numbers.
    StreamReset {
        /// The association.
        assoc: AssocId,
        /// Whose streams.
        direction: StreamDirection,
        /// The streams; none means all.
        streams: Vec<StreamId>,
        /// What came of it.
        outcome: ReconfigOutcome,
    },
    /// All sequence numbers began anew, or an own request for that has ended without it (`SCTP_ASSOC_RESET_EVENT`,
    /// RFC 6525 §6.1.2).
    AssociationReset {
        /// The association.
        assoc: AssocId,
        /// The next TSN of this side.
        local_tsn: Tsn,
        /// The next TSN of the peer.
        remote_tsn: Tsn,
        /// What came of it.
        outcome: ReconfigOutcome,
    },
    /// Streams were added, or an own request for that has ended without it (`SCTP_STREAM_CHANGE_EVENT`, RFC 6525
    /// §6.1.3).
    StreamChange {
        /// The association.
        assoc: AssocId,
        /// How many streams the peer may send on now.
        inbound_streams: u16,
        /// How many streams this side may send on now.
        outbound_streams: u16,
        /// What came of it.
        outcome: ReconfigOutcome,
    },
    /// The peer has answered a change of own addresses (RFC 5061 §5.1 A6).
    LocalAddressChange {
        /// The association.
        assoc: AssocId,
        /// What it was asked for.
        change: AddressChange,
        /// `None` if it was carried out. Else the code of the error cause, or zero if the peer gave none.
        refused: Option<u16>,
    },
    /// Notifications that the peer caused in great number were dropped, since nobody received them
    /// (`SCTP_NOTIFICATIONS_STOPPED_EVENT`, RFC 6458 §6.1.10). The subscriptions are what they were; once there is room
    /// again the next ones come. Whoever subscribes to anything gets it.
    NotificationsStopped {
        /// The association.
        assoc: AssocId,
    },
}

impl Notification {
    /// The association it is about.
    pub const fn assoc(&self) -> AssocId {
        match self {
            Self::AssociationChange(AssociationChange { assoc, .. })
            | Self::PeerAddressChange { assoc, .. }
            | Self::RemoteError { assoc, .. }
            | Self::SendFailed { assoc, .. }
            | Self::PeerShutdown { assoc }
            | Self::PartialDeliveryAborted { assoc, .. }
            | Self::SenderDry { assoc }
            | Self::AdaptationIndication { assoc, .. }
            | Self::Authentication { assoc, .. }
            | Self::StreamReset { assoc, .. }
            | Self::AssociationReset { assoc, .. }
            | Self::StreamChange { assoc, .. }
            | Self::LocalAddressChange { assoc, .. }
            | Self::NotificationsStopped { assoc } => *assoc,
        }
    }
}

/// An association came, went or started anew.
///
/// Each association that is told about ends with exactly one of [`Lost`](AssociationState::Lost),
/// [`ShutdownComplete`](AssociationState::ShutdownComplete) and [`CannotStart`](AssociationState::CannotStart); it is
/// the last that is received of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssociationChange {
    /// The association.
    pub assoc: AssocId,
    /// The peer's port, and the address that was used to set it up.
    pub peer: SocketAddr,
    /// What happened.
    pub state: AssociationState,
}

/// What happened to an association (`sac_state`, RFC 6458 §6.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AssociationState {
    /// It is established (`SCTP_COMM_UP`).
    Up {
        /// Whether this side opened it; otherwise the peer did.
        initiated_here: bool,
        /// Streams that this side may send on.
        outbound_streams: u16,
        /// Streams that the peer may send on.
        inbound_streams: u16,
        /// What both sides support (`sac_info`).
        features: AssociationFeatures,
    },
    /// It ended otherwise than by shutdown (`SCTP_COMM_LOST`).
    Lost(FailureReason),
    /// The peer lost its state and set it up anew (`SCTP_RESTART`).
    Restarted {
        /// Streams that this side may send on.
        outbound_streams: u16,
        /// Streams that the peer may send on.
        inbound_streams: u16,
        /// What both sides support (`sac_info`).
        features: AssociationFeatures,
    },
    /// It ended gracefully (`SCTP_SHUTDOWN_COMP`).
    ShutdownComplete,
    /// It could not be set up (`SCTP_CANT_STR_ASSOC`).
    CannotStart(FailureReason),
}

/// What both sides of an association support (`sac_info` of a `struct sctp_assoc_change`, RFC 6458 §6.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssociationFeatures {
    /// Messages can be given up (`SCTP_ASSOC_SUPPORTS_PR`, RFC 3758).
    pub partial_reliability: bool,
    /// Chunks can be authenticated (`SCTP_ASSOC_SUPPORTS_AUTH`, RFC 4895).
    pub authentication: bool,
    /// Addresses can change (`SCTP_ASSOC_SUPPORTS_ASCONF`, RFC 5061).
    pub address_changes: bool,
    /// It has send and receive buffers of its own (`SCTP_ASSOC_SUPPORTS_MULTIBUF`), as all associations of the userland
    /// backend.
    pub multiple_buffers: bool,
    /// Streams can be reset and added (`SCTP_ASSOC_SUPPORTS_RE_CONFIG`, RFC 6525).
    pub reconfiguration: bool,
    /// Messages are interleaved on their way (`SCTP_ASSOC_SUPPORTS_INTERLEAVING`, RFC 8260).
    pub interleaving: bool,
}

/// Which notifications a socket receives (RFC 6458 §6.2).
///
/// One-to-many style sockets start with [`Subscriptions::default`], one-to-one style sockets with
/// [`Subscriptions::none`]; one that was [branched off](crate::SctpSocket::peel_off) keeps those of its association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriptions {
    /// [`Notification::AssociationChange`].
    pub association_change: bool,
    /// [`Notification::PeerAddressChange`].
    pub peer_address_change: bool,
    /// [`Notification::RemoteError`].
    pub remote_error: bool,
    /// [`Notification::SendFailed`].
    pub send_failed: bool,
    /// [`Notification::PeerShutdown`].
    pub peer_shutdown: bool,
    /// [`Notification::PartialDeliveryAborted`].
    pub partial_delivery: bool,
    /// [`Notification::SenderDry`]; told at once if nothing is outstanding when it is subscribed to.
    pub sender_dry: bool,
    /// [`Notification::AdaptationIndication`].
    pub adaptation_indication: bool,
    /// [`Notification::Authentication`].
    pub authentication: bool,
    /// [`Notification::StreamReset`].
    pub stream_reset: bool,
    /// [`Notification::AssociationReset`].
    pub association_reset: bool,
    /// [`Notification::StreamChange`].
    pub stream_change: bool,
    /// [`Notification::LocalAddressChange`].
    pub local_address_change: bool,
}

impl Default for Subscriptions {
    /// What a socket with many associations needs: how they come, go, and fare, and what was not delivered. The events
    /// of extensions are off, as is [`Notification::SenderDry`], which comes after nearly every message of a quiet
    /// association.
    fn default() -> Self {
        Self {
            association_change: true,
            peer_address_change: true,
            remote_error: true,
            send_failed: true,
            peer_shutdown: true,
            partial_delivery: true,
            ..Self::none()
        }
    }
}

impl Subscriptions {
    /// All of them.
    pub const fn all() -> Self {
        Self {
            association_change: true,
            peer_address_change: true,
            remote_error: true,
            send_failed: true,
            peer_shutdown: true,
            partial_delivery: true,
            sender_dry: true,
            adaptation_indication: true,
            authentication: true,
            stream_reset: true,
            association_reset: true,
            stream_change: true,
            local_address_change: true,
        }
    }

    /// None of them.
    pub const fn none() -> Self {
        Self {
            association_change: false,
            peer_address_change: false,
            remote_error: false,
            send_failed: false,
            peer_shutdown: false,
            partial_delivery: false,
            sender_dry: false,
            adaptation_indication: false,
            authentication: false,
            stream_reset: false,
            association_reset: false,
            stream_change: false,
            local_address_change: false,
        }
    }

    /// Whether there is anything that is wanted.
    const fn any(&self) -> bool {
        self.association_change
            || self.peer_address_change
            || self.remote_error
            || self.send_failed
            || self.peer_shutdown
            || self.partial_delivery
            || self.sender_dry
            || self.adaptation_indication
            || self.authentication
            || self.stream_reset
            || self.association_reset
            || self.stream_change
            || self.local_address_change
    }

    /// Whether a notification is wanted.
    pub(crate) const fn wants(&self, notification: &Notification) -> bool {
        match notification {
            Notification::AssociationChange(_) => self.association_change,
            Notification::PeerAddressChange { .. } => self.peer_address_change,
            Notification::RemoteError { .. } => self.remote_error,
            Notification::SendFailed { .. } => self.send_failed,
            Notification::PeerShutdown { .. } => self.peer_shutdown,
            Notification::PartialDeliveryAborted { .. } => self.partial_delivery,
            Notification::SenderDry { .. } => self.sender_dry,
            Notification::AdaptationIndication { .. } => self.adaptation_indication,
            Notification::Authentication { .. } => self.authentication,
            Notification::StreamReset { .. } => self.stream_reset,
            Notification::AssociationReset { .. } => self.association_reset,
            Notification::StreamChange { .. } => self.stream_change,
            Notification::LocalAddressChange { .. } => self.local_address_change,
            Notification::NotificationsStopped { .. } => self.any(),
        }
    }
}
