//! Packet knocks: opened, kept open and closed by one message each.

use super::bench::*;
use super::grants::closings;
use crate::action::Way;
use crate::limits::POLICY_DEADLINE;
use crate::message::{Kind, Verdict as Answered};
use crate::note::{CloseReason, Locked};
use crate::refusal::Refusal;
use crate::{Cause, ClientId, Effect, GrantId, Note, Outcome, Verdict};

const OPEN_SSH: Effect = Effect::Open { service: SSH, seconds: 0 };

#[test]
fn a_packet_knock_is_remembered_then_decided_then_opened_and_then_answered() {
    let mut bench = bench();

    let answer = bench.open_by_packet(ALICE, HOME);

    assert_eq!(bench.actions(), ["remember", "consult", "open 1 to 192.0.2.1 for 60", "answer"]);
    assert_eq!((answer.verdict, answer.seen), (Answered::Granted, Some(HOME)));
    assert_eq!((answer.open[0].service, answer.open[0].left_ms, answer.open[0].grant), (SSH, 60_000, 1));
    let packet = Note::Packet { client: ClientId(1), source: HOME, kind: Kind::Open, service: SSH };
    assert_eq!(bench.notes[0], packet);
    assert!(matches!(bench.notes[1..], [Note::GrantOpened { .. }]));
}

#[test]
fn the_policy_is_told_that_it_is_a_packet_knock_and_by_whom() {
    let mut bench = bench();
    bench.packet(ALICE, HOME, Kind::Open, |request| (request.service, request.seconds) = (WEB, 999));
    let asked = bench.consultations.pop().unwrap();
    assert_eq!((asked.cause, asked.client, asked.source), (Cause::Packet, ClientId(1), HOME));
    assert_eq!((asked.service, asked.seconds, asked.number), (WEB, 300, None));
    assert_eq!((asked.second_factor, asked.prefix, asked.grant), (false, None, None));
}

#[test]
fn nothing_opens_unless_the_policy_agrees() {
    #[rustfmt::skip]
    let cases = [
        (1, Verdict::Deny, Refusal::Denied),
        (2, Verdict::Failed, Refusal::PolicyFailed),
    ];
    for (case, verdict, refusal) in cases {
        let mut bench = bench();
        bench.script.judge = Judge::Say(verdict, [OPEN_SSH].to_vec());
        assert_eq!(refused(&bench.open_by_packet(ALICE, HOME)), refusal, "case {case}");
        assert_eq!(bench.actions(), ["remember", "consult", "answer"], "case {case}");
        assert_eq!(bench.gate.refusals().of(refusal), 1, "case {case}");
        assert_eq!(
            bench.notes[1..],
            [Note::Refused { client: ClientId(1), source: HOME, service: Some(SSH), refusal }],
            "case {case}"
        );
    }
}

#[test]
fn a_policy_that_says_nothing_in_time_has_denied_and_its_word_comes_too_late() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    let asked = bench.start_packet(ALICE, HOME, Kind::Open, |_| {});
    bench.wait(POLICY_DEADLINE);
    assert_eq!(refused(&bench.answer(asked).unwrap()), Refusal::PolicyFailed);

    bench.decide(Verdict::Commit, &[OPEN_SSH]);
    assert_eq!(bench.open(), []);
}

#[test]
fn a_late_decision_is_late_even_if_the_host_has_not_looked_at_its_clock() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    bench.start_packet(ALICE, HOME, Kind::Open, |_| {});
    bench.sleep(POLICY_DEADLINE);
    bench.decide(Verdict::Commit, &[OPEN_SSH]);
    assert_eq!(bench.open(), []);
}

#[test]
fn an_opening_that_failed_or_took_too_long_is_told() {
    let mut bench = bench();
    bench.script.open = BADLY;
    assert_eq!(refused(&bench.open_by_packet(ALICE, HOME)), Refusal::Unavailable);
    bench.script.open = Do::Wait;
    let asked = bench.start_packet(BOB, CAFE, Kind::Open, |_| {});
    bench.wait(POLICY_DEADLINE);
    assert_eq!(refused(&bench.answer(asked).unwrap()), Refusal::Unavailable);
    assert_eq!(bench.open(), []);
}

