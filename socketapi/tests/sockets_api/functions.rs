//! RFC 6458 §9, functions.

use socketapi::{AssociationState, Error, Notification, Received, SndInfo, Subscriptions};

use crate::common::{
    Pair, at, hasty, ip, next, next_change, next_data, on_kernel, pattern, stack, stack_towards, up, waiting, within,
};

#[tokio::test]
async fn rfc6458_9_1_addresses_of_a_socket_have_one_port_and_no_wildcard_among_them() {
    let host = stack(&["127.0.0.1", "127.0.0.2"]).await;
    let bind = async |addresses: &[std::net::SocketAddr]| host.builder().bind(addresses).await.map(drop);
    let two_ports = bind(&[at("127.0.0.1", 7), at("127.0.0.2", 8)]).await;
    assert_eq!(two_ports, Err(Error::InvalidAddress));
    let wildcard = bind(&[at("0.0.0.0", 7), at("127.0.0.2", 7)]).await;
    assert_eq!(wildcard.map_err(|error| error.errno()), Err(libc::EINVAL));
    let stranger = bind(&[at("127.0.0.1", 7), at("192.0.2.1", 7)]).await;
    assert_eq!(stranger, Err(Error::AddressNotAvailable));
    // Nothing is left of what failed.
    bind(&[at("127.0.0.1", 7), at("127.0.0.2", 7)]).await.unwrap();
}

