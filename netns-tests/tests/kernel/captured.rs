//! What Wireshark finds in sessions between the engine and the kernel.

use netns_tests::capture::Capture;
use sctp::config::AssociationConfig;

use crate::common::{Carrier, Pair, UDP_PORT};

/// Types of chunks, by their numbers.
const DATA: &str = "0";
const SACK: &str = "3";
const HEARTBEAT_ACK: &str = "5";

#[test]
fn wireshark_finds_nothing_wrong_with_sessions() {
    let Some(mut pair) = Pair::new(Carrier::Udp, 1) else {
        return;
    };
    for carrier in [Carrier::Udp, Carrier::Ip] {
        if carrier == Carrier::Ip {
            drop(pair);
            let Some(next) = Pair::new(carrier, 1) else { return };
            pair = next;
        }
        let file = std::env::temp_dir().join(format!("sctp-kernel-{}.pcapng", std::process::id()));
        let Some(capture) = Capture::start("tap1", UDP_PORT, &file) else {
            return;
        };
        for engine_connects in [true, false] {
            let config = AssociationConfig::default();
            let assoc = if engine_connects {
                pair.engine_connects(&config)
            } else {
                pair.kernel_connects(&config)
            };
            pair.begin("expect 20 3000");
            pair.send_all(assoc, 20, 3000, 1);
            pair.end("expect");
            pair.begin("send 20 3000");
            pair.receive_all(assoc, 20, 3000, 1);
            pair.end("send");
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
        let fields = [
            "sctp.checksum.status",
            "_ws.malformed",
            "_ws.expert.message",
            "sctp.chunk_type",
            "frame.number",
        ];
        let packets = decoder.packets("sctp", &fields);
        let _ = std::fs::remove_file(&file);
        let packets: Vec<Vec<&str>> = packets.iter().map(|packet| packet.split('\t').collect()).collect();
        assert!(packets.len() > 100, "{}", packets.len());
        let wrong: Vec<_> = packets
            .iter()
            .filter(|packet| packet[0] != "1" || !packet[1].is_empty() || !packet[2].is_empty())
            .collect();
        assert!(wrong.is_empty(), "{carrier:?}: {wrong:#?}");
        let has = |kind: &str| packets.iter().any(|packet| packet[3].split(',').any(|k| k == kind));
        for kind in [DATA, SACK, HEARTBEAT_ACK] {
            assert!(has(kind), "{carrier:?}: no chunk of type {kind}");
        }
    }
}
