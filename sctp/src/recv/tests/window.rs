//! What is announced, what is dropped, what is given up.

use super::{CONFIG, check_invariants, data, inbound, sack};
use crate::Instant;
use crate::recv::*;

const BUFFER: u32 = CONFIG.receive_buffer;

fn kib(tsn: u32) -> DataFragment {
    data(tsn, 0, (tsn - 1) as u16, &[0; 1024])
}

/// 64 messages of 1 KiB and a SACK that says so.
fn full() -> Inbound {
    let mut inbound = inbound();
    for tsn in 1..=64 {
        assert_eq!(inbound.on_data(kib(tsn)), Ok(DataOutcome::Accepted));
    }
    assert_eq!(sack(&mut inbound).0.a_rwnd, 0);
    inbound
}

fn wants_sack(inbound: &mut Inbound) -> bool {
    inbound.on_packet_end(Instant::ZERO);
    inbound.sack_wanted()
}

#[test]
fn rfc9260_6_2_the_window_is_what_is_left_of_the_buffer() {
    let mut inbound = inbound();
    assert_eq!(inbound.a_rwnd(), BUFFER);
    for tsn in 1..=3 {
        inbound.on_data(kib(tsn)).unwrap();
        assert_eq!(sack(&mut inbound).0.a_rwnd, BUFFER - 1024 * tsn);
    }
    // Data that waits for its turn counts too.
    inbound.on_data(kib(5)).unwrap();
    assert_eq!(inbound.a_rwnd(), BUFFER - 4096);
}

#[test]
fn rfc9260_6_2_new_data_beyond_a_closed_window_is_dropped_and_answered_at_once() {
    let mut inbound = full();
    assert_eq!(inbound.on_data(kib(65)), Ok(DataOutcome::NoRoom));
    assert!(wants_sack(&mut inbound));
    let (numbers, gaps, _) = sack(&mut inbound);
    assert_eq!((numbers.cumulative_tsn_ack, numbers.a_rwnd, gaps), (Tsn(64), 0, vec![]));
    assert_eq!(inbound.buffered_bytes(), BUFFER as usize);
}

#[test]
fn rfc9260_6_2_a_closed_window_stays_closed_until_a_packet_fits() {
    let mut inbound = full();
    inbound.recv().unwrap();
    assert!(!inbound.sack_wanted());
    assert_eq!(inbound.a_rwnd(), 0, "1024 bytes are not worth telling");
    assert_eq!(inbound.on_data(kib(65)), Ok(DataOutcome::NoRoom));
    sack(&mut inbound);
    inbound.recv().unwrap();
    assert_eq!(inbound.a_rwnd(), 2048);
    assert!(!inbound.sack_wanted(), "for an update of its own it is too little");
    inbound.recv().unwrap();
    assert!(inbound.sack_wanted());
    assert_eq!(sack(&mut inbound).0.a_rwnd, 3072);
    assert_eq!(inbound.on_data(kib(65)), Ok(DataOutcome::Accepted));
}

#[test]
fn rfc9260_6_2_an_open_window_is_updated_when_half_of_the_buffer_was_taken() {
    let mut inbound = inbound();
    for tsn in 1..=50 {
        inbound.on_data(kib(tsn)).unwrap();
    }
    assert_eq!(sack(&mut inbound).0.a_rwnd, 14 * 1024);
    for _ in 0..31 {
        inbound.recv().unwrap();
        assert!(!inbound.sack_wanted());
    }
    inbound.recv().unwrap();
    assert!(inbound.sack_wanted());
    assert_eq!(sack(&mut inbound).0.a_rwnd, 46 * 1024);
    while inbound.recv().is_some() {
        assert!(!inbound.sack_wanted());
    }
}

