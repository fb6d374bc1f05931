//! Faults at random.

use std::time::Duration;

use sctp::random::Random;

use super::network::{Death, NodeId};

/// How often which fault happens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chaos {
    /// The mean time between faults.
    pub pause: Duration,
    /// The longest time a node is down, or two nodes are cut off from each other.
    pub outage: Duration,
    /// The longest time a node does nothing without being down.
    pub stall: Duration,
    /// Whether registrars fail too.
    pub registrars: bool,
}

impl Default for Chaos {
    /// A fault every 3 s, for up to 15 s, stalls of up to 4 s; registrars fail too.
    fn default() -> Self {
        Self {
            pause: Duration::from_secs(3),
            outage: Duration::from_secs(15),
            stall: Duration::from_secs(4),
            registrars: true,
        }
    }
}

/// One fault, with the time until it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Down(NodeId, Death, Duration),
    Leave(NodeId, Duration),
    Stall(NodeId, Duration),
    Cut(NodeId, NodeId, Duration),
}

impl Chaos {
    /// When the next fault happens.
    pub(super) fn next_pause(&self, random: &mut Random) -> Duration {
        // Exponential, so that faults come in bursts as well.
        self.pause.mul_f64(-(1.0 - random.unit()).ln())
    }

    /// The next fault. Users are not taken down: they are the ones who look.
    pub(super) fn next_fault(
        &self,
        random: &mut Random,
        registrars: &[NodeId],
        elements: &[NodeId],
        users: &[NodeId],
    ) -> Option<Fault> {
        let outage = self.outage.mul_f64(random.unit());
        let stall = self.stall.mul_f64(random.unit());
        let death = if random.chance(0.5) {
            Death::Killed
        } else {
            Death::Crashed
        };
        let servers = [if self.registrars { registrars } else { &[] }, elements].concat();
        let all = [registrars, elements, users].concat();
        let kind = random.below(6);
        let one = pick(&servers, random)?;
        Some(match kind {
            0 | 1 => Fault::Down(one, death, outage),
            2 => Fault::Leave(pick(elements, random)?, outage),
            3 => Fault::Stall(one, stall),
            _ => {
                let (a, b) = (pick(&all, random)?, pick(&all, random)?);
                if a == b {
                    return None;
                }
                Fault::Cut(a, b, outage)
            }
        })
    }
}

fn pick(nodes: &[NodeId], random: &mut Random) -> Option<NodeId> {
    let index = random.below(u64::try_from(nodes.len()).unwrap_or(u64::MAX));
    nodes.get(usize::try_from(index).unwrap_or(usize::MAX)).copied()
}
