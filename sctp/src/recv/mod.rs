//! The receiving half of one association: from DATA chunks to messages for the user, and back to what a SACK says
//! (RFC 9260 §3.3.1, §3.3.4, §6.2, §6.5, §6.6, §6.7, §6.9, RFC 3758 §3.6).
//!
//! A fragment goes through `tsn_map` (is it new?), `window` (is there room?), `reassembly` (is its message complete?)
//! and `ordering` (is it its turn?) to the `inbox`, from where the user takes it. `sack_out` watches and decides when
//! to acknowledge. With interleaving `interleaved` takes the place of `reassembly` and `ordering`. None of them knows
//! another's state; they are joined here, in `forward` (what the peer gave up), `hold` (numbers that begin anew) and
//! `i_data` (interleaving).

mod forward;
mod hold;
mod i_data;
mod inbox;
mod interleaved;
mod next_ssns;
mod ordering;
mod payload;
mod reassembly;
mod sack_out;
mod tsn_map;
mod window;

#[cfg(any(test, fuzzing))]
pub(crate) mod exercise;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

pub(crate) use self::forward::ForwardOutcome;
pub(crate) use self::interleaved::IDataFragment;
pub(crate) use self::payload::Payloads;

use self::hold::Hold;
use self::inbox::Inbox;
use self::interleaved::Interleaved;
use self::ordering::Ordering;
use self::reassembly::{Message, Progress, Reassembly, whole};
use self::sack_out::SackOut;
use self::tsn_map::{Lookup, Position, TsnMap};
use self::window::Window;
use crate::config::{AssociationConfig, FragmentInterleave};
use crate::error::Violation;
use crate::message::Received;
use crate::serial::{Ppid, Ssn, StreamId, Tsn};
use crate::time::Instant;

/// What the receiving half is told at its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InboundConfig {
    /// Bytes of user data that may be held: the initial a_rwnd.
    pub(crate) receive_buffer: u32,
    /// How many streams the peer may send on.
    pub(crate) streams: u16,
    /// The peer may give messages up by FORWARD-TSN, or I-FORWARD-TSN.
    pub(crate) forward_tsn: bool,
    /// The peer sends I-DATA.
    pub(crate) interleaving: bool,
    /// What may come between the pieces of a message.
    pub(crate) fragment_interleave: FragmentInterleave,
    /// SACK.Delay.
    pub(crate) sack_delay: Duration,
    /// After how many packets with data a SACK is sent at once.
    pub(crate) sack_frequency: u8,
    /// From how many bytes on a message is delivered in pieces.
    pub(crate) partial_delivery_point: Option<u32>,
}

impl InboundConfig {
    /// What an incomplete message may cost in the window before it is delivered in pieces.
    fn large(&self, window: &Window) -> usize {
        let half = window.buffer() / 2;
        let point = self
            .partial_delivery_point
            .and_then(|bytes| usize::try_from(bytes).ok());
        point.map_or(half, |point| point.clamp(1, half))
    }
}

/// A DATA chunk (RFC 9260 §3.3.1).
#[derive(Clone, Debug)]
pub(crate) struct DataFragment {
    pub(crate) tsn: Tsn,
    pub(crate) stream: StreamId,
    pub(crate) ssn: Ssn,
    pub(crate) ppid: Ppid,
    /// The U bit.
    pub(crate) unordered: bool,
    /// The B bit.
    pub(crate) beginning: bool,
    /// The E bit.
    pub(crate) ending: bool,
    /// The I bit.
    pub(crate) immediate: bool,
    pub(crate) payload: Bytes,
}

impl DataFragment {
    /// The message that it is on its own.
    pub(super) fn into_received(self) -> Received {
        Received {
            stream: self.stream,
            ssn: self.ssn,
            mid: None,
            ppid: self.ppid,
            unordered: self.unordered,
            tsn: self.tsn,
            end_of_message: true,
            payload: self.payload,
        }
    }
}

