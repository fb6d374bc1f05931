//! Addresses that change in an open association (RFC 5061), in authenticated chunks (RFC 4895).

use std::time::Duration;

use netns_tests::guest::{GUEST, HOST};
use sctp::config::AssociationConfig;
use sctp::wire::AddressChange;
use sctp::{AssocId, Event, LocalAddressChange, PathChange};

use crate::common::{Carrier, Pair, hasty};

const AUTHENTICATED: [(&str, u32); 2] = [("addip_enable", 1), ("auth_enable", 1)];

/// Two networks; both end points begin with an address on the first one only.
fn pair(carrier: Carrier, settings: &[(&str, u32)]) -> Option<Pair> {
    let mut pair = Pair::with(carrier, 2, settings)?;
    pair.ours = vec![HOST[0]];
    pair.theirs = vec![GUEST[0]];
    Some(pair)
}

fn config() -> AssociationConfig {
    let rto = Duration::from_millis(500);
    let mut config = hasty(rto, rto);
    config.asconf_mut().set_offered(true);
    config
}

/// Waits until the kernel has done what it was asked for.
fn until_answered(pair: &mut Pair, assoc: AssocId, wanted: AddressChange) {
    pair.host.until("the kernel answers", |host| {
        host.happened(
            assoc,
            |event| matches!(event, Event::AddressChangeAnswered { change, refused: None } if *change == wanted),
        )
    });
}

fn until_changed(pair: &mut Pair, assoc: AssocId, of: &str, wanted: PathChange) {
    pair.host.until(&format!("{of} is {wanted:?}"), |host| {
        host.happened(assoc, |event| {
            matches!(event, Event::PathChanged { address, change } if address.to_string() == of && *change == wanted)
        })
    });
}

/// The kernel's list of the engine's addresses, sorted.
fn kernel_knows(pair: &mut Pair) -> Vec<String> {
    let said = pair.ask("status", "status");
    let (_, peers) = said.split_once("peers=").unwrap();
    let mut peers: Vec<String> = peers.split(',').map(str::to_owned).collect();
    peers.sort();
    peers
}

/// The engine moves from the first network to the second one.
fn engine_moves(carrier: Carrier, settings: &[(&str, u32)], config: &AssociationConfig) {
    let Some(mut pair) = pair(carrier, settings) else {
        return;
    };
    let assoc = pair.engine_connects(config);
    pair.talk(assoc);
    assert_eq!(kernel_knows(&mut pair), [HOST[0]]);
    let [old, new] = HOST.map(|address| address.parse().unwrap());

    pair.host
        .act(|stack, now| stack.add_local_address(now, assoc, new))
        .unwrap();
    until_answered(&mut pair, assoc, AddressChange::Add(new));
    assert_eq!(kernel_knows(&mut pair), HOST);
    pair.talk(assoc);

    pair.host
        .act(|stack, now| stack.set_peer_primary(now, assoc, new))
        .unwrap();
    until_answered(&mut pair, assoc, AddressChange::SetPrimary(new));

    pair.host
        .act(|stack, now| stack.remove_local_address(now, assoc, old))
        .unwrap();
    until_answered(&mut pair, assoc, AddressChange::Delete(old));
    assert_eq!(kernel_knows(&mut pair), [HOST[1]]);
    pair.talk(assoc);
    pair.begin("collect");
    pair.host.shutdown(assoc);
}

#[test]
fn rfc5061_5_1_the_engine_moves_in_udp() {
    engine_moves(Carrier::Udp, &AUTHENTICATED, &config());
}

#[test]
fn rfc5061_5_1_the_engine_moves_on_ip() {
    engine_moves(Carrier::Ip, &AUTHENTICATED, &config());
}

#[test]
fn rfc5061_4_1_1_the_engine_moves_without_authentication_where_both_allow_it() {
    let mut config = config();
    config.asconf_mut().set_authentication_required(false);
    engine_moves(Carrier::Ip, &[("addip_enable", 1), ("addip_noauth_enable", 1)], &config);
}

/// The kernel moves from the first network to the second one.
fn kernel_moves(carrier: Carrier, settings: &[(&str, u32)], config: &AssociationConfig) {
    let Some(mut pair) = pair(carrier, settings) else {
        return;
    };
    let assoc = pair.kernel_connects(config);
    pair.talk(assoc);
    assert_eq!(pair.host.status(assoc).paths.len(), 1);

    pair.order(&format!("bind add {}", GUEST[1]));
    until_changed(&mut pair, assoc, GUEST[1], PathChange::Added);
    until_changed(&mut pair, assoc, GUEST[1], PathChange::Confirmed);
    pair.talk(assoc);

    pair.order(&format!("primary {}", GUEST[1]));
    until_changed(&mut pair, assoc, GUEST[1], PathChange::Primary);

    pair.order(&format!("bind remove {}", GUEST[0]));
    until_changed(&mut pair, assoc, GUEST[0], PathChange::Removed);
    let paths = pair.host.status(assoc).paths;
    assert_eq!(paths.len(), 1);
    assert_eq!(paths[0].address.to_string(), GUEST[1]);
    pair.talk(assoc);
    pair.begin("shutdown");
    pair.host.until_shutdown(assoc);
    pair.end("shutdown");
}

#[test]
fn rfc5061_5_2_the_kernel_moves_in_udp() {
    kernel_moves(Carrier::Udp, &AUTHENTICATED, &config());
}

#[test]
fn rfc5061_5_2_the_kernel_moves_on_ip() {
    kernel_moves(Carrier::Ip, &AUTHENTICATED, &config());
}

#[test]
fn rfc5061_4_1_1_the_kernel_moves_without_authentication_where_both_allow_it() {
    let mut config = config();
    config.asconf_mut().set_authentication_required(false);
    kernel_moves(
        Carrier::Udp,
        &[("addip_enable", 1), ("addip_noauth_enable", 1)],
        &config,
    );
}

/// The host gets an address; the engine tells the kernel by itself, and data goes on where the old network is gone.
#[test]
fn rfc6458_8_1_23_the_engine_tells_of_an_address_by_itself() {
    let Some(mut pair) = Pair::with(Carrier::Ip, 2, &AUTHENTICATED) else {
        return;
    };
    pair.ours = Vec::new();
    let [_, new] = HOST.map(|address| address.parse().unwrap());
    pair.host
        .act(|stack, now| stack.handle_local_address(now, LocalAddressChange::Removed(new)));
    let mut config = config();
    config.asconf_mut().set_automatic(true);
    config.path_mut().set_path_max_retrans(1);
    let assoc = pair.engine_connects(&config);
    assert_eq!(kernel_knows(&mut pair), [HOST[0]]);
    pair.host
        .act(|stack, now| stack.handle_local_address(now, LocalAddressChange::Added(new)));
    until_answered(&mut pair, assoc, AddressChange::Add(new));
    assert_eq!(kernel_knows(&mut pair), HOST);
    pair.session.link(1, false);
    pair.begin("expect 20 2000");
    pair.send_all(assoc, 20, 2000, 1);
    pair.end("expect");
}
