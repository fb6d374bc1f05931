//! Against the crate `dcsctp`, which has partial reliability, stream resets (outgoing ones only: it answers incoming
//! ones by "Nothing to do", and knows no added streams and no SSN/TSN reset), message interleaving and zero checksum.
//! It has one path.

use std::collections::VecDeque;
use std::time::Duration;

use ::dcsctp::api::{
    DcSctpSocket, Message, Options, PpId, SendOptions, SocketEvent, SocketState, SocketTime, StreamId,
    ZERO_CHECKSUM_ALTERNATE_ERROR_DETECTION_METHOD_LOWER_LAYER_DTLS as DTLS,
};
use sctp::config::AssociationConfig;
use sctp::wire::ErrorDetectionMethod;
use sctp::{Event, ReconfigOutcome, Reliability, StreamDirection};

use super::foreign::{Foreign, Match, PORT, Side, Traffic};
use super::{abort, bad, bulk, good, ms, partial_reliability, secs, set_up};

struct Dcsctp {
    socket: Box<dyn DcSctpSocket>,
    packets: VecDeque<Vec<u8>>,
    closed: bool,
    incoming_resets: Vec<u16>,
    outgoing_resets: Vec<u16>,
}

fn with(tune: impl FnOnce(&mut Options)) -> Box<dyn Foreign> {
    let mut options = Options {
        local_port: PORT,
        remote_port: PORT,
        mtu: 1260,
        ..Options::default()
    };
    tune(&mut options);
    Box::new(Dcsctp {
        socket: ::dcsctp::new_socket("theirs", &options),
        packets: VecDeque::new(),
        closed: false,
        incoming_resets: Vec::new(),
        outgoing_resets: Vec::new(),
    })
}

fn new() -> Box<dyn Foreign> {
    with(|_| {})
}

impl Dcsctp {
    fn drain(&mut self) {
        let ids = |list: Vec<StreamId>| list.into_iter().map(|id| id.0);
        while let Some(event) = self.socket.poll_event() {
            match event {
                SocketEvent::SendPacket(packet) => self.packets.push_back(packet),
                SocketEvent::OnClosed() | SocketEvent::OnAborted(..) => self.closed = true,
                SocketEvent::OnIncomingStreamReset(list) => self.incoming_resets.extend(ids(list)),
                SocketEvent::OnStreamsResetPerformed(list) => self.outgoing_resets.extend(ids(list)),
                _ => {}
            }
        }
    }
}

impl Foreign for Dcsctp {
    fn name(&self) -> &'static str {
        "dcsctp"
    }

    fn connect(&mut self) {
        self.socket.connect();
    }

    fn handle(&mut self, packet: &[u8]) {
        self.socket.handle_input(packet);
    }

    fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.drain();
        self.packets.pop_front()
    }

    fn advance(&mut self, now: Duration) {
        self.socket.advance_time(SocketTime::zero() + now);
    }

    fn timeout(&self) -> Option<Duration> {
        let due = self.socket.poll_timeout();
        (due < SocketTime::infinite_future()).then(|| due - SocketTime::zero())
    }

    fn is_connected(&self) -> bool {
        self.socket.state() == SocketState::Connected
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    fn send(&mut self, stream: u16, payload: &[u8], reliability: Reliability) -> bool {
        let options = SendOptions {
            lifetime: match reliability {
                Reliability::Timed(lifetime) => Some(lifetime),
                _ => None,
            },
            max_retransmissions: match reliability {
                Reliability::Retransmissions(limit) => Some(limit),
                _ => None,
            },
            ..SendOptions::default()
        };
        let message = Message::new(StreamId(stream), PpId(51), payload.to_vec());
        self.socket.send(message, &options).is_ok()
    }

    fn receive(&mut self) -> Option<(u16, Vec<u8>)> {
        let message = self.socket.get_next_message()?;
        Some((message.stream_id.0, message.payload))
    }

    fn shut_down(&mut self) {
        self.socket.shutdown();
    }

    fn abort(&mut self) {
        self.socket.close();
    }

    fn reset_streams(&mut self, streams: &[u16]) {
        let streams: Vec<StreamId> = streams.iter().map(|&id| StreamId(id)).collect();
        self.socket.reset_streams(&streams).expect("connected");
    }

    fn resets(&self) -> (Vec<u16>, Vec<u16>) {
        (self.incoming_resets.clone(), self.outgoing_resets.clone())
    }
}

