//! What RFC 6458 says of sending, receiving and closing beyond the usual, over real sockets.

mod common;

use std::time::Duration;

use common::{
    Pair, at, builder, has_kernel, ip, next_change, next_data, on_kernel, pattern, stack, stack_towards,
    stack_towards_silence, up, within,
};
use socketapi::{
    AssocScope, AssociationConfig, AssociationFeatures, AssociationState, Error, FailureReason, FragmentInterleave,
    InitMsg, Notification, NxtInfo, Options, Received, SctpSocket, SctpStream, SndInfo, Subscriptions,
};

/// Options that a kernel has of whole sockets.
fn of_one_association(pair: &Pair) -> Options {
    if has_kernel() {
        let refused = pair.client.association(pair.names[0]).options().set_nodelay(false);
        assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
        return pair.client.options();
    }
    pair.client.association(pair.names[0]).options()
}

/// Packets as on an Ethernet, though the loopback interface takes larger ones.
fn small_packets() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.path_mut().set_mtu(1_500).unwrap();
    config
}

fn aborted_with(state: &AssociationState) -> Option<(Option<u16>, &[u8])> {
    match state {
        AssociationState::Lost(FailureReason::PeerAbort { cause, reason }) => Some((*cause, reason)),
        _ => None,
    }
}

#[tokio::test]
async fn rfc6458_5_3_4_a_message_with_the_abort_flag_is_the_reason_of_an_abort() {
    let pair = Pair::usual().await;
    pair.send("enough", pair.to().abort()).await;
    let change = next_change(&pair.server).await;
    assert_eq!(aborted_with(&change.state), Some((Some(12), &b"enough"[..])));
    let again = pair.client.try_send("more", &pair.to().abort());
    assert_eq!(again, Err(Error::AssociationGone));
    let nobody = SndInfo::to_address(at("127.0.0.1", 8)).abort();
    assert_eq!(pair.client.try_send("nobody", &nobody), Err(Error::NoSuchAssociation));
}

#[tokio::test]
async fn rfc6458_5_3_4_an_empty_message_with_eof_only_shuts_down() {
    let pair = Pair::usual().await;
    pair.send("last", pair.to()).await;
    pair.send("", pair.to().eof()).await;
    assert_eq!(next_data(&pair.server).await.payload, "last");
    assert_eq!(
        next_change(&pair.server).await.state,
        AssociationState::ShutdownComplete
    );
}

#[tokio::test]
async fn rfc6458_8_1_4_a_socket_that_lingers_no_time_aborts_at_its_close() {
    let pair = Pair::usual().await;
    assert_eq!(pair.client.options().linger(), Ok(None));
    pair.client.options().set_linger(Some(Duration::ZERO)).unwrap();
    assert_eq!(pair.client.options().linger(), Ok(Some(Duration::ZERO)));
    within(pair.client.close()).await.unwrap();
    let change = next_change(&pair.server).await;
    assert!(aborted_with(&change.state).is_some(), "{change:?}");
}

#[tokio::test]
async fn rfc6458_8_1_4_a_dropped_stream_that_lingers_no_time_aborts() {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let server = own.socket(7).unwrap();
    server.listen(5).unwrap();
    let stream: SctpStream = within(builder(&other).connect("127.0.0.1:7")).await.unwrap();
    up(&server).await;
    stream.association().options().set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    let change = next_change(&server).await;
    assert!(aborted_with(&change.state).is_some(), "{change:?}");
}

#[tokio::test]
async fn rfc6458_8_1_4_a_close_waits_no_longer_than_it_may_linger() {
    let mut narrow = AssociationConfig::default();
    narrow.set_receive_buffer(1_500).unwrap();
    let pair = Pair::new(small_packets(), narrow).await;
    // More than the server takes before it receives, which it does not yet.
    pair.send(pattern(100_000), pair.to()).await;
    pair.client
        .options()
        .set_linger(Some(Duration::from_millis(50)))
        .unwrap();
    within(pair.client.close()).await.unwrap();
    // It ends in the background all the same.
    let mut bytes = 0;
    loop {
        match within(pair.server.recv()).await.unwrap() {
            Received::Data { payload, .. } => bytes += payload.len(),
            Received::Notification(Notification::AssociationChange(change)) => {
                assert_eq!(change.state, AssociationState::ShutdownComplete);
                break;
            }
            Received::Notification(_) => {}
        }
    }
    assert_eq!(bytes, 100_000);
}

