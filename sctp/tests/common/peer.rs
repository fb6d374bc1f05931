//! A stack, called Z as in the RFC's figures, and a peer that the test speaks for, packet by packet.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use sctp::config::{AssociationConfig, EndpointConfig, StackConfig};
use sctp::serial::{Ppid, Ssn, StreamId, Tsn, VerificationTag};
use sctp::sim::{HostConfig, HostId, LinkId, Packet, Transport, World};
use sctp::tlv::Writer;
use sctp::wire::{
    Abort, Causes, ChecksumRule, ChunkType, CommonHeader, DataChunk, DataHeader, Init, InitFixed, OperationError,
    Param, Sack, begin_packet, finish_packet, write_cookie_ack, write_cookie_echo, write_data, write_heartbeat_ack,
    write_init, write_sack,
};
use sctp::{
    AssocId, AssociationPhase, AssociationStatus, ConnectOptions, EcnCodepoint, EndpointId, Event, Instant, OutMessage,
    PathState, Received, UdpPorts,
};

/// One chunk of an answer.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ChunkBytes {
    pub(crate) kind: ChunkType,
    pub(crate) flags: u8,
    pub(crate) value: Vec<u8>,
}

impl fmt::Debug for ChunkBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = &self.value[..self.value.len().min(32)];
        write!(
            f,
            "{}/{:x} {} bytes {head:02x?}",
            self.kind,
            self.flags,
            self.value.len()
        )
    }
}

impl ChunkBytes {
    pub(crate) fn init(&self) -> Init<'_> {
        assert!(matches!(self.kind, ChunkType::INIT | ChunkType::INIT_ACK), "{self:?}");
        Init::parse(&self.value).unwrap()
    }

    pub(crate) fn sack(&self) -> Sack<'_> {
        assert_eq!(self.kind, ChunkType::SACK);
        Sack::parse(&self.value).unwrap()
    }

    pub(crate) fn data(&self) -> DataChunk<'_> {
        assert_eq!(self.kind, ChunkType::DATA);
        DataChunk::parse(self.flags, &self.value).unwrap()
    }

    /// The causes of an ABORT or ERROR.
    pub(crate) fn causes(&self) -> Causes<'_> {
        match self.kind {
            ChunkType::ABORT => Abort::parse(self.flags, &self.value).unwrap().causes,
            ChunkType::ERROR => OperationError::parse(&self.value).unwrap().causes,
            kind => panic!("{kind} has no causes"),
        }
    }

    /// The codes of the causes of an ABORT or ERROR.
    pub(crate) fn cause_codes(&self) -> Vec<u16> {
        self.causes().map(|cause| cause.unwrap().code().0).collect()
    }
}

/// A packet of the stack, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) at: Instant,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) udp: Option<UdpPorts>,
    pub(crate) header: CommonHeader,
    pub(crate) chunks: Vec<ChunkBytes>,
    pub(crate) size: usize,
    /// The ECN field of its IP header.
    pub(crate) ecn: EcnCodepoint,
    /// Its checksum is zero in place of the CRC32c (RFC 9653).
    pub(crate) unchecked: bool,
}

impl Answer {
    pub(crate) fn kinds(&self) -> Vec<ChunkType> {
        self.chunks.iter().map(|chunk| chunk.kind).collect()
    }

    pub(crate) fn has(&self, kind: ChunkType) -> bool {
        self.find(kind).is_some()
    }

    pub(crate) fn find(&self, kind: ChunkType) -> Option<&ChunkBytes> {
        self.chunks.iter().find(|chunk| chunk.kind == kind)
    }

    /// The chunk of this type, which must be there.
    #[track_caller]
    pub(crate) fn get(&self, kind: ChunkType) -> &ChunkBytes {
        self.find(kind)
            .unwrap_or_else(|| panic!("no {kind} in {:?}", self.kinds()))
    }

    pub(crate) fn tag(&self) -> VerificationTag {
        self.header.verification_tag
    }
}

/// Takes a packet apart, which must be well-formed to its end.
#[track_caller]
pub(crate) fn parse(at: Instant, packet: &Packet) -> Answer {
    let answer = parse_unchecked(at, packet);
    assert!(!answer.unchecked, "no checksum: {answer:?}");
    answer
}

