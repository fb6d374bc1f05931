//! Two stacks and a network without manners, driven by commands.

mod network;
mod oracle;
mod setup;
mod side;

use std::time::Duration;

use super::Choices;
use crate::Instant;
use network::Network;
use setup::Setup;
use side::Side;

/// How often time may jump to the next timer until both sides have come to rest.
const PATIENCE: usize = 400;

/// Bytes as commands to two stacks, their users, and the network between them. Whatever happens, queues stay bounded
/// and timers come to rest; each association has one end; no message is there twice, changed, or out of its turn. Once
/// the network behaves, everything that has to arrive does. Where the bytes let somebody on the way change packets so
/// that their checksum fits, nothing is said of messages.
pub fn stack_pair(data: &[u8]) {
    let mut choices = Choices::new(data);
    let setup = Setup::read(&mut choices);
    let mut pair = Pair::new(setup);
    for step in 1.. {
        if choices.is_empty() {
            break;
        }
        pair.step(&mut choices);
        if step % 8 == 0 {
            pair.sides.iter().for_each(Side::check_bounds);
        }
    }
    pair.finish();
}

struct Pair {
    now: Instant,
    sides: [Side; 2],
    network: Network,
    hostile: bool,
}

impl Pair {
    fn new(setup: Setup) -> Self {
        Self {
            now: Instant::from_millis(1),
            hostile: setup.hostile,
            network: Network::new(setup.mtu),
            sides: [0, 1].map(|number| Side::new(number, &setup)),
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let command = choices.u8();
        let number = usize::from(command >> 7);
        let now = self.now;
        let [a, b] = &mut self.sides;
        let (side, other) = if number == 0 { (a, b) } else { (b, a) };
        match command & 0x1f {
            0..=3 if command & 0x60 == 0x60 => side.send_more(now, choices),
            0..=3 => side.send(now, choices),
            4 => side.extension_command(now, choices),
            5 | 6 => side.read(now, other),
            7 => side.connect(now),
            8..=13 => self.exchange(1 + choices.below(6)),
            14 | 15 => self.deliver(number, 0),
            16 => self.deliver(number, choices.below(16)),
            17 => self.network.lose(number, choices.below(16)),
            18 => match choices.u8() {
                place if place >= 0x80 => self.network.mark(number, usize::from(place & 15)),
                place => self.network.duplicate(number, usize::from(place & 15)),
            },
            19 => self.network.delay(number, choices.below(16)),
            20 => self.network.damage(number, self.hostile, choices),
            21 => self.network.switch(choices.below(2)),
            22 | 23 => self.pass(Duration::from_millis(1 << choices.below(12))),
            24 | 25 => drop(self.await_timer()),
            26 => side.shutdown(now),
            27 => side.abort(now),
            28 => side.release(now),
            29 => side.crash(),
            30 => side.path_command(now, choices),
            _ => side.poke(now, choices),
        }
        self.collect();
    }

    /// Takes what the stacks want to send and tell.
    fn collect(&mut self) {
        let now = self.now;
        for side in &mut self.sides {
            side.collect(now, &mut self.network);
        }
    }

    /// Gives a side a packet that is on its way to it.
    fn deliver(&mut self, to: usize, place: usize) {
        if let Some((meta, packet)) = self.network.take(to, place) {
            self.sides[to].stack.handle_datagram(self.now, &meta, packet);
            self.collect();
        }
    }

    /// Delivers everything that is on its way, and what comes of it, for some rounds.
    fn exchange(&mut self, rounds: usize) {
        self.collect();
        for _ in 0..rounds {
            for to in [0, 1] {
                for _ in 0..self.network.len(to) {
                    self.deliver(to, 0);
                }
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for side in &mut self.sides {
            side.handle_timeout(self.now);
        }
    }

    /// False if no timer runs.
    fn await_timer(&mut self) -> bool {
        let next = self.sides.iter().filter_map(|side| side.stack.poll_timeout()).min();
        if let Some(next) = next {
            self.pass(next.saturating_since(self.now));
        }
        next.is_some()
    }

    /// The network behaves and the users read, and complete their messages, until nothing is left to be done.
    fn finish(&mut self) {
        self.network.restore();
        for round in 0.. {
            self.exchange(4);
            let now = self.now;
            let [a, b] = &mut self.sides;
            a.read(now, b);
            b.read(now, a);
            a.complete(now);
            b.complete(now);
            self.collect();
            if !self.network.is_empty() {
                continue;
            }
            let [a, b] = &self.sides;
            let missing = [a.missing_at(b), b.missing_at(a)];
            if a.is_at_rest() && b.is_at_rest() && missing == [0, 0] {
                break;
            }
            // Somebody may have told lies about windows, or paths.
            if round >= PATIENCE && self.hostile {
                break;
            }
            let timer = self.await_timer();
            assert!(
                timer && round < PATIENCE,
                "it does not come to rest: {missing:?} messages are missing"
            );
            self.collect();
        }
        self.sides.iter().for_each(Side::check_bounds);
    }
}
