//! How much of the heap a policy takes: while it is there, and while it decides.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use knockgate_policy_host::precompiled::{Precompiled, Target, Trusted, precompile};
use knockgate_policy_host::{Capabilities, PolicyEngine, builtin};

use crate::{NOW, court, in_place, knock, stage};

/// Counts what each thread has taken, and the most that it ever had.
struct Counting;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = TAKEN.try_with(|taken| {
            taken.set(taken.get().wrapping_add(layout.size()));
            let _ = MOST.try_with(|most| most.set(most.get().max(taken.get())));
        });
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        let _ = TAKEN.try_with(|taken| taken.set(taken.get().wrapping_sub(layout.size())));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static HEAP: Counting = Counting;

/// A policy of one kilobyte of memory fits beside the rest of a gateway. Pointers are twice as wide here as there, so this is
/// more than a gateway needs; the figures are printed by `--nocapture`.
#[test]
fn a_policy_takes_little_and_leaves_nothing_behind() {
    let code = in_place(&precompile(builtin::DEFAULT, Target::Wide).unwrap());
    // SAFETY: the code is from the engine's compiler, unchanged, and stays as it is for ever.
    let trusted = unsafe { Trusted::new(Precompiled::parse(code).unwrap()) };
    let empty = TAKEN.get();

    let engine = PolicyEngine::of_gateway(Capabilities::GATEWAY).unwrap();
    let with_engine = TAKEN.get() - empty;
    let policy = engine.load_in_place("default", &trusted, &stage::rights()).unwrap();
    let court = court([policy]);
    let loaded = TAKEN.get() - empty;

    let decide = || drop(court.judge(NOW, knock(), &mut Forgets));
    decide();
    let before = TAKEN.get();
    MOST.set(before);
    for _ in 0..100 {
        decide();
    }
    let (after, deciding) = (TAKEN.get(), MOST.get() - before);

    println!(
        "file {} bytes, engine {with_engine}, with one policy {loaded}, more while it decides {deciding}",
        code.len()
    );
    assert_eq!(after, before, "a decision leaves nothing behind");
    assert!(deciding < 64 * 1024, "{deciding} bytes");
}

/// Keeps nothing, so that only the policy is measured.
struct Forgets;

impl knockgate_gateway::court::Minutes for Forgets {
    fn said(&mut self, _: knockgate_core::Now, opinion: &knockgate_gateway::court::Opinion<'_>) {
        assert!(opinion.said.failure.is_none());
    }
}
