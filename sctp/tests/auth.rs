//! Authenticated chunks (RFC 4895) on the way out and in: between two stacks, and between a stack and a scripted peer
//! that makes its own HMACs.

mod common;

use common::auth::{AuthScript, SHA1, SHA256, auth_chunk, established, next_data, requiring, stats, z_requiring};
use common::{A, Answer, B, Flow, Pair, Peer, PeerSetup, Setup, data_chunks, ms, secs, transfer, wire};
use sctp::serial::SharedKeyId;
use sctp::sim::LinkConfig;
use sctp::wire::{ChunkType, HmacId, write_chunk, write_heartbeat, write_shutdown, write_shutdown_ack};
use sctp::{AssociationPhase, Event};

#[test]
fn rfc4895_6_2_what_the_peer_wants_comes_authenticated() {
    for hmacs in [vec![SHA1], vec![SHA256, SHA1], vec![2, 77, SHA256, SHA1]] {
        let mut peer = z_requiring(&[]);
        let mut auth = AuthScript::new(&[ChunkType::DATA, ChunkType::HEARTBEAT, ChunkType::SHUTDOWN]);
        auth.hmacs = hmacs;
        peer.establish_with_auth(&mut auth);
        let expected = if auth.hmacs == [SHA1] { SHA1 } else { SHA256 };

        peer.z_says(b"hello");
        let data = peer.answer();
        assert_eq!(data.kinds(), [ChunkType::AUTH, ChunkType::DATA]);
        assert_eq!(auth.open(&data), Some((0, expected, vec![ChunkType::DATA])));

        // A SACK need not be, but for what is bundled with it.
        peer.say(b"first");
        let sack = peer.answer();
        assert_eq!(sack.kinds(), [ChunkType::SACK]);

        let address = peer.address(0);
        let (now, assoc) = (peer.world.now(), peer.assoc.unwrap());
        peer.world.stack(peer.z).request_heartbeat(now, assoc, address).unwrap();
        let heartbeat = peer.answer();
        assert_eq!(auth.open(&heartbeat).unwrap().2, [ChunkType::HEARTBEAT]);

        peer.send_sack(0, 100_000, &[]);
        peer.answers();
        peer.z_shuts_down();
        let shutdown = peer.answer();
        assert_eq!(auth.open(&shutdown).unwrap().2, [ChunkType::SHUTDOWN]);
        peer.send(write_shutdown_ack);
        assert_eq!(peer.answer().kinds(), [ChunkType::SHUTDOWN_COMPLETE], "never");
    }
}

#[test]
fn rfc4895_6_2_what_comes_before_need_not_be_covered() {
    let (mut peer, auth) = established(&[], &[ChunkType::DATA]);
    peer.say(b"first");
    peer.z_says(b"hello");
    let answers = peer.answers();
    let bundled: Vec<&Answer> = answers.iter().filter(|a| a.has(ChunkType::DATA)).collect();
    for answer in &bundled {
        assert_eq!(auth.open(answer).unwrap().2, [ChunkType::DATA], "{answer:?}");
    }
    assert_eq!(bundled.len(), 1);
}

#[test]
fn rfc4895_6_2_all_chunk_types_can_be_wanted() {
    let all: Vec<ChunkType> = (0..=255).map(ChunkType).collect();
    let (mut peer, auth) = established(&[], &all);
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    peer.say(b"first");
    peer.send(|buf| write_heartbeat(buf, b"12345678"));
    peer.send(|buf| write_chunk(buf, ChunkType(0xfe), 0, b"what is this"));
    (0..3).for_each(|_| peer.z_says(&[7; 3000]));
    let mut kinds = Vec::new();
    for answer in peer.run(ms(300)) {
        let (_, _, covered) = auth.open(&answer).expect("an AUTH");
        assert_eq!(covered.len() + 1, answer.chunks.len(), "AUTH comes first");
        assert!(answer.size <= 1280, "{} bytes", answer.size);
        kinds.extend(covered);
    }
    for kind in [
        ChunkType::SACK,
        ChunkType::HEARTBEAT_ACK,
        ChunkType::ERROR,
        ChunkType::DATA,
    ] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    let (now, assoc) = (peer.world.now(), peer.assoc.unwrap());
    let reason = bytes::Bytes::from_static(b"enough");
    peer.world.stack(peer.z).abort(now, assoc, reason).unwrap();
    let abort = peer.answers();
    assert_eq!(auth.open(&abort[0]).unwrap().2, [ChunkType::ABORT]);
}

