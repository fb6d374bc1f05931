//! Socket options of new associations and of open ones (RFC 6458 §8).

mod common;

use std::time::Duration;

use common::{Host, at, builder, has_kernel, next_change, next_data, stack, stack_towards, up, within};
use socketapi::{
    AssociationState, DelayedSack, Error, FragmentInterleave, HmacId, InitMsg, Options, PathState, PathThresholds,
    ReconfigRequests, RtoInfo, SctpSocket, SctpStream, SndInfo, StreamId, StreamScheduler,
};

async fn sockets() -> (SctpSocket, SctpSocket, [Host; 2]) {
    let server = stack(&["127.0.0.1", "127.0.0.2"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listening = server.socket(7).unwrap();
    listening.listen(5).unwrap();
    (client.socket(0).unwrap(), listening, [client, server])
}

/// Sets what can be changed at any time, and reads it back.
fn set_and_get(options: &Options) {
    let (ms, second) = (Duration::from_millis, Duration::from_secs(1));
    let rto = RtoInfo {
        initial: second,
        min: ms(100),
        max: 2 * second,
    };
    options.set_rto_info(rto).unwrap();
    assert_eq!(options.rto_info(), Ok(rto));
    options.set_association_max_retrans(3).unwrap();
    assert_eq!(options.assoc_info().unwrap().max_retransmits, 3);
    options.set_receive_buffer(50_000).unwrap();
    options.set_send_buffer(60_000).unwrap();
    assert_eq!(
        (options.receive_buffer(), options.send_buffer()),
        (Ok(50_000), Ok(60_000))
    );
    let sack = DelayedSack {
        // Kernels count in ticks of 4 or 10 ms.
        delay: ms(60),
        frequency: 4,
    };
    options.set_delayed_sack(sack).unwrap();
    assert_eq!(options.delayed_sack(), Ok(sack));
    options.set_max_burst(9).unwrap();
    assert_eq!(options.max_burst(), Ok(9));
    options.set_context(5).unwrap();
    assert_eq!(options.context(), Ok(5));
    options.set_stream_scheduler(StreamScheduler::RoundRobin).unwrap();
    assert_eq!(options.stream_scheduler(), Ok(StreamScheduler::RoundRobin));
    options.set_enable_stream_reset(ReconfigRequests::ALL).unwrap();
    assert_eq!(options.enable_stream_reset(), Ok(ReconfigRequests::ALL));
    let automatic = options.set_auto_asconf(true);
    if has_kernel() {
        // It wants a socket that is bound to all addresses.
        assert!(matches!(automatic, Err(Error::Unsupported(_))), "{automatic:?}");
    } else {
        automatic.unwrap();
        assert_eq!(options.auto_asconf(), Ok(true));
    }
    options.set_expose_potentially_failed_state(false).unwrap();
    assert_eq!(options.expose_potentially_failed_state(), Ok(false));

    let mut params = options.peer_addr_params(None).unwrap();
    params.set_heartbeat_interval(None).unwrap();
    options.set_peer_addr_params(None, params).unwrap();
    assert_eq!(options.peer_addr_params(None).unwrap().heartbeat_interval(), None);
    let thresholds = PathThresholds::new(7, Some(2), Some(4)).unwrap();
    options.set_peer_addr_thlds(None, thresholds).unwrap();
    assert_eq!(options.peer_addr_thlds(None), Ok(thresholds));
}

/// What only one-to-many sockets and their associations have.
fn set_autoclose(options: &Options, of_socket: bool) {
    let idle = Some(Duration::from_secs(100));
    let autoclose = options.set_autoclose(idle);
    if has_kernel() && !of_socket {
        assert!(matches!(autoclose, Err(Error::Unsupported(_))), "{autoclose:?}");
    } else {
        autoclose.unwrap();
        assert_eq!(options.autoclose(), Ok(idle));
    }
}

#[tokio::test]
async fn rfc6458_8_1_options_of_a_socket_are_what_its_associations_start_with() {
    let (client, server, _stacks) = sockets().await;
    let options = client.options();
    set_and_get(&options);
    set_autoclose(&options, true);
    let init = InitMsg {
        num_ostreams: 3,
        max_instreams: 4,
        max_attempts: 2,
        max_init_timeo: None,
    };
    options.set_init_msg(init).unwrap();
    assert_eq!(options.init_msg(), Ok(init));
    options.set_adaptation_layer(Some(8)).unwrap();
    assert_eq!(options.adaptation_layer(), Ok(Some(8)));
    if has_kernel() {
        // It wants to know first that there is something to authenticate.
        let refused = options.set_hmac_ident(&[HmacId::SHA1]);
        assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
        options.set_auth_supported(true).unwrap();
        options.set_interleaving_supported(true).unwrap();
    }
    options.set_hmac_ident(&[HmacId::SHA1]).unwrap();
    assert_eq!(options.hmac_ident(), Ok(vec![HmacId::SHA1]));
    options.set_fragment_interleave(FragmentInterleave::Streams).unwrap();
    assert_eq!(options.fragment_interleave(), Ok(FragmentInterleave::Streams));
    options.set_pr_supported(false).unwrap();
    options.set_reconfig_supported(false).unwrap();

    let id = within(client.connect(at("127.0.0.1", 7))).await.unwrap();
    let accepted = up(&server).await;
    let (here, there) = (client.association(id), server.association(accepted));
    assert_eq!(here.options().rto_info(), options.rto_info());
    assert_eq!(here.options().max_burst(), Ok(9));
    assert_eq!(here.options().context(), Ok(5));
    assert_eq!(here.status().unwrap().outbound_streams, 3);
    assert_eq!(there.status().unwrap().outbound_streams, 4);
    assert_eq!(here.options().pr_supported(), Ok(false));
    assert_eq!(there.options().pr_supported(), Ok(false));
    assert_eq!(server.options().pr_supported(), Ok(true));
    assert_eq!(here.options().reconfig_supported(), Ok(false));
    let info = here.options().assoc_info().unwrap();
    assert!(info.peer_destinations >= 1 && info.peer_rwnd > 0 && info.local_rwnd == 50_000);
}

#[tokio::test]
async fn rfc6458_8_options_of_an_open_association_are_its_own() {
    let (client, _server, _stacks) = sockets().await;
    let id = within(client.connect(at("127.0.0.1", 7))).await.unwrap();
    let options = client.association(id).options();
    set_and_get(&options);
    set_autoclose(&options, false);
    assert_ne!(client.options().max_burst(), Ok(9));
    assert_ne!(client.options().context(), Ok(5));

    // What set-up told the peer stays.
    assert_eq!(options.set_adaptation_layer(Some(1)), Err(Error::Fixed));
    assert_eq!(options.set_pr_supported(false), Err(Error::Fixed));
    assert_eq!(options.set_hmac_ident(&[HmacId::SHA1]), Err(Error::Fixed));
    let init = InitMsg {
        num_ostreams: 99,
        ..options.init_msg().unwrap()
    };
    assert_eq!(options.set_init_msg(init), Err(Error::Fixed));
    let refused = options.set_receive_buffer(1);
    assert!(matches!(refused, Err(Error::Config(_))), "{refused:?}");
    assert_eq!(options.receive_buffer(), Ok(50_000));
}

#[tokio::test]
async fn rfc6458_8_1_12_each_path_has_parameters_of_its_own() {
    let (client, _server, _stacks) = sockets().await;
    let peer = [at("127.0.0.1", 7), at("127.0.0.2", 7)];
    let id = within(client.connect_multi(&peer)).await.unwrap();
    let assoc = client.association(id);
    let options = assoc.options();
    let (first, second) = (Some(peer[0].ip()), Some(peer[1].ip()));
    let thresholds = PathThresholds::new(1, None, None).unwrap();
    options.set_peer_addr_thlds(second, thresholds).unwrap();
    options.set_remote_udp_encaps_port(second, Some(1234)).unwrap();
    assert_eq!(options.peer_addr_thlds(second), Ok(thresholds));
    assert_eq!(options.peer_addr_thlds(first), Ok(PathThresholds::default()));
    assert_eq!(options.remote_udp_encaps_port(second), Ok(Some(1234)));
    assert_ne!(options.remote_udp_encaps_port(first), Ok(Some(1234)));
    assert_eq!(assoc.primary_addr().ok(), first);
    let info = assoc.get_peer_addr_info(peer[0].ip()).unwrap();
    assert!(info.primary && info.state == PathState::Active, "{info:?}");

    let stranger = Some(common::ip("127.0.0.9"));
    assert_eq!(options.peer_addr_params(stranger), Err(Error::NoSuchPath));
    assert_eq!(
        options.set_peer_addr_thlds(stranger, thresholds),
        Err(Error::NoSuchPath)
    );
    assert_eq!(client.options().peer_addr_params(first), Err(Error::NoSuchPath));
    assert_eq!(assoc.set_primary_addr(common::ip("127.0.0.9")), Err(Error::NoSuchPath));
    assert_eq!(
        assoc.get_peer_addr_info(common::ip("127.0.0.9")),
        Err(Error::NoSuchPath)
    );
}

#[tokio::test]
async fn rfc6458_8_1_8_an_idle_association_closes_by_itself() {
    let (client, _server, _stacks) = sockets().await;
    let soon = Some(Duration::from_millis(1));
    if has_kernel() {
        client.options().set_autoclose(soon).unwrap();
    }
    let id = within(client.connect(at("127.0.0.1", 7))).await.unwrap();
    up(&client).await;
    let options = client.association(id).options();
    if !has_kernel() {
        options.set_autoclose(soon).unwrap();
    }
    assert_eq!(next_change(&client).await.state, AssociationState::ShutdownComplete);
    assert_eq!(options.autoclose(), Err(Error::NoSuchAssociation));
    assert_eq!(client.association(id).status(), Err(Error::NoSuchAssociation));
}

#[tokio::test]
async fn rfc8260_4_3_3_values_of_streams_are_kept() {
    let (client, _server, _stacks) = sockets().await;
    let id = within(client.connect(at("127.0.0.1", 7))).await.unwrap();
    let assoc = client.association(id);
    assoc.options().set_stream_scheduler(StreamScheduler::Priority).unwrap();
    assoc.set_stream_scheduler_value(StreamId(3), 8).unwrap();
    assert_eq!(assoc.stream_scheduler_value(StreamId(3)), Ok(8));
    assert_eq!(assoc.stream_scheduler_value(StreamId(2)), Ok(0));
    assert_eq!(
        assoc.set_stream_scheduler_value(StreamId(999), 1),
        Err(Error::InvalidStream)
    );
}

#[tokio::test]
async fn one_to_one_sockets_have_the_same_options() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listener = server.listener(7).unwrap();
    listener.options().set_max_burst(2).unwrap();
    listener.options().set_context(44).unwrap();
    let stream: SctpStream = within(builder(&client).connect(at("127.0.0.1", 7))).await.unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    assert_eq!(accepted.association().options().max_burst(), Ok(2));
    set_and_get(&stream.association().options());
    within(stream.send("hello", &SndInfo::new())).await.unwrap();
    let message = common::next(&accepted).await;
    assert_eq!(message.info.context, 44);

    let options = listener.options();
    listener.close();
    assert_eq!(options.max_burst(), Err(Error::Closed));
}

#[tokio::test]
async fn an_association_that_is_peeled_off_keeps_its_options() {
    let (client, server, _stacks) = sockets().await;
    let id = within(client.connect(at("127.0.0.1", 7))).await.unwrap();
    let accepted = up(&server).await;
    client.association(id).options().set_context(3).unwrap();
    let stream = client.peel_off(id).unwrap();
    assert_eq!(stream.association().options().context(), Ok(3));
    within(stream.send("hello", &SndInfo::new())).await.unwrap();
    assert_eq!(next_data(&server).await.info.assoc, accepted);
}

#[cfg(feature = "userland")]
#[tokio::test]
async fn rfc6458_8_1_2_the_life_of_cookies_is_a_matter_of_the_stack() {
    if common::on_kernel("it is about stacks") {
        return;
    }
    let (client, _server, stacks) = sockets().await;
    stacks[1].stack().set_valid_cookie_life(Duration::from_secs(5)).unwrap();
    assert!(stacks[1].stack().set_valid_cookie_life(Duration::ZERO).is_err());
    within(client.connect(at("127.0.0.1", 7))).await.unwrap();
}
