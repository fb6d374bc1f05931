//! Several places on one port, as processes have them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp::config::Marks;
use sctp::{EcnCodepoint, IcmpKind, IcmpReport, RxMeta, Transmit, UdpPorts};

use super::wire::{ClaimRequest, HEADER, Reply, Request, VERSION};
use super::*;
use crate::userland::device::Device;

/// A limit that only a test which hangs reaches.
const LIMIT: Duration = Duration::from_secs(120);

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What a process was given.
#[derive(Debug)]
enum Got {
    Datagram(RxMeta, Bytes),
    Report(IcmpReport),
}

struct Sink(Sender<Got>);

impl Local for Sink {
    fn ingest(&self, mut datagrams: impl Iterator<Item = (RxMeta, Bytes)>) -> bool {
        datagrams.all(|(meta, datagram)| self.0.send(Got::Datagram(meta, datagram)).is_ok())
    }

    fn heed(&self, report: IcmpReport) {
        let _ = self.0.send(Got::Report(report));
    }

    fn answers(&self) {}

    fn lost(&self) {}
}

/// A process.
struct Member {
    port: SharedPort,
    got: Receiver<Got>,
}

impl Member {
    /// One on a port of its own that others may share.
    fn first() -> (Self, u16) {
        let member = Self::on(0);
        let port = member.port.udp().unwrap().port();
        (member, port)
    }

    fn on(udp_port: u16) -> Self {
        let port = SharedPort::open(udp_port).unwrap();
        let (sender, got) = channel();
        port.run(Sink(sender)).unwrap();
        Self { port, got }
    }

    fn claim(&self, port: u16) -> Claim {
        self.port.claim(Some(port), Vec::new(), false).unwrap()
    }

    fn next(&self) -> (RxMeta, Bytes) {
        match self.got.recv_timeout(LIMIT).unwrap() {
            Got::Datagram(meta, datagram) => (meta, datagram),
            Got::Report(report) => panic!("{report:?}"),
        }
    }

    fn has_nothing(&self) -> bool {
        self.got.try_recv().is_err()
    }
}

/// A packet from nobody to an SCTP port, which says a text.
fn packet(port: u16, text: &str) -> Vec<u8> {
    let mut bytes = vec![0, 9];
    bytes.extend(port.to_be_bytes());
    bytes.extend([0; 8]);
    bytes.extend(text.as_bytes());
    bytes
}

fn outsider() -> UdpSocket {
    UdpSocket::bind((HERE, 0)).unwrap()
}

/// A UDP port where nobody is: what has it hears itself alone, and keeps others from it.
fn closed() -> (UdpSocket, SocketAddr) {
    let socket = outsider();
    let own = socket.local_addr().unwrap();
    socket.connect(own).unwrap();
    (socket, own)
}

fn send(from: &UdpSocket, udp_port: u16, packet: &[u8]) {
    from.send_to(packet, (HERE, udp_port)).unwrap();
}

#[test]
fn all_have_one_space_of_ports() {
    let (first, udp_port) = Member::first();
    let (second, third) = (Member::on(udp_port), Member::on(udp_port));
    let taken = |member: &Member, port| member.port.claim(Some(port), Vec::new(), false).map(drop);
    let seven = second.claim(7);
    assert_eq!(seven.port(), 7);
    for member in [&first, &second, &third] {
        assert_eq!(taken(member, 7), Err(Error::PortInUse));
    }
    let eight = first.claim(8);
    assert_eq!(taken(&third, 8), Err(Error::PortInUse));
    let mut drawn: Vec<u16> = Vec::new();
    let mut held = Vec::new();
    for member in [&first, &second, &third, &first, &second, &third] {
        let claim = member.port.claim(None, Vec::new(), false).unwrap();
        drawn.push(claim.port());
        held.push(claim);
    }
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 6);
    drop((seven, eight));
    // A release and the next claim of one process keep their order; what another one sees may be a moment older.
    let _seven = second.claim(7);
    let _eight = first.claim(8);
}

