//! Devices on the loopback interface: what one sends the other receives, in trains and one by one.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp::{RxMeta, Transmit, UdpPorts};

use super::{Device, Progress, Receiver, UdpDevice};
use crate::Error;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn device(addresses: &[&str]) -> (Device, u16) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|text| ip(text)).collect();
    let udp = UdpDevice::bind(&addresses, 0).unwrap();
    let port = udp.port();
    (Device::Udp(udp), port)
}

/// Packets of `segment` bytes, the last one of `last`, each filled with its number.
fn train(count: usize, segment: usize, last: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..count {
        let size = if number + 1 == count { last } else { segment };
        bytes.extend(std::iter::repeat_n(u8::try_from(number).unwrap(), size));
    }
    bytes
}

fn transmit(src: Option<IpAddr>, dst: IpAddr, ports: UdpPorts, bytes: &[u8], segment: usize) -> Transmit {
    Transmit {
        src,
        dst,
        encap: Some(ports),
        size: bytes.len(),
        segment_size: segment,
        dont_fragment: true,
    }
}

/// Sends all of it.
fn send(device: &Device, transmit: &Transmit, bytes: &[u8]) {
    let mut sent = 0;
    assert_eq!(device.send(transmit, bytes, &mut sent), Progress::Done);
}

/// Receives `count` datagrams from any descriptor of the device.
fn receive(device: &Device, count: usize) -> Vec<(RxMeta, Bytes)> {
    let mut receiver = Receiver::new();
    let mut received = Vec::new();
    let end = Instant::now() + Duration::from_secs(30);
    while received.len() < count {
        assert!(
            Instant::now() < end,
            "only {} of {count} datagrams came",
            received.len()
        );
        for index in 0..device.descriptors().len() {
            received.extend(device.receive(index, &mut receiver).into_iter().flatten());
        }
    }
    assert_eq!(received.len(), count);
    received
}

fn check_train(received: &[(RxMeta, Bytes)], sent: &[u8], segment: usize) {
    for ((_, datagram), expected) in received.iter().zip(sent.chunks(segment)) {
        assert_eq!(datagram, expected);
    }
}

fn crosses_in_one_train(address: &str) {
    let ((from, source), (to, destination)) = (device(&[address]), device(&[address]));
    let bytes = train(12, 1400, 100);
    let ports = UdpPorts { source, destination };
    send(
        &from,
        &transmit(Some(ip(address)), ip(address), ports, &bytes, 1400),
        &bytes,
    );
    let received = receive(&to, 12);
    check_train(&received, &bytes, 1400);
    for (meta, _) in &received {
        assert_eq!((meta.src, meta.dst), (ip(address), ip(address)));
        assert_eq!(meta.encap, Some(ports));
    }
    let calls = if from.max_segments() >= 12 { 1 } else { 12 };
    assert_eq!(from.stats().send_calls, calls);
    assert_eq!(from.stats().send_errors, 0);
}

#[test]
fn a_train_of_packets_crosses_ipv4_in_one_call() {
    crosses_in_one_train("127.0.0.1");
}

#[test]
fn a_train_of_packets_crosses_ipv6_in_one_call() {
    crosses_in_one_train("::1");
}

#[test]
fn a_train_longer_than_a_datagram_may_be_is_cut() {
    let ((from, source), (to, destination)) = (device(&["127.0.0.1"]), device(&["127.0.0.1"]));
    let bytes = train(40, 2000, 2000);
    let transmit = transmit(None, ip("127.0.0.1"), UdpPorts { source, destination }, &bytes, 2000);
    send(&from, &transmit, &bytes);
    check_train(&receive(&to, 40), &bytes, 2000);
    assert!(from.stats().send_calls >= 2);
}

#[cfg(target_os = "linux")]
#[test]
fn packets_of_a_train_go_one_by_one_where_trains_fail() {
    let ((from, source), (to, destination)) = (device(&["127.0.0.1"]), device(&["127.0.0.1"]));
    refuse_trains(&from);
    let bytes = train(5, 1400, 100);
    let transmit = transmit(None, ip("127.0.0.1"), UdpPorts { source, destination }, &bytes, 1400);
    send(&from, &transmit, &bytes);
    check_train(&receive(&to, 5), &bytes, 1400);
    assert_eq!((from.stats().send_calls, from.stats().send_errors), (5, 0));
    assert_eq!(from.max_segments(), 1);
}

