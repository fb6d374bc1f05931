//! A network of messages: associations without SCTP below them, for long runs and large pools.
//!
//! What it keeps of SCTP: messages of an association arrive in order and once; a lost node or a cut is noticed only
//! after a while; an aborted association loses what is on the way; a node that comes back aborts associations that it
//! does not know.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use sctp::Instant;
use sctp::random::Random;

use super::network::{Death, Network, NodeId};
use crate::net::{ConnId, NetCommand, NetEvent, SctpAddress};

/// How the network behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DirectProfile {
    /// The least time a message takes.
    pub delay: Duration,
    /// The most time that is added to it, evenly spread.
    pub jitter: Duration,
    /// How likely a multicast datagram is lost on the way to one receiver.
    pub datagram_loss: f64,
    /// After how long a silent peer counts as gone, and a set-up without answer as failed.
    pub failure_detection: Duration,
    /// The time between heartbeats, by which a peer that lives but has forgotten the association is found out.
    pub heartbeat: Duration,
}

impl Default for DirectProfile {
    /// 5 to 10 ms, 1 % loss of datagrams, failure found after 4 s, heartbeats every 2 s.
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(5),
            datagram_loss: 0.01,
            failure_detection: Duration::from_secs(4),
            heartbeat: Duration::from_secs(2),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct AssocKey(u64);

/// A node in one of its lives: what is meant for an earlier one does not reach the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Who {
    node: NodeId,
    life: u64,
}

/// One side of an association.
#[derive(Clone, Copy, Debug)]
struct End {
    node: NodeId,
    conn: ConnId,
    /// When the last message to this side arrives; no later one may arrive before.
    last_arrival: Instant,
    /// Whether the node went down. If it came back since, it does not know the association.
    gone: bool,
}

#[derive(Debug)]
struct Assoc {
    ends: [End; 2],
    /// What is on the way to each side, in order.
    under_way: [VecDeque<NetEvent>; 2],
    /// How much of it a cut holds up. It goes on when the cut heals, as retransmissions would.
    held: [usize; 2],
    shut: bool,
}

impl Assoc {
    fn is_between(&self, nodes: (NodeId, NodeId)) -> bool {
        pair(self.ends[0].node, self.ends[1].node) == nodes
    }
}

#[derive(Debug)]
enum Action {
    /// Hand the next event of a standing association to one of its sides.
    Deliver(AssocKey, usize),
    /// Hand an event to a node, whatever its associations.
    Tell(Who, NetEvent),
    /// A set-up reaches its destination.
    Arrive(Who, ConnId),
    /// A set-up is given up.
    GiveUp(Who, ConnId),
    /// The sides of an association conclude that the other is gone, if it still is.
    Detect(AssocKey),
    /// The last message of an association that was shut down has arrived.
    Finish(AssocKey),
}

#[derive(Debug)]
struct Place {
    address: SctpAddress,
    up: bool,
    life: u64,
    accepted: u64,
    /// The port that the next association starts from if there is one to the same peer already.
    extra_port: u16,
    groups: BTreeSet<SocketAddr>,
}

impl Place {
    fn is_at(&self, address: &SctpAddress) -> bool {
        self.address.port == address.port && self.address.addresses.iter().any(|a| address.addresses.contains(a))
    }
}

/// A network of messages.
#[derive(Debug)]
pub struct DirectNetwork {
    profile: DirectProfile,
    random: Random,
    places: BTreeMap<NodeId, Place>,
    assocs: BTreeMap<AssocKey, Assoc>,
    by_conn: BTreeMap<(NodeId, ConnId), AssocKey>,
    pending: BTreeMap<(NodeId, ConnId), SctpAddress>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    queue: BTreeMap<(Instant, u64), Action>,
    next_number: u64,
}

const fn other(side: usize) -> usize {
    1 - side
}

fn pair(a: NodeId, b: NodeId) -> (NodeId, NodeId) {
    (a.min(b), a.max(b))
}

impl Network for DirectNetwork {
    fn start(&mut self, now: Instant, node: NodeId, address: &SctpAddress) {
        let (life, accepted) = self
            .places
            .get(&node)
            .map_or((0, 0), |place| (place.life + 1, place.accepted));
        let place = Place {
            address: address.clone(),
            up: true,
            life,
            accepted,
            extra_port: 50_000,
            groups: BTreeSet::new(),
        };
        self.places.insert(node, place);
        for key in self.keys(|assoc| assoc.ends.iter().any(|end| end.node == node)) {
            self.expect_heartbeat(now, key);
        }
    }

