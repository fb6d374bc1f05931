//! The sender against a naive model of what may be where.

mod sending;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::AssociationConfig;
use crate::message::Reliability;
use crate::path::{Path, PathState};
use crate::serial::{Ppid, Ssn, StreamId};
use crate::wire::SkippedMessage;

const MAX_CHUNKS: usize = 1240;

/// What a FORWARD-TSN says of streams.
fn as_ssns(skipped: &[SkippedMessage]) -> Vec<(StreamId, Ssn)> {
    let entries = skipped.iter();
    entries.map(|entry| (entry.stream, entry.mid.as_ssn())).collect()
}

struct Sender {
    now: Instant,
    out: Outbound,
    paths: PathSet,
    /// Every TSN sent so far, with the message bytes it carried; empty for what was given up before it was sent.
    sent: Vec<Vec<u8>>,
    /// The message of each of these, by the context that the test gave it.
    owners: Vec<u32>,
    /// How many messages were taken.
    pushed: u32,
    /// The contexts of what was given up, and whether it had been sent.
    abandoned: BTreeMap<u32, bool>,
}

impl Sender {
    fn new(paths: usize, initial: u32) -> Self {
        let config = AssociationConfig::default();
        let path = |i: usize| {
            let mut path = Path::new(format!("10.0.{i}.1").parse().unwrap(), &config, Instant::ZERO);
            path.state = PathState::Active;
            path
        };
        let mut set = PathSet::new(path(0));
        (1..paths).for_each(|i| assert!(set.add(path(i)).is_some()));
        set.confirm_setup_path(PathId(0));
        let mut out = Outbound::new(Tsn(initial), 10, 1 << 20, CongestionControl::Cubic);
        assert!(out.set_peer(1 << 20, 10, true).is_empty());
        Self {
            now: Instant::ZERO,
            out,
            paths: set,
            sent: Vec::new(),
            owners: Vec::new(),
            pushed: 0,
            abandoned: BTreeMap::new(),
        }
    }

    fn push(&mut self, len: usize) -> Result<(), SendError> {
        self.push_with(len, Reliability::Reliable)
    }

    fn push_with(&mut self, len: usize, reliability: Reliability) -> Result<(), SendError> {
        let message = OutMessage {
            reliability,
            context: self.pushed,
            ..OutMessage::new(StreamId(0), Ppid(0), Bytes::from(vec![7; len]))
        };
        self.out.push(self.now, message, None)?;
        self.pushed += 1;
        Ok(())
    }

    /// Notes what was given up; nothing is twice, and nothing that was never sent has a TSN.
    fn collect(&mut self) {
        for failure in self.out.take_abandoned() {
            assert_eq!(self.owners.contains(&failure.context), failure.sent);
            assert_eq!(self.abandoned.insert(failure.context, failure.sent), None);
        }
    }

    /// The FORWARD-TSN that is due, as a number of TSNs from the initial one, and its streams.
    fn forward(&mut self, initial: u32) -> Option<(u32, Vec<(StreamId, Ssn)>)> {
        let mut skipped = Vec::new();
        if !self.out.forward_is_due() {
            return None;
        }
        let point = self
            .out
            .take_forward(self.now, PathId(0), 100, &mut skipped, &mut self.paths)?;
        self.collect();
        let covered = point.next().steps_from(Tsn(initial));
        let first = self
            .out
            .outstanding
            .cumulative_tsn_ack()
            .next()
            .steps_from(Tsn(initial));
        assert!(covered > first, "it says nothing new");
        for offset in first..covered {
            let owner = self.owners.get(offset as usize);
            assert!(
                owner.is_none_or(|owner| self.abandoned.contains_key(owner)),
                "it skips what is wanted"
            );
        }
        assert!(self.paths.get(PathId(0)).unwrap().t3_rtx.is_some(), "C5");
        Some((covered, as_ssns(&skipped)))
    }

