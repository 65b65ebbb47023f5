//! Full tables: nobody is pushed out by a stranger, and no client by another one.

use super::bench::*;
use crate::action::{Origin, Way};
use crate::message::{Kind, Verdict};
use crate::refusal::Refusal;
use crate::{Action, ClientId, GrantId, Network, Outcome};

#[test]
fn a_question_without_room_for_its_answer_is_not_burnt() {
    let mut bench = Bench::<1, 4, 4, 8>::with(|_| {});
    bench.script.store = Do::Wait;
    let first = bench.start(ALICE, HOME, |_| {});
    let (_, message) = bench.message(BOB, |_| {});
    assert_eq!(bench.send(CAFE, &message), Err(Refusal::Overloaded));
    bench.report(Outcome::Done);
    assert!(bench.answer(first).is_some());
    assert!(bench.send(CAFE, &message).is_ok(), "the same question again");
}

#[test]
fn strangers_and_replays_take_no_place_from_anybody() {
    let mut bench = Bench::<1, 1, 1, 1>::with(|_| {});
    let (_, replayed) = bench.message(BOB, |request| request.kind = Kind::Status);
    bench.send(CAFE, &replayed).unwrap();
    let (_, unknown) = bench.message(STRANGER, |_| {});
    for last in 0..50 {
        let from = core::net::IpAddr::from([198, 51, 100, last]);
        for message in [&unknown, &replayed, &[last; 200]] {
            assert!(bench.send(from, message).is_err());
        }
    }
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn one_client_that_asks_again_and_again_does_not_fill_the_table_of_questions() {
    // One place for a number that is being stored, one for a refusal that is, one for somebody else.
    let mut bench = Bench::<3, 2, 2, 8>::with(|_| {});
    bench.script.store = Do::Wait;
    for service in [SSH, VAULT].repeat(5) {
        bench.start(ALICE, HOME, |request| request.service = service);
    }
    bench.start(BOB, CAFE, |_| {});
}

#[test]
fn a_full_table_of_holds_is_busy_until_the_first_of_them_ends() {
    let mut bench = Bench::<4, 1, 4, 8>::with(|_| {});
    bench.number(ALICE, HOME);
    bench.wait(seconds(3));
    let answer = bench.ask(BOB, CAFE, |_| {});
    assert_eq!((refused(&answer), answer.retry_ms), (Refusal::Busy, 7_000));
    assert_eq!(bench.cursor(BOB), 0);
    bench.wait(seconds(7));
    assert!(bench.ask(BOB, CAFE, |_| {}).offer.is_some());
}

#[test]
fn a_holder_may_ask_again_although_the_table_of_holds_is_full() {
    let mut bench = Bench::<4, 2, 4, 8>::with(|_| {});
    bench.number(ALICE, HOME);
    bench.number(BOB, CAFE);
    assert_eq!(bench.number(ALICE, HOME), 1);
}

#[test]
fn a_result_makes_room_for_a_holder_and_nobody_elses_is_lost_to_who_has_one() {
    let mut bench = Bench::<4, 2, 4, 8>::with(|_| {});
    bench.knock(ALICE, HOME, |_| {});
    bench.wait(seconds(1));
    bench.knock(BOB, CAFE, |_| {});
    bench.wait(seconds(1));
    bench.number(BOB, CAFE);
    assert_eq!(bench.status(ALICE, HOME).verdict, Verdict::Granted, "Bob took his own place again");

    let sequence = bench.sequence(BOB, 1);
    bench.probe(CAFE, &sequence);
    bench.number(CAROL, OFFICE);
    assert_eq!(bench.status(ALICE, HOME).verdict, Verdict::Nothing, "the oldest result");
    assert_eq!(bench.status(BOB, CAFE).verdict, Verdict::Granted);
}

#[test]
fn a_full_table_of_grants_refuses_the_next_one_and_keeps_what_is_open() {
    let mut bench = Bench::<4, 4, 1, 8>::with(|_| {});
    bench.knock(ALICE, HOME, |_| {});
    bench.knock(BOB, CAFE, |_| {});
    assert_eq!(refused(&bench.status(BOB, CAFE)), Refusal::Unavailable);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
    let now = bench.now();
    assert!(!bench.gate.adopt_grant(now, GrantId(9), ClientId(2), Network::host(CAFE), SSH, seconds(9)));

    bench.wait(seconds(60));
    bench.knock(BOB, CAFE, |_| {});
    assert_eq!(bench.open(), [(2, CAFE, SSH)]);
}

#[test]
fn a_full_table_of_lockouts_gives_up_the_one_that_would_end_first() {
    let mut bench = Bench::<4, 4, 4, 2>::with(|_| {});
    for (who, from) in [(ALICE, HOME), (BOB, CAFE)] {
        let number = bench.number(who, from);
        let wrong = bench.wrong_port(who, number);
        bench.probe(from, &[wrong]);
        bench.wait(seconds(1));
    }
    assert_eq!(bench.gate.lockouts().iter().count(), 2);
    assert_eq!(refused(&bench.ask(BOB, CAFE, |_| {})), Refusal::LockedOut);
}

#[test]
fn notes_that_nobody_fetches_give_way_to_later_ones() {
    let mut bench = bench();
    for _ in 0..100 {
        let (_, message) = bench.message(ALICE, |request| request.service = VAULT);
        let now = bench.now();
        let origin = Origin { peer: crate::Peer(0), source: HOME, way: Way::Connection };
        bench.gate.handle_message(now, origin, &message).unwrap();
        while let Some(action) = bench.gate.poll_action(now) {
            if let Action::Remember { exchange, .. } = action {
                bench.gate.handle_stored(now, exchange, Outcome::Done);
            }
        }
    }
    assert_eq!(core::iter::from_fn(|| bench.gate.poll_note()).count(), 32);
}
