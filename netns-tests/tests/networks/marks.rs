//! Code points and flow labels on the wire, by each device.

use netns_tests::capture::Capture;
use netns_tests::namespace::Namespace;
use netns_tests::process::PATIENCE;
use netns_tests::rootless::as_root;
use socketapi::{AssociationConfig, DeviceConfig, FlowLabel, SndInfo, SocketBuilder, StackHandle, TunConfig};
use tokio::runtime::Runtime;

use crate::common::{UDP_PORT, file, ip, packets};

const CLIENT: &str = "fd00::1";
const SERVER: &str = "fd00::2";
/// The host before a TUN interface, and the stack behind it.
const TUN: [&str; 2] = ["fd98::1", "fd98::2"];

/// Two hosts with a cable between them; the second knows the way to what is behind the first one.
fn cabled() -> Option<[Namespace; 2]> {
    let hosts = [Namespace::new()?, Namespace::new()?];
    let [one, two] = &hosts;
    one.cable("eth0", two, "eth0");
    one.run(&format!(
        "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
         ip address add {CLIENT}/64 dev eth0 nodad"
    ));
    two.run(&format!(
        "ip address add {SERVER}/64 dev eth0 nodad
         ip route add fd98::/64 via {CLIENT}"
    ));
    Some(hosts)
}

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap()
}

/// An association from a stack on `device` at `address` to a server on `server_device`: every packet of the client's
/// has its marks where it arrives; the server's have none.
fn marked(name: &str, device: DeviceConfig, address: &str, server_device: DeviceConfig) {
    let Some([one, two]) = cabled() else { return };
    let filter = format!("udp port {UDP_PORT} or sctp");
    let capture = two.inside(|| Capture::filtered("eth0", UDP_PORT, &filter, &file(name, "server")));
    let Some(capture) = capture else { return };
    let start = |device, address| {
        let builder = StackHandle::builder().device(device).addresses([ip(address)]);
        builder.udp_port(UDP_PORT).start_blocking().unwrap()
    };
    let mut config = AssociationConfig::default();
    config.path_mut().set_dscp(46).unwrap();
    config.path_mut().set_flow_label(FlowLabel::new(0xabcde).unwrap());

    let server = two.inside(|| start(server_device, SERVER));
    let client = one.inside(|| start(device, address));
    let at = |port| (ip(SERVER), port);
    let (server, client) = (
        SocketBuilder::new().stack(&server),
        SocketBuilder::new().stack(&client).association(config),
    );
    runtime().block_on(async {
        let session = async {
            let listener = server.listen(at(7), 1).await.unwrap();
            let stream = client.connect(at(7)).await.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            // More than a packet.
            stream.send(vec![1; 5000], &SndInfo::new()).await.unwrap();
            assert_eq!(accepted.recv().await.unwrap().unwrap().payload.len(), 5000);
            stream.close().await.unwrap();
            accepted.close().await.unwrap();
        };
        tokio::time::timeout(PATIENCE, session).await.expect("it ends in time");
    });

    let fields = ["ipv6.src", "ipv6.tclass.dscp", "ipv6.flow"];
    let arrived = packets(&capture.stop(), &fields);
    let (ours, theirs): (Vec<_>, Vec<_>) = arrived.iter().partition(|packet| packet[0] == address);
    assert!(ours.len() > 6 && theirs.len() > 3, "{arrived:?}");
    let label = |packet: &[String]| u32::from_str_radix(packet[2].trim_start_matches("0x"), 16).unwrap();
    assert!(
        ours.iter().all(|packet| packet[1] == "46" && label(packet) == 0xabcde),
        "{name}: {ours:?}"
    );
    assert!(theirs.iter().all(|packet| packet[1] == "0"), "{name}: {theirs:?}");
}

#[test]
fn rfc6458_8_1_12_udp_packets_have_a_code_point_and_a_flow_label() {
    as_root(|| marked("marks-udp", DeviceConfig::Udp, CLIENT, DeviceConfig::Udp));
}

#[test]
fn rfc6458_8_1_12_packets_of_raw_sockets_have_a_code_point_and_a_flow_label() {
    as_root(|| marked("marks-raw", DeviceConfig::Raw, CLIENT, DeviceConfig::Raw));
}

#[test]
fn rfc6458_8_1_12_packets_from_behind_a_tun_interface_have_a_code_point_and_a_flow_label() {
    let [host, own] = TUN;
    let config = TunConfig::new("sctp0").host(ip(host), 64).address(ip(own));
    as_root(|| marked("marks-tun", DeviceConfig::Tun(config), own, DeviceConfig::Udp));
}
