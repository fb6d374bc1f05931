//! What this side asks of the peer: one ASCONF at a time, repeated until it is answered (RFC 5061 §5.1).

use std::net::IpAddr;

use super::MAX_CHANGES;
use crate::Instant;
use crate::error::AddressError;
use crate::path::PathId;
use crate::serial::{AsconfSerial, CorrelationId};
use crate::wire::{AddressChange, CauseCode};

/// How many changes may wait to be asked for.
const MAX_WAITING: usize = 64;

/// What became of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It waits to be asked for.
    Waits,
    /// It took back one that waited.
    Cancels,
    /// It was there already.
    Known,
}

/// The ASCONF that is outstanding. It is repeated without a change (RFC 5061 §5.1 B4).
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) serial: AsconfSerial,
    /// The Address Parameter: an address that the peer knows the association by.
    pub(crate) lookup: IpAddr,
    first_id: CorrelationId,
    pub(crate) changes: Vec<AddressChange>,
    /// Where it goes.
    pub(crate) path: PathId,
    /// The own address that it was last sent from.
    pub(crate) source: Option<IpAddr>,
    /// How often it was sent again.
    pub(crate) attempts: u16,
    /// T4-rto, once it was sent.
    pub(crate) t4: Option<Instant>,
    /// It is to be sent.
    pub(crate) due: bool,
}

impl Request {
    /// The changes with their correlation IDs.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (CorrelationId, AddressChange)> {
        let ids = (0..).map(|n| CorrelationId(self.first_id.0.wrapping_add(n)));
        ids.zip(self.changes.iter().copied())
    }

    /// The addresses that it asks to add.
    pub(crate) fn adding(&self) -> impl Iterator<Item = IpAddr> {
        added(&self.changes)
    }
}

/// What the peer says to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) change: AddressChange,
    /// `None` if it was carried out. Else the cause code, or zero for none.
    pub(crate) refused: Option<u16>,
}

/// What an ASCONF-ACK is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ack {
    /// The answer to the outstanding ASCONF.
    Answers {
        outcomes: Vec<Outcome>,
        path: PathId,
        source: Option<IpAddr>,
    },
    /// The answer to an earlier one.
    Old,
    /// The answer to one that was never sent (RFC 5061 §5.3 F0).
    Illegal,
}

/// The asking side.
#[derive(Debug)]
pub(crate) struct Sender {
    next_serial: AsconfSerial,
    next_id: CorrelationId,
    waiting: Vec<AddressChange>,
    outstanding: Option<Request>,
    /// The peer does not understand ASCONF, or to add and delete, or to set the primary address (RFC 5061 §5.1 A9,
    /// §5.3 F3a, F3b).
    no_changes: bool,
    no_primary: bool,
}

impl Sender {
    /// Serial numbers start with the own initial TSN (RFC 5061 §5.1 A2).
    pub(crate) const fn new(first: AsconfSerial) -> Self {
        Self {
            next_serial: first,
            next_id: CorrelationId(1),
            waiting: Vec::new(),
            outstanding: None,
            no_changes: false,
            no_primary: false,
        }
    }

    /// The peer restarted: what it was asked for is to be asked for again.
    pub(crate) fn restart(&mut self, first: AsconfSerial) {
        let mut waiting = self.outstanding.take().map_or_else(Vec::new, |request| request.changes);
        waiting.append(&mut self.waiting);
        *self = Self::new(first);
        self.waiting = waiting;
    }

    /// Wants a change. It is asked for as soon as no other ASCONF is outstanding and the rules allow.
    pub(crate) fn wish(&mut self, change: AddressChange) -> Result<Wish, AddressError> {
        let unknown = match change {
            AddressChange::SetPrimary(_) => self.no_primary,
            _ => self.no_changes,
        };
        if unknown {
            return Err(AddressError::NotSupported);
        }
        let opposite = match change {
            AddressChange::Add(address) => Some(AddressChange::Delete(address)),
            AddressChange::Delete(address) => Some(AddressChange::Add(address)),
            AddressChange::SetPrimary(_) => {
                self.waiting
                    .retain(|waiting| !matches!(waiting, AddressChange::SetPrimary(_)));
                None
            }
        };
        if self.waiting.contains(&change) {
            return Ok(Wish::Known);
        }
        if let Some(at) = self.waiting.iter().position(|waiting| Some(*waiting) == opposite) {
            self.waiting.remove(at);
            return Ok(Wish::Cancels);
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(AddressError::TooMany);
        }
        self.waiting.push(change);
        Ok(Wish::Waits)
    }

