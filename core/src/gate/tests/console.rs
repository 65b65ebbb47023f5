//! Who may speak with the gate's own console, and that nothing comes of a question that is repeated.

use super::bench::*;
use crate::limits::{COUNTER_JUMP, MAX_SAID};
use crate::message::{Answer, Kind, Request, Verdict};
use crate::note::Note;
use crate::refusal::Refusal;
use crate::replay::{Burnt, Lease};
use crate::roster::Roster;
use crate::{ClientId, Effect, Outcome};

/// A gate whose console is the service [`WEB`].
fn bench_with_console() -> Usual {
    bench_with(|config| config.console = Some(WEB))
}

/// Alice has knocked for the console.
fn admitted() -> Usual {
    let mut bench = bench_with_console();
    let answer = bench.packet(ALICE, HOME, Kind::Open, |request| request.service = WEB);
    assert_eq!(answer.verdict, Verdict::Granted);
    bench.actions();
    bench.notes.clear();
    bench
}

fn wants_console(request: &mut Request) {
    (request.kind, request.service) = (Kind::Console, WEB);
}

fn refuse(bench: &mut Usual, who: usize, from: core::net::IpAddr) -> Answer {
    let answer = bench.ask(who, from, wants_console);
    assert!(!bench.actions().iter().any(|action| action.starts_with("converse")));
    answer
}

#[test]
fn whoever_has_the_console_open_is_welcomed_and_both_understand_each_other() {
    let mut bench = admitted();
    let asked = bench.start(ALICE, HOME, wants_console);
    let (answer, mut his, mut gates) = bench.welcome(asked).expect("a welcome");

    assert_eq!(answer.verdict, Verdict::Granted);
    assert_eq!(answer.open.first().map(|open| open.service), Some(WEB));
    assert_eq!(bench.actions(), ["remember", "converse with 1 at 192.0.2.1"]);
    assert_eq!(bench.notes, [Note::Console { client: ClientId(1), source: HOME }]);
    let (mut frame, mut said) = ([0; 64], [0; MAX_SAID]);
    let sealed = his.seal(b"how are you?", &mut frame).unwrap();
    assert_eq!(gates.open(&sealed[2..], &mut said), Ok(&b"how are you?"[..]));
}

#[test]
fn without_a_grant_of_the_console_nobody_speaks_with_it() {
    let mut bench = bench_with_console();
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(refused(&refuse(&mut bench, ALICE, HOME)), Refusal::NoGrant, "SSH is another service");

    let mut bench = admitted();
    assert_eq!(refused(&refuse(&mut bench, ALICE, CAFE)), Refusal::NoGrant, "not at this address");
    assert_eq!(refused(&refuse(&mut bench, BOB, HOME)), Refusal::NoGrant, "not his own");
    bench.wait(seconds(30));
    assert_eq!(refused(&refuse(&mut bench, ALICE, HOME)), Refusal::NoGrant, "its time is over");
    let noted = |note: &&Note| matches!(note, Note::Refused { refusal: Refusal::NoGrant, .. });
    assert_eq!(bench.notes.iter().filter(noted).count(), 3);
}

#[test]
fn a_gate_without_a_console_says_that_it_does_not_do_that() {
    let mut bench = bench();
    bench.packet(ALICE, HOME, Kind::Open, |request| request.service = WEB);
    assert_eq!(refused(&refuse(&mut bench, ALICE, HOME)), Refusal::Unsupported);
}

#[test]
fn for_another_service_there_is_no_console() {
    let mut bench = admitted();
    bench.open_by_packet(ALICE, HOME);
    for service in [0, SSH, VAULT, NOWHERE] {
        let answer = bench.ask(ALICE, HOME, |request| {
            (request.kind, request.service) = (Kind::Console, service);
        });
        assert_eq!(refused(&answer), Refusal::Unsupported, "service {service}");
    }
}

#[test]
fn a_datagram_starts_no_conversation() {
    let mut bench = admitted();
    let answer = bench.packet(ALICE, HOME, Kind::Console, |request| request.service = WEB);
    assert_eq!(refused(&answer), Refusal::Unsupported);
    assert_eq!(bench.actions(), ["remember", "answer"]);
}

