//! What does not succeed now and may later: how often it is tried again, and how often somebody is told.

use std::time::{Duration, Instant};

/// A trouble that lasts costs one attempt in this time, however many packets come meanwhile.
const AGAIN: Duration = Duration::from_secs(1);
/// It is told this often, also if it comes and goes.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The last attempt that failed.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    tried: Option<Instant>,
    told: Option<Instant>,
}

impl Trouble {
    /// Whether it has failed so lately that it is not tried again now.
    pub(super) fn rests(&self, now: Instant) -> bool {
        is_within(AGAIN, self.tried, now)
    }

    /// It has failed. Returns whether to tell of it.
    pub(super) fn has_failed(&mut self, now: Instant) -> bool {
        self.tried = Some(now);
        let is_told = is_within(TOLD_EVERY, self.told, now);
        if !is_told {
            self.told = Some(now);
        }
        !is_told
    }

    /// It has succeeded.
    pub(super) fn is_over(&mut self) {
        self.tried = None;
    }
}

fn is_within(time: Duration, since: Option<Instant>, now: Instant) -> bool {
    since.is_some_and(|since| now.saturating_duration_since(since) < time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_failed_is_tried_once_a_second_and_told_once_a_minute() {
        let start = Instant::now();
        let mut trouble = Trouble::default();
        let (mut tries, mut told) = (0, 0);
        for packet in 0..120_000 {
            let now = start + Duration::from_millis(packet);
            if !trouble.rests(now) {
                tries += 1;
                told += u32::from(trouble.has_failed(now));
            }
        }
        assert_eq!((tries, told), (120, 2));
    }

    #[test]
    fn after_a_success_the_next_attempt_is_made_at_once_and_the_minute_goes_on() {
        let start = Instant::now();
        let mut trouble = Trouble::default();
        assert!(trouble.has_failed(start));
        trouble.is_over();
        assert!(!trouble.rests(start));
        assert!(!trouble.has_failed(start + AGAIN));
    }
}
