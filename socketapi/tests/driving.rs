//! Threads that wait to receive and drive their stack meanwhile: none is forgotten, and no stack is left alone.

mod common;

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use common::{at, hasty, ip};
use socketapi::{
    Backend, DeviceConfig, Error, MemoryNetwork, SctpListener, SctpSocket, SctpStream, SndInfo, SocketBuilder,
    StackBuilder, StackHandle,
};

/// So many round trips, and waits are known to be short.
const MANY: usize = 200;

fn stack_on(address: &str, set_up: impl FnOnce(StackBuilder) -> StackBuilder) -> StackHandle {
    let builder = StackHandle::builder().addresses([ip(address)]).udp_port(0);
    set_up(builder).start_blocking().unwrap()
}

/// A server, and a stack for its clients.
fn pair() -> (StackHandle, StackHandle) {
    let server = stack_on("127.0.0.1", |builder| builder);
    let port = server.udp_port();
    (server, stack_on("127.0.0.1", |builder| builder.peer_udp_port(port)))
}

fn sockets(stack: &StackHandle) -> SocketBuilder {
    SocketBuilder::new().backend(Backend::Userland).stack(stack)
}

fn listener(stack: &StackHandle) -> SctpListener {
    let listener = sockets(stack).listen_blocking("127.0.0.1:7", 16);
    listener.unwrap()
}

fn connect(stack: &StackHandle) -> SctpStream {
    sockets(stack).connect_blocking("127.0.0.1:7").unwrap()
}

