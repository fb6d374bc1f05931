//! A deployment: nodes on a network, run step by step.

use std::collections::BTreeMap;
use std::time::Duration;

use sctp::Instant;
use sctp::random::Random;
use sctp::sim::{LinkConfig, seed_of};
use sctp::timer::TimerQueue;

use super::chaos::{Chaos, Fault};
use super::direct::{DirectNetwork, DirectProfile};
use super::full::FullNetwork;
use super::invariants::{Deadlines, Invariants, check_answer};
use super::network::{Death, Network, NodeId};
use super::node::{Node, Plan};
use super::trace::Trace;
use crate::config::{ANNOUNCE_GROUP, ASAP_PORT, Announce, ElementConfig, EndpointConfig, RegistrarConfig};
use crate::ids::PoolHandle;
use crate::net::{NetEvent, SctpAddress};
use crate::registrar::Registrar;
use crate::wire::policy::PolicyParam;

/// How often what is slow to check is checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// What is to happen at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Plot {
    Start(NodeId),
    Stop(NodeId),
    Resume(NodeId),
    Heal(NodeId, NodeId),
    Fault,
    Check,
}

/// What a deployment has come to, for tests to look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Answers that users got.
    pub answers: u64,
    /// Failovers of users.
    pub failovers: u64,
    /// The longest time from the start of a failover to its end.
    pub longest_failover: Duration,
    /// The longest time that a dead element was listed.
    pub longest_listed: Duration,
    /// Faults that happened.
    pub faults: u64,
}

/// Registrars, elements with a counting service, and users of it, on a simulated network. The same seed gives the same
/// run.
pub struct Deployment {
    seed: u64,
    now: Instant,
    network: Box<dyn Network>,
    nodes: BTreeMap<NodeId, Node>,
    timers: TimerQueue<NodeId>,
    plots: TimerQueue<Plot>,
    /// When a way between two nodes was last cut or healed, and whether it is cut.
    ways: BTreeMap<(NodeId, NodeId), (Instant, bool)>,
    chaos: Option<Chaos>,
    random: Random,
    invariants: Invariants,
    trace: Trace,
    registrar_config: RegistrarConfig,
    endpoint_config: EndpointConfig,
    request_interval: Duration,
    faults: u64,
    /// How many addresses a node has.
    homes: usize,
}

