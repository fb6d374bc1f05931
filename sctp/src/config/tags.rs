//! Sharing out verification tags between stacks.

/// The verification tags that one of several stacks draws for its associations, where a tag tells whose a packet is.
///
/// The stacks of one address and UDP port, each with an index of its own, know so which of them a packet is for. A
/// secret keeps others from telling, and so from guessing tags any better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagShare {
    factor: u32,
    shares: u16,
    index: u16,
}

impl TagShare {
    /// The share `index` of `shares`, of which there is at least one; an index that is too large stands for the last.
    /// All have the same `secret`.
    pub const fn new(secret: u32, shares: u16, index: u16) -> Self {
        let shares = if shares == 0 { 1 } else { shares };
        Self {
            factor: secret | 1,
            shares,
            index: if index < shares { index } else { shares - 1 },
        }
    }

    /// What a number is multiplied by, modulo 2^32: [`of`](Self::of) is the upper half of that, modulo the number of
    /// shares.
    pub const fn factor(&self) -> u32 {
        self.factor
    }

    /// How many shares there are.
    pub const fn shares(&self) -> u16 {
        self.shares
    }

    /// The index of the share that a number is in.
    pub const fn of(&self, number: u32) -> u16 {
        let [high, low, ..] = number.wrapping_mul(self.factor).to_be_bytes();
        u16::from_be_bytes([high, low]).rem_euclid(self.shares)
    }

    /// Whether a number is in this share.
    pub const fn has(&self, number: u32) -> bool {
        self.of(number) == self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_one_share_and_shares_are_even() {
        let shares: Vec<TagShare> = (0..3).map(|index| TagShare::new(0x9E37_79B8, 3, index)).collect();
        let mut counts = [0; 3];
        for number in 0..30_000u32 {
            let number = number.wrapping_mul(2_654_435_761);
            let owners: Vec<usize> = (0..3).filter(|&i| shares[i].has(number)).collect();
            assert_eq!(owners.len(), 1);
            counts[owners[0]] += 1;
        }
        assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
    }

    #[test]
    fn there_is_always_a_share_with_numbers() {
        let odd = TagShare::new(0, 0, 9);
        assert_eq!((odd.shares(), odd.of(7), odd.has(7)), (1, 0, true));
        assert_eq!(TagShare::new(1, 4, 9), TagShare::new(1, 4, 3));
    }
}
