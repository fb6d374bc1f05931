//! One-to-one style sockets: listeners and streams.

mod common;

#[cfg(feature = "userland")]
use std::{sync::Arc, time::Duration};

use common::{
    Host, at, builder, has_kernel, hasty, impatient, next, pattern, stack, stack_towards, stack_towards_silence, within,
};
use socketapi::{AssociationConfig, Error, FailureReason, Notification, Received, SctpStream, SndInfo, Subscriptions};

/// Both ends of an association between two stacks; the stacks go with it.
async fn pair(address: &str) -> (SctpStream, SctpStream, [Host; 2]) {
    let server = stack(&[address]).await;
    let client = stack_towards(&[address], &server).await;
    let listener = server.listener(7).unwrap();
    let opened = within(builder(&client).connect(at(address, 7))).await.unwrap();
    let (accepted, peer) = within(listener.accept()).await.unwrap();
    assert_eq!(peer.ip(), common::ip(address));
    (opened, accepted, [client, server])
}

async fn echoes(address: &str) {
    let (opened, accepted, _stacks) = pair(address).await;
    within(opened.send("hello", &SndInfo::new().on_stream(2).with_ppid(9).unordered()))
        .await
        .unwrap();
    let message = next(&accepted).await;
    assert_eq!(message.payload, "hello");
    assert!(message.info.unordered);
    assert_eq!((message.info.stream.0, message.info.ppid.0), (2, 9));
    within(accepted.send(message.payload, &message.info.reply()))
        .await
        .unwrap();
    assert_eq!(next(&opened).await.payload, "hello");
    assert_eq!(opened.peer_addr(), at(address, 7));
    assert_eq!(opened.peer_addresses().unwrap(), [at(address, 7)]);
    assert_eq!(accepted.local_addr().unwrap(), at(address, 7));
    assert_eq!(opened.local_addr().unwrap(), accepted.peer_addr());
}

#[tokio::test]
async fn messages_cross_over_ipv4() {
    echoes("127.0.0.1").await;
}

#[tokio::test]
async fn messages_cross_over_ipv6() {
    echoes("::1").await;
}

#[tokio::test]
async fn a_large_message_crosses_whole() {
    let (opened, accepted, _stacks) = pair("127.0.0.1").await;
    let sent = pattern(1 << 20);
    within(opened.send(sent.clone(), &SndInfo::new())).await.unwrap();
    let mut received = Vec::new();
    while received.len() < sent.len() {
        received.extend_from_slice(&next(&accepted).await.payload);
    }
    assert!(received == sent, "the bytes differ");
}

#[tokio::test]
async fn rfc9260_9_2_what_was_sent_before_a_shutdown_is_delivered_in_both_directions() {
    let (opened, accepted, _stacks) = pair("127.0.0.1").await;
    for number in 0..100 {
        within(opened.send(format!("there {number}"), &SndInfo::new()))
            .await
            .unwrap();
        within(accepted.send(format!("back {number}"), &SndInfo::new()))
            .await
            .unwrap();
    }
    opened.shutdown().unwrap();
    assert_eq!(opened.try_send("more", &SndInfo::new()), Err(Error::ShuttingDown));
    for number in 0..100 {
        assert_eq!(next(&accepted).await.payload, format!("there {number}").as_bytes());
        assert_eq!(next(&opened).await.payload, format!("back {number}").as_bytes());
    }
    assert_eq!(within(accepted.recv()).await, Ok(None));
    assert_eq!(within(opened.recv()).await, Ok(None));
    assert_eq!(
        within(accepted.send("late", &SndInfo::new())).await,
        Err(Error::ShuttingDown)
    );
    // The end stays the end.
    assert_eq!(opened.try_recv(), Ok(None));
    assert_eq!(opened.shutdown(), Ok(()));
}

#[tokio::test]
async fn a_socket_that_goes_away_delivers_what_was_sent() {
    let (opened, accepted, _stacks) = pair("127.0.0.1").await;
    for number in 0..500 {
        within(opened.send(format!("{number}"), &SndInfo::new())).await.unwrap();
    }
    drop(opened);
    for number in 0..500 {
        assert_eq!(next(&accepted).await.payload, format!("{number}").as_bytes());
    }
    assert_eq!(within(accepted.recv()).await, Ok(None));
}

