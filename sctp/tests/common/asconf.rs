//! A scripted peer that changes its addresses (RFC 5061), and what Z says to it.

use std::net::IpAddr;

use sctp::config::AssociationConfig;
use sctp::serial::{AsconfSerial, CorrelationId};
use sctp::tlv::Writer;
use sctp::wire::{AddressChange, Asconf, AsconfAck, AsconfResponse, ChunkType, Param, write_asconf};

use super::{Answer, ChunkBytes, Peer, PeerSetup};

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) const ANY: &str = "0.0.0.0";

pub(crate) fn offered(config: &mut AssociationConfig) {
    config.asconf_mut().set_offered(true);
    config.asconf_mut().set_authentication_required(false);
}

pub(crate) fn unconnected(links: usize, change: impl Fn(&mut AssociationConfig)) -> Peer {
    let mut association = AssociationConfig::default();
    offered(&mut association);
    change(&mut association);
    Peer::with(PeerSetup {
        association,
        links,
        ..PeerSetup::default()
    })
}

pub(crate) fn supports(w: &mut Writer<'_>) {
    Param::SupportedExtensions(&[ChunkType::ASCONF.0, ChunkType::ASCONF_ACK.0]).write(w);
}

pub(crate) fn established_with(change: impl Fn(&mut AssociationConfig)) -> Peer {
    let mut peer = unconnected(1, change);
    peer.establish_with(supports);
    peer
}

pub(crate) fn established() -> Peer {
    established_with(|_| {})
}

/// The first serial number of the peer: its initial TSN.
pub(crate) const FIRST: u32 = 1000;

pub(crate) fn asconf(buf: &mut Vec<u8>, serial: u32, lookup: &str, changes: &[AddressChange]) {
    write_asconf(buf, AsconfSerial(serial), ip(lookup), |w| {
        for (id, change) in (1..).zip(changes) {
            change.write(w, CorrelationId(id));
        }
    });
}

/// Sends an ASCONF in a packet of its own, from the peer's first address.
pub(crate) fn ask(peer: &mut Peer, serial: u32, changes: &[AddressChange]) {
    peer.send(|buf| asconf(buf, serial, "10.1.0.1", changes));
}

/// The same from another address.
pub(crate) fn ask_from(peer: &mut Peer, source: &str, serial: u32, lookup: &str, changes: &[AddressChange]) {
    let packet = peer.packet(peer.z_tag, |buf| asconf(buf, serial, lookup, changes));
    let z = peer.z_address(0);
    peer.send_between(ip(source), z, packet);
}

pub(crate) fn asconf_acks(answers: &[Answer]) -> Vec<(IpAddr, ChunkBytes)> {
    let chunks = answers
        .iter()
        .flat_map(|packet| packet.chunks.iter().map(|chunk| (packet.dst, chunk.clone())));
    chunks
        .filter(|(_, chunk)| chunk.kind == ChunkType::ASCONF_ACK)
        .collect()
}

/// Serial number and responses of an ASCONF-ACK: the correlation ID with the first cause code of an error.
pub(crate) fn read(chunk: &ChunkBytes) -> (u32, Vec<(u32, Option<u16>)>) {
    let ack = AsconfAck::parse(&chunk.value).unwrap();
    let responses = ack.responses.map(|response| match response.unwrap() {
        AsconfResponse::Success(id) => (id.0, None),
        AsconfResponse::Error {
            correlation_id,
            mut causes,
        } => (correlation_id.0, Some(causes.next().unwrap().unwrap().code().0)),
        AsconfResponse::Unknown(tlv) => panic!("{tlv:?}"),
    });
    (ack.serial.0, responses.collect())
}

/// The one ASCONF-ACK that Z answers at once: where it went, serial number and responses.
#[track_caller]
pub(crate) fn answer(peer: &mut Peer) -> (IpAddr, u32, Vec<(u32, Option<u16>)>) {
    let answers = peer.answers();
    let acks = asconf_acks(&answers);
    assert_eq!(acks.len(), 1, "{answers:?}");
    let (serial, responses) = read(&acks[0].1);
    (acks[0].0, serial, responses)
}

pub(crate) fn peers(peer: &Peer) -> Vec<IpAddr> {
    peer.status().unwrap().paths.iter().map(|path| path.address).collect()
}

pub(crate) fn add(address: &str) -> AddressChange {
    AddressChange::Add(ip(address))
}

pub(crate) fn delete(address: &str) -> AddressChange {
    AddressChange::Delete(ip(address))
}

pub(crate) fn primary(address: &str) -> AddressChange {
    AddressChange::SetPrimary(ip(address))
}

/// Gives the scripted host another address.
pub(crate) fn gain(peer: &mut Peer, address: &str) {
    let host = peer.host;
    peer.world.add_address(host, 0, ip(address));
}

/// The peer moves from its first address to another one that it gets.
pub(crate) fn move_to(peer: &mut Peer, address: &str) {
    gain(peer, address);
    ask_from(peer, address, FIRST, "10.1.0.1", &[add(address), delete("10.1.0.1")]);
}

/// Lets Z ask for something, and returns its ASCONF.
pub(crate) fn z_asks(peer: &mut Peer) -> (AsconfSerial, Vec<CorrelationId>) {
    let (now, assoc, own) = (peer.world.now(), peer.assoc.unwrap(), peer.z_address(0));
    let z = peer.z;
    peer.world.stack(z).set_peer_primary(now, assoc, own).unwrap();
    let answers = peer.answers();
    let packet = answers.iter().find(|packet| packet.has(ChunkType::ASCONF)).unwrap();
    let asconf = Asconf::parse(&packet.get(ChunkType::ASCONF).value).unwrap();
    (
        asconf.serial,
        asconf.requests.map(|request| request.unwrap().correlation_id).collect(),
    )
}
