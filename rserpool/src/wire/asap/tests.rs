use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use sctp::tlv::ReadError;

use super::*;
use crate::wire::MAX_MESSAGE;
use crate::wire::cause::CauseCode;
use crate::wire::element::RegistrationLife;
use crate::wire::strategies as any;
use crate::wire::transport::TransportUse;

fn unhex(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn pool(name: &'static str) -> PoolHandle {
    PoolHandle::new(name).unwrap()
}

fn pe(id: u32) -> PeId {
    PeId::new(id).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The element of the echo captures.
fn captured_element(home: u32) -> PoolElementParam {
    PoolElementParam {
        id: pe(0xaaaa_0001),
        home: RegistrarId::new(home),
        life: RegistrationLife(15_000),
        user_transport: Transport::Sctp(SctpTransport {
            port: 0xa493,
            transport_use: TransportUse::DataPlusControl,
            addresses: vec![ip("10.98.1.2"), ip("fd98:1::2")],
        }),
        policy: PolicyParam::RoundRobin,
        asap_transport: None,
    }
}

fn captured_policy(hex: &str) -> PolicyParam {
    let message = AsapMessage::decode(&unhex(hex)).unwrap();
    assert_eq!(message.encode(), unhex(hex));
    match message {
        AsapMessage::Registration { element, .. } => element.policy,
        other => panic!("{other:?}"),
    }
}

/// What RSPLIB sent, what it means, and that the same bytes are written.
#[test]
fn captured_messages_of_rsplib_are_read_and_written() {
    let captured: &[(&str, AsapMessage)] = &[
        (
            "0a00000811111111",
            AsapMessage::ServerAnnounce {
                server: RegistrarId::new(0x1111_1111),
                transports: Vec::new(),
            },
        ),
        (
            "0100004c0009000c4563686f506f6f6c000a003caaaa00010000000000003a9800040024a4930001000100080a6201020002\
             0014fd9800010000000000000000000000020008000800000001",
            AsapMessage::Registration {
                pool: pool("EchoPool"),
                element: captured_element(0),
            },
        ),
        (
            "030000180009000c4563686f506f6f6c000e0008aaaa0001",
            AsapMessage::RegistrationResponse {
                pool: pool("EchoPool"),
                pe: pe(0xaaaa_0001),
                reject: false,
                error: None,
            },
        ),
        (
            "0301002000090009506f6f6c31000000000e0008bbbb0001000c000800050004",
            AsapMessage::RegistrationResponse {
                pool: pool("Pool1"),
                pe: pe(0xbbbb_0001),
                reject: true,
                error: Some(CauseCode::INCONSISTENT_POOLING_POLICY.into()),
            },
        ),
        (
            "0700001c111111110009000c4563686f506f6f6c000e0008aaaa0001",
            AsapMessage::EndpointKeepAlive {
                home: false,
                server: RegistrarId::new(0x1111_1111),
                pool: pool("EchoPool"),
                pe: Some(pe(0xaaaa_0001)),
            },
        ),
        (
            "080000180009000c4563686f506f6f6c000e0008aaaa0001",
            AsapMessage::EndpointKeepAliveAck {
                pool: pool("EchoPool"),
                pe: pe(0xaaaa_0001),
            },
        ),
        (
            "0500001c0009000e4e6f53756368506f6f6c0000803f000800000001",
            AsapMessage::HandleResolution {
                pool: pool("NoSuchPool"),
                subscribe: false,
                items: Some(1),
            },
        ),
        (
            "0600001c0009000e4e6f53756368506f6f6c0000000c000800090004",
            AsapMessage::HandleResolutionResponse {
                pool: pool("NoSuchPool"),
                updates: false,
                policy: None,
                elements: Vec::new(),
                error: Some(CauseCode::UNKNOWN_POOL_HANDLE.into()),
            },
        ),
        (
            "060000540009000c4563686f506f6f6c0008000800000001000a003caaaa00011111111100003a9800040024a4930001000100\
             080a62010200020014fd9800010000000000000000000000020008000800000001",
            AsapMessage::HandleResolutionResponse {
                pool: pool("EchoPool"),
                updates: false,
                policy: Some(PolicyParam::RoundRobin),
                elements: vec![captured_element(0x1111_1111)],
                error: None,
            },
        ),
        (
            "020000180009000c4563686f506f6f6c000e0008aaaa0002",
            AsapMessage::Deregistration {
                pool: pool("EchoPool"),
                pe: pe(0xaaaa_0002),
            },
        ),
        (
            "040000180009000c4563686f506f6f6c000e0008aaaa0002",
            AsapMessage::DeregistrationResponse {
                pool: pool("EchoPool"),
                pe: pe(0xaaaa_0002),
                error: None,
            },
        ),
        (
            "0900001c0009000f43616c63417070506f6f6c00000e0008aaaa0001",
            AsapMessage::EndpointUnreachable {
                pool: pool("CalcAppPool"),
                pe: pe(0xaaaa_0001),
            },
        ),
        (
            "0b000018000d00143c50502d5444313e0000000000000002",
            AsapMessage::Cookie {
                cookie: Cookie::new(&b"<PP-TD1>\0\0\0\0\0\0\0\x02"[..]).unwrap(),
            },
        ),
        (
            "0c00001c000d00180000000100000000004f4de50000000000457a86",
            AsapMessage::CookieEcho {
                cookie: Cookie::new(unhex("0000000100000000004f4de50000000000457a86")).unwrap(),
            },
        ),
    ];
    for (hex, message) in captured {
        let bytes = unhex(hex);
        assert_eq!(AsapMessage::decode(&bytes).as_ref(), Ok(message), "{hex}");
        assert_eq!(message.encode(), bytes, "{message:?}");
    }
}

#[test]
fn captured_policies_of_rsplib_are_read() {
    let transport = "0000000000015f9000040024e5e70001000100080a62010200020014fd980001000000000000000000000002";
    for (lengths, id, policy, expected) in [
        ("4c-3c", "0001", "0008000800000001", PolicyParam::RoundRobin),
        (
            "50-40",
            "0002",
            "0008000c0000000200000005",
            PolicyParam::WeightedRoundRobin { weight: 5 },
        ),
        ("4c-3c", "0003", "0008000800000003", PolicyParam::Random),
        (
            "50-40",
            "0004",
            "0008000c0000000400000009",
            PolicyParam::WeightedRandom { weight: 9 },
        ),
        (
            "50-40",
            "0005",
            "0008000c4000000100000000",
            PolicyParam::LeastUsed { load: 0 },
        ),
        (
            "54-44",
            "0006",
            "00080010400000020000000020000000",
            PolicyParam::LeastUsedDegradation {
                load: 0,
                degradation: 0x2000_0000,
            },
        ),
        (
            "54-44",
            "0007",
            "00080010400000030000000040000000",
            PolicyParam::PriorityLeastUsed {
                load: 0,
                degradation: 0x4000_0000,
            },
        ),
        (
            "50-40",
            "0008",
            "0008000c000000050000004d",
            PolicyParam::Priority { priority: 0x4d },
        ),
        (
            "58-48",
            "0009",
            "00080014b0002002000000008000000000000000",
            PolicyParam::LeastUsedDpf {
                load: 0,
                load_dpf: 0x8000_0000,
                distance: 0,
            },
        ),
        (
            "50-40",
            "000a",
            "0008000c4000000400000000",
            PolicyParam::RandomizedLeastUsed { load: 0 },
        ),
    ] {
        let (message, element) = lengths.split_once('-').unwrap();
        let hex = format!("010000{message}00090009506f6f6c31000000000a00{element}aaaa{id}{transport}{policy}");
        assert_eq!(captured_policy(&hex), expected, "{hex}");
    }
}

#[test]
fn rsplib_names_policies_long_and_short() {
    assert_eq!(
        PolicyParam::from_name("leastuseddegradation"),
        PolicyParam::from_name("LUD")
    );
    assert_eq!(PolicyParam::from_name("RAND"), Some(PolicyParam::Random));
    assert_eq!(PolicyParam::from_name("Best"), None);
    let number = PolicyParam::from_name("WRAND-DPF").unwrap().number();
    assert!(number.is_private() && !number.is_adaptive());
    assert!(PolicyParam::from_name("LU-DPF").unwrap().number().is_adaptive());
}

/// A parameter of `kind` with four bytes of value.
fn unknown(kind: u16) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend([0, 8, 1, 2, 3, 4]);
    bytes
}

/// `message` with `extra` after its parameters.
fn with_parameter(message: &AsapMessage, extra: &[u8]) -> Vec<u8> {
    let mut bytes = message.encode().to_vec();
    bytes.extend(extra);
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    bytes[2..4].copy_from_slice(&length);
    bytes
}

fn keep_alive_ack() -> AsapMessage {
    AsapMessage::EndpointKeepAliveAck {
        pool: pool("P"),
        pe: pe(7),
    }
}

#[test]
fn rfc5354_3_unknown_parameters_are_met_as_their_type_asks() {
    let message = keep_alive_ack();
    let decode = |kind| AsapMessage::decode_reporting(&with_parameter(&message, &unknown(kind)));

    let stop = decode(0x0011).unwrap_err();
    assert_eq!(
        (stop.problem(), stop.answer()),
        (Problem::UnknownParameter(0x0011), None)
    );
    let report = decode(0x4011).unwrap_err();
    assert_eq!(report.problem(), Problem::UnknownParameter(0x4011));
    let cause = report.answer().unwrap();
    assert_eq!(cause.code(), CauseCode::UNRECOGNIZED_PARAMETER);
    assert_eq!(cause.info()[..], unknown(0x4011));

    assert_eq!(decode(0x8011), Ok((message.clone(), None)));
    let (same, reports) = decode(0xc011).unwrap();
    assert_eq!(same, message);
    let reports = reports.unwrap();
    assert_eq!(reports.code(), CauseCode::UNRECOGNIZED_PARAMETER);
    assert_eq!(reports.first().info()[..], unknown(0xc011));
}

#[test]
fn rfc5354_3_unknown_parameters_inside_others_are_met_alike() {
    let mut bytes = AsapMessage::Registration {
        pool: pool("EchoPool"),
        element: captured_element(0),
    }
    .encode()
    .to_vec();
    bytes.extend(unknown(0xc123));
    bytes[3] += 8;
    let element_length = 4 + 12 + 3;
    bytes[element_length] += 8;
    let (message, reports) = AsapMessage::decode_reporting(&bytes).unwrap();
    assert!(matches!(message, AsapMessage::Registration { .. }));
    assert_eq!(reports.unwrap().first().info()[..], unknown(0xc123));
}

#[test]
fn rfc5354_4_unknown_messages_are_met_as_their_type_asks() {
    for kind in [0x00, 0x0f, 0x3f, 0x80, 0xff] {
        let error = AsapMessage::decode(&[kind, 0, 0, 4]).unwrap_err();
        assert_eq!((error.problem(), error.answer()), (Problem::UnknownMessage(kind), None));
    }
    let error = AsapMessage::decode(&[0x41, 0, 0, 4]).unwrap_err();
    let cause = error.answer().unwrap();
    assert_eq!(
        (cause.code(), &cause.info()[..]),
        (CauseCode::UNRECOGNIZED_MESSAGE, &[0x41, 0, 0, 4][..])
    );
}

#[test]
fn parameters_may_come_in_another_order() {
    let message = keep_alive_ack();
    let mut swapped = vec![8, 0, 0, 20];
    write_pe_id(&mut Writer::new(&mut swapped), pe(7));
    write_pool_handle(&mut Writer::new(&mut swapped), &pool("P"));
    assert_eq!(AsapMessage::decode(&swapped), Ok(message));
}

#[test]
fn padding_may_be_missing_and_need_not_be_zero() {
    let message = AsapMessage::Cookie {
        cookie: Cookie::new(vec![1]).unwrap(),
    };
    for bytes in [
        vec![11, 0, 0, 9, 0, 13, 0, 5, 1],
        vec![11, 0, 0, 9, 0, 13, 0, 5, 1, 9, 9, 9],
    ] {
        assert_eq!(AsapMessage::decode(&bytes), Ok(message.clone()));
    }
}

#[test]
fn a_known_parameter_without_a_place_in_the_message_is_skipped() {
    let message = keep_alive_ack();
    let with_checksum = with_parameter(&message, &[0, 15, 0, 6, 1, 2, 0, 0]);
    assert_eq!(AsapMessage::decode(&with_checksum), Ok(message));
}

#[test]
fn a_message_that_lacks_or_repeats_a_parameter_is_refused() {
    let cases: [(&[u8], Problem); 6] = [
        (&[8, 0, 0, 4], Problem::Missing("pool handle")),
        (
            &[8, 0, 0, 12, 0, 9, 0, 5, 65, 0, 0, 0],
            Problem::Missing("PE identifier"),
        ),
        (&[12, 0, 0, 4], Problem::Missing("cookie")),
        (&[14, 0, 0, 8, 0, 12, 0, 4], Problem::Missing("error cause")),
        (
            &[8, 0, 0, 12, 0, 9, 0, 4, 0, 9, 0, 4],
            Problem::InvalidValue("pool handle"),
        ),
        (
            &[8, 0, 0, 20, 0, 9, 0, 5, 65, 0, 0, 0, 0, 9, 0, 5, 65, 0, 0, 0],
            Problem::Repeated("pool handle"),
        ),
    ];
    for (bytes, problem) in cases {
        assert_eq!(AsapMessage::decode(bytes).unwrap_err().problem(), problem);
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    for bytes in [&[8, 0, 0][..], &[8, 0, 0, 3], &[8, 0, 0, 8], &[8, 0, 0, 4, 0]] {
        let problem = AsapMessage::decode(bytes).unwrap_err().problem();
        assert!(matches!(problem, Problem::Malformed(_)), "{bytes:?}: {problem}");
    }
    let error = AsapMessage::decode(&[8, 0, 0, 8, 0, 9, 0, 5]).unwrap_err();
    assert_eq!(
        error.problem(),
        Problem::Malformed(ReadError::BadLength { at: "parameter" })
    );
    assert_eq!(error.answer().unwrap().code(), CauseCode::INVALID_VALUES);
}

#[test]
fn an_error_is_never_answered_by_an_error() {
    for bytes in [&[14, 0, 0, 4][..], &[14, 0, 0, 12, 0x40, 0x11, 0, 8, 0, 0, 0, 0]] {
        assert_eq!(AsapMessage::decode(bytes).unwrap_err().answer(), None);
    }
}

#[test]
fn a_transport_has_one_to_64_addresses_and_a_known_use() {
    let registration = |addresses: usize, transport_use: u8| {
        let mut bytes = Vec::new();
        let mut w = Writer::new(&mut bytes);
        w.bytes(&[1, 0]);
        w.with_length(0, |w| {
            write_pool_handle(w, &pool("P"));
            w.tlv(ParamType::POOL_ELEMENT.0, |w| {
                w.bytes(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
                w.tlv(ParamType::SCTP_TRANSPORT.0, |w| {
                    w.bytes(&[0, 80, 0, transport_use]);
                    for _ in 0..addresses {
                        w.tlv(ParamType::IPV4_ADDRESS.0, |w| w.bytes(&[10, 0, 0, 1]));
                    }
                });
                PolicyParam::RoundRobin.write(w);
            });
        });
        AsapMessage::decode(&bytes).map(|_| ()).map_err(|error| error.problem())
    };
    assert_eq!(registration(64, 0), Ok(()));
    assert_eq!(registration(0, 0), Err(Problem::Missing("IP address")));
    assert_eq!(
        registration(65, 0),
        Err(Problem::InvalidValue("number of IP addresses"))
    );
    assert_eq!(registration(1, 2), Err(Problem::InvalidValue("transport use")));
}

#[test]
fn an_announcement_may_carry_server_information() {
    let transport = SctpTransport {
        port: 3863,
        transport_use: TransportUse::DataOnly,
        addresses: vec![ip("192.0.2.1")],
    };
    let information = ServerInformation {
        server: None,
        transport: transport.clone(),
    };
    let mut parameter = Vec::new();
    information.write(&mut Writer::new(&mut parameter));
    let bare = AsapMessage::ServerAnnounce {
        server: RegistrarId::new(1),
        transports: Vec::new(),
    };
    let expected = AsapMessage::ServerAnnounce {
        server: RegistrarId::new(1),
        transports: vec![transport.into()],
    };
    assert_eq!(AsapMessage::decode(&with_parameter(&bare, &parameter)), Ok(expected));
}

#[test]
fn a_response_lists_as_many_elements_as_fit() {
    let message = AsapMessage::HandleResolutionResponse {
        pool: pool("EchoPool"),
        updates: false,
        policy: None,
        elements: vec![captured_element(1); 2000],
        error: None,
    };
    let bytes = message.encode();
    assert!(bytes.len() <= MAX_MESSAGE && bytes.len() > MAX_MESSAGE - 64);
    match AsapMessage::decode(&bytes).unwrap() {
        AsapMessage::HandleResolutionResponse { elements, .. } => assert_eq!(elements.len(), 1091),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_longest_cookie_fits() {
    let cookie = Cookie::new(vec![7; Cookie::MAX_LEN]).unwrap();
    let message = AsapMessage::CookieEcho { cookie };
    assert_eq!(AsapMessage::decode(&message.encode()), Ok(message));
    assert!(Cookie::new(vec![7; Cookie::MAX_LEN + 1]).is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(message in any::message()) {
        let bytes = message.encode();
        prop_assert_eq!(bytes.len() % 4, 0);
        prop_assert_eq!(AsapMessage::decode_reporting(&bytes), Ok((message, None)));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let _ = AsapMessage::decode(&bytes);
    }

    #[test]
    fn damaged_messages_are_read_without_panic_and_stay_writable(
        message in any::message(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = message.encode().to_vec();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(message) = AsapMessage::decode(&bytes) {
            let again = AsapMessage::decode(&message.encode());
            prop_assert!(again.is_ok(), "{:?}", again);
        }
    }
}
