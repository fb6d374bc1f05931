//! A message of which not all fragments are there, or whose turn has not come.

use std::collections::VecDeque;

use bytes::Bytes;

use super::rest::{Held, Place, Rest};
use crate::error::Violation;
use crate::recv::tsn_map::Position;
use crate::recv::window::charge;
use crate::serial::Ppid;
use crate::wire::Fragment;

/// Half of the Message Identifiers, and of the Fragment Sequence Numbers.
pub(super) const HALF: u32 = 1 << 31;

/// How the peer numbers the fragments after the first. RFC 8260 §2.1 counts the first as 0, so that the next is 1; the
/// Linux kernel begins with the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Counting {
    /// Nothing has shown it yet.
    #[default]
    Unknown,
    /// 1, 2, ...
    FromOne,
    /// 0, 1, ...
    FromZero,
}

/// The place that only a peer that counts from zero has.
pub(super) const SECOND_FROM_ZERO: Place = 1;
/// The place of the second fragment of a peer that counts from one.
pub(super) const SECOND_FROM_ONE: Place = 2;

/// What is known of the first fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    pub(super) position: Position,
    pub(super) ppid: Ppid,
}

/// The fragments of a message.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) beginning: Option<Beginning>,
    /// The fragments from the first on (or from where the last piece ended) without a gap, as far as the Cumulative TSN
    /// Ack covers them: these are never renounced.
    run: VecDeque<Bytes>,
    run_len: usize,
    run_charged: usize,
    /// The place after the run.
    next: Place,
    /// The other fragments.
    rest: Rest,
    rest_len: usize,
    rest_charged: usize,
    /// The place of the fragment with the E bit.
    last: Option<Place>,
    /// It is delivered in pieces.
    pub(super) partial: bool,
}

/// User data that is taken out.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) payload: Bytes,
    pub(super) fragments: usize,
    /// What the fragments cost in the window.
    pub(super) charged: usize,
}

impl Taken {
    /// A message in one fragment.
    pub(super) fn whole(payload: Bytes) -> Self {
        Self {
            fragments: 1,
            charged: charge(payload.len()),
            payload,
        }
    }
}

impl Open {
    /// The place of a fragment. An error if it lies before what was delivered.
    pub(super) fn place_of(&self, fragment: Fragment) -> Result<Place, Violation> {
        let fsn = match fragment {
            Fragment::First(_) => return Ok(0),
            Fragment::Later(fsn) => fsn.0,
        };
        let base = self.next.max(1);
        let [a, b, c, d, ..] = (base - 1).to_le_bytes();
        let steps = fsn.wrapping_sub(u32::from_le_bytes([a, b, c, d]));
        if steps >= HALF {
            return Err(Violation::InconsistentFragments);
        }
        Ok(base + u64::from(steps))
    }

    /// Adds a fragment that is new by its TSN. An error if it contradicts what is there.
    pub(super) fn insert(
        &mut self,
        place: Place,
        position: Position,
        payload: Bytes,
        ending: bool,
    ) -> Result<(), Violation> {
        let beyond = self.last.is_some_and(|last| place > last || ending);
        let cuts_off = ending && self.rest.last().is_some_and(|last| last > place);
        if place < self.next || beyond || cuts_off || self.rest.get(place).is_some() {
            return Err(Violation::InconsistentFragments);
        }
        if ending {
            self.last = Some(place);
        }
        self.rest_len += payload.len();
        self.rest_charged += charge(payload.len());
        self.rest.insert(place, Held { position, payload });
        Ok(())
    }

