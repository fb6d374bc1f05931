//! Type-length-value coding as SCTP chunks, parameters and causes use it (RFC 9260 §3.2, §3.2.1), and RSerPool after
//! them: big-endian integers, a length that covers the header but not the padding, padding with zeros to four bytes.

use thiserror::Error;

/// Why bytes are not what they should be. `at` says which field, in the RFC's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The bytes end inside a field.
    #[error("truncated at {at}")]
    Truncated {
        /// The field that is cut off.
        at: &'static str,
    },
    /// A length field is below its header, or reaches past what holds it.
    #[error("bad length at {at}")]
    BadLength {
        /// The field whose length is wrong.
        at: &'static str,
    },
    /// Bytes remain where the structure must end.
    #[error("unexpected bytes after {at}")]
    Trailing {
        /// The structure that should have ended.
        at: &'static str,
    },
}

/// The number of padding bytes after `len` bytes.
pub const fn padding(len: usize) -> usize {
    len.wrapping_neg() & 3
}

/// `len` rounded up to a multiple of four.
pub const fn padded(len: usize) -> usize {
    len.saturating_add(padding(len))
}

/// Reads forward through borrowed bytes; no read goes past the end.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize, at: &'static str) -> Result<&'a [u8], ReadError> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or(ReadError::Truncated { at })?;
        self.rest = tail;
        Ok(head)
    }

    /// All that is left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    fn array<const N: usize>(&mut self, at: &'static str) -> Result<[u8; N], ReadError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(ReadError::Truncated { at })?;
        self.rest = tail;
        Ok(*head)
    }

    /// One byte.
    pub fn u8(&mut self, at: &'static str) -> Result<u8, ReadError> {
        self.array::<1>(at).map(|[byte]| byte)
    }

    /// A 16-bit number in network byte order.
    pub fn u16(&mut self, at: &'static str) -> Result<u16, ReadError> {
        self.array(at).map(u16::from_be_bytes)
    }

    /// A 32-bit number in network byte order.
    pub fn u32(&mut self, at: &'static str) -> Result<u32, ReadError> {
        self.array(at).map(u32::from_be_bytes)
    }

    /// A 64-bit number in network byte order.
    pub fn u64(&mut self, at: &'static str) -> Result<u64, ReadError> {
        self.array(at).map(u64::from_be_bytes)
    }

    /// 16 bytes, as in an IPv6 address.
    pub fn bytes16(&mut self, at: &'static str) -> Result<[u8; 16], ReadError> {
        self.array(at)
    }

    /// Checks that everything was read.
    pub fn finish(&self, at: &'static str) -> Result<(), ReadError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(ReadError::Trailing { at })
        }
    }

    /// The next TLV with a 16-bit type and a 16-bit length, with its padding. Padding that the end of the bytes cuts
    /// off is accepted (RFC 9260 §3.2: the length of the last one may leave it out).
    pub fn tlv(&mut self, at: &'static str) -> Result<Tlv<'a>, ReadError> {
        let mut header = *self;
        let kind = header.u16(at)?;
        let length = usize::from(header.u16(at)?);
        if length < Tlv::HEADER {
            return Err(ReadError::BadLength { at });
        }
        let raw = self.rest.get(..length).ok_or(ReadError::BadLength { at })?;
        let value = raw.get(Tlv::HEADER..).ok_or(ReadError::BadLength { at })?;
        self.rest = self.rest.get(padded(length)..).unwrap_or_default();
        Ok(Tlv { kind, value, raw })
    }
}

/// One type-length-value structure, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The type.
    pub kind: u16,
    /// The value, without padding.
    pub value: &'a [u8],
    /// Header and value, without padding, as an error report quotes it.
    pub raw: &'a [u8],
}

impl Tlv<'_> {
    /// Bytes of type and length.
    pub const HEADER: usize = 4;

    /// What a receiver that does not know the type must do (RFC 9260 §3.2.1).
    pub const fn unknown_action(&self) -> UnknownAction {
        UnknownAction::of_parameter(self.kind)
    }
}

/// What the two highest bits of an unknown type ask of its receiver (RFC 9260 §3.2, §3.2.1; RFC 5354 §3 uses the same).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownAction {
    /// 00: stop, discard the rest.
    Stop,
    /// 01: stop, discard the rest, and report the unknown type.
    StopAndReport,
    /// 10: skip it and go on.
    Skip,
    /// 11: skip it, go on, and report the unknown type.
    SkipAndReport,
}

impl UnknownAction {
    /// The action in the two highest bits of a 16-bit type.
    pub const fn of_parameter(kind: u16) -> Self {
        Self::from_bits((kind >> 14) as u8)
    }

    /// The action in the two highest bits of an 8-bit chunk type.
    pub const fn of_chunk(kind: u8) -> Self {
        Self::from_bits(kind >> 6)
    }

