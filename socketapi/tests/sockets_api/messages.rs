//! RFC 6458 §5, what goes with messages, and §8.1.26 to §8.1.32, how that is set.

use std::time::Duration;

use socketapi::{
    AssociationConfig, AssociationState, ConnectOptions, Error, Notification, NxtInfo, PathState, Ppid, Reliability,
    SndInfo, StreamId,
};

use crate::common::{Pair, at, ip, next_change, next_data, on_kernel, pattern, told, until, within};

#[tokio::test]
async fn rfc6458_5_3_1_one_set_up_can_have_a_configuration_of_its_own() {
    if on_kernel("it has this of whole sockets") {
        return;
    }
    let pair = Pair::usual().await;
    let second = pair.hosts[1].socket(8).unwrap();
    second.listen(1).unwrap();
    let mut config = pair.client.options().config().unwrap();
    config.set_outbound_streams(3).unwrap();
    let options = ConnectOptions { config: Some(config) };
    let assoc = pair.client.open(&[at("127.0.0.1", 8)], options).unwrap();
    let info = SndInfo::to(assoc).on_stream(2);
    within(pair.client.send("on the last stream", &info)).await.unwrap();
    assert_eq!(next_data(&second).await.info.stream.0, 2);
    assert_eq!(pair.client.status(assoc).unwrap().outbound_streams, 3);
    assert_ne!(pair.here().status().unwrap().outbound_streams, 3);
    assert_ne!(pair.client.options().init_msg().unwrap().num_ostreams, 3);
}

#[tokio::test]
async fn rfc6458_5_3_4_a_stream_that_is_not_there_is_refused() {
    let pair = Pair::usual().await;
    let streams = pair.here().status().unwrap().outbound_streams;
    let refused = pair.client.try_send("x", &pair.to().on_stream(streams));
    assert_eq!(refused, Err(Error::InvalidStream));
    pair.send("on the last", pair.to().on_stream(streams - 1)).await;
    assert_eq!(next_data(&pair.server).await.info.stream.0, streams - 1);
}

#[tokio::test]
async fn rfc6458_5_3_4_what_the_payload_is_arrives_as_it_was_given() {
    let pair = Pair::usual().await;
    for ppid in [0, 1, 0x1122_3344, u32::MAX] {
        pair.send("x", pair.to().with_ppid(ppid).with_context(7)).await;
        let info = next_data(&pair.server).await.info;
        // The context is the sender's own.
        assert_eq!((info.ppid.0, info.context), (ppid, 0));
        assert_eq!(info.assoc, pair.names[1]);
    }
}

#[tokio::test]
async fn rfc6458_5_3_4_eof_lets_both_ends_deliver_what_is_queued() {
    let pair = Pair::usual().await;
    for number in 0..50 {
        pair.send(format!("{number}"), pair.to()).await;
        pair.answer(format!("{number}")).await;
    }
    pair.send("", pair.to().eof()).await;
    for number in 0..50 {
        assert_eq!(next_data(&pair.server).await.payload, format!("{number}"));
        assert_eq!(next_data(&pair.client).await.payload, format!("{number}"));
    }
    assert_eq!(
        next_change(&pair.server).await.state,
        AssociationState::ShutdownComplete
    );
    assert_eq!(
        next_change(&pair.client).await.state,
        AssociationState::ShutdownComplete
    );
}

#[tokio::test]
async fn rfc6458_5_3_4_a_message_to_all_can_end_all() {
    let pair = Pair::usual().await;
    let second = pair.hosts[1].socket(8).unwrap();
    second.listen(1).unwrap();
    within(pair.client.connect(at("127.0.0.1", 8))).await.unwrap();
    assert_eq!(pair.client.send_all("bye", &SndInfo::new().eof()), Ok(Vec::new()));
    for server in [&pair.server, &second] {
        assert_eq!(next_data(server).await.payload, "bye");
        assert_eq!(next_change(server).await.state, AssociationState::ShutdownComplete);
    }
}

#[tokio::test]
async fn rfc6458_5_3_4_addr_over_sends_to_the_address_that_the_message_names() {
    if on_kernel("it does not tell what is in flight") {
        return;
    }
    let pair = Pair::two_homed(AssociationConfig::default()).await;
    let second = ip("127.0.0.2");
    // The user has named it, which confirms it (RFC 9260 §5.4).
    assert_eq!(pair.here().get_peer_addr_info(second).unwrap().state, PathState::Active);
    let in_flight = || {
        let of = |address| pair.here().get_peer_addr_info(ip(address)).unwrap().flight_size > 0;
        (of("127.0.0.1"), of("127.0.0.2"))
    };
    // Nothing is acknowledged before the runtime has its turn.
    for (to, expected) in [(pair.to().over(second), (false, true)), (pair.to(), (true, false))] {
        assert_eq!(in_flight(), (false, false));
        pair.client.try_send("that way", &to).unwrap();
        assert_eq!(in_flight(), expected);
        assert_eq!(next_data(&pair.server).await.payload, "that way");
        until(|| pair.here().status().unwrap().unacknowledged_messages == 0).await;
    }
}