#[test]
fn rfc4895_6_2_packets_with_auth_fill_the_path() {
    for hmacs in [vec![SHA1], vec![SHA256, SHA1]] {
        let mut peer = z_requiring(&[]);
        let mut auth = AuthScript::new(&[ChunkType::DATA]);
        auth.hmacs = hmacs;
        peer.establish_with_auth(&mut auth);
        peer.z_says(&vec![1; 20_000]);
        let answers = peer.answers();
        assert!(answers.len() >= 3);
        for answer in &answers {
            assert_eq!(auth.open(answer).unwrap().2, [ChunkType::DATA]);
            assert!((1277..=1280).contains(&answer.size), "{} bytes", answer.size);
        }
    }
}

#[test]
fn rfc4895_6_2_room_is_left_for_an_auth_that_only_control_chunks_need() {
    let (mut peer, auth) = established(&[], &[ChunkType::SACK]);
    // A SACK and as much DATA as fits beside it.
    peer.say(b"first");
    peer.answers();
    peer.say(b"second");
    peer.expect_silence();
    peer.z_says(&[1; 6000]);
    let answers = peer.answers();
    assert!(
        answers.iter().any(|a| a.has(ChunkType::SACK) && a.has(ChunkType::DATA)),
        "{answers:?}"
    );
    for answer in &answers {
        assert!(answer.size <= 1280, "{} bytes", answer.size);
        assert_eq!(auth.open(answer).is_some(), answer.has(ChunkType::SACK), "{answer:?}");
    }
    let full = answers.iter().filter(|answer| !answer.has(ChunkType::SACK));
    assert_eq!(
        full.map(|answer| answer.size).max(),
        Some(1280),
        "other packets are full"
    );
    // A SACK with more gaps than there is room for.
    let sent = data_chunks(&answers).len() as u32;
    peer.send_sack(sent - 1, 100_000, &[]);
    peer.answers();
    let first = peer.tsn;
    for n in 0..500 {
        let mut header = Peer::header(first.plus(2 * n + 1), 0, 0);
        header.unordered = true;
        peer.send_data(&header, b"x");
    }
    let largest = peer.answers().iter().map(|answer| answer.size).max();
    assert!((Some(1100)..=Some(1280)).contains(&largest), "{largest:?}");
}

#[test]
fn rfc4895_6_3_required_chunks_are_dropped_without_auth() {
    let (mut peer, auth) = established(&[ChunkType::DATA], &[]);
    let data = next_data(&mut peer, b"plain");
    let mut bytes = Vec::new();
    data(&mut bytes);
    peer.send(|buf| buf.extend(&bytes));
    peer.expect_silence();
    assert!(peer.z_hears().is_empty());
    assert_eq!(stats(&peer).unauthenticated_chunks_dropped, 1);
    // The same chunk, authenticated.
    peer.send_sealed(&auth, |buf| buf.extend(&bytes));
    assert!(peer.answer().has(ChunkType::SACK));
    assert_eq!(peer.z_hears_payloads(), [&b"plain"[..]]);
}

#[test]
fn rfc4895_6_3_what_is_not_required_is_taken_either_way() {
    let (mut peer, auth) = established(&[ChunkType::ASCONF], &[]);
    peer.say(b"plain");
    assert!(peer.answer().has(ChunkType::SACK));
    let data = next_data(&mut peer, b"sealed");
    peer.send_sealed(&auth, data);
    peer.run(ms(300));
    assert_eq!(peer.z_hears_payloads(), [&b"plain"[..], b"sealed"]);
}

#[test]
fn rfc4895_6_3_chunks_before_auth_are_not_authenticated() {
    let (mut peer, auth) = established(&[ChunkType::DATA], &[]);
    let (before, behind) = (next_data(&mut peer, b"before"), next_data(&mut peer, b"behind"));
    let sealed = auth.seal(behind);
    peer.send(|buf| {
        before(buf);
        buf.extend(sealed);
    });
    let sack = peer.answer();
    let (cumulative, gaps, _) = common::sack_of(&sack);
    assert_eq!(
        (cumulative, gaps),
        (peer.tsn.minus(3), vec![(2, 2)]),
        "only the second one arrived"
    );
}

