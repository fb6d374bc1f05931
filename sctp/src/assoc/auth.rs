//! AUTH (RFC 4895): what is said of it at set-up, which received chunks it lets through, and the AUTH chunks of packets
//! that leave.

use super::causes::causes;
use super::{Association, PeerInit, StateCookie};
use crate::auth::{AuthIn, AuthParams, Authenticator, ChunkSet, RANDOM_LEN, Verdict, list_interleaved};
use crate::config::{AssociationConfig, SharedKeys};
use crate::error::AuthKeyError;
use crate::event::{AuthEvent, Event};
use crate::random::Random;
use crate::serial::SharedKeyId;
use crate::tlv::{Reader, Writer};
use crate::wire::{
    self, Auth, Cause, ChunkType, Chunks, CommonHeader, HmacId, Param, RawChunk, fill_in_hmac, hmac_range, write_auth,
    write_hmac_algorithms,
};

/// What is to be done with the next chunk of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It is processed.
    Process,
    /// It is dropped, and the next one looked at.
    Skip,
    /// It and what follows is dropped.
    Stop,
}

/// Whether AUTH is offered by associations of this configuration. ASCONF needs it (RFC 5061 §4.2.7).
pub(super) fn offers_auth(config: &AssociationConfig) -> bool {
    config.auth().is_offered() || config.asconf().is_authenticated()
}

/// The chunk types that associations of this configuration take only when they are authenticated.
fn listed_chunks(config: &AssociationConfig) -> Vec<ChunkType> {
    let mut listed: Vec<ChunkType> = config.auth().chunks().collect();
    if config.asconf().is_authenticated() {
        // RFC 5061 §4.1.1, §4.1.2.
        let needed = [ChunkType::ASCONF, ChunkType::ASCONF_ACK];
        listed.extend(
            needed
                .into_iter()
                .filter(|kind| !config.auth().chunks().any(|chunk| chunk == *kind)),
        );
    }
    listed
}

/// What a new association of this configuration says of AUTH, if it offers it.
pub(crate) fn own_auth(config: &AssociationConfig, random: &mut Random) -> Option<AuthParams> {
    offers_auth(config).then(|| {
        let mut listed = listed_chunks(config);
        if config.interleaving().offered() {
            // Otherwise what must be authenticated as DATA would be taken as I-DATA without.
            list_interleaved(&mut listed);
        }
        Authenticator::offer(config.auth(), &listed, random)
    })
}

/// Writes the parameters of an INIT or INIT ACK (RFC 4895 §3).
pub(super) fn write_auth_params(w: &mut Writer<'_>, auth: &AuthParams) {
    Param::Random(&auth.random).write(w);
    if let Some(chunks) = &auth.chunks {
        Param::ChunkList(chunks).write(w);
    }
    let hmacs: Vec<HmacId> = auth.hmacs.iter().map(|&id| HmacId(id)).collect();
    write_hmac_algorithms(w, &hmacs);
}

/// Writes the parameters for a State Cookie. Endpoint pair shared keys never go there (§6.3).
pub(super) fn write_auth_to_cookie(w: &mut Writer<'_>, auth: &AuthParams) {
    w.bytes(&auth.random);
    w.u16(
        auth.chunks
            .as_ref()
            .map_or(u16::MAX, |chunks| u16::try_from(chunks.len()).unwrap_or(0)),
    );
    w.bytes(auth.chunks.as_deref().unwrap_or_default());
    w.u16(u16::try_from(auth.hmacs.len()).unwrap_or(0));
    auth.hmacs.iter().for_each(|&id| w.u16(id));
}

/// Reads what [`write_auth_to_cookie`] wrote.
pub(super) fn read_auth_from_cookie(r: &mut Reader<'_>) -> Option<AuthParams> {
    let random = r.take(RANDOM_LEN, "random").ok()?.try_into().ok()?;
    let chunks = match r.u16("chunks").ok()? {
        u16::MAX => None,
        len => Some(r.take(len.into(), "chunks").ok()?.to_vec()),
    };
    let hmacs = (0..r.u16("HMACs").ok()?)
        .map(|_| r.u16("HMAC").ok())
        .collect::<Option<_>>()?;
    Some(AuthParams { random, chunks, hmacs })
}

/// The AUTH at the head of a packet, and the chunk behind it; for a packet without one, its first chunk.
pub(crate) fn behind_auth<'a>(
    mut chunks: Chunks<'a>,
    first: &RawChunk<'a>,
) -> Option<(Option<RawChunk<'a>>, RawChunk<'a>)> {
    if first.kind != ChunkType::AUTH {
        return Some((None, *first));
    }
    chunks.next();
    chunks.next()?.ok().map(|second| (Some(*first), second))
}

/// An AUTH chunk in its packet; `None` if it cannot be read.
pub(crate) fn auth_in<'a>(packet: &'a [u8], chunk: &RawChunk<'a>) -> Option<AuthIn<'a>> {
    let auth = Auth::parse(chunk.value).ok()?;
    Some(AuthIn {
        shared_key: auth.shared_key,
        hmac_id: auth.hmac_id,
        hmac: auth.hmac,
        packet,
        field: hmac_range(chunk),
    })
}

