//! Packets of extensions as a Linux kernel's SCTP sent them, and what they say.

use std::net::IpAddr;

use super::captured::bytes;
use super::{rewrite, walk_any_packet};
use crate::serial::{AsconfSerial, CorrelationId, Fsn, Mid, Ppid, RequestSeq, SharedKeyId, Ssn, StreamId, Tsn};
use crate::wire::*;

/// AUTH and ASCONF: add 10.98.2.1.
const ASCONF_ADD: &str = "\
    ede11389818d7c101dbc6fe10f00001c0000000111776533c49d3e062c4f049b6a131b5cac87697bc100002043505a7b000500080a620101\
    c001001000000000000500080a620201";

/// The answer to [`ASCONF_ADD`].
const ASCONF_ADD_ACK: &str = "\
    1389ede1c0442cb93158489d0f00001c00000001e0050f2a73de062fd2af6b72b09d054fd4bf3c378000000843505a7b";

/// AUTH and ASCONF: delete 10.98.2.1.
const ASCONF_DELETE: &str = "\
    ede11389818d7c10b0c188020f00001c00000001954ab59e8ba5148b2b7f737ee66dbedec1983635c100002043505a7c000500080a620101\
    c002001000000000000500080a620201";

/// The answer to [`ASCONF_DELETE`].
const ASCONF_DELETE_ACK: &str = "\
    1389ede1c0442cb9835d2f110f00001c0000000108c97b0e8f6a67215396e92d3172d5af85a59adf8000000843505a7c";

/// RE-CONFIG: the sender resets stream 1 that it sends on.
const RESET_OUTGOING: &str = "9c1313891374f74b209d946782000016000d0012644b6ac56edfc40e644b6ac500010000";

/// The answer to [`RESET_OUTGOING`].
const RESET_OUTGOING_DONE: &str = "13899c134b863dd1aeb8320b820000100010000c644b6ac500000001";

/// RE-CONFIG: the sender wants the peer to reset stream 1.
const RESET_INCOMING: &str = "9c1313891374f74b9ec3adae8200000e000e000a644b6ac600010000";

/// The answer to [`RESET_INCOMING`], a request of its own.
const RESET_INCOMING_FOLLOWED: &str = "13899c134b863dd194923d3882000016000d00126edfc40f644b6ac66edfc41000010000";

/// The answer to [`RESET_INCOMING_FOLLOWED`].
const RESET_INCOMING_DONE: &str = "9c1313891374f74b6dba714c820000100010000c6edfc40f00000001";

/// RE-CONFIG: two more streams to send on.
const ADD_STREAMS: &str = "9c1313891374f74b26c98576820000100011000c644b6ac700020000";

/// The answer to [`ADD_STREAMS`].
const ADD_STREAMS_DONE: &str = "13899c134b863dd1f667107b820000100010000c644b6ac700000001";

/// FORWARD-TSN with three streams.
const FORWARD_TSN_THREE: &str = "cf611389f5845e9f1c28e331c00000140f7304ea000100020002000000000001";

/// FORWARD-TSN with one stream.
const FORWARD_TSN_ONE: &str = "cf611389f5845e9f766b34d6c000000c0f73050600010009";

/// I-DATA with a whole message, PPID 40.
const I_DATA: &str = "\
    849e138a63ee7ce9690cf6ea4003002bb93bfb880000000000000000000000286d6573736167652030206f6e206974732073747265616d00";

/// SACK and I-DATA with a whole unordered message.
const I_DATA_UNORDERED: &str = "\
    849e138a63ee7ce901c3b725030000101a57e0380001a000000000004007001db93bfb8c000200000000000000000033756e6f7264657265\
    64000000";