    /// Whether the last word on `address` is that it is to be added.
    pub(crate) fn is_adding(&self, address: IpAddr) -> bool {
        self.last_word(address) == Some(AddressChange::Add(address))
    }

    /// Whether the last word on `address` is that it is to be deleted.
    pub(crate) fn is_deleting(&self, address: IpAddr) -> bool {
        self.last_word(address) == Some(AddressChange::Delete(address))
    }

    fn last_word(&self, address: IpAddr) -> Option<AddressChange> {
        let about =
            |change: &&AddressChange| change.address() == address && !matches!(change, AddressChange::SetPrimary(_));
        let asked = self.outstanding.iter().flat_map(|request| &request.changes);
        asked.chain(&self.waiting).rfind(about).copied()
    }

    /// Whether an address is to be added, and not deleted before that.
    pub(crate) fn is_adding_any(&self) -> bool {
        let asked = self.outstanding.iter().flat_map(Request::adding);
        asked.chain(added(&self.waiting)).any(|address| self.is_adding(address))
    }

    pub(crate) const fn outstanding(&self) -> Option<&Request> {
        self.outstanding.as_ref()
    }

    pub(crate) const fn outstanding_mut(&mut self) -> Option<&mut Request> {
        self.outstanding.as_mut()
    }

    /// Makes the next ASCONF of what waits, if none is outstanding and there is one to be made (RFC 5061 §5.1 A1 to
    /// A3). `usable` are the own addresses that the peer knows and that are not to be deleted. Additions come first,
    /// since the rest may build on them.
    pub(crate) fn prepare(&mut self, usable: &[IpAddr], path: PathId) -> bool {
        if self.outstanding.is_some() || self.waiting.is_empty() {
            return false;
        }
        // F5: one address must be left. Until there is one, deletions wait.
        if usable.is_empty() && added(&self.waiting).next().is_none() {
            return false;
        }
        self.waiting.sort_by_key(|change| match change {
            AddressChange::Add(_) => 0,
            AddressChange::SetPrimary(_) => 1,
            AddressChange::Delete(_) => 2,
        });
        let rest = self.waiting.split_off(self.waiting.len().min(MAX_CHANGES));
        let changes = std::mem::replace(&mut self.waiting, rest);
        let wildcard = changes.iter().map(AddressChange::address).find(IpAddr::is_unspecified);
        let deleted = changes.iter().find(|change| matches!(change, AddressChange::Delete(_)));
        let known = usable.first().copied().or_else(|| deleted.map(AddressChange::address));
        let anything = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        self.outstanding = Some(Request {
            serial: self.next_serial,
            lookup: wildcard.or(known).unwrap_or(anything),
            first_id: self.next_id,
            path,
            source: None,
            attempts: 0,
            t4: None,
            due: true,
            changes,
        });
        self.next_serial = self.next_serial.next();
        self.next_id = CorrelationId(
            self.next_id
                .0
                .wrapping_add(u32::try_from(MAX_CHANGES).unwrap_or(u32::MAX)),
        );
        true
    }

    /// An ASCONF-ACK with these responses (RFC 5061 §5.1 A5 to A8): a correlation ID, and the cause code of an error.
    pub(crate) fn on_ack(
        &mut self,
        serial: AsconfSerial,
        responses: impl Iterator<Item = (CorrelationId, Option<u16>)>,
    ) -> Ack {
        let Some(request) = self.outstanding.take_if(|request| request.serial == serial) else {
            let never_sent = serial.is_at_or_after(self.next_serial);
            // F0 speaks of the time when nothing is outstanding.
            return if never_sent && self.outstanding.is_none() {
                Ack::Illegal
            } else {
                Ack::Old
            };
        };
        let responses: Vec<_> = responses.take(2 * MAX_CHANGES).collect();
        let mut outcomes = Vec::with_capacity(request.changes.len());
        let mut failed = false;
        for (id, change) in request.numbered() {
            let response = responses.iter().find(|(of, _)| *of == id).map(|(_, error)| *error);
            let refused = match response {
                Some(error) => error,
                // A7: what has no response behind an error failed with it.
                None => failed.then_some(0),
            };
            failed |= refused.is_some();
            if refused == Some(CauseCode::UNRECOGNIZED_PARAMETERS.0) {
                match change {
                    AddressChange::SetPrimary(_) => self.no_primary = true,
                    _ => self.no_changes = true,
                }
            }
            outcomes.push(Outcome { change, refused });
        }
        outcomes.extend(self.drop_hopeless());
        Ack::Answers {
            outcomes,
            path: request.path,
            source: request.source,
        }
    }

