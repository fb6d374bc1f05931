//! One association: its parts put together, and what its user may ask of it.
//!
//! Everything about one association is decided here and in the files beside this one, each for one section of RFC
//! 9260: `handshake` §5.1, `collision` §5.2, `data_in` §6.2, `output` §6.1 and §6.10, `reachability` §8, `shutdown`
//! §9. The mechanisms are in `path`, `cc`, `send` and `recv`.

mod capabilities;
mod collision;
mod control_out;
mod cookie;
mod data_in;
mod handshake;
mod input;
mod output;
mod peer_init;
mod reachability;
mod shutdown;
mod state;
mod status;
mod tell;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::addr::{self, Scope};
use crate::config::AssociationConfig;
use crate::error::{FailureReason, SendError, Violation};
use crate::event::{Event, PathChange};
use crate::message::{OutMessage, Received};
use crate::path::{Path, PathId, PathSet, PathState};
use crate::random::Random;
use crate::recv::{Inbound, InboundConfig};
use crate::send::Outbound;
use crate::serial::{Tsn, VerificationTag};
use crate::stats::AssociationStats;
use crate::time::{Instant, earliest};
use crate::transmit::UdpPorts;

pub(crate) use capabilities::Extensions;
pub(crate) use collision::{CookieAction, InitReply};
pub(crate) use cookie::{CookieKeys, StateCookie, TieTags};
pub(crate) use handshake::{bounded, causes, is_usable, own_init, refusal_causes, write_own_params};
pub(crate) use input::{PacketIn, user_abort};
pub(crate) use output::Scratch;
pub(crate) use peer_init::{ParsedInit, PeerInit};
pub use state::AssociationPhase;
pub use status::{AssociationStatus, PathStatus};

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
    tie_tags: TieTags,
    /// What both sides support.
    extensions: Extensions,
    state: State,
    initiated_here: bool,
    paths: PathSet,
    outbound: Outbound,
    inbound: Inbound,
    control: ControlOut,
    events: VecDeque<Event>,
    /// Missing answers in a row over all paths (§8.1).
    error_count: u16,
    /// Where INIT, COOKIE ECHO, SHUTDOWN and SHUTDOWN ACK go.
    control_path: PathId,
    /// Where the last DATA came from: where SACKs go (§6.4).
    sack_path: PathId,
    /// The user was told that the send buffer is full.
    sender_blocked: bool,
    /// Before this no other unconfirmed path is probed (HB.Max.Burst).
    next_verification: Instant,
    stats: AssociationStats,
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
        let mut first = Path::new(peer.0, &config, now);
        set_route(&mut first, &local, &config);
        Self {
            peer_port: peer.1,
            local_tag: identity.local_tag,
            peer_tag: VerificationTag::ZERO,
            local_initial_tsn: identity.local_initial_tsn,
            tie_tags: TieTags::default(),
            extensions: Extensions::NONE,
            initiated_here: matches!(state, State::CookieWait { .. }),
            state,
            paths: PathSet::new(first),
            outbound: Outbound::new(
                identity.local_initial_tsn,
                config.outbound_streams(),
                config.send_buffer(),
                config.congestion_control(),
            ),
            // Replaced as soon as the peer's initial TSN is known.
            inbound: Inbound::new(
                Tsn(0),
                inbound_config(&config, Extensions::NONE, config.max_inbound_streams()),
            ),
            control: ControlOut::default(),
            events: VecDeque::new(),
            error_count: 0,
            control_path: PathId(0),
            sack_path: PathId(0),
            sender_blocked: false,
            next_verification: Instant::ZERO,
            stats: AssociationStats::default(),
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

    pub(crate) fn config(&self) -> &AssociationConfig {
        &self.config
    }

    /// The UDP ports that a packet from `address` would bear.
    pub(crate) fn encapsulation_from(&self, address: IpAddr) -> Option<UdpPorts> {
        let ports = self.paths.get(self.paths.find(address)?)?.encap?;
        Some(UdpPorts {
            source: ports.destination,
            destination: ports.source,
        })
    }

    /// The peer's addresses.
    pub(crate) fn peer_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.paths.iter().map(|(_, path)| path.address)
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
    /// but HEARTBEAT and HEARTBEAT ACK goes to an unconfirmed one).
    fn reply_path(&self, from: PathId) -> PathId {
        let confirmed = |path: &Path| path.state != PathState::Unconfirmed;
        if self.paths.get(from).is_some_and(confirmed) {
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
        tracing::trace!(tag = ?self.local_tag, ?from, ?to, "state");
        self.state = next;
    }

    // What the user asks.

    /// Queues a message (§11.1.5).
    pub(crate) fn send(&mut self, now: Instant, message: OutMessage) -> Result<(), SendError> {
        match self.phase() {
            AssociationPhase::Closed => return Err(SendError::NoSuchAssociation),
            AssociationPhase::CookieWait | AssociationPhase::CookieEchoed if self.shutdown_wanted() => {
                return Err(SendError::ShuttingDown);
            }
            AssociationPhase::CookieWait | AssociationPhase::CookieEchoed | AssociationPhase::Established => {}
            _ => return Err(SendError::ShuttingDown),
        }
        let wanted = message.destination.and_then(|address| self.paths.find(address));
        let result = self.outbound.push(now, message, wanted);
        match result {
            Ok(()) => {
                self.stats.messages_sent += 1;
                for (_, path) in self.paths.iter_mut() {
                    path.cc.on_occasion();
                }
            }
            Err(SendError::WouldBlock) => self.sender_blocked = true,
            Err(_) => {}
        }
        self.after_abandonment(now);
        result
    }

    /// Takes the next received message (§11.1.6).
    pub(crate) fn recv(&mut self) -> Option<Received> {
        let received = self.inbound.recv();
        if received.as_ref().is_some_and(|piece| piece.end_of_message) {
            self.stats.messages_received += 1;
        }
        received
    }

    /// Taking messages opened the window far enough that the peer should know (§6.2).
    pub(crate) const fn wants_window_update(&self) -> bool {
        self.inbound.sack_wanted()
    }

    pub(crate) fn readable(&self) -> bool {
        self.inbound.readable()
    }

    /// Makes a confirmed path the primary one; false if it is not confirmed.
    pub(crate) fn set_primary(&mut self, id: PathId) -> bool {
        let done = self.paths.set_primary(id);
        if done {
            self.path_event(id, PathChange::Primary);
        }
        done
    }

    /// Probes a path now (§11.1.11).
    pub(crate) fn request_heartbeat(&mut self, id: PathId) {
        if let Some(path) = self.paths.get_mut(id) {
            path.request_probe();
        }
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
        tracing::debug!(tag = ?self.local_tag, %violation, "the peer broke the protocol");
        self.abort(causes, FailureReason::PeerMisbehaved(violation));
    }

    /// Enters CLOSED, with the one end notification: send failures, then the reason, or SHUTDOWN COMPLETE.
    fn terminate(&mut self, result: Result<(), FailureReason>) {
        let phase = self.phase();
        if phase == AssociationPhase::Closed {
            return;
        }
        self.transition(State::Closed {
            graceful: result.is_ok(),
        });
        self.control.clear();
        for (_, path) in self.paths.iter_mut() {
            path.t3_rtx = None;
            path.disarm_probe();
        }
        let failures = self.outbound.drain();
        self.events.extend(failures.into_iter().map(Event::SendFailed));
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
        let own = earliest(self.state.timer(), self.paths.poll_timeout());
        earliest(own, earliest(self.inbound.sack_timeout(), self.outbound.poll_timeout()))
    }

    /// Time has passed; every timer that is due runs.
    pub(crate) fn on_timeout(&mut self, now: Instant, random: &mut Random) {
        if self.inbound.sack_timeout().is_some_and(|at| at <= now) {
            self.inbound.on_sack_timeout(now);
        }
        self.outbound.on_timeout(now);
        self.on_path_timers(now, random);
        self.on_state_timer(now);
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

    /// Takes in what the peer told of itself: tag, window, streams, initial TSN and addresses.
    fn adopt_peer(&mut self, now: Instant, peer: &PeerInit) {
        self.peer_tag = peer.initiate_tag;
        let inbound_streams = peer.outbound_streams.min(self.config.max_inbound_streams());
        self.extensions = Extensions::offered(&self.config).and(peer.extensions);
        let config = inbound_config(&self.config, self.extensions, inbound_streams);
        self.inbound = Inbound::new(peer.initial_tsn, config);
        let outbound_streams = self.config.outbound_streams().min(peer.inbound_streams);
        let forward_tsn = self.extensions.contains(Extensions::FORWARD_TSN);
        let failures = self.outbound.set_peer(peer.a_rwnd, outbound_streams, forward_tsn);
        self.events.extend(failures.into_iter().map(Event::SendFailed));
        self.tell_room();
        self.add_peer_addresses(now, &peer.addresses);
    }

    /// Adds the peer's addresses that can be used from here. One that reaches less far than the address in use is
    /// none of the peer's: it would be one of ours.
    ///
    /// The peer's UDP port is the same on all of them until its packets show otherwise (RFC 6951 §5.4): the one that
    /// set-up has seen.
    fn add_peer_addresses(&mut self, now: Instant, addresses: &[IpAddr]) {
        let first = self.paths.get(PathId(0));
        let scope = first.map_or(Scope::Global, |path| addr::scope(path.address));
        let encap = first.and_then(|path| path.encap);
        // Only who is on this host itself can have one of its addresses.
        let here = first.is_some_and(|path| self.local.addresses.contains(&path.address));
        for &address in addresses {
            let ours = !here && self.local.addresses.contains(&address);
            if addr::scope(address) >= scope.min(Scope::Private) && self.local.reaches(address) && !ours {
                let mut path = Path::new(address, &self.config, now);
                set_route(&mut path, &self.local, &self.config);
                path.encap = encap;
                self.paths.add(path);
            }
        }
    }

    /// Forgets the peer's addresses that are not in `keep`, while nothing is outstanding. Set-up goes on at `control`.
    fn keep_paths(&mut self, keep: &[IpAddr], control: Option<IpAddr>) {
        let renamed = self.paths.retain(keep);
        self.outbound.rename_paths(&renamed);
        self.control_path = control
            .and_then(|address| self.paths.find(address))
            .unwrap_or(PathId(0));
        self.sack_path = self.control_path;
    }

    /// The path that carried the set-up is confirmed by it (§5.4); those that nobody vouches for are probed, one a
    /// round trip (HB.Max.Burst).
    fn confirm_paths(&mut self, now: Instant, confirmed: PathId, random: &mut Random) {
        self.paths.confirm_setup_path(confirmed);
        let mut unconfirmed = 0;
        for (_, path) in self.paths.iter_mut() {
            if path.state == PathState::Unconfirmed {
                path.arm_first_probe(now, path.rto() * unconfirmed);
                unconfirmed += 1;
            } else {
                path.arm_probe(now, random);
            }
        }
    }

    /// Enters ESTABLISHED.
    fn establish(&mut self, now: Instant, confirmed: PathId, random: &mut Random) {
        let shutdown_wanted = self.shutdown_wanted();
        self.transition(State::Established);
        self.error_count = 0;
        self.confirm_paths(now, confirmed, random);
        self.events.push_back(Event::CommunicationUp {
            initiated_here: self.initiated_here,
            outbound_streams: self.outbound.streams(),
            inbound_streams: self.inbound.streams(),
        });
        if shutdown_wanted {
            self.shutdown(now);
        }
    }
}

/// Where packets on a path leave from, and the UDP ports around them.
fn set_route(path: &mut Path, local: &LocalSide, config: &AssociationConfig) {
    path.local = local.source_for(path.address);
    path.encap = local.encapsulation_port.map(|source| UdpPorts {
        source,
        destination: path.config.remote_encapsulation_port().unwrap_or(source),
    });
    path.reset_cc(config);
}

fn inbound_config(config: &AssociationConfig, extensions: Extensions, streams: u16) -> InboundConfig {
    InboundConfig {
        receive_buffer: config.receive_buffer(),
        streams,
        forward_tsn: extensions.contains(Extensions::FORWARD_TSN),
        sack_delay: config.sack_delay(),
        sack_frequency: config.sack_frequency(),
    }
}
