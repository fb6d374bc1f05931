//! The stack: inputs and outputs in a fixed order, and the way from a packet to its association.

mod asconf;
mod auth;
mod command;
mod demux;
mod endpoint;
mod icmp;
mod listener;
mod local_addrs;
mod ootb;
mod origin;
mod ready;
mod reconfig;
mod settings;
mod snapshot;
mod spent;
mod streams;
mod table;

use std::collections::VecDeque;

use bytes::Bytes;

use crate::assoc::{AssociationPhase, CookieKeys, Scratch};
use crate::config::{Marks, StackConfig};
use crate::event::Event;
use crate::random::Random;
use crate::stats::StackStats;
use crate::time::Instant;
use crate::timer::TimerQueue;
use crate::transmit::{EcnCodepoint, RxMeta, Transmit, UdpPorts};

pub use command::ConnectOptions;
pub use endpoint::EndpointId;
pub use local_addrs::LocalAddressChange;
pub use reconfig::StreamDirections;
pub use snapshot::{AssociationSnapshot, Parameters, RtoAlgorithm, SnapshotCursor, SnapshotPage, StackSnapshot};
pub use table::AssocId;

use endpoint::Endpoints;
use ootb::OotbLimiter;
use ready::ReadyQueue;
use spent::SpentCookies;
use table::Table;

/// How many answers that belong to no association may wait to be sent.
const MAX_REPLIES: usize = 1024;

/// A packet that belongs to no association.
#[derive(Debug)]
struct Reply {
    transmit: Transmit,
    packet: Vec<u8>,
}

/// One SCTP instance on a set of local addresses.
///
/// See the [crate page](crate) for the loop around it. `now` never goes back; every call does work bounded by its
/// input (a packet, a message, `max_segments` packets); a spurious [`handle_timeout`](Self::handle_timeout) is
/// harmless.
#[derive(Debug)]
pub struct Stack {
    config: StackConfig,
    random: Random,
    cookie_keys: CookieKeys,
    spent_cookies: SpentCookies,
    endpoints: Endpoints,
    table: Table,
    timers: TimerQueue<AssocId>,
    to_transmit: ReadyQueue,
    to_tell: ReadyQueue,
    replies: VecDeque<Reply>,
    ootb: OotbLimiter,
    scratch: Scratch,
    stats: StackStats,
}

impl Stack {
    /// A stack whose whole randomness comes from `seed`, which must be secret in production: tags, TSNs and the
    /// State Cookie key follow from it.
    pub fn new(config: StackConfig, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        Self {
            cookie_keys: CookieKeys::new(random.child()),
            spent_cookies: SpentCookies::default(),
            endpoints: Endpoints::new(config.local_addresses()),
            table: Table::new(config.tag_share(), &mut random),
            timers: TimerQueue::new(),
            to_transmit: ReadyQueue::default(),
            to_tell: ReadyQueue::default(),
            replies: VecDeque::new(),
            ootb: OotbLimiter::new(config.ootb_answers_per_second()),
            scratch: Scratch::default(),
            stats: StackStats::default(),
            random,
            config,
        }
    }

    // Inputs.

    /// A datagram arrived: an SCTP packet, without IP and UDP headers. The bytes are kept only as long as user data
    /// in them waits to be received.
    pub fn handle_datagram(&mut self, now: Instant, meta: &RxMeta, datagram: Bytes) {
        self.stats.packets_received += 1;
        self.demultiplex(now, meta, &datagram);
    }

