//! The crate `sctp-proto`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier, ServerConfig, Transmit,
};
use bytes::Bytes;

use crate::transfer::{MESSAGE_SIZE, PACKET_SIZE, Pair, number};

/// The common header and the header of a DATA chunk (RFC 9260 §3.1, §3.3.1).
const HEADERS: u32 = 12 + 16;
const STREAM: u16 = 0;

struct End {
    address: SocketAddr,
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    connected: bool,
}

impl End {
    fn new(last: u8, server: Option<Arc<ServerConfig>>) -> Self {
        let mut config = EndpointConfig::new();
        config.max_payload_size(u32::try_from(PACKET_SIZE).expect("small") - HEADERS);
        Self {
            address: (Ipv4Addr::new(10, 0, 0, last), 5000).into(),
            endpoint: Endpoint::new(Arc::new(config), server),
            association: None,
            connected: false,
        }
    }

    /// Hands all packets of this end to `other`.
    fn deliver(&mut self, now: Instant, other: &mut Self) -> bool {
        let mut moved = false;
        while let Some(transmit) = self.poll_transmit(now) {
            moved = true;
            let Payload::RawEncode(packets) = transmit.payload else {
                panic!("packets go out encoded")
            };
            for packet in packets {
                other.handle(now, self.address, packet);
            }
        }
        moved
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let own = self
            .association
            .as_mut()
            .and_then(|(_, association)| association.poll_transmit(now));
        own.or_else(|| self.endpoint.poll_transmit())
    }

    fn handle(&mut self, now: Instant, from: SocketAddr, packet: Bytes) {
        match self.endpoint.handle(now, from, None, None, packet) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.association = Some((handle, association));
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => self.association().handle_event(event),
            None => {}
        }
        self.drain_events();
    }

    fn drain_events(&mut self) {
        let Some((handle, association)) = &mut self.association else {
            return;
        };
        while let Some(event) = association.poll_endpoint_event() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                association.handle_event(event);
            }
        }
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::AssociationLost { reason, .. } => panic!("the association ended: {reason}"),
                _ => {}
            }
        }
    }

    fn association(&mut self) -> &mut Association {
        &mut self.association.as_mut().expect("connected").1
    }
}

pub(crate) struct SctpProto {
    /// The crate wants the system's kind of time: this is its zero, never read again.
    zero: Instant,
    now: Instant,
    sender: End,
    receiver: End,
}

impl Pair for SctpProto {
    fn connect() -> Self {
        let zero = Instant::now();
        let mut sender = End::new(1, None);
        let receiver = End::new(2, Some(Arc::new(ServerConfig::new())));
        let association = sender
            .endpoint
            .connect(ClientConfig::new(), receiver.address)
            .expect("a usable peer");
        sender.association = Some(association);
        let mut pair = Self {
            zero,
            now: zero,
            sender,
            receiver,
        };
        while pair.exchange() {}
        assert!(pair.sender.connected && pair.receiver.connected, "connected");
        let association = pair.sender.association();
        association
            .open_stream(STREAM, PayloadProtocolIdentifier::Binary)
            .expect("a new stream");
        pair
    }

    fn send(&mut self, message: [u8; MESSAGE_SIZE]) {
        let mut stream = self.sender.association().stream(STREAM).expect("opened");
        stream.write(&message).expect("room for what is in flight");
    }

    fn exchange(&mut self) -> bool {
        self.sender.drain_events();
        let there = self.sender.deliver(self.now, &mut self.receiver);
        let back = self.receiver.deliver(self.now, &mut self.sender);
        there || back
    }

    fn receive(&mut self) -> Option<(usize, u64)> {
        // The receiver knows of the stream once a message arrived on it.
        let mut stream = self.receiver.association().stream(STREAM).ok()?;
        let mut message = stream.read().expect("connected")?;
        let length = message.len();
        let first = message.next(length).expect("a message is not empty");
        Some((length, number(&first.bytes)))
    }

    fn advance(&mut self, now: Duration) {
        self.now = self.zero + now;
        for end in [&mut self.sender, &mut self.receiver] {
            let now = self.now;
            let association = end.association();
            if association.poll_timeout().is_some_and(|due| due <= now) {
                association.handle_timeout(now);
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let due = |end: &End| {
            end.association
                .as_ref()
                .and_then(|(_, association)| association.poll_timeout())
        };
        let earliest = due(&self.sender).into_iter().chain(due(&self.receiver)).min()?;
        Some(earliest.saturating_duration_since(self.zero))
    }
}
