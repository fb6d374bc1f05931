//! The answering side of set-up (RFC 9260 §5.1, §5.2): nothing is kept until a cookie of ours comes back.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::origin::Origin;
use super::spent::Use;
use super::{AssocId, EndpointId, Stack};
use crate::assoc::{
    Association, AssociationPhase, CookieAction, Identity, InitReply, LocalSide, PacketIn, ParsedInit, PeerInit,
    StateCookie, TieTags, bounded, causes, own_auth, own_init, refusal_causes, write_own_params,
};
use crate::auth::AuthParams;
use crate::config::AssociationConfig;
use crate::error::Violation;
use crate::recv::Payloads;
use crate::serial::Tsn;
use crate::time::Instant;
use crate::transmit::{RxMeta, UdpPorts};
use crate::wire::{self, Cause, ChunkType, CommonHeader, CookieEcho, Init, InitFixed, Packet, Param, RawChunk};

impl Stack {
    /// A packet with an INIT, or under a tag of zero: it must hold one INIT and nothing else (§8.5.1 A).
    pub(super) fn on_init_packet(&mut self, now: Instant, meta: &RxMeta, packet: &Packet<'_>, first: &RawChunk<'_>) {
        let zero_tag = packet.header.verification_tag.0 == 0;
        let alone = packet.check_bundling().is_ok() && first.kind == ChunkType::INIT;
        if !zero_tag || !alone {
            self.stats.bad_verification_tag += 1;
            return;
        }
        let Ok(init) = Init::parse(first.value) else {
            self.stats.malformed += 1;
            return;
        };
        self.stats.control_chunks_received += 1;
        let initiate_tag = init.fixed.initiate_tag;
        let parsed = match PeerInit::parse(&init) {
            Ok(parsed) => parsed,
            Err(refusal) => {
                self.stats.malformed += 1;
                // §3.3.2: a tag of zero is not even answered.
                if refusal.violation != Violation::ZeroInitiateTag && Self::is_answerable(meta) {
                    let causes = refusal_causes(&refusal);
                    self.answer(now, meta, packet, initiate_tag, |buf| {
                        wire::write_abort(buf, false, |w| w.bytes(&causes));
                    });
                }
                return;
            }
        };
        if !Self::is_answerable(meta) {
            self.stats.out_of_the_blue += 1;
            return;
        }
        let own = (meta.dst, packet.header.destination_port);
        let endpoint = self.endpoints.find(own.0, own.1);
        let existing = self.find_peer(own, meta, packet, &parsed.peer);
        match (endpoint, existing) {
            (Some(_), Some(id)) => self.on_init_again(now, meta, packet, &parsed, id),
            (Some(endpoint), None) => self.on_new_init(now, meta, packet, &parsed, endpoint),
            (None, _) => self.refuse_init(now, meta, packet, &parsed.peer, &Bytes::new()),
        }
    }

    /// The association that an INIT is about (§5.2): by where it came from, or by an address it lists.
    fn find_peer(&self, own: (IpAddr, u16), meta: &RxMeta, packet: &Packet<'_>, peer: &PeerInit) -> Option<AssocId> {
        let port = packet.header.source_port;
        let mut addresses = std::iter::once(meta.src).chain(peer.addresses.iter().copied());
        addresses.find_map(|address| self.association_with(own, address, port))
    }

    /// The association between an own transport address and a peer's.
    fn association_with(&self, own: (IpAddr, u16), peer: IpAddr, peer_port: u16) -> Option<AssocId> {
        let takers = self.endpoints.takers(own.0, own.1);
        self.table.by_peer_of(takers, peer, peer_port)
    }

    /// §8.4 rule 3: the ABORT bears the tag of the INIT.
    fn refuse_init(&mut self, now: Instant, meta: &RxMeta, packet: &Packet<'_>, peer: &PeerInit, causes: &Bytes) {
        self.stats.out_of_the_blue += 1;
        self.answer(now, meta, packet, peer.initiate_tag, |buf| {
            wire::write_abort(buf, false, |w| w.bytes(causes));
        });
    }

