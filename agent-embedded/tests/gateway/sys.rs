//! Counts what is taken from the heap, on each thread apart, since tests run beside each other.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static HEAP: Counting = Counting;

// SAFETY: everything is `System`'s; what is counted beside it is of this thread and takes nothing from the heap.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if WATCHED.get() {
            TAKEN.set(TAKEN.get() + 1);
        }
        // SAFETY: the caller's promises are `System`'s conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Does something, and says how often it took from the heap.
pub(crate) fn watched<T>(act: impl FnOnce() -> T) -> (T, u64) {
    let before = (TAKEN.replace(0), WATCHED.replace(true));
    let result = act();
    let taken = TAKEN.replace(before.0);
    WATCHED.set(before.1);
    (result, taken)
}

/// Does something that does not count: what a test does where a board would do something else.
pub(crate) fn unwatched<T>(act: impl FnOnce() -> T) -> T {
    let before = WATCHED.replace(false);
    let result = act();
    WATCHED.set(before);
    result
}
