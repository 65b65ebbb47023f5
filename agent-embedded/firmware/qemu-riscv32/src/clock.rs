//! The clocks: ticks since reset, and the calendar of the machine that QEMU runs on.

use knockgate_core::{Instant, Now, UnixTime};

use crate::sys::{CALENDAR_HIGH, CALENDAR_LOW, TICKS_HIGH, TICKS_LOW};

/// Ticks of the timer in a microsecond.
pub(crate) const TICKS_PER_MICROSECOND: u64 = 10;
/// 2020-01-01. What lies before it is no calendar that anybody has set.
const FIRST_BELIEVED: UnixTime = UnixTime::from_micros(1_577_836_800_000_000);

pub(crate) fn now() -> Now {
    Now { instant: instant(), unix: calendar() }
}

pub(crate) fn instant() -> Instant {
    Instant::from_micros(ticks() / TICKS_PER_MICROSECOND)
}

/// Ticks since the reset.
pub(crate) fn ticks() -> u64 {
    loop {
        let high = TICKS_HIGH.read();
        let low = TICKS_LOW.read();
        // The low half may have overflowed in between.
        if TICKS_HIGH.read() == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

fn calendar() -> Option<UnixTime> {
    // Reading the low half keeps the high half that belongs to it.
    let low = CALENDAR_LOW.read();
    let nanoseconds = u64::from(CALENDAR_HIGH.read()) << 32 | u64::from(low);
    Some(UnixTime::from_micros(nanoseconds / 1000)).filter(|time| *time >= FIRST_BELIEVED)
}
