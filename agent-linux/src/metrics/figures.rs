//! Which figures there are: those of a status, by names that stay.

use std::time::UNIX_EPOCH;

use knockgate_core::Refusal;

use super::exposition::{Exposition, Kind, Label};
use crate::control::{PolicyFigures, Status};

/// All of them, as text.
pub(super) fn page(status: &Status) -> String {
    let mut page = Exposition::default();
    agent(&mut page, status);
    now(&mut page, status);
    knocks(&mut page, status);
    policies(&mut page, &status.policies);
    page.into_text()
}

fn agent(page: &mut Exposition, status: &Status) {
    let build = ("knockgate_build_info", Kind::Gauge, "Always 1; the label is the version of the agent.");
    page.family(build, [(Some(("version", status.agent.as_str())), 1.0)]);
    let since = humantime::parse_rfc3339(&status.since).ok();
    let since =
        since.and_then(|since| since.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs_f64());
    let start =
        ("knockgate_start_time_seconds", Kind::Gauge, "When the agent was started, in seconds since 1970.");
    page.family(start, since.map(|since| (None, since)));
    let lost = "Audit records that could not be written, and of which the audit log does not say so yet.";
    one(page, "knockgate_audit_records_lost", Kind::Gauge, lost, status.audit_lost);
    let failing = "Whether the last try to write the audit log has failed, 0 or 1.";
    one(page, "knockgate_audit_failing", Kind::Gauge, failing, u64::from(status.audit_failing));
    let whole = "Whether the guard is as it shall be, 0 or 1.";
    one(page, "knockgate_guard_whole", Kind::Gauge, whole, u64::from(status.guard_trouble.is_none()));
    let lease = "Whether knocks are admitted without waiting for the disk, 0 or 1.";
    one(page, "knockgate_lease_in_force", Kind::Gauge, lease, u64::from(status.lease.until.is_some()));
}

fn now(page: &mut Exposition, status: &Status) {
    let counts = &status.counts;
    let gauges = [
        ("knockgate_clients", "Clients on the roster.", counts.clients),
        ("knockgate_holds", "Numbers that are held for a client.", counts.holds),
        ("knockgate_lockouts", "Lockouts that last.", counts.lockouts),
    ];
    for (name, help, count) in gauges {
        page.family((name, Kind::Gauge, help), [(None, number(count))]);
    }
    let open = ("knockgate_grants", Kind::Gauge, "Grants that are open.");
    let guarded = status.guarded.iter();
    page.family(open, guarded.map(|one| (Some(("service", one.service.as_str())), number(one.grants))));
    let lowest = status.books.iter().map(|book| book.left).min();
    let book = ("knockgate_book_numbers_left_min", Kind::Gauge, "Numbers left in the book that has fewest.");
    page.family(book, lowest.map(|left| (None, f64::from(left))));
}

fn knocks(page: &mut Exposition, status: &Status) {
    let knocks = &status.knocks;
    let kinds = [
        ("packet", knocks.packets),
        ("sequence", knocks.sequences),
        ("static-sequence", knocks.static_sequences),
    ];
    let all =
        ("knockgate_knocks_total", Kind::Counter, "Knocks that were understood, whatever came of them.");
    page.family(all, labelled("kind", kinds));
    let counters = [
        ("knockgate_numbers_offered_total", "Numbers of books that were offered.", knocks.numbers),
        ("knockgate_failed_sequences_total", "Sequences of clients that failed.", knocks.failed_sequences),
        ("knockgate_grants_opened_total", "Grants that were opened.", knocks.opened),
        ("knockgate_grants_closed_total", "Grants that have ended.", knocks.closed),
        ("knockgate_lockouts_total", "Lockouts that were imposed.", knocks.lockouts),
    ];
    for (name, help, count) in counters {
        one(page, name, Kind::Counter, help, count);
    }
    let reasons = Refusal::ALL.map(Refusal::word);
    let refused = reasons.map(|word| (word, status.refusals.get(word).copied().unwrap_or_default()));
    let refusals =
        ("knockgate_refusals_total", Kind::Counter, "How often each reason for a refusal was one.");
    page.family(refusals, labelled("reason", refused));
    let noise = ("knockgate_noise_total", Kind::Counter, "What strangers have sent, by what became of it.");
    let kinds = status.strangers.since_start.iter().map(|(word, count)| (word.as_str(), *count));
    page.family(noise, labelled("kind", kinds));
}

fn policies(page: &mut Exposition, policies: &[PolicyFigures]) {
    let decisions = ("knockgate_policy_decisions_total", Kind::Counter, "Decisions of a policy.");
    page.family(decisions, of_each(policies, |one| Some(float(one.decisions))));
    let failures = ("knockgate_policy_failures_total", Kind::Counter, "Decisions at which a policy failed.");
    page.family(failures, of_each(policies, |one| Some(float(one.failures))));
    let help = "Median time of a policy's last 255 decisions.";
    let median = ("knockgate_policy_decision_median_seconds", Kind::Gauge, help);
    page.family(median, of_each(policies, |one| one.median_us.map(seconds)));
    let help = "Longest time of all decisions of a policy.";
    let worst = ("knockgate_policy_decision_worst_seconds", Kind::Gauge, help);
    page.family(worst, of_each(policies, |one| one.worst_us.map(seconds)));
}

fn of_each(
    policies: &[PolicyFigures],
    value: fn(&PolicyFigures) -> Option<f64>,
) -> impl Iterator<Item = (Label<'_>, f64)> {
    policies.iter().filter_map(move |one| Some((Some(("policy", one.policy.as_str())), value(one)?)))
}

fn one(page: &mut Exposition, name: &str, kind: Kind, help: &str, value: u64) {
    page.family((name, kind, help), [(None, float(value))]);
}

fn labelled<'l>(
    label: &'static str,
    counts: impl IntoIterator<Item = (&'l str, u64)>,
) -> impl Iterator<Item = (Label<'l>, f64)> {
    counts.into_iter().map(move |(of, count)| (Some((label, of)), float(count)))
}

/// The format knows no integers. Nothing that is counted here comes near 2^53.
fn float(count: u64) -> f64 {
    count as f64
}

fn number(count: usize) -> f64 {
    float(u64::try_from(count).unwrap_or(u64::MAX))
}

fn seconds(micros: u64) -> f64 {
    float(micros) / 1e6
}

#[cfg(test)]
mod tests;
