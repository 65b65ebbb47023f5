//! Keys, second factors and ends of enrolments, as an administrator gives and takes them.

use std::fs;

use knockgate_agent::state::{GateIdentity, RosterFile, StateDir};
use knockgate_core::key::SecretKey;
use knockgate_core::profile::{PortRange, Profile};
use knockgate_core::{Client, text_form};
use serde_json::{Value, json};

use super::scene::Scene;

const OWN: [u8; 32] = [7; 32];

#[test]
fn a_client_that_has_made_its_key_gets_a_profile_without_one() {
    let scene = Scene::ready();
    let own = SecretKey::from_bytes(OWN).public();
    let said = scene.run(&["client", "add", "alice", "--key", &text_form::public_key(&own)]).good();
    assert!(said.contains("which holds no secret key"), "{said}");
    assert!(profile(&scene, "alice.kgp").secret.is_none());
    assert_eq!(client(&scene, "alice").key, own);

    let again = scene.run(&["client", "add", "bob", "--key", &text_form::public_key(&own)]).bad(1);
    assert!(again.contains("client alice has this key already, or had it before; make a new key"), "{again}");
    assert!(!scene.path().join("bob.kgp").exists());
}

#[test]
fn a_profile_says_where_packets_knock_and_has_the_door_key_in_force() {
    let scene = Scene::ready();
    scene.run(&["door", "rotate", "--now"]).good();
    scene.run(&["client", "add", "alice"]).good();
    let profile = profile(&scene, "alice.kgp");
    assert_eq!(
        (profile.packet_ports, profile.central_port),
        (Some(PortRange { first: 62201, last: 62201 }), 0)
    );
    assert!(profile.door_key.is(&identity(&scene).door.current));
    assert_eq!(profile.secret.unwrap().public(), client(&scene, "alice").key);
}

#[test]
fn a_profile_that_is_shown_is_the_one_that_works_and_no_file_is_written_unless_asked_for() {
    let scene = Scene::ready();
    let said = scene.run(&["client", "add", "alice", "--qr"]).good();
    let text = said.lines().find(|line| line.starts_with("kgprofile1-")).unwrap();
    let mut buffer = [0; Profile::MAX_FILE];
    let shown = Profile::decode(text_form::parse_profile(text.as_bytes(), &mut buffer).unwrap()).unwrap();
    assert_eq!(shown.secret.unwrap().public(), client(&scene, "alice").key);
    assert!(said.lines().filter(|line| line.contains('█')).count() > 20, "{said}");
    assert!(!scene.path().join("alice.kgp").exists());

    scene.run(&["client", "add", "bob", "--qr", "--out", "b.kgp"]).good();
    assert_eq!(profile(&scene, "b.kgp").client.as_str(), "bob");
}

#[test]
fn a_second_factor_is_shown_once_and_taken_away_on_demand() {
    let scene = Scene::ready();
    let said = scene.run(&["client", "add", "alice", "--totp"]).good();
    let first = secret(&said);
    assert!(said.contains("otpauth://totp/gate.example:alice?secret="), "{said}");
    assert!(!scene.run(&["client", "list"]).good().contains(&first));
    assert_eq!(row(&scene)["second_factor"], json!(true));

    let second = secret(&scene.run(&["client", "totp", "alice"]).good());
    assert_ne!(first, second);

    scene.run(&["client", "totp", "alice", "--remove"]).good();
    assert_eq!(row(&scene)["second_factor"], json!(false));
    let said = scene.run(&["client", "totp", "alice", "--remove"]).bad(1);
    assert!(
        said.contains("alice has no second factor; `knockgated client totp alice` gives it one"),
        "{said}"
    );
}

#[test]
fn check_names_who_lacks_a_second_factor_and_whose_enrolment_has_ended() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    scene.run(&["client", "add", "bob", "--totp"]).good();
    scene.run(&["client", "expire", "bob", "--at", "2001-01-01"]).good();
    let text = fs::read_to_string(scene.config()).unwrap();
    let said = scene
        .run_with_config(&text.replace("# second-factor = false", "second-factor = true"), &["check"])
        .good();
    assert!(
        said.contains("warning: without a second factor, which a service of theirs needs: alice;"),
        "{said}"
    );
    assert!(said.contains("warning: the enrolment has ended of bob\n"), "{said}");
}

