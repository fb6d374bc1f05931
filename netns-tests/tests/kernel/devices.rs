//! The sockets on their devices (UDP, raw, TUN) against the kernel: the same sessions on each.
//!
//! Captures are left in the build's folder, under `tmp/devices`.

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;

use netns_tests::capture::{Capture, Decoder};
use netns_tests::content;
use netns_tests::guest::{GUEST, GUEST_V6, HOST, HOST_V6, Job, Session, addresses};
use netns_tests::process::{PATIENCE, Program};
use netns_tests::require;
use socketapi::{DeviceConfig, MtuDiscovery, SctpStream, SndInfo, SocketBuilder, StackHandle, TunConfig};

use crate::common::UDP_PORT;

/// Messages of a bulk transfer.
const BULK: (u32, usize) = (150, 10_000);
/// More than a receive buffer of the kernel's holds: both sides hand them out in parts.
const LARGE: (u32, usize) = (3, 130_000);
/// The stack behind the TUN interface, and the host before it.
const TUN: [[&str; 2]; 2] = [["10.98.0.1", "10.98.0.2"], ["fd98::1", "fd98::2"]];
/// What the TUN interface carries, less than the guest's.
const TUN_MTU: u16 = 1400;
/// The next SCTP ports: the kernel may still hold one of an earlier test.
static NEXT_PORT: AtomicU16 = AtomicU16::new(21_001);

fn fresh_port() -> u16 {
    NEXT_PORT.fetch_add(1, Ordering::Relaxed)
}

/// What carries the packets of the stack, and between which addresses.
#[derive(Clone, Debug)]
struct Way {
    device: DeviceConfig,
    ours: &'static str,
    theirs: &'static str,
    /// What the whole way carries.
    mtu: usize,
}

impl Way {
    fn new(device: DeviceConfig, version: usize) -> Self {
        let (ours, theirs) = [(HOST[0], GUEST[0]), (HOST_V6[0], GUEST_V6[0])][version];
        Self {
            device,
            ours,
            theirs,
            mtu: 1500,
        }
    }

    fn tun(version: usize) -> Self {
        let mut config = TunConfig::new("sctp0").mtu(TUN_MTU);
        for ([host, own], prefix) in TUN.into_iter().zip([24, 64]) {
            config = config.host(host.parse().unwrap(), prefix).address(own.parse().unwrap());
        }
        Self {
            ours: TUN[version][1],
            mtu: TUN_MTU.into(),
            ..Self::new(DeviceConfig::Tun(config), version)
        }
    }

    fn settings(&self) -> Vec<(&'static str, u32)> {
        match self.device {
            DeviceConfig::Udp => vec![("encap_port", UDP_PORT.into()), ("udp_port", UDP_PORT.into())],
            _ => Vec::new(),
        }
    }
}

/// A stack out here, and a program on kernel sockets in the guest.
struct Sides {
    way: Way,
    stack: StackHandle,
    peer: Job,
    /// How many lines of the program were looked at.
    seen: usize,
    /// The last one: the next test must not begin before the program is dropped.
    _session: Session,
}

