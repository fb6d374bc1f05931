//! What the RFCs of extensions say about sockets: RFC 6525 §6, RFC 6951 §6, RFC 7496 §4, RFC 7829 §7, RFC 8260 §4.3.

use std::time::Duration;

use socketapi::{
    AssocScope, AssociationConfig, Error, FragmentInterleave, Notification, PathChange, PathState, PathThresholds,
    ReconfigError, ReconfigOutcome, ReconfigRequests, Reliability, StreamDirections, StreamId, StreamScheduler,
    Subscriptions,
};

use crate::common::{Pair, hasty, ip, next_data, on_kernel, told, within};

#[tokio::test]
async fn rfc6525_6_3_one_request_at_a_time() {
    let mut config = AssociationConfig::default();
    config.reconfig_mut().set_accepted(ReconfigRequests::ALL);
    let pair = Pair::new(AssociationConfig::default(), config).await;
    pair.options().set_subscriptions(Subscriptions::all()).unwrap();
    assert_eq!(
        pair.options().enable_stream_reset(),
        Ok(ReconfigRequests::NONE),
        "denied by default"
    );
    if on_kernel("it may have been answered by then") {
        return;
    }
    let assoc = pair.here();
    // Nothing is answered before the runtime has its turn.
    assoc.add_streams(1, 0).unwrap();
    let second = assoc.reset_streams(StreamDirections::Outgoing, &[StreamId(1)]);
    assert_eq!(second, Err(Error::Reconfig(ReconfigError::InProgress)));
    let performed = told(&pair.client, |event| match event {
        Notification::StreamChange { outcome, .. } => Some(*outcome),
        _ => None,
    });
    assert_eq!(performed.await, ReconfigOutcome::Performed);
    assoc.reset_streams(StreamDirections::Outgoing, &[StreamId(1)]).unwrap();
    let beyond = assoc.reset_streams(StreamDirections::Outgoing, &[StreamId(60_000)]);
    assert!(beyond.is_err(), "{beyond:?}");
}

#[tokio::test]
async fn rfc6951_6_1_a_port_without_an_address_is_that_of_future_paths() {
    if on_kernel("it has all paths follow") {
        return;
    }
    let pair = Pair::usual().await;
    let own = Some(ip("127.0.0.1"));
    let before = pair.options().remote_udp_encaps_port(own).unwrap();
    pair.options().set_remote_udp_encaps_port(None, Some(9)).unwrap();
    assert_eq!(pair.options().remote_udp_encaps_port(None), Ok(Some(9)));
    assert_eq!(pair.options().remote_udp_encaps_port(own), Ok(before));
    pair.send("as before", pair.to()).await;
    assert_eq!(next_data(&pair.server).await.payload, "as before");
}

#[tokio::test]
async fn rfc7829_7_2_thresholds_are_in_order() {
    let pair = Pair::two_homed(AssociationConfig::default()).await;
    // A path would lose its primacy before it is potentially failed.
    assert!(PathThresholds::new(5, Some(3), Some(2)).is_err());
    assert!(PathThresholds::new(5, None, Some(4)).is_err());
    let thresholds = PathThresholds::new(5, Some(1), Some(3)).unwrap();
    let second = Some(ip("127.0.0.2"));
    pair.options().set_peer_addr_thlds(second, thresholds).unwrap();
    assert_eq!(pair.options().peer_addr_thlds(second), Ok(thresholds));
    let first = Some(ip("127.0.0.1"));
    assert_ne!(pair.options().peer_addr_thlds(first), Ok(thresholds));
    // Without an address it is of all.
    pair.options().set_peer_addr_thlds(None, thresholds).unwrap();
    assert_eq!(pair.options().peer_addr_thlds(first), Ok(thresholds));
}

