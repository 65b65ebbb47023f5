//! Another configuration: what is open, held, asked or knocked while it comes.

use super::bench::*;
use super::grants::closings;
use crate::book::Order;
use crate::gate::{Ports, Prefixes, StaticDoor};
use crate::message::{Kind, Mode, Reach, Verdict as Said};
use crate::note::CloseReason;
use crate::refusal::Refusal;
use crate::{ClientId, Effect, Outcome, Verdict};

#[test]
fn what_stays_as_it_was_leaves_every_grant_alone() {
    let mut bench = opened();
    bench.reconfigure(|_| {}, |_| Ports::Same);
    assert_eq!(bench.actions().len(), 0);
    assert_eq!((bench.open(), bench.left()), ([(1, HOME, SSH)].to_vec(), [60].to_vec()));
}

#[test]
fn a_service_that_is_gone_or_has_moved_is_closed_to_everybody() {
    let gone = |config: &mut Config| config.services.retain(|service| service.id != SSH);
    for (case, ports) in [(1, Ports::Same), (2, Ports::Moved)] {
        let mut bench = opened();
        let nothing = |_: &mut Config| {};
        let change: &dyn Fn(&mut Config) = if case == 1 { &gone } else { &nothing };
        bench.reconfigure(change, |_| ports);
        assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"], "case {case}");
        assert_eq!(closings(&bench.notes), [(1, CloseReason::Revoked)]);
        assert_eq!(bench.open(), []);
    }
}

#[test]
fn a_service_with_some_of_its_ports_is_opened_at_all_that_it_has_now() {
    let mut bench = opened();
    bench.wait(seconds(10));
    bench.reconfigure(|_| {}, |service| if service == SSH { Ports::Changed } else { Ports::Same });
    assert_eq!(bench.actions(), ["open 1 to 192.0.2.1 for 50"]);
    assert_eq!(bench.left(), [50]);
}

#[test]
fn nothing_lasts_longer_than_is_allowed_from_now_on() {
    let mut bench = opened();
    bench.wait(seconds(10));
    bench.reconfigure(max_open(20), |_| Ports::Same);
    assert_eq!(bench.actions(), ["open 1 to 192.0.2.1 for 20"]);
    bench.wait(seconds(20));
    assert_eq!((bench.actions(), bench.open()), (["close 1 to 192.0.2.1".into()].to_vec(), [].to_vec()));
}

#[test]
fn what_the_host_fails_to_shorten_is_closed_in_time() {
    let mut bench = opened();
    bench.script.open = BADLY;
    bench.reconfigure(max_open(20), |_| Ports::Same);
    assert_eq!(bench.left(), [20]);
    bench.wait(seconds(20));
    assert_eq!(bench.actions(), ["open 1 to 192.0.2.1 for 20", "close 1 to 192.0.2.1"]);
}

#[test]
fn an_opening_that_the_host_is_at_is_put_right_afterwards() {
    let mut bench = bench();
    bench.script.open = Do::Wait;
    bench.start_packet(ALICE, HOME, Kind::Open, |_| {});
    bench.reconfigure(max_open(20), |_| Ports::Same);
    bench.script.open = WELL;
    bench.report(Outcome::Done);
    assert_eq!(bench.actions().pop().as_deref(), Some("answer"));
    assert_eq!(bench.left(), [20]);
}

#[test]
fn a_prefix_that_is_not_opened_any_more_is_closed_and_single_addresses_stay() {
    let wide = |config: &mut Config| prefixes(config, 24);
    let mut bench = bench_with(wide);
    bench.script.judge = Judge::commit(&[Effect::OpenPrefix { service: SSH, bits: 24, seconds: 60 }]);
    bench.packet(ALICE, HOME, Kind::Open, |request| request.reach = Reach::Prefix);
    bench.script.judge = Judge::Grant;
    bench.open_by_packet(BOB, CAFE);
    bench.reconfigure(wide, |_| Ports::Same);
    assert_eq!(bench.open().len(), 2);
    bench.reconfigure(|config| prefixes(config, 25), |_| Ports::Same);
    assert_eq!(bench.open(), [(2, CAFE, SSH)]);
}

