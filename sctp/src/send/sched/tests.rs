//! The schedulers on streams that always have something to send.

use std::collections::BTreeMap;

use super::*;

fn all_busy(kind: StreamScheduler, streams: &[u16]) -> Scheduler {
    let mut scheduler = Scheduler::new(kind);
    for (head, &stream) in (0..).zip(streams) {
        scheduler.wake(StreamId(stream), head, 0);
    }
    scheduler
}

/// Serves so many chunks whose size depends on the stream; who got them.
fn serve(
    scheduler: &mut Scheduler,
    chunks: usize,
    size: impl Fn(u16) -> usize,
    value: impl Fn(u16) -> u16,
) -> Vec<u16> {
    let mut order = Vec::new();
    for _ in 0..chunks {
        let stream = scheduler.next().unwrap();
        scheduler.served(stream, size(stream.0), value(stream.0));
        order.push(stream.0);
    }
    order
}

#[test]
fn rfc8260_3_2_each_busy_stream_has_its_turn() {
    let mut scheduler = all_busy(StreamScheduler::RoundRobin, &[5, 1, 9]);
    assert_eq!(serve(&mut scheduler, 7, |_| 1, |_| 0), [1, 5, 9, 1, 5, 9, 1]);
    scheduler.sleep(StreamId(5));
    assert_eq!(serve(&mut scheduler, 3, |_| 1, |_| 0), [9, 1, 9]);
    scheduler.wake(StreamId(5), 9, 0);
    scheduler.sleep(StreamId(9));
    assert_eq!(serve(&mut scheduler, 3, |_| 1, |_| 0), [1, 5, 1]);
}

#[test]
fn rfc8260_3_3_a_packet_belongs_to_one_stream() {
    let mut scheduler = all_busy(StreamScheduler::RoundRobinPerPacket, &[0, 1]);
    assert_eq!(serve(&mut scheduler, 3, |_| 1, |_| 0), [0, 0, 0]);
    scheduler.sleep(StreamId(0));
    assert_eq!(scheduler.next(), None);
    scheduler.end_packet();
    assert_eq!(serve(&mut scheduler, 2, |_| 1, |_| 0), [1, 1]);
}

#[test]
fn rfc8260_3_4_the_lowest_value_goes_first_and_can_be_changed() {
    let mut scheduler = Scheduler::new(StreamScheduler::Priority);
    for (stream, head, value) in [(0, 0, 7), (1, 3, 2), (2, 2, 2), (3, 1, 9)] {
        scheduler.wake(StreamId(stream), head, value);
    }
    assert_eq!(scheduler.next(), Some(StreamId(2)));
    scheduler.head_changed(StreamId(2), 4);
    assert_eq!(scheduler.next(), Some(StreamId(1)));
    scheduler.value_changed(StreamId(3), 0);
    assert_eq!(scheduler.next(), Some(StreamId(3)));
    scheduler.sleep(StreamId(3));
    assert_eq!(scheduler.next(), Some(StreamId(1)));
}

fn shares(order: &[u16], size: impl Fn(u16) -> usize) -> BTreeMap<u16, usize> {
    let mut shares = BTreeMap::new();
    for &stream in order {
        *shares.entry(stream).or_default() += size(stream);
    }
    shares
}

#[test]
fn rfc8260_3_5_streams_get_the_same_bytes_whatever_their_sizes() {
    let size = |stream: u16| [100, 1400, 700][usize::from(stream)];
    let mut scheduler = all_busy(StreamScheduler::FairCapacity, &[0, 1, 2]);
    let got = shares(&serve(&mut scheduler, 2000, size, |_| 0), size);
    let (least, most) = (got.values().min().unwrap(), got.values().max().unwrap());
    assert!(most - least <= 2 * 1400, "{got:?}");
}

#[test]
fn rfc8260_3_6_streams_share_by_weight() {
    let size = |stream: u16| [1400, 300, 900][usize::from(stream)];
    let weight = |stream: u16| [1, 2, 4][usize::from(stream)];
    let mut scheduler = all_busy(StreamScheduler::WeightedFairQueueing, &[0, 1, 2]);
    let got = shares(&serve(&mut scheduler, 3000, size, weight), size);
    for stream in [1, 2] {
        let ratio = got[&stream] as f64 / got[&0] as f64;
        assert!((ratio / f64::from(weight(stream)) - 1.0).abs() < 0.02, "{got:?}");
    }
}

#[test]
fn rfc8260_3_5_a_stream_that_is_idle_between_messages_does_not_outrun_the_others() {
    let mut scheduler = all_busy(StreamScheduler::FairCapacity, &[0]);
    let mut got = [0_u32; 2];
    for _ in 0..1000 {
        scheduler.wake(StreamId(1), 0, 0);
        let stream = scheduler.next().unwrap();
        scheduler.served(stream, 1000, 0);
        got[usize::from(stream.0)] += 1;
        if stream == StreamId(1) {
            scheduler.sleep(stream);
        }
    }
    assert!(got[0].abs_diff(got[1]) <= 2, "{got:?}");
}

#[test]
fn idle_streams_are_forgotten() {
    let mut fair = FairCapacity::default();
    fair.wake(StreamId(0));
    for stream in 1..5000 {
        fair.wake(StreamId(stream));
        fair.served(StreamId(stream), 10);
        fair.sleep(StreamId(stream));
        fair.served(StreamId(0), 20);
    }
    assert!(fair.remembered() < 10);
    fair.sleep(StreamId(0));
    assert_eq!(fair.remembered(), 0);
}

/// With all streams busy, which a decision that looks at each would make slow beyond bearing.
#[test]
fn rfc8260_3_every_stream_of_65535_has_its_turn() {
    const KINDS: [StreamScheduler; 4] = [
        StreamScheduler::RoundRobin,
        StreamScheduler::RoundRobinPerPacket,
        StreamScheduler::FairCapacity,
        StreamScheduler::WeightedFairQueueing,
    ];
    let streams: Vec<u16> = (0..u16::MAX).collect();
    for kind in KINDS {
        let mut scheduler = all_busy(kind, &streams);
        let mut got = vec![0; streams.len()];
        for _ in 0..3 * streams.len() {
            let stream = scheduler.next().unwrap();
            scheduler.served(stream, 1000, 3);
            scheduler.end_packet();
            got[usize::from(stream.0)] += 1;
        }
        assert!(got.iter().all(|count| *count == 3), "{kind:?}");
    }
    for kind in [StreamScheduler::FirstComeFirstServed, StreamScheduler::Priority] {
        let mut scheduler = all_busy(kind, &streams);
        for &stream in &streams {
            assert_eq!(scheduler.next(), Some(StreamId(stream)));
            scheduler.sleep(StreamId(stream));
        }
        assert_eq!(scheduler.next(), None);
    }
}
