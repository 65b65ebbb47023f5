//! The page of results: tables in Markdown, made of one document and of nothing else.

use super::document::{Core, Cost, Document, Latency, Phases};
use super::plots;
use super::statistics::{grouped, median, percentile, shown};
use super::verdict::figures;

pub(super) fn page(run: &Document) -> String {
    let parts = [
        heading(run),
        expectations(run),
        latency(run),
        noise(run),
        faults(run),
        memory(run),
        clients(run),
        priority(run),
        phases(run),
        core(&run.core),
    ];
    joined(&parts)
}

/// A table that is written row by row; nothing at all without rows.
struct Table {
    head: String,
    rows: Vec<String>,
}

impl Table {
    /// The first so many columns are words, the others figures.
    fn of(words: usize, head: &[&str]) -> Self {
        let rules: String =
            (0..head.len()).map(|column| if column < words { " --- |" } else { " ---: |" }).collect();
        Self { head: format!("| {} |\n|{rules}\n", head.join(" | ")), rows: Vec::new() }
    }

    fn row(&mut self, cells: &[String]) {
        self.rows.push(format!("| {} |\n", cells.join(" | ")));
    }

    /// Of nothing there is no row.
    fn percentiles_of(&mut self, what: &str, ms: &[f64]) {
        if !ms.is_empty() {
            let [median, p90, p99] = percentiles(ms);
            self.row(&[what.to_owned(), median, p90, p99]);
        }
    }

    fn text(self) -> String {
        if self.rows.is_empty() { String::new() } else { format!("{}{}", self.head, self.rows.concat()) }
    }

    /// Under a title, with what is said before it.
    fn titled(self, title: &str, before: &str) -> String {
        let before = if before.is_empty() { String::new() } else { format!("{before}\n\n") };
        let text = self.text();
        if text.is_empty() { text } else { format!("## {title}\n\n{before}{text}") }
    }
}

fn heading(run: &Document) -> String {
    let programs: Vec<String> = run
        .programs
        .iter()
        .map(|(name, version)| {
            version
                .as_ref()
                .map_or_else(|| format!("{name} not installed"), |version| format!("{name} {version}"))
        })
        .collect();
    let state = run.state_on.as_ref().map(|system| format!("state of gate and client on {system}"));
    let machine: Vec<String> =
        [Some(run.machine.clone()), state, run.crowd.clone()].into_iter().flatten().collect();
    format!(
        "# What was measured\n\n\
         Made by `cargo xtask bench`; all samples are in [results.json](results.json), and [benchmarks.md](../benchmarks.md) says how they\n\
         are taken and what they mean. Compare rows of this page with each other, never with those of another run.\n\n\
         - Command: `{}`\n- Programs: {}\n- Machine: {}\n- Begun: {}\n",
        run.command,
        programs.join("; "),
        machine.join("; "),
        run.started
    )
}

fn expectations(run: &Document) -> String {
    let mut table = Table::of(5, &["figure", "peers", "expected of us", "measured", ""]);
    for figure in figures(run) {
        table.row(&[figure.what, figure.peers, figure.expected, figure.measured, figure.verdict.to_string()]);
    }
    table.titled("Expected and measured", "")
}

fn latency(run: &Document) -> String {
    let head = [
        "ms, first packet to SYN-ACK",
        "knocks",
        "failed",
        "median",
        "p90",
        "p99",
        "times the floor",
        "processor, ms",
        "memory, MiB",
    ];
    let mut table = Table::of(1, &head);
    for row in &run.latency {
        let times = row.median().zip(run.floor_of(&row.id)).map(|(median, floor)| median / floor);
        let mut cells = vec![row.words.clone(), row.ms.len().to_string(), row.failed.to_string()];
        cells.extend(percentiles(&row.ms));
        cells.extend([times, row.cpu_ms, row.rss_mib].map(cell));
        table.row(&cells);
    }
    joined(&[table.titled("Time of a knock", &picture(&plots::LATENCY)), beside_latency(run)])
}

fn beside_latency(run: &Document) -> String {
    let mut table = Table::of(1, &["ms beside that", "median", "p90", "p99"]);
    for row in &run.latency {
        let others = [
            ("first packet to answer", &row.answer_ms),
            ("start of the client to SYN-ACK", &row.client_open_ms),
            ("start of the client to its end", &row.client_end_ms),
        ];
        for (what, ms) in others {
            table.percentiles_of(&format!("{}; {what}", row.words), ms);
        }
    }
    let all = |of: fn(&Latency) -> &Vec<f64>| run.latency.iter().flat_map(of).copied().collect::<Vec<f64>>();
    table
        .percentiles_of("the network alone: SYN to SYN-ACK of the open port", &all(|row| &row.round_trip_ms));
    table.percentiles_of("resolution: between two probes of the port", &all(|row| &row.resolution_ms));
    table.text()
}

fn noise(run: &Document) -> String {
    let kinds = distinct(run.noise.iter().map(|row| row.noise.as_str()));
    let tables: Vec<String> = kinds.into_iter().map(|kind| noise_of(run, kind)).collect();
    if tables.is_empty() {
        return String::new();
    }
    format!("## Under noise\n\n{}\n\n{}", picture(&plots::NOISE), tables.join("\n"))
}

