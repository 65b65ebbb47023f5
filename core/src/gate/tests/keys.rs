//! Keys that are being changed, and enrolments that end.

use super::bench::*;
use crate::action::{Origin, Peer, Way};
use crate::key::DoorKey;
use crate::message::{Kind, Verdict};
use crate::refusal::Refusal;
use crate::testing::TestRng;
use crate::{Effect, GrantId, UnixTime};

const KINDS: [Kind; 5] = [Kind::Status, Kind::NextNumber, Kind::Open, Kind::Renew, Kind::Close];

/// So many seconds after the bench was set up.
fn at(seconds: u64) -> UnixTime {
    UnixTime::from_micros(START + seconds * 1_000_000)
}

#[test]
fn a_former_key_is_good_until_its_time() {
    let mut bench = bench();
    bench.change_key(ALICE, Some(at(60)));
    assert_eq!(bench.open_by_packet(ALICE, HOME).verdict, Verdict::Granted);
    bench.wait(seconds(60));
    let (_, message) = bench.message(ALICE, |request| request.kind = Kind::Open);
    assert_eq!(bench.send(HOME, &message), Err(Refusal::UnknownClient));

    bench.use_new_key(ALICE);
    assert_eq!(bench.open_by_packet(ALICE, HOME).verdict, Verdict::Granted);
}

#[test]
fn the_new_key_is_good_at_once_and_both_are_one_client() {
    let mut bench = bench();
    bench.change_key(ALICE, Some(at(60)));
    bench.open_by_packet(ALICE, HOME);
    let (_, old) = bench.message(ALICE, |request| (request.kind, request.counter) = (Kind::Open, 7));
    bench.use_new_key(ALICE);
    let answer = bench.packet(ALICE, HOME, Kind::Renew, |request| request.counter = 7);
    assert_eq!((answer.verdict, answer.open.len()), (Verdict::Granted, 1));
    assert_eq!(bench.send(HOME, &old), Err(Refusal::Replayed), "counters are the client's, not the key's");
}

#[test]
fn a_key_that_was_replaced_at_once_is_unknown() {
    let mut bench = bench();
    bench.change_key(ALICE, None);
    let (_, message) = bench.message(ALICE, |_| {});
    assert_eq!(bench.send(HOME, &message), Err(Refusal::UnknownClient));
}

#[test]
fn without_a_calendar_a_former_key_is_none() {
    let mut bench = bench();
    bench.change_key(ALICE, Some(at(60)));
    bench.calendar = false;
    let (_, message) = bench.message(ALICE, |_| {});
    assert_eq!(bench.send(HOME, &message), Err(Refusal::UnknownClient));
}

#[test]
fn a_client_whose_enrolment_has_ended_is_told_so_and_nothing_else() {
    for kind in KINDS {
        let mut bench = bench();
        bench.change_client(ALICE, |client| client.expires = Some(at(60)));
        bench.open_by_packet(ALICE, HOME);
        bench.wait(seconds(59));
        assert_ne!(bench.packet(ALICE, HOME, kind, |_| {}).refusal(), Some(Refusal::Expired), "{kind:?}");
        bench.wait(seconds(1));
        assert_eq!(refused(&bench.packet(ALICE, HOME, kind, |_| {})), Refusal::Expired, "{kind:?}");
    }
}

#[test]
fn without_a_calendar_an_enrolment_that_ends_has_ended() {
    let mut bench = bench();
    bench.change_client(ALICE, |client| client.expires = Some(at(60)));
    bench.calendar = false;
    assert_eq!(refused(&bench.open_by_packet(ALICE, HOME)), Refusal::Expired);
    assert_eq!(bench.open_by_packet(BOB, CAFE).verdict, Verdict::Granted);
}

#[test]
fn no_grant_outlives_the_enrolment() {
    let mut bench = bench();
    bench.change_client(ALICE, |client| client.expires = Some(at(40)));
    bench.packet(ALICE, HOME, Kind::Open, |request| request.seconds = 600);
    assert_eq!(bench.left(), [40]);
    bench.wait(seconds(10));
    bench.script.judge = Judge::commit(&[Effect::Extend { grant: GrantId(1), seconds: 600 }]);
    bench.packet(ALICE, HOME, Kind::Renew, |_| {});
    assert_eq!(bench.left(), [30]);
}

#[test]
fn a_grant_in_use_does_not_outlive_the_enrolment() {
    let mut bench = bench_with(|config| config.services[0].follow = true);
    bench.change_client(ALICE, |client| client.expires = Some(at(40)));
    bench.open_by_packet(ALICE, HOME);
    for _ in 0..40 {
        let now = bench.now();
        bench.gate.handle_flows(now, GrantId(1), crate::Flows::Alive);
        bench.turn();
        bench.wait(seconds(1));
    }
    assert_eq!(bench.open(), []);
}

#[test]
fn a_client_with_the_door_key_before_is_told_the_one_in_force() {
    let mut bench = bench();
    let [current, before] = [0, 1].map(|at| bench.gate.config().door_keys[at].clone());
    bench.use_door_key(ALICE, 1);
    let told = bench.open_by_packet(ALICE, HOME).door_key.expect("a door key");
    assert!(told.is(&current) && !told.is(&before));

    bench.use_door_key(ALICE, 0);
    assert!(bench.status(ALICE, HOME).door_key.is_none());
}

#[test]
fn door_keys_are_changed_while_the_gate_runs_and_the_oldest_is_noise_then() {
    let mut bench = bench();
    let current = bench.gate.config().door_keys[0].clone();
    bench.use_door_key(BOB, 1);
    let newest = DoorKey::generate(&mut TestRng::new(77));
    bench.script.store = Do::Wait;
    let under_way = bench.start_packet(BOB, CAFE, Kind::Open, |_| {});
    bench.gate.set_door_keys([newest.clone(), current].into_iter().collect());

    bench.report(crate::Outcome::Done);
    let answer = bench.answer(under_way).expect("under the key that it asked with");
    assert!(answer.door_key.expect("a door key").is(&newest));
    let told = bench.status(ALICE, HOME).door_key.expect("a door key");
    assert!(told.is(&newest));
    let (_, message) = bench.message(BOB, |_| {});
    assert_eq!(bench.send(CAFE, &message), Err(Refusal::Unsealed));
}

#[test]
fn a_host_can_have_messages_opened_before_the_gate_sees_them() {
    let mut bench = bench();
    let doorkeeper = bench.gate.doorkeeper().clone();
    assert!(doorkeeper.unseal(&[9; 200]).is_none());
    bench.gate.handle_noise(3);
    assert_eq!(bench.gate.refusals().of(Refusal::Unsealed), 3);

    let (_, message) = bench.message(ALICE, |request| request.kind = Kind::Open);
    let unsealed = doorkeeper.unseal(&message).expect("a message of a client");
    let origin = Origin { peer: Peer(1), source: HOME, way: Way::Datagram };
    bench.gate.handle_unsealed(bench.now(), origin, unsealed).unwrap();
    bench.turn();
    assert_eq!(bench.open(), [(1, HOME, SSH)]);
    assert_eq!(bench.send(HOME, &message), Err(Refusal::Replayed));
}
