//! The task of a shard: datagrams in, time, and what callers left to send.

use std::future::poll_fn;
use std::io;
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread;

use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until};

use super::addresses::Addresses;
use super::device::{Receiver, Trouble, Watched, watch};
use super::shard::{Flushed, NextTurn, Shard};
use crate::{Error, Result};

/// How many receive calls a turn makes before other tasks and the timers get theirs.
const RECEIVE_BUDGET: usize = 4;
/// How many batches a turn sends.
const SEND_BUDGET: usize = 20;

/// Starts the driver of a shard: as a task of the runtime that this is called from, if asked for and there is one,
/// else on a thread of its own. It also has these addresses follow the host's.
pub(crate) fn start(shard: &Arc<Shard>, addresses: Option<Arc<Addresses>>, on_runtime: bool) -> Result<()> {
    let shard = Arc::clone(shard);
    match Handle::try_current() {
        Ok(runtime) if on_runtime => {
            runtime.spawn(run(Running { shard, addresses }));
            Ok(())
        }
        _ => start_thread(shard, addresses),
    }
}

fn start_thread(shard: Arc<Shard>, addresses: Option<Arc<Addresses>>) -> Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|e| Error::io("starting the stack's runtime", &e))?;
    let name = format!("sctp-io-{}", shard.worker().map_or(0, |worker| worker.index));
    let body = move || {
        runtime.block_on(run(Running { shard, addresses }));
    };
    let started = thread::Builder::new().name(name).spawn(body);
    started
        .map(drop)
        .map_err(|e| Error::io("starting the stack's thread", &e))
}

/// A driver that is running. Dropped before its time it leaves the shard to another one.
struct Running {
    shard: Arc<Shard>,
    addresses: Option<Arc<Addresses>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // A driver that panicked would do so again. One whose runtime shuts down moves to a thread, since the
        // program may go on to use its sockets from elsewhere.
        let moved = !thread::panicking()
            && self.shard.is_needed()
            && start_thread(Arc::clone(&self.shard), self.addresses.take()).is_ok();
        if !moved {
            self.shard.stop();
        }
    }
}

async fn run(running: Running) {
    let shard = &running.shard;
    let mut driver = match Driver::new(shard) {
        Ok(driver) => driver,
        Err(error) => {
            tracing::error!(%error, "the stack cannot wait for its sockets");
            shard.stop();
            return;
        }
    };
    // It ends with this task.
    let mut following = JoinSet::new();
    if let Some(addresses) = running.addresses.clone() {
        following.spawn(addresses.follow());
    }
    poll_fn(|cx| driver.poll(shard, cx)).await;
}

struct Driver<'a> {
    sockets: Vec<AsyncFd<BorrowedFd<'a>>>,
    receiver: Receiver,
    troubles: Vec<Trouble>,
    sleep: Pin<Box<Sleep>>,
    /// When `sleep` ends; `None` if it is of no interest.
    deadline: Option<Instant>,
    /// Which socket does not take what is to be sent.
    blocked: Option<usize>,
    /// Which socket is watched for room to send as well.
    awaited: Option<usize>,
}

impl<'a> Driver<'a> {
    fn new(shard: &'a Shard) -> io::Result<Self> {
        Ok(Self {
            sockets: shard
                .device
                .descriptors()
                .into_iter()
                .map(|socket| watch(socket, usual(shard)))
                .collect::<io::Result<_>>()?,
            receiver: Receiver::new(),
            troubles: Vec::new(),
            sleep: Box::pin(sleep_until(Instant::now())),
            deadline: None,
            blocked: None,
            awaited: None,
        })
    }

