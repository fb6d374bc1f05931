use super::*;

#[test]
fn rfc5352_3_1_an_element_registers_with_the_registrar_it_finds() {
    let mut bench = Bench::new();
    let (conn, element) = bench.find_registrar();
    let expected = PoolElementParam {
        id: pe(PE),
        home: None,
        life: RegistrationLife(300),
        user_transport: user_transport().into(),
        policy: PolicyParam::RoundRobin,
        asap_transport: None,
    };
    assert_eq!(element, expected);
    assert!(!bench.element.is_registered());
    let warning = OperationError::from(CauseCode::UNSPECIFIED);
    let response = AsapMessage::RegistrationResponse {
        pool: pool(),
        pe: pe(PE),
        reject: false,
        error: Some(warning.clone()),
    };
    bench.handle(asap(conn, &response));
    let registered = ElementEvent::Registered {
        pe: pe(PE),
        again: false,
        warning: Some(warning),
    };
    assert_eq!(bench.events(), [registered]);
    assert!(bench.element.is_registered());
}

#[test]
fn rsplib_gets_the_life_in_milliseconds_if_wanted() {
    let mut config = config(PolicyParam::RoundRobin);
    config.set_life_unit(LifeUnit::Milliseconds);
    let (_, element) = Bench::with(config, endpoint()).find_registrar();
    assert_eq!(element.life, RegistrationLife(300_000));
}

#[test]
fn rfc5352_3_1_t4_renews_the_registration() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::RoundRobin));
    for _ in 0..3 {
        bench.pass(Duration::from_secs(280) - ms(1));
        assert_eq!(bench.did(), []);
        bench.pass(ms(1));
        assert_eq!(bench.registration(conn).id, pe(PE));
        bench.answer(conn, pe(PE), None);
        assert!(matches!(
            bench.events()[..],
            [ElementEvent::Registered { again: true, .. }]
        ));
    }
}

#[test]
fn rfc5352_3_1_without_answer_another_registrar_gets_the_registration() {
    let mut bench = Bench::new();
    let (conn, _) = bench.find_registrar();
    // T2.
    bench.pass(Duration::from_secs(30));
    let did = bench.did();
    assert_eq!(did[0], Did::Abort(conn));
    let Did::Connect(again, _) = did[1] else {
        panic!("{did:?}")
    };
    assert_eq!(bench.events(), [ElementEvent::RegistrarLost]);
    bench.handle(connected(again, 1));
    bench.registration(again);
    // MAX-REG-ATTEMPT: the application hears of it, and attempts go on.
    bench.pass(Duration::from_secs(30));
    let failed = ElementEvent::RegistrationFailed {
        reason: RegistrationFailure::NoAnswer,
    };
    assert_eq!(bench.events(), [failed, ElementEvent::RegistrarLost]);
    let (conn, _) = bench.find_registrar();
    bench.answer(conn, pe(PE), None);
    assert!(bench.element.is_registered());
}

#[test]
fn rfc5352_3_6_a_lost_registrar_means_to_register_anew() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::RoundRobin));
    bench.pass(Duration::from_secs(60));
    bench.handle(closed(conn));
    assert_eq!(bench.events(), [ElementEvent::RegistrarLost]);
    assert!(!bench.element.is_registered());
    // The same registrar, restarted, knows nothing.
    let (conn, _) = bench.find_registrar();
    bench.answer(conn, pe(PE), None);
    assert!(matches!(
        bench.events()[..],
        [ElementEvent::Registered { again: false, .. }]
    ));
}

#[test]
fn rfc5352_3_1_a_refused_registration_is_not_repeated_without_correction() {
    let mut bench = Bench::new();
    let (conn, _) = bench.find_registrar();
    let cause = PolicyParam::Random.inconsistent_policy();
    bench.answer(conn, pe(PE), Some(cause.clone()));
    let failed = ElementEvent::RegistrationFailed {
        reason: RegistrationFailure::Refused(Some(cause.into())),
    };
    assert_eq!(bench.events(), [failed]);
    bench.element.set_load(bench.now, 7);
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.did(), []);
    bench.element.set_policy(bench.now, PolicyParam::Random);
    bench.pass(ms(100));
    assert_eq!(bench.registration(conn).policy, PolicyParam::Random);
}