#[tokio::test]
async fn rfc6458_8_1_26_a_message_may_come_in_several_sends() {
    if on_kernel("it has no SCTP_EXPLICIT_EOR") {
        return;
    }
    let pair = Pair::usual().await;
    let options = pair.client.association(pair.names[0]).options();
    options.set_explicit_eor(true).unwrap();
    assert_eq!(options.explicit_eor(), Ok(true));
    let info = pair.to().on_stream(2).with_ppid(9);
    pair.send("one ", info).await;
    pair.send("two ", info).await;
    let elsewhere = pair.client.try_send("?", &info.on_stream(3));
    assert_eq!(elsewhere, Err(Error::InvalidStream));
    pair.send("three", info.end_of_record()).await;
    pair.send("alone", info.end_of_record()).await;
    let whole = next_data(&pair.server).await;
    assert_eq!(whole.payload, "one two three");
    assert_eq!(
        (whole.info.stream.0, whole.info.ppid.0, whole.info.end_of_message),
        (2, 9, true)
    );
    assert_eq!(next_data(&pair.server).await.payload, "alone");
    // The end of the association ends a message too.
    pair.send("bye ", info).await;
    pair.send("bye", info.eof()).await;
    assert_eq!(next_data(&pair.server).await.payload, "bye bye");
    assert_eq!(
        next_change(&pair.server).await.state,
        AssociationState::ShutdownComplete
    );
}

#[tokio::test]
async fn rfc6458_8_1_26_a_message_in_pieces_may_be_larger_than_the_send_buffer() {
    if on_kernel("it has no SCTP_EXPLICIT_EOR") {
        return;
    }
    let mut small = AssociationConfig::default();
    small.set_send_buffer(5_000).unwrap();
    let pair = Pair::new(small, AssociationConfig::default()).await;
    let options = pair.client.association(pair.names[0]).options();
    options.set_explicit_eor(true).unwrap();
    let sent = pattern(50_000);
    let too_large = pair.client.try_send(sent[..5_001].to_vec(), &pair.to());
    assert_eq!(too_large, Err(Error::MessageTooLarge));
    let sending = async {
        let mut blocked = false;
        let last = sent.len() / 2_000 - 1;
        for (number, piece) in sent.chunks(2_000).enumerate() {
            let info = if number == last {
                pair.to().end_of_record()
            } else {
                pair.to()
            };
            match pair.client.try_send(piece.to_vec(), &info) {
                Err(Error::WouldBlock) => {
                    blocked = true;
                    pair.send(piece.to_vec(), info).await;
                }
                result => result.unwrap(),
            }
        }
        assert!(blocked, "the send buffer was never full");
        assert_eq!(
            pair.client.try_send("", &pair.to().end_of_record()),
            Err(Error::EmptyMessage)
        );
    };
    let receiving = async {
        let mut bytes = Vec::new();
        loop {
            let piece = next_data(&pair.server).await;
            bytes.extend_from_slice(&piece.payload);
            if piece.info.end_of_message {
                break bytes;
            }
        }
    };
    let ((), received) = tokio::join!(sending, receiving);
    assert!(received == sent, "the bytes differ");
}

#[tokio::test]
async fn rfc6458_8_1_26_an_end_in_the_middle_of_a_message_aborts() {
    if on_kernel("it has no SCTP_EXPLICIT_EOR") {
        return;
    }
    let pair = Pair::usual().await;
    let options = pair.client.association(pair.names[0]).options();
    options.set_explicit_eor(true).unwrap();
    pair.send("half", pair.to()).await;
    pair.client.try_send("", &pair.to().eof()).unwrap();
    let change = next_change(&pair.server).await;
    assert!(matches!(change.state, AssociationState::Lost(_)), "{change:?}");
}

#[tokio::test]
async fn rfc6458_8_1_21_a_message_beyond_the_partial_delivery_point_comes_in_pieces() {
    let mut early = AssociationConfig::default();
    early.set_partial_delivery_point(Some(2_000)).unwrap();
    let pair = Pair::new(AssociationConfig::default(), early).await;
    assert_eq!(pair.server.options().partial_delivery_point(), Ok(Some(2_000)));
    let sent = pattern(100_000);
    pair.send(sent.clone(), pair.to()).await;
    let mut pieces = Vec::new();
    loop {
        let piece = next_data(&pair.server).await;
        pieces.push(piece.payload);
        if piece.info.end_of_message {
            break;
        }
    }
    assert!(pieces.len() > 1, "it came whole");
    assert_eq!(pieces.concat(), sent);
}

