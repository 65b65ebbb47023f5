//! How policies run, and how much they may use, by the kind of host.

use knockgate_policy_abi::limits::{self, Limits};

/// How much a policy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What a gateway can carry.
    Edge,
    /// What a Linux host can carry.
    Server,
}

impl Profile {
    /// The figures.
    #[must_use]
    pub const fn limits(self) -> Limits {
        match self {
            Profile::Edge => limits::EDGE,
            Profile::Server => limits::SERVER,
        }
    }
}

/// How a server runs policies. Verdicts, acts and fuel are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Execution {
    /// As Pulley's byte code, interpreted: no memory ever becomes executable.
    Interpreted,
    /// As machine code, which has to be in executable memory.
    Compiled,
}
