//! RFC 6458 §8.1 and §8.3, what can be set.

use std::time::{Duration, Instant};

use socketapi::{
    AssociationConfig, AssociationState, ChunkType, DelayedSack, Error, FragmentInterleave, HmacId, InitMsg, Options,
    Reliability, RtoInfo, SharedKeyId, SndInfo, StreamScheduler, Subscriptions,
};

use crate::common::{
    Pair, Streams, at, ip, next, next_change, next_data, on_kernel, pattern, stack, stack_towards, told, within,
};

fn is_config<T: std::fmt::Debug>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Config(_)))
}

#[tokio::test]
async fn rfc6458_8_1_1_the_time_outs_are_in_order_or_none_is_changed() {
    let pair = Pair::usual().await;
    let ms = Duration::from_millis;
    for options in [pair.client.options(), pair.options()] {
        let before = options.rto_info().unwrap();
        let at_rest = RtoInfo {
            initial: Duration::from_secs(1),
            min: Duration::from_secs(1),
            max: Duration::from_secs(60),
        };
        assert_eq!(before, at_rest, "RFC 9260 §16");
        for (initial, min, max) in [(50, 100, 200), (300, 100, 200), (150, 200, 100)] {
            let wrong = RtoInfo {
                initial: ms(initial),
                min: ms(min),
                max: ms(max),
            };
            let refused = options.set_rto_info(wrong);
            assert!(refused.is_err(), "{wrong:?}");
            assert_eq!(refused.unwrap_err().errno(), libc::EINVAL);
        }
        assert_eq!(options.rto_info(), Ok(before));
        let all_one = RtoInfo {
            initial: ms(500),
            min: ms(500),
            max: ms(500),
        };
        options.set_rto_info(all_one).unwrap();
        assert_eq!(options.rto_info(), Ok(all_one));
    }
    let info = pair.here().get_peer_addr_info(ip("127.0.0.1")).unwrap();
    pair.send("x", pair.to()).await;
    assert!(info.rto <= Duration::from_secs(60));
}

#[tokio::test]
async fn rfc6458_8_1_3_what_set_up_asks_for_is_that_of_future_associations() {
    let pair = Pair::usual().await;
    let init = InitMsg {
        num_ostreams: 5,
        max_instreams: 6,
        ..pair.client.options().init_msg().unwrap()
    };
    let before = pair.here().status().unwrap();
    pair.client.options().set_init_msg(init).unwrap();
    assert_eq!(pair.here().status().unwrap().outbound_streams, before.outbound_streams);
    let second = pair.hosts[1].socket(8).unwrap();
    second.listen(1).unwrap();
    let assoc = within(pair.client.connect(at("127.0.0.1", 8))).await.unwrap();
    let status = pair.client.status(assoc).unwrap();
    assert_eq!((status.outbound_streams, status.inbound_streams), (5, 6));
    for (outbound, inbound) in [(0, 1), (1, 0)] {
        let none = InitMsg {
            num_ostreams: outbound,
            max_instreams: inbound,
            ..init
        };
        // For C programs zero means the default.
        assert!(on_kernel("zero is as it was") || is_config(&pair.client.options().set_init_msg(none)));
    }
}

#[tokio::test]
async fn rfc6458_8_1_7_a_message_fits_the_send_buffer_or_is_refused() {
    let pair = Pair::usual().await;
    pair.options().set_send_buffer(10_000).unwrap();
    assert_eq!(pair.options().send_buffer(), Ok(10_000));
    if on_kernel("it takes as much as it likes") {
        return;
    }
    let refused = pair.client.try_send(pattern(10_001), &pair.to());
    assert_eq!(refused, Err(Error::MessageTooLarge));
    pair.send(pattern(10_000), pair.to()).await;
    assert_eq!(next_data(&pair.server).await.payload.len(), 10_000);
}

