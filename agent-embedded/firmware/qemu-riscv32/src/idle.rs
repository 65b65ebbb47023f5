//! Waiting: the processor stops until something is due, a card has something, or somebody types.
//!
//! Nothing is lost in between. A card that becomes busy after the main loop has looked at it raises an interrupt that is still
//! pending when the waiting begins, and so ends it at once.

use knockgate_core::Instant;

use crate::clock::{self, TICKS_PER_MICROSECOND};
use crate::sys::{self, CARD_INTERRUPTS, INTERRUPT_CLAIM, INTERRUPT_THRESHOLD, INTERRUPTS, SERIAL_INTERRUPT};
use crate::{console, watchdog};

/// Lets cards and the serial port wake the machine.
pub(crate) fn prepare() {
    let mut enabled = 0;
    for interrupt in CARD_INTERRUPTS.chain([SERIAL_INTERRUPT]) {
        sys::interrupt_priority(interrupt).write(1);
        enabled |= 1 << interrupt;
    }
    INTERRUPTS.write(enabled);
    INTERRUPT_THRESHOLD.write(0);
    console::listen();
}

/// Waits until `next` at most.
pub(crate) fn until(next: Option<Instant>) {
    let due = next.map_or(u64::MAX, |next| next.as_micros().saturating_mul(TICKS_PER_MICROSECOND));
    if due <= clock::ticks() {
        return;
    }
    sys::without_alarms(|| {
        watchdog::set_alarm(due.min(watchdog::deadline()));
        sys::wait_for_interrupt();
        acknowledge();
        watchdog::feed();
    });
}

/// The controller may report the next interrupt of those that have come.
fn acknowledge() {
    loop {
        let interrupt = INTERRUPT_CLAIM.read();
        if interrupt == 0 {
            return;
        }
        INTERRUPT_CLAIM.write(interrupt);
    }
}
