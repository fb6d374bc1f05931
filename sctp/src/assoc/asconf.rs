//! Own addresses that come and go while an association is open (RFC 5061 §5.1, §5.3). What the peer asks for is in
//! `asconf_in`.

use std::net::IpAddr;
use std::sync::Arc;

use super::asconf_in::Answers;
use super::causes::causes;
use super::{Association, AssociationPhase, Extensions};
use crate::addr;
use crate::asconf::{Ack, Gone, Outcome, Receiver, Sender, Wish, source_for_request};
use crate::error::{AddressError, Violation};
use crate::event::{Event, PathChange};
use crate::path::{PathId, PathState};
use crate::serial::{AsconfSerial, Tsn};
use crate::time::Instant;
use crate::transmit::Transmit;
use crate::wire::{self, AddressChange, AsconfAck, AsconfResponse, Cause, Causes};

/// What an association that offers ASCONF keeps.
#[derive(Debug)]
pub(super) struct AsconfState {
    pub(super) sender: Sender,
    /// `None` until the peer is known to take part.
    pub(super) receiver: Option<Receiver>,
    pub(super) gone: Gone,
    /// Own addresses that the host has no more, and that the peer was not yet told of, or would not let go.
    lost: Vec<IpAddr>,
    pub(super) answers: Option<Answers>,
    /// No ASCONF of the packet that is being read was looked at.
    pub(super) first_of_packet: bool,
    /// The address that the peer wants to be its primary one, until that is confirmed.
    pub(super) primary_wish: Option<IpAddr>,
    /// The peer's addresses are others than before.
    pub(super) peer_changed: bool,
}

impl AsconfState {
    /// Serial numbers start with the initial TSN (§5.1 A2).
    pub(super) fn new(initial_tsn: Tsn) -> Self {
        Self {
            sender: Sender::new(AsconfSerial(initial_tsn.0)),
            receiver: None,
            gone: Gone::default(),
            lost: Vec::new(),
            answers: None,
            first_of_packet: true,
            primary_wish: None,
            peer_changed: false,
        }
    }
}

/// §5.1.1 C4.
const fn takes_asconf(phase: AssociationPhase) -> bool {
    matches!(
        phase,
        AssociationPhase::Established
            | AssociationPhase::ShutdownPending
            | AssociationPhase::ShutdownReceived
            | AssociationPhase::ShutdownSent
    )
}

impl Association {
    /// The peer's INIT, INIT ACK or cookie is known: whether both sides speak ASCONF, and from which numbers on.
    pub(super) fn begin_asconf(&mut self, peer_initial_tsn: Tsn, primary_wish: Option<IpAddr>) {
        if !self.extensions.contains(Extensions::ASCONF) {
            if let Some(mut state) = self.asconf.take() {
                self.tell_outcomes(state.sender.on_unknown_chunk());
            }
            return;
        }
        let initial_tsn = self.local_initial_tsn;
        let state = self
            .asconf
            .get_or_insert_with(|| Box::new(AsconfState::new(initial_tsn)));
        state.sender.restart(AsconfSerial(initial_tsn.0));
        state.receiver = Some(Receiver::new(AsconfSerial(peer_initial_tsn.0)));
        state.answers = None;
        state.primary_wish = primary_wish.filter(|_| self.config.asconf().peer_may_set_primary());
    }

    /// Whether both sides speak ASCONF; before it is known, whether this one does.
    pub(crate) const fn speaks_asconf(&self) -> bool {
        self.extensions.contains(Extensions::ASCONF)
    }

    /// The state, where ASCONF is spoken and the phase allows it.
    pub(super) fn asconf_now(&mut self) -> Option<&mut AsconfState> {
        let ready = takes_asconf(self.phase());
        self.asconf
            .as_deref_mut()
            .filter(|state| ready && state.receiver.is_some())
    }

    // What the user asks for.