    /// Time has passed; due timers run.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.timers.pop_due(now) {
            let Some(slot) = self.table.get_mut(id) else { continue };
            slot.armed = None;
            // The stack's timer may be early: the association's moves on without it.
            if slot.assoc.poll_timeout().is_some_and(|at| at <= now) {
                let _entered = slot.assoc.log_details();
                slot.assoc.on_timeout(now, &mut self.random);
            }
            self.settle(id);
        }
    }

    // Outputs.

    /// Writes the next packet or packets to `buf` (which it clears first): up to `max_segments` packets of one size,
    /// the last one maybe shorter, to one address. `None` when there is nothing to send now.
    pub fn poll_transmit(&mut self, now: Instant, max_segments: usize, buf: &mut Vec<u8>) -> Option<Transmit> {
        buf.clear();
        if let Some(reply) = self.replies.pop_front() {
            buf.extend_from_slice(&reply.packet);
            self.stats.packets_sent += 1;
            return Some(reply.transmit);
        }
        while let Some(id) = self.to_transmit.front() {
            if let Some(slot) = self.table.get_mut(id) {
                let assoc = &mut slot.assoc;
                let _entered = assoc.log_details();
                let before = assoc.tally_sent();
                let transmit = assoc.poll_transmit(now, max_segments, buf, &mut self.scratch, &mut self.random);
                self.stats.count_sent(&before, &assoc.tally_sent());
                slot.count_open(&mut self.stats);
                // A shutdown that waited may turn out to be an abort.
                let ends = slot.assoc.phase() == AssociationPhase::Closed && !slot.unlinked;
                // Messages may be given up instead of being sent.
                if slot.assoc.has_events() && !slot.released {
                    self.to_tell.push(id, &mut slot.events_queued);
                }
                if let Some(transmit) = transmit {
                    self.stats.packets_sent += transmit.size.div_ceil(transmit.segment_size.max(1)) as u64;
                    if slot.assoc.has_nothing_to_send() {
                        slot.transmit_queued = false;
                        self.to_transmit.pop();
                    } else {
                        self.to_transmit.rotate();
                    }
                    if ends {
                        self.on_end(id);
                    }
                    self.arm(id);
                    return Some(transmit);
                }
                slot.transmit_queued = false;
                if ends {
                    self.on_end(id);
                }
                self.arm(id);
            }
            self.to_transmit.pop();
            self.forget_if_over(id);
        }
        None
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) is worth a call: if this is false it has nothing to write.
    pub fn wants_transmit(&self) -> bool {
        !self.replies.is_empty() || self.to_transmit.front().is_some()
    }

    /// The next event, oldest first.
    pub fn poll_event(&mut self) -> Option<(EndpointId, AssocId, Event)> {
        while let Some(id) = self.to_tell.front() {
            if let Some(slot) = self.table.get_mut(id) {
                if let Some(event) = slot.assoc.poll_event() {
                    let endpoint = slot.endpoint;
                    if !slot.assoc.has_events() {
                        slot.events_queued = false;
                        self.to_tell.pop();
                        self.forget_if_over(id);
                    }
                    return Some((endpoint, id, event));
                }
                slot.events_queued = false;
            }
            self.to_tell.pop();
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; never is `None`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Counters of the whole stack.
    pub const fn stats(&self) -> StackStats {
        self.stats
    }

    // What follows every change of an association.

    /// An association did something: queues it, sets its timer, and unlinks it once it is over.
    fn settle(&mut self, id: AssocId) {
        let Some(slot) = self.table.get_mut(id) else { return };
        slot.count_open(&mut self.stats);
        if slot.assoc.phase() == AssociationPhase::Closed && !slot.unlinked {
            self.on_end(id);
        }
        let Some(slot) = self.table.get_mut(id) else { return };
        if !slot.assoc.has_nothing_to_send() {
            self.to_transmit.push(id, &mut slot.transmit_queued);
        }
        if slot.assoc.has_events() && !slot.released {
            self.to_tell.push(id, &mut slot.events_queued);
        }
        self.arm(id);
    }

    /// Sets the stack's timer for an association. A timer that is due too early is left alone: it costs one look,
    /// where moving it with every packet would cost more.
    fn arm(&mut self, id: AssocId) {
        let Some(slot) = self.table.get_mut(id) else { return };
        let Some(at) = slot.assoc.poll_timeout() else { return };
        if slot.armed.is_none_or(|armed| at < armed) {
            slot.armed = Some(at);
            self.timers.set(id, at);
        }
    }

    /// An association is over: packets find it no more.
    fn on_end(&mut self, id: AssocId) {
        self.leave_backlog(id);
        self.table.unlink(id);
        self.timers.cancel(id);
        if let Some(slot) = self.table.get_mut(id) {
            slot.armed = None;
            if slot.assoc.ended_gracefully() {
                self.stats.shutdowns += 1;
            } else {
                self.stats.aborted += 1;
            }
        }
    }

    fn leave_backlog(&mut self, id: AssocId) {
        let Some(slot) = self.table.get_mut(id) else { return };
        if std::mem::take(&mut slot.in_backlog)
            && let Some(endpoint) = self.endpoints.get_mut(slot.endpoint)
        {
            endpoint.waiting = endpoint.waiting.saturating_sub(1);
        }
    }

    /// Forgets an association that is over, once nobody can want anything of it.
    fn forget_if_over(&mut self, id: AssocId) {
        let Some(slot) = self.table.get(id) else { return };
        let wanted = !slot.released && (slot.assoc.has_events() || slot.assoc.readable());
        if slot.unlinked && !wanted && !slot.transmit_queued {
            let (endpoint, stats) = (slot.endpoint, slot.assoc.stats());
            self.table.remove(id);
            if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
                endpoint.associations.remove(&id);
                **endpoint.ended.get_or_insert_default() += stats;
            }
        }
    }

    /// Queues a packet that belongs to no association, to where `meta` came from. With many waiting already it is
    /// dropped: the peer repeats itself.
    fn reply(&mut self, meta: &RxMeta, packet: Vec<u8>, marks: Marks) {
        if self.replies.len() >= MAX_REPLIES {
            self.stats.out_of_the_blue_unanswered += 1;
            return;
        }
        // Each has one chunk.
        self.stats.control_chunks_sent += 1;
        let size = packet.len();
        let encap = meta.encap.map(UdpPorts::reversed);
        let transmit = Transmit {
            src: Some(meta.dst),
            dst: meta.src,
            encap,
            size,
            segment_size: size,
            dont_fragment: false,
            marks,
            ecn: EcnCodepoint::NotEct,
        };
        self.replies.push_back(Reply { transmit, packet });
    }
}
