//! Every kind of bad input is refused with the file, what is wrong and the remedy, and changes nothing.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail with it")]

mod stand_in;

use std::fs;

use knockgate_core::book::Book;
use knockgate_core::profile::Profile;
use stand_in::{Finished, StandIn, set_mode};

const COPY_AGAIN: &str = "copy it again, or ask the gate's administrator for a new one";
const RIGHT_FILE: &str = "import the file that `knockgated client add` wrote with --out";

#[test]
fn a_file_that_is_no_good_profile_is_refused_by_import() {
    let gate = StandIn::new(&[]);
    let good = profile_file(&gate.profile);
    let damaged = DAMAGED.to_owned();
    #[rustfmt::skip]
    let cases: [(u32, Vec<u8>, String); 9] = [
        (1, vec![],                          format!("cut off: shorter than any profile; {COPY_AGAIN}")),
        (2, good[..4].to_vec(),              format!("cut off: shorter than any profile; {COPY_AGAIN}")),
        (3, good[..good.len() / 2].to_vec(), damaged.clone()),
        (4, good[..good.len() - 1].to_vec(), damaged.clone()),
        (5, with(&good, 40, good[40] ^ 1),   damaged.clone()),
        (6, [&good[..], &[0; 4096]].concat(), damaged),
        (7, book_file(&gate.profile.book),   format!("this is a knock book, not a profile; {RIGHT_FILE}")),
        (8, b"-----BEGIN OPENSSH PRIVATE KEY-----".to_vec(), format!("not a Knockgate profile; {RIGHT_FILE}")),
        (9, with(&good, 4, 4), "profile format 4 is not known to this version, which reads formats 1 to 3; install a newer knockgate".to_owned()),
    ];
    for (case, bytes, what) in cases {
        let file = gate.write_file("x.kgp", &bytes);
        let run = gate.run(&["import", file.to_str().unwrap()]);
        assert_failed(&run, &format!("{}: {what}", file.display()), case);
        assert!(!gate.home.path().join("profiles").exists(), "case {case}: something was stored");
    }
}

const DAMAGED: &str = "damaged or cut off: its checksum does not fit; copy it again as a binary file, \
                       or ask the gate's administrator for a new one";

#[test]
fn a_profile_without_sense_is_refused_although_its_checksum_fits() {
    let ask = "ask the gate's administrator for a new profile";
    let mut no_service = StandIn::new(&[]);
    no_service.profile.services.clear();
    let no_host = StandIn::new(&[]).named("gate\u{1b}[2J");
    #[rustfmt::skip]
    let cases = [
        (1, no_service, "it names no service"),
        (2, no_host, "the gate's address is no host name and no IP address"),
    ];
    for (case, gate, what) in cases {
        let file = gate.write_profile("x.kgp");
        let run = gate.run(&["import", file.to_str().unwrap()]);
        assert_failed(&run, &format!("{}: its content makes no sense ({what}); {ask}", file.display()), case);
    }
}

#[test]
#[cfg(unix)]
fn a_profile_that_others_can_read_is_refused_with_the_command_that_helps() {
    let gate = StandIn::new(&[]);
    let file = gate.write_profile("x.kgp");
    for (case, mode) in [(1, 0o644), (2, 0o640), (3, 0o660), (4, 0o602)] {
        set_mode(&file, mode);
        let run = gate.run(&["import", file.to_str().unwrap()]);
        let path = file.display();
        let what =
            format!("{path}: mode {mode:04o} lets other users read or change secrets; run: chmod 600 {path}");
        assert_failed(&run, &what, case);
    }
    set_mode(&file, 0o400);
    assert_eq!(gate.run(&["import", file.to_str().unwrap()]).code, 0);
}

#[test]
#[cfg(unix)]
fn a_stored_profile_that_others_can_read_is_not_used() {
    let gate = StandIn::new(&[]).imported();
    let (dir, file) = (gate.home.path().join("profiles"), gate.home.path().join("profiles/home.kgp"));

    set_mode(&file, 0o640);
    let open_file = gate.run(&["knock", "home"]);
    set_mode(&file, 0o600);
    set_mode(&dir, 0o750);
    let open_dir = gate.run(&["knock", "home"]);

    let (file, dir) = (file.display(), dir.display());
    let what = format!("{file}: mode 0640 lets other users read or change secrets; run: chmod 600 {file}");
    assert_failed(&open_file, &what, 1);
    let what = format!("{dir}: mode 0750 lets other users into this directory; run: chmod 700 {dir}");
    assert_failed(&open_dir, &what, 2);
    assert!(gate.requests().is_empty());
}

#[test]
fn a_stored_profile_that_was_damaged_is_refused_by_knock() {
    let gate = StandIn::new(&[]).imported();
    let file = gate.home.path().join("profiles/home.kgp");
    let good = fs::read(&file).unwrap();
    fs::write(&file, &good[..good.len() - 3]).unwrap();
    let run = gate.run(&["knock", "home"]);
    assert_failed(&run, &format!("{}: {DAMAGED}", file.display()), 1);
}

#[test]
fn a_missing_file_is_named() {
    let gate = StandIn::new(&[]);
    let file = gate.home.path().join("nowhere.kgp");
    let run = gate.run(&["import", file.to_str().unwrap()]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.starts_with(&format!("knockgate: {}: cannot read: ", file.display())), "{run:?}");
    assert!(run.stderr.ends_with("; check that the path and its permissions are right\n"), "{run:?}");
}

