//! Packets of a Linux kernel's SCTP as they were seen on a network, and what they say.

use std::net::Ipv6Addr;

use super::{rewrite, walk_any_packet};
use crate::serial::{Ppid, Ssn, StreamId, Tsn, VerificationTag};
use crate::wire::*;

/// INIT over IPv6: two addresses, but no IPv4.
const INIT_IPV6: &str = "\
    9e921389000000004e1d17bc0100004cf8bc087c0001a000000800106c921a3000060014fd98000100000000000000000000000100060014\
    fd980002000000000000000000000001000c00080006000580000004c0000004";

/// INIT over one address, in UDP.
const INIT_SINGLE_HOMED: &str = "\
    e4f9138900000000d9a2840401000024e2dbd4d70001a000000800101fdc1026000c00060005000080000004c0000004";

/// INIT with the extensions of RFC 4895, RFC 5061 and RFC 6525; its last parameter is padded.
const INIT_WITH_EXTENSIONS: &str = "\
    9c1313890000000045dab58d0100006e4b863dd10001a00000080010644b6ac5000500080a620101000500080a620201000c000600050000\
    8000000480080008c180820fc0000004800200246118d0382c36ec8bf309415b1cef81784b556be6f98503b1b5c48e94ff2ba86e80040006\
    0001000080030006c1800000";

const INIT_ACK: &str = "\
    1389e4f9e2dbd4d77b3749340200014036d668470001a0000008000876603114000500080a62010200060014fd9800010000000000000000\
    00000002000701088fb95db575519a56265d9fabffa045a16a09afec000000000000000000000000000000004768d636d7d4dbe200000000\
    00000000a6d6648ff964ea1808000800143160760200e4f90a62010100000000000000000000000000000000000000008913010000000000\
    800200244fda6ed295eb5b5a5cf4a8fac955e1b128d15aa061cb14be2f4e3c1843e92b5a0000000000000000000000000000000000000000\
    0000000000000000000000001c00000001000024e2dbd4d70001a000000800101fdc1026000c00060005000080000004c000000400050008\
    0a62010200060014fd980001000000000000000000000002000000000000000000000000000000000000000080000004c0000004";

/// The answer to [`INIT_ACK`].
const COOKIE_ECHO: &str = "\
    e4f9138936d66847ea5854ca0a0001088fb95db575519a56265d9fabffa045a16a09afec000000000000000000000000000000004768d636\
    d7d4dbe20000000000000000a6d6648ff964ea1808000800143160760200e4f90a6201010000000000000000000000000000000000000000\
    8913010000000000800200244fda6ed295eb5b5a5cf4a8fac955e1b128d15aa061cb14be2f4e3c1843e92b5a000000000000000000000000\
    00000000000000000000000000000000000000001c00000001000024e2dbd4d70001a000000800101fdc1026000c00060005000080000004\
    c0000004000500080a62010200060014fd9800010000000000000000000000020000000000000000000000000000000000000000";

const COOKIE_ACK: &str = "1389daecb2fb6515ce75ebc90b000004";

/// DATA with one byte of padding, PPID 40.
const DATA: &str = "\
    daec13890694c4b8083efa38000300272b0abfcf00000000000000286d6573736167652030206f6e206974732073747265616d00";

/// SACK and DATA in one packet.
const SACK_AND_DATA: &str = "\
    1389daecb2fb651512466e02030000102b0abfd00001a000000000000003002cc814eae300000001000000006563686f3a6d657373616765\
    2031206f6e206974732073747265616d";

/// SACK with three gap ack blocks.
const SACK_WITH_GAPS: &str = "13898c830ed587121e750f600300001c39197c890001983000030000000200030005000500070007";

/// SACK with a duplicate TSN.
const SACK_WITH_DUPLICATE: &str = "a10b13896b0d0bff549b580f03000014b445e5850001a00000000001b445e585";

/// SACK with gap ack blocks and a duplicate TSN.
const SACK_WITH_BOTH: &str = "13898c830ed58712a1f867920300001c39197c980001656800020001000200170019002839197cbe";

const HEARTBEAT: &str = "\
    1389a10be084508a2eae21840400003c000100380200a10b0a62010100000000000000000000000000000000000000007051010001000000\
    9fa615f0e0a290ec0000000000000000";

