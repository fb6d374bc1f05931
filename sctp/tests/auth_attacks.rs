//! Attacks on authenticated chunks (RFC 4895 §9): by who sees and changes everything but does not know the keys, and by
//! hostile peers.

mod common;

use common::auth::{AuthScript, SHA1, SHA256, auth_chunk, established, next_data, requiring, stats, z_requiring};
use common::{Peer, PeerSetup, ms};
use sctp::AssociationPhase;
use sctp::serial::{SharedKeyId, Tsn, VerificationTag};
use sctp::wire::{
    CauseCode, ChunkType, HmacId, Param, write_abort, write_chunk, write_cookie_echo, write_data, write_heartbeat,
    write_shutdown,
};

fn is_up(peer: &Peer) -> bool {
    peer.phase() == Some(AssociationPhase::Established)
}

#[test]
fn rfc4895_9_a_replayed_packet_delivers_nothing_twice() {
    let (mut peer, auth) = established(&[ChunkType::DATA], &[]);
    let data = next_data(&mut peer, b"once");
    let sealed = auth.seal(data);
    for _ in 0..5 {
        let again = sealed.clone();
        peer.send(|buf| buf.extend(again));
        peer.run(ms(300));
    }
    assert_eq!(peer.z_hears_payloads(), [&b"once"[..]]);
    assert_eq!(stats(&peer).duplicate_tsns, 4);
}

#[test]
fn rfc4895_9_a_packet_of_an_earlier_association_is_worth_nothing() {
    let (mut peer, old) = established(&[ChunkType::DATA, ChunkType::ABORT], &[]);
    let (tsn, z_tag) = (peer.tsn, peer.z_tag);
    let data = next_data(&mut peer, b"of the old one");
    let recorded = old.seal(data);
    let abort = old.seal(|buf| write_abort(buf, false, |_| {}));
    peer.send(|buf| buf.extend(&abort));
    peer.answers();
    assert_eq!(peer.phase(), None);
    // The same peer, with the same TSN and even the same random number: Z's own is another one.
    peer.tsn = tsn;
    let mut new = old.clone();
    peer.establish_with_auth(&mut new);
    assert_ne!(peer.z_tag, z_tag);
    for packet in [recorded, abort] {
        peer.send(|buf| buf.extend(packet));
        peer.expect_silence();
    }
    assert!(is_up(&peer) && peer.z_hears().is_empty());
    assert_eq!(stats(&peer).auth_failures, 2);
}

#[test]
fn rfc4895_9_a_shortened_hmac_is_refused() {
    for hmac in [SHA1, SHA256] {
        let (mut peer, mut auth) = established(&[ChunkType::DATA], &[]);
        auth.hmac = hmac;
        let data = next_data(&mut peer, b"forged");
        let mut bytes = Vec::new();
        data(&mut bytes);
        let whole = auth.hmac_of(0, hmac, &bytes);
        for len in 0..whole.len() {
            let chunk = auth_chunk(0, hmac, &whole[..len]);
            peer.send(|buf| {
                buf.extend(chunk);
                buf.extend(&bytes);
            });
        }
        peer.expect_silence();
        assert!(is_up(&peer) && peer.z_hears().is_empty());
    }
    // Nor a longer one.
    let (mut peer, auth) = established(&[ChunkType::DATA], &[]);
    let mut bytes = Vec::new();
    next_data(&mut peer, b"forged")(&mut bytes);
    let mut longer = auth.hmac_of(0, SHA1, &bytes);
    longer.extend([0; 12]);
    let chunk = auth_chunk(0, SHA1, &longer);
    peer.send(|buf| {
        buf.extend(chunk);
        buf.extend(&bytes);
    });
    peer.expect_silence();
}

