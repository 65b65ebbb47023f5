//! Confirmation: nothing opens to an address from which nobody has answered.

use super::bench::*;
use crate::action::Way;
use crate::gate::Gate;
use crate::message::{Answer, Kind, Request, Token, Verdict};
use crate::refusal::Refusal;
use crate::testing::TestRng;
use crate::{Effect, Note};

fn wanted(config: &mut Config) {
    config.services.iter_mut().for_each(|service| service.confirm = true);
}

fn token(answer: &Answer) -> Token {
    match answer.verdict {
        Verdict::Confirm(token) => token,
        _ => panic!("no confirmation is asked for: {answer:?}"),
    }
}

fn with(token: Token) -> impl FnOnce(&mut Request) {
    move |request| request.token = Some(token)
}

#[test]
fn nothing_opens_before_the_token_has_come_back() {
    let mut bench = bench_with(wanted);
    let token = token(&bench.open_by_packet(ALICE, HOME));
    assert_eq!(bench.actions(), ["remember", "answer"]);

    let answer = bench.packet(ALICE, HOME, Kind::Open, with(token));
    assert_eq!((answer.verdict, bench.open()), (Verdict::Granted, [(1, HOME, SSH)].to_vec()));
}

#[test]
fn a_client_can_be_asked_for_confirmation_whatever_the_service_says() {
    let mut bench = bench();
    bench.change_client(ALICE, |client| client.confirm = true);
    let token = token(&bench.open_by_packet(ALICE, HOME));
    assert_eq!(bench.packet(ALICE, HOME, Kind::Open, with(token)).verdict, Verdict::Granted);
    assert_eq!(bench.open_by_packet(BOB, CAFE).verdict, Verdict::Granted);
}

#[test]
fn a_token_is_worth_nothing_to_another_client_at_another_address_or_for_another_service() {
    let neighbour = "192.0.2.3".parse().unwrap();
    for (case, who, from, service) in
        [(1, BOB, HOME, SSH), (2, ALICE, CAFE, SSH), (3, ALICE, HOME, WEB), (4, ALICE, neighbour, SSH)]
    {
        let mut bench = bench_with(wanted);
        let first = token(&bench.open_by_packet(ALICE, HOME));
        let answer = bench.packet(who, from, Kind::Open, |request| {
            (request.service, request.token) = (service, Some(first));
        });
        assert_ne!(token(&answer), first, "case {case}");
        assert_eq!(bench.open(), [], "case {case}");
    }
}

#[test]
fn a_token_is_good_for_ten_seconds_and_worth_nothing_after_twenty() {
    for (start, age, granted) in [(0, 0, true), (9, 10, true), (0, 19, true), (0, 20, false), (9, 12, false)]
    {
        let mut bench = bench_with(wanted);
        bench.wait(seconds(start));
        let token = token(&bench.open_by_packet(ALICE, HOME));
        bench.wait(seconds(age));
        let answer = bench.packet(ALICE, HOME, Kind::Open, with(token));
        assert_eq!(answer.verdict == Verdict::Granted, granted, "given at {start}, {age} seconds old");
    }
}

#[test]
fn every_flipped_bit_makes_a_token_worthless() {
    let mut bench = bench_with(wanted);
    let Token(good) = token(&bench.open_by_packet(ALICE, HOME));
    for bit in 0..64 {
        let mut bad = good;
        bad[bit / 8] ^= 1 << (bit % 8);
        token(&bench.packet(ALICE, HOME, Kind::Open, with(Token(bad))));
    }
}

#[test]
fn a_token_of_an_earlier_run_is_worth_nothing() {
    let mut bench = bench_with(wanted);
    let first = token(&bench.open_by_packet(ALICE, HOME));
    bench.gate = Gate::new(bench.gate.config().clone(), bench.gate.roster().clone(), TestRng::new(3));
    token(&bench.packet(ALICE, HOME, Kind::Open, with(first)));
}

#[test]
fn over_a_connection_no_confirmation_is_asked_for() {
    let mut bench = bench_with(wanted);
    bench.way = Way::Connection;
    let answer = bench.ask(ALICE, HOME, |request| request.kind = Kind::Open);
    assert_eq!(answer.verdict, Verdict::Granted);
}

#[test]
fn what_is_open_is_renewed_and_closed_without_confirmation() {
    let mut bench = bench_with(wanted);
    let token = token(&bench.open_by_packet(ALICE, HOME));
    bench.packet(ALICE, HOME, Kind::Open, with(token));
    assert_eq!(bench.packet(ALICE, HOME, Kind::Renew, |_| {}).verdict, Verdict::Granted);
    assert_eq!(bench.packet(ALICE, HOME, Kind::Close, |_| {}).verdict, Verdict::Closed);
}

#[test]
fn an_address_that_was_confirmed_can_be_locked_out() {
    let mut bench = bench_with(wanted);
    let token = token(&bench.open_by_packet(ALICE, HOME));
    bench.script.judge = Judge::commit(&[Effect::Lockout { seconds: 9 }]);
    bench.packet(ALICE, HOME, Kind::Open, with(token));
    assert_eq!(refused(&bench.open_by_packet(BOB, HOME)), Refusal::LockedOut);
}

#[test]
fn to_be_asked_for_confirmation_is_no_refusal_and_no_failure() {
    let mut bench = bench_with(wanted);
    let token = token(&bench.open_by_packet(ALICE, HOME));
    assert!(!bench.notes.iter().any(|note| matches!(note, Note::Refused { .. })));
    bench.packet(ALICE, HOME, Kind::Open, with(token));
    assert_eq!(bench.consultations[0].standing.failures, 0);
}

#[test]
fn what_speaks_against_a_knock_is_said_before_a_confirmation_is_asked_for() {
    let mut bench = bench_with(wanted);
    let answer = bench.packet(ALICE, HOME, Kind::Open, |request| request.service = VAULT);
    assert_eq!(refused(&answer), Refusal::NotAllowed);
}

#[test]
fn a_code_is_not_used_up_before_the_address_is_confirmed() {
    let mut bench = bench_with(|config| {
        wanted(config);
        config.services.iter_mut().for_each(|service| service.second_factor = true);
    });
    bench.give_authenticator(ALICE);
    let code = Some(bench.code(ALICE, 0));
    let token = token(&bench.packet(ALICE, HOME, Kind::Open, |request| request.code = code));
    let answer =
        bench.packet(ALICE, HOME, Kind::Open, |request| (request.code, request.token) = (code, Some(token)));
    assert_eq!(answer.verdict, Verdict::Granted);
}
