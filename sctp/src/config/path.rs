//! Parameters of one path (RFC 9260 §16).

use std::time::Duration;

use super::{FlowLabel, Marks, PathThresholds, check};
use crate::error::ConfigError;

/// How a path behaves. New paths of an association start with the association's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathConfig {
    heartbeat_interval: Option<Duration>,
    thresholds: PathThresholds,
    mtu: u16,
    max_mtu: Option<u16>,
    remote_encapsulation_port: Option<u16>,
    marks: Marks,
}

impl Default for PathConfig {
    /// RFC 9260 §16: HB.interval 30 s, Path.Max.Retrans 5; RFC 7829 §6: PotentiallyFailed.Max.Retrans 0. The MTU is at
    /// first what every IPv6 link carries (1280), and larger ones are searched up to 65535 (RFC 8899).
    fn default() -> Self {
        Self {
            heartbeat_interval: Some(Duration::from_secs(30)),
            thresholds: PathThresholds::default(),
            mtu: Self::MIN_MTU,
            max_mtu: Some(u16::MAX),
            remote_encapsulation_port: None,
            marks: Marks::default(),
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

    /// The size of IP packets, headers included, to start with, in bytes: BASE_PLPMTU of RFC 8899 §5.1.2. Without path
    /// MTU discovery none is larger.
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Sets the size of IP packets, and [switches discovery off](Self::set_mtu_discovery). Larger than the path carries
    /// means fragments (RFC 9260 §6.9), or loss.
    pub fn set_mtu(&mut self, mtu: u16) -> Result<(), ConfigError> {
        check(mtu >= Self::MIN_MTU, "MTU", "1280 to 65535 bytes")?;
        (self.mtu, self.max_mtu) = (mtu, None);
        Ok(())
    }

    /// The largest IP packet, headers included, that path MTU discovery tries (RFC 8899 §5.1.2); `None` while it is
    /// off.
    pub const fn mtu_discovery(&self) -> Option<u16> {
        self.max_mtu
    }

    /// Has larger packets than [`mtu`](Self::mtu) tried, up to this size (RFC 8899); `None` has not. A limit spares
    /// probes where it is known that no more is carried.
    pub fn set_mtu_discovery(&mut self, max: Option<u16>) -> Result<(), ConfigError> {
        check(
            max.is_none_or(|max| max >= self.mtu),
            "largest MTU",
            "the MTU to start with, to 65535 bytes",
        )?;
        self.max_mtu = max;
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

    /// The Differentiated Services Code Point of packets to the address, 0 to 63 (RFC 9260 §7.2.5.1). By default zero,
    /// best effort.
    pub const fn dscp(&self) -> u8 {
        self.marks.dscp()
    }

    /// Sets the Differentiated Services Code Point (`spp_dscp` of RFC 6458 §8.1.12, which has it in its six high bits).
    /// A change on a path that is in use starts congestion control anew.
    pub fn set_dscp(&mut self, dscp: u8) -> Result<(), ConfigError> {
        self.marks = self.marks.with_dscp(dscp)?;
        Ok(())
    }

    /// The flow label of IPv6 packets to the address. By default none; packets of IPv4 never have any.
    pub const fn flow_label(&self) -> FlowLabel {
        self.marks.flow_label()
    }

    /// Sets the flow label (`spp_ipv6_flowlabel` of RFC 6458 §8.1.12). Routers may take another way for another label.
    pub const fn set_flow_label(&mut self, label: FlowLabel) {
        self.marks = self.marks.with_flow_label(label);
    }

    /// The code point and the flow label.
    pub const fn marks(&self) -> Marks {
        self.marks
    }
}