#[test]
fn a_port_that_was_given_back_gets_no_more_addresses() {
    let (_first, udp_port) = Member::first();
    let second = Member::on(udp_port);
    let claim = second.port.claim(Some(7), vec![HERE], false).unwrap();
    let claim = Arc::new(claim);
    Waker::from(Arc::clone(&claim)).wake();
    assert_eq!(claim.add_address([127, 0, 0, 2].into()), Err(Error::Closed));
}

#[test]
fn addresses_of_a_port_can_be_shared_out() {
    let (first, udp_port) = Member::first();
    let second = Member::on(udp_port);
    let (one, two): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
    let a = first.port.claim(Some(7), vec![one], false).unwrap();
    let b = second.port.claim(Some(7), vec![two], false).unwrap();
    assert_eq!(b.add_address(one), Err(Error::PortInUse));
    assert_eq!(a.add_address(two), Err(Error::PortInUse));
    let from = outsider();
    for (to, member) in [(one, &first), (two, &second)] {
        from.send_to(&packet(7, "x"), (to, udp_port)).unwrap();
        assert_eq!(member.next().0.dst, to);
    }
    assert!(first.has_nothing() && second.has_nothing());
}

#[test]
fn packets_go_to_who_has_the_port_and_the_rest_to_the_holder() {
    let (first, udp_port) = Member::first();
    let (second, third) = (Member::on(udp_port), Member::on(udp_port));
    let _claims = [first.claim(1), second.claim(2), third.claim(3)];
    let from = outsider();
    let source = from.local_addr().unwrap();
    for (port, member) in [(1, &first), (2, &second), (3, &third), (4, &first)] {
        for text in ["a", "bb", "ccc"] {
            send(&from, udp_port, &packet(port, text));
            let (meta, datagram) = member.next();
            assert_eq!(datagram, packet(port, text));
            assert_eq!((meta.src, meta.dst), (HERE, HERE));
            let ports = meta.encap.unwrap();
            assert_eq!((ports.source, ports.destination), (source.port(), udp_port));
        }
    }
    // Too short for a port.
    send(&from, udp_port, &[1, 2, 3]);
    assert_eq!(first.next().1[..], [1, 2, 3]);
    assert!(second.has_nothing() && third.has_nothing());
}

#[test]
fn trains_and_large_packets_arrive_whole_at_a_guest() {
    let (_first, udp_port) = Member::first();
    let guest = Member::on(udp_port);
    let _claim = guest.claim(7);
    let (sender, own) = Member::first();
    let ports = UdpPorts {
        source: own,
        destination: udp_port,
    };
    let device = Device::Udp(Arc::clone(sender.port.udp().unwrap()));
    for (count, segment) in [(40, 1400), (1, 60_000), (3, 20_000)] {
        let text = "x".repeat(segment - 12);
        let bytes = packet(7, &text).repeat(count);
        let transmit = Transmit {
            src: Some(HERE),
            dst: HERE,
            encap: Some(ports),
            size: bytes.len(),
            segment_size: segment,
            dont_fragment: true,
            marks: Marks::default(),
            ecn: EcnCodepoint::NotEct,
        };
        device.send(&transmit, &bytes, &mut 0, &mut Vec::new());
        for expected in bytes.chunks(segment) {
            assert_eq!(guest.next().1, expected);
        }
    }
}

#[test]
fn a_guest_sends_through_the_same_sockets() {
    let (_first, udp_port) = Member::first();
    let guest = Member::on(udp_port);
    let to = outsider();
    let transmit = Transmit {
        src: Some(HERE),
        dst: HERE,
        encap: Some(UdpPorts {
            source: udp_port,
            destination: to.local_addr().unwrap().port(),
        }),
        size: 5,
        segment_size: 5,
        dont_fragment: true,
        marks: Marks::default(),
        ecn: EcnCodepoint::NotEct,
    };
    let device = Device::Udp(Arc::clone(guest.port.udp().unwrap()));
    device.send(&transmit, b"hello", &mut 0, &mut Vec::new());
    let mut buffer = [0; 16];
    to.set_read_timeout(Some(LIMIT)).unwrap();
    let (len, from) = loop {
        match to.recv_from(&mut buffer) {
            // A wait with a limit ends so where the process was stopped for a moment.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            received => break received.unwrap(),
        }
    };
    assert_eq!((&buffer[..len], from), (&b"hello"[..], SocketAddr::new(HERE, udp_port)));
}