    /// Sends packets until nothing more may go; the TSN offsets of each packet.
    fn flush(&mut self, initial: u32) -> Vec<Vec<u32>> {
        let mut packets = Vec::new();
        while let Some(plan) = self.out.plan(self.now, &self.paths, MAX_CHUNKS) {
            let mut fill = PacketFill::new(plan);
            let mut room = MAX_CHUNKS;
            let mut packet = Vec::new();
            while let Some(chunk) = self
                .out
                .next_chunk(&mut fill, self.now, room, MAX_CHUNKS, &mut self.paths)
            {
                let len = ChunkForm::Data.chunk_len(chunk.payload.len());
                assert!(len <= room, "a packet overflows");
                room -= len;
                let offset = chunk.tsn.steps_from(Tsn(initial));
                assert!(
                    !self.abandoned.contains_key(&chunk.message.context),
                    "what was given up is sent again"
                );
                let skipped = (offset as usize).saturating_sub(self.sent.len());
                self.sent.extend(std::iter::repeat_n(Vec::new(), skipped));
                let last = self.owners.last().copied().unwrap_or_default();
                self.owners.extend(std::iter::repeat_n(last, skipped));
                if offset as usize == self.sent.len() {
                    self.sent.push(chunk.payload.to_vec());
                    self.owners.push(chunk.message.context);
                } else {
                    assert_eq!(self.sent[offset as usize], chunk.payload, "a retransmission differs");
                }
                packet.push(offset);
            }
            assert!(!packet.is_empty(), "a plan without a chunk");
            self.out.packet_sent(&fill, self.now, &mut self.paths);
            self.collect();
            self.out.outstanding.check_invariants();
            packets.push(packet);
        }
        self.collect();
        packets
    }

    fn sack(&mut self, initial: u32, cumulative: u32, gaps: &[(u16, u16)]) -> SackResult {
        let sack = SackIn {
            cumulative_tsn_ack: Tsn(initial).plus(cumulative).minus(1),
            a_rwnd: 1 << 20,
            gaps: gaps.iter().copied(),
        };
        let result = self.out.on_sack(self.now, sack, &mut self.paths);
        self.out.outstanding.check_invariants();
        result
    }
}

#[test]
fn rfc9260_6_9_a_large_message_is_cut_and_a_small_one_is_not() {
    let mut sender = Sender::new(1, 5);
    sender.push(3000).unwrap();
    assert_eq!(sender.flush(5).len(), 3);
    let lens: Vec<usize> = sender.sent.iter().map(Vec::len).collect();
    assert_eq!(lens, [1224, 1224, 552]);
}

#[test]
fn rfc9260_6_10_small_messages_share_a_packet() {
    let mut sender = Sender::new(1, 5);
    (0..10).for_each(|_| sender.push(50).unwrap());
    assert_eq!(sender.flush(5).len(), 1);
}

#[test]
fn rfc9260_7_2_4_three_miss_indications_cause_a_fast_retransmission() {
    let mut sender = Sender::new(1, 5);
    (0..4).for_each(|_| sender.push(1000).unwrap());
    assert_eq!(sender.flush(5), [[0], [1], [2], [3]]);
    sender.sack(5, 0, &[(2, 2)]);
    sender.sack(5, 0, &[(2, 3)]);
    let window = sender.paths.get(PathId(0)).unwrap().cc.cwnd();
    assert_eq!(sender.flush(5), Vec::<Vec<u32>>::new());
    sender.sack(5, 0, &[(2, 4)]);
    assert!(sender.paths.get(PathId(0)).unwrap().cc.cwnd() <= window);
    assert_eq!(sender.flush(5), [[0]]);
    assert_eq!(sender.sack(5, 4, &[]), SackResult::Taken { progress: true });
    assert!(sender.out.is_empty());
    assert_eq!(sender.out.buffered(), 0);
}

#[test]
fn rfc9260_7_2_4_repeated_sacks_without_news_are_no_miss_indications() {
    let mut sender = Sender::new(1, 5);
    (0..4).for_each(|_| sender.push(1000).unwrap());
    sender.flush(5);
    for _ in 0..10 {
        sender.sack(5, 0, &[(2, 2)]);
    }
    assert_eq!(sender.flush(5), Vec::<Vec<u32>>::new());
}