    /// Adds an own address. The wildcard is whatever address the peer sees.
    pub(crate) fn add_local_address(&mut self, address: IpAddr) -> Result<(), AddressError> {
        let address = address.to_canonical();
        self.check_asconf()?;
        if !address.is_unspecified() {
            let peer = self.paths.get(self.paths.primary()).map(|path| path.address);
            if !addr::is_usable_peer(address) || peer.is_some_and(|peer| !addr::may_list(address, peer)) {
                return Err(AddressError::OutOfScope);
            }
            self.pin_addresses();
            if self.local.addresses.contains(&address) {
                return Ok(());
            }
        }
        match self.wish(AddressChange::Add(address))? {
            // It was about to be deleted.
            Wish::Cancels => self.use_address(address),
            Wish::Waits | Wish::Known => {}
        }
        Ok(())
    }

    /// Deletes an own address, unless it is the last one. The wildcard is all but the one that the peer sees.
    pub(crate) fn remove_local_address(&mut self, address: IpAddr) -> Result<(), AddressError> {
        let address = address.to_canonical();
        let adding = self.check_own_address(address)?;
        if !address.is_unspecified() && !adding {
            let another = self.asconf.as_ref().is_some_and(|state| state.sender.is_adding_any());
            if self.local.addresses.len() == 1 && !another {
                return Err(AddressError::LastAddress);
            }
        }
        self.wish(AddressChange::Delete(address))?;
        self.leave_address(address);
        Ok(())
    }

    /// Asks the peer to send to an own address first (§5.4).
    pub(crate) fn set_peer_primary(&mut self, address: IpAddr) -> Result<(), AddressError> {
        let address = address.to_canonical();
        self.check_own_address(address)?;
        self.wish(AddressChange::SetPrimary(address)).map(drop)
    }

    /// Checks that the peer can be told something of this address, which is an own one or about to be one (true), or
    /// the wildcard.
    fn check_own_address(&mut self, address: IpAddr) -> Result<bool, AddressError> {
        self.check_asconf()?;
        self.pin_addresses();
        let state = self.asconf.as_ref();
        let adding = state.is_some_and(|state| state.sender.is_adding(address));
        if address.is_unspecified() || adding || self.local.addresses.contains(&address) {
            Ok(adding)
        } else {
            Err(AddressError::NoSuchAddress)
        }
    }

    fn check_asconf(&self) -> Result<(), AddressError> {
        match self.phase() {
            AssociationPhase::Closed | AssociationPhase::ShutdownAckSent => Err(AddressError::ShuttingDown),
            _ if self.asconf.is_none() => Err(AddressError::NotNegotiated),
            _ => Ok(()),
        }
    }

    fn wish(&mut self, change: AddressChange) -> Result<Wish, AddressError> {
        let state = self.asconf.as_mut().ok_or(AddressError::NotNegotiated)?;
        state.sender.wish(change)
    }

    // What happens to the host.

    /// The host has another address.
    pub(crate) fn on_address_gained(&mut self, address: IpAddr) {
        if let Some(state) = &mut self.asconf {
            state.lost.retain(|lost| *lost != address);
        }
        if self.config.asconf().automatic() && self.add_local_address(address).is_err() {
            tracing::debug!(parent: &self.span, %address, "the peer is not told of a new address");
        }
    }

    /// The host has lost an address: nothing can be sent from it any more. The peer is told if that goes by itself;
    /// deleting the last one waits for another.
    pub(crate) fn on_address_lost(&mut self, address: IpAddr) {
        if self.asconf.is_some() && self.config.asconf().automatic() {
            self.pin_addresses();
            if let Some(state) = self.asconf.as_mut().filter(|state| state.lost.len() < MAX_LOST) {
                state.lost.push(address);
            }
            let known = self.local.addresses.contains(&address)
                || self
                    .asconf
                    .as_ref()
                    .is_some_and(|state| state.sender.is_adding(address));
            // A peer that cannot be told still hears from the others.
            if known && (self.wish(AddressChange::Delete(address)).is_ok() || self.local.addresses.len() > 1) {
                self.leave_address(address);
            }
        } else if !self.local.explicit {
            for (_, path) in self.paths.iter_mut() {
                path.leave_local(address, &self.config);
            }
        } else if self.local.addresses.len() > 1 {
            self.leave_address(address);
        }
    }

