//! What sockets tell about associations, and in which order.

mod common;

use common::{
    Host, at, builder, has_kernel, impatient, next_change, next_data, stack, stack_towards, stack_towards_silence, up,
    within,
};
use socketapi::{
    AssociationChange, AssociationState, Error, FailureReason, Notification, PathChange, Received, SctpSocket, SndInfo,
    Subscriptions,
};

async fn sockets() -> (SctpSocket, SctpSocket, [Host; 2]) {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listening = server.socket(7).unwrap();
    listening.listen(5).unwrap();
    (client.socket(0).unwrap(), listening, [client, server])
}

/// What a socket receives until its association ends, notifications about paths left out.
async fn story(socket: &SctpSocket) -> Vec<Received> {
    let mut story = Vec::new();
    loop {
        let received = within(socket.recv()).await.unwrap();
        if matches!(received, Received::Notification(Notification::PeerAddressChange { .. })) {
            continue;
        }
        let end = matches!(
            &received,
            Received::Notification(Notification::AssociationChange(change))
                if !matches!(change.state, AssociationState::Up { .. })
        );
        story.push(received);
        if end {
            return story;
        }
    }
}

fn state(received: &Received) -> &AssociationState {
    match received {
        Received::Notification(Notification::AssociationChange(AssociationChange { state, .. })) => state,
        other => panic!("no association change: {other:?}"),
    }
}

#[tokio::test]
async fn rfc6458_6_an_association_is_told_about_from_its_beginning_to_its_end() {
    let (client, server, _stacks) = sockets().await;
    within(client.send("one", &SndInfo::to_address(at("127.0.0.1", 7))))
        .await
        .unwrap();
    let assoc = up(&client).await;
    within(client.send("two", &SndInfo::to(assoc))).await.unwrap();
    client.shutdown(assoc).unwrap();

    let story = story(&server).await;
    assert_eq!(story.len(), 5, "{story:?}");
    assert!(
        matches!(
            state(&story[0]),
            AssociationState::Up {
                initiated_here: false,
                ..
            }
        ),
        "{story:?}"
    );
    assert!(
        matches!(&story[1], Received::Data { payload, .. } if payload == "one"),
        "{story:?}"
    );
    assert!(
        matches!(&story[2], Received::Data { payload, .. } if payload == "two"),
        "{story:?}"
    );
    assert!(
        matches!(&story[3], Received::Notification(Notification::PeerShutdown { .. })),
        "{story:?}"
    );
    assert_eq!(state(&story[4]), &AssociationState::ShutdownComplete);
    assert_eq!(next_change(&client).await.state, AssociationState::ShutdownComplete);
    assert_eq!(client.status(assoc), Err(Error::NoSuchAssociation));
    assert_eq!(client.associations(), Ok(Vec::new()));
}

#[tokio::test]
async fn data_that_arrived_before_the_end_is_received_before_it_is_told() {
    let (client, server, _stacks) = sockets().await;
    let assoc = within(client.connect(at("127.0.0.1", 7))).await.unwrap();
    for number in 0..50 {
        within(client.send(format!("{number}"), &SndInfo::to(assoc)))
            .await
            .unwrap();
    }
    client.shutdown(assoc).unwrap();
    // Nothing is received until all is over.
    loop {
        if next_change(&client).await.state == AssociationState::ShutdownComplete {
            break;
        }
    }
    let story = story(&server).await;
    let payloads: Vec<_> = story
        .iter()
        .filter_map(|received| received.clone().into_data())
        .collect();
    assert_eq!(payloads.len(), 50);
    assert_eq!(state(story.last().unwrap()), &AssociationState::ShutdownComplete);
}

