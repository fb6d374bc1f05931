//! What carries the engines: a task for each node, its sockets, its clock.
//!
//! A driver turns what happens on sockets into [`NetEvent`]s, carries out [`NetCommand`]s, and wakes the engine when
//! its timeout is due. It decides nothing.

#![expect(
    clippy::disallowed_types,
    reason = "drivers read the clock, so that engines need not"
)]

mod backlog;
pub(crate) mod element;
mod multicast;
pub(crate) mod registrar;
mod transport;
pub(crate) mod user;

use std::pin::Pin;
use std::time::Duration;

use sctp::Instant;
use tokio::time::Sleep;

pub(crate) use self::transport::{Ports, Transport};
use crate::net::{NetCommand, NetEvent};

/// The engine of a node, as its driver sees it.
pub(crate) trait Engine {
    fn handle(&mut self, now: Instant, event: NetEvent);
    fn handle_timeout(&mut self, now: Instant);
    fn poll_command(&mut self) -> Option<NetCommand>;
    fn poll_timeout(&self) -> Option<Instant>;
}

/// The one place that reads the clock.
#[derive(Debug)]
struct Clock {
    zero: std::time::Instant,
}

impl Clock {
    fn now(&self) -> Instant {
        let nanos = self.zero.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn when(&self, at: Instant) -> tokio::time::Instant {
        (self.zero + Duration::from_nanos(at.as_nanos())).into()
    }
}

/// A node: an engine, its network and its clock.
pub(crate) struct Node<E> {
    pub(crate) engine: E,
    transport: Transport,
    clock: Clock,
    /// The engine's timeout, as it was last known, and the timer that stands for it.
    due: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<E: Engine> Node<E> {
    pub(crate) fn new(engine: E, transport: Transport) -> Self {
        let zero = std::time::Instant::now();
        Self {
            engine,
            transport,
            clock: Clock { zero },
            due: None,
            timer: Box::pin(tokio::time::sleep_until(zero.into())),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) const fn transport_mut(&mut self) -> &mut Transport {
        &mut self.transport
    }

    /// Whether nothing is left on the network: all associations are over.
    pub(crate) fn is_quiet(&self) -> bool {
        self.transport.is_quiet()
    }

    /// Carries out what the engine wants. To be called whenever the engine was given something.
    pub(crate) fn flush(&mut self) {
        while let Some(command) = self.engine.poll_command() {
            self.transport.execute(command);
        }
        let due = self.engine.poll_timeout();
        if self.due != due {
            self.due = due;
            if let Some(at) = due {
                self.timer.as_mut().reset(self.clock.when(at));
            }
        }
    }

    /// Waits for the next event or timeout and gives it to the engine. Cancel-safe. Call [`flush`](Self::flush) before.
    pub(crate) async fn step(&mut self) {
        let event = tokio::select! {
            event = self.transport.next() => Some(event),
            () = self.timer.as_mut(), if self.due.is_some() => None,
        };
        let now = self.clock.now();
        match event {
            Some(event) => self.engine.handle(now, event),
            None => {
                // A new timer, should it be due again at once.
                self.due = None;
                self.engine.handle_timeout(now);
            }
        }
    }

    /// Goes on until the network is quiet, or `timeout` is over. What is left then is aborted.
    pub(crate) async fn wind_up(&mut self, timeout: Duration) {
        let end = tokio::time::Instant::now() + timeout;
        self.flush();
        while !self.is_quiet() {
            tokio::select! {
                () = self.step() => self.flush(),
                () = tokio::time::sleep_until(end) => break,
            }
        }
        self.transport.abort_all();
    }
}