/// Others of the same kinds: FORWARD-TSN, and I-DATA alone or behind a SACK.
const MORE: [&str; 11] = [
    "cf611389f5845e9ff668e62ec00000100f7304f00000000300010003",
    "cf611389f5845e9fd12cb80ec00000100f7304f40001000400020004",
    "cf611389f5845e9fde0f42cfc00000100f7304fe0002000600000007",
    "\
        138a849e0213553d62a8ad99400300301a57e0350000000000000000000000006563686f3a6d6573736167652030206f6e2069747320\
        73747265616d",
    "\
        849e138a63ee7ce98b2d6de84003002bb93bfb890001000000000000000000296d6573736167652031206f6e20697473207374726561\
        6d00",
    "\
        138a849e0213553d4247ee7603000010b93bfb890001a00000000000400300301a57e0360000000000000001000000006563686f3a6d\
        6573736167652031206f6e206974732073747265616d",
    "\
        849e138a63ee7ce94713a5ef030000101a57e0360001a000000000004003002bb93bfb8a00020000000000000000002a6d6573736167\
        652032206f6e206974732073747265616d00",
    "\
        138a849e0213553d695fa40203000010b93bfb8a0001a00000000000400300301a57e0370000000000000002000000006563686f3a6d\
        6573736167652032206f6e206974732073747265616d",
    "\
        849e138a63ee7ce9cfc13324030000101a57e0370001a000000000004003002bb93bfb8b00030000000000000000002b6d6573736167\
        652033206f6e206974732073747265616d00",
    "\
        138a849e0213553d565481b803000010b93bfb8b0001a00000000000400300301a57e0380000000000000003000000006563686f3a6d\
        6573736167652033206f6e206974732073747265616d",
    "\
        138a849e0213553d0115cdd303000010b93bfb8c0001a00000000000400300221a57e0390000000000000004000000006563686f3a75\
        6e6f7264657265640000",
];

const SMALL: [&str; 15] = [
    ASCONF_ADD,
    ASCONF_ADD_ACK,
    ASCONF_DELETE,
    ASCONF_DELETE_ACK,
    RESET_OUTGOING,
    RESET_OUTGOING_DONE,
    RESET_INCOMING,
    RESET_INCOMING_FOLLOWED,
    RESET_INCOMING_DONE,
    ADD_STREAMS,
    ADD_STREAMS_DONE,
    FORWARD_TSN_THREE,
    FORWARD_TSN_ONE,
    I_DATA,
    I_DATA_UNORDERED,
];

/// A packet whose user data is mostly one byte, or bytes that count up.
struct Filled {
    head: &'static str,
    first: u8,
    step: u8,
    count: usize,
    tail: &'static str,
}

