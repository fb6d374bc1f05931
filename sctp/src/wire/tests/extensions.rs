//! Chunks, parameters and causes of the extensions: what is written is read back, and what is read never does harm.

use std::net::IpAddr;
use std::ops::Range;

use proptest::prelude::*;
use proptest::sample::Index;

use super::properties::{HEADER, bytes, round_trip};
use super::{captured_extensions, rewrite, walk_any_packet};
use crate::serial::{AsconfSerial, CorrelationId, Fsn, Mid, Ppid, RequestSeq, SharedKeyId, Ssn, StreamId, Tsn};
use crate::tlv::Writer;
use crate::wire::*;

/// An address that is written as it is: IPv4-mapped ones are not.
fn address() -> impl Strategy<Value = IpAddr> {
    any::<IpAddr>().prop_map(|address| address.to_canonical())
}

fn change() -> impl Strategy<Value = AddressChange> {
    prop_oneof![
        address().prop_map(AddressChange::Add),
        address().prop_map(AddressChange::Delete),
        address().prop_map(AddressChange::SetPrimary),
    ]
}

fn stream_ids() -> impl Strategy<Value = Vec<StreamId>> {
    prop::collection::vec(any::<u16>().prop_map(StreamId), 0..9)
}

/// What `write` writes.
pub(super) fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buf = Vec::new();
    write(&mut Writer::new(&mut buf));
    buf
}

