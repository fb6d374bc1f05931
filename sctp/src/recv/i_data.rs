//! I-DATA and I-FORWARD-TSN in place of DATA and FORWARD-TSN (RFC 8260 §2.2.3, §2.3.1).

use super::hold::Fragment;
use super::inbox::Cut;
use super::interleaved::{Delivery, Dropped, IDataFragment};
use super::tsn_map::Position;
use super::{DataOutcome, ForwardOutcome, Inbound};
use crate::error::Violation;
use crate::message::Received;
use crate::serial::{StreamId, Tsn};
use crate::streams::StreamSet;
use crate::wire::SkippedMessage;

impl Inbound {
    /// Takes an I-DATA chunk, as [`on_data`](Self::on_data) takes DATA, where interleaving was negotiated.
    pub(crate) fn on_i_data(&mut self, fragment: IDataFragment) -> Result<DataOutcome, Violation> {
        if fragment.payload.is_empty() {
            return Err(Violation::NoUserData);
        }
        let position = match self.position_of_new(fragment.tsn) {
            Ok(position) => position,
            Err(outcome) => return Ok(outcome),
        };
        let had_gap = self.map.has_gap();
        let invalid = fragment.stream.0 >= self.config.streams;
        if invalid || self.is_given_up(position, &fragment)? {
            // RFC 9260 §6.5: acknowledged all the same.
            self.map.record(position);
            self.sack.on_new(invalid || had_gap || self.map.has_gap());
            self.advance_interleaved();
            return Ok(if invalid {
                DataOutcome::InvalidStream
            } else {
                DataOutcome::Accepted
            });
        }
        if !self.make_room(position) {
            self.sack.on_no_room();
            return Ok(DataOutcome::NoRoom);
        }
        self.map.record(position);
        self.window.hold(fragment.payload.len());
        self.sack.on_new(fragment.immediate || had_gap || self.map.has_gap());
        self.unordered += u64::from(fragment.unordered);
        if self.hold.is_some() {
            self.hold_or_take_in(position, Fragment::IData(Box::new(fragment)))?;
        } else {
            self.insert_interleaved(position, fragment)?;
        }
        self.start_interleaved_if_needed();
        Ok(DataOutcome::Accepted)
    }

    /// Whether a fragment is of a message that the peer gave up. What is held back may have new numbers.
    fn is_given_up(&self, position: Position, fragment: &IDataFragment) -> Result<bool, Violation> {
        let held = self
            .hold
            .as_ref()
            .is_some_and(|hold| hold.takes(position, fragment.stream));
        match &self.interleaved {
            Some(interleaved) if !held => interleaved.is_given_up(fragment),
            _ => Ok(false),
        }
    }

    fn insert_interleaved(&mut self, position: Position, fragment: IDataFragment) -> Result<(), Violation> {
        let cumulative = self.map.cumulative();
        if let Some(interleaved) = &mut self.interleaved {
            interleaved.insert(position, fragment, cumulative)?;
        }
        self.deliver_interleaved();
        Ok(())
    }

    /// Takes a fragment in that was held back, or could have been.
    pub(super) fn take_in_interleaved(&mut self, position: Position, fragment: IDataFragment) -> Result<(), Violation> {
        let given_up = match &self.interleaved {
            Some(interleaved) => interleaved.is_given_up(&fragment)?,
            None => true,
        };
        if given_up {
            self.window.release(fragment.payload.len());
            return Ok(());
        }
        self.insert_interleaved(position, fragment)
    }

    /// The numbers of incoming streams begin anew (RFC 8260 §2.3.2).
    pub(super) fn reset_interleaved(&mut self, streams: &StreamSet) {
        let mut dropped = Dropped::default();
        if let Some(interleaved) = &mut self.interleaved {
            interleaved.reset(streams, &mut dropped);
        }
        self.after_dropping(dropped);
        self.deliver_interleaved();
    }

