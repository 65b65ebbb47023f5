//! Numbers: who may hold one, and that none is offered twice.

use super::bench::*;
use crate::Outcome;
use crate::message::Verdict;
use crate::note::{KnockEnd, Note};
use crate::refusal::Refusal;

/// How every attempt ended, as the audit log has it.
fn ends(notes: &[Note]) -> std::vec::Vec<(u32, KnockEnd)> {
    let end = |note: &Note| match note {
        Note::KnockEnded { number, end, .. } => Some((*number, *end)),
        Note::Offered { .. } | Note::Refused { .. } | Note::LockedOut { .. } => None,
        Note::GrantOpened { .. } | Note::GrantClosed { .. } => None,
        Note::Packet { .. } | Note::StaticKnock { .. } | Note::Console { .. } => None,
        Note::SequenceRefused { .. } => None,
    };
    notes.iter().filter_map(end).collect()
}

#[test]
fn a_number_whose_storing_failed_is_not_offered_now_and_never_again() {
    let mut bench = bench();
    bench.script.store = BADLY;
    let answer = bench.ask(ALICE, HOME, |_| {});
    assert_eq!((refused(&answer), answer.offer), (Refusal::Unavailable, None));
    assert_eq!(bench.actions(), ["remember", "unwatch 192.0.2.1", "answer"]);

    bench.script.store = WELL;
    assert_eq!(bench.number(ALICE, HOME), 1);
    assert_eq!(ends(&bench.notes), [(0, KnockEnd::Failed(Refusal::Unavailable))]);
}

#[test]
fn a_number_whose_decoys_could_not_be_shown_is_not_offered_now_and_never_again() {
    let mut bench = bench();
    bench.script.watch = BADLY;
    assert_eq!(refused(&bench.ask(ALICE, HOME, |_| {})), Refusal::Unavailable);

    bench.script.watch = WELL;
    assert_eq!(bench.number(ALICE, HOME), 1);
}

#[test]
fn asking_again_gives_up_the_number_and_offers_the_next_one() {
    let mut bench = bench();
    let first = bench.number(ALICE, HOME);
    let second = bench.number(ALICE, HOME);
    assert_eq!((first, second), (0, 1));
    assert_eq!(ends(&bench.notes), [(0, KnockEnd::Failed(Refusal::Superseded))]);

    let old = bench.sequence(ALICE, first);
    bench.probe(HOME, &old);
    assert_eq!(bench.open(), []);
}

#[test]
fn the_decoys_stay_visible_to_a_holder_who_asks_again_from_the_same_address() {
    let mut bench = bench();
    bench.number(ALICE, HOME);
    bench.number(ALICE, HOME);
    let again = ["remember", "watch 192.0.2.1", "answer"];
    assert_eq!(bench.actions(), [again, again].concat());

    bench.number(ALICE, CAFE);
    assert_eq!(bench.actions(), ["unwatch 192.0.2.1", "remember", "watch 192.0.2.2", "answer"]);
}

#[test]
fn a_number_is_never_watched_before_its_own_storing_is_done() {
    let mut bench = bench();
    bench.script.store = Do::Wait;
    let first = bench.start(ALICE, HOME, |_| {});
    let second = bench.start(ALICE, HOME, |_| {});
    // The first question is settled at once: its number was given up.
    assert_eq!(refused(&bench.answer(first).unwrap()), Refusal::Superseded);
    bench.actions();

    bench.report(Outcome::Done);
    assert_eq!(bench.actions(), [""; 0], "the first number is stored, the second is not");

    bench.report(Outcome::Done);
    assert_eq!(bench.actions(), ["watch 192.0.2.1", "answer"]);
    assert_eq!(bench.answer(second).unwrap().offer.unwrap().number, 1);
}

#[test]
fn the_failed_storing_of_a_number_that_was_given_up_does_no_harm_to_the_next() {
    let mut bench = bench();
    bench.script.store = Do::Wait;
    bench.start(ALICE, HOME, |_| {});
    let second = bench.start(ALICE, HOME, |_| {});

    bench.report(Outcome::Failed);
    bench.report(Outcome::Done);

    assert_eq!(bench.answer(second).unwrap().verdict, Verdict::Offered);
}

