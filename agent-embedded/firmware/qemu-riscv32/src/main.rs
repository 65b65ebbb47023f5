//! The gateway on QEMU's riscv32 `virt` machine, which has the instruction set of an ESP32-C6: two virtio network cards, a CFI
//! flash, a calendar, a serial console.
//!
//! This program only brings the board up and hands it to the library. Traps of any kind are fatal here: the only interrupt that
//! is ever taken is the watchdog's, and cards merely wake the machine from [`idle`].
//!
//! `agent-embedded/firmware/budget.toml` says how much code and memory it may use.
#![no_std]
#![no_main]

extern crate alloc;

mod board;
mod clock;
mod console;
mod fault;
mod flash;
mod idle;
mod net;
mod report;
mod rng;
mod starts;
mod sys;
mod watchdog;

#[riscv_rt::entry]
fn main() -> ! {
    let parts = board::bring_up();
    let mut machine = starts::counted(parts);
    let mut report = report::Report::default();
    loop {
        let turn = report.count(|| machine.turn(clock::now()));
        watchdog::feed();
        report.keep(clock::instant());
        if turn.restart {
            sys::restart();
        }
        idle::until(turn.next);
    }
}
