//! The CRC32c of a packet (RFC 9260 §6.8, Appendix A), and packets that do without (RFC 9653).
//!
//! The checksum covers the packet with its checksum field as zero, and lies in the packet with its least significant
//! byte first: that is what the byte order of Appendix A comes to.

use crate::error::DecodeError;

/// How packets with a checksum of zero are guarded, as a Zero Checksum Acceptable parameter names it (RFC 9653): any
/// number, with names for those that are assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorDetectionMethod(pub u32);

impl ErrorDetectionMethod {
    /// SCTP over DTLS.
    pub const DTLS: Self = Self(1);
}

/// What to do with the checksum of a packet that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ChecksumRule {
    /// Refuse the packet unless its CRC32c fits (RFC 9260 §6.8).
    #[default]
    Verify,
    /// Refuse the packet unless its CRC32c fits or its checksum field is zero: what brought it meets an error detection
    /// method that this side has announced (RFC 9653). Whether its association announced it is not known before the
    /// packet is read: ask [`Packet::has_zero_checksum`](crate::wire::Packet::has_zero_checksum), and if it did not,
    /// [`Packet::verify_checksum`](crate::wire::Packet::verify_checksum).
    AcceptZero,
    /// Take the packet whatever the field holds: something below has checked it already.
    AcceptUnchecked,
}

/// The CRC32c of `packet`, with whatever stands in the checksum field counted as zero. Of fewer bytes than a common
/// header, it is the CRC32c of the bytes as they are.
#[inline]
pub fn packet_checksum(packet: &[u8]) -> u32 {
    match packet.split_first_chunk::<12>() {
        Some((&[a, b, c, d, e, f, g, h, ..], chunks)) => {
            let header = crc32c::crc32c(&[a, b, c, d, e, f, g, h, 0, 0, 0, 0]);
            crc32c::crc32c_append(header, chunks)
        }
        None => crc32c::crc32c(packet),
    }
}

/// Checks the checksum of `packet` as `rule` asks for.
#[inline]
pub(super) fn verify(packet: &[u8], rule: ChecksumRule) -> Result<(), DecodeError> {
    if rule == ChecksumRule::AcceptUnchecked || (rule == ChecksumRule::AcceptZero && is_zero(packet)) {
        return Ok(());
    }
    let stored = packet.get(8..12).ok_or(DecodeError::Checksum)?;
    if stored == packet_checksum(packet).to_le_bytes() {
        Ok(())
    } else {
        Err(DecodeError::Checksum)
    }
}

/// Whether the checksum field of `packet` is zero, which may be what its CRC32c comes to.
#[inline]
pub(super) fn is_zero(packet: &[u8]) -> bool {
    packet.get(8..12) == Some(&[0; 4])
}

/// Puts zero into the checksum field of `packet`, which starts with its common header.
#[inline]
pub(super) fn fill_in_zero(packet: &mut [u8]) {
    if let Some(field) = packet.get_mut(8..12) {
        field.copy_from_slice(&[0; 4]);
    }
}

/// Puts the checksum into `packet`, which starts with its common header.
#[inline]
pub(super) fn fill_in(packet: &mut [u8]) {
    fill_in_zero(packet);
    let checksum = crc32c::crc32c(packet).to_le_bytes();
    if let Some(field) = packet.get_mut(8..12) {
        field.copy_from_slice(&checksum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Appendix A by its definition: bits, least significant first, divided by the reflected polynomial.
    fn by_definition(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    (crc >> 1) ^ 0x1edc_6f41_u32.reverse_bits()
                } else {
                    crc >> 1
                };
            }
        }
        !crc
    }

    #[test]
    fn rfc9260_appendix_a_known_answers() {
        assert_eq!(by_definition(b"123456789"), 0xe306_9283);
        assert_eq!(
            packet_checksum(b"123456789"),
            0xe306_9283,
            "shorter than a common header: as it is"
        );
        assert_eq!(packet_checksum(&[0; 32]), 0x8a91_36aa);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c::crc32c(&ascending), 0x46dd_794e);
        assert_eq!(crc32c::crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    proptest! {
        #[test]
        fn rfc9260_6_8_the_field_counts_as_zero_and_takes_the_sum_low_byte_first(
            mut packet in prop::collection::vec(any::<u8>(), 12..300),
        ) {
            let mut zeroed = packet.clone();
            zeroed[8..12].fill(0);
            let expected = by_definition(&zeroed);
            prop_assert_eq!(packet_checksum(&packet), expected);
            fill_in(&mut packet);
            prop_assert_eq!(&packet[8..12], expected.to_le_bytes());
            prop_assert!(verify(&packet, ChecksumRule::Verify).is_ok());
        }
    }
}