#[test]
fn an_announced_window_is_never_taken_back() {
    let mut inbound = inbound();
    let mut edge = 0;
    for tsn in 1..=500u32 {
        inbound
            .on_data(data(
                tsn,
                0,
                (tsn - 1) as u16,
                &vec![0; 129 + (tsn as usize * 37) % 1000],
            ))
            .unwrap();
        if tsn % 3 != 0 {
            inbound.recv().unwrap();
        }
        // Bytes sent in all, were the peer to use the whole window.
        let received: usize = (1..=tsn as usize).map(|tsn| 129 + (tsn * 37) % 1000).sum();
        let reach = received + sack(&mut inbound).0.a_rwnd as usize;
        assert!(reach >= edge);
        edge = reach;
        while inbound.pending_messages() > 50 {
            inbound.recv().unwrap();
        }
    }
}

#[test]
fn rfc9260_6_2_the_largest_tsn_gives_way_to_one_that_fills_a_gap() {
    let mut inbound = inbound();
    // 66 messages after the gap: 64 fill the buffer, and nothing more is taken after them.
    for tsn in 2..=65 {
        assert_eq!(inbound.on_data(kib(tsn)), Ok(DataOutcome::Accepted));
    }
    assert_eq!(inbound.on_data(kib(66)), Ok(DataOutcome::NoRoom));
    assert_eq!(sack(&mut inbound).1, [(2, 65)]);
    assert_eq!(inbound.on_data(kib(1)), Ok(DataOutcome::Accepted));
    check_invariants(&inbound);
    let (numbers, gaps, _) = sack(&mut inbound);
    assert_eq!(
        (numbers.cumulative_tsn_ack, gaps),
        (Tsn(64), vec![]),
        "65 was given up and is not acknowledged"
    );
    assert_eq!(inbound.pending_messages(), 64);
    while inbound.recv().is_some() {}
    sack(&mut inbound);
    assert_eq!(inbound.on_data(kib(65)), Ok(DataOutcome::Accepted));
    assert_eq!(inbound.recv().unwrap().tsn, Tsn(65));
}

#[test]
fn fragments_give_way_too_and_come_again() {
    let mut inbound = inbound();
    let chunk = |tsn: u32| DataFragment {
        beginning: tsn == 1,
        ending: tsn == 66,
        ssn: Ssn(0),
        ..kib(tsn)
    };
    for tsn in 2..=65 {
        assert_eq!(inbound.on_data(chunk(tsn)), Ok(DataOutcome::Accepted));
    }
    assert_eq!(inbound.on_data(chunk(1)), Ok(DataOutcome::Accepted));
    check_invariants(&inbound);
    assert_eq!(inbound.cumulative_tsn_ack(), Tsn(64));
    let first = inbound.recv().unwrap();
    assert_eq!((first.payload.len(), first.end_of_message), (64 * 1024, false));
    for tsn in 65..=66 {
        assert_eq!(inbound.on_data(chunk(tsn)), Ok(DataOutcome::Accepted));
    }
    let last = inbound.recv().unwrap();
    assert_eq!((last.payload.len(), last.end_of_message), (2048, true));
}

#[test]
fn rfc9260_6_2_what_is_for_the_user_already_is_not_given_up() {
    let mut inbound = inbound();
    let unordered = |tsn| DataFragment {
        unordered: true,
        ..kib(tsn)
    };
    for tsn in 3..=66 {
        assert_eq!(inbound.on_data(unordered(tsn)), Ok(DataOutcome::Accepted));
    }
    assert_eq!(inbound.on_data(unordered(2)), Ok(DataOutcome::NoRoom));
    // The first missing one gets a packet's room more than there is.
    assert_eq!(inbound.on_data(unordered(1)), Ok(DataOutcome::Accepted));
    assert_eq!(inbound.pending_messages(), 65);
}

/// Takes what a peer sends that uses the whole window that it was told, in messages of `len` bytes, and learns of a
/// new one only after `flight` bytes more. Gives back how many bytes that were.
fn fill(inbound: &mut Inbound, first: u32, len: usize, flight: usize) -> u32 {
    let mut tsn = first;
    // Where the window ends, counted from the first byte: what the peer was told, and what it will be told next.
    let mut told = std::collections::VecDeque::from([(0, inbound.a_rwnd() as usize)]);
    let mut sent = 0;
    loop {
        while told.len() > 1 && told[1].0 + flight <= sent {
            told.pop_front();
        }
        if sent + len > told[0].1 {
            if told.len() == 1 {
                return tsn;
            }
            told.pop_front();
            continue;
        }
        let message = data(tsn, 0, (tsn - 1) as u16, &vec![0; len]);
        assert_eq!(
            inbound.on_data(message),
            Ok(DataOutcome::Accepted),
            "{len}, {flight}: {sent}"
        );
        check_invariants(inbound);
        tsn += 1;
        sent += len;
        if tsn.is_multiple_of(16) {
            told.push_back((sent, sent + sack(inbound).0.a_rwnd as usize));
        }
    }
}

