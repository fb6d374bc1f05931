//! Notifications of the extensions, and who gets them (RFC 6458 §6.1, §6.2; RFC 6525 §6.1).

mod common;

use common::{Host, at, builder, has_kernel, next_change, next_data, on_kernel, stack, stack_towards, up, within};
use socketapi::{
    AddressChange, AssocId, AssociationConfig, AuthEvent, ChunkType, Error, Notification, PathChange, Received,
    ReconfigError, ReconfigOutcome, ReconfigRequests, SctpSocket, SharedKeyId, SndInfo, StreamDirection,
    StreamDirections, StreamId, Subscriptions,
};

/// A client with an association to a listening server; both want to know everything.
struct Pair {
    client: SctpSocket,
    server: SctpSocket,
    /// The client's name of it.
    assoc: AssocId,
    _stacks: [Host; 2],
}

impl Pair {
    async fn new(client: AssociationConfig, server: AssociationConfig, addresses: [&[&str]; 2]) -> Self {
        let own = stack(addresses[1]).await;
        let other = stack_towards(addresses[0], &own).await;
        let server = builder(&own).association(server).subscriptions(Subscriptions::all());
        let server = server.bind("127.0.0.1:7").await.unwrap();
        server.listen(5).unwrap();
        let client = builder(&other).association(client).subscriptions(Subscriptions::all());
        let client = client.bind("127.0.0.1:0").await.unwrap();
        let assoc = within(client.connect(at("127.0.0.1", 7))).await.unwrap();
        Self {
            client,
            server,
            assoc,
            _stacks: [other, own],
        }
    }

    async fn default() -> Self {
        let config = AssociationConfig::default();
        Self::new(config.clone(), config, [&["127.0.0.1"], &["127.0.0.1"]]).await
    }
}

/// The next notification that `pick` takes, whatever comes before it.
async fn next<T>(socket: &SctpSocket, pick: impl Fn(Notification) -> Option<T>) -> T {
    loop {
        if let Received::Notification(notification) = within(socket.recv()).await.unwrap()
            && let Some(picked) = pick(notification)
        {
            return picked;
        }
    }
}

#[tokio::test]
async fn rfc6458_6_1_6_the_adaptation_indication_of_the_peer_is_told() {
    let mut config = AssociationConfig::default();
    config.set_adaptation_indication(Some(0xaffe));
    let pair = Pair::new(config, AssociationConfig::default(), [&["127.0.0.1"]; 2]).await;
    let indication = next(&pair.server, |notification| match notification {
        Notification::AdaptationIndication { indication, .. } => Some(indication),
        _ => None,
    });
    assert_eq!(indication.await, 0xaffe);
}

fn reset(notification: Notification) -> Option<(StreamDirection, Vec<StreamId>, ReconfigOutcome)> {
    match notification {
        Notification::StreamReset {
            direction,
            streams,
            outcome,
            ..
        } => Some((direction, streams, outcome)),
        _ => None,
    }
}

#[tokio::test]
async fn rfc6525_6_1_1_both_sides_are_told_of_a_stream_reset() {
    let pair = Pair::default().await;
    let accepted = up(&pair.server).await;
    let options = pair.server.association(accepted).options();
    options.set_enable_stream_reset(ReconfigRequests::ALL).unwrap();
    assert_eq!(options.enable_stream_reset(), Ok(ReconfigRequests::ALL));

    let info = SndInfo::to(pair.assoc).on_stream(2);
    within(pair.client.send("ssn 0", &info)).await.unwrap();
    within(pair.client.send("ssn 1", &info)).await.unwrap();
    let assoc = pair.client.association(pair.assoc);
    assoc.reset_streams(StreamDirections::Outgoing, &[StreamId(2)]).unwrap();
    let streams = vec![StreamId(2)];
    assert_eq!(
        next(&pair.client, reset).await,
        (StreamDirection::Outgoing, streams.clone(), ReconfigOutcome::Performed)
    );
    within(pair.client.send("ssn 0 again", &info)).await.unwrap();
    assert_eq!(next_data(&pair.server).await.info.ssn.0, 0);
    assert_eq!(next_data(&pair.server).await.info.ssn.0, 1);
    assert_eq!(
        next(&pair.server, reset).await,
        (StreamDirection::Incoming, streams, ReconfigOutcome::Performed)
    );
    assert_eq!(next_data(&pair.server).await.info.ssn.0, 0);
    let unknown = assoc.reset_streams(StreamDirections::Outgoing, &[StreamId(999)]);
    assert_eq!(unknown, Err(Error::InvalidStream));
}

#[tokio::test]
async fn rfc6525_6_3_1_what_was_not_enabled_is_denied() {
    let pair = Pair::default().await;
    up(&pair.server).await;
    let assoc = pair.client.association(pair.assoc);
    assoc.reset_streams(StreamDirections::Outgoing, &[]).unwrap();
    if !has_kernel() {
        // Within a kernel the answer is there at once.
        let in_progress = assoc.reset_assoc();
        assert_eq!(in_progress, Err(Error::Reconfig(ReconfigError::InProgress)));
    }
    assert_eq!(
        next(&pair.client, reset).await,
        (StreamDirection::Outgoing, Vec::new(), ReconfigOutcome::Denied)
    );
}

