//! I-DATA and I-FORWARD-TSN (RFC 8260 §2.2.3, §2.3.1), fragment by fragment.

use super::{check_invariants, sack};
use crate::recv::*;
use crate::serial::{Fsn, Mid};
use crate::wire::{Fragment, SkippedMessage};

fn inbound_with(forward_tsn: bool) -> Inbound {
    Inbound::new(
        Tsn(1),
        InboundConfig {
            forward_tsn,
            interleaving: true,
            fragment_interleave: FragmentInterleave::Streams,
            ..super::CONFIG
        },
    )
}

fn inbound() -> Inbound {
    inbound_with(false)
}

/// A fragment of an ordered message: `fsn` is `None` for the first one.
fn part(tsn: u32, stream: u16, mid: u32, fsn: Option<u32>, ending: bool, payload: &[u8]) -> IDataFragment {
    IDataFragment {
        tsn: Tsn(tsn),
        stream: StreamId(stream),
        mid: Mid(mid),
        fragment: fsn.map_or(Fragment::First(Ppid(7)), |fsn| Fragment::Later(Fsn(fsn))),
        unordered: false,
        ending,
        immediate: false,
        payload: Bytes::copy_from_slice(payload),
    }
}

fn whole(tsn: u32, stream: u16, mid: u32, payload: &[u8]) -> IDataFragment {
    part(tsn, stream, mid, None, true, payload)
}

fn unordered(fragment: IDataFragment) -> IDataFragment {
    IDataFragment {
        unordered: true,
        ..fragment
    }
}

fn accept(inbound: &mut Inbound, fragments: impl IntoIterator<Item = IDataFragment>) {
    for fragment in fragments {
        assert_eq!(inbound.on_i_data(fragment), Ok(DataOutcome::Accepted));
        check_invariants(inbound);
    }
    inbound.on_packet_end(Instant::ZERO);
}

fn texts(inbound: &mut Inbound) -> Vec<String> {
    std::iter::from_fn(|| inbound.recv())
        .map(|received| String::from_utf8(received.payload.to_vec()).unwrap())
        .collect()
}

fn skip(inbound: &mut Inbound, tsn: u32, entries: &[(u16, bool, u32)]) -> ForwardOutcome {
    let entries = entries.iter().map(|&(stream, unordered, mid)| SkippedMessage {
        stream: StreamId(stream),
        unordered,
        mid: Mid(mid),
    });
    let outcome = inbound.on_i_forward_tsn(Tsn(tsn), entries);
    check_invariants(inbound);
    inbound.on_packet_end(Instant::ZERO);
    outcome
}

#[test]
fn rfc8260_2_2_3_messages_of_several_streams_are_put_together_at_once() {
    let mut inbound = inbound();
    accept(
        &mut inbound,
        [
            part(1, 0, 0, None, false, b"a"),
            part(2, 1, 0, None, false, b"1"),
            part(3, 0, 0, Some(1), false, b"b"),
            unordered(part(4, 0, 0, None, false, b"x")),
            part(5, 1, 0, Some(1), true, b"2"),
            part(6, 0, 0, Some(2), true, b"c"),
            unordered(part(7, 0, 0, Some(1), true, b"y")),
        ],
    );
    let received: Vec<Received> = std::iter::from_fn(|| inbound.recv()).collect();
    let texts: Vec<&[u8]> = received.iter().map(|received| &received.payload[..]).collect();
    assert_eq!(texts, [&b"12"[..], b"abc", b"xy"]);
    assert_eq!(received[2].mid, Some(Mid(0)));
    assert!(received[2].unordered && received[2].end_of_message && received[2].tsn == Tsn(4));
    assert_eq!(received[2].ppid, Ppid(7));
}