#[test]
fn an_enrolment_ends_when_it_was_told_to() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice", "--expires", "2101-02-03T00:00:00Z", "--confirm"]).good();
    assert_eq!(
        (&row(&scene)["expires"], &row(&scene)["confirm"]),
        (&json!("2101-02-03T00:00:00Z"), &json!(true))
    );
    assert!(scene.run(&["client", "list"]).good().contains("web  (until 2101-02-03"));

    let said = scene.run(&["client", "expire", "alice", "--at", "2001-01-01T00:00:00Z"]).good();
    assert!(said.contains("the enrolment of alice has ended (2001-01-01"), "{said}");
    assert_eq!(row(&scene)["expired"], json!(true));

    scene.run(&["client", "expire", "alice", "--in", "30d"]).good();
    assert_eq!(row(&scene)["expired"], json!(false));
    scene.run(&["client", "expire", "alice", "--never"]).good();
    assert_eq!(row(&scene)["expires"], Value::Null);
    let said = scene.run(&["client", "expire", "bob", "--never"]).bad(1);
    assert!(said.contains("there is no client bob"), "{said}");
}

#[test]
fn a_client_confirms_or_leaves_it_to_the_service() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    for (word, expected) in [("on", true), ("off", false)] {
        scene.run(&["client", "confirm", "alice", word]).good();
        assert_eq!(row(&scene)["confirm"], json!(expected));
    }
}

#[test]
fn a_rotated_key_leaves_the_one_before_good_for_a_while_and_the_book_as_it_is() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    let before = profile(&scene, "alice.kgp");

    let said = scene.run(&["client", "rotate", "alice", "--grace", "1d"]).bad(1);
    assert!(said.contains("alice.kgp: exists already; move it away"), "{said}");
    assert_eq!(Some(client(&scene, "alice").key), before.secret.as_ref().map(SecretKey::public));
    fs::remove_file(scene.path().join("alice.kgp")).unwrap();
    let said = scene.run(&["client", "rotate", "alice", "--grace", "1d"]).good();

    assert!(said.contains("the one before stays good until"), "{said}");
    assert!(said.contains("there `knockgate enroll --force alice.kgp`"), "{said}");
    let (after, enrolled) = (profile(&scene, "alice.kgp"), client(&scene, "alice"));
    assert_eq!(enrolled.key, after.secret.unwrap().public());
    assert_eq!(enrolled.former.map(|former| former.key), before.secret.map(|secret| secret.public()));
    assert_eq!((after.book.id(), enrolled.book), (before.book.id(), before.book.id()));
    assert!(row(&scene)["former_key_until"].is_string());
}

#[test]
fn a_key_that_is_replaced_at_once_takes_its_book_with_it_unless_others_share_that() {
    let scene = Scene::ready();
    scene.run(&["book", "new", "team.kgb"]).good();
    for (name, book, stays) in [("alice", None, false), ("bob", Some("team.kgb"), true)] {
        let mut add = vec!["client", "add", name];
        add.extend(book.iter().flat_map(|book| ["--book", *book]));
        scene.run(&add).good();
        let before = client(&scene, name);

        scene.run(&["client", "rotate", name, "--now", "--out", &format!("{name}2.kgp")]).good();

        let (after, profile) = (client(&scene, name), profile(&scene, &format!("{name}2.kgp")));
        assert!(after.former.is_none() && after.id == before.id && after.key != before.key);
        assert_eq!((after.book == before.book, profile.book.id()), (stays, after.book));
    }
    assert_eq!(roster(&scene).books().len(), 2, "alice's old book is gone");
}

#[test]
fn a_rotation_with_a_told_key_writes_no_secret() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    let own = SecretKey::from_bytes(OWN).public();
    let key = text_form::public_key(&own);
    scene.run(&["client", "rotate", "alice", "--key", &key, "--out", "new.kgp"]).good();
    assert!(profile(&scene, "new.kgp").secret.is_none());
    assert_eq!(client(&scene, "alice").key, own);
}

