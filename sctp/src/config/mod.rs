//! Configuration. Defaults are the RFC's; every setter checks its value, so a configuration is valid at all times.

mod asconf;
mod association;
mod auth;
mod interleaving;
mod keys;
mod marks;
mod path;
mod reconfig;
mod sending;
mod stack;
mod tags;
mod thresholds;

pub use asconf::AsconfConfig;
pub use association::{AssociationConfig, CongestionControl};
pub use auth::AuthConfig;
pub use interleaving::{FragmentInterleave, InterleavingConfig, StreamScheduler};
pub use keys::SharedKeys;
pub use marks::{FlowLabel, Marks};
pub use path::PathConfig;
pub use reconfig::{ReconfigConfig, ReconfigRequests};
pub use sending::SendingConfig;
pub use stack::{EndpointConfig, OotbPolicy, StackConfig};
pub use tags::TagShare;
pub use thresholds::PathThresholds;

pub(crate) use auth::may_be_listed;

use crate::error::ConfigError;

fn check(valid: bool, name: &'static str, expected: &'static str) -> Result<(), ConfigError> {
    if valid {
        Ok(())
    } else {
        Err(ConfigError { name, expected })
    }
}
