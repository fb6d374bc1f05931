//! Reassembly, order, partial delivery.

use super::{CONFIG, data, fragments, inbound, sack};
use crate::recv::*;

/// A fragment of a message: its B and E bits as in RFC 9260 §3.3.1 table 4.
fn part(tsn: u32, ssn: u16, bits: &str) -> DataFragment {
    DataFragment {
        beginning: bits.starts_with('1'),
        ending: bits.ends_with('1'),
        ..data(tsn, 0, ssn, &[b'0' + (tsn % 10) as u8])
    }
}

fn texts(inbound: &mut Inbound) -> Vec<String> {
    std::iter::from_fn(|| inbound.recv())
        .map(|received| String::from_utf8(received.payload.to_vec()).unwrap())
        .collect()
}

fn accept(inbound: &mut Inbound, chunks: impl IntoIterator<Item = DataFragment>) {
    for chunk in chunks {
        assert_eq!(inbound.on_data(chunk), Ok(DataOutcome::Accepted));
    }
}

fn refuse(inbound: &mut Inbound, chunk: DataFragment) {
    assert_eq!(inbound.on_data(chunk), Err(Violation::InconsistentFragments));
}

#[test]
fn rfc9260_6_9_a_message_is_complete_when_its_last_fragment_is_there() {
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let mut inbound = inbound();
        for (n, tsn) in order.into_iter().enumerate() {
            assert_eq!(texts(&mut inbound), [""; 0], "after {n} of {order:?}");
            accept(&mut inbound, [part(tsn, 0, ["10", "00", "01"][tsn as usize - 1])]);
        }
        assert_eq!(texts(&mut inbound), ["123"]);
    }
}

#[test]
fn rfc9260_6_6_ordered_messages_wait_for_their_turn_in_their_stream_only() {
    let mut inbound = inbound();
    accept(
        &mut inbound,
        [data(2, 0, 1, b"b"), data(3, 0, 2, b"c"), data(4, 1, 0, b"other")],
    );
    assert_eq!(texts(&mut inbound), ["other"]);
    accept(&mut inbound, [data(1, 0, 0, b"a")]);
    assert_eq!(texts(&mut inbound), ["a", "b", "c"]);
}

#[test]
fn rfc9260_6_6_order_is_that_of_the_ssns_even_where_the_tsns_have_another() {
    let mut inbound = inbound();
    accept(
        &mut inbound,
        [data(1, 0, 2, b"c"), data(2, 0, 1, b"b"), data(3, 0, 0, b"a")],
    );
    assert_eq!(texts(&mut inbound), ["a", "b", "c"]);
}

#[test]
fn rfc9260_6_6_unordered_messages_pass_and_their_ssn_is_ignored() {
    let mut inbound = inbound();
    let mut chunks = [part(5, 9, "10"), part(6, 77, "01"), part(3, 9, "11")];
    for chunk in &mut chunks {
        chunk.unordered = true;
    }
    accept(&mut inbound, chunks);
    assert_eq!(texts(&mut inbound), ["56", "3"]);
    accept(&mut inbound, [data(1, 0, 0, b"a"), data(2, 0, 1, b"b")]);
    assert_eq!(texts(&mut inbound), ["a", "b"]);
}

#[test]
fn rfc9260_6_5_the_ssn_wraps() {
    let mut inbound = inbound();
    for n in 0..70_000u32 {
        accept(&mut inbound, [data(n + 1, 4, n as u16, b"x")]);
        assert_eq!(inbound.recv().unwrap().ssn, Ssn(n as u16));
    }
}

#[test]
fn more_than_half_of_the_ssn_space_may_wait() {
    let mut inbound = Inbound::new(
        Tsn(1),
        InboundConfig {
            receive_buffer: 1 << 24,
            ..CONFIG
        },
    );
    accept(
        &mut inbound,
        (1..50_000u32).rev().map(|n| data(n + 1, 0, n as u16, b"x")),
    );
    assert!(!inbound.readable());
    accept(&mut inbound, [data(1, 0, 0, b"x")]);
    assert_eq!(inbound.pending_messages(), 50_000);
    assert_eq!(texts(&mut inbound).len(), 50_000);
}

