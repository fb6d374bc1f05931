//! The associations of a registrar, and which elements are watched over which of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::handlespace::ElementKey;
use crate::net::{ConnId, SctpAddress};

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) peer: SctpAddress,
    /// Whether it is established.
    pub(super) up: bool,
    /// Whether the peer is slow to take what it is sent.
    pub(super) congested: bool,
    pub(super) elements: BTreeSet<ElementKey>,
}

impl Connection {
    const fn new(peer: SctpAddress, up: bool) -> Self {
        Self {
            peer,
            up,
            congested: false,
            elements: BTreeSet::new(),
        }
    }

    /// Whether the peer has one of `addresses`.
    pub(super) fn is_at_one_of(&self, addresses: &[IpAddr]) -> bool {
        addresses.iter().any(|address| self.has(*address))
    }

    /// Whether the peer has `address`.
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.peer
            .addresses
            .iter()
            .any(|own| own.to_canonical() == address.to_canonical())
    }
}

#[derive(Debug, Default)]
pub(super) struct Connections {
    all: BTreeMap<ConnId, Connection>,
    /// Those that the registrar opened and still wants, by where they lead.
    opened: BTreeMap<SctpAddress, ConnId>,
    next_opened: u64,
}

impl Connections {
    pub(super) fn get(&self, conn: ConnId) -> Option<&Connection> {
        self.all.get(&conn)
    }

    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        self.all.get_mut(&conn)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.all.keys().copied()
    }

    /// An association that a peer opened.
    pub(super) fn accept(&mut self, conn: ConnId, peer: SctpAddress) {
        self.all.insert(conn, Connection::new(peer, true));
    }

    /// An own association to `peer`, and whether it is a new one that is still to be opened.
    pub(super) fn open(&mut self, peer: SctpAddress) -> (ConnId, bool) {
        if let Some(&conn) = self.opened.get(&peer) {
            return (conn, false);
        }
        let conn = ConnId::Opened(self.next_opened);
        self.next_opened = self.next_opened.saturating_add(1);
        self.opened.insert(peer.clone(), conn);
        self.all.insert(conn, Connection::new(peer, false));
        (conn, true)
    }

    pub(super) fn link(&mut self, conn: ConnId, key: ElementKey) {
        if let Some(connection) = self.all.get_mut(&conn) {
            connection.elements.insert(key);
        }
    }

    /// Takes an element off an association. Says whether that was an own one that nobody needs any more.
    pub(super) fn unlink(&mut self, conn: ConnId, key: ElementKey) -> bool {
        let Some(connection) = self.all.get_mut(&conn) else {
            return false;
        };
        connection.elements.remove(&key);
        let idle = connection.elements.is_empty() && matches!(conn, ConnId::Opened(_));
        if idle {
            Self::unlist(&mut self.opened, conn, &connection.peer);
        }
        idle
    }

    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Connection> {
        let connection = self.all.remove(&conn)?;
        Self::unlist(&mut self.opened, conn, &connection.peer);
        Some(connection)
    }

    fn unlist(opened: &mut BTreeMap<SctpAddress, ConnId>, conn: ConnId, peer: &SctpAddress) {
        if opened.get(peer) == Some(&conn) {
            opened.remove(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SctpAddress {
        SctpAddress {
            port,
            addresses: vec!["192.0.2.1".parse().unwrap()],
        }
    }

    #[test]
    fn an_own_association_is_shared_until_nobody_needs_it() {
        let mut connections = Connections::default();
        let (conn, new) = connections.open(address(1));
        assert!(new && connections.open(address(1)) == (conn, false));
        assert!(!connections.get(conn).unwrap().up);
        assert_ne!(connections.open(address(2)).0, conn);
        connections.remove(conn);
        assert!(connections.open(address(1)).1);
    }

    #[test]
    fn mapped_addresses_are_the_addresses_they_map() {
        let connection = Connection::new(
            SctpAddress {
                port: 1,
                addresses: vec!["::ffff:192.0.2.1".parse().unwrap()],
            },
            true,
        );
        assert!(connection.has("192.0.2.1".parse().unwrap()));
        assert!(!connection.is_at_one_of(&["192.0.2.2".parse().unwrap()]));
    }
}
