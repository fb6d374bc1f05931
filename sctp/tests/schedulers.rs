//! Stream schedulers (RFC 8260 §3), and what the user can set and learn about single streams.

mod common;

use std::collections::BTreeMap;

use bytes::Bytes;
use common::{A, Answer, B, Pair, Setup, connected, data_chunks, ms, secs};
use sctp::OutMessage;
use sctp::config::StreamScheduler;
use sctp::error::StreamError;
use sctp::serial::{Ppid, StreamId};
use sctp::sim::LinkConfig;

fn with(scheduler: StreamScheduler) -> Setup {
    Setup::single().config(move |config| config.set_stream_scheduler(scheduler))
}

fn set_value(pair: &mut Pair, stream: u16, value: u16) {
    let assoc = pair.assoc(A);
    let stack = pair.world.stack(pair.hosts[A]);
    stack
        .set_stream_scheduler_value(assoc, StreamId(stream), value)
        .unwrap();
}

fn set_scheduler(pair: &mut Pair, scheduler: StreamScheduler) {
    let assoc = pair.assoc(A);
    let stack = pair.world.stack(pair.hosts[A]);
    stack.set_stream_scheduler(assoc, scheduler).unwrap();
    assert_eq!(stack.stream_scheduler(assoc), Ok(scheduler));
}

/// The stream of each DATA chunk in the order of the TSNs.
fn streams(packets: &[Answer]) -> Vec<u16> {
    let mut chunks = data_chunks(packets);
    chunks.sort_by_key(|chunk| chunk.tsn.steps_from(data_chunks(packets)[0].tsn));
    chunks.iter().map(|chunk| chunk.stream.0).collect()
}

/// What is sent after `messages`, streams and lengths, were queued at once.
fn order(scheduler: StreamScheduler, values: &[(u16, u16)], messages: &[(u16, usize)]) -> Vec<u16> {
    let mut pair = connected(with(scheduler));
    for &(stream, value) in values {
        set_value(&mut pair, stream, value);
    }
    for &(stream, len) in messages {
        pair.say(A, stream, &vec![1; len]);
    }
    pair.run(secs(5));
    assert_eq!(pair.hear(B).len(), messages.len());
    pair.assert_idle();
    streams(&pair.sent(A))
}

#[test]
fn rfc8260_3_1_first_come_first_served_keeps_the_order_of_the_user() {
    let messages = [(3, 10), (1, 2000), (3, 10), (2, 10), (1, 10)];
    let sent = order(StreamScheduler::FirstComeFirstServed, &[], &messages);
    assert_eq!(sent, [3, 1, 1, 3, 2, 1]);
}

#[test]
fn rfc8260_3_2_round_robin_sends_a_message_of_each_stream_in_turn() {
    let messages = [(3, 10), (3, 10), (3, 10), (1, 3000), (1, 10), (2, 10)];
    let sent = order(StreamScheduler::RoundRobin, &[], &messages);
    // A message once begun is finished first.
    assert_eq!(sent, [1, 1, 1, 2, 3, 1, 3, 3]);
}

#[test]
fn rfc8260_3_3_round_robin_per_packet_puts_one_stream_in_a_packet() {
    let mut pair = connected(with(StreamScheduler::RoundRobinPerPacket));
    for _ in 0..30 {
        for stream in 0..3 {
            pair.say(A, stream, &[1; 100]);
        }
    }
    pair.run(secs(5));
    assert_eq!(pair.hear(B).len(), 90);
    let sent = pair.sent(A);
    let mut packets = Vec::new();
    for packet in sent
        .iter()
        .filter(|packet| !data_chunks(std::slice::from_ref(packet)).is_empty())
    {
        let streams: Vec<u16> = streams(std::slice::from_ref(packet));
        assert!(streams.iter().all(|stream| *stream == streams[0]), "{streams:?}");
        packets.push((streams[0], streams.len()));
    }
    // Packets are filled, and the turn changes with each.
    assert_eq!(packets.iter().map(|(_, chunks)| chunks).max(), Some(&10));
    assert_eq!(
        packets.iter().map(|(stream, _)| *stream).take(6).collect::<Vec<_>>(),
        [0, 1, 2, 0, 1, 2]
    );
}

#[test]
fn rfc8260_3_4_priorities_are_strict_and_zero_is_the_highest() {
    let messages = [(1, 10), (2, 10), (0, 10), (1, 10), (2, 10), (0, 10)];
    let sent = order(StreamScheduler::Priority, &[(1, 7), (2, 3)], &messages);
    assert_eq!(sent, [0, 0, 2, 2, 1, 1]);
}

#[test]
fn rfc8260_4_3_2_without_priorities_the_default_order_holds() {
    let messages = [(2, 10), (1, 10), (2, 10), (0, 10)];
    assert_eq!(order(StreamScheduler::Priority, &[], &messages), [2, 1, 2, 0]);
}