    fn on_new_init(
        &mut self,
        now: Instant,
        meta: &RxMeta,
        packet: &Packet<'_>,
        parsed: &ParsedInit<'_>,
        endpoint: EndpointId,
    ) {
        let Some(listener) = self.endpoints.get(endpoint) else {
            return;
        };
        if listener.backlog == 0 {
            return self.refuse_init(now, meta, packet, &parsed.peer, &Bytes::new());
        }
        if !self.has_room_for(Origin::of(meta.src)) {
            // §5.1: no need to come back with a cookie.
            self.stats.refused += 1;
            let causes = causes(|w| Cause::OutOfResource.write(w));
            return self.refuse_init(now, meta, packet, &parsed.peer, &causes);
        }
        let identity = Identity {
            local_tag: self.table.fresh_tag(&mut self.random),
            local_initial_tsn: Tsn(self.random.u32()),
        };
        let config = Arc::clone(&listener.association);
        let own = own_init(&config, identity);
        let local = listener.local_side(self.config.encapsulation_port());
        let auth = own_auth(&config, &mut self.random);
        self.answer_init(
            now,
            meta,
            packet,
            parsed,
            &own,
            &config,
            &local,
            auth,
            TieTags::default(),
        );
    }

    /// §5.2.1, §5.2.2.
    fn on_init_again(
        &mut self,
        now: Instant,
        meta: &RxMeta,
        packet: &Packet<'_>,
        parsed: &ParsedInit<'_>,
        id: AssocId,
    ) {
        let fresh_tag = self.table.fresh_tag(&mut self.random);
        let Some(slot) = self.table.get_mut(id) else { return };
        match slot.assoc.on_init(&parsed.peer, meta.src, fresh_tag, &mut self.random) {
            InitReply::Answer { identity, tie_tags, to } => {
                let config = slot.assoc.config();
                let own = own_init(&config, identity);
                let auth = slot.assoc.auth_for_init_ack(identity.local_tag, &mut self.random);
                let local = slot.assoc.local().clone();
                let encap = if to == meta.src {
                    meta.encap
                } else {
                    slot.assoc.encapsulation_from(to)
                };
                let meta = RxMeta {
                    src: to,
                    encap,
                    ..*meta
                };
                self.answer_init(now, &meta, packet, parsed, &own, &config, &local, auth, tie_tags);
            }
            InitReply::NewAddresses(new) => {
                let causes = causes(|w| wire::write_restart_with_new_addresses(w, new));
                self.refuse_init(now, meta, packet, &parsed.peer, &causes);
            }
            InitReply::ShutdownAckAgain => self.settle(id),
            InitReply::Discard => {}
        }
    }

    /// Sends an INIT ACK that says `own`, with a State Cookie (§5.1 B), to where the INIT came from.
    #[expect(clippy::too_many_arguments, reason = "all of it goes into one packet")]
    fn answer_init(
        &mut self,
        now: Instant,
        meta: &RxMeta,
        packet: &Packet<'_>,
        parsed: &ParsedInit<'_>,
        own: &InitFixed,
        config: &AssociationConfig,
        local: &LocalSide,
        auth: Option<AuthParams>,
        tie_tags: TieTags,
    ) {
        if let Some(violation) = parsed.auth_violation.filter(|_| auth.is_some()) {
            self.stats.malformed += 1;
            return self.refuse_init(now, meta, packet, &parsed.peer, &refusal_causes(&violation.into()));
        }
        // §5.2.6: a longer life is granted, up to the double.
        let life = config.cookie_life().unwrap_or_else(|| self.config.valid_cookie_life());
        let wanted = std::time::Duration::from_millis(parsed.cookie_preservative.into());
        let cookie = StateCookie {
            created_at: now,
            lifespan: life + wanted.min(life),
            local_port: packet.header.destination_port,
            peer_port: packet.header.source_port,
            local_tag: own.initiate_tag,
            local_initial_tsn: own.initial_tsn,
            tie_tags,
            source: meta.src,
            destination: meta.dst,
            encap: meta.encap.map(UdpPorts::reversed),
            auth,
            peer: parsed.peer.clone(),
        };
        let sealed = self.cookie_keys.seal(now, &cookie);
        let header = CommonHeader {
            source_port: packet.header.destination_port,
            destination_port: packet.header.source_port,
            verification_tag: parsed.peer.initiate_tag,
        };
        let mut buf = Vec::with_capacity(sealed.len() + 128);
        let start = wire::begin_packet(&mut buf, &header);
        wire::write_init(&mut buf, ChunkType::INIT_ACK, own, |w| {
            Param::StateCookie(&sealed).write(w);
            write_own_params(w, local, config, cookie.auth.as_ref(), meta.src);
            // §3.2.2: what must be reported comes back.
            for raw in bounded(parsed.unrecognized.iter().copied()) {
                Param::UnrecognizedParameter(raw).write(w);
            }
        });
        // RFC 9653 §5.2: the INIT has said whether the peer takes it.
        if config.zero_checksum().is_some() && config.zero_checksum() == parsed.peer.zero_checksum {
            wire::finish_packet_zero_checksum(&mut buf, start);
        } else {
            wire::finish_packet(&mut buf, start);
        }
        self.stats.inits_answered += 1;
        self.reply(meta, buf, config.path().marks());
    }

