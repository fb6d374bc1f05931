//! Interleaving and partial reliability while streams begin anew (RFC 8260 §2.3 and RFC 3758 with RFC 6525).
//!
//! `SOAK_SEEDS` says how many seeds the last test takes, `SOAK_FIRST` which is the first.

mod common;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use common::{A, Answer, B, Pair, Peer, PeerSetup, SCHEDULERS, Setup, connected, ms, number, sack_of, secs, wire};
use sctp::config::{AssociationConfig, ReconfigRequests, StreamScheduler};
use sctp::error::SendError;
use sctp::serial::{Fsn, Mid, Ppid, RequestSeq, StreamId, Tsn};
use sctp::sim::Verdict;
use sctp::wire::{
    ChunkType, Fragment, IDataHeader, Param, Reconfig, ReconfigParam, ReconfigResult, SkippedMessage, write_i_data,
    write_i_forward_tsn, write_outgoing_ssn_reset, write_reconfig,
};
use sctp::{Event, OutMessage, Received, ReconfigOutcome, Reliability, StreamDirections};

/// The peer's request numbers count from its initial TSN (RFC 6525 §4.1).
const SEQ: RequestSeq = RequestSeq(1000);

fn willing(config: &mut AssociationConfig) {
    config.interleaving_mut().set_offered(true);
    config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
}

/// A scripted peer that interleaves, gives up and re-configures.
fn peer() -> Peer {
    let mut setup = PeerSetup::default();
    willing(&mut setup.association);
    let mut peer = Peer::with(setup);
    let kinds = [
        ChunkType::I_DATA,
        ChunkType::I_FORWARD_TSN,
        ChunkType::FORWARD_TSN,
        ChunkType::RE_CONFIG,
    ];
    peer.establish_with(|w| Param::SupportedExtensions(&kinds.map(|kind| kind.0)).write(w));
    peer
}

/// A chunk of an ordered message; `fsn` is `None` for the first.
fn part(tsn: Tsn, stream: u16, mid: u32, fsn: Option<u32>, ending: bool) -> IDataHeader {
    IDataHeader {
        tsn,
        stream: StreamId(stream),
        mid: Mid(mid),
        fragment: fsn.map_or(Fragment::First(Ppid(3)), |fsn| Fragment::Later(Fsn(fsn))),
        unordered: false,
        ending,
        immediate: false,
    }
}

fn say(peer: &mut Peer, header: IDataHeader, payload: &[u8]) -> Vec<Answer> {
    peer.send(|buf| write_i_data(buf, &header, payload));
    peer.answers()
}

/// Asks Z to expect stream 0 anew after `last`. What it answers.
fn ask(peer: &mut Peer, last: Tsn) -> Vec<ReconfigResult> {
    let streams = [StreamId(0)];
    peer.send(|buf| write_reconfig(buf, |w| write_outgoing_ssn_reset(w, SEQ, RequestSeq(0), last, &streams)));
    results(&peer.answers())
}

fn results(answers: &[Answer]) -> Vec<ReconfigResult> {
    let chunks = answers.iter().flat_map(|answer| &answer.chunks);
    let chunks = chunks.filter(|chunk| chunk.kind == ChunkType::RE_CONFIG);
    let mut results = Vec::new();
    for chunk in chunks {
        for param in Reconfig::parse(&chunk.value).unwrap().params {
            if let ReconfigParam::Response { result, .. } = param.unwrap() {
                results.push(result);
            }
        }
    }
    results
}

#[test]
fn rfc6525_5_2_2_e2_interleaved_data_waits_for_a_reset_that_waits() {
    let mut peer = peer();
    let missing = peer.tsn;
    let last = missing.plus(1);
    assert_eq!(ask(&mut peer, last), [ReconfigResult::IN_PROGRESS]);
    say(&mut peer, part(last, 0, 1, None, true), b"old 1");
    // E2: later TSNs have new numbers already, the ends of messages before their beginnings.
    say(&mut peer, part(last.plus(1), 0, 1, Some(1), true), b"w 1");
    say(&mut peer, part(last.plus(2), 0, 1, None, false), b"ne");
    say(&mut peer, part(last.plus(3), 0, 0, None, true), b"new 0");
    // Other streams go on.
    say(&mut peer, part(last.plus(4), 5, 0, None, true), b"other");
    assert_eq!(peer.z_hears_payloads(), [&b"other"[..]]);
    let answers = say(&mut peer, part(missing, 0, 0, None, true), b"old 0");
    assert_eq!(results(&answers), [ReconfigResult::PERFORMED]);
    assert_eq!(sack_of(answers.last().unwrap()).0, last.plus(4));
    assert_eq!(peer.z_hears_payloads(), [&b"old 0"[..], b"old 1", b"new 0", b"new 1"]);
    say(&mut peer, part(last.plus(5), 0, 2, None, true), b"new 2");
    assert_eq!(peer.z_hears_payloads(), [&b"new 2"[..]]);
}

