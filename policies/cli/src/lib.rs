//! `knockgate-policy`: writes, checks, tests, replays and signs policies.
//!
//! Of use to other programs: [`embed`] puts a manifest into a module.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod embed;
