use knockgate_core::Client;
use knockgate_core::book::Shape;
use knockgate_core::key::PublicKey;
use knockgate_core::limits::MAX_BURNT;
use knockgate_core::replay::Span;
use redb::TableDefinition;

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

fn open(dir: &StateDir) -> Result<(Store, Loaded), StateError> {
    Store::open(dir, GATE_ID, &RosterFile::default())
}

fn opened(dir: &StateDir) -> Store {
    open(dir).unwrap().0
}

fn used(last: u64) -> Used {
    Used { last, ..Used::NOTHING }
}

fn refusal(result: Result<(Store, Loaded), StateError>) -> String {
    result.err().expect("it must be refused").to_string()
}

/// A roster with one client and its book of ten numbers.
fn used_roster(dir: &StateDir) -> RosterFile {
    let shape = Shape::new(10, 3, 16, 10_000..=20_000).unwrap();
    let identity = GateIdentity::generate(shape, &[], None, &mut system_rng()).ok().unwrap();
    let book = identity.new_book(shape, &mut system_rng()).ok().unwrap();
    RosterFile::create(dir).unwrap();
    let mut edit = RosterEdit::begin(dir).unwrap();
    let id = book.id();
    let client = |number| Client::new(number, "alice".parse().unwrap(), PublicKey([1; 32]), id);
    edit.roster.add(client, EnrolledBook { book, shared: false }).unwrap();
    let roster = edit.roster.clone();
    edit.commit().unwrap();
    roster
}

#[test]
fn what_was_written_is_there_after_reopening() {
    let (_temp, dir) = state_dir();
    let store = opened(&dir);
    let ahead = Used { last: 5, ahead: Some(Span { first: 90, last: 99 }), code_step: 7 };
    store
        .write(&[
            Record::Counter { client: ClientId(2), used: ahead },
            Record::Offer { client: ALICE, used: Used::EVERYTHING, book: BOOK, next: 3 },
        ])
        .unwrap();
    drop(store);

    let (_store, loaded) = open(&dir).unwrap();

    assert_eq!(loaded.used, HashMap::from([(ALICE, Used::EVERYTHING), (ClientId(2), ahead)]));
    assert_eq!(loaded.cursors, HashMap::from([(BOOK, 3)]));
    assert_eq!((loaded.burnt.iter().count(), loaded.last_stop), (0, LastStop::Clean));
}

#[test]
fn values_never_go_down() {
    let (_temp, dir) = state_dir();
    let store = opened(&dir);
    let high = Used { last: 9, ahead: None, code_step: 4 };
    store.write(&[Record::Offer { client: ALICE, used: high, book: BOOK, next: 4 }]).unwrap();
    let low = Used { last: 8, ahead: None, code_step: 3 };
    store.write_lease(&[Record::Offer { client: ALICE, used: low, book: BOOK, next: 3 }], None).unwrap();
    let loaded = Store::peek(&dir).unwrap();
    assert_eq!((loaded.used[&ALICE], loaded.cursors[&BOOK]), (high, 4));
}

#[test]
fn a_lease_that_a_stop_has_left_is_burnt_once_and_for_ever() {
    let (_temp, dir) = state_dir();
    let store = opened(&dir);
    store.write_lease(&[], Some(lease(100))).unwrap();
    store.write_lease(&[Record::Counter { client: ALICE, used: used(150) }], Some(lease(200))).unwrap();
    drop(store);

    let (store, loaded) = open(&dir).unwrap();
    assert_eq!(
        (loaded.last_stop, loaded.burnt.iter().collect::<Vec<_>>()),
        (LastStop::Unclean(lease(200)), vec![lease(200)])
    );
    assert_eq!(loaded.used[&ALICE], used(150));
    drop(store);

    for _ in 0..2 {
        let (_store, loaded) = open(&dir).unwrap();
        assert_eq!(
            (loaded.last_stop, loaded.burnt.iter().collect::<Vec<_>>()),
            (LastStop::Clean, vec![lease(200)])
        );
    }
}

#[test]
fn a_clean_stop_leaves_no_lease() {
    let (_temp, dir) = state_dir();
    let store = opened(&dir);
    store.write_lease(&[], Some(lease(100))).unwrap();
    store.write_lease(&[Record::Counter { client: ALICE, used: used(150) }], None).unwrap();
    drop(store);
    let (_store, loaded) = open(&dir).unwrap();
    assert_eq!(
        (loaded.last_stop, loaded.burnt.iter().count(), loaded.used[&ALICE]),
        (LastStop::Clean, 0, used(150))
    );
}

#[test]
fn a_clean_stop_gives_back_what_was_stored_ahead() {
    let (_temp, dir) = state_dir();
    let store = opened(&dir);
    store.write_lease(&[], Some(lease(100))).unwrap();
    store.write(&[Record::Offer { client: ALICE, used: used(150), book: BOOK, next: 5 }]).unwrap();
    store.end(&[Record::Counter { client: ALICE, used: used(160) }], &[(BOOK, 4)]).unwrap();
    drop(store);
    let (_store, loaded) = open(&dir).unwrap();
    assert_eq!(
        (loaded.last_stop, loaded.used[&ALICE], loaded.cursors[&BOOK]),
        (LastStop::Clean, used(160), 4)
    );
}

