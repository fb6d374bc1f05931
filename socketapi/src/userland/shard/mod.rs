//! One engine with its sockets behind a lock, and the ways in and out for its packets.
//!
//! | file | what |
//! |---|---|
//! | `core` | what the lock protects |
//! | `inlet` | the way in |
//! | `outbox` | the way out |

mod core;
mod inlet;
mod outbox;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use sctp::config::OotbPolicy;
use sctp::{Instant, StackStats};

use self::core::Core;
use self::inlet::Inlet;
pub(crate) use self::inlet::Intake;
pub(crate) use self::outbox::Flushed;
use self::outbox::Outbox;
use super::clock::Clock;
use super::device::{Capture, Device};
use super::port::SharedPort;
use super::sock::Sockets;
use super::wait::{Attempt, Interest, Refused, Ticket};
use super::wheel::Wheel;
use super::workers::Worker;
use crate::{Error, Result};

/// How many batches of packets a caller sends itself before it leaves the rest to the driver.
const INLINE_BATCHES: usize = 4;

/// Packets of a caller that follow those of another call sooner than this are left to who drives: what several calls
/// cause then leaves together.
const GATHER: Duration = Duration::from_micros(20);

/// An engine, its sockets and its device.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) device: Device,
    /// The place on the UDP port of the device, if it is shared with other processes.
    port: Option<SharedPort>,
    /// Whether what is for nobody is left alone until this process answers it for all.
    ootb_by_role: bool,
    /// Which one it is, if the stack has several.
    worker: Option<Worker>,
    /// Where packets are written down, if they are.
    capture: Option<Capture>,
    clock: Clock,
    core: Mutex<Core>,
    outbox: Mutex<Outbox>,
    /// Set before the outbox is asked for: whoever holds it then looks at the engine once more.
    unsent: AtomicBool,
    inlet: Mutex<Inlet>,
    /// Who drives.
    pub(crate) wheel: Wheel,
}

/// What the driver sleeps until.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextTurn {
    /// Time has passed already.
    Now,
    /// A time.
    At(Instant),
    /// Nothing but datagrams and callers.
    Never,
    /// Nobody needs the stack any more; it has stopped.
    Stopped,
}

impl Shard {
    /// An engine on a device.
    pub(crate) fn new(sockets: Sockets, device: Device) -> Self {
        Self {
            device,
            port: None,
            ootb_by_role: false,
            worker: None,
            capture: None,
            clock: Clock::start(),
            core: Mutex::new(Core::new(sockets)),
            outbox: Mutex::default(),
            unsent: AtomicBool::new(false),
            inlet: Mutex::default(),
            wheel: Wheel::default(),
        }
    }

    /// The same, with a place on a shared UDP port.
    pub(crate) fn on_shared_port(self, port: Option<SharedPort>) -> Self {
        Self { port, ..self }
    }

    /// The same; `yes` if among processes that share SCTP ports one is to answer what is for nobody.
    pub(crate) fn answering_by_role(self, yes: bool) -> Self {
        Self {
            ootb_by_role: yes,
            ..self
        }
    }

    /// From now on this process answers what is for nobody, if nothing else was asked for.
    pub(crate) fn answer_for_all(&self) {
        if self.ootb_by_role {
            self.lock().sockets.stack.set_ootb_policy(OotbPolicy::Answer);
        }
    }

    /// The same, as one of several of its stack.
    pub(crate) fn among_workers(self, worker: Option<Worker>) -> Self {
        Self { worker, ..self }
    }

    /// Which one it is, if the stack has several.
    pub(crate) const fn worker(&self) -> Option<&Worker> {
        self.worker.as_ref()
    }

    /// The same, and its packets are written down.
    pub(crate) fn captured(self, capture: Option<Capture>) -> Self {
        Self { capture, ..self }
    }

    /// The place on a shared UDP port.
    pub(crate) const fn shared_port(&self) -> Option<&SharedPort> {
        self.port.as_ref()
    }

