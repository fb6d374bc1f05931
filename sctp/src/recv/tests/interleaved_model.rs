//! Interleaved messages in any order, with losses, small buffers and messages that are given up, against a model that
//! knows what was sent.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{check_invariants, gap_acked, pattern};
use crate::random::Random;
use crate::recv::*;
use crate::serial::{Fsn, Mid};
use crate::wire::{Fragment, SkippedMessage};

#[derive(Clone, Debug)]
struct Scenario {
    seed: u64,
    initial_tsn: u32,
    receive_buffer: u32,
    streams: u16,
    messages: u64,
    longest: u64,
    chunk: usize,
    from_zero: bool,
    /// Of how many pending fragments the next one is drawn.
    reordering: u64,
    reading: f64,
    abandoning: f64,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    (
        (
            any::<u64>(),
            any::<u32>(),
            prop::sample::select(vec![3000, 20_000, 1 << 20]),
            1u16..6,
            1u64..40,
        ),
        (
            prop::sample::select(vec![10u64, 200, 4000, 30_000]),
            prop::sample::select(vec![1usize, 40, 700]),
            any::<bool>(),
            prop::sample::select(vec![1u64, 3, 20, 1000]),
            prop::sample::select(vec![0.05, 0.3, 1.0]),
            prop::sample::select(vec![0.0, 0.0, 0.02]),
        ),
    )
        .prop_map(|((seed, initial_tsn, receive_buffer, streams, messages), rest)| {
            let (longest, chunk, from_zero, reordering, reading, abandoning) = rest;
            Scenario {
                seed,
                initial_tsn,
                receive_buffer,
                streams,
                messages,
                longest: longest.min(chunk as u64 * 600 / messages),
                chunk,
                from_zero,
                reordering,
                reading,
                abandoning,
            }
        })
}

struct Sent {
    stream: StreamId,
    unordered: bool,
    mid: Mid,
    payload: Vec<u8>,
    abandoned: bool,
    heard: bool,
}

/// Messages, and their fragments in the order of the TSNs, each with the number of its message.
fn write(scenario: &Scenario, random: &mut Random) -> (Vec<Sent>, Vec<(usize, IDataFragment)>) {
    let mut messages = Vec::new();
    let mut queues: BTreeMap<u16, Vec<(usize, IDataFragment)>> = BTreeMap::new();
    let mut mids: BTreeMap<(u16, bool), u32> = BTreeMap::new();
    for number in 0..scenario.messages as usize {
        let len = 1 + random.below(scenario.longest.max(1)) as usize;
        let payload = pattern(number, len);
        let stream = random.below(scenario.streams.into()) as u16;
        let unordered = random.chance(0.3);
        let next = mids.entry((stream, unordered)).or_default();
        let mid = Mid(*next);
        *next += 1;
        let last = payload.len().div_ceil(scenario.chunk) - 1;
        for (n, part) in payload.chunks(scenario.chunk).enumerate() {
            let fsn = if scenario.from_zero { n.saturating_sub(1) } else { n };
            let fragment = IDataFragment {
                tsn: Tsn(0),
                stream: StreamId(stream),
                mid,
                fragment: if n == 0 {
                    Fragment::First(Ppid(number as u32))
                } else {
                    Fragment::Later(Fsn(fsn as u32))
                },
                unordered,
                ending: n == last,
                immediate: false,
                payload: Bytes::copy_from_slice(part),
            };
            queues.entry(stream).or_default().push((number, fragment));
        }
        let stream = StreamId(stream);
        messages.push(Sent {
            stream,
            unordered,
            mid,
            payload,
            abandoned: false,
            heard: false,
        });
    }
    for queue in queues.values_mut() {
        queue.reverse();
    }
    let mut fragments = Vec::new();
    let mut tsn = Tsn(scenario.initial_tsn);
    while !queues.is_empty() {
        let streams: Vec<u16> = queues.keys().copied().collect();
        let stream = streams[random.below(streams.len() as u64) as usize];
        for _ in 0..=random.below(3) {
            let Some((number, mut fragment)) = queues.get_mut(&stream).and_then(Vec::pop) else {
                break;
            };
            fragment.tsn = tsn;
            tsn = tsn.next();
            fragments.push((number, fragment));
        }
        queues.retain(|_, queue| !queue.is_empty());
    }
    (messages, fragments)
}

/// Puts pieces together, one message a stream, and compares.
#[derive(Default)]
struct User {
    partial: BTreeMap<StreamId, Received>,
    next: BTreeMap<StreamId, u32>,
}

