//! Chunks, parameters and causes of the extensions: their layout, and what readers refuse.

use std::net::IpAddr;

use super::extensions::written;
use super::properties::value_of;
use crate::error::DecodeError;
use crate::serial::{AsconfSerial, CorrelationId, Fsn, Mid, Ppid, RequestSeq, Ssn, StreamId, Tsn};
use crate::wire::*;

#[test]
fn rfc3758_and_rfc8260_no_entry_may_be_cut_off() {
    for len in 0..40 {
        let value = vec![0; len];
        assert_eq!(ForwardTsn::parse(&value).is_ok(), len >= 4 && len % 4 == 0, "{len}");
        assert_eq!(IForwardTsn::parse(&value).is_ok(), len >= 4 && len % 8 == 4, "{len}");
    }
}

#[test]
fn rfc8260_2_3_1_the_u_bit_is_the_last_of_its_field() {
    let value = [0, 0, 0, 9, 0, 7, 0xff, 0xfe, 0, 0, 0, 1, 0, 7, 0, 1, 0, 0, 0, 2];
    let entry = |unordered, mid| SkippedMessage {
        stream: StreamId(7),
        unordered,
        mid: Mid(mid),
    };
    let forward = IForwardTsn::parse(&value).unwrap();
    assert_eq!(forward.new_cumulative_tsn, Tsn(9));
    assert!(
        forward.messages.eq([entry(false, 1), entry(true, 2)]),
        "reserved bits are ignored"
    );
    assert_eq!(
        value_of(|buf| write_i_forward_tsn(buf, Tsn(9), &[entry(true, 2)])),
        [0, 0, 0, 9, 0, 7, 0, 1, 0, 0, 0, 2]
    );
}

#[test]
fn a_forward_tsn_lists_no_more_than_its_length_can_count() {
    let streams = vec![(StreamId(1), Ssn(2)); 20_000];
    let value = value_of(|buf| write_forward_tsn(buf, Tsn(1), &streams));
    assert_eq!(ForwardTsn::parse(&value).unwrap().streams.len(), 16_381);
    let entry = SkippedMessage {
        stream: StreamId(1),
        unordered: false,
        mid: Mid(2),
    };
    let value = value_of(|buf| write_i_forward_tsn(buf, Tsn(1), &vec![entry; 20_000]));
    assert_eq!(IForwardTsn::parse(&value).unwrap().messages.len(), 8190);
}

#[test]
fn rfc8260_2_1_the_layout_of_i_data() {
    let header = IDataHeader {
        tsn: Tsn(0x0102_0304),
        stream: StreamId(0x0506),
        mid: Mid(0x0708_090a),
        fragment: Fragment::Later(Fsn(0x0b0c_0d0e)),
        unordered: false,
        ending: false,
        immediate: true,
    };
    let mut buf = Vec::new();
    write_i_data(&mut buf, &header, &[0xff]);
    let expected = [
        0x40, 8, 0, 21, 1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 13, 14, 0xff, 0, 0, 0,
    ];
    assert_eq!(buf, expected);
    assert_eq!(
        (header.fragment.fsn(), header.fragment.ppid()),
        (Fsn(0x0b0c_0d0e), None)
    );
    let first = Fragment::First(Ppid(5));
    assert_eq!((first.fsn(), first.ppid()), (Fsn(0), Some(Ppid(5))));
    buf[10..12].fill(0xff);
    let read = IDataChunk::parse(0xf8, &buf[4..21]).unwrap();
    assert_eq!(read.header, header, "reserved bits are ignored");
    assert!(IDataChunk::parse(3, &[0; 15]).is_err());
    assert!(IDataChunk::parse(3, &[0; 16]).unwrap().payload.is_empty());
}

#[test]
fn rfc4895_3_the_layout_of_the_parameters() {
    let write = |param: Param<'_>| written(|w| param.write(w));
    assert_eq!(write(Param::Random(&[9; 4])), [0x80, 2, 0, 8, 9, 9, 9, 9]);
    assert_eq!(
        write(Param::ChunkList(&[0xc1, 0x80])),
        [0x80, 3, 0, 6, 0xc1, 0x80, 0, 0]
    );
    let hmacs = written(|w| write_hmac_algorithms(w, &[HmacId::SHA256, HmacId::SHA1]));
    assert_eq!(hmacs, [0x80, 4, 0, 8, 0, 3, 0, 1]);
    let cause = written(|w| Cause::UnsupportedHmacIdentifier(HmacId(2)).write(w));
    assert_eq!(cause, [1, 5, 0, 6, 0, 2, 0, 0]);
    assert_eq!(
        (HmacId::SHA1.hmac_len(), HmacId::SHA256.hmac_len()),
        (Some(20), Some(32))
    );
    assert_eq!((HmacId(0).hmac_len(), HmacId(2).hmac_len()), (None, None));
}

