//! How many lines strangers may cost.

use std::time::{Duration, Instant};

/// Over this time strangers are counted.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Connections of strangers that are listed one by one in a [`WINDOW`]. A scanner's visit is seen whole; a flood of a day
/// costs 86 400 lines, some 13 MB, however fast it is.
pub(super) const LISTED: u32 = 60;

/// What is left of the current window, and what was not listed.
pub(super) struct Budget {
    ends: Instant,
    listed: u32,
    unlisted: u64,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { ends: now + WINDOW, listed: 0, unlisted: 0 }
    }

    /// Whether this connection gets a line of its own; otherwise it is counted.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        // What was not listed in the last window stays counted until the writer asks for it.
        if now >= self.ends && self.unlisted == 0 {
            *self = Self::new(now);
        }
        let admitted = self.listed < LISTED;
        if admitted {
            self.listed += 1;
        } else {
            self.unlisted = self.unlisted.saturating_add(1);
        }
        admitted
    }

    /// How many were not listed, once the window is over; begins the next one.
    pub(super) fn sum_due(&mut self, now: Instant) -> Option<u64> {
        if now < self.ends {
            return None;
        }
        let unlisted = self.unlisted;
        *self = Self::new(now);
        (unlisted > 0).then_some(unlisted)
    }

    /// How many were not listed up to now, whatever the window.
    pub(super) fn close(&mut self) -> Option<u64> {
        let unlisted = std::mem::take(&mut self.unlisted);
        (unlisted > 0).then_some(unlisted)
    }

    /// Counts again what could not be written.
    pub(super) fn take_back(&mut self, unlisted: u64) {
        self.unlisted = self.unlisted.saturating_add(unlisted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_listed_up_to_the_budget_and_then_counted() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let listed = (0..1000).filter(|_| budget.admits(start)).count();
        assert_eq!(listed, 60);
        assert_eq!(budget.sum_due(start), None, "the window is not over");
        assert_eq!(budget.sum_due(start + WINDOW), Some(940));
        assert_eq!(budget.sum_due(start + 2 * WINDOW), None, "told once");
    }

    #[test]
    fn every_window_has_a_budget_of_its_own() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert!((0..60).all(|_| budget.admits(start)));
        assert!(budget.admits(start + WINDOW));
    }

    #[test]
    fn nothing_is_forgotten_between_two_windows() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let listed = (0..100).filter(|at| budget.admits(start + WINDOW * *at / 50)).count();
        let told = budget.sum_due(start + 3 * WINDOW).unwrap_or(0);
        assert_eq!(u64::try_from(listed).unwrap() + told, 100);
    }
}
