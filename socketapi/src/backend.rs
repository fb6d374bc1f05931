//! The choice between backends, and the dispatch to them: an enum a socket type, one variant a backend.

use std::str::FromStr;
use std::{env, fmt};

use crate::{Error, Result};

/// What carries a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// SCTP inside this process (feature `userland`).
    Userland,
    /// The SCTP of the operating system's kernel (feature `kernel`).
    Kernel,
}

impl Backend {
    /// The backend of sockets that ask for none: what the environment variable `SCTP_BACKEND` says (`userland` or
    /// `kernel`), else the userland stack, else the kernel.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the variable names neither.
    pub fn from_environment() -> Result<Self> {
        match env::var("SCTP_BACKEND") {
            Ok(name) => name
                .parse()
                .map_err(|_| Error::Unsupported("SCTP_BACKEND is neither `userland` nor `kernel`")),
            Err(_) if cfg!(feature = "userland") => Ok(Self::Userland),
            Err(_) => Ok(Self::Kernel),
        }
    }
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "userland" => Ok(Self::Userland),
            "kernel" => Ok(Self::Kernel),
            _ => Err(Error::Unsupported("the backends are `userland` and `kernel`")),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Userland => "userland",
            Self::Kernel => "kernel",
        })
    }
}

/// A one-to-many style socket of either backend.
#[derive(Clone, Debug)]
pub(crate) enum AnySocket {
    #[cfg(feature = "userland")]
    Userland(crate::userland::Socket),
    #[cfg(feature = "kernel")]
    Kernel(crate::kernel::Socket),
}

/// A listening one-to-one style socket of either backend.
#[derive(Clone, Debug)]
pub(crate) enum AnyListener {
    #[cfg(feature = "userland")]
    Userland(crate::userland::Listener),
    #[cfg(feature = "kernel")]
    Kernel(crate::kernel::Listener),
}

/// A connected one-to-one style socket of either backend.
#[derive(Clone, Debug)]
pub(crate) enum AnyStream {
    #[cfg(feature = "userland")]
    Userland(crate::userland::Stream),
    #[cfg(feature = "kernel")]
    Kernel(crate::kernel::Stream),
}

/// What options are read and set of: the new associations of a socket of either backend, or one association.
#[derive(Clone, Debug)]
pub(crate) enum AnyTarget {
    #[cfg(feature = "userland")]
    Userland(crate::userland::Target),
    #[cfg(feature = "kernel")]
    Kernel(crate::kernel::Target),
}

#[cfg(feature = "userland")]
impl From<crate::userland::Target> for AnyTarget {
    fn from(target: crate::userland::Target) -> Self {
        Self::Userland(target)
    }
}

#[cfg(feature = "kernel")]
impl From<crate::kernel::Target> for AnyTarget {
    fn from(target: crate::kernel::Target) -> Self {
        Self::Kernel(target)
    }
}

/// `dispatch!(enum, self.0, s => expression over s)`: the expression for whatever backend it is.
macro_rules! dispatch {
    ($enum:ident, $value:expr, $socket:ident => $call:expr) => {
        match &$value {
            #[cfg(feature = "userland")]
            $crate::backend::$enum::Userland($socket) => $call,
            #[cfg(feature = "kernel")]
            $crate::backend::$enum::Kernel($socket) => $call,
        }
    };
}
pub(crate) use dispatch;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_called_as_the_environment_calls_them() {
        for backend in [Backend::Userland, Backend::Kernel] {
            assert_eq!(backend.to_string().parse(), Ok(backend));
        }
        assert!(matches!("usrsctp".parse::<Backend>(), Err(Error::Unsupported(_))));
    }
}
