//! Stream re-configuration between two stacks (RFC 6525): what the users on both sides see.

mod common;

use bytes::Bytes;
use sctp::config::ReconfigRequests;
use sctp::error::{ReconfigError, SendError};
use sctp::serial::{Ppid, StreamId, Tsn};
use sctp::sim::Verdict;
use sctp::wire::ChunkType;
use sctp::{Event, OutMessage, ReconfigOutcome, StreamDirection, StreamDirections};

use ReconfigOutcome::{Denied, Failed, Performed};
use StreamDirection::{Incoming, Outgoing};
use common::{A, B, Flow, Pair, Setup, connected, lose, ms, secs, wire};

fn willing(setup: Setup) -> Setup {
    setup.config(|config| config.reconfig_mut().set_accepted(ReconfigRequests::ALL))
}

fn pair() -> Pair {
    connected(willing(Setup::single()))
}

fn reset(pair: &mut Pair, side: usize, directions: StreamDirections, streams: &[u16]) -> Result<(), ReconfigError> {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    let streams: Vec<StreamId> = streams.iter().map(|&id| StreamId(id)).collect();
    let stack = pair.world.stack(pair.hosts[side]);
    stack.reset_streams(now, assoc, directions, &streams)
}

fn reset_all(pair: &mut Pair, side: usize) -> Result<(), ReconfigError> {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    pair.world.stack(pair.hosts[side]).reset_association(now, assoc)
}

fn add(pair: &mut Pair, side: usize, outbound: u16, inbound: u16) -> Result<(), ReconfigError> {
    let (now, assoc) = (pair.now(), pair.assoc(side));
    let stack = pair.world.stack(pair.hosts[side]);
    stack.add_streams(now, assoc, outbound, inbound)
}

/// What a side was told of re-configurations.
fn told(pair: &Pair, side: usize) -> Vec<Event> {
    let is = |event: &Event| {
        matches!(
            event,
            Event::StreamReset { .. } | Event::AssociationReset { .. } | Event::StreamChange { .. }
        )
    };
    let events = pair.log[side].iter().map(|(_, event)| event.clone());
    events.filter(is).collect()
}

fn stream_reset(direction: StreamDirection, streams: &[u16], outcome: ReconfigOutcome) -> Event {
    Event::StreamReset {
        direction,
        streams: streams.iter().map(|&id| StreamId(id)).collect(),
        outcome,
    }
}

fn change(inbound_streams: u16, outbound_streams: u16, outcome: ReconfigOutcome) -> Event {
    Event::StreamChange {
        inbound_streams,
        outbound_streams,
        outcome,
    }
}

