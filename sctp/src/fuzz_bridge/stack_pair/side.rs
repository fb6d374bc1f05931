//! A stack, and its user.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use super::Choices;
use super::network::Network;
use super::oracle::{Book, Lives};
use super::setup::{SCHEDULERS, Setup, address, port};
use crate::config::ReconfigRequests;
use crate::error::SendError;
use crate::message::Reliability;
use crate::serial::{Ppid, SharedKeyId, StreamId};
use crate::{AssocId, AssociationPhase, ConnectOptions, EndpointId, Instant, OutMessage, Stack, StreamDirections};

/// More packets at one instant than any side can have: it does not come to rest.
const RUNAWAY: usize = 3000;

/// How many outbound streams a user asks for at most, beyond those of the set-up.
const MOST_ADDED: u16 = 60;

/// One of the two.
pub(super) struct Side {
    number: usize,
    setup: Setup,
    pub(super) stack: Stack,
    endpoint: EndpointId,
    /// The association that the user uses.
    assoc: Option<AssocId>,
    /// How often it was started.
    starts: u8,
    /// What it sent.
    book: Book,
    /// What became of its associations.
    lives: Lives,
    /// How many outbound streams the user asked for.
    added: u16,
    buffer: Vec<u8>,
}

impl Side {
    pub(super) fn new(number: usize, setup: &Setup) -> Self {
        let (stack, endpoint) = start(number, 0, setup);
        Self {
            number,
            setup: setup.clone(),
            stack,
            endpoint,
            assoc: None,
            starts: 0,
            book: Book::default(),
            lives: Lives::default(),
            added: 0,
            buffer: Vec::new(),
        }
    }

    // What the user does.

    pub(super) fn connect(&mut self, now: Instant) {
        let peer = self.setup.addresses(1 - self.number);
        let options = ConnectOptions::default();
        let opened = self
            .stack
            .connect(now, self.endpoint, &peer, port(1 - self.number), options);
        if let Ok(assoc) = opened {
            self.lives.begin(assoc);
            self.assoc = Some(assoc);
        }
    }

    pub(super) fn send(&mut self, now: Instant, choices: &mut Choices<'_>) {
        let (message, len) = any_message(choices);
        let Some(assoc) = self.assoc else { return };
        let id = self.book.next_id();
        let message = OutMessage {
            ppid: Ppid(id),
            context: id,
            payload: Bytes::from_static(Book::payload(self.number, id, len)),
            ..message
        };
        if self.stack.send(now, assoc, message.clone()).is_ok() {
            self.book.note(assoc, &message);
        }
    }

    /// Sends a piece of a message, or the last one.
    pub(super) fn send_more(&mut self, now: Instant, choices: &mut Choices<'_>) {
        let (message, len) = any_message(choices);
        let ends = choices.below(4) == 0;
        let Some(assoc) = self.assoc else { return };
        let (id, context, payload, last) = self.book.next_piece(self.number, assoc, message.stream, len);
        let message = OutMessage {
            ppid: Ppid(id),
            context,
            payload: Bytes::from_static(payload),
            ..message
        };
        self.send_piece(now, assoc, &message, ends || last);
    }

    fn send_piece(&mut self, now: Instant, assoc: AssocId, piece: &OutMessage, end: bool) {
        match self.stack.send_more(now, assoc, piece.clone(), end) {
            Ok(()) => self.book.note_piece(assoc, piece, end),
            Err(SendError::GivenUp) => self.book.cut(assoc, piece.stream),
            Err(SendError::NoSuchAssociation) => self.book.forget_open(|of| of == assoc),
            Err(_) => {}
        }
    }

    /// Ends the messages that were begun, as far as there is room: what comes behind them may wait for that.
    pub(super) fn complete(&mut self, now: Instant) {
        for (assoc, stream) in self.book.open() {
            let (id, context, payload, _) = self.book.next_piece(self.number, assoc, stream, 1);
            let message = OutMessage {
                context,
                ..OutMessage::new(stream, Ppid(id), Bytes::from_static(payload))
            };
            self.send_piece(now, assoc, &message, true);
        }
    }

    /// Takes what arrived, and compares it with what the other side sent.
    pub(super) fn read(&mut self, now: Instant, other: &mut Self) {
        let mixes = self.setup.config(self.number).interleaving().offered();
        for assoc in self.lives.ids() {
            while let Ok(Some(piece)) = self.stack.recv(now, assoc) {
                if !self.setup.hostile {
                    self.lives.hear(assoc, piece, mixes, other.number, &mut other.book);
                }
            }
        }
    }

