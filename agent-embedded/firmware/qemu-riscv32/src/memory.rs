//! How much memory was ever in use: said on the console when it has grown, once a minute at most, and whenever somebody types
//! a key.

use core::fmt::Write as _;
use core::time::Duration;

use knockgate_core::Instant;

use crate::console::{self, Console};
use crate::sys;

/// Growth is not news more often than this.
const PAUSE: Duration = Duration::from_secs(60);

/// What was said last, and when it may be said again.
#[derive(Default)]
pub(crate) struct Report {
    told: (u32, usize),
    next: Instant,
}

impl Report {
    /// Says what there is to say. To be called in every turn.
    pub(crate) fn keep(&mut self, now: Instant) {
        let asked = console::typed().is_some();
        if !asked && now < self.next {
            return;
        }
        self.next = now.after(PAUSE);
        let ((heap_now, heap), (stack, stack_size)) = (sys::heap(), sys::stack());
        if !asked && self.told == (heap, stack) {
            return;
        }
        self.told = (heap, stack);
        // A console that takes nothing is no reason to stop.
        _ = writeln!(
            Console,
            "memory: heap {heap_now} of {}, at most {heap}; stack of {stack_size}, at most {stack}",
            sys::heap_size()
        );
    }
}