#[test]
fn rfc9260_6_2_1_old_and_impossible_sacks_are_told_apart() {
    let mut sender = Sender::new(1, u32::MAX - 1);
    let initial = u32::MAX - 1;
    (0..4).for_each(|_| sender.push(1000).unwrap());
    sender.flush(initial);
    assert_eq!(sender.sack(initial, 3, &[]), SackResult::Taken { progress: true });
    assert_eq!(sender.sack(initial, 2, &[]), SackResult::Old);
    assert_eq!(sender.sack(initial, 5, &[]), SackResult::Impossible);
    // Blocks that contradict themselves are left out; one beyond what was sent is no mistake (RFC 9260 §12.4).
    assert_eq!(
        sender.sack(initial, 3, &[(1, 1), (9, 3)]),
        SackResult::Taken { progress: false }
    );
    assert_eq!(sender.sack(initial, 3, &[(2, 2)]), SackResult::Impossible);
    assert_eq!(sender.sack(initial, 4, &[]), SackResult::Taken { progress: true });
}

#[test]
fn rfc9260_6_2_1_d_iii_what_is_taken_back_is_in_flight_again() {
    let mut sender = Sender::new(1, 5);
    (0..3).for_each(|_| sender.push(1000).unwrap());
    sender.flush(5);
    let before = sender.out.flight(PathId(0));
    sender.sack(5, 0, &[(2, 3)]);
    assert!(sender.out.flight(PathId(0)) < before);
    sender.sack(5, 0, &[(2, 2)]);
    sender.sack(5, 0, &[]);
    assert_eq!(sender.out.flight(PathId(0)), before);
    assert!(sender.paths.get(PathId(0)).unwrap().t3_rtx.is_some());
}

#[test]
fn rfc9260_6_4_1_a_timeout_sends_again_on_another_path() {
    let mut sender = Sender::new(2, 5);
    (0..3).for_each(|_| sender.push(1000).unwrap());
    sender.flush(5);
    assert!(sender.out.on_t3_expiry(PathId(0), &mut sender.paths));
    assert_eq!(sender.out.flight(PathId(0)), 0);
    let plan = sender.out.plan(sender.now, &sender.paths, MAX_CHUNKS).unwrap();
    assert_eq!(plan.path, PathId(1));
    assert_eq!(sender.flush(5), [[0], [1], [2]]);
}

#[test]
fn rfc9260_6_3_1_c5_what_may_have_waited_for_a_retransmission_measures_nothing() {
    let mut sender = Sender::new(1, 5);
    sender.push(1000).unwrap();
    sender.flush(5);
    sender.now += Duration::from_millis(100);
    sender.sack(5, 1, &[]);
    let srtt = sender.paths.get(PathId(0)).unwrap().srtt();
    assert_eq!(srtt, Some(Duration::from_millis(100)));
    // The first of two is lost, and the second, which measures, waits behind it.
    (0..5).for_each(|_| sender.push(1000).unwrap());
    sender.flush(5);
    sender.sack(5, 2, &[]);
    let srtt = sender.paths.get(PathId(0)).unwrap().srtt();
    sender.push(1000).unwrap();
    sender.flush(5);
    for end in 2..=4 {
        sender.sack(5, 2, &[(2, end)]);
    }
    assert_eq!(sender.flush(5)[0], [2], "sent again");
    sender.now += Duration::from_secs(10);
    sender.sack(5, 7, &[]);
    assert!(sender.out.is_empty());
    assert_eq!(sender.paths.get(PathId(0)).unwrap().srtt(), srtt);
}

#[test]
fn a_full_buffer_refuses_a_message_whole() {
    let mut sender = Sender::new(1, 5);
    assert_eq!(sender.push((1 << 20) + 1), Err(SendError::TooLarge));
    assert_eq!(sender.push(1 << 20), Ok(()));
    assert_eq!(sender.push(1), Err(SendError::WouldBlock));
    assert_eq!(sender.push(0), Err(SendError::Empty));
    let failed = sender.out.drain();
    assert_eq!(
        (failed.len(), failed[0].payload.len(), failed[0].sent),
        (1, 1 << 20, false)
    );
}

