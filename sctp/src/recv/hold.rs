//! What a re-configuration does to the receiver (RFC 6525 §5.2.2, §5.2.4, §5.2.7): numbers that begin anew, and data
//! that waits until that has happened.

use std::collections::BTreeMap;

use super::tsn_map::{Position, tsn_of};
use super::{DataFragment, IDataFragment, Inbound};
use crate::error::Violation;
use crate::serial::{StreamId, Tsn};
use crate::streams::StreamSet;

/// DATA or I-DATA.
#[derive(Debug)]
pub(super) enum Fragment {
    Data(DataFragment),
    IData(Box<IDataFragment>),
}

impl Fragment {
    const fn stream(&self) -> StreamId {
        match self {
            Self::Data(data) => data.stream,
            Self::IData(data) => data.stream,
        }
    }

    const fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.payload.len(),
            Self::IData(data) => data.payload.len(),
        }
    }
}

/// Data that arrived and waits for the numbers of its streams to begin anew, or not.
#[derive(Debug)]
pub(super) struct Hold {
    streams: StreamSet,
    /// The last position that has the old numbers for sure.
    after: Position,
    fragments: BTreeMap<Position, Fragment>,
    /// How far the peer gave up since.
    forwarded: Position,
    /// How far the FORWARD-TSNs go that were [put off](Inbound::puts_off_forward).
    put_off: Position,
    /// How often the peer said nothing that helps while something was waiting for it.
    riddles: u8,
}

/// How often a peer says that it has not begun anew, without a new number, before that is taken to be true of
/// everything that has arrived.
const MAX_RIDDLES: u8 = 3;

impl Hold {
    pub(super) fn takes(&self, position: Position, stream: StreamId) -> bool {
        position > self.after && self.streams.contains(stream)
    }

    pub(super) fn note_forward(&mut self, through: Position) {
        self.forwarded = self.forwarded.max(through);
    }
}

impl Inbound {
    /// The one place where the numbers of incoming streams begin anew (RFC 6525 §5.2.2 E3). What waits for something
    /// earlier that will not come goes to the user.
    pub(crate) fn reset_streams(&mut self, streams: &StreamSet) {
        for message in self.ordering.reset(streams) {
            self.inbox.push(message.received);
        }
        self.reset_interleaved(streams);
    }

    /// Resets streams once everything up to `last` has arrived (RFC 6525 §5.2.2 E2). True if it has; otherwise
    /// [`hold_is_over`](Self::hold_is_over) becomes true later.
    pub(crate) fn reset_after(&mut self, last: Tsn, streams: &StreamSet) -> bool {
        let cumulative = self.map.cumulative_tsn();
        if !last.is_after(cumulative) {
            self.reset_streams(streams);
            return true;
        }
        let after = self.map.cumulative() + u64::from(last.steps_from(cumulative));
        self.begin_hold(streams.clone(), after);
        false
    }

    /// Holds everything from now on, because it may have old numbers or new ones.
    pub(crate) fn hold_all(&mut self) {
        self.begin_hold(StreamSet::All, self.map.highest());
    }

    fn begin_hold(&mut self, streams: StreamSet, after: Position) {
        self.hold = Some(Box::new(Hold {
            streams,
            after,
            fragments: BTreeMap::new(),
            forwarded: 0,
            put_off: 0,
            riddles: 0,
        }));
    }

    /// Whether data is held, or would be.
    pub(crate) const fn is_holding(&self) -> bool {
        self.hold.is_some()
    }

