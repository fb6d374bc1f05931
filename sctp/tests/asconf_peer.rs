//! Address changes that a scripted peer asks for, or answers, well or badly (RFC 5061).

mod common;

use std::net::IpAddr;

use common::asconf::{
    ANY, FIRST, add, answer, asconf, asconf_acks, ask, ask_from, delete, established, established_with, gain, ip,
    move_to, peers, primary, read, supports, unconnected, z_asks,
};
use common::{Peer, data_chunks, ms, secs};
use sctp::error::{AddressError, FailureReason, Violation};
use sctp::serial::{AsconfSerial, CorrelationId, VerificationTag};
use sctp::tlv::Writer;
use sctp::wire::{
    AddressChange, Asconf, Cause, ChunkType, Param, write_abort, write_asconf, write_asconf_ack, write_cookie_echo,
    write_data, write_error, write_error_cause_indication,
};
use sctp::{AssociationPhase, Event, LocalAddressChange, PathChange, PathState};

#[test]
fn rfc5061_5_3_f14_an_added_address_gets_heartbeats_only_until_it_is_confirmed() {
    let mut peer = established();
    gain(&mut peer, "10.1.0.7");
    ask(&mut peer, FIRST, &[add("10.1.0.7"), primary("10.1.0.7")]);
    let first = peer.answers();
    assert_eq!(read(&asconf_acks(&first)[0].1), (FIRST, vec![]));
    for _ in 0..3 {
        peer.z_says(b"data");
    }
    let mut later = peer.run(secs(2));
    let to_new: Vec<_> = first
        .iter()
        .chain(&later)
        .filter(|packet| packet.dst == ip("10.1.0.7"))
        .collect();
    assert!(!to_new.is_empty());
    assert!(
        to_new.iter().all(|packet| packet.kinds() == [ChunkType::HEARTBEAT]),
        "{to_new:?}"
    );
    assert!(data_chunks(&later).len() >= 3);
    later.retain(|packet| packet.dst == ip("10.1.0.7"));
    assert!(peer.answer_heartbeats(&later) > 0);
    peer.answers();
    let status = peer.status().unwrap();
    let path = status.paths.iter().find(|path| path.address == ip("10.1.0.7")).unwrap();
    assert_eq!((path.state, path.primary), (PathState::Active, true));
}

#[test]
fn rfc5061_5_2_serial_numbers_decide() {
    let mut peer = established();
    gain(&mut peer, "10.1.0.7");
    ask(&mut peer, FIRST + 1, &[add("10.1.0.9")]);
    peer.expect_silence();
    ask(&mut peer, FIRST - 1, &[add("10.1.0.9")]);
    peer.expect_silence();
    ask(&mut peer, FIRST, &[add("10.1.0.7"), delete("10.1.0.99")]);
    let first = asconf_acks(&peer.answers());
    assert_eq!(read(&first[0].1), (FIRST, vec![]));
    // The same again, and another one under the same number: the answer is repeated, and nothing else happens.
    for changes in [&[add("10.1.0.7"), delete("10.1.0.99")][..], &[add("10.1.0.8")]] {
        ask(&mut peer, FIRST, changes);
        assert_eq!(asconf_acks(&peer.answers()), first);
    }
    assert_eq!(peers(&peer), [ip("10.1.0.1"), ip("10.1.0.7")]);
    ask(&mut peer, FIRST + 1, &[add("10.1.0.8")]);
    assert_eq!(answer(&mut peer).1, FIRST + 1);
    // E1: the peer has the first answer, so it is not kept.
    ask(&mut peer, FIRST, &[add("10.1.0.7")]);
    peer.expect_silence();
    assert_eq!(peers(&peer).len(), 3);
}

#[test]
fn rfc5061_5_5_bundled_asconfs_are_answered_in_one_packet() {
    let mut peer = established();
    ask(&mut peer, FIRST, &[add("10.1.0.7")]);
    peer.answers();
    peer.send(|buf| {
        asconf(buf, FIRST, "10.1.0.1", &[add("10.1.0.7")]);
        asconf(buf, FIRST + 1, "10.1.0.1", &[add("10.1.0.8")]);
        asconf(buf, FIRST + 2, "10.1.0.1", &[delete("10.1.0.7")]);
    });
    let answers = peer.answers();
    let packet = answers.iter().find(|packet| packet.has(ChunkType::ASCONF_ACK)).unwrap();
    let serials: Vec<u32> = packet.chunks.iter().map(|chunk| read(chunk).0).collect();
    assert_eq!(serials, [FIRST, FIRST + 1, FIRST + 2]);
    assert_eq!(peers(&peer), [ip("10.1.0.1"), ip("10.1.0.8")]);
}

