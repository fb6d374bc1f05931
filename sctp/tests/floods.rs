//! Floods from a peer against a stack whose user takes nothing: what is held stays bounded.

mod common;

use std::net::IpAddr;

use bytes::Bytes;
use common::datagram;
use sctp::config::{EndpointConfig, StackConfig};
use sctp::error::{FailureReason, Violation};
use sctp::serial::{Ppid, Ssn, StreamId, Tsn, VerificationTag};
use sctp::tlv::Writer;
use sctp::wire::{
    self, ChecksumRule, ChunkType, DataHeader, Init, InitFixed, Packet, Param, write_chunk, write_cookie_echo,
    write_data, write_heartbeat, write_init,
};
use sctp::{AssocId, EndpointId, Event, Instant, OutMessage, Stack};

const PORT: u16 = 7;
const PEER_PORT: u16 = 9;

/// A stack and the peer that floods it, without a network between them.
struct Victim {
    stack: Stack,
    endpoint: EndpointId,
    now: Instant,
    tag: VerificationTag,
    z_tag: VerificationTag,
    z_tsn: Tsn,
}

impl Victim {
    fn new() -> Self {
        let mut stack = Stack::new(StackConfig::new(vec![address(2)], None), [1; 32]);
        let config = EndpointConfig {
            port: Some(PORT),
            ..EndpointConfig::default()
        };
        let endpoint = stack.bind(config).unwrap();
        stack.listen(endpoint, 100);
        Self {
            stack,
            endpoint,
            now: Instant::from_millis(1),
            tag: VerificationTag(1),
            z_tag: VerificationTag::ZERO,
            z_tsn: Tsn(0),
        }
    }

    fn give(&mut self, tag: VerificationTag, chunks: impl FnOnce(&mut Vec<u8>)) {
        let (meta, packet) = datagram((address(1), PEER_PORT), (address(2), PORT), tag, chunks);
        self.stack.handle_datagram(self.now, &meta, packet);
    }

    /// Sends chunks under the right tag.
    fn flood(&mut self, chunks: impl FnOnce(&mut Vec<u8>)) {
        self.give(self.z_tag, chunks);
    }

    /// Takes the packets that wait to be sent.
    fn take(&mut self) -> Vec<Vec<u8>> {
        let mut buf = Vec::new();
        std::iter::from_fn(|| self.stack.poll_transmit(self.now, 1, &mut buf).map(|_| buf.clone())).collect()
    }

    /// Takes the events that wait.
    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.stack.poll_event().map(|(_, _, event)| event)).collect()
    }

    /// Sets the association up, or up again.
    fn establish(&mut self) -> AssocId {
        self.tag = VerificationTag(self.tag.0 + 1);
        let fixed = InitFixed {
            initiate_tag: self.tag,
            a_rwnd: 100_000,
            outbound_streams: 10,
            inbound_streams: 10,
            initial_tsn: Tsn(0),
        };
        self.take();
        self.give(VerificationTag::ZERO, |buf| {
            write_init(buf, ChunkType::INIT, &fixed, |_: &mut Writer<'_>| {});
        });
        let packets = self.take();
        let packet = Packet::parse(&packets[0], ChecksumRule::Verify).unwrap();
        let chunk = packet.first_chunk().unwrap();
        assert_eq!(chunk.kind, ChunkType::INIT_ACK);
        let init = Init::parse(chunk.value).unwrap();
        (self.z_tag, self.z_tsn) = (init.fixed.initiate_tag, init.fixed.initial_tsn);
        let cookie = init.params.flatten().find_map(|param| match param {
            Param::StateCookie(cookie) => Some(cookie.to_vec()),
            _ => None,
        });
        let cookie = cookie.unwrap();
        self.flood(|buf| write_cookie_echo(buf, &cookie));
        self.stack.find(self.endpoint, address(1), PEER_PORT).unwrap()
    }
}

