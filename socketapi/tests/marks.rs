//! Code points and flow labels of packets, as they are on the wire (RFC 6458 §8.1.12).

#![cfg(all(feature = "userland", target_os = "linux"))]

mod common;

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use common::{at, has_kernel, on_kernel, stack, within};
use netns_tests::namespace::Namespace;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::{libc, setsockopt_impl, sockopt_impl};
use socketapi::{Error, FlowLabel, PathConfig, SctpSocket, SndInfo};

sockopt_impl!(
    /// Whether the flow label of what is received is told.
    ReceiveFlowInfo,
    SetOnly,
    libc::IPPROTO_IPV6,
    libc::IPV6_FLOWINFO,
    bool
);
sockopt_impl!(
    /// A `struct in6_flowlabel_req`.
    FlowLabels,
    SetOnly,
    libc::IPPROTO_IPV6,
    libc::IPV6_FLOWLABEL_MGR,
    [u8; 32]
);

fn label(number: u32) -> FlowLabel {
    FlowLabel::new(number).unwrap()
}

/// A UDP socket that takes what is sent to it, answers nothing, and tells the marks.
fn silent(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    if address.contains(':') {
        setsockopt(&socket, sockopt::Ipv6RecvTClass, &true).unwrap();
        setsockopt(&socket, ReceiveFlowInfo, &true).unwrap();
    } else {
        setsockopt(&socket, sockopt::IpRecvTos, &true).unwrap();
    }
    socket.set_read_timeout(Some(common::LIMIT)).unwrap();
    socket
}

/// The code point and the flow label of the next packet that arrives.
fn next_marks(socket: &UdpSocket) -> (u8, Option<u32>) {
    let (mut bytes, mut control) = ([0; 2000], nix::cmsg_space!(i32, u32));
    let mut buffers = [IoSliceMut::new(&mut bytes)];
    let message = loop {
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
        match recvmsg::<SockaddrStorage>(fd, &mut buffers, Some(&mut control), flags) {
            // A wait with a limit ends so where the process was stopped for a moment.
            Err(Errno::EINTR) => {}
            received => break received.unwrap(),
        }
    };
    let (mut octet, mut label) = (None, None);
    for control in message.cmsgs().unwrap() {
        match control {
            ControlMessageOwned::Ipv4Tos(tos) => octet = Some(tos),
            ControlMessageOwned::Ipv6TClass(class) => octet = u8::try_from(class).ok(),
            // The traffic class and the label, as on the wire.
            ControlMessageOwned::Unknown(other) => {
                let word = u32::from_be_bytes(other.data_bytes[..4].try_into().unwrap());
                label = Some(word & 0xf_ffff);
            }
            other => panic!("{other:?}"),
        }
    }
    (octet.unwrap() >> 2, label)
}

/// A message to the peer behind a UDP socket that answers nothing.
async fn send(socket: &SctpSocket, peer: SocketAddr, silent: &UdpSocket, change: impl FnOnce(&mut PathConfig)) {
    let mut params = socket.options().peer_addr_params(None).unwrap();
    assert_eq!((params.dscp(), params.flow_label()), (0, FlowLabel::NONE));
    change(&mut params);
    params.set_remote_encapsulation_port(Some(silent.local_addr().unwrap().port()));
    socket.options().set_peer_addr_params(None, params).unwrap();
    within(socket.send("x", &SndInfo::to_address(peer))).await.unwrap();
}

/// The marks of the first packet to a peer at `address`.
async fn first_marks(address: &str, change: impl FnOnce(&mut PathConfig)) -> (u8, Option<u32>) {
    let host = stack(&[address]).await;
    if has_kernel() {
        std::fs::write("/proc/sys/net/sctp/udp_port", "9899").unwrap();
    }
    let (socket, silent) = (host.socket(0).unwrap(), silent(address));
    send(&socket, at(address, 7), &silent, change).await;
    tokio::task::spawn_blocking(move || next_marks(&silent)).await.unwrap()
}

#[tokio::test]
async fn rfc6458_8_1_12_an_option_of_the_socket_marks_the_first_packet() {
    let marks = first_marks("127.0.0.1", |params| {
        params.set_dscp(34).unwrap();
        params.set_flow_label(label(0xabcde));
    });
    assert_eq!(marks.await, (34, None));
}

#[tokio::test]
async fn rfc6458_8_1_12_an_option_of_the_socket_labels_the_first_packet() {
    let marks = first_marks("::1", |params| params.set_flow_label(label(0xabcde)));
    assert_eq!(marks.await, (0, Some(0xabcde)));
}