/// The answer to [`HEARTBEAT`].
const HEARTBEAT_ACK: &str = "\
    a10b13896b0d0bff564ad95b0500003c000100380200a10b0a62010100000000000000000000000000000000000000007051010001000000\
    9fa615f0e0a290ec0000000000000000";

const SHUTDOWN: &str = "daec13890694c4b88cd1493407000008c814eae6";
const SHUTDOWN_ACK: &str = "1389daecb2fb6515f7fcc9ab08000004";
const SHUTDOWN_COMPLETE: &str = "daec13890694c4b86a70a2560e000004";

/// ABORT by the user, without a reason.
const ABORT_BY_USER: &str = "a495138953cfe309b9fdabd506000008000c0004";

/// ABORT to an INIT for a port where nobody listens.
const ABORT_REFUSED: &str = "176f857a02a16d6fa7621ccd06000004";

/// ABORT to an out-of-the-blue packet, with its tag.
const ABORT_REFLECTED: &str = "87320f17ac159aaaa7a96d6606010004";

/// ABORT after too many retransmissions.
const ABORT_PROTOCOL_VIOLATION: &str = "\
    adcea974950a61d3ab22c4d706000033000d002f4173736f63696174696f6e20657863656564656420697473206d61785f72657472616e73\
    20636f756e740000";

pub(super) const ALL: [&str; 20] = [
    INIT_IPV6,
    INIT_SINGLE_HOMED,
    INIT_WITH_EXTENSIONS,
    INIT_ACK,
    COOKIE_ECHO,
    COOKIE_ACK,
    DATA,
    SACK_AND_DATA,
    SACK_WITH_GAPS,
    SACK_WITH_DUPLICATE,
    SACK_WITH_BOTH,
    HEARTBEAT,
    HEARTBEAT_ACK,
    SHUTDOWN,
    SHUTDOWN_ACK,
    SHUTDOWN_COMPLETE,
    ABORT_BY_USER,
    ABORT_REFUSED,
    ABORT_REFLECTED,
    ABORT_PROTOCOL_VIOLATION,
];

pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

