//! The search for a registrar (server hunt, RFC 5352 §3.6).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sctp::Instant;
use sctp::random::Random;
use sctp::time::earliest;

use super::registrars::{Registrars, same_end_point};
use crate::config::EndpointConfig;
use crate::net::{ConnId, SctpAddress};
use crate::outbox::Outbox;

/// How many registrars are tried at a time (SH1).
const MAX_PARALLEL: usize = 3;

/// A search: rounds in which each known registrar is tried once, a few at a time; the first that answers wins.
#[derive(Debug)]
pub(crate) struct Hunt {
    running: bool,
    attempts: BTreeMap<ConnId, SctpAddress>,
    /// Those tried in this round, and when.
    tried: BTreeMap<SctpAddress, Instant>,
    /// Those that failed before are tried after the others.
    suspects: BTreeSet<SctpAddress>,
    /// T5-Serverhunt: when this round is given up.
    t5: Option<Instant>,
    t5_value: Duration,
    /// When those that refused are tried again.
    retry: Option<Instant>,
    retry_value: Duration,
    /// When the last search succeeded.
    won: Option<Instant>,
}

impl Hunt {
    pub(crate) const fn new(config: &EndpointConfig) -> Self {
        Self {
            running: false,
            attempts: BTreeMap::new(),
            tried: BTreeMap::new(),
            suspects: BTreeSet::new(),
            t5: None,
            t5_value: config.t5_server_hunt(),
            retry: None,
            retry_value: config.hunt_retry(),
            won: None,
        }
    }

    /// Starts a search, unless one is running. `suspect` is the registrar that was lost.
    pub(crate) fn start(&mut self, now: Instant, suspect: Option<SctpAddress>, search: &mut Search<'_>) {
        if self.running {
            return;
        }
        self.running = true;
        self.suspects = suspect.into_iter().collect();
        self.t5_value = search.config.t5_server_hunt();
        let earliest_start = self.won.take().map(|won| won + self.retry_value);
        if let Some(at) = earliest_start.filter(|at| *at > now) {
            // The last one was lost as soon as it was found: no haste, or a registrar that turns all away keeps this
            // end busy.
            self.tried = search
                .registrars
                .known(now)
                .into_iter()
                .map(|place| (place, now))
                .collect();
            self.t5 = Some(now + self.t5_value);
            self.retry = Some(at);
            self.back_off();
            return;
        }
        self.retry_value = search.config.hunt_retry();
        self.round(now, search);
    }

    /// Registrars have announced themselves: tries them if there is room, also those that failed a while ago.
    pub(crate) fn announced(&mut self, now: Instant, places: &[SctpAddress], search: &mut Search<'_>) {
        if !self.running {
            return;
        }
        let pause = search.config.hunt_retry();
        let under_way: BTreeSet<&SctpAddress> = self.attempts.values().collect();
        self.tried
            .retain(|place, at| now - *at < pause || under_way.contains(place) || !places.contains(place));
        self.try_more(now, search);
    }

    /// An association is up. If it is one of the search, the search is over: the registrar that won.
    pub(crate) fn connected(&mut self, now: Instant, conn: ConnId, out: &mut Outbox) -> Option<SctpAddress> {
        let winner = self.attempts.remove(&conn)?;
        self.won = Some(now);
        self.stop(out);
        Some(winner)
    }

    /// An association is over; says whether it was one of the search.
    pub(crate) fn closed(&mut self, now: Instant, conn: ConnId, search: &mut Search<'_>) -> bool {
        if self.attempts.remove(&conn).is_none() {
            return false;
        }
        // SH4: another transport address.
        self.try_more(now, search);
        if self.attempts.is_empty() && self.retry.is_none() {
            self.retry = Some(now + self.retry_value);
            self.back_off();
        }
        true
    }

    /// Ends the search, whatever its outcome.
    pub(crate) fn stop(&mut self, out: &mut Outbox) {
        for conn in std::mem::take(&mut self.attempts).into_keys() {
            out.abort(conn);
        }
        self.running = false;
        self.tried.clear();
        (self.t5, self.retry) = (None, None);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.t5, self.retry)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, search: &mut Search<'_>) {
        if self.t5.is_some_and(|at| at <= now) {
            // SH5: double the timer, give up what was tried, and start over.
            self.t5_value = self.t5_value.saturating_mul(2).min(search.config.retran_max());
            self.suspects.clear();
            for (conn, place) in std::mem::take(&mut self.attempts) {
                search.out.abort(conn);
                self.suspects.insert(place);
            }
            self.round(now, search);
        } else if self.retry.is_some_and(|at| at <= now) {
            self.retry = None;
            self.tried.clear();
            self.try_more(now, search);
        }
    }

    fn back_off(&mut self) {
        self.retry_value = self.retry_value.saturating_mul(2).min(self.t5_value);
    }

    fn round(&mut self, now: Instant, search: &mut Search<'_>) {
        self.retry = None;
        self.tried.clear();
        // SH2.
        self.t5 = Some(now + self.t5_value);
        self.try_more(now, search);
    }

    fn try_more(&mut self, now: Instant, search: &mut Search<'_>) {
        while self.attempts.len() < MAX_PARALLEL {
            let known = search.registrars.known(now);
            let is_tried = |place: &SctpAddress| self.tried.keys().any(|tried| same_end_point(tried, place));
            let is_suspect = |place: &SctpAddress| self.suspects.iter().any(|suspect| same_end_point(suspect, place));
            let open: Vec<&SctpAddress> = known.iter().filter(|place| !is_tried(place)).collect();
            let unsuspected: Vec<&SctpAddress> = open.iter().copied().filter(|place| !is_suspect(place)).collect();
            let drawn = search.random.below(u64::try_from(unsuspected.len()).unwrap_or(0));
            let drawn = usize::try_from(drawn).unwrap_or(0);
            let Some(place) = unsuspected.get(drawn).or_else(|| open.first()).copied().cloned() else {
                return;
            };
            self.tried.insert(place.clone(), now);
            let conn = search.out.connect(place.clone());
            self.attempts.insert(conn, place.clone());
        }
    }
}

/// What a search works with.
pub(crate) struct Search<'a> {
    pub(crate) config: &'a EndpointConfig,
    pub(crate) registrars: &'a mut Registrars,
    pub(crate) random: &'a mut Random,
    pub(crate) out: &'a mut Outbox,
}
