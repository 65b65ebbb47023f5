//! Keys and profiles on this machine: made, taken, listed, locked and shown.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail with it")]

mod stand_in;

use std::fs;

use knockgate_core::message::Mode;
use knockgate_core::profile::Profile;
use knockgate_core::text_form;
use stand_in::{Finished, Reply, StandIn, set_mode};

const OFFER: Reply = Reply::Offer(7, Mode::Connect);

fn assert_failed(run: &Finished, what: &str) {
    assert_eq!(
        (run.code, run.stdout.as_str(), run.stderr.as_str()),
        (1, "", format!("knockgate: {what}\n").as_str())
    );
}

fn text_of(file: &[u8]) -> String {
    let mut buffer = vec![0; text_form::profile_len(file.len())];
    text_form::profile(file, &mut buffer).unwrap().to_owned()
}

/// The stand-in's profile without its key, as for a client that made its own.
fn profile_without_key(gate: &StandIn) -> Vec<u8> {
    let profile = Profile { secret: None, ..gate.profile.clone() };
    let mut buffer = [0; Profile::MAX_FILE];
    profile.encode(&mut buffer).unwrap().to_vec()
}

/// `home` with the passphrase "correct horse" in the file `passphrase`.
fn locked(gate: StandIn) -> StandIn {
    let gate = gate.imported();
    gate.write_file("passphrase", b"correct horse\n");
    let run = gate.run(&["passphrase", "home", "--new-passphrase-file", &at(&gate, "passphrase")]);
    assert_eq!(run.code, 0, "{run:?}");
    gate
}

fn at(gate: &StandIn, file: &str) -> String {
    gate.home.path().join(file).to_str().unwrap().to_owned()
}

#[test]
fn keygen_prints_the_public_key_alone_and_keeps_the_secret_one_private() {
    let gate = StandIn::new(&[]);

    let run = gate.run(&["keygen", "home"]);

    assert_eq!(run.code, 0, "{run:?}");
    assert!(text_form::parse_public_key(&run.stdout).is_ok(), "{run:?}");
    assert_eq!(run.stdout.lines().count(), 1);
    assert!(run.stderr.contains("`knockgate enroll FILE --name home`"), "{run:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |file| fs::metadata(gate.home.path().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("keys"), mode("keys/home.key")), (0o700, 0o600));
    }
}

#[test]
fn a_key_is_replaced_only_by_force() {
    let gate = StandIn::new(&[]);
    let first = gate.run(&["keygen", "home", "--json"]).json();
    let public = first["public_key"].as_str().unwrap();

    let refused = gate.run(&["keygen", "home"]);

    let what = format!(
        "{}: there is a key already, whose public key is {public}; use that one, choose another name, \
         or replace it with --force, after which a profile made for it is worthless",
        at(&gate, "keys/home.key")
    );
    assert_failed(&refused, &what);
    let forced = gate.run(&["keygen", "home", "--force", "--quiet"]);
    assert_eq!((forced.code, forced.stderr.as_str()), (0, ""));
    assert_ne!(forced.stdout.trim(), public);
}

#[test]
fn a_profile_without_key_gets_the_one_that_was_made_here() {
    let gate = StandIn::new(&[]);
    let public = gate.run(&["keygen", "home"]).stdout;
    let file = gate.write_file("home.kgp", &profile_without_key(&gate));

    let run = gate.run(&["enroll", file.to_str().unwrap()]);

    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains(public.trim()), "{run:?}");
    let stored = Profile::decode(&fs::read(gate.home.path().join("profiles/home.kgp")).unwrap()).unwrap();
    assert_eq!(text_form::public_key(&stored.secret.unwrap().public()).as_str(), public.trim());
    assert!(!gate.home.path().join("keys/home.key").exists(), "a second copy of the key");
}

#[test]
fn a_key_of_another_name_is_chosen() {
    let gate = StandIn::new(&[]);
    let public = gate.run(&["keygen", "laptop"]).stdout;
    let file = gate.write_file("home.kgp", &profile_without_key(&gate));
    let json = gate.run(&["enroll", file.to_str().unwrap(), "--key", "laptop", "--json"]).json();
    let told = [&json["profile"], &json["public_key"], &json["outcome"]].map(|value| value.as_str().unwrap());
    assert_eq!(told, ["home", public.trim(), "ok"]);
}

