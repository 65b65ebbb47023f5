//! `knockgated status`: how a running agent is.

use std::collections::BTreeMap;
use std::path::Path;

use super::counted;
use super::running::{Form, ask, json, span, unexpected};
use crate::control::{
    BookLevel, Guarded, Hearing, LeaseState, ModuleInForce, PolicyFigures, Reply, Request, Status,
};

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
        ("audit log", vec![audit(status)]),
        ("guard", vec![status.guard_trouble.clone().unwrap_or_else(|| "as it shall be".to_owned())]),
        ("engine", vec![engine(&status.engine)]),
        ("policies", status.modules.iter().map(|module| policy(module, &status.policies)).collect()),
        ("books", none_if_empty(status.books.iter().map(book).collect())),
    ];
    let line = |(name, what): (&str, Vec<String>)| format!("{name:10} {}\n", what.join("\n           "));
    lines.into_iter().map(line).collect()
}

fn service(guarded: &Guarded) -> String {
    let Guarded { service, protocol, ports, grants, policies } = guarded;
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    let (ports, grants, policies) = (ports.join(","), counted(*grants, "grant"), policies.join(", "));
    format!("{service} {protocol}/{ports}, {grants}, asks {policies}")
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

fn audit(status: &Status) -> String {
    match (status.audit_failing, status.audit_lost) {
        (true, lost) => format!("cannot be written, {lost} records are missing so far; the log says why"),
        (false, 0) => "nothing was lost".to_owned(),
        (false, lost) => format!("{lost} records could not be written; the log says why"),
    }
}

fn engine(word: &str) -> String {
    match word {
        "none" => "none; this agent was built without".to_owned(),
        word => word.to_owned(),
    }
}

/// What decides, and how it has done so.
fn policy(module: &ModuleInForce, figures: &[PolicyFigures]) -> String {
    let ModuleInForce { policy, title, sha256, shadow } = module;
    let as_shadow = if *shadow { ", as a shadow" } else { "" };
    let file = sha256.as_ref().map_or("built in".to_owned(), |sha256| format!("SHA-256 {sha256}"));
    let told = match figures.iter().find(|figures| figures.policy == *policy && !shadow) {
        Some(PolicyFigures { decisions, failures, median_us, worst_us, .. }) => {
            let micros = |us: &Option<u64>| us.map_or("-".to_owned(), |us| format!("{us} us"));
            let (median, worst) = (micros(median_us), micros(worst_us));
            format!("; {decisions} decisions, {failures} failed; median {median}, worst {worst}")
        }
        None => String::new(),
    };
    format!("{policy}: {title}, {file}{as_shadow}{told}")
}

fn book(level: &BookLevel) -> String {
    let BookLevel { client, book, left, of } = level;
    format!("{book} of {client}: {left} of {of} left")
}

fn none_if_empty(lines: Vec<String>) -> Vec<String> {
    if lines.is_empty() { vec!["none yet".to_owned()] } else { lines }
}