fn noise_of(run: &Document, kind: &str) -> String {
    let head = [
        format!("noise: {kind}"),
        "packets/s".to_owned(),
        "opened".to_owned(),
        "median, ms".to_owned(),
        "p99, ms".to_owned(),
        "processor, %".to_owned(),
        "memory, MiB".to_owned(),
        "bytes logged a packet".to_owned(),
    ];
    let mut table = Table::of(1, &head.each_ref().map(String::as_str));
    for row in run.noise.iter().filter(|row| row.noise == kind) {
        let sent = grouped(row.sent_per_s);
        let sent = if row.is_at_maximum() { format!("maximum: {sent}") } else { sent };
        let mut cells = vec![row.words.clone(), sent, format!("{}/{}", row.opened, row.knocks)];
        let figures = [median(&row.ms), percentile(&row.ms, 99), row.cpu_percent, row.rss_mib];
        cells.extend(figures.map(cell));
        cells.push(cell(row.logged_bytes_per_packet));
        table.row(&cells);
    }
    table.text()
}

/// Faults as columns, for there are few of them and they are the same for everybody.
fn faults(run: &Document) -> String {
    let (names, who) = (
        distinct(run.faults.iter().map(|row| row.fault.as_str())),
        distinct(run.faults.iter().map(|row| row.words.as_str())),
    );
    let mut table = Table::of(1, &[&["opened"], names.as_slice()].concat());
    for words in who {
        let mut cells = vec![words.to_owned()];
        for name in &names {
            let row = run.faults.iter().find(|row| row.words == words && row.fault == *name);
            cells.push(row.map_or_else(|| "-".to_owned(), |row| format!("{}/{}", row.opened, row.knocks)));
        }
        table.row(&cells);
    }
    table.titled("Over a bad network, and beside a stranger", &picture(&plots::FAULTS))
}

fn memory(run: &Document) -> String {
    let mut table =
        Table::of(1, &["MiB under a flood", "addresses", "minutes", "before", "at most", "at the end"]);
    for row in &run.sources {
        let most = row.rss_mib.iter().copied().reduce(f64::max);
        let mut cells = vec![row.words.clone(), grouped(f64::from(row.sources)), shown(row.seconds / 60.0)];
        cells.extend([row.rss_mib.first().copied(), most, row.rss_mib.last().copied()].map(cell));
        table.row(&cells);
    }
    table.titled("Memory", &picture(&plots::MEMORY))
}

fn clients(run: &Document) -> String {
    let head = [
        "clients of the gate",
        "start to \"gate up\", ms",
        "memory, MiB",
        "at most",
        "knock, ms: median",
        "p90",
        "p99",
    ];
    let mut table = Table::of(0, &head);
    for row in &run.clients {
        let mut cells = vec![grouped(f64::from(row.clients))];
        cells.extend([Some(row.start_ms), Some(row.rss_mib), row.rss_at_most_mib].map(cell));
        cells.extend(percentiles(&row.ms));
        table.row(&cells);
    }
    table.titled("Number of clients", &picture(&plots::CLIENTS))
}

fn priority(run: &Document) -> String {
    let mut table = Table::of(
        1,
        &["priority of the gate, under the maximum of noise", "opened", "median, ms", "p90", "p99"],
    );
    for row in &run.priority {
        let mut cells = vec![row.setting.clone(), format!("{}/{}", row.opened, row.knocks)];
        cells.extend(percentiles(&row.ms));
        table.row(&cells);
    }
    table.titled("Priority", "")
}

fn phases(run: &Document) -> String {
    let tables: Vec<String> = run.phases.iter().map(phases_of).collect();
    if tables.is_empty() {
        String::new()
    } else {
        format!("## Where the time of a knock goes\n\n{}", tables.join("\n"))
    }
}

fn phases_of(knock: &Phases) -> String {
    let mut table = Table::of(1, &[&format!("ms of {}", knock.words), "median", "p90", "p99"]);
    for phase in &knock.phases {
        table.percentiles_of(&phase.words, &phase.ms);
    }
    table.text()
}

pub(super) fn core(core: &Core) -> String {
    let tables = [
        costs_of("one thread: a probe", "ns", &core.probes, 1.0),
        costs_of("one thread: a packet", "µs of processor time", &core.packets, 1e3),
        costs_of(
            "one thread: a good packet knock with the agent's roster, by clients",
            "µs of processor time",
            &core.rosters,
            1e3,
        ),
    ];
    let tables = joined(&tables);
    if tables.is_empty() { tables } else { format!("## The core alone\n\n{tables}") }
}

fn costs_of(what: &str, unit: &str, costs: &[Cost], ns: f64) -> String {
    let mut table = Table::of(1, &[what, unit, "a second"]);
    for cost in costs {
        table.row(&[cost.words.clone(), shown(cost.ns / ns), grouped(1e9 / cost.ns)]);
    }
    table.text()
}

/// With an empty line between them, and without those that are empty.
fn joined(parts: &[String]) -> String {
    parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("\n")
}

fn percentiles(ms: &[f64]) -> [String; 3] {
    [50, 90, 99].map(|percent| cell(percentile(ms, percent)))
}

fn cell(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), shown)
}

fn picture(plot: &plots::Plot) -> String {
    format!("![{}]({})", plot.title, plot.file)
}

/// Each once, in the order in which they come first.
pub(super) fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn the_page_of_a_run_is_as_it_was_looked_at() {
        assert_eq!(page(&fixture::run()), fixture::PAGE);
    }

    #[test]
    fn what_was_not_measured_has_no_table() {
        let page = page(&fixture::nothing());
        let titles: Vec<&str> = page.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(titles, ["# What was measured", "## Expected and measured"]);
    }
}
