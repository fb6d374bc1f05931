//! RFC 6458 §8.2, what can be asked of sockets and associations.

use socketapi::{AssociationConfig, AssociationPhase, AssociationState, ChunkType, Error, PathState, SndInfo};

use crate::common::{
    Pair, Streams, at, has_kernel, ip, next_change, next_data, on_kernel, pattern, stack, stack_towards,
    stack_towards_silence, until, waiting, within,
};

#[tokio::test]
async fn rfc6458_8_2_1_the_status_of_an_association_that_is_open() {
    let pair = Pair::narrow().await;
    let status = pair.here().status().unwrap();
    assert_eq!(status.phase, AssociationPhase::Established);
    assert_eq!(status.peer_rwnd, 1_500);
    assert_eq!((status.unacknowledged_messages, status.pending_messages), (0, 0));
    assert_eq!(status.peer_port, 7);
    let primary = status.paths.iter().find(|path| path.primary).unwrap();
    assert_eq!((primary.address, primary.state), (ip("127.0.0.1"), PathState::Active));
    assert!(primary.mtu >= 1_280 && primary.cwnd > 0, "{primary:?}");
    assert!((1_000..primary.mtu).contains(&status.fragmentation_point), "{status:?}");

    pair.send(pattern(20_000), pair.to()).await;
    pair.answer("waits").await;
    waiting(&pair.here(), 1).await;
    waiting(&pair.there(), 1).await;
    let status = pair.here().status().unwrap();
    // What the kernel has delivered counts no more.
    assert!(has_kernel() || status.peer_rwnd < 1_500, "{status:?}");
    assert!(has_kernel() || status.unacknowledged_messages > 0, "{status:?}");
    assert_eq!(next_data(&pair.client).await.payload, "waits");
    assert_eq!(pair.here().status().unwrap().pending_messages, 0);
}

#[tokio::test]
async fn rfc6458_8_2_1_the_status_tells_that_set_up_goes_on() {
    if on_kernel("it tells the state once it is established") {
        return;
    }
    let (host, peer, _silence) = stack_towards_silence().await;
    let socket = host.socket(0).unwrap();
    let assoc = socket.try_connect(peer).unwrap();
    assert_eq!(socket.status(assoc).unwrap().phase, AssociationPhase::CookieWait);
}

#[tokio::test]
async fn rfc6458_8_2_1_the_status_tells_that_a_shutdown_waits() {
    if on_kernel("its buffers take all that is sent") {
        return;
    }
    let pair = Pair::narrow().await;
    pair.send(pattern(60_000), pair.to()).await;
    pair.client.shutdown(pair.names[0]).unwrap();
    assert_eq!(pair.here().status().unwrap().phase, AssociationPhase::ShutdownPending);
    pair.server.abort(pair.names[1], "").unwrap();
    while !matches!(next_change(&pair.client).await.state, AssociationState::Lost(_)) {}
    assert_eq!(pair.here().status(), Err(Error::NoSuchAssociation));
}

#[tokio::test]
async fn rfc6458_8_2_2_an_address_tells_its_state_and_its_association() {
    let pair = Pair::two_homed(AssociationConfig::default()).await;
    for address in ["127.0.0.1", "127.0.0.2"] {
        assert_eq!(pair.client.find(at(address, 7)), Ok(Some(pair.names[0])));
        let info = pair.here().get_peer_addr_info(ip(address)).unwrap();
        assert_eq!(info.address, ip(address));
        assert!(
            matches!(info.state, PathState::Active | PathState::Unconfirmed),
            "{info:?}"
        );
        assert!(info.cwnd > 0 && !info.rto.is_zero() && info.mtu > 0, "{info:?}");
    }
    assert_eq!(pair.client.find(at("127.0.0.1", 8)), Ok(None));
    assert_eq!(pair.client.find(at("127.0.0.3", 7)), Ok(None));
    let stranger = pair.here().get_peer_addr_info(ip("127.0.0.3"));
    assert_eq!(stranger, Err(Error::NoSuchPath));
    pair.send("measured", pair.to()).await;
    next_data(&pair.server).await;
    // Kernels count milliseconds, of which it takes none.
    let measured = || pair.here().get_peer_addr_info(ip("127.0.0.1")).unwrap().srtt.is_some();
    until(|| has_kernel() || measured()).await;
}

