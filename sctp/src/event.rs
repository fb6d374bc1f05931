//! What the engine tells its user (RFC 9260 §11.2).

use std::net::IpAddr;

use bytes::Bytes;

use crate::error::FailureReason;
use crate::serial::{Ppid, SharedKeyId, Ssn, StreamId, Tsn};
use crate::wire::AddressChange;

/// A notification about one association.
///
/// While many wait to be polled, those that the peer can cause over and over ([`Restarted`](Self::Restarted),
/// [`PeerShutdown`](Self::PeerShutdown), [`SenderDry`](Self::SenderDry), [`PathChanged`](Self::PathChanged),
/// [`Authentication`](Self::Authentication), [`PeerError`](Self::PeerError), [`StreamReset`](Self::StreamReset),
/// [`AssociationReset`](Self::AssociationReset), [`StreamChange`](Self::StreamChange)) push out older ones of their
/// kind.
///
/// Every association that exists for the user ends with exactly one of [`ConnectFailed`](Self::ConnectFailed),
/// [`CommunicationLost`](Self::CommunicationLost) and [`ShutdownComplete`](Self::ShutdownComplete).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The association is established (COMMUNICATION UP, §11.2.4).
    CommunicationUp {
        /// Whether this side opened it; otherwise the peer did.
        initiated_here: bool,
        /// Streams that this side may send on.
        outbound_streams: u16,
        /// Streams that the peer may send on.
        inbound_streams: u16,
    },
    /// The association could not be set up; nothing of it is left (COMMUNICATION LOST during set-up).
    ConnectFailed {
        /// Why.
        reason: FailureReason,
    },
    /// The association ended otherwise than by shutdown (COMMUNICATION LOST, §11.2.5). Data that had arrived can
    /// still be received; send failures for data that had not been acknowledged precede this event.
    CommunicationLost {
        /// Why.
        reason: FailureReason,
    },
    /// The peer has lost its state and set the association up anew (RESTART, §11.2.7).
    Restarted {
        /// Streams that this side may send on.
        outbound_streams: u16,
        /// Streams that the peer may send on.
        inbound_streams: u16,
    },
    /// The rest of a message of which a piece was received, or is still to be received, will not come (RFC 3758 §3.6,
    /// RFC 6458 §6.1.7). It has the same numbers as its pieces.
    PartialDeliveryAborted {
        /// Its stream.
        stream: StreamId,
        /// Its stream sequence number, or the low 16 bits of its Message Identifier.
        ssn: Ssn,
        /// Whether it was sent unordered.
        unordered: bool,
        /// The TSN of its first fragment.
        tsn: Tsn,
    },
    /// The peer will not send any more (SHUTDOWN arrived, §9.2); what is queued here is still delivered.
    PeerShutdown,
    /// The association ended gracefully: both sides have everything (SHUTDOWN COMPLETE, §11.2.8).
    ShutdownComplete,
    /// There is something to receive where there was nothing (DATA ARRIVE, §11.2.1).
    Readable,
    /// There is room to send again, after a send was refused for want of it.
    Writable,
    /// Everything sent has been acknowledged, after something had been outstanding (RFC 6458 §6.1.9).
    SenderDry,
    /// A message was given up (SEND FAILURE, §11.2.2).
    SendFailed(SendFailure),
    /// The state of one of the peer's addresses changed (NETWORK STATUS CHANGE, §11.2.3).
    PathChanged {
        /// The peer's address.
        address: IpAddr,
        /// What it is now.
        change: PathChange,
    },
    /// Something about authenticated chunks (SCTP_AUTHENTICATION_EVENT, RFC 6458 §6.1.8).
    Authentication(AuthEvent),
    /// The peer has answered a change of own addresses that it was asked for (RFC 5061 §5.1 A6).
    AddressChangeAnswered {
        /// What it was asked for.
        change: AddressChange,
        /// `None` if it was carried out. Else the code of the error cause, or zero if the peer gave none.
        refused: Option<u16>,
    },
    /// The Adaptation Layer Indication of the peer's INIT or INIT ACK, behind
    /// [`CommunicationUp`](Self::CommunicationUp) or [`Restarted`](Self::Restarted) (RFC 5061 §4.2.6, RFC 6458 §6.1.6).
    AdaptationIndication {
        /// The Adaptation Code point.
        code_point: u32,
    },
    /// The peer reported an error (COMMUNICATION ERROR, §11.2.6).
    PeerError {
        /// The cause code.
        cause: u16,
        /// The cause as it was on the wire, header included; its first 1024 bytes if it is longer.
        raw: Bytes,
    },
    /// Sequence numbers of streams began anew, or an own request for that has ended without it (RFC 6525 §6.1.1).
    ///
    /// A reset of inbound streams lies between the messages received: those that could be received before this event
    /// have the old numbers.
    StreamReset {
        /// Whose streams: the ones this side sends on, or the peer.
        direction: StreamDirection,
        /// The streams; none means all.
        streams: Vec<StreamId>,
        /// What came of it.
        outcome: ReconfigOutcome,
    },
    /// All sequence numbers, TSNs too, began anew in both directions, or an own request for that has ended without it
    /// (RFC 6525 §6.1.2).
    AssociationReset {
        /// The next TSN of this side.
        local_tsn: Tsn,
        /// The next TSN of the peer.
        remote_tsn: Tsn,
        /// What came of it.
        outcome: ReconfigOutcome,
    },
    /// Streams were added, or an own request for that has ended without it (RFC 6525 §6.1.3).
    StreamChange {
        /// How many streams the peer may send on now.
        inbound_streams: u16,
        /// How many streams this side may send on now.
        outbound_streams: u16,
        /// What came of it.
        outcome: ReconfigOutcome,
    },
}

