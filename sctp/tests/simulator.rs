//! The simulator with real stacks: applications, datagrams, crashes, captures.

mod common;

use std::cell::RefCell;
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use bytes::Bytes;
use common::{A, B, Family, Flow, Setup, ms, secs, skip, transfer};
use sctp::config::EndpointConfig;
use sctp::serial::{Ppid, StreamId};
use sctp::sim::{App, AppEvent, HostConfig, HostCtx, HostId, LinkConfig, LinkId, Packet, Transport, World, write_pcap};
use sctp::{AssociationPhase, ConnectOptions, EcnCodepoint, Event, Instant, OutMessage, UdpPorts};

/// Sends back what it receives.
#[derive(Default)]
struct EchoServer {
    ended: usize,
}

impl App for EchoServer {
    fn handle(&mut self, now: Instant, event: AppEvent, ctx: &mut HostCtx<'_>) {
        match event {
            AppEvent::Start => {
                let config = EndpointConfig {
                    port: Some(7),
                    ..EndpointConfig::default()
                };
                let endpoint = ctx.bind(config).unwrap();
                ctx.stack().listen(endpoint, 10);
            }
            AppEvent::Sctp { assoc, event, .. } => match event {
                Event::CommunicationUp { .. } => ctx.stack().accept(assoc).unwrap(),
                Event::Readable => {
                    while let Ok(Some(received)) = ctx.stack().recv(now, assoc) {
                        let message = OutMessage::new(received.stream, received.ppid, received.payload);
                        ctx.stack().send(now, assoc, message).unwrap();
                    }
                }
                Event::ShutdownComplete => self.ended += 1,
                _ => {}
            },
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// Sends a message every second, five in all, and then shuts down.
struct Client {
    server: IpAddr,
    assoc: Option<sctp::AssocId>,
    next: Option<Instant>,
    sent: u8,
    heard: Vec<Bytes>,
}

impl Client {
    fn new(server: IpAddr) -> Self {
        Self {
            server,
            assoc: None,
            next: None,
            sent: 0,
            heard: Vec::new(),
        }
    }
}

impl App for Client {
    fn handle(&mut self, now: Instant, event: AppEvent, ctx: &mut HostCtx<'_>) {
        match event {
            AppEvent::Start => {
                let endpoint = ctx.bind(EndpointConfig::default()).unwrap();
                let options = ConnectOptions::default();
                let assoc = ctx.stack().connect(now, endpoint, &[self.server], 7, options).unwrap();
                self.assoc = Some(assoc);
                self.next = Some(now + secs(1));
            }
            AppEvent::Timeout => {
                let assoc = self.assoc.unwrap();
                if self.sent == 5 {
                    self.next = None;
                    ctx.stack().shutdown(now, assoc).unwrap();
                    return;
                }
                self.sent += 1;
                self.next = Some(now + secs(1));
                let message = OutMessage::new(StreamId(0), Ppid(0), Bytes::from(vec![self.sent; 100]));
                ctx.stack().send(now, assoc, message).unwrap();
                ctx.note("sent a message");
            }
            AppEvent::Sctp {
                assoc,
                event: Event::Readable,
                ..
            } => {
                while let Ok(Some(received)) = ctx.stack().recv(now, assoc) {
                    self.heard.push(received.payload);
                }
            }
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

fn two_hosts() -> (World, LinkId, [HostId; 2]) {
    let mut world = World::new(1);
    world.trace().keep(200);
    let link = world.add_link("lan", LinkConfig::lan());
    let a = world.add_host(HostConfig::new("a").interface(link, &["10.0.0.1", "fd00::1"]));
    let b = world.add_host(HostConfig::new("b").interface(link, &["10.0.0.2", "fd00::2"]));
    (world, link, [a, b])
}

#[test]
fn applications_talk_to_each_other() {
    let (mut world, _, [a, b]) = two_hosts();
    let server = world.add_app(b, Box::new(EchoServer::default()));
    let client = world.add_app(a, Box::new(Client::new("10.0.0.2".parse().unwrap())));
    world.run_for(secs(10));
    let heard: Vec<u8> = world
        .app::<Client>(a, client)
        .unwrap()
        .heard
        .iter()
        .map(|payload| payload[0])
        .collect();
    assert_eq!(heard, [1, 2, 3, 4, 5]);
    assert_eq!(world.app::<EchoServer>(b, server).unwrap().ended, 1);
    assert!(world.app::<Client>(b, server).is_none(), "of another type");
    assert_eq!(
        world
            .trace()
            .lines()
            .filter(|line| line.ends_with("a: sent a message"))
            .count(),
        5
    );
    assert!(world.events(a).is_empty(), "the applications got them all");
}

#[test]
fn applications_of_one_host_talk_to_each_other() {
    let (mut world, link, [a, _]) = two_hosts();
    world.add_app(a, Box::new(EchoServer::default()));
    let client = world.add_app(a, Box::new(Client::new("10.0.0.1".parse().unwrap())));
    world.run_for(secs(10));
    assert_eq!(world.app::<Client>(a, client).unwrap().heard.len(), 5);
    assert_eq!(world.link_stats(link).packets, 0);
}

/// What a listener heard: from where, to where, what.
type Heard = Rc<RefCell<Vec<(SocketAddr, SocketAddr, Bytes)>>>;

/// Listens to a group and a port, and keeps what it hears.
struct Listener {
    heard: Heard,
}

const GROUP: &str = "224.0.0.251:9901";

impl App for Listener {
    fn handle(&mut self, _: Instant, event: AppEvent, ctx: &mut HostCtx<'_>) {
        match event {
            AppEvent::Start => {
                ctx.join_group(GROUP.parse().unwrap());
                ctx.open_udp_port(2960);
            }
            AppEvent::Datagram {
                source,
                destination,
                payload,
            } => self.heard.borrow_mut().push((source, destination, payload)),
            _ => {}
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

#[test]
fn datagrams_reach_the_members_of_a_group_and_the_owners_of_a_port() {
    let (mut world, _, [a, b]) = two_hosts();
    let heard: [Heard; 3] = Default::default();
    let listener = |n: usize| {
        Box::new(Listener {
            heard: Rc::clone(&heard[n]),
        })
    };
    let sender = world.add_app(a, listener(0));
    world.add_app(a, listener(1));
    world.add_app(b, listener(2));
    let group: SocketAddr = GROUP.parse().unwrap();
    let port = "10.0.0.2:2960".parse().unwrap();
    let nobody = "10.0.0.2:2961".parse().unwrap();
    world.with_app(a, sender, |_: &mut Listener, ctx| {
        ctx.send_datagram(9901, group, Bytes::from_static(b"to all"));
        ctx.send_datagram(1234, port, Bytes::from_static(b"to one"));
        ctx.send_datagram(1234, nobody, Bytes::from_static(b"to nobody"));
    });
    world.run_for(ms(10));
    let counts: Vec<usize> = heard.iter().map(|heard| heard.borrow().len()).collect();
    // The sender does not hear itself; its neighbour on the same host does.
    assert_eq!(counts, [0, 1, 2]);
    let expected = [
        ("10.0.0.1:9901".parse().unwrap(), group, Bytes::from_static(b"to all")),
        ("10.0.0.1:1234".parse().unwrap(), port, Bytes::from_static(b"to one")),
    ];
    assert_eq!(*heard[2].borrow(), expected);
    assert_eq!(world.host_stats(b).unwanted, 1);
    world.with_app(a, sender, |_: &mut Listener, ctx| ctx.leave_group(group));
}

#[test]
fn a_paused_host_answers_when_it_resumes() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.world.pause(pair.hosts[B]);
    for n in 0..5 {
        pair.say(A, 0, &[n]);
    }
    pair.run(secs(20));
    assert!(pair.path(A, 0).error_count > 0);
    pair.world.resume(pair.hosts[B]);
    pair.run(secs(40));
    assert_eq!(pair.hear(B).len(), 5);
    assert_eq!(pair.path(A, 0).error_count, 0);
    transfer(&mut pair, &mut [Flow::new(A, 10), Flow::new(B, 10)], secs(60));
}

#[test]
fn a_crashed_host_says_nothing_and_its_successor_knows_nothing() {
    let mut pair = Setup::single().build();
    pair.connect();
    pair.run(secs(1));
    pair.world.capture(pair.links[0]);
    pair.restart(B);
    pair.run(ms(100));
    assert!(pair.sent(B).is_empty());
    // The next packet is out of the blue for the new B, whose answer ends A's association.
    pair.say(A, 0, b"who are you");
    pair.must("A was told", secs(1), |pair| pair.ends(A) == 1);
    pair.connect();
    assert_eq!(pair.phase(B), Some(AssociationPhase::Established));
}

#[test]
fn an_address_that_goes_away_takes_its_packets_with_it() {
    let mut pair = Setup::dual().build();
    pair.connect();
    pair.run(secs(5));
    let (src, dst) = (pair.address(A, 0), pair.address(B, 0));
    pair.world.remove_address(pair.hosts[A], src);
    let packet = Packet {
        src,
        dst,
        transport: Transport::Sctp,
        ecn: EcnCodepoint::NotEct,
        payload: Bytes::from_static(b"x"),
    };
    pair.world.inject(pair.hosts[A], packet);
    assert_eq!(pair.world.host_stats(pair.hosts[A]).stale_source, 1);
}

#[test]
#[should_panic(expected = "which it never had")]
fn a_stack_that_sends_from_a_foreign_address_stops_the_run() {
    let (mut world, _, [a, _]) = two_hosts();
    let packet = Packet {
        src: "192.0.2.1".parse().unwrap(),
        dst: "10.0.0.2".parse().unwrap(),
        transport: Transport::Sctp,
        ecn: EcnCodepoint::NotEct,
        payload: Bytes::from_static(b"x"),
    };
    world.inject(a, packet);
}

#[test]
fn sctp_and_datagrams_on_a_host_with_encapsulation_go_by_their_port() {
    let mut world = World::new(1);
    let link = world.add_link("lan", LinkConfig::lan());
    let scripted = world.add_host(HostConfig::scripted("s").interface(link, &["10.0.0.1"]));
    let host = world.add_host(HostConfig::new("h").interface(link, &["10.0.0.2"]).encapsulation(9899));
    for (transport, unwanted) in [
        (Transport::Sctp, 0),
        (
            Transport::SctpInUdp(UdpPorts {
                source: 1,
                destination: 9899,
            }),
            0,
        ),
        (
            Transport::Datagram(UdpPorts {
                source: 1,
                destination: 9898,
            }),
            1,
        ),
    ] {
        let packet = Packet {
            src: "10.0.0.1".parse().unwrap(),
            dst: "10.0.0.2".parse().unwrap(),
            transport,
            ecn: EcnCodepoint::NotEct,
            payload: Bytes::from_static(b"whatever this is"),
        };
        world.inject(scripted, packet);
        world.run_for(ms(1));
        assert_eq!(world.host_stats(host).unwanted, unwanted);
    }
    assert_eq!(world.peek(host).stats().checksum_errors, 2);
}

fn tshark() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&folders)
        .map(|folder| folder.join("tshark"))
        .find(|path| path.is_file());
    if found.is_none() {
        skip("tshark is not installed");
    }
    found
}

/// What tshark makes of a capture: for each packet these fields, in columns.
fn dissect(tshark: &Path, file: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new(tshark);
    command.arg("-r").arg(file).args(["-T", "fields"]);
    for preference in [
        "ip.check_checksum:TRUE",
        "udp.check_checksum:TRUE",
        "sctp.checksum:CRC 32c",
    ] {
        command.args(["-o", preference]);
    }
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

#[test]
fn a_capture_is_what_another_dissector_takes_it_for() {
    let Some(tshark) = tshark() else { return };
    for (name, family, encapsulated) in [
        ("v4", Family::V4, false),
        ("v6", Family::V6, false),
        ("v4-udp", Family::V4, true),
        ("v6-udp", Family::V6, true),
    ] {
        let mut setup = Setup::single().family(family);
        if encapsulated {
            setup = setup.encapsulated(9899, 9899);
        }
        let mut pair = setup.build();
        pair.world.capture(pair.links[0]);
        pair.connect();
        let flow = Flow::new(A, 20).sizes(&[9, 100, 3000]);
        transfer(&mut pair, &mut [flow], secs(10));
        pair.shutdown(A);
        pair.must("both ended", secs(10), |pair| pair.ends(A) + pair.ends(B) == 2);

        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("simulator-{name}.pcap"));
        let captured = pair.world.captured(pair.links[0]);
        write_pcap(captured, &mut File::create(&file).unwrap()).unwrap();
        let fields = [
            "sctp.chunk_type",
            "sctp.checksum.status",
            "udp.checksum.status",
            "ip.checksum.status",
            "frame.protocols",
            "_ws.malformed",
            "frame.time_relative",
        ];
        let packets = dissect(&tshark, &file, &fields);
        assert_eq!(packets.len(), captured.len(), "{name}");
        let good = |status: &str| status == "1" || status == "Good";
        for (packet, captured) in packets.iter().zip(captured) {
            let kinds: Vec<String> = captured.packet.chunks().map(|chunk| chunk.kind.0.to_string()).collect();
            assert_eq!(packet[0], kinds.join(","), "{name}: {packet:?}");
            assert!(good(&packet[1]), "{name}: {packet:?}");
            assert_eq!(good(&packet[2]), encapsulated, "{name}: {packet:?}");
            assert_eq!(good(&packet[3]), family == Family::V4, "{name}: {packet:?}");
            assert!(packet[4].contains("sctp"), "{name}: {packet:?}");
            assert_eq!(packet[5], "", "{name}: {packet:?}");
        }
        let seconds: f64 = packets.last().unwrap()[6].parse().unwrap();
        let expected = (captured.last().unwrap().at - captured[0].at).as_secs_f64();
        assert!((seconds - expected).abs() < 1e-6, "{name}: {seconds} {expected}");
    }
}
