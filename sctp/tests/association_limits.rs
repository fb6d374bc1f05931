//! How many associations peers may open: one that wants all of them leaves room for others (RFC 9260 §12.2.4.3).

use std::net::IpAddr;

use sctp::config::{EndpointConfig, StackConfig};
use sctp::error::ConnectError;
use sctp::serial::{Tsn, VerificationTag};
use sctp::wire::{
    self, CauseCode, ChecksumRule, ChunkType, CommonHeader, Init, InitFixed, OperationError, Packet, Param,
    begin_packet, finish_packet, write_cookie_echo, write_init,
};
use sctp::{AssocId, ChecksumState, ConnectOptions, EcnCodepoint, EndpointId, Event, Instant, RxMeta, Stack};

const PORT: u16 = 7;
const OWN: [&str; 2] = ["192.0.2.1", "2001:db8::1"];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What Z says to an INIT or a COOKIE ECHO.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    InitAck,
    CookieAck,
    OutOfResource,
}

/// What the sender of an INIT keeps until it sends its COOKIE ECHO.
#[derive(Clone)]
struct Ticket {
    tag: VerificationTag,
    cookie: Vec<u8>,
}

/// A stack, and whoever wants an association with it; there is no network between them.
struct Z {
    stack: Stack,
    endpoint: EndpointId,
    now: Instant,
    last_tag: u32,
}

impl Z {
    fn new(limit: usize, per_peer: usize) -> Self {
        let mut config = StackConfig::new(OWN.map(ip).to_vec(), None);
        config.set_max_associations(limit);
        config.set_max_associations_per_peer(per_peer);
        let mut stack = Stack::new(config, [1; 32]);
        let config = EndpointConfig {
            port: Some(PORT),
            ..EndpointConfig::default()
        };
        let endpoint = stack.bind(config).unwrap();
        stack.listen(endpoint, 100_000);
        Self {
            stack,
            endpoint,
            now: Instant::from_millis(1),
            last_tag: 0,
        }
    }

    /// A packet arrives from `src`; the one that answers it.
    fn give(
        &mut self,
        src: &str,
        port: u16,
        tag: VerificationTag,
        chunk: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Vec<u8>> {
        let header = CommonHeader {
            source_port: port,
            destination_port: PORT,
            verification_tag: tag,
        };
        let mut packet = Vec::new();
        let start = begin_packet(&mut packet, &header);
        chunk(&mut packet);
        finish_packet(&mut packet, start);
        let src = ip(src);
        let meta = RxMeta {
            src,
            dst: ip(OWN[usize::from(src.is_ipv6())]),
            encap: None,
            ecn: EcnCodepoint::NotEct,
            checksum: ChecksumState::Unverified,
            buffer_len: packet.len(),
        };
        self.stack.handle_datagram(self.now, &meta, packet.into());
        let mut buf = Vec::new();
        let transmit = self.stack.poll_transmit(self.now, 1, &mut buf)?;
        let to = transmit.dst;
        assert!(to == src || chunk_of(&buf).0 != ChunkType::ABORT, "{to} is told");
        Some(buf)
    }

    /// An INIT that also lists `others`, and the ticket that it brought.
    fn init(&mut self, src: &str, port: u16, others: &[&str]) -> Result<Ticket, Answer> {
        self.last_tag += 1;
        let fixed = InitFixed {
            initiate_tag: VerificationTag(self.last_tag),
            a_rwnd: 50_000,
            outbound_streams: 1,
            inbound_streams: 1,
            initial_tsn: Tsn(1),
        };
        let packet = self.give(src, port, VerificationTag::ZERO, |buf| {
            write_init(buf, ChunkType::INIT, &fixed, |w| {
                for other in others {
                    match ip(other) {
                        IpAddr::V4(address) => Param::Ipv4Address(address).write(w),
                        IpAddr::V6(address) => Param::Ipv6Address(address).write(w),
                    }
                }
            });
        });
        let packet = packet.expect("every INIT is answered");
        let answer = answer_in(&packet);
        if answer != Answer::InitAck {
            return Err(answer);
        }
        let (_, value) = chunk_of(&packet);
        let init_ack = Init::parse(&value).unwrap();
        let cookie = init_ack.params.flatten().find_map(|param| match param {
            Param::StateCookie(cookie) => Some(cookie.to_vec()),
            _ => None,
        });
        Ok(Ticket {
            tag: init_ack.fixed.initiate_tag,
            cookie: cookie.unwrap(),
        })
    }

    fn cookie_echo(&mut self, src: &str, port: u16, ticket: &Ticket) -> Answer {
        let packet = self.give(src, port, ticket.tag, |buf| write_cookie_echo(buf, &ticket.cookie));
        answer_in(&packet.expect("every COOKIE ECHO is answered"))
    }

    /// Opens an association as far as Z lets it.
    fn open(&mut self, src: &str, port: u16) -> Answer {
        match self.init(src, port, &[]) {
            Ok(ticket) => self.cookie_echo(src, port, &ticket),
            Err(answer) => answer,
        }
    }

    fn assoc(&self, src: &str, port: u16) -> AssocId {
        self.stack.find(self.endpoint, ip(src), port).unwrap()
    }

    /// Takes all events.
    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.stack.poll_event().map(|(_, _, event)| event)).collect()
    }

    /// Takes all packets.
    fn drain(&mut self) {
        while self.stack.poll_transmit(self.now, 1, &mut Vec::new()).is_some() {}
    }
}