impl Association {
    // Set-up.

    /// Begins the own side, with what it says of itself.
    pub(super) fn begin_auth(&mut self, own: Option<AuthParams>) {
        let keys = self.config.auth().keys();
        self.auth = own.map(|own| Box::new(Authenticator::new(own, keys.clone())));
    }

    /// The parameters for the own INIT.
    pub(super) fn own_auth(&self) -> Option<&AuthParams> {
        self.auth.as_ref().map(|auth| auth.own())
    }

    /// The parameters for an INIT ACK under the tag `tag`: the random number goes along with the tag (§6.1), so a tag
    /// of its own gets another one.
    pub(crate) fn auth_for_init_ack(
        &self,
        tag: crate::serial::VerificationTag,
        random: &mut Random,
    ) -> Option<AuthParams> {
        if tag == self.local_tag {
            self.own_auth().cloned()
        } else {
            own_auth(&self.config, random)
        }
    }

    /// Takes in what the peer said of AUTH.
    pub(super) fn adopt_auth(&mut self, peer: &PeerInit) {
        if let Some(auth) = &mut self.auth {
            auth.set_peer(peer.auth.as_ref());
        }
        if !self.has_auth() {
            let failures = self.outbound.fail_keyed();
            self.events.extend(failures.into_iter().map(Event::SendFailed));
        }
    }

    /// The peer restarted with the cookie: both sides have new parameters, and so new keys (§6.3).
    pub(super) fn restart_auth(&mut self, cookie: &StateCookie) {
        match (&mut self.auth, &cookie.auth) {
            (Some(auth), Some(own)) => auth.begin_anew(own.clone()),
            _ => self.begin_auth(cookie.auth.clone()),
        }
        self.adopt_auth(&cookie.peer);
    }

    /// Tells the user if it wanted AUTH and the peer does not take part.
    pub(super) fn tell_no_auth(&mut self) {
        if self.auth.as_ref().is_some_and(|auth| !auth.is_negotiated()) {
            self.tell(Event::Authentication(AuthEvent::NoAuth));
        }
    }

    // What both sides do.