    const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Stop,
            1 => Self::StopAndReport,
            2 => Self::Skip,
            _ => Self::SkipAndReport,
        }
    }

    /// Whether processing goes on after the unknown type.
    pub const fn goes_on(self) -> bool {
        matches!(self, Self::Skip | Self::SkipAndReport)
    }

    /// Whether the sender is told.
    pub const fn reports(self) -> bool {
        matches!(self, Self::StopAndReport | Self::SkipAndReport)
    }
}

/// Appends to a caller's buffer; lengths and padding are put right in one place, [`tlv`](Self::tlv).
#[derive(Debug)]
pub struct Writer<'a> {
    buf: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `buf`.
    pub const fn new(buf: &'a mut Vec<u8>) -> Self {
        Self { buf }
    }

    /// How many bytes the buffer holds.
    pub fn position(&self) -> usize {
        self.buf.len()
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.buf.push(value);
    }

    /// A 16-bit number in network byte order.
    pub fn u16(&mut self, value: u16) {
        self.buf.extend_from_slice(&value.to_be_bytes());
    }

    /// A 32-bit number in network byte order.
    pub fn u32(&mut self, value: u32) {
        self.buf.extend_from_slice(&value.to_be_bytes());
    }

    /// A 64-bit number in network byte order.
    pub fn u64(&mut self, value: u64) {
        self.buf.extend_from_slice(&value.to_be_bytes());
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// Zeros up to a multiple of four after `start`.
    pub fn pad_from(&mut self, start: usize) {
        let end = start + padded(self.buf.len().saturating_sub(start));
        self.buf.resize(end, 0);
    }

    /// A TLV of a 16-bit type whose value `body` writes. The length counts what `body` wrote; padding follows it.
    pub fn tlv(&mut self, kind: u16, body: impl FnOnce(&mut Writer<'_>)) {
        let start = self.buf.len();
        self.u16(kind);
        self.with_length(start, body);
    }

    /// A length field of 16 bits that counts from `start`, then what `body` writes, then padding. The caller has
    /// written what stands before the length (a chunk has type and flags there).
    ///
    /// A body beyond 65535 bytes cannot be expressed: the length saturates, and debug builds assert. Callers bound
    /// what they put in.
    pub fn with_length(&mut self, start: usize, body: impl FnOnce(&mut Writer<'_>)) {
        let at = self.buf.len();
        self.u16(0);
        body(&mut Writer::new(self.buf));
        let length = self.buf.len().saturating_sub(start);
        debug_assert!(length <= usize::from(u16::MAX), "a TLV of {length} bytes");
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        if let Some(field) = self.buf.get_mut(at..at.saturating_add(2)) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        self.pad_from(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn padding_fills_up_to_four() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(padding), [0, 3, 2, 1, 0, 3]);
        assert_eq!(padded(65533), 65536);
    }

    #[test]
    fn rfc9260_3_2_1_the_two_highest_bits_say_what_to_do() {
        assert_eq!(UnknownAction::of_parameter(0x0001), UnknownAction::Stop);
        assert_eq!(UnknownAction::of_parameter(0x4001), UnknownAction::StopAndReport);
        assert_eq!(UnknownAction::of_parameter(0x8001), UnknownAction::Skip);
        assert_eq!(UnknownAction::of_parameter(0xc001), UnknownAction::SkipAndReport);
        assert_eq!(UnknownAction::of_chunk(0xc1), UnknownAction::SkipAndReport);
        assert!(UnknownAction::Skip.goes_on() && !UnknownAction::Skip.reports());
        assert!(!UnknownAction::StopAndReport.goes_on() && UnknownAction::StopAndReport.reports());
    }

    #[test]
    fn a_length_below_the_header_or_past_the_end_is_refused() {
        for bytes in [[0, 5, 0, 3], [0, 5, 0, 5], [0, 5, 255, 255]] {
            assert_eq!(Reader::new(&bytes).tlv("x"), Err(ReadError::BadLength { at: "x" }));
        }
        assert_eq!(Reader::new(&[0, 5, 0]).tlv("x"), Err(ReadError::Truncated { at: "x" }));
    }

    #[test]
    fn missing_padding_at_the_very_end_is_accepted() {
        let mut reader = Reader::new(&[0, 9, 0, 5, 0xaa]);
        assert_eq!(reader.tlv("x").unwrap().value, [0xaa]);
        assert!(reader.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(items in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8)) {
            let mut buf = Vec::new();
            let mut writer = Writer::new(&mut buf);
            for (kind, value) in &items {
                writer.tlv(*kind, |w| w.bytes(value));
            }
            prop_assert_eq!(buf.len() % 4, 0);
            let mut reader = Reader::new(&buf);
            for (kind, value) in &items {
                let tlv = reader.tlv("item").unwrap();
                prop_assert_eq!((tlv.kind, tlv.value), (*kind, value.as_slice()));
                prop_assert_eq!(tlv.raw.len(), value.len() + 4);
            }
            prop_assert!(reader.finish("items").is_ok());
        }

        #[test]
        fn any_bytes_are_read_without_panic_and_with_progress(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Ok(tlv) = reader.tlv("any") {
                prop_assert!(tlv.raw.len() >= 4);
            }
        }
    }
}