#[tokio::test]
async fn rfc6458_8_2_3_the_chunks_that_each_end_wants_authenticated() {
    let (mut client, mut server) = (AssociationConfig::default(), AssociationConfig::default());
    client.auth_mut().set_enabled(true);
    server.auth_mut().require(ChunkType::DATA).unwrap();
    server.auth_mut().require(ChunkType::SACK).unwrap();
    let pair = Pair::new(client, server).await;
    let mut asked = pair.here().peer_auth_chunks().unwrap();
    asked.sort_by_key(|kind| kind.0);
    assert_eq!(asked, [ChunkType::DATA, ChunkType::SACK]);
    assert_eq!(pair.here().local_auth_chunks(), Ok(Vec::new()));
    let mut own = pair.there().local_auth_chunks().unwrap();
    own.sort_by_key(|kind| kind.0);
    assert_eq!(own, [ChunkType::DATA, ChunkType::SACK]);
    // Without an association it is what new ones ask for.
    assert_eq!(pair.client.options().local_auth_chunks(), Ok(Vec::new()));
    assert_eq!(pair.server.options().local_auth_chunks().unwrap().len(), 2);
    pair.send("authenticated", pair.to()).await;
    assert_eq!(next_data(&pair.server).await.payload, "authenticated");
}

#[tokio::test]
async fn rfc6458_8_2_5_a_socket_tells_its_associations_and_how_many_they_are() {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let server = own.socket(7).unwrap();
    server.listen(5).unwrap();
    let client = other.socket(0).unwrap();
    assert_eq!(client.associations(), Ok(Vec::new()));
    let assoc = within(client.connect(at("127.0.0.1", 7))).await.unwrap();
    assert_eq!(client.associations(), Ok(vec![assoc]));
    let second = own.socket(8).unwrap();
    second.listen(5).unwrap();
    let other_assoc = within(client.connect(at("127.0.0.1", 8))).await.unwrap();
    let mut both = vec![assoc, other_assoc];
    both.sort();
    let mut names = client.associations().unwrap();
    names.sort();
    assert_eq!(names, both);
    // One that is branched off is another socket's.
    let stream = client.peel_off(assoc).unwrap();
    assert_eq!(client.associations(), Ok(vec![other_assoc]));
    assert_eq!(client.status(assoc), Err(Error::NoSuchAssociation));
    drop(stream);
}

#[tokio::test]
async fn rfc6458_8_1_2_what_an_association_tells_of_its_parameters() {
    let pair = Pair::two_homed(AssociationConfig::default()).await;
    let info = pair.options().assoc_info().unwrap();
    assert_eq!(info.peer_destinations, 2);
    assert!(info.peer_rwnd > 0 && info.local_rwnd > 0, "{info:?}");
    pair.options().set_association_max_retrans(3).unwrap();
    let changed = pair.options().assoc_info().unwrap();
    assert_eq!(changed.max_retransmits, 3);
    assert_eq!(
        pair.client.options().assoc_info().unwrap().max_retransmits,
        info.max_retransmits
    );
    assert_eq!(pair.client.options().assoc_info().unwrap().peer_destinations, 0);
}

#[tokio::test]
async fn rfc6458_8_1_2_the_own_window_is_what_the_peer_was_told_last() {
    if on_kernel("it tells its largest one") {
        return;
    }
    let mut config = AssociationConfig::default();
    config.set_receive_buffer(60_000).unwrap();
    let pair = Pair::new(AssociationConfig::default(), config).await;
    let told = || pair.there().options().assoc_info().unwrap().local_rwnd;
    assert_eq!(told(), 60_000);
    pair.send(pattern(20_000), pair.to()).await;
    until(|| pair.here().status().unwrap().unacknowledged_messages == 0).await;
    let left = told();
    assert!((20_000..=40_000).contains(&left), "{left}");
    assert_eq!(usize::try_from(left).unwrap(), pair.here().status().unwrap().peer_rwnd);
}

fn sorted(mut addresses: Vec<std::net::SocketAddr>) -> Vec<std::net::SocketAddr> {
    addresses.sort();
    addresses
}

#[tokio::test]
async fn rfc6458_9_3_addresses_of_both_ends_are_told() {
    let streams = Streams::usual().await;
    let peer = sorted(streams.opened.peer_addresses().unwrap());
    assert_eq!(peer, [at("127.0.0.1", 7), at("127.0.0.2", 7)]);
    assert_eq!(sorted(streams.accepted.local_addresses().unwrap()), peer);
    assert_eq!(
        sorted(streams.accepted.peer_addresses().unwrap()),
        sorted(streams.opened.local_addresses().unwrap())
    );
    assert_eq!(sorted(streams.listener.local_addresses().unwrap()), peer);
    assert_eq!(streams.listener.local_addr().unwrap().port(), 7);
}

#[tokio::test]
async fn rfc6458_9_3_addresses_of_one_association_among_several_are_told() {
    let peer = [at("127.0.0.1", 7), at("127.0.0.2", 7)];
    let pair = Pair::two_homed(AssociationConfig::default()).await;
    assert_eq!(sorted(pair.client.peer_addresses(pair.names[0]).unwrap()), peer);
    assert_eq!(sorted(pair.server.local_addresses().unwrap()), peer);
    let gone = pair.client.peel_off(pair.names[0]).unwrap();
    assert_eq!(pair.client.peer_addresses(pair.names[0]), Err(Error::NoSuchAssociation));
    within(gone.send("x", &SndInfo::new())).await.unwrap();
}
