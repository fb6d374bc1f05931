//! The Stream Sequence Numbers that are expected next (RFC 9260 §6.5).

use std::collections::BTreeMap;

use crate::serial::{Ssn, StreamId};

/// How many of the first streams are found by their index: as many as most associations use.
const FIRST_STREAMS: u16 = 32;

/// The next number of each stream that was used; of any other it is zero, and costs nothing.
#[derive(Debug, Default)]
pub(super) struct NextSsns {
    /// Of the first streams, up to the highest of them that was used.
    first: Vec<Ssn>,
    /// Few associations have any, so they take little room until then.
    #[expect(clippy::box_collection, reason = "a map takes as much as three pointers")]
    others: Option<Box<BTreeMap<StreamId, Ssn>>>,
}

impl NextSsns {
    pub(super) fn get(&self, stream: StreamId) -> Ssn {
        let next = match self.first.get(usize::from(stream.0)) {
            Some(next) => Some(next),
            None => self.others.as_ref().and_then(|others| others.get(&stream)),
        };
        next.copied().unwrap_or_default()
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, stream: StreamId) -> &mut Ssn {
        let index = usize::from(stream.0);
        if index >= self.first.len() {
            return self.add(stream);
        }
        #[expect(clippy::indexing_slicing, reason = "compared above")]
        &mut self.first[index]
    }

    #[inline(never)]
    fn add(&mut self, stream: StreamId) -> &mut Ssn {
        if stream.0 >= FIRST_STREAMS {
            return self.others.get_or_insert_default().entry(stream).or_default();
        }
        let index = usize::from(stream.0);
        self.first.resize(index + 1, Ssn(0));
        #[expect(clippy::indexing_slicing, reason = "resized above")]
        &mut self.first[index]
    }

    /// Starts a stream at zero.
    pub(super) fn reset(&mut self, stream: StreamId) {
        if let Some(next) = self.first.get_mut(usize::from(stream.0)) {
            *next = Ssn(0);
        } else if let Some(others) = &mut self.others {
            others.remove(&stream);
        }
    }

    /// Starts all streams at zero.
    pub(super) fn reset_all(&mut self) {
        *self = Self::default();
    }

    /// How many numbers are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.first.len() + self.others.as_ref().map_or(0, |others| others.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9260_6_5_every_stream_counts_for_itself() {
        let mut numbers = NextSsns::default();
        let streams = [3, 0, FIRST_STREAMS, u16::MAX, FIRST_STREAMS - 1].map(StreamId);
        for (number, stream) in (7..).zip(streams) {
            assert_eq!(numbers.get(stream), Ssn(0));
            *numbers.get_mut(stream) = Ssn(number);
        }
        let all = |numbers: &NextSsns| streams.map(|stream| numbers.get(stream).0);
        assert_eq!(all(&numbers), [7, 8, 9, 10, 11]);
        numbers.reset(StreamId(0));
        numbers.reset(StreamId(u16::MAX));
        assert_eq!(all(&numbers), [7, 0, 9, 0, 11]);
        numbers.reset_all();
        assert_eq!((all(&numbers), numbers.len()), ([0; 5], 0));
    }

    #[test]
    fn a_stream_far_off_costs_one_number() {
        let mut numbers = NextSsns::default();
        numbers.get_mut(StreamId(u16::MAX));
        numbers.get_mut(StreamId(FIRST_STREAMS));
        assert_eq!(numbers.len(), 2);
    }
}