/// Echoes on a thread for each association; the number of messages.
fn serve(listener: SctpListener, associations: usize) -> JoinHandle<usize> {
    thread::spawn(move || {
        let streams = (0..associations).map(|_| listener.accept_blocking().unwrap().0);
        let threads: Vec<_> = streams.map(|stream| thread::spawn(move || echo(&stream))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

fn echo(stream: &SctpStream) -> usize {
    let mut count = 0;
    while let Ok(Some(message)) = stream.recv_blocking() {
        count += 1;
        if stream.send_blocking(message.payload, &SndInfo::new()).is_err() {
            break;
        }
    }
    count
}

/// A stream, and a thread that echoes [`MANY`] messages at its other end and gives that back; their stacks.
fn echoed_stream() -> (SctpStream, JoinHandle<SctpStream>, (StackHandle, StackHandle)) {
    let (server, client) = pair();
    let listener = listener(&server);
    let stream = connect(&client);
    let (accepted, _) = listener.accept_blocking().unwrap();
    let echoing = thread::spawn(move || {
        for _ in 0..MANY {
            let message = accepted.recv_blocking().unwrap().unwrap();
            accepted.send_blocking(message.payload, &SndInfo::new()).unwrap();
        }
        accepted
    });
    (stream, echoing, (server, client))
}

fn ask(stream: &SctpStream, times: usize) {
    for number in 0..times {
        stream.send_blocking(format!("{number}"), &SndInfo::new()).unwrap();
        let answer = stream.recv_blocking().unwrap().unwrap();
        assert_eq!(answer.payload, format!("{number}").as_bytes());
    }
}

#[test]
fn threads_on_several_sockets_of_a_stack_all_get_what_is_theirs() {
    let (server, client) = pair();
    let serving = serve(listener(&server), 4);
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let stream = connect(&client);
            thread::spawn(move || ask(&stream, 5 * MANY))
        })
        .collect();
    for thread in asking {
        thread.join().unwrap();
    }
    assert_eq!(serving.join().unwrap(), 4 * 5 * MANY);
}

#[test]
fn one_to_many_sockets_and_streams_share_a_stack() {
    let (server, client) = pair();
    let serving = serve(listener(&server), 2);
    let stream = connect(&client);
    let many = thread::spawn(move || {
        let socket = sockets(&client).bind_blocking("127.0.0.1:0").unwrap();
        let assoc = socket.connect_blocking(at("127.0.0.1", 7)).unwrap();
        for number in 0..5 * MANY {
            let info = SndInfo::to(assoc);
            socket.send_blocking(format!("{number}"), &info).unwrap();
            assert_eq!(next_data(&socket), format!("{number}").as_bytes());
        }
    });
    ask(&stream, 5 * MANY);
    many.join().unwrap();
    drop(stream);
    assert_eq!(serving.join().unwrap(), 2 * 5 * MANY);
}

fn next_data(socket: &SctpSocket) -> bytes::Bytes {
    loop {
        if let Some(message) = socket.recv_blocking().unwrap().into_data() {
            return message.payload;
        }
    }
}

#[test]
fn one_end_may_rest_for_longer_than_a_tick() {
    let (server, client) = pair();
    let serving = serve(listener(&server), 1);
    let stream = connect(&client);
    for _ in 0..20 {
        ask(&stream, MANY / 4);
        // Nothing depends on it: the driver comes back at some time in between, or not.
        thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(stream);
    assert_eq!(serving.join().unwrap(), 5 * MANY);
}

#[test]
fn a_thread_that_waits_is_woken_by_what_others_do_to_its_socket() {
    let (stream, echoing, _stacks) = echoed_stream();
    let waiting = stream.clone();
    let (done, all_done) = mpsc::channel();
    let asking = thread::spawn(move || {
        ask(&waiting, MANY);
        done.send(()).unwrap();
        waiting.recv_blocking()
    });
    let accepted = echoing.join().unwrap();
    all_done.recv().unwrap();
    stream.abort("enough").unwrap();
    assert!(asking.join().unwrap().is_err());
    assert!(accepted.recv_blocking().is_err());
}

#[test]
fn a_thread_that_waits_sees_to_the_timers() {
    let network = MemoryNetwork::new();
    let start = |address| stack_on(address, |builder| builder.device(DeviceConfig::Memory(network.clone())));
    let (server, client) = (start("10.0.0.1"), start("10.0.0.2"));
    let peer = SocketAddr::new(ip("10.0.0.1"), 7);
    let builder = |stack| sockets(stack).association(hasty());
    let listener = builder(&server).listen_blocking(peer, 1).unwrap();
    let config = {
        let mut config = hasty();
        config.path_mut().set_remote_encapsulation_port(Some(server.udp_port()));
        config
    };
    let stream = sockets(&client).association(config).connect_blocking(peer).unwrap();
    let (accepted, _) = listener.accept_blocking().unwrap();
    let echoing = thread::spawn(move || echo(&accepted));
    ask(&stream, MANY);
    network.set_loss(1.0, 1);
    stream.association().options().set_association_max_retrans(3).unwrap();
    stream.send_blocking("into the void", &SndInfo::new()).unwrap();
    let lost = stream.recv_blocking();
    assert!(matches!(lost, Err(Error::AssociationLost(_))), "{lost:?}");
    drop((stream, listener));
    drop(echoing);
}

#[test]
fn a_stack_that_nobody_waits_on_any_more_goes_on() {
    let (stream, echoing, _stacks) = echoed_stream();
    ask(&stream, MANY);
    let accepted = echoing.join().unwrap();
    // The server's end does its part of the shutdown although no thread calls it.
    stream.close_blocking().unwrap();
    assert_eq!(accepted.recv_blocking().unwrap(), None);
}

#[test]
fn a_stack_ends_with_its_last_user() {
    let (server, client) = pair();
    let ports = [server.udp_port(), client.udp_port()];
    let serving = serve(listener(&server), 1);
    let stream = connect(&client);
    ask(&stream, MANY);
    drop((stream, client, server));
    assert_eq!(serving.join().unwrap(), MANY);
    let end = std::time::Instant::now() + common::LIMIT;
    for port in ports {
        let again = || StackHandle::builder().addresses([ip("127.0.0.1")]).udp_port(port);
        while again().start_blocking().is_err() {
            assert!(std::time::Instant::now() < end, "the UDP port is still taken");
            thread::yield_now();
        }
    }
}

#[test]
fn tasks_and_threads_share_a_stack() {
    let (server, client) = pair();
    let serving = serve(listener(&server), 2);
    let (blocking, awaiting) = (connect(&client), connect(&client));
    let asking = thread::spawn(move || ask(&blocking, 5 * MANY));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for number in 0..5 * MANY {
            awaiting.send(format!("{number}"), &SndInfo::new()).await.unwrap();
            let answer = common::next(&awaiting).await;
            assert_eq!(answer.payload, format!("{number}").as_bytes());
        }
    });
    asking.join().unwrap();
    drop(awaiting);
    assert_eq!(serving.join().unwrap(), 2 * 5 * MANY);
}

#[test]
fn a_thread_drives_a_stack_that_lives_on_a_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (server, client) = runtime.block_on(async {
        let builder = || StackHandle::builder().addresses([ip("127.0.0.1")]).udp_port(0);
        let server = builder().start().await.unwrap();
        let client = builder().peer_udp_port(server.udp_port());
        (server, client.start().await.unwrap())
    });
    let serving = serve(listener(&server), 1);
    let stream = connect(&client);
    ask(&stream, MANY);
    drop(runtime);
    ask(&stream, MANY);
    drop(stream);
    assert_eq!(serving.join().unwrap(), 2 * MANY);
}

#[test]
fn threads_drive_the_workers_of_a_stack() {
    let server = stack_on("127.0.0.1", |builder| builder.workers(2));
    let port = server.udp_port();
    let client = stack_on("127.0.0.1", |builder| builder.peer_udp_port(port).workers(2));
    let serving = serve(listener(&server), 3);
    let asking: Vec<_> = (0..3)
        .map(|_| {
            let stream = connect(&client);
            thread::spawn(move || ask(&stream, 2 * MANY))
        })
        .collect();
    for thread in asking {
        thread.join().unwrap();
    }
    assert_eq!(serving.join().unwrap(), 3 * 2 * MANY);
}
