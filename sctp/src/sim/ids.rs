//! Names of things in a world, and the seeds that follow from names.

use sha2::{Digest, Sha256};

/// Names a host of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) usize);

/// Names a link of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) usize);

/// Names an application of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(pub(crate) usize);

/// The seed of the thing of this `kind` and `name` in a world with this seed. Names decide, not the order of
/// creation, so that a new thing changes no other one's draws.
pub fn seed_of(world: u64, kind: &str, name: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(world.to_be_bytes());
    hash.update(kind.as_bytes());
    hash.update([0]);
    hash.update(name.as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_by_world_kind_and_name() {
        let seeds = [
            seed_of(1, "host", "a"),
            seed_of(2, "host", "a"),
            seed_of(1, "link", "a"),
            seed_of(1, "host", "b"),
            seed_of(1, "hosta", ""),
        ];
        for (i, a) in seeds.iter().enumerate() {
            assert!(seeds.iter().skip(i + 1).all(|b| a != b));
        }
        assert_eq!(seed_of(1, "host", "a"), seed_of(1, "host", "a"));
    }
}