    fn stop(&mut self, now: Instant, node: NodeId, death: Death) {
        if let Some(place) = self.places.get_mut(&node) {
            place.up = false;
            place.groups.clear();
        }
        self.pending.retain(|&(from, _), _| from != node);
        for key in self.keys(|assoc| assoc.ends.iter().any(|end| end.node == node)) {
            let ends = self.assocs.get_mut(&key).into_iter().flat_map(|assoc| &mut assoc.ends);
            for end in ends.filter(|end| end.node == node) {
                end.gone = true;
                self.by_conn.remove(&(node, end.conn));
            }
            match death {
                Death::Killed => self.end(now, key),
                Death::Crashed => self.schedule(now + self.profile.failure_detection, Action::Detect(key)),
            }
        }
    }

    fn cut(&mut self, now: Instant, a: NodeId, b: NodeId) {
        if self.cuts.insert(pair(a, b)) {
            for key in self.keys(|assoc| assoc.is_between(pair(a, b))) {
                self.schedule(now + self.profile.failure_detection, Action::Detect(key));
            }
        }
    }

    fn heal(&mut self, now: Instant, a: NodeId, b: NodeId) {
        if !self.cuts.remove(&pair(a, b)) {
            return;
        }
        for key in self.keys(|assoc| assoc.is_between(pair(a, b))) {
            let Some(assoc) = self.assocs.get_mut(&key) else {
                continue;
            };
            let held = std::mem::take(&mut assoc.held);
            for side in [0, 1] {
                if assoc.ends[other(side)].gone {
                    // Nobody is there to retransmit.
                    assoc.under_way[side].drain(..held[side]);
                }
            }
            let (ends, shut) = (assoc.ends, assoc.shut);
            for side in [0, 1].into_iter().filter(|&side| !ends[other(side)].gone) {
                for _ in 0..held[side] {
                    self.schedule_arrival(now, key, side);
                }
            }
            if shut {
                self.finish(now, key);
            }
            if ends.iter().any(|end| end.gone) {
                self.expect_heartbeat(now, key);
            }
        }
    }

    fn set_link_up(&mut self, _now: Instant, _link: usize, _up: bool) {}

    fn command(&mut self, now: Instant, node: NodeId, command: NetCommand) {
        assert!(self.is_up(node), "a node that is down acts");
        match command {
            NetCommand::Connect { conn, peer } => {
                let at = now + self.travel();
                self.pending.insert((node, conn), peer);
                self.schedule(at, Action::Arrive(self.who(node), conn));
            }
            NetCommand::Send {
                conn,
                stream,
                ppid,
                payload,
            } => {
                if let Some((key, side)) = self.find(node, conn) {
                    let conn = self.assocs[&key].ends[other(side)].conn;
                    self.deliver(
                        now,
                        key,
                        other(side),
                        NetEvent::Message {
                            conn,
                            stream,
                            ppid,
                            payload,
                        },
                    );
                }
            }
            NetCommand::Shutdown { conn } => {
                if self.pending.contains_key(&(node, conn)) {
                    self.schedule(now, Action::GiveUp(self.who(node), conn));
                }
                if let Some((key, side)) = self.find(node, conn) {
                    self.shut_down(now, key, side);
                }
            }
            NetCommand::Abort { conn } => {
                self.pending.remove(&(node, conn));
                if let Some((key, side)) = self.find(node, conn) {
                    self.by_conn.remove(&(node, conn));
                    if let Some(assoc) = self.assocs.get_mut(&key) {
                        assoc.ends[side].gone = true;
                    }
                    self.end(now, key);
                }
            }
            NetCommand::SendDatagram { group, payload } => self.multicast(now, node, group, &payload),
            NetCommand::JoinGroup { group } => {
                if let Some(place) = self.places.get_mut(&node) {
                    place.groups.insert(group);
                }
            }
        }
    }

    fn next(&mut self) -> Option<Instant> {
        self.queue.first_key_value().map(|(&(at, _), _)| at)
    }

    fn pop_due(&mut self, now: Instant) -> Option<(NodeId, NetEvent)> {
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= now
        {
            let action = entry.remove();
            let told = self.act(now, action);
            if told.is_some() {
                return told;
            }
        }
        None
    }
}

impl DirectNetwork {
    /// A network without nodes.
    pub const fn new(profile: DirectProfile, random: Random) -> Self {
        Self {
            profile,
            random,
            places: BTreeMap::new(),
            assocs: BTreeMap::new(),
            by_conn: BTreeMap::new(),
            pending: BTreeMap::new(),
            cuts: BTreeSet::new(),
            queue: BTreeMap::new(),
            next_number: 0,
        }
    }

