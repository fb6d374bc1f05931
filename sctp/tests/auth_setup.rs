//! Set-up with authenticated chunks (RFC 4895): what both sides say, COOKIE ECHO under AUTH, restarts, and packets of
//! no association.

mod common;

use common::auth::{AuthScript, SHA1, SHA256, auth_chunk, established, next_data, requiring, z_requiring};
use common::{Answer, Peer, PeerSetup};
use sctp::error::{FailureReason, Violation};
use sctp::serial::{SharedKeyId, Tsn, VerificationTag};
use sctp::wire::{
    CauseCode, ChunkType, Param, write_abort, write_cookie_ack, write_cookie_echo, write_heartbeat, write_shutdown_ack,
};
use sctp::{AssociationPhase, AuthEvent, Event};

#[test]
fn rfc4895_3_auth_is_offered_only_on_demand() {
    let mut peer = Peer::new();
    peer.send_init();
    let answer = peer.answer();
    let plain = |param: Result<Param<'_>, _>| {
        !matches!(
            param.unwrap(),
            Param::Random(_) | Param::ChunkList(_) | Param::HmacAlgorithms(_)
        )
    };
    assert!(answer.chunks[0].init().params.all(plain));
}

#[test]
fn rfc4895_3_init_and_init_ack_say_what_is_wanted() {
    for opens in [true, false] {
        let mut peer = z_requiring(&[ChunkType::DATA, ChunkType::ASCONF]);
        let answer = if opens {
            peer.connect();
            peer.answer()
        } else {
            let auth = AuthScript::new(&[]);
            peer.send_init_with(|w| auth.write_params(w));
            peer.answer()
        };
        let mut seen = Vec::new();
        for param in answer.chunks[0].init().params {
            match param.unwrap() {
                Param::Random(number) => seen.push(("random", number.to_vec())),
                Param::ChunkList(list) => seen.push(("chunks", list.to_vec())),
                Param::HmacAlgorithms(list) => seen.push(("hmacs", list.as_bytes().to_vec())),
                Param::SupportedExtensions(list) => assert!(list.contains(&ChunkType::AUTH.0)),
                _ => {}
            }
        }
        assert_eq!(seen[0].1.len(), 32);
        assert!(seen[0].1.windows(2).any(|pair| pair[0] != pair[1]), "a random number");
        assert_eq!(seen[1..], [("chunks", vec![0, 193]), ("hmacs", vec![0, 3, 0, 1])]);
    }
}

#[test]
fn rfc8260_2_1_who_requires_data_and_offers_interleaving_requires_i_data_too() {
    for (offered, expected) in [(false, vec![0, 192]), (true, vec![0, 192, 64, 194])] {
        let mut association = requiring(&[ChunkType::DATA, ChunkType::FORWARD_TSN]);
        association.interleaving_mut().set_offered(offered);
        let mut peer = Peer::with(PeerSetup {
            association,
            ..PeerSetup::default()
        });
        peer.connect();
        let init = peer.answer();
        let list = init.chunks[0].init().params.find_map(|param| match param {
            Ok(Param::ChunkList(list)) => Some(list.to_vec()),
            _ => None,
        });
        assert_eq!(list, Some(expected));
    }
}

#[test]
fn rfc4895_3_2_an_empty_list_is_left_out() {
    let mut peer = z_requiring(&[]);
    peer.connect();
    let init = peer.answer();
    let is_list = |param: Result<Param<'_>, _>| matches!(param, Ok(Param::ChunkList(_)));
    assert!(!init.chunks[0].init().params.clone().any(is_list));
}

#[test]
fn rfc4895_6_1_an_init_with_a_bad_random_number_is_refused() {
    for len in [0, 31, 33] {
        let mut peer = z_requiring(&[]);
        let mut auth = AuthScript::new(&[]);
        auth.random.resize(len, 9);
        peer.send_init_with(|w| auth.write_params(w));
        let abort = peer.answer();
        assert_eq!(
            abort.get(ChunkType::ABORT).cause_codes(),
            [CauseCode::PROTOCOL_VIOLATION.0]
        );
        assert_eq!(abort.tag(), peer.tag);
    }
    // Who does not offer AUTH does not know the parameter.
    let mut peer = Peer::new();
    let mut auth = AuthScript::new(&[]);
    auth.random.clear();
    peer.send_init_with(|w| auth.write_params(w));
    assert_eq!(peer.answer().kinds(), [ChunkType::INIT_ACK]);
}