#[test]
fn rfc4895_9_an_auth_that_cannot_be_read_ends_the_packet() {
    let (mut peer, _) = established(&[ChunkType::DATA], &[]);
    for value in [&[][..], &[0], &[0, 0, 0]] {
        peer.send(|buf| {
            write_chunk(buf, ChunkType::AUTH, 0, value);
            write_heartbeat(buf, b"behind it");
        });
    }
    peer.expect_silence();
    assert!(is_up(&peer));
}

#[test]
fn rfc4895_6_3_chunks_cannot_be_moved_around_auth() {
    let (mut peer, auth) = established(&[ChunkType::DATA], &[]);
    let (first, second) = (next_data(&mut peer, b"first"), next_data(&mut peer, b"second"));
    let (mut one, mut two) = (Vec::new(), Vec::new());
    first(&mut one);
    second(&mut two);
    let sealed = auth.seal(|buf| {
        buf.extend(&one);
        buf.extend(&two);
    });
    let auth_only = &sealed[..28];
    let orders: [Vec<&[u8]>; 6] = [
        vec![auth_only, &two, &one],
        vec![&one, auth_only, &two],
        vec![&one, &two, auth_only],
        vec![auth_only, &one],
        vec![&one, &two],
        vec![auth_only, &one, &two, &two],
    ];
    for order in orders {
        let packet = order.concat();
        peer.send(|buf| buf.extend(packet));
        peer.expect_silence();
    }
    assert!(is_up(&peer) && peer.z_hears().is_empty());
    peer.send(|buf| buf.extend(sealed));
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"first"[..], b"second"]);
}

#[test]
fn rfc4895_6_3_a_chunk_cannot_be_put_behind_an_auth() {
    let (mut peer, auth) = established(&[ChunkType::DATA], &[]);
    let sealed = auth.seal(|buf| write_heartbeat(buf, b"true"));
    let data = next_data(&mut peer, b"slipped in");
    peer.send(|buf| {
        buf.extend(sealed);
        data(buf);
    });
    peer.expect_silence();
    assert!(peer.z_hears().is_empty());
}

#[test]
fn rfc4895_9_a_blind_attacker_with_the_tag_cannot_end_the_association() {
    let (mut peer, auth) = established(&[ChunkType::ABORT, ChunkType::SHUTDOWN, ChunkType::SHUTDOWN_ACK], &[]);
    peer.send(|buf| write_abort(buf, false, |_| {}));
    peer.send(|buf| write_shutdown(buf, Tsn(0)));
    // With the T bit, under the peer's own tag.
    let tag = peer.tag;
    peer.send_tagged(tag, |buf| write_abort(buf, true, |_| {}));
    let forged = auth_chunk(0, SHA1, &[7; 20]);
    peer.send_tagged(tag, |buf| {
        buf.extend(&forged);
        write_abort(buf, true, |_| {});
    });
    peer.send(|buf| {
        buf.extend(&forged);
        write_abort(buf, false, |_| {});
    });
    peer.expect_silence();
    assert!(is_up(&peer), "{:?}", peer.log);
    peer.send_sealed(&auth, |buf| write_abort(buf, false, |_| {}));
    peer.answers();
    assert_eq!(peer.phase(), None);
}

#[test]
fn rfc4895_6_3_a_required_abort_with_the_t_bit_counts_if_it_is_authenticated() {
    let (mut peer, auth) = established(&[ChunkType::ABORT], &[]);
    let sealed = auth.seal(|buf| write_abort(buf, true, |_| {}));
    let tag = peer.tag;
    peer.send_tagged(tag, |buf| buf.extend(sealed));
    peer.answers();
    assert_eq!(peer.phase(), None);
}

