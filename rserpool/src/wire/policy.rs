//! Pool member selection policies (RFC 5354 §3.8, RFC 5356), and those that RSPLIB adds in the private range.

use std::fmt;

use bytes::Bytes;
use sctp::tlv::{ReadError, Reader, Tlv, Writer};

use super::cause::{Cause, CauseCode};
use super::error::DecodeError;
use super::param::{ParamType, invalid, to_bytes};

/// The number of a policy (RFC 5356 §7.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyNumber(pub u32);

macro_rules! policies {
    ($($(#[$doc:meta])* $variant:ident $({ $($(#[$field_doc:meta])* $field:ident),* })? =
        $constant:ident $number:literal, $short:literal, $long:literal, $adaptive:literal;)*) => {
        impl PolicyNumber {
            $(#[doc = concat!($long, ".")] pub const $constant: Self = Self($number);)*

            /// The long and the short name, as RSPLIB has them; `None` for a number that is not known.
            pub const fn names(self) -> Option<(&'static str, &'static str)> {
                match self {
                    $(Self::$constant => Some(($long, $short)),)*
                    _ => None,
                }
            }

            /// Whether elements of such a pool tell their load. Known policies say so themselves; of others the A bit
            /// does (RFC 5356 §7.1). RSPLIB's private numbers do not keep to that bit.
            pub const fn is_adaptive(self) -> bool {
                match self {
                    $(Self::$constant => $adaptive,)*
                    _ => self.0 & 0x4000_0000 != 0,
                }
            }
        }

        /// A policy with the values that a pool element has in it.
        ///
        /// Loads and degradations go from 0 to 0xffffffff for 0 to 100 %. Distances are milliseconds. A DPF (delay
        /// penalty factor) is a fraction of 0xffffffff for each millisecond of distance.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum PolicyParam {
            $($(#[$doc])* $variant $({ $($(#[$field_doc])* $field: u32,)* })?,)*
            /// A policy that is not known here: its number and its fields, at most
            /// [`MAX_OTHER`](PolicyParam::MAX_OTHER) bytes.
            Other {
                /// Its number.
                number: PolicyNumber,
                /// What follows the number.
                data: Bytes,
            },
        }

        impl PolicyParam {
            /// Which policy it is.
            pub const fn number(&self) -> PolicyNumber {
                match self {
                    $(Self::$variant $({ $($field: _,)* })? => PolicyNumber::$constant,)*
                    Self::Other { number, .. } => *number,
                }
            }

            /// The policy `number` with all values zero; `None` for a number that is not known.
            pub const fn from_number(number: PolicyNumber) -> Option<Self> {
                match number {
                    $(PolicyNumber::$constant => Some(Self::$variant $({ $($field: 0,)* })?),)*
                    _ => None,
                }
            }

            /// The policy of a long or a short name, as RSPLIB has them, in any case, with all values zero.
            pub fn from_name(name: &str) -> Option<Self> {
                let is = |long: &str, short: &str| name.eq_ignore_ascii_case(long) || name.eq_ignore_ascii_case(short);
                $(if is($long, $short) {
                    return Self::from_number(PolicyNumber::$constant);
                })*
                None
            }

            fn fields(&self) -> Vec<u32> {
                match self {
                    $(Self::$variant $({ $($field,)* })? => vec![$($(*$field,)*)?],)*
                    Self::Other { .. } => Vec::new(),
                }
            }

            fn read_fields(number: PolicyNumber, reader: &mut Reader<'_>) -> Result<Option<Self>, ReadError> {
                Ok(match number {
                    $(PolicyNumber::$constant => {
                        Some(Self::$variant $({ $($field: reader.u32(stringify!($field))?,)* })?)
                    })*
                    _ => None,
                })
            }
        }
    };
}

policies! {
    /// Round Robin (RFC 5356 §4.1), the default.
    RoundRobin = ROUND_ROBIN 0x0000_0001, "RR", "RoundRobin", false;
    /// Weighted Round Robin (RFC 5356 §4.2).
    WeightedRoundRobin {
        /// The share of this element.
        weight
    } = WEIGHTED_ROUND_ROBIN 0x0000_0002, "WRR", "WeightedRoundRobin", false;
    /// Random (RFC 5356 §4.3).
    Random = RANDOM 0x0000_0003, "RAND", "Random", false;
    /// Weighted Random (RFC 5356 §4.4).
    WeightedRandom {
        /// The share of this element.
        weight
    } = WEIGHTED_RANDOM 0x0000_0004, "WRAND", "WeightedRandom", false;
    /// Priority (RFC 5356 §4.5).
    Priority {
        /// Greater comes first.
        priority
    } = PRIORITY 0x0000_0005, "PRI", "Priority", false;
    /// Least Used (RFC 5356 §5.1).
    LeastUsed {
        /// The load.
        load
    } = LEAST_USED 0x4000_0001, "LU", "LeastUsed", true;
    /// Least Used with Degradation (RFC 5356 §5.2).
    LeastUsedDegradation {
        /// The load.
        load,
        /// How much a new session adds to it, for now.
        degradation
    } = LEAST_USED_DEGRADATION 0x4000_0002, "LUD", "LeastUsedDegradation", true;
    /// Priority Least Used (RFC 5356 §5.3).
    PriorityLeastUsed {
        /// The load.
        load,
        /// How much a new session adds to it.
        degradation
    } = PRIORITY_LEAST_USED 0x4000_0003, "PLU", "PriorityLeastUsed", true;
    /// Randomized Least Used (RFC 5356 §5.4).
    RandomizedLeastUsed {
        /// The load.
        load
    } = RANDOMIZED_LEAST_USED 0x4000_0004, "RLU", "RandomizedLeastUsed", true;
    /// RSPLIB: Randomized Priority Least Used.
    RandomizedPriorityLeastUsed {
        /// The load.
        load,
        /// How much a new session adds to it.
        degradation
    } = RANDOMIZED_PRIORITY_LEAST_USED 0xb000_1001, "RPLU", "RandomizedPriorityLeastUsed", true;
    /// RSPLIB: Randomized Least Used with Degradation.
    RandomizedLeastUsedDegradation {
        /// The load.
        load,
        /// How much a new session adds to it, for now.
        degradation
    } = RANDOMIZED_LEAST_USED_DEGRADATION 0xb000_1002, "RLUD", "RandomizedLeastUsedDegradation", true;
    /// RSPLIB: Priority Least Used with Degradation.
    PriorityLeastUsedDegradation {
        /// The load.
        load,
        /// How much a new session adds to it, for now.
        degradation
    } = PRIORITY_LEAST_USED_DEGRADATION 0xb000_1003, "PLUD", "PriorityLeastUsedDegradation", true;
    /// RSPLIB: Randomized Priority Least Used with Degradation.
    RandomizedPriorityLeastUsedDegradation {
        /// The load.
        load,
        /// How much a new session adds to it, for now.
        degradation
    } = RANDOMIZED_PRIORITY_LEAST_USED_DEGRADATION 0xb000_1004, "RPLUD", "RandomizedPriorityLeastUsedDegradation", true;
    /// RSPLIB: Weighted Random with Delay Penalty Factor.
    WeightedRandomDpf {
        /// The share of this element.
        weight,
        /// How much of the weight each millisecond of distance takes.
        weight_dpf,
        /// How far away the element is.
        distance
    } = WEIGHTED_RANDOM_DPF 0xb000_2001, "WRAND-DPF", "WeightedRandomDPF", false;
    /// RSPLIB: Least Used with Delay Penalty Factor.
    LeastUsedDpf {
        /// The load.
        load,
        /// How much load each millisecond of distance counts for.
        load_dpf,
        /// How far away the element is.
        distance
    } = LEAST_USED_DPF 0xb000_2002, "LU-DPF", "LeastUsedDPF", true;
    /// RSPLIB: Least Used with Degradation and Delay Penalty Factor.
    LeastUsedDegradationDpf {
        /// The load.
        load,
        /// How much a new session adds to it, for now.
        degradation,
        /// How much load each millisecond of distance counts for.
        load_dpf,
        /// How far away the element is.
        distance
    } = LEAST_USED_DEGRADATION_DPF 0xb000_2003, "LUD-DPF", "LeastUsedDegradationDPF", true;
    /// RSPLIB: Priority Least Used with Delay Penalty Factor. RSPLIB itself has the number but cannot send it.
    PriorityLeastUsedDpf {
        /// The load.
        load,
        /// How much a new session adds to it.
        degradation,
        /// How much load each millisecond of distance counts for.
        load_dpf,
        /// How far away the element is.
        distance
    } = PRIORITY_LEAST_USED_DPF 0xb000_2004, "PLU-DPF", "PriorityLeastUsedDPF", true;
    /// RSPLIB: Priority Least Used with Degradation and Delay Penalty Factor. RSPLIB itself has the number but cannot
    /// send it.
    PriorityLeastUsedDegradationDpf {
        /// The load.
        load,
        /// How much a new session adds to it, for now.
        degradation,
        /// How much load each millisecond of distance counts for.
        load_dpf,
        /// How far away the element is.
        distance
    } = PRIORITY_LEAST_USED_DEGRADATION_DPF 0xb000_2005, "PLUD-DPF", "PriorityLeastUsedDegradationDPF", true;
}

impl PolicyNumber {
    /// Whether it is for private use (the X bit, RFC 5356 §7.1).
    pub const fn is_private(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }
}

impl fmt::Display for PolicyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names() {
            Some((long, _)) => f.write_str(long),
            None => write!(f, "policy {:#010x}", self.0),
        }
    }
}

impl fmt::Debug for PolicyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyNumber({:#010x}, {self})", self.0)
    }
}

impl PolicyParam {
    /// The most bytes that a policy may have that is not known here.
    pub const MAX_OTHER: usize = 256;

    /// The load, of an adaptive policy.
    pub const fn load(&self) -> Option<u32> {
        match self {
            Self::LeastUsed { load }
            | Self::LeastUsedDegradation { load, .. }
            | Self::PriorityLeastUsed { load, .. }
            | Self::RandomizedLeastUsed { load }
            | Self::RandomizedPriorityLeastUsed { load, .. }
            | Self::RandomizedLeastUsedDegradation { load, .. }
            | Self::PriorityLeastUsedDegradation { load, .. }
            | Self::RandomizedPriorityLeastUsedDegradation { load, .. }
            | Self::LeastUsedDpf { load, .. }
            | Self::LeastUsedDegradationDpf { load, .. }
            | Self::PriorityLeastUsedDpf { load, .. }
            | Self::PriorityLeastUsedDegradationDpf { load, .. } => Some(*load),
            _ => None,
        }
    }

    /// Sets the load; says whether the policy has one.
    pub const fn set_load(&mut self, new: u32) -> bool {
        match self {
            Self::LeastUsed { load }
            | Self::LeastUsedDegradation { load, .. }
            | Self::PriorityLeastUsed { load, .. }
            | Self::RandomizedLeastUsed { load }
            | Self::RandomizedPriorityLeastUsed { load, .. }
            | Self::RandomizedLeastUsedDegradation { load, .. }
            | Self::PriorityLeastUsedDegradation { load, .. }
            | Self::RandomizedPriorityLeastUsedDegradation { load, .. }
            | Self::LeastUsedDpf { load, .. }
            | Self::LeastUsedDegradationDpf { load, .. }
            | Self::PriorityLeastUsedDpf { load, .. }
            | Self::PriorityLeastUsedDegradationDpf { load, .. } => {
                *load = new;
                true
            }
            _ => false,
        }
    }

    /// The distance, of a policy with a delay penalty factor, in milliseconds.
    pub const fn distance(&self) -> Option<u32> {
        match self {
            Self::WeightedRandomDpf { distance, .. }
            | Self::LeastUsedDpf { distance, .. }
            | Self::LeastUsedDegradationDpf { distance, .. }
            | Self::PriorityLeastUsedDpf { distance, .. }
            | Self::PriorityLeastUsedDegradationDpf { distance, .. } => Some(*distance),
            _ => None,
        }
    }

    /// Sets the distance, in milliseconds; says whether the policy has one.
    pub const fn set_distance(&mut self, new: u32) -> bool {
        match self {
            Self::WeightedRandomDpf { distance, .. }
            | Self::LeastUsedDpf { distance, .. }
            | Self::LeastUsedDegradationDpf { distance, .. }
            | Self::PriorityLeastUsedDpf { distance, .. }
            | Self::PriorityLeastUsedDegradationDpf { distance, .. } => {
                *distance = new;
                true
            }
            _ => false,
        }
    }

    /// The cause that refuses an element of another policy than this, its pool's (RFC 5354 §3.12.6).
    pub fn inconsistent_policy(&self) -> Cause {
        Cause::new(CauseCode::INCONSISTENT_POOLING_POLICY, to_bytes(|w| self.write(w)))
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        w.tlv(ParamType::POLICY.0, |w| {
            w.u32(self.number().0);
            for field in self.fields() {
                w.u32(field);
            }
            if let Self::Other { data, .. } = self {
                w.bytes(data.get(..Self::MAX_OTHER).unwrap_or(data));
            }
        });
    }

    pub(crate) fn read(tlv: &Tlv<'_>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(tlv.value);
        let malformed = |error: ReadError| DecodeError::new(error.into(), tlv.raw);
        let number = PolicyNumber(reader.u32("policy type").map_err(malformed)?);
        if let Some(policy) = Self::read_fields(number, &mut reader).map_err(malformed)? {
            reader.finish("policy").map_err(malformed)?;
            return Ok(policy);
        }
        if reader.remaining() > Self::MAX_OTHER {
            return Err(invalid("policy", tlv));
        }
        let data = Bytes::copy_from_slice(reader.take_rest());
        Ok(Self::Other { number, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5354_3_12_6_a_refused_policy_is_told_the_pools() {
        let cause = PolicyParam::RoundRobin.inconsistent_policy();
        assert_eq!(cause.info()[..], [0, 8, 0, 8, 0, 0, 0, 1]);
    }
}
