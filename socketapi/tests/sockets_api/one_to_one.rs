//! RFC 6458 §4, one-to-one style sockets.

use socketapi::{
    AssociationConfig, AssociationState, Error, FragmentInterleave, Notification, PathChange, Received, SndInfo,
    Subscriptions,
};

use crate::common::{
    Streams, at, has_kernel, ip, narrow, next, on_kernel, pattern, stack, stack_towards, until, waiting, within,
};

#[tokio::test]
async fn rfc6458_4_1_3_a_listener_with_a_backlog_of_zero_takes_nobody() {
    if on_kernel("it takes zero for one") {
        return;
    }
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let listener = own.builder().listen("127.0.0.1:7", 0).await.unwrap();
    let refused = within(other.builder().connect("127.0.0.1:7")).await;
    assert!(matches!(refused, Err(Error::ConnectFailed(_))), "{refused:?}");
    assert_eq!(listener.try_accept().map(drop), Err(Error::WouldBlock));
}

#[tokio::test]
async fn rfc6458_4_1_4_accepting_tells_the_primary_address_of_the_peer() {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let listener = own.listener(7).unwrap();
    let opened = within(other.builder().connect("127.0.0.1:7")).await.unwrap();
    let (accepted, peer) = within(listener.accept()).await.unwrap();
    assert_eq!(Ok(peer), opened.local_addr());
    assert_eq!(peer, accepted.peer_addr());
    assert_eq!(Ok(peer.ip()), accepted.association().primary_addr());
}

#[tokio::test]
async fn rfc6458_4_1_6_nothing_succeeds_on_a_closed_socket() {
    let streams = Streams::usual().await;
    within(streams.opened.close()).await.unwrap();
    assert_eq!(streams.opened.try_recv(), Err(Error::Closed));
    assert_eq!(streams.opened.try_recv_any(), Err(Error::Closed));
    assert_eq!(streams.opened.try_send("x", &SndInfo::new()), Err(Error::Closed));
    assert!(streams.opened.abort("").is_err());
    assert!(streams.opened.status().is_err());
    assert!(streams.opened.association().options().set_context(1).is_err());
}

#[tokio::test]
async fn rfc6458_4_1_7_after_shutdown_what_the_peer_had_queued_and_notifications_are_received() {
    let streams = Streams::usual().await;
    streams.opened.set_subscriptions(Subscriptions::default()).unwrap();
    within(streams.accepted.send("queued", &SndInfo::new())).await.unwrap();
    streams.opened.shutdown().unwrap();
    assert_eq!(
        streams.opened.try_send("more", &SndInfo::new()),
        Err(Error::ShuttingDown)
    );
    let (mut data, mut end) = (false, false);
    while let Some(received) = within(streams.opened.recv_any()).await.unwrap() {
        assert!(!end, "{received:?}");
        match received {
            Received::Data { payload, .. } => data |= payload == "queued",
            Received::Notification(Notification::AssociationChange(change)) => {
                end |= change.state == AssociationState::ShutdownComplete;
            }
            Received::Notification(_) => {}
        }
    }
    assert!(data && end, "{data} {end}");
}

#[tokio::test]
async fn rfc6458_4_1_7_what_could_not_be_delivered_comes_back_after_shutdown() {
    if on_kernel("it tells nobody after that") {
        return;
    }
    let streams = Streams::new(AssociationConfig::default(), narrow()).await;
    streams.opened.set_subscriptions(Subscriptions::default()).unwrap();
    let sent = pattern(60_000);
    within(streams.opened.send(sent.clone(), &SndInfo::new().with_context(4)))
        .await
        .unwrap();
    streams.opened.shutdown().unwrap();
    streams.accepted.abort("").unwrap();
    loop {
        if let Some(Received::Notification(Notification::SendFailed { info, payload, .. })) =
            within(streams.opened.recv_any()).await.unwrap()
        {
            assert_eq!((info.context, payload.len()), (4, sent.len()));
            return;
        }
    }
}

#[tokio::test]
async fn rfc6458_4_1_7_a_socket_that_receives_nothing_more_still_sends_and_ends() {
    let streams = Streams::new(AssociationConfig::default(), narrow()).await;
    let (opened, accepted) = (&streams.opened, &streams.accepted);
    within(opened.send("early", &SndInfo::new())).await.unwrap();
    waiting(&accepted.association(), 1).await;
    // One that waits is told.
    let waits = accepted.recv();
    accepted.shutdown_read().unwrap();
    assert_eq!(within(waits).await, Ok(None));
    assert_eq!(accepted.try_recv_any(), Ok(None));
    within(accepted.send("the other way", &SndInfo::new())).await.unwrap();
    assert_eq!(next(opened).await.payload, "the other way");
    if on_kernel("what comes fills its buffer") {
        return;
    }
    within(opened.send(pattern(60_000), &SndInfo::new())).await.unwrap();
    within(opened.close()).await.unwrap();
    assert_eq!(accepted.try_recv(), Ok(None));
    within(accepted.close()).await.unwrap();
    assert_eq!(accepted.shutdown_read(), Err(Error::Closed));
}

