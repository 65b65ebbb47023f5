//! What has become of a knock, step by step. Its JSON is that of `knockgated why --json`; names only grow.

use serde::{Deserialize, Serialize};

/// What is known about somebody's last knocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The address or name that was asked about.
    pub whom: String,
    /// The latest first.
    pub attempts: Vec<Attempt>,
    pub memory: Memory,
}

/// How far back the agent remembers what strangers have sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Entries at most, for what was not sealed for this gate and for what was each.
    pub places: usize,
    /// Entries that newer ones have taken the place of since the agent was started.
    pub washed_out: u64,
}

/// One knock, or several in a row that met the same end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// RFC 3339 in UTC; none if the host had no calendar.
    pub at: Option<String>,
    pub source: String,
    pub client: Option<String>,
    pub service: Option<String>,
    /// `open`, `renew`, `close`, `sequence`, `static-sequence`, or `unknown`.
    pub asked: String,
    /// `opened`, `closed`, `refused`, `silence`, `confirm`, `number`, `pending` or `unheard`.
    pub outcome: String,
    /// The word of a refusal, see `docs/protocol.md`, section 6.3.
    pub reason: Option<String>,
    /// How many in a row.
    pub times: u64,
    pub steps: Vec<Step>,
    /// What to do about it; none if nothing is wrong.
    pub remedy: Option<String>,
}

/// One of the things that a knock has to get past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub step: String,
    pub passed: Passed,
    /// For people.
    pub what: String,
}

/// Whether a knock got past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Passed {
    Yes,
    No,
    /// It waits there, or nobody knows.
    Waits,
    /// It did not come so far.
    NotReached,
}
