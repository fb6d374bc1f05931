//! What a FORWARD-TSN does to the receiver (RFC 3758 §3.6).

use super::Inbound;
use super::tsn_map::Position;
use crate::serial::{Ssn, StreamId, Tsn};

/// What became of a FORWARD-TSN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardOutcome {
    /// It says nothing new; the peer gets a SACK that tells it.
    OutOfDate,
    /// What it says can be understood later only, when the peer repeats it.
    PutOff,
    /// The Cumulative TSN Ack moved.
    Moved {
        /// The user has a part of a message whose rest will not come.
        cut: bool,
    },
}

impl Inbound {
    /// Takes a FORWARD-TSN; [`on_packet_end`](Self::on_packet_end) follows, as after DATA. The streams are whatever the
    /// peer makes up. However far it jumps, the work is bounded by the list and by what is held.
    pub(crate) fn on_forward_tsn(
        &mut self,
        new_cumulative: Tsn,
        streams: impl Iterator<Item = (StreamId, Ssn)>,
    ) -> ForwardOutcome {
        if self.puts_off_forward(new_cumulative) {
            return ForwardOutcome::PutOff;
        }
        let had_gap = self.map.has_gap();
        let Some(through) = self.map.forward(new_cumulative) else {
            // §3.6: the last SACK may have been lost.
            self.sack.on_dropped();
            return ForwardOutcome::OutOfDate;
        };
        self.sack.on_new(had_gap || self.map.has_gap());
        let cut = self.drop_through(through);
        if let Some(hold) = &mut self.hold {
            hold.note_forward(through);
        }
        let known = self.config.streams;
        for (stream, ssn) in streams.filter(|(stream, _)| stream.0 < known) {
            while let Some(message) = self.ordering.release_through(stream, ssn) {
                self.inbox.push(message.received);
            }
            self.release_ordered(stream);
        }
        if self.window.update_is_due() {
            self.sack.want();
        }
        self.start_partial_if_needed();
        ForwardOutcome::Moved { cut }
    }

    /// Drops what is incomplete up to `through`; with interleaving, all that is incomplete. True if the user has a part
    /// of it.
    pub(super) fn drop_through(&mut self, through: Position) -> bool {
        if self.interleaved.is_some() {
            return self.drop_incomplete();
        }
        let dropped = self.reassembly.drop_through(through);
        self.window.release_all(dropped.charged, dropped.len);
        dropped.partial.is_some_and(|stream| self.cut_partial(stream))
    }
}
