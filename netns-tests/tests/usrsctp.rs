//! The engine against usrsctp: Debian's example programs (package libusrsctp-examples), in UDP, in both roles.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use netns_tests::guest::addresses;
use netns_tests::host::Host;
use netns_tests::namespace::Namespace;
use netns_tests::process::{Program, Source};
use netns_tests::{content, require};
use sctp::config::AssociationConfig;
use sctp::serial::{Ppid, StreamId};
use sctp::{AssocId, Event, MtuDiscovery, OutMessage, Reliability};

/// Where the package puts the programs.
const FOLDER: &str = "/usr/lib/usrsctp";
/// The programs' UDP port, and the engine's.
const THEIRS: u16 = 9001;
const OURS: u16 = 9002;
const LOOPBACK: &str = "127.0.0.1";

/// A namespace with loopback only, the engine, and where the programs are.
struct Bench {
    host: Host,
    stdbuf: PathBuf,
    _namespace: Namespace,
}

impl Bench {
    fn new(own: &[&str]) -> Option<Self> {
        if !Path::new(FOLDER).exists() {
            require::skip("libusrsctp-examples is not installed");
            return None;
        }
        let stdbuf = require::tool("stdbuf")?;
        let namespace = Namespace::new()?;
        namespace.enter();
        Some(Self {
            host: Host::udp(&addresses(own), OURS),
            stdbuf,
            _namespace: namespace,
        })
    }

    /// Starts one of the programs, which would otherwise keep to itself what it prints.
    fn start(&self, name: &str, args: &[&str]) -> Program {
        let path = format!("{FOLDER}/{name}");
        Program::start(&self.stdbuf, ["-oL", "-eL", &path].iter().chain(args))
    }

    fn server(&self, name: &str) -> Program {
        self.start(name, &[&THEIRS.to_string(), &OURS.to_string()])
    }

    fn connect(&mut self, port: u16) -> AssocId {
        self.connect_with(port, config())
    }

    fn connect_with(&mut self, port: u16, config: AssociationConfig) -> AssocId {
        let endpoint = self.host.bind(None, config);
        // The server may have its UDP port, and not listen yet.
        self.host.connect_patiently(endpoint, &addresses(&[LOOPBACK]), port)
    }

    fn send_all(&mut self, assoc: AssocId, count: u32, size: usize) {
        for index in 0..count {
            let stream = u16::try_from(index % 5).unwrap();
            self.host.send(assoc, &content::message(index, size, stream));
        }
    }

    /// Receives until the peer shuts down, and answers that.
    fn receive_to_the_end(&mut self, assoc: AssocId) -> Vec<Bytes> {
        let mut messages = Vec::new();
        self.host.until("the peer shuts down", |host| {
            while let Some(message) = host.try_receive(assoc) {
                assert!(message.end_of_message);
                messages.push(message.payload);
            }
            host.happened(assoc, |event| matches!(event, Event::ShutdownComplete))
        });
        messages
    }
}

fn config() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.path_mut().set_remote_encapsulation_port(Some(THEIRS));
    config
}

fn text(payload: &[u8]) -> String {
    String::from_utf8(payload.to_vec()).unwrap()
}

// Our client, their servers.

#[test]
fn their_echo_server_returns_what_it_gets() {
    const COUNT: u32 = 300;
    // Two addresses: theirs are all of the namespace's.
    let Some(mut bench) = Bench::new(&[LOOPBACK, "::1"]) else {
        return;
    };
    let mut server = bench.server("echo_server");
    let assoc = bench.connect(7);
    for size in [4, 1200, 9000] {
        for index in 0..COUNT {
            bench.host.send(assoc, &content::message(index, size, 3));
            // It echoes only while its send buffer has room: not too many at once.
            if index >= 10 {
                let echo = bench.host.receive(assoc);
                assert_eq!((content::index(&echo.payload), echo.payload.len()), (index - 10, size));
            }
        }
        for index in COUNT - 10..COUNT {
            assert_eq!(content::index(&bench.host.receive(assoc).payload), index);
        }
    }
    let paths = bench.host.status(assoc).paths;
    assert_eq!(paths.len(), 2, "{paths:?}");
    bench.host.shutdown(assoc);
    server.kill();
}

