//! A gateway's audit log: the words of every agent, decisions that can be made again, and lines that are whole.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

#[path = "../../tests/golden/audit.rs"]
mod golden;
#[path = "../../policies/host/tests/stage/mod.rs"]
mod stage;

use knockgate_core::{Instant, Now, UnixTime};
use knockgate_gateway::audit::Audit;
use knockgate_gateway::court::{Minutes, Opinion};
use knockgate_gateway::names::ServiceNames;
use knockgate_policy_host::{
    Action, Answer, Capability, Client, Decision, Event, Failure, HostKind, LogLevel, LogLine, Refusal,
    RefusedAct, Request, Source, Verdict, record, text,
};
use serde_json::Value as Json;

/// Ninety seconds after the start.
const NOW: Now = Now { instant: Instant::from_micros(90_900_000), unix: None };
/// The same, by the calendar.
const NOON: Now = Now { unix: Some(UnixTime::from_micros(1_767_614_400_000_000)), ..NOW };

fn audit() -> Audit {
    Audit::new(ServiceNames::from_iter([(3, "ssh".parse().unwrap())]))
}

fn lines(audit: &Audit) -> Vec<Json> {
    audit.ring().after(0).map(|(_, line)| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_the_gate_notes_is_told_in_the_words_of_every_agent() {
    for (note, expected) in golden::notes() {
        let mut audit = audit();
        let alice = "alice".parse().unwrap();
        let is_alices = note.client().is_some_and(|client| client.0 == 1);
        audit.note(NOW, &note, Some(&alice).filter(|_| is_alices));
        let Json::Object(mut line) = lines(&audit).remove(0) else { panic!("no object") };
        assert_eq!((line.remove("up"), line.remove("seq")), (Some(90.into()), Some(1.into())));
        let Json::Object(mut expected) = serde_json::from_str(expected).unwrap() else { panic!("no object") };
        expected.retain(|_, value| !value.is_null());
        assert_eq!(line, expected);
    }
}

#[test]
fn the_first_line_tells_what_is_guarded() {
    let mut audit = audit();
    audit.started(NOON, 64);
    let expected = serde_json::json!({
        "time": "2026-01-05T12:00:00.000000Z", "up": 90, "seq": 1, "event": "started",
        "version": env!("CARGO_PKG_VERSION"), "services": ["ssh"], "clients": 64,
    });
    assert_eq!(lines(&audit), [expected]);
}

#[test]
fn the_first_line_is_there_however_much_is_guarded() {
    let name = |number: u16| format!("a-service-with-a-long-name-{number:05}").parse().unwrap();
    let mut audit = Audit::new((1..=64).map(|number| (number, name(number))).collect());
    audit.started(NOW, 1);
    let expected = serde_json::json!({
        "up": 90, "seq": 1, "event": "started", "version": env!("CARGO_PKG_VERSION"), "clients": 1,
        "left-out": ["services"],
    });
    assert_eq!(lines(&audit), [expected]);
}

#[test]
fn a_decision_is_told_as_the_golden_line() {
    let mut audit = audit();
    let (event, said) = (knock(), said());
    audit.said(NOON, &opinion(&event, &said));
    let (_, line) = audit.ring().after(0).next().unwrap();
    assert_eq!(line, include_str!("../../tests/golden/gateway-decision.jsonl").trim_end());
}

#[test]
fn what_a_decision_leaves_out_means_the_same_to_whoever_makes_it_again() {
    for event in [knock(), Event { client: None, ..knock() }, Event { local: None, time: None, ..knock() }] {
        let (mut audit, said) = (audit(), said());
        audit.said(NOW, &opinion(&event, &said));
        let line = lines(&audit).remove(0);
        let Json::Object(attributes) = &line["attributes"] else { panic!("no attributes") };
        assert_eq!(record::event_from_json(attributes), Ok(event));
        assert_eq!(record::actions_from_json(&line["actions"]).as_deref(), Ok(said.actions.as_slice()));
        assert_eq!(record::loaded_from_json(&line["loaded"]).as_deref(), Ok(said.loaded.as_slice()));
        assert_eq!(line["log"], record::log_to_json(&said.log));
    }
}

#[test]
fn what_does_not_fit_into_a_line_is_left_out_and_named() {
    let long_line = LogLine { level: LogLevel::Debug, text: "x".repeat(120).as_str().try_into().unwrap() };
    let many_lines = Decision { log: (0..8).map(|_| long_line.clone()).collect(), ..said() };
    let much_read = Decision { loaded: (0..32).map(|key| (u32::MAX - key, u64::MAX)).collect(), ..said() };
    let failed = Decision { failure: Some(Failure::Engine("\u{1}".repeat(400))), ..much_read.clone() };
    let cases: [(Decision, &[&str]); 3] = [
        (many_lines, &["log"]),
        (much_read, &["log", "loaded", "attributes"]),
        (failed, &["log", "loaded", "attributes", "actions", "refused", "failure"]),
    ];
    for (said, left_out) in cases {
        let (mut audit, event) = (audit(), knock());
        audit.said(NOW, &opinion(&event, &said));
        let line = lines(&audit).remove(0);
        assert_eq!(line["left-out"], Json::from(left_out), "{line}");
        assert!(left_out.iter().all(|name| line.get(*name).is_none()), "{line}");
        assert_eq!(line["verdict"], said.answer().word());
    }
}

/// The shortest form of a decision always fits, however long the names are.
#[test]
fn no_decision_is_too_long_to_be_told() {
    let widest = "x".repeat(64);
    let event = Event {
        client: Some(Client { name: text(&widest), ..knock().client.unwrap() }),
        request: Some(Request { name: text(&widest), ..knock().request.unwrap() }),
        source: Some(Source { address: [0xffff; 8].into(), ..knock().source.unwrap() }),
        ..knock()
    };
    let said = Decision { failure: Some(Failure::Engine("\u{1}".repeat(400))), fuel: u64::MAX, ..said() };
    let name: String = "x".repeat(32);
    let chain = [(name.as_str(), Answer::Abstain); 4];
    let mut audit = audit();
    let late = Now { instant: Instant::from_micros(u64::MAX), unix: Some(UnixTime::from_micros(u64::MAX)) };
    audit.said(late, &Opinion { policy: &name, event: &event, said: &said, chain: &chain });
    assert_eq!(lines(&audit).len(), 1);
}

#[test]
fn the_ring_holds_the_last_knocks_whole() {
    let mut audit = audit();
    let (event, said) = (knock(), said());
    for _ in 0..100 {
        audit.said(NOW, &opinion(&event, &said));
    }
    assert!((8..16).contains(&lines(&audit).len()), "{}", lines(&audit).len());
    assert_eq!(audit.ring().lost(0), 100 - lines(&audit).len() as u64);
}

fn opinion<'a>(event: &'a Event, said: &'a Decision) -> Opinion<'a> {
    let chain = &[("hours", Answer::Abstain), ("limit", Answer::Commit)];
    Opinion { policy: "limit", event, said, chain }
}

/// The stage's knock, at a gateway.
fn knock() -> Event {
    Event { host: HostKind::Gateway, ..stage::knock() }
}

fn said() -> Decision {
    let refused = RefusedAct { act: Capability::Notify, refusal: Refusal::NotOnThisHost };
    let log = LogLine { level: LogLevel::Warning, text: "a \"line\"".try_into().unwrap() };
    Decision {
        verdict: Verdict::Commit,
        actions: [Action::Open { service: 1, seconds: 60 }].into_iter().collect(),
        fuel: 417,
        failure: None,
        refused: [refused].into_iter().collect(),
        loaded: [(1, 2)].into_iter().collect(),
        log: [log].into_iter().collect(),
        log_dropped: 0,
    }
}
