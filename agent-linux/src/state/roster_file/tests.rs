use std::collections::BTreeSet;

use knockgate_core::UnixTime;
use knockgate_core::book::Shape;

use super::*;
use crate::state::{GateIdentity, RosterWatch, system_rng};

struct Scene {
    _temp: tempfile::TempDir,
    dir: StateDir,
    identity: GateIdentity,
}

fn scene() -> Scene {
    let temp = tempfile::tempdir().unwrap();
    let dir = StateDir::create(&temp.path().join("state")).unwrap();
    let identity = GateIdentity::generate(shape(), &[], None, &mut system_rng()).ok().unwrap();
    RosterFile::create(&dir).unwrap();
    Scene { _temp: temp, dir, identity }
}

fn shape() -> Shape {
    Shape::new(10, 3, 16, 10_000..=20_000).unwrap()
}

impl Scene {
    fn book(&self) -> Book {
        self.identity.new_book(shape(), &mut system_rng()).ok().unwrap()
    }

    fn add(&self, name: &str) -> ClientId {
        let mut edit = RosterEdit::begin(&self.dir).unwrap();
        let id = add(&mut edit.roster, name, EnrolledBook { book: self.book(), shared: false }).unwrap();
        edit.commit().unwrap();
        id
    }
}

fn add(roster: &mut RosterFile, name: &str, book: EnrolledBook) -> Result<ClientId, RosterError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).unwrap();
    let id = book.book.id();
    let enrol = |number| Client {
        services: [1].into(),
        ..Client::new(number, name.parse().unwrap(), PublicKey(key), id)
    };
    roster.add(enrol, book).map(|client| client.id)
}

#[test]
fn what_was_committed_is_loaded() {
    let scene = scene();
    assert_eq!(scene.add("alice"), ClientId(1));
    assert_eq!(scene.add("bob"), ClientId(2));
    let roster = RosterFile::load(&scene.dir).unwrap();
    assert_eq!(
        roster.clients().iter().map(|client| client.name.as_str()).collect::<Vec<_>>(),
        ["alice", "bob"]
    );
    assert_eq!(roster.books().len(), 2);
}

#[test]
fn a_number_of_a_client_that_is_gone_is_never_given_out_again() {
    let scene = scene();
    scene.add("alice");
    let mut edit = RosterEdit::begin(&scene.dir).unwrap();
    edit.roster.remove("alice").unwrap();
    edit.commit().unwrap();
    assert_eq!(scene.add("alice"), ClientId(2));
    assert_eq!(RosterFile::load(&scene.dir).unwrap().books().len(), 1, "her first book went with her");
}

#[test]
fn an_edit_without_commit_changes_nothing() {
    let scene = scene();
    let mut edit = RosterEdit::begin(&scene.dir).unwrap();
    add(&mut edit.roster, "alice", EnrolledBook { book: scene.book(), shared: false }).unwrap();
    drop(edit);
    assert!(RosterFile::load(&scene.dir).unwrap().clients().is_empty());
}

