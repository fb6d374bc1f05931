//! Authenticated chunks (RFC 4895): who wants what authenticated, keys, and HMACs over packets. It does not read or
//! write packets.

mod hmac;
mod keys;
mod policy;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::config::{AuthConfig, SharedKeys};
use crate::error::AuthKeyError;
use crate::random::Random;
use crate::serial::SharedKeyId;
use crate::tlv::padded;
use crate::wire::{AUTH_HEADER_LEN, ChunkType, HmacId};

pub(crate) use hmac::HmacBytes;
pub(crate) use policy::{AuthParams, AuthParamsReader, ChunkSet, RANDOM_LEN, list_interleaved};

use keys::AssociationKeys;

/// An AUTH chunk that came, with the packet around it.
#[derive(Clone, Debug)]
pub(crate) struct AuthIn<'a> {
    pub(crate) shared_key: SharedKeyId,
    pub(crate) hmac_id: HmacId,
    pub(crate) hmac: &'a [u8],
    /// The whole packet.
    pub(crate) packet: &'a [u8],
    /// Where in it the HMAC lies.
    pub(crate) field: Range<usize>,
}

/// What an AUTH chunk is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What follows it is the peer's.
    Valid {
        /// The peer uses this key from now on, and used another one before.
        new_key: Option<SharedKeyId>,
    },
    /// Its HMAC was not offered (§6.3).
    UnsupportedHmac,
    /// It is wrong, or of a key that is not there; what follows it is discarded.
    Invalid,
}

/// AUTH in one association.
#[derive(Clone, Debug)]
pub(crate) struct Authenticator {
    own: AuthParams,
    /// What the peer must authenticate.
    required: ChunkSet,
    shared: SharedKeys,
    /// Present once the peer is known, and takes part.
    session: Option<Session>,
    /// The key that the peer used last.
    peer_key: SharedKeyId,
    /// Deactivated keys that are still used, which the user wants to know the end of.
    leaving: Vec<SharedKeyId>,
    /// A message asked for a certain key.
    keyed: bool,
}

/// What is sent authenticated to a peer that asks for `requested`. ASCONF and ASCONF-ACK always are (RFC 5061 §4.1).
fn protected(requested: ChunkSet) -> ChunkSet {
    let mut protected = requested.with_interleaved();
    protected.insert(ChunkType::ASCONF);
    protected.insert(ChunkType::ASCONF_ACK);
    protected
}

/// What both sides agreed on.
#[derive(Clone, Debug)]
struct Session {
    /// What the peer wants authenticated.
    requested: ChunkSet,
    /// What is sent authenticated: that, what stands for it, and what always is.
    protected: ChunkSet,
    /// The HMAC to send with.
    hmac: HmacId,
    keys: AssociationKeys,
}

impl Authenticator {
    /// The own side, with what it said or is about to say.
    pub(crate) fn new(own: AuthParams, shared: SharedKeys) -> Self {
        Self {
            required: own.chunk_set(),
            own,
            peer_key: SharedKeyId(0),
            shared,
            session: None,
            leaving: Vec::new(),
            keyed: false,
        }
    }

    /// What to say of the own side in an INIT or INIT ACK that lists `chunks`.
    pub(crate) fn offer(config: &AuthConfig, chunks: &[ChunkType], random: &mut Random) -> AuthParams {
        let listed: Vec<u8> = chunks.iter().map(|kind| kind.0).collect();
        AuthParams {
            random: random.child_seed(),
            chunks: (!listed.is_empty()).then_some(listed),
            hmacs: config.hmacs().iter().map(|hmac| hmac.0).collect(),
        }
    }

    pub(crate) const fn own(&self) -> &AuthParams {
        &self.own
    }

    /// Takes in what the peer said; `None` if it does not take part. Keys follow from it (§6.1).
    pub(crate) fn set_peer(&mut self, peer: Option<&AuthParams>) {
        self.session = peer.map(|peer| Session {
            requested: peer.chunk_set(),
            protected: protected(peer.chunk_set()),
            hmac: peer.preferred_hmac(),
            keys: AssociationKeys::new(&self.own, peer),
        });
        self.peer_key = SharedKeyId(0);
    }

    /// A restart: the own side says something new, while the endpoint pair shared keys stay.
    pub(crate) fn begin_anew(&mut self, own: AuthParams) {
        self.required = own.chunk_set();
        self.own = own;
        self.session = None;
    }

    /// Whether both sides take part.
    pub(crate) const fn is_negotiated(&self) -> bool {
        self.session.is_some()
    }

    /// Whether chunks of this type are taken only when they are authenticated (§6.3).
    pub(crate) fn requires(&self, kind: ChunkType) -> bool {
        self.required.contains(kind)
    }

    /// What the peer must authenticate.
    pub(crate) const fn required(&self) -> ChunkSet {
        self.required
    }

