//! Set-up chunks for an association that exists (RFC 9260 §5.2).

use std::net::IpAddr;

use super::adopt::inbound_config;
use super::capabilities::Extensions;
use super::causes::causes;
use super::checksum::common_extensions;
use super::cookie::{StateCookie, TieTags};
use super::data_in::cut_event;
use super::peer_init::PeerInit;
use super::state::State;
use super::{Association, AssociationPhase, Identity};
use crate::ecn::Echo;
use crate::event::Event;
use crate::path::PathId;
use crate::random::Random;
use crate::serial::{Tsn, VerificationTag};
use crate::time::Instant;
use crate::wire::Cause;

/// What to do with an INIT for an existing association (§5.2.1, §5.2.2, §9.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InitReply {
    /// Answer with an INIT ACK that says this, to this address of the peer.
    Answer {
        identity: Identity,
        tie_tags: TieTags,
        to: IpAddr,
    },
    /// It adds addresses: refuse.
    NewAddresses(Vec<IpAddr>),
    /// Discard it; the SHUTDOWN ACK goes out again.
    ShutdownAckAgain,
    /// Discard it.
    Discard,
}

/// What a valid State Cookie means for an existing association (§5.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieAction {
    /// A: the peer restarted.
    Restart,
    /// B: both sides opened the association at once.
    Collision,
    /// C, and everything else: discard it.
    Discard,
    /// D: the same cookie again, or the one that completes the set-up.
    Duplicate,
}

impl Association {
    /// How an INIT that came from `source` is to be answered. `fresh_tag` is a tag that no association has. The
    /// association itself stays as it is, except for its tie-tags.
    pub(crate) fn on_init(
        &mut self,
        peer: &PeerInit,
        source: IpAddr,
        fresh_tag: VerificationTag,
        random: &mut Random,
    ) -> InitReply {
        let phase = self.phase();
        if phase == AssociationPhase::ShutdownAckSent {
            self.repeat_shutdown_ack();
            return InitReply::ShutdownAckAgain;
        }
        // In COOKIE-WAIT the peer's addresses are not known yet, but for the one that was called.
        if phase != AssociationPhase::CookieWait {
            let known = |address: &IpAddr| self.find_path(*address).is_some();
            let listed = peer.addresses.iter().copied().chain([source]);
            let new: Vec<IpAddr> = listed.filter(|address| !known(address)).collect();
            if !new.is_empty() {
                return InitReply::NewAddresses(new);
            }
        }
        match phase {
            // §5.2.1: the same parameters as in the own INIT, and only to an address that the user named. Anybody can
            // list one of those, and would learn the own tag.
            AssociationPhase::CookieWait => {
                let named = |address: &IpAddr| self.find_path(*address).is_some();
                let mut usable = [source].into_iter().chain(peer.addresses.iter().copied());
                let to = usable.find(|address| named(address) && address.is_ipv4() == source.is_ipv4());
                to.map_or(InitReply::Discard, |to| InitReply::Answer {
                    identity: self.identity(),
                    tie_tags: TieTags::default(),
                    to,
                })
            }
            AssociationPhase::CookieEchoed => InitReply::Answer {
                identity: self.identity(),
                tie_tags: self.tie_tags(random),
                to: source,
            },
            // §5.2.2: a new tag, and tie-tags that lead back here.
            _ => {
                let identity = Identity {
                    local_tag: fresh_tag,
                    local_initial_tsn: Tsn(random.u32()),
                };
                InitReply::Answer {
                    identity,
                    tie_tags: self.tie_tags(random),
                    to: source,
                }
            }
        }
    }

    const fn identity(&self) -> Identity {
        Identity {
            local_tag: self.local_tag,
            local_initial_tsn: self.local_initial_tsn,
        }
    }

    fn tie_tags(&mut self, random: &mut Random) -> TieTags {
        if self.tie_tags.is_none() {
            self.tie_tags = TieTags::random(random);
        }
        self.tie_tags
    }

    /// Whether a cookie has exactly the tags of this association, so that it is valid at any age (§5.2.4 step 3).
    pub(crate) fn has_tags_of(&self, cookie: &StateCookie) -> bool {
        cookie.local_tag == self.local_tag && cookie.peer.initiate_tag == self.peer_tag
    }

