//! Parameters of one association (RFC 9260 §16).

use std::time::Duration;

use super::{
    AsconfConfig, AuthConfig, InterleavingConfig, PathConfig, ReconfigConfig, SendingConfig, StreamScheduler, check,
};
use crate::error::ConfigError;
use crate::wire::ErrorDetectionMethod;

/// How the congestion window of a path grows and shrinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum CongestionControl {
    /// As RFC 9260 §7.2 says.
    #[default]
    Rfc9260,
    /// CUBIC (RFC 9438) with HyStart++ (RFC 9406), shrinking by what stood in queues: fills long links, and links that
    /// lose at random. On a bottleneck with a small buffer it takes more than its share from others.
    Cubic,
}

/// How an association behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssociationConfig {
    rto_initial: Duration,
    rto_min: Duration,
    rto_max: Duration,
    max_burst: u16,
    congestion_control: CongestionControl,
    association_max_retrans: u16,
    max_init_retransmits: u16,
    max_init_timeout: Option<Duration>,
    cookie_life: Option<Duration>,
    sack_delay: Duration,
    sack_frequency: u8,
    outbound_streams: u16,
    max_inbound_streams: u16,
    receive_buffer: u32,
    send_buffer: u32,
    sending: SendingConfig,
    partial_delivery_point: Option<u32>,
    partial_reliability: bool,
    asconf: AsconfConfig,
    adaptation_indication: Option<u32>,
    zero_checksum: Option<ErrorDetectionMethod>,
    expose_potentially_failed: bool,
    auth: AuthConfig,
    stream_scheduler: StreamScheduler,
    interleaving: InterleavingConfig,
    reconfig: ReconfigConfig,
    autoclose: Option<Duration>,
    ecn: bool,
    path: PathConfig,
}

impl Default for AssociationConfig {
    /// RFC 9260 §16: RTO.Initial 1 s, RTO.Min 1 s, RTO.Max 60 s, Max.Burst 4, Association.Max.Retrans 10,
    /// Max.Init.Retransmits 8, SACK delay 200 ms and every second packet (§6.2).
    fn default() -> Self {
        Self {
            rto_initial: Duration::from_secs(1),
            rto_min: Duration::from_secs(1),
            rto_max: Duration::from_secs(60),
            max_burst: 4,
            congestion_control: CongestionControl::Rfc9260,
            association_max_retrans: 10,
            max_init_retransmits: 8,
            max_init_timeout: None,
            cookie_life: None,
            sack_delay: Duration::from_millis(200),
            sack_frequency: 2,
            outbound_streams: 10,
            max_inbound_streams: 2048,
            receive_buffer: 1 << 20,
            send_buffer: 1 << 20,
            sending: SendingConfig::default(),
            partial_delivery_point: None,
            partial_reliability: true,
            asconf: AsconfConfig::default(),
            adaptation_indication: None,
            zero_checksum: None,
            expose_potentially_failed: true,
            auth: AuthConfig::default(),
            stream_scheduler: StreamScheduler::default(),
            interleaving: InterleavingConfig::default(),
            reconfig: ReconfigConfig::default(),
            autoclose: None,
            ecn: true,
            path: PathConfig::default(),
        }
    }
}

impl AssociationConfig {
    /// RTO.Initial.
    pub const fn rto_initial(&self) -> Duration {
        self.rto_initial
    }

    /// RTO.Min.
    pub const fn rto_min(&self) -> Duration {
        self.rto_min
    }

    /// RTO.Max.
    pub const fn rto_max(&self) -> Duration {
        self.rto_max
    }

