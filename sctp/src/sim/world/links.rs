//! What can be done to the links of a world.

use super::super::ids::LinkId;
use super::super::link::{Captured, LinkConfig, LinkStats, Verdict};
use super::super::packet::Packet;
use super::World;
use crate::Instant;

impl World {
    /// How a link behaves.
    pub fn link(&self, link: LinkId) -> &LinkConfig {
        &self.links[link.0].config
    }

    /// Changes how a link behaves for what is sent from now on.
    pub fn set_link(&mut self, link: LinkId, config: LinkConfig) {
        self.settle();
        self.links[link.0].config = config;
    }

    /// Cuts a link, which also loses what is on its way, or makes it whole again.
    pub fn set_link_up(&mut self, link: LinkId, up: bool) {
        self.settle();
        let what = if up { "up" } else { "down" };
        self.trace
            .line(self.now, &self.links[link.0].name, format_args!("{what}"));
        self.links[link.0].up = up;
    }

    /// Counts of a link.
    pub fn link_stats(&self, link: LinkId) -> LinkStats {
        self.links[link.0].stats
    }

    /// Asks `filter` about each packet that is put on a link from now on.
    pub fn set_filter(&mut self, link: LinkId, filter: impl FnMut(Instant, &Packet) -> Verdict + 'static) {
        self.settle();
        self.links[link.0].filter = Some(Box::new(filter));
    }

    /// Removes a link's filter.
    pub fn clear_filter(&mut self, link: LinkId) {
        self.settle();
        self.links[link.0].filter = None;
    }

    /// Keeps what is put on a link from now on, for [`captured`](Self::captured).
    pub fn capture(&mut self, link: LinkId) {
        self.links[link.0].capture.get_or_insert_default();
    }

    /// What was put on a link since [`capture`](Self::capture).
    pub fn captured(&self, link: LinkId) -> &[Captured] {
        self.links[link.0].capture.as_deref().unwrap_or_default()
    }
}
