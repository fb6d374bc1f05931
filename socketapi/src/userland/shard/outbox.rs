//! The way out: packets from the engine to the network.

use std::sync::TryLockError;
use std::sync::atomic::{Ordering, fence};

use sctp::{Instant, Transmit};

use super::{Shard, wake};
use crate::userland::device::{Capture, Device, Progress, Trouble};
use crate::userland::sock::Sockets;

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

/// Packets between engine and network.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    buf: Vec<u8>,
    /// What is in `buf` and has not been sent, since the network would not take it, with how much of it was sent.
    pub(super) waiting: Option<(Transmit, usize)>,
    /// What the network said about packets, for the engine.
    troubles: Vec<Trouble>,
}

impl Outbox {
    /// Takes the next packets out of the engine; false if there are none.
    pub(super) fn fill(&mut self, sockets: &mut Sockets, now: Instant, max_segments: usize) -> bool {
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

impl Shard {
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
    pub(super) fn is_unsent(&self) -> bool {
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
}
