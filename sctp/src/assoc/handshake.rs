//! Setting up an association (RFC 9260 §5.1): the opening side, and what the answering side makes of its own cookie.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::auth::{own_auth, write_auth_params};
use super::capabilities::Extensions;
use super::causes::{bounded, causes, quotable};
use super::control_out::Farewell;
use super::cookie::StateCookie;
use super::peer_init::{ParsedInit, PeerInit, Refusal};
use super::state::{Repeat, State};
use super::{Association, AssociationPhase, Identity, LocalSide};
use crate::addr;
use crate::auth::AuthParams;
use crate::config::AssociationConfig;
use crate::error::{FailureReason, Violation};
use crate::path::{Path, PathId, PathState};
use crate::random::Random;
use crate::serial::{CorrelationId, VerificationTag};
use crate::time::Instant;
use crate::tlv::Writer;
use crate::wire::{self, Cause, ChunkType, Init, InitFixed, Param, ParamType};

/// How often a cookie may be stale before the set-up is given up (§5.2.6 leaves it open).
const MAX_STALE_COOKIES: u16 = 3;

/// The longest time-out of T1-init and T1-cookie.
fn max_t1(config: &AssociationConfig) -> Duration {
    config.max_init_timeout().unwrap_or_else(|| config.rto_max())
}

/// The first time-out of T1-init and T1-cookie.
fn first_t1(config: &AssociationConfig) -> Duration {
    config.rto_initial().min(max_t1(config))
}

impl Association {
    /// Opens an association: INIT is the first thing to be sent (§5.1 A).
    pub(crate) fn connect(
        now: Instant,
        config: Arc<AssociationConfig>,
        local: LocalSide,
        identity: Identity,
        peers: &[IpAddr],
        peer_port: u16,
        random: &mut Random,
    ) -> Option<Self> {
        let (&first, others) = peers.split_first()?;
        let t1 = Repeat {
            at: now + first_t1(&config),
            attempts: 0,
        };
        let state = State::CookieWait {
            t1,
            stale_cookies: 0,
            preservative: 0,
            shutdown_wanted: false,
        };
        let mut assoc = Self::new(now, config, local, identity, (first, peer_port), state);
        let auth = own_auth(&assoc.config, random);
        assoc.begin_auth(auth);
        for &address in others {
            let mut path = Path::new(address, &assoc.config, now);
            super::set_route(&mut path, &assoc.local, &assoc.config);
            assoc.paths.add(path);
        }
        // §5.4 rule 1: what the user names needs no verification.
        for (_, path) in assoc.paths.iter_mut() {
            path.state = PathState::Active;
        }
        assoc.control.init = true;
        Some(assoc)
    }

    /// Sets an association up from the cookie that the peer brought back (§5.1 D).
    pub(crate) fn accept(
        now: Instant,
        config: Arc<AssociationConfig>,
        local: LocalSide,
        cookie: &StateCookie,
        source: IpAddr,
        log_name: impl Display,
        random: &mut Random,
    ) -> Self {
        let identity = Identity {
            local_tag: cookie.local_tag,
            local_initial_tsn: cookie.local_initial_tsn,
        };
        let t1 = Repeat { at: now, attempts: 0 };
        let setup = State::CookieEchoed {
            t1,
            cookie: Bytes::new(),
            sent_at: now,
            stale_cookies: 0,
            shutdown_wanted: false,
        };
        let mut assoc = Self::new(now, config, local, identity, (cookie.source, cookie.peer_port), setup);
        assoc.set_log_name(log_name);
        assoc.initiated_here = false;
        assoc.begin_auth(cookie.auth.clone());
        if let Some(path) = assoc.paths.get_mut(PathId(0)) {
            path.encap = cookie.encap;
            path.local = path.local.or(Some(cookie.destination));
        }
        assoc.adopt_peer(now, &cookie.peer);
        // §5.4 rule 2: only where the INIT ACK went is known to be the peer's. The COOKIE ECHO says nothing about the
        // address that it came from: who has a cookie can send it from anywhere.
        assoc.establish(now, PathId(0), random);
        assoc.control.cookie_ack = Some(assoc.reply_path_to(source));
        assoc
    }

    /// What the own INIT or INIT ACK says.
    pub(crate) fn own_init(&self) -> InitFixed {
        own_init(
            &self.config,
            Identity {
                local_tag: self.local_tag,
                local_initial_tsn: self.local_initial_tsn,
            },
        )
    }

    /// Writes the INIT chunk.
    pub(super) fn write_init(&self, buf: &mut Vec<u8>, to: IpAddr) {
        let preservative = match self.state {
            State::CookieWait { preservative, .. } => preservative,
            _ => 0,
        };
        wire::write_init(buf, ChunkType::INIT, &self.own_init(), |w| {
            write_own_params(w, &self.local, &self.config, self.own_auth(), to);
            if preservative > 0 {
                Param::CookiePreservative(preservative).write(w);
            }
        });
    }

