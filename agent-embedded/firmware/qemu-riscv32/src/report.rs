//! What the board says of itself: how much memory was ever in use, when it has grown, once a minute at most; and that and what it
//! has computed whenever somebody types a key.

use core::fmt::Write as _;
use core::time::Duration;

use knockgate_core::Instant;
use riscv::register::mcycle;

use crate::console::{self, Console};
use crate::sys;

/// Growth is not news more often than this.
const PAUSE: Duration = Duration::from_secs(60);

/// What there was to say last, and when it may be said again.
#[derive(Default)]
pub(crate) struct Report {
    told: (u32, usize),
    next: Instant,
    turns: u64,
    cycles: u64,
}

impl Report {
    /// Counts the cycles of a turn. With QEMU's `-icount shift=0` they are instructions, without it they mean nothing.
    pub(crate) fn count<T>(&mut self, turn: impl FnOnce() -> T) -> T {
        let begun = mcycle::read64();
        let done = turn();
        self.cycles = self.cycles.wrapping_add(mcycle::read64().wrapping_sub(begun));
        self.turns = self.turns.wrapping_add(1);
        done
    }

    /// Says what there is to say. To be called after every turn.
    pub(crate) fn keep(&mut self, now: Instant) {
        if console::typed().is_some() {
            self.tell_memory();
            // A console that takes nothing is no reason to stop.
            _ = writeln!(Console, "work: {} cycles in {} turns", self.cycles, self.turns);
        }
        if now >= self.next {
            self.next = now.after(PAUSE);
            if self.told != Self::memory() {
                self.tell_memory();
            }
        }
    }

    /// The most that ever was in use: of the heap, of the stack.
    fn memory() -> (u32, usize) {
        (sys::heap().1, sys::stack().0)
    }

    fn tell_memory(&mut self) {
        self.told = Self::memory();
        let ((heap, _), (heap_most, stack_most)) = (sys::heap(), self.told);
        let (heap_size, stack_size) = (sys::heap_size(), sys::stack().1);
        _ = writeln!(
            Console,
            "memory: heap {heap} of {heap_size}, at most {heap_most}; stack {stack_size}, at most {stack_most}"
        );
    }
}