    // Own addresses as sources.

    /// From the first change on, packets leave from addresses that the peer knows, not from whatever routing likes.
    fn pin_addresses(&mut self) {
        if self.local.explicit {
            return;
        }
        let peer = self.called_address();
        let told = |own: &IpAddr| peer.is_none_or(|peer| addr::may_list(*own, peer));
        let listed: Vec<IpAddr> = self.local.addresses.iter().copied().filter(told).collect();
        if !listed.is_empty() {
            self.local.addresses = listed.into();
        }
        self.local.explicit = true;
        self.repair_sources();
    }

    /// The peer knows the own `address`: packets may leave from it (§5.3 F2).
    fn use_address(&mut self, address: IpAddr) {
        if !address.is_unspecified() && !self.local.addresses.contains(&address) {
            let all = self.local.addresses.iter().copied().chain([address]);
            self.local.addresses = all.collect::<Arc<[IpAddr]>>();
        }
        if let Some(state) = &mut self.asconf {
            state.gone.remove(address);
            state.lost.retain(|lost| *lost != address);
        }
        self.repair_sources();
    }

    /// Nothing leaves from the own `address` any more (§5.3 F4).
    fn leave_address(&mut self, address: IpAddr) {
        let others = self.local.addresses.iter().copied().filter(|own| *own != address);
        self.local.addresses = others.collect::<Arc<[IpAddr]>>();
        self.repair_sources();
    }

    /// Gives each path a source that is in use. One without is of no use while others have some; what waited to be sent
    /// there goes elsewhere.
    fn repair_sources(&mut self) {
        for (_, path) in self.paths.iter_mut() {
            let usable = |source: &IpAddr| self.local.addresses.contains(source);
            path.other_local.take_if(|other| !usable(other));
            if !path.local.as_ref().is_some_and(usable) {
                path.set_local(self.local.source_for(path.address), &self.config);
            }
        }
        let any = self.paths.iter().any(|(_, path)| path.local.is_some());
        for id in self.paths.ids() {
            let Some(path) = self.paths.get_mut(id) else { continue };
            path.stranded = path.local.is_none();
            if path.stranded && any && matches!(path.state, PathState::Active | PathState::PotentiallyFailed) {
                path.state = PathState::Inactive;
                self.path_event(id, PathChange::Unreachable);
            } else if !path.stranded && path.state == PathState::Inactive {
                path.request_probe();
            }
        }
        let to = self.paths.for_new_data(None);
        for (id, _) in self.paths.iter().filter(|(_, path)| path.stranded) {
            self.control.leave_path(id, to);
        }
    }

    /// Whether a packet may be sent on a path at all: the only address that the peer knew may be lost, and the next one
    /// not be acknowledged (§5.3 F1).
    pub(super) fn has_source(&self, id: PathId) -> bool {
        !self.local.explicit || self.paths.get(id).is_some_and(|path| path.local.is_some())
    }

    /// Whether packets other than HEARTBEAT, its answer and ASCONF-ACK may be sent on a path (§5.3 F1, F14; RFC 9260
    /// §5.4).
    pub(super) fn may_be_used(&self, id: PathId) -> bool {
        self.has_source(id)
            && self
                .paths
                .get(id)
                .is_some_and(|path| path.state != PathState::Unconfirmed)
    }

    /// Whether an ABORT to the own `address` is to be ignored: it is being deleted, and a stranger may have answered to
    /// what was sent from it before (§5.3 F4, §5.3.1).
    pub(crate) fn ignores_abort_to(&self, address: IpAddr) -> bool {
        let leaving = |state: &AsconfState| state.sender.is_deleting(address) || state.gone.contains(address);
        self.asconf.as_deref().is_some_and(leaving)
    }

    /// Whether packets to the own `address` do not count any more: it was deleted more than two RTOs ago (§5.3).
    pub(crate) fn has_left(&self, now: Instant, address: IpAddr) -> bool {
        self.asconf
            .as_ref()
            .is_some_and(|state| state.gone.is_over(now, address))
    }