impl std::fmt::Debug for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployment")
            .field("seed", &self.seed)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl Deployment {
    /// An empty deployment on a network of messages, where registrars announce themselves.
    pub fn direct(seed: u64, profile: DirectProfile) -> Self {
        let random = Random::new(seed_of(seed, "network", "direct"));
        Self::on(seed, Box::new(DirectNetwork::new(profile, random)))
    }

    /// An empty deployment on hosts with SCTP stacks. With several links, every node is on each of them.
    pub fn full(seed: u64, links: &[LinkConfig]) -> Self {
        let mut deployment = Self::on(seed, Box::new(FullNetwork::new(seed, links)));
        deployment.homes = links.len();
        deployment
    }

    /// An empty deployment on a network.
    pub fn on(seed: u64, network: Box<dyn Network>) -> Self {
        let mut registrar_config = RegistrarConfig::default();
        let announce = Announce {
            group: ANNOUNCE_GROUP,
            address: None,
        };
        registrar_config.set_announce(Some(announce)).expect("a valid group");
        let mut plots = TimerQueue::new();
        plots.set(Plot::Check, Instant::ZERO + CHECK_INTERVAL);
        let deadlines = Deadlines {
            gone: Duration::from_secs(14),
            listed: Duration::from_secs(12),
        };
        Self {
            seed,
            now: Instant::ZERO,
            network,
            nodes: BTreeMap::new(),
            timers: TimerQueue::new(),
            plots,
            ways: BTreeMap::new(),
            chaos: None,
            random: Random::new(seed_of(seed, "deployment", "chaos")),
            invariants: Invariants::new(deadlines),
            trace: Trace::default(),
            registrar_config,
            endpoint_config: EndpointConfig::default(),
            request_interval: Duration::from_millis(500),
            faults: 0,
            homes: 1,
        }
    }

    /// Sets how long things may take.
    #[must_use]
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.invariants = Invariants::new(deadlines);
        self
    }

    /// Changes how registrars that are added from now on behave.
    #[must_use]
    pub fn registrar_config(mut self, change: impl FnOnce(&mut RegistrarConfig)) -> Self {
        change(&mut self.registrar_config);
        self
    }

    /// Changes how elements and users that are added from now on deal with registrars.
    #[must_use]
    pub fn endpoint_config(mut self, change: impl FnOnce(&mut EndpointConfig)) -> Self {
        change(&mut self.endpoint_config);
        self
    }

    /// Sets the time between requests of users that are added from now on.
    #[must_use]
    pub const fn request_interval(mut self, interval: Duration) -> Self {
        self.request_interval = interval;
        self
    }

    /// Adds registrars.
    #[must_use]
    pub fn registrars(mut self, count: u32) -> Self {
        for _ in 0..count {
            let plan = Plan::Registrar(self.registrar_config.clone());
            self.add("registrar", ASAP_PORT, plan);
        }
        self
    }

    /// Adds elements of a pool.
    #[must_use]
    pub fn elements(mut self, pool: &PoolHandle, count: u32, policy: &PolicyParam) -> Self {
        for _ in 0..count {
            let config = ElementConfig::new(pool.clone(), policy.clone());
            let plan = Plan::Element(config, self.endpoint_config.clone());
            self.add("element", 7000, plan);
        }
        self
    }

    /// Adds users of a pool, with one session each.
    #[must_use]
    pub fn users(mut self, pool: &PoolHandle, count: u32) -> Self {
        for _ in 0..count {
            let plan = Plan::User(pool.clone(), self.endpoint_config.clone(), self.request_interval);
            self.add("user", 8000, plan);
        }
        self
    }

    fn add(&mut self, kind: &str, port: u16, plan: Plan) {
        let number = u32::try_from(self.nodes.len()).expect("few nodes") + 1;
        let [_, _, high, low] = number.to_be_bytes();
        let nets = (1..=u8::MAX).take(self.homes);
        let address = SctpAddress {
            port,
            addresses: nets.map(|net| [10, net, high, low].into()).collect(),
        };
        let id = NodeId(number);
        self.nodes
            .insert(id, Node::new(format!("{kind} {number}"), address, plan));
        self.start(id);
    }

    /// The time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// What happened so far.
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// The nodes that are registrars.
    pub fn registrar_ids(&self) -> Vec<NodeId> {
        self.ids(|plan| matches!(plan, Plan::Registrar(_)))
    }

    /// The nodes that are elements.
    pub fn element_ids(&self) -> Vec<NodeId> {
        self.ids(|plan| matches!(plan, Plan::Element(..)))
    }

    /// The nodes that are users.
    pub fn user_ids(&self) -> Vec<NodeId> {
        self.ids(|plan| matches!(plan, Plan::User(..)))
    }

    fn ids(&self, wanted: impl Fn(&Plan) -> bool) -> Vec<NodeId> {
        self.nodes
            .iter()
            .filter(|(_, node)| wanted(&node.plan))
            .map(|(&id, _)| id)
            .collect()
    }

    /// A registrar, while it is up.
    pub fn registrar(&self, id: NodeId) -> Option<&Registrar> {
        self.nodes[&id].registrar()
    }

    /// How many answers a user got.
    pub fn answers(&self, user: NodeId) -> u64 {
        self.nodes[&user].user().map_or(0, |user| user.oracle.answers)
    }

    /// When a user got its last answer.
    pub fn last_answer(&self, user: NodeId) -> Option<Instant> {
        self.nodes[&user].user()?.oracle.last_answer
    }

    /// How many elements a registrar that is up lists, and how many are up.
    pub fn listed(&self, registrar: NodeId) -> (usize, usize) {
        let listed = self
            .registrar(registrar)
            .map_or(0, |registrar| registrar.handlespace().len());
        let up = self.element_ids().iter().filter(|id| self.nodes[*id].is_up()).count();
        (listed, up)
    }

    /// How many sessions each element serves that is up.
    pub fn sessions(&self) -> Vec<usize> {
        self.nodes.values().filter_map(Node::sessions).collect()
    }

    /// What the run has come to.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary {
            longest_listed: self.invariants.longest_listed,
            faults: self.faults,
            ..Summary::default()
        };
        for oracle in self.nodes.values().filter_map(|node| Some(&node.user()?.oracle)) {
            summary.answers += oracle.answers;
            summary.failovers += oracle.failovers;
            summary.longest_failover = summary.longest_failover.max(oracle.longest_failover);
        }
        summary
    }

    /// Starts a node that is down, with nothing that it knew before.
    pub fn start(&mut self, id: NodeId) {
        let (now, seed) = (self.now, self.seed);
        let Some(node) = self.nodes.get_mut(&id).filter(|node| !node.is_up()) else {
            return;
        };
        self.trace.line(now, &node.name, format_args!("starts"));
        self.network.start(now, id, &node.address);
        node.start(now, seed);
        self.settle(id);
    }

    /// Takes a node down.
    pub fn stop(&mut self, id: NodeId, death: Death) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.is_up()) else {
            return;
        };
        self.trace.line(now, &node.name, format_args!("is down: {death:?}"));
        self.invariants.died(now, node);
        node.stop(now);
        self.network.stop(now, id, death);
        self.settle(id);
    }

    /// Lets an element leave its pool; it ends a second later.
    pub fn leave(&mut self, id: NodeId) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.is_running()) else {
            return;
        };
        self.trace.line(now, &node.name, format_args!("leaves"));
        node.changed = now + Duration::from_secs(1);
        node.leave(now);
        self.plots.set(Plot::Stop(id), now + Duration::from_secs(1));
        self.settle(id);
    }

    /// Lets a node do nothing.
    pub fn pause(&mut self, id: NodeId) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.is_running()) else {
            return;
        };
        self.trace.line(now, &node.name, format_args!("pauses"));
        node.pause(now);
        self.settle(id);
    }

    /// Lets a node go on.
    pub fn resume(&mut self, id: NodeId) {
        let now = self.now;
        let Some(node) = self
            .nodes
            .get_mut(&id)
            .filter(|node| node.is_up() && !node.is_running())
        else {
            return;
        };
        self.trace.line(now, &node.name, format_args!("resumes"));
        for event in node.resume(now) {
            self.tell(id, event);
        }
        self.settle(id);
    }

    /// Cuts the way between two nodes.
    pub fn cut(&mut self, a: NodeId, b: NodeId) {
        self.trace
            .line(self.now, "network", format_args!("{} and {} are cut off", a.0, b.0));
        self.ways.insert((a.min(b), a.max(b)), (self.now, true));
        self.network.cut(self.now, a, b);
    }

    /// Heals the way between two nodes.
    pub fn heal(&mut self, a: NodeId, b: NodeId) {
        self.trace
            .line(self.now, "network", format_args!("{} and {} are connected", a.0, b.0));
        self.ways.insert((a.min(b), a.max(b)), (self.now, false));
        self.network.heal(self.now, a, b);
    }

    /// Takes a link down, or puts it up again.
    pub fn set_link_up(&mut self, link: usize, up: bool) {
        self.trace
            .line(self.now, "network", format_args!("link {link} is up: {up}"));
        self.network.set_link_up(self.now, link, up);
    }

    /// Lets faults happen at random, from now on.
    pub fn start_chaos(&mut self, chaos: Chaos) {
        self.chaos = Some(chaos);
        let pause = chaos.next_pause(&mut self.random);
        self.plots.set(Plot::Fault, self.now + pause);
    }

    /// Lets no more faults happen, and undoes those that did.
    pub fn end_chaos(&mut self) {
        self.chaos = None;
        self.plots = TimerQueue::new();
        self.plots.set(Plot::Check, self.now + CHECK_INTERVAL);
        let cuts: Vec<_> = self
            .ways
            .iter()
            .filter(|(_, (_, cut))| *cut)
            .map(|(&way, _)| way)
            .collect();
        for (a, b) in cuts {
            self.heal(a, b);
        }
        for id in self.nodes.keys().copied().collect::<Vec<_>>() {
            self.resume(id);
            // One that was leaving would not come back by itself.
            if self.nodes[&id].changed > self.now {
                self.stop(id, Death::Killed);
            }
            self.start(id);
        }
    }

    /// Runs for some time.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next().filter(|&next| next <= end) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    fn next(&mut self) -> Option<Instant> {
        [self.network.next(), self.timers.next(), self.plots.next()]
            .into_iter()
            .flatten()
            .min()
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(plot) = self.plots.pop_due(now) {
            self.act(plot);
        }
        while let Some((id, event)) = self.network.pop_due(now) {
            self.tell(id, event);
        }
        while let Some(id) = self.timers.pop_due(now) {
            let node = self.nodes.get_mut(&id).expect("only nodes have timers");
            node.handle_timeout(now);
            self.settle(id);
        }
    }

    fn tell(&mut self, id: NodeId, event: NetEvent) {
        let node = self.nodes.get_mut(&id).expect("the network knows no others");
        self.trace.event(self.now, &node.name, &event);
        node.handle(self.now, event);
        self.settle(id);
    }

    /// Carries out what a node wants, and notes when it wants to be woken.
    fn settle(&mut self, id: NodeId) {
        let now = self.now;
        let node = self.nodes.get_mut(&id).expect("a node");
        while let Some(command) = node.poll_command() {
            if let Some(registrar) = node.registrar() {
                check_answer(id, registrar, &command);
            }
            self.network.command(now, id, command);
        }
        match node.poll_timeout() {
            Some(at) => self.timers.set(id, at.max(now)),
            None => {
                self.timers.cancel(id);
            }
        }
    }

    fn act(&mut self, plot: Plot) {
        match plot {
            Plot::Start(id) => self.start(id),
            Plot::Stop(id) => self.stop(id, Death::Killed),
            Plot::Resume(id) => self.resume(id),
            Plot::Heal(a, b) => self.heal(a, b),
            Plot::Check => {
                self.check();
                self.plots.set(Plot::Check, self.now + CHECK_INTERVAL);
            }
            Plot::Fault => {
                if let Some(chaos) = self.chaos {
                    self.fault(&chaos);
                    let pause = chaos.next_pause(&mut self.random);
                    self.plots.set(Plot::Fault, self.now + pause);
                }
            }
        }
    }

    fn fault(&mut self, chaos: &Chaos) {
        let [registrars, elements, users] = [self.registrar_ids(), self.element_ids(), self.user_ids()];
        let fault = chaos.next_fault(&mut self.random, &registrars, &elements, &users);
        let Some(fault) = fault else { return };
        self.faults += 1;
        let second = Duration::from_secs(1);
        match fault {
            Fault::Down(id, death, outage) => {
                self.stop(id, death);
                self.plots.set(Plot::Start(id), self.now + outage);
            }
            Fault::Leave(id, outage) => {
                self.leave(id);
                self.plots.set(Plot::Start(id), self.now + second + outage);
            }
            Fault::Stall(id, stall) => {
                self.pause(id);
                self.plots.set(Plot::Resume(id), self.now + stall);
            }
            Fault::Cut(a, b, outage) => {
                let (a, b) = (a.min(b), a.max(b));
                self.cut(a, b);
                self.plots.set(Plot::Heal(a, b), self.now + outage);
            }
        }
    }

    fn check(&mut self) {
        let now = self.now;
        // One that does nothing removes nobody either; it must have had the time.
        let gone = self.invariants.deadlines().gone;
        let registrars: Vec<_> = self.nodes.values().filter(|node| now - node.changed > gone).collect();
        let registrars: Vec<_> = registrars.into_iter().filter(|node| node.is_running()).collect();
        let engines: Vec<_> = registrars.iter().filter_map(|node| node.registrar()).collect();
        self.invariants.check_dead(now, &engines);
        for (registrar_id, registrar) in &self.nodes {
            if !registrar.is_running() || registrar.registrar().is_none() {
                continue;
            }
            for (id, element) in self
                .nodes
                .iter()
                .filter(|(_, node)| node.is_running() && node.pe().is_some())
            {
                let way = self.ways.get(&(*id.min(registrar_id), *id.max(registrar_id)));
                let &(way_changed, cut) = way.unwrap_or(&(Instant::ZERO, false));
                if !cut {
                    let undisturbed = element.changed.max(registrar.changed).max(way_changed);
                    self.invariants.check_living(now, element, registrar, undisturbed);
                }
            }
        }
    }
}
