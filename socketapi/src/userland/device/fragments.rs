//! IP packets in fragments (RFC 791 §3.2, RFC 8200 §4.5): put together where they arrive, and cut where they leave.
//! SCTP sends some when the path has become narrower than chunks that were sent before (RFC 9260 §6.9).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sctp::EcnCodepoint;

use super::ip::{Fragment, Whole};

/// How many packets may be incomplete at a time. The oldest makes room for another one.
const MAX_PACKETS: usize = 32;
/// How many fragments a packet may have: more than a link of any use makes.
const MAX_PARTS: usize = 128;
/// How long the rest of a packet is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most bytes that the content of an IP packet has.
const MAX_CONTENT: usize = 65_535;
/// What every link carries of IPv6 (RFC 8200 §5).
const LEAST_MTU: usize = 1280;
const IPV6_HEADER: usize = 40;
const FRAGMENT_HEADER: usize = 8;
/// The fragment header among the protocols of IP.
const FRAGMENT: u8 = 44;

/// Packets of which only a part has come.
#[derive(Debug, Default)]
pub(super) struct Reassembly(BTreeMap<Whole, Incomplete>);

#[derive(Debug)]
struct Incomplete {
    since: Instant,
    /// By where they begin. They do not overlap.
    parts: BTreeMap<usize, Vec<u8>>,
    /// Bytes of all parts together.
    here: usize,
    /// Bytes of the whole, once the last part has come.
    len: Option<usize>,
    ecn: EcnCodepoint,
}

impl Reassembly {
    /// Takes a fragment with its bytes; what the packet holds once all of it is there, and how it is marked: if one of
    /// its fragments was, it is too (RFC 3168 §5.3).
    pub(super) fn add(&mut self, now: Instant, fragment: &Fragment, bytes: &[u8]) -> Option<(Vec<u8>, EcnCodepoint)> {
        self.0
            .retain(|_, packet| now.saturating_duration_since(packet.since) < PATIENCE);
        if self.0.len() >= MAX_PACKETS && !self.0.contains_key(&fragment.of) {
            let oldest = self.0.iter().min_by_key(|(_, packet)| packet.since);
            if let Some(oldest) = oldest.map(|(of, _)| *of) {
                self.0.remove(&oldest);
            }
        }
        let packet = self.0.entry(fragment.of).or_insert_with(|| Incomplete {
            since: now,
            parts: BTreeMap::new(),
            here: 0,
            len: None,
            ecn: fragment.ecn,
        });
        let fits = packet.add(fragment, bytes);
        if fits.is_some() && packet.len != Some(packet.here) {
            return None;
        }
        // It is complete; or nonsense, and then nothing of it is worth keeping (RFC 5722 §4).
        let packet = self.0.remove(&fragment.of)?;
        fits.map(|()| (packet.parts.into_values().flatten().collect(), packet.ecn))
    }
}

impl Incomplete {
    /// `None` if it contradicts what is there.
    fn add(&mut self, fragment: &Fragment, bytes: &[u8]) -> Option<()> {
        let end = fragment.offset + bytes.len();
        let aligned = !fragment.more || bytes.len().is_multiple_of(8);
        (!bytes.is_empty() && aligned && end <= MAX_CONTENT).then_some(())?;
        if self.parts.get(&fragment.offset).is_some_and(|part| part == bytes) {
            // It came twice.
            return Some(());
        }
        let before = self.parts.range(..end).next_back();
        let overlaps = before.is_some_and(|(start, part)| start + part.len() > fragment.offset);
        let len = if fragment.more { self.len } else { Some(end) };
        let last_differs = self.len.is_some_and(|known| len != Some(known));
        let beyond = |len: usize| {
            end > len
                || self
                    .parts
                    .last_key_value()
                    .is_some_and(|(at, part)| at + part.len() > len)
        };
        let impossible = overlaps || last_differs || len.is_some_and(beyond) || self.parts.len() >= MAX_PARTS;
        (!impossible).then_some(())?;
        self.len = len;
        self.here += bytes.len();
        if fragment.ecn == EcnCodepoint::Ce {
            self.ecn = EcnCodepoint::Ce;
        }
        self.parts.insert(fragment.offset, bytes.to_vec());
        Some(())
    }
}

/// Cuts an IPv6 packet, as only its sender may, into fragments that every link carries; one that is small is left
/// whole.
pub(super) fn cut_v6(packet: &[u8], ident: u32) -> Vec<Vec<u8>> {
    let (Some((header, content)), Some(next_header)) = (packet.split_at_checked(IPV6_HEADER), packet.get(6)) else {
        return Vec::new();
    };
    if packet.len() <= LEAST_MTU {
        return vec![packet.to_vec()];
    }
    let room = (LEAST_MTU - IPV6_HEADER - FRAGMENT_HEADER) / 8 * 8;
    let mut fragments = Vec::new();
    let mut offset = 0;
    for part in content.chunks(room) {
        let more = offset + part.len() < content.len();
        let place = u16::try_from(offset).unwrap_or_default() | u16::from(more);
        let len = u16::try_from(FRAGMENT_HEADER + part.len()).unwrap_or_default();
        let mut fragment = Vec::with_capacity(LEAST_MTU);
        fragment.extend(header.iter().take(4));
        fragment.extend(len.to_be_bytes());
        fragment.push(FRAGMENT);
        fragment.extend(header.iter().skip(7));
        fragment.extend([*next_header, 0]);
        fragment.extend(place.to_be_bytes());
        fragment.extend(ident.to_be_bytes());
        fragment.extend(part);
        fragments.push(fragment);
        offset += part.len();
    }
    fragments
}

