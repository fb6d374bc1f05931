//! What goes with messages, beyond streams and payload protocol identifiers (RFC 6458 §5.3).

mod common;

use common::{Pair, at, has_kernel, next_data, stack, stack_towards, within};
use socketapi::{
    AssociationConfig, AssociationState, ChunkType, Error, Notification, NxtInfo, PartialReliabilityPolicy, Ppid,
    Received, Reliability, SharedKeyId, SndInfo, StreamId, Subscriptions,
};

/// A client whose server receives nothing, so that a few messages fill its send buffer.
async fn stuck() -> Pair {
    let (mut client, mut server) = (AssociationConfig::default(), AssociationConfig::default());
    client.set_send_buffer(8_000).unwrap();
    server.set_receive_buffer(1_500).unwrap();
    Pair::new(client, server).await
}

/// Fills the send buffer; one message that may be given up is among what is not sent.
async fn crowd_out(pair: &Pair, info: SndInfo) {
    let text = "x".repeat(1_000);
    for _ in 0..5 {
        pair.send(text.clone(), pair.to().with_reliability(Reliability::Reliable))
            .await;
    }
    pair.send(text.clone(), info.with_context(77)).await;
    // The kernel's buffer has room for as much again.
    let more = if has_kernel() { 40 } else { 9 };
    for _ in 0..more {
        let reliable = pair.to().with_reliability(Reliability::Reliable);
        // It has its place, or waits for room that does not come.
        let _ = pair.client.try_send(text.clone(), &reliable);
    }
    if has_kernel() {
        // It tells nobody, but counts it.
        let abandoned = pair.client.association(pair.names[0]).pr_assoc_status(None);
        assert_eq!(abandoned.map(|messages| messages.unsent), Ok(1));
        return;
    }
    loop {
        if let Received::Notification(Notification::SendFailed { info, sent, .. }) =
            within(pair.client.recv()).await.unwrap()
        {
            assert_eq!((info.context, sent), (77, false));
            return;
        }
    }
}

#[tokio::test]
async fn rfc7496_3_2_a_message_of_low_priority_makes_room_and_is_counted() {
    let pair = stuck().await;
    let info = pair.to().on_stream(3).with_reliability(Reliability::Priority(9));
    crowd_out(&pair, info).await;
    let assoc = pair.client.association(pair.names[0]);
    let by_priority = Some(PartialReliabilityPolicy::Priority);
    assert_eq!(assoc.pr_assoc_status(by_priority).unwrap().unsent, 1);
    assert_eq!(assoc.pr_stream_status(StreamId(3), by_priority).unwrap().unsent, 1);
    assert_eq!(assoc.pr_stream_status(StreamId(0), None).unwrap().unsent, 0);
    let timed = Some(PartialReliabilityPolicy::Timed);
    assert_eq!(assoc.pr_assoc_status(timed).unwrap().unsent, 0);
    assert_eq!(assoc.pr_stream_status(StreamId(5_000), None), Err(Error::InvalidStream));
}

#[tokio::test]
async fn rfc6458_8_1_32_the_default_prinfo_holds_where_a_message_says_nothing() {
    let pair = stuck().await;
    let options = pair.client.association(pair.names[0]).options();
    assert_eq!(options.default_prinfo(), Ok(Reliability::Reliable));
    options.set_default_prinfo(Reliability::Priority(9)).unwrap();
    assert_eq!(options.default_prinfo(), Ok(Reliability::Priority(9)));
    crowd_out(&pair, pair.to()).await;
}

#[tokio::test]
async fn rfc6458_8_1_31_the_default_sndinfo_holds_for_messages_that_ask_for_it() {
    let pair = Pair::new(AssociationConfig::default(), AssociationConfig::default()).await;
    let options = pair.client.association(pair.names[0]).options();
    let defaults = SndInfo::new().on_stream(4).with_ppid(55).unordered();
    options.set_default_sndinfo(defaults).unwrap();
    assert_eq!(options.default_sndinfo(), Ok(defaults));
    pair.send("as usual", pair.to().with_defaults()).await;
    pair.send("as said", pair.to()).await;
    let (first, second) = (next_data(&pair.server).await, next_data(&pair.server).await);
    assert_eq!(first.payload, "as usual");
    assert_eq!(
        (first.info.stream.0, first.info.ppid.0, first.info.unordered),
        (4, 55, true)
    );
    assert_eq!(
        (second.info.stream.0, second.info.ppid.0, second.info.unordered),
        (0, 0, false)
    );
}

#[tokio::test]
async fn rfc6458_8_1_31_associations_start_with_the_defaults_of_their_socket() {
    let own = stack(&["127.0.0.1"]).await;
    let socket = own.socket(0).unwrap();
    let peer = own.socket(7).unwrap();
    peer.listen(5).unwrap();
    peer.options().set_context(12).unwrap();
    socket
        .options()
        .set_default_sndinfo(SndInfo::new().with_ppid(9))
        .unwrap();
    let info = SndInfo::to_address(at("127.0.0.1", 7)).with_defaults();
    within(socket.send("hello", &info)).await.unwrap();
    let message = next_data(&peer).await;
    assert_eq!((message.info.ppid.0, message.info.context), (9, 12));
}