#[test]
fn rfc4895_6_3_with_a_wrong_hmac_the_rest_of_the_packet_is_dropped() {
    for hmac in [SHA1, SHA256] {
        let (mut peer, mut auth) = established(&[ChunkType::DATA], &[]);
        auth.hmac = hmac;
        let data = next_data(&mut peer, b"forged");
        let mut sealed = auth.seal(|buf| {
            write_heartbeat(buf, b"behind it");
            data(buf);
        });
        sealed[12] ^= 1;
        peer.send(|buf| {
            write_heartbeat(buf, b"before it");
            buf.extend(sealed);
        });
        let answer = peer.answer();
        assert_eq!(answer.kinds(), [ChunkType::HEARTBEAT_ACK], "what comes before counts");
        assert!(answer.chunks[0].value.ends_with(b"before it"));
        assert!(peer.z_hears().is_empty());
        assert_eq!(stats(&peer).auth_failures, 1);
    }
}

#[test]
fn rfc4895_4_1_an_hmac_that_was_not_offered_is_reported() {
    let mut config = requiring(&[ChunkType::DATA]);
    config.auth_mut().set_hmacs(&[HmacId::SHA1]).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association: config,
        ..PeerSetup::default()
    });
    let mut auth = AuthScript::new(&[]);
    peer.establish_with_auth(&mut auth);
    for hmac in [SHA256, 2, 0xfff0] {
        let chunk = auth_chunk(0, hmac, &[0; 32]);
        peer.send(|buf| {
            buf.extend(chunk);
            write_heartbeat(buf, b"behind it");
        });
        let answer = peer.answer();
        assert_eq!(answer.kinds(), [ChunkType::ERROR]);
        let causes = &answer.chunks[0].value;
        assert_eq!(
            causes[..],
            [1, 5, 0, 6, (hmac >> 8) as u8, hmac as u8, 0, 0][..causes.len()]
        );
        assert!(causes.len() >= 6);
    }
}

#[test]
fn rfc4895_6_3_a_key_that_is_not_there_is_dropped_silently() {
    let (mut peer, auth) = established(&[], &[]);
    let auth = auth.with_key(1, b"one");
    let sealed = auth.seal_with(1, |buf| write_heartbeat(buf, b"behind it"));
    peer.send(|buf| buf.extend(sealed));
    peer.expect_silence();
}

#[test]
fn rfc4895_5_1_a_second_auth_ends_the_packet() {
    let (mut peer, auth) = established(&[], &[]);
    let inner = auth.seal(|buf| write_heartbeat(buf, b"behind two"));
    peer.send_sealed(&auth, |buf| {
        write_heartbeat(buf, b"behind one");
        buf.extend(inner);
    });
    let answer = peer.answer();
    assert_eq!(answer.kinds(), [ChunkType::HEARTBEAT_ACK]);
    assert!(answer.chunks[0].value.ends_with(b"behind one"));
}

#[test]
fn rfc4895_5_auth_is_an_unknown_chunk_to_who_does_not_offer_it() {
    let mut peer = Peer::new();
    let auth = AuthScript::new(&[]);
    peer.establish_with(|w| auth.write_params(w));
    assert!(!peer.status().unwrap().authentication);
    peer.send(|buf| {
        write_heartbeat(buf, b"before it");
        buf.extend(auth_chunk(0, SHA1, &[0; 20]));
        write_heartbeat(buf, b"behind it");
    });
    let answer = peer.answer();
    assert_eq!(answer.kinds(), [ChunkType::HEARTBEAT_ACK]);
}

#[test]
fn rfc4895_3_2_the_peer_cannot_ask_for_chunks_that_are_never_authenticated() {
    let never = [
        ChunkType::INIT,
        ChunkType::INIT_ACK,
        ChunkType::SHUTDOWN_COMPLETE,
        ChunkType::AUTH,
    ];
    let (mut peer, auth) = established(&[], &never);
    let nothing = peer.z_tsn.minus(1);
    peer.send_sealed(&auth, |buf| write_shutdown(buf, nothing));
    let answer = peer.answer();
    assert_eq!(answer.kinds(), [ChunkType::SHUTDOWN_ACK]);
    assert_eq!(
        peer.world.peek(peer.z).peer_auth_chunks(peer.assoc.unwrap()),
        Some(vec![])
    );
}