#[tokio::test]
async fn rfc6525_6_1_2_both_sides_are_told_of_an_association_reset() {
    let mut config = AssociationConfig::default();
    config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    let pair = Pair::new(AssociationConfig::default(), config, [&["127.0.0.1"]; 2]).await;
    pair.client.association(pair.assoc).reset_assoc().unwrap();
    let pick = |notification| match notification {
        Notification::AssociationReset {
            local_tsn,
            remote_tsn,
            outcome,
            ..
        } => Some((local_tsn, remote_tsn, outcome)),
        _ => None,
    };
    let (here, there) = (next(&pair.client, pick).await, next(&pair.server, pick).await);
    assert_eq!(here, (there.1, there.0, ReconfigOutcome::Performed));
}

#[tokio::test]
async fn rfc6525_6_1_3_added_streams_are_told_and_can_be_used() {
    let mut config = AssociationConfig::default();
    config.set_outbound_streams(2).unwrap();
    let mut accepting = config.clone();
    accepting.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    let pair = Pair::new(config, accepting, [&["127.0.0.1"]; 2]).await;
    let info = SndInfo::to(pair.assoc).on_stream(4);
    assert_eq!(pair.client.try_send("too early", &info), Err(Error::InvalidStream));
    pair.client.association(pair.assoc).add_streams(3, 0).unwrap();
    let outbound = next(&pair.client, |notification| match notification {
        Notification::StreamChange {
            outbound_streams,
            outcome: ReconfigOutcome::Performed,
            ..
        } => Some(outbound_streams),
        _ => None,
    });
    assert_eq!(outbound.await, 5);
    within(pair.client.send("on a new stream", &info)).await.unwrap();
    assert_eq!(next_data(&pair.server).await.info.stream.0, 4);
}

fn authentication(notification: Notification) -> Option<AuthEvent> {
    match notification {
        Notification::Authentication { event, .. } => Some(event),
        _ => None,
    }
}

#[tokio::test]
async fn rfc6458_6_1_8_keys_that_come_into_use_and_out_of_it_are_told() {
    let mut config = AssociationConfig::default();
    config.auth_mut().require(ChunkType::DATA).unwrap();
    let pair = Pair::new(config.clone(), config, [&["127.0.0.1"]; 2]).await;
    let accepted = up(&pair.server).await;
    let (here, there) = (pair.client.association(pair.assoc), pair.server.association(accepted));
    assert_eq!(here.peer_auth_chunks(), Ok(vec![ChunkType::DATA]));
    assert_eq!(here.local_auth_chunks(), Ok(vec![ChunkType::DATA]));
    for options in [here.options(), there.options()] {
        options.set_auth_key(SharedKeyId(7), b"a secret").unwrap();
    }
    let options = here.options();
    options.set_auth_active_key(SharedKeyId(7)).unwrap();
    assert_eq!(options.auth_active_key(), Ok(SharedKeyId(7)));
    within(pair.client.send("with key 7", &SndInfo::to(pair.assoc)))
        .await
        .unwrap();
    assert_eq!(
        next(&pair.server, authentication).await,
        AuthEvent::NewKey(SharedKeyId(7))
    );

    // The kernel forgets any key but the active one.
    assert!(has_kernel() || matches!(options.auth_delete_key(SharedKeyId(0)), Err(Error::AuthKey(_))));
    assert!(matches!(
        options.auth_deactivate_key(SharedKeyId(7)),
        Err(Error::AuthKey(_))
    ));
    assert_eq!(options.auth_deactivate_key(SharedKeyId(8)), Err(Error::NoSuchKey));
    options.auth_deactivate_key(SharedKeyId(0)).unwrap();
    assert_eq!(
        next(&pair.client, authentication).await,
        AuthEvent::FreeKey(SharedKeyId(0))
    );
    options.auth_delete_key(SharedKeyId(0)).unwrap();
    assert_eq!(options.auth_deactivate_key(SharedKeyId(0)), Err(Error::NoSuchKey));
}

#[tokio::test]
async fn rfc6458_6_1_8_a_peer_without_authentication_is_told() {
    let mut config = AssociationConfig::default();
    config.auth_mut().set_enabled(true);
    let pair = Pair::new(config, AssociationConfig::default(), [&["127.0.0.1"]; 2]).await;
    assert_eq!(next(&pair.client, authentication).await, AuthEvent::NoAuth);
    let options = pair.client.association(pair.assoc).options();
    assert_eq!(options.auth_supported(), Ok(false));
    assert_eq!(pair.client.options().auth_supported(), Ok(true));
}

/// Waits until something becomes of one of the peer's addresses.
async fn changed(socket: &SctpSocket, ip: std::net::IpAddr, wanted: PathChange) {
    let told = next(socket, |notification| match notification {
        Notification::PeerAddressChange { address, change, .. } => {
            (address.ip() == ip && change == wanted).then_some(())
        }
        _ => None,
    });
    told.await;
}

