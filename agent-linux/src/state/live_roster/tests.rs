use std::time::Duration;

use knockgate_core::UnixTime;
use knockgate_core::book::Shape;
use knockgate_core::roster::FormerKey;

use super::*;
use crate::state::roster_file::EnrolledBook;
use crate::state::{GateIdentity, RosterFile, system_rng};

const ALICE: ClientId = ClientId(1);
const NEW_KEY: PublicKey = PublicKey([9; 32]);
const NOW: UnixTime = UnixTime::from_micros(1_000_000);

/// A roster of alice and bob, both with services 1 and 2.
fn roster() -> RosterFile {
    let shape = Shape::new(10, 3, 16, 10_000..=20_000).unwrap();
    let identity = GateIdentity::generate(shape, &[], None, &mut system_rng()).ok().unwrap();
    let mut roster = RosterFile::default();
    for (name, byte) in [("alice", 1), ("bob", 2)] {
        let book = identity.new_book(shape, &mut system_rng()).ok().unwrap();
        let enrol = |id| Client {
            services: [1, 2].into_iter().collect(),
            ..Client::new(id, name.parse().unwrap(), PublicKey([byte; 32]), book.id())
        };
        roster.add(enrol, EnrolledBook { book: book.clone(), shared: false }).unwrap();
    }
    roster
}

fn live(roster: &RosterFile) -> LiveRoster {
    LiveRoster::new(Arc::new(Enrolment::new(roster)), Loaded::default())
}

fn used(last: u64) -> Used {
    Used { last, ..Used::NOTHING }
}

/// What a change of the roster means, client by client.
fn changes(change: impl FnOnce(&mut RosterFile)) -> Changes {
    let mut file = roster();
    let before = Enrolment::new(&file);
    change(&mut file);
    Enrolment::new(&file).changes_since(&before)
}

#[test]
fn a_client_is_found_by_its_key_and_by_its_former_key() {
    let mut file = roster();
    let former = FormerKey { key: PublicKey([1; 32]), until: NOW };
    file.rekey("alice", NEW_KEY, Some(former)).unwrap();
    let live = live(&file);
    for key in [NEW_KEY, former.key] {
        assert_eq!(live.client(&key).map(|client| client.id), Some(ALICE));
    }
    assert!(live.client(&PublicKey([7; 32])).is_none());
}

#[test]
fn a_client_that_is_not_there_has_used_up_everything() {
    let live = live(&roster());
    assert_eq!((live.used(ALICE), live.used(ClientId(9))), (Used::NOTHING, Used::EVERYTHING));
}

#[test]
fn what_is_used_up_is_taken_once_and_can_be_put_back() {
    let mut live = live(&roster());
    assert!(!live.is_dirty());
    live.set_used(ALICE, used(5));
    live.set_used(ALICE, used(6));
    assert_eq!(live.take_dirty(), [(ALICE, used(6))]);
    assert!(live.take_dirty().is_empty());

    live.put_back([ALICE]);
    live.set_used(ALICE, used(7));
    assert_eq!(live.take_dirty(), [(ALICE, used(7))]);
}

#[test]
fn what_a_client_has_used_up_outlives_it() {
    let (mut file, mut live) = (roster(), live(&roster()));
    live.set_used(ALICE, used(5));
    file.remove("alice").unwrap();
    let (enrolment, changes) = (Arc::new(Enrolment::new(&file)), changes(|file| drop(file.remove("alice"))));
    live.take_over(enrolment, &changes);
    assert_eq!((live.used(ALICE), live.name(ALICE).map(Name::as_str)), (used(5), Some("alice")));
    assert!(live.client_by_id(ALICE).is_none());
}

#[test]
fn who_has_lost_something_is_told_apart_from_who_has_only_changed() {
    let alice = vec![(ALICE, "alice".parse().unwrap())];
    let until = |seconds| Some(NOW.after(Duration::from_secs(seconds)));
    let former = FormerKey { key: PublicKey([1; 32]), until: NOW };
    let shorter = |file: &mut RosterFile| file.client_mut("alice").unwrap().expires = until(1);
    let fewer = |file: &mut RosterFile| file.client_mut("alice").unwrap().services.retain(|id| *id == 1);
    #[rustfmt::skip]
    let cases: [(u32, Changes, bool, bool); 6] = [
        (1, changes(|_| ()), false, false),
        (2, changes(|file| file.rekey("alice", NEW_KEY, Some(former)).unwrap()), true, false),
        (3, changes(|file| file.rekey("alice", NEW_KEY, None).unwrap()), true, true),
        (4, changes(shorter), true, true),
        (5, changes(fewer), true, true),
        (6, changes(|file| file.client_mut("alice").unwrap().confirm = true), true, false),
    ];
    for (case, found, changed, restricted) in cases {
        let expected = |is_expected| if is_expected { alice.clone() } else { Vec::new() };
        assert_eq!(
            (found.changed, found.restricted),
            (expected(changed), expected(restricted)),
            "case {case}"
        );
        assert!(found.added.is_empty() && found.removed.is_empty(), "case {case}");
    }
}

#[test]
fn a_second_factor_that_is_new_is_a_change() {
    let secret = |byte| TotpSecret::from_bytes([byte; 20]);
    let given = changes(|file| file.set_second_factor(ALICE, Some(secret(1))));
    assert_eq!(given.changed.len(), 1);
    let mut file = roster();
    file.set_second_factor(ALICE, Some(secret(1)));
    let before = Enrolment::new(&file);
    assert!(Enrolment::new(&file).changes_since(&before).changed.is_empty());
    file.set_second_factor(ALICE, Some(secret(2)));
    assert_eq!(Enrolment::new(&file).changes_since(&before).changed.len(), 1);
}

#[test]
fn what_is_shared_with_a_client_is_forgotten_when_its_key_leaves_the_roster() {
    let [alice, bob] = [PublicKey([1; 32]), PublicKey([2; 32])];
    let (mut file, mut live) = (roster(), live(&roster()));
    let shared = |live: &LiveRoster| [alice, bob, NEW_KEY].map(|key| live.shared(&key).is_some());
    live.keep_shared(&alice, SharedSecret::from_bytes([7; 32]));
    live.keep_shared(&bob, SharedSecret::from_bytes([8; 32]));
    assert_eq!(shared(&live), [true, true, false]);

    let former = FormerKey { key: alice, until: NOW };
    for (case, former, kept) in [(1, Some(former), true), (2, None, false)] {
        let mut file = roster();
        file.rekey("alice", NEW_KEY, former).unwrap();
        live.take_over(Arc::new(Enrolment::new(&file)), &Changes::default());
        assert_eq!(shared(&live), [kept, true, false], "case {case}");
    }
    file.remove("bob").unwrap();
    live.take_over(Arc::new(Enrolment::new(&file)), &Changes::default());
    assert_eq!(shared(&live), [false; 3]);
}

#[test]
fn of_two_keys_that_meet_in_a_place_the_last_one_is_known() {
    let mut live = live(&roster());
    let [first, last] = [3, 4].map(|end| {
        let mut key = [1; 32];
        key[31] = end;
        PublicKey(key)
    });
    live.keep_shared(&first, SharedSecret::from_bytes([7; 32]));
    live.keep_shared(&last, SharedSecret::from_bytes([8; 32]));
    assert_eq!([first, last].map(|key| live.shared(&key).is_some()), [false, true]);
}
