//! The Knockgate agent for Linux servers.

pub mod acts;
pub mod admin;
pub mod audit;
pub mod broker;
pub mod capture;
pub mod cli;
pub mod config;
pub mod confine;
pub mod control;
pub(crate) mod dashboard;
pub mod firewall;
#[doc(hidden)]
pub mod fuzzing;
pub mod metrics;
pub(crate) mod report;
pub mod run;
pub mod state;