#[test]
fn a_late_watching_of_a_number_that_was_given_up_does_not_start_the_next() {
    let mut bench = bench();
    bench.script.watch = Do::Wait;
    bench.start(ALICE, HOME, |_| {});
    let second = bench.start(ALICE, HOME, |_| {});

    bench.report(Outcome::Done);
    let sequence = bench.sequence(ALICE, 1);
    bench.probe(HOME, &sequence);
    assert_eq!(bench.open(), [], "nobody knocks what was not offered");

    bench.report(Outcome::Done);
    assert_eq!(bench.answer(second).unwrap().offer.unwrap().number, 1);
}

#[test]
fn a_report_that_comes_twice_changes_nothing() {
    let mut bench = bench();
    bench.script.store = Do::Wait;
    bench.script.watch = Do::Wait;
    let asked = bench.start(ALICE, HOME, |_| {});
    let storing = bench.waiting.remove(0);
    for outcome in [Outcome::Done, Outcome::Failed, Outcome::Done] {
        bench.tell(&storing, outcome);
        bench.turn();
    }
    let watching = bench.waiting.remove(0);
    for outcome in [Outcome::Done, Outcome::Failed, Outcome::Done] {
        bench.tell(&watching, outcome);
    }
    bench.tell(&storing, Outcome::Failed);
    bench.turn();
    assert_eq!(bench.answer(asked).unwrap().verdict, Verdict::Offered);
    assert_eq!(bench.actions(), ["remember", "watch 192.0.2.1", "answer"]);
}

#[test]
fn a_shared_book_serves_one_client_at_a_time() {
    let mut bench = bench();
    let number = bench.number(BOB, HOME);
    bench.wait(seconds(4));

    let answer = bench.ask(CAROL, CAFE, |_| {});
    assert_eq!((refused(&answer), answer.retry_ms), (Refusal::Busy, 6_000));

    let sequence = bench.sequence(BOB, number);
    bench.probe(HOME, &sequence);
    assert_eq!(bench.number(CAROL, CAFE), number + 1);
}

#[test]
fn a_client_that_waits_as_long_as_it_was_told_gets_its_number() {
    let mut bench = bench();
    bench.number(BOB, HOME);
    let answer = bench.ask(CAROL, CAFE, |_| {});
    bench.wait(seconds(u64::from(answer.retry_ms) / 1000));
    assert_eq!(bench.number(CAROL, CAFE), 1);
}

#[test]
fn two_clients_at_one_address_knock_one_after_the_other() {
    let mut bench = bench();
    bench.number(ALICE, HOME);
    let answer = bench.ask(BOB, HOME, |_| {});
    assert_eq!((refused(&answer), answer.retry_ms), (Refusal::Busy, 10_000));
    assert_eq!(bench.cursor(BOB), 0);
    assert!(bench.ask(BOB, CAFE, |_| {}).offer.is_some());
}

#[test]
fn the_decoys_of_a_holder_whose_time_is_over_are_not_watched_for_him_again() {
    let mut bench = bench();
    bench.script.watch = Do::Wait;
    bench.start(BOB, HOME, |_| {});
    // The host is slow: before it ends Bob's hold, Carol asks for a number of the same book.
    bench.sleep(HOLD);
    bench.start(CAROL, CAFE, |_| {});
    bench.report(Outcome::Done);
    bench.report(Outcome::Done);

    let stale = bench.sequence(BOB, 0);
    bench.probe(HOME, &stale);
    assert_eq!(bench.open(), []);
    let sequence = bench.sequence(CAROL, 1);
    bench.probe(CAFE, &sequence);
    assert_eq!(bench.open(), [(3, CAFE, SSH)]);
}

