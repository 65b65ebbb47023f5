//! What a person or a program reads on stdout.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use knockgate_core::message::{Answer, OpenService, Verdict};
use knockgate_core::profile::Profile;
use serde::{Deserialize, Serialize};

use crate::console::Gateway;
use crate::exchange::Answered;
use crate::opening::Opening;
use crate::outcome::{Failure, Outcome};
use crate::settings::Choices;

/// What is known about an attempt, whether it succeeds or fails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) command: &'static str,
    pub(crate) profile: String,
    /// Host name or address from the profile, or what was chosen instead.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The address that answered.
    pub(crate) address: Option<IpAddr>,
    /// The address that the gate has seen.
    pub(crate) seen: Option<IpAddr>,
    /// `packet`, `tcp` or `sequence`.
    pub(crate) via: Option<&'static str>,
    pub(crate) service: Option<String>,
    pub(crate) number: Option<u32>,
    pub(crate) book: Option<String>,
    pub(crate) book_left: Option<u32>,
}

impl Facts {
    pub(crate) fn of(command: &'static str, profile: &str) -> Self {
        Self { command, profile: profile.to_owned(), ..Self::default() }
    }

    pub(crate) fn learn_profile(&mut self, profile: &Profile, choices: &Choices) {
        let chosen = choices.address.as_ref().map(|host| host.as_str().to_owned());
        self.host = chosen.unwrap_or_else(|| profile.address.to_string());
        self.port = match (profile.packet_ports, choices.port) {
            (Some(_), Some(port)) => port,
            (Some(ports), None) => ports.first,
            (None, _) => profile.central_port,
        };
    }

    pub(crate) fn learn_answer(&mut self, answered: &Answered) {
        self.address = Some(answered.route.to.ip());
        self.port = answered.route.to.port();
        self.via = Some(answered.way.word());
        self.seen = answered.answer.seen;
        self.book_left = Some(answered.answer.book_left);
    }

    /// `gate.example (192.0.2.7)`, as far as it is known.
    pub(crate) fn gate_and_address(&self) -> String {
        match self.address {
            Some(address) if address.to_string() != self.host => format!("{} ({address})", self.host),
            Some(_) | None => self.host.clone(),
        }
    }
}

/// A service that is open to this client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opened {
    pub(crate) service: String,
    /// When it closes, by this machine's clock: RFC 3339, UTC.
    pub(crate) until: Timestamp,
    pub(crate) left_seconds: u64,
    pub(crate) grant: u32,
}

impl Opened {
    /// `open` as it was received `age` ago.
    pub(crate) fn new(open: &OpenService, profile: &Profile, age: Duration) -> Self {
        let left = Duration::from_millis(open.left_ms.into()).saturating_sub(age);
        let known = profile.services.iter().find(|service| service.id == open.service);
        let service =
            known.map_or_else(|| format!("service {}", open.service), |service| service.name.to_string());
        Self {
            service,
            until: whole_seconds(in_future(left)),
            left_seconds: seconds(left),
            grant: open.grant,
        }
    }
}

/// An address that a service was opened at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenedAt {
    /// Of the gate.
    pub(crate) address: IpAddr,
    /// Where to connect to.
    #[serde(default)]
    pub(crate) at: Option<SocketAddr>,
    /// To whom, as the gate sees it.
    pub(crate) seen: Option<IpAddr>,
    pub(crate) via: String,
    pub(crate) until: Timestamp,
    pub(crate) left_seconds: u64,
    pub(crate) grant: u32,
}

impl OpenedAt {
    fn of(opening: &Opening) -> Self {
        let &Opened { until, left_seconds, grant, .. } = &opening.opened;
        let (address, via) = (opening.route.to.ip(), opening.via.to_owned());
        Self { address, at: opening.at, seen: opening.seen, via, until, left_seconds, grant }
    }
}

/// How the gate says that the last knock ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LastKnock {
    /// `nothing`, `pending`, `granted` or `refused`.
    pub(crate) verdict: String,
    /// Why it was refused.
    pub(crate) reason: Option<String>,
}

