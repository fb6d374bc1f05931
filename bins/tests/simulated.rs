//! The ping-pong programs' engines in a simulated network: servers die at random, and the user's ledger judges.
//!
//! `RSERPOOL_CHAOS_RUNS` sets how many seeds are tried, `RSERPOOL_CHAOS_SEED` picks one.

use std::collections::BTreeMap;
use std::time::Duration;

use bins::client::play::Play;
use bins::protocol::pingpong::{PPID_PINGPONG, Ping};
use bins::service::pingpong::PingPong;
use bytes::Bytes;
use rserpool::config::{ElementConfig, EndpointConfig, RegistrarConfig, SessionConfig};
use rserpool::element::{PoolElement, ServiceHost};
use rserpool::ids::{PoolHandle, RegistrarId};
use rserpool::net::{NetCommand, NetEvent, SctpAddress};
use rserpool::registrar::Registrar;
use rserpool::session::SessionId;
use rserpool::sim::{Death, DirectNetwork, DirectProfile, Network, NodeId};
use rserpool::user::{PoolUser, UserEvent};
use rserpool::wire::policy::PolicyParam;
use rserpool::wire::transport::{SctpTransport, TransportUse};
use sctp::Instant;
use sctp::random::Random;
use sctp::serial::StreamId;
use sctp::time::earliest;

const REGISTRAR: NodeId = NodeId(0);
const USER: NodeId = NodeId(100);
const ELEMENTS: u32 = 3;
const PING_EVERY: Duration = Duration::from_millis(70);

enum Engine {
    Registrar(Box<Registrar>),
    Element(Box<ServiceHost<PingPong>>),
    User(Box<PoolUser>),
}

impl Engine {
    fn handle(&mut self, now: Instant, event: NetEvent) {
        match self {
            Self::Registrar(engine) => engine.handle(now, event),
            Self::Element(engine) => engine.handle(now, event),
            Self::User(engine) => engine.handle(now, event),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Registrar(engine) => engine.handle_timeout(now),
            Self::Element(engine) => engine.handle_timeout(now),
            Self::User(engine) => engine.handle_timeout(now),
        }
    }

    fn poll_command(&mut self) -> Option<NetCommand> {
        match self {
            Self::Registrar(engine) => engine.poll_command(),
            Self::Element(engine) => engine.poll_command(),
            Self::User(engine) => engine.poll_command(),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Registrar(engine) => engine.poll_timeout(),
            Self::Element(engine) => engine.poll_timeout(),
            Self::User(engine) => engine.poll_timeout(),
        }
    }
}

struct World {
    now: Instant,
    random: Random,
    network: DirectNetwork,
    engines: BTreeMap<NodeId, Engine>,
    session: SessionId,
    play: Play,
    /// Elements that are down, and when they come back.
    down: BTreeMap<NodeId, Instant>,
}

fn address(node: NodeId) -> SctpAddress {
    SctpAddress {
        port: 3863,
        addresses: vec![[10, 0, 0, u8::try_from(node.0).unwrap() + 1].into()],
    }
}

fn endpoint() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.set_announce_group(None).unwrap();
    config.add_registrar(address(REGISTRAR)).unwrap();
    config
}

