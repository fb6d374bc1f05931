//! Those who wait for a socket.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

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
    pub(super) fn add(&self, ticket: &mut Option<u64>, waker: &Waker) {
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

    pub(super) fn remove(&self, ticket: u64) {
        self.list().wakers.retain(|(known, _)| *known != ticket);
    }

    pub(super) fn wakes(&self) -> u64 {
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