    /// What waits and will never be asked for.
    fn drop_hopeless(&mut self) -> Vec<Outcome> {
        let (no_changes, no_primary) = (self.no_changes, self.no_primary);
        let hopeless = |change: &mut AddressChange| match change {
            AddressChange::SetPrimary(_) => no_primary,
            _ => no_changes,
        };
        let dropped = self.waiting.extract_if(.., hopeless);
        let refused = Some(CauseCode::UNRECOGNIZED_PARAMETERS.0);
        dropped.map(|change| Outcome { change, refused }).collect()
    }

    /// The peer does not know the chunk: none is sent any more (RFC 5061 §5.1 A9).
    pub(crate) fn on_unknown_chunk(&mut self) -> Vec<Outcome> {
        (self.no_changes, self.no_primary) = (true, true);
        let asked = self.outstanding.take().map_or_else(Vec::new, |request| request.changes);
        let refused = Some(CauseCode::UNRECOGNIZED_CHUNK_TYPE.0);
        let changes = asked.into_iter().chain(std::mem::take(&mut self.waiting));
        changes.map(|change| Outcome { change, refused }).collect()
    }

    /// When T4-rto expires.
    pub(crate) fn timer(&self) -> Option<Instant> {
        self.outstanding.as_ref()?.t4
    }

    /// The path `gone` is no more.
    pub(crate) fn leave_path(&mut self, gone: PathId, to: PathId) {
        if let Some(request) = self.outstanding.as_mut().filter(|request| request.path == gone) {
            request.path = to;
        }
    }
}

