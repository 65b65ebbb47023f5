//! The gateway between two cables in memory: real TCP stacks on both sides, virtual time, no threads and no sleeps.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what helps it")]

mod board;
mod bridge;
mod cable;
mod config;
mod faults;
mod host;
mod knocker;
mod knocks;
mod raw;
mod silence;
mod world;