/// A client one of whose ways leads nowhere; it says whether it was told that this is potentially failed, once it is
/// told that it failed.
async fn is_told_of_potential_failure(exposed: bool) -> bool {
    let mut config = hasty();
    config.set_expose_potentially_failed(exposed);
    let pair = Pair::two_homed(config).await;
    let second = ip("127.0.0.2");
    // The server asks no more: its packets would show the port that is right.
    told(&pair.server, |event| match event {
        Notification::PeerAddressChange { address, change, .. } => {
            (address.ip() == second && *change == PathChange::Confirmed).then_some(())
        }
        _ => None,
    })
    .await;
    let options = pair.options();
    options
        .set_peer_addr_thlds(Some(second), PathThresholds::new(2, Some(0), None).unwrap())
        .unwrap();
    let silent = std::net::UdpSocket::bind("127.0.0.2:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    options.set_remote_udp_encaps_port(Some(second), Some(port)).unwrap();
    pair.here().request_heartbeat(second).unwrap();
    let mut was_told = false;
    loop {
        let change = told(&pair.client, |event| match event {
            Notification::PeerAddressChange { address, change, .. } => (address.ip() == second).then_some(*change),
            _ => None,
        });
        match within(change).await {
            PathChange::PotentiallyFailed => {
                let state = pair.here().get_peer_addr_info(second).unwrap().state;
                assert!(
                    matches!(state, PathState::PotentiallyFailed | PathState::Inactive),
                    "{state:?}"
                );
                was_told = true;
            }
            PathChange::Unreachable => return was_told,
            _ => {}
        }
    }
}

#[tokio::test]
async fn rfc7829_7_1_a_potentially_failed_path_is_told() {
    if !on_kernel("the way is cut by its UDP port") {
        assert!(is_told_of_potential_failure(true).await);
    }
}

#[tokio::test]
async fn rfc7829_7_3_a_potentially_failed_path_is_not_told_unless_it_is_exposed() {
    if !on_kernel("the way is cut by its UDP port") {
        assert!(!is_told_of_potential_failure(false).await);
    }
}

#[tokio::test]
async fn rfc7496_4_5_partial_reliability_takes_both_ends() {
    let mut without = AssociationConfig::default();
    without.set_partial_reliability(false);
    let pair = Pair::new(AssociationConfig::default(), without).await;
    assert_eq!(pair.options().pr_supported(), Ok(false));
    assert_eq!(pair.client.options().pr_supported(), Ok(true));
    if on_kernel("it lets it be set, and that changes nothing") {
        return;
    }
    assert_eq!(pair.options().set_pr_supported(false), Err(Error::Fixed));
    // Every message is reliable then.
    let timed = pair.to().with_reliability(Reliability::Timed(Duration::from_millis(1)));
    pair.send("all the same", timed).await;
    assert_eq!(next_data(&pair.server).await.payload, "all the same");
    assert_eq!(pair.here().pr_assoc_status(None).unwrap().unsent, 0);
}

#[tokio::test]
async fn congestion_notification_takes_both_ends() {
    let mut without = AssociationConfig::default();
    without.set_ecn(false);
    for (server, both) in [(AssociationConfig::default(), true), (without, false)] {
        let pair = Pair::new(AssociationConfig::default(), server).await;
        assert_eq!(pair.options().ecn_supported(), Ok(both));
        assert_eq!(pair.client.options().ecn_supported(), Ok(true));
        if on_kernel("it lets it be set, and that changes nothing") {
            return;
        }
        assert_eq!(pair.options().set_ecn_supported(false), Err(Error::Fixed));
        pair.client.options().set_ecn_supported(false).unwrap();
        assert_eq!(pair.client.options().ecn_supported(), Ok(false));
    }
}

#[tokio::test]
async fn rfc8260_4_3_1_interleaving_goes_with_level_2() {
    let pair = Pair::usual().await;
    let options = pair.client.options();
    assert_eq!(options.interleaving_supported(), Ok(false), "by default");
    options.set_interleaving_supported(true).unwrap();
    assert_eq!(options.interleaving_supported(), Ok(true));
    assert_eq!(options.fragment_interleave(), Ok(FragmentInterleave::Streams));
    assert_eq!(
        pair.options().interleaving_supported(),
        Ok(false),
        "as it was negotiated"
    );
    if !on_kernel("it has this of whole sockets") {
        assert_eq!(pair.options().set_interleaving_supported(true), Err(Error::Fixed));
    }
}

#[tokio::test]
async fn rfc8260_4_3_2_the_scheduler_is_of_future_current_or_all_associations() {
    let pair = Pair::usual().await;
    let both = || {
        let of_one = pair.options().stream_scheduler().unwrap();
        (pair.client.options().stream_scheduler().unwrap(), of_one)
    };
    let set = |scope, wanted| {
        pair.client
            .set_options(scope, |options| options.set_stream_scheduler(wanted))
            .unwrap();
    };
    let before = both().0;
    set(AssocScope::Current, StreamScheduler::Priority);
    assert_eq!(both(), (before, StreamScheduler::Priority));
    set(AssocScope::Future, StreamScheduler::RoundRobin);
    assert_eq!(both(), (StreamScheduler::RoundRobin, StreamScheduler::Priority));
    set(AssocScope::All, StreamScheduler::FirstComeFirstServed);
    assert_eq!(
        both(),
        (
            StreamScheduler::FirstComeFirstServed,
            StreamScheduler::FirstComeFirstServed
        )
    );
    pair.send("as ever", pair.to()).await;
    assert_eq!(next_data(&pair.server).await.payload, "as ever");
}
