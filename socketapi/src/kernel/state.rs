//! What is known about a socket beside what the kernel knows.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

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
    /// How long closing waits.
    pub(crate) linger: Option<Duration>,
    /// Whether messages tell what comes next.
    pub(crate) recv_nxtinfo: bool,
    /// The same for associations of their own mind.
    pub(crate) own_nxtinfo: BTreeMap<i32, bool>,
    /// The largest fragments of associations of their own mind: the kernel tells what their paths take.
    pub(crate) max_fragments: BTreeMap<i32, u16>,
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
            linger: None,
            recv_nxtinfo: false,
            own_nxtinfo: BTreeMap::new(),
            max_fragments: BTreeMap::new(),
        }
    }

    /// One that begins as another: accepted, or the association `id` peeled off.
    pub(crate) fn inherit(&mut self, from: &mut Self, id: i32) {
        self.default_prinfo = from.default_prinfo;
        self.linger = from.linger;
        self.recv_nxtinfo = from.own_nxtinfo.remove(&id).unwrap_or(from.recv_nxtinfo);
        self.max_fragments
            .extend(from.max_fragments.remove(&id).map(|len| (id, len)));
    }

    /// Whether closing aborts: it waits no time.
    pub(crate) fn aborts(&self) -> bool {
        self.linger == Some(Duration::ZERO)
    }

    /// Whether messages of an association tell what comes next.
    pub(crate) fn recv_nxtinfo_of(&self, assoc: i32) -> bool {
        self.own_nxtinfo.get(&assoc).copied().unwrap_or(self.recv_nxtinfo)
    }

    /// Forgets an association that has ended.
    pub(crate) fn forget(&mut self, assoc: i32) {
        self.opened.remove(&assoc);
        self.own.remove(&assoc);
        self.own_nxtinfo.remove(&assoc);
        self.max_fragments.remove(&assoc);
    }
}
