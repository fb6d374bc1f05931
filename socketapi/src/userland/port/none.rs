//! Where systems have no names that processes could meet under, no UDP port is shared.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::Wake;

use bytes::Bytes;
use sctp::{IcmpReport, RxMeta};

use super::device::{RawDevice, UdpDevice};
use crate::{Error, Result};

/// What would receive for the process.
pub(crate) trait Local {
    /// Takes datagrams.
    fn ingest(&self, datagrams: impl Iterator<Item = (RxMeta, Bytes)>) -> bool;
    /// Takes what ICMP says.
    fn heed(&self, report: IcmpReport);
    /// Is told that it answers for all.
    fn answers(&self);
    /// Is told of the end.
    fn lost(&self);
}

/// There is none.
#[derive(Debug)]
pub(crate) enum SharedPort {}

/// There is none.
#[derive(Debug)]
pub(crate) enum Claim {}

impl SharedPort {
    pub(crate) const fn open(_udp_port: u16) -> Result<Self> {
        Err(Error::Unsupported("this system shares no UDP ports"))
    }

    pub(crate) const fn join(_udp_port: u16) -> Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) const fn raw(_device: &Arc<RawDevice>) -> Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) const fn udp(&self) -> Option<&Arc<UdpDevice>> {
        match *self {}
    }

    pub(crate) fn run(&self, _local: impl Local) -> Result<()> {
        match *self {}
    }

    pub(crate) fn claim(&self, _port: Option<u16>, _addresses: Vec<IpAddr>, _shares: bool) -> Result<Claim> {
        match *self {}
    }
}

impl Claim {
    pub(crate) const fn port(&self) -> u16 {
        match *self {}
    }

    pub(crate) const fn add_address(&self, _address: IpAddr) -> Result<bool> {
        match *self {}
    }

    pub(crate) const fn remove_address(&self, _address: IpAddr) {
        match *self {}
    }
}

impl Wake for Claim {
    fn wake(self: Arc<Self>) {
        match *self {}
    }
}
