//! Round robin per packet (RFC 8260 §3.3): the turn changes with the packet, so that each carries one stream.

use super::rr::RoundRobin;
use crate::serial::StreamId;

/// Busy streams, and whose packet is being filled.
#[derive(Debug, Default)]
pub(in crate::send) struct RoundRobinPerPacket {
    turns: RoundRobin,
    /// Whose packet it is, once it has a chunk.
    filling: Option<StreamId>,
}

impl RoundRobinPerPacket {
    pub(super) fn wake(&mut self, stream: StreamId) {
        self.turns.wake(stream);
    }

    pub(super) fn sleep(&mut self, stream: StreamId) {
        self.turns.sleep(stream);
    }

    /// Nothing if the stream of the packet has no more to send: what others have goes into another packet.
    pub(super) fn next(&self) -> Option<StreamId> {
        match self.filling {
            Some(stream) => self.turns.contains(stream).then_some(stream),
            None => self.turns.next(),
        }
    }

    pub(super) const fn served(&mut self, stream: StreamId) {
        self.filling = Some(stream);
        self.turns.served(stream);
    }

    pub(super) const fn end_packet(&mut self) {
        self.filling = None;
    }
}
