//! Which worker an SCTP port is at.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use crate::{Error, Result};

/// The first of the ports that are drawn for who does not care (RFC 6335 §6).
const FIRST_EPHEMERAL: u16 = 49_152;

/// Where a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At one worker.
    One(u16),
    /// At all of them.
    All,
}

/// The ports of all workers. The workers' engines know on which addresses.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<BTreeMap<u16, (Place, usize)>>);

impl Places {
    /// Gives a port to a worker, or a further place to who has it; `None` draws one.
    pub(super) fn pin(self: &Arc<Self>, port: Option<u16>, worker: u16) -> Result<(u16, Arc<Held>)> {
        let held = self.hold(port, Place::One(worker))?;
        match held.place {
            Place::One(worker) => Ok((worker, held)),
            Place::All => Err(Error::PortInUse),
        }
    }

    /// Gives a port to all workers; `None` draws one.
    pub(super) fn spread(self: &Arc<Self>, port: Option<u16>) -> Result<Arc<Held>> {
        let held = self.hold(port, Place::All)?;
        match held.place {
            Place::All => Ok(held),
            Place::One(_) => Err(Error::PortInUse),
        }
    }

    /// Where a port is.
    pub(super) fn find(&self, port: u16) -> Option<Place> {
        self.lock().get(&port).map(|(place, _)| *place)
    }

    fn hold(self: &Arc<Self>, port: Option<u16>, wanted: Place) -> Result<Arc<Held>> {
        let mut start = [0; 2];
        getrandom::fill(&mut start).map_err(|_| Error::Unsupported("the system has no randomness"))?;
        let mut places = self.lock();
        let port = match port {
            Some(port) => port,
            None => draw(&places, u16::from_ne_bytes(start)).ok_or(Error::NoPortFree)?,
        };
        let (place, holders) = places.entry(port).or_insert((wanted, 0));
        *holders += 1;
        Ok(Arc::new(Held {
            places: Arc::clone(self),
            port,
            place: *place,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, (Place, usize)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn draw(taken: &BTreeMap<u16, (Place, usize)>, start: u16) -> Option<u16> {
    let count = u32::from(u16::MAX - FIRST_EPHEMERAL) + 1;
    (0..count)
        .map(|i| (u32::from(start) + i) % count + u32::from(FIRST_EPHEMERAL))
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| !taken.contains_key(port))
}

/// A port that somebody has. It is given back once nobody has this any more.
#[derive(Debug)]
pub(crate) struct Held {
    places: Arc<Places>,
    port: u16,
    place: Place,
}

impl Held {
    /// The port.
    pub(in crate::userland) const fn port(&self) -> u16 {
        self.port
    }
}

/// End points keep what is to be told when they go as wakers. Whoever is told this has it no more.
impl Wake for Held {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        if let Some((_, holders)) = places.get_mut(&self.port) {
            *holders = holders.saturating_sub(1);
            if *holders == 0 {
                places.remove(&self.port);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_stays_where_it_is_until_nobody_has_it() {
        let places = Arc::new(Places::default());
        let (first, one) = places.pin(Some(7), 2).unwrap();
        let (second, two) = places.pin(Some(7), 0).unwrap();
        assert_eq!((first, second, places.find(7)), (2, 2, Some(Place::One(2))));
        assert_eq!(places.spread(Some(7)).map(drop), Err(Error::PortInUse));
        drop(one);
        assert_eq!(places.find(7), Some(Place::One(2)));
        std::task::Waker::from(two).wake();
        assert_eq!(places.find(7), None);
        let all = places.spread(Some(7)).unwrap();
        assert_eq!(places.pin(Some(7), 1).map(drop), Err(Error::PortInUse));
        assert_eq!((all.port(), places.find(7)), (7, Some(Place::All)));
    }

    #[test]
    fn drawn_ports_are_nobodys() {
        let places = Arc::new(Places::default());
        let held: Vec<_> = (0..100).map(|_| places.pin(None, 0).unwrap().1).collect();
        let mut ports: Vec<u16> = held.iter().map(|held| held.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 100);
        assert!(ports.iter().all(|port| *port >= FIRST_EPHEMERAL));
    }
}