#[test]
fn rfc9653_the_layout_of_zero_checksum_acceptable() {
    let param = Param::ZeroChecksumAcceptable(ErrorDetectionMethod::DTLS);
    assert_eq!(written(|w| param.write(w)), [0x80, 1, 0, 8, 0, 0, 0, 1]);
}

/// The examples of RFC 5061: a request, and the error cause indication that refuses it.
#[test]
fn rfc5061_4_2_and_4_3_the_examples_of_the_rfc() {
    let to: IpAddr = [192, 0, 2, 1].into();
    let request = |change: AddressChange, id| written(|w| change.write(w, CorrelationId(id)));
    let add = [0xc0, 1, 0, 16, 1, 2, 0x34, 0x74, 0, 5, 0, 8, 0xc0, 0, 2, 1];
    let delete = [0xc0, 2, 0, 16, 1, 2, 0x34, 0x76, 0, 5, 0, 8, 0xc0, 0, 2, 1];
    let set_primary = [0xc0, 4, 0, 16, 1, 2, 0x34, 0x79, 0, 5, 0, 8, 0xc0, 0, 2, 1];
    assert_eq!(request(AddressChange::Add(to), 0x0102_3474), add);
    assert_eq!(request(AddressChange::Delete(to), 0x0102_3476), delete);
    assert_eq!(request(AddressChange::SetPrimary(to), 0x0102_3479), set_primary);

    let refusal =
        |cause: Cause<'_>, id| written(|w| write_error_cause_indication(w, CorrelationId(id), |w| cause.write(w)));
    let expected = |code, id, quote: &[u8]| [&[0xc0, 3, 0, 28, 1, 2, 0x34, id, 0, code, 0, 20], quote].concat();
    assert_eq!(
        refusal(Cause::DeleteLastRemainingAddress(&delete), 0x0102_3476),
        expected(0xa0, 0x76, &delete)
    );
    assert_eq!(
        refusal(Cause::ResourceShortage(&add), 0x0102_3474),
        expected(0xa1, 0x74, &add)
    );
    assert_eq!(
        refusal(Cause::DeleteSourceAddress(&delete), 0x0102_3476),
        expected(0xa2, 0x76, &delete)
    );
    assert_eq!(written(|w| Cause::IllegalAsconfAck.write(w)), [0, 0xa3, 0, 4]);
}

#[test]
fn rfc5061_4_1_1_an_asconf_starts_with_an_address() {
    let good = [0, 0, 0, 1, 0, 5, 0, 8, 10, 0, 0, 1];
    assert!(Asconf::parse(&good).is_ok());
    for len in 0..good.len() {
        assert!(Asconf::parse(&good[..len]).is_err(), "{len}");
    }
    let host_name = [0, 0, 0, 1, 0, 11, 0, 8, b'h', b'o', b's', b't'];
    assert!(matches!(
        Asconf::parse(&host_name),
        Err(DecodeError::InvalidValue { .. })
    ));
    let with_broken_request = [good.as_slice(), &[0xc0, 1, 0, 3]].concat();
    assert!(Asconf::parse(&with_broken_request).is_err());
}

#[test]
fn rfc5061_4_2_a_request_that_cannot_be_carried_out_can_be_answered() {
    let value = value_of(|buf| {
        write_asconf(buf, AsconfSerial(1), [10, 0, 0, 1].into(), |w| {
            w.tlv(0xc001, |w| w.u16(1));
            w.tlv(0xc001, |w| {
                w.u32(2);
                Param::HostName(b"host").write(w);
            });
            w.tlv(0xc007, |w| w.u32(3));
            w.tlv(0xc002, |w| {
                w.u32(4);
                Param::Ipv4Address([10, 0, 0, 2].into()).write(w);
                w.u32(0);
            });
            AddressChange::Delete([10, 0, 0, 2].into()).write(w, CorrelationId(5));
        });
    });
    let requests: Vec<_> = Asconf::parse(&value).unwrap().requests.collect();
    let told: Vec<_> = requests
        .iter()
        .map(|request| {
            request
                .ok()
                .map(|request| (request.correlation_id.0, request.is_known(), request.change.is_some()))
        })
        .collect();
    let expected = [
        None,
        Some((2, true, false)),
        Some((3, false, false)),
        Some((4, true, false)),
        Some((5, true, true)),
    ];
    assert_eq!(told, expected);
}

#[test]
fn rfc5061_4_2_a_response_that_does_not_fit_its_type_is_told_and_the_next_one_is_read() {
    let value = value_of(|buf| {
        write_asconf_ack(buf, AsconfSerial(1), |w| {
            w.tlv(0xc005, |w| w.u16(1));
            w.tlv(0xc005, |w| w.u64(1));
            w.tlv(0xc003, |w| w.u16(1));
            w.tlv(0xc003, |w| w.u64(1));
            write_success_indication(w, CorrelationId(7));
            w.tlv(0xc009, |_| {});
        });
    });
    let responses: Vec<_> = AsconfAck::parse(&value).unwrap().responses.collect();
    let [
        Err(_),
        Err(_),
        Err(_),
        Err(_),
        Ok(AsconfResponse::Success(CorrelationId(7))),
        Ok(AsconfResponse::Unknown(_)),
    ] = responses.as_slice()
    else {
        panic!("{responses:?}")
    };
    assert!(AsconfAck::parse(&[0, 0, 0]).is_err());
    assert!(AsconfAck::parse(&[0, 0, 0, 1, 0xc0, 5, 0, 3]).is_err());
}

