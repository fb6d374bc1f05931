//! The world: the clock, the queue of what is to happen, and everything in it.

mod hosts;
mod links;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::host::{Host, HostConfig, Input, Run};
use super::ids::{HostId, LinkId, seed_of};
use super::link::{Link, LinkConfig};
use super::packet::Packet;
use super::route::Routes;
use super::trace::Trace;
use crate::Instant;

/// More events at one instant than any world has: something does not come to rest.
const RUNAWAY: u32 = 2_000_000;

type Call = Box<dyn FnOnce(&mut World)>;

/// Something that is to happen.
enum Happening {
    /// A packet reaches the other end of a link.
    Arrival {
        link: LinkId,
        sender: HostId,
        packet: Packet,
    },
    /// A packet from a host to itself.
    Local { host: HostId, input: Input },
    /// A host asked for it.
    Wake(HostId),
    /// The test asked for it.
    Call { label: String, call: Call },
}

/// Hosts and links with a common clock. See the [module page](super).
pub struct World {
    now: Instant,
    seed: u64,
    sequence: u64,
    queue: BTreeMap<(Instant, u64), Happening>,
    at_this_instant: u32,
    /// Hosts that the test used directly, whose output is still to be collected.
    touched: BTreeSet<HostId>,
    links: Vec<Link>,
    hosts: Vec<Host>,
    routes: Routes,
    trace: Trace,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now)
            .field("seed", &self.seed)
            .field("queued", &self.queue.len())
            .field("links", &self.links)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
    }
}

/// Building it, and looking at it.
impl World {
    /// An empty world at time zero.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            seed,
            sequence: 0,
            queue: BTreeMap::new(),
            at_this_instant: 0,
            touched: BTreeSet::new(),
            links: Vec::new(),
            hosts: Vec::new(),
            routes: Routes::default(),
            trace: Trace::new(),
        }
    }

    /// The seed it was made from.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The time.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Everything that happened.
    pub const fn trace(&mut self) -> &mut Trace {
        &mut self.trace
    }

    /// Adds a link, which is up. What is random about it follows from its name.
    ///
    /// # Panics
    ///
    /// If there is a link of that name.
    pub fn add_link(&mut self, name: &str, config: LinkConfig) -> LinkId {
        assert!(self.links.iter().all(|link| link.name != name), "a second link {name}");
        self.links
            .push(Link::new(name, config, seed_of(self.seed, "link", name)));
        LinkId(self.links.len() - 1)
    }

    /// Adds a host, which runs.
    ///
    /// # Panics
    ///
    /// If there is a host of that name, or an address is on its link already.
    pub fn add_host(&mut self, config: HostConfig) -> HostId {
        assert!(
            self.hosts.iter().all(|host| host.name != config.name),
            "a second host {}",
            config.name
        );
        let id = HostId(self.hosts.len());
        for (link, addresses) in &config.interfaces {
            self.links[link.0].members.push(id);
            for &address in addresses {
                self.routes.attach(*link, address, id);
            }
        }
        let seed = seed_of(self.seed, "host", &config.name);
        self.hosts.push(Host::new(config, seed));
        self.touched.insert(id);
        id
    }

    /// Calls `call` at `at`, or now if that has passed.
    pub fn schedule(&mut self, at: Instant, label: &str, call: impl FnOnce(&mut Self) + 'static) {
        let label = label.to_owned();
        let call = Box::new(call);
        self.push(at, Happening::Call { label, call });
    }
}

/// Time.
impl World {
    /// Runs up to and including `end`, which is the time then.
    pub fn run_until(&mut self, end: Instant) {
        while self.next_event().is_some_and(|next| next <= end) {
            self.step();
        }
        self.advance(end);
    }

    /// Runs for `duration`.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Runs while `condition` holds, asking before each event, but no longer than `limit`: says whether the condition
    /// has ended. At the limit everything due by then has happened.
    pub fn run_while(&mut self, mut condition: impl FnMut(&mut Self) -> bool, limit: Duration) -> bool {
        let end = self.now + limit;
        loop {
            self.settle();
            if !condition(self) {
                return true;
            }
            if self.next_event().is_none_or(|next| next > end) {
                self.advance(end);
                return !condition(self);
            }
            self.step();
        }
    }

    /// When the next thing happens.
    pub fn next_event(&mut self) -> Option<Instant> {
        self.settle();
        self.queue.first_key_value().map(|(&(at, _), _)| at)
    }

    /// Lets the next thing happen; false if there is none.
    pub fn step(&mut self) -> bool {
        self.settle();
        let Some(((at, _), happening)) = self.queue.pop_first() else {
            return false;
        };
        self.advance(at);
        self.at_this_instant += 1;
        assert!(
            self.at_this_instant < RUNAWAY,
            "the world does not come to rest at {at:?}"
        );
        match happening {
            Happening::Arrival { link, sender, packet } => self.arrive(link, sender, packet),
            Happening::Local { host, input } => self.input(host, input),
            Happening::Wake(host) => {
                self.hosts[host.0].wake = None;
                self.input(host, Input::Wake);
            }
            Happening::Call { label, call } => {
                self.trace.line(at, "script", format_args!("{label}"));
                call(self);
                self.settle();
            }
        }
        true
    }

    fn advance(&mut self, to: Instant) {
        if to > self.now {
            self.now = to;
            self.at_this_instant = 0;
        }
    }

    fn push(&mut self, at: Instant, happening: Happening) -> (Instant, u64) {
        let key = (at.max(self.now), self.sequence);
        self.sequence += 1;
        self.queue.insert(key, happening);
        key
    }

    /// Collects what the test did to hosts directly.
    pub(super) fn settle(&mut self) {
        while let Some(host) = self.touched.pop_first() {
            self.act(host, |host, run| host.settle(run));
        }
    }

    fn input(&mut self, host: HostId, input: Input) {
        self.act(host, |host, run| host.input(input, run));
    }

    /// Lets a host act, sends what comes of it, and plans its next wake-up.
    fn act<R>(&mut self, id: HostId, act: impl FnOnce(&mut Host, &mut Run<'_>) -> R) -> R {
        let mut out = Vec::new();
        let mut run = Run {
            now: self.now,
            out: &mut out,
            trace: &mut self.trace,
        };
        let result = act(&mut self.hosts[id.0], &mut run);
        for outgoing in out {
            self.send(id, outgoing);
        }
        self.plan_wake(id);
        result
    }

    fn plan_wake(&mut self, id: HostId) {
        let host = &mut self.hosts[id.0];
        let wanted = host.next_timeout().map(|at| at.max(self.now));
        if wanted == host.wake.map(|(at, _)| at) {
            return;
        }
        if let Some(key) = host.wake.take() {
            self.queue.remove(&key);
        }
        let key = wanted.map(|at| self.push(at, Happening::Wake(id)));
        self.hosts[id.0].wake = key;
    }
}