impl LastKnock {
    pub(crate) fn of(answer: &Answer) -> Self {
        let verdict = match answer.verdict {
            Verdict::Nothing | Verdict::Closed => "nothing",
            Verdict::Offered | Verdict::Pending | Verdict::Confirm(_) => "pending",
            Verdict::Granted => "granted",
            Verdict::Refused(_) => "refused",
        };
        Self {
            verdict: verdict.to_owned(),
            reason: answer.refusal().map(|refusal| refusal.word().to_owned()),
        }
    }
}

/// Everything about one attempt: the answer to `--json` and a line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) time: Timestamp,
    pub(crate) command: String,
    pub(crate) outcome: String,
    pub(crate) exit: u8,
    pub(crate) reason: Option<String>,
    pub(crate) message: String,
    pub(crate) profile: String,
    pub(crate) gate: Option<String>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) service: Option<String>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) left_seconds: Option<u64>,
    pub(crate) number: Option<u32>,
    pub(crate) book: Option<String>,
    pub(crate) book_left: Option<u32>,
    /// After a failure: when a knock can succeed.
    pub(crate) retry_ms: Option<u64>,
    pub(crate) elapsed_ms: u64,
    /// How the gate was asked: `packet`, `tcp` or `sequence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) via: Option<String>,
    /// This client's address, as the gate sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<IpAddr>,
    /// Every address that was opened, the first one first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) opened: Option<Vec<OpenedAt>>,
    /// Only in an answer of status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) open: Option<Vec<Opened>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_knock: Option<LastKnock>,
    /// Only in an answer of a gateway's console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gateway: Option<Gateway>,
}

impl Report {
    fn new(facts: &Facts, outcome: Outcome, message: String, elapsed: Duration) -> Self {
        let gate = Some(&facts.host).filter(|host| !host.is_empty());
        Self {
            time: whole_millis(Timestamp::now()),
            command: facts.command.to_owned(),
            outcome: outcome.word().to_owned(),
            exit: outcome.exit_code(),
            reason: None,
            message,
            profile: facts.profile.clone(),
            gate: gate.map(|host| host_and_port(host, facts.port)),
            address: facts.address,
            service: facts.service.clone(),
            until: None,
            left_seconds: None,
            number: facts.number,
            book: facts.book.clone(),
            book_left: facts.book_left,
            retry_ms: None,
            elapsed_ms: millis(elapsed),
            via: facts.via.map(str::to_owned),
            seen: facts.seen,
            opened: None,
            open: None,
            last_knock: None,
            gateway: None,
        }
    }

    pub(crate) fn failed(facts: &Facts, failure: &Failure, elapsed: Duration) -> Self {
        let report = Self::new(facts, failure.outcome(), failure.sentence(facts), elapsed);
        Self { reason: Some(failure.reason().to_owned()), retry_ms: failure.retry().map(millis), ..report }
    }

    /// Something is open: it was opened, or stays so.
    pub(crate) fn opened(facts: &Facts, openings: &[Opening], elapsed: Duration) -> Self {
        let first = openings.first().map(|opening| &opening.opened);
        let message = first.map_or_else(String::new, |opened| {
            // A packet uses up no number of the book.
            let left = facts.number.map(|_| left_in(facts)).unwrap_or_default();
            format!("{} {} {}{left}", opened.service, opened_at(facts, openings), is_open(opened))
        });
        let report = Self::new(facts, Outcome::Open, message, elapsed);
        Self {
            until: first.map(|opened| opened.until),
            left_seconds: first.map(|opened| opened.left_seconds),
            opened: Some(openings.iter().map(OpenedAt::of).collect()),
            ..report
        }
    }

    /// What the console has told or done.
    pub(crate) fn told(facts: &Facts, message: String, elapsed: Duration) -> Self {
        Self::new(facts, Outcome::Answered, message, elapsed)
    }

    /// What an examination has found.
    pub(crate) fn examined(facts: &Facts, (outcome, message): (Outcome, String), elapsed: Duration) -> Self {
        let reason = Some("problems".to_owned()).filter(|_| outcome.exit_code() != 0);
        Self { reason, ..Self::new(facts, outcome, message, elapsed) }
    }

    /// What is left open after a closing.
    pub(crate) fn closed(facts: &Facts, left: Vec<Opened>, elapsed: Duration) -> Self {
        let gate = facts.gate_and_address();
        let what = match &facts.service {
            Some(service) => format!("{service} on {gate} is closed"),
            None => format!("what this client had open on {gate} is closed"),
        };
        let list: Vec<_> =
            left.iter().map(|opened| format!("; {} {}", opened.service, is_open(opened))).collect();
        let report = Self::new(facts, Outcome::Closed, format!("{what}{}", list.concat()), elapsed);
        Self { open: Some(left), ..report }
    }

