//! What the peer asks for: in order, each ASCONF once (RFC 5061 §5.2), and what it may change (§5.3).

use std::collections::VecDeque;
use std::net::IpAddr;

use bytes::Bytes;

use crate::serial::AsconfSerial;
use crate::wire::AddressChange;

/// How many answers are kept in case they get lost. A peer sends one ASCONF at a time, and may bundle a few when it
/// repeats itself (RFC 5061 §5.5).
const MAX_CACHED: usize = 8;

/// What an ASCONF is, going by its serial number (RFC 5061 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reception {
    /// The next one (E1, E4).
    New,
    /// An earlier one, with its answer if that is still there (E2).
    Repeated(Option<Bytes>),
    /// One that cannot be (E5).
    OutOfOrder,
}

/// The answering side.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// 'Peer-Sequence-Number' plus one.
    next: AsconfSerial,
    answers: VecDeque<(AsconfSerial, Bytes)>,
}

impl Receiver {
    /// Serial numbers start with the peer's initial TSN (RFC 5061 §5.1 A2).
    pub(crate) const fn new(first: AsconfSerial) -> Self {
        Self {
            next: first,
            answers: VecDeque::new(),
        }
    }

    pub(crate) fn receive(&self, serial: AsconfSerial) -> Reception {
        if serial == self.next {
            return Reception::New;
        }
        if !serial.is_before(self.next) {
            return Reception::OutOfOrder;
        }
        let cached = self.answers.iter().find(|(of, _)| *of == serial);
        Reception::Repeated(cached.map(|(_, answer)| answer.clone()))
    }

    /// The next ASCONF was carried out and gets this answer. If it is the first one of its packet, the peer has the
    /// answers to those before (E1).
    pub(crate) fn answered(&mut self, answer: Bytes, first_of_packet: bool) {
        if first_of_packet {
            self.answers.clear();
        } else if self.answers.len() >= MAX_CACHED {
            self.answers.pop_front();
        }
        self.answers.push_back((self.next, answer));
        self.next = self.next.next();
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Request to Delete Last Remaining IP Address (F7).
    LastAddress,
    /// Request to Delete Source IP Address (F8).
    SourceAddress,
    /// Operation Refused Due to Resource Shortage (F9).
    ResourceShortage,
    /// Request Refused - No Authorization.
    NoAuthorization,
    /// Unresolvable Address: none that can be used, or none that the association has.
    Unresolvable,
    /// Unrecognized Parameters (§5.2 V2).
    Unrecognized,
}

/// What to do for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Add this address.
    Add(IpAddr),
    /// Delete these addresses.
    Delete(Vec<IpAddr>),
    /// Send to this address first.
    SetPrimary(IpAddr),
    /// Nothing: it is as the peer wants it.
    Nothing,
    /// Nothing, and say why.
    Refuse(Refusal),
}

/// What does not change while an ASCONF is carried out.
pub(crate) struct Policy<'a> {
    /// Where its packet came from.
    pub(crate) source: IpAddr,
    /// How many addresses the peer may have.
    pub(crate) max_addresses: usize,
    pub(crate) may_change: bool,
    pub(crate) may_set_primary: bool,
    /// Why an address cannot be added, if so.
    pub(crate) objection: &'a dyn Fn(IpAddr) -> Option<Refusal>,
}

/// Decides on the requests of one ASCONF, one after the other.
pub(crate) struct Judge<'a> {
    policy: Policy<'a>,
    /// F11: once an addition or deletion failed, all that follow do.
    failing: Option<Refusal>,
}

impl<'a> Judge<'a> {
    pub(crate) const fn new(policy: Policy<'a>) -> Self {
        Self { policy, failing: None }
    }

    /// Decides on a request, where the peer has the addresses `present` by now. `None` is a request that nobody
    /// understands.
    pub(crate) fn decide(&mut self, request: Option<AddressChange>, present: &[IpAddr]) -> Verdict {
        let source = self.policy.source;
        // The wildcard is the source of the packet (§4.2.1, §4.2.4).
        let meant = |address: IpAddr| {
            if address.is_unspecified() {
                source
            } else {
                address.to_canonical()
            }
        };
        match request {
            None => Verdict::Refuse(Refusal::Unrecognized),
            Some(AddressChange::SetPrimary(address)) => self.set_primary(meant(address), present),
            Some(AddressChange::Add(address)) => {
                let verdict = self.add(meant(address), present);
                self.fail_from_here(verdict)
            }
            Some(AddressChange::Delete(address)) => {
                let verdict = self.delete(address.to_canonical(), present);
                self.fail_from_here(verdict)
            }
        }
    }