#[tokio::test]
async fn rfc6458_9_1_bound_addresses_come_and_go_in_open_associations() {
    let mut config = AssociationConfig::default();
    config.asconf_mut().set_offered(true);
    let pair = Pair::new(config.clone(), config, [&["127.0.0.1", "127.0.0.2"], &["127.0.0.1"]]).await;
    let second = common::ip("127.0.0.2");
    let assoc = pair.client.association(pair.assoc);
    assert_eq!(assoc.options().asconf_supported(), Ok(true));
    let answered = |notification| match notification {
        Notification::LocalAddressChange { change, refused, .. } => Some((change, refused)),
        _ => None,
    };

    let accepted = up(&pair.server).await;
    let there = pair.server.association(accepted);
    if has_kernel() {
        // It tells the peer's user, not its own.
        pair.client.bindx_add(second).unwrap();
        changed(&pair.server, second, PathChange::Added).await;
        pair.client.bindx_remove(second).unwrap();
        changed(&pair.server, second, PathChange::Removed).await;
        return;
    }
    pair.client.bindx_add(second).unwrap();
    assert_eq!(next(&pair.client, answered).await, (AddressChange::Add(second), None));
    assert_eq!(there.status().unwrap().paths.len(), 2);

    assoc.set_peer_primary_addr(common::ip("127.0.0.1")).unwrap();
    let first = common::ip("127.0.0.1");
    assert_eq!(
        next(&pair.client, answered).await,
        (AddressChange::SetPrimary(first), None)
    );
    assert_eq!(there.primary_addr(), Ok(first));

    pair.client.bindx_remove(second).unwrap();
    assert_eq!(
        next(&pair.client, answered).await,
        (AddressChange::Delete(second), None)
    );
    assert_eq!(there.status().unwrap().paths.len(), 1);
    assert!(matches!(pair.client.bindx_remove(first), Err(Error::AddressChange(_))));
    assert_eq!(
        pair.client.bindx_add(common::ip("192.0.2.1")),
        Err(Error::AddressNotAvailable)
    );
}

#[tokio::test]
async fn rfc6458_6_2_events_of_extensions_are_subscribed_to_one_by_one() {
    let defaults = Subscriptions::default();
    assert!(!defaults.stream_reset && !defaults.authentication && !defaults.adaptation_indication);
    let pair = Pair::default().await;
    let options = pair.client.association(pair.assoc).options();
    let only_changes = Subscriptions {
        association_change: true,
        ..Subscriptions::none()
    };
    options.set_subscriptions(only_changes).unwrap();
    assert_eq!(options.subscriptions(), Ok(only_changes));
    assert_eq!(pair.client.options().subscriptions(), Ok(Subscriptions::all()));
    // Of this association nothing is told but its end.
    let assoc = pair.client.association(pair.assoc);
    up(&pair.client).await;
    assoc.reset_streams(StreamDirections::Outgoing, &[]).unwrap();
    up(&pair.server).await;
    pair.client.shutdown(pair.assoc).unwrap();
    next_change(&pair.server).await;
    loop {
        match within(pair.client.recv()).await.unwrap() {
            Received::Notification(Notification::AssociationChange(_)) => return,
            // Told before it was no longer wanted.
            Received::Notification(Notification::PeerAddressChange { .. } | Notification::Authentication { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn rfc6458_6_1_9_a_sender_that_is_dry_already_is_told_at_once() {
    let pair = Pair::default().await;
    let options = pair.client.association(pair.assoc).options();
    options.set_subscriptions(Subscriptions::none()).unwrap();
    let dry = Subscriptions {
        sender_dry: true,
        ..Subscriptions::none()
    };
    options.set_subscriptions(dry).unwrap();
    let told = next(&pair.client, |notification| match notification {
        Notification::SenderDry { assoc } => Some(assoc),
        _ => None,
    });
    assert_eq!(told.await, pair.assoc);
}

#[tokio::test]
async fn rfc6458_6_1_10_a_storm_of_notifications_stops_and_is_told() {
    if on_kernel("it bounds its queue by the receive buffer") {
        return;
    }
    let mut config = AssociationConfig::default();
    config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    let pair = Pair::new(AssociationConfig::default(), config, [&["127.0.0.1"]; 2]).await;
    let assoc = pair.client.association(pair.assoc);
    let resets = 200;
    // Once everything was received there is room again, for another storm too.
    for _ in 0..2 {
        for _ in 0..resets {
            assoc.reset_streams(StreamDirections::Outgoing, &[]).unwrap();
            assert_eq!(next(&pair.client, reset).await.2, ReconfigOutcome::Performed);
        }
        let mut told = 0;
        loop {
            match within(pair.server.recv()).await.unwrap() {
                Received::Notification(Notification::StreamReset { .. }) => told += 1,
                Received::Notification(Notification::NotificationsStopped { .. }) => break,
                _ => {}
            }
        }
        assert!((50..resets).contains(&told), "{told}");
        assert_eq!(pair.server.try_recv(), Err(Error::WouldBlock));
    }
    assoc.reset_streams(StreamDirections::Outgoing, &[]).unwrap();
    assert_eq!(next(&pair.server, reset).await.2, ReconfigOutcome::Performed);
}