    /// T1-init or T1-cookie expired (§5.1.6): INIT or COOKIE ECHO again, up to Max.Init.Retransmits times.
    pub(super) fn on_t1(&mut self, now: Instant) {
        let (State::CookieWait { t1, .. } | State::CookieEchoed { t1, .. }) = &mut self.state else {
            return;
        };
        t1.attempts = t1.attempts.saturating_add(1);
        self.stats.t1_expiries += 1;
        tracing::debug!(attempts = t1.attempts, "T1 expired");
        if t1.attempts > self.config.max_init_retransmits() {
            self.terminate(Err(FailureReason::SetupTimeout));
            return;
        }
        // §6.3.3 E2: the time-out doubles, up to RTO.Max.
        let backed_off = self
            .config
            .rto_initial()
            .saturating_mul(2u32.saturating_pow(t1.attempts.into()));
        t1.at = now + backed_off.min(max_t1(&self.config));
        self.call_next_address();
        self.repeat_setup();
    }

    /// Goes on to the next address for the set-up (§5.1); false if there is no other. Those that only the peer names
    /// must not be used (§5.4).
    pub(super) fn call_next_address(&mut self) -> bool {
        let current = self.control_path;
        let given = || self.paths.iter().filter(|(_, path)| path.is_active()).map(|(id, _)| id);
        let next = given().find(|id| *id > current).or_else(|| given().next());
        self.control_path = next.unwrap_or(current);
        self.control_path != current
    }

    /// Sends INIT or COOKIE ECHO again.
    pub(super) fn repeat_setup(&mut self) {
        match self.phase() {
            AssociationPhase::CookieWait => self.control.init = true,
            _ => self.control.cookie_echo = true,
        }
    }

    /// An INIT ACK arrived (§5.1 C). Outside of COOKIE-WAIT it is an old one (§5.2.3).
    pub(super) fn on_init_ack(&mut self, now: Instant, value: &[u8], source: IpAddr) {
        let State::CookieWait {
            stale_cookies,
            shutdown_wanted,
            ..
        } = self.state
        else {
            return;
        };
        let Ok(init) = Init::parse(value) else { return };
        let parsed = match PeerInit::parse(&init) {
            Ok(parsed) => parsed,
            Err(refusal) => return self.refuse_init_ack(init.fixed.initiate_tag, &refusal),
        };
        if let Some(violation) = parsed.auth_violation.filter(|_| self.auth.is_some()) {
            return self.refuse_init_ack(init.fixed.initiate_tag, &violation.into());
        }
        let Some(cookie) = parsed.cookie else {
            // §3.3.10.2: tell the peer which parameter is missing.
            self.peer_tag = parsed.peer.initiate_tag;
            let causes = causes(|w| wire::write_missing_mandatory_parameters(w, &[ParamType::STATE_COOKIE]));
            return self.abort_violation(Violation::MissingCookie, causes);
        };
        let cookie = Bytes::copy_from_slice(cookie);
        let called = self.called_address();
        let answered = self.paths.find(source).map_or(called, |_| Some(source));
        self.adopt_peer(now, &parsed.peer);
        // The INIT ACK's source is the peer's too, whatever it lists.
        self.add_peer_addresses(now, &[source]);
        // §5.1.2: from now on the peer's addresses are those that it tells. One that the user named stays in use if
        // none of those is: the COOKIE ECHO needs a confirmed address (§5.4).
        let told = parsed.peer.addresses.iter().copied().chain([source]);
        let keep: Vec<IpAddr> = told.chain(answered).collect();
        self.keep_paths(&keep, answered);
        self.report_unrecognized(&parsed);
        let t1 = Repeat {
            at: now + first_t1(&self.config),
            attempts: 0,
        };
        self.transition(State::CookieEchoed {
            t1,
            cookie,
            sent_at: now,
            stale_cookies,
            shutdown_wanted,
        });
        self.control.init = false;
        self.control.cookie_echo = true;
    }

    /// §3.3.3: an INIT ACK that cannot be used ends the set-up; the peer is told where its tag allows it.
    fn refuse_init_ack(&mut self, tag: VerificationTag, refusal: &Refusal<'_>) {
        match refusal.violation {
            // The peer is told, and nothing changes.
            Violation::WindowTooSmall => self.control.refused_init_ack = Some(tag),
            Violation::ZeroInitiateTag => {
                let causes = refusal_causes(refusal);
                self.control.farewell = Some(Farewell::Abort {
                    causes,
                    tag_reflected: true,
                });
                self.terminate(Err(FailureReason::PeerMisbehaved(refusal.violation)));
            }
            violation => {
                self.peer_tag = tag;
                self.abort_violation(violation, refusal_causes(refusal));
            }
        }
    }

    /// §3.2.2: parameters of an INIT ACK that must be reported go into an ERROR behind the COOKIE ECHO.
    fn report_unrecognized(&mut self, parsed: &ParsedInit<'_>) {
        if !parsed.unrecognized.is_empty() {
            let quoted = parsed.unrecognized.iter().copied();
            self.control
                .push_error(causes(|w| wire::write_unrecognized_parameters(w, bounded(quoted))));
        }
    }