#[test]
fn a_change_that_cannot_be_written_leaves_everything_as_it_was() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    let before = fs::read(scene.state().join("roster")).unwrap();
    fs::create_dir(scene.state().join("roster.new")).unwrap();
    let cases: &[&[&str]] = &[
        &["client", "rotate", "alice", "--out", "new.kgp"],
        &["client", "rotate", "alice", "--now", "--out", "new.kgp"],
        &["client", "expire", "alice", "--in", "1d"],
        &["client", "confirm", "alice", "on"],
        &["client", "totp", "alice"],
        &["client", "add", "bob", "--totp", "--qr"],
    ];
    for command in cases {
        let said = scene.run(command).bad(1);
        assert!(said.contains("replacing it failed") && !said.contains("otpauth"), "{command:?}: {said}");
        assert_eq!(fs::read(scene.state().join("roster")).unwrap(), before, "{command:?}");
        assert!(!scene.path().join("new.kgp").exists(), "{command:?}");
    }
}

/// Killed wherever it may be: the roster is the old one or the new one, and the new one has its profile.
#[test]
fn a_rotation_that_is_killed_leaves_the_old_key_or_the_new_one_with_its_profile() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    for micros in (0..30).map(|at| at * 700) {
        let before = client(&scene, "alice").key;
        let mut rotation =
            scene.command(&["client", "rotate", "alice", "--now", "--out", "new.kgp"]).spawn().unwrap();
        // Not a wait for something: any time will do.
        std::thread::sleep(std::time::Duration::from_micros(micros));
        let _ = rotation.kill();
        rotation.wait().unwrap();

        let after = client(&scene, "alice").key;
        if after != before {
            assert_eq!(profile(&scene, "new.kgp").secret.unwrap().public(), after);
        }
        let _ = fs::remove_file(scene.path().join("new.kgp"));
    }
}

#[test]
fn the_door_key_is_rotated_once_at_a_time() {
    let scene = Scene::ready();
    let first = identity(&scene).door.current.clone();
    assert!(scene.run(&["door", "show"]).good().contains("before    none\n"));

    let said = scene.run(&["door", "rotate"]).good();
    assert!(said.contains("stays good until") && said.contains("`knockgated client rotate NAME`"), "{said}");
    assert!(identity(&scene).door.former.is_some_and(|former| former.key.is(&first)));
    assert!(scene.run(&["door", "show"]).good().contains("before    good until "));

    let said = scene.run(&["door", "rotate"]).bad(1);
    assert!(said.contains("the key before is still good until") && said.contains("or say --now"), "{said}");
    let second = identity(&scene).door.current;

    scene.run(&["door", "rotate", "--now"]).good();
    let door = identity(&scene).door;
    assert!(door.former.is_none() && !door.current.is(&second) && !door.current.is(&first));
    scene.run(&["check"]).good();
}

fn profile(scene: &Scene, file: &str) -> Profile {
    let content = fs::read(scene.path().join(file)).expect("the profile is there");
    Profile::decode(&content).expect("the profile is whole")
}

fn state_dir(scene: &Scene) -> StateDir {
    StateDir::open(&scene.state()).expect("the state is there")
}

fn roster(scene: &Scene) -> RosterFile {
    RosterFile::load(&state_dir(scene)).expect("the roster is whole")
}

fn client(scene: &Scene, name: &str) -> Client {
    roster(scene).client(name).cloned().expect("the client is enrolled")
}

fn identity(scene: &Scene) -> GateIdentity {
    GateIdentity::load(&state_dir(scene)).expect("the identity is whole")
}

/// The first client as programs see it.
fn row(scene: &Scene) -> Value {
    let list = scene.run(&["client", "list", "--json"]).good();
    let rows: Value = serde_json::from_str(&list).expect("a list");
    rows[0].clone()
}

fn secret(said: &str) -> String {
    let uri = said.lines().find(|line| line.starts_with("otpauth://")).expect("a second factor was shown");
    let (_, rest) = uri.split_once("secret=").expect("it has a secret");
    rest.split('&').next().unwrap_or_default().to_owned()
}
