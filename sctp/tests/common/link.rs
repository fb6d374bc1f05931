//! What one association makes of a link: bulk messages over a simulated link, in virtual time, so that the figures are
//! exact and the same on every machine.

use std::time::Duration;

use bytes::Bytes;
use sctp::config::{CongestionControl, EndpointConfig};
use sctp::error::SendError;
use sctp::serial::{Ppid, StreamId};
use sctp::sim::{HostConfig, HostId, LinkConfig, World};
use sctp::{AssocId, ConnectOptions, EndpointId, Event, OutMessage};

const PORT: u16 = 5000;
/// Bytes of a message.
pub(crate) const MESSAGE: usize = 16 * 1024;

/// A link, and how long its transfer runs.
struct Profile {
    name: &'static str,
    megabits: u64,
    one_way: Duration,
    loss: f64,
    seconds: u64,
}

const fn profile(name: &'static str, megabits: u64, rtt_ms: u64, loss: f64, seconds: u64) -> Profile {
    Profile {
        name,
        megabits,
        one_way: Duration::from_micros(rtt_ms * 500),
        loss,
        seconds,
    }
}

static PROFILES: [Profile; 5] = [
    profile("link_100M_20ms_loss0", 100, 20, 0.0, 30),
    profile("link_100M_20ms_loss0.1", 100, 20, 0.001, 60),
    profile("link_100M_20ms_loss1", 100, 20, 0.01, 60),
    profile("link_1G_10ms_loss0", 1000, 10, 0.0, 10),
    profile("link_1G_100ms_loss0", 1000, 100, 0.0, 30),
];

/// Jain's index: 1 when all have the same, 1/n when one has everything.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}

/// Senders on one host, receivers on another, a bottleneck between them.
struct Transfer {
    world: World,
    sender: HostId,
    receiver: HostId,
    sending: Vec<AssocId>,
    receiving: Vec<AssocId>,
    bytes: Vec<u64>,
}

impl Transfer {
    fn new(profile: &Profile, algorithm: CongestionControl, associations: u16, seed: u64) -> Self {
        let mut world = World::new(seed);
        let rate = profile.megabits * 1_000_000;
        // A router's buffer of one bandwidth-delay product, and not less than 100 packets.
        let bdp = rate / 8 * u64::try_from(profile.one_way.as_micros()).expect("short") * 2 / 1_000_000;
        let queue = usize::try_from(bdp).expect("small").max(150_000);
        let link = LinkConfig::new()
            .latency(profile.one_way)
            .rate(rate, queue)
            .loss(profile.loss)
            .mtu(1500);
        let link = world.add_link("bottleneck", link);
        let sender = world.add_host(HostConfig::new("sender").interface(link, &["10.0.0.1"]));
        let receiver = world.add_host(HostConfig::new("receiver").interface(link, &["10.0.0.2"]));
        let mut transfer = Self {
            world,
            sender,
            receiver,
            sending: Vec::new(),
            receiving: Vec::new(),
            bytes: Vec::new(),
        };
        for n in 0..associations {
            transfer.connect(PORT + n, algorithm);
        }
        transfer.world.run_for(Duration::from_secs(1));
        transfer.drain_events();
        transfer.bytes = vec![0; transfer.receiving.len()];
        transfer
    }

    fn connect(&mut self, port: u16, algorithm: CongestionControl) {
        let listening = bind(&mut self.world, self.receiver, port, algorithm);
        assert!(self.world.stack(self.receiver).listen(listening, 1));
        let endpoint = bind(&mut self.world, self.sender, port, algorithm);
        let to = self.world.addresses(self.receiver);
        let now = self.world.now();
        let stack = self.world.stack(self.sender);
        let assoc = stack
            .connect(now, endpoint, &to, port, ConnectOptions::default())
            .expect("a usable peer");
        self.sending.push(assoc);
    }

    fn drain_events(&mut self) {
        for (_, assoc, event) in self.world.events(self.receiver) {
            if matches!(event, Event::CommunicationUp { .. }) {
                self.world.stack(self.receiver).accept(assoc).expect("it just came up");
                self.receiving.push(assoc);
            }
        }
        self.world.events(self.sender);
    }

    /// Keeps the senders busy for so many seconds; what each receiver got, in Mbit/s.
    fn run(mut self, seconds: u64) -> Vec<f64> {
        let end = self.world.now() + Duration::from_secs(seconds);
        while self.world.now() < end {
            self.fill();
            self.take();
            self.drain_events();
            if !self.world.step() {
                break;
            }
        }
        self.bytes
            .iter()
            .map(|&bytes| bytes as f64 * 8.0 / seconds as f64 / 1e6)
            .collect()
    }

    fn fill(&mut self) {
        let now = self.world.now();
        let payload = Bytes::from_static(&[0x55; MESSAGE]);
        for &assoc in &self.sending {
            loop {
                let message = OutMessage::new(StreamId(0), Ppid(0), payload.clone());
                match self.world.stack(self.sender).send(now, assoc, message) {
                    Ok(()) => {}
                    Err(SendError::WouldBlock) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    fn take(&mut self) {
        let now = self.world.now();
        for (assoc, bytes) in self.receiving.iter().zip(&mut self.bytes) {
            while let Some(message) = self.world.stack(self.receiver).recv(now, *assoc).expect("open") {
                *bytes += message.payload.len() as u64;
            }
        }
    }
}

fn bind(world: &mut World, host: HostId, port: u16, algorithm: CongestionControl) -> EndpointId {
    let mut config = EndpointConfig {
        port: Some(port),
        ..EndpointConfig::default()
    };
    config.association.path_mut().set_mtu(1500).expect("valid");
    config.association.set_congestion_control(algorithm);
    // Four bandwidth-delay products of the largest link.
    config.association.set_receive_buffer(50_000_000).expect("valid");
    config.association.set_send_buffer(50_000_000).expect("valid");
    world.stack(host).bind(config).expect("a free port")
}

/// The goodput of a link under both controllers.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// With RFC 9260's controller.
    pub(crate) rfc9260: f64,
    /// With CUBIC.
    pub(crate) cubic: f64,
}

/// Mbit/s over each link, then Jain's index of two associations on the first one.
pub(crate) fn measure() -> Vec<Figure> {
    let both = |measure: &dyn Fn(CongestionControl) -> f64, name| Figure {
        name,
        rfc9260: measure(CongestionControl::Rfc9260),
        cubic: measure(CongestionControl::Cubic),
    };
    let goodput = |profile: &'static Profile| {
        let measure = move |cc| Transfer::new(profile, cc, 1, 1).run(profile.seconds).iter().sum();
        both(&measure, profile.name)
    };
    let mut figures: Vec<Figure> = PROFILES.iter().map(goodput).collect();
    let fairness = |cc| jain(&Transfer::new(&PROFILES[0], cc, 2, 1).run(60));
    figures.push(both(&fairness, FAIRNESS));
    figures
}

/// The name of the figure that is no goodput.
pub(crate) const FAIRNESS: &str = "fairness_jain";