    /// Refuses an addition or deletion for a reason found elsewhere.
    pub(crate) fn refuse(&mut self, refusal: Refusal) -> Verdict {
        self.fail_from_here(Verdict::Refuse(refusal))
    }

    fn fail_from_here(&mut self, verdict: Verdict) -> Verdict {
        if let Some(before) = self.failing {
            return Verdict::Refuse(before);
        }
        if let Verdict::Refuse(refusal) = verdict {
            self.failing = Some(refusal);
        }
        verdict
    }

    fn add(&self, address: IpAddr, present: &[IpAddr]) -> Verdict {
        if !self.policy.may_change {
            return Verdict::Refuse(Refusal::NoAuthorization);
        }
        if present.contains(&address) {
            return Verdict::Nothing;
        }
        if let Some(refusal) = (self.policy.objection)(address) {
            return Verdict::Refuse(refusal);
        }
        if present.len() >= self.policy.max_addresses {
            return Verdict::Refuse(Refusal::ResourceShortage);
        }
        Verdict::Add(address)
    }

    fn delete(&self, address: IpAddr, present: &[IpAddr]) -> Verdict {
        let source = self.policy.source;
        if !self.policy.may_change {
            return Verdict::Refuse(Refusal::NoAuthorization);
        }
        if address.is_unspecified() {
            // §4.2.2: all but the source, which must be one of them for something to be left.
            if !present.contains(&source) {
                return Verdict::Refuse(Refusal::LastAddress);
            }
            let others: Vec<IpAddr> = present.iter().copied().filter(|other| *other != source).collect();
            return if others.is_empty() {
                Verdict::Nothing
            } else {
                Verdict::Delete(others)
            };
        }
        if !present.contains(&address) {
            return Verdict::Nothing;
        }
        if present.len() == 1 {
            return Verdict::Refuse(Refusal::LastAddress);
        }
        if address == source {
            return Verdict::Refuse(Refusal::SourceAddress);
        }
        Verdict::Delete(vec![address])
    }

