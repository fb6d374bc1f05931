//! Over an association of ours.

use std::time::Instant;

use bytes::Bytes;
use socketapi::{AssociationConfig, SctpStream, SndInfo, SocketBuilder};

use super::{Cores, Meter, Outcome, SIZE, ends};
use crate::pair::{LOOPBACK, Pair, SERVER, client_of, client_on, connect, listener, server_on};

/// Both ends block.
pub(crate) fn blocking(cores: Cores) -> Outcome {
    ends(
        cores,
        |told| {
            let stack = server_on(LOOPBACK).start_blocking().expect("a server stack");
            let listener = SocketBuilder::new().stack(&stack).listen_blocking(SERVER, 1);
            let listener = listener.expect("a listener");
            told.send(stack.udp_port()).expect("the client waits for it");
            let (stream, _) = listener.accept_blocking().expect("a connection");
            let info = SndInfo::new();
            while let Ok(Some(request)) = stream.recv_blocking() {
                if stream.send_blocking(request.payload, &info).is_err() {
                    break;
                }
            }
        },
        |udp_port| {
            let stack = client_on(LOOPBACK, udp_port).start_blocking().expect("a client stack");
            let stream = SocketBuilder::new().stack(&stack).connect_blocking(SERVER);
            let stream = stream.expect("a connection");
            let request = Bytes::from(vec![0x5a; SIZE]);
            let info = SndInfo::new();
            let mut meter = Meter::new();
            loop {
                let start = Instant::now();
                stream
                    .send_blocking(request.clone(), &info)
                    .expect("the association is up");
                let response = stream.recv_blocking().expect("data").expect("a response");
                assert_eq!(response.payload.len(), SIZE);
                if meter.count(start) {
                    break;
                }
            }
            stream.close_blocking().expect("closed in good order");
            meter.outcome()
        },
    )
}

/// Each end has a runtime with a thread of its own.
pub(crate) fn tasks_apart(cores: Cores) -> Outcome {
    ends(
        cores,
        |told| {
            let told = told.clone();
            on_this_thread(async move {
                let (stack, listener) = listener(AssociationConfig::default(), 1).await;
                told.send(stack.udp_port()).expect("the client waits for it");
                let (stream, _) = listener.accept().await.expect("a connection");
                answer(stream).await;
            });
        },
        |udp_port| {
            on_this_thread(async move {
                let stack = client_of(udp_port).await;
                ask(connect(&stack, AssociationConfig::default()).await).await
            })
        },
    )
}

/// Both ends are tasks of one runtime.
pub(crate) async fn tasks() -> Outcome {
    let (client, server) = Pair::start(AssociationConfig::default(), 1).await.open().await;
    let answering = tokio::spawn(answer(server));
    let outcome = ask(client).await;
    answering.await.expect("the server ends");
    outcome
}

/// Runs a task on a runtime of the thread that asks for it.
fn on_this_thread<T: Send + 'static>(end: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.expect("a runtime").block_on(async { tokio::spawn(end).await });
    ended.expect("the task ends")
}

/// Answers until the association ends.
async fn answer(stream: SctpStream) {
    let info = SndInfo::new();
    while let Ok(Some(request)) = stream.recv().await {
        if stream.send(request.payload, &info).await.is_err() {
            break;
        }
    }
}

async fn ask(stream: SctpStream) -> Outcome {
    let request = Bytes::from(vec![0x5a; SIZE]);
    let info = SndInfo::new();
    let mut meter = Meter::new();
    loop {
        let start = Instant::now();
        stream
            .send(request.clone(), &info)
            .await
            .expect("the association is up");
        let response = stream.recv().await.expect("data").expect("a response");
        assert_eq!(response.payload.len(), SIZE);
        if meter.count(start) {
            break;
        }
    }
    stream.close().await.expect("closed in good order");
    meter.outcome()
}