#[test]
fn rfc4895_6_1_an_init_ack_with_a_bad_random_number_ends_the_set_up() {
    let mut peer = z_requiring(&[]);
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    let mut auth = AuthScript::new(&[]);
    auth.random.push(9);
    peer.send_init_ack(b"cookie", |w| auth.write_params(w));
    let abort = peer.answer();
    assert_eq!(
        abort.get(ChunkType::ABORT).cause_codes(),
        [CauseCode::PROTOCOL_VIOLATION.0]
    );
    let expected = Event::ConnectFailed {
        reason: FailureReason::PeerMisbehaved(Violation::BadRandom),
    };
    assert!(peer.log.contains(&expected), "{:?}", peer.log);
}

#[test]
fn rfc4895_3_malformed_parameters_are_refused() {
    type Change = fn(&mut AuthScript);
    let changes: [(Violation, Change); 3] = [
        (Violation::BadHmacList, |auth| auth.hmacs = vec![SHA256]),
        (Violation::BadHmacList, |auth| auth.hmacs = vec![SHA1; 65]),
        (Violation::BadChunkList, |auth| auth.chunks = Some(vec![0; 257])),
    ];
    for (violation, change) in changes {
        let mut peer = z_requiring(&[]);
        let mut auth = AuthScript::new(&[]);
        change(&mut auth);
        peer.send_init_with(|w| auth.write_params(w));
        let abort = peer.answer();
        assert_eq!(
            abort.get(ChunkType::ABORT).cause_codes(),
            [CauseCode::PROTOCOL_VIOLATION.0],
            "{violation}"
        );
    }
    let mut peer = z_requiring(&[]);
    let auth = AuthScript::new(&[]);
    peer.send_init_with(|w| {
        auth.write_params(w);
        auth.write_params(w);
    });
    assert!(peer.answer().has(ChunkType::ABORT), "twice");
}

#[test]
fn rfc4895_6_3_a_cookie_echo_that_must_be_authenticated() {
    let mut peer = z_requiring(&[ChunkType::COOKIE_ECHO]);
    let mut auth = AuthScript::new(&[]);
    let cookie = peer.fetch_cookie_with_auth(&mut auth);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    peer.expect_silence();
    let mut wrong = auth.seal(|buf| write_cookie_echo(buf, &cookie));
    wrong[8] ^= 0x80;
    peer.send(|buf| buf.extend(wrong));
    peer.expect_silence();
    assert_eq!(peer.world.peek(peer.z).stats().unauthenticated_cookies, 2);
    assert_eq!(peer.assoc, None);
    peer.send_sealed(&auth, |buf| write_cookie_echo(buf, &cookie));
    assert_eq!(peer.answer().kinds(), [ChunkType::COOKIE_ACK]);
    assert!(peer.status().unwrap().authentication);
    // Once more, as if the COOKIE ACK was lost.
    peer.send_sealed(&auth, |buf| write_cookie_echo(buf, &cookie));
    assert_eq!(peer.answer().kinds(), [ChunkType::COOKIE_ACK]);
}

#[test]
fn rfc4895_6_3_a_wrong_auth_is_not_forgiven_where_none_is_needed() {
    let mut peer = z_requiring(&[]);
    let mut auth = AuthScript::new(&[]);
    let cookie = peer.fetch_cookie_with_auth(&mut auth);
    let mut wrong = auth.seal(|buf| write_cookie_echo(buf, &cookie));
    wrong[8] ^= 0x80;
    peer.send(|buf| buf.extend(wrong));
    peer.expect_silence();
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert_eq!(peer.answer().kinds(), [ChunkType::COOKIE_ACK]);
}

