//! The built-in policies, by tables: each event is decided by Cranelift, by Pulley and by wasmi in the edge profile, and all
//! agree in verdict, actions and log; the first two also in fuel.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod hours;
mod limit;
mod native;
mod networks;
#[path = "../stage/mod.rs"]
mod stage;
mod three;
mod two_person;

use std::collections::HashSet;

use knockgate_policy_host::builtin::{self, ALL};
use knockgate_policy_host::{Action, Capabilities, Cause, PolicyEngine, Profile, Rights, Verdict};
use stage::{knock, rights};
use three::{Three, given};

const OPEN: Action = Action::Open { service: 1, seconds: 60 };

#[test]
fn every_built_in_policy_is_found_by_the_name_in_its_manifest() {
    let engine = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    for policy in ALL {
        let loaded = engine.load("x", policy.module, &rights()).unwrap();

        assert_eq!(loaded.title(), format!("{} 1.0", policy.name));
        assert_eq!(builtin::find(policy.name), Some(policy));
        assert!(policy.summary.ends_with('.'), "{}", policy.summary);
        assert!(policy.module.len() < 2048, "{} has {} bytes", policy.name, policy.module.len());
    }
    assert_eq!(ALL.iter().map(|policy| policy.name).collect::<HashSet<_>>().len(), ALL.len());
    assert_eq!(builtin::find("Default"), None);
}

#[test]
fn the_guide_has_every_built_in_policy_with_all_its_parameters() {
    let guide = include_str!("../../../../docs/policies.md");
    for policy in ALL {
        let (_, rest) = guide.split_once(&format!("### `{}`\n", policy.name)).unwrap();
        let section = rest.split("\n#").next().unwrap();
        for (name, kind) in parameters(policy.module) {
            assert!(section.contains(&format!("`{name}`")), "{}: `{name}` is not explained", policy.name);
            assert!(section.contains(&format!("\n{name} = ")), "{}: `{name}` is not shown", policy.name);
            assert!(guide.contains(&format!("| `{kind}` |")), "{}: no kind {kind}", policy.name);
        }
    }
}

/// Name and kind of each parameter in a module's manifest.
fn parameters(module: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(module);
    let line = text.lines().find_map(|line| line.strip_prefix("parameters=")).unwrap_or("");
    let both = |word: &str| word.split_once(':').map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    line.split(' ').filter_map(both).collect()
}

#[test]
fn every_built_in_policy_is_asked_about_knocks_and_renewals_only() {
    let engine = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    for policy in ALL {
        let loaded = engine.load("x", policy.module, &rights()).unwrap();
        let wanted: Vec<_> = Cause::ALL.iter().copied().filter(|cause| loaded.wants(*cause)).collect();
        assert_eq!(wanted, [Cause::Sequence, Cause::Packet, Cause::Renew], "{}", policy.name);
    }
}

#[test]
fn a_filter_needs_no_right_at_all() {
    for name in ["office-hours", "known-networks", "second-factor"] {
        let policy = Three::load(name, &Rights::default());
        let answer = policy.decide(&knock());
        assert!(answer.actions.is_empty() && answer.log.is_empty(), "{name}: {answer:?}");
    }
}

#[test]
fn the_default_opens_what_was_asked_for_cut_to_what_is_allowed() {
    let policy = Three::load("default", &given(&[]));
    let cases = [
        (1, 60, None, vec![OPEN]),
        (1, 3601, None, vec![Action::Open { service: 1, seconds: 3600 }]),
        (2, 3600, None, vec![Action::Open { service: 2, seconds: 60 }]),
        (1, 60, Some(24), vec![Action::OpenPrefix { service: 1, bits: 24, seconds: 60 }]),
        (3, 60, None, vec![]),
    ];
    for (number, (service, seconds, prefix, actions)) in cases.into_iter().enumerate() {
        let mut event = knock();
        let request = event.request.as_mut().unwrap();
        (request.service, request.seconds, request.prefix) = (service, seconds, prefix);
        let answer = policy.decide(&event);
        let verdict = if actions.is_empty() { Verdict::Deny } else { Verdict::Commit };
        assert_eq!((answer.verdict, answer.actions), (verdict, actions), "case {number}");
    }
}