#[test]
fn rfc6951_5_5_icmp_reaches_who_sent_the_packet() {
    let (_first, udp_port) = Member::first();
    let guest = Member::on(udp_port);
    let _claim = guest.claim(7);
    let (_closed, nobody) = closed();
    let mut bytes = vec![0, 7];
    bytes.extend([0; 30]);
    let transmit = Transmit {
        src: Some(HERE),
        dst: HERE,
        encap: Some(UdpPorts {
            source: udp_port,
            destination: nobody.port(),
        }),
        size: bytes.len(),
        segment_size: bytes.len(),
        dont_fragment: true,
        marks: Marks::default(),
        ecn: EcnCodepoint::NotEct,
    };
    let device = Device::Udp(Arc::clone(guest.port.udp().unwrap()));
    device.send(&transmit, &bytes, &mut 0, &mut Vec::new());
    let Got::Report(report) = guest.got.recv_timeout(LIMIT).unwrap() else {
        panic!("a datagram")
    };
    assert_eq!((report.kind, report.dst), (IcmpKind::PortUnreachable, HERE));
    assert_eq!(report.quoted, bytes);
}

#[test]
fn a_guest_takes_over_and_everyone_keeps_their_ports() {
    let (first, udp_port) = Member::first();
    let mut members = vec![first];
    let mut claims = Vec::new();
    for port in 1..=4u16 {
        if port > 1 {
            members.push(Member::on(udp_port));
        }
        claims.push(members[usize::from(port) - 1].claim(port));
    }
    let from = outsider();
    while !members.is_empty() {
        for (member, claim) in members.iter().zip(&claims) {
            let end = Instant::now() + LIMIT;
            loop {
                // While others are still telling the new holder what they have, packets are lost; SCTP repeats them.
                send(&from, udp_port, &packet(claim.port(), "x"));
                if let Ok(Got::Datagram(_, datagram)) = member.got.recv_timeout(Duration::from_millis(50)) {
                    assert_eq!(datagram, packet(claim.port(), "x"));
                    break;
                }
                assert!(Instant::now() < end, "nothing comes to port {}", claim.port());
            }
        }
        for (index, member) in members.iter().enumerate() {
            let other = claims[(index + 1) % claims.len()].port();
            assert_eq!(
                member.port.claim(Some(other), Vec::new(), false).map(drop),
                Err(Error::PortInUse)
            );
            while let Ok(got) = member.got.try_recv() {
                let Got::Datagram(_, datagram) = got else {
                    panic!("{got:?}")
                };
                assert_eq!(datagram, packet(claims[index].port(), "x"), "nothing for others");
            }
        }
        members.remove(0);
        claims.remove(0);
    }
    // Once everyone is gone, the port is free.
    let end = Instant::now() + LIMIT;
    while let Err(error) = SharedPort::open(udp_port) {
        assert!(Instant::now() < end, "{error}");
    }
}

#[test]
fn what_waits_in_the_sockets_is_not_lost_with_the_holder() {
    let (first, udp_port) = Member::first();
    let guest = Member::on(udp_port);
    let _claim = guest.claim(7);
    drop(first);
    let from = outsider();
    for number in 0..100 {
        send(&from, udp_port, &packet(7, &number.to_string()));
    }
    // Those that the old holder still took in are lost. What the sockets held is there, in order, up to the last.
    let mut last = None;
    while last != Some(99) {
        let (_, datagram) = guest.next();
        let number = std::str::from_utf8(&datagram[12..]).unwrap().parse::<u32>().unwrap();
        assert!(last.is_none_or(|last| last < number));
        last = Some(number);
    }
}

