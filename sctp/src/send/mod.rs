//! The sending side of an association (RFC 9260 §6.1, §6.2.1, §6.3, §6.9, §7.2): what waits, what is in flight, and
//! what may go next. It uses `path` and `cc`, and knows no chunk bytes.

mod chunk;
mod ecn;
#[cfg(any(test, fuzzing))]
pub(crate) mod exercise;
mod interleaving;
mod message;
mod numbers;
mod outstanding;
mod packet;
mod peer_window;
mod pieces;
mod policy;
mod pr;
mod pr_stats;
mod queue;
mod records;
mod reset;
mod sack_in;
mod sched;
mod streams;
#[cfg(test)]
mod tests;

use crate::Instant;
use crate::config::{CongestionControl, SendingConfig};
use crate::error::SendError;
use crate::event::SendFailure;
use crate::message::OutMessage;
use crate::path::{PathId, PathSet};
use crate::serial::{SharedKeyId, Tsn};

pub(crate) use chunk::ChunkToSend;
pub(crate) use ecn::EcneResult;
pub(crate) use packet::{DataPlan, PacketFill};
pub(crate) use sack_in::{SackIn, SackResult};

use chunk::{ChunkForm, ChunkState};
use message::Message;
use outstanding::Outstanding;
use peer_window::PeerWindow;
use policy::Policy;
use pr::Forward;
use queue::SendQueue;
use reset::Pause;
use sack_in::SackProcessor;
use streams::Cutting;

/// Everything that an association has to send.
#[derive(Debug)]
pub(crate) struct Outbound {
    queue: SendQueue,
    outstanding: Outstanding,
    sacks: SackProcessor,
    algorithm: CongestionControl,
    peer_window: PeerWindow,
    forward: Forward,
    /// The message that is being cut into fragments and to be finished before another is begun.
    cutting: Option<Cutting>,
    /// DATA, or I-DATA with interleaving.
    form: ChunkForm,
    /// The Fragment Sequence Number of the fragment after the first.
    second_fsn: u32,
    /// What a re-configuration keeps back.
    pause: Option<Box<Pause>>,
    /// How many messages went into more than one chunk.
    fragmented: u64,
    /// How many chunks of unordered messages were sent behind the first of each.
    unordered_later: u64,
    buffered: usize,
    send_buffer: usize,
    sending: SendingConfig,
    streams: u16,
}

impl Outbound {
    pub(crate) fn new(initial_tsn: Tsn, streams: u16, send_buffer: u32, algorithm: CongestionControl) -> Self {
        Self {
            queue: SendQueue::default(),
            outstanding: Outstanding::new(initial_tsn),
            sacks: SackProcessor::new(algorithm),
            algorithm,
            peer_window: PeerWindow::new(0),
            forward: Forward::default(),
            cutting: None,
            form: ChunkForm::Data,
            second_fsn: 1,
            pause: None,
            fragmented: 0,
            unordered_later: 0,
            buffered: 0,
            send_buffer: send_buffer as usize,
            sending: SendingConfig::default(),
            streams,
        }
    }

    /// What the peer's INIT or INIT ACK says: its window, how many streams both sides agreed on, and whether both know
    /// FORWARD-TSN. Messages queued for other streams fail.
    pub(crate) fn set_peer(&mut self, a_rwnd: u32, streams: u16, forward_tsn: bool) -> Vec<SendFailure> {
        self.forward.set_enabled(forward_tsn);
        self.peer_window = PeerWindow::new(a_rwnd);
        self.streams = streams;
        let failed = self.queue.take_if(|message| message.stream.0 >= streams);
        for message in &failed {
            self.queue.set_open(message.stream, None);
        }
        failed.into_iter().map(|message| self.fail(message, false)).collect()
    }

