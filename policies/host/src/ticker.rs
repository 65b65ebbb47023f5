//! The clock behind the deadline: a thread that advances the engine's epoch while decisions run.
//!
//! A compiled policy compares the epoch with its deadline at every loop and call. The thread ticks only while somebody is
//! deciding, and a little longer, then parks: an idle daemon is not woken 250 times a second, and under load no decision pays
//! for waking the thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

/// Time between two ticks: a fifth of the deadline, so that it is met to within a fifth.
const TICK: Duration = Duration::from_millis(4);
/// Ticks without any decision after which the thread parks: one second.
const IDLE_TICKS: u32 = 250;

/// Stops its thread when dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    deciding: AtomicU32,
    parked: AtomicBool,
    stop: AtomicBool,
}

/// As long as it lives, the clock ticks.
pub(crate) struct Watch<'a>(&'a Shared);

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (engine, seen) = (engine.clone(), Arc::clone(&shared));
        let thread =
            thread::Builder::new().name("policy-deadline".to_owned()).spawn(move || tick(&engine, &seen))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How many ticks lie within the deadline. The first may come at once, so this errs on the short side; whoever is late then has
    /// what is left of his processor time.
    pub(crate) fn ticks(deadline_ms: u32) -> u64 {
        u64::from(deadline_ms).div_ceil(TICK.as_millis().try_into().unwrap_or(u64::MAX)).max(1)
    }

    pub(crate) fn watch(&self) -> Watch<'_> {
        self.shared.deciding.fetch_add(1, SeqCst);
        if self.shared.parked.swap(false, SeqCst) {
            self.wake();
        }
        Watch(&self.shared)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.0.deciding.fetch_sub(1, SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.shared.parked.store(false, SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn tick(engine: &Engine, shared: &Shared) {
    let mut idle = 0;
    while !shared.stop.load(SeqCst) {
        idle = if shared.deciding.load(SeqCst) == 0 { idle + 1 } else { 0 };
        if idle > IDLE_TICKS {
            park(shared);
            idle = 0;
        }
        thread::sleep(TICK);
        engine.increment_epoch();
    }
}

/// Sleeps until a decision begins. It says that it sleeps before it looks for the last time, and a decision says that it is
/// there before it looks whether to wake: one of the two sees the other.
fn park(shared: &Shared) {
    shared.parked.store(true, SeqCst);
    if shared.deciding.load(SeqCst) > 0 || shared.stop.load(SeqCst) {
        shared.parked.store(false, SeqCst);
    }
    while shared.parked.load(SeqCst) {
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_is_counted_in_whole_ticks_and_never_none() {
        for (ms, ticks) in [(20, 5), (21, 6), (4, 1), (1, 1), (0, 1)] {
            assert_eq!(Ticker::ticks(ms), ticks, "{ms} ms");
        }
    }

    #[test]
    fn a_parked_clock_is_woken_and_stopped() {
        let shared = Arc::new(Shared::default());
        shared.parked.store(true, SeqCst);
        let seen = Arc::clone(&shared);
        let thread = thread::spawn(move || park(&seen));
        let ticker = Ticker { shared, thread: Some(thread) };
        // Returns only when the thread has ended, which it can do only when it was woken.
        drop(ticker);
    }
}