#[tokio::test]
async fn rfc6458_8_1_8_autoclose_is_for_one_to_many_sockets() {
    let streams = Streams::usual().await;
    let soon = Some(Duration::from_secs(1));
    for options in [streams.opened.association().options(), streams.listener.options()] {
        let refused = options.set_autoclose(soon);
        assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
        assert_eq!(options.autoclose(), Ok(None));
        // What is off stays off.
        assert_eq!(options.set_autoclose(None), Ok(()));
    }
    let mut config = AssociationConfig::default();
    config.set_autoclose(soon).unwrap();
    let listener = streams.hosts[0]
        .builder()
        .association(config)
        .listen("127.0.0.1:0", 1)
        .await;
    assert!(listener.is_err(), "{listener:?}");
}

#[tokio::test]
async fn rfc6458_8_1_8_an_association_in_use_is_not_idle() {
    let pair = Pair::usual().await;
    assert_eq!(pair.client.options().autoclose(), Ok(None), "off by default");
    if on_kernel("it has this of whole sockets") {
        return;
    }
    // A busy machine may do nothing for as long as the shorter times.
    for millis in [300, 3_000, 30_000] {
        let pair = Pair::usual().await;
        if outlives(&pair, Duration::from_millis(millis)).await {
            let end = next_change(&pair.server).await.state;
            return assert_eq!(end, AssociationState::ShutdownComplete);
        }
    }
    panic!("there is no time to use it");
}

/// Uses an association for twice the time after which it would be closed; false if it could not be used all the time.
async fn outlives(pair: &Pair, idle: Duration) -> bool {
    let begun = Instant::now();
    let mut used = begun;
    pair.options().set_autoclose(Some(idle)).unwrap();
    while begun.elapsed() < 2 * idle {
        let now = Instant::now();
        let sent = within(pair.client.send("busy", &pair.to())).await;
        if used.elapsed() >= idle {
            return false;
        }
        sent.unwrap();
        used = now;
        assert_eq!(next_data(&pair.server).await.payload, "busy");
    }
    true
}

#[tokio::test]
async fn rfc6458_8_1_12_parameters_of_all_paths_are_those_of_paths_to_come_too() {
    let pair = Pair::two_homed(AssociationConfig::default()).await;
    let options = pair.options();
    let mut params = options.peer_addr_params(None).unwrap();
    params.set_path_max_retrans(9);
    params.set_heartbeat_interval(None).unwrap();
    options.set_peer_addr_params(None, params).unwrap();
    for address in ["127.0.0.1", "127.0.0.2"] {
        let params = options.peer_addr_params(Some(ip(address))).unwrap();
        assert_eq!((params.path_max_retrans(), params.heartbeat_interval()), (9, None));
    }
    // One of them alone.
    let mut params = options.peer_addr_params(Some(ip("127.0.0.2"))).unwrap();
    params.set_heartbeat_interval(Some(Duration::from_secs(7))).unwrap();
    options.set_peer_addr_params(Some(ip("127.0.0.2")), params).unwrap();
    let first = options.peer_addr_params(Some(ip("127.0.0.1"))).unwrap();
    assert_eq!(first.heartbeat_interval(), None);
    // A heartbeat that is asked for goes to one address, even where they are off.
    pair.here().request_heartbeat(ip("127.0.0.1")).unwrap();
    assert_eq!(pair.here().request_heartbeat(ip("0.0.0.0")), Err(Error::NoSuchPath));
}

#[tokio::test]
async fn rfc6458_8_1_12_without_discovery_the_mtu_is_what_it_was_set_to() {
    if on_kernel("it counts the loopback interface's") {
        return;
    }
    let mut config = AssociationConfig::default();
    config.path_mut().set_mtu(1_400).unwrap();
    let pair = Pair::new(config, AssociationConfig::default()).await;
    let own = ip("127.0.0.1");
    assert_eq!(
        pair.options().peer_addr_params(Some(own)).unwrap().mtu_discovery(),
        None
    );
    assert_eq!(pair.here().get_peer_addr_info(own).unwrap().mtu, 1_400);
    pair.send(pattern(14_000), pair.to()).await;
    assert_eq!(next_data(&pair.server).await.payload.len(), 14_000);
    assert!(pair.here().status().unwrap().stats.data_chunks_sent > 10);
}