fn address(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn data(tsn: u32, ssn: u16, flags: (bool, bool)) -> DataHeader {
    DataHeader {
        tsn: Tsn(tsn),
        stream: StreamId(0),
        ssn: Ssn(ssn),
        ppid: Ppid(0),
        unordered: false,
        beginning: flags.0,
        ending: flags.1,
        immediate: false,
    }
}

#[test]
fn errors_of_the_peer_do_not_pile_up() {
    let mut victim = Victim::new();
    victim.establish();
    for _ in 0..1000 {
        victim.flood(|buf| {
            for _ in 0..16 {
                wire::write_error(buf, |w| w.tlv(0x7777, |w| w.bytes(&[7; 3000])));
            }
        });
    }
    let events = victim.events();
    let told = events.iter().filter_map(|event| match event {
        Event::PeerError { raw, .. } => Some(raw.len()),
        _ => None,
    });
    let bytes: usize = told.sum();
    assert!((1..=64 * 1024).contains(&bytes), "{bytes}");
}

#[test]
fn rfc5062_4_restarts_over_and_over_do_not_pile_up() {
    let mut victim = Victim::new();
    let assoc = victim.establish();
    for _ in 0..500 {
        let message = OutMessage::new(StreamId(0), Ppid(0), Bytes::from_static(b"x"));
        let _ = victim.stack.send(victim.now, assoc, message);
        victim.take();
        // Not acknowledged, so this goes no further than SHUTDOWN-RECEIVED.
        let tsn = victim.z_tsn.minus(1);
        victim.flood(|buf| wire::write_shutdown(buf, tsn));
        assert_eq!(victim.establish(), assoc);
    }
    let events = victim.events();
    let failed = events
        .iter()
        .filter(|event| matches!(event, Event::SendFailed(_)))
        .count();
    assert_eq!(failed, 500, "what was the user's is told");
    assert!(events.len() <= failed + 70, "{}", events.len());
    assert!(events.iter().any(|event| matches!(event, Event::Restarted { .. })));
}

#[test]
fn answers_that_nobody_takes_do_not_pile_up() {
    let mut victim = Victim::new();
    victim.establish();
    victim.take();
    for _ in 0..1000 {
        victim.flood(|buf| write_heartbeat(buf, &[1; 1000]));
        victim.flood(|buf| write_chunk(buf, ChunkType(0xff), 0, &[1; 1000]));
        victim.give(VerificationTag(0xdead), wire::write_cookie_ack);
        victim.give(VerificationTag(0xdead), wire::write_shutdown_ack);
    }
    assert!(victim.take().len() <= 40);
}

#[test]
fn out_of_the_blue_packets_are_answered_at_a_limited_rate() {
    let mut victim = Victim::new();
    for _ in 0..5000 {
        victim.give(VerificationTag(0xdead), wire::write_shutdown_ack);
        assert!(victim.take().len() <= 1);
    }
    assert_eq!(victim.stack.stats().out_of_the_blue_unanswered, 4000);
}

#[test]
fn fragments_that_never_become_a_message_are_bounded() {
    let mut victim = Victim::new();
    let assoc = victim.establish();
    // Every second TSN, so that nothing can be put together, and nothing is delivered in pieces.
    for n in 0..60_000u32 {
        victim.flood(|buf| write_data(buf, &data(1 + 2 * (n % 30_000), 0, (false, false)), b"x"));
    }
    assert_eq!(victim.stack.recv(victim.now, assoc), Ok(None));
    let stats = victim.stack.status(assoc).unwrap().stats;
    // The window is 1 MiB, and a fragment counts for at least 128 bytes.
    assert!(stats.data_chunks_received - stats.data_chunks_dropped - stats.duplicate_tsns <= 2 * 8192 + 1);
    // The first fragment of all still gets in.
    victim.take();
    let dropped = stats.data_chunks_dropped;
    victim.flood(|buf| write_data(buf, &data(0, 0, (true, false)), b"x"));
    assert_eq!(victim.stack.status(assoc).unwrap().stats.data_chunks_dropped, dropped);
}

#[test]
fn a_sack_full_of_blocks_does_no_harm_whatever_they_say() {
    let mut victim = Victim::new();
    let assoc = victim.establish();
    for _ in 0..100 {
        let message = OutMessage::new(StreamId(0), Ppid(0), Bytes::from(vec![0; 1000]));
        victim.stack.send(victim.now, assoc, message).unwrap();
    }
    let sent = victim.take().len() as u16 - 1;
    assert!(sent >= 3);
    let point = victim.z_tsn.minus(1);
    let blocks: Vec<Vec<(u16, u16)>> = vec![
        (0..16_000).map(|_| (2, 2)).collect(),
        (0..16_000).map(|n| (n % 3, 2)).collect(),
        (0..16_000).map(|n| (2 + n % (sent - 1), sent)).collect(),
        (0..16_000u16).rev().map(|n| (n, n.saturating_sub(1))).collect(),
    ];
    for _ in 0..20 {
        for blocks in &blocks {
            victim.flood(|buf| wire::write_sack(buf, point, 100_000, blocks, &[]));
            victim.flood(|buf| wire::write_sack(buf, point, 100_000, &[], &[]));
        }
    }
    victim.take();
    let end = point.plus(u32::from(sent));
    victim.flood(|buf| wire::write_sack(buf, end, 100_000, &[], &[]));
    assert!(victim.stack.status(assoc).is_some());
    assert!(!victim.take().is_empty(), "the rest goes out");
}

#[test]
fn acknowledgements_taken_back_over_and_over_end_the_association() {
    let mut victim = Victim::new();
    let assoc = victim.establish();
    let point = victim.z_tsn.minus(1);
    for _ in 0..10 {
        let message = OutMessage::new(StreamId(0), Ppid(0), Bytes::from(vec![0; 1000]));
        victim.stack.send(victim.now, assoc, message).unwrap();
    }
    let sent = victim.take().len() as u16 - 1;
    assert!(sent >= 3);
    let mut rounds = 0u32;
    while victim.stack.find(victim.endpoint, address(1), PEER_PORT).is_some() {
        victim.flood(|buf| wire::write_sack(buf, point, 100_000, &[(2, sent)], &[]));
        victim.flood(|buf| wire::write_sack(buf, point, 100_000, &[], &[]));
        victim.take();
        rounds += 1;
        assert!(rounds < 100_000, "it goes on for ever");
    }
    assert!(rounds > 10_000, "{rounds}: some of it is allowed");
    let reason = FailureReason::PeerMisbehaved(Violation::RenegedTooOften);
    assert!(victim.events().contains(&Event::CommunicationLost { reason }));
}
