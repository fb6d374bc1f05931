//! The blocking forms on plain threads, and stacks across runtimes.

mod common;

use std::net::SocketAddr;
use std::thread;

use common::{Host, at, builder, stack_blocking};
use socketapi::{Received, SctpListener, SctpStream, SndInfo};

fn stack() -> Host {
    stack_blocking(&["127.0.0.1"])
}

fn echo_thread(listener: SctpListener) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        let (stream, _) = listener.accept_blocking().unwrap();
        let mut count = 0;
        while let Some(message) = stream.recv_blocking().unwrap() {
            // The peer may have shut down already.
            let _ = stream.send_blocking(message.payload, &message.info.reply());
            count += 1;
        }
        count
    })
}

#[test]
fn streams_work_without_a_runtime() {
    let stack = stack();
    let echo = echo_thread(stack.listener(7).unwrap());
    let stream = builder(&stack).connect_blocking("127.0.0.1:7").unwrap();
    for number in 0..500 {
        stream.send_blocking(format!("{number}"), &SndInfo::new()).unwrap();
    }
    for number in 0..500 {
        assert_eq!(
            stream.recv_blocking().unwrap().unwrap().payload,
            format!("{number}").as_bytes()
        );
    }
    stream.shutdown().unwrap();
    assert_eq!(stream.recv_blocking().unwrap(), None);
    assert_eq!(echo.join().unwrap(), 500);
    stream.close_blocking().unwrap();
    #[cfg(feature = "userland")]
    if !common::has_kernel() {
        let limit = std::time::Duration::from_secs(20);
        stack.stack().shutdown_graceful_blocking(limit).unwrap();
    }
}

#[test]
fn one_to_many_sockets_work_without_a_runtime() {
    let stack = stack();
    let server = stack.socket(7).unwrap();
    server.listen(5).unwrap();
    let serving = thread::spawn(move || {
        loop {
            if let Received::Data { payload, info } = server.recv_blocking().unwrap() {
                server.send_blocking(payload, &info.reply()).unwrap();
                server.close_blocking().unwrap();
                return;
            }
        }
    });
    let socket = stack.socket(0).unwrap();
    let assoc = socket.connect_blocking(at("127.0.0.1", 7)).unwrap();
    socket.send_blocking("threads", &SndInfo::to(assoc)).unwrap();
    loop {
        if let Some(message) = socket.recv_blocking().unwrap().into_data() {
            assert_eq!(message.payload, "threads");
            break;
        }
    }
    serving.join().unwrap();
}

#[test]
fn sockets_without_a_stack_share_one_on_a_thread() {
    let own = common::own_address();
    let listener = SctpListener::bind_blocking((own, 7)).unwrap();
    let local: SocketAddr = listener.local_addr().unwrap();
    assert_eq!(local, SocketAddr::new(own, 7));
    let echo = echo_thread(listener);
    let stream = SctpStream::builder()
        .local(&[SocketAddr::new(own, 0)])
        .connect_blocking(local)
        .unwrap();
    stream.send_blocking("shared", &SndInfo::new()).unwrap();
    assert_eq!(stream.recv_blocking().unwrap().unwrap().payload, "shared");
    drop(stream);
    assert_eq!(echo.join().unwrap(), 1);
}

#[test]
fn sockets_survive_the_runtime_they_were_made_on() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (stack, stream, echo) = runtime.block_on(async {
        let stack = common::stack(&["127.0.0.1"]).await;
        let listener = stack.listener(7).unwrap();
        let stream = common::within(builder(&stack).connect(at("127.0.0.1", 7)))
            .await
            .unwrap();
        (stack, stream, echo_thread(listener))
    });
    drop(runtime);
    stream.send_blocking("still running", &SndInfo::new()).unwrap();
    assert_eq!(stream.recv_blocking().unwrap().unwrap().payload, "still running");
    stream.close_blocking().unwrap();
    assert_eq!(echo.join().unwrap(), 1);
    drop(stack);
}

#[cfg(feature = "userland")]
#[test]
fn a_udp_port_is_free_once_its_stack_is_gone() {
    if common::on_kernel("it is about stacks") {
        return;
    }
    let stack = stack();
    let port = stack.stack().udp_port();
    let listener = stack.listener(7).unwrap();
    let echo = echo_thread(listener);
    let stream = builder(&stack).connect_blocking("127.0.0.1:7").unwrap();
    stream.send_blocking("bye", &SndInfo::new()).unwrap();
    drop((stream, stack));
    assert_eq!(echo.join().unwrap(), 1);
    // The last associations end in the background; nobody holds the port for ever.
    let end = std::time::Instant::now() + common::LIMIT;
    while socketapi::StackHandle::builder()
        .addresses([common::ip("127.0.0.1")])
        .udp_port(port)
        .start_blocking()
        .is_err()
    {
        assert!(std::time::Instant::now() < end, "the UDP port is still taken");
        thread::yield_now();
    }
}