    /// Runs a command of a caller, then sends what it caused and wakes whom it concerns.
    pub(crate) fn enter<T>(&self, command: impl FnOnce(&mut Sockets, Instant) -> T) -> Result<T> {
        // Asked for before the core's lock, and only if it is free: one lock of the core serves the command and its
        // packets.
        let mut outbox = self.outbox.try_lock().ok();
        let mut core = self.lock();
        if core.stopped {
            return Err(Error::StackStopped);
        }
        let now = core.read(&self.clock);
        let outcome = command(&mut core.sockets, now);
        core.sockets.settle(now);
        let soon = core.sent_inline.is_some_and(|sent| now.saturating_since(sent) < GATHER);
        if soon && core.sockets.stack.wants_transmit() {
            let woken = core.sockets.take_woken();
            drop(core);
            drop(outbox);
            self.wheel.ring();
            wake(woken);
            return Ok(outcome);
        }
        let mut filled = false;
        if let Some(outbox) = outbox.as_deref_mut().filter(|outbox| outbox.waiting.is_none()) {
            filled = outbox.fill(&mut core.sockets, now, self.device.max_segments());
        }
        if filled {
            core.sent_inline = Some(now);
        }
        let early = core.is_due_before_armed();
        let woken = core.sockets.take_woken();
        drop(core);

        let quiet = outbox.is_some() && !filled;
        drop(outbox);
        if early {
            self.wheel.ring();
        }
        let look_again = !quiet || self.is_unsent();
        if look_again && self.flush(INLINE_BATCHES) != Flushed::All {
            self.wheel.ring();
        }
        wake(woken);
        Ok(outcome)
    }

    /// As [`enter`](Self::enter), for a command that causes packets only now and then, and no timers: it is told the
    /// time that was read last.
    pub(crate) fn enter_to_receive<T>(
        &self,
        command: impl FnOnce(&mut Sockets, Instant) -> Attempt<T>,
    ) -> Result<Attempt<T>> {
        let mut core = self.lock();
        if core.stopped {
            return Err(Error::StackStopped);
        }
        let now = core.now;
        let outcome = command(&mut core.sockets, now);
        if matches!(outcome, Err(Refused::Wait(_))) {
            // What is sent next is not one of several messages, but a response, or a request after one.
            core.sent_inline = None;
        }
        core.sockets.settle(now);
        let unsent = core.sockets.stack.wants_transmit();
        let woken = core.sockets.take_woken();
        drop(core);
        if unsent && self.flush(INLINE_BATCHES) != Flushed::All {
            self.wheel.ring();
        }
        wake(woken);
        Ok(outcome)
    }

    /// Runs due timers and says when who drives is to look again. Nobody else asks; `slept` tells that the time may
    /// have come.
    pub(crate) fn next_turn(&self, slept: bool) -> NextTurn {
        let mut core = self.lock();
        // A timer that has become due since the clock was read last ends the next sleep at once.
        let now = if slept { core.read(&self.clock) } else { core.now };
        let due = core.sockets.stack.poll_timeout();
        if due.is_some_and(|due| due <= now) {
            core.sockets.stack.handle_timeout(now);
            core.sockets.settle(now);
            let woken = core.sockets.take_woken();
            drop(core);
            wake(woken);
            return NextTurn::Now;
        }
        if core.is_unused() {
            core.stopped = true;
            return NextTurn::Stopped;
        }
        // Looking too early is harmless, and cheaper than moving the timer with every packet.
        let keep = core
            .armed
            .is_some_and(|armed| armed > now && due.is_some_and(|due| armed <= due));
        if !keep {
            core.armed = due;
        }
        core.armed.map_or(NextTurn::Never, NextTurn::At)
    }

    /// Ends everything: the driver is no more.
    pub(crate) fn stop(&self) {
        let mut core = self.lock();
        core.stopped = true;
        core.sockets.wake_everyone();
        let woken = core.sockets.take_woken();
        drop(core);
        wake(woken);
    }

    /// Whether the stack is still needed.
    pub(crate) fn is_needed(&self) -> bool {
        let core = self.lock();
        !core.stopped && !core.is_unused()
    }

    /// One more user, unless the stack has stopped.
    pub(crate) fn add_user(&self) -> bool {
        let mut core = self.lock();
        if !core.stopped {
            core.users += 1;
        }
        !core.stopped
    }

    /// One user less.
    pub(crate) fn remove_user(&self) {
        let mut core = self.lock();
        core.users = core.users.saturating_sub(1);
        let last = core.users == 0;
        drop(core);
        if last {
            self.wheel.ring();
        }
    }

    /// Forgets someone who waited.
    pub(crate) fn forget(&self, interest: Interest, ticket: Ticket) {
        self.lock().sockets.unregister(interest, ticket);
    }

    /// Looks at the engine and its sockets, also once the stack has stopped.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Sockets) -> T) -> T {
        look(&self.lock().sockets)
    }

    /// The engine's counters.
    pub(crate) fn stats(&self) -> StackStats {
        self.lock().sockets.stack.stats()
    }

    /// How long it is from now until then.
    pub(crate) fn until(&self, at: Instant) -> Duration {
        at.saturating_since(self.clock.now())
    }

    /// The instant as the runtime names it.
    pub(crate) fn deadline(&self, at: Instant) -> tokio::time::Instant {
        self.clock.deadline(at)
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        // Nothing under the lock panics; if it did, the rest would still be whole.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(woken: Vec<Waker>) {
    for waker in woken {
        waker.wake();
    }
}
