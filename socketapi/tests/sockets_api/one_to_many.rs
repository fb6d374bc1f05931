//! RFC 6458 §3, one-to-many style sockets, and §7.5, implicit set-up.

use socketapi::{
    AssocId, AssociationState, Error, FailureReason, Notification, PathState, Received, SctpSocket, SndInfo,
    Subscriptions,
};

use crate::common::{
    Host, Pair, at, next_change, next_data, on_kernel, pattern, stack, stack_towards, told, up, waiting, within,
};

/// A client, and the hosts of its peers and of its own.
async fn client() -> (SctpSocket, [Host; 2]) {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    (other.socket(0).unwrap(), [own, other])
}

/// A peer of the client's at a port, and the association with it.
async fn connected(client: &SctpSocket, host: &Host, port: u16) -> (SctpSocket, AssocId) {
    let peer = host.socket(port).unwrap();
    peer.listen(1).unwrap();
    let assoc = within(client.connect(at("127.0.0.1", port))).await.unwrap();
    (peer, assoc)
}

fn is_refused<T: std::fmt::Debug>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::ConnectFailed(FailureReason::PeerAbort { .. })))
}

#[tokio::test]
async fn rfc6458_3_1_2_a_socket_that_is_only_bound_rejects_associations() {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let server = own.socket(7).unwrap();
    let client = other.socket(0).unwrap();
    assert_ne!(client.local_addr().unwrap().port(), 0, "an ephemeral port");
    let refused = within(client.connect(at("127.0.0.1", 7))).await;
    assert!(is_refused(&refused), "{refused:?}");
    server.listen(1).unwrap();
    within(client.connect(at("127.0.0.1", 7))).await.unwrap();
}

#[tokio::test]
async fn rfc6458_3_1_3_a_backlog_of_zero_ends_listening_and_no_association() {
    let pair = Pair::usual().await;
    pair.server.listen(0).unwrap();
    let second = pair.hosts[0].socket(0).unwrap();
    let refused = within(second.connect(at("127.0.0.1", 7))).await;
    assert!(is_refused(&refused), "{refused:?}");
    pair.send("still here", pair.to()).await;
    assert_eq!(next_data(&pair.server).await.payload, "still here");
    pair.server.listen(1).unwrap();
    within(second.connect(at("127.0.0.1", 7))).await.unwrap();
}

#[tokio::test]
async fn rfc6458_3_1_4_after_the_peer_has_shut_down_nothing_can_be_sent_but_all_received() {
    let pair = Pair::narrow().await;
    pair.answer("early").await;
    let sent = pattern(60_000);
    pair.send(sent.clone(), pair.to()).await;
    pair.server.shutdown(pair.names[1]).unwrap();
    // The client has not been acknowledged everything, so that it is still there.
    let name = pair.names[0];
    while next_data(&pair.client).await.payload != "early" {}
    told(&pair.client, |event| {
        matches!(event, Notification::PeerShutdown { .. }).then_some(())
    })
    .await;
    assert_eq!(pair.client.try_send("late", &pair.to()), Err(Error::ShuttingDown));
    assert_eq!(pair.client.associations(), Ok(vec![name]));
    let mut received = Vec::new();
    while received.len() < sent.len() {
        received.extend_from_slice(&next_data(&pair.server).await.payload);
    }
    assert_eq!(received, sent);
    assert_eq!(
        next_change(&pair.client).await.state,
        AssociationState::ShutdownComplete
    );
}

#[tokio::test]
async fn rfc6458_3_1_4_ending_an_association_that_is_not_there_sets_none_up() {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let server = own.socket(7).unwrap();
    server.listen(1).unwrap();
    let client = other.socket(0).unwrap();
    let info = SndInfo::to_address(at("127.0.0.1", 7));
    for refused in [client.try_send("", &info.eof()), client.try_send("", &info.abort())] {
        assert_eq!(refused.map_err(|error| error.errno()), Err(libc::EINVAL));
    }
    assert_eq!(client.associations(), Ok(Vec::new()));
    assert_eq!(client.find(at("127.0.0.1", 7)), Ok(None));
}

