//! What FORWARD-TSN does (RFC 3758 §3.6).

use super::{check_invariants, data, fragments, sack};
use crate::Instant;
use crate::recv::*;

const MOVED: ForwardOutcome = ForwardOutcome::Moved { cut: false };

fn inbound() -> Inbound {
    Inbound::new(
        Tsn(1),
        InboundConfig {
            forward_tsn: true,
            ..super::CONFIG
        },
    )
}

fn take(inbound: &mut Inbound, chunks: impl IntoIterator<Item = DataFragment>) {
    for chunk in chunks {
        assert_eq!(inbound.on_data(chunk), Ok(DataOutcome::Accepted));
        check_invariants(inbound);
    }
    inbound.on_packet_end(Instant::ZERO);
}

fn forward(inbound: &mut Inbound, tsn: u32, streams: &[(u16, u16)]) -> ForwardOutcome {
    let streams = streams.iter().map(|&(stream, ssn)| (StreamId(stream), Ssn(ssn)));
    let outcome = inbound.on_forward_tsn(Tsn(tsn), streams);
    check_invariants(inbound);
    inbound.on_packet_end(Instant::ZERO);
    outcome
}

fn heard(inbound: &mut Inbound) -> Vec<u32> {
    std::iter::from_fn(|| inbound.recv())
        .map(|received| received.tsn.0)
        .collect()
}

/// The first fragments of a large message on stream 3, from TSN `first` on.
fn large(first: u32, count: usize, unordered: bool) -> Vec<DataFragment> {
    let payload = vec![9; 100 * 1000];
    let mut cut = fragments(Tsn(first), StreamId(3), Ssn(0), Ppid(1), unordered, &payload, 1000);
    cut.truncate(count);
    cut
}

#[test]
fn rfc3758_3_6_what_waits_behind_skipped_messages_is_delivered() {
    let mut inbound = inbound();
    // SSN 0 and 2 are missing of stream 0, SSN 0 of stream 1.
    take(
        &mut inbound,
        [data(2, 0, 1, b"b"), data(4, 0, 3, b"d"), data(6, 1, 1, b"f")],
    );
    assert!(!inbound.readable());
    assert_eq!(forward(&mut inbound, 3, &[(0, 2)]), MOVED);
    assert_eq!(heard(&mut inbound), [2, 4]);
    assert_eq!(inbound.cumulative_tsn_ack(), Tsn(4));
    assert_eq!(forward(&mut inbound, 5, &[(1, 0)]), MOVED);
    assert_eq!(heard(&mut inbound), [6]);
    assert_eq!((inbound.buffered_bytes(), sack(&mut inbound).1), (0, vec![]));
}

#[test]
fn rfc3758_3_6_skipped_numbers_may_wrap() {
    let mut inbound = inbound();
    assert_eq!(forward(&mut inbound, 1, &[(0, 32_766)]), MOVED);
    assert_eq!(forward(&mut inbound, 2, &[(0, 65_530)]), MOVED);
    let ssns = [65_533, 65_535, 1, 3, 5];
    take(&mut inbound, (4..).zip(ssns).map(|(tsn, ssn)| data(tsn, 0, ssn, b"x")));
    assert!(!inbound.readable());
    assert_eq!(forward(&mut inbound, 3, &[(0, 4)]), MOVED);
    assert_eq!(heard(&mut inbound), [4, 5, 6, 7, 8]);
}

#[test]
fn rfc3758_3_6_an_out_of_date_forward_tsn_is_answered_at_once_and_changes_nothing() {
    let mut inbound = inbound();
    take(
        &mut inbound,
        [data(1, 0, 0, b"a"), data(2, 0, 1, b"b"), data(4, 0, 3, b"d")],
    );
    sack(&mut inbound);
    for tsn in [2, 1, 0, u32::MAX, 2 + (1 << 31)] {
        assert_eq!(forward(&mut inbound, tsn, &[(0, 2)]), ForwardOutcome::OutOfDate);
        assert!(inbound.sack_wanted());
        assert_eq!(sack(&mut inbound).0.cumulative_tsn_ack, Tsn(2));
    }
    assert_eq!(heard(&mut inbound), [1, 2]);
}

#[test]
fn rfc3758_3_6_a_forward_tsn_is_acknowledged_like_data() {
    let mut inbound = inbound();
    take(&mut inbound, [data(1, 0, 0, b"a")]);
    sack(&mut inbound);
    assert_eq!(forward(&mut inbound, 2, &[]), MOVED);
    assert!(!inbound.sack_wanted() && inbound.sack_timeout().is_some());
    assert_eq!(forward(&mut inbound, 3, &[]), MOVED);
    assert!(inbound.sack_wanted(), "every second packet");
    sack(&mut inbound);
    take(&mut inbound, [data(5, 0, 3, b"e")]);
    sack(&mut inbound);
    assert_eq!(forward(&mut inbound, 4, &[]), MOVED);
    assert!(inbound.sack_wanted(), "it fills a gap");
}

