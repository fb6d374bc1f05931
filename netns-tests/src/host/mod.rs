//! A host for tests: the engine on real sockets and the real clock, in the test's own thread.
//!
//! It gives tests everything the engine can do, also what the socket layer does not offer, and what the socket layer
//! lacks: SCTP directly on IP.

mod carrier;

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::time::{Duration, Instant as Clock};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sctp::config::{AssociationConfig, EndpointConfig, StackConfig};
use sctp::error::SendError;
use sctp::{
    AssocId, AssociationStatus, ConnectOptions, EcnCodepoint, EndpointId, Event, Instant, OutMessage, Received, Stack,
};

use crate::process::PATIENCE;
use carrier::Carrier;

/// Packets that are taken in before others are sent.
const BATCH: usize = 64;

/// The engine on some addresses of this thread's network namespace.
#[derive(Debug)]
pub struct Host {
    stack: Stack,
    carrier: Carrier,
    zero: Clock,
    log: Vec<(AssocId, Event)>,
    accepted: Vec<AssocId>,
    buffer: Vec<u8>,
    loss: Loss,
    marks: Loss,
    arrived: u32,
    left: u32,
}

/// Which packets something happens to: one of so many, none for zero.
#[derive(Clone, Copy, Debug, Default)]
struct Loss {
    arriving: u32,
    leaving: u32,
}

/// Counts a packet; whether it is one of those that something happens to.
const fn strikes(one_of: u32, count: &mut u32) -> bool {
    *count = count.wrapping_add(1);
    one_of > 0 && count.is_multiple_of(one_of)
}

/// Marks one of so many packets, of which this is the `count`th.
fn mark(ecn: &mut EcnCodepoint, one_of: u32, count: u32) {
    if one_of > 0 && count.is_multiple_of(one_of) && *ecn != EcnCodepoint::NotEct {
        *ecn = EcnCodepoint::Ce;
    }
}

impl Host {
    /// A host that speaks SCTP in UDP from `port`.
    ///
    /// # Panics
    ///
    /// If an address or the port is not to be had.
    pub fn udp(addresses: &[IpAddr], port: u16) -> Self {
        Self::new(StackConfig::new(addresses.to_vec(), Some(port)))
    }

    /// A host that speaks SCTP directly on IP, which takes root.
    ///
    /// # Panics
    ///
    /// If an address is not to be had.
    pub fn raw(addresses: &[IpAddr]) -> Self {
        Self::new(StackConfig::new(addresses.to_vec(), None))
    }

