//! Hostile peers that change addresses (RFC 5061 §6, RFC 5062).

mod common;

use common::asconf::{
    ANY, FIRST, add, asconf, asconf_acks, ask, delete, established, gain, ip, peers, primary, read, supports,
    unconnected, z_asks,
};
use common::auth::AuthScript;
use common::{Peer, ms, secs};
use sctp::Event;
use sctp::serial::VerificationTag;
use sctp::wire::{
    AddressChange, ChunkType, InitFixed, Param, write_asconf_ack, write_cookie_echo, write_data, write_init,
};

#[test]
fn rfc5061_4_1_1_what_is_not_authenticated_is_dropped_silently() {
    let mut peer = unconnected(1, |config| config.asconf_mut().set_authentication_required(true));
    gain(&mut peer, "10.1.0.7");
    let mut auth = AuthScript::new(&[ChunkType::ASCONF, ChunkType::ASCONF_ACK]);
    peer.send_init_with(|w| {
        auth.write_params(w);
        supports(w);
    });
    let answer = peer.answer();
    auth.learn(&answer);
    let cookie = peer.learn(&answer);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    peer.answers();
    let (z, tag) = (peer.z_address(0), peer.z_tag);
    let change = |buf: &mut Vec<u8>| asconf(buf, FIRST, "10.1.0.1", &[add("10.1.0.7")]);
    let right = auth.seal(change);
    let mut wrong = right.clone();
    wrong[12] ^= 1;
    let header = Peer::header(peer.tsn, 0, 0);
    let mut bare = Vec::new();
    change(&mut bare);
    for chunks in [&bare, &wrong] {
        let packet = peer.packet(tag, |buf| {
            buf.extend(chunks);
            // §5.2 D5: the rest of the packet goes with it.
            write_data(buf, &header, b"data");
        });
        for source in ["10.1.0.1", "10.1.0.7"] {
            peer.send_between(ip(source), z, packet.clone());
            peer.expect_silence();
        }
    }
    assert_eq!(peers(&peer), [ip("10.1.0.1")]);
    assert_eq!(peer.z_hears_payloads(), [] as [&[u8]; 0]);
    let packet = peer.packet(tag, |buf| buf.extend(&right));
    peer.send_between(ip("10.1.0.7"), z, packet);
    let answers = peer.answers();
    let ack = answers.iter().find(|packet| packet.has(ChunkType::ASCONF_ACK)).unwrap();
    let (_, _, kinds) = auth.open(ack).unwrap();
    assert_eq!((ack.dst, kinds), (ip("10.1.0.7"), vec![ChunkType::ASCONF_ACK]));
    assert_eq!(peers(&peer).len(), 2);
    // The peer's own answers are taken under the same conditions.
    let (serial, _) = z_asks(&mut peer);
    peer.send(|buf| write_asconf_ack(buf, serial, |_| {}));
    peer.expect_silence();
    peer.send_sealed(&auth, |buf| write_asconf_ack(buf, serial, |_| {}));
    peer.answers();
    let answered = |event: &Event| matches!(event, Event::AddressChangeAnswered { refused: None, .. });
    assert_eq!(peer.log.iter().filter(|event| answered(event)).count(), 1);
}

#[test]
fn rfc5062_many_requests_get_one_bounded_answer() {
    let mut peer = established();
    let flood: Vec<AddressChange> = (0..80).map(|_| delete(ANY)).chain([add("224.0.0.1"); 10]).collect();
    ask(&mut peer, FIRST, &flood);
    let answers = peer.answers();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0].size < 700);
    let (_, responses) = read(&asconf_acks(&answers)[0].1);
    assert_eq!(
        responses.last(),
        Some(&(65, Some(0xa1))),
        "the first that was not looked at"
    );
    // Errors are bounded by their bytes.
    ask(&mut peer, FIRST + 1, &[primary("10.9.9.9"); 60]);
    let answers = peer.answers();
    assert!(answers.len() == 1 && answers[0].size < 700, "{answers:?}");
    let many: Vec<u8> = {
        let mut buf = Vec::new();
        (0..30).for_each(|n| asconf(&mut buf, FIRST + 2 + n, "10.1.0.1", &[primary("10.9.9.9")]));
        buf
    };
    peer.send(|buf| buf.extend(&many));
    let answers = peer.answers();
    assert!(answers.len() == 1 && answers[0].size < 1200, "{answers:?}");
}

#[test]
fn rfc5062_2_an_address_of_another_association_is_not_taken_over() {
    let mut peer = established();
    let (first, first_tag) = (peer.assoc.unwrap(), peer.z_tag);
    // Somebody else has an association from the same port.
    gain(&mut peer, "10.1.0.7");
    let fixed = InitFixed {
        initiate_tag: VerificationTag(0x7777_7777),
        ..peer.fixed
    };
    let z = peer.z_address(0);
    let init = peer.packet(VerificationTag::ZERO, |buf| {
        write_init(buf, ChunkType::INIT, &fixed, supports)
    });
    peer.send_between(ip("10.1.0.7"), z, init);
    let answer = peer.answer();
    let cookie = peer.learn(&answer);
    let other_tag = peer.z_tag;
    let echo = peer.packet(other_tag, |buf| write_cookie_echo(buf, &cookie));
    peer.send_between(ip("10.1.0.7"), z, echo);
    peer.answers();
    let other = peer.assoc.unwrap();
    assert_ne!(other, first);
    // The first one wants its address.
    (peer.z_tag, peer.assoc) = (first_tag, Some(first));
    ask(&mut peer, FIRST, &[add("10.1.0.7"), delete(ANY)]);
    let acks = asconf_acks(&peer.answers());
    assert_eq!(read(&acks[0].1).1, [(1, Some(0xa4)), (2, Some(0xa4))]);
    assert_eq!(peers(&peer), [ip("10.1.0.1")]);
    let endpoint = peer.endpoint;
    assert_eq!(
        peer.world
            .stack(peer.z)
            .find(endpoint, ip("10.1.0.7"), common::PEER_PORT),
        Some(other)
    );
}

