//! Many threads and tasks on the sockets of few stacks: whoever drives when, everybody gets what is theirs.

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{LIMIT, ip};
use socketapi::{Backend, SctpListener, SctpStream, SndInfo, SocketBuilder, StackHandle};

/// How many associations each has, one after another.
const ROUNDS: usize = 12;
/// Round trips on each: enough that a caller gets to drive.
const TRIPS: usize = 40;

fn sockets(stack: &StackHandle) -> SocketBuilder {
    SocketBuilder::new().backend(Backend::Userland).stack(stack)
}

fn stacks(workers: u16) -> (StackHandle, StackHandle) {
    let builder = || {
        let builder = StackHandle::builder().addresses([ip("127.0.0.1")]);
        builder.udp_port(0).workers(workers)
    };
    let server = builder().start_blocking().unwrap();
    let client = builder().peer_udp_port(server.udp_port()).start_blocking().unwrap();
    (server, client)
}

/// Echoes until each association ends, by threads and by tasks in turn.
fn serve(listener: &SctpListener, runtime: &tokio::runtime::Handle, associations: usize) {
    for number in 0..associations {
        let (stream, _) = listener.accept_blocking().unwrap();
        if number % 3 == 0 {
            runtime.spawn(async move {
                while let Ok(Some(message)) = stream.recv().await {
                    if stream.send(message.payload, &SndInfo::new()).await.is_err() {
                        break;
                    }
                }
            });
        } else {
            thread::spawn(move || {
                while let Ok(Some(message)) = stream.recv_blocking() {
                    if stream.send_blocking(message.payload, &SndInfo::new()).is_err() {
                        break;
                    }
                }
            });
        }
    }
}

fn ask(stream: &SctpStream, size: usize) {
    for trip in 0..TRIPS {
        let question = vec![u8::try_from(trip).unwrap(); size];
        stream.send_blocking(question.clone(), &SndInfo::new()).unwrap();
        let mut answer = Vec::new();
        while answer.len() < size {
            answer.extend_from_slice(&stream.recv_blocking().unwrap().unwrap().payload);
        }
        assert_eq!(answer, question);
    }
}

/// Associations that end in several ways while a thread waits, or does not.
fn thread_of(client: &StackHandle, seed: usize) {
    for round in 0..ROUNDS {
        let stream = sockets(client).connect_blocking("127.0.0.1:7").unwrap();
        ask(&stream, [1, 1, 3000][(seed + round) % 3]);
        let other = stream.clone();
        match (seed + round) % 4 {
            0 => {
                let aborting = thread::spawn(move || other.abort("enough").unwrap());
                assert!(stream.recv_blocking().is_err());
                aborting.join().unwrap();
            }
            1 => {
                let closing = thread::spawn(move || other.shutdown().unwrap());
                assert_eq!(stream.recv_blocking().unwrap(), None);
                closing.join().unwrap();
            }
            2 => {
                // Two threads wait for one answer each.
                let waiting = thread::spawn(move || other.recv_blocking().unwrap().unwrap().payload);
                stream.send_blocking("a", &SndInfo::new()).unwrap();
                stream.send_blocking("b", &SndInfo::new()).unwrap();
                let one = stream.recv_blocking().unwrap().unwrap().payload;
                assert_ne!(waiting.join().unwrap(), one);
            }
            _ => stream.send_blocking("nobody waits for this", &SndInfo::new()).unwrap(),
        }
    }
}

/// Waits that are given up.
async fn task_of(client: StackHandle) {
    for _ in 0..ROUNDS {
        let stream = sockets(&client).connect("127.0.0.1:7").await.unwrap();
        for trip in 0..TRIPS {
            let waits = tokio::time::timeout(Duration::from_micros(trip as u64), stream.recv());
            assert!(waits.await.is_err(), "nothing was asked");
            stream.send(format!("{trip}"), &SndInfo::new()).await.unwrap();
            let answer = stream.recv().await.unwrap().unwrap();
            assert_eq!(answer.payload, format!("{trip}").as_bytes());
        }
    }
}

fn crowd(workers: u16, threads: usize, tasks: usize) {
    let (server, client) = stacks(workers);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = sockets(&server).listen_blocking("127.0.0.1:7", 64).unwrap();
    let (done, all_done) = mpsc::channel();
    let handle = runtime.handle().clone();
    thread::spawn(move || serve(&listener, &handle, ROUNDS * (threads + tasks)));
    for seed in 0..threads {
        let (client, done) = (client.clone(), done.clone());
        thread::spawn(move || {
            thread_of(&client, seed);
            done.send(()).unwrap();
        });
    }
    for _ in 0..tasks {
        let (client, done) = (client.clone(), done.clone());
        runtime.spawn(async move {
            task_of(client).await;
            done.send(()).unwrap();
        });
    }
    drop(done);
    for _ in 0..threads + tasks {
        all_done.recv_timeout(LIMIT).expect("one failed, or hangs");
    }
}

#[test]
fn threads_and_tasks_crowd_a_stack() {
    crowd(1, 6, 2);
}

#[test]
fn a_thread_and_a_task_share_a_stack() {
    crowd(1, 1, 1);
}

#[test]
fn two_threads_share_a_stack() {
    crowd(1, 2, 0);
}

#[test]
fn threads_and_tasks_crowd_the_workers_of_a_stack() {
    crowd(2, 4, 1);
}
