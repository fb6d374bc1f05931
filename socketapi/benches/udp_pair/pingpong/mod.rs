//! A request and its response, one after the other: over an association, and in bare UDP datagrams.
//!
//! Each end has a thread of its own, as two programs would have, which blocks: [`sctp`], [`dcsctp`] and [`udp`]; or
//! which runs tasks: [`sctp::tasks_apart`]. Or both ends are tasks that mostly share one thread, so that nothing but
//! work is left: [`sctp::tasks`] and [`udp::tasks`].
//!
//! Where the ends run is part of what is measured: on a core that sleeps, waking up takes many times what all the work
//! takes. The system would put ends now together and now apart, so [`Cores`] says where they are.

pub(crate) mod dcsctp;
pub(crate) mod sctp;
pub(crate) mod udp;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::cpu;
use crate::median::percentile;

/// Bytes of a request, and of a response.
pub(crate) const SIZE: usize = 100;
/// Round trips before it is measured.
const WARM_UP: usize = 500;
/// How long is measured.
pub(crate) const MEASURED: Duration = Duration::from_millis(400);

/// Round-trip times, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// When to stop, and what it took until then.
struct Meter {
    trips: Vec<f64>,
    warm_up: usize,
    end: Option<Instant>,
}

impl Meter {
    const fn new() -> Self {
        Self {
            trips: Vec::new(),
            warm_up: WARM_UP,
            end: None,
        }
    }

    /// Counts a round trip; true when it is time to end.
    fn count(&mut self, start: Instant) -> bool {
        let now = Instant::now();
        if self.warm_up > 0 {
            self.warm_up -= 1;
            return false;
        }
        self.trips.push((now - start).as_secs_f64() * 1e6);
        now >= *self.end.get_or_insert(now + MEASURED)
    }

    fn outcome(self) -> Outcome {
        Outcome {
            p50: percentile(&self.trips, 50),
            p99: percentile(&self.trips, 99),
        }
    }
}

/// Where the ends run: the core of the server, and that of the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores(pub(crate) [usize; 2]);

impl Cores {
    /// Each on a core of its own, as on two hosts, if there are as many.
    pub(crate) fn apart() -> Option<Self> {
        match cpu::cores()[..] {
            [one, other, ..] => Some(Self([one, other])),
            _ => None,
        }
    }

    /// Both on one core, which does not sleep then.
    pub(crate) fn together() -> Option<Self> {
        cpu::cores().first().map(|one| Self([*one, *one]))
    }
}

/// Runs both ends on threads of their own; what the client says. The server tells it where it is.
fn ends<T: Send>(
    cores: Cores,
    server: impl FnOnce(&mpsc::Sender<T>) + Send,
    client: impl FnOnce(T) -> Outcome + Send,
) -> Outcome {
    let (told, tells) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            cpu::keep_to(cores.0[0]);
            server(&told);
        });
        let client = scope.spawn(move || {
            cpu::keep_to(cores.0[1]);
            client(tells.recv().expect("the server starts"))
        });
        client.join().expect("the client ends")
    })
}
