//! What a decision has had of a processor. A busy machine that lets it wait takes nothing of its time.

use std::time::Duration;

/// Measures from its making on, for the thread that made it.
pub(crate) struct Spent(Duration);

impl Spent {
    pub(crate) fn nothing() -> Self {
        Self(of_this_thread())
    }

    pub(crate) fn so_far(&self) -> Duration {
        of_this_thread().saturating_sub(self.0)
    }
}

#[cfg(unix)]
fn of_this_thread() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    // It begins at zero and is never negative.
    spent.try_into().unwrap_or(Duration::ZERO)
}

/// Where a thread's own time cannot be asked for: all that passes.
#[cfg(not(unix))]
fn of_this_thread() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_not_spent_and_working_is() {
        const ENOUGH: Duration = Duration::from_millis(20);
        let spent = Spent::nothing();
        let (sender, receiver) = std::sync::mpsc::channel();
        let other = std::thread::spawn(move || {
            let theirs = Spent::nothing();
            while theirs.so_far() < ENOUGH {}
            sender.send(theirs.so_far()).unwrap();
        });
        let theirs = receiver.recv().unwrap();
        other.join().unwrap();
        assert!(theirs >= ENOUGH);
        assert!(spent.so_far() < ENOUGH, "{:?}", spent.so_far());
    }
}
