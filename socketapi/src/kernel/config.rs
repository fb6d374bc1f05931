//! The configuration of associations, read from the kernel's options and written to them (RFC 6458 §8).

use std::io;
use std::time::Duration;

use socket2::Socket;

use super::abi::{self, Abi, AssocParams, AuthChunk, AuthKeyId, Field, InitMsg, Number, RtoInfo, SackInfo};
use super::core::Core;
use super::send::milliseconds;
use super::state::Style;
use super::{errno, keys, paths};
use crate::{
    AssociationConfig, Error, FragmentInterleave, HmacId, ReconfigRequests, Result, SharedKeyId, StreamScheduler,
};

/// Valid.Cookie.Life as it is at first, in milliseconds.
const COOKIE_LIFE: u32 = 60_000;

const NO_INTERLEAVING: &str = "this kernel does not interleave messages: net.sctp.intl_enable is 0";

/// The options of an association, or of the new ones of a socket. What the kernel has no option for is at its default.
pub(crate) fn read(core: &Core, id: Option<i32>) -> Result<AssociationConfig> {
    let assoc = id.unwrap_or(abi::FUTURE_ASSOC);
    let mut config = AssociationConfig::default();
    let failed = |error: io::Error| errno::of_association("reading options", &error);
    let milli = |value: u32| Duration::from_millis(value.into());

    // Values that this library would refuse stay at their default, here and below.
    let request = RtoInfo {
        assoc,
        ..RtoInfo::default()
    };
    let rto = core.get(abi::SCTP_RTOINFO, request)?.map_err(failed)?;
    let _ = config.set_rto(milli(rto.initial), milli(rto.min), milli(rto.max));
    let request = AssocParams {
        assoc,
        ..AssocParams::default()
    };
    let params = core.get(abi::SCTP_ASSOCINFO, request)?.map_err(failed)?;
    config.set_association_max_retrans(params.max_rxt);
    let _ = config.set_cookie_life((params.cookie_life != COOKIE_LIFE).then(|| milli(params.cookie_life)));
    let init = core.get(abi::SCTP_INITMSG, InitMsg::default())?.map_err(failed)?;
    let _ = config.set_outbound_streams(init.num_ostreams);
    let _ = config.set_max_inbound_streams(init.max_instreams);
    config.set_max_init_retransmits(init.max_attempts);
    let longest = milli(init.max_init_timeo.into());
    let _ =
        config.set_max_init_timeout(Some(longest).filter(|longest| !longest.is_zero() && *longest != config.rto_max()));
    let half = |size: usize| u32::try_from(size / 2).unwrap_or(u32::MAX);
    let receive = core.socket_option(Socket::recv_buffer_size)?.map_err(failed)?;
    let _ = config.set_receive_buffer(half(receive));
    let send = core.socket_option(Socket::send_buffer_size)?.map_err(failed)?;
    let _ = config.set_send_buffer(half(send));
    if core.style == Style::Many {
        let seconds = core.get(abi::SCTP_AUTOCLOSE, Number::default())?.map_err(failed)?.value;
        let _ = config.set_autoclose((seconds > 0).then(|| Duration::from_secs(seconds.into())));
    }
    let adaptation = core
        .get(abi::SCTP_ADAPTATION_LAYER, Number::default())?
        .map_err(failed)?;
    config.set_adaptation_indication((adaptation.value > 0).then_some(adaptation.value));
    let request = SackInfo {
        assoc,
        ..SackInfo::default()
    };
    let sack = core.get(abi::SCTP_DELAYED_SACK, request)?.map_err(failed)?;
    let _ = config.set_sack_delay(milli(sack.delay));
    let _ = config.set_sack_frequency(u8::try_from(sack.freq).unwrap_or(u8::MAX));

    let value = |name| -> Result<u32> { core.value(name, assoc)?.map_err(failed) };
    config.set_max_burst(u16::try_from(value(abi::SCTP_MAX_BURST)?).unwrap_or(u16::MAX));
    config.set_partial_reliability(value(abi::SCTP_PR_SUPPORTED)? > 0);
    config.set_ecn(value(abi::SCTP_ECN_SUPPORTED)? > 0);
    config.set_expose_potentially_failed(value(abi::SCTP_EXPOSE_POTENTIALLY_FAILED_STATE)? != 1);
    config
        .reconfig_mut()
        .set_offered(value(abi::SCTP_RECONFIG_SUPPORTED)? > 0);
    let requests = value(abi::SCTP_ENABLE_STREAM_RESET)?;
    config.reconfig_mut().set_accepted(ReconfigRequests {
        reset_streams: requests & abi::SCTP_ENABLE_RESET_STREAM_REQ != 0,
        reset_association: requests & abi::SCTP_ENABLE_RESET_ASSOC_REQ != 0,
        add_streams: requests & abi::SCTP_ENABLE_CHANGE_ASSOC_REQ != 0,
    });
    let known = SCHEDULERS
        .iter()
        .find(|(_, number)| Ok(*number) == value(abi::SCTP_STREAM_SCHEDULER));
    config.set_stream_scheduler(known.map(|(scheduler, _)| *scheduler).unwrap_or_default());
    let interleave = core
        .get(abi::SCTP_FRAGMENT_INTERLEAVE, Number::default())?
        .map_err(failed)?;
    let level = if interleave.value > 0 {
        FragmentInterleave::Associations
    } else {
        FragmentInterleave::Nothing
    };
    let _ = config.interleaving_mut().set_fragment_interleave(level);
    if value(abi::SCTP_INTERLEAVING_SUPPORTED)? > 0 {
        config.interleaving_mut().set_offered(true);
    }
    config.asconf_mut().set_offered(value(abi::SCTP_ASCONF_SUPPORTED)? > 0);
    let automatic = core.get(abi::SCTP_AUTO_ASCONF, Number::default())?.map_err(failed)?;
    config.asconf_mut().set_automatic(automatic.value > 0);
    if value(abi::SCTP_AUTH_SUPPORTED)? > 0 {
        read_auth(core, assoc, &mut config)?;
    }
    read_sending(core, assoc, &mut config)?;
    *config.path_mut() = paths::read(core, id, None)?;
    Ok(config)
}

