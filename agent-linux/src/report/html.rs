//! The page.

use std::fmt::Write;

use super::Report;
use super::chart::{self, Series};
use super::tally::{DURATIONS, Judge, Tally};
use super::text::{all_gaps, chain, micros, moment, noise, sources, width};

const STYLE: &str = include_str!("page.css");
/// Rows of a table; what is beyond is one more row.
const ROWS: usize = 12;

type Rows = Vec<(String, [u64; 2])>;

pub(super) fn page(report: &Report) -> String {
    let Report { gate, tally, .. } = report;
    let title = format!("Knockgate: {gate}");
    let title = escaped(&title);
    let (since, until) = (moment(tally.span.since), moment(tally.span.until));
    let body =
        [figures(report), over_time(tally), tables(tally), policies(tally), lockouts(tally), gaps(tally)]
            .concat();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header><h1>{title}</h1><p>{since} to {until}, all times in UTC</p></header>\n{body}\
         <footer><p>Made by knockgated {} from {} records of the audit log. The chain is {}.</p></footer>\n</main>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        tally.records,
        escaped(&chain(report)),
    )
}

/// What is the same in HTML and means nothing there.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Also what turns the direction of the text after it.
            c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                safe.push('\u{fffd}')
            }
            c => safe.push(c),
        }
    }
    safe
}

fn figures(report: &Report) -> String {
    let Report { tally, chain, .. } = report;
    let state = if chain.broken.is_some() { ("broken", "bad") } else { ("whole", "good") };
    let figures = [
        (chart::short(tally.opened.sum()), "opened", ""),
        (chart::short(tally.refused.sum()), "refused", ""),
        (chart::short(tally.lockouts), "lockouts", ""),
        (chart::short(tally.noise.sum()), "packets of noise", ""),
        (chart::short(tally.gaps.count), "gaps in the log", if tally.gaps.count > 0 { "bad" } else { "" }),
        (state.0.to_owned(), "chain of the log", state.1),
    ];
    let one = |(figure, what, class): &(String, &str, &str)| {
        format!("<div class=\"figure {class}\"><strong>{figure}</strong><span>{what}</span></div>")
    };
    let broken = chain.broken.as_ref().map_or_else(String::new, |broken| {
        format!("<p class=\"warning\">The audit log is broken at {}</p>\n", escaped(&broken.to_string()))
    });
    format!("<section class=\"figures\">{}</section>\n{broken}", figures.iter().map(one).collect::<String>())
}

fn over_time(tally: &Tally) -> String {
    let opened = Series { name: "opened", class: "good", bins: &tally.opened };
    let refused = Series { name: "refused", class: "bad", bins: &tally.refused };
    let noise = Series { name: "packets of noise", class: "dull", bins: &tally.noise };
    let knocks = [opened, refused];
    let charts = [
        (
            "Knocks over time",
            "Knocks",
            "<span class=\"key good\"></span>opened <span class=\"key bad\"></span>refused",
            &knocks[..],
        ),
        (
            "Noise over time",
            "Packets",
            "<span class=\"key dull\"></span>packets of nobody who may knock",
            &[noise][..],
        ),
    ];
    charts
        .iter()
        .map(|(title, what, key, series)| {
            let svg = chart::over_time(title, what, tally.span, series);
            format!(
                "<section class=\"wide\"><h2>{title}</h2><p class=\"keys\">{key}</p>\n{svg}{}</section>\n",
                figures_of(tally, series)
            )
        })
        .collect()
}

