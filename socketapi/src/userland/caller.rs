//! A caller that blocks: asleep, or at the [wheel](super::wheel) of its shard.

use std::cell::OnceCell;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::shard::{Flushed, Intake, NextTurn, Shard};
use super::wheel::Turn;

/// How many batches are sent at once.
const SEND_BUDGET: usize = 20;
/// How often in a row there may be nothing although the system says that there is.
const FALSE_ALARMS: u32 = 16;

thread_local! {
    static OWN: OnceCell<Caller> = const { OnceCell::new() };
}

/// A thread that blocks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    sleeper: Arc<Sleeper>,
    waker: Waker,
}

#[derive(Debug)]
struct Sleeper {
    thread: Thread,
    /// Whether it was woken since it looked last.
    woken: AtomicBool,
    /// Whether it is the bell that wakes it.
    polls: AtomicBool,
    bell: OnceLock<OwnedFd>,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.woken.swap(true, Ordering::SeqCst) {
            return;
        }
        match self.bell.get() {
            Some(bell) if self.polls.load(Ordering::SeqCst) => {
                // It only fails when the bell has rung already.
                let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
            }
            _ => self.thread.unpark(),
        }
    }
}

impl Caller {
    /// The thread that asks.
    pub(crate) fn this() -> Self {
        let own = || {
            let sleeper = Arc::new(Sleeper {
                thread: thread::current(),
                woken: AtomicBool::new(false),
                polls: AtomicBool::new(false),
                bell: OnceLock::new(),
            });
            let waker = Waker::from(Arc::clone(&sleeper));
            Self { sleeper, waker }
        };
        // A thread that ends may have none any more.
        OWN.try_with(|cell| cell.get_or_init(own).clone())
            .unwrap_or_else(|_| own())
    }

    /// What wakes it.
    pub(crate) const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Waits until it is woken, and drives the shard meanwhile if that is worth it.
    pub(crate) fn wait(&self, shard: &Shard) {
        if !shard.device.is_received_elsewhere()
            && self.bell().is_some()
            && let Some(turn) = shard.wheel.take(&self.waker)
        {
            return self.drive(shard, turn);
        }
        shard.wheel.needs_driver();
        while !self.is_woken() {
            thread::park();
        }
    }

    /// What is polled along with the descriptors of the device.
    fn bell(&self) -> Option<&OwnedFd> {
        if self.sleeper.bell.get().is_none() {
            let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).ok()?;
            let _ = self.sleeper.bell.set(bell);
        }
        self.sleeper.bell.get()
    }

    /// Whether it was woken since the last time.
    fn is_woken(&self) -> bool {
        self.sleeper.woken.load(Ordering::SeqCst) && self.sleeper.woken.swap(false, Ordering::SeqCst)
    }

    fn drive(&self, shard: &Shard, turn: Turn<'_>) {
        let mut false_alarms = 0;
        loop {
            if shard.wheel.heard() {
                match shard.flush(SEND_BUDGET) {
                    Flushed::All => {}
                    Flushed::More => shard.wheel.ring(),
                    // The driver knows how to wait for that.
                    Flushed::Blocked(_) => return turn.hand_back(),
                }
            }
            if self.is_woken() {
                return;
            }
            let timeout = match shard.next_turn(true) {
                NextTurn::Stopped => return turn.hand_back(),
                NextTurn::Now => {
                    shard.wheel.ring();
                    continue;
                }
                NextTurn::At(at) => Some(shard.until(at)),
                NextTurn::Never => None,
            };
            match self.poll(shard, timeout) {
                Polled::Something => false_alarms = 0,
                Polled::Called => {}
                Polled::FalseAlarm => {
                    false_alarms += 1;
                    if false_alarms == FALSE_ALARMS {
                        return turn.hand_back();
                    }
                }
            }
        }
    }

    /// Waits for datagrams, for a call and for the time, and takes the datagrams in.
    fn poll(&self, shard: &Shard, timeout: Option<Duration>) -> Polled {
        let Some(bell) = self.bell() else {
            return Polled::FalseAlarm;
        };
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let descriptors = shard.device.descriptors();
        let mut polled = Vec::with_capacity(descriptors.len() + 1);
        polled.push(PollFd::new(bell, PollFlags::IN));
        let datagrams = |descriptor| PollFd::new(descriptor, PollFlags::IN | PollFlags::PRI);
        polled.extend(descriptors.iter().map(datagrams));

        // Either this is seen by who wakes the thread, or the thread sees here that it was woken.
        self.sleeper.polls.store(true, Ordering::SeqCst);
        let outcome = if self.sleeper.woken.load(Ordering::SeqCst) {
            Ok(0)
        } else {
            poll(&mut polled, timeout.as_ref())
        };
        self.sleeper.polls.store(false, Ordering::SeqCst);
        match outcome {
            Ok(0) | Err(Errno::INTR) => return Polled::Called,
            Ok(_) => {}
            Err(_) => return Polled::FalseAlarm,
        }
        let mut ready = polled.iter().map(|polled| !polled.revents().is_empty());
        let mut found = Polled::FalseAlarm;
        if ready.next() == Some(true) {
            // Who rings it after that does so again.
            let _ = rustix::io::read(bell, &mut [0; 8]);
            found = Polled::Called;
        }
        for (index, _) in ready.enumerate().filter(|(_, ready)| *ready) {
            if shard.receive(index) != Intake::Nothing {
                found = Polled::Something;
            }
        }
        found
    }
}

/// What ended a wait for descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polled {
    /// Datagrams or errors, which were taken in.
    Something,
    /// A call, or the time.
    Called,
    /// Nothing that could be found.
    FalseAlarm,
}