#[test]
fn a_hold_survives_and_is_knocked_as_it_was_begun() {
    let mut bench = bench();
    let number = bench.number(ALICE, HOME);
    let sequence = bench.sequence(ALICE, number);
    bench.probe(HOME, &sequence[..2]);
    bench.reconfigure(|config| config.hold = seconds(5), |_| Ports::Same);
    bench.probe(HOME, &sequence[2..]);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn another_mode_or_order_makes_a_number_void_and_the_next_is_knocked_the_new_way() {
    let order = |config: &mut Config| config.order = Order::Any;
    let mode = |config: &mut Config| config.mode = Mode::Closed;
    let changes: [&dyn Fn(&mut Config); 2] = [&order, &mode];
    for change in changes {
        let mut bench = bench();
        let number = bench.number(ALICE, HOME);
        bench.actions();
        bench.reconfigure(change, |_| Ports::Same);
        assert_eq!(bench.actions(), ["unwatch 192.0.2.1"]);
        assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::Unavailable);
        let sequence = bench.sequence(ALICE, number);
        bench.probe(HOME, &sequence);
        assert_eq!(bench.open(), []);
        bench.knock(ALICE, HOME, |_| {});
        assert_eq!(bench.open(), [(1, HOME, SSH)]);
    }
}

#[test]
fn an_undecided_knock_is_decided_by_the_new_rules() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    let asked = bench.start_packet(ALICE, HOME, Kind::Open, |request| request.seconds = 1000);
    bench.reconfigure(max_open(20), |_| Ports::Same);
    bench.decide(Verdict::Commit, &[Effect::Open { service: SSH, seconds: 1000 }]);
    assert_eq!(bench.answer(asked).map(|answer| answer.verdict), Some(Said::Granted));
    assert_eq!(bench.left(), [20]);

    let asked = bench.start_packet(BOB, CAFE, Kind::Open, |_| {});
    bench.reconfigure(|config| config.services.clear(), |_| Ports::Same);
    bench.decide(Verdict::Commit, &[Effect::Open { service: SSH, seconds: 60 }]);
    assert_eq!(bench.answer(asked).and_then(|answer| answer.refusal()), Some(Refusal::NotAllowed));
    assert_eq!(bench.open(), []);
}

#[test]
fn lockouts_and_used_counters_stay() {
    let mut bench = bench();
    let number = bench.number(ALICE, HOME);
    let wrong = bench.wrong_port(ALICE, number);
    bench.probe(HOME, &[wrong]);
    let (_, old) = bench.message(BOB, |request| request.kind = Kind::Status);
    bench.send(CAFE, &old).unwrap();
    bench.reconfigure(|config| config.lockout = seconds(1), |_| Ports::Same);
    assert_eq!(refused(&bench.open_by_packet(ALICE, HOME)), Refusal::LockedOut);
    assert_eq!(bench.send(CAFE, &old), Err(Refusal::Replayed));
}

#[test]
fn a_static_sequence_is_known_by_its_name_and_not_by_its_place() {
    let mut bench = bench_with(doors(&[("phone", SSH), ("camera", WEB)]));
    for door in [0, 1] {
        let now = bench.now();
        bench.gate.handle_static(now, door, HOME);
        bench.turn();
    }
    bench.script.judge = Judge::Wait;
    for door in [0, 1] {
        let now = bench.now();
        bench.gate.handle_static(now, door, CAFE);
        bench.turn();
    }
    bench.reconfigure(doors(&[("tablet", WEB), ("phone", SSH)]), |_| Ports::Same);

    assert_eq!(bench.open(), [(id("phone"), HOME, SSH)]);
    assert_eq!(bench.gate.refusals().of(Refusal::UnknownClient), 1);
    bench.decide(Verdict::Commit, &[Effect::Open { service: WEB, seconds: 9 }]);
    bench.decide(Verdict::Commit, &[Effect::Open { service: SSH, seconds: 9 }]);
    assert_eq!(bench.open(), [(id("phone"), HOME, SSH), (id("phone"), CAFE, SSH)]);
}

#[test]
fn a_static_sequence_that_opens_something_else_now_leaves_nothing_of_the_old_open() {
    let mut bench = bench_with(doors(&[("phone", SSH)]));
    let now = bench.now();
    bench.gate.handle_static(now, 0, HOME);
    bench.turn();
    bench.reconfigure(doors(&[("phone", WEB)]), |_| Ports::Same);
    assert_eq!(bench.open(), []);
}

/// Alice has SSH for a minute.
fn opened() -> Usual {
    let mut bench = bench();
    bench.open_by_packet(ALICE, HOME);
    bench.actions();
    bench
}

fn max_open(most: u64) -> impl Fn(&mut Config) {
    move |config| config.services.iter_mut().for_each(|service| service.max_open = seconds(most))
}

fn prefixes(config: &mut Config, v4: u8) {
    config.services.iter_mut().for_each(|service| service.prefixes = Some(Prefixes { v4, v6: 64 }));
}

fn doors(doors: &'static [(&'static str, u16)]) -> impl Fn(&mut Config) {
    move |config| {
        let door = |&(name, service): &(&'static str, u16)| StaticDoor {
            name: name.parse().unwrap(),
            service,
            seconds: None,
        };
        config.statics = doors.iter().map(door).collect();
    }
}

fn id(name: &str) -> u32 {
    ClientId::of_static(&name.parse().unwrap()).0
}
