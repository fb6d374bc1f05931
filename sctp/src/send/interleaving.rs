//! Interleaving and scheduling of what is sent (RFC 8260), as far as it concerns the whole sender.

use super::Outbound;
use super::chunk::{ChunkForm, ChunkToSend};
use super::records::Run;
use super::streams::Cutting;
use crate::Instant;
use crate::config::StreamScheduler;
use crate::path::PathId;
use crate::serial::StreamId;

impl Outbound {
    /// Whether I-DATA is used, before anything is sent; `from_zero` as for [`count_from_zero`](Self::count_from_zero).
    pub(crate) const fn set_interleaving(&mut self, interleaving: bool, from_zero: bool) {
        self.form = if interleaving {
            ChunkForm::IData
        } else {
            ChunkForm::Data
        };
        self.second_fsn = if from_zero { 0 } else { 1 };
        self.outstanding.set_form(self.form);
        self.queue.numbers.set_interleaving(interleaving);
    }

    /// The peer counts the fragments after the first from zero, and so expects it: messages begun from now on are
    /// numbered that way.
    pub(crate) const fn count_from_zero(&mut self) {
        self.second_fsn = 0;
    }

    /// Whether I-DATA is used.
    pub(crate) const fn is_interleaving(&self) -> bool {
        matches!(self.form, ChunkForm::IData)
    }

    /// Changes the order in which streams are served (RFC 8260 §3).
    pub(crate) fn set_scheduler(&mut self, scheduler: StreamScheduler) {
        if scheduler == self.queue.scheduler() {
            return;
        }
        // With interleaving, the message that is being cut is one of those that the scheduler chooses from.
        let parked = self.cutting.take_if(|_| matches!(self.form, ChunkForm::IData));
        let current = self.cutting.map(|cutting| cutting.stream);
        self.queue.set_scheduler(scheduler, current, parked);
    }

    pub(crate) fn scheduler(&self) -> StreamScheduler {
        self.queue.scheduler()
    }

    /// Sets a stream's priority or weight; false if there is no such stream.
    pub(crate) fn set_stream_value(&mut self, stream: StreamId, value: u16) -> bool {
        let known = stream.0 < self.streams;
        if known {
            self.queue.set_value(stream, value);
        }
        known
    }

    /// A stream's priority or weight, if there is such a stream.
    pub(crate) fn stream_value(&self, stream: StreamId) -> Option<u16> {
        (stream.0 < self.streams).then(|| self.queue.value(stream))
    }

    /// Sends `len` bytes of a message of which `remaining` bytes were not sent, with a scheduler.
    #[inline(never)]
    pub(super) fn send_scheduled(
        &mut self,
        now: Instant,
        path: PathId,
        mut piece: Cutting,
        len: usize,
        remaining: usize,
    ) -> Option<ChunkToSend<'_>> {
        let message = &self.outstanding.message(piece.message)?.message;
        let (part, unordered) = (message.part, message.unordered);
        let beginning = piece.offset == 0 && !part.continues();
        let ending = len == remaining && !part.goes_on();
        if piece.offset == 0
            && part.continues()
            && let Some(run) = self.queue.run(piece.stream)
        {
            piece.fsn = run.next_fsn;
            self.unordered_later += u64::from(unordered);
        }
        self.fragmented += u64::from(beginning && !ending);
        let fsn = if beginning {
            self.second_fsn
        } else {
            piece.fsn.wrapping_add(1)
        };
        if part.is_piece() {
            let run = self.queue.run(piece.stream).filter(|_| !ending);
            let run = run.map(|run| Run { next_fsn: fsn, ..run });
            self.queue.set_run(piece.stream, run);
        }
        let rest = (len < remaining).then_some(Cutting {
            offset: piece.offset + len,
            fsn,
            ..piece
        });
        self.schedule(&piece, len, rest);
        let chunk = self.outstanding.send_new(now, path, &piece, len, len == remaining)?;
        Some(ChunkToSend {
            beginning,
            ending,
            ..chunk
        })
    }

    /// `len` bytes of a message were sent with a scheduler, and `rest` is left of it. With interleaving another message
    /// may go on before.
    fn schedule(&mut self, piece: &Cutting, len: usize, rest: Option<Cutting>) {
        let parked = rest.filter(|_| self.is_interleaving());
        if parked.is_none() {
            self.cutting = rest;
        }
        self.queue
            .sent(piece.stream, self.form.chunk_len(len), rest.is_none(), parked);
    }

    /// All messages that are being cut.
    pub(super) fn cuts(&self) -> impl Iterator<Item = &Cutting> {
        self.cutting.iter().chain(self.queue.cuts())
    }
}
