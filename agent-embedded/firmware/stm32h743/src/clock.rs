//! The clock: microseconds since the reset, from the chip's own oscillator, to within one percent. The board has no calendar.

use knockgate_core::{Instant, Now};

pub(crate) fn now() -> Now {
    Now { instant: Instant::from_micros(embassy_time::Instant::now().as_micros()), unix: None }
}