    /// A host as `config` says.
    ///
    /// # Panics
    ///
    /// If an address or the port is not to be had.
    pub fn new(config: StackConfig) -> Self {
        let carrier = Carrier::open(config.local_addresses(), config.encapsulation_port())
            .unwrap_or_else(|error| panic!("{:?}: {error}", config.local_addresses()));
        let mut seed = [0; 32];
        File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut seed))
            .unwrap_or_else(|error| panic!("/dev/urandom: {error}"));
        Self {
            stack: Stack::new(config, seed),
            carrier,
            zero: Clock::now(),
            log: Vec::new(),
            accepted: Vec::new(),
            buffer: Vec::new(),
            loss: Loss::default(),
            marks: Loss::default(),
            arrived: 0,
            left: 0,
        }
    }

    fn now(&self) -> Instant {
        let nanos = self.zero.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Has the engine do something, and sends what comes of it.
    pub fn act<R>(&mut self, act: impl FnOnce(&mut Stack, Instant) -> R) -> R {
        let now = self.now();
        let result = act(&mut self.stack, now);
        self.flush();
        result
    }

    /// The engine, to look at.
    pub const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// What has happened up to now, oldest first.
    pub fn log(&self) -> &[(AssocId, Event)] {
        &self.log
    }

    /// Tells it that the system has these addresses now; new ones must be in this thread's network namespace.
    ///
    /// # Panics
    ///
    /// If a new one is not to be had.
    pub fn set_addresses(&mut self, addresses: &[IpAddr]) {
        let opened = self.carrier.set_addresses(addresses);
        opened.unwrap_or_else(|error| panic!("{addresses:?}: {error}"));
        self.act(|stack, now| stack.set_local_addresses(now, addresses));
    }

    /// From now on throws one of each so many packets away, of those that arrive and those that are to be sent; none
    /// for zero.
    pub const fn lose(&mut self, arriving: u32, leaving: u32) {
        self.loss = Loss { arriving, leaving };
    }

    /// From now on marks packets (RFC 3168) as a router before this host would that is at its limit: one of so many
    /// that arrive and that are to be sent, if it asks for marks; none for zero.
    pub const fn mark(&mut self, arriving: u32, leaving: u32) {
        self.marks = Loss { arriving, leaving };
    }

    /// Sends what is to be sent, and notes what happened.
    fn flush(&mut self) {
        let now = self.now();
        while let Some(mut transmit) = self.stack.poll_transmit(now, 1, &mut self.buffer) {
            let lost = strikes(self.loss.leaving, &mut self.left);
            mark(&mut transmit.ecn, self.marks.leaving, self.left);
            if !lost && !self.carrier.send(&transmit, &self.buffer) {
                self.stack
                    .handle_too_big(now, &transmit, &self.buffer, self.buffer.len());
            }
        }
        while let Some((_, assoc, event)) = self.stack.poll_event() {
            self.log.push((assoc, event));
        }
    }

    /// Takes in what has arrived, and lets due timers run.
    fn step(&mut self) {
        for _ in 0..BATCH {
            let Some((mut meta, packet)) = self.carrier.receive() else {
                break;
            };
            let now = self.now();
            let lost = strikes(self.loss.arriving, &mut self.arrived);
            mark(&mut meta.ecn, self.marks.arriving, self.arrived);
            if !lost {
                self.stack.handle_datagram(now, &meta, packet);
            }
        }
        let now = self.now();
        if self.stack.poll_timeout().is_some_and(|at| at <= now) {
            self.stack.handle_timeout(now);
        }
        self.flush();
    }

    /// Sleeps until there is something to do, or `until`.
    fn sleep(&self, until: Instant) {
        let until = self.stack.poll_timeout().map_or(until, |at| at.min(until));
        let left = until.saturating_since(self.now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut descriptors: Vec<_> = self
            .carrier
            .descriptors()
            .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN))
            .collect();
        let _ = poll(&mut descriptors, Some(&timeout));
    }

    /// Runs until `done` gives something, which is looked at after each thing that happens and every 50 ms.
    ///
    /// # Panics
    ///
    /// If that does not happen within [`PATIENCE`]; `what` and what did happen are in the message.
    pub fn until<T>(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = self.now() + PATIENCE;
        loop {
            self.step();
            let result = done(self);
            self.flush();
            if let Some(result) = result {
                return result;
            }
            let now = self.now();
            assert!(now < deadline, "{what}: did not happen, but: {}", self.story());
            if !self.stack.wants_transmit() {
                self.sleep(now + Duration::from_millis(50));
            }
        }
    }

    /// Runs for a while, which is not to be taken for a sign of anything.
    pub fn run(&mut self, time: Duration) {
        let end = self.now() + time;
        self.until("time passes", |host| (host.now() >= end).then_some(()));
    }

    fn story(&self) -> String {
        let telling = self
            .log
            .iter()
            .filter(|(_, event)| !matches!(event, Event::Readable | Event::Writable));
        let events = telling.map(|(assoc, event)| match event {
            Event::SendFailed(failure) => format!("{assoc:?} SendFailed context {}\n", failure.context),
            event => format!("{assoc:?} {event:?}\n"),
        });
        let mut ids: Vec<AssocId> = self.log.iter().map(|(assoc, _)| *assoc).collect();
        ids.dedup();
        let states = ids
            .iter()
            .filter_map(|id| self.stack.status(*id))
            .map(|status| format!("{status:#?}\n"));
        events.chain(states).collect()
    }

    // What most tests need.

    /// Binds an end point to a port, on all addresses.
    ///
    /// # Panics
    ///
    /// If the port is taken.
    pub fn bind(&mut self, port: Option<u16>, association: AssociationConfig) -> EndpointId {
        let config = EndpointConfig {
            port,
            addresses: Vec::new(),
            association,
            ..EndpointConfig::default()
        };
        let bound = self.stack.bind(config);
        bound.unwrap_or_else(|error| panic!("port {port:?}: {error}"))
    }

    /// Binds an end point that takes associations.
    ///
    /// # Panics
    ///
    /// As [`bind`](Self::bind).
    pub fn listen(&mut self, port: u16, association: AssociationConfig) -> EndpointId {
        let endpoint = self.bind(Some(port), association);
        assert!(self.stack.listen(endpoint, 16));
        endpoint
    }

    /// Opens an association, and waits until it is up.
    ///
    /// # Panics
    ///
    /// If it does not come up.
    pub fn connect(&mut self, endpoint: EndpointId, peer: &[IpAddr], port: u16) -> AssocId {
        let (assoc, is_up) = self.try_connect(endpoint, peer, port);
        assert!(is_up, "{peer:?} {port}: {}", self.story());
        assoc
    }

    /// As [`connect`](Self::connect), again and again until the peer listens.
    ///
    /// # Panics
    ///
    /// If it does not within [`PATIENCE`].
    pub fn connect_patiently(&mut self, endpoint: EndpointId, peer: &[IpAddr], port: u16) -> AssocId {
        let deadline = self.now() + PATIENCE;
        loop {
            let (assoc, is_up) = self.try_connect(endpoint, peer, port);
            if is_up {
                return assoc;
            }
            assert!(self.now() < deadline, "{peer:?} {port}: {}", self.story());
        }
    }

    /// Opens an association, and waits until it is up, or has failed; which of both.
    fn try_connect(&mut self, endpoint: EndpointId, peer: &[IpAddr], port: u16) -> (AssocId, bool) {
        let assoc = self
            .act(|stack, now| stack.connect(now, endpoint, peer, port, ConnectOptions::default()))
            .unwrap_or_else(|error| panic!("{peer:?} {port}: {error}"));
        let is_up = self.until("the association is up", |host| {
            let is = |kind: fn(&Event) -> bool| host.happened(assoc, kind).is_some();
            let is_up = is(|event| matches!(event, Event::CommunicationUp { .. }));
            let has_failed = is(|event| matches!(event, Event::ConnectFailed { .. }));
            (is_up || has_failed).then_some(is_up)
        });
        (assoc, is_up)
    }

    /// Waits for an association that a peer opens, and takes it: each is given once.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub fn accept(&mut self) -> AssocId {
        self.until("a peer connects", |host| {
            let taken = &host.accepted;
            let up = host.log.iter().find(|(assoc, event)| {
                matches!(
                    event,
                    Event::CommunicationUp {
                        initiated_here: false,
                        ..
                    }
                ) && !taken.contains(assoc)
            });
            let assoc = up.map(|(assoc, _)| *assoc)?;
            host.accepted.push(assoc);
            let _ = host.stack.accept(assoc);
            Some(assoc)
        })
    }

    /// Whether something of this kind has happened to the association.
    pub fn happened(&self, assoc: AssocId, kind: impl Fn(&Event) -> bool) -> Option<()> {
        let mut log = self.log.iter();
        log.any(|(of, event)| *of == assoc && kind(event)).then_some(())
    }

    /// A snapshot of an association.
    ///
    /// # Panics
    ///
    /// If it is gone.
    pub fn status(&self, assoc: AssocId) -> AssociationStatus {
        self.stack
            .status(assoc)
            .unwrap_or_else(|| panic!("{assoc:?} is gone: {}", self.story()))
    }

    /// Sends a message; false if there is no room for it now.
    ///
    /// # Panics
    ///
    /// If it is refused for another reason.
    pub fn try_send(&mut self, assoc: AssocId, message: OutMessage) -> bool {
        let now = self.now();
        match self.stack.send(now, assoc, message) {
            Ok(()) => true,
            Err(SendError::WouldBlock) => false,
            Err(error) => panic!("{error}: {}", self.story()),
        }
    }

    /// Sends a message, once there is room for it.
    ///
    /// # Panics
    ///
    /// As [`try_send`](Self::try_send), or if no room comes.
    pub fn send(&mut self, assoc: AssocId, message: &OutMessage) {
        self.until("there is room to send", |host| {
            host.try_send(assoc, message.clone()).then_some(())
        });
    }

    /// Takes the next message, or the next piece of one, if it is there.
    pub fn try_receive(&mut self, assoc: AssocId) -> Option<Received> {
        let now = self.now();
        self.stack.recv(now, assoc).ok().flatten()
    }

    /// Receives a whole message.
    ///
    /// # Panics
    ///
    /// If none comes.
    pub fn receive(&mut self, assoc: AssocId) -> Received {
        self.receive_while(assoc, |_| None)
    }

    /// As [`receive`](Self::receive), and does something else each time it looks.
    ///
    /// # Panics
    ///
    /// As [`receive`](Self::receive).
    pub fn receive_while(&mut self, assoc: AssocId, mut other: impl FnMut(&mut Self) -> Option<()>) -> Received {
        let mut message: Option<Received> = None;
        self.until("a message", |host| {
            other(host);
            while let Some(piece) = host.try_receive(assoc) {
                let whole = match message.take() {
                    None => piece,
                    Some(begun) => Received {
                        payload: Bytes::from([begun.payload, piece.payload].concat()),
                        end_of_message: piece.end_of_message,
                        ..begun
                    },
                };
                if whole.end_of_message {
                    return Some(whole);
                }
                message = Some(whole);
            }
            None
        })
    }

    /// Ends an association gracefully, and waits until that is done.
    ///
    /// # Panics
    ///
    /// If it does not end gracefully.
    pub fn shutdown(&mut self, assoc: AssocId) {
        let _ = self.act(|stack, now| stack.shutdown(now, assoc));
        self.until_shutdown(assoc);
    }

    /// Waits until an association has ended gracefully, whoever began that.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn until_shutdown(&mut self, assoc: AssocId) {
        self.until("the shutdown is complete", |host| {
            host.happened(assoc, |event| matches!(event, Event::ShutdownComplete))
        });
    }
}
