//! Partial reliability of the sender (RFC 3758 §3.5, RFC 7496 §3): when a message is given up, and how the peer learns
//! that it need not wait for it.

use std::collections::BTreeMap;

use super::chunk::Index;
use super::message::Message;
use super::policy::Policy;
use super::pr_stats::AbandonedByStream;
use super::{Outbound, SackResult};
use crate::Instant;
use crate::event::SendFailure;
use crate::path::{PathId, PathSet};
use crate::serial::{Mid, StreamId, Tsn};
use crate::stats::{AbandonedMessages, PartialReliabilityPolicy};
use crate::wire::SkippedMessage;

/// A FORWARD-TSN that was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    path: PathId,
    at: Instant,
    /// The first chunk that it did not cover.
    covered: Index,
}

/// How far the peer is told to move on, and what was given up.
#[derive(Debug, Default)]
pub(super) struct Forward {
    /// Both sides know FORWARD-TSN.
    enabled: bool,
    /// There was a message that is not reliable. Until then policies cost one look at this.
    used: bool,
    /// There was a message with a priority.
    prioritized: bool,
    /// Advanced.Peer.Ack.Point (RFC 3758 §3.5 A1): the first chunk that it does not cover.
    point: Index,
    /// A FORWARD-TSN is to be sent.
    due: bool,
    /// The last one did not say all because of a re-configuration.
    kept_back: bool,
    /// The last one, while the peer has not caught up with the point.
    sent: Option<Sent>,
    /// The last acknowledgement answered it.
    answered: Option<PathId>,
    /// What was given up since the user was last told.
    failed: Vec<SendFailure>,
    /// What was ever given up.
    abandoned: AbandonedByStream,
}

impl Forward {
    pub(super) const fn set_enabled(&mut self, enabled: bool) {
        self.enabled = enabled;
    }

    pub(super) fn note(&mut self, policy: Policy) {
        self.used |= policy != Policy::Reliable;
        self.prioritized |= policy.priority().is_some();
    }

    /// A message is given up; a part of it was `sent`.
    pub(super) fn count(&mut self, stream: StreamId, policy: Policy, sent: bool) {
        self.abandoned.count(stream, policy, sent);
    }

    /// The user is to be told of what was given up.
    pub(super) fn note_failed(&mut self, failure: SendFailure) {
        self.failed.push(failure);
    }

    pub(super) const fn is_active(&self) -> bool {
        self.enabled && self.used
    }

    /// A path is no more: a FORWARD-TSN that went there is sent again elsewhere.
    pub(super) fn leave_path(&mut self, gone: PathId) {
        self.due |= self.sent.take_if(|sent| sent.path == gone).is_some();
        self.answered.take_if(|path| *path == gone);
    }

    /// What was kept back may be said.
    pub(super) const fn resume(&mut self) {
        self.due |= std::mem::replace(&mut self.kept_back, false);
    }

    /// TSNs begin anew.
    pub(super) fn restart(&mut self) {
        *self = Self {
            used: self.used,
            prioritized: self.prioritized,
            failed: std::mem::take(&mut self.failed),
            abandoned: std::mem::take(&mut self.abandoned),
            ..Self::default()
        };
    }
}

impl Outbound {
    /// Gives up what must not be sent (again) now, as far as it is next.
    #[inline]
    pub(super) fn give_up_due(&mut self, now: Instant) {
        if self.forward.is_active() {
            self.give_up_next(now);
        }
    }

    #[inline(never)]
    fn give_up_next(&mut self, now: Instant) {
        while let Some(number) = self.outstanding.marked_to_give_up(now) {
            self.abandon(number, now);
        }
        while let Some(cutting) = self.cutting.or_else(|| self.queue.next_cut())
            && let sent = self.outstanding.message(cutting.message)
            && sent.is_some_and(|sent| sent.message.policy.is_over(now))
        {
            self.abandon(cutting.message, now);
        }
        while self.cutting.is_none()
            && let Some(queued) = self.queue.front().filter(|queued| queued.policy.is_over(now))
        {
            if queued.part.is_piece() {
                let stream = queued.stream;
                self.give_up_next_pieces(stream, now);
            } else if let Some(queued) = self.queue.pop_unsent() {
                self.give_up_unsent(queued);
            }
        }
    }

