//! Reading and changing the settings of what exists (RFC 9260 §11.1.9, §11.1.12, §11.1.13).
//!
//! A configuration is read, changed by its setters, which keep it valid, and given back. An association owns its
//! configuration, and each of its paths the [`PathConfig`] that it began with; both are what the getters give.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::table::Table;
use super::{AssocId, EndpointId, Stack};
use crate::assoc::{Association, AssociationPhase};
use crate::config::{AssociationConfig, OotbPolicy, PathConfig};
use crate::error::{ConfigError, SettingError};
use crate::time::Instant;

impl Stack {
    /// What new associations of an end point start with.
    pub fn endpoint_config(&self, endpoint: EndpointId) -> Option<&AssociationConfig> {
        self.endpoints.get(endpoint).map(|endpoint| &*endpoint.association)
    }

    /// Sets what new associations of an end point start with; false if there is no such end point. Associations that
    /// exist keep what they have. A peer that is amid its set-up gets an association with the new values, though the
    /// INIT ACK told it the old ones: extensions are best switched before [`listen`](Self::listen).
    pub fn set_endpoint_config(&mut self, endpoint: EndpointId, config: AssociationConfig) -> bool {
        let found = self.endpoints.get_mut(endpoint);
        found.map(|endpoint| endpoint.association = Arc::new(config)).is_some()
    }

    /// Sets what becomes of packets that belong to no association (§8.4), from now on.
    pub const fn set_ootb_policy(&mut self, policy: OotbPolicy) {
        self.config.set_ootb_policy(policy);
    }

    /// Sets Valid.Cookie.Life (SET PROTOCOL PARAMETERS, §11.1.13), for State Cookies made from now on.
    pub fn set_valid_cookie_life(&mut self, life: Duration) -> Result<(), ConfigError> {
        self.config.set_valid_cookie_life(life)
    }

    /// The configuration that an association has by now. Its paths may have others than
    /// [`AssociationConfig::path`]: see [`path_config`](Self::path_config).
    pub fn association_config(&self, assoc: AssocId) -> Option<AssociationConfig> {
        self.table.get(assoc).map(|slot| slot.assoc.settings())
    }

    /// Changes the configuration of an association (SET PROTOCOL PARAMETERS, SET FAILURE THRESHOLD, §11.1.12,
    /// §11.1.13):
    ///
    /// - RTO.Initial, RTO.Min and RTO.Max: for the time-outs computed from now on; running timers are left alone;
    /// - Max.Burst, Association.Max.Retrans, Max.Init.Retransmits: at once;
    /// - SACK delay and frequency: from the next packet on;
    /// - the buffers: a smaller one throws nothing away, but takes nothing until enough has left it;
    /// - the stream scheduler: for those messages that wait too;
    /// - which re-configurations of the peer are accepted: for requests from now on;
    /// - autoclose: counted from now on;
    /// - what new paths start with; paths that exist keep what they have.
    ///
    /// Everything else was told to the peer or is built in, and must be what it was.
    pub fn set_association_config(
        &mut self,
        now: Instant,
        assoc: AssocId,
        config: AssociationConfig,
    ) -> Result<(), SettingError> {
        living(&mut self.table, assoc)?.configure(now, config)?;
        self.settle(assoc);
        Ok(())
    }

    /// The settings of the path to one of the peer's addresses.
    pub fn path_config(&self, assoc: AssocId, address: IpAddr) -> Result<PathConfig, SettingError> {
        let slot = self.table.get(assoc).ok_or(SettingError::NoSuchAssociation)?;
        let path = slot.assoc.find_path(address).ok_or(SettingError::NoSuchPath)?;
        slot.assoc.path_config(path).ok_or(SettingError::NoSuchPath)
    }

    /// Changes the settings of the path to one of the peer's addresses, or with `None` of all paths, those to come
    /// included (CHANGE HEARTBEAT §11.1.9, SET FAILURE THRESHOLD §11.1.12, SET PROTOCOL PARAMETERS §11.1.13, RFC 7829
    /// §7.2):
    ///
    /// - HB.interval: the next heartbeat is due an interval from now; `None` ends them, except on addresses that are
    ///   not confirmed yet;
    /// - the thresholds: applied at the next missing answer; a path that is potentially failed and would not be by
    ///   them is active at once;
    /// - the MTU: at once; the congestion window starts anew;
    /// - the peer's UDP port: at once, until a packet of the peer shows another;
    /// - the DSCP: from the next packet on; congestion control starts anew (§7.2.5.1);
    /// - the IPv6 flow label: from the next packet on.
    pub fn set_path_config(
        &mut self,
        now: Instant,
        assoc: AssocId,
        address: Option<IpAddr>,
        config: PathConfig,
    ) -> Result<(), SettingError> {
        let association = living(&mut self.table, assoc)?;
        match address {
            Some(address) => {
                let path = association.find_path(address).ok_or(SettingError::NoSuchPath)?;
                association.configure_path(now, path, config, &mut self.random);
            }
            None => association.configure_all_paths(now, config, &mut self.random),
        }
        self.settle(assoc);
        Ok(())
    }
}

fn living(table: &mut Table, assoc: AssocId) -> Result<&mut Association, SettingError> {
    let slot = table.get_mut(assoc).ok_or(SettingError::NoSuchAssociation)?;
    if slot.assoc.phase() == AssociationPhase::Closed {
        return Err(SettingError::NoSuchAssociation);
    }
    Ok(&mut *slot.assoc)
}
