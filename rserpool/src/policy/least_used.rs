//! Least Used (RFC 5356 §5.1): the lowest load first, equal ones in turn.

use super::Standing;

pub(super) const fn standing(load: u32) -> Standing {
    // Lossless; `u64::from` is not a constant function.
    Standing::Rank(load as u64)
}

#[cfg(test)]
mod tests {
    use sctp::random::Random;

    use crate::policy::{Policy, Selector};
    use crate::wire::policy::PolicyParam;

    fn pool(loads: &[(char, u32)]) -> Selector<char> {
        let mut selector = Selector::new(Policy::LeastUsed);
        for &(key, load) in loads {
            assert!(selector.set(key, &PolicyParam::LeastUsed { load }));
        }
        selector
    }

    fn select(selector: &mut Selector<char>, count: usize) -> String {
        selector
            .select(count, 1, &mut Random::from_number(0))
            .into_iter()
            .collect()
    }

    #[test]
    fn rfc5356_5_1_2_the_lowest_loads_are_selected_in_ascending_order() {
        let mut selector = pool(&[('a', 900), ('b', 100), ('c', u32::MAX), ('d', 0)]);
        assert_eq!(select(&mut selector, 3), "dba");
        assert_eq!(select(&mut selector, 3), "dba");
        assert_eq!(select(&mut selector, 9), "dbac");
    }

    #[test]
    fn rfc5356_5_1_2_equal_loads_are_selected_round_robin() {
        let mut selector = pool(&[('a', 10), ('b', 10), ('c', 10), ('d', 20)]);
        let lists: Vec<_> = (0..4).map(|_| select(&mut selector, 4)).collect();
        assert_eq!(lists, ["abcd", "bcad", "cabd", "abcd"]);
    }

    #[test]
    fn a_new_load_takes_effect_at_once() {
        let mut selector = pool(&[('a', 10), ('b', 20)]);
        assert!(selector.set('a', &PolicyParam::LeastUsed { load: 30 }));
        assert_eq!(select(&mut selector, 2), "ba");
    }
}
