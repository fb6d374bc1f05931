//! The associations of a stack, and how packets find them: by tag, and by the peer's address and port.

use std::fmt;
use std::net::IpAddr;

use slab::Slab;

use super::endpoint::EndpointId;
use super::origin::{Origin, Origins};
use crate::assoc::Association;
use crate::config::TagShare;
use crate::map::{Map, RandomKeyMap};
use crate::random::Random;
use crate::serial::VerificationTag;
use crate::stats::StackStats;
use crate::time::Instant;

/// Names an association of a stack. Never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssocId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// As log lines name it.
impl fmt::Display for AssocId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for AssocId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// An association, with what the stack keeps of it.
#[derive(Debug)]
pub(super) struct Slot {
    generation: u32,
    pub(super) endpoint: EndpointId,
    pub(super) assoc: Box<Association>,
    /// When the stack's timer for it is set; at the latest when it is due, often earlier.
    pub(super) armed: Option<Instant>,
    pub(super) transmit_queued: bool,
    pub(super) events_queued: bool,
    /// A peer opened it and it was not accepted yet.
    pub(super) in_backlog: bool,
    /// The user forgot it.
    pub(super) released: bool,
    /// It cannot be found by packets any more.
    pub(super) unlinked: bool,
    /// It counts as one that is open.
    open: bool,
    /// Where the peer opened it from; `None` if this side opened it.
    origin: Option<Origin>,
    /// The tag and the peer's addresses by which it can be found.
    linked_tag: VerificationTag,
    linked_addresses: Vec<IpAddr>,
}

impl Slot {
    /// The association may have been opened or may have ended (sctpCurrEstab of RFC 3873).
    #[inline]
    pub(super) fn count_open(&mut self, stats: &mut StackStats) {
        let open = self.assoc.phase().may_send_data();
        if open != self.open {
            self.open = open;
            stats.current_established = if open {
                stats.current_established + 1
            } else {
                stats.current_established.saturating_sub(1)
            };
        }
    }
}

type PeerKey = (EndpointId, IpAddr, u16);

/// All associations of a stack.
#[derive(Debug)]
pub(super) struct Table {
    slots: Slab<Slot>,
    by_tag: RandomKeyMap<AssocId>,
    by_peer: Map<PeerKey, AssocId>,
    origins: Origins,
    generation: u32,
    /// Which tags are drawn; `None` for all.
    tag_share: Option<TagShare>,
}