/// The same for a packet that may have no checksum.
#[track_caller]
pub(crate) fn parse_unchecked(at: Instant, packet: &Packet) -> Answer {
    let sctp = packet.sctp().expect("an SCTP packet");
    let parsed = sctp::wire::Packet::parse(sctp, ChecksumRule::AcceptZero).expect("a well-formed packet");
    parsed.check_bundling().expect("chunks that stand alone do");
    let chunk = |chunk: Result<sctp::wire::RawChunk<'_>, _>| {
        let chunk = chunk.expect("a well-formed chunk");
        ChunkBytes {
            kind: chunk.kind,
            flags: chunk.flags,
            value: chunk.value.to_vec(),
        }
    };
    Answer {
        at,
        src: packet.src,
        dst: packet.dst,
        udp: packet.udp_ports(),
        header: parsed.header,
        chunks: parsed.chunks().map(chunk).collect(),
        size: packet.size(),
        ecn: packet.ecn,
        unchecked: parsed.verify_checksum().is_err(),
    }
}

/// The DATA chunks of packets, in their order.
pub(crate) fn data_chunks(packets: &[Answer]) -> Vec<DataChunk<'_>> {
    let chunks = packets.iter().flat_map(|packet| &packet.chunks);
    let data = chunks.filter(|chunk| chunk.kind == ChunkType::DATA);
    data.map(ChunkBytes::data).collect()
}

/// What the SACK of a packet says: cumulative TSN ack, gaps, duplicates.
#[track_caller]
pub(crate) fn sack_of(answer: &Answer) -> (Tsn, Vec<(u16, u16)>, Vec<Tsn>) {
    let sack = answer.get(ChunkType::SACK).sack();
    (sack.cumulative_tsn_ack, sack.gaps.collect(), sack.duplicates.collect())
}

/// What Z is to be.
pub(crate) struct PeerSetup {
    pub(crate) association: AssociationConfig,
    pub(crate) links: usize,
    pub(crate) listens: bool,
    /// Z's UDP port, for SCTP in UDP.
    pub(crate) encapsulation: Option<u16>,
    pub(crate) tune: Box<dyn Fn(&mut StackConfig)>,
}

impl Default for PeerSetup {
    fn default() -> Self {
        Self {
            association: super::without_discovery(),
            links: 1,
            listens: true,
            encapsulation: None,
            tune: Box::new(|_| {}),
        }
    }
}

/// The scripted peer and what it knows.
pub(crate) struct Peer {
    pub(crate) world: World,
    pub(crate) links: Vec<LinkId>,
    /// The scripted host.
    pub(crate) host: HostId,
    /// The host with the stack.
    pub(crate) z: HostId,
    pub(crate) endpoint: EndpointId,
    /// Z's association with the peer.
    pub(crate) assoc: Option<AssocId>,
    /// The tag that Z has to use: the peer's own.
    pub(crate) tag: VerificationTag,
    /// The tag that the peer has to use: Z's.
    pub(crate) z_tag: VerificationTag,
    /// The next TSN of the peer.
    pub(crate) tsn: Tsn,
    /// Z's initial TSN.
    pub(crate) z_tsn: Tsn,
    /// The parameters of the peer's INIT or INIT ACK.
    pub(crate) fixed: InitFixed,
    /// Z's packets may have no checksum.
    pub(crate) takes_unchecked: bool,
    /// How the peer's packets travel.
    pub(crate) transport: Transport,
    /// The ECN field of the peer's packets.
    pub(crate) ecn: EcnCodepoint,
    /// What Z's user was told.
    pub(crate) log: Vec<Event>,
}

/// The peer's SCTP port.
pub(crate) const PEER_PORT: u16 = 7000;
/// Z's SCTP port.
pub(crate) const Z_PORT: u16 = 5001;

impl Peer {
    pub(crate) fn new() -> Self {
        Self::with(PeerSetup::default())
    }