    /// Sets RTO.Initial, RTO.Min and RTO.Max together, since they bound each other. A small minimum retransmits what
    /// was only delayed (a peer may delay its SACK by 200 ms); a large maximum finds a repaired path late.
    pub fn set_rto(&mut self, initial: Duration, min: Duration, max: Duration) -> Result<(), ConfigError> {
        let valid =
            Duration::from_millis(1) <= min && min <= initial && initial <= max && max <= Duration::from_secs(600);
        check(valid, "RTO", "1 ms <= RTO.Min <= RTO.Initial <= RTO.Max <= 600 s")?;
        (self.rto_initial, self.rto_min, self.rto_max) = (initial, min, max);
        Ok(())
    }

    /// Max.Burst: how many packets may be sent at once when a SACK opens the window.
    pub const fn max_burst(&self) -> u16 {
        self.max_burst
    }

    /// Sets Max.Burst; zero switches the limit off.
    pub const fn set_max_burst(&mut self, packets: u16) {
        self.max_burst = packets;
    }

    /// How the congestion windows grow and shrink.
    pub const fn congestion_control(&self) -> CongestionControl {
        self.congestion_control
    }

    /// Sets how the congestion windows grow and shrink.
    pub const fn set_congestion_control(&mut self, algorithm: CongestionControl) {
        self.congestion_control = algorithm;
    }

    /// Association.Max.Retrans: how many answers in a row may be missing, over all paths, before the association is
    /// given up.
    pub const fn association_max_retrans(&self) -> u16 {
        self.association_max_retrans
    }

    /// Sets Association.Max.Retrans. It should not exceed the sum of Path.Max.Retrans over the paths (RFC 9260 §8.2).
    pub const fn set_association_max_retrans(&mut self, limit: u16) {
        self.association_max_retrans = limit;
    }

    /// Max.Init.Retransmits: how often an INIT or COOKIE ECHO is repeated.
    pub const fn max_init_retransmits(&self) -> u16 {
        self.max_init_retransmits
    }

    /// Sets Max.Init.Retransmits.
    pub const fn set_max_init_retransmits(&mut self, limit: u16) {
        self.max_init_retransmits = limit;
    }

    /// How long an INIT or COOKIE ECHO waits for its answer at most; `None` for RTO.Max.
    pub const fn max_init_timeout(&self) -> Option<Duration> {
        self.max_init_timeout
    }

    /// Sets how long an INIT or COOKIE ECHO waits for its answer at most, in place of RTO.Max (sinit_max_init_timeo,
    /// RFC 6458 §8.1.3): 1 ms to 600 s. Short ones give a slow peer up early.
    pub fn set_max_init_timeout(&mut self, limit: Option<Duration>) -> Result<(), ConfigError> {
        let bounds = Duration::from_millis(1)..=Duration::from_secs(600);
        check(
            limit.is_none_or(|limit| bounds.contains(&limit)),
            "largest INIT time-out",
            "1 ms to 600 s",
        )?;
        self.max_init_timeout = limit;
        Ok(())
    }

    /// How long the State Cookies of a listening end point may be used; `None` for what the stack says
    /// ([`StackConfig::valid_cookie_life`](super::StackConfig::valid_cookie_life)).
    pub const fn cookie_life(&self) -> Option<Duration> {
        self.cookie_life
    }

    /// Sets how long the State Cookies of a listening end point may be used, those made from now on
    /// (sasoc_cookie_life, RFC 6458 §8.1.2): 100 ms to 1 hour. It has no meaning for an association that exists.
    pub fn set_cookie_life(&mut self, life: Option<Duration>) -> Result<(), ConfigError> {
        let bounds = Duration::from_millis(100)..=Duration::from_secs(3600);
        check(
            life.is_none_or(|life| bounds.contains(&life)),
            "Valid.Cookie.Life",
            "100 ms to 1 hour",
        )?;
        self.cookie_life = life;
        Ok(())
    }

    /// How long an acknowledgement may wait.
    pub const fn sack_delay(&self) -> Duration {
        self.sack_delay
    }

