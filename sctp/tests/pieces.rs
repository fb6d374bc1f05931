//! Messages that are given in pieces (SCTP_EXPLICIT_EOR, RFC 6458 §8.1.26).

mod common;

use bytes::Bytes;
use common::{A, B, Pair, Setup, bad, connected, ms, secs};
use sctp::config::{AssociationConfig, ReconfigRequests, StreamScheduler};
use sctp::error::{ReconfigError, SendError};
use sctp::serial::{Ppid, StreamId};
use sctp::sim::Verdict;
use sctp::{AssociationPhase, Event, OutMessage, Received, Reliability, StreamDirections};

const BUFFER: u32 = 10_000;

fn small(config: &mut AssociationConfig) {
    config.set_send_buffer(BUFFER).unwrap();
}

fn interleaved(config: &mut AssociationConfig) {
    small(config);
    config.interleaving_mut().set_offered(true);
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn piece(stream: u16, bytes: &[u8]) -> OutMessage {
    OutMessage::new(StreamId(stream), Ppid(7), Bytes::copy_from_slice(bytes))
}

fn send_more(pair: &mut Pair, message: OutMessage, end: bool) -> Result<(), SendError> {
    let (now, assoc) = (pair.now(), pair.assoc(A));
    pair.world.stack(pair.hosts[A]).send_more(now, assoc, message, end)
}

/// What B has received, put together: stream and bytes of each message.
#[derive(Default)]
struct Heard {
    open: std::collections::BTreeMap<u16, Vec<u8>>,
    whole: Vec<(u16, Vec<u8>)>,
}

impl Heard {
    fn take(&mut self, pieces: Vec<Received>) {
        for Received {
            stream,
            payload,
            end_of_message,
            ppid,
            ..
        } in pieces
        {
            assert_eq!(ppid, Ppid(7));
            self.open.entry(stream.0).or_default().extend_from_slice(&payload);
            if end_of_message {
                self.whole.push((stream.0, self.open.remove(&stream.0).unwrap()));
            }
        }
    }
}

/// Gives a message of `total` bytes in pieces, and sends one of 100 bytes on the other streams in between wherever the
/// sender takes it.
fn transfer(pair: &mut Pair, total: usize, unordered: bool, length: usize, others: bool) -> Heard {
    let all = pattern(total);
    let mut heard = Heard::default();
    let (mut at, mut beside) = (0, 0_usize);
    pair.must("everything is there", secs(3000), |pair| {
        while at < total {
            let end = (at + length).min(total);
            let message = OutMessage {
                unordered,
                ..piece(1, &all[at..end])
            };
            match send_more(pair, message, end == total) {
                Ok(()) => at = end,
                Err(SendError::WouldBlock) => break,
                Err(error) => panic!("{error}"),
            }
            assert!(pair.status(A).unwrap().buffered_bytes <= BUFFER as usize);
            if others && pair.send(A, piece(2, &[5; 100])).is_ok() {
                beside += 1;
            }
        }
        heard.take(pair.hear(B));
        at == total && heard.whole.len() == beside + 1
    });
    let large: Vec<_> = heard.whole.iter().filter(|(stream, _)| *stream == 1).collect();
    assert_eq!(large.len(), 1);
    assert!(large[0].1 == all, "the bytes differ");
    pair.run(secs(10));
    pair.assert_idle();
    heard
}

#[test]
fn rfc6458_8_1_26_a_message_may_be_larger_than_the_send_buffer() {
    for with_others in [false, true] {
        for unordered in [false, true] {
            for length in [700, 3001] {
                let mut pair = connected(Setup::single().config(if with_others { interleaved } else { small }));
                let heard = transfer(&mut pair, 100_000, unordered, length, true);
                // Without interleaving nothing is taken beside it but after its end.
                assert_eq!(heard.whole.len() > 2, with_others);
            }
        }
    }
}

#[test]
fn rfc6458_8_1_26_pieces_get_through_a_bad_link() {
    for config in [small, interleaved] {
        for seed in 0..4 {
            let mut pair = connected(Setup::single().config(config).link(&bad(0.05)).seed(seed));
            for unordered in [false, true] {
                transfer(&mut pair, 60_000, unordered, 1717, true);
            }
        }
    }
}

#[test]
fn rfc9260_6_9_what_waits_before_an_incomplete_message_is_sent_before_it() {
    for scheduler in [
        StreamScheduler::FirstComeFirstServed,
        StreamScheduler::Priority,
        StreamScheduler::RoundRobin,
    ] {
        let setup = Setup::single()
            .config(small)
            .config(move |config| config.set_stream_scheduler(scheduler));
        let mut pair = connected(setup);
        for _ in 0..9 {
            pair.send(A, piece(3, &[1; 1000])).unwrap();
        }
        send_more(&mut pair, piece(1, &[2; 500]), false).unwrap();
        assert_eq!(pair.send(A, piece(4, b"x")), Err(SendError::Unfinished));
        assert_eq!(send_more(&mut pair, piece(4, b"x"), false), Err(SendError::Unfinished));
        let mut heard = Heard::default();
        pair.must("all others are there", secs(60), |pair| {
            heard.take(pair.hear(B));
            heard.whole.len() == 9
        });
        send_more(&mut pair, piece(1, &[2; 500]), true).unwrap();
        pair.send(A, piece(4, b"x")).unwrap();
        pair.must("it is complete", secs(60), |pair| {
            heard.take(pair.hear(B));
            heard.whole.len() == 11
        });
        assert_eq!(heard.whole[9], (1, vec![2; 1000]));
    }
}

#[test]
fn rfc8260_2_other_streams_go_on_while_a_message_is_not_complete() {
    let mut pair = connected(Setup::single().config(interleaved));
    send_more(&mut pair, piece(1, b"one "), false).unwrap();
    send_more(&mut pair, piece(2, b"two "), false).unwrap();
    assert_eq!(pair.send(A, piece(1, b"x")), Err(SendError::Unfinished));
    pair.run(secs(1));
    pair.send(A, piece(3, b"three")).unwrap();
    pair.run(secs(1));
    let mut heard = Heard::default();
    heard.take(pair.hear(B));
    assert_eq!(heard.whole, [(3, b"three".to_vec())]);
    send_more(&mut pair, piece(2, b"end"), true).unwrap();
    send_more(&mut pair, piece(1, b"end"), true).unwrap();
    pair.send(A, piece(1, b"next")).unwrap();
    pair.run(secs(1));
    heard.take(pair.hear(B));
    let expected = [
        (3, b"three".to_vec()),
        (2, b"two end".to_vec()),
        (1, b"one end".to_vec()),
        (1, b"next".to_vec()),
    ];
    assert_eq!(heard.whole, expected);
    pair.assert_idle();
}

#[test]
fn rfc6458_8_1_26_a_piece_has_a_byte_and_fits_the_send_buffer() {
    let mut pair = connected(Setup::single().config(small));
    assert_eq!(send_more(&mut pair, piece(1, b""), false), Err(SendError::Empty));
    assert_eq!(
        send_more(&mut pair, piece(1, &pattern(10_001)), false),
        Err(SendError::TooLarge)
    );
    send_more(&mut pair, piece(1, &pattern(10_000)), false).unwrap();
    assert_eq!(send_more(&mut pair, piece(1, b"x"), true), Err(SendError::WouldBlock));
    pair.must("there is room", secs(10), |pair| {
        pair.reported(A, |event| matches!(event, Event::Writable))
    });
    assert_eq!(send_more(&mut pair, piece(1, b""), true), Err(SendError::Empty));
    send_more(&mut pair, piece(1, b"x"), true).unwrap();
    pair.run(secs(5));
    let mut heard = Heard::default();
    heard.take(pair.hear(B));
    assert_eq!(heard.whole.len(), 1);
    assert_eq!(heard.whole[0].1.len(), 10_001);
}

#[test]
fn rfc9260_9_2_a_shutdown_in_the_middle_of_a_message_ends_in_an_abort() {
    for side in [A, B] {
        for config in [small, interleaved] {
            let mut pair = connected(Setup::single().config(config));
            pair.send(A, piece(2, b"before")).unwrap();
            send_more(&mut pair, piece(1, b"half"), false).unwrap();
            pair.shutdown(side);
            pair.run(secs(5));
            assert!(!pair.reported(A, |event| matches!(event, Event::ShutdownComplete)));
            let lost = |event: &Event| matches!(event, Event::CommunicationLost { .. });
            assert!(pair.reported(B, lost), "{:?}", pair.log[B]);
            let mut heard = Heard::default();
            heard.take(pair.hear(B));
            assert_eq!(heard.whole, [(2, b"before".to_vec())]);
        }
    }
}

#[test]
fn rfc9260_9_1_an_abort_fails_the_pieces_that_did_not_arrive() {
    let mut pair = connected(Setup::single().config(small).link(&common::wire(secs(1))));
    for _ in 0..5 {
        send_more(&mut pair, piece(1, &[3; 1000]), false).unwrap();
    }
    pair.abort(A, b"enough");
    pair.collect();
    let failed: usize = pair.failures(A).iter().map(|failure| failure.payload.len()).sum();
    assert_eq!(failed, 5000);
}

#[test]
fn rfc3758_3_5_a_message_that_is_given_up_takes_its_rest_with_it() {
    for config in [small, interleaved] {
        for unordered in [false, true] {
            for acknowledged in [false, true] {
                let mut pair = connected(Setup::single().config(config).link(&common::wire(ms(50))));
                let timed = |bytes: &[u8]| OutMessage {
                    unordered,
                    reliability: Reliability::Timed(ms(400)),
                    ..piece(1, bytes)
                };
                send_more(&mut pair, timed(&[1; 3000]), false).unwrap();
                if acknowledged {
                    pair.run(secs(1));
                } else {
                    let link = pair.links[0];
                    let from = pair.address(A, 0);
                    let until = pair.now() + ms(700);
                    pair.world.set_filter(link, move |now, packet| {
                        if packet.src == from && now < until {
                            Verdict::Drop
                        } else {
                            Verdict::Pass
                        }
                    });
                    pair.run(ms(100));
                    send_more(&mut pair, timed(&[1; 3000]), false).unwrap();
                    pair.run(secs(5));
                }
                // The first piece after the lifetime may still be taken, and brings it to light.
                let mut refused = send_more(&mut pair, timed(b"late"), false);
                if refused.is_ok() {
                    pair.run(ms(10));
                    refused = send_more(&mut pair, timed(b"late"), true);
                }
                assert_eq!(refused, Err(SendError::GivenUp), "{unordered} {acknowledged}");
                send_more(&mut pair, piece(1, b"another "), false).unwrap();
                send_more(&mut pair, piece(1, b"message"), true).unwrap();
                pair.send(A, piece(2, b"elsewhere")).unwrap();
                pair.run(secs(20));
                let received = pair.hear(B);
                let end: Vec<_> = received.iter().filter(|piece| piece.end_of_message).collect();
                let ends: Vec<&[u8]> = end.iter().map(|piece| &piece.payload[..]).collect();
                assert_eq!(
                    ends,
                    [&b"another message"[..], b"elsewhere"],
                    "{unordered} {acknowledged}"
                );
                assert!(!pair.failures(A).is_empty());
                pair.assert_idle();
            }
        }
    }
}

#[test]
fn rfc6525_5_1_2_streams_are_not_reset_in_the_middle_of_a_message() {
    let offered = |config: &mut AssociationConfig| {
        small(config);
        config.reconfig_mut().set_offered(true);
    };
    let mut pair = connected(Setup::single().config(offered));
    send_more(&mut pair, piece(1, b"half"), false).unwrap();
    let (now, assoc, host) = (pair.now(), pair.assoc(A), pair.hosts[A]);
    let stack = pair.world.stack(host);
    let all = stack.reset_streams(now, assoc, StreamDirections::Outgoing, &[]);
    assert_eq!(all, Err(ReconfigError::Unfinished));
    assert_eq!(stack.reset_association(now, assoc), Err(ReconfigError::Unfinished));
    send_more(&mut pair, piece(1, b"end"), true).unwrap();
    let stack = pair.world.stack(host);
    assert_eq!(stack.reset_streams(now, assoc, StreamDirections::Outgoing, &[]), Ok(()));
    pair.run(secs(5));
    assert_eq!(pair.hear_payloads(B).concat(), b"halfend");
    assert_eq!(pair.phase(A), Some(AssociationPhase::Established));
}

#[test]
fn rfc9260_9_2_what_a_reset_held_up_behind_a_message_without_end_fails_with_it() {
    for side in [A, B] {
        let offered = |config: &mut AssociationConfig| {
            small(config);
            config.reconfig_mut().set_offered(true);
            config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
        };
        let mut pair = connected(Setup::single().config(offered));
        pair.send(A, piece(0, b"before")).unwrap();
        let (now, assoc, host) = (pair.now(), pair.assoc(A), pair.hosts[A]);
        let stack = pair.world.stack(host);
        stack
            .reset_streams(now, assoc, StreamDirections::Outgoing, &[StreamId(0)])
            .unwrap();
        pair.send(A, piece(0, b"held up")).unwrap();
        send_more(&mut pair, piece(1, b"half"), false).unwrap();
        pair.shutdown(side);
        pair.run(secs(60));
        assert_eq!(pair.phase(A), None);
        let lost = |event: &Event| matches!(event, Event::CommunicationLost { .. });
        assert!(pair.reported(B, lost), "{:?}", pair.log[B]);
        let failed: Vec<_> = pair.failures(A).into_iter().map(|failure| failure.payload).collect();
        assert_eq!(failed, ["held up"]);
    }
}

#[test]
fn rfc9260_5_2_4_a_restart_of_the_peer_fails_the_message() {
    let mut pair = connected(Setup::single().config(interleaved));
    send_more(&mut pair, piece(1, b"half"), false).unwrap();
    pair.run(secs(1));
    pair.restart(B);
    pair.start(B);
    pair.run(secs(10));
    assert_eq!(send_more(&mut pair, piece(1, b"?"), true), Err(SendError::GivenUp));
    send_more(&mut pair, piece(1, b"new"), true).unwrap();
    pair.run(secs(2));
    assert_eq!(pair.hear_payloads(B), ["new"]);
}

/// Messages in pieces, some of which are given up, whole ones beside them, and a link that loses.
#[test]
fn messages_in_pieces_that_are_given_up_harm_no_others() {
    let mut given_up = 0;
    for seed in 0..30 {
        let config = if seed % 2 == 0 { small } else { interleaved };
        let scheduler = [
            StreamScheduler::FirstComeFirstServed,
            StreamScheduler::Priority,
            StreamScheduler::FairCapacity,
        ][usize::try_from(seed % 3).unwrap()];
        let setup = Setup::single()
            .config(config)
            .config(move |config| config.set_stream_scheduler(scheduler))
            .link(&bad(0.1))
            .seed(seed);
        let mut pair = connected(setup);
        let mut random = sctp::random::Random::new([u8::try_from(seed).unwrap(); 32]);
        // Of each stream: the number of the message that is open, and how many pieces it has.
        let mut open: [Option<(u8, Reliability, bool)>; 4] = [None; 4];
        let mut number = 0_u8;
        let mut reliable = Vec::new();
        let mut heard = Heard::default();
        let mut taken = 0_u32;
        for _ in 0..600 {
            let stream = u16::try_from(random.u32() % 4).unwrap();
            let slot = usize::from(stream);
            let length = usize::try_from(random.u32() % 2500 + 1).unwrap();
            let (name, reliability, unordered) = open[slot].unwrap_or_else(|| {
                number = number.wrapping_add(1);
                let reliability = match random.u32() % 4 {
                    0 => Reliability::Timed(ms(u64::from(random.u32() % 300))),
                    1 => Reliability::Retransmissions(u16::try_from(random.u32() % 2).unwrap()),
                    _ => Reliability::Reliable,
                };
                (number, reliability, random.u32().is_multiple_of(3))
            });
            let end = random.u32().is_multiple_of(3);
            let message = OutMessage {
                reliability,
                unordered,
                ..piece(stream, &vec![name; length])
            };
            match send_more(&mut pair, message, end) {
                Ok(()) => {
                    taken += 1;
                    open[slot] = (!end).then_some((name, reliability, unordered));
                    if end && reliability == Reliability::Reliable {
                        reliable.push((stream, name));
                    }
                }
                Err(SendError::GivenUp) => {
                    given_up += 1;
                    open[slot] = None;
                }
                Err(SendError::WouldBlock | SendError::Unfinished) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
            assert!(pair.status(A).unwrap().buffered_bytes <= BUFFER as usize);
            if random.u32().is_multiple_of(2) {
                pair.run(ms(u64::from(random.u32() % 200)));
            }
            heard.listen(pair.hear(B));
        }
        for (slot, open) in open.iter().enumerate() {
            let Some((name, reliability, _)) = *open else { continue };
            let stream = u16::try_from(slot).unwrap();
            pair.must("there is room for the end", secs(600), |pair| {
                heard.listen(pair.hear(B));
                send_more(pair, piece(stream, &[name; 10]), true) != Err(SendError::WouldBlock)
            });
            if reliability == Reliability::Reliable {
                reliable.push((stream, name));
            }
        }
        for _ in 0..60 {
            pair.run(secs(5));
            heard.listen(pair.hear(B));
        }
        assert!(taken > 50, "seed {seed}: {taken}");
        pair.assert_idle();
        for expected in reliable {
            let found = heard
                .whole
                .iter()
                .filter(|(stream, bytes)| (*stream, bytes[0]) == expected);
            assert!(found.count() > 0, "seed {seed}: {expected:?} is missing");
        }
        for (_, bytes) in &heard.whole {
            assert!(
                bytes.iter().all(|byte| *byte == bytes[0]),
                "seed {seed}: messages are mixed"
            );
        }
    }
    assert!(given_up > 20, "{given_up}");
}

impl Heard {
    /// Takes pieces of messages of which some have no end.
    fn listen(&mut self, pieces: Vec<Received>) {
        for received in pieces {
            if received.end_of_message {
                self.whole.push((received.stream.0, received.payload.to_vec()));
            }
        }
    }
}
