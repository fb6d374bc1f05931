//! Pool policies on command lines: `RoundRobin`, `WeightedRoundRobin:10`, `LeastUsedDegradation:0.25`, as in RSPLIB.

use rserpool::wire::policy::PolicyParam;

/// A policy by its long or short name, with its values after colons. Weights and priorities are numbers; degradations
/// and delay penalty factors are fractions from 0 to 1.
///
/// # Errors
///
/// What is wrong with the text.
pub fn policy(text: &str) -> Result<PolicyParam, String> {
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default();
    let mut policy = PolicyParam::from_name(name)
        .ok_or_else(|| format!("unknown policy {name:?}; try RoundRobin, Random or LeastUsed"))?;
    let mut next = |what: &str| parts.next().ok_or_else(|| format!("{name} wants {what} after a colon"));
    match &mut policy {
        PolicyParam::WeightedRoundRobin { weight } | PolicyParam::WeightedRandom { weight } => {
            *weight = number(next("a weight")?)?;
        }
        PolicyParam::Priority { priority } => *priority = number(next("a priority")?)?,
        PolicyParam::LeastUsedDegradation { degradation, .. }
        | PolicyParam::PriorityLeastUsed { degradation, .. }
        | PolicyParam::RandomizedPriorityLeastUsed { degradation, .. }
        | PolicyParam::RandomizedLeastUsedDegradation { degradation, .. }
        | PolicyParam::PriorityLeastUsedDegradation { degradation, .. }
        | PolicyParam::RandomizedPriorityLeastUsedDegradation { degradation, .. } => {
            *degradation = fraction(next("a degradation")?)?;
        }
        PolicyParam::WeightedRandomDpf { weight, weight_dpf, .. } => {
            *weight = number(next("a weight")?)?;
            *weight_dpf = fraction(next("a delay penalty factor")?)?;
        }
        PolicyParam::LeastUsedDpf { load_dpf, .. } => *load_dpf = fraction(next("a delay penalty factor")?)?,
        PolicyParam::LeastUsedDegradationDpf {
            degradation, load_dpf, ..
        }
        | PolicyParam::PriorityLeastUsedDpf {
            degradation, load_dpf, ..
        }
        | PolicyParam::PriorityLeastUsedDegradationDpf {
            degradation, load_dpf, ..
        } => {
            *degradation = fraction(next("a degradation")?)?;
            *load_dpf = fraction(next("a delay penalty factor")?)?;
        }
        _ => {}
    }
    match parts.next() {
        Some(more) => Err(format!("{name} wants nothing like {more:?}")),
        None => Ok(policy),
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a number from 0 to {}", u32::MAX))
}

/// A fraction of 0xffffffff.
fn fraction(text: &str) -> Result<u32, String> {
    let value: f64 = text
        .parse()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value))
        .ok_or_else(|| format!("{text:?} is not a fraction from 0 to 1"))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 1 of the greatest value fits"
    )]
    let scaled = (value * f64::from(u32::MAX)).round() as u32;
    Ok(scaled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_known_by_both_names() {
        assert_eq!(policy("RoundRobin"), Ok(PolicyParam::RoundRobin));
        assert_eq!(policy("rr"), Ok(PolicyParam::RoundRobin));
        assert_eq!(policy("Random"), Ok(PolicyParam::Random));
        assert_eq!(policy("LeastUsed"), Ok(PolicyParam::LeastUsed { load: 0 }));
    }

    #[test]
    fn values_follow_after_colons() {
        assert_eq!(
            policy("WeightedRoundRobin:7"),
            Ok(PolicyParam::WeightedRoundRobin { weight: 7 })
        );
        assert_eq!(
            policy("LeastUsedDegradation:1"),
            Ok(PolicyParam::LeastUsedDegradation {
                load: 0,
                degradation: u32::MAX
            })
        );
        assert_eq!(
            policy("LeastUsedDegradationDPF:0:0.5"),
            Ok(PolicyParam::LeastUsedDegradationDpf {
                load: 0,
                degradation: 0,
                load_dpf: 1 << 31,
                distance: 0
            })
        );
    }

    #[test]
    fn mistakes_are_refused() {
        for wrong in [
            "",
            "Robin",
            "RoundRobin:1",
            "WeightedRoundRobin",
            "WeightedRoundRobin:x",
            "WeightedRoundRobin:-1",
            "LeastUsedDegradation:1.5",
            "LeastUsedDegradation:NaN",
            "LeastUsedDPF:0.5:0.5",
        ] {
            assert!(policy(wrong).is_err(), "{wrong}");
        }
    }
}
