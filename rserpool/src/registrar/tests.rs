//! Whatever peers do, what the registrar keeps stays consistent and bounded.

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use sctp::serial::Ppid;

use super::*;
use crate::config::{AssociationLoss, HandlespaceLimits};
use crate::ids::{PeId, PoolHandle};
use crate::net::SctpAddress;
use crate::wire::element::{PoolElementParam, RegistrationLife};
use crate::wire::policy::PolicyParam;
use crate::wire::transport::Transport;

const MAX_ELEMENTS: usize = 6;
const MAX_ASSOCIATIONS: usize = 8;

impl Registrar {
    fn check(&self) {
        for key in self.watches.keys() {
            assert!(self.handlespace.get(*key).is_some());
            let conn = self
                .conn_of(*key)
                .expect("an element is watched, or being connected to");
            assert!(self.connections.get(conn).unwrap().elements.contains(key));
            assert!(self.timers.get(TimerKey::KeepAlive(*key)).is_some());
        }
        assert_eq!(self.watches.len(), self.handlespace.len());
        assert!(self.handlespace.len() <= MAX_ELEMENTS);
        for conn in self.connections.ids() {
            for key in &self.connections.get(conn).unwrap().elements {
                assert_eq!(self.conn_of(*key), Some(conn));
            }
        }
        assert!(self.timers.len() <= 2 * self.watches.len());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Connect(u8),
    Opened(bool),
    Close(u8, bool),
    Register {
        conn: u8,
        pool: u8,
        pe: u32,
        policy: PolicyParam,
        life: i32,
    },
    Message {
        conn: u8,
        kind: u8,
        pool: u8,
        pe: u32,
    },
    Bytes {
        conn: u8,
        ppid: u32,
        bytes: Vec<u8>,
    },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (conn, pool, pe) = (0..10_u8, 0..3_u8, 1..5_u32);
    let policy = prop_oneof![
        Just(PolicyParam::RoundRobin),
        any::<u32>().prop_map(|load| PolicyParam::LeastUsed { load }),
    ];
    prop_oneof![
        4 => conn.clone().prop_map(Step::Connect),
        2 => any::<bool>().prop_map(Step::Opened),
        1 => (conn.clone(), any::<bool>()).prop_map(|(conn, graceful)| Step::Close(conn, graceful)),
        6 => (conn.clone(), pool.clone(), pe.clone(), policy, prop_oneof![Just(-1), 0..9_i32])
            .prop_map(|(conn, pool, pe, policy, life)| Step::Register { conn, pool, pe, policy, life }),
        5 => (conn.clone(), 0..5_u8, pool, pe).prop_map(|(conn, kind, pool, pe)| Step::Message { conn, kind, pool, pe }),
        1 => (conn, 10..13_u32, prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(conn, ppid, bytes)| Step::Bytes { conn, ppid, bytes }),
        3 => (0..4000_u64).prop_map(Step::Wait),
    ]
}

/// A registrar in a world that it cannot trust.
struct World {
    registrar: Registrar,
    now: Instant,
    /// The association that each of ten peers has, and how many there were.
    peers: [Option<ConnId>; 10],
    accepted: u64,
    /// What the registrar asked for and was not answered.
    connecting: Vec<(ConnId, SctpAddress)>,
    opened: Vec<ConnId>,
}

impl World {
    fn drain(&mut self) -> usize {
        let mut bytes = 0;
        while let Some(command) = self.registrar.poll_command() {
            match command {
                NetCommand::Connect { conn, peer } => self.connecting.push((conn, peer)),
                NetCommand::Shutdown { conn } => {
                    // It is over at once.
                    self.connecting.retain(|(connecting, _)| *connecting != conn);
                    self.opened.retain(|opened| *opened != conn);
                    self.registrar
                        .handle(self.now, NetEvent::Closed { conn, graceful: true });
                }
                NetCommand::Abort { conn } => {
                    self.peers
                        .iter_mut()
                        .filter(|peer| **peer == Some(conn))
                        .for_each(|peer| *peer = None);
                }
                NetCommand::Send { payload, .. } => bytes += payload.len(),
                _ => {}
            }
        }
        while self.registrar.poll_event().is_some() {}
        bytes
    }

    fn message(&mut self, conn: u8, ppid: Ppid, payload: Vec<u8>) {
        if let Some(conn) = self.peers[usize::from(conn)] {
            let (stream, payload) = (StreamId(0), payload.into());
            self.registrar.handle(
                self.now,
                NetEvent::Message {
                    conn,
                    stream,
                    ppid,
                    payload,
                },
            );
        }
    }

