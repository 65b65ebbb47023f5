//! Runs the core and the policy engine on a Cortex-M4, where pointers have 32 bits and there is no operating system.
//!
//! QEMU emulates the board (`mps2-an386`) and, through semihosting, gives it a file with policies and takes its words. The test
//! that starts it, `policies/host/tests/cortex_m.rs`, decides the same events itself and compares every word. Nothing here is part of a
//! gateway: no network card of that board has a driver.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

extern crate alloc;

mod chance;
mod clock;
mod events;
mod knocks;
mod numbers;
mod policies;
mod sys;

use cortex_m_semihosting::{debug, hprintln};

/// Called by the board's entry, see [`sys`].
fn run() -> ! {
    match check() {
        Ok(()) => hprintln!("cortex-m4: ok"),
        Err(what) => {
            hprintln!("cortex-m4: failed: {what}");
            sys::fail();
        }
    }
    debug::exit(debug::EXIT_SUCCESS);
    sys::fail()
}

fn check() -> Result<(), &'static str> {
    let core = cortex_m::Peripherals::take().ok_or("the processor's parts were taken twice")?;
    let mut clock = clock::Clock::start(core.SYST);
    let given = sys::given()?;
    policies::check(&mut clock, given.policies)?;
    let (heap, stack) = sys::high_water();
    hprintln!("policies: at most {heap} bytes of heap and {stack} bytes of stack");
    knocks::check(&mut clock, given.seed)?;
    let (_, stack) = sys::high_water();
    hprintln!("all of it: at most {stack} bytes of stack");
    Ok(())
}
