//! How a pool element registers and serves.

use std::time::Duration;

use super::{ConfigError, check};
use crate::ids::{PeId, PoolHandle};
use crate::wire::element::LifeUnit;
use crate::wire::policy::PolicyParam;

/// How a pool element registers and serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementConfig {
    pool: PoolHandle,
    policy: PolicyParam,
    pe_id: Option<PeId>,
    registration_life: Option<Duration>,
    life_unit: LifeUnit,
    reregistration_interval: Option<Duration>,
    load_step: u32,
    min_update_interval: Duration,
    session_start_delay: Duration,
    max_sessions: usize,
}

impl ElementConfig {
    /// An element of `pool` under `policy`.
    ///
    /// Its identifier is random (RFC 5352 §3.1 R2.2); its registration lasts 5 minutes and is renewed in time (T4, RFC
    /// 5352 §7.1); a changed load is told from 1 % on, at most ten times a second; it serves up to 1024 sessions.
    pub const fn new(pool: PoolHandle, policy: PolicyParam) -> Self {
        Self {
            pool,
            policy,
            pe_id: None,
            registration_life: Some(Duration::from_secs(300)),
            life_unit: LifeUnit::Seconds,
            reregistration_interval: None,
            load_step: u32::MAX / 100,
            min_update_interval: Duration::from_millis(100),
            session_start_delay: Duration::from_millis(100),
            max_sessions: 1024,
        }
    }

    /// The pool.
    pub const fn pool(&self) -> &PoolHandle {
        &self.pool
    }

    /// The policy to register with.
    pub const fn policy(&self) -> &PolicyParam {
        &self.policy
    }

    /// The identifier; `None` for a random one.
    pub const fn pe_id(&self) -> Option<PeId> {
        self.pe_id
    }

    /// Sets the identifier. With a random one, another one is drawn should the pool have it already.
    pub const fn set_pe_id(&mut self, id: Option<PeId>) {
        self.pe_id = id;
    }

    /// How long a registration lasts; `None` is for ever.
    pub const fn registration_life(&self) -> Option<Duration> {
        self.registration_life
    }

    /// Sets how long a registration lasts. A registrar that loses an element otherwise keeps it for so long.
    pub fn set_registration_life(&mut self, life: Option<Duration>) -> Result<(), ConfigError> {
        let bounds = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);
        let valid = life.is_none_or(|life| bounds.contains(&life));
        check(valid, "registration life", "1 s to 30 days, or for ever")?;
        self.registration_life = life;
        Ok(())
    }

    /// In which unit the life of the registration is written.
    pub const fn life_unit(&self) -> LifeUnit {
        self.life_unit
    }

    /// Sets in which unit the life of the registration is written: seconds (RFC 5354 §3.10), or milliseconds for
    /// registrars of RSPLIB.
    pub const fn set_life_unit(&mut self, unit: LifeUnit) {
        self.life_unit = unit;
    }

    /// T4-reregistration (RFC 5352 §7.1): unless it was set, 10 minutes or 20 s less than the life of the registration,
    /// whichever is less; but half that life at least.
    pub fn reregistration_interval(&self) -> Duration {
        let normal = Duration::from_secs(600);
        self.reregistration_interval
            .unwrap_or_else(|| match self.registration_life {
                None => normal,
                Some(life) => normal.min(life.saturating_sub(Duration::from_secs(20)).max(life / 2)),
            })
    }

    /// Sets T4-reregistration; `None` derives it from the life of the registration. Longer than that life, the element
    /// drops out of its pool again and again.
    pub fn set_reregistration_interval(&mut self, interval: Option<Duration>) -> Result<(), ConfigError> {
        let bounds = Duration::from_millis(10)..=Duration::from_secs(86_400);
        let valid = interval.is_none_or(|interval| bounds.contains(&interval));
        check(valid, "T4-reregistration", "10 ms to 1 day")?;
        self.reregistration_interval = interval;
        Ok(())
    }

    /// By how much the load must change to be told, of 0xffffffff.
    pub const fn load_step(&self) -> u32 {
        self.load_step
    }

    /// Sets by how much the load must change to be told. Small steps burden the registrars.
    pub const fn set_load_step(&mut self, step: u32) {
        self.load_step = step;
    }

    /// The least time between registrations that tell changes.
    pub const fn min_update_interval(&self) -> Duration {
        self.min_update_interval
    }

    /// Sets the least time between registrations that tell changes.
    pub fn set_min_update_interval(&mut self, interval: Duration) -> Result<(), ConfigError> {
        check(interval <= Duration::from_secs(60), "update interval", "0 to 60 s")?;
        self.min_update_interval = interval;
        Ok(())
    }

    /// How long a peer may stay silent after its association came up until it is taken for a pool user.
    pub const fn session_start_delay(&self) -> Duration {
        self.session_start_delay
    }

    /// Sets how long a peer may stay silent until it is taken for a pool user. Users and registrars come to the same
    /// port; what they say first tells them apart, but some users wait for the service to speak first. Too short, a
    /// registrar that looks after the element is greeted as a user; too long, such users wait.
    pub fn set_session_start_delay(&mut self, delay: Duration) -> Result<(), ConfigError> {
        check(delay <= Duration::from_secs(10), "session start delay", "0 to 10 s")?;
        self.session_start_delay = delay;
        Ok(())
    }

    /// How many sessions are served at a time.
    pub const fn max_sessions(&self) -> usize {
        self.max_sessions
    }

    /// Sets how many sessions are served at a time; further users are turned away.
    pub const fn set_max_sessions(&mut self, sessions: usize) {
        self.max_sessions = sessions;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(life: Option<u64>) -> u64 {
        let mut config = ElementConfig::new(PoolHandle::new("P").unwrap(), PolicyParam::RoundRobin);
        config.set_registration_life(life.map(Duration::from_secs)).unwrap();
        config.reregistration_interval().as_secs()
    }

    #[test]
    fn rfc5352_7_1_t4_follows_the_life_of_the_registration() {
        assert_eq!(interval(None), 600);
        assert_eq!(interval(Some(3600)), 600);
        assert_eq!(interval(Some(300)), 280);
        assert_eq!(interval(Some(30)), 15);
    }
}
