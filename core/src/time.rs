//! Time as the host tells it: a monotonic clock that drives every deadline, and the calendar where there is one.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Microseconds since the gate started, from a clock that never goes back and counts while the machine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Instant(u64);

impl Instant {
    /// The moment `micros` microseconds after the start.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This moment and `duration`; a sum beyond the clock is the end of time.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// How long it is from `now` until this moment; zero once it has passed.
    pub fn left(self, now: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(now.0))
    }
}

/// Microseconds since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnixTime(u64);

impl UnixTime {
    /// The moment `micros` microseconds after the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This moment and `duration`; a sum beyond the calendar is the end of time.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// How long it is from `now` until this moment; zero once it has passed.
    pub fn left(self, now: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(now.0))
    }
}

/// What the host's clocks say at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Drives every deadline.
    pub instant: Instant,
    /// Told to clients and policies. The core decides by it only what cannot be decided otherwise: whether an enrolment or a
    /// former key has ended, the code of a second factor, the age of a message. A gateway without a clock has none.
    pub unix: Option<UnixTime>,
}

/// Whole milliseconds, rounded up, as messages carry them: a client that waits this long does not come too early.
pub fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// Whole seconds, rounded up, for people: a grant of a minute that began a microsecond ago lasts a minute.
pub const fn seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add((duration.subsec_nanos() > 0) as u64)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_beyond_the_clock_is_the_end_of_time() {
        assert_eq!(Instant::from_micros(5).after(Duration::MAX), Instant::from_micros(u64::MAX));
    }

    #[test]
    fn a_passed_deadline_has_no_time_left() {
        assert_eq!(Instant::from_micros(5).left(Instant::from_micros(9)), Duration::ZERO);
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!([0, 1, 1000, 1001].map(|ms| seconds(Duration::from_millis(ms))), [0, 1, 1, 2]);
    }

    #[test]
    fn milliseconds_are_rounded_up() {
        assert_eq!([0, 1, 1000, 1001].map(|us| millis(Duration::from_micros(us))), [0, 1, 1, 2]);
    }
}