#[test]
fn an_exhausted_book_is_said_so_and_everything_else_goes_on() {
    let mut bench = bench();
    bench.set_cursor(ALICE, BOOK - 2);
    assert_eq!(bench.ask(ALICE, HOME, |_| {}).book_left, 1);
    let last = bench.ask(ALICE, HOME, |_| {});
    assert_eq!((last.offer.unwrap().number, last.book_left), (BOOK - 1, 0));
    let sequence = bench.sequence(ALICE, BOOK - 1);
    bench.probe(HOME, &sequence);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);

    let answer = bench.ask(ALICE, HOME, |_| {});
    assert_eq!((refused(&answer), answer.book_left), (Refusal::Exhausted, 0));
    assert_eq!(bench.cursor(ALICE), BOOK);
    bench.knock(BOB, CAFE, |_| {});
    assert_eq!(bench.open().len(), 2);
}

#[test]
fn every_offer_tells_the_operator_how_many_numbers_are_left() {
    let mut bench = bench();
    bench.set_cursor(ALICE, 46);
    bench.number(ALICE, HOME);
    let left = |note: &Note| matches!(note, Note::Offered { number: 46, left: 3, .. });
    assert!(bench.notes.iter().any(left), "{:?}", bench.notes);
}

#[test]
fn a_service_that_is_not_the_clients_or_not_there_is_refused_without_a_number() {
    let mut bench = bench();
    for service in [VAULT, NOWHERE, 0] {
        let answer = bench.ask(ALICE, HOME, |request| request.service = service);
        assert_eq!(refused(&answer), Refusal::NotAllowed, "service {service}");
    }
    assert_eq!(bench.cursor(ALICE), 0);
    assert_eq!(bench.gate.refusals().of(Refusal::NotAllowed), 3);
}

#[test]
fn a_book_that_is_missing_offers_nothing() {
    let mut bench = bench();
    let whole = bench.gate.roster().clone();
    let mut roster = crate::roster::FixedRoster::new();
    for who in [ALICE, BOB] {
        roster.add_client(bench.client(who), crate::replay::Used::NOTHING, None).unwrap();
    }
    *bench.gate.roster_mut() = roster;
    assert_eq!(refused(&bench.ask(ALICE, HOME, |_| {})), Refusal::Unavailable);
    *bench.gate.roster_mut() = whole;
    assert_eq!(bench.number(ALICE, HOME), 0);
}

#[test]
fn a_client_that_left_the_roster_loses_its_knock_and_its_grants_and_hears_nothing_more() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    bench.number(ALICE, CAFE);
    bench.actions();

    bench.remove(ALICE);

    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1", "unwatch 192.0.2.2"]);
    assert_eq!(bench.open(), []);
    let sequence = bench.sequence(ALICE, 1);
    bench.probe(CAFE, &sequence);
    let (_, message) = bench.message(ALICE, |_| {});
    assert_eq!(bench.send(HOME, &message), Err(Refusal::UnknownClient));
    assert_eq!(bench.actions(), [""; 0]);
}

#[test]
fn a_client_that_leaves_while_its_number_is_stored_is_not_answered() {
    let mut bench = bench();
    bench.script.store = Do::Wait;
    let asked = bench.start(ALICE, HOME, |_| {});
    bench.remove(ALICE);
    bench.report(Outcome::Done);
    assert!(bench.answer(asked).is_none());
    assert_eq!(bench.actions(), ["remember", "unwatch 192.0.2.1"]);
}

#[test]
fn a_client_that_leaves_while_the_policy_thinks_gets_nothing() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    bench.knock(ALICE, HOME, |_| {});
    bench.remove(ALICE);
    bench.decide(crate::Verdict::Commit, &[crate::Effect::Open { service: SSH, seconds: 0 }]);
    assert_eq!(bench.open(), []);
    assert_eq!(bench.gate.refusals().of(Refusal::UnknownClient), 1);
}

#[test]
fn a_client_that_left_and_came_back_has_no_knock_from_before() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    let whole = bench.gate.roster().clone();
    bench.knock(ALICE, HOME, |_| {});
    bench.remove(ALICE);
    *bench.gate.roster_mut() = whole;
    bench.decide(crate::Verdict::Commit, &[crate::Effect::Open { service: SSH, seconds: 0 }]);
    assert_eq!(bench.open(), []);
}
