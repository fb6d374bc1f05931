//! How a pool element or pool user deals with registrars.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use sctp::config::AssociationConfig;

use super::{ANNOUNCE_GROUP, ConfigError, check};
use crate::net::SctpAddress;

const ANY_TIME: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(86_400);

fn check_time(time: Duration, name: &'static str) -> Result<(), ConfigError> {
    check(ANY_TIME.contains(&time), name, "10 ms to 1 day")
}

/// How a pool element or pool user deals with registrars: which it knows, and how patient it is (RFC 5352 §7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointConfig {
    registrars: Vec<SctpAddress>,
    announce_group: Option<SocketAddr>,
    t1_enrp_request: Duration,
    t2_registration: Duration,
    t3_deregistration: Duration,
    t5_server_hunt: Duration,
    t7_enrp_outdate: Duration,
    hunt_retry: Duration,
    max_reg_attempt: u32,
    max_request_retransmit: u32,
    retran_max: Duration,
    stale_cache_value: Duration,
    resolution_items: Option<u32>,
    association: AssociationConfig,
}

impl Default for EndpointConfig {
    /// RFC 5352 §7: T1 15 s, T2 30 s, T3 30 s, T5 10 s, T7 5 s, MAX-REG-ATTEMPT 2, MAX-REQUEST-RETRANSMIT 2, RETRAN-MAX
    /// 60 s. No static registrars, announces from [`ANNOUNCE_GROUP`]. The RFC has no number for the stale cache value:
    /// it is zero, so that each selection is the registrar's. The association parameters are those of
    /// [`default_association`](Self::default_association).
    fn default() -> Self {
        Self {
            registrars: Vec::new(),
            announce_group: Some(ANNOUNCE_GROUP),
            t1_enrp_request: Duration::from_secs(15),
            t2_registration: Duration::from_secs(30),
            t3_deregistration: Duration::from_secs(30),
            t5_server_hunt: Duration::from_secs(10),
            t7_enrp_outdate: Duration::from_secs(5),
            hunt_retry: Duration::from_secs(1),
            max_reg_attempt: 2,
            max_request_retransmit: 2,
            retran_max: Duration::from_secs(60),
            stale_cache_value: Duration::ZERO,
            resolution_items: None,
            association: Self::default_association(),
        }
    }
}

impl EndpointConfig {
    /// Association parameters under which a dead peer is noticed in about 3 s while something is sent to it, and in
    /// about 12 s by heartbeats alone: RTO.Initial 500 ms, RTO.Min 250 ms (above the 200 ms by which peers delay
    /// acknowledgements), RTO.Max 1 s, Association.Max.Retrans 3, Path.Max.Retrans 2, Max.Init.Retransmits 4,
    /// HB.interval 2 s. RFC 9260's own would take minutes.
    pub fn default_association() -> AssociationConfig {
        let mut association = AssociationConfig::default();
        let millis = Duration::from_millis;
        // These values are within the setters' bounds; were they not, RFC 9260's would stay.
        let _ = association.set_rto(millis(500), millis(250), millis(1000));
        let _ = association.path_mut().set_heartbeat_interval(Some(millis(2000)));
        association.set_association_max_retrans(3);
        association.set_max_init_retransmits(4);
        association.path_mut().set_path_max_retrans(2);
        association
    }

    /// The registrars that are known without announces.
    pub fn registrars(&self) -> &[SctpAddress] {
        &self.registrars
    }

    /// Adds a registrar that is known without announces.
    pub fn add_registrar(&mut self, registrar: SctpAddress) -> Result<(), ConfigError> {
        let valid = registrar.port != 0 && !registrar.addresses.is_empty();
        check(valid, "registrar", "a port other than 0 and at least one address")?;
        self.registrars.push(registrar);
        Ok(())
    }

    /// The multicast group on which registrars announce themselves; `None` when they are not listened for.
    pub const fn announce_group(&self) -> Option<SocketAddr> {
        self.announce_group
    }