    fn act(&mut self, now: Instant, action: Action) -> Option<(NodeId, NetEvent)> {
        match action {
            Action::Deliver(key, side) => self.arrived(now, key, side),
            Action::Tell(who, event) => self.is_alive(who).then_some((who.node, event)),
            Action::Arrive(who, conn) => {
                if self.is_alive(who) {
                    self.arrive(now, who.node, conn);
                }
                None
            }
            Action::GiveUp(who, conn) => {
                if !self.is_alive(who) {
                    return None;
                }
                self.pending.remove(&(who.node, conn))?;
                Some((who.node, NetEvent::Closed { conn, graceful: false }))
            }
            Action::Detect(key) => {
                let [a, b] = self.assocs.get(&key)?.ends;
                if a.gone || b.gone || self.cuts.contains(&pair(a.node, b.node)) {
                    self.close(now, key, false);
                }
                None
            }
            Action::Finish(key) => {
                let [a, b] = self.assocs.get(&key)?.ends;
                if !self.cuts.contains(&pair(a.node, b.node)) && !a.gone && !b.gone {
                    self.close(now, key, true);
                }
                None
            }
        }
    }

    fn arrived(&mut self, now: Instant, key: AssocKey, side: usize) -> Option<(NodeId, NetEvent)> {
        let assoc = self.assocs.get_mut(&key)?;
        if self.cuts.contains(&pair(assoc.ends[0].node, assoc.ends[1].node)) {
            assoc.held[side] += 1;
            return None;
        }
        let event = assoc.under_way[side].pop_front()?;
        let end = assoc.ends[side];
        if end.gone {
            // Whoever does not know the association aborts it (RFC 9260 §8.4).
            if self.is_up(end.node) {
                self.end(now, key);
            }
            return None;
        }
        Some((end.node, event))
    }

    /// A set-up reaches the place it is meant for.
    fn arrive(&mut self, now: Instant, from: NodeId, conn: ConnId) {
        let Some(peer) = self.pending.get(&(from, conn)) else {
            return;
        };
        let target = self
            .places
            .iter()
            .find(|(_, place)| place.is_at(peer))
            .map(|(&to, place)| (to, place.up));
        let give_up_after = match target {
            Some((to, true)) if to != from && !self.cuts.contains(&pair(from, to)) => {
                return self.establish(now, from, conn, to);
            }
            _ => self.profile.failure_detection,
        };
        self.schedule(now + give_up_after, Action::GiveUp(self.who(from), conn));
    }

    fn establish(&mut self, now: Instant, from: NodeId, conn: ConnId, to: NodeId) {
        let (mut own, theirs) = (self.places[&from].address.clone(), self.places[&to].address.clone());
        let standing = self
            .assocs
            .values()
            .any(|assoc| assoc.is_between(pair(from, to)) && assoc.ends.iter().all(|end| !end.gone));
        // Both sides may be setting it up at the same time; it becomes one (RFC 9260 §5.2.1).
        let crossing = self
            .pending
            .iter()
            .find(|((node, _), peer)| *node == to && self.places[&from].is_at(peer));
        let their_conn = match crossing.map(|(&(_, conn), _)| conn) {
            Some(conn) if !standing => conn,
            _ => self.accepted(to),
        };
        if standing && let Some(place) = self.places.get_mut(&from) {
            own.port = place.extra_port;
            place.extra_port = place.extra_port.wrapping_add(1);
        }
        self.pending.remove(&(from, conn));
        self.pending.remove(&(to, their_conn));
        let key = AssocKey(self.number());
        let end = |node, conn| End {
            node,
            conn,
            last_arrival: now,
            gone: false,
        };
        let assoc = Assoc {
            ends: [end(from, conn), end(to, their_conn)],
            under_way: [VecDeque::new(), VecDeque::new()],
            held: [0, 0],
            shut: false,
        };
        self.assocs.insert(key, assoc);
        self.by_conn.insert((from, conn), key);
        self.by_conn.insert((to, their_conn), key);
        self.deliver(now, key, 0, NetEvent::Connected { conn, peer: theirs });
        self.deliver(
            now,
            key,
            1,
            NetEvent::Connected {
                conn: their_conn,
                peer: own,
            },
        );
    }

    fn deliver(&mut self, now: Instant, key: AssocKey, side: usize, event: NetEvent) {
        if let Some(assoc) = self.assocs.get_mut(&key) {
            assoc.under_way[side].push_back(event);
            self.schedule_arrival(now, key, side);
        }
    }

