//! RFC 6458 §6, notifications and who gets them.

use std::time::Duration;

use socketapi::{
    AssocScope, AssociationConfig, AssociationState, Notification, PathChange, PathState, PathThresholds, Received,
    Reliability, SndInfo, Subscriptions,
};

use crate::common::{Pair, Streams, at, hasty, ip, next_change, next_data, on_kernel, pattern, told, until, within};

/// A server that receives in pieces, and the first piece of a large message.
async fn half_received(how: SndInfo) -> (Pair, usize) {
    let mut config = AssociationConfig::default();
    config.set_receive_buffer(8_000).unwrap();
    let pair = Pair::new(AssociationConfig::default(), config).await;
    let mut info = how;
    info.destination = pair.to().destination;
    pair.send(pattern(200_000), info).await;
    let first = next_data(&pair.server).await;
    assert!(!first.info.end_of_message);
    (pair, first.payload.len())
}

fn aborted_delivery(event: &Notification) -> Option<(u16, u16)> {
    match event {
        Notification::PartialDeliveryAborted { stream, ssn, .. } => Some((stream.0, ssn.0)),
        _ => None,
    }
}

#[tokio::test]
async fn rfc6458_6_1_7_a_partial_delivery_ends_when_the_association_is_aborted() {
    if on_kernel("how much it holds of a message is its own affair") {
        return;
    }
    let (pair, _) = half_received(SndInfo::new().on_stream(2)).await;
    pair.client.abort(pair.names[0], "").unwrap();
    assert_eq!(told(&pair.server, aborted_delivery).await, (2, 0));
    let change = next_change(&pair.server).await;
    assert!(matches!(change.state, AssociationState::Lost(_)), "{change:?}");
}

#[tokio::test]
async fn rfc6458_6_1_7_a_partial_delivery_ends_when_its_message_is_given_up() {
    if on_kernel("how much it holds of a message is its own affair") {
        return;
    }
    // Long enough for the first piece; all the rest is given up once its time is over.
    let life = Duration::from_secs(2);
    let timed = Reliability::Timed(life);
    let (pair, _) = half_received(SndInfo::new().on_stream(2).with_reliability(timed)).await;
    tokio::time::sleep(life).await;
    let aborted = told(&pair.server, aborted_delivery).await;
    assert_eq!(aborted, (2, 0));
    pair.send("goes on", pair.to().on_stream(2)).await;
    assert_eq!(next_data(&pair.server).await.payload, "goes on");
}

#[tokio::test]
async fn rfc6458_6_1_2_an_address_that_fails_and_returns_is_told() {
    if on_kernel("the way is cut by its UDP port") {
        return;
    }
    let pair = Pair::two_homed(hasty()).await;
    let second = ip("127.0.0.2");
    let becomes = |wanted| {
        move |event: &Notification| match event {
            Notification::PeerAddressChange { address, change, assoc } => {
                assert_eq!(address.port(), 7);
                (address.ip() == second && *change == wanted).then_some(*assoc)
            }
            _ => None,
        }
    };
    // The server asks no more: its packets would show the port that is right.
    told(&pair.server, |event| match event {
        Notification::PeerAddressChange { address, change, .. } => {
            (address.ip() == second && *change == PathChange::Confirmed).then_some(())
        }
        _ => None,
    })
    .await;
    let thresholds = PathThresholds::new(1, None, None).unwrap();
    pair.options().set_peer_addr_thlds(Some(second), thresholds).unwrap();
    // Nobody answers there.
    let silent = std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let before = pair.here().get_peer_addr_info(second).unwrap().encapsulation_port;
    pair.options()
        .set_remote_udp_encaps_port(Some(second), Some(port))
        .unwrap();
    let mut params = pair.options().peer_addr_params(Some(second)).unwrap();
    params.set_heartbeat_interval(Some(Duration::from_millis(10))).unwrap();
    pair.options().set_peer_addr_params(Some(second), params).unwrap();
    pair.here().request_heartbeat(second).unwrap();
    let assoc = told(&pair.client, becomes(PathChange::Unreachable)).await;
    assert_eq!(assoc, pair.names[0]);
    let info = pair.here().get_peer_addr_info(second).unwrap();
    assert_eq!(info.state, PathState::Inactive);
    // What is sent takes the other way.
    pair.send("around", pair.to()).await;
    assert_eq!(next_data(&pair.server).await.payload, "around");
    pair.options().set_remote_udp_encaps_port(Some(second), before).unwrap();
    told(&pair.client, becomes(PathChange::Available)).await;
    assert_eq!(pair.here().get_peer_addr_info(second).unwrap().state, PathState::Active);
}

