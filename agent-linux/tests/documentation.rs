//! `docs/agent-toml.md` has every key of the configuration and no other.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use knockgate_agent::config::Config;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/agent-toml.md");

/// The tables of the file as the document's headings call them, and one of each with a key that nobody knows.
const TABLES: [(&str, &str); 17] = [
    ("gate", "[gate]\nno-such-key = 1"),
    ("gateway", "[gateway]\nno-such-key = 1"),
    ("gateway.console", "[gateway.console]\nno-such-key = 1"),
    ("audit", "[audit]\nno-such-key = 1"),
    ("process", "[process]\nno-such-key = 1"),
    ("packet", "[packet]\nno-such-key = 1"),
    ("capture", "[capture]\nno-such-key = 1"),
    ("control", "[control]\nno-such-key = 1"),
    ("central", "[central]\nno-such-key = 1"),
    ("sequence", "[sequence]\nno-such-key = 1"),
    ("lockout", "[lockout]\nno-such-key = 1"),
    ("service.NAME", "[service.x]\nno-such-key = 1"),
    ("[static-sequence]", "[[static-sequence]]\nno-such-key = 1"),
    ("policy", "[policy]\nno-such-key = 1"),
    ("policy-module.NAME", "[policy-module.x]\nno-such-key = 1"),
    ("unit.NAME", "[unit.x]\nno-such-key = 1"),
    ("channel.NAME", "[channel.x]\nno-such-key = 1"),
];

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let documented = documented(&std::fs::read_to_string(DOCUMENT).unwrap());
    let known: BTreeMap<_, _> =
        TABLES.iter().map(|(name, text)| ((*name).to_owned(), known_keys(text))).collect();
    assert_eq!(documented, known);
}

#[test]
fn every_table_is_documented() {
    let names: BTreeSet<_> = TABLES
        .iter()
        .map(|(name, _)| name.split('.').next().unwrap().trim_matches(['[', ']']).to_owned())
        .collect();
    assert_eq!(known_keys("no-such-key = 1"), names);
}

#[test]
fn the_example_in_the_document_is_valid() {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let examples: Vec<_> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        Config::parse(Path::new("example.toml"), example).unwrap();
    }
}

/// What the refusal of an unknown key says is known in its place.
fn known_keys(text: &str) -> BTreeSet<String> {
    let refusal = Config::parse(Path::new("agent.toml"), text).unwrap_err().to_string();
    let known = refusal.lines().find_map(|line| line.split_once("no-such-key is not known; known here: "));
    known.unwrap().1.split(", ").map(str::to_owned).collect()
}

/// First column of every row below a heading that is the name of a table.
fn documented(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            current = heading.strip_prefix("`[").and_then(|rest| rest.strip_suffix("]`"));
        } else if let (Some(table), Some(row)) = (current, line.strip_prefix("| `")) {
            tables.entry(table.to_owned()).or_default().insert(row.split('`').next().unwrap().to_owned());
        }
    }
    tables
}
