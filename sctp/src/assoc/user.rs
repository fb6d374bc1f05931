//! What the user asks of an association (RFC 9260 §11.1).

use super::{Association, AssociationPhase};
use crate::error::SendError;
use crate::event::PathChange;
use crate::message::{OutMessage, Received};
use crate::path::PathId;
use crate::serial::Tsn;
use crate::streams::StreamSet;
use crate::time::Instant;

impl Association {
    /// Queues a message (§11.1.5).
    // Inlined, the message would be taken apart before it is known whether it is taken.
    #[inline(never)]
    pub(crate) fn send(&mut self, now: Instant, message: OutMessage) -> Result<(), SendError> {
        self.may_send(&message)?;
        let wanted = message.destination.and_then(|address| self.paths.find(address));
        let result = self.outbound.push(now, message, wanted);
        match result {
            Ok(()) => {
                self.stats.messages_sent += 1;
                self.last_activity = now;
                for path in self.paths.values_mut() {
                    path.cc.on_occasion();
                }
            }
            Err(SendError::WouldBlock) => self.sender_blocked = true,
            Err(_) => {}
        }
        self.after_abandonment(now);
        result
    }

    /// Queues a piece of a message, which it ends or not (RFC 6458 §8.1.26).
    pub(crate) fn send_more(&mut self, now: Instant, piece: OutMessage, end: bool) -> Result<(), SendError> {
        self.may_send(&piece)?;
        let single = end && !self.outbound.has_open_in(&StreamSet::from_list([piece.stream]));
        if self.config.sending().fragmentation_disabled() && !single {
            return Err(SendError::TooLarge);
        }
        let wanted = piece.destination.and_then(|address| self.paths.find(address));
        let result = self.outbound.push_piece(now, piece, end, wanted);
        match result {
            Ok(begins) => {
                self.stats.messages_sent += u64::from(begins);
                self.last_activity = now;
                for path in self.paths.values_mut() {
                    path.cc.on_occasion();
                }
            }
            Err(SendError::WouldBlock) => self.sender_blocked = true,
            Err(_) => {}
        }
        self.after_abandonment(now);
        result.map(|_| ())
    }

    /// Whether a message like this may be sent now.
    #[inline(always)]
    fn may_send(&mut self, message: &OutMessage) -> Result<(), SendError> {
        match self.phase() {
            AssociationPhase::Closed => return Err(SendError::NoSuchAssociation),
            AssociationPhase::CookieWait | AssociationPhase::CookieEchoed if self.shutdown_wanted() => {
                return Err(SendError::ShuttingDown);
            }
            AssociationPhase::CookieWait | AssociationPhase::CookieEchoed | AssociationPhase::Established => {}
            _ => return Err(SendError::ShuttingDown),
        }
        if message.auth_key.is_some_and(|key| !self.may_send_with(key)) {
            return Err(SendError::NoSuchKey);
        }
        if self.config.sending().fragmentation_disabled() && message.payload.len() > self.max_unfragmented() {
            return Err(SendError::TooLarge);
        }
        Ok(())
    }

    /// The largest message that goes in one chunk, on whatever path.
    #[cold]
    pub(super) fn max_unfragmented(&self) -> usize {
        self.outbound.max_payload(self.room_for_data())
    }

    /// Takes the next received message (§11.1.6).
    // Inlined, the message would be taken apart on its way out.
    #[inline(never)]
    pub(crate) fn recv(&mut self) -> Option<Received> {
        let received = self.inbound.recv();
        if received.as_ref().is_some_and(|piece| piece.end_of_message) {
            self.stats.messages_received += 1;
        }
        received
    }

    /// Taking messages opened the window far enough that the peer should know (§6.2).
    pub(crate) const fn wants_window_update(&self) -> bool {
        self.inbound.sack_wanted()
    }

    pub(crate) fn readable(&self) -> bool {
        self.inbound.readable()
    }

    /// Whether a message is received in pieces and its end has not come.
    pub(crate) fn is_partial(&self) -> bool {
        self.inbound.is_partial()
    }

    /// The message that would be taken next, if it is known.
    pub(crate) fn peek(&self) -> Option<&Received> {
        self.inbound.peek()
    }

    /// Up to which TSN everything has arrived.
    pub(crate) fn cumulative_tsn(&self) -> Tsn {
        self.inbound.cumulative_tsn_ack()
    }

    /// Makes a confirmed path the primary one; false if it is not confirmed.
    pub(crate) fn set_primary(&mut self, id: PathId) -> bool {
        let done = self.paths.set_primary(id);
        if done {
            self.path_event(id, PathChange::Primary);
        }
        done
    }

    /// Probes a path now (§11.1.11).
    pub(crate) fn request_heartbeat(&mut self, id: PathId) {
        if let Some(path) = self.paths.get_mut(id) {
            path.request_probe();
        }
    }
}