#[test]
fn a_counter_that_could_not_be_stored_opens_nothing() {
    let mut bench = bench();
    bench.script.store = BADLY;
    assert_eq!(refused(&bench.open_by_packet(ALICE, HOME)), Refusal::Unavailable);
    assert_eq!(bench.actions(), ["remember", "answer"]);
    assert_eq!(bench.gate.refusals().of(Refusal::Unavailable), 1);
}

#[test]
fn a_knock_that_is_never_stored_is_forgotten() {
    let mut bench = bench();
    bench.script.store = Do::Wait;
    let asked = bench.start_packet(ALICE, HOME, Kind::Open, |_| {});
    bench.wait(4 * POLICY_DEADLINE);
    bench.report(Outcome::Done);
    assert!(bench.answer(asked).is_none());
    assert_eq!(bench.actions(), ["remember"]);
}

#[test]
fn a_replayed_packet_is_met_with_silence_wherever_it_comes_from() {
    let mut bench = bench();
    let (_, message) = bench.message(ALICE, |request| request.kind = Kind::Open);
    bench.send(HOME, &message).unwrap();
    bench.actions();
    for (from, way) in [(HOME, Way::Datagram), (CAFE, Way::Datagram), (CAFE, Way::Connection)] {
        bench.way = way;
        assert_eq!(bench.send(from, &message), Err(Refusal::Replayed));
    }
    assert_eq!((bench.actions().len(), bench.open()), (0, [(1, HOME, SSH)].to_vec()));
}

#[test]
fn a_clock_at_the_end_of_time_does_not_shut_its_client_out() {
    let mut bench = bench();
    let far = START + 2 * 86_400_000_000;
    for (counter, expected) in
        [(far, Ok(())), (START, Ok(())), (far, Err(Refusal::Replayed)), (START + 1, Ok(()))]
    {
        let (_, message) =
            bench.message(ALICE, |request| (request.kind, request.counter) = (Kind::Open, counter));
        assert_eq!(bench.send(HOME, &message).map(|_| ()), expected, "{counter}");
    }
}

#[test]
fn a_packet_that_is_older_than_the_gate_accepts_is_refused() {
    let with_age = |age| bench_with(move |config| config.max_age = age);
    let minute = Some(seconds(60));
    #[rustfmt::skip]
    let cases = [
        (1, minute, START, None),
        (2, minute, START - 60_000_000, None),
        (3, minute, START - 60_000_001, Some(Refusal::Stale)),
        (4, minute, START + 3_600_000_000, None),
        (5, None, 1, None),
    ];
    for (case, age, counter, refusal) in cases {
        let mut bench = with_age(age);
        let answer = bench.packet(ALICE, HOME, Kind::Open, |request| request.counter = counter);
        assert_eq!(answer.refusal(), refusal, "case {case}");
    }
    let mut bench = with_age(minute);
    bench.calendar = false;
    let answer = bench.packet(ALICE, HOME, Kind::Open, |request| request.counter = 1);
    assert_eq!(answer.verdict, Answered::Granted, "without a calendar nothing is old");
}

#[test]
fn what_speaks_against_a_packet_knock_is_said_before_the_policy_is_asked() {
    let mut bench = bench();
    let answer = bench.packet(ALICE, CAFE, Kind::Open, |request| request.source = Some(HOME));
    assert_eq!(refused(&answer), Refusal::WrongSource);
    for service in [VAULT, NOWHERE, 0] {
        let answer = bench.packet(ALICE, HOME, Kind::Open, |request| request.service = service);
        assert_eq!(refused(&answer), Refusal::NotAllowed, "service {service}");
    }
    bench.script.judge = Judge::commit(&[Effect::Lockout { seconds: 9 }]);
    bench.open_by_packet(ALICE, HOME);
    bench.consultations.clear();
    for kind in [Kind::Open, Kind::NextNumber] {
        let answer = bench.packet(ALICE, HOME, kind, |_| {});
        assert_eq!((refused(&answer), answer.retry_ms), (Refusal::LockedOut, 9_000));
    }
    assert!(bench.consultations.is_empty());
}

