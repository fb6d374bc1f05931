//! Parameters of a stack and of its end points.

use std::net::IpAddr;
use std::time::Duration;

use super::{AssociationConfig, TagShare, check};
use crate::error::ConfigError;

/// What to do with out-of-the-blue packets (RFC 9260 §8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OotbPolicy {
    /// Answer as §8.4 says: right when the stack owns the whole port space (a UDP port, an address of its own).
    #[default]
    Answer,
    /// Stay silent: the ports are shared with other stacks, whose associations an answer would end. Only what is for an
    /// end point of this stack is answered.
    Silent,
}

/// How a stack behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackConfig {
    local_addresses: Vec<IpAddr>,
    encapsulation_port: Option<u16>,
    ootb_policy: OotbPolicy,
    ootb_answers_per_second: u32,
    valid_cookie_life: Duration,
    max_associations: usize,
    max_associations_per_peer: usize,
    tag_share: Option<TagShare>,
}

impl StackConfig {
    /// A stack on `local_addresses`, the addresses of the host that it may use.
    ///
    /// With an `encapsulation_port` it speaks SCTP in UDP (RFC 6951) from that port, without one SCTP on IP.
    pub fn new(local_addresses: Vec<IpAddr>, encapsulation_port: Option<u16>) -> Self {
        Self {
            local_addresses,
            encapsulation_port,
            ootb_policy: OotbPolicy::Answer,
            ootb_answers_per_second: 1000,
            valid_cookie_life: Duration::from_secs(60),
            max_associations: 1 << 20,
            max_associations_per_peer: 1 << 16,
            tag_share: None,
        }
    }

    /// The host's addresses that the stack may use.
    pub fn local_addresses(&self) -> &[IpAddr] {
        &self.local_addresses
    }

    /// The own UDP port for encapsulation; `None` for SCTP on IP.
    pub const fn encapsulation_port(&self) -> Option<u16> {
        self.encapsulation_port
    }

    /// What is done with out-of-the-blue packets.
    pub const fn ootb_policy(&self) -> OotbPolicy {
        self.ootb_policy
    }

    /// Sets what is done with out-of-the-blue packets.
    pub const fn set_ootb_policy(&mut self, policy: OotbPolicy) {
        self.ootb_policy = policy;
    }

    /// How many out-of-the-blue packets are answered a second, at most.
    pub const fn ootb_answers_per_second(&self) -> u32 {
        self.ootb_answers_per_second
    }

    /// Sets how many out-of-the-blue packets are answered a second, at most.
    pub const fn set_ootb_answers_per_second(&mut self, limit: u32) {
        self.ootb_answers_per_second = limit;
    }

    /// Valid.Cookie.Life (RFC 9260 §16: 60 s).
    pub const fn valid_cookie_life(&self) -> Duration {
        self.valid_cookie_life
    }

    /// Sets Valid.Cookie.Life. Too short refuses slow peers, too long lets old cookies be replayed.
    pub fn set_valid_cookie_life(&mut self, life: Duration) -> Result<(), ConfigError> {
        let valid = (Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&life);
        check(valid, "Valid.Cookie.Life", "100 ms to 1 hour")?;
        self.valid_cookie_life = life;
        Ok(())
    }

    /// How many associations the stack holds at most (default 1,048,576).
    pub const fn max_associations(&self) -> usize {
        self.max_associations
    }

    /// Sets how many associations the stack holds at most. A peer that wants one more is told that resources are
    /// exhausted, the user gets [`ConnectError::TooManyAssociations`](crate::error::ConnectError::TooManyAssociations).
    pub const fn set_max_associations(&mut self, limit: usize) {
        self.max_associations = limit;
    }

    /// How many of these one peer may have opened (default 65,536).
    pub const fn max_associations_per_peer(&self) -> usize {
        self.max_associations_per_peer
    }

    /// Sets how many associations one peer may open, so that it cannot keep all others out (RFC 9260 §12.2.4.3). They
    /// count for the address that the first packet of their set-up came from, IPv6 addresses of one /64 together, until
    /// they have ended and the user was told. What this side opens does not count.
    ///
    /// Too low refuses hosts behind one NAT, or in one IPv6 subnet, because of each other. Zero refuses everybody.
    pub const fn set_max_associations_per_peer(&mut self, limit: usize) {
        self.max_associations_per_peer = limit;
    }

    /// Which verification tags the stack draws; `None` for all.
    pub const fn tag_share(&self) -> Option<TagShare> {
        self.tag_share
    }

    /// Has the stack draw verification tags of this share only, as one of several stacks on the same addresses and UDP
    /// port (none by default). Drawing takes as many attempts as there are shares, on average.
    pub const fn set_tag_share(&mut self, share: Option<TagShare>) {
        self.tag_share = share;
    }
}

/// What an end point is bound to, and how its associations start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointConfig {
    /// The SCTP port; `None` draws a free one from 49152 to 65535.
    pub port: Option<u16>,
    /// The own addresses it uses; empty for all that the stack has at the time, 0.0.0.0 alone for those of IPv4.
    pub addresses: Vec<IpAddr>,
    /// Shares its port with other end points that say so too (SCTP_REUSE_PORT, RFC 6458 §8.1.27). At most one of them
    /// can [listen](crate::Stack::listen), and no two have an association with the same peer.
    pub reuse_port: bool,
    /// What new associations start with.
    pub association: AssociationConfig,
}
