//! The demonstration itself: plays ping-pong, kills whoever answers, and looks at what that costs.

use std::io::Write;
use std::time::Duration;

use rserpool::ids::PeId;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::children::{Elements, Named};
use super::display::Display;
use super::report::Report;
use crate::client::pingpong::Verdict;
use crate::client::play::{Happening, explain, why};
use crate::client::player::Player;
use crate::program::{self, Failure};

/// How long the first element may take to come up.
const FIRST_SERVER: Duration = Duration::from_secs(20);
/// How long the last answers are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// After how long a killed element is replaced: until then the others have to do.
const REPLACEMENT: Duration = Duration::from_secs(1);
/// How often the present is shown.
const REFRESH: Duration = Duration::from_millis(100);
/// How many elements may end by themselves before something is clearly wrong.
const MAX_ENDED: usize = 10;

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// For how long, from the first server on.
    pub duration: Duration,
    /// How often the serving element is killed; `None` for never.
    pub kill_every: Option<Duration>,
    /// How often a ping is sent.
    pub ping_every: Duration,
}

/// A demonstration.
#[derive(Debug)]
pub struct Show<W> {
    plan: Plan,
    player: Player,
    elements: Elements,
    display: Display<W>,
    /// Slots that are empty, and when they get a new element.
    empty: Vec<(Instant, usize)>,
    /// Whoever was killed and is still missed.
    killed: Option<PeId>,
    ended: usize,
}

impl<W: Write> Show<W> {
    /// A demonstration with a session that was just opened.
    pub const fn new(plan: Plan, player: Player, elements: Elements, display: Display<W>) -> Self {
        Self {
            plan,
            player,
            elements,
            display,
            empty: Vec::new(),
            killed: None,
            ended: 0,
        }
    }

    /// Runs it to its end, or until the user has enough, and lets the elements end.
    ///
    /// # Errors
    ///
    /// If no element comes up, or the system does not let processes be started or killed.
    pub async fn run(mut self) -> Result<Report, Failure> {
        let outcome = self.play().await;
        self.display.finish()?;
        let mut elements = self.elements;
        // Elements take their leave of the registrar in this process, so it must not stand still meanwhile.
        tokio::task::spawn_blocking(move || elements.stop()).await?;
        outcome?;
        Ok(Report {
            account: self.player.finish().account().clone(),
        })
    }