    /// A packet that begins with a COOKIE ECHO, maybe behind an AUTH (§5.1.5, §5.2.4, RFC 4895 §6.3).
    pub(super) fn on_cookie_echo(
        &mut self,
        now: Instant,
        meta: &RxMeta,
        datagram: &Bytes,
        packet: &Packet<'_>,
        first: &RawChunk<'_>,
        auth: Option<&RawChunk<'_>>,
    ) {
        let Ok(echo) = CookieEcho::parse(first.value) else {
            self.stats.malformed += 1;
            return;
        };
        let Some(cookie) = self.cookie_keys.open(echo.cookie) else {
            self.stats.bad_cookies += 1;
            return;
        };
        // §5.1.5 step 3: the packet must be of the association that the cookie is for.
        let header = &packet.header;
        let fits = (cookie.local_port, cookie.peer_port) == (header.destination_port, header.source_port)
            && cookie.local_tag == header.verification_tag
            && (cookie.source == meta.src || cookie.peer.addresses.contains(&meta.src));
        let own = (cookie.destination, cookie.local_port);
        let endpoint = self.endpoints.find(own.0, own.1);
        let (true, Some(endpoint)) = (fits, endpoint) else {
            self.stats.bad_cookies += 1;
            return;
        };
        let by_tag = self.table.by_tag(cookie.local_tag);
        let stranger = by_tag
            .and_then(|id| self.table.get(id))
            .is_some_and(|slot| !slot.assoc.may_own(&cookie));
        if stranger {
            // Its tag was given to somebody else since: the peer has to begin anew.
            self.stats.bad_cookies += 1;
            return;
        }
        let existing = by_tag
            .or_else(|| self.find_peer(own, meta, packet, &cookie.peer))
            .or_else(|| self.association_with(own, cookie.source, cookie.peer_port));
        let Some(authenticated) = self.admit_cookie(datagram, auth, endpoint, existing, &cookie) else {
            self.stats.unauthenticated_cookies += 1;
            return;
        };
        // §8.4 rule 2.
        if existing.is_none() && packet.find(ChunkType::ABORT).is_some() {
            self.stats.out_of_the_blue += 1;
            return;
        }
        let has_its_tags = existing
            .and_then(|id| self.table.get(id))
            .is_some_and(|s| s.assoc.has_tags_of(&cookie));
        let use_of_it = match existing {
            Some(_) => Use::Fresh,
            None => self.spent_cookies.look_up(now, cookie.created_at, cookie.local_tag),
        };
        if use_of_it == Use::Spent {
            // Its association has ended, and it is good for no other one.
            self.stats.bad_cookies += 1;
            return self.answer(now, meta, packet, cookie.peer.initiate_tag, |buf| {
                wire::write_abort(buf, false, |_| {});
            });
        }
        let staleness = match use_of_it {
            Use::Unknown(staleness) => Some(staleness),
            _ => cookie.staleness(now).filter(|_| !has_its_tags),
        };
        if let Some(staleness) = staleness {
            // §5.1.5 step 4, §5.2.4 step 3.
            self.stats.stale_cookies += 1;
            let micros = u32::try_from(staleness.as_micros()).unwrap_or(u32::MAX);
            let tag = cookie.peer.initiate_tag;
            return self.answer(now, meta, packet, tag, |buf| {
                wire::write_error(buf, |w| Cause::StaleCookie(micros).write(w));
            });
        }
        let id = match existing {
            Some(id) => self.on_cookie_of_existing(now, meta, id, &cookie),
            None => self.open_passively(now, meta, packet, endpoint, &cookie),
        };
        let Some(id) = id else { return };
        self.spent_cookies
            .spend(now, cookie.created_at, cookie.lifespan, cookie.local_tag);
        self.table.relink(id);
        self.deliver_rest(now, id, meta, datagram, packet, authenticated);
    }

