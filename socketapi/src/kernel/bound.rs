//! What sockets have in common that are bound to addresses and have associations yet to come.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::core::Core;
use super::target::Target;
use super::{abi, address, errno};
use crate::{AddressError, Error, Result};

/// A one-to-many or a listening socket.
pub(crate) struct Bound<'a>(pub(super) &'a Arc<Core>);

impl Bound<'_> {
    pub(crate) fn options(&self) -> Target {
        Target::new(self.0, None)
    }

    pub(crate) fn local_addresses(&self) -> Result<Vec<SocketAddr>> {
        self.0.addresses(abi::SCTP_GET_LOCAL_ADDRS, abi::FUTURE_ASSOC)
    }

    pub(crate) fn bindx_add(&self, address: IpAddr) -> Result<()> {
        self.bindx(abi::SCTP_SOCKOPT_BINDX_ADD, address)
    }

    pub(crate) fn bindx_remove(&self, address: IpAddr) -> Result<()> {
        self.bindx(abi::SCTP_SOCKOPT_BINDX_REM, address)
    }

    fn bindx(&self, name: i32, ip: IpAddr) -> Result<()> {
        let own = crate::resolve::first(self.local_addresses()?)?;
        let value = address::encode(SocketAddr::new(ip, own.port()));
        let refused = |error: io::Error| match error.raw_os_error() {
            Some(libc::EBUSY) => Error::AddressChange(AddressError::LastAddress),
            Some(libc::EINVAL) => Error::AddressChange(AddressError::NoSuchAddress),
            _ => errno::general("changing the addresses of a socket", &error),
        };
        self.0.set_bytes(name, &value)?.map_err(refused)
    }
}
