//! Probes of a holder, and of everybody else.

use super::bench::*;
use crate::book::Order;
use crate::gate::{Probe, ProbeKind};
use crate::message::Verdict;
use crate::note::Note;
use crate::refusal::Refusal;

#[test]
fn a_sequence_opens_only_for_the_address_that_holds_its_number() {
    let mut bench = bench();
    let number = bench.number(ALICE, HOME);
    let sequence = bench.sequence(ALICE, number);

    bench.probe(CAFE, &sequence);
    bench.probe(HOME, &sequence[..2]);
    bench.probe(CAFE, &sequence[2..]);
    assert_eq!(bench.open(), []);

    bench.probe(HOME, &sequence[2..]);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn the_same_sequence_again_opens_nothing() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    let grant = bench.grant();
    bench.revoke(grant);
    bench.actions();

    let sequence = bench.sequence(ALICE, 0);
    bench.probe(HOME, &sequence);
    bench.probe(CAFE, &sequence);

    assert_eq!(bench.actions(), [""; 0]);
    assert_eq!(bench.open(), []);
}

#[test]
fn foreign_probes_in_between_do_not_disturb_a_holder() {
    let mut bench = bench();
    let number = bench.number(ALICE, HOME);
    let (sequence, wrong) = (bench.sequence(ALICE, number), bench.wrong_port(ALICE, number));
    for &port in &sequence {
        bench.probe(CAFE, &[wrong, port]);
        bench.probe(OFFICE, &[wrong]);
        bench.probe(HOME, &[port]);
    }
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
    assert_eq!(bench.gate.lockouts().iter().count(), 0);
}

#[test]
fn a_wrong_port_in_connect_mode_ends_the_attempt() {
    let mut bench = bench();
    let number = bench.number(ALICE, HOME);
    let (sequence, wrong) = (bench.sequence(ALICE, number), bench.wrong_port(ALICE, number));

    bench.probe(HOME, &[sequence[0], wrong, sequence[1], sequence[2]]);

    assert_eq!(bench.open(), []);
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::WrongPort);
    assert_eq!(bench.cursor(ALICE), number + 1);
    let seen = bench.notes.iter().find_map(|note| match note {
        Note::KnockEnded { seen, .. } => Some(seen.to_vec()),
        _ => None,
    });
    assert_eq!(seen, Some([sequence[0], wrong].to_vec()), "the audit log has every port up to the wrong one");
}

#[test]
fn a_port_ahead_of_its_turn_is_wrong_in_connect_mode() {
    let mut bench = bench();
    let number = bench.number(ALICE, HOME);
    let sequence = bench.sequence(ALICE, number);
    bench.probe(HOME, &[sequence[1]]);
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::WrongPort);
}

#[test]
fn a_repeated_port_is_one_knock() {
    for change in [|_: &mut Config| {}, closed] {
        let mut bench = bench_with(change);
        let number = bench.number(ALICE, HOME);
        let [a, b, c] = bench.sequence(ALICE, number)[..] else { panic!("three ports") };
        bench.probe(HOME, &[a, a, b, a, b, c]);
        assert_eq!(bench.open(), [(1, HOME, SSH)]);
    }
}

#[test]
fn closed_mode_forgives_strays_up_to_its_limit_and_locks_nobody_out() {
    for (strays, opens) in [(2, true), (3, false)] {
        let mut bench = bench_with(closed);
        let number = bench.number(ALICE, HOME);
        let (sequence, wrong) = (bench.sequence(ALICE, number), bench.wrong_port(ALICE, number));

        bench.probe(HOME, &std::vec![wrong; strays]);
        bench.probe(HOME, &sequence);

        assert_eq!(!bench.open().is_empty(), opens, "{strays} strays");
        assert_eq!(bench.gate.lockouts().iter().count(), 0, "anybody can forge a stray");
        if !opens {
            assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::TooManyStrays);
            assert_eq!(bench.number(ALICE, HOME), number + 1, "at once");
        }
    }
}

#[test]
fn closed_mode_waits_for_what_the_network_has_reordered() {
    let mut bench = bench_with(closed);
    let number = bench.number(ALICE, HOME);
    let [a, b, c] = bench.sequence(ALICE, number)[..] else { panic!("three ports") };
    bench.probe(HOME, &[b, c, a, c, c, b]);
    assert_eq!(bench.open(), [], "what came too early does not count");
    bench.probe(HOME, &[c]);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn a_gate_that_wants_no_order_takes_any() {
    let mut bench = bench_with(|config| config.order = Order::Any);
    let number = bench.number(ALICE, HOME);
    let [a, b, c] = bench.sequence(ALICE, number)[..] else { panic!("three ports") };
    bench.probe(HOME, &[c, a, b]);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn only_the_kind_of_probe_that_the_mode_wants_counts() {
    #[rustfmt::skip]
    let cases = [
        (1, (|_| {}) as fn(&mut Config), ProbeKind::Attempted),
        (2, closed, ProbeKind::Connected),
    ];
    for (case, change, kind) in cases {
        let mut bench = bench_with(change);
        let number = bench.number(ALICE, HOME);
        let now = bench.now();
        for port in bench.sequence(ALICE, number).into_iter().chain([bench.wrong_port(ALICE, number)]) {
            bench.gate.handle_probe(now, Probe { source: HOME, port, kind });
            bench.turn();
        }
        assert_eq!(bench.open(), [], "case {case}");
        assert_eq!(bench.status(ALICE, HOME).verdict, Verdict::Pending, "case {case}");
    }
}

#[test]
fn a_port_that_is_not_watched_is_no_knock() {
    let mut bench = bench();
    bench.number(ALICE, HOME);
    bench.probe(HOME, &[1, 22, 9_999, 20_001, 65_535]);
    assert_eq!(bench.status(ALICE, HOME).verdict, Verdict::Pending);
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_the_same_address() {
    let mut bench = bench();
    let mapped = "::ffff:192.0.2.1".parse().unwrap();
    let number = bench.number(ALICE, mapped);
    let sequence = bench.sequence(ALICE, number);
    bench.probe(HOME, &sequence[..1]);
    bench.probe(mapped, &sequence[1..]);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn the_last_port_must_come_within_the_hold() {
    let just_before = HOLD - core::time::Duration::from_micros(1);
    for (after, opens) in [(just_before, true), (HOLD, false)] {
        let mut bench = bench();
        let number = bench.number(ALICE, HOME);
        let sequence = bench.sequence(ALICE, number);
        bench.probe(HOME, &sequence[..2]);
        // Whether the host has ended the hold by then makes no difference.
        bench.sleep(after);
        bench.probe(HOME, &sequence[2..]);
        assert_eq!(!bench.open().is_empty(), opens, "after {after:?}");
    }
}

#[test]
fn an_attempt_that_comes_too_late_burns_the_number_and_locks_nobody_out() {
    let mut bench = bench();
    let number = bench.number(ALICE, HOME);
    bench.actions();
    bench.wait(HOLD);

    assert_eq!(bench.actions(), ["unwatch 192.0.2.1"]);
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::TooLate);
    assert_eq!(bench.gate.lockouts().iter().count(), 0);
    assert_eq!(bench.number(ALICE, HOME), number + 1);
}
