//! Another implementation as the opposite end.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use sctp::config::{AssociationConfig, EndpointConfig, ReconfigRequests};
use sctp::error::SendError;
use sctp::serial::{Ppid, StreamId};
use sctp::sim::{HostConfig, HostId, LinkConfig, Packet, Transport, World};
use sctp::{
    AssocId, AssociationStatus, ConnectOptions, EcnCodepoint, EndpointId, Event, Instant, OutMessage, Reliability,
};

/// The SCTP port of both ends.
pub(crate) const PORT: u16 = 5000;

/// Another implementation. Times count from its creation.
pub(crate) trait Foreign {
    fn name(&self) -> &'static str;
    fn connect(&mut self);
    /// A packet arrived.
    fn handle(&mut self, packet: &[u8]);
    /// The next packet to be sent.
    fn poll_packet(&mut self) -> Option<Vec<u8>>;
    /// Time has passed; due timers run.
    fn advance(&mut self, now: Duration);
    fn timeout(&self) -> Option<Duration>;
    fn is_connected(&self) -> bool;
    fn is_closed(&self) -> bool;
    /// Queues an ordered message; false if there is no room.
    fn send(&mut self, stream: u16, payload: &[u8], reliability: Reliability) -> bool;
    /// The next message: its stream and its bytes.
    fn receive(&mut self) -> Option<(u16, Vec<u8>)>;
    fn shut_down(&mut self);
    fn abort(&mut self);
    /// Asks for a reset of outgoing streams.
    fn reset_streams(&mut self, streams: &[u16]);
    /// Streams of ours that it was told are reset, and own ones for which it was told so.
    fn resets(&self) -> (Vec<u16>, Vec<u16>);
}

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Theirs,
}

/// One of ours against one of theirs.
pub(crate) struct Match {
    pub(crate) world: World,
    pub(crate) foreign: Box<dyn Foreign>,
    host: HostId,
    ours: HostId,
    endpoint: EndpointId,
    assoc: Option<AssocId>,
    pub(crate) log: Vec<Event>,
}

impl Match {
    pub(crate) fn new(foreign: Box<dyn Foreign>, link: &LinkConfig, seed: u64) -> Self {
        let mut config = AssociationConfig::default();
        config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
        Self::with(foreign, link, seed, config)
    }

    pub(crate) fn with(
        foreign: Box<dyn Foreign>,
        link: &LinkConfig,
        seed: u64,
        association: AssociationConfig,
    ) -> Self {
        let mut world = World::new(seed);
        world.trace().keep(60);
        let link = world.add_link("link", link.clone());
        let host = world.add_host(HostConfig::scripted("theirs").interface(link, &["10.1.0.1"]));
        let ours = world.add_host(HostConfig::new("ours").interface(link, &["10.1.0.2"]));
        let stack = world.stack(ours);
        let config = EndpointConfig {
            port: Some(PORT),
            addresses: Vec::new(),
            association,
            ..EndpointConfig::default()
        };
        let endpoint = stack.bind(config).unwrap();
        assert!(stack.listen(endpoint, 1));
        Self {
            world,
            foreign,
            host,
            ours,
            endpoint,
            assoc: None,
            log: Vec::new(),
        }
    }

    /// Calls the other end. That it panics is not our fault, and said so.
    fn theirs<R>(&mut self, what: &str, call: impl FnOnce(&mut dyn Foreign) -> R) -> R {
        let foreign = &mut *self.foreign;
        match catch_unwind(AssertUnwindSafe(|| call(foreign))) {
            Ok(result) => result,
            Err(_) => self.fail(&format!("THE OTHER END panicked in {what}")),
        }
    }

    #[track_caller]
    pub(crate) fn fail(&mut self, what: &str) -> ! {
        let (name, seed, now) = (self.foreign.name(), self.world.seed(), self.world.now());
        panic!(
            "{name}, seed {seed}, {now:?}: {what}\n{:?}\n{}",
            self.log,
            self.world.trace()
        );
    }

    fn now(&self) -> Duration {
        self.world.now().saturating_since(Instant::ZERO)
    }