#[test]
fn a_directory_is_not_imported() {
    let gate = StandIn::new(&[]);
    let dir = gate.home.path();
    let run = gate.run(&["import", dir.to_str().unwrap()]);
    assert_failed(&run, &format!("{}: is not a regular file; name the file itself", dir.display()), 1);
}

#[test]
fn another_profile_is_replaced_only_by_force() {
    let (first, second) = (StandIn::new(&[]), StandIn::new(&[]));
    let [old, new] = [&first, &second].map(|gate| gate.write_profile("home.kgp"));
    let import = |arguments: &[&str]| first.run(&[&["import"], arguments].concat());
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    assert_eq!(import(&[old]).code, 0);
    let stored = || fs::read(first.home.path().join("profiles/home.kgp")).unwrap();
    let before = stored();

    let refused = import(&[new]);

    let what = "profile \"home\" exists already (client alice at 127.0.0.1); \
                replace it with --force, or choose another name with --name";
    assert_failed(&refused, what, 1);
    assert_eq!(stored(), before);
    assert_eq!(import(&[old]).code, 0, "the same one again is welcome");
    assert_eq!(import(&[new, "--name", "other"]).code, 0);
    assert_eq!(import(&[new, "--force"]).code, 0);
    assert_ne!(stored(), before);
}

#[test]
fn a_file_name_that_cannot_be_a_profile_name_needs_one() {
    let gate = StandIn::new(&[]);
    let file = gate.write_profile("my gate.kgp");
    let run = gate.run(&["import", file.to_str().unwrap()]);
    assert_eq!(run.code, 1);
    assert!(
        run.stderr.contains("its name cannot name a profile: ' ' cannot stand there in a name"),
        "{run:?}"
    );
    assert!(run.stderr.ends_with("; choose one with --name\n"), "{run:?}");
}

#[test]
fn an_unknown_profile_and_an_unknown_service_are_told_with_what_there_is() {
    let gate = StandIn::new(&[]).imported();
    let profile = gate.run(&["knock", "hone"]);
    let service = gate.run(&["knock", "home", "vnc"]);
    let dir = gate.home.path().join("profiles");
    let what = format!(
        "no profile \"hone\" in {} (there are: home); take it with `knockgate enroll FILE --name hone`",
        dir.display()
    );
    assert_failed(&profile, &what, 1);
    let what = "profile \"home\" has no service \"vnc\"; it has: ssh, web. \
                Ask the administrator of 127.0.0.1 for a profile with that service";
    assert_failed(&service, what, 2);
    assert!(gate.requests().is_empty());
}

#[test]
fn a_damaged_state_is_refused_and_kept() {
    let gate = StandIn::new(&[]).imported();
    fs::create_dir(gate.home.path().join("state")).unwrap();
    set_mode(&gate.home.path().join("state"), 0o700);
    let file = gate.write_file("state/home.json", b"{\"counter\": 1");
    let run = gate.run(&["knock", "home"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.starts_with(&format!("knockgate: {}: damaged (", file.display())), "{run:?}");
    assert!(run.stderr.contains("; delete it: "), "{run:?}");
    assert_eq!(fs::read(&file).unwrap(), b"{\"counter\": 1");
    assert!(gate.requests().is_empty());
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let gate = StandIn::new(&[]).imported();
    #[rustfmt::skip]
    let cases: [(u32, &[&str]); 9] = [
        (1, &[]), (2, &["open"]), (3, &["knock"]), (4, &["knock", "../x"]), (5, &["knock", "home", "--seconds", "0"]),
        (6, &["knock", "home", "--seconds", "9999999"]), (7, &["knock", "home", "-4", "-6"]),
        (8, &["knock", "home", "--timeout", "0"]), (9, &["import", "x", "--name", "a b"]),
    ];
    for (case, arguments) in cases {
        let run = gate.run(arguments);
        assert_eq!(run.code, 2, "case {case}: {run:?}");
        assert!(!run.stderr.is_empty() && run.stdout.is_empty(), "case {case}: {run:?}");
    }
}

#[test]
fn help_tells_every_exit_code() {
    let gate = StandIn::new(&[]);
    for arguments in [&["--help"][..], &["knock", "--help"]] {
        let run = gate.run(arguments);
        assert_eq!(run.code, 0);
        assert!((0..=8).all(|code| run.stdout.contains(&format!("\n  {code}  "))), "{}", run.stdout);
    }
}

fn assert_failed(run: &Finished, what: &str, case: u32) {
    assert_eq!((run.code, run.stderr.as_str()), (1, format!("knockgate: {what}\n").as_str()), "case {case}");
    assert_eq!(run.stdout, "", "case {case}");
}

fn with(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = byte;
    bytes
}

fn profile_file(profile: &Profile) -> Vec<u8> {
    let mut buffer = [0; Profile::MAX_FILE];
    profile.encode(&mut buffer).unwrap().to_vec()
}

fn book_file(book: &Book) -> Vec<u8> {
    let mut buffer = [0; Book::MAX_FILE];
    book.encode(&mut buffer).unwrap().to_vec()
}
