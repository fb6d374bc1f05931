//! The SCTP sockets of a Linux kernel. None can be opened yet.

use crate::resolve::Local;
use crate::{Error, Result};

/// A socket that cannot exist yet.
#[derive(Clone, Debug)]
pub(crate) enum Socket {}

/// Opens a socket, once this backend can.
pub(crate) const fn open(_local: &Local, _on_runtime: bool) -> Result<Socket> {
    Err(Error::Unsupported("the kernel backend opens no sockets yet"))
}
