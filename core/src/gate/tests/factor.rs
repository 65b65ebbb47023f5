//! The second factor: a code that is wanted, right, and not used before.

use super::bench::*;
use crate::limits::WRONG_CODES;
use crate::message::{Answer, Kind, Verdict as Answered};
use crate::note::Locked;
use crate::refusal::Refusal;
use crate::roster::Roster;
use crate::{ClientId, Effect, Outcome, Verdict};

fn wanted(config: &mut Config) {
    config.services.iter_mut().for_each(|service| service.second_factor = true);
}

/// A gate that wants codes, and Alice with an authenticator.
fn strict() -> Usual {
    let mut bench = bench_with(wanted);
    bench.give_authenticator(ALICE);
    bench
}

fn knock(bench: &mut Usual, code: impl Into<Option<u32>>) -> Answer {
    let code = code.into();
    bench.packet(ALICE, HOME, Kind::Open, |request| request.code = code)
}

fn wrong(bench: &Usual) -> u32 {
    let right = [-30, 0, 30].map(|ahead| bench.code(ALICE, ahead));
    (0..).find(|code| !right.contains(code)).unwrap()
}

#[test]
fn where_a_code_is_wanted_nothing_is_decided_without_the_right_one() {
    let mut bench = strict();
    assert_eq!(refused(&knock(&mut bench, None)), Refusal::CodeWanted);
    let code = wrong(&bench);
    assert_eq!(refused(&knock(&mut bench, code)), Refusal::WrongCode);
    assert!(bench.consultations.is_empty());

    let code = bench.code(ALICE, 0);
    assert_eq!(knock(&mut bench, code).verdict, Answered::Granted);
    assert!(bench.consultations[0].second_factor);
}

#[test]
fn a_code_is_accepted_once_and_so_are_the_ones_before_it() {
    let mut bench = strict();
    let code = bench.code(ALICE, 0);
    let before = bench.code(ALICE, -30);
    assert_eq!(knock(&mut bench, code).verdict, Answered::Granted);
    assert_eq!(refused(&knock(&mut bench, code)), Refusal::WrongCode);
    assert_eq!(refused(&knock(&mut bench, before)), Refusal::WrongCode);

    bench.wait(seconds(30));
    let code = bench.code(ALICE, 0);
    assert_eq!(knock(&mut bench, code).verdict, Answered::Granted);
}

#[test]
fn a_code_of_a_neighbouring_step_is_accepted_and_none_further_away() {
    for (ahead, accepted) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
        let mut bench = strict();
        let code = bench.code(ALICE, ahead);
        assert_eq!(knock(&mut bench, code).verdict == Answered::Granted, accepted, "{ahead}");
    }
}

#[test]
fn five_wrong_codes_in_a_row_lock_the_client_out_and_not_its_address() {
    let mut bench = strict();
    let code = wrong(&bench);
    for _ in 1..WRONG_CODES {
        assert_eq!(refused(&knock(&mut bench, code)), Refusal::WrongCode);
    }
    assert_eq!(bench.gate.lockouts().iter().count(), 0);
    knock(&mut bench, code);
    let locked: std::vec::Vec<_> = bench.gate.lockouts().iter().map(|(who, _)| who).collect();
    assert_eq!(locked, [Locked::Client(ClientId(1))]);

    let code = bench.code(ALICE, 0);
    assert_eq!(refused(&knock(&mut bench, code)), Refusal::LockedOut);
    bench.wait(LOCKOUT);
    let code = bench.code(ALICE, 0);
    assert_eq!(knock(&mut bench, code).verdict, Answered::Granted);
}

#[test]
fn a_grant_forgives_wrong_codes() {
    let mut bench = strict();
    for _ in 0..3 {
        let code = wrong(&bench);
        for _ in 1..WRONG_CODES {
            knock(&mut bench, code);
        }
        let code = bench.code(ALICE, 0);
        assert_eq!(knock(&mut bench, code).verdict, Answered::Granted);
        bench.wait(seconds(30));
    }
}

#[test]
fn a_client_without_an_authenticator_has_no_right_code() {
    let mut bench = bench_with(wanted);
    assert_eq!(refused(&knock(&mut bench, 123_456)), Refusal::CodeWanted);
}