    /// Whether a cookie can be of this association: of its ports, and naming one of its peer's addresses. Its tag alone
    /// proves nothing, since whoever collects many cookies hits somebody's tag in the end.
    pub(crate) fn may_own(&self, cookie: &StateCookie) -> bool {
        let mut named = [cookie.source].into_iter().chain(cookie.peer.addresses.iter().copied());
        (self.local.port, self.peer_port) == (cookie.local_port, cookie.peer_port)
            && named.any(|address| self.find_path(address).is_some())
    }

    /// Table 12 of §5.2.4.
    pub(crate) fn cookie_action(&self, cookie: &StateCookie) -> CookieAction {
        let local_matches = cookie.local_tag == self.local_tag;
        let peer_matches = cookie.peer.initiate_tag == self.peer_tag;
        match (local_matches, peer_matches) {
            (true, true) => CookieAction::Duplicate,
            (true, false) if self.phase().is_setup() || self.phase() == AssociationPhase::Established => {
                CookieAction::Collision
            }
            (false, false) if !cookie.tie_tags.is_none() && cookie.tie_tags == self.tie_tags => CookieAction::Restart,
            _ => CookieAction::Discard,
        }
    }

    /// Action B: the set-up that the peer began completes here. In ESTABLISHED only the peer's tag changes.
    pub(crate) fn on_collision(&mut self, now: Instant, cookie: &StateCookie, from: IpAddr, random: &mut Random) {
        if self.phase().is_setup() {
            self.adopt_peer(now, &cookie.peer);
            self.add_peer_addresses(now, &[cookie.source]);
            if self.phase() == AssociationPhase::CookieWait {
                let told = cookie.peer.addresses.iter().copied().chain([cookie.source]);
                self.keep_paths(&told.collect::<Vec<_>>(), Some(cookie.source));
            }
            self.control.clear();
            self.establish(now, self.acknowledged_path(cookie), random);
        } else {
            self.peer_tag = cookie.peer.initiate_tag;
            self.adopt_auth(&cookie.peer);
        }
        self.control.cookie_ack = Some(self.reply_path_to(from));
    }

    /// The path that the INIT ACK with `cookie` went to: the peer has got it there (§5.4 rule 2).
    fn acknowledged_path(&self, cookie: &StateCookie) -> PathId {
        self.find_path(cookie.source).unwrap_or(self.control_path)
    }

    /// Action D: completes an own set-up; the peer missed the COOKIE ACK otherwise.
    pub(crate) fn on_duplicate_cookie(
        &mut self,
        now: Instant,
        cookie: &StateCookie,
        from: IpAddr,
        random: &mut Random,
    ) {
        if self.phase() == AssociationPhase::CookieEchoed {
            self.control.clear();
            self.establish(now, self.acknowledged_path(cookie), random);
        }
        self.control.cookie_ack = Some(self.reply_path_to(from));
    }

