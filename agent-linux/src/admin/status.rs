//! `knockgated status`: how a running agent is.

use std::collections::BTreeMap;
use std::path::Path;

use super::counted;
use super::running::{Form, ask, json, span, unexpected};
use crate::control::{BookLevel, Guarded, Hearing, LeaseState, PolicyFigures, Reply, Request, Status};

/// Asks, and prints.
pub fn run(config: &Path, form: Form) -> anyhow::Result<String> {
    match (ask(config, &Request::Status)?, form) {
        (Reply::Status(status), Form::Text) => Ok(text(&status)),
        (Reply::Status(status), Form::Json) => json(&status),
        (other, Form::Text | Form::Json) => unexpected(&other),
    }
}

fn text(status: &Status) -> String {
    let Status { agent, pid, since, up_seconds, guarded, hearing, counts, .. } = status;
    let up = span(*up_seconds);
    let now = [
        counted(counts.grants, "grant"),
        counted(counts.holds, "hold"),
        counted(counts.lockouts, "lockout"),
        counted(counts.clients, "client"),
    ];
    let lines = [
        ("agent", vec![format!("knockgated {agent}, process {pid}, up {up}, since {since}")]),
        ("guarded", guarded.iter().map(service).collect()),
        ("hearing", vec![heard(hearing)]),
        ("now", vec![now.join(", ")]),
        ("knocks", vec![knocks(status)]),
        ("refusals", vec![counts_of(&status.refusals)]),
        ("strangers", strangers(status)),
        ("lease", vec![lease(&status.lease)]),
        ("audit log", vec![audit(status.audit_lost)]),
        ("policies", none_if_empty(status.policies.iter().map(policy).collect())),
        ("books", none_if_empty(status.books.iter().map(book).collect())),
    ];
    let line = |(name, what): (&str, Vec<String>)| format!("{name:10} {}\n", what.join("\n           "));
    lines.into_iter().map(line).collect()
}

fn service(guarded: &Guarded) -> String {
    let Guarded { service, protocol, ports, grants } = guarded;
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    format!("{service} {protocol}/{}, {}", ports.join(","), counted(*grants, "grant"))
}

fn heard(hearing: &Hearing) -> String {
    let Hearing { packets, by, central_port, sequences, static_sequences } = hearing;
    let central = central_port.map_or("no central port".to_owned(), |port| format!("central port {port}"));
    let statics = counted(*static_sequences, "static sequence");
    format!("packet knocks: {packets}; {by}; {central}; sequences: {sequences}; {statics}")
}

fn knocks(status: &Status) -> String {
    let knocks = &status.knocks;
    format!(
        "{} by packet, {} by sequence ({} failed), {} by static sequence; {} numbers offered; {} opened, {} closed, {} locked out",
        knocks.packets,
        knocks.sequences,
        knocks.failed_sequences,
        knocks.static_sequences,
        knocks.numbers,
        knocks.opened,
        knocks.closed,
        knocks.lockouts
    )
}

fn counts_of(counts: &BTreeMap<String, u64>) -> String {
    let there = counts.iter().filter(|(_, count)| **count > 0);
    let all: Vec<_> = there.map(|(word, count)| format!("{count} {word}")).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn strangers(status: &Status) -> Vec<String> {
    let strangers = &status.strangers;
    vec![format!("{}; now {} a second", counts_of(&strangers.since_start), strangers.per_second)]
}

fn lease(lease: &LeaseState) -> String {
    match (&lease.until, lease.wanted) {
        (Some(until), _) => format!("until {until}"),
        (None, true) => "none, so every knock waits for the disk; the log says why".to_owned(),
        (None, false) => "none is wanted: every knock waits for the disk".to_owned(),
    }
}

fn audit(lost: u64) -> String {
    match lost {
        0 => "nothing was lost".to_owned(),
        _ => format!("{lost} records could not be written; the log says why"),
    }
}

fn policy(policy: &PolicyFigures) -> String {
    let PolicyFigures { policy, decisions, failures, median_us, worst_us } = policy;
    let micros = |us: &Option<u64>| us.map_or("-".to_owned(), |us| format!("{us} us"));
    format!(
        "{policy}: {decisions} decisions, {failures} failed; median {}, worst {}",
        micros(median_us),
        micros(worst_us)
    )
}

fn book(level: &BookLevel) -> String {
    let BookLevel { client, book, left, of } = level;
    format!("{book} of {client}: {left} of {of} left")
}

fn none_if_empty(lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { vec!["none yet".to_owned()] } else { lines }
}