    // Timer and output.

    /// T4-rto expired (§5.1 B1 to B5): again, on another path and from another address if there is one.
    pub(super) fn on_t4(&mut self, now: Instant) {
        let request = self.asconf.as_mut().and_then(|state| state.sender.outstanding_mut());
        let Some(request) = request.filter(|request| request.t4.is_some_and(|at| at <= now)) else {
            return;
        };
        let tried = request.path;
        request.t4 = None;
        request.due = true;
        request.attempts = request.attempts.saturating_add(1);
        request.path = self.paths.for_retransmission(tried);
        if let Some(path) = self.paths.get_mut(tried) {
            path.rto.back_off();
        }
        self.stats.t4_expiries += 1;
        tracing::debug!("T4-rto expired");
        self.on_missing_answer(now, tried, true, false);
    }

    /// No ASCONF is sent any more (§5.1.1 C4).
    pub(super) fn stop_asconf(&mut self) {
        let request = self.asconf.as_mut().and_then(|state| state.sender.outstanding_mut());
        if let Some(request) = request {
            (request.t4, request.due) = (None, false);
        }
    }

    /// Writes a packet with an ASCONF-ACK or an ASCONF, which go alone: their source is not everybody's.
    pub(super) fn write_asconf_packet(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        self.asconf_now()?;
        self.write_asconf_answers(now, buf)
            .or_else(|| self.write_asconf_request(now, buf))
    }

    fn write_asconf_request(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        let (new_path, usable) = (self.paths.for_new_data(None), Arc::clone(&self.local.addresses));
        let state = self.asconf_now()?;
        state.sender.prepare(&usable, new_path);
        let wanted = state.sender.outstanding().filter(|request| request.due)?.path;
        let (id, source) = self.route_for_request(wanted)?;
        let start = wire::begin_packet(buf, &self.header(self.peer_tag));
        self.write_asconf(now, id, source, buf);
        self.finish_packet(buf, start);
        let transmit = self.transmit(id, buf.len(), buf.len())?;
        Some(Transmit {
            src: Some(source),
            ..transmit
        })
    }

    /// Where the outstanding ASCONF can go, and from which address: the wanted path if it can, confirmed ones before
    /// others.
    fn route_for_request(&self, wanted: PathId) -> Option<(PathId, IpAddr)> {
        let mut ids: Vec<PathId> = self.paths.ids().collect();
        ids.sort_by_key(|&id| {
            let state = self.paths.get(id).map(|path| path.state);
            (state == Some(PathState::Unconfirmed), id != wanted)
        });
        ids.into_iter().find_map(|id| {
            let path = self.paths.get(id)?;
            Some((id, self.source_for_request(path.address, path.local)?))
        })
    }

    /// The address that the outstanding ASCONF can leave from to `peer`.
    pub(super) fn source_for_request(&self, peer: IpAddr, preferred: Option<IpAddr>) -> Option<IpAddr> {
        let request = self.asconf.as_ref()?.sender.outstanding()?;
        let usable = &self.local.addresses;
        source_for_request(usable, request.adding(), preferred, peer, request.attempts)
    }

    /// Writes the outstanding ASCONF, and starts T4-rto (§5.1 A4).
    pub(super) fn write_asconf(&mut self, now: Instant, id: PathId, source: IpAddr, buf: &mut Vec<u8>) {
        let rto = self.paths.get_mut(id).map(|path| {
            path.touch(now);
            path.rto()
        });
        let rto = rto.unwrap_or_else(|| self.config.rto_initial());
        let state = self.asconf.as_mut();
        let Some(request) = state.and_then(|state| state.sender.outstanding_mut()) else {
            return;
        };
        request.path = id;
        request.source = Some(source);
        request.due = false;
        request.t4 = Some(now + rto);
        wire::write_asconf(buf, request.serial, request.lookup, |w| {
            for (id, change) in request.numbered() {
                change.write(w, id);
            }
        });
        self.stats.asconfs_sent += 1;
        self.note_sent(wire::ChunkType::ASCONF);
    }