#[tokio::test]
async fn an_abort_is_told_to_both_ends() {
    let (client, server, _stacks) = sockets().await;
    let assoc = within(client.connect(at("127.0.0.1", 7))).await.unwrap();
    let accepted = up(&server).await;
    client.abort(assoc, "why not").unwrap();
    let change = next_change(&server).await;
    assert_eq!(change.assoc, accepted);
    assert!(
        matches!(&change.state, AssociationState::Lost(FailureReason::PeerAbort { reason, .. }) if reason == "why not"),
        "{change:?}"
    );
    assert!(matches!(next_change(&client).await.state, AssociationState::Up { .. }));
    assert_eq!(
        next_change(&client).await.state,
        AssociationState::Lost(FailureReason::UserAbort)
    );
}

#[tokio::test]
async fn rfc6458_6_1_11_messages_that_cannot_be_delivered_come_back() {
    let (client, peer, _silence) = stack_towards_silence().await;
    let socket = builder(&client)
        .association(impatient())
        .bind(client.any_port())
        .await
        .unwrap();
    let info = SndInfo::to_address(peer).with_context(77).with_ppid(5).on_stream(1);
    within(socket.send("lost", &info)).await.unwrap();
    let (mut returned, mut ended) = (None, false);
    // The kernel tells of the end first.
    while !ended || (has_kernel() && returned.is_none()) {
        match within(socket.recv()).await.unwrap() {
            Received::Notification(Notification::SendFailed {
                info, sent, payload, ..
            }) => {
                assert!(!sent);
                returned = Some((info.context, info.ppid.0, info.stream.0, payload));
            }
            Received::Notification(Notification::AssociationChange(change)) => {
                assert_eq!(change.state, AssociationState::CannotStart(FailureReason::SetupTimeout));
                assert_eq!(change.peer, peer);
                ended = true;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(returned, Some((77, 5, 1, "lost".into())));
}

#[tokio::test]
async fn a_failed_set_up_is_returned_and_told() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let socket = client.socket(0).unwrap();
    let outcome = within(socket.connect(at("127.0.0.1", 7))).await;
    assert!(
        matches!(outcome, Err(Error::ConnectFailed(FailureReason::PeerAbort { .. }))),
        "{outcome:?}"
    );
    let change = next_change(&socket).await;
    assert!(matches!(change.state, AssociationState::CannotStart(_)), "{change:?}");
}

#[tokio::test]
async fn rfc6458_6_2_only_what_is_subscribed_to_comes() {
    let (client, server, _stacks) = sockets().await;
    server.set_subscriptions(Subscriptions::none()).unwrap();
    let assoc = within(client.connect(at("127.0.0.1", 7))).await.unwrap();
    within(client.send("data", &SndInfo::to(assoc))).await.unwrap();
    let received = within(server.recv()).await.unwrap();
    assert!(matches!(received, Received::Data { .. }), "{received:?}");
}

#[tokio::test]
async fn rfc6458_6_1_9_a_dry_sender_is_told() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listening = server.socket(7).unwrap();
    listening.listen(5).unwrap();
    let only_dry = Subscriptions {
        sender_dry: true,
        ..Subscriptions::none()
    };
    let socket = builder(&client)
        .subscriptions(only_dry)
        .bind("127.0.0.1:0")
        .await
        .unwrap();
    within(socket.send("all of it", &SndInfo::to_address(at("127.0.0.1", 7))))
        .await
        .unwrap();
    assert_eq!(next_data(&listening).await.payload, "all of it");
    let received = within(socket.recv()).await.unwrap();
    assert!(
        matches!(received, Received::Notification(Notification::SenderDry { .. })),
        "{received:?}"
    );
}

#[tokio::test]
async fn rfc6458_6_1_2_a_second_address_is_told_once_confirmed() {
    let server = stack(&["127.0.0.1", "127.0.0.2"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listening = server.socket(7).unwrap();
    listening.listen(5).unwrap();
    let socket = client.socket(0).unwrap();
    within(socket.connect(at("127.0.0.1", 7))).await.unwrap();
    loop {
        if let Received::Notification(Notification::PeerAddressChange { address, change, .. }) =
            within(socket.recv()).await.unwrap()
        {
            assert_eq!((address, change), (at("127.0.0.2", 7), PathChange::Confirmed));
            break;
        }
    }
}