/// What became of a DATA chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataOutcome {
    /// It is held, or a message for the user already.
    Accepted,
    /// It came before.
    Duplicate,
    /// There is no room for it; it will come again (RFC 9260 §6.2).
    NoRoom,
    /// Its stream does not exist. It is acknowledged and dropped; the caller reports it (RFC 9260 §6.5).
    InvalidStream,
}

/// The numbers of a SACK (RFC 9260 §3.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SackNumbers {
    pub(crate) cumulative_tsn_ack: Tsn,
    pub(crate) a_rwnd: u32,
}

/// The receiving half of an association.
#[derive(Debug)]
pub(crate) struct Inbound {
    config: InboundConfig,
    map: TsnMap,
    window: Window,
    reassembly: Reassembly,
    ordering: Ordering,
    /// With interleaving, what takes the place of the two.
    interleaved: Option<Box<Interleaved>>,
    inbox: Inbox,
    sack: SackOut,
    /// What waits for numbers to begin anew.
    hold: Option<Box<Hold>>,
    /// The first pieces, without the bytes, of messages whose ends will not come, of which the user is to be told.
    cut: Vec<Received>,
    /// How many messages came in more than one chunk.
    reassembled: u64,
    /// How many unordered chunks were taken in.
    unordered: u64,
}

impl Inbound {
    /// Nothing has arrived; the first TSN will be `peer_initial_tsn`.
    pub(crate) fn new(peer_initial_tsn: Tsn, config: InboundConfig) -> Self {
        let window = Window::new(config.receive_buffer);
        Self {
            config,
            map: TsnMap::new(peer_initial_tsn),
            reassembly: Reassembly::new(config.forward_tsn),
            ordering: Ordering::default(),
            interleaved: config
                .interleaving
                .then(|| Box::new(Interleaved::new(config.forward_tsn, config.large(&window)))),
            inbox: Inbox::new(config.fragment_interleave),
            sack: SackOut::new(config.sack_delay, config.sack_frequency),
            hold: None,
            window,
            cut: Vec::new(),
            reassembled: 0,
            unordered: 0,
        }
    }

    /// The peer restarted (RFC 9260 §5.2.4 A): everything begins anew, except that the user keeps what it has not
    /// taken. The ends of messages that were being delivered in pieces will not come: their first pieces, without the
    /// bytes.
    pub(crate) fn restart(&mut self, peer_initial_tsn: Tsn, config: InboundConfig) -> Vec<Received> {
        let old = std::mem::replace(self, Self::new(peer_initial_tsn, config));
        self.inbox = old.inbox;
        (self.reassembled, self.unordered) = (old.reassembled, old.unordered);
        self.map.go_on_counting(&old.map);
        for len in self.inbox.lens() {
            self.window.hold_unannounced(len);
        }
        self.inbox.cut_all()
    }

    /// Goes over to another configuration: the receive buffer, when SACKs are sent, and when messages come in pieces.
    /// The rest stays.
    pub(crate) fn configure(&mut self, next: &AssociationConfig) {
        self.config = InboundConfig {
            receive_buffer: next.receive_buffer(),
            sack_delay: next.sack_delay(),
            sack_frequency: next.sack_frequency(),
            partial_delivery_point: next.partial_delivery_point(),
            ..self.config
        };
        self.window.set_buffer(next.receive_buffer());
        let large = self.large();
        if let Some(interleaved) = &mut self.interleaved {
            interleaved.set_large(large);
        }
        self.sack.set(next.sack_delay(), next.sack_frequency());
        if self.window.update_is_due() {
            self.sack.want();
        }
    }