/// A server at an interleave level with two clients, the first of which sends a message that comes in pieces.
async fn half_received(level: FragmentInterleave) -> (Pair, SctpSocket, Vec<u8>) {
    let mut config = AssociationConfig::default();
    config.set_receive_buffer(8_000).unwrap();
    config.set_partial_delivery_point(Some(2_000)).unwrap();
    config.interleaving_mut().set_fragment_interleave(level).unwrap();
    let pair = Pair::new(small_packets(), config).await;
    let second = pair.hosts[0].socket(0).unwrap();
    within(second.connect(at("127.0.0.1", 7))).await.unwrap();
    up(&pair.server).await;
    let sent = pattern(60_000);
    pair.send(sent.clone(), pair.to()).await;
    let first = next_data(&pair.server).await;
    assert!(!first.info.end_of_message);
    let to = SndInfo::to(second.associations().unwrap()[0]);
    within(second.send("between", &to)).await.unwrap();
    while second
        .status(second.associations().unwrap()[0])
        .unwrap()
        .unacknowledged_messages
        > 0
    {
        tokio::task::yield_now().await;
    }
    let rest = sent[first.payload.len()..].to_vec();
    (pair, second, rest)
}

#[tokio::test]
async fn rfc6458_8_1_20_at_level_0_nothing_of_another_association_comes_between_pieces() {
    let (pair, _second, rest) = half_received(FragmentInterleave::Nothing).await;
    let mut received = Vec::new();
    loop {
        let piece = next_data(&pair.server).await;
        assert_eq!(piece.info.assoc, pair.names[1], "something came between");
        received.extend_from_slice(&piece.payload);
        if piece.info.end_of_message {
            break;
        }
    }
    assert_eq!(received, rest);
    assert_eq!(next_data(&pair.server).await.payload, "between");
}

#[tokio::test]
async fn rfc6458_8_1_20_at_level_1_other_associations_do_not_wait() {
    let (pair, _second, _rest) = half_received(FragmentInterleave::Associations).await;
    let mut between = false;
    loop {
        let piece = next_data(&pair.server).await;
        between |= piece.payload == "between";
        if piece.info.assoc == pair.names[1] && piece.info.end_of_message {
            break;
        }
    }
    assert!(between);
}

#[tokio::test]
async fn rfc6458_8_1_20_at_level_0_a_message_that_is_cut_off_holds_up_nobody() {
    let (pair, _second, _rest) = half_received(FragmentInterleave::Nothing).await;
    // Nobody is told, so that only what is received shows it.
    pair.server.set_subscriptions(Subscriptions::none()).unwrap();
    pair.client.abort(pair.names[0], "").unwrap();
    while next_data(&pair.server).await.payload != "between" {}
}

#[tokio::test]
async fn rfc6458_8_1_11_what_would_be_fragmented_can_be_refused() {
    let pair = Pair::usual().await;
    let options = of_one_association(&pair);
    assert_eq!(options.disable_fragments(), Ok(false));
    options.set_disable_fragments(true).unwrap();
    let refused = pair.client.try_send(pattern(100_000), &pair.to());
    assert_eq!(refused, Err(Error::MessageTooLarge));
    assert_eq!(refused.unwrap_err().errno(), libc::EMSGSIZE);
    pair.send(pattern(500), pair.to()).await;
    assert_eq!(next_data(&pair.server).await.payload.len(), 500);
}

#[tokio::test]
async fn rfc6458_8_1_16_no_chunk_has_more_user_data_than_maxseg_says() {
    let pair = Pair::usual().await;
    let options = pair.client.association(pair.names[0]).options();
    assert_eq!(options.maxseg(), Ok(None));
    // Kernels take no less than what the smallest packets hold.
    options.set_maxseg(Some(500)).unwrap();
    assert_eq!(options.maxseg(), Ok(Some(500)));
    let sent = pattern(5_000);
    pair.send(sent.clone(), pair.to()).await;
    assert_eq!(next_data(&pair.server).await.payload, sent);
    assert_eq!(pair.client.status(pair.names[0]).unwrap().stats.data_chunks_sent, 10);
}

#[tokio::test]
async fn rfc6458_8_1_5_small_messages_arrive_with_and_without_nodelay() {
    let pair = Pair::usual().await;
    let options = of_one_association(&pair);
    assert_eq!(options.nodelay(), Ok(true));
    options.set_nodelay(false).unwrap();
    for _ in 0..20 {
        pair.send("small", pair.to()).await;
    }
    for _ in 0..20 {
        assert_eq!(next_data(&pair.server).await.payload, "small");
    }
}

