//! Waiting for a socket of the kernel: operations that are tried once, awaited, or waited for by a thread.
//!
//! A descriptor has one place for a waker in each direction, and many may wait. So what is left there wakes all of
//! them, and each tries again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop;

use super::core::Core;
use super::waiters::Interest;
use crate::blocking::Block;
use crate::{Error, Result};

/// An attempt that can be made once, or again and again until it need not wait.
///
/// Dropped, it leaves nothing behind: an attempt that did not succeed has changed nothing.
#[must_use = "an operation does nothing unless it is attempted or awaited"]
pub(crate) struct Operation<'a, F> {
    core: &'a Core,
    interest: Interest,
    attempt: F,
    ticket: Option<u64>,
}

// The attempt is only ever called, never pinned.
impl<F> Unpin for Operation<'_, F> {}

impl<'a, F, T> Operation<'a, F>
where
    F: FnMut() -> Result<T>,
{
    /// An operation on a socket; `attempt` fails with [`Error::WouldBlock`] where it would have to wait for `interest`.
    pub(crate) const fn new(core: &'a Core, interest: Interest, attempt: F) -> Self {
        Self {
            core,
            interest,
            attempt,
            ticket: None,
        }
    }

    /// One attempt.
    pub(crate) fn attempt(mut self) -> Result<T> {
        (self.attempt)()
    }
}

impl<F, T> Block for Operation<'_, F> where F: FnMut() -> Result<T> {}

impl<F, T> Future for Operation<'_, F>
where
    F: FnMut() -> Result<T>,
{
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A task that always finds something to do lets others have their turn.
        let unit = ready!(coop::poll_proceed(cx));
        let Self {
            core,
            interest,
            attempt,
            ticket,
        } = &mut *self;
        let waiters = core.waiters(*interest);
        let wakes = waiters.wakes();
        let mut outcome = attempt();
        if must_wait(&outcome) {
            // First in the list, then a look at the descriptor: what happens in between is not missed.
            waiters.add(ticket, cx.waker());
            // What was not the descriptor's to tell is told to those in the list only.
            if waiters.wakes() != wakes {
                outcome = attempt();
            }
        }
        if must_wait(&outcome) {
            let fan_out = Waker::from(Arc::clone(waiters));
            let mut fanned = Context::from_waker(&fan_out);
            loop {
                // Closed meanwhile: the attempt says so.
                let Ok(descriptor) = core.descriptor() else {
                    outcome = attempt();
                    break;
                };
                let polled = match interest {
                    Interest::Read => descriptor.poll_read_ready(&mut fanned),
                    Interest::Write => descriptor.poll_write_ready(&mut fanned),
                };
                let Poll::Ready(polled) = polled else {
                    return Poll::Pending;
                };
                let Ok(mut guard) = polled else {
                    // The runtime that looked after it is gone.
                    if let Err(error) = core.move_from(&descriptor) {
                        outcome = Err(error);
                        break;
                    }
                    continue;
                };
                outcome = attempt();
                match &outcome {
                    Err(Error::WouldBlock) => guard.clear_ready(),
                    _ => break,
                }
            }
        }
        unit.made_progress();
        Poll::Ready(outcome)
    }
}

impl<F> Drop for Operation<'_, F> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.core.waiters(self.interest).remove(ticket);
        }
    }
}

fn must_wait<T>(outcome: &Result<T>) -> bool {
    matches!(outcome, Err(Error::WouldBlock))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use std::task::Wake;

    use super::super::reactor::reactor;
    use super::super::state::{Phase, State, Style};
    use super::*;
    use crate::Subscriptions;

    /// A socket that nothing comes to.
    fn quiet() -> Core {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let state = State::new(Subscriptions::none(), Phase::Up);
        Core::new(socket.into(), Style::Many, reactor(false).unwrap(), state).unwrap()
    }

    #[derive(Debug, Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_is_told_between_an_attempt_and_the_wait_is_not_missed() {
        let core = quiet();
        let mut attempts = 0;
        let mut operation = Operation::new(&core, Interest::Read, || {
            attempts += 1;
            if attempts > 1 {
                return Ok(());
            }
            // As another thread would, which has just received what this one waits for.
            core.wake_all();
            Err(Error::WouldBlock)
        });
        let polled = Pin::new(&mut operation).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Ready(Ok(())));
    }

    #[test]
    fn those_who_look_into_an_empty_queue_wake_nobody() {
        let core = quiet();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut operation = Operation::new(&core, Interest::Read, || Err::<(), _>(Error::WouldBlock));
        assert!(
            Pin::new(&mut operation)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        core.take_in_until(|_| false).unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        core.wake_all();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