fn read_sending(core: &Core, assoc: i32, config: &mut AssociationConfig) -> Result<()> {
    let failed = |error: io::Error| errno::of_association("reading options", &error);
    let number = |name| -> Result<u32> { Ok(core.get(name, Number::default())?.map_err(failed)?.value) };
    let sending = config.sending_mut();
    sending.set_nodelay(number(abi::SCTP_NODELAY)? > 0);
    sending.set_fragmentation_disabled(number(abi::SCTP_DISABLE_FRAGMENTS)? > 0);
    let limit = core.value(abi::SCTP_MAXSEG, assoc)?.map_err(failed)?;
    // What an association has is what its path takes, too.
    let limit = match assoc {
        abi::FUTURE_ASSOC => u16::try_from(limit).ok().filter(|limit| *limit > 0),
        _ => core.state().max_fragments.get(&assoc).copied(),
    };
    let _ = sending.set_max_fragment(limit);
    let point = number(abi::SCTP_PARTIAL_DELIVERY_POINT)?;
    // The kernel halves the receive buffer that it tells.
    let _ = config.set_partial_delivery_point((point > 0).then_some(point));
    Ok(())
}

fn apply_sending(core: &Core, assoc: i32, have: &AssociationConfig, want: &AssociationConfig) -> Result<()> {
    let failed = |error: io::Error| errno::general("setting an option", &error);
    let set = |name, value| -> Result<()> { core.set(name, Number { value })?.map_err(failed) };
    let (before, after) = (have.sending(), want.sending());
    if before.nodelay() != after.nodelay() {
        set(abi::SCTP_NODELAY, after.nodelay().into())?;
    }
    if before.fragmentation_disabled() != after.fragmentation_disabled() {
        set(abi::SCTP_DISABLE_FRAGMENTS, after.fragmentation_disabled().into())?;
    }
    if before.max_fragment() != after.max_fragment() {
        let value = after.max_fragment().map_or(0, u32::from);
        core.set_value(abi::SCTP_MAXSEG, assoc, value)?.map_err(failed)?;
        if assoc != abi::FUTURE_ASSOC {
            let mut state = core.state();
            match after.max_fragment() {
                Some(len) => state.max_fragments.insert(assoc, len),
                None => state.max_fragments.remove(&assoc),
            };
        }
    }
    if have.partial_delivery_point() != want.partial_delivery_point() {
        set(
            abi::SCTP_PARTIAL_DELIVERY_POINT,
            want.partial_delivery_point().unwrap_or(0),
        )?;
    }
    Ok(())
}

