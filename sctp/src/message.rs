//! User messages: what the user hands over and gets back (RFC 9260 §11.1.5, §11.1.6).

use std::net::IpAddr;

use bytes::Bytes;

use crate::serial::{Ppid, Ssn, StreamId, Tsn};

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
            payload,
        }
    }
}

/// A received message, or a piece of one (RECEIVE, RFC 9260 §11.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The stream.
    pub stream: StreamId,
    /// The stream sequence number; meaningless for an unordered message.
    pub ssn: Ssn,
    /// The payload protocol identifier.
    pub ppid: Ppid,
    /// Whether it was sent unordered.
    pub unordered: bool,
    /// The TSN of its first fragment.
    pub tsn: Tsn,
    /// Whether this ends the message. A message that the receive buffer cannot hold comes in pieces (§6.9).
    pub end_of_message: bool,
    /// The bytes.
    pub payload: Bytes,
}
