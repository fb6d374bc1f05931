//! What is to happen when: "at 3 s cut the link, at 9 s restore it".

use std::fmt;
use std::time::Duration;

use super::ids::{HostId, LinkId};
use super::link::LinkConfig;
use super::world::World;

type Step = (Duration, String, Box<dyn FnOnce(&mut World)>);

/// A list of things to happen at times of their own, counted from when it is played.
///
/// ```
/// # use std::time::Duration;
/// # use sctp::sim::{LinkConfig, Script, World};
/// # let mut world = World::new(1);
/// # let b1 = world.add_link("b1", LinkConfig::lan());
/// let seconds = Duration::from_secs;
/// Script::new().at(seconds(3)).cut(b1).at(seconds(9)).restore(b1).play(&mut world);
/// ```
#[derive(Default)]
#[must_use]
pub struct Script {
    at: Duration,
    steps: Vec<Step>,
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.steps.iter().map(|(at, label, _)| (at, label)))
            .finish()
    }
}

impl Script {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What follows happens at this time after the start.
    pub const fn at(mut self, at: Duration) -> Self {
        self.at = at;
        self
    }

    /// Cuts a link.
    pub fn cut(self, link: LinkId) -> Self {
        self.call("cut a link", move |world| world.set_link_up(link, false))
    }

    /// Makes a link whole again.
    pub fn restore(self, link: LinkId) -> Self {
        self.call("restore a link", move |world| world.set_link_up(link, true))
    }

    /// Changes how a link behaves.
    pub fn change(self, link: LinkId, config: LinkConfig) -> Self {
        self.call("change a link", move |world| world.set_link(link, config))
    }

    /// Crashes a host.
    pub fn crash(self, host: HostId) -> Self {
        self.call("crash a host", move |world| world.crash(host))
    }

    /// Starts a host anew.
    pub fn restart(self, host: HostId) -> Self {
        self.call("restart a host", move |world| world.restart(host))
    }

    /// Pauses a host.
    pub fn pause(self, host: HostId) -> Self {
        self.call("pause a host", move |world| world.pause(host))
    }

    /// Lets a paused host go on.
    pub fn resume(self, host: HostId) -> Self {
        self.call("resume a host", move |world| world.resume(host))
    }

    /// Does anything else.
    pub fn call(mut self, label: &str, call: impl FnOnce(&mut World) + 'static) -> Self {
        self.steps.push((self.at, label.to_owned(), Box::new(call)));
        self
    }

    /// Starts it: its time zero is now.
    pub fn play(self, world: &mut World) {
        let start = world.now();
        for (at, label, call) in self.steps {
            world.schedule(start + at, &label, call);
        }
    }
}
