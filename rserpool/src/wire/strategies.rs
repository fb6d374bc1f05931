//! Arbitrary values of the wire types, for property tests.

use std::net::{IpAddr, SocketAddr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::asap::AsapMessage;
use super::cause::{Cause, CauseCode, OperationError};
use super::element::{PoolElementParam, RegistrationLife};
use super::param::Cookie;
use super::policy::{PolicyNumber, PolicyParam};
use super::transport::{SctpTransport, Transport, TransportUse};
use crate::ids::{PeId, PoolHandle, RegistrarId};

pub(crate) fn pool_handle() -> impl Strategy<Value = PoolHandle> {
    vec(any::<u8>(), 1..=40).prop_map(|bytes| PoolHandle::new(bytes).unwrap())
}

pub(crate) fn pe_id() -> impl Strategy<Value = PeId> {
    (1u32..).prop_map(|id| PeId::new(id).unwrap())
}

pub(crate) fn registrar_id() -> impl Strategy<Value = Option<RegistrarId>> {
    any::<u32>().prop_map(RegistrarId::new)
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(|bytes| IpAddr::from(bytes).to_canonical()),
    ]
}

pub(crate) fn sctp_transport() -> impl Strategy<Value = SctpTransport> {
    (any::<u16>(), any::<bool>(), vec(ip(), 1..=5)).prop_map(|(port, control, addresses)| SctpTransport {
        port,
        transport_use: if control {
            TransportUse::DataPlusControl
        } else {
            TransportUse::DataOnly
        },
        addresses,
    })
}

pub(crate) fn transport() -> impl Strategy<Value = Transport> {
    let address = || (ip(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port));
    prop_oneof![
        4 => sctp_transport().prop_map(Transport::Sctp),
        1 => address().prop_map(Transport::Tcp),
        1 => address().prop_map(Transport::Udp),
        1 => address().prop_map(Transport::UdpLite),
        1 => (address(), any::<u32>()).prop_map(|(address, service_code)| Transport::Dccp { address, service_code }),
        1 => vec(any::<u8>(), 0..50).prop_map(|bytes| Transport::Opaque(bytes.into())),
    ]
}

pub(crate) fn policy() -> impl Strategy<Value = PolicyParam> {
    let known = [
        0x0000_0001,
        0x0000_0002,
        0x0000_0003,
        0x0000_0004,
        0x0000_0005,
        0x4000_0001,
        0x4000_0002,
        0x4000_0003,
        0x4000_0004,
        0xb000_1001,
        0xb000_1002,
        0xb000_1003,
        0xb000_1004,
        0xb000_2001,
        0xb000_2002,
        0xb000_2003,
        0xb000_2004,
        0xb000_2005u32,
    ];
    let known =
        (prop::sample::select(known.to_vec()), any::<u32>(), any::<u32>()).prop_map(|(number, load, distance)| {
            let mut policy = PolicyParam::from_number(PolicyNumber(number)).unwrap();
            policy.set_load(load);
            policy.set_distance(distance);
            policy
        });
    let other = (0x9000_0000u32..0x9fff_ffff, vec(any::<u8>(), 0..20)).prop_map(|(number, data)| PolicyParam::Other {
        number: PolicyNumber(number),
        data: data.into(),
    });
    prop_oneof![9 => known, 1 => other]
}

pub(crate) fn element() -> impl Strategy<Value = PoolElementParam> {
    let parts = (
        pe_id(),
        registrar_id(),
        any::<i32>(),
        transport(),
        policy(),
        option::of(sctp_transport()),
    );
    parts.prop_map(
        |(id, home, life, user_transport, policy, asap_transport)| PoolElementParam {
            id,
            home,
            life: RegistrationLife(life),
            user_transport,
            policy,
            asap_transport,
        },
    )
}

pub(crate) fn error() -> impl Strategy<Value = OperationError> {
    vec((any::<u16>(), vec(any::<u8>(), 0..30)), 1..4).prop_map(|causes| {
        let mut causes = causes
            .into_iter()
            .map(|(code, info)| Cause::new(CauseCode(code), info.into()));
        let mut error = OperationError::new(causes.next().unwrap());
        causes.for_each(|cause| error.push(cause));
        error
    })
}

pub(crate) fn cookie() -> impl Strategy<Value = Cookie> {
    vec(any::<u8>(), 0..100).prop_map(|bytes| Cookie::new(bytes).unwrap())
}

/// Any message, as it is read back after it was written.
pub(crate) fn message() -> impl Strategy<Value = AsapMessage> {
    let flag = any::<bool>;
    prop_oneof![
        (pool_handle(), element()).prop_map(|(pool, element)| AsapMessage::Registration { pool, element }),
        (pool_handle(), pe_id()).prop_map(|(pool, pe)| AsapMessage::Deregistration { pool, pe }),
        (pool_handle(), pe_id(), flag(), option::of(error())).prop_map(|(pool, pe, reject, error)| {
            AsapMessage::RegistrationResponse {
                pool,
                pe,
                reject,
                error,
            }
        }),
        (pool_handle(), pe_id(), option::of(error()))
            .prop_map(|(pool, pe, error)| AsapMessage::DeregistrationResponse { pool, pe, error }),
        (pool_handle(), flag(), option::of(any::<u32>()))
            .prop_map(|(pool, subscribe, items)| { AsapMessage::HandleResolution { pool, subscribe, items } }),
        (pool_handle(), flag(), option::of(policy()), vec(element(), 0..4)).prop_map(
            |(pool, updates, policy, elements)| AsapMessage::HandleResolutionResponse {
                pool,
                updates,
                policy,
                elements,
                error: None,
            }
        ),
        (pool_handle(), error()).prop_map(|(pool, error)| AsapMessage::HandleResolutionResponse {
            pool,
            updates: false,
            policy: None,
            elements: Vec::new(),
            error: Some(error),
        }),
        (flag(), registrar_id(), pool_handle(), option::of(pe_id()))
            .prop_map(|(home, server, pool, pe)| AsapMessage::EndpointKeepAlive { home, server, pool, pe }),
        (pool_handle(), pe_id()).prop_map(|(pool, pe)| AsapMessage::EndpointKeepAliveAck { pool, pe }),
        (pool_handle(), pe_id()).prop_map(|(pool, pe)| AsapMessage::EndpointUnreachable { pool, pe }),
        (registrar_id(), vec(sctp_transport().prop_map(Transport::Sctp), 0..4))
            .prop_map(|(server, transports)| AsapMessage::ServerAnnounce { server, transports }),
        cookie().prop_map(|cookie| AsapMessage::Cookie { cookie }),
        cookie().prop_map(|cookie| AsapMessage::CookieEcho { cookie }),
        (pool_handle(), option::of(policy()), vec(element(), 0..4))
            .prop_map(|(pool, policy, elements)| AsapMessage::BusinessCard { pool, policy, elements }),
        error().prop_map(|error| AsapMessage::Error { error }),
    ]
}