fn pool() -> PoolHandle {
    PoolHandle::new("PingPongPool").unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::from_number(seed);
        let mut network = DirectNetwork::new(DirectProfile::default(), random.child());
        let mut engines = BTreeMap::new();
        let id = RegistrarId::new(1).unwrap();
        network.start(Instant::ZERO, REGISTRAR, &address(REGISTRAR));
        let registrar = Registrar::new(RegistrarConfig::default(), id, random.child_seed());
        engines.insert(REGISTRAR, Engine::Registrar(Box::new(registrar)));
        network.start(Instant::ZERO, USER, &address(USER));
        let mut user = PoolUser::new(endpoint(), random.child_seed());
        user.start(Instant::ZERO);
        let session = user.open(Instant::ZERO, pool(), SessionConfig::default()).unwrap();
        engines.insert(USER, Engine::User(Box::new(user)));
        let (now, play, down) = (Instant::ZERO, Play::default(), BTreeMap::new());
        let mut world = Self {
            now,
            random,
            network,
            engines,
            session,
            play,
            down,
        };
        for element in 1..=ELEMENTS {
            world.start_element(NodeId(element));
        }
        world.flush();
        world
    }

    fn start_element(&mut self, node: NodeId) {
        self.network.start(self.now, node, &address(node));
        let transport = SctpTransport::new(&address(node), TransportUse::DataPlusControl);
        let config = ElementConfig::new(pool(), PolicyParam::RoundRobin);
        let element = PoolElement::new(config, endpoint(), transport, self.random.child_seed());
        let mut host = ServiceHost::new(element, PingPong::new(100));
        host.start(self.now);
        self.engines.insert(node, Engine::Element(Box::new(host)));
    }

    /// Carries out what the engines want and hands the user's events to the ledger, until nothing is left.
    fn flush(&mut self) {
        let mut nodes: Vec<NodeId> = self.engines.keys().copied().collect();
        while let Some(node) = nodes.pop() {
            let engine = self.engines.get_mut(&node).unwrap();
            let commands: Vec<NetCommand> = std::iter::from_fn(|| engine.poll_command()).collect();
            for command in commands {
                self.network.command(self.now, node, command);
            }
            if node == USER && self.drain_session() {
                nodes.push(USER);
            }
        }
    }

    fn user(&mut self) -> &mut PoolUser {
        match self.engines.get_mut(&USER) {
            Some(Engine::User(user)) => user,
            _ => unreachable!("the user never ends"),
        }
    }

    /// Says whether there was anything.
    fn drain_session(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.user().poll_event() {
            let UserEvent::Session { event, .. } = event else {
                continue;
            };
            any = true;
            let step = self.play.handle(self.now, Some(event));
            assert!(!step.fail_over, "{:?}", step.happening);
            for ping in &step.send {
                self.send(ping);
            }
        }
        any
    }

    fn send(&mut self, ping: &Ping) {
        let session = self.session;
        self.user()
            .send(session, StreamId(0), PPID_PINGPONG, ping.encode())
            .unwrap();
    }

    /// Runs until `end`, with pings or without, and with servers dying or not.
    fn run(&mut self, end: Instant, pings: bool, faults: bool) {
        let mut next_ping = pings.then_some(self.now);
        let mut next_fault = faults.then_some(self.now);
        while self.now < end {
            let timeouts = self.engines.values().filter_map(Engine::poll_timeout).min();
            let next = earliest(earliest(timeouts, self.network.next()), earliest(next_ping, next_fault));
            let next = earliest(next, self.down.values().copied().min());
            self.now = next.unwrap_or(end).clamp(self.now, end);
            while let Some((node, event)) = self.network.pop_due(self.now) {
                if let Some(engine) = self.engines.get_mut(&node) {
                    engine.handle(self.now, event);
                }
                self.flush();
            }
            for engine in self.engines.values_mut() {
                if engine.poll_timeout().is_some_and(|at| at <= self.now) {
                    engine.handle_timeout(self.now);
                }
            }
            if next_ping.is_some_and(|at| at <= self.now) {
                next_ping = Some(self.now + PING_EVERY);
                if let Some(ping) = self.play.ping(self.now, Bytes::from_static(b"ping")) {
                    self.send(&ping);
                }
            }
            if next_fault.is_some_and(|at| at <= self.now) {
                next_fault = Some(self.now + self.pause(3000));
                self.kill_somebody();
            }
            self.revive_somebody();
            self.flush();
        }
    }

    fn pause(&mut self, max_millis: u64) -> Duration {
        Duration::from_millis(100 + self.random.below(max_millis))
    }

    /// One of the elements dies: as often as not it is the one that serves.
    fn kill_somebody(&mut self) {
        let serving = self.play.server();
        let is_serving =
            |engine: &Engine| matches!(engine, Engine::Element(host) if Some(host.element().pe_id()) == serving);
        let served_by = self
            .engines
            .iter()
            .find(|(_, engine)| is_serving(engine))
            .map(|(node, _)| *node);
        let anybody = NodeId(1 + u32::try_from(self.random.below(ELEMENTS.into())).unwrap());
        let victim = served_by.filter(|_| self.random.chance(0.5)).unwrap_or(anybody);
        if self.engines.remove(&victim).is_some() {
            let death = if self.random.chance(0.5) {
                Death::Killed
            } else {
                Death::Crashed
            };
            self.network.stop(self.now, victim, death);
            let back = self.now + self.pause(6000);
            self.down.insert(victim, back);
        }
    }

    fn revive_somebody(&mut self) {
        while let Some((&node, _)) = self.down.iter().find(|(_, at)| **at <= self.now) {
            self.down.remove(&node);
            self.start_element(node);
        }
    }
}

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("RSERPOOL_CHAOS_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("RSERPOOL_CHAOS_RUNS").unwrap_or(20)).collect(),
    }
}

#[test]
fn servers_die_and_the_user_gets_what_was_promised() {
    let (mut failovers, mut repeated, mut reissued) = (0, 0, 0);
    for seed in seeds() {
        let mut world = World::new(seed);
        world.run(Instant::from_millis(120_000), true, true);
        world.run(Instant::from_millis(180_000), false, false);
        let account = world.play.ledger().account();
        assert_eq!(account.outstanding(), 0, "seed {seed}: {account:?}");
        assert!(account.is_continuous(), "seed {seed}: {account:?}");
        assert!(account.requests > 1500, "seed {seed}: {account:?}");
        failovers += account.failovers.len();
        repeated += account.repeated;
        reissued += account.reissued;
    }
    // All that the promise is about has happened, or the test has proved nothing.
    assert!(failovers >= 3 * seeds().len(), "only {failovers} failovers");
    assert!(repeated > 0, "no ping was sent again");
    eprintln!("{failovers} failovers, {repeated} pings sent again, {reissued} reply numbers twice");
}
