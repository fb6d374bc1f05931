//! Times under which a lost server is noticed in well under a second: everything is on one host, and peers
//! acknowledge at once.

use std::time::Duration;

use rserpool::config::{ConfigError, ElementConfig, EndpointConfig, RegistrarConfig, SessionConfig};
use rserpool::ids::{PeId, PoolHandle};
use rserpool::net::SctpAddress;
use rserpool::wire::policy::PolicyParam;
use socketapi::AssociationConfig;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The pool of the demonstration.
pub const POOL: &str = "DemoPool";

/// Associations: RTO from 50 to 150 ms, four unanswered packets end one.
///
/// # Errors
///
/// None: the values are within their bounds.
pub fn association() -> Result<AssociationConfig, ConfigError> {
    let mut config = AssociationConfig::default();
    config.set_rto(ms(100), ms(50), ms(150))?;
    // Far below RTO.Min, so that a delayed acknowledgement is not taken for a loss.
    config.set_sack_delay(ms(5))?;
    config.set_association_max_retrans(3);
    config.set_max_init_retransmits(3);
    config.path_mut().set_path_max_retrans(3);
    config.path_mut().set_heartbeat_interval(Some(ms(500)))?;
    Ok(config)
}

/// The registrar: one report is enough to remove an element, since the demonstration kills them for good.
///
/// # Errors
///
/// None: the values are within their bounds.
pub fn registrar() -> Result<RegistrarConfig, ConfigError> {
    let mut config = RegistrarConfig::default();
    config.set_announce(None)?;
    config.set_max_bad_pe_reports(1)?;
    Ok(config)
}

/// How elements and the user deal with the registrar.
///
/// # Errors
///
/// None: the values are within their bounds.
pub fn endpoint(registrar: SctpAddress) -> Result<EndpointConfig, ConfigError> {
    let mut config = EndpointConfig::default();
    config.set_announce_group(None)?;
    config.add_registrar(registrar)?;
    config.set_t1_enrp_request(ms(1000))?;
    config.set_t2_registration(ms(1000))?;
    config.set_t3_deregistration(ms(500))?;
    config.set_t5_server_hunt(ms(2000))?;
    config.set_hunt_retry(ms(100))?;
    *config.association_mut() = association()?;
    Ok(config)
}

/// An element.
///
/// # Errors
///
/// None: the values are within their bounds.
pub fn element(pool: PoolHandle, id: Option<PeId>) -> Result<ElementConfig, ConfigError> {
    let mut config = ElementConfig::new(pool, PolicyParam::RoundRobin);
    config.set_pe_id(id);
    config.set_registration_life(Some(ms(30_000)))?;
    Ok(config)
}

/// The user's session.
///
/// # Errors
///
/// None: the values are within their bounds.
pub fn session() -> Result<SessionConfig, ConfigError> {
    let mut config = SessionConfig::default();
    config.set_connect_timeout(ms(400))?;
    config.set_retry(ms(25), ms(200))?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_values_are_within_their_bounds() {
        let registrar_address = SctpAddress {
            port: 1,
            addresses: vec![[127, 0, 0, 1].into()],
        };
        assert!(association().is_ok() && registrar().is_ok() && session().is_ok());
        assert!(endpoint(registrar_address).is_ok());
        assert!(element(PoolHandle::new(POOL).unwrap(), None).is_ok());
    }

    #[test]
    fn a_lost_peer_is_noticed_within_a_second() {
        let config = association().unwrap();
        // RFC 9260 §8.1: given up when the count exceeds the limit; the time-out doubles up to its maximum.
        let mut rto = config.rto_min();
        let mut total = Duration::ZERO;
        for _ in 0..=config.association_max_retrans() {
            total += rto;
            rto = (rto * 2).min(config.rto_max());
        }
        assert!(total < ms(1000), "{total:?}");
    }
}
