//! When a SACK is sent and what it lists.

use super::{CONFIG, data, inbound, sack};
use crate::Instant;
use crate::recv::*;

const NOW: Instant = Instant::from_millis(1000);

/// One packet with these chunks, arriving at `NOW`.
fn packet(inbound: &mut Inbound, tsns: &[u32]) {
    packet_at(inbound, NOW, tsns);
}

fn packet_at(inbound: &mut Inbound, now: Instant, tsns: &[u32]) {
    for tsn in tsns {
        let mut chunk = data(*tsn, 0, 0, b"x");
        chunk.unordered = true;
        inbound.on_data(chunk).unwrap();
    }
    inbound.on_packet_end(now);
}

/// Past the first packet, which is answered at once.
fn acquainted() -> Inbound {
    let mut inbound = inbound();
    packet(&mut inbound, &[1]);
    assert!(inbound.sack_wanted(), "the first packet");
    sack(&mut inbound);
    inbound
}

#[test]
fn rfc9260_6_2_every_second_packet_not_chunk_is_acknowledged_at_once() {
    let mut inbound = acquainted();
    packet(&mut inbound, &[2, 3, 4]);
    assert!(!inbound.sack_wanted() && inbound.sack_pending());
    packet(&mut inbound, &[5]);
    assert!(inbound.sack_wanted());
    assert_eq!(sack(&mut inbound).0.cumulative_tsn_ack, Tsn(5));
    assert!(!inbound.sack_wanted() && !inbound.sack_pending());
    packet(&mut inbound, &[6]);
    assert!(!inbound.sack_wanted());
}

#[test]
fn the_sack_frequency_is_configurable() {
    let mut inbound = Inbound::new(
        Tsn(1),
        InboundConfig {
            sack_frequency: 4,
            ..CONFIG
        },
    );
    packet(&mut inbound, &[1]);
    sack(&mut inbound);
    for tsn in 2..5 {
        packet(&mut inbound, &[tsn]);
        assert!(!inbound.sack_wanted());
    }
    packet(&mut inbound, &[5]);
    assert!(inbound.sack_wanted());
}

#[test]
fn rfc9260_6_2_an_acknowledgement_waits_no_longer_than_the_delay() {
    let mut inbound = Inbound::new(
        Tsn(1),
        InboundConfig {
            sack_frequency: 10,
            ..CONFIG
        },
    );
    packet(&mut inbound, &[1]);
    sack(&mut inbound);
    assert_eq!(inbound.sack_timeout(), None);
    packet_at(&mut inbound, Instant::from_millis(1000), &[2]);
    packet_at(&mut inbound, Instant::from_millis(1150), &[3]);
    // From the first unacknowledged chunk, not from the last.
    assert_eq!(inbound.sack_timeout(), Some(Instant::from_millis(1200)));
    inbound.on_sack_timeout(Instant::from_millis(1199));
    assert!(!inbound.sack_wanted());
    inbound.on_sack_timeout(Instant::from_millis(1200));
    assert!(inbound.sack_wanted());
    assert_eq!(inbound.sack_timeout(), None);
}

#[test]
fn a_sack_that_goes_along_with_data_stops_the_timer() {
    let mut inbound = acquainted();
    packet(&mut inbound, &[2]);
    assert!(inbound.sack_timeout().is_some());
    sack(&mut inbound);
    assert_eq!(inbound.sack_timeout(), None);
}

#[test]
fn without_delay_every_packet_is_acknowledged_at_once() {
    let mut inbound = Inbound::new(
        Tsn(1),
        InboundConfig {
            sack_delay: Duration::ZERO,
            ..CONFIG
        },
    );
    for tsn in 1..5 {
        packet(&mut inbound, &[tsn]);
        assert!(inbound.sack_wanted() && inbound.sack_timeout().is_none());
        sack(&mut inbound);
    }
}

#[test]
fn rfc9260_6_2_a_packet_of_duplicates_is_answered_at_once_and_lists_them() {
    let mut inbound = acquainted();
    packet(&mut inbound, &[1]);
    assert!(inbound.sack_wanted());
    let (numbers, _, duplicates) = sack(&mut inbound);
    assert_eq!((numbers.cumulative_tsn_ack, duplicates), (Tsn(1), vec![Tsn(1)]));
}

