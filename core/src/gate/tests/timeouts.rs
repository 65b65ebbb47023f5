//! What ends by itself, and calls that are one too many.

use super::bench::*;
use crate::limits::TIMEOUTS_PER_CALL;
use crate::note::CloseReason;
use crate::{ClientId, GrantId, Network, Note};

#[test]
fn a_second_timeout_at_the_same_moment_changes_nothing() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    bench.number(BOB, CAFE);
    for after in [1, 9, 1, 19, 1, 29, 1, 600] {
        bench.wait(seconds(after));
        bench.actions();
        bench.notes.clear();
        let (open, due) = (bench.open(), bench.gate.poll_timeout());
        for _ in 0..3 {
            let now = bench.now();
            bench.gate.handle_timeout(now);
            bench.turn();
        }
        assert_eq!(bench.actions(), [""; 0]);
        assert_eq!(bench.notes, []);
        assert_eq!((bench.open(), bench.gate.poll_timeout()), (open, due));
    }
}

#[test]
fn one_call_ends_a_bounded_number_of_entries_and_asks_for_another() {
    let mut bench = Bench::<4, 4, 20, 8>::with(|_| {});
    for id in 1..=20 {
        let now = bench.now();
        let from = core::net::IpAddr::from([198, 51, 100, u8::try_from(id).unwrap()]);
        assert!(bench.gate.adopt_grant(now, GrantId(id), ClientId(1), Network::host(from), SSH, seconds(5)));
    }
    bench.sleep(seconds(5));
    let mut calls = 0;
    while bench.gate.poll_timeout().is_some_and(|due| due <= bench.now().instant) {
        let now = bench.now();
        bench.gate.handle_timeout(now);
        bench.turn();
        assert!(bench.actions().len() <= TIMEOUTS_PER_CALL);
        calls += 1;
    }
    assert_eq!((calls, bench.open().len()), (3, 0));
    let expired = |note: &&Note| matches!(note, Note::GrantClosed { reason: CloseReason::Expired, .. });
    assert_eq!(bench.notes.iter().filter(expired).count(), 20);
}

#[test]
fn a_timeout_that_comes_too_early_ends_nothing() {
    let mut bench = bench();
    let number = bench.number(ALICE, HOME);
    bench.sleep(HOLD / 2);
    let now = bench.now();
    bench.gate.handle_timeout(now);
    bench.turn();
    let sequence = bench.sequence(ALICE, number);
    bench.probe(HOME, &sequence);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn extra_polls_are_harmless_at_every_step() {
    let mut bench = bench();
    let idle = |bench: &mut Usual| {
        for _ in 0..3 {
            let now = bench.now();
            assert!(bench.gate.poll_action(now).is_none());
            assert!(bench.gate.poll_note().is_none());
            assert_eq!(bench.gate.poll_timeout(), bench.gate.poll_timeout());
        }
    };
    idle(&mut bench);
    let number = bench.number(ALICE, HOME);
    idle(&mut bench);
    for port in bench.sequence(ALICE, number) {
        bench.probe(HOME, &[port]);
        idle(&mut bench);
    }
    let grant = bench.grant();
    bench.revoke(grant);
    idle(&mut bench);
    assert_eq!(bench.open(), []);
}

#[test]
fn after_everything_has_ended_nothing_is_left_to_wait_for() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    let number = bench.number(BOB, CAFE);
    let wrong = bench.wrong_port(BOB, number);
    bench.probe(CAFE, &[wrong]);
    bench.wait(seconds(3600));
    assert_eq!(bench.gate.poll_timeout(), None);
    assert_eq!(bench.gate.lockouts().iter().count(), 0);
}

#[test]
fn the_memory_of_a_gate_is_in_its_type() {
    // Nothing of it is elsewhere: the crate has no allocator.
    assert_eq!(size_of_val(&bench().gate), size_of_val(&Usual::with(|_| {}).gate));
    assert!(size_of_val(&bench().gate) < 32 * 1024, "{} bytes", size_of_val(&bench().gate));
}
