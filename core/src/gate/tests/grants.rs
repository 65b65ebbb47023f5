//! What is open: opened once granted, closed by its deadline, shared by clients behind one address.

use super::bench::*;
use crate::limits::CLOSE_RETRY;
use crate::message::Verdict;
use crate::note::CloseReason;
use crate::refusal::Refusal;
use crate::{Action, Bearer, ClientId, Effect, GrantId, Network, Note, Outcome};

pub(super) fn closings(notes: &[Note]) -> std::vec::Vec<(u32, CloseReason)> {
    let closing = |note: &Note| match note {
        Note::GrantClosed { grant, reason, .. } => Some((grant.0, *reason)),
        Note::Offered { .. } | Note::Refused { .. } | Note::LockedOut { .. } => None,
        Note::KnockEnded { .. } | Note::GrantOpened { .. } => None,
        Note::Packet { .. } | Note::StaticKnock { .. } | Note::Console { .. } => None,
        Note::SequenceRefused { .. } => None,
    };
    notes.iter().filter_map(closing).collect()
}

#[test]
fn a_grant_is_closed_when_its_time_is_over() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |request| request.seconds = 7);
    bench.actions();
    bench.wait(seconds(7) - core::time::Duration::from_micros(1));
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
    bench.wait(core::time::Duration::from_micros(1));
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"]);
    assert_eq!(bench.open(), []);
    assert_eq!(closings(&bench.notes), [(1, CloseReason::Expired)]);
}

#[test]
fn failed_open_is_never_reported_open_and_gets_closed() {
    let mut bench = bench();
    bench.script.open = BADLY;
    bench.knock(ALICE, HOME, |_| {});

    assert_eq!(bench.open(), []);
    assert_eq!(bench.actions()[4..], ["consult", "open 1 to 192.0.2.1 for 60", "close 1 to 192.0.2.1"]);
    let answer = bench.status(ALICE, HOME);
    assert_eq!((refused(&answer), answer.open.len()), (Refusal::Unavailable, 0));
    assert!(!bench.notes.iter().any(|note| matches!(note, Note::GrantOpened { .. })));
    assert_eq!(closings(&bench.notes), [(1, CloseReason::Failed)]);
}

#[test]
fn nothing_counts_as_open_before_the_host_says_so() {
    let mut bench = bench();
    bench.script.open = Do::Wait;
    bench.knock(ALICE, HOME, |_| {});
    assert_eq!(bench.open(), []);
    bench.report(Outcome::Done);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}

#[test]
fn a_closing_that_failed_is_offered_again_until_it_succeeds() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    bench.script.close = BADLY;
    let grant = bench.grant();
    bench.actions();

    bench.revoke(grant);
    bench.wait(3 * CLOSE_RETRY);
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"; 4]);
    assert_eq!(bench.open(), [(1, HOME, SSH)], "the host never said that it was closed");

    bench.script.close = WELL;
    bench.wait(CLOSE_RETRY);
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"]);
    assert_eq!(bench.open(), []);
    assert_eq!(closings(&bench.notes), [(1, CloseReason::Revoked)]);
}

#[test]
fn a_closing_is_offered_once_while_the_host_is_at_it() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    bench.script.close = Do::Wait;
    let grant = bench.grant();
    bench.actions();
    bench.revoke(grant);
    bench.revoke(grant);
    bench.wait(seconds(600));
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"]);
    bench.report(Outcome::Done);
    assert_eq!(bench.open(), []);
    assert_eq!(bench.actions(), [""; 0]);
}

#[test]
fn what_was_opened_too_late_is_closed_and_not_granted() {
    let mut bench = bench();
    bench.script.open = Do::Wait;
    bench.script.close = Do::Wait;
    bench.knock(ALICE, HOME, |_| {});
    bench.actions();
    bench.revoke(GrantId(1));
    bench.report(Outcome::Done);
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::Unavailable);
    bench.report(Outcome::Done);
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1", "answer"]);
    assert_eq!(bench.open(), []);
}