#[test]
fn edits_at_the_same_time_all_land() {
    let scene = scene();
    let numbers: BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|at| {
                scope.spawn({
                    let scene = &scene;
                    move || scene.add(&format!("c{at}"))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!((numbers.len(), RosterFile::load(&scene.dir).unwrap().clients().len()), (8, 8));
}

#[test]
fn a_name_is_given_once() {
    let scene = scene();
    scene.add("alice");
    let mut edit = RosterEdit::begin(&scene.dir).unwrap();
    let again = add(&mut edit.roster, "alice", EnrolledBook { book: scene.book(), shared: false });
    assert!(again.unwrap_err().to_string().contains("`knockgated client remove alice` first"));
}

#[test]
fn a_shared_book_stays_when_its_clients_go() {
    let scene = scene();
    let book = EnrolledBook { book: scene.book(), shared: true };
    let mut edit = RosterEdit::begin(&scene.dir).unwrap();
    add(&mut edit.roster, "alice", book.clone()).unwrap();
    add(&mut edit.roster, "bob", book).unwrap();
    assert_eq!(edit.roster.books().len(), 1);
    edit.roster.remove("alice").unwrap();
    edit.roster.remove("bob").unwrap();
    assert_eq!(edit.roster.books().len(), 1);
}

#[test]
fn a_failed_commit_leaves_the_old_roster() {
    let scene = scene();
    scene.add("alice");
    std::fs::create_dir(scene.dir.roster_file().with_added_extension("new")).unwrap();
    let mut edit = RosterEdit::begin(&scene.dir).unwrap();
    add(&mut edit.roster, "bob", EnrolledBook { book: scene.book(), shared: false }).unwrap();
    assert!(edit.commit().is_err());
    assert_eq!(RosterFile::load(&scene.dir).unwrap().clients().len(), 1);
}

#[test]
fn every_damage_is_refused_with_the_remedy() {
    let scene = scene();
    scene.add("alice");
    let path = scene.dir.roster_file();
    let whole = std::fs::read(&path).unwrap();
    for at in [0, 4, 5, 20, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        assert!(
            RosterFile::load(&scene.dir).err().is_some_and(|error| error.to_string().contains("; ")),
            "byte {at}"
        );
    }
    for len in [0, 3, 5, 12, whole.len() - 1] {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(RosterFile::load(&scene.dir).is_err(), "{len} bytes");
    }
    std::fs::remove_file(&path).unwrap();
    assert!(
        RosterFile::load(&scene.dir)
            .err()
            .is_some_and(|error| error.to_string().contains("roster is missing; restore"))
    );
}

#[test]
fn the_watch_tells_every_replacement_once_and_what_it_changes() {
    let scene = scene();
    let (mut watch, first) = RosterWatch::begin(&scene.dir, scene.identity.book_origin()).unwrap();
    assert!(first.clients().is_empty() && watch.poll().unwrap().is_none());
    scene.add("alice");
    let change = watch.poll().unwrap().unwrap();
    assert_eq!(change.enrolment.clients().len(), 1);
    assert_eq!(change.changes.added, [(ClientId(1), "alice".parse().unwrap())]);
    assert!(watch.poll().unwrap().is_none());
}

#[test]
fn a_roster_that_cannot_be_used_is_told_once_and_the_next_one_is_compared_with_the_one_in_use() {
    let scene = scene();
    scene.add("alice");
    let (mut watch, _) = RosterWatch::begin(&scene.dir, scene.identity.book_origin()).unwrap();
    let whole = std::fs::read(scene.dir.roster_file()).unwrap();
    private_file::replace(&scene.dir.roster_file(), &whole[..9]).unwrap();
    assert!(watch.poll().is_err() && watch.poll().unwrap().is_none());
    private_file::replace(&scene.dir.roster_file(), &whole).unwrap();
    scene.add("bob");
    assert_eq!(watch.poll().unwrap().unwrap().changes.added, [(ClientId(2), "bob".parse().unwrap())]);
}

#[test]
fn books_of_another_gate_are_refused() {
    let (scene, other) = (scene(), scene());
    scene.add("alice");
    let refused = RosterWatch::begin(&scene.dir, other.identity.book_origin()).err().unwrap().to_string();
    assert!(refused.contains("is drawn from the decoys of another gate; remove its clients"), "{refused}");
}

#[test]
fn a_roster_of_version_1_is_read_and_written_as_version_2() {
    #[derive(Serialize)]
    struct OldRoster(u32, [u8; 1], OldClient, [u8; 1], EnrolledBook);
    #[derive(Serialize)]
    struct OldClient(ClientId, Name, PublicKey, heapless::Vec<u16, 16>, BookId);
    let scene = scene();
    let book = scene.book();
    let client = OldClient(
        ClientId(4),
        "alice".parse().unwrap(),
        PublicKey([1; 32]),
        [1, 2].into_iter().collect(),
        book.id(),
    );
    // A list of one is its length and the item.
    let old = OldRoster(5, [1], client, [1], EnrolledBook { book, shared: false });
    let mut buffer = [0; 1024];
    let content = file::encode(Format { version: 1, ..FORMAT }, &old, &mut buffer).unwrap();
    private_file::replace(&scene.dir.roster_file(), content).unwrap();

    assert_eq!(scene.add("bob"), ClientId(5));

    let read = RosterFile::load(&scene.dir).unwrap();
    let alice = read.client("alice").unwrap();
    assert_eq!(
        (alice.id, alice.services.as_slice(), alice.former, alice.expires),
        (ClientId(4), &[1, 2][..], None, None)
    );
    assert_eq!(private_file::read(&scene.dir.roster_file()).unwrap()[4], 2);
}

#[test]
fn a_key_is_nobodys_else_also_a_former_one() {
    let scene = scene();
    scene.add("alice");
    scene.add("bob");
    let mut roster = RosterFile::load(&scene.dir).unwrap();
    let (first, bobs) = (roster.client("alice").unwrap().key, roster.client("bob").unwrap().key);
    let former = FormerKey { key: first, until: UnixTime::from_micros(9) };
    roster.rekey("alice", PublicKey([9; 32]), Some(former)).unwrap();
    for taken in [first, bobs, PublicKey([9; 32])] {
        assert!(matches!(roster.rekey("bob", taken, None), Err(RosterError::KeyTaken(_))));
    }
    assert!(roster.checked().is_ok());
}

#[test]
fn another_book_replaces_the_one_before_unless_that_is_shared() {
    for (shared, left) in [(false, 1), (true, 2)] {
        let scene = scene();
        let mut roster = RosterFile::default();
        add(&mut roster, "alice", EnrolledBook { book: scene.book(), shared }).unwrap();
        roster.rebook("alice", EnrolledBook { book: scene.book(), shared: false }).unwrap();
        assert_eq!(roster.books().len(), left);
        assert!(roster.checked().is_ok());
    }
}

#[test]
fn a_second_factor_goes_with_its_client() {
    let scene = scene();
    let id = scene.add("alice");
    let mut roster = RosterFile::load(&scene.dir).unwrap();
    roster.set_second_factor(id, Some(TotpSecret::from_bytes([1; 20])));
    roster.set_second_factor(id, Some(TotpSecret::from_bytes([2; 20])));
    assert_eq!(roster.second_factors().map(|(_, secret)| secret.bytes()[0]).collect::<Vec<_>>(), [2]);
    roster.remove("alice").unwrap();
    assert!(!roster.has_second_factor(id) && roster.checked().is_ok());
}

#[test]
fn a_roster_of_a_hundred_thousand_clients_is_written_and_read() {
    let scene = scene();
    let mut edit = RosterEdit::begin(&scene.dir).unwrap();
    for at in 0..100_000u32 {
        // Added past the checks for names and keys, which look at every client.
        let (mut key, book) = ([0; 32], scene.book());
        key[..4].copy_from_slice(&at.to_le_bytes());
        let name = format!("client-{at}").parse().unwrap();
        edit.roster.clients.push(Client::new(ClientId(at), name, PublicKey(key), book.id()));
        edit.roster.books.push(EnrolledBook { book, shared: false });
    }
    edit.roster.next_client = 100_000;
    edit.commit().unwrap();
    assert_eq!(RosterFile::load(&scene.dir).unwrap().clients().len(), 100_000);
}
