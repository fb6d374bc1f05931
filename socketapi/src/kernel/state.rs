//! What is known about a socket beside what the kernel knows.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::FailureReason;
use crate::{Received, Subscriptions};

/// Which kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// One-to-many.
    Many,
    /// Listening, one-to-one.
    Listener,
    /// Connected, one-to-one.
    Stream,
    /// Connected, peeled off a one-to-many socket: the kernel treats it as one of those in part.
    PeeledOff,
}

impl Style {
    /// Whether it is for one association.
    pub(crate) const fn is_single(self) -> bool {
        matches!(self, Self::Stream | Self::PeeledOff)
    }
}

/// Where in its life the association of a one-to-one socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    Up,
    ShutDown,
    Lost(FailureReason),
    Failed(FailureReason),
}

/// What becomes of an association whose set-up is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Pending,
    Up,
    Failed(FailureReason),
}

/// What is known about a socket beside what the kernel knows.
#[derive(Debug)]
pub(crate) struct State {
    /// What was taken from the kernel and not received by the user yet.
    pub(crate) inbox: VecDeque<Received>,
    /// What the user wants to be told. More comes from the kernel.
    pub(crate) subscriptions: Subscriptions,
    /// The same for associations of their own mind.
    pub(crate) own: BTreeMap<i32, Subscriptions>,
    /// The associations that this side has begun to set up, and when.
    pub(crate) opened: BTreeMap<i32, Instant>,
    /// Those whose set-up is waited for.
    pub(crate) watched: BTreeMap<i32, Fate>,
    /// Of a one-to-one socket.
    pub(crate) phase: Phase,
    /// Whether this side has shut the association of a one-to-one socket down.
    pub(crate) shut_down_here: bool,
    /// Whether the peer has.
    pub(crate) peer_shut_down: bool,
    /// Whether nothing more is received.
    pub(crate) deaf: bool,
    /// Whether a default of partial reliability was ever set.
    pub(crate) default_prinfo: bool,
}

impl State {
    pub(crate) fn new(subscriptions: Subscriptions, phase: Phase) -> Self {
        Self {
            inbox: VecDeque::new(),
            subscriptions,
            own: BTreeMap::new(),
            opened: BTreeMap::new(),
            watched: BTreeMap::new(),
            phase,
            shut_down_here: false,
            peer_shut_down: false,
            deaf: false,
            default_prinfo: false,
        }
    }
}
