//! Making what is large: it stays on the heap, and lies on the stack only while it is made.
//!
//! The compiler makes it on the stack and moves it. So what is large is made one after the other, from shallow frames, and
//! the room that it takes there is free again for what runs later. `cargo xtask gateway size` measures the stack.

use alloc::boxed::Box;

/// What `make` makes, on the heap. By itself, or its room on the stack would be its caller's for good.
#[inline(never)]
pub(crate) fn on_heap<T>(make: impl FnOnce() -> T) -> Box<T> {
    Box::new(make())
}
