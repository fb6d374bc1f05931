//! Over an association of the crate `dcsctp`, which is an engine: the sockets under it are as plain as they can be.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use ::dcsctp::api::{
    DcSctpSocket, Message, Options, PpId, SendOptions, SocketEvent, SocketState, SocketTime, StreamId,
};

use super::udp::connected;
use super::{Cores, Meter, Outcome, SIZE, ends};

/// How long an end sleeps at most before it looks at its timers: less than their resolution matters to anybody here.
const LOOK: Duration = Duration::from_millis(20);

struct End {
    engine: Box<dyn DcSctpSocket>,
    socket: UdpSocket,
    started: Instant,
    buf: Vec<u8>,
}

impl End {
    fn new(name: &str, socket: UdpSocket) -> Self {
        socket.set_read_timeout(Some(LOOK)).expect("more than no time");
        Self {
            engine: ::dcsctp::new_socket(name, &Options::default()),
            socket,
            started: Instant::now(),
            buf: vec![0; 2048],
        }
    }

    /// Sends what the engine has to send.
    fn flush(&mut self) {
        while let Some(event) = self.engine.poll_event() {
            if let SocketEvent::SendPacket(packet) = event {
                // What the other end does not take any more is lost, as in a network.
                let _ = self.socket.send(&packet);
            }
        }
    }

    /// Waits for a datagram, or a while.
    fn turn(&mut self) {
        let received = match self.socket.recv(&mut self.buf) {
            Ok(len) => Some(len),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => None,
            Err(error) => panic!("{error}"),
        };
        self.engine.advance_time(SocketTime::zero() + self.started.elapsed());
        if let Some(len) = received {
            self.engine.handle_input(&self.buf[..len]);
        }
        self.flush();
    }

    fn send(&mut self, payload: Vec<u8>) {
        self.engine.advance_time(SocketTime::zero() + self.started.elapsed());
        let message = Message::new(StreamId(0), PpId(0), payload);
        self.engine
            .send(message, &SendOptions::default())
            .expect("room for a message");
        self.flush();
    }

    /// The next message; `None` once the association has ended.
    fn receive(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(message) = self.engine.get_next_message() {
                return Some(message.payload);
            }
            if self.engine.state() == SocketState::Closed {
                return None;
            }
            self.turn();
        }
    }

    /// Takes turns until the association is up.
    fn open(&mut self) {
        while self.engine.state() != SocketState::Connected {
            self.turn();
        }
    }
}

/// Both ends block.
pub(crate) fn blocking(cores: Cores) -> Outcome {
    let [server, client] = connected();
    ends(
        cores,
        |told| {
            told.send(()).expect("the client waits for it");
            let mut end = End::new("server", server);
            end.open();
            while let Some(request) = end.receive() {
                end.send(request);
            }
        },
        |()| {
            let mut end = End::new("client", client);
            end.engine.connect();
            end.flush();
            end.open();
            let mut meter = Meter::new();
            loop {
                let start = Instant::now();
                end.send(vec![0x5a; SIZE]);
                let response = end.receive().expect("a response");
                assert_eq!(response.len(), SIZE);
                if meter.count(start) {
                    break;
                }
            }
            end.engine.close();
            end.flush();
            meter.outcome()
        },
    )
}