    pub(super) fn shutdown(&mut self, now: Instant) {
        if let Some(assoc) = self.assoc {
            let _ = self.stack.shutdown(now, assoc);
        }
    }

    pub(super) fn abort(&mut self, now: Instant) {
        if let Some(assoc) = self.assoc {
            self.lives.note_rudeness();
            let _ = self.stack.abort(now, assoc, Bytes::from_static(b"because"));
        }
    }

    pub(super) fn release(&mut self, now: Instant) {
        if let Some(assoc) = self.assoc.take() {
            self.stack.release(now, assoc);
            self.lives.release(assoc);
        }
    }

    /// Loses everything, and starts again.
    pub(super) fn crash(&mut self) {
        self.starts = self.starts.wrapping_add(1);
        (self.stack, self.endpoint) = start(self.number, self.starts, &self.setup);
        self.assoc = None;
        self.lives.forget_all();
        self.book.forget_open(|_| true);
    }

    pub(super) fn path_command(&mut self, now: Instant, choices: &mut Choices<'_>) {
        let Some(assoc) = self.assoc else { return };
        let kind = choices.u8();
        let peers: Vec<IpAddr> = self.setup.addresses(1 - self.number);
        let link = usize::from(kind >> 4) % peers.len();
        let (address, own) = (peers[link], address(self.number, link));
        let stack = &mut self.stack;
        match kind & 15 {
            0..=2 => drop(stack.set_primary(assoc, address)),
            3 | 4 => drop(stack.request_heartbeat(now, assoc, address)),
            5 | 6 => drop(stack.add_local_address(now, assoc, own)),
            7 | 8 => drop(stack.remove_local_address(now, assoc, own)),
            9 => drop(stack.set_peer_primary(now, assoc, own)),
            10 | 11 => {
                if let Ok(mut config) = stack.path_config(assoc, address) {
                    config.set_path_max_retrans(u16::from(kind >> 5));
                    let _ = stack.set_path_config(now, assoc, Some(address), config);
                }
            }
            _ => {
                if let Some(mut config) = stack.association_config(assoc) {
                    config.set_max_burst(u16::from(kind >> 4));
                    let _ = config.set_sack_frequency(1 + (kind >> 4));
                    let _ = stack.set_association_config(now, assoc, config);
                }
            }
        }
    }

    /// What extensions let a user ask for.
    pub(super) fn extension_command(&mut self, now: Instant, choices: &mut Choices<'_>) {
        let Some(assoc) = self.assoc else { return };
        let (what, number) = (choices.u8(), choices.u8());
        let stack = &mut self.stack;
        match what >> 4 {
            0..=4 => {
                let streams = [StreamId(u16::from(number & 3)), StreamId(u16::from(number >> 2 & 7))];
                let directions = [
                    StreamDirections::Outgoing,
                    StreamDirections::Incoming,
                    StreamDirections::Both,
                ][usize::from(what & 3) % 3];
                let _ = stack.reset_streams(now, assoc, directions, &streams[..usize::from(number >> 6) % 3]);
            }
            5 | 6 => drop(stack.reset_association(now, assoc)),
            7 | 8 if self.added + 6 <= MOST_ADDED => {
                let (out, back) = (u16::from(number & 3), u16::from(number >> 2 & 3));
                if stack.add_streams(now, assoc, out, back).is_ok() {
                    self.added += out;
                }
            }
            9 => {
                let accepted = [ReconfigRequests::ALL, ReconfigRequests::NONE][usize::from(number & 1)];
                let _ = stack.accept_reconfig(assoc, accepted);
            }
            10 => drop(stack.set_stream_scheduler(assoc, SCHEDULERS[usize::from(number) % SCHEDULERS.len()])),
            11 => drop(stack.set_stream_scheduler_value(assoc, StreamId(u16::from(what & 7)), number.into())),
            12 | 13 => drop(stack.set_active_auth_key(assoc, SharedKeyId(u16::from(number & 3)))),
            14 => drop(stack.deactivate_auth_key(assoc, SharedKeyId(u16::from(number & 3)))),
            _ if self.setup.hostile => drop(stack.delete_auth_key(assoc, SharedKeyId(u16::from(number & 3)))),
            _ => {}
        }
    }

