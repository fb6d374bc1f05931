//! RFC 6458's sockets on top of the engine: who owns an association, what waits to be received, who waits. No I/O.
//!
//! An end point of the engine carries one socket of the one-to-many style, or one listening socket, and beside it the
//! one-to-one style sockets of single associations: accepted, peeled off, or connected. An end point outlives its
//! sockets until the last of its associations has ended.

mod accept;
mod close;
mod connect;
mod defaults;
mod events;
mod record;
mod recv;
mod send;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::task::Waker;

use sctp::error::FailureReason;
use sctp::serial::{Ssn, StreamId, Tsn};
use sctp::{AssocId, EndpointId, Instant, Stack};

pub(crate) use self::defaults::Defaults;
use super::wait::{Interest, Ticket, Waiters};
use crate::{Error, Notification, Result, SndInfo, Subscriptions};

/// The engine with its sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) stack: Stack,
    endpoints: BTreeMap<EndpointId, Endpoint>,
    next_ticket: u64,
    operations: u32,
    /// Those who wait until no association is left.
    all_ended: Waiters,
    /// Those to be woken once the lock is released.
    woken: Vec<Waker>,
}

/// What kind of socket an end point was bound for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// One-to-many.
    Many,
    /// One-to-one, to accept associations.
    Listener,
    /// One-to-one, to open one association; the end point has no socket of its own.
    Single,
}

/// A bound end point.
#[derive(Debug)]
struct Endpoint {
    style: Style,
    /// Whether the one-to-many or listening socket is still open.
    open: bool,
    /// Those of new associations.
    subscriptions: Subscriptions,
    /// Those of new associations; `None` until some are set.
    defaults: Option<Box<Defaults>>,
    assocs: BTreeMap<AssocId, Assoc>,
    /// Associations of a one-to-many socket with something to receive, each once, in turn.
    ready: VecDeque<AssocId>,
    /// The association of which a piece of a message was received, while nothing else may come before its end (fragment
    /// interleave level 0).
    begun: Option<AssocId>,
    /// Associations that wait to be accepted, each once.
    backlog: VecDeque<AssocId>,
    /// Those who wait for `ready`, or for `backlog`.
    receivers: Waiters,
    /// Those who wait for associations to end.
    enders: Waiters,
    /// Who is told once the port is free again.
    unbound: Option<Waker>,
}

/// Who takes what an association receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The end point's one-to-many socket.
    Socket,
    /// Nobody yet: it waits to be accepted.
    Backlog,
    /// A one-to-one socket.
    Stream,
    /// Nobody any more: it ends in the background.
    Nobody,
}

/// The socket that something is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The end point's own.
    Socket,
    /// A one-to-one socket of an association.
    Stream,
}

/// How far an association is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Up,
    Failed(FailureReason),
    Lost(FailureReason),
    ShutDown,
}

impl Phase {
    const fn has_ended(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Lost(_) | Self::ShutDown)
    }
}

/// What waits to be received from an association.
#[derive(Debug)]
enum Item {
    /// Messages in the engine: so many, or all there are while nothing follows.
    Data(Option<usize>),
    Notification(Notification),
    /// The association was lost: what has come of messages that were received in part is all of them.
    CutOff,
}

impl Item {
    /// How many messages it is known to stand for.
    const fn messages(&self) -> usize {
        match self {
            Self::Data(Some(messages)) => *messages,
            Self::Data(None) | Self::Notification(_) | Self::CutOff => 0,
        }
    }
}

/// A message of which a piece was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    stream: StreamId,
    ssn: Ssn,
    unordered: bool,
    tsn: Tsn,
}

/// An association, as its socket sees it.
#[derive(Debug)]
struct Assoc {
    peer: SocketAddr,
    owner: Owner,
    phase: Phase,
    /// Whether the peer has said that it will not send any more.
    peer_shut_down: bool,
    /// Whether its one-to-one socket receives nothing more.
    deaf: bool,
    /// Whether this side has asked for the shutdown, or will once it is established.
    shut_down_here: bool,
    subscriptions: Subscriptions,
    /// Whether notifications were dropped, and the one that tells of it has not been received.
    notifications_stopped: bool,
    defaults: Option<Box<Defaults>>,
    /// How the message goes that comes in several sends, the last of which is to come.
    record: Option<Box<SndInfo>>,
    /// What waits to be received, oldest first.
    inbox: VecDeque<Item>,
    /// The messages of which a piece was received, and not the end.
    pieces: Vec<Piece>,
    /// Whether it is among the `ready` ones.
    in_turn: bool,
    /// How many operations need to see how its set-up ends.
    watchers: usize,
    receivers: Waiters,
    senders: Waiters,
    setup: Waiters,
}

impl Sockets {
    /// An engine without sockets.
    pub(crate) fn new(stack: Stack) -> Self {
        Self {
            stack,
            endpoints: BTreeMap::new(),
            next_ticket: 0,
            operations: 0,
            all_ended: Waiters::default(),
            woken: Vec::new(),
        }
    }

