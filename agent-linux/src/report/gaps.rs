//! Times of which the log says nothing: the agent was not running, or records were lost.
//!
//! A start that no stop stands before was after a crash, and the agent ran until its last record at least.

use std::collections::VecDeque;

use super::bins::Span;

/// Gaps that are listed, the last ones.
const LISTED: usize = 20;
/// What a start writes before it says that it was one.
const OF_A_START: [&str; 7] =
    ["log-begins", "torn", "lost", "policy-loaded", "policy-refused", "grant-adopted", "decision"];

/// All of a time.
pub(super) struct Gaps {
    span: Span,
    agent: Agent,
    /// When the last record was written, and the last one that only an agent writes that is up.
    last: Option<u64>,
    last_up: Option<u64>,
    pub(super) listed: VecDeque<Gap>,
    pub(super) count: u64,
    /// Seconds of that time without an agent.
    pub(super) away: u64,
    /// Records.
    pub(super) lost: u64,
}

/// What is known of the agent.
#[derive(Clone, Copy)]
enum Agent {
    /// No record has told of it.
    Unknown,
    Running,
    StoppedAt(u64),
}

/// Of seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) from: u64,
    pub(super) until: u64,
    pub(super) what: Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The agent was stopped.
    Stopped,
    /// It ended without saying so.
    Ended,
    /// So many records could not be written.
    Records(u64),
}

impl Gaps {
    pub(super) fn new(span: Span) -> Self {
        let (last, last_up) = (None, None);
        Self {
            span,
            agent: Agent::Unknown,
            last,
            last_up,
            listed: VecDeque::new(),
            count: 0,
            away: 0,
            lost: 0,
        }
    }

    /// To be told of every record up to the end of that time, in order, those before it as well. `lost` is what a record of that kind
    /// says.
    pub(super) fn take(&mut self, time: u64, event: &str, lost: u64) {
        match (event, self.agent) {
            ("started", Agent::StoppedAt(from)) => self.add(from, time, Missing::Stopped),
            ("started", Agent::Running) => self.add(self.last_up.unwrap_or(time), time, Missing::Ended),
            ("lost", _) => self.add(self.last.unwrap_or(time), time, Missing::Records(lost)),
            _ => {}
        }
        self.last = Some(time);
        self.agent = match (event, self.agent) {
            ("stopped", _) => Agent::StoppedAt(time),
            ("started", _) => Agent::Running,
            (event, Agent::Unknown) if !OF_A_START.contains(&event) => Agent::Running,
            (_, agent) => agent,
        };
        if !OF_A_START.contains(&event) {
            self.last_up = Some(time);
        }
    }

    /// Nothing follows. An agent that was stopped has not been started since.
    pub(super) fn end(&mut self) {
        if let Agent::StoppedAt(from) = self.agent {
            self.add(from, self.span.until, Missing::Stopped);
        }
    }

    fn add(&mut self, from: u64, until: u64, what: Missing) {
        if until < self.span.since {
            return;
        }
        self.count += 1;
        match what {
            Missing::Stopped | Missing::Ended => {
                self.away = self.away.saturating_add(until.saturating_sub(from.max(self.span.since)));
            }
            Missing::Records(lost) => self.lost = self.lost.saturating_add(lost),
        }
        if self.listed.len() >= LISTED {
            self.listed.pop_front();
        }
        self.listed.push_back(Gap { from, until, what });
    }
}

impl Missing {
    /// For people.
    pub(super) fn words(self) -> String {
        match self {
            Self::Stopped => "the agent was stopped".to_owned(),
            Self::Ended => {
                "the agent had ended without saying so, after the first time at the earliest".to_owned()
            }
            Self::Records(0) => "the disk may have lost records".to_owned(),
            Self::Records(lost) => format!("{} lost", crate::admin::counted(lost, "record")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number, records, the gaps in them, and seconds without an agent.
    type Case<'a> = (u8, &'a [(u64, &'a str)], Vec<Gap>, u64);

    /// What is found from 100 until 1000 in such records.
    fn found(records: &[(u64, &str)]) -> (Vec<Gap>, u64) {
        let mut gaps = Gaps::new(Span::new(100, 1000));
        records.iter().for_each(|(time, event)| gaps.take(*time, event, 7));
        gaps.end();
        (gaps.listed.into(), gaps.away)
    }

    #[test]
    fn times_without_an_agent_and_lost_records_are_found() {
        let gap = |from, until, what| Gap { from, until, what };
        let (stopped, ended, lost) = (Missing::Stopped, Missing::Ended, Missing::Records(7));
        #[rustfmt::skip]
        let cases: [Case; 9] = [
            (1, &[(110, "started"), (120, "refused")], vec![], 0),
            (2, &[(110, "stopped"), (119, "policy-loaded"), (120, "started")], vec![gap(110, 120, stopped)], 10),
            (3, &[(110, "refused"), (118, "torn"), (119, "policy-loaded"), (120, "started")], vec![gap(110, 120, ended)], 10),
            (4, &[(110, "refused"), (120, "lost")], vec![gap(110, 120, lost)], 0),
            (5, &[(110, "stopped")], vec![gap(110, 1000, stopped)], 890),
            (6, &[(10, "stopped"), (20, "started")], vec![], 0),
            (7, &[(10, "stopped"), (120, "started")], vec![gap(10, 120, stopped)], 20),
            (8, &[(110, "log-begins"), (111, "policy-loaded"), (112, "started")], vec![], 0),
            (9, &[(120, "stopped"), (110, "started")], vec![gap(120, 110, stopped)], 0),
        ];
        for (case, records, gaps, away) in cases {
            assert_eq!(found(records), (gaps, away), "case {case}");
        }
    }

    #[test]
    fn of_many_gaps_the_last_are_listed_and_all_are_counted() {
        let mut gaps = Gaps::new(Span::new(0, 1_000_000));
        (0..1000).for_each(|at| gaps.take(at, "lost", 2));
        assert_eq!((gaps.listed.len(), gaps.count, gaps.lost), (LISTED, 1000, 2000));
        assert_eq!(gaps.listed.back().map(|gap| gap.until), Some(999));
    }
}
