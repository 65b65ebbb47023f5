//! What ends the program before its time: a panic, a trap, the watchdog. Each says so on the console and restarts the machine.

use core::fmt::Write as _;
use core::panic::PanicInfo;

use crate::{console::Console, sys};

/// The interrupt bit of a trap's cause.
const INTERRUPT: usize = 1 << 31;
/// Reading and writing where it is not allowed.
const ACCESS_FAULTS: [usize; 2] = [5, 7];

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    // A console that takes nothing must not keep the machine from restarting.
    _ = writeln!(Console, "restart: {info}");
    sys::restart()
}

/// Entered with an empty stack, with what the processor says of the trap.
pub(crate) extern "C" fn trapped(cause: usize, at: usize, value: usize) -> ! {
    _ = if cause & INTERRUPT != 0 {
        writeln!(
            Console,
            "restart: the watchdog, because one turn took longer than {} s",
            crate::watchdog::PATIENCE.as_secs()
        )
    } else if ACCESS_FAULTS.contains(&cause) && sys::stack_guard().contains(&value) {
        writeln!(Console, "restart: the stack is too small, at {at:#x}")
    } else {
        writeln!(Console, "restart: exception {cause} at {at:#x}, value {value:#x}")
    };
    sys::restart()
}
