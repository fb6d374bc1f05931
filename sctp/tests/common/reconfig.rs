//! A scripted peer that re-configures streams (RFC 6525), and what Z says to it, parameter by parameter.

use sctp::config::{AssociationConfig, ReconfigRequests};
use sctp::error::ReconfigError;
use sctp::serial::{RequestSeq, StreamId, Tsn};
use sctp::tlv::Writer;
use sctp::wire::{
    ChunkType, NextTsns, Param, Reconfig, ReconfigParam, ReconfigResult, write_incoming_ssn_reset,
    write_outgoing_ssn_reset, write_reconfig,
};
use sctp::{Event, ReconfigOutcome, StreamDirections};

use super::{Answer, Peer, PeerSetup, data_chunks};

/// The result of a request.
pub(crate) type Result = ReconfigResult;

/// A parameter of a RE-CONFIG of Z, with owned streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    ResetOutgoing {
        seq: u32,
        response: u32,
        last: Tsn,
        streams: Vec<u16>,
    },
    ResetIncoming(u32, Vec<u16>),
    ResetAll(u32),
    Response(u32, Result, Option<NextTsns>),
    AddOutgoing(u32, u16),
    AddIncoming(u32, u16),
}

/// What the RE-CONFIGs of these packets say.
pub(crate) fn said(packets: &[Answer]) -> Vec<Said> {
    let chunks = packets.iter().flat_map(|packet| &packet.chunks);
    let mut found = Vec::new();
    for chunk in chunks.filter(|chunk| chunk.kind == ChunkType::RE_CONFIG) {
        let chunk = Reconfig::parse(&chunk.value).unwrap();
        assert!(chunk.is_allowed());
        found.extend(chunk.params.map(|param| match param.unwrap() {
            ReconfigParam::OutgoingSsnReset {
                request_seq,
                response_seq,
                last_assigned_tsn,
                streams,
            } => Said::ResetOutgoing {
                seq: request_seq.0,
                response: response_seq.0,
                last: last_assigned_tsn,
                streams: streams.map(|id| id.0).collect(),
            },
            ReconfigParam::IncomingSsnReset { request_seq, streams } => {
                Said::ResetIncoming(request_seq.0, streams.map(|id| id.0).collect())
            }
            ReconfigParam::SsnTsnReset { request_seq } => Said::ResetAll(request_seq.0),
            ReconfigParam::Response {
                response_seq,
                result,
                next_tsns,
            } => Said::Response(response_seq.0, result, next_tsns),
            ReconfigParam::AddOutgoingStreams {
                request_seq,
                new_streams,
            } => Said::AddOutgoing(request_seq.0, new_streams),
            ReconfigParam::AddIncomingStreams {
                request_seq,
                new_streams,
            } => Said::AddIncoming(request_seq.0, new_streams),
            ReconfigParam::Unknown(tlv) => panic!("{tlv:?}"),
        }));
    }
    found
}

/// Z accepts everything, and has one message of the peer (TSN 1000, stream 0) behind it.
pub(crate) fn established() -> Peer {
    let mut association = AssociationConfig::default();
    association.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    association.set_max_inbound_streams(20).unwrap();
    association.reconfig_mut().set_max_outbound_streams(20).unwrap();
    let mut peer = Peer::with(PeerSetup {
        association,
        ..PeerSetup::default()
    });
    peer.establish_with(|w| {
        Param::ForwardTsnSupported.write(w);
        Param::SupportedExtensions(&[ChunkType::RE_CONFIG.0]).write(w);
    });
    peer.say(b"first");
    assert!(peer.answer().has(ChunkType::SACK));
    peer
}

/// The peer's request numbers count from its initial TSN (RFC 6525 §4.1).
pub(crate) const SEQ: u32 = 1000;

/// Sends a RE-CONFIG in a packet of its own.
pub(crate) fn send(peer: &mut Peer, params: impl FnOnce(&mut Writer<'_>)) {
    peer.send(|buf| write_reconfig(buf, params));
}

/// Sends a RE-CONFIG, and returns what those say that answer it at once.
pub(crate) fn ask(peer: &mut Peer, params: impl FnOnce(&mut Writer<'_>)) -> Vec<Said> {
    send(peer, params);
    said(&peer.answers())
}

pub(crate) fn ids(streams: &[u16]) -> Vec<StreamId> {
    streams.iter().map(|&id| StreamId(id)).collect()
}

pub(crate) fn reset_outgoing(w: &mut Writer<'_>, seq: u32, response: u32, last: Tsn, streams: &[u16]) {
    write_outgoing_ssn_reset(w, RequestSeq(seq), RequestSeq(response), last, &ids(streams));
}

pub(crate) fn reset_incoming(w: &mut Writer<'_>, seq: u32, streams: &[u16]) {
    write_incoming_ssn_reset(w, RequestSeq(seq), &ids(streams));
}

/// Answers a request of Z, and returns what it does at once.
pub(crate) fn respond(peer: &mut Peer, seq: u32, result: Result) -> Vec<Answer> {
    send(peer, |w| {
        ReconfigParam::Response {
            response_seq: RequestSeq(seq),
            result,
            next_tsns: None,
        }
        .write(w);
    });
    peer.answers()
}

pub(crate) fn add_outgoing(w: &mut Writer<'_>, seq: u32, new_streams: u16) {
    let request_seq = RequestSeq(seq);
    ReconfigParam::AddOutgoingStreams {
        request_seq,
        new_streams,
    }
    .write(w);
}

pub(crate) fn add_incoming(w: &mut Writer<'_>, seq: u32, new_streams: u16) {
    let request_seq = RequestSeq(seq);
    ReconfigParam::AddIncomingStreams {
        request_seq,
        new_streams,
    }
    .write(w);
}

pub(crate) fn reset_all(w: &mut Writer<'_>, seq: u32) {
    let request_seq = RequestSeq(seq);
    ReconfigParam::SsnTsnReset { request_seq }.write(w);
}

pub(crate) fn result(seq: u32, result: Result) -> Vec<Said> {
    vec![Said::Response(seq, result, None)]
}

pub(crate) fn z_resets(
    peer: &mut Peer,
    directions: StreamDirections,
    streams: &[u16],
) -> std::result::Result<(), ReconfigError> {
    let (now, assoc) = (peer.world.now(), peer.assoc.unwrap());
    peer.world
        .stack(peer.z)
        .reset_streams(now, assoc, directions, &ids(streams))
}

/// What became of the requests of Z's user.
pub(crate) fn outcomes(peer: &Peer) -> Vec<ReconfigOutcome> {
    let outcome = |event: &Event| match event {
        Event::StreamReset { outcome, .. }
        | Event::AssociationReset { outcome, .. }
        | Event::StreamChange { outcome, .. } => Some(*outcome),
        _ => None,
    };
    peer.log.iter().filter_map(outcome).collect()
}

/// Z's user sends a message, and the peer acknowledges it.
pub(crate) fn z_says_and_gets_sack(peer: &mut Peer, count: u32) {
    peer.z_says(b"x");
    assert_eq!(data_chunks(&peer.answers()).len(), 1);
    peer.send_sack(count, 100_000, &[]);
    peer.answers();
}