#[tokio::test]
async fn rfc6458_8_1_12_a_code_point_and_a_flow_label_go_together() {
    let marks = first_marks("::1", |params| {
        params.set_dscp(46).unwrap();
        params.set_flow_label(FlowLabel::MAX);
    });
    assert_eq!(marks.await, (46, Some(0xf_ffff)));
}

#[tokio::test]
async fn rfc6458_8_1_12_another_flow_label_is_that_of_the_packets_to_come() {
    if on_kernel("a path keeps its label until its route changes") {
        return;
    }
    let host = stack(&["::1"]).await;
    let (socket, silent) = (host.socket(0).unwrap(), silent("::1"));
    let soon = Duration::from_millis(200);
    let mut times = socket.options().rto_info().unwrap();
    (times.initial, times.min) = (soon, soon);
    socket.options().set_rto_info(times).unwrap();
    send(&socket, at("::1", 7), &silent, |params| params.set_flow_label(label(7))).await;
    let options = socket.association(socket.associations().unwrap()[0]).options();
    let mut params = options.peer_addr_params(None).unwrap();
    params.set_flow_label(label(8));
    options.set_peer_addr_params(None, params).unwrap();
    // INIT, again and again.
    let other = move || (0..8).map(|_| next_marks(&silent)).find(|marks| marks.1 != Some(7));
    let other = tokio::task::spawn_blocking(other).await.unwrap();
    assert_eq!(other, Some((0, Some(8))));
}

/// What the socket, its association and the path of that have.
fn labels(socket: &SctpSocket) -> [u32; 3] {
    let id = socket.associations().unwrap()[0];
    let of = [
        socket.options().peer_addr_params(None),
        socket.association(id).options().peer_addr_params(None),
        socket
            .association(id)
            .options()
            .peer_addr_params(Some(common::ip("::1"))),
    ];
    of.map(|params| params.unwrap().flow_label().get())
}

#[tokio::test]
async fn rfc6458_8_1_12_sockets_associations_and_paths_have_flow_labels() {
    let (here, there) = (stack(&["::1"]).await, stack(&["::1"]).await);
    let client = if has_kernel() {
        here
    } else {
        common::stack_towards(&["::1"], &there).await
    };
    let server = there.socket(7).unwrap();
    server.listen(1).unwrap();
    let client = client.socket(0).unwrap();
    let set = |options: socketapi::Options, address: Option<&str>, number| {
        let address = address.map(common::ip);
        let mut params = options.peer_addr_params(address).unwrap();
        params.set_flow_label(label(number));
        options.set_peer_addr_params(address, params).unwrap();
    };
    set(client.options(), None, 1);
    let id = within(client.connect(at("::1", 7))).await.unwrap();
    assert_eq!(labels(&client), [1, 1, 1]);
    let options = || client.association(id).options();
    set(options(), Some("::1"), 2);
    assert_eq!(labels(&client), [1, 1, 2]);
    set(options(), None, 3);
    assert_eq!(labels(&client), [1, 3, 3]);
    set(client.options(), None, 4);
    assert_eq!(labels(&client), [4, 3, 3]);
    set(options(), Some("::1"), 0);
    assert_eq!(labels(&client), [4, 3, 0]);
    within(client.send("labelled", &SndInfo::to(id))).await.unwrap();
}

#[test]
fn rfc6458_8_1_12_a_flow_label_of_more_than_20_bits_is_refused() {
    let refused = FlowLabel::new(1 << 20).map_err(Error::from).unwrap_err();
    assert_eq!(refused.errno(), libc::EINVAL, "{refused}");
}

#[tokio::test]
async fn rfc6458_8_1_12_packets_go_without_a_flow_label_where_the_host_refuses_it() {
    if on_kernel("its own packets need no leave of it") {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    namespace.enter();
    // Someone has a label for himself; then nobody uses any label without having asked for it (RFC 6437 §3).
    let mut request = [0; 32];
    request[15] = 1;
    request[16..20].copy_from_slice(&0x11111_u32.to_be_bytes());
    // IPV6_FL_A_GET, IPV6_FL_S_EXCL, IPV6_FL_F_CREATE.
    request[20..24].copy_from_slice(&[0, 1, 1, 0]);
    let owner = UdpSocket::bind("[::1]:0").unwrap();
    setsockopt(&owner, FlowLabels, &request).unwrap();
    let (dscp, own) = first_marks("::1", |params| {
        params.set_dscp(10).unwrap();
        params.set_flow_label(label(0xabcde));
    })
    .await;
    assert_eq!(dscp, 10);
    assert_ne!(own, Some(0xabcde));
}