#[test]
fn rfc4895_9_one_key_is_not_taken_for_another() {
    let (mut peer, auth) = established(&[ChunkType::DATA], &[]);
    let assoc = peer.assoc.unwrap();
    let stack = peer.world.stack(peer.z);
    stack.set_auth_key(assoc, SharedKeyId(1), b"one").unwrap();
    stack.set_auth_key(assoc, SharedKeyId(2), b"two").unwrap();
    let auth = auth.with_key(1, b"one").with_key(2, b"two");
    let mut bytes = Vec::new();
    next_data(&mut peer, b"forged")(&mut bytes);
    for (made_with, claimed) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
        // Another number in a chunk that is right, and an HMAC of another key.
        let mut renumbered = auth.seal_with(made_with, |buf| buf.extend(&bytes));
        renumbered[5] = claimed as u8;
        peer.send(|buf| buf.extend(renumbered));
        let confused = auth
            .clone()
            .with_key(claimed, &auth.keys.iter().find(|k| k.0 == made_with).unwrap().1);
        let sealed = confused.seal_with(claimed, |buf| buf.extend(&bytes));
        peer.send(|buf| buf.extend(sealed));
    }
    peer.expect_silence();
    assert!(peer.z_hears().is_empty());
    assert_eq!(stats(&peer).auth_failures, 8);
}

#[test]
fn rfc4895_9_another_hmac_cannot_be_claimed() {
    let (mut peer, auth) = established(&[ChunkType::DATA], &[]);
    let mut bytes = Vec::new();
    next_data(&mut peer, b"forged")(&mut bytes);
    // The first 20 bytes of an HMAC-SHA-256 as an HMAC-SHA-1, and the other way round.
    let long = auth.hmac_of(0, SHA256, &bytes);
    let mut short = auth.hmac_of(0, SHA1, &bytes);
    short.resize(32, 0);
    for (hmac, mac) in [(SHA1, &long[..20]), (SHA256, &short[..])] {
        let chunk = auth_chunk(0, hmac, mac);
        peer.send(|buf| {
            buf.extend(chunk);
            buf.extend(&bytes);
        });
    }
    peer.expect_silence();
    assert!(peer.z_hears().is_empty());
}

#[test]
fn rfc4895_9_who_takes_an_hmac_off_the_list_gets_no_association_that_works() {
    // The peer says (SHA-256, SHA-1); somebody on the way makes (SHA-1, SHA-1) of it, or (SHA-1).
    for seen in [vec![SHA1, SHA1], vec![SHA1]] {
        let mut peer = z_requiring(&[ChunkType::DATA]);
        let mut auth = AuthScript::new(&[ChunkType::DATA]);
        let changed = AuthScript {
            hmacs: seen,
            ..auth.clone()
        };
        peer.send_init_with(|w| changed.write_params(w));
        let init_ack = peer.answer();
        auth.learn(&init_ack);
        let cookie = peer.learn(&init_ack);
        peer.send(|buf| write_cookie_echo(buf, &cookie));
        peer.answers();
        let data = next_data(&mut peer, b"signed by the peer");
        peer.send_sealed(&auth, data);
        peer.expect_silence();
        assert_eq!(stats(&peer).auth_failures, 1);
        peer.z_says(b"signed by Z");
        let answer = peer.answer();
        let mut changed = changed;
        changed.learn(&init_ack);
        assert_eq!(changed.open(&answer).map(|(key, hmac, _)| (key, hmac)), Some((0, SHA1)));
        let opened = std::panic::catch_unwind(|| auth.open(&answer));
        assert!(opened.is_err(), "the peer does not take it");
    }
}

#[test]
fn rfc4895_9_who_takes_chunks_off_the_list_gets_no_association_that_works() {
    let mut peer = z_requiring(&[]);
    let mut auth = AuthScript::new(&[ChunkType::DATA, ChunkType::HEARTBEAT]);
    let changed = AuthScript {
        chunks: Some(vec![ChunkType::HEARTBEAT.0]),
        ..auth.clone()
    };
    peer.send_init_with(|w| changed.write_params(w));
    let init_ack = peer.answer();
    auth.learn(&init_ack);
    let cookie = peer.learn(&init_ack);
    peer.send_sealed(&auth, |buf| write_cookie_echo(buf, &cookie));
    peer.expect_silence();
    assert_eq!(peer.assoc, None);
}