impl Sides {
    /// `everywhere`: the stack is on all addresses of the host, or of the device, rather than on one.
    fn new(way: &Way, everywhere: bool) -> Option<Self> {
        let session = Session::start(&way.settings())?;
        if let DeviceConfig::Tun(_) = way.device {
            for family in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                fs::write(format!("/proc/sys/net/{family}"), "1").unwrap();
            }
            // Whoever forwards asks for its neighbours from an address of the link.
            let ip = require::tool("ip")?;
            let link = ["-6", "address", "replace", "fe80::1/64", "dev", "tap1", "nodad"];
            assert!(Program::start(ip, link).wait().success());
            for (to, via) in [("10.98.0.0/24", HOST[0]), ("fd98::/64", HOST_V6[0])] {
                session.run(["ip", "route", "replace", to, "via", via]);
            }
        }
        let mut builder = StackHandle::builder().device(way.device.clone());
        if !everywhere {
            builder = builder.addresses(addresses(&[way.ours]));
        }
        Some(Self {
            way: way.clone(),
            stack: builder.start_blocking().unwrap(),
            peer: session.program("peer.py", &[]),
            seen: 0,
            _session: session,
        })
    }

    /// Tells the program to do something.
    fn begin(&self, command: &str) {
        self.peer.write_line(command);
    }

    /// Waits for a line of the program that begins like this; gives the rest of it.
    fn said(&mut self, beginning: &str) -> String {
        let wanted = |line: &str| line.starts_with(beginning) || line.starts_with("failed");
        let (line, seen) = self.peer.wait_for_from(self.seen, wanted);
        self.seen = seen;
        let rest = line.strip_prefix(beginning);
        rest.unwrap_or_else(|| panic!("{line}:\n{}", self.peer.text()))
            .trim()
            .to_owned()
    }

    fn end(&mut self, command: &str) {
        let word = command.split(' ').next().unwrap_or(command);
        self.said(&format!("done {word}"));
    }

    fn order(&mut self, command: &str) {
        self.begin(command);
        self.end(command);
    }

    fn builder(&self) -> SocketBuilder {
        SocketBuilder::new().stack(&self.stack)
    }

    /// An association that this side opens, or the kernel.
    fn connect(&mut self, from_here: bool) -> SctpStream {
        let Way { ours, theirs, .. } = self.way;
        let (port, own) = (fresh_port(), fresh_port());
        if from_here {
            self.order(&format!("listen {port} {theirs}"));
            let to = SocketAddr::new(theirs.parse().unwrap(), port);
            let stream = within(self.builder().connect(to)).unwrap();
            self.order("accept");
            return stream;
        }
        let at = SocketAddr::new(ours.parse().unwrap(), port);
        let listener = self.builder().listen_blocking(at, 1).unwrap();
        let command = format!("connect {port} {ours} from {own} {theirs}");
        self.begin(&command);
        let (stream, from) = within(listener.accept()).unwrap();
        assert_eq!(from, SocketAddr::new(theirs.parse().unwrap(), own));
        self.end(&command);
        stream
    }

    /// Messages to the kernel, which checks them.
    fn deliver(&mut self, stream: &SctpStream, (count, size): (u32, usize)) {
        self.begin(&format!("expect {count} {size}"));
        within(send(stream, 0..count, size));
        self.end("expect");
    }

    /// Messages from the kernel.
    fn collect(&mut self, stream: &SctpStream, (count, size): (u32, usize)) {
        self.begin(&format!("send {count} {size}"));
        within(receive(stream, 0..count, size));
        self.end("send");
    }

    /// Messages both ways at once.
    fn exchange(&mut self, stream: &SctpStream, (count, size): (u32, usize)) {
        // The program does one thing after the other: what it sends waits for what it has taken.
        self.begin(&format!("send {count} {size}"));
        self.begin(&format!("expect {count} {size}"));
        within(async { tokio::join!(send(stream, 0..count, size), receive(stream, 0..count, size)) });
        self.end("send");
        self.end("expect");
    }

    /// Talks until this side knows what the way carries.
    fn find_mtu(&mut self, stream: &SctpStream) {
        let end = Instant::now() + PATIENCE;
        loop {
            let path = &stream.status().unwrap().paths[0];
            if path.mtu_discovery == MtuDiscovery::SearchComplete {
                assert_eq!(path.mtu, self.way.mtu, "{path:?}");
                return;
            }
            assert!(Instant::now() < end, "{path:?}");
            self.deliver(stream, (4, 3000));
        }
    }
}

/// Waits, but not for ever.
fn within<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let done = tokio::time::timeout(PATIENCE, future).await;
        done.expect("it comes to its end in time")
    })
}

async fn send(stream: &SctpStream, which: Range<u32>, size: usize) {
    for index in which {
        let info = SndInfo::new().with_ppid(content::ppid(index).0);
        stream.send(content::bytes(index, size), &info).await.unwrap();
    }
}

async fn receive(stream: &SctpStream, which: Range<u32>, size: usize) {
    for index in which {
        let mut whole = Vec::new();
        loop {
            let message = stream.recv().await.unwrap().expect("a message");
            assert_eq!(message.info.ppid, content::ppid(index));
            whole.extend_from_slice(&message.payload);
            if message.info.end_of_message {
                break;
            }
        }
        assert_eq!((content::index(&whole), whole.len()), (index, size));
    }
}

/// Captures what passes between the guest and this side.
fn capture(name: &str) -> Option<Capture> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("devices");
    fs::create_dir_all(&folder).unwrap();
    Capture::start("tap1", UDP_PORT, &folder.join(format!("{name}.pcapng")))
}

