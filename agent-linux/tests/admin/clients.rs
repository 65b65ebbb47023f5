//! The clients of a gate and their books: enrolled, listed, removed.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use knockgate_core::profile::Profile;

use super::scene::{Scene, chmod};

#[test]
fn a_client_gets_a_whole_profile_that_only_it_can_read() {
    let scene = Scene::ready();
    let said = scene.run(&["client", "add", "alice"]).good();
    assert!(said.contains("alice is client 1 and may open web, from a book of its own"), "{said}");

    let file = scene.path().join("alice.kgp");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let profile = Profile::decode(&fs::read(&file).unwrap()).unwrap();

    assert_eq!(
        (profile.client.as_str(), profile.address.as_str(), profile.central_port),
        ("alice", "gate.example", 0)
    );
    assert_eq!(
        profile.services.iter().map(|service| (service.id, service.port)).collect::<Vec<_>>(),
        [(1, 8080)]
    );
    assert_eq!((profile.book.shape().count(), profile.book.shape().length()), (1000, 6));
}

#[test]
fn a_profile_is_never_overwritten_and_then_nobody_is_enrolled() {
    let scene = Scene::ready();
    fs::write(scene.path().join("alice.kgp"), "something else").unwrap();
    let said = scene.run(&["client", "add", "alice"]).bad(1);
    assert!(said.contains("alice.kgp: exists already; move it away, or choose another name"), "{said}");
    assert_eq!(scene.clients(), Vec::<String>::new());
}

#[test]
fn a_client_is_refused_for_each_wrong_argument() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    let other = scene.path().join("other.kgp");
    #[rustfmt::skip]
    let cases: &[(u32, &[&str], &str)] = &[
        (1, &["alice"], "there is a client alice already; choose another name"),
        (2, &["a b"], "cannot stand there in a name"),
        (3, &["bob", "--service", "ssh"], "there is no service ssh; configured in"),
        (4, &["bob", "--book", "missing.kgb"], "missing.kgb: opening failed"),
        (5, &["bob", "--out", "no/such/dir.kgp"], "no/such/dir.kgp: making it failed"),
    ];
    for (case, arguments, expected) in cases {
        let mut command = vec!["client", "add"];
        command.extend(*arguments);
        if !arguments.contains(&"--out") {
            command.extend(["--out", other.to_str().unwrap()]);
        }
        let said = scene.run(&command).bad(1);
        assert!(said.contains(expected), "case {case}: {said}");
        assert!(!other.exists(), "case {case} left a profile");
    }
    assert_eq!(scene.clients(), ["alice"]);
}

#[test]
fn clients_that_are_added_at_the_same_time_are_all_enrolled() {
    let scene = Scene::ready();
    let names: Vec<_> = (0..6).map(|at| format!("c{at}")).collect();
    let running: Vec<_> =
        names.iter().map(|name| scene.command(&["client", "add", name]).spawn().unwrap()).collect();
    for mut process in running {
        assert!(process.wait().unwrap().success());
    }
    let mut clients = scene.clients();
    clients.sort();
    assert_eq!(clients, names);
    assert!(names.iter().all(|name| scene.path().join(format!("{name}.kgp")).exists()));
}

#[test]
fn an_enrolment_that_cannot_be_written_leaves_the_old_roster_and_no_profile() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    let before = fs::read(scene.state().join("roster")).unwrap();
    // The new roster cannot be written where a directory stands in its way.
    fs::create_dir(scene.state().join("roster.new")).unwrap();

    let said = scene.run(&["client", "add", "bob"]).bad(1);

    assert!(said.contains("nobody was enrolled") && !scene.path().join("bob.kgp").exists(), "{said}");
    assert_eq!(fs::read(scene.state().join("roster")).unwrap(), before);
    let said = scene.run(&["client", "remove", "alice"]).bad(1);
    assert!(said.contains("replacing it failed"), "{said}");
    assert_eq!(scene.clients(), ["alice"]);
}

#[test]
fn what_a_crash_left_beside_the_roster_does_no_harm() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    fs::write(scene.state().join("roster.new"), "half a ros").unwrap();
    scene.run(&["client", "add", "bob"]).good();
    assert_eq!(scene.clients(), ["alice", "bob"]);
}

#[test]
fn a_removed_client_is_gone_and_its_number_with_it() {
    let scene = Scene::ready();
    scene.run(&["client", "add", "alice"]).good();
    scene.run(&["client", "remove", "alice"]).good();
    assert_eq!(scene.clients(), Vec::<String>::new());
    let said = scene.run(&["client", "remove", "alice"]).bad(1);
    assert!(said.contains("there is no client alice; `knockgated client list` shows them"), "{said}");
    fs::remove_file(scene.path().join("alice.kgp")).unwrap();
    assert!(scene.run(&["client", "add", "alice"]).good().contains("alice is client 2"));
}

