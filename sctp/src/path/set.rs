//! The paths of one association.

use std::net::IpAddr;

use super::{Path, PathId, PathState};
use crate::Instant;
use crate::time::earliest;

/// All destination addresses of a peer. There is at least one, and one is the primary.
#[derive(Debug)]
pub(crate) struct PathSet {
    paths: Vec<Path>,
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
            paths: vec![first],
            primary: PathId(0),
            chosen: false,
        }
    }

    /// Adds a path unless its address is there already or the set is full.
    pub(crate) fn add(&mut self, path: Path) -> Option<PathId> {
        if self.paths.len() >= Self::MAX_PATHS || self.find(path.address).is_some() {
            return None;
        }
        let id = PathId(u8::try_from(self.paths.len()).ok()?);
        self.paths.push(path);
        Some(id)
    }

    pub(crate) fn find(&self, address: IpAddr) -> Option<PathId> {
        self.iter().find(|(_, path)| path.address == address).map(|(id, _)| id)
    }

    pub(crate) fn get(&self, id: PathId) -> Option<&Path> {
        self.paths.get(id.index())
    }

    pub(crate) fn get_mut(&mut self, id: PathId) -> Option<&mut Path> {
        self.paths.get_mut(id.index())
    }

    pub(crate) fn len(&self) -> usize {
        self.paths.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PathId, &Path)> {
        self.ids().zip(&self.paths)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (PathId, &mut Path)> {
        self.ids().zip(&mut self.paths)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = PathId> + use<> {
        (0..=u8::MAX).map(PathId).take(self.paths.len())
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

    /// Forgets the paths whose addresses are not in `keep`, unless none is. Returns the new name of each path that was
    /// there, by its old one.
    pub(crate) fn retain(&mut self, keep: &[IpAddr]) -> Vec<Option<PathId>> {
        let stays = |path: &Path| keep.contains(&path.address);
        if !self.paths.iter().any(stays) {
            return self.ids().map(Some).collect();
        }
        let mut next = 0;
        let renamed: Vec<Option<PathId>> = self
            .paths
            .iter()
            .map(|path| {
                let id = PathId(next);
                next += u8::from(stays(path));
                stays(path).then_some(id)
            })
            .collect();
        self.paths.retain(stays);
        match renamed.get(self.primary.index()).copied().flatten() {
            Some(id) => self.primary = id,
            None => (self.primary, self.chosen) = (PathId(0), false),
        }
        renamed
    }

    /// The largest packet that every path carries: fragments must fit whichever way they are sent again (§6.9).
    pub(crate) fn smallest_max_packet(&self) -> usize {
        self.paths.iter().map(Path::max_packet).min().unwrap_or(0)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.paths.iter().map(Path::poll_timeout).fold(None, earliest)
    }
}