    /// One turn; ready when the stack has stopped, or another driver is to go on.
    fn poll(&mut self, shard: &Shard, cx: &mut Context<'_>) -> Poll<()> {
        let mut slept = false;
        loop {
            // First of all, so that whatever happens from here on calls for another turn.
            shard.poll_alarm(cx);
            let mut more = !shard.device.is_received_elsewhere() && self.receive(shard, cx);
            match self.send(shard, cx) {
                Ok(unsent) => more |= unsent,
                Err(error) => {
                    tracing::error!(%error, "the stack cannot wait for a socket any more");
                    return Poll::Ready(());
                }
            }
            match shard.next_turn(slept) {
                NextTurn::Stopped if !more => return Poll::Ready(()),
                NextTurn::Now | NextTurn::Stopped => more = true,
                NextTurn::Never => self.deadline = None,
                NextTurn::At(at) => {
                    let at = shard.deadline(at);
                    if self.deadline != Some(at) {
                        self.deadline = Some(at);
                        self.sleep.as_mut().reset(at);
                    }
                }
            }
            if more {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.deadline.is_none() {
                return Poll::Pending;
            }
            ready!(self.sleep.as_mut().poll(cx));
            self.deadline = None;
            slept = true;
        }
    }

    /// Takes datagrams in; true if there may be more.
    fn receive(&mut self, shard: &Shard, cx: &mut Context<'_>) -> bool {
        let mut more = false;
        for (index, socket) in self.sockets.iter().enumerate() {
            more |= receive_from(socket, index, &mut self.receiver, &mut self.troubles, shard, cx);
        }
        more
    }

    /// Sends what there is; true if there may be more.
    fn send(&mut self, shard: &Shard, cx: &mut Context<'_>) -> io::Result<bool> {
        loop {
            if self.awaited != self.blocked && usual(shard) == Watched::Datagrams {
                if let Some(index) = self.awaited.take() {
                    self.watch_anew(index, Watched::Datagrams)?;
                }
                if let Some(index) = self.blocked {
                    self.watch_anew(index, Watched::Both)?;
                    self.awaited = self.blocked;
                }
                return Ok(true);
            }
            if let Some((index, socket)) = self.blocked.and_then(|index| Some((index, self.sockets.get(index)?))) {
                match socket.poll_write_ready(cx) {
                    Poll::Pending | Poll::Ready(Err(_)) => return Ok(false),
                    Poll::Ready(Ok(mut ready)) => match shard.flush(SEND_BUDGET) {
                        Flushed::Blocked(blocked) if blocked == index => {
                            if ready.ready().is_write_closed() {
                                let watched = match usual(shard) {
                                    Watched::Room => Watched::Room,
                                    _ => Watched::Both,
                                };
                                self.watch_anew(index, watched)?;
                                return Ok(true);
                            }
                            ready.clear_ready();
                            continue;
                        }
                        flushed => self.blocked = blocked(flushed),
                    },
                }
            }
            let flushed = shard.flush(SEND_BUDGET);
            self.blocked = blocked(flushed);
            match flushed {
                Flushed::All => return Ok(false),
                Flushed::More => return Ok(true),
                Flushed::Blocked(_) => {}
            }
        }
    }

    /// Has a socket watched for something else; or for the same: the runtime takes a socket that had an error for
    /// closed, and so for ready to send for ever, and waiting for it would end at once each time. It is told about the
    /// socket as about a new one. Who waits for it has to ask again.
    fn watch_anew(&mut self, index: usize, watched: Watched) -> io::Result<()> {
        let socket = self.sockets.remove(index).into_inner();
        let watched = watch(socket, watched)?;
        self.sockets.insert(index, watched);
        Ok(())
    }
}

/// What sockets are watched for as long as they take what is to be sent.
fn usual(shard: &Shard) -> Watched {
    if shard.device.is_received_elsewhere() {
        Watched::Room
    } else {
        Watched::Datagrams
    }
}

const fn blocked(flushed: Flushed) -> Option<usize> {
    match flushed {
        Flushed::Blocked(index) => Some(index),
        Flushed::All | Flushed::More => None,
    }
}

fn receive_from(
    socket: &AsyncFd<BorrowedFd<'_>>,
    index: usize,
    receiver: &mut Receiver,
    troubles: &mut Vec<Trouble>,
    shard: &Shard,
    cx: &mut Context<'_>,
) -> bool {
    for _ in 0..RECEIVE_BUDGET {
        // An error here means that the runtime shuts down, which ends this task.
        let Poll::Ready(Ok(mut ready)) = socket.poll_read_ready(cx) else {
            return false;
        };
        match shard.device.receive(index, receiver) {
            Ok(datagrams) => {
                // Fewer than were asked for: the queue was empty, and what comes now wakes the task.
                let last = datagrams.is_last();
                shard.ingest(datagrams);
                if last {
                    ready.clear_ready();
                }
            }
            // An error is about packets that were sent. Whoever sends may have been told of it before, and what woke
            // the task is then the queue alone.
            Err(error) => {
                let more = shard.device.read_errors(index, troubles);
                if !troubles.is_empty() {
                    shard.heed(troubles.drain(..));
                }
                if error.kind() == io::ErrorKind::WouldBlock && !more {
                    ready.clear_ready();
                }
            }
        }
    }
    true
}
