//! Against the crate `sctp-proto`, which has partial reliability for whole streams, and resets a stream when it is
//! closed or was reset by the peer, as data channels do (RFC 8831 §6.7). It has no message interleaving, no zero
//! checksum and one path.
//!
//! Its ways that tests must leave out: it answers the SHUTDOWN ACK to its own SHUTDOWN by nothing, does not take a
//! SHUTDOWN COMPLETE with a reflected tag (RFC 9260 §8.5.1 C), and closes without an ABORT.

#![expect(clippy::disallowed_types, reason = "the crate wants the system's kind of time")]

use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ReliabilityType, ServerConfig, StreamEvent,
};
use bytes::Bytes;
use sctp::serial::StreamId;
use sctp::{ReconfigOutcome, Reliability, StreamDirection};

use super::foreign::{Foreign, Match, Side, Traffic};
use super::{abort, bad, bulk, good, partial_reliability, secs, set_up};

struct SctpProto {
    /// Zero, never read again.
    zero: Instant,
    now: Instant,
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    packets: VecDeque<Bytes>,
    connected: bool,
    closed: bool,
    incoming_resets: Vec<u16>,
    outgoing_resets: Vec<u16>,
}

fn new() -> Box<dyn Foreign> {
    let mut config = EndpointConfig::new();
    config.max_payload_size(1200);
    let zero = Instant::now();
    Box::new(SctpProto {
        zero,
        now: zero,
        endpoint: Endpoint::new(Arc::new(config), Some(Arc::new(ServerConfig::new()))),
        association: None,
        packets: VecDeque::new(),
        connected: false,
        closed: false,
        incoming_resets: Vec::new(),
        outgoing_resets: Vec::new(),
    })
}

fn ours() -> SocketAddr {
    (Ipv4Addr::new(10, 1, 0, 2), 5000).into()
}

impl SctpProto {
    fn drain(&mut self) {
        if let Some((handle, association)) = &mut self.association {
            while let Some(event) = association.poll_endpoint_event() {
                if let Some(event) = self.endpoint.handle_event(*handle, event) {
                    association.handle_event(event);
                }
            }
            while let Some(event) = association.poll() {
                match event {
                    Event::Connected => self.connected = true,
                    Event::AssociationLost { .. } => self.closed = true,
                    Event::Stream(StreamEvent::Finished { id }) => self.incoming_resets.push(id),
                    Event::Stream(StreamEvent::ResetComplete { id }) => self.outgoing_resets.push(id),
                    _ => {}
                }
            }
            self.closed |= self.connected && association.is_closed();
        }
        loop {
            let own = self.association.as_mut();
            let transmit = own.and_then(|(_, association)| association.poll_transmit(self.now));
            let Some(transmit) = transmit.or_else(|| self.endpoint.poll_transmit()) else {
                break;
            };
            let Payload::RawEncode(packets) = transmit.payload else {
                panic!("packets go out encoded")
            };
            self.packets.extend(packets);
        }
    }

    fn association(&mut self) -> &mut Association {
        &mut self.association.as_mut().expect("connected").1
    }
}