#[test]
fn rfc4895_6_3_only_clients_with_the_key_get_in() {
    let mut association = requiring(&[ChunkType::COOKIE_ECHO]);
    let keys = association.auth_mut().keys_mut();
    keys.set(SharedKeyId(4), b"for members");
    keys.set_active(SharedKeyId(4)).unwrap();
    keys.deactivate(SharedKeyId(0)).unwrap();
    keys.remove(SharedKeyId(0)).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    let mut auth = AuthScript::new(&[ChunkType::COOKIE_ACK]).with_key(4, b"guessed");
    let cookie = peer.fetch_cookie_with_auth(&mut auth);
    for number in [0, 4] {
        let sealed = auth.seal_with(number, |buf| write_cookie_echo(buf, &cookie));
        peer.send(|buf| buf.extend(sealed));
        peer.expect_silence();
    }
    let auth = auth.with_key(4, b"for members");
    let sealed = auth.seal_with(4, |buf| write_cookie_echo(buf, &cookie));
    peer.send(|buf| buf.extend(sealed));
    let ack = peer.answer();
    assert_eq!(auth.open(&ack), Some((4, SHA256, vec![ChunkType::COOKIE_ACK])));
}

#[test]
fn rfc4895_7_data_may_follow_the_cookie_echo() {
    // COOKIE ECHO; AUTH; DATA, and AUTH; COOKIE ECHO; DATA.
    for around in [false, true] {
        let mut peer = z_requiring(&[ChunkType::DATA]);
        let mut auth = AuthScript::new(&[]);
        let cookie = peer.fetch_cookie_with_auth(&mut auth);
        let data = next_data(&mut peer, b"early");
        if around {
            peer.send_sealed(&auth, |buf| {
                write_cookie_echo(buf, &cookie);
                data(buf);
            });
        } else {
            let sealed = auth.seal(data);
            peer.send(|buf| {
                write_cookie_echo(buf, &cookie);
                buf.extend(sealed);
            });
        }
        let answer = peer.answer();
        assert_eq!(answer.kinds(), [ChunkType::COOKIE_ACK, ChunkType::SACK]);
        assert_eq!(peer.z_hears_payloads(), [&b"early"[..]]);
    }
}

#[test]
fn rfc4895_6_3_the_cookie_echo_of_an_own_set_up_is_authenticated() {
    let mut peer = z_requiring(&[ChunkType::COOKIE_ACK]);
    peer.connect();
    let init = peer.answer();
    peer.learn(&init);
    let mut auth = AuthScript::new(&[ChunkType::COOKIE_ECHO]);
    auth.learn(&init);
    peer.send_init_ack(b"cookie", |w| auth.write_params(w));
    let echo = peer.answer();
    assert_eq!(auth.open(&echo).unwrap().2, [ChunkType::COOKIE_ECHO]);
    peer.send(write_cookie_ack);
    peer.answers();
    assert_eq!(peer.phase(), Some(AssociationPhase::CookieEchoed));
    peer.send_sealed(&auth, write_cookie_ack);
    peer.answers();
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
}

#[test]
fn rfc6458_6_1_8_the_user_is_told_that_the_peer_takes_no_part() {
    let mut peer = z_requiring(&[ChunkType::DATA]);
    peer.establish();
    assert!(
        peer.log.contains(&Event::Authentication(AuthEvent::NoAuth)),
        "{:?}",
        peer.log
    );
    assert!(!peer.status().unwrap().authentication);
    // What must be authenticated is dropped all the same.
    peer.say(b"plain");
    peer.expect_silence();
    assert!(peer.z_hears().is_empty());
    peer.z_says(b"hello");
    assert_eq!(peer.answer().kinds(), [ChunkType::DATA]);
}