/// Every packet is whole, has the right checksum, and is in what it should be in.
fn check(decoder: &Decoder, way: &Way) {
    let fields = [
        "sctp.checksum.status",
        "_ws.malformed",
        "udp.dstport",
        "ip.proto",
        "ipv6.nxt",
        "sctp.chunk_type",
    ];
    // What ICMP quotes is cut.
    let packets = decoder.packets("sctp && !icmp && !icmpv6", &fields);
    let packets: Vec<Vec<&str>> = packets.iter().map(|packet| packet.split('\t').collect()).collect();
    assert!(packets.len() > 300, "{}", packets.len());
    let carried = match (&way.device, way.ours.contains(':')) {
        (DeviceConfig::Udp, false) => ["9899", "17", ""],
        (DeviceConfig::Udp, true) => ["9899", "", "17"],
        (_, false) => ["", "132", ""],
        (_, true) => ["", "", "132"],
    };
    let ours = |packet: &&Vec<&str>| packet[2..5] == carried;
    assert!(packets.iter().filter(ours).count() > 300);
    let wrong: Vec<_> = packets
        .iter()
        .filter(|packet| packet[0] != "1" || !packet[1].is_empty())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // From INIT to SHUTDOWN COMPLETE.
    for chunk in ["1", "2", "10", "11", "0", "3", "7", "8", "14"] {
        let is_there = |packet: &Vec<&str>| packet[5].split(',').any(|kind| kind == chunk);
        assert!(packets.iter().any(is_there), "no chunk {chunk}");
    }
}

/// Both sides set up, send much, and close.
fn sessions(name: &str, way: &Way) {
    for from_here in [true, false] {
        // One that is on all addresses has to name the source of each packet.
        let Some(mut sides) = Sides::new(way, !from_here) else {
            return;
        };
        let direction = if from_here { "out" } else { "in" };
        let Some(capture) = capture(&format!("{name}-{direction}")) else {
            return;
        };
        let stream = sides.connect(from_here);
        sides.deliver(&stream, BULK);
        sides.collect(&stream, BULK);
        sides.exchange(&stream, BULK);
        sides.deliver(&stream, LARGE);
        sides.collect(&stream, LARGE);
        sides.find_mtu(&stream);
        sides.deliver(&stream, BULK);
        // What was sent before arrives, whoever closes.
        if from_here {
            within(send(&stream, 0..20, 5000));
            stream.shutdown().unwrap();
            let all: Vec<String> = (0..20).map(|index: u32| index.to_string()).collect();
            sides.begin("collect");
            assert_eq!(sides.said("collected"), all.join(" "));
        } else {
            sides.begin("send 20 5000");
            sides.begin("shutdown");
            within(receive(&stream, 0..20, 5000));
            assert_eq!(within(stream.recv()).unwrap(), None);
            sides.end("shutdown");
        }
        sides.stack.shutdown_graceful_blocking(PATIENCE).unwrap();
        check(&capture.stop(), way);
        if let DeviceConfig::Tun(_) = way.device {
            let Sides { stack, .. } = sides;
            drop((stream, stack));
            gone("sctp0");
        }
    }
}

/// Waits until there is no such interface any more: stacks end in the background.
fn gone(interface: &str) {
    let Some(ip) = require::tool("ip") else { return };
    let end = Instant::now() + PATIENCE;
    while Program::start(&ip, ["link", "show", interface]).wait().success() {
        assert!(Instant::now() < end, "{interface} stays");
    }
}

#[test]
fn sockets_in_udp_over_ipv4() {
    sessions("udp-ipv4", &Way::new(DeviceConfig::Udp, 0));
}

#[test]
fn sockets_in_udp_over_ipv6() {
    sessions("udp-ipv6", &Way::new(DeviceConfig::Udp, 1));
}

#[test]
fn sockets_on_raw_ipv4() {
    sessions("raw-ipv4", &Way::new(DeviceConfig::Raw, 0));
}

#[test]
fn sockets_on_raw_ipv6() {
    sessions("raw-ipv6", &Way::new(DeviceConfig::Raw, 1));
}

#[test]
fn sockets_behind_a_tun_interface_over_ipv4() {
    sessions("tun-ipv4", &Way::tun(0));
}

#[test]
fn sockets_behind_a_tun_interface_over_ipv6() {
    sessions("tun-ipv6", &Way::tun(1));
}
