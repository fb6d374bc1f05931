//! What the user of a stack may ask for of RFC 6525 §6.3: streams reset, the association reset, streams added.

use super::{AssocId, Stack};
use crate::config::ReconfigRequests;
use crate::error::{NoSuchAssociation, ReconfigError};
use crate::serial::StreamId;
use crate::streams::StreamSet;
use crate::time::Instant;

/// Which streams a reset is about (RFC 6525 §6.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamDirections {
    /// Those that this side sends on.
    Outgoing,
    /// Those that the peer sends on.
    Incoming,
    /// Both.
    Both,
}

impl Stack {
    /// Asks the peer to let the stream sequence numbers of `streams` begin at zero again (SCTP_RESET_STREAMS, RFC 6525
    /// §6.3.2); an empty list means all streams. One [`Event::StreamReset`](crate::Event::StreamReset) a direction
    /// tells what came of it.
    ///
    /// Messages that were queued for outgoing streams before get their old numbers and go first. Those that follow are
    /// held until the peer has answered, and then get new numbers if it agreed.
    pub fn reset_streams(
        &mut self,
        _now: Instant,
        assoc: AssocId,
        directions: StreamDirections,
        streams: &[StreamId],
    ) -> Result<(), ReconfigError> {
        let slot = self.table.get_mut(assoc).ok_or(ReconfigError::NoSuchAssociation)?;
        let set = StreamSet::from_list(streams.iter().copied());
        let (outgoing, incoming) = match directions {
            StreamDirections::Outgoing => (Some(set), None),
            StreamDirections::Incoming => (None, Some(set)),
            StreamDirections::Both => (Some(set.clone()), Some(set)),
        };
        let result = slot.assoc.reset_streams(outgoing, incoming);
        self.settle(assoc);
        result
    }

    /// Asks the peer to let all stream sequence numbers and TSNs begin anew, in both directions (SCTP_RESET_ASSOC, RFC
    /// 6525 §6.3.3). [`Event::AssociationReset`](crate::Event::AssociationReset) tells what came of it.
    ///
    /// No message is begun until the peer has answered: what waits is sent with new numbers. Not all implementations
    /// deliver what they themselves have on the way when they agree. This one waits until it is acknowledged, so take
    /// what is received in the meantime: it denies the request if nothing is for half a minute.
    pub fn reset_association(&mut self, now: Instant, assoc: AssocId) -> Result<(), ReconfigError> {
        let slot = self.table.get_mut(assoc).ok_or(ReconfigError::NoSuchAssociation)?;
        let result = slot.assoc.reset_association(now);
        self.settle(assoc);
        result
    }

    /// Asks the peer for more streams (SCTP_ADD_STREAMS, RFC 6525 §6.3.4): `outbound` ones that this side sends on,
    /// `inbound` ones that the peer sends on. One [`Event::StreamChange`](crate::Event::StreamChange) a direction tells
    /// what came of it; before that they cannot be used.
    pub fn add_streams(
        &mut self,
        _now: Instant,
        assoc: AssocId,
        outbound: u16,
        inbound: u16,
    ) -> Result<(), ReconfigError> {
        let slot = self.table.get_mut(assoc).ok_or(ReconfigError::NoSuchAssociation)?;
        let result = slot.assoc.add_streams(outbound, inbound);
        self.settle(assoc);
        result
    }

    /// Sets which requests of the peer are carried out from now on (SCTP_ENABLE_STREAM_RESET, RFC 6525 §6.3.1). An
    /// association begins with what its configuration says.
    pub fn accept_reconfig(&mut self, assoc: AssocId, accepted: ReconfigRequests) -> Result<(), NoSuchAssociation> {
        let slot = self.table.get_mut(assoc).ok_or(NoSuchAssociation)?;
        slot.assoc.accept_reconfig(accepted);
        Ok(())
    }
}
