//! Making what is large where it stays: on the heap.
//!
//! A gate is as large as the stack of a small board, so it must never lie there, not even on its way. What a call returns is
//! made where it shall lie, and that place is there before the call. `cargo xtask gateway size` measures the stack.

use alloc::boxed::Box;

/// What `make` makes, on the heap. Calls by themselves, or the compiler joins them and makes it on the stack after all.
#[inline(never)]
pub(crate) fn on_heap<T>(make: impl FnOnce() -> T) -> Box<T> {
    #[inline(never)]
    fn called<T>(make: impl FnOnce() -> T) -> T {
        make()
    }
    Box::write(Box::new_uninit(), called(make))
}