#[test]
fn a_new_holder_leaves_unanswered_what_may_be_somebodys() {
    let (first, udp_port) = Member::first();
    let guest = Member::on(udp_port);
    let _claim = guest.claim(7);
    // A process that does not come back: it sleeps.
    let sleeper = connect(udp_port);
    meeting::send_message(&sleeper, &claim_of(8).encode()).unwrap();
    while guest.port.claim(Some(8), Vec::new(), false).is_ok() {}
    drop(first);
    let from = outsider();
    let end = Instant::now() + LIMIT;
    loop {
        send(&from, udp_port, &packet(8, "for the sleeper"));
        send(&from, udp_port, &packet(7, "x"));
        if let Ok(Got::Datagram(_, datagram)) = guest.got.recv_timeout(Duration::from_millis(50)) {
            assert_eq!(datagram, packet(7, "x"));
            break;
        }
        assert!(Instant::now() < end);
    }
}

#[test]
fn once_everyone_has_told_a_new_holder_answers_for_nobody() {
    let (first, udp_port) = Member::first();
    let (second, third) = (Member::on(udp_port), Member::on(udp_port));
    let _claims = [second.claim(7), third.claim(8)];
    drop(first);
    let from = outsider();
    let end = Instant::now() + LIMIT;
    loop {
        send(&from, udp_port, &packet(9, "for nobody"));
        let got = [&second, &third].map(|member| member.got.recv_timeout(Duration::from_millis(20)).ok());
        if got.iter().flatten().any(|got| matches!(got, Got::Datagram(..))) {
            break;
        }
        assert!(Instant::now() < end);
    }
}