impl User {
    fn take(&mut self, piece: Received, messages: &mut [Sent]) {
        let whole = match self.partial.remove(&piece.stream) {
            None => piece,
            Some(begun) => {
                assert_eq!(
                    (begun.mid, begun.tsn, begun.unordered, begun.ppid),
                    (piece.mid, piece.tsn, piece.unordered, piece.ppid),
                    "something of the stream came between two pieces"
                );
                let payload = [begun.payload, piece.payload].concat().into();
                Received { payload, ..piece }
            }
        };
        if !whole.end_of_message {
            self.partial.insert(whole.stream, whole);
            return;
        }
        let sent = &mut messages[whole.ppid.0 as usize];
        assert_eq!(
            (sent.stream, sent.unordered, Some(sent.mid), sent.mid.as_ssn()),
            (whole.stream, whole.unordered, whole.mid, whole.ssn)
        );
        assert!(sent.payload == whole.payload, "message {} is altered", whole.ppid.0);
        assert!(
            !std::mem::replace(&mut sent.heard, true),
            "message {} is twice there",
            whole.ppid.0
        );
        if !sent.unordered {
            let next = self.next.entry(sent.stream).or_default();
            assert!(sent.mid.0 >= *next, "message {} is out of order", whole.ppid.0);
            *next = sent.mid.0 + 1;
        }
    }

    fn cut(&mut self, head: &Received) {
        assert!(head.payload.is_empty());
        let begun = self.partial.remove(&head.stream);
        assert!(
            begun.is_none_or(|begun| begun.tsn == head.tsn),
            "another message is cut"
        );
    }
}

fn run(scenario: &Scenario) {
    let mut random = Random::from_number(scenario.seed);
    let (mut messages, fragments) = write(scenario, &mut random);
    let mut inbound = Inbound::new(
        Tsn(scenario.initial_tsn),
        InboundConfig {
            receive_buffer: scenario.receive_buffer,
            streams: scenario.streams,
            forward_tsn: scenario.abandoning > 0.0,
            interleaving: true,
            fragment_interleave: FragmentInterleave::Streams,
            ..super::CONFIG
        },
    );
    let mut user = User::default();
    let mut steps = 0;
    let mut acked_so_far = 0;
    loop {
        steps += 1;
        assert!(
            steps < 50_000,
            "it does not end: {:?} {:?} acked {acked_so_far} of {}",
            inbound.window,
            inbound.interleaved,
            fragments.len()
        );
        inbound.on_packet_end(Instant::ZERO);
        let (numbers, gaps, _) = super::sack_with(&mut inbound, usize::MAX);
        let acked = numbers.cumulative_tsn_ack.next().steps_from(Tsn(scenario.initial_tsn)) as usize;
        acked_so_far = acked;
        let gap_acked = gap_acked(acked, &gaps);
        if random.chance(scenario.abandoning) && acked < fragments.len() {
            let ahead = (fragments.len() - acked).min(30) as u64;
            messages[fragments[acked + random.below(ahead) as usize].0].abandoned = true;
        }
        let gone = |place: &usize| messages[fragments[*place].0].abandoned;
        let point = (acked..)
            .find(|place| *place >= fragments.len() || !gone(place))
            .unwrap();
        if point > acked && random.chance(0.7) {
            let mut skipped = BTreeMap::new();
            for (number, fragment) in &fragments[acked..point] {
                let sent = &messages[*number];
                skipped.insert((fragment.stream, fragment.unordered), sent.mid);
            }
            let skipped =
                skipped
                    .into_iter()
                    .map(|((stream, unordered), mid)| SkippedMessage { stream, unordered, mid });
            let tsn = fragments[point - 1].1.tsn;
            inbound.on_i_forward_tsn(tsn, skipped);
            check_invariants(&inbound);
            inbound.take_cut().iter().for_each(|head| user.cut(head));
            assert!(inbound.cumulative_tsn_ack().is_at_or_after(tsn));
        }
        // What was on its way when its message was given up may still arrive, for a while.
        let late = random.chance(0.2);
        let pending: Vec<usize> = (acked..fragments.len())
            .filter(|place| !gap_acked.contains(place) && (late && *place < acked + 10 || !gone(place)))
            .take(scenario.reordering as usize)
            .collect();
        if let Some(&place) = pending.get(random.below(pending.len().max(1) as u64) as usize) {
            let outcome = inbound.on_i_data(fragments[place].1.clone()).expect("an honest sender");
            assert!(outcome != DataOutcome::Duplicate || place < acked || late);
            check_invariants(&inbound);
        } else if acked >= fragments.len() && !inbound.readable() {
            break;
        }
        if random.chance(scenario.reading) {
            assert_eq!(inbound.readable(), {
                let received = inbound.recv();
                let there = received.is_some();
                received.into_iter().for_each(|piece| user.take(piece, &mut messages));
                there
            });
            check_invariants(&inbound);
        }
    }
    for (number, sent) in messages.iter().enumerate() {
        assert!(sent.heard || sent.abandoned, "message {number} is lost");
    }
    assert!(user.partial.is_empty(), "{:?}", user.partial);
    assert_eq!(inbound.buffered_bytes(), 0);
    assert!(inbound.interleaved.as_ref().unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn every_interleaved_message_arrives_once_unaltered_and_in_order(scenario in scenario()) {
        run(&scenario);
    }
}
