//! How a session of a pool user holds on to its pool.

use std::time::Duration;

use super::{ConfigError, check};

/// How a session of a pool user holds on to its pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    connect_timeout: Duration,
    retry: Duration,
    retry_max: Duration,
    max_attempts: Option<u32>,
    fail_over_on_shutdown: bool,
    max_queue: usize,
}

impl Default for SessionConfig {
    /// 2 s to connect to an element; 250 ms after a failed attempt, doubling up to 2 s; without end; also when an
    /// element ends the session gracefully; 1 MiB of messages kept while there is no element.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            retry: Duration::from_millis(250),
            retry_max: Duration::from_secs(2),
            max_attempts: None,
            fail_over_on_shutdown: true,
            max_queue: 1 << 20,
        }
    }
}

impl SessionConfig {
    /// How long an element has to answer the set-up of its association.
    pub const fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// Sets how long an element has to answer the set-up of its association. Too short passes over slow elements, too
    /// long waits for dead ones.
    pub fn set_connect_timeout(&mut self, time: Duration) -> Result<(), ConfigError> {
        let bounds = Duration::from_millis(10)..=Duration::from_secs(300);
        check(bounds.contains(&time), "connect timeout", "10 ms to 300 s")?;
        self.connect_timeout = time;
        Ok(())
    }

    /// How long to wait after the first failed attempt to find an element. Each further one waits twice as long.
    pub const fn retry(&self) -> Duration {
        self.retry
    }

    /// The longest wait between attempts.
    pub const fn retry_max(&self) -> Duration {
        self.retry_max
    }

    /// Sets the first and the longest wait between attempts to find an element. Short ones burden the registrar of an
    /// empty pool, long ones find its first element late.
    pub fn set_retry(&mut self, first: Duration, max: Duration) -> Result<(), ConfigError> {
        let valid = Duration::from_millis(10) <= first && first <= max && max <= Duration::from_secs(3600);
        check(valid, "retry", "10 ms <= first <= longest <= 1 hour")?;
        (self.retry, self.retry_max) = (first, max);
        Ok(())
    }

    /// After how many failed attempts in a row the session ends; `None` for never.
    pub const fn max_attempts(&self) -> Option<u32> {
        self.max_attempts
    }

    /// Sets after how many failed attempts in a row the session ends.
    pub fn set_max_attempts(&mut self, attempts: Option<u32>) -> Result<(), ConfigError> {
        check(attempts != Some(0), "attempts", "at least 1, or none")?;
        self.max_attempts = attempts;
        Ok(())
    }

    /// Whether the session goes on with another element when one ends it gracefully.
    pub const fn fail_over_on_shutdown(&self) -> bool {
        self.fail_over_on_shutdown
    }

    /// Sets whether the session goes on with another element when one ends it gracefully; otherwise it ends.
    pub const fn set_fail_over_on_shutdown(&mut self, fail_over: bool) {
        self.fail_over_on_shutdown = fail_over;
    }

    /// How many bytes of messages are kept while there is no element to send them to.
    pub const fn max_queue(&self) -> usize {
        self.max_queue
    }

    /// Sets how many bytes of messages are kept while there is no element to send them to.
    pub const fn set_max_queue(&mut self, bytes: usize) {
        self.max_queue = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_value_changes_nothing() {
        let mut config = SessionConfig::default();
        assert!(config.set_connect_timeout(Duration::ZERO).is_err());
        assert!(
            config
                .set_retry(Duration::from_secs(2), Duration::from_secs(1))
                .is_err()
        );
        assert!(config.set_retry(Duration::ZERO, Duration::from_secs(1)).is_err());
        assert!(config.set_max_attempts(Some(0)).is_err());
        assert_eq!(config, SessionConfig::default());
    }
}