    /// Moves what is there to be moved at this time.
    fn exchange(&mut self) {
        for (_, packet) in self.world.received(self.host) {
            self.theirs("a packet", |foreign| foreign.handle(&packet.payload));
        }
        while let Some(payload) = self.theirs("poll_packet", |foreign| foreign.poll_packet()) {
            let address = |host| -> IpAddr { self.world.addresses(host)[0] };
            let packet = Packet {
                src: address(self.host),
                dst: address(self.ours),
                transport: Transport::Sctp,
                ecn: EcnCodepoint::NotEct,
                payload: payload.into(),
            };
            self.world.inject(self.host, packet);
        }
        for (_, assoc, event) in self.world.events(self.ours) {
            if let Event::CommunicationUp { .. } = event {
                self.assoc = Some(assoc);
                let _ = self.world.stack(self.ours).accept(assoc);
            }
            self.log.push(event);
        }
    }

    /// Runs until `done`, which must come about within `limit`.
    #[track_caller]
    pub(crate) fn must(&mut self, what: &str, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let end = self.now() + limit;
        loop {
            self.exchange();
            if done(self) {
                return;
            }
            self.exchange();
            let theirs = self.foreign.timeout().map(|at| at.max(self.now()));
            let ours = self.world.next_event().map(|at| at.saturating_since(Instant::ZERO));
            let next = [theirs, ours].into_iter().flatten().min().filter(|next| *next <= end);
            let Some(next) = next else {
                self.fail(&format!("not within {limit:?}: {what}"));
            };
            if ours == Some(next) {
                self.world.step();
            } else {
                self.world.run_until(Instant::ZERO + next);
            }
            let now = self.now();
            self.theirs("a timeout", |foreign| foreign.advance(now));
        }
    }

    /// Runs for `duration`.
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.world.now() + duration;
        self.world.schedule(end, "end of a run", |_| {});
        self.must("time passes", duration, |game| game.world.now() >= end);
    }

    #[track_caller]
    pub(crate) fn connect(&mut self, side: Side) {
        let now = self.world.now();
        match side {
            Side::Ours => {
                let (endpoint, peer) = (self.endpoint, self.world.addresses(self.host));
                let stack = self.world.stack(self.ours);
                let assoc = stack.connect(now, endpoint, &peer, PORT, ConnectOptions::default());
                self.assoc = Some(assoc.unwrap());
            }
            Side::Theirs => self.theirs("connect", |foreign| foreign.connect()),
        }
        let up = |event: &Event| matches!(event, Event::CommunicationUp { .. });
        self.must("both are up", super::secs(60), |game| {
            game.told(up) && game.foreign.is_connected()
        });
    }

    pub(crate) fn told(&self, is: impl Fn(&Event) -> bool) -> bool {
        self.log.iter().any(is)
    }

    pub(crate) fn status(&self) -> Option<AssociationStatus> {
        self.world.peek(self.ours).status(self.assoc?)
    }

    pub(crate) fn shut_down(&mut self, side: Side) {
        let (now, assoc) = (self.world.now(), self.assoc.unwrap());
        match side {
            Side::Ours => self.world.stack(self.ours).shutdown(now, assoc).unwrap(),
            Side::Theirs => self.theirs("shut_down", |foreign| foreign.shut_down()),
        }
    }

    pub(crate) fn abort(&mut self, side: Side) {
        let (now, assoc) = (self.world.now(), self.assoc.unwrap());
        match side {
            Side::Ours => self.world.stack(self.ours).abort(now, assoc, Bytes::new()).unwrap(),
            Side::Theirs => self.theirs("abort", |foreign| foreign.abort()),
        }
    }

    /// Sends an ordered message; false if there is no room.
    pub(crate) fn send(&mut self, side: Side, stream: u16, payload: &[u8], reliability: Reliability) -> bool {
        match side {
            Side::Theirs => self.theirs("send", |foreign| foreign.send(stream, payload, reliability)),
            Side::Ours => {
                let (now, assoc) = (self.world.now(), self.assoc.unwrap());
                let message = OutMessage {
                    reliability,
                    ..OutMessage::new(StreamId(stream), Ppid(51), Bytes::copy_from_slice(payload))
                };
                match self.world.stack(self.ours).send(now, assoc, message) {
                    Ok(()) => true,
                    Err(SendError::WouldBlock) => false,
                    Err(error) => self.fail(&format!("a message is refused: {error}")),
                }
            }
        }
    }

    /// Takes the messages that a side has received.
    pub(crate) fn receive(&mut self, side: Side) -> Vec<(u16, Vec<u8>)> {
        let mut all = Vec::new();
        match side {
            Side::Theirs => {
                while let Some(message) = self.theirs("receive", |foreign| foreign.receive()) {
                    all.push(message);
                }
            }
            Side::Ours => {
                let (now, assoc) = (self.world.now(), self.assoc.unwrap());
                let stack = self.world.stack(self.ours);
                let mut message = Vec::new();
                while let Some(piece) = stack.recv(now, assoc).ok().flatten() {
                    message.extend(&piece.payload);
                    if piece.end_of_message {
                        all.push((piece.stream.0, std::mem::take(&mut message)));
                    }
                }
            }
        }
        all
    }

    /// Lets our user ask for a reset of outgoing streams.
    pub(crate) fn reset_streams(&mut self, streams: &[u16]) {
        let (now, assoc) = (self.world.now(), self.assoc.unwrap());
        let streams: Vec<StreamId> = streams.iter().map(|&id| StreamId(id)).collect();
        let stack = self.world.stack(self.ours);
        let directions = sctp::StreamDirections::Outgoing;
        stack.reset_streams(now, assoc, directions, &streams).unwrap();
    }
}