/// A connection to the holder that says hello and then whatever the test wants.
fn connect(udp_port: u16) -> OwnedFd {
    let connection = meeting::approach(udp_port).unwrap();
    meeting::send_message(&connection, &Request::Hello { version: VERSION }.encode()).unwrap();
    let mut header = [0; HEADER];
    let end = Instant::now() + LIMIT;
    loop {
        match meeting::receive_sockets(&connection, &mut header) {
            Ok((_, sockets)) => {
                assert_eq!(Reply::decode(&header), Some(Reply::Welcome));
                assert!(!sockets.is_empty());
                return connection;
            }
            Err(rustix::io::Errno::AGAIN) if Instant::now() < end => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn claim_of(port: u16) -> Request {
    Request::Claims(vec![ClaimRequest {
        id: u64::from(port),
        again: true,
        port: Some(port),
        addresses: Vec::new(),
        shares: false,
    }])
}

#[test]
fn a_guest_that_does_not_read_harms_nobody() {
    let (first, udp_port) = Member::first();
    let guest = Member::on(udp_port);
    let _claim = guest.claim(7);
    let sleeper = connect(udp_port);
    // Many questions whose answers it does not take, and then many packets.
    for _ in 0..3 {
        for port in 1000..4000 {
            if meeting::send_message(&sleeper, &claim_of(port).encode()).is_err() {
                break;
            }
        }
    }
    let end = Instant::now() + LIMIT;
    while first.port.claim(Some(1000), Vec::new(), false).is_ok() {
        assert!(Instant::now() < end);
    }
    let from = outsider();
    let large = packet(1000, &"x".repeat(20_000));
    while first.port.udp().unwrap().dropped() == 0 {
        send(&from, udp_port, &large);
        send(&from, udp_port, &packet(7, "x"));
        assert!(Instant::now() < end, "its queue has no end");
        while guest.got.try_recv().is_ok() {}
    }
    loop {
        send(&from, udp_port, &packet(7, "still here"));
        let (_, datagram) = guest.next();
        if datagram == packet(7, "still here") {
            break;
        }
    }
}

#[test]
fn a_guest_that_makes_the_sockets_wait_blocks_nobody() {
    let (first, udp_port) = Member::first();
    let guest = Member::on(udp_port);
    let _claim = guest.claim(7);
    let from = outsider();
    for _ in 0..20 {
        for socket in guest.port.udp().unwrap().descriptors() {
            rustix::io::ioctl_fionbio(socket, false).unwrap();
        }
        send(&from, udp_port, &packet(7, "x"));
        assert_eq!(guest.next().1, packet(7, "x"));
        // The holder does not wait for the next datagram.
        drop(first.port.claim(None, Vec::new(), false).unwrap());
    }
}

#[test]
fn a_guest_that_has_gone_and_makes_the_sockets_wait_blocks_nobody() {
    let (first, udp_port) = Member::first();
    let guest = Member::on(udp_port);
    let claim = guest.claim(7);
    let kept = Arc::clone(guest.port.udp().unwrap());
    drop((claim, guest));
    let end = Instant::now() + LIMIT;
    let _claim = loop {
        match first.port.claim(Some(7), Vec::new(), false) {
            Ok(claim) => break claim,
            Err(_) => assert!(Instant::now() < end, "the guest does not go"),
        }
    };
    let (_closed, nobody) = closed();
    for socket in kept.descriptors() {
        rustix::io::ioctl_fionbio(socket, false).unwrap();
        let socket = UdpSocket::from(socket.try_clone_to_owned().unwrap());
        if socket.local_addr().unwrap().is_ipv4() {
            // What comes back is an error, and then there is nothing more to read.
            socket.send_to(b"x", nobody).unwrap();
        }
    }
    for _ in 0..20 {
        drop(first.port.claim(None, Vec::new(), false).unwrap());
    }
    send(&outsider(), udp_port, &packet(7, "x"));
    assert_eq!(first.next().1, packet(7, "x"));
}

#[test]
fn connections_that_say_nothing_make_room_for_others() {
    let (first, udp_port) = Member::first();
    let approach = || {
        let end = Instant::now() + LIMIT;
        loop {
            match meeting::approach(udp_port) {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
        }
    };
    let silent: Vec<OwnedFd> = (0..200).map(|_| approach()).collect();
    let guest = Member::on(udp_port);
    let _claims = [first.claim(6), guest.claim(7)];
    // It was the last, so all of them have been let in.
    let has_ended = |connection: &OwnedFd| meeting::receive_request(connection, &mut [0; 8]) == Ok(0);
    let ended = silent.iter().filter(|connection| has_ended(connection)).count();
    assert!((100..200).contains(&ended), "{ended}");
    assert!(has_ended(&silent[0]) && !has_ended(&silent[199]));
}

#[test]
fn a_guest_that_talks_nonsense_is_left_and_harms_nobody() {
    let (first, udp_port) = Member::first();
    let guest = Member::on(udp_port);
    let mut state = 1u64;
    let mut byte = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    for round in 0..200 {
        let connection = if round % 2 == 0 {
            connect(udp_port)
        } else {
            meeting::approach(udp_port).unwrap()
        };
        for _ in 0..8 {
            let len = usize::from(byte());
            let mut message: Vec<u8> = std::iter::repeat_with(&mut byte).take(len).collect();
            if let Some(kind) = message.first_mut() {
                *kind %= 9;
            }
            // The holder may have hung up.
            let _ = meeting::send_message(&connection, &message);
        }
    }
    let _claims = [first.claim(6), guest.claim(7)];
    send(&outsider(), udp_port, &packet(7, "x"));
    assert_eq!(guest.next().1, packet(7, "x"));
}

#[test]
fn a_port_that_is_not_shared_cannot_be_joined() {
    let owner = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = owner.local_addr().unwrap().port();
    assert!(SharedPort::join(port).unwrap().is_none());
    let opened = SharedPort::open(port).map(drop);
    assert!(matches!(opened, Err(Error::UdpPortInUse { port: told, .. }) if told == port));
}

#[test]
fn sockets_that_are_something_else_are_not_taken() {
    use std::os::fd::OwnedFd;

    let wrong_port = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let one_address = outsider();
    let port = one_address.local_addr().unwrap().port();
    let stream = std::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let tcp_port = stream.local_addr().unwrap().port();
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(UdpDevice::adopt(vec![OwnedFd::from(wrong_port)], 1).is_none());
    assert!(UdpDevice::adopt(vec![OwnedFd::from(one_address)], port).is_none());
    assert!(UdpDevice::adopt(vec![OwnedFd::from(stream)], tcp_port).is_none());
    assert!(UdpDevice::adopt(vec![OwnedFd::from(file)], 1).is_none());
    assert!(UdpDevice::adopt(Vec::new(), 1).is_none());
}
