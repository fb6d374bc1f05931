//! Associations that are set up and closed, without data.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use socketapi::{AssociationConfig, SocketBuilder};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cpu;
use crate::pair::{LOOPBACK, Pair, client_of};

/// Associations of a run.
const COUNT: usize = 4000;
/// How many are under way at a time.
const AT_A_TIME: usize = 32;
/// How long associations with a server of others are set up and closed.
const WITH_SERVER: Duration = Duration::from_millis(1500);

/// Associations in a second of processor time, both ends together.
pub(crate) async fn sctp() -> f64 {
    let pair = Arc::new(Pair::start(AssociationConfig::default(), AT_A_TIME * 2).await);
    let server = Arc::clone(&pair);
    let serving = tokio::spawn(async move {
        let mut closing = JoinSet::new();
        for _ in 0..COUNT {
            let (stream, _) = server.listener.accept().await.expect("a connection");
            closing.spawn(async move {
                assert!(stream.recv().await.expect("no failure").is_none(), "data came");
            });
            while closing.try_join_next().is_some() {}
        }
        closing.join_all().await;
    });
    let before = cpu::own();
    let left = Arc::new(AtomicUsize::new(COUNT));
    let mut clients = JoinSet::new();
    for _ in 0..AT_A_TIME {
        let (pair, left) = (Arc::clone(&pair), Arc::clone(&left));
        clients.spawn(async move {
            while take_one(&left) {
                pair.connect().await.close().await.expect("closed in good order");
            }
        });
    }
    clients.join_all().await;
    serving.await.expect("the server ends");
    COUNT as f64 / (cpu::own() - before).as_secs_f64()
}

/// Sets up and closes associations, one after the other, with a server behind a UDP port; how many of them until some
/// time has passed.
pub(crate) async fn with_server(udp_port: u16, port: u16) -> usize {
    let stack = client_of(udp_port).await;
    let mut closed = 0;
    let end = Instant::now() + WITH_SERVER;
    while Instant::now() < end {
        let builder = SocketBuilder::new().stack(&stack);
        let setup_close = async {
            let stream = builder.connect(SocketAddr::new(LOOPBACK, port)).await?;
            stream.close().await
        };
        if matches!(timeout(WITH_SERVER, setup_close).await, Ok(Ok(()))) {
            closed += 1;
        }
    }
    closed
}

fn take_one(left: &AtomicUsize) -> bool {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    taken.is_ok()
}
