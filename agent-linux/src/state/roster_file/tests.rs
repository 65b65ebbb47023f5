use std::collections::BTreeSet;

use knockgate_core::book::Shape;
use knockgate_core::key::PublicKey;

use super::*;
use crate::state::{GateIdentity, system_rng};

struct Scene {
    _temp: tempfile::TempDir,
    dir: StateDir,
    identity: GateIdentity,
}

fn scene() -> Scene {
    let temp = tempfile::tempdir().unwrap();
    let dir = StateDir::create(&temp.path().join("state")).unwrap();
    let identity = GateIdentity::generate(shape(), &[], &mut system_rng()).ok().unwrap();
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
        id: number,
        name: name.parse().unwrap(),
        key: PublicKey(key),
        services: [1].into(),
        book: id,
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
fn the_watch_sees_every_replacement_once() {
    let scene = scene();
    let (mut watch, first) = RosterWatch::begin(&scene.dir).unwrap();
    assert!(first.clients().is_empty() && watch.poll().unwrap().is_none());
    scene.add("alice");
    assert_eq!(watch.poll().unwrap().map(|roster| roster.clients().len()), Some(1));
    assert!(watch.poll().unwrap().is_none());
}

#[test]
fn a_roster_of_a_hundred_thousand_clients_is_written_and_read() {
    let scene = scene();
    let mut edit = RosterEdit::begin(&scene.dir).unwrap();
    for at in 0..100_000u32 {
        // Added past the checks for names and keys, which look at every client.
        let (mut key, book) = ([0; 32], scene.book());
        key[..4].copy_from_slice(&at.to_le_bytes());
        let (id, name) = (ClientId(at), format!("client-{at}").parse().unwrap());
        edit.roster.clients.push(Client {
            id,
            name,
            key: PublicKey(key),
            services: [1].into(),
            book: book.id(),
        });
        edit.roster.books.push(EnrolledBook { book, shared: false });
    }
    edit.roster.next_client = 100_000;
    edit.commit().unwrap();
    assert_eq!(RosterFile::load(&scene.dir).unwrap().clients().len(), 100_000);
}
