//! Devices on the loopback interface: what one sends the other receives, in trains and one by one.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp::config::{Marks, TagShare};
use sctp::{EcnCodepoint, IcmpKind, IcmpReport, RxMeta, Transmit, UdpPorts};

use super::option::set;
use super::{Device, Progress, Receiver, Trouble, UdpDevice};
use crate::Error;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn device(addresses: &[&str]) -> (Device, u16) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|text| ip(text)).collect();
    let udp = UdpDevice::bind(&addresses, 0).unwrap();
    let port = udp.port();
    (Device::Udp(Arc::new(udp)), port)
}

/// A UDP port of an address where nobody is: what has it hears itself alone, and keeps others from it.
#[cfg(target_os = "linux")]
fn closed(address: &str) -> (UdpSocket, u16) {
    let socket = UdpSocket::bind((ip(address), 0)).unwrap();
    let own = socket.local_addr().unwrap();
    socket.connect(own).unwrap();
    (socket, own.port())
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
        marks: Marks::default(),
        ecn: EcnCodepoint::NotEct,
    }
}

/// Sends all of it; what the device tells about that.
fn send(device: &Device, transmit: &Transmit, bytes: &[u8]) -> Vec<Trouble> {
    let (mut sent, mut troubles) = (0, Vec::new());
    let progress = device.send(transmit, bytes, &mut sent, &mut troubles);
    assert_eq!(progress, Progress::Done);
    troubles
}

