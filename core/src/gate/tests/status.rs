//! What a client hears who asks what became of his knock.

use super::bench::*;
use crate::message::Verdict;
use crate::refusal::Refusal;
use crate::{Effect, Network, Outcome};

#[test]
fn status_follows_a_knock_through_every_phase() {
    let mut bench = bench();
    (bench.script.store, bench.script.watch, bench.script.open) = (Do::Wait, Do::Wait, Do::Wait);
    bench.script.judge = Judge::Wait;
    assert_eq!(bench.status(ALICE, HOME).verdict, Verdict::Nothing);

    let asked = bench.start(ALICE, HOME, |_| {});
    let pending = |bench: &mut Usual, phase| {
        let answer = bench.status(ALICE, HOME);
        assert_eq!((answer.verdict, answer.retry_ms), (Verdict::Pending, 20), "{phase}");
    };
    pending(&mut bench, "storing");
    bench.report(Outcome::Done);
    pending(&mut bench, "watching");
    bench.report(Outcome::Done);
    pending(&mut bench, "held");
    assert!(bench.answer(asked).unwrap().offer.is_some());
    let sequence = bench.sequence(ALICE, 0);
    bench.probe(HOME, &sequence);
    pending(&mut bench, "consulting");
    bench.decide(crate::Verdict::Commit, &[Effect::Open { service: SSH, seconds: 0 }]);
    pending(&mut bench, "opening");
    bench.report(Outcome::Done);

    let answer = bench.status(ALICE, HOME);
    assert_eq!((answer.verdict, answer.retry_ms, answer.open[0].left_ms), (Verdict::Granted, 0, 60_000));
    bench.wait(seconds(30));
    let answer = bench.status(ALICE, HOME);
    assert_eq!(
        (answer.verdict, answer.open[0].left_ms),
        (Verdict::Nothing, 30_000),
        "the result is forgotten"
    );
    bench.wait(seconds(30));
    assert!(bench.status(ALICE, HOME).open.is_empty());
}

#[test]
fn asking_for_status_disturbs_nothing_and_is_no_refusal() {
    let mut bench = bench();
    bench.script.judge = Judge::Say(crate::Verdict::Deny, [].to_vec());
    bench.knock(ALICE, HOME, |_| {});
    bench.notes.clear();
    bench.actions();
    for _ in 0..5 {
        assert_eq!(refused(&bench.status(ALICE, HOME)), Refusal::Denied);
    }
    assert_eq!(bench.notes, [], "the log has one record of one denial");
    assert_eq!(bench.gate.refusals().of(Refusal::Denied), 1);
    assert_eq!(bench.actions(), ["answer"; 5]);
}

#[test]
fn a_client_hears_of_what_is_open_to_it_at_the_address_it_asks_from() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    bench.knock(BOB, CAFE, |_| {});
    let services = |bench: &mut Usual, who, from| bench.status(who, from).open.len();
    assert_eq!(services(&mut bench, ALICE, HOME), 1);
    assert_eq!(services(&mut bench, ALICE, CAFE), 0);
    assert_eq!(services(&mut bench, BOB, HOME), 0);
    assert_eq!(services(&mut bench, CAROL, CAFE), 0);
}

#[test]
fn what_has_run_out_is_not_listed_although_the_host_has_not_closed_it_yet() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    bench.sleep(seconds(60));
    assert!(bench.status(ALICE, HOME).open.is_empty());
}

#[test]
fn an_answer_lists_the_four_grants_that_last_longest() {
    let service = |id| crate::gate::Service::new(id, seconds(60), seconds(3600));
    let mut bench = bench_with(|config| config.services = (1..=6).map(service).collect());
    let lasting = [30, 10, 60, 40, 20, 50];
    for (id, lasts) in (1..).zip(lasting) {
        let now = bench.now();
        bench.gate.adopt_grant(
            now,
            crate::GrantId(id),
            crate::ClientId(1),
            Network::host(HOME),
            1,
            seconds(lasts),
        );
    }
    let open = bench.status(ALICE, HOME).open;
    let left: std::vec::Vec<_> = open.iter().map(|open| open.left_ms / 1000).collect();
    assert_eq!(left, [60, 50, 40, 30]);
}

#[test]
fn the_result_of_a_knock_follows_the_client_to_another_address() {
    let mut bench = bench();
    bench.knock(ALICE, HOME, |_| {});
    let answer = bench.status(ALICE, CAFE);
    assert_eq!((answer.verdict, answer.open.len()), (Verdict::Granted, 0));
}