#[tokio::test]
async fn a_socket_that_goes_away_while_it_connects_delivers_what_was_sent() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listener = server.listener(7).unwrap();
    let stream = builder(&client).try_connect(&[at("127.0.0.1", 7)]).unwrap();
    stream.try_send("early", &SndInfo::new()).unwrap();
    drop(stream);
    let (accepted, _) = within(listener.accept()).await.unwrap();
    assert_eq!(next(&accepted).await.payload, "early");
    assert_eq!(within(accepted.recv()).await, Ok(None));
}

#[tokio::test]
async fn close_waits_for_the_end() {
    let (opened, accepted, [client, server]) = pair("127.0.0.1").await;
    within(opened.send("last", &SndInfo::new())).await.unwrap();
    within(opened.close()).await.unwrap();
    client.assert_shutdowns(1);
    assert_eq!(opened.try_recv(), Err(Error::Closed));
    assert_eq!(opened.try_send("x", &SndInfo::new()), Err(Error::Closed));
    assert_eq!(next(&accepted).await.payload, "last");
    assert_eq!(within(accepted.recv()).await, Ok(None));
    within(accepted.close()).await.unwrap();
    server.assert_shutdowns(1);
}

#[tokio::test]
async fn rfc9260_9_1_an_abort_tells_the_peer_why() {
    let (opened, accepted, _stacks) = pair("127.0.0.1").await;
    within(opened.send("first", &SndInfo::new())).await.unwrap();
    assert_eq!(next(&accepted).await.payload, "first");
    opened.abort("enough").unwrap();
    let outcome = within(accepted.recv()).await;
    let Err(Error::AssociationLost(FailureReason::PeerAbort { reason, .. })) = outcome else {
        panic!("{outcome:?}");
    };
    // The kernel has no place for it on a socket of this style.
    assert_eq!(reason, if has_kernel() { "" } else { "enough" });
    assert_eq!(
        within(opened.recv()).await,
        Err(Error::AssociationLost(FailureReason::UserAbort))
    );
    assert!(matches!(
        accepted.try_send("x", &SndInfo::new()),
        Err(Error::AssociationLost(_))
    ));
    assert_eq!(opened.abort("again"), Err(Error::AssociationGone));
}

#[tokio::test]
async fn connecting_where_nobody_listens_is_refused() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let outcome = within(builder(&client).connect(at("127.0.0.1", 7))).await;
    let Err(error @ Error::ConnectFailed(FailureReason::PeerAbort { .. })) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        std::io::Error::from(error).kind(),
        std::io::ErrorKind::ConnectionRefused
    );
}

#[tokio::test]
async fn connecting_where_nobody_answers_times_out() {
    let (client, peer, _silence) = stack_towards_silence().await;
    let outcome = within(builder(&client).association(impatient()).connect(peer)).await;
    assert_eq!(
        outcome.map(drop),
        Err(Error::ConnectFailed(FailureReason::SetupTimeout))
    );
}

/// A way to a server that can be cut.
enum Way {
    #[cfg(feature = "userland")]
    Relay {
        relaying: tokio::task::JoinHandle<()>,
        /// Without it the host would say that nobody is there.
        _socket: Arc<tokio::net::UdpSocket>,
    },
    Loopback,
}

impl Way {
    /// What carries packets between two hosts, and what a client has to say to use it.
    async fn between(_client: &Host, _server: &Host, _config: &mut AssociationConfig) -> Self {
        #[cfg(feature = "userland")]
        if !has_kernel() {
            // The stack itself never leaves its associations without a word.
            let relay = Arc::new(tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap());
            let port = relay.local_addr().unwrap().port();
            _config.path_mut().set_remote_encapsulation_port(Some(port));
            let ports = [_client.stack().udp_port(), _server.stack().udp_port()];
            let _socket = Arc::clone(&relay);
            let relaying = tokio::spawn(async move {
                let mut buf = vec![0; 65_536];
                loop {
                    let (len, from) = relay.recv_from(&mut buf).await.unwrap();
                    let to = if from.port() == ports[0] { ports[1] } else { ports[0] };
                    relay.send_to(&buf[..len], ("127.0.0.1", to)).await.unwrap();
                }
            });
            return Self::Relay { relaying, _socket };
        }
        Self::Loopback
    }

