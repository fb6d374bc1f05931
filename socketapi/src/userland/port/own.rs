//! The ports of this process, whoever is the holder.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::desk::{Desk, Wish};
use super::wire::{Answer, ClaimRequest, MAX_CLAIMS, Request};

/// A port on addresses, as it was asked for.
#[derive(Clone, Debug)]
struct Asked {
    port: Option<u16>,
    addresses: Vec<IpAddr>,
}

/// What this process has, and what it wants instead.
#[derive(Debug, Default)]
struct Port {
    granted: Option<(u16, Vec<IpAddr>)>,
    asked: Option<Asked>,
}

/// What this process has and wants.
#[derive(Debug, Default)]
pub(super) struct Own(BTreeMap<u64, Port>);

impl Own {
    /// Notes a wish; the claim to make for it.
    pub(super) fn want(&mut self, wish: Wish) -> Option<ClaimRequest> {
        let (id, asked) = match wish {
            Wish::Claim { id, port, addresses } => (id, Asked { port, addresses }),
            Wish::Change { id, addresses } => {
                let (port, _) = self.0.get(&id)?.granted.as_ref()?;
                let port = Some(*port);
                (id, Asked { port, addresses })
            }
            Wish::Release(id) => {
                self.0.remove(&id);
                return None;
            }
        };
        self.0.entry(id).or_default().asked = Some(asked.clone());
        Some(ClaimRequest {
            id,
            again: false,
            port: asked.port,
            addresses: asked.addresses,
        })
    }

    /// Notes an answer, and tells who waits for it. True if the process has lost a port that it had.
    pub(super) fn answered(&mut self, answer: Answer, desk: &Desk) -> bool {
        let Answer { id, again, outcome } = answer;
        let Some(port) = self.0.get_mut(&id) else { return false };
        if again {
            return outcome.is_err();
        }
        let Some(asked) = port.asked.take() else { return false };
        match outcome {
            Ok(number) => port.granted = Some((number, asked.addresses)),
            Err(_) if port.granted.is_none() => {
                self.0.remove(&id);
            }
            Err(_) => {}
        }
        desk.settle(id, outcome);
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
            })
        });
        let asked = self.0.iter().filter_map(|(id, port)| {
            let Asked { port, addresses } = port.asked.clone()?;
            Some(ClaimRequest {
                id: *id,
                again: false,
                port,
                addresses,
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