#[test]
fn rfc8260_2_1_ordered_messages_are_delivered_by_their_mids_over_the_wrap() {
    let mut inbound = inbound_with(true);
    assert_eq!(
        skip(&mut inbound, 1, &[(3, false, 0x7fff_ffff)]),
        ForwardOutcome::Moved { cut: false }
    );
    assert_eq!(
        skip(&mut inbound, 2, &[(3, false, 0xffff_fffd)]),
        ForwardOutcome::Moved { cut: false }
    );
    accept(
        &mut inbound,
        [
            whole(3, 3, 1, b"d"),
            whole(4, 3, 0xffff_ffff, b"b"),
            whole(5, 3, 0, b"c"),
        ],
    );
    assert!(texts(&mut inbound).is_empty());
    accept(&mut inbound, [whole(6, 3, 0xffff_fffe, b"a")]);
    let received: Vec<Received> = std::iter::from_fn(|| inbound.recv()).collect();
    let numbers: Vec<(Option<Mid>, Ssn)> = received.iter().map(|received| (received.mid, received.ssn)).collect();
    let expected = [0xffff_fffe, 0xffff_ffff, 0, 1].map(|mid| (Some(Mid(mid)), Ssn(mid as u16)));
    assert_eq!(numbers, expected);
}

fn is_violation(before: impl IntoIterator<Item = IDataFragment>, last: IDataFragment) {
    let mut inbound = inbound();
    accept(&mut inbound, before);
    assert_eq!(inbound.on_i_data(last), Err(Violation::InconsistentFragments));
}

#[test]
fn fragments_that_contradict_each_other_are_found() {
    let first = |tsn| part(tsn, 0, 0, None, false, b"a");
    // Two with the same number, delivered or not.
    is_violation(
        [first(1), part(2, 0, 0, Some(1), false, b"b")],
        part(3, 0, 0, Some(1), false, b"b"),
    );
    is_violation(
        [part(2, 0, 0, Some(5), false, b"b")],
        part(3, 0, 0, Some(5), false, b"b"),
    );
    // Two first ones, two last ones, and something behind the last one.
    is_violation([first(1)], first(2));
    is_violation([first(2)], first(3));
    is_violation([part(2, 0, 0, Some(5), true, b"b")], part(3, 0, 0, Some(4), true, b"b"));
    is_violation(
        [part(2, 0, 0, Some(5), true, b"b")],
        part(3, 0, 0, Some(6), false, b"b"),
    );
    is_violation(
        [part(2, 0, 0, Some(5), false, b"b")],
        part(3, 0, 0, Some(4), true, b"b"),
    );
    // A message that was delivered, or is complete and waits.
    is_violation([whole(1, 0, 0, b"a")], whole(2, 0, 0, b"a"));
    // What lies more than half of the numbers ahead lies behind.
    let begun = [first(1), part(2, 0, 0, Some(1), false, b"b")];
    is_violation(begun, part(3, 0, 0, Some(0x8000_0002), false, b"c"));
    is_violation([whole(1, 0, 0, b"a")], part(2, 0, 0, Some(1), true, b"a"));
    is_violation([whole(1, 0, 5, b"a")], whole(2, 0, 5, b"a"));
    is_violation([unordered(first(2))], unordered(whole(3, 0, 0, b"a")));
}

// How the peer counts.

#[test]
fn fragments_may_be_counted_from_zero_after_the_first() {
    let mut inbound = inbound();
    accept(
        &mut inbound,
        [
            part(1, 0, 0, None, false, b"a"),
            part(2, 0, 0, Some(0), false, b"b"),
            part(3, 0, 0, Some(1), true, b"c"),
        ],
    );
    assert!(inbound.peer_counts_from_zero());
    assert_eq!(texts(&mut inbound), ["abc"]);
    // From now on 1 and the end are not all.
    accept(
        &mut inbound,
        [part(4, 0, 1, None, false, b"d"), part(6, 0, 1, Some(1), true, b"f")],
    );
    assert!(texts(&mut inbound).is_empty());
    accept(&mut inbound, [part(5, 0, 1, Some(0), false, b"e")]);
    assert_eq!(texts(&mut inbound), ["def"]);
}

