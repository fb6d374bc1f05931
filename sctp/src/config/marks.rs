//! What the IP header of a packet says of how to treat it (RFC 2474, RFC 6437).

use super::check;
use crate::error::ConfigError;

/// How many bits a flow label has.
const LABEL_BITS: u32 = 20;

/// A flow label of IPv6 packets, 20 bits (RFC 6437 §2, RFC 8200 §6). Zero, the default, asks for none: then the host
/// may give packets one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct FlowLabel(u32);

impl FlowLabel {
    /// No label.
    pub const NONE: Self = Self(0);
    /// The largest label.
    pub const MAX: Self = Self((1 << LABEL_BITS) - 1);

    /// The label with this number.
    ///
    /// # Errors
    ///
    /// It has more than 20 bits.
    pub fn new(label: u32) -> Result<Self, ConfigError> {
        check(label <= Self::MAX.0, "IPv6 flow label", "0 to 0xfffff")?;
        Ok(Self(label))
    }

    /// The number, 0 to 0xfffff.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether it is none.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// The Differentiated Services Code Point of packets, and their flow label in IPv6. By default zero, best effort, and
/// none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
// The code point is above the label: every path has these, and every packet is sent with them.
pub struct Marks(u32);

impl Marks {
    /// Packets with this code point.
    ///
    /// # Errors
    ///
    /// It has more than six bits.
    pub fn with_dscp(self, dscp: u8) -> Result<Self, ConfigError> {
        check(dscp < 64, "DSCP", "0 to 63")?;
        Ok(Self(u32::from(dscp) << LABEL_BITS | self.flow_label().0))
    }

    /// Packets with this flow label.
    #[must_use]
    pub const fn with_flow_label(self, label: FlowLabel) -> Self {
        Self(self.0 & !FlowLabel::MAX.0 | label.0)
    }

    /// The code point, 0 to 63 (RFC 2474 §3).
    pub const fn dscp(self) -> u8 {
        let [_, _, _, dscp] = (self.0 >> LABEL_BITS).to_be_bytes();
        dscp
    }

    /// The flow label; packets of IPv4 have none.
    pub const fn flow_label(self) -> FlowLabel {
        FlowLabel(self.0 & FlowLabel::MAX.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6437_2_a_flow_label_has_20_bits() {
        assert_eq!(FlowLabel::new(0), Ok(FlowLabel::NONE));
        assert_eq!(FlowLabel::new(0xf_ffff), Ok(FlowLabel::MAX));
        assert!(FlowLabel::new(0x10_0000).is_err());
        assert!(FlowLabel::new(u32::MAX).is_err());
        assert_eq!(FlowLabel::new(0xabcde).map(FlowLabel::get), Ok(0xabcde));
    }

    #[test]
    fn rfc6458_8_1_12_code_point_and_flow_label_leave_each_other_alone() {
        let both = |marks: Marks| (marks.dscp(), marks.flow_label().get());
        let marks = Marks::default();
        assert_eq!(both(marks), (0, 0));
        let marks = marks.with_dscp(63).unwrap();
        assert_eq!(both(marks), (63, 0));
        let marks = marks.with_flow_label(FlowLabel::MAX);
        assert_eq!(both(marks), (63, 0xf_ffff));
        assert_eq!(both(marks.with_dscp(1).unwrap()), (1, 0xf_ffff));
        assert_eq!(both(marks.with_flow_label(FlowLabel::NONE)), (63, 0));
        assert!(marks.with_dscp(64).is_err());
    }
}