fn chunk_of(packet: &[u8]) -> (ChunkType, Vec<u8>) {
    let packet = Packet::parse(packet, ChecksumRule::Verify).unwrap();
    let chunk = packet.first_chunk().unwrap();
    (chunk.kind, chunk.value.to_vec())
}

fn answer_in(packet: &[u8]) -> Answer {
    let (kind, value) = chunk_of(packet);
    match kind {
        ChunkType::INIT_ACK => Answer::InitAck,
        ChunkType::COOKIE_ACK => Answer::CookieAck,
        ChunkType::ABORT => {
            // Both are just causes.
            let mut causes = OperationError::parse(&value).unwrap().causes;
            let code = causes.next().unwrap().unwrap().code();
            assert_eq!(code, CauseCode::OUT_OF_RESOURCE);
            Answer::OutOfResource
        }
        other => panic!("{other}"),
    }
}

#[test]
fn rfc9260_12_2_4_3_one_address_cannot_take_all_associations() {
    let mut z = Z::new(1000, 3);
    for port in 1..=500 {
        let expected = if port <= 3 {
            Answer::CookieAck
        } else {
            Answer::OutOfResource
        };
        assert_eq!(z.open("198.51.100.1", port), expected, "{port}");
    }
    assert_eq!(z.open("198.51.100.2", 1), Answer::CookieAck, "others are let in");
    assert_eq!(z.stack.stats().refused, 497);
    assert_eq!(z.stack.stats().passive_establishments, 4);
}

#[test]
fn rfc9260_12_2_4_3_cookies_collected_before_the_limit_is_reached_do_not_help() {
    let mut z = Z::new(1000, 2);
    let tickets: Vec<(u16, Ticket)> = (1..=50)
        .map(|port| (port, z.init("198.51.100.1", port, &[]).ok().unwrap()))
        .collect();
    let answers: Vec<Answer> = tickets
        .iter()
        .map(|(port, ticket)| z.cookie_echo("198.51.100.1", *port, ticket))
        .collect();
    assert!(answers[..2].iter().all(|answer| *answer == Answer::CookieAck));
    assert!(answers[2..].iter().all(|answer| *answer == Answer::OutOfResource));
}

#[test]
fn rfc9260_12_2_4_3_a_host_with_a_whole_ipv6_subnet_counts_once() {
    let mut z = Z::new(1000, 2);
    assert_eq!(z.open("2001:db8:0:7::1", 1), Answer::CookieAck);
    assert_eq!(z.open("2001:db8:0:7::2", 1), Answer::CookieAck);
    assert_eq!(z.open("2001:db8:0:7:ffff::3", 1), Answer::OutOfResource);
    assert_eq!(z.open("2001:db8:0:8::1", 1), Answer::CookieAck);
}

#[test]
fn rfc5062_2_nobody_can_use_up_what_others_may_open() {
    let mut z = Z::new(1000, 2);
    // The attacker lists the victim's address, and even pretends that the COOKIE ECHO comes from there.
    for port in 1..=2 {
        let ticket = z.init("198.51.100.66", port, &["198.51.100.1"]).ok().unwrap();
        assert_eq!(z.cookie_echo("198.51.100.1", port, &ticket), Answer::CookieAck);
        z.drain();
    }
    assert_eq!(
        z.open("198.51.100.66", 3),
        Answer::OutOfResource,
        "it counts for who got the cookie"
    );
    assert_eq!(z.open("198.51.100.1", 1001), Answer::CookieAck);
    assert_eq!(z.open("198.51.100.1", 1002), Answer::CookieAck);
}

#[test]
fn rfc9260_12_2_4_3_an_association_counts_as_long_as_it_is_held() {
    let mut z = Z::new(1000, 1);
    assert_eq!(z.open("198.51.100.1", 1), Answer::CookieAck);
    let assoc = z.assoc("198.51.100.1", 1);
    let tag = z.last_tag;
    assert_eq!(z.open("198.51.100.1", 2), Answer::OutOfResource);
    // A restart is the same one (§5.2.4).
    let ticket = z.init("198.51.100.1", 1, &[]).ok().unwrap();
    assert_eq!(z.cookie_echo("198.51.100.1", 1, &ticket), Answer::CookieAck);
    assert_eq!(z.assoc("198.51.100.1", 1), assoc);
    assert_ne!(tag, z.last_tag);
    z.drain();
    // It ends, but until the user knows of it, it takes memory.
    z.give("198.51.100.1", 1, ticket.tag, |buf| {
        wire::write_abort(buf, false, |_| {})
    });
    assert_eq!(z.open("198.51.100.1", 2), Answer::OutOfResource);
    assert!(
        z.events()
            .iter()
            .any(|event| matches!(event, Event::CommunicationLost { .. }))
    );
    assert_eq!(z.open("198.51.100.1", 2), Answer::CookieAck);
    assert_eq!(z.open("198.51.100.1", 3), Answer::OutOfResource);
}

#[test]
fn rfc9260_12_2_4_3_what_this_side_opens_does_not_count_for_the_peer() {
    let mut z = Z::new(3, 1);
    let connect = |z: &mut Z, port| {
        let to = [ip("198.51.100.1")];
        z.stack.connect(z.now, z.endpoint, &to, port, ConnectOptions::default())
    };
    connect(&mut z, 1001).unwrap();
    connect(&mut z, 1002).unwrap();
    z.drain();
    assert_eq!(z.open("198.51.100.1", 1), Answer::CookieAck);
    // The limit of the whole stack holds for everybody.
    assert_eq!(z.open("198.51.100.2", 1), Answer::OutOfResource);
    assert_eq!(connect(&mut z, 1003), Err(ConnectError::TooManyAssociations));
}
