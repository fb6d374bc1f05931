//! Sets of streams of one direction, as re-configuration names them (RFC 6525 §4.1).

use crate::serial::StreamId;

/// Some streams, or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamSet {
    /// All there are.
    All,
    /// These: sorted, each once, at least one.
    Listed(Box<[StreamId]>),
}

impl StreamSet {
    /// The streams of a list, of which an empty one means all (RFC 6525 §4.1).
    pub(crate) fn from_list(list: impl IntoIterator<Item = StreamId>) -> Self {
        let mut ids: Vec<StreamId> = list.into_iter().collect();
        if ids.is_empty() {
            return Self::All;
        }
        ids.sort_unstable();
        ids.dedup();
        Self::Listed(ids.into())
    }

    /// The list that means this set: empty for all.
    pub(crate) fn list(&self) -> &[StreamId] {
        match self {
            Self::All => &[],
            Self::Listed(ids) => ids,
        }
    }

    pub(crate) fn contains(&self, id: StreamId) -> bool {
        match self {
            Self::All => true,
            Self::Listed(ids) => ids.binary_search(&id).is_ok(),
        }
    }

    /// Whether every stream of `other` is in this set, however many streams there are.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Listed(_), Self::All) => false,
            (Self::Listed(_), Self::Listed(ids)) => ids.iter().all(|&id| self.contains(id)),
        }
    }

    /// Whether all streams that are listed exist, where there are `count`.
    pub(crate) fn is_below(&self, count: u16) -> bool {
        self.list().last().is_none_or(|last| last.0 < count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u16]) -> StreamSet {
        StreamSet::from_list(ids.iter().map(|&id| StreamId(id)))
    }

    #[test]
    fn rfc6525_4_1_no_stream_listed_means_all() {
        assert_eq!(set(&[]), StreamSet::All);
        assert!(set(&[]).list().is_empty() && set(&[]).contains(StreamId(7)));
    }

    #[test]
    fn order_and_repetition_mean_nothing() {
        assert_eq!(set(&[3, 1, 3]), set(&[1, 3]));
        assert!(set(&[1, 3]).contains(StreamId(3)) && !set(&[1, 3]).contains(StreamId(2)));
    }

    #[test]
    fn a_set_includes_what_is_in_it() {
        assert!(set(&[]).includes(&set(&[5])) && set(&[1, 2, 5]).includes(&set(&[5, 1])));
        assert!(!set(&[1, 2]).includes(&set(&[1, 3])) && !set(&[1]).includes(&set(&[])));
        assert!(set(&[1, 9]).is_below(10) && !set(&[1, 9]).is_below(9) && set(&[]).is_below(1));
    }
}
