//! The receiving half through its facade.

mod acknowledgement;
mod delivery;
mod forward;
mod interleaved;
mod interleaved_model;
mod model;
mod window;

use std::collections::BTreeSet;

use super::exercise::check_invariants;
use super::*;

const CONFIG: InboundConfig = InboundConfig {
    receive_buffer: 65_536,
    streams: 10,
    forward_tsn: false,
    interleaving: false,
    fragment_interleave: FragmentInterleave::Associations,
    sack_delay: Duration::from_millis(200),
    sack_frequency: 2,
    partial_delivery_point: None,
};

fn inbound() -> Inbound {
    Inbound::new(Tsn(1), CONFIG)
}

/// An ordered message in one fragment.
fn data(tsn: u32, stream: u16, ssn: u16, payload: &[u8]) -> DataFragment {
    DataFragment {
        tsn: Tsn(tsn),
        stream: StreamId(stream),
        ssn: Ssn(ssn),
        ppid: Ppid(7),
        unordered: false,
        beginning: true,
        ending: true,
        immediate: false,
        payload: Bytes::copy_from_slice(payload),
    }
}

/// User data that shows which message it is of, and where it belongs.
fn pattern(message: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31) ^ message as u8).collect()
}

/// Which fragments Gap Ack Blocks acknowledge, counted from the first one, where the Cumulative TSN Ack covers `acked`.
fn gap_acked(acked: usize, gaps: &[(u16, u16)]) -> BTreeSet<usize> {
    gaps.iter()
        .flat_map(|(first, last)| usize::from(*first)..=usize::from(*last))
        .map(|n| acked + n - 1)
        .collect()
}

/// A message cut into chunks of at most `chunk` bytes.
fn fragments(
    first: Tsn,
    stream: StreamId,
    ssn: Ssn,
    ppid: Ppid,
    unordered: bool,
    payload: &[u8],
    chunk: usize,
) -> Vec<DataFragment> {
    let last = payload.len().div_ceil(chunk) - 1;
    payload
        .chunks(chunk)
        .enumerate()
        .map(|(n, part)| DataFragment {
            tsn: first.plus(n as u32),
            stream,
            ssn,
            ppid,
            unordered,
            beginning: n == 0,
            ending: n == last,
            immediate: false,
            payload: Bytes::copy_from_slice(part),
        })
        .collect()
}

fn sack(inbound: &mut Inbound) -> (SackNumbers, Vec<(u16, u16)>, Vec<Tsn>) {
    sack_with(inbound, 100)
}

fn sack_with(inbound: &mut Inbound, max_entries: usize) -> (SackNumbers, Vec<(u16, u16)>, Vec<Tsn>) {
    let (mut gaps, mut duplicates) = (Vec::new(), Vec::new());
    let numbers = inbound.take_sack(&mut gaps, &mut duplicates, max_entries);
    (numbers, gaps, duplicates)
}

#[test]
fn a_message_comes_out_as_it_was_sent_and_leaves_nothing_behind() {
    let mut inbound = inbound();
    assert_eq!(inbound.on_data(data(1, 3, 0, b"hello")), Ok(DataOutcome::Accepted));
    assert!(inbound.readable());
    assert_eq!(inbound.buffered_bytes(), 5);
    let received = inbound.recv().unwrap();
    assert_eq!(
        (received.stream, received.ssn, received.ppid),
        (StreamId(3), Ssn(0), Ppid(7))
    );
    assert_eq!(
        (received.tsn, received.end_of_message, &received.payload[..]),
        (Tsn(1), true, &b"hello"[..])
    );
    assert!(!inbound.readable() && inbound.recv().is_none());
    assert_eq!(inbound.buffered_bytes(), 0);
    assert_eq!(sack(&mut inbound).0.cumulative_tsn_ack, Tsn(1));
}