    /// A COOKIE ACK arrived (§5.1 E); outside of COOKIE-ECHOED it means nothing (§5.2.5).
    pub(super) fn on_cookie_ack(&mut self, now: Instant, random: &mut Random) {
        let State::CookieEchoed { t1, sent_at, .. } = self.state else {
            return;
        };
        let path = self.control_path;
        if t1.attempts == 0
            && let Some(path) = self.paths.get_mut(path)
        {
            path.rto.measure(now.saturating_since(sent_at));
        }
        self.control.cookie_echo = false;
        self.establish(now, path, random);
    }

    /// The COOKIE ECHO goes out.
    pub(super) fn on_cookie_echo_sent(&mut self, now: Instant) {
        if let State::CookieEchoed { sent_at, .. } = &mut self.state {
            *sent_at = now;
        }
    }

    /// The peer found the cookie stale (§5.2.6): the set-up starts over, asking for a longer life.
    pub(super) fn on_stale_cookie(&mut self, now: Instant) {
        let State::CookieEchoed {
            sent_at,
            stale_cookies,
            shutdown_wanted,
            ..
        } = self.state
        else {
            return;
        };
        if stale_cookies + 1 >= MAX_STALE_COOKIES {
            self.terminate(Err(FailureReason::StaleCookie));
            return;
        }
        // §5.2.6 alternative 3: at most one second more than the round trip.
        let longer = now.saturating_since(sent_at) + Duration::from_secs(1);
        let preservative = u32::try_from(longer.as_millis()).unwrap_or(u32::MAX);
        let t1 = Repeat {
            at: now + first_t1(&self.config),
            attempts: 0,
        };
        self.transition(State::CookieWait {
            t1,
            stale_cookies: stale_cookies + 1,
            preservative,
            shutdown_wanted,
        });
        self.control.clear();
        self.control.init = true;
        // The peer has forgotten it with the cookie.
        self.peer_tag = VerificationTag::ZERO;
    }

    /// Whether the user asked for shutdown during the set-up.
    pub(super) const fn shutdown_wanted(&self) -> bool {
        matches!(
            self.state,
            State::CookieWait {
                shutdown_wanted: true,
                ..
            } | State::CookieEchoed {
                shutdown_wanted: true,
                ..
            }
        )
    }
}

/// What an INIT or INIT ACK of this configuration says.
pub(crate) fn own_init(config: &AssociationConfig, identity: Identity) -> InitFixed {
    InitFixed {
        initiate_tag: identity.local_tag,
        a_rwnd: config.receive_buffer(),
        outbound_streams: config.outbound_streams(),
        inbound_streams: config.max_inbound_streams(),
        initial_tsn: identity.local_initial_tsn,
    }
}

/// The parameters that an own INIT and INIT ACK have in common: the addresses that the peer may use (§5.1.2), and the
/// extensions that are offered.
pub(crate) fn write_own_params(
    w: &mut Writer<'_>,
    local: &LocalSide,
    config: &AssociationConfig,
    auth: Option<&AuthParams>,
    peer: IpAddr,
) {
    for address in local.listed_to(peer) {
        Param::address(address).write(w);
    }
    Extensions::offered(config).write_params(w);
    if let Some(code_point) = config.adaptation_indication() {
        Param::AdaptationLayerIndication(code_point).write(w);
    }
    // RFC 5061 §5.4: it must be one of the own addresses.
    let preferred = config
        .asconf()
        .preferred_address()
        .filter(|own| local.addresses.contains(own));
    if let Some(address) = preferred.filter(|own| addr::may_list(*own, peer)) {
        let correlation_id = CorrelationId(0);
        Param::SetPrimaryAddress {
            correlation_id,
            address,
        }
        .write(w);
    }
    if let Some(method) = config.zero_checksum() {
        Param::ZeroChecksumAcceptable(method).write(w);
    }
    if let Some(auth) = auth {
        write_auth_params(w, auth);
    }
}

/// What an ABORT says about an INIT or INIT ACK that is refused.
pub(crate) fn refusal_causes(refusal: &Refusal<'_>) -> Bytes {
    causes(|w| match (refusal.violation, refusal.parameter) {
        (Violation::HostName, Some(parameter)) => Cause::UnresolvableAddress(quotable(parameter)).write(w),
        (Violation::MalformedParameter, _) => Cause::ProtocolViolation(b"malformed parameter").write(w),
        (
            Violation::BadRandom
            | Violation::BadChunkList
            | Violation::BadHmacList
            | Violation::RepeatedAuthParameter
            | Violation::AsconfWithoutAuth,
            _,
        ) => Cause::ProtocolViolation(refusal.violation.to_string().as_bytes()).write(w),
        _ => Cause::InvalidMandatoryParameter.write(w),
    })
}

/// Whether `address` may be a destination of an own association.
pub(crate) fn is_usable(local: &LocalSide, address: IpAddr) -> bool {
    addr::is_usable_peer(address) && local.reaches(address)
}
