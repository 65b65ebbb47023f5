//! How the gate is. Its JSON is that of `knockgated status --json`; names only grow.

use serde::{Deserialize, Serialize};

/// How the gate is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Of the agent.
    pub version: String,
    pub pid: u32,
    /// When it was started, RFC 3339 in UTC.
    pub since: String,
    pub up_seconds: u64,
    pub guarded: Vec<Guarded>,
    pub counts: Counts,
}

/// A service, and how many grants there are for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarded {
    pub service: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    pub ports: Vec<u16>,
    pub grants: usize,
}

/// How many there are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub clients: usize,
    pub grants: usize,
    pub holds: usize,
    pub lockouts: usize,
}
