use knockgate_core::book::Shape;
use knockgate_core::key::PublicKey;

use super::*;
use crate::state::roster_file::RosterEdit;
use crate::state::{GateIdentity, system_rng};

const GATE_ID: GateId = GateId([7; 16]);
const ALICE: ClientId = ClientId(1);
const BOOK: BookId = BookId([1, 2, 3, 4, 5, 6, 7, 8]);

fn state_dir() -> (tempfile::TempDir, StateDir) {
    let temp = tempfile::tempdir().unwrap();
    let dir = StateDir::create(&temp.path().join("state")).unwrap();
    (temp, dir)
}

fn open(dir: &StateDir) -> Result<Store, StateError> {
    Store::open(dir, GATE_ID, &RosterFile::default())
}

fn refusal(result: Result<Store, StateError>) -> String {
    result.err().expect("it must be refused").to_string()
}

/// A roster with one client and its book of ten numbers.
fn used_roster(dir: &StateDir) -> RosterFile {
    let shape = Shape::new(10, 3, 16, 10_000..=20_000).unwrap();
    let identity = GateIdentity::generate(shape, &[], &mut system_rng()).ok().unwrap();
    let book = identity.new_book(shape, &mut system_rng()).ok().unwrap();
    RosterFile::create(dir).unwrap();
    let mut edit = RosterEdit::begin(dir).unwrap();
    let id = book.id();
    let client = |number| Client {
        id: number,
        name: "alice".parse().unwrap(),
        key: PublicKey([1; 32]),
        services: [1].into(),
        book: id,
    };
    edit.roster.add(client, EnrolledBook { book, shared: false }).unwrap();
    let roster = edit.roster.clone();
    edit.commit().unwrap();
    roster
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let (_temp, dir) = state_dir();
    let store = open(&dir).unwrap();
    store
        .write(&[
            Record::Counter { client: ClientId(2), counter: 5 },
            Record::Offer { client: ALICE, counter: u64::MAX, book: BOOK, next: 3 },
        ])
        .unwrap();
    drop(store);

    let loaded = open(&dir).unwrap().load().unwrap();

    assert_eq!(loaded.counters, HashMap::from([(ALICE, u64::MAX), (ClientId(2), 5)]));
    assert_eq!(loaded.cursors, HashMap::from([(BOOK, 3)]));
}

#[test]
fn values_never_go_down() {
    let (_temp, dir) = state_dir();
    let store = open(&dir).unwrap();
    store.write(&[Record::Offer { client: ALICE, counter: 9, book: BOOK, next: 4 }]).unwrap();
    store.write(&[Record::Offer { client: ALICE, counter: 8, book: BOOK, next: 3 }]).unwrap();
    let loaded = store.load().unwrap();
    assert_eq!((loaded.counters[&ALICE], loaded.cursors[&BOOK]), (9, 4));
}

#[test]
fn numbers_of_policies_are_kept_apart_and_zero_forgets() {
    let (_temp, dir) = state_dir();
    let store = open(&dir).unwrap();
    store.write_policy("a", &[(0, 1), (u32::MAX, 2)]).unwrap();
    store.write_policy("b", &[(0, 3)]).unwrap();
    store.write_policy("a", &[(0, 0)]).unwrap();
    assert_eq!(store.policy("a").unwrap(), HashMap::from([(u32::MAX, 2)]));
    assert_eq!(store.policy("b").unwrap(), HashMap::from([(0, 3)]));
    assert!(store.policy("c").unwrap().is_empty());
}

#[test]
fn a_second_agent_on_the_same_directory_is_refused() {
    let (_temp, dir) = state_dir();
    let _first = open(&dir).unwrap();
    assert!(
        refusal(open(&dir))
            .contains("another knockgated is running with this state directory; stop that one")
    );
}

#[test]
fn the_state_can_be_looked_at_while_an_agent_has_it_open() {
    let (_temp, dir) = state_dir();
    let store = open(&dir).unwrap();
    store.write(&[Record::Offer { client: ALICE, counter: 9, book: BOOK, next: 4 }]).unwrap();
    assert_eq!(Store::peek(&dir).unwrap().cursors[&BOOK], 4);
    store.write(&[Record::Offer { client: ALICE, counter: 10, book: BOOK, next: 5 }]).unwrap();
    assert_eq!(Store::peek(&dir).unwrap().cursors[&BOOK], 5);
}

