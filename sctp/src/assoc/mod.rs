//! One association: its parts put together, and what its user may ask of it.
//!
//! Everything about one association is decided here and in the files beside this one, each for one section of RFC 9260
//! or an extension: `handshake` §5.1, `collision` §5.2, `data_in` §6.2, `output` §6.1 and §6.10, `reachability` §8,
//! `shutdown` §9. The mechanisms are in `path`, `cc`, `send` and `recv`.

mod adopt;
mod asconf;
mod asconf_in;
mod auth;
mod capabilities;
mod causes;
mod checksum;
mod collision;
mod control_out;
mod cookie;
mod data_in;
mod ecn;
mod handshake;
mod input;
mod interleaving;
mod log;
mod output;
mod peer_init;
mod pmtud;
mod reachability;
mod reconfig;
mod reconfig_in;
mod settings;
mod shutdown;
mod state;
mod status;
mod tell;
mod user;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use tracing::Span;

use crate::addr;
use crate::auth::Authenticator;
use crate::config::AssociationConfig;
use crate::ecn::Echo;
use crate::error::{FailureReason, Violation};
use crate::event::Event;
use crate::path::{Path, PathId, PathSet, PathState};
use crate::random::Random;
use crate::reconfig::Reconfig;
use crate::recv::Inbound;
use crate::send::Outbound;
use crate::serial::{Tsn, VerificationTag};
use crate::stats::AssociationStats;
use crate::time::{Instant, earliest};
use crate::transmit::UdpPorts;
use crate::wire::Cause;

pub(crate) use asconf_in::wanted_addresses;
pub(crate) use auth::{auth_in, behind_auth, own_auth};
pub(crate) use capabilities::Extensions;
pub(crate) use causes::{bounded, causes};
pub(crate) use collision::{CookieAction, InitReply};
pub(crate) use cookie::{CookieKeys, StateCookie, TieTags};
pub(crate) use handshake::{is_usable, own_init, refusal_causes, write_own_params};
pub(crate) use input::{PacketIn, user_abort};
pub(crate) use output::Scratch;
pub(crate) use peer_init::{ParsedInit, PeerInit};
pub use state::AssociationPhase;
pub use status::{AssociationStatus, PathStatus};

use adopt::{inbound_config, set_route};
use asconf::AsconfState;
use control_out::{ControlOut, Farewell};
use state::State;

/// The own side of an association: where it is bound, and what it told the peer of that.
#[derive(Clone, Debug)]
pub(crate) struct LocalSide {
    pub(crate) port: u16,
    /// The own addresses.
    pub(crate) addresses: Arc<[IpAddr]>,
    /// The addresses were chosen by the user, so packets must leave from one of them; otherwise routing decides.
    pub(crate) explicit: bool,
    /// The own UDP port, with encapsulation (RFC 6951).
    pub(crate) encapsulation_port: Option<u16>,
}

impl LocalSide {
    /// The own address to send to `peer` from: the nearest one of its family, `None` to leave it to routing.
    fn source_for(&self, peer: IpAddr) -> Option<IpAddr> {
        if !self.explicit {
            return None;
        }
        let near = |own: &IpAddr| addr::common_prefix(*own, peer).map(|bits| (bits, *own));
        self.addresses
            .iter()
            .filter_map(near)
            .max_by_key(|(bits, _)| *bits)
            .map(|(_, own)| own)
    }

    /// Whether there is an own address from which `peer` can be reached.
    pub(crate) fn reaches(&self, peer: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.is_ipv4() == peer.is_ipv4())
    }

    /// The own addresses to list to a peer that is reached at `peer` (§5.1.2); none if there is but one, which the
    /// packet's source address tells.
    pub(crate) fn listed_to(&self, peer: IpAddr) -> Vec<IpAddr> {
        let listed: Vec<IpAddr> = self
            .addresses
            .iter()
            .copied()
            .filter(|&own| addr::may_list(own, peer))
            .collect();
        if listed.len() > 1 { listed } else { Vec::new() }
    }
}

/// One association.
#[derive(Debug)]
pub(crate) struct Association {
    config: Arc<AssociationConfig>,
    local: LocalSide,
    peer_port: u16,
    local_tag: VerificationTag,
    peer_tag: VerificationTag,
    local_initial_tsn: Tsn,
    peer_initial_tsn: Tsn,
    tie_tags: TieTags,
    /// What both sides support.
    extensions: Extensions,
    /// AUTH (RFC 4895), if this side offers it.
    auth: Option<Box<Authenticator>>,
    state: State,
    initiated_here: bool,
    paths: PathSet,
    outbound: Outbound,
    inbound: Inbound,
    control: ControlOut,
    /// What is to be told of marks by routers.
    ecn: Echo,
    events: VecDeque<Event>,
    /// Missing answers in a row over all paths (§8.1).
    error_count: u16,
    /// Where INIT, COOKIE ECHO, SHUTDOWN and SHUTDOWN ACK go.
    control_path: PathId,
    /// Where the last DATA came from: where SACKs go (§6.4).
    sack_path: PathId,
    /// An address was confirmed, so that packets may find the association by it.
    confirmed: bool,
    /// The user was told that the send buffer is full.
    sender_blocked: bool,
    established_at: Option<Instant>,
    /// When user data was last sent or received.
    last_activity: Instant,
    /// Before this no other unconfirmed path is probed (HB.Max.Burst).
    next_verification: Instant,
    /// Re-configuration (RFC 6525), once it was used.
    reconfig: Option<Box<Reconfig>>,
    stats: AssociationStats,
    /// Present where ASCONF is offered, and from set-up on where both sides do.
    asconf: Option<Box<AsconfState>>,
    /// The Adaptation Code point of the peer.
    peer_adaptation: Option<u32>,
    /// What log lines are about.
    span: Span,
}

