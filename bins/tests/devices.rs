//! The same programs on each device, chosen by one option: in UDP, on raw sockets, behind TUN interfaces.
//!
//! Captures are left in the build's folder, under `tmp/devices`.

use std::fs;
use std::path::Path;

use netns_tests::capture::{Capture, Decoder};
use netns_tests::namespace::Namespace;
use netns_tests::process::{Program, Source};
use netns_tests::require;
use netns_tests::rootless::as_root;

/// A namespace that this thread is in, and that forwards packets between its interfaces.
fn router() -> Option<Namespace> {
    if !Path::new("/dev/net/tun").exists() {
        require::skip("there is no /dev/net/tun");
        return None;
    }
    let namespace = Namespace::new()?;
    namespace.enter();
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    Some(namespace)
}

/// Captures what passes an interface of this thread's namespace.
fn capture(interface: &str, name: &str) -> Option<Capture> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("devices");
    fs::create_dir_all(&folder).unwrap();
    Capture::start(interface, 9899, &folder.join(format!("{name}.pcapng")))
}

/// Whether the packets are in order, directly on IP or in UDP, and carry pings and pongs.
fn check(decoder: &Decoder, protocol: &str) {
    let fields = [
        "sctp.checksum.status",
        "_ws.malformed",
        "ip.proto",
        "ipv6.nxt",
        "pingpongprotocol.message_type",
    ];
    let packets = decoder.packets("sctp && !icmp", &fields);
    let packets: Vec<Vec<&str>> = packets.iter().map(|packet| packet.split('\t').collect()).collect();
    for packet in &packets {
        assert_eq!(packet[..2], ["1", ""], "{packet:?}");
        assert_eq!(format!("{}{}", packet[2], packet[3]), protocol, "{packet:?}");
    }
    for kind in ["1", "2"] {
        let is_there = |packet: &Vec<&str>| packet[4].split(',').any(|found| found == kind);
        assert!(packets.iter().any(is_there), "no messages of type {kind}");
    }
}

/// What a part of a pool adds to its options.
type Place = fn(number: u8) -> Vec<String>;

/// All share the loopback addresses of the host, and its SCTP ports.
fn on_raw(_number: u8) -> Vec<String> {
    vec!["--device=raw".to_owned()]
}

/// Each has an interface, and a network behind it.
fn behind_tun(number: u8) -> Vec<String> {
    vec![format!("--device=tun:t{number},10.9.{number}.1/24,10.9.{number}.2")]
}

fn start(program: &str, place: Place, number: u8, args: &[&str]) -> Program {
    let args = args.iter().map(|arg| (*arg).to_owned());
    Program::start(program, place(number).into_iter().chain(args))
}

/// A registrar, servers and users; the server that serves first is killed.
fn a_pool_survives(place: Place, registrar: &str, interface: &str, name: &str) {
    let Some(capture) = capture(interface, name) else {
        return;
    };
    let off = ["--asapannounce", "off"];
    let main = start(env!("CARGO_BIN_EXE_rspregistrar"), place, 1, &off);
    main.wait_for("registrar 0x");
    let to_registrar = ["--registrar", registrar, off[0], off[1]];
    let server = |number: u8, kind: &str| {
        let identifier = number.to_string();
        let args = [&to_registrar[..], &["--identifier", &identifier, kind]].concat();
        let server = start(env!("CARGO_BIN_EXE_rspserver"), place, number, &args);
        server.wait_for("is registered");
        server
    };
    let mut servers = [2, 3].map(|number| server(number, "--pingpong"));
    let _echo = server(4, "--echo");

    let args = [&to_registrar[..], &["--interval", "20", "--replytimeout", "1000"]].concat();
    let mut client = start(env!("CARGO_BIN_EXE_pingpongclient"), place, 5, &args);
    let (line, seen) = client.wait_for_from(0, |line| line.contains("serves"));
    let first = usize::from(!line.contains("0x00000002"));
    client.wait_for("pong 20,");

    let mut terminal = start(env!("CARGO_BIN_EXE_rspterminal"), place, 6, &to_registrar);
    terminal.write_line("hello");
    terminal.wait_for("hello");
    terminal.close_input();
    assert!(terminal.wait().success(), "{}", terminal.text());

    servers[first].kill();
    let (line, seen) = client.wait_for_from(seen, |line| line.contains("serves now"));
    assert!(line.contains(&format!("0x0000000{}", 3 - first)), "{line}");
    let (line, seen) = client.wait_for_from(seen, |line| line.starts_with("failover completed"));
    require::say(&format!("{name}: {line}"));
    client.wait_for_from(seen, |line| line.starts_with("pong"));
    client.interrupt();
    assert!(client.wait().success(), "{}", client.text());
    let lost = client.wait_for("replies lost");
    assert_eq!(lost.split_whitespace().last(), Some("0"), "{}", client.text());
    client.wait_for("none left out");

    check(&capture.stop(), "132");
}

#[test]
fn a_pool_of_processes_on_raw_sockets_of_one_host_survives() {
    as_root(|| {
        let Some(namespace) = Namespace::new() else { return };
        namespace.enter();
        a_pool_survives(on_raw, "127.0.0.1", "lo", "pool-raw");
    });
}

#[test]
fn a_pool_behind_tun_interfaces_survives() {
    as_root(|| {
        let Some(_namespace) = router() else { return };
        a_pool_survives(behind_tun, "10.9.1.2", "any", "pool-tun");
    });
}

/// The demonstration, which kills the servers of a pool, on a device.
fn demonstrate(device: &str) {
    let args = ["--seconds", "5", "--kill-every", "2", "--json", "--device", device];
    let mut demo = Program::start(env!("CARGO_BIN_EXE_rspdemo"), args);
    assert!(demo.wait().success(), "{device}: {}", demo.text());
    let report: serde_json::Value = serde_json::from_str(&demo.lines(Source::Stdout).join("")).unwrap();
    assert_eq!(report["lost"], 0, "{device}: {report}");
    assert_eq!(report["requests"], report["replies"], "{device}: {report}");
    assert!(report["failovers"].as_u64().unwrap() >= 1, "{device}: {report}");
}

#[test]
fn the_demonstration_loses_nothing_in_udp_on_raw_sockets_and_behind_tun_interfaces() {
    as_root(|| {
        let Some(_namespace) = router() else { return };
        for device in ["udp", "raw", "tun:demo"] {
            demonstrate(device);
        }
    });
}

#[test]
fn the_demonstration_says_what_a_device_lacks() {
    as_root(|| {
        let Some(namespace) = Namespace::new() else { return };
        namespace.enter();
        for (device, why) in [
            ("memory", "is for one process"),
            ("tun:demo", "net.ipv4.ip_forward"),
            ("tun:demo,10.9.0.2", "without addresses"),
        ] {
            let mut demo = Program::start(env!("CARGO_BIN_EXE_rspdemo"), ["--device", device]);
            assert_eq!(demo.wait().code(), Some(1), "{device}");
            assert!(demo.text().contains(why), "{device}: {}", demo.text());
        }
    });
}
