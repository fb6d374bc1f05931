//! Code points of packets, as they are on the wire (RFC 6458 §8.1.12).

#![cfg(all(feature = "userland", target_os = "linux"))]

mod common;

use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use common::{stack_towards_silence, within};
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

#[tokio::test]
async fn rfc6458_8_1_12_an_option_of_the_socket_marks_the_first_packet() {
    let (stack, peer, silence) = stack_towards_silence().await;
    let silent = silence.socket.unwrap();
    setsockopt(&silent, sockopt::IpRecvTos, &true).unwrap();
    silent.set_read_timeout(Some(common::LIMIT)).unwrap();
    let socket = stack.socket(0).unwrap();
    let mut params = socket.options().peer_addr_params(None).unwrap();
    assert_eq!(params.dscp(), 0);
    params.set_dscp(34).unwrap();
    socket.options().set_peer_addr_params(None, params).unwrap();
    let info = SndInfo::to_address(peer);
    within(socket.send("x", &info)).await.unwrap();
    let dscp = tokio::task::spawn_blocking(move || next_dscp(&silent)).await.unwrap();
    assert_eq!(dscp, 34);
}
