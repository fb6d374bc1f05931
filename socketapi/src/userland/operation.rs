//! Operations that may have to wait: tried once, awaited, or waited for by a thread.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sctp::Instant;
use tokio::task::coop;

use super::shard::Shard;
use super::sock::Sockets;
use super::wait::{Attempt, Interest, Refused, Ticket};
use crate::{Error, Result};

/// How many operations on a stack use up one unit of their task's budget. The runtime reckons with system calls;
/// these are cheaper, and what comes in one datagram is best taken in one go.
const OPERATIONS_PER_UNIT: u32 = 16;

/// An attempt that can be made once, or again and again until it need not wait.
///
/// Dropped, it leaves nothing behind: an attempt that did not succeed has changed nothing.
#[must_use = "an operation does nothing unless it is attempted or awaited"]
pub(crate) struct Operation<'a, F> {
    shard: &'a Shard,
    attempt: F,
    /// Whether it only receives.
    receives: bool,
    registered: Option<(Interest, Ticket)>,
}

// The attempt is only ever called, never pinned.
impl<F> Unpin for Operation<'_, F> {}

impl<'a, F, T> Operation<'a, F>
where
    F: FnMut(&mut Sockets, Instant) -> Attempt<T>,
{
    /// An operation on a shard.
    pub(crate) const fn new(shard: &'a Shard, attempt: F) -> Self {
        Self {
            shard,
            attempt,
            receives: false,
            registered: None,
        }
    }

    /// An operation on a shard that only receives.
    pub(crate) const fn receive(shard: &'a Shard, attempt: F) -> Self {
        Self {
            shard,
            attempt,
            receives: true,
            registered: None,
        }
    }

    /// One attempt; [`Error::WouldBlock`] where it would have to wait.
    pub(crate) fn attempt(mut self) -> Result<T> {
        let attempt = &mut self.attempt;
        let outcome = if self.receives {
            self.shard.enter_to_receive(attempt)
        } else {
            self.shard.enter(attempt)
        };
        match outcome? {
            Ok(value) => Ok(value),
            Err(Refused::Wait(_)) => Err(Error::WouldBlock),
            Err(Refused::Failed(error)) => Err(error),
        }
    }
}

impl<F, T> Future for Operation<'_, F>
where
    F: FnMut(&mut Sockets, Instant) -> Attempt<T>,
{
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A task that always finds something to do lets others have their turn.
        if !coop::has_budget_remaining() {
            drop(ready!(coop::poll_proceed(cx)));
        }
        let Self {
            shard,
            attempt,
            receives,
            registered,
        } = &mut *self;
        let mut counts = false;
        let attempt = |sockets: &mut Sockets, now: Instant| {
            let outcome = attempt(sockets, now);
            counts = outcome.is_ok() && sockets.count().is_multiple_of(OPERATIONS_PER_UNIT);
            let before = registered.take();
            if let Err(Refused::Wait(interest)) = &outcome {
                *registered = Some(sockets.register(*interest, before, cx.waker()));
            } else if let Some((interest, ticket)) = before {
                sockets.unregister(interest, ticket);
            }
            outcome
        };
        let outcome = if *receives {
            shard.enter_to_receive(attempt)
        } else {
            shard.enter(attempt)
        };
        let outcome = match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Refused::Wait(_))) => return Poll::Pending,
            Ok(Err(Refused::Failed(error))) | Err(error) => Err(error),
        };
        if counts && let Poll::Ready(unit) = coop::poll_proceed(cx) {
            unit.made_progress();
        }
        Poll::Ready(outcome)
    }
}

/// Attempts at several shards, of which the first that succeeds counts.
#[must_use = "operations do nothing unless they are attempted or awaited"]
pub(crate) struct AnyOf<'a, F>(Vec<Operation<'a, F>>);

impl<'a, F, T> AnyOf<'a, F>
where
    F: FnMut(&mut Sockets, Instant) -> Attempt<T>,
{
    /// There is at least one.
    pub(crate) const fn new(operations: Vec<Operation<'a, F>>) -> Self {
        Self(operations)
    }

    /// One attempt at each; [`Error::WouldBlock`] where all would have to wait.
    pub(crate) fn attempt(self) -> Result<T> {
        let mut outcome = Err(Error::WouldBlock);
        for operation in self.0 {
            outcome = operation.attempt();
            if !matches!(outcome, Err(Error::WouldBlock)) {
                break;
            }
        }
        outcome
    }
}

impl<F, T> Future for AnyOf<'_, F>
where
    F: FnMut(&mut Sockets, Instant) -> Attempt<T>,
{
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut polls = self.0.iter_mut().map(|operation| Pin::new(operation).poll(cx));
        polls.find(Poll::is_ready).unwrap_or(Poll::Pending)
    }
}

impl<F> Drop for Operation<'_, F> {
    fn drop(&mut self) {
        if let Some((interest, ticket)) = self.registered.take() {
            self.shard.forget(interest, ticket);
        }
    }
}
