//! Graceful end of an association (RFC 9260 §9.2).

use super::causes::causes;
use super::control_out::Farewell;
use super::state::{Repeat, ShutdownTimers, State};
use super::{Association, AssociationPhase, user_abort};
use crate::error::{FailureReason, Violation};
use crate::event::Event;
use crate::path::{Path, PathId, PathState};
use crate::send::SackResult;
use crate::time::Instant;
use crate::wire::{Cause, Shutdown};

impl Association {
    /// The user asked for shutdown (§11.1.3).
    pub(crate) fn shutdown(&mut self, now: Instant) {
        match &mut self.state {
            State::CookieWait { shutdown_wanted, .. } | State::CookieEchoed { shutdown_wanted, .. } => {
                *shutdown_wanted = true;
            }
            State::Established => {
                self.transition(State::ShutdownPending);
                self.advance_shutdown(now);
            }
            _ => {}
        }
    }

    /// When the association has been idle for as long as the user allows (RFC 6458 §8.1.8).
    pub(super) fn autoclose_at(&self) -> Option<Instant> {
        let idle = self.config.autoclose()?;
        (self.phase() == AssociationPhase::Established).then(|| self.last_activity + idle)
    }

    /// Ends the association if it has been idle long enough. One with data on its way is not idle.
    pub(super) fn on_autoclose_timer(&mut self, now: Instant) {
        if self.autoclose_at().is_none_or(|at| at > now) {
            return;
        }
        if self.outbound.is_empty() && !self.outbound.has_open() {
            tracing::debug!("idle for long enough");
            self.shutdown(now);
        } else {
            self.last_activity = now;
        }
    }

    /// Goes on with a shutdown that waits for everything to be acknowledged, and for an address that it can go on with:
    /// with a SHUTDOWN or SHUTDOWN ACK addresses are neither verified (§8.3) nor, later, changed (RFC 5061 §5.1.1 C4)
    /// any more, so both must be over if nothing can be sent before. What the peer sends must be understood, too.
    pub(super) fn advance_shutdown(&mut self, now: Instant) {
        let all_done = self.outbound.is_empty() || self.outbound.waits_for_user();
        if !all_done || !self.may_be_used(self.control_destination()) || self.is_unsure_of_numbers() {
            return;
        }
        let ends = matches!(
            self.phase(),
            AssociationPhase::ShutdownPending | AssociationPhase::ShutdownReceived
        );
        if ends && self.outbound.has_open() {
            // The peer would wait for the rest of the message, or take what it has for the whole.
            return self.abort(user_abort(b"a message is not complete"), FailureReason::UserAbort);
        }
        match self.phase() {
            AssociationPhase::ShutdownPending => {
                let timers = self.shutdown_timers(now);
                self.transition(State::ShutdownSent(timers));
                self.control.shutdown = true;
                self.fail_requests();
                self.stop_probing();
            }
            AssociationPhase::ShutdownReceived => self.send_shutdown_ack(now),
            _ => {}
        }
    }

    fn shutdown_timers(&self, now: Instant) -> ShutdownTimers {
        // T5-shutdown-guard is 5 times RTO.Max (§9.2).
        ShutdownTimers {
            t2: Repeat {
                at: now + self.current_rto(),
                attempts: 0,
            },
            t5: now + self.config.rto_max() * 5,
        }
    }

    fn send_shutdown_ack(&mut self, now: Instant) {
        let mut timers = self.shutdown_timers(now);
        if let State::ShutdownSent(sent) = &self.state {
            timers.t5 = sent.t5;
        }
        self.transition(State::ShutdownAckSent(timers));
        self.control.shutdown = false;
        self.control.shutdown_ack = true;
        self.fail_requests();
        self.stop_asconf();
        self.stop_probing();
    }

    /// §8.3: heartbeats end with SHUTDOWN and SHUTDOWN ACK.
    fn stop_probing(&mut self) {
        for (_, path) in self.paths.iter_mut() {
            path.disarm_probe();
        }
    }

    /// T2-shutdown or T5-shutdown-guard expired.
    pub(super) fn on_shutdown_timer(&mut self, now: Instant) {
        let (limit, rto) = (self.config.association_max_retrans(), self.current_rto());
        let rto_max = self.config.rto_max();
        let (State::ShutdownSent(timers) | State::ShutdownAckSent(timers)) = &mut self.state else {
            return;
        };
        if timers.t5 <= now {
            let reason = causes(|w| Cause::ProtocolViolation(b"shutdown took too long").write(w));
            return self.abort(reason, FailureReason::ShutdownTimeout);
        }
        timers.t2.attempts = timers.t2.attempts.saturating_add(1);
        self.stats.t2_expiries += 1;
        tracing::debug!(attempts = timers.t2.attempts, "T2-shutdown expired");
        if timers.t2.attempts > limit {
            return self.terminate(Err(FailureReason::PeerUnreachable));
        }
        let backed_off = rto * 2u32.saturating_pow(timers.t2.attempts.into());
        timers.t2.at = now + backed_off.min(rto_max);
        self.repeat_shutdown();
        self.verify_if_cut_off();
        // Another path may carry it (§6.4.1). Nothing else finds out about paths any more.
        self.on_missing_answer(now, self.control_path, false, true);
        self.control_path = self.paths.for_retransmission(self.control_path);
    }