    fn schedule_arrival(&mut self, now: Instant, key: AssocKey, side: usize) {
        let travel = self.travel();
        let Some(assoc) = self.assocs.get_mut(&key) else { return };
        let end = &mut assoc.ends[side];
        end.last_arrival = end.last_arrival.max(now + travel);
        let at = end.last_arrival;
        self.schedule(at, Action::Deliver(key, side));
    }

    fn shut_down(&mut self, now: Instant, key: AssocKey, side: usize) {
        let Some(assoc) = self.assocs.get_mut(&key) else { return };
        if !assoc.shut {
            assoc.shut = true;
            let conn = assoc.ends[other(side)].conn;
            self.deliver(now, key, other(side), NetEvent::PeerShutdown { conn });
            self.finish(now, key);
        }
    }

    /// Ends an association once all that is under way has arrived.
    fn finish(&mut self, now: Instant, key: AssocKey) {
        let travel = self.travel();
        let last = self.assocs[&key]
            .ends
            .iter()
            .map(|end| end.last_arrival)
            .fold(now, Instant::max);
        self.schedule(last + travel, Action::Finish(key));
    }

    /// One side has ended the association; the other is told now or, behind a cut, finds out.
    fn end(&mut self, now: Instant, key: AssocKey) {
        let [a, b] = self.assocs[&key].ends;
        if self.cuts.contains(&pair(a.node, b.node)) {
            self.schedule(now + self.profile.failure_detection, Action::Detect(key));
        } else {
            let travel = self.travel();
            self.close(now + travel, key, false);
        }
    }

    /// A side that has forgotten the association can be reached again, and says so when the next heartbeat asks.
    fn expect_heartbeat(&mut self, now: Instant, key: AssocKey) {
        let wait = self.profile.heartbeat.mul_f64(self.random.unit());
        self.schedule(now + wait, Action::Detect(key));
    }

    /// Forgets an association and tells those sides that know of it.
    fn close(&mut self, at: Instant, key: AssocKey, graceful: bool) {
        let Some(assoc) = self.assocs.remove(&key) else { return };
        for end in assoc.ends {
            // A later life of the node may have used the number again.
            if self.by_conn.get(&(end.node, end.conn)) == Some(&key) {
                self.by_conn.remove(&(end.node, end.conn));
            }
            if !end.gone {
                let told = NetEvent::Closed {
                    conn: end.conn,
                    graceful,
                };
                self.schedule(at, Action::Tell(self.who(end.node), told));
            }
        }
    }

    fn multicast(&mut self, now: Instant, from: NodeId, group: SocketAddr, payload: &Bytes) {
        let address = &self.places[&from].address;
        let source = SocketAddr::new(address.addresses[0], address.port);
        let members: Vec<_> = self
            .places
            .iter()
            .filter(|(_, place)| place.groups.contains(&group))
            .map(|(&node, _)| node)
            .collect();
        for node in members {
            let lost = self.random.chance(self.profile.datagram_loss);
            let at = now + self.travel();
            if !lost && !self.cuts.contains(&pair(from, node)) {
                let payload = payload.clone();
                self.schedule(
                    at,
                    Action::Tell(self.who(node), NetEvent::Datagram { group, source, payload }),
                );
            }
        }
    }

    fn travel(&mut self) -> Duration {
        self.profile.delay + self.profile.jitter.mul_f64(self.random.unit())
    }

    fn schedule(&mut self, at: Instant, action: Action) {
        let number = self.number();
        self.queue.insert((at, number), action);
    }

    const fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn accepted(&mut self, node: NodeId) -> ConnId {
        let place = self.places.get_mut(&node);
        let number = place.map_or(0, |place| {
            place.accepted += 1;
            place.accepted
        });
        ConnId::Accepted(number)
    }

    fn is_up(&self, node: NodeId) -> bool {
        self.places.get(&node).is_some_and(|place| place.up)
    }

    fn who(&self, node: NodeId) -> Who {
        Who {
            node,
            life: self.places[&node].life,
        }
    }

    fn is_alive(&self, who: Who) -> bool {
        self.is_up(who.node) && self.who(who.node) == who
    }

    fn find(&self, node: NodeId, conn: ConnId) -> Option<(AssocKey, usize)> {
        let &key = self.by_conn.get(&(node, conn))?;
        let side = self.assocs[&key]
            .ends
            .iter()
            .position(|end| (end.node, end.conn) == (node, conn))?;
        Some((key, side))
    }

    fn keys(&self, wanted: impl Fn(&Assoc) -> bool) -> Vec<AssocKey> {
        self.assocs
            .iter()
            .filter(|(_, assoc)| wanted(assoc))
            .map(|(&key, _)| key)
            .collect()
    }
}

#[cfg(test)]
mod tests;
