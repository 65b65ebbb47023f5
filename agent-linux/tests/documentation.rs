//! `docs/agent-toml.md` has every key of the configuration and no other, and `docs/audit-log.md` every field of every record.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use knockgate_agent::audit::{Audit, AuditRecord};
use knockgate_agent::config::Config;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/agent-toml.md");

/// The tables of the file as the document's headings call them, and one of each with a key that nobody knows.
const TABLES: [(&str, &str); 19] = [
    ("gate", "[gate]\nno-such-key = 1"),
    ("gateway", "[gateway]\nno-such-key = 1"),
    ("gateway.console", "[gateway.console]\nno-such-key = 1"),
    ("guard", "[guard]\nno-such-key = 1"),
    ("audit", "[audit]\nno-such-key = 1"),
    ("process", "[process]\nno-such-key = 1"),
    ("packet", "[packet]\nno-such-key = 1"),
    ("capture", "[capture]\nno-such-key = 1"),
    ("control", "[control]\nno-such-key = 1"),
    ("metrics", "[metrics]\nno-such-key = 1"),
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

/// What records have by their source: kinds and fields in kebab case, as they are written.
const RECORDS: &str = include_str!("../src/audit/record.rs");
const DECISION: &str = include_str!("../src/audit/decision.rs");
const NOISE: &str = include_str!("../src/audit/noise.rs");
const AUDIT_LOG: &str = include_str!("../../docs/audit-log.md");
/// What the policy host says of a decision.
const SAID: [&str; 6] = ["verdict", "actions", "refused", "fuel", "failure", "loaded"];

#[test]
fn every_kind_of_record_and_every_field_is_documented_and_no_other() {
    let mut records = records();
    let said = SAID.map(str::to_owned);
    let decision = fields(DECISION, "struct Written<'a> {", 4);
    records.insert("decision".to_owned(), decision.into_iter().chain(said.clone()).collect());
    records.get_mut("shadow-difference").unwrap().extend(said);
    records.get_mut("noise").unwrap().extend(fields(NOISE, "pub struct Noise {", 4));

    let mut documented = BTreeMap::new();
    for section in AUDIT_LOG.split("\n### `").skip(1) {
        let (kind, text) = section.split_once('`').unwrap();
        let text = text.split("\n## ").next().unwrap();
        let rows =
            text.lines().filter(|line| line.starts_with("| `")).map(|row| row.split('|').nth(1).unwrap());
        let names: BTreeSet<_> = rows
            .flat_map(|cell| cell.split(',').map(|name| name.trim().trim_matches('`').to_owned()))
            .collect();
        documented.insert(kind.to_owned(), names);
    }
    assert_eq!(documented, records);
}

#[test]
fn a_line_is_checked_by_hand_as_the_document_says() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::open(&folder.path().join("audit.jsonl")).unwrap();
    audit.write(AuditRecord::stopped("a \"%s\" \\ reason"));
    drop(audit);
    let commands = AUDIT_LOG.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();

    let output = std::process::Command::new("sh").args(["-ec", commands]).current_dir(folder.path()).output();

    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(said.len(), 64, "{said}");
    assert_eq!(said[..32], said[32..]);
}

/// Each kind of record in its source, with its fields.
fn records() -> BTreeMap<String, BTreeSet<String>> {
    let body = RECORDS.split_once("pub enum AuditRecord {\n").unwrap().1.split("\n}\n").next().unwrap();
    let starts = body.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?.strip_suffix(" {").or_else(|| line.strip_suffix("),"))?;
        name.trim_start().starts_with(char::is_uppercase).then_some(name.trim_start())
    });
    starts
        .map(|start| {
            let name: String = start.chars().take_while(char::is_ascii_alphanumeric).collect();
            (kebab(&name), fields(body, &format!("    {name} {{"), 8))
        })
        .collect()
}

/// The fields below `start`, without those that stand for several.
fn fields(source: &str, start: &str, indent: usize) -> BTreeSet<String> {
    let Some((_, rest)) = source.split_once(start) else { return BTreeSet::new() };
    let (mut fields, mut is_several) = (BTreeSet::new(), false);
    for line in rest.lines().skip(1).take_while(|line| line.starts_with(&" ".repeat(indent))) {
        let line = line.trim().trim_start_matches("pub ");
        match line.split_once(": ") {
            _ if line.starts_with("#[serde(flatten)]") => is_several = true,
            Some(_) if is_several => is_several = false,
            Some((name, _)) if !line.starts_with('/') => {
                fields.insert(kebab(name));
            }
            Some(_) | None => {}
        }
    }
    fields
}

/// `GrantOpened` and `elapsed_us` as they are written.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for (at, c) in name.char_indices() {
        if c.is_uppercase() && at > 0 {
            kebab.push('-');
        }
        kebab.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    kebab
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