#[tokio::test]
async fn rfc6458_5_3_5_the_numbers_of_a_stream_count_and_those_of_pieces_stay() {
    let mut early = AssociationConfig::default();
    early.set_partial_delivery_point(Some(2_000)).unwrap();
    let pair = Pair::new(AssociationConfig::default(), early).await;
    pair.send("a", pair.to().on_stream(1)).await;
    pair.send("b", pair.to().on_stream(1)).await;
    pair.send(pattern(100_000), pair.to().on_stream(1)).await;
    pair.send("c", pair.to().on_stream(2)).await;
    let (first, second) = (next_data(&pair.server).await.info, next_data(&pair.server).await.info);
    assert_eq!((first.ssn.0, second.ssn.0), (0, 1));
    assert_eq!(second.tsn.0, first.tsn.0.wrapping_add(1));
    let mut piece = next_data(&pair.server).await;
    let mut bytes = piece.payload.len();
    while !piece.info.end_of_message {
        assert_eq!((piece.info.stream.0, piece.info.ssn.0), (1, 2));
        piece = next_data(&pair.server).await;
        bytes += piece.payload.len();
    }
    assert_eq!(bytes, 100_000);
    let last = next_data(&pair.server).await.info;
    assert_eq!((last.stream.0, last.ssn.0), (2, 0));
}

#[tokio::test]
async fn rfc6458_5_3_6_what_comes_next_may_be_unordered_or_no_message() {
    if on_kernel("next_info tells it there") {
        return;
    }
    let pair = Pair::usual().await;
    pair.there().options().set_recv_nxtinfo(true).unwrap();
    pair.send("one", pair.to()).await;
    pair.send("two", pair.to().unordered().with_ppid(4).eof()).await;
    while next_change(&pair.client).await.state != AssociationState::ShutdownComplete {}
    let first = next_data(&pair.server).await;
    let expected = NxtInfo::Message {
        stream: StreamId(0),
        ppid: Ppid(4),
        unordered: true,
        length: 3,
        complete: true,
    };
    assert_eq!(first.info.next, Some(expected));
    let second = next_data(&pair.server).await;
    assert_eq!(second.info.next, Some(NxtInfo::Notification));
}

#[tokio::test]
async fn rfc6458_5_3_7_a_message_with_a_life_time_is_given_up_and_comes_back() {
    if on_kernel("it tells nobody") {
        return;
    }
    let pair = Pair::narrow().await;
    // Nothing moves once the server's buffer is full.
    pair.send(pattern(60_000), pair.to()).await;
    let timed = Reliability::Timed(Duration::from_millis(1));
    pair.send(
        "too late",
        pair.to().with_context(5).with_reliability(timed).unordered(),
    )
    .await;
    pair.send("in the end", pair.to()).await;
    // Its life time.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let mut bytes = 0;
    let seen = loop {
        let message = next_data(&pair.server).await;
        bytes += message.payload.len();
        if bytes >= 60_000 && message.payload.len() < 100 {
            break message.payload;
        }
    };
    assert_eq!(seen, "in the end");
    let failed = |event: &Notification| match event {
        Notification::SendFailed {
            info,
            sent,
            error,
            payload,
            ..
        } => {
            assert!(info.unordered, "it comes back as it was to be sent");
            Some((info.context, *sent, *error, payload.clone()))
        }
        _ => None,
    };
    let (context, sent, error, payload) = told(&pair.client, failed).await;
    assert_eq!((context, sent, &payload[..]), (5, false, &b"too late"[..]));
    assert_eq!(error, 0, "no error cause is the reason");
}

#[tokio::test]
async fn rfc6458_8_1_32_what_a_message_says_comes_before_the_default_prinfo() {
    let pair = Pair::narrow().await;
    let timed = Reliability::Timed(Duration::from_millis(1));
    pair.options().set_default_prinfo(timed).unwrap();
    let reliable = pair.to().with_reliability(Reliability::Reliable);
    pair.send(pattern(30_000), reliable).await;
    pair.send("lost", pair.to()).await;
    pair.send("reliable", reliable).await;
    // Its life time.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let mut small = Vec::new();
    while small.last().is_none_or(|payload| payload != "reliable") {
        let message = next_data(&pair.server).await;
        if message.payload.len() < 100 {
            small.push(message.payload);
        }
    }
    assert!(!small.iter().any(|payload| payload == "lost"));
}

#[tokio::test]
async fn rfc6458_8_1_25_the_context_is_that_of_received_messages_alone() {
    let pair = Pair::narrow().await;
    pair.options().set_context(11).unwrap();
    pair.answer("to the client").await;
    assert_eq!(next_data(&pair.client).await.info.context, 11);
    if on_kernel("its messages have left before they could fail") {
        return;
    }
    pair.send(pattern(60_000), pair.to().with_context(22)).await;
    pair.server.abort(pair.names[1], "").unwrap();
    let context = told(&pair.client, |event| match event {
        Notification::SendFailed { info, .. } => Some(info.context),
        _ => None,
    });
    assert_eq!(context.await, 22);
}

#[tokio::test]
async fn rfc6458_8_1_31_the_default_sndinfo_is_no_destination() {
    let pair = Pair::usual().await;
    let stray = SndInfo::to_address(at("127.0.0.1", 99)).on_stream(3);
    pair.options().set_default_sndinfo(stray).unwrap();
    pair.send("here", pair.to().with_defaults()).await;
    let message = next_data(&pair.server).await;
    assert_eq!((&message.payload[..], message.info.stream.0), (&b"here"[..], 3));
    assert_eq!(pair.client.associations().unwrap().len(), 1);
}

#[tokio::test]
async fn rfc6458_8_1_31_the_default_sndinfo_may_shut_down() {
    if on_kernel("its defaults do not end an association") {
        return;
    }
    let pair = Pair::usual().await;
    pair.options().set_default_sndinfo(SndInfo::new().eof()).unwrap();
    pair.send("the only one", pair.to().with_defaults()).await;
    assert_eq!(next_data(&pair.server).await.payload, "the only one");
    assert_eq!(
        next_change(&pair.server).await.state,
        AssociationState::ShutdownComplete
    );
}
