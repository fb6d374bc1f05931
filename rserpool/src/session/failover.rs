//! How a session finds an element, and another one when that fails (RFC 5352 §3.5, §6.5.1).

use super::{FailoverReason, Session, SessionEvent, State, Surroundings, Unavailable};
use crate::asap::{Answer, Request};
use crate::ids::PeId;

/// How many elements of an answer a session tries before it asks again.
const MAX_CANDIDATES: usize = 16;

impl Session {
    /// Finds elements to try: from the cache if it is fresh, else by handle resolution. Without a registrar, an old
    /// answer is better than none.
    pub(super) fn seek(&mut self, around: &mut Surroundings<'_>) {
        let max_age = around.link.config().stale_cache_value();
        let is_fresh = around.cache.lookup(around.now, &self.pool, max_age).is_some();
        if is_fresh || !around.link.is_up() {
            self.take_candidates(around);
            if self.try_next(around) {
                return;
            }
        }
        let request = Request::Resolve {
            pool: self.pool.clone(),
            items: around.link.config().resolution_items(),
        };
        match around.link.request(around.now, request, around.out) {
            Some(request) => self.state = State::Resolving(request),
            None => self.wait(Unavailable::NoAnswer, around),
        }
    }

    /// The handle resolution has come to its end; what it brought is in the cache.
    pub(crate) fn resolved(&mut self, answer: &Answer, around: &mut Surroundings<'_>) {
        if !matches!(self.state, State::Resolving(_)) {
            return;
        }
        let reason = match answer {
            Answer::Resolved { .. } => Unavailable::NoElement,
            Answer::ResolutionRefused { error } => Unavailable::Refused(error.clone()),
            Answer::NoRegistrar => Unavailable::NoRegistrar,
            _ => Unavailable::NoAnswer,
        };
        self.take_candidates(around);
        if !self.try_next(around) {
            self.wait(reason, around);
        }
    }

    /// The registrar that was asked is lost. Now as well, an old answer is better than none: it may take long to find
    /// another registrar, and to be answered there.
    pub(crate) fn registrar_lost(&mut self, around: &mut Surroundings<'_>) {
        if matches!(self.state, State::Resolving(_)) {
            self.take_candidates(around);
            self.try_next(around);
        }
    }

    fn take_candidates(&mut self, around: &mut Surroundings<'_>) {
        let pause = self.config.retry();
        let mut candidates = around.cache.candidates(around.now, &self.pool, pause, around.random);
        // BC2: the recommended order first.
        let rank = |pe: PeId| self.preferred.iter().position(|preferred| *preferred == pe);
        candidates.sort_by_key(|candidate| rank(candidate.pe).unwrap_or(usize::MAX));
        candidates.truncate(MAX_CANDIDATES);
        self.candidates = candidates.into();
    }

    /// Connects to the next candidate; says whether there was one.
    fn try_next(&mut self, around: &mut Surroundings<'_>) -> bool {
        let Some(candidate) = self.candidates.pop_front() else {
            return false;
        };
        let conn = around.out.connect(candidate.address);
        let until = around.now + self.config.connect_timeout();
        self.state = State::Connecting {
            conn,
            pe: candidate.pe,
            until,
        };
        true
    }

    pub(super) fn could_not_connect(&mut self, pe: PeId, around: &mut Surroundings<'_>) {
        self.report(pe, around);
        if !self.try_next(around) {
            self.wait(Unavailable::Unreachable, around);
        }
    }

    /// §3.5: tells the registrar, and forgets the element for now.
    fn report(&self, pe: PeId, around: &mut Surroundings<'_>) {
        around.link.report_unreachable(self.pool.clone(), pe, around.out);
        around.cache.failed(around.now, &self.pool, pe);
    }

    /// Ends the association with the element that serves the session, and seeks another one. An element that failed is
    /// reported.
    pub(crate) fn fail_over(&mut self, reason: FailoverReason, failed: bool, around: &mut Surroundings<'_>) {
        if let State::Connected { conn, .. } = self.state {
            around.out.abort(conn);
            self.turn_away(reason, failed, around);
        }
    }

    /// The association with the element that served the session is over: seeks another element.
    pub(super) fn turn_away(&mut self, reason: FailoverReason, failed: bool, around: &mut Surroundings<'_>) {
        let State::Connected { pe, since, .. } = self.state else {
            return;
        };
        self.reply_due = None;
        around.events.push(SessionEvent::FailoverStarted { pe, reason });
        if failed {
            self.report(pe, around);
        } else {
            around.cache.failed(around.now, &self.pool, pe);
        }
        around.cache.forget_element(&self.pool, pe);
        let lasted = around.now - since >= self.config.retry();
        if lasted || self.attempts == 0 {
            self.attempts = u32::from(!lasted);
            self.seek(around);
        } else {
            // Elements that take users and drop them at once must not keep this end busy.
            self.wait(Unavailable::Unreachable, around);
        }
    }

    /// An attempt to find an element has failed: the next one is due after a pause that doubles from time to time.
    fn wait(&mut self, reason: Unavailable, around: &mut Surroundings<'_>) {
        self.attempts = self.attempts.saturating_add(1);
        if self.config.max_attempts().is_some_and(|max| self.attempts >= max) {
            self.state = State::Over;
            let reason = Some(reason);
            return around.events.push(SessionEvent::Ended { reason });
        }
        let doublings = self.attempts.saturating_sub(1).min(16);
        let pause = self
            .config
            .retry()
            .saturating_mul(1 << doublings)
            .min(self.config.retry_max());
        self.state = State::Waiting {
            until: around.now + pause,
        };
        around.events.push(SessionEvent::Unavailable { reason });
    }
}
