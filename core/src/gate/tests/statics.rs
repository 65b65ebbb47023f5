//! Knocks of static sequences: what they open, and what they cannot do to anybody.

use core::net::IpAddr;
use std::vec::Vec;

use super::bench::*;
use crate::action::{Cause, Effect, Outcome, Subject, Verdict};
use crate::gate::{LockoutScope, Service, StaticDoor};
use crate::happening::Happening;
use crate::limits::{MAX_LOCKOUT, POLICY_DEADLINE};
use crate::note::{Locked, Note};
use crate::refusal::Refusal;
use crate::roster::ClientId;

/// Opens SSH.
const PHONE: usize = 0;
/// Opens the web for ten seconds.
const CAMERA: usize = 1;
/// Opens what is not there.
const LOST: usize = 2;

#[test]
fn a_static_sequence_opens_its_service_to_the_address_that_it_came_from() {
    let mut bench = with_doors(|_| {});
    knock(&mut bench, PHONE, HOME);
    knock(&mut bench, CAMERA, OFFICE);

    assert_eq!(bench.open(), [(id("phone"), HOME, SSH), (id("camera"), OFFICE, WEB)]);
    assert_eq!(bench.left(), [60, 10]);
    assert_eq!(
        bench.actions(),
        ["consult", "open 1 to 192.0.2.1 for 60", "consult", "open 2 to 2001:db8::1 for 10"],
        "and nobody is answered"
    );
    bench.wait(seconds(61));
    assert_eq!(bench.open(), []);
}

#[test]
fn the_policy_is_asked_about_the_sequence_and_nobody_behind_it() {
    let mut bench = with_doors(|_| {});
    bench.script.judge = Judge::Wait;
    knock(&mut bench, CAMERA, HOME);
    let asked = bench.consultations.first().expect("a consultation");
    assert_eq!((asked.cause, asked.client), (Cause::Sequence, ClientId(id("camera"))));
    assert_eq!((asked.name.as_str(), asked.source), ("camera", HOME));
    assert_eq!((asked.service, asked.seconds), (WEB, 10));
    assert_eq!((asked.number, asked.book_left, asked.second_factor), (None, 0, false));
    assert_eq!((asked.prefix, asked.grant), (None, None));
    let note = Note::StaticKnock { client: ClientId(id("camera")), source: HOME, service: WEB };
    assert_eq!(bench.notes, [note]);
}

#[test]
fn a_v4_mapped_source_is_the_ipv4_address() {
    let mut bench = with_doors(|_| {});
    knock(&mut bench, PHONE, "::ffff:192.0.2.1".parse().unwrap());
    assert_eq!(bench.open(), [(id("phone"), HOME, SSH)]);
}

#[test]
fn a_static_sequence_opens_nothing_that_wants_more_than_its_ports() {
    #[rustfmt::skip]
    let cases = [
        (1, PHONE, true,  false),
        (2, PHONE, false, true),
        (3, LOST,  false, false),
        (4, 99,    false, false),
    ];
    for (case, door, confirm, second_factor) in cases {
        let mut bench = with_doors(|config| {
            let [ssh, ..] = &mut config.services[..] else { unreachable!("there are services") };
            *ssh = Service { confirm, second_factor, ..*ssh };
        });
        knock(&mut bench, door, HOME);
        assert_eq!(bench.actions(), [""; 0], "case {case}");
        assert_eq!(bench.gate.refusals().of(Refusal::NotAllowed), 1, "case {case}");
        assert_eq!(bench.notes, [], "case {case}");
    }
}

#[test]
fn a_policy_opens_nothing_but_the_service_of_the_sequence() {
    let mut bench = with_doors(|_| {});
    let wishes = [SSH, WEB, VAULT].map(|service| Effect::Open { service, seconds: 5 });
    bench.script.judge = Judge::commit(&wishes);
    knock(&mut bench, PHONE, HOME);
    assert_eq!(bench.open(), [(id("phone"), HOME, SSH)]);
}

#[test]
fn whoever_is_locked_out_is_not_let_in_by_a_static_sequence() {
    for scope in [LockoutScope::Source, LockoutScope::Everybody] {
        let mut bench = with_doors(|config| config.lockout_scope = scope);
        let number = bench.number(ALICE, HOME);
        let wrong = bench.wrong_port(ALICE, number);
        bench.probe(HOME, &[wrong]);
        bench.notes.clear();

        knock(&mut bench, PHONE, HOME);
        assert_eq!(bench.open(), []);
        assert_eq!(bench.gate.refusals().of(Refusal::LockedOut), 1);
        assert_eq!(bench.notes, [], "anybody can repeat it, so it is counted and not noted");

        knock(&mut bench, PHONE, CAFE);
        assert_eq!(bench.open().is_empty(), scope == LockoutScope::Everybody);
    }
}