    /// Takes a DATA chunk. An error is the peer's fault and ends the association: afterwards only what is complete may
    /// be [taken](Self::recv).
    pub(crate) fn on_data(&mut self, fragment: DataFragment) -> Result<DataOutcome, Violation> {
        if fragment.payload.is_empty() {
            return Err(Violation::NoUserData);
        }
        let position = match self.position_of_new(fragment.tsn) {
            Ok(position) => position,
            Err(outcome) => return Ok(outcome),
        };
        let had_gap = self.map.has_gap();
        if fragment.stream.0 >= self.config.streams {
            // RFC 9260 §6.5: acknowledged all the same.
            self.map.record(position);
            self.sack.on_new(true);
            self.start_partial_if_needed();
            return Ok(DataOutcome::InvalidStream);
        }
        if !self.make_room(position) {
            self.sack.on_no_room();
            return Ok(DataOutcome::NoRoom);
        }
        self.map.record(position);
        self.window.hold(fragment.payload.len());
        self.sack.on_new(fragment.immediate || had_gap || self.map.has_gap());

        if self.hold.is_some() {
            self.unordered += u64::from(fragment.unordered);
            self.hold_or_take_in(position, hold::Fragment::Data(fragment))?;
        } else if fragment.beginning && fragment.ending && self.reassembly.is_empty() {
            self.deliver_whole(position, fragment)?;
            return Ok(DataOutcome::Accepted);
        } else {
            self.unordered += u64::from(fragment.unordered);
            let before = self.map.contains(position - 1);
            let after = self.map.contains(position + 1);
            self.take_in(position, fragment, before, after)?;
        }
        self.start_partial_if_needed();
        Ok(DataOutcome::Accepted)
    }

    /// The position of a DATA or I-DATA chunk that is new; of any other, what becomes of it.
    #[inline(always)]
    fn position_of_new(&mut self, tsn: Tsn) -> Result<Position, DataOutcome> {
        match self.map.look_up(tsn) {
            Lookup::New(position) => Ok(position),
            Lookup::Duplicate => {
                self.sack.on_duplicate(tsn);
                Err(DataOutcome::Duplicate)
            }
            Lookup::TooFar => {
                self.sack.on_dropped();
                Err(DataOutcome::NoRoom)
            }
        }
    }

    /// Adds a fragment to its message, and the message to what the user gets. `before` and `after` tell whether the
    /// fragments next to it were taken in.
    #[inline(always)]
    fn take_in(
        &mut self,
        position: Position,
        fragment: DataFragment,
        before: bool,
        after: bool,
    ) -> Result<(), Violation> {
        match self.reassembly.insert(position, fragment, before, after)? {
            Progress::Complete(message) => {
                self.reassembled += u64::from(message.fragments > 1);
                self.deliver(message)?;
            }
            Progress::LastPiece(piece) => {
                self.reassembled += 1;
                self.deliver_piece(piece);
            }
            Progress::Incomplete => {}
        }
        Ok(())
    }

    /// All chunks of a packet were given to [`on_data`](Self::on_data): decides whether to acknowledge at once or later
    /// (RFC 9260 §6.2).
    pub(crate) fn on_packet_end(&mut self, now: Instant) {
        self.sack.on_packet_end(now);
    }

    /// Whether a SACK should be sent now.
    pub(crate) const fn sack_wanted(&self) -> bool {
        self.sack.wanted()
    }

    /// Whether a SACK would say something new, so that it should go along with a packet that is sent anyway.
    pub(crate) const fn sack_pending(&self) -> bool {
        self.sack.pending()
    }

    /// The content of the SACK that is sent now. Fills the two lists with at most `max_entries` together, which take
    /// four bytes each: as many Gap Ack Blocks as fit, lowest first (a MUST, RFC 9260 §6.2, §6.7), then duplicate TSNs.
    pub(crate) fn take_sack(
        &mut self,
        gaps: &mut Vec<(u16, u16)>,
        duplicates: &mut Vec<Tsn>,
        max_entries: usize,
    ) -> SackNumbers {
        self.map.list_gaps(gaps, max_entries);
        self.sack.sent(duplicates, max_entries.saturating_sub(gaps.len()));
        SackNumbers {
            cumulative_tsn_ack: self.map.cumulative_tsn(),
            a_rwnd: self.window.announce(),
        }
    }

    /// When [`on_sack_timeout`](Self::on_sack_timeout) is due.
    pub(crate) const fn sack_timeout(&self) -> Option<Instant> {
        self.sack.deadline()
    }

    /// A delayed SACK may be due.
    pub(crate) fn on_sack_timeout(&mut self, now: Instant) {
        self.sack.on_timeout(now);
    }