#[test]
fn rfc9260_6_2_what_a_peer_may_send_is_never_dropped_however_small_it_is() {
    for len in [1, 2, 10, 30, 60, 64, 65, 100, 127, 128, 1000] {
        for flight in [0, 500, 5000, 60_000] {
            // A whole window of the smallest cannot be held, and is in flight only after much of it was taken.
            if flight > 64 * len {
                continue;
            }
            let mut inbound = inbound();
            let mut tsn = 1;
            for _ in 0..5 {
                let from = tsn;
                tsn = fill(&mut inbound, from, len, flight);
                assert!(sack(&mut inbound).0.a_rwnd < 128.max(len as u32), "{len}, {flight}");
                let held = (tsn - from) as usize * len;
                assert!(
                    held * 128 / len.min(128) > BUFFER as usize - 1000,
                    "{len}, {flight}: {held}"
                );
                while inbound.recv().is_some() {}
                assert!(inbound.sack_wanted());
                sack(&mut inbound);
            }
        }
    }
}

#[test]
fn small_messages_in_flight_are_not_dropped() {
    let mut inbound = inbound();
    // The whole window in messages of 64 bytes, where every other one is told.
    for n in 0..1024u32 {
        let message = data(n + 1, 0, n as u16, &[0; 64]);
        assert_eq!(inbound.on_data(message), Ok(DataOutcome::Accepted));
        if n.is_multiple_of(2) {
            assert_eq!(sack(&mut inbound).0.a_rwnd, BUFFER - 64 * (n + 1));
        }
    }
    assert_eq!(sack(&mut inbound).0.a_rwnd, 0);
    while inbound.recv().is_some() {}
    assert!(inbound.sack_wanted());
    assert_eq!(sack(&mut inbound).0.a_rwnd, BUFFER);
}

#[test]
fn tiny_messages_get_a_window_that_can_be_held() {
    let mut inbound = inbound();
    for n in 0..4000 {
        let message = data(n + 1, 0, n as u16, b"x");
        assert_eq!(inbound.on_data(message), Ok(DataOutcome::Accepted));
        inbound.recv().unwrap();
        sack(&mut inbound);
    }
    let whole = 2 * BUFFER / 128;
    assert!((whole / 2..=whole).contains(&inbound.a_rwnd()));
    // Large ones open it again.
    for n in 4000..4200 {
        inbound.on_data(data(n + 1, 0, n as u16, &[0; 1000])).unwrap();
        inbound.recv().unwrap();
        sack(&mut inbound);
    }
    assert!(inbound.a_rwnd() > BUFFER - 1452, "but for less than a packet");
}

#[test]
fn a_flood_of_tiny_messages_is_bounded_by_what_it_costs() {
    let mut inbound = inbound();
    let taken = (0..60_000u32)
        .take_while(|n| inbound.on_data(data(n + 1, 0, *n as u16, b"x")) == Ok(DataOutcome::Accepted))
        .count();
    assert_eq!(taken, 2 * 65_536 / 128);
    check_invariants(&inbound);
}

#[test]
fn a_message_of_tiny_fragments_costs_less_once_it_is_whole() {
    let mut inbound = inbound();
    for n in 0..200 {
        let chunk = DataFragment {
            beginning: n == 0,
            ending: n == 199,
            ..data(n + 1, 0, 0, b"x")
        };
        inbound.on_data(chunk).unwrap();
    }
    check_invariants(&inbound);
    assert_eq!(inbound.a_rwnd(), BUFFER - 200);
}
