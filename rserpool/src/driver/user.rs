//! The task of a pool user.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sctp::Instant;
use sctp::serial::{Ppid, StreamId};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{Engine, Node};
use crate::config::SessionConfig;
use crate::ids::{PeId, PoolHandle};
use crate::net::{NetCommand, NetEvent};
use crate::session::{SessionError, SessionEvent, SessionId};
use crate::user::{PoolUser, Resolution, ResolutionId, TooMany, Unavailable, UserEvent};

/// How many bytes of events may wait for the application until the session's element has to wait.
const HIGH_MARK: usize = 1 << 20;
/// From how many on it goes on.
const LOW_MARK: usize = HIGH_MARK / 2;
/// What an event counts for beside its bytes.
const EVENT: usize = 64;

impl Engine for PoolUser {
    fn handle(&mut self, now: Instant, event: NetEvent) {
        self.handle(now, event);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn poll_command(&mut self) -> Option<NetCommand> {
        self.poll_command()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }
}

/// What waits for the application of a session.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: AtomicUsize,
}

fn weight(event: &SessionEvent) -> usize {
    match event {
        SessionEvent::Message { payload, .. } => EVENT + payload.len(),
        SessionEvent::CookieReceived { cookie } => EVENT + cookie.as_bytes().len(),
        _ => EVENT,
    }
}

/// The application's end of the events of a session.
#[derive(Debug)]
pub(crate) struct Events {
    receiver: mpsc::UnboundedReceiver<SessionEvent>,
    backlog: Arc<Backlog>,
    relieved: Arc<Notify>,
}

impl Events {
    /// The next event. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<SessionEvent> {
        let event = self.receiver.recv().await?;
        let before = self.backlog.bytes.fetch_sub(weight(&event), Ordering::Relaxed);
        if before >= LOW_MARK && before - weight(&event) < LOW_MARK {
            self.relieved.notify_one();
        }
        Some(event)
    }
}

type Reply<T> = oneshot::Sender<T>;

pub(crate) enum Command {
    Open {
        pool: PoolHandle,
        config: SessionConfig,
        reply: Reply<Result<(SessionId, Events), TooMany>>,
    },
    Send {
        session: SessionId,
        stream: StreamId,
        ppid: Ppid,
        payload: Bytes,
        reply: Reply<Result<(), SessionError>>,
    },
    ExpectReply {
        session: SessionId,
        timeout: Option<Duration>,
    },
    FailOver {
        session: SessionId,
        failed: bool,
    },
    Close {
        session: SessionId,
    },
    Resolve {
        pool: PoolHandle,
        reply: Reply<Result<Resolution, Unavailable>>,
    },
    ReportUnreachable {
        pool: PoolHandle,
        pe: PeId,
    },
    ShutDown {
        timeout: Duration,
        done: Reply<()>,
    },
}

struct Session {
    events: mpsc::UnboundedSender<SessionEvent>,
    backlog: Arc<Backlog>,
    paused: bool,
}

/// The task of a pool user.
pub(crate) struct User {
    node: Node<PoolUser>,
    sessions: BTreeMap<SessionId, Session>,
    resolutions: BTreeMap<ResolutionId, Reply<Result<Resolution, Unavailable>>>,
    /// Somebody has taken enough events for a paused session to go on.
    relieved: Arc<Notify>,
}

impl User {
    pub(crate) fn new(node: Node<PoolUser>) -> Self {
        Self {
            node,
            sessions: BTreeMap::new(),
            resolutions: BTreeMap::new(),
            relieved: Arc::new(Notify::new()),
        }
    }

