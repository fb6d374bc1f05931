//! Endpoint pair shared keys (RFC 4895 §6.1), and what may be done with them (RFC 6458 §8.1.18, §8.3.3 to §8.3.5).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::AuthKeyError;
use crate::serial::SharedKeyId;

/// A secret, and whether messages are still sent with it.
#[derive(Clone, PartialEq, Eq)]
struct SharedKey {
    secret: Arc<[u8]>,
    deactivated: bool,
}

/// The endpoint pair shared keys of an end point or of an association, one of which is the active one.
///
/// At the start there is key 0, which is empty (the null key), and active. An attacker who has seen the set-up of an
/// association knows all that the null key protects: where that matters, set other keys on both sides, make one of
/// them active, and [deactivate](Self::deactivate) and [remove](Self::remove) key 0 (RFC 4895 §9).
#[derive(Clone, PartialEq, Eq)]
pub struct SharedKeys {
    keys: BTreeMap<SharedKeyId, SharedKey>,
    active: SharedKeyId,
}

impl Default for SharedKeys {
    fn default() -> Self {
        let mut keys = Self {
            keys: BTreeMap::new(),
            active: SharedKeyId(0),
        };
        keys.set(SharedKeyId(0), &[]);
        keys
    }
}

impl fmt::Debug for SharedKeys {
    /// The secrets are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKeys")
            .field("keys", &self.keys.keys().collect::<Vec<_>>())
            .field("active", &self.active)
            .finish()
    }
}

impl SharedKeys {
    /// Sets a key of any length, none included; one of this number is replaced (SCTP_AUTH_KEY).
    pub fn set(&mut self, id: SharedKeyId, secret: &[u8]) {
        let key = SharedKey {
            secret: secret.into(),
            deactivated: false,
        };
        self.keys.insert(id, key);
    }

    /// The key that is used where nothing else is asked for.
    pub const fn active(&self) -> SharedKeyId {
        self.active
    }

    /// Makes a key the active one (SCTP_AUTH_ACTIVE_KEY). It must exist, and must not be deactivated.
    pub fn set_active(&mut self, id: SharedKeyId) -> Result<(), AuthKeyError> {
        if self.get(id)?.deactivated {
            return Err(AuthKeyError::Deactivated);
        }
        self.active = id;
        Ok(())
    }

    /// No more messages are sent with a key; what comes under it is still taken (SCTP_AUTH_DEACTIVATE_KEY). The active
    /// key cannot be deactivated.
    pub fn deactivate(&mut self, id: SharedKeyId) -> Result<(), AuthKeyError> {
        if id == self.active {
            return Err(AuthKeyError::Active);
        }
        let key = self.keys.get_mut(&id).ok_or(AuthKeyError::NoSuchKey)?;
        key.deactivated = true;
        Ok(())
    }

    /// Forgets a key, which must have been deactivated before (SCTP_AUTH_DELETE_KEY).
    pub fn remove(&mut self, id: SharedKeyId) -> Result<(), AuthKeyError> {
        if id == self.active {
            return Err(AuthKeyError::Active);
        }
        if !self.get(id)?.deactivated {
            return Err(AuthKeyError::NotDeactivated);
        }
        self.keys.remove(&id);
        Ok(())
    }

    /// The numbers of all keys, in their order.
    pub fn ids(&self) -> impl Iterator<Item = SharedKeyId> {
        self.keys.keys().copied()
    }

    /// Whether messages may be sent with a key: it exists, and is not deactivated.
    pub fn may_send(&self, id: SharedKeyId) -> bool {
        self.keys.get(&id).is_some_and(|key| !key.deactivated)
    }

    /// Whether a key is deactivated, but not removed.
    pub(crate) fn is_deactivated(&self, id: SharedKeyId) -> bool {
        self.keys.get(&id).is_some_and(|key| key.deactivated)
    }

    /// The bytes of a key.
    pub fn secret(&self, id: SharedKeyId) -> Option<&[u8]> {
        self.keys.get(&id).map(|key| &*key.secret)
    }

    fn get(&self, id: SharedKeyId) -> Result<&SharedKey, AuthKeyError> {
        self.keys.get(&id).ok_or(AuthKeyError::NoSuchKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: SharedKeyId = SharedKeyId(0);
    const ONE: SharedKeyId = SharedKeyId(1);

    #[test]
    fn rfc4895_6_1_at_the_start_there_is_the_null_key() {
        let keys = SharedKeys::default();
        assert_eq!((keys.active(), keys.secret(ZERO)), (ZERO, Some(&[][..])));
        assert_eq!(keys.ids().collect::<Vec<_>>(), [ZERO]);
    }

    #[test]
    fn rfc6458_8_1_18_only_a_key_that_may_send_becomes_active() {
        let mut keys = SharedKeys::default();
        assert_eq!(keys.set_active(ONE), Err(AuthKeyError::NoSuchKey));
        keys.set(ONE, b"secret");
        keys.deactivate(ONE).unwrap();
        assert_eq!(keys.set_active(ONE), Err(AuthKeyError::Deactivated));
        keys.set(ONE, b"another");
        assert_eq!(keys.set_active(ONE), Ok(()));
        assert_eq!(keys.secret(ONE), Some(&b"another"[..]));
    }

    #[test]
    fn rfc6458_8_3_5_only_a_deactivated_key_is_deleted() {
        let mut keys = SharedKeys::default();
        assert_eq!(keys.deactivate(ZERO), Err(AuthKeyError::Active));
        assert_eq!(keys.remove(ZERO), Err(AuthKeyError::Active));
        keys.set(ONE, b"secret");
        keys.set_active(ONE).unwrap();
        assert_eq!(keys.remove(ZERO), Err(AuthKeyError::NotDeactivated));
        keys.deactivate(ZERO).unwrap();
        assert!(!keys.may_send(ZERO) && keys.secret(ZERO).is_some(), "it still receives");
        assert_eq!(keys.remove(ZERO), Ok(()));
        assert_eq!(keys.remove(ZERO), Err(AuthKeyError::NoSuchKey));
        assert_eq!(keys.deactivate(ZERO), Err(AuthKeyError::NoSuchKey));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let mut keys = SharedKeys::default();
        keys.set(ONE, &[0xab; 3]);
        let text = format!("{keys:?} {:?}", SharedKeys::default());
        assert!(!text.contains("171") && !text.contains("ab"), "{text}");
    }
}
