//! What a policy does after an event that nobody waits for.

use super::bench::*;
use crate::note::{CloseReason, Locked};
use crate::refusal::Refusal;
use crate::{ClientId, Effect, GrantId, Note, Outcome, Subject};

use super::grants::closings;

const ALICES: Subject = Subject { client: Some(ClientId(1)), source: Some(HOME), service: Some(SSH) };

fn react(bench: &mut Usual, about: Subject, effects: &[Effect]) {
    let now = bench.now();
    bench.gate.handle_reaction(now, about, effects);
    bench.turn();
}

#[test]
fn a_reaction_closes_a_grant_of_its_own_client_only() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    let others = Subject { client: Some(ClientId(2)), ..ALICES };
    react(&mut bench, others, &[Effect::Revoke { grant: GrantId(1) }]);
    react(&mut bench, Subject::default(), &[Effect::Revoke { grant: GrantId(1) }]);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);

    react(&mut bench, ALICES, &[Effect::Revoke { grant: GrantId(1) }]);
    assert_eq!(bench.open(), []);
    assert_eq!(closings(&bench.notes), [(1, CloseReason::Revoked)]);
}

#[test]
fn a_reaction_locks_out_whom_it_is_about() {
    let mut bench = bench();
    let effect = Effect::Lockout { seconds: 30 };
    react(&mut bench, Subject { source: None, ..ALICES }, &[effect]);
    let lasts = seconds(30);
    assert!(bench.notes.contains(&Note::LockedOut { who: Locked::Client(ClientId(1)), lasts }));
    assert_eq!(refused(&bench.ask(ALICE, CAFE, |_| {})), Refusal::LockedOut);
    // His address was not certain, so others there are heard.
    bench.knock(BOB, HOME, |_| {});
    assert_eq!(bench.open().len(), 1);
}

#[test]
fn a_reaction_gives_nothing() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    bench.actions();
    let effects = [
        Effect::Open { service: WEB, seconds: 60 },
        Effect::OpenPrefix { service: WEB, bits: 24, seconds: 60 },
        Effect::Extend { grant: GrantId(1), seconds: 3600 },
    ];
    react(&mut bench, ALICES, &effects);
    assert_eq!(bench.actions(), [""; 0]);
    bench.wait(seconds(60));
    assert_eq!(bench.open(), []);
}

#[test]
fn the_standing_of_nobody_is_nothing_but_what_is_open_in_all() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    let nobody = bench.gate.standing(Subject::default());
    assert_eq!((nobody.failures, nobody.source_failures), (0, 0));
    assert_eq!((nobody.grants.client, nobody.grants.source, nobody.grants.service), (0, 0, 0));
    assert_eq!((nobody.grants.all, nobody.grants.oldest), (1, None));
    let alice = bench.gate.standing(ALICES).grants;
    assert_eq!((alice.client, alice.source, alice.service, alice.oldest), (1, 1, 1, Some(GrantId(1))));
}

#[test]
fn a_decision_says_whether_it_came_in_time() {
    let mut bench = bench();
    bench.script.judge = Judge::Wait;
    bench.knock(ALICE, HOME, |_| {});
    let asked = bench.consultations.pop().unwrap();
    let again = crate::Ticket(asked.ticket.0);
    let commit = || decision(crate::Verdict::Commit, &[Effect::Open { service: SSH, seconds: 60 }]);
    let now = bench.now();
    assert_eq!(bench.gate.handle_decision(now, asked.ticket, commit()), Outcome::Done);
    assert_eq!(bench.gate.handle_decision(now, again, commit()), Outcome::Failed);
}
