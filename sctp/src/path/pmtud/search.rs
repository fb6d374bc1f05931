//! Which size to try next (RFC 8899 §5.3): first the sizes that most paths have, then, between one that arrives and one
//! that does not, those that links and tunnels are known for.

/// What most paths carry: Ethernet, and Ethernet with jumbo frames. Beyond them is the largest size allowed.
const LANDMARKS: [u16; 2] = [1500, 9000];

/// Sizes of links and tunnels, in order.
const COMMON: [u16; 14] = [
    1400, 1420, 1450, 1460, 1480, 1492, 1500, 2048, 4352, 8896, 8950, 9000, 16384, 32768,
];

/// How far a search is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Search {
    /// The smallest size that did not arrive.
    too_big: Option<u16>,
    /// What somebody on the path says it carries.
    reported: Option<u16>,
}

impl Search {
    /// A search that knows nothing.
    pub(super) const fn new() -> Self {
        Self {
            too_big: None,
            reported: None,
        }
    }

    /// A search up to a size that was reported.
    pub(super) const fn reported(size: u16) -> Self {
        Self {
            too_big: Some(size.saturating_add(1)),
            reported: Some(size),
        }
    }

    /// A size did not arrive.
    pub(super) fn too_big(&mut self, size: u16) {
        self.too_big = Some(self.too_big.map_or(size, |known| known.min(size)));
    }

    /// The size to try where `arrives` does and no more than `max` is wanted; `None` when there is none worth a try.
    pub(super) fn next(&mut self, arrives: u16, max: u16) -> Option<u16> {
        let Some(too_big) = self.too_big else {
            return self.climb(arrives, max);
        };
        if let Some(size) = self.reported.take()
            && size > arrives
            && size < too_big
            && size <= max
        {
            return Some(size);
        }
        let limit = if too_big <= max { too_big } else { max.saturating_add(1) };
        match between(arrives, limit) {
            Some(size) => Some(size),
            // Unknown sizes are worth a try only where they would make a difference.
            None if limit.saturating_sub(arrives) > arrives / 2 => Some(arrives + (limit - arrives) / 2),
            None => None,
        }
    }

    const fn climb(&self, arrives: u16, max: u16) -> Option<u16> {
        let [ethernet, jumbo] = LANDMARKS;
        if arrives >= max {
            None
        } else if arrives < ethernet && ethernet < max {
            Some(ethernet)
        } else if arrives < jumbo && jumbo < max {
            Some(jumbo)
        } else {
            Some(max)
        }
    }
}

/// The middle one of the common sizes above `low` and below `high`.
fn between(low: u16, high: u16) -> Option<u16> {
    let inside = || {
        COMMON
            .into_iter()
            .filter(|size| (low.saturating_add(1)..high).contains(size))
    };
    inside().nth(inside().count() / 2)
}
