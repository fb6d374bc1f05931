//! What the peer asks for: addresses that it adds, deletes and wants to be its primary one (RFC 5061 §5.2 to §5.4).

use std::net::IpAddr;

use bytes::Bytes;

use super::causes::quotable;
use super::input::PacketIn;
use super::{Association, set_route};
use crate::addr::{self, Scope};
use crate::asconf::{Judge, MAX_REQUESTS, Policy, Reception, Refusal, Verdict};
use crate::event::PathChange;
use crate::path::{Path, PathId, PathSet, PathState};
use crate::time::Instant;
use crate::tlv::{UnknownAction, Writer};
use crate::transmit::{Transmit, UdpPorts};
use crate::wire::{
    self, AddressChange, Asconf, AsconfRequest, Cause, ChunkType, Packet, RawChunk, write_error_cause_indication,
    write_success_indication,
};

/// ASCONF-ACKs that answer one packet, and where they go: to where it came from (§5.2 E6).
#[derive(Debug)]
pub(super) struct Answers {
    from: IpAddr,
    to: IpAddr,
    encap: Option<UdpPorts>,
    chunks: Vec<Bytes>,
    len: usize,
}

/// How many bytes of responses an ASCONF-ACK holds. What does not fit is refused as a whole, so that an answer is no
/// larger than any path carries (§5.1.1 C5).
const MAX_RESPONSES: usize = 512;

/// How many bytes of ASCONF-ACKs go into a packet (§5.2 E7).
const MAX_ANSWERS: usize = 1000;

/// The longest response: an Error Cause Indication with a quoted request.
const LONGEST_RESPONSE: usize = 12 + MAX_QUOTE;

/// How much of a request is quoted; those that are understood are shorter.
const MAX_QUOTE: usize = 64;

impl Association {
    /// The association of a packet from an address that is not the peer's, if it is about that: it has an ASCONF that
    /// names an address of the peer, or none in particular (§5.2 D2, D2-ext). The tag was right.
    pub(crate) fn path_named_by(&self, packet: &Packet<'_>) -> Option<PathId> {
        self.asconf.as_ref()?.receiver.as_ref()?;
        let asconfs = packet
            .chunks()
            .map_while(Result::ok)
            .filter(|chunk| chunk.kind == ChunkType::ASCONF);
        asconfs
            .filter_map(|chunk| Asconf::parse(chunk.value).ok())
            .find_map(|asconf| {
                if asconf.address.is_unspecified() {
                    Some(self.paths.primary())
                } else {
                    self.paths.find(asconf.address.to_canonical())
                }
            })
    }

    /// Whether the peer's addresses changed since the last call.
    pub(crate) fn take_peer_changed(&mut self) -> bool {
        self.asconf
            .as_mut()
            .is_some_and(|state| std::mem::take(&mut state.peer_changed))
    }

    /// An ASCONF (§5.2).
    pub(super) fn on_asconf(&mut self, now: Instant, packet: &PacketIn<'_>, chunk: &RawChunk<'_>) {
        let Some(state) = self.asconf_now() else { return };
        let first = std::mem::take(&mut state.first_of_packet);
        let Some(receiver) = &state.receiver else { return };
        let Ok(asconf) = Asconf::parse(chunk.value) else {
            self.stats.asconfs_ignored += 1;
            return;
        };
        match receiver.receive(asconf.serial) {
            Reception::New => {
                self.stats.asconfs_received += 1;
                let answer = self.carry_out_asconf(now, packet, &asconf);
                if let Some(receiver) = self.asconf.as_mut().and_then(|state| state.receiver.as_mut()) {
                    receiver.answered(answer.clone(), first);
                }
                self.answer_asconf(packet, first, answer);
            }
            Reception::Repeated(Some(answer)) => {
                self.stats.asconfs_received += 1;
                self.answer_asconf(packet, first, answer);
            }
            Reception::Repeated(None) | Reception::OutOfOrder => self.stats.asconfs_ignored += 1,
        }
    }

    /// Queues an ASCONF-ACK behind those for the same packet. One that does not fit waits for the peer to ask again
    /// (§5.2 E7).
    fn answer_asconf(&mut self, packet: &PacketIn<'_>, first: bool, chunk: Bytes) {
        let Some(state) = &mut self.asconf else { return };
        if first {
            state.answers = None;
        }
        let answers = state.answers.get_or_insert_with(|| Answers {
            from: packet.meta.dst,
            to: packet.meta.src,
            encap: packet.meta.encap.map(UdpPorts::reversed),
            chunks: Vec::new(),
            len: 0,
        });
        if answers.len + chunk.len() <= MAX_ANSWERS {
            answers.len += chunk.len();
            answers.chunks.push(chunk);
        }
    }

