//! The paths of one association.

use std::net::IpAddr;

use super::{Path, PathId, PathState};
use crate::Instant;
use crate::time::earliest;

/// All destination addresses of a peer. There is at least one, and one is the primary.
///
/// A path keeps its name for life. The name of one that was removed is given to the next one that is added: whoever
/// holds names forgets them when a path goes.
#[derive(Debug)]
pub(crate) struct PathSet {
    /// By name; `None` where a path was removed.
    paths: Vec<Option<Path>>,
    live: usize,
    primary: PathId,
    /// The user chose the primary path.
    chosen: bool,
}

impl PathSet {
    /// How many addresses of a peer are used; further ones it lists are ignored. Bounds what a peer can make us hold
    /// and probe.
    pub(crate) const MAX_PATHS: usize = 32;

    /// A set whose first path is the primary one.
    pub(crate) fn new(first: Path) -> Self {
        Self {
            paths: vec![Some(first)],
            live: 1,
            primary: PathId(0),
            chosen: false,
        }
    }

    /// Adds a path unless its address is there already or the set is full.
    pub(crate) fn add(&mut self, path: Path) -> Option<PathId> {
        if self.is_full() || self.find(path.address).is_some() {
            return None;
        }
        let free = self.paths.iter().position(Option::is_none);
        let index = free.unwrap_or(self.paths.len());
        let id = PathId(u8::try_from(index).ok()?);
        match self.paths.get_mut(index) {
            Some(place) => *place = Some(path),
            None => self.paths.push(Some(path)),
        }
        self.live += 1;
        Some(id)
    }

    /// Whether no path can be added.
    pub(crate) const fn is_full(&self) -> bool {
        self.live >= Self::MAX_PATHS
    }

    /// Takes a path out, unless it is the last one. If it was the primary one, the best of the others is.
    pub(crate) fn remove(&mut self, id: PathId) -> Option<Path> {
        if self.live == 1 {
            return None;
        }
        let path = self.paths.get_mut(id.index())?.take()?;
        self.live -= 1;
        if self.primary == id {
            let first = self.first();
            (self.primary, self.chosen) = (first, false);
            self.primary = self.for_new_data(None);
        }
        Some(path)
    }

    /// The path that is there longest, as far as names tell.
    pub(crate) fn first(&self) -> PathId {
        self.ids().next().unwrap_or(PathId(0))
    }

    pub(crate) fn find(&self, address: IpAddr) -> Option<PathId> {
        self.iter().find(|(_, path)| path.address == address).map(|(id, _)| id)
    }

    #[inline]
    pub(crate) fn get(&self, id: PathId) -> Option<&Path> {
        self.paths.get(id.index())?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        self.paths.get_mut(id.index())?.as_mut()
    }

    pub(crate) const fn len(&self) -> usize {
        self.live
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PathId, &Path)> {
        let places = (0..=u8::MAX).map(PathId).zip(&self.paths);
        places.filter_map(|(id, path)| Some((id, path.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (PathId, &mut Path)> {
        let places = (0..=u8::MAX).map(PathId).zip(&mut self.paths);
        places.filter_map(|(id, path)| Some((id, path.as_mut()?)))
    }

    /// The paths without their names.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Path> {
        self.paths.iter_mut().flatten()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = PathId> + use<> {
        let live = self.iter().fold(0u64, |live, (id, _)| live | 1 << id.0.min(63));
        (0..64).filter(move |bit| live >> bit & 1 == 1).map(PathId)
    }

    pub(crate) fn primary(&self) -> PathId {
        self.primary
    }

    /// Makes a path the primary one; false if it is not confirmed (RFC 9260 §5.4).
    pub(crate) fn set_primary(&mut self, id: PathId) -> bool {
        let confirmed = self.get(id).is_some_and(|path| path.state != PathState::Unconfirmed);
        if confirmed {
            self.primary = id;
            self.chosen = true;
        }
        confirmed
    }

    /// The primary path fails for good: the one that carries the data by now takes its place (RFC 7829 §5). The new
    /// primary path, if there is a better one.
    pub(crate) fn switch_primary_over(&mut self) -> Option<PathId> {
        let id = self.for_new_data(None);
        let changes = id != self.primary;
        self.primary = id;
        changes.then_some(id)
    }

    /// Confirms the path that carried the set-up (RFC 9260 §5.4). It works, so it is the primary one unless the user
    /// chose another.
    pub(crate) fn confirm_setup_path(&mut self, id: PathId) {
        if let Some(path) = self.get_mut(id) {
            path.state = PathState::Active;
            path.error_count = 0;
        }
        if !self.chosen {
            self.primary = id;
        }
    }

    /// The largest packet that every path carries: fragments must fit whichever way they are sent again (§6.9).
    /// Addresses that nobody has confirmed do not count: data never goes there, and some never are.
    pub(crate) fn smallest_max_packet(&self) -> usize {
        let confirmed = self.iter().filter(|(_, path)| path.state != PathState::Unconfirmed);
        let smallest = confirmed.map(|(_, path)| path.max_packet()).min();
        let all = || self.iter().map(|(_, path)| path.max_packet()).min();
        smallest.or_else(all).unwrap_or(0)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.iter().map(|(_, path)| path.poll_timeout()).fold(None, earliest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AssociationConfig;

    fn path(n: u8, state: PathState) -> Path {
        let address = IpAddr::from([10, 0, n, 1]);
        let mut path = Path::new(address, &AssociationConfig::default(), Instant::ZERO);
        path.state = state;
        path
    }

    #[test]
    fn a_path_keeps_its_name_and_leaves_it_to_the_next_one() {
        let mut set = PathSet::new(path(0, PathState::Active));
        let one = set.add(path(1, PathState::Active)).unwrap();
        let two = set.add(path(2, PathState::Active)).unwrap();
        assert!(set.remove(one).is_some());
        assert!(set.remove(one).is_none() && set.get(one).is_none());
        assert_eq!(set.ids().collect::<Vec<_>>(), [PathId(0), two]);
        assert_eq!((set.len(), set.find(IpAddr::from([10, 0, 2, 1]))), (2, Some(two)));
        assert_eq!(set.add(path(3, PathState::Active)), Some(one));
        assert_eq!(set.len(), 3);
    }

    #[test]
    fn rfc5061_5_3_f12_a_removed_primary_gives_way_to_the_best_of_the_others() {
        let mut set = PathSet::new(path(0, PathState::Active));
        set.add(path(1, PathState::Inactive)).unwrap();
        let two = set.add(path(2, PathState::Active)).unwrap();
        assert!(set.remove(PathId(0)).is_some());
        assert_eq!(set.primary(), two);
        assert!(set.remove(two).is_some());
        assert_eq!(set.primary(), PathId(1));
        assert!(set.remove(PathId(1)).is_none(), "the last one stays");
    }

    #[test]
    fn a_set_has_at_most_max_paths() {
        let mut set = PathSet::new(path(0, PathState::Active));
        for n in 1..32 {
            assert!(!set.is_full());
            assert!(set.add(path(n, PathState::Active)).is_some());
        }
        assert!(set.is_full());
        assert_eq!(set.add(path(40, PathState::Active)), None);
        assert!(set.remove(PathId(7)).is_some());
        assert_eq!(set.add(path(40, PathState::Active)), Some(PathId(7)));
    }
}
