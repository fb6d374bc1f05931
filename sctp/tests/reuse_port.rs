//! End points that share a port (RFC 6458 §8.1.27).

use std::net::IpAddr;

use bytes::Bytes;
use sctp::config::{EndpointConfig, StackConfig};
use sctp::error::ConnectError;
use sctp::{AssocId, ChecksumState, ConnectOptions, EcnCodepoint, EndpointId, Event, Instant, RxMeta, Stack};

const PORT: u16 = 7;

/// A stack on one address, and what it said.
struct Host {
    stack: Stack,
    address: IpAddr,
    log: Vec<(EndpointId, AssocId, Event)>,
}

impl Host {
    fn new(number: u8) -> Self {
        Self::begun_anew(number, 0)
    }

    fn begun_anew(number: u8, life: u8) -> Self {
        let address = IpAddr::from([192, 0, 2, number]);
        Self {
            stack: Stack::new(StackConfig::new(vec![address], None), [number + 10 * life; 32]),
            address,
            log: Vec::new(),
        }
    }

    fn bind(&mut self) -> EndpointId {
        let config = EndpointConfig {
            port: Some(PORT),
            reuse_port: true,
            ..EndpointConfig::default()
        };
        self.stack.bind(config).unwrap()
    }

    fn connect(&mut self, now: Instant, endpoint: EndpointId, peer: IpAddr) -> Result<AssocId, ConnectError> {
        self.stack
            .connect(now, endpoint, &[peer], PORT, ConnectOptions::default())
    }

    /// The end points whose associations came up.
    fn up(&self) -> Vec<EndpointId> {
        let up = self
            .log
            .iter()
            .filter(|(_, _, event)| matches!(event, Event::CommunicationUp { .. }));
        up.map(|(endpoint, ..)| *endpoint).collect()
    }
}

/// Hands packets over until there are no more.
fn exchange(now: Instant, hosts: &mut [&mut Host]) {
    loop {
        let mut packets = Vec::new();
        for host in hosts.iter_mut() {
            let mut buffer = Vec::new();
            while let Some(transmit) = host.stack.poll_transmit(now, 1, &mut buffer) {
                let packet = Bytes::copy_from_slice(&buffer[..transmit.size]);
                packets.push((transmit.src.unwrap_or(host.address), transmit.dst, packet));
            }
            while let Some(event) = host.stack.poll_event() {
                host.log.push(event);
            }
        }
        if packets.is_empty() {
            return;
        }
        for (src, dst, packet) in packets {
            if let Some(host) = hosts.iter_mut().find(|host| host.address == dst) {
                let meta = RxMeta {
                    src,
                    dst,
                    encap: None,
                    checksum: ChecksumState::Unverified,
                    ecn: EcnCodepoint::NotEct,
                    buffer_len: packet.len(),
                };
                host.stack.handle_datagram(now, &meta, packet);
            }
        }
    }
}

#[test]
fn rfc6458_8_1_27_one_of_those_who_share_a_port_listens_and_the_others_connect() {
    let now = Instant::from_millis(1);
    let (mut a, mut b, mut c) = (Host::new(1), Host::new(2), Host::new(3));
    let (listener, client) = (a.bind(), a.bind());
    assert!(a.stack.listen(listener, 4));
    assert!(!a.stack.listen(client, 4), "one at most");
    let at_b = b.bind();
    assert!(b.stack.listen(at_b, 4));
    a.connect(now, client, b.address).unwrap();
    exchange(now, &mut [&mut a, &mut b, &mut c]);
    assert_eq!((a.up(), b.up()), (vec![client], vec![at_b]));

    // The port and the peer's make one association, whoever asks.
    assert_eq!(a.connect(now, listener, b.address), Err(ConnectError::AlreadyConnected));
    let at_c = c.bind();
    c.connect(now, at_c, a.address).unwrap();
    exchange(now, &mut [&mut a, &mut b, &mut c]);
    assert_eq!((a.up(), c.up()), (vec![client, listener], vec![at_c]));

    // The next one listens once nobody does.
    assert!(a.stack.listen(listener, 0));
    assert!(a.stack.listen(client, 4));
}

#[test]
fn rfc6458_8_1_27_rfc9260_5_2_an_init_of_a_peer_finds_its_association_before_who_listens() {
    let now = Instant::from_millis(1);
    let (mut a, mut b) = (Host::new(1), Host::new(2));
    let (listener, client) = (a.bind(), a.bind());
    assert!(a.stack.listen(listener, 4));
    let at_b = b.bind();
    // Both begin: a collision.
    a.connect(now, client, b.address).unwrap();
    b.connect(now, at_b, a.address).unwrap();
    exchange(now, &mut [&mut a, &mut b]);
    assert_eq!((a.up(), b.up()), (vec![client], vec![at_b]));

    // The peer begins anew: a restart.
    let mut b = Host::begun_anew(2, 1);
    let at_b = b.bind();
    b.connect(now, at_b, a.address).unwrap();
    exchange(now, &mut [&mut a, &mut b]);
    assert_eq!(b.up(), [at_b]);
    let restarts = a
        .log
        .iter()
        .filter(|(_, _, event)| matches!(event, Event::Restarted { .. }));
    assert_eq!(restarts.map(|(endpoint, ..)| *endpoint).collect::<Vec<_>>(), [client]);
}
