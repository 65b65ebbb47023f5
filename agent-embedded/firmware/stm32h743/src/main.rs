//! The gateway on an STM32H743: a NUCLEO-H743ZI2 with a WIZnet W5500 module. It compiles and was not yet run on hardware.
//!
//! The board's own socket is the outer port, because strangers can send more than a module on a serial bus takes; the module is
//! the inner one. This program only brings the board up and hands it to the library. Nothing waits for an interrupt: the main loop
//! looks at both ports in turn.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod board;
mod clock;
mod console;
mod flash;
mod inner;
mod outer;
mod rng;
mod sys;

use knockgate_gateway::boot;

/// Called by the board's entry, see [`sys`].
fn run() -> ! {
    let (parts, mut watchdog) = board::bring_up();
    let mut machine = boot::start(parts, clock::now());
    loop {
        let turn = machine.turn(clock::now());
        watchdog.pet();
        console::send_on();
        if turn.restart {
            sys::restart();
        }
    }
}
