//! The same program on each device: two stacks, a server on one, a client on the other, messages there and back.
#![cfg(feature = "userland")]

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use netns_tests::namespace::Namespace;
use netns_tests::{capture, content, require};
use socket2::{Domain, Protocol, Socket, Type};
use socketapi::{
    DeviceConfig, Error, MemoryNetwork, MtuDiscovery, SctpStream, SndInfo, SocketBuilder, StackBuilder, StackHandle,
    TunConfig,
};

const ECONNREFUSED: i32 = rustix::io::Errno::CONNREFUSED.raw_os_error();
const COUNT: u32 = 100;
const SIZE: usize = 10_000;
const LIMIT: Duration = Duration::from_secs(60);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn start(device: DeviceConfig, addresses: &[&str]) -> StackHandle {
    builder(device, addresses).start_blocking().unwrap()
}

fn builder(device: DeviceConfig, addresses: &[&str]) -> StackBuilder {
    StackHandle::builder()
        .device(device)
        .addresses(addresses.iter().map(|text| ip(text)))
}

/// The program: whatever carries the packets, it is the same.
fn run(server: &StackHandle, client: &StackHandle, at: &str) {
    let at = SocketAddr::new(ip(at), 7);
    let listener = SocketBuilder::new().stack(server).listen_blocking(at, 5).unwrap();
    let echo = thread::spawn(move || {
        let (stream, _) = listener.accept_blocking().unwrap();
        while let Some(message) = stream.recv_blocking().unwrap() {
            stream.send_blocking(message.payload, &message.info.reply()).unwrap();
        }
        stream.shutdown().unwrap();
    });
    let stream = SocketBuilder::new().stack(client).connect_blocking(at).unwrap();
    let sender = stream.clone();
    let sending = thread::spawn(move || {
        for index in 0..COUNT {
            let message = content::message(index, SIZE, 0);
            sender.send_blocking(message.payload, &SndInfo::new()).unwrap();
        }
    });
    for index in 0..COUNT {
        let message = stream.recv_blocking().unwrap().unwrap();
        assert_eq!(message.payload.len(), SIZE);
        assert_eq!(content::index(&message.payload), index);
    }
    sending.join().unwrap();
    stream.shutdown().unwrap();
    assert_eq!(stream.recv_blocking().unwrap(), None);
    echo.join().unwrap();
    client.shutdown_graceful_blocking(LIMIT).unwrap();
}

/// Runs a tool in this thread's namespace.
fn tool(name: &str, args: &str) -> Option<()> {
    let output = Command::new(require::tool(name)?)
        .args(args.split(' '))
        .output()
        .unwrap();
    assert!(output.status.success(), "{name} {args}: {output:?}");
    Some(())
}

/// A namespace that this thread is in, and routes.
fn router() -> Option<Namespace> {
    let namespace = Namespace::new()?;
    namespace.enter();
    for family in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        std::fs::write(format!("/proc/sys/net/{family}"), "1").unwrap();
    }
    Some(namespace)
}

/// Two namespaces with a cable between them: 10.8.0.1 and fd08::1 on this side, .2 and ::2 on the other. This thread is
/// in the first.
fn cabled() -> Option<(Namespace, Namespace)> {
    let (here, there) = (Namespace::new()?, Namespace::new()?);
    here.enter();
    tool(
        "ip",
        &format!("link add c type veth peer name c netns {}", there.process()),
    )?;
    for (namespace, last) in [(&there, 2), (&here, 1)] {
        namespace.enter();
        tool("ip", &format!("address add 10.8.0.{last}/24 dev c"))?;
        tool("ip", &format!("address add fd08::{last}/64 dev c nodad"))?;
        tool("ip", "link set c up")?;
    }
    Some((here, there))
}

#[test]
fn on_udp_sockets() {
    let server = builder(DeviceConfig::Udp, &["127.0.0.1"])
        .udp_port(0)
        .start_blocking()
        .unwrap();
    let client = builder(DeviceConfig::Udp, &["127.0.0.1"]).udp_port(0);
    let client = client.peer_udp_port(server.udp_port()).start_blocking().unwrap();
    run(&server, &client, "127.0.0.1");
}

