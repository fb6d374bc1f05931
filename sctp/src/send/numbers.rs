//! The numbers that messages get in their streams: Stream Sequence Numbers (RFC 9260 §6.5) or Message Identifiers
//! (RFC 8260 §2.1).

use std::collections::BTreeMap;

use crate::serial::{Mid, Ssn, StreamId};
use crate::streams::StreamSet;

/// The next numbers of the streams that were used.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// By stream, without interleaving.
    next_ssn: Vec<Ssn>,
    /// With interleaving: of ordered messages, and of unordered ones.
    next_mid: BTreeMap<StreamId, (Mid, Mid)>,
    interleaving: bool,
    /// How many unordered messages got a number, or none.
    unordered: u64,
}

impl Numbers {
    /// Begins to number for DATA or for I-DATA; nothing has been numbered yet.
    pub(super) const fn set_interleaving(&mut self, interleaving: bool) {
        self.interleaving = interleaving;
    }

    pub(super) const fn is_interleaving(&self) -> bool {
        self.interleaving
    }

    /// The number of the next message of `stream`. An SSN is as good as its low 16 bits; without interleaving an
    /// unordered message has none of its own (RFC 9260 §6.6) and gets zero.
    #[inline(always)]
    pub(super) fn take(&mut self, stream: StreamId, unordered: bool) -> Mid {
        if self.interleaving {
            return self.take_mid(stream, unordered);
        }
        if unordered {
            self.unordered += 1;
            return Mid(0);
        }
        let index = usize::from(stream.0);
        if self.next_ssn.len() <= index {
            self.next_ssn.resize(index + 1, Ssn(0));
        }
        #[expect(clippy::indexing_slicing, reason = "resized above")]
        let next = &mut self.next_ssn[index];
        let ssn = *next;
        *next = ssn.next();
        Mid(u32::from(ssn.0))
    }

    /// How many unordered messages have been begun.
    pub(super) const fn unordered(&self) -> u64 {
        self.unordered
    }

    fn take_mid(&mut self, stream: StreamId, unordered: bool) -> Mid {
        self.unordered += u64::from(unordered);
        let (ordered_next, unordered_next) = self.next_mid.entry(stream).or_default();
        let next = if unordered { unordered_next } else { ordered_next };
        let mid = *next;
        *next = mid.next();
        mid
    }

    /// Starts streams at zero again (RFC 6525 §5.2.7 H4, RFC 8260 §2.3.2).
    pub(super) fn reset(&mut self, streams: &StreamSet) {
        match streams {
            StreamSet::All => self.reset_all(),
            StreamSet::Listed(ids) => ids.iter().for_each(|&id| self.reset_one(id)),
        }
    }

    fn reset_one(&mut self, stream: StreamId) {
        if let Some(next) = self.next_ssn.get_mut(usize::from(stream.0)) {
            *next = Ssn(0);
        }
        self.next_mid.remove(&stream);
    }

    /// Whether these streams are at zero.
    pub(super) fn are_fresh(&self, streams: &StreamSet) -> bool {
        match streams {
            StreamSet::All => self.next_ssn.iter().all(|next| next.0 == 0) && self.next_mid.is_empty(),
            StreamSet::Listed(ids) => ids.iter().all(|id| {
                let next = self.next_ssn.get(usize::from(id.0));
                next.is_none_or(|next| next.0 == 0) && !self.next_mid.contains_key(id)
            }),
        }
    }

    /// Starts all streams at zero again: a restarted peer expects it (RFC 9260 §5.2.4 A), or a reset of all streams.
    pub(super) fn reset_all(&mut self) {
        self.next_ssn.clear();
        self.next_mid.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8260_2_1_ordered_and_unordered_messages_are_counted_apart() {
        let mut numbers = Numbers::default();
        numbers.set_interleaving(true);
        let took: Vec<u32> = [(1, false), (1, true), (1, true), (1, false), (2, true)]
            .into_iter()
            .map(|(stream, unordered)| numbers.take(StreamId(stream), unordered).0)
            .collect();
        assert_eq!(took, [0, 0, 1, 1, 0]);
    }

    #[test]
    fn rfc8260_2_3_2_a_reset_starts_both_counters_at_zero() {
        for interleaving in [false, true] {
            let mut numbers = Numbers::default();
            numbers.set_interleaving(interleaving);
            for unordered in [false, true] {
                numbers.take(StreamId(3), unordered);
                numbers.take(StreamId(4), unordered);
            }
            numbers.reset(&StreamSet::from_list([StreamId(3)]));
            assert_eq!(numbers.take(StreamId(3), false), Mid(0));
            assert_eq!(numbers.take(StreamId(3), true), Mid(0));
            assert_eq!(numbers.take(StreamId(4), false), Mid(1));
            numbers.reset_all();
            assert_eq!(numbers.take(StreamId(4), false), Mid(0));
        }
    }
}