#[test]
fn rfc4895_6_3_out_of_the_blue_packets_are_answered_as_without_auth() {
    type Case<'a> = (fn(&mut Vec<u8>), &'a [ChunkType]);
    let mut peer = z_requiring(&[]);
    let auth = auth_chunk(0, SHA1, &[0; 20]);
    let with = |write: fn(&mut Vec<u8>)| {
        let mut bytes = auth.clone();
        write(&mut bytes);
        bytes
    };
    let tag = VerificationTag(0x7777);
    let cases: [Case<'_>; 5] = [
        (|buf| write_abort(buf, false, |_| {}), &[]),
        (write_shutdown_ack, &[ChunkType::SHUTDOWN_COMPLETE]),
        (write_cookie_ack, &[]),
        (|buf| write_heartbeat(buf, b"x"), &[ChunkType::ABORT]),
        (|buf| write_cookie_echo(buf, b"not of ours"), &[]),
    ];
    for (write, expected) in cases {
        let bytes = with(write);
        peer.send_tagged(tag, |buf| buf.extend(bytes));
        let kinds: Vec<ChunkType> = peer.answers().iter().flat_map(Answer::kinds).collect();
        assert_eq!(kinds, expected);
    }
}

/// The peer begins anew, with another tag and another random number.
fn lose_state(peer: &mut Peer, auth: &AuthScript) -> AuthScript {
    peer.fixed.initiate_tag = VerificationTag(peer.fixed.initiate_tag.0 + 1);
    peer.tag = peer.fixed.initiate_tag;
    peer.fixed.initial_tsn = Tsn(50_000);
    peer.tsn = peer.fixed.initial_tsn;
    let mut auth = auth.clone();
    auth.random.reverse();
    auth
}

#[test]
fn rfc4895_6_3_a_restarted_peer_gets_new_keys() {
    let (mut peer, old) = established(&[ChunkType::DATA], &[ChunkType::DATA]);
    let mut new = lose_state(&mut peer, &old);
    let cookie = peer.fetch_cookie_with_auth(&mut new);
    assert_ne!(old.z_vector, new.z_vector, "another random number with another tag");
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    assert!(peer.log.iter().any(|event| matches!(event, Event::Restarted { .. })));
    let data = next_data(&mut peer, b"anew");
    let mut bytes = Vec::new();
    data(&mut bytes);
    peer.send_sealed(&old, |buf| buf.extend(&bytes));
    peer.expect_silence();
    peer.send_sealed(&new, |buf| buf.extend(&bytes));
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"anew"[..]]);
    peer.z_says(b"to the new one");
    let answer = peer.answer();
    assert_eq!(new.open(&answer).unwrap().2, [ChunkType::DATA]);
}

#[test]
fn rfc4895_6_3_a_restart_takes_the_old_keys_if_cookie_echo_must_be_authenticated() {
    let (mut peer, old) = established(&[ChunkType::COOKIE_ECHO, ChunkType::DATA], &[]);
    let mut new = lose_state(&mut peer, &old);
    let cookie = peer.fetch_cookie_with_auth(&mut new);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    peer.expect_silence();
    peer.send_sealed(&new, |buf| write_cookie_echo(buf, &cookie));
    peer.expect_silence();
    assert!(!peer.log.iter().any(|event| matches!(event, Event::Restarted { .. })));
    peer.send_sealed(&old, |buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    assert!(peer.log.iter().any(|event| matches!(event, Event::Restarted { .. })));
    let data = next_data(&mut peer, b"anew");
    peer.send_sealed(&new, data);
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"anew"[..]]);
}

#[test]
fn rfc4895_6_3_keys_that_the_user_set_outlive_a_restart() {
    let (mut peer, old) = established(&[ChunkType::DATA], &[]);
    let assoc = peer.assoc.unwrap();
    let stack = peer.world.stack(peer.z);
    stack.set_auth_key(assoc, SharedKeyId(3), b"three").unwrap();
    let old = old.with_key(3, b"three");
    let mut new = lose_state(&mut peer, &old);
    let cookie = peer.fetch_cookie_with_auth(&mut new);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    peer.answers();
    let data = next_data(&mut peer, b"anew");
    let sealed = new.seal_with(3, data);
    peer.send(|buf| buf.extend(sealed));
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"anew"[..]]);
}