#[test]
fn in_memory_on_ip_and_in_udp() {
    for port in [None, Some(0), Some(9899)] {
        for (one, other) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let network = MemoryNetwork::new();
            let device = DeviceConfig::Memory(network);
            let (mut server, mut client) = (builder(device.clone(), &[one]), builder(device, &[other]));
            if let Some(port) = port {
                (server, client) = (server.udp_port(port), client.udp_port(port));
            }
            let server = server.start_blocking().unwrap();
            let client = client.peer_udp_port(server.udp_port()).start_blocking().unwrap();
            assert_eq!(server.udp_port() == 0, port.is_none());
            run(&server, &client, one);
        }
    }
}

#[test]
fn in_memory_over_a_bad_network() {
    let network = MemoryNetwork::new();
    network.set_loss(0.05, 1);
    network.set_delay(Duration::from_millis(2));
    network.set_mtu(1500);
    let device = DeviceConfig::Memory(network);
    let (server, client) = (start(device.clone(), &["10.0.0.1"]), start(device, &["10.0.0.2"]));
    run(&server, &client, "10.0.0.1");
    assert!(client.device_stats().send_calls > 0);
}

#[test]
fn in_memory_a_place_is_had_once_and_what_is_not_there_is_told() {
    let network = MemoryNetwork::new();
    let device = DeviceConfig::Memory(network.clone());
    let first = start(device.clone(), &[]);
    assert_eq!(first.addresses(), [ip("127.0.0.1"), ip("::1")]);
    let second = builder(device.clone(), &["127.0.0.1"]).start_blocking();
    assert_eq!(second.map(drop), Err(Error::AddressNotAvailable));
    let at_port = builder(device.clone(), &["127.0.0.1"]).udp_port(9899);
    let _third = at_port.clone().start_blocking().unwrap();
    let taken = Error::UdpPortInUse {
        address: ip("127.0.0.1"),
        port: 9899,
    };
    assert_eq!(at_port.start_blocking().map(drop), Err(taken));
    // Who is there speaks SCTP in UDP only.
    let _fourth = builder(device, &["10.0.0.9"]).udp_port(9899).start_blocking().unwrap();
    let connected = SocketBuilder::new().stack(&first).connect_blocking("10.0.0.9:7");
    let refused = connected.map(drop).unwrap_err();
    assert_eq!(refused.errno(), ECONNREFUSED, "{refused:?}");
}

#[test]
fn on_raw_sockets_between_two_hosts() {
    let Some((here, there)) = cabled() else { return };
    for at in ["10.8.0.2", "fd08::2"] {
        // The other one is on all addresses, so that the source of each packet has to be named.
        there.enter();
        let server = start(DeviceConfig::Raw, &[]);
        here.enter();
        let own = if at.contains(':') { "fd08::1" } else { "10.8.0.1" };
        let client = start(DeviceConfig::Raw, &[own]);
        assert_eq!(client.udp_port(), 0);
        run(&server, &client, at);
        server.shutdown_graceful_blocking(LIMIT).unwrap();
    }
}

#[test]
fn rfc9260_8_4_raw_sockets_of_one_host_leave_each_other_alone() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    // Each of them would see all packets, on the loopback interface also its own.
    let bystander = start(DeviceConfig::Raw, &[]);
    let (server, client) = (start(DeviceConfig::Raw, &[]), start(DeviceConfig::Raw, &[]));
    run(&server, &client, "127.0.0.1");
    assert_eq!(bystander.device_stats().receive_calls, 0);
}

