//! Notifications out of the kernel's bytes (RFC 6458 §6.1).

use std::net::SocketAddr;

use bytes::Bytes;

use super::abi::{
    self, Abi, AdaptationEvent, AssocChange, AssocResetEvent, AuthKeyEvent, Field, PaddrChange, PdapiEvent, PlainEvent,
    RemoteError, SendFailed, StreamChangeEvent, StreamResetEvent,
};
use super::send;
use crate::FailureReason;
use crate::info::AssocRepr;
use crate::{
    AssocId, AssociationChange, AssociationFeatures, AssociationState, AuthEvent, Notification, PathChange,
    ReconfigOutcome, SharedKeyId, Ssn, StreamDirection, StreamId, Tsn,
};

/// The cause code of an ABORT that the user asked for (RFC 9260 §3.3.10.12).
const USER_INITIATED_ABORT: u16 = 12;

/// The notification in `bytes`; `None` if it is of a kind that this library does not know. `peer` is the address that
/// came with it.
///
/// Who opened an association, and why one could not be set up whose peer sent no cause, the kernel does not say: those
/// are the caller's to fill in.
pub(crate) fn decode(bytes: &[u8], peer: Option<SocketAddr>) -> Option<Notification> {
    let name = |id| AssocId(AssocRepr::Kernel(id));
    Some(match u16::load(bytes)? {
        abi::SCTP_ASSOC_CHANGE => {
            let event = AssocChange::from_bytes(bytes)?;
            Notification::AssociationChange(AssociationChange {
                assoc: name(event.assoc),
                peer: peer?,
                state: state(&event, bytes.get(AssocChange::LEN..)?)?,
            })
        }
        abi::SCTP_PEER_ADDR_CHANGE => {
            let event = PaddrChange::from_bytes(bytes)?;
            Notification::PeerAddressChange {
                assoc: name(event.assoc),
                address: { event.address }.address()?,
                change: path_change(event.state)?,
            }
        }
        abi::SCTP_REMOTE_ERROR => {
            let event = RemoteError::from_bytes(bytes)?;
            let cause = u16::from_be(event.error);
            // The kernel gives the cause without its header.
            let data = bytes.get(RemoteError::LEN..)?;
            let mut raw = cause.to_be_bytes().to_vec();
            raw.extend(u16::try_from(data.len() + 4).unwrap_or(u16::MAX).to_be_bytes());
            raw.extend(data);
            Notification::RemoteError {
                assoc: name(event.assoc),
                cause,
                raw: raw.into(),
            }
        }
        abi::SCTP_SEND_FAILED_EVENT => {
            let event = SendFailed::from_bytes(bytes)?;
            Notification::SendFailed {
                assoc: name(event.assoc),
                info: send::info_of(&event),
                sent: event.flags & abi::SCTP_DATA_SENT != 0,
                // In the order of the network, as all causes.
                error: u16::from_be(u16::try_from(event.error & 0xffff).unwrap_or_default()),
                payload: Bytes::copy_from_slice(bytes.get(SendFailed::LEN..)?),
            }
        }
        abi::SCTP_SHUTDOWN_EVENT => Notification::PeerShutdown {
            assoc: name(PlainEvent::from_bytes(bytes)?.assoc),
        },
        abi::SCTP_SENDER_DRY_EVENT => Notification::SenderDry {
            assoc: name(PlainEvent::from_bytes(bytes)?.assoc),
        },
        abi::SCTP_ADAPTATION_INDICATION => {
            let event = AdaptationEvent::from_bytes(bytes)?;
            Notification::AdaptationIndication {
                assoc: name(event.assoc),
                indication: event.indication,
            }
        }
        abi::SCTP_PARTIAL_DELIVERY_EVENT => {
            let event = PdapiEvent::from_bytes(bytes)?;
            Notification::PartialDeliveryAborted {
                assoc: name(event.assoc),
                stream: StreamId(u16::try_from(event.stream & 0xffff).ok()?),
                ssn: Ssn(u16::try_from(event.seq & 0xffff).ok()?),
                unordered: event.flags & abi::SCTP_UNORDERED != 0,
                // The kernel does not tell it.
                tsn: Tsn(0),
            }
        }
        abi::SCTP_AUTHENTICATION_EVENT => {
            let event = AuthKeyEvent::from_bytes(bytes)?;
            Notification::Authentication {
                assoc: name(event.assoc),
                event: match event.indication {
                    abi::SCTP_AUTH_NEW_KEY => AuthEvent::NewKey(SharedKeyId(event.key)),
                    abi::SCTP_AUTH_FREE_KEY => AuthEvent::FreeKey(SharedKeyId(event.key)),
                    abi::SCTP_AUTH_NO_AUTH => AuthEvent::NoAuth,
                    _ => return None,
                },
            }
        }
        abi::SCTP_STREAM_RESET_EVENT => {
            let event = StreamResetEvent::from_bytes(bytes)?;
            let incoming = event.flags & abi::SCTP_STREAM_RESET_INCOMING_SSN != 0;
            let list = bytes.get(StreamResetEvent::LEN..)?.chunks_exact(2);
            Notification::StreamReset {
                assoc: name(event.assoc),
                direction: if incoming {
                    StreamDirection::Incoming
                } else {
                    StreamDirection::Outgoing
                },
                streams: list.filter_map(u16::load).map(StreamId).collect(),
                outcome: outcome(event.flags),
            }
        }
        abi::SCTP_ASSOC_RESET_EVENT => {
            let event = AssocResetEvent::from_bytes(bytes)?;
            Notification::AssociationReset {
                assoc: name(event.assoc),
                local_tsn: Tsn(event.local_tsn),
                remote_tsn: Tsn(event.remote_tsn),
                outcome: outcome(event.flags),
            }
        }
        abi::SCTP_STREAM_CHANGE_EVENT => {
            let event = StreamChangeEvent::from_bytes(bytes)?;
            Notification::StreamChange {
                assoc: name(event.assoc),
                inbound_streams: event.instrms,
                outbound_streams: event.outstrms,
                outcome: outcome(event.flags),
            }
        }
        _ => return None,
    })
}