/// Stream, number and payload of what a side has received.
fn numbered(pair: &mut Pair, side: usize) -> Vec<(u16, u16, Bytes)> {
    let received = pair.hear(side).into_iter();
    received
        .map(|message| (message.stream.0, message.ssn.0, message.payload))
        .collect()
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn rfc6525_5_2_2_an_outgoing_reset_begins_the_streams_at_zero_and_leaves_others() {
    let mut pair = pair();
    for stream in [1, 1, 2] {
        pair.say(A, stream, b"old");
    }
    reset(&mut pair, A, StreamDirections::Outgoing, &[1]).unwrap();
    // RFC 6525 §5.1.2 A1: what comes now waits for the answer, and has a new number.
    pair.say(A, 1, b"new");
    pair.say(A, 2, b"new");
    pair.run(secs(5));
    let old = [(1, 0, text("old")), (1, 1, text("old")), (2, 0, text("old"))];
    let heard = numbered(&mut pair, B);
    assert_eq!(heard[..3], old);
    assert!(heard.contains(&(1, 0, text("new"))) && heard.contains(&(2, 1, text("new"))));
    assert_eq!(told(&pair, A), [stream_reset(Outgoing, &[1], Performed)]);
    assert_eq!(told(&pair, B), [stream_reset(Incoming, &[1], Performed)]);
    pair.assert_idle();
}

#[test]
fn rfc6525_5_2_3_an_incoming_reset_lets_the_peer_begin_at_zero() {
    let mut pair = pair();
    for _ in 0..2 {
        pair.say(B, 3, b"old");
    }
    pair.run(secs(2));
    reset(&mut pair, A, StreamDirections::Incoming, &[3]).unwrap();
    pair.run(secs(2));
    pair.say(B, 3, b"new");
    pair.run(secs(2));
    let expected = [(3, 0, text("old")), (3, 1, text("old")), (3, 0, text("new"))];
    assert_eq!(numbered(&mut pair, A), expected);
    assert_eq!(told(&pair, A), [stream_reset(Incoming, &[3], Performed)]);
    assert_eq!(told(&pair, B), [stream_reset(Outgoing, &[3], Performed)]);
}

#[test]
fn rfc6525_3_1_both_directions_go_into_one_chunk() {
    let mut pair = pair();
    for side in [A, B] {
        pair.say(side, 0, b"old");
    }
    pair.run(secs(2));
    reset(&mut pair, A, StreamDirections::Both, &[]).unwrap();
    pair.run(secs(5));
    for side in [A, B] {
        pair.say(side, 0, b"new");
    }
    pair.run(secs(2));
    for side in [A, B] {
        let heard = numbered(&mut pair, side);
        assert_eq!(heard, [(0, 0, text("old")), (0, 0, text("new"))]);
        let mut told = told(&pair, side);
        told.sort_by_key(|event| format!("{event:?}"));
        let both = [
            stream_reset(Incoming, &[], Performed),
            stream_reset(Outgoing, &[], Performed),
        ];
        assert_eq!(told, both);
    }
    assert_eq!(
        pair.status(A).unwrap().stats.reconfigs_sent,
        2,
        "the request, and the answer"
    );
}

#[test]
fn rfc6525_5_2_4_a_reset_of_everything_begins_all_numbers_anew_and_loses_nothing() {
    let mut pair = pair();
    for n in 0..40 {
        pair.say(A, n % 3, b"from a");
        pair.say(B, n % 3, b"from b");
    }
    // Both sides have much on the way: the peer is given time to have it acknowledged.
    pair.run(ms(15));
    reset_all(&mut pair, A).unwrap();
    pair.say(A, 0, b"after");
    pair.run(secs(10));
    pair.say(B, 0, b"after");
    pair.run(secs(2));
    for side in [A, B] {
        let heard = numbered(&mut pair, side);
        assert_eq!(heard.len(), 41);
        assert_eq!(heard[40].2, text("after"));
        assert!(matches!(
            told(&pair, side)[..],
            [Event::AssociationReset { outcome: Performed, .. }]
        ));
    }
    let numbers = |side: usize| match told(&pair, side)[0] {
        Event::AssociationReset {
            local_tsn, remote_tsn, ..
        } => (local_tsn, remote_tsn),
        _ => (Tsn(0), Tsn(0)),
    };
    let ((a, of_b), (b, of_a)) = (numbers(A), numbers(B));
    assert_eq!((a, b), (of_a, of_b));
    // RFC 6525 §5.2.4 G1: half of the space ahead.
    let sent = pair.sent(A);
    let tsns: Vec<Tsn> = common::data_chunks(&sent).iter().map(|data| data.tsn).collect();
    let after = tsns.iter().position(|tsn| *tsn == a).expect("the first new number");
    assert_eq!(a.steps_from(tsns[after - 1]), (1 << 31) + 1);
    pair.assert_idle();
    assert_eq!(reset_all(&mut pair, A), Err(ReconfigError::TooSoon));
    pair.run(secs(30));
    reset_all(&mut pair, A).unwrap();
    pair.run(secs(2));
    assert_eq!(told(&pair, B).len(), 2);
}

#[test]
fn rfc6525_5_2_5_outgoing_streams_are_added_and_used_only_after_the_answer() {
    let mut pair = pair();
    add(&mut pair, A, 3, 0).unwrap();
    let early = pair.send(A, OutMessage::new(StreamId(10), Ppid(0), text("early")));
    assert_eq!(early, Err(SendError::InvalidStream));
    pair.run(secs(1));
    assert_eq!(told(&pair, A), [change(10, 13, Performed)]);
    assert_eq!(told(&pair, B), [change(13, 10, Performed)]);
    pair.say(A, 12, b"new");
    pair.run(secs(1));
    assert_eq!(numbered(&mut pair, B), [(12, 0, text("new"))]);
    let beyond = pair.send(A, OutMessage::new(StreamId(13), Ppid(0), text("none")));
    assert_eq!(beyond, Err(SendError::InvalidStream));
}

#[test]
fn rfc6525_5_2_6_incoming_streams_are_added_by_the_peers_own_request() {
    let mut pair = pair();
    add(&mut pair, A, 0, 2).unwrap();
    pair.run(secs(1));
    assert_eq!(told(&pair, A), [change(12, 10, Performed)]);
    assert_eq!(told(&pair, B), [change(10, 12, Performed)]);
    pair.say(B, 11, b"new");
    add(&mut pair, B, 1, 1).unwrap();
    pair.run(secs(2));
    assert_eq!(numbered(&mut pair, A), [(11, 0, text("new"))]);
    let counts = |side| {
        let status = pair.status(side).unwrap();
        (status.inbound_streams, status.outbound_streams)
    };
    assert_eq!((counts(A), counts(B)), ((13, 11), (11, 13)));
}

#[test]
fn rfc6525_6_3_1_what_is_not_enabled_is_denied_by_kind() {
    let kinds = [
        ReconfigRequests {
            reset_streams: false,
            ..ReconfigRequests::ALL
        },
        ReconfigRequests {
            reset_association: false,
            ..ReconfigRequests::ALL
        },
        ReconfigRequests {
            add_streams: false,
            ..ReconfigRequests::ALL
        },
    ];
    for (without, accepted) in kinds.into_iter().enumerate() {
        let setup = Setup::single().config_of(B, |config| config.reconfig_mut().set_accepted(accepted));
        let mut pair = connected(setup);
        pair.say(A, 0, b"x");
        pair.say(B, 0, b"x");
        pair.run(secs(1));
        for step in 0..5 {
            match step {
                0 => reset(&mut pair, A, StreamDirections::Outgoing, &[0]),
                1 => reset(&mut pair, A, StreamDirections::Incoming, &[0]),
                2 => reset_all(&mut pair, A),
                3 => add(&mut pair, A, 1, 0),
                _ => add(&mut pair, A, 0, 1),
            }
            .unwrap();
            pair.run(secs(2));
            let outcome = match told(&pair, A).pop() {
                Some(
                    Event::StreamReset { outcome, .. }
                    | Event::AssociationReset { outcome, .. }
                    | Event::StreamChange { outcome, .. },
                ) => outcome,
                other => panic!("{other:?}"),
            };
            let kind = [0, 0, 1, 2, 2][step];
            assert_eq!(
                outcome,
                if kind == without { Denied } else { Performed },
                "{step} without {without}"
            );
            pair.say(A, 0, b"goes on");
            pair.run(secs(1));
            assert_eq!(pair.hear_payloads(B).last().unwrap(), "goes on");
        }
    }
}

#[test]
fn rfc6525_6_3_1_requests_are_allowed_and_denied_while_the_association_lives() {
    let mut pair = connected(Setup::single());
    add(&mut pair, A, 1, 0).unwrap();
    pair.run(secs(1));
    let (host, assoc) = (pair.hosts[B], pair.assoc(B));
    pair.world
        .stack(host)
        .accept_reconfig(assoc, ReconfigRequests::ALL)
        .unwrap();
    add(&mut pair, A, 1, 0).unwrap();
    pair.run(secs(1));
    assert_eq!(told(&pair, A), [change(10, 10, Denied), change(10, 11, Performed)]);
}

#[test]
fn rfc6525_5_1_1_a_peer_without_it_is_not_asked() {
    for without in [A, B] {
        let mut pair = connected(Setup::single().config_of(without, |config| config.reconfig_mut().set_offered(false)));
        assert!(!pair.status(A).unwrap().reconfiguration && !pair.status(B).unwrap().reconfiguration);
        assert_eq!(add(&mut pair, A, 1, 0), Err(ReconfigError::NotSupported));
        assert_eq!(reset_all(&mut pair, A), Err(ReconfigError::NotSupported));
        let none = reset(&mut pair, A, StreamDirections::Both, &[]);
        assert_eq!(none, Err(ReconfigError::NotSupported));
    }
    assert!(pair().status(A).unwrap().reconfiguration);
}

#[test]
fn rfc6525_6_3_what_makes_no_sense_is_refused_at_once() {
    let mut pair = willing(Setup::single()).build();
    pair.start(A);
    assert_eq!(add(&mut pair, A, 1, 0), Err(ReconfigError::NotEstablished));
    pair.must("up", secs(10), Pair::both_up);
    assert_eq!(add(&mut pair, A, 0, 0), Err(ReconfigError::Nothing));
    assert_eq!(add(&mut pair, A, u16::MAX, 0), Err(ReconfigError::TooManyStreams));
    assert_eq!(add(&mut pair, A, 0, 2039), Err(ReconfigError::TooManyStreams));
    for direction in [StreamDirections::Outgoing, StreamDirections::Incoming] {
        assert_eq!(
            reset(&mut pair, A, direction, &[3, 10]),
            Err(ReconfigError::InvalidStream)
        );
    }
    add(&mut pair, A, 2000, 0).unwrap();
    assert_eq!(add(&mut pair, A, 1, 0), Err(ReconfigError::InProgress));
    assert_eq!(reset_all(&mut pair, A), Err(ReconfigError::InProgress));
    pair.run(secs(1));
    let all: Vec<u16> = (0..2000).collect();
    assert_eq!(
        reset(&mut pair, A, StreamDirections::Outgoing, &all),
        Err(ReconfigError::ListTooLong)
    );
    reset(&mut pair, A, StreamDirections::Outgoing, &all[..500]).unwrap();
    pair.run(secs(1));
    assert_eq!(told(&pair, A).len(), 2);
}

#[test]
fn rfc6525_5_1_1_a_lost_request_and_a_lost_answer_are_repeated() {
    for (side, lost) in [(A, 3), (B, 3)] {
        let mut pair = pair();
        pair.say(A, 0, b"old");
        pair.run(secs(1));
        let own = pair.address(side, 0);
        let mut filter = lose(ChunkType::RE_CONFIG, lost);
        let link = pair.links[0];
        pair.world.set_filter(link, move |now, packet| {
            if packet.src == own {
                filter(now, packet)
            } else {
                Verdict::Pass
            }
        });
        reset(&mut pair, A, StreamDirections::Outgoing, &[0]).unwrap();
        pair.say(A, 0, b"new");
        pair.run(secs(25));
        assert_eq!(numbered(&mut pair, B), [(0, 0, text("old")), (0, 0, text("new"))]);
        assert_eq!(told(&pair, A), [stream_reset(Outgoing, &[0], Performed)]);
        assert_eq!(told(&pair, B), [stream_reset(Incoming, &[0], Performed)], "once");
        assert_eq!(pair.path(A, 0).error_count, 0);
    }
}

#[test]
fn rfc6525_5_1_1_a_request_without_an_answer_ends_the_association() {
    let setup = willing(Setup::single()).config(|config| {
        config.set_association_max_retrans(3);
        config.path_mut().set_heartbeat_interval(None).unwrap();
    });
    let mut pair = connected(setup);
    let link = pair.links[0];
    pair.world.set_filter(link, lose(ChunkType::RE_CONFIG, usize::MAX));
    reset(&mut pair, A, StreamDirections::Outgoing, &[0]).unwrap();
    pair.say(A, 0, b"held");
    pair.run(secs(60));
    assert_eq!(told(&pair, A), [stream_reset(Outgoing, &[0], Failed)]);
    assert_eq!(pair.failures(A).len(), 1);
    assert_eq!(pair.ends(A), 1);
}

/// Requests of all kinds in both directions while messages flow over a bad network. Each request has one outcome, no
/// message is lost or overtakes another one of its stream.
#[test]
fn rfc6525_whatever_is_lost_every_request_ends_and_no_message_is_lost() {
    for seed in 1..13 {
        let link = wire(ms(15)).loss(0.1).duplication(0.02).reordering(0.1, ms(20));
        let setup = if seed % 2 == 0 { Setup::single() } else { Setup::dual() };
        // What is queued goes before a reset, so the queue is short.
        let setup = setup.config(|config| config.set_send_buffer(20_000).unwrap());
        let mut pair = connected(willing(setup.link(&link).seed(seed)));
        let mut flows = [A, B].map(|side| {
            let flow = Flow::new(side, 1500).streams(7).sizes(&[20, 1200, 4000]);
            flow.unordered_every(seed % 4)
        });
        let mut asked = [0usize; 2];
        let mut turn = seed as usize;
        let mut next = pair.now();
        pair.must("everything arrives", secs(4000), |pair| {
            for flow in &mut flows {
                flow.pump(pair).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
            }
            if pair.now() >= next {
                next = pair.now() + ms(100);
                let side = (turn / 3) % 2;
                turn = (turn * 7 + 3) % 10_007;
                let streams = [turn as u16 % 10, turn as u16 % 7];
                let result = match turn % 11 {
                    0 => reset_all(pair, side).map(|()| 1),
                    1..5 => reset(pair, side, StreamDirections::Outgoing, &streams).map(|()| 1),
                    5..7 => reset(pair, side, StreamDirections::Incoming, &streams).map(|()| 1),
                    7 => reset(pair, side, StreamDirections::Both, &[]).map(|()| 2),
                    8 => add(pair, side, 1, 0).map(|()| 1),
                    9 => add(pair, side, 0, 1).map(|()| 1),
                    _ => add(pair, side, 1, 1).map(|()| 2),
                };
                asked[side] += result.unwrap_or(0);
            }
            flows.iter().all(Flow::is_complete)
        });
        pair.run(secs(200));
        pair.assert_idle();
        let told = [told(&pair, A), told(&pair, B)];
        let all = asked[A] + asked[B];
        assert!(asked[A] > 4 && asked[B] > 4, "seed {seed}: {asked:?}");
        // What is carried out is told to both.
        let performed = told
            .iter()
            .flatten()
            .filter(|event| format!("{event:?}").contains("Performed"));
        assert!(performed.count() > all / 3, "seed {seed}: {told:?}");
        for side in [A, B] {
            assert!(told[side].len() >= asked[side], "seed {seed}: {asked:?} {told:?}");
            assert!(told[side].len() <= all, "seed {seed}: {asked:?} {told:?}");
        }
        let streams = |side| {
            let status = pair.status(side).unwrap();
            (status.outbound_streams, status.inbound_streams)
        };
        assert_eq!(streams(A), (streams(B).1, streams(B).0));
        pair.shutdown(A);
        pair.must("both ends close", secs(500), |pair| pair.ends(A) + pair.ends(B) == 2);
    }
}
