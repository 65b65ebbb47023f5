//! Leases: what need not wait for the disk, and what counts as used after an unclean stop.

use super::bench::*;
use crate::limits::COUNTER_JUMP;
use crate::message::{Kind, Verdict};
use crate::refusal::Refusal;
use crate::replay::{Burnt, Lease, counter_after_silence, next_counter};
use crate::roster::Roster;
use crate::{Action, ClientId, Record};

const SECOND: u64 = 1_000_000;

/// A lease over all counters that the tests use by themselves.
fn leased() -> Usual {
    let mut bench = bench();
    bench.gate.set_lease(Some(Lease { after: 0, until: 1_000 }));
    bench
}

fn burnt(leases: &[Lease]) -> Burnt {
    let mut burnt = Burnt::default();
    leases.iter().for_each(|lease| burnt.add(*lease));
    burnt
}

#[test]
fn within_a_lease_the_policy_is_asked_without_waiting_for_the_disk() {
    let mut bench = leased();
    assert_eq!(bench.open_by_packet(ALICE, HOME).verdict, Verdict::Granted);
    assert_eq!(bench.actions(), ["consult", "open 1 to 192.0.2.1 for 60", "answer"]);
    assert_eq!(bench.gate.roster().used(ClientId(1)).last, 1);
}

#[test]
fn outside_the_lease_the_counter_is_stored_first() {
    for (counter, stored) in [(10, true), (11, false), (20, false), (21, true)] {
        let mut bench = bench();
        bench.gate.set_lease(Some(Lease { after: 10, until: 20 }));
        bench.packet(ALICE, HOME, Kind::Open, |request| request.counter = counter);
        assert_eq!(bench.actions()[0] == "remember", stored, "counter {counter}");
    }
}

#[test]
fn without_a_lease_every_counter_is_stored() {
    let mut bench = leased();
    bench.gate.set_lease(None);
    bench.open_by_packet(ALICE, HOME);
    assert_eq!(bench.actions()[0], "remember");
}

#[test]
fn within_a_lease_refusals_and_closings_do_not_wait_either() {
    let mut bench = leased();
    let answer = bench.packet(ALICE, HOME, Kind::Open, |request| request.service = VAULT);
    assert_eq!(refused(&answer), Refusal::NotAllowed);
    bench.open_by_packet(ALICE, HOME);
    bench.actions();
    assert_eq!(bench.packet(ALICE, HOME, Kind::Close, |_| {}).verdict, Verdict::Closed);
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1", "answer"]);
}

#[test]
fn a_number_of_a_book_is_stored_whatever_the_lease_with_all_that_was_used() {
    let mut bench = leased();
    bench.open_by_packet(ALICE, HOME);
    bench.script.store = Do::Wait;
    bench.start(ALICE, HOME, |_| {});
    let [Action::Remember { record: Record::Offer { used, next, .. }, .. }] = bench.waiting[..] else {
        panic!("one record")
    };
    assert_eq!((used.last, next), (2, 1));
}

#[test]
fn a_code_is_stored_whatever_the_lease() {
    let mut bench = leased();
    bench.give_authenticator(ALICE);
    let code = Some(bench.code(ALICE, 0));
    bench.packet(ALICE, HOME, Kind::Open, |request| request.code = code);
    assert_eq!(bench.actions()[0], "remember");
    bench.open_by_packet(ALICE, HOME);
    assert_eq!(bench.actions()[0], "consult");
}

#[test]
fn a_counter_of_the_far_future_is_in_no_lease_and_so_stored() {
    let mut bench = leased();
    bench.packet(ALICE, HOME, Kind::Open, |request| request.counter = START + 2 * 86_400 * SECOND);
    assert_eq!(bench.actions()[0], "remember");
}

#[test]
fn what_may_have_been_used_before_an_unclean_stop_is_met_with_silence() {
    let leases = [Lease { after: 10, until: 20 }, Lease { after: 30, until: 40 }];
    for (counter, expected) in [
        (10, Ok(())),
        (11, Err(Refusal::Replayed)),
        (20, Err(Refusal::Replayed)),
        (21, Ok(())),
        (40, Err(Refusal::Replayed)),
    ] {
        let mut bench = bench_with(|config| config.burnt = burnt(&leases));
        let (_, message) =
            bench.message(ALICE, |request| (request.kind, request.counter) = (Kind::Open, counter));
        assert_eq!(bench.send(HOME, &message).map(|_| ()), expected, "counter {counter}");
        let last = bench.gate.roster().used(ClientId(1)).last;
        assert_eq!(last, if expected.is_ok() { counter } else { 0 }, "counter {counter}");
    }
}

#[test]
fn two_leases_have_in_common_what_both_contain() {
    let (old, new) = (Lease { after: 10, until: 40 }, Lease { after: 30, until: 60 });
    let both = Lease { after: 30, until: 40 };
    assert_eq!((old.and(new), new.and(old)), (both, both));
    let apart = old.and(Lease { after: 50, until: 60 });
    assert!((0..100).all(|counter| !apart.contains(counter)));
}

#[test]
fn nobody_is_kept_out_by_a_crash_for_longer_than_one_try() {
    // The gate renews its lease every half minute; it crashes at any age of it, and the clocks of both are apart by up to
    // half a minute less a second.
    for age in 0..=30 {
        for skew in -29_i64..=29 {
            let lease = Lease { after: START - 30 * SECOND, until: START + 90 * SECOND };
            let now = (START + age * SECOND).saturating_add_signed(skew * 1_000_000);
            let mut bench = bench_with(|config| config.burnt = burnt(&[lease]));
            let mut ask = |counter| {
                let (_, message) =
                    bench.message(ALICE, |request| (request.kind, request.counter) = (Kind::Status, counter));
                bench.send(HOME, &message).map(|_| ())
            };
            let first = next_counter(0, now).unwrap();
            if ask(first) == Err(Refusal::Replayed) {
                let second = counter_after_silence(first, now).unwrap();
                assert_eq!(ask(second), Ok(()), "lease of {age} s, clock ahead by {skew} s");
            }
        }
    }
    assert!(COUNTER_JUMP.as_micros() >= u128::from(120 * SECOND));
}