#[test]
fn rfc5061_5_3_f7_f8_neither_the_last_address_nor_the_source_goes() {
    let mut peer = established();
    ask(&mut peer, FIRST, &[delete("10.1.0.1")]);
    assert_eq!(answer(&mut peer).2, [(1, Some(0xa0))]);
    ask(&mut peer, FIRST + 1, &[add("10.1.0.7"), delete("10.1.0.1")]);
    assert_eq!(answer(&mut peer).2, [(2, Some(0xa2))]);
    assert_eq!(peers(&peer), [ip("10.1.0.1"), ip("10.1.0.7")]);
}

#[test]
fn rfc5061_5_3_f9_f11_without_room_everything_that_follows_fails() {
    let mut peer = established();
    let mut serial = FIRST;
    for n in 0..2 {
        let more: Vec<AddressChange> = (0..15)
            .map(|i| AddressChange::Add(IpAddr::from([10, 1, 1, 15 * n + i])))
            .collect();
        ask(&mut peer, serial, &more);
        assert_eq!(answer(&mut peer).2, []);
        serial += 1;
    }
    ask(
        &mut peer,
        serial,
        &[
            add("10.1.2.1"),
            add("10.1.2.2"),
            delete("10.1.1.1"),
            primary("10.1.0.1"),
        ],
    );
    assert_eq!(answer(&mut peer).2, [(2, Some(0xa1)), (3, Some(0xa1)), (4, None)]);
    assert_eq!(peers(&peer).len(), 32);
    assert!(peers(&peer).contains(&ip("10.1.1.1")) && peers(&peer).contains(&ip("10.1.2.1")));
}

#[test]
fn rfc5061_5_2_v2_requests_that_nobody_knows_are_handled_by_their_type() {
    let mut peer = established();
    let mixed = |first: u16| {
        move |w: &mut Writer<'_>| {
            w.tlv(first, |w| w.u32(77));
            add("10.1.0.7").write(w, CorrelationId(2));
        }
    };
    let cases = [
        (0xc0ff, vec![(77, Some(8)), (2, None)], 2),
        (0x80ff, vec![], 2),
        (0x40ff, vec![(77, Some(8))], 1),
        (0x00ff, vec![], 1),
    ];
    for (n, (kind, responses, count)) in (0..).zip(cases) {
        peer.send(|buf| write_asconf(buf, AsconfSerial(FIRST + 2 * n), ip("10.1.0.1"), mixed(kind)));
        assert_eq!(answer(&mut peer).2, responses, "{kind:x}");
        assert_eq!(peers(&peer).len(), count);
        ask(&mut peer, FIRST + 2 * n + 1, &[delete("10.1.0.7")]);
        peer.answers();
    }
    // A host name is no address.
    peer.send(|buf| {
        write_asconf(buf, AsconfSerial(FIRST + 8), ip("10.1.0.1"), |w| {
            w.tlv(0xc001, |w| {
                w.u32(5);
                Param::HostName(b"example\0").write(w);
            });
        });
    });
    assert_eq!(answer(&mut peer).2, [(5, Some(5))]);
}

#[test]
fn rfc5061_4_2_1_only_addresses_that_can_be_used_are_added() {
    let mut peer = established();
    let z = peer.z_address(0);
    let wrong = ["224.0.0.1", "255.255.255.255", "127.0.0.1", "fd00::1", "ff02::1"];
    for (serial, address) in (FIRST..).zip(wrong) {
        ask(&mut peer, serial, &[add(address)]);
        assert_eq!(answer(&mut peer).2, [(1, Some(5))], "{address}");
    }
    ask(&mut peer, FIRST + 5, &[AddressChange::Add(z)]);
    assert_eq!(answer(&mut peer).2, [(1, Some(0xa4))], "one of ours");
    assert_eq!(peers(&peer), [ip("10.1.0.1")]);
}

