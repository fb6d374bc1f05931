//! One engine with its sockets behind a lock, and the way out for its packets.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use sctp::config::OotbPolicy;
use sctp::{Instant, RxMeta, StackStats, Transmit};

use super::clock::Clock;
use super::device::{Capture, Device, Progress, Receiver, Trouble};
use super::port::SharedPort;
use super::sock::Sockets;
use super::wait::{Attempt, Interest, Refused, Ticket};
use super::wheel::Wheel;
use super::workers::{Stray, Worker};
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

/// What the lock protects.
#[derive(Debug)]
struct Core {
    sockets: Sockets,
    /// The time when the clock was read last.
    now: Instant,
    /// When the driver will look at the time by itself.
    armed: Option<Instant>,
    /// When a caller last sent packets itself, unless someone has begun to wait for the answer.
    sent_inline: Option<Instant>,
    /// How many handles and sockets need the stack.
    users: usize,
    stopped: bool,
}

/// Packets between engine and network.
#[derive(Debug, Default)]
struct Outbox {
    buf: Vec<u8>,
    /// What is in `buf` and has not been sent, since the network would not take it, with how much of it was sent.
    waiting: Option<(Transmit, usize)>,
    /// What the network said about packets, for the engine.
    troubles: Vec<Trouble>,
}

/// What is needed to receive. Who has it receives, so that packets keep their order.
#[derive(Debug, Default)]
struct Inlet {
    receiver: Receiver,
    troubles: Vec<Trouble>,
}

/// What came of an attempt to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    /// There was nothing.
    Nothing,
    /// Something, and nothing is left.
    Last,
    /// There may be more.
    More,
}