    // What the peer says to it.

    /// An ASCONF-ACK (§5.1 A5 to A8).
    pub(super) fn on_asconf_ack(&mut self, now: Instant, value: &[u8]) {
        let Some(state) = self.asconf_now() else { return };
        let Ok(ack) = AsconfAck::parse(value) else { return };
        let responses = ack
            .responses
            .map_while(Result::ok)
            .filter_map(|response| match response {
                AsconfResponse::Success(id) => Some((id, None)),
                AsconfResponse::Error { correlation_id, causes } => Some((correlation_id, Some(first_cause(&causes)))),
                AsconfResponse::Unknown(_) => None,
            });
        match state.sender.on_ack(ack.serial, responses) {
            Ack::Answers { outcomes, path, source } => {
                self.stats.asconf_acks_received += 1;
                self.on_answer(now, path);
                for outcome in &outcomes {
                    self.carry_out(now, *outcome, source);
                }
                self.tell_outcomes(outcomes);
            }
            Ack::Old => self.stats.asconfs_ignored += 1,
            Ack::Illegal => {
                let causes = causes(|w| Cause::IllegalAsconfAck.write(w));
                self.abort_violation(Violation::IllegalAsconfAck, causes);
            }
        }
    }

    fn carry_out(&mut self, now: Instant, outcome: Outcome, source: Option<IpAddr>) {
        let Some(state) = &mut self.asconf else { return };
        let address = outcome.change.address();
        if outcome.refused.is_some() {
            // What the peer keeps is used on, if the host has it.
            let wanted = !state.sender.is_deleting(address) && !state.lost.contains(&address);
            if matches!(outcome.change, AddressChange::Delete(_)) && wanted {
                self.use_address(address);
            }
            return;
        }
        match outcome.change {
            AddressChange::Add(address) => {
                let kept = self
                    .asconf
                    .as_ref()
                    .is_some_and(|state| !state.sender.is_deleting(address));
                if kept {
                    self.use_address(address);
                }
            }
            AddressChange::Delete(any) if any.is_unspecified() => {
                let others: Vec<IpAddr> = self.local.addresses.iter().copied().collect();
                for own in others.into_iter().filter(|own| Some(*own) != source) {
                    self.leave_address(own);
                    self.has_gone(now, own);
                }
            }
            AddressChange::Delete(address) => self.has_gone(now, address),
            AddressChange::SetPrimary(_) => {}
        }
    }

    fn has_gone(&mut self, now: Instant, address: IpAddr) {
        let until = now + self.current_rto() * 2;
        if let Some(state) = &mut self.asconf {
            state.lost.retain(|lost| *lost != address);
            if !state.sender.is_adding(address) {
                state.gone.insert(address, until);
            }
        }
    }

    pub(super) fn tell_outcomes(&mut self, outcomes: Vec<Outcome>) {
        for Outcome { change, refused } in outcomes {
            self.tell(Event::AddressChangeAnswered { change, refused });
        }
    }

    /// The peer reports that it does not know a chunk, of which it quotes the beginning (§5.1 A9).
    pub(super) fn on_unrecognized_chunk(&mut self, quoted: &[u8]) {
        if quoted.first() == Some(&wire::ChunkType::ASCONF.0)
            && let Some(state) = self.asconf_now()
        {
            let outcomes = state.sender.on_unknown_chunk();
            self.tell_outcomes(outcomes);
        }
    }

    /// A packet is about to be read.
    pub(super) fn begin_asconf_packet(&mut self) {
        if let Some(state) = &mut self.asconf {
            state.first_of_packet = true;
        }
    }
}

/// How many lost addresses are remembered.
const MAX_LOST: usize = 32;

/// The code of the first cause; zero if there is none.
fn first_cause(causes: &Causes<'_>) -> u16 {
    let first = causes.tlvs().next();
    first.and_then(Result::ok).map_or(0, |tlv| tlv.kind)
}