#[test]
fn a_newer_profile_without_key_takes_over_the_key_of_the_old_one() {
    let gate = StandIn::new(&[]).imported();
    let mut newer = gate.profile.clone();
    newer.services.pop();
    newer.secret = None;
    let mut buffer = [0; Profile::MAX_FILE];
    let file = gate.write_file("home.kgp", newer.encode(&mut buffer).unwrap());

    assert_eq!(
        gate.run(&["enroll", file.to_str().unwrap()]).code,
        1,
        "another profile is not replaced like that"
    );
    let run = gate.run(&["enroll", file.to_str().unwrap(), "--force"]);

    assert_eq!(run.code, 0, "{run:?}");
    let stored = Profile::decode(&fs::read(gate.home.path().join("profiles/home.kgp")).unwrap()).unwrap();
    assert_eq!(stored.secret.unwrap().public(), gate.profile.secret.as_ref().unwrap().public());
    assert_eq!(stored.services.len(), 1);
}

#[test]
fn a_profile_whose_key_is_elsewhere_is_refused() {
    let gate = StandIn::new(&[]);
    let file = gate.write_file("home.kgp", &profile_without_key(&gate));
    let file = file.to_str().unwrap();
    let what = "profile \"home\" is for a key that its client made itself, and there is no such key here; \
                take it where `knockgate keygen` was run, or choose the key with --key";
    assert_failed(&gate.run(&["enroll", file]), what);
    let run = gate.run(&["enroll", file, "--key", "nowhere"]);
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("keys/nowhere.key: cannot read: "), "{run:?}");
    let brings = gate.write_profile("other.kgp");
    let run = gate.run(&["enroll", brings.to_str().unwrap(), "--key", "home"]);
    assert_failed(&run, "the profile brings its own key; leave --key away");
    assert!(!gate.home.path().join("profiles/home.kgp").exists());
}

#[test]
fn a_profile_is_taken_from_stdin_as_text_or_as_it_is() {
    let gate = StandIn::new(&[]);
    let file = fs::read(gate.write_profile("x.kgp")).unwrap();
    let text = text_of(&file);
    let wrapped: Vec<_> = text.as_bytes().chunks(60).collect();
    for (case, bytes) in [(1, file.clone()), (2, text.clone().into_bytes()), (3, wrapped.join(&b"\r\n"[..]))]
    {
        let run = gate.run_on(&bytes, &["enroll", "-", "--name", &format!("home{case}")]);
        assert_eq!(run.code, 0, "case {case}: {run:?}");
        assert_eq!(
            fs::read(gate.home.path().join(format!("profiles/home{case}.kgp"))).unwrap(),
            file,
            "case {case}"
        );
        assert!(!run.stdout.contains("delete it"), "case {case}: {run:?}");
    }
}

#[test]
fn what_is_no_profile_on_stdin_is_refused() {
    let gate = StandIn::new(&[]);
    let text = text_of(&fs::read(gate.write_profile("x.kgp")).unwrap());
    // Four characters are three bytes.
    let whole = text.len() - (text.len() - text_form::PROFILE.len()) % 4;
    let again = "copy it again as a whole";
    let damaged = "damaged or cut off: its checksum does not fit; copy it again as a binary file, \
                   or ask the gate's administrator for a new one";
    #[rustfmt::skip]
    let cases = [
        (1, format!("{text}!"), format!("no profile in it: it is cut off, or has a character that does not belong there; {again}")),
        (2, text[..whole - 4].to_owned(), damaged.to_owned()),
        (3, String::new(), "cut off: shorter than any profile; copy it again, or ask the gate's administrator for a new one".to_owned()),
    ];
    for (case, bytes, what) in cases {
        let run = gate.run_on(bytes.as_bytes(), &["enroll", "-", "--name", "home"]);
        assert_eq!(
            (run.code, run.stderr),
            (1, format!("knockgate: standard input: {what}\n")),
            "case {case}"
        );
    }
    let nameless = gate.run_on(text.as_bytes(), &["enroll", "-"]);
    assert_failed(&nameless, "standard input has no name that the profile could get; choose one with --name");
}

#[test]
fn a_profiles_text_on_the_command_line_is_refused_and_not_repeated() {
    let gate = StandIn::new(&[]);
    let text = text_of(&fs::read(gate.write_profile("x.kgp")).unwrap());
    let run = gate.run(&["enroll", &text]);
    assert_eq!(run.code, 1);
    assert!(!run.stderr.contains(&text), "{run:?}");
    assert!(run.stderr.contains("a profile's text is secret"), "{run:?}");
}