#[test]
fn a_policy_locks_out_an_address_only_if_it_was_certainly_the_knockers() {
    let lockout = Judge::commit(&[Effect::Lockout { seconds: 9 }, OPEN_SSH]);
    let client = Locked::Client(ClientId(1));
    let source = Locked::Source(crate::address::SourcePrefix::of(HOME));
    for kind in [Kind::Open, Kind::Renew] {
        for (way, locked) in
            [(Way::Datagram, [client].to_vec()), (Way::Connection, [source, client].to_vec())]
        {
            let mut bench = bench();
            bench.open_by_packet(ALICE, HOME);
            bench.script.judge = lockout.clone();
            bench.way = way;
            bench.ask(ALICE, HOME, |request| request.kind = kind);
            let found: std::vec::Vec<_> = bench.gate.lockouts().iter().map(|(who, _)| who).collect();
            assert_eq!(found, locked, "{kind:?} {way:?}");
        }
    }
}

#[test]
fn a_renewal_keeps_what_is_open_if_the_policy_agrees() {
    let mut bench = bench();
    bench.open_by_packet(ALICE, HOME);
    bench.wait(seconds(50));
    let answer = bench.packet(ALICE, HOME, Kind::Renew, |request| request.seconds = 100);
    assert_eq!((answer.verdict, answer.open[0].left_ms), (Answered::Granted, 100_000));
    let asked = bench.consultations.pop().unwrap();
    assert_eq!((asked.cause, asked.grant), (Cause::Renew, Some((GrantId(1), seconds(10)))));

    bench.script.judge = Judge::commit(&[Effect::Extend { grant: GrantId(1), seconds: 200 }]);
    let answer = bench.packet(ALICE, HOME, Kind::Renew, |request| request.grant = 1);
    assert_eq!((answer.verdict, bench.left()), (Answered::Granted, [200].to_vec()));

    bench.script.judge = Judge::Say(Verdict::Deny, [OPEN_SSH].to_vec());
    assert_eq!(refused(&bench.packet(ALICE, HOME, Kind::Renew, |_| {})), Refusal::Denied);
    assert_eq!(bench.left(), [200]);
}

#[test]
fn only_what_is_open_to_the_client_at_its_address_is_renewed() {
    let mut bench = bench();
    bench.open_by_packet(ALICE, HOME);
    bench.packet(ALICE, HOME, Kind::Open, |request| request.service = WEB);
    bench.consultations.clear();
    #[rustfmt::skip]
    let cases = [
        (1, ALICE, HOME, SSH, 0, Some(1)),
        (2, ALICE, HOME, 0, 2, Some(2)),
        (3, ALICE, HOME, 0, 0, Some(1)),
        (4, ALICE, CAFE, SSH, 0, None),
        (5, ALICE, CAFE, 0, 1, None),
        (6, BOB, HOME, SSH, 0, None),
        (7, BOB, HOME, 0, 1, None),
        (8, ALICE, HOME, WEB, 1, None),
        (9, ALICE, HOME, VAULT, 0, None),
        (10, ALICE, HOME, SSH, 77, None),
    ];
    for (case, who, from, service, grant, renewed) in cases {
        let answer = bench
            .packet(who, from, Kind::Renew, |request| (request.service, request.grant) = (service, grant));
        let expected = if renewed.is_none() { Some(Refusal::NoGrant) } else { None };
        assert_eq!(answer.refusal(), expected, "case {case}");
        let asked = bench.consultations.pop().and_then(|asked| asked.grant).map(|(grant, _)| grant.0);
        assert_eq!(asked, renewed, "case {case}");
    }
    bench.wait(seconds(300));
    assert_eq!(refused(&bench.packet(ALICE, HOME, Kind::Renew, |_| {})), Refusal::NoGrant);
}

#[test]
fn what_is_being_closed_is_not_renewed() {
    let mut bench = bench();
    bench.open_by_packet(ALICE, HOME);
    bench.script.close = Do::Wait;
    bench.revoke(GrantId(1));
    assert_eq!(refused(&bench.packet(ALICE, HOME, Kind::Renew, |_| {})), Refusal::NoGrant);
}

