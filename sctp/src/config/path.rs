//! Parameters of one path (RFC 9260 §16).

use std::time::Duration;

use super::{PathThresholds, check};
use crate::error::ConfigError;

/// How a path behaves. New paths of an association start with the association's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathConfig {
    heartbeat_interval: Option<Duration>,
    thresholds: PathThresholds,
    mtu: u16,
    remote_encapsulation_port: Option<u16>,
}

impl Default for PathConfig {
    /// RFC 9260 §16: HB.interval 30 s, Path.Max.Retrans 5; RFC 7829 §6: PotentiallyFailed.Max.Retrans 0. The MTU is what every IPv6 link carries (1280), so that
    /// packets arrive without path MTU discovery.
    fn default() -> Self {
        Self {
            heartbeat_interval: Some(Duration::from_secs(30)),
            thresholds: PathThresholds::default(),
            mtu: Self::MIN_MTU,
            remote_encapsulation_port: None,
        }
    }
}

impl PathConfig {
    /// The smallest IP packet size that may be set: the IPv6 minimum.
    pub const MIN_MTU: u16 = 1280;

    /// HB.interval; `None` when an idle path is not probed.
    pub const fn heartbeat_interval(&self) -> Option<Duration> {
        self.heartbeat_interval
    }

    /// Sets HB.interval. Too short burdens idle paths, too long finds dead ones late.
    pub fn set_heartbeat_interval(&mut self, interval: Option<Duration>) -> Result<(), ConfigError> {
        let valid = interval.is_none_or(|i| (Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&i));
        check(valid, "HB.interval", "1 ms to 1 day, or none")?;
        self.heartbeat_interval = interval;
        Ok(())
    }

    /// Path.Max.Retrans: how many answers in a row may be missing before the path counts as inactive.
    pub const fn path_max_retrans(&self) -> u16 {
        self.thresholds.path_max_retrans()
    }

    /// Sets Path.Max.Retrans. Zero gives a path up at the first loss.
    pub fn set_path_max_retrans(&mut self, limit: u16) {
        self.thresholds = self.thresholds.with_path_max_retrans(limit);
    }

    /// After how many missing answers the path is treated how.
    pub const fn thresholds(&self) -> PathThresholds {
        self.thresholds
    }

    /// Sets after how many missing answers the path is treated how. Low values leave a path that is only slow, high
    /// ones lose time on a dead one.
    pub const fn set_thresholds(&mut self, thresholds: PathThresholds) {
        self.thresholds = thresholds;
    }

    /// The largest IP packet, headers included, that is sent, in bytes.
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Sets the largest IP packet. Larger than the path carries means loss, or fragments.
    pub fn set_mtu(&mut self, mtu: u16) -> Result<(), ConfigError> {
        check(mtu >= Self::MIN_MTU, "MTU", "1280 to 65535 bytes")?;
        self.mtu = mtu;
        Ok(())
    }

    /// The peer's UDP port (RFC 6951 §5.1) to start with. `None` uses the stack's own port number on a stack with
    /// encapsulation. It follows the port that the peer is seen to use.
    pub const fn remote_encapsulation_port(&self) -> Option<u16> {
        self.remote_encapsulation_port
    }

    /// Sets the peer's UDP port to start with.
    pub const fn set_remote_encapsulation_port(&mut self, port: Option<u16>) {
        self.remote_encapsulation_port = port;
    }
}
