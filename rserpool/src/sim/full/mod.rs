//! The real network: each node on a host of its own, with an SCTP stack, in a [`World`] of links.

mod app;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;

use sctp::Instant;
use sctp::sim::{AppId, HostConfig, HostId, LinkConfig, LinkId, Verdict, World};

use self::app::NodeApp;
use super::network::{Death, Network, NodeId};
use crate::net::{NetCommand, NetEvent, SctpAddress};

/// What nodes are still to be told. All applications write here, so that there is one order.
type Inbox = Rc<RefCell<VecDeque<(NodeId, NetEvent)>>>;

/// Pairs of addresses between which nothing passes.
type Cuts = Rc<RefCell<BTreeSet<(IpAddr, IpAddr)>>>;

#[derive(Debug)]
struct Member {
    host: HostId,
    app: AppId,
    address: SctpAddress,
}

/// Nodes on hosts with SCTP stacks. The first address of every node is on the first link, the second on the second.
#[derive(Debug)]
pub struct FullNetwork {
    world: World,
    links: Vec<LinkId>,
    members: BTreeMap<NodeId, Member>,
    inbox: Inbox,
    cuts: Cuts,
}

impl FullNetwork {
    /// A network without nodes, of these links.
    pub fn new(seed: u64, links: &[LinkConfig]) -> Self {
        let mut world = World::new(seed);
        let cuts = Cuts::default();
        let mut ids = Vec::new();
        for (number, config) in links.iter().enumerate() {
            let link = world.add_link(&format!("link {number}"), config.clone());
            let cuts = Rc::clone(&cuts);
            world.set_filter(link, move |_, packet| {
                if cuts.borrow().contains(&(packet.src, packet.dst)) {
                    Verdict::Drop
                } else {
                    Verdict::Pass
                }
            });
            ids.push(link);
        }
        Self {
            world,
            links: ids,
            members: BTreeMap::new(),
            inbox: Inbox::default(),
            cuts,
        }
    }

    /// What became of one node; the others' events stay.
    fn forget_events(&self, node: NodeId) {
        self.inbox.borrow_mut().retain(|(to, _)| *to != node);
    }

    fn pairs(&self, a: NodeId, b: NodeId) -> Vec<(IpAddr, IpAddr)> {
        let (a, b) = (&self.members[&a].address.addresses, &self.members[&b].address.addresses);
        let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (*a, *b)));
        pairs.flat_map(|(a, b)| [(a, b), (b, a)]).collect()
    }
}

impl Network for FullNetwork {
    fn start(&mut self, now: Instant, node: NodeId, address: &SctpAddress) {
        self.world.run_until(now);
        let host = match self.members.get(&node) {
            Some(member) => {
                self.world.restart(member.host);
                member.host
            }
            None => {
                let mut config = HostConfig::new(&format!("node {}", node.0));
                for (link, ip) in self.links.iter().zip(&address.addresses) {
                    config = config.interface(*link, &[&ip.to_string()]);
                }
                self.world.add_host(config)
            }
        };
        self.forget_events(node);
        let app = NodeApp::new(node, address.port, Rc::clone(&self.inbox));
        let app = self.world.add_app(host, Box::new(app));
        let address = address.clone();
        self.members.insert(node, Member { host, app, address });
    }

    fn stop(&mut self, now: Instant, node: NodeId, death: Death) {
        self.world.run_until(now);
        let member = &self.members[&node];
        match death {
            Death::Crashed => self.world.crash(member.host),
            Death::Killed => {
                self.world.with_app(member.host, member.app, NodeApp::close);
            }
        }
        self.forget_events(node);
    }

    fn cut(&mut self, _now: Instant, a: NodeId, b: NodeId) {
        let pairs = self.pairs(a, b);
        self.cuts.borrow_mut().extend(pairs);
    }

    fn heal(&mut self, _now: Instant, a: NodeId, b: NodeId) {
        for pair in self.pairs(a, b) {
            self.cuts.borrow_mut().remove(&pair);
        }
    }

    fn set_link_up(&mut self, now: Instant, link: usize, up: bool) {
        self.world.run_until(now);
        self.world.set_link_up(self.links[link], up);
    }

    fn command(&mut self, now: Instant, node: NodeId, command: NetCommand) {
        self.world.run_until(now);
        let member = &self.members[&node];
        let done = self.world.with_app(member.host, member.app, |app: &mut NodeApp, ctx| {
            app.command(command, ctx)
        });
        assert!(done.is_some(), "a node that is down acts");
    }

    fn next(&mut self) -> Option<Instant> {
        if self.inbox.borrow().is_empty() {
            self.world.next_event()
        } else {
            Some(self.world.now())
        }
    }

    fn pop_due(&mut self, now: Instant) -> Option<(NodeId, NetEvent)> {
        loop {
            let told = self.inbox.borrow_mut().pop_front();
            if told.is_some() {
                return told;
            }
            if self.world.next_event().is_none_or(|next| next > now) {
                // The nodes may have been told something while the world was settling.
                return self.inbox.borrow_mut().pop_front();
            }
            self.world.step();
        }
    }
}