    /// Does what an ASCONF asks for, one request after the other; the ASCONF-ACK (§5.2 E4).
    fn carry_out_asconf(&mut self, now: Instant, packet: &PacketIn<'_>, asconf: &Asconf<'_>) -> Bytes {
        let source = packet.meta.src;
        let objections = self.objections(packet);
        let against = |address| objections.against(address);
        let config = *self.config.asconf();
        let mut judge = Judge::new(Policy {
            source,
            max_addresses: PathSet::MAX_PATHS,
            may_change: config.peer_may_change(),
            may_set_primary: config.peer_may_set_primary(),
            objection: &against,
        });
        let mut responses = Vec::new();
        let mut failed = false;
        for (n, request) in asconf.requests.clone().enumerate() {
            // Without a correlation ID it cannot be answered, nor what follows be told from it.
            let Ok(request) = request else { break };
            let mut w = Writer::new(&mut responses);
            if n >= MAX_REQUESTS || w.position() + 2 * LONGEST_RESPONSE > MAX_RESPONSES {
                // §5.1 A7: what has no response after this one failed, too.
                refuse(&mut w, &request, Refusal::ResourceShortage);
                break;
            }
            let action = request.tlv.unknown_action();
            if !request.is_known() && !action.reports() {
                if action == UnknownAction::Stop {
                    break;
                }
                continue;
            }
            let verdict = if request.is_known() && request.change.is_none() {
                judge.refuse(Refusal::Unresolvable)
            } else {
                let present: Vec<IpAddr> = self.peer_addresses().collect();
                judge.decide(request.change, &present)
            };
            let verdict = match verdict {
                Verdict::Add(address) if !self.add_peer_path(now, address, packet) => {
                    judge.refuse(Refusal::ResourceShortage)
                }
                other => other,
            };
            match verdict {
                Verdict::Refuse(refusal) => {
                    failed = true;
                    refuse(&mut w, &request, refusal);
                    if !request.is_known() && !action.goes_on() {
                        break;
                    }
                    continue;
                }
                Verdict::Delete(addresses) => addresses.into_iter().for_each(|address| self.delete_peer_path(address)),
                Verdict::SetPrimary(address) => self.prefer_peer_path(address),
                Verdict::Add(_) | Verdict::Nothing => {}
            }
            if failed {
                // §5.1 A7: behind an error success must be said.
                write_success_indication(&mut w, request.correlation_id);
            }
        }
        let mut chunk = Vec::new();
        wire::write_asconf_ack(&mut chunk, asconf.serial, |w| w.bytes(&responses));
        chunk.into()
    }

    /// What speaks against addresses that the peer may want to add.
    fn objections(&self, packet: &PacketIn<'_>) -> Objections {
        let first = self.paths.get(self.paths.first()).map(|path| path.address);
        let here = first.is_some_and(|address| self.local.addresses.contains(&address));
        // All of the own ones may be about to be deleted.
        let (mut v4, mut v6) = (false, false);
        for own in self.local.addresses.iter().chain([&packet.meta.dst]) {
            (v4, v6) = (v4 || own.is_ipv4(), v6 || own.is_ipv6());
        }
        Objections {
            v4,
            v6,
            scope: first.map_or(Scope::Global, addr::scope).min(Scope::Private),
            own: if here {
                Vec::new()
            } else {
                self.local.addresses.to_vec()
            },
            taken: packet.taken.to_vec(),
        }
    }

    /// Adds an address of the peer, which is to be verified (§5.3 F14).
    fn add_peer_path(&mut self, now: Instant, address: IpAddr, packet: &PacketIn<'_>) -> bool {
        let mut path = Path::new(address, &self.config, now);
        set_route(&mut path, &self.local, &self.config);
        if address == packet.meta.src {
            path.encap = packet.meta.encap.map(UdpPorts::reversed);
            if !self.local.explicit || self.local.addresses.contains(&packet.meta.dst) {
                path.local = Some(packet.meta.dst);
            }
        } else if let Some(known) = self.paths.get(packet.path) {
            path.encap = known.encap;
        }
        path.reset_cc(&self.config);
        path.arm_first_probe(now, std::time::Duration::ZERO);
        let Some(id) = self.paths.add(path) else { return false };
        self.note_peer_change();
        self.path_event(id, PathChange::Added);
        true
    }

    /// Deletes an address of the peer (§5.3 F13).
    fn delete_peer_path(&mut self, address: IpAddr) {
        let Some(id) = self.paths.find(address) else { return };
        let before = self.paths.primary();
        self.path_event(id, PathChange::Removed);
        if self.remove_path(id).is_none() {
            return;
        }
        self.note_peer_change();
        let primary = self.paths.primary();
        if primary != before {
            self.path_event(primary, PathChange::Primary);
        }
    }

    fn note_peer_change(&mut self) {
        if let Some(state) = &mut self.asconf {
            state.peer_changed = true;
        }
    }