/// Numbered messages on some streams in one direction. Nothing may be altered, twice, or overtake in its stream.
pub(crate) struct Traffic {
    count: u32,
    sizes: Vec<usize>,
    sent: u32,
    pub(crate) received: u32,
    waiting: BTreeMap<u16, VecDeque<u32>>,
    reliability: Reliability,
}

const STREAMS: u32 = 4;

impl Traffic {
    pub(crate) fn new(count: u32, sizes: &[usize]) -> Self {
        Self {
            count,
            sizes: sizes.to_vec(),
            sent: 0,
            received: 0,
            waiting: BTreeMap::new(),
            reliability: Reliability::Reliable,
        }
    }

    /// Messages may be missing.
    pub(crate) fn reliability(mut self, reliability: Reliability) -> Self {
        self.reliability = reliability;
        self
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sent == self.count
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.received == self.count
    }

    fn payload(&self, id: u32) -> Vec<u8> {
        let size = self.sizes[id as usize % self.sizes.len()];
        let mut payload: Vec<u8> = (0..size)
            .map(|at| (at as u32 ^ id.wrapping_mul(2_654_435_761)) as u8)
            .collect();
        payload[..4].copy_from_slice(&id.to_be_bytes());
        payload
    }

    /// Sends as much as is taken, and checks what arrived.
    pub(crate) fn pump(&mut self, game: &mut Match, from: Side) {
        while self.sent < self.count {
            let stream = (self.sent % STREAMS) as u16;
            if !game.send(from, stream, &self.payload(self.sent), self.reliability) {
                break;
            }
            self.waiting.entry(stream).or_default().push_back(self.sent);
            self.sent += 1;
        }
        let to = if from == Side::Ours { Side::Theirs } else { Side::Ours };
        for (stream, message) in game.receive(to) {
            let id = message.first_chunk().map(|id| u32::from_be_bytes(*id));
            let Some(id) = id.filter(|id| *id < self.sent && message == self.payload(*id)) else {
                game.fail(&format!("a message from {from:?} is altered"));
            };
            let waiting = self.waiting.entry(stream).or_default();
            while self.reliability != Reliability::Reliable && waiting.front().is_some_and(|next| *next < id) {
                waiting.pop_front();
            }
            if waiting.pop_front() != Some(id) {
                game.fail(&format!("message {id} from {from:?} is twice there or out of order"));
            }
            self.received += 1;
        }
    }
}
