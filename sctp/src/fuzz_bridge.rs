//! The bodies of the fuzz targets in `fuzz/`: the only door that fuzzers need. Ordinary tests run them over the seeds
//! there, as they are and damaged.

use crate::serial::VerificationTag;
use crate::wire::exercise::{rewrite, walk_any_packet};
use crate::wire::{ChunkType, CommonHeader, begin_packet, finish_packet, write_chunk};

/// More than any datagram holds is not looked at.
const MAX_LEN: usize = 60_000;

/// Bytes as a packet: reading does no harm, and what is read and written once stays as it is. The checksum of `data`
/// does not matter.
pub fn packet(data: &[u8]) {
    if data.len() > MAX_LEN {
        return;
    }
    walk_any_packet(data);
    let mut packet = data.to_vec();
    finish_packet(&mut packet, 0);
    if let Ok(again) = rewrite(&packet) {
        walk_any_packet(&again);
        assert_eq!(rewrite(&again).as_ref(), Ok(&again), "what was written once changes");
    }
}

/// Bytes as type, flags and value of the only chunk of a packet: like [`packet`], but no length stands in the way.
pub fn chunk(data: &[u8]) {
    let (Some((&[kind, flags], value)), true) = (data.split_first_chunk(), data.len() <= MAX_LEN) else {
        return;
    };
    let header = CommonHeader {
        source_port: 1,
        destination_port: 2,
        verification_tag: VerificationTag(3),
    };
    let mut buf = Vec::new();
    let start = begin_packet(&mut buf, &header);
    write_chunk(&mut buf, ChunkType(kind), flags, value);
    finish_packet(&mut buf, start);
    packet(&buf);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// The seeds of the fuzz target `target`.
    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|file| fs::read(file).unwrap()).collect()
    }

    /// Runs `body` over the seeds, whole, cut off at each byte, and with each byte changed.
    fn run(target: &str, body: fn(&[u8])) {
        let seeds = seeds(target);
        assert!(seeds.len() > 10, "{} seeds", seeds.len());
        for seed in seeds {
            body(&seed);
            for at in 0..seed.len() {
                body(&seed[..at]);
                let mut damaged = seed.clone();
                for change in [0x01, 0x40, 0x80, 0xff] {
                    damaged[at] = seed[at] ^ change;
                    body(&damaged);
                }
            }
        }
    }

    #[test]
    fn packets_are_read_without_harm() {
        run("packet", super::packet);
    }

    #[test]
    fn chunks_are_read_without_harm() {
        run("chunk", super::chunk);
    }
}
