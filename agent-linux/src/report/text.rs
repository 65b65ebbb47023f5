//! The figures in words: for the terminal, and for the page.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use super::Report;
use super::gaps::{Gap, Gaps};
use super::tally::{NOISE, Tally};
use crate::admin::counted;

/// The few lines that are printed.
pub(super) fn summary(report: &Report) -> String {
    let Report { gate, tally, .. } = report;
    let gate = plain(gate);
    let mut text = format!(
        "gate      {gate}, {} to {} (UTC)\nrecords   {}\nstarts    {}\nknocks    {} opened, {} refused\nlockouts  {}\nnoise     {}\n",
        moment(tally.span.since),
        moment(tally.span.until),
        tally.records,
        tally.starts,
        tally.opened.sum(),
        tally.refused.sum(),
        tally.lockouts,
        tally.noise.sum(),
    );
    let lists = [
        ("clients   ", tally.clients.highest(5), "opened, ", "refused"),
        ("services  ", tally.services.highest(5), "opened, ", "refused"),
    ];
    for (title, rows, first, second) in lists {
        let rows: Vec<_> =
            rows.iter().map(|(name, [a, b])| format!("{}: {a} {first}{b} {second}", plain(name))).collect();
        if !rows.is_empty() {
            let _ = writeln!(text, "{title}{}", rows.join("\n          "));
        }
    }
    let reasons: Vec<_> = tally
        .reasons
        .highest(8)
        .iter()
        .map(|(name, [count, _])| format!("{count} {}", plain(name)))
        .collect();
    if !reasons.is_empty() {
        let _ = writeln!(text, "refusals  {}", reasons.join(", "));
    }
    let sources = sources(tally, 5);
    if !sources.is_empty() {
        let sources: Vec<_> =
            sources.iter().map(|(prefix, [count, _])| format!("{}: {count}", plain(prefix))).collect();
        let _ = writeln!(text, "from      {}", sources.join("\n          "));
    }
    let gaps: Vec<_> = tally.gaps.listed.iter().rev().take(5).map(gap).collect();
    if !gaps.is_empty() {
        let _ = writeln!(text, "gaps      {}\n          {}", all_gaps(tally), gaps.join("\n          "));
    }
    let _ = writeln!(text, "chain     {}", chain(report));
    text
}

/// Prefixes that noise came from, and all others as one; nothing where no prefix is known.
pub(super) fn sources(tally: &Tally, rows: usize) -> Vec<(String, [u64; 2])> {
    if tally.noise_from.has_names() { tally.noise_from.highest(rows) } else { Vec::new() }
}

/// `2: 3m without an agent, 5 records lost`.
pub(super) fn all_gaps(tally: &Tally) -> String {
    let Gaps { count, away, lost, .. } = &tally.gaps;
    let away = humantime::format_duration(Duration::from_secs(*away));
    format!("{count}: {away} without an agent, {} lost", counted(*lost, "record"))
}

fn gap(gap: &Gap) -> String {
    format!("{} to {}: {}", moment(gap.from), moment(gap.until), gap.what.words())
}

/// What the chain says, in a sentence.
pub(super) fn chain(report: &Report) -> String {
    let chain = &report.chain;
    match &chain.broken {
        None => format!("whole: {} records in {}", chain.records, counted(chain.files, "file")),
        Some(broken) => format!("broken at {broken}"),
    }
}

/// The kinds of noise that there was.
pub(super) fn noise(tally: &Tally) -> Vec<(String, [u64; 2])> {
    let kinds = NOISE.iter().zip(tally.noise_kinds);
    let mut kinds: Vec<_> = kinds
        .filter(|(_, count)| *count > 0)
        .map(|((_, what), count)| ((*what).to_owned(), [count, 0]))
        .collect();
    kinds.sort_by_key(|(_, [count, _])| std::cmp::Reverse(*count));
    kinds
}

/// `2026-11-01 08:00:00`, in UTC.
pub(super) fn moment(second: u64) -> String {
    // A year of five digits has no place on a page.
    let last = 253_402_300_799;
    let time = UNIX_EPOCH + Duration::from_secs(second.min(last));
    humantime::format_rfc3339_seconds(time).to_string().replace('T', " ").replace('Z', "")
}

/// `minute`, `3 hours`.
pub(super) fn width(seconds: u64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let unit = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1, "second"));
    match seconds / unit {
        1 => name.to_owned(),
        many => format!("{many} {name}s"),
    }
}

/// `34 µs`, `1.2 ms`, `3 s`.
pub(super) fn micros(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{}.{} ms", micros / 1000, micros % 1000 / 100),
        _ => format!("{} s", micros / 1_000_000),
    }
}

/// Without what a terminal would act upon.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
