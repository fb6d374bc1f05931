//! Extensions that meet: interleaving with keys, with addresses that go away, and with a path MTU that shrinks.

mod common;

use bytes::Bytes;
use common::addresses::{offered, peers, remove};
use common::{A, B, Flow, Pair, Setup, ms, secs, transfer, wire};
use sctp::config::{AssociationConfig, StreamScheduler};
use sctp::error::SendError;
use sctp::serial::{Ppid, SharedKeyId, StreamId};
use sctp::sim::{LinkConfig, TooBig, Verdict};
use sctp::wire::{ChunkType, IDataChunk};
use sctp::{OutMessage, Received};

fn interleaving(config: &mut AssociationConfig) {
    config.interleaving_mut().set_offered(true);
    config.set_stream_scheduler(StreamScheduler::RoundRobin);
}

/// Keys 0 to 2 on both sides, and I-DATA only with one of them.
fn with_keys(config: &mut AssociationConfig) {
    let auth = config.auth_mut();
    auth.require(ChunkType::DATA).unwrap();
    auth.require(ChunkType::I_DATA).unwrap();
    for key in 1..3 {
        auth.keys_mut().set(SharedKeyId(key), &[key as u8; 20]);
    }
}

fn payload(id: u32, len: usize) -> Bytes {
    (0..len).map(|at| (at as u32 * 7 + id) as u8).collect()
}

/// Sends the messages from `from` as there is room, and checks that they arrive, in the order of their streams.
fn deliver(pair: &mut Pair, from: usize, messages: &[OutMessage], mut also: impl FnMut(&mut Pair, usize)) {
    let mut sent = 0;
    let mut heard: Vec<Received> = Vec::new();
    pair.must("everything arrives", secs(2000), |pair| {
        while let Some(message) = messages.get(sent) {
            match pair.send(from, message.clone()) {
                Ok(()) => sent += 1,
                Err(SendError::WouldBlock) => break,
                Err(error) => panic!("{error}"),
            }
        }
        heard.extend(pair.hear(1 - from));
        also(pair, heard.len());
        heard.len() == messages.len()
    });
    for stream in 0..20 {
        let sent = messages.iter().filter(|message| message.stream.0 == stream);
        let sent: Vec<&Bytes> = sent.map(|message| &message.payload).collect();
        let got = heard.iter().filter(|message| message.stream.0 == stream);
        let got: Vec<&Bytes> = got.map(|message| &message.payload).collect();
        assert!(sent == got, "stream {stream}");
    }
    pair.run(secs(5));
    pair.assert_idle();
}

#[test]
fn rfc6458_5_3_8_interleaved_messages_of_different_keys_are_never_in_one_packet() {
    for seed in 1..4 {
        let lossy = wire(ms(10)).loss(0.08).duplication(0.02).reordering(0.1, ms(20));
        let setup = Setup::single().link(&lossy).seed(seed);
        let mut pair = setup.config(interleaving).config(with_keys).build();
        pair.world.capture(pair.links[0]);
        pair.connect();
        let messages: Vec<OutMessage> = (0..60_u32)
            .map(|id| OutMessage {
                auth_key: Some(SharedKeyId(id as u16 % 3)),
                ..OutMessage::new(
                    StreamId(id as u16 % 3),
                    Ppid(id),
                    payload(id, [10, 300, 5000, 1200][id as usize % 4]),
                )
            })
            .collect();
        deliver(&mut pair, A, &messages, |_, _| {});
        let mut keys = [0; 3];
        for packet in pair.sent(A).iter().filter(|packet| packet.has(ChunkType::I_DATA)) {
            let value = &packet.get(ChunkType::AUTH).value;
            let key = u16::from_be_bytes([value[0], value[1]]);
            keys[usize::from(key)] += 1;
            for chunk in packet.chunks.iter().filter(|chunk| chunk.kind == ChunkType::I_DATA) {
                let data = IDataChunk::parse(chunk.flags, &chunk.value).unwrap();
                assert_eq!(data.header.stream.0, key);
            }
            assert!(packet.size <= 1500);
        }
        assert!(keys.iter().all(|count| *count > 5), "{keys:?}");
        let stats = pair.status(B).unwrap().stats;
        assert_eq!((stats.auth_failures, stats.unauthenticated_chunks_dropped), (0, 0));
    }
}

#[test]
fn rfc5061_5_3_f13_an_address_goes_away_with_interleaved_messages_half_sent_and_half_lost() {
    for lose_every in [2, 3, 7] {
        let mut pair = Setup::dual().config(interleaving).config(offered).build();
        pair.connect();
        pair.run(secs(3));
        let gone = pair.address(A, 0);
        let (from, mut count) = (pair.address(B, 0), 0);
        pair.world.set_filter(pair.links[0], move |_, packet| {
            let data = packet.src == from && packet.has(ChunkType::I_DATA);
            count += usize::from(data);
            if data && count % lose_every == 0 {
                Verdict::Drop
            } else {
                Verdict::Pass
            }
        });
        let messages: Vec<OutMessage> = (0..24_u32)
            .map(|id| OutMessage {
                destination: (id % 2 == 0).then_some(gone),
                ..OutMessage::new(StreamId(id as u16 % 5), Ppid(id), payload(id, 30_000))
            })
            .collect();
        let mut removed = false;
        deliver(&mut pair, B, &messages, |pair, heard| {
            let flight = |pair: &Pair| pair.path(B, 0).flight_size;
            if !removed && heard >= 2 && flight(pair) > 2000 {
                removed = true;
                remove(pair, A, gone).unwrap();
            }
        });
        assert!(removed);
        assert_eq!(peers(&pair, B), [pair.address(A, 1)]);
    }
}

#[test]
fn rfc8899_4_6_interleaved_and_authenticated_messages_fit_a_path_that_got_narrow() {
    let link = |mtu: usize| LinkConfig::new().latency(ms(10)).mtu(mtu);
    for too_big in [TooBig::Silent, TooBig::Reported] {
        let setup = Setup::single().link(&link(9000));
        let setup = setup.config(interleaving).config(with_keys).config(|config| {
            config.path_mut().set_mtu_discovery(Some(u16::MAX)).unwrap();
        });
        let mut pair = setup.build();
        pair.world.capture(pair.links[0]);
        pair.connect();
        let flow = |count| Flow::new(A, count).sizes(&[20_000, 500, 1200, 3001]).streams(4);
        transfer(&mut pair, &mut [flow(80)], secs(100));
        assert_eq!(pair.path(A, 0).mtu, 9000);
        let mut flows = [flow(200)];
        pair.wait(ms(25), |pair| {
            flows[0].pump(pair).unwrap();
            false
        });
        assert!(!flows[0].is_complete());
        let narrow = link(1400).fragments(true).too_big(too_big);
        pair.world.set_link(pair.links[0], narrow);
        transfer(&mut pair, &mut flows, secs(300));
        pair.run(secs(60));
        assert_eq!(pair.path(A, 0).mtu, 1400);
        let settled = pair.sent(A).len();
        transfer(&mut pair, &mut [flow(80)], secs(100));
        let sent = pair.sent(A).split_off(settled);
        let sizes = sent.iter().map(|packet| packet.size);
        let largest = sizes.max().unwrap();
        assert!((1390..=1400).contains(&largest), "{largest}");
        pair.run(secs(5));
        pair.assert_idle();
    }
}
