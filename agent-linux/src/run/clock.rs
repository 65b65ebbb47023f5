//! The two clocks of the host.

use std::time::{SystemTime, UNIX_EPOCH};

use knockgate_core::{Instant, Now, UnixTime};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// What the clocks say. The monotonic one counts while the machine sleeps, so a grant does not outlast a suspend.
pub(super) fn now() -> Now {
    // Asked as everybody else in the agent asks, so that what is decided and what is written down have one calendar.
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let unix = unix.and_then(|since| u64::try_from(since.as_micros()).ok());
    Now {
        instant: Instant::from_micros(micros(clock_gettime(ClockId::Boottime))),
        // A calendar before 1970 is a calendar that was never set.
        unix: unix.map(UnixTime::from_micros),
    }
}

fn micros(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(nanos / 1000)
}