#[tokio::test]
async fn rfc6458_5_3_4_eof_shuts_down_behind_the_message() {
    let pair = Pair::new(AssociationConfig::default(), AssociationConfig::default()).await;
    pair.send("the last", pair.to().eof()).await;
    let more = pair.client.try_send("more", &pair.to());
    assert!(
        matches!(more, Err(Error::ShuttingDown | Error::AssociationGone)),
        "{more:?}"
    );
    assert_eq!(next_data(&pair.server).await.payload, "the last");
    loop {
        let received = within(pair.server.recv()).await.unwrap();
        if matches!(received, Received::Notification(Notification::PeerShutdown { .. })) {
            return;
        }
    }
}

#[tokio::test]
async fn rfc6458_5_3_5_an_unordered_message_tells_the_cumulative_tsn() {
    let pair = Pair::new(AssociationConfig::default(), AssociationConfig::default()).await;
    let accepted = pair.names[1];
    pair.server.association(accepted).options().set_context(31).unwrap();
    pair.send("in order", pair.to()).await;
    pair.send("at once", pair.to().unordered()).await;
    let (first, second) = (next_data(&pair.server).await, next_data(&pair.server).await);
    assert_eq!((first.info.cumulative_tsn, first.info.context), (None, 31));
    assert_eq!(second.info.cumulative_tsn, Some(second.info.tsn));
    assert_eq!(second.info.mid, None);
}

#[tokio::test]
async fn rfc8260_2_1_interleaved_messages_tell_their_identifier() {
    let mut config = AssociationConfig::default();
    config.interleaving_mut().set_offered(true);
    let pair = Pair::new(config.clone(), config).await;
    assert_eq!(
        pair.client
            .association(pair.names[0])
            .options()
            .interleaving_supported(),
        Ok(true)
    );
    for _ in 0..3 {
        pair.send("message", pair.to()).await;
    }
    for expected in 0..3 {
        let info = next_data(&pair.server).await.info;
        assert_eq!(u32::from(info.ssn.0), expected);
        // The kernel does not tell it.
        assert_eq!(info.mid.map(|mid| mid.0), (!has_kernel()).then_some(expected));
    }
}

#[tokio::test]
async fn rfc6458_5_3_8_a_message_can_name_its_key() {
    let mut config = AssociationConfig::default();
    config.auth_mut().require(ChunkType::DATA).unwrap();
    config.auth_mut().keys_mut().set(SharedKeyId(1), b"one");
    let pair = Pair::new(config.clone(), config).await;
    let options = pair.client.association(pair.names[0]).options();
    options.set_subscriptions(Subscriptions::all()).unwrap();
    assert_eq!(options.auth_active_key().unwrap(), SharedKeyId(0));
    pair.send("with the null key", pair.to()).await;
    pair.send("with key 1", pair.to().with_auth_key(SharedKeyId(1))).await;
    for _ in 0..2 {
        next_data(&pair.server).await;
    }
    let unknown = pair
        .client
        .try_send("no such key", &pair.to().with_auth_key(SharedKeyId(2)));
    assert_eq!(unknown, Err(Error::NoSuchKey));
    let status = pair.client.status(pair.names[0]).unwrap();
    assert!(
        status.authentication && (has_kernel() || status.stats.auth_chunks_sent >= 2),
        "{status:?}"
    );
}

#[tokio::test]
async fn rfc6458_5_3_6_what_is_received_next_can_be_looked_at() {
    let pair = Pair::new(AssociationConfig::default(), AssociationConfig::default()).await;
    let accepted = pair.names[1];
    let assoc = pair.server.association(accepted);
    assert_eq!(assoc.next_info(), Ok(None));
    pair.send("first", pair.to()).await;
    pair.send("the second", pair.to().on_stream(2).with_ppid(3).eof()).await;
    assert_eq!(next_data(&pair.server).await.payload, "first");
    // With the end of the association everything has arrived.
    while common::next_change(&pair.client).await.state != AssociationState::ShutdownComplete {}
    let next = NxtInfo::Message {
        stream: StreamId(2),
        ppid: Ppid(3),
        unordered: false,
        length: 10,
        complete: true,
    };
    assert_eq!(assoc.next_info(), Ok(Some(next)));
    assert_eq!(next_data(&pair.server).await.payload, "the second");
    assert_eq!(assoc.next_info(), Ok(Some(NxtInfo::Notification)));
}

#[tokio::test]
async fn rfc6458_5_3_4_a_message_to_all_reaches_every_association() {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let socket = other.socket(0).unwrap();
    let mut peers = Vec::new();
    for port in 7..10 {
        let peer = own.socket(port).unwrap();
        peer.listen(1).unwrap();
        within(socket.connect(at("127.0.0.1", port))).await.unwrap();
        peers.push(peer);
    }
    assert_eq!(socket.send_all("to all", &SndInfo::new().with_ppid(6)), Ok(Vec::new()));
    for peer in &peers {
        let message = next_data(peer).await;
        assert_eq!((&*message.payload, message.info.ppid.0), (&b"to all"[..], 6));
    }
    let first = socket.associations().unwrap()[0];
    let info = SndInfo::new().on_stream(1_000);
    let refused = socket.send_all("no such stream", &info).unwrap();
    assert_eq!((refused.len(), &refused[0]), (3, &(first, Error::InvalidStream)));
    assert_eq!(socket.send_all("", &info), Err(Error::EmptyMessage));
}
