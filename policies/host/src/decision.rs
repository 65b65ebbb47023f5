//! What a policy decided.

use heapless::{String, Vec};
use knockgate_policy_abi::limits::{MAX_ACTIONS, MAX_LOG_BYTES, MAX_LOG_LINES, MAX_STATE_LOADS};
use knockgate_policy_abi::{Capability, LogLevel, Refusal};

use crate::Failure;

/// The answer of one policy to one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What the policy said; [`Verdict::Deny`] when it failed.
    pub verdict: Verdict,
    /// What shall be done, in order. Empty unless the verdict is [`Verdict::Commit`].
    pub actions: Vec<Action, MAX_ACTIONS>,
    /// Fuel used.
    pub fuel: u64,
    /// Why the policy failed, when it did.
    pub failure: Option<Failure>,
    /// Acts that were refused, the first few: what an operator wants to know when nothing opens.
    pub refused: Vec<RefusedAct, MAX_ACTIONS>,
    /// The numbers kept from earlier decisions that were asked for, by key: what it takes to make this decision again.
    pub loaded: Vec<(u32, u64), MAX_STATE_LOADS>,
    /// What the policy wrote for the operator, whatever the verdict.
    pub log: Vec<LogLine, MAX_LOG_LINES>,
    /// Lines that were dropped because there were too many.
    pub log_dropped: u32,
}

impl Decision {
    /// The verdict, unless the policy failed.
    #[must_use]
    pub const fn answer(&self) -> Answer {
        match (self.verdict, &self.failure) {
            (_, Some(_)) => Answer::Failed,
            (Verdict::Commit, None) => Answer::Commit,
            (Verdict::Deny, None) => Answer::Deny,
            (Verdict::Abstain, None) => Answer::Abstain,
        }
    }

    /// Whether something opens. A policy may commit without opening anything, for example to remember that it was asked; a
    /// knock is granted only when this is true.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::Open { .. } | Action::OpenPrefix { .. }))
    }
}

/// A policy's verdict, or that it failed to give one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It lets its actions happen.
    Commit,
    /// It refuses, and nobody else is asked.
    Deny,
    /// It leaves the question to the next one.
    Abstain,
    /// It did not come to a verdict.
    Failed,
}

impl Answer {
    /// The word for logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Deny => "deny",
            Self::Abstain => "abstain",
            Self::Failed => "failed",
        }
    }
}

/// What `decide` returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let the actions happen.
    Commit,
    /// Nothing happens, and no other policy is asked.
    Deny,
    /// Nothing happens here; ask the next policy.
    Abstain,
}

/// One thing that the host shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a service to the knocker's address.
    Open {
        /// The service.
        service: u16,
        /// For how long.
        seconds: u32,
    },
    /// Open a service to the knocker's prefix.
    OpenPrefix {
        /// The service.
        service: u16,
        /// Length of the prefix.
        bits: u8,
        /// For how long.
        seconds: u32,
    },
    /// Let a grant last so long from now.
    Extend {
        /// The grant.
        grant: u64,
        /// For how long.
        seconds: u32,
    },
    /// Close a grant.
    Revoke {
        /// The grant.
        grant: u64,
    },
    /// Lock the source out.
    Lockout {
        /// For how long.
        seconds: u32,
    },
    /// Start a unit of the host's table.
    Start {
        /// Its number there.
        unit: u16,
    },
    /// Send a code to a channel of the host's table.
    Notify {
        /// Its number there.
        channel: u16,
        /// What to send.
        code: u32,
    },
}

/// An act that was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedAct {
    /// What was tried.
    pub act: Capability,
    /// What the policy was answered.
    pub refusal: Refusal,
}

/// One line for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// The text: cut to its limit, control characters replaced.
    pub text: String<MAX_LOG_BYTES>,
}
