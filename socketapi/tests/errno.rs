//! The error numbers of sockets: what programs get is what a Linux kernel gives. The guest with kernel SCTP runs this
//! on kernel sockets, and compares it with what system calls say there that go past this library: for each row,
//! `guest/programs/errors.py` has a function of the same name.

mod common;

use std::time::Duration;

use common::{
    Pair, at, builder, impatient, ip, next_change, pattern, stack, stack_towards, stack_towards_silence, within,
};
use socketapi::{
    AssociationConfig, AssociationState, ChunkType, ConnectOptions, DelayedSack, Error, HmacId, ReconfigRequests,
    Result, RtoInfo, SctpListener, SctpStream, SharedKeyId, SndInfo, StreamDirections, StreamId,
};

/// The table. Where the kernel has another number, that is there with the reason for ours.
macro_rules! numbers {
    ($($name:ident: $errno:ident $(, not $kernel:ident, as $why:literal)? => $provoke:block)*) => {$(
        #[tokio::test]
        async fn $name() {
            let error: Error = async $provoke.await;
            let other: Option<(i32, &str)> = None$(.or(Some((libc::$kernel, $why))))?;
            compare(stringify!($name), &error, libc::$errno, other);
        }
    )*};
}

/// Says the number of an error, and that of the kernel, and checks the first.
fn compare(name: &str, error: &Error, expected: i32, other: Option<(i32, &str)>) {
    let (kernel, why) = other.unwrap_or((expected, ""));
    println!("errno {name} {} {kernel} {why}", error.errno());
    assert_eq!(error.errno(), expected, "{error:?}");
}

fn refused<T>(outcome: Result<T>) -> Error {
    outcome.map(drop).unwrap_err()
}

async fn failed<T>(outcome: impl Future<Output = Result<T>>) -> Error {
    refused(within(outcome).await)
}

fn usual() -> AssociationConfig {
    AssociationConfig::default()
}

/// A stream, the one it is connected to, and what keeps both.
async fn streams() -> (SctpStream, SctpStream, impl Sized) {
    let own = stack(&["127.0.0.1"]).await;
    let other = stack_towards(&["127.0.0.1"], &own).await;
    let listener: SctpListener = own.listener(7).unwrap();
    let here = within(builder(&other).connect("127.0.0.1:7")).await.unwrap();
    let (there, _) = within(listener.accept()).await.unwrap();
    (here, there, (listener, own, other))
}

/// A pair whose association has ended.
async fn ended() -> Pair {
    let pair = Pair::usual().await;
    pair.client.shutdown(pair.names[0]).unwrap();
    while next_change(&pair.client).await.state != AssociationState::ShutdownComplete {}
    pair
}

/// A pair whose chunks can be authenticated.
async fn authenticated() -> Pair {
    let mut config = usual();
    config.auth_mut().require(ChunkType::DATA).unwrap();
    Pair::new(config.clone(), config).await
}

/// A pair that can be re-configured by both.
async fn reconfigurable() -> Pair {
    let mut config = usual();
    config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    Pair::new(config.clone(), config).await
}