    /// Moves to the run what follows it and is covered by the Cumulative TSN Ack.
    pub(super) fn extend(&mut self, cumulative: Position, counting: Counting) {
        if self.next == SECOND_FROM_ZERO && counting == Counting::FromOne {
            self.next = SECOND_FROM_ONE;
        }
        while let Some(held) = self.rest.get(self.next)
            && held.position <= cumulative
            && let Some(Held { payload, .. }) = self.rest.remove(self.next)
        {
            let (len, charge) = (payload.len(), charge(payload.len()));
            self.rest_len -= len;
            self.rest_charged -= charge;
            self.run_len += len;
            self.run_charged += charge;
            if self.run.is_empty() {
                // Many messages never have more than one.
                self.run.reserve_exact(1);
            }
            self.run.push_back(payload);
            let skips = self.next == 0 && counting == Counting::FromOne;
            self.next += if skips { SECOND_FROM_ONE } else { 1 };
        }
    }

    /// Whether all fragments are there.
    pub(super) fn is_complete(&self, counting: Counting) -> bool {
        let Some(last) = self.last else { return false };
        let missing_place = self.next <= SECOND_FROM_ZERO && last >= SECOND_FROM_ZERO;
        let places = (last + 1).saturating_sub(self.next);
        let wanted = match counting {
            _ if !missing_place => places,
            Counting::FromZero => places,
            Counting::FromOne => places - 1,
            Counting::Unknown => return false,
        };
        u64::try_from(self.rest.len()).is_ok_and(|held| held == wanted)
    }

    /// Whether the run has begun: the first fragment is there, or was delivered.
    pub(super) const fn is_begun(&self) -> bool {
        self.next > 0
    }

    /// Where the fragment is that would be the second one of a peer that counts from one.
    pub(super) fn second_from_one(&self) -> Option<Position> {
        self.rest.get(SECOND_FROM_ONE).map(|held| held.position)
    }

    /// What the run costs in the window.
    pub(super) const fn run_charged(&self) -> usize {
        self.run_charged
    }

    pub(super) fn has_run(&self) -> bool {
        !self.run.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.run.is_empty() && self.rest.is_empty()
    }

    /// Bytes of all fragments.
    pub(super) const fn len(&self) -> usize {
        self.run_len + self.rest_len
    }

    /// What all fragments cost in the window.
    pub(super) const fn charged(&self) -> usize {
        self.run_charged + self.rest_charged
    }

    /// Where the fragments are that are not in the run.
    pub(super) fn rest_positions(&self) -> impl Iterator<Item = Position> {
        self.rest.values().map(|held| held.position)
    }

    /// Takes the run out.
    pub(super) fn take_run(&mut self) -> Taken {
        let taken = Taken {
            fragments: self.run.len(),
            charged: self.run_charged,
            payload: join(&mut self.run, self.run_len),
        };
        self.run_len = 0;
        self.run_charged = 0;
        taken
    }

    /// Takes everything out of a message that is complete.
    pub(super) fn take_all(mut self) -> Taken {
        let rest = std::mem::take(&mut self.rest).into_values();
        self.run.extend(rest.map(|held| held.payload));
        let (len, charged) = (self.len(), self.charged());
        Taken {
            fragments: self.run.len(),
            charged,
            payload: join(&mut self.run, len),
        }
    }

    /// Drops a fragment that is not in the run; its length.
    pub(super) fn renounce(&mut self, place: Place) -> usize {
        let Some(held) = self.rest.remove(place) else { return 0 };
        self.last.take_if(|last| *last == place);
        if place == 0 {
            self.beginning = None;
        }
        let len = held.payload.len();
        self.rest_len -= len;
        self.rest_charged -= charge(len);
        len
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn piece_lens(&self) -> impl Iterator<Item = usize> {
        let lens = || {
            let rest = self.rest.values().map(|held| held.payload.len());
            self.run.iter().map(Bytes::len).chain(rest)
        };
        assert_eq!(self.len(), lens().sum::<usize>());
        assert_eq!(self.charged(), lens().map(charge).sum::<usize>());
        lens()
    }
}

/// All pieces as one, without a copy if it is one.
fn join(pieces: &mut VecDeque<Bytes>, len: usize) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop_front().unwrap_or_default();
    }
    let mut payload = Vec::with_capacity(len);
    for piece in pieces.drain(..) {
        payload.extend_from_slice(&piece);
    }
    Bytes::from(payload)
}