    pub(crate) fn with(setup: PeerSetup) -> Self {
        let mut world = World::new(1);
        world.trace().keep(200);
        let (mut host, mut z) = (HostConfig::scripted("peer"), HostConfig::new("z").stack(setup.tune));
        let mut links = Vec::new();
        for n in 0..setup.links {
            let link = world.add_link(&format!("link{n}"), super::wire(Duration::from_micros(200)));
            host = host.interface(link, &[&format!("10.{}.0.1", n + 1)]);
            z = z.interface(link, &[&format!("10.{}.0.2", n + 1)]);
            links.push(link);
        }
        if let Some(port) = setup.encapsulation {
            z = z.encapsulation(port);
        }
        let (host, z) = (world.add_host(host), world.add_host(z));
        let config = EndpointConfig {
            port: Some(Z_PORT),
            addresses: Vec::new(),
            association: setup.association,
            ..EndpointConfig::default()
        };
        let takes_unchecked = config.association.zero_checksum().is_some();
        let stack = world.stack(z);
        let endpoint = stack.bind(config).unwrap();
        if setup.listens {
            assert!(stack.listen(endpoint, 16));
        }
        let fixed = InitFixed {
            initiate_tag: VerificationTag(0x1111_2222),
            a_rwnd: 100_000,
            outbound_streams: 10,
            inbound_streams: 10,
            initial_tsn: Tsn(1000),
        };
        Self {
            world,
            links,
            host,
            z,
            endpoint,
            assoc: None,
            tag: fixed.initiate_tag,
            z_tag: VerificationTag::ZERO,
            tsn: fixed.initial_tsn,
            z_tsn: Tsn(0),
            fixed,
            takes_unchecked,
            transport: Transport::Sctp,
            ecn: EcnCodepoint::NotEct,
            log: Vec::new(),
        }
    }

    /// The peer's address on a link.
    pub(crate) fn address(&self, link: usize) -> IpAddr {
        self.world.addresses(self.host)[link]
    }

    /// Z's address on a link.
    pub(crate) fn z_address(&self, link: usize) -> IpAddr {
        self.world.addresses(self.z)[link]
    }

    /// A packet from the peer's port to Z's, with the chunks that `chunks` writes.
    pub(crate) fn packet(&self, tag: VerificationTag, chunks: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut packet = Vec::new();
        let header = CommonHeader {
            source_port: PEER_PORT,
            destination_port: Z_PORT,
            verification_tag: tag,
        };
        let start = begin_packet(&mut packet, &header);
        chunks(&mut packet);
        finish_packet(&mut packet, start);
        packet
    }

