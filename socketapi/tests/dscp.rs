//! Code points of packets, as they are on the wire (RFC 6458 §8.1.12).

#![cfg(all(feature = "userland", target_os = "linux"))]

mod common;

use std::io::IoSliceMut;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use common::{Host, at, has_kernel, stack, stack_towards_silence, within};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use socketapi::SndInfo;

/// The code point of the next packet that arrives.
fn next_dscp(socket: &UdpSocket) -> u8 {
    let (mut bytes, mut control) = ([0; 2000], nix::cmsg_space!(i32));
    let mut buffers = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut buffers, Some(&mut control), MsgFlags::empty());
    let message = message.unwrap();
    let octet = message.cmsgs().unwrap().find_map(|control| match control {
        ControlMessageOwned::Ipv4Tos(tos) => Some(tos),
        _ => None,
    });
    octet.unwrap() >> 2
}

/// A host, and a peer whose UDP socket takes what is sent to it and answers nothing.
async fn towards_udp() -> (Host, SocketAddr, UdpSocket) {
    if !has_kernel() {
        let (host, peer, silence) = stack_towards_silence().await;
        return (host, peer, silence.socket.unwrap());
    }
    let host = stack(&["127.0.0.1"]).await;
    std::fs::write("/proc/sys/net/sctp/udp_port", "9899").unwrap();
    (host, at("127.0.0.1", 7), UdpSocket::bind("127.0.0.1:0").unwrap())
}

#[tokio::test]
async fn rfc6458_8_1_12_an_option_of_the_socket_marks_the_first_packet() {
    let (stack, peer, silent) = towards_udp().await;
    setsockopt(&silent, sockopt::IpRecvTos, &true).unwrap();
    silent.set_read_timeout(Some(common::LIMIT)).unwrap();
    let socket = stack.socket(0).unwrap();
    let mut params = socket.options().peer_addr_params(None).unwrap();
    assert_eq!(params.dscp(), 0);
    params.set_dscp(34).unwrap();
    if has_kernel() {
        params.set_remote_encapsulation_port(Some(silent.local_addr().unwrap().port()));
    }
    socket.options().set_peer_addr_params(None, params).unwrap();
    let info = SndInfo::to_address(peer);
    within(socket.send("x", &info)).await.unwrap();
    let dscp = tokio::task::spawn_blocking(move || next_dscp(&silent)).await.unwrap();
    assert_eq!(dscp, 34);
}