#[test]
fn where_no_code_is_wanted_the_policy_is_told_of_one_that_was_shown() {
    let mut bench = bench();
    bench.give_authenticator(ALICE);
    let code = bench.code(ALICE, 0);
    knock(&mut bench, None);
    knock(&mut bench, code);
    let shown: std::vec::Vec<_> = bench.consultations.iter().map(|asked| asked.second_factor).collect();
    assert_eq!(shown, [false, true]);
    assert_eq!(refused(&knock(&mut bench, code)), Refusal::WrongCode, "a wrong one is refused all the same");
}

#[test]
fn a_denied_client_is_told_that_a_code_might_help_if_it_has_not_shown_one() {
    let mut bench = bench();
    bench.script.judge = Judge::Say(Verdict::Deny, [].to_vec());
    assert_eq!(refused(&knock(&mut bench, None)), Refusal::Denied, "there is no authenticator");
    bench.give_authenticator(ALICE);
    assert_eq!(refused(&knock(&mut bench, None)), Refusal::CodeWanted);
    let code = bench.code(ALICE, 0);
    assert_eq!(refused(&knock(&mut bench, code)), Refusal::Denied);
    bench.script.judge = Judge::Say(Verdict::Failed, [].to_vec());
    assert_eq!(refused(&knock(&mut bench, None)), Refusal::PolicyFailed);
}

#[test]
fn without_a_calendar_no_code_can_be_checked() {
    let mut bench = strict();
    let code = bench.code(ALICE, 0);
    bench.calendar = false;
    assert_eq!(refused(&knock(&mut bench, code)), Refusal::Unavailable);
}

#[test]
fn a_code_that_was_used_is_stored_with_the_counter() {
    let mut bench = strict();
    bench.script.store = Do::Wait;
    let code = Some(bench.code(ALICE, 0));
    bench.start_packet(ALICE, HOME, Kind::Open, |request| request.code = code);
    let [crate::Action::Remember { record: crate::Record::Counter { used, .. }, .. }] = bench.waiting[..]
    else {
        panic!("one record")
    };
    assert_eq!((used.last, used.code_step), (1, START / 30_000_000));
    assert_eq!(used, bench.gate.roster().used(ClientId(1)));
    bench.report(Outcome::Failed);
    assert_eq!(bench.open(), []);
}

#[test]
fn a_code_that_was_used_for_nothing_is_stored_too() {
    let mut bench = strict();
    bench.script.judge = Judge::Say(Verdict::Deny, [].to_vec());
    let code = bench.code(ALICE, 0);
    assert_eq!(refused(&knock(&mut bench, code)), Refusal::Denied);
    assert_eq!(refused(&knock(&mut bench, code)), Refusal::WrongCode);
}

#[test]
fn a_sequence_needs_the_code_too_and_is_not_begun_without() {
    let mut bench = strict();
    assert_eq!(refused(&bench.ask(ALICE, HOME, |_| {})), Refusal::CodeWanted);
    assert_eq!(bench.cursor(ALICE), 0);
    let code = Some(bench.code(ALICE, 0));
    bench.knock(ALICE, HOME, |request| request.code = code);
    assert!(bench.consultations[0].second_factor);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn a_renewal_needs_a_code_of_its_own_and_a_closing_none() {
    let mut bench = strict();
    let code = bench.code(ALICE, 0);
    knock(&mut bench, code);
    assert_eq!(refused(&bench.packet(ALICE, HOME, Kind::Renew, |_| {})), Refusal::CodeWanted);
    let next = Some(bench.code(ALICE, 30));
    let answer = bench.packet(ALICE, HOME, Kind::Renew, |request| request.code = next);
    assert_eq!(answer.verdict, Answered::Granted);
    assert_eq!(bench.packet(ALICE, HOME, Kind::Close, |_| {}).verdict, Answered::Closed);
}

#[test]
fn the_policy_decides_after_the_code_and_can_open_what_it_likes() {
    let mut bench = strict();
    bench.script.judge = Judge::commit(&[Effect::Open { service: WEB, seconds: 9 }]);
    let code = bench.code(ALICE, 0);
    knock(&mut bench, code);
    assert_eq!(bench.open(), [(1, HOME, WEB)]);
}
