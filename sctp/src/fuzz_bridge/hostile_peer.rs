//! A stack with an open association, and a peer that knows its tags and sends what it likes.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::config::{AssociationConfig, EndpointConfig, StackConfig};
use crate::serial::{Ppid, Ssn, StreamId, Tsn, VerificationTag};
use crate::tlv::Writer;
use crate::wire::{self, ChecksumRule, Chunk, ChunkType, CommonHeader, DataHeader, Init, InitFixed, Packet, Param};
use crate::{AssocId, ChecksumState, EcnCodepoint, EndpointId, Event, Instant, OutMessage, PathState, RxMeta, Stack};

/// The SCTP port of the stack.
pub(super) const PORT: u16 = 7;
/// The SCTP port of the peer.
pub(super) const PEER_PORT: u16 = 9;
/// The peer's Initiate Tag.
pub(super) const PEER_TAG: VerificationTag = VerificationTag(0x5555);
/// The peer's Initial TSN, from which its requests are numbered too.
pub(super) const PEER_TSN: u32 = u32::MAX - 2;

/// An own address.
pub(super) fn own(number: u8) -> IpAddr {
    [10, 0, 0, 100 + number].into()
}

/// An address of the peer, or one that it may claim.
pub(super) fn peer(number: u8) -> IpAddr {
    match number {
        0..=6 => [10, 0, 0, 1 + number].into(),
        _ => [0xfd00, 0, 0, 0, 0, 0, 0, number.into()].into(),
    }
}

/// Both of them.
pub(super) struct HostilePeer {
    pub(super) stack: Stack,
    endpoint: EndpointId,
    pub(super) assoc: AssocId,
    pub(super) now: Instant,
    tag: VerificationTag,
    /// The stack's Initial TSN, from which its requests are numbered too.
    pub(super) stack_tsn: u32,
    /// The highest TSN that it sent.
    pub(super) highest: Tsn,
    /// The last chunk that it sent, of those that the target is about.
    pub(super) learned: Vec<u8>,
    watched: [ChunkType; 2],
    /// How the association ended.
    pub(super) ends: usize,
    /// Everything that was told.
    pub(super) events: Vec<Event>,
}