    pub(super) fn give_up_unsent(&mut self, queued: Message) {
        self.forward.count(queued.stream, queued.policy, false);
        let failure = self.fail(queued, false);
        self.forward.failed.push(failure);
    }

    /// Gives up a message of which a part was sent.
    fn abandon(&mut self, number: u64, now: Instant) {
        let Some(message) = self.outstanding.message(number).map(|sent| &sent.message) else {
            return;
        };
        if message.part.is_piece() {
            return self.abandon_pieces(number, now);
        }
        let (stream, policy) = (message.stream, message.policy);
        self.forward.count(stream, policy, true);
        self.abandon_message(number, stream, now);
        self.advance_point();
    }

    /// Gives up a message or piece of which a part was sent. Whether it was not cut to its end.
    pub(super) fn abandon_message(&mut self, number: u64, stream: StreamId, now: Instant) -> bool {
        let cut = match self.cutting.take_if(|cutting| cutting.message == number) {
            Some(cutting) => {
                self.queue.settle(stream);
                Some(cutting)
            }
            None => self.queue.take_cut(stream, number),
        };
        let cut = cut.map(|cutting| cutting.offset);
        if let Some(abandoned) = self.outstanding.abandon(number, cut, now) {
            self.buffered = self.buffered.saturating_sub(abandoned.freed);
            self.forward.note_failed(abandoned.message.failed(true));
        }
        cut.is_some()
    }

    /// Makes room for `len` bytes by giving up what is less important (RFC 7496 §3.2): what was not sent first, and
    /// nothing unless it is enough.
    pub(super) fn give_way(&mut self, now: Instant, len: usize, policy: Policy) -> bool {
        self.give_up_due(now);
        let missing = |buffered: usize| (buffered + len).saturating_sub(self.send_buffer);
        let needed = missing(self.buffered);
        if needed == 0 {
            return true;
        }
        if !self.forward.is_active() || !self.forward.prioritized {
            return false;
        }
        let than = policy.priority();
        let unsent = self.queue.bytes_less_important(than, needed);
        let mut sent = Vec::new();
        if unsent < needed {
            sent = self.outstanding.less_important(than, self.cuts());
            sent.sort_by_key(|&(priority, number, _)| (std::cmp::Reverse(priority), number));
            let bytes: usize = sent.iter().map(|(_, _, bytes)| bytes).sum();
            if unsent + bytes < needed {
                return false;
            }
        }
        let limit = self.send_buffer.saturating_sub(len);
        while self.buffered > limit
            && let Some(queued) = self.queue.take_least_important(than)
        {
            self.give_up_unsent(queued);
        }
        for (_, number, _) in sent {
            if self.buffered <= limit {
                break;
            }
            self.abandon(number, now);
        }
        self.buffered <= limit
    }

    /// Moves Advanced.Peer.Ack.Point over what was given up (RFC 3758 §3.5 C1, C2).
    pub(super) fn advance_point(&mut self) {
        let first = self.outstanding.first();
        let before = self.forward.point.max(first);
        let mut point = before;
        while self.outstanding.is_abandoned(point) {
            point += 1;
        }
        self.forward.point = point;
        self.forward.due |= point > before;
    }

    /// After an acknowledgement that moved the cumulative point by `steps` (RFC 3758 §3.5 C1 to C3).
    pub(super) fn forward_after_sack(
        &mut self,
        now: Instant,
        steps: u64,
        result: SackResult,
        paths: &mut PathSet,
    ) -> SackResult {
        self.forward.answered = None;
        if !self.forward.is_active() {
            return result;
        }
        if steps > 0 {
            self.forward.answered = self.forward.sent.map(|sent| sent.path);
            // It may cover nothing but what was given up, of which congestion control hears nothing.
            for (_, path) in paths.iter_mut() {
                path.cc.on_occasion();
            }
        }
        self.advance_point();
        if self.forward.point <= self.outstanding.first() {
            self.forward.due = false;
            self.forward.kept_back = false;
            self.forward.sent = None;
        } else if let Some(sent) = self.forward.sent {
            // C3, but the same at most once a round trip (§3.5 F2): the peer may not have had time to answer.
            let round_trip = paths
                .get(sent.path)
                .map(|path| path.srtt().unwrap_or_else(|| path.rto()));
            let answered = self.outstanding.first() >= sent.covered;
            self.forward.due |= answered || round_trip.is_none_or(|rtt| now.saturating_since(sent.at) >= rtt);
        }
        self.settle_timers(now, paths);
        match result {
            // What was given up leaves without having been acknowledged by itself.
            SackResult::Taken { progress } => SackResult::Taken {
                progress: progress || steps > 0,
            },
            other => other,
        }
    }

