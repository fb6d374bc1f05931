//! The registration of a pool element: made, renewed, changed, ended (RFC 5352 §3.1, §3.2).

use std::sync::Arc;
use std::time::Duration;

use sctp::Instant;
use sctp::random::Random;
use sctp::time::earliest;

use super::{ElementEvent, RegistrationFailure};
use crate::asap::{Answer, RegistrarLink, Request, RequestId};
use crate::config::ElementConfig;
use crate::ids::{PeId, PoolHandle};
use crate::outbox::Outbox;
use crate::wire::cause::{CauseCode, OperationError};
use crate::wire::element::{PoolElementParam, RegistrationLife};
use crate::wire::policy::PolicyParam;
use crate::wire::transport::Transport;

/// How many identifiers are drawn before a pool counts as full of them.
const MAX_DRAWS: u32 = 16;

/// The least time between two registrations where a registrar, and not this end, is the reason for the second.
const MIN_REPEAT: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not registered at the present registrar, but going to be.
    Wanted,
    Registered,
    /// Refused; only a change or another registrar makes a new attempt worth while (§3.1).
    Refused,
    /// Not to be registered (any more).
    Off,
}

/// The registration of a pool element.
#[derive(Debug)]
pub(crate) struct Registration {
    config: Arc<ElementConfig>,
    random: Random,
    pe: PeId,
    user_transport: Transport,
    policy: PolicyParam,
    state: State,
    /// Whether there is a home registrar. Without one there is nobody to tell changes to, and nothing to wait for.
    has_registrar: bool,
    /// The registration that waits for its answer.
    registering: Option<RequestId>,
    /// The deregistration that waits for its answer.
    deregistering: Option<RequestId>,
    /// What was said last.
    told: Option<PolicyParam>,
    last_sent: Option<Instant>,
    /// T4-reregistration.
    t4: Option<Instant>,
    /// When a change is told.
    update: Option<Instant>,
    draws: u32,
}

impl Registration {
    pub(crate) fn new(config: Arc<ElementConfig>, user_transport: Transport, mut random: Random) -> Self {
        Self {
            pe: config.pe_id().unwrap_or_else(|| PeId::random(&mut random)),
            random,
            user_transport,
            policy: config.policy().clone(),
            state: State::Wanted,
            has_registrar: false,
            registering: None,
            deregistering: None,
            told: None,
            last_sent: None,
            t4: None,
            update: None,
            draws: 0,
            config,
        }
    }

    pub(crate) const fn pe(&self) -> PeId {
        self.pe
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.state == State::Registered
    }

    pub(crate) fn pool(&self) -> &PoolHandle {
        self.config.pool()
    }

    /// There is a home registrar, one that may not know this element.
    pub(crate) fn registrar_up(&mut self, now: Instant, link: &mut RegistrarLink, out: &mut Outbox) {
        self.has_registrar = true;
        if self.state != State::Off {
            self.state = State::Wanted;
            self.register(now, link, out);
        }
    }

    /// The home registrar was lost.
    pub(crate) fn registrar_down(&mut self) {
        self.has_registrar = false;
        if self.state == State::Registered {
            self.state = State::Wanted;
        }
        (self.t4, self.update) = (None, None);
    }

    /// The home registrar does not have this element any more.
    pub(crate) fn removed(&mut self, now: Instant) {
        if self.state == State::Registered {
            self.state = State::Wanted;
            self.schedule(now, MIN_REPEAT);
        }
    }

    /// Sets the policy to register with.
    pub(crate) fn set_policy(&mut self, now: Instant, policy: PolicyParam) {
        self.policy = policy;
        if self.state == State::Refused {
            self.state = State::Wanted;
        }
        self.tell_change(now);
    }

    /// Sets the load within the policy. Small changes are not told.
    pub(crate) fn set_load(&mut self, now: Instant, load: u32) {
        if !self.policy.set_load(load) {
            return;
        }
        let told = self.told.as_ref().and_then(PolicyParam::load);
        let matters = |told: u32| told.abs_diff(load) >= self.config.load_step().max(1) || (load == 0 && told != 0);
        if told.is_none_or(matters) {
            self.tell_change(now);
        }
    }

    fn tell_change(&mut self, now: Instant) {
        if matches!(self.state, State::Wanted | State::Registered) {
            self.schedule(now, self.config.min_update_interval());
        }
    }

