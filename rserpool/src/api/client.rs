//! Pool users as tasks, and their sessions.

use std::time::Duration;

use bytes::Bytes;
use sctp::serial::{Ppid, StreamId};
use tokio::sync::{mpsc, oneshot};

use super::{LocalEndpoint, ResolveError, StartError, Stopped, seed};
use crate::config::{EndpointConfig, SessionConfig};
use crate::driver::Node;
use crate::driver::user::{Command, Events, User};
use crate::ids::{PeId, PoolHandle};
use crate::session::{SessionError, SessionEvent, SessionId};
use crate::user::{PoolUser, Resolution, TooMany};

/// How many commands wait for a node.
const COMMANDS: usize = 256;
/// How long to wait before a message is offered again to a session whose queue is full.
const RETRY: Duration = Duration::from_millis(5);

/// A pool user as a task: a handle, cheap to clone. The task ends when all its handles and sessions are gone.
#[derive(Clone, Debug)]
pub struct PoolUserClient {
    commands: mpsc::Sender<Command>,
}

impl PoolUserClient {
    /// Starts a pool user. Each of its associations gets a free port of its own at the addresses of `endpoint`; the
    /// port there is not used.
    ///
    /// # Errors
    ///
    /// If the system gives no random numbers.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with its I/O and time drivers enabled.
    #[expect(clippy::unused_async, reason = "as the other roles, and so that it is on a runtime")]
    pub async fn start(endpoint: impl Into<LocalEndpoint>, registrars: EndpointConfig) -> Result<Self, StartError> {
        let transport = endpoint.into().connect_only(registrars.association());
        let node = Node::new(PoolUser::new(registrars, seed()?), transport);
        let (commands, command_queue) = mpsc::channel(COMMANDS);
        tokio::spawn(User::new(node).run(command_queue));
        Ok(Self { commands })
    }

    /// Opens a session with a pool. It does not wait for an element: [`SessionEvent::Connected`] tells when there is
    /// one. Messages may be sent at once.
    ///
    /// # Errors
    ///
    /// If the node has ended, or has as many sessions as it can.
    pub async fn open(&self, pool: PoolHandle, config: SessionConfig) -> Result<SessionHandle, OpenError> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Open { pool, config, reply }).await?;
        let (id, events) = answer.await.map_err(|_| Stopped)??;
        Ok(SessionHandle {
            events,
            sender: SessionSender {
                id,
                commands: self.commands.clone(),
            },
        })
    }

    /// The elements of a pool, as a registrar selects them (RFC 5352 §3.3).
    ///
    /// # Errors
    ///
    /// If no registrar answers or the pool is not known; if the node has ended.
    pub async fn resolve(&self, pool: PoolHandle) -> Result<Resolution, ResolveError> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Resolve { pool, reply }).await?;
        answer.await.map_err(|_| Stopped)?.map_err(ResolveError::Unavailable)
    }

    /// Reports an element that could not be reached by other means than a session (RFC 5352 §3.5).
    ///
    /// # Errors
    ///
    /// If the node has ended.
    pub async fn report_unreachable(&self, pool: PoolHandle, pe: PeId) -> Result<(), Stopped> {
        self.command(Command::ReportUnreachable { pool, pe }).await
    }

    /// Ends the node and all its sessions. What has not ended after `timeout` is aborted.
    pub async fn shut_down(self, timeout: Duration) {
        let (done, ended) = oneshot::channel();
        // It may have ended by itself.
        if self.command(Command::ShutDown { timeout, done }).await.is_ok() {
            let _ = ended.await;
        }
    }

    async fn command(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)
    }
}

/// A session could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The node has ended.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The node has as many sessions as it can.
    #[error(transparent)]
    TooMany(#[from] TooMany),
}

/// A session with a pool. It is closed when the handle is dropped.
#[derive(Debug)]
pub struct SessionHandle {
    events: Events,
    sender: SessionSender,
}

impl SessionHandle {
    /// The next event; `None` once the session is over. While events are not taken, the element has to wait once some
    /// have piled up. Cancel-safe.
    pub async fn event(&mut self) -> Option<SessionEvent> {
        self.events.next().await
    }

    /// A handle to send from elsewhere.
    pub fn sender(&self) -> SessionSender {
        self.sender.clone()
    }

    /// As [`SessionSender::send`].
    ///
    /// # Errors
    ///
    /// As [`SessionSender::send`].
    pub async fn send(&self, stream: StreamId, ppid: Ppid, payload: impl Into<Bytes>) -> Result<(), SessionError> {
        self.sender.send(stream, ppid, payload).await
    }

    /// As [`SessionSender::expect_reply`].
    pub async fn expect_reply(&self, timeout: Option<Duration>) {
        self.sender.expect_reply(timeout).await;
    }

    /// As [`SessionSender::fail_over`].
    pub async fn fail_over(&self, failed: bool) {
        self.sender.fail_over(failed).await;
    }

    /// Ends the session. What was sent to its element is still delivered.
    pub fn close(self) {}
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        let session = self.sender.id;
        let close = Command::Close { session };
        if let Err(mpsc::error::TrySendError::Full(close)) = self.sender.commands.try_send(close) {
            let commands = self.sender.commands.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { commands.send(close).await });
            }
        }
    }
}

/// The sending side of a session: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct SessionSender {
    id: SessionId,
    commands: mpsc::Sender<Command>,
}

impl SessionSender {
    /// The session.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Sends a message to the element that serves the session. While there is none, or it does not keep up, messages
    /// are kept up to [`SessionConfig::max_queue`]; beyond that, this waits. If the element fails, what it had not
    /// answered may be lost.
    ///
    /// # Errors
    ///
    /// If the session is over; if the message is empty or its payload protocol identifier is that of ASAP.
    pub async fn send(&self, stream: StreamId, ppid: Ppid, payload: impl Into<Bytes>) -> Result<(), SessionError> {
        let payload = payload.into();
        loop {
            match self.try_send(stream, ppid, payload.clone()).await {
                Err(SessionError::QueueFull) => tokio::time::sleep(RETRY).await,
                outcome => return outcome,
            }
        }
    }

    /// As [`send`](Self::send), but does not wait for room in the queue.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`SessionError::QueueFull`].
    pub async fn try_send(&self, stream: StreamId, ppid: Ppid, payload: impl Into<Bytes>) -> Result<(), SessionError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Send {
            session: self.id,
            stream,
            ppid,
            payload: payload.into(),
            reply,
        };
        self.commands
            .send(command)
            .await
            .map_err(|_| SessionError::NoSuchSession)?;
        answer.await.map_err(|_| SessionError::NoSuchSession)?
    }

    /// States that the element must say something within `timeout`: else it counts as failed, and the session fails
    /// over with [`FailoverReason::NoReply`](crate::session::FailoverReason::NoReply). Said again while a reply is
    /// still due, the earlier time stands, so that it can be said with each request. The next message of the element, a
    /// failover and `None` take the statement back. Without an element nothing is expected.
    pub async fn expect_reply(&self, timeout: Option<Duration>) {
        let session = self.id;
        self.command(Command::ExpectReply { session, timeout }).await;
    }

    /// Gives up the element that serves the session and turns to another one; with `failed` it is reported as
    /// unreachable.
    pub async fn fail_over(&self, failed: bool) {
        let session = self.id;
        self.command(Command::FailOver { session, failed }).await;
    }

    /// A session whose node has ended is over; its events say so.
    async fn command(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }
}