    /// Starts over with a restarted peer (§5.2.4 A): TSNs and SSNs begin anew. What was sent and not acknowledged
    /// fails; what waits is still sent.
    pub(crate) fn restart(&mut self, initial_tsn: Tsn) -> Vec<SendFailure> {
        let sent: Vec<Message> = self.outstanding.drain().map(|sent| sent.message).collect();
        self.forget_cuts();
        self.outstanding = Outstanding::new(initial_tsn);
        self.outstanding.set_form(self.form);
        self.sacks = SackProcessor::new(self.algorithm);
        self.end_hold(false);
        self.queue.numbers.reset_all();
        self.forward.restart();
        let mut failed: Vec<SendFailure> = sent.into_iter().map(|message| self.fail(message, true)).collect();
        failed.extend(self.fail_unfinished());
        self.buffered = self.queue.bytes();
        failed
    }

    /// The path `gone` is no more: what is in flight there is sent again on `to`, and what was wanted there goes
    /// wherever it can.
    pub(crate) fn leave_path(&mut self, gone: PathId, to: PathId) {
        self.queue.leave_path(gone);
        if let Some(pause) = &mut self.pause {
            pause.leave_path(gone);
        }
        if let Some(cutting) = &mut self.cutting {
            cutting.wanted.take_if(|wanted| *wanted == gone);
        }
        self.outstanding.leave_path(gone, to);
        self.sacks.reactions.forget(gone.index());
        self.forward.leave_path(gone);
    }

    fn fail(&mut self, message: Message, sent: bool) -> SendFailure {
        self.buffered = self.buffered.saturating_sub(message.payload.len());
        message.failed(sent)
    }

    /// What was begun is not cut further.
    fn forget_cuts(&mut self) {
        let current = self.cutting.take();
        self.queue.clear_cuts(current.map(|cutting| cutting.stream));
    }

    /// Gives everything up; oldest first.
    pub(crate) fn drain(&mut self) -> Vec<SendFailure> {
        let sent: Vec<Message> = self.outstanding.drain().map(|sent| sent.message).collect();
        self.forget_cuts();
        let mut queued = self.queue.take_unfinished();
        queued.extend(self.queue.take_if(|_| true));
        let mut failed: Vec<_> = sent.into_iter().map(|message| self.fail(message, true)).collect();
        failed.extend(queued.into_iter().map(|message| self.fail(message, false)));
        failed.extend(self.drain_held());
        self.buffered = 0;
        failed
    }

    /// Queues a message, for which less important ones may have to [give way](Self::take_abandoned).
    pub(crate) fn push(&mut self, now: Instant, message: OutMessage, wanted: Option<PathId>) -> Result<(), SendError> {
        if self.queue.is_scheduled() {
            return self.push_scheduled(now, message, wanted);
        }
        let policy = Policy::new(now, message.reliability);
        self.take_in(now, &message, policy)?;
        let queued = Message::new(message, wanted, policy);
        if self.pause.is_some() {
            self.push_paused(queued);
        } else {
            self.queue.push_last(queued);
        }
        Ok(())
    }

    #[inline(never)]
    fn push_scheduled(&mut self, now: Instant, message: OutMessage, wanted: Option<PathId>) -> Result<(), SendError> {
        self.may_push_beside(message.stream)?;
        self.settle_order();
        let policy = Policy::new(now, message.reliability);
        self.take_in(now, &message, policy)?;
        self.push_paused(Message::new(message, wanted, policy));
        Ok(())
    }

    /// Counts a message that is to be queued, if it may be.
    #[inline(always)]
    fn take_in(&mut self, now: Instant, message: &OutMessage, policy: Policy) -> Result<(), SendError> {
        let len = message.payload.len();
        if len == 0 {
            return Err(SendError::Empty);
        }
        if message.stream.0 >= self.streams {
            return Err(SendError::InvalidStream);
        }
        if len > self.send_buffer {
            return Err(SendError::TooLarge);
        }
        if self.buffered + len > self.send_buffer && !self.give_way(now, len, policy) {
            return Err(SendError::WouldBlock);
        }
        self.forward.note(policy);
        self.buffered += len;
        Ok(())
    }