#[test]
fn rfc5062_2_an_address_of_another_association_is_not_taken_over_behind_a_cookie() {
    let mut peer = established();
    let first = peer.assoc.unwrap();
    for address in ["10.1.0.7", "10.1.0.8"] {
        gain(&mut peer, address);
    }
    let fixed = InitFixed {
        initiate_tag: VerificationTag(0x7777_7777),
        ..peer.fixed
    };
    let (z, endpoint) = (peer.z_address(0), peer.endpoint);
    let init = peer.packet(VerificationTag::ZERO, |buf| {
        write_init(buf, ChunkType::INIT, &fixed, supports)
    });
    peer.send_between(ip("10.1.0.7"), z, init);
    let answer = peer.answer();
    let cookie = peer.learn(&answer);
    let echo = peer.packet(peer.z_tag, |buf| {
        write_cookie_echo(buf, &cookie);
        asconf(buf, FIRST, "10.1.0.7", &[add("10.1.0.8"), add("10.1.0.1")]);
    });
    peer.send_between(ip("10.1.0.7"), z, echo);
    let acks = asconf_acks(&peer.answers());
    assert_eq!(read(&acks[0].1).1, [(2, Some(0xa4))]);
    assert_eq!(peers(&peer), [ip("10.1.0.7"), ip("10.1.0.8")]);
    let found = peer
        .world
        .stack(peer.z)
        .find(endpoint, ip("10.1.0.1"), common::PEER_PORT);
    assert_eq!(found, Some(first));
}

#[test]
fn rfc5062_2_an_address_that_somebody_merely_claims_can_be_added() {
    let mut peer = established();
    let (first, first_tag) = (peer.assoc.unwrap(), peer.z_tag);
    for address in ["10.1.0.7", "10.1.0.8"] {
        gain(&mut peer, address);
    }
    let fixed = InitFixed {
        initiate_tag: VerificationTag(0x7777_7777),
        ..peer.fixed
    };
    let z = peer.z_address(0);
    let init = peer.packet(VerificationTag::ZERO, |buf| {
        write_init(buf, ChunkType::INIT, &fixed, |w| {
            Param::address(ip("10.1.0.8")).write(w)
        })
    });
    peer.send_between(ip("10.1.0.7"), z, init);
    let answer = peer.answer();
    let cookie = peer.learn(&answer);
    let echo = peer.packet(peer.z_tag, |buf| write_cookie_echo(buf, &cookie));
    peer.send_between(ip("10.1.0.7"), z, echo);
    peer.answers();
    assert_eq!(peers(&peer), [ip("10.1.0.7"), ip("10.1.0.8")]);
    (peer.z_tag, peer.assoc) = (first_tag, Some(first));
    ask(&mut peer, FIRST, &[add("10.1.0.8")]);
    let answers = peer.answers();
    assert_eq!(read(&asconf_acks(&answers)[0].1).1, []);
    // Whoever answers from there has it.
    let probes: Vec<_> = answers
        .into_iter()
        .filter(|packet| packet.dst == ip("10.1.0.8"))
        .collect();
    assert_eq!(peer.answer_heartbeats(&probes), 1);
    peer.answers();
    let (z, endpoint) = (peer.z, peer.endpoint);
    let found = peer.world.stack(z).find(endpoint, ip("10.1.0.8"), common::PEER_PORT);
    assert_eq!(found, Some(first));
}

#[test]
fn rfc5062_6_addresses_of_a_victim_get_a_heartbeat_an_rto() {
    let mut peer = established();
    // The victims; nobody there answers.
    let victims: Vec<String> = (0..30).map(|n| format!("10.1.1.{n}")).collect();
    for victim in &victims {
        gain(&mut peer, victim);
    }
    let mut serial = FIRST;
    let mut to_victims = 0;
    let begun = peer.world.now();
    for round in 0..20 {
        for victim in victims.chunks(10) {
            let change = |address: &String| if round % 2 == 0 { add(address) } else { delete(address) };
            let changes: Vec<AddressChange> = victim.iter().map(change).collect();
            ask(&mut peer, serial, &changes);
            serial += 1;
            let answers = peer.run(ms(50));
            to_victims += answers.iter().filter(|packet| packet.dst != ip("10.1.0.1")).count();
        }
    }
    let passed = peer.world.now() - begun;
    assert!(passed >= secs(3));
    assert!(to_victims as u64 <= passed.as_secs() + 1, "{to_victims} in {passed:?}");
}

#[test]
fn rfc5062_an_old_asconf_that_is_replayed_changes_nothing() {
    let mut peer = established();
    gain(&mut peer, "10.1.0.7");
    let recorded: Vec<Vec<u8>> = [vec![add("10.1.0.7")], vec![delete("10.1.0.7")], vec![add("10.1.0.8")]]
        .iter()
        .zip(FIRST..)
        .map(|(changes, serial)| peer.packet(peer.z_tag, |buf| asconf(buf, serial, "10.1.0.1", changes)))
        .collect();
    for packet in &recorded {
        peer.send_bytes(packet.clone());
        peer.answers();
    }
    let before = peers(&peer);
    let z = peer.z_address(0);
    for packet in recorded.iter().rev().chain(&recorded) {
        peer.send_bytes(packet.clone());
        peer.send_between(ip("10.1.0.7"), z, packet.clone());
        peer.answers();
    }
    assert_eq!(peers(&peer), before);
}