#[test]
fn an_opening_that_the_host_never_reports_is_closed_by_its_deadline() {
    let mut bench = bench();
    bench.script.open = Do::Wait;
    bench.knock(ALICE, HOME, |_| {});
    bench.actions();
    bench.wait(seconds(60));
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"]);
    assert_eq!(bench.gate.poll_timeout(), None);
}

#[test]
fn a_grant_that_ran_out_before_the_host_got_to_it_is_never_opened() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    bench.knock(ALICE, HOME, |_| {});
    bench.actions();
    let ticket = bench.consultations.pop().unwrap().ticket;
    let effects = [Effect::Open { service: SSH, seconds: 1 }].into_iter().collect();
    bench.gate.handle_decision(
        bench.now(),
        ticket,
        crate::Decision { verdict: crate::Verdict::Commit, effects },
    );
    bench.sleep(seconds(1));
    bench.turn();
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"]);
}

#[test]
fn knocking_again_prolongs_a_grant_and_never_shortens_it() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |request| request.seconds = 100);
    let grant = bench.grant();
    bench.knock(ALICE, HOME, |request| request.seconds = 10);
    assert_eq!((bench.grant(), bench.left()), (grant, [100].to_vec()));
    bench.knock(ALICE, HOME, |request| request.seconds = 200);
    assert_eq!((bench.grant(), bench.left()), (grant, [200].to_vec()));
    assert_eq!(bench.actions().last().unwrap(), "open 1 to 192.0.2.1 for 200");
}

#[test]
fn a_refreshment_that_failed_leaves_the_grant_as_it_was() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |request| request.seconds = 10);
    bench.script.open = BADLY;
    bench.knock(ALICE, HOME, |request| request.seconds = 100);
    assert_eq!(bench.left(), [10]);
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::Unavailable);
    bench.wait(seconds(10));
    assert_eq!(bench.open(), []);
}

#[test]
fn the_report_of_an_earlier_opening_does_not_answer_for_a_later_one() {
    let mut bench = bench();
    bench.script.open = Do::Wait;
    bench.knock(ALICE, HOME, |request| request.seconds = 10);
    // The host is slow: the first knock is given up, and the second wants the same grant for longer.
    bench.wait(seconds(2));
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::Unavailable);
    bench.knock(ALICE, HOME, |request| request.seconds = 100);
    bench.report(Outcome::Done);
    assert_eq!(bench.left(), [8], "only what was reported is in force");
    assert_eq!(bench.status(ALICE, HOME).verdict, Verdict::Pending);

    bench.report(Outcome::Failed);
    assert_eq!(bench.left(), [8]);
    assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::Unavailable);
}

#[test]
fn two_clients_behind_one_address_share_an_opening_that_lasts_as_long_as_the_longer() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |request| request.seconds = 100);
    bench.wait(seconds(10));
    bench.actions();
    bench.knock(BOB, HOME, |request| request.seconds = 20);
    assert_eq!(bench.actions().last().unwrap(), "open 1 to 192.0.2.1 for 90");
    assert_eq!(bench.left(), [90, 20]);

    bench.wait(seconds(20));
    assert_eq!(bench.actions(), ["open 1 to 192.0.2.1 for 70"], "handed over, not closed");
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
    assert_eq!(closings(&bench.notes), [(2, CloseReason::Expired)]);

    bench.wait(seconds(70));
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"]);
}

#[test]
fn a_shared_opening_bears_the_name_of_the_grant_that_ends_last() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |request| request.seconds = 100);
    bench.script.open = Do::Wait;
    bench.knock(BOB, HOME, |request| request.seconds = 20);
    let [Action::Open { grant, bearer, .. }] = bench.waiting[..] else { panic!("one opening") };
    assert_eq!((grant, bearer), (GrantId(2), Bearer { grant: GrantId(1), client: ClientId(1) }));

    bench.report(Outcome::Done);
    bench.revoke(GrantId(1));
    let [Action::Open { grant, bearer, .. }] = bench.waiting[..] else { panic!("one opening") };
    assert_eq!((grant, bearer), (GrantId(2), Bearer { grant: GrantId(2), client: ClientId(2) }));
}

