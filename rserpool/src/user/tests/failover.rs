use super::*;

#[test]
fn rfc5352_3_8_a_lost_element_is_replaced_by_another_that_gets_the_newest_cookie_first() {
    let (mut bench, session, conn) = Bench::served();
    for text in ["one", "two", "three"] {
        bench.handle(asap(conn, &cookie(text)));
    }
    assert_eq!(bench.events().len(), 3);
    assert!(bench.user.has_cookie(session));
    bench.handle(closed(conn));
    assert_eq!(bench.events(), [started(1, FailoverReason::Lost)]);
    bench.send(session, "meanwhile").unwrap();
    // §3.5: reported, once.
    assert_eq!(bench.did(), [bench.unreachable(1), resolution(bench.home)]);
    bench.answer(&[1, 2]);
    // The registrar may still name the dead one; it is not tried.
    let (conn, 2) = bench.connecting() else { panic!() };
    bench.handle(connected(conn, 2));
    assert_eq!(bench.did(), [cookie_echo(conn, "three"), Did::Data(conn, "meanwhile")]);
    let completed = SessionEvent::FailoverCompleted {
        pe: pe(2),
        had_cookie: true,
    };
    assert_eq!(bench.events(), [completed]);
    // The element fails before it leaves a cookie of its own: the same cookie goes to the next one.
    bench.pass(ms(10_000));
    bench.handle(closed(conn));
    bench.did();
    bench.answer(&[3]);
    let (conn, 3) = bench.connecting() else { panic!() };
    bench.handle(connected(conn, 3));
    assert_eq!(bench.did(), [cookie_echo(conn, "three")]);
}

#[test]
fn without_a_cookie_none_is_echoed() {
    let (mut bench, _, conn) = Bench::served();
    bench.handle(closed(conn));
    bench.did();
    bench.answer(&[2]);
    let (conn, _) = bench.connecting();
    bench.handle(connected(conn, 2));
    assert_eq!(bench.did(), []);
    let completed = SessionEvent::FailoverCompleted {
        pe: pe(2),
        had_cookie: false,
    };
    assert_eq!(bench.events()[1..], [completed]);
}

#[test]
fn an_element_that_shuts_down_is_left_without_a_report() {
    let (mut bench, _, conn) = Bench::served();
    bench.handle(NetEvent::PeerShutdown { conn });
    assert_eq!(bench.events(), [started(1, FailoverReason::Shutdown)]);
    let (again, 2) = bench.resolve(&[1, 2]) else { panic!() };
    bench.handle(NetEvent::Closed { conn, graceful: true });
    bench.handle(connected(again, 2));
    assert!(matches!(bench.events()[..], [SessionEvent::FailoverCompleted { .. }]));
}

#[test]
fn a_session_may_end_with_the_element_that_ends_it() {
    let mut bench = Bench::new();
    let mut config = SessionConfig::default();
    config.set_fail_over_on_shutdown(false);
    let session = bench.open_with(config);
    let conn = bench.serve(1);
    bench.handle(NetEvent::PeerShutdown { conn });
    assert_eq!(bench.events(), [SessionEvent::Ended { reason: None }]);
    assert_eq!(bench.send(session, "x"), Err(SessionError::NoSuchSession));
    assert_eq!((bench.did(), bench.user.timers.len()), (vec![], 0));
}

