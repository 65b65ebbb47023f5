//! What the policy is asked, and what its word is worth.

use super::bench::*;
use crate::limits::POLICY_DEADLINE;
use crate::message::Verdict as Answered;
use crate::note::CloseReason;
use crate::refusal::Refusal;
use crate::{ClientId, Effect, GrantId, Network, Note, Outcome, Verdict};

const OPEN_SSH: Effect = Effect::Open { service: SSH, seconds: 0 };
const VAULTS: Effect = Effect::Open { service: VAULT, seconds: 0 };

#[test]
fn the_policy_is_told_who_knocks_from_where_for_what_and_how_long() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |request| (request.service, request.seconds) = (WEB, 120));
    let consultation = bench.consultations.pop().unwrap();
    assert_eq!((consultation.client, consultation.name.as_str()), (ClientId(1), "client-1"));
    assert_eq!((consultation.source, consultation.service, consultation.seconds), (HOME, WEB, 120));
    assert_eq!((consultation.number, consultation.book_left), (Some(0), BOOK - 1));
    let standing = consultation.standing;
    assert_eq!((standing.failures, standing.grants.client, standing.grants.oldest), (0, 0, None));
}

#[test]
fn the_seconds_that_the_policy_hears_are_within_the_services_limits() {
    for (asked, heard) in [(0, 30), (1, 1), (300, 300), (301, 300), (u32::MAX, 300)] {
        let mut bench = bench();
        bench.knock(ALICE, HOME, |request| (request.service, request.seconds) = (WEB, asked));
        assert_eq!(bench.consultations.pop().unwrap().seconds, heard, "asked for {asked}");
    }
}

#[test]
fn the_policy_is_told_of_failures_since_the_last_grant_and_of_what_is_open() {
    let mut bench = bench();
    let failures = |bench: &Usual| {
        let last = bench.consultations.last().unwrap();
        (last.standing.failures, last.standing.source_failures)
    };
    bench.number(ALICE, HOME);
    bench.wait(HOLD);
    bench.number(ALICE, CAFE);
    bench.wait(HOLD);
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(failures(&bench), (2, 1));

    bench.knock(BOB, HOME, |_| {});
    assert_eq!(failures(&bench), (0, 0));
    bench.knock(ALICE, HOME, |request| request.service = WEB);
    let census = bench.consultations.last().unwrap().standing.grants;
    assert_eq!((census.client, census.source, census.service, census.all), (1, 2, 0, 2));
    assert_eq!(failures(&bench), (0, 0));
}

#[test]
fn nothing_opens_unless_the_policy_agrees() {
    #[rustfmt::skip]
    let cases = [
        (1, Verdict::Deny, Refusal::Denied),
        (2, Verdict::Failed, Refusal::PolicyFailed),
    ];
    for (case, verdict, refusal) in cases {
        let mut bench = bench();
        bench.script.judge = Judge::Say(verdict, [OPEN_SSH, Effect::Lockout { seconds: 9 }].to_vec());
        bench.knock(ALICE, HOME, |_| {});
        assert_eq!(bench.actions().last().unwrap(), "consult", "case {case}");
        assert_eq!(refused(&bench.status(ALICE, HOME)), refusal, "case {case}");
        assert_eq!(bench.gate.refusals().of(refusal), 1, "case {case}");
        assert_eq!(refusals(&bench.notes), [refusal], "case {case}");
        assert_eq!(bench.gate.lockouts().iter().count(), 0, "case {case}");
    }
}

#[test]
fn a_refusal_changes_no_grant() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    let grant = bench.grant();
    let effects = [Effect::Revoke { grant }, Effect::Extend { grant, seconds: 3600 }, OPEN_SSH];
    for verdict in [Verdict::Deny, Verdict::Failed] {
        bench.script.judge = Judge::Say(verdict, effects.to_vec());
        bench.knock(ALICE, HOME, |_| {});
        assert_eq!((bench.grant(), bench.left()), (grant, [60].to_vec()));
    }
}

#[test]
fn agreement_without_an_opening_is_a_denial() {
    let mut bench = bench();
    bench.script.judge = Judge::commit(&[]);
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::Denied);
}

#[test]
fn silence_until_the_deadline_denies_and_what_comes_later_is_ignored() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(bench.status(ALICE, HOME).verdict, Answered::Pending);
    bench.wait(POLICY_DEADLINE);
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::PolicyFailed);

    bench.decide(Verdict::Commit, &[OPEN_SSH]);
    assert_eq!(bench.open(), []);
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::PolicyFailed);
    assert_eq!(refusals(&bench.notes), [Refusal::PolicyFailed], "it is noted once");
}

