//! Waiting for a socket of the kernel: operations that are tried once, awaited, or waited for by a thread.
//!
//! A descriptor has one place for a waker in each direction, and many may wait. So what is left there wakes all of them,
//! and each tries again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::task::coop;

use super::core::Core;
use crate::blocking::Block;
use crate::{Error, Result};

/// What an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Something to receive, to accept, or the end.
    Read,
    /// Room to send, or the end of a set-up.
    Write,
}

/// Those who wait for one direction of a socket.
#[derive(Debug, Default)]
pub(crate) struct Waiters(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    next: u64,
    wakers: Vec<(u64, Waker)>,
    /// How often all have been woken.
    wakes: u64,
}

impl Waiters {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one, or renews its waker.
    fn add(&self, ticket: &mut Option<u64>, waker: &Waker) {
        let mut list = self.list();
        let number = *ticket.get_or_insert_with(|| {
            list.next += 1;
            list.next
        });
        match list.wakers.iter_mut().find(|(known, _)| *known == number) {
            Some((_, known)) => known.clone_from(waker),
            None => list.wakers.push((number, waker.clone())),
        }
    }

    fn remove(&self, ticket: u64) {
        self.list().wakers.retain(|(known, _)| *known != ticket);
    }

    fn wakes(&self) -> u64 {
        self.list().wakes
    }

    /// Wakes all, once the list is unlocked.
    pub(crate) fn wake_all(&self) {
        let mut list = self.list();
        list.wakes = list.wakes.wrapping_add(1);
        let woken = std::mem::take(&mut list.wakers);
        drop(list);
        woken.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}

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

/// The runtime that looks after a new descriptor: the caller's, or one on a thread of its own.
pub(crate) fn reactor(on_runtime: bool) -> Result<Handle> {
    static OWN: OnceLock<Handle> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());

    if on_runtime && let Ok(handle) = Handle::try_current() {
        return Ok(handle);
    }
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = OWN.get() {
        return Ok(handle.clone());
    }
    let failed = |error: std::io::Error| Error::io("starting the thread that waits for sockets", &error);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("sctp-kernel".into())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .map_err(failed)?;
    Ok(OWN.get_or_init(|| handle).clone())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::core::{Phase, State, Style};
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
