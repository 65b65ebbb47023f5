//! A whole start: a real site image, signed and with a compiled policy, from a simulated flash to a gate that is up; and what it
//! says when it is not fit for use.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what helps it")]

mod bench;
mod knocks;
mod refusals;
mod site;
#[path = "../stage/mod.rs"]
mod stage;
mod talk;
mod trials;
mod updates;