#[test]
fn a_store_that_a_killed_agent_left_open_has_all_that_was_written() {
    let (_temp, dir) = state_dir();
    let (_other, copy) = state_dir();
    let store = open(&dir).unwrap();
    for next in 1..=20 {
        store.write(&[Record::Offer { client: ALICE, counter: next.into(), book: BOOK, next }]).unwrap();
        // What is in the file now is what a kill would leave there.
        std::fs::copy(dir.store_file(), copy.store_file()).unwrap();
        let found = open(&copy).and_then(|store| store.load()).unwrap();
        assert_eq!((found.counters[&ALICE], found.cursors[&BOOK]), (next.into(), next));
    }
}

#[test]
fn a_lost_store_is_an_error_once_a_client_was_enrolled() {
    let (_temp, dir) = state_dir();
    let roster = used_roster(&dir);
    let refused = refusal(Store::open(&dir, GATE_ID, &roster));
    assert!(refused.contains("is missing") && refused.contains("`knockgated state rebuild`"), "{refused}");
}

#[test]
fn a_rebuilt_store_accepts_nothing_from_before() {
    let (_temp, dir) = state_dir();
    let roster = used_roster(&dir);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();

    Store::rebuild(&dir, GATE_ID, &roster).unwrap();

    let loaded = Store::open(&dir, GATE_ID, &roster).unwrap().load().unwrap();
    assert!(u128::from(loaded.counters[&ALICE]) > now);
    assert_eq!(loaded.cursors[&roster.books()[0].book.id()], 10);
}

#[test]
fn a_rebuild_keeps_counters_that_are_ahead_and_the_old_file() {
    let (_temp, dir) = state_dir();
    let roster = used_roster(&dir);
    Store::create(&dir, GATE_ID).unwrap();
    let store = Store::open(&dir, GATE_ID, &roster).unwrap();
    store.write(&[Record::Counter { client: ALICE, counter: u64::MAX }]).unwrap();
    assert!(Store::rebuild(&dir, GATE_ID, &roster).is_err(), "an agent is running");
    drop(store);

    Store::rebuild(&dir, GATE_ID, &roster).unwrap();

    assert_eq!(Store::open(&dir, GATE_ID, &roster).unwrap().load().unwrap().counters[&ALICE], u64::MAX);
    assert!(dir.path().join("state.redb.old").exists());
}

#[test]
fn the_state_of_another_gate_is_refused() {
    let (_temp, dir) = state_dir();
    Store::create(&dir, GateId([8; 16])).unwrap();
    assert!(refusal(open(&dir)).contains("is the state of another gate; stop"));
}

#[test]
fn a_foreign_or_damaged_store_is_refused_and_never_a_panic() {
    let (_temp, dir) = state_dir();
    drop(open(&dir).unwrap());
    let whole = std::fs::read(dir.store_file()).unwrap();
    let mut cases = vec![(1, Vec::new()), (2, b"not a database".to_vec()), (3, vec![0; 8192])];
    cases.push((4, whole[..whole.len() / 2].to_vec()));
    cases.push((5, whole[..100].to_vec()));
    for (case, at) in (10..).zip((0..whole.len()).step_by(997)) {
        let mut damaged = whole.clone();
        damaged[at..(at + 64).min(whole.len())].fill(0xa5);
        cases.push((case, damaged));
    }
    for (case, content) in cases {
        std::fs::write(dir.store_file(), content).unwrap();
        // Looking without changing anything must not panic, either; what it cannot see is found at the start.
        let _ = Store::check(&dir, GATE_ID, &RosterFile::default());
        let _ = Store::peek(&dir);
        // Damage in unused space is no damage.
        if let Err(error) = open(&dir).and_then(|store| store.load()) {
            assert!(error.to_string().contains("`knockgated state rebuild`"), "case {case}: {error}");
        } else {
            assert!(case >= 10, "case {case} was accepted");
        }
    }
}

#[test]
fn a_store_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (_temp, dir) = state_dir();
    drop(open(&dir).unwrap());
    std::fs::set_permissions(dir.store_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refusal(open(&dir)).contains("chmod 600"));
}

#[test]
fn a_write_that_failed_does_not_keep_the_next_one_from_succeeding() {
    let (_temp, dir) = state_dir();
    let store = open(&dir).unwrap();
    let next = |next| Record::Offer { client: ALICE, counter: 1, book: BOOK, next };
    store.write(&[next(2)]).unwrap();

    // What redb says to everything once the disk has failed it.
    assert!(store.change(|_| Err(redb::Error::PreviousIo)).is_err());
    store.write(&[next(3)]).unwrap();

    assert_eq!(store.load().unwrap().cursors[&BOOK], 3);
}
