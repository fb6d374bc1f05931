//! The SCTP ports as this process knows them: everyone's at the holder, its own at a guest. Raw sockets, which get the
//! packets for all processes, are told which are for this one.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::common::Common;
use super::registry::{Owner, Refusal, Registry};
use crate::userland::device::{Gate, PortFilter, RawDevice};

/// The ports, for the thread of a shared port and for raw sockets.
#[derive(Debug)]
pub(super) struct Ports {
    state: Mutex<State>,
    raw: Weak<RawDevice>,
}

#[derive(Debug, Default)]
struct State {
    registry: Registry,
    /// Whether what is for nobody is for this process, to be answered.
    answers: bool,
    /// What the raw sockets were told last.
    told: Option<PortFilter>,
}

impl Ports {
    /// No ports yet. Raw sockets take nothing in from now on.
    pub(super) fn new(common: &Common) -> Arc<Self> {
        let raw = match common {
            Common::Udp(_) => Weak::new(),
            Common::Raw(raw) => Arc::downgrade(raw),
        };
        let ports = Arc::new(Self {
            state: Mutex::default(),
            raw,
        });
        if let Common::Raw(raw) = common {
            raw.guard(Arc::clone(&ports) as Arc<dyn Gate>);
        }
        ports.tell(&mut ports.lock());
        ports
    }

    /// As [`Registry::grant`].
    pub(super) fn grant(
        &self,
        owner: (Owner, u64),
        port: Option<u16>,
        addresses: Vec<IpAddr>,
        shares: bool,
        start: u16,
    ) -> Result<u16, Refusal> {
        let mut state = self.lock();
        let outcome = state.registry.grant(owner, port, addresses, shares, start);
        if outcome.is_ok() {
            self.tell(&mut state);
        }
        outcome
    }

    /// As [`Registry::release`].
    pub(super) fn release(&self, owner: Owner, id: u64) {
        let mut state = self.lock();
        state.registry.release(owner, id);
        self.tell(&mut state);
    }

    /// As [`Registry::forget`].
    pub(super) fn forget(&self, owner: Owner) {
        let mut state = self.lock();
        state.registry.forget(owner);
        self.tell(&mut state);
    }

    /// As [`Registry::find`].
    pub(super) fn find(&self, address: Option<IpAddr>, port: u16) -> Option<Owner> {
        self.lock().registry.find(address, port)
    }

    /// Whether this process answers what is for nobody.
    pub(super) fn set_answers(&self, answers: bool) {
        let mut state = self.lock();
        state.answers = answers;
        self.tell(&mut state);
    }

    fn tell(&self, state: &mut State) {
        let Some(raw) = self.raw.upgrade() else { return };
        let filter = if state.answers {
            state.registry.ports(false).map(PortFilter::AllBut)
        } else {
            state.registry.ports(true).map(PortFilter::Only)
        };
        // What is too much for a filter is left to the gate.
        let filter = filter.unwrap_or(PortFilter::AllBut(BTreeSet::new()));
        if state.told.as_ref() != Some(&filter) {
            raw.filter(&filter);
            state.told = Some(filter);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate for Ports {
    fn admits(&self, dst: IpAddr, port: u16) -> bool {
        let state = self.lock();
        match state.registry.find(Some(dst), port) {
            Some(owner) => owner == Owner::Here,
            None => state.answers,
        }
    }
}