fn read_auth(core: &Core, assoc: i32, config: &mut AssociationConfig) -> Result<()> {
    let auth = config.auth_mut();
    auth.set_enabled(true);
    for kind in keys::auth_chunks(core, assoc, abi::SCTP_LOCAL_AUTH_CHUNKS)? {
        let _ = auth.require(kind);
    }
    if let Ok(answer) = core.get_bytes(abi::SCTP_HMAC_IDENT, &[], 64)? {
        let count = usize::try_from(u32::load(&answer).unwrap_or(0)).unwrap_or(0);
        let hmacs = answer
            .get(4..)
            .unwrap_or_default()
            .chunks_exact(2)
            .filter_map(u16::load);
        let _ = auth.set_hmacs(&hmacs.take(count).map(HmacId).collect::<Vec<_>>());
    }
    Ok(())
}

/// What the kernel's schedulers are called.
const SCHEDULERS: [(StreamScheduler, u32); 5] = [
    (StreamScheduler::FirstComeFirstServed, abi::SCTP_SS_FCFS),
    (StreamScheduler::Priority, abi::SCTP_SS_PRIO),
    (StreamScheduler::RoundRobin, abi::SCTP_SS_RR),
    (StreamScheduler::FairCapacity, abi::SCTP_SS_FC),
    (StreamScheduler::WeightedFairQueueing, abi::SCTP_SS_WFQ),
];

/// Gives a new socket its configuration.
pub(crate) fn prepare(core: &Core, mut want: AssociationConfig) -> Result<()> {
    let have = read(core, None)?;
    if want.path().remote_encapsulation_port().is_none() {
        // What net.sctp.encap_port says.
        want.path_mut()
            .set_remote_encapsulation_port(have.path().remote_encapsulation_port());
    }
    if !want.auth().is_offered() && !want.asconf().offered() {
        // Its order is the kernel's own where it has no meaning.
        let _ = want.auth_mut().set_hmacs(have.auth().hmacs());
    }
    apply(core, None, &have, &want)
}