/// Whose streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamDirection {
    /// Those that this side sends on.
    Outgoing,
    /// Those that the peer sends on.
    Incoming,
}

/// What came of a re-configuration (RFC 6525 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReconfigOutcome {
    /// It was carried out, at the request of either side.
    Performed,
    /// The peer denied the own request.
    Denied,
    /// The own request failed: the peer could not carry it out, or the association ended before it answered.
    Failed,
}

/// What happened to the authentication of chunks (RFC 6458 §6.1.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthEvent {
    /// The peer authenticates its chunks with this key now, and did with another one before; at the start that is
    /// key 0 (SCTP_AUTH_NEW_KEY).
    NewKey(SharedKeyId),
    /// AUTH was offered, and the peer does not take part (SCTP_AUTH_NO_AUTH). What must come authenticated is dropped.
    NoAuth,
    /// No message uses this key any more, which was deactivated (SCTP_AUTH_FREE_KEY). It may be deleted.
    FreeKey(SharedKeyId),
}

/// A message that was not delivered, or not known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFailure {
    /// The stream it was for.
    pub stream: StreamId,
    /// Its payload protocol identifier.
    pub ppid: Ppid,
    /// Whether it was for delivery regardless of order.
    pub unordered: bool,
    /// The number that the user gave it.
    pub context: u32,
    /// Whether any of it had been sent: the peer may have it.
    pub sent: bool,
    /// The code of the error cause that is the reason (RFC 9260 §3.3.10); zero if there is none, as for a message that
    /// was given up.
    pub cause: u16,
    /// The whole message.
    pub payload: Bytes,
}

/// What became of a peer's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathChange {
    /// It is reachable again (§8.2), or answers again after it was potentially failed.
    Available,
    /// It has not answered, and data avoids it (RFC 7829 §7.1). It is probed once a retransmission time-out, and soon
    /// is either [`Available`](Self::Available) again or [`Unreachable`](Self::Unreachable).
    PotentiallyFailed,
    /// It does not answer: Path.Max.Retrans was exceeded (§8.2).
    Unreachable,
    /// Its nonce came back: it belongs to the peer (§5.4).
    Confirmed,
    /// New data goes there from now on.
    Primary,
    /// The peer added it (RFC 5061 §4.2.1); it is to be confirmed.
    Added,
    /// The peer deleted it (RFC 5061 §4.2.2).
    Removed,
}