    /// The peer may delete what it could be reached at while the SHUTDOWN is under way (RFC 5061 §5.1.1 C4). What is
    /// left must be verified then, or the SHUTDOWN could not be sent again.
    fn verify_if_cut_off(&mut self) {
        if self.may_be_used(self.control_destination()) {
            return;
        }
        for (_, path) in self.paths.iter_mut() {
            if path.state == PathState::Unconfirmed {
                path.request_probe();
            }
        }
    }

    fn repeat_shutdown(&mut self) {
        match self.phase() {
            AssociationPhase::ShutdownSent => self.control.shutdown = true,
            AssociationPhase::ShutdownAckSent => self.control.shutdown_ack = true,
            _ => {}
        }
    }

    /// A packet arrived while the own SHUTDOWN waits for its answer: the peer is there (§9.2). DATA is answered with a
    /// SHUTDOWN that acknowledges it, and gives the peer time for the rest. Other packets do not stop T2-shutdown: a
    /// peer whose heartbeats come more often than that would never learn of a SHUTDOWN that was lost.
    pub(super) fn on_packet_while_shutting_down(&mut self, now: Instant, had_data: bool) {
        let rto = self.current_rto();
        if let State::ShutdownSent(timers) = &mut self.state {
            timers.t2.attempts = 0;
            if had_data {
                timers.t2.at = now + rto;
                self.control.shutdown = true;
            }
        }
    }

    /// A SHUTDOWN arrived.
    pub(super) fn on_shutdown(&mut self, now: Instant, value: &[u8]) {
        let Ok(chunk) = Shutdown::parse(value) else { return };
        if matches!(
            self.phase(),
            AssociationPhase::Established | AssociationPhase::ShutdownPending
        ) {
            self.transition(State::ShutdownReceived);
            self.tell(Event::PeerShutdown);
        }
        match self.phase() {
            AssociationPhase::ShutdownReceived => {
                let result = self
                    .outbound
                    .on_cumulative_ack(now, chunk.cumulative_tsn_ack, &mut self.paths);
                match result {
                    SackResult::Impossible if self.awaits_association_reset() => {}
                    SackResult::Impossible => {
                        let text = causes(|w| Cause::ProtocolViolation(b"SHUTDOWN acknowledges unsent data").write(w));
                        return self.abort_violation(Violation::AcknowledgedUnsent, text);
                    }
                    SackResult::Taken { progress } => self.after_acknowledgement(now, progress),
                    SackResult::Old | SackResult::Fickle => {}
                }
                self.advance_shutdown(now);
            }
            AssociationPhase::ShutdownSent => self.send_shutdown_ack(now),
            AssociationPhase::ShutdownAckSent => self.control.shutdown_ack = true,
            _ => {}
        }
    }

    /// A SHUTDOWN ACK arrived: it is over (§9.2).
    pub(super) fn on_shutdown_ack(&mut self, from: PathId) {
        if matches!(
            self.phase(),
            AssociationPhase::ShutdownSent | AssociationPhase::ShutdownAckSent
        ) {
            self.control.farewell = Some(Farewell::ShutdownComplete(self.reply_path(from)));
            self.terminate(Ok(()));
        }
    }

    /// A SHUTDOWN COMPLETE arrived, under the own tag or, reflected, under the peer's; outside of SHUTDOWN-ACK-SENT it
    /// means nothing (§8.5.1 C).
    pub(crate) fn on_shutdown_complete(&mut self) {
        if self.phase() == AssociationPhase::ShutdownAckSent {
            self.terminate(Ok(()));
        }
    }

    /// An INIT of the peer arrived in SHUTDOWN-ACK-SENT: the SHUTDOWN COMPLETE was lost (§9.2).
    pub(crate) fn repeat_shutdown_ack(&mut self) {
        self.control.shutdown_ack = true;
    }

    /// The retransmission time-out of the path in use.
    pub(super) fn current_rto(&self) -> std::time::Duration {
        self.paths
            .get(self.paths.for_new_data(None))
            .map_or_else(|| self.config.rto_initial(), Path::rto)
    }
}
