//! The task of a pool element.

use std::time::Duration;

use sctp::Instant;
use tokio::sync::{mpsc, oneshot};

use super::{Engine, Node};
use crate::element::{ElementEvent, ServiceHost};
use crate::net::{NetCommand, NetEvent};
use crate::service::Service;
use crate::wire::policy::PolicyParam;

impl<S: Service> Engine for ServiceHost<S> {
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

type Inspection<S> = Box<dyn FnOnce(&ServiceHost<S>) + Send>;

pub(crate) enum Command<S> {
    Inspect(Inspection<S>),
    SetPolicy(PolicyParam),
    ShutDown {
        timeout: Duration,
        done: oneshot::Sender<()>,
    },
}

/// Runs a pool element until it is told to end, or nobody is there any more who could tell it.
pub(crate) async fn run<S: Service>(
    mut node: Node<ServiceHost<S>>,
    mut commands: mpsc::Receiver<Command<S>>,
    events: mpsc::Sender<ElementEvent>,
) {
    let now = node.now();
    node.engine.start(now);
    loop {
        node.flush();
        while let Some(event) = node.engine.poll_event() {
            tracing::debug!(?event, "pool element");
            // Events are for displays: who does not take them in time misses some.
            let _ = events.try_send(event);
        }
        let command = tokio::select! {
            () = node.step() => continue,
            command = commands.recv() => command,
        };
        let now = node.now();
        match command {
            Some(Command::Inspect(inspect)) => inspect(&node.engine),
            Some(Command::SetPolicy(policy)) => node.engine.set_policy(now, policy),
            Some(Command::ShutDown { timeout, done }) => {
                leave(&mut node, timeout).await;
                // Who waited may have gone.
                let _ = done.send(());
                return;
            }
            None => {
                node.engine.stop();
                node.flush();
                return;
            }
        }
    }
}

/// Leaves the pool, then ends the sessions, within `timeout`.
async fn leave<S: Service>(node: &mut Node<ServiceHost<S>>, timeout: Duration) {
    let end = tokio::time::Instant::now() + timeout;
    let now = node.now();
    node.engine.deregister(now);
    'deregistering: loop {
        node.flush();
        while let Some(event) = node.engine.poll_event() {
            if matches!(event, ElementEvent::Deregistered { .. }) {
                break 'deregistering;
            }
        }
        tokio::select! {
            () = node.step() => {}
            () = tokio::time::sleep_until(end) => break,
        }
    }
    node.engine.stop();
    node.wind_up(end.saturating_duration_since(tokio::time::Instant::now()))
        .await;
}
