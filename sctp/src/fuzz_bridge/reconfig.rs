//! RE-CONFIG of a hostile peer (RFC 6525).

use std::time::Duration;

use super::Choices;
use super::hostile_peer::{HostilePeer, PEER_TSN, peer};
use crate::config::{AssociationConfig, ReconfigRequests};
use crate::serial::{RequestSeq, StreamId, Tsn};
use crate::tlv::Writer;
use crate::wire::{
    ChunkType, NextTsns, Param, ReconfigParam, ReconfigResult, write_incoming_ssn_reset, write_outgoing_ssn_reset,
    write_reconfig,
};
use crate::{Event, StreamDirections};

/// How many streams each side may get.
const MOST_STREAMS: u16 = 12;

/// Bytes as RE-CONFIG chunks of a peer, well-formed or not, between data and the own user's requests: streams stay
/// below their limits, one packet is answered by one, and each own request has an outcome.
pub fn reconfig(data: &[u8]) {
    let mut choices = Choices::new(data);
    let setup = choices.u8();
    let mut config = AssociationConfig::default();
    let limits = config.set_max_inbound_streams(MOST_STREAMS);
    let limits = limits.and_then(|()| config.reconfig_mut().set_max_outbound_streams(MOST_STREAMS));
    limits.expect("values in range");
    config.reconfig_mut().set_accepted(ReconfigRequests {
        reset_streams: setup & 1 == 0,
        reset_association: setup & 2 == 0,
        add_streams: setup & 4 == 0,
    });
    let mut it = HostilePeer::connect(config, [ChunkType::RE_CONFIG; 2], |w| {
        Param::SupportedExtensions(&[ChunkType::RE_CONFIG.0]).write(w);
        Param::ForwardTsnSupported.write(w);
    });
    let (mut asked, mut tsn) = (0, Tsn(PEER_TSN));
    while !choices.is_empty() && it.ends == 0 {
        let what = choices.u8();
        let number = what >> 4;
        match what & 15 {
            0..=6 => {
                let mut chunk = Vec::new();
                write_reconfig(&mut chunk, |w| {
                    (0..=number & 1).for_each(|_| param(w, tsn, &it, &mut choices))
                });
                it.give(peer(0), &chunk, 2);
            }
            7 => {
                let chunk = it.data(
                    tsn.plus(u32::from(number >> 2)),
                    u16::from(number & 3),
                    choices.u8().into(),
                );
                tsn = tsn.plus(u32::from(number >> 2 == 0));
                it.give(peer(0), &chunk, 3);
            }
            8 => it.acknowledge(),
            9 => it.user_sends(u16::from(number), 100 + 40 * usize::from(choices.u8())),
            10 => it.pass(Duration::from_millis(1 << number)),
            11 => drop(it.user_reads()),
            12 => {
                let way = [
                    StreamDirections::Outgoing,
                    StreamDirections::Incoming,
                    StreamDirections::Both,
                ];
                let way = way[usize::from(number & 3) % 3];
                let list = [StreamId(u16::from(number >> 2))];
                let done = it
                    .stack
                    .reset_streams(it.now, it.assoc, way, &list[..usize::from(number & 1)]);
                asked += usize::from(done.is_ok());
            }
            13 => asked += usize::from(it.stack.reset_association(it.now, it.assoc).is_ok()),
            14 => {
                let (out, back) = (u16::from(number & 3), u16::from(number >> 2));
                let streams = it.stack.status(it.assoc).map_or(0, |status| status.outbound_streams);
                if streams + out <= MOST_STREAMS {
                    asked += usize::from(it.stack.add_streams(it.now, it.assoc, out, back).is_ok());
                }
            }
            _ => {
                let chunk = [
                    &[ChunkType::RE_CONFIG.0, 0, 0, 4 + number][..],
                    choices.take(number.into()),
                ]
                .concat();
                it.give(peer(0), &chunk, 2);
            }
        }
        it.collect(usize::MAX);
        if let Some(status) = it.stack.status(it.assoc) {
            assert!(status.inbound_streams <= MOST_STREAMS && status.outbound_streams <= MOST_STREAMS);
        }
    }
    if it.ends == 0 {
        it.finish();
    }
    let outcome = |event: &&Event| {
        matches!(
            event,
            Event::StreamReset { .. } | Event::AssociationReset { .. } | Event::StreamChange { .. }
        )
    };
    let told = it.events.iter().filter(outcome).count();
    assert!(
        told >= asked,
        "{asked} requests, of which some have no outcome: {:?}",
        it.events
    );
}

/// A parameter whose numbers are near those that fit.
fn param(w: &mut Writer<'_>, tsn: Tsn, it: &HostilePeer, choices: &mut Choices<'_>) {
    let (kind, near) = (choices.u8(), choices.u8());
    let request_seq = RequestSeq(PEER_TSN)
        .plus(u32::from(near & 7))
        .minus(u32::from(near == 255));
    let response_seq = RequestSeq(it.stack_tsn).plus(u32::from(near >> 4 & 7)).minus(1);
    let streams: Vec<StreamId> = (0..kind >> 6).map(|_| StreamId(u16::from(choices.u8() % 16))).collect();
    let new_streams = u16::from(choices.u8()) << (kind >> 6 << 1);
    match kind & 7 {
        0 | 1 => {
            let last = tsn.plus(u32::from(choices.u8() % 8)).minus(2);
            write_outgoing_ssn_reset(w, request_seq, response_seq, last, &streams);
        }
        2 => write_incoming_ssn_reset(w, request_seq, &streams),
        3 => ReconfigParam::SsnTsnReset { request_seq }.write(w),
        4 => {
            let next_tsns = (kind & 8 != 0).then(|| NextTsns {
                sender: tsn.plus(u32::from(choices.u8() % 4)),
                receiver: Tsn(choices.u32()),
            });
            let result = ReconfigResult(u32::from(near & 7));
            ReconfigParam::Response {
                response_seq,
                result,
                next_tsns,
            }
            .write(w);
        }
        5 => ReconfigParam::AddOutgoingStreams {
            request_seq,
            new_streams,
        }
        .write(w),
        6 => ReconfigParam::AddIncomingStreams {
            request_seq,
            new_streams,
        }
        .write(w),
        _ => w.tlv(choices.u16(), |w| w.bytes(choices.take(usize::from(near & 15)))),
    }
}
