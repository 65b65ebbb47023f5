//! How the gate is. Its JSON is that of `knockgated status --json`; names only grow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How the gate is. What is counted is so since the start, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The agent's version. The line that brings it has a `version` of its own.
    pub agent: String,
    pub pid: u32,
    /// When it was started, RFC 3339 in UTC.
    pub since: String,
    pub up_seconds: u64,
    pub guarded: Vec<Guarded>,
    pub hearing: Hearing,
    pub counts: Counts,
    pub knocks: Knocks,
    /// How often each reason was one, by its word; those that never were are left out.
    pub refusals: BTreeMap<String, u64>,
    pub strangers: Strangers,
    pub lease: LeaseState,
    /// Audit records that could not be written and that the log has not told of.
    pub audit_lost: u64,
    /// The last try to write the audit log has failed.
    #[serde(default)]
    pub audit_failing: bool,
    /// What is wrong with the guard, as the log has it; none if it is as it shall be.
    #[serde(default)]
    pub guard_trouble: Option<String>,
    pub policies: Vec<PolicyFigures>,
    /// What runs their modules: `interpreter` or `compiler`; `none` in an agent that was built without.
    #[serde(default)]
    pub engine: String,
    /// What the policies in use decide with, by their names.
    #[serde(default)]
    pub modules: Vec<ModuleInForce>,
    /// Those that have fewest numbers left, ten at most.
    pub books: Vec<BookLevel>,
}

/// A service, and how many grants there are for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarded {
    pub service: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    pub ports: Vec<u16>,
    pub grants: usize,
    /// Whom a knock for it is asked about, in that order. A client may have a chain of its own.
    #[serde(default)]
    pub policies: Vec<String>,
}

/// How knocks come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hearing {
    /// `packet.mode` of the configuration.
    pub packets: String,
    /// For people.
    pub by: String,
    pub central_port: Option<u16>,
    /// `sequence.mode` of the configuration.
    pub sequences: String,
    pub static_sequences: usize,
}

/// How many there are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub clients: usize,
    pub grants: usize,
    pub holds: usize,
    pub lockouts: usize,
}

/// What enrolled clients have done, and whoever knows a static sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knocks {
    /// Packet knocks that were understood, whatever came of them.
    pub packets: u64,
    /// Numbers of books that were offered.
    pub numbers: u64,
    /// Sequences that were complete.
    pub sequences: u64,
    /// Sequences that failed.
    pub failed_sequences: u64,
    pub static_sequences: u64,
    pub opened: u64,
    pub closed: u64,
    pub lockouts: u64,
}

/// What strangers have done: nothing that was let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strangers {
    /// By the words of the audit log's record `noise`.
    pub since_start: BTreeMap<String, u64>,
    /// In the last second that is over.
    pub per_second: u64,
}

/// Whether knocks wait for the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseState {
    /// Whether the configuration wants one.
    pub wanted: bool,
    /// Until when clients' counters are admitted from memory, RFC 3339; none if each waits for the disk.
    pub until: Option<String>,
}

/// A policy, and how it decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFigures {
    pub policy: String,
    pub decisions: u64,
    pub failures: u64,
    /// Of the last 255 decisions; none without any.
    pub median_us: Option<u64>,
    /// Of all.
    pub worst_us: Option<u64>,
}

/// A policy in use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModuleInForce {
    pub policy: String,
    /// Name and version by its own manifest.
    pub title: String,
    /// Of its file; none if it is built in.
    pub sha256: Option<String>,
    /// Only the differences of what it says are told.
    pub shadow: bool,
}

/// How much of a book is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookLevel {
    /// Whose; of a shared book, one of them.
    pub client: String,
    pub book: String,
    pub left: u32,
    pub of: u32,
}

#[cfg(test)]
impl Status {
    /// Of a gate where something has happened of every kind, for tests of what is made of it.
    pub(crate) fn example() -> Self {
        let text = r#"{"agent":"1.2.3","pid":4242,"since":"2026-01-31T18:00:00Z","up_seconds":7384,
            "guarded":[{"service":"ssh","protocol":"tcp","ports":[22],"grants":2}],
            "hearing":{"packets":"watch","by":"packet sockets","central_port":62201,"sequences":"connect","static_sequences":0},
            "counts":{"clients":3,"grants":2,"holds":1,"lockouts":1},
            "knocks":{"packets":12,"numbers":5,"sequences":4,"failed_sequences":1,"static_sequences":0,"opened":6,"closed":4,"lockouts":2},
            "refusals":{"replayed":2,"not-allowed":7},"strangers":{"since_start":{"unsealed":900,"probes":1},"per_second":17},
            "lease":{"wanted":true,"until":"2026-01-31T21:00:00Z"},"audit_lost":0,
            "policies":[{"policy":"office-hours","decisions":12,"failures":1,"median_us":38,"worst_us":2400}],
            "books":[{"client":"bob","book":"bob","left":7,"of":1000}]}"#;
        serde_json::from_str(text).expect("the text has every field")
    }
}