#[test]
fn dcsctp_set_up_from_either_side() {
    set_up(new);
}

#[test]
fn dcsctp_bulk_both_ways_and_a_graceful_end_from_either_side() {
    bulk(new, &good(), 1000, secs(120), |_| true);
}

#[test]
fn dcsctp_with_20_percent_loss_in_both_directions_everything_arrives() {
    bulk(new, &bad(), 150, secs(2000), |_| true);
}

#[test]
fn dcsctp_an_abort_from_either_side() {
    abort(new, Side::Ours);
    abort(new, Side::Theirs);
}

#[test]
fn dcsctp_zero_checksum() {
    let mut config = AssociationConfig::default();
    config.set_zero_checksum(Some(ErrorDetectionMethod::DTLS));
    let foreign = with(|options| options.zero_checksum_alternate_error_detection_method = DTLS);
    let mut game = Match::with(foreign, &good(), 1, config);
    game.connect(Side::Ours);
    assert!(game.status().unwrap().zero_checksum);
    let mut traffic = [Traffic::new(50, &[1000]), Traffic::new(50, &[1000])];
    game.must("all messages arrive", secs(60), |game| {
        traffic[0].pump(game, Side::Ours);
        traffic[1].pump(game, Side::Theirs);
        traffic.iter().all(Traffic::is_complete)
    });
}

#[test]
fn dcsctp_partial_reliability_both_ways() {
    partial_reliability(new, Reliability::Retransmissions(0));
    partial_reliability(new, Reliability::Timed(ms(2000)));
}

#[test]
fn dcsctp_stream_resets_from_either_side() {
    for link in [good(), bad()] {
        let mut game = Match::new(new(), &link, 5);
        game.connect(Side::Theirs);
        for round in 1..4 {
            let mut traffic = [Traffic::new(20, &[100, 3000]), Traffic::new(20, &[100, 3000])];
            game.must("all messages arrive", secs(600), |game| {
                traffic[0].pump(game, Side::Ours);
                traffic[1].pump(game, Side::Theirs);
                traffic.iter().all(Traffic::is_complete)
            });
            game.reset_streams(&[0, 2]);
            game.foreign.reset_streams(&[1, 3]);
            game.must("both resets are done", secs(600), |game| {
                let done = |direction: StreamDirection| {
                    let is = |event: &&Event| {
                        matches!(event, Event::StreamReset { direction: of, outcome: ReconfigOutcome::Performed, .. }
                            if *of == direction)
                    };
                    game.log.iter().filter(is).count() == round
                };
                let (incoming, outgoing) = game.foreign.resets();
                done(StreamDirection::Outgoing)
                    && done(StreamDirection::Incoming)
                    && (incoming.len(), outgoing.len()) == (2 * round, 2 * round)
            });
        }
    }
}

#[test]
fn dcsctp_message_interleaving_both_ways_with_stream_resets() {
    for link in [good(), bad()] {
        let mut config = AssociationConfig::default();
        config.interleaving_mut().set_offered(true);
        config.reconfig_mut().set_accepted(sctp::config::ReconfigRequests::ALL);
        let mut game = Match::with(
            with(|options| options.enable_message_interleaving = true),
            &link,
            7,
            config,
        );
        game.connect(Side::Ours);
        assert!(game.status().unwrap().interleaving);
        for round in 1..4 {
            let mut traffic = [Traffic::new(60, &[20, 9000, 1000]), Traffic::new(60, &[300, 6000])];
            game.must("all messages arrive", secs(1000), |game| {
                traffic[0].pump(game, Side::Ours);
                traffic[1].pump(game, Side::Theirs);
                traffic.iter().all(Traffic::is_complete)
            });
            game.reset_streams(&[0, 1]);
            game.foreign.reset_streams(&[1, 3]);
            game.must("both resets are done", secs(600), |game| {
                let (incoming, outgoing) = game.foreign.resets();
                (incoming.len(), outgoing.len()) == (2 * round, 2 * round)
            });
        }
    }
}