    fn step(&mut self, step: Step) {
        let name = |pool: u8| PoolHandle::new(vec![b'a' + pool]).unwrap();
        match step {
            Step::Connect(peer) => {
                if self.peers[usize::from(peer)].is_none() {
                    self.accepted += 1;
                    let conn = ConnId::Accepted(self.accepted);
                    self.peers[usize::from(peer)] = Some(conn);
                    let peer = SctpAddress {
                        port: 5000,
                        addresses: vec![[10, 0, 0, peer / 2].into()],
                    };
                    self.registrar.handle(self.now, NetEvent::Connected { conn, peer });
                }
            }
            Step::Opened(success) => match (self.connecting.pop(), success) {
                (Some((conn, peer)), true) => {
                    self.opened.push(conn);
                    self.registrar.handle(self.now, NetEvent::Connected { conn, peer });
                }
                (Some((conn, _)), false) => {
                    self.registrar
                        .handle(self.now, NetEvent::Closed { conn, graceful: false });
                }
                (None, graceful) => {
                    if let Some(conn) = self.opened.pop() {
                        self.registrar.handle(self.now, NetEvent::Closed { conn, graceful });
                    }
                }
            },
            Step::Close(peer, graceful) => {
                if let Some(conn) = self.peers[usize::from(peer)].take() {
                    self.registrar.handle(self.now, NetEvent::Closed { conn, graceful });
                }
            }
            Step::Register {
                conn,
                pool,
                pe,
                policy,
                life,
            } => {
                let ip: IpAddr = [10, 0, 0, conn / 2].into();
                let element = PoolElementParam {
                    id: PeId::new(pe).unwrap(),
                    home: None,
                    life: RegistrationLife(life),
                    user_transport: Transport::Udp((ip, 7).into()),
                    policy,
                    asap_transport: None,
                };
                let message = AsapMessage::Registration {
                    pool: name(pool),
                    element,
                };
                self.message(conn, PPID_ASAP, message.encode().to_vec());
            }
            Step::Message { conn, kind, pool, pe } => {
                let (pool, pe) = (name(pool), PeId::new(pe).unwrap());
                let message = match kind {
                    0 => AsapMessage::Deregistration { pool, pe },
                    1 => AsapMessage::EndpointUnreachable { pool, pe },
                    2 => AsapMessage::HandleResolution {
                        pool,
                        subscribe: true,
                        items: Some(pe.as_u32()),
                    },
                    _ => AsapMessage::EndpointKeepAliveAck { pool, pe },
                };
                self.message(conn, PPID_ASAP, message.encode().to_vec());
            }
            Step::Bytes { conn, ppid, bytes } => self.message(conn, Ppid(ppid), bytes),
            Step::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                self.registrar.handle_timeout(self.now);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_of_events_leaves_a_consistent_registrar(
        steps in prop::collection::vec(step(), 0..200),
        probe: bool,
        seed: u8,
    ) {
        let mut config = RegistrarConfig::default();
        config.set_limits(HandlespaceLimits::new(3, MAX_ELEMENTS, 4).unwrap());
        config.set_max_associations(MAX_ASSOCIATIONS).unwrap();
        if probe {
            config.set_association_loss(AssociationLoss::Probe);
        }
        let mut world = World {
            registrar: Registrar::new(config, RegistrarId::new(1).unwrap(), [seed; 32]),
            now: Instant::ZERO,
            peers: [None; 10],
            accepted: 0,
            connecting: Vec::new(),
            opened: Vec::new(),
        };
        for step in steps {
            world.step(step);
            // An answer to any message here is small.
            prop_assert!(world.drain() < 2000);
            world.registrar.check();
            let due = world.registrar.poll_timeout();
            prop_assert!(due.is_none_or(|due| due.as_nanos() > 0));
        }
        // Left alone, all elements go, and nothing remains.
        for _ in 0..20 {
            world.now += Duration::from_secs(10);
            world.registrar.handle_timeout(world.now);
            world.drain();
            world.registrar.check();
        }
        prop_assert!(world.registrar.handlespace().is_empty());
        prop_assert!(world.registrar.associations() <= MAX_ASSOCIATIONS);
        prop_assert_eq!(world.registrar.poll_timeout(), None);
    }
}