impl HostilePeer {
    /// The association is open. The peer's INIT has the parameters that `params` writes; chunks of types `watched` are
    /// learned from.
    pub(super) fn connect(
        config: AssociationConfig,
        watched: [ChunkType; 2],
        params: impl FnOnce(&mut Writer<'_>),
    ) -> Self {
        let mut stack = Stack::new(StackConfig::new(vec![own(0), own(1)], None), [3; 32]);
        let endpoint = stack.bind(EndpointConfig {
            port: Some(PORT),
            association: config,
            ..EndpointConfig::default()
        });
        let endpoint = endpoint.expect("a free port");
        stack.listen(endpoint, 1);
        let fixed = InitFixed {
            initiate_tag: PEER_TAG,
            a_rwnd: 100_000,
            outbound_streams: 4,
            inbound_streams: 4,
            initial_tsn: Tsn(PEER_TSN),
        };
        let mut init = Vec::new();
        wire::write_init(&mut init, ChunkType::INIT, &fixed, params);
        let now = Instant::from_millis(1);
        give(&mut stack, now, peer(0), VerificationTag::ZERO, &init);
        let mut answer = Vec::new();
        stack.poll_transmit(now, 1, &mut answer).expect("an INIT ACK");
        let packet = Packet::parse(&answer, ChecksumRule::Verify).expect("a packet");
        let ack = packet
            .first_chunk()
            .and_then(|chunk| Init::parse(chunk.value).ok())
            .expect("an INIT ACK");
        let cookie = ack.params.flatten().find_map(|param| match param {
            Param::StateCookie(cookie) => Some(cookie.to_vec()),
            _ => None,
        });
        let mut echo = Vec::new();
        wire::write_cookie_echo(&mut echo, &cookie.expect("a cookie"));
        give(&mut stack, now, peer(0), ack.fixed.initiate_tag, &echo);
        let assoc = stack.find(endpoint, peer(0), PEER_PORT).expect("an association");
        let mut peer = Self {
            stack,
            endpoint,
            assoc,
            now,
            tag: ack.fixed.initiate_tag,
            stack_tsn: ack.fixed.initial_tsn.0,
            highest: ack.fixed.initial_tsn.minus(1),
            learned: Vec::new(),
            watched,
            ends: 0,
            events: Vec::new(),
        };
        peer.collect(usize::MAX);
        peer
    }

    /// The header of the peer's packets.
    pub(super) const fn header(&self) -> CommonHeader {
        header(self.tag)
    }

    /// Sends chunks from one of the peer's addresses. They cause at most `most` packets that are no data.
    pub(super) fn give(&mut self, from: IpAddr, chunks: &[u8], most: usize) {
        give(&mut self.stack, self.now, from, self.tag, chunks);
        self.collect(most);
    }

    /// Sends a whole packet.
    pub(super) fn give_packet(&mut self, from: IpAddr, packet: Vec<u8>) {
        give_packet(&mut self.stack, self.now, from, packet);
        self.collect(usize::MAX);
    }

    /// A small message, in order.
    pub(super) fn data(&mut self, tsn: Tsn, stream: u16, ssn: u16) -> Vec<u8> {
        let mut chunk = Vec::new();
        let header = DataHeader {
            tsn,
            stream: StreamId(stream),
            ssn: Ssn(ssn),
            ppid: Ppid(0),
            unordered: false,
            beginning: true,
            ending: true,
            immediate: true,
        };
        wire::write_data(&mut chunk, &header, b"data");
        chunk
    }

    /// Acknowledges everything.
    pub(super) fn acknowledge(&mut self) {
        let mut chunk = Vec::new();
        wire::write_sack(&mut chunk, self.highest, 100_000, &[], &[]);
        self.give(peer(0), &chunk, usize::MAX);
    }

    /// The stack's user sends a message.
    pub(super) fn user_sends(&mut self, stream: u16, len: usize) {
        let message = OutMessage::new(StreamId(stream), Ppid(0), Bytes::from_static(&super::PATTERN[..len]));
        let _ = self.stack.send(self.now, self.assoc, message);
        self.collect(usize::MAX);
    }

    pub(super) fn user_reads(&mut self) -> usize {
        let (stack, now, assoc) = (&mut self.stack, self.now, self.assoc);
        let read = std::iter::from_fn(|| stack.recv(now, assoc).ok().flatten()).count();
        self.collect(usize::MAX);
        read
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.stack.handle_timeout(self.now);
        assert!(
            self.stack.poll_timeout().is_none_or(|at| at > self.now),
            "a timer that never rests"
        );
        self.collect(usize::MAX);
    }

    /// Takes what the stack sends, which is well-formed, and tells.
    pub(super) fn collect(&mut self, most: usize) {
        let mut buf = Vec::new();
        let mut control = 0;
        for sent in 0.. {
            if self.stack.poll_transmit(self.now, 1, &mut buf).is_none() {
                break;
            }
            assert!(sent < 200, "it sends without end");
            let packet = Packet::parse(&buf, ChecksumRule::Verify).expect("a packet");
            packet.check_bundling().expect("what stands alone does");
            control += usize::from(packet.find(ChunkType::DATA).is_none());
            for raw in packet.chunks() {
                let raw = raw.expect("a chunk");
                match Chunk::parse(&raw).expect("a chunk that can be read") {
                    Chunk::Data(data) if data.tsn.is_after(self.highest) => self.highest = data.tsn,
                    _ => {}
                }
                if self.watched.contains(&raw.kind) {
                    self.learned = raw.value.to_vec();
                }
            }
        }
        assert!(control <= most, "{control} packets for one");
        while let Some((_, _, event)) = self.stack.poll_event() {
            assert_eq!(self.ends, 0, "it has ended: {event:?}");
            let is_end = matches!(
                event,
                Event::CommunicationLost { .. } | Event::ShutdownComplete | Event::ConnectFailed { .. }
            );
            self.ends += usize::from(is_end);
            self.events.push(event);
        }
        assert!(self.events.len() < 2000, "it talks without end");
    }

    /// The association is found by each of its confirmed paths, of which there is at least one, and one is the primary.
    pub(super) fn check_paths(&self) {
        let Some(status) = self.stack.status(self.assoc).filter(|_| self.ends == 0) else {
            return;
        };
        assert!((1..=32).contains(&status.paths.len()), "{} paths", status.paths.len());
        assert_eq!(status.paths.iter().filter(|path| path.primary).count(), 1);
        for path in status.paths.iter().filter(|path| path.state != PathState::Unconfirmed) {
            let found = self.stack.find(self.endpoint, path.address, PEER_PORT);
            assert_eq!(found, Some(self.assoc), "{} leads elsewhere", path.address);
        }
    }

    /// The user gives up: there is one end, and nothing is left.
    pub(super) fn finish(&mut self) {
        let _ = self.stack.abort(self.now, self.assoc, Bytes::new());
        self.collect(usize::MAX);
        self.user_reads();
        assert_eq!(self.ends, 1, "one end");
        assert!(self.stack.status(self.assoc).is_none() && self.stack.poll_timeout().is_none());
        assert!((0..10).all(|n| self.stack.find(self.endpoint, peer(n), PEER_PORT).is_none()));
    }
}

const fn header(tag: VerificationTag) -> CommonHeader {
    CommonHeader {
        source_port: PEER_PORT,
        destination_port: PORT,
        verification_tag: tag,
    }
}

/// A packet with these chunks comes to the stack.
pub(super) fn give(stack: &mut Stack, now: Instant, from: IpAddr, tag: VerificationTag, chunks: &[u8]) {
    let mut packet = Vec::new();
    wire::begin_packet(&mut packet, &header(tag));
    packet.extend_from_slice(chunks);
    give_packet(stack, now, from, packet);
}

fn give_packet(stack: &mut Stack, now: Instant, from: IpAddr, mut packet: Vec<u8>) {
    wire::finish_packet(&mut packet, 0);
    let meta = RxMeta {
        src: from,
        dst: own(0),
        encap: None,
        ecn: EcnCodepoint::NotEct,
        checksum: ChecksumState::Unverified,
        buffer_len: packet.len(),
    };
    stack.handle_datagram(now, &meta, packet.into());
}