#[test]
fn a_policy_locks_nobody_out_for_a_static_sequence() {
    let mut bench = with_doors(|_| {});
    bench.script.judge = Judge::commit(&[Effect::Lockout { seconds: 60 }]);
    knock(&mut bench, PHONE, HOME);
    assert_eq!(bench.gate.lockouts().iter().count(), 0);

    let happening = bench.notes.iter().find_map(Happening::of).expect("it opened nothing");
    let (now, about) = (bench.now(), happening.answerable());
    bench.gate.handle_reaction(now, about, &[Effect::Lockout { seconds: u32::MAX }]);
    bench.turn();
    assert_eq!(bench.gate.lockouts().iter().count(), 0);
    assert!(!bench.notes.iter().any(|note| matches!(note, Note::LockedOut { .. })));
    assert_eq!(about.source, None, "it may be forged");
}

#[test]
fn failures_are_counted_for_the_sequence_and_not_for_an_address() {
    let mut bench = with_doors(|_| {});
    bench.script.judge = Judge::Say(Verdict::Deny, Vec::new());
    bench.knock(ALICE, HOME, |_| {});
    let before = failures(&bench, Some(ClientId(1)), Some(HOME));
    assert_eq!(before, (1, 1));

    knock(&mut bench, PHONE, HOME);
    knock(&mut bench, PHONE, CAFE);
    assert_eq!(failures(&bench, Some(ClientId(id("phone"))), Some(CAFE)), (2, 0));
    assert_eq!(failures(&bench, Some(ClientId(1)), Some(HOME)), before);

    bench.script.judge = Judge::Grant;
    knock(&mut bench, PHONE, HOME);
    assert_eq!(failures(&bench, Some(ClientId(id("phone"))), Some(HOME)), (0, 1), "nobody else is forgiven");
}

#[test]
fn one_knock_at_a_time_is_decided_for_one_sequence_at_one_address() {
    let mut bench = with_doors(|_| {});
    bench.script.judge = Judge::Wait;
    for _ in 0..10 {
        knock(&mut bench, PHONE, HOME);
        knock(&mut bench, CAMERA, HOME);
    }
    assert_eq!(bench.actions(), ["consult", "consult"]);
    assert_eq!(bench.notes.len(), 2);
}

#[test]
fn more_knocks_than_there_is_room_for_are_counted_and_keep_no_client_out() {
    let mut bench = with_doors(|_| {});
    bench.script.judge = Judge::Wait;
    for last in 0..100 {
        knock(&mut bench, PHONE, IpAddr::from([198, 51, 100, last]));
    }
    assert_eq!(bench.consultations.len(), STATICS);
    assert_eq!(bench.gate.refusals().of(Refusal::Overloaded), 100 - STATICS as u64);

    bench.script.judge = Judge::Grant;
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
    bench.wait(POLICY_DEADLINE);
    let noted = bench.notes.iter().filter(|note| matches!(note, Note::SequenceRefused { .. })).count();
    assert_eq!(noted, STATICS, "of each that the policy was asked about one note, and of the others none");
    knock(&mut bench, PHONE, CAFE);
    assert_eq!(bench.open().len(), 2, "whoever waits for too long makes room");
}

#[test]
fn a_decision_that_comes_too_late_opens_nothing() {
    let mut bench = with_doors(|_| {});
    bench.script.judge = Judge::Wait;
    knock(&mut bench, PHONE, HOME);
    bench.sleep(POLICY_DEADLINE);
    bench.decide(Verdict::Commit, &[Effect::Open { service: SSH, seconds: 60 }]);
    assert_eq!(bench.open(), []);

    bench.wait(seconds(1));
    assert_eq!(bench.gate.refusals().of(Refusal::PolicyFailed), 1);
    assert_eq!(bench.gate.poll_timeout(), None, "nothing is left of it");
}

#[test]
fn what_was_denied_or_failed_is_over() {
    let ends = [(Verdict::Deny, Refusal::Denied), (Verdict::Failed, Refusal::PolicyFailed)];
    for (verdict, refusal) in ends.into_iter().chain([(Verdict::Commit, Refusal::Denied)]) {
        let mut bench = with_doors(|_| {});
        bench.script.judge = Judge::Say(verdict, Vec::new());
        knock(&mut bench, PHONE, HOME);
        assert_eq!(bench.gate.refusals().of(refusal), 1, "{verdict:?}");
        assert_eq!(bench.notes[1..], [refused_at(HOME, refusal)], "{verdict:?}");
        assert_eq!((bench.open(), bench.gate.poll_timeout()), (Vec::new(), None), "{verdict:?}");
    }
}

#[test]
fn an_opening_that_fails_is_never_open() {
    let mut bench = with_doors(|_| {});
    bench.script.open = BADLY;
    knock(&mut bench, PHONE, HOME);
    assert_eq!(bench.open(), []);
    assert_eq!(bench.gate.refusals().of(Refusal::Unavailable), 1);
    assert!(bench.notes.contains(&refused_at(HOME, Refusal::Unavailable)));

    bench.script.open = Do::Wait;
    knock(&mut bench, PHONE, CAFE);
    bench.wait(POLICY_DEADLINE);
    assert_eq!(bench.gate.refusals().of(Refusal::Unavailable), 2, "the host says nothing for too long");
    bench.report(Outcome::Done);
    assert_eq!(bench.open(), [(id("phone"), CAFE, SSH)], "and does it after all");
}