#[test]
fn rfc3758_4_1_tr3_what_expired_before_it_was_sent_uses_no_tsn() {
    let mut sender = Sender::new(1, 5);
    sender
        .push_with(1000, Reliability::Timed(Duration::from_millis(10)))
        .unwrap();
    sender.push(500).unwrap();
    sender.now += Duration::from_millis(11);
    assert_eq!(sender.flush(5), [[0]]);
    assert_eq!(sender.sent[0].len(), 500);
    assert_eq!(sender.abandoned, BTreeMap::from([(0, false)]));
    assert_eq!((sender.out.buffered(), sender.out.forward_is_due()), (500, false));
}

#[test]
fn rfc3758_4_1_tr2_a_lifetime_includes_its_last_instant() {
    let mut sender = Sender::new(1, 5);
    sender
        .push_with(1000, Reliability::Timed(Duration::from_millis(10)))
        .unwrap();
    sender.now += Duration::from_millis(10);
    assert_eq!(sender.flush(5), [[0]]);
}

#[test]
fn rfc3758_3_5_a3_all_fragments_are_given_up_together_with_the_rest() {
    let mut sender = Sender::new(1, 5);
    // More than the initial window takes.
    sender.push_with(100_000, Reliability::Retransmissions(0)).unwrap();
    sender.push(500).unwrap();
    let cut: u32 = sender.flush(5).iter().map(|packet| packet.len() as u32).sum();
    assert!(cut > 1 && sender.out.buffered() == 100_500);
    sender.out.on_t3_expiry(PathId(0), &mut sender.paths);
    // One TSN stands for what was not cut.
    assert_eq!(sender.flush(5), [[cut + 1]]);
    assert_eq!(sender.out.buffered(), 500);
    assert_eq!(sender.forward(5), Some((cut + 1, vec![(StreamId(0), Ssn(0))])));
    // What was acknowledged of it before counts once.
    assert_eq!(sender.sack(5, cut + 2, &[]), SackResult::Taken { progress: true });
    assert!(sender.out.is_empty());
    assert_eq!((sender.out.buffered(), sender.out.flight(PathId(0))), (0, 0));
    assert_eq!(sender.paths.get(PathId(0)).unwrap().t3_rtx, None);
}

#[test]
fn rfc3758_3_5_c2_the_point_stops_at_what_was_acknowledged_by_a_gap_block() {
    let mut sender = Sender::new(1, 5);
    for wanted in [0, 1, 0, 1] {
        let reliability = [Reliability::Retransmissions(0), Reliability::Reliable][wanted];
        sender.push_with(1000, reliability).unwrap();
    }
    sender.flush(5);
    sender.out.on_t3_expiry(PathId(0), &mut sender.paths);
    sender.sack(5, 0, &[(2, 2)]);
    sender.flush(5);
    let (point, streams) = sender.forward(5).unwrap();
    assert_eq!((point, streams), (1, vec![(StreamId(0), Ssn(0))]));
    assert!(sender.forward(5).is_none());
    // The peer moved on over what it had; the rest follows.
    sender.sack(5, 2, &[]);
    assert_eq!(sender.forward(5).unwrap().0, 3);
}