/// Receives `count` datagrams from any descriptor of the device.
fn receive(device: &Device, count: usize) -> Vec<(RxMeta, Bytes)> {
    let mut receiver = Receiver::default();
    let mut received = Vec::new();
    let end = Instant::now() + Duration::from_secs(120);
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
fn refuse_trains(device: &Device) {
    for descriptor in device.descriptors() {
        set(descriptor, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
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

#[test]
fn rfc8899_3_what_does_not_leave_the_host_is_told_and_loses_nothing_else() {
    for (address, largest) in [("127.0.0.1", 65_535 - 28), ("::1", 65_536 - 48)] {
        let ((from, source), (to, destination)) = (device(&[address]), device(&[address]));
        let ports = UdpPorts { source, destination };
        let whole = train(1, largest, largest);
        let fits = transmit(Some(ip(address)), ip(address), ports, &whole, largest);
        assert!(send(&from, &fits, &whole).is_empty());
        let larger = train(1, largest + 1, largest + 1);
        let refused = transmit(Some(ip(address)), ip(address), ports, &larger, largest + 1);
        let mut troubles = send(&from, &refused, &larger);
        // The system may tell itself the same by ICMP.
        troubles.retain(|trouble| matches!(trouble, Trouble::TooBig { .. }));
        let [
            Trouble::TooBig {
                transmit: told,
                head,
                len,
            },
        ] = &troubles[..]
        else {
            panic!("{troubles:?}");
        };
        assert_eq!((told, *len), (&refused, largest + 1));
        assert_eq!(head[..], larger[..head.len()]);
        assert_eq!(receive(&to, 1)[0].1, whole);
        assert_eq!(from.stats().send_errors, 1);
    }
}

/// The ICMP messages about packets that left by the device's only descriptor.
#[cfg(target_os = "linux")]
fn reports(device: &Device) -> Vec<IcmpReport> {
    let mut troubles = Vec::new();
    let end = Instant::now() + Duration::from_secs(120);
    while troubles.is_empty() {
        assert!(Instant::now() < end, "ICMP is not told of");
        assert!(!device.read_errors(0, &mut troubles));
    }
    let report = |trouble| match trouble {
        Trouble::Icmp(report) => report,
        Trouble::TooBig { .. } => panic!("{trouble:?}"),
    };
    troubles.into_iter().map(report).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn rfc6951_5_5_a_port_where_nobody_is_is_told_with_the_packet() {
    for (bound, src, dst) in [
        (&["127.0.0.3"][..], "127.0.0.3", "127.0.0.1"),
        (&["::1"][..], "::1", "::1"),
        (&[][..], "127.0.0.5", "127.0.0.9"),
    ] {
        let (from, source) = device(bound);
        let (_closed, destination) = closed(dst);
        let ports = UdpPorts { source, destination };
        let bytes = train(1, 40, 40);
        assert!(send(&from, &transmit(Some(ip(src)), ip(dst), ports, &bytes, 40), &bytes).is_empty());
        let expected = IcmpReport {
            src: Some(ip(src)),
            dst: ip(dst),
            encap: Some(ports),
            kind: IcmpKind::PortUnreachable,
            quoted: bytes.into(),
        };
        assert_eq!(reports(&from), [expected]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_error_of_an_earlier_packet_does_not_lose_a_later_one() {
    for count in [1, 5] {
        let ((from, source), (to, destination)) = (device(&["127.0.0.1"]), device(&["127.0.0.1"]));
        let (_closed, nobody) = closed("127.0.0.1");
        let (lost, bytes) = (train(1, 40, 40), train(count, 1400, 1400));
        let to_nobody = UdpPorts {
            source,
            destination: nobody,
        };
        send(&from, &transmit(None, ip("127.0.0.1"), to_nobody, &lost, 40), &lost);
        // The answer is there before the call returns, or comes later and harms nothing.
        let ports = UdpPorts { source, destination };
        let troubles = send(&from, &transmit(None, ip("127.0.0.1"), ports, &bytes, 1400), &bytes);
        check_train(&receive(&to, count), &bytes, 1400);
        assert_eq!(from.stats().send_errors, 0);
        if troubles.is_empty() {
            assert_eq!(reports(&from).len(), 1);
        }
    }
}

#[test]
fn packets_that_may_be_fragmented_cross_as_well() {
    for address in ["127.0.0.1", "::1"] {
        let ((from, source), (to, destination)) = (device(&[address]), device(&[address]));
        let ports = UdpPorts { source, destination };
        let bytes = train(3, 2000, 2000);
        let whole = transmit(Some(ip(address)), ip(address), ports, &bytes, 2000);
        let loose = Transmit {
            dont_fragment: false,
            ..whole
        };
        for transmit in [whole, loose, whole] {
            send(&from, &transmit, &bytes);
            check_train(&receive(&to, 3), &bytes, 2000);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn packets_come_to_the_device_in_whose_share_their_tag_is() {
    for address in ["127.0.0.1", "::1"] {
        let tags = TagShare::new(0xC0FF_EE01, 4, 0);
        let shares = UdpDevice::bind_shares(&[ip(address)], 0, &tags).unwrap();
        let port = shares[0].port();
        let devices: Vec<Device> = shares.into_iter().map(|udp| Device::Udp(Arc::new(udp))).collect();
        let from = UdpSocket::bind((ip(address), 0)).unwrap();
        let mut expected = [0; 4];
        for number in 1..=200u32 {
            let tag = number.wrapping_mul(0x9E37_79B9);
            expected[usize::from(tags.of(tag))] += 1;
            let packet = [&[0, 1, 0, 2], &tag.to_be_bytes()[..], &[0; 20]].concat();
            from.send_to(&packet, (ip(address), port)).unwrap();
        }
        for (index, (device, expected)) in (0..).zip(devices.iter().zip(expected)) {
            assert!(expected > 0);
            for (_, datagram) in receive(device, expected) {
                let tag = u32::from_be_bytes(datagram[4..8].try_into().unwrap());
                assert_eq!(tags.of(tag), index);
            }
        }
    }
}

#[test]
fn shares_of_a_port_that_somebody_has_cannot_be_had() {
    let tags = TagShare::new(1, 2, 0);
    let shares = UdpDevice::bind_shares(&[ip("127.0.0.1")], 0, &tags).unwrap();
    let port = shares[0].port();
    let taken = UdpDevice::bind_shares(&[ip("127.0.0.1")], port, &tags).map(drop);
    assert!(matches!(taken, Err(Error::UdpPortInUse { .. })), "{taken:?}");
}