#[test]
fn a_message_is_not_delivered_while_a_fragment_zero_may_be_missing() {
    let mut inbound = inbound();
    accept(
        &mut inbound,
        [part(1, 0, 0, None, false, b"a"), part(3, 0, 0, Some(1), true, b"c")],
    );
    assert!(texts(&mut inbound).is_empty(), "TSN 2 may be fragment 0");
    let mut other = self::inbound();
    accept(
        &mut other,
        [part(1, 0, 0, None, false, b"a"), part(3, 0, 0, Some(1), true, b"c")],
    );

    // It is.
    accept(&mut inbound, [part(2, 0, 0, Some(0), false, b"b")]);
    assert_eq!(texts(&mut inbound), ["abc"]);
    assert!(inbound.peer_counts_from_zero());

    // It is not.
    accept(&mut other, [whole(2, 5, 0, b"x")]);
    assert_eq!(texts(&mut other), ["x", "ac"]);
    assert!(!other.peer_counts_from_zero());
    // It is known now, even behind a gap.
    accept(
        &mut other,
        [part(5, 0, 1, None, false, b"d"), part(7, 0, 1, Some(1), true, b"e")],
    );
    assert_eq!(texts(&mut other), ["de"]);
    let zero = part(8, 0, 2, Some(0), false, b"z");
    assert_eq!(other.on_i_data(zero), Err(Violation::InconsistentFragments));
}

#[test]
fn the_next_tsn_shows_that_no_fragment_zero_is_missing() {
    let mut inbound = inbound();
    accept(
        &mut inbound,
        [
            part(5, 1, 0, Some(2), true, b"c"),
            part(4, 1, 0, Some(1), false, b"b"),
            part(3, 1, 0, None, false, b"a"),
        ],
    );
    assert_eq!(texts(&mut inbound), ["abc"]);
}

#[test]
fn what_was_dropped_shows_nothing() {
    let mut inbound = inbound_with(true);
    accept(
        &mut inbound,
        [part(1, 0, 0, None, false, b"a"), part(3, 0, 0, Some(1), true, b"c")],
    );
    // TSN 2, maybe fragment 0, is given up with the message.
    skip(&mut inbound, 2, &[(0, false, 0)]);
    accept(
        &mut inbound,
        [part(4, 0, 1, None, false, b"d"), part(6, 0, 1, Some(1), true, b"f")],
    );
    assert!(texts(&mut inbound).is_empty());
    accept(&mut inbound, [part(5, 0, 1, Some(0), false, b"e")]);
    assert_eq!(texts(&mut inbound), ["def"]);
}

// I-FORWARD-TSN.

#[test]
fn rfc8260_2_3_1_skipped_messages_release_what_waits_behind_them() {
    let mut inbound = inbound_with(true);
    accept(
        &mut inbound,
        [
            whole(2, 0, 1, b"b"),
            part(3, 0, 2, None, false, b"never"),
            whole(5, 0, 3, b"d"),
            unordered(part(6, 0, 4, None, false, b"never")),
            unordered(part(8, 0, 5, None, false, b"x")),
        ],
    );
    assert!(!inbound.readable());
    assert_eq!(
        skip(&mut inbound, 7, &[(0, false, 2), (0, true, 4)]),
        ForwardOutcome::Moved { cut: false }
    );
    assert_eq!(texts(&mut inbound), ["b", "d"]);
    assert_eq!(sack(&mut inbound).0.cumulative_tsn_ack, Tsn(8));
    assert_eq!(inbound.buffered_bytes(), 1);
    accept(&mut inbound, [unordered(part(9, 0, 5, Some(1), true, b"y"))]);
    assert_eq!(texts(&mut inbound), ["xy"]);
    assert_eq!(skip(&mut inbound, 9, &[(0, false, 100)]), ForwardOutcome::OutOfDate);
}