#[test]
fn a_locked_profile_knocks_with_its_passphrase_alone() {
    let gate = locked(StandIn::new(&[OFFER]));
    let stored = fs::read(gate.home.path().join("profiles/home.kgp")).unwrap();
    assert!(stored.starts_with(b"KGlk") && Profile::decode(&stored).is_err());
    gate.write_file("wrong", b"battery staple");

    let wrong = gate.run(&["knock", "home", "--passphrase-file", &at(&gate, "wrong"), "--json"]);
    let right = gate.run(&["knock", "home", "--passphrase-file", &at(&gate, "passphrase")]);

    let what = format!(
        "knockgate: {}: locked: wrong passphrase; try again, or ask the gate's administrator for a new profile\n",
        at(&gate, "profiles/home.kgp")
    );
    assert_eq!((wrong.code, &wrong.stderr), (1, &what));
    assert_eq!(wrong.json()["reason"], "locked");
    assert_eq!(right.code, 0, "{right:?}");
}

#[test]
fn the_passphrase_comes_from_the_settings_file_too() {
    let gate = locked(StandIn::new(&[OFFER]));
    gate.write_file("config", b"DefaultProfile home\nPassphraseFile passphrase\n");
    assert_eq!(gate.run(&["knock"]).code, 0);
}

#[test]
#[cfg(unix)]
fn the_passphrase_is_asked_of_a_program() {
    let gate = locked(StandIn::new(&[OFFER]));
    let program = gate
        .write_file("askpass", b"#!/bin/sh\necho \"$1\" > \"$KNOCKGATE_HOME/asked\"\necho correct horse\n");
    set_mode(&program, 0o700);
    let run = gate.run_with(&[("KNOCKGATE_ASKPASS", program.to_str().unwrap())], &["knock", "home"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(fs::read_to_string(at(&gate, "asked")).unwrap(), "Passphrase for profile \"home\": \n");
}

#[test]
#[cfg(unix)]
fn a_passphrase_file_that_others_can_read_is_refused() {
    let gate = locked(StandIn::new(&[]));
    let file = at(&gate, "passphrase");
    set_mode(file.as_ref(), 0o644);
    let run = gate.run(&["knock", "home", "--passphrase-file", &file]);
    let what = format!(
        "{}: locked: {file}: mode 0644 lets other users read or change secrets; run: chmod 600 {file}",
        at(&gate, "profiles/home.kgp")
    );
    assert_failed(&run, &what);
}

#[test]
fn a_passphrase_is_changed_and_removed() {
    let gate = locked(StandIn::new(&[]));
    let open = fs::read(gate.write_profile("x.kgp")).unwrap();
    gate.write_file("new", b"another passphrase");
    let (old, new) = (at(&gate, "passphrase"), at(&gate, "new"));

    let changed = gate.run(&["passphrase", "home", "--passphrase-file", &old, "--new-passphrase-file", &new]);
    let by_old = gate.run(&["passphrase", "home", "--passphrase-file", &old, "--remove"]);
    let removed = gate.run(&["passphrase", "home", "--passphrase-file", &new, "--remove", "--json"]);

    assert_eq!((changed.code, changed.stdout.as_str()), (0, "profile \"home\" has a new passphrase\n"));
    assert_eq!(by_old.code, 1, "{by_old:?}");
    assert_eq!((removed.code, &removed.json()["locked"]), (0, &false.into()));
    assert_eq!(fs::read(at(&gate, "profiles/home.kgp")).unwrap(), open);
}

#[test]
fn a_short_passphrase_is_refused_and_nothing_is_locked() {
    let gate = StandIn::new(&[]).imported();
    let file = gate.write_file("short", b"1234567");
    let run = gate.run(&["passphrase", "home", "--new-passphrase-file", file.to_str().unwrap()]);
    assert_failed(&run, "a passphrase has at least 8 characters; choose a longer one");
    assert!(Profile::decode(&fs::read(at(&gate, "profiles/home.kgp")).unwrap()).is_ok());
}

#[test]
fn what_replaces_a_locked_profile_is_locked_too() {
    let gate = locked(StandIn::new(&[]));
    let other = StandIn::new(&[]);
    let file = other.write_profile("home.kgp");
    let (file, passphrase) = (file.to_str().unwrap(), at(&gate, "passphrase"));
    let run = gate.run(&["enroll", file, "--force", "--passphrase-file", &passphrase, "--json"]);
    assert_eq!((run.code, &run.json()["locked"]), (0, &true.into()), "{run:?}");
    assert!(fs::read(at(&gate, "profiles/home.kgp")).unwrap().starts_with(b"KGlk"));
}

#[test]
fn profiles_are_listed_with_what_is_known_without_a_passphrase() {
    let gate = locked(StandIn::new(&[OFFER]));
    gate.write_file("config", b"DefaultProfile home");
    gate.run(&["knock", "--passphrase-file", &at(&gate, "passphrase")]);
    let file = gate.write_profile("office.kgp");
    gate.run(&["enroll", file.to_str().unwrap()]);
    gate.write_file("profiles/broken.kgp", b"KGpr");
    let public = gate.run(&["keygen", "lab"]).stdout;

    let run = gate.run(&["profiles", "--json"]);

    let json = run.json();
    let [broken, home, office] = [0, 1, 2].map(|at| &json["profiles"][at]);
    let address = format!("127.0.0.1:{}", gate.profile.central_port);
    assert_eq!((&broken["name"], broken["error"].is_string()), (&"broken".into(), true));
    assert_eq!(
        (&home["locked"], &home["default"], &home["knocks_left"]),
        (&true.into(), &true.into(), &993.into())
    );
    assert_eq!((&home["gate"], home["client"].is_null()), (&address.as_str().into(), true));
    assert_eq!((&office["locked"], &office["client"]), (&false.into(), &"alice".into()));
    assert_eq!(office["services"][1], serde_json::json!({ "name": "web", "protocol": "tcp", "port": 443 }));
    assert_eq!(
        (&json["keys"][0]["name"], &json["keys"][0]["public_key"]),
        (&"lab".into(), &public.trim().into())
    );
    assert!(run.stderr.contains("broken.kgp: cut off"), "{run:?}");
    let text = gate.run(&["profiles"]).stdout;
    let columns = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<_> = text.lines().map(columns).collect();
    assert_eq!(lines[2], ["home", "(default)", "-", &address, "-", "locked", "993"]);
    assert_eq!(lines[3], ["office", "alice", &address, "ssh", "web", "open", "-"]);
}

#[test]
fn a_profile_is_shown_only_where_somebody_asked_for_it() {
    let gate = StandIn::new(&[]).imported();
    let what = "stdout is not a terminal, and it holds the secret key: whoever sees it can knock; \
                use --svg FILE, or --force if it is meant to go there";
    assert_failed(&gate.run(&["qr", "home"]), what);
    assert_failed(&gate.run(&["qr", "home", "--text"]), what);
    let code = gate.run(&["qr", "home", "--force"]);
    assert_eq!(code.code, 0, "{code:?}");
    assert!(
        code.stdout.contains('▀') && code.stderr.contains("warning: this is profile \"home\""),
        "{code:?}"
    );
}

#[test]
fn the_text_of_a_profile_moves_it_to_another_machine() {
    let (gate, other) = (locked(StandIn::new(&[])), StandIn::new(&[]));
    let text = gate.run(&["qr", "home", "--text", "--force"]).stdout;
    let passphrase = at(&gate, "passphrase");
    let run =
        other.run_on(text.as_bytes(), &["enroll", "-", "--name", "home", "--passphrase-file", &passphrase]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(fs::read(at(&other, "profiles/home.kgp")).unwrap().starts_with(b"KGlk"), "it stays locked");
}

#[test]
fn the_picture_of_a_profile_is_for_its_owner_alone() {
    let gate = StandIn::new(&[]).imported();
    let file = at(&gate, "home.svg");
    let run = gate.run(&["qr", "home", "--svg", &file]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(fs::read_to_string(&file).unwrap().starts_with("<svg "));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn every_shell_gets_a_script_and_profiles_are_completed() {
    let gate = StandIn::new(&[]).imported();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let run = gate.run(&["completions", shell]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stdout.contains("knockgate"), "{run:?}");
    }
    assert_eq!(gate.run(&["completions", "tcsh"]).code, 2);
    let asked = [("COMPLETE", "bash"), ("_CLAP_COMPLETE_INDEX", "2"), ("_CLAP_IFS", "\n")];
    let run = gate.run_with(&asked, &["--", "knockgate", "knock", "ho"]);
    assert_eq!(run.stdout.trim(), "home", "{run:?}");
}
