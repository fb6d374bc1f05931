//! Set-up chunks for an association that exists (RFC 9260 §5.2).

use std::net::IpAddr;

use super::cookie::{StateCookie, TieTags};
use super::handshake::causes;
use super::peer_init::PeerInit;
use super::state::State;
use super::{Association, AssociationPhase, Identity};
use crate::event::Event;
use crate::path::{PathId, PathState};
use crate::random::Random;
use crate::serial::{Tsn, VerificationTag};
use crate::time::Instant;
use crate::wire::Cause;

/// What to do with an INIT for an existing association (§5.2.1, §5.2.2, §9.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InitReply {
    /// Answer with an INIT ACK that says this.
    Answer { identity: Identity, tie_tags: TieTags },
    /// It adds addresses: refuse.
    NewAddresses(Vec<IpAddr>),
    /// Discard it; the SHUTDOWN ACK goes out again.
    ShutdownAckAgain,
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
            // §5.2.1: the same parameters as in the own INIT.
            AssociationPhase::CookieWait => InitReply::Answer {
                identity: self.identity(),
                tie_tags: TieTags::default(),
            },
            AssociationPhase::CookieEchoed => InitReply::Answer {
                identity: self.identity(),
                tie_tags: self.tie_tags(random),
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
    pub(crate) fn on_collision(&mut self, now: Instant, cookie: &StateCookie, from: PathId, random: &mut Random) {
        if self.phase().is_setup() {
            self.adopt_peer(now, &cookie.peer);
            self.control.clear();
            self.establish_by_cookie(now, cookie, random);
        } else {
            self.peer_tag = cookie.peer.initiate_tag;
        }
        self.acknowledge_cookie(Some(from));
    }

    /// Action D: completes an own set-up; the peer missed the COOKIE ACK otherwise.
    pub(crate) fn on_duplicate_cookie(
        &mut self,
        now: Instant,
        cookie: &StateCookie,
        from: PathId,
        random: &mut Random,
    ) {
        if self.phase() == AssociationPhase::CookieEchoed {
            self.control.clear();
            self.establish_by_cookie(now, cookie, random);
        }
        self.acknowledge_cookie(Some(from));
    }

    /// A cookie completes the set-up: it confirms the address that it was sent to (§5.4 rule 2).
    fn establish_by_cookie(&mut self, now: Instant, cookie: &StateCookie, random: &mut Random) {
        let confirmed = self.paths.find(cookie.source).unwrap_or(self.control_path);
        self.establish(now, confirmed, random);
    }

    /// Action A: the peer lost its state, and begins anew with the tags of the cookie. In SHUTDOWN-ACK-SENT it is
    /// told to go away; false then.
    pub(crate) fn on_restart(&mut self, now: Instant, cookie: &StateCookie, from: PathId, random: &mut Random) -> bool {
        if self.phase() == AssociationPhase::ShutdownAckSent {
            self.control
                .push_error(causes(|w| Cause::CookieReceivedWhileShuttingDown.write(w)));
            self.repeat_shutdown_ack();
            return false;
        }
        self.transition(State::Established);
        self.local_tag = cookie.local_tag;
        self.peer_tag = cookie.peer.initiate_tag;
        self.local_initial_tsn = cookie.local_initial_tsn;
        self.tie_tags = TieTags::default();
        self.error_count = 0;
        self.control.clear();
        let streams = cookie.peer.outbound_streams.min(self.config.max_inbound_streams());
        self.inbound.restart(cookie.peer.initial_tsn, streams);
        let mut failures = self.outbound.restart(cookie.local_initial_tsn);
        let outbound_streams = self.config.outbound_streams().min(cookie.peer.inbound_streams);
        failures.extend(self.outbound.set_peer(cookie.peer.a_rwnd, outbound_streams));
        self.events.extend(failures.into_iter().map(Event::SendFailed));
        for (_, path) in self.paths.iter_mut() {
            path.restart(&self.config);
            path.arm_probe(now, random);
            if path.address == cookie.source {
                path.state = PathState::Active;
            }
        }
        self.acknowledge_cookie(Some(from));
        self.events.push_back(Event::Restarted {
            outbound_streams,
            inbound_streams: self.inbound.streams(),
        });
        true
    }
}
