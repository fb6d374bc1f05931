//! A look inside the sender, for models of it.

use super::Outbound;
pub(crate) use super::chunk::ChunkState;
use crate::path::PathId;
use crate::serial::Tsn;

/// Where one chunk is that was sent and is not cumulatively acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) tsn: Tsn,
    pub(crate) state: ChunkState,
    pub(crate) path: PathId,
    /// Bytes of user data.
    pub(crate) payload: usize,
    /// Bytes in a packet.
    pub(crate) wire_len: usize,
}

impl Outbound {
    /// The places of all chunks, in the order of their TSNs.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        let outstanding = &self.outstanding;
        (outstanding.first()..outstanding.end()).filter_map(|index| {
            outstanding.chunk(index).map(|chunk| Place {
                tsn: outstanding.tsn(index),
                state: chunk.state,
                path: chunk.path,
                payload: chunk.payload_len(),
                wire_len: chunk.wire_len(self.form),
            })
        })
    }

    /// Bytes of user data in flight.
    pub(crate) const fn payload_in_flight(&self) -> usize {
        self.outstanding.payload_in_flight()
    }

    /// Sums and indexes fit the chunks they are about.
    pub(crate) fn check_invariants(&self) {
        self.outstanding.check_invariants();
    }
}
