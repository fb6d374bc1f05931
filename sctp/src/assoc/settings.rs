//! Changes of an association that exists (RFC 9260 §11.1.9, §11.1.12, §11.1.13).

use std::sync::Arc;

use super::Association;
use crate::config::{AssociationConfig, PathConfig};
use crate::error::SettingError;
use crate::event::PathChange;
use crate::path::PathId;
use crate::random::Random;
use crate::time::Instant;

impl Association {
    /// The configuration as it is by now.
    pub(crate) fn settings(&self) -> AssociationConfig {
        let mut config = AssociationConfig::clone(&self.config);
        config.set_stream_scheduler(self.stream_scheduler());
        config
    }

    /// Goes over to another configuration. What new paths start with changes nothing about those that exist.
    pub(crate) fn configure(&mut self, now: Instant, next: AssociationConfig) -> Result<(), SettingError> {
        if !self.config.may_become(&next) {
            return Err(SettingError::Fixed);
        }
        if next.autoclose() != self.config.autoclose() {
            self.last_activity = now;
        }
        for (_, path) in self.paths.iter_mut() {
            path.follow(&next);
        }
        self.inbound.configure(&next);
        self.outbound.set_send_buffer(next.send_buffer());
        self.outbound.set_sending(*next.sending());
        if next.stream_scheduler() != self.stream_scheduler() {
            self.set_stream_scheduler(next.stream_scheduler());
        }
        self.config = Arc::new(next);
        self.tell_room();
        Ok(())
    }

    /// The settings of a path.
    pub(crate) fn path_config(&self, id: PathId) -> Option<PathConfig> {
        self.paths.get(id).map(|path| path.config)
    }

    /// Changes the settings of a path.
    pub(crate) fn configure_path(&mut self, now: Instant, id: PathId, next: PathConfig, random: &mut Random) {
        let probing = self.phase().may_send_data();
        let Some(path) = self.paths.get_mut(id) else { return };
        let other_queue = path.config.dscp() != next.dscp();
        let cleared = path.configure(now, next, probing, random);
        if other_queue {
            // §7.2.5.1.
            path.reset_cc(&self.config);
        }
        if cleared && self.config.expose_potentially_failed() {
            self.path_event(id, PathChange::Available);
        }
    }

    /// Changes the settings of all paths, those to come included.
    pub(crate) fn configure_all_paths(&mut self, now: Instant, next: PathConfig, random: &mut Random) {
        *Arc::make_mut(&mut self.config).path_mut() = next;
        for id in self.paths.ids() {
            self.configure_path(now, id, next, random);
        }
    }
}
