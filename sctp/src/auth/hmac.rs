//! The HMACs of AUTH chunks (RFC 2104, RFC 4895 §6.2) under one association shared key.

use std::fmt;
use std::ops::Range;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use crate::wire::{HmacId, authenticated};

/// An HMAC, of 32 bytes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HmacBytes {
    bytes: [u8; 32],
    len: usize,
}

impl HmacBytes {
    fn new(bytes: &[u8]) -> Self {
        let mut all = [0; 32];
        all.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self {
            bytes: all,
            len: bytes.len().min(32),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// An association shared key, ready for both HMACs: what depends on the key alone is computed once.
#[derive(Clone)]
pub(crate) struct AssociationKey {
    sha1: Hmac<Sha1>,
    sha256: Hmac<Sha256>,
}

impl fmt::Debug for AssociationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AssociationKey")
    }
}

impl AssociationKey {
    /// `None` never comes: an HMAC takes a key of any length (RFC 2104 §2).
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        Some(Self {
            sha1: Hmac::new_from_slice(key).ok()?,
            sha256: Hmac::new_from_slice(key).ok()?,
        })
    }

    /// The HMAC of the packet at the end of `packet`, in which the field for it lies at `field`. `None` for an
    /// algorithm that is not known.
    pub(crate) fn compute(&self, hmac: HmacId, packet: &[u8], field: &Range<usize>) -> Option<HmacBytes> {
        match hmac {
            HmacId::SHA1 => Some(HmacBytes::new(&over(&self.sha1, packet, field).finalize().into_bytes())),
            HmacId::SHA256 => Some(HmacBytes::new(
                &over(&self.sha256, packet, field).finalize().into_bytes(),
            )),
            _ => None,
        }
    }

    /// Whether `expected` is that HMAC, all of it. How long this takes does not depend on where they differ.
    pub(crate) fn verify(&self, hmac: HmacId, packet: &[u8], field: &Range<usize>, expected: &[u8]) -> bool {
        if hmac.hmac_len() != Some(expected.len()) {
            return false;
        }
        match hmac {
            HmacId::SHA1 => over(&self.sha1, packet, field).verify_slice(expected).is_ok(),
            HmacId::SHA256 => over(&self.sha256, packet, field).verify_slice(expected).is_ok(),
            _ => false,
        }
    }
}

fn over<M: Mac + Clone>(keyed: &M, packet: &[u8], field: &Range<usize>) -> M {
    let mut mac = keyed.clone();
    authenticated(packet, field, |piece| mac.update(piece));
    mac
}