#[test]
fn rfc9260_3_3_4_a_duplicate_is_listed_as_often_as_it_came_and_not_again() {
    let mut inbound = acquainted();
    packet(&mut inbound, &[1, 1]);
    packet(&mut inbound, &[2]);
    assert_eq!(sack(&mut inbound).2, [Tsn(1), Tsn(1)]);
    packet(&mut inbound, &[3, 1]);
    assert_eq!(sack(&mut inbound).2, [Tsn(1)]);
    packet(&mut inbound, &[4]);
    assert_eq!(sack(&mut inbound).2, []);
}

#[test]
fn duplicates_are_remembered_up_to_a_bound() {
    let mut inbound = acquainted();
    packet(&mut inbound, &[1; 5000]);
    assert_eq!(sack(&mut inbound).2.len(), 32);
}

#[test]
fn rfc9260_6_7_gap_ack_blocks_come_before_duplicates_where_room_is_scarce() {
    let mut inbound = acquainted();
    let (mut gaps, mut duplicates) = (Vec::new(), Vec::new());
    packet(&mut inbound, &[3, 5, 7]);
    for (room, expected) in [(0, (0, 0)), (2, (2, 0)), (3, (3, 0)), (5, (3, 2)), (9, (3, 4))] {
        packet(&mut inbound, &[1, 1, 1, 1]);
        inbound.take_sack(&mut gaps, &mut duplicates, room);
        assert_eq!((gaps.len(), duplicates.len()), expected, "room for {room}");
    }
}

#[test]
fn rfc9260_6_7_a_gap_is_reported_at_once_and_with_every_packet_until_it_is_filled() {
    let mut inbound = acquainted();
    for (tsn, gaps) in [(3, vec![(2, 2)]), (4, vec![(2, 3)]), (6, vec![(2, 3), (5, 5)])] {
        packet(&mut inbound, &[tsn]);
        assert!(inbound.sack_wanted());
        let (numbers, listed, _) = sack(&mut inbound);
        assert_eq!((numbers.cumulative_tsn_ack, listed), (Tsn(1), gaps));
    }
    // What fills a gap is acknowledged at once too (RFC 5681 §4.2).
    packet(&mut inbound, &[2]);
    assert!(inbound.sack_wanted());
    assert_eq!(sack(&mut inbound).1, [(2, 2)]);
    packet(&mut inbound, &[5]);
    assert!(inbound.sack_wanted());
    assert_eq!(sack(&mut inbound).0.cumulative_tsn_ack, Tsn(6));
    packet(&mut inbound, &[7]);
    assert!(!inbound.sack_wanted());
}

#[test]
fn rfc9260_6_2_the_i_bit_asks_for_an_answer_at_once() {
    let mut inbound = acquainted();
    let chunk = DataFragment {
        immediate: true,
        ..data(2, 0, 0, b"x")
    };
    inbound.on_data(chunk).unwrap();
    assert!(!inbound.sack_wanted(), "one SACK a packet, after all of its chunks");
    inbound.on_packet_end(NOW);
    assert!(inbound.sack_wanted());
}

#[test]
fn a_packet_without_data_changes_nothing() {
    let mut inbound = acquainted();
    inbound.on_packet_end(NOW);
    assert!(!inbound.sack_pending() && inbound.sack_timeout().is_none());
}

#[test]
fn rfc9260_6_5_a_chunk_of_an_invalid_stream_is_acknowledged_and_dropped() {
    let mut inbound = acquainted();
    assert_eq!(inbound.on_data(data(2, 10, 0, b"x")), Ok(DataOutcome::InvalidStream));
    inbound.on_packet_end(NOW);
    assert!(inbound.sack_wanted());
    assert_eq!(sack(&mut inbound).0.cumulative_tsn_ack, Tsn(2));
    assert_eq!(inbound.on_data(data(2, 10, 0, b"x")), Ok(DataOutcome::Duplicate));
    assert_eq!((inbound.pending_messages(), inbound.streams()), (1, 10));
}

#[test]
fn a_tsn_that_no_gap_ack_block_can_name_is_dropped_and_answered() {
    let mut inbound = acquainted();
    assert_eq!(inbound.on_data(data(65_537, 0, 0, b"x")), Ok(DataOutcome::NoRoom));
    inbound.on_packet_end(NOW);
    assert!(inbound.sack_wanted());
    assert_eq!(sack(&mut inbound).1, []);
    assert_eq!(inbound.on_data(data(65_536, 0, 0, b"x")), Ok(DataOutcome::Accepted));
}
