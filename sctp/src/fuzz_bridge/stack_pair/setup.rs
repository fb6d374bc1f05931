//! What a pair is to be.

use std::net::IpAddr;
use std::time::Duration;

use super::Choices;
use crate::config::{
    AssociationConfig, CongestionControl, EndpointConfig, PathThresholds, ReconfigRequests, StackConfig,
    StreamScheduler,
};
use crate::error::ConfigError;
use crate::serial::SharedKeyId;
use crate::wire::{ChunkType, ErrorDetectionMethod};

/// How many links there are at most, with an address of each side on each.
pub(super) const LINKS: usize = 2;

/// The UDP port of both sides, where there is one.
const UDP_PORT: u16 = 9899;

/// The address of a side on a link.
pub(super) fn address(side: usize, link: usize) -> IpAddr {
    [10, link as u8, 0, side as u8 + 1].into()
}

/// The SCTP port of a side.
pub(super) fn port(side: usize) -> u16 {
    5000 + side as u16
}

/// What both sides are.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// Whether packets are changed by somebody who can compute checksums.
    pub(super) hostile: bool,
    links: usize,
    encapsulated: bool,
    /// The largest IP packet that the links carry.
    pub(super) mtu: usize,
    associations: [AssociationConfig; 2],
}

impl Setup {
    pub(super) fn read(choices: &mut Choices<'_>) -> Self {
        let first = choices.u8();
        Self {
            hostile: first & 0xc0 == 0xc0,
            links: 1 + usize::from(first & 1),
            encapsulated: first & 2 != 0,
            mtu: if first & 16 == 0 { 65_535 } else { 1400 },
            associations: [0, 1].map(|_| association(first, choices)),
        }
    }

    pub(super) fn stack(&self, side: usize) -> StackConfig {
        let addresses = (0..self.links).map(|link| address(side, link)).collect();
        StackConfig::new(addresses, self.encapsulated.then_some(UDP_PORT))
    }

    pub(super) fn endpoint(&self, side: usize) -> EndpointConfig {
        EndpointConfig {
            port: Some(port(side)),
            association: self.associations[side].clone(),
            ..EndpointConfig::default()
        }
    }

    /// The addresses of a side.
    pub(super) fn addresses(&self, side: usize) -> Vec<IpAddr> {
        (0..self.links).map(|link| address(side, link)).collect()
    }

    pub(super) const fn config(&self, side: usize) -> &AssociationConfig {
        &self.associations[side]
    }
}

fn association(both: u8, choices: &mut Choices<'_>) -> AssociationConfig {
    let mut config = AssociationConfig::default();
    base(&mut config, choices).expect("values in range");
    extensions(&mut config, both, choices).expect("values in range");
    config
}

fn base(config: &mut AssociationConfig, choices: &mut Choices<'_>) -> Result<(), ConfigError> {
    let (sizes, ways) = (choices.u8(), choices.u8());
    config.set_receive_buffer([1500, 5000, 65_536, 1 << 20][usize::from(sizes & 3)])?;
    config.set_send_buffer([1500, 5000, 65_536, 20_000][usize::from(sizes >> 2 & 3)])?;
    config.set_outbound_streams([1, 2, 5, 10][usize::from(sizes >> 4 & 3)])?;
    config.set_max_inbound_streams([1, 3, 10, 2048][usize::from(sizes >> 6)])?;
    config.set_sack_frequency(1 + ways / 4 % 3)?;
    config.set_sack_delay(Duration::from_millis(100 * u64::from(ways >> 4 & 3)))?;
    config.set_partial_reliability(ways & 1 == 0);
    if ways & 2 != 0 {
        config.set_congestion_control(CongestionControl::Cubic);
    }
    let limit = u16::from(ways >> 6);
    let potentially_failed = (ways & 4 != 0).then_some(limit / 2);
    let switchover = (ways & 8 != 0).then_some(limit);
    config
        .path_mut()
        .set_thresholds(PathThresholds::new(limit, potentially_failed, switchover)?);
    Ok(())
}

/// `both` says what both sides have.
fn extensions(config: &mut AssociationConfig, both: u8, choices: &mut Choices<'_>) -> Result<(), ConfigError> {
    let offers = choices.u8();
    config.interleaving_mut().set_offered(offers & 1 != 0);
    config.set_stream_scheduler(SCHEDULERS[usize::from(offers >> 1 & 7) % SCHEDULERS.len()]);
    config.set_ecn(offers & 12 != 12);
    config.reconfig_mut().set_offered(offers & 0x10 == 0);
    config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    config.reconfig_mut().set_max_outbound_streams(12)?;
    config.set_zero_checksum((offers & 0x20 != 0).then_some(ErrorDetectionMethod::DTLS));
    let auth = both & 4 != 0;
    if both & 8 != 0 {
        config.asconf_mut().set_offered(true);
        config.asconf_mut().set_authentication_required(auth);
    }
    if both & 32 != 0 {
        config.path_mut().set_mtu_discovery(None)?;
    }
    if auth {
        config.auth_mut().set_enabled(true);
        // Both sides know all keys: what one of them cannot check would never arrive.
        for key in 1..4 {
            config.auth_mut().keys_mut().set(SharedKeyId(key), &[key as u8; 16]);
        }
        if offers & 0x40 != 0 {
            config.auth_mut().require(ChunkType::DATA)?;
        }
        if offers & 0x80 != 0 {
            config.auth_mut().require(ChunkType::RE_CONFIG)?;
        }
    }
    Ok(())
}

pub(super) const SCHEDULERS: [StreamScheduler; 6] = [
    StreamScheduler::FirstComeFirstServed,
    StreamScheduler::RoundRobin,
    StreamScheduler::RoundRobinPerPacket,
    StreamScheduler::Priority,
    StreamScheduler::FairCapacity,
    StreamScheduler::WeightedFairQueueing,
];