#[test]
fn a_complete_sequence_that_opens_nothing_is_noted_with_what_kept_it_out() {
    type Change = fn(&mut Usual);
    #[rustfmt::skip]
    let cases: [(u8, Change, Refusal); 4] = [
        (1, |bench| bench.script.judge = Judge::commit(&[]),      Refusal::Denied),
        (2, |bench| bench.script.open = BADLY,                    Refusal::Unavailable),
        (3, |bench| bench.script.judge = Judge::Wait,             Refusal::PolicyFailed),
        (4, |bench| bench.script.judge = Judge::commit(&[VAULTS]), Refusal::NotAllowed),
    ];
    for (case, change, refusal) in cases {
        let mut bench = bench();
        change(&mut bench);
        bench.knock(ALICE, HOME, |_| {});
        bench.wait(POLICY_DEADLINE);
        assert_eq!(bench.open(), [], "case {case}");
        let note = Note::SequenceRefused { client: ClientId(1), source: HOME, service: SSH, refusal };
        assert!(bench.notes.contains(&note), "case {case}: {:?}", bench.notes);
        assert_eq!(refusals(&bench.notes), [refusal], "case {case}");
    }
}

#[test]
fn a_late_decision_is_late_even_if_the_host_has_not_looked_at_its_clock() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    bench.knock(ALICE, HOME, |_| {});
    bench.sleep(POLICY_DEADLINE);
    bench.decide(Verdict::Commit, &[OPEN_SSH]);
    assert_eq!(bench.open(), []);
}

#[test]
fn the_ticket_of_an_earlier_knock_decides_nothing_about_the_next() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    bench.knock(ALICE, HOME, |_| {});
    let stale = bench.consultations.pop().unwrap().ticket;
    bench.wait(POLICY_DEADLINE);
    bench.knock(ALICE, HOME, |_| {});
    assert_ne!(stale, bench.consultations.last().unwrap().ticket);

    let decision = crate::Decision { verdict: Verdict::Commit, effects: [OPEN_SSH].into_iter().collect() };
    bench.gate.handle_decision(bench.now(), stale, decision);
    bench.turn();

    assert_eq!(bench.open(), []);
    assert_eq!(bench.status(ALICE, HOME).verdict, Answered::Pending);
}

#[test]
fn no_other_number_is_offered_while_the_policy_thinks() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    bench.knock(ALICE, HOME, |_| {});
    let answer = bench.ask(ALICE, HOME, |_| {});
    assert_eq!((answer.verdict, answer.retry_ms, answer.offer), (Answered::Pending, 20, None));
    assert_eq!(bench.cursor(ALICE), 1);
}

#[test]
fn an_opening_is_cut_to_the_services_limits() {
    for (asked, lasts) in [(0, 30), (10, 10), (300, 300), (301, 300), (u32::MAX, 300)] {
        let mut bench = bench();
        bench.script.judge = Judge::commit(&[Effect::Open { service: WEB, seconds: asked }]);
        bench.knock(ALICE, HOME, |_| {});
        assert_eq!(bench.left(), [lasts], "policy said {asked}");
    }
}

#[test]
fn the_policy_opens_nothing_that_the_client_may_not_use() {
    for service in [VAULT, NOWHERE] {
        let mut bench = bench();
        bench.script.judge = Judge::commit(&[Effect::Open { service, seconds: 9 }]);
        bench.knock(ALICE, HOME, |_| {});
        assert_eq!(bench.open(), [], "service {service}");
        assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::NotAllowed, "service {service}");
    }
}

#[test]
fn the_policy_may_open_another_service_than_was_asked_for_and_several_at_once() {
    let mut bench = bench();
    bench.script.judge = Judge::commit(&[
        Effect::Open { service: WEB, seconds: 9 },
        Effect::Open { service: VAULT, seconds: 9 },
        Effect::Open { service: SSH, seconds: 5 },
    ]);
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(bench.open(), [(1, HOME, WEB), (1, HOME, SSH)]);
    let answer = bench.status(ALICE, HOME);
    assert_eq!(answer.verdict, Answered::Granted);
    assert_eq!(answer.open.iter().map(|open| open.left_ms).collect::<std::vec::Vec<_>>(), [9_000, 5_000]);
}

#[test]
fn one_service_opened_twice_in_one_decision_is_granted_once_and_for_the_longer_time() {
    let mut bench = bench();
    bench.script.judge = Judge::commit(&[
        Effect::Open { service: SSH, seconds: 50 },
        Effect::Open { service: SSH, seconds: 20 },
    ]);
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(bench.left(), [50]);
    assert_eq!(bench.status(ALICE, HOME).verdict, Answered::Granted);
}

#[test]
fn the_policy_extends_and_revokes_only_grants_of_the_knocker() {
    let mut bench = bench();
    bench.knock(BOB, CAFE, |_| {});
    let his = bench.grant();
    bench.script.judge = Judge::commit(&[
        Effect::Revoke { grant: his },
        Effect::Extend { grant: his, seconds: 3600 },
        Effect::Revoke { grant: GrantId(77) },
        Effect::Extend { grant: GrantId(77), seconds: 3600 },
    ]);
    bench.actions();
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(bench.open(), [(2, CAFE, SSH)]);
    assert_eq!(bench.left(), [60]);
    assert_eq!(bench.actions().last().unwrap(), "consult");
}