    async fn play(&mut self) -> Result<(), Failure> {
        let stop = program::stop_signal();
        tokio::pin!(stop);
        let mut pings = interval(self.plan.ping_every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut refresh = interval(REFRESH);
        let mut phase = Phase::Waiting {
            until: Instant::now() + FIRST_SERVER,
        };
        loop {
            let playing = matches!(phase, Phase::Playing { .. });
            tokio::select! {
                event = self.player.event() => {
                    let happening = self.player.handle(event).await?;
                    if let Some(Happening::Serves { .. }) = happening
                        && let Phase::Waiting { .. } = phase
                    {
                        phase = Phase::playing(&self.plan);
                    }
                    self.tell(happening)?;
                }
                _ = pings.tick(), if playing => self.player.ping().await?,
                () = sleep_until(phase.until()) => match phase {
                    Phase::Waiting { .. } => {
                        return Err(Failure(format!("no element serves after {} s", FIRST_SERVER.as_secs())));
                    }
                    Phase::Playing { .. } => phase = Phase::ending(),
                    Phase::Ending { .. } => return Ok(()),
                },
                () = program::until(phase.kill_at()) => phase.killed(self.kill()?, &self.plan),
                () = program::until(self.empty.iter().map(|(at, _)| *at).min()) => self.replace()?,
                _ = refresh.tick() => {
                    self.notice_ended()?;
                    self.show_present()?;
                }
                () = &mut stop, if !matches!(phase, Phase::Ending { .. }) => phase = Phase::ending(),
            }
            if let Phase::Ending { .. } = phase
                && self.player.ledger().account().outstanding() == 0
            {
                return Ok(());
            }
        }
    }

    fn tell(&mut self, happening: Option<Happening>) -> Result<(), Failure> {
        let text = match happening {
            Some(Happening::Serves {
                pe,
                after_failover: false,
                ..
            }) => format!("{} serves", self.name(pe)),
            Some(Happening::Serves { pe, sent, .. }) => {
                format!("{} takes over; {sent} open pings are sent to it", self.name(pe))
            }
            Some(Happening::Pong {
                pong,
                verdict:
                    Verdict::Answer {
                        failover: Some(failover),
                        ..
                    },
            }) => {
                self.killed = None;
                format!(
                    "answered again after {} ms, with reply number {}",
                    failover.as_millis(),
                    pong.reply_no
                )
            }
            Some(Happening::Unavailable(reason)) => format!("waiting: {}", explain(&reason)),
            Some(Happening::Lost { pe, reason }) if self.killed != Some(pe) => {
                format!("{} is given up: {}", self.name(pe), why(reason))
            }
            Some(Happening::Nonsense) => "that was no pong".to_owned(),
            Some(Happening::Over) => return Err(Failure("the session is over".to_owned())),
            Some(Happening::Lost { .. } | Happening::Pong { .. }) | None => return Ok(()),
        };
        self.display.event(self.player.elapsed(), &text)?;
        Ok(())
    }

    /// Kills the element that serves, if one does. Whether it did.
    fn kill(&mut self) -> Result<bool, Failure> {
        let Some(pe) = self.player.server().filter(|_| !self.player.ledger().is_failing_over()) else {
            return Ok(false);
        };
        let Some(victim) = self.elements.kill(pe)? else {
            return Ok(false);
        };
        self.player.outage();
        self.killed = Some(pe);
        self.empty.push((Instant::now() + REPLACEMENT, victim.slot));
        self.display
            .event(self.player.elapsed(), &format!("{} is killed", describe(&victim)))?;
        Ok(true)
    }

    /// Fills the slots whose time has come.
    fn replace(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        let due: Vec<usize> = self
            .empty
            .iter()
            .filter(|(at, _)| *at <= now)
            .map(|(_, slot)| *slot)
            .collect();
        self.empty.retain(|(at, _)| *at > now);
        for slot in due {
            if let Some(named) = self.elements.revive(slot)? {
                self.display
                    .event(self.player.elapsed(), &format!("{} is started", describe(&named)))?;
            }
        }
        Ok(())
    }

    fn notice_ended(&mut self) -> Result<(), Failure> {
        for slot in self.elements.reap() {
            self.ended += 1;
            if self.ended > MAX_ENDED {
                return Err(Failure("elements end again and again; see their messages".to_owned()));
            }
            self.display.event(
                self.player.elapsed(),
                &format!("element {} has ended by itself", slot + 1),
            )?;
            self.empty.push((Instant::now() + REPLACEMENT, slot));
        }
        Ok(())
    }

    fn show_present(&mut self) -> Result<(), Failure> {
        let server = self.player.server().filter(|_| !self.player.ledger().is_failing_over());
        // Without its process, so that the line fits a terminal.
        let server = server.and_then(|pe| self.elements.find(pe));
        let server = server.map(|named| format!("element {} ({})", named.slot + 1, named.address));
        self.display
            .present(self.player.elapsed(), server.as_deref(), self.player.ledger().account())?;
        Ok(())
    }

    fn name(&self, pe: PeId) -> String {
        self.elements
            .find(pe)
            .map_or_else(|| format!("element {pe}"), |named| describe(&named))
    }
}

fn describe(named: &Named) -> String {
    format!(
        "element {} ({}, process {})",
        named.slot + 1,
        named.address,
        named.process
    )
}

/// How far the demonstration is.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// There is no server yet.
    Waiting { until: Instant },
    /// Pings go out, and servers are killed.
    Playing { until: Instant, kill_at: Option<Instant> },
    /// Only the open answers are waited for.
    Ending { until: Instant },
}

impl Phase {
    fn playing(plan: &Plan) -> Self {
        let now = Instant::now();
        Self::Playing {
            until: now + plan.duration,
            kill_at: plan.kill_every.map(|every| now + every),
        }
    }

    fn ending() -> Self {
        Self::Ending {
            until: Instant::now() + LAST_ANSWERS,
        }
    }

    const fn until(&self) -> Instant {
        match *self {
            Self::Waiting { until } | Self::Playing { until, .. } | Self::Ending { until } => until,
        }
    }

    const fn kill_at(&self) -> Option<Instant> {
        match *self {
            Self::Playing { kill_at, .. } => kill_at,
            _ => None,
        }
    }

    /// Sets the next kill: soon, if there was nobody to be killed this time.
    fn killed(&mut self, done: bool, plan: &Plan) {
        if let Self::Playing { kill_at, .. } = self {
            let pause = plan.kill_every.map(|every| if done { every } else { REFRESH });
            *kill_at = pause.map(|pause| Instant::now() + pause);
        }
    }
}