#[test]
fn an_ordinary_write_leaves_the_lease_alone() {
    let (_temp, dir) = state_dir();
    let store = opened(&dir);
    store.write_lease(&[], Some(lease(100))).unwrap();
    store.write(&[Record::Counter { client: ALICE, used: used(5) }]).unwrap();
    drop(store);
    assert_eq!(open(&dir).unwrap().1.last_stop, LastStop::Unclean(lease(100)));
}

#[test]
fn many_unclean_stops_burn_all_their_leases() {
    let (_temp, dir) = state_dir();
    for at in 0..20 {
        opened(&dir).write_lease(&[], Some(lease(at * 1000))).unwrap();
    }
    let (_store, loaded) = open(&dir).unwrap();
    assert!(loaded.burnt.iter().count() <= MAX_BURNT);
    for at in 0..20 {
        assert!(loaded.burnt.iter().any(|burnt| burnt.contains(at * 1000 + 50)), "{at}");
    }
}

/// A kill at any point: what is in the file then is what the next agent finds.
#[test]
fn whatever_was_admitted_before_a_kill_is_not_admitted_after_it() {
    let (_temp, dir) = state_dir();
    let (_other, copy) = state_dir();
    let store = opened(&dir);
    let mut admitted = Vec::new();
    let check = |admitted: &[u64]| {
        std::fs::copy(dir.store_file(), copy.store_file()).unwrap();
        let (_store, loaded) = open(&copy).unwrap();
        let last = loaded.used.get(&ALICE).map_or(0, |used| used.last);
        let is_used =
            |counter: u64| counter <= last || loaded.burnt.iter().any(|burnt| burnt.contains(counter));
        assert!(admitted.iter().all(|counter| is_used(*counter)), "{admitted:?}: {loaded:?}");
        assert!(!is_used(10_000), "a counter that nobody has used is good");
    };
    for at in 1..=10 {
        // The lease is durable before a counter in it is admitted from memory.
        let stored = admitted.last().map(|last| Record::Counter { client: ALICE, used: used(*last) });
        store.write_lease(stored.as_slice(), Some(lease(at * 100))).unwrap();
        check(&admitted);
        admitted.push(at * 100 + 7);
        check(&admitted);
        // And one that waits for the disk.
        store.write(&[Record::Counter { client: ALICE, used: used(at * 100 + 99) }]).unwrap();
        admitted.push(at * 100 + 99);
        check(&admitted);
    }
}

#[test]
fn a_store_of_version_1_is_read_and_becomes_one_of_version_2() {
    let (_temp, dir) = state_dir();
    version_1(&dir);
    assert_eq!(Store::peek(&dir).unwrap().used[&ALICE], used(77), "also while it is of version 1");
    Store::check(&dir, GATE_ID, &RosterFile::default()).unwrap();

    let (store, loaded) = open(&dir).unwrap();

    assert_eq!(
        (loaded.used[&ALICE], loaded.cursors[&BOOK], loaded.last_stop),
        (used(77), 3, LastStop::Clean)
    );
    assert_eq!(store.policy("a").unwrap(), HashMap::from([(1, 2)]));
    store.write_lease(&[Record::Counter { client: ALICE, used: used(78) }], None).unwrap();
    drop(store);
    assert_eq!(open(&dir).unwrap().1.used[&ALICE], used(78));
    let database = builder().open(dir.store_file()).unwrap();
    let tables = database.begin_read().unwrap();
    let old = tables.open_table(TableDefinition::<u32, u64>::new("counters"));
    assert!(
        matches!(old, Err(redb::TableError::TableDoesNotExist(_))),
        "an older program must not believe it"
    );
}

#[test]
fn a_store_of_a_later_version_is_left_to_the_program_that_wrote_it() {
    let (_temp, dir) = state_dir();
    drop(opened(&dir));
    let database = builder().open(dir.store_file()).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let table = TableDefinition::<u32, [u8; 16]>::new("gate");
        let mut table = transaction.open_table(table).unwrap();
        table.remove(2).unwrap();
        table.insert(3, GATE_ID.0).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let said = refusal(open(&dir));
    assert!(said.contains("format version") && !said.contains("rebuild"), "{said}");
    let checked = Store::check(&dir, GATE_ID, &RosterFile::default()).unwrap_err().to_string();
    assert_eq!(checked, said);
    let database = builder().open(dir.store_file()).unwrap();
    let table =
        database.begin_read().unwrap().open_table(TableDefinition::<u32, [u8; 16]>::new("gate")).unwrap();
    assert!(table.get(3).unwrap().is_some() && table.get(2).unwrap().is_none());
}