#[test]
fn static_sequences_leave_half_of_the_grants_to_those_who_can_prove_who_they_are() {
    let mut bench = with_doors(|_| {});
    for last in 0..20 {
        knock(&mut bench, PHONE, IpAddr::from([198, 51, 100, last]));
        knock(&mut bench, CAMERA, IpAddr::from([198, 51, 100, last]));
    }
    assert_eq!(bench.open().len(), 4);
    assert_eq!(bench.gate.refusals().of(Refusal::Unavailable), 36);

    bench.wait(seconds(5));
    knock(&mut bench, PHONE, IpAddr::from([198, 51, 100, 0]));
    assert_eq!(bench.left()[0], 60, "what is open can last longer");
    for (who, from) in [(ALICE, HOME), (BOB, CAFE), (CAROL, OFFICE)] {
        bench.open_by_packet(who, from);
    }
    assert_eq!(bench.open().len(), 7);
}

#[test]
fn a_sequence_that_is_taken_away_leaves_nothing_open_and_nothing_undecided() {
    let mut bench = with_doors(|_| {});
    knock(&mut bench, PHONE, HOME);
    knock(&mut bench, CAMERA, HOME);
    bench.script.judge = Judge::Wait;
    knock(&mut bench, PHONE, CAFE);

    let now = bench.now();
    bench.gate.forget_client(now, ClientId(id("phone")));
    bench.turn();
    assert_eq!(bench.open(), [(id("camera"), HOME, WEB)]);
    bench.decide(Verdict::Commit, &[Effect::Open { service: SSH, seconds: 60 }]);
    assert_eq!(bench.open(), [(id("camera"), HOME, WEB)], "the decision comes too late");
    assert_eq!(bench.gate.refusals().of(Refusal::UnknownClient), 1);
}

#[test]
fn the_same_knock_again_opens_again_and_lets_it_last_longer() {
    let mut bench = with_doors(|_| {});
    knock(&mut bench, PHONE, HOME);
    bench.wait(seconds(50));
    knock(&mut bench, PHONE, HOME);
    assert_eq!(bench.left(), [60]);
    let grant = bench.grant();
    bench.revoke(grant);
    knock(&mut bench, PHONE, HOME);
    assert_eq!(bench.open().len(), 1, "it is worth no more than that");
}

#[test]
fn an_address_that_is_locked_out_after_an_event_is_so_for_a_static_sequence_too() {
    let mut bench = with_doors(|_| {});
    let now = bench.now();
    let about = Subject { source: Some(HOME), ..Subject::default() };
    bench.gate.handle_reaction(now, about, &[Effect::Lockout { seconds: u32::MAX }]);
    bench.turn();
    assert!(bench.notes.iter().any(
        |note| matches!(note, Note::LockedOut { who: Locked::Source(_), lasts } if *lasts == MAX_LOCKOUT)
    ));
    knock(&mut bench, PHONE, HOME);
    assert_eq!(bench.open(), []);
}

#[test]
fn the_sequence_behind_a_number_is_known_by_its_name() {
    let bench = with_doors(|_| {});
    let config = bench.gate.config();
    let name = |client| config.static_door(client).map(|door| door.name.as_str());
    assert_eq!(name(ClientId(id("camera"))), Some("camera"));
    assert_eq!(name(ClientId(id("tablet"))), None);
    assert_eq!(name(ClientId(1)), None);
}

fn with_doors(change: impl FnOnce(&mut Config)) -> Usual {
    bench_with(|config| {
        let doors = [("phone", SSH, None), ("camera", WEB, Some(10)), ("lost", NOWHERE, None)];
        let door = |(name, service, seconds): (&str, u16, Option<u32>)| StaticDoor {
            name: name.parse().unwrap(),
            service,
            seconds,
        };
        config.statics = doors.into_iter().map(door).collect();
        change(config);
    })
}

fn knock(bench: &mut Usual, door: usize, from: IpAddr) {
    let now = bench.now();
    bench.gate.handle_static(now, door, from);
    bench.turn();
}

fn refused_at(source: IpAddr, refusal: Refusal) -> Note {
    Note::SequenceRefused { client: ClientId(id("phone")), source, service: SSH, refusal }
}

fn id(name: &str) -> u32 {
    ClientId::of_static(&name.parse().unwrap()).0
}

fn failures(bench: &Usual, client: Option<ClientId>, source: Option<IpAddr>) -> (u32, u32) {
    let standing = bench.gate.standing(Subject { client, source, service: None });
    (standing.failures, standing.source_failures)
}