#[test]
fn rfc5354_3_12_5_a_random_identifier_that_is_taken_is_drawn_anew() {
    let mut bench = Bench::with(ElementConfig::new(pool(), PolicyParam::RoundRobin), endpoint());
    let (conn, first) = bench.find_registrar();
    bench.answer(conn, first.id, Some(CauseCode::NON_UNIQUE_PE_IDENTIFIER.into()));
    bench.pass(ms(100));
    let second = bench.registration(conn);
    assert_ne!(second.id, first.id);
    assert_eq!(bench.element.pe_id(), second.id);
    // A registrar that refuses all of them is not asked for ever.
    let mut asked = 0;
    let mut id = second.id;
    while bench.events().is_empty() {
        bench.answer(conn, id, Some(CauseCode::NON_UNIQUE_PE_IDENTIFIER.into()));
        bench.pass(ms(100));
        id = bench.element.pe_id();
        asked += 1;
    }
    assert_eq!(asked, 16);
}

#[test]
fn a_given_identifier_that_is_taken_is_reported() {
    let mut bench = Bench::new();
    let (conn, _) = bench.find_registrar();
    bench.answer(conn, pe(PE), Some(CauseCode::NON_UNIQUE_PE_IDENTIFIER.into()));
    assert!(matches!(bench.events()[..], [ElementEvent::RegistrationFailed { .. }]));
}

#[test]
fn rfc5352_6_5_2_a_changed_load_is_told_by_registering_again() {
    let percent = u32::MAX / 100;
    let (mut bench, conn) = Bench::registered(config(PolicyParam::LeastUsed { load: 0 }));
    bench.pass(ms(1000));
    bench.element.set_load(bench.now, percent - 1);
    bench.pass(ms(1000));
    assert_eq!(bench.did(), []);
    // Changes in quick succession are told together.
    for load in [10, 20, 30] {
        bench.element.set_load(bench.now, load * percent);
    }
    bench.pass(ms(0));
    assert_eq!(
        bench.registration(conn).policy,
        PolicyParam::LeastUsed { load: 30 * percent }
    );
    bench.element.set_load(bench.now, 40 * percent);
    bench.pass(ms(1000));
    assert_eq!(bench.did(), [], "the last one is not answered yet");
    bench.answer(conn, pe(PE), None);
    bench.pass(ms(0));
    assert_eq!(
        bench.registration(conn).policy,
        PolicyParam::LeastUsed { load: 40 * percent }
    );
    bench.answer(conn, pe(PE), None);
    bench.element.set_load(bench.now, 50 * percent);
    bench.pass(ms(99));
    assert_eq!(bench.did(), []);
    bench.pass(ms(1));
    assert_eq!(
        bench.registration(conn).policy,
        PolicyParam::LeastUsed { load: 50 * percent }
    );
}

#[test]
fn the_end_of_all_load_is_told_however_small_it_was() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::LeastUsed { load: 5 }));
    bench.pass(ms(1000));
    bench.element.set_load(bench.now, 0);
    bench.pass(ms(0));
    assert_eq!(bench.registration(conn).policy, PolicyParam::LeastUsed { load: 0 });
}

#[test]
fn rfc5352_3_2_an_element_deregisters() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::RoundRobin));
    bench.element.deregister(bench.now);
    let deregistration = AsapMessage::Deregistration {
        pool: pool(),
        pe: pe(PE),
    };
    assert_eq!(bench.did(), [Did::Asap(conn, deregistration)]);
    assert_eq!(bench.events(), []);
    let response = AsapMessage::DeregistrationResponse {
        pool: pool(),
        pe: pe(PE),
        error: None,
    };
    bench.handle(asap(conn, &response));
    assert_eq!(bench.events(), [ElementEvent::Deregistered { confirmed: true }]);
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.did(), []);
}

#[test]
fn rfc5352_3_2_a_deregistration_without_answer_ends_after_t3() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::RoundRobin));
    bench.element.deregister(bench.now);
    bench.pass(Duration::from_secs(30));
    assert!(
        bench
            .events()
            .contains(&ElementEvent::Deregistered { confirmed: false })
    );

    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    bench.handle(closed(conn));
    bench.events();
    bench.element.deregister(bench.now);
    bench.pass(Duration::from_secs(30));
    assert_eq!(bench.events(), [ElementEvent::Deregistered { confirmed: false }]);
}

#[test]
fn an_element_that_never_registered_need_not_deregister() {
    let mut bench = Bench::with(config(PolicyParam::RoundRobin), EndpointConfig::default());
    bench.element.deregister(bench.now);
    assert_eq!(bench.events(), [ElementEvent::Deregistered { confirmed: true }]);
}