    /// What the peer wants authenticated.
    pub(crate) fn requested(&self) -> ChunkSet {
        self.session
            .as_ref()
            .map_or_else(ChunkSet::default, |session| session.requested)
    }

    /// Whether chunks of this type are sent authenticated (§6.2).
    pub(crate) fn protects(&self, kind: ChunkType) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.protected.contains(kind))
    }

    /// Bytes of an AUTH chunk with padding; zero if the peer does not take part.
    pub(crate) fn chunk_len(&self) -> usize {
        self.session.as_ref().map_or(0, |session| {
            padded(AUTH_HEADER_LEN + session.hmac.hmac_len().unwrap_or_default())
        })
    }

    /// Bytes to be left in packets with user data.
    pub(crate) fn data_overhead(&self) -> usize {
        if self.keyed || self.protects_data() {
            self.chunk_len()
        } else {
            0
        }
    }

    fn protects_data(&self) -> bool {
        self.protects(ChunkType::DATA) || self.protects(ChunkType::I_DATA)
    }

    /// The key and HMAC to send with, where `wanted` is the key that a message asks for. `None` if the peer does not
    /// take part.
    pub(crate) fn sending(&self, wanted: Option<SharedKeyId>) -> Option<(SharedKeyId, HmacId)> {
        let session = self.session.as_ref()?;
        Some((wanted.unwrap_or_else(|| self.shared.active()), session.hmac))
    }

    /// The HMAC of the packet at the end of `packet`, in which the field for it lies at `field`.
    pub(crate) fn sign(
        &mut self,
        key: SharedKeyId,
        hmac: HmacId,
        packet: &[u8],
        field: &Range<usize>,
    ) -> Option<HmacBytes> {
        let session = self.session.as_mut()?;
        session.keys.get(key, &self.shared)?.compute(hmac, packet, field)
    }

    /// Checks an AUTH chunk (§6.3).
    pub(crate) fn verify(&mut self, auth: &AuthIn<'_>) -> Verdict {
        let Some(session) = &mut self.session else {
            return Verdict::Invalid;
        };
        if !self.own.accepts(auth.hmac_id) {
            return Verdict::UnsupportedHmac;
        }
        let key = session.keys.get(auth.shared_key, &self.shared);
        let fits = |key: &hmac::AssociationKey| key.verify(auth.hmac_id, auth.packet, &auth.field, auth.hmac);
        if !key.is_some_and(fits) {
            return Verdict::Invalid;
        }
        let before = std::mem::replace(&mut self.peer_key, auth.shared_key);
        Verdict::Valid {
            new_key: (before != auth.shared_key).then_some(auth.shared_key),
        }
    }

    // Keys.

    /// The endpoint pair shared keys.
    pub(crate) const fn shared_keys(&self) -> &SharedKeys {
        &self.shared
    }

    /// Whether messages may be sent with a key. From the first one on, packets leave room for AUTH.
    pub(crate) fn use_key(&mut self, id: SharedKeyId) -> bool {
        let usable = self.shared.may_send(id);
        self.keyed |= usable;
        usable
    }

    pub(crate) fn set_key(&mut self, id: SharedKeyId, secret: &[u8]) {
        self.shared.set(id, secret);
        self.leaving.retain(|leaving| *leaving != id);
        self.forget(id);
    }

    /// Makes a key the active one. Messages that were given before keep the one that was, which is the answer if there
    /// was another one and it matters to them.
    pub(crate) fn set_active_key(&mut self, id: SharedKeyId) -> Result<Option<SharedKeyId>, AuthKeyError> {
        let before = self.shared.active();
        self.shared.set_active(id)?;
        // Where user data leaves without AUTH its fragments were cut without room for one, and need no key.
        let matters = before != id && (self.session.is_none() || self.protects_data());
        self.keyed |= matters;
        Ok(matters.then_some(before))
    }

    /// Stops sending with a key. The user is told by [`take_unused`](Self::take_unused) when the last message left it.
    pub(crate) fn deactivate_key(&mut self, id: SharedKeyId) -> Result<(), AuthKeyError> {
        if !self.shared.is_deactivated(id) {
            self.shared.deactivate(id)?;
            self.leaving.push(id);
        }
        Ok(())
    }

    pub(crate) fn delete_key(&mut self, id: SharedKeyId) -> Result<(), AuthKeyError> {
        self.shared.remove(id)?;
        self.leaving.retain(|leaving| *leaving != id);
        self.forget(id);
        Ok(())
    }

    fn forget(&mut self, id: SharedKeyId) {
        if let Some(session) = &mut self.session {
            session.keys.forget(id);
        }
    }

    /// A deactivated key that is not `used` any more, each once.
    pub(crate) fn take_unused(&mut self, used: impl Fn(SharedKeyId) -> bool) -> Option<SharedKeyId> {
        let at = self.leaving.iter().position(|id| !used(*id))?;
        Some(self.leaving.remove(at))
    }
}