    pub(crate) fn answered(
        facts: &Facts,
        open: Vec<Opened>,
        last_knock: LastKnock,
        elapsed: Duration,
    ) -> Self {
        let gate = facts.gate_and_address();
        let list: Vec<_> =
            open.iter().map(|opened| format!("{} {}", opened.service, is_open(opened))).collect();
        let list = if list.is_empty() { "nothing is open".to_owned() } else { list.join("; ") };
        let message = format!("{gate}: {list}{}", left_in(facts));
        let report = Self::new(facts, Outcome::Answered, message, elapsed);
        Self { open: Some(open), last_knock: Some(last_knock), ..report }
    }

    /// One line of JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string(self).expect("a report is plain JSON")
    }
}

/// `on gate.example (192.0.2.7 and 2001:db8::1)`, or `at 192.0.2.100:22 behind gate.example (192.0.2.7)`.
fn opened_at(facts: &Facts, openings: &[Opening]) -> String {
    let behind = openings.iter().filter(|opening| opening.is_behind()).filter_map(|opening| opening.at);
    let behind: Vec<_> = behind.map(|at| at.to_string()).collect();
    let gate = gate_and_addresses(facts, openings);
    if behind.is_empty() {
        format!("on {gate}")
    } else {
        format!("at {} behind {gate}", behind.join(" and "))
    }
}

fn gate_and_addresses(facts: &Facts, openings: &[Opening]) -> String {
    match openings {
        [_, _, ..] => {
            let addresses: Vec<_> =
                openings.iter().map(|opening| opening.route.to.ip().to_string()).collect();
            format!("{} ({})", facts.host, addresses.join(" and "))
        }
        [_] | [] => facts.gate_and_address(),
    }
}

fn is_open(opened: &Opened) -> String {
    let left = Duration::from_secs(opened.left_seconds);
    format!(
        "is open for {}, until {}",
        lasting(left),
        clock(opened.until, Timestamp::now(), &TimeZone::system())
    )
}

fn left_in(facts: &Facts) -> String {
    facts.book_left.map(|left| format!("; {} left", knocks(left))).unwrap_or_default()
}

/// `1 knock`, `993 knocks`, `no knocks`.
pub(crate) fn knocks(count: u32) -> String {
    match count {
        0 => "no knocks".to_owned(),
        1 => "1 knock".to_owned(),
        _ => format!("{count} knocks"),
    }
}