    /// Sets how long an acknowledgement may wait. RFC 9260 §6.2 allows at most 500 ms.
    pub fn set_sack_delay(&mut self, delay: Duration) -> Result<(), ConfigError> {
        check(delay <= Duration::from_millis(500), "SACK delay", "0 to 500 ms")?;
        self.sack_delay = delay;
        Ok(())
    }

    /// After how many packets with data an acknowledgement is sent at once.
    pub const fn sack_frequency(&self) -> u8 {
        self.sack_frequency
    }

    /// Sets after how many packets with data an acknowledgement is sent at once; RFC 9260 §6.2 says two.
    pub fn set_sack_frequency(&mut self, packets: u8) -> Result<(), ConfigError> {
        check(packets >= 1, "SACK frequency", "1 to 255 packets")?;
        self.sack_frequency = packets;
        Ok(())
    }

    /// How many outbound streams are asked for.
    pub const fn outbound_streams(&self) -> u16 {
        self.outbound_streams
    }

    /// Sets how many outbound streams are asked for.
    pub fn set_outbound_streams(&mut self, streams: u16) -> Result<(), ConfigError> {
        check(streams >= 1, "outbound streams", "1 to 65535")?;
        self.outbound_streams = streams;
        Ok(())
    }

    /// How many inbound streams are accepted.
    pub const fn max_inbound_streams(&self) -> u16 {
        self.max_inbound_streams
    }

    /// Sets how many inbound streams are accepted.
    pub fn set_max_inbound_streams(&mut self, streams: u16) -> Result<(), ConfigError> {
        check(streams >= 1, "maximum inbound streams", "1 to 65535")?;
        self.max_inbound_streams = streams;
        Ok(())
    }

    /// The receive buffer, and so the largest window that is advertised, in bytes of user data.
    pub const fn receive_buffer(&self) -> u32 {
        self.receive_buffer
    }

    /// Sets the receive buffer. RFC 9260 §3.3.2 forbids windows below 1500 bytes.
    pub fn set_receive_buffer(&mut self, bytes: u32) -> Result<(), ConfigError> {
        check(
            (1500..=1 << 30).contains(&bytes),
            "receive buffer",
            "1500 bytes to 1 GiB",
        )?;
        self.receive_buffer = bytes;
        Ok(())
    }

    /// The send buffer: how many bytes of user data may be queued or unacknowledged.
    pub const fn send_buffer(&self) -> u32 {
        self.send_buffer
    }

    /// Sets the send buffer. It is also the largest message that can be sent.
    pub fn set_send_buffer(&mut self, bytes: u32) -> Result<(), ConfigError> {
        check((1500..=1 << 30).contains(&bytes), "send buffer", "1500 bytes to 1 GiB")?;
        self.send_buffer = bytes;
        Ok(())
    }

    /// How messages are cut and bundled.
    pub const fn sending(&self) -> &SendingConfig {
        &self.sending
    }

    /// How messages are cut and bundled, to be changed.
    pub const fn sending_mut(&mut self) -> &mut SendingConfig {
        &mut self.sending
    }

    /// From how many bytes on an incomplete message is delivered in pieces; `None` for half of the receive buffer.
    pub const fn partial_delivery_point(&self) -> Option<u32> {
        self.partial_delivery_point
    }

    /// Sets from how many bytes on an incomplete message is delivered in pieces (RFC 6458 §8.1.21); half of the receive
    /// buffer is the most that has an effect. What a fragment costs the receive buffer counts, a little more than its
    /// bytes. Small values make pieces of messages that would soon be whole.
    pub fn set_partial_delivery_point(&mut self, bytes: Option<u32>) -> Result<(), ConfigError> {
        check(
            bytes.is_none_or(|bytes| bytes <= self.receive_buffer),
            "partial delivery point",
            "at most the receive buffer",
        )?;
        self.partial_delivery_point = bytes;
        Ok(())
    }

    /// Whether partial reliability (RFC 3758) is offered to the peer.
    pub const fn partial_reliability(&self) -> bool {
        self.partial_reliability
    }

