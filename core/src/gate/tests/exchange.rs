//! From bytes to a fresh request and back.

use super::bench::*;
use crate::envelope;
use crate::key::GateId;
use crate::limits::{INNER_LEN, MESSAGE_LEN};
use crate::message::{Kind, Verdict};
use crate::note::Note;
use crate::refusal::Refusal;
use crate::roster::Roster;

#[test]
fn a_knock_is_remembered_before_it_is_watched_and_watched_before_it_is_answered() {
    let mut bench = bench();

    bench.knock(ALICE, HOME, |_| {});

    #[rustfmt::skip]
    assert_eq!(bench.actions(), [
        "remember", "watch 192.0.2.1", "answer", "unwatch 192.0.2.1", "consult", "open 1 to 192.0.2.1 for 60",
    ]);
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
    assert_eq!(bench.status(ALICE, HOME).verdict, Verdict::Granted);
}

#[test]
fn an_offer_says_all_that_the_client_must_know() {
    let mut bench = bench();
    let answer = bench.ask(ALICE, HOME, |_| {});
    let offer = answer.offer.unwrap();

    assert_eq!((answer.verdict, answer.book_left), (Verdict::Offered, BOOK - 1));
    assert_eq!(answer.time, bench.now().unix.unwrap().as_micros());
    assert_eq!((offer.book, offer.number, offer.hold_ms), (bench.book(ALICE), 0, 10_000));
    assert!(answer.open.is_empty());
}

#[test]
fn a_replayed_message_is_met_with_silence_and_changes_nothing() {
    let mut bench = bench();
    let (_, message) = bench.message(ALICE, |_| {});
    bench.send(HOME, &message).unwrap();
    bench.actions();

    for from in [HOME, CAFE] {
        assert_eq!(bench.send(from, &message), Err(Refusal::Replayed));
    }

    assert_eq!(bench.actions(), [""; 0]);
    assert_eq!(bench.cursor(ALICE), 1);
    assert_eq!(bench.gate.refusals().of(Refusal::Replayed), 2);
}

#[test]
fn a_counter_below_the_last_one_is_refused_whatever_the_message_looks_like() {
    let mut bench = bench();
    bench.ask(ALICE, HOME, |request| (request.kind, request.counter) = (Kind::Status, 1000));
    for (counter, expected) in [(999, Err(Refusal::Replayed)), (1000, Err(Refusal::Replayed)), (1001, Ok(()))]
    {
        let (_, message) =
            bench.message(ALICE, |request| (request.kind, request.counter) = (Kind::Status, counter));
        assert_eq!(bench.send(HOME, &message).map(|_| ()), expected, "counter {counter}");
    }
}

#[test]
fn what_the_gate_shares_with_a_client_is_kept_once_he_has_proven_who_he_is() {
    let mut bench = bench();
    let is_kept = |bench: &Usual, who| bench.gate.roster().shared(&bench.client(who).key).is_some();
    let door_key = bench.gate.config().door_keys[0].clone();
    let (_, unknown) = bench.message(STRANGER, |_| {});
    let (_, sealed) = bench.message(ALICE, |_| {});
    let gate = bench.gate.config().gate;
    let mut inner = envelope::open(&door_key, gate, envelope::Direction::Request, &sealed).unwrap();
    // Her key is still inside, the question is none of hers.
    inner[INNER_LEN - 1] ^= 1;
    let mut rng = crate::testing::TestRng::new(9);
    let forged = envelope::seal(&door_key, gate, envelope::Direction::Request, &inner, &mut rng).unwrap();

    assert_eq!(bench.send(HOME, &unknown), Err(Refusal::UnknownClient));
    assert_eq!(bench.send(HOME, &forged), Err(Refusal::Unauthentic));
    assert_eq!([ALICE, STRANGER].map(|who| is_kept(&bench, who)), [false, false]);

    for _ in 0..2 {
        assert_eq!(bench.status(ALICE, HOME).verdict, Verdict::Nothing);
        assert!(is_kept(&bench, ALICE) && !is_kept(&bench, BOB));
    }
    assert_eq!(bench.send(HOME, &forged), Err(Refusal::Unauthentic));
}