#[tokio::test]
async fn rfc6458_3_1_5_closing_shuts_down_all_associations_but_those_branched_off() {
    let (client, [own, _other]) = client().await;
    let mut peers = Vec::new();
    for port in 7..10 {
        peers.push(connected(&client, &own, port).await);
    }
    let branched_off = client.peel_off(peers[0].1).unwrap();
    for (_, assoc) in &peers[1..] {
        for number in 0..20 {
            let payload = format!("{number}");
            within(client.send(payload, &SndInfo::to(*assoc))).await.unwrap();
        }
    }
    within(client.close()).await.unwrap();
    for (peer, _) in &peers[1..] {
        for number in 0..20 {
            assert_eq!(next_data(peer).await.payload, format!("{number}"));
        }
        assert_eq!(next_change(peer).await.state, AssociationState::ShutdownComplete);
    }
    within(branched_off.send("alone", &SndInfo::new())).await.unwrap();
    assert_eq!(next_data(&peers[0].0).await.payload, "alone");
}

#[tokio::test]
async fn rfc6458_3_1_6_a_socket_connects_several_times_and_names_each_association() {
    let (client, [own, _other]) = client().await;
    let mut names = Vec::new();
    for port in 7..10 {
        let (peer, name) = connected(&client, &own, port).await;
        names.push(name);
        assert_eq!(up(&client).await, name);
        drop(peer);
        assert_eq!(next_change(&client).await.assoc, name);
    }
    // No name comes twice, even when its association is over.
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3);
}