#[test]
fn rfc8260_2_3_1_what_comes_late_of_a_skipped_message_is_not_kept() {
    let mut inbound = inbound_with(true);
    skip(&mut inbound, 1, &[(0, false, 0), (0, true, 0)]);
    accept(
        &mut inbound,
        [
            part(3, 0, 0, Some(1), false, b"late"),
            unordered(part(4, 0, 0, Some(1), true, b"late")),
        ],
    );
    accept(
        &mut inbound,
        [whole(2, 0, 1, b"next"), unordered(whole(5, 0, 1, b"next"))],
    );
    assert_eq!(texts(&mut inbound), ["next", "next"]);
    assert_eq!(
        (inbound.buffered_bytes(), sack(&mut inbound).0.cumulative_tsn_ack),
        (0, Tsn(5))
    );
}

#[test]
fn rfc8260_2_3_1_a_partial_delivery_of_one_stream_ends_and_others_go_on() {
    let mut inbound = inbound_with(true);
    let half = vec![9; 40_000];
    accept(
        &mut inbound,
        [part(1, 0, 0, None, false, &half), part(2, 1, 0, None, false, &half)],
    );
    let pieces = [inbound.recv().unwrap(), inbound.recv().unwrap()];
    assert!(pieces.iter().all(|piece| !piece.end_of_message));
    assert_eq!(
        skip(&mut inbound, 3, &[(0, false, 0)]),
        ForwardOutcome::Moved { cut: true }
    );
    let cut = inbound.take_cut();
    assert_eq!((cut.len(), cut[0].stream, cut[0].tsn), (1, StreamId(0), Tsn(1)));
    accept(
        &mut inbound,
        [whole(4, 0, 1, b"next"), part(5, 1, 0, Some(1), true, b"end")],
    );
    assert_eq!(texts(&mut inbound), ["next", "end"]);
}

#[test]
fn rfc8260_2_3_1_lists_that_a_peer_makes_up_are_survived() {
    let mut inbound = inbound_with(true);
    accept(
        &mut inbound,
        (0..300).map(|n| unordered(part(2 * n + 2, 0, n, None, false, b"x"))),
    );
    let entries: Vec<(u16, bool, u32)> = (0..20_000u32)
        .map(|n| (n as u16, n % 3 == 0, n.wrapping_mul(0x9e37_79b9)))
        .collect();
    skip(&mut inbound, 0x7fff_0000, &entries);
    skip(&mut inbound, 0xfffe_0000, &entries);
    accept(&mut inbound, [unordered(whole(0xfffe_0001, 9, 0, b"y"))]);
}

// Partial delivery.

#[test]
fn rfc6458_8_1_20_several_messages_are_delivered_in_pieces_and_nothing_of_a_stream_comes_between() {
    let mut inbound = inbound();
    let half = vec![b'l'; 40_000];
    accept(
        &mut inbound,
        [part(1, 0, 0, None, false, &half), part(2, 1, 0, None, false, &half)],
    );
    assert_eq!(texts(&mut inbound).len(), 2);
    accept(
        &mut inbound,
        [
            part(3, 0, 0, Some(1), false, b"piece"),
            part(4, 1, 0, Some(1), false, b"of 1"),
            unordered(whole(5, 0, 0, b"behind 0")),
            whole(6, 2, 0, b"beside"),
            unordered(whole(7, 1, 0, b"behind 1")),
        ],
    );
    assert_eq!(texts(&mut inbound), ["beside", "of 1", "piece"]);
    accept(&mut inbound, [part(8, 1, 0, Some(2), true, b"end of 1")]);
    assert_eq!(texts(&mut inbound), ["end of 1", "behind 1"]);
    accept(
        &mut inbound,
        [part(9, 0, 0, Some(2), true, b"end of 0"), whole(10, 0, 1, b"next")],
    );
    assert_eq!(texts(&mut inbound), ["end of 0", "behind 0", "next"]);
    assert!(!inbound.is_partial());
}