#[test]
fn strangers_and_junk_are_met_with_silence_and_leave_no_trace() {
    let mut bench = bench();
    let (_, unknown) = bench.message(STRANGER, |_| {});
    let (_, mut damaged) = bench.message(ALICE, |_| {});
    damaged[MESSAGE_LEN - 1] ^= 1;
    let door_key = bench.gate.config().door_keys[0].clone();
    let mut rng = crate::testing::TestRng::new(9);
    let mut sealed =
        |gate| envelope::seal(&door_key, gate, envelope::Direction::Request, &[5; 160], &mut rng);
    let no_handshake = sealed(GateId([7; 16])).unwrap();
    let other_gate = sealed(GateId([8; 16])).unwrap();

    #[rustfmt::skip]
    let cases = [
        (1, [0; MESSAGE_LEN], Refusal::Unsealed),
        (2, damaged, Refusal::Unsealed),
        (3, other_gate, Refusal::Unsealed),
        (4, no_handshake, Refusal::Unauthentic),
        (5, unknown, Refusal::UnknownClient),
    ];
    for (case, message, refusal) in cases {
        assert_eq!(bench.send(HOME, &message), Err(refusal), "case {case}");
    }
    assert_eq!(bench.actions(), [""; 0]);
    assert_eq!(bench.notes, []);
    assert_eq!(bench.gate.poll_timeout(), None);
}

#[test]
fn a_message_for_another_gate_with_the_same_door_key_is_silent() {
    let mut here = bench();
    let mut there = bench_with(|config| config.gate = GateId([8; 16]));
    let (_, message) = there.message(ALICE, |_| {});
    assert_eq!(here.send(HOME, &message), Err(Refusal::Unsealed));
    assert!(there.send(HOME, &message).is_ok());
}

#[test]
fn a_request_from_elsewhere_than_it_claims_is_refused_and_costs_no_number() {
    let mut bench = bench();
    let answer = bench.ask(ALICE, CAFE, |request| request.source = Some(HOME));
    assert_eq!(refused(&answer), Refusal::WrongSource);
    assert_eq!(bench.cursor(ALICE), 0);
    assert_eq!(
        bench.notes,
        [Note::Refused {
            client: crate::ClientId(1),
            source: CAFE,
            service: Some(SSH),
            refusal: Refusal::WrongSource
        }]
    );

    let answer = bench.ask(ALICE, HOME, |request| request.source = Some("::ffff:192.0.2.1".parse().unwrap()));
    assert_eq!(answer.verdict, Verdict::Offered);
}

#[test]
fn an_answer_is_sealed_under_the_door_key_that_its_question_was_sealed_under() {
    let mut bench = bench();
    bench.use_door_key(BOB, 1);
    for (who, from) in [(ALICE, HOME), (BOB, CAFE)] {
        // Each reads the answer with the only door key that he has.
        assert_eq!(bench.status(who, from).verdict, Verdict::Nothing);
    }
}

#[test]
fn the_counter_is_burnt_before_the_host_stores_it() {
    let mut bench = bench();
    bench.script.store = Do::Wait;
    let (_, message) = bench.message(ALICE, |_| {});
    bench.send(HOME, &message).unwrap();
    assert_eq!(bench.send(HOME, &message), Err(Refusal::Replayed));
    assert_eq!(bench.gate.roster().used(crate::ClientId(1)).last, 1);
}

#[test]
fn a_question_that_the_host_never_gets_to_is_forgotten() {
    let mut bench = bench();
    bench.script.store = Do::Wait;
    let asked = bench.start(ALICE, HOME, |_| {});
    bench.wait(seconds(20));

    bench.report(crate::Outcome::Done);

    assert!(bench.answer(asked).is_none());
    assert_eq!(bench.actions(), ["remember", "unwatch 192.0.2.1"]);
}

#[test]
fn a_question_that_is_turned_away_is_answered_only_after_its_counter_is_stored() {
    let mut bench = bench();
    bench.script.store = Do::Wait;
    let asked = bench.start(ALICE, HOME, |request| request.service = VAULT);
    assert_eq!(bench.actions(), ["remember"]);

    bench.report(crate::Outcome::Done);

    let answer = bench.answer(asked).expect("an answer");
    assert_eq!(refused(&answer), Refusal::NotAllowed);
}

#[test]
fn a_refusal_that_could_not_be_stored_is_told_all_the_same() {
    let mut bench = bench();
    bench.script.store = Do::Wait;
    let asked = bench.start(ALICE, HOME, |request| request.service = VAULT);

    bench.report(crate::Outcome::Failed);

    let answer = bench.answer(asked).expect("an answer");
    assert_eq!(refused(&answer), Refusal::NotAllowed);
}