    /// Registers again, `pause` after the last registration at the earliest.
    fn schedule(&mut self, now: Instant, pause: Duration) {
        if !self.has_registrar {
            // The registration with the next one tells it.
            return;
        }
        let at = self.last_sent.map_or(now, |last| now.max(last + pause));
        self.update = Some(self.update.map_or(at, |update| update.max(at)));
    }

    /// Ends the registration. Says whether there is nothing to wait for.
    pub(crate) fn deregister(&mut self, now: Instant, link: &mut RegistrarLink, out: &mut Outbox) -> bool {
        let known_somewhere = self.last_sent.is_some();
        let was = std::mem::replace(&mut self.state, State::Off);
        (self.t4, self.update) = (None, None);
        if self.deregistering.is_some() {
            return false;
        }
        if was == State::Off || !known_somewhere {
            return true;
        }
        let (pool, pe) = (self.config.pool().clone(), self.pe);
        self.deregistering = link.request(now, Request::Deregister { pool, pe }, out);
        self.deregistering.is_none()
    }

    pub(crate) fn answered(&mut self, now: Instant, request: RequestId, answer: Answer) -> Option<ElementEvent> {
        if self.deregistering == Some(request) {
            self.deregistering = None;
            let confirmed = matches!(answer, Answer::Deregistered { error: None });
            return Some(ElementEvent::Deregistered { confirmed });
        }
        if self.registering != Some(request) {
            return None;
        }
        self.registering = None;
        if self.state == State::Off {
            return None;
        }
        match answer {
            Answer::Registered { warning } => Some(self.accepted(now, warning)),
            Answer::RegistrationRefused { error } => self.refused(now, error),
            _ => Some(ElementEvent::RegistrationFailed {
                reason: RegistrationFailure::NoAnswer,
            }),
        }
    }

    fn accepted(&mut self, now: Instant, warning: Option<OperationError>) -> ElementEvent {
        let again = self.state == State::Registered;
        self.state = State::Registered;
        self.draws = 0;
        self.t4 = Some(now + self.config.reregistration_interval());
        if self.told.as_ref() != Some(&self.policy) {
            self.tell_pending(now);
        }
        ElementEvent::Registered {
            pe: self.pe,
            again,
            warning,
        }
    }

    /// Something changed while the registration was under way.
    fn tell_pending(&mut self, now: Instant) {
        match self.policy.load() {
            Some(load)
                if self
                    .told
                    .as_ref()
                    .is_some_and(|told| told.number() == self.policy.number()) =>
            {
                self.set_load(now, load);
            }
            _ => self.tell_change(now),
        }
    }

    fn refused(&mut self, now: Instant, error: Option<OperationError>) -> Option<ElementEvent> {
        let taken = error
            .as_ref()
            .is_some_and(|error| error.code() == CauseCode::NON_UNIQUE_PE_IDENTIFIER);
        if taken && self.config.pe_id().is_none() && self.draws < MAX_DRAWS {
            self.draws += 1;
            self.pe = PeId::random(&mut self.random);
            self.state = State::Wanted;
            self.schedule(now, MIN_REPEAT);
            return None;
        }
        // §3.1: no new attempt without correcting the error.
        self.state = State::Refused;
        (self.t4, self.update) = (None, None);
        Some(ElementEvent::RegistrationFailed {
            reason: RegistrationFailure::Refused(error),
        })
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        // A change waits for the registration under way, and for a registrar to be there.
        let update = self.update.filter(|_| self.registering.is_none());
        earliest(self.t4, update)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, link: &mut RegistrarLink, out: &mut Outbox) {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            self.t4 = None;
            self.register(now, link, out);
        }
    }

    fn register(&mut self, now: Instant, link: &mut RegistrarLink, out: &mut Outbox) {
        self.update = None;
        if self.registering.is_some() || !link.is_up() || matches!(self.state, State::Off | State::Refused) {
            return;
        }
        let life = RegistrationLife::new(self.config.registration_life(), self.config.life_unit());
        let element = PoolElementParam {
            id: self.pe,
            home: link.home_server(),
            life,
            user_transport: self.user_transport.clone(),
            policy: self.policy.clone(),
            // The registrar fills it in (§3.1).
            asap_transport: None,
        };
        let pool = self.config.pool().clone();
        self.registering = link.request(now, Request::Register { pool, element }, out);
        self.told = Some(self.policy.clone());
        self.last_sent = Some(now);
    }
}
