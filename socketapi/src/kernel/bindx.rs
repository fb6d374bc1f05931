//! Own addresses of a socket, more and fewer (`sctp_bindx`, RFC 6458 §9.1).

use std::net::{IpAddr, SocketAddr};

use socket2::Socket;

use super::core::Core;
use super::{abi, address, errno};
use crate::{AddressError, Error, Result};

pub(crate) fn add(core: &Core, address: IpAddr) -> Result<()> {
    change(core, abi::SCTP_SOCKOPT_BINDX_ADD, address, || {
        let name = core
            .socket_option(Socket::local_addr)?
            .ok()
            .and_then(|name| name.as_socket());
        Ok(match name {
            Some(name) if name.ip().is_unspecified() => Error::AddressChange(AddressError::BoundToAll),
            // It has the address already.
            _ => Error::InvalidAddress,
        })
    })
}

pub(crate) fn remove(core: &Core, address: IpAddr) -> Result<()> {
    change(core, abi::SCTP_SOCKOPT_BINDX_REM, address, || {
        Ok(Error::AddressChange(AddressError::NoSuchAddress))
    })
}

/// `refused` is what the kernel means by `EINVAL`.
fn change(core: &Core, name: i32, ip: IpAddr, refused: impl FnOnce() -> Result<Error>) -> Result<()> {
    let own = crate::resolve::first(core.addresses(abi::SCTP_GET_LOCAL_ADDRS, abi::FUTURE_ASSOC)?)?;
    let value = address::encode(SocketAddr::new(ip, own.port()));
    let Err(error) = core.set_bytes(name, &value)? else {
        return Ok(());
    };
    Err(match error.raw_os_error() {
        Some(libc::EBUSY) => Error::AddressChange(AddressError::LastAddress),
        Some(libc::EINVAL) => refused()?,
        _ => errno::general("changing the addresses of a socket", &error),
    })
}
