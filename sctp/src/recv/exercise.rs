//! A look inside the receiver, for models of it.

use super::Inbound;
use super::window::charge;

/// What is counted is what is there, and it is bounded.
pub(crate) fn check_invariants(inbound: &Inbound) {
    let lens: Vec<usize> = inbound
        .inbox
        .lens()
        .chain(inbound.reassembly.piece_lens())
        .chain(inbound.interleaved.iter().flat_map(|peer| peer.piece_lens()))
        .chain(inbound.ordering.held().map(|message| message.received.payload.len()))
        .collect();
    assert_eq!(inbound.buffered_bytes(), lens.iter().sum::<usize>());
    assert_eq!(
        inbound.window.charged(),
        lens.iter().copied().map(charge).sum::<usize>()
    );
    let buffer = inbound.window.buffer();
    // One packet beyond the limit, and the one that fills the first gap.
    assert!(inbound.window.charged() < 2 * buffer + 2 * 65_536);
    assert!(inbound.buffered_bytes() < buffer + 2 * 65_536);
    assert!(inbound.a_rwnd() as usize <= buffer.saturating_sub(inbound.buffered_bytes()));
    assert!(!inbound.readable() || inbound.pending_messages() > 0);
}

/// Whether nothing is held, and the window is whole.
pub(crate) fn is_idle(inbound: &Inbound) -> bool {
    inbound.buffered_bytes() == 0
        && inbound.pending_messages() == 0
        && !inbound.is_partial()
        && inbound.reassembly.piece_lens().is_empty()
        && inbound.interleaved.iter().all(|peer| peer.is_empty())
        && inbound.ordering.held().next().is_none()
        && inbound.window.free() == inbound.window.buffer()
}
