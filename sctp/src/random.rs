//! Randomness from one seed: the same seed gives the same run.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A generator whose whole output follows from its seed.
///
/// The generator is cryptographic (ChaCha), so bytes that go on the wire tell nothing about those that do not.
/// Components take a [`child`](Self::child) each, so that a new component does not change what the others draw.
#[derive(Debug)]
pub struct Random(StdRng);

impl Random {
    /// The generator of `seed`.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(StdRng::from_seed(seed))
    }

    /// The generator of a short seed, for tests and simulations.
    pub fn from_number(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A seed for another generator, independent of what this one yields later.
    pub fn child_seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        seed
    }

    /// A generator of its own, seeded from this one.
    pub fn child(&mut self) -> Self {
        Self::new(self.child_seed())
    }

    /// 32 random bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// 64 random bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number other than zero, as verification tags and identifiers need (RFC 9260 §5.3.1).
    pub fn non_zero_u32(&mut self) -> u32 {
        loop {
            let value = self.u32();
            if value != 0 {
                return value;
            }
        }
    }

    /// A number below `bound`, evenly spread; zero for a bound of zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.u64()) * u128::from(bound);
        // The high half of the product is below `bound`, so it fits.
        (product >> 64) as u64
    }

    /// A number from 0 up to but not including 1.
    pub fn unit(&mut self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with the probability `p` (0 never, 1 always).
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut a, mut b) = (Random::new([7; 32]), Random::new([7; 32]));
        assert!((0..100).all(|_| a.u64() == b.u64()));
        assert_ne!(Random::new([7; 32]).u64(), Random::new([8; 32]).u64());
    }

    #[test]
    fn a_child_does_not_follow_its_parent() {
        let mut parent = Random::from_number(1);
        let mut child = parent.child();
        assert_ne!(parent.u64(), child.u64());
    }

    #[test]
    fn bounded_draws_stay_inside_and_reach_every_value() {
        let mut random = Random::from_number(2);
        let mut seen = [0u32; 7];
        for _ in 0..7000 {
            seen[usize::try_from(random.below(7)).unwrap()] += 1;
        }
        assert!(seen.iter().all(|&n| n > 800), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random.unit())));
    }
}
