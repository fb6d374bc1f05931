//! Own requests to re-configure streams (RFC 6525 §5.1, §5.2.7) to a peer that the test speaks for, chunk by chunk.

mod common;

use common::reconfig::{
    Result, SEQ, Said, add_incoming, add_outgoing, ask, established, outcomes, reset_all, reset_incoming,
    reset_outgoing, respond, result, said, send, z_resets, z_says_and_gets_sack,
};
use common::{Peer, data_chunks, ms, secs};
use sctp::config::ReconfigRequests;
use sctp::error::ReconfigError;
use sctp::serial::{RequestSeq, Ssn, Tsn};
use sctp::wire::{ChunkType, NextTsns, Param, ReconfigParam, write_sack};
use sctp::{AssociationPhase, ReconfigOutcome, StreamDirections};

#[test]
fn rfc6525_5_1_1_two_sides_that_wait_for_each_other_do_not_wait_for_ever() {
    let mut peer = established();
    z_says_and_gets_sack(&mut peer, 0);
    z_resets(&mut peer, StreamDirections::Incoming, &[0]).unwrap();
    let z_seq = peer.z_tsn.0;
    assert_eq!(said(&peer.answers()), [Said::ResetIncoming(z_seq, vec![0])]);
    for (n, params) in [0u32, 1, 2].into_iter().enumerate() {
        let seq = SEQ + params;
        let answer = ask(&mut peer, |w| match n {
            0 => reset_incoming(w, seq, &[0]),
            1 => add_incoming(w, seq, 1),
            _ => reset_all(w, seq),
        });
        assert!(
            matches!(answer[..], [Said::Response(at, Result::REQUEST_ALREADY_IN_PROGRESS, _)] if at == seq),
            "{answer:?}"
        );
    }
    respond(&mut peer, z_seq, Result::REQUEST_ALREADY_IN_PROGRESS);
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Failed]);
    z_resets(&mut peer, StreamDirections::Incoming, &[0]).unwrap();
}

#[test]
fn rfc6525_5_2_2_e1_the_peers_reset_answers_the_own_incoming_request_even_if_others_are_denied() {
    let mut peer = established();
    let (z, assoc) = (peer.z, peer.assoc.unwrap());
    peer.world
        .stack(z)
        .accept_reconfig(assoc, ReconfigRequests::NONE)
        .unwrap();
    z_resets(&mut peer, StreamDirections::Incoming, &[0]).unwrap();
    let z_seq = peer.z_tsn.0;
    assert_eq!(said(&peer.answers()), [Said::ResetIncoming(z_seq, vec![0])]);
    let last = peer.tsn.minus(1);
    let denied = ask(&mut peer, |w| reset_outgoing(w, SEQ, z_seq, last, &[1]));
    assert_eq!(denied, result(SEQ, Result::DENIED), "it is not what was asked for");
    let done = ask(&mut peer, |w| reset_outgoing(w, SEQ + 1, z_seq, last, &[0]));
    assert_eq!(done, result(SEQ + 1, Result::PERFORMED));
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Performed]);
    let status = peer.run(secs(30));
    assert!(said(&status).is_empty(), "the timer is stopped");
}

#[test]
fn rfc6525_5_2_7_h5_the_requester_goes_on_with_the_numbers_it_is_told() {
    let mut peer = established();
    z_says_and_gets_sack(&mut peer, 0);
    let (now, assoc, z) = (peer.world.now(), peer.assoc.unwrap(), peer.z);
    peer.world.stack(z).reset_association(now, assoc).unwrap();
    let z_seq = peer.z_tsn.0;
    assert_eq!(said(&peer.answers()), [Said::ResetAll(z_seq)]);
    peer.z_says(b"waits");
    // New data overtakes the response; it has the numbers that are not known yet.
    let next = NextTsns {
        sender: peer.tsn.next(),
        receiver: peer.z_tsn.plus(1 + (1 << 31)),
    };
    peer.send_data(&Peer::header(peer.tsn, 0, 1), b"old");
    peer.send_data(&Peer::header(next.sender.next(), 0, 1), b"new 1");
    peer.send_data(&Peer::header(next.sender, 0, 0), b"new 0");
    // So does an acknowledgement that means nothing yet.
    let (cumulative, old) = (next.receiver.minus(1), peer.z_tsn.minus(1));
    peer.send(|buf| write_sack(buf, cumulative, 100_000, &[], &[]));
    assert!(data_chunks(&peer.answers()).is_empty());
    send(&mut peer, |w| {
        ReconfigParam::Response {
            response_seq: RequestSeq(z_seq),
            result: Result::PERFORMED,
            next_tsns: Some(next),
        }
        .write(w);
    });
    let sent = peer.answers();
    let data = data_chunks(&sent);
    assert_eq!((data[0].tsn, data[0].ssn), (next.receiver, Ssn(0)));
    assert_eq!(peer.z_hears_payloads(), [&b"first"[..], b"old", b"new 0", b"new 1"]);
    // An old acknowledgement that is late is no violation.
    peer.send(|buf| write_sack(buf, old, 100_000, &[], &[]));
    peer.send(|buf| write_sack(buf, next.receiver, 100_000, &[], &[]));
    peer.answers();
    let status = peer.status().unwrap();
    assert_eq!(
        (status.phase, status.buffered_bytes),
        (AssociationPhase::Established, 0)
    );
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Performed]);
}

