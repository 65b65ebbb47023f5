//! Who is locked out, by what, and how far it reaches.

use super::bench::*;
use crate::gate::LockoutScope;
use crate::limits::MAX_LOCKOUT;
use crate::message::Verdict;
use crate::note::{Locked, Note};
use crate::refusal::Refusal;
use crate::{ClientId, Effect};

/// `who` holds a number at `from` and connects to a wrong port.
fn blunder(bench: &mut Usual, who: usize, from: core::net::IpAddr) {
    let number = bench.number(who, from);
    let wrong = bench.wrong_port(who, number);
    bench.probe(from, &[wrong]);
}

#[test]
fn a_wrong_port_locks_out_the_client_and_its_address_and_nobody_else() {
    let mut bench = bench();
    blunder(&mut bench, ALICE, HOME);
    bench.wait(seconds(10));

    for (who, from) in [(ALICE, HOME), (ALICE, CAFE), (BOB, HOME)] {
        let answer = bench.ask(who, from, |_| {});
        assert_eq!((refused(&answer), answer.retry_ms), (Refusal::LockedOut, 50_000), "{who} at {from}");
    }
    assert!(bench.ask(BOB, CAFE, |_| {}).offer.is_some());

    bench.wait(seconds(50));
    assert_eq!(bench.number(ALICE, HOME), 1);
}

#[test]
fn who_is_locked_out_is_told_so_and_how_long_by_status_too() {
    let mut bench = bench();
    blunder(&mut bench, ALICE, HOME);
    bench.wait(seconds(20));
    let answer = bench.status(ALICE, HOME);
    assert_eq!((refused(&answer), answer.retry_ms), (Refusal::WrongPort, 40_000));

    // The result of the knock is forgotten before the lockout ends.
    bench.wait(seconds(20));
    let answer = bench.status(ALICE, HOME);
    assert_eq!((refused(&answer), answer.retry_ms), (Refusal::LockedOut, 20_000));
}

#[test]
fn a_lockout_of_an_ipv6_address_is_one_of_its_subnet() {
    let mut bench = bench();
    blunder(&mut bench, ALICE, OFFICE);
    let neighbour = "2001:db8::ffff".parse().unwrap();
    let elsewhere = "2001:db8:0:1::1".parse().unwrap();
    assert_eq!(refused(&bench.ask(BOB, neighbour, |_| {})), Refusal::LockedOut);
    assert!(bench.ask(BOB, elsewhere, |_| {}).offer.is_some());
}

#[test]
fn a_global_lockout_locks_out_everybody() {
    let mut bench = bench_with(|config| config.lockout_scope = LockoutScope::Everybody);
    blunder(&mut bench, ALICE, HOME);
    assert_eq!(refused(&bench.ask(BOB, CAFE, |_| {})), Refusal::LockedOut);
    assert!(bench.notes.contains(&Note::LockedOut { who: Locked::Everybody, lasts: LOCKOUT }));
    bench.wait(LOCKOUT);
    assert!(bench.ask(BOB, CAFE, |_| {}).offer.is_some());
}

#[test]
fn the_probes_of_a_holder_who_was_locked_out_meanwhile_are_ignored() {
    let mut bench = bench_with(|config| config.lockout_scope = LockoutScope::Everybody);
    let number = bench.number(BOB, CAFE);
    let sequence = bench.sequence(BOB, number);
    blunder(&mut bench, ALICE, HOME);
    bench.probe(CAFE, &sequence);
    assert_eq!(bench.open(), []);
}

#[test]
fn a_lockout_closes_nothing_that_is_open() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    blunder(&mut bench, ALICE, HOME);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
    assert_eq!(bench.status(ALICE, HOME).open.len(), 1);
}

#[test]
fn the_policy_can_lock_out_a_client_and_its_address() {
    let mut bench = bench();
    bench.script.judge = Judge::commit(&[Effect::Lockout { seconds: 5 }]);
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(bench.open(), []);
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::Denied);
    for (who, from) in [(ALICE, CAFE), (BOB, HOME)] {
        assert_eq!(bench.ask(who, from, |_| {}).retry_ms, 5_000);
    }
    bench.wait(seconds(5));
    assert!(bench.ask(ALICE, HOME, |_| {}).offer.is_some());
}

#[test]
fn a_lockout_beyond_the_limit_lasts_as_long_as_the_audit_log_says() {
    let mut bench = bench();
    bench.script.judge = Judge::commit(&[Effect::Lockout { seconds: u32::MAX }]);
    bench.knock(ALICE, HOME, |_| {});
    assert!(bench.notes.contains(&Note::LockedOut { who: Locked::Client(ClientId(1)), lasts: MAX_LOCKOUT }));
    bench.wait(MAX_LOCKOUT);
    assert_eq!(bench.status(ALICE, HOME).verdict, Verdict::Nothing);
}

#[test]
fn strangers_cannot_be_locked_out_because_nothing_is_remembered_of_them() {
    let mut bench = bench();
    let decoys = bench.gate.config().decoys.ports().to_vec();
    for last in 0..=255 {
        bench.probe(core::net::IpAddr::from([198, 51, 100, last]), &decoys);
    }
    assert_eq!(bench.gate.lockouts().iter().count(), 0);
    assert_eq!(bench.actions(), [""; 0]);
    assert_eq!(bench.notes, []);
}
