//! Counters and snapshots by the SCTP MIB (RFC 3873).

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{A, B, Flow, Pair, Setup, connected, ms, secs, transfer};
use sctp::sim::Verdict;
use sctp::wire::ChunkType;
use sctp::{AssocId, AssociationPhase, SnapshotCursor, Stack, StackStats};

fn stats(pair: &Pair, side: usize) -> StackStats {
    pair.world.peek(pair.hosts[side]).stats()
}

/// The counters that are not zero, by name.
fn named(stats: StackStats) -> BTreeMap<&'static str, u64> {
    stats.counters().filter(|(_, count)| *count > 0).collect()
}

/// The associations of a stack, so many at a time.
fn walk(stack: &Stack, limit: usize) -> Vec<AssocId> {
    let mut found = Vec::new();
    let mut from = Some(SnapshotCursor::default());
    while let Some(cursor) = from {
        let page = stack.associations(cursor, limit);
        assert!(page.associations.len() <= limit);
        found.extend(page.associations.iter().map(|association| association.id));
        from = page.next;
    }
    found
}

/// What a side has put on the first link: control chunks, ordered and unordered DATA chunks.
fn chunks_sent(pair: &Pair, side: usize) -> (u64, u64, u64) {
    let mut count = (0, 0, 0);
    for packet in pair.sent(side) {
        for chunk in &packet.chunks {
            match chunk.kind {
                ChunkType::DATA if chunk.flags & 4 != 0 => count.2 += 1,
                ChunkType::DATA => count.1 += 1,
                _ => count.0 += 1,
            }
        }
    }
    count
}

#[test]
fn rfc3873_the_statistics_of_a_stack_count_what_is_on_the_wire() {
    let mut pair = Setup::single().build();
    pair.world.capture(pair.links[0]);
    pair.connect();
    let flows = &mut [
        Flow::new(A, 200).sizes(&[10, 500, 4000]).unordered_every(3),
        Flow::new(B, 20),
    ];
    transfer(&mut pair, flows, secs(60));
    // What is under way arrives.
    pair.run(secs(1));
    assert_eq!(stats(&pair, A).current_established, 1);
    for (side, other) in [(A, B), (B, A)] {
        let (own, peer) = (stats(&pair, side), stats(&pair, other));
        let (control, ordered, unordered) = chunks_sent(&pair, side);
        assert_eq!(own.control_chunks_sent, control, "side {side}");
        assert_eq!(
            (own.ordered_chunks_sent, own.unordered_chunks_sent),
            (ordered, unordered)
        );
        assert_eq!(own.data_chunks_retransmitted, 0);
        assert_eq!(peer.control_chunks_received, control);
        assert_eq!(
            (peer.ordered_chunks_received, peer.unordered_chunks_received),
            (ordered, unordered)
        );
        assert_eq!(own.messages_fragmented, peer.messages_reassembled);
        assert_eq!(own.packets_sent, peer.packets_received);
    }
    // Every third message has 4000 bytes, which is more than a packet.
    assert_eq!(stats(&pair, A).messages_fragmented, 66);
    assert!(stats(&pair, A).unordered_chunks_sent > 66);
    pair.shutdown(A);
    pair.must("it ends", secs(5), |pair| pair.ends(A) + pair.ends(B) == 2);
    let (a, b) = (named(stats(&pair, A)), named(stats(&pair, B)));
    assert_eq!((a["sctpActiveEstabs"], b["sctpPassiveEstabs"]), (1, 1));
    assert_eq!((a["sctpShutdowns"], b["sctpShutdowns"]), (1, 1));
    assert!(!a.contains_key("sctpCurrEstab") && !b.contains_key("sctpCurrEstab"));
    assert!(!a.contains_key("sctpAborteds"));
}