#[tokio::test]
async fn rfc6458_6_1_2_an_address_that_becomes_the_primary_one_is_told() {
    let pair = Pair::two_homed(AssociationConfig::default()).await;
    let second = ip("127.0.0.2");
    // It cannot before it is confirmed.
    until(|| pair.here().set_primary_addr(second).is_ok()).await;
    let made = told(&pair.client, |event| match event {
        Notification::PeerAddressChange { address, change, .. } => (*change == PathChange::Primary).then_some(*address),
        _ => None,
    });
    assert_eq!(made.await, at("127.0.0.2", 7));
    pair.send("that way", pair.to()).await;
    assert_eq!(next_data(&pair.server).await.payload, "that way");
}

#[tokio::test]
async fn rfc6458_6_1_1_both_ends_are_told_how_many_streams_there_are() {
    let (mut few, mut many) = (AssociationConfig::default(), AssociationConfig::default());
    few.set_outbound_streams(4).unwrap();
    few.set_max_inbound_streams(3).unwrap();
    many.set_outbound_streams(9).unwrap();
    let pair = Pair::new(few, many).await;
    let AssociationState::Up {
        outbound_streams,
        inbound_streams,
        ..
    } = next_change(&pair.client).await.state
    else {
        panic!("not up");
    };
    assert_eq!((outbound_streams, inbound_streams), (4, 3));
    let status = pair.there().status().unwrap();
    assert_eq!((status.outbound_streams, status.inbound_streams), (3, 4));
}

#[tokio::test]
async fn rfc6458_6_1_5_the_end_that_shuts_down_is_not_told_of_a_shutdown() {
    let pair = Pair::usual().await;
    pair.client.shutdown(pair.names[0]).unwrap();
    loop {
        match within(pair.client.recv()).await.unwrap() {
            Received::Notification(Notification::PeerShutdown { .. }) => panic!("it did so itself"),
            Received::Notification(Notification::AssociationChange(change))
                if change.state == AssociationState::ShutdownComplete =>
            {
                return;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn rfc6458_6_1_9_a_dry_sender_is_told_once_and_again_when_it_is_dry_again() {
    let pair = Pair::usual().await;
    let dry = Subscriptions {
        sender_dry: true,
        ..Subscriptions::none()
    };
    pair.client.set_subscriptions(Subscriptions::none()).unwrap();
    while pair.client.try_recv().is_ok() {}
    let is_dry = |event: &Notification| matches!(event, Notification::SenderDry { .. }).then_some(());
    pair.options().set_subscriptions(dry).unwrap();
    told(&pair.client, is_dry).await;
    for _ in 0..3 {
        pair.send("x", pair.to()).await;
        told(&pair.client, is_dry).await;
        assert_eq!(pair.here().status().unwrap().unacknowledged_messages, 0);
    }
}

#[tokio::test]
async fn rfc6458_6_2_2_events_are_of_future_current_or_all_associations() {
    let pair = Pair::usual().await;
    let one = Subscriptions {
        peer_shutdown: true,
        ..Subscriptions::none()
    };
    let two = Subscriptions {
        remote_error: true,
        ..Subscriptions::none()
    };
    let both = || {
        (
            pair.client.options().subscriptions().unwrap(),
            pair.options().subscriptions().unwrap(),
        )
    };
    let before = both().1;
    let set = |scope, wanted| {
        pair.client
            .set_options(scope, |options| options.set_subscriptions(wanted))
            .unwrap()
    };
    set(AssocScope::Current, one);
    assert_eq!(both(), (before, one));
    set(AssocScope::Future, two);
    assert_eq!(both(), (two, one), "those that there are keep theirs");
    set(AssocScope::All, one);
    assert_eq!(both(), (one, one));
}

#[tokio::test]
async fn rfc6458_6_2_1_one_to_one_sockets_are_told_nothing_unless_they_ask() {
    let streams = Streams::usual().await;
    assert_eq!(
        streams.opened.association().options().subscriptions(),
        Ok(Subscriptions::none())
    );
    within(streams.accepted.send("first", &SndInfo::new())).await.unwrap();
    let first = within(streams.opened.recv_any()).await.unwrap();
    assert!(matches!(first, Some(Received::Data { .. })), "{first:?}");
}