#[test]
fn what_ends_while_its_renewal_is_stored_or_decided_is_not_opened_anew() {
    let mut bench = bench();
    bench.open_by_packet(ALICE, HOME);
    bench.script.store = Do::Wait;
    let asked = bench.start_packet(ALICE, HOME, Kind::Renew, |_| {});
    bench.revoke(GrantId(1));
    bench.report(Outcome::Done);
    assert_eq!(refused(&bench.answer(asked).unwrap()), Refusal::NoGrant);

    (bench.script.store, bench.script.judge) = (WELL, Judge::Grant);
    bench.open_by_packet(ALICE, HOME);
    bench.script.judge = Judge::Wait;
    let asked = bench.start_packet(ALICE, HOME, Kind::Renew, |_| {});
    bench.revoke(GrantId(2));
    bench.decide(Verdict::Commit, &[OPEN_SSH]);
    assert_eq!(refused(&bench.answer(asked).unwrap()), Refusal::NoGrant);
    assert_eq!(bench.open(), []);
}

#[test]
fn a_client_closes_by_service_at_its_address_and_by_number_from_anywhere() {
    #[rustfmt::skip]
    let cases = [
        (1, ALICE, HOME, SSH, 0, [2].to_vec()),
        (2, ALICE, HOME, 0, 0, [].to_vec()),
        (3, ALICE, CAFE, 0, 1, [2].to_vec()),
        (4, ALICE, CAFE, SSH, 1, [2].to_vec()),
        (5, ALICE, CAFE, WEB, 1, [1, 2].to_vec()),
        (6, ALICE, CAFE, SSH, 0, [1, 2].to_vec()),
        (7, BOB, HOME, 0, 1, [1, 2].to_vec()),
        (8, BOB, HOME, 0, 0, [1, 2].to_vec()),
        (9, ALICE, HOME, 0, 77, [1, 2].to_vec()),
    ];
    for (case, who, from, service, grant, left) in cases {
        let mut bench = bench();
        bench.open_by_packet(ALICE, HOME);
        bench.packet(ALICE, HOME, Kind::Open, |request| request.service = WEB);
        bench.notes.clear();
        let answer = bench
            .packet(who, from, Kind::Close, |request| (request.service, request.grant) = (service, grant));
        let open: std::vec::Vec<_> = bench.gate.open_grants().map(|grant| grant.id().0).collect();
        assert_eq!(open, left, "case {case}");
        let closed = closings(&bench.notes);
        if left.len() == 2 {
            assert_eq!((refused(&answer), closed.len()), (Refusal::NoGrant, 0), "case {case}");
        } else {
            assert_eq!(answer.verdict, Answered::Closed, "case {case}");
            assert!(closed.iter().all(|(_, reason)| *reason == CloseReason::ByClient), "case {case}");
        }
    }
}

#[test]
fn an_answer_to_a_closing_lists_what_is_left() {
    let mut bench = bench();
    bench.open_by_packet(ALICE, HOME);
    bench.packet(ALICE, HOME, Kind::Open, |request| request.service = WEB);
    bench.actions();
    let answer = bench.packet(ALICE, HOME, Kind::Close, |_| {});
    assert_eq!(answer.open.iter().map(|open| open.service).collect::<std::vec::Vec<_>>(), [WEB]);
    assert_eq!(bench.actions(), ["remember", "close 1 to 192.0.2.1", "answer"]);
}