fn state(event: &AssocChange, causes: &[u8]) -> Option<AssociationState> {
    let (outbound_streams, inbound_streams) = (event.outbound_streams, event.inbound_streams);
    Some(match event.state {
        abi::SCTP_COMM_UP => AssociationState::Up {
            initiated_here: false,
            outbound_streams,
            inbound_streams,
            // The caller looks them up.
            features: AssociationFeatures::default(),
        },
        abi::SCTP_RESTART => AssociationState::Restarted {
            outbound_streams,
            inbound_streams,
            // The caller looks them up.
            features: AssociationFeatures::default(),
        },
        abi::SCTP_SHUTDOWN_COMP => AssociationState::ShutdownComplete,
        abi::SCTP_COMM_LOST => AssociationState::Lost(reason(event.error, causes, FailureReason::PeerUnreachable)),
        abi::SCTP_CANT_STR_ASSOC => {
            AssociationState::CannotStart(reason(event.error, causes, FailureReason::SetupTimeout))
        }
        _ => return None,
    })
}

/// Why an association ended: by the peer's ABORT, if its causes are there, or by what this side did. The kernel gives
/// the number in the order of the network.
fn reason(error: u16, causes: &[u8], otherwise: FailureReason) -> FailureReason {
    let cause = u16::from_be(error);
    if let Some(first) = causes.first_chunk::<4>() {
        let [code @ .., high, low] = *first;
        let (code, len) = (u16::from_be_bytes(code), u16::from_be_bytes([high, low]));
        let said = causes.get(4..usize::from(len)).filter(|_| code == USER_INITIATED_ABORT);
        return FailureReason::PeerAbort {
            cause: Some(code),
            reason: said.map(Bytes::copy_from_slice).unwrap_or_default(),
        };
    }
    match cause {
        0 => otherwise,
        USER_INITIATED_ABORT => FailureReason::UserAbort,
        _ if otherwise == FailureReason::SetupTimeout => FailureReason::PeerAbort {
            cause: Some(cause),
            reason: Bytes::new(),
        },
        _ => FailureReason::PeerMisbehaved(sctp::error::Violation::MalformedChunk),
    }
}

const fn path_change(state: i32) -> Option<PathChange> {
    Some(match state {
        abi::SCTP_ADDR_AVAILABLE => PathChange::Available,
        abi::SCTP_ADDR_UNREACHABLE => PathChange::Unreachable,
        abi::SCTP_ADDR_REMOVED => PathChange::Removed,
        abi::SCTP_ADDR_ADDED => PathChange::Added,
        abi::SCTP_ADDR_MADE_PRIM => PathChange::Primary,
        abi::SCTP_ADDR_CONFIRMED => PathChange::Confirmed,
        abi::SCTP_ADDR_POTENTIALLY_FAILED => PathChange::PotentiallyFailed,
        _ => return None,
    })
}