#[test]
fn rfc6525_5_1_2_a_reset_waits_until_what_was_queued_before_is_sent() {
    let mut peer = established();
    for _ in 0..50 {
        peer.z_says(&[7; 1000]);
    }
    z_resets(&mut peer, StreamDirections::Outgoing, &[0]).unwrap();
    peer.z_says(b"after");
    let mut sent = Vec::new();
    let mut acked = 0;
    for _ in 0..60 {
        sent.extend(peer.answers());
        let count = data_chunks(&sent).len() as u32;
        if count > acked {
            assert!(said(&sent).is_empty() || count == 50);
            acked = count;
            peer.send_sack(count - 1, 100_000, &[]);
        }
    }
    let z_seq = peer.z_tsn.0;
    let request = Said::ResetOutgoing {
        seq: z_seq,
        response: SEQ - 1,
        last: peer.z_tsn.plus(49),
        streams: vec![0],
    };
    assert_eq!((data_chunks(&sent).len(), said(&sent)), (50, vec![request]));
    // Denied: the numbers go on.
    let after = respond(&mut peer, z_seq, Result::DENIED);
    let data = data_chunks(&after);
    assert_eq!((data[0].ssn, data[0].payload), (Ssn(50), &b"after"[..]));
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Denied]);
}

#[test]
fn rfc6525_5_2_7_h2_while_the_peer_needs_time_the_request_is_repeated_without_an_error() {
    let mut peer = established();
    z_resets(&mut peer, StreamDirections::Outgoing, &[0]).unwrap();
    let z_seq = peer.z_tsn.0;
    let request = said(&peer.answers());
    for _ in 0..20 {
        respond(&mut peer, z_seq, Result::IN_PROGRESS);
        assert_eq!(said(&peer.run(ms(1100))), request);
    }
    let status = peer.status().unwrap();
    assert_eq!(
        (status.phase, status.paths[0].error_count),
        (AssociationPhase::Established, 0)
    );
    respond(&mut peer, z_seq, Result::PERFORMED);
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Performed]);
}

#[test]
fn rfc9260_5_2_4_a_restart_ends_requests_and_begins_their_numbers_anew() {
    let mut peer = established();
    assert_eq!(
        ask(&mut peer, |w| add_outgoing(w, SEQ, 1)),
        result(SEQ, Result::PERFORMED)
    );
    z_resets(&mut peer, StreamDirections::Outgoing, &[0]).unwrap();
    assert_eq!(said(&peer.answers()).len(), 1);
    peer.z_says(b"held");
    peer.tag.0 ^= 1;
    peer.fixed.initiate_tag = peer.tag;
    peer.fixed.initial_tsn = Tsn(5000);
    peer.tsn = Tsn(5000);
    peer.send_init_with(|w| Param::SupportedExtensions(&[ChunkType::RE_CONFIG.0]).write(w));
    let answer = peer.answer();
    let cookie = peer.learn(&answer);
    peer.send(|buf| sctp::wire::write_cookie_echo(buf, &cookie));
    let sent = peer.answers();
    assert_eq!(outcomes(&peer)[1..], [ReconfigOutcome::Failed]);
    assert_eq!(data_chunks(&sent)[0].payload, b"held");
    assert_eq!(
        ask(&mut peer, |w| add_outgoing(w, 5000, 1)),
        result(5000, Result::PERFORMED)
    );
    assert_eq!(peer.status().unwrap().inbound_streams, 11);
}

#[test]
fn rfc9260_9_2_a_shutdown_waits_for_what_a_reset_holds_and_ends_requests() {
    let mut peer = established();
    z_resets(&mut peer, StreamDirections::Outgoing, &[0]).unwrap();
    let z_seq = peer.z_tsn.0;
    peer.z_says(b"held");
    peer.answers();
    peer.z_shuts_down();
    assert!(!peer.answers().iter().any(|answer| answer.has(ChunkType::SHUTDOWN)));
    assert_eq!(
        z_resets(&mut peer, StreamDirections::Outgoing, &[1]),
        Err(ReconfigError::NotEstablished)
    );
    assert_eq!(
        ask(&mut peer, |w| reset_incoming(w, SEQ, &[])),
        result(SEQ, Result::DENIED)
    );
    let sent = respond(&mut peer, z_seq, Result::PERFORMED);
    assert_eq!(data_chunks(&sent).len(), 1);
    peer.send_sack(0, 100_000, &[]);
    assert!(peer.answer().has(ChunkType::SHUTDOWN));

    let mut peer = established();
    z_resets(&mut peer, StreamDirections::Outgoing, &[0]).unwrap();
    peer.answers();
    peer.z_shuts_down();
    assert!(peer.answer().has(ChunkType::SHUTDOWN));
    assert_eq!(outcomes(&peer), [ReconfigOutcome::Failed]);
}
