//! What operations wait for, and who waits.
//!
//! An [operation](super::operation::Operation) is an attempt under the shard's lock. If it cannot succeed now it says
//! what it waits for, and its waker is stored under that same lock, where the condition is also made true: no wake-up
//! is lost. Everyone who waits for a condition is woken when it may hold, and tries again.

use std::task::Waker;

use sctp::{AssocId, EndpointId};

use crate::{Error, Result};

/// What an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Something to receive, or to accept, on an end point.
    Receive(EndpointId),
    /// Something to receive on an association with a socket of its own.
    ReceiveFrom(EndpointId, AssocId),
    /// Room to send on an association.
    Send(EndpointId, AssocId),
    /// The end of an association's set-up.
    Setup(EndpointId, AssocId),
    /// The end of an association, or of the last one of an end point.
    Ended(EndpointId),
    /// The end of all associations of the stack.
    AllEnded,
}

/// Why an attempt did not succeed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It may, later.
    Wait(Interest),
    /// It never will.
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// What an attempt yields.
pub(crate) type Attempt<T> = Result<T, Refused>;

/// Tells those who wait from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(pub(crate) u64);

/// Those who wait for one condition.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Vec<(Ticket, Waker)>);

impl Waiters {
    /// Adds one, or renews its waker.
    pub(crate) fn add(&mut self, ticket: Ticket, waker: &Waker) {
        match self.0.iter_mut().find(|(known, _)| *known == ticket) {
            Some((_, known)) => known.clone_from(waker),
            None => self.0.push((ticket, waker.clone())),
        }
    }

    /// Removes one, if it is there.
    pub(crate) fn remove(&mut self, ticket: Ticket) {
        self.0.retain(|(known, _)| *known != ticket);
    }

    /// Moves all to `woken`, to be woken once the lock is released.
    pub(crate) fn wake(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(self.0.drain(..).map(|(_, waker)| waker));
    }
}
