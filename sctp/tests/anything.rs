//! A peer that knows the tags and sends anything: nothing panics, nothing loops, and what comes out is well-formed.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use sctp::config::{EndpointConfig, StackConfig};
use sctp::random::Random;
use sctp::serial::{Ppid, Ssn, StreamId, Tsn, VerificationTag};
use sctp::wire::{
    self, ChecksumRule, ChunkType, CommonHeader, DataHeader, Init, InitFixed, Packet, Param, begin_packet,
    finish_packet, write_chunk, write_data, write_init,
};
use sctp::{AssocId, ChecksumState, ConnectOptions, EcnCodepoint, EndpointId, Instant, OutMessage, RxMeta, Stack};

const PORT: u16 = 7;
const PEER_PORT: u16 = 9;

/// A stack, and what an attacker that sees everything knows of it.
struct Target {
    stack: Stack,
    endpoint: EndpointId,
    assoc: Option<AssocId>,
    now: Instant,
    random: Random,
    /// The last tag, TSN and cookie that the stack told.
    tag: VerificationTag,
    tsn: Tsn,
    cookie: Vec<u8>,
    /// The last HEARTBEAT.
    heartbeat: Vec<u8>,
    own_tsn: u32,
}

fn address(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

impl Target {
    fn new(seed: u64) -> Self {
        let mut stack = Stack::new(StackConfig::new(vec![address(100), address(101)], None), [3; 32]);
        let config = EndpointConfig {
            port: Some(PORT),
            ..EndpointConfig::default()
        };
        let endpoint = stack.bind(config).unwrap();
        stack.listen(endpoint, 4);
        Self {
            stack,
            endpoint,
            assoc: None,
            now: Instant::from_millis(1),
            random: Random::from_number(seed),
            tag: VerificationTag(1),
            tsn: Tsn(0),
            cookie: Vec::new(),
            heartbeat: Vec::new(),
            own_tsn: 0,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let len = self.below(most + 1);
        (0..len).map(|_| self.below(256) as u8).collect()
    }

    fn near(&mut self, tsn: Tsn) -> Tsn {
        let span = if self.below(20) == 0 { 12 } else { 5 };
        let offset = self.below(span) as u32;
        tsn.plus(offset).minus(4)
    }

    fn init(&mut self, buf: &mut Vec<u8>, kind: ChunkType) {
        let fixed = InitFixed {
            initiate_tag: VerificationTag(self.below(20) as u32),
            a_rwnd: [1000, 1500, 100_000, 100_000, 100_000, u32::MAX][self.below(6) as usize],
            outbound_streams: self.below(20) as u16,
            inbound_streams: self.below(20) as u16,
            initial_tsn: Tsn(u32::MAX - 1),
        };
        self.own_tsn = u32::MAX - 1;
        let cookie = self.cookie.clone();
        let (listed, other) = (self.below(6) as u8, self.below(12));
        let junk = self.bytes(12);
        write_init(buf, kind, &fixed, |w| {
            Param::StateCookie(&cookie).write(w);
            (0..listed).for_each(|n| Param::address(address(n + 1)).write(w));
            match other {
                0 => Param::address(address(100)).write(w),
                1 => w.tlv(0xffff, |w| w.bytes(&junk)),
                2 => w.bytes(&junk),
                _ => {}
            }
        });
    }

    fn chunk(&mut self, buf: &mut Vec<u8>) {
        match self.below(14) {
            0..=2 => {
                let header = DataHeader {
                    tsn: self.near(Tsn(self.own_tsn).plus(3)),
                    stream: StreamId(self.below(3) as u16),
                    ssn: Ssn(self.below(4) as u16),
                    ppid: Ppid(0),
                    unordered: self.below(2) == 0,
                    beginning: self.below(8) > 0,
                    ending: self.below(8) > 0,
                    immediate: self.below(4) == 0,
                };
                self.own_tsn = self.own_tsn.wrapping_add(self.below(2) as u32);
                let payload = self.bytes(40);
                write_data(buf, &header, &payload);
            }
            3 | 4 => {
                let most = self.below(3) * self.below(2);
                let gaps: Vec<(u16, u16)> = (0..most)
                    .map(|_| (self.below(4) as u16, self.below(4) as u16))
                    .collect();
                let (point, window) = (self.near(self.tsn), self.below(5000) as u32);
                wire::write_sack(buf, point, window, &gaps, &[]);
            }
            5 => {
                let point = self.near(self.tsn);
                wire::write_shutdown(buf, point);
            }
            6 => wire::write_shutdown_ack(buf),
            7 => wire::write_cookie_ack(buf),
            8 => {
                let cookie = self.cookie.clone();
                wire::write_cookie_echo(buf, &cookie);
            }
            9 => self.init(buf, ChunkType::INIT_ACK),
            10 => {
                let value = self.heartbeat.clone();
                let kind = [ChunkType::HEARTBEAT, ChunkType::HEARTBEAT_ACK][self.below(2) as usize];
                write_chunk(buf, kind, 0, &value);
            }
            11 => wire::write_error(buf, |w| wire::Cause::StaleCookie(7).write(w)),
            _ => {
                let (kind, flags) = (self.below(256) as u8, self.below(256) as u8);
                let value = self.bytes(40);
                // Most ABORTs would end it too soon.
                if ChunkType(kind) != ChunkType::ABORT || self.below(8) == 0 {
                    write_chunk(buf, ChunkType(kind), flags, &value);
                }
            }
        }
    }

    /// Gives the stack a packet.
    fn give(&mut self) {
        let assoc = self.stack.find(self.endpoint, address(1), PEER_PORT);
        let opens = assoc.is_none() && self.below(2) == 0;
        let bare_init = self.below(8) == 0 || (opens && self.below(2) == 0);
        let tag = match self.below(8) {
            _ if bare_init => VerificationTag::ZERO,
            0 => VerificationTag(self.below(3) as u32),
            _ => self.tag,
        };
        let mut packet = Vec::new();
        let header = CommonHeader {
            source_port: PEER_PORT,
            destination_port: PORT,
            verification_tag: tag,
        };
        let start = begin_packet(&mut packet, &header);
        if bare_init {
            self.init(&mut packet, ChunkType::INIT);
        } else if opens {
            wire::write_cookie_echo(&mut packet, &self.cookie);
        } else {
            (0..=self.below(3)).for_each(|_| self.chunk(&mut packet));
        }
        if self.below(20) == 0 {
            let at = self.below(packet.len() as u64) as usize;
            packet[at] ^= 1 << self.below(8);
        }
        if self.below(20) == 0 {
            let len = self.below(packet.len() as u64) as usize;
            packet.truncate(len);
        }
        finish_packet(&mut packet, start);
        let meta = RxMeta {
            src: address(1 + self.below(4) as u8),
            dst: address(100 + self.below(2) as u8),
            encap: None,
            ecn: EcnCodepoint::NotEct,
            checksum: ChecksumState::Unverified,
            buffer_len: packet.len(),
        };
        self.stack.handle_datagram(self.now, &meta, packet.into());
    }

    /// Takes what the stack sends, which must be well-formed and come to an end, and learns from it.
    fn take(&mut self) {
        let mut buf = Vec::new();
        for n in 0.. {
            assert!(n < 2000, "it sends without end");
            let segments = 1 + self.below(3) as usize;
            let Some(transmit) = self.stack.poll_transmit(self.now, segments, &mut buf) else {
                break;
            };
            assert_eq!(transmit.size, buf.len());
            for segment in transmit.segments(&buf) {
                let packet = Packet::parse(segment, ChecksumRule::Verify).expect("a packet");
                packet.check_bundling().expect("what stands alone does");
                assert!(packet.chunks().all(|chunk| chunk.is_ok()));
                for chunk in packet.chunks().flatten() {
                    self.learn(chunk.kind, chunk.value);
                }
            }
        }
    }

    fn learn(&mut self, kind: ChunkType, value: &[u8]) {
        match kind {
            ChunkType::INIT | ChunkType::INIT_ACK => {
                let init = Init::parse(value).unwrap();
                (self.tag, self.tsn) = (init.fixed.initiate_tag, init.fixed.initial_tsn);
                let cookie = init.params.flatten().find_map(|param| match param {
                    Param::StateCookie(cookie) => Some(cookie.to_vec()),
                    _ => None,
                });
                self.cookie = cookie.unwrap_or_else(|| b"cookie".to_vec());
            }
            ChunkType::HEARTBEAT => self.heartbeat = value.to_vec(),
            ChunkType::DATA => self.tsn = Tsn(u32::from_be_bytes(*value.first_chunk().unwrap())),
            _ => {}
        }
    }

    /// Lets the user do something.
    fn user(&mut self) {
        let (now, endpoint) = (self.now, self.endpoint);
        if self.assoc.is_none() && self.below(4) == 0 {
            let peers = [address(1), address(2)];
            let options = ConnectOptions::default();
            self.assoc = self.stack.connect(now, endpoint, &peers, PEER_PORT, options).ok();
        }
        self.assoc = self.assoc.or_else(|| self.stack.find(endpoint, address(1), PEER_PORT));
        let Some(assoc) = self.assoc else { return };
        let _ = self.stack.accept(assoc);
        match self.below(24) {
            0..=7 => {
                let len = 1 + self.below(4000) as usize;
                let mut message = OutMessage::new(StreamId(0), Ppid(0), Bytes::from(vec![1; len]));
                message.unordered = self.below(2) == 0;
                message.destination = (self.below(2) == 0).then(|| address(2));
                let _ = self.stack.send(now, assoc, message);
            }
            8..=15 => while let Ok(Some(_)) = self.stack.recv(now, assoc) {},
            16 => drop(self.stack.shutdown(now, assoc)),
            17 => drop(self.stack.set_primary(assoc, address(2))),
            18 => drop(self.stack.request_heartbeat(now, assoc, address(2))),
            19 => drop(self.stack.status(assoc)),
            20 if self.below(4) == 0 => self.stack.release(now, assoc),
            _ => {}
        }
        if self.stack.status(assoc).is_none() {
            self.assoc = None;
        }
    }

    fn step(&mut self) {
        match self.below(8) {
            0 => self.user(),
            1 => {
                let millis = [1, 300, 2000, 70_000][self.below(4) as usize];
                self.now += Duration::from_millis(millis);
                self.stack.handle_timeout(self.now);
                let next = self.stack.poll_timeout();
                assert!(next.is_none_or(|at| at > self.now), "a timer that never rests");
            }
            _ => self.give(),
        }
        if self.below(4) > 0 {
            self.take();
        }
        if self.below(2) == 0 {
            while self.stack.poll_event().is_some() {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_a_peer_sends_the_stack_goes_on(seed: u64) {
        let mut target = Target::new(seed);
        (0..400).for_each(|_| target.step());
    }
}
