//! Stacks that share out verification tags (RFC 9260 §5.3.1).

use std::net::IpAddr;

use bytes::Bytes;
use sctp::config::{EndpointConfig, StackConfig, TagShare};
use sctp::{ChecksumState, ConnectOptions, EcnCodepoint, Instant, RxMeta, Stack};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn stack(address: &str, share: Option<TagShare>, seed: u8) -> Stack {
    let mut config = StackConfig::new(vec![ip(address)], None);
    config.set_tag_share(share);
    Stack::new(config, [seed; 32])
}

/// The next packet of a stack.
fn packet(stack: &mut Stack) -> Vec<u8> {
    let mut buf = Vec::new();
    stack.poll_transmit(Instant::ZERO, 1, &mut buf).unwrap();
    buf
}

/// The initiate tag of an INIT or an INIT ACK at the beginning of a packet.
fn initiate_tag(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[16..20].try_into().unwrap())
}

#[test]
fn rfc9260_5_3_1_both_sides_draw_tags_of_their_share() {
    for index in 0..3 {
        let share = TagShare::new(0xDEAD_BEEF, 3, index);
        for seed in 0..20 {
            let mut opener = stack("10.0.0.1", Some(share), seed);
            let mut listener = stack("10.0.0.2", Some(share), seed + 100);
            let from = opener.bind(EndpointConfig::default()).unwrap();
            let at = EndpointConfig {
                port: Some(7),
                ..EndpointConfig::default()
            };
            let at = listener.bind(at).unwrap();
            listener.listen(at, 1);
            opener
                .connect(Instant::ZERO, from, &[ip("10.0.0.2")], 7, ConnectOptions::default())
                .unwrap();
            let init = packet(&mut opener);
            assert!(share.has(initiate_tag(&init)));
            let meta = RxMeta {
                src: ip("10.0.0.1"),
                dst: ip("10.0.0.2"),
                encap: None,
                ecn: EcnCodepoint::NotEct,
                checksum: ChecksumState::Unverified,
                buffer_len: init.len(),
            };
            listener.handle_datagram(Instant::ZERO, &meta, Bytes::from(init));
            assert!(share.has(initiate_tag(&packet(&mut listener))));
        }
    }
}
