//! Changes of a path that is in use (RFC 9260 §11.1.9, §11.1.12, §11.1.13).

use super::{Path, PathState, Pmtud};
use crate::Instant;
use crate::config::{AssociationConfig, PathConfig};
use crate::random::Random;

impl Path {
    /// Takes over what the association has for all its paths.
    pub(crate) fn follow(&mut self, config: &AssociationConfig) {
        self.rto.set_bounds(config);
        self.cc.set_max_burst(config.max_burst());
    }

    /// Takes over settings of its own, with `probing` unless heartbeats have ended. True if a potentially failed path
    /// is active by that.
    pub(crate) fn configure(&mut self, now: Instant, config: PathConfig, probing: bool, random: &mut Random) -> bool {
        let old = std::mem::replace(&mut self.config, config);
        if let (Some(encap), Some(port)) = (&mut self.encap, config.remote_encapsulation_port())
            && old.remote_encapsulation_port() != Some(port)
        {
            encap.destination = port;
        }
        if (old.mtu(), old.mtu_discovery()) != (config.mtu(), config.mtu_discovery()) {
            self.pmtud = Pmtud::new(&config, self.address.is_ipv4());
            self.on_mtu_change();
        }
        let cleared = old.thresholds() != config.thresholds() && self.clear_by_thresholds();
        let heartbeats_change = cleared || old.heartbeat_interval() != config.heartbeat_interval();
        if heartbeats_change && probing {
            match self.state {
                // Verification goes on whatever the interval (RFC 9260 §5.4).
                PathState::Unconfirmed => {}
                PathState::PotentiallyFailed if config.heartbeat_interval().is_some() => {
                    self.arm_failure_probe(now, false);
                }
                PathState::Active | PathState::PotentiallyFailed | PathState::Inactive => {
                    self.disarm_probe();
                    self.arm_probe(now, random);
                }
            }
        }
        cleared
    }
}
