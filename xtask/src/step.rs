//! What xtask tells while it works: one line per step, with the time it took.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};

static SKIPPED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A run of named steps. The first one that fails ends the run.
pub(crate) struct Steps {
    started: Instant,
}

impl Steps {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Says what begins, does it, says how long it took.
    pub(crate) fn step<T>(&mut self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let begun = Instant::now();
        println!("xtask: {what} ...");
        let done = work().with_context(|| format!("{what} failed"))?;
        println!("xtask: {what}: done in {}", seconds(begun));
        Ok(done)
    }

    /// The closing line of a run of several steps, after what they could not do.
    pub(crate) fn finish(&self, what: &str) {
        for text in SKIPPED.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            println!("xtask: skipped: {text}");
        }
        println!("xtask: {what}: everything passed in {}", seconds(self.started));
    }
}

/// A remark inside a step.
pub(crate) fn note(text: impl std::fmt::Display) {
    println!("xtask:   {text}");
}

/// A check that cannot be made here: said where it would have been, and again at the end, where people look.
pub(crate) fn skipped(text: impl Into<String>) {
    let text = text.into();
    note(format_args!("skipped: {text}"));
    SKIPPED.lock().unwrap_or_else(PoisonError::into_inner).push(text);
}

fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}
