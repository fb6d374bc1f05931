//! Full buffers: nothing is lost, nobody sleeps for ever, and futures may be dropped at any point.

mod common;

use std::time::Duration;

use common::{Host, at, builder, has_kernel, next, next_data, stack, stack_towards, within};
use socketapi::{AssociationConfig, Error, SctpStream, SndInfo};

fn small_buffers() -> AssociationConfig {
    let mut config = AssociationConfig::default();
    config.set_send_buffer(8192).unwrap();
    config.set_receive_buffer(8192).unwrap();
    config
}

async fn pair(config: AssociationConfig) -> (SctpStream, SctpStream, [Host; 2]) {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listener = builder(&server)
        .association(config.clone())
        .listen("127.0.0.1:7", 5)
        .await
        .unwrap();
    let opened = within(builder(&client).association(config).connect(at("127.0.0.1", 7)))
        .await
        .unwrap();
    let (accepted, _) = within(listener.accept()).await.unwrap();
    (opened, accepted, [client, server])
}

/// A message of 1000 bytes that begins with its number.
fn numbered(number: u32) -> Vec<u8> {
    let mut payload = vec![0; 1000];
    payload[..4].copy_from_slice(&number.to_be_bytes());
    payload
}

/// Sends until the buffers of both ends are full.
async fn fill(stream: &SctpStream) -> u32 {
    let mut number: u32 = 0;
    let mut refused_in_a_row = 0;
    while refused_in_a_row < 50 {
        match stream.try_send(numbered(number), &SndInfo::new()) {
            Ok(()) => (number, refused_in_a_row) = (number + 1, 0),
            Err(Error::WouldBlock) => {
                refused_in_a_row += 1;
                tokio::task::yield_now().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    number
}

#[tokio::test]
async fn a_full_send_buffer_refuses_and_then_takes_more() {
    let (opened, accepted, _stacks) = pair(small_buffers()).await;
    let sent = fill(&opened).await;
    assert!(sent >= 8, "{sent} messages");
    let waiting = tokio::spawn({
        let opened = opened.clone();
        async move { opened.send("at last", &SndInfo::new()).await }
    });
    for number in 0..sent {
        assert_eq!(next(&accepted).await.payload[..4], number.to_be_bytes());
    }
    assert_eq!(next(&accepted).await.payload, "at last");
    within(waiting).await.unwrap().unwrap();
}

/// Several senders and a slow receiver, in lockstep with nothing: every message arrives.
async fn many_senders(config: AssociationConfig) {
    const SENDERS: usize = 8;
    // The kernel opens a small window again only after a fifth of a second.
    let each = if has_kernel() { 40 } else { 300 };
    let (opened, accepted, _stacks) = pair(config).await;
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let opened = opened.clone();
        senders.push(tokio::spawn(async move {
            for number in 0..each {
                let info = SndInfo::new().on_stream(u16::try_from(sender).unwrap());
                opened.send(format!("{number:0>700}"), &info).await.unwrap();
            }
        }));
    }
    let mut expected = [0; SENDERS];
    for _ in 0..SENDERS * each {
        let message = next(&accepted).await;
        let count = &mut expected[usize::from(message.info.stream.0)];
        assert_eq!(message.payload, format!("{count:0>700}").as_bytes());
        *count += 1;
    }
    for sender in senders {
        within(sender).await.unwrap();
    }
}

#[tokio::test]
async fn no_wake_up_is_lost_on_one_thread() {
    many_senders(small_buffers()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_on_many_threads() {
    many_senders(small_buffers()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_receivers_share_the_messages_of_a_socket() {
    const COUNT: usize = 2000;
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listening = server.socket(7).unwrap();
    listening.listen(5).unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..4 {
        let (listening, tell) = (listening.clone(), tell.clone());
        tokio::spawn(async move {
            while let Ok(received) = listening.recv().await {
                if let Some(message) = received.into_data() {
                    let number: usize = String::from_utf8(message.payload.to_vec()).unwrap().parse().unwrap();
                    let _ = tell.send(number);
                }
            }
        });
    }
    let socket = client.socket(0).unwrap();
    let assoc = within(socket.connect(at("127.0.0.1", 7))).await.unwrap();
    for number in 0..COUNT {
        within(socket.send(number.to_string(), &SndInfo::to(assoc)))
            .await
            .unwrap();
    }
    let mut seen = vec![false; COUNT];
    for _ in 0..COUNT {
        seen[within(told.recv()).await.unwrap()] = true;
    }
    assert!(seen.iter().all(|seen| *seen));
}

#[tokio::test]
async fn a_dropped_receive_takes_nothing() {
    let (opened, accepted, _stacks) = pair(AssociationConfig::default()).await;
    for number in 0..200_u32 {
        // Sometimes polled before the message is there, sometimes after.
        for _ in 0..number % 3 {
            let _ = tokio::time::timeout(Duration::ZERO, async {
                let ready = accepted.recv();
                tokio::pin!(ready);
                std::future::poll_fn(|cx| {
                    // Polled, and never asked for its outcome unless it has one to lose.
                    if number % 2 == 0 {
                        std::task::Poll::Pending
                    } else {
                        ready.as_mut().poll(cx).map(|_| ())
                    }
                })
                .await;
                panic!("nothing was sent yet");
            })
            .await;
        }
        within(opened.send(number.to_be_bytes().to_vec(), &SndInfo::new()))
            .await
            .unwrap();
        assert_eq!(next(&accepted).await.payload, number.to_be_bytes().as_slice());
    }
}

#[tokio::test]
async fn a_dropped_send_sends_nothing() {
    let (opened, accepted, _stacks) = pair(small_buffers()).await;
    let mut sent = fill(&opened).await;
    // What is acknowledged late makes room again, so several sends may have to be tried until one waits in vain.
    loop {
        let info = SndInfo::new();
        let sending = opened.send(numbered(sent), &info);
        match tokio::time::timeout(Duration::from_millis(1), sending).await {
            Ok(taken) => taken.unwrap(),
            Err(_dropped) => break,
        }
        sent += 1;
        assert!(sent < 1000, "it never waits");
    }
    for number in 0..sent {
        assert_eq!(next(&accepted).await.payload[..4], number.to_be_bytes());
    }
    within(opened.send("next", &SndInfo::new())).await.unwrap();
    assert_eq!(next(&accepted).await.payload, "next");
}

#[tokio::test]
async fn a_dropped_connect_goes_on_for_a_one_to_many_socket() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listening = server.socket(7).unwrap();
    listening.listen(5).unwrap();
    let socket = client.socket(0).unwrap();
    {
        let connecting = socket.connect(at("127.0.0.1", 7));
        tokio::pin!(connecting);
        std::future::poll_fn(|cx| {
            let _ = connecting.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
    }
    let assoc = common::up(&socket).await;
    within(socket.send("up anyway", &SndInfo::to(assoc))).await.unwrap();
    assert_eq!(next_data(&listening).await.payload, "up anyway");
}

#[tokio::test]
async fn a_dropped_connect_leaves_nothing_of_a_stream() {
    let server = stack(&["127.0.0.1"]).await;
    let client = stack_towards(&["127.0.0.1"], &server).await;
    let listener = server.listener(7).unwrap();
    if has_kernel() {
        // It takes no second association from a port whose first was not accepted, though it has ended.
        let accepting = listener.clone();
        tokio::spawn(async move { while accepting.accept().await.is_ok() {} });
    }
    for _ in 0..if has_kernel() { 4 } else { 20 } {
        let connecting = builder(&client)
            .local(&[at("127.0.0.1", 4000)])
            .connect(at("127.0.0.1", 7));
        let dropped = tokio::time::timeout(Duration::ZERO, connecting).await;
        drop(dropped);
        // Its port can be had again, at once if it was not up yet, else after its shutdown.
        within(async {
            loop {
                match builder(&client).bind("127.0.0.1:4000").await {
                    Ok(socket) => break drop(socket),
                    Err(Error::PortInUse) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
    }
    drop(listener);
}

#[tokio::test]
async fn closing_ends_the_waits_of_other_handles() {
    let stack = stack(&["127.0.0.1"]).await;
    let socket = stack.socket(7).unwrap();
    let waiting = tokio::spawn({
        let socket = socket.clone();
        async move { socket.recv().await }
    });
    let listener = stack.listener(8).unwrap();
    let accepting = tokio::spawn({
        let listener = listener.clone();
        async move { listener.accept().await.map(drop) }
    });
    tokio::task::yield_now().await;
    within(socket.close()).await.unwrap();
    listener.close();
    assert_eq!(within(waiting).await.unwrap(), Err(Error::Closed));
    assert_eq!(within(accepting).await.unwrap(), Err(Error::Closed));
    assert!(stack.socket(7).is_ok());
}
