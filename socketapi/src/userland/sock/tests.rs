//! Two socket layers with a wire between them, in virtual time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use sctp::config::{EndpointConfig, StackConfig};
use sctp::{AssocId, ChecksumState, ConnectOptions, EcnCodepoint, EndpointId, Instant, RxMeta, Stack};

use super::{Sockets, Style};
use crate::userland::wait::{Attempt, Interest, Refused};
use crate::{AssociationChange, AssociationState, Destination, Error, Notification, Received, SndInfo, Subscriptions};

const PORT: u16 = 7;

struct Net {
    now: Instant,
    sides: [Sockets; 2],
}

fn address(side: usize) -> IpAddr {
    ["10.0.0.1", "10.0.0.2"][side].parse().unwrap()
}

fn server() -> SocketAddr {
    SocketAddr::new(address(1), PORT)
}

impl Net {
    fn new() -> Self {
        let side = |side: u8| {
            let config = StackConfig::new(vec![address(side.into())], None);
            Sockets::new(Stack::new(config, [side; 32]))
        };
        Self {
            now: Instant::ZERO,
            sides: [side(0), side(1)],
        }
    }

    fn bind(&mut self, side: usize, style: Style, subscriptions: Subscriptions) -> EndpointId {
        let config = EndpointConfig {
            port: (side == 1).then_some(PORT),
            ..EndpointConfig::default()
        };
        self.sides[side].bind(config, style, subscriptions).unwrap()
    }

    /// Carries packets until there are none.
    fn pump(&mut self) {
        let mut buf = Vec::new();
        let mut quiet = 0;
        while quiet < 2 {
            quiet += 1;
            for from in 0..2 {
                while let Some(transmit) = self.sides[from].stack.poll_transmit(self.now, 10, &mut buf) {
                    quiet = 0;
                    for packet in transmit.segments(&buf) {
                        let meta = RxMeta {
                            src: address(from),
                            dst: transmit.dst,
                            encap: None,
                            ecn: EcnCodepoint::NotEct,
                            checksum: ChecksumState::Unverified,
                            buffer_len: packet.len(),
                        };
                        let packet = Bytes::copy_from_slice(packet);
                        self.sides[1 - from].stack.handle_datagram(self.now, &meta, packet);
                    }
                }
                self.sides[from].settle(self.now);
            }
        }
    }

    /// Lets time pass.
    fn wait(&mut self, time: Duration) {
        self.now += time;
        for side in &mut self.sides {
            side.stack.handle_timeout(self.now);
            side.settle(self.now);
        }
        self.pump();
    }

    fn recv(&mut self, side: usize, endpoint: EndpointId) -> Option<Received> {
        done(self.sides[side].recv(self.now, endpoint))
    }

    /// Everything there is to receive, in short.
    fn story(&mut self, side: usize, endpoint: EndpointId) -> Vec<String> {
        std::iter::from_fn(|| self.recv(side, endpoint))
            .map(|received| short(&received))
            .collect()
    }

    fn send(&mut self, side: usize, endpoint: EndpointId, destination: Destination, text: &str) {
        let info = SndInfo {
            destination,
            ..SndInfo::new()
        };
        let payload = Bytes::copy_from_slice(text.as_bytes());
        done(self.sides[side].send(self.now, endpoint, &payload, &info)).unwrap();
    }

    /// A client with an association to a listening one-to-many socket.
    fn connect(&mut self, subscriptions: Subscriptions) -> (EndpointId, AssocId, EndpointId) {
        let client = self.bind(0, Style::Many, Subscriptions::none());
        let listening = self.bind(1, Style::Many, subscriptions);
        self.sides[1].listen(listening, 8).unwrap();
        let id = self.sides[0]
            .open(self.now, client, &[server()], ConnectOptions::default())
            .unwrap();
        self.pump();
        (client, id, listening)
    }
}

fn done<T>(attempt: Attempt<T>) -> Option<T> {
    match attempt {
        Ok(value) => Some(value),
        Err(Refused::Wait(_)) => None,
        Err(Refused::Failed(error)) => panic!("{error}"),
    }
}

fn short(received: &Received) -> String {
    match received {
        Received::Data { payload, .. } => String::from_utf8(payload.to_vec()).unwrap(),
        Received::Notification(Notification::AssociationChange(AssociationChange { state, .. })) => match state {
            AssociationState::Up { .. } => "up".to_owned(),
            AssociationState::ShutdownComplete => "over".to_owned(),
            other => format!("{other:?}"),
        },
        Received::Notification(Notification::PeerShutdown { .. }) => "peer shut down".to_owned(),
        Received::Notification(Notification::SenderDry { .. }) => "dry".to_owned(),
        Received::Notification(other) => format!("{other:?}"),
    }
}