#[test]
fn rfc9260_10_on_raw_sockets_a_host_without_sctp_is_noticed_at_once() {
    let Some((here, _there)) = cabled() else { return };
    here.enter();
    for at in ["10.8.0.2", "fd08::2"] {
        let client = start(DeviceConfig::Raw, &[]);
        let connected = SocketBuilder::new()
            .stack(&client)
            .connect_blocking(SocketAddr::new(ip(at), 7));
        let refused = connected.map(drop).unwrap_err();
        assert_eq!(refused.errno(), ECONNREFUSED, "{refused:?}");
    }
}

/// A TUN interface: the host is 10.9.`net`.1 and fd09:`net`::1, the stack .2 and ::2.
fn tun(net: u8) -> DeviceConfig {
    format!("tun:t{net},10.9.{net}.1/24,fd09:{net}::1/64,10.9.{net}.2,fd09:{net}::2")
        .parse()
        .unwrap()
}

#[test]
fn on_tun_interfaces_routed_by_the_kernel() {
    let Some(_namespace) = router() else { return };
    for udp_port in [None, Some(9899)] {
        for at in ["10.9.1.2", "fd09:1::2"] {
            let mut stacks = [tun(1), tun(2)].map(|device| {
                let mut builder = StackHandle::builder().device(device);
                if let Some(port) = udp_port {
                    builder = builder.udp_port(port);
                }
                builder.start_blocking().unwrap()
            });
            let [server, client] = &mut stacks;
            assert_eq!(server.addresses(), [ip("10.9.1.2"), ip("fd09:1::2")]);
            run(server, client, at);
            server.shutdown_graceful_blocking(LIMIT).unwrap();
            // The interfaces have to be gone before they can be had again.
            drop(stacks);
            gone(&["t1", "t2"]);
        }
    }
}

/// Waits until the namespace has none of these interfaces any more: stacks end in the background.
fn gone(interfaces: &[&str]) {
    let end = std::time::Instant::now() + LIMIT;
    let ip = require::tool("ip").unwrap();
    while interfaces.iter().any(|name| {
        let shown = Command::new(&ip).args(["link", "show", name]).output().unwrap();
        shown.status.success()
    }) {
        assert!(std::time::Instant::now() < end, "{interfaces:?} stay");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn behind_a_tun_interface_and_on_raw_sockets_of_the_host() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    let behind = start(tun(1), &[]);
    for at in ["10.9.1.2", "fd09:1::2"] {
        let own = if at.contains(':') { "fd09:1::1" } else { "10.9.1.1" };
        let host = start(DeviceConfig::Raw, &[own]);
        run(&behind, &host, at);
    }
}

#[test]
fn behind_a_tun_interface_pings_are_answered() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    let _stack = start(tun(1), &[]);
    std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0").unwrap();
    for (at, protocol, request, reply) in [
        ("10.9.1.2", Protocol::ICMPV4, 8, 0),
        ("fd09:1::2", Protocol::ICMPV6, 128, 129),
    ] {
        let at = SocketAddr::new(ip(at), 0);
        let mut answer = [0; 64];
        // The system adds checksum and identifier.
        let ping = [&[request, 0, 0, 0, 0, 0, 0, 7][..], b"as sent"].concat();
        // Until it knows of its carrier, a new interface drops what is sent to it.
        let end = std::time::Instant::now() + LIMIT;
        let len = loop {
            assert!(std::time::Instant::now() < end, "{at} does not answer");
            // A new one each time: the first may be bound to another address than the interface's, which was not ready.
            let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(protocol)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            socket.connect(&at.into()).unwrap();
            socket.send(&ping).unwrap();
            match (&socket).read(&mut answer) {
                // The second also ends a wait with a limit where the process was stopped for a moment.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                read => break read.unwrap(),
            }
        };
        assert_eq!((answer[0], answer[7], &answer[8..len]), (reply, 7, &b"as sent"[..]));
    }
}