#[test]
fn their_discard_server_gets_everything() {
    const COUNT: u32 = 500;
    let Some(mut bench) = Bench::new(&[LOOPBACK]) else {
        return;
    };
    let mut server = bench.server("discard_server");
    let assoc = bench.connect(9);
    bench.send_all(assoc, COUNT, 3000);
    bench.host.shutdown(assoc);
    let mut next = 0;
    for _ in 0..COUNT {
        next = server
            .wait_for_from(next, |line| line.contains("Msg of length 3000 received"))
            .1;
    }
    server.kill();
}

#[test]
fn rfc8899_5_loopback_carries_large_packets_to_their_discard_server() {
    const COUNT: u32 = 200;
    let Some(mut bench) = Bench::new(&[LOOPBACK]) else {
        return;
    };
    let mut server = bench.server("discard_server");
    let assoc = bench.connect(9);
    bench.send_all(assoc, COUNT, 10_000);
    bench.host.until("the search is complete", |host| {
        let path = &host.status(assoc).paths[0];
        (path.mtu_discovery == MtuDiscovery::SearchComplete).then_some(())
    });
    let mtu = bench.host.status(assoc).paths[0].mtu;
    assert!(mtu > 9000, "{mtu}");
    bench.send_all(assoc, COUNT, 10_000);
    bench.host.shutdown(assoc);
    let mut next = 0;
    for _ in 0..2 * COUNT {
        next = server
            .wait_for_from(next, |line| line.contains("Msg of length 10000 received"))
            .1;
    }
    server.kill();
}

#[test]
fn their_daytime_server_tells_the_time_and_shuts_down() {
    let Some(mut bench) = Bench::new(&[LOOPBACK]) else {
        return;
    };
    let mut server = bench.server("daytime_server");
    let assoc = bench.connect(13);
    let messages = bench.receive_to_the_end(assoc);
    let [message] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert!(text(message).contains(':'), "{message:?}");
    server.kill();
}

#[test]
fn their_chargen_server_floods_us() {
    let Some(mut bench) = Bench::new(&[LOOPBACK]) else {
        return;
    };
    let mut server = bench.server("chargen_server_upcall");
    // It sends the next message once the last one is acknowledged.
    let mut config = config();
    config.set_sack_frequency(1).unwrap();
    let assoc = bench.connect_with(19, config);
    // It begins when something wakes it up: this message, or in half a minute a heartbeat.
    bench.host.send(assoc, &content::message(0, 4, 0));
    for _ in 0..100 {
        let message = bench.host.receive(assoc);
        assert!(
            message
                .payload
                .iter()
                .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
        );
    }
    let reason = Bytes::from_static(b"enough");
    bench.host.act(|stack, now| stack.abort(now, assoc, reason)).unwrap();
    server.kill();
}

#[test]
fn their_tsctp_receives_bulk() {
    const COUNT: u32 = 2000;
    let Some(mut bench) = Bench::new(&[LOOPBACK]) else {
        return;
    };
    let (theirs, ours) = (THEIRS.to_string(), OURS.to_string());
    let mut server = bench.start("tsctp", &["-E", &theirs, "-U", &ours, "-p", "5001"]);
    let assoc = bench.connect(5001);
    bench.send_all(assoc, COUNT, 4000);
    bench.host.shutdown(assoc);
    // Length of the first message, messages, and more.
    server.wait_for_from(0, |line| line.starts_with("4000, 2000, "));
    server.kill();
}

// Our server, their clients.

/// Runs tsctp as the sender of `count` messages; gives what arrives until it shuts down.
fn tsctp_sends(count: usize, size: usize, args: &[&str], loss: u32) -> Option<Vec<Bytes>> {
    let mut bench = Bench::new(&[LOOPBACK])?;
    bench.host.listen(5001, config());
    let (theirs, ours) = (THEIRS.to_string(), OURS.to_string());
    let (count, size) = (count.to_string(), size.to_string());
    let mut words = vec!["-E", &theirs, "-U", &ours, "-p", "5001", "-n", &count, "-l", &size];
    words.extend(args);
    words.push(LOOPBACK);
    let mut client = bench.start("tsctp", &words);
    let assoc = bench.host.accept();
    bench.host.lose(loss, 0);
    let messages = bench.receive_to_the_end(assoc);
    assert!(client.wait().success(), "{}", client.text());
    Some(messages)
}

#[test]
fn their_tsctp_sends_bulk() {
    for args in [&[] as &[&str], &["-u"], &["-D"]] {
        let Some(messages) = tsctp_sends(2000, 4000, args, 0) else {
            return;
        };
        assert_eq!(messages.len(), 2000, "{args:?}");
        assert!(messages.iter().all(|message| message.len() == 4000));
    }
}