#[test]
fn rfc8260_2_3_1_what_is_given_up_ends_the_wait_and_says_old_numbers() {
    let mut peer = peer();
    let last = peer.tsn.plus(2);
    say(&mut peer, part(last.minus(1), 0, 1, None, false), b"cut");
    say(&mut peer, part(last, 0, 2, None, true), b"old 2");
    assert_eq!(ask(&mut peer, last), [ReconfigResult::IN_PROGRESS]);
    say(&mut peer, part(last.plus(1), 0, 0, None, true), b"new 0");
    let skipped = SkippedMessage {
        stream: StreamId(0),
        unordered: false,
        mid: Mid(1),
    };
    peer.send(|buf| write_i_forward_tsn(buf, last.minus(1), &[skipped]));
    assert_eq!(results(&peer.answers()), [ReconfigResult::PERFORMED]);
    say(&mut peer, part(last.plus(2), 0, 1, None, true), b"new 1");
    assert_eq!(peer.z_hears_payloads(), [&b"old 2"[..], b"new 0", b"new 1"]);
}

// Between two stacks.

fn reset(pair: &mut Pair, side: usize, directions: StreamDirections, streams: &[u16]) -> bool {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    let streams: Vec<StreamId> = streams.iter().map(|&id| StreamId(id)).collect();
    let stack = pair.world.stack(pair.hosts[side]);
    stack.reset_streams(now, assoc, directions, &streams).is_ok()
}

fn performed(pair: &Pair, side: usize) -> usize {
    let is = |event: &Event| {
        matches!(
            event,
            Event::StreamReset {
                outcome: ReconfigOutcome::Performed,
                ..
            }
        )
    };
    pair.log[side].iter().filter(|(_, event)| is(event)).count()
}

#[test]
fn rfc6525_5_2_2_what_is_given_up_during_a_reset_skips_no_new_numbers() {
    for interleaving in [false, true] {
        let mut pair = connected(Setup::single().config(|config| {
            willing(config);
            config.interleaving_mut().set_offered(interleaving);
            config.set_send_buffer(4000).unwrap();
        }));
        for _ in 0..5 {
            pair.say(A, 1, b"old");
        }
        pair.run(secs(2));
        assert_eq!(pair.hear(B).len(), 5);
        let losing = Rc::new(Cell::new(true));
        let (lose, from, link) = (Rc::clone(&losing), pair.address(A, 0), pair.links[0]);
        pair.world.set_filter(link, move |_, packet| {
            let data = packet.has(ChunkType::I_DATA) || packet.has(ChunkType::DATA);
            let forward = packet.has(ChunkType::I_FORWARD_TSN) || packet.has(ChunkType::FORWARD_TSN);
            if lose.get() && packet.src == from && data && !forward {
                Verdict::Drop
            } else {
                Verdict::Pass
            }
        });
        let give = |pair: &mut Pair, stream: u16, len: usize, priority: u32| {
            let message = OutMessage {
                reliability: Reliability::Priority(priority),
                ..OutMessage::new(StreamId(stream), Ppid(0), Bytes::from(vec![7; len]))
            };
            pair.send(A, message).unwrap();
            pair.run(ms(1));
        };
        give(&mut pair, 1, 2000, 9);
        assert!(reset(&mut pair, A, StreamDirections::Outgoing, &[1]));
        pair.run(ms(1));
        // Gives up what the reset waits for at the peer; the next one that, after the last TSN of the request.
        give(&mut pair, 3, 3000, 5);
        give(&mut pair, 4, 3000, 1);
        losing.set(false);
        pair.run(secs(20));
        assert_eq!((performed(&pair, A), performed(&pair, B)), (1, 1));
        assert_eq!(pair.hear(B).len(), 1, "the most important one");
        pair.say(A, 1, b"new 0");
        pair.say(A, 1, b"new 1");
        pair.say(A, 3, b"next");
        pair.run(secs(5));
        let heard = pair.hear(B);
        let heard: Vec<_> = heard
            .iter()
            .map(|got| (got.stream.0, got.ssn.0, &got.payload[..]))
            .collect();
        assert_eq!(heard, [(1, 0, &b"new 0"[..]), (1, 1, b"new 1"), (3, 1, b"next")]);
        pair.assert_idle();
    }
}

/// Messages of all kinds from one side, and those of them that must arrive.
struct Mixture {
    from: usize,
    sent: u32,
    ordered: BTreeMap<u16, VecDeque<u32>>,
    unordered: BTreeSet<u32>,
    unreliable: BTreeSet<u32>,
}

const COUNT: u32 = 700;
const SIZES: [usize; 4] = [20, 1200, 300, 4000];

impl Mixture {
    fn new(from: usize) -> Self {
        Self {
            from,
            sent: 0,
            ordered: BTreeMap::new(),
            unordered: BTreeSet::new(),
            unreliable: BTreeSet::new(),
        }
    }

    fn payload(id: u32) -> Bytes {
        let mut payload = id.to_be_bytes().to_vec();
        payload.resize(SIZES[id as usize % SIZES.len()], id as u8);
        payload.into()
    }