/// The numbers that a new association starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) local_tag: VerificationTag,
    pub(crate) local_initial_tsn: Tsn,
}

impl Association {
    fn new(
        now: Instant,
        config: Arc<AssociationConfig>,
        local: LocalSide,
        identity: Identity,
        peer: (IpAddr, u16),
        state: State,
    ) -> Self {
        let mut outbound = Outbound::new(
            identity.local_initial_tsn,
            config.outbound_streams(),
            config.send_buffer(),
            config.congestion_control(),
        );
        outbound.set_scheduler(config.stream_scheduler());
        outbound.set_sending(*config.sending());
        let mut first = Path::new(peer.0, &config, now);
        set_route(&mut first, &local, &config);
        Self {
            peer_port: peer.1,
            local_tag: identity.local_tag,
            peer_tag: VerificationTag::ZERO,
            local_initial_tsn: identity.local_initial_tsn,
            peer_initial_tsn: Tsn(0),
            tie_tags: TieTags::default(),
            extensions: Extensions::NONE,
            auth: None,
            initiated_here: matches!(state, State::CookieWait { .. }),
            state,
            paths: PathSet::new(first),
            outbound,
            // Replaced as soon as the peer's initial TSN is known.
            inbound: Inbound::new(
                Tsn(0),
                inbound_config(&config, Extensions::NONE, config.max_inbound_streams()),
            ),
            control: ControlOut::default(),
            ecn: Echo::default(),
            events: VecDeque::new(),
            error_count: 0,
            control_path: PathId(0),
            sack_path: PathId(0),
            confirmed: false,
            sender_blocked: false,
            established_at: None,
            last_activity: now,
            next_verification: Instant::ZERO,
            reconfig: None,
            stats: AssociationStats::default(),
            asconf: Extensions::offered(&config)
                .contains(Extensions::ASCONF)
                .then(|| Box::new(AsconfState::new(identity.local_initial_tsn))),
            peer_adaptation: None,
            span: log::span(identity.local_tag, local.port, peer),
            config,
            local,
        }
    }

    pub(crate) fn phase(&self) -> AssociationPhase {
        self.state.phase()
    }

    pub(crate) const fn local_tag(&self) -> VerificationTag {
        self.local_tag
    }

    pub(crate) const fn peer_tag(&self) -> VerificationTag {
        self.peer_tag
    }

    pub(crate) const fn peer_port(&self) -> u16 {
        self.peer_port
    }

    pub(crate) const fn local(&self) -> &LocalSide {
        &self.local
    }

    pub(crate) fn config(&self) -> Arc<AssociationConfig> {
        Arc::clone(&self.config)
    }

    /// The UDP ports that a packet from `address` would bear.
    pub(crate) fn encapsulation_from(&self, address: IpAddr) -> Option<UdpPorts> {
        let ports = self.paths.get(self.paths.find(address)?)?.encap?;
        Some(ports.reversed())
    }

    /// The UDP ports around packets on a path.
    pub(crate) fn encapsulation_to(&self, id: PathId) -> Option<UdpPorts> {
        self.paths.get(id)?.encap
    }

