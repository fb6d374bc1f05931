//! The way in: datagrams, and what is known about packets that were sent, from the network to the engine.

use std::io;
use std::sync::{MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use sctp::{IcmpReport, RxMeta};

use super::core::Core;
use super::outbox::Flushed;
use super::{INLINE_BATCHES, Shard, wake};
use crate::userland::device::{Receiver, Trouble};
use crate::userland::workers::{Stray, Worksite};

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

/// What is needed to receive. Who has it receives, so that packets keep their order.
#[derive(Debug, Default)]
pub(super) struct Inlet {
    receiver: Receiver,
    troubles: Vec<Trouble>,
}

impl Shard {
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
    pub(super) fn ingest(&self, datagrams: impl Iterator<Item = (RxMeta, Bytes)>) {
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
    fn heed_own(&self, troubles: impl Iterator<Item = Trouble>) {
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
}

impl Worksite for Shard {
    fn take_datagram(&self, meta: RxMeta, datagram: Bytes) {
        self.ingest_for_driver([(meta, datagram)].into_iter());
    }

    fn take_report(&self, report: IcmpReport) {
        self.heed_own([Trouble::Icmp(report)].into_iter());
    }
}
