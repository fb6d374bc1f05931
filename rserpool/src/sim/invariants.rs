//! What must hold in every deployment, whatever happens.

use std::time::Duration;

use sctp::Instant;

use super::network::NodeId;
use super::node::Node;
use crate::ids::{PeId, PoolHandle};
use crate::net::{NetCommand, PPID_ASAP};
use crate::registrar::Registrar;
use crate::wire::asap::AsapMessage;

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// How long after its death an element may be in a handlespace.
    pub gone: Duration,
    /// How long an element that lives, with a registrar that lives and a way between them, may be missing from the
    /// handlespace.
    pub listed: Duration,
}

/// An element that died, and may still be listed.
#[derive(Debug)]
struct Dead {
    pool: PoolHandle,
    pe: PeId,
    since: Instant,
}

/// What must be remembered to check it.
#[derive(Debug)]
pub(super) struct Invariants {
    deadlines: Deadlines,
    dead: Vec<Dead>,
    /// How long dead elements were listed, at the most.
    pub(super) longest_listed: Duration,
}

impl Invariants {
    pub(super) const fn new(deadlines: Deadlines) -> Self {
        Self {
            deadlines,
            dead: Vec::new(),
            longest_listed: Duration::ZERO,
        }
    }

    pub(super) const fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    pub(super) fn died(&mut self, now: Instant, node: &Node) {
        if let Some((pool, pe)) = node.pe() {
            let pool = pool.clone();
            self.dead.push(Dead { pool, pe, since: now });
        }
    }

    /// An element that is dead is gone within the time. (It is not enough that it is gone at the end of it: one that
    /// is gone does not come back.)
    pub(super) fn check_dead(&mut self, now: Instant, registrars: &[&Registrar]) {
        let gone = self.deadlines.gone;
        for dead in &self.dead {
            let listed = registrars
                .iter()
                .any(|registrar| registrar.handlespace().find(&dead.pool, dead.pe).is_some());
            if listed {
                let time = now - dead.since;
                assert!(
                    time <= gone,
                    "{} in {} has been dead for {time:?} and is listed",
                    dead.pe,
                    dead.pool
                );
                self.longest_listed = self.longest_listed.max(time);
            }
        }
        self.dead.retain(|dead| now - dead.since <= gone * 2);
    }

    /// An element that lives is listed, if nothing was in the way for long enough. `undisturbed` is the time since when
    /// nothing has been.
    pub(super) fn check_living(&self, now: Instant, element: &Node, registrar: &Node, undisturbed: Instant) {
        let (Some((pool, pe)), Some(engine)) = (element.pe(), registrar.registrar()) else {
            return;
        };
        let time = now - undisturbed;
        if time > self.deadlines.listed {
            let listed = engine.handlespace().find(pool, pe).is_some();
            assert!(
                listed,
                "{} has lived for {time:?} and is not listed at {}",
                element.name, registrar.name
            );
        }
    }
}

/// What a registrar answers is what it knows.
pub(super) fn check_answer(id: NodeId, registrar: &Registrar, command: &NetCommand) {
    let NetCommand::Send { payload, ppid, .. } = command else {
        return;
    };
    assert_eq!(*ppid, PPID_ASAP, "{id:?}");
    let message = AsapMessage::decode(payload).expect("a registrar writes what can be read");
    if let AsapMessage::HandleResolutionResponse { pool, elements, .. } = message {
        for element in elements {
            let known = registrar.handlespace().find(&pool, element.id);
            assert!(
                known.is_some(),
                "{id:?} answers with {} in {pool}, which it does not know",
                element.id
            );
        }
    }
}