#[test]
fn rfc3873_sctp_curr_estab_is_the_associations_that_are_open() {
    let mut pair = connected(Setup::single());
    pair.say(A, 0, b"one more");
    pair.shutdown(A);
    // SHUTDOWN-PENDING counts.
    assert_eq!(pair.phase(A), Some(AssociationPhase::ShutdownPending));
    assert_eq!(stats(&pair, A).current_established, 1);
    pair.must("it ends", secs(5), |pair| {
        pair.phase(A).is_none_or(|phase| phase == AssociationPhase::Closed)
    });
    assert_eq!(stats(&pair, A).current_established, 0);
    let mut pair = connected(Setup::single());
    pair.abort(B, b"enough");
    pair.run(ms(100));
    for side in [A, B] {
        assert_eq!(
            (stats(&pair, side).current_established, stats(&pair, side).aborted),
            (0, 1)
        );
    }
}

#[test]
fn rfc3873_what_is_lost_counts_as_sent_again_on_its_path_and_not_as_sent_twice() {
    let link = common::wire(ms(10)).loss(0.1);
    let mut pair = connected(Setup::dual().seed(5).link(&link));
    transfer(&mut pair, &mut [Flow::new(A, 400).sizes(&[800])], secs(600));
    pair.run(secs(5));
    let (status, peer) = (pair.status(A).unwrap(), pair.status(B).unwrap());
    let (stats, again) = (status.stats, status.stats.data_chunks_retransmitted);
    assert!(again > 10, "{stats}");
    assert_eq!(stats.data_chunks_sent, 400);
    assert!(peer.stats.out_of_order_tsns > 10 && stats.gap_ack_blocks_received > 10);
    let paths = status.paths.iter();
    assert_eq!(
        paths
            .clone()
            .map(|path| path.stats.data_chunks_retransmitted)
            .sum::<u64>(),
        again
    );
    assert_eq!(
        paths.clone().map(|path| path.stats.packets_sent).sum::<u64>(),
        stats.packets_sent
    );
    assert_eq!(
        paths.map(|path| path.stats.bytes_received).sum::<u64>(),
        stats.bytes_received
    );
    let stack = self::stats(&pair, A);
    assert_eq!(
        (stack.ordered_chunks_sent, stack.data_chunks_retransmitted),
        (400, again)
    );
    let received = self::stats(&pair, B);
    assert_eq!(
        (received.ordered_chunks_received, received.duplicate_tsns),
        (400, peer.stats.duplicate_tsns)
    );
}

