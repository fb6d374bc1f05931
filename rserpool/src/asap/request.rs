//! Requests to a registrar and their answers (RFC 5352 §3.1 to §3.3, §3.7).

use std::collections::VecDeque;
use std::time::Duration;

use sctp::Instant;
use sctp::time::earliest;

use crate::config::EndpointConfig;
use crate::ids::{PeId, PoolHandle};
use crate::net::ConnId;
use crate::outbox::Outbox;
use crate::wire::asap::AsapMessage;
use crate::wire::cause::OperationError;
use crate::wire::element::PoolElementParam;
use crate::wire::policy::PolicyParam;

/// How many requests may wait for an answer.
const MAX_PENDING: usize = 1024;

/// Names a request of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// What a registrar was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Register {
        pool: PoolHandle,
        element: PoolElementParam,
    },
    Deregister {
        pool: PoolHandle,
        pe: PeId,
    },
    Resolve {
        pool: PoolHandle,
        items: Option<u32>,
    },
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Registered {
        warning: Option<OperationError>,
    },
    RegistrationRefused {
        error: Option<OperationError>,
    },
    Deregistered {
        error: Option<OperationError>,
    },
    Resolved {
        policy: Option<PolicyParam>,
        elements: Vec<PoolElementParam>,
    },
    ResolutionRefused {
        error: OperationError,
    },
    /// Registrars did not answer, time and again.
    Silence,
    /// There was no registrar to ask.
    NoRegistrar,
}

/// How patient requests are.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// How long an answer is waited for.
    timer: Duration,
    /// How often the request is sent, when answers fail to come.
    attempts: u32,
    /// Whether the request also waits for a registrar to be found, however long that takes.
    waits_for_registrar: bool,
}

impl Request {
    fn patience(&self, config: &EndpointConfig) -> Patience {
        match self {
            Self::Register { .. } => Patience {
                timer: config.t2_registration(),
                attempts: config.max_reg_attempt(),
                waits_for_registrar: true,
            },
            Self::Deregister { .. } => Patience {
                timer: config.t3_deregistration(),
                attempts: 1,
                waits_for_registrar: false,
            },
            Self::Resolve { .. } => Patience {
                timer: config.t1_enrp_request(),
                attempts: config.max_request_retransmit().saturating_add(1),
                waits_for_registrar: false,
            },
        }
    }

    fn message(&self) -> AsapMessage {
        match self.clone() {
            Self::Register { pool, element } => AsapMessage::Registration { pool, element },
            Self::Deregister { pool, pe } => AsapMessage::Deregistration { pool, pe },
            Self::Resolve { pool, items } => AsapMessage::HandleResolution {
                pool,
                subscribe: false,
                items,
            },
        }
    }

    /// Whether a response of a registrar is about this request.
    fn is_answered_by(&self, response: &AsapMessage) -> bool {
        match (self, response) {
            (Self::Register { pool, element }, AsapMessage::RegistrationResponse { pool: p, pe, .. }) => {
                pool == p && element.id == *pe
            }
            (Self::Deregister { pool, pe }, AsapMessage::DeregistrationResponse { pool: p, pe: e, .. }) => {
                pool == p && pe == e
            }
            (Self::Resolve { pool, .. }, AsapMessage::HandleResolutionResponse { pool: p, .. }) => pool == p,
            _ => false,
        }
    }
}

#[derive(Debug)]
struct Pending {
    id: RequestId,
    request: Request,
    /// T1, T2 or T3, once it was sent to the present registrar.
    timer: Option<Instant>,
    /// When it is given up for want of a registrar.
    expires: Option<Instant>,
    sent: u32,
}

/// The requests that wait for an answer, in the order they were made.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pending: VecDeque<Pending>,
    next_id: u64,
}

impl Requests {
    /// Takes a request; it is sent at once if there is a registrar. `None` when too many wait already.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        request: Request,
        home: Option<ConnId>,
        config: &EndpointConfig,
        out: &mut Outbox,
    ) -> Option<RequestId> {
        if self.pending.len() >= MAX_PENDING {
            return None;
        }
        let id = RequestId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        let patience = request.patience(config);
        let expires = now + patience.timer.saturating_mul(patience.attempts);
        let mut pending = Pending {
            id,
            request,
            timer: None,
            expires: (!patience.waits_for_registrar).then_some(expires),
            sent: 0,
        };
        if let Some(conn) = home {
            pending.send(now, conn, config, out);
        }
        self.pending.push_back(pending);
        Some(id)
    }

    /// A registrar was found: sends it all that waits (§3.7.1).
    pub(crate) fn send_all(&mut self, now: Instant, conn: ConnId, config: &EndpointConfig, out: &mut Outbox) {
        for pending in &mut self.pending {
            pending.send(now, conn, config, out);
        }
    }

    /// The registrar was lost: nothing that was sent will be answered.
    pub(crate) fn registrar_lost(&mut self, now: Instant, config: &EndpointConfig) {
        for pending in &mut self.pending {
            let patience = pending.request.patience(config);
            if pending.timer.take().is_some() && !patience.waits_for_registrar {
                pending.expires = Some(now + patience.timer.saturating_mul(patience.attempts));
            }
        }
    }

    /// Finds the request that a response answers: the oldest of its kind about the same pool and element. Registrars
    /// answer in order, and there are no transaction numbers.
    pub(crate) fn answered(&mut self, response: &AsapMessage) -> Option<RequestId> {
        let is_it = |pending: &Pending| pending.timer.is_some() && pending.request.is_answered_by(response);
        let at = self.pending.iter().position(is_it)?;
        self.pending.remove(at).map(|pending| pending.id)
    }

    /// Whether a request was sent and not yet answered.
    pub(crate) fn is_waiting(&self) -> bool {
        self.pending.iter().any(|pending| pending.timer.is_some())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let times = self
            .pending
            .iter()
            .map(|pending| earliest(pending.timer, pending.expires));
        times.fold(None, earliest)
    }

    /// Takes out the requests that will not be answered any more, and says whether the registrar failed to answer one
    /// in time.
    pub(crate) fn handle_timeout(&mut self, now: Instant, config: &EndpointConfig) -> (Vec<(RequestId, Answer)>, bool) {
        let mut silent = false;
        let mut given_up = Vec::new();
        self.pending.retain(|pending| {
            let late = pending.timer.is_some_and(|at| at <= now);
            silent |= late;
            if late && pending.sent >= pending.request.patience(config).attempts {
                given_up.push((pending.id, Answer::Silence));
                return false;
            }
            if pending.timer.is_none() && pending.expires.is_some_and(|at| at <= now) {
                let answer = if pending.sent > 0 {
                    Answer::Silence
                } else {
                    Answer::NoRegistrar
                };
                given_up.push((pending.id, answer));
                return false;
            }
            true
        });
        (given_up, silent)
    }
}

impl Pending {
    fn send(&mut self, now: Instant, conn: ConnId, config: &EndpointConfig, out: &mut Outbox) {
        self.timer = Some(now + self.request.patience(config).timer);
        // What was asked has its chance now; from here on only answers are waited for.
        self.expires = None;
        self.sent = self.sent.saturating_add(1);
        out.send_asap(conn, &self.request.message());
    }
}