    /// Drops everything that is incomplete, since TSNs begin anew. True if the user has a part of it.
    pub(super) fn drop_incomplete(&mut self) -> bool {
        let mut dropped = Dropped::default();
        if let Some(interleaved) = &mut self.interleaved {
            interleaved.drop_incomplete(&mut dropped);
        }
        self.after_dropping(dropped)
    }

    /// Books what was dropped. True if the user has a part of it.
    fn after_dropping(&mut self, dropped: Dropped) -> bool {
        self.window.release_all(dropped.charged, dropped.len);
        let mut cut = false;
        for stream in dropped.partial {
            cut |= self.cut_partial(stream);
        }
        cut
    }

    /// Takes an I-FORWARD-TSN, as [`on_forward_tsn`](Self::on_forward_tsn) takes a FORWARD-TSN.
    pub(crate) fn on_i_forward_tsn(
        &mut self,
        new_cumulative: Tsn,
        messages: impl Iterator<Item = SkippedMessage>,
    ) -> ForwardOutcome {
        if self.puts_off_forward(new_cumulative) {
            return ForwardOutcome::PutOff;
        }
        let had_gap = self.map.has_gap();
        if self.map.forward(new_cumulative).is_none() {
            self.sack.on_dropped();
            return ForwardOutcome::OutOfDate;
        }
        self.sack.on_new(had_gap || self.map.has_gap());
        let known = self.config.streams;
        let mut dropped = Dropped::default();
        if let Some(interleaved) = &mut self.interleaved {
            for skipped in messages.filter(|skipped| skipped.stream.0 < known) {
                interleaved.skip(skipped, &mut dropped);
            }
        }
        let cut = self.after_dropping(dropped);
        self.advance_interleaved();
        if self.window.update_is_due() {
            self.sack.want();
        }
        ForwardOutcome::Moved { cut }
    }

    /// Whether the peer has shown that it numbers the fragments after the first from zero.
    pub(crate) fn peer_counts_from_zero(&self) -> bool {
        self.interleaved.as_ref().is_some_and(|peer| peer.counts_from_zero())
    }

    /// The message of `stream` that is delivered in pieces has no end. What the user has not seen of it is dropped;
    /// false if that is all of it, and there is nothing to tell.
    pub(super) fn cut_partial(&mut self, stream: StreamId) -> bool {
        match self.inbox.cut(stream) {
            Some(Cut::Seen(head)) => {
                self.cut.push(*head);
                true
            }
            Some(Cut::Unseen(len)) => {
                self.window.release(len);
                false
            }
            None => false,
        }
    }

    /// What was cut since the last call: the first pieces, without their bytes.
    pub(crate) fn take_cut(&mut self) -> Vec<Received> {
        std::mem::take(&mut self.cut)
    }

    /// Tells the Cumulative TSN Ack, and delivers what becomes of it.
    fn advance_interleaved(&mut self) {
        let cumulative = self.map.cumulative();
        if let Some(interleaved) = &mut self.interleaved {
            interleaved.advance(cumulative);
        }
        self.deliver_interleaved();
        self.start_interleaved_if_needed();
    }

    fn deliver_interleaved(&mut self) {
        while let Some(delivery) = self.interleaved.as_mut().and_then(|peer| peer.next_ready()) {
            let (Delivery::Message(message) | Delivery::Piece(message)) = &delivery;
            self.window.merge(message.charged, message.received.payload.len());
            self.reassembled += u64::from(message.fragments > 1 && message.received.end_of_message);
            match delivery {
                Delivery::Message(message) => self.inbox.push(message.received),
                Delivery::Piece(piece) => self.inbox.push_piece(piece.received),
            }
        }
    }

    /// Delivers some message in pieces if the buffer is full and the user can do nothing about it (RFC 9260 §6.9).
    /// Large ones are begun as soon as they fill half of it.
    pub(super) fn start_interleaved_if_needed(&mut self) {
        let stuck = self.inbox.is_empty() && self.window.is_exhausted();
        if let Some(interleaved) = &mut self.interleaved
            && stuck
            && !interleaved.has_piece()
            && interleaved.start_any()
        {
            self.deliver_interleaved();
        }
    }
}
