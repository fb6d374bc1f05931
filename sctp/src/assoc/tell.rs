//! What the user is told of an association, in a queue that the peer cannot make long (RFC 9260 §11.2).

use super::{Association, AssociationPhase};
use crate::event::{Event, PathChange};
use crate::path::PathId;

/// How many events may wait before those that a peer can cause over and over push out older ones of their kind.
const MAX_WAITING: usize = 64;

impl Association {
    /// Queues an event that can come again and again. If the user does not take its events, the newest of each kind
    /// remain. Nothing follows the end of an association.
    pub(super) fn tell(&mut self, event: Event) {
        if self.phase() == AssociationPhase::Closed {
            return;
        }
        if self.events.len() >= MAX_WAITING {
            let kind = std::mem::discriminant(&event);
            let same = |waiting: &Event| std::mem::discriminant(waiting) == kind;
            if let Some(oldest) = self.events.iter().position(same) {
                self.events.remove(oldest);
            }
        }
        self.events.push_back(event);
    }

    pub(super) fn path_event(&mut self, id: PathId, change: PathChange) {
        self.log_path(id, change);
        if let Some(path) = self.paths.get(id) {
            let address = path.address;
            self.tell(Event::PathChanged { address, change });
        }
    }

    /// Tells the user, if it waits for that, that the send buffer has room again.
    pub(super) fn tell_room(&mut self) {
        if self.sender_blocked && self.outbound.has_room() && self.phase() != AssociationPhase::Closed {
            self.sender_blocked = false;
            self.events.push_back(Event::Writable);
        }
    }
}
