//! This engine.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use sctp::config::{EndpointConfig, StackConfig};
use sctp::serial::{Ppid, StreamId};
use sctp::{AssocId, ChecksumState, ConnectOptions, EcnCodepoint, Event, Instant, OutMessage, RxMeta, Stack};

use crate::transfer::{MESSAGE_SIZE, PACKET_SIZE, Pair, number};

const PORT: u16 = 5000;
/// Packets that one call may produce, as a device with segmentation offload would ask for.
const SEGMENTS: usize = 16;

/// An own address, a stack, and its side of the association once there is one.
struct End {
    address: IpAddr,
    stack: Stack,
    assoc: Option<AssocId>,
}

impl End {
    fn new(last: u8) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let mut config = StackConfig::new(vec![address], None);
        config.set_max_associations_per_peer(config.max_associations());
        Self {
            address,
            stack: Stack::new(config, [last; 32]),
            assoc: None,
        }
    }

    fn endpoint_config() -> EndpointConfig {
        let mut config = EndpointConfig {
            port: Some(PORT),
            ..EndpointConfig::default()
        };
        let mtu = u16::try_from(PACKET_SIZE + 20).expect("small");
        config.association.path_mut().set_mtu(mtu).expect("valid");
        config
    }

    /// Hands all packets of this end to `other`.
    fn deliver(&mut self, now: Instant, other: &mut Self) -> bool {
        let mut moved = false;
        loop {
            let mut buf = Vec::with_capacity(SEGMENTS * PACKET_SIZE);
            let Some(transmit) = self.stack.poll_transmit(now, SEGMENTS, &mut buf) else {
                return moved;
            };
            moved = true;
            let meta = RxMeta {
                src: self.address,
                dst: transmit.dst,
                encap: None,
                ecn: EcnCodepoint::NotEct,
                checksum: ChecksumState::Unverified,
                buffer_len: transmit.size,
            };
            let mut packets = Bytes::from(buf);
            while !packets.is_empty() {
                let packet = packets.split_to(transmit.segment_size.min(packets.len()));
                other.stack.handle_datagram(now, &meta, packet);
            }
            other.drain_events();
        }
    }

    fn drain_events(&mut self) {
        while let Some((_, assoc, event)) = self.stack.poll_event() {
            match event {
                Event::CommunicationUp { initiated_here, .. } => {
                    if !initiated_here {
                        self.stack.accept(assoc).expect("it just came up");
                    }
                    self.assoc = Some(assoc);
                }
                Event::ConnectFailed { reason } | Event::CommunicationLost { reason } => {
                    panic!("the association ended: {reason}")
                }
                _ => {}
            }
        }
    }
}

pub(crate) struct Engine {
    now: Instant,
    sender: End,
    receiver: End,
}

impl Pair for Engine {
    fn connect() -> Self {
        let (mut sender, mut receiver) = (End::new(1), End::new(2));
        let now = Instant::ZERO;
        let listening = receiver.stack.bind(End::endpoint_config()).expect("a free port");
        assert!(receiver.stack.listen(listening, 1));
        let endpoint = sender.stack.bind(End::endpoint_config()).expect("a free port");
        let peer = [receiver.address];
        sender
            .stack
            .connect(now, endpoint, &peer, PORT, ConnectOptions::default())
            .expect("a usable peer");
        let mut pair = Self { now, sender, receiver };
        while pair.exchange() {}
        assert!(
            pair.sender.assoc.is_some() && pair.receiver.assoc.is_some(),
            "connected"
        );
        pair
    }

    fn send(&mut self, message: [u8; MESSAGE_SIZE]) {
        let message = OutMessage::new(StreamId(0), Ppid(0), Bytes::copy_from_slice(&message));
        let assoc = self.sender.assoc.expect("connected");
        self.sender
            .stack
            .send(self.now, assoc, message)
            .expect("room for what is in flight");
    }

    fn exchange(&mut self) -> bool {
        let there = self.sender.deliver(self.now, &mut self.receiver);
        let back = self.receiver.deliver(self.now, &mut self.sender);
        there || back
    }

    fn receive(&mut self) -> Option<(usize, u64)> {
        let assoc = self.receiver.assoc.expect("connected");
        let message = self.receiver.stack.recv(self.now, assoc).expect("connected")?;
        assert!(message.end_of_message);
        Some((message.payload.len(), number(&message.payload)))
    }

    fn advance(&mut self, now: Duration) {
        self.now = Instant::ZERO + now;
        for end in [&mut self.sender, &mut self.receiver] {
            if end.stack.poll_timeout().is_some_and(|due| due <= self.now) {
                end.stack.handle_timeout(self.now);
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let due = sctp::time::earliest(self.sender.stack.poll_timeout(), self.receiver.stack.poll_timeout());
        due.map(|due| due - Instant::ZERO)
    }
}
