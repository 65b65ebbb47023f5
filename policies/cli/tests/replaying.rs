//! `replay`: a changed policy is asked about what has happened.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use serde_json::{Value, json};
use stage::{COUNTING, DENYING, Place};

#[test]
fn decisions_that_differ_are_told_and_counted() {
    let place = place();
    place.write(
        "audit.jsonl",
        log(&[decision(0, "deny", json!([]), json!([])), decision(1, "commit", opens(), json!([]))]),
    );
    let run = place.run(&["replay", "--audit", "audit.jsonl", "--policy", "counting.wasm"]);
    run.says("anna, sequence of ssh from 192.0.2.7: deny, now commit (open 1 for 60 s)\n");
    run.says(
        "counting 2: 2 decisions asked again; 1 are not what was decided then; 1 granted now, 0 denied now",
    );
    let strict = [
        "replay",
        "--audit",
        "audit.jsonl",
        "--policy",
        "counting.wasm",
        "--fail-on-difference",
        "--format",
        "json",
    ];
    let strict = place.run(&strict);
    assert_eq!((strict.code, &strict.json()["differ"]), (1, &1.into()), "{strict:?}");
    assert_eq!(strict.json()["differences"][0]["now"]["verdict"], "commit");
}

#[test]
fn what_a_gateway_has_decided_is_decided_again() {
    let place = place();
    place.write("audit.jsonl", include_str!("../../../tests/golden/gateway-decision.jsonl"));
    let run = place.run(&["replay", "--audit", "audit.jsonl", "--policy", "denying.wasm", "--of", "limit"]);
    run.says("anna, sequence of ssh from 192.0.2.7: commit (open 1 for 60 s), now deny\n");
}

#[test]
fn another_policy_stands_for_what_was_decided() {
    let place = place();
    place.write("audit.jsonl", log(&[decision(0, "commit", opens(), json!([]))]));
    let run = place.run(&[
        "replay",
        "--audit",
        "audit.jsonl",
        "--policy",
        "denying.wasm",
        "--against",
        "counting.wasm",
    ]);
    run.says("commit (open 1 for 60 s), now deny\n")
        .says("1 are not what counting 2 decides; 0 granted now, 1 denied now");
    let same = [
        "replay",
        "--audit",
        "audit.jsonl",
        "--policy",
        "denying.wasm",
        "--against",
        "denying.wasm",
        "--fail-on-difference",
    ];
    place.run(&same).says("all are what denying decides");
}

#[test]
fn numbers_are_as_they_were_recorded_or_the_policy_s_own() {
    let place = place();
    let full = json!([[1, 2]]);
    let lines = [decision(0, "deny", json!([]), full.clone()), decision(1, "deny", json!([]), full)];
    place.write("audit.jsonl", log(&lines));
    let replay = ["replay", "--audit", "audit.jsonl", "--policy", "counting.wasm"];
    place.run(&replay).says("2 decisions asked again; all are what was decided then");
    let own: Vec<_> = replay.into_iter().chain(["--state", "own"]).collect();
    place.run(&own).says("2 are not what was decided then; 2 granted now");
}

#[test]
fn one_policy_of_a_chain_can_be_meant() {
    let place = place();
    let mut other = decision(1, "deny", json!([]), json!([]));
    other["policy"] = "filter".into();
    place.write("audit.jsonl", log(&[decision(0, "commit", opens(), json!([])), other]));
    let replay = ["replay", "--audit", "audit.jsonl", "--policy", "counting.wasm", "--of"];
    let of = |name| place.run(&replay.into_iter().chain([name]).collect::<Vec<_>>());
    of("counting").says("1 decision asked again; all are");
    of("nobody").complains(2, "has no decision of a policy \"nobody\"");
}

#[test]
fn what_cannot_be_read_is_counted_and_said() {
    let place = place();
    let mut newer = decision(1, "deny", json!([]), json!([]));
    newer["attributes"]["moon"] = "full".into();
    let whole = log(&[decision(0, "commit", opens(), json!([])), newer, json!({ "event": "started" })]);
    place.write("audit.jsonl", format!("{whole}{{\"event\":\"deci"));
    let run = place.run(&["replay", "--audit", "audit.jsonl", "--policy", "counting.wasm"]);
    run.says("2 lines could not be read; the first, line 2: `moon` is no attribute that this version knows");

    place.write("audit.jsonl", "{\"event\":\"started\"}\n");
    place
        .run(&["replay", "--audit", "audit.jsonl", "--policy", "counting.wasm"])
        .complains(2, "has no decision in it");
    place
        .run(&["replay", "--audit", "none", "--policy", "counting.wasm"])
        .complains(2, "none: cannot be read");
}

#[test]
fn a_policy_is_not_asked_about_causes_that_it_does_not_want() {
    let place = place();
    let mut expiry = decision(1, "deny", json!([]), json!([]));
    expiry["attributes"]["cause"] = "expiry".into();
    place.write("audit.jsonl", log(&[decision(0, "commit", opens(), json!([])), expiry]));
    let run = place.run(&["replay", "--audit", "audit.jsonl", "--policy", "counting.wasm"]);
    run.says("1 left out: a policy does not want to be asked about their cause");
}

fn place() -> Place {
    let place = Place::new();
    place.module("counting.wasm", COUNTING);
    place.module("denying.wasm", DENYING);
    place
}

fn opens() -> Value {
    json!([{ "act": "open", "service": 1, "seconds": 60 }])
}

/// A line as the agent writes it.
fn decision(seq: u64, verdict: &str, actions: Value, loaded: Value) -> Value {
    json!({
        "time": "2026-01-05T10:00:00.000000Z", "seq": seq, "event": "decision", "client": "anna", "source": "192.0.2.7",
        "service": "ssh", "policy": "counting", "chain": [], "verdict": verdict, "actions": actions, "refused": [],
        "fuel": 77, "elapsed-us": 12, "failure": null, "loaded": loaded,
        "attributes": {
            "cause": "sequence", "host-kind": "linux", "time": 1_767_607_200, "weekday": 1, "minute": 600, "client": 1,
            "client-name": "anna", "client-failures": 0, "client-grants": 0, "second-factor": false,
            "address": "192.0.2.7", "prefix": 32, "source-failures": 0, "source-grants": 0, "service": 1,
            "service-name": "ssh", "seconds": 60, "service-grants": 0, "book-number": 5, "book-left": 9, "grants-open": 0
        }
    })
}

fn log(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}
