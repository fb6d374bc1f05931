//! Two hosts with stacks, on one link or more.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use sctp::config::{AssociationConfig, EndpointConfig, StackConfig};
use sctp::error::SendError;
use sctp::serial::{Ppid, StreamId};
use sctp::sim::{HostConfig, HostId, LinkConfig, LinkId, World};
use sctp::{
    AssocId, AssociationPhase, AssociationStatus, ConnectOptions, EndpointId, Event, Instant, OutMessage, PathStatus,
    Received, SendFailure,
};

use super::{Answer, parse};

/// The index of the side that connects.
pub(crate) const A: usize = 0;
/// The index of the side that listens.
pub(crate) const B: usize = 1;
/// A's SCTP port.
pub(crate) const PORT_A: u16 = 5000;
/// B's SCTP port.
pub(crate) const PORT_B: u16 = 5001;

/// Which addresses the hosts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// An IPv4 address on each link.
    V4,
    /// An IPv6 address on each link.
    V6,
    /// IPv4 on the first link, IPv6 on the second, and so on in turn.
    Alternating,
}

type Tune = Box<dyn Fn(&mut StackConfig)>;

/// What a pair is to be.
pub(crate) struct Setup {
    seed: u64,
    links: Vec<LinkConfig>,
    family: Family,
    encapsulation: [Option<u16>; 2],
    associations: [AssociationConfig; 2],
    tune: [Option<Tune>; 2],
    backlog: usize,
}

impl Setup {
    /// One link of 10 ms.
    pub(crate) fn single() -> Self {
        Self::with_links(1)
    }

    /// Two links of 10 ms.
    pub(crate) fn dual() -> Self {
        Self::with_links(2)
    }

    /// Several links of 10 ms.
    pub(crate) fn with_links(count: usize) -> Self {
        Self {
            seed: 1,
            links: vec![super::wire(super::ms(10)); count],
            family: Family::V4,
            encapsulation: [None; 2],
            associations: [super::without_discovery(), super::without_discovery()],
            tune: [None, None],
            backlog: 16,
        }
    }

    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same properties for every link.
    pub(crate) fn link(mut self, config: &LinkConfig) -> Self {
        self.links.fill(config.clone());
        self
    }

    pub(crate) fn family(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    /// SCTP in UDP, from these ports.
    pub(crate) fn encapsulated(mut self, a: u16, b: u16) -> Self {
        self.encapsulation = [Some(a), Some(b)];
        self
    }

    /// Changes the associations of both sides.
    pub(crate) fn config(self, change: impl Fn(&mut AssociationConfig)) -> Self {
        let both = self.config_of(A, &change);
        both.config_of(B, &change)
    }

    /// Changes the associations of one side.
    pub(crate) fn config_of(mut self, side: usize, change: impl Fn(&mut AssociationConfig)) -> Self {
        change(&mut self.associations[side]);
        self
    }

    /// Changes the stack of one side.
    pub(crate) fn stack_of(mut self, side: usize, tune: impl Fn(&mut StackConfig) + 'static) -> Self {
        self.tune[side] = Some(Box::new(tune));
        self
    }

    /// How many associations may wait at B to be accepted; zero does not listen.
    pub(crate) fn backlog(mut self, backlog: usize) -> Self {
        self.backlog = backlog;
        self
    }

    /// Two hosts with an end point each; B listens.
    pub(crate) fn build(self) -> Pair {
        let mut world = World::new(self.seed);
        world.trace().keep(300);
        let links: Vec<LinkId> = (self.links.iter().enumerate())
            .map(|(n, config)| world.add_link(&format!("link{n}"), config.clone()))
            .collect();
        let mut tune = self.tune.into_iter();
        let hosts = [A, B].map(|side| {
            let mut host = HostConfig::new(["a", "b"][side]);
            for (n, &link) in links.iter().enumerate() {
                let v4 = self.family == Family::V4 || (self.family == Family::Alternating && n % 2 == 0);
                let prefix = if v4 {
                    format!("10.{}.0.", n + 1)
                } else {
                    format!("fd00:{}::", n + 1)
                };
                host = host.interface(link, &[&format!("{prefix}{}", side + 1)]);
            }
            if let Some(port) = self.encapsulation[side] {
                host = host.encapsulation(port);
            }
            if let Some(tune) = tune.next().flatten() {
                host = host.stack(tune);
            }
            world.add_host(host)
        });
        let ports = self.encapsulation;
        let configs = self.associations;
        let mut pair = Pair {
            world,
            hosts,
            links,
            endpoints: [None; 2],
            assocs: [None; 2],
            log: [Vec::new(), Vec::new()],
            configs,
            backlog: self.backlog,
        };
        for side in [A, B] {
            let path = pair.configs[side].path_mut();
            if path.remote_encapsulation_port().is_none() {
                path.set_remote_encapsulation_port(ports[1 - side]);
            }
            pair.open(side);
        }
        pair
    }
}

/// A pair that is up and whose addresses are confirmed; its links are captured from then on.
pub(crate) fn connected(setup: Setup) -> Pair {
    let mut pair = setup.build();
    pair.connect();
    pair.run(super::secs(5));
    for link in pair.links.clone() {
        pair.world.capture(link);
    }
    pair
}

/// Two hosts, an end point on each, and at most one association of each that the test is about.
pub(crate) struct Pair {
    pub(crate) world: World,
    pub(crate) hosts: [HostId; 2],
    pub(crate) links: Vec<LinkId>,
    endpoints: [Option<EndpointId>; 2],
    assocs: [Option<AssocId>; 2],
    /// What the stacks reported, and when.
    pub(crate) log: [Vec<(Instant, Event)>; 2],
    configs: [AssociationConfig; 2],
    backlog: usize,
}

impl Pair {
    /// Binds the end point of a side, and lets B listen.
    pub(crate) fn open(&mut self, side: usize) {
        self.open_on(side, &[]);
    }

