//! Sequences inside a chunk value: TLVs one after another, and lists of 16-bit type numbers.

use std::fmt;

use crate::error::DecodeError;
use crate::tlv::{ReadError, Reader, Tlv};

/// TLVs one after another, as they lie in a chunk or in a cause.
///
/// Ends after the first error. Padding that is missing behind the last one is accepted.
#[derive(Clone)]
pub struct Tlvs<'a> {
    reader: Reader<'a>,
    at: &'static str,
}

impl<'a> Tlvs<'a> {
    /// The TLVs in `bytes`; errors call them `at`.
    pub const fn new(bytes: &'a [u8], at: &'static str) -> Self {
        Self {
            reader: Reader::new(bytes),
            at,
        }
    }

    /// Checks that all of them are well formed, as far as their lengths go.
    pub fn check(&self) -> Result<(), DecodeError> {
        self.clone().try_for_each(|tlv| tlv.map(drop))
    }
}

impl fmt::Debug for Tlvs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Result<Tlv<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let tlv = self.reader.tlv(self.at);
        if tlv.is_err() {
            self.reader.take_rest();
        }
        Some(tlv.map_err(DecodeError::from))
    }
}

impl std::iter::FusedIterator for Tlvs<'_> {}

/// How many of `bytes`, which hold TLVs, come before the padding of the last one.
pub(super) fn unpadded_len(bytes: &[u8]) -> usize {
    let mut tlvs = Tlvs::new(bytes, "own TLV");
    let mut end = 0;
    loop {
        let start = bytes.len().saturating_sub(tlvs.reader.remaining());
        match tlvs.next() {
            Some(Ok(tlv)) => end = start.saturating_add(tlv.raw.len()),
            Some(Err(_)) => return bytes.len(),
            None => return end,
        }
    }
}

/// 16-bit type numbers one after another.
#[derive(Clone)]
pub struct TypeNumbers<'a> {
    numbers: std::slice::Iter<'a, [u8; 2]>,
}

impl<'a> TypeNumbers<'a> {
    /// The numbers in `bytes`; an odd byte at the end is refused.
    pub fn new(bytes: &'a [u8], at: &'static str) -> Result<Self, DecodeError> {
        let (numbers, []) = bytes.as_chunks() else {
            return Err(ReadError::BadLength { at }.into());
        };
        Ok(Self {
            numbers: numbers.iter(),
        })
    }

    /// The bytes of the numbers that are left.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.numbers.as_slice().as_flattened()
    }
}

impl fmt::Debug for TypeNumbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl PartialEq for TypeNumbers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for TypeNumbers<'_> {}

impl Iterator for TypeNumbers<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        self.numbers.next().map(|number| u16::from_be_bytes(*number))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.numbers.size_hint()
    }
}

impl ExactSizeIterator for TypeNumbers<'_> {}
impl std::iter::FusedIterator for TypeNumbers<'_> {}