    fn set_primary(&self, address: IpAddr, present: &[IpAddr]) -> Verdict {
        if !self.policy.may_set_primary {
            Verdict::Refuse(Refusal::NoAuthorization)
        } else if present.contains(&address) {
            Verdict::SetPrimary(address)
        } else {
            // §5.4: not honored.
            Verdict::Refuse(Refusal::Unresolvable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AddressChange::{Add, Delete, SetPrimary};
    use super::*;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    const ANY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    const ANY_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);

    fn policy(objection: &dyn Fn(IpAddr) -> Option<Refusal>) -> Policy<'_> {
        Policy {
            source: ip(1),
            max_addresses: 3,
            may_change: true,
            may_set_primary: true,
            objection,
        }
    }

    fn decide(request: AddressChange, present: &[IpAddr]) -> Verdict {
        Judge::new(policy(&|_| None)).decide(Some(request), present)
    }

    #[test]
    fn rfc5061_5_2_each_asconf_is_carried_out_once_and_in_order() {
        let mut receiver = Receiver::new(AsconfSerial(u32::MAX));
        assert_eq!(receiver.receive(AsconfSerial(0)), Reception::OutOfOrder);
        assert_eq!(receiver.receive(AsconfSerial(u32::MAX)), Reception::New);
        assert_eq!(receiver.receive(AsconfSerial(u32::MAX - 1)), Reception::Repeated(None));
        let answer = Bytes::from_static(b"answer");
        receiver.answered(answer.clone(), true);
        assert_eq!(
            receiver.receive(AsconfSerial(u32::MAX)),
            Reception::Repeated(Some(answer))
        );
        assert_eq!(receiver.receive(AsconfSerial(0)), Reception::New);
        assert_eq!(receiver.receive(AsconfSerial(1)), Reception::OutOfOrder);
    }

    #[test]
    fn rfc5061_5_2_e1_old_answers_go_when_the_first_of_a_packet_is_new() {
        let mut receiver = Receiver::new(AsconfSerial(0));
        receiver.answered(Bytes::from_static(b"0"), true);
        receiver.answered(Bytes::from_static(b"1"), false);
        assert!(matches!(
            receiver.receive(AsconfSerial(0)),
            Reception::Repeated(Some(_))
        ));
        receiver.answered(Bytes::from_static(b"2"), true);
        assert_eq!(receiver.receive(AsconfSerial(1)), Reception::Repeated(None));
        for _ in 0..100 {
            receiver.answered(Bytes::from_static(b"n"), false);
        }
        assert_eq!(receiver.answers.len(), MAX_CACHED);
    }

    #[test]
    fn rfc5061_4_2_the_wildcard_is_the_source_of_the_packet() {
        for any in [ANY, ANY_V6] {
            assert_eq!(decide(Add(any), &[ip(2)]), Verdict::Add(ip(1)));
            assert_eq!(decide(SetPrimary(any), &[ip(2), ip(1)]), Verdict::SetPrimary(ip(1)));
            let all = [ip(2), ip(1), ip(3)];
            assert_eq!(decide(Delete(any), &all), Verdict::Delete(vec![ip(2), ip(3)]));
            assert_eq!(decide(Delete(any), &[ip(1)]), Verdict::Nothing);
            assert_eq!(decide(Delete(any), &[ip(2)]), Verdict::Refuse(Refusal::LastAddress));
        }
    }

    #[test]
    fn rfc5061_5_3_f7_f8_neither_the_last_nor_the_source_address_is_deleted() {
        assert_eq!(decide(Delete(ip(1)), &[ip(1)]), Verdict::Refuse(Refusal::LastAddress));
        assert_eq!(
            decide(Delete(ip(1)), &[ip(1), ip(2)]),
            Verdict::Refuse(Refusal::SourceAddress)
        );
        assert_eq!(decide(Delete(ip(2)), &[ip(1), ip(2)]), Verdict::Delete(vec![ip(2)]));
        assert_eq!(decide(Delete(ip(9)), &[ip(1), ip(2)]), Verdict::Nothing);
    }

    #[test]
    fn rfc5061_5_3_f11_after_a_failure_everything_but_set_primary_fails() {
        let mut judge = Judge::new(policy(&|_| None));
        let full = [ip(1), ip(2), ip(3)];
        let shortage = Verdict::Refuse(Refusal::ResourceShortage);
        assert_eq!(judge.decide(Some(Add(ip(4))), &full), shortage);
        assert_eq!(judge.decide(Some(Delete(ip(2))), &full), shortage);
        assert_eq!(judge.decide(Some(SetPrimary(ip(2))), &full), Verdict::SetPrimary(ip(2)));
        assert_eq!(judge.decide(Some(Add(ip(2))), &full), shortage);
    }

    #[test]
    fn rfc5061_5_2_v2_what_is_not_understood_is_said_to_be() {
        let mut judge = Judge::new(policy(&|_| None));
        assert_eq!(judge.decide(None, &[ip(1)]), Verdict::Refuse(Refusal::Unrecognized));
        assert_eq!(
            judge.decide(Some(Add(ip(2))), &[ip(1)]),
            Verdict::Add(ip(2)),
            "it adds and deletes nothing"
        );
    }

    #[test]
    fn a_policy_may_forbid_changes() {
        let mut strict = policy(&|_| None);
        (strict.may_change, strict.may_set_primary) = (false, false);
        let mut judge = Judge::new(strict);
        let both = [ip(1), ip(2)];
        for request in [SetPrimary(ip(2)), Add(ip(3)), Delete(ip(2))] {
            assert_eq!(
                judge.decide(Some(request), &both),
                Verdict::Refuse(Refusal::NoAuthorization)
            );
        }
        let objection = |address| (address == ip(7)).then_some(Refusal::Unresolvable);
        let mut judge = Judge::new(policy(&objection));
        assert_eq!(
            judge.decide(Some(Add(ip(7))), &both),
            Verdict::Refuse(Refusal::Unresolvable)
        );
    }
}