/// Calls `check` with the chunks of the packet, read by their types, and its header.
fn read(hex: &str, check: impl FnOnce(CommonHeader, &[Chunk<'_>])) {
    let bytes = bytes(hex);
    let packet = Packet::parse(&bytes, ChecksumRule::Verify).unwrap();
    assert!(packet.check_bundling().is_ok());
    let chunks: Vec<_> = packet
        .chunks()
        .map(|raw| Chunk::parse(&raw.unwrap()).unwrap())
        .collect();
    check(packet.header, &chunks);
}

#[test]
fn each_is_written_again_byte_for_byte() {
    for hex in ALL {
        let bytes = bytes(hex);
        assert_eq!(rewrite(&bytes).unwrap(), bytes, "{hex}");
        walk_any_packet(&bytes);
    }
}

#[test]
fn rfc9260_3_3_2_init() {
    read(INIT_IPV6, |header, chunks| {
        let tag = VerificationTag::ZERO;
        assert_eq!(
            header,
            CommonHeader {
                source_port: 40594,
                destination_port: 5001,
                verification_tag: tag
            }
        );
        let [Chunk::Init(init)] = chunks else {
            panic!("{chunks:?}")
        };
        let expected = InitFixed {
            initiate_tag: VerificationTag(0xf8bc_087c),
            a_rwnd: 106_496,
            outbound_streams: 8,
            inbound_streams: 16,
            initial_tsn: Tsn(0x6c92_1a30),
        };
        assert_eq!(init.fixed, expected);
        let params: Vec<_> = init.params.clone().map(Result::unwrap).collect();
        let address = |text: &str| Param::Ipv6Address(text.parse::<Ipv6Addr>().unwrap());
        let [
            first,
            second,
            Param::SupportedAddressTypes(types),
            Param::EcnCapable,
            Param::ForwardTsnSupported,
        ] = params.as_slice()
        else {
            panic!("{params:?}")
        };
        assert_eq!((first, second), (&address("fd98:1::1"), &address("fd98:2::1")));
        assert_eq!(
            types.clone().map(ParamType).collect::<Vec<_>>(),
            [ParamType::IPV6_ADDRESS, ParamType::IPV4_ADDRESS]
        );
    });
}

#[test]
fn rfc9260_3_3_2_init_without_addresses() {
    read(INIT_SINGLE_HOMED, |_, chunks| {
        let [Chunk::Init(init)] = chunks else {
            panic!("{chunks:?}")
        };
        let params: Vec<_> = init.params.clone().map(Result::unwrap).collect();
        let [
            Param::SupportedAddressTypes(types),
            Param::EcnCapable,
            Param::ForwardTsnSupported,
        ] = params.as_slice()
        else {
            panic!("{params:?}")
        };
        assert!(types.clone().eq([ParamType::IPV4_ADDRESS.0]));
    });
}

#[test]
fn rfc9260_3_2_init_with_parameters_of_extensions() {
    read(INIT_WITH_EXTENSIONS, |_, chunks| {
        let [Chunk::Init(init)] = chunks else {
            panic!("{chunks:?}")
        };
        let params: Vec<_> = init.params.clone().map(Result::unwrap).collect();
        assert!(params.contains(&Param::Ipv4Address([10, 98, 1, 1].into())));
        assert!(params.contains(&Param::Ipv4Address([10, 98, 2, 1].into())));
        assert!(params.contains(&Param::SupportedExtensions(&[0xc1, 0x80, 0x82, 0x0f])));
        assert!(params.contains(&Param::ChunkList(&[0xc1, 0x80])));
        assert!(
            params
                .iter()
                .any(|param| matches!(param, Param::Random(number) if number.len() == 32))
        );
        assert!(params.iter().any(|param| {
            matches!(param, Param::HmacAlgorithms(hmacs) if hmacs.clone().map(HmacId).eq([HmacId::SHA1]))
        }));
    });
}

#[test]
fn rfc9260_3_3_3_and_3_3_11_the_cookie_comes_back() {
    read(INIT_ACK, |header, chunks| {
        assert_eq!(
            header.verification_tag,
            VerificationTag(0xe2db_d4d7),
            "the initiate tag of the INIT"
        );
        let [Chunk::InitAck(init)] = chunks else {
            panic!("{chunks:?}")
        };
        assert_eq!(init.fixed.initiate_tag, VerificationTag(0x36d6_6847));
        assert_eq!((init.fixed.outbound_streams, init.fixed.inbound_streams), (8, 8));
        let params: Vec<_> = init.params.clone().map(Result::unwrap).collect();
        let [
            Param::Ipv4Address(v4),
            Param::Ipv6Address(v6),
            Param::StateCookie(cookie),
            ..,
        ] = params.as_slice()
        else {
            panic!("{params:?}")
        };
        assert_eq!((v4.octets(), v6.to_string().as_str()), ([10, 98, 1, 2], "fd98:1::2"));
        read(COOKIE_ECHO, |header, chunks| {
            assert_eq!(header.verification_tag, init.fixed.initiate_tag);
            let [Chunk::CookieEcho(echo)] = chunks else {
                panic!("{chunks:?}")
            };
            assert_eq!(echo.cookie, *cookie);
        });
    });
    read(COOKIE_ACK, |_, chunks| assert!(matches!(chunks, [Chunk::CookieAck])));
}

#[test]
fn rfc9260_3_3_1_data() {
    let packet = bytes(DATA);
    read(DATA, |_, chunks| {
        let [Chunk::Data(data)] = chunks else {
            panic!("{chunks:?}")
        };
        assert_eq!(
            (data.tsn, data.stream, data.ssn, data.ppid),
            (Tsn(0x2b0a_bfcf), StreamId(0), Ssn(0), Ppid(40))
        );
        assert_eq!(
            (data.unordered, data.beginning, data.ending, data.immediate),
            (false, true, true, false)
        );
        assert_eq!(data.payload, b"message 0 on its stream");
    });
    let raw = Packet::parse(&packet, ChecksumRule::Verify)
        .unwrap()
        .first_chunk()
        .unwrap();
    assert_eq!(&packet[payload_range(&raw)], b"message 0 on its stream");
}

#[test]
fn rfc9260_6_10_sack_and_data_in_one_packet() {
    let packet = bytes(SACK_AND_DATA);
    read(SACK_AND_DATA, |_, chunks| {
        let [Chunk::Sack(sack), Chunk::Data(data)] = chunks else {
            panic!("{chunks:?}")
        };
        assert_eq!((sack.cumulative_tsn_ack, sack.a_rwnd), (Tsn(0x2b0a_bfd0), 106_496));
        assert_eq!((sack.gaps.len(), sack.duplicates.len()), (0, 0));
        assert_eq!((data.tsn, data.stream), (Tsn(0xc814_eae3), StreamId(0)));
    });
    let data = Packet::parse(&packet, ChecksumRule::Verify)
        .unwrap()
        .find(ChunkType::DATA)
        .unwrap();
    assert_eq!(&packet[payload_range(&data)], b"echo:message 1 on its stream");
}

#[test]
fn rfc9260_3_3_4_sack_with_gaps_and_duplicates() {
    let lists = |hex: &str| {
        let mut lists = None;
        read(hex, |_, chunks| {
            let [Chunk::Sack(sack)] = chunks else {
                panic!("{chunks:?}")
            };
            lists = Some((
                sack.cumulative_tsn_ack,
                sack.gaps.clone().collect::<Vec<_>>(),
                sack.duplicates.clone().collect::<Vec<_>>(),
            ));
        });
        lists.unwrap()
    };
    assert_eq!(
        lists(SACK_WITH_GAPS),
        (Tsn(0x3919_7c89), vec![(2, 3), (5, 5), (7, 7)], vec![])
    );
    assert_eq!(
        lists(SACK_WITH_DUPLICATE),
        (Tsn(0xb445_e585), vec![], vec![Tsn(0xb445_e585)])
    );
    assert_eq!(
        lists(SACK_WITH_BOTH),
        (Tsn(0x3919_7c98), vec![(2, 23), (25, 40)], vec![Tsn(0x3919_7cbe)])
    );
}

#[test]
fn rfc9260_3_3_6_the_heartbeat_info_comes_back() {
    read(HEARTBEAT, |_, request| {
        read(HEARTBEAT_ACK, |_, answer| {
            let ([Chunk::Heartbeat(request)], [Chunk::HeartbeatAck(answer)]) = (request, answer) else {
                panic!("{request:?} {answer:?}")
            };
            assert_eq!(request.info.len(), 52);
            assert_eq!(request.info, answer.info);
        });
    });
}

#[test]
fn rfc9260_3_3_8_shutdown() {
    read(SHUTDOWN, |_, chunks| {
        let [Chunk::Shutdown(shutdown)] = chunks else {
            panic!("{chunks:?}")
        };
        assert_eq!(shutdown.cumulative_tsn_ack, Tsn(0xc814_eae6));
    });
    read(SHUTDOWN_ACK, |_, chunks| {
        assert!(matches!(chunks, [Chunk::ShutdownAck]))
    });
    read(SHUTDOWN_COMPLETE, |_, chunks| {
        assert!(matches!(
            chunks,
            [Chunk::ShutdownComplete(ShutdownComplete { tag_reflected: false })]
        ));
    });
}

#[test]
fn rfc9260_3_3_7_abort() {
    let only = |hex: &str, check: &dyn Fn(bool, &[Cause<'_>])| {
        read(hex, |_, chunks| {
            let [Chunk::Abort(abort)] = chunks else {
                panic!("{chunks:?}")
            };
            let causes: Vec<_> = abort.causes.clone().map(Result::unwrap).collect();
            check(abort.tag_reflected, &causes);
        });
    };
    only(ABORT_BY_USER, &|reflected, causes| {
        assert!(!reflected);
        assert_eq!(causes, [Cause::UserInitiatedAbort(&[])]);
    });
    only(ABORT_REFUSED, &|reflected, causes| {
        assert!(!reflected && causes.is_empty())
    });
    only(ABORT_REFLECTED, &|reflected, causes| {
        assert!(reflected && causes.is_empty())
    });
    only(ABORT_PROTOCOL_VIOLATION, &|reflected, causes| {
        assert!(!reflected);
        assert_eq!(
            causes,
            [Cause::ProtocolViolation(
                b"Association exceeded its max_retrans count\0"
            )]
        );
    });
}