    fn pump(&mut self, pair: &mut Pair) {
        while self.sent < COUNT {
            let id = self.sent;
            let stream = (id % 7) as u16;
            let message = OutMessage {
                unordered: id.is_multiple_of(5),
                reliability: match id % 9 {
                    1 => Reliability::Retransmissions(0),
                    4 => Reliability::Timed(ms(60)),
                    6 => Reliability::Priority(id % 4),
                    _ => Reliability::Reliable,
                },
                ..OutMessage::new(StreamId(stream), Ppid(id), Self::payload(id))
            };
            let (reliability, unordered) = (message.reliability, message.unordered);
            match pair.send(self.from, message) {
                Ok(()) => self.sent += 1,
                Err(SendError::WouldBlock) => break,
                Err(error) => pair.fail(&error.to_string()),
            }
            if reliability != Reliability::Reliable {
                self.unreliable.insert(id);
            } else if unordered {
                self.unordered.insert(id);
            } else {
                self.ordered.entry(stream).or_default().push_back(id);
            }
        }
        for received in pair.hear(1 - self.from) {
            if let Some(wrong) = self.check(&received) {
                pair.fail(&wrong);
            }
        }
    }

    fn check(&mut self, received: &Received) -> Option<String> {
        let id = received.ppid.0;
        assert!(received.end_of_message);
        assert_eq!(received.payload, Self::payload(id));
        assert_eq!(u32::from(received.stream.0), id % 7);
        if self.unreliable.remove(&id) || self.unordered.remove(&id) {
            return None;
        }
        let next = self.ordered.get_mut(&received.stream.0).and_then(VecDeque::pop_front);
        (next != Some(id)).then(|| format!("message {id} in place of {next:?}"))
    }

    fn is_complete(&self) -> bool {
        self.sent == COUNT && self.unordered.is_empty() && self.ordered.values().all(VecDeque::is_empty)
    }
}

#[test]
fn rfc8260_4_3_1_a_message_begun_before_the_scheduler_changed_goes_on_while_numbers_are_reset() {
    let mut pair = connected(Setup::single().config(willing));
    pair.say(A, 2, &[1; 20_000]);
    pair.say(A, 2, &[2; 10]);
    pair.run(ms(1));
    assert!(!pair.sent(A).is_empty() && pair.hear(B).is_empty());
    let (now, assoc) = (pair.now(), pair.assoc(A));
    let stack = pair.world.stack(pair.hosts[A]);
    stack.set_stream_scheduler(assoc, StreamScheduler::Priority).unwrap();
    stack.reset_association(now, assoc).unwrap();
    pair.run(secs(10));
    let lens: Vec<usize> = pair.hear_payloads(B).iter().map(Bytes::len).collect();
    assert_eq!(lens, [20_000, 10]);
    pair.assert_idle();
}

#[test]
fn resets_under_loss_with_messages_of_every_kind_lose_none_that_is_reliable() {
    let first = number("SOAK_FIRST", 1);
    for seed in first..first + number("SOAK_SEEDS", 18) {
        let link = wire(ms(15)).loss(0.1).duplication(0.02).reordering(0.1, ms(20));
        let setup = if seed % 2 == 0 { Setup::single() } else { Setup::dual() };
        let kind = SCHEDULERS[seed as usize % SCHEDULERS.len()];
        let mut pair = connected(setup.link(&link).seed(seed).config(|config| {
            willing(config);
            config.interleaving_mut().set_offered(seed % 3 != 0);
            config.set_stream_scheduler(kind);
            // What is queued goes before a reset, so the queue is short.
            config.set_send_buffer(20_000).unwrap();
            // Bad spells are to be survived.
            config.set_association_max_retrans(60);
        }));
        let mut mixtures = [A, B].map(Mixture::new);
        let mut turn = seed as usize;
        let mut next = pair.now();
        pair.must(&format!("everything arrives, seed {seed}"), secs(4000), |pair| {
            mixtures.iter_mut().for_each(|mixture| mixture.pump(pair));
            if pair.now() >= next {
                next = pair.now() + ms(100);
                turn = (turn * 7 + 3) % 10_007;
                let side = (turn / 3) % 2;
                let streams = [turn as u16 % 10, turn as u16 % 7];
                match turn % 7 {
                    0 => {
                        let (now, assoc) = (pair.now(), pair.assoc(side));
                        _ = pair.world.stack(pair.hosts[side]).reset_association(now, assoc);
                    }
                    1..5 => _ = reset(pair, side, StreamDirections::Outgoing, &streams),
                    5 => _ = reset(pair, side, StreamDirections::Incoming, &streams),
                    _ => _ = reset(pair, side, StreamDirections::Both, &[]),
                }
            }
            mixtures.iter().all(Mixture::is_complete)
        });
        pair.run(secs(200));
        mixtures.iter_mut().for_each(|mixture| mixture.pump(&mut pair));
        pair.assert_idle();
        assert!(performed(&pair, A) > 3 && performed(&pair, B) > 3, "seed {seed}");
        let given_up: usize = mixtures.iter().map(|mixture| mixture.unreliable.len()).sum();
        assert!(given_up > 0, "seed {seed}");
        pair.shutdown(A);
        pair.must("both ends close", secs(500), |pair| pair.ends(A) + pair.ends(B) == 2);
    }
}