#[test]
fn only_damage_is_a_reason_to_replace_a_store() {
    let said = |error| unusable(Path::new("state.redb"), error).to_string();
    let io = |kind: std::io::ErrorKind| redb::Error::Io(kind.into());
    for (error, remedy) in [
        (io(std::io::ErrorKind::StorageFull), "; make room on the disk"),
        (io(std::io::ErrorKind::ReadOnlyFilesystem), "; remount the file system read-write"),
        (redb::Error::UpgradeRequired(9), "; use the program that wrote it, or a newer one"),
        (redb::Error::Corrupted(String::new()), RESTORE),
        (io(std::io::ErrorKind::InvalidData), RESTORE),
    ] {
        let said = said(error);
        assert!(said.ends_with(remedy), "{said}");
    }
}

/// What a program of the first version has left.
fn version_1(dir: &StateDir) {
    private_file::create(&dir.store_file(), &[]).unwrap();
    let database = builder().create(dir.store_file()).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let table = |name| TableDefinition::<u32, [u8; 16]>::new(name);
        transaction.open_table(table("gate")).unwrap().insert(1, GATE_ID.0).unwrap();
        let counters = TableDefinition::<u32, u64>::new("counters");
        transaction.open_table(counters).unwrap().insert(ALICE.0, 77).unwrap();
        let cursors = TableDefinition::<[u8; 8], u32>::new("cursors");
        transaction.open_table(cursors).unwrap().insert(BOOK.0, 3).unwrap();
        let policies = TableDefinition::<(&str, u32), u64>::new("policies");
        transaction.open_table(policies).unwrap().insert(("a", 1), 2).unwrap();
    }
    transaction.commit().unwrap();
}

/// A hundred counters.
fn lease(after: u64) -> Lease {
    Lease { after, until: after + 100 }
}

#[test]
fn numbers_of_policies_are_kept_apart_and_zero_forgets() {
    let (_temp, dir) = state_dir();
    let store = opened(&dir);
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
    let store = opened(&dir);
    store.write(&[Record::Offer { client: ALICE, used: used(9), book: BOOK, next: 4 }]).unwrap();
    assert_eq!(Store::peek(&dir).unwrap().cursors[&BOOK], 4);
    store.write(&[Record::Offer { client: ALICE, used: used(10), book: BOOK, next: 5 }]).unwrap();
    assert_eq!(Store::peek(&dir).unwrap().cursors[&BOOK], 5);
}

#[test]
fn a_store_that_a_killed_agent_left_open_has_all_that_was_written() {
    let (_temp, dir) = state_dir();
    let (_other, copy) = state_dir();
    let store = opened(&dir);
    for next in 1..=20 {
        store.write(&[Record::Offer { client: ALICE, used: used(next.into()), book: BOOK, next }]).unwrap();
        // What is in the file now is what a kill would leave there.
        std::fs::copy(dir.store_file(), copy.store_file()).unwrap();
        let (_store, found) = open(&copy).unwrap();
        assert_eq!((found.used[&ALICE], found.cursors[&BOOK]), (used(next.into()), next));
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

    Store::rebuild(&dir, GATE_ID, &roster).unwrap();

    let (_store, loaded) = Store::open(&dir, GATE_ID, &roster).unwrap();
    assert_eq!(loaded.used[&ALICE], Used::EVERYTHING);
    assert_eq!(loaded.cursors[&roster.books()[0].book.id()], 10);
}

#[test]
fn a_rebuild_keeps_what_can_be_read_and_the_old_file() {
    let (_temp, dir) = state_dir();
    let roster = used_roster(&dir);
    Store::create(&dir, GATE_ID).unwrap();
    let (store, _) = Store::open(&dir, GATE_ID, &roster).unwrap();
    let gone = ClientId(9);
    store
        .write_lease(&[Record::Offer { client: gone, used: used(4), book: BOOK, next: 3 }], Some(lease(0)))
        .unwrap();
    assert!(Store::rebuild(&dir, GATE_ID, &roster).is_err(), "an agent is running");
    drop(store);

    Store::rebuild(&dir, GATE_ID, &roster).unwrap();

    let (_store, loaded) = Store::open(&dir, GATE_ID, &roster).unwrap();
    assert_eq!((loaded.used[&gone], loaded.cursors[&BOOK], loaded.last_stop), (used(4), 3, LastStop::Clean));
    assert_eq!(loaded.burnt.iter().collect::<Vec<_>>(), [lease(0)]);
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
        if let Err(error) = open(&dir) {
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
    let store = opened(&dir);
    let next = |next| Record::Offer { client: ALICE, used: used(1), book: BOOK, next };
    store.write(&[next(2)]).unwrap();

    // What redb says to everything once the disk has failed it.
    assert!(store.change(|_| Err(redb::Error::PreviousIo)).is_err());
    store.write(&[next(3)]).unwrap();

    assert_eq!(Store::peek(&dir).unwrap().cursors[&BOOK], 3);
}
