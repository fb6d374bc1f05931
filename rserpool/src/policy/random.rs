//! Random (RFC 5356 §4.3): all have the same chance, each time anew.

use super::Standing;

pub(super) const fn standing() -> Standing {
    Standing::Weight(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sctp::random::Random;

    use crate::policy::{Policy, Selector};
    use crate::wire::policy::PolicyParam;

    fn pool(size: u32) -> Selector<u32> {
        let mut selector = Selector::new(Policy::Random);
        for key in 0..size {
            assert!(selector.set(key, &PolicyParam::Random));
        }
        selector
    }

    #[test]
    fn rfc5356_4_3_2_no_element_is_reported_twice_and_all_are_if_asked_for() {
        let mut selector = pool(50);
        let mut random = Random::from_number(3);
        let mut all = selector.select(99, 1, &mut random);
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
        let mut some = selector.select(20, 1, &mut random);
        some.sort_unstable();
        some.dedup();
        assert_eq!(some.len(), 20);
    }

    #[test]
    fn rfc5356_4_3_every_ordered_choice_is_equally_likely() {
        let mut selector = pool(4);
        let mut random = Random::from_number(11);
        let mut counts = BTreeMap::new();
        for _ in 0..12_000 {
            *counts.entry(selector.select(2, 1, &mut random)).or_insert(0_i32) += 1;
        }
        assert_eq!(counts.len(), 12);
        // Each has a mean of 1000 and a standard deviation of 30.
        assert!(counts.values().all(|n| (n - 1000).abs() < 150), "{counts:?}");
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draw = |seed| {
            let (mut selector, mut random) = (pool(30), Random::from_number(seed));
            (0..20).map(|_| selector.select(5, 1, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