    /// What is bundled behind the COOKIE ECHO belongs to the association by now (§5.1 D).
    fn deliver_rest(
        &mut self,
        now: Instant,
        id: AssocId,
        meta: &RxMeta,
        datagram: &Bytes,
        packet: &Packet<'_>,
        authenticated: bool,
    ) {
        let taken = self.taken_addresses(id, meta, packet);
        if let Some(slot) = self.table.get_mut(id)
            && slot.assoc.phase() != AssociationPhase::Closed
            && let Some(path) = slot.assoc.find_path(meta.src)
        {
            let mut chunks = packet.chunks();
            chunks.find(|chunk| chunk.as_ref().is_ok_and(|chunk| chunk.kind == ChunkType::COOKIE_ECHO));
            let input = PacketIn {
                path,
                meta,
                payloads: Payloads::new(datagram, meta.buffer_len),
                packet: datagram,
                authenticated,
                chunks,
                from_elsewhere: false,
                taken: &taken,
            };
            let _entered = slot.assoc.log_path_details(path);
            tracing::debug!(chunk = %ChunkType::COOKIE_ECHO, "chunk received");
            let before = slot.assoc.tally_received();
            slot.assoc.count_cookie_echo();
            slot.assoc.handle_packet(now, input, &mut self.random);
            self.stats.count_received(&before, &slot.assoc.tally_received());
            if slot.assoc.take_peer_changed() | slot.assoc.take_confirmed() {
                self.table.relink(id);
            }
        }
        self.settle(id);
    }

    /// §5.1 D: the association begins to exist.
    fn open_passively(
        &mut self,
        now: Instant,
        meta: &RxMeta,
        packet: &Packet<'_>,
        endpoint: EndpointId,
        cookie: &StateCookie,
    ) -> Option<AssocId> {
        // The cookie went to its source, so whoever brings it back is there. The packet may say to be from any address
        // that the INIT listed: that would let it count for somebody else.
        let origin = Origin::of(cookie.source);
        let listener = self.endpoints.get(endpoint)?;
        if listener.backlog == 0 || !listener.has_room() || !self.has_room_for(origin) {
            self.stats.refused += 1;
            self.answer(now, meta, packet, cookie.peer.initiate_tag, |buf| {
                wire::write_abort(buf, false, |w| Cause::OutOfResource.write(w));
            });
            return None;
        }
        let (config, local) = (Arc::clone(&listener.association), self.local_side(endpoint)?);
        let name = self.table.next_id();
        let assoc = Association::accept(now, config, local, cookie, meta.src, name, &mut self.random);
        let id = self.table.insert(endpoint, assoc, Some(origin))?;
        let listener = self.endpoints.get_mut(endpoint)?;
        listener.waiting += 1;
        listener.associations.insert(id);
        self.stats.passive_establishments += 1;
        Some(id)
    }

    /// Whether a peer may open one more association from here (§12.2.4.3).
    fn has_room_for(&self, origin: Origin) -> bool {
        self.table.len() < self.config.max_associations()
            && self.table.opened_from(origin) < self.config.max_associations_per_peer()
    }

    /// The own side of a new association of `endpoint`.
    pub(super) fn local_side(&self, endpoint: EndpointId) -> Option<LocalSide> {
        Some(
            self.endpoints
                .get(endpoint)?
                .local_side(self.config.encapsulation_port()),
        )
    }

    /// Table 12 of §5.2.4.
    fn on_cookie_of_existing(
        &mut self,
        now: Instant,
        meta: &RxMeta,
        id: AssocId,
        cookie: &StateCookie,
    ) -> Option<AssocId> {
        let random = &mut self.random;
        let assoc = &mut self.table.get_mut(id)?.assoc;
        let source: IpAddr = meta.src;
        let was_setup = assoc.phase().is_setup();
        match assoc.cookie_action(cookie) {
            CookieAction::Restart => {
                if !assoc.on_restart(now, cookie, source, random) {
                    self.settle(id);
                    return None;
                }
                assoc.set_log_name(id);
                self.stats.restarts += 1;
            }
            CookieAction::Collision => assoc.on_collision(now, cookie, source, random),
            CookieAction::Duplicate => assoc.on_duplicate_cookie(now, cookie, source, random),
            CookieAction::Discard => return None,
        }
        let opened = was_setup && assoc.phase() == AssociationPhase::Established;
        self.stats.active_establishments += u64::from(opened);
        Some(id)
    }
}