numbers! {
    bind_port_in_use: EADDRINUSE => {
        let host = stack(&["127.0.0.1"]).await;
        let _kept = host.socket(5000).unwrap();
        refused(host.socket(5000))
    }
    listen_port_in_use: EADDRINUSE => {
        let host = stack(&["127.0.0.1"]).await;
        let _kept = host.listener(5000).unwrap();
        refused(host.listener(5000))
    }
    bind_beside_who_shares_the_port: EADDRINUSE => {
        let host = stack(&["127.0.0.1"]).await;
        let _kept = builder(&host).reuse_port(true).listen("127.0.0.1:5000", 1).await.unwrap();
        refused(host.socket(5000))
    }
    share_the_port_of_many: EOPNOTSUPP => {
        let host = stack(&["127.0.0.1"]).await;
        failed(builder(&host).reuse_port(true).bind("127.0.0.1:5000")).await
    }
    bind_address_of_another_host: EADDRNOTAVAIL => {
        let host = stack(&["127.0.0.1"]).await;
        failed(builder(&host).bind("192.0.2.1:0")).await
    }
    connect_where_nobody_listens: ECONNREFUSED => {
        let own = stack(&["127.0.0.1"]).await;
        let other = stack_towards(&["127.0.0.1"], &own).await;
        failed(builder(&other).connect("127.0.0.1:9")).await
    }
    connect_many_where_nobody_listens: ECONNREFUSED => {
        let own = stack(&["127.0.0.1"]).await;
        let other = stack_towards(&["127.0.0.1"], &own).await;
        failed(other.socket(0).unwrap().connect(at("127.0.0.1", 9))).await
    }
    connect_where_nobody_answers: ETIMEDOUT => {
        let (host, peer, _silence) = stack_towards_silence().await;
        failed(builder(&host).association(impatient()).connect(peer)).await
    }
    connect_many_where_nobody_answers: ETIMEDOUT => {
        let (host, peer, _silence) = stack_towards_silence().await;
        let socket = builder(&host).association(impatient()).bind(host.any_port()).await.unwrap();
        failed(socket.connect(peer)).await
    }
    connect_to_a_connected_peer: EISCONN => {
        let pair = Pair::usual().await;
        refused(pair.client.try_connect(at("127.0.0.1", 7)))
    }
    connect_to_the_peer_of_a_peeled_off_association: EADDRNOTAVAIL => {
        let pair = Pair::usual().await;
        let _kept = pair.client.peel_off(pair.names[0]).unwrap();
        refused(pair.client.try_connect(at("127.0.0.1", 7)))
    }
    connect_to_the_peer_of_who_shares_the_port: EADDRNOTAVAIL => {
        let own = stack(&["127.0.0.1"]).await;
        let other = stack_towards(&["127.0.0.1"], &own).await;
        let _listener = own.listener(7).unwrap();
        let sharing = || builder(&other).reuse_port(true).local(&[at("127.0.0.1", 9)]);
        let _kept = within(sharing().connect("127.0.0.1:7")).await.unwrap();
        failed(sharing().connect("127.0.0.1:7")).await
    }
    connect_to_a_peer_that_is_being_connected: EALREADY => {
        let (host, peer, _silence) = stack_towards_silence().await;
        let socket = host.socket(0).unwrap();
        socket.try_connect(peer).unwrap();
        refused(socket.try_connect(peer))
    }
    connect_to_port_zero: EINVAL, not ECONNREFUSED, as "RFC 9260 §3.1: the port number 0 must not be used" => {
        let host = stack(&["127.0.0.1"]).await;
        refused(host.socket(0).unwrap().try_connect(at("127.0.0.1", 0)))
    }
    connect_to_the_wildcard: EINVAL => {
        let host = stack(&["127.0.0.1"]).await;
        refused(host.socket(0).unwrap().try_connect(at("0.0.0.0", 7)))
    }
    connect_to_a_multicast_group: EINVAL => {
        let host = stack(&["127.0.0.1"]).await;
        refused(host.socket(0).unwrap().try_connect(at("224.0.0.1", 7)))
    }
    connect_to_another_family: EINVAL => {
        let host = stack(&["127.0.0.1"]).await;
        refused(host.socket(0).unwrap().try_connect(at("::1", 7)))
    }
    connect_to_several_ports: EINVAL => {
        let host = stack(&["127.0.0.1"]).await;
        let peer = [at("127.0.0.1", 7), at("127.0.0.2", 8)];
        refused(host.socket(0).unwrap().open(&peer, ConnectOptions::default()))
    }
    send_more_than_the_buffer_holds: EMSGSIZE => {
        let mut small = usual();
        small.set_send_buffer(5_000).unwrap();
        let pair = Pair::new(small, usual()).await;
        refused(pair.client.try_send(pattern(200_000), &pair.to()))
    }
    send_more_than_a_packet_holds: EMSGSIZE => {
        let mut whole = usual();
        whole.sending_mut().set_fragmentation_disabled(true);
        let pair = Pair::new(whole, usual()).await;
        refused(pair.client.try_send(pattern(100_000), &pair.to()))
    }
    send_on_no_such_stream: EINVAL => {
        let pair = Pair::usual().await;
        refused(pair.client.try_send("x", &pair.to().on_stream(5_000)))
    }
    send_nothing: EINVAL => {
        let pair = Pair::usual().await;
        refused(pair.client.try_send("", &pair.to()))
    }
    send_with_no_such_key: EINVAL => {
        let pair = authenticated().await;
        refused(pair.client.try_send("x", &pair.to().with_auth_key(SharedKeyId(9))))
    }
    send_while_the_buffer_is_full: EAGAIN => {
        let pair = Pair::usual().await;
        loop {
            if let Err(error) = pair.client.try_send(pattern(1_000), &pair.to()) {
                break error;
            }
        }
    }
    send_to_nobody: EPIPE => {
        let host = stack(&["127.0.0.1"]).await;
        refused(host.socket(0).unwrap().try_send("x", &SndInfo::new()))
    }
    send_to_somebody_else_from_a_stream: EADDRNOTAVAIL => {
        let (here, _there, _kept) = streams().await;
        refused(here.try_send("x", &SndInfo::to_address(at("127.0.0.9", 9))))
    }
    send_on_an_ended_association: EPIPE => {
        let pair = ended().await;
        refused(pair.client.try_send("x", &pair.to()))
    }
    send_after_a_shutdown: EPIPE => {
        let (here, _there, _kept) = streams().await;
        here.shutdown().unwrap();
        refused(here.try_send("x", &SndInfo::new()))
    }
    send_behind_an_eof: EPIPE, not ESHUTDOWN, as "EPIPE is what one-to-one sockets have for the same" => {
        let mut narrow = usual();
        narrow.set_receive_buffer(1_500).unwrap();
        let pair = Pair::new(usual(), narrow).await;
        // What the server does not receive holds the shutdown up.
        pair.send(pattern(50_000), pair.to()).await;
        pair.send("", pair.to().eof()).await;
        refused(pair.client.try_send("x", &pair.to()))
    }
    send_after_the_peer_has_shut_down: EPIPE => {
        let (here, there, _kept) = streams().await;
        there.shutdown().unwrap();
        assert_eq!(within(here.recv()).await, Ok(None));
        refused(here.try_send("x", &SndInfo::new()))
    }
    // The kernel has it once, and `EPIPE` from then on.
    send_after_an_abort_of_the_peer: ECONNRESET => {
        let (here, there, _kept) = streams().await;
        there.abort("").unwrap();
        failed(here.recv()).await;
        refused(here.try_send("x", &SndInfo::new()))
    }
    receive_after_an_abort_of_the_peer: ECONNRESET => {
        let (here, there, _kept) = streams().await;
        there.abort("").unwrap();
        failed(here.recv()).await
    }
    receive_when_nothing_is_there: EAGAIN => {
        let (here, _there, _kept) = streams().await;
        refused(here.try_recv())
    }
    receive_when_nothing_is_there_many: EAGAIN => {
        let host = stack(&["127.0.0.1"]).await;
        refused(host.socket(0).unwrap().try_recv())
    }
    accept_when_nobody_is_there: EAGAIN => {
        let host = stack(&["127.0.0.1"]).await;
        refused(host.listener(0).unwrap().try_accept())
    }
    abort_nobody: EINVAL => {
        let host = stack(&["127.0.0.1"]).await;
        let info = SndInfo::to_address(at("127.0.0.1", 9)).abort();
        refused(host.socket(0).unwrap().try_send("", &info))
    }
    shut_down_nobody: EINVAL => {
        let host = stack(&["127.0.0.1"]).await;
        let info = SndInfo::to_address(at("127.0.0.1", 9)).eof();
        refused(host.socket(0).unwrap().try_send("", &info))
    }
    shut_down_an_ended_association: EPIPE => {
        let pair = ended().await;
        refused(pair.client.shutdown(pair.names[0]))
    }
    abort_an_ended_association: EPIPE => {
        let pair = ended().await;
        refused(pair.client.abort(pair.names[0], ""))
    }
    peel_off_an_ended_association: EINVAL => {
        let pair = ended().await;
        refused(pair.client.peel_off(pair.names[0]))
    }
    peel_off_twice: EINVAL => {
        let pair = Pair::usual().await;
        let _kept = pair.client.peel_off(pair.names[0]).unwrap();
        refused(pair.client.peel_off(pair.names[0]))
    }
    status_of_an_ended_association: EINVAL => {
        let pair = ended().await;
        refused(pair.client.status(pair.names[0]))
    }
    option_of_an_ended_association: EINVAL => {
        let pair = ended().await;
        refused(pair.client.association(pair.names[0]).options().rto_info())
    }
    set_option_of_an_ended_association: EINVAL => {
        let pair = ended().await;
        let rto = pair.client.options().rto_info().unwrap();
        refused(pair.client.association(pair.names[0]).options().set_rto_info(rto))
    }
    rto_bounds_out_of_order: EINVAL => {
        let host = stack(&["127.0.0.1"]).await;
        let ms = Duration::from_millis;
        let rto = RtoInfo { initial: ms(100), min: ms(200), max: ms(50) };
        refused(host.socket(0).unwrap().options().set_rto_info(rto))
    }
    sack_delay_too_long: EINVAL => {
        let host = stack(&["127.0.0.1"]).await;
        let sack = DelayedSack { delay: Duration::from_millis(501), frequency: 2 };
        refused(host.socket(0).unwrap().options().set_delayed_sack(sack))
    }
    fragments_too_small: EINVAL => {
        let host = stack(&["127.0.0.1"]).await;
        refused(host.socket(0).unwrap().options().set_maxseg(Some(1)))
    }
    primary_address_of_another_host: EINVAL => {
        let pair = Pair::usual().await;
        refused(pair.client.set_primary(pair.names[0], ip("127.0.0.9")))
    }
    heartbeat_to_another_host: EINVAL => {
        let pair = Pair::usual().await;
        refused(pair.client.request_heartbeat(pair.names[0], ip("127.0.0.9")))
    }
    path_settings_of_another_host: EINVAL => {
        let pair = Pair::usual().await;
        let options = pair.client.association(pair.names[0]).options();
        refused(options.peer_addr_params(Some(ip("127.0.0.9"))))
    }
    primary_address_of_ours_that_was_not_negotiated: EPERM => {
        let pair = Pair::usual().await;
        refused(pair.client.association(pair.names[0]).set_peer_primary_addr(ip("127.0.0.1")))
    }
    bindx_address_of_another_host: EADDRNOTAVAIL => {
        let host = stack(&["127.0.0.1"]).await;
        refused(host.socket(0).unwrap().bindx_add(ip("192.0.2.1")))
    }
    bindx_to_a_socket_of_all_addresses: EINVAL => {
        let host = stack(&[]).await;
        refused(host.socket(0).unwrap().bindx_add(ip("127.0.0.1")))
    }
    bindx_an_address_twice: EINVAL => {
        let host = stack(&["127.0.0.1"]).await;
        let socket = builder(&host).bind("127.0.0.1:0").await.unwrap();
        refused(socket.bindx_add(ip("127.0.0.1")))
    }
    // RFC 6458 §9.1 has EINVAL here.
    bindx_remove_the_last_address: EBUSY => {
        let host = stack(&["127.0.0.1"]).await;
        let socket = builder(&host).bind("127.0.0.1:0").await.unwrap();
        refused(socket.bindx_remove(ip("127.0.0.1")))
    }
    bindx_remove_what_is_not_there: EINVAL => {
        let host = stack(&["127.0.0.1", "127.0.0.2"]).await;
        let socket = builder(&host).bind(&[at("127.0.0.1", 0), at("127.0.0.2", 0)][..]).await.unwrap();
        refused(socket.bindx_remove(ip("127.0.0.3")))
    }
    keys_without_authentication: EACCES => {
        let host = stack(&["127.0.0.1"]).await;
        refused(host.socket(0).unwrap().options().set_auth_key(SharedKeyId(1), b"key"))
    }
    authenticated_init: EINVAL => {
        let mut config = usual();
        config.auth_mut().set_enabled(true);
        let host = stack(&["127.0.0.1"]).await;
        let socket = builder(&host).association(config).bind("127.0.0.1:0").await.unwrap();
        refused(socket.options().auth_chunk(ChunkType::INIT))
    }
    hmacs_without_sha1: EINVAL => {
        let mut config = usual();
        config.auth_mut().set_enabled(true);
        let host = stack(&["127.0.0.1"]).await;
        let socket = builder(&host).association(config).bind("127.0.0.1:0").await.unwrap();
        refused(socket.options().set_hmac_ident(&[HmacId::SHA256]))
    }
    activate_no_such_key: EINVAL => {
        let pair = authenticated().await;
        refused(pair.client.association(pair.names[0]).options().set_auth_active_key(SharedKeyId(9)))
    }
    deactivate_the_active_key: EINVAL => {
        let pair = authenticated().await;
        refused(pair.client.association(pair.names[0]).options().auth_deactivate_key(SharedKeyId(0)))
    }
    delete_the_active_key: EINVAL => {
        let pair = authenticated().await;
        refused(pair.client.association(pair.names[0]).options().auth_delete_key(SharedKeyId(0)))
    }
    delete_no_such_key: EINVAL => {
        let pair = authenticated().await;
        refused(pair.client.association(pair.names[0]).options().auth_delete_key(SharedKeyId(9)))
    }
    reset_streams_that_was_not_negotiated: ENOPROTOOPT => {
        let mut without = usual();
        without.reconfig_mut().set_offered(false);
        let pair = Pair::new(without, usual()).await;
        refused(pair.client.association(pair.names[0]).reset_streams(StreamDirections::Outgoing, &[]))
    }
    reset_no_such_stream: EINVAL => {
        let pair = reconfigurable().await;
        let streams = [StreamId(5_000)];
        refused(pair.client.association(pair.names[0]).reset_streams(StreamDirections::Outgoing, &streams))
    }
    add_no_streams: EINVAL => {
        let pair = reconfigurable().await;
        refused(pair.client.association(pair.names[0]).add_streams(0, 0))
    }
    add_too_many_streams: EINVAL => {
        let pair = reconfigurable().await;
        refused(pair.client.association(pair.names[0]).add_streams(65_535, 0))
    }
    value_of_no_such_stream: EINVAL => {
        let pair = Pair::usual().await;
        refused(pair.client.association(pair.names[0]).set_stream_scheduler_value(StreamId(5_000), 1))
    }
    abandoned_messages_of_no_such_stream: EINVAL => {
        let pair = Pair::usual().await;
        refused(pair.client.association(pair.names[0]).pr_stream_status(StreamId(5_000), None))
    }
    receive_on_a_closed_socket: EBADF => {
        let host = stack(&["127.0.0.1"]).await;
        let socket = host.socket(0).unwrap();
        within(socket.close()).await.unwrap();
        refused(socket.try_recv())
    }
}