#[tokio::test]
async fn rfc6458_3_2_what_was_sent_to_a_peer_that_refuses_comes_back_message_by_message() {
    if on_kernel("it has been refused before the second message") {
        return;
    }
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let client = other.socket(0).unwrap();
    let info = SndInfo::to_address(at("127.0.0.1", 7));
    for number in 0..3 {
        client
            .try_send(format!("{number}"), &info.with_context(number))
            .unwrap();
    }
    let (mut returned, mut failed) = (Vec::new(), None);
    while returned.len() < 3 || failed.is_none() {
        match within(client.recv()).await.unwrap() {
            Received::Notification(Notification::SendFailed {
                info, sent, payload, ..
            }) => {
                assert!(!sent);
                returned.push((info.context, payload));
            }
            Received::Notification(Notification::AssociationChange(change)) => failed = Some(change.state),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(failed, Some(AssociationState::CannotStart(_))), "{failed:?}");
    assert_eq!(returned, [(0, "0".into()), (1, "1".into()), (2, "2".into())]);
}

#[tokio::test]
async fn rfc6458_3_3_an_association_that_stalls_holds_up_no_other() {
    if on_kernel("its send buffer is the socket's, unless the administrator says otherwise") {
        return;
    }
    let pair = Pair::narrow().await;
    let second = pair.hosts[1].socket(8).unwrap();
    second.listen(1).unwrap();
    let free = within(pair.client.connect(at("127.0.0.1", 8))).await.unwrap();
    // One waits in the end, the other does not.
    let to = pair.to();
    let stalls = async {
        for _ in 0..10_000 {
            pair.client.send(pattern(1_000), &to).await.unwrap();
        }
    };
    let goes = async {
        for _ in 0..100 {
            within(pair.client.send("passes by", &SndInfo::to(free))).await.unwrap();
            assert_eq!(next_data(&second).await.payload, "passes by");
        }
    };
    tokio::select! {
        biased;
        () = stalls => panic!("it did not wait"),
        () = goes => {}
    }
}

#[tokio::test]
async fn rfc6458_7_5_a_message_to_an_address_sets_up_and_both_ends_are_told_before_data() {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let server = own.socket(7).unwrap();
    server.listen(1).unwrap();
    let client = other.socket(0).unwrap();
    let info = SndInfo::to_address(at("127.0.0.1", 7));
    // Both go to one association.
    client.try_send("first", &info).unwrap();
    client.try_send("second", &info).unwrap();
    let first = within(server.recv()).await.unwrap();
    let Received::Notification(Notification::AssociationChange(change)) = first else {
        panic!("{first:?}");
    };
    assert!(matches!(
        change.state,
        AssociationState::Up {
            initiated_here: false,
            ..
        }
    ));
    for expected in ["first", "second"] {
        let message = next_data(&server).await;
        assert_eq!(
            (&message.payload[..], message.info.assoc),
            (expected.as_bytes(), change.assoc)
        );
    }
    within(server.send("answer", &SndInfo::to(change.assoc))).await.unwrap();
    let first = within(client.recv()).await.unwrap();
    let Received::Notification(Notification::AssociationChange(change)) = first else {
        panic!("{first:?}");
    };
    assert!(matches!(
        change.state,
        AssociationState::Up {
            initiated_here: true,
            ..
        }
    ));
    assert_eq!(next_data(&client).await.info.assoc, change.assoc);
    assert_eq!(client.associations(), Ok(vec![change.assoc]));
}

#[tokio::test]
async fn rfc6458_3_1_1_a_socket_of_ipv4_addresses_has_no_ipv6_peers() {
    let host = stack(&["127.0.0.1", "::1"]).await;
    let socket = host.builder().bind("0.0.0.0:0").await.unwrap();
    let own = socket.local_addresses().unwrap();
    assert!(
        !own.is_empty() && own.iter().all(std::net::SocketAddr::is_ipv4),
        "{own:?}"
    );
    let refused = socket.try_connect(at("::1", 7));
    assert!(
        matches!(refused, Err(Error::Unreachable | Error::InvalidAddress)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn rfc6458_3_1_2_the_wildcard_stands_for_all_addresses_and_makes_associations_multihomed() {
    if on_kernel("its addresses are all of the namespace") {
        return;
    }
    let own = stack(&["127.0.0.1", "127.0.0.2"]).await;
    let other = stack_towards(&["127.0.0.1", "127.0.0.2"], &own).await;
    let server = own.socket(7).unwrap();
    server.listen(1).unwrap();
    // Nobody has bound this one.
    let stream = within(other.builder().connect(at("127.0.0.1", 7))).await.unwrap();
    let mut there = stream.peer_addresses().unwrap();
    there.sort();
    assert_eq!(there, [at("127.0.0.1", 7), at("127.0.0.2", 7)]);
    assert_eq!(stream.local_addresses().unwrap().len(), 2);
    let primaries = stream.status().unwrap().paths;
    assert_eq!(primaries.iter().filter(|path| path.primary).count(), 1);
    assert!(
        primaries
            .iter()
            .any(|path| path.primary && path.state == PathState::Active)
    );
}

#[tokio::test]
async fn rfc6458_6_1_1_what_was_outstanding_when_an_association_is_lost_comes_back() {
    let pair = Pair::narrow().await;
    for number in 0..30 {
        pair.send(pattern(1_000), pair.to().with_context(number)).await;
    }
    // Some of it has been sent, and some has not.
    waiting(&pair.there(), 1).await;
    pair.server.set_subscriptions(Subscriptions::none()).unwrap();
    pair.server.abort(pair.names[1], "").unwrap();
    let (mut returned, mut sent_before, mut lost) = (Vec::new(), Vec::new(), false);
    while !lost || !returned.contains(&29) {
        match within(pair.client.recv()).await.unwrap() {
            Received::Notification(Notification::SendFailed {
                info, sent, payload, ..
            }) => {
                assert_eq!(payload, pattern(1_000));
                returned.push(info.context);
                sent_before.push(sent);
            }
            Received::Notification(Notification::AssociationChange(change)) => {
                lost |= matches!(change.state, AssociationState::Lost(_));
            }
            _ => {}
        }
    }
    // Those that were delivered are missing at the front, and none else.
    let first = returned[0];
    assert!(returned.iter().copied().eq(first..30), "{returned:?}");
    assert!(sent_before.is_sorted_by(|a, b| a >= b), "{sent_before:?}");
    assert_eq!(sent_before.last(), Some(&false));
}