    fn cut(&self) {
        match self {
            #[cfg(feature = "userland")]
            Self::Relay { relaying, .. } => relaying.abort(),
            Self::Loopback => common::ip_command("link set lo down"),
        }
    }
}

#[tokio::test]
async fn a_peer_that_vanishes_is_given_up() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let mut config = hasty();
    let way = Way::between(&client, &server, &mut config).await;
    let listener = server.listener(7).unwrap();
    let stream = within(builder(&client).association(config).connect(at("127.0.0.1", 7)))
        .await
        .unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    within(accepted.send("alive", &SndInfo::new())).await.unwrap();
    assert_eq!(next(&stream).await.payload, "alive");
    way.cut();
    stream.association().options().set_association_max_retrans(3).unwrap();
    within(stream.send("anybody?", &SndInfo::new())).await.unwrap();
    let lost = within(stream.recv()).await;
    assert_eq!(lost, Err(Error::AssociationLost(FailureReason::PeerUnreachable)));
    assert_eq!(lost.unwrap_err().errno(), libc::ETIMEDOUT);
}

#[tokio::test]
async fn a_close_after_the_peer_has_ended_the_association_does_not_wait() {
    let (opened, accepted, _stacks) = pair("127.0.0.1").await;
    // Nothing is received of it.
    within(accepted.close()).await.unwrap();
    within(opened.close()).await.unwrap();
}

#[tokio::test]
async fn a_close_of_a_stream_that_was_up_and_ended_unnoticed_does_not_wait() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listener = server.listener(7).unwrap();
    let opened = builder(&client).try_connect(&[at("127.0.0.1", 7)]).unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    within(accepted.close()).await.unwrap();
    within(opened.close()).await.unwrap();
}

#[tokio::test]
async fn a_close_after_a_set_up_that_failed_does_not_wait() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let noticed = builder(&client).try_connect(&[at("127.0.0.1", 7)]).unwrap();
    let unnoticed = builder(&client).try_connect(&[at("127.0.0.1", 8)]).unwrap();
    assert!(within(noticed.recv()).await.is_err());
    within(noticed.close()).await.unwrap();
    within(unnoticed.close()).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_while_it_connects_delivers_what_was_sent() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listener = server.listener(7).unwrap();
    let opened = builder(&client).try_connect(&[at("127.0.0.1", 7)]).unwrap();
    within(opened.send("early", &SndInfo::new())).await.unwrap();
    opened.shutdown().unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    assert_eq!(next(&accepted).await.payload, "early");
    assert_eq!(within(accepted.recv()).await, Ok(None));
    within(opened.close()).await.unwrap();
}

