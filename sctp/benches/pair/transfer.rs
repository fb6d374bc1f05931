//! The work that every implementation gets.

use std::time::Duration;

/// Bytes of user data in a message: one packet each, with the MTU that all of them get.
pub(crate) const MESSAGE_SIZE: usize = 1200;
/// The largest SCTP packet, in bytes: an Ethernet frame without its IPv4 header.
pub(crate) const PACKET_SIZE: usize = 1480;
/// How many messages are handed to the sender before the receiver has taken them.
pub(crate) const IN_FLIGHT: u64 = 64;
/// How far the virtual clock moves from one exchange of packets to the next: the round-trip time.
const ROUND_TRIP: Duration = Duration::from_micros(100);

/// Two connected ends of an implementation.
pub(crate) trait Pair {
    /// Two ends with an association between them, and a clock that stands at zero.
    fn connect() -> Self;

    /// Queues a message at the sender.
    fn send(&mut self, message: [u8; MESSAGE_SIZE]);

    /// Carries packets until neither end has one to send. Whether there were any.
    fn exchange(&mut self) -> bool;

    /// Takes a message at the receiver: its length and its number.
    fn receive(&mut self) -> Option<(usize, u64)>;

    /// Moves the clock, and runs what is due.
    fn advance(&mut self, now: Duration);

    /// When something is due next.
    fn timeout(&self) -> Option<Duration>;
}

/// A message that begins with its number.
fn message(number: u64) -> [u8; MESSAGE_SIZE] {
    let mut message = [0xa5; MESSAGE_SIZE];
    message[..8].copy_from_slice(&number.to_be_bytes());
    message
}

/// The number of a message.
pub(crate) fn number(message: &[u8]) -> u64 {
    u64::from_be_bytes(message[..8].try_into().expect("a message has a number"))
}

/// Sends `messages` messages over `pair` and takes them at the other end.
///
/// Panics if one is lost, changed in length or out of order, or if the association stops.
pub(crate) fn transfer(pair: &mut impl Pair, messages: u64) {
    let (mut sent, mut received) = (0, 0);
    let mut now = Duration::ZERO;
    while received < messages {
        while sent < messages && sent - received < IN_FLIGHT {
            pair.send(message(sent));
            sent += 1;
        }
        let moved = pair.exchange();
        let before = received;
        while let Some(got) = pair.receive() {
            assert_eq!(got, (MESSAGE_SIZE, received), "messages arrive whole and in order");
            received += 1;
        }
        now += ROUND_TRIP;
        if !moved && received == before {
            now = now.max(pair.timeout().expect("something happens until all is there"));
        }
        pair.advance(now);
    }
}