/// Two stacks that require the same, with a key other than the null key.
fn pair_requiring(kinds: &[ChunkType], setup: Setup) -> Setup {
    let kinds = kinds.to_vec();
    setup.config(move |config| {
        *config.auth_mut() = requiring(&kinds).auth().clone();
        let keys = config.auth_mut().keys_mut();
        keys.set(SharedKeyId(1), b"a secret of both");
        keys.set_active(SharedKeyId(1)).unwrap();
    })
}

/// Everything that may be authenticated.
fn everything() -> Vec<ChunkType> {
    let never = [
        ChunkType::INIT,
        ChunkType::INIT_ACK,
        ChunkType::SHUTDOWN_COMPLETE,
        ChunkType::AUTH,
    ];
    (0..=255).map(ChunkType).filter(|kind| !never.contains(kind)).collect()
}

fn sizes() -> Vec<usize> {
    vec![8, 60, 1200, 1253, 5000, 70_000]
}

fn check_no_failures(pair: &Pair) {
    for side in [A, B] {
        let stats = pair.status(side).unwrap().stats;
        let wrong = (stats.auth_failures, stats.unauthenticated_chunks_dropped);
        assert_eq!(wrong, (0, 0), "side {side}");
        assert!(stats.auth_chunks_received > 0);
    }
}

#[test]
fn rfc4895_6_a_transfer_both_ways_with_everything_authenticated() {
    for kinds in [
        everything(),
        vec![ChunkType::DATA],
        vec![ChunkType::SACK, ChunkType::HEARTBEAT],
    ] {
        let mut pair = pair_requiring(&kinds, Setup::single()).build();
        pair.connect();
        let mut flows = [A, B].map(|from| Flow::new(from, 18).sizes(&sizes()).streams(3));
        transfer(&mut pair, &mut flows, secs(600));
        check_no_failures(&pair);
        pair.shutdown(A);
        pair.must("the end", secs(60), |pair| pair.ends(A) > 0 && pair.ends(B) > 0);
        assert!(pair.reported(B, |event| *event == Event::ShutdownComplete));
    }
}

#[test]
fn rfc8260_2_1_interleaved_messages_are_authenticated_where_data_must_be() {
    let interleaving = Setup::single().config(|config| config.interleaving_mut().set_offered(true));
    // Only B requires it, so only A signs.
    let mut pair = interleaving
        .config_of(B, |config| {
            *config.auth_mut() = requiring(&[ChunkType::DATA]).auth().clone()
        })
        .config_of(A, |config| config.auth_mut().set_enabled(true))
        .build();
    pair.connect();
    let mut flows = [A, B].map(|from| Flow::new(from, 12).sizes(&sizes()).streams(3));
    transfer(&mut pair, &mut flows, secs(600));
    let (a, b) = (pair.status(A).unwrap().stats, pair.status(B).unwrap().stats);
    assert!(a.auth_chunks_sent > 20 && b.auth_chunks_received > 20);
    assert_eq!(
        (b.auth_failures, b.unauthenticated_chunks_dropped, b.auth_chunks_sent),
        (0, 0, 0)
    );
}

#[test]
fn rfc4895_6_everything_authenticated_over_lossy_links() {
    for seed in 1..=3 {
        let lossy: LinkConfig = wire(ms(10)).loss(0.05).duplication(0.02).reordering(0.05, ms(20));
        let mut pair = pair_requiring(&everything(), Setup::dual())
            .link(&lossy)
            .seed(seed)
            .build();
        pair.connect();
        let mut flows = [A, B].map(|from| Flow::new(from, 40).sizes(&sizes()).streams(3).unordered_every(5));
        transfer(&mut pair, &mut flows, secs(3000));
        check_no_failures(&pair);
    }
}

#[test]
fn rfc4895_6_1_both_sides_at_once_get_the_same_keys() {
    let mut pair = pair_requiring(&everything(), Setup::single()).build();
    pair.start(A);
    pair.start(B);
    pair.must("both are up", secs(60), Pair::both_up);
    let mut flows = [A, B].map(|from| Flow::new(from, 20));
    transfer(&mut pair, &mut flows, secs(60));
    check_no_failures(&pair);
}
