//! What is counted of the records.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::bins::{Bins, Span};
use super::gaps::Gaps;
use super::histogram::Histogram;
use super::seconds;
use super::top::Top;

/// Grants whose end is waited for. A gate has room for as many.
const MOST_OPEN: usize = 1024;
/// Policies, and books, that are told apart.
const MOST_TOLD: usize = 256;
/// Lockouts that are listed, the last ones.
const LISTED: usize = 20;

/// How long grants were open at most, in seconds, and how that is called.
pub(super) const DURATIONS: [(u64, &str); 6] = [
    (60, "up to 1 min"),
    (300, "up to 5 min"),
    (900, "up to 15 min"),
    (3600, "up to 1 h"),
    (4 * 3600, "up to 4 h"),
    (u64::MAX, "longer"),
];

/// Kinds of noise: as records have them, and as people say it.
pub(super) const NOISE: [(&str, &str); 8] = [
    ("unsealed", "not sealed for this gate"),
    ("over-budget", "over a source's budget"),
    ("unanswered", "sealed, met with silence"),
    ("probes", "probes without a number"),
    ("incomplete", "connections without a message"),
    ("foreign", "for other hosts"),
    ("unreadable", "unreadable"),
    ("lost", "lost by the kernel"),
];

pub(super) struct Tally {
    pub(super) span: Span,
    pub(super) records: u64,
    pub(super) opened: Bins,
    pub(super) refused: Bins,
    pub(super) noise: Bins,
    /// Opened and refused.
    pub(super) clients: Top,
    /// Opened, and closed.
    pub(super) services: Top,
    pub(super) reasons: Top,
    pub(super) noise_kinds: [u64; NOISE.len()],
    /// By prefix, and of it what no prefix was told of.
    pub(super) noise_from: Top,
    pub(super) durations: [u64; DURATIONS.len()],
    pub(super) closings: Top,
    pub(super) policies: BTreeMap<String, Judge>,
    pub(super) lockouts: u64,
    pub(super) last_lockouts: VecDeque<Lockout>,
    /// Of each client's book, what was left last.
    pub(super) books: BTreeMap<String, u64>,
    pub(super) gaps: Gaps,
    pub(super) starts: u64,
    open: BTreeMap<u64, u64>,
}

/// What one policy has said.
#[derive(Default)]
pub(super) struct Judge {
    pub(super) took: Histogram,
    pub(super) verdicts: Top,
    pub(super) failures: u64,
}

pub(super) struct Lockout {
    pub(super) time: u64,
    pub(super) who: String,
    pub(super) seconds: u64,
}

impl Tally {
    pub(super) fn new(span: Span) -> Self {
        Self {
            span,
            records: 0,
            opened: Bins::new(span),
            refused: Bins::new(span),
            noise: Bins::new(span),
            clients: Top::default(),
            services: Top::default(),
            reasons: Top::default(),
            noise_kinds: [0; NOISE.len()],
            noise_from: Top::default(),
            durations: [0; DURATIONS.len()],
            closings: Top::default(),
            policies: BTreeMap::new(),
            lockouts: 0,
            last_lockouts: VecDeque::new(),
            books: BTreeMap::new(),
            gaps: Gaps::new(span),
            starts: 0,
            open: BTreeMap::new(),
        }
    }

    /// Counts a record, if it is one and of that time.
    pub(super) fn take(&mut self, record: &Value) {
        let Some(time) = record["time"].as_str().and_then(seconds).filter(|time| *time < self.span.until)
        else {
            return;
        };
        let event = text(record, "event");
        self.gaps.take(time, event, number(record, "records"));
        if !self.span.contains(time) {
            return;
        }
        self.records += 1;
        let at = self.span.at(time);
        match event {
            "started" => self.starts += 1,
            "grant-opened" => self.opened(record, time, at),
            "grant-closed" => self.closed(record, time),
            "refused" => self.refused(record, at, text(record, "reason")),
            "knock" if text(record, "ended") != "complete" => self.refused(record, at, text(record, "ended")),
            "noise" => self.noise(record, at),
            "decision" => self.decided(record),
            "lockout" => self.locked_out(record, time),
            "offered" => self.offered(record),
            _ => {}
        }
    }

    fn opened(&mut self, record: &Value, time: u64, at: usize) {
        self.opened.add(at, 1);
        self.clients.first(text(record, "client"), 1);
        self.services.first(text(record, "service"), 1);
        if self.open.len() < MOST_OPEN {
            self.open.insert(number(record, "grant"), time);
        }
    }

    fn closed(&mut self, record: &Value, time: u64) {
        self.closings.first(text(record, "reason"), 1);
        let Some(opened) = self.open.remove(&number(record, "grant")) else { return };
        let lasted = time.saturating_sub(opened);
        let step = DURATIONS.iter().position(|(most, _)| lasted <= *most);
        if let Some(count) = step.and_then(|step| self.durations.get_mut(step)) {
            *count += 1;
        }
    }

    fn refused(&mut self, record: &Value, at: usize, reason: &str) {
        self.refused.add(at, 1);
        self.clients.second(text(record, "client"), 1);
        self.reasons.first(reason, 1);
        if let Some(service) = record["service"].as_str() {
            self.services.second(service, 1);
        }
    }

    /// There are no more records.
    pub(super) fn end(&mut self) {
        self.gaps.end();
    }

    fn noise(&mut self, record: &Value, at: usize) {
        let mut rest: u64 = 0;
        for ((key, _), sum) in NOISE.iter().zip(&mut self.noise_kinds) {
            let count = number(record, key);
            *sum = sum.saturating_add(count);
            rest = rest.saturating_add(count);
            self.noise.add(at, count);
        }
        for source in record["from"].as_array().into_iter().flatten() {
            let packets = number(source, "packets");
            self.noise_from.first(text(source, "prefix"), packets);
            rest = rest.saturating_sub(packets);
        }
        self.noise_from.nameless(rest);
    }

    fn decided(&mut self, record: &Value) {
        let name: String = text(record, "policy").chars().take(80).collect();
        if self.policies.len() >= MOST_TOLD && !self.policies.contains_key(&name) {
            return;
        }
        let judge = self.policies.entry(name).or_default();
        judge.took.add(number(record, "elapsed-us"));
        judge.verdicts.first(text(record, "verdict"), 1);
        judge.failures += u64::from(!record["failure"].is_null());
    }

    fn locked_out(&mut self, record: &Value, time: u64) {
        self.lockouts += 1;
        if self.last_lockouts.len() >= LISTED {
            self.last_lockouts.pop_front();
        }
        let who = text(record, "who").chars().take(80).collect();
        self.last_lockouts.push_back(Lockout { time, who, seconds: number(record, "seconds") });
    }

    fn offered(&mut self, record: &Value) {
        let client: String = text(record, "client").chars().take(80).collect();
        if self.books.len() < MOST_TOLD || self.books.contains_key(&client) {
            self.books.insert(client, number(record, "left"));
        }
    }
}

fn text<'r>(record: &'r Value, key: &str) -> &'r str {
    record[key].as_str().unwrap_or("?")
}

fn number(record: &Value, key: &str) -> u64 {
    record[key].as_u64().unwrap_or(0)
}
