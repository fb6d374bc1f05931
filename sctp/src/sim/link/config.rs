//! How a link behaves.

use std::time::Duration;

/// Losses in bursts after Gilbert and Elliott: a link is in a good or a bad state and changes it packet by packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Burst {
    pub(crate) enter: f64,
    pub(crate) leave: f64,
    pub(crate) loss: f64,
}

/// Who learns of a packet that a link lost because it was larger than the MTU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TooBig {
    /// Nobody.
    #[default]
    Silent,
    /// Its sender, by an ICMP message that is as long on its way as a packet.
    Reported,
    /// Its sender at once, whose interface carries no more.
    Refused,
}

/// How a link behaves, in each direction. The default is a perfect wire: no latency, no limit, no loss.
///
/// Setters panic on a probability outside 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkConfig {
    pub(crate) latency: Duration,
    pub(crate) jitter: Duration,
    pub(crate) loss: f64,
    pub(crate) burst: Option<Burst>,
    pub(crate) duplication: f64,
    pub(crate) reordering: f64,
    pub(crate) reordering_delay: Duration,
    pub(crate) corruption: f64,
    pub(crate) rate: Option<u64>,
    pub(crate) queue: usize,
    pub(crate) marks_above: Option<usize>,
    pub(crate) shared_medium: bool,
    pub(crate) mtu: usize,
    pub(crate) fragments: bool,
    pub(crate) too_big: TooBig,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: 0.0,
            burst: None,
            duplication: 0.0,
            reordering: 0.0,
            reordering_delay: Duration::ZERO,
            corruption: 0.0,
            rate: None,
            queue: usize::MAX,
            marks_above: None,
            shared_medium: false,
            mtu: 65535,
            fragments: false,
            too_big: TooBig::Silent,
        }
    }
}

fn probability(p: f64) -> f64 {
    assert!((0.0..=1.0).contains(&p), "{p} is no probability");
    p
}

impl LinkConfig {
    /// A perfect wire.
    pub fn new() -> Self {
        Self::default()
    }

    /// A local network: 0.2 ms, 1500-byte packets.
    pub fn lan() -> Self {
        Self::new().latency(Duration::from_micros(200)).mtu(1500)
    }

    /// A long way: 40 ms ± 10 ms jitter, 20 Mbit/s with a queue of 128 KiB, 1500-byte packets.
    pub fn wan() -> Self {
        let rate = 20_000_000;
        Self::new()
            .latency(Duration::from_millis(30))
            .jitter(Duration::from_millis(20))
            .rate(rate, 128 << 10)
            .mtu(1500)
    }

    /// How long a packet is on its way.
    #[must_use]
    pub const fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Up to `jitter` more, evenly spread. Jitter alone never changes the order of packets.
    #[must_use]
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Loses each packet with this probability, independently of others.
    #[must_use]
    pub fn loss(mut self, p: f64) -> Self {
        self.loss = probability(p);
        self
    }

    /// Loses packets in bursts (Gilbert-Elliott): before each packet the link goes bad with probability `enter`, or
    /// good again with `leave`; a bad link loses a packet with probability `loss`.
    #[must_use]
    pub fn burst_loss(mut self, enter: f64, leave: f64, loss: f64) -> Self {
        self.burst = Some(Burst {
            enter: probability(enter),
            leave: probability(leave),
            loss: probability(loss),
        });
        self
    }

    /// Delivers a packet twice with this probability.
    #[must_use]
    pub fn duplication(mut self, p: f64) -> Self {
        self.duplication = probability(p);
        self
    }

    /// Holds a packet back for up to `delay` with this probability, so that later ones overtake it.
    #[must_use]
    pub fn reordering(mut self, p: f64, delay: Duration) -> Self {
        self.reordering = probability(p);
        self.reordering_delay = delay;
        self
    }

    /// Flips one to three bits of the payload with this probability. An SCTP packet is delivered like that, for its
    /// checksum to catch (three bits are always caught); of a plain datagram the UDP checksum is taken to do so here.
    #[must_use]
    pub fn corruption(mut self, p: f64) -> Self {
        self.corruption = probability(p);
        self
    }

    /// Sends at most `bits_per_second`, and holds at most `queue` bytes that wait for that; what finds the queue full
    /// is lost. Each sender has a rate and a queue of its own, as at a switch, unless
    /// [`shared_medium`](Self::shared_medium) is set.
    #[must_use]
    pub fn rate(mut self, bits_per_second: u64, queue: usize) -> Self {
        assert!(
            bits_per_second > 0,
            "a link that carries nothing is a link that is down"
        );
        self.rate = Some(bits_per_second);
        self.queue = queue;
        self
    }

    /// Tells of congestion where more than `waiting` bytes wait for the link to be free (see [`rate`](Self::rate)):
    /// packets that ask for marks (RFC 3168) are marked, others are lost.
    #[must_use]
    pub const fn marks_above(mut self, waiting: usize) -> Self {
        self.marks_above = Some(waiting);
        self
    }

    /// All senders together share one rate and one queue.
    #[must_use]
    pub const fn shared_medium(mut self, shared: bool) -> Self {
        self.shared_medium = shared;
        self
    }

    /// Loses IP packets that are larger, headers included.
    #[must_use]
    pub const fn mtu(mut self, mtu: usize) -> Self {
        self.mtu = mtu;
        self
    }

    /// Delivers larger SCTP packets nevertheless, as fragments that are put together again, unless they must not be
    /// fragmented.
    #[must_use]
    pub const fn fragments(mut self, fragments: bool) -> Self {
        self.fragments = fragments;
        self
    }

    /// Who learns of larger packets that are lost.
    #[must_use]
    pub const fn too_big(mut self, too_big: TooBig) -> Self {
        self.too_big = too_big;
        self
    }
}