    /// The peer's addresses.
    pub(crate) fn peer_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.paths.iter().map(|(_, path)| path.address)
    }

    /// Whether an address is known to be the peer's (§5.4).
    pub(crate) fn has_confirmed(&self, address: IpAddr) -> bool {
        let path = self.find_path(address).and_then(|id| self.paths.get(id));
        path.is_some_and(|path| path.state != PathState::Unconfirmed)
    }

    /// Whether an address was confirmed since this was last asked.
    pub(crate) const fn take_confirmed(&mut self) -> bool {
        std::mem::replace(&mut self.confirmed, false)
    }

    /// The path that the set-up went to.
    pub(crate) const fn called_path(&self) -> PathId {
        self.control_path
    }

    /// The address that the set-up went to.
    fn called_address(&self) -> Option<IpAddr> {
        self.paths.get(self.control_path).map(|path| path.address)
    }

    /// Where an answer to what came from `from` goes: there, unless the address may not be the peer's (§5.4: nothing
    /// but HEARTBEAT and HEARTBEAT ACK goes to an unconfirmed one), or no own address is left to reach it from.
    fn reply_path(&self, from: PathId) -> PathId {
        if self.may_be_used(from) {
            from
        } else {
            self.paths.for_new_data(None)
        }
    }

    /// The same for an address.
    fn reply_path_to(&self, source: IpAddr) -> PathId {
        let path = self.paths.find(source);
        path.map_or_else(|| self.paths.for_new_data(None), |from| self.reply_path(from))
    }

    /// Whether the association ended by shutdown.
    pub(crate) const fn ended_gracefully(&self) -> bool {
        matches!(self.state, State::Closed { graceful: true })
    }

    pub(crate) fn find_path(&self, address: IpAddr) -> Option<PathId> {
        self.paths.find(address)
    }

    /// The one place where the state changes.
    fn transition(&mut self, next: State) {
        let (from, to) = (self.state.phase(), next.phase());
        debug_assert!(from.may_become(to), "{from:?} -> {to:?}");
        tracing::debug!(parent: &self.span, %from, %to, "state");
        self.state = next;
    }

    /// Ends the association at once (§9.1).
    pub(crate) fn abort(&mut self, causes: Bytes, reason: FailureReason) {
        // Before an INIT ACK came the peer has no association, and there is no tag to send.
        if self.peer_tag != VerificationTag::ZERO {
            self.control.farewell = Some(Farewell::Abort {
                causes,
                tag_reflected: false,
            });
        }
        self.terminate(Err(reason));
    }

    /// The peer broke the protocol: ends the association and tells the peer why.
    fn abort_violation(&mut self, violation: Violation, causes: Bytes) {
        tracing::debug!(parent: &self.span, %violation, "the peer broke the protocol");
        self.abort(causes, FailureReason::PeerMisbehaved(violation));
    }

    /// The same, where the name of the violation says all.
    #[cold]
    fn abort_of(&mut self, violation: Violation) {
        let text = causes(|w| Cause::ProtocolViolation(violation.to_string().as_bytes()).write(w));
        self.abort_violation(violation, text);
    }

    /// Enters CLOSED, with the one end notification: send failures, then the reason, or SHUTDOWN COMPLETE.
    fn terminate(&mut self, result: Result<(), FailureReason>) {
        let phase = self.phase();
        if phase == AssociationPhase::Closed {
            return;
        }
        self.control.clear();
        for (_, path) in self.paths.iter_mut() {
            path.t3_rtx = None;
            path.disarm_probe();
            path.pmtud.disable();
        }
        self.fail_requests();
        self.fail_deferred();
        let mut failures = self.outbound.drain();
        let cause = result.as_ref().err().and_then(FailureReason::cause).unwrap_or_default();
        failures.iter_mut().for_each(|failure| failure.cause = cause);
        self.events.extend(failures.into_iter().map(Event::SendFailed));
        self.log_end(&result, phase.is_setup());
        // Nothing is told any more from here on.
        self.transition(State::Closed {
            graceful: result.is_ok(),
        });
        self.events.push_back(match result {
            Ok(()) => Event::ShutdownComplete,
            Err(reason) if phase.is_setup() => Event::ConnectFailed { reason },
            Err(reason) => Event::CommunicationLost { reason },
        });
    }

    /// The next event, oldest first.
    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn discard_events(&mut self) {
        self.events.clear();
    }

    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// When [`on_timeout`](Self::on_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.phase() == AssociationPhase::Closed {
            return None;
        }
        let reconfig = self
            .reconfig
            .as_deref()
            .and_then(|reconfig| reconfig.outgoing.poll_timeout());
        let asconf = self.asconf.as_ref().and_then(|state| state.sender.timer());
        let own = earliest(
            earliest(self.state.timer(), reconfig),
            earliest(asconf, self.paths.poll_timeout()),
        );
        let own = earliest(own, self.autoclose_at());
        earliest(own, earliest(self.inbound.sack_timeout(), self.outbound.poll_timeout()))
    }

    /// Time has passed; every timer that is due runs.
    pub(crate) fn on_timeout(&mut self, now: Instant, random: &mut Random) {
        if self.inbound.sack_timeout().is_some_and(|at| at <= now) {
            self.inbound.on_sack_timeout(now);
        }
        self.outbound.on_timeout(now);
        self.on_path_timers(now, random);
        self.on_reconfig_timer(now);
        self.on_t4(now);
        self.on_state_timer(now);
        self.on_autoclose_timer(now);
    }

    fn on_state_timer(&mut self, now: Instant) {
        if self.state.timer().is_none_or(|at| at > now) {
            return;
        }
        match self.phase() {
            AssociationPhase::CookieWait | AssociationPhase::CookieEchoed => self.on_t1(now),
            AssociationPhase::ShutdownSent | AssociationPhase::ShutdownAckSent => self.on_shutdown_timer(now),
            _ => {}
        }
    }
}