/// Changes what differs.
pub(crate) fn apply(core: &Core, id: Option<i32>, have: &AssociationConfig, want: &AssociationConfig) -> Result<()> {
    refuse(core.style, id, have, want)?;
    let assoc = id.unwrap_or(abi::FUTURE_ASSOC);
    let failed = |error: io::Error| errno::general("setting an option", &error);
    let set_value = |name, value| -> Result<()> { core.set_value(name, assoc, value)?.map_err(failed) };

    if (have.rto_initial(), have.rto_min(), have.rto_max()) != (want.rto_initial(), want.rto_min(), want.rto_max()) {
        let rto = RtoInfo {
            assoc,
            initial: milliseconds(want.rto_initial()),
            max: milliseconds(want.rto_max()),
            min: milliseconds(want.rto_min()),
        };
        core.set(abi::SCTP_RTOINFO, rto)?.map_err(failed)?;
    }
    if have.association_max_retrans() != want.association_max_retrans() {
        let params = AssocParams {
            assoc,
            max_rxt: want.association_max_retrans(),
            ..AssocParams::default()
        };
        core.set(abi::SCTP_ASSOCINFO, params)?.map_err(failed)?;
    }
    if have.cookie_life() != want.cookie_life() {
        let params = AssocParams {
            assoc,
            cookie_life: want.cookie_life().map_or(COOKIE_LIFE, milliseconds),
            ..AssocParams::default()
        };
        core.set(abi::SCTP_ASSOCINFO, params)?.map_err(failed)?;
    }
    apply_sending(core, assoc, have, want)?;
    apply_set_up(core, have, want)?;
    if have.receive_buffer() != want.receive_buffer() {
        set_buffer(core, libc::SO_RCVBUF, libc::SO_RCVBUFFORCE, want.receive_buffer())?;
    }
    if have.send_buffer() != want.send_buffer() {
        set_buffer(core, libc::SO_SNDBUF, libc::SO_SNDBUFFORCE, want.send_buffer())?;
    }
    if (have.sack_delay(), have.sack_frequency()) != (want.sack_delay(), want.sack_frequency()) {
        apply_sack(core, assoc, want)?;
    }
    if have.max_burst() != want.max_burst() {
        set_value(abi::SCTP_MAX_BURST, want.max_burst().into())?;
    }
    if have.partial_reliability() != want.partial_reliability() {
        set_value(abi::SCTP_PR_SUPPORTED, want.partial_reliability().into())?;
    }
    if have.ecn() != want.ecn() {
        set_value(abi::SCTP_ECN_SUPPORTED, want.ecn().into())?;
    }
    if have.expose_potentially_failed() != want.expose_potentially_failed() {
        // Two would say that nothing was chosen.
        let value = if want.expose_potentially_failed() { 2 } else { 1 };
        set_value(abi::SCTP_EXPOSE_POTENTIALLY_FAILED_STATE, value)?;
    }
    if have.reconfig().offered() != want.reconfig().offered() {
        set_value(abi::SCTP_RECONFIG_SUPPORTED, want.reconfig().offered().into())?;
    }
    let accepted = want.reconfig().accepted();
    if have.reconfig().accepted() != accepted {
        let bit = |on: bool, bit: u32| if on { bit } else { 0 };
        let value = bit(accepted.reset_streams, abi::SCTP_ENABLE_RESET_STREAM_REQ)
            | bit(accepted.reset_association, abi::SCTP_ENABLE_RESET_ASSOC_REQ)
            | bit(accepted.add_streams, abi::SCTP_ENABLE_CHANGE_ASSOC_REQ);
        set_value(abi::SCTP_ENABLE_STREAM_RESET, value)?;
    }
    if have.stream_scheduler() != want.stream_scheduler() {
        let known = SCHEDULERS
            .iter()
            .find(|(scheduler, _)| *scheduler == want.stream_scheduler());
        let (_, number) = known.ok_or(Error::Unsupported("this stream scheduler"))?;
        core.set_value(abi::SCTP_STREAM_SCHEDULER, assoc, *number)?
            .map_err(|error| match error.raw_os_error() {
                Some(libc::EINVAL) => Error::Unsupported("this stream scheduler"),
                _ => errno::general("choosing a stream scheduler", &error),
            })?;
    }
    apply_interleaving(core, assoc, have, want)?;
    apply_asconf(core, assoc, have, want)?;
    apply_auth(core, id, have, want)?;
    paths::apply(core, id, None, have.path(), want.path())
}

