//! What marks do to the sender (RFC 3168 §6.1.2).

use super::Outbound;
use super::chunk::Index;
use crate::path::{PathId, PathSet};
use crate::serial::Tsn;

/// What came of an ECNE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EcneResult {
    /// The TSN was never sent.
    Impossible,
    /// It is answered by a CWR, and nothing else.
    Known,
    /// The window of a path was shrunk.
    Reduced,
}

impl Outbound {
    /// The peer tells that the packet with this TSN arrived marked. If it is acknowledged by now, it is not known any
    /// more where it was sent to: then it counts for `from`, where the peer sends its acknowledgements from.
    pub(crate) fn on_ecne(&mut self, tsn: Tsn, from: PathId, paths: &mut PathSet) -> EcneResult {
        let Some(index) = self.index_of_sent(tsn) else {
            return EcneResult::Impossible;
        };
        let id = self.outstanding.chunk(index).map_or(from, |chunk| chunk.path);
        let Some(path) = paths.get_mut(id) else {
            return EcneResult::Known;
        };
        if !self.sacks.reactions.on_mark(id.index(), index, self.outstanding.end()) {
            return EcneResult::Known;
        }
        path.cc.on_mark();
        EcneResult::Reduced
    }

    /// The number of the chunk that last had this TSN, if one had.
    fn index_of_sent(&self, tsn: Tsn) -> Option<Index> {
        let last = self.outstanding.end().checked_sub(1)?;
        let last_tsn = self.outstanding.tsn(last);
        if tsn.is_after(last_tsn) {
            return None;
        }
        last.checked_sub(last_tsn.steps_from(tsn).into())
    }
}