#[test]
fn rfc8260_4_3_values_and_schedulers_can_be_changed_while_messages_wait() {
    let mut pair = connected(Setup::single());
    pair.say(A, 0, &[1; 2000]);
    for stream in [1, 2, 1, 2, 3] {
        pair.say(A, stream, &[1; 10]);
    }
    set_value(&mut pair, 0, 9);
    set_scheduler(&mut pair, StreamScheduler::Priority);
    set_value(&mut pair, 1, 5);
    pair.say(A, 0, &[1; 10]);
    set_value(&mut pair, 2, 4);
    pair.run(secs(2));
    assert_eq!(streams(&pair.sent(A)), [3, 2, 2, 1, 1, 0, 0, 0]);
    assert_eq!(pair.hear(B).len(), 7);

    // And back, where what waits goes in the order of the user again.
    for stream in [0, 1, 2, 0] {
        pair.say(A, stream, &[1; 10]);
    }
    set_scheduler(&mut pair, StreamScheduler::FirstComeFirstServed);
    pair.say(A, 1, &[1; 10]);
    pair.run(secs(2));
    assert_eq!(streams(&pair.sent(A))[8..], [0, 1, 2, 0, 1]);
    assert_eq!(pair.hear(B).len(), 5);
    pair.assert_idle();
}

#[test]
fn rfc8260_4_3_3_values_are_kept_for_streams_that_exist() {
    let mut pair = connected(Setup::single());
    let assoc = pair.assoc(A);
    let stack = pair.world.stack(pair.hosts[A]);
    assert_eq!(stack.stream_scheduler(assoc), Ok(StreamScheduler::FirstComeFirstServed));
    assert_eq!(stack.stream_scheduler_value(assoc, StreamId(9)), Ok(0));
    assert_eq!(stack.set_stream_scheduler_value(assoc, StreamId(9), 500), Ok(()));
    assert_eq!(stack.stream_scheduler_value(assoc, StreamId(9)), Ok(500));
    let none = Err(StreamError::InvalidStream);
    assert_eq!(stack.set_stream_scheduler_value(assoc, StreamId(10), 1), none);
    assert_eq!(
        stack.stream_scheduler_value(assoc, StreamId(10)).unwrap_err(),
        StreamError::InvalidStream
    );
}

/// Bytes of each stream that arrived over a bottleneck, by when all streams still had something to send.
fn shares(setup: Setup, values: &[(u16, u16)], sizes: &[usize]) -> BTreeMap<u16, usize> {
    const BYTES: usize = 1_000_000;
    let link = LinkConfig::new().latency(ms(20)).mtu(1500).rate(10_000_000, 100_000);
    let mut pair = setup
        .link(&link)
        .config(|config| config.set_send_buffer(8_000_000).unwrap())
        .build();
    pair.connect();
    for &(stream, value) in values {
        set_value(&mut pair, stream, value);
    }
    for (stream, &size) in (0..).zip(sizes) {
        for _ in 0..BYTES / size {
            let message = OutMessage::new(StreamId(stream), Ppid(0), Bytes::from(vec![0; size]));
            pair.send(A, message).unwrap();
        }
    }
    let mut got: BTreeMap<u16, usize> = BTreeMap::new();
    pair.must("most of one stream", secs(60), |pair| {
        for received in pair.hear(B) {
            *got.entry(received.stream.0).or_default() += received.payload.len();
        }
        got.values().any(|bytes| *bytes > BYTES * 9 / 10)
    });
    got
}

#[test]
fn rfc8260_3_5_fair_capacity_gives_each_stream_as_much_of_a_bottleneck() {
    let sizes = [200, 1200, 5000];
    let got = shares(with(StreamScheduler::FairCapacity), &[], &sizes);
    let (least, most) = (got.values().min().unwrap(), got.values().max().unwrap());
    assert!(got.len() == 3 && (*least as f64) > 0.9 * *most as f64, "{got:?}");
    // Another scheduler does not.
    let got = shares(with(StreamScheduler::RoundRobin), &[], &sizes);
    assert!(got[&2] > 4 * got[&1] && got[&1] > 5 * got[&0], "{got:?}");
}

#[test]
fn rfc8260_3_6_weighted_fair_queueing_shares_a_bottleneck_by_weight() {
    let weights = [(1, 2), (2, 4)];
    let got = shares(
        with(StreamScheduler::WeightedFairQueueing),
        &weights,
        &[1000, 1000, 300],
    );
    for (stream, weight) in weights {
        let ratio = got[&stream] as f64 / got[&0] as f64 / f64::from(weight);
        assert!((0.85..1.15).contains(&ratio), "{got:?}");
    }
}
