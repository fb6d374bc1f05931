use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;

use super::*;
use crate::sim::link::{Fate, Loss, Verdict};
use crate::sim::packet::Transport;
use crate::sim::{Script, write_pcap};
use crate::{EcnCodepoint, UdpPorts};

fn packet(src: &str, dst: &str, payload: &'static [u8]) -> Packet {
    Packet {
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        transport: Transport::Sctp,
        ecn: EcnCodepoint::NotEct,
        payload: Bytes::from_static(payload),
    }
}

/// Two scripted hosts on two links.
fn pair(seed: u64, config: &LinkConfig) -> (World, [LinkId; 2], [HostId; 2]) {
    let mut world = World::new(seed);
    let one = world.add_link("one", config.clone());
    let two = world.add_link("two", config.clone());
    let [a, b] = ["a", "b"].map(|name| {
        let last = if name == "a" { "1" } else { "2" };
        world.add_host(
            HostConfig::scripted(name)
                .interface(one, &[&format!("10.1.0.{last}")])
                .interface(two, &[&format!("10.2.0.{last}"), &format!("fd02::{last}")]),
        )
    });
    (world, [one, two], [a, b])
}

#[test]
fn a_packet_goes_to_whoever_has_the_address_after_the_latency() {
    let (mut world, [one, two], [a, b]) = pair(1, &LinkConfig::lan());
    world.inject(a, packet("10.1.0.1", "10.1.0.2", b"v4"));
    world.inject(a, packet("fd02::1", "fd02::2", b"v6"));
    world.inject(a, packet("10.1.0.1", "10.9.0.2", b"nobody"));
    world.inject(b, packet("10.1.0.2", "10.2.0.2", b"to itself"));
    world.run_for(Duration::from_millis(1));
    let received = world.received(b);
    let payloads: Vec<&[u8]> = received.iter().map(|(_, packet)| &packet.payload[..]).collect();
    assert_eq!(payloads, [&b"to itself"[..], b"v4", b"v6"]);
    assert_eq!(received[1].0, Instant::ZERO + Duration::from_micros(200));
    assert_eq!(world.now(), Instant::from_millis(1));
    assert_eq!(world.host_stats(a).unroutable, 1);
    assert_eq!(
        [world.link_stats(one).delivered, world.link_stats(two).delivered],
        [1, 1]
    );
    assert!(world.received(a).is_empty());
}

#[test]
fn a_cut_link_loses_what_is_on_its_way_and_a_script_restores_it() {
    let (mut world, [one, _], [a, b]) = pair(1, &LinkConfig::new().latency(Duration::from_millis(500)));
    let seconds = Duration::from_secs;
    Script::new()
        .at(seconds(3))
        .cut(one)
        .at(seconds(9))
        .restore(one)
        .play(&mut world);
    for ms in [1_000, 2_900, 5_000, 9_500] {
        world.run_until(Instant::from_millis(ms));
        world.inject(a, packet("10.1.0.1", "10.1.0.2", b"x"));
    }
    world.run_for(seconds(5));
    let at: Vec<Instant> = world.received(b).into_iter().map(|(at, _)| at).collect();
    assert_eq!(at, [Instant::from_millis(1_500), Instant::from_millis(10_000)]);
    assert_eq!(world.link_stats(one).lost_down, 2);
}

#[test]
fn hosts_that_are_paused_or_down_get_nothing_or_get_it_later() {
    let (mut world, _, [a, b]) = pair(1, &LinkConfig::lan());
    let send = |world: &mut World| {
        world.inject(a, packet("10.1.0.1", "10.1.0.2", b"x"));
        world.run_for(Duration::from_millis(10));
    };
    world.pause(b);
    send(&mut world);
    assert!(world.received(b).is_empty());
    world.resume(b);
    let received = world.received(b);
    assert_eq!((received.len(), received[0].0), (1, Instant::from_millis(10)));
    world.crash(b);
    send(&mut world);
    world.restart(b);
    assert!(world.received(b).is_empty());
    assert_eq!(world.host_stats(b).lost, 1);
    send(&mut world);
    assert_eq!(world.received(b).len(), 1);
}

#[test]
fn a_multicast_reaches_every_other_host_on_the_link() {
    let mut world = World::new(1);
    let link = world.add_link("lan", LinkConfig::lan());
    let hosts: Vec<HostId> = (1..=4)
        .map(|n| world.add_host(HostConfig::scripted(&format!("h{n}")).interface(link, &[&format!("10.0.0.{n}")])))
        .collect();
    let ports = UdpPorts {
        source: 9901,
        destination: 9901,
    };
    world.inject(
        hosts[0],
        Packet {
            transport: Transport::Datagram(ports),
            ecn: EcnCodepoint::NotEct,
            ..packet("10.0.0.1", "224.0.0.9", b"all")
        },
    );
    world.run_for(Duration::from_millis(1));
    let counts: Vec<usize> = hosts.iter().map(|&host| world.received(host).len()).collect();
    assert_eq!(counts, [0, 1, 1, 1]);
}

