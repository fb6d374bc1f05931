//! The order in which a pool user tries the elements that a registrar named (RFC 5352 §6.5.2, RFC 5356).

use sctp::random::Random;

use crate::wire::element::PoolElementParam;
use crate::wire::policy::PolicyParam;

/// The elements in the order to try them, when they are selected from for the `turn`th time.
///
/// The first time it is the registrar's order, which is the policy's. After that, pools that take turns go on to the
/// next element (RFC 5356 §4.1.3), random pools are drawn from again (§4.3.3, §4.4.3), and all others, which follow the
/// load or a priority, keep to the registrar's order (§4.5.3, §5.1.3).
pub(super) fn in_order<'a>(
    policy: &PolicyParam,
    elements: &'a [PoolElementParam],
    turn: usize,
    random: &mut Random,
) -> Vec<&'a PoolElementParam> {
    let mut order: Vec<&PoolElementParam> = elements.iter().collect();
    if turn == 0 || order.len() < 2 {
        return order;
    }
    match policy {
        PolicyParam::RoundRobin | PolicyParam::WeightedRoundRobin { .. } => {
            let first = turn.checked_rem(order.len()).unwrap_or(0);
            order.rotate_left(first);
            order
        }
        PolicyParam::Random | PolicyParam::WeightedRandom { .. } | PolicyParam::WeightedRandomDpf { .. } => {
            draw_all(order, random)
        }
        _ => order,
    }
}

/// Draws all elements, one after the other, each by its weight among those that are left.
fn draw_all<'a>(mut left: Vec<&'a PoolElementParam>, random: &mut Random) -> Vec<&'a PoolElementParam> {
    let mut drawn = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let sum: u64 = left.iter().map(|element| weight(element)).sum();
        let mut ticket = random.below(sum);
        let hit = left
            .iter()
            .position(|element| match ticket.checked_sub(weight(element)) {
                Some(rest) => {
                    ticket = rest;
                    false
                }
                None => true,
            });
        // Elements without weight come last, in their order.
        drawn.push(left.remove(hit.unwrap_or(0)));
    }
    drawn
}

const fn weight(element: &PoolElementParam) -> u64 {
    match element.policy {
        PolicyParam::WeightedRandom { weight } | PolicyParam::WeightedRandomDpf { weight, .. } => weight as u64,
        _ => 1,
    }
}