#[test]
fn rfc5061_4_2_7_address_changes_without_auth_end_the_set_up() {
    let mut peer = z_requiring(&[]);
    let listed = [ChunkType::ASCONF.0, ChunkType::ASCONF_ACK.0];
    peer.send_init_with(|w| Param::SupportedExtensions(&listed).write(w));
    let abort = peer.answer();
    assert_eq!(
        abort.get(ChunkType::ABORT).cause_codes(),
        [CauseCode::PROTOCOL_VIOLATION.0]
    );
    // The other way round.
    let mut peer = z_requiring(&[]);
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    peer.send_init_ack(b"cookie", |w| Param::SupportedExtensions(&listed).write(w));
    assert!(peer.answer().has(ChunkType::ABORT));
    // With AUTH it is fine, and who does without AUTH does not mind.
    let mut peer = z_requiring(&[]);
    let auth = AuthScript::new(&[]);
    peer.send_init_with(|w| {
        Param::SupportedExtensions(&listed).write(w);
        auth.write_params(w);
    });
    assert_eq!(peer.answer().kinds(), [ChunkType::INIT_ACK]);
    let mut peer = Peer::new();
    peer.send_init_with(|w| Param::SupportedExtensions(&listed).write(w));
    assert_eq!(peer.answer().kinds(), [ChunkType::INIT_ACK]);
}

#[test]
fn rfc5062_a_packet_of_wrong_auth_gets_no_more_than_one_answer() {
    let mut config = requiring(&[]);
    config.auth_mut().set_hmacs(&[HmacId::SHA1]).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association: config,
        ..PeerSetup::default()
    });
    peer.establish_with_auth(&mut AuthScript::new(&[]));
    peer.send(|buf| {
        for hmac in 0..40 {
            buf.extend(auth_chunk(0, 100 + hmac, &[0; 20]));
        }
    });
    let answer = peer.answer();
    assert_eq!(answer.kinds(), [ChunkType::ERROR], "the first one ends the packet");
    assert!(answer.size < 100);
}

#[test]
fn rfc5062_the_largest_parameters_make_a_bounded_cookie() {
    let mut peer = z_requiring(&[]);
    let mut auth = AuthScript::new(&[]);
    auth.chunks = Some((0..=255).collect());
    auth.hmacs = vec![SHA1; 64];
    let cookie = peer.fetch_cookie_with_auth(&mut auth);
    assert!(cookie.len() < 800, "{} bytes", cookie.len());
    peer.send_sealed(&auth, |buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    peer.z_says(b"hello");
    let data = peer.answers();
    assert!(
        data.iter()
            .any(|answer| auth.open(answer).unwrap().2 == [ChunkType::DATA])
    );
}

#[test]
fn rfc4895_6_3_a_restart_by_who_does_not_know_the_keys_fails() {
    let (mut peer, auth) = established(&[ChunkType::COOKIE_ECHO], &[]);
    let z_tag = peer.z_tag;
    peer.fixed.initiate_tag = VerificationTag(0x6666);
    let mut attacker = auth.clone();
    attacker.random.fill(3);
    let cookie = peer.fetch_cookie_with_auth(&mut attacker);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    peer.send_sealed(&attacker, |buf| write_cookie_echo(buf, &cookie));
    peer.expect_silence();
    // The victim goes on undisturbed.
    peer.z_tag = z_tag;
    peer.send_sealed(&auth, |buf| write_heartbeat(buf, b"still here"));
    assert!(peer.answer().has(ChunkType::HEARTBEAT_ACK));
    let header = Peer::header(peer.tsn, 0, 0);
    peer.send(|buf| write_data(buf, &header, b"and data"));
    assert!(peer.answer().has(ChunkType::SACK));
}
