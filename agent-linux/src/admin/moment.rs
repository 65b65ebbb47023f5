//! The calendar, as administrators live by it.

use std::time::{SystemTime, UNIX_EPOCH};

use knockgate_core::UnixTime;

/// The calendar; `None` before 1970, which is a calendar that was never set.
pub(super) fn now() -> Option<UnixTime> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_micros()).ok().map(UnixTime::from_micros)
}