#[tokio::test]
async fn a_listener_that_goes_away_leaves_accepted_streams_alone() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listener = server.listener(7).unwrap();
    let first = within(builder(&client).connect(at("127.0.0.1", 7))).await.unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    let waiting = within(builder(&client).connect(at("127.0.0.1", 7))).await.unwrap();
    drop(listener);
    // The one that waited is aborted, the accepted one goes on.
    assert!(matches!(
        within(waiting.recv()).await,
        Err(Error::AssociationLost(FailureReason::PeerAbort { .. }))
    ));
    within(first.send("still here", &SndInfo::new())).await.unwrap();
    assert_eq!(next(&accepted).await.payload, "still here");
    let refused = within(builder(&client).connect(at("127.0.0.1", 7))).await;
    assert!(matches!(refused, Err(Error::ConnectFailed(_))), "{refused:?}");
    // The port is free once the last association is gone; a kernel takes a moment for that.
    within(accepted.close()).await.unwrap();
    within(async {
        while let Err(error) = server.listener(7) {
            assert!(has_kernel(), "{error}");
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_full_backlog_refuses_and_accepting_makes_room() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listener = builder(&server).listen("127.0.0.1:7", 2).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..2 {
        streams.push(within(builder(&client).connect(at("127.0.0.1", 7))).await.unwrap());
    }
    let third = within(builder(&client).association(impatient()).connect(at("127.0.0.1", 7))).await;
    assert!(matches!(third, Err(Error::ConnectFailed(_))), "{third:?}");
    let accepted = within(listener.accept()).await.unwrap();
    assert_eq!(accepted.1.port(), streams[0].local_addr().unwrap().port());
    within(builder(&client).connect(at("127.0.0.1", 7))).await.unwrap();
}

#[tokio::test]
async fn an_association_that_ended_before_it_was_accepted_still_yields_its_messages() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listener = server.listener(7).unwrap();
    let stream = within(builder(&client).connect(at("127.0.0.1", 7))).await.unwrap();
    within(stream.send("short visit", &SndInfo::new())).await.unwrap();
    within(stream.close()).await.unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    assert_eq!(next(&accepted).await.payload, "short visit");
    assert_eq!(within(accepted.recv()).await, Ok(None));
}

#[tokio::test]
async fn notifications_of_a_stream_come_when_asked_for() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listener = builder(&server)
        .subscriptions(Subscriptions::default())
        .listen("127.0.0.1:7", 5)
        .await
        .unwrap();
    let stream = within(builder(&client).connect(at("127.0.0.1", 7))).await.unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    within(stream.send("data", &SndInfo::new())).await.unwrap();
    stream.shutdown().unwrap();
    let mut seen = Vec::new();
    while let Some(received) = within(accepted.recv_any()).await.unwrap() {
        seen.push(match received {
            Received::Data { .. } => "data",
            Received::Notification(Notification::AssociationChange(_)) => "change",
            Received::Notification(Notification::PeerShutdown { .. }) => "shutdown",
            Received::Notification(_) => continue,
        });
    }
    assert_eq!(seen.first(), Some(&"change"));
    let (data, shutdown) = (
        seen.iter().position(|x| *x == "data"),
        seen.iter().position(|x| *x == "shutdown"),
    );
    assert!(data.is_some() && data < shutdown, "{seen:?}");
}

#[cfg(feature = "userland")]
#[tokio::test]
async fn a_graceful_end_of_the_stack_flushes_everything() {
    if common::on_kernel("it is about stacks") {
        return;
    }
    let (opened, accepted, [client, _server]) = pair("127.0.0.1").await;
    for number in 0..200 {
        within(opened.send(format!("{number}"), &SndInfo::new())).await.unwrap();
    }
    let dropped = tokio::spawn(async move {
        let mut count = 0;
        while let Some(_message) = accepted.recv().await.unwrap() {
            count += 1;
        }
        count
    });
    drop(opened);
    within(client.stack().shutdown_graceful(Duration::from_secs(20)))
        .await
        .unwrap();
    client.assert_shutdowns(1);
    assert_eq!(within(dropped).await.unwrap(), 200);
}

#[cfg(feature = "userland")]
#[tokio::test]
async fn a_graceful_end_that_takes_too_long_is_cut_short() {
    if common::on_kernel("it is about stacks") {
        return;
    }
    let server = stack(&["127.0.0.1"]).await;
    let (client, peer, _silence) = stack_towards_silence().await;
    // It connects to where nobody is, and has something to deliver.
    let stream = builder(&client).try_connect(&[peer]).unwrap();
    stream.try_send("nobody", &SndInfo::new()).unwrap();
    assert_eq!(
        client.stack().shutdown_graceful(Duration::from_millis(50)).await,
        Err(Error::TimedOut)
    );
    let outcome = within(stream.recv()).await;
    assert!(
        matches!(outcome, Err(Error::ConnectFailed(_) | Error::AssociationLost(_))),
        "{outcome:?}"
    );
    drop(server);
}
