//! A deployment: each program on a host of its own, in network namespaces at one switch.
//!
//! Captures are left in the build's folder, under `tmp/networks`.

use std::path::Path;

use netns_tests::capture::{Capture, Decoder};
use netns_tests::namespace::Namespace;
use netns_tests::process::{Program, Source};
use netns_tests::require;
use netns_tests::rootless::as_root;

/// Hosts 10.0.0.1 to 10.0.0.4 at a switch.
struct Network {
    hosts: Vec<Namespace>,
    switch: Namespace,
}

impl Network {
    fn new() -> Option<Self> {
        let switch = Namespace::new()?;
        switch.run("ip link add switch type bridge; ip link set switch up");
        let mut hosts = Vec::new();
        for number in 1..=4 {
            let host = Namespace::new()?;
            host.cable("eth0", &switch, &format!("plug{number}"));
            host.run(&format!(
                "ip address add 10.0.0.{number}/24 dev eth0; ip route add default dev eth0"
            ));
            switch.run(&format!("ip link set plug{number} master switch"));
            hosts.push(host);
        }
        Some(Self { hosts, switch })
    }

    fn host(&self, number: usize) -> &Namespace {
        &self.hosts[number - 1]
    }

    /// Starts a program on a host. Nobody is told where the registrar is.
    fn start(&self, number: usize, program: &str, args: &[&str]) -> Program {
        let local = format!("10.0.0.{number}");
        let args = [&["--local", &local], args].concat();
        self.host(number).inside(|| Program::start(program, args))
    }

    /// A registrar at host 1, servers at hosts 2 and 3.
    fn deploy(&self) -> (Program, [Program; 2]) {
        let registrar = self.start(1, env!("CARGO_BIN_EXE_rspregistrar"), &[]);
        registrar.wait_for("registrar 0x");
        let servers = [2, 3].map(|number| {
            let identifier = number.to_string();
            let args = ["--pingpong", "--identifier", &identifier];
            let server = self.start(number, env!("CARGO_BIN_EXE_rspserver"), &args);
            server.wait_for("is registered");
            server
        });
        (registrar, servers)
    }

    /// Captures what host 4, the client's, sends and receives.
    fn capture(&self, test: &str) -> Option<Capture> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("networks");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{test}.pcapng"));
        self.host(4).inside(|| Capture::filtered("eth0", 9899, "udp", &file))
    }
}

/// What arrives at a host that has joined the group, as Wireshark sees it.
fn announces(decoder: &Decoder) -> usize {
    let packets = decoder.packets(
        "ip.dst == 239.0.0.50 && udp.dstport == 3863",
        &["ip.src", "asap.message_type"],
    );
    let right = |packet: &&String| packet.as_str() == "10.0.0.1\t10";
    let announces = packets.iter().filter(right).count();
    assert_eq!(announces, packets.len(), "{packets:?}");
    announces
}

/// Whether the packets between the hosts are in order, and carry pings and pongs.
fn check_sessions(decoder: &Decoder) {
    let fields = ["sctp.checksum.status", "_ws.malformed", "pingpongprotocol.message_type"];
    let packets = decoder.packets("sctp && !icmp", &fields);
    let packets: Vec<Vec<&str>> = packets.iter().map(|packet| packet.split('\t').collect()).collect();
    let mut wrong = packets
        .iter()
        .filter(|packet| packet[0] != "1" || !packet[1].is_empty());
    assert_eq!(wrong.next(), None);
    for kind in ["1", "2"] {
        assert!(
            packets.iter().any(|packet| packet[2].split(',').any(|k| k == kind)),
            "messages of type {kind}"
        );
    }
}

/// Pings while something befalls the server that serves first; another one must go on without any loss.
fn failover(test: &str, befall: impl FnOnce(&Network, usize, &mut Program)) {
    let Some(network) = Network::new() else { return };
    let Some(capture) = network.capture(test) else { return };
    let (registrar, mut servers) = network.deploy();
    let args = ["--interval", "50", "--replytimeout", "1000"];
    let mut client = network.start(4, env!("CARGO_BIN_EXE_pingpongclient"), &args);
    let (line, seen) = client.wait_for_from(0, |line| line.contains("serves"));
    let first = if line.contains("0x00000002") { 2 } else { 3 };
    client.wait_for("pong 10,");
    befall(&network, first, &mut servers[first - 2]);
    let (line, seen) = client.wait_for_from(seen, |line| line.contains("serves now"));
    assert!(line.contains(&format!("0x0000000{}", 5 - first)), "{line}");
    let (line, seen) = client.wait_for_from(seen, |line| line.starts_with("failover completed"));
    require::say(&format!("{test}: {line}"));
    client.wait_for_from(seen, |line| line.starts_with("pong"));
    client.interrupt();
    assert!(client.wait().success(), "{}", client.text());
    let lost = client.wait_for("replies lost");
    assert_eq!(lost.split_whitespace().last(), Some("0"));
    client.wait_for("none left out");
    drop(registrar);
    let decoder = capture.stop();
    check_sessions(&decoder);
    assert!(announces(&decoder) > 0, "no announces");
}

#[test]
fn a_killed_server_on_another_host_costs_nothing() {
    as_root(|| {
        failover("rserpool-kill", |_, _, server| server.kill());
    });
}

#[test]
fn a_server_whose_cable_is_pulled_costs_nothing() {
    as_root(|| {
        failover("rserpool-cable", |network, number, _| {
            network.switch.run(&format!("ip link set plug{number} down"));
        });
    });
}

#[test]
fn rfc5352_3_7_a_registrar_is_found_by_its_announces_to_a_multicast_group() {
    as_root(|| {
        let Some(network) = Network::new() else { return };
        let Some(capture) = network.capture("rserpool-announces") else {
            return;
        };
        // The server is there first, and hears of the registrar when that begins.
        let server = network.start(2, env!("CARGO_BIN_EXE_rspserver"), &["--pingpong", "--identifier", "2"]);
        let registrar = network.start(1, env!("CARGO_BIN_EXE_rspregistrar"), &[]);
        server.wait_for("is registered");
        let args = ["--interval", "20", "--count", "20", "--quiet"];
        let mut client = network.start(4, env!("CARGO_BIN_EXE_pingpongclient"), &args);
        assert!(client.wait().success(), "{}", client.text());
        assert!(!registrar.lines(Source::Stdout).is_empty() || !registrar.lines(Source::Stderr).is_empty());
        let decoder = capture.stop();
        assert!(announces(&decoder) > 0, "no announces");
        check_sessions(&decoder);
    });
}