    /// Makes an address of the peer the primary one, once it is confirmed (§5.4, §5.3 F14).
    fn prefer_peer_path(&mut self, address: IpAddr) {
        if let Some(state) = &mut self.asconf {
            state.primary_wish = Some(address);
        }
        self.heed_primary_wish();
    }

    /// The peer's wish for a primary address comes true when that is confirmed.
    pub(super) fn heed_primary_wish(&mut self) {
        let Some(wish) = self.asconf.as_ref().and_then(|state| state.primary_wish) else {
            return;
        };
        let Some(id) = self.paths.find(wish) else { return };
        let confirmed = self
            .paths
            .get(id)
            .is_some_and(|path| path.state != PathState::Unconfirmed);
        if !confirmed {
            return;
        }
        if let Some(state) = &mut self.asconf {
            state.primary_wish = None;
        }
        if self.paths.primary() != id {
            self.set_primary(id);
        }
    }

    /// Writes the ASCONF-ACKs for the last packet that asked for them.
    ///
    /// If the peer knows none of the addresses that they could leave from, they go along with the own ASCONF, which
    /// may leave from an address that it adds (§5.3 F1): both sides may be moving at once.
    pub(super) fn write_asconf_answers(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        let answers = self.asconf.as_ref()?.answers.as_ref()?;
        let (from, to, encap) = (answers.from, answers.to, answers.encap);
        let known = if !self.local.explicit || self.local.addresses.contains(&from) {
            Some(from)
        } else {
            self.local.source_for(to)
        };
        let source = known.or_else(|| self.source_for_request(to, None))?;
        let via = self.paths.find(to).unwrap_or_else(|| self.paths.primary());
        let answers = self.asconf.as_mut()?.answers.take()?;
        let start = wire::begin_packet(buf, &self.header(self.peer_tag));
        if known.is_none() {
            self.write_asconf(now, via, source, buf);
        }
        for chunk in &answers.chunks {
            buf.extend_from_slice(chunk);
            self.stats.asconf_acks_sent += 1;
            self.note_sent(ChunkType::ASCONF_ACK);
        }
        self.finish_packet(buf, start);
        let transmit = self.transmit(via, buf.len(), buf.len())?;
        Some(Transmit {
            src: Some(source),
            dst: to,
            encap,
            ..transmit
        })
    }
}

/// What speaks against addresses that a peer wants to add.
struct Objections {
    v4: bool,
    v6: bool,
    scope: Scope,
    own: Vec<IpAddr>,
    /// Those of other associations.
    taken: Vec<IpAddr>,
}

impl Objections {
    fn against(&self, address: IpAddr) -> Option<Refusal> {
        let reached = if address.is_ipv4() { self.v4 } else { self.v6 };
        if !addr::is_usable_peer(address) || !reached || addr::scope(address) < self.scope {
            Some(Refusal::Unresolvable)
        } else if self.own.contains(&address) || self.taken.contains(&address) {
            // Nobody's association is taken over, nor led back to this host (RFC 5062 §2).
            Some(Refusal::NoAuthorization)
        } else {
            None
        }
    }
}

/// The addresses that the ASCONFs of a packet from `source` want to add.
pub(crate) fn wanted_addresses<'a>(packet: &Packet<'a>, source: IpAddr) -> impl Iterator<Item = IpAddr> + use<'a> {
    let asconfs = packet
        .chunks()
        .map_while(Result::ok)
        .filter(|chunk| chunk.kind == ChunkType::ASCONF);
    let asconfs = asconfs.filter_map(|chunk| Asconf::parse(chunk.value).ok());
    let requests = asconfs.flat_map(|asconf| asconf.requests.take(MAX_REQUESTS).map_while(Result::ok));
    requests.filter_map(move |request| match request.change? {
        AddressChange::Add(address) if address.is_unspecified() => Some(source),
        AddressChange::Add(address) => Some(address.to_canonical()),
        _ => None,
    })
}

/// Writes the response that refuses a request.
fn refuse(w: &mut Writer<'_>, request: &AsconfRequest<'_>, refusal: Refusal) {
    let raw = quotable(request.tlv.raw);
    let raw = raw.get(..MAX_QUOTE).unwrap_or(raw);
    let cause = match refusal {
        Refusal::LastAddress => Cause::DeleteLastRemainingAddress(raw),
        Refusal::SourceAddress => Cause::DeleteSourceAddress(raw),
        Refusal::ResourceShortage => Cause::ResourceShortage(raw),
        Refusal::NoAuthorization => Cause::NoAuthorization(raw),
        // It quotes the address parameter, which follows type, length and correlation ID.
        Refusal::Unresolvable => Cause::UnresolvableAddress(raw.get(8..).unwrap_or_default()),
        Refusal::Unrecognized => Cause::UnrecognizedParameters(raw),
    };
    write_error_cause_indication(w, request.correlation_id, |w| cause.write(w));
}
