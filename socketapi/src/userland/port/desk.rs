//! Between callers that want ports and the thread that gets them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use super::registry::Refusal;
use crate::{Error, Result};

/// How long a caller waits. It takes microseconds, and where the process that answers was killed a little longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the thread is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// A port, `None` for any, on addresses, none for all. It is answered under its own number.
    Claim {
        id: u64,
        port: Option<u16>,
        addresses: Vec<IpAddr>,
        /// Whether this process may have it more than once.
        shares: bool,
    },
    /// That port on other addresses.
    Change {
        id: u64,
        /// What it is answered under.
        ticket: u64,
        addresses: Vec<IpAddr>,
    },
    /// To give it back.
    Release(u64),
}

/// Where callers leave what they want and find what they got.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    answered: Condvar,
    /// Wakes the thread.
    bell: OwnedFd,
    patience: Duration,
}

#[derive(Debug, Default)]
struct State {
    wishes: Vec<Wish>,
    /// What callers wait for, with what became of it.
    outcomes: BTreeMap<u64, Option<Outcome>>,
    /// The next number of a claim or a change.
    next: u64,
    closed: bool,
    /// Whether the thread is gone.
    abandoned: bool,
}

type Outcome = std::result::Result<u16, Refusal>;

/// What the thread finds.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) wishes: Vec<Wish>,
    /// Whether nobody needs the port any more.
    pub(super) closed: bool,
}

impl Desk {
    pub(super) fn new() -> rustix::io::Result<Self> {
        Ok(Self {
            state: Mutex::default(),
            answered: Condvar::new(),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            patience: PATIENCE,
        })
    }

    /// Gets a port.
    pub(super) fn claim(self: &Arc<Self>, port: Option<u16>, addresses: Vec<IpAddr>, shares: bool) -> Result<Claim> {
        let mut state = self.lock();
        let id = state.number();
        state.wishes.push(Wish::Claim {
            id,
            port,
            addresses: addresses.clone(),
            shares,
        });
        let mut claim = Claim {
            desk: Arc::clone(self),
            id,
            port: 0,
            addresses: Mutex::new(addresses),
            released: AtomicBool::new(false),
        };
        // Without an answer, the claim is given back as it is dropped.
        claim.port = self.await_outcome(state, id)?;
        Ok(claim)
    }

