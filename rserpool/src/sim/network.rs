//! What a simulated network offers, whichever it is.

use sctp::Instant;

use crate::net::{NetCommand, NetEvent, SctpAddress};

/// Names a node of a simulated network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// How a node goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// The process ends on a living host: its peers are told.
    Killed,
    /// The host dies: its peers find out.
    Crashed,
}

/// A network of nodes, with faults. Give it commands, ask it for the next time something happens, and hand out what
/// [`pop_due`](Self::pop_due) yields.
pub trait Network {
    /// Adds a node that listens at `address`, or brings one back that is down. It knows nothing of earlier
    /// associations.
    fn start(&mut self, now: Instant, node: NodeId, address: &SctpAddress);

    /// Takes a node down.
    fn stop(&mut self, now: Instant, node: NodeId, death: Death);

    /// Cuts the way between two nodes.
    fn cut(&mut self, now: Instant, a: NodeId, b: NodeId);

    /// Heals the way between two nodes.
    fn heal(&mut self, now: Instant, a: NodeId, b: NodeId);

    /// Takes one of several ways between all nodes down, or puts it up again: the link that the nodes' address of this
    /// number is on. Without effect where there are no links.
    fn set_link_up(&mut self, now: Instant, link: usize, up: bool);

    /// Carries out a command of a node that is up.
    fn command(&mut self, now: Instant, node: NodeId, command: NetCommand);

    /// When the next thing happens.
    fn next(&mut self) -> Option<Instant>;

    /// Lets what is due at `now` happen, up to the next event that a node must be told. `None` when nothing more is
    /// due.
    fn pop_due(&mut self, now: Instant) -> Option<(NodeId, NetEvent)>;
}