#[test]
fn whoever_is_locked_out_does_not_speak_with_the_console() {
    let mut bench = admitted();
    bench.script.judge = Judge::commit(&[Effect::Lockout { seconds: 5 }]);
    bench.open_by_packet(ALICE, HOME);
    bench.actions();
    let answer = refuse(&mut bench, ALICE, HOME);
    assert_eq!((refused(&answer), answer.retry_ms), (Refusal::LockedOut, 5_000));
}

#[test]
fn a_client_that_may_not_use_the_console_does_not_speak_with_it() {
    let mut bench = bench_with(|config| config.console = Some(VAULT));
    let answer = bench.ask(ALICE, HOME, |request| {
        (request.kind, request.service) = (Kind::Console, VAULT);
    });
    assert_eq!(refused(&answer), Refusal::NotAllowed);
}

#[test]
fn the_counter_is_used_up_and_stored_before_the_welcome() {
    let mut bench = admitted();
    bench.script.store = Do::Wait;
    let before = bench.gate.roster().used(ClientId(1)).last;
    let asked = bench.start(ALICE, HOME, wants_console);
    assert_eq!(bench.gate.roster().used(ClientId(1)).last, before + 1);
    assert_eq!(bench.actions(), ["remember"]);
    assert_eq!(bench.notes, []);

    bench.report(Outcome::Done);
    assert_eq!(bench.actions(), ["converse with 1 at 192.0.2.1"]);
    assert!(bench.welcome(asked).is_some());
}

#[test]
fn within_a_lease_the_welcome_does_not_wait_for_the_disk() {
    let mut bench = admitted();
    bench.gate.set_lease(Some(Lease { after: 0, until: 1_000 }));
    bench.start(ALICE, HOME, wants_console);
    assert_eq!(bench.actions(), ["converse with 1 at 192.0.2.1"]);
}

#[test]
fn a_welcome_whose_counter_could_not_be_stored_is_none() {
    let mut bench = admitted();
    bench.script.store = BADLY;
    assert_eq!(refused(&refuse(&mut bench, ALICE, HOME)), Refusal::Unavailable);
    assert!(!bench.notes.contains(&Note::Console { client: ClientId(1), source: HOME }));
}

#[test]
fn a_grant_that_ends_while_the_counter_is_stored_lets_nobody_in() {
    let mut bench = admitted();
    bench.script.store = Do::Wait;
    let asked = bench.start(ALICE, HOME, wants_console);
    bench.revoke(bench.grant());
    bench.report(Outcome::Done);
    assert_eq!(bench.answer(asked).map(|answer| refused(&answer)), Some(Refusal::NoGrant));
    assert_eq!(bench.actions(), ["remember", "close 2 to 192.0.2.1", "answer"]);
}

#[test]
fn a_question_for_the_console_is_met_with_silence_the_second_time() {
    let mut bench = admitted();
    let (_, message) = bench.message(ALICE, wants_console);
    assert!(bench.send(HOME, &message).is_ok());
    assert_eq!(bench.send(HOME, &message).err(), Some(Refusal::Replayed));
}

#[test]
fn after_a_restart_too() {
    // With a lease that burns, and without one: then the counter was stored.
    for lease in [None, Some(Lease { after: 0, until: COUNTER_JUMP.as_secs() })] {
        let mut bench = admitted();
        bench.gate.set_lease(lease);
        let (_, message) = bench.message(ALICE, wants_console);
        assert!(bench.send(HOME, &message).is_ok());
        let stored = if lease.is_none() { bench.gate.roster().used(ClientId(1)).last } else { 0 };

        let mut burnt = Burnt::default();
        lease.into_iter().for_each(|lease| burnt.add(lease));
        let mut next = bench_with(|config| (config.console, config.burnt) = (Some(WEB), burnt));
        let used = crate::replay::Used { last: stored, ..next.gate.roster().used(ClientId(1)) };
        next.gate.roster_mut().set_used(ClientId(1), used);
        assert_eq!(next.send(HOME, &message).err(), Some(Refusal::Replayed), "{lease:?}");
    }
}

#[test]
fn a_host_that_stores_too_late_welcomes_nobody() {
    let mut bench = admitted();
    bench.script.store = Do::Wait;
    let asked = bench.start(ALICE, HOME, wants_console);
    bench.wait(seconds(10));
    bench.report(Outcome::Done);
    assert!(bench.answer(asked).is_none());
    assert_eq!(bench.actions(), ["remember"]);
}