#[test]
fn rfc5061_4_2_4_an_address_is_not_looked_for_at_any_depth() {
    let mut nested = written(|w| Param::address([10, 0, 0, 1].into()).write(w));
    for _ in 0..2000 {
        nested = written(|w| {
            w.tlv(0xc004, |w| {
                w.u32(0);
                w.bytes(&nested);
            });
        });
    }
    let read: Vec<_> = Params::new(&nested).collect();
    assert!(matches!(read.as_slice(), [Err(DecodeError::InvalidValue { .. })]));
}

#[test]
fn rfc6525_3_1_only_some_parameters_stand_together() {
    let reconfig = |kinds: &[u16]| {
        let value = written(|w| kinds.iter().for_each(|kind| w.tlv(*kind, |_| {})));
        Reconfig::parse(&value).unwrap().is_allowed()
    };
    assert!(!reconfig(&[]));
    let pairs = [(13, 14), (14, 13), (17, 18), (18, 17), (16, 13), (13, 16), (16, 16)];
    for first in 11..20 {
        assert_eq!(reconfig(&[first]), (13..=18).contains(&first), "{first}");
        for second in 11..20 {
            let allowed = pairs.contains(&(first, second));
            assert_eq!(reconfig(&[first, second]), allowed, "{first} {second}");
            assert!(!reconfig(&[first, second, 16]), "{first} {second} 16");
        }
    }
}

#[test]
fn rfc6525_4_a_value_that_does_not_fit_its_type_is_told_and_the_next_one_is_read() {
    let lengths = |kind: u16| -> Vec<usize> {
        (0..24)
            .filter(|len| {
                let value = written(|w| {
                    w.tlv(kind, |w| w.bytes(&vec![0; *len]));
                    ReconfigParam::SsnTsnReset {
                        request_seq: RequestSeq(1),
                    }
                    .write(w);
                });
                let read: Vec<_> = Reconfig::parse(&value).unwrap().params.collect();
                assert!(matches!(read.as_slice(), [_, Ok(ReconfigParam::SsnTsnReset { .. })]));
                read[0].is_ok()
            })
            .collect()
    };
    assert_eq!(lengths(13), [12, 14, 16, 18, 20, 22]);
    assert_eq!(lengths(14), [4, 6, 8, 10, 12, 14, 16, 18, 20, 22]);
    assert_eq!(lengths(15), [4]);
    assert_eq!(lengths(16), [8, 16], "both TSNs or neither");
    assert_eq!(lengths(17), [8]);
    assert_eq!(lengths(18), [8]);
    assert!(Reconfig::parse(&[0, 13, 0, 3]).is_err());
    assert!(ReconfigResult::PERFORMED.is_success() && !ReconfigResult::IN_PROGRESS.is_success());
}

#[test]
fn rfc4820_3_a_pad_is_never_longer_than_its_length_can_say() {
    let mut buf = Vec::new();
    write_pad(&mut buf, 70_000);
    assert_eq!(buf.len(), 65_532);
    assert_eq!(Chunks::new(&buf, 0).count(), 1);
}

#[test]
fn a_value_that_does_not_fit_its_type_is_told_and_the_next_one_is_read() {
    for (kind, value) in [
        (0x8001u16, &[0u8; 3][..]),
        (0x8001, &[0; 5]),
        (0x8004, &[0; 3]),
        (0xc004, &[0; 4]),
        (0xc004, &[0, 0, 0, 1, 0, 5, 0, 7, 1, 2, 3]),
        (0xc004, &[0, 0, 0, 1, 0, 5, 0, 8, 1, 2, 3, 4, 0]),
        (0xc006, &[0; 2]),
        (0xc006, &[0; 8]),
    ] {
        let buf = written(|w| {
            w.tlv(kind, |w| w.bytes(value));
            Param::StateCookie(&[1]).write(w);
        });
        let read: Vec<_> = Params::new(&buf).collect();
        assert!(
            matches!(read.as_slice(), [Err(_), Ok(Param::StateCookie([1]))]),
            "{kind:#x} {read:?}"
        );
    }
    for (code, value) in [(0xa3u16, &[0u8][..]), (0x105, &[0]), (0x105, &[0; 4])] {
        let buf = written(|w| {
            w.tlv(code, |w| w.bytes(value));
            Cause::UserInitiatedAbort(&[]).write(w);
        });
        let read: Vec<_> = Causes::new(&buf).collect();
        assert!(
            matches!(read.as_slice(), [Err(_), Ok(Cause::UserInitiatedAbort([]))]),
            "{code:#x} {read:?}"
        );
    }
}
