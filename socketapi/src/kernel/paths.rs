//! Options of paths: heartbeats, MTU, marks, thresholds and UDP port (RFC 6458 §8.1.12, RFC 7829 §7.2, RFC 6951 §6.1).

use std::net::IpAddr;
use std::time::Duration;

use super::abi::{self, PaddrParams, PaddrThresholds, UdpEncaps};
use super::core::Core;
use super::{errno, send};
use crate::{Error, FlowLabel, PathConfig, PathThresholds, Result};

/// A threshold that is never reached: none.
const NEVER: u16 = u16::MAX;

/// The settings of the path to an address, or what new paths start with.
pub(crate) fn read(core: &Core, id: Option<i32>, address: Option<IpAddr>) -> Result<PathConfig> {
    let assoc = id.unwrap_or(abi::FUTURE_ASSOC);
    let storage = core.path_storage(id, address)?;
    let request = PaddrParams {
        assoc,
        address: storage,
        ..PaddrParams::default()
    };
    let failed = |error: std::io::Error| errno::of_association("reading the settings of a path", &error);
    let params = core.get(abi::SCTP_PEER_ADDR_PARAMS, request)?.map_err(failed)?;
    let thresholds = core.thresholds(assoc, storage)?;
    let request = UdpEncaps {
        assoc,
        address: storage,
        port: 0,
    };
    let encapsulation = core.get(abi::SCTP_REMOTE_UDP_ENCAPS_PORT, request)?.map_err(failed)?;

    let mut path = PathConfig::default();
    let interval = Duration::from_millis(params.hb_interval.into());
    let beats = params.flags & abi::SPP_HB_ENABLE != 0;
    // A value that this library would refuse stays at its default.
    let _ = path.set_heartbeat_interval(beats.then(|| interval.max(Duration::from_millis(1))));
    if params.flags & abi::SPP_PMTUD_DISABLE != 0 {
        let mtu = u16::try_from(params.path_mtu).unwrap_or(u16::MAX);
        let _ = path.set_mtu(mtu.max(PathConfig::MIN_MTU));
    }
    if params.flags & abi::SPP_DSCP != 0 {
        let _ = path.set_dscp(params.dscp >> 2);
    }
    if params.flags & abi::SPP_IPV6_FLOWLABEL != 0 {
        path.set_flow_label(FlowLabel::new(params.flow_label).unwrap_or_default());
    }
    let limit = |value: u16| (value != NEVER).then_some(value);
    let thresholds = PathThresholds::new(
        thresholds.path_max_rxt,
        limit(thresholds.potentially_failed),
        limit(thresholds.primary_switchover),
    );
    path.set_thresholds(thresholds.unwrap_or_default());
    let port = u16::from_be(encapsulation.port);
    path.set_remote_encapsulation_port((port != 0).then_some(port));
    Ok(path)
}

/// Changes what differs.
pub(crate) fn apply(
    core: &Core,
    id: Option<i32>,
    address: Option<IpAddr>,
    have: &PathConfig,
    want: &PathConfig,
) -> Result<()> {
    let assoc = id.unwrap_or(abi::FUTURE_ASSOC);
    let storage = core.path_storage(id, address)?;
    let failed = |error: std::io::Error| errno::general("changing the settings of a path", &error);
    let mut params = PaddrParams {
        assoc,
        address: storage,
        ..PaddrParams::default()
    };
    if want.heartbeat_interval() != have.heartbeat_interval() {
        match want.heartbeat_interval() {
            None => params.flags |= abi::SPP_HB_DISABLE,
            Some(interval) => {
                params.flags |= abi::SPP_HB_ENABLE;
                params.hb_interval = send::milliseconds(interval);
            }
        }
    }
    if want.mtu() != have.mtu() || want.mtu_discovery() != have.mtu_discovery() {
        match want.mtu_discovery() {
            None => {
                params.flags |= abi::SPP_PMTUD_DISABLE;
                params.path_mtu = want.mtu().into();
            }
            Some(u16::MAX) if want.mtu() == PathConfig::default().mtu() => params.flags |= abi::SPP_PMTUD_ENABLE,
            Some(_) => return Err(Error::Unsupported("bounds of the kernel's path MTU discovery")),
        }
    }
    if want.dscp() != have.dscp() {
        params.flags |= abi::SPP_DSCP;
        params.dscp = want.dscp() << 2;
    }
    if want.flow_label() != have.flow_label() {
        params.flags |= abi::SPP_IPV6_FLOWLABEL;
        params.flow_label = want.flow_label().get();
    }
    if params.flags != 0 {
        core.set(abi::SCTP_PEER_ADDR_PARAMS, params)?.map_err(failed)?;
    }
    if want.thresholds() != have.thresholds() {
        let thresholds = want.thresholds();
        let switchover = thresholds.primary_switchover().unwrap_or(NEVER);
        let value = PaddrThresholds {
            assoc,
            address: storage,
            path_max_rxt: thresholds.path_max_retrans(),
            // The kernel insists on an order of the two.
            potentially_failed: thresholds.potentially_failed().unwrap_or(switchover),
            primary_switchover: switchover,
        };
        core.set(abi::SCTP_PEER_ADDR_THLDS_V2, value)?.map_err(failed)?;
    }
    if want.remote_encapsulation_port() != have.remote_encapsulation_port() {
        let value = UdpEncaps {
            assoc,
            address: storage,
            port: want.remote_encapsulation_port().unwrap_or(0).to_be(),
        };
        core.set(abi::SCTP_REMOTE_UDP_ENCAPS_PORT, value)?.map_err(failed)?;
    }
    Ok(())
}