#[test]
fn rfc3758_3_5_c4_streams_that_do_not_fit_come_with_a_later_chunk() {
    let mut sender = Sender::new(1, 5);
    for stream in [0, 1, 0, 2, 0, 3] {
        let message = OutMessage {
            reliability: Reliability::Retransmissions(0),
            ..OutMessage::new(StreamId(stream), Ppid(0), Bytes::from_static(b"x"))
        };
        sender.out.push(sender.now, message, None).unwrap();
    }
    sender.flush(5);
    sender.out.on_t3_expiry(PathId(0), &mut sender.paths);
    assert!(sender.out.plan(sender.now, &sender.paths, MAX_CHUNKS).is_none());
    let mut take = |max: usize| {
        let mut skipped = Vec::new();
        let tsn = sender
            .out
            .take_forward(sender.now, PathId(0), max, &mut skipped, &mut sender.paths);
        (tsn, as_ssns(&skipped))
    };
    assert_eq!(take(0), (None, vec![]));
    assert_eq!(
        take(2),
        (Some(Tsn(7)), vec![(StreamId(0), Ssn(1)), (StreamId(1), Ssn(0))])
    );
    sender.now += Duration::from_secs(1);
    sender.sack(5, 3, &[]);
    let rest = [2, 0, 3].map(|stream| (StreamId(stream), Ssn(if stream == 0 { 2 } else { 0 })));
    let mut skipped = Vec::new();
    assert!(sender.out.forward_is_due());
    let tsn = sender
        .out
        .take_forward(sender.now, PathId(0), 3, &mut skipped, &mut sender.paths);
    assert_eq!(tsn, Some(Tsn(10)));
    let skipped = as_ssns(&skipped);
    assert!(skipped.len() == 3 && rest.iter().all(|entry| skipped.contains(entry)));
}

#[test]
fn rfc3758_3_5_f2_a_forward_tsn_is_repeated_at_most_once_a_round_trip() {
    let mut sender = Sender::new(1, 5);
    sender.push(1000).unwrap();
    sender.flush(5);
    sender.now += Duration::from_millis(100);
    sender.sack(5, 1, &[]);
    for reliability in [Reliability::Retransmissions(0), Reliability::Reliable] {
        sender.push_with(1000, reliability).unwrap();
    }
    sender.flush(5);
    sender.out.on_t3_expiry(PathId(0), &mut sender.paths);
    sender.flush(5);
    assert!(sender.forward(5).is_some());
    sender.now += Duration::from_millis(99);
    sender.sack(5, 1, &[(2, 2)]);
    assert!(sender.forward(5).is_none());
    sender.now += Duration::from_millis(1);
    sender.sack(5, 1, &[(2, 2)]);
    assert!(sender.forward(5).is_some());
}

#[test]
fn rfc7496_3_1_the_limit_counts_transmissions_after_the_first() {
    for limit in 0..4 {
        let mut sender = Sender::new(1, 5);
        sender.push_with(1000, Reliability::Retransmissions(limit)).unwrap();
        for _ in 0..=limit {
            assert_eq!(sender.flush(5), [[0]]);
            sender.out.on_t3_expiry(PathId(0), &mut sender.paths);
        }
        assert_eq!(sender.flush(5), Vec::<Vec<u32>>::new());
        assert_eq!(sender.abandoned, BTreeMap::from([(0, true)]));
    }
}

#[test]
fn rfc7496_3_2_what_is_less_important_gives_way_unsent_first() {
    let mut sender = Sender::new(1, 5);
    let piece = 1 << 18;
    for priority in [5, 7, 6] {
        sender.push_with(piece, Reliability::Priority(priority)).unwrap();
    }
    sender.push(piece).unwrap();
    // The first one is being sent.
    sender.flush(5);
    assert_eq!(
        sender.push_with(1, Reliability::Priority(7)),
        Err(SendError::WouldBlock)
    );
    assert!(sender.abandoned.is_empty());
    sender.push_with(1, Reliability::Priority(6)).unwrap();
    sender.collect();
    assert_eq!(sender.abandoned, BTreeMap::from([(1, false)]));
    // More than all of a lower priority: nothing is given up for it.
    assert_eq!(
        sender.push_with(3 * piece, Reliability::Priority(5)),
        Err(SendError::WouldBlock)
    );
    sender.collect();
    assert_eq!(sender.abandoned.len(), 1);
    // Reliable messages are the most important ones.
    sender.push(3 * piece).unwrap();
    sender.collect();
    assert_eq!(
        sender.abandoned,
        BTreeMap::from([(0, true), (1, false), (2, false), (4, false)])
    );
    assert_eq!(sender.out.buffered(), 4 * piece);
}

