use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::control::BookLevel;

/// Name, labels with their braces, value.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let at = series.find('{').unwrap_or(series.len());
    let (name, labels) = series.split_at(at);
    Some((name, labels, value.parse().ok()?))
}

fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    name.starts_with("knockgate_") && name.bytes().all(letter)
}

fn is_label(labels: &str) -> bool {
    let inner = labels.strip_prefix('{').and_then(|rest| rest.strip_suffix("\"}"));
    let parts = inner.and_then(|inner| inner.split_once("=\""));
    parts.is_some_and(|(name, value)| {
        name.bytes().all(|byte| byte.is_ascii_lowercase()) && !value.contains(['"', '\\', '\n'])
    })
}

#[test]
fn every_line_is_what_the_format_allows_and_no_series_is_there_twice() {
    let page = page(&Status::example());
    assert!(page.ends_with('\n'));
    let (mut families, mut series) = (HashSet::new(), HashSet::new());
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')).unwrap();
        assert!(is_name(name) && help.ends_with('.') && families.insert(name), "{line}");
        let line = lines.next().unwrap();
        let kind = line.strip_prefix(&format!("# TYPE {name} ")).unwrap();
        assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        assert!(["counter", "gauge"].contains(&kind), "{line}");
        let mut samples = 0;
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (of, labels, value) = sample(line).unwrap();
            assert!(of == name && value >= 0.0, "{line}");
            assert!(labels.is_empty() || is_label(labels), "{line}");
            assert!(series.insert((of, labels)), "{line} is there twice");
            samples += 1;
        }
        assert!(samples > 0, "{name} has no sample");
    }
    assert!(families.len() > 20, "{families:?}");
}

#[test]
fn the_figures_are_those_of_the_status() {
    let page = page(&Status::example());
    for expected in [
        "knockgate_build_info{version=\"1.2.3\"} 1",
        "knockgate_start_time_seconds 1769882400",
        "knockgate_grants{service=\"ssh\"} 2",
        "knockgate_knocks_total{kind=\"packet\"} 12",
        "knockgate_refusals_total{reason=\"not-allowed\"} 7",
        "knockgate_refusals_total{reason=\"stale\"} 0",
        "knockgate_noise_total{kind=\"unsealed\"} 900",
        "knockgate_policy_decision_median_seconds{policy=\"office-hours\"} 0.000038",
        "knockgate_policy_decision_worst_seconds{policy=\"office-hours\"} 0.0024",
        "knockgate_book_numbers_left_min 7",
        "knockgate_lease_in_force 1",
    ] {
        assert!(page.lines().any(|line| line == expected), "{expected} is missing:\n{page}");
    }
}

/// Which figures there are, and of which kind.
fn families(page: &str) -> BTreeMap<&str, &str> {
    page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

#[test]
fn every_figure_is_documented_and_every_documented_one_exists() {
    let rows = include_str!("../../../../docs/operations.md").lines();
    let rows = rows.filter_map(|row| row.strip_prefix("| `knockgate_")?.split_once(" | "));
    let documented: BTreeMap<_, _> = rows
        .map(|(name, rest)| {
            (format!("knockgate_{}", name.trim_matches('`')), rest.split(' ').next().unwrap_or_default())
        })
        .collect();
    let documented: BTreeMap<_, _> = documented.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    assert_eq!(families(&page(&Status::example())), documented);
}

#[test]
fn a_guard_and_an_audit_log_in_trouble_are_told() {
    let mut status = Status::example();
    let quiet = page(&status);
    assert!(quiet.contains("\nknockgate_guard_whole 1\n") && quiet.contains("\nknockgate_audit_failing 0\n"));
    status.guard_trouble = Some("its table is gone".to_owned());
    status.audit_failing = true;
    status.audit_lost = 7;
    let page = page(&status);
    for line in ["knockgate_guard_whole 0", "knockgate_audit_failing 1", "knockgate_audit_records_lost 7"] {
        assert!(page.lines().any(|it| it == line), "{line} is missing:\n{page}");
    }
}

#[test]
fn no_label_has_a_name_of_a_client() {
    let mut status = Status::example();
    status.books =
        vec![BookLevel { client: "mallory".to_owned(), book: "mallory".to_owned(), left: 1, of: 2 }];
    assert!(!page(&status).contains("mallory"));
}

#[test]
fn reasons_and_words_of_other_versions_make_no_label() {
    let mut status = Status::example();
    status.refusals.insert("of-the-future".to_owned(), 1);
    assert!(!page(&status).contains("of-the-future"));
}
