//! The sender against a naive model of what may be where.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::config::AssociationConfig;
use crate::path::{Path, PathState};
use crate::serial::{Ppid, StreamId};

const MAX_CHUNKS: usize = 1240;

struct Sender {
    now: Instant,
    out: Outbound,
    paths: PathSet,
    /// Every TSN sent so far, with the message bytes it carried.
    sent: Vec<Vec<u8>>,
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
        }
    }

    fn push(&mut self, len: usize) -> Result<(), SendError> {
        let message = OutMessage::new(StreamId(0), Ppid(0), Bytes::from(vec![7; len]));
        self.out.push(self.now, message, None)
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
                let len = chunk_len(chunk.payload.len());
                assert!(len <= room, "a packet overflows");
                room -= len;
                let offset = chunk.tsn.steps_from(Tsn(initial));
                if offset as usize == self.sent.len() {
                    self.sent.push(chunk.payload.to_vec());
                } else {
                    assert_eq!(self.sent[offset as usize], chunk.payload, "a retransmission differs");
                }
                packet.push(offset);
            }
            assert!(!packet.is_empty(), "a plan without a chunk");
            self.out.packet_sent(plan, fill.chunks());
            self.out.outstanding.check_invariants();
            packets.push(packet);
        }
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

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Flush,
    /// A SACK with random numbers, near the truth or not.
    Sack {
        cumulative: u32,
        gaps: Vec<(u16, u16)>,
    },
    Timeout(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let gaps = prop::collection::vec((0u16..40, 0u16..40), 0..5);
    prop_oneof![
        (1usize..5000).prop_map(Step::Push),
        Just(Step::Flush),
        (0u32..40, gaps).prop_map(|(cumulative, gaps)| Step::Sack { cumulative, gaps }),
        (0u8..2).prop_map(Step::Timeout),
    ]
}

proptest! {
    /// Whatever a peer claims, the books balance, and an honest end empties them.
    #[test]
    fn whatever_the_peer_acknowledges_the_books_balance(steps in prop::collection::vec(step(), 1..60), initial: u32) {
        let mut sender = Sender::new(2, initial);
        for step in steps {
            sender.now += Duration::from_millis(10);
            match step {
                Step::Push(len) => drop(sender.push(len)),
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
            let all = u32::try_from(sender.sent.len()).unwrap();
            sender.sack(initial, all, &[]);
        }
        prop_assert!(sender.out.is_empty());
        prop_assert_eq!(sender.out.buffered(), 0);
        prop_assert_eq!(sender.out.flight(PathId(0)) + sender.out.flight(PathId(1)), 0);
    }
}