impl Foreign for SctpProto {
    fn name(&self) -> &'static str {
        "sctp-proto"
    }

    fn connect(&mut self) {
        let association = self.endpoint.connect(ClientConfig::new(), ours());
        self.association = Some(association.expect("a usable peer"));
    }

    fn handle(&mut self, packet: &[u8]) {
        let packet = Bytes::copy_from_slice(packet);
        match self.endpoint.handle(self.now, ours(), None, None, packet) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.association = Some((handle, association));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => self.association().handle_event(event),
            None => {}
        }
    }

    fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.drain();
        self.packets.pop_front().map(|packet| packet.to_vec())
    }

    fn advance(&mut self, now: Duration) {
        let now = self.zero + now;
        self.now = now;
        if let Some((_, association)) = &mut self.association
            && association.poll_timeout().is_some_and(|due| due <= now)
        {
            association.handle_timeout(now);
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let (_, association) = self.association.as_ref()?;
        Some(association.poll_timeout()?.saturating_duration_since(self.zero))
    }

    fn is_connected(&self) -> bool {
        self.connected
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    fn send(&mut self, stream: u16, payload: &[u8], reliability: Reliability) -> bool {
        let association = self.association();
        if association.stream(stream).is_err() {
            association
                .open_stream(stream, PayloadProtocolIdentifier::Binary)
                .expect("a new stream");
        }
        let mut stream = association.stream(stream).expect("opened");
        let (kind, value) = match reliability {
            Reliability::Retransmissions(limit) => (ReliabilityType::Rexmit, limit.into()),
            Reliability::Timed(lifetime) => (ReliabilityType::Timed, lifetime.as_millis() as u32),
            _ => (ReliabilityType::Reliable, 0),
        };
        stream.set_reliability_params(false, kind, value).expect("open");
        // It has no limit of its own.
        stream.buffered_amount().expect("open") < 50_000 && stream.write(payload).is_ok()
    }

    fn receive(&mut self) -> Option<(u16, Vec<u8>)> {
        let association = self.association();
        while association.accept_stream().is_some() {}
        for id in association.stream_ids() {
            let mut stream = association.stream(id).expect("listed");
            if let Some(message) = stream.read().expect("open") {
                let mut bytes = vec![0; message.len()];
                message.read(&mut bytes).expect("as long as it is");
                return Some((id, bytes));
            }
        }
        None
    }

    fn shut_down(&mut self) {
        self.association().shutdown().expect("connected");
    }

    fn abort(&mut self) {
        self.association().close().expect("connected");
    }

    fn reset_streams(&mut self, streams: &[u16]) {
        for &id in streams {
            let mut stream = self.association().stream(id).expect("open");
            stream.close().expect("open");
        }
    }

    fn resets(&self) -> (Vec<u16>, Vec<u16>) {
        (self.incoming_resets.clone(), self.outgoing_resets.clone())
    }
}

#[test]
fn sctp_proto_set_up_from_either_side() {
    set_up(new);
}

#[test]
fn sctp_proto_bulk_both_ways_and_a_graceful_end() {
    bulk(new, &good(), 500, secs(120), |side| side == Side::Ours);
}

#[test]
fn sctp_proto_with_20_percent_loss_in_both_directions_everything_arrives() {
    bulk(new, &bad(), 100, secs(2000), |_| false);
}

#[test]
fn sctp_proto_an_abort() {
    abort(new, Side::Ours);
}

#[test]
fn sctp_proto_partial_reliability_both_ways() {
    partial_reliability(new, Reliability::Retransmissions(0));
}

/// The streams of one direction whose resets our user was told of since `seen` events.
fn reset_here(game: &Match, seen: usize, direction: StreamDirection) -> BTreeSet<u16> {
    let reset = game.log[seen..].iter().filter_map(|event| match event {
        sctp::Event::StreamReset {
            direction: of,
            streams,
            outcome: ReconfigOutcome::Performed,
        } if *of == direction => Some(streams),
        _ => None,
    });
    reset.flatten().map(|&StreamId(id)| id).collect()
}

#[test]
fn sctp_proto_stream_resets_from_either_side() {
    for link in [good(), bad()] {
        let mut game = Match::new(new(), &link, 5);
        game.connect(Side::Theirs);
        for _ in 0..3 {
            let mut traffic = [Traffic::new(20, &[100, 3000]), Traffic::new(20, &[100, 3000])];
            game.must(
                "all messages arrive, also under numbers that began anew",
                secs(600),
                |game| {
                    traffic[0].pump(game, Side::Ours);
                    traffic[1].pump(game, Side::Theirs);
                    traffic.iter().all(Traffic::is_complete)
                },
            );
            let (seen, before) = (game.log.len(), game.foreign.resets());
            let all = BTreeSet::from([0, 1, 2, 3]);
            // Both at once; each of ours makes them reset theirs.
            game.reset_streams(&[0, 2]);
            game.foreign.reset_streams(&[1, 3]);
            game.must("half of ours and all of theirs are reset", secs(600), |game| {
                reset_here(game, seen, StreamDirection::Outgoing) == BTreeSet::from([0, 2])
                    && reset_here(game, seen, StreamDirection::Incoming) == all
            });
            game.reset_streams(&[1, 3]);
            game.must("the other half is reset", secs(600), |game| {
                let (incoming, outgoing) = game.foreign.resets();
                let told: BTreeSet<u16> = incoming[before.0.len()..].iter().copied().collect();
                let done: BTreeSet<u16> = outgoing[before.1.len()..].iter().copied().collect();
                reset_here(game, seen, StreamDirection::Outgoing) == all && told == all && done == all
            });
        }
    }
}