#[test]
fn rfc3873_the_tables_have_what_the_mib_asks_for() {
    let mut pair = Setup::dual().build();
    pair.run(secs(2));
    let mut lost = 0;
    pair.world.set_filter(pair.links[0], move |_, packet| {
        lost += usize::from(packet.has(ChunkType::INIT));
        if lost == 1 && packet.has(ChunkType::INIT) {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    pair.connect();
    pair.run(secs(60));
    let page = pair
        .world
        .peek(pair.hosts[A])
        .associations(SnapshotCursor::default(), 10);
    let [association] = page.associations.as_slice() else {
        panic!("{page:?}")
    };
    assert_eq!((association.id, page.next), (pair.assoc(A), None));
    let status = &association.status;
    // After T1-init expired once.
    assert_eq!(status.stats.t1_expiries, 1);
    let established = status.established_at.unwrap() - sctp::Instant::ZERO;
    assert!((secs(3)..ms(3100)).contains(&established), "{established:?}");
    assert_eq!(
        (status.max_retrans, status.local_port, status.peer_port),
        (10, common::PORT_A, common::PORT_B)
    );
    let [one, two] = status.paths.as_slice() else {
        panic!("{status:?}")
    };
    assert_eq!(one.added_at - sctp::Instant::ZERO, secs(2));
    for path in [one, two] {
        assert_eq!((path.heartbeat_interval, path.max_retrans), (Some(secs(30)), 5));
        assert!(path.stats.heartbeats_sent > 0);
        assert_eq!(path.stats.heartbeats_sent, path.stats.heartbeats_answered);
        assert!(path.rttvar.is_some() && path.srtt.is_some());
    }
    let lines = association.to_string();
    assert!(lines.starts_with(&format!("association {} ESTABLISHED port 5000 to 5001", association.id)));
    assert_eq!(lines.lines().count(), 4, "{lines}");
}

#[test]
fn a_walk_in_pages_meets_every_association_once() {
    let mut pair = Setup::single().backlog(100).build();
    let endpoint = pair.endpoint(A);
    let _ = endpoint;
    let peer = [pair.address(B, 0)];
    let mut opened = BTreeSet::new();
    for port in 7000..7025 {
        let now = pair.now();
        let stack = pair.world.stack(pair.hosts[A]);
        let own = stack
            .bind(sctp::config::EndpointConfig {
                port: Some(port),
                ..Default::default()
            })
            .unwrap();
        let options = sctp::ConnectOptions::default();
        opened.insert(stack.connect(now, own, &peer, common::PORT_B, options).unwrap());
    }
    pair.run(secs(1));
    let stack = pair.world.peek(pair.hosts[A]);
    for limit in [1, 7, 1000] {
        let found = walk(stack, limit);
        assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), opened);
        assert!(found.is_sorted(), "in the order of their ids");
    }
    // Some go, and leave holes.
    let gone: Vec<AssocId> = opened.iter().copied().step_by(2).collect();
    for id in gone {
        let now = pair.now();
        pair.world.stack(pair.hosts[A]).release(now, id);
        opened.remove(&id);
    }
    pair.run(secs(1));
    let stack = pair.world.peek(pair.hosts[A]);
    assert_eq!(walk(stack, 3).into_iter().collect::<BTreeSet<_>>(), opened);
    assert_eq!(
        (stack.snapshot().associations, stack.stats().current_established),
        (12, 12)
    );
}

#[test]
fn snapshots_are_json_with_the_names_of_the_mib() {
    let pair = connected(Setup::single());
    let stack = pair.world.peek(pair.hosts[A]);
    let json = serde_json::to_value(stack.snapshot()).unwrap();
    assert_eq!(json["stats"]["sctpActiveEstabs"], 1);
    assert_eq!(json["parameters"]["rto_initial"], 1.0);
    let page = stack.associations(SnapshotCursor::default(), 1);
    let json = serde_json::to_value(&page.associations).unwrap();
    assert_eq!(json[0]["phase"], "established");
    assert_eq!(json[0]["id"], pair.assoc(A).to_string());
    assert_eq!(json[0]["paths"][0]["state"], "active");
    assert_eq!(json[0]["paths"][0]["stats"]["sctpAssocRemAddrRtx"], 0);
    let text = stack.snapshot().to_string();
    assert!(text.contains("sctpActiveEstabs                 1\n"), "{text}");
}

#[test]
fn an_end_point_adds_up_what_its_associations_count_and_forgets_nothing() {
    let mut pair = connected(Setup::single());
    let endpoint = pair.endpoint(A);
    let stats = |pair: &Pair| {
        let stack = pair.world.peek(pair.hosts[A]);
        let mut sum = stack.ended_stats(endpoint).unwrap();
        let mut after = None;
        loop {
            let (open, last) = stack.open_stats(endpoint, after, 1);
            sum += open;
            after = last;
            if after.is_none() {
                return sum;
            }
        }
    };
    pair.say(A, 0, b"one");
    pair.run(secs(1));
    assert_eq!(stats(&pair).messages_sent, 1);
    pair.shutdown(A);
    pair.must("it ends", secs(5), |pair| pair.ends(A) + pair.ends(B) == 2);
    pair.run(secs(1));
    assert_eq!(pair.world.peek(pair.hosts[A]).snapshot().associations, 0);
    let ended = stats(&pair);
    assert_eq!((ended.messages_sent, ended.data_chunks_sent), (1, 1));
}
