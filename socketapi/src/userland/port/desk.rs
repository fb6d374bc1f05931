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
    /// A port, `None` for any, on addresses, none for all.
    Claim {
        id: u64,
        port: Option<u16>,
        addresses: Vec<IpAddr>,
    },
    /// That port on other addresses.
    Change { id: u64, addresses: Vec<IpAddr> },
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
}

#[derive(Debug, Default)]
struct State {
    wishes: Vec<Wish>,
    outcomes: BTreeMap<u64, Outcome>,
    next_id: u64,
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
        })
    }

    /// Gets a port.
    pub(super) fn claim(self: &Arc<Self>, port: Option<u16>, addresses: Vec<IpAddr>) -> Result<Claim> {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.wishes.push(Wish::Claim {
            id,
            port,
            addresses: addresses.clone(),
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

    fn await_outcome(&self, mut state: MutexGuard<'_, State>, id: u64) -> Result<u16> {
        self.ring();
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(outcome) = state.outcomes.remove(&id) {
                return outcome.map_err(|refusal| match refusal {
                    Refusal::Taken => Error::PortInUse,
                    Refusal::NoneFree => Error::NoPortFree,
                });
            }
            if state.abandoned {
                return Err(Error::StackStopped);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::TimedOut);
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

    /// Tells what became of a wish.
    pub(super) fn settle(&self, id: u64, outcome: Outcome) {
        self.lock().outcomes.insert(id, outcome);
        self.answered.notify_all();
    }

    /// Forgets what nobody waits for any more.
    pub(super) fn forget(&self, id: u64) {
        self.lock().outcomes.remove(&id);
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

    /// Has it on one address more; whether that is new.
    pub(crate) fn add_address(&self, address: IpAddr) -> Result<bool> {
        self.change(|addresses| {
            let new = !addresses.is_empty() && !addresses.contains(&address);
            if new {
                addresses.push(address);
            }
            new
        })
    }

    /// Has it on one address less, unless that is the last; whether it had it.
    pub(crate) fn remove_address(&self, address: IpAddr) -> Result<bool> {
        self.change(|addresses| {
            let some = addresses.len() > 1 && addresses.contains(&address);
            if some {
                addresses.retain(|known| *known != address);
            }
            some
        })
    }

    fn change(&self, change: impl FnOnce(&mut Vec<IpAddr>) -> bool) -> Result<bool> {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changed = addresses.clone();
        let differs = change(&mut changed);
        if differs {
            let mut state = self.desk.lock();
            // Of a change that nobody waited for any more.
            state.outcomes.remove(&self.id);
            state.wishes.push(Wish::Change {
                id: self.id,
                addresses: changed.clone(),
            });
            self.desk.await_outcome(state, self.id)?;
            *addresses = changed;
        }
        Ok(differs)
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
                    if let Wish::Claim { id, .. } | Wish::Change { id, .. } = wish {
                        desk.settle(*id, Ok(5));
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
        let claim = desk.claim(None, vec!["10.0.0.1".parse().unwrap()]).unwrap();
        assert_eq!(claim.port(), 5);
        claim.add_address("10.0.0.2".parse().unwrap()).unwrap();
        claim.add_address("10.0.0.2".parse().unwrap()).unwrap();
        claim.remove_address("10.0.0.1".parse().unwrap()).unwrap();
        claim.remove_address("10.0.0.2".parse().unwrap()).unwrap();
        let claim = Arc::new(claim);
        std::task::Waker::from(Arc::clone(&claim)).wake();
        drop(claim);
        desk.close();
        let seen = granter.join().unwrap();
        let changes = seen.iter().filter(|wish| matches!(wish, Wish::Change { .. })).count();
        let releases = seen.iter().filter(|wish| **wish == Wish::Release(0)).count();
        assert_eq!((seen.len(), changes, releases), (4, 2, 1));
        assert_eq!(desk.claim(Some(7), Vec::new()).map(drop), Err(Error::StackStopped));
    }
}