#[test]
fn rfc7496_3_1_their_tsctp_gives_messages_up() {
    let Some(messages) = tsctp_sends(2000, 1000, &["-P", "2", "-t", "0"], 20) else {
        return;
    };
    assert!((1000..2000).contains(&messages.len()), "{}", messages.len());
}

#[test]
fn their_http_client_gets_a_page() {
    let Some(mut bench) = Bench::new(&[LOOPBACK]) else {
        return;
    };
    bench.host.listen(80, config());
    let (theirs, ours) = (THEIRS.to_string(), OURS.to_string());
    let mut client = bench.start("http_client", &[LOOPBACK, "80", "0", &theirs, &ours, "/page"]);
    let assoc = bench.host.accept();
    let request = text(&bench.host.receive(assoc).payload);
    assert!(request.starts_with("GET /page HTTP/1."), "{request}");
    let page = Bytes::from_static(b"HTTP/1.0 200 OK\r\n\r\nwelcome\n");
    bench.host.send(assoc, &OutMessage::new(StreamId(0), Ppid(0), page));
    bench.host.shutdown(assoc);
    assert!(client.wait().success(), "{}", client.text());
    assert!(
        client.lines(Source::Stdout).iter().any(|line| line == "welcome"),
        "{}",
        client.text()
    );
}

#[test]
fn their_client_talks_line_by_line() {
    let Some(mut bench) = Bench::new(&[LOOPBACK]) else {
        return;
    };
    bench.host.listen(5001, config());
    let (theirs, ours) = (THEIRS.to_string(), OURS.to_string());
    let mut client = bench.start("client", &[LOOPBACK, "5001", "0", &theirs, &ours]);
    let assoc = bench.host.accept();
    for line in ["one", "two", "three"] {
        client.write_line(line);
        let message = bench.host.receive(assoc);
        assert_eq!(text(&message.payload), format!("{line}\n"));
        let answer = Bytes::from(format!("heard {line}\n"));
        bench.host.send(assoc, &OutMessage::new(StreamId(0), Ppid(0), answer));
    }
    let heard = |client: &Program| client.lines(Source::Stdout).iter().any(|line| line == "heard three");
    bench
        .host
        .until("the client prints the answers", |_| heard(&client).then_some(()));
    client.close_input();
    assert!(bench.receive_to_the_end(assoc).is_empty());
    assert!(client.wait().success(), "{}", client.text());
}

#[test]
fn their_client_notices_an_abort() {
    let Some(mut bench) = Bench::new(&[LOOPBACK]) else {
        return;
    };
    bench.host.listen(5001, config());
    let (theirs, ours) = (THEIRS.to_string(), OURS.to_string());
    let client = bench.start("client", &[LOOPBACK, "5001", "0", &theirs, &ours]);
    let assoc = bench.host.accept();
    let reason = Bytes::from_static(b"enough");
    bench.host.act(|stack, now| stack.abort(now, assoc, reason)).unwrap();
    client.wait_for("SCTP_COMM_LOST");
}

// What both know beyond RFC 9260.

#[test]
fn rfc3758_4_their_discard_server_goes_without_what_we_give_up() {
    const COUNT: u32 = 300;
    let Some(mut bench) = Bench::new(&[LOOPBACK]) else {
        return;
    };
    let mut server = bench.server("discard_server");
    let assoc = bench.connect(9);
    assert!(bench.host.status(assoc).partial_reliability);
    bench.host.lose(0, 10);
    for index in 0..COUNT {
        let message = OutMessage {
            reliability: Reliability::Retransmissions(0),
            ..content::message(index, 1000, 0)
        };
        bench.host.send(assoc, &message);
    }
    bench.host.shutdown(assoc);
    let failed = bench
        .host
        .log()
        .iter()
        .filter(|(_, event)| matches!(event, Event::SendFailed(_)))
        .count();
    let received = || {
        server
            .lines(Source::Stdout)
            .iter()
            .filter(|line| line.contains("Msg of length 1000"))
            .count()
    };
    assert!(failed > 0);
    let least = COUNT as usize - failed;
    bench
        .host
        .until("the server has the others", |_| (received() >= least).then_some(()));
    assert!(received() < COUNT as usize);
    server.kill();
}