#[test]
fn a_full_buffer_of_unfinished_messages_is_delivered_in_pieces() {
    let mut inbound = inbound();
    let mut tsn = 0;
    let mut heard = 0;
    // Many streams, none of which has a large message.
    for fsn in 0..40 {
        for stream in 0..10 {
            tsn += 1;
            let fsn = (fsn > 0).then_some(fsn);
            accept(&mut inbound, [part(tsn, stream, 0, fsn, fsn == Some(39), &[1; 1000])]);
            while let Some(piece) = inbound.recv() {
                heard += piece.payload.len();
            }
        }
    }
    assert_eq!(heard, 400_000);
    assert_eq!(inbound.buffered_bytes(), 0);
}

#[test]
fn a_flood_of_messages_that_never_end_is_bounded_by_the_window() {
    let mut inbound = inbound();
    let mut taken = 0;
    for n in 0..20_000_u32 {
        // No first fragment, so that nothing can be delivered.
        let fragment = unordered(part(n + 2, (n % 10) as u16, n, Some(7), false, b"x"));
        taken += u32::from(inbound.on_i_data(fragment) == Ok(DataOutcome::Accepted));
    }
    check_invariants(&inbound);
    assert!(taken < 2 * 65_536 / 128 + 2, "{taken}");
    // The first missing TSN gets through, and what it takes the place of is not acknowledged any more.
    accept(&mut inbound, [whole(1, 0, 0, &[1; 1000])]);
    assert!(inbound.recv().is_some());
}

// With DATA.

#[test]
fn rfc6458_8_1_20_level_2_lets_other_streams_pass_a_message_in_pieces() {
    for (level, expected) in [
        (FragmentInterleave::Nothing, [(0, 40_000), (0, 4), (1, 6), (0, 5)]),
        (FragmentInterleave::Associations, [(0, 40_000), (0, 4), (1, 6), (0, 5)]),
        (FragmentInterleave::Streams, [(0, 40_000), (1, 6), (0, 4), (0, 5)]),
    ] {
        let mut inbound = Inbound::new(
            Tsn(1),
            InboundConfig {
                fragment_interleave: level,
                ..super::CONFIG
            },
        );
        let large = DataFragment {
            ending: false,
            ..super::data(1, 0, 0, &[7; 40_000])
        };
        let end = DataFragment {
            beginning: false,
            ..super::data(2, 0, 0, b"last")
        };
        for fragment in [
            large,
            super::data(3, 1, 0, b"beside"),
            super::data(4, 0, 1, b"after"),
            end,
        ] {
            assert_eq!(inbound.on_data(fragment), Ok(DataOutcome::Accepted));
            check_invariants(&inbound);
        }
        let received: Vec<(u16, usize)> = std::iter::from_fn(|| inbound.recv())
            .map(|received| (received.stream.0, received.payload.len()))
            .collect();
        assert_eq!(received, expected, "{level:?}");
    }
}

#[test]
fn rfc8260_2_3_1_unordered_messages_far_behind_what_was_given_up_are_new() {
    let mut inbound = inbound_with(true);
    skip(&mut inbound, 1, &[(3, true, 5)]);
    // Over the half of the numbers behind which 5 would be ahead again, and over the wrap.
    for step in 0..9_u32 {
        let mid = 6_u32.wrapping_add(step << 29);
        accept(&mut inbound, [unordered(whole(2 + step, 3, mid, b"x"))]);
        assert_eq!(texts(&mut inbound), ["x"], "{mid}");
    }
    // What is just behind is still known.
    skip(&mut inbound, 11, &[(3, true, 7)]);
    accept(&mut inbound, [unordered(whole(12, 3, 7, b"late"))]);
    assert!(texts(&mut inbound).is_empty());
}
