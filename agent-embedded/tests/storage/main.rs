//! What lasts in flash, on a simulated chip whose power is cut at every single write and erasure.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what helps it")]

mod cuts;
mod losses;
mod numbers;
mod script;
mod signatures;
#[path = "../stage/mod.rs"]
mod stage;
mod wear;