impl Filled {
    const fn new(head: &'static str, first: u8, step: u8, count: usize) -> Self {
        Self {
            head,
            first,
            step,
            count,
            tail: "",
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let fill = (0..self.count).scan(self.first, |byte, _| {
            Some(std::mem::replace(byte, byte.wrapping_add(self.step)))
        });
        bytes(self.head)
            .into_iter()
            .chain(fill)
            .chain(bytes(self.tail))
            .collect()
    }
}

/// FORWARD-TSN and DATA in one packet.
const FORWARD_TSN_AND_DATA: Filled = Filled {
    tail: "00",
    ..Filled::new(
        "cf611389f5845e9f8ed0dd1ac000000c0f73050000020007000302cf0f7305050001000900000000703334",
        46,
        0,
        700,
    )
};

/// All fragments of the message 1 of stream 1: user data that counts up.
const COUNTING: [Filled; 4] = [
    Filled::new(
        "849e138a63ee7ce9ac3885d5030000101a57e0390001a00000000000400205acb93bfb8d000100000000000100000035",
        0,
        1,
        1432,
    ),
    Filled::new(
        "849e138a63ee7ce954c110f8400005bcb93bfb8e000100000000000100000000",
        152,
        1,
        1448,
    ),
    Filled::new(
        "849e138a63ee7ce917d1faff400005bcb93bfb8f000100000000000100000001",
        64,
        1,
        1448,
    ),
    Filled::new(
        "849e138a63ee7ce9b1fe68c54001032cb93bfb90000100000000000100000002",
        232,
        1,
        792,
    ),
];

/// All fragments of the message 1 of stream 3.
const ORDERED: [Filled; 7] = [
    Filled::new(
        "849e138a63ee7ce9ad7b47aa400205bcb93bfb91000300000000000100000036",
        120,
        0,
        1448,
    ),
    Filled::new(
        "849e138a63ee7ce9ccdf2e4c400005bcb93bfb92000300000000000100000000",
        120,
        0,
        1448,
    ),
    Filled::new(
        "849e138a63ee7ce9e41720e3400005bcb93bfb93000300000000000100000001",
        120,
        0,
        1448,
    ),
    Filled::new(
        "849e138a63ee7ce9a069a3d9400005bcb93bfb94000300000000000100000002",
        120,
        0,
        1448,
    ),
    Filled::new(
        "849e138a63ee7ce988a1ad76400005bcb93bfb95000300000000000100000003",
        120,
        0,
        1448,
    ),
    Filled::new(
        "849e138a63ee7ce98e12cdfb400005bcb93bfb96000300000000000100000004",
        120,
        0,
        1448,
    ),
    Filled::new(
        "849e138a63ee7ce92dea5f0b4001014cb93bfb97000300000000000100000005",
        120,
        0,
        312,
    ),
];

/// All fragments of the unordered message 0 of stream 4.
const UNORDERED: [Filled; 4] = [
    Filled::new(
        "849e138a63ee7ce9ce4a235c400605bcb93bfb98000400000000000000000037",
        117,
        0,
        1448,
    ),
    Filled::new(
        "849e138a63ee7ce9163c6882400405bcb93bfb99000400000000000000000000",
        117,
        0,
        1448,
    ),
    Filled::new(
        "849e138a63ee7ce920e7aec8400405bcb93bfb9a000400000000000000000001",
        117,
        0,
        1448,
    ),
    Filled::new(
        "849e138a63ee7ce94e845bcd400502a4b93bfb9b000400000000000000000002",
        117,
        0,
        656,
    ),
];

/// All of the packets above.
pub(super) fn all() -> Vec<Vec<u8>> {
    let small = SMALL.iter().chain(&MORE).map(|hex| bytes(hex));
    let filled = [FORWARD_TSN_AND_DATA]
        .into_iter()
        .chain(COUNTING)
        .chain(ORDERED)
        .chain(UNORDERED);
    small.chain(filled.map(|packet| packet.bytes())).collect()
}

/// Calls `check` with the chunks of the packet, read by their types.
fn read(packet: &[u8], check: impl FnOnce(&[Chunk<'_>])) {
    let packet = Packet::parse(packet, ChecksumRule::Verify).unwrap();
    let chunks: Vec<_> = packet
        .chunks()
        .map(|raw| Chunk::parse(&raw.unwrap()).unwrap())
        .collect();
    check(&chunks);
}

#[test]
fn each_is_written_again_byte_for_byte() {
    for packet in all() {
        assert_eq!(rewrite(&packet).as_ref(), Ok(&packet));
        read(&packet, |chunks| {
            assert!(
                !chunks.iter().any(|chunk| matches!(chunk, Chunk::Unknown(_))),
                "{chunks:?}"
            );
        });
        walk_any_packet(&packet);
    }
}

/// The bytes the HMAC of the first chunk is made of.
fn authenticated_bytes(packet: &[u8]) -> Vec<u8> {
    let packet = Packet::parse(packet, ChecksumRule::Verify).unwrap();
    let mut covered = Vec::new();
    authenticated(packet.bytes(), &hmac_range(&packet.first_chunk().unwrap()), |piece| {
        covered.extend_from_slice(piece)
    });
    covered
}

#[test]
fn rfc4895_6_2_the_hmac_covers_auth_with_zeros_and_what_follows() {
    for (hex, behind) in [
        (ASCONF_ADD, 32),
        (ASCONF_ADD_ACK, 8),
        (ASCONF_DELETE, 32),
        (ASCONF_DELETE_ACK, 8),
    ] {
        let packet = bytes(hex);
        read(&packet, |chunks| {
            let [Chunk::Auth(auth), Chunk::Asconf(_) | Chunk::AsconfAck(_)] = chunks else {
                panic!("{chunks:?}")
            };
            assert_eq!((auth.shared_key, auth.hmac_id), (SharedKeyId(0), HmacId::SHA1));
            assert_eq!(Some(auth.hmac.len()), auth.hmac_id.hmac_len());
            assert_eq!(auth.hmac, &packet[20..40]);
        });
        let expected = [&packet[12..20], &[0; 20], &packet[40..]].concat();
        assert_eq!(expected.len(), 28 + behind);
        assert_eq!(authenticated_bytes(&packet), expected);
    }
}

#[test]
fn rfc5061_4_1_addresses_are_added_and_deleted() {
    let address: IpAddr = [10, 98, 2, 1].into();
    for (request, answer, serial, expected) in [
        (ASCONF_ADD, ASCONF_ADD_ACK, 0x4350_5a7b, AddressChange::Add(address)),
        (
            ASCONF_DELETE,
            ASCONF_DELETE_ACK,
            0x4350_5a7c,
            AddressChange::Delete(address),
        ),
    ] {
        read(&bytes(request), |chunks| {
            let [_, Chunk::Asconf(asconf)] = chunks else {
                panic!("{chunks:?}")
            };
            assert_eq!(
                (asconf.serial, asconf.address),
                (AsconfSerial(serial), [10, 98, 1, 1].into())
            );
            let requests: Vec<_> = asconf.requests.clone().map(Result::unwrap).collect();
            let [request] = requests.as_slice() else {
                panic!("{requests:?}")
            };
            assert_eq!(
                (request.correlation_id, request.change),
                (CorrelationId(0), Some(expected))
            );
        });
        read(&bytes(answer), |chunks| {
            let [_, Chunk::AsconfAck(ack)] = chunks else {
                panic!("{chunks:?}")
            };
            assert_eq!((ack.serial, ack.responses.clone().count()), (AsconfSerial(serial), 0));
        });
    }
}

#[test]
fn rfc6525_4_streams_are_reset_and_added() {
    let only = |hex: &str, check: &dyn Fn(&ReconfigParam<'_>)| {
        read(&bytes(hex), |chunks| {
            let [Chunk::Reconfig(reconfig)] = chunks else {
                panic!("{chunks:?}")
            };
            assert!(reconfig.is_allowed());
            let params: Vec<_> = reconfig.params.clone().map(Result::unwrap).collect();
            let [param] = params.as_slice() else {
                panic!("{params:?}")
            };
            check(param);
        });
    };
    let outgoing = |hex: &str, numbers: (u32, u32, u32)| {
        only(hex, &|param| {
            let ReconfigParam::OutgoingSsnReset {
                request_seq,
                response_seq,
                last_assigned_tsn,
                streams,
            } = param
            else {
                panic!("{param:?}")
            };
            assert_eq!((request_seq.0, response_seq.0, last_assigned_tsn.0), numbers);
            assert!(streams.clone().eq([StreamId(1)]));
        });
    };
    let done = |hex: &str, seq: u32| {
        only(hex, &|param| {
            let expected = ReconfigParam::Response {
                response_seq: RequestSeq(seq),
                result: ReconfigResult::PERFORMED,
                next_tsns: None,
            };
            assert_eq!(param, &expected);
        });
    };
    outgoing(RESET_OUTGOING, (1_682_664_133, 1_860_158_478, 1_682_664_133));
    done(RESET_OUTGOING_DONE, 1_682_664_133);
    only(RESET_INCOMING, &|param| {
        let ReconfigParam::IncomingSsnReset { request_seq, streams } = param else {
            panic!("{param:?}")
        };
        assert_eq!(*request_seq, RequestSeq(1_682_664_134));
        assert!(streams.clone().eq([StreamId(1)]));
    });
    outgoing(RESET_INCOMING_FOLLOWED, (1_860_158_479, 1_682_664_134, 1_860_158_480));
    done(RESET_INCOMING_DONE, 1_860_158_479);
    only(ADD_STREAMS, &|param| {
        let expected = ReconfigParam::AddOutgoingStreams {
            request_seq: RequestSeq(1_682_664_135),
            new_streams: 2,
        };
        assert_eq!(param, &expected);
    });
    done(ADD_STREAMS_DONE, 1_682_664_135);
}

#[test]
fn rfc3758_3_2_forward_tsn() {
    let check = |packet: &[u8], tsn: u32, streams: &[(u16, u16)]| {
        read(packet, |chunks| {
            let [Chunk::ForwardTsn(forward), ..] = chunks else {
                panic!("{chunks:?}")
            };
            assert_eq!(forward.new_cumulative_tsn, Tsn(tsn));
            let expected = streams.iter().map(|&(stream, ssn)| (StreamId(stream), Ssn(ssn)));
            assert!(forward.streams.clone().eq(expected));
        });
    };
    check(&bytes(FORWARD_TSN_THREE), 259_196_138, &[(1, 2), (2, 0), (0, 1)]);
    check(&bytes(FORWARD_TSN_ONE), 259_196_166, &[(1, 9)]);
    check(&FORWARD_TSN_AND_DATA.bytes(), 259_196_160, &[(2, 7)]);
}

#[test]
fn rfc8260_2_1_i_data_with_a_whole_message() {
    let check = |hex: &str, expected: IDataHeader, payload: &[u8]| {
        let packet = bytes(hex);
        read(&packet, |chunks| {
            let Some(Chunk::IData(data)) = chunks.last() else {
                panic!("{chunks:?}")
            };
            assert_eq!((data.header, data.payload), (expected, payload));
        });
        let packet = Packet::parse(&packet, ChecksumRule::Verify).unwrap();
        let raw = packet.find(ChunkType::I_DATA).unwrap();
        assert_eq!(&packet.bytes()[i_data_payload_range(&raw)], payload);
    };
    let header = IDataHeader {
        tsn: Tsn(0xb93b_fb88),
        stream: StreamId(0),
        mid: Mid(0),
        fragment: Fragment::First(Ppid(40)),
        unordered: false,
        ending: true,
        immediate: false,
    };
    check(I_DATA, header, b"message 0 on its stream");
    let header = IDataHeader {
        tsn: Tsn(0xb93b_fb8c),
        stream: StreamId(2),
        fragment: Fragment::First(Ppid(51)),
        unordered: true,
        ..header
    };
    check(I_DATA_UNORDERED, header, b"unordered");
}

/// This kernel counts the second fragment as 0 again, where RFC 8260 §2.1 would have it 1.
#[test]
fn rfc8260_2_1_i_data_with_fragments() {
    for (packets, stream, mid, ppid, unordered, len) in [
        (&COUNTING[..], 1, 1, 53, false, 5120),
        (&ORDERED, 3, 1, 54, false, 9000),
        (&UNORDERED, 4, 0, 55, true, 5000),
    ] {
        let mut total = 0;
        for (index, packet) in packets.iter().enumerate() {
            read(&packet.bytes(), |chunks| {
                let Some(Chunk::IData(data)) = chunks.last() else {
                    panic!("{chunks:?}")
                };
                let header = data.header;
                assert_eq!((header.stream, header.mid), (StreamId(stream), Mid(mid)));
                assert_eq!(
                    (header.unordered, header.ending),
                    (unordered, index + 1 == packets.len())
                );
                let expected = match u32::try_from(index).unwrap().checked_sub(1) {
                    None => Fragment::First(Ppid(ppid)),
                    Some(fsn) => Fragment::Later(Fsn(fsn)),
                };
                assert_eq!(header.fragment, expected);
                total += data.payload.len();
            });
        }
        assert_eq!(total, len);
    }
}
