//! Whole conversations with a gateway's console, spoken by the core's client half.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod hostile;
mod line;
mod talk;
mod updates;
