//! The fragments of a message that wait for others.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::recv::tsn_map::Position;

/// The place of a fragment in its message: 0 for the first, and 1 plus the Fragment Sequence Number for the others,
/// without the wrap. So there is no place 1 if the peer counts from one.
pub(super) type Place = u64;

/// A fragment.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) position: Position,
    pub(super) payload: Bytes,
}

/// Fragments by their places. A single one, which is all that many messages ever have, takes no memory of its own: a
/// map would take that of eleven.
#[derive(Debug, Default)]
pub(super) enum Rest {
    #[default]
    Empty,
    One(Place, Held),
    Many(BTreeMap<Place, Held>),
}

impl Rest {
    /// Adds a fragment whose place is free.
    pub(super) fn insert(&mut self, place: Place, held: Held) {
        *self = match std::mem::take(self) {
            Self::Empty => Self::One(place, held),
            Self::One(other_place, other) => Self::Many(BTreeMap::from([(other_place, other), (place, held)])),
            Self::Many(mut map) => {
                map.insert(place, held);
                Self::Many(map)
            }
        };
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Held> {
        match self {
            Self::Many(map) => map.remove(&place),
            Self::One(at, _) if *at == place => match std::mem::take(self) {
                Self::One(_, held) => Some(held),
                Self::Empty | Self::Many(_) => None,
            },
            Self::Empty | Self::One(..) => None,
        }
    }

    pub(super) fn get(&self, place: Place) -> Option<&Held> {
        match self {
            Self::Many(map) => map.get(&place),
            Self::One(at, held) if *at == place => Some(held),
            Self::Empty | Self::One(..) => None,
        }
    }

    /// The highest place that is taken.
    pub(super) fn last(&self) -> Option<Place> {
        match self {
            Self::Empty => None,
            Self::One(place, _) => Some(*place),
            Self::Many(map) => map.last_key_value().map(|(place, _)| *place),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(..) => 1,
            Self::Many(map) => map.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// From the first place to the last.
    pub(super) fn values(&self) -> impl Iterator<Item = &Held> {
        let (one, many) = match self {
            Self::Empty => (None, None),
            Self::One(_, held) => (Some(held), None),
            Self::Many(map) => (None, Some(map)),
        };
        one.into_iter().chain(many.into_iter().flat_map(BTreeMap::values))
    }

    /// From the first place to the last.
    pub(super) fn into_values(self) -> impl Iterator<Item = Held> {
        let (one, many) = match self {
            Self::Empty => (None, None),
            Self::One(_, held) => (Some(held), None),
            Self::Many(map) => (None, Some(map)),
        };
        one.into_iter().chain(many.into_iter().flat_map(BTreeMap::into_values))
    }
}
