//! Write Knockgate policies in Rust: one macro, safe functions, no heap, no boilerplate.
//!
//! ```ignore
//! #![no_std]
//! use knockgate_policy::{Verdict, act, head, policy};
//!
//! policy! {
//!     manifest: "abi=1.0\nname=mine\nversion=1.0\nservices=*\ncapabilities=open\n",
//!     decide: decide,
//! }
//!
//! fn decide() -> Verdict {
//!     let knock = head();
//!     if knock.failures > 3 {
//!         return Verdict::Deny;
//!     }
//!     act::open(knock.service, knock.seconds).into()
//! }
//! ```
//!
//! Build it for `wasm32-unknown-unknown` as a `cdylib`. A policy runs in a fresh instance for every event and has no clock,
//! no random numbers and no I/O: what it knows it reads from the event. The guide is `docs/policies.md`.
#![no_std]
#![deny(missing_docs)]

pub mod act;
pub mod event;
pub mod journal;
pub mod parameter;
pub mod state;
#[doc(hidden)]
pub mod sys;

pub use event::head;
pub use knockgate_policy_abi::{Cause, Head, LogLevel, Refusal, attr};

use knockgate_policy_abi::{VERDICT_ABSTAIN, VERDICT_COMMIT, VERDICT_DENY};

/// What a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Let everything that was queued happen.
    Commit,
    /// Nothing happens.
    Deny,
    /// Nothing happens here; ask the next policy.
    Abstain,
}

impl Verdict {
    /// The number that `decide` returns.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Verdict::Commit => VERDICT_COMMIT,
            Verdict::Deny => VERDICT_DENY,
            Verdict::Abstain => VERDICT_ABSTAIN,
        }
    }
}

/// An act that was queued is committed, a refused one denies.
impl From<Result<(), Refusal>> for Verdict {
    fn from(result: Result<(), Refusal>) -> Self {
        match result {
            Ok(()) => Verdict::Commit,
            Err(_) => Verdict::Deny,
        }
    }
}