#[test]
fn rfc8899_the_mtu_of_a_tun_interface_and_of_what_is_behind_it_is_found() {
    let Some(_namespace) = router() else { return };
    let wide = TunConfig::new("wide")
        .mtu(4000)
        .host(ip("10.9.1.1"), 24)
        .address(ip("10.9.1.2"));
    let narrow = TunConfig::new("narrow")
        .mtu(1300)
        .host(ip("10.9.2.1"), 24)
        .address(ip("10.9.2.2"));
    let server = start(DeviceConfig::Tun(wide), &[]);
    let client = start(DeviceConfig::Tun(narrow), &[]);
    // The server's packets are refused by the router between the two, which says so by ICMP.
    run(&server, &client, "10.9.1.2");
}

/// Messages from a server at `at` to a client while the path between them becomes narrower: what was cut for the wide
/// one is cut by IP (RFC 9260 §6.9), and from then on what is sent fits.
fn become_narrower(server: &StackHandle, client: &StackHandle, at: &str, widths: [usize; 2], narrow: impl FnOnce()) {
    let at = SocketAddr::new(ip(at), 7);
    let listener = SocketBuilder::new().stack(server).listen_blocking(at, 5).unwrap();
    let receiver = SocketBuilder::new().stack(client).connect_blocking(at).unwrap();
    let (sender, _) = listener.accept_blocking().unwrap();
    let path = |stream: &SctpStream| stream.status().unwrap().paths[0].clone();
    let mut next = 0;
    let mut talk = |count| {
        for index in next..next + count {
            let message = content::message(index, SIZE, 0);
            sender.send_blocking(message.payload, &SndInfo::new()).unwrap();
        }
        for index in next..next + count {
            let message = receiver.recv_blocking().unwrap().unwrap();
            assert_eq!(content::index(&message.payload), index);
        }
        next += count;
    };
    while path(&sender).mtu_discovery != MtuDiscovery::SearchComplete {
        talk(4);
    }
    let [wide, narrower] = widths;
    let mtu = path(&sender).mtu;
    // A busy machine may lose some probes.
    assert!(mtu <= wide && mtu > narrower, "{mtu}");
    narrow();
    talk(20);
    let mtu = path(&sender).mtu;
    assert!(mtu <= narrower && mtu > narrower - 16, "{mtu}");
    assert!(server.stats().icmp_processed > 0, "{:?}", server.stats());
}

#[test]
fn rfc9260_6_9_behind_tun_interfaces_a_path_that_becomes_narrower_loses_nothing() {
    let Some(_namespace) = router() else { return };
    for (version, at) in [(0, "10.9.1.2"), (1, "fd09:1::2")] {
        let devices = [(1, "wide"), (2, "narrow")].map(|(net, name)| {
            let ends = [format!("10.9.{net}."), format!("fd09:{net}::")];
            let config = TunConfig::new(name).mtu(4000);
            let config = config.host(ip(&format!("{}1", ends[version])), [24, 64][version]);
            config.address(ip(&format!("{}2", ends[version])))
        });
        let stacks = devices.map(|config| start(DeviceConfig::Tun(config), &[]));
        let [server, client] = &stacks;
        become_narrower(server, client, at, [4000, 1300], || {
            tool("ip", "link set narrow mtu 1300");
        });
        drop(stacks);
        gone(&["wide", "narrow"]);
    }
}

#[test]
fn rfc9260_6_9_on_raw_sockets_a_path_that_becomes_narrower_loses_nothing() {
    let Some(middle) = router() else { return };
    let (Some(here), Some(there)) = (Namespace::new(), Namespace::new()) else {
        return;
    };
    for (namespace, net) in [(&here, 1), (&there, 2)] {
        namespace.cable("c", &middle, &format!("m{net}"));
        namespace.run(&format!(
            "ip address add 10.8.{net}.2/24 dev c; ip address add fd08:{net}::2/64 dev c nodad
             ip route add default via 10.8.{net}.1"
        ));
        middle.run(&format!(
            "ip address add 10.8.{net}.1/24 dev m{net}; ip address add fd08:{net}::1/64 dev m{net} nodad"
        ));
        namespace.run(&format!("ip route add default via fd08:{net}::1"));
    }
    for at in ["10.8.1.2", "fd08:1::2"] {
        here.enter();
        let server = start(DeviceConfig::Raw, &[]);
        there.enter();
        let own = if at.contains(':') { "fd08:2::2" } else { "10.8.2.2" };
        let client = start(DeviceConfig::Raw, &[own]);
        middle.run("ip link set m2 mtu 1500");
        become_narrower(&server, &client, at, [1500, 1300], || {
            middle.run("ip link set m2 mtu 1300");
        });
        server.shutdown_graceful_blocking(LIMIT).unwrap();
    }
}