    /// What may be done at any time without harm.
    pub(super) fn poke(&mut self, now: Instant, choices: &mut Choices<'_>) {
        match choices.below(4) {
            0 => self.stack.handle_timeout(now),
            1 => drop(self.stack.listen(self.endpoint, choices.below(3))),
            2 => self
                .stack
                .handle_datagram(now, &junk_meta(self.number), Bytes::copy_from_slice(choices.take(16))),
            _ => drop(self.assoc.map(|assoc| self.stack.accept(assoc))),
        }
    }

    // What the stack does.

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.stack.handle_timeout(now);
        let next = self.stack.poll_timeout();
        assert!(next.is_none_or(|at| at > now), "a timer that never rests");
    }

    /// Sends what is to be sent, and hears what is told.
    pub(super) fn collect(&mut self, now: Instant, network: &mut Network) {
        let mut sent = 0;
        while let Some(transmit) = self.stack.poll_transmit(now, 4, &mut self.buffer) {
            assert_eq!(transmit.size, self.buffer.len());
            sent += 1;
            assert!(sent < RUNAWAY, "it sends without end");
            for packet in transmit.segments(&self.buffer) {
                network.send(self.number, &transmit, packet);
            }
        }
        let mut told = 0;
        while let Some((_, assoc, event)) = self.stack.poll_event() {
            told += 1;
            assert!(told < RUNAWAY, "it talks without end");
            if self.lives.hear_event(assoc, &event, &mut self.book) {
                self.assoc = Some(assoc);
                let _ = self.stack.accept(assoc);
            }
        }
    }

    /// What is held stays within what was configured.
    pub(super) fn check_bounds(&self) {
        for assoc in self.lives.ids() {
            let Some(status) = self.stack.status(assoc) else {
                continue;
            };
            let config = self.setup.config(self.number);
            assert!(status.inbound_streams <= config.max_inbound_streams());
            let most = config.outbound_streams().max(config.reconfig().max_outbound_streams());
            assert!(status.outbound_streams <= most + MOST_ADDED);
            assert!(status.buffered_bytes <= config.send_buffer() as usize);
            let flights: usize = status.paths.iter().map(|path| path.flight_size).sum();
            assert!(flights <= 64 * status.buffered_bytes + 64);
        }
    }

    /// Whether each association has ended, or has nothing to send.
    pub(super) fn is_at_rest(&self) -> bool {
        let mut ids = self.lives.ids().into_iter();
        ids.all(|assoc| {
            self.stack.status(assoc).is_none_or(|status| {
                let idle = status.buffered_bytes == 0 && status.unacknowledged_messages == 0;
                match status.phase {
                    AssociationPhase::Closed => true,
                    AssociationPhase::Established => idle,
                    _ => false,
                }
            })
        })
    }

    /// How many messages are neither with `other` nor known to have failed, unless a user did not care.
    pub(super) fn missing_at(&self, other: &Self) -> usize {
        if self.lives.was_rude() || other.lives.was_rude() || self.setup.hostile {
            0
        } else {
            self.book.missing()
        }
    }
}

/// What a message is to be like, without its bytes, and how many these are.
fn any_message(choices: &mut Choices<'_>) -> (OutMessage, usize) {
    let (kind, size) = (choices.u8(), choices.u8());
    let len = match size >> 6 {
        0 | 1 => usize::from(size & 63),
        2 => usize::from(size & 63) * 40,
        _ => usize::from(size & 63) * 250,
    };
    let reliability = match kind >> 5 {
        0 => Reliability::Timed(Duration::from_millis(u64::from(choices.u8()) * 20)),
        1 => Reliability::Retransmissions(choices.u8() as u16 % 3),
        2 => Reliability::Priority(choices.u8().into()),
        _ => Reliability::Reliable,
    };
    let message = OutMessage {
        unordered: kind & 8 != 0,
        sack_immediately: kind & 16 != 0,
        reliability,
        ..OutMessage::new(StreamId(u16::from(kind & 7)), Ppid(0), Bytes::new())
    };
    (message, len)
}

fn start(number: usize, starts: u8, setup: &Setup) -> (Stack, EndpointId) {
    let mut stack = Stack::new(setup.stack(number), [number as u8 | starts << 1; 32]);
    let endpoint = stack.bind(setup.endpoint(number)).expect("a free port");
    stack.listen(endpoint, 2);
    (stack, endpoint)
}

fn junk_meta(number: usize) -> crate::RxMeta {
    crate::RxMeta {
        src: address(1 - number, 0),
        dst: address(number, 0),
        encap: None,
        ecn: crate::EcnCodepoint::NotEct,
        checksum: crate::ChecksumState::Verified,
        buffer_len: 16,
    }
}
