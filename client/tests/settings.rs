//! The settings file as a person meets it: defaults, blocks, the command line above them, and every bad line refused.
#![allow(clippy::unwrap_used, reason = "the helpers of a test fail with it")]

mod stand_in;

use std::fs;

use knockgate_core::message::Mode;
use stand_in::{Reply, StandIn, set_mode};

const OFFER: Reply = Reply::Offer(7, Mode::Connect);

fn with_config(gate: StandIn, text: &str) -> StandIn {
    gate.write_file("config", text.as_bytes());
    gate
}

#[test]
fn the_default_profile_is_knocked_at_when_none_is_named() {
    let gate = with_config(StandIn::new(&[OFFER]).imported(), "DefaultProfile home\n");
    let run = gate.run(&["knock", "--json"]);
    assert_eq!((run.code, &run.json()["profile"]), (0, &"home".into()), "{run:?}");
}

#[test]
fn the_file_fills_in_what_the_command_line_leaves_open() {
    let config = "Profile ho*\nSeconds 77\nService web\nProfile *\nSeconds 5\n";
    let gate = with_config(StandIn::new(&[OFFER]).imported(), config);
    // The stand-in opens ssh, whatever was asked for.
    gate.run(&["knock", "home"]);
    assert_eq!((gate.requests()[0].service, gate.requests()[0].seconds), (2, 77));
}

#[test]
fn the_command_line_wins_over_the_file() {
    let config = "Profile home\nSeconds 77\nService web\nFamily ipv6\n";
    let gate = with_config(StandIn::new(&[OFFER]).imported(), config);
    let run = gate.run(&["knock", "home", "ssh", "--seconds", "90", "-4"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!((gate.requests()[0].service, gate.requests()[0].seconds), (1, 90));
}

#[test]
fn the_address_of_a_profile_can_be_overridden() {
    let moved = StandIn::new(&[OFFER]).named("gate.invalid").imported();
    let gate = with_config(moved, "Profile home\nAddress 127.0.0.1\n");
    let run = gate.run(&["status", "home", "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.json()["gate"], format!("127.0.0.1:{}", gate.profile.central_port));
    let run = gate.run(&["status", "home", "--json", "--address", "::1"]);
    assert_eq!((run.code, &run.json()["gate"]), (3, &format!("[::1]:{}", gate.profile.central_port).into()));
}

#[test]
fn a_profile_file_can_lie_elsewhere() {
    let gate = StandIn::new(&[OFFER]);
    gate.write_profile("elsewhere.kgp");
    let gate = with_config(gate, "Profile far\nFile elsewhere.kgp\n");
    let run = gate.run(&["knock", "far"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(gate.home.path().join("state/far.json").exists());
}

#[test]
fn a_bad_line_is_told_with_file_line_value_and_remedy_and_nothing_is_asked() {
    let gate = StandIn::new(&[]).imported();
    #[rustfmt::skip]
    let cases = [
        (1, "DefaultProfile home\nColour red\n", "2: unknown keyword \"Colour\"; keywords are "),
        (2, "\n\nSeconds sixty", "3: Seconds \"sixty\" is not a number; write a number from 1 to 2592000"),
        (3, "Profile other\nPort 70000", "2: Port \"70000\" is out of range; write a number from 1 to 65535"),
        (4, "Profile home\nTimeout", "2: Timeout has no value; write Timeout VALUE, or remove the line"),
        (5, "Via pigeon", "1: Via \"pigeon\" is not known; write auto, packet, tcp or sequence"),
    ];
    for (case, text, what) in cases {
        let file = gate.write_file("config", text.as_bytes());
        for arguments in [&["knock", "home"][..], &["status", "home"], &["knock"]] {
            let run = gate.run(arguments);
            assert_eq!((run.code, run.stdout.as_str()), (1, ""), "case {case}: {run:?}");
            let start = format!("knockgate: {}:{what}", file.display());
            assert!(run.stderr.starts_with(&start), "case {case}: {run:?}");
        }
    }
    let json = gate.run(&["knock", "home", "--json"]).json();
    assert_eq!((&json["exit"], &json["reason"]), (&1.into(), &"settings".into()));
    assert!(gate.requests().is_empty());
}

#[test]
#[cfg(unix)]
fn a_settings_file_that_others_can_write_is_refused() {
    let gate = StandIn::new(&[]).imported();
    let file = gate.write_file("config", b"");
    set_mode(&file, 0o666);
    let run = gate.run(&["knock", "home"]);
    let file = file.display();
    let what = format!("knockgate: {file}: mode 0666 lets other users change it; run: chmod go-w {file}\n");
    assert_eq!((run.code, run.stderr), (1, what));
}

#[test]
fn without_a_profile_the_command_line_is_wrong_and_the_remedy_is_told() {
    let gate = StandIn::new(&[]).imported();
    let run = gate.run(&["knock"]);
    let config = gate.home.path().join("config");
    let what = format!(
        "knockgate: no profile is named (there are: home); \
         name one, or choose one for always with DefaultProfile NAME in {}\n",
        config.display()
    );
    assert_eq!((run.code, run.stderr), (2, what));
    assert!(!fs::exists(gate.home.path().join("log.jsonl")).unwrap(), "nothing was attempted");
}