/// What no option of the kernel changes, or not in an open association.
fn refuse(style: Style, id: Option<i32>, have: &AssociationConfig, want: &AssociationConfig) -> Result<()> {
    let unsupported = |differs: bool, what: &'static str| if differs { Err(Error::Unsupported(what)) } else { Ok(()) };
    unsupported(
        have.congestion_control() != want.congestion_control(),
        "the kernel has one congestion control",
    )?;
    unsupported(
        have.zero_checksum() != want.zero_checksum(),
        "the kernel always uses checksums",
    )?;
    unsupported(
        have.interleaving().fragments_from_zero() != want.interleaving().fragments_from_zero(),
        "how the kernel numbers fragments",
    )?;
    unsupported(
        have.reconfig().max_outbound_streams() != want.reconfig().max_outbound_streams(),
        "a limit of the kernel's outbound streams",
    )?;
    let (mut theirs, own) = (*have.asconf(), *want.asconf());
    theirs.set_offered(own.offered());
    theirs.set_automatic(own.automatic());
    unsupported(theirs != own, "this setting of address changes")?;
    let level = want.interleaving().fragment_interleave();
    unsupported(
        level == FragmentInterleave::Streams && !want.interleaving().offered(),
        "pieces of messages of one association can mix only with interleaving",
    )?;
    if id.is_none() {
        return Ok(());
    }
    let of_socket = |config: &AssociationConfig| {
        let sending = config.sending();
        let of_sending = (sending.nodelay(), sending.fragmentation_disabled());
        (of_sending, config.partial_delivery_point())
    };
    unsupported(
        !style.is_single() && of_socket(have) != of_socket(want),
        "the kernel has this of whole sockets",
    )?;
    unsupported(
        have.autoclose() != want.autoclose(),
        "the kernel closes idle associations as their socket said at their beginning",
    )?;
    let fixed = (have.outbound_streams(), have.max_inbound_streams())
        != (want.outbound_streams(), want.max_inbound_streams())
        || have.adaptation_indication() != want.adaptation_indication()
        || have.partial_reliability() != want.partial_reliability()
        || have.ecn() != want.ecn()
        || have.reconfig().offered() != want.reconfig().offered()
        || have.asconf().offered() != want.asconf().offered()
        || have.interleaving() != want.interleaving()
        || have.auth() != want.auth();
    if fixed { Err(Error::Fixed) } else { Ok(()) }
}

