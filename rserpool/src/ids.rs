//! Identifiers of RSerPool: pool handles, pool elements, registrars.

use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;
use thiserror::Error;

/// The name of a pool: 1 to [`PoolHandle::MAX_LEN`] opaque bytes (RFC 5351 §2.1, RFC 5354 §3.9).
///
/// Handles are ordered by length first, then by bytes, as handle tables are walked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PoolHandle(Bytes);

/// A pool handle is empty or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a pool handle has 1 to {max} bytes, not {0}", max = PoolHandle::MAX_LEN)]
pub struct BadPoolHandle(pub usize);

impl PoolHandle {
    /// The longest handle, in bytes. RFC 5354 sets no limit; this one keeps any message that names a pool and one
    /// element within 64 KiB.
    pub const MAX_LEN: usize = 1024;

    /// The handle made of `bytes`.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, BadPoolHandle> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > Self::MAX_LEN {
            Err(BadPoolHandle(bytes.len()))
        } else {
            Ok(Self(bytes))
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Ord for PoolHandle {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0.len(), &self.0).cmp(&(other.0.len(), &other.0))
    }
}

impl PartialOrd for PoolHandle {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for PoolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for PoolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PoolHandle({self})")
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU32);

        impl $name {
            /// The identifier `value`; zero is none.
            pub const fn new(value: u32) -> Option<Self> {
                match NonZeroU32::new(value) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// A random identifier.
            pub fn random(random: &mut sctp::random::Random) -> Self {
                Self(NonZeroU32::new(random.non_zero_u32()).unwrap_or(NonZeroU32::MIN))
            }

            /// The number.
            pub const fn as_u32(self) -> u32 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#010x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

id!(
    /// Names a pool element within its pool (PE Identifier, RFC 5354 §3.14); never zero.
    PeId
);
id!(
    /// Names a registrar (Server Identifier, RFC 5352 §2.2.10); never zero.
    RegistrarId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_handle_has_at_least_one_byte_and_a_limit() {
        assert_eq!(PoolHandle::new(""), Err(BadPoolHandle(0)));
        assert_eq!(PoolHandle::new(vec![1; 1025]), Err(BadPoolHandle(1025)));
        assert_eq!(PoolHandle::new("EchoPool").unwrap().to_string(), "EchoPool");
        assert_eq!(PoolHandle::new(vec![b'a', 0, 0xff]).unwrap().to_string(), "a\\x00\\xff");
    }

    #[test]
    fn handles_are_ordered_by_length_then_bytes() {
        let mut handles = ["b", "aa", "a"].map(|h| PoolHandle::new(h).unwrap());
        handles.sort();
        assert_eq!(handles.map(|h| h.to_string()), ["a", "b", "aa"]);
    }

    #[test]
    fn zero_is_no_identifier() {
        assert_eq!(PeId::new(0), None);
        assert_eq!(RegistrarId::new(0x1234).unwrap().to_string(), "0x00001234");
    }
}