    /// A SACK arrived, or the Cumulative TSN Ack of a SHUTDOWN.
    pub(crate) fn on_sack(
        &mut self,
        now: Instant,
        sack: SackIn<impl Iterator<Item = (u16, u16)>>,
        paths: &mut PathSet,
    ) -> SackResult {
        let point = self.outstanding.cumulative_tsn_ack();
        if sack.cumulative_tsn_ack.is_before(point) {
            return SackResult::Old;
        }
        let steps = u64::from(sack.cumulative_tsn_ack.steps_from(point));
        if steps > self.outstanding.len() as u64 {
            return self.beyond_all_sent(steps);
        }
        let cumulative = self.outstanding.first() + steps;
        let Some((progress, freed)) = self
            .sacks
            .process(now, cumulative, sack.gaps, &mut self.outstanding, paths)
        else {
            return SackResult::Impossible;
        };
        self.buffered = self.buffered.saturating_sub(freed);
        if self.peer_window.on_sack(sack.a_rwnd) && !progress {
            self.repeat_probe(paths);
        }
        if self.sacks.is_fickle(&self.outstanding) {
            return SackResult::Fickle;
        }
        self.forward_after_sack(now, steps, SackResult::Taken { progress }, paths)
    }

    /// The window opened that a probe found closed: the probe was thrown away there, and goes again at once rather than
    /// when T3-rtx, which has backed off, expires.
    fn repeat_probe(&mut self, paths: &mut PathSet) {
        let index = self.outstanding.first();
        let Some(chunk) = self
            .outstanding
            .chunk_mut(index)
            .filter(|chunk| chunk.state == ChunkState::InFlight)
        else {
            return;
        };
        chunk.stays_on_path = true;
        let path = chunk.path;
        self.outstanding.mark(index);
        if let Some(path) = paths.get_mut(path) {
            path.cc.on_occasion();
        }
    }

    /// A SHUTDOWN carries a Cumulative TSN Ack only (§3.3.8): gap acknowledgements and the window stay as they are.
    pub(crate) fn on_cumulative_ack(&mut self, now: Instant, tsn: Tsn, paths: &mut PathSet) -> SackResult {
        let point = self.outstanding.cumulative_tsn_ack();
        if !tsn.is_after(point) {
            return SackResult::Old;
        }
        let steps = u64::from(tsn.steps_from(point));
        if steps > self.outstanding.len() as u64 {
            return self.beyond_all_sent(steps);
        }
        let cumulative = self.outstanding.first() + steps;
        let (progress, freed) = self.sacks.acknowledge(now, cumulative, &mut self.outstanding, paths);
        self.buffered = self.buffered.saturating_sub(freed);
        self.forward_after_sack(now, steps, SackResult::Taken { progress }, paths)
    }

    /// The paths on which the last acknowledgement found something new, and whether some of it was sent nowhere else.
    pub(crate) fn acked_paths(&self) -> impl Iterator<Item = (PathId, bool)> {
        let forward = self.forward_answered().map(|path| (path, true));
        self.sacks.acked_paths().chain(forward)
    }

    /// How many chunks the last SACK had fast retransmitted.
    pub(crate) const fn fast_retransmits(&self) -> u64 {
        self.sacks.fast_retransmits
    }

    /// Bytes of the chunks of the largest packet in flight on a path.
    pub(crate) fn largest_packet_in_flight(&self, id: PathId) -> usize {
        self.outstanding.largest_packet_in_flight(id)
    }

    /// T3-rtx of `id` expired (§6.3.3): what is in flight there is to be sent again. True if it counts as an error of
    /// the path; an answered probe of a closed window does not (§6.1 A).
    pub(crate) fn on_t3_expiry(&mut self, id: PathId, paths: &mut PathSet) -> bool {
        let Some(path) = paths.get_mut(id) else { return false };
        path.t3_rtx = None;
        let forward_lost = self.forward_on_t3_expiry(id);
        if self.outstanding.mark_path(id) == 0 && !forward_lost {
            return false;
        }
        path.cc.on_t3_expiry();
        path.ecn.on_time_out();
        path.rto.back_off();
        self.sacks.on_t3_expiry(id, &self.outstanding);
        for (_, path) in paths.iter_mut() {
            path.cc.on_occasion();
        }
        !self.peer_window.excuses_timeout()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.peer_window.timer()
    }

