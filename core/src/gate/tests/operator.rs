//! What whoever sits at the gate can order.

use super::bench::*;
use super::grants::closings;
use crate::address::SourcePrefix;
use crate::gate::LockoutScope;
use crate::note::{CloseReason, Locked};
use crate::refusal::Refusal;
use crate::{ClientId, Verdict};

fn order(bench: &mut Usual, service: u16, lasts: u64) -> Result<(), Refusal> {
    let now = bench.now();
    let done = bench.gate.open_by_order(now, HOME, service, seconds(lasts)).map(drop);
    bench.turn();
    done
}

#[test]
fn an_order_opens_what_no_policy_is_asked_about_and_the_gate_closes_it_in_time() {
    let mut bench = bench();
    bench.script.judge = Judge::Say(Verdict::Failed, [].to_vec());
    order(&mut bench, SSH, 600).unwrap();
    assert_eq!(bench.actions(), ["open 1 to 192.0.2.1 for 600"]);
    assert_eq!(bench.open(), [(ClientId::CONSOLE.0, HOME, SSH)]);
    order(&mut bench, SSH, 60).unwrap();
    assert_eq!((bench.open().len(), bench.left()), (1, [600].to_vec()), "an order never shortens");
    bench.wait(seconds(600));
    assert!(bench.open().is_empty());
    assert_eq!(closings(&bench.notes), [(1, CloseReason::Expired)]);
}

#[test]
fn an_order_is_bound_by_the_service_and_its_longest_time() {
    let mut bench = bench();
    assert_eq!(order(&mut bench, NOWHERE, 60), Err(Refusal::NotAllowed));
    order(&mut bench, VAULT, 1_000_000).unwrap();
    assert_eq!(bench.left(), [60]);
}

#[test]
fn what_was_opened_by_order_can_be_taken_back() {
    let mut bench = bench();
    order(&mut bench, SSH, 600).unwrap();
    let grant = bench.grant();
    bench.revoke(grant);
    assert!(bench.open().is_empty());
    assert_eq!(closings(&bench.notes), [(1, CloseReason::Revoked)]);
}

#[test]
fn whoever_is_unlocked_is_heard_at_once_and_nobody_else() {
    let mut bench = bench();
    let number = bench.number(ALICE, HOME);
    let wrong = bench.wrong_port(ALICE, number);
    bench.probe(HOME, &[wrong]);
    let client = bench.client(ALICE).id;
    assert!(bench.gate.unlock(Locked::Client(client)));
    assert!(!bench.gate.unlock(Locked::Client(client)), "once");
    assert_eq!(refused(&bench.ask(ALICE, HOME, |_| {})), Refusal::LockedOut, "her address still is");
    assert!(bench.gate.unlock(Locked::Source(SourcePrefix::of(HOME))));
    assert!(bench.ask(ALICE, HOME, |_| {}).offer.is_some());
}

#[test]
fn everybody_can_be_unlocked() {
    let mut bench = bench_with(|config| config.lockout_scope = LockoutScope::Everybody);
    let number = bench.number(ALICE, HOME);
    let wrong = bench.wrong_port(ALICE, number);
    bench.probe(HOME, &[wrong]);
    assert_eq!(refused(&bench.ask(BOB, CAFE, |_| {})), Refusal::LockedOut);
    assert!(bench.gate.unlock(Locked::Everybody));
    assert!(bench.ask(BOB, CAFE, |_| {}).offer.is_some());
}