#[test]
fn rfc5061_4_3_5_a_policy_may_refuse() {
    let mut peer = established_with(|config| {
        config.asconf_mut().set_peer_may_change(false);
        config.asconf_mut().set_peer_may_set_primary(false);
    });
    ask(
        &mut peer,
        FIRST,
        &[add("10.1.0.7"), delete("10.1.0.1"), primary("10.1.0.1")],
    );
    assert_eq!(answer(&mut peer).2, [(1, Some(0xa4)), (2, Some(0xa4)), (3, Some(0xa4))]);
    assert_eq!(peers(&peer), [ip("10.1.0.1")]);
}

#[test]
fn rfc5061_5_4_an_unknown_primary_address_changes_nothing() {
    let mut peer = established();
    ask(&mut peer, FIRST, &[primary("10.1.0.7"), add("10.1.0.7")]);
    assert_eq!(answer(&mut peer).2, [(1, Some(5)), (2, None)]);
    assert!(peer.status().unwrap().paths[0].primary);
}

#[test]
fn rfc5061_5_3_2_a_peer_with_one_address_changes_it() {
    let mut peer = established();
    // The association is found by the address that goes; the answer goes to the one that comes.
    move_to(&mut peer, "10.1.0.7");
    let answers = peer.answers();
    let acks = asconf_acks(&answers);
    assert_eq!((acks.len(), acks[0].0), (1, ip("10.1.0.7")));
    assert_eq!(read(&acks[0].1), (FIRST, vec![]));
    assert_eq!(peers(&peer), [ip("10.1.0.7")]);
    // Until it is confirmed it gets nothing else (F1).
    peer.z_says(b"data");
    let mut all = peer.run(secs(1));
    assert!(data_chunks(&all).is_empty());
    all.extend(answers);
    assert!(peer.answer_heartbeats(&all) > 0);
    let answers = peer.answers();
    assert_eq!(data_chunks(&answers).len(), 1);
    assert!(answers.iter().all(|packet| packet.dst == ip("10.1.0.7")));
    // F13: what still comes from the old one is not the peer's any more.
    let packet = peer.packet(peer.z_tag, |buf| {
        write_data(buf, &Peer::header(peer.tsn, 0, 0), b"late")
    });
    let (old, z) = (peer.address(0), peer.z_address(0));
    peer.send_between(old, z, packet);
    peer.expect_silence();
    assert_eq!(peer.z_hears_payloads(), [] as [&[u8]; 0]);
}

#[test]
fn rfc5061_5_2_d_a_packet_from_elsewhere_needs_an_address_that_is_known() {
    let mut peer = established();
    gain(&mut peer, "10.1.0.7");
    ask_from(&mut peer, "10.1.0.7", FIRST, "10.1.0.9", &[add("10.1.0.7")]);
    peer.expect_silence();
    // D4: and the right tag.
    let wrong = VerificationTag(peer.z_tag.0 ^ 1);
    let packet = peer.packet(wrong, |buf| asconf(buf, FIRST, "10.1.0.1", &[add("10.1.0.7")]));
    let z = peer.z_address(0);
    peer.send_between(ip("10.1.0.7"), z, packet);
    let answers = peer.answers();
    assert!(asconf_acks(&answers).is_empty());
    assert_eq!(peers(&peer), [ip("10.1.0.1")]);
    // D2-ext: the second one may name it.
    let packet = peer.packet(peer.z_tag, |buf| {
        asconf(buf, FIRST, "10.1.0.9", &[add("10.1.0.7")]);
        asconf(buf, FIRST + 1, "10.1.0.1", &[add("10.1.0.8")]);
    });
    peer.send_between(ip("10.1.0.7"), z, packet);
    assert_eq!(asconf_acks(&peer.answers()).len(), 2);
    assert_eq!(peers(&peer).len(), 3);
}

#[test]
fn rfc5061_5_2_what_else_comes_from_elsewhere_waits_until_the_address_is_known() {
    let mut peer = established();
    gain(&mut peer, "10.1.0.7");
    let header = Peer::header(peer.tsn, 0, 0);
    let packet = peer.packet(peer.z_tag, |buf| {
        asconf(buf, FIRST, "10.1.0.1", &[add("10.1.0.7")]);
        write_data(buf, &header, b"data");
    });
    let z = peer.z_address(0);
    peer.send_between(ip("10.1.0.7"), z, packet.clone());
    let answers = peer.answers();
    assert_eq!(asconf_acks(&answers).len(), 1);
    assert!(answers.iter().all(|packet| !packet.has(ChunkType::SACK)));
    peer.send_between(ip("10.1.0.7"), z, packet);
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"data"[..]]);
}

