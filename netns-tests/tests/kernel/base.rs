//! Set-up, data and the ends of an association (RFC 9260).

use bytes::Bytes;
use sctp::config::AssociationConfig;
use sctp::error::FailureReason;
use sctp::{AssociationPhase, Event};

use crate::common::{Carrier, Pair};

/// Streams that each side offers.
const STREAMS: u16 = 7;

fn config() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.set_outbound_streams(STREAMS).unwrap();
    config
}

/// Both set up an association, say something, and the engine or the kernel ends it.
fn set_up_and_shut_down(carrier: Carrier) {
    let Some(mut pair) = Pair::new(carrier, 1) else { return };
    for (engine_connects, engine_ends) in [(true, true), (true, false), (false, true), (false, false)] {
        pair.order("set streams 5 12");
        let assoc = if engine_connects {
            pair.engine_connects(&config())
        } else {
            pair.kernel_connects(&config())
        };
        let status = pair.host.status(assoc);
        assert_eq!(status.phase, AssociationPhase::Established);
        assert_eq!((status.outbound_streams, status.inbound_streams), (STREAMS, 5));
        let said = pair.ask("status", "status");
        assert!(said.starts_with("state=4 in=7 out=5"), "{said}");
        pair.send_all(assoc, 3, 40, 1);
        pair.order("expect 3 40");
        pair.order("send 3 50");
        pair.receive_all(assoc, 3, 50, 1);
        if engine_ends {
            pair.begin("collect");
            pair.host.shutdown(assoc);
            pair.said("collected");
            pair.end("collect");
            pair.order("close");
        } else {
            pair.begin("shutdown");
            pair.host.until_shutdown(assoc);
            pair.end("shutdown");
        }
        pair.order("reset");
    }
}

#[test]
fn set_up_and_shut_down_in_udp() {
    set_up_and_shut_down(Carrier::Udp);
}

#[test]
fn set_up_and_shut_down_on_ip() {
    set_up_and_shut_down(Carrier::Ip);
}

/// Messages of more than one packet, each way alone and both ways at once, and what was sent before a shutdown.
fn bulk(carrier: Carrier) {
    const COUNT: u32 = 200;
    const SIZE: usize = 10_000;
    let Some(mut pair) = Pair::new(carrier, 1) else { return };
    pair.order(&format!("set streams {STREAMS} {STREAMS}"));
    let assoc = pair.engine_connects(&config());

    let expect = format!("expect {COUNT} {SIZE} streams={STREAMS}");
    let send = format!("send {COUNT} {SIZE} streams={STREAMS}");
    pair.begin(&expect);
    pair.send_all(assoc, COUNT, SIZE, STREAMS);
    pair.end(&expect);

    pair.begin(&send);
    pair.receive_all(assoc, COUNT, SIZE, STREAMS);
    pair.end(&send);

    pair.begin(&send);
    pair.begin(&expect);
    pair.exchange(assoc, COUNT, SIZE, STREAMS);
    pair.end(&send);
    pair.end(&expect);

    pair.send_all(assoc, COUNT / 2, SIZE, STREAMS);
    pair.begin(&format!("expect {} {SIZE} streams={STREAMS}", COUNT / 2));
    pair.begin("collect");
    pair.host.shutdown(assoc);
    assert_eq!(pair.said("collected"), "");
}

#[test]
fn bulk_in_udp() {
    bulk(Carrier::Udp);
}

#[test]
fn bulk_on_ip() {
    bulk(Carrier::Ip);
}

#[test]
fn messages_of_one_byte_and_of_many_packets() {
    let Some(mut pair) = Pair::new(Carrier::Udp, 1) else {
        return;
    };
    let assoc = pair.kernel_connects(&AssociationConfig::default());
    for size in [4, 5, 1000, 1200, 1232, 1500, 60_000] {
        pair.begin(&format!("expect 10 {size}"));
        pair.send_all(assoc, 10, size, 1);
        pair.end("expect");
        pair.begin(&format!("send 10 {size}"));
        pair.receive_all(assoc, 10, size, 1);
        pair.end("send");
    }
}

#[test]
fn rfc9260_9_1_the_kernel_aborts() {
    let Some(mut pair) = Pair::new(Carrier::Ip, 1) else {
        return;
    };
    let assoc = pair.kernel_connects(&AssociationConfig::default());
    pair.order("abort");
    pair.host.until("the association is lost", |host| {
        host.happened(assoc, |event| {
            matches!(
                event,
                Event::CommunicationLost {
                    reason: FailureReason::PeerAbort { .. }
                }
            )
        })
    });
}

#[test]
fn rfc9260_9_1_the_engine_aborts() {
    let Some(mut pair) = Pair::new(Carrier::Udp, 1) else {
        return;
    };
    let assoc = pair.engine_connects(&AssociationConfig::default());
    pair.begin("collect");
    let reason = Bytes::from_static(b"enough");
    pair.host.act(|stack, now| stack.abort(now, assoc, reason)).unwrap();
    assert!(pair.said("event COMM_LOST").starts_with("error="));
}

#[test]
fn rfc9260_8_4_nobody_listens() {
    let Some(mut pair) = Pair::new(Carrier::Ip, 1) else {
        return;
    };
    let peer = netns_tests::guest::addresses(&["10.99.1.2"]);
    let endpoint = pair.host.bind(None, AssociationConfig::default());
    let assoc = pair
        .host
        .act(|stack, now| stack.connect(now, endpoint, &peer, 4444, sctp::ConnectOptions::default()))
        .unwrap();
    pair.host.until("the kernel refuses", |host| {
        host.happened(assoc, |event| {
            matches!(
                event,
                Event::ConnectFailed {
                    reason: FailureReason::PeerAbort { .. }
                }
            )
        })
    });
    pair.begin("connect 4444 10.99.1.1 from 5002 10.99.1.2");
    assert!(pair.said("failed connect").contains("ConnectionRefused"));
}