    /// Whether data is held.
    pub(crate) fn has_held(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| !hold.fragments.is_empty())
    }

    /// Whether everything with old numbers has arrived, so that [`end_hold`](Self::end_hold) is due.
    #[inline]
    pub(crate) fn hold_is_over(&self) -> bool {
        self.hold
            .as_ref()
            .is_some_and(|hold| self.map.cumulative() >= hold.after)
    }

    /// Resets the streams of the hold if `reset`, and takes in what was held (RFC 6525 §5.2.2 E3, E4).
    pub(crate) fn end_hold(&mut self, reset: bool) -> Result<(), Violation> {
        let Some(hold) = &self.hold else { return Ok(()) };
        if reset {
            let streams = hold.streams.clone();
            self.reset_streams(&streams);
        }
        self.release_through(Position::MAX)?;
        self.close_hold();
        Ok(())
    }

    /// Takes in what was held as far as it makes sense, since nobody is left to complain to.
    pub(crate) fn abandon_hold(&mut self) {
        let _ = self.end_hold(false);
        self.hold = None;
    }

    fn close_hold(&mut self) {
        if let Some(hold) = self.hold.take() {
            self.ask_for_forward(hold.put_off > 0);
            if hold.forwarded > 0 && self.interleaved.is_none() {
                // What was held is incomplete now if the peer gave up a part of it.
                self.drop_through(hold.forwarded);
            }
        }
        self.start_partial_if_needed();
    }

    /// Whether a FORWARD-TSN up to `tsn` may speak of old numbers of streams or of new ones, as long as everything is
    /// held. Then it is as good as lost, and not answered: the peer repeats it, after a time-out or when it is [asked
    /// for](Self::ask_for_forward) (RFC 3758 §3.5 C3, C5).
    pub(super) fn puts_off_forward(&mut self, tsn: Tsn) -> bool {
        let cumulative = self.map.cumulative_tsn();
        let Some(hold) = self.hold.as_mut().filter(|hold| hold.streams == StreamSet::All) else {
            return false;
        };
        if !tsn.is_after(cumulative) {
            return false;
        }
        let through = self.map.cumulative() + u64::from(tsn.steps_from(cumulative));
        if through <= hold.after {
            return false;
        }
        hold.put_off = hold.put_off.max(through);
        true
    }

    /// The peer has not begun anew yet (RFC 6525 §4.4 "In progress"), and goes on with `next` if it says so (§5.1.7
    /// D3): what comes before has the old numbers, and is held no more. Otherwise the data that the peer waits to have
    /// acknowledged might find no room here. Where it says nothing new time and again, what has come since long must be
    /// old.
    pub(crate) fn release_before(&mut self, next: Option<Tsn>) -> Result<(), Violation> {
        let Some(hold) = &mut self.hold else { return Ok(()) };
        let after = tsn_of(hold.after);
        if let Some(last) = next.map(|next| next.minus(1)).filter(|last| last.is_after(after)) {
            hold.after += u64::from(last.steps_from(after));
        } else if hold.put_off > hold.after || (self.window.is_exhausted() && !hold.fragments.is_empty()) {
            hold.riddles += 1;
            if hold.riddles < MAX_RIDDLES {
                return Ok(());
            }
            hold.after = hold.put_off.max(self.map.highest());
        } else {
            return Ok(());
        }
        hold.riddles = 0;
        let through = hold.after;
        let asks = std::mem::take(&mut hold.put_off) > 0;
        self.release_through(through)?;
        self.ask_for_forward(asks);
        self.start_partial_if_needed();
        if self.window.update_is_due() {
            self.sack.want();
        }
        Ok(())
    }

    /// A FORWARD-TSN that was put off makes sense now: a SACK lets the peer repeat it.
    const fn ask_for_forward(&mut self, put_off: bool) {
        if put_off {
            self.sack.want();
        }
    }

    /// The receiver of an SSN/TSN Reset Request: takes what has arrived as all that comes with old numbers, and chooses
    /// the TSN that the peer goes on with (RFC 6525 §5.2.4 G1, G4, G5). Also says whether the user has a part of a
    /// message that will not be completed.
    pub(crate) fn begin_anew(&mut self) -> (Tsn, bool) {
        let through = self.map.begin_anew();
        let cut = self.drop_through(through);
        self.reset_streams(&StreamSet::All);
        self.sack.hush();
        (self.map.cumulative_tsn().next(), cut)
    }

    /// The sender of an SSN/TSN Reset Request, who [holds](Self::hold_all) everything since: the peer goes on with
    /// `next` (RFC 6525 §5.2.7 H5). True if the user has a part of a message that will not be completed.
    pub(crate) fn go_on_with(&mut self, next: Tsn) -> Result<bool, Violation> {
        let after = self.hold.as_ref().map_or_else(|| self.map.highest(), |hold| hold.after);
        let steps = next.minus(1).steps_from(tsn_of(after));
        let through = after + u64::from(steps);
        self.release_through(through)?;
        self.map.forward_to(through);
        let cut = self.drop_through(through);
        self.reset_streams(&StreamSet::All);
        self.release_through(Position::MAX)?;
        self.close_hold();
        Ok(cut)
    }

    /// Takes in what is held up to `through`.
    fn release_through(&mut self, through: Position) -> Result<(), Violation> {
        while let Some((position, fragment)) = self.hold.as_mut().and_then(|hold| {
            let entry = hold.fragments.first_entry()?;
            (*entry.key() <= through).then(|| entry.remove_entry())
        }) {
            self.take_in_beside_held(position, fragment)?;
        }
        Ok(())
    }

    /// Keeps a fragment back if it is for one of the held streams.
    #[cold]
    pub(super) fn hold_or_take_in(&mut self, position: Position, fragment: Fragment) -> Result<(), Violation> {
        match &mut self.hold {
            Some(hold) if hold.takes(position, fragment.stream()) => {
                hold.fragments.insert(position, fragment);
                Ok(())
            }
            _ => self.take_in_beside_held(position, fragment),
        }
    }

    /// Takes a fragment in. What is held has arrived, but was not taken in.
    fn take_in_beside_held(&mut self, position: Position, fragment: Fragment) -> Result<(), Violation> {
        let fragment = match fragment {
            Fragment::Data(fragment) => fragment,
            Fragment::IData(fragment) => return self.take_in_interleaved(position, *fragment),
        };
        let taken = |position: Position| {
            let held = |hold: &Hold| hold.fragments.contains_key(&position);
            self.map.contains(position) && !self.hold.as_deref().is_some_and(held)
        };
        let (before, after) = (taken(position - 1), taken(position + 1));
        self.take_in(position, fragment, before, after)
    }

    /// Drops what is held after `position`, highest first, until there is room (RFC 9260 §6.2).
    pub(super) fn renounce_held_after(&mut self, position: Position) {
        while !self.window.has_room()
            && let Some(hold) = &mut self.hold
            && let Some(last) = hold.fragments.last_entry().filter(|entry| *entry.key() > position)
        {
            let (at, fragment) = last.remove_entry();
            self.window.release(fragment.len());
            self.map.forget(at);
        }
    }

    /// The peer may send on so many streams now.
    pub(crate) const fn set_streams(&mut self, streams: u16) {
        self.config.streams = streams;
    }

    /// A SACK should go along with an answer (RFC 6525 §5.2.1).
    pub(crate) const fn want_sack(&mut self) {
        self.sack.want();
    }
}
