//! Re-configuration of streams (RFC 6525), asked for by either side.

use sctp::config::{AssociationConfig, ReconfigRequests};
use sctp::serial::StreamId;
use sctp::{AssocId, Event, ReconfigOutcome, StreamDirection, StreamDirections};

use crate::common::{Carrier, Pair};

/// Both sides take part, and do what they are asked for.
fn pair(engine_connects: bool) -> Option<(Pair, AssocId)> {
    let mut pair = Pair::with(Carrier::Udp, 1, &[("reconf_enable", 1)])?;
    pair.order("set streams 5 20");
    pair.order("set reconfig 7");
    let mut config = AssociationConfig::default();
    config.set_outbound_streams(5).unwrap();
    config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    let assoc = if engine_connects {
        pair.engine_connects(&config)
    } else {
        pair.kernel_connects(&config)
    };
    Some((pair, assoc))
}

/// Two messages on stream 0 each way; gives the sequence numbers of the second ones: the kernel's view of the engine's,
/// and the engine's of the kernel's.
fn exchange(pair: &mut Pair, assoc: AssocId) -> (u16, u16) {
    pair.begin("expect 2 100");
    pair.send_all(assoc, 2, 100, 1);
    let ours = pair.said("received 2 ssn=").parse().unwrap();
    pair.end("expect");
    pair.order("send 2 100");
    let theirs = [0, 1].map(|_| pair.host.receive(assoc).ssn.0);
    (ours, theirs[1])
}

fn until(pair: &mut Pair, assoc: AssocId, wanted: impl Fn(&Event) -> bool) {
    pair.host
        .until("the request is answered", |host| host.happened(assoc, &wanted));
}

fn is_reset(event: &Event, of: StreamDirection) -> bool {
    matches!(event, Event::StreamReset { direction, outcome: ReconfigOutcome::Performed, .. } if *direction == of)
}

fn is_association_reset(event: &Event) -> bool {
    matches!(
        event,
        Event::AssociationReset {
            outcome: ReconfigOutcome::Performed,
            ..
        }
    )
}

fn is_stream_change(event: &Event, outbound: u16, inbound: u16) -> bool {
    matches!(
        event,
        Event::StreamChange { outbound_streams, inbound_streams, outcome: ReconfigOutcome::Performed }
            if (*outbound_streams, *inbound_streams) == (outbound, inbound)
    )
}

/// Both sides are told that streams of the engine's `direction` begin anew, as `ask` asks for; `next` are the next
/// sequence numbers, as [`exchange`] gives them.
fn resets_streams(
    engine_connects: bool,
    direction: StreamDirection,
    ask: impl FnOnce(&mut Pair, AssocId),
    next: (u16, u16),
) {
    let Some((mut pair, assoc)) = pair(engine_connects) else {
        return;
    };
    assert_eq!(exchange(&mut pair, assoc), (1, 1));
    ask(&mut pair, assoc);
    until(&mut pair, assoc, |event| is_reset(event, direction));
    pair.order("await STREAM_RESET");
    assert_eq!(exchange(&mut pair, assoc), next);
}

/// Both sides are told that all numbers begin anew, as `ask` asks for.
fn resets_association(engine_connects: bool, ask: impl FnOnce(&mut Pair, AssocId)) -> Option<(Pair, AssocId)> {
    let (mut pair, assoc) = pair(engine_connects)?;
    assert_eq!(exchange(&mut pair, assoc), (1, 1));
    ask(&mut pair, assoc);
    until(&mut pair, assoc, is_association_reset);
    pair.order("await ASSOC_RESET");
    assert_eq!(exchange(&mut pair, assoc), (1, 1));
    Some((pair, assoc))
}

fn engine_asks(pair: &mut Pair, assoc: AssocId, directions: StreamDirections, streams: &[StreamId]) {
    pair.host
        .act(|stack, now| stack.reset_streams(now, assoc, directions, streams))
        .unwrap();
}

#[test]
fn rfc6525_5_1_2_the_engine_resets_outgoing_streams() {
    for streams in [&[StreamId(0)][..], &[]] {
        let ask = |pair: &mut Pair, assoc| engine_asks(pair, assoc, StreamDirections::Outgoing, streams);
        resets_streams(true, StreamDirection::Outgoing, ask, (1, 3));
    }
}

