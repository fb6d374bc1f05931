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
use super::device::{Watched, watch};
use super::shard::{Flushed, Intake, NextTurn, Shard};
use super::wheel::{Look, Role, TICK};
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
    let shard = &*running.shard;
    let mut driver = Driver::new(shard);
    if let Err(error) = driver.watch_all() {
        tracing::error!(%error, "the stack cannot wait for its sockets");
        shard.stop();
        return;
    }
    // It ends with this task.
    let mut following = JoinSet::new();
    if let Some(addresses) = running.addresses.clone() {
        following.spawn(addresses.follow());
    }
    poll_fn(|cx| driver.poll(cx)).await;
}

struct Driver<'a> {
    shard: &'a Shard,
    /// Empty while callers drive.
    sockets: Vec<AsyncFd<BorrowedFd<'a>>>,
    sleep: Pin<Box<Sleep>>,
    /// When `sleep` ends; `None` if it is of no interest.
    deadline: Option<Instant>,
    /// Which socket does not take what is to be sent.
    blocked: Option<usize>,
    /// Which socket is watched for room to send as well.
    awaited: Option<usize>,
    /// What was seen of the callers that drive, and when to look again.
    look: Option<(Look, Instant)>,
}

/// What follows a turn.
enum Next {
    /// Another one, once other tasks had theirs.
    Turn,
    /// Time has to pass.
    At(Instant),
    /// Someone has to call.
    Call,
    /// Nothing: the stack has stopped, or another driver is to go on.
    Nothing,
}

impl<'a> Driver<'a> {
    fn new(shard: &'a Shard) -> Self {
        Self {
            shard,
            sockets: Vec::new(),
            sleep: Box::pin(sleep_until(Instant::now())),
            deadline: None,
            blocked: None,
            awaited: None,
            look: None,
        }
    }

    /// Takes turns; ready when there is nothing left to do.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut slept = false;
        loop {
            match self.turn(slept, cx) {
                Next::Nothing => return Poll::Ready(()),
                Next::Turn => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Next::Call => {
                    self.deadline = None;
                    return Poll::Pending;
                }
                Next::At(at) => {
                    if self.deadline != Some(at) {
                        self.deadline = Some(at);
                        self.sleep.as_mut().reset(at);
                    }
                }
            }
            ready!(self.sleep.as_mut().poll(cx));
            self.deadline = None;
            slept = true;
        }
    }

    fn turn(&mut self, slept: bool, cx: &mut Context<'_>) -> Next {
        let over = self.look.filter(|(_, until)| *until <= Instant::now());
        // First of all, so that whatever happens from here on calls for another turn.
        let role = self.shard.wheel.role(cx, over.map(|(look, _)| look));
        if over.is_some() {
            self.look = None;
        }
        match role {
            Role::Drives => {
                self.look = None;
                self.drive(slept, cx).unwrap_or_else(|error| {
                    tracing::error!(%error, "the stack cannot wait for a socket any more");
                    Next::Nothing
                })
            }
            Role::StandsIn(look) => {
                self.let_go();
                self.stand_in(look)
            }
            Role::Watches(look) => {
                self.let_go();
                Next::At(self.look_again(look))
            }
            Role::Sleeps => {
                self.let_go();
                Next::Call
            }
        }
    }

    fn drive(&mut self, slept: bool, cx: &mut Context<'_>) -> io::Result<Next> {
        if self.sockets.is_empty() {
            self.watch_all()?;
        }
        let mut more = !self.shard.device.is_received_elsewhere() && self.receive(cx);
        more |= self.send(cx)?;
        Ok(match self.shard.next_turn(slept) {
            NextTurn::Stopped if !more => Next::Nothing,
            NextTurn::Now | NextTurn::Stopped => Next::Turn,
            _ if more => Next::Turn,
            NextTurn::Never => Next::Call,
            NextTurn::At(at) => Next::At(self.shard.deadline(at)),
        })
    }

    /// Nobody drives, for a moment: what comes in can wait, but not what is to be done at a time or was called for.
    fn stand_in(&mut self, look: Look) -> Next {
        match self.shard.flush(SEND_BUDGET) {
            Flushed::All => {}
            Flushed::More => return Next::Turn,
            Flushed::Blocked(_) => {
                self.shard.wheel.take_back();
                return Next::Turn;
            }
        }
        let again = self.look_again(look);
        match self.shard.next_turn(true) {
            NextTurn::Stopped => Next::Nothing,
            NextTurn::Now => Next::Turn,
            NextTurn::Never => Next::At(again),
            NextTurn::At(at) => Next::At(self.shard.deadline(at).min(again)),
        }
    }

    /// When to look at the callers again.
    fn look_again(&mut self, look: Look) -> Instant {
        self.look.get_or_insert_with(|| (look, Instant::now() + TICK)).1
    }

    /// Has all sockets watched.
    fn watch_all(&mut self) -> io::Result<()> {
        self.awaited = None;
        let sockets = self.shard.device.descriptors().into_iter();
        self.sockets = sockets
            .map(|socket| watch(socket, usual(self.shard)))
            .collect::<io::Result<_>>()?;
        Ok(())
    }

    /// Leaves the sockets to the callers: what arrives is not to wake this task.
    fn let_go(&mut self) {
        self.sockets.clear();
        self.awaited = None;
    }

    /// Takes datagrams in; true if there may be more.
    fn receive(&self, cx: &mut Context<'_>) -> bool {
        let mut more = false;
        for (index, socket) in self.sockets.iter().enumerate() {
            more |= receive_from(socket, index, self.shard, cx);
        }
        more
    }

    /// Sends what there is; true if there may be more.
    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<bool> {
        let shard = self.shard;
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

fn receive_from(socket: &AsyncFd<BorrowedFd<'_>>, index: usize, shard: &Shard, cx: &mut Context<'_>) -> bool {
    for _ in 0..RECEIVE_BUDGET {
        // An error here means that the runtime shuts down, which ends this task.
        let Poll::Ready(Ok(mut ready)) = socket.poll_read_ready(cx) else {
            return false;
        };
        match shard.receive(index) {
            Intake::Nothing | Intake::Last => ready.clear_ready(),
            Intake::More => {}
        }
    }
    true
}