#[test]
fn an_address_that_moves_takes_its_packets_along() {
    let (mut world, [one, _], [a, b]) = pair(1, &LinkConfig::lan());
    let address = "10.1.0.9".parse().unwrap();
    world.add_address(a, 0, address);
    world.inject(b, packet("10.1.0.2", "10.1.0.9", b"first"));
    world.run_for(Duration::from_millis(1));
    assert_eq!(world.received(a).len(), 1);
    world.inject(b, packet("10.1.0.2", "10.1.0.9", b"second"));
    world.remove_address(a, address);
    world.run_for(Duration::from_millis(1));
    assert!(world.received(a).is_empty());
    assert_eq!(world.link_stats(one).lost_nobody, 1);
}

#[test]
fn run_while_ends_with_the_condition_or_at_the_limit() {
    let (mut world, _, _) = pair(1, &LinkConfig::lan());
    let seen = Rc::new(RefCell::new(0));
    for second in 1..10 {
        let seen = Rc::clone(&seen);
        world.schedule(Instant::from_millis(second * 1000), "count", move |_| {
            *seen.borrow_mut() += 1
        });
    }
    let limit = Duration::from_secs(5);
    assert!(world.run_while(|_| *seen.borrow() < 3, limit));
    assert_eq!(world.now(), Instant::from_millis(3000));
    assert!(!world.run_while(|_| *seen.borrow() < 100, limit));
    assert_eq!((world.now(), *seen.borrow()), (Instant::from_millis(8000), 8));
    assert!(world.run_while(|_| false, limit));
    assert_eq!(world.now(), Instant::from_millis(8000));
}

/// Traffic between two hosts over bad links, and the hash of what happened.
fn noisy_run(seed: u64, bystander: bool) -> (u64, Vec<(Instant, Packet)>) {
    let noisy = LinkConfig::wan()
        .loss(0.1)
        .duplication(0.1)
        .corruption(0.1)
        .reordering(0.1, Duration::from_millis(50));
    let (mut world, [one, _], [a, b]) = pair(seed, &noisy);
    if bystander {
        world.add_host(HostConfig::scripted("c").interface(one, &["10.1.0.3"]));
    }
    for ms in 0..500 {
        world.run_until(Instant::from_millis(ms));
        world.inject(a, packet("10.1.0.1", "10.1.0.2", b"payload"));
        world.inject(b, packet("10.2.0.2", "10.2.0.1", b"payload"));
    }
    world.run_for(Duration::from_secs(1));
    (world.trace().hash(), world.received(b))
}

#[test]
fn one_seed_gives_one_trace_and_a_new_host_changes_nothing_for_the_others() {
    let (hash, received) = noisy_run(5, false);
    assert_eq!(noisy_run(5, false).0, hash);
    assert_ne!(noisy_run(6, false).0, hash);
    assert_eq!(noisy_run(5, true).1, received);
}

#[test]
fn a_trace_and_a_capture_tell_what_happened() {
    let (mut world, [one, _], [a, _]) = pair(1, &LinkConfig::lan());
    world.trace().keep(10);
    world.capture(one);
    world.set_filter(one, |_, packet| {
        if packet.payload.len() > 4 {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    });
    world.inject(a, packet("10.1.0.1", "10.1.0.2", b"long one"));
    world.clear_filter(one);
    world.inject(a, packet("10.1.0.1", "10.1.0.2", b"long two"));
    world.run_for(Duration::from_millis(1));
    let lines: Vec<&str> = world.trace().lines().collect();
    assert_eq!(
        lines,
        [
            "     0.000000000 one: 10.1.0.1>10.1.0.2 sctp 27759>28263 tag 206f6e65 28 bytes Lost(Filtered)",
            "     0.000000000 one: 10.1.0.1>10.1.0.2 sctp 27759>28263 tag 2074776f 28 bytes",
            "     0.000200000 b: gets 10.1.0.1>10.1.0.2 sctp 27759>28263 tag 2074776f 28 bytes",
        ]
    );
    let fates: Vec<Fate> = world.captured(one).iter().map(|captured| captured.fate).collect();
    assert_eq!(fates, [Fate::Lost(Loss::Filtered), Fate::Sent]);
    let mut file = Vec::new();
    write_pcap(world.captured(one), &mut file).unwrap();
    assert_eq!(file.len(), 24 + 2 * (16 + 28));
}
