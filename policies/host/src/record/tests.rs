use alloc::vec;
use core::net::IpAddr;

use knockgate_policy_abi::{Capability, Refusal};

use super::*;
use crate::{RefusedAct, Verdict};

#[test]
fn an_event_that_was_written_is_read_back_as_it_was() {
    let mut events = vec![
        full_event(IpAddr::from([192, 0, 2, 1])),
        full_event(IpAddr::from([0x2001, 0, 0, 0, 0, 0, 0, 1])),
    ];
    for cause in Cause::ALL {
        events.push(Event::new(*cause, HostKind::Gateway));
        events.push(Event { cause: *cause, ..full_event(IpAddr::from([198, 51, 100, 3])) });
    }
    for event in events {
        let text = Value::from(event_to_json(&event)).to_string();
        let record: Map<_, _> = serde_json::from_str(&text).unwrap();
        assert_eq!(event_from_json(&record), Ok(event), "{text}");
    }
}

#[test]
fn every_attribute_of_the_table_is_written_or_follows_from_what_is() {
    let derived = ["max-seconds", "family", "address-high", "address-low"];
    let record = event_to_json(&full_event(IpAddr::from([192, 0, 2, 1])));
    for row in attr::TABLE {
        assert_eq!(record.contains_key(row.name), !derived.contains(&row.name), "{}", row.name);
    }
    assert_eq!(record["address"], "192.0.2.1");
    assert_eq!(record["lacking"], json!(["start"]));
}

#[test]
fn every_attribute_matters_when_it_is_read() {
    let whole = full_event(IpAddr::from([192, 0, 2, 1]));
    let record = event_to_json(&whole);
    for name in record.keys() {
        let mut without = record.clone();
        without.remove(name);
        assert_ne!(event_from_json(&without), Ok(whole.clone()), "{name} is not read");
    }
}