    /// Binds the end point of a side to these addresses, none for all, and lets B listen.
    pub(crate) fn open_on(&mut self, side: usize, addresses: &[IpAddr]) {
        let config = EndpointConfig {
            port: Some([PORT_A, PORT_B][side]),
            addresses: addresses.to_vec(),
            association: self.configs[side].clone(),
            ..EndpointConfig::default()
        };
        let backlog = self.backlog;
        let stack = self.world.stack(self.hosts[side]);
        let endpoint = stack.bind(config).unwrap();
        if side == B && backlog > 0 {
            assert!(stack.listen(endpoint, backlog));
        }
        self.endpoints[side] = Some(endpoint);
        self.assocs[side] = None;
    }

    /// Crashes a side and starts it anew, with its end point.
    pub(crate) fn restart(&mut self, side: usize) {
        self.world.crash(self.hosts[side]);
        self.world.restart(self.hosts[side]);
        self.open(side);
    }

    pub(crate) fn endpoint(&self, side: usize) -> EndpointId {
        self.endpoints[side].unwrap()
    }

    pub(crate) fn assoc(&self, side: usize) -> AssocId {
        self.assocs[side].expect("the association is not there yet")
    }

    pub(crate) fn has_assoc(&self, side: usize) -> bool {
        self.assocs[side].is_some()
    }

    pub(crate) fn now(&self) -> Instant {
        self.world.now()
    }

    /// The addresses of a side, one a link.
    pub(crate) fn addresses(&self, side: usize) -> Vec<IpAddr> {
        self.world.addresses(self.hosts[side])
    }

    /// The address of a side on a link.
    pub(crate) fn address(&self, side: usize, link: usize) -> IpAddr {
        self.addresses(side)[link]
    }

    /// Begins to connect `side` to the addresses of the other one.
    pub(crate) fn start(&mut self, side: usize) -> AssocId {
        let peer = self.addresses(1 - side);
        self.start_to(side, &peer)
    }

    /// Begins to connect `side` to these addresses of the other one.
    pub(crate) fn start_to(&mut self, side: usize, peer: &[IpAddr]) -> AssocId {
        let now = self.world.now();
        let endpoint = self.endpoint(side);
        let port = [PORT_A, PORT_B][1 - side];
        let stack = self.world.stack(self.hosts[side]);
        let assoc = stack
            .connect(now, endpoint, peer, port, ConnectOptions::default())
            .unwrap();
        self.assocs[side] = Some(assoc);
        assoc
    }

    /// Connects A to B and waits until both are up.
    pub(crate) fn connect(&mut self) {
        self.start(A);
        self.must("both sides are up", super::secs(600), Self::both_up);
    }

    pub(crate) fn both_up(&mut self) -> bool {
        [A, B]
            .iter()
            .all(|&side| self.phase(side) == Some(AssociationPhase::Established))
    }

    /// Takes the events out of both stacks, and accepts what B was offered.
    pub(crate) fn collect(&mut self) {
        for side in [A, B] {
            let now = self.world.now();
            for (_, assoc, event) in self.world.events(self.hosts[side]) {
                if matches!(
                    event,
                    Event::CommunicationUp {
                        initiated_here: false,
                        ..
                    }
                ) {
                    // After a collision the association is the one that this side opened.
                    if self.assocs[side] != Some(assoc) {
                        let _ = self.world.stack(self.hosts[side]).accept(assoc);
                    }
                    self.assocs[side] = Some(assoc);
                }
                self.log[side].push((now, event));
            }
        }
    }

    /// Runs until `done`, at most for `limit`; says whether it is done.
    pub(crate) fn wait(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.world.now() + limit;
        loop {
            self.collect();
            if done(self) {
                return true;
            }
            match self.world.next_event() {
                Some(next) if next <= end => self.world.step(),
                _ => {
                    self.world.run_until(end);
                    self.collect();
                    return done(self);
                }
            };
        }
    }