/// What set-up says, and what only sockets have.
fn apply_set_up(core: &Core, have: &AssociationConfig, want: &AssociationConfig) -> Result<()> {
    let failed = |error: io::Error| errno::general("setting an option", &error);
    let of = |config: &AssociationConfig| {
        let streams = (config.outbound_streams(), config.max_inbound_streams());
        (streams, config.max_init_retransmits(), config.max_init_timeout())
    };
    if of(have) != of(want) {
        let init = InitMsg {
            num_ostreams: want.outbound_streams(),
            max_instreams: want.max_inbound_streams(),
            max_attempts: want.max_init_retransmits(),
            // Zero is as it is, and at first RTO.Max.
            max_init_timeo: u16::try_from(milliseconds(want.max_init_timeout().unwrap_or_else(|| want.rto_max())))
                .unwrap_or(u16::MAX),
        };
        core.set(abi::SCTP_INITMSG, init)?.map_err(failed)?;
    }
    if have.autoclose() != want.autoclose() {
        let whole = |idle: Duration| u32::try_from(idle.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        let value = want.autoclose().map_or(0, whole);
        core.set(abi::SCTP_AUTOCLOSE, Number { value })?.map_err(failed)?;
    }
    if have.adaptation_indication() != want.adaptation_indication() {
        let value = want.adaptation_indication().unwrap_or(0);
        core.set(abi::SCTP_ADAPTATION_LAYER, Number { value })?
            .map_err(failed)?;
    }
    Ok(())
}

fn apply_sack(core: &Core, assoc: i32, want: &AssociationConfig) -> Result<()> {
    // Zero would leave it as it is: a frequency of one packet is what has no delay.
    let immediate = want.sack_frequency() == 1 || want.sack_delay().is_zero();
    let info = SackInfo {
        assoc,
        delay: if immediate { 0 } else { milliseconds(want.sack_delay()) },
        freq: if immediate { 1 } else { want.sack_frequency().into() },
    };
    core.set(abi::SCTP_DELAYED_SACK, info)?
        .map_err(|error| errno::general("setting how acknowledgements are delayed", &error))
}

fn apply_interleaving(core: &Core, assoc: i32, have: &AssociationConfig, want: &AssociationConfig) -> Result<()> {
    let (have, want) = (have.interleaving(), want.interleaving());
    let failed = |error: io::Error| match error.raw_os_error() {
        Some(libc::EPERM) => Error::Unsupported(NO_INTERLEAVING),
        _ => errno::general("setting how messages are interleaved", &error),
    };
    if have.fragment_interleave() != want.fragment_interleave() {
        let value = u32::from(want.fragment_interleave() != FragmentInterleave::Nothing);
        core.set(abi::SCTP_FRAGMENT_INTERLEAVE, Number { value })?
            .map_err(failed)?;
    }
    if have.offered() != want.offered() {
        core.set_value(abi::SCTP_INTERLEAVING_SUPPORTED, assoc, want.offered().into())?
            .map_err(failed)?;
    }
    Ok(())
}

fn apply_asconf(core: &Core, assoc: i32, have: &AssociationConfig, want: &AssociationConfig) -> Result<()> {
    let failed = |error: io::Error| errno::general("setting whether addresses change", &error);
    if have.asconf().offered() != want.asconf().offered() {
        core.set_value(abi::SCTP_ASCONF_SUPPORTED, assoc, want.asconf().offered().into())?
            .map_err(failed)?;
    }
    if have.asconf().automatic() != want.asconf().automatic() {
        let value = want.asconf().automatic().into();
        core.set(abi::SCTP_AUTO_ASCONF, Number { value })?.map_err(|error| {
            // A socket that is bound to some addresses does not follow the others.
            if error.raw_os_error() == Some(libc::EINVAL) {
                Error::Unsupported("automatic address changes of a socket that is not bound to all addresses")
            } else {
                failed(error)
            }
        })?;
    }
    Ok(())
}

fn apply_auth(core: &Core, id: Option<i32>, have: &AssociationConfig, want: &AssociationConfig) -> Result<()> {
    let failed = |error: io::Error| match error.raw_os_error() {
        Some(libc::EACCES) => Error::Unsupported("settings of authentication while it is not offered"),
        _ => errno::general("setting what is authenticated", &error),
    };
    let assoc = id.unwrap_or(abi::FUTURE_ASSOC);
    // Changes of addresses are authenticated.
    let offered = want.auth().is_offered() || want.asconf().offered();
    if have.auth().is_offered() != offered {
        core.set_value(abi::SCTP_AUTH_SUPPORTED, assoc, offered.into())?
            .map_err(failed)?;
    }
    for kind in want.auth().chunks() {
        if !have.auth().chunks().any(|known| known == kind) {
            core.set(abi::SCTP_AUTH_CHUNK, AuthChunk { kind: kind.0 })?
                .map_err(failed)?;
        }
    }
    let hmacs = want.auth().hmacs();
    if have.auth().hmacs() != hmacs {
        let mut bytes = u32::try_from(hmacs.len()).unwrap_or(0).to_ne_bytes().to_vec();
        bytes.extend(hmacs.iter().flat_map(|hmac| hmac.0.to_ne_bytes()));
        core.set_bytes(abi::SCTP_HMAC_IDENT, &bytes)?.map_err(failed)?;
    }
    let (old, keys) = (have.auth().keys(), want.auth().keys());
    for key in keys.ids() {
        if let Some(secret) = keys.secret(key).filter(|secret| old.secret(key) != Some(*secret)) {
            keys::set_auth_key(core, id, key, secret)?;
        }
    }
    if old.active() != keys.active() {
        let SharedKeyId(key) = keys.active();
        core.set(abi::SCTP_AUTH_ACTIVE_KEY, AuthKeyId { assoc, key })?
            .map_err(failed)?;
    }
    Ok(())
}

/// Sets the size of a buffer, beyond the host's limit where that is allowed. The kernel doubles it, for its own needs.
fn set_buffer(core: &Core, name: i32, beyond: i32, bytes: u32) -> Result<()> {
    let value = Number { value: bytes }.to_bytes();
    let outcome = core.set_at(libc::SOL_SOCKET, beyond, &value)?;
    if outcome.is_ok() {
        return Ok(());
    }
    core.set_at(libc::SOL_SOCKET, name, &value)?
        .map_err(|error| errno::general("setting the size of a buffer", &error))
}
