//! The crate `dcsctp`.

use std::time::Duration;

use ::dcsctp::api::{
    DcSctpSocket, Message, Options, PpId, SendOptions, SocketEvent, SocketState, SocketTime, StreamId,
};

use crate::transfer::{MESSAGE_SIZE, PACKET_SIZE, Pair, number};

pub(crate) struct Dcsctp {
    sender: Box<dyn DcSctpSocket>,
    receiver: Box<dyn DcSctpSocket>,
}

/// Hands all packets of `from` to `to`.
fn deliver(from: &mut dyn DcSctpSocket, to: &mut dyn DcSctpSocket) -> bool {
    let mut moved = false;
    while let Some(event) = from.poll_event() {
        match event {
            SocketEvent::SendPacket(packet) => {
                moved = true;
                to.handle_input(&packet);
            }
            SocketEvent::OnAborted(kind, text) => panic!("the association ended: {kind:?} {text}"),
            _ => {}
        }
    }
    moved
}

impl Pair for Dcsctp {
    fn connect() -> Self {
        let options = Options {
            mtu: PACKET_SIZE,
            ..Options::default()
        };
        let mut pair = Self {
            sender: ::dcsctp::new_socket("sender", &options),
            receiver: ::dcsctp::new_socket("receiver", &options),
        };
        pair.sender.connect();
        while pair.exchange() {}
        assert_eq!(pair.sender.state(), SocketState::Connected);
        assert_eq!(pair.receiver.state(), SocketState::Connected);
        pair
    }

    fn send(&mut self, message: [u8; MESSAGE_SIZE]) {
        let message = Message::new(StreamId(0), PpId(0), message.to_vec());
        self.sender
            .send(message, &SendOptions::default())
            .expect("room for what is in flight");
    }

    fn exchange(&mut self) -> bool {
        let there = deliver(&mut *self.sender, &mut *self.receiver);
        let back = deliver(&mut *self.receiver, &mut *self.sender);
        there || back
    }

    fn receive(&mut self) -> Option<(usize, u64)> {
        let message = self.receiver.get_next_message()?;
        Some((message.payload.len(), number(&message.payload)))
    }

    fn advance(&mut self, now: Duration) {
        let now = SocketTime::zero() + now;
        self.sender.advance_time(now);
        self.receiver.advance_time(now);
    }

    fn timeout(&self) -> Option<Duration> {
        let due = self.sender.poll_timeout().min(self.receiver.poll_timeout());
        (due < SocketTime::infinite_future()).then(|| due - SocketTime::zero())
    }
}
