//! What a person sees on stderr while it happens: progress, waiting, warnings, the error.
//!
//! Progress appears only on a terminal, and only once a step has taken a second; then it is wiped away.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a step may take in silence.
const SILENT: Duration = Duration::from_secs(1);
/// How often progress is painted.
const PAINT: Duration = Duration::from_millis(500);
/// Columns that are painted; a longer line would wrap and could not be wiped away.
const COLUMNS: usize = 78;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loudness {
    /// Warnings and errors.
    Quiet,
    /// Waiting too, and progress if stderr is a terminal.
    Normal,
}

pub(crate) struct Voice {
    loudness: Loudness,
    line: Arc<Line>,
}

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    step: Option<(String, Instant)>,
    painted: bool,
    over: bool,
}

impl Voice {
    pub(crate) fn new(loudness: Loudness) -> Self {
        let line = Arc::new(Line::default());
        if loudness == Loudness::Normal && io::stderr().is_terminal() {
            let line = Arc::clone(&line);
            thread::spawn(move || line.paint());
        }
        Self { loudness, line }
    }

    /// What is being done from now on.
    pub(crate) fn step(&self, text: impl Into<String>) {
        let mut state = self.line.lock();
        state.wipe();
        state.step = Some((text.into(), Instant::now()));
    }

    /// How far that step has come. It goes on, so it need not take another second to be seen.
    pub(crate) fn progress(&self, text: impl Into<String>) {
        let mut state = self.line.lock();
        let since = state.step.as_ref().map_or_else(Instant::now, |(_, since)| *since);
        state.step = Some((text.into(), since));
    }

    /// Nothing is being done any more; stdout comes next.
    pub(crate) fn end(&self) {
        let mut state = self.line.lock();
        state.wipe();
        state.step = None;
    }

    /// Something that explains a wait.
    pub(crate) fn notice(&self, text: &str) {
        if self.loudness == Loudness::Normal {
            self.say(text);
        }
    }

    /// Something that somebody must act upon soon.
    pub(crate) fn warning(&self, text: &str) {
        self.say(&format!("warning: {text}"));
    }

    /// Why it failed.
    pub(crate) fn error(&self, text: &str) {
        self.say(text);
    }

    fn say(&self, text: &str) {
        self.line.lock().wipe();
        // Without stderr there is nobody to tell.
        let _ = writeln!(io::stderr(), "knockgate: {text}");
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        state.wipe();
        state.over = true;
        self.line.changed.notify_all();
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn paint(&self) {
        let mut state = self.lock();
        while !state.over {
            state.paint();
            let woken = self.changed.wait_timeout(state, PAINT);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    fn paint(&mut self) {
        let Some((text, since)) = &self.step else { return };
        if since.elapsed() >= SILENT {
            let text = format!("{text} ({} s)", since.elapsed().as_secs());
            let _ = write!(io::stderr(), "\r{text:<COLUMNS$.COLUMNS$}");
            self.painted = true;
        }
    }

    fn wipe(&mut self) {
        if self.painted {
            let _ = write!(io::stderr(), "\r{:COLUMNS$}\r", "");
            self.painted = false;
        }
    }
}