    /// Sends bytes on the first link.
    pub(crate) fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.send_on(0, bytes);
    }

    /// Sends bytes between the addresses on a link.
    pub(crate) fn send_on(&mut self, link: usize, bytes: Vec<u8>) {
        let (src, dst) = (self.address(link), self.z_address(link));
        self.send_between(src, dst, bytes);
    }

    pub(crate) fn send_between(&mut self, src: IpAddr, dst: IpAddr, bytes: Vec<u8>) {
        let packet = Packet {
            src,
            dst,
            transport: self.transport,
            ecn: self.ecn,
            payload: bytes.into(),
        };
        self.world.inject(self.host, packet);
    }

    /// Sends chunks with this tag.
    pub(crate) fn send_tagged(&mut self, tag: VerificationTag, chunks: impl FnOnce(&mut Vec<u8>)) {
        let packet = self.packet(tag, chunks);
        self.send_bytes(packet);
    }

    /// Sends chunks with Z's tag.
    pub(crate) fn send(&mut self, chunks: impl FnOnce(&mut Vec<u8>)) {
        self.send_tagged(self.z_tag, chunks);
    }

    /// Runs for `duration` and returns what Z sent to the peer.
    pub(crate) fn run(&mut self, duration: Duration) -> Vec<Answer> {
        self.world.run_for(duration);
        for (_, assoc, event) in self.world.events(self.z) {
            if let Event::CommunicationUp { initiated_here, .. } = event {
                self.assoc = Some(assoc);
                if !initiated_here {
                    let _ = self.world.stack(self.z).accept(assoc);
                }
            }
            self.log.push(event);
        }
        let received = self.world.received(self.host);
        let parse = if self.takes_unchecked { parse_unchecked } else { parse };
        received.iter().map(|(at, packet)| parse(*at, packet)).collect()
    }

    /// What Z answers at once: within 2 ms, which no delayed acknowledgement is.
    pub(crate) fn answers(&mut self) -> Vec<Answer> {
        self.run(super::ms(2))
    }

    /// The one packet that Z answers at once.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answers = self.answers();
        assert_eq!(answers.len(), 1, "answers: {answers:?}\n{}", self.world.trace());
        answers.remove(0)
    }

    /// Checks that Z answers nothing at once.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        let answers = self.answers();
        assert!(answers.is_empty(), "answers: {answers:?}\n{}", self.world.trace());
    }

    /// Sends an INIT with the parameters that `params` writes.
    pub(crate) fn send_init_with(&mut self, params: impl FnOnce(&mut Writer<'_>)) {
        let fixed = self.fixed;
        self.send_tagged(VerificationTag::ZERO, |buf| {
            write_init(buf, ChunkType::INIT, &fixed, params)
        });
    }

    pub(crate) fn send_init(&mut self) {
        self.send_init_with(|_| {});
    }

    /// Notes what an INIT or INIT ACK of Z tells; the State Cookie, if there is one.
    #[track_caller]
    pub(crate) fn learn(&mut self, answer: &Answer) -> Vec<u8> {
        let init = answer.chunks[0].init();
        self.z_tag = init.fixed.initiate_tag;
        self.z_tsn = init.fixed.initial_tsn;
        let cookie = init.params.flatten().find_map(|param| match param {
            Param::StateCookie(cookie) => Some(cookie.to_vec()),
            _ => None,
        });
        cookie.unwrap_or_default()
    }

    /// Sends an INIT and returns the cookie of the INIT ACK.
    #[track_caller]
    pub(crate) fn fetch_cookie(&mut self) -> Vec<u8> {
        self.send_init();
        let answer = self.answer();
        assert_eq!(answer.kinds(), [ChunkType::INIT_ACK]);
        self.learn(&answer)
    }

    /// Sets an association up that the peer opens.
    #[track_caller]
    pub(crate) fn establish(&mut self) {
        self.establish_with(|_| {});
    }

    /// Sets an association up that the peer opens by an INIT with these parameters.
    #[track_caller]
    pub(crate) fn establish_with(&mut self, params: impl FnOnce(&mut Writer<'_>)) {
        self.send_init_with(params);
        let answer = self.answer();
        let cookie = self.learn(&answer);
        self.send(|buf| write_cookie_echo(buf, &cookie));
        let answers = self.answers();
        assert!(
            answers.iter().any(|answer| answer.has(ChunkType::COOKIE_ACK)),
            "{answers:?}"
        );
        assert!(self.assoc.is_some(), "{:?}", self.log);
    }

    /// An established association that has the first DATA chunk, which is acknowledged at once, behind it.
    pub(crate) fn established() -> Self {
        let mut peer = Self::new();
        peer.establish();
        peer.say(b"first");
        assert!(peer.answer().has(ChunkType::SACK));
        peer
    }

    /// Lets Z begin to connect to the peer's addresses.
    pub(crate) fn connect(&mut self) -> AssocId {
        let now = self.world.now();
        let addresses = self.world.addresses(self.host);
        let endpoint = self.endpoint;
        let stack = self.world.stack(self.z);
        let assoc = stack
            .connect(now, endpoint, &addresses, PEER_PORT, ConnectOptions::default())
            .unwrap();
        self.assoc = Some(assoc);
        assoc
    }

    /// Answers Z's INIT by an INIT ACK with this cookie and the parameters that `params` writes.
    pub(crate) fn send_init_ack(&mut self, cookie: &[u8], params: impl FnOnce(&mut Writer<'_>)) {
        let fixed = self.fixed;
        self.send(|buf| {
            write_init(buf, ChunkType::INIT_ACK, &fixed, |w| {
                if !cookie.is_empty() {
                    Param::StateCookie(cookie).write(w);
                }
                params(w);
            });
        });
    }

    /// Sets an association up that Z opens.
    #[track_caller]
    pub(crate) fn establish_from_z(&mut self) {
        self.connect();
        let init = self.answer();
        assert_eq!(init.kinds(), [ChunkType::INIT]);
        self.learn(&init);
        self.send_init_ack(b"cookie", |_| {});
        let echo = self.answer();
        assert_eq!(echo.kinds()[0], ChunkType::COOKIE_ECHO);
        self.send(write_cookie_ack);
        self.answers();
        assert_eq!(self.phase(), Some(AssociationPhase::Established));
    }

    pub(crate) fn status(&self) -> Option<AssociationStatus> {
        self.world.peek(self.z).status(self.assoc?)
    }

    pub(crate) fn phase(&self) -> Option<AssociationPhase> {
        self.status().map(|status| status.phase)
    }

    /// A whole ordered message in one chunk.
    pub(crate) const fn header(tsn: Tsn, stream: u16, ssn: u16) -> DataHeader {
        DataHeader {
            tsn,
            stream: StreamId(stream),
            ssn: Ssn(ssn),
            ppid: Ppid(0),
            unordered: false,
            beginning: true,
            ending: true,
            immediate: false,
        }
    }

    /// Sends a DATA chunk in a packet of its own.
    pub(crate) fn send_data(&mut self, header: &DataHeader, payload: &[u8]) {
        self.send(|buf| write_data(buf, header, payload));
    }

    /// Sends the next whole ordered message on stream 0, in a packet of its own.
    pub(crate) fn say(&mut self, payload: &[u8]) {
        let steps = self.tsn.steps_from(self.fixed.initial_tsn);
        let header = Self::header(self.tsn, 0, steps as u16);
        self.tsn = self.tsn.next();
        self.send_data(&header, payload);
    }

    /// Sends a SACK: the cumulative TSN ack counts from Z's initial TSN (0 acknowledges the first chunk).
    pub(crate) fn send_sack(&mut self, cumulative: u32, a_rwnd: u32, gaps: &[(u16, u16)]) {
        let cumulative = self.z_tsn.plus(cumulative);
        self.send(|buf| write_sack(buf, cumulative, a_rwnd, gaps, &[]));
    }

    /// Answers the HEARTBEATs among these packets, each from the address it was sent to. How many they were.
    pub(crate) fn answer_heartbeats(&mut self, packets: &[Answer]) -> usize {
        let mut count = 0;
        for packet in packets {
            let heartbeats = packet.chunks.iter().filter(|chunk| chunk.kind == ChunkType::HEARTBEAT);
            for heartbeat in heartbeats {
                let info = sctp::wire::Heartbeat::parse(&heartbeat.value).unwrap().info;
                let answer = self.packet(self.z_tag, |buf| write_heartbeat_ack(buf, info));
                self.send_between(packet.dst, packet.src, answer);
                count += 1;
            }
        }
        count
    }

    /// Sets an association up with an address of the peer on each link, all of them confirmed.
    #[track_caller]
    pub(crate) fn establish_on_all_links(&mut self) {
        let addresses = self.world.addresses(self.host);
        self.send_init_with(|w| addresses.iter().for_each(|&address| Param::address(address).write(w)));
        let answer = self.answer();
        let cookie = self.learn(&answer);
        self.send(|buf| write_cookie_echo(buf, &cookie));
        for _ in 0..10 {
            let answers = self.run(super::ms(500));
            self.answer_heartbeats(&answers);
        }
        self.answers();
        let paths = self.status().unwrap().paths;
        assert!(paths.iter().all(|path| path.state == PathState::Active), "{paths:?}");
    }

    /// Lets Z's user send an ordered message on stream 0.
    pub(crate) fn z_says(&mut self, payload: &[u8]) {
        let (now, assoc) = (self.world.now(), self.assoc.unwrap());
        let message = OutMessage::new(StreamId(0), Ppid(0), Bytes::copy_from_slice(payload));
        self.world.stack(self.z).send(now, assoc, message).unwrap();
    }

    /// Takes what Z's user can receive.
    pub(crate) fn z_hears(&mut self) -> Vec<Received> {
        let (now, assoc) = (self.world.now(), self.assoc.unwrap());
        let stack = self.world.stack(self.z);
        std::iter::from_fn(|| stack.recv(now, assoc).ok().flatten()).collect()
    }

    /// The payloads of what Z's user can receive.
    pub(crate) fn z_hears_payloads(&mut self) -> Vec<Bytes> {
        self.z_hears().into_iter().map(|received| received.payload).collect()
    }

    pub(crate) fn z_shuts_down(&mut self) {
        let (now, assoc) = (self.world.now(), self.assoc.unwrap());
        self.world.stack(self.z).shutdown(now, assoc).unwrap();
    }
}
