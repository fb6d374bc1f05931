//! What can be done to the hosts of a world.

use std::net::IpAddr;

use super::super::app::{App, HostCtx};
use super::super::host::HostStats;
use super::super::ids::{AppId, HostId};
use super::super::packet::Packet;
use super::World;
use crate::{AssocId, EndpointId, Event, Instant, Stack};

impl World {
    /// The stack of a host, to be used. What comes of it (packets, events) is collected when the world goes on.
    ///
    /// # Panics
    ///
    /// If the host has no stack: it is scripted, or down.
    pub fn stack(&mut self, host: HostId) -> &mut Stack {
        self.touched.insert(host);
        self.hosts[host.0].stack()
    }

    /// The stack of a host, to be looked at.
    ///
    /// # Panics
    ///
    /// As [`stack`](Self::stack).
    pub fn peek(&self, host: HostId) -> &Stack {
        self.hosts[host.0].peek()
    }

    /// The events of end points that no application bound, since the last call.
    ///
    /// # Panics
    ///
    /// As [`stack`](Self::stack).
    pub fn events(&mut self, host: HostId) -> Vec<(EndpointId, AssocId, Event)> {
        self.settle();
        self.hosts[host.0].take_events()
    }

    /// The addresses of a host.
    pub fn addresses(&self, host: HostId) -> Vec<IpAddr> {
        self.hosts[host.0].addresses()
    }

    /// Counts of a host.
    pub fn host_stats(&self, host: HostId) -> HostStats {
        self.hosts[host.0].stats
    }

    /// Gives a host another address, on its interface with this index, and tells its stack.
    pub fn add_address(&mut self, host: HostId, interface: usize, address: IpAddr) {
        let link = self.hosts[host.0].interfaces[interface].link;
        self.routes.attach(link, address, host);
        let now = self.now;
        self.hosts[host.0].add_address(now, interface, address);
        self.touched.insert(host);
    }

    /// Takes an address from a host, and tells its stack. What is sent from it afterwards is lost.
    pub fn remove_address(&mut self, host: HostId, address: IpAddr) {
        let now = self.now;
        if let Some(link) = self.hosts[host.0].remove_address(now, address) {
            self.routes.detach(link, address);
            self.touched.insert(host);
        }
    }

    /// Stops a host at once: it loses everything it knows, and nobody is told.
    pub fn crash(&mut self, host: HostId) {
        self.note(host, "crashes");
        self.hosts[host.0].crash();
        self.plan_wake(host);
    }

    /// Starts a host anew, with a fresh stack and without applications, whether it was down or not.
    pub fn restart(&mut self, host: HostId) {
        self.note(host, "restarts");
        self.hosts[host.0].start();
        self.touched.insert(host);
        self.plan_wake(host);
    }

    /// Lets a host do nothing until it is [resumed](Self::resume). What arrives waits, within bounds.
    pub fn pause(&mut self, host: HostId) {
        self.note(host, "pauses");
        self.hosts[host.0].pause();
        self.plan_wake(host);
    }

    /// Lets a paused host go on.
    ///
    /// # Panics
    ///
    /// If the host is down.
    pub fn resume(&mut self, host: HostId) {
        self.note(host, "resumes");
        for input in self.hosts[host.0].resume() {
            self.input(host, input);
        }
        self.plan_wake(host);
    }

    fn note(&mut self, host: HostId, what: &str) {
        self.settle();
        self.trace
            .line(self.now, &self.hosts[host.0].name, format_args!("{what}"));
    }

    /// Puts an application on a host; it is told to start.
    ///
    /// # Panics
    ///
    /// If the host has no stack.
    pub fn add_app(&mut self, host: HostId, app: Box<dyn App>) -> AppId {
        self.act(host, |host, run| {
            let id = host.add_app(app, run);
            host.settle(run);
            id
        })
    }

    /// An application of a host; `None` if it is gone or of another type.
    pub fn app<T: App>(&self, host: HostId, app: AppId) -> Option<&T> {
        self.hosts[host.0].app(app)
    }

    /// Lets `act` use an application, which can do in this context all it can do on its own.
    pub fn with_app<T: App, R>(
        &mut self,
        host: HostId,
        app: AppId,
        act: impl FnOnce(&mut T, &mut HostCtx<'_>) -> R,
    ) -> Option<R> {
        self.act(host, |host, run| {
            let result = host.with_app(app, run, act);
            host.settle(run);
            result
        })
    }

    /// Sends a packet in the name of a host, by the interface that reaches its destination; one to a group, by the
    /// interface that has its source. Of a scripted host, the source of other packets may be anything: that is how an
    /// attacker is played.
    pub fn inject(&mut self, host: HostId, packet: Packet) {
        self.settle();
        if packet.dst.is_multicast() {
            let mut interfaces = self.hosts[host.0].interfaces.iter();
            let interface = interfaces.find(|interface| interface.addresses.contains(&packet.src));
            match interface.map(|interface| interface.link) {
                Some(link) => self.put(link, host, packet, true),
                None => self.hosts[host.0].stats.unroutable += 1,
            }
        } else if self.may_send_from(host, Some(packet.src)) {
            self.send_routed(host, Some(packet.src), packet, true);
        }
    }

    /// What a scripted host received since the last call, and when.
    pub fn received(&mut self, host: HostId) -> Vec<(Instant, Packet)> {
        self.hosts[host.0].take_inbox()
    }
}