#[test]
fn a_closing_that_could_not_be_stored_closes_nothing() {
    let mut bench = bench();
    bench.open_by_packet(ALICE, HOME);
    bench.script.store = BADLY;
    assert_eq!(refused(&bench.packet(ALICE, HOME, Kind::Close, |_| {})), Refusal::Unavailable);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn who_is_locked_out_may_still_close() {
    let mut bench = bench();
    bench.script.judge = Judge::commit(&[OPEN_SSH, Effect::Lockout { seconds: 60 }]);
    bench.open_by_packet(ALICE, HOME);
    assert_eq!(refused(&bench.packet(ALICE, HOME, Kind::Renew, |_| {})), Refusal::LockedOut);
    assert_eq!(bench.packet(ALICE, HOME, Kind::Close, |_| {}).verdict, Answered::Closed);
}

#[test]
fn two_packet_knocks_of_one_client_at_once_are_decided_each_by_itself() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    let ssh = bench.start_packet(ALICE, HOME, Kind::Open, |_| {});
    let web = bench.start_packet(ALICE, HOME, Kind::Open, |request| request.service = WEB);
    bench.decide(Verdict::Deny, &[]);
    bench.decide(Verdict::Commit, &[OPEN_SSH]);
    assert_eq!(refused(&bench.answer(web).unwrap()), Refusal::Denied);
    assert_eq!(bench.answer(ssh).unwrap().verdict, Answered::Granted);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn a_client_that_asks_again_because_the_host_is_slow_is_told_the_same_twice() {
    for (outcome, verdict) in [
        (Outcome::Done, Answered::Granted),
        (Outcome::Failed, Answered::Refused(Refusal::Unavailable.code())),
    ] {
        let mut bench = bench();
        bench.script.open = Do::Wait;
        let first = bench.start_packet(ALICE, HOME, Kind::Open, |_| {});
        let second = bench.start_packet(ALICE, HOME, Kind::Open, |_| {});
        bench.report(outcome);
        bench.report(outcome);
        assert_eq!(bench.answer(first).unwrap().verdict, verdict);
        assert_eq!(bench.answer(second).unwrap().verdict, verdict);
    }
}

#[test]
fn a_packet_without_room_for_its_answer_is_silent_and_can_be_sent_again() {
    let mut bench = Bench::<1, 4, 4, 8>::with(|_| {});
    bench.script.store = Do::Wait;
    let first = bench.start_packet(BOB, CAFE, Kind::Open, |_| {});
    let (_, message) = bench.message(ALICE, |request| request.kind = Kind::Open);
    assert_eq!(bench.send(HOME, &message), Err(Refusal::Overloaded));
    bench.report(Outcome::Done);
    assert_eq!(bench.answer(first).unwrap().verdict, Answered::Granted);
    assert!(bench.send(HOME, &message).is_ok());
}

#[test]
fn a_full_table_of_grants_refuses_the_next_packet_knock() {
    let mut bench = Bench::<4, 4, 1, 8>::with(|_| {});
    bench.open_by_packet(ALICE, HOME);
    assert_eq!(refused(&bench.open_by_packet(BOB, CAFE)), Refusal::Unavailable);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn after_a_packet_knock_a_question_of_status_lists_what_is_open() {
    let mut bench = bench();
    bench.open_by_packet(ALICE, HOME);
    let answer = bench.status(ALICE, HOME);
    assert_eq!((answer.verdict, answer.open.len(), answer.open[0].grant), (Answered::Nothing, 1, 1));
    assert!(bench.status(ALICE, CAFE).open.is_empty());
}

#[test]
fn a_packet_knock_does_not_disturb_a_sequence() {
    let mut bench = bench();
    let number = bench.number(ALICE, HOME);
    bench.packet(ALICE, HOME, Kind::Open, |request| request.service = WEB);
    assert_eq!(bench.status(ALICE, HOME).verdict, Answered::Pending);
    let sequence = bench.sequence(ALICE, number);
    bench.probe(HOME, &sequence);
    assert_eq!(bench.open(), [(1, HOME, WEB), (1, HOME, SSH)]);
}

#[test]
fn a_client_that_leaves_while_the_policy_thinks_is_let_in_nowhere() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    let asked = bench.start_packet(ALICE, HOME, Kind::Open, |_| {});
    bench.remove(ALICE);
    bench.decide(Verdict::Commit, &[OPEN_SSH]);
    assert!(bench.answer(asked).is_none());
    assert_eq!(bench.open(), []);
}

#[test]
fn a_failed_packet_knock_counts_as_a_failure_until_one_is_granted() {
    let mut bench = bench();
    bench.script.judge = Judge::Say(Verdict::Deny, [].to_vec());
    bench.open_by_packet(ALICE, HOME);
    bench.open_by_packet(ALICE, HOME);
    bench.script.judge = Judge::Grant;
    bench.open_by_packet(ALICE, HOME);
    bench.open_by_packet(ALICE, HOME);
    let failures: std::vec::Vec<_> =
        bench.consultations.iter().map(|asked| asked.standing.failures).collect();
    assert_eq!(failures, [0, 1, 2, 0]);
}
