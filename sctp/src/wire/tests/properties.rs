//! What is written is read back, and what is read never does harm.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use proptest::sample::Index;

use super::{captured, rewrite, walk_any_packet};
use crate::serial::{Ppid, Ssn, StreamId, Tsn, VerificationTag};
use crate::tlv::{UnknownAction, Writer};
use crate::wire::*;

pub(super) const HEADER: CommonHeader = CommonHeader {
    source_port: 9,
    destination_port: 7,
    verification_tag: VerificationTag(0xdead_beef),
};

/// Writes a packet of one chunk, checks that [`rewrite`] gives the same bytes, and calls `check` with the chunk.
pub(super) fn round_trip(
    write: impl FnOnce(&mut Vec<u8>),
    check: impl FnOnce(Chunk<'_>) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let mut buf = Vec::new();
    let start = begin_packet(&mut buf, &HEADER);
    write(&mut buf);
    finish_packet(&mut buf, start);
    prop_assert_eq!(buf.len() % 4, 0);
    prop_assert_eq!(rewrite(&buf), Ok(buf.clone()));
    let packet = Packet::parse(&buf, ChecksumRule::Verify).unwrap();
    prop_assert_eq!(packet.header, HEADER);
    let mut chunks = packet.chunks();
    let raw = chunks.next().unwrap().unwrap();
    prop_assert!(chunks.next().is_none());
    prop_assert!(
        buf[raw.offset + raw.raw.len()..].iter().all(|byte| *byte == 0),
        "padding is zeros"
    );
    check(Chunk::parse(&raw).unwrap())
}

pub(super) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..50)
}

/// A type number that no reader knows.
fn unknown(known: &'static [u16]) -> impl Strategy<Value = u16> {
    any::<u16>().prop_filter("known", move |kind| !known.contains(kind))
}

/// A chunk type that [`Chunk`] does not know.
fn unknown_chunk() -> impl Strategy<Value = u8> {
    let known = [0x0f, 0x40, 0x80, 0x82, 0x84, 0xc0, 0xc1, 0xc2];
    (15u8..).prop_filter("known", move |kind| !known.contains(kind))
}

const KNOWN_PARAMS: &[u16] = &[
    5, 6, 7, 8, 9, 11, 12, 0x8000, 0x8001, 0x8002, 0x8003, 0x8004, 0x8005, 0x8008, 0xc000, 0xc004, 0xc006,
];
const KNOWN_CAUSES: &[u16] = &[
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0x105,
];

/// Parameters or causes as bytes, each with what its value holds.
type Sample = (u16, Vec<u8>);

fn write_all(w: &mut Writer<'_>, samples: &[Sample]) {
    samples
        .iter()
        .for_each(|(kind, value)| w.tlv(*kind, |w| w.bytes(value)));
}

fn params() -> impl Strategy<Value = Vec<Sample>> {
    let param = prop_oneof![
        any::<[u8; 4]>().prop_map(|v4| (5, v4.to_vec())),
        any::<[u8; 16]>().prop_map(|v6| (6, v6.to_vec())),
        any::<[u8; 4]>().prop_map(|increment| (9, increment.to_vec())),
        prop::collection::vec(any::<[u8; 2]>(), 0..5).prop_map(|types| (12, types.concat())),
        prop::sample::select(vec![(0x8000, vec![]), (0xc000, vec![])]),
        (prop::sample::select(vec![7, 8, 11, 0x8008]), bytes()),
        (unknown(KNOWN_PARAMS), bytes()),
    ];
    prop::collection::vec(param, 0..6)
}

fn causes() -> impl Strategy<Value = Vec<Sample>> {
    let cause = prop_oneof![
        any::<[u8; 2]>().prop_map(|stream| (1, [stream, [0, 0]].concat())),
        prop::collection::vec(any::<[u8; 2]>(), 0..5).prop_map(|types| {
            let count = u32::try_from(types.len()).unwrap().to_be_bytes();
            (2, [count.to_vec(), types.concat()].concat())
        }),
        (
            prop::sample::select(vec![3, 9]),
            any::<[u8; 4]>().prop_map(|number| number.to_vec())
        ),
        prop::sample::select(vec![(4, vec![]), (7, vec![]), (10, vec![])]),
        (prop::sample::select(vec![5, 6, 8, 11, 12, 13]), bytes()),
        (unknown(KNOWN_CAUSES), bytes()),
    ];
    prop::collection::vec(cause, 0..6)
}