/// Linux sends no trains from a socket without UDP checksums: it answers EINVAL, as drivers do that cannot cut.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no wrapper has this socket option")]
fn refuse_trains(device: &Device) {
    use std::os::fd::AsRawFd;

    for descriptor in device.descriptors() {
        let on: libc::c_int = 1;
        // SAFETY: the pointer and the length are those of a live integer, which the call only reads.
        let outcome = unsafe {
            libc::setsockopt(
                descriptor.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_NO_CHECK,
                (&raw const on).cast(),
                libc::socklen_t::try_from(size_of_val(&on)).unwrap(),
            )
        };
        assert_eq!(outcome, 0);
    }
}

#[test]
fn on_all_addresses_the_source_is_what_the_engine_says() {
    let ((from, source), (to, destination)) = (device(&[]), device(&[]));
    let ports = UdpPorts { source, destination };
    for (src, dst) in [("127.0.0.5", "127.0.0.9"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1")] {
        let bytes = train(1, 100, 100);
        send(&from, &transmit(Some(ip(src)), ip(dst), ports, &bytes, 100), &bytes);
        let received = receive(&to, 1);
        assert_eq!((received[0].0.src, received[0].0.dst), (ip(src), ip(dst)));
    }
}

#[test]
fn with_several_addresses_the_source_chooses_the_socket() {
    let ((from, source), (to, destination)) = (device(&["127.0.0.3", "127.0.0.4", "::1"]), device(&["127.0.0.6"]));
    let ports = UdpPorts { source, destination };
    let bytes = train(1, 100, 100);
    for src in ["127.0.0.4", "127.0.0.3"] {
        send(
            &from,
            &transmit(Some(ip(src)), ip("127.0.0.6"), ports, &bytes, 100),
            &bytes,
        );
        assert_eq!(receive(&to, 1)[0].0.src, ip(src));
    }
    // Without a source, the family has to fit.
    send(&from, &transmit(None, ip("127.0.0.6"), ports, &bytes, 100), &bytes);
    assert_eq!(receive(&to, 1)[0].0.src, ip("127.0.0.3"));
}

#[test]
fn what_the_system_refuses_to_send_is_lost_and_counted() {
    let ((from, source), (to, destination)) = (device(&["127.0.0.1"]), device(&["127.0.0.1"]));
    let ports = UdpPorts { source, destination };
    let bytes = train(3, 100, 100);
    // A broadcast without permission, and a source that the device does not have.
    send(
        &from,
        &transmit(None, ip("255.255.255.255"), ports, &bytes, 100),
        &bytes,
    );
    send(
        &from,
        &transmit(Some(ip("127.0.0.77")), ip("127.0.0.1"), ports, &bytes, 100),
        &bytes,
    );
    assert!(from.stats().send_errors >= 2);
    send(&from, &transmit(None, ip("127.0.0.1"), ports, &bytes, 100), &bytes);
    assert_eq!(receive(&to, 3).len(), 3);
}

#[test]
fn a_drawn_port_is_the_same_on_every_address() {
    let udp = UdpDevice::bind(&[ip("127.0.0.1"), ip("127.0.0.2"), ip("::1")], 0).unwrap();
    assert_ne!(udp.port(), 0);
    let taken = UdpDevice::bind(&[ip("127.0.0.2")], udp.port());
    let expected = Error::UdpPortInUse {
        address: ip("127.0.0.2"),
        port: udp.port(),
    };
    assert_eq!(taken.map(drop), Err(expected));
}

#[test]
fn an_address_of_another_host_cannot_be_had() {
    assert_eq!(
        UdpDevice::bind(&[ip("192.0.2.1")], 0).map(drop),
        Err(Error::AddressNotAvailable)
    );
}

#[test]
fn single_packets_and_full_trains_arrive_whole() {
    let ((from, source), (to, destination)) = (device(&["127.0.0.1"]), device(&["127.0.0.1"]));
    let ports = UdpPorts { source, destination };
    for (count, segment) in [(1, 60), (40, 1400)] {
        let bytes = train(count, segment, segment);
        send(&from, &transmit(None, ip("127.0.0.1"), ports, &bytes, segment), &bytes);
        check_train(&receive(&to, count), &bytes, segment);
    }
}