#[test]
fn rfc6525_5_1_3_the_engine_resets_incoming_streams() {
    let ask = |pair: &mut Pair, assoc| engine_asks(pair, assoc, StreamDirections::Incoming, &[StreamId(0)]);
    resets_streams(false, StreamDirection::Incoming, ask, (3, 1));
}

#[test]
fn rfc6525_5_2_2_the_kernel_resets_outgoing_streams() {
    let ask = |pair: &mut Pair, _| pair.order("streams out 0");
    resets_streams(true, StreamDirection::Incoming, ask, (3, 1));
}

#[test]
fn rfc6525_5_2_3_the_kernel_resets_incoming_streams() {
    let ask = |pair: &mut Pair, _| pair.order("streams in 0");
    resets_streams(false, StreamDirection::Outgoing, ask, (1, 3));
}

#[test]
fn rfc6525_5_1_5_the_engine_adds_streams() {
    let Some((mut pair, assoc)) = pair(true) else { return };
    pair.host.act(|stack, now| stack.add_streams(now, assoc, 3, 0)).unwrap();
    until(&mut pair, assoc, |event| is_stream_change(event, 8, 5));
    pair.order("await STREAM_CHANGE");
    pair.host.act(|stack, now| stack.add_streams(now, assoc, 0, 2)).unwrap();
    until(&mut pair, assoc, |event| is_stream_change(event, 8, 7));
    let said = pair.ask("status", "status");
    assert!(said.contains("in=8 out=7"), "{said}");
    pair.begin("expect 16 100 streams=8");
    pair.send_all(assoc, 16, 100, 8);
    pair.end("expect");
    pair.order("send 14 100 streams=7");
    pair.receive_all(assoc, 14, 100, 7);
}

#[test]
fn rfc6525_5_2_5_the_kernel_adds_streams() {
    let Some((mut pair, assoc)) = pair(false) else { return };
    pair.order("add 3 0");
    pair.order("await STREAM_CHANGE");
    pair.order("add 0 2");
    pair.order("await STREAM_CHANGE");
    let status = pair.host.status(assoc);
    assert_eq!((status.outbound_streams, status.inbound_streams), (7, 8));
    pair.begin("expect 14 100 streams=7");
    pair.send_all(assoc, 14, 100, 7);
    pair.end("expect");
    pair.order("send 16 100 streams=8");
    pair.receive_all(assoc, 16, 100, 8);
}

#[test]
fn rfc6525_5_1_4_the_engine_resets_the_association() {
    let ask = |pair: &mut Pair, assoc| pair.host.act(|stack, now| stack.reset_association(now, assoc)).unwrap();
    let Some((mut pair, assoc)) = resets_association(true, ask) else {
        return;
    };
    pair.begin("collect");
    pair.host.shutdown(assoc);
}

#[test]
fn rfc6525_5_2_4_the_kernel_resets_the_association() {
    let ask = |pair: &mut Pair, _| pair.order("tsns");
    let Some((mut pair, assoc)) = resets_association(false, ask) else {
        return;
    };
    pair.begin("shutdown");
    pair.host.until_shutdown(assoc);
}

#[test]
fn rfc6525_5_2_requests_are_denied_that_are_not_accepted() {
    let Some((mut pair, assoc)) = pair(true) else { return };
    pair.host
        .act(|stack, _| stack.accept_reconfig(assoc, ReconfigRequests::NONE))
        .unwrap();
    pair.order("streams out 0");
    pair.begin("await STREAM_RESET");
    let said = pair.said("event STREAM_RESET flags=");
    // SCTP_STREAM_RESET_DENIED and which side it was about.
    assert!(said.starts_with("6 "), "{said}");
    pair.end("await");
    pair.order("set reconfig 0");
    pair.host.act(|stack, now| stack.add_streams(now, assoc, 1, 0)).unwrap();
    until(&mut pair, assoc, |event| {
        matches!(
            event,
            Event::StreamChange {
                outcome: ReconfigOutcome::Denied,
                ..
            }
        )
    });
}
