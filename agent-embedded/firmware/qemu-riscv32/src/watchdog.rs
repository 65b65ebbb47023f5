//! The watchdog: a machine whose main loop hangs is restarted, as by the watchdog of a real board.
//!
//! It is the timer's alarm. While the machine waits, [`idle`](crate::idle) may set it earlier, as an alarm clock.

use core::time::Duration;

use crate::clock::{self, TICKS_PER_MICROSECOND};
use crate::sys::{self, ALARM_HIGH, ALARM_LOW};

/// Longest turn of the main loop. The longest by far is the check of a new site image with its policies, well under a second;
/// the rest is for a host that has no time for its guests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// From now on the machine must be fed.
pub(crate) fn start() {
    feed();
    sys::take_alarms();
}

/// The main loop is alive.
pub(crate) fn feed() {
    set_alarm(deadline());
}

/// The tick at which the machine is restarted if nobody feeds it from now on.
pub(crate) fn deadline() -> u64 {
    let patience = u64::try_from(PATIENCE.as_micros()).unwrap_or(u64::MAX);
    clock::ticks().saturating_add(patience.saturating_mul(TICKS_PER_MICROSECOND))
}

pub(crate) fn set_alarm(tick: u64) {
    let [a, b, c, d, high @ ..] = tick.to_le_bytes();
    // In between, the alarm must never lie before both the old and the new tick.
    ALARM_HIGH.write(u32::MAX);
    ALARM_LOW.write(u32::from_le_bytes([a, b, c, d]));
    ALARM_HIGH.write(u32::from_le_bytes(high));
}
