//! Whether a stack shares its UDP port with other processes.

use std::env;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use sctp::{IcmpReport, RxMeta};

use super::device::{DEFAULT_UDP_PORT, Device, DeviceConfig, Trouble, UdpDevice};
use super::port::{Local, SharedPort};
use super::shard::Shard;
use super::workers::Workers;
use crate::{Error, Result};

/// The most workers of a stack.
const MAX_WORKERS: u16 = 256;

/// Opens devices for several workers.
pub(super) fn open_for(
    workers: &Workers,
    config: &DeviceConfig,
    addresses: &[IpAddr],
    udp_port: Option<u16>,
    share: Option<bool>,
) -> Result<Vec<Device>> {
    if *config != DeviceConfig::Udp {
        return Err(Error::Unsupported("only UDP can have several workers"));
    }
    if share == Some(true) {
        return Err(Error::Unsupported("a shared UDP port cannot have several workers"));
    }
    let tags = workers.share(0);
    if tags.shares() > MAX_WORKERS {
        return Err(Error::Unsupported("a stack has at most 256 workers"));
    }
    let devices = UdpDevice::bind_shares(addresses, udp_port.unwrap_or(DEFAULT_UDP_PORT), &tags)?;
    Ok(devices.into_iter().map(|udp| Device::Udp(Arc::new(udp))).collect())
}

/// A device, and the place on its UDP port if that is shared.
pub(super) type Place = (Device, Option<SharedPort>);

/// What the environment says about it.
pub(super) fn from_environment() -> Result<Option<bool>> {
    match env::var("SCTP_SHARE_UDP_PORT").as_deref() {
        Ok("yes") => Ok(Some(true)),
        Ok("no") => Ok(Some(false)),
        Ok(_) => Err(Error::Unsupported("SCTP_SHARE_UDP_PORT is neither `yes` nor `no`")),
        Err(_) => Ok(None),
    }
}

/// Opens a device on `addresses`, or on all addresses if there are none. Its UDP port is shared if `share` says so;
/// without a word about it if it is the port of SCTP in UDP and on all addresses, or has been shared by others and
/// cannot be had otherwise.
pub(super) fn open(
    config: &DeviceConfig,
    addresses: &[IpAddr],
    udp_port: Option<u16>,
    share: Option<bool>,
) -> Result<Place> {
    if *config != DeviceConfig::Udp {
        let device = Device::open(config, addresses, udp_port)?;
        let port = match &device {
            Device::Raw(raw) => SharedPort::raw(raw)?,
            _ => None,
        };
        return Ok((device, port));
    }
    let udp_port = udp_port.unwrap_or(DEFAULT_UDP_PORT);
    let usual = cfg!(target_os = "linux") && udp_port == DEFAULT_UDP_PORT;
    if share.unwrap_or(usual && addresses.is_empty()) {
        for address in addresses {
            // The shared sockets are on all addresses, and would not find it out.
            let probe = UdpSocket::bind(SocketAddr::new(*address, 0));
            probe.map_err(|_| Error::AddressNotAvailable)?;
        }
        return place(SharedPort::open(udp_port)?);
    }
    match Device::open(config, addresses, Some(udp_port)) {
        Err(error @ Error::UdpPortInUse { .. }) if share.is_none() && usual => {
            SharedPort::join(udp_port)?.map_or(Err(error), place)
        }
        outcome => Ok((outcome?, None)),
    }
}

fn place(port: SharedPort) -> Result<Place> {
    let udp = port.udp().ok_or(Error::StackStopped)?;
    Ok((Device::Udp(Arc::clone(udp)), Some(port)))
}

impl Local for Weak<Shard> {
    fn ingest(&self, datagrams: impl Iterator<Item = (RxMeta, Bytes)>) -> bool {
        let shard = self.upgrade();
        if let Some(shard) = &shard {
            shard.ingest_for_driver(datagrams);
        }
        shard.is_some()
    }

    fn heed(&self, report: IcmpReport) {
        if let Some(shard) = self.upgrade() {
            shard.heed([Trouble::Icmp(report)].into_iter());
        }
    }

    fn answers(&self) {
        if let Some(shard) = self.upgrade() {
            shard.answer_for_all();
        }
    }

    fn lost(&self) {
        if let Some(shard) = self.upgrade() {
            shard.stop();
        }
    }
}