#[test]
fn an_event_by_hand_needs_a_cause_only() {
    let event =
        event_from_json(&object(r#"{"cause":"packet","address":"2001:db8::1","client":7,"service":2}"#))
            .unwrap();
    assert_eq!((event.cause, event.host, event.time), (Cause::Packet, HostKind::Linux, None));
    assert_eq!(event.source.map(|source| source.prefix), Some(128));
    assert_eq!(
        event.client.map(|client| (client.id, client.failures, client.second_factor)),
        Some((7, 0, false))
    );
    assert_eq!(event.request.map(|request| (request.service, request.seconds)), Some((2, 0)));
}

#[test]
fn what_is_wrong_with_an_event_is_said_by_name() {
    #[rustfmt::skip]
    let cases = [
        (r#"{}"#, "no `cause`; add it"),
        (r#"{"cause":"knock"}"#, r#"`cause` is "knock"; write one of sequence, packet,"#),
        (r#"{"cause":"packet","hour":9}"#, "`hour` is no attribute that this version knows"),
        (r#"{"cause":"packet","family":4}"#, "`family` is never given: it follows from `address`"),
        (r#"{"cause":"packet","max-seconds":4}"#, "follows from what the policy may do here"),
        (r#"{"cause":"packet","weekday":8,"minute":1}"#, "`weekday` is 8; write a number from 1 (Monday) to 7"),
        (r#"{"cause":"packet","weekday":0,"minute":1}"#, "`weekday` is 0; write"),
        (r#"{"cause":"packet","weekday":1,"minute":1440}"#, "`minute` is 1440; write"),
        (r#"{"cause":"packet","weekday":1}"#, "`weekday` is given and `minute` is not"),
        (r#"{"cause":"packet","minute":1}"#, "`minute` is given and `weekday` is not"),
        (r#"{"cause":"packet","client-name":"anna"}"#, "`client-name` is given and `client` is not"),
        (r#"{"cause":"packet","client":"anna"}"#, r#"`client` is "anna"; write the client's number"#),
        (r#"{"cause":"packet","client":1,"client-name":2}"#, "`client-name` is 2; write a text"),
        (r#"{"cause":"packet","client":1,"second-factor":2}"#, "`second-factor` is 2; write true or false"),
        (r#"{"cause":"packet","prefix":24}"#, "`prefix` is given and `address` is not"),
        (r#"{"cause":"packet","address":"10.0.0"}"#, r#"`address` is "10.0.0"; write an IPv4 or IPv6"#),
        (r#"{"cause":"packet","address":"10.0.0.1","prefix":33}"#, "`prefix` is 33; write"),
        (r#"{"cause":"packet","seconds":60}"#, "`seconds` is given and `service` is not"),
        (r#"{"cause":"packet","service":65536}"#, "`service` is 65536; write the service's number"),
        (r#"{"cause":"packet","service":1,"seconds":-1}"#, "`seconds` is -1; write whole seconds"),
        (r#"{"cause":"packet","book-number":1}"#, "`book-number` is given and `book-left` is not"),
        (r#"{"cause":"packet","grant-left":1}"#, "`grant-left` is given and `grant` is not"),
        (r#"{"cause":"packet","time":1.5}"#, "`time` is 1.5; write whole seconds"),
        (r#"{"cause":"packet","host-kind":1}"#, r#"`host-kind` is 1; write "linux" or "gateway""#),
        (r#"{"cause":"packet","lacking":["strat"]}"#, r#"`lacking` is ["strat"]; write a list of capabilities"#),
    ];
    for (number, (record, expected)) in cases.into_iter().enumerate() {
        let said = event_from_json(&object(record)).unwrap_err().to_string();
        assert!(said.contains(expected), "case {number}: {said}");
    }
}

#[test]
fn actions_that_were_written_are_read_back_as_they_were() {
    let actions = all_actions();
    let text = actions_to_json(&actions).to_string();
    assert_eq!(actions_from_json(&serde_json::from_str(&text).unwrap()), Ok(actions), "{text}");
}

#[test]
fn what_is_wrong_with_an_action_is_said_by_name() {
    #[rustfmt::skip]
    let cases = [
        (r#"{}"#, "`actions` is {}; write a list of actions"),
        (r#"[1]"#, "`actions` is 1; write objects such as"),
        (r#"[{"act":"shut"}]"#, r#"`act` is "shut"; write one of open,"#),
        (r#"[{"service":1}]"#, "`act` is null; write one of open,"),
        (r#"[{"act":"open","service":1}]"#, "no `seconds`; add it"),
        (r#"[{"act":"open","service":1,"seconds":"60"}]"#, r#"`seconds` is "60"; write a number"#),
        (r#"[{"act":"revoke","grant":1,"seconds":60}]"#, "`seconds` is 60; write nothing: this act has no such part"),
        (r#"[{"act":"open-prefix","service":1,"bits":256,"seconds":60}]"#, "`bits` is 256; write a number"),
    ];
    for (number, (actions, expected)) in cases.into_iter().enumerate() {
        let said = actions_from_json(&serde_json::from_str(actions).unwrap()).unwrap_err().to_string();
        assert!(said.contains(expected), "case {number}: {said}");
    }
}

#[test]
fn a_decision_is_written_whole() {
    let mut decision = Decision {
        verdict: Verdict::Commit,
        actions: heapless::Vec::from_slice(&all_actions()).unwrap(),
        fuel: 77,
        failure: None,
        refused: heapless::Vec::from_slice(&[RefusedAct {
            act: Capability::Start,
            refusal: Refusal::NotPermitted,
        }])
        .unwrap(),
        loaded: heapless::Vec::from_slice(&[(1, u64::MAX), (9, 0)]).unwrap(),
        log: heapless::Vec::new(),
        log_dropped: 0,
    };
    let record = decision_to_json(&decision);
    assert_eq!(
        (&record["verdict"], &record["fuel"], &record["failure"]),
        (&"commit".into(), &77.into(), &Value::Null)
    );
    assert_eq!(record["refused"], json!(["start"]));
    assert_eq!(loaded_from_json(&record["loaded"]), Ok(vec![(1, u64::MAX), (9, 0)]));

    decision.failure = Some(crate::Failure::Verdict(7));
    assert_eq!(decision_to_json(&decision)["verdict"], "failed");
    assert!(loaded_from_json(&json!([[1]])).is_err());
}

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

fn all_actions() -> Vec<Action> {
    vec![
        Action::Open { service: 1, seconds: 60 },
        Action::OpenPrefix { service: 2, bits: 24, seconds: 61 },
        Action::Extend { grant: u64::MAX, seconds: 62 },
        Action::Revoke { grant: 4 },
        Action::Lockout { seconds: 63 },
        Action::Start { unit: 5 },
        Action::Notify { channel: 6, code: u32::MAX },
    ]
}

fn full_event(address: IpAddr) -> Event {
    Event {
        time: Some(1_767_607_200),
        local: Some(LocalTime { weekday: 1, minute: 600 }),
        client: Some(Client {
            id: 7,
            name: text("anna"),
            failures: 1,
            grants: 2,
            oldest_grant: Some(u64::MAX),
            second_factor: true,
        }),
        source: Some(Source { address, prefix: 30, failures: 3, grants: 4 }),
        request: Some(Request { service: 1, name: text("ssh"), seconds: 60, grants: 5, prefix: Some(24) }),
        book: Some(Book { number: 6, left: 8 }),
        grant: Some(Grant { id: 9, left: 30 }),
        grants_open: 10,
        lockout_seconds: Some(11),
        lacking: Capabilities::NONE.with(Capability::Start),
        // The default of what is read is the other one.
        ..Event::new(Cause::Renew, HostKind::Gateway)
    }
}