#[test]
fn rfc5352_3_5_elements_that_cannot_be_reached_are_reported_and_passed_over() {
    let mut bench = Bench::new();
    bench.open();
    let (first, 1) = bench.resolve(&[1, 2, 3]) else {
        panic!()
    };
    bench.handle(closed(first));
    let (report, second) = match &bench.did()[..] {
        [report, Did::Connect(conn, place)] => (report.clone(), (*conn, number(place))),
        other => panic!("{other:?}"),
    };
    assert_eq!(report, bench.unreachable(1));
    assert_eq!(second.1, 2);
    // The second one does not answer at all.
    bench.pass(ms(2000));
    match &bench.did()[..] {
        [Did::Abort(conn), report, Did::Connect(third, place)] => {
            assert_eq!((*conn, number(place)), (second.0, 3));
            assert_eq!(*report, bench.unreachable(2));
            let third = *third;
            bench.handle(connected(third, 3));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.events(), [SessionEvent::Connected { pe: pe(3) }]);
}

#[test]
fn failed_attempts_are_repeated_with_growing_pauses() {
    let mut bench = Bench::new();
    bench.open();
    for pause in [250, 500, 1000, 2000, 2000] {
        let (conn, _) = bench.resolve(&[1]);
        bench.handle(closed(conn));
        assert_eq!(bench.did(), [bench.unreachable(1)]);
        let unavailable = SessionEvent::Unavailable {
            reason: Unavailable::Unreachable,
        };
        assert_eq!(bench.events(), [unavailable]);
        bench.pass(ms(pause - 1));
        assert_eq!(bench.did(), []);
        bench.pass(ms(1));
    }
}

#[test]
fn a_session_gives_up_after_as_many_attempts_as_configured() {
    let mut bench = Bench::new();
    let mut config = SessionConfig::default();
    config.set_max_attempts(Some(2)).unwrap();
    let session = bench.open_with(config);
    bench.did();
    bench.answer(&[]);
    bench.pass(ms(250));
    bench.did();
    bench.answer(&[]);
    let reason = Unavailable::NoElement;
    let expected = [
        SessionEvent::Unavailable { reason: reason.clone() },
        SessionEvent::Ended { reason: Some(reason) },
    ];
    assert_eq!(bench.events(), expected);
    bench.pass(ms(100_000));
    assert_eq!((bench.did(), bench.user.element_of(session)), (vec![], None));
}

#[test]
fn an_element_that_drops_its_users_at_once_does_not_keep_them_busy() {
    let mut bench = Bench::new();
    bench.open();
    let mut resolutions = 0;
    let end = bench.now + Duration::from_secs(60);
    while bench.now < end {
        for did in bench.did() {
            match did {
                Did::Asap(_, AsapMessage::HandleResolution { .. }) => {
                    resolutions += 1;
                    bench.answer(&[1, 2]);
                }
                Did::Connect(conn, place) => {
                    bench.handle(connected(conn, number(&place)));
                    bench.handle(closed(conn));
                }
                _ => {}
            }
        }
        bench.pass(ms(10));
    }
    assert!(resolutions < 60, "{resolutions} attempts in a minute");
}

#[test]
fn a_reply_that_does_not_come_is_a_failure() {
    let (mut bench, session, conn) = Bench::served();
    let wait = Some(ms(300));
    bench.user.expect_reply(bench.now, session, wait).unwrap();
    bench.pass(ms(299));
    bench.handle(data(conn, "just in time"));
    bench.pass(ms(1000));
    assert_eq!((bench.did(), bench.events()), (vec![], vec![message("just in time")]));

    bench.user.expect_reply(bench.now, session, wait).unwrap();
    // A cookie is no reply, and another request does not put off the one before.
    bench.handle(asap(conn, &cookie("c")));
    bench.pass(ms(200));
    bench.user.expect_reply(bench.now, session, wait).unwrap();
    bench.pass(ms(100));
    assert_eq!(
        bench.did(),
        [Did::Abort(conn), bench.unreachable(1), resolution(bench.home)]
    );
    assert_eq!(bench.events()[1..], [started(1, FailoverReason::NoReply)]);
    // Whatever was expected of the old element is not expected of the new one.
    bench.answer(&[2]);
    let (conn, 2) = bench.connecting() else { panic!() };
    bench.handle(connected(conn, 2));
    bench.events();
    bench.pass(ms(10_000));
    assert_eq!(bench.events(), []);
    // And it can be taken back.
    bench.user.expect_reply(bench.now, session, wait).unwrap();
    bench.user.expect_reply(bench.now, session, None).unwrap();
    bench.pass(ms(10_000));
    assert_eq!(bench.events(), []);
}

#[test]
fn the_application_may_ask_for_a_failover() {
    let (mut bench, session, conn) = Bench::served();
    bench.user.fail_over(bench.now, session, false).unwrap();
    assert_eq!(bench.did(), [Did::Abort(conn), resolution(bench.home)]);
    assert_eq!(bench.events(), [started(1, FailoverReason::Requested)]);
    // There is nothing to give up now.
    bench.user.fail_over(bench.now, session, true).unwrap();
    assert_eq!((bench.did(), bench.events()), (vec![], vec![]));
    bench.answer(&[2]);
    let (conn, _) = bench.connecting();
    bench.handle(connected(conn, 2));
    bench.pass(ms(1000));
    bench.user.fail_over(bench.now, session, true).unwrap();
    assert_eq!(
        bench.did(),
        [Did::Abort(conn), bench.unreachable(2), resolution(bench.home)]
    );
}

#[test]
fn rfc5352_3_3_c4_a_fresh_answer_is_not_asked_for_again() {
    let mut bench = Bench::with(|config| config.set_stale_cache_value(ms(5000)).unwrap());
    bench.open();
    let (_, 1) = bench.resolve(&[1, 2]) else { panic!() };
    // Round Robin goes on to the next element.
    bench.open();
    let (_, 2) = bench.connecting() else { panic!() };
    // C2: a stale one is.
    bench.pass(ms(5001));
    bench.did();
    bench.open();
    assert_eq!(bench.did(), [resolution(bench.home)]);
}

#[test]
fn without_a_registrar_an_old_answer_is_better_than_none() {
    let mut bench = Bench::new();
    bench.open();
    let (conn, 1) = bench.resolve(&[1, 2]) else { panic!() };
    bench.handle(connected(conn, 1));
    bench.pass(ms(60_000));
    bench.handle(closed(bench.home));
    bench.handle(closed(conn));
    let connects: Vec<u8> = bench
        .did()
        .iter()
        .filter_map(|did| match did {
            Did::Connect(_, place) => Some(number(place)),
            _ => None,
        })
        .collect();
    assert_eq!(connects, [REGISTRAR, 2]);
}

#[test]
fn a_failover_does_not_wait_for_a_registrar_that_is_lost_too() {
    let mut bench = Bench::new();
    bench.open();
    let (conn, 1) = bench.resolve(&[1, 2]) else { panic!() };
    bench.handle(connected(conn, 1));
    bench.pass(ms(10_000));
    bench.did();
    bench.handle(closed(conn));
    assert_eq!(bench.did(), [bench.unreachable(1), resolution(bench.home)]);
    bench.handle(closed(bench.home));
    match &bench.did()[..] {
        [Did::Connect(_, registrar), Did::Connect(conn, other)] => {
            assert_eq!((number(registrar), number(other)), (REGISTRAR, 2));
            let conn = *conn;
            bench.handle(connected(conn, 2));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        bench.events()[..],
        [.., SessionEvent::FailoverCompleted { .. }]
    ));
}

#[test]
fn rfc5352_3_9_bc2_a_business_card_says_whom_to_turn_to() {
    let (mut bench, _, conn) = Bench::served();
    let card = AsapMessage::BusinessCard {
        pool: pool(),
        policy: None,
        elements: vec![element(4), element(3)],
    };
    bench.handle(asap(conn, &card));
    bench.handle(closed(conn));
    bench.did();
    bench.answer(&[2, 3, 4]);
    let (_, 4) = bench.connecting() else { panic!() };
}