#[tokio::test]
async fn rfc6458_6_1_1_an_association_that_is_up_says_what_both_sides_support() {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let mut config = AssociationConfig::default();
    config.interleaving_mut().set_offered(true);
    config.auth_mut().set_enabled(true);
    let server = builder(&own)
        .association(config.clone())
        .bind("127.0.0.1:7")
        .await
        .unwrap();
    server.listen(5).unwrap();
    config.auth_mut().set_enabled(false);
    let client = builder(&other).association(config).bind("127.0.0.1:0").await.unwrap();
    within(client.connect(at("127.0.0.1", 7))).await.unwrap();
    let AssociationState::Up { features, .. } = next_change(&server).await.state else {
        panic!("not up");
    };
    let AssociationFeatures {
        partial_reliability,
        authentication,
        address_changes,
        reconfiguration,
        interleaving,
        ..
    } = features;
    assert!(partial_reliability && reconfiguration && interleaving, "{features:?}");
    assert!(!authentication && !address_changes, "{features:?}");
}

#[tokio::test]
async fn rfc6458_6_1_11_a_message_that_failed_tells_the_error_cause() {
    let mut narrow = AssociationConfig::default();
    narrow.set_receive_buffer(1_500).unwrap();
    let pair = Pair::new(small_packets(), narrow).await;
    pair.send(pattern(50_000), pair.to().with_context(8)).await;
    pair.server.abort(pair.names[1], "no").unwrap();
    loop {
        if let Received::Notification(Notification::SendFailed { info, error, .. }) =
            within(pair.client.recv()).await.unwrap()
        {
            assert_eq!(info.context, 8);
            assert_eq!(error, 12, "User-Initiated Abort");
            return;
        }
    }
}

#[tokio::test]
async fn rfc6458_8_1_3_the_largest_init_time_out_ends_a_set_up_early() {
    let (host, peer, _silence) = stack_towards_silence().await;
    let socket = host.socket(0).unwrap();
    let init = InitMsg {
        // More than eight minutes otherwise.
        max_attempts: 8,
        max_init_timeo: Some(Duration::from_millis(20)),
        ..socket.options().init_msg().unwrap()
    };
    socket.options().set_init_msg(init).unwrap();
    assert_eq!(socket.options().init_msg(), Ok(init));
    let failed = within(socket.connect(peer)).await;
    assert_eq!(failed, Err(Error::ConnectFailed(FailureReason::SetupTimeout)));
}

#[tokio::test]
async fn rfc6458_8_1_2_each_listening_socket_has_a_cookie_life() {
    let host = stack(&["127.0.0.1"]).await;
    let socket = host.socket(0).unwrap();
    let life = Some(Duration::from_secs(5));
    socket.options().set_cookie_life(life).unwrap();
    assert_eq!(socket.options().assoc_info().unwrap().cookie_life, life);
    let refused = socket.options().set_cookie_life(Some(Duration::from_secs(9_999)));
    assert!(matches!(refused, Err(Error::Config(_))), "{refused:?}");
}

#[tokio::test]
async fn rfc6458_5_3_6_a_message_tells_what_comes_next_if_asked() {
    let pair = Pair::usual().await;
    let options = pair.server.association(pair.names[1]).options();
    options.set_recv_nxtinfo(true).unwrap();
    assert_eq!(options.recv_nxtinfo(), Ok(true));
    pair.send("one", pair.to()).await;
    pair.send("second", pair.to().on_stream(3).with_ppid(6)).await;
    while pair.client.status(pair.names[0]).unwrap().unacknowledged_messages > 0 {
        tokio::task::yield_now().await;
    }
    let first = next_data(&pair.server).await;
    let Some(NxtInfo::Message {
        stream,
        ppid,
        length,
        complete,
        ..
    }) = first.info.next
    else {
        panic!("{first:?}");
    };
    assert_eq!((stream.0, ppid.0, length, complete), (3, 6, 6, true));
    assert_eq!(next_data(&pair.server).await.info.next, None);
}

#[tokio::test]
async fn rfc6458_7_2_options_are_set_of_future_current_or_all_associations() {
    let pair = Pair::usual().await;
    let bursts = || {
        let of_one = pair.client.association(pair.names[0]).options().max_burst().unwrap();
        (pair.client.options().max_burst().unwrap(), of_one)
    };
    let before = bursts().0;
    let set = |scope, value| {
        pair.client
            .set_options(scope, |options| options.set_max_burst(value))
            .unwrap()
    };
    set(AssocScope::Future, 11);
    assert_eq!(bursts(), (11, before));
    set(AssocScope::Current, 12);
    assert_eq!(bursts(), (11, 12));
    set(AssocScope::All, 13);
    assert_eq!(bursts(), (13, 13));
    let refused = pair
        .client
        .set_options(AssocScope::All, |options| options.set_receive_buffer(1));
    assert!(matches!(refused, Err(Error::Config(_))), "{refused:?}");
}