#[test]
fn the_policy_can_extend_a_grant_up_to_the_services_limit() {
    for (seconds, left) in [(0, 30), (200, 200), (9_999, 300), (5, 5)] {
        let mut bench = bench();
        bench.knock(ALICE, HOME, |request| request.service = WEB);
        let grant = bench.grant();
        bench.script.judge = Judge::commit(&[Effect::Extend { grant, seconds }]);
        bench.knock(ALICE, HOME, |_| {});
        assert_eq!((bench.grant(), bench.left()), (grant, [left].to_vec()), "extended by {seconds}");
        assert_eq!(
            bench.status(ALICE, HOME).verdict,
            Answered::Granted,
            "a knock that extends is not in vain"
        );
        bench.wait(core::time::Duration::from_secs(left));
        assert_eq!(bench.open(), []);
    }
}

#[test]
fn the_policy_can_replace_a_grant_by_another_without_shutting_the_service_in_between() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    let old = bench.grant();
    bench.script.judge = Judge::commit(&[Effect::Revoke { grant: old }, OPEN_SSH]);
    bench.knock(ALICE, HOME, |_| {});
    assert_ne!(bench.grant(), old);
    assert!(!bench.actions().iter().any(|action| action.starts_with("close")));
    let closed = |note: &Note| matches!(note, Note::GrantClosed { grant, reason: CloseReason::Revoked, .. } if *grant == old);
    assert!(bench.notes.iter().any(closed));
}

#[test]
fn a_grant_that_is_opened_and_taken_back_in_one_decision_is_not_granted() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    let grant = bench.grant();
    bench.script.judge = Judge::commit(&[OPEN_SSH, Effect::Revoke { grant }]);
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(bench.open(), []);
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::Denied);
}

#[test]
fn a_client_that_left_the_roster_while_the_policy_thought_is_refused_without_being_forgotten_first() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    bench.knock(ALICE, HOME, |_| {});
    *bench.gate.roster_mut() = crate::roster::FixedRoster::new();
    bench.decide(Verdict::Commit, &[OPEN_SSH]);
    assert_eq!(bench.open(), []);
    assert_eq!(bench.gate.refusals().of(Refusal::UnknownClient), 1);
}

#[test]
fn a_client_that_left_the_roster_before_the_policy_was_asked_is_not_asked_about() {
    let mut bench = bench();
    let number = bench.number(ALICE, HOME);
    let sequence = bench.sequence(ALICE, number);
    *bench.gate.roster_mut() = crate::roster::FixedRoster::new();
    bench.probe(HOME, &sequence);
    assert!(bench.consultations.is_empty());
    assert_eq!(bench.gate.refusals().of(Refusal::NotAllowed), 1);
}

#[test]
fn a_knock_is_granted_once_all_its_openings_are_reported() {
    let mut bench = bench();
    bench.script.open = Do::Wait;
    bench.script.judge = Judge::commit(&[OPEN_SSH, Effect::Open { service: WEB, seconds: 0 }]);
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(bench.open(), []);
    assert_eq!(bench.status(ALICE, HOME).verdict, Answered::Pending);
    bench.report(Outcome::Failed);
    assert_eq!(bench.status(ALICE, HOME).verdict, Answered::Pending);
    bench.report(Outcome::Done);
    assert_eq!(bench.status(ALICE, HOME).verdict, Answered::Granted, "half of it is better than nothing");
    assert_eq!(bench.open(), [(1, HOME, WEB)]);
}

#[test]
fn a_grant_that_is_just_being_opened_can_be_extended() {
    let mut bench = bench();
    bench.script.open = Do::Wait;
    bench.knock(ALICE, HOME, |request| request.seconds = 10);
    // The host is slow: the first knock is given up before the opening is reported.
    bench.wait(seconds(2));
    bench.script.judge = Judge::commit(&[Effect::Extend { grant: GrantId(1), seconds: 100 }]);
    bench.knock(ALICE, HOME, |_| {});
    bench.report(Outcome::Done);
    assert_eq!(bench.left(), [8]);
    bench.report(Outcome::Done);
    assert_eq!(bench.left(), [100]);
    assert_eq!(bench.status(ALICE, HOME).verdict, Answered::Granted);
}

#[test]
fn a_service_that_the_client_may_no_longer_use_is_not_extended() {
    let mut bench = bench();
    let now = bench.now();
    bench.gate.adopt_grant(now, GrantId(5), ClientId(1), Network::host(HOME), VAULT, seconds(9));
    bench.script.judge = Judge::commit(&[Effect::Extend { grant: GrantId(5), seconds: 60 }]);
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(bench.left(), [9]);
}

/// Why complete sequences were refused.
fn refusals(notes: &[Note]) -> std::vec::Vec<Refusal> {
    let refusal = |note: &Note| {
        let Note::SequenceRefused { refusal, .. } = *note else { return None };
        Some(refusal)
    };
    notes.iter().filter_map(refusal).collect()
}