impl Table {
    pub(super) fn new(tag_share: Option<TagShare>, random: &mut Random) -> Self {
        Self {
            tag_share,
            slots: Slab::new(),
            by_tag: RandomKeyMap::default(),
            by_peer: Map::new(random),
            origins: Origins::default(),
            generation: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many associations are held that a peer opened from here.
    pub(super) fn opened_from(&self, origin: Origin) -> usize {
        self.origins.count(origin)
    }

    /// Keeps an association, and lets packets find it. One that a peer opened waits in the backlog.
    pub(super) fn insert(
        &mut self,
        endpoint: EndpointId,
        assoc: Association,
        origin: Option<Origin>,
    ) -> Option<AssocId> {
        let id = self.next_id();
        let AssocId { generation, .. } = id;
        self.generation = generation;
        let tag = assoc.local_tag();
        u32::try_from(self.slots.vacant_key()).ok()?;
        self.slots.insert(Slot {
            generation,
            endpoint,
            assoc: Box::new(assoc),
            armed: None,
            transmit_queued: false,
            events_queued: false,
            in_backlog: origin.is_some(),
            released: false,
            unlinked: false,
            open: false,
            origin,
            linked_tag: tag,
            linked_addresses: Vec::new(),
        });
        if let Some(origin) = origin {
            self.origins.add(origin);
        }
        self.by_tag.insert(tag.0, id);
        self.relink(id);
        Some(id)
    }

    /// What the next association will be called.
    pub(super) fn next_id(&self) -> AssocId {
        AssocId {
            index: u32::try_from(self.slots.vacant_key()).unwrap_or(u32::MAX),
            generation: self.generation.wrapping_add(1),
        }
    }

    pub(super) fn get(&self, id: AssocId) -> Option<&Slot> {
        self.slots
            .get(id.index as usize)
            .filter(|slot| slot.generation == id.generation)
    }

    pub(super) fn get_mut(&mut self, id: AssocId) -> Option<&mut Slot> {
        self.slots
            .get_mut(id.index as usize)
            .filter(|slot| slot.generation == id.generation)
    }

    /// What is in a place.
    pub(super) fn at(&self, index: u32) -> Option<(AssocId, &Slot)> {
        let slot = self.slots.get(index as usize)?;
        let generation = slot.generation;
        Some((AssocId { index, generation }, slot))
    }

    /// How many places there are at most.
    pub(super) fn places(&self) -> u32 {
        u32::try_from(self.slots.capacity()).unwrap_or(u32::MAX)
    }

    /// The associations that packets can find, oldest slots first.
    pub(super) fn ids(&self) -> Vec<AssocId> {
        let live = self.slots.iter().filter(|(_, slot)| !slot.unlinked);
        live.filter_map(|(index, slot)| {
            Some(AssocId {
                index: u32::try_from(index).ok()?,
                generation: slot.generation,
            })
        })
        .collect()
    }

    pub(super) fn by_tag(&self, tag: VerificationTag) -> Option<AssocId> {
        self.by_tag.get(&tag.0).copied()
    }

    fn by_peer(&self, endpoint: EndpointId, address: IpAddr, port: u16) -> Option<AssocId> {
        self.by_peer.get(&(endpoint, address, port)).copied()
    }

    /// The association with a peer at an address that is known to be the peer's. Anybody can list anybody's address; a
    /// mere claim keeps nobody else from it (RFC 9260 §5.4, RFC 5062 §2).
    pub(super) fn by_confirmed_peer(&self, endpoint: EndpointId, address: IpAddr, port: u16) -> Option<AssocId> {
        let id = self.by_peer(endpoint, address, port)?;
        self.get(id)?.assoc.has_confirmed(address).then_some(id)
    }

    /// The association with a peer among those of several end points: if need be one that merely claims the address.
    pub(super) fn by_peer_of(
        &self,
        endpoints: impl Iterator<Item = EndpointId>,
        address: IpAddr,
        port: u16,
    ) -> Option<AssocId> {
        let mut claimed = None;
        for endpoint in endpoints {
            let confirmed = self.by_confirmed_peer(endpoint, address, port);
            if confirmed.is_some() {
                return confirmed;
            }
            claimed = claimed.or_else(|| self.by_peer(endpoint, address, port));
        }
        claimed
    }

    /// A tag that no association has (RFC 9260 §5.3.1).
    pub(super) fn fresh_tag(&self, random: &mut Random) -> VerificationTag {
        loop {
            let tag = VerificationTag(random.non_zero_u32());
            let own = self.tag_share.is_none_or(|share| share.has(tag.0));
            if own && !self.by_tag.contains(&tag.0) {
                return tag;
            }
        }
    }

    /// Lets packets find the association by the tag and the addresses that it has by now. An address that another
    /// association with the same port has stays with that one, since nobody is displaced by a claim (RFC 5062 §2);
    /// unless it only claims the address, and this one has it confirmed.
    pub(super) fn relink(&mut self, id: AssocId) {
        let Some(slot) = self.get_mut(id) else { return };
        let tag = slot.assoc.local_tag();
        let old_tag = std::mem::replace(&mut slot.linked_tag, tag);
        let (endpoint, port) = (slot.endpoint, slot.assoc.peer_port());
        let addresses: Vec<IpAddr> = slot.assoc.peer_addresses().collect();
        let confirmed: Vec<bool> = addresses
            .iter()
            .map(|&address| slot.assoc.has_confirmed(address))
            .collect();
        let before = std::mem::replace(&mut slot.linked_addresses, addresses.clone());
        if tag != old_tag {
            self.by_tag.remove(&old_tag.0);
            self.by_tag.insert(tag.0, id);
        }
        for address in before.into_iter().filter(|address| !addresses.contains(address)) {
            let key = (endpoint, address, port);
            if self.by_peer.get(&key) == Some(&id) {
                self.by_peer.remove(&key);
            }
        }
        for (address, confirmed) in addresses.into_iter().zip(confirmed) {
            let key = (endpoint, address, port);
            let is_free = !self.by_peer.contains(&key);
            if is_free || (confirmed && self.by_confirmed_peer(endpoint, address, port).is_none()) {
                self.by_peer.insert(key, id);
            }
        }
    }

    /// Lets packets find the association no more.
    pub(super) fn unlink(&mut self, id: AssocId) {
        let Some(slot) = self
            .slots
            .get_mut(id.index as usize)
            .filter(|slot| slot.generation == id.generation)
        else {
            return;
        };
        slot.unlinked = true;
        if self.by_tag.get(&slot.linked_tag.0) == Some(&id) {
            self.by_tag.remove(&slot.linked_tag.0);
        }
        let port = slot.assoc.peer_port();
        for &address in &slot.linked_addresses {
            let key = (slot.endpoint, address, port);
            if self.by_peer.get(&key) == Some(&id) {
                self.by_peer.remove(&key);
            }
        }
    }

    /// Forgets an unlinked association.
    pub(super) fn remove(&mut self, id: AssocId) -> Option<Slot> {
        self.get(id)?;
        let slot = self.slots.remove(id.index as usize);
        if let Some(origin) = slot.origin {
            self.origins.remove(origin);
        }
        Some(slot)
    }
}
