//! Who is asked, in which order, and what comes of what several say.

use knockgate_core::{ClientId, Effect, GrantId, Happening, Note, Occasion, Refusal, Standing, Verdict};
use knockgate_core::{action::Census, limits::MAX_GATEWAY_POLICIES};
use knockgate_gateway::court::{Court, Full};
use knockgate_gateway::names::ServiceNames;
use knockgate_policy_host::{Answer, Capabilities, Cause, Event, Policy};

use crate::{NOW, Told, court, knock, no_numbers, seated, stage};

const OPENS: &str = "(call $open (i32.const 1) (i32.const 60))";
const LOCKS: &str = "(call $lockout (i32.const 9))";
const DENIES: &str = "(i32.const 1)";
const ABSTAINS: &str = "(i32.const 2)";

#[test]
fn who_abstains_passes_on_and_the_first_who_does_not_decides() {
    #[rustfmt::skip]
    let cases: [(&[&str], Verdict, &[Answer]); 7] = [
        (&[], Verdict::Deny, &[]),
        (&[ABSTAINS], Verdict::Deny, &[Answer::Abstain]),
        (&[OPENS], Verdict::Commit, &[Answer::Commit]),
        (&[ABSTAINS, OPENS], Verdict::Commit, &[Answer::Abstain, Answer::Commit]),
        (&[DENIES, OPENS], Verdict::Deny, &[Answer::Deny]),
        (&["(unreachable)", OPENS], Verdict::Failed, &[Answer::Failed]),
        (&[ABSTAINS, ABSTAINS, ABSTAINS, OPENS], Verdict::Commit,
            &[Answer::Abstain, Answer::Abstain, Answer::Abstain, Answer::Commit]),
    ];
    for (case, (bodies, verdict, answers)) in cases.into_iter().enumerate() {
        let court = court(bodies.iter().map(|body| policy("p", "sequence", body)));
        let mut told = Told::default();
        assert_eq!(court.judge(NOW, knock(), &mut told).verdict, verdict, "case {case}");
        let said: Vec<_> = told.0.iter().map(|(_, _, said, _)| said.answer()).collect();
        assert_eq!(said, answers, "case {case}");
    }
}

#[test]
fn every_opinion_tells_who_was_asked_before() {
    let court = court([policy("first", "sequence", ABSTAINS), policy("second", "sequence", OPENS)]);
    let mut told = Told::default();
    court.judge(NOW, knock(), &mut told);
    let first = ("first".to_owned(), Answer::Abstain);
    assert_eq!(told.0[0].3, std::slice::from_ref(&first));
    assert_eq!(told.0[1].3, [first, ("second".to_owned(), Answer::Commit)]);
}

#[test]
fn nobody_is_asked_about_what_he_does_not_list_and_a_renewal_is_judged_as_a_packet() {
    let court = court([
        policy("sequences", "sequence", DENIES),
        policy("packets", "packet", ABSTAINS),
        policy("renewals", "packet renew", OPENS),
    ]);
    let mut told = Told::default();
    let renewal = Event { cause: Cause::Renew, ..knock() };
    assert_eq!(court.judge(NOW, renewal, &mut told).verdict, Verdict::Commit);
    let asked: Vec<_> = told.0.iter().map(|(name, cause, ..)| (name.as_str(), *cause)).collect();
    assert_eq!(asked, [("packets", Cause::Packet), ("renewals", Cause::Renew)]);
}

#[test]
fn an_event_goes_to_everybody_who_wants_it_and_what_is_committed_comes_together() {
    let court = court([
        policy("a", "failed-attempt", LOCKS),
        policy("b", "failed-attempt", DENIES),
        policy("c", "expiry", LOCKS),
        policy("d", "failed-attempt", LOCKS),
    ]);
    assert!(court.wants(Occasion::FailedAttempt) && court.wants(Occasion::Expiry));
    assert!(!court.wants(Occasion::StartUp));
    let mut told = Told::default();
    let (client, source) = (ClientId(7), [192, 0, 2, 7].into());
    let refused = Note::SequenceRefused { client, source, service: 1, refusal: Refusal::Denied };
    let happening = Happening::of(&refused).expect("a failed attempt");
    let name = "anna".parse().unwrap();
    let reaction = court.react(NOW, &happening, &nothing_open(), Some(&name), &mut told);
    assert_eq!(reaction.as_slice(), [Effect::Lockout { seconds: 9 }; 2]);
    let asked: Vec<_> = told.0.iter().map(|(name, cause, ..)| (name.as_str(), *cause)).collect();
    assert_eq!(asked, ["a", "b", "d"].map(|name| (name, Cause::FailedAttempt)));
}

#[test]
fn what_a_gateway_cannot_do_is_answered_so_and_denies_nobody() {
    let module = module(
        "p",
        "sequence",
        r#"(if (i32.ne (call $start (i32.const 4)) (i32.const -5)) (then (unreachable)))
           (call $open (i32.const 1) (i32.const 60))"#,
    );
    let court = court([seated("p", &module, &stage::rights())]);
    assert_eq!(court.judge(NOW, knock(), &mut Told::default()).verdict, Verdict::Commit);
    assert!(!Capabilities::GATEWAY.has(knockgate_policy_host::Capability::Notify));
}

#[test]
fn a_court_has_as_many_seats_as_a_chain_may_have_policies() {
    let mut court = Court::new(ServiceNames::default());
    for _ in 0..MAX_GATEWAY_POLICIES {
        court.seat(policy("p", "sequence", ABSTAINS), no_numbers()).unwrap();
    }
    assert_eq!(court.seat(policy("p", "sequence", OPENS), no_numbers()), Err(Full));
}

fn policy(name: &str, causes: &str, body: &str) -> Policy {
    seated(name, &module(name, causes, body), &stage::rights())
}

fn module(name: &str, causes: &str, body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module
          (@custom "knockgate.manifest"
            "abi=1.0\nname={name}\nservices=*\ncapabilities=open lockout start\noptional=start\ncauses={causes}\n")
          (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
          (import "knockgate:policy/act@1.0.0" "lockout" (func $lockout (param i32) (result i32)))
          (import "knockgate:policy/act@1.0.0" "start" (func $start (param i32) (result i32)))
          (func (export "decide") (result i32) {body}))"#
    ))
    .unwrap()
}

fn nothing_open() -> Standing {
    let grants = Census { client: 0, source: 0, service: 0, all: 0, oldest: None::<GrantId> };
    Standing { failures: 1, source_failures: 1, grants }
}