proptest! {
    #[test]
    fn rfc9260_3_3_1_data(
        (tsn, stream, ssn, ppid) in any::<(u32, u16, u16, u32)>(),
        (unordered, beginning, ending, immediate) in any::<(bool, bool, bool, bool)>(),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let (tsn, stream, ssn, ppid) = (Tsn(tsn), StreamId(stream), Ssn(ssn), Ppid(ppid));
        let header = DataHeader { tsn, stream, ssn, ppid, unordered, beginning, ending, immediate };
        let expected = DataChunk {
            tsn, stream, ssn, ppid, unordered, beginning, ending, immediate, payload: &payload,
        };
        round_trip(|buf| write_data(buf, &header, &payload), |chunk| {
            let Chunk::Data(data) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!(data.header(), header);
            prop_assert_eq!(data, expected);
            Ok(())
        })?;
    }

    #[test]
    fn rfc9260_3_3_2_init_and_init_ack(
        (tag, a_rwnd, outbound_streams, inbound_streams, tsn) in any::<(u32, u32, u16, u16, u32)>(),
        params in params(),
        ack: bool,
    ) {
        let fixed = InitFixed {
            initiate_tag: VerificationTag(tag), a_rwnd, outbound_streams, inbound_streams, initial_tsn: Tsn(tsn),
        };
        let kind = if ack { ChunkType::INIT_ACK } else { ChunkType::INIT };
        round_trip(|buf| write_init(buf, kind, &fixed, |w| write_all(w, &params)), |chunk| {
            let (Chunk::Init(init) | Chunk::InitAck(init)) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!(init.fixed, fixed);
            let kinds: Vec<_> = init.params.map(|param| param.unwrap().kind().0).collect();
            prop_assert_eq!(kinds, params.iter().map(|(kind, _)| *kind).collect::<Vec<_>>());
            Ok(())
        })?;
    }

    #[test]
    fn rfc9260_3_3_4_sack(
        (tsn, a_rwnd) in any::<(u32, u32)>(),
        gaps in prop::collection::vec(any::<(u16, u16)>(), 0..20),
        duplicates in prop::collection::vec(any::<u32>().prop_map(Tsn), 0..20),
    ) {
        round_trip(|buf| write_sack(buf, Tsn(tsn), a_rwnd, &gaps, &duplicates), |chunk| {
            let Chunk::Sack(sack) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!((sack.cumulative_tsn_ack, sack.a_rwnd), (Tsn(tsn), a_rwnd));
            prop_assert_eq!((sack.gaps.len(), sack.duplicates.len()), (gaps.len(), duplicates.len()));
            prop_assert!(sack.gaps.eq(gaps.iter().copied()));
            prop_assert!(sack.duplicates.eq(duplicates.iter().copied()));
            Ok(())
        })?;
    }

    #[test]
    fn rfc9260_3_3_5_heartbeat(info in bytes()) {
        round_trip(|buf| write_heartbeat(buf, &info), |chunk| {
            let Chunk::Heartbeat(heartbeat) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!(heartbeat.info, &info);
            Ok(())
        })?;
        round_trip(|buf| write_heartbeat_ack(buf, &info), |chunk| {
            let Chunk::HeartbeatAck(heartbeat) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!(heartbeat.info, &info);
            Ok(())
        })?;
    }

    #[test]
    fn rfc9260_3_3_7_and_3_3_10_abort_and_error(causes in causes(), tag_reflected: bool) {
        let codes: Vec<_> = causes.iter().map(|(code, _)| *code).collect();
        let codes_of = |causes: Causes<'_>| causes.map(|cause| cause.unwrap().code().0).collect::<Vec<_>>();
        round_trip(|buf| write_abort(buf, tag_reflected, |w| write_all(w, &causes)), |chunk| {
            let Chunk::Abort(abort) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!(abort.tag_reflected, tag_reflected);
            prop_assert_eq!(codes_of(abort.causes), codes.clone());
            Ok(())
        })?;
        round_trip(|buf| write_error(buf, |w| write_all(w, &causes)), |chunk| {
            let Chunk::Error(error) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!(codes_of(error.causes), codes);
            Ok(())
        })?;
    }

    #[test]
    fn rfc9260_3_3_8_to_3_3_13_the_small_ones(tsn: u32, reflected: bool, cookie in prop::collection::vec(any::<u8>(), 1..90)) {
        round_trip(|buf| write_shutdown(buf, Tsn(tsn)), |chunk| {
            prop_assert!(matches!(chunk, Chunk::Shutdown(shutdown) if shutdown.cumulative_tsn_ack == Tsn(tsn)));
            Ok(())
        })?;
        round_trip(|buf| write_shutdown_complete(buf, reflected), |chunk| {
            prop_assert!(matches!(chunk, Chunk::ShutdownComplete(complete) if complete.tag_reflected == reflected));
            Ok(())
        })?;
        round_trip(|buf| write_cookie_echo(buf, &cookie), |chunk| {
            prop_assert!(matches!(chunk, Chunk::CookieEcho(echo) if echo.cookie == cookie));
            Ok(())
        })?;
    }

    #[test]
    fn rfc9260_3_2_unknown_chunks_are_kept_as_they_are(kind in unknown_chunk(), flags: u8, value in bytes()) {
        round_trip(|buf| write_chunk(buf, ChunkType(kind), flags, &value), |chunk| {
            let Chunk::Unknown(raw) = chunk else { panic!("{chunk:?}") };
            prop_assert_eq!((raw.kind, raw.flags, raw.value), (ChunkType(kind), flags, value.as_slice()));
            prop_assert_eq!(&raw.raw[4..], &value);
            Ok(())
        })?;
    }

    #[test]
    fn rfc9260_3_3_10_each_cause_holds_what_was_put_in(
        (stream, staleness, tsn) in any::<(u16, u32, u32)>(),
        quote in bytes(),
    ) {
        let causes = [
            Cause::InvalidStreamIdentifier(StreamId(stream)),
            Cause::StaleCookie(staleness),
            Cause::OutOfResource,
            Cause::UnresolvableAddress(&quote),
            Cause::UnrecognizedChunkType(&quote),
            Cause::InvalidMandatoryParameter,
            Cause::UnrecognizedParameters(&quote),
            Cause::NoUserData(Tsn(tsn)),
            Cause::CookieReceivedWhileShuttingDown,
            Cause::RestartWithNewAddresses(&quote),
            Cause::UserInitiatedAbort(&quote),
            Cause::ProtocolViolation(&quote),
        ];
        let mut buf = Vec::new();
        causes.iter().for_each(|cause| cause.write(&mut Writer::new(&mut buf)));
        prop_assert_eq!(Causes::new(&buf).map(Result::unwrap).collect::<Vec<_>>(), causes);
    }

    #[test]
    fn rfc9260_3_3_2_1_each_parameter_holds_what_was_put_in(v4: [u8; 4], v6: [u8; 16], increment: u32, value in bytes()) {
        let params = [
            Param::Ipv4Address(Ipv4Addr::from(v4)),
            Param::Ipv6Address(Ipv6Addr::from(v6)),
            Param::StateCookie(&value),
            Param::UnrecognizedParameter(&value),
            Param::CookiePreservative(increment),
            Param::HostName(&value),
            Param::EcnCapable,
            Param::SupportedExtensions(&value),
            Param::ForwardTsnSupported,
        ];
        let mut buf = Vec::new();
        params.iter().for_each(|param| param.write(&mut Writer::new(&mut buf)));
        prop_assert_eq!(Params::new(&buf).map(Result::unwrap).collect::<Vec<_>>(), params);
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        walk_any_packet(&bytes);
    }

    #[test]
    fn any_value_of_a_known_chunk_is_read_without_harm(kind in 0u8..16, flags: u8, value in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut buf = Vec::new();
        let start = begin_packet(&mut buf, &HEADER);
        write_chunk(&mut buf, ChunkType(kind), flags, &value);
        finish_packet(&mut buf, start);
        prop_assert!(Packet::parse(&buf, ChecksumRule::Verify).is_ok());
        walk_any_packet(&buf);
    }

    #[test]
    fn damaged_packets_are_read_without_harm(
        which: Index,
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..6),
        cut: Index,
        cuts: bool,
    ) {
        let mut packet = captured::bytes(captured::ALL[which.index(captured::ALL.len())]);
        for (at, byte) in damage {
            *at.get_mut(&mut packet) = byte;
        }
        if cuts {
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

/// The value of the only chunk that `write` writes, and the length the chunk gives itself.
pub(super) fn value_of(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut buf = Vec::new();
    write(&mut buf);
    let raw = Chunks::new(&buf, 0).next().unwrap().unwrap();
    raw.value.to_vec()
}

#[test]
fn rfc9260_3_2_the_length_leaves_out_the_padding_of_the_last_parameter_only() {
    let value = value_of(|buf| {
        write_error(buf, |w| {
            Cause::UserInitiatedAbort(b"one").write(w);
            Cause::ProtocolViolation(b"again").write(w);
        });
    });
    assert_eq!(value.len(), 8 + 9);
    assert_eq!(Causes::new(&value).count(), 2);
    let with_padding = [value.as_slice(), &[0, 0, 0]].concat();
    assert_eq!(
        Causes::new(&with_padding).count(),
        2,
        "a length that counts it is taken as well"
    );
}

#[test]
fn rfc9260_3_3_10_2_missing_mandatory_parameters_are_listed() {
    let value = value_of(|buf| {
        write_abort(buf, false, |w| {
            write_missing_mandatory_parameters(w, &[ParamType::STATE_COOKIE])
        });
    });
    assert_eq!(value, [0, 2, 0, 10, 0, 0, 0, 1, 0, 7]);
    let read = |bytes: &[u8]| Causes::new(bytes).next().unwrap().map(|cause| format!("{cause:?}"));
    assert_eq!(read(&value).unwrap(), "MissingMandatoryParameter([7])");
    assert!(
        read(&[0, 2, 0, 12, 0, 0, 0, 1, 0, 7, 0, 0]).is_ok(),
        "padding in the length"
    );
    assert!(
        read(&[0, 2, 0, 10, 0, 0, 0, 2, 0, 7]).is_err(),
        "more announced than there are"
    );
    assert!(read(&[0, 2, 0, 10, 0xff, 0xff, 0xff, 0xff, 0, 7]).is_err());
}

#[test]
fn rfc9260_3_3_10_8_several_unrecognized_parameters_are_quoted() {
    let quotes: [&[u8]; 2] = [&[0xc0, 1, 0, 5, 9], &[0xc0, 2, 0, 6, 8, 8]];
    let value = value_of(|buf| write_error(buf, |w| write_unrecognized_parameters(w, quotes)));
    let Some(Ok(Cause::UnrecognizedParameters(bytes))) = Causes::new(&value).next() else {
        panic!("{value:?}")
    };
    assert_eq!(
        Tlvs::new(bytes, "quote")
            .map(|tlv| tlv.unwrap().raw)
            .collect::<Vec<_>>(),
        quotes
    );
}

#[test]
fn rfc9260_3_3_10_11_new_addresses_are_listed() {
    let addresses: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let value = value_of(|buf| write_abort(buf, false, |w| write_restart_with_new_addresses(w, addresses)));
    let Some(Ok(Cause::RestartWithNewAddresses(bytes))) = Causes::new(&value).next() else {
        panic!("{value:?}")
    };
    assert_eq!(
        Params::new(bytes).map(Result::unwrap).collect::<Vec<_>>(),
        addresses.map(Param::address)
    );
}

#[test]
fn rfc9260_3_3_2_1_2_a_mapped_address_is_sent_as_ipv4() {
    assert_eq!(
        Param::address("::ffff:192.0.2.1".parse().unwrap()),
        Param::Ipv4Address([192, 0, 2, 1].into())
    );
}

#[test]
fn rfc9260_3_3_2_1_5_supported_address_types_are_listed() {
    let mut buf = Vec::new();
    let types = [
        ParamType::IPV6_ADDRESS,
        ParamType::IPV4_ADDRESS,
        ParamType::IPV4_ADDRESS,
    ];
    write_supported_address_types(&mut Writer::new(&mut buf), &types);
    let Some(Ok(Param::SupportedAddressTypes(read))) = Params::new(&buf).next() else {
        panic!("{buf:?}")
    };
    assert_eq!(read.len(), 3);
    assert!(read.eq(types.map(|kind| kind.0)));
}

#[test]
fn a_value_that_does_not_fit_its_type_is_told_and_the_next_one_is_read() {
    for (kind, value) in [
        (5u16, &[1u8, 2, 3][..]),
        (5, &[1, 2, 3, 4, 5]),
        (6, &[0; 15]),
        (9, &[0; 5]),
        (12, &[0; 3]),
        (0x8000, &[0]),
        (0xc000, &[0]),
    ] {
        let mut buf = Vec::new();
        write_all(&mut Writer::new(&mut buf), &[(kind, value.to_vec()), (7, vec![1])]);
        let read: Vec<_> = Params::new(&buf).collect();
        assert!(
            matches!(read.as_slice(), [Err(_), Ok(Param::StateCookie([1]))]),
            "{kind} {read:?}"
        );
    }
    for (code, value) in [
        (1u16, &[0u8, 1][..]),
        (1, &[0, 1, 0, 0, 0]),
        (3, &[0; 3]),
        (4, &[0]),
        (7, &[0]),
        (9, &[0; 8]),
        (10, &[0]),
    ] {
        let mut buf = Vec::new();
        write_all(&mut Writer::new(&mut buf), &[(code, value.to_vec()), (12, vec![])]);
        let read: Vec<_> = Causes::new(&buf).collect();
        assert!(
            matches!(read.as_slice(), [Err(_), Ok(Cause::UserInitiatedAbort([]))]),
            "{code} {read:?}"
        );
    }
}

#[test]
fn rfc9260_3_3_4_counts_of_a_sack_must_come_to_its_length() {
    let value = value_of(|buf| write_sack(buf, Tsn(1), 1500, &[(2, 3)], &[Tsn(1)]));
    assert!(Sack::parse(&value).is_ok());
    for (gaps, duplicates) in [(0, 1), (1, 0), (2, 1), (1, 2), (u16::MAX, u16::MAX)] {
        let mut wrong = value.clone();
        wrong[8..10].copy_from_slice(&u16::to_be_bytes(gaps));
        wrong[10..12].copy_from_slice(&u16::to_be_bytes(duplicates));
        assert!(Sack::parse(&wrong).is_err(), "{gaps} {duplicates}");
    }
    for len in 0..value.len() {
        assert!(Sack::parse(&value[..len]).is_err());
    }
}

#[test]
fn a_sack_lists_no_more_than_its_length_can_count() {
    let gaps = vec![(2, 3); 70_000];
    let value = value_of(|buf| write_sack(buf, Tsn(1), 1500, &gaps, &[Tsn(9)]));
    let sack = Sack::parse(&value).unwrap();
    assert_eq!((sack.gaps.len(), sack.duplicates.len()), (16_379, 0));
}

#[test]
fn rfc9260_6_10_chunks_before_a_partial_one_count() {
    let mut buf = Vec::new();
    write_cookie_ack(&mut buf);
    for (tail, ends_with_error) in [
        (&[][..], false),
        (&[0][..], true),
        (&[0, 3, 0, 3], true),
        (&[0, 3, 0, 5], true),
        (&[5, 0, 0, 5, 1], false),
    ] {
        let bytes = [buf.as_slice(), tail].concat();
        let read: Vec<_> = Chunks::new(&bytes, 0).collect();
        assert_eq!(read[0].unwrap().kind, ChunkType::COOKIE_ACK);
        assert_eq!(read.last().unwrap().is_err(), ends_with_error, "{tail:?}");
    }
}

#[test]
fn rfc9260_6_2_a_data_chunk_without_user_data_is_recognisable() {
    let data = DataChunk::parse(3, &[0; 12]).unwrap();
    assert!(data.payload.is_empty() && data.beginning && data.ending);
    assert!(DataChunk::parse(3, &[0; 11]).is_err());
}

#[test]
fn rfc9260_3_3_5_a_heartbeat_starts_with_its_info() {
    assert_eq!(Heartbeat::parse(&[0, 1, 0, 5, 9, 0, 0, 0]).unwrap().info, [9]);
    for value in [&[][..], &[0, 1, 0, 3], &[0, 1, 0, 9, 0], &[0, 2, 0, 4]] {
        assert!(Heartbeat::parse(value).is_err(), "{value:?}");
    }
}

#[test]
fn rfc9260_3_3_7_an_abort_with_a_broken_cause_is_refused() {
    assert!(Abort::parse(0, &[]).is_ok());
    assert!(Abort::parse(0, &[0, 12, 0, 4, 0, 12, 0, 3]).is_err());
    assert!(OperationError::parse(&[0, 12, 0, 4, 0, 12]).is_err());
}

#[test]
fn rfc9260_3_3_1_each_flag_of_data_has_its_bit() {
    let header = |flags: u8| {
        let data = DataChunk::parse(flags, &[0; 13]).unwrap();
        (data.immediate, data.unordered, data.beginning, data.ending)
    };
    assert_eq!(header(0b1000), (true, false, false, false));
    assert_eq!(header(0b0100), (false, true, false, false));
    assert_eq!(header(0b0010), (false, false, true, false));
    assert_eq!(header(0b0001), (false, false, false, true));
    assert_eq!(
        header(0b1111_0000),
        (false, false, false, false),
        "reserved bits are ignored"
    );
}

#[test]
fn rfc9260_3_3_4_the_example_of_the_rfc() {
    let mut buf = Vec::new();
    write_sack(&mut buf, Tsn(12), 4660, &[(2, 3), (5, 5)], &[]);
    assert_eq!(
        buf,
        [
            3, 0, 0, 24, 0, 0, 0, 12, 0, 0, 0x12, 0x34, 0, 2, 0, 0, 0, 2, 0, 3, 0, 5, 0, 5
        ]
    );
}

#[test]
fn rfc9260_3_3_11_a_cookie_echo_has_a_cookie() {
    assert!(CookieEcho::parse(&[]).is_err());
}

#[test]
fn rfc9260_3_2_what_to_do_about_an_unknown_chunk_stands_in_its_type() {
    let mut buf = Vec::new();
    for kind in [0x3f, 0x7f, 0xbf, 0xff] {
        write_chunk(&mut buf, ChunkType(kind), 0, &[]);
    }
    let actions: Vec<_> = Chunks::new(&buf, 0)
        .map(|chunk| chunk.unwrap().unknown_action())
        .collect();
    let expected = [
        UnknownAction::Stop,
        UnknownAction::StopAndReport,
        UnknownAction::Skip,
        UnknownAction::SkipAndReport,
    ];
    assert_eq!(actions, expected);
}

#[test]
fn rfc9260_6_10_chunks_lie_at_multiples_of_four() {
    let header = DataChunk::parse(3, &[0; 12]).unwrap().header();
    let payloads: [&[u8]; 4] = [b"1", b"22", b"333", b"4444"];
    let mut buf = Vec::new();
    let start = begin_packet(&mut buf, &HEADER);
    payloads
        .iter()
        .for_each(|payload| write_data(&mut buf, &header, payload));
    finish_packet(&mut buf, start);
    let packet = Packet::parse(&buf, ChecksumRule::Verify).unwrap();
    assert_eq!(
        packet
            .chunks()
            .map(|raw| &packet.bytes()[payload_range(&raw.unwrap())])
            .collect::<Vec<_>>(),
        payloads
    );
    walk_any_packet(&buf);
}