    /// Sets whether partial reliability is offered to the peer. Without it every message is sent reliably, whatever
    /// its [`Reliability`](crate::Reliability), and the peer cannot skip messages either.
    pub const fn set_partial_reliability(&mut self, offered: bool) {
        self.partial_reliability = offered;
    }

    /// Whether Explicit Congestion Notification (RFC 3168) is offered to the peer; it is by default.
    pub const fn ecn(&self) -> bool {
        self.ecn
    }

    /// Sets whether Explicit Congestion Notification is offered to the peer. Where both sides do, routers may mark
    /// packets in place of dropping them, and the sender slows down without having to send anything again. Without it,
    /// congestion is noticed by losses only. Packets that ask for marks and never arrive do not harm: a path on which
    /// the first of them are lost goes without.
    pub const fn set_ecn(&mut self, offered: bool) {
        self.ecn = offered;
    }

    /// How what carries the packets guards them, so that they may go without a CRC32c (RFC 9653).
    pub const fn zero_checksum(&self) -> Option<ErrorDetectionMethod> {
        self.zero_checksum
    }

    /// Sets how what carries the packets guards them (RFC 9653 §5.1): the method is announced to the peer, whose
    /// packets then may come with a checksum of zero; if the peer announces the same one, packets leave with zero. Only
    /// who knows that every packet of the association goes over such a carrier ([`ErrorDetectionMethod::DTLS`]: inside
    /// of DTLS) may set it: what is damaged on the way is not found otherwise. `None`, the default, uses the CRC32c.
    pub const fn set_zero_checksum(&mut self, method: Option<ErrorDetectionMethod>) {
        self.zero_checksum = method;
    }

    /// Whether the user sees that a path is potentially failed (RFC 7829 §3.2 rule 12, §7.3).
    pub const fn expose_potentially_failed(&self) -> bool {
        self.expose_potentially_failed
    }

    /// Sets whether the user sees that a path is potentially failed. Otherwise such a path is shown as active, and no
    /// event tells that it becomes or ceases to be so.
    pub const fn set_expose_potentially_failed(&mut self, exposed: bool) {
        self.expose_potentially_failed = exposed;
    }

    /// Which chunks are authenticated, and how (RFC 4895).
    pub const fn auth(&self) -> &AuthConfig {
        &self.auth
    }

    /// Which chunks are authenticated, and how, to be changed.
    pub const fn auth_mut(&mut self) -> &mut AuthConfig {
        &mut self.auth
    }

    /// In which order the messages of different streams are sent.
    pub const fn stream_scheduler(&self) -> StreamScheduler {
        self.stream_scheduler
    }

    /// Sets in which order the messages of different streams are sent (RFC 8260 §3).
    pub const fn set_stream_scheduler(&mut self, scheduler: StreamScheduler) {
        self.stream_scheduler = scheduler;
    }

    /// User message interleaving (RFC 8260).
    pub const fn interleaving(&self) -> &InterleavingConfig {
        &self.interleaving
    }

    /// User message interleaving, to be changed.
    pub const fn interleaving_mut(&mut self) -> &mut InterleavingConfig {
        &mut self.interleaving
    }

    /// Stream re-configuration (RFC 6525).
    pub const fn reconfig(&self) -> &ReconfigConfig {
        &self.reconfig
    }

    /// Stream re-configuration, to be changed.
    pub const fn reconfig_mut(&mut self) -> &mut ReconfigConfig {
        &mut self.reconfig
    }

    /// After how long without user data in either direction the association is shut down; `None` for never.
    pub const fn autoclose(&self) -> Option<Duration> {
        self.autoclose
    }