fn to(id: AssocId) -> Destination {
    Destination::Association(crate::AssocId(crate::info::AssocRepr::Userland(id)))
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn rfc6458_6_notifications_stand_where_they_happened_between_messages() {
    let mut net = Net::new();
    let only_dry = Subscriptions {
        sender_dry: true,
        ..Subscriptions::none()
    };
    let (client, id, listening) = net.connect(only_dry);
    // The server has something outstanding, so that it is told when it runs dry; all of it is received later.
    net.send(0, client, to(id), "one");
    net.pump();
    let server_id = net.sides[1].associations(listening).unwrap()[0];
    net.send(1, listening, to(server_id), "answer");
    net.pump();
    net.wait(Duration::from_millis(200));
    for text in ["two", "three"] {
        net.send(0, client, to(id), text);
        net.pump();
    }
    net.wait(Duration::from_millis(200));
    assert_eq!(net.story(1, listening), ["one", "dry", "two", "three"]);
}

#[test]
fn an_association_is_told_about_around_its_messages() {
    let mut net = Net::new();
    let (client, id, listening) = net.connect(Subscriptions::default());
    net.send(0, client, to(id), "before");
    net.pump();
    assert_eq!(net.recv(1, listening).as_ref().map(short).as_deref(), Some("up"));
    net.sides[0].shutdown(net.now, client, id).unwrap();
    net.pump();
    net.wait(Duration::from_millis(200));
    assert_eq!(net.story(1, listening), ["before", "peer shut down", "over"]);
    assert!(net.sides[1].associations(listening).unwrap().is_empty());
}

#[test]
fn associations_take_turns() {
    let mut net = Net::new();
    let listening = net.bind(1, Style::Many, Subscriptions::none());
    net.sides[1].listen(listening, 8).unwrap();
    for name in ["a", "b", "c"] {
        let client = net.bind(0, Style::Many, Subscriptions::none());
        for number in 0..3 {
            net.send(0, client, Destination::Address(server()), &format!("{name}{number}"));
        }
    }
    net.pump();
    net.wait(Duration::from_millis(200));
    let story = net.story(1, listening);
    let rounds: Vec<&[String]> = story.chunks(3).collect();
    assert_eq!(rounds.len(), 3, "{story:?}");
    for (number, round) in rounds.iter().enumerate() {
        let mut round = round.to_vec();
        round.sort_unstable();
        assert_eq!(
            round,
            [format!("a{number}"), format!("b{number}"), format!("c{number}")]
        );
    }
}

#[test]
fn who_waits_is_woken_once_and_forgotten_when_it_goes() {
    let mut net = Net::new();
    let (client, id, listening) = net.connect(Subscriptions::none());
    let (waiting, gone) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let interest = match net.sides[1].recv(net.now, listening) {
        Err(Refused::Wait(interest)) => interest,
        other => panic!("{other:?}"),
    };
    assert_eq!(interest, Interest::Receive(listening));
    let stays = net.sides[1].register(interest, None, &Waker::from(Arc::clone(&waiting)));
    // Asked again before anything happened, it still waits once.
    let stays = net.sides[1].register(interest, Some(stays), &Waker::from(Arc::clone(&waiting)));
    let (interest, ticket) = net.sides[1].register(interest, None, &Waker::from(Arc::clone(&gone)));
    assert_ne!(stays.1, ticket);
    net.sides[1].unregister(interest, ticket);

    net.send(0, client, to(id), "x");
    net.pump();
    net.sides[1].take_woken().into_iter().for_each(Waker::wake);
    assert_eq!(
        (waiting.0.load(Ordering::Relaxed), gone.0.load(Ordering::Relaxed)),
        (1, 0)
    );
    assert!(net.recv(1, listening).is_some());
}

#[test]
fn a_full_send_buffer_wakes_the_sender_when_there_is_room() {
    let mut net = Net::new();
    let (client, id, listening) = net.connect(Subscriptions::none());
    let payload = Bytes::from(vec![0; 100_000]);
    let info = SndInfo {
        destination: to(id),
        ..SndInfo::new()
    };
    let mut sent = 0;
    let interest = loop {
        match net.sides[0].send(net.now, client, &payload, &info) {
            Ok(()) => sent += 1,
            Err(Refused::Wait(interest)) => break interest,
            Err(Refused::Failed(error)) => panic!("{error}"),
        }
    };
    assert!(sent >= 1);
    assert_eq!(interest, Interest::Send(client, id));
    let waiting = Arc::new(Count::default());
    net.sides[0].register(interest, None, &Waker::from(Arc::clone(&waiting)));
    for _ in 0..100 {
        net.wait(Duration::from_millis(200));
        while net.recv(1, listening).is_some() {}
    }
    net.sides[0].take_woken().into_iter().for_each(Waker::wake);
    assert_eq!(waiting.0.load(Ordering::Relaxed), 1);
    assert!(done(net.sides[0].send(net.now, client, &payload, &info)).is_some());
}

#[test]
fn a_closed_socket_leaves_nothing_behind_once_its_associations_have_ended() {
    let mut net = Net::new();
    let (client, id, listening) = net.connect(Subscriptions::none());
    net.send(0, client, to(id), "last words");
    net.sides[0].close(net.now, client);
    assert!(!net.sides[0].is_empty(), "what was sent is not delivered yet");
    assert!(matches!(
        net.sides[0].recv(net.now, client),
        Err(Refused::Failed(Error::Closed))
    ));
    net.pump();
    net.wait(Duration::from_millis(200));
    assert!(net.sides[0].is_empty());
    assert_eq!(net.story(1, listening), ["last words"]);
    net.sides[1].close(net.now, listening);
    assert!(net.sides[1].is_empty());
}

#[test]
fn a_closed_socket_lets_its_peers_finish_what_they_send() {
    let mut net = Net::new();
    let (client, id, listening) = net.connect(Subscriptions::none());
    // More than the receive window of a socket that takes nothing.
    let payload = Bytes::from(vec![0; 600_000]);
    let info = SndInfo {
        destination: to(id),
        ..SndInfo::new()
    };
    done(net.sides[0].send(net.now, client, &payload, &info)).unwrap();
    net.pump();
    net.sides[1].close(net.now, listening);
    for _ in 0..50 {
        net.wait(Duration::from_millis(200));
    }
    assert!(net.sides[1].is_empty());
    assert!(net.sides[0].associations(client).unwrap().is_empty());
}

#[test]
fn a_socket_closed_while_it_connects_sends_what_it_was_given() {
    let mut net = Net::new();
    let listening = net.bind(1, Style::Many, Subscriptions::none());
    net.sides[1].listen(listening, 8).unwrap();
    let client = net.bind(0, Style::Many, Subscriptions::none());
    net.send(0, client, Destination::Address(server()), "early");
    net.sides[0].close(net.now, client);
    net.pump();
    net.wait(Duration::from_millis(200));
    assert_eq!(net.story(1, listening), ["early"]);
    assert!(net.sides[0].is_empty());

    // With nothing to deliver it does not even begin.
    let client = net.bind(0, Style::Many, Subscriptions::none());
    net.sides[0]
        .open(net.now, client, &[server()], ConnectOptions::default())
        .unwrap();
    net.sides[0].close(net.now, client);
    assert!(net.sides[0].is_empty());
}

#[test]
fn a_shutdown_asked_for_while_connecting_happens_afterwards() {
    let mut net = Net::new();
    let listening = net.bind(1, Style::Many, Subscriptions::default());
    net.sides[1].listen(listening, 8).unwrap();
    let client = net.bind(0, Style::Many, Subscriptions::default());
    let id = net.sides[0]
        .open(net.now, client, &[server()], ConnectOptions::default())
        .unwrap();
    net.send(0, client, to(id), "hello");
    net.sides[0].shutdown(net.now, client, id).unwrap();
    let info = SndInfo {
        destination: to(id),
        ..SndInfo::new()
    };
    let late = net.sides[0].send(net.now, client, &Bytes::from_static(b"late"), &info);
    assert!(matches!(late, Err(Refused::Failed(Error::ShuttingDown))), "{late:?}");
    net.pump();
    net.wait(Duration::from_millis(200));
    assert_eq!(net.story(0, client), ["up", "over"]);
    assert_eq!(net.story(1, listening), ["up", "hello", "peer shut down", "over"]);
}

#[test]
fn rfc6458_9_2_a_peeled_off_association_takes_its_messages_along() {
    let mut net = Net::new();
    let (client, id, listening) = net.connect(Subscriptions::default());
    net.send(0, client, to(id), "mine");
    net.pump();
    let peeled = net.sides[1].associations(listening).unwrap()[0];
    net.sides[1].peel_off(listening, peeled).unwrap();
    assert!(net.recv(1, listening).is_none());
    let message = done(net.sides[1].recv_message(net.now, listening, peeled))
        .unwrap()
        .unwrap();
    assert_eq!(message.payload, "mine");
    net.sides[1].close(net.now, listening);
    assert!(!net.sides[1].is_empty());
    net.sides[1].close_stream(net.now, listening, peeled);
    net.pump();
    net.wait(Duration::from_millis(200));
    assert!(net.sides[1].is_empty());
}
