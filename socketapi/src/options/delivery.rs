//! Options about how messages are cut, bundled and put together, and how a socket closes.

use std::time::Duration;

use super::Options;
use crate::backend::dispatch;
use crate::{AssociationConfig, Result};

impl Options {
    /// How long closing waits for the end of associations (`SO_LINGER`, RFC 6458 §8.1.4); `None`, the default, for as
    /// long as it takes.
    pub fn linger(&self) -> Result<Option<Duration>> {
        dispatch!(AnyTarget, self.0, target => target.linger())
    }

    /// Sets how long closing waits for the end of associations; when the time is over they go on to end in the
    /// background. With zero, closing aborts them, also when the last handle is dropped.
    ///
    /// A one-to-many style socket has one setting; one-to-one style sockets inherit the listener's and have their own.
    pub fn set_linger(&self, linger: Option<Duration>) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.set_linger(linger))
    }

    /// Whether small messages are sent at once (`SCTP_NODELAY`, RFC 6458 §8.1.5); they are by default.
    pub fn nodelay(&self) -> Result<bool> {
        self.get(|config| config.sending().nodelay())
    }

    /// Sets whether small messages are sent at once, or wait for company while others are not acknowledged.
    pub fn set_nodelay(&self, nodelay: bool) -> Result<()> {
        self.set(|config| {
            config.sending_mut().set_nodelay(nodelay);
            Ok(())
        })
    }

    /// Whether messages that do not fit one packet are refused (`SCTP_DISABLE_FRAGMENTS`, RFC 6458 §8.1.11).
    pub fn disable_fragments(&self) -> Result<bool> {
        self.get(|config| config.sending().fragmentation_disabled())
    }

    /// Sets whether messages that do not fit one packet are refused, with
    /// [`Error::MessageTooLarge`](crate::Error::MessageTooLarge), or cut, as by default.
    pub fn set_disable_fragments(&self, disabled: bool) -> Result<()> {
        self.set(|config| {
            config.sending_mut().set_fragmentation_disabled(disabled);
            Ok(())
        })
    }

    /// The most user data that goes in one chunk (`SCTP_MAXSEG`, RFC 6458 §8.1.16); `None` for what the path takes.
    pub fn maxseg(&self) -> Result<Option<u16>> {
        self.get(|config| config.sending().max_fragment())
    }

    /// Sets the most user data that goes in one chunk, at least 8 bytes.
    pub fn set_maxseg(&self, bytes: Option<u16>) -> Result<()> {
        self.set(|config| config.sending_mut().set_max_fragment(bytes))
    }

    /// From how many bytes on an incomplete message is received in pieces (`SCTP_PARTIAL_DELIVERY_POINT`, RFC 6458
    /// §8.1.21); `None` for half of the receive buffer.
    pub fn partial_delivery_point(&self) -> Result<Option<u32>> {
        self.get(AssociationConfig::partial_delivery_point)
    }

    /// Sets from how many bytes on an incomplete message is received in pieces; no more than the receive buffer.
    pub fn set_partial_delivery_point(&self, bytes: Option<u32>) -> Result<()> {
        self.set(|config| config.set_partial_delivery_point(bytes))
    }

    /// Whether a message may be given in several sends, of which the last says
    /// [`end_of_record`](crate::SndInfo::end_of_record) (`SCTP_EXPLICIT_EOR`, RFC 6458 §8.1.26); not by default.
    pub fn explicit_eor(&self) -> Result<bool> {
        dispatch!(AnyTarget, self.0, target => target.explicit_eor())
    }

    /// Sets whether a message may be given in several sends, in the order of its bytes and on one stream. The first
    /// send says how it goes. Each fits the send buffer and has at least a byte; the message may be larger. What is
    /// given is sent at once, so an association that ends before the message does is aborted.
    pub fn set_explicit_eor(&self, explicit: bool) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.set_explicit_eor(explicit))
    }

    /// Whether received messages tell what comes next (`SCTP_RECVNXTINFO`, RFC 6458 §8.1.30); not by default.
    /// (`SCTP_RECVRCVINFO` is always on: [`RcvInfo`](crate::RcvInfo) comes with every message.)
    pub fn recv_nxtinfo(&self) -> Result<bool> {
        dispatch!(AnyTarget, self.0, target => target.recv_nxtinfo())
    }

    /// Sets whether received messages tell what comes next, as [`RcvInfo::next`](crate::RcvInfo::next).
    pub fn set_recv_nxtinfo(&self, told: bool) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.set_recv_nxtinfo(told))
    }
}
