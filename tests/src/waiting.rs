//! Waiting for a condition. The only place in the tests that sleeps.

use std::io;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two looks. Short against everything that tests measure, long against what a look costs.
const POLL: Duration = Duration::from_millis(10);

/// Looks until there is something to see; after `patience` it is an error that says what never came.
pub fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            bail!("waited {:.1} s in vain: {what}", patience.as_secs_f64());
        }
        std::thread::sleep(POLL);
    }
}

/// [`until`] for a plain condition.
pub fn until_true(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) -> Result<()> {
    until(what, patience, || holds().then_some(()))
}

/// A call that waits by itself. That the machine was frozen meanwhile is no reason to give up: calls with a timeout end then.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => return ended,
        }
    }
}

/// Lets some time pass: only for what shall happen at a moment that nobody has chosen, never to wait for something.
pub fn let_pass(time: Duration) {
    std::thread::sleep(time);
}
