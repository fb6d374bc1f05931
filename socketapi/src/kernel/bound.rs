//! What sockets have in common that are bound to addresses and have associations yet to come.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::core::Core;
use super::target::Target;
use super::{abi, bindx};
use crate::Result;

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
        bindx::add(self.0, address)
    }

    pub(crate) fn bindx_remove(&self, address: IpAddr) -> Result<()> {
        bindx::remove(self.0, address)
    }
}
