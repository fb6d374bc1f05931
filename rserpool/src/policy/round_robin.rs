//! Round Robin (RFC 5356 §4.1): all are equal, and take turns.

use super::Standing;

pub(super) const fn standing() -> Standing {
    Standing::Rank(0)
}

#[cfg(test)]
mod tests {
    use sctp::random::Random;

    use crate::policy::{Policy, Selector};
    use crate::wire::policy::PolicyParam;

    fn pool(keys: &str) -> Selector<char> {
        let mut selector = Selector::new(Policy::RoundRobin);
        for key in keys.chars() {
            assert!(selector.set(key, &PolicyParam::RoundRobin));
        }
        selector
    }

    fn select(selector: &mut Selector<char>, count: usize, increment: usize) -> String {
        selector
            .select(count, increment, &mut Random::from_number(0))
            .into_iter()
            .collect()
    }

    #[test]
    fn rfc5356_4_1_2_the_head_of_the_list_advances_by_one() {
        let mut selector = pool("abcd");
        let lists: Vec<_> = (0..5).map(|_| select(&mut selector, 3, 1)).collect();
        assert_eq!(lists, ["abc", "bcd", "cda", "dab", "abc"]);
    }

    #[test]
    fn with_a_greater_increment_all_that_were_selected_lose_their_turn() {
        let mut selector = pool("abcd");
        let lists: Vec<_> = (0..3).map(|_| select(&mut selector, 3, 3)).collect();
        assert_eq!(lists, ["abc", "dab", "cda"]);
    }

    #[test]
    fn newcomers_queue_at_the_end_and_updates_keep_the_turn() {
        let mut selector = pool("ab");
        select(&mut selector, 1, 1);
        selector.set('c', &PolicyParam::RoundRobin);
        selector.set('b', &PolicyParam::RoundRobin);
        assert_eq!(select(&mut selector, 9, 1), "bac");
        selector.remove('a');
        assert_eq!(select(&mut selector, 9, 1), "cb");
    }

    #[test]
    fn rfc5356_4_1_every_element_gets_the_same_share() {
        let mut selector = pool("abcdefg");
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..700 {
            *counts.entry(select(&mut selector, 1, 1)).or_insert(0) += 1;
        }
        assert!(counts.len() == 7 && counts.values().all(|&n| n == 100), "{counts:?}");
    }
}