#[cfg(test)]
mod tests {
    use super::super::ip::{self, Arrived};
    use super::*;

    fn of(ident: u32) -> Whole {
        Whole {
            src: "10.0.0.1".parse().unwrap(),
            dst: "10.0.0.2".parse().unwrap(),
            protocol: 132,
            ident,
        }
    }

    fn part(ident: u32, offset: usize, more: bool) -> Fragment {
        Fragment {
            of: of(ident),
            offset,
            more,
            ecn: if ident == 2 && offset == 40 {
                EcnCodepoint::Ce
            } else {
                EcnCodepoint::Ect0
            },
            at: 0..0,
        }
    }

    fn content() -> Vec<u8> {
        (0..100u8).collect()
    }

    /// Gives the parts in this order; what comes of the last one.
    fn add(reassembly: &mut Reassembly, ident: u32, parts: &[(usize, usize)]) -> Option<(Vec<u8>, EcnCodepoint)> {
        let (now, content) = (Instant::now(), content());
        let mut outcome = None;
        for &(start, end) in parts {
            assert_eq!(outcome, None);
            let fragment = part(ident, start, end < content.len());
            outcome = reassembly.add(now, &fragment, &content[start..end]);
        }
        outcome
    }

    #[test]
    fn parts_are_put_together_in_any_order_and_packets_are_told_apart() {
        let mut reassembly = Reassembly::default();
        for parts in [
            [(0, 40), (40, 80), (80, 100)].as_slice(),
            &[(80, 100), (0, 40), (40, 80)],
            &[(40, 80), (80, 100), (80, 100), (40, 80), (0, 40)],
            &[(0, 100)],
        ] {
            assert_eq!(add(&mut reassembly, 1, &[(0, 40)]), None);
            let is_marked = parts.iter().any(|(start, _)| *start == 40);
            let ecn = [EcnCodepoint::Ect0, EcnCodepoint::Ce][usize::from(is_marked)];
            assert_eq!(add(&mut reassembly, 2, parts), Some((content(), ecn)), "{parts:?}");
            assert!(!reassembly.0.contains_key(&of(2)));
        }
        let rest = add(&mut reassembly, 1, &[(40, 100)]);
        assert_eq!(rest, Some((content(), EcnCodepoint::Ect0)));
        assert!(reassembly.0.is_empty());
    }

    #[test]
    fn rfc5722_4_packets_with_parts_that_overlap_are_dropped() {
        for parts in [
            [(0, 40), (32, 80)].as_slice(),
            &[(32, 80), (0, 40)],
            &[(0, 40), (0, 48)],
            &[(0, 40), (8, 16)],
            &[(8, 16), (0, 40)],
        ] {
            let mut reassembly = Reassembly::default();
            assert_eq!(add(&mut reassembly, 1, parts), None);
            assert!(reassembly.0.is_empty(), "{parts:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_dropped() {
        let now = Instant::now();
        for (offset, more, len) in [(0, true, 7), (0, true, 0), (65_528, false, 8), (65_528, true, 16)] {
            let mut reassembly = Reassembly::default();
            assert_eq!(reassembly.add(now, &part(1, offset, more), &vec![0; len]), None);
            assert!(reassembly.0.is_empty(), "{offset} {more} {len}");
        }
        // Two ends, and more behind the end.
        for (offset, more) in [(8, false), (24, false), (24, true)] {
            let mut reassembly = Reassembly::default();
            assert_eq!(reassembly.add(now, &part(1, 16, false), &[0; 8]), None);
            assert_eq!(reassembly.add(now, &part(1, offset, more), &[0; 8]), None);
            assert!(reassembly.0.is_empty(), "{offset} {more}");
        }
    }

    #[test]
    fn memory_is_bounded_and_what_stays_incomplete_is_forgotten() {
        let (mut reassembly, start) = (Reassembly::default(), Instant::now());
        for ident in 0..1000 {
            let now = start + Duration::from_millis(ident.into());
            assert_eq!(reassembly.add(now, &part(ident, 0, true), &[0; 8]), None);
        }
        assert_eq!(reassembly.0.len(), MAX_PACKETS);
        assert!(reassembly.0.contains_key(&of(999)));
        let later = start + Duration::from_secs(1) + PATIENCE;
        for index in 0..=MAX_PARTS {
            assert_eq!(reassembly.add(later, &part(5, index * 8, true), &[0; 8]), None);
        }
        assert!(reassembly.0.is_empty());
    }

    #[test]
    fn rfc8200_4_5_what_is_cut_is_put_together_again() {
        let ends = ("fd00::1".parse().unwrap(), "fd00::2".parse().unwrap());
        for len in [1200, 1240, 1241, 3000, 60_000] {
            let payload: Vec<u8> = (0..len).map(|at: u32| at as u8).collect();
            let mut packet = Vec::new();
            assert!(ip::write(&mut packet, ends, None, false, 0, &payload));
            let parts = cut_v6(&packet, 7);
            assert_eq!(parts.len() > 1, len > 1240);
            let mut reassembly = Reassembly::default();
            let mut whole = None;
            for part in &parts {
                assert!(part.len() <= LEAST_MTU);
                match ip::read(part) {
                    Arrived::Sctp { at, .. } => whole = Some(part[at].to_vec()),
                    Arrived::Fragment(fragment) => {
                        assert_eq!((fragment.of.protocol, fragment.of.ident), (132, 7));
                        let added = reassembly.add(Instant::now(), &fragment, &part[fragment.at.clone()]);
                        whole = added.map(|(content, _)| content);
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(whole, Some(payload));
        }
        assert!(cut_v6(&[0; 39], 1).is_empty());
    }
}
