//! What an association takes over from its peer at set-up: tag, window, streams, extensions and addresses (RFC 9260
//! §5.1).

use std::net::IpAddr;

use super::checksum::common_extensions;
use super::state::State;
use super::{Association, Extensions, LocalSide, PeerInit};
use crate::addr::{self, Scope};
use crate::config::AssociationConfig;
use crate::ecn::Echo;
use crate::event::Event;
use crate::path::{Path, PathId, PathState};
use crate::random::Random;
use crate::recv::{Inbound, InboundConfig};
use crate::time::Instant;
use crate::transmit::UdpPorts;

impl Association {
    /// Takes in what the peer told of itself: tag, window, streams, initial TSN and addresses.
    pub(super) fn adopt_peer(&mut self, now: Instant, peer: &PeerInit) {
        self.peer_tag = peer.initiate_tag;
        self.peer_initial_tsn = peer.initial_tsn;
        let inbound_streams = peer.outbound_streams.min(self.config.max_inbound_streams());
        self.extensions = common_extensions(&self.config, peer);
        self.ecn = Echo::default();
        self.adopt_auth(peer);
        let config = inbound_config(&self.config, self.extensions, inbound_streams);
        self.inbound = Inbound::new(peer.initial_tsn, config);
        let outbound_streams = self.config.outbound_streams().min(peer.inbound_streams);
        let forward_tsn = self.extensions.contains(Extensions::FORWARD_TSN);
        self.set_interleaving();
        let mut failures = self.outbound.set_peer(peer.a_rwnd, outbound_streams, forward_tsn);
        failures.iter_mut().for_each(|failure| failure.cause = INVALID_STREAM);
        self.events.extend(failures.into_iter().map(Event::SendFailed));
        self.tell_room();
        self.add_peer_addresses(now, &peer.addresses);
        self.peer_adaptation = peer.adaptation;
        self.begin_asconf(peer.initial_tsn, peer.primary);
    }

    /// Adds the peer's addresses that can be used from here. One that reaches less far than the address in use is
    /// none of the peer's: it would be one of ours.
    ///
    /// The peer's UDP port is the same on all of them until its packets show otherwise (RFC 6951 §5.4): the one that
    /// set-up has seen.
    pub(super) fn add_peer_addresses(&mut self, now: Instant, addresses: &[IpAddr]) {
        let first = self.paths.get(self.paths.first());
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

    /// Forgets the peer's addresses that are not in `keep`, unless none is. Set-up goes on at `control`.
    pub(super) fn keep_paths(&mut self, keep: &[IpAddr], control: Option<IpAddr>) {
        let named = |(_, path): &(PathId, &Path)| keep.contains(&path.address);
        if self.paths.iter().any(|entry| named(&entry)) {
            let others: Vec<PathId> = self
                .paths
                .iter()
                .filter(|entry| !named(entry))
                .map(|(id, _)| id)
                .collect();
            for id in others {
                self.remove_path(id);
            }
        }
        self.control_path = control
            .and_then(|address| self.paths.find(address))
            .unwrap_or_else(|| self.paths.first());
        self.sack_path = self.control_path;
    }

    /// Forgets one of the peer's addresses, unless it is the last one. What is in flight there is sent again elsewhere;
    /// what was bound to it goes wherever it can.
    pub(super) fn remove_path(&mut self, id: PathId) -> Option<Path> {
        let path = self.paths.remove(id)?;
        let to = self.paths.for_new_data(None);
        self.outbound.leave_path(id, to);
        self.control.leave_path(id, to);
        if let Some(state) = &mut self.asconf {
            state.sender.leave_path(id, to);
        }
        for holder in [&mut self.control_path, &mut self.sack_path] {
            if *holder == id {
                *holder = to;
            }
        }
        Some(path)
    }

    /// The path that carried the set-up is confirmed by it (§5.4); those that nobody vouches for are probed, one a
    /// round trip (HB.Max.Burst).
    pub(super) fn confirm_paths(&mut self, now: Instant, confirmed: PathId, random: &mut Random) {
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

    /// Tells the user of the peer's Adaptation Layer Indication (RFC 6458 §6.1.6).
    pub(super) fn tell_adaptation(&mut self) {
        if let Some(code_point) = self.peer_adaptation {
            self.tell(Event::AdaptationIndication { code_point });
        }
    }

    /// Enters ESTABLISHED.
    pub(super) fn establish(&mut self, now: Instant, confirmed: PathId, random: &mut Random) {
        let shutdown_wanted = self.shutdown_wanted();
        self.transition(State::Established);
        self.error_count = 0;
        self.established_at = Some(now);
        self.last_activity = now;
        self.confirm_paths(now, confirmed, random);
        self.log_up();
        self.events.push_back(Event::CommunicationUp {
            initiated_here: self.initiated_here,
            outbound_streams: self.outbound.streams(),
            inbound_streams: self.inbound.streams(),
        });
        self.tell_no_auth();
        self.tell_adaptation();
        self.heed_primary_wish();
        if shutdown_wanted {
            self.shutdown(now);
        }
    }
}

/// Where packets on a path leave from, and the UDP ports around them.
pub(super) fn set_route(path: &mut Path, local: &LocalSide, config: &AssociationConfig) {
    path.local = local.source_for(path.address);
    path.encap = local.encapsulation_port.map(|source| UdpPorts {
        source,
        destination: path.config.remote_encapsulation_port().unwrap_or(source),
    });
    path.reset_cc(config);
}

/// Invalid Stream Identifier (RFC 9260 §3.3.10.1): the peer has no such stream.
const INVALID_STREAM: u16 = 1;

pub(super) fn inbound_config(config: &AssociationConfig, extensions: Extensions, streams: u16) -> InboundConfig {
    InboundConfig {
        receive_buffer: config.receive_buffer(),
        streams,
        forward_tsn: extensions.contains(Extensions::FORWARD_TSN),
        interleaving: extensions.contains(Extensions::INTERLEAVING),
        fragment_interleave: config.interleaving().fragment_interleave(),
        sack_delay: config.sack_delay(),
        sack_frequency: config.sack_frequency(),
        partial_delivery_point: config.partial_delivery_point(),
    }
}