    /// T3-rtx runs for what is in flight, and for a FORWARD-TSN (RFC 3758 §3.5 C5).
    fn settle_timers(&mut self, now: Instant, paths: &mut PathSet) {
        let waiting = self.forward.sent.map(|sent| sent.path);
        for id in paths.ids() {
            let restart = self.outstanding.earliest_left(id);
            let Some(path) = paths.get_mut(id) else { continue };
            if self.outstanding.flight(id) == 0 && waiting != Some(id) {
                path.t3_rtx = None;
            } else if waiting == Some(id) {
                path.start_t3(now);
            } else if restart {
                path.restart_t3(now);
            }
        }
    }

    /// T3-rtx of `id` expired. Whether that was for a FORWARD-TSN, which is sent again then (RFC 3758 §3.5 A5).
    pub(super) fn forward_on_t3_expiry(&mut self, id: PathId) -> bool {
        let lost = self.forward.sent.is_some_and(|sent| sent.path == id);
        self.forward.due |= lost;
        lost
    }

    /// Whether a FORWARD-TSN is to be sent now.
    pub(crate) const fn forward_is_due(&self) -> bool {
        self.forward.due
    }

    /// What the FORWARD-TSN or I-FORWARD-TSN says that is sent now to `id`: the new cumulative TSN, and in `skipped`,
    /// which takes at most `max_entries`, the greatest SSN or MID given up on each stream (RFC 3758 §3.5 C4; RFC 8260
    /// §2.3.1: of ordered messages, and of unordered ones). What does not fit comes with a later one. `None` if not
    /// even the first message fits.
    pub(crate) fn take_forward(
        &mut self,
        now: Instant,
        id: PathId,
        max_entries: usize,
        skipped: &mut Vec<SkippedMessage>,
        paths: &mut PathSet,
    ) -> Option<Tsn> {
        let mut entries: BTreeMap<(StreamId, bool), Mid> = BTreeMap::new();
        let mut covered = self.outstanding.first();
        let mut last = None;
        let end = self.forward.point.min(self.forward_limit());
        while covered < end {
            let number = self.outstanding.chunk(covered)?.message;
            if last != Some(number) {
                last = Some(number);
                let sent = self.outstanding.message(number)?;
                let (stream, unordered) = (sent.message.stream, sent.message.unordered);
                if !unordered || self.is_interleaving() {
                    if entries.len() >= max_entries && !entries.contains_key(&(stream, unordered)) {
                        break;
                    }
                    entries.insert((stream, unordered), sent.mid);
                }
            }
            covered += 1;
        }
        if covered == self.outstanding.first() {
            return None;
        }
        skipped.clear();
        skipped.extend(
            entries
                .into_iter()
                .map(|((stream, unordered), mid)| SkippedMessage { stream, unordered, mid }),
        );
        self.forward.due = false;
        self.forward.kept_back = end < self.forward.point;
        self.forward.sent = Some(Sent {
            path: id,
            at: now,
            covered,
        });
        self.settle_timers(now, paths);
        if let Some(path) = paths.get_mut(id) {
            path.touch(now);
        }
        Some(self.outstanding.tsn(covered).minus(1))
    }

    /// The path whose FORWARD-TSN the last acknowledgement answered.
    pub(super) const fn forward_answered(&self) -> Option<PathId> {
        self.forward.answered
    }

    /// Whether something was given up of which the user does not know.
    pub(crate) const fn has_abandoned(&self) -> bool {
        !self.forward.failed.is_empty()
    }

    /// How many messages were given up, on one stream or on all, by one policy or by any (RFC 7496 §4.3, §4.4).
    pub(crate) fn abandoned(
        &self,
        stream: Option<StreamId>,
        policy: Option<PartialReliabilityPolicy>,
    ) -> AbandonedMessages {
        self.forward.abandoned.get(stream, policy)
    }

    /// What was given up since the last call.
    pub(crate) fn take_abandoned(&mut self) -> Vec<SendFailure> {
        std::mem::take(&mut self.forward.failed)
    }
}