    /// Sets the multicast group on which registrars announce themselves. Announces are not authenticated (RFC 5352
    /// §9.2): without them only the static registrars are used.
    pub fn set_announce_group(&mut self, group: Option<SocketAddr>) -> Result<(), ConfigError> {
        let valid = group.is_none_or(|group| group.ip().is_multicast() && group.port() != 0);
        check(valid, "announce group", "a multicast address and a port, or none")?;
        self.announce_group = group;
        Ok(())
    }

    /// T1-ENRPrequest: how long the answer to a handle resolution is waited for.
    pub const fn t1_enrp_request(&self) -> Duration {
        self.t1_enrp_request
    }

    /// Sets T1-ENRPrequest. Too short gives up on busy registrars, too long keeps sessions waiting for dead ones.
    pub fn set_t1_enrp_request(&mut self, time: Duration) -> Result<(), ConfigError> {
        check_time(time, "T1-ENRPrequest")?;
        self.t1_enrp_request = time;
        Ok(())
    }

    /// T2-registration: how long the answer to a registration is waited for.
    pub const fn t2_registration(&self) -> Duration {
        self.t2_registration
    }

    /// Sets T2-registration.
    pub fn set_t2_registration(&mut self, time: Duration) -> Result<(), ConfigError> {
        check_time(time, "T2-registration")?;
        self.t2_registration = time;
        Ok(())
    }

    /// T3-deregistration: how long the answer to a deregistration is waited for.
    pub const fn t3_deregistration(&self) -> Duration {
        self.t3_deregistration
    }

    /// Sets T3-deregistration. A pool element that ends may wait so long.
    pub fn set_t3_deregistration(&mut self, time: Duration) -> Result<(), ConfigError> {
        check_time(time, "T3-deregistration")?;
        self.t3_deregistration = time;
        Ok(())
    }

    /// T5-Serverhunt: how long the first round of the search for a registrar lasts; each round takes twice as long, up
    /// to RETRAN-MAX.
    pub const fn t5_server_hunt(&self) -> Duration {
        self.t5_server_hunt
    }

    /// Sets T5-Serverhunt.
    pub fn set_t5_server_hunt(&mut self, time: Duration) -> Result<(), ConfigError> {
        check_time(time, "T5-Serverhunt")?;
        self.t5_server_hunt = time;
        Ok(())
    }

    /// T7-ENRPoutdate: how long an announce is believed.
    pub const fn t7_enrp_outdate(&self) -> Duration {
        self.t7_enrp_outdate
    }

    /// Sets T7-ENRPoutdate. Below the registrars' announce cycle, they are forgotten between announces.
    pub fn set_t7_enrp_outdate(&mut self, time: Duration) -> Result<(), ConfigError> {
        check_time(time, "T7-ENRPoutdate")?;
        self.t7_enrp_outdate = time;
        Ok(())
    }

    /// How long to wait before registrars that refused are tried again within a round of the search. Doubles up to
    /// T5-Serverhunt.
    pub const fn hunt_retry(&self) -> Duration {
        self.hunt_retry
    }

    /// Sets how long to wait before registrars that refused are tried again.
    pub fn set_hunt_retry(&mut self, time: Duration) -> Result<(), ConfigError> {
        check_time(time, "hunt retry")?;
        self.hunt_retry = time;
        Ok(())
    }

    /// MAX-REG-ATTEMPT: after how many registrations without answer the application is told.
    pub const fn max_reg_attempt(&self) -> u32 {
        self.max_reg_attempt
    }

    /// Sets MAX-REG-ATTEMPT.
    pub fn set_max_reg_attempt(&mut self, attempts: u32) -> Result<(), ConfigError> {
        check(attempts >= 1, "MAX-REG-ATTEMPT", "at least 1")?;
        self.max_reg_attempt = attempts;
        Ok(())
    }

