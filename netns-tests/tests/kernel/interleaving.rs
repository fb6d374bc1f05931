//! Messages interleaved (RFC 8260). Linux numbers the fragments of a message other than the RFC says, and does not list
//! I-FORWARD-TSN; the engine knows it by that, and does as it does.

use std::collections::BTreeMap;
use std::time::Duration;

use netns_tests::content;
use sctp::config::{AssociationConfig, ReconfigRequests};
use sctp::{AssocId, Event, OutMessage, Reliability, StreamDirections};

use crate::common::{Carrier, Pair, hasty};

const STREAMS: u16 = 4;

fn pair(carrier: Carrier) -> Option<Pair> {
    pair_with(carrier, &[("intl_enable", 1)])
}

fn pair_with(carrier: Carrier, settings: &[(&str, u32)]) -> Option<Pair> {
    let mut pair = Pair::with(carrier, 1, settings)?;
    pair.order("set interleave 2");
    pair.order("set idata 1");
    Some(pair)
}

fn config() -> AssociationConfig {
    let rto = Duration::from_millis(300);
    let mut config = hasty(rto, 3 * rto);
    config.interleaving_mut().set_offered(true);
    config
}

/// The next `count` whole messages, put together from pieces by stream.
fn receive(pair: &mut Pair, assoc: AssocId, count: u32, size: usize) {
    let mut wanted: Vec<u32> = (0..STREAMS.into()).collect();
    let mut begun: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    let mut left = count;
    pair.host.until("the messages arrive", |host| {
        while let Some(piece) = host.try_receive(assoc) {
            let message = begun.entry(piece.stream.0).or_default();
            message.extend_from_slice(&piece.payload);
            if piece.end_of_message {
                let next = &mut wanted[usize::from(piece.stream.0)];
                assert_eq!((content::index(message), message.len()), (*next, size));
                message.clear();
                *next += u32::from(STREAMS);
                left -= 1;
            }
        }
        (left == 0).then_some(())
    });
}

/// Whole messages and fragmented ones, each way.
fn messages_pass(carrier: Carrier, engine_connects: bool) {
    let Some(mut pair) = pair(carrier) else { return };
    let assoc = if engine_connects {
        pair.engine_connects(&config())
    } else {
        pair.kernel_connects(&config())
    };
    assert!(pair.host.status(assoc).interleaving);
    for size in [100, 5000, 30_000] {
        pair.begin(&format!("send 40 {size} streams={STREAMS}"));
        receive(&mut pair, assoc, 40, size);
        pair.end("send");
        pair.begin(&format!("expect 40 {size} streams={STREAMS}"));
        pair.send_all(assoc, 40, size, STREAMS);
        pair.end("expect");
    }
    pair.begin("collect");
    pair.host.shutdown(assoc);
}

#[test]
fn rfc8260_2_the_engine_connects_in_udp() {
    messages_pass(Carrier::Udp, true);
}

#[test]
fn rfc8260_2_the_kernel_connects_on_ip() {
    messages_pass(Carrier::Ip, false);
}

/// The kernel has sent nothing yet that would tell how it counts: its set-up does, or the user.
fn engine_sends_first(settings: &[(&str, u32)], told: bool) {
    let Some(mut pair) = pair_with(Carrier::Udp, settings) else {
        return;
    };
    let mut config = config();
    config.interleaving_mut().set_fragments_from_zero(told);
    let assoc = pair.engine_connects(&config);
    assert_eq!(pair.host.status(assoc).partial_reliability, !told);
    pair.begin(&format!("expect 40 9000 streams={STREAMS}"));
    pair.send_all(assoc, 40, 9000, STREAMS);
    pair.end("expect");
}

#[test]
fn rfc8260_2_1_the_engine_sends_first() {
    engine_sends_first(&[("intl_enable", 1)], false);
}

#[test]
fn rfc8260_2_1_the_engine_sends_first_to_a_kernel_without_partial_reliability() {
    engine_sends_first(&[("intl_enable", 1), ("prsctp_enable", 0)], true);
}

/// Begun anew, the numbers of messages fit on both sides (RFC 6525).
#[test]
fn rfc8260_2_3_2_streams_are_reset() {
    let settings = [("intl_enable", 1), ("reconf_enable", 1)];
    let Some(mut pair) = pair_with(Carrier::Ip, &settings) else {
        return;
    };
    pair.order("set reconfig 7");
    let mut config = config();
    config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    let assoc = pair.kernel_connects(&config);
    pair.talk(assoc);
    pair.host
        .act(|stack, now| stack.reset_streams(now, assoc, StreamDirections::Outgoing, &[]))
        .unwrap();
    pair.order("await STREAM_RESET");
    pair.talk(assoc);
    pair.order("streams out");
    pair.order("await STREAM_RESET");
    pair.talk(assoc);
}

/// Messages are given up (I-FORWARD-TSN), with packets lost on the way.
#[test]
fn rfc8260_2_3_the_engine_gives_up() {
    let Some(mut pair) = pair(Carrier::Udp) else { return };
    let assoc = pair.engine_connects(&config());
    assert!(pair.host.status(assoc).partial_reliability);
    pair.begin("collect");
    pair.host.lose(0, 5);
    for index in 0..200 {
        let message = OutMessage {
            reliability: Reliability::Retransmissions(0),
            context: index,
            ..content::message(index, 900, 0)
        };
        pair.host.send(assoc, &message);
    }
    pair.host.shutdown(assoc);
    let said = pair.said("collected");
    let arrived: Vec<u32> = said.split(' ').map(|word| word.parse().unwrap()).collect();
    assert!(arrived.is_sorted(), "{arrived:?}");
    let failed = |index: u32| {
        pair.host
            .log()
            .iter()
            .any(|(_, event)| matches!(event, Event::SendFailed(failure) if failure.context == index))
    };
    assert!((0..200).all(|index| arrived.contains(&index) || failed(index)));
    assert!(!arrived.is_empty() && arrived.len() < 200);
}

#[test]
fn rfc8260_2_3_the_kernel_gives_up() {
    let Some(mut pair) = pair(Carrier::Ip) else { return };
    pair.order("set rto 300 1000 300");
    let assoc = pair.kernel_connects(&config());
    pair.kernel_gives_up(assoc, 200, 900);
}