    /// Runs until `done`, which must come about within `limit`.
    #[track_caller]
    pub(crate) fn must(&mut self, what: &str, limit: Duration, done: impl FnMut(&mut Self) -> bool) {
        if !self.wait(limit, done) {
            self.fail(&format!("not within {limit:?}: {what}"));
        }
    }

    /// Fails with the end of the trace.
    #[track_caller]
    pub(crate) fn fail(&mut self, what: &str) -> ! {
        let (now, seed) = (self.world.now(), self.world.seed());
        panic!("seed {seed}, {now:?}: {what}\n{}", self.world.trace());
    }

    /// Runs for `duration`.
    pub(crate) fn run(&mut self, duration: Duration) {
        self.wait(duration, |_| false);
    }

    pub(crate) fn status(&self, side: usize) -> Option<AssociationStatus> {
        self.world.peek(self.hosts[side]).status(self.assocs[side]?)
    }

    pub(crate) fn phase(&self, side: usize) -> Option<AssociationPhase> {
        self.status(side).map(|status| status.phase)
    }

    /// What a side knows about its path to the peer's address on a link.
    pub(crate) fn path(&self, side: usize, link: usize) -> PathStatus {
        let address = self.address(1 - side, link);
        let paths = self.status(side).expect("an association").paths;
        paths
            .into_iter()
            .find(|path| path.address == address)
            .expect("the path")
    }

    pub(crate) fn send(&mut self, side: usize, message: OutMessage) -> Result<(), SendError> {
        let (now, assoc) = (self.world.now(), self.assoc(side));
        self.world.stack(self.hosts[side]).send(now, assoc, message)
    }

    /// Sends an ordered message, for which there must be room.
    pub(crate) fn say(&mut self, side: usize, stream: u16, payload: &[u8]) {
        let payload = Bytes::copy_from_slice(payload);
        self.send(side, OutMessage::new(StreamId(stream), Ppid(0), payload))
            .unwrap();
    }

    /// Takes everything that a side has received.
    pub(crate) fn hear(&mut self, side: usize) -> Vec<Received> {
        let (now, assoc) = (self.world.now(), self.assoc(side));
        let stack = self.world.stack(self.hosts[side]);
        std::iter::from_fn(|| stack.recv(now, assoc).ok().flatten()).collect()
    }

    /// The payloads of everything that a side has received.
    pub(crate) fn hear_payloads(&mut self, side: usize) -> Vec<Bytes> {
        self.hear(side).into_iter().map(|received| received.payload).collect()
    }

    pub(crate) fn shutdown(&mut self, side: usize) {
        let (now, assoc) = (self.world.now(), self.assoc(side));
        self.world.stack(self.hosts[side]).shutdown(now, assoc).unwrap();
    }

    pub(crate) fn abort(&mut self, side: usize, reason: &'static [u8]) {
        let (now, assoc) = (self.world.now(), self.assoc(side));
        let reason = Bytes::from_static(reason);
        self.world.stack(self.hosts[side]).abort(now, assoc, reason).unwrap();
    }

    /// Whether a side reported an event that `is` recognises.
    pub(crate) fn reported(&self, side: usize, is: impl Fn(&Event) -> bool) -> bool {
        self.log[side].iter().any(|(_, event)| is(event))
    }

    /// The messages that a side was told had failed.
    pub(crate) fn failures(&self, side: usize) -> Vec<SendFailure> {
        let events = self.log[side].iter();
        let failure = |(_, event): &(Instant, Event)| match event {
            Event::SendFailed(failure) => Some(failure.clone()),
            _ => None,
        };
        events.filter_map(failure).collect()
    }

    /// Checks that nothing is left to be sent, acknowledged or received on either side.
    #[track_caller]
    pub(crate) fn assert_idle(&self) {
        for side in [A, B] {
            let status = self.status(side).expect("an association");
            let left = (
                status.buffered_bytes,
                status.unacknowledged_messages,
                status.pending_messages,
            );
            assert_eq!(left, (0, 0, 0), "side {side}");
            let flights: usize = status.paths.iter().map(|path| path.flight_size).sum();
            assert_eq!(flights, 0, "side {side}");
        }
    }

    /// What a side has put on the first link since its capture began.
    pub(crate) fn sent(&self, side: usize) -> Vec<Answer> {
        self.sent_on(side, 0)
    }

    /// What a side has put on a link since its capture began.
    pub(crate) fn sent_on(&self, side: usize, link: usize) -> Vec<Answer> {
        let own = self.addresses(side);
        let captured = self.world.captured(self.links[link]).iter();
        let sent = captured.filter(|captured| own.contains(&captured.packet.src));
        sent.map(|captured| parse(captured.at, &captured.packet)).collect()
    }

    /// How many ends of an association a side reported.
    pub(crate) fn ends(&self, side: usize) -> usize {
        let is_end = |event: &&(Instant, Event)| {
            matches!(
                event.1,
                Event::ConnectFailed { .. } | Event::CommunicationLost { .. } | Event::ShutdownComplete
            )
        };
        self.log[side].iter().filter(is_end).count()
    }
}