/// The same in figures, for who cannot see bars. Pieces in which nothing was are left out.
fn figures_of(tally: &Tally, series: &[Series<'_>]) -> String {
    let head: String =
        series.iter().map(|one| format!("<th scope=\"col\" class=\"number\">{}</th>", one.name)).collect();
    let mut rows = String::new();
    for at in 0..tally.span.len() {
        let counts: Vec<u64> = series.iter().map(|one| one.bins.0.get(at).copied().unwrap_or(0)).collect();
        if counts.iter().any(|count| *count > 0) {
            let cells: String =
                counts.iter().map(|count| format!("<td class=\"number\">{count}</td>")).collect();
            let _ = writeln!(rows, "<tr><th scope=\"row\">{}</th>{cells}</tr>", moment(tally.span.begin(at)));
        }
    }
    format!(
        "<details><summary>In figures</summary><table><thead><tr><th scope=\"col\">{} from</th>{head}</tr></thead><tbody>\n{rows}</tbody></table></details>\n",
        width(tally.span.width)
    )
}

fn tables(tally: &Tally) -> String {
    let durations: Rows = DURATIONS
        .iter()
        .zip(tally.durations)
        .map(|((_, name), count)| ((*name).to_owned(), [count, 0]))
        .collect();
    let mut books: Rows = tally.books.iter().map(|(client, left)| (client.clone(), [*left, 0])).collect();
    books.sort_by_key(|(_, [left, _])| *left);
    books.truncate(ROWS);
    let both = ["opened", "refused"];
    [
        table("Clients", "client", &both, &tally.clients.highest(ROWS)),
        table("Services", "service", &both, &tally.services.highest(ROWS)),
        table("Why knocks were refused", "reason", &["knocks"], &tally.reasons.highest(ROWS)),
        table(
            "How long grants were open",
            "time",
            &["grants"],
            if tally.durations == [0; 6] { &[] } else { &durations },
        ),
        table("Why grants were closed", "reason", &["grants"], &tally.closings.highest(ROWS)),
        table("Noise by kind", "kind", &["packets"], &noise(tally)),
        table(
            "Noise by prefix",
            "prefix, which may be forged",
            &["packets, at least"],
            &sources(tally, ROWS),
        ),
        table("What policies decided", "policy", &["let in", "not"], &decisions(tally)),
        table("Knock books, the lowest first", "client", &["knocks left"], &books),
    ]
    .concat()
}

/// For each policy how often it let somebody in, and how often it denied or failed. One that left the question to others did neither.
fn decisions(tally: &Tally) -> Rows {
    let of = |judge: &Judge| {
        let said = |words: &[&str]| {
            judge
                .verdicts
                .highest(8)
                .iter()
                .filter(|(word, _)| words.contains(&word.as_str()))
                .map(|(_, [count, _])| count)
                .sum()
        };
        [said(&["commit"]), said(&["deny", "failed"])]
    };
    tally.policies.iter().map(|(name, judge)| (name.clone(), of(judge))).take(ROWS).collect()
}

/// A table with a bar in each row: green for the first figure, red for the second.
fn table(title: &str, what: &str, columns: &[&str], rows: &[(String, [u64; 2])]) -> String {
    let most = rows.iter().map(|(_, [a, b])| a.saturating_add(*b)).max().unwrap_or(0).max(1);
    let head: String =
        columns.iter().map(|column| format!("<th scope=\"col\" class=\"number\">{column}</th>")).collect();
    let mut body = String::new();
    for (name, counts) in rows {
        let cells: String = counts
            .iter()
            .take(columns.len())
            .map(|count| format!("<td class=\"number\">{count}</td>"))
            .collect();
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\">{}</th>{cells}<td class=\"bar\">{}</td></tr>",
            escaped(name),
            bar(*counts, most)
        );
    }
    if rows.is_empty() {
        return format!("<section><h2>{title}</h2><p class=\"none\">None in this time.</p></section>\n");
    }
    format!(
        "<section><h2>{title}</h2><table><thead><tr><th scope=\"col\">{what}</th>{head}<td></td></tr></thead><tbody>\n{body}</tbody></table></section>\n"
    )
}

fn bar([first, second]: [u64; 2], most: u64) -> String {
    let part = |count: u64| u128::from(count) * 100 / u128::from(most);
    let (a, b) = (part(first), part(second));
    format!(
        "<svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"good\" width=\"{a}\" height=\"10\"/><rect class=\"bad\" x=\"{a}\" width=\"{b}\" height=\"10\"/></svg>"
    )
}

fn policies(tally: &Tally) -> String {
    let mut rows = String::new();
    for (name, judge) in &tally.policies {
        let verdicts: Vec<_> = judge
            .verdicts
            .highest(4)
            .iter()
            .map(|(word, [count, _])| format!("{count} {}", escaped(word)))
            .collect();
        let took = &judge.took;
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            escaped(name),
            verdicts.join(", "),
            judge.failures,
            micros(took.percentile(50)),
            micros(took.percentile(99)),
            micros(took.longest)
        );
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<section class=\"wide\"><h2>Policies</h2><table><thead><tr><th scope=\"col\">policy</th><th scope=\"col\">verdicts</th><th scope=\"col\" class=\"number\">failures</th>\
         <th scope=\"col\" class=\"number\">half within</th><th scope=\"col\" class=\"number\">99 % within</th><th scope=\"col\" class=\"number\">longest</th></tr></thead><tbody>\n{rows}</tbody></table></section>\n"
    )
}

fn lockouts(tally: &Tally) -> String {
    let mut rows = String::new();
    for lockout in tally.last_lockouts.iter().rev() {
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"number\">{} s</td></tr>",
            moment(lockout.time),
            escaped(&lockout.who),
            lockout.seconds
        );
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<section class=\"wide\"><h2>The last lockouts</h2><table><thead><tr><th scope=\"col\">time</th><th scope=\"col\">who</th><th scope=\"col\" class=\"number\">for</th></tr></thead><tbody>\n{rows}</tbody></table></section>\n"
    )
}

/// Times of which the log tells nothing, or not all.
fn gaps(tally: &Tally) -> String {
    let mut rows = String::new();
    for gap in tally.gaps.listed.iter().rev() {
        let _ = writeln!(
            rows,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
            moment(gap.from),
            moment(gap.until),
            escaped(&gap.what.words())
        );
    }
    if rows.is_empty() {
        return "<section class=\"wide\"><h2>Gaps</h2><p class=\"none\">None in this time.</p></section>\n"
            .to_owned();
    }
    format!(
        "<section class=\"wide\"><h2>Gaps</h2><p class=\"keys\">{}</p><table><thead><tr><th scope=\"col\">from</th><th scope=\"col\">until</th><th scope=\"col\">what is missing</th></tr></thead><tbody>\n{rows}</tbody></table></section>\n",
        escaped(&all_gaps(tally))
    )
}