#[tokio::test]
async fn rfc6458_9_1_several_addresses_are_bound_together_or_not_at_all() {
    let host = stack(&["127.0.0.1", "127.0.0.2", "127.0.0.3"]).await;
    let socket = builder(&host).bind("127.0.0.1:0").await.unwrap();
    let own = || -> Vec<_> {
        let mut own: Vec<_> = socket.local_addresses().unwrap().iter().map(|own| own.ip()).collect();
        own.sort();
        own
    };
    let unknown = socket.bindx_add_all(&[ip("127.0.0.2"), ip("192.0.2.9")]);
    assert_eq!(unknown, Err(Error::AddressNotAvailable));
    assert_eq!(own(), [ip("127.0.0.1")]);
    socket.bindx_add_all(&[ip("127.0.0.2"), ip("127.0.0.3")]).unwrap();
    assert_eq!(own(), [ip("127.0.0.1"), ip("127.0.0.2"), ip("127.0.0.3")]);
    let all = socket.bindx_remove_all(&own());
    assert!(matches!(all, Err(Error::AddressChange(_))), "{all:?}");
    assert_eq!(own().len(), 3);
    socket.bindx_remove_all(&[ip("127.0.0.1"), ip("127.0.0.3")]).unwrap();
    assert_eq!(own(), [ip("127.0.0.2")]);
}

/// Sends something from one end of an association to the other.
async fn says(from: &SctpStream, to: &SctpStream, text: &'static str) {
    within(from.send(text, &SndInfo::new())).await.unwrap();
    assert_eq!(within(to.recv()).await.unwrap().unwrap().payload, text);
}

#[tokio::test]
async fn rfc6458_8_1_27_who_shares_a_port_connects_from_it_and_one_listens() {
    let there = stack(&["127.0.0.2"]).await;
    let here = stack_towards(&["127.0.0.1"], &there).await;
    let servers = [there.listener(7).unwrap(), there.listener(8).unwrap()];
    let port = at("127.0.0.1", 9);
    let sharing = || here.builder().reuse_port(true);
    let connect = async |to| within(sharing().local(&[port]).connect(at("127.0.0.2", to))).await;
    let first = connect(7).await.unwrap();
    let second = connect(8).await.unwrap();
    assert_eq!([first.local_addr(), second.local_addr()], [Ok(port), Ok(port)]);
    let (one, _) = within(servers[0].accept()).await.unwrap();
    let (two, _) = within(servers[1].accept()).await.unwrap();

    // All say so, and none of them is a one-to-many socket.
    let own = || here.builder().local(&[port]);
    assert_eq!(here.builder().listen(port, 4).await.map(drop), Err(Error::PortInUse));
    let other = within(own().connect(at("127.0.0.2", 7))).await;
    assert_eq!(other.map(drop), Err(Error::PortInUse));
    let many = sharing().bind(port).await.map(drop);
    assert!(matches!(many, Err(Error::Unsupported(_))), "{many:?}");
    assert_eq!(here.builder().bind(port).await.map(drop), Err(Error::PortInUse));

    // One of them listens.
    let listener = sharing().listen(port, 4).await.unwrap();
    assert_eq!(sharing().listen(port, 4).await.map(drop), Err(Error::PortInUse));
    let mut config = AssociationConfig::default();
    config.path_mut().set_remote_encapsulation_port(here.udp_port());
    let third = within(there.builder().association(config.clone()).connect(port))
        .await
        .unwrap();
    let (three, _) = within(listener.accept()).await.unwrap();
    says(&first, &one, "one").await;
    says(&two, &second, "two").await;
    says(&third, &three, "three").await;
    // A kernel binds no more sockets to the port of one that listens.
    let next = connect(6).await.map(drop);
    if has_kernel() {
        assert_eq!(next, Err(Error::PortInUse));
    } else {
        assert!(matches!(next, Err(Error::ConnectFailed(_))), "{next:?}");
    }
    // A peer has one association with a port.
    listener.close();
    assert_eq!(connect(7).await.map(drop), Err(Error::AddressNotAvailable));
    let listener = sharing().listen(port, 4).await.unwrap();
    let fourth = within(there.builder().association(config).connect(port)).await.unwrap();
    let (four, _) = within(listener.accept()).await.unwrap();
    says(&four, &fourth, "four").await;
}