#[test]
fn taking_back_the_longer_of_two_shortens_the_opening_to_the_other() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |request| request.seconds = 100);
    bench.knock(BOB, HOME, |request| request.seconds = 20);
    bench.actions();
    bench.revoke(GrantId(1));
    assert_eq!(bench.actions(), ["open 1 to 192.0.2.1 for 20"]);
    bench.wait(seconds(20));
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"]);
    assert_eq!(bench.open(), []);
}

#[test]
fn two_grants_of_one_address_that_end_at_once_are_both_closed() {
    let mut bench = bench();
    for who in [ALICE, BOB] {
        bench.knock(who, HOME, |_| {});
    }
    bench.actions();
    bench.wait(seconds(60));
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"; 2]);
    assert_eq!(bench.open(), []);
}

#[test]
fn a_shared_opening_is_never_handed_over_to_a_grant_that_is_over_too() {
    let mut bench = bench();
    for who in [ALICE, BOB] {
        bench.knock(who, HOME, |_| {});
    }
    bench.actions();
    // The operator takes one back before the host gets to know that both are over.
    bench.sleep(seconds(60));
    bench.revoke(GrantId(1));
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"]);
}

#[test]
fn a_second_client_whose_opening_failed_does_not_shut_out_the_first() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    bench.script.open = BADLY;
    bench.knock(BOB, HOME, |_| {});
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
    assert!(!bench.actions().iter().any(|action| action.starts_with("close")));
    assert_eq!(refused(&bench.status(BOB, HOME)), Refusal::Unavailable);
}

#[test]
fn grants_at_other_addresses_and_for_other_services_share_nothing() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    bench.knock(BOB, CAFE, |_| {});
    bench.knock(CAROL, HOME, |request| request.service = WEB);
    bench.actions();
    bench.revoke(GrantId(1));
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"]);
    assert_eq!(bench.open(), [(2, CAFE, SSH), (3, HOME, WEB)]);
}

#[test]
fn a_grant_of_an_earlier_run_is_open_until_its_time_is_over() {
    let mut bench = bench();
    let now = bench.now();
    assert!(bench.gate.adopt_grant(now, GrantId(40), ClientId(1), Network::host(HOME), SSH, seconds(5)));
    bench.turn();
    assert_eq!((bench.actions().len(), bench.open()), (0, [(1, HOME, SSH)].to_vec()));
    assert_eq!(bench.status(ALICE, HOME).open[0].grant, 40);

    bench.knock(BOB, CAFE, |_| {});
    assert_eq!(bench.gate.open_grants().last().unwrap().id(), GrantId(41), "no number is given twice");
    bench.actions();
    bench.wait(seconds(5));
    assert_eq!(bench.actions(), ["close 1 to 192.0.2.1"]);
}

#[test]
fn a_grant_with_the_highest_number_of_an_earlier_run_is_not_numbered_again() {
    let mut bench = bench();
    let now = bench.now();
    bench.gate.adopt_grant(now, GrantId(u32::MAX), ClientId(1), Network::host(HOME), SSH, seconds(500));
    bench.knock(BOB, CAFE, |_| {});
    let last = bench.gate.open_grants().last().unwrap().id();
    assert_ne!(last, GrantId(u32::MAX));
}

#[test]
fn reports_about_grants_that_are_gone_change_nothing() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    bench.actions();
    let now = bench.now();
    for outcome in [Outcome::Done, Outcome::Failed] {
        bench.gate.handle_opened(now, GrantId(1), outcome);
        bench.gate.handle_closed(now, GrantId(1), outcome);
        bench.gate.handle_opened(now, GrantId(9), outcome);
        bench.gate.handle_closed(now, GrantId(9), outcome);
    }
    bench.gate.revoke(now, GrantId(9));
    bench.turn();
    assert_eq!(bench.actions(), [""; 0]);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
}