fn added(changes: &[AddressChange]) -> impl DoubleEndedIterator<Item = IpAddr> {
    changes.iter().filter_map(|change| match change {
        AddressChange::Add(address) => Some(*address),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::AddressChange::{Add, Delete, SetPrimary};
    use super::*;

    const PATH: PathId = PathId(0);

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    fn sender(changes: &[AddressChange]) -> Sender {
        let mut sender = Sender::new(AsconfSerial(u32::MAX));
        for &change in changes {
            assert_eq!(sender.wish(change), Ok(Wish::Waits));
        }
        sender
    }

    fn refusals(ack: Ack) -> Vec<Option<u16>> {
        match ack {
            Ack::Answers { outcomes, .. } => outcomes.iter().map(|outcome| outcome.refused).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rfc5061_5_1_a2_serials_follow_each_other_and_wrap() {
        let mut sender = sender(&[Add(ip(2))]);
        assert!(sender.prepare(&[ip(1)], PATH));
        assert_eq!(sender.outstanding().unwrap().serial, AsconfSerial(u32::MAX));
        sender.wish(Delete(ip(1))).unwrap();
        assert!(!sender.prepare(&[ip(2)], PATH), "§5.1.1 C1: one at a time");
        assert_eq!(refusals(sender.on_ack(AsconfSerial(u32::MAX), [].into_iter())), [None]);
        assert!(sender.prepare(&[ip(2)], PATH));
        assert_eq!(sender.outstanding().unwrap().serial, AsconfSerial(0));
        assert_eq!(sender.on_ack(AsconfSerial(u32::MAX), [].into_iter()), Ack::Old);
    }

    #[test]
    fn rfc5061_5_3_f5_the_last_address_is_deleted_only_behind_an_addition() {
        let mut sender = sender(&[Delete(ip(1))]);
        assert!(!sender.prepare(&[], PATH));
        sender.wish(SetPrimary(ip(2))).unwrap();
        assert!(!sender.prepare(&[], PATH));
        sender.wish(Add(ip(2))).unwrap();
        assert!(sender.prepare(&[], PATH));
        let request = sender.outstanding().unwrap();
        assert_eq!(request.changes, [Add(ip(2)), SetPrimary(ip(2)), Delete(ip(1))]);
        assert_eq!(request.lookup, ip(1), "§5.3.2: an address that the peer knows");
    }

    #[test]
    fn a_wish_is_taken_back_while_it_waits() {
        let mut sender = sender(&[Add(ip(2))]);
        assert_eq!(sender.wish(Add(ip(2))), Ok(Wish::Known));
        assert!(sender.is_adding(ip(2)));
        assert_eq!(sender.wish(Delete(ip(2))), Ok(Wish::Cancels));
        assert!(!sender.prepare(&[ip(1)], PATH));
        for n in 0..64 {
            sender.wish(Add(ip(n))).unwrap();
        }
        assert_eq!(sender.wish(Add(ip(99))), Err(AddressError::TooMany));
    }

    #[test]
    fn rfc5061_5_1_a7_what_follows_an_error_failed_unless_it_is_said_to_have_succeeded() {
        let changes = [Add(ip(2)), Add(ip(3)), Delete(ip(4)), Delete(ip(5))];
        let mut sender = sender(&changes);
        assert!(sender.prepare(&[ip(1)], PATH));
        let ids: Vec<CorrelationId> = sender.outstanding().unwrap().numbered().map(|(id, _)| id).collect();
        let responses = [(ids[1], Some(0xa1)), (ids[2], None)];
        let ack = sender.on_ack(AsconfSerial(u32::MAX), responses.into_iter());
        assert_eq!(refusals(ack), [None, Some(0xa1), None, Some(0)]);
    }

    #[test]
    fn rfc5061_5_3_f3_what_is_not_understood_is_not_asked_for_again() {
        let mut sender = sender(&[Add(ip(2)), SetPrimary(ip(1))]);
        assert!(sender.prepare(&[ip(1)], PATH));
        let ids: Vec<CorrelationId> = sender.outstanding().unwrap().numbered().map(|(id, _)| id).collect();
        sender.wish(Add(ip(3))).unwrap();
        let ack = sender.on_ack(AsconfSerial(u32::MAX), [(ids[0], Some(8)), (ids[1], None)].into_iter());
        assert_eq!(refusals(ack), [Some(8), None, Some(8)]);
        assert_eq!(sender.wish(Delete(ip(1))), Err(AddressError::NotSupported));
        assert_eq!(sender.wish(SetPrimary(ip(1))), Ok(Wish::Waits));
    }

    #[test]
    fn rfc5061_5_3_f0_an_answer_to_nothing_is_illegal() {
        let mut sender = sender(&[]);
        assert_eq!(sender.on_ack(AsconfSerial(u32::MAX), [].into_iter()), Ack::Illegal);
        assert_eq!(sender.on_ack(AsconfSerial(0x7fff_fffe), [].into_iter()), Ack::Illegal);
        assert_eq!(sender.on_ack(AsconfSerial(u32::MAX - 1), [].into_iter()), Ack::Old);
        sender.wish(Add(ip(2))).unwrap();
        assert!(sender.prepare(&[ip(1)], PATH));
        assert_eq!(
            sender.on_ack(AsconfSerial(0), [].into_iter()),
            Ack::Old,
            "one is outstanding"
        );
    }

    #[test]
    fn an_asconf_asks_for_so_much_and_the_next_one_for_the_rest() {
        let all: Vec<AddressChange> = (0..20).map(|n| Add(ip(n))).collect();
        let mut sender = sender(&all);
        assert!(sender.prepare(&[ip(100)], PATH));
        assert_eq!(sender.outstanding().unwrap().changes, all[..16]);
        sender.on_ack(AsconfSerial(u32::MAX), [].into_iter());
        assert!(sender.prepare(&[ip(100)], PATH));
        assert_eq!(sender.outstanding().unwrap().changes, all[16..]);
    }

    #[test]
    fn what_a_restarted_peer_did_not_answer_is_asked_for_again() {
        let mut sender = sender(&[Add(ip(2))]);
        assert!(sender.prepare(&[ip(1)], PATH));
        sender.wish(Add(ip(3))).unwrap();
        sender.restart(AsconfSerial(7));
        assert!(sender.prepare(&[ip(1)], PATH));
        let request = sender.outstanding().unwrap();
        assert_eq!(
            (request.serial, &request.changes[..]),
            (AsconfSerial(7), &[Add(ip(2)), Add(ip(3))][..])
        );
    }
}