#[test]
fn a_tun_interface_without_addresses_for_the_stack_is_refused() {
    let nowhere = StackHandle::builder()
        .device("tun:t9".parse().unwrap())
        .start_blocking();
    assert!(matches!(nowhere.map(drop), Err(Error::Unsupported(_))));
    let same = builder("tun:t9,10.9.9.1/24".parse().unwrap(), &["10.9.9.1"]).start_blocking();
    assert_eq!(same.map(drop), Err(Error::AddressNotAvailable));
}

/// A file that goes with the test.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("{name}-{}.pcap", std::process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What tshark finds in a capture of [`run`] by one of its stacks.
fn check_capture(file: &Path, udp_port: u16) {
    let Some(decoder) = capture::Decoder::of(file, udp_port) else {
        return;
    };
    let fields = [
        "sctp.checksum.status",
        "_ws.malformed",
        "_ws.expert.message",
        "sctp.chunk_type",
    ];
    let packets = decoder.packets("sctp", &fields);
    let packets: Vec<Vec<&str>> = packets.iter().map(|packet| packet.split('\t').collect()).collect();
    assert!(!packets.is_empty());
    for packet in &packets {
        assert_eq!(packet[..3], ["1", "", ""], "{packet:?}");
    }
    // From INIT to SHUTDOWN COMPLETE, both ways.
    for chunk in ["1", "2", "10", "11", "0", "3", "14"] {
        let is_there = |packet: &Vec<&str>| packet[3].split(',').any(|kind| kind == chunk);
        assert!(packets.iter().any(is_there), "no chunk {chunk}");
    }
}

#[test]
fn wireshark_reads_what_a_stack_writes_down() {
    for (udp_port, addresses) in [(None, ["10.0.0.1", "10.0.0.2"]), (Some(9899), ["fd00::1", "fd00::2"])] {
        let file = Temporary::new(&format!("socketapi-capture-{}", udp_port.unwrap_or(0)));
        let device = DeviceConfig::Memory(MemoryNetwork::new());
        let [server, client] = addresses.map(|address| {
            let builder = builder(device.clone(), &[address]);
            match udp_port {
                Some(port) => builder.udp_port(port),
                None => builder,
            }
        });
        let server = server.start_blocking().unwrap();
        let client = client.capture(&file.0).start_blocking().unwrap();
        run(&server, &client, addresses[0]);
        check_capture(&file.0, udp_port.unwrap_or(9899));
    }
}

#[test]
fn stacks_of_a_process_write_to_one_file_and_a_missing_folder_is_told() {
    let name = std::env::temp_dir().join("socketapi-both-%p.pcap");
    let file = Temporary::new("socketapi-both");
    let device = DeviceConfig::Memory(MemoryNetwork::new());
    let [server, client] = ["10.0.0.1", "10.0.0.2"].map(|address| {
        builder(device.clone(), &[address])
            .capture(&name)
            .start_blocking()
            .unwrap()
    });
    run(&server, &client, "10.0.0.1");
    let Some(decoder) = capture::Decoder::of(&file.0, 9899) else {
        return;
    };
    // Sent by one and received by the other.
    let inits = decoder.packets("sctp.chunk_type == 1", &["frame.number"]);
    assert_eq!(inits.len(), 2);
    let nowhere = builder(device, &["10.0.0.3"])
        .capture("/nonexistent/x.pcap")
        .start_blocking();
    assert!(matches!(nowhere.map(drop), Err(Error::Io { .. })));
}
