//! What pool elements serve: each is a [`rserpool::service::Service`], without I/O.

pub mod echo;
pub mod pingpong;
pub mod watched;

/// The load of `sessions` sessions where `capacity` of them are the full load, as a fraction of 0xffffffff.
fn load(sessions: usize, capacity: usize) -> u32 {
    let full = u64::from(u32::MAX);
    let sessions = u64::try_from(sessions).unwrap_or(full).min(full);
    let capacity = u64::try_from(capacity).unwrap_or(full).max(1);
    u32::try_from(sessions * full / capacity).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_the_share_of_the_capacity() {
        assert_eq!(load(0, 4), 0);
        assert_eq!(load(2, 4), u32::MAX / 2);
        assert_eq!(load(4, 4), u32::MAX);
        assert_eq!(load(9, 4), u32::MAX);
        assert_eq!(load(1, 0), u32::MAX);
    }
}