    /// The Cumulative TSN Ack.
    pub(crate) fn cumulative_tsn_ack(&self) -> Tsn {
        self.map.cumulative_tsn()
    }

    /// The next message for the user, or the next piece of one. Afterwards [`sack_wanted`](Self::sack_wanted) may be
    /// true, because the window opened (RFC 9260 §6.2).
    pub(crate) fn recv(&mut self) -> Option<Received> {
        let received = if let Some(received) = self.inbox.pop() {
            self.window.release(received.payload.len());
            received
        } else {
            let interleaved = self.interleaved.as_mut().and_then(|peer| peer.take_piece());
            let piece = interleaved.or_else(|| self.reassembly.take_piece())?;
            self.window.release_all(piece.charged, piece.received.payload.len());
            piece.received
        };
        if self.window.update_is_due() {
            self.sack.want();
        }
        self.start_partial_if_needed();
        Some(received)
    }

    /// The message, or its next piece, that is next; `None` if that is not put together yet.
    pub(crate) fn peek(&self) -> Option<&Received> {
        self.inbox.front()
    }

    /// Nothing was received for a while: gives back memory that only a busy association needs.
    pub(crate) fn trim(&mut self) {
        self.inbox.trim();
    }

    /// Whether [`recv`](Self::recv) would return something.
    pub(crate) fn readable(&self) -> bool {
        !self.inbox.is_empty() || self.has_piece()
    }

    /// Whether there is more of a message that is delivered in pieces.
    fn has_piece(&self) -> bool {
        self.reassembly.has_piece() || self.interleaved.as_ref().is_some_and(|peer| peer.has_piece())
    }

    /// How many messages and pieces are ready for the user, or will be after a message that is delivered in pieces.
    pub(crate) fn pending_messages(&self) -> usize {
        self.inbox.len() + usize::from(self.has_piece())
    }

    /// Whether a message is delivered in pieces and its end has not come.
    pub(crate) fn is_partial(&self) -> bool {
        self.inbox.is_partial()
    }