#[tokio::test]
async fn rfc6458_8_1_17_hmacs_include_sha_1() {
    let host = stack(&["127.0.0.1"]).await;
    let socket = host.socket(0).unwrap();
    let options = socket.options();
    options.set_auth_supported(true).unwrap();
    options.set_hmac_ident(&[HmacId::SHA256, HmacId::SHA1]).unwrap();
    assert_eq!(options.hmac_ident(), Ok(vec![HmacId::SHA256, HmacId::SHA1]));
    for wrong in [&[HmacId::SHA256][..], &[], &[HmacId::SHA1, HmacId(99)]] {
        let refused = options.set_hmac_ident(wrong);
        assert!(refused.is_err(), "{wrong:?}");
        assert_eq!(refused.unwrap_err().errno(), libc::EINVAL);
    }
    assert_eq!(options.hmac_ident(), Ok(vec![HmacId::SHA256, HmacId::SHA1]));
}

#[tokio::test]
async fn rfc6458_8_1_18_keys_of_the_socket_are_those_of_its_associations() {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let (server, client) = (own.socket(7).unwrap(), other.socket(0).unwrap());
    for socket in [&server, &client] {
        let options = socket.options();
        options.set_auth_supported(true).unwrap();
        options.auth_chunk(ChunkType::DATA).unwrap();
        assert_eq!(options.auth_active_key(), Ok(SharedKeyId(0)), "at first");
        assert_eq!(options.set_auth_active_key(SharedKeyId(3)), Err(Error::NoSuchKey));
        options.set_auth_key(SharedKeyId(3), b"three").unwrap();
        options.set_auth_active_key(SharedKeyId(3)).unwrap();
    }
    server.listen(1).unwrap();
    let assoc = within(client.connect(at("127.0.0.1", 7))).await.unwrap();
    let options = client.association(assoc).options();
    assert_eq!(options.auth_active_key(), Ok(SharedKeyId(3)));
    within(client.send("with key 3", &SndInfo::to(assoc))).await.unwrap();
    assert_eq!(next_data(&server).await.payload, "with key 3");
    // An association has keys of its own from then on.
    options.set_auth_key(SharedKeyId(4), b"four").unwrap();
    assert_eq!(
        client.options().set_auth_active_key(SharedKeyId(4)),
        Err(Error::NoSuchKey)
    );
    // A key that is not there can be neither deactivated nor deleted, the active one neither.
    for wrong in [SharedKeyId(9), SharedKeyId(3)] {
        assert!(options.auth_deactivate_key(wrong).is_err(), "{wrong:?}");
        assert!(options.auth_delete_key(wrong).is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn rfc6458_8_3_2_chunks_that_cannot_be_authenticated_are_refused() {
    let pair = Pair::usual().await;
    let options = pair.client.options();
    options.set_auth_supported(true).unwrap();
    for kind in [
        ChunkType::INIT,
        ChunkType::INIT_ACK,
        ChunkType::SHUTDOWN_COMPLETE,
        ChunkType::AUTH,
    ] {
        let refused = options.auth_chunk(kind);
        assert!(refused.is_err(), "{kind:?}");
        assert_eq!(refused.unwrap_err().errno(), libc::EINVAL);
    }
    options.auth_chunk(ChunkType::DATA).unwrap();
    // The list is told at set-up.
    assert!(pair.options().auth_chunk(ChunkType::SACK).is_err());
    // Keys are of no use without authentication.
    let refused = pair.options().set_auth_key(SharedKeyId(1), b"x");
    assert_eq!(refused.unwrap_err().errno(), libc::EACCES);
}

#[tokio::test]
async fn rfc6458_8_1_19_acknowledgements_can_be_delayed_or_not() {
    let pair = Pair::usual().await;
    let options = pair.there().options();
    let before = options.delayed_sack().unwrap();
    assert_eq!(
        (before.delay, before.frequency),
        (Duration::from_millis(200), 2),
        "RFC 9260 §16"
    );
    let at_once = DelayedSack {
        delay: Duration::from_millis(500),
        frequency: 1,
    };
    options.set_delayed_sack(at_once).unwrap();
    assert_eq!(options.delayed_sack().unwrap().frequency, 1);
    for _ in 0..50 {
        pair.send("x", pair.to()).await;
        next_data(&pair.server).await;
    }
    if on_kernel("zero leaves it as it is") {
        return;
    }
    let before = options.delayed_sack();
    let too_long = DelayedSack {
        delay: Duration::from_millis(501),
        frequency: 2,
    };
    assert!(is_config(&options.set_delayed_sack(too_long)));
    let never = DelayedSack {
        delay: Duration::from_millis(100),
        frequency: 0,
    };
    assert!(is_config(&options.set_delayed_sack(never)));
    assert_eq!(options.delayed_sack(), before, "all or nothing");
}

#[tokio::test]
async fn rfc6458_8_1_20_one_to_many_sockets_start_at_level_1() {
    let pair = Pair::usual().await;
    assert_eq!(
        pair.client.options().fragment_interleave(),
        Ok(FragmentInterleave::Associations)
    );
    if on_kernel("it has no level 2 without interleaving") {
        return;
    }
    for level in [
        FragmentInterleave::Nothing,
        FragmentInterleave::Streams,
        FragmentInterleave::Associations,
    ] {
        pair.client.options().set_fragment_interleave(level).unwrap();
        assert_eq!(pair.client.options().fragment_interleave(), Ok(level));
    }
}

#[tokio::test]
async fn rfc6458_8_1_20_at_level_2_other_streams_do_not_wait() {
    if on_kernel("how much it holds of a message is its own affair") {
        return;
    }
    let mut config = AssociationConfig::default();
    config.set_receive_buffer(8_000).unwrap();
    config.interleaving_mut().set_offered(true);
    let mut client = AssociationConfig::default();
    client.interleaving_mut().set_offered(true);
    let pair = Pair::new(client, config).await;
    let level = pair.there().options().fragment_interleave();
    assert_eq!(level, Ok(FragmentInterleave::Streams));
    pair.options()
        .set_stream_scheduler(StreamScheduler::RoundRobin)
        .unwrap();
    pair.send(pattern(200_000), pair.to().on_stream(1)).await;
    let first = next_data(&pair.server).await;
    assert!(!first.info.end_of_message);
    pair.send("between", pair.to().on_stream(2)).await;
    pair.send("behind", pair.to().on_stream(1)).await;
    let (mut between, mut bytes) = (false, first.payload.len());
    loop {
        let message = next_data(&pair.server).await;
        if message.info.stream.0 == 2 {
            assert_eq!(message.payload, "between");
            between = true;
            continue;
        }
        bytes += message.payload.len();
        if message.info.end_of_message {
            break;
        }
    }
    assert!(between && bytes == 200_000, "{between} {bytes}");
    assert_eq!(next_data(&pair.server).await.payload, "behind");
}

#[tokio::test]
async fn rfc6458_8_1_21_the_partial_delivery_point_is_within_the_receive_buffer() {
    let pair = Pair::usual().await;
    let options = pair.server.options();
    options.set_receive_buffer(50_000).unwrap();
    let refused = options.set_partial_delivery_point(Some(500_000));
    assert_eq!(refused.map_err(|error| error.errno()), Err(libc::EINVAL));
    options.set_partial_delivery_point(Some(20_000)).unwrap();
    assert_eq!(options.partial_delivery_point(), Ok(Some(20_000)));
}

#[tokio::test]
async fn rfc6458_8_1_21_no_message_up_to_the_partial_delivery_point_comes_in_pieces() {
    let mut config = AssociationConfig::default();
    config.set_receive_buffer(200_000).unwrap();
    config.set_partial_delivery_point(Some(50_000)).unwrap();
    let pair = Pair::new(AssociationConfig::default(), config).await;
    for _ in 0..20 {
        pair.send(pattern(50_000), pair.to()).await;
    }
    for _ in 0..20 {
        let message = next_data(&pair.server).await;
        assert!(message.info.end_of_message);
        assert_eq!(message.payload.len(), 50_000);
    }
}

#[tokio::test]
async fn rfc6458_8_1_24_the_maximum_burst_is_4_at_first_and_zero_for_none() {
    let pair = Pair::usual().await;
    let of_all: [Options; 2] = [pair.client.options(), pair.options()];
    for options in of_all {
        assert_eq!(options.max_burst(), Ok(4));
        options.set_max_burst(0).unwrap();
        assert_eq!(options.max_burst(), Ok(0));
    }
    pair.send(pattern(100_000), pair.to()).await;
    let mut bytes = 0;
    while bytes < 100_000 {
        bytes += next_data(&pair.server).await.payload.len();
    }
}

#[tokio::test]
async fn rfc6458_8_1_10_the_adaptation_indication_is_that_of_future_associations() {
    let pair = Pair::usual().await;
    pair.client.options().set_adaptation_layer(Some(0xfeed)).unwrap();
    let second = pair.hosts[1]
        .builder()
        .subscriptions(Subscriptions::all())
        .bind("127.0.0.1:8")
        .await
        .unwrap();
    second.listen(1).unwrap();
    within(pair.client.connect(at("127.0.0.1", 8))).await.unwrap();
    let indication = told(&second, |event| match event {
        socketapi::Notification::AdaptationIndication { indication, .. } => Some(*indication),
        _ => None,
    });
    assert_eq!(indication.await, 0xfeed);
}

#[tokio::test]
async fn rfc6458_8_1_9_and_8_3_1_primary_addresses_belong_to_the_association() {
    let mut config = AssociationConfig::default();
    config.asconf_mut().set_offered(true);
    let pair = Pair::new(config.clone(), config).await;
    for stranger in ["192.0.2.1", "0.0.0.0", "::"] {
        let refused = pair.here().set_primary_addr(ip(stranger));
        assert_eq!(refused, Err(Error::NoSuchPath), "{stranger}");
    }
    assert!(pair.here().set_peer_primary_addr(ip("192.0.2.1")).is_err());
}

#[tokio::test]
async fn rfc6458_8_3_1_without_the_extension_no_primary_address_is_asked_for() {
    let plain = Pair::usual().await;
    let refused = plain.here().set_peer_primary_addr(ip("127.0.0.1"));
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn rfc6458_9_2_a_socket_that_was_branched_off_has_the_options_of_the_first() {
    let pair = Pair::usual().await;
    let wanted = Subscriptions {
        peer_shutdown: true,
        ..Subscriptions::none()
    };
    let options = pair.client.options();
    options.set_linger(Some(Duration::from_secs(4))).unwrap();
    let own = pair.options();
    own.set_default_sndinfo(SndInfo::new().with_ppid(8)).unwrap();
    own.set_default_prinfo(Reliability::Retransmissions(3)).unwrap();
    own.set_subscriptions(wanted).unwrap();
    own.set_max_burst(6).unwrap();
    let stream = pair.client.peel_off(pair.names[0]).unwrap();
    let inherited = stream.association().options();
    assert_eq!(inherited.linger(), Ok(Some(Duration::from_secs(4))));
    assert_eq!(inherited.default_sndinfo().unwrap().ppid.0, 8);
    assert_eq!(inherited.default_prinfo(), Ok(Reliability::Retransmissions(3)));
    assert_eq!(inherited.subscriptions(), Ok(wanted));
    assert_eq!(inherited.max_burst(), Ok(6));
    // From now on they are apart.
    options.set_linger(None).unwrap();
    pair.client.set_subscriptions(Subscriptions::all()).unwrap();
    assert_eq!(inherited.linger(), Ok(Some(Duration::from_secs(4))));
    assert_eq!(inherited.subscriptions(), Ok(wanted));
    within(stream.send("x", &SndInfo::new().with_defaults())).await.unwrap();
    assert_eq!(next_data(&pair.server).await.info.ppid.0, 8);
    pair.answer("y").await;
    assert_eq!(next(&stream).await.payload, "y");
}