#[test]
fn an_ssn_that_was_delivered_or_waits_is_a_violation() {
    let mut inbound = inbound();
    accept(&mut inbound, [data(1, 0, 0, b"a")]);
    refuse(&mut inbound, data(2, 0, 0, b"again"));
    let mut inbound = super::inbound();
    accept(&mut inbound, [data(1, 0, 1, b"b")]);
    refuse(&mut inbound, data(2, 0, 1, b"again"));
}

/// A fragment by its TSN, its SSN and its B and E bits.
type Part = (u32, u16, &'static str);

#[test]
fn rfc9260_6_9_fragments_that_do_not_fit_together_are_violations() {
    let cases: &[(&[Part], Part, &str)] = &[
        // What came before, and what cannot be then.
        (&[], (1, 0, "00"), "nothing begins with a middle fragment"),
        (&[], (1, 0, "01"), "nothing begins with a last fragment"),
        (&[(1, 0, "10")], (2, 0, "10"), "a message begins in another"),
        (&[(1, 0, "10")], (2, 1, "11"), "a whole message in another"),
        (&[(1, 0, "11")], (2, 1, "00"), "a fragment after a whole message"),
        (
            &[(1, 0, "10"), (2, 0, "01")],
            (3, 0, "01"),
            "a fragment after the last one",
        ),
        (
            &[(3, 0, "01")],
            (4, 0, "00"),
            "a fragment after a last one, out of order",
        ),
        (&[(3, 0, "11")], (2, 0, "10"), "no last fragment before a whole message"),
        (&[(3, 0, "10")], (2, 0, "00"), "no last fragment before a first one"),
        (&[(3, 0, "00")], (2, 0, "01"), "a last fragment before a middle one"),
        (
            &[(3, 0, "00")],
            (2, 0, "11"),
            "a whole message before a middle fragment",
        ),
        (&[(1, 0, "10")], (2, 1, "00"), "another SSN"),
        (&[(3, 1, "01")], (2, 0, "10"), "another SSN, out of order"),
    ];
    for (before, (tsn, ssn, bits), what) in cases {
        let mut inbound = inbound();
        accept(
            &mut inbound,
            before.iter().map(|(tsn, ssn, bits)| part(*tsn, *ssn, bits)),
        );
        let outcome = inbound.on_data(part(*tsn, *ssn, bits));
        assert_eq!(outcome, Err(Violation::InconsistentFragments), "{what}");
    }
}

#[test]
fn rfc9260_6_9_fragments_of_one_message_agree_in_everything() {
    let changes: [fn(&mut DataFragment); 3] = [
        |chunk| chunk.stream = StreamId(1),
        |chunk| chunk.ppid = Ppid(8),
        |chunk| chunk.unordered = true,
    ];
    for change in changes {
        let mut inbound = inbound();
        accept(&mut inbound, [part(1, 0, "10")]);
        let mut second = part(2, 0, "01");
        change(&mut second);
        refuse(&mut inbound, second);
    }
}

#[test]
fn rfc9260_6_2_a_chunk_without_user_data_is_a_violation() {
    assert_eq!(inbound().on_data(data(1, 0, 0, b"")), Err(Violation::NoUserData));
}

fn large(tsn: u32, ssn: u16, len: usize) -> Vec<DataFragment> {
    let payload: Vec<u8> = (0..len).map(|at| (at / 7) as u8).collect();
    fragments(Tsn(tsn), StreamId(0), Ssn(ssn), Ppid(1), false, &payload, 1000)
}

#[test]
fn rfc9260_6_9_what_fills_half_of_the_buffer_is_delivered_in_pieces() {
    let mut inbound = inbound();
    let chunks = large(1, 0, 100_000);
    accept(&mut inbound, chunks[..32].iter().cloned());
    assert!(!inbound.readable() && !inbound.is_partial());
    accept(&mut inbound, chunks[32..34].iter().cloned());
    assert!(inbound.readable() && inbound.is_partial());
    let first = inbound.recv().unwrap();
    assert_eq!(
        (first.payload.len(), first.end_of_message, first.tsn),
        (33_000, false, Tsn(1))
    );
    let second = inbound.recv().unwrap();
    assert_eq!(
        (second.payload.len(), second.end_of_message, second.tsn),
        (1000, false, Tsn(1))
    );
    assert!(!inbound.readable() && inbound.recv().is_none());
    accept(&mut inbound, chunks[34..99].iter().cloned());
    assert_eq!(inbound.recv().unwrap().payload.len(), 65_000);
    accept(&mut inbound, chunks[99..].iter().cloned());
    assert!(!inbound.is_partial());
    let last = inbound.recv().unwrap();
    assert_eq!((last.payload.len(), last.end_of_message), (1000, true));
    assert_eq!(inbound.buffered_bytes(), 0);
}

#[test]
fn nothing_comes_between_the_pieces_of_a_message() {
    let mut inbound = inbound();
    let chunks = large(1, 0, 50_000);
    accept(&mut inbound, chunks[..40].iter().cloned());
    // The next message of the same stream, one of another, an unordered one: all after the gap.
    accept(&mut inbound, [data(51, 0, 1, b"next"), data(52, 1, 0, b"other")]);
    accept(
        &mut inbound,
        [DataFragment {
            unordered: true,
            ..data(53, 0, 0, b"unordered")
        }],
    );
    assert_eq!(inbound.recv().unwrap().payload.len(), 33_000);
    assert_eq!(inbound.recv().unwrap().payload.len(), 7000);
    assert!(!inbound.readable() && inbound.pending_messages() == 3);
    accept(&mut inbound, chunks[40..].iter().cloned());
    assert!(inbound.recv().unwrap().end_of_message);
    assert_eq!(texts(&mut inbound), ["next", "other", "unordered"]);
}

#[test]
fn a_message_whose_turn_has_not_come_is_not_delivered_in_pieces() {
    let mut inbound = inbound();
    let chunks = large(2, 1, 60_000);
    accept(&mut inbound, chunks[..59].iter().cloned());
    assert!(!inbound.readable());
    accept(&mut inbound, [data(1, 0, 0, b"first")]);
    assert_eq!(inbound.recv().unwrap().payload, "first");
    assert_eq!(inbound.recv().unwrap().payload.len(), 59_000);
}

#[test]
fn a_message_that_comes_before_its_turn_waits_even_without_a_gap() {
    let mut inbound = inbound();
    accept(&mut inbound, large(1, 1, 60_000));
    assert!(!inbound.readable());
    accept(&mut inbound, [data(61, 0, 0, b"first")]);
    assert_eq!(inbound.recv().unwrap().payload, "first");
    let second = inbound.recv().unwrap();
    assert_eq!((second.payload.len(), second.end_of_message), (60_000, true));
}

#[test]
fn a_chunk_of_an_invalid_stream_may_be_what_a_large_message_waited_for() {
    let mut inbound = inbound();
    accept(&mut inbound, large(2, 0, 60_000)[..40].iter().cloned());
    assert!(!inbound.readable());
    assert_eq!(inbound.on_data(data(1, 10, 0, b"x")), Ok(DataOutcome::InvalidStream));
    assert_eq!(inbound.recv().unwrap().payload.len(), 40_000);
}

#[test]
fn rfc9260_6_9_a_full_buffer_that_the_user_cannot_empty_is_relieved_by_a_piece() {
    let mut inbound = inbound();
    // 30 of 40 fragments, one missing, and what follows fills the buffer.
    let chunks = large(2, 1, 40_000);
    let more = large(42, 2, 60_000);
    accept(&mut inbound, [data(1, 0, 0, b"whole")]);
    accept(&mut inbound, chunks[..30].iter().cloned());
    accept(&mut inbound, chunks[31..].iter().cloned());
    accept(&mut inbound, more[..26].iter().cloned());
    assert!(inbound.a_rwnd() < 1000);
    assert!(!inbound.is_partial(), "the user can make room");
    assert_eq!(inbound.recv().unwrap().payload, "whole");
    assert!(inbound.is_partial() && inbound.readable(), "now it cannot");
    let first = inbound.recv().unwrap();
    assert_eq!(
        (first.ssn, first.payload.len(), first.end_of_message),
        (Ssn(1), 30_000, false)
    );
    accept(&mut inbound, chunks[30..31].iter().cloned());
    let last = inbound.recv().unwrap();
    assert_eq!(
        (last.ssn, last.payload.len(), last.end_of_message),
        (Ssn(1), 10_000, true)
    );
}

#[test]
fn a_restart_keeps_what_the_user_has_not_taken() {
    let mut inbound = inbound();
    accept(
        &mut inbound,
        [data(1, 0, 0, b"old"), data(3, 0, 2, b"lost"), part(5, 7, "10")],
    );
    let config = InboundConfig { streams: 3, ..CONFIG };
    assert!(inbound.restart(Tsn(1000), config).is_empty());
    super::check_invariants(&inbound);
    assert_eq!((inbound.buffered_bytes(), inbound.streams()), (3, 3));
    assert_eq!(inbound.cumulative_tsn_ack(), Tsn(999));
    assert!(!inbound.sack_pending());
    accept(&mut inbound, [data(1000, 0, 0, b"new")]);
    assert_eq!(texts(&mut inbound), ["old", "new"]);
    super::check_invariants(&inbound);
    assert_eq!(sack(&mut inbound).0.a_rwnd, 65_536 - 3);
}

#[test]
fn a_restart_tells_that_a_message_in_pieces_will_not_end() {
    let mut inbound = inbound();
    accept(&mut inbound, large(1, 0, 50_000)[..40].iter().cloned());
    accept(&mut inbound, [data(51, 1, 0, b"behind")]);
    assert_eq!(inbound.restart(Tsn(1), CONFIG).len(), 1);
    assert!(!inbound.is_partial());
    super::check_invariants(&inbound);
    assert_eq!(inbound.recv().unwrap().payload.len(), 33_000);
    assert_eq!(texts(&mut inbound), ["behind"]);
}

#[test]
fn an_idle_association_is_small_whatever_streams_it_has() {
    let config = InboundConfig {
        streams: 65_535,
        ..CONFIG
    };
    let mut inbound = Inbound::new(Tsn(1), config);
    accept(&mut inbound, [data(1, 65_534, 0, b"x")]);
    assert!(inbound.recv().is_some());
    assert!(size_of::<Inbound>() <= 544, "{}", size_of::<Inbound>());
}

#[test]
fn a_payload_is_copied_where_a_slice_would_pin_much_more() {
    let datagram = Bytes::from(vec![7; 1500]);
    let shares = |payload: &Bytes| datagram.as_ptr_range().contains(&payload.as_ptr());
    let take = |datagram: &Bytes, range, backing| Payloads::new(datagram, backing).take(range);
    let large = take(&datagram, 28..1428, 1500);
    assert!(shares(&large) && large.len() == 1400);
    let quarter = take(&datagram, 28..403, 1500);
    assert!(shares(&quarter));
    let less = take(&datagram, 28..402, 1500);
    assert!(!shares(&less) && less == datagram[28..402]);
    // A datagram cut from a large buffer: the buffer counts.
    assert!(!shares(&take(&datagram, 28..1428, 65_536)));
    let small = datagram.slice(..300);
    assert!(!shares(&take(&small, 28..283, 300)));
    assert!(take(&datagram, 1400..1600, 1500).is_empty());
}

#[test]
fn small_payloads_of_a_packet_share_copies_that_pin_little() {
    let datagram: Bytes = (0..1500_u16).map(|n| n.to_be_bytes()[1]).collect();
    let mut payloads = Payloads::new(&datagram, 1500);
    let taken: Vec<Bytes> = (12..1420)
        .step_by(80)
        .map(|at| payloads.take(at + 16..at + 80))
        .collect();
    for (number, payload) in taken.iter().enumerate() {
        let at = 28 + 80 * number;
        assert_eq!(payload, &datagram[at..at + 64]);
        let far = taken
            .iter()
            .filter(|other| payload.as_ptr().addr().abs_diff(other.as_ptr().addr()) < 512)
            .count();
        assert!(far >= 2, "payload {number} has a copy of its own");
    }
    assert!(!datagram.as_ptr_range().contains(&taken[0].as_ptr()));
}