    /// Sets after how long without user data in either direction the association is shut down gracefully (RFC 6458
    /// §8.1.8). Meant for end points with many associations that nobody closes.
    pub fn set_autoclose(&mut self, idle: Option<Duration>) -> Result<(), ConfigError> {
        let valid =
            idle.is_none_or(|idle| (Duration::from_millis(1)..=Duration::from_secs(u32::MAX.into())).contains(&idle));
        check(valid, "autoclose", "1 ms to 2^32 - 1 s, or none")?;
        self.autoclose = idle;
        Ok(())
    }

    /// Whether and how addresses may change while the association is open (RFC 5061).
    pub const fn asconf(&self) -> &AsconfConfig {
        &self.asconf
    }

    /// Whether and how addresses may change while the association is open, to be changed.
    pub const fn asconf_mut(&mut self) -> &mut AsconfConfig {
        &mut self.asconf
    }

    /// The Adaptation Code point that INIT and INIT ACK carry.
    pub const fn adaptation_indication(&self) -> Option<u32> {
        self.adaptation_indication
    }

    /// Sets the Adaptation Code point that INIT and INIT ACK carry for the peer's upper layer (RFC 5061 §4.2.6), which
    /// gets it as [`Event::AdaptationIndication`](crate::Event::AdaptationIndication).
    pub const fn set_adaptation_indication(&mut self, code_point: Option<u32>) {
        self.adaptation_indication = code_point;
    }

    /// What new paths start with.
    pub const fn path(&self) -> &PathConfig {
        &self.path
    }

    /// Whether an association that exists can go over to `next`: it differs in nothing that the set-up has fixed.
    pub(crate) fn may_become(&self, next: &Self) -> bool {
        let mut live = Self {
            rto_initial: next.rto_initial,
            rto_min: next.rto_min,
            rto_max: next.rto_max,
            max_burst: next.max_burst,
            association_max_retrans: next.association_max_retrans,
            max_init_retransmits: next.max_init_retransmits,
            max_init_timeout: next.max_init_timeout,
            cookie_life: next.cookie_life,
            sack_delay: next.sack_delay,
            sack_frequency: next.sack_frequency,
            receive_buffer: next.receive_buffer,
            send_buffer: next.send_buffer,
            sending: next.sending,
            partial_delivery_point: next.partial_delivery_point,
            expose_potentially_failed: next.expose_potentially_failed,
            stream_scheduler: next.stream_scheduler,
            autoclose: next.autoclose,
            path: next.path,
            ..self.clone()
        };
        live.reconfig.set_accepted(next.reconfig.accepted());
        live.asconf.follow(&next.asconf);
        live == *next
    }

    /// What new paths start with, to be changed.
    pub const fn path_mut(&mut self) -> &mut PathConfig {
        &mut self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9260_16_defaults_are_the_recommended_values() {
        let config = AssociationConfig::default();
        assert_eq!(config.rto_initial(), Duration::from_secs(1));
        assert_eq!(config.rto_min(), Duration::from_secs(1));
        assert_eq!(config.rto_max(), Duration::from_secs(60));
        assert_eq!(config.max_burst(), 4);
        assert_eq!(config.association_max_retrans(), 10);
        assert_eq!(config.path().path_max_retrans(), 5);
        assert_eq!(config.max_init_retransmits(), 8);
        assert_eq!(config.path().heartbeat_interval(), Some(Duration::from_secs(30)));
        assert_eq!(config.sack_delay(), Duration::from_millis(200));
        assert_eq!(config.sack_frequency(), 2);
    }

    #[test]
    fn a_refused_value_changes_nothing() {
        let mut config = AssociationConfig::default();
        let second = Duration::from_secs(1);
        assert!(config.set_rto(second, 2 * second, 3 * second).is_err());
        assert!(config.set_sack_delay(Duration::from_millis(501)).is_err());
        assert!(config.set_sack_frequency(0).is_err());
        assert!(config.set_outbound_streams(0).is_err());
        assert!(config.set_receive_buffer(1499).is_err());
        assert!(config.path_mut().set_mtu(1279).is_err());
        assert_eq!(config, AssociationConfig::default());
    }
}
