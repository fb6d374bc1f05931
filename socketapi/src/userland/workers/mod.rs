//! Several workers of one stack: engines side by side, each with its own sockets of the one UDP port.
//!
//! The tag of a packet tells whose it is: each worker draws the verification tags of its share, and a filter in the
//! kernel looks at the tag and chooses the socket. What bears no tag of the receiver is rare: INIT, and ABORT and
//! SHUTDOWN COMPLETE with the T bit. The worker that gets these looks at the ports, and hands them on.
//!
//! | file | what |
//! |---|---|
//! | `steer` | from a packet to a worker |
//! | `places` | from an SCTP port to its worker, or to all of them |

mod places;
mod steer;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use sctp::config::TagShare;
use sctp::{IcmpReport, RxMeta};

pub(super) use self::places::Held;
use self::places::{Place, Places};
use crate::Result;

/// Where a worker works: takes in what came to another one.
pub(super) trait Worksite: fmt::Debug + Send + Sync {
    /// A datagram for this worker.
    fn take_datagram(&self, meta: RxMeta, datagram: Bytes);

    /// What ICMP says about a packet of this worker's.
    fn take_report(&self, report: IcmpReport);
}

/// The workers of a stack.
#[derive(Debug)]
pub(crate) struct Workers {
    secret: u32,
    count: u16,
    places: Arc<Places>,
    next: AtomicU16,
    sites: OnceLock<Vec<Weak<dyn Worksite>>>,
}

impl Workers {
    /// So many, that agree on a secret.
    pub(super) fn new(count: u16, secret: u32) -> Self {
        Self {
            secret,
            count: count.max(1),
            places: Arc::default(),
            next: AtomicU16::new(0),
            sites: OnceLock::new(),
        }
    }

    /// Which tags a worker draws.
    pub(super) const fn share(&self, index: u16) -> TagShare {
        TagShare::new(self.secret, self.count, index)
    }

    /// Who they are. Only the first word counts.
    pub(super) fn introduce<S: Worksite + 'static>(&self, sites: &[Arc<S>]) {
        let sites = sites
            .iter()
            .map(|site| -> Weak<dyn Worksite> { Arc::<S>::downgrade(site) });
        let _ = self.sites.set(sites.collect());
    }

    /// Gives an SCTP port, `None` for any, to one worker: the next one, or the one that has it on other addresses.
    pub(super) fn pin(&self, port: Option<u16>) -> Result<(u16, Arc<Held>)> {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.count;
        self.places.pin(port, next)
    }

    /// Gives an SCTP port, `None` for any, to all workers.
    pub(super) fn spread(&self, port: Option<u16>) -> Result<Arc<Held>> {
        self.places.spread(port)
    }

    /// The worker that a packet is for; `None` if whoever got it is as good as any.
    fn owner_of(&self, packet: &[u8]) -> Option<u16> {
        match steer::sign_of(packet)? {
            steer::Sign::Tag(tag) => Some(self.share(0).of(tag)),
            steer::Sign::Ports { own, peer } => self.owner_of_ports(own, peer),
        }
    }

    fn owner_of_ports(&self, own: u16, peer: u16) -> Option<u16> {
        match self.places.find(own)? {
            Place::One(index) => Some(index),
            // A peer that sets up anew from the same port finds its old association.
            Place::All => Some(self.share(0).of((u32::from(own) << 16) | u32::from(peer))),
        }
    }
}

/// A worker among others.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(super) workers: Arc<Workers>,
    pub(super) index: u16,
}

/// Something that came to the wrong worker, with whose it is.
#[derive(Debug)]
pub(super) enum Stray {
    Datagram(u16, RxMeta, Bytes),
    Report(u16, IcmpReport),
}

impl Worker {
    /// The worker that a datagram is for, if that is another one.
    pub(super) fn other_for(&self, datagram: &[u8]) -> Option<u16> {
        self.workers.owner_of(datagram).filter(|index| *index != self.index)
    }

    /// The worker that sent the packet which ICMP quotes, if that is another one.
    pub(super) fn other_for_report(&self, report: &IcmpReport) -> Option<u16> {
        let (own, peer) = steer::ports_of(&report.quoted)?;
        let owner = self.workers.owner_of_ports(own, peer)?;
        (owner != self.index).then_some(owner)
    }

    /// Hands on what came to the wrong worker.
    pub(super) fn hand_on(&self, strays: Vec<Stray>) {
        for stray in strays {
            let (Stray::Datagram(owner, ..) | Stray::Report(owner, _)) = &stray;
            let sites = self.workers.sites.get();
            let Some(site) = sites.and_then(|sites| sites.get(usize::from(*owner))?.upgrade()) else {
                continue;
            };
            match stray {
                Stray::Datagram(_, meta, datagram) => site.take_datagram(meta, datagram),
                Stray::Report(_, report) => site.take_report(report),
            }
        }
    }
}