    /// MAX-REQUEST-RETRANSMIT: how often a handle resolution without answer is repeated.
    pub const fn max_request_retransmit(&self) -> u32 {
        self.max_request_retransmit
    }

    /// Sets MAX-REQUEST-RETRANSMIT.
    pub const fn set_max_request_retransmit(&mut self, retransmissions: u32) {
        self.max_request_retransmit = retransmissions;
    }

    /// RETRAN-MAX: the longest back-off.
    pub const fn retran_max(&self) -> Duration {
        self.retran_max
    }

    /// Sets RETRAN-MAX.
    pub fn set_retran_max(&mut self, time: Duration) -> Result<(), ConfigError> {
        check_time(time, "RETRAN-MAX")?;
        self.retran_max = time;
        Ok(())
    }

    /// stale.cache.value: for how long the answer to a handle resolution is used without asking again.
    pub const fn stale_cache_value(&self) -> Duration {
        self.stale_cache_value
    }

    /// Sets stale.cache.value. Long times spare the registrar, but select from old lists.
    pub fn set_stale_cache_value(&mut self, time: Duration) -> Result<(), ConfigError> {
        check(time <= *ANY_TIME.end(), "stale.cache.value", "0 to 1 day")?;
        self.stale_cache_value = time;
        Ok(())
    }

    /// How many pool elements a handle resolution asks for; `None` leaves it to the registrar.
    pub const fn resolution_items(&self) -> Option<u32> {
        self.resolution_items
    }

    /// Sets how many pool elements a handle resolution asks for. This is RSPLIB's extension; others skip it.
    pub const fn set_resolution_items(&mut self, items: Option<u32>) {
        self.resolution_items = items;
    }

    /// What associations start with, those to registrars as well as those between pool users and pool elements. Drivers
    /// give it to their transport.
    pub const fn association(&self) -> &AssociationConfig {
        &self.association
    }

    /// What associations start with, to be changed.
    pub const fn association_mut(&mut self) -> &mut AssociationConfig {
        &mut self.association
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5352_7_defaults_are_the_normal_values() {
        let config = EndpointConfig::default();
        let times = [
            config.t1_enrp_request(),
            config.t2_registration(),
            config.t3_deregistration(),
            config.t5_server_hunt(),
            config.t7_enrp_outdate(),
            config.retran_max(),
        ];
        assert_eq!(times.map(|time| time.as_secs()), [15, 30, 30, 10, 5, 60]);
        assert_eq!((config.max_reg_attempt(), config.max_request_retransmit()), (2, 2));
    }

    #[test]
    fn a_dead_peer_is_noticed_within_seconds() {
        let association = EndpointConfig::default_association();
        assert_eq!(association.rto_min(), Duration::from_millis(250));
        assert_eq!(association.path().heartbeat_interval(), Some(Duration::from_secs(2)));
        // Every transmission but the first doubles the time-out, from RTO.Min to RTO.Max.
        let mut rto = association.rto_min();
        let mut noticed = Duration::ZERO;
        for _ in 0..=association.association_max_retrans() {
            noticed += rto;
            rto = (2 * rto).min(association.rto_max());
        }
        assert_eq!(noticed, Duration::from_millis(2750));
    }

    #[test]
    fn a_refused_value_changes_nothing() {
        let mut config = EndpointConfig::default();
        let nowhere = SctpAddress {
            port: 0,
            addresses: vec!["192.0.2.1".parse().unwrap()],
        };
        assert!(config.add_registrar(nowhere).is_err());
        assert!(
            config
                .set_announce_group(Some("192.0.2.1:3863".parse().unwrap()))
                .is_err()
        );
        assert!(config.set_t1_enrp_request(Duration::ZERO).is_err());
        assert!(config.set_t5_server_hunt(Duration::from_secs(100_000)).is_err());
        assert!(config.set_max_reg_attempt(0).is_err());
        assert_eq!(config, EndpointConfig::default());
    }
}