/// What became of an attempt to send all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Everything was sent, or someone else is at it.
    All,
    /// There may be more; the budget is used up.
    More,
    /// This socket of the device takes no more for now.
    Blocked(usize),
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
        let core = Core {
            sockets,
            now: Instant::ZERO,
            armed: None,
            sent_inline: None,
            users: 1,
            stopped: false,
        };
        Self {
            device,
            port: None,
            ootb_by_role: false,
            worker: None,
            capture: None,
            clock: Clock::start(),
            core: Mutex::new(core),
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

    /// Receives from one of the descriptors of the device, for the engine. Only who drives does so.
    pub(crate) fn receive(&self, index: usize) -> Intake {
        let mut inlet = self.inlet.lock().unwrap_or_else(PoisonError::into_inner);
        let Inlet { receiver, troubles } = &mut *inlet;
        match self.device.receive(index, receiver) {
            Ok(datagrams) => {
                // Fewer than were asked for: the queue was empty, and what comes now wakes who drives.
                let last = datagrams.is_last();
                self.ingest(datagrams);
                if last { Intake::Last } else { Intake::More }
            }
            // An error is about packets that were sent. Whoever sends may have been told of it before, and what there
            // was to wake for is then the queue alone.
            Err(error) => {
                let more = self.device.read_errors(index, troubles);
                let none = troubles.is_empty();
                if !none {
                    self.heed(troubles.drain(..));
                }
                match error.kind() {
                    io::ErrorKind::WouldBlock if more => Intake::More,
                    io::ErrorKind::WouldBlock if none => Intake::Nothing,
                    io::ErrorKind::WouldBlock => Intake::Last,
                    _ => Intake::More,
                }
            }
        }
    }

    /// Gives datagrams that arrived to the engine.
    fn ingest(&self, datagrams: impl Iterator<Item = (RxMeta, Bytes)>) {
        let mut strays = Vec::new();
        let (core, woken) = match &self.worker {
            None => self.take_in(datagrams),
            Some(worker) => self.take_in(
                datagrams.filter_map(|(meta, datagram)| match worker.other_for(&datagram) {
                    None => Some((meta, datagram)),
                    Some(other) => {
                        strays.push(Stray::Datagram(other, meta, datagram));
                        None
                    }
                }),
            ),
        };
        drop(core);
        // Answers leave before those who were woken cause more.
        if self.flush(INLINE_BATCHES) != Flushed::All {
            self.wheel.ring();
        }
        wake(woken);
        if let Some(worker) = &self.worker {
            worker.hand_on(strays);
        }
    }

    /// As [`ingest`](Self::ingest), for anyone but the driver.
    pub(crate) fn ingest_for_driver(&self, datagrams: impl Iterator<Item = (RxMeta, Bytes)>) {
        let (mut core, woken) = self.take_in(datagrams);
        let due = core.is_due_before_armed() || core.is_unused();
        drop(core);
        if self.flush(INLINE_BATCHES) != Flushed::All || due {
            self.wheel.ring();
        }
        wake(woken);
    }

    fn take_in(&self, datagrams: impl Iterator<Item = (RxMeta, Bytes)>) -> (MutexGuard<'_, Core>, Vec<Waker>) {
        let Some(capture) = &self.capture else {
            return self.process(datagrams);
        };
        let datagrams: Vec<_> = datagrams.collect();
        for (meta, datagram) in &datagrams {
            capture.received(meta, datagram);
        }
        self.process(datagrams.into_iter())
    }

    fn process(&self, datagrams: impl Iterator<Item = (RxMeta, Bytes)>) -> (MutexGuard<'_, Core>, Vec<Waker>) {
        let mut core = self.lock();
        let now = core.read(&self.clock);
        for (meta, datagram) in datagrams {
            core.sockets.stack.handle_datagram(now, &meta, datagram);
        }
        core.sockets.settle(now);
        let woken = core.sockets.take_woken();
        (core, woken)
    }

    /// Tells the engine what happened to packets.
    pub(crate) fn heed(&self, troubles: impl Iterator<Item = Trouble>) {
        let Some(worker) = &self.worker else {
            return self.heed_own(troubles);
        };
        let mut strays = Vec::new();
        self.heed_own(troubles.filter_map(|trouble| match trouble {
            Trouble::Icmp(report) => match worker.other_for_report(&report) {
                None => Some(Trouble::Icmp(report)),
                Some(other) => {
                    strays.push(Stray::Report(other, report));
                    None
                }
            },
            other @ Trouble::TooBig { .. } => Some(other),
        }));
        worker.hand_on(strays);
    }

    /// As [`heed`](Self::heed), for what is known to be about packets of this shard.
    pub(crate) fn heed_own(&self, troubles: impl Iterator<Item = Trouble>) {
        let mut core = self.lock();
        let now = core.read(&self.clock);
        for trouble in troubles {
            match trouble {
                Trouble::TooBig { transmit, head, len } => {
                    core.sockets.stack.handle_too_big(now, &transmit, &head, len);
                }
                Trouble::Icmp(report) => core.sockets.stack.handle_icmp(now, &report),
            }
        }
        core.sockets.settle(now);
        let unsent = core.sockets.stack.wants_transmit();
        let early = core.is_due_before_armed();
        let woken = core.sockets.take_woken();
        drop(core);
        if early || unsent {
            self.wheel.ring();
        }
        wake(woken);
    }

    /// Sends what there is, at most so many batches.
    pub(crate) fn flush(&self, batches: usize) -> Flushed {
        loop {
            self.unsent.store(true, Ordering::Relaxed);
            // Either the lock is seen to be free here, or the flag is seen to be set where it is let go of.
            fence(Ordering::SeqCst);
            let mut outbox = match self.outbox.try_lock() {
                Ok(outbox) => outbox,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // Whoever holds it sees the flag after letting go of it.
                Err(TryLockError::WouldBlock) => return Flushed::All,
            };
            self.unsent.store(false, Ordering::Relaxed);
            let flushed = self.empty(&mut outbox, batches);
            drop(outbox);
            if flushed != Flushed::All || !self.is_unsent() {
                return flushed;
            }
        }
    }

    /// Whether someone found the outbox taken, by whoever has just let go of it.
    fn is_unsent(&self) -> bool {
        fence(Ordering::SeqCst);
        self.unsent.load(Ordering::Relaxed)
    }

    fn empty(&self, outbox: &mut Outbox, batches: usize) -> Flushed {
        for batch in 0..batches {
            if outbox.waiting.is_none() {
                let mut core = self.lock();
                // Whoever wants something sent has read the clock for it.
                let now = if batch == 0 { core.now } else { core.read(&self.clock) };
                let filled = outbox.fill(&mut core.sockets, now, self.device.max_segments());
                core.sockets.settle(now);
                let early = core.is_due_before_armed();
                let woken = core.sockets.take_woken();
                drop(core);
                if early {
                    self.wheel.ring();
                }
                wake(woken);
                if !filled {
                    return Flushed::All;
                }
            }
            let blocked = outbox.send(&self.device, self.capture.as_ref());
            if !outbox.troubles.is_empty() {
                self.heed(outbox.troubles.drain(..));
            }
            if let Some(socket) = blocked {
                return Flushed::Blocked(socket);
            }
        }
        Flushed::More
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

impl Core {
    /// The time now.
    fn read(&mut self, clock: &Clock) -> Instant {
        // Threads may read the clock in one order and come here in another.
        self.now = self.now.max(clock.now());
        self.now
    }

    /// Whether nobody needs the stack any more.
    fn is_unused(&self) -> bool {
        self.users == 0 && self.sockets.is_empty()
    }

    /// Whether a timer is due before the driver looks at the time; true once for each earlier time.
    fn is_due_before_armed(&mut self) -> bool {
        let Some(due) = self.sockets.stack.poll_timeout() else {
            return false;
        };
        let early = self.armed.is_none_or(|armed| due < armed);
        if early {
            self.armed = Some(due);
        }
        early
    }
}

impl Outbox {
    /// Takes the next packets out of the engine; false if there are none.
    fn fill(&mut self, sockets: &mut Sockets, now: Instant, max_segments: usize) -> bool {
        self.waiting = sockets
            .stack
            .poll_transmit(now, max_segments, &mut self.buf)
            .map(|transmit| (transmit, 0));
        self.waiting.is_some()
    }

    /// Sends what waits; the socket of the device that would not take it.
    fn send(&mut self, device: &Device, capture: Option<&Capture>) -> Option<usize> {
        let (transmit, sent) = self.waiting.as_mut()?;
        let before = *sent;
        let progress = device.send(transmit, &self.buf, sent, &mut self.troubles);
        if let Some((capture, packets)) = capture.zip(self.buf.get(before..*sent)) {
            capture.sent(transmit, packets);
        }
        match progress {
            Progress::Done => {
                self.waiting = None;
                None
            }
            Progress::Blocked(socket) => Some(socket),
        }
    }
}

fn wake(woken: Vec<Waker>) {
    for waker in woken {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