#[test]
fn rfc5352_3_2_an_element_that_was_removed_registers_again_without_haste() {
    let (mut bench, conn) = Bench::registered(config(PolicyParam::RoundRobin));
    let removed = AsapMessage::DeregistrationResponse {
        pool: pool(),
        pe: pe(PE),
        error: None,
    };
    bench.handle(asap(conn, &removed));
    bench.pass(ms(99));
    assert_eq!(bench.did(), []);
    bench.pass(ms(1));
    bench.registration(conn);
}

#[test]
fn rfc5352_3_4_keep_alives_are_answered_on_the_association_they_came_on() {
    let (mut bench, home) = Bench::registered(config(PolicyParam::RoundRobin));
    for (element, expected) in [(None, vec![ack(home)]), (Some(PE), vec![ack(home)]), (Some(1), vec![])] {
        bench.handle(asap(home, &keep_alive(false, 9, pool(), element)));
        assert_eq!(bench.did(), expected);
    }
    // KA1: another pool.
    bench.handle(asap(
        home,
        &keep_alive(false, 9, PoolHandle::new("Other").unwrap(), None),
    ));
    assert_eq!(bench.did(), []);
    // The registrar said who it is.
    assert_eq!(bench.element.home_registrar(), RegistrarId::new(9));
    // A registrar that comes by itself.
    let other = ConnId::Accepted(0);
    bench.handle(connected(other, 2));
    bench.handle(asap(other, &keep_alive(false, 8, pool(), Some(PE))));
    assert_eq!(bench.did(), [ack(other)]);
    assert_eq!(bench.events(), [], "that is no session");
    assert_eq!(bench.element.home_registrar(), RegistrarId::new(9));
}

#[test]
fn rfc5352_3_4_ka2_4_a_registrar_takes_the_element_over() {
    let (mut bench, old) = Bench::registered(config(PolicyParam::RoundRobin));
    bench.handle(asap(old, &keep_alive(false, 9, pool(), None)));
    bench.did();
    let new = ConnId::Accepted(0);
    bench.handle(connected(new, 2));
    bench.handle(asap(new, &keep_alive(true, 8, pool(), Some(PE))));
    let did = bench.did();
    assert_eq!(did[..2], [ack(new), Did::Shutdown(old)]);
    assert!(
        matches!(&did[2..], [Did::Asap(conn, AsapMessage::Registration { .. })] if *conn == new),
        "{did:?}"
    );
    assert_eq!(bench.element.home_registrar(), RegistrarId::new(8));
    bench.answer(new, pe(PE), None);
    bench.handle(closed(old));
    assert!(bench.element.is_registered());
    // The new one is lost like any other.
    bench.pass(Duration::from_secs(60));
    bench.did();
    bench.events();
    bench.handle(closed(new));
    assert_eq!(bench.events(), [ElementEvent::RegistrarLost]);
    bench.find_registrar();
}

#[test]
fn rfc5352_3_4_the_home_registrar_may_come_by_another_association() {
    let (mut bench, old) = Bench::registered(config(PolicyParam::RoundRobin));
    bench.handle(asap(old, &keep_alive(false, 9, pool(), None)));
    bench.did();
    let new = ConnId::Accepted(0);
    bench.handle(connected(new, 1));
    bench.handle(asap(new, &keep_alive(false, 9, pool(), None)));
    assert_eq!(bench.did(), [ack(new)]);
    bench.handle(asap(new, &keep_alive(true, 9, pool(), None)));
    assert_eq!(bench.did()[..2], [ack(new), Did::Shutdown(old)]);
}

#[test]
fn a_registrar_that_took_over_and_does_not_answer_is_forgotten() {
    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    let new = ConnId::Accepted(0);
    bench.handle(connected(new, 2));
    bench.handle(asap(new, &keep_alive(true, 8, pool(), Some(PE))));
    bench.did();
    bench.pass(Duration::from_secs(30));
    assert!(bench.did().contains(&Did::Abort(new)));
    assert_eq!(bench.element.peers.len(), 0);
}

#[test]
fn a_request_that_is_not_the_elements_changes_nothing() {
    let (mut bench, _) = Bench::registered(config(PolicyParam::RoundRobin));
    let answer = crate::asap::Answer::RegistrationRefused { error: None };
    assert_eq!(bench.element.registration.answered(at(0), RequestId(999), answer), None);
    assert!(bench.element.is_registered());
}
