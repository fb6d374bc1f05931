//! User messages: what the user hands over and gets back (RFC 9260 §11.1.5, §11.1.6).

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::serial::{Mid, Ppid, SharedKeyId, Ssn, StreamId, Tsn};

/// How long the sender tries to deliver a message (RFC 3758, RFC 7496). It takes a peer that knows FORWARD-TSN;
/// without one, every message is reliable.
///
/// A message that is given up causes [`Event::SendFailed`](crate::Event::SendFailed).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reliability {
    /// Until it is acknowledged or the association ends.
    #[default]
    Reliable,
    /// For so long from the moment of sending (RFC 3758 §4.1). It is looked at whenever a part of the message is about
    /// to be sent or sent again, so what is in flight by then may still arrive.
    Timed(Duration),
    /// Until a part of it would be sent again more often than this (RFC 7496 §3.1); zero sends everything once.
    Retransmissions(u16),
    /// Until a message that is more important finds no room in the send buffer (RFC 7496 §3.2). Zero is the most
    /// important, and a reliable message is more important than any.
    Priority(u32),
}

/// A message to be sent (SEND, RFC 9260 §11.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutMessage {
    /// The stream.
    pub stream: StreamId,
    /// The payload protocol identifier.
    pub ppid: Ppid,
    /// Deliver it as soon as it is there, regardless of order (§6.6).
    pub unordered: bool,
    /// Ask the peer to acknowledge at once (the I bit, RFC 9260 §3.3.1).
    pub sack_immediately: bool,
    /// A number of the user's, given back if the message fails.
    pub context: u32,
    /// Send it to this peer address rather than the primary one.
    pub destination: Option<IpAddr>,
    /// How long to try.
    pub reliability: Reliability,
    /// The endpoint pair shared key to authenticate it with (SCTP_AUTHINFO, RFC 6458 §5.3.8), even if the peer does not
    /// ask for that. Without one it is authenticated if the peer asks for it, with the active key.
    pub auth_key: Option<SharedKeyId>,
    /// The bytes; at least one.
    pub payload: Bytes,
}

impl OutMessage {
    /// An ordered message with nothing special.
    pub const fn new(stream: StreamId, ppid: Ppid, payload: Bytes) -> Self {
        Self {
            stream,
            ppid,
            unordered: false,
            sack_immediately: false,
            context: 0,
            destination: None,
            reliability: Reliability::Reliable,
            auth_key: None,
            payload,
        }
    }
}

/// A received message, or a piece of one (RECEIVE, RFC 9260 §11.1.6).
///
/// A message that the receive buffer cannot hold, or that would fill half of it, comes in pieces (§6.9). All pieces of
/// a message have the same `stream`, `tsn` and other properties, and only the last has `end_of_message`. What may come
/// between them says [`FragmentInterleave`](crate::config::FragmentInterleave): with
/// [`Streams`](crate::config::FragmentInterleave::Streams), always so where messages are interleaved (RFC 8260), other
/// streams' messages and pieces, so that one message of each stream may be under way; otherwise nothing. If the end of
/// a message will not come, [`Event::PartialDeliveryAborted`](crate::Event::PartialDeliveryAborted) names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The stream.
    pub stream: StreamId,
    /// The stream sequence number; meaningless for an unordered message. With interleaving, the low 16 bits of the
    /// Message Identifier (RFC 8260 §4.1).
    pub ssn: Ssn,
    /// The Message Identifier, with interleaving: of ordered and of unordered messages apart.
    pub mid: Option<Mid>,
    /// The payload protocol identifier.
    pub ppid: Ppid,
    /// Whether it was sent unordered.
    pub unordered: bool,
    /// The TSN of its first fragment.
    pub tsn: Tsn,
    /// Whether this ends the message.
    pub end_of_message: bool,
    /// The bytes.
    pub payload: Bytes,
}
