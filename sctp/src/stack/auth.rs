//! AUTH (RFC 4895) from the outside: COOKIE ECHO under it, and the user's commands about keys (RFC 6458 §8).

use std::sync::Arc;

use super::{AssocId, EndpointId, Stack};
use crate::assoc::{StateCookie, auth_in};
use crate::auth::{Authenticator, ChunkSet, Verdict};
use crate::config::{AuthConfig, SharedKeys};
use crate::error::AuthKeyError;
use crate::serial::SharedKeyId;
use crate::wire::{ChunkType, RawChunk};

impl Stack {
    /// Whether a COOKIE ECHO, maybe behind an AUTH, is to be looked at, and whether it is authenticated (RFC 4895
    /// §6.3). `None` discards the packet.
    pub(super) fn admit_cookie(
        &mut self,
        packet: &[u8],
        auth: Option<&RawChunk<'_>>,
        endpoint: EndpointId,
        existing: Option<AssocId>,
        cookie: &StateCookie,
    ) -> Option<bool> {
        let slot = existing.and_then(|id| self.table.get_mut(id));
        // The keys of an association that is there count, once it has any.
        if let Some(slot) = slot.filter(|slot| slot.assoc.has_auth()) {
            return slot.assoc.admit_first(packet, auth, ChunkType::COOKIE_ECHO);
        }
        let Some(own) = &cookie.auth else {
            // What is behind a chunk of a type that is not known is not looked at.
            return auth.is_none().then_some(false);
        };
        let Some(chunk) = auth else {
            let required = own.chunk_set().contains(ChunkType::COOKIE_ECHO);
            return (!required).then_some(false);
        };
        // Nothing is kept but what the cookie says: the keys are computed for this packet.
        let of_association = existing.and_then(|id| self.table.get(id)?.assoc.shared_keys());
        let of_endpoint = self.endpoints.get(endpoint).map(|e| e.association.auth().keys());
        let mut checker = Authenticator::new(own.clone(), of_association.or(of_endpoint)?.clone());
        checker.set_peer(cookie.peer.auth.as_ref());
        let verdict = checker.verify(&auth_in(packet, chunk)?);
        matches!(verdict, Verdict::Valid { .. }).then_some(true)
    }

    // End points.

    /// Which chunks the end point's new associations authenticate, and their keys.
    pub fn endpoint_auth(&self, endpoint: EndpointId) -> Option<&AuthConfig> {
        self.endpoints.get(endpoint).map(|endpoint| endpoint.association.auth())
    }

    /// The same, to be changed. Changes hold for associations that begin later, whichever side opens them: those that
    /// exist have keys of their own.
    pub fn endpoint_auth_mut(&mut self, endpoint: EndpointId) -> Option<&mut AuthConfig> {
        let endpoint = self.endpoints.get_mut(endpoint)?;
        Some(Arc::make_mut(&mut endpoint.association).auth_mut())
    }

    // Associations.

    /// Sets an endpoint pair shared key of an association, which may replace one (SCTP_AUTH_KEY, RFC 6458 §8.3.3). Both
    /// sides need it under the same number. The secret may be empty.
    pub fn set_auth_key(&mut self, assoc: AssocId, key: SharedKeyId, secret: &[u8]) -> Result<(), AuthKeyError> {
        let slot = self.table.get_mut(assoc).ok_or(AuthKeyError::NoSuchAssociation)?;
        slot.assoc.set_auth_key(key, secret)
    }

    /// Authenticates what is sent with this key (SCTP_AUTH_ACTIVE_KEY, RFC 6458 §8.1.18). Messages that were queued
    /// before keep the key that was active then.
    pub fn set_active_auth_key(&mut self, assoc: AssocId, key: SharedKeyId) -> Result<(), AuthKeyError> {
        let slot = self.table.get_mut(assoc).ok_or(AuthKeyError::NoSuchAssociation)?;
        slot.assoc.set_active_auth_key(key)
    }

    /// Sends nothing more with this key, but for what was queued with it; what the peer sends with it is still taken
    /// (SCTP_AUTH_DEACTIVATE_KEY, RFC 6458 §8.3.4). [`AuthEvent::FreeKey`](crate::AuthEvent::FreeKey) tells when the
    /// last message that was queued with it is acknowledged or given up. The active key cannot be deactivated.
    pub fn deactivate_auth_key(&mut self, assoc: AssocId, key: SharedKeyId) -> Result<(), AuthKeyError> {
        let slot = self.table.get_mut(assoc).ok_or(AuthKeyError::NoSuchAssociation)?;
        let done = slot.assoc.deactivate_auth_key(key);
        self.settle(assoc);
        done
    }

    /// Forgets a key, which must be deactivated and not in use (SCTP_AUTH_DELETE_KEY, RFC 6458 §8.3.5). What the peer
    /// sends with it is dropped from then on.
    pub fn delete_auth_key(&mut self, assoc: AssocId, key: SharedKeyId) -> Result<(), AuthKeyError> {
        let slot = self.table.get_mut(assoc).ok_or(AuthKeyError::NoSuchAssociation)?;
        slot.assoc.delete_auth_key(key)
    }

    /// The endpoint pair shared keys of an association; `None` if it does not exist or does not offer AUTH.
    pub fn auth_keys(&self, assoc: AssocId) -> Option<&SharedKeys> {
        self.table.get(assoc)?.assoc.shared_keys()
    }

    /// The chunk types that this side takes only authenticated, in their order (SCTP_LOCAL_AUTH_CHUNKS, RFC 6458
    /// §8.2.4); `None` if there is no such association.
    pub fn local_auth_chunks(&self, assoc: AssocId) -> Option<Vec<ChunkType>> {
        let (local, _): (ChunkSet, ChunkSet) = self.table.get(assoc)?.assoc.auth_chunks();
        Some(local.iter().collect())
    }

    /// The chunk types that the peer takes only authenticated, in their order (SCTP_PEER_AUTH_CHUNKS, RFC 6458 §8.2.3);
    /// `None` if there is no such association.
    pub fn peer_auth_chunks(&self, assoc: AssocId) -> Option<Vec<ChunkType>> {
        let (_, peer): (ChunkSet, ChunkSet) = self.table.get(assoc)?.assoc.auth_chunks();
        Some(peer.iter().collect())
    }
}