    fn await_outcome(&self, mut state: MutexGuard<'_, State>, ticket: u64) -> Result<u16> {
        state.outcomes.insert(ticket, None);
        self.ring();
        let end = Instant::now() + self.patience;
        loop {
            if let Some(outcome) = state.outcomes.get_mut(&ticket).and_then(Option::take) {
                state.outcomes.remove(&ticket);
                return outcome.map_err(|refusal| match refusal {
                    Refusal::Taken => Error::PortInUse,
                    Refusal::NoneFree => Error::NoPortFree,
                });
            }
            let left = end.saturating_duration_since(Instant::now());
            let error = if state.abandoned {
                Some(Error::StackStopped)
            } else {
                left.is_zero().then_some(Error::TimedOut)
            };
            if let Some(error) = error {
                state.outcomes.remove(&ticket);
                return Err(error);
            }
            state = self
                .answered
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn wish(&self, wish: Wish) {
        self.lock().wishes.push(wish);
        self.ring();
    }

    fn ring(&self) {
        // It fails only if it has been rung more often than anybody can count.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }

    /// No more is wanted: the thread may end.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.ring();
    }

    // The thread's side.

    /// What wakes the thread.
    pub(super) const fn bell(&self) -> &OwnedFd {
        &self.bell
    }

    /// Takes what there is to do.
    pub(super) fn take(&self) -> Work {
        let mut rung = [0; 8];
        // There is nothing to read if nobody rang.
        let _ = rustix::io::read(&self.bell, &mut rung);
        let mut state = self.lock();
        Work {
            wishes: std::mem::take(&mut state.wishes),
            closed: state.closed,
        }
    }

    /// Tells what became of a wish, if somebody still waits for it.
    pub(super) fn settle(&self, ticket: u64, outcome: Outcome) {
        if let Some(awaited) = self.lock().outcomes.get_mut(&ticket) {
            *awaited = Some(outcome);
            self.answered.notify_all();
        }
    }

    /// Nobody will do anything any more.
    pub(super) fn abandon(&self) {
        self.lock().abandoned = true;
        self.answered.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    const fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }
}

/// A port of this process. Released, or dropped, it is anyone's.
#[derive(Debug)]
pub(crate) struct Claim {
    desk: Arc<Desk>,
    id: u64,
    port: u16,
    addresses: Mutex<Vec<IpAddr>>,
    released: AtomicBool,
}

impl Claim {
    /// The port.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Has it on one address more; whether that is new. [`Error::Closed`] once it is released.
    pub(crate) fn add_address(&self, address: IpAddr) -> Result<bool> {
        let mut addresses = self.addresses();
        if self.released.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        if addresses.is_empty() || addresses.contains(&address) {
            return Ok(false);
        }
        let mut more = addresses.clone();
        more.push(address);
        let mut state = self.desk.lock();
        let ticket = self.change(&mut state, &more);
        let outcome = self.desk.await_outcome(state, ticket);
        if outcome == Err(Error::TimedOut) {
            // It may still be granted, after this caller was told that it was not.
            self.change(&mut self.desk.lock(), &addresses);
            self.desk.ring();
        }
        outcome?;
        *addresses = more;
        Ok(true)
    }

    /// Has it on one address less, unless that is the last. Nobody refuses that, so it is not waited for.
    pub(crate) fn remove_address(&self, address: IpAddr) {
        let mut addresses = self.addresses();
        if addresses.len() > 1 && addresses.contains(&address) {
            addresses.retain(|known| *known != address);
            self.change(&mut self.desk.lock(), &addresses);
            self.desk.ring();
        }
    }

    fn addresses(&self) -> MutexGuard<'_, Vec<IpAddr>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wishes for other addresses; what that is answered under.
    fn change(&self, state: &mut State, addresses: &[IpAddr]) -> u64 {
        let ticket = state.number();
        state.wishes.push(Wish::Change {
            id: self.id,
            ticket,
            addresses: addresses.to_vec(),
        });
        ticket
    }

    fn release(&self) {
        if !self.released.swap(true, Ordering::Relaxed) {
            self.desk.wish(Wish::Release(self.id));
        }
    }
}

/// Woken, it is released.
impl Wake for Claim {
    fn wake(self: Arc<Self>) {
        self.release();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A thread that grants every claim port 5, until the desk is closed; what it saw.
    fn grant(desk: &Arc<Desk>) -> thread::JoinHandle<Vec<Wish>> {
        let desk = Arc::clone(desk);
        thread::spawn(move || {
            let mut seen = Vec::new();
            loop {
                let work = desk.take();
                for wish in &work.wishes {
                    if let Wish::Claim { id: ticket, .. } | Wish::Change { ticket, .. } = wish {
                        desk.settle(*ticket, Ok(5));
                    }
                }
                seen.extend(work.wishes);
                if work.closed {
                    desk.abandon();
                    return seen;
                }
                thread::yield_now();
            }
        })
    }

    #[test]
    fn what_is_claimed_is_given_back_once() {
        let desk = Arc::new(Desk::new().unwrap());
        let granter = grant(&desk);
        let claim = desk.claim(None, vec!["10.0.0.1".parse().unwrap()], false).unwrap();
        assert_eq!(claim.port(), 5);
        claim.add_address("10.0.0.2".parse().unwrap()).unwrap();
        claim.add_address("10.0.0.2".parse().unwrap()).unwrap();
        claim.remove_address("10.0.0.1".parse().unwrap());
        claim.remove_address("10.0.0.2".parse().unwrap());
        let claim = Arc::new(claim);
        std::task::Waker::from(Arc::clone(&claim)).wake();
        drop(claim);
        desk.close();
        let seen = granter.join().unwrap();
        let changes = seen.iter().filter(|wish| matches!(wish, Wish::Change { .. })).count();
        let releases = seen.iter().filter(|wish| **wish == Wish::Release(0)).count();
        assert_eq!((seen.len(), changes, releases), (4, 2, 1));
        assert_eq!(
            desk.claim(Some(7), Vec::new(), false).map(drop),
            Err(Error::StackStopped)
        );
    }

    #[test]
    fn what_was_not_answered_in_time_is_taken_back_and_its_answer_is_nobodys() {
        let impatient = Desk {
            patience: Duration::ZERO,
            ..Desk::new().unwrap()
        };
        let desk = Arc::new(impatient);
        let (one, two): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let claim = Claim {
            desk: Arc::clone(&desk),
            id: 100,
            port: 5,
            addresses: Mutex::new(vec![one]),
            released: AtomicBool::new(false),
        };
        assert_eq!(claim.add_address(two), Err(Error::TimedOut));
        assert_eq!(claim.add_address(two), Err(Error::TimedOut));
        let changes: Vec<_> = desk.take().wishes;
        let wished = changes.iter().map(|wish| match wish {
            Wish::Change { addresses, .. } => addresses.len(),
            other => panic!("{other:?}"),
        });
        assert_eq!(wished.collect::<Vec<_>>(), [2, 1, 2, 1]);
        for wish in &changes {
            if let Wish::Change { ticket, .. } = wish {
                desk.settle(*ticket, Ok(5));
            }
        }
        assert!(desk.lock().outcomes.is_empty());
        assert_eq!(*claim.addresses(), [one]);
    }
}