    /// Action A: the peer lost its state, and begins anew with the tags of the cookie. In SHUTDOWN-ACK-SENT it is
    /// told to go away; false then.
    ///
    /// Of the addresses, those remain that the peer named this time: whoever had claimed them before may be somebody
    /// else (RFC 5062 §2).
    pub(crate) fn on_restart(&mut self, now: Instant, cookie: &StateCookie, from: IpAddr, random: &mut Random) -> bool {
        if self.phase() == AssociationPhase::ShutdownAckSent {
            self.control
                .push_error(causes(|w| Cause::CookieReceivedWhileShuttingDown.write(w)));
            self.repeat_shutdown_ack();
            return false;
        }
        let shutting_down = matches!(
            self.phase(),
            AssociationPhase::ShutdownPending | AssociationPhase::ShutdownSent
        );
        self.transition(State::Established);
        self.stats.restarts += 1;
        self.local_tag = cookie.local_tag;
        self.peer_tag = cookie.peer.initiate_tag;
        self.log_restart(cookie.source);
        self.local_initial_tsn = cookie.local_initial_tsn;
        self.peer_initial_tsn = cookie.peer.initial_tsn;
        self.fail_requests();
        self.fail_deferred();
        self.reconfig = None;
        self.tie_tags = TieTags::default();
        self.error_count = 0;
        self.control.clear();
        let streams = cookie.peer.outbound_streams.min(self.config.max_inbound_streams());
        self.extensions = common_extensions(&self.config, &cookie.peer);
        self.ecn = Echo::default();
        self.restart_auth(cookie);
        let forward_tsn = self.extensions.contains(Extensions::FORWARD_TSN);
        let config = inbound_config(&self.config, self.extensions, streams);
        let cut = self.inbound.restart(cookie.peer.initial_tsn, config);
        self.events.extend(cut.iter().map(cut_event));
        let mut failures = self.outbound.restart(cookie.local_initial_tsn);
        let outbound_streams = self.config.outbound_streams().min(cookie.peer.inbound_streams);
        self.set_interleaving();
        failures.extend(
            self.outbound
                .set_peer(cookie.peer.a_rwnd, outbound_streams, forward_tsn),
        );
        self.events.extend(failures.into_iter().map(Event::SendFailed));
        let named = cookie.peer.addresses.iter().copied().chain([cookie.source]);
        self.keep_paths(&named.collect::<Vec<_>>(), Some(cookie.source));
        for (_, path) in self.paths.iter_mut() {
            // The peer's UDP port may be another one now, on all of its addresses (RFC 6951 §5.4).
            path.encap = cookie.encap;
            path.restart(&self.config);
        }
        self.confirm_paths(now, self.acknowledged_path(cookie), random);
        self.control.cookie_ack = Some(self.reply_path_to(from));
        self.tell(Event::Restarted {
            outbound_streams,
            inbound_streams: self.inbound.streams(),
        });
        self.tell_no_auth();
        self.tell_unused_keys();
        self.peer_adaptation = cookie.peer.adaptation;
        self.tell_adaptation();
        self.begin_asconf(cookie.peer.initial_tsn, cookie.peer.primary);
        self.heed_primary_wish();
        self.tell_room();
        if shutting_down {
            // The user's wish holds for the peer as it is now: a restart does not get it out of it.
            self.shutdown(now);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::LocalSide;
    use super::super::peer_init::PeerInit;
    use super::*;
    use crate::config::AssociationConfig;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn cookie(source: &str, addresses: &[&str]) -> StateCookie {
        StateCookie {
            created_at: Instant::ZERO,
            lifespan: Duration::from_secs(60),
            local_port: 1,
            peer_port: 2,
            local_tag: VerificationTag(3),
            local_initial_tsn: Tsn(4),
            tie_tags: TieTags::default(),
            source: ip(source),
            destination: ip("10.0.0.9"),
            encap: None,
            auth: None,
            peer: PeerInit {
                initiate_tag: VerificationTag(5),
                a_rwnd: 10_000,
                outbound_streams: 1,
                inbound_streams: 1,
                initial_tsn: Tsn(6),
                extensions: Extensions::NONE,
                zero_checksum: None,
                auth: None,
                adaptation: None,
                primary: None,
                addresses: addresses.iter().map(|text| ip(text)).collect(),
            },
        }
    }

    #[test]
    fn a_cookie_that_only_happens_to_have_the_tag_is_a_strangers() {
        let local = LocalSide {
            port: 1,
            addresses: Arc::new([ip("10.0.0.9")]),
            explicit: false,
            encapsulation_port: None,
        };
        let own = cookie("10.0.0.1", &["10.0.0.2"]);
        let (config, mut random) = (Arc::new(AssociationConfig::default()), Random::from_number(1));
        let assoc = Association::accept(Instant::ZERO, config, local, &own, own.source, "0.1", &mut random);
        assert!(assoc.may_own(&own));
        assert!(assoc.may_own(&cookie("10.0.0.7", &["10.0.0.2"])));
        assert!(!assoc.may_own(&cookie("10.0.0.7", &["10.0.0.8"])));
        assert!(!assoc.may_own(&StateCookie { peer_port: 3, ..own }));
    }
}