proptest! {
    #[test]
    fn rfc3758_3_2_forward_tsn(
        tsn: u32,
        streams in prop::collection::vec(any::<(u16, u16)>(), 0..20),
    ) {
        let streams: Vec<_> = streams.into_iter().map(|(stream, ssn)| (StreamId(stream), Ssn(ssn))).collect();
        round_trip(|buf| write_forward_tsn(buf, Tsn(tsn), &streams), |chunk| {
            let Chunk::ForwardTsn(forward) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!(forward.new_cumulative_tsn, Tsn(tsn));
            prop_assert!(forward.streams.eq(streams.iter().copied()));
            Ok(())
        })?;
    }

    #[test]
    fn rfc8260_2_3_1_i_forward_tsn(tsn: u32, entries in prop::collection::vec(any::<(u16, bool, u32)>(), 0..20)) {
        let messages: Vec<_> = entries
            .into_iter()
            .map(|(stream, unordered, mid)| SkippedMessage { stream: StreamId(stream), unordered, mid: Mid(mid) })
            .collect();
        round_trip(|buf| write_i_forward_tsn(buf, Tsn(tsn), &messages), |chunk| {
            let Chunk::IForwardTsn(forward) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!(forward.new_cumulative_tsn, Tsn(tsn));
            prop_assert!(forward.messages.eq(messages.iter().copied()));
            Ok(())
        })?;
    }

    #[test]
    fn rfc8260_2_1_i_data(
        (tsn, stream, mid, field) in any::<(u32, u16, u32, u32)>(),
        (unordered, beginning, ending, immediate) in any::<(bool, bool, bool, bool)>(),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let fragment = if beginning { Fragment::First(Ppid(field)) } else { Fragment::Later(Fsn(field)) };
        let header = IDataHeader {
            tsn: Tsn(tsn), stream: StreamId(stream), mid: Mid(mid), fragment, unordered, ending, immediate,
        };
        round_trip(|buf| write_i_data(buf, &header, &payload), |chunk| {
            let Chunk::IData(data) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!(data, IDataChunk { header, payload: &payload });
            Ok(())
        })?;
    }

    #[test]
    fn rfc4895_5_1_auth(key: u16, hmac_id: u16, hmac in bytes()) {
        let write = |buf: &mut Vec<u8>| {
            let range = write_auth(buf, SharedKeyId(key), HmacId(hmac_id), hmac.len());
            fill_in_hmac(buf, range, &hmac);
        };
        round_trip(write, |chunk| {
            let expected = Auth { shared_key: SharedKeyId(key), hmac_id: HmacId(hmac_id), hmac: &hmac };
            prop_assert!(matches!(chunk, Chunk::Auth(auth) if auth == expected));
            Ok(())
        })?;
    }

    #[test]
    fn rfc4895_6_2_both_sides_take_the_hmac_of_the_same_bytes(
        before in bytes(),
        hmac in prop::collection::vec(any::<u8>(), 0..150),
        behind in bytes(),
        others: [u8; 5],
    ) {
        let mut buf = others.to_vec();
        let start = begin_packet(&mut buf, &HEADER);
        write_cookie_echo(&mut buf, &before);
        let at = buf.len();
        let range = write_auth(&mut buf, SharedKeyId(1), HmacId::SHA256, hmac.len());
        write_chunk(&mut buf, ChunkType::ASCONF, 0, &behind);
        write_cookie_ack(&mut buf);
        let covered = |packet: &[u8], range: &Range<usize>| {
            let mut covered = Vec::new();
            authenticated(packet, range, |piece| covered.extend_from_slice(piece));
            covered
        };
        let by_sender = covered(&buf, &range);
        prop_assert_eq!(&by_sender, &buf[at..]);
        fill_in_hmac(&mut buf, range.clone(), &hmac);
        prop_assert_eq!(covered(&buf, &range), by_sender.as_slice(), "whatever the field holds");
        finish_packet(&mut buf, start);

        let packet = Packet::parse(&buf[start..], ChecksumRule::Verify).unwrap();
        let raw = packet.find(ChunkType::AUTH).unwrap();
        prop_assert_eq!(Auth::parse(raw.value).unwrap().hmac, &hmac);
        prop_assert_eq!(&packet.bytes()[hmac_range(&raw)], &hmac);
        prop_assert_eq!(covered(packet.bytes(), &hmac_range(&raw)), by_sender);
    }

    #[test]
    fn rfc4895_6_2_a_range_outside_of_the_packet_gives_nothing(len in 0usize..40, a in 0usize..60, b in 0usize..60) {
        let packet = vec![1; len];
        let mut pieces = 0;
        authenticated(&packet, &(a..b), |_| pieces += 1);
        prop_assert_eq!(pieces > 0, a >= AUTH_HEADER_LEN && a <= b && b <= len);
    }

    #[test]
    fn rfc5061_4_1_1_asconf(
        serial: u32,
        from in address(),
        changes in prop::collection::vec((any::<u32>(), change()), 0..6),
    ) {
        let write = |buf: &mut Vec<u8>| {
            write_asconf(buf, AsconfSerial(serial), from, |w| {
                changes.iter().for_each(|(id, change)| change.write(w, CorrelationId(*id)));
            });
        };
        round_trip(write, |chunk| {
            let Chunk::Asconf(asconf) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!((asconf.serial, asconf.address), (AsconfSerial(serial), from));
            let read: Vec<_> = asconf.requests.map(Result::unwrap).collect();
            prop_assert!(read.iter().all(|request| request.is_known() && request.tlv.raw.len() % 4 == 0));
            let read: Vec<_> = read.iter().map(|read| (read.correlation_id.0, read.change.unwrap())).collect();
            prop_assert_eq!(&read, &changes);
            Ok(())
        })?;
    }

    #[test]
    fn rfc5061_4_1_2_asconf_ack(
        serial: u32,
        responses in prop::collection::vec((any::<u32>(), any::<Option<bool>>()), 0..6),
    ) {
        let causes = |both: bool| {
            let first = Cause::ResourceShortage(&[0xc0, 1, 0, 8, 0, 0, 0, 1]);
            if both { vec![first, Cause::IllegalAsconfAck] } else { vec![first] }
        };
        let write = |buf: &mut Vec<u8>| {
            write_asconf_ack(buf, AsconfSerial(serial), |w| {
                for (id, failed) in &responses {
                    match failed {
                        None => write_success_indication(w, CorrelationId(*id)),
                        Some(both) => write_error_cause_indication(w, CorrelationId(*id), |w| {
                            causes(*both).iter().for_each(|cause| cause.write(w));
                        }),
                    }
                }
            });
        };
        round_trip(write, |chunk| {
            let Chunk::AsconfAck(ack) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!(ack.serial, AsconfSerial(serial));
            let read: Vec<_> = ack.responses.map(Result::unwrap).collect();
            prop_assert_eq!(read.len(), responses.len());
            for (read, (id, failed)) in read.into_iter().zip(&responses) {
                match (read, failed) {
                    (AsconfResponse::Success(read), None) => prop_assert_eq!(read, CorrelationId(*id)),
                    (AsconfResponse::Error { correlation_id, causes: read }, Some(both)) => {
                        prop_assert_eq!(correlation_id, CorrelationId(*id));
                        prop_assert_eq!(read.map(Result::unwrap).collect::<Vec<_>>(), causes(*both));
                    }
                    (read, _) => panic!("{read:?}"),
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn rfc6525_4_each_parameter_holds_what_was_put_in(
        (request, response, tsn, result) in any::<(u32, u32, u32, u32)>(),
        (next_tsns, new_streams) in any::<(Option<(u32, u32)>, u16)>(),
        streams in stream_ids(),
    ) {
        let (request_seq, response_seq) = (RequestSeq(request), RequestSeq(response));
        let fixed = [
            ReconfigParam::SsnTsnReset { request_seq },
            ReconfigParam::Response {
                response_seq,
                result: ReconfigResult(result),
                next_tsns: next_tsns.map(|(a, b)| NextTsns { sender: Tsn(a), receiver: Tsn(b) }),
            },
            ReconfigParam::AddOutgoingStreams { request_seq, new_streams },
            ReconfigParam::AddIncomingStreams { request_seq, new_streams },
        ];
        for param in fixed {
            round_trip(|buf| write_reconfig(buf, |w| param.write(w)), |chunk| {
                let Chunk::Reconfig(reconfig) = chunk else { panic!("{chunk:?}") };
                prop_assert!(reconfig.is_allowed());
                prop_assert_eq!(reconfig.params.map(Result::unwrap).collect::<Vec<_>>(), std::slice::from_ref(&param));
                Ok(())
            })?;
        }
        let write = |buf: &mut Vec<u8>| {
            write_reconfig(buf, |w| {
                write_outgoing_ssn_reset(w, request_seq, response_seq, Tsn(tsn), &streams);
                write_incoming_ssn_reset(w, request_seq.next(), &streams);
            });
        };
        round_trip(write, |chunk| {
            let Chunk::Reconfig(reconfig) = chunk else { panic!("{chunk:?}") };
            prop_assert!(reconfig.is_allowed());
            let read: Vec<_> = reconfig.params.map(Result::unwrap).collect();
            let [
                ReconfigParam::OutgoingSsnReset {
                    request_seq: first, response_seq: answered, last_assigned_tsn, streams: outgoing,
                },
                ReconfigParam::IncomingSsnReset { request_seq: second, streams: incoming },
            ] = read.as_slice() else { panic!("{read:?}") };
            prop_assert_eq!((*first, *answered, *last_assigned_tsn), (request_seq, response_seq, Tsn(tsn)));
            prop_assert_eq!(*second, request_seq.next());
            prop_assert_eq!(outgoing.len(), streams.len());
            prop_assert!(outgoing.clone().eq(streams.iter().copied()) && incoming.clone().eq(streams.iter().copied()));
            Ok(())
        })?;
    }

    #[test]
    fn rfc4820_3_pad_takes_the_bytes_asked_for(len in 0usize..3000) {
        round_trip(|buf| write_pad(buf, len), |chunk| {
            let Chunk::Pad(data) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!(data.len() + CHUNK_HEADER_LEN, len.max(4).next_multiple_of(4));
            Ok(())
        })?;
    }

    #[test]
    fn each_parameter_of_an_init_holds_what_was_put_in(
        (number, id, to) in (any::<u32>(), any::<u32>(), address()),
        value in bytes(),
        hmacs in prop::collection::vec(any::<u16>().prop_map(HmacId), 0..5),
    ) {
        let params = [
            Param::ZeroChecksumAcceptable(ErrorDetectionMethod(number)),
            Param::Random(&value),
            Param::ChunkList(&value),
            Param::Padding(&value),
            Param::SetPrimaryAddress { correlation_id: CorrelationId(id), address: to },
            Param::AdaptationLayerIndication(number),
        ];
        let buf = written(|w| {
            params.iter().for_each(|param| param.write(w));
            write_hmac_algorithms(w, &hmacs);
        });
        let read: Vec<_> = Params::new(&buf).map(Result::unwrap).collect();
        let Some((Param::HmacAlgorithms(last), read)) = read.split_last() else { panic!("{read:?}") };
        prop_assert_eq!(read, params);
        prop_assert!(last.clone().map(HmacId).eq(hmacs));
        let again = written(|w| Params::new(&buf).for_each(|param| param.unwrap().write(w)));
        prop_assert_eq!(again, buf);
    }

    #[test]
    fn each_cause_holds_what_was_put_in(hmac: u16, quote in bytes()) {
        let causes = [
            Cause::DeleteLastRemainingAddress(&quote),
            Cause::ResourceShortage(&quote),
            Cause::DeleteSourceAddress(&quote),
            Cause::IllegalAsconfAck,
            Cause::NoAuthorization(&quote),
            Cause::UnsupportedHmacIdentifier(HmacId(hmac)),
        ];
        let buf = written(|w| causes.iter().for_each(|cause| cause.write(w)));
        prop_assert_eq!(Causes::new(&buf).map(Result::unwrap).collect::<Vec<_>>(), causes);
    }

    #[test]
    fn any_value_of_an_extension_is_read_without_harm(
        kind in prop::sample::select(vec![0x0f, 0x40, 0x80, 0x82, 0x84, 0xc0, 0xc1, 0xc2]),
        flags: u8,
        items in prop::collection::vec((prop_oneof![13u16..=18, 0xc001u16..=0xc006, 5u16..=6], bytes()), 0..6),
        fixed in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        let tlvs = written(|w| items.iter().for_each(|(kind, value)| w.tlv(*kind, |w| w.bytes(value))));
        let value = [fixed, tlvs].concat();
        let mut buf = Vec::new();
        let start = begin_packet(&mut buf, &HEADER);
        write_chunk(&mut buf, ChunkType(kind), flags, &value);
        finish_packet(&mut buf, start);
        walk_any_packet(&buf);
    }

    #[test]
    fn damaged_packets_are_read_without_harm(
        which: Index,
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        cut: Option<Index>,
    ) {
        let mut packet = which.get(&captured_extensions::all()).clone();
        let end = packet.len().min(80);
        for (at, byte) in damage {
            *at.get_mut(&mut packet[..end]) = byte;
        }
        if let Some(cut) = cut {
            packet.truncate(cut.index(packet.len()));
        }
        finish_packet(&mut packet, 0);
        walk_any_packet(&packet);
        if let Ok(again) = rewrite(&packet) {
            walk_any_packet(&again);
            prop_assert_eq!(rewrite(&again), Ok(again), "what was written once stays as it is");
        }
    }
}