/// `58 s`, `12 min`, `3 h 20 min`: seconds as long as they matter.
pub(crate) fn lasting(duration: Duration) -> String {
    let seconds = seconds(duration);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match seconds {
        0 => "under a second".to_owned(),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ if minutes == 0 => format!("{hours} h"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// Time of day, with the date unless it is today's.
fn clock(time: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (time, now) = (time.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let format = if time.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    time.strftime(format).to_string()
}

/// Nearest whole second: a grant of a minute is told as 60 s although the answer took a millisecond.
fn seconds(duration: Duration) -> u64 {
    duration.saturating_add(Duration::from_millis(500)).as_secs()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn in_future(duration: Duration) -> Timestamp {
    Timestamp::now().checked_add(duration).unwrap_or(Timestamp::MAX)
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn whole_millis(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

pub(crate) fn host_and_port(host: &str, port: u16) -> String {
    match host.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    }
}

/// Where the gate of a profile is: its central port or, without one, the first port for packets.
pub(crate) fn gate_of(profile: &Profile) -> String {
    let packets = profile.packet_ports.map_or(0, |ports| ports.first);
    let port = Some(profile.central_port).filter(|&port| port != 0).unwrap_or(packets);
    host_and_port(&profile.address, port)
}

/// The journal as a table, in local time.
pub(crate) fn table(reports: &[Report]) -> Vec<String> {
    table_in(reports, &TimeZone::system())
}

fn table_in(reports: &[Report], zone: &TimeZone) -> Vec<String> {
    let head = ["TIME", "PROFILE", "WHAT", "GATE", "NUMBER", "OUTCOME", "TOOK"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(reports.iter().map(|report| row(report, zone))).collect();
    columns(&rows)
}

/// Rows under each other, each column as wide as its widest cell.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn row(report: &Report, zone: &TimeZone) -> [String; 7] {
    let gate = match (&report.gate, report.address) {
        (Some(gate), Some(address)) if !gate.contains(&address.to_string()) => format!("{gate} ({address})"),
        (Some(gate), _) => gate.clone(),
        (None, _) => "-".to_owned(),
    };
    let what = match (report.command.as_str(), &report.service) {
        ("knock", Some(service)) => service.clone(),
        (command, Some(service)) => format!("{service} ({command})"),
        (command, _) => format!("({command})"),
    };
    let outcome = match &report.reason {
        Some(reason) if *reason != report.outcome => format!("{}: {reason}", report.outcome),
        Some(_) | None => report.outcome.clone(),
    };
    [
        report.time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        report.profile.clone(),
        what,
        gate,
        report.number.map_or_else(|| "-".to_owned(), |number| number.to_string()),
        outcome,
        format!("{} ms", report.elapsed_ms),
    ]
    // The journal is only a file: what somebody wrote into it must not command the terminal.
    .map(|cell| printable(&cell))
}

/// Writes lines to stdout. Whoever closes the pipe early, as `head` does, has read enough.
pub(crate) fn lines<S: AsRef<str>>(lines: impl IntoIterator<Item = S>) {
    for text in lines {
        if line(text.as_ref()).is_err() {
            return;
        }
    }
}

/// Writes a line to stdout at once.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Without the characters that command a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Route;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn durations_are_told_as_finely_as_they_matter() {
        #[rustfmt::skip]
        let cases = [
            (1, 0, "under a second"), (2, 58, "58 s"), (3, 119, "119 s"), (4, 120, "2 min"), (5, 3599, "59 min"),
            (6, 7200, "2 h"), (7, 12_000, "3 h 20 min"),
        ];
        for (case, seconds, text) in cases {
            assert_eq!(lasting(Duration::from_secs(seconds)), text, "case {case}");
        }
        assert_eq!(lasting(Duration::from_millis(59_990)), "60 s");
    }

    #[test]
    fn the_date_is_told_unless_it_is_today() {
        let now = at("2030-01-01T23:59:30Z");
        assert_eq!(clock(at("2030-01-01T23:59:59Z"), now, &TimeZone::UTC), "23:59:59");
        assert_eq!(clock(at("2030-01-02T00:00:29Z"), now, &TimeZone::UTC), "2030-01-02 00:00:29");
    }

    #[test]
    fn the_table_has_one_line_per_attempt_and_no_control_characters() {
        let mut facts = Facts::of("knock", "home");
        (facts.host, facts.port) = ("gate.example".to_owned(), 62201);
        (facts.address, facts.number) = (Some("192.0.2.7".parse().unwrap()), Some(7));
        facts.service = Some("s\u{1b}[2Jsh".to_owned());
        let mut report = Report::failed(&facts, &Failure::Exhausted, Duration::from_millis(12));
        report.time = at("2030-01-01T12:00:00Z");
        #[rustfmt::skip]
        let expected = [
            "TIME                 PROFILE  WHAT    GATE                            NUMBER  OUTCOME    TOOK",
            "2030-01-01 12:00:00  home     s[2Jsh  gate.example:62201 (192.0.2.7)  7       exhausted  12 ms",
        ];
        assert_eq!(table_in(&[report], &TimeZone::UTC), expected);
    }

    #[test]
    fn a_report_is_read_back_from_its_json() {
        let facts = Facts { port: 1, host: "::1".to_owned(), ..Facts::of("knock", "home") };
        let opened = Opened {
            service: "ssh".to_owned(),
            until: at("2030-01-01T12:00:00Z"),
            left_seconds: 5,
            grant: 1,
        };
        let at = "[::1]:1".parse().unwrap();
        let ends = std::time::Instant::now();
        let route = Route { to: at, from: at };
        let opening = Opening { opened, route, at: Some(at), seen: None, via: "packet", ends };
        let report = Report::opened(&facts, &[opening], Duration::from_millis(12));
        assert_eq!(report.gate.as_deref(), Some("[::1]:1"));
        assert_eq!(serde_json::from_str::<Report>(&report.json()).unwrap(), report);
    }
}