#[test]
fn rfc3758_3_3_2_without_a_peer_that_knows_it_everything_is_reliable() {
    let mut sender = Sender::new(1, 5);
    assert!(sender.out.set_peer(1 << 20, 10, false).is_empty());
    sender.push_with(1000, Reliability::Timed(Duration::ZERO)).unwrap();
    sender.push_with(1000, Reliability::Retransmissions(0)).unwrap();
    sender.push_with((1 << 20) - 2000, Reliability::Priority(9)).unwrap();
    assert_eq!(sender.push(1), Err(SendError::WouldBlock));
    for _ in 0..3 {
        sender.now += Duration::from_secs(1);
        assert_eq!(sender.flush(5).first(), Some(&vec![0]));
        sender.out.on_t3_expiry(PathId(0), &mut sender.paths);
    }
    assert!(sender.abandoned.is_empty() && !sender.out.forward_is_due());
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize, Reliability),
    Forward,
    Flush,
    /// A SACK with random numbers, near the truth or not.
    Sack {
        cumulative: u32,
        gaps: Vec<(u16, u16)>,
    },
    Timeout(u8),
}

fn reliability() -> impl Strategy<Value = Reliability> {
    prop_oneof![
        Just(Reliability::Reliable),
        (0u64..60).prop_map(|ms| Reliability::Timed(Duration::from_millis(ms))),
        (0u16..3).prop_map(Reliability::Retransmissions),
        (0u32..4).prop_map(Reliability::Priority),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let gaps = prop::collection::vec((0u16..40, 0u16..40), 0..5);
    prop_oneof![
        (prop_oneof![9 => 1usize..5000, 1 => 1usize..400_000], reliability())
            .prop_map(|(len, reliability)| Step::Push(len, reliability)),
        Just(Step::Forward),
        Just(Step::Flush),
        (0u32..40, gaps).prop_map(|(cumulative, gaps)| Step::Sack { cumulative, gaps }),
        (0u8..2).prop_map(Step::Timeout),
    ]
}

#[test]
fn rfc9260_6_1_d_a_sack_allows_a_burst_even_if_all_it_covers_was_given_up() {
    let mut sender = Sender::new(1, 0);
    sender
        .push_with(20_000, Reliability::Timed(Duration::from_millis(10)))
        .unwrap();
    sender.flush(0);
    sender.now += Duration::from_millis(20);
    loop {
        sender.push(1000).unwrap();
        if sender.flush(0).is_empty() {
            break;
        }
    }
    sender.collect();
    let covered = sender.forward(0).unwrap().0;
    sender.sack(0, covered, &[]);
    assert!(!sender.flush(0).is_empty());
}

proptest! {
    /// Whatever a peer claims, the books balance, and an honest end empties them.
    #[test]
    fn whatever_the_peer_acknowledges_the_books_balance(steps in prop::collection::vec(step(), 1..60), initial: u32) {
        let mut sender = Sender::new(2, initial);
        for step in steps {
            sender.now += Duration::from_millis(10);
            match step {
                Step::Push(len, reliability) => {
                    let _ = sender.push_with(len, reliability);
                    sender.collect();
                }
                Step::Forward => drop(sender.forward(initial)),
                Step::Flush => drop(sender.flush(initial)),
                Step::Sack { cumulative, gaps } => drop(sender.sack(initial, cumulative, &gaps)),
                Step::Timeout(path) => {
                    sender.out.on_t3_expiry(PathId(path), &mut sender.paths);
                }
            }
            sender.out.outstanding.check_invariants();
        }
        for _ in 0..10_000 {
            if sender.out.is_empty() {
                break;
            }
            sender.now += Duration::from_secs(1);
            sender.flush(initial);
            sender.forward(initial);
            let all = u32::try_from(sender.out.outstanding.end()).unwrap();
            sender.sack(initial, all, &[]);
        }
        prop_assert!(sender.out.is_empty());
        prop_assert_eq!(sender.out.buffered(), 0);
        prop_assert_eq!(sender.out.flight(PathId(0)) + sender.out.flight(PathId(1)), 0);
    }
}
