//! Own addresses on their way in and out of an association (RFC 5061 §5.3).

use std::net::IpAddr;

use crate::Instant;
use crate::addr;

/// How many deleted addresses are remembered. They are the host's own, but a host that moves on and on has many.
const MAX_GONE: usize = 16;

/// Own addresses whose deletion the peer has confirmed. What was on its way to them still counts for a while, no longer
/// than two RTOs (RFC 5061 §5.3).
#[derive(Debug, Default)]
pub(crate) struct Gone(Vec<(IpAddr, Instant)>);

impl Gone {
    /// `address` is deleted; packets to it count until then.
    pub(crate) fn insert(&mut self, address: IpAddr, until: Instant) {
        self.remove(address);
        if self.0.len() >= MAX_GONE {
            self.0.remove(0);
        }
        self.0.push((address, until));
    }

    /// `address` is in use again.
    pub(crate) fn remove(&mut self, address: IpAddr) {
        self.0.retain(|(gone, _)| *gone != address);
    }

    /// Whether a packet to `address` does not count any more.
    pub(crate) fn is_over(&self, now: Instant, address: IpAddr) -> bool {
        self.0.iter().any(|&(gone, until)| gone == address && until < now)
    }

    /// Whether `address` was deleted.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|&(gone, _)| gone == address)
    }
}

/// The address to send an ASCONF from: `preferred` if it is usable, then the other usable ones, nearest first, then
/// those that it asks to add (RFC 5061 §5.3 F1), one after the other with each attempt. None that it deletes is among
/// them (F6), since those are not usable any more.
pub(crate) fn source_for_request(
    usable: &[IpAddr],
    adding: impl Iterator<Item = IpAddr>,
    preferred: Option<IpAddr>,
    peer: IpAddr,
    attempt: u16,
) -> Option<IpAddr> {
    let reaching = |own: IpAddr| addr::common_prefix(own, peer).map(|bits| (own, bits));
    let mut known: Vec<(IpAddr, u32)> = usable.iter().copied().filter_map(reaching).collect();
    known.sort_by_key(|&(own, bits)| (Some(own) != preferred, std::cmp::Reverse(bits)));
    let candidates: Vec<IpAddr> = known
        .into_iter()
        .chain(adding.filter_map(reaching))
        .map(|(own, _)| own)
        .collect();
    let turn = usize::from(attempt).checked_rem(candidates.len())?;
    candidates.get(turn).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn rfc5061_5_3_deleted_addresses_count_for_a_while() {
        let mut gone = Gone::default();
        gone.insert(ip("10.0.0.1"), Instant::from_millis(100));
        assert!(!gone.is_over(Instant::from_millis(100), ip("10.0.0.1")));
        assert!(gone.is_over(Instant::from_millis(101), ip("10.0.0.1")));
        assert!(!gone.is_over(Instant::from_millis(101), ip("10.0.0.2")));
        gone.remove(ip("10.0.0.1"));
        assert!(!gone.is_over(Instant::from_millis(101), ip("10.0.0.1")));
        for n in 0..100 {
            gone.insert(IpAddr::from([10, 1, 0, n]), Instant::ZERO);
        }
        assert_eq!(gone.0.len(), MAX_GONE);
    }

    #[test]
    fn rfc5061_5_3_f1_the_address_to_be_added_is_the_last_to_be_tried() {
        let usable = [ip("10.1.0.1"), ip("10.2.0.1"), ip("fd00::1")];
        let adding = || [ip("fd00::2"), ip("10.3.0.1")].into_iter();
        let source = |attempt, preferred: Option<&str>| {
            source_for_request(&usable, adding(), preferred.map(ip), ip("10.2.0.9"), attempt)
        };
        assert_eq!(source(0, None), Some(ip("10.2.0.1")));
        assert_eq!(source(0, Some("10.1.0.1")), Some(ip("10.1.0.1")));
        assert_eq!(source(1, None), Some(ip("10.1.0.1")));
        assert_eq!(source(2, None), Some(ip("10.3.0.1")));
        assert_eq!(source(3, None), Some(ip("10.2.0.1")));
        assert_eq!(
            source_for_request(&[], adding(), None, ip("10.2.0.9"), 5),
            Some(ip("10.3.0.1"))
        );
        assert_eq!(source_for_request(&[], [].into_iter(), None, ip("10.2.0.9"), 0), None);
    }
}