#[test]
fn rfc5061_4_2_the_wildcard_is_what_an_address_translator_makes_of_it() {
    let mut peer = established();
    gain(&mut peer, "10.1.0.7");
    ask_from(
        &mut peer,
        "10.1.0.7",
        FIRST,
        ANY,
        &[add(ANY), primary(ANY), delete(ANY)],
    );
    let (to, _, responses) = answer(&mut peer);
    assert_eq!((to, responses), (ip("10.1.0.7"), vec![]));
    assert_eq!(peers(&peer), [ip("10.1.0.7")]);
    let changes: Vec<PathChange> = peer
        .log
        .iter()
        .filter_map(|event| match event {
            Event::PathChanged { change, .. } => Some(*change),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [PathChange::Added, PathChange::Removed, PathChange::Primary]);
}

#[test]
fn rfc5061_5_2_e6_a_refusal_goes_to_where_the_request_came_from() {
    let mut peer = established_with(|config| config.asconf_mut().set_peer_may_change(false));
    gain(&mut peer, "10.1.0.7");
    for _ in 0..2 {
        ask_from(&mut peer, "10.1.0.7", FIRST, "10.1.0.1", &[add("10.1.0.7")]);
        let (to, _, responses) = answer(&mut peer);
        assert_eq!((to, responses), (ip("10.1.0.7"), vec![(1, Some(0xa4))]));
    }
    assert_eq!(peers(&peer), [ip("10.1.0.1")]);
}

#[test]
fn rfc5061_4_2_malformed_ones_are_discarded() {
    let mut whole = Vec::new();
    asconf(&mut whole, FIRST, "10.1.0.1", &[add("10.1.0.7")]);
    for len in 4..whole.len() {
        let mut cut = whole[..len].to_vec();
        cut[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        cut.resize(len.next_multiple_of(4), 0);
        let mut peer = established();
        peer.send(|buf| buf.extend(&cut));
        let acks = asconf_acks(&peer.answers());
        // With an address and no requests it is whole, and asks for nothing.
        assert_eq!(acks.len(), usize::from(len == 16), "{len}");
        assert_eq!(peers(&peer), [ip("10.1.0.1")], "{len}");
    }
}

#[test]
fn rfc5061_5_1_a2_the_first_serial_is_the_initial_tsn() {
    let mut peer = established();
    for n in 0..3 {
        let (serial, _) = z_asks(&mut peer);
        assert_eq!(serial.0, peer.z_tsn.plus(n).0);
        peer.send(|buf| write_asconf_ack(buf, serial, |_| {}));
        peer.answers();
    }
}

#[test]
fn rfc5061_5_3_f0_an_answer_to_nothing_ends_the_association() {
    let mut peer = established();
    let (serial, _) = z_asks(&mut peer);
    // One is outstanding: what is not its answer is dropped.
    peer.send(|buf| write_asconf_ack(buf, serial.next(), |_| {}));
    peer.expect_silence();
    for _ in 0..2 {
        peer.send(|buf| write_asconf_ack(buf, serial, |_| {}));
        peer.expect_silence();
    }
    assert_eq!(peer.status().unwrap().phase, AssociationPhase::Established);
    peer.send(|buf| write_asconf_ack(buf, serial.next(), |_| {}));
    assert_eq!(peer.answer().get(ChunkType::ABORT).cause_codes(), [0xa3]);
    let reason = FailureReason::PeerMisbehaved(Violation::IllegalAsconfAck);
    assert!(peer.log.contains(&Event::CommunicationLost { reason }));
}

#[test]
fn rfc5061_5_1_a9_a_peer_that_does_not_know_it_is_not_asked_again() {
    let mut peer = established();
    z_asks(&mut peer);
    let quote = [ChunkType::ASCONF.0, 0, 0, 4];
    peer.send(|buf| write_error(buf, |w| Cause::UnrecognizedChunkType(&quote).write(w)));
    let answers = peer.run(secs(60));
    assert!(answers.iter().all(|packet| !packet.has(ChunkType::ASCONF)));
    let (now, assoc, own, z) = (peer.world.now(), peer.assoc.unwrap(), peer.z_address(0), peer.z);
    let again = peer.world.stack(z).set_peer_primary(now, assoc, own);
    assert_eq!(again, Err(AddressError::NotSupported));
    let refused = Some(6);
    let change = AddressChange::SetPrimary(own);
    assert!(peer.log.contains(&Event::AddressChangeAnswered { change, refused }));
}

#[test]
fn rfc5061_5_3_f4_a_lost_address_is_left_even_if_the_peer_cannot_be_told() {
    let mut peer = unconnected(2, |config| config.asconf_mut().set_automatic(true));
    peer.establish_with(supports);
    z_asks(&mut peer);
    let quote = [ChunkType::ASCONF.0, 0, 0, 4];
    peer.send(|buf| write_error(buf, |w| Cause::UnrecognizedChunkType(&quote).write(w)));
    peer.answers();
    let (now, z, gone) = (peer.world.now(), peer.z, peer.z_address(0));
    let change = LocalAddressChange::Removed(gone);
    peer.world.stack(z).handle_local_address(now, change);
    let (own, other) = (peer.status().unwrap().local_addresses, peer.z_address(1));
    assert_eq!(own, [other]);
    peer.z_says(b"from elsewhere");
    let answers = peer.answers();
    assert!(answers.iter().all(|packet| packet.src == other));
    assert_eq!(data_chunks(&answers).len(), 1);
}

#[test]
fn rfc5061_5_3_f3b_a_request_that_is_not_understood_is_not_repeated() {
    let mut peer = established();
    let (serial, ids) = z_asks(&mut peer);
    peer.send(|buf| {
        write_asconf_ack(buf, serial, |w| {
            write_error_cause_indication(w, ids[0], |w| Cause::UnrecognizedParameters(&[0xc0, 4, 0, 4]).write(w));
        });
    });
    peer.answers();
    let (now, assoc, own, z) = (peer.world.now(), peer.assoc.unwrap(), peer.z_address(0), peer.z);
    let again = peer.world.stack(z).set_peer_primary(now, assoc, own);
    assert_eq!(again, Err(AddressError::NotSupported));
}

#[test]
fn rfc5061_5_3_1_an_abort_to_an_address_that_is_being_deleted_is_ignored() {
    let mut peer = unconnected(2, |_| {});
    peer.establish_with(supports);
    peer.run(secs(3));
    let (now, assoc, z) = (peer.world.now(), peer.assoc.unwrap(), peer.z);
    let (leaving, staying) = (peer.z_address(0), peer.z_address(1));
    peer.world.stack(z).remove_local_address(now, assoc, leaving).unwrap();
    let (own, z_tag, tag) = (peer.address(0), peer.z_tag, peer.tag);
    for (tag, reflected) in [(z_tag, false), (tag, true)] {
        let abort = peer.packet(tag, |buf| write_abort(buf, reflected, |_| {}));
        peer.send_between(own, leaving, abort);
        peer.answers();
        assert_eq!(peer.status().unwrap().phase, AssociationPhase::Established);
    }
    let abort = peer.packet(z_tag, |buf| write_abort(buf, false, |_| {}));
    peer.send_between(own, staying, abort);
    peer.answers();
    assert!(
        peer.log
            .iter()
            .any(|event| matches!(event, Event::CommunicationLost { .. }))
    );
}

#[test]
fn rfc5061_5_3_a_deleted_address_counts_no_longer_than_two_rtos() {
    let mut peer = unconnected(2, |_| {});
    peer.establish_with(supports);
    let (now, assoc, z, leaving) = (peer.world.now(), peer.assoc.unwrap(), peer.z, peer.z_address(0));
    peer.world.stack(z).remove_local_address(now, assoc, leaving).unwrap();
    let answers = peer.answers();
    let serial = Asconf::parse(&answers[0].get(ChunkType::ASCONF).value).unwrap().serial;
    peer.send_on(0, peer.packet(peer.z_tag, |buf| write_asconf_ack(buf, serial, |_| {})));
    peer.say(b"in time");
    peer.run(ms(1500));
    peer.run(secs(1));
    peer.say(b"too late");
    peer.answers();
    assert_eq!(peer.z_hears_payloads(), [&b"in time"[..]]);
}

#[test]
fn rfc5061_4_2_6_the_adaptation_indication_reaches_the_user() {
    let mut peer = unconnected(1, |config| config.set_adaptation_indication(Some(0x0102_0304)));
    peer.send_init_with(|w| Param::AdaptationLayerIndication(0xa1b2_c3d4).write(w));
    let answer = peer.answer();
    let params: Vec<Param<'_>> = answer.chunks[0].init().params.map(Result::unwrap).collect();
    assert!(params.contains(&Param::AdaptationLayerIndication(0x0102_0304)));
    assert!(
        !params
            .iter()
            .any(|param| matches!(param, Param::UnrecognizedParameter(_)))
    );
    let cookie = peer.learn(&answer);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    peer.answers();
    let up = peer
        .log
        .iter()
        .position(|event| matches!(event, Event::CommunicationUp { .. }))
        .unwrap();
    let code_point = 0xa1b2_c3d4;
    assert_eq!(peer.log.get(up + 1), Some(&Event::AdaptationIndication { code_point }));
}

#[test]
fn rfc5061_5_4_an_init_may_ask_for_a_primary_address() {
    let mut peer = unconnected(2, |config| {
        config.asconf_mut().set_preferred_address(Some(ip("10.2.0.2")));
    });
    let (first, second) = (peer.address(0), peer.address(1));
    peer.send_init_with(|w| {
        supports(w);
        Param::address(first).write(w);
        Param::address(second).write(w);
        Param::SetPrimaryAddress {
            correlation_id: CorrelationId(0),
            address: second,
        }
        .write(w);
    });
    let answer = peer.answer();
    let wanted =
        |param: &Param<'_>| matches!(param, Param::SetPrimaryAddress { address, .. } if *address == ip("10.2.0.2"));
    assert!(answer.chunks[0].init().params.flatten().any(|param| wanted(&param)));
    let cookie = peer.learn(&answer);
    peer.send(|buf| write_cookie_echo(buf, &cookie));
    let mut all = peer.answers();
    assert!(peer.status().unwrap().paths[0].primary, "not before it is confirmed");
    all.extend(peer.run(secs(2)));
    peer.answer_heartbeats(&all);
    peer.answers();
    assert!(
        peer.status()
            .unwrap()
            .paths
            .iter()
            .any(|path| path.address == second && path.primary)
    );
}

#[test]
fn rfc5061_4_2_parameters_out_of_place_do_not_refuse_an_init() {
    let mut peer = unconnected(1, |_| {});
    peer.establish_with(|w| {
        supports(w);
        add("10.1.0.7").write(w, CorrelationId(1));
        delete("10.1.0.1").write(w, CorrelationId(2));
        w.tlv(0xc005, |w| w.u32(1));
    });
    assert_eq!(peers(&peer), [ip("10.1.0.1")]);
}

#[test]
fn rfc5061_5_1_1_c4_there_is_no_answer_during_set_up_or_after_the_end() {
    let mut peer = unconnected(1, |_| {});
    peer.connect();
    peer.answers();
    ask(&mut peer, FIRST, &[add("10.1.0.7")]);
    assert!(asconf_acks(&peer.answers()).is_empty());
    let mut peer = established();
    peer.z_shuts_down();
    peer.answers();
    ask(&mut peer, FIRST, &[add("10.1.0.7")]);
    assert_eq!(asconf_acks(&peer.answers()).len(), 1, "SHUTDOWN-SENT");
    peer.send(|buf| sctp::wire::write_shutdown(buf, peer_cumulative()));
    peer.answers();
    ask(&mut peer, FIRST + 1, &[add("10.1.0.8")]);
    assert!(asconf_acks(&peer.answers()).is_empty(), "SHUTDOWN-ACK-SENT");
}

const fn peer_cumulative() -> sctp::serial::Tsn {
    sctp::serial::Tsn(0)
}

#[test]
fn an_association_without_it_does_not_know_the_chunks() {
    let mut peer = Peer::established();
    ask(&mut peer, FIRST, &[add("10.1.0.7")]);
    let answer = peer.answer();
    assert_eq!(answer.get(ChunkType::ERROR).cause_codes(), [6]);
    peer.send(|buf| write_asconf_ack(buf, AsconfSerial(5), |_| {}));
    peer.expect_silence();
}