#[test]
fn rfc3758_3_6_a_skipped_tsn_that_arrives_late_is_a_duplicate() {
    let mut inbound = inbound();
    assert_eq!(forward(&mut inbound, 1, &[(0, 0)]), MOVED);
    assert_eq!(inbound.on_data(data(1, 0, 0, b"late")), Ok(DataOutcome::Duplicate));
    assert!(!inbound.readable());
}

#[test]
fn rfc3758_3_6_incomplete_messages_are_dropped_and_the_window_opens() {
    for unordered in [false, true] {
        let mut inbound = inbound();
        let free = inbound.a_rwnd();
        let mut cut = large(1, 8, unordered);
        cut.remove(4);
        take(&mut inbound, cut);
        take(&mut inbound, [data(10, 0, 0, b"other")]);
        assert_eq!(inbound.buffered_bytes(), 7005);
        assert_eq!(forward(&mut inbound, 9, &[(3, 0)]), MOVED);
        assert_eq!((inbound.buffered_bytes(), inbound.cumulative_tsn_ack()), (5, Tsn(10)));
        assert_eq!(heard(&mut inbound), [10]);
        assert_eq!(sack(&mut inbound).0.a_rwnd, free);
        take(&mut inbound, [data(11, 3, 1, b"next")]);
        assert_eq!(heard(&mut inbound), [11]);
    }
}

#[test]
fn rfc3758_3_5_a3_the_next_message_may_follow_one_without_end() {
    // Both orders of arrival of the TSNs beside each other.
    for reverse in [false, true] {
        let mut inbound = inbound();
        let mut chunks = large(1, 2, false);
        chunks.push(data(3, 3, 1, b"next"));
        if reverse {
            chunks.reverse();
        }
        take(&mut inbound, chunks);
        assert!(!inbound.readable());
        // A peer that has no TSN for the rest cannot but name the last one sent.
        take(&mut inbound, [data(5, 0, 0, b"x")]);
        assert_eq!(forward(&mut inbound, 4, &[(3, 0)]), MOVED);
        assert_eq!(inbound.buffered_bytes(), 5);
        assert_eq!(heard(&mut inbound), [5, 3]);
    }
}

#[test]
fn rfc3758_3_6_a_partial_delivery_ends_and_the_user_can_be_told() {
    for unordered in [false, true] {
        let mut inbound = inbound();
        take(&mut inbound, large(1, 40, unordered));
        take(&mut inbound, [data(42, 0, 0, b"behind")]);
        let piece = inbound.recv().unwrap();
        assert!(!piece.end_of_message && inbound.is_partial());
        take(&mut inbound, [data(43, 3, 1, b"after")]);
        let streams = [(3, 0)];
        let streams = if unordered { &streams[1..] } else { &streams };
        if unordered {
            take(&mut inbound, [data(44, 3, 0, b"first ordered one")]);
        }
        assert_eq!(forward(&mut inbound, 41, streams), ForwardOutcome::Moved { cut: true });
        assert!(!inbound.is_partial());
        let expected: &[u32] = if unordered { &[42, 44, 43] } else { &[42, 43] };
        assert_eq!(heard(&mut inbound), expected);
        assert_eq!(inbound.buffered_bytes(), 0);
    }
}

#[test]
fn rfc3758_3_6_a_partial_delivery_that_nobody_has_seen_leaves_no_trace() {
    let mut inbound = inbound();
    take(&mut inbound, [data(1, 0, 0, b"before")]);
    take(&mut inbound, large(2, 40, false));
    assert!(inbound.is_partial());
    assert_eq!(forward(&mut inbound, 42, &[(3, 0)]), MOVED);
    take(&mut inbound, [data(43, 3, 1, b"after")]);
    assert_eq!(heard(&mut inbound), [1, 43]);
    assert_eq!(inbound.buffered_bytes(), 0);
}

#[test]
fn rfc3758_3_6_jumps_and_streams_that_a_peer_makes_up_are_survived() {
    let mut inbound = inbound();
    take(&mut inbound, (2..1000).map(|n| data(2 * n, 0, n as u16, b"x")));
    let streams: Vec<(u16, u16)> = (0..20_000u16).map(|n| (n, n.wrapping_mul(7919))).collect();
    assert_eq!(forward(&mut inbound, 0x7fff_0000, &streams), MOVED);
    assert_eq!(inbound.cumulative_tsn_ack(), Tsn(0x7fff_0000));
    assert!(
        inbound.ordering.streams() <= 10,
        "streams that do not exist are not kept"
    );
    heard(&mut inbound);
    assert_eq!(forward(&mut inbound, 0xfffe_0000, &[(0, 999)]), MOVED);
    heard(&mut inbound);
    take(&mut inbound, [data(0xfffe_0001, 0, 1000, b"goes on")]);
    assert_eq!(heard(&mut inbound), [0xfffe_0001]);
}