#[test]
fn the_list_shows_services_books_and_what_is_left_of_them() {
    let scene = Scene::ready();
    assert!(scene.run(&["client", "list"]).good().contains("no client is enrolled"));
    scene.run(&["client", "add", "alice"]).good();
    let said = scene.run(&["client", "list"]).good();
    assert!(
        said.lines().nth(1).is_some_and(|row| row.starts_with("alice ") && row.contains("1000 of 1000")),
        "{said}"
    );
    let rows: serde_json::Value =
        serde_json::from_str(&scene.run(&["client", "list", "--json"]).good()).unwrap();
    assert_eq!(
        (&rows[0]["name"], &rows[0]["left"], &rows[0]["services"][0]),
        (&"alice".into(), &1000.into(), &"web".into())
    );
}

#[test]
fn a_shared_book_is_enrolled_once_and_printed_the_same_everywhere() {
    let scene = Scene::ready();
    let said = scene.run(&["book", "new", "team.kgb", "--count", "20", "--length", "4"]).good();
    assert!(said.contains("knocks    20 of 4 ports each, out of 100 decoys in 10000 to 32767"), "{said}");
    assert!(said.contains("keyspace  9.41e7 sequences in order (26.5 bits)"), "{said}");
    scene.run(&["client", "add", "alice", "--book", "team.kgb"]).good();
    scene.run(&["client", "add", "bob", "--book", "team.kgb"]).good();

    let table = |text: String| {
        text.lines().skip_while(|line| !line.starts_with("number")).map(str::to_owned).collect::<Vec<_>>()
    };
    let of_file = table(scene.run(&["book", "show", "team.kgb"]).good());
    let of_alice = scene.run(&["book", "show", "alice", "--numbers", "5..7"]).good();

    assert_eq!(of_file.len(), 21);
    assert!(of_alice.contains("next      number 0, 20 left"), "{of_alice}");
    assert_eq!(table(of_alice)[1..], of_file[6..8]);
    let profile = Profile::decode(&fs::read(scene.path().join("bob.kgp")).unwrap()).unwrap();
    let sequence = profile.book.sequence(5, &profile.book.decoys()).unwrap();
    let ports: Vec<_> = sequence.iter().map(u16::to_string).collect();
    assert!(of_file[6].ends_with(&ports.join(" ")), "{:?}", of_file[6]);
}

#[test]
fn a_book_that_cannot_be_is_refused() {
    let scene = Scene::ready();
    #[rustfmt::skip]
    let cases = [
        (1, ["--count", "0"], "a book has 1 to 65536 knocks"),
        (2, ["--length", "2"], "a sequence has 3 to 16 ports"),
        (3, ["--decoy-count", "99"], "all books of a gate share its decoys; leave decoy-count"),
    ];
    for (case, [flag, value], expected) in cases {
        let said = scene.run(&["book", "new", "x.kgb", flag, value]).bad(1);
        assert!(said.contains(expected), "case {case}: {said}");
    }
    let said = scene.run(&["book", "show", "nobody"]).bad(1);
    assert!(said.contains("nobody is neither a file nor a client; `knockgated client list`"), "{said}");
    scene.run(&["book", "new", "x.kgb"]).good();
    let said = scene.run(&["book", "show", "x.kgb", "--numbers", "1000..1001"]).bad(1);
    assert!(said.contains("the book ends with number 999"), "{said}");
}

#[test]
fn a_book_that_is_damaged_cut_off_or_foreign_is_refused_and_nobody_is_enrolled() {
    let scene = Scene::ready();
    scene.run(&["book", "new", "good.kgb"]).good();
    scene.run(&["client", "add", "zoe"]).good();
    let good = fs::read(scene.path().join("good.kgb")).unwrap();
    let mut damaged = good.clone();
    damaged[40] ^= 1;
    let mut newer = good.clone();
    newer[4] = 9;
    let other = Scene::ready();
    other.run(&["book", "new", "other.kgb"]).good();
    #[rustfmt::skip]
    let cases = [
        (1, damaged, "this knock book is damaged or cut off: its checksum does not fit; copy it again"),
        (2, good[..good.len() / 2].to_vec(), "this knock book is damaged or cut off"),
        (3, good[..3].to_vec(), "this knock book is cut off; copy it again"),
        (4, Vec::new(), "this knock book is cut off; copy it again"),
        (5, fs::read(scene.path().join("zoe.kgp")).unwrap(), "this is no knock book but another kind of file; name the right"),
        (6, newer, "this knock book has format version 9, which this program does not know; use the program"),
        (7, fs::read(other.path().join("other.kgb")).unwrap(), "was made for another gate, which has other decoys; make one"),
    ];
    for (case, content, expected) in cases {
        let file = scene.path().join("x.kgb");
        fs::write(&file, content).unwrap();
        chmod(&file, 0o600);
        let said = scene.run(&["client", "add", "alice", "--book", "x.kgb"]).bad(1);
        assert!(said.contains("x.kgb: ") && said.contains(expected), "case {case}: {said}");
    }
    assert_eq!(scene.clients(), ["zoe"]);
    assert!(!scene.path().join("alice.kgp").exists());
}
