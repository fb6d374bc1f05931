//! Operations that may have to wait: tried once, awaited, or waited for by a thread.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use sctp::Instant;
use tokio::task::coop;

#[cfg(target_os = "linux")]
use super::caller::Caller;
use super::shard::Shard;
use super::sock::Sockets;
use super::wait::{Attempt, Interest, Refused, Ticket};
use crate::blocking::Block;
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

impl<F, T> Operation<'_, F>
where
    F: FnMut(&mut Sockets, Instant) -> Attempt<T>,
{
    /// One attempt, after which `waker` waits if the operation has to; and what it counts for.
    fn advance(&mut self, waker: &Waker) -> (Poll<Result<T>>, Step) {
        let Self {
            shard,
            attempt,
            receives,
            registered,
        } = self;
        let mut step = Step::default();
        let attempt = |sockets: &mut Sockets, now: Instant| {
            let outcome = attempt(sockets, now);
            step = Step {
                counts: outcome.is_ok() && sockets.count().is_multiple_of(OPERATIONS_PER_UNIT),
                at: now,
            };
            let before = registered.take();
            if let Err(Refused::Wait(interest)) = &outcome {
                *registered = Some(sockets.register(*interest, before, waker));
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
            Ok(Ok(value)) => Poll::Ready(Ok(value)),
            Ok(Err(Refused::Wait(_))) => Poll::Pending,
            Ok(Err(Refused::Failed(error))) | Err(error) => Poll::Ready(Err(error)),
        };
        (outcome, step)
    }
}

/// An attempt of an operation.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    /// Whether it uses up a unit of the task's budget.
    counts: bool,
    /// When it was.
    at: Instant,
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
        let (outcome, step) = self.advance(cx.waker());
        if outcome.is_pending() {
            self.shard.wheel.task_waits();
        }
        if step.counts
            && let Poll::Ready(unit) = coop::poll_proceed(cx)
        {
            unit.made_progress();
        }
        outcome
    }
}

#[cfg(target_os = "linux")]
impl<F, T> Block for Operation<'_, F>
where
    F: FnMut(&mut Sockets, Instant) -> Attempt<T>,
{
    /// The thread drives the shard meanwhile, if waits are short.
    fn block(mut self) -> Result<T> {
        let caller = Caller::this();
        let mut began = None;
        loop {
            let (outcome, step) = self.advance(caller.waker());
            if let Poll::Ready(outcome) = outcome {
                match began {
                    Some(began) => self.shard.wheel.waited(step.at.saturating_since(began)),
                    None => self.shard.wheel.did_not_wait(),
                }
                return outcome;
            }
            began.get_or_insert(step.at);
            caller.wait(self.shard);
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl<F, T> Block for Operation<'_, F> where F: FnMut(&mut Sockets, Instant) -> Attempt<T> {}

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
