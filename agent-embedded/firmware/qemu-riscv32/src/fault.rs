//! What ends the program before its time: a panic, a trap, the watchdog. Each says so on the console and restarts the machine.
//!
//! In firmware that is made small a panic is a trap, which tells its address and no words. What an operator can mend is said by
//! [`give_up`] instead.

use core::fmt::Write as _;
use core::panic::PanicInfo;

use crate::{console::Console, sys};

/// The interrupt bit of a trap's cause.
const INTERRUPT: usize = 1 << 31;
/// What a panic comes to in firmware that is made small.
const ILLEGAL_INSTRUCTION: usize = 2;
/// Reading and writing where it is not allowed.
const ACCESS_FAULTS: [usize; 2] = [5, 7];

/// Ends the program for a reason outside of it, which the operator reads.
pub(crate) fn give_up(why: &str) -> ! {
    _ = writeln!(Console, "restart: {why}");
    sys::restart()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // A console that takes nothing must not keep the machine from restarting.
    _ = writeln!(Console, "restart: {info}");
    sys::restart()
}

/// Entered with an empty stack, with what the processor says of the trap, and where the function was to return to: many panics
/// trap in one function of the library, and only their callers differ.
pub(crate) extern "C" fn trapped(cause: usize, at: usize, value: usize, caller: usize) -> ! {
    _ = if cause & INTERRUPT != 0 {
        writeln!(
            Console,
            "restart: the watchdog, because one turn took longer than {} s",
            crate::watchdog::PATIENCE.as_secs()
        )
    } else if cause == ILLEGAL_INSTRUCTION {
        writeln!(Console, "restart: panicked at {at:#x}, return address {caller:#x}")
    } else if ACCESS_FAULTS.contains(&cause) && sys::stack_guard().contains(&value) {
        writeln!(Console, "restart: the stack is too small, at {at:#x}")
    } else {
        writeln!(Console, "restart: exception {cause} at {at:#x}, value {value:#x}")
    };
    sys::restart()
}
