//! Explicit Congestion Notification (RFC 3168) in SCTP. RFC 9260 only reserves the numbers for it; the rules are those
//! of RFC 4960 Appendix A, which Linux and FreeBSD still follow:
//!
//! - Both sides say in INIT and INIT ACK that they take part.
//! - New data leaves in packets that ask for marks (ECT(0)). Retransmissions, probes of a closed window and packets
//!   without data do not (RFC 3168 §6.1.4 to §6.1.6).
//! - The receiver tells of a marked packet by an ECNE with each SACK ([`Echo`]), until a CWR comes for it.
//! - The sender shrinks the window of the path as after a loss, once for a window of data ([`Reactions`]), and answers
//!   each ECNE by a CWR.

mod echo;
mod reactions;
mod trial;

pub(crate) use echo::Echo;
pub(crate) use reactions::Reactions;
pub(crate) use trial::Trial;