    /// Passes on what the engine has to say.
    pub(crate) fn settle(&mut self, now: Instant) {
        while let Some((endpoint, assoc, event)) = self.stack.poll_event() {
            self.on_event(now, endpoint, assoc, event);
        }
    }

    /// Counts an operation, and says which one it is.
    pub(crate) const fn count(&mut self) -> u32 {
        self.operations = self.operations.wrapping_add(1);
        self.operations
    }

    /// Those to be woken now that the lock is released.
    pub(crate) fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    /// Whether nothing is left: no socket, and no association that ends in the background.
    pub(crate) fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    /// Wakes everyone: the stack stops.
    pub(crate) fn wake_everyone(&mut self) {
        let Self {
            endpoints,
            all_ended,
            woken,
            ..
        } = self;
        all_ended.wake(woken);
        for endpoint in endpoints.values_mut() {
            endpoint.receivers.wake(woken);
            endpoint.enders.wake(woken);
            for assoc in endpoint.assocs.values_mut() {
                assoc.wake_everyone(woken);
            }
        }
    }

    /// Stores who waits for `interest`. `before` is what the same operation was stored under, if it was.
    pub(crate) fn register(
        &mut self,
        interest: Interest,
        before: Option<(Interest, Ticket)>,
        waker: &Waker,
    ) -> (Interest, Ticket) {
        let ticket = match before {
            Some((same, ticket)) if same == interest => ticket,
            other => {
                if let Some((interest, ticket)) = other {
                    self.unregister(interest, ticket);
                }
                self.next_ticket += 1;
                Ticket(self.next_ticket)
            }
        };
        if let Some(waiters) = self.waiters(interest) {
            waiters.add(ticket, waker);
        }
        (interest, ticket)
    }

    /// Forgets who waits.
    pub(crate) fn unregister(&mut self, interest: Interest, ticket: Ticket) {
        if let Some(waiters) = self.waiters(interest) {
            waiters.remove(ticket);
        }
    }

    fn waiters(&mut self, interest: Interest) -> Option<&mut Waiters> {
        match interest {
            Interest::Receive(endpoint) => Some(&mut self.endpoints.get_mut(&endpoint)?.receivers),
            Interest::Ended(endpoint) => Some(&mut self.endpoints.get_mut(&endpoint)?.enders),
            Interest::ReceiveFrom(endpoint, assoc) => Some(&mut self.assoc_mut(endpoint, assoc)?.receivers),
            Interest::Send(endpoint, assoc) => Some(&mut self.assoc_mut(endpoint, assoc)?.senders),
            Interest::Setup(endpoint, assoc) => Some(&mut self.assoc_mut(endpoint, assoc)?.setup),
            Interest::AllEnded => Some(&mut self.all_ended),
        }
    }

    fn assoc_mut(&mut self, endpoint: EndpointId, assoc: AssocId) -> Option<&mut Assoc> {
        self.endpoints.get_mut(&endpoint)?.assocs.get_mut(&assoc)
    }

    /// The end point of a one-to-many or listening socket that has not been closed.
    fn open_endpoint(&mut self, endpoint: EndpointId) -> Result<&mut Endpoint> {
        self.endpoints
            .get_mut(&endpoint)
            .filter(|endpoint| endpoint.open)
            .ok_or(Error::Closed)
    }

    /// An association that a socket may still do something with: the one-to-many socket of the end point, or a
    /// one-to-one socket.
    fn owned(&mut self, endpoint: EndpointId, assoc: AssocId, owner: Owner) -> Result<&mut Assoc> {
        self.assoc_mut(endpoint, assoc)
            .filter(|assoc| assoc.owner == owner)
            .ok_or(Error::NoSuchAssociation)
    }
}

impl Endpoint {
    fn new(style: Style, subscriptions: Subscriptions) -> Self {
        Self {
            style,
            open: style != Style::Single,
            subscriptions,
            defaults: None,
            assocs: BTreeMap::new(),
            ready: VecDeque::new(),
            begun: None,
            backlog: VecDeque::new(),
            receivers: Waiters::default(),
            enders: Waiters::default(),
            unbound: None,
        }
    }
}

impl Assoc {
    fn new(endpoint: &Endpoint, peer: SocketAddr, owner: Owner, phase: Phase) -> Self {
        Self {
            peer,
            owner,
            phase,
            peer_shut_down: false,
            deaf: false,
            shut_down_here: false,
            subscriptions: endpoint.subscriptions,
            notifications_stopped: false,
            defaults: endpoint.defaults.clone(),
            record: None,
            inbox: VecDeque::new(),
            pieces: Vec::new(),
            in_turn: false,
            watchers: 0,
            receivers: Waiters::default(),
            senders: Waiters::default(),
            setup: Waiters::default(),
        }
    }

    fn wake_everyone(&mut self, woken: &mut Vec<Waker>) {
        self.receivers.wake(woken);
        self.senders.wake(woken);
        self.setup.wake(woken);
    }
}