    /// Time has passed.
    pub(crate) fn on_timeout(&mut self, now: Instant) {
        self.peer_window.on_timeout(now);
    }

    /// Whether a message that is not fully acknowledged asks for a key.
    pub(crate) fn uses_key(&self, key: SharedKeyId) -> bool {
        let asks = |message: &Message| message.auth_key == Some(key);
        self.outstanding.any_message(asks) || self.queue.any(asks) || self.held_messages().any(asks)
    }

    /// The messages that ask for no key were given while `key` was the active one, and keep it.
    pub(crate) fn keep_key(&mut self, key: SharedKeyId) {
        let keep = |message: &mut Message| {
            message.auth_key.get_or_insert(key);
        };
        self.outstanding.for_each_message(keep);
        self.queue.for_each(keep);
        self.held_messages_mut().for_each(keep);
    }

    /// The peer takes no part in AUTH: the messages that ask for a key fail.
    pub(crate) fn fail_keyed(&mut self) -> Vec<SendFailure> {
        // A message in pieces fails as a whole.
        let pieces = self.queue.any_piece(|message| message.auth_key.is_some());
        let failed = self
            .queue
            .take_if(|message| message.auth_key.is_some() || pieces && message.part.is_piece());
        for message in &failed {
            self.queue.give_up_open(message.stream);
        }
        failed.into_iter().map(|message| self.fail(message, false)).collect()
    }

    /// Whether nothing waits and nothing is unacknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
            && self.cutting.is_none()
            && self.outstanding.is_empty()
            && self.pause.as_ref().is_none_or(|pause| pause.held() == 0)
    }

    /// Whether nothing is to be sent, not even again, and nothing is to be told; what was sent may be on its way.
    pub(crate) fn has_nothing_to_send(&self) -> bool {
        self.queue.is_empty()
            && self.cutting.is_none()
            && self.queue.next_cut().is_none()
            && self.pause.is_none()
            && !self.outstanding.has_marked()
            && !self.forward_is_due()
            && !self.has_abandoned()
    }

    /// How many messages went into more than one chunk.
    pub(crate) const fn fragmented(&self) -> u64 {
        self.fragmented
    }

    /// How many chunks of unordered messages were sent for the first time.
    pub(crate) const fn unordered(&self) -> u64 {
        self.queue.numbers.unordered() + self.unordered_later
    }

    pub(crate) const fn buffered(&self) -> usize {
        self.buffered
    }

    /// Changes the send buffer. What is in it stays.
    pub(crate) const fn set_send_buffer(&mut self, bytes: u32) {
        self.send_buffer = bytes as usize;
    }

    /// Changes how messages are cut and bundled, those that wait too.
    pub(crate) const fn set_sending(&mut self, sending: SendingConfig) {
        self.sending = sending;
    }

    /// The most user data that a chunk may carry in a packet with so many bytes for chunks.
    #[inline(always)]
    pub(crate) fn max_payload(&self, room: usize) -> usize {
        let most = self.form.max_payload(room);
        self.sending.max_fragment().map_or(most, |limit| most.min(limit.into()))
    }

    pub(crate) const fn has_room(&self) -> bool {
        self.buffered < self.send_buffer
    }

    pub(crate) const fn streams(&self) -> u16 {
        self.streams
    }

    pub(crate) fn messages(&self) -> usize {
        let held = self.pause.as_ref().map_or(0, |pause| pause.held());
        self.queue.len() + self.outstanding.messages() + held
    }

    pub(crate) fn flight(&self, path: PathId) -> usize {
        self.outstanding.flight(path)
    }

    pub(crate) const fn peer_rwnd(&self) -> usize {
        self.peer_window.available(self.outstanding.payload_in_flight())
    }
}
