//! What the user may ask about single streams: schedulers and their values (RFC 8260 §4.3), and what was given up (RFC
//! 7496 §4).

use super::{AssocId, Stack};
use crate::config::StreamScheduler;
use crate::error::{NoSuchAssociation, StreamError};
use crate::serial::StreamId;
use crate::stats::{AbandonedMessages, PartialReliabilityPolicy};

impl Stack {
    /// Changes in which order the messages of different streams are sent (SCTP_STREAM_SCHEDULER, RFC 8260 §4.3.2), of
    /// those that wait too.
    pub fn set_stream_scheduler(
        &mut self,
        assoc: AssocId,
        scheduler: StreamScheduler,
    ) -> Result<(), NoSuchAssociation> {
        let slot = self.table.get_mut(assoc).ok_or(NoSuchAssociation)?;
        slot.assoc.set_stream_scheduler(scheduler);
        Ok(())
    }

    /// In which order the messages of different streams are sent.
    pub fn stream_scheduler(&self, assoc: AssocId) -> Result<StreamScheduler, NoSuchAssociation> {
        let slot = self.table.get(assoc).ok_or(NoSuchAssociation)?;
        Ok(slot.assoc.stream_scheduler())
    }

    /// Sets what a scheduler is to know of a stream (SCTP_STREAM_SCHEDULER_VALUE, RFC 8260 §4.3.3): its priority, where
    /// zero is the highest, or its weight, where zero counts as one. Every stream begins with zero, and other
    /// schedulers than [`StreamScheduler::Priority`] and [`StreamScheduler::WeightedFairQueueing`] do not look at it.
    pub fn set_stream_scheduler_value(
        &mut self,
        assoc: AssocId,
        stream: StreamId,
        value: u16,
    ) -> Result<(), StreamError> {
        let slot = self.table.get_mut(assoc).ok_or(StreamError::NoSuchAssociation)?;
        let known = slot.assoc.set_stream_value(stream, value);
        if known { Ok(()) } else { Err(StreamError::InvalidStream) }
    }

    /// What was set by [`set_stream_scheduler_value`](Self::set_stream_scheduler_value).
    pub fn stream_scheduler_value(&self, assoc: AssocId, stream: StreamId) -> Result<u16, StreamError> {
        let slot = self.table.get(assoc).ok_or(StreamError::NoSuchAssociation)?;
        slot.assoc.stream_value(stream).ok_or(StreamError::InvalidStream)
    }

    /// How many messages were given up, by one policy or, with `None`, by any (SCTP_PR_ASSOC_STATUS, RFC 7496 §4.4).
    pub fn abandoned_messages(
        &self,
        assoc: AssocId,
        policy: Option<PartialReliabilityPolicy>,
    ) -> Result<AbandonedMessages, NoSuchAssociation> {
        let slot = self.table.get(assoc).ok_or(NoSuchAssociation)?;
        Ok(slot.assoc.abandoned(None, policy))
    }

    /// The same of one outgoing stream (SCTP_PR_STREAM_STATUS, RFC 7496 §4.3).
    pub fn abandoned_messages_of_stream(
        &self,
        assoc: AssocId,
        stream: StreamId,
        policy: Option<PartialReliabilityPolicy>,
    ) -> Result<AbandonedMessages, StreamError> {
        let slot = self.table.get(assoc).ok_or(StreamError::NoSuchAssociation)?;
        if slot.assoc.stream_value(stream).is_none() {
            return Err(StreamError::InvalidStream);
        }
        Ok(slot.assoc.abandoned(Some(stream), policy))
    }
}