const fn outcome(flags: u16) -> ReconfigOutcome {
    if flags & abi::SCTP_RECONFIG_DENIED != 0 {
        ReconfigOutcome::Denied
    } else if flags & abi::SCTP_RECONFIG_FAILED != 0 {
        ReconfigOutcome::Failed
    } else {
        ReconfigOutcome::Performed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::abi::Storage;

    fn change(state: u16, error: u16, causes: &[u8]) -> AssociationState {
        let event = AssocChange {
            kind: abi::SCTP_ASSOC_CHANGE,
            state,
            error: error.to_be(),
            outbound_streams: 3,
            inbound_streams: 4,
            assoc: 9,
            ..AssocChange::default()
        };
        let bytes = [&event.to_bytes(), causes].concat();
        match decode(&bytes, Some("127.0.0.1:7".parse().unwrap())) {
            Some(Notification::AssociationChange(change)) => {
                assert_eq!(change.assoc, AssocId(AssocRepr::Kernel(9)));
                change.state
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rfc6458_6_1_1_an_abort_brings_its_cause_and_its_reason() {
        let causes = [0, 12, 0, 8, b'w', b'h', b'y', b'?'];
        assert_eq!(
            change(abi::SCTP_COMM_LOST, 12, &causes),
            AssociationState::Lost(FailureReason::PeerAbort {
                cause: Some(12),
                reason: Bytes::from_static(b"why?")
            })
        );
        let cut_off = change(abi::SCTP_COMM_LOST, 12, &causes[..6]);
        assert_eq!(
            cut_off,
            AssociationState::Lost(FailureReason::PeerAbort {
                cause: Some(12),
                reason: Bytes::new()
            })
        );
    }

    #[test]
    fn rfc6458_6_1_1_ends_without_an_abort_are_told_apart() {
        let lost = |error| change(abi::SCTP_COMM_LOST, error, &[]);
        assert_eq!(lost(0), AssociationState::Lost(FailureReason::PeerUnreachable));
        assert_eq!(lost(12), AssociationState::Lost(FailureReason::UserAbort));
        let failed = change(abi::SCTP_CANT_STR_ASSOC, 0, &[]);
        assert_eq!(failed, AssociationState::CannotStart(FailureReason::SetupTimeout));
        assert_eq!(
            change(abi::SCTP_COMM_UP, 0, &[]),
            AssociationState::Up {
                initiated_here: false,
                outbound_streams: 3,
                inbound_streams: 4,
                features: AssociationFeatures::default(),
            }
        );
    }

    #[test]
    fn rfc6458_6_1_2_a_change_of_an_address_names_it() {
        let address = "[2001:db8::1]:7".parse().unwrap();
        let event = PaddrChange {
            kind: abi::SCTP_PEER_ADDR_CHANGE,
            address: Storage::new(Some(address)),
            state: abi::SCTP_ADDR_CONFIRMED,
            assoc: 5,
            ..PaddrChange::default()
        };
        let expected = Notification::PeerAddressChange {
            assoc: AssocId(AssocRepr::Kernel(5)),
            address,
            change: PathChange::Confirmed,
        };
        assert_eq!(decode(&event.to_bytes(), None), Some(expected));
    }

    #[test]
    fn rfc6525_6_1_1_a_stream_reset_tells_streams_and_outcome() {
        let event = StreamResetEvent {
            kind: abi::SCTP_STREAM_RESET_EVENT,
            flags: abi::SCTP_STREAM_RESET_INCOMING_SSN | abi::SCTP_RECONFIG_DENIED,
            assoc: 5,
            ..StreamResetEvent::default()
        };
        let bytes = [event.to_bytes(), 3_u16.to_ne_bytes().into(), 9_u16.to_ne_bytes().into()].concat();
        let expected = Notification::StreamReset {
            assoc: AssocId(AssocRepr::Kernel(5)),
            direction: StreamDirection::Incoming,
            streams: vec![StreamId(3), StreamId(9)],
            outcome: ReconfigOutcome::Denied,
        };
        assert_eq!(decode(&bytes, None), Some(expected));
    }

    #[test]
    fn what_is_unknown_or_cut_off_is_no_notification() {
        assert_eq!(decode(&[], None), None);
        assert_eq!(decode(&0x8fff_u16.to_ne_bytes(), None), None);
        for kind in abi::SCTP_ASSOC_CHANGE..=abi::SCTP_SEND_FAILED_EVENT {
            assert_eq!(decode(&kind.to_ne_bytes(), None), None, "{kind:x}");
        }
    }
}
