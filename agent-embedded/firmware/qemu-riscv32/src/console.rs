//! The console: QEMU's serial port, an NS16550.

use core::fmt;

use crate::sys::{SERIAL_DATA, SERIAL_INTERRUPTS, SERIAL_STATUS};

/// In the status: something was typed.
const TYPED: u8 = 1 << 0;
/// In the status: there is room for a byte.
const ROOM: u8 = 1 << 5;
/// How often the status is read before a byte is given up: a reader who has stopped must not stop the gate.
const PATIENCE: usize = 10_000;
/// Interrupt when something is typed.
const ON_TYPED: u8 = 1 << 0;

/// Writes to the console. Lines end as a terminal wants them.
#[derive(Clone, Copy)]
pub(crate) struct Console;

/// Makes typing wake the machine.
pub(crate) fn listen() {
    SERIAL_INTERRUPTS.write(ON_TYPED);
}

/// A byte that was typed.
pub(crate) fn typed() -> Option<u8> {
    (SERIAL_STATUS.read() & TYPED != 0).then(|| SERIAL_DATA.read())
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if byte == b'\n' {
                put(b'\r');
            }
            put(byte);
        }
        Ok(())
    }
}

fn put(byte: u8) {
    if (0..PATIENCE).any(|_| SERIAL_STATUS.read() & ROOM != 0) {
        SERIAL_DATA.write(byte);
    }
}
