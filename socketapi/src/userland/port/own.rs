//! The ports of this process, whoever is the holder.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use super::desk::{Desk, Wish};
use super::ports::Ports;
use super::registry::Owner;
use super::registry::Refusal;
use super::wire::{Answer, ClaimRequest, MAX_CLAIMS, Request};

/// A port on addresses, as it was asked for.
#[derive(Clone, Debug)]
struct Asked {
    /// What the one who waits for it knows it by.
    ticket: u64,
    port: Option<u16>,
    addresses: Vec<IpAddr>,
}

/// What this process has, and what it wants instead.
#[derive(Debug, Default)]
struct Port {
    granted: Option<(u16, Vec<IpAddr>)>,
    /// Whether this process may have it more than once.
    shares: bool,
    /// In the order in which it was asked for, and will be answered.
    asked: VecDeque<Asked>,
}

/// What this process has and wants.
#[derive(Debug, Default)]
pub(super) struct Own(BTreeMap<u64, Port>);

impl Own {
    /// Notes a wish; the claim to make for it. Who waits for the answer is told if there will be none.
    pub(super) fn want(&mut self, wish: Wish, desk: &Desk) -> Option<ClaimRequest> {
        let (id, asked) = match wish {
            Wish::Claim {
                id,
                port,
                addresses,
                shares,
            } => {
                self.0.entry(id).or_default().shares = shares;
                let ticket = id;
                (
                    id,
                    Asked {
                        ticket,
                        port,
                        addresses,
                    },
                )
            }
            Wish::Change { id, ticket, addresses } => {
                let granted = self.0.get(&id).and_then(|port| port.granted.as_ref());
                let Some((port, _)) = granted else {
                    desk.settle(ticket, Err(Refusal::Taken));
                    return None;
                };
                let port = Some(*port);
                (
                    id,
                    Asked {
                        ticket,
                        port,
                        addresses,
                    },
                )
            }
            Wish::Release(id) => {
                let gone = self.0.remove(&id);
                for asked in gone.into_iter().flat_map(|port| port.asked) {
                    desk.settle(asked.ticket, Err(Refusal::Taken));
                }
                return None;
            }
        };
        let known = self.0.entry(id).or_default();
        known.asked.push_back(asked.clone());
        Some(ClaimRequest {
            id,
            again: false,
            port: asked.port,
            addresses: asked.addresses,
            shares: known.shares,
        })
    }

    /// Notes an answer, also in `ports`, and tells who waits for it. True if the process has lost a port that it had.
    pub(super) fn answered(&mut self, answer: Answer, ports: &Ports, desk: &Desk) -> bool {
        let Answer { id, again, outcome } = answer;
        let Some(port) = self.0.get_mut(&id) else { return false };
        if again {
            return outcome.is_err();
        }
        let Some(asked) = port.asked.pop_front() else {
            return false;
        };
        let Asked { ticket, addresses, .. } = asked;
        match outcome {
            Ok(number) => {
                // The holder has noted it already. It does no harm to do so again.
                let _ = ports.grant((Owner::Here, id), Some(number), addresses.clone(), port.shares, 0);
                port.granted = Some((number, addresses));
            }
            Err(_) if port.granted.is_none() => {
                self.0.remove(&id);
            }
            Err(_) => {}
        }
        desk.settle(ticket, outcome);
        false
    }

    /// Everything that a new holder has to know.
    pub(super) fn all(&self) -> impl Iterator<Item = ClaimRequest> {
        let granted = self.0.iter().filter_map(|(id, port)| {
            let (number, addresses) = port.granted.clone()?;
            Some(ClaimRequest {
                id: *id,
                again: true,
                port: Some(number),
                addresses,
                shares: port.shares,
            })
        });
        let asked = self.0.iter().flat_map(|(id, port)| {
            port.asked.iter().map(|asked| ClaimRequest {
                id: *id,
                again: false,
                port: asked.port,
                addresses: asked.addresses.clone(),
                shares: port.shares,
            })
        });
        granted.chain(asked)
    }

    /// The same as messages.
    pub(super) fn requests(&self) -> Vec<Request> {
        let all: Vec<ClaimRequest> = self.all().collect();
        all.chunks(MAX_CLAIMS)
            .map(|some| Request::Claims(some.to_vec()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;
    use crate::Error;

    #[test]
    fn who_waits_for_what_is_given_back_meanwhile_is_told() {
        let desk = Arc::new(Desk::new().unwrap());
        let asking = Arc::clone(&desk);
        let asking = thread::spawn(move || asking.claim(Some(7), Vec::new(), false).map(drop));
        let mut own = Own::default();
        while own.0.is_empty() {
            for wish in desk.take().wishes {
                assert!(own.want(wish, &desk).is_some());
            }
            thread::yield_now();
        }
        assert_eq!(own.want(Wish::Release(0), &desk).map(drop), None);
        assert_eq!(asking.join().unwrap(), Err(Error::PortInUse));
    }
}