    /// Runs until it is told to end, or nobody is there any more who could tell it.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let now = self.node.now();
        self.node.engine.start(now);
        let relieved = Arc::clone(&self.relieved);
        loop {
            self.node.flush();
            self.pass_on();
            self.node.flush();
            let command = tokio::select! {
                () = self.node.step() => continue,
                () = relieved.notified() => {
                    self.resume();
                    continue;
                }
                command = commands.recv() => command,
            };
            let now = self.node.now();
            match command {
                Some(Command::ShutDown { timeout, done }) => {
                    self.node.engine.stop(now);
                    self.sessions.clear();
                    self.node.wind_up(timeout).await;
                    // Who waited may have gone.
                    let _ = done.send(());
                    return;
                }
                Some(command) => self.obey(now, command),
                None => {
                    self.node.engine.stop(now);
                    self.node.flush();
                    return;
                }
            }
        }
    }

    fn obey(&mut self, now: Instant, command: Command) {
        let engine = &mut self.node.engine;
        // A session may have ended before its application heard of it; then there is nothing to do. And who asked may
        // have gone.
        match command {
            Command::Open { pool, config, reply } => {
                let opened = engine.open(now, pool, config).map(|id| (id, self.add(id)));
                let id = opened.as_ref().ok().map(|(id, _)| *id);
                if reply.send(opened).is_err()
                    && let Some(id) = id
                {
                    self.close(now, id);
                }
            }
            Command::Send {
                session,
                stream,
                ppid,
                payload,
                reply,
            } => {
                let _ = reply.send(engine.send(session, stream, ppid, payload));
            }
            Command::ExpectReply { session, timeout } => {
                let _ = engine.expect_reply(now, session, timeout);
            }
            Command::FailOver { session, failed } => {
                let _ = engine.fail_over(now, session, failed);
            }
            Command::Close { session } => self.close(now, session),
            Command::Resolve { pool, reply } => match engine.resolve(now, &pool) {
                Ok(resolution) => {
                    self.resolutions.insert(resolution, reply);
                }
                Err(TooMany) => {
                    let _ = reply.send(Err(Unavailable::NoAnswer));
                }
            },
            Command::ReportUnreachable { pool, pe } => engine.report_unreachable(now, &pool, pe),
            Command::ShutDown { .. } => {}
        }
    }

    fn add(&mut self, id: SessionId) -> Events {
        let (sender, receiver) = mpsc::unbounded_channel();
        let backlog = Arc::new(Backlog::default());
        let session = Session {
            events: sender,
            backlog: Arc::clone(&backlog),
            paused: false,
        };
        self.sessions.insert(id, session);
        Events {
            receiver,
            backlog,
            relieved: Arc::clone(&self.relieved),
        }
    }

    fn close(&mut self, now: Instant, id: SessionId) {
        self.sessions.remove(&id);
        let _ = self.node.engine.close(now, id);
    }

    /// Passes the engine's events on to those they are for.
    fn pass_on(&mut self) {
        while let Some(event) = self.node.engine.poll_event() {
            tracing::debug!(?event, "pool user");
            match event {
                UserEvent::Session { session: id, event } => self.pass_on_to(id, event),
                UserEvent::Resolved { resolution, result } => {
                    if let Some(reply) = self.resolutions.remove(&resolution) {
                        // Who asked may have gone.
                        let _ = reply.send(result);
                    }
                }
                UserEvent::RegistrarFound | UserEvent::RegistrarLost => {}
            }
        }
    }

    fn pass_on_to(&mut self, id: SessionId, event: SessionEvent) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let ended = matches!(event, SessionEvent::Ended { .. });
        if matches!(event, SessionEvent::Unavailable { .. })
            && session.backlog.bytes.load(Ordering::Relaxed) > HIGH_MARK
        {
            // It comes again, as long as it is true.
            return;
        }
        let before = session.backlog.bytes.fetch_add(weight(&event), Ordering::Relaxed);
        let waiting = before.saturating_add(weight(&event));
        if session.events.send(event).is_err() {
            // The application has dropped the session; its handle says so as well.
            return;
        }
        if ended {
            self.sessions.remove(&id);
        } else if waiting > HIGH_MARK && !session.paused {
            session.paused = true;
            self.pause(id, true);
        }
    }

    /// Lets those sessions go on whose application has caught up.
    fn resume(&mut self) {
        let caught_up = |session: &Session| session.paused && session.backlog.bytes.load(Ordering::Relaxed) < LOW_MARK;
        let ids: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, s)| caught_up(s))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.paused = false;
            }
            self.pause(id, false);
        }
    }

    fn pause(&mut self, id: SessionId, paused: bool) {
        if let Some(conn) = self.node.engine.association_of(id) {
            self.node.transport_mut().pause(conn, paused);
        }
    }
}
