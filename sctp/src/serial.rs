//! Sequence numbers of RFC 1982 serial arithmetic (RFC 9260 §1.6) and identifiers of the protocol.
//!
//! Serial numbers wrap, so they have no `Ord`: comparisons only mean something between numbers less than half the
//! space apart, and say so by name.

use std::fmt;

macro_rules! serial_number {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $signed:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number that follows, wrapping at the end of the space.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.wrapping_add(1))
            }

            /// The number `n` steps on, wrapping.
            #[must_use]
            pub const fn plus(self, n: $inner) -> Self {
                Self(self.0.wrapping_add(n))
            }

            /// The number `n` steps back, wrapping.
            #[must_use]
            pub const fn minus(self, n: $inner) -> Self {
                Self(self.0.wrapping_sub(n))
            }

            /// How many steps lead from `earlier` to this number, wrapping: huge when `earlier` is in fact later.
            pub const fn steps_from(self, earlier: Self) -> $inner {
                self.0.wrapping_sub(earlier.0)
            }

            /// Whether this number comes after `other` (RFC 1982 §3.2; false at exactly half the space).
            pub const fn is_after(self, other: Self) -> bool {
                (self.0.wrapping_sub(other.0) as $signed) > 0
            }

            /// Whether this number comes before `other` (RFC 1982 §3.2; false at exactly half the space).
            pub const fn is_before(self, other: Self) -> bool {
                other.is_after(self)
            }

            /// Whether this number is `other` or comes after it.
            pub const fn is_at_or_after(self, other: Self) -> bool {
                self.0 == other.0 || self.is_after(other)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

serial_number!(
    /// Transmission Sequence Number of a DATA chunk (RFC 9260 §1.3).
    Tsn, u32, i32
);
serial_number!(
    /// Stream Sequence Number of an ordered message (RFC 9260 §1.3).
    Ssn, u16, i16
);
serial_number!(
    /// Message Identifier of an I-DATA chunk (RFC 8260 §2.1).
    Mid, u32, i32
);

impl Mid {
    /// What stands for it where there is room for a Stream Sequence Number only (RFC 8260 §4.1).
    pub const fn as_ssn(self) -> Ssn {
        let [.., high, low] = self.0.to_be_bytes();
        Ssn(u16::from_be_bytes([high, low]))
    }
}

serial_number!(
    /// Fragment Sequence Number of an I-DATA chunk (RFC 8260 §2.1).
    Fsn, u32, i32
);
serial_number!(
    /// Sequence Number of an ASCONF or ASCONF-ACK (RFC 5061 §4.1.1).
    AsconfSerial, u32, i32
);
serial_number!(
    /// Re-configuration Request Sequence Number (RFC 6525 §4.1).
    RequestSeq, u32, i32
);

identifier!(
    /// Stream Identifier (RFC 9260 §3.3.1).
    StreamId, u16
);
identifier!(
    /// Payload Protocol Identifier, as a number; it travels in network byte order and SCTP does not look at it
    /// (RFC 9260 §3.3.1).
    Ppid, u32
);
identifier!(
    /// ASCONF-Request Correlation ID, which the response gives back (RFC 5061 §4.2.1).
    CorrelationId, u32
);
identifier!(
    /// Shared Key Identifier: which endpoint pair shared key an AUTH chunk was made with (RFC 4895 §5.1).
    SharedKeyId, u16
);

/// Verification Tag of a common header, or Initiate Tag of an INIT (RFC 9260 §3.1, §3.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct VerificationTag(pub u32);

impl VerificationTag {
    /// The tag of a packet that carries an INIT (RFC 9260 §8.5.1 A).
    pub const ZERO: Self = Self(0);
}

impl fmt::Debug for VerificationTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerificationTag({self})")
    }
}

/// In hexadecimal, as captures show it.
impl fmt::Display for VerificationTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for VerificationTag {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn comparison_holds_across_the_wrap(start: u32, distance in 1u32..(1 << 31)) {
            let (a, b) = (Tsn(start), Tsn(start).plus(distance));
            prop_assert!(b.is_after(a) && a.is_before(b) && !a.is_after(b) && !b.is_before(a));
            prop_assert_eq!(b.steps_from(a), distance);
            prop_assert_eq!(b.minus(distance), a);
        }

        #[test]
        fn sixteen_bits_wrap_the_same_way(start: u16, distance in 1u16..(1 << 15)) {
            let (a, b) = (Ssn(start), Ssn(start).plus(distance));
            prop_assert!(b.is_after(a) && a.is_before(b));
        }
    }

    #[test]
    fn half_the_space_apart_is_neither_before_nor_after() {
        assert!(!Tsn(0).is_after(Tsn(1 << 31)) && !Tsn(1 << 31).is_after(Tsn(0)));
        assert!(Tsn(4).is_at_or_after(Tsn(4)));
    }
}