#[tokio::test]
async fn rfc6458_9_1_the_last_address_stays_and_those_taken_are_not_of_new_associations() {
    let own = stack(&["127.0.0.1", "127.0.0.2"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let both = [at("127.0.0.1", 7), at("127.0.0.2", 7)];
    let server = own.builder().bind(&both[..]).await.unwrap();
    server.listen(1).unwrap();
    server.bindx_remove(ip("127.0.0.2")).unwrap();
    let last = server.bindx_remove(ip("127.0.0.1"));
    assert!(matches!(last, Err(Error::AddressChange(_))), "{last:?}");
    assert_eq!(server.local_addresses(), Ok(vec![at("127.0.0.1", 7)]));
    let client = other.socket(0).unwrap();
    let assoc = within(client.connect(both[0])).await.unwrap();
    assert_eq!(client.peer_addresses(assoc), Ok(vec![both[0]]));
    server.bindx_add(ip("127.0.0.2")).unwrap();
    let second = other.socket(0).unwrap();
    let assoc = within(second.connect(both[0])).await.unwrap();
    let mut addresses = second.peer_addresses(assoc).unwrap();
    addresses.sort();
    assert_eq!(addresses, both);
}

#[tokio::test]
async fn rfc6458_9_2_what_was_received_goes_along_and_the_first_socket_gets_no_more() {
    let pair = Pair::usual().await;
    for number in 0..10 {
        pair.send(format!("{number}"), pair.to()).await;
    }
    waiting(&pair.there(), 10).await;
    let stream = pair.server.peel_off(pair.names[1]).unwrap();
    for number in 10..20 {
        pair.send(format!("{number}"), pair.to()).await;
    }
    for number in 0..20 {
        assert_eq!(next(&stream).await.payload, format!("{number}"));
    }
    assert_eq!(
        pair.server.peel_off(pair.names[1]).map(drop),
        Err(Error::NoSuchAssociation)
    );
    let none = pair.server.try_send("x", &SndInfo::to(pair.names[1]));
    assert_eq!(none, Err(Error::AssociationGone));
    assert_eq!(pair.server.shutdown(pair.names[1]), Err(Error::AssociationGone));
    // Its notifications go to the new socket as well.
    stream.set_subscriptions(Subscriptions::default()).unwrap();
    pair.client.shutdown(pair.names[0]).unwrap();
    let mut ended = false;
    while let Some(received) = within(stream.recv_any()).await.unwrap() {
        if let Received::Notification(Notification::AssociationChange(change)) = received {
            ended = change.state == AssociationState::ShutdownComplete;
        }
    }
    assert!(ended || on_kernel("the end of the data is the end"));
    while let Ok(received) = pair.server.try_recv() {
        let is_change = matches!(received, Received::Notification(Notification::AssociationChange(_)));
        assert!(!is_change, "{received:?}");
    }
    // The first socket listens on.
    let second = pair.hosts[0].socket(0).unwrap();
    within(second.connect(at("127.0.0.1", 7))).await.unwrap();
    up(&pair.server).await;
}

#[tokio::test]
async fn rfc6458_9_2_a_branched_off_socket_outlives_the_first_and_closes_alone() {
    let pair = Pair::usual().await;
    let second = pair.hosts[1].socket(8).unwrap();
    second.listen(1).unwrap();
    let other = within(pair.client.connect(at("127.0.0.1", 8))).await.unwrap();
    let stream = pair.client.peel_off(pair.names[0]).unwrap();
    within(stream.close()).await.unwrap();
    assert_eq!(
        next_change(&pair.server).await.state,
        AssociationState::ShutdownComplete
    );
    within(pair.client.send("still here", &SndInfo::to(other)))
        .await
        .unwrap();
    assert_eq!(next_data(&second).await.payload, "still here");
    let stream = pair.client.peel_off(other).unwrap();
    within(pair.client.close()).await.unwrap();
    within(stream.send("and here", &SndInfo::new())).await.unwrap();
    assert_eq!(next_data(&second).await.payload, "and here");
}

#[tokio::test]
async fn rfc6458_9_9_all_addresses_of_a_list_are_tried() {
    if on_kernel("every address of the loopback interface is its own") {
        return;
    }
    let own = stack(&["127.0.0.1", "127.0.0.2"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let server = own.socket(7).unwrap();
    server.listen(1).unwrap();
    let client = other.builder().association(hasty()).bind("127.0.0.1:0").await.unwrap();
    // Nobody is at the first one.
    let list = [at("127.0.0.9", 7), at("127.0.0.1", 7)];
    let assoc = within(client.connect_multi(&list)).await.unwrap();
    assert_eq!(up(&client).await, assoc);
    // The list was for set-up alone.
    let mut addresses = client.peer_addresses(assoc).unwrap();
    addresses.sort();
    assert_eq!(addresses, [at("127.0.0.1", 7), at("127.0.0.2", 7)]);
}

#[tokio::test]
async fn rfc6458_9_9_a_list_is_of_one_peer() {
    let host = stack(&["127.0.0.1"]).await;
    let socket = host.socket(0).unwrap();
    let two_ports = [at("127.0.0.1", 7), at("127.0.0.2", 8)];
    for wrong in [&[][..], &two_ports] {
        let refused = socket.open(wrong, socketapi::ConnectOptions::default());
        assert_eq!(refused, Err(Error::InvalidAddress));
    }
    assert_eq!(socket.associations(), Ok(Vec::new()));
}

#[tokio::test]
async fn rfc6458_9_12_a_message_to_a_list_of_addresses_sets_up_and_names_the_association() {
    let own = stack(&["127.0.0.1", "127.0.0.2"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let server = own.socket(7).unwrap();
    server.listen(1).unwrap();
    let client = other.socket(0).unwrap();
    let list = [at("127.0.0.1", 7), at("127.0.0.2", 7)];
    let info = SndInfo::new().on_stream(2).with_ppid(3);
    let assoc = within(client.sendv("first", &list, &info)).await.unwrap();
    assert_eq!(client.associations(), Ok(vec![assoc]));
    let message = next_data(&server).await;
    assert_eq!((&message.payload[..], message.info.stream.0), (&b"first"[..], 2));
    // The second goes on the same association, whichever of its addresses is named.
    assert_eq!(client.try_sendv("second", &list[1..], &info), Ok(assoc));
    assert_eq!(next_data(&server).await.payload, "second");
    let large = pattern(100_000);
    assert_eq!(within(client.sendv(large.clone(), &list, &info)).await, Ok(assoc));
    let mut received = Vec::new();
    while received.len() < large.len() {
        received.extend_from_slice(&next_data(&server).await.payload);
    }
    assert_eq!(received, large);
    assert_eq!(client.try_sendv("", &list, &info.eof()), Ok(assoc));
    assert_eq!(next_change(&server).await.state, AssociationState::ShutdownComplete);
    while next_change(&client).await.state != AssociationState::ShutdownComplete {}
    // What only ends an association begins none.
    let refused = client.try_sendv("", &list, &info.eof());
    assert!(matches!(refused, Err(Error::NoSuchAssociation)), "{refused:?}");
    assert_eq!(client.try_sendv("x", &[], &info), Err(Error::InvalidAddress));
}