#[test]
fn rfc4895_6_1_in_a_collision_the_random_number_stays_with_the_tag() {
    let mut peer = z_requiring(&[ChunkType::DATA]);
    peer.connect();
    let init = peer.answer();
    let mut from_init = AuthScript::new(&[]);
    from_init.learn(&init);
    let mut auth = AuthScript::new(&[]);
    let cookie = peer.fetch_cookie_with_auth(&mut auth);
    assert_eq!(
        from_init.z_vector, auth.z_vector,
        "the INIT ACK says what the INIT said"
    );
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    let data = next_data(&mut peer, b"after the collision");
    peer.send_sealed(&auth, data);
    peer.answers();
    assert_eq!(peer.z_hears().len(), 1);
}

#[test]
fn rfc4895_6_3_in_a_collision_before_any_keys_those_of_the_cookie_count() {
    let mut peer = z_requiring(&[ChunkType::COOKIE_ECHO]);
    peer.connect();
    peer.answer();
    let mut auth = AuthScript::new(&[]);
    let cookie = peer.fetch_cookie_with_auth(&mut auth);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    peer.expect_silence();
    peer.send_sealed(&auth, |buf| write_cookie_echo(buf, &cookie));
    assert!(peer.answer().has(ChunkType::COOKIE_ACK));
}

#[test]
fn rfc4895_6_1_a_late_collision_changes_the_random_number_with_the_tag() {
    // Two INITs while Z opens the association itself; the cookie of the second one comes when it is established.
    let mut peer = z_requiring(&[ChunkType::DATA]);
    peer.connect();
    peer.answer();
    let mut first = AuthScript::new(&[]);
    let cookie = peer.fetch_cookie_with_auth(&mut first);
    let mut second = lose_state(&mut peer, &first);
    let later = peer.fetch_cookie_with_auth(&mut second);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    peer.answers();
    assert_eq!(peer.phase(), Some(AssociationPhase::Established));
    peer.send(|buf| write_cookie_echo(buf, &later));
    let ack = peer.answer();
    assert_eq!((ack.kinds(), ack.tag()), (vec![ChunkType::COOKIE_ACK], peer.tag));
    let mut bytes = Vec::new();
    let header = Peer::header(Tsn(1000), 0, 0);
    sctp::wire::write_data(&mut bytes, &header, b"x");
    for (auth, heard) in [(first, 0), (second, 1)] {
        peer.send_sealed(&auth, |buf| buf.extend(&bytes));
        peer.answers();
        assert_eq!(peer.z_hears().len(), heard);
    }
}

#[test]
fn rfc4895_6_1_a_repeated_init_says_the_same() {
    let mut peer = z_requiring(&[]);
    peer.connect();
    let inits = peer.run(common::secs(5));
    assert!(inits.len() >= 2);
    assert!(inits.windows(2).all(|pair| pair[0].chunks == pair[1].chunks));
}

#[test]
fn rfc4895_6_3_a_cookie_holds_no_shared_key() {
    let mut association = requiring(&[ChunkType::DATA]);
    association.auth_mut().keys_mut().set(SharedKeyId(0), b"top secret key");
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    let mut auth = AuthScript::new(&[]);
    let cookie = peer.fetch_cookie_with_auth(&mut auth);
    assert!(!cookie.windows(6).any(|window| window == b"secret"));
    assert!(
        cookie.windows(32).any(|window| window == auth.random),
        "but the peer's random number"
    );
}

#[test]
fn rfc4895_6_1_what_was_said_in_the_init_ack_counts_even_if_the_lists_change() {
    let mut peer = z_requiring(&[ChunkType::DATA]);
    let mut auth = AuthScript::new(&[]);
    let cookie = peer.fetch_cookie_with_auth(&mut auth);
    let endpoint = peer.endpoint;
    let config = peer.world.stack(peer.z).endpoint_auth_mut(endpoint).unwrap();
    config.do_not_require(ChunkType::DATA);
    config.require(ChunkType::HEARTBEAT).unwrap();
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    peer.answers();
    let assoc = peer.assoc.unwrap();
    let stack = peer.world.peek(peer.z);
    assert_eq!(stack.local_auth_chunks(assoc), Some(vec![ChunkType::DATA]));
    let data = next_data(&mut peer, b"as agreed");
    peer.send_sealed(&auth, data);
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"as agreed"[..]]);
}