#[tokio::test]
async fn rfc6458_4_1_8_a_message_can_prefer_an_address_of_the_peer_and_no_other() {
    let streams = Streams::usual().await;
    let own = SndInfo::new().over(ip("127.0.0.1"));
    within(streams.opened.send("this way", &own)).await.unwrap();
    assert_eq!(next(&streams.accepted).await.payload, "this way");
    let stranger = streams.opened.try_send("lost", &SndInfo::new().over(ip("127.0.0.9")));
    assert_eq!(stranger, Err(Error::AddressNotAvailable));
    within(streams.opened.send("last", &SndInfo::new())).await.unwrap();
    assert_eq!(next(&streams.accepted).await.payload, "last");
}

#[tokio::test]
async fn rfc6458_4_1_9_the_peers_name_is_its_primary_address() {
    let streams = Streams::usual().await;
    let opened = &streams.opened;
    assert_eq!(opened.peer_addr(), at("127.0.0.1", 7));
    opened.set_subscriptions(Subscriptions::default()).unwrap();
    // It cannot become the primary one before it is confirmed.
    let second = ip("127.0.0.2");
    until(|| opened.set_primary(second) != Err(Error::AddressUnconfirmed)).await;
    loop {
        if let Some(Received::Notification(Notification::PeerAddressChange { address, change, .. })) =
            within(opened.recv_any()).await.unwrap()
            && change == PathChange::Primary
        {
            assert_eq!(address, at("127.0.0.2", 7));
            break;
        }
    }
    assert_eq!(opened.association().primary_addr(), Ok(second));
    assert_eq!(opened.peer_addr(), at("127.0.0.2", 7));
    let refused = opened.set_primary(ip("0.0.0.0"));
    assert!(matches!(refused, Err(Error::NoSuchPath)), "{refused:?}");
    // The name outlives the association.
    within(streams.accepted.close()).await.unwrap();
    while within(opened.recv()).await.unwrap().is_some() {}
    assert_eq!(opened.peer_addr().port(), 7);
}

#[tokio::test]
async fn rfc6458_7_1_a_message_goes_to_the_peer_on_stream_0_unless_it_says_otherwise() {
    let streams = Streams::usual().await;
    within(streams.opened.send("plain", &SndInfo::new())).await.unwrap();
    let info = next(&streams.accepted).await.info;
    assert_eq!((info.stream.0, info.ppid.0, info.unordered), (0, 0, false));
    assert!(info.end_of_message);
    assert_eq!(info.assoc, streams.accepted.assoc_id());
    let empty = streams.opened.try_send("", &SndInfo::new());
    assert_eq!(empty, Err(Error::EmptyMessage));
    assert_eq!(empty.unwrap_err().errno(), libc::EINVAL);
    let elsewhere = streams.opened.try_send("x", &SndInfo::to_address(at("127.0.0.1", 8)));
    assert_eq!(elsewhere, Err(Error::AddressNotAvailable));
}

#[tokio::test]
async fn rfc6458_7_2_accepted_sockets_have_the_options_of_their_listener() {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let listener = own.listener(7).unwrap();
    let options = listener.options();
    options
        .set_default_sndinfo(SndInfo::new().with_ppid(5).on_stream(1))
        .unwrap();
    options.set_linger(Some(std::time::Duration::from_secs(3))).unwrap();
    let wanted = Subscriptions {
        peer_shutdown: true,
        ..Subscriptions::none()
    };
    options.set_subscriptions(wanted).unwrap();
    options.set_receive_buffer(40_000).unwrap();
    let opened = within(other.builder().connect("127.0.0.1:7")).await.unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    let inherited = accepted.association().options();
    assert_eq!(inherited.default_sndinfo().unwrap().ppid.0, 5);
    assert_eq!(inherited.linger(), Ok(Some(std::time::Duration::from_secs(3))));
    assert_eq!(inherited.subscriptions(), Ok(wanted));
    assert_eq!(inherited.receive_buffer(), Ok(40_000));
    within(accepted.send("with defaults", &SndInfo::new().with_defaults()))
        .await
        .unwrap();
    let info = next(&opened).await.info;
    assert_eq!((info.ppid.0, info.stream.0), (5, 1));
    // What is set of the socket later is not of the one that was accepted.
    options.set_receive_buffer(50_000).unwrap();
    assert_eq!(inherited.receive_buffer(), Ok(40_000));
}

#[tokio::test]
async fn rfc6458_8_1_20_nothing_comes_between_the_pieces_of_a_message() {
    let mut config = narrow();
    config.set_receive_buffer(8_000).unwrap();
    let streams = Streams::new(AssociationConfig::default(), config).await;
    let level = streams.accepted.association().options().fragment_interleave().unwrap();
    assert_ne!(level, FragmentInterleave::Streams);
    let sent = pattern(60_000);
    within(streams.opened.send(sent.clone(), &SndInfo::new()))
        .await
        .unwrap();
    within(streams.opened.send("behind", &SndInfo::new().on_stream(1)))
        .await
        .unwrap();
    let (mut received, mut pieces, mut first) = (Vec::new(), 0, None);
    loop {
        let message = next(&streams.accepted).await;
        let of_it = (message.info.stream, message.info.ssn);
        assert_eq!(*first.get_or_insert(of_it), of_it, "something came between");
        received.extend_from_slice(&message.payload);
        pieces += 1;
        if message.info.end_of_message {
            break;
        }
    }
    // How much the kernel holds of a message is its own affair.
    assert!(received == sent && (has_kernel() || pieces > 1), "{pieces} pieces");
    assert_eq!(next(&streams.accepted).await.payload, "behind");
}
