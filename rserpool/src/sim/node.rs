//! One node of a deployment: an engine, and what it takes to start it anew.

use std::time::Duration;

use sctp::Instant;
use sctp::sim::seed_of;

use super::counting::{CountingService, CountingUser};
use crate::config::{ElementConfig, EndpointConfig, RegistrarConfig};
use crate::element::{PoolElement, ServiceHost};
use crate::ids::{PeId, PoolHandle, RegistrarId};
use crate::net::{NetCommand, NetEvent, SctpAddress};
use crate::registrar::Registrar;
use crate::user::PoolUser;
use crate::wire::transport::{SctpTransport, TransportUse};

/// What a node is, for each of its lives.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    Registrar(RegistrarConfig),
    Element(ElementConfig, EndpointConfig),
    User(PoolHandle, EndpointConfig, Duration),
}

#[derive(Debug)]
pub(super) enum Role {
    Registrar(Registrar),
    Element(ServiceHost<CountingService>),
    User(CountingUser),
}

impl Role {
    fn new(plan: &Plan, address: &SctpAddress, seed: [u8; 32], name: &str) -> Self {
        match plan {
            Plan::Registrar(config) => {
                // A registrar keeps its identifier over its lives, as one with a configured identifier does.
                let id = name
                    .bytes()
                    .fold(1_u32, |id, byte| id.wrapping_mul(31).wrapping_add(byte.into()));
                let id = RegistrarId::new(id.max(1)).expect("not zero");
                Self::Registrar(Registrar::new(config.clone(), id, seed))
            }
            Plan::Element(config, endpoint) => {
                let transport = SctpTransport::new(address, TransportUse::DataPlusControl);
                let element = PoolElement::new(config.clone(), endpoint.clone(), transport, seed);
                Self::Element(ServiceHost::new(element, CountingService::default()))
            }
            Plan::User(pool, endpoint, interval) => Self::User(CountingUser::new(
                PoolUser::new(endpoint.clone(), seed),
                pool.clone(),
                *interval,
            )),
        }
    }

    fn start(&mut self, now: Instant) {
        match self {
            Self::Registrar(_) => {}
            Self::Element(element) => element.start(now),
            Self::User(user) => user.start(now),
        }
    }

    fn handle(&mut self, now: Instant, event: NetEvent) {
        match self {
            Self::Registrar(registrar) => registrar.handle(now, event),
            Self::Element(element) => element.handle(now, event),
            Self::User(user) => {
                user.engine.handle(now, event);
                user.settle(now);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Registrar(registrar) => registrar.handle_timeout(now),
            Self::Element(element) => element.handle_timeout(now),
            Self::User(user) => user.handle_timeout(now),
        }
    }

    fn poll_command(&mut self) -> Option<NetCommand> {
        match self {
            Self::Registrar(registrar) => registrar.poll_command(),
            Self::Element(element) => element.poll_command(),
            Self::User(user) => user.engine.poll_command(),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Registrar(registrar) => registrar.poll_timeout(),
            Self::Element(element) => element.poll_timeout(),
            Self::User(user) => user.poll_timeout(),
        }
    }
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) address: SctpAddress,
    pub(super) plan: Plan,
    /// `None` while it is down.
    pub(super) role: Option<Role>,
    lives: u32,
    /// What it has not seen yet, while it does nothing.
    paused: Option<Vec<NetEvent>>,
    /// When it was last started, stopped, paused or resumed.
    pub(super) changed: Instant,
    /// When a timer was due last, and how many times in a row then.
    woken: (Instant, u32),
}

impl Node {
    pub(super) const fn new(name: String, address: SctpAddress, plan: Plan) -> Self {
        Self {
            name,
            address,
            plan,
            role: None,
            lives: 0,
            paused: None,
            changed: Instant::ZERO,
            woken: (Instant::ZERO, 0),
        }
    }

    pub(super) fn start(&mut self, now: Instant, seed: u64) {
        self.lives += 1;
        self.changed = now;
        let seed = seed_of(seed, "node", &format!("{} {}", self.name, self.lives));
        let mut role = Role::new(&self.plan, &self.address, seed, &self.name);
        role.start(now);
        self.role = Some(role);
    }

    pub(super) fn stop(&mut self, now: Instant) {
        self.role = None;
        self.paused = None;
        self.changed = now;
    }

    /// Leaves the pool and ends all associations, as a program does that ends in order; the node stays up for what is
    /// still to be said.
    pub(super) fn leave(&mut self, now: Instant) {
        if let Some(Role::Element(element)) = &mut self.role {
            element.deregister(now);
        }
    }

    pub(super) fn pause(&mut self, now: Instant) {
        self.paused.get_or_insert_default();
        self.changed = now;
    }

    /// Goes on; returns what it missed.
    pub(super) fn resume(&mut self, now: Instant) -> Vec<NetEvent> {
        self.changed = now;
        self.paused.take().unwrap_or_default()
    }

    pub(super) const fn is_running(&self) -> bool {
        self.role.is_some() && self.paused.is_none()
    }

    pub(super) const fn is_up(&self) -> bool {
        self.role.is_some()
    }

    pub(super) fn handle(&mut self, now: Instant, event: NetEvent) {
        match (&mut self.paused, &mut self.role) {
            (Some(waiting), _) => waiting.push(event),
            (None, Some(role)) => role.handle(now, event),
            (None, None) => panic!("{} is down and is told {event:?}", self.name),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        // One thing may lead to another, but not without end while no time passes.
        let times = if self.woken.0 == now { self.woken.1 + 1 } else { 1 };
        assert!(times < 100, "{} wakes up without end", self.name);
        self.woken = (now, times);
        if let Some(role) = self.role.as_mut().filter(|_| self.paused.is_none()) {
            role.handle_timeout(now);
        }
    }

    pub(super) fn poll_command(&mut self) -> Option<NetCommand> {
        self.role.as_mut()?.poll_command()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.role.as_ref().filter(|_| self.paused.is_none())?.poll_timeout()
    }

    /// The pool element that it is, while it is one.
    pub(super) fn pe(&self) -> Option<(&PoolHandle, PeId)> {
        match (&self.plan, &self.role) {
            (Plan::Element(config, _), Some(Role::Element(element))) => {
                Some((config.pool(), element.element().pe_id()))
            }
            _ => None,
        }
    }

    /// How many sessions it serves, if it is an element that is up.
    pub(super) fn sessions(&self) -> Option<usize> {
        match &self.role {
            Some(Role::Element(element)) => Some(element.service().sessions()),
            _ => None,
        }
    }

    pub(super) const fn registrar(&self) -> Option<&Registrar> {
        match &self.role {
            Some(Role::Registrar(registrar)) => Some(registrar),
            _ => None,
        }
    }

    pub(super) const fn user(&self) -> Option<&CountingUser> {
        match &self.role {
            Some(Role::User(user)) => Some(user),
            _ => None,
        }
    }
}
