//! How long something takes, in instructions.
//!
//! QEMU is told to let virtual time go by at one nanosecond per instruction (`-icount shift=0`), and the processor's timer counts at
//! 25 MHz: 40 instructions a tick. Longer than one round of the timer, some 670 million instructions, cannot be told.

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

const INSTRUCTIONS_PER_TICK: u32 = 40;
/// The timer has 24 bits.
const ROUND: u32 = 0x00ff_ffff;

pub(crate) struct Clock(SYST);

impl Clock {
    pub(crate) fn start(mut timer: SYST) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(ROUND);
        timer.clear_current();
        timer.enable_counter();
        Self(timer)
    }

    /// Does `work` and tells how many instructions it took, to within some 40.
    pub(crate) fn measure<T>(&mut self, work: impl FnOnce() -> T) -> Result<(T, u32), &'static str> {
        self.0.clear_current();
        let done = work();
        if self.0.has_wrapped() {
            return Err("it took longer than the timer counts");
        }
        let ticks = ROUND.saturating_sub(SYST::get_current());
        Ok((done, ticks.saturating_mul(INSTRUCTIONS_PER_TICK)))
    }
}