    /// Whether both sides take part in AUTH.
    pub(crate) fn has_auth(&self) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.is_negotiated())
    }

    /// Whether chunks of this type leave authenticated.
    pub(crate) fn sends_authenticated(&self, kind: ChunkType) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.protects(kind))
    }

    /// Whether chunks of this type are taken only when they are authenticated.
    pub(crate) fn takes_only_authenticated(&self, kind: ChunkType) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.requires(kind))
    }

    // Keys.

    /// Whether a message may ask for a key.
    pub(super) fn may_send_with(&mut self, key: SharedKeyId) -> bool {
        let setup = self.phase().is_setup();
        let auth = self.auth.as_mut().filter(|auth| setup || auth.is_negotiated());
        auth.is_some_and(|auth| auth.use_key(key))
    }

    /// The endpoint pair shared keys, if AUTH is offered.
    pub(crate) fn shared_keys(&self) -> Option<&SharedKeys> {
        self.auth.as_ref().map(|auth| auth.shared_keys())
    }

    /// What this side takes only authenticated, and what the peer does.
    pub(crate) fn auth_chunks(&self) -> (ChunkSet, ChunkSet) {
        let auth = self.auth.as_ref();
        auth.map(|auth| (auth.required(), auth.requested())).unwrap_or_default()
    }

    /// Sets an endpoint pair shared key.
    pub(crate) fn set_auth_key(&mut self, key: SharedKeyId, secret: &[u8]) -> Result<(), AuthKeyError> {
        let auth = self.auth.as_mut().ok_or(AuthKeyError::NotOffered)?;
        auth.set_key(key, secret);
        Ok(())
    }

    /// Makes a key the active one, for what is given to be sent from now on.
    pub(crate) fn set_active_auth_key(&mut self, key: SharedKeyId) -> Result<(), AuthKeyError> {
        let auth = self.auth.as_mut().ok_or(AuthKeyError::NotOffered)?;
        if let Some(before) = auth.set_active_key(key)? {
            self.outbound.keep_key(before);
        }
        Ok(())
    }

    /// Sends nothing more with a key.
    pub(crate) fn deactivate_auth_key(&mut self, key: SharedKeyId) -> Result<(), AuthKeyError> {
        let auth = self.auth.as_mut().ok_or(AuthKeyError::NotOffered)?;
        auth.deactivate_key(key)?;
        self.tell_unused_keys();
        Ok(())
    }

    /// Forgets a key.
    pub(crate) fn delete_auth_key(&mut self, key: SharedKeyId) -> Result<(), AuthKeyError> {
        let auth = self.auth.as_mut().ok_or(AuthKeyError::NotOffered)?;
        if self.outbound.uses_key(key) {
            return Err(AuthKeyError::InUse);
        }
        auth.delete_key(key)
    }

    /// Tells the user which deactivated keys no message uses any more.
    #[inline]
    pub(super) fn tell_unused_keys(&mut self) {
        let Some(auth) = &mut self.auth else { return };
        let outbound = &self.outbound;
        let mut unused = Vec::new();
        while let Some(key) = auth.take_unused(|key| outbound.uses_key(key)) {
            unused.push(key);
        }
        for key in unused {
            self.tell(Event::Authentication(AuthEvent::FreeKey(key)));
        }
    }

    // Receiving.

    /// What to do with the next chunk of `packet` (§6.3). `authenticated` says whether a valid AUTH came before.
    pub(super) fn pass_gate(&mut self, packet: &[u8], chunk: &RawChunk<'_>, authenticated: &mut bool) -> Gate {
        let Some(auth) = &self.auth else { return Gate::Process };
        if chunk.kind == ChunkType::AUTH {
            // §5.1: there must be but one in a packet.
            if *authenticated || !self.check_auth(packet, chunk) {
                return Gate::Stop;
            }
            *authenticated = true;
            return Gate::Skip;
        }
        if !*authenticated && auth.requires(chunk.kind) {
            self.stats.unauthenticated_chunks_dropped += 1;
            return Gate::Skip;
        }
        Gate::Process
    }

    /// Whether an AUTH chunk is valid.
    fn check_auth(&mut self, packet: &[u8], chunk: &RawChunk<'_>) -> bool {
        let (Some(auth), Some(input)) = (&mut self.auth, auth_in(packet, chunk)) else {
            return false;
        };
        match auth.verify(&input) {
            Verdict::Valid { new_key } => {
                self.stats.auth_chunks_received += 1;
                if let Some(key) = new_key {
                    self.tell(Event::Authentication(AuthEvent::NewKey(key)));
                }
                return true;
            }
            Verdict::UnsupportedHmac => {
                let cause = causes(|w| Cause::UnsupportedHmacIdentifier(input.hmac_id).write(w));
                self.control.push_error(cause);
            }
            Verdict::Invalid => {}
        }
        self.stats.auth_failures += 1;
        false
    }

    /// Whether the chunk of type `kind` at the head of a packet, maybe behind an AUTH, is to be looked at, and whether
    /// it is authenticated. `None` discards the packet.
    pub(crate) fn admit_first(&mut self, packet: &[u8], auth: Option<&RawChunk<'_>>, kind: ChunkType) -> Option<bool> {
        match auth {
            Some(chunk) => (self.auth.is_some() && self.check_auth(packet, chunk)).then_some(true),
            None if self.takes_only_authenticated(kind) => {
                self.stats.unauthenticated_chunks_dropped += 1;
                None
            }
            None => Some(false),
        }
    }

    // Sending.

    /// Bytes to be left for an AUTH in packets with user data.
    pub(super) fn data_auth_len(&self) -> usize {
        self.auth.as_ref().map_or(0, |auth| auth.data_overhead())
    }

    /// Bytes to be left for an AUTH in packets with other chunks.
    pub(super) fn control_auth_len(&self) -> usize {
        self.auth.as_ref().map_or(0, |auth| auth.chunk_len())
    }

    /// Whether a packet that begins with `chunks` needs an AUTH.
    pub(super) fn needs_auth(&self, chunks: &[u8]) -> bool {
        let mut kinds = Chunks::new(chunks, 0).map_while(Result::ok).map(|chunk| chunk.kind);
        kinds.any(|kind| self.sends_authenticated(kind))
    }

    /// Puts an AUTH before the first chunk that must be authenticated, in the packet that starts at `start` and reaches
    /// to the end of `buf` (§6.2). `key` is the key that the user data in it asks for; that is authenticated then,
    /// whether the peer wants it or not.
    pub(super) fn authenticate(&mut self, buf: &mut Vec<u8>, start: usize, key: Option<SharedKeyId>) {
        let Some(auth) = &mut self.auth else { return };
        let Some((key_id, hmac)) = auth.sending(key) else {
            return;
        };
        let chunks = buf.get(start + CommonHeader::LEN..).unwrap_or_default();
        let is_data = |kind: ChunkType| matches!(kind, ChunkType::DATA | ChunkType::I_DATA);
        let first = Chunks::new(chunks, start + CommonHeader::LEN)
            .map_while(Result::ok)
            .find(|chunk| auth.protects(chunk.kind) || (key.is_some() && is_data(chunk.kind)));
        let Some(at) = first.map(|chunk| chunk.offset) else {
            return;
        };
        let end = buf.len();
        write_auth(buf, key_id, hmac, hmac.hmac_len().unwrap_or_default());
        let len = buf.len() - end;
        if let Some(rest) = buf.get_mut(at..) {
            rest.rotate_right(len);
        }
        let field = at + wire::AUTH_HEADER_LEN..at + wire::AUTH_HEADER_LEN + hmac.hmac_len().unwrap_or_default();
        if let Some(mac) = auth.sign(key_id, hmac, buf, &field) {
            fill_in_hmac(buf, field, mac.as_slice());
            self.stats.auth_chunks_sent += 1;
            self.note_sent(ChunkType::AUTH);
        }
    }
}
