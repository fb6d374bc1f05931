//! A host that gets and loses addresses while it sends (RFC 5061).
//!
//! The kernel tells of changes, and the engine tells its peers by itself.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use netns_tests::content;
use netns_tests::host::Host;
use netns_tests::namespace::Namespace;
use netns_tests::process::PATIENCE;
use netns_tests::rootless::as_root;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketType, bind, recv, socket};
use sctp::config::AssociationConfig;
use sctp::wire::AddressChange;
use sctp::{AssocId, Event};

use crate::common::{UDP_PORT, capture, ip, packets};

const TEST: &str = "addresses";
const SIZE: usize = 1000;
const BEFORE: &str = "10.0.0.1";
const AFTER: &str = "10.0.1.1";
const SERVER: [&str; 2] = ["10.0.0.2", "10.0.1.2"];

/// Notices that the namespace gets or loses an IPv4 address.
struct Watch(OwnedFd);

impl Watch {
    /// `RTMGRP_IPV4_IFADDR`.
    const ADDRESSES: u32 = 0x10;

    fn new() -> Self {
        // Without a protocol it is `NETLINK_ROUTE`.
        let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None).unwrap();
        bind(&socket, &SocketAddrNetlink::new(0, Self::ADDRESSES)).unwrap();
        Self(socket)
    }

    /// Hands the system's addresses to the host if they have changed.
    fn tell(&self, host: &mut Host) {
        let mut changed = false;
        while recv(&self.0, &mut [0; 4096], RecvFlags::DONTWAIT).is_ok() {
            changed = true;
        }
        if changed {
            host.set_addresses(&addresses());
        }
    }
}

/// The addresses that this thread's namespace has now.
fn addresses() -> Vec<IpAddr> {
    let output = Command::new("ip")
        .args(["-4", "-o", "address", "show", "dev", "eth0"])
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let address = |line: &str| {
        let (_, rest) = line.split_once("inet ")?;
        rest.split_once('/')?.0.parse().ok()
    };
    text.lines().filter_map(address).collect()
}

fn config() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.asconf_mut().set_offered(true);
    config.asconf_mut().set_automatic(true);
    config
}

/// Receives until the peer shuts down; gives how many messages came, and the peer's addresses before that.
fn serve(listens: &mpsc::Sender<()>) -> (u32, Vec<IpAddr>) {
    let mut host = Host::udp(&SERVER.map(ip), UDP_PORT);
    host.listen(7, config());
    listens.send(()).unwrap();
    let assoc = host.accept();
    let mut next = 0;
    let mut peer = Vec::new();
    host.until("the peer shuts down", |host| {
        while let Some(message) = host.try_receive(assoc) {
            assert_eq!(content::index(&message.payload), next);
            next += 1;
            peer = host.status(assoc).paths.iter().map(|path| path.address).collect();
        }
        host.happened(assoc, |event| matches!(event, Event::ShutdownComplete))
    });
    // Should the last packet be lost, the client asks for it.
    host.run(Duration::from_millis(100));
    (next, peer)
}

/// A client that sends all the time.
struct Client {
    host: Host,
    watch: Watch,
    assoc: AssocId,
    sent: u32,
}

impl Client {
    /// Sends, and tells of addresses, until the peer has agreed to a change; then sends some more.
    fn send_until(&mut self, wanted: AddressChange) {
        let (watch, assoc, sent) = (&self.watch, self.assoc, &mut self.sent);
        let mut more = 50;
        self.host.until(&format!("{wanted:?} is answered"), |host| {
            watch.tell(host);
            if host.try_send(assoc, content::message(*sent, SIZE, 0)) {
                *sent += 1;
            }
            host.happened(
                assoc,
                |event| matches!(event, Event::AddressChangeAnswered { change, refused: None } if *change == wanted),
            )?;
            more -= 1;
            (more == 0).then_some(())
        });
    }
}

#[test]
fn rfc5061_5_1_addresses_that_come_and_go_are_told_by_themselves() {
    as_root(|| {
        let (Some(one), Some(two)) = (Namespace::new(), Namespace::new()) else {
            return;
        };
        one.cable("eth0", &two, "eth0");
        one.run(&format!("ip address add {BEFORE}/24 dev eth0"));
        let [first, second] = SERVER;
        two.run(&format!(
            "ip address add {first}/24 dev eth0; ip address add {second}/24 dev eth0"
        ));
        let Some(capture) = capture(&two, "eth0", TEST, "server") else {
            return;
        };
        let (listens, listening) = mpsc::channel();
        let (sent, (received, peer)) = thread::scope(|scope| {
            let serving = scope.spawn(|| two.inside(|| serve(&listens)));
            listening.recv_timeout(PATIENCE).expect("the server listens");
            let sent = one.inside(|| {
                let watch = Watch::new();
                let mut host = Host::udp(&addresses(), UDP_PORT);
                let endpoint = host.bind(None, config());
                let assoc = host.connect(endpoint, &[ip(first)], 7);
                let mut client = Client {
                    host,
                    watch,
                    assoc,
                    sent: 0,
                };
                one.run(&format!("ip address add {AFTER}/24 dev eth0"));
                client.send_until(AddressChange::Add(ip(AFTER)));
                one.run(&format!("ip address del {BEFORE}/24 dev eth0"));
                client.send_until(AddressChange::Delete(ip(BEFORE)));
                client.host.shutdown(assoc);
                client.host.run(Duration::from_millis(100));
                client.sent
            });
            (sent, serving.join().unwrap())
        });
        assert_eq!(sent, received, "messages sent and received");
        assert_eq!(peer, [ip(AFTER)], "the peer's addresses in the end");
        let fields = ["ip.src", "sctp.chunk_type", "sctp.parameter_type"];
        let packets = packets(&capture.stop(), &fields);
        let asks = |from: &str, parameter: &str| {
            packets.iter().any(|packet| {
                let asconf = packet[1].split(',').any(|kind| matches!(kind, "193" | "0xc1"));
                packet[0] == from && asconf && packet[2].contains(parameter)
            })
        };
        assert!(
            asks(BEFORE, "0xc001") || asks(AFTER, "0xc001"),
            "a request to add: {packets:?}"
        );
        assert!(asks(AFTER, "0xc002"), "a request to delete, from the new address");
    });
}
