//! What Wireshark finds in sessions between the engine and the kernel.

use std::time::Duration;

use netns_tests::capture::{Capture, Decoder};
use netns_tests::content;
use netns_tests::guest::HOST;
use sctp::config::{AssociationConfig, ReconfigRequests};
use sctp::wire::ChunkType;
use sctp::{Event, OutMessage, Reliability, StreamDirections};

use crate::common::{Carrier, Pair, UDP_PORT, hasty};

fn capture() -> Option<(Capture, std::path::PathBuf)> {
    let file = std::env::temp_dir().join(format!("sctp-kernel-{}.pcapng", std::process::id()));
    Some((Capture::start("tap1", UDP_PORT, &file)?, file))
}

/// Every packet is whole and has the right checksum, Wireshark has nothing to remark, and these chunks are among them.
fn assert_right(decoder: &Decoder, chunks: &[ChunkType]) {
    let fields = [
        "sctp.checksum.status",
        "_ws.malformed",
        "_ws.expert.message",
        "sctp.chunk_type",
        "frame.number",
    ];
    let packets = decoder.packets("sctp", &fields);
    let packets: Vec<Vec<&str>> = packets.iter().map(|packet| packet.split('\t').collect()).collect();
    assert!(packets.len() > 50, "{}", packets.len());
    let wrong: Vec<_> = packets
        .iter()
        .filter(|packet| packet[0] != "1" || !packet[1].is_empty() || !packet[2].is_empty())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for chunk in chunks {
        let number = chunk.0.to_string();
        let found = packets
            .iter()
            .any(|packet| packet[3].split(',').any(|kind| kind == number));
        assert!(found, "no {chunk}");
    }
}

fn sessions(carrier: Carrier) {
    let Some(mut pair) = Pair::new(carrier, 1) else { return };
    let Some((capture, file)) = capture() else { return };
    for engine_connects in [true, false] {
        let config = AssociationConfig::default();
        let assoc = if engine_connects {
            pair.engine_connects(&config)
        } else {
            pair.kernel_connects(&config)
        };
        pair.talk(assoc);
        let address = pair.host.status(assoc).paths[0].address;
        pair.host
            .act(|stack, now| stack.request_heartbeat(now, assoc, address))
            .unwrap();
        pair.begin("collect");
        pair.host.shutdown(assoc);
        pair.end("collect");
        pair.order("reset");
    }
    let decoder = capture.stop();
    assert_right(
        &decoder,
        &[
            ChunkType::INIT,
            ChunkType::COOKIE_ECHO,
            ChunkType::DATA,
            ChunkType::SACK,
            ChunkType::HEARTBEAT_ACK,
            ChunkType::SHUTDOWN_COMPLETE,
        ],
    );
    let _ = std::fs::remove_file(file);
}

#[test]
fn wireshark_finds_nothing_wrong_in_udp() {
    sessions(Carrier::Udp);
}

#[test]
fn wireshark_finds_nothing_wrong_on_ip() {
    sessions(Carrier::Ip);
}

/// Everything at once: authenticated, interleaved messages, some given up, on streams and addresses that change.
#[test]
fn wireshark_finds_nothing_wrong_with_extensions() {
    let settings = ["reconf_enable", "auth_enable", "addip_enable", "intl_enable"].map(|name| (name, 1));
    let Some(mut pair) = Pair::with(Carrier::Ip, 2, &settings) else {
        return;
    };
    pair.ours = vec![HOST[0]];
    for setting in [
        "auth-chunk 0",
        "auth-chunk 64",
        "reconfig 7",
        "interleave 2",
        "idata 1",
        "streams 5 20",
    ] {
        pair.order(&format!("set {setting}"));
    }
    let rto = Duration::from_millis(300);
    let mut config = hasty(rto, rto);
    config.asconf_mut().set_offered(true);
    config.interleaving_mut().set_offered(true);
    config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    // I-DATA with it. (The kernel cannot send one without the other.)
    config.auth_mut().require(ChunkType::DATA).unwrap();
    let Some((capture, file)) = capture() else { return };
    let assoc = pair.engine_connects(&config);
    pair.talk(assoc);

    pair.host
        .act(|stack, now| stack.reset_streams(now, assoc, StreamDirections::Outgoing, &[]))
        .unwrap();
    pair.order("await STREAM_RESET");
    pair.order("add 2 0");
    pair.order("await STREAM_CHANGE");
    pair.talk(assoc);

    let other = HOST[1].parse().unwrap();
    pair.host
        .act(|stack, now| stack.add_local_address(now, assoc, other))
        .unwrap();
    pair.host.until("the kernel agrees", |host| {
        host.happened(assoc, |event| {
            matches!(event, Event::AddressChangeAnswered { refused: None, .. })
        })
    });

    pair.begin("collect");
    pair.host.lose(0, 5);
    for index in 0..50 {
        let message = OutMessage {
            reliability: Reliability::Retransmissions(0),
            ..content::message(index, 1000, 0)
        };
        pair.host.send(assoc, &message);
    }
    pair.host.shutdown(assoc);
    let decoder = capture.stop();
    assert_right(
        &decoder,
        &[
            ChunkType::AUTH,
            ChunkType::I_DATA,
            ChunkType::I_FORWARD_TSN,
            ChunkType::RE_CONFIG,
            ChunkType::ASCONF,
            ChunkType::ASCONF_ACK,
        ],
    );
    let _ = std::fs::remove_file(file);
}