    /// Bytes of user data held.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn buffered_bytes(&self) -> usize {
        self.window.payload()
    }

    /// The window as it was announced last.
    pub(crate) const fn local_rwnd(&self) -> u32 {
        self.window.told()
    }

    /// The window as a SACK would announce it now.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn a_rwnd(&self) -> u32 {
        self.window.a_rwnd()
    }

    /// How many messages came in more than one chunk.
    pub(crate) const fn reassembled(&self) -> u64 {
        self.reassembled
    }

    /// How many unordered chunks were taken in.
    pub(crate) const fn unordered(&self) -> u64 {
        self.unordered
    }

    /// How many TSNs arrived before one that precedes them.
    pub(crate) const fn out_of_order(&self) -> u64 {
        self.map.out_of_order()
    }

    /// How many streams the peer may send on.
    pub(crate) const fn streams(&self) -> u16 {
        self.config.streams
    }

    /// Whether the fragment at `position` may be held; gives up others for it if need be (RFC 9260 §6.2).
    #[inline(always)]
    fn make_room(&mut self, position: Position) -> bool {
        (self.window.has_room() && !self.window.is_closed()) || self.make_room_for(position)
    }

    fn make_room_for(&mut self, position: Position) -> bool {
        let fills_gap = position < self.map.highest();
        if !fills_gap && self.window.is_closed() {
            // RFC 9260 §6.2: with a window of zero, what lies beyond the highest TSN MUST be dropped.
            return false;
        }
        if self.window.has_room() {
            return true;
        }
        if !fills_gap {
            return false;
        }
        self.renounce_after(position);
        // The first missing TSN holds up everything else, maybe all that could make room: one packet more.
        let first_missing = position == self.map.cumulative() + 1;
        self.window.has_room() || (first_missing && self.window.has_room_for_gap())
    }

    /// Drops what lies after `position` and is not for the user yet, highest first, until there is room. What is
    /// dropped is acknowledged no more (RFC 9260 §6.2).
    fn renounce_after(&mut self, position: Position) {
        self.renounce_held_after(position);
        while !self.window.has_room() {
            if let Some(interleaved) = &mut self.interleaved {
                let Some(last) = interleaved.last_after(position) else {
                    return;
                };
                self.window.release(interleaved.drop_last().unwrap_or_default());
                self.map.forget(last);
                continue;
            }
            let fragment = self.reassembly.last_after(position);
            let message = self.ordering.last().filter(|first| *first > position);
            if let Some(first) = message
                && fragment.is_none_or(|last| last < first)
            {
                let Some(message) = self.ordering.drop_last() else {
                    return;
                };
                self.window.release(message.received.payload.len());
                for offset in (0..message.fragments).rev() {
                    self.map.forget(first + Position::try_from(offset).unwrap_or_default());
                }
            } else if let Some(last) = fragment
                && let Some(len) = self.reassembly.drop_last()
            {
                self.window.release(len);
                self.map.forget(last);
            } else {
                return;
            }
        }
    }

    /// Sends a complete message on its way to the user (RFC 9260 §6.6).
    fn deliver(&mut self, message: Message) -> Result<(), Violation> {
        if message.fragments > 1 {
            self.window.merge(message.charged, message.received.payload.len());
        }
        let Received {
            stream, ssn, unordered, ..
        } = message.received;
        if unordered {
            self.inbox.push(message.received);
        } else if self.ordering.take_turn(stream, ssn) {
            self.inbox.push(message.received);
            self.release_ordered(stream);
        } else {
            let ahead = message.first.saturating_sub(self.map.cumulative() + 1);
            self.ordering.hold(message, ahead)?;
        }
        Ok(())
    }

    /// The same for a message that came in one piece, as most do.
    #[inline(always)]
    fn deliver_whole(&mut self, position: Position, fragment: DataFragment) -> Result<(), Violation> {
        let (stream, ssn) = (fragment.stream, fragment.ssn);
        if fragment.unordered {
            self.unordered += 1;
            self.inbox.push(fragment.into_received());
        } else if self.ordering.take_turn(stream, ssn) {
            self.inbox.push(fragment.into_received());
            self.release_ordered(stream);
        } else {
            return self.deliver(whole(position, fragment));
        }
        Ok(())
    }

    /// Hands over the messages of `stream` whose turn has come.
    #[inline(always)]
    fn release_ordered(&mut self, stream: StreamId) {
        if self.ordering.last().is_some() {
            self.release_held(stream);
        }
    }

    fn release_held(&mut self, stream: StreamId) {
        while let Some(message) = self.ordering.release(stream) {
            self.inbox.push(message.received);
        }
    }

    /// Hands over a piece that takes a place in the queue: the first or the last of its message.
    fn deliver_piece(&mut self, piece: Message) {
        self.window.merge(piece.charged, piece.received.payload.len());
        self.inbox.push_piece(piece.received);
    }

    /// Delivers the message at the Cumulative TSN Ack in pieces if it fills half of the buffer, or if the buffer is
    /// full and the user can do nothing about it (RFC 9260 §6.9).
    #[inline(always)]
    fn start_partial_if_needed(&mut self) {
        if !self.reassembly.is_empty() {
            self.start_partial();
        } else if self.interleaved.is_some() {
            self.start_interleaved_if_needed();
        }
    }

    fn large(&self) -> usize {
        self.config.large(&self.window)
    }

    fn start_partial(&mut self) {
        let cumulative = self.map.cumulative();
        let Some(head) = self.reassembly.head(cumulative) else {
            return;
        };
        let large = head.charged >= self.large();
        let stuck = self.inbox.is_empty() && self.window.is_exhausted();
        if !(large || stuck) || !(head.unordered || self.ordering.is_next(head.stream, head.ssn)) {
            return;
        }
        let Some(piece) = self.reassembly.start_partial(cumulative) else {
            return;
        };
        self.deliver_piece(piece);
        if !head.unordered {
            self.ordering.skip(head.stream);
            self.release_ordered(head.stream);
        }
    }
}
