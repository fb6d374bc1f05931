//! The task of a registrar.

use std::time::Duration;

use sctp::Instant;
use tokio::sync::{mpsc, oneshot};

use super::{Engine, Node};
use crate::net::{NetCommand, NetEvent};
use crate::registrar::{Registrar, RegistrarEvent};

impl Engine for Registrar {
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

type Inspection = Box<dyn FnOnce(&Registrar) + Send>;

pub(crate) enum Command {
    Inspect(Inspection),
    ShutDown {
        timeout: Duration,
        done: oneshot::Sender<()>,
    },
}

/// Runs a registrar until it is told to end, or nobody is there any more who could tell it.
pub(crate) async fn run(
    mut node: Node<Registrar>,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<RegistrarEvent>,
) {
    loop {
        node.flush();
        while let Some(event) = node.engine.poll_event() {
            // Events are for displays: who does not take them in time misses some.
            let _ = events.try_send(event);
        }
        let command = tokio::select! {
            () = node.step() => continue,
            command = commands.recv() => command,
        };
        match command {
            Some(Command::Inspect(inspect)) => inspect(&node.engine),
            Some(Command::ShutDown { timeout, done }) => {
                node.engine.shut_down();
                node.wind_up(timeout).await;
                // Who waited may have gone.
                let _ = done.send(());
                return;
            }
            None => {
                node.engine.shut_down();
                node.flush();
                return;
            }
        }
    }
}
