//! Options about authenticated chunks (RFC 4895; RFC 6458 §8.1.17, §8.1.18, §8.3.2 to §8.3.5).

use super::Options;
use crate::backend::dispatch;
use crate::{ChunkType, HmacId, Result, SharedKeyId};

impl Options {
    /// The HMACs that the peer may use, the one liked best first (`SCTP_HMAC_IDENT`, RFC 6458 §8.1.17).
    pub fn hmac_ident(&self) -> Result<Vec<HmacId>> {
        self.get(|config| config.auth().hmacs().to_vec())
    }

    /// Sets the HMACs that the peer may use in new associations: SHA-1, and SHA-256 or not.
    pub fn set_hmac_ident(&self, hmacs: &[HmacId]) -> Result<()> {
        self.set(|config| config.auth_mut().set_hmacs(hmacs))
    }

    /// Takes chunks of this type only when they are authenticated, in new associations (`SCTP_AUTH_CHUNK`, RFC 6458
    /// §8.3.2). INIT, INIT ACK, SHUTDOWN COMPLETE and AUTH cannot be.
    pub fn auth_chunk(&self, kind: ChunkType) -> Result<()> {
        self.set(|config| config.auth_mut().require(kind))
    }

    /// The chunk types that new associations take only authenticated (`SCTP_LOCAL_AUTH_CHUNKS` with
    /// `SCTP_FUTURE_ASSOC`, RFC 6458 §8.2.4); of an association, those that it does.
    pub fn local_auth_chunks(&self) -> Result<Vec<ChunkType>> {
        self.get(|config| config.auth().chunks().collect())
    }

    /// Sets a shared key, which may replace one (`SCTP_AUTH_KEY`, RFC 6458 §8.3.3). The peer needs it under the same
    /// number.
    ///
    /// Keys of a socket are what new associations start with. Commands about keys fail with
    /// [`Error::AuthKey`](crate::Error::AuthKey) where authentication is not offered.
    pub fn set_auth_key(&self, key: SharedKeyId, secret: &[u8]) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.set_auth_key(key, secret))
    }

    /// The key that is used where a message names none (`SCTP_AUTH_ACTIVE_KEY`, RFC 6458 §8.1.18); 0 at first.
    pub fn auth_active_key(&self) -> Result<SharedKeyId> {
        dispatch!(AnyTarget, self.0, target => target.active_auth_key())
    }

    /// Uses this key where a message names none. Messages that are queued keep theirs.
    ///
    /// Fails with [`Error::NoSuchKey`](crate::Error::NoSuchKey), or [`Error::AuthKey`](crate::Error::AuthKey) for a
    /// deactivated key.
    pub fn set_auth_active_key(&self, key: SharedKeyId) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.set_active_auth_key(key))
    }

    /// Sends nothing more with this key, but for what is queued with it (`SCTP_AUTH_DEACTIVATE_KEY`, RFC 6458 §8.3.4).
    /// [`AuthEvent::FreeKey`](crate::AuthEvent::FreeKey) tells when nothing is left.
    ///
    /// Fails with [`Error::NoSuchKey`](crate::Error::NoSuchKey), or [`Error::AuthKey`](crate::Error::AuthKey) for the
    /// active key.
    pub fn auth_deactivate_key(&self, key: SharedKeyId) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.deactivate_auth_key(key))
    }

    /// Forgets a deactivated key that is not in use (`SCTP_AUTH_DELETE_KEY`, RFC 6458 §8.3.5).
    ///
    /// Fails with [`Error::NoSuchKey`](crate::Error::NoSuchKey), or [`Error::AuthKey`](crate::Error::AuthKey) for one
    /// that cannot be forgotten yet.
    pub fn auth_delete_key(&self, key: SharedKeyId) -> Result<()> {
        dispatch!(AnyTarget, self.0, target => target.delete_auth_key(key))
    }
}
